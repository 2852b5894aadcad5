"""From a snapshot to the question "is a hedge due?", and from its answer to what a plan must do.

`moment_of` picks from the snapshot what triggers look at. `required_intervals` turns the rows that are called
into the interval each row must end in. `weigh` prices plans with and without the rows whose hedge must pay
for itself, and leaves out those that do not: they are sticky.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from hedger.moment import (
    Decision,
    InPlay,
    Memory,
    Moment,
    Sticky,
    UnderlyingMoment,
    Verdict,
)
from hedger.policy.benefit import RiskFactors, Worth, risk_cost_usd
from hedger.policy.policy import due
from hedger.problem.snapshot import Snapshot
from hedger.sections.policy import PolicyConfig, RiskConfig
from pricing.contracts import Kind
from pricing.daycount import HOURS_PER_YEAR
from pricing.universe import BoolArray, FloatArray, IntArray, Universe
from pricing.valuation import MarkStatus, Numeraire, Valuation
from risk.band_schedule import NO_HISTORY, PriceHistory

#: The vol of the coming hours is read from the nearest expiry with at least this much left to live.
VOL_DAYS_MIN = 2.0


def moment_of(
    snapshot: Snapshot, history: Mapping[str, PriceHistory] = NO_HISTORY, in_play: bool = True
) -> Moment:
    """What the triggers look at; underlyings whose index is bad are left out, nothing is decided on them.

    in_play: with the positions that expire, which triggers on expiries alone look at."""
    bad = {reading.underlying for reading in snapshot.bad_indexes}
    names = [name for name in snapshot.underlyings if name not in bad]
    moments = tuple(_underlying(snapshot, name, history.get(name), in_play) for name in names)
    return Moment(snapshot.market.now_ns, moments)


def _underlying(
    snapshot: Snapshot, name: str, history: PriceHistory | None, in_play: bool
) -> UnderlyingMoment:
    exposure, bands = snapshot.exposure, snapshot.bands
    picked = np.flatnonzero(bands.banded & _rows_of(snapshot, name))
    mine = snapshot.market.universe.where_underlying(name)
    age = snapshot.market.age_s[(snapshot.quantities != 0) & mine]
    known = age[np.isfinite(age)]
    return UnderlyingMoment(
        name=name,
        spot=snapshot.spot[name],
        vol=near_vol(snapshot.valuation, name),
        rows=tuple(exposure.rows[i] for i in picked),
        value=exposure.value[picked],
        target=bands.target[picked],
        trigger_lower=bands.trigger_lower[picked],
        trigger_upper=bands.trigger_upper[picked],
        landing_lower=bands.landing_lower[picked],
        landing_upper=bands.landing_upper[picked],
        delta_slope=_delta_slope(snapshot, name),
        mark_age_s=float(known.max()) if known.size else math.nan,
        in_play=_in_play(snapshot, mine) if in_play else (),
        history=history,
    )


def _rows_of(snapshot: Snapshot, name: str) -> BoolArray:
    return np.array([row.split(":")[1] == name for row in snapshot.exposure.rows], dtype=np.bool_)


def _delta_slope(snapshot: Snapshot, name: str) -> float:
    """Change of the delta row per 1 USD of spot, forwards moving in proportion.

    USD numeraire: gamma F/S of coin-settled options, gamma (F/S)^2 of those settled in dollars. Coin
    numeraire, whose delta D counts relative moves: dD/dlnS / S, where dD/dlnS is D + gamma for options (gamma
    F/S where settled in dollars) and inverse futures, and -D for dollars and linear futures.
    """
    exposure, universe, valuation = snapshot.exposure, snapshot.market.universe, snapshot.valuation
    held = (snapshot.quantities != 0) & (valuation.status == MarkStatus.OK) & universe.where_underlying(name)
    at = np.flatnonzero(held)
    q, spot = snapshot.quantities[at], snapshot.spot[name]
    basis = np.where(universe.is_option[at], valuation.forward[at] / spot, 1.0)
    in_dollars = ~universe.inverse[at]
    if snapshot.numeraire is Numeraire.USD:
        return float(q @ (valuation.usd.gamma[at] * np.where(in_dollars, basis**2, basis)))
    delta = exposure.rows.index(f"delta:{name}")
    curvature = float(q @ (valuation.coin.gamma[at] * np.where(in_dollars, basis, 1.0)))
    runs = (universe.kind[at] == Kind.PERPETUAL) | (universe.kind[at] == Kind.FUTURE)
    linear = at[runs & in_dollars]
    dollars = float(exposure.cash[delta] + exposure.owned[delta, linear] @ snapshot.quantities[linear])
    return (float(exposure.value[delta]) + curvature - 2.0 * dollars) / spot


def _in_play(snapshot: Snapshot, mine: BoolArray) -> tuple[InPlay, ...]:
    """The positions that expire, soonest first."""
    universe, valuation = snapshot.market.universe, snapshot.valuation
    held = np.flatnonzero((snapshot.quantities != 0) & mine & (universe.expiry_ns > 0))
    hours = valuation.years[held] * HOURS_PER_YEAR
    order = np.lexsort((_symbol_rank(universe)[held], hours))
    held = held[order]
    listings = universe.listings
    columns = (
        [listings[i].symbol for i in held.tolist()],
        hours[order].tolist(),
        universe.strike[held].tolist(),
        valuation.forward[held].tolist(),
        valuation.in_window[held].tolist(),
    )
    return tuple(map(InPlay._make, zip(*columns, strict=True)))


@lru_cache(maxsize=8)
def _symbol_rank(universe: Universe) -> IntArray:
    """The place of each listing's symbol in the alphabet, (n,); once for a universe."""
    symbols = [x.symbol for x in universe.listings]
    rank = np.empty(len(symbols), dtype=np.int64)
    rank[sorted(range(len(symbols)), key=symbols.__getitem__)] = np.arange(len(symbols))
    return rank


