"""When the price at which a contract was settled may have become known."""

from __future__ import annotations

_DAY_NS = 86_400 * 10**9
_EXPIRY_NS = 8 * 3600 * 10**9
_PRICED_NS = 2 * 3600 * 10**9


def told_from(since_ns: int) -> int:
    """From what stamp on a price may have become known since: its stamp is the expiry's, whenever it came."""
    return max(since_ns - _PRICED_NS, 0)


def delivered_between(since_ns: int, at_ns: int) -> bool:
    """Whether an expiry's price may have become known: expiries are at 08:00 UTC, prices within two hours.

    >>> hour = 3600 * 10**9
    >>> [delivered_between(h * hour, (h + 1) * hour) for h in (2, 7, 9, 11)]
    [False, True, True, False]
    """
    first = since_ns - _PRICED_NS - _EXPIRY_NS
    return (at_ns - _EXPIRY_NS) // _DAY_NS > (first - 1) // _DAY_NS
