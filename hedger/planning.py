"""From a snapshot to the hedge plan: price the universe, solve, compare with the alternatives.

Pure functions; the order of a plan is on one page in `make_plan`. The result holds numbers and names only:
`hedger.documents` turns it into JSON, `hedger.ticket` into what a trader reads.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial

import numpy as np

from hedger.moment import Decision, Memory, Moment
from hedger.optimizer import Plan, Status, solve
from hedger.policy.pace import turnover_guard
from hedger.policy.policy import due
from hedger.policy.triggering import (
    Priced,
    ask,
    moment_of,
    required_intervals,
    risk_of,
    turnover_usd,
    weigh,
    with_unit_prices,
)
from hedger.policy.waiting import Waiting, waiting_of
from hedger.problem.alternatives import (
    Alternative,
    cheapest_with_one_option,
    least_with_one_option,
    perpetuals_alone,
)
from hedger.problem.assembly import (
    ExtraRows,
    Trade,
    build_problem,
    hedge_universe,
    named_but_unlisted,
    trades_of,
)
from hedger.problem.delta_legs import solve_with_legs
from hedger.problem.later import Later
from hedger.problem.limited import CapOutcome, Limited, LimitOutcome, limited, limits_said, what_binds
from hedger.problem.live_bands import band_rules_said
from hedger.problem.objective import Objective, objective_of, perpetuals_by_utility
from hedger.problem.risk_term import DAYS_PER_YEAR, RiskModel, leaned, risk_model
from hedger.problem.snapshot import Snapshot
from hedger.problem.valuing import delta_rule_said
from hedger.sections.objective import Mode
from hedger.settings import Settings
from hedger.solver.hedge_problem import HedgeProblem
from pricing.contracts import ComboRule, Kind, Side
from pricing.errors import HedgerError
from pricing.oracle import Verdict
from pricing.universe import BoolArray, FloatArray, IntArray
from pricing.valuation import MarkStatus, Numeraire
from risk.band_schedule import NO_HISTORY, PriceHistory
from risk.costs import CostModel, TradeCost, combo_fee, cost_model
from risk.factor_history import FactorHistory
from risk.missing import always_better, worst_case

Stopwatch = Callable[[str], None]
NO_MEMORY = Memory()
#: Positions without a mark that a reason names; all of them stand under `missing`.
NAMED_MAX = 5


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
        return _turnover(self.trades, self.snapshot)

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


def _no_stopwatch(stage: str) -> None:
    """Stages are not timed."""


def make_plan(
    snapshot: Snapshot,
    settings: Settings,
    lap: Stopwatch = _no_stopwatch,
    memory: Memory = NO_MEMORY,
    history: Mapping[str, PriceHistory] = NO_HISTORY,
    extra: ExtraRows | None = None,
    factors: FactorHistory | None = None,
    warm: HedgePlan | None = None,
    moment: Moment | None = None,
) -> HedgePlan:
    """The cheapest plan for a snapshot, its certificate and its alternatives; in utility mode the plan of
    least cost and risk.

    Args:
        lap: called with the name of each stage when it is done (the caller may hold a clock).
        memory: the pace of hedging so far. history: past index prices by underlying, for the triggers.
        extra: rows beside the bands that the plan must keep, such as margin scenarios.
        factors: where the risk factors stood before, for utility mode and for `lean_spot_vol`.
        warm: the plan of the last mark; it changes how soon the answer is there, not the answer.
        moment: of this snapshot and history, where the caller has asked the policy about it already.
    """
    mode = settings.objective.mode
    said: tuple[str, ...] = ()
    if mode is Mode.COST and settings.objective.lean_spot_vol:
        snapshot, said = leaned(snapshot, settings, factors)
        moment = None  # leaning changes the rows
    exposure, bands = snapshot.exposure, snapshot.bands
    moment = moment_of(snapshot, history) if moment is None else moment
    decision, doubtful = ask(moment, settings.policy, memory)
    lower, upper = _required(snapshot, decision.called, mode)
    tradable, refused = hedge_universe(snapshot, settings)
    terms, held = settings.cost_settings(), snapshot.quantities
    costs = cost_model(snapshot.market, snapshot.valuation, tradable, terms, held)
    lap("costs")
    model = None
    if mode is Mode.UTILITY and decision.due:
        model = risk_model(snapshot, settings, costs, factors)
        said = model.said
        lap("risk_term")
    start = None if warm is None else warm.solved
    priced = _Pricing(snapshot, settings, costs, tradable, extra, model, start, {}, {})
    limits = priced.problem(lower, upper)
    lap("problem")
    found = limits, plan = priced.solve(limits, decision.due)
    priced.found[decision.called, decision.due] = found
    if decision.called or (model is not None and plan.quantity.any()):
        decision = _sure(decision, doubtful, moment, memory, settings, priced)
        lower, upper = _required(snapshot, decision.called, mode)
        limits, plan = priced.plan(decision.called, decision.due)
    model = model if decision.due else None
    lap("solve")
    banded = np.flatnonzero(bands.banded)
    beside = _Beside(priced, limits, plan, model)
    runner_up = beside.better()
    lap("compare")
    on_all = _on_all_rows(exposure.value.size, banded)
    trades, slack = priced.legs(plan), on_all(plan.slack)
    status, reason = _status(plan, decision, settings, model is not None)
    if runner_up is not None:
        # The lot search stops at its gap or its time limit: a simpler plan that is better takes its place.
        trades, slack = runner_up.trades, np.zeros(exposure.value.size)
        status, reason = PlanStatus.HEDGE, f"{decision.reason}; a perpetual and at most one option do it"
    outcomes, capped = limits.outcomes(plan, trades), limits.capped(trades)
    reason += what_binds(outcomes, capped) if status is PlanStatus.RELAXED else ""
    after = exposure.value + sum((t.effect for t in trades), np.zeros(exposure.value.size))
    cost = sum((t.cost for t in trades), TradeCost())
    objective = Objective(mode)
    if model is not None:
        holding = settings.objective.option_holding_days / DAYS_PER_YEAR
        objective = objective_of(model, plan, trades, snapshot.valuation, holding)
    prices, binding = on_all(plan.shadow_price), on_all(plan.binding.astype(np.float64)).astype(np.int64)
    waits = partial(waiting_of, snapshot, settings.policy, limits.plain, after, cost.total, prices, binding)
    bound = objective.lower_bound_usd if model is not None else limits.lower_bound(plan, priced.lots)
    result = HedgePlan(
        snapshot=snapshot,
        status=status,
        reason=reason,
        required_lower=lower,
        required_upper=upper,
        after=after,
        shadow_price=prices,
        binding=binding,
        slack=slack,
        trades=trades,
        cost=cost,
        lower_bound_usd=min(bound, cost.total),
        # a search that was told to prefer some listings bounds another cost
        lots_bound_usd=-math.inf if limits.preferring else min(plan.lots_bound, cost.total),
        priced=len(tradable),
        kept=len(plan.kept),
        refused=refused,
        next_best=beside.next_best,
        deltas_alone=Later(beside.deltas_alone),
        assumptions=(*_assumptions(snapshot, settings, costs, trades), *said),
        limits=outcomes,
        capped=capped,
        objective=objective,
        solved=plan,
        decision=decision,
        waits=Later(waits),
    )
    check_promise(result)
    result = _block_if_incomplete(_block_if_refused(_say_bad_indexes(result)), settings)
    lap("ticket")
    return result


def read_beside(plan: HedgePlan, lap: Stopwatch = _no_stopwatch) -> None:
    """Reckon what is read beside a plan now, rather than when it is first read: whoever prints all of it may
    hold a clock."""
    for stage, later in (
        ("runner_up", plan.next_best), ("delta_only", plan.deltas_alone), ("waiting", plan.waits),
    ):  # fmt: skip
        later.get()
        lap(stage)


def _required(
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


@dataclass(frozen=True, slots=True, eq=False)
class _Pricing:
    """The problems and plans of several choices of called rows, each solved once."""

    snapshot: Snapshot
    settings: Settings
    costs: CostModel
    tradable: IntArray
    extra: ExtraRows | None
    model: RiskModel | None
    warm: Plan | None
    found: dict[tuple[frozenset[str], bool], tuple[Limited, Plan]]
    traded: dict[int, tuple[Plan, tuple[Trade, ...]]]

    def problem(self, lower: FloatArray, upper: FloatArray) -> Limited:
        """The problem of these intervals, under the desk's limits."""
        terms = self.snapshot, self.settings, self.costs, self.tradable
        return limited(build_problem(*terms, lower, upper, self.extra), *terms, self.extra)

    def lots(self, problem: HedgeProblem) -> Plan:
        """The cheapest lots of a problem as the solver gets it."""
        return solve(problem, self.settings.solver_settings(), warm=self.warm)

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
        return solve_with_legs(limits.problem, term, legs, self.settings.solver_settings())

    def plan(self, called: frozenset[str], due: bool | None = None) -> tuple[Limited, Plan]:
        """The problem and the cheapest plan that brings these rows in; due: that a hedge is, where not said
        if there are any."""
        key = called, bool(called) if due is None else due
        if key not in self.found:
            problem = self.problem(*_required(self.snapshot, called, self.settings.objective.mode))
            self.found[key] = self.solve(problem, key[1])
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
class _Beside:
    """The other ways to hedge what a plan hedges. Priced when somebody reads them; the next best one before
    that where it might be the better plan."""

    priced: _Pricing
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
        found = cheapest_with_one_option(p.snapshot, self.limits.plain, p.costs, p.tradable, p.settings)
        return None if found is None or not self.limits.allows(found.trades) else found

    def deltas_alone(self) -> Alternative | None:
        """What a delta hedger would do."""
        if not self.traded:
            return None
        p, problem = self.priced, self.limits.plain
        if self.model is not None:
            found = perpetuals_by_utility(p.snapshot, problem, p.costs, p.tradable, p.settings, self.model)
        else:
            found = perpetuals_alone(p.snapshot, problem, p.costs, p.tradable, p.settings)
        return None if found is None or not self.limits.allows(found.trades) else found


