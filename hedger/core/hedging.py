"""From a valued book to orders: is a hedge due, the plan, its execution, the limits, and what came of it.

A quiet mark ends after the first question: no costs are reckoned and no plan is made. While an execution is
in work the policy is not asked: it is the execution's to bring the rows in, or to end.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hedger.core.actions import Severity, Submit
from hedger.core.decision import Ticket, Verdict
from hedger.core.execution import (
    Execution,
    Sight,
    Wish,
    planned_anew,
    sound_listings,
    start,
    unwind_lines,
    work,
)
from hedger.core.gate import Denied, Situation
from hedger.core.legs import excess, widths
from hedger.core.marking import price_history, value_book
from hedger.core.order_life import OrderRecord
from hedger.core.state import Mode, frozen
from hedger.core.turn import Turn
from hedger.core.verification import Verification, landed, verify
from hedger.moment import Attempt, Memory, Moment
from hedger.moment import Decision as Due
from hedger.planning import HedgePlan, PlanStatus, make_plan
from hedger.policy.pace import advance
from hedger.policy.triggering import ask, moment_of
from hedger.problem.snapshot import Snapshot
from hedger.sections.objective import Mode as Objective
from hedger.sections.policy import Breach, Condition, PolicyConfig
from hedger.settings import Settings
from pricing.errors import HedgerError
from pricing.universe import FloatArray
from venues.orders import Order, client_order_id

#: An execution may change its mind so often within one event: a slice refused, a new plan, its first slice.
PASSES = 4
#: Every row outside its landing is called: no row is a hundred bands away.
ALWAYS = Condition.model_validate(
    {"any": [{"breach": {}}, {"not": {"breach": Breach(beyond=100.0).model_dump()}}]}
)
#: Rows once called are called until they are inside their landing.
REST = Condition(breach=Breach(until_landing=True))


def hedge(turn: Turn, marked: bool) -> None:
    """Go on with the execution in work, or ask whether one is due. marked: the book was just valued."""
    if turn.state.execution is not None:
        for _ in range(PASSES):
            if not _go_on(turn):
                return
    elif marked and turn.state.snapshot is not None:
        _ask_policy(turn, turn.state.snapshot)


# ------------------------------------------------------------------------------------------------- is it due?


def _ask_policy(turn: Turn, snapshot: Snapshot) -> None:
    state, desk = turn.state, turn.settings.desk
    policy = forced(desk.policy) if state.asked_for else desk.policy
    moment = moment_of(snapshot, price_history(state))
    decision, _ = ask(moment, policy, state.memory)
    turn.trigger, turn.due = decision.reason, decision.due
    weighed = desk.objective.mode is Objective.UTILITY
    against = _against(turn) if decision.due and (decision.called or weighed) else ""
    if not decision.due or not (decision.called or weighed) or against:
        if against:
            turn.note(against)
        elif state.asked_for:
            _asked_done(turn, decision)
        turn.state = replace(turn.state, memory=advance(state.memory, moment, policy, decision))
        return
    plan = _plan(turn, snapshot, policy, state.memory)
    if plan is None:
        _note_failure(turn, moment, policy, decision)
        return
    if plan.trades and plan.status in (PlanStatus.HEDGE, PlanStatus.RELAXED):
        turn.trigger = plan.decision.reason
        execution = start(plan, desk, moment, turn.event.seq, turn.now)
        turn.ticket = Ticket.of(plan, unwind_lines(execution))
        counters = replace(turn.state.counters, executions=turn.state.counters.executions + 1)
        memory = advance(turn.state.memory, moment, policy, plan.decision)
        turn.state = replace(turn.state, execution=execution, counters=counters, memory=memory)
        for _ in range(PASSES):
            if not _go_on(turn):
                return
        return
    turn.ticket = Ticket.of(plan)
    turn.note(plan.reason)
    if plan.status is PlanStatus.NO_TRADE:
        if state.asked_for:
            _asked_done(turn, plan.decision)
        turn.state = replace(turn.state, memory=advance(state.memory, moment, policy, plan.decision))
    else:
        _note_failure(turn, moment, policy, plan.decision)


def forced(policy: PolicyConfig, when: Condition = ALWAYS) -> PolicyConfig:
    """The desk's policy with another condition, such as a person's wish, that no cooldown holds; the budget
    of turnover and the cap on attempts stay."""
    return policy.model_copy(update={"when": when, "cooldown_s": 0.0, "hysteresis": 0.0})


def _against(turn: Turn) -> str:
    """Why no hedge is begun though one is due, "" where nothing stands against it."""
    state = turn.state
    if not state.acting.sends:
        return f"a hedge is due and the engine is {state.acting}"
    if state.paused:
        return "a hedge is due and the engine is paused"
    owed = sorted(c for c, r in state.orders.items() if not r.settled)
    if owed:
        return f"a hedge is due and waits for {', '.join(owed)} to be settled"
    if not any(v.takes_orders for v in state.venues.values()):
        return "a hedge is due and no venue takes orders"
    return ""


def _asked_done(turn: Turn, decision: Due) -> None:
    """What a person asked for has no more to do, or may not be tried again now."""
    what, state = turn.state.asked_for, turn.state
    if decision.guards and not decision.due:
        turn.alert(Severity.WARNING, f"{what.upper()}_INCOMPLETE", f"{what}: {decision.reason}")
    else:
        done = "FLATTENED" if what == "flatten" else "HEDGED"
        turn.alert(Severity.NOTE, done, f"{what}: every row is inside its landing")
    turn.state = replace(state, asked_for="", scope="")


def _plan(turn: Turn, snapshot: Snapshot, policy: PolicyConfig, memory: Memory) -> HedgePlan | None:
    """The plan on the venues that take orders; None where none could be made."""
    state = turn.state
    closed = tuple(sorted(name for name, v in state.venues.items() if not v.takes_orders))
    settings = without_venues(turn.settings.desk, closed).model_copy(update={"policy": policy})
    try:
        plan = make_plan(snapshot, settings, memory=memory, history=price_history(state))
    except HedgerError as error:
        turn.alert(Severity.CRITICAL, "PLAN_FAILED", error.text())
        turn.note(error.text())
        return None
    turn.plan = plan
    return plan


def without_venues(settings: Settings, venues: tuple[str, ...]) -> Settings:
    """The settings with some venues denied on both sides."""
    if not venues:
        return settings
    chosen = settings.universe
    denied = {
        side: getattr(chosen, side).model_copy(update={"venues": (*getattr(chosen, side).venues, *venues)})
        for side in ("deny_buy", "deny_sell")
    }
    return settings.model_copy(update={"universe": chosen.model_copy(update=denied)})


def _note_failure(turn: Turn, moment: Moment, policy: PolicyConfig, decision: Due) -> None:
    """A plan that could not be made or brings nothing counts as an attempt: the pace caps those."""
    attempt = Attempt(tuple(sorted(decision.called)), {}, 0.0, False)
    memory = advance(turn.state.memory, moment, policy, decision, attempt)
    turn.state = replace(turn.state, memory=memory)


# -------------------------------------------------------------------------------------------------- execution


def _go_on(turn: Turn) -> bool:
    """One pass of the execution; whether another is called for within the same event."""
    state, execution = turn.state, turn.state.execution
    if execution is None:
        return False
    mine = state.unsettled(execution.id)
    sight = sight_of(turn)
    if sight is None:
        ending = execution.ending or "the book cannot be valued"
        turn.state = replace(state, execution=None if not mine else replace(execution, ending=ending))
        return False  # resting orders are cancelled by the watch
    done = work(execution, sight, mine, turn.settings.desk)
    turn.state = replace(turn.state, execution=done.execution)
    turn.cancel_each(done.cancels)
    refused = [wish for wish in done.wishes if not _send(turn, wish, sight)]
    if done.over:
        _finish(turn, done.execution, sight)
        return False
    if done.replan:
        _plan_anew(turn, done.execution)
        return True
    return bool(refused)


def sight_of(turn: Turn) -> Sight | None:
    """What the execution sees at this moment."""
    state, desk = turn.state, turn.settings.desk
    snapshot, value = state.snapshot, state.value
    if snapshot is None or value is None:
        return None
    market = replace(state.market, now_ns=turn.event.now_ns)
    age = desk.execution.book_age_s_max
    bad = {reading.underlying for reading in snapshot.bad_indexes}
    return Sight(
        now_ns=turn.now,
        snapshot=snapshot,
        value=value,
        market=market,
        sound=sound_listings(market, desk.age_s_max if age is None else age, bad),
        venues=frozenset(name for name, v in state.venues.items() if v.takes_orders),
        sending=state.acting.sends and not state.paused,
    )


def _send(turn: Turn, wish: Wish, sight: Sight) -> bool:
    """Ask the limits for an order, and send it if they let it out; whether they did."""
    state = turn.state
    execution = state.execution
    assert execution is not None
    order = Order(
        client_id=client_order_id(turn.settings.tag, turn.event.seq, wish.leg, wish.part),
        listing=wish.listing,
        side=wish.side,
        quantity=wish.quantity,
        price=wish.price,
        time_in_force=wish.time_in_force,
        account=turn.settings.accounts.get(wish.listing.venue, ""),
        post_only=wish.post_only,
        seq=turn.event.seq,
        leg=wish.leg,
        part=wish.part,
    )
    denied = permitted(turn, order, wish, sight, execution)
    if isinstance(denied, Denied):
        turn.verdicts.append(Verdict(order.client_id, denied.code, denied.text))
        turn.alert(Severity.WARNING, "ORDER_DENIED", denied.text)
        counters = replace(state.counters, refused=state.counters.refused + 1)
        ended = replace(execution, ending=execution.ending or f"refused: {denied.code}")
        turn.state = replace(state, counters=counters, execution=ended)
        return False
    turn.verdicts.append(Verdict(order.client_id))
    turn.actions.append(denied)
    record = OrderRecord(order, execution.id, turn.now, turn.event.now_ns)
    counters = replace(state.counters, orders=state.counters.orders + 1)
    turn.state = replace(state, orders=frozen({**state.orders, order.client_id: record}), counters=counters)
    return True


def permitted(turn: Turn, order: Order, wish: Wish, sight: Sight, execution: Execution) -> Submit | Denied:
    """The order with its permission, or why it may not go."""
    state, snapshot = turn.state, sight.snapshot
    row = snapshot.market.universe.positions[order.listing.key]
    effect = snapshot.exposure.traded[:, row] * float(order.signed)
    reduces = brings_nearer(snapshot, sight.value, effect)
    if order.client_id in state.orders:
        return Denied("ID_USED", f"ID_USED: {order.client_id} is an order already; nothing was sent")
    if wish.quantity > wish.parent:
        text = f"CHILD_ABOVE_PARENT: {wish.quantity} of a leg with {wish.parent} left; nothing was sent"
        return Denied("CHILD_ABOVE_PARENT", text)
    if state.acting is Mode.REDUCING and not reduces:
        text = f"REDUCING: {order.side} {order.quantity} {order.listing.symbol} brings the rows no nearer"
        return Denied("REDUCING", f"{text}; nothing was sent")
    situation = Situation(
        state=state,
        snapshot=snapshot,
        value=sight.value,
        effect=effect,
        market=sight.market,
        row=row,
        parent=wish.parent,
        execution=execution,
        reduces=reduces,
    )
    permission = turn.settings.gate(order, situation)
    if isinstance(permission, Denied):
        return permission
    if permission.item != order:
        return Denied(
            "OTHER_ORDER", f"OTHER_ORDER: the permission is not {order.client_id}'s; nothing was sent"
        )
    return Submit(permission)


def brings_nearer(snapshot: Snapshot, value: FloatArray, effect: FloatArray) -> bool:
    """Whether an order brings the rows nearer to their landing, in widths of their bands summed. The measure
    is convex in what is filled, so what holds for the whole order holds for every part of it."""
    bands = snapshot.bands
    width = widths(bands)
    before = excess(value, bands.landing_lower, bands.landing_upper, width)
    after = excess(value + effect, bands.landing_lower, bands.landing_upper, width)
    return bool(after < before)


def _plan_anew(turn: Turn, execution: Execution) -> None:
    """Plan the rest on the book as it is; without a plan that trades, the execution is over.

    The rows that it was called for are called until they are inside their landing, others when they are out.
    """
    if not value_book(turn) or turn.state.snapshot is None:
        turn.state = replace(turn.state, execution=replace(execution, ending="the book cannot be valued"))
        return
    latched = turn.state.memory.latched | set(execution.rows)
    memory = replace(turn.state.memory, latched=latched)
    plan = _plan(turn, turn.state.snapshot, forced(turn.settings.desk.policy, REST), memory)
    if plan is None or not plan.trades or plan.status not in (PlanStatus.HEDGE, PlanStatus.RELAXED):
        why = "no further plan" if plan is None else plan.reason
        ended = replace(execution, ending=f"{execution.replanning}; {why}")
        turn.state = replace(turn.state, execution=ended)
        return
    new = planned_anew(execution, plan, turn.settings.desk)
    turn.note(f"planned anew: {execution.replanning}")
    turn.ticket = Ticket.of(plan, unwind_lines(new))
    turn.state = replace(turn.state, execution=new)


def _finish(turn: Turn, execution: Execution, sight: Sight) -> None:
    """The last fill is in: compare with the ticket, and remember what was done."""
    state, desk = turn.state, turn.settings.desk
    check = verify(execution, sight.snapshot, sight.value)
    turn.verification = check
    turn.note(f"execution {execution.id} over: {execution.ending}")
    counters = replace(
        state.counters,
        turnover_usd=state.counters.turnover_usd + check.turnover_usd,
        slippage_usd=state.counters.slippage_usd + check.slippage_usd,
    )
    memory = state.memory
    attempt = _attempt(execution, check, sight, desk)
    if attempt is not None:
        moment = replace(execution.moment, now_ns=turn.event.now_ns)
        policy = forced(desk.policy) if state.asked_for else desk.policy
        decision = Due(True, frozenset(execution.rows), "", ())
        memory = advance(memory, moment, policy, decision, attempt)
    turn.state = replace(state, execution=None, counters=counters, memory=memory)
    if state.asked_for == "hedge":
        turn.state = replace(turn.state, asked_for="", scope="")


def _attempt(execution: Execution, check: Verification, sight: Sight, desk: Settings) -> Attempt | None:
    """What the pace remembers of it; nothing of one that a person stopped before it traded."""
    stopped = not sight.sending and check.turnover_usd == 0.0
    if stopped:
        return None
    rows = sight.snapshot.exposure.rows
    after = {row: float(x) for row, x in zip(rows, sight.value, strict=True) if np.isfinite(x)}
    hedged = landed(execution.rows, sight.snapshot, sight.value, desk.execution.landing_tolerance)
    return Attempt(execution.rows, after, check.turnover_usd, hedged)
