"""From a snapshot and its past to the optimizer's risk term, and to what costs weigh against it.

Costs and risk meet over one horizon H. A delta hedge is paid for once in the time that risk is carried by it:
H of an underlying is that of the band which is optimal at this risk aversion (see `band_horizon_years`), so
that a delta leg trades where a cost-aware band would. An option leg is held much longer than H, so that only
H / holding of its cost counts; the ticket shows all of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from hedger.problem.delta_legs import DeltaLegs, delta_legs
from hedger.problem.snapshot import Snapshot
from hedger.settings import Settings
from hedger.solver.hedge_problem import HedgeProblem, RiskTerm
from pricing.daycount import DAYS_PER_YEAR, HOURS_PER_YEAR
from pricing.market import Market
from pricing.universe import FloatArray, IntArray
from pricing.valuation import MarkStatus, Numeraire, value
from risk.costs import CostModel, reference_price
from risk.factor_history import (
    FactorCovariance,
    FactorHistory,
    factor_covariance,
    factor_mark,
    spot_vol_lean,
)
from risk.factors import (
    FactorExposure,
    FactorRisk,
    factor_exposures,
    factor_risk,
    jump_exposures,
)

#: Marks of the factors are taken this many times in a step, however often the market ticks.
MARKS_PER_STEP = 6


@dataclass(frozen=True, slots=True, eq=False)
class RiskModel:
    """What the risk of one book, and of one unit of every listing (n), costs over the horizon.

    exposures, jumps: USD per factor move, USD per jump. covariance: per year. risk: the penalty's rows.
    horizon_years: over which risk is counted. jumps_per_day: of each. share (n,): of a listing's cost that
    counts. said: what was taken for granted.
    """

    exposures: FactorExposure
    jumps: FactorExposure
    covariance: FactorCovariance
    risk: FactorRisk
    risk_aversion: float
    horizon_years: float
    jumps_per_day: float
    share: FloatArray
    said: tuple[str, ...]

    def term(self, tradable: IntArray) -> RiskTerm:
        """The optimizer's term for columns that are these listings."""
        return RiskTerm(self.risk.names, self.risk.value, self.risk.per_unit[:, tradable])

    def legs(self, problem: HedgeProblem, rows: IntArray, snapshot: Snapshot) -> DeltaLegs:
        """Delta legs of a problem whose columns are these listings, (n,), each as often as it is split."""
        universe, exposure = snapshot.market.universe, snapshot.exposure
        at = [exposure.rows.index(f"delta:{universe.underlyings[u]}") for u in universe.underlying[rows]]
        return delta_legs(problem, universe, rows, exposure.traded[at, rows], self.share[rows])


def remember(history: FactorHistory, market: Market, settings: Settings) -> FactorHistory:
    """The history with where the factors stand in one more market; the same where it comes too soon."""
    spacing = settings.risk_term.step_h * 3600e9 / MARKS_PER_STEP
    if history.marks and market.now_ns - history.marks[-1].now_ns < 0.9 * spacing:
        return history
    window = settings.risk_term.window_days + 2.0 * settings.risk_term.step_h / 24.0
    mark = factor_mark(value(market, settings.age_s_max), history.underlyings)
    return history.with_mark(mark, window)


def covariance_now(snapshot: Snapshot, settings: Settings, history: FactorHistory | None) -> FactorCovariance:
    """The trailing covariance of the factors of the book's underlyings, the snapshot itself included."""
    names = _sound(snapshot)
    past = FactorHistory(names) if history is None else _part_of(history, names)
    past = past.until(snapshot.market.now_ns - 1)
    return factor_covariance(
        past.with_mark(factor_mark(snapshot.valuation, names)),
        snapshot.market.now_ns,
        settings.risk_term.settings(),
    )


def _sound(snapshot: Snapshot) -> tuple[str, ...]:
    """Underlyings on which something may be decided."""
    bad = {reading.underlying for reading in snapshot.bad_indexes}
    return tuple(name for name in snapshot.underlyings if name not in bad)


