"""Plans the hedge that the what-if panel shows, in a thread of its own: frames and keys never wait for it.

One is planned at a time, when the panel asks for it, and anew only once book or market are materially others.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from hedger.desk.look import Look
from hedger.desk.planned_hedge import Basis, Planned, planned


class Planner:
    """number: how many were planned, so that whoever shows one knows of the next."""

    def __init__(self) -> None:
        self.number = 0
        self._found: Planned | None = None
        self._thread: threading.Thread | None = None

    def hedge(self, basis: Basis, look: Callable[[], Look | None]) -> Planned | None:
        """The last hedge of the book of a basis, and the next one begun where its market has moved; None
        while the first is being planned. look: at the book and market of the basis."""
        found = self._found if self._found is not None and self._found.basis.same(basis) else None
        if found is None or not found.basis.near(basis):
            self._begin(basis, look)
        return found

    def _begin(self, basis: Basis, look: Callable[[], Look | None]) -> None:
        if self._thread is not None and self._thread.is_alive():
            return
        what = look()
        if what is not None:
            # no daemon: at the end of the process a solver that is cut off takes it down with a fault
            self._thread = threading.Thread(target=self._plan, args=(what, basis), name="hedge")
            self._thread.start()

    def wait(self, seconds: float) -> None:
        """Until nothing is being planned, at most so long."""
        if self._thread is not None:
            self._thread.join(seconds)

    def _plan(self, look: Look, basis: Basis) -> None:
        try:
            found = planned(look, basis)
        except Exception as error:  # of a thread nobody sees it otherwise: the panel says it
            found = Planned(basis, None, f"{type(error).__name__}: {error}")
        self._found = found
        self.number += 1
