"""Which channels have fallen silent: joined, acknowledged, and nothing comes any more.

A venue that pushes at intervals, or with every change of something that never rests, is silent only where
something is broken, mostly at its own end. Such a channel is joined again. Where that does not help, the next
try waits twice as long, so that a channel that stays silent costs little.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pricing.daycount import NS_PER_SECOND

#: Of a channel that stays silent: its limit is doubled so often at most.
_DOUBLINGS_MOST = 6
#: Names in one sentence.
_NAMED = 5


@dataclass(slots=True)
class _Patience:
    begun_ns: int
    tries: int = 0


@dataclass(slots=True)
class Silence:
    """Of the channels of one venue, by our clock."""

    _channels: dict[str, _Patience] = field(default_factory=dict)

    def begun(self, key: str, now_ns: int) -> None:
        """A channel is joined, or joined again."""
        self._channels.setdefault(key, _Patience(now_ns)).begun_ns = now_ns

    def forget(self, key: str) -> None:
        """A channel was left for good."""
        self._channels.pop(key, None)

    def overdue(self, key: str, heard_ns: int, now_ns: int, most_s: float) -> bool:
        """Whether a channel has been silent for too long; each time that it is, the next time is later.

        heard_ns: when it was last heard; most_s: the limit. Of a channel that never began: no.
        """
        known = self._channels.get(key)
        if known is None:
            return False
        if heard_ns > known.begun_ns:
            known.tries = 0
        limit_s = most_s * 2.0 ** min(known.tries, _DOUBLINGS_MOST)
        if now_ns - max(heard_ns, known.begun_ns) <= limit_s * NS_PER_SECOND:
            return False
        known.tries += 1
        known.begun_ns = now_ns
        return True


def silent_words(keys: list[str]) -> str:
    """What people are told of channels that have fallen silent.

    >>> silent_words(["tickers.BTCUSDT"])
    'nothing comes by tickers.BTCUSDT; joined again'
    """
    more = f" and {len(keys) - _NAMED} others" if len(keys) > _NAMED else ""
    return f"nothing comes by {', '.join(keys[:_NAMED])}{more}; joined again"
