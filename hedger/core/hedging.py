"""From a valued book to orders: is a hedge due, the plan, its execution, the limits, and what came of it.

A quiet mark ends after the first question: no costs are reckoned and no plan is made. While an execution is
in work the policy is not asked: it is the execution's to bring the rows in, or to end.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from hedger.core.actions import Severity, Submit, SubmitCombo
from hedger.core.decision import Ticket, Verdict
from hedger.core.execution import Execution, on_leg, planned_anew, start, unwind_lines
from hedger.core.flattening import last_mile, left_over
from hedger.core.gate import Denied, Situation
from hedger.core.glance import Glance
from hedger.core.legs import excess, widths
from hedger.core.marking import price_history, value_book
from hedger.core.order_life import OrderRecord
from hedger.core.sight import Sight, sound_listings
from hedger.core.slicing import Wish
from hedger.core.state import Mode, State, frozen
from hedger.core.stranded import as_if_filled, stranded_effect, stranded_orders, waited_for
from hedger.core.turn import Turn
from hedger.core.unwinding import stranded
from hedger.core.verification import Verification, landed, verify
from hedger.core.working import NO_ORDERS, work
from hedger.moment import Attempt, Memory, Moment
from hedger.moment import Decision as Due
from hedger.planning import HedgePlan, PlanStatus, make_plan
from hedger.policy.pace import advance
from hedger.policy.triggering import ask, moment_of
from hedger.problem.snapshot import Snapshot
from hedger.sections.execution import ns
from hedger.sections.objective import Mode as Objective
from hedger.sections.policy import Breach, Condition, PolicyConfig
from hedger.settings import Settings
from pricing.errors import HedgerError
from pricing.universe import FloatArray
from risk.throttle import Hedge
from venues.orders import Order, client_order_id

#: An execution may change its mind so often within one event: a slice refused, a new plan, its first slice.
PASSES = 4
#: A flatten plans with options anew so often; what is left then is for one linear instrument.
OPTION_REPLANS = 2
#: How the end of an execution that a person or a breaker stopped begins.
STOPPED_BY = "stopped, "
#: So many hedges of late are remembered, beside the newest: as many as a limit may count
#: (`repeat.fruitless_max`).
HEDGES_KEPT = 99
#: Rows once called are called until they are inside their landing: with every row taken for called, every one
#: that is outside its landing.
REST = Condition(breach=Breach(until_landing=True))


def hedge(turn: Turn, marked: bool) -> None:
    """Go on with the execution in work, or ask whether one is due. marked: the book was just valued."""
    if turn.state.execution is not None:
        for _ in range(PASSES):
            if not _go_on(turn):
                return
    elif marked and turn.state.seen is not None:
        _ask_policy(turn, turn.state.seen)


# ------------------------------------------------------------------------------------------------- is it due?


def _ask_policy(turn: Turn, seen: Snapshot | Glance) -> None:
    state, desk = turn.state, turn.settings.desk
    policy = forced(desk.policy) if state.asked_for else desk.policy
    if isinstance(seen, Glance) and not state.asked_for:
        moment = seen.moment()
        decision, _ = ask(moment, policy, state.memory)
        if not decision.due:
            turn.trigger = decision.reason
            turn.state = state.having(memory=advance(state.memory, moment, policy, decision))
            return
    # something is to be done: that is for the full look, at this very moment
    snapshot = as_if_filled(turn, seen.snapshot.get() if isinstance(seen, Glance) else seen)
    moment, memory = moment_of(snapshot, price_history(state)), state.memory
    if state.asked_for:
        asked = (x for x in snapshot.exposure.rows if state.scope in ("", x.split(":")[1]))
        memory = replace(memory, latched=memory.latched.union(asked))
    decision, _ = ask(moment, policy, memory)
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
    plan = _plan(turn, snapshot, policy, memory, moment)
    if plan is None:
        _note_failure(turn, moment, policy, decision)
        return
    if plan.trades and plan.status in (PlanStatus.HEDGE, PlanStatus.RELAXED):
        turn.trigger = plan.decision.reason
        margin = turn.settings.margin
        execution = start(plan, desk, moment, turn.event.seq, turn.now, margin, state.width)
        execution = replace(execution, to_zero=state.asked_for == "flatten")
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
        turn.alert(Severity.WARNING, "NOT_HEDGED", f"a hedge is due and none is made: {plan.reason}")
        _note_failure(turn, moment, policy, plan.decision)


def forced(policy: PolicyConfig, when: Condition = REST) -> PolicyConfig:
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
    owed = waited_for(turn, state)
    if owed:
        return f"a hedge is due and waits for {', '.join(owed)} to be settled"
    if not any(v.takes_orders for v in state.venues.values()):
        return "a hedge is due and no venue takes orders"
    return ""


def _asked_done(turn: Turn, decision: Due) -> None:
    """What a person asked for has no more to do, or may not be tried again now."""
    what = turn.state.asked_for
    if decision.guards and not decision.due:
        turn.alert(Severity.WARNING, f"{what.upper()}_INCOMPLETE", f"{what}: {decision.reason}")
    elif what == "flatten" and (sight := sight_of(turn)) is not None:
        _report_flat(turn, sight)
    else:
        turn.alert(Severity.NOTE, "HEDGED", f"{what}: every row is inside its landing")
    turn.state = replace(turn.state, asked_for="", scope="", width=None)


def _plan(
    turn: Turn,
    snapshot: Snapshot,
    policy: PolicyConfig,
    memory: Memory,
    moment: Moment | None = None,
    desk: Settings | None = None,
) -> HedgePlan | None:
    """The plan on the venues that take orders; None where none could be made. desk: None for the desk's."""
    state = turn.state
    closed = tuple(sorted(name for name, v in state.venues.items() if not v.takes_orders))
    settings = without_venues(desk or turn.settings.desk, closed).model_copy(update={"policy": policy})
    try:
        plan = make_plan(snapshot, settings, memory=memory, history=price_history(state), moment=moment)
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
    stranded = stranded_orders(turn)  # not waited for, and counted as filled in what the execution sees
    mine = tuple(record for record in state.unsettled(execution.id) if record not in stranded)
    sight = sight_of(turn)
    if sight is None:
        ending = execution.ending or "the book cannot be valued"
        turn.state = replace(state, execution=None if not mine else replace(execution, ending=ending))
        return False  # resting orders are cancelled by the watch
    done = work(execution, sight, mine, turn.settings.desk)
    turn.state = replace(turn.state, execution=done.execution)
    turn.cancel_each(done.cancels)
    refused = [wish for wish in done.wishes if not _send(turn, wish, sight, execution)]
    if done.combined is not None and not _send_combo(turn, done.combo, done.combined, sight):
        return True
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
    effect = stranded_effect(turn, snapshot)
    value = value if effect is None else value + effect
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
        width=widths(snapshot.bands) if state.width is None else state.width,
        combos=turn.settings.combos,
        largest=partial(turn.settings.largest, snapshot),
    )


