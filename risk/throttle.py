"""Counters behind two controls: a bucket of credits per venue (C13), and hedges that did not help (C14).

Frozen values; time comes in as nanoseconds of the engine's monotonic clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pricing.daycount import NS_PER_SECOND


@dataclass(frozen=True, slots=True)
class TokenBucket:
    """Credits that come back at `rate` a second up to `burst`; tokens: those at `at_ns`.

    >>> bucket = TokenBucket.full(5.0, 20, 0).after(20, 0)
    >>> bucket.at(2_000_000_000).tokens
    10.0
    """

    rate: float
    burst: int
    tokens: float
    at_ns: int

    @classmethod
    def full(cls, rate: float, burst: int, now_ns: int) -> TokenBucket:
        """A bucket that nobody has used."""
        return cls(rate, burst, float(burst), now_ns)

    def at(self, now_ns: int) -> TokenBucket:
        """The bucket at a later time; a clock that went back gives nothing and takes nothing."""
        if now_ns <= self.at_ns:
            return self
        earned = (now_ns - self.at_ns) / NS_PER_SECOND * self.rate
        return replace(self, tokens=min(self.tokens + earned, float(self.burst)), at_ns=now_ns)

    def after(self, messages: int, now_ns: int) -> TokenBucket:
        """The bucket after so many messages, cancels too. It may go below zero: cancels always pass."""
        now = self.at(now_ns)
        return replace(now, tokens=now.tokens - messages)


@dataclass(frozen=True, slots=True)
class Hedge:
    """A hedge that ended: how far outside their bands its rows were before and after, any one measure."""

    at_ns: int
    outside_before: float
    outside_after: float


def fruitless(hedges: Sequence[Hedge], now_ns: int, window_s: float) -> int:
    """How many hedges within the window did not lower the risk; an unknown outcome did not."""
    first = now_ns - window_s * NS_PER_SECOND
    return sum(h.at_ns >= first and not h.outside_after < h.outside_before for h in hedges)
