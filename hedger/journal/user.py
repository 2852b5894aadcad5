"""Who runs this process: what a command, a start and the kill latch are kept with."""

from __future__ import annotations

import getpass
import os

#: Characters that a text of a command may have: longer ones are refused by the sender, and by the reader, who
#: knows no sender.
TEXT_MAX = 500
#: That its argument may have: a hedge carries the legs that were previewed.
ARGUMENT_MAX = 4000


def user_name() -> str:
    """As the operating system names him, fit for a command and for a screen."""
    try:
        return on_one_line(getpass.getuser())
    except (KeyError, OSError):  # a process without a name, as in some containers
        return f"uid {os.getuid()}"


def on_one_line(text: str) -> str:
    """A text that a command takes as it is: blanks for what does not print, and no longer than it may be.

    >>> on_one_line("stop\\x1b[31m\\nnow")
    'stop [31m now'
    """
    return "".join(c if c.isprintable() else " " for c in text)[:TEXT_MAX]
