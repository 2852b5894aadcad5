"""Which executions are booked already: each is booked once, by (venue, trade id), however often it is told.

Ids are kept by the settlement day of the engine's clock on which they were booked, and forgotten as whole
days when they are older than the window. An execution that the venue stamps before the window is not booked
at all, since nobody could say whether it was: it is told to a person, and the account report shows the
difference. The window is longer than the longest time for which trades are asked, so that within it nothing
is forgotten.

Within a day the ids lie in sets of doubling size, which are shared by all later values: a copy costs nothing,
adding one costs the logarithm of the day's trades on average.
"""

from __future__ import annotations

from dataclasses import dataclass

from pricing.daycount import NS_PER_DAY, NS_PER_SECOND

TradeKey = tuple[str, str]
#: The settlement day begins at 08:00 UTC.
SETTLEMENT_NS = 8 * 3600 * NS_PER_SECOND


def settlement_day(time_ns: int) -> int:
    """The number of the settlement day.

    >>> settlement_day(SETTLEMENT_NS) - settlement_day(SETTLEMENT_NS - 1)
    1
    """
    return (time_ns - SETTLEMENT_NS) // NS_PER_DAY


@dataclass(frozen=True, slots=True)
class TradesSeen:
    """Keys of the executions booked, by settlement day; window_days: how many days before today are kept."""

    window_days: int = 3
    days: tuple[tuple[int, tuple[frozenset[TradeKey], ...]], ...] = ()

    def __contains__(self, key: TradeKey) -> bool:
        return any(key in part for _, parts in self.days for part in parts)

    def __len__(self) -> int:
        return sum(len(part) for _, parts in self.days for part in parts)

    def too_old(self, time_ns: int, now_ns: int) -> bool:
        """Whether a trade of that time may have been forgotten; one without a stamp counts as of now."""
        return time_ns > 0 and settlement_day(time_ns) < settlement_day(now_ns) - self.window_days

    def add(self, key: TradeKey, now_ns: int) -> TradesSeen:
        """With one more, booked now; days before the window fall away.

        >>> seen = TradesSeen().add(("deribit", "1"), 0).add(("deribit", "2"), 0)
        >>> len(seen), ("deribit", "1") in seen, ("okx", "1") in seen
        (2, True, False)
        """
        today = settlement_day(now_ns)
        # One day more than a trade may be old: its stamp and our clock may lie on two sides of 08:00.
        kept = {day: parts for day, parts in self.days if day >= today - self.window_days - 1}
        parts, new = list(kept.get(today, ())), frozenset({key})
        while parts and len(parts[-1]) <= len(new):
            new |= parts.pop()
        kept[today] = (*parts, new)
        return TradesSeen(self.window_days, tuple(sorted(kept.items())))
