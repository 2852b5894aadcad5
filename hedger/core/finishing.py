"""The end of an execution: what came of it, what is remembered of it, and what a person is told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hedger.core.actions import Severity
from hedger.core.execution import Execution, unwind_lines
from hedger.core.flattening import left_over
from hedger.core.legs import excess, widths
from hedger.core.marking import value_book
from hedger.core.plans import forced
from hedger.core.sight import Sight, sight_of
from hedger.core.state import State
from hedger.core.turn import Turn
from hedger.core.unwinding import stranded
from hedger.core.verification import Verification, landed, verify
from hedger.core.working import NO_ORDERS
from hedger.moment import Attempt
from hedger.moment import Decision as Due
from hedger.policy.pace import advance
from hedger.settings import Settings
from risk.throttle import Hedge

#: How the end of an execution that a person or a breaker stopped begins.
STOPPED_BY = "stopped, "
#: So many hedges of late are remembered, beside the newest: as many as a limit may count
#: (`repeat.fruitless_max`).
HEDGES_KEPT = 99


def finish(turn: Turn, execution: Execution, sight: Sight) -> None:
    """The last fill is in: compare with the ticket, and remember what was done."""
    if value_book(turn):  # what the fills really paid counts from here on
        sight = sight_of(turn) or sight
    state, desk = turn.state, turn.settings.desk
    if execution.ending == NO_ORDERS:
        execution = replace(execution, ending=f"{STOPPED_BY}{_stopped_by(state)}")
    check = verify(execution, sight.snapshot, sight.value)
    turn.verification = check
    turn.note(f"execution {execution.id} over: {execution.ending}")
    turn.why = f"the last hedge ended: {execution.ending}"
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
    # What a person or a breaker has stopped is asked for anew as soon as nothing stands against it.
    turn.state = replace(
        state, execution=None, counters=counters, memory=memory, hedges=hedges, withheld=not sight.sending
    )
    if execution.superseded:
        return  # what was asked for meanwhile is still to be done: at the next mark
    if state.asked_for == "hedge":
        turn.state = replace(turn.state, asked_for="", scope="")
    elif state.asked_for == "flatten" and not execution.failed:
        report_flat(turn, sight)


def _stopped_by(state: State) -> str:
    """What took away the leave to send."""
    if not state.acting.sends:
        return f"{state.acting}: {state.reason}"
    return f"paused: {state.reason}"


def _say_what_is_left(turn: Turn, execution: Execution, sight: Sight) -> None:
    """Tell a person when legs stand that should not: the unwind could not be done, or not to its end."""
    if stranded(execution, sight):
        stuck = {leg.listing.key for leg in execution.legs if leg.left > 0} & sight.untradable.keys()
        named = "".join(f"; {key[1]} on {key[0]}: {sight.untradable[key]}" for key in sorted(stuck))
        way_back = "; ".join(unwind_lines(execution)) or "none"
        turn.alert(
            Severity.CRITICAL,
            "LEGS_LEFT",
            f"execution {execution.id} ended ({execution.ending}) with legs done that leave the book further "
            f"outside its bands than before; the way back: {way_back}{named}",
        )


def report_flat(turn: Turn, sight: Sight) -> None:
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
    reasons or sides set aside kept from trading."""
    by_a_person = execution.superseded or not sight.sending
    if (by_a_person or execution.held or execution.shut_out) and check.turnover_usd == 0.0:
        return None
    rows = sight.snapshot.exposure.rows
    after = {row: float(x) for row, x in zip(rows, sight.value, strict=True) if np.isfinite(x)}
    hedged = landed(execution.rows, sight.snapshot, sight.value, desk.execution.landing_tolerance)
    return Attempt(execution.rows, after, check.turnover_usd, hedged)
