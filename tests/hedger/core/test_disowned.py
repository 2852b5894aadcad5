"""A venue that denies an order it has acknowledged: what the order was for is not sent again."""

from __future__ import annotations

from decimal import Decimal

import pytest

from hedger.core.actions import Alert, AskAccount, AskOrder, Severity
from hedger.core.commands import why_not_arm
from hedger.core.events import Answer, Verb
from hedger.core.order_life import KEPT_S_MIN
from hedger.core.state import Mode
from tests.hedger.core.test_decide import LONG, book_is_the_truth, due
from tests.hedger.rig import VENUE, Rig
from venues.orders import Order, OrderState, OrderUpdate

NEVER_SENT_TWICE = 1


def working() -> tuple[Rig, Order]:
    """An armed engine with one order out that the venue of the account does not have."""
    rig = Rig(LONG).armed()
    (order,) = due(rig).orders
    return rig, order


def disowned_for(rig: Rig, seconds: int, step_s: int = 1) -> list[Alert]:
    """Time goes by; the account is told as it is, and the order is denied whenever it is asked for."""
    told: list[Alert] = []
    for _ in range(seconds // step_s):
        waiting = [rig.mark(float(step_s))]
        while waiting:
            for action in waiting.pop().actions:
                if isinstance(action, Alert):
                    told.append(action)
                elif isinstance(action, AskOrder):
                    waiting.append(rig.send(Answer(VENUE, action.client_id, None)))
                elif isinstance(action, AskAccount):
                    waiting.append(rig.send(rig.report()))
    return told


def contradictions(told: list[Alert]) -> list[Alert]:
    return [a for a in told if a.code == "ORDER_CONTRADICTED"]


def test_an_order_acknowledged_and_never_seen_is_not_sent_again() -> None:
    """As where an agent's key of one account is used with the wallet of another."""
    rig, order = working()
    rig.send(OrderUpdate(order.client_id, OrderState.OPEN, "77"))
    (alert,) = contradictions(disowned_for(rig, 60))
    assert alert.severity is Severity.CRITICAL
    assert "as 77" in alert.text and "never seen" in alert.text and "key and the account" in alert.text
    assert rig.state.mode is Mode.HALTED and rig.state.orders[order.client_id].reserved == order.quantity
    assert not contradictions(disowned_for(rig, round(KEPT_S_MIN) + 60, 15))  # told once, and true for ever
    assert rig.state.orders[order.client_id].state is OrderState.UNKNOWN
    assert len(rig.submits()) == NEVER_SENT_TWICE and any("unknown" in why for why in why_not_arm(rig.state))


def test_an_order_seen_there_is_given_up_when_the_venue_may_have_forgotten_it() -> None:
    """Until half an hour after it was last seen a denial is a contradiction on every venue."""
    rig, order = working()
    rig.send(OrderUpdate(order.client_id, OrderState.OPEN, "77", Decimal(0)))
    seen_ns = rig.now_ns
    assert len(contradictions(disowned_for(rig, 60))) == 1 and rig.state.mode is Mode.HALTED
    told: list[Alert] = []
    while rig.state.orders[order.client_id].state is OrderState.UNKNOWN:
        assert rig.now_ns - seen_ns < (KEPT_S_MIN + 120) * 1e9
        told += disowned_for(rig, 15, 15)
    assert rig.now_ns - seen_ns >= KEPT_S_MIN * 1e9
    assert rig.state.orders[order.client_id].state is OrderState.REJECTED
    assert "ORDER_LOST" in [a.code for a in told] and rig.state.mode is Mode.HALTED
    assert len(rig.submits()) == NEVER_SENT_TWICE


def test_an_order_that_was_never_acknowledged_is_given_up_as_before() -> None:
    rig, order = working()
    told = disowned_for(rig, 60)
    assert not contradictions(told) and "ORDER_LOST" in [a.code for a in told]
    assert rig.state.orders[order.client_id].state is OrderState.REJECTED


def test_a_person_can_take_the_venues_word() -> None:
    rig, order = working()
    rig.send(OrderUpdate(order.client_id, OrderState.OPEN, "77"))
    disowned_for(rig, 60)
    assert "unknown orders" in rig.command(Verb.ARM).reason
    decision = rig.command(Verb.ARM, "accept")
    assert rig.state.mode is Mode.ARMED and order.client_id in decision.reason
    assert rig.state.orders[order.client_id].state is OrderState.REJECTED


@pytest.mark.parametrize("filled", [False, True])
def test_it_is_over_when_the_venue_shows_the_order_after_all(filled: bool) -> None:
    rig, order = working()
    rig.send(OrderUpdate(order.client_id, OrderState.OPEN, "77"))
    disowned_for(rig, 60)
    rig.truth.take(order)
    if filled:
        trade = rig.truth.fill(order.client_id, order.quantity, rig.now_ns)
        assert trade is not None
        rig.send(trade)
    rig.send(rig.truth.update(order.client_id))
    record = rig.state.orders[order.client_id]
    assert record.state is (OrderState.FILLED if filled else OrderState.OPEN) and not record.contradicted
    book_is_the_truth(rig)


def test_a_kill_is_not_confirmed_over_it() -> None:
    """It may rest on the account that the key acts for."""
    rig, order = working()
    rig.send(OrderUpdate(order.client_id, OrderState.OPEN, "77"))
    disowned_for(rig, 60)
    rig.command(Verb.KILL)
    told = disowned_for(rig, 60)
    assert "KILL_CONFIRMED" not in [a.code for a in told]
