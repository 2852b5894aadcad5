"""The unified library's rate limiter, with the time counted in which nothing was asked.

The library's own (ccxt 4.5.90) lets its bucket run only while somebody waits: what a question costs is still
owed after a quiet minute, and the next request pays for it in waiting. Behind a dear one, such as the open
orders of every symbol (40 on Binance, at 50 ms each), a cancel would stand for two seconds whenever it came.
"""

from __future__ import annotations

import time
from typing import Any

from ccxt.async_support.base.throttler import Throttler


class Pace(Throttler):  # type: ignore[misc]
    """As the library's; the bucket fills while nobody asks, too, up to its size. burst: its size, what
    may leave at once after a quiet time, in costs; None: the library's, which is one request."""

    def __init__(self, config: dict[str, Any], loop: Any = None, burst: float | None = None) -> None:
        super().__init__(config, loop)
        if burst is not None:
            self.config |= {"capacity": burst, "tokens": burst}
        self._quiet_since_s = time.monotonic()

    def __call__(self, cost: float | None = None) -> Any:
        """What is awaited until a request of this cost may leave."""
        if not self.running:
            self.config["tokens"], _ = self.left()
        return super().__call__(cost)

    def left(self) -> tuple[float, float]:
        """What may leave at once now, in costs, and the most that ever may; below 0: it is owed."""
        quiet_ms = 0.0 if self.running else 1e3 * (time.monotonic() - self._quiet_since_s)
        most = float(self.config["capacity"])
        return min(float(self.config["tokens"] + quiet_ms * self.config["refillRate"]), most), most

    async def looper(self) -> None:
        """As the library calls it while requests wait."""
        try:
            await super().looper()
        finally:
            self._quiet_since_s = time.monotonic()