def _part_of(history: FactorHistory, names: tuple[str, ...]) -> FactorHistory:
    """The history of some underlyings; NaN for those it does not know."""
    if history.underlyings == names:
        return history
    at = [history.underlyings.index(name) if name in history.underlyings else -1 for name in names]

    def pick(values: tuple[float, ...]) -> tuple[float, ...]:
        return tuple(values[i] if i >= 0 else math.nan for i in at)

    marks = tuple(
        replace(m, spot=pick(m.spot), level=pick(m.level), slope=pick(m.slope)) for m in history.marks
    )
    return FactorHistory(names, marks)


def risk_model(
    snapshot: Snapshot, settings: Settings, costs: CostModel, history: FactorHistory | None = None
) -> RiskModel:
    """The risk term of a snapshot.

    Args:
        costs: of the tradable listings: what moving delta costs decides how long a delta hedge is held.
        history: where the factors stood before; None: the stated defaults alone.
    """
    chosen, names, meaning = settings.objective, _sound(snapshot), snapshot.meaning
    covariance = covariance_now(snapshot, settings, history)
    jump = chosen.jump.settings()
    exposures = factor_exposures(snapshot.valuation, snapshot.exposure, snapshot.quantities, names, meaning)
    jumps = jump_exposures(
        snapshot.market, snapshot.valuation, snapshot.exposure, snapshot.quantities, snapshot.balances,
        reference_price(snapshot.market), names, meaning, jump,
    )  # fmt: skip
    holding = chosen.option_holding_days / DAYS_PER_YEAR
    horizons = {name: _horizon_years(snapshot, settings, costs, covariance, name) for name in names}
    horizon = min(horizons.values(), default=holding)
    universe = snapshot.market.universe
    delta_legs = np.array([horizon / horizons.get(name, horizon) for name in universe.underlyings])
    share = np.where(universe.is_option, horizon / holding, delta_legs[universe.underlying])
    return RiskModel(
        exposures=exposures,
        jumps=jumps,
        covariance=covariance,
        risk=factor_risk(exposures, jumps, covariance, jump, chosen.risk_aversion, horizon),
        risk_aversion=chosen.risk_aversion,
        horizon_years=horizon,
        jumps_per_day=jump.per_day_probability,
        share=np.asarray(share, dtype=np.float64),
        said=_said(settings, covariance, horizons, jumps),
    )


def band_horizon_years(
    net_gamma: float, spot: float, vol: float, cost_per_coin: float, risk_aversion: float
) -> float:
    """How long a delta hedge carries risk under the band that is optimal for it, years; inf without gamma.

        H = (2/3) w^2 / s2,   w^3 = (3/2) c s2 / a,   s2 = (gamma vol S)^2,   a = risk_aversion vol^2 S^2

    With it, one step of cost c |x| + 1/2 a H (delta + x)^2 trades exactly outside |delta| = w, Whalley and
    Wilmott's band. net_gamma: coins per USD; cost_per_coin: USD per coin moved; risk_aversion: per USD.

    >>> round(365 * band_horizon_years(4.2e-5, 60_000.0, 0.55, 30.0, 1e-4), 2)      # days
    1.09
    """
    speed = (net_gamma * vol * spot) ** 2
    if not speed > 0.0:
        return math.inf
    width = (1.5 * cost_per_coin * net_gamma**2 / risk_aversion) ** (1.0 / 3.0)
    return float(2.0 / 3.0 * width**2 / speed)


def _horizon_years(
    snapshot: Snapshot, settings: Settings, costs: CostModel, covariance: FactorCovariance, name: str
) -> float:
    """Of one underlying; between the least that is configured and the holding time of options."""
    chosen = settings.objective
    if chosen.horizon_h is not None:
        return chosen.horizon_h / HOURS_PER_YEAR
    spot = snapshot.spot[name]
    gamma = snapshot.exposure.row(f"gamma:{name}") + snapshot.exposure.row(f"gamma_expiring:{name}")
    if snapshot.numeraire is Numeraire.COIN:
        gamma /= spot
    vol = math.sqrt(covariance.between(f"return:{name}", f"return:{name}"))
    found = band_horizon_years(gamma, spot, vol, _delta_cost(snapshot, costs, name), chosen.risk_aversion)
    holding = chosen.option_holding_days / DAYS_PER_YEAR
    least = min(chosen.horizon_h_min / HOURS_PER_YEAR, holding)
    return min(max(found, least), holding) if not math.isnan(found) else holding


