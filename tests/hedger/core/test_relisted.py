"""A venue lists something otherwise than when the engine was begun."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from hedger.core.actions import Alert, Cancel
from hedger.core.relisted import left_out
from hedger.journal.codec import dump, load
from pricing.contracts import Listing, TickSteps
from tests.hedger.rig import CHAIN, VENUE, Rig, desk, option_symbol, replayed
from venues.orders import Link, VenueStatus
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


def test_another_contract_under_the_name_is_left_out_and_told_once() -> None:
    rig = short_calls("-400")
    old = of(rig)
    for _ in range(2):
        told(rig, replace(old, size=old.size * 10))
    assert of(rig) == old, "what the book counts in stays what it was"
    assert [str(a.severity) for a in alerts(rig, "LISTING_CHANGED")] == ["critical"]
    assert dict(left_out(rig.state)).keys() == {(VENUE, PERPETUAL)}
    for _ in range(4):
        rig.answer(rig.mark(5.0))
    assert traded(rig) and PERPETUAL not in traded(rig)


def test_what_is_listed_no_more_is_left_out_until_it_is() -> None:
    rig = short_calls("-400")
    told(rig, gone=(PERPETUAL, "NEVER-HEARD-OF"))
    assert dict(left_out(rig.state)).keys() == {(VENUE, PERPETUAL)}
    for _ in range(4):
        rig.answer(rig.mark(5.0))
    assert traded(rig) and PERPETUAL not in traded(rig)
    told(rig)
    assert not dict(left_out(rig.state))


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
