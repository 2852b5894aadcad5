"""Where the engine's time comes from: the wall, a tape, or whoever moves it. One port, so that one engine
does for live, paper, replay and simulation.

Two times are told. `now_ns` is UTC, for stamps, ages, funding and expiries; it never falls, and never stands
still, whatever the system's clock does. `monotonic_ns` is what timers run on; no step of the wall clock moves
it. On a tape and in a simulation there is no other clock than the one moved, so both are the same.

Where the system's clock is set back by an hour, or the journal was written under a clock that ran an hour
ahead, `now_ns` goes on at half the pace of the monotonic clock until the system's has caught up, in two
hours. Meanwhile it is ahead of the system's, so that quotes look older than they are and are refused rather
than used stale; and funding and expiries do not wait. A step forward is believed at once, for the same
reason: time that was missed makes what we know old. Whoever watches the clock (the watchdog) is told of
either by `stepped_ns`.
"""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

from pricing.daycount import NS_PER_SECOND


class Clock(Protocol):
    """Both times, nanoseconds."""

    def now_ns(self) -> int:
        """UTC, never falling and never standing still."""
        ...

    def monotonic_ns(self) -> int:
        """For timers."""
        ...


class SteadyUtc:
    """UTC from two clocks: one that steps, and one that only goes on.

    >>> utc = SteadyUtc()
    >>> utc.at(1000, 0), utc.at(400, 10), utc.at(410, 20), utc.at(2000, 30)
    (1000, 1005, 1010, 2000)
    """

    def __init__(self) -> None:
        self._last_ns = self._elapsed_ns = 0

    def at(self, wall_ns: int, elapsed_ns: int) -> int:
        """UTC, ns, where the system's clock says `wall_ns` and `elapsed_ns` is the monotonic one's."""
        passed_ns = max(elapsed_ns - self._elapsed_ns, 0) if self._last_ns else 0
        self._elapsed_ns = max(elapsed_ns, self._elapsed_ns)
        self._last_ns = max(self._last_ns + passed_ns // 2, wall_ns)
        return self._last_ns

    def not_before(self, last_ns: int, elapsed_ns: int) -> None:
        """Nothing told from now on is before this: it was written down already."""
        if last_ns > self._last_ns:
            self._last_ns, self._elapsed_ns = last_ns, elapsed_ns


class WallClock:
    """The machine's clocks; also lets a paper venue wait for them.

    stepped_ns: by how much the wall clock has run away from the monotonic one since the start, for whoever
    watches it.
    """

    def __init__(self) -> None:
        self._start_wall, self._start_monotonic = time.time_ns(), time.monotonic_ns()
        self._utc = SteadyUtc()

    def now_ns(self) -> int:
        """UTC, never falling; where the system's clock was set back, at half the pace until it catches up."""
        return self._utc.at(time.time_ns(), time.monotonic_ns())

    def not_before(self, last_ns: int) -> None:
        """Nothing told from now on is before this: a journal has it already."""
        self._utc.not_before(last_ns, time.monotonic_ns())

    def monotonic_ns(self) -> int:
        """Since an arbitrary moment."""
        return time.monotonic_ns()

    def ahead_ns(self) -> int:
        """How far `now_ns` is ahead of the system's clock: 0 unless that was set back."""
        return max(self.now_ns() - time.time_ns(), 0)

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

    def set(self, now_ns: int) -> None:
        """It is so late, whatever it was."""
        self._now_ns = now_ns
