"""From a valued book to orders: is a hedge due, the plan, its execution, and its end.

A quiet mark ends after the first question: no costs are reckoned and no plan is made. While an execution is
in work the policy is not asked: it is the execution's to bring the rows in, or to end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from hedger.core.actions import Severity
from hedger.core.aside import barred, in_force, shut_until, unquoted_until
from hedger.core.decision import Ticket
from hedger.core.events import Tick
from hedger.core.execution import Execution, planned_anew, start, unwind_lines
from hedger.core.finishing import finish, report_flat
from hedger.core.flattening import WAITS_S, last_mile, linear_aside, without
from hedger.core.glance import Glance
from hedger.core.marking import look_again, price_history, value_book
from hedger.core.outside import left_out, told_already
from hedger.core.plans import forced, on_open_venues, plan_of, trades
from hedger.core.previewed import other_than
from hedger.core.sending import send, send_combo
from hedger.core.sight import sight_of
from hedger.core.state import frozen
from hedger.core.stranded import at_its_nearest, stranded_orders, waited_for
from hedger.core.turn import Turn
from hedger.core.working import work
from hedger.moment import Attempt, Memory, Moment
from hedger.moment import Decision as Due
from hedger.planning import HedgePlan, PlanStatus
from hedger.policy.pace import advance, capped, way_in
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
        state = turn.state
        if (
            state.execution is None
            and state.waits
            and state.asked_for == "flatten"
            and state.seen is not None
        ):
            _ask_policy(turn, state.seen)  # for the coins that it does not wait for
    elif (marked or _freed(turn)) and turn.state.seen is not None and not _calm(turn, turn.state.seen):
        _ask_policy(turn, turn.state.seen)
    if turn.state.waits and turn.state.asked_for != "flatten":
        turn.state = replace(turn.state, waits=frozen({}))
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
    snapshot = at_its_nearest(turn, seen.snapshot.get() if isinstance(seen, Glance) else seen)
    expiring = any(condition.expiry is not None for condition in policy.when.each())
    moment, memory = moment_of(snapshot, price_history(state), in_play=expiring), state.memory
    if state.asked_for:
        # a coin that need not wait has had its turn while another waits: it is not chased within its band
        coins = state.waits or snapshot.underlyings
        asked = (x for x in snapshot.exposure.rows if state.scope in ("", x.split(":")[1]))
        memory = replace(memory, latched=memory.latched.union(x for x in asked if x.split(":")[1] in coins))
    decision, _ = ask(moment, policy, memory)
    turn.trigger, turn.due, turn.why = decision.reason, decision.due, decision.reason
    weighed = desk.objective.mode is Objective.UTILITY
    wanted = decision.due and bool(decision.called or weighed)
    against, now, desk = _against(turn) if wanted else "", moment, turn.settings.desk
    if wanted and not against and (waits := _flatten_waits(turn, snapshot)):
        now = replace(moment, underlyings=tuple(u for u in moment.underlyings if u.name not in waits))
        desk = without(desk, snapshot.market.universe, waits)
        others, _ = ask(now, policy, memory)
        against = "" if others.due and others.called else _waits_said(turn, waits)
        if not against:
            turn.note(_waits_said(turn, waits))
    if state.asked_for and not decision.due and any(guard.name == "aside" for guard in decision.guards):
        against = decision.reason  # it opens by itself: what a person asked for stays asked for
    turn.state = replace(turn.state, withheld=bool(against))
    if not wanted or against:
        if against:
            turn.note(against)
            turn.why = against
        elif state.asked_for:
            _asked_done(turn, decision)
        turn.state = replace(turn.state, memory=advance(state.memory, moment, policy, decision))
        return
    plan = plan_of(turn, snapshot, policy, memory, now, desk)
    if plan is None:
        _note_failure(turn, moment, policy, decision)
    elif trades(plan):
        if other := _other_than_previewed(turn, plan):
            _refuse_other(turn, other)
            return
        _begin(turn, plan, moment, policy, partial=now is not moment)
    else:
        _not_begun(turn, plan, moment, policy)


def _begin(turn: Turn, plan: HedgePlan, moment: Moment, policy: PolicyConfig, partial: bool) -> None:
    """Start the execution of a plan, and send its first orders. partial: it leaves out what a flatten waits
    for, and its end is not that of the flatten."""
    state, settings = turn.state, turn.settings
    turn.trigger = plan.decision.reason
    execution = start(plan, settings.desk, moment, turn.event.seq, turn.now, settings.margin, state.width)
    execution = replace(execution, to_zero=state.asked_for == "flatten", superseded=partial)
    turn.ticket = Ticket.of(plan, unwind_lines(execution))
    counters = replace(state.counters, executions=state.counters.executions + 1)
    memory = advance(state.memory, moment, policy, plan.decision)
    turn.state = replace(state, execution=execution, counters=counters, memory=memory, undone=None)
    _work_on(turn)


def _other_than_previewed(turn: Turn, plan: HedgePlan) -> str:
    """Why a plan is not what a person had seen of the hedge, "" where it is, or he had seen none."""
    state = turn.state
    if state.asked_for != "hedge" or state.previewed is None:
        return ""
    return other_than(state.previewed, plan.trades, plan.cost.total, turn.settings.desk.execution)


def _refuse_other(turn: Turn, why: str) -> None:
    """Send nothing of a hedge that has become another one since its preview, and show what it is by now."""
    turn.shown = turn.state.scope
    turn.why = f"no hedge: {why}; its new preview is in this record"
    turn.alert(Severity.WARNING, "HEDGE_REFUSED", turn.why)
    turn.note(turn.why)
    turn.state = replace(turn.state, asked_for="", scope="", previewed=None)


def _not_begun(turn: Turn, plan: HedgePlan, moment: Moment, policy: PolicyConfig) -> None:
    """A plan without trades, or one that may not be done: say so, once while it comes to the same."""
    turn.why = f"{plan.reason}{left_out(plan)}"
    waited = any(x[0] in plan.decision.called for x in turn.state.memory.shut)
    again = told_already(turn, plan) and (not turn.state.asked_for or waited)
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
        called = plan.decision.called
        until = shut_until(turn, plan.snapshot, called)
        if until is None:
            until = unquoted_until(turn, plan.snapshot, called, policy.attempt_pause_s)
        if until is None:
            _note_failure(turn, moment, policy, plan.decision)
        else:
            _note_shut(turn, moment, policy, plan.decision, until)


def _against(turn: Turn) -> str:
    """Why no hedge is begun though one is due, "" where nothing stands against it."""
    state = turn.state
    if not state.acting.sends:
        return f"a hedge is due and the engine {state.acting.said}"
    if state.paused:
        return "a hedge is due and the engine is paused"
    owed = waited_for(turn, state)
    if owed:
        return f"a hedge is due and waits for {', '.join(owed)} to be settled"
    if not any(v.takes_orders for v in state.venues.values()):
        return "a hedge is due and no venue takes orders"
    return ""


def _flatten_waits(turn: Turn, snapshot: Snapshot) -> Mapping[str, tuple[int, str]]:
    """The coins for which a flatten waits rather than pay for options: until when at most, monotonic, and
    for what. Each has one time to wait in all, whatever is tried meanwhile."""
    state, universe = turn.state, snapshot.market.universe
    if state.asked_for != "flatten":
        return {}
    until = {
        (universe.positions[key[:2]], key[2]): aside.until_ns
        for key, aside in in_force(state, turn.now)
        if key[:2] in universe.positions
    }
    if not until:
        return {}
    desk, found = on_open_venues(turn, turn.settings.desk), dict[str, list[tuple[int, int]]]()
    for side in linear_aside(barred(turn, snapshot), desk, until, state.scope):
        found.setdefault(universe.listings[side[0]].contract.underlying, []).append(side)
    ends = {**state.waits, **{name: turn.now + ns(WAITS_S) for name in found if name not in state.waits}}
    if len(ends) > len(state.waits):
        turn.state = replace(state, waits=frozen(ends))
    waits = dict[str, tuple[int, str]]()
    for name, sides in found.items():
        listings = (universe.listings[row] for row, _ in sides)
        if turn.now < ends[name]:
            names = ", ".join(f"{x.symbol} on {x.venue}" for x in listings)
            waits[name] = min(ends[name], *(until[side] for side in sides)), names
    return waits


def _waits_said(turn: Turn, waits: Mapping[str, tuple[int, str]]) -> str:
    at_ns = turn.event.now_ns + min(end for end, _ in waits.values()) - turn.now
    names = ", ".join(names for _, names in waits.values())
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
    """A plan that could not be made while sides are set aside, or not quoted, is no attempt: its rows wait
    for those."""
    memory = advance(turn.state.memory, moment, policy, decision)
    others = tuple(x for x in memory.shut if x[0] not in decision.called)
    ways = sorted(
        (row, way_in(u, i))
        for u in moment.underlyings
        for i, row in enumerate(u.rows)
        if row in decision.called
    )
    shut = (*others, *((row, until_ns, way) for row, way in ways))
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
    stranded = stranded_orders(turn)  # not waited for; the execution sees the rows where they need the least
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
        if waits := _flatten_waits(turn, now):  # what need not wait is planned afresh
            ended = done.execution.ended(_waits_said(turn, waits), failed=False)
            turn.state = replace(turn.state, execution=replace(ended, superseded=True))
            return True
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
    snapshot = barred(turn, at_its_nearest(turn, turn.state.snapshot))
    desk = turn.settings.desk
    if execution.to_zero and (execution.filled or execution.replans >= OPTION_REPLANS):
        desk = last_mile(snapshot, desk)
    plan = plan_of(turn, snapshot, forced(desk.policy), memory, desk=desk)
    if plan is None or not trades(plan):
        why = "no further plan" if plan is None else f"{plan.reason}{left_out(plan)}"
        shut_out = plan is not None and shut_until(turn, snapshot, execution.rows) is not None
        ended = execution.ended(f"{execution.replanning}; {why}", failed=not execution.to_zero)
        unbegun = shut_out and execution.to_zero and not execution.filled  # it waits, and is not given up
        ended = replace(ended, shut_out=shut_out, superseded=execution.superseded or unbegun)
        turn.state = replace(turn.state, execution=ended)
        turn.why = ended.ending
        return
    new = planned_anew(execution, plan, turn.settings.desk, turn.settings.margin, turn.state.width)
    turn.note(f"planned anew: {execution.replanning}")
    turn.ticket = Ticket.of(plan, unwind_lines(new))
    turn.state = replace(turn.state, execution=new)
