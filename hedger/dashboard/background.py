"""What takes longer than a frame may, in a thread of its own: one at a time, and the last result stays."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


def _nobody(found: object) -> None:
    pass


class Background(Generic[T]):
    """found: what was made last, None before the first. number: how many were made, so that whoever shows one
    knows of the next."""

    def __init__(self, name: str) -> None:
        self.found: T | None = None
        self.number = 0
        self._name = name
        self._thread: threading.Thread | None = None

    @property
    def busy(self) -> bool:
        """Whether something is being made: nothing else is begun meanwhile."""
        return self._thread is not None and self._thread.is_alive()

    def begin(
        self, make: Callable[[], T], failed: Callable[[str], T], told: Callable[[T], object] = _nobody
    ) -> None:
        """Make it, unless something is being made. failed: what stands for one that could not be, and why.
        told: is given what was made, in the thread; it waits for nobody."""
        if not self.busy:
            # no daemon: at the end of the process a solver that is cut off takes it down with a fault
            self._thread = threading.Thread(target=self._make, args=(make, failed, told), name=self._name)
            self._thread.start()

    def wait(self, seconds: float) -> None:
        """Until nothing is being made, at most so long."""
        if self._thread is not None:
            self._thread.join(seconds)

    def _make(self, make: Callable[[], T], failed: Callable[[str], T], told: Callable[[T], object]) -> None:
        try:
            found = make()
        except Exception as error:  # of a thread nobody sees it otherwise: the panel says it
            found = failed(f"{type(error).__name__}: {error}")
        self.found = found
        self.number += 1
        told(found)