def near_vol(valuation: Valuation, name: str) -> float:
    """Vol at the money of the nearest expiry with at least two days to live, else of the last one; NaN
    without options. Linear in the strike between the two strikes around the forward."""
    universe = valuation.universe
    ok = universe.is_option & (valuation.status == MarkStatus.OK) & universe.where_underlying(name)
    rows = np.flatnonzero(ok & ~valuation.in_window)
    if rows.size == 0:
        return math.nan
    days = valuation.years[rows] * 365.0
    late = days >= VOL_DAYS_MIN
    chosen = float(days[late].min()) if late.any() else float(days.max())
    rows = rows[days == chosen]
    rows = rows[np.argsort(universe.strike[rows], kind="stable")]
    strikes, at = np.unique(universe.strike[rows], return_index=True)
    vols = valuation.vol[rows][at]
    return float(np.interp(float(np.median(valuation.forward[rows])), strikes, vols))


def required_intervals(snapshot: Snapshot, called: frozenset[str]) -> tuple[FloatArray, FloatArray]:
    """The interval in which each row must end, (m,), (m,).

    A row that is called and outside its landing: the landing. Every other row: its trigger interval, which is
    widened to where the row is if it is outside, and by the gap between landing and trigger, so that a row
    that is left alone does not stand in the way of the others.
    """
    bands, value = snapshot.bands, snapshot.exposure.value
    outside = (value < bands.landing_lower) | (value > bands.landing_upper)
    asked = outside & np.array([row in called for row in snapshot.exposure.rows], dtype=np.bool_)
    with np.errstate(invalid="ignore"):
        room_below = np.nan_to_num(bands.landing_lower - bands.trigger_lower, nan=0.0, posinf=0.0)
        room_above = np.nan_to_num(bands.trigger_upper - bands.landing_upper, nan=0.0, posinf=0.0)
        left = np.where(value < bands.trigger_lower, value - room_below, bands.trigger_lower)
        right = np.where(value > bands.trigger_upper, value + room_above, bands.trigger_upper)
    lower = np.where(asked, bands.landing_lower, left)
    return lower, np.where(asked, bands.landing_upper, right)


def factors_of(snapshot: Snapshot, value: FloatArray) -> tuple[RiskFactors, ...]:
    """What moves the P&L of each underlying, USD, from rows (m,).

    Options in their last days are left out of gamma, as in its row; vega is weighted to 30 days. In the coin
    numeraire the P&L in coin is told in USD at the present index.
    """
    row = snapshot.exposure.rows.index
    in_usd = snapshot.numeraire is Numeraire.USD
    found = []
    for name in snapshot.underlyings:
        spot = snapshot.spot[name]
        delta = float(value[row(f"delta:{name}")]) * spot
        gamma = float(value[row(f"gamma:{name}")]) * (spot**2 if in_usd else spot)
        vega = float(value[row(f"vega_weighted:{name}")]) * (1.0 if in_usd else spot)
        found.append(RiskFactors(delta, gamma, vega, near_vol(snapshot.valuation, name)))
    return tuple(found)


@dataclass(frozen=True, slots=True, eq=False)
class Priced:
    """A plan for some called rows: its cost, USD, and what its exposures (m,) cost as risk, USD."""

    cost_usd: float
    risk_usd: float


#: Prices the cheapest plan that brings these rows in.
Pricer = Callable[[frozenset[str]], Priced]


