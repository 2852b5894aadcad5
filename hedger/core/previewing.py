"""The answer to a preview: the ticket that a hedge would begin with now, and what the limits would say of it.

It is planned as a hedge that a person asks for is planned, on the book and the market of this moment, and
nothing of it stays: no order, no execution, no attempt that the pace would remember. A hedge asked for later
is planned anew, on what the market is then. A flatten is previewed alike, to its own bands about zero.
"""

from __future__ import annotations

from dataclasses import replace

from hedger.core.aside import barred
from hedger.core.decision import Preview, Ticket, Verdict
from hedger.core.execution import Execution, start, unwind_lines
from hedger.core.flattening import flat_bands
from hedger.core.gate import Denied
from hedger.core.legs import widths
from hedger.core.marking import price_history, snapshot_of
from hedger.core.plans import forced, on_open_venues, trades
from hedger.core.sending import order_of, permitted
from hedger.core.sight import Sight, sight_of
from hedger.core.slicing import Wish
from hedger.core.state import State
from hedger.core.stranded import at_its_nearest, waited_for
from hedger.core.turn import Turn
from hedger.core.working import work
from hedger.planning import make_plan
from hedger.policy.triggering import moment_of
from pricing.errors import HedgerError

#: What an argument begins with that asks for the preview of a flatten: "flatten", or "flatten BTC".
FLATTEN = "flatten"


def preview(turn: Turn, asked: str) -> None:
    """Write into the decision what a hedge of an underlying, or with "" of all, would be; or a flatten."""
    word, _, scope = asked.partition(" ")
    if word != FLATTEN or turn.state.snapshot is None:
        _preview(turn, asked, "" if word == FLATTEN else asked)
        return
    kept = turn.state
    try:
        turn.state = _as_if_flattening(turn, scope)
        _preview(turn, asked, scope)
    except HedgerError as error:
        turn.preview = Preview(asked, None, (), "no plan can be made", (), error.text())
    finally:
        turn.state = kept


def _as_if_flattening(turn: Turn, scope: str) -> State:
    """The state with the bands that a flatten would have."""
    state, desk = turn.state, turn.settings.desk
    usual = snapshot_of(state, desk, state.overrides)
    flat = snapshot_of(state, desk, {**state.overrides, **flat_bands(usual, desk, scope)})
    width = widths(usual.bands)
    return replace(state, seen=flat, moved=None, width=width, asked_for=FLATTEN, scope=scope)


def _preview(turn: Turn, asked: str, scope: str) -> None:
    """The same for what is already in force. asked: as it is told."""
    state, desk = turn.state, turn.settings.desk
    sight = sight_of(turn)
    if sight is None:
        why = state.fault or "no mark has come yet"
        turn.preview = Preview(asked, None, (), why, (), "the book cannot be valued")
        return
    indexes = tuple((name, float(x)) for name, x in sight.snapshot.spot.items())
    if scope and scope not in sight.snapshot.underlyings:
        known = ", ".join(sight.snapshot.underlyings)
        turn.preview = Preview(asked, None, (), f"{scope!r} is none of {known}", indexes)
        return
    snapshot = barred(turn, at_its_nearest(turn, sight.snapshot))
    called = (row for row in snapshot.exposure.rows if scope in ("", row.split(":")[1]))
    memory = replace(state.memory, latched=state.memory.latched.union(called))
    moment, policy = moment_of(snapshot, price_history(state)), forced(desk.policy)
    settings = on_open_venues(turn, desk).model_copy(update={"policy": policy})
    try:
        plan = make_plan(snapshot, settings, memory=memory, history=price_history(state), moment=moment)
    except HedgerError as error:
        turn.preview = Preview(asked, None, (), "no plan can be made", indexes, error.text())
        return
    ticket, verdicts = Ticket.of(plan), tuple[Verdict, ...]()
    if trades(plan):
        begun = start(plan, desk, moment, turn.event.seq, turn.now, turn.settings.margin, state.width)
        begun = replace(begun, to_zero=state.asked_for == FLATTEN)
        ticket, verdicts = Ticket.of(plan, unwind_lines(begun)), _verdicts(turn, begun, sight)
    turn.preview = Preview(asked, ticket, verdicts, _against(turn), indexes, plan.reason)


def _verdicts(turn: Turn, begun: Execution, sight: Sight) -> tuple[Verdict, ...]:
    """What the limits say of the orders that an execution would begin with."""
    done = work(begun, replace(sight, sending=True), (), turn.settings.desk)
    return tuple(_verdict(turn, wish, sight, begun) for wish in done.wishes)


def _verdict(turn: Turn, wish: Wish, sight: Sight, begun: Execution) -> Verdict:
    order = order_of(turn, wish)
    said = permitted(turn, order, wish, sight, begun)
    return (
        Verdict(order.client_id, said.code, said.text)
        if isinstance(said, Denied)
        else Verdict(order.client_id)
    )


def _against(turn: Turn) -> str:
    """Why a hedge asked for now would not leave."""
    state = turn.state
    if not state.acting.sends:
        return f"the engine {state.acting.said}"
    if state.paused:
        return "the engine is paused"
    if not any(venue.takes_orders for venue in state.venues.values()):
        return "no venue takes orders"
    if state.execution is not None:
        return f"execution {state.execution.id} is in work: a hedge asked for ends it first"
    owed = waited_for(turn, state)
    return f"{', '.join(owed)} must be settled first" if owed else ""
