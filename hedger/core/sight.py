"""What an execution sees at one moment: the book with the fills since its last mark, and the market now."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial

import numpy as np

from hedger.core.aside import largest_fit
from hedger.core.legs import widths
from hedger.core.relisted import untradable
from hedger.core.stranded import stranded_shift
from hedger.core.turn import Turn
from hedger.problem.snapshot import Snapshot
from pricing.market import Flag, Market
from pricing.universe import BoolArray, FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """The last snapshot, the rows as they stand (m,) with the fills since, the market at this moment, the
    sound listings (n,), the venues that take orders, and whether orders may be sent. width: (m,) what counts
    as one band of each row. combos: venues that take them. largest: of a listing by its place, the most that
    one order may be, order units. untradable: listings on which nothing may be traded now, and why."""

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
    untradable: Mapping[tuple[str, str], str] = field(default_factory=dict)


def sight_of(turn: Turn) -> Sight | None:
    """What an execution sees now; None while the book is not valued."""
    state, desk = turn.state, turn.settings.desk
    snapshot, value = state.snapshot, state.value
    if snapshot is None or value is None:
        return None
    shift = stranded_shift(turn, snapshot, value)
    value = value if shift is None else value + shift
    market = replace(state.market, now_ns=turn.event.now_ns)
    bad = {reading.underlying for reading in snapshot.bad_indexes}
    return Sight(
        now_ns=turn.now,
        snapshot=snapshot,
        value=value,
        market=market,
        sound=sound_listings(market, desk.traded_age_s_max(), bad),
        venues=frozenset(name for name, v in state.venues.items() if v.takes_orders),
        sending=state.acting.sends and not state.paused,
        width=widths(snapshot.bands) if state.width is None else state.width,
        combos=turn.settings.combos,
        largest=partial(_largest, turn, snapshot),
        untradable=dict(untradable(state)),
    )


def _largest(turn: Turn, snapshot: Snapshot, row: int) -> Decimal:
    """The most that one order may be: as the limits let out, and as its venue has not refused of late."""
    longest_s = turn.settings.desk.execution.aside_s_max
    most = turn.settings.largest(snapshot, row)
    fits = largest_fit(turn.state, turn.now, snapshot.market.universe.listings[row].key, longest_s)
    return most if fits is None else min(most, fits)


def sound_listings(market: Market, age_s_max: float, bad: Collection[str]) -> BoolArray:
    """Listings that may be traded on at this moment, (n,): fresh, two-sided, uncrossed, of a good index."""
    universe = market.universe
    sound: BoolArray = np.asarray(market.flags(age_s_max) == Flag.OK)
    for name in bad:
        if name in universe.underlyings:
            sound = sound & ~universe.where_underlying(name)
    return sound
