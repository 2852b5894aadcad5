"""The plan as a value: trades, rows before and after, the certificate, and what is read beside it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from hedger.moment import Decision
from hedger.optimizer import Plan
from hedger.policy.triggering import turnover_usd
from hedger.policy.waiting import Waiting
from hedger.problem.alternatives import Alternative
from hedger.problem.assembly import Trade
from hedger.problem.later import Later
from hedger.problem.limited import CapOutcome, LimitOutcome
from hedger.problem.objective import Objective
from hedger.problem.snapshot import Snapshot
from pricing.universe import FloatArray, IntArray
from risk.costs import TradeCost


class PlanStatus(StrEnum):
    """What the ticket says."""

    HEDGE = "hedge"
    NO_TRADE = "no_trade"
    RELAXED = "relaxed"
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True, eq=False)
class HedgePlan:
    """The answer: trades, rows before and after, the certificate and the alternatives. Arrays (m,).

    lower_bound_usd: no plan costs less, in fractions of a lot. lots_bound_usd: nor in whole lots; -inf where
    the search gave none. solved: as the solver left it; what the next mark's plan may start from. next_best,
    deltas_alone, waits: what only a reader asks for, reckoned when it is read.
    """

    snapshot: Snapshot
    status: PlanStatus
    reason: str
    required_lower: FloatArray
    required_upper: FloatArray
    after: FloatArray
    shadow_price: FloatArray
    binding: IntArray
    slack: FloatArray
    trades: tuple[Trade, ...]
    cost: TradeCost
    lower_bound_usd: float
    lots_bound_usd: float
    priced: int
    kept: int
    refused: Mapping[str, int]
    next_best: Later[Alternative | None]
    deltas_alone: Later[Alternative | None]
    assumptions: tuple[str, ...]
    decision: Decision
    waits: Later[Waiting]
    limits: tuple[LimitOutcome, ...]
    capped: tuple[CapOutcome, ...]
    objective: Objective
    solved: Plan

    @property
    def runner_up(self) -> Alternative | None:
        """The cheapest plan with a perpetual and at most one option per underlying; None where none does."""
        return self.next_best.get()

    @property
    def delta_only(self) -> Alternative | None:
        """What a delta hedger would do, with perpetuals alone; None where no perpetual can."""
        return self.deltas_alone.get()

    @property
    def waiting(self) -> Waiting:
        """What hedging later is expected to cost."""
        return self.waits.get()

    @property
    def turnover_usd(self) -> float:
        """What the trades turn over, USD."""
        return turnover_of(self.trades, self.snapshot)

    @property
    def gap(self) -> float:
        """(cost - bound) / cost, 0 without a cost; in utility mode of cost and risk together."""
        if self.objective.weighed:
            return self.objective.gap
        return (self.cost.total - self.lower_bound_usd) / self.cost.total if self.cost.total > 0 else 0.0

    @property
    def certified_gap(self) -> float:
        """The same to the better of the bounds in fractions of a lot and in whole lots: what a better plan
        could save at most."""
        if self.objective.weighed or self.cost.total <= 0:
            return self.gap
        bound = max(self.lower_bound_usd, self.lots_bound_usd)
        return (self.cost.total - bound) / self.cost.total


def turnover_of(trades: tuple[Trade, ...], snapshot: Snapshot) -> float:
    """What some trades turn over, USD."""
    return math.fsum(turnover_usd(snapshot, t.row, t.expected_price, float(t.quantity)) for t in trades)


def blocked(plan: HedgePlan, reason: str) -> HedgePlan:
    """The plan without its trades, and why."""
    snapshot = plan.snapshot
    return replace(
        plan,
        status=PlanStatus.BLOCKED,
        reason=reason,
        after=snapshot.exposure.value,
        shadow_price=np.zeros(plan.after.size),
        binding=np.zeros(plan.after.size, dtype=np.int64),
        slack=np.zeros(plan.after.size),
        trades=(),
        cost=TradeCost(),
        lower_bound_usd=0.0,
        lots_bound_usd=-math.inf,
        next_best=Later.known(None),
        deltas_alone=Later.known(None),
        limits=(),
        capped=(),
        objective=Objective(plan.objective.mode),
    )
