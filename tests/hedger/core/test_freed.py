"""A hedge that was due while something stood against it is made once that is gone, without any new mark."""

from __future__ import annotations

from itertools import pairwise

import pytest

from hedger.core.events import Verb
from hedger.core.gate import Denied, Situation
from hedger.settings import Settings
from tests.hedger.rig import VENUE, Rig, desk, replayed
from venues.orders import Link, Order, VenueStatus

LONG = {"BTC-PERPETUAL": "400000"}  # USD, the band is 100,000


def known_before(settings: Settings | None = None) -> Rig:
    """An engine that observes, agrees with its account, and has seen the breach."""
    rig = Rig(LONG, settings or desk())
    rig.answer(rig.mark())
    rig.answer(rig.mark(1.0))
    assert rig.decisions[-1].breached == ("delta:BTC",) and not rig.submits()
    return rig


def test_a_breach_known_before_arming_is_hedged_in_a_market_at_rest() -> None:
    rig = known_before()
    first = Rig(LONG).state
    rig.command(Verb.ARM)
    assert [o.listing.contract.underlying for o in rig.tick(0.25).orders] == ["BTC"]
    assert replayed(rig, first) == [decision.digest for decision in rig.decisions]


def test_arming_alone_asks_once_a_tick_and_observing_never() -> None:
    rig = known_before()
    for _ in range(20):
        rig.answer(rig.tick(0.25))
    assert not rig.submits()
    assert rig.state.outside.why.startswith("the engine only observes")


@pytest.mark.parametrize("link", [Link.DEGRADED, Link.DOWN])
def test_a_breach_seen_while_no_venue_takes_orders_is_hedged_when_it_does(link: Link) -> None:
    rig = known_before()
    rig.send(VenueStatus(VENUE, link))
    rig.mark(1.0)
    rig.command(Verb.ARM)
    assert not rig.submits()  # arming is refused while the link is not up
    rig.answer(rig.send(VenueStatus(VENUE, Link.UP)))
    for _ in range(5):
        rig.answer(rig.tick(0.5), fill=False)
    rig.command(Verb.ARM)
    assert rig.tick(0.25).orders


def test_a_pause_that_is_over_is_no_reason_to_wait_for_a_mark() -> None:
    rig = known_before()
    rig.command(Verb.PAUSE)
    rig.command(Verb.ARM)
    rig.tick(0.25)
    assert not rig.submits()
    rig.command(Verb.RESUME)
    assert rig.tick(0.25).orders


def test_a_hedge_that_a_pause_stopped_is_made_when_it_is_over() -> None:
    rig = known_before(desk(slice_interval_s=5.0))
    rig.command(Verb.ARM)
    decision = rig.tick(0.25)
    rig.answer(decision, fill=False)  # nothing filled: the execution goes on
    rig.command(Verb.PAUSE)
    for _ in range(3):
        rig.answer(rig.tick(1.0))
    assert rig.state.execution is None
    sent = len(rig.submits())
    rig.command(Verb.RESUME)
    for _ in range(3):
        rig.answer(rig.tick(1.0))
    assert len(rig.submits()) > sent


def test_nothing_is_hedged_on_marks_that_have_grown_too_old() -> None:
    rig = known_before()
    rig.now_ns += round((rig.settings.desk.age_s_max + 60.0) * 1e9)
    rig.answer(rig.tick(0.25))
    rig.command(Verb.ARM)
    for _ in range(4):
        rig.answer(rig.tick(0.25))
    assert not rig.submits()


def test_a_link_that_comes_back_frees_what_an_armed_engine_held() -> None:
    rig = Rig(LONG, gate=held).armed()  # nothing leaves before the link is lost
    rig.answer(rig.tick(1.0))
    rig.send(VenueStatus(VENUE, Link.DEGRADED))
    rig.mark(6.0)  # when the pause after the refusal is over
    assert "no venue takes orders" in rig.state.outside.why
    rig.settings = Rig(LONG).settings
    rig.answer(rig.send(VenueStatus(VENUE, Link.UP)))
    before = len(rig.submits())
    for _ in range(3):
        rig.answer(rig.tick(0.25), fill=False)
    assert len(rig.submits()) > before


def held(order: Order, situation: Situation) -> Denied:
    """Lets nothing out."""
    return Denied("POSITION_FIRM", "POSITION_FIRM: too large; nothing was sent")


@pytest.mark.parametrize("event", ["channels_silent", "listing_unread"])
def test_what_is_of_the_market_alone_holds_no_orders_back(event: str) -> None:
    rig = known_before()
    asked = rig.state.venues[VENUE].reconciled_ns
    rig.send(VenueStatus(VENUE, Link.UP, (event,), "it is told"))
    assert rig.state.venues[VENUE].reconciled_ns == asked is not None
    assert "VENUE_EVENT" in rig.alerts()
    rig.send(VenueStatus(VENUE, Link.UP, ("dead_man_fired",)))
    assert rig.state.venues[VENUE].reconciled_ns is None


def test_attempts_that_a_limit_refuses_are_spaced_and_the_last_is_told() -> None:
    """At 0, 5, 15, 35 and 75 s: the pause is 5 s and doubles; the sixth waits for the window of 900 s."""
    rig = Rig(LONG, gate=held).armed()
    times = []
    for _ in range(300):
        before = len(rig.state.memory.attempts)
        rig.answer(rig.mark(1.0))
        if len(rig.state.memory.attempts) > before:
            times.append((rig.now_ns - rig.start_ns) / 1e9)
    apart = [round(b - a, 2) for a, b in pairwise(times)]
    assert apart == [5.0, 10.0, 20.0, 40.0]
    assert rig.alerts().count("ROW_HELD") == 1
    assert "5 attempts on delta:BTC" in rig.state.outside.why