def _send(turn: Turn, wish: Wish, sight: Sight, unsent: Execution) -> bool:
    """Ask the limits for an order, and send it if they let it out; False if they refused it for good. unsent:
    the execution before it wished for the order, which it wishes for again where it has only to wait."""
    state = turn.state
    execution = state.execution
    assert execution is not None
    order = _order_of(turn, wish)
    denied = permitted(turn, order, wish, sight, execution)
    if isinstance(denied, Denied):
        turn.verdicts.append(Verdict(order.client_id, denied.code, denied.text))
        if denied.waits:
            _hold(turn, wish, denied, unsent)
            return True
        turn.alert(Severity.WARNING, "ORDER_DENIED", denied.text)
        if denied.pauses:
            turn.alert(Severity.CRITICAL, "PAUSED", f"paused until a person resumes: {denied.text}")
            state = replace(state, paused=True)
        counters = replace(state.counters, refused=state.counters.refused + 1)
        ended = execution.ended(f"refused: {denied.code}")
        if ended.unwinding:
            ended = replace(ended, rejects=turn.settings.desk.execution.rejects_max)
        turn.state = replace(state, counters=counters, execution=ended)
        return False
    turn.verdicts.append(Verdict(order.client_id))
    turn.actions.append(denied)
    turn.state = replace(state, execution=replace(execution, held=0))
    _on_record(turn, order, execution)
    return True


def _hold(turn: Turn, wish: Wish, denied: Denied, unsent: Execution) -> None:
    """Try again later: after a slice where it is credits alone, else after 1, 2, 4, .. seconds; told once."""
    config, held = turn.settings.desk.execution, unsent.held
    seconds = config.slice_interval_s
    if denied.passing:
        if held == 0:
            turn.alert(Severity.WARNING, "ORDER_HELD", f"tried again until it passes: {denied.text}")
        seconds = min(2.0 ** min(held, 20), config.refused_again_s_max)
        held += 1
    next_ns = turn.now + ns(seconds)
    later = on_leg(unsent, wish.leg, lambda leg: replace(leg, next_ns=next_ns))
    turn.state = replace(turn.state, execution=replace(later, held=held))