def _sure(
    decision: Decision,
    doubtful: frozenset[str],
    moment: Moment,
    memory: Memory,
    settings: Settings,
    priced: _Pricing,
) -> Decision:
    """The decision once its plan is priced: rows that must pay for themselves do, and the turnover fits."""
    policy, snapshot = settings.policy, priced.snapshot
    if doubtful:
        _, verdict = weigh(decision.called, doubtful, priced.price, policy.risk)
        sticky = with_unit_prices(verdict.sticky, snapshot, policy.risk)
        decision = due(moment, policy, memory, replace(verdict, sticky=sticky))
    rows = tuple(sorted(decision.called))
    trades = priced.trades(decision.called)
    if not rows and priced.model is not None:
        # nothing is called, but risk has a price: the trades are of every row
        rows = tuple(sorted(snapshot.exposure.rows[i] for i in np.flatnonzero(snapshot.bands.banded)))
        trades = priced.legs(priced.plan(decision.called, decision.due)[1])
    planned = _turnover(trades, snapshot)
    held = turnover_guard(moment.now_ns, rows, policy, memory, planned) if rows else None
    if held is None:
        return decision
    return replace(
        decision,
        due=False,
        called=frozenset(),
        reason=f"{decision.reason}; held: {held.sentence}",
        guards=(*decision.guards, held),
    )


