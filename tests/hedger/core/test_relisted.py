"""A venue lists something otherwise than when the engine was begun."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from hedger.core.actions import Alert, Cancel
from hedger.core.execution import taken_up
from hedger.core.relisted import untradable
from hedger.core.state import Aside, frozen
from hedger.core.unwinding import net_filled
from hedger.journal.codec import dump, load
from pricing.contracts import Listing, Side, TickSteps
from tests.hedger.core.test_unwinding import hedged_options, only_the_first_leg
from tests.hedger.rig import CHAIN, VENUE, Rig, desk, option_symbol, replayed
from venues.orders import Link, OrderState, OrderUpdate, VenueStatus
from venues.simulated import SimulatedMarket

D = Decimal
PERPETUAL = "BTC-PERPETUAL"


def short_calls(quantity: str = "-1") -> Rig:
    return Rig({option_symbol(SimulatedMarket(7, settings=CHAIN)): quantity}, desk()).armed()


def of(rig: Rig, symbol: str = PERPETUAL) -> Listing:
    universe = rig.state.market.universe
    return universe.listings[universe.positions[VENUE, symbol]]


def told(rig: Rig, *relisted: Listing, gone: tuple[str, ...] = ()) -> None:
    rig.send(VenueStatus(VENUE, Link.UP, venue_ns=rig.now_ns, relisted=relisted, gone=gone), 1.0)


def alerts(rig: Rig, code: str) -> list[Alert]:
    return [a for d in rig.decisions for a in d.actions if isinstance(a, Alert) and a.code == code]


def traded(rig: Rig) -> set[str]:
    return {order.listing.symbol for order in rig.submits()}


def test_other_steps_are_taken_up_and_the_next_orders_stand_on_them() -> None:
    rig = short_calls("-400")
    old = of(rig)
    new = replace(old, tick_steps=TickSteps.parse("0:5"), lot=old.lot * 100, minimum=old.minimum * 100)
    told(rig, new)
    assert of(rig) == new and not rig.state.venues[VENUE].altered
    assert len(alerts(rig, "LISTING_TERMS")) == 1
    for _ in range(4):
        rig.answer(rig.mark(5.0))
    orders = [x for x in rig.submits() if x.listing.symbol == PERPETUAL]
    assert orders and all(x.price % 5 == 0 and x.quantity % new.lot == 0 for x in orders)


@pytest.mark.parametrize(("lots", "replans"), [(1, 0), (7, 1)])
def test_a_hedge_in_work_goes_on_in_the_new_steps(lots: int, replans: int) -> None:
    """A tick ten times as coarse after the first slice: no order is off it, and the execution is the same. It
    is planned anew where what is left is not in whole lots any more, and else not."""
    rig = Rig({PERPETUAL: "4000000"}, desk(slice_interval_s=1.0, participation=0.3)).armed()
    rig.answer(rig.mark(1.0))
    old = of(rig)
    first = len(rig.submits())
    told(rig, replace(old, tick_steps=TickSteps.parse("0:5"), lot=old.lot * lots, minimum=old.minimum * lots))
    execution = rig.state.execution
    assert execution is not None and first == 1
    left = 4_000_000 - rig.submits()[0].quantity
    assert execution.replans == replans and left % 70 != 0
    rig.answer(rig.decisions[-1])
    for _ in range(6):
        rig.answer(rig.mark(2.0))
    later = rig.submits()[first:]
    assert later and {x.listing.symbol for x in later} == {PERPETUAL}
    assert all(x.price % 5 == 0 and x.quantity % (10 * lots) == 0 for x in later)
    assert rig.state.counters.executions == 1 and rig.decisions[-1].breached == ()


def test_what_earlier_plans_did_is_taken_back_in_the_new_steps_too() -> None:
    rig = short_calls("-400")
    rig.mark(5.0)
    execution = rig.state.execution
    assert execution is not None and execution.legs
    old = execution.legs[0].listing
    new = replace(old, lot=old.lot * 3)
    done = tuple(replace(leg, filled=leg.quantity) for leg in execution.legs)
    again = taken_up(replace(execution, earlier=done, legs=()), {new.key: new})
    assert again.earlier[0].listing == new
    taken = {leg.listing.key: quantity for leg, quantity in net_filled(again.every_leg)}
    assert taken[new.key] % new.lot == 0 and 0 <= done[0].quantity - taken[new.key] < new.lot


def test_the_way_back_is_in_the_new_steps() -> None:
    """The first leg is done, its tick changes, the rest is denied: it is taken back on the new ticks."""
    rig = hedged_options(only_the_first_leg)
    (order,) = rig.mark(20.0).orders
    new = replace(of(rig, order.listing.symbol), tick_steps=TickSteps.parse("0:5"))
    told(rig, new)
    rig.answer(rig.decisions[-2])
    for _ in range(4):
        if rig.state.execution is None:
            break
        rig.answer(rig.mark(3.0))
    back = rig.submits()[1]
    assert (back.listing.symbol, back.side) == (PERPETUAL, Side.SELL if order.side is Side.BUY else Side.BUY)
    assert back.price % 5 == 0 and order.price % 5 != 0
    assert "LEGS_LEFT" not in rig.alerts()


@pytest.mark.parametrize(("symbol", "at_once"), [(PERPETUAL, True), ("ETH-PERPETUAL", False)])
def test_a_wait_after_a_refusal_is_over_for_the_listing_that_has_new_steps(
    symbol: str, at_once: bool
) -> None:
    rig = Rig({PERPETUAL: "400000"}, desk(slice_interval_s=0.0)).armed()
    (order,) = rig.mark(20.0).orders
    assert order.listing.symbol == PERPETUAL
    rig.truth.take(order)
    rig.send(OrderUpdate(order.client_id, OrderState.REJECTED, code="price_not_on_tick"))
    rig.truth.orders[order.client_id] = (order, OrderState.REJECTED, D(0))
    told(rig, replace(of(rig, symbol), tick_steps=TickSteps.parse("0:5")))
    assert bool(rig.decisions[-1].orders) is at_once
    assert rig.mark(2.0).orders or at_once


@pytest.mark.parametrize(
    ("code", "kept"), [("price_not_on_tick", False), ("market_closed", True), ("MARGIN_INITIAL", True)]
)
def test_what_is_set_aside_for_a_form_of_old_steps_is_open_in_the_new_ones(code: str, kept: bool) -> None:
    rig = short_calls()
    sides = {(VENUE, PERPETUAL, +1): code, (VENUE, "ETH-PERPETUAL", -1): "price_not_on_tick"}
    aside = {key: Aside(10**18, 3, why, 0) for key, why in sides.items()}
    rig.state = replace(rig.state, aside=frozen(aside))
    told(rig, replace(of(rig), tick_steps=TickSteps.parse("0:5")))
    left = {(VENUE, PERPETUAL, +1)} if kept else set()
    assert rig.state.aside.keys() == left | {(VENUE, "ETH-PERPETUAL", -1)}


def test_a_leg_that_its_venue_takes_no_more_is_not_filled() -> None:
    """The first leg is done when the smallest order of the second becomes larger than that leg: the rest is
    planned anew, and what the first did is made good at once, by the same execution."""
    rig = hedged_options()
    decision = rig.mark(20.0)
    (order,), execution = decision.orders, rig.state.execution
    assert execution is not None
    other = execution.legs[1].listing
    told(rig, replace(other, lot=D(100), minimum=D(100)))
    rig.answer(decision)
    for _ in range(4):
        if rig.state.execution is None:
            break
        rig.answer(rig.mark(1.0))
    assert rig.state.execution is None and rig.state.counters.executions == 1
    back = rig.submits()[1]
    assert (back.listing, back.side) == (order.listing, Side.SELL if order.side is Side.BUY else Side.BUY)
    assert "delta:BTC" not in rig.decisions[-1].breached


@pytest.mark.parametrize("gone", [False, True])
def test_the_way_back_leaves_out_what_is_not_traded_any_more_and_names_it(gone: bool) -> None:
    rig = hedged_options(only_the_first_leg)
    (order,) = rig.mark(20.0).orders
    rig.truth.take(order)
    trade = rig.truth.fill(order.client_id, order.quantity, rig.now_ns)
    assert trade is not None
    rig.send(trade)
    rig.send(rig.truth.update(order.client_id))
    while len(rig.submits()) < 2 and len(rig.events) < 20:
        rig.mark(1.0)
    (_, back) = rig.submits()
    assert rig.state.execution is not None and rig.state.execution.unwinding
    assert back.listing == order.listing
    now = of(rig, order.listing.symbol)
    told(rig, *(() if gone else (replace(now, size=now.size * 10),)), gone=(now.symbol,) if gone else ())
    rig.truth.take(back)
    rig.truth.cancel(back.client_id)
    rig.send(rig.truth.update(back.client_id))
    for _ in range(3):
        rig.answer(rig.mark(1.0))
    assert now.symbol not in {x.listing.symbol for x in rig.submits()[2:]}
    (left,) = alerts(rig, "LEGS_LEFT")
    assert f"{now.symbol} on {VENUE}: {dict(untradable(rig.state))[now.key]}" in left.text


def test_another_contract_under_the_name_is_left_out_and_told_once() -> None:
    rig = short_calls("-400")
    old = of(rig)
    for _ in range(2):
        told(rig, replace(old, size=old.size * 10))
    assert of(rig) == old, "what the book counts in stays what it was"
    assert [str(a.severity) for a in alerts(rig, "LISTING_CHANGED")] == ["critical"]
    assert dict(untradable(rig.state)).keys() == {(VENUE, PERPETUAL)}
    for _ in range(4):
        rig.answer(rig.mark(5.0))
    assert traded(rig) and PERPETUAL not in traded(rig)


def test_what_is_listed_no_more_is_left_out_until_it_is() -> None:
    rig = short_calls("-400")
    told(rig, gone=(PERPETUAL, "NEVER-HEARD-OF"))
    assert dict(untradable(rig.state)).keys() == {(VENUE, PERPETUAL)}
    for _ in range(4):
        rig.answer(rig.mark(5.0))
    assert traded(rig) and PERPETUAL not in traded(rig)
    told(rig)
    assert not dict(untradable(rig.state))


def test_what_rests_there_is_cancelled() -> None:
    rig = short_calls("-400")
    rig.mark(5.0)
    resting = rig.submits()
    assert resting
    for order in resting:
        rig.truth.take(order)
        rig.send(rig.truth.update(order.client_id))
    told(rig, gone=tuple({x.listing.symbol for x in resting}))
    asked = {a.client_id for d in rig.decisions for a in d.actions if isinstance(a, Cancel)}
    assert {x.client_id for x in resting} <= asked


def test_the_same_events_decide_the_same_again_and_survive_the_record() -> None:
    rig = short_calls("-400")
    old = of(rig)
    status = VenueStatus(VENUE, Link.UP, relisted=(replace(old, lot=old.lot * 10),), gone=("X",))
    assert load(VenueStatus, dump(VenueStatus, status)) == status
    begun = Rig({option_symbol(SimulatedMarket(7, settings=CHAIN)): "-400"}, desk())
    before = begun.state
    begun.armed()
    told(begun, replace(old, lot=old.lot * 10), gone=())
    begun.answer(begun.mark(5.0))
    assert replayed(begun, before) == [d.digest for d in begun.decisions]
