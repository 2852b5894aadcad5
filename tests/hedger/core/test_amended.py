"""An order of ours that a person amends in the venue's own screen: counted at its worst, cancelled, planned
anew."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedger.core.actions import Cancel
from hedger.core.events import Answer
from hedger.core.order_life import ZERO, OrderRecord, booked, heard
from hedger.core.state import Mode
from pricing.contracts import Side
from tests.builders import listing, perpetual
from tests.hedger.core.test_execution import mark, resting, rig_of
from tests.hedger.rig import VENUE, Rig
from venues.orders import Order, OrderReport, OrderState, OrderUpdate, TimeInForce

D = Decimal
AMENDED = "ORDER_AMENDED"


def told(order: Order, quantity: Decimal, price: Decimal, filled: Decimal = ZERO) -> OrderUpdate:
    return OrderUpdate(
        order.client_id, OrderState.OPEN, f"v-{order.client_id}", filled, quantity=quantity, price=price
    )


def patient() -> tuple[Rig, Order]:
    rig = rig_of(passive_seconds=3600.0)
    return rig, resting(rig)


def reserved(rig: Rig, order: Order) -> Decimal:
    return rig.state.orders[order.client_id].reserved


def by_stream(order: Order, rig: Rig, quantity: Decimal, price: Decimal) -> object:
    return told(order, quantity, price)


def line(order: Order, rig: Rig, quantity: Decimal, price: Decimal) -> OrderReport:
    known = rig.truth.line(order.client_id)
    assert known is not None
    return replace(known, quantity=quantity, price=price)


def by_question(order: Order, rig: Rig, quantity: Decimal, price: Decimal) -> object:
    return Answer(VENUE, order.client_id, line(order, rig, quantity, price))


def by_account(order: Order, rig: Rig, quantity: Decimal, price: Decimal) -> object:
    return rig.report(orders=(line(order, rig, quantity, price),))


@pytest.mark.parametrize("way", [by_stream, by_question, by_account])
@pytest.mark.parametrize(("factor", "shift"), [(3, 0), (1, 5), ("0.5", 0), (3, -5)])
def test_it_is_told_counted_at_its_worst_and_cancelled_and_the_rest_is_planned_anew(
    way: object, factor: object, shift: int
) -> None:
    rig, order = patient()
    size, price = order.quantity * D(str(factor)), order.price + shift
    decision = rig.send(way(order, rig, size, price))  # type: ignore[operator]
    assert [a.code for a in decision.alerts] == [AMENDED]
    assert Cancel(VENUE, order.client_id) in decision.actions and decision.orders == ()
    assert reserved(rig, order) == max(size, order.quantity)
    assert rig.state.execution is not None and "amended" in rig.state.execution.replanning
    rig.truth.cancel(order.client_id)
    gone = replace(rig.truth.update(order.client_id), quantity=size, price=price)
    after = [rig.send(gone), mark(rig, (400_000.0,))]
    (again,) = [o for d in after for o in d.orders]
    assert reserved(rig, order) == 0 and again.client_id != order.client_id
    assert rig.state.execution is not None and rig.state.execution.replans == 1
    assert rig.alerts().count(AMENDED) == 1


def test_it_is_told_once_and_its_cancel_goes_on_as_any() -> None:
    rig, order = patient()
    news = told(order, 2 * order.quantity, order.price)
    assert AMENDED in [a.code for a in rig.send(news).alerts]
    for _ in range(3):
        assert [a.code for a in rig.send(news, 0.1).alerts] == []
    rig.send(told(order, 5 * order.quantity, order.price))
    assert rig.alerts().count(AMENDED) == 2 and reserved(rig, order) == 5 * order.quantity
    rig.send(told(order, order.quantity, order.price))  # back again: what it was is not forgotten
    assert reserved(rig, order) == 5 * order.quantity


def test_what_is_as_it_was_sent_is_no_amendment() -> None:
    rig, order = patient()
    same = told(order, D(f"{order.quantity}.00"), D(f"{order.price}0"))
    assert rig.send(same).quiet and rig.alerts().count(AMENDED) == 0
    assert rig.answer(rig.send(rig.report())).quiet
    assert rig.state.mode is Mode.ARMED


def test_executions_of_the_larger_size_before_anybody_tells_of_it() -> None:
    """All that was sent has filled, as far as we know; then the venue shows that more of it is open."""
    rig, order = patient()
    whole = rig.truth.fill(order.client_id, order.quantity, rig.now_ns)
    assert whole is not None
    rig.send(whole)
    assert rig.state.orders[order.client_id].state is OrderState.FILLED and reserved(rig, order) == 0
    late = rig.send(told(order, 4 * order.quantity, order.price, order.quantity))
    assert AMENDED in [a.code for a in late.alerts]
    assert Cancel(VENUE, order.client_id) in late.actions
    assert reserved(rig, order) == 3 * order.quantity
    ended = OrderUpdate(order.client_id, OrderState.CANCELLED, "v", order.quantity)
    rig.send(ended)
    assert reserved(rig, order) == 0
    rig.send(told(order, 4 * order.quantity, order.price, order.quantity))  # overtaken news
    assert rig.state.orders[order.client_id].state.terminal


ORDER = Order("htest-1-0-0", listing(perpetual(), lot="1"), Side.BUY, D(10), D(60_000), TimeInForce.GTC)
CHANCE: st.SearchStrategy[Any] = st.booleans()
_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("amend"), st.integers(1, 40)),
        st.tuples(st.just("fill"), st.integers(1, 12)),
        st.tuples(st.just("cancel"), st.just(0)),
    ),
    max_size=8,
)


@given(_STEPS, st.data())
def test_what_may_still_fill_is_never_more_than_what_is_reserved(
    steps: list[tuple[str, int]], data: st.DataObject
) -> None:
    """A venue with an order that a person amends as he likes; its words come when they come, in order, its
    executions whenever. Once all has been said, nothing is reserved that cannot come any more."""
    size, filled, state = D(10), ZERO, OrderState.OPEN
    words: list[OrderUpdate] = []
    fills: list[Decimal] = []
    record = heard(OrderRecord(ORDER, 1, 0), OrderUpdate(ORDER.client_id, OrderState.OPEN, "v", ZERO), 0)
    for what, n in steps:
        if state is not OrderState.OPEN:
            break
        if what == "amend" and n > filled:
            size = D(n)
        elif what == "fill":
            part = min(D(n), size - filled)
            filled += part
            fills.append(part)
            state = OrderState.FILLED if filled == size else state
        elif what == "cancel":
            state = OrderState.CANCELLED
        words.append(OrderUpdate(ORDER.client_id, state, "v", filled, quantity=size, price=ORDER.price))
        while words and data.draw(CHANCE):
            record = heard(record, words.pop(0), 1)
        while fills and data.draw(CHANCE):
            record = booked(record, fills.pop(0), 1)
        if not words:  # all that the venue has said has come
            still = size - filled if state is OrderState.OPEN else ZERO
            assert record.reserved >= still + sum(fills, ZERO)
    for word in words:
        record = heard(record, word, 2)
    for part in fills:
        record = booked(record, part, 2)
    assert record.booked == filled
    if state.terminal:
        assert record.settled
    else:
        assert record.live and record.reserved >= size - filled