def _turnover(trades: tuple[Trade, ...], snapshot: Snapshot) -> float:
    return math.fsum(turnover_usd(snapshot, t.row, t.expected_price, float(t.quantity)) for t in trades)


def check_promise(plan: HedgePlan) -> None:
    """Refuse to hand out a plan that ends outside what it says, by whatever fault: rows against slack.

    Raises:
        HedgerError: a row ends outside its required interval by more than its slack and rounding (exit 70).
    """
    before = plan.snapshot.exposure.value
    moved = sum((np.abs(t.effect) for t in plan.trades), np.zeros(before.size))
    room = plan.slack * (1 + 1e-6) + 1e-7 * (np.abs(before) + moved)
    bad = (plan.after < plan.required_lower - room) | (plan.after > plan.required_upper + room)
    for limit in plan.limits if plan.status is not PlanStatus.RELAXED else ():
        if limit.slack > 1e-6 * (1.0 + abs(limit.before) + abs(limit.after)):
            raise HedgerError(
                "PLAN_UNSOUND",
                "a plan breaks a limit",
                where=f"row {limit.row}",
                observed=f"{limit.after:.10g}",
                allowed=f"{limit.lower:.10g} to {limit.upper:.10g}",
                not_done="the plan was thrown away",
                fix="this is a fault of the program; please report it with the book and the tape",
            )
    if bad.any():
        i = int(np.argmax(bad))
        raise HedgerError(
            "PLAN_UNSOUND",
            "a plan ends outside what it promises",
            where=f"row {plan.snapshot.exposure.rows[i]}",
            observed=f"{plan.after[i]:.10g}, slack {plan.slack[i]:.3g}",
            allowed=f"{plan.required_lower[i]:.10g} to {plan.required_upper[i]:.10g}",
            not_done="the plan was thrown away",
            fix="this is a fault of the program; please report it with the book and the tape",
        )


