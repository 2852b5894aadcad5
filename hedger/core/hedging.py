"""From a valued book to orders: is a hedge due, the plan, its execution, and its end.

A quiet mark ends after the first question: no costs are reckoned and no plan is made. While an execution is
in work the policy is not asked: it is the execution's to bring the rows in, or to end.
"""

from __future__ import annotations

from dataclasses import replace

from hedger.core.actions import Severity
from hedger.core.aside import barred, in_force, shut_until
from hedger.core.decision import Ticket
from hedger.core.events import Tick
from hedger.core.execution import Execution, planned_anew, start, unwind_lines
from hedger.core.finishing import finish, report_flat
from hedger.core.flattening import WAITS_S, last_mile, linear_aside
from hedger.core.glance import Glance
from hedger.core.marking import look_again, price_history, value_book
from hedger.core.outside import left_out, told_already
from hedger.core.plans import forced, on_open_venues, plan_of, trades
from hedger.core.sending import send, send_combo
from hedger.core.sight import sight_of
from hedger.core.stranded import as_if_filled, stranded_orders, waited_for
from hedger.core.turn import Turn
from hedger.core.working import work
from hedger.moment import Attempt, Memory, Moment
from hedger.moment import Decision as Due
from hedger.planning import HedgePlan, PlanStatus
from hedger.policy.pace import advance, capped
from hedger.policy.triggering import ask, moment_of
from hedger.problem.snapshot import Snapshot
from hedger.sections.execution import ns
from hedger.sections.objective import Mode as Objective
from hedger.sections.policy import PolicyConfig
from pricing.daycount import iso

#: An execution may change its mind so often within one event: a slice refused, a new plan, its first slice.
PASSES = 4
#: A flatten plans with options anew so often; what is left then is for one linear instrument.
OPTION_REPLANS = 2


def hedge(turn: Turn, marked: bool) -> None:
    """Go on with the execution in work, or ask whether one is due. marked: the book was just valued."""
    before = turn.state.memory
    if turn.state.execution is not None:
        _work_on(turn)
    elif (marked or _freed(turn)) and turn.state.seen is not None and not _calm(turn, turn.state.seen):
        _ask_policy(turn, turn.state.seen)
    _tell_held(turn, before)


def _tell_held(turn: Turn, before: Memory) -> None:
    """Tell a person of rows whose last attempt was one too many: they are left alone for a while."""
    memory, policy, now_ns = turn.state.memory, turn.settings.desk.policy, turn.event.now_ns
    if memory.attempts is before.attempts:
        return
    for row in sorted({row for row, _ in memory.attempts}):
        held = capped(now_ns, row, policy, memory)
        if held is not None and capped(now_ns, row, policy, before) is None:
            turn.alert(Severity.WARNING, "ROW_HELD", f"{held.text}: {turn.why or 'the last ended'}")


def _freed(turn: Turn) -> bool:
    """Whether what stood against a hedge that was due is gone: armed, resumed, a venue that takes orders. It
    is asked for anew then, at the next tick: a market at rest may send no mark for long. The book is valued
    for it as of now."""
    ticked = isinstance(turn.event.what, Tick) and turn.state.withheld
    return ticked and turn.state.seen is not None and not _against(turn) and look_again(turn)


# ------------------------------------------------------------------------------------------------- is it due?


def _calm(turn: Turn, seen: Snapshot | Glance) -> bool:
    """Whether a glance is enough to say that nothing is due."""
    state, policy = turn.state, turn.settings.desk.policy
    if not isinstance(seen, Glance) or state.asked_for:
        return False
    moment = seen.moment()
    decision, _ = ask(moment, policy, state.memory)
    if not decision.due:
        turn.trigger = turn.why = decision.reason
        turn.state = state.having(memory=advance(state.memory, moment, policy, decision))
    return not decision.due


