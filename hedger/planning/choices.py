"""The problems and plans of a snapshot by which rows are called, and the other ways to hedge the same."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from hedger.optimizer import Plan, Status, solve
from hedger.policy.triggering import Priced, required_intervals, risk_of
from hedger.problem.alternatives import (
    Alternative,
    cheapest_with_one_option,
    least_with_one_option,
    perpetuals_alone,
)
from hedger.problem.assembly import ExtraRows, Trade, build_problem, trades_of
from hedger.problem.delta_legs import solve_with_legs
from hedger.problem.later import Later
from hedger.problem.limited import Limited, limited
from hedger.problem.objective import perpetuals_by_utility
from hedger.problem.risk_term import RiskModel
from hedger.problem.snapshot import Snapshot
from hedger.sections.objective import Mode
from hedger.settings import Settings
from hedger.solver.budget import Budget
from hedger.solver.hedge_problem import HedgeProblem
from pricing.universe import BoolArray, FloatArray, IntArray
from risk.costs import CostModel


def required_of(
    snapshot: Snapshot, called: frozenset[str], mode: Mode = Mode.COST
) -> tuple[FloatArray, FloatArray]:
    """The interval in which each row must end; rows of a bad index are free, (m,), (m,). In utility mode rows
    that are called must end inside their trigger: how far inside, the price of risk decides."""
    lower, upper = required_intervals(snapshot, called)
    if mode is Mode.UTILITY:
        bands = snapshot.bands
        asked = np.array([row in called for row in snapshot.exposure.rows], dtype=np.bool_)
        lower = np.where(asked, bands.trigger_lower, lower)
        upper = np.where(asked, bands.trigger_upper, upper)
    undecided = _rows_of_bad_indexes(snapshot)
    return np.where(undecided, -np.inf, lower), np.where(undecided, np.inf, upper)


def _rows_of_bad_indexes(snapshot: Snapshot) -> BoolArray:
    """Rows on which nothing is decided, (m,)."""
    bad = {reading.underlying for reading in snapshot.bad_indexes}
    return np.array([name.split(":")[1] in bad for name in snapshot.exposure.rows], dtype=np.bool_)


@dataclass(frozen=True, slots=True, eq=False)
class Pricing:
    """The problems and plans of several choices of called rows, each solved once, all by one budget."""

    snapshot: Snapshot
    settings: Settings
    costs: CostModel
    tradable: IntArray
    extra: ExtraRows | None
    model: RiskModel | None
    budget: Budget
    warm: Plan | None
    found: dict[tuple[frozenset[str], bool], tuple[Limited, Plan]]
    traded: dict[int, tuple[Plan, tuple[Trade, ...]]]

    def problem(self, called: frozenset[str]) -> Limited:
        """The problem of bringing these rows in, under the desk's limits."""
        lower, upper = required_of(self.snapshot, called, self.settings.objective.mode)
        terms = self.snapshot, self.settings, self.costs, self.tradable
        return limited(build_problem(*terms, lower, upper, self.extra), *terms, self.extra)

    def lots(self, problem: HedgeProblem) -> Plan:
        """The cheapest lots of a problem as the solver gets it."""
        return solve(problem, self.settings.solver_settings(), warm=self.warm, budget=self.budget)

    def solve(self, limits: Limited, due: bool) -> tuple[Limited, Plan]:
        """The cheapest plan, on the listings' columns, and the problem with every limit that it met. Where
        risk has a price and a hedge is due, the plan of least amortised cost and risk."""
        while True:
            plan = limits.merged(self.weighed(limits) if due else self.lots(limits.problem))
            tighter = limits.tightened(plan)
            if tighter is None:
                return limits, plan
            limits = tighter

    def weighed(self, limits: Limited) -> Plan:
        """The plan of a problem as the solver gets it, cost weighed against risk where risk has a price."""
        if self.model is None:
            return self.lots(limits.problem)
        at = self.tradable if limits.split is None else self.tradable[limits.split.part_of]
        legs = self.model.legs(limits.problem, at, self.snapshot)
        term = limits.risk(self.model.term(self.tradable))
        return solve_with_legs(limits.problem, term, legs, self.settings.solver_settings(), self.budget)

    def plan(self, called: frozenset[str], due: bool | None = None) -> tuple[Limited, Plan]:
        """The problem and the cheapest plan that brings these rows in; due: that a hedge is, where not said
        if there are any."""
        key = called, bool(called) if due is None else due
        if key not in self.found:
            self.found[key] = self.solve(self.problem(called), key[1])
        return self.found[key]

    def trades(self, called: frozenset[str]) -> tuple[Trade, ...]:
        """The legs of that plan."""
        return self.legs(self.plan(called)[1])

    def legs(self, plan: Plan) -> tuple[Trade, ...]:
        """The legs of a plan, made once; the plan is kept, so that its id is its own."""
        if id(plan) not in self.traded:
            legs = trades_of(plan.quantity, self.snapshot, self.costs, self.tradable)
            self.traded[id(plan)] = plan, legs
        return self.traded[id(plan)][1]

    def price(self, called: frozenset[str]) -> Priced:
        """What that plan costs, and what the risk it leaves costs."""
        trades, value = self.trades(called), self.snapshot.exposure.value
        after = value + sum((t.effect for t in trades), np.zeros(value.size))
        cost = math.fsum(t.cost.total for t in trades)
        return Priced(cost, risk_of(self.snapshot, after, self.settings.policy.risk))


@dataclass(frozen=True, slots=True, eq=False)
class Beside:
    """The other ways to hedge what a plan hedges. Priced when somebody reads them; the next best one before
    that where it might be the better plan."""

    priced: Pricing
    limits: Limited
    plan: Plan
    model: RiskModel | None
    next_best: Later[Alternative | None] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "next_best", Later(self._next_best))

    @property
    def traded(self) -> bool:
        """Whether there is anything to compare."""
        return self.plan.status is not Status.no_trade

    def better(self) -> Alternative | None:
        """The cheapest with one option where it takes the plan's place: where it keeps every row and the plan
        does not, or costs less. The cheapest is another question than the best, where risk has its price."""
        if not self.traded or self.model is not None:
            return None
        if self.plan.status is not Status.relaxed and (self.limits.preferring or self._proven()):
            return None
        found = self.next_best.get()
        if found is None or self.plan.status is Status.relaxed or found.cost_usd < self.plan.cost:
            return found
        return None

    def _proven(self) -> bool:
        """Whether nothing with one option can cost less: by the plan's own bounds, or by the pairs'."""
        cost = self.plan.cost * (1.0 - 1e-9)
        if max(self.plan.lots_bound, self.plan.lower_bound) >= cost:
            return True
        p = self.priced
        return least_with_one_option(p.snapshot, self.limits.plain, p.tradable) >= self.plan.cost * (1 + 1e-9)

    def _next_best(self) -> Alternative | None:
        p = self.priced
        if not self.traded or self.model is not None:
            return None
        terms = p.snapshot, self.limits.plain, p.costs, p.tradable, p.settings
        found = cheapest_with_one_option(*terms, p.budget.aside())
        return None if found is None or not self.limits.allows(found.trades) else found

    def deltas_alone(self) -> Alternative | None:
        """What a delta hedger would do."""
        if not self.traded:
            return None
        p, budget = self.priced, self.priced.budget.aside()
        terms = p.snapshot, self.limits.plain, p.costs, p.tradable, p.settings
        if self.model is not None:
            found = perpetuals_by_utility(*terms, self.model, budget)
        else:
            found = perpetuals_alone(*terms, budget)
        return None if found is None or not self.limits.allows(found.trades) else found
