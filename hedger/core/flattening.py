"""Flatten: every banded row to zero, with the cheapest trades that do it. A plan like any other.

What is brought to zero is risk, not positions: the rows that have a band, of one coin or of all, in whatever
listings do it at the least cost. Options that cancel each other may stay; buying them all back would pay
their spreads for nothing.

Zero means the nearest that whole lots come: a row lands within half of its step, the effect of the smallest
trade. The step is that of the finest spot, future or perpetual where such move the row (delta), else that of
the option that moves it most: any count of that one option alone lands the row. Rows that lots cannot bring
there together end as near as can be, in the order of the rows' priority, and the report names them.

A plan is worked to its end before another is made, and what follows its last fill is delta alone, by one
linear instrument of each coin: chasing every row with options while they are being filled pays their spreads
again and again. Delta's landing is at least what the index is expected to move it in `flatten_drift_s`.

While it works, and after, the market moves on: a row counts as flat while it is within `flatten_share` of its
band, so that it is not chased for ever. Landing is zero all the same: each plan aims there.

Where every linear instrument that would bring a coin's delta in was refused and is set aside, a flatten waits
for the first of them, `WAITS_S` at most for each coin: options in its place cost more than delta is expected
to lose meanwhile, and their book remains. The other coins are brought to zero meanwhile.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np

from hedger.policy.triggering import moment_of
from hedger.problem.allowed import allowed_sides
from hedger.problem.band_room import trade_effects
from hedger.problem.hedge_universe import hedge_universe
from hedger.problem.snapshot import Snapshot
from hedger.settings import Settings
from pricing.contracts import Kind
from pricing.daycount import SECONDS_PER_YEAR
from pricing.universe import FloatArray, Universe
from risk.bands import Interval

#: So long a flatten waits for what could bring a coin in without options, in all, seconds.
WAITS_S = 90.0
_RANK = {Kind.PERPETUAL: 0, Kind.FUTURE: 1, Kind.SPOT: 2}
#: Room for rounding in a sum of many positions, as a share of the step.
ROUNDING = 1e-6


def steps(snapshot: Snapshot, settings: Settings) -> FloatArray:
    """What the smallest trade does to each row, (m,); 0 where nothing that may be traded moves it."""
    effect, option, _ = trade_effects(snapshot, settings)
    linear = np.where((effect > 0) & ~option, effect, np.inf).min(axis=1, initial=np.inf)
    options = np.where(option, effect, 0.0).max(axis=1, initial=0.0)
    found: FloatArray = np.where(np.isfinite(linear), linear, options)
    return found


def flat_bands(snapshot: Snapshot, settings: Settings, scope: str) -> Mapping[str, tuple[Interval, Interval]]:
    """(trigger, landing) about zero for every banded row, of one underlying or of all."""
    bands, rows = snapshot.bands, snapshot.exposure.rows
    step, share = steps(snapshot, settings), settings.execution.flatten_share
    drift = _drift(snapshot, settings.execution.flatten_drift_s)
    found = {}
    for i in np.flatnonzero(bands.banded).tolist():
        row = rows[i]
        if row.startswith("pnl") or (scope and row.split(":")[1] != scope):
            continue
        edges = (bands.trigger_lower[i], bands.trigger_upper[i])
        half = max(abs(x - bands.target[i]) for x in edges if np.isfinite(x))
        landing = max(0.5 * float(step[i]) * (1.0 + ROUNDING), drift.get(row, 0.0))
        trigger = max(2.0 * landing, share * half)
        found[row] = ((-trigger, trigger), (-landing, landing))
    return found


def _drift(snapshot: Snapshot, seconds: float) -> dict[str, float]:
    """The standard deviation of each delta row over so many seconds, from its slope and the vol at the money;
    nothing where there are no options to tell a vol."""
    root = math.sqrt(seconds / SECONDS_PER_YEAR)
    found = {
        f"delta:{u.name}": abs(u.delta_slope) * u.spot * u.vol * root for u in moment_of(snapshot).underlyings
    }
    return {row: x for row, x in found.items() if math.isfinite(x)}


def last_mile(snapshot: Snapshot, settings: Settings) -> Settings:
    """The settings with one linear instrument alone for each coin: a perpetual before a future before spot,
    of equals the one with the tightest quote. What is traded under the same name elsewhere stays allowed."""
    market, universe = snapshot.market, snapshot.market.universe
    tradable, _ = hedge_universe(snapshot, settings)
    buy, sell = allowed_sides(universe, settings)
    both = buy & sell
    both[[row for row, _ in snapshot.barred]] = False
    best: dict[str, tuple[int, float, str]] = {}
    for at in tradable[~universe.is_option[tradable] & both[tradable]].tolist():
        listing = universe.listings[at]
        spread = float((market.ask[at] - market.bid[at]) / market.ask[at])
        found = (_RANK[listing.contract.kind], spread, listing.symbol)
        name = listing.contract.underlying
        best[name] = min(best.get(name, found), found)
    kept = {symbol for _, _, symbol in best.values()}
    others = tuple(
        sorted(
            {
                x.symbol
                for x in universe.listings
                if x.contract.kind is not Kind.OPTION
                and x.contract.underlying in best
                and x.symbol not in kept
            }
        )
    )
    chosen = settings.universe
    denied = {}
    for side in ("deny_buy", "deny_sell"):
        old = getattr(chosen, side)
        kinds, symbols = dict.fromkeys((*old.kinds, "option")), dict.fromkeys((*old.symbols, *others))
        denied[side] = old.model_copy(update={"kinds": tuple(kinds), "symbols": tuple(symbols)})
    return settings.model_copy(update={"universe": chosen.model_copy(update=denied)})


def linear_aside(
    snapshot: Snapshot, settings: Settings, aside: Collection[tuple[int, int]], scope: str
) -> tuple[tuple[int, int], ...]:
    """Of the sides of listings (place, sign) that are set aside, those without which no linear instrument
    brings the delta of one underlying, or of each, to its landing."""
    universe, exposure, bands = snapshot.market.universe, snapshot.exposure, snapshot.bands
    barred = {side: why for side, why in snapshot.barred.items() if side not in aside}
    tradable, _ = hedge_universe(replace(snapshot, barred=barred), settings)
    buy, sell = allowed_sides(universe, settings)
    moving: dict[int, list[tuple[int, int]]] = {}
    for at in tradable[~universe.is_option[tradable]].tolist():
        contract = universe.listings[at].contract
        row = f"delta:{contract.underlying}"
        if row not in exposure.rows or scope not in ("", contract.underlying):
            continue
        i = exposure.rows.index(row)
        value, effect = float(exposure.value[i]), float(exposure.traded[i, at])
        sign = -1 if value * effect > 0 else 1
        allowed = (buy if sign > 0 else sell)[at] and (at, sign) not in barred
        if effect and allowed and not bands.landing_lower[i] <= value <= bands.landing_upper[i]:
            moving.setdefault(i, []).append((at, sign))
    found = list[tuple[int, int]]()
    for sides in moving.values():
        found += sides if all(side in aside for side in sides) else []
    return tuple(sorted(found))


def without(settings: Settings, universe: Universe, coins: Collection[str]) -> Settings:
    """The settings with nothing on some coins traded."""
    theirs = sorted({x.symbol for x in universe.listings if x.contract.underlying in coins})
    chosen, denied = settings.universe, {}
    for side in ("deny_buy", "deny_sell"):
        old = getattr(chosen, side)
        denied[side] = old.model_copy(update={"symbols": tuple(dict.fromkeys((*old.symbols, *theirs)))})
    return settings.model_copy(update={"universe": chosen.model_copy(update=denied)})


def left_over(snapshot: Snapshot, value: FloatArray, scope: str) -> tuple[tuple[str, float], ...]:
    """The rows asked for that are not flat, and where they stand; snapshot: with `flat_bands` in force."""
    bands, rows = snapshot.bands, snapshot.exposure.rows
    out = ~((value >= bands.trigger_lower) & (value <= bands.trigger_upper)) & bands.banded
    return tuple(
        (rows[i], float(value[i]))
        for i in np.flatnonzero(out).tolist()
        if not rows[i].startswith("pnl") and (not scope or rows[i].split(":")[1] == scope)
    )
