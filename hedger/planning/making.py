"""A plan from its snapshot, stage by stage: is it due, what may be traded, the problem, its solution, the
ticket."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import numpy as np

from hedger.moment import Decision, Memory, Moment
from hedger.optimizer import Plan, Status
from hedger.planning.assumptions import assumptions
from hedger.planning.choices import Beside, Pricing, required_of
from hedger.planning.hedge_plan import HedgePlan, PlanStatus, turnover_of
from hedger.planning.safeguards import guarded
from hedger.policy.pace import turnover_guard
from hedger.policy.policy import due
from hedger.policy.triggering import ask, moment_of, weigh, with_unit_prices
from hedger.policy.waiting import waiting_of
from hedger.problem.alternatives import Alternative
from hedger.problem.assembly import ExtraRows, Trade, hedge_universe
from hedger.problem.later import Later
from hedger.problem.limited import Limited, what_binds
from hedger.problem.objective import Objective, objective_of
from hedger.problem.risk_term import leaned, risk_model
from hedger.problem.snapshot import Snapshot
from hedger.sections.objective import Mode
from hedger.settings import Settings
from hedger.solver.budget import Budget
from pricing.daycount import DAYS_PER_YEAR
from pricing.universe import FloatArray, IntArray
from risk.band_schedule import NO_HISTORY, PriceHistory
from risk.costs import TradeCost, cost_model
from risk.factor_history import FactorHistory

Stopwatch = Callable[[str], None]
NO_MEMORY = Memory()
#: Work is the same in every replay, a clock is not.
BY_THE_CLOCK = "HiGHS was ended by the clock: a replay may find another plan"


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
    moment = moment_of(snapshot, history) if moment is None else moment
    decision, doubtful = ask(moment, settings.policy, memory)
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
    budget = Budget.of(settings.solver.time_limit_s)
    priced = Pricing(snapshot, settings, costs, tradable, extra, model, budget, start, {}, {})
    decision, limits, plan = _solved(priced, decision, doubtful, moment, memory, lap)
    beside = Beside(priced, limits, plan, model if decision.due else None)
    runner_up = beside.better()
    lap("compare")
    ticket = _ticket(beside, runner_up, decision, refused, said)
    if budget.clock.ended:
        ticket = replace(ticket, reason=f"{ticket.reason}; {BY_THE_CLOCK}")
    found = guarded(ticket, settings)
    lap("ticket")
    return found


def read_beside(plan: HedgePlan, lap: Stopwatch = _no_stopwatch) -> None:
    """Reckon what is read beside a plan now, rather than when it is first read: whoever prints all of it may
    hold a clock."""
    for stage, later in (
        ("runner_up", plan.next_best), ("delta_only", plan.deltas_alone), ("waiting", plan.waits),
    ):  # fmt: skip
        later.get()
        lap(stage)


def _solved(
    priced: Pricing,
    decision: Decision,
    doubtful: frozenset[str],
    moment: Moment,
    memory: Memory,
    lap: Stopwatch,
) -> tuple[Decision, Limited, Plan]:
    """The decision once it is priced, and the problem and the plan that go with it."""
    limits = priced.problem(decision.called)
    lap("problem")
    limits, plan = priced.found[decision.called, decision.due] = priced.solve(limits, decision.due)
    if decision.called or (priced.model is not None and plan.quantity.any()):
        decision = _sure(decision, doubtful, moment, memory, priced)
        limits, plan = priced.plan(decision.called, decision.due)
    lap("solve")
    return decision, limits, plan


def _sure(
    decision: Decision,
    doubtful: frozenset[str],
    moment: Moment,
    memory: Memory,
    priced: Pricing,
) -> Decision:
    """The decision once its plan is priced: rows that must pay for themselves do, and the turnover fits."""
    policy, snapshot = priced.settings.policy, priced.snapshot
    if doubtful:
        _, verdict = weigh(decision.called, doubtful, priced.price, policy.risk)
        sticky = with_unit_prices(verdict.sticky, snapshot)
        decision = due(moment, policy, memory, replace(verdict, sticky=sticky))
    rows = tuple(sorted(decision.called))
    trades = priced.trades(decision.called)
    if not rows and priced.model is not None:
        # nothing is called, but risk has a price: the trades are of every row
        rows = tuple(sorted(snapshot.exposure.rows[i] for i in np.flatnonzero(snapshot.bands.banded)))
        trades = priced.legs(priced.plan(decision.called, decision.due)[1])
    planned = turnover_of(trades, snapshot)
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


def _ticket(
    beside: Beside,
    runner_up: Alternative | None,
    decision: Decision,
    refused: Mapping[str, int],
    said: tuple[str, ...],
) -> HedgePlan:
    """The plan with all that goes with it, before anything is held against it. runner_up: what takes its
    place. refused: listings not tradable, by reason. said: assumptions beside the usual ones."""
    priced, limits, plan, model = beside.priced, beside.limits, beside.plan, beside.model
    snapshot, settings, value = priced.snapshot, priced.settings, priced.snapshot.exposure.value
    lower, upper = required_of(snapshot, decision.called, settings.objective.mode)
    on_all = _on_all_rows(value.size, np.flatnonzero(snapshot.bands.banded))
    trades, slack = priced.legs(plan), on_all(plan.slack)
    status, reason = _status(plan, decision, settings, model is not None)
    if runner_up is not None:
        # The lot search stops at its gap or its time limit: a simpler plan that is better takes its place.
        trades, slack = runner_up.trades, np.zeros(value.size)
        status, reason = PlanStatus.HEDGE, f"{decision.reason}; a perpetual and at most one option do it"
    outcomes, capped = limits.outcomes(plan, trades), limits.capped(trades)
    reason += what_binds(outcomes, capped) if status is PlanStatus.RELAXED else ""
    after = value + sum((t.effect for t in trades), np.zeros(value.size))
    cost = sum((t.cost for t in trades), TradeCost())
    prices, binding = on_all(plan.shadow_price), on_all(plan.binding.astype(np.float64)).astype(np.int64)
    objective = _objective(beside, trades)
    bound = limits.lower_bound(plan, priced.lots) if model is None else objective.lower_bound_usd
    return HedgePlan(
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
        priced=len(priced.tradable),
        kept=len(plan.kept),
        refused=refused,
        next_best=beside.next_best,
        deltas_alone=Later(beside.deltas_alone),
        assumptions=(*assumptions(snapshot, settings, priced.costs, trades), *said),
        decision=decision,
        waits=Later(
            partial(waiting_of, snapshot, settings.policy, limits.plain, after, cost.total, prices, binding)
        ),
        limits=outcomes,
        capped=capped,
        objective=objective,
        solved=plan,
    )


def _objective(beside: Beside, trades: tuple[Trade, ...]) -> Objective:
    """What the plan was chosen by: its cost, or its cost and risk."""
    settings, model = beside.priced.settings, beside.model
    if model is None:
        return Objective(settings.objective.mode)
    holding = settings.objective.option_holding_days / DAYS_PER_YEAR
    return objective_of(model, beside.plan, trades, beside.priced.snapshot.valuation, holding)


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
        why += f"; the lot search stopped at its time limit: {plan.gap:z.2%} of the cost is above the bound"
    elif plan.gap > settings.solver.gap:
        why += f"; whole lots leave {plan.gap:z.2%} of the cost above the bound"
    return PlanStatus.HEDGE, why
