"""How much of each listing a plan may buy and sell: side lists, what is barred now, largest order, largest
position, reduce-only.

A cap is the end of a column's ladder, so that it costs the solver nothing. Each knows what it comes from.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from hedger.problem.allowed import allowed_by, of_symbols, of_venues
from hedger.problem.snapshot import Snapshot
from hedger.sections.limits import InstrumentLimit, UniverseConfig
from hedger.settings import Settings
from pricing.contracts import Kind
from pricing.universe import BoolArray, FloatArray, Universe
from risk.costs import coins_per_unit

NO_CAP = ""


@dataclass(frozen=True, slots=True, eq=False)
class ColumnCaps:
    """Largest buy and sell of every listing, (n,) order units, inf where nothing limits it; and why."""

    buy: FloatArray
    sell: FloatArray
    buy_why: tuple[str, ...]
    sell_why: tuple[str, ...]


def column_caps(snapshot: Snapshot, settings: Settings) -> ColumnCaps:
    """The tightest cap of each listing and side.

    A position beyond its largest may shrink, not grow. Reduce-only: never through zero.
    """
    universe = snapshot.market.universe
    denied = _denied(universe, settings.universe)
    if not settings.limits.instruments and not snapshot.barred:
        return denied
    caps, held = _Caps(denied), snapshot.quantities
    for (row, sign), why in snapshot.barred.items():
        caps.bar(sign, row, why)
    if not settings.limits.instruments:
        return caps.done()
    coins, usd = units_of(snapshot)
    for number, limit in enumerate(settings.limits.instruments):
        mine = _matches(universe, limit)
        key = f"limits.instruments.{number}"
        for per_unit, name in ((coins, "coin"), (usd, "usd")):
            order = getattr(limit, f"order_{name}_max")
            if order is not None:
                most = order / per_unit
                for sign in (+1, -1):
                    caps.lower(sign, mine, most, f"{key}.order_{name}_max {order:g}")
            position = getattr(limit, f"position_{name}_max")
            if position is not None:
                most = position / per_unit
                why = f"{key}.position_{name}_max {position:g}"
                caps.lower(+1, mine, np.maximum(most - held, 0.0), why)
                caps.lower(-1, mine, np.maximum(most + held, 0.0), why)
        if limit.reduce_only:
            caps.lower(+1, mine, np.maximum(-held, 0.0), f"{key}.reduce_only")
            caps.lower(-1, mine, np.maximum(held, 0.0), f"{key}.reduce_only")
    return caps.done()


@lru_cache(maxsize=8)
def _denied(universe: Universe, chosen: UniverseConfig) -> ColumnCaps:
    """The caps of the side lists alone; read-only, reckoned once for a universe and its lists."""
    most, whys = [], []
    for may, side in zip(allowed_by(universe, chosen), ("buy", "sell"), strict=True):
        cap = np.where(may, np.inf, 0.0)
        cap.flags.writeable = False
        most.append(cap)
        whys.append(tuple(NO_CAP if yes else f"denied or not allowed to {side}" for yes in may.tolist()))
    return ColumnCaps(most[0], most[1], whys[0], whys[1])


def units_of(snapshot: Snapshot) -> tuple[FloatArray, FloatArray]:
    """Coins, and USD at the index, in one order unit of each listing, (n,), (n,).

    Where the forward of an inverse contract is unknown the index stands in.
    """
    spot = snapshot.valuation.spot_of_listing()
    coins = coins_per_unit(snapshot.valuation)
    coins = np.where(np.isfinite(coins), coins, snapshot.market.universe.size / spot)
    return coins, coins * spot


class _Caps:
    """Caps being tightened, by sign of the trade."""

    def __init__(self, start: ColumnCaps) -> None:
        self.most = {+1: start.buy.copy(), -1: start.sell.copy()}
        self.why = {+1: list(start.buy_why), -1: list(start.sell_why)}

    def lower(self, sign: int, mine: BoolArray, most: FloatArray, why: str) -> None:
        """Cap some listings; an unknown number caps at nothing."""
        most = np.where(np.isnan(most), 0.0, most)
        tighter = mine & (most < self.most[sign])
        self.most[sign][tighter] = most[tighter]
        for i in np.flatnonzero(tighter).tolist():
            self.why[sign][i] = why

    def bar(self, sign: int, row: int, why: str) -> None:
        """Let nothing of one listing trade on one side."""
        if self.most[sign][row] > 0.0:
            self.most[sign][row], self.why[sign][row] = 0.0, why

    def done(self) -> ColumnCaps:
        """As they stand now."""
        return ColumnCaps(self.most[+1], self.most[-1], tuple(self.why[+1]), tuple(self.why[-1]))


def _matches(universe: Universe, limit: InstrumentLimit) -> BoolArray:
    """Listings that every list given matches, (n,)."""
    mask = np.ones(len(universe), dtype=np.bool_)
    if limit.kinds:
        mask &= np.isin(universe.kind, [Kind[name.upper()] for name in limit.kinds])
    if limit.symbols:
        mask &= of_symbols(universe, limit.symbols)
    if limit.venues:
        mask &= of_venues(universe, limit.venues)
    if limit.underlyings:
        named = [u for u, name in enumerate(universe.underlyings) if name in limit.underlyings]
        mask &= np.isin(universe.underlying, named)
    return mask
