"""Flatten: every banded row to zero, with the cheapest trades that do it. A plan like any other.

What is brought to zero is risk, not positions: the rows that have a band, of one coin or of all, in whatever
listings do it at the least cost. Options that cancel each other may stay; buying them all back would pay
their spreads for nothing.

Zero means the nearest that whole lots come: a row lands within half of its step, the effect of the smallest
trade. The step is that of the finest spot, future or perpetual where such move the row (delta), else that of
the option that moves it most: any count of that one option alone lands the row. Rows that lots cannot bring
there together end as near as can be, in the order of the rows' priority, and the report names them.

While it works, and after, the market moves on: a row counts as flat while it is within `flatten_share` of its
band, so that it is not chased for ever. Landing is zero all the same: each plan aims there.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hedger.problem.hedge_universe import hedge_universe
from hedger.problem.snapshot import Snapshot
from hedger.settings import Settings
from pricing.universe import FloatArray
from risk.bands import Interval

#: Room for rounding in a sum of many positions, as a share of the step.
ROUNDING = 1e-6


def steps(snapshot: Snapshot, settings: Settings) -> FloatArray:
    """What the smallest trade does to each row, (m,); 0 where nothing that may be traded moves it."""
    exposure, universe = snapshot.exposure, snapshot.market.universe
    tradable, _ = hedge_universe(snapshot, settings)
    smallest = np.maximum(universe.lot, universe.minimum)[tradable]
    effect = np.abs(exposure.traded[:, tradable]) * smallest
    option = universe.is_option[tradable]
    linear = np.where((effect > 0) & ~option, effect, np.inf).min(axis=1, initial=np.inf)
    options = np.where(option, effect, 0.0).max(axis=1, initial=0.0)
    found: FloatArray = np.where(np.isfinite(linear), linear, options)
    return found


def flat_bands(snapshot: Snapshot, settings: Settings, scope: str) -> Mapping[str, tuple[Interval, Interval]]:
    """(trigger, landing) about zero for every banded row, of one underlying or of all."""
    bands, rows = snapshot.bands, snapshot.exposure.rows
    step, share = steps(snapshot, settings), settings.execution.flatten_share
    found = {}
    for i in np.flatnonzero(bands.banded).tolist():
        row = rows[i]
        if row.startswith("pnl") or (scope and row.split(":")[1] != scope):
            continue
        edges = (bands.trigger_lower[i], bands.trigger_upper[i])
        half = max(abs(x - bands.target[i]) for x in edges if np.isfinite(x))
        landing = 0.5 * float(step[i]) * (1.0 + ROUNDING)
        trigger = max(2.0 * landing, share * half)
        found[row] = ((-trigger, trigger), (-landing, landing))
    return found


def left_over(snapshot: Snapshot, value: FloatArray, scope: str) -> tuple[tuple[str, float], ...]:
    """The rows asked for that are not flat, and where they stand; snapshot: with `flat_bands` in force."""
    bands, rows = snapshot.bands, snapshot.exposure.rows
    out = ~((value >= bands.trigger_lower) & (value <= bands.trigger_upper)) & bands.banded
    return tuple(
        (rows[i], float(value[i]))
        for i in np.flatnonzero(out).tolist()
        if not rows[i].startswith("pnl") and (not scope or rows[i].split(":")[1] == scope)
    )
