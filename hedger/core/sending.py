"""From a wish to an order that leaves: its permission, its place on record, and what a refusal means.

An order is decided here and nowhere else: it is on record, and counts as filled and as not filled, before
anybody sends it.
"""

from __future__ import annotations

from dataclasses import replace

from hedger.core.actions import Severity, Submit, SubmitCombo
from hedger.core.aside import Refusal, set_aside, told_of
from hedger.core.decision import Verdict
from hedger.core.execution import Execution, on_leg, planned_again
from hedger.core.gate import Denied, Situation, Then
from hedger.core.legs import excess
from hedger.core.order_life import OrderRecord
from hedger.core.sight import Sight
from hedger.core.slicing import Wish
from hedger.core.state import Mode, frozen
from hedger.core.turn import Turn
from hedger.sections.execution import ns
from pricing.universe import FloatArray
from venues.orders import Order, client_order_id


def send(turn: Turn, wish: Wish, sight: Sight, unsent: Execution) -> bool:
    """Ask the limits for an order, and send it if they let it out; False if they refused it for good. unsent:
    the execution before it wished for the order, which it wishes for again where it has only to wait."""
    state = turn.state
    execution = state.execution
    assert execution is not None
    order = order_of(turn, wish)
    denied = permitted(turn, order, wish, sight, execution)
    if isinstance(denied, Denied):
        turn.verdicts.append(Verdict(order.client_id, denied.code, denied.text))
        if denied.then in (Then.WAIT, Then.BACK_OFF):
            _hold(turn, wish, denied, unsent)
            return True
        counters = replace(state.counters, refused=state.counters.refused + 1)
        turn.why = denied.text
        if denied.then is Then.SET_ASIDE and not execution.unwinding:
            turn.state = replace(state, counters=counters)
            _without_it(turn, wish, denied, execution)
            return False
        turn.alert(Severity.WARNING, "ORDER_DENIED", denied.text)
        if denied.then is Then.PAUSE:
            turn.alert(Severity.CRITICAL, "PAUSED", f"paused until a person resumes: {denied.text}")
            state = replace(state, paused=True)
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


def _without_it(turn: Turn, wish: Wish, denied: Denied, execution: Execution) -> None:
    """Set the side of the listing aside, and plan the rest by others; told the first time."""
    refusal = Refusal(wish.listing, wish.side, denied.code)
    if not told_of(turn, refusal) and (*wish.listing.key, wish.side.sign) not in turn.state.aside:
        turn.alert(Severity.WARNING, "ORDER_DENIED", denied.text)
    set_aside(turn, refusal)
    why = f"the limits refuse to {wish.side} {wish.listing.symbol} ({denied.code})"
    again = planned_again(execution, why, turn.settings.desk.execution)
    turn.state = replace(turn.state, execution=again)


def _hold(turn: Turn, wish: Wish, denied: Denied, unsent: Execution) -> None:
    """Try again later: after a slice where it is credits alone, else after 1, 2, 4, .. seconds; told once."""
    config, held = turn.settings.desk.execution, unsent.held
    seconds = config.slice_interval_s
    if denied.then is Then.BACK_OFF:
        if held == 0:
            turn.alert(Severity.WARNING, "ORDER_HELD", f"tried again until it passes: {denied.text}")
        seconds = min(2.0 ** min(held, 20), config.refused_again_s_max)
        held += 1
    next_ns = turn.now + ns(seconds)
    later = on_leg(unsent, wish.leg, lambda leg: replace(leg, next_ns=next_ns))
    waiting = f"held by the limits: {denied.text}"
    turn.state = replace(turn.state, execution=replace(later, held=held, waiting=waiting))


def send_combo(turn: Turn, wishes: tuple[Wish, ...], sent: Execution, sight: Sight) -> bool:
    """Ask the limits for every leg of a combo, each beside the ones before it, and send it if all may go;
    whether they do. The limits count each leg as filled and as not filled whatever becomes of the others,
    which is never less than what the combo can come to. sent: the execution once they are out."""
    before = turn.state
    execution = before.execution
    assert execution is not None
    first = client_order_id(turn.settings.tag, turn.event.seq, wishes[0].leg, wishes[0].part)
    permissions = []
    for wish in wishes:
        order = replace(order_of(turn, wish), combo=first, ratio=wish.ratio)
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


def order_of(turn: Turn, wish: Wish) -> Order:
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
    if why := sight.untradable.get(order.listing.key):
        text = f"UNTRADABLE: {order.listing.symbol} is not to be traded, {why}; nothing was sent"
        return Denied("UNTRADABLE", text)
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