def ask(moment: Moment, policy: PolicyConfig, memory: Memory) -> tuple[Decision, frozenset[str]]:
    """The decision with every hedge taken as worth its cost, and the rows that still have to prove it."""
    decision = due(moment, policy, memory)
    if not decision.called or not any(c.cost_benefit is not None for c in policy.when.each()):
        return decision, frozenset()
    every = frozenset(row for u in moment.underlyings for row in u.rows)
    without = due(moment, policy, memory, Verdict(sticky_rows=every, reason="taken as not worth its cost"))
    return decision, decision.called - without.called


def weigh(
    called: frozenset[str], doubtful: frozenset[str], price: Pricer, risk: RiskConfig
) -> tuple[frozenset[str], Verdict]:
    """Leave out the doubtful rows that are not worth their cost; returns the rows kept, and the verdict.

    Rows are tried in groups that one trade serves: first every Greek of an underlying by itself (delta,
    gamma, vega), then all its option Greeks together, then everything of the underlying. In each round the
    group that loses most against leaving it out goes, until every group saves more risk than it costs.
    """
    kept = set(called)
    sticky: list[Sticky] = []
    memo: dict[frozenset[str], Priced] = {}

    def priced(rows: Iterable[str]) -> Priced:
        key = frozenset(rows)
        if key not in memo:
            memo[key] = price(key)
        return memo[key]

    for grouping in (_by_greek, _by_options, _by_underlying):
        while True:
            groups: dict[str, set[str]] = {}
            for row in sorted(doubtful & kept):
                groups.setdefault(grouping(row), set()).add(row)
            base = priced(kept)
            tried = {name: _worth(priced(kept - rows), base, risk) for name, rows in groups.items()}
            if any(w.yes is None for w in tried.values()):
                return frozenset(kept), Verdict(known=False, reason="what the risk is worth is not known")
            losing = [name for name, w in tried.items() if not w.yes]
            if not losing:
                break
            worst = min(losing, key=lambda n: (tried[n].break_even_usd - tried[n].cost_usd, n))
            kept -= groups[worst]
            found = tried[worst]
            sticky.append(Sticky(tuple(sorted(groups[worst])), found.cost_usd, found.break_even_usd))
    total = _worth(priced(called - doubtful), priced(kept), risk)
    out = frozenset(row for s in sticky for row in s.rows)
    return frozenset(kept), Verdict(tuple(sticky), out, total.benefit_usd, total.cost_usd)


def _worth(without: Priced, with_it: Priced, risk: RiskConfig) -> Worth:
    return Worth(without.risk_usd - with_it.risk_usd, with_it.cost_usd - without.cost_usd, risk.benefit_min)


def _by_greek(row: str) -> str:
    greek, underlying, *_ = row.split(":")
    return f"{underlying}:{greek.split('_')[0]}"


def _by_options(row: str) -> str:
    greek, underlying, *_ = row.split(":")
    return f"{underlying}:{'delta' if greek == 'delta' else 'options'}"


def _by_underlying(row: str) -> str:
    return row.split(":")[1]


def risk_of(snapshot: Snapshot, value: FloatArray, risk: RiskConfig) -> float:
    """What carrying these exposures (m,) over the holding times costs, USD; NaN where a vol is not known."""
    return risk_cost_usd(factors_of(snapshot, value), risk)


def with_unit_prices(sticky: Iterable[Sticky], snapshot: Snapshot) -> tuple[Sticky, ...]:
    """The sticky rows with the price per unit of the row at which each would trade: what the risk is worth
    over the amount that must be moved to its landing."""
    bands, value, rows = snapshot.bands, snapshot.exposure.value, snapshot.exposure.rows
    found = []
    for s in sticky:
        prices = {}
        for name in s.rows:
            i = rows.index(name)
            amount = max(float(value[i] - bands.landing_upper[i]), float(bands.landing_lower[i] - value[i]))
            prices[name] = s.worth_usd / amount if amount > 0 else math.nan
        found.append(Sticky(s.rows, s.cost_usd, s.worth_usd, prices))
    return tuple(found)


def turnover_usd(snapshot: Snapshot, row: int, price: float, quantity: float) -> float:
    """What a trade turns over, USD: the price paid for options and spot, the notional of perpetuals and
    futures. price: in the venue's quotation; quantity: order units."""
    universe = snapshot.market.universe
    size, inverse = float(universe.size[row]) * abs(quantity), bool(universe.inverse[row])
    spot = float(snapshot.valuation.spot_of_listing()[row])
    if universe.kind[row] in (Kind.OPTION, Kind.SPOT):
        return size * price * (spot if inverse else 1.0)
    return size * (spot / price if inverse else price)
