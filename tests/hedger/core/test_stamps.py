"""No stamp of a venue, wrong or forged, keeps a difference from being seen."""

from __future__ import annotations

from decimal import Decimal

import pytest

from hedger.core.actions import AskAccount, Submit
from hedger.core.state import Mode
from pricing.contracts import Side
from pricing.daycount import NS_PER_DAY
from risk.book import Fill
from tests.hedger.rig import SECOND, VENUE, Rig
from venues.orders import TradeReport

PERPETUAL = "BTC-PERPETUAL"
YEAR_2090_NS, YEAR_2011_NS = 3_800_000_000 * SECOND, 1_300_000_000 * SECOND
#: Stamps of an execution, from the time at which it is told.
AHEAD_NS = {"now": 0, "5 min": 300 * SECOND, "tomorrow": NS_PER_DAY, "2090": YEAR_2090_NS}


def calm() -> Rig:
    """An armed engine inside its bands."""
    return Rig({PERPETUAL: "10000"}).armed()


def traded(rig: Rig, quantity: str, time_ns: int, name: str = "x1") -> TradeReport:
    """A purchase by somebody, booked at the venue."""
    listing = next(x for x in rig.market.universe.listings if x.symbol == PERPETUAL)
    fill = Fill(
        listing, Side.BUY, Decimal(quantity), Decimal(60_000), Decimal(0), listing.contract.settlement, "",
        name, time_ns,
    )  # fmt: skip
    report = TradeReport("", fill)
    rig.truth.book(report)
    return report


def looked(rig: Rig, rounds: int, seconds: float = 5.0, venue_ns: int | None = None) -> None:
    """So many accounts, each asked for, as the venue has them now."""
    for _ in range(rounds):
        rig.mark(seconds)
        changes = {} if venue_ns is None else {"venue_ns": venue_ns}
        rig.send(rig.report(**changes), 0.1)


@pytest.mark.parametrize("ahead", AHEAD_NS)
def test_a_fill_of_whatever_stamp_explains_no_difference_but_its_own(ahead: str) -> None:
    rig = calm()
    stamp_ns = max(rig.now_ns, YEAR_2090_NS) if ahead == "2090" else rig.now_ns + AHEAD_NS[ahead]
    rig.send(traded(rig, "10", stamp_ns))
    assert rig.positions() == {PERPETUAL: Decimal(10_010)}
    rig.truth.positions[PERPETUAL] = Decimal(2_000_000)
    rig.send(rig.report(), 0.1)
    assert rig.state.acting is Mode.REDUCING  # at once: the fill is of 10
    rig.send(rig.report(), 1.0)
    assert rig.state.mode is Mode.HALTED and "DRIFT" in rig.alerts()
    assert ("TRADE_MISDATED" in rig.alerts()) is (ahead in ("tomorrow", "2090"))


@pytest.mark.parametrize("ahead", AHEAD_NS)
def test_a_fill_that_the_report_does_not_have_yet_explains_as_much_as_it_traded_for_some_seconds(
    ahead: str,
) -> None:
    rig = calm()
    before = rig.report()
    stamp_ns = max(rig.now_ns, YEAR_2090_NS) if ahead == "2090" else rig.now_ns + AHEAD_NS[ahead]
    rig.send(traded(rig, "10", stamp_ns))
    assert rig.send(before).mode is Mode.ARMED and "DRIFT" not in rig.alerts()
    # It is looked at again soon, and when no report can be on its way any more it has to be there.
    asked = [a for _ in range(2) for a in rig.tick(1.0).actions if isinstance(a, AskAccount)]
    assert asked
    rig.now_ns += 15 * SECOND
    missing = {PERPETUAL: Decimal(10_000)}
    rig.send(rig.report(positions=missing))
    assert rig.state.acting is Mode.REDUCING
    rig.send(rig.report(positions=missing), 1.0)
    assert rig.state.mode is Mode.HALTED


def test_a_fill_explains_in_its_own_direction_alone() -> None:
    rig = calm()
    rig.send(traded(rig, "10", rig.now_ns + SECOND))
    wrong = rig.report(positions={PERPETUAL: Decimal(10_020)})  # 10 more than ours: it cannot lack a purchase
    assert rig.send(wrong).mode is Mode.REDUCING


@pytest.mark.parametrize("venue_ns", [YEAR_2011_NS, YEAR_2090_NS, 0, 1 << 62], ids=str)
def test_an_account_of_another_time_is_a_question_that_failed(venue_ns: int) -> None:
    rig = calm()
    held, since = rig.positions(), rig.state.venues[VENUE].venue_ns
    rig.truth.positions[PERPETUAL] = Decimal(2_000_000)
    looked(rig, 5, 5.0, venue_ns)
    known = rig.state.venues[VENUE]
    assert rig.positions() == held and known.venue_ns == since and known.drift == 0
    assert rig.alerts().count("ACCOUNT_MISDATED") == 1
    assert known.misdated and not known.takes_orders  # nothing is sent on the strength of it
    # The next one with a right stamp is taken, and then another.
    looked(rig, 2, 1.0)
    assert rig.state.mode is Mode.HALTED and not rig.state.venues[VENUE].misdated


def test_nothing_is_sent_while_the_account_is_of_another_time_and_it_goes_on_afterwards() -> None:
    rig = Rig({PERPETUAL: "400000"}).armed()  # far out of its bands
    rig.send(rig.report(venue_ns=YEAR_2011_NS))
    assert not any(isinstance(a, Submit) for _ in range(3) for a in rig.mark(1.0).actions)
    rig.send(rig.report())
    assert any(isinstance(a, Submit) for _ in range(3) for a in rig.mark(1.0).actions)


def test_a_clock_that_is_five_minutes_back_hides_nothing() -> None:
    rig = calm()
    rig.send(traded(rig, "10", rig.now_ns))
    rig.truth.positions[PERPETUAL] = Decimal(2_000_000)
    for _ in range(2):
        rig.tick(61.0)  # asked for
        rig.send(rig.report(venue_ns=rig.now_ns - 300 * SECOND), 0.1)
    assert rig.state.mode is Mode.HALTED


def test_fills_without_end_hide_nothing_for_longer_than_they_could() -> None:
    rig = calm()
    rig.truth.positions[PERPETUAL] += 5000  # nobody tells of it
    for i in range(6):
        rig.send(traded(rig, "10", YEAR_2090_NS + i, f"x{i}"))
        rig.send(rig.report(), 1.0)
    assert rig.state.mode is Mode.HALTED


def test_a_stamp_in_the_future_makes_nobody_forget_what_was_booked() -> None:
    rig = calm()
    sound, wrong = traded(rig, "10", rig.now_ns, "a"), traded(rig, "10", YEAR_2090_NS, "b")
    for report in (sound, wrong, traded(rig, "10", rig.now_ns, "c"), sound, wrong):
        rig.send(report)
    assert rig.positions() == {PERPETUAL: Decimal(10_030)} == rig.truth.positions
