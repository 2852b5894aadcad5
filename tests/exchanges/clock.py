"""The exchange's own clock: the wall's, or one that only moves when told; skewed at will."""

from __future__ import annotations

import time

NS = 1_000_000_000
MS = 1_000_000


class Clock:
    """Nanoseconds since the epoch, never backwards but by a skew.

    start_ns None: the wall clock. Otherwise it begins there and runs with the machine (`running`) or stands
    until `advance`.
    """

    def __init__(self, start_ns: int | None = None, *, running: bool = True) -> None:
        self._base = time.time_ns() if start_ns is None else start_ns
        self._running = running or start_ns is None
        self._started = time.monotonic_ns()
        self._offset = 0
        self.skew_ns = 0

    def now_ns(self) -> int:
        """What the exchange holds the time to be."""
        ran = time.monotonic_ns() - self._started if self._running else 0
        return self._base + ran + self._offset + self.skew_ns

    def steady_ns(self) -> int:
        """What its timers run on: no skew moves it."""
        return self.now_ns() - self.skew_ns

    def now_ms(self) -> int:
        """The same in milliseconds."""
        return self.now_ns() // MS

    def advance(self, seconds: float) -> None:
        """Let time pass at once."""
        self._offset += int(seconds * NS)