def _delta_cost(snapshot: Snapshot, costs: CostModel, name: str) -> float:
    """USD per coin of delta at the touch, buying and selling alike, of the cheapest tradable instrument that
    is no option; NaN where there is none."""
    universe, levels = snapshot.market.universe, costs.levels
    row = snapshot.exposure.rows.index(f"delta:{name}")
    delta = np.abs(snapshot.exposure.traded[row])
    mine = universe.where_underlying(name) & ~universe.is_option & (delta > 0)
    mine &= snapshot.valuation.status == MarkStatus.OK
    used = mine[levels.row]
    if not used.any():
        return math.nan
    per_coin = levels.unit_cost[used] / delta[levels.row[used]]
    sides = [
        np.full(len(universe), np.inf),
        np.full(len(universe), np.inf),
    ]
    for side, sign in zip(sides, (1, -1), strict=True):
        mask = levels.sign[used] == sign
        np.minimum.at(side, levels.row[used][mask], per_coin[mask])
    both = 0.5 * (sides[0] + sides[1])
    best = float(both.min())
    return best if math.isfinite(best) else float(per_coin.min())


def _said(
    settings: Settings,
    covariance: FactorCovariance,
    horizons: dict[str, float],
    jumps: FactorExposure,
) -> tuple[str, ...]:
    """What the risk term takes for granted."""
    chosen, term = settings.objective, settings.risk_term
    said = [
        f"risk aversion {chosen.risk_aversion:g} per USD; option costs spread over "
        f"{chosen.option_holding_days:g} days, delta hedges over "
        + ", ".join(f"{years * HOURS_PER_YEAR:.3g} h on {name}" for name, years in horizons.items())
    ]
    for name in horizons:
        at = covariance.names.index(f"return:{name}")
        moves, weight = covariance.moves[at : at + 4], covariance.prior_share[at : at + 4]
        vol = math.sqrt(covariance.between(f"return:{name}", f"return:{name}"))
        of_vol = math.sqrt(covariance.between(f"vol:{name}", f"vol:{name}") / DAYS_PER_YEAR)
        past = (
            f"covariance of {moves.min():.0f} moves over {term.step_h:g} h, {weight.max():.0%} of it defaults"
            if moves.min() >= 0.5
            else f"no sufficient history, so the defaults of risk_term (worth {term.prior_days:g} days)"
        )
        said.append(
            f"risk factors of {name}: {past}; returns {vol:.0%} a year, vol level {100 * of_vol:.2g} "
            "points a day"
        )
    if jumps.names:
        jump = chosen.jump
        said.append(
            f"jumps of {jump.size:.0%} up and down, all underlyings together, each "
            f"{jump.per_day_probability:g} times a day; vols stay with their strikes"
        )
    return tuple(said)


def leaned(
    snapshot: Snapshot, settings: Settings, history: FactorHistory | None
) -> tuple[Snapshot, tuple[str, ...]]:
    """The snapshot with its delta bands moved by the vol moves that come with spot moves, and what to say.

    Without a history the prior says that they do not come together, and nothing moves.
    """
    covariance = covariance_now(snapshot, settings, history)
    rows, bands = snapshot.exposure.rows, snapshot.bands
    shift, said = np.zeros(len(rows)), []
    for name in _sound(snapshot):
        spot = snapshot.spot[name]
        vega = snapshot.exposure.row(f"vega_weighted:{name}")
        vega *= spot if snapshot.numeraire is Numeraire.COIN else 1.0
        lean = spot_vol_lean(vega, covariance, name, spot)
        if lean and math.isfinite(lean):
            shift[rows.index(f"delta:{name}")] = lean
            moves = covariance.moves[covariance.names.index(f"vol:{name}")]
            said.append(
                f"delta target of {name} leans by {lean:+.4g} coin against the vol that moves with spot "
                f"({moves:.0f} moves seen)"
            )
    ends = ("target", "trigger_lower", "trigger_upper", "landing_lower", "landing_upper")
    moved = replace(bands, **{end: getattr(bands, end) + shift for end in ends})
    return replace(snapshot, bands=moved), tuple(said)
