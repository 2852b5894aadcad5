"""Two engines on one account: the one that sends halts, none is armed beside it, and none blocks for ever."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from hedger.core.commands import only_differs, told_differences, why_not_arm
from hedger.core.events import Verb
from hedger.core.other_engines import ALIVE_S, found_at_start
from hedger.core.state import Mode
from pricing.contracts import Side
from risk.book import Fill
from tests.hedger.rig import SECOND, TAG, VENUE, Rig
from venues.orders import OrderReport, OrderState, TradeReport, client_order_id

PERPETUAL = "BTC-PERPETUAL"
THEIRS, OURS = client_order_id("abcd123", 7, 0, 0), client_order_id(TAG, 9, 0, 0)
NOBODYS = ("", "web-7", "habcd123-7-0", "abcd123-7-0-0", "hABCD-1-2-3")
LINE = OrderReport(
    THEIRS, "v7", PERPETUAL, Side.BUY, Decimal(10), Decimal(0), Decimal(60_000), OrderState.OPEN
)


def armed() -> Rig:
    """An armed engine inside its bands."""
    return Rig({PERPETUAL: "10000"}).armed()


def execution(rig: Rig, client_id: str, age_s: float = 0.0, name: str = "x1") -> TradeReport:
    """A purchase of 10, booked at the venue."""
    listing = next(x for x in rig.market.universe.listings if x.symbol == PERPETUAL)
    time_ns = rig.now_ns - round(age_s * SECOND)
    currency = listing.contract.settlement
    fill = Fill(listing, Side.BUY, Decimal(10), Decimal(60_000), Decimal(0), currency, "", name, time_ns)
    report = TradeReport(client_id, fill)
    rig.truth.book(report)
    return report


def test_an_open_order_of_another_engine_halts_an_armed_one() -> None:
    rig = armed()
    decision = rig.send(rig.report(orders=(LINE,)))
    assert decision.mode is Mode.HALTED
    assert sorted(a.code for a in decision.alerts) == ["EXTERNAL_ORDER", "OTHER_ENGINE"]
    again = rig.send(rig.report(orders=(LINE,)), 5.0)
    assert again.alerts == () and again.mode is Mode.HALTED


def test_an_execution_of_another_engine_is_booked_and_halts_an_armed_one() -> None:
    rig = armed()
    decision = rig.send(execution(rig, THEIRS))
    assert decision.mode is Mode.HALTED
    assert sorted(a.code for a in decision.alerts) == ["EXTERNAL", "OTHER_ENGINE"]
    assert rig.positions() == rig.truth.positions == {PERPETUAL: Decimal(10_010)}
    assert rig.send(execution(rig, THEIRS, name="x2"), 1.0).alerts[0].code == "EXTERNAL"
    assert rig.alerts().count("OTHER_ENGINE") == 1


@pytest.mark.parametrize("client_id", [*NOBODYS, OURS])
def test_what_a_person_or_an_earlier_life_of_ours_sent_halts_nobody(client_id: str) -> None:
    rig = armed()
    rig.send(execution(rig, client_id))
    rig.send(rig.report(orders=(replace(LINE, client_id=client_id),)))
    assert rig.state.mode is Mode.ARMED and "OTHER_ENGINE" not in rig.alerts()


def test_it_is_armed_again_when_the_other_has_been_silent_long_enough() -> None:
    rig = armed()
    rig.send(rig.report(orders=(LINE,)))
    for seconds, orders in ((ALIVE_S - 30.0, (LINE,)), (ALIVE_S - 30.0, ())):  # open still, and then gone
        rig.mark(seconds)
        rig.send(rig.report(orders=orders))
        refused = rig.command(Verb.ARM)
        assert refused.mode is Mode.HALTED and [a.code for a in refused.alerts] == ["ARM_REFUSED"]
        assert "abcd123" in refused.alerts[0].text
    rig.mark(40.0)
    rig.send(rig.report())
    assert rig.command(Verb.ARM).mode is Mode.ARMED


def test_a_person_says_that_the_other_is_over_and_the_next_that_it_does_halts_again() -> None:
    rig = armed()
    rig.send(rig.report(orders=(LINE,)))
    rig.mark(1.0)
    assert only_differs(rig.state) and "abcd123" in told_differences(rig.state)
    accepted = rig.command(Verb.ARM, "accept")
    assert accepted.mode is Mode.ARMED and accepted.adjustments == () and "abcd123" in accepted.reason
    # The same order, still there, is what was accepted.
    assert rig.send(rig.report(orders=(LINE,)), 5.0).mode is Mode.ARMED and why_not_arm(rig.state) == ()
    other = replace(LINE, client_id=client_order_id("abcd123", 8, 0, 0), venue_order_id="v8")
    assert rig.send(rig.report(orders=(LINE, other)), 5.0).mode is Mode.HALTED
    assert rig.alerts().count("OTHER_ENGINE") == 2


def test_an_execution_of_long_ago_says_nothing_about_now() -> None:
    rig = armed()
    assert rig.send(execution(rig, THEIRS, age_s=ALIVE_S + 1.0)).mode is Mode.ARMED
    assert rig.send(execution(rig, THEIRS, age_s=ALIVE_S - 1.0, name="x2")).mode is Mode.HALTED


def test_an_engine_that_only_looks_is_not_armed_beside_another() -> None:
    rig = Rig({PERPETUAL: "10000"})
    rig.mark()
    rig.send(rig.report(orders=(LINE,)))
    assert rig.state.mode is Mode.OBSERVE and "OTHER_ENGINE" in rig.alerts()
    assert any("abcd123" in text for text in why_not_arm(rig.state))
    assert rig.command(Verb.ARM).mode is Mode.OBSERVE


def test_what_accounts_show_before_a_start() -> None:
    rig = armed()
    trades = (execution(rig, THEIRS, 30.0), execution(rig, THEIRS, ALIVE_S + 1.0), execution(rig, OURS))
    seen = found_at_start([rig.report(orders=(LINE,), trades=trades)], TAG)
    assert seen == (f"{VENUE}: {THEIRS} is open", f"{VENUE}: {THEIRS} filled 30 s ago")
    gone = replace(LINE, state=OrderState.CANCELLED)
    assert found_at_start([rig.report(orders=(gone,), trades=trades[1:])], TAG) == ()
    assert found_at_start([rig.report(orders=(LINE,), trades=trades[:2])], "abcd123") == ()
