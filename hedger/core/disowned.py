"""Orders that a venue says it never had: lost on the way, forgotten since, or disowned against its own word.

A venue that never had an order never gave it a number. One that has taken an order and knows of none a moment
later speaks of another account than the one that took it (the key of one, used with the name of another), or
has lost what it promised to keep. What such an order was for is not sent again: the engine halts, until the
venue shows the order, or may have forgotten it, or a person takes its word (`arm` with `accept`).
"""

from __future__ import annotations

from dataclasses import replace

from hedger.core.actions import Severity
from hedger.core.ledger import order_changed
from hedger.core.order_life import ACCEPTED, OrderRecord, given_up
from hedger.core.state import Mode, State
from hedger.core.turn import Turn
from hedger.sections.execution import ns
from venues.orders import OrderState


def disowned(turn: Turn, record: OrderRecord) -> bool:
    """Whether the venue has said of an order often and long enough that it never had it."""
    watch = turn.settings.desk.execution.watch
    waited = turn.now - record.since_ns >= ns(watch.not_found_s_min)
    return record.state is OrderState.UNKNOWN and record.not_found >= watch.not_found_min and waited


def contradicts(turn: Turn, record: OrderRecord) -> bool:
    """Whether a venue denies what it has said itself, and too soon to have forgotten it: then nobody knows
    where the order is, whatever the account shows."""
    return record.disowned_after_all and not record.forgotten(turn.event.now_ns)


def tell_contradiction(turn: Turn, record: OrderRecord) -> None:
    """Halt over an order that its venue took and denies; told once."""
    if record.contradicted:
        return
    turn.state = turn.state.with_order(replace(record, contradicted=True))
    order, number = record.order, f" as {record.venue_order_id}" if record.venue_order_id else ""
    what = f"{order.client_id}: {order.side} {order.quantity} {order.listing.symbol} at {order.price}"
    shown = "it was seen there" if record.seen_ns is not None or record.booked else "it was never seen there"
    text = f"{record.venue} acknowledged {what}{number}, and denies it now by {record.not_found} answers"
    ask = f"{shown}: do the key and the account differ?"
    count = "It counts as filled and as not filled, and is not sent again"
    turn.alert(Severity.CRITICAL, "ORDER_CONTRADICTED", f"{text}; {ask} {count}")
    if turn.state.mode.sends:
        turn.turn_to(Mode.HALTED, f"{record.venue} denies {order.client_id}, which it acknowledged")


def told_disowned(state: State) -> tuple[OrderRecord, ...]:
    """Orders that their venues took and deny now, as was told: a person can take that word."""
    return tuple(r for r in state.orders.values() if r.contradicted and r.state is OrderState.UNKNOWN)


def accept_disowned(turn: Turn) -> None:
    """Take the venues' word that they have none of the orders that they took: a person has said so."""
    for record in told_disowned(turn.state):
        new = given_up(record, turn.now, ACCEPTED)
        turn.note(f"accepted: {record.venue} has no {record.order.client_id}")
        turn.state = turn.state.with_order(new)
        order_changed(turn, record, new)