def _send_combo(turn: Turn, wishes: tuple[Wish, ...], sent: Execution, sight: Sight) -> bool:
    """Ask the limits for every leg of a combo, each beside the ones before it, and send it if all may go;
    whether they do. The limits count each leg as filled and as not filled whatever becomes of the others,
    which is never less than what the combo can come to. sent: the execution once they are out."""
    before = turn.state
    execution = before.execution
    assert execution is not None
    first = client_order_id(turn.settings.tag, turn.event.seq, wishes[0].leg, wishes[0].part)
    permissions = []
    for wish in wishes:
        order = replace(_order_of(turn, wish), combo=first, ratio=wish.ratio)
        allowed = permitted(turn, order, wish, sight, execution)
        if isinstance(allowed, Denied):
            turn.verdicts.append(Verdict(order.client_id, allowed.code, allowed.text))
            turn.note(f"no combo: {allowed.text}")
            turn.state = replace(before, execution=replace(execution, singly=True))
            return False
        _on_record(turn, order, execution)
        permissions.append(allowed.approved)
    turn.verdicts += [Verdict(permission.item.client_id) for permission in permissions]
    turn.actions.append(SubmitCombo(tuple(permissions)))
    turn.state = replace(turn.state, execution=sent)
    return True


def _order_of(turn: Turn, wish: Wish) -> Order:
    """The order that a wish comes to."""
    return Order(
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


def _on_record(turn: Turn, order: Order, execution: Execution) -> None:
    """An order is decided: from here on it counts as filled and as not filled."""
    state = turn.state
    record = OrderRecord(order, execution.id, turn.now, turn.event.now_ns)
    counters = replace(state.counters, orders=state.counters.orders + 1)
    turn.state = replace(state, orders=frozen({**state.orders, order.client_id: record}), counters=counters)


def permitted(turn: Turn, order: Order, wish: Wish, sight: Sight, execution: Execution) -> Submit | Denied:
    """The order with its permission, or why it may not go."""
    state, snapshot = turn.state, sight.snapshot
    row = snapshot.market.universe.positions[order.listing.key]
    effect = snapshot.exposure.traded[:, row] * float(order.signed)
    reduces = brings_nearer(sight, effect)
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


def brings_nearer(sight: Sight, effect: FloatArray) -> bool:
    """Whether an order brings the rows nearer to their landing, in widths of their bands summed. The measure
    is convex in what is filled, so what holds for the whole order holds for every part of it."""
    bands = sight.snapshot.bands
    before = excess(sight.value, bands.landing_lower, bands.landing_upper, sight.width)
    after = excess(sight.value + effect, bands.landing_lower, bands.landing_upper, sight.width)
    return bool(after < before)


def _plan_anew(turn: Turn, execution: Execution) -> None:
    """Plan the rest on the book as it is; without a plan that trades, the execution is over.

    The rows that it was called for are called until they are inside their landing, others when they are out.
    """
    if not value_book(turn) or turn.state.snapshot is None:
        turn.state = replace(turn.state, execution=execution.ended("the book cannot be valued"))
        return
    latched = turn.state.memory.latched | set(execution.rows)
    memory = replace(turn.state.memory, latched=latched)
    snapshot = as_if_filled(turn, turn.state.snapshot)
    desk = turn.settings.desk
    if execution.to_zero and (execution.filled or execution.replans >= OPTION_REPLANS):
        desk = last_mile(snapshot, desk)
    plan = _plan(turn, snapshot, forced(desk.policy), memory, desk=desk)
    if plan is None or not plan.trades or plan.status not in (PlanStatus.HEDGE, PlanStatus.RELAXED):
        why = "no further plan" if plan is None else plan.reason
        ended = execution.ended(f"{execution.replanning}; {why}", failed=not execution.to_zero)
        turn.state = replace(turn.state, execution=ended)
        return
    new = planned_anew(execution, plan, turn.settings.desk, turn.settings.margin, turn.state.width)
    turn.note(f"planned anew: {execution.replanning}")
    turn.ticket = Ticket.of(plan, unwind_lines(new))
    turn.state = replace(turn.state, execution=new)


def _finish(turn: Turn, execution: Execution, sight: Sight) -> None:
    """The last fill is in: compare with the ticket, and remember what was done."""
    if value_book(turn):  # what the fills really paid counts from here on
        sight = sight_of(turn) or sight
    state, desk = turn.state, turn.settings.desk
    if execution.ending == NO_ORDERS:
        execution = replace(execution, ending=f"{STOPPED_BY}{_stopped_by(state)}")
    check = verify(execution, sight.snapshot, sight.value)
    turn.verification = check
    turn.note(f"execution {execution.id} over: {execution.ending}")
    if execution.failed:
        _say_what_is_left(turn, execution, sight)
    counters = replace(
        state.counters,
        turnover_usd=state.counters.turnover_usd + check.turnover_usd,
        slippage_usd=state.counters.slippage_usd + check.slippage_usd,
    )
    memory = state.memory
    attempt = _attempt(execution, check, sight, desk)
    hedges = state.hedges
    if check.turnover_usd != 0.0:
        before, after = risk_of_hedge(execution, sight)
        hedges = (*hedges[-HEDGES_KEPT:], Hedge(turn.now, before, after))
    if attempt is not None:
        moment = replace(execution.moment, now_ns=turn.event.now_ns)
        policy = forced(desk.policy) if state.asked_for else desk.policy
        decision = Due(True, frozenset(execution.rows), "", ())
        memory = advance(memory, moment, policy, decision, attempt)
    turn.state = replace(state, execution=None, counters=counters, memory=memory, hedges=hedges)
    if execution.superseded:
        return  # what was asked for meanwhile is still to be done: at the next mark
    if state.asked_for == "hedge":
        turn.state = replace(turn.state, asked_for="", scope="")
    elif state.asked_for == "flatten" and not execution.failed:
        _report_flat(turn, sight)


def _stopped_by(state: State) -> str:
    """What took away the leave to send."""
    if not state.acting.sends:
        return f"{state.acting}: {state.reason}"
    return f"paused: {state.reason}"


def _say_what_is_left(turn: Turn, execution: Execution, sight: Sight) -> None:
    """Tell a person when legs stand that should not: the unwind could not be done, or not to its end."""
    if stranded(execution, sight):
        turn.alert(
            Severity.CRITICAL,
            "LEGS_LEFT",
            f"execution {execution.id} ended ({execution.ending}) with legs done that leave the book further "
            f"outside its bands than before; the way back: {'; '.join(unwind_lines(execution)) or 'none'}",
        )


def _report_flat(turn: Turn, sight: Sight) -> None:
    """A flatten has done what it planned: what is flat, and what lots could not bring there."""
    state = turn.state
    left = left_over(sight.snapshot, sight.value, state.scope)
    what = f"flatten {state.scope}".rstrip()
    if left:
        rows = ", ".join(f"{row} {x:.6g}" for row, x in left)
        text = f"{what}: as near as whole lots come; not flat: {rows}"
        turn.alert(Severity.WARNING, "FLATTEN_INCOMPLETE", text)
    else:
        turn.alert(Severity.NOTE, "FLATTENED", f"{what}: every row is flat")
    turn.state = replace(state, asked_for="", scope="", width=None)


def risk_of_hedge(execution: Execution, sight: Sight) -> tuple[float, float]:
    """(before, after) of what a hedge was for: how far its rows were and are outside their landing, in widths
    of their bands; of one that weighed risk, the risk that its objective had, USD, and has by its fills."""
    snapshot, weighed = sight.snapshot, execution.weighed
    if weighed is not None:
        rows = np.array(weighed.risk)
        left = rows.copy()
        for leg in execution.since_plan:
            if leg.filled:
                per_unit = weighed.risk_per_unit.get(leg.listing.key, (np.nan,) * rows.size)
                left += np.array(per_unit) * leg.side.sign * float(leg.filled)
        return 0.5 * float(rows @ rows), 0.5 * float(left @ left)
    bands, names = snapshot.bands, snapshot.exposure.rows
    told = {row: x for u in execution.moment.underlyings for row, x in zip(u.rows, u.value, strict=True)}
    width = np.where([name in execution.rows for name in names], widths(bands), np.inf)
    first = np.array([told.get(name, np.nan) for name in names])
    ends = (bands.landing_lower, bands.landing_upper, width)
    return excess(first, *ends), excess(sight.value, *ends)


def _attempt(execution: Execution, check: Verification, sight: Sight, desk: Settings) -> Attempt | None:
    """What the pace remembers of it; nothing of one that a person stopped before it traded, or that passing
    reasons kept from trading."""
    by_a_person = execution.superseded or not sight.sending
    if (by_a_person or execution.held) and check.turnover_usd == 0.0:
        return None
    rows = sight.snapshot.exposure.rows
    after = {row: float(x) for row, x in zip(rows, sight.value, strict=True) if np.isfinite(x)}
    hedged = landed(execution.rows, sight.snapshot, sight.value, desk.execution.landing_tolerance)
    return Attempt(execution.rows, after, check.turnover_usd, hedged)
