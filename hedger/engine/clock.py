"""Where the engine's time comes from: the wall, a tape, or whoever moves it. One port, so that one engine
does for live, paper, replay and simulation.

Two times are told. `now_ns` is UTC, for stamps; it never falls, whatever the system's clock does.
`monotonic_ns` is what timers run on; no step of the wall clock moves it. On a tape and in a simulation
there is no other clock than the one moved, so both are the same.
"""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

from pricing.daycount import NS_PER_SECOND


class Clock(Protocol):
    """Both times, nanoseconds."""

    def now_ns(self) -> int:
        """UTC, never falling."""
        ...

    def monotonic_ns(self) -> int:
        """For timers."""
        ...


class WallClock:
    """The machine's clocks; also lets a paper venue wait for them.

    stepped_ns: by how much the wall clock has run away from the monotonic one since the start, for whoever
    watches it.
    """

    def __init__(self) -> None:
        self._start_wall, self._start_monotonic = time.time_ns(), time.monotonic_ns()
        self._last = self._start_wall

    def now_ns(self) -> int:
        """UTC, never falling: where the system's clock was set back, time stands until it has caught up."""
        self._last = max(self._last, time.time_ns())
        return self._last

    def monotonic_ns(self) -> int:
        """Since an arbitrary moment."""
        return time.monotonic_ns()

    def stepped_ns(self) -> int:
        """How far the system's clock was moved since the start, ns; drift of the crystal included."""
        wall, monotonic = time.time_ns() - self._start_wall, time.monotonic_ns() - self._start_monotonic
        return wall - monotonic

    async def sleep_until(self, at_ns: int) -> None:
        """Return when `now_ns` is so late, or later; looks again at least once a second, for steps."""
        while (left_ns := at_ns - self.now_ns()) > 0:
            await asyncio.sleep(min(left_ns / NS_PER_SECOND, 1.0))


class VirtualClock:
    """Time as somebody says it is: a tape's, or a simulation's.

    >>> clock = VirtualClock(5)
    >>> clock.move_to(9), clock.move_to(7)
    (9, 9)
    """

    def __init__(self, start_ns: int) -> None:
        self._now_ns = start_ns

    def now_ns(self) -> int:
        """What was last said."""
        return self._now_ns

    def monotonic_ns(self) -> int:
        """The same: there is no other clock."""
        return self._now_ns

    def move_to(self, to_ns: int) -> int:
        """It is now so late, unless it is later already; returns the time."""
        self._now_ns = max(to_ns, self._now_ns)
        return self._now_ns
