"""Which contract to hedge with, where costs are alike: a preferred one wins within so many basis points.

The others of its class (options, or everything else) pay that much more in the objective, on the same
underlying and side. Nothing becomes cheaper than it is, so nothing is traded for the sake of the preference;
reported costs and the bound are those of the problem without it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hedger.problem.allowed import of_kind_or_symbol, of_venues
from hedger.problem.column_caps import units_of
from hedger.problem.snapshot import Snapshot
from hedger.sections.limits import Preference
from hedger.settings import Settings
from hedger.solver.hedge_problem import HedgeProblem, Ladder
from pricing.universe import BoolArray, FloatArray, IntArray


def prefers(settings: Settings) -> bool:
    """Whether the desk prefers anything."""
    chosen = settings.universe
    return any(not p.empty and p.bps > 0 for p in (chosen.prefer_buy, chosen.prefer_sell))


def preferred(
    problem: HedgeProblem, snapshot: Snapshot, settings: Settings, tradable: IntArray
) -> HedgeProblem:
    """The problem with what is not preferred dearer."""
    universe, chosen = snapshot.market.universe, settings.universe
    usd = units_of(snapshot)[1][tradable]
    extra = []
    for preference, most, sizes in (
        (chosen.prefer_buy, problem.max_buy, [x.buy_size for x in problem.ladders]),
        (chosen.prefer_sell, problem.max_sell, [x.sell_size for x in problem.ladders]),
    ):
        can = (most > 0) & np.array([size.sum() > 0 for size in sizes], dtype=np.bool_)
        named = (of_kind_or_symbol(universe, preference) | of_venues(universe, preference.venues))[tradable]
        extra.append(_dearer(snapshot, preference, tradable, named, can, usd))
    ladders = [
        Ladder(x.buy_size, x.buy_cost + buy, x.sell_size, x.sell_cost + sell)
        for x, buy, sell in zip(problem.ladders, *extra, strict=True)
    ]
    return replace(problem, ladders=ladders)


def _dearer(
    snapshot: Snapshot,
    preference: Preference,
    tradable: IntArray,
    named: BoolArray,
    can: BoolArray,
    usd: FloatArray,
) -> FloatArray:
    """USD per unit that each column pays more on one side, (n,)."""
    universe = snapshot.market.universe
    extra = np.zeros(len(tradable))
    for u in range(len(universe.underlyings)):
        for option in (True, False):
            group = (universe.underlying[tradable] == u) & (universe.is_option[tradable] == option)
            if (group & named & can).any():
                extra[group & ~named] = preference.bps * 1e-4 * usd[group & ~named]
    return extra
