"""What a person can take a venue's word for: a difference that was read, twice; and never what the book
cannot hold."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from hedger.core.commands import only_differs, told_differences
from hedger.core.events import Failed, Verb
from hedger.core.state import Mode
from tests.hedger.rig import VENUE, Rig
from venues.orders import Link, OrderState, VenueStatus

LONG = {"BTC-PERPETUAL": "400000"}


def differing(times: int = 2) -> Rig:
    """An engine that only looks, and whose account was read so many times with 5000 too many."""
    rig = Rig(LONG)
    rig.mark()
    rig.truth.positions["BTC-PERPETUAL"] += 5000
    for _ in range(times):
        rig.send(rig.report(), 1.0)
    return rig


def test_a_difference_is_accepted_when_it_was_seen_twice() -> None:
    assert not only_differs(differing(1).state)
    state = differing(2).state
    assert only_differs(state)
    assert told_differences(state) == "simulated differs from the book: BTC-PERPETUAL +5000"


def test_what_was_not_read_is_no_difference() -> None:
    unread = Rig(LONG)
    unread.mark()
    unread.send(Failed(VENUE, "account", text="timed out"), 1.0)
    assert not only_differs(unread.state) and told_differences(unread.state) == ""
    one_of_two = differing().state
    known = one_of_two.venues[VENUE]
    two = replace(one_of_two, venues={VENUE: known, "other": replace(known, drift=0, reconciled_ns=None)})
    assert not only_differs(two)
    read = replace(two, venues={VENUE: known, "other": replace(known, drift=0, reconciled_ns=1)})
    assert only_differs(read)
    gone = differing()
    gone.send(VenueStatus(VENUE, Link.DOWN, text="closed"), 1.0)
    assert not only_differs(gone.state)


def test_neither_a_kill_nor_an_account_that_agrees_nor_a_book_without_marks_is_waved_through() -> None:
    assert not only_differs(Rig(LONG).armed().state)
    assert not only_differs(replace(differing().state, mode=Mode.KILLED))
    blind = Rig(LONG)
    blind.truth.positions["BTC-PERPETUAL"] += 5000
    for _ in range(2):
        blind.send(blind.report(), 1.0)
    assert blind.state.venues[VENUE].drift == 2 and not only_differs(blind.state)


def test_an_order_of_unknown_fate_waits_for_the_venue_s_word() -> None:
    donor = Rig(LONG).armed()
    order = donor.mark(1.0).orders[0]
    record = donor.state.orders[order.client_id]
    state = differing().state
    for not_found, allowed in ((0, False), (1, True)):
        lost = replace(record, state=OrderState.UNKNOWN, not_found=not_found)
        assert only_differs(replace(state, orders={order.client_id: lost})) is allowed


def test_what_the_book_cannot_hold_stays_a_difference_and_keeps_the_engine_from_being_armed() -> None:
    rig = differing()
    rig.truth.positions["BTC-31DEC99"] = Decimal(7)
    rig.send(rig.report(), 1.0)
    rig.send(rig.report(), 1.0)
    accepted = rig.command(Verb.ARM, "accept")
    assert {"NOT_ACCEPTED", "ARM_REFUSED"} <= {alert.code for alert in accepted.alerts}
    assert [(a.symbol, a.quantity) for a in accepted.adjustments] == [("BTC-PERPETUAL", Decimal(5000))]
    assert rig.state.mode is Mode.OBSERVE
    assert rig.state.venues[VENUE].differences == (("BTC-31DEC99", Decimal(7)),)
    again = rig.send(rig.report(), 1.0)
    assert again.mode is Mode.OBSERVE and rig.positions()["BTC-PERPETUAL"] == 405_000
    rig.command(Verb.ARM, "accept")  # the same word again books nothing twice
    assert rig.positions()["BTC-PERPETUAL"] == 405_000
