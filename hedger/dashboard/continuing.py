"""The terminal after a stop that nobody announced (SIGSTOP), and SIGCONT.

Textual enters its mode of the terminal again at every SIGCONT, which is right after a Ctrl-Z, where it has
left it before. After a bare SIGSTOP it has not: it would have two readers of the keys, of which one waits for
a key that the other took, and would remember its own mode as that of the shell. So what runs is ended first.
"""

from __future__ import annotations

import signal
from typing import Any

from textual.app import App


def continue_whole(app: App[Any]) -> None:
    """From now on a SIGCONT gives the app one reader of keys, whatever stopped it; for its own thread, once
    its driver has begun. Nothing where there is no terminal."""
    driver: Any = app._driver
    if not hasattr(driver, "_sigcont_application"):
        return

    def on_continue(*_: object) -> None:
        if driver._must_signal_resume:  # it stopped in order, by Ctrl-Z
            driver.resume_application_mode()
            return
        if app._exit or driver.exit_event.is_set():  # it is being left
            return
        of_the_shell = driver.attrs_before
        driver.exit_event.set()
        driver._key_thread.join()
        driver.exit_event.clear()
        driver.close()
        driver.resume_application_mode()
        driver.attrs_before = of_the_shell
        app.refresh(layout=True)

    signal.signal(signal.SIGCONT, on_continue)
