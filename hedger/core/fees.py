"""Fees of the day, some of them in coins that have no price yet.

A start hears of executions that it missed before the first mark has come. Their fees are owed in coins, and
what the day has cost is not known: no budget lets an order out. They wait here, by currency, and count at the
price of the first mark that has one; without that the day would stay closed until midnight.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from hedger.core.state import Counters


def with_fee(counters: Counters, currency: str, fee: Decimal, worth: float) -> Counters:
    """The day's counters with another fee. worth: USD of one of its currency; NaN: not known yet, and then
    what fees came to is not known either, until `price_fees` is told it."""
    if not fee:
        return counters
    if math.isfinite(worth) and not counters.unpriced:
        return replace(counters, fees_usd=counters.fees_usd + float(fee) * worth)
    priced_usd = counters.priced_usd if counters.unpriced else counters.fees_usd
    owed = dict(counters.unpriced)
    if math.isfinite(worth):
        priced_usd += float(fee) * worth
    else:
        owed[currency] = owed.get(currency, Decimal(0)) + fee
    unpriced = tuple(sorted(owed.items()))
    return replace(counters, fees_usd=math.nan, priced_usd=priced_usd, unpriced=unpriced)


def price_fees(counters: Counters, spot: Mapping[str, float]) -> Counters:
    """The day's counters with the fees whose currency has a price by now, USD, at that price."""
    if not counters.unpriced:
        return counters
    worth = {currency: spot.get(currency, math.nan) for currency, _ in counters.unpriced}
    known = [(x, fee) for x, fee in counters.unpriced if math.isfinite(worth[x])]
    left = tuple((x, fee) for x, fee in counters.unpriced if not math.isfinite(worth[x]))
    priced_usd = counters.priced_usd + sum(float(fee) * worth[x] for x, fee in known)
    if left:
        return replace(counters, priced_usd=priced_usd, unpriced=left)
    return replace(counters, fees_usd=priced_usd, priced_usd=0.0, unpriced=())