def _ask_policy(turn: Turn, seen: Snapshot | Glance) -> None:
    """Ask by the full look whether a hedge is due, and begin it."""
    state, desk = turn.state, turn.settings.desk
    policy = forced(desk.policy) if state.asked_for else desk.policy
    snapshot = as_if_filled(turn, seen.snapshot.get() if isinstance(seen, Glance) else seen)
    expiring = any(condition.expiry is not None for condition in policy.when.each())
    moment, memory = moment_of(snapshot, price_history(state), in_play=expiring), state.memory
    if state.asked_for:
        asked = (x for x in snapshot.exposure.rows if state.scope in ("", x.split(":")[1]))
        memory = replace(memory, latched=memory.latched.union(asked))
    decision, _ = ask(moment, policy, memory)
    turn.trigger, turn.due, turn.why = decision.reason, decision.due, decision.reason
    weighed = desk.objective.mode is Objective.UTILITY
    wanted = decision.due and bool(decision.called or weighed)
    against = (_against(turn) or _flatten_waits(turn, snapshot)) if wanted else ""
    turn.state = replace(turn.state, withheld=bool(against))
    if not wanted or against:
        if against:
            turn.note(against)
            turn.why = against
        elif state.asked_for:
            _asked_done(turn, decision)
        turn.state = replace(turn.state, memory=advance(state.memory, moment, policy, decision))
        return
    plan = plan_of(turn, snapshot, policy, memory, moment)
    if plan is None:
        _note_failure(turn, moment, policy, decision)
    elif trades(plan):
        _begin(turn, plan, moment, policy)
    else:
        _not_begun(turn, plan, moment, policy)


def _begin(turn: Turn, plan: HedgePlan, moment: Moment, policy: PolicyConfig) -> None:
    """Start the execution of a plan, and send its first orders."""
    state, settings = turn.state, turn.settings
    turn.trigger = plan.decision.reason
    execution = start(plan, settings.desk, moment, turn.event.seq, turn.now, settings.margin, state.width)
    execution = replace(execution, to_zero=state.asked_for == "flatten")
    turn.ticket = Ticket.of(plan, unwind_lines(execution))
    counters = replace(state.counters, executions=state.counters.executions + 1)
    memory = advance(state.memory, moment, policy, plan.decision)
    turn.state = replace(state, execution=execution, counters=counters, memory=memory, undone=None)
    _work_on(turn)


def _not_begun(turn: Turn, plan: HedgePlan, moment: Moment, policy: PolicyConfig) -> None:
    """A plan without trades, or one that may not be done: say so, once while it comes to the same."""
    turn.why = f"{plan.reason}{left_out(plan)}"
    again = told_already(turn, plan) and not turn.state.asked_for
    if again:
        undone = turn.state.undone
        assert undone is not None
        turn.note(f"planned the {undone.times}th time since {iso(undone.since_ns)}, to the same end")
    else:
        turn.ticket = Ticket.of(plan)
        turn.note(plan.reason)
    if plan.status is PlanStatus.NO_TRADE:
        memory = turn.state.memory
        if turn.state.asked_for:
            _asked_done(turn, plan.decision)
        turn.state = replace(turn.state, memory=advance(memory, moment, policy, plan.decision))
    else:
        if not again:
            turn.alert(Severity.WARNING, "NOT_HEDGED", f"a hedge is due and none is made: {turn.why}")
        until = shut_until(turn, plan.snapshot, plan.decision.called)
        if until is None:
            _note_failure(turn, moment, policy, plan.decision)
        else:
            _note_shut(turn, moment, policy, plan.decision, until)


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


def _flatten_waits(turn: Turn, snapshot: Snapshot) -> str:
    """What a flatten waits for rather than pay for options, "" where for nothing."""
    state, positions = turn.state, snapshot.market.universe.positions
    until = {
        (positions[key[:2]], key[2]): min(aside.until_ns, aside.since_ns + ns(WAITS_S))
        for key, aside in in_force(state, turn.now)
        if key[:2] in positions
    }
    until = {side: end for side, end in until.items() if turn.now < end}
    if state.asked_for != "flatten" or not until:
        return ""
    desk = on_open_venues(turn, turn.settings.desk)
    sides = linear_aside(barred(turn, snapshot), desk, until, state.scope)
    if not sides:
        return ""
    listings = snapshot.market.universe.listings
    names = ", ".join(f"{listings[row].symbol} on {listings[row].venue}" for row, _ in sides)
    at_ns = turn.event.now_ns + min(until[side] for side in sides) - turn.now
    return f"the flatten waits for {names}, which is set aside, until {iso(at_ns // 10**9 * 10**9)} at most"


