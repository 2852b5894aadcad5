"""The answer to a preview: the ticket that a hedge would begin with now, and what the limits would say of it.

It is planned as a hedge that a person asks for is planned, on the book and the market of this moment, and
nothing of it stays: no order, no execution, no attempt that the pace would remember. A hedge asked for later
is planned anew, on what the market is then.
"""

from __future__ import annotations

from dataclasses import replace

from hedger.core.decision import Preview, Ticket, Verdict
from hedger.core.execution import Execution, start, unwind_lines
from hedger.core.gate import Denied
from hedger.core.hedging import forced, permitted, sight_of, without_venues
from hedger.core.marking import price_history
from hedger.core.sight import Sight
from hedger.core.slicing import Wish
from hedger.core.stranded import as_if_filled, waited_for
from hedger.core.turn import Turn
from hedger.core.working import work
from hedger.planning import PlanStatus, make_plan
from hedger.policy.triggering import moment_of
from pricing.errors import HedgerError
from venues.orders import Order, client_order_id


def preview(turn: Turn, scope: str) -> None:
    """Write into the decision what a hedge of an underlying, or with "" of all, would be."""
    state, desk = turn.state, turn.settings.desk
    sight = sight_of(turn)
    if sight is None:
        why = state.fault or "no mark has come yet"
        turn.preview = Preview(scope, None, (), why, (), "the book cannot be valued")
        return
    indexes = tuple((name, float(x)) for name, x in sight.snapshot.spot.items())
    if scope and scope not in sight.snapshot.underlyings:
        known = ", ".join(sight.snapshot.underlyings)
        turn.preview = Preview(scope, None, (), f"{scope!r} is none of {known}", indexes)
        return
    snapshot = as_if_filled(turn, sight.snapshot)
    asked = (row for row in snapshot.exposure.rows if scope in ("", row.split(":")[1]))
    memory = replace(state.memory, latched=state.memory.latched.union(asked))
    moment, policy = moment_of(snapshot, price_history(state)), forced(desk.policy)
    closed = tuple(sorted(name for name, venue in state.venues.items() if not venue.takes_orders))
    settings = without_venues(desk, closed).model_copy(update={"policy": policy})
    try:
        plan = make_plan(snapshot, settings, memory=memory, history=price_history(state), moment=moment)
    except HedgerError as error:
        turn.preview = Preview(scope, None, (), "no plan can be made", indexes, error.text())
        return
    ticket, verdicts = Ticket.of(plan), tuple[Verdict, ...]()
    if plan.trades and plan.status in (PlanStatus.HEDGE, PlanStatus.RELAXED):
        begun = start(plan, desk, moment, turn.event.seq, turn.now, turn.settings.margin, state.width)
        ticket, verdicts = Ticket.of(plan, unwind_lines(begun)), _verdicts(turn, begun, sight)
    turn.preview = Preview(scope, ticket, verdicts, _against(turn), indexes, plan.reason)


def _verdicts(turn: Turn, begun: Execution, sight: Sight) -> tuple[Verdict, ...]:
    """What the limits say of the orders that an execution would begin with."""
    done = work(begun, replace(sight, sending=True), (), turn.settings.desk)
    return tuple(_verdict(turn, wish, sight, begun) for wish in done.wishes)


def _verdict(turn: Turn, wish: Wish, sight: Sight, begun: Execution) -> Verdict:
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
        return f"the engine is {state.acting}"
    if state.paused:
        return "the engine is paused"
    if not any(venue.takes_orders for venue in state.venues.values()):
        return "no venue takes orders"
    if state.execution is not None:
        return f"execution {state.execution.id} is in work: a hedge asked for ends it first"
    owed = waited_for(turn, state)
    return f"{', '.join(owed)} must be settled first" if owed else ""
