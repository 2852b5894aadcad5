"""A kill is done when the venue has shown twice that nothing is open, and nothing may still come to it."""

from __future__ import annotations

from hedger.core.actions import AskAccount, AskOrder, CancelAll, Submit
from hedger.core.events import Answer, Verb
from hedger.core.reconcile import kill_confirmed
from hedger.core.state import Mode
from tests.hedger.rig import VENUE, Rig, desk, option_symbol
from venues.orders import Link, Order, OrderState, OrderUpdate, VenueStatus


def unknown() -> tuple[Rig, Order]:
    """An armed engine with an order out that nobody can say anything about."""
    market = Rig({}).market
    engine = Rig({option_symbol(market): "-60"}, desk()).armed()
    decision = engine.mark(1.0)
    (order, *_) = (a.order for a in decision.actions if isinstance(a, Submit))
    engine.send(OrderUpdate(order.client_id, OrderState.UNKNOWN))
    return engine, order


def answered(engine: Rig, seconds: int, say: bool) -> list[bool]:
    """So many seconds, accounts told as they are; say: whether the venue says of orders that it has none."""
    found = []
    for _ in range(seconds):
        for action in engine.tick(1.0).actions:
            if isinstance(action, AskAccount):
                engine.send(engine.report())
            elif isinstance(action, AskOrder) and say:
                engine.send(Answer(VENUE, action.client_id, None))
        found.append(kill_confirmed(engine.state))
    return found


def test_no_report_counts_while_an_order_may_be_on_its_way() -> None:
    engine, _ = unknown()
    engine.command(Verb.KILL)
    assert not any(answered(engine, 20, say=False))
    found = answered(engine, 20, say=True)
    assert found[-1] and "KILL_CONFIRMED" in engine.alerts()


def test_an_order_that_comes_late_is_cancelled_and_counted() -> None:
    engine, order = unknown()
    engine.command(Verb.KILL)
    answered(engine, 3, say=False)
    engine.truth.take(order)  # it was on its way all the time
    engine.send(engine.report())
    assert any(isinstance(a, CancelAll) for a in engine.decisions[-1].actions)
    assert not kill_confirmed(engine.state)


def test_everything_is_cancelled_again_at_once_when_the_venue_comes_back() -> None:
    engine, _ = unknown()
    engine.command(Verb.KILL)
    engine.send(VenueStatus(VENUE, Link.DOWN), 0.1)
    decision = engine.send(VenueStatus(VENUE, Link.UP), 0.1)  # sooner than cancels are repeated
    assert any(isinstance(a, CancelAll) for a in decision.actions)
    assert any(isinstance(a, AskOrder) for a in decision.actions)


def test_an_order_that_the_venue_denies_hides_no_difference_and_a_person_can_end_both() -> None:
    """The venue holds a third of it, by nobody's word: it explains nothing once the venue has said
    often enough that it never had it, and the kill can be confirmed."""
    engine, order = unknown()
    symbol = order.listing.symbol
    part = order.side.sign * (order.quantity // 30 * 10)
    engine.truth.positions[symbol] = engine.truth.positions.get(symbol, 0) + part
    answered(engine, 5, say=True)
    assert engine.state.orders[order.client_id].state is OrderState.UNKNOWN
    assert not engine.state.venues[VENUE].drift  # it may be on its way, and have filled
    answered(engine, 20, say=True)
    assert engine.state.venues[VENUE].drift and "DRIFT" in engine.alerts()
    engine.command(Verb.KILL)
    assert answered(engine, 10, say=True)[-1]
    assert engine.command(Verb.UNKILL).mode is Mode.OBSERVE
    engine.command(Verb.ARM, "accept")
    assert not engine.state.venues[VENUE].drift
    answered(engine, 60, say=True)
    assert engine.state.orders[order.client_id].state is not OrderState.UNKNOWN
    assert engine.command(Verb.ARM).mode is Mode.ARMED
    assert engine.state.book.positions[VENUE, symbol, ""].quantity == part


def test_a_report_told_once_more_puts_the_next_question_off_no_further() -> None:
    engine = Rig({}).armed()
    engine.command(Verb.KILL)
    answered(engine, 1, say=True)
    again = engine.report()
    engine.send(again)
    for _ in range(2):
        engine.send(again, 0.1)  # it was read once
    assert engine.state.venues[VENUE].zero_reads == 1
    assert answered(engine, 2, say=True)[-1]
