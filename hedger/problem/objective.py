"""What utility mode weighed: risk before and after, cost spread over time, by factor and by option leg."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from hedger.optimizer import solve
from hedger.problem.alternatives import Alternative
from hedger.problem.assembly import Trade, is_delta, part_of, trades_of
from hedger.problem.delta_legs import amortised
from hedger.problem.risk_term import RiskModel
from hedger.problem.snapshot import Snapshot
from hedger.sections.objective import Mode
from hedger.settings import Settings
from hedger.solver.budget import Budget
from hedger.solver.hedge_problem import HedgeProblem, Plan, Status
from pricing.contracts import Kind
from pricing.daycount import DAYS_PER_YEAR, HOURS_PER_YEAR
from pricing.universe import FloatArray, IntArray, Universe
from pricing.valuation import MarkStatus, Valuation
from risk.costs import CostModel


def perpetuals_by_utility(
    snapshot: Snapshot,
    problem: HedgeProblem,
    costs: CostModel,
    tradable: IntArray,
    settings: Settings,
    model: RiskModel,
    budget: Budget | None = None,
) -> Alternative | None:
    """What utility does with perpetuals alone, keeping the delta rows. None where they cannot."""
    universe = snapshot.market.universe
    rows = np.flatnonzero(is_delta(problem.rows))
    perps = np.flatnonzero(universe.kind[tradable] == Kind.PERPETUAL)
    part = amortised(part_of(problem, perps, rows), model.share[tradable[perps]])
    term = model.term(tradable[perps])
    found = solve(part, settings.solver_settings(), risk=term, budget=budget)
    if found.status is Status.relaxed:
        return None
    quantity = np.zeros(len(tradable))
    quantity[perps] = found.quantity
    trades = trades_of(quantity, snapshot, costs, tradable)
    return Alternative(sum(t.cost.total for t in trades), trades)


@dataclass(frozen=True, slots=True)
class FactorLine:
    """One factor: USD gained per unit move before and after the plan, its standard deviation a day in USD,
    and what one more USD of that exposure adds to the objective, USD. Of a jump: its P&L instead."""

    name: str
    before: float
    after: float
    sd_before_usd: float
    sd_after_usd: float
    marginal_usd: float


@dataclass(frozen=True, slots=True)
class OptionLeg:
    """An option leg: price of the risk it takes off over the holding time, beyond what delta hedges could,
    and its cost; both USD, both in full."""

    venue: str
    symbol: str
    benefit_usd: float
    cost_usd: float


@dataclass(frozen=True, slots=True)
class Objective:
    """What a plan minimised. In utility mode all of it is told, USD over `horizon_h`; gap: relative, of
    objective to its bound. In cost mode, and where nothing was due, the mode alone.

    risk: rows whose squares, summed and halved, are the risk before, sqrt(USD); risk_per_unit: what buying
    one order unit of a listing traded, by (venue, symbol), adds to them.
    """

    mode: Mode
    horizon_h: float = float("nan")
    risk_aversion: float = float("nan")
    risk_before_usd: float = float("nan")
    risk_after_usd: float = float("nan")
    amortised_cost_usd: float = float("nan")
    bound_usd: float = float("nan")
    gap: float = 0.0
    factors: tuple[FactorLine, ...] = ()
    legs: tuple[OptionLeg, ...] = ()
    risk: tuple[float, ...] = ()
    risk_per_unit: Mapping[tuple[str, str], tuple[float, ...]] = field(default_factory=dict)

    @property
    def weighed(self) -> bool:
        """Whether risk was weighed against cost."""
        return bool(self.factors)

    @property
    def lower_bound_usd(self) -> float:
        """Amortised cost that no plan leaving as little risk undercuts."""
        total = self.risk_after_usd + self.amortised_cost_usd
        return max(self.amortised_cost_usd - max(total - self.bound_usd, 0.0), 0.0)


def objective_of(
    model: RiskModel, plan: Plan, trades: tuple[Trade, ...], valuation: Valuation, holding_years: float
) -> Objective:
    """What the model says of a plan and its trades.

    Args:
        plan: utility mode's, on the tradable listings; its cost is the amortised one, its bound is of cost
            and risk. holding_years: of option legs.
    """
    n = len(model.share)
    quantity = np.zeros(n)
    for trade in trades:
        quantity[trade.row] += trade.side.sign * float(trade.quantity)
    used = np.flatnonzero(quantity)
    before = model.risk.value
    after = before + model.risk.per_unit[:, used] @ quantity[used]
    return Objective(
        mode=Mode.UTILITY,
        horizon_h=model.horizon_years * HOURS_PER_YEAR,
        risk_aversion=model.risk_aversion,
        risk_before_usd=0.5 * float(before @ before),
        risk_after_usd=0.5 * float(after @ after),
        amortised_cost_usd=plan.cost,
        bound_usd=plan.lower_bound,
        gap=plan.gap,
        factors=_factors(model, quantity, used),
        legs=_legs(model, after, trades, valuation, holding_years),
        risk=tuple(before.tolist()),
        risk_per_unit={t.listing.key: tuple(model.risk.per_unit[:, t.row].tolist()) for t in trades},
    )


def _factors(model: RiskModel, quantity: FloatArray, used: IntArray) -> tuple[FactorLine, ...]:
    weight = model.risk_aversion * model.horizon_years
    found = []
    exposures, jumps = model.exposures, model.jumps
    after = exposures.value + exposures.traded[:, used] @ quantity[used]
    daily = np.sqrt(np.diag(model.covariance.matrix) / DAYS_PER_YEAR)
    marginal = weight * model.covariance.matrix @ after
    for i, name in enumerate(exposures.names):
        found.append(
            FactorLine(
                name,
                float(exposures.value[i]),
                float(after[i]),
                float(abs(exposures.value[i]) * daily[i]),
                float(abs(after[i]) * daily[i]),
                float(marginal[i]),
            )
        )
    after = jumps.value + jumps.traded[:, used] @ quantity[used]
    daily_jump = np.sqrt(model.jumps_per_day)
    for i, name in enumerate(jumps.names):
        found.append(
            FactorLine(
                name,
                float(jumps.value[i]),
                float(after[i]),
                float(abs(jumps.value[i]) * daily_jump),
                float(abs(after[i]) * daily_jump),
                float(weight * DAYS_PER_YEAR * model.jumps_per_day * after[i]),
            )
        )
    return tuple(found)


def _legs(
    model: RiskModel,
    after: FloatArray,
    trades: tuple[Trade, ...],
    valuation: Valuation,
    holding_years: float,
) -> tuple[OptionLeg, ...]:
    """Each option leg against the same plan without it, its delta made good by the underlying's perpetual."""
    found = []
    for trade in trades:
        if trade.listing.contract.kind is not Kind.OPTION:
            continue
        moved = model.risk.per_unit[:, trade.row] * trade.side.sign * float(trade.quantity)
        along = _delta_direction(model, valuation, valuation.universe, trade.row)
        saved = _least(after - moved, along) - _least(after, along)
        benefit = saved * holding_years / model.horizon_years
        found.append(OptionLeg(trade.listing.venue, trade.listing.symbol, benefit, trade.cost.total))
    return tuple(found)


def _delta_direction(
    model: RiskModel, valuation: Valuation, universe: Universe, row: int
) -> FloatArray | None:
    """What the perpetual (else a future, else spot) of a listing's underlying moves the penalty's rows by."""
    mine = (universe.underlying == universe.underlying[row]) & (valuation.status == MarkStatus.OK)
    for kind in (Kind.PERPETUAL, Kind.FUTURE, Kind.SPOT):
        at = np.flatnonzero(mine & (universe.kind == kind))
        if at.size:
            return np.asarray(model.risk.per_unit[:, at[0]])
    return None


def _least(left: FloatArray, along: FloatArray | None) -> float:
    """1/2 |left + t along|^2 at its best t."""
    square = float(left @ left)
    if along is not None and float(along @ along) > 0:
        square -= float(left @ along) ** 2 / float(along @ along)
    return 0.5 * max(square, 0.0)