def _on_all_rows(m: int, banded: IntArray) -> Callable[[FloatArray], FloatArray]:
    """Spread an array over the banded rows to all m rows, 0 elsewhere."""

    def spread(values: FloatArray) -> FloatArray:
        full = np.zeros(m)
        full[banded] = values[: banded.size]  # the limits stand behind the bands
        return full

    return spread


def _status(plan: Plan, decision: Decision, settings: Settings, weighed: bool) -> tuple[PlanStatus, str]:
    """Status and one sentence; weighed: against risk."""
    if weighed and plan.status is not Status.relaxed:
        status = PlanStatus.NO_TRADE if plan.status is Status.no_trade else PlanStatus.HEDGE
        return status, f"{decision.reason}; {plan.reason}"
    if plan.status is Status.no_trade:
        inside = "; every row it calls is inside its landing interval" if decision.due else ""
        return PlanStatus.NO_TRADE, decision.reason + inside
    if plan.status is Status.relaxed:
        return PlanStatus.RELAXED, plan.reason
    why = decision.reason
    if plan.status is Status.time_limit:
        why += f"; the lot search stopped at its time limit: {plan.gap:.2%} of the cost is above the bound"
    elif plan.gap > settings.solver.gap:
        why += f"; whole lots leave {plan.gap:.2%} of the cost above the bound"
    return PlanStatus.HEDGE, why


def _rows_of_bad_indexes(snapshot: Snapshot) -> BoolArray:
    """Rows on which nothing is decided, (m,)."""
    bad = {reading.underlying for reading in snapshot.bad_indexes}
    return np.array([name.split(":")[1] in bad for name in snapshot.exposure.rows], dtype=np.bool_)


def _say_bad_indexes(plan: HedgePlan) -> HedgePlan:
    """The plan with what it leaves undecided in its reason; one that decides nothing is blocked."""
    bad = plan.snapshot.bad_indexes
    if not bad:
        return plan
    said = "; ".join(
        f"{reading.underlying} index bad, nothing is decided on it: {', '.join(reading.reasons)}"
        for reading in bad
    )
    if plan.trades:
        return replace(plan, reason=f"{plan.reason}; {said}")
    return replace(plan, status=PlanStatus.BLOCKED, reason=said)


def _block_if_incomplete(plan: HedgePlan, settings: Settings) -> HedgePlan:
    """An incomplete book is hedged only by a plan that helps whatever the missing legs are."""
    snapshot = plan.snapshot
    if not snapshot.missing:
        return plan
    listed = [f"{m.symbol} ({m.reason})" for m in snapshot.missing]
    names = ", ".join(listed[:NAMED_MAX])
    names += f" and {len(listed) - NAMED_MAX} more" if len(listed) > NAMED_MAX else ""
    low, high = worst_case(
        snapshot.market.universe,
        snapshot.quantities,
        snapshot.exposure.missing,
        snapshot.valuation.spot,
        snapshot.market.now_ns,
        snapshot.underlyings,
        settings.exposure_settings(),
        settings.missing_settings(),
    )
    without_index = any(m.reason == MarkStatus.NO_INDEX.reason for m in snapshot.missing)
    greeks = slice(len(low))  # what an unknown leg loses in a scenario is not bounded by its Greeks
    floors = snapshot.bands.breached(snapshot.exposure.value)[len(low) :].any()
    # a row that waits or is sticky must not end further outside for what is missing either
    breached = np.flatnonzero(snapshot.bands.breached(snapshot.exposure.value)).tolist()
    every = plan.decision.called.union(snapshot.exposure.rows[i] for i in breached)
    lower, upper = _required(snapshot, every)
    helps = not floors and always_better(
        snapshot.exposure.value[greeks],
        plan.after[greeks],
        lower[greeks],
        upper[greeks],
        low,
        high,
    )
    if plan.trades and helps and not without_index:
        return replace(
            plan, reason=f"{plan.reason}; book incomplete: {names}: the plan helps whatever it adds"
        )
    return _blocked(plan, f"book incomplete: {names}; nothing may be traded on what is known alone")


