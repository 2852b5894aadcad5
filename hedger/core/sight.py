"""What an execution sees at one moment."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from hedger.problem.snapshot import Snapshot
from pricing.market import Flag, Market
from pricing.universe import BoolArray, FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """The last snapshot, the rows as they stand (m,) with the fills since, the market at this moment, the
    sound listings (n,), the venues that take orders, and whether orders may be sent. width: (m,) what counts
    as one band of each row. combos: venues that take them. largest: of a listing by its
    place, the most that one order may be, order units."""

    now_ns: int
    snapshot: Snapshot
    value: FloatArray
    market: Market
    sound: BoolArray
    venues: Collection[str]
    sending: bool
    width: FloatArray
    largest: Callable[[int], Decimal]
    combos: Collection[str] = ()


def sound_listings(market: Market, age_s_max: float, bad: Collection[str]) -> BoolArray:
    """Listings that may be traded on at this moment, (n,): fresh, two-sided, uncrossed, of a good index."""
    universe = market.universe
    sound: BoolArray = np.asarray(market.flags(age_s_max) == Flag.OK)
    for name in bad:
        if name in universe.underlyings:
            sound = sound & ~universe.where_underlying(name)
    return sound