def _asked_done(turn: Turn, decision: Due) -> None:
    """What a person asked for has no more to do, or may not be tried again now."""
    what = turn.state.asked_for
    if decision.guards and not decision.due:
        turn.alert(Severity.WARNING, f"{what.upper()}_INCOMPLETE", f"{what}: {decision.reason}")
    elif what == "flatten" and (sight := sight_of(turn)) is not None:
        report_flat(turn, sight)
    else:
        turn.alert(Severity.NOTE, "HEDGED", f"{what}: every row is inside its landing")
    turn.state = replace(turn.state, asked_for="", scope="", width=None)


def _note_failure(turn: Turn, moment: Moment, policy: PolicyConfig, decision: Due) -> None:
    """A plan that could not be made or brings nothing counts as an attempt: the pace caps those."""
    attempt = Attempt(tuple(sorted(decision.called)), {}, 0.0, False)
    memory = advance(turn.state.memory, moment, policy, decision, attempt)
    turn.state = replace(turn.state, memory=memory)


def _note_shut(turn: Turn, moment: Moment, policy: PolicyConfig, decision: Due, until_ns: int) -> None:
    """A plan that could not be made while sides are set aside is no attempt: its rows wait for those."""
    memory = advance(turn.state.memory, moment, policy, decision)
    others = tuple((row, end) for row, end in memory.shut if row not in decision.called)
    shut = (*others, *((row, until_ns) for row in sorted(decision.called)))
    turn.state = replace(turn.state, memory=replace(memory, shut=shut))


# -------------------------------------------------------------------------------------------------- execution


def _work_on(turn: Turn) -> None:
    """Pass over the execution until it waits for news."""
    for _ in range(PASSES):
        if not _go_on(turn):
            return


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
    turn.state = replace(turn.state, execution=replace(done.execution, waiting=done.waits))
    turn.cancel_each(done.cancels)
    refused = [wish for wish in done.wishes if not send(turn, wish, sight, execution)]
    if done.combined is not None and not send_combo(turn, done.combo, done.combined, sight):
        return True
    if done.over:
        finish(turn, done.execution, sight)
        return False
    if done.replan:
        now = replace(sight.snapshot, exposure=replace(sight.snapshot.exposure, value=sight.value))
        if waits := _flatten_waits(turn, now):
            turn.state = replace(turn.state, execution=replace(done.execution, waiting=waits))
            return False
        _plan_anew(turn, done.execution)
        return True
    return bool(refused)


def _plan_anew(turn: Turn, execution: Execution) -> None:
    """Plan the rest on the book as it is; without a plan that trades, the execution is over.

    The rows that it was called for are called until they are inside their landing, others when they are out.
    """
    if not value_book(turn) or turn.state.snapshot is None:
        turn.state = replace(turn.state, execution=execution.ended("the book cannot be valued"))
        return
    latched = turn.state.memory.latched | set(execution.rows)
    memory = replace(turn.state.memory, latched=latched)
    snapshot = barred(turn, as_if_filled(turn, turn.state.snapshot))
    desk = turn.settings.desk
    if execution.to_zero and (execution.filled or execution.replans >= OPTION_REPLANS):
        desk = last_mile(snapshot, desk)
    plan = plan_of(turn, snapshot, forced(desk.policy), memory, desk=desk)
    if plan is None or not trades(plan):
        why = "no further plan" if plan is None else f"{plan.reason}{left_out(plan)}"
        shut_out = plan is not None and shut_until(turn, snapshot, execution.rows) is not None
        ended = execution.ended(f"{execution.replanning}; {why}", failed=not execution.to_zero)
        ended = replace(ended, shut_out=shut_out)
        turn.state = replace(turn.state, execution=ended)
        turn.why = ended.ending
        return
    new = planned_anew(execution, plan, turn.settings.desk, turn.settings.margin, turn.state.width)
    turn.note(f"planned anew: {execution.replanning}")
    turn.ticket = Ticket.of(plan, unwind_lines(new))
    turn.state = replace(turn.state, execution=new)
