"""A key that a venue does not take any more halts the engine, however that is told, and once."""

from __future__ import annotations

import pytest

from hedger.core.actions import Submit
from hedger.core.events import Failed, Happening, Verb
from hedger.core.state import Mode
from tests.hedger.rig import VENUE, Rig, desk, option_symbol
from venues.orders import Link, Order, OrderState, OrderUpdate, VenueStatus

REVOKED = "KEY_REFUSED: the venue does not let this key in"


def hedging() -> tuple[Rig, Order]:
    """An armed engine with an order out."""
    engine = Rig({option_symbol(Rig({}).market): "-60"}, desk()).armed()
    (order, *_) = (a.order for a in engine.mark(1.0).actions if isinstance(a, Submit))
    return engine, order


def told(order: Order) -> list[Happening]:
    return [
        VenueStatus(VENUE, Link.DOWN, ("key_refused",), REVOKED),
        Failed(VENUE, "account", "", "KEY_REFUSED", REVOKED),
        Failed(VENUE, "cancel", order.client_id, "KEY_REFUSED", REVOKED),
        OrderUpdate(order.client_id, OrderState.REJECTED, code="key_refused", text="10003"),
    ]


@pytest.mark.parametrize("way", range(4))
def test_nothing_new_leaves_once_the_key_is_refused(way: int) -> None:
    engine, order = hedging()
    decision = engine.send(told(order)[way])
    assert engine.state.mode is Mode.HALTED and VENUE in engine.state.reason
    assert [a.code for a in decision.alerts].count("KEY_REFUSED") == 1
    engine.send(VenueStatus(VENUE, Link.UP))
    engine.send(engine.report())
    sent = [a for _ in range(60) for a in engine.mark(1.0).actions if isinstance(a, Submit)]
    assert sent == [] and engine.state.mode is Mode.HALTED
    assert engine.alerts().count("KEY_REFUSED") == 1


def test_a_person_told_of_it_is_told_once_however_often_the_venue_says_it() -> None:
    engine, order = hedging()
    for happening in told(order) * 3:
        engine.send(happening)
    assert engine.alerts().count("KEY_REFUSED") == 1


def test_a_kill_stays_one_and_an_engine_that_only_looks_goes_on_looking() -> None:
    engine, order = hedging()
    engine.command(Verb.KILL)
    engine.send(told(order)[0])
    assert engine.state.mode is Mode.KILLED
    looking = Rig({}, desk())
    looking.send(told(order)[0])
    assert looking.state.mode is Mode.OBSERVE


def test_an_order_that_is_none_of_ours_and_other_refusals_halt_nothing() -> None:
    engine, order = hedging()
    engine.send(OrderUpdate("somebody-else", OrderState.REJECTED, code="key_refused"))
    engine.send(OrderUpdate(order.client_id, OrderState.REJECTED, code="insufficient_margin"))
    engine.send(Failed(VENUE, "account", "", "NO_ANSWER", "no answer"))
    assert engine.state.mode is Mode.ARMED