def _block_if_refused(plan: HedgePlan) -> HedgePlan:
    """Nothing is traded while a band's rule does not hold for the book: what stands in was not chosen."""
    rules = zip(plan.snapshot.exposure.rows, plan.snapshot.band_rules, strict=True)
    said = [f"band of {row}: {rule.refused}" for row, rule in rules if rule is not None and rule.refused]
    if not said:
        return plan
    return _blocked(plan, f"{'; '.join(said)}; choose another width, such as whalley_wilmott")


def _blocked(plan: HedgePlan, reason: str) -> HedgePlan:
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


def _assumptions(
    snapshot: Snapshot, settings: Settings, costs: CostModel, trades: tuple[Trade, ...]
) -> tuple[str, ...]:
    """What the ticket takes for granted."""
    universe, valuation = snapshot.market.universe, snapshot.valuation
    said = [
        "effects include the premium: buying an option for v coin lowers the coin balance, so delta, by v",
        "costs are against the venue's mark clamped into the touch; taker fees; displayed depth as it stands",
        f"carry over {settings.costs.holding_h:g} h counts costs only; income counts 0",
    ]
    for i in np.flatnonzero(costs.funding_unknown).tolist():
        listing = universe.listings[i]
        if listing.contract.underlying in snapshot.underlyings:
            said.append(f"{listing.venue} {listing.symbol}: funding rate unknown, carry counted as 0")
    said += [
        f"{name} index degraded: {', '.join(snapshot.readings[name].reasons)}"
        for name in snapshot.underlyings
        if snapshot.readings[name].verdict is Verdict.DEGRADED
    ]
    held = snapshot.quantities != 0
    said += band_rules_said(snapshot.exposure.rows, snapshot.band_rules)
    said += delta_rule_said(valuation, snapshot.rules, held)
    for i in np.flatnonzero(valuation.in_window & held).tolist():
        key = (universe.underlyings[universe.underlying[i]], int(universe.expiry_ns[i]))
        if key not in snapshot.market.settlement_average:
            said.append(f"{universe.listings[i].symbol}: average so far unknown, the index stands in")
    if settings.numeraire is Numeraire.COIN:
        said.append(
            "gamma counts options and inverse futures; the convexity of linear futures and stable balances, "
            "counted in coin, is left out: swapping inverse for linear or spot changes gamma on paper only"
        )
    several = len(snapshot.underlyings) > 1 and not settings.stable_underlying
    if settings.numeraire is Numeraire.COIN and several:
        said.append(
            "stable balances count against each coin, a trade's stable leg against its own coin alone; "
            "set stable_underlying to count them once"
        )
    said += [
        f"the settings name {symbol}: not on this market" for symbol in named_but_unlisted(snapshot, settings)
    ]
    said += limits_said(snapshot, settings, trades)
    saved = _combo_saving(trades)
    if saved > 0:
        said.append(
            f"every leg counts at its full fee; where they go as combos, the cheaper sides' {saved:.2f} USD "
            "fall away"
        )
    return tuple(said)


def _combo_saving(trades: tuple[Trade, ...]) -> float:
    """Fees, USD, that fall away when an underlying's options trade as one combo where the venue has it."""
    sides: dict[tuple[str, str], dict[Side, float]] = {}
    for trade in trades:
        listing = trade.listing
        if listing.contract.kind is Kind.OPTION and listing.fees.combo is ComboRule.CHEAPER_SIDE_FREE:
            fees = sides.setdefault(
                (listing.venue, listing.contract.underlying), {Side.BUY: 0.0, Side.SELL: 0.0}
            )
            fees[trade.side] += trade.cost.fee
    return sum(f[Side.BUY] + f[Side.SELL] - combo_fee(f[Side.BUY], f[Side.SELL]) for f in sides.values())
