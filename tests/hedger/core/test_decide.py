"""One event, one decision: modes, books, orders under faults, accounts, kill; against a venue's truth."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hedger.core.actions import (
    AdjustmentKind,
    Alert,
    AskAccount,
    AskOrder,
    Cancel,
    CancelAll,
    Permission,
    Submit,
)
from hedger.core.decide import decide
from hedger.core.decision import Decision, canonical
from hedger.core.events import Answer, Event, Failed, Tick, Verb
from hedger.core.gate import Denied, Situation, Then
from hedger.core.sending import permitted
from hedger.core.sight import sight_of
from hedger.core.slicing import Wish
from hedger.core.state import Mode
from hedger.core.turn import Turn
from pricing.contracts import Side
from pricing.daycount import NS_PER_DAY
from tests.hedger.rig import SECOND, VENUE, Rig, desk, free, option_symbol, replayed
from venues.orders import (
    Link,
    Order,
    OrderReport,
    OrderState,
    OrderUpdate,
    TimeInForce,
    TradeReport,
    VenueStatus,
)

#: Long delta far beyond its band of 100,000 USD: a sale of perpetuals or coins mends it.
LONG = {"BTC-PERPETUAL": "400000"}


def due(rig: Rig) -> Decision:
    """The next mark, on which the first order is sent."""
    return rig.mark(20.0)


def working() -> tuple[Rig, Order]:
    """An armed engine with one order out."""
    rig = Rig(LONG).armed()
    sent = due(rig)
    assert len(sent.orders) == 1
    rig.truth.take(sent.orders[0])
    return rig, sent.orders[0]


def book_is_the_truth(rig: Rig) -> None:
    """Positions of the book are the sum of what the venue filled, exactly; every trade is booked once."""
    assert rig.positions() == {s: q for s, q in rig.truth.positions.items() if q}
    assert len(rig.state.trades) == len(rig.truth.trades)


# ------------------------------------------------------------------------------------------------------ modes


def test_a_quiet_mark_makes_no_plan() -> None:
    rig = Rig({"BTC-PERPETUAL": "1000"}).armed()
    decision = rig.mark(20.0)
    assert decision.quiet and decision.ticket is None and decision.plan is None
    assert decision.trigger and not decision.due and decision.breached == ()
    rows = dict(decision.exposures)
    index = rig.state.snapshot.spot["BTC"] if rig.state.snapshot else 0.0
    assert rows["delta:BTC"] == pytest.approx(1000 / index, rel=1e-2)


def test_nothing_is_sent_before_it_is_armed() -> None:
    rig = Rig(LONG)
    rig.answer(rig.mark())
    for _ in range(3):
        decision = rig.answer(rig.mark(20.0))
        assert decision.mode is Mode.OBSERVE
    assert rig.submits() == []
    assert any("due and the engine only observes" in d.reason for d in rig.decisions)


def test_arming_needs_a_mark_and_a_reconciled_account() -> None:
    rig = Rig(LONG)
    assert rig.command(Verb.ARM).mode is Mode.OBSERVE
    asked = rig.mark()
    assert [type(a) for a in asked.actions] == []  # asked with the first event already
    assert rig.command(Verb.ARM).mode is Mode.OBSERVE
    rig.send(rig.report())
    assert rig.command(Verb.ARM).mode is Mode.ARMED
    assert rig.alerts().count("ARM_REFUSED") == 2


def test_a_hedge_brings_the_row_in_and_is_verified() -> None:
    rig = Rig(LONG).armed()
    before = due(rig)
    assert before.breached == ("delta:BTC",) and before.due and before.ticket is not None
    assert [v.approved for v in before.verdicts] == [True]
    last = rig.answer(before)
    assert rig.state.execution is None and last.breached == ()
    checked = [d.verification for d in rig.decisions if d.verification is not None]
    assert len(checked) == 1 and checked[0].filled and checked[0].inside
    assert "partial" not in checked[0].differences and "moved market" not in checked[0].differences
    book_is_the_truth(rig)
    assert rig.mark(20.0).quiet
    orders = rig.submits()
    assert all(o.time_in_force is TimeInForce.IOC and o.side is Side.SELL for o in orders)
    assert len({o.client_id for o in orders}) == len(orders)


@pytest.mark.parametrize("verb", [Verb.PAUSE, Verb.KILL])
def test_a_command_ends_what_is_in_work(verb: Verb) -> None:
    rig, order = working()
    rig.command(verb)
    rig.truth.cancel(order.client_id)
    rig.answer(rig.send(rig.truth.update(order.client_id)))
    for _ in range(4):
        rig.answer(rig.mark(20.0))
    assert len(rig.submits()) == 1 and rig.state.execution is None
    if verb is Verb.PAUSE:
        rig.command(Verb.RESUME)
        rig.answer(rig.mark(20.0))
        assert len(rig.submits()) > 1


def test_reducing_lets_out_only_what_brings_the_rows_nearer() -> None:
    rig = Rig(LONG).armed()
    rig.command(Verb.REDUCE)
    rig.answer(due(rig))
    assert rig.submits() and rig.state.acting is Mode.REDUCING


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("verb", [Verb.ARM, Verb.REDUCE])
def test_what_a_wish_for_the_wrong_side_gets(side: Side, verb: Verb) -> None:
    """Long beyond the band: a buy goes further out, and so does any part of it; a sale comes nearer."""
    rig, order = working()
    rig.command(verb)
    event = Event(rig.seq + 1, rig.now_ns, rig.events[-1].monotonic_ns, Tick())
    turn = Turn(rig.state, rig.settings, event)
    sight, execution = sight_of(turn), rig.state.execution
    assert sight is not None and execution is not None
    ten = Decimal(10_000)
    wish = Wish(7, 0, order.listing, side, ten, order.price, TimeInForce.IOC, False, ten)
    asked = replace(order, client_id="htest-99-7-0", side=side, quantity=ten)
    found = permitted(turn, asked, wish, sight, execution)
    if verb is Verb.REDUCE and side is Side.BUY:
        assert isinstance(found, Denied) and found.code == "REDUCING"
    else:
        assert isinstance(found, Submit)
    above = permitted(turn, asked, replace(wish, parent=ten - 10), sight, execution)
    assert isinstance(above, Denied) and above.code == "CHILD_ABOVE_PARENT"
    again = permitted(
        turn, order, replace(wish, quantity=order.quantity, parent=order.quantity), sight, execution
    )
    assert isinstance(again, Denied) and again.code == "ID_USED"


def test_a_refusal_ends_the_execution_with_its_reason() -> None:
    def never(order: Order, situation: Situation) -> Permission | Denied:
        assert situation.parent >= order.quantity and np.isfinite(situation.effect).all()
        return Denied("C4_ORDER_SIZE", "C4_ORDER_SIZE: too large, 1 of 0; nothing was sent")

    rig = Rig(LONG, gate=never).armed()
    decision = due(rig)
    assert decision.orders == () and [v.code for v in decision.verdicts] == ["C4_ORDER_SIZE"]
    assert rig.state.execution is None and "refused: C4_ORDER_SIZE" in decision.reason
    for _ in range(10):
        rig.answer(rig.mark(20.0))
    assert len([d for d in rig.decisions if d.verdicts]) == 5  # attempts_max of the policy
    assert rig.submits() == []


def test_a_permission_of_another_order_opens_nothing() -> None:
    class Other:
        def __init__(self, order: Order) -> None:
            self.item = replace(order, quantity=order.quantity * 2)

    rig = Rig(LONG, gate=lambda order, situation: Other(order)).armed()
    decision = due(rig)
    assert decision.orders == () and [v.code for v in decision.verdicts] == ["OTHER_ORDER"]


def test_a_hedge_that_cannot_be_made_is_told() -> None:
    """Nothing may be traded: the desk hears that the row stays where it is, and why; once while it is so."""
    settings = desk()
    denied = settings.universe.deny_buy.model_copy(update={"venues": (VENUE,)})
    universe = settings.universe.model_copy(update={"deny_buy": denied, "deny_sell": denied})
    rig = Rig(LONG, settings.model_copy(update={"universe": universe})).armed()
    decision = rig.mark(20.0)
    assert decision.due and rig.submits() == []
    (text,) = [a.text for a in decision.actions if isinstance(a, Alert) and a.code == "NOT_HEDGED"]
    assert "delta:BTC" in text
    for _ in range(10):
        rig.answer(rig.mark(20.0))
    assert rig.alerts().count("NOT_HEDGED") == 1
    assert len([d for d in rig.decisions if d.ticket]) == 1
    assert len([d for d in rig.decisions if "to the same end" in d.reason]) == 4  # attempts_max is 5
    assert rig.state.outside.rows == ("delta:BTC",) and "5 attempts" in rig.state.outside.why


def test_flatten_is_a_plan_to_nothing() -> None:
    rig = Rig({"BTC-PERPETUAL": "60000"}).armed()
    assert rig.mark(20.0).breached == ()
    decision = rig.answer(rig.command(Verb.FLATTEN))
    assert rig.submits() and decision.breached == ()
    for _ in range(3):
        rig.answer(rig.mark(20.0))
    assert "FLATTENED" in rig.alerts() and rig.state.asked_for == ""
    index = rig.state.snapshot.spot["BTC"] if rig.state.snapshot else float("nan")
    assert abs(dict(rig.decisions[-1].exposures)["delta:BTC"]) * index <= 10_000  # a tenth of 100,000


def test_hedge_and_bands_by_command() -> None:
    rig = Rig({"BTC-PERPETUAL": "80000"}).armed()
    assert rig.mark(20.0).breached == ()
    assert rig.command(Verb.BANDS, "delta:XRP=-1,1/-0.5,0.5").breached == ()
    assert rig.command(Verb.BANDS, "delta:BTC=-1,1/-2,2").breached == ()
    assert rig.alerts().count("BANDS_REFUSED") == 2
    assert rig.command(Verb.BANDS, "delta:BTC=-0.5,0.5/-0.2,0.2").breached == ("delta:BTC",)
    assert rig.command(Verb.BANDS, "delta:BTC").breached == ("delta:BTC",)  # takes nothing back
    assert rig.alerts().count("BANDS_REFUSED") == 3
    assert rig.command(Verb.BANDS, "delta:BTC=").breached == ()
    rig.answer(rig.command(Verb.HEDGE))  # 80,000 is outside its landing of 50,000
    assert sum(o.quantity for o in rig.submits()) > 0
    assert rig.command(Verb.FLATTEN, "DOGE").orders == ()
    assert "FLATTEN_REFUSED" in rig.alerts()


def test_a_command_is_obeyed_once() -> None:
    rig = Rig(LONG).armed()
    pause = rig.events[-1].what
    rig.command(Verb.PAUSE)
    rig.send(pause)  # the arm again, under its old id
    assert rig.state.paused and rig.state.mode is Mode.ARMED


# -------------------------------------------------------------------------------------- one order, its faults


def test_an_order_without_an_answer_is_asked_after_and_never_sent_again() -> None:
    rig, order = working()
    asks, told = 0, 0
    for _ in range(40):
        decision = rig.tick(1.0)
        asks += sum(isinstance(a, AskOrder) for a in decision.actions)
        told += sum(isinstance(a, Alert) and a.code == "ORDER_UNKNOWN" for a in decision.actions)
        for action in decision.actions:
            if isinstance(action, AskOrder):
                rig.send(Failed(VENUE, "order", order.client_id))
    assert rig.state.orders[order.client_id].state is OrderState.UNKNOWN
    assert 5 <= asks <= 12 and told == 1 and len(rig.submits()) == 1
    trade = rig.truth.fill(order.client_id, order.quantity, rig.now_ns)
    assert trade is not None
    rig.answer(rig.send(trade))
    assert rig.state.orders[order.client_id].state is OrderState.FILLED
    book_is_the_truth(rig)


def test_a_lost_order_is_given_up_only_with_the_account_and_comes_back_if_it_lives() -> None:
    rig, order = working()
    held = rig.truth.orders.pop(order.client_id)  # the venue hides it
    for seconds in range(60):
        decision = rig.tick(1.0)
        for action in decision.actions:
            if isinstance(action, AskOrder):
                rig.send(Answer(VENUE, order.client_id, None))
            if isinstance(action, AskAccount) and seconds < 50:
                rig.send(Failed(VENUE, "account"))
            elif isinstance(action, AskAccount):
                rig.send(rig.report())
        if 2 <= seconds < 50:
            assert rig.state.orders[order.client_id].state is OrderState.UNKNOWN
    assert rig.state.orders[order.client_id].state is OrderState.REJECTED
    assert "ORDER_LOST" in rig.alerts()
    rig.truth.orders[order.client_id] = held
    trade = rig.truth.fill(order.client_id, order.quantity, rig.now_ns)
    assert trade is not None
    rig.send(trade)
    rig.send(trade)
    book_is_the_truth(rig)
    assert "LATE_FILL" in rig.alerts()


def test_not_found_is_not_lost_before_its_time() -> None:
    """The account agrees, and the venue says at once and again that it never had it: a quarter of a minute
    passes, and well before half a minute is over, which is what steady state may take, it is known."""
    rig, order = working()
    del rig.truth.orders[order.client_id]
    rig.send(OrderUpdate(order.client_id, OrderState.UNKNOWN))
    states = []
    for _ in range(40):
        for action in rig.tick(1.0).actions:
            if isinstance(action, AskOrder):
                rig.send(Answer(VENUE, order.client_id, None))
            if isinstance(action, AskAccount):
                rig.send(rig.report())
        states.append(rig.state.orders[order.client_id].state)
    assert states[:14] == [OrderState.UNKNOWN] * 14 and states[24] is OrderState.REJECTED


def test_a_duplicate_id_says_that_the_order_exists() -> None:
    rig, order = working()
    rig.send(OrderUpdate(order.client_id, OrderState.REJECTED, code="duplicate_client_id"))
    assert rig.state.orders[order.client_id].state is OrderState.UNKNOWN
    assert len(rig.submits()) == 1


def test_fills_are_booked_once_whatever_comes_twice() -> None:
    rig, order = working()
    trade = rig.truth.fill(order.client_id, order.quantity, rig.now_ns)
    assert trade is not None
    for what in (trade, rig.truth.update(order.client_id), trade, rig.report(), trade):
        rig.send(what)
    assert len(rig.state.trades) == 1
    book_is_the_truth(rig)


def test_a_strangers_trade_is_booked_and_told() -> None:
    rig = Rig(LONG).armed()
    foreign, order = Rig(LONG).armed(), None
    order = due(foreign).orders[0]
    trade = foreign.truth
    trade.take(order)
    report = trade.fill(order.client_id, order.quantity, rig.now_ns)
    assert report is not None
    theirs = replace(report, client_id="web-1", fill=replace(report.fill, trade_id="x1"))
    rig.truth.book(theirs)
    decision = rig.send(theirs)
    assert [a.code for a in decision.alerts] == ["EXTERNAL"]
    assert rig.positions()[order.listing.symbol] == rig.truth.positions[order.listing.symbol]
    nameless = replace(theirs, fill=replace(theirs.fill, trade_id=""))
    assert [a.code for a in rig.send(nameless).alerts] == ["TRADE_WITHOUT_ID"]
    old = replace(theirs, fill=replace(theirs.fill, trade_id="x2", time_ns=rig.now_ns - 9 * NS_PER_DAY))
    assert [a.code for a in rig.send(old).alerts] == ["TRADE_TOO_OLD"]
    book_is_the_truth(rig)


# ------------------------------------------------------------------------------------------------ the account


def test_a_difference_reduces_then_halts_and_a_person_accepts_it() -> None:
    rig = Rig(LONG).armed()
    rig.truth.positions["BTC-PERPETUAL"] += 5000
    first = rig.send(rig.report())
    assert first.mode is Mode.REDUCING and "DRIFT" in [a.code for a in first.alerts]
    second = rig.send(rig.report(), 1.0)
    assert second.mode is Mode.HALTED
    assert rig.positions()["BTC-PERPETUAL"] == 400_000  # the book is not bent to it
    assert rig.command(Verb.ARM).mode is Mode.HALTED
    accepted = rig.command(Verb.ARM, "accept")
    assert accepted.mode is Mode.ARMED
    assert [(a.kind, a.quantity) for a in accepted.adjustments] == [
        (AdjustmentKind.ACCEPTED_POSITION, Decimal(5000))
    ]
    again = rig.send(rig.report(), 1.0)
    assert again.mode is Mode.ARMED and again.adjustments == () and again.alerts == ()
    assert rig.positions() == rig.truth.positions


def test_executions_stamped_before_the_start_are_found_when_the_venue_s_clock_was_set_back() -> None:
    # The venue's clock falls by a minute after our first account report: its stamps lie before our start.
    rig, order = working()
    trade = rig.truth.fill(order.client_id, order.quantity, rig.start_ns - 60 * SECOND)
    assert trade is not None
    rig.send(rig.truth.update(order.client_id))
    asked = [a for _ in range(20) for a in rig.tick().actions if isinstance(a, AskAccount)]
    assert asked and all(a.since_ns <= trade.fill.time_ns for a in asked)
    assert rig.alerts().count("FILLS_OWED") == 1
    held = rig.positions().get(order.listing.symbol, Decimal(0))
    # A stranger's trade from before the start is in the account that the book began with, and is not booked.
    stranger = TradeReport("somebody", replace(trade.fill, trade_id="before", quantity=Decimal(7)))
    rig.send(rig.report(trades=(stranger, trade)))
    assert rig.positions()[order.listing.symbol] - held == order.side.sign * order.quantity
    assert rig.state.orders[order.client_id].settled
    book_is_the_truth(rig)


def test_a_difference_that_was_a_lie_passes() -> None:
    rig = Rig(LONG).armed()
    lie = rig.send(rig.report(positions={}, orders=(), trades=()))
    assert lie.mode is Mode.REDUCING
    truth = rig.send(rig.report(), 1.0)
    assert truth.mode is Mode.ARMED and "DRIFT_OVER" in [a.code for a in truth.alerts]
    book_is_the_truth(rig)


def test_a_failed_question_is_no_flat_account() -> None:
    rig = Rig(LONG).armed()
    for _ in range(6):
        rig.send(Failed(VENUE, "account", text="timed out"), 1.0)
    assert rig.state.acting is Mode.ARMED and rig.positions() == rig.truth.positions
    assert rig.alerts().count("ACCOUNT_UNANSWERED") == 1


def test_a_dropped_fill_is_found_in_the_account() -> None:
    rig, order = working()
    rig.truth.fill(order.client_id, order.quantity, rig.now_ns)
    rig.send(rig.truth.update(order.client_id))  # the venue says filled, the execution never comes
    assert not rig.state.orders[order.client_id].settled
    asked = [rig.tick(1.0) for _ in range(6)]
    assert any(isinstance(a, AskAccount) for d in asked for a in d.actions)
    rig.answer(rig.send(rig.report()))
    book_is_the_truth(rig)
    assert rig.state.acting is Mode.ARMED


def test_the_same_report_twice_says_nothing_the_second_time() -> None:
    rig, order = working()
    rig.truth.fill(order.client_id, order.quantity / 2, rig.now_ns)
    rig.truth.cancel(order.client_id)
    rig.send(rig.truth.update(order.client_id))
    report = rig.report()
    rig.send(report)
    state = rig.state
    second = rig.send(report)
    assert second.alerts == () and second.adjustments == ()
    assert rig.state.book is state.book and rig.state.orders == state.orders


def test_a_late_report_is_left_aside_and_a_venue_whose_clock_steps_back_is_heard() -> None:
    rig = Rig(LONG).armed()
    old = replace(rig.report(positions={}), venue_ns=rig.now_ns - 300 * 10**9)
    assert rig.send(old).mode is Mode.ARMED  # nobody asked for it
    asked = [rig.tick(70.0)]
    assert any(isinstance(x, AskAccount) for d in asked for x in d.actions)
    assert (
        rig.send(replace(old, positions=rig.report().positions, balances=rig.balances())).mode is Mode.ARMED
    )
    assert rig.state.venues[VENUE].venue_ns == old.venue_ns


def test_a_balance_that_differs_without_a_reason_is_drift() -> None:
    rig = Rig({**LONG, option_symbol(Rig(LONG).market): "1"}).armed()
    off = {**rig.balances(), "BTC": rig.balances().get("BTC", Decimal(0)) + 5}
    assert rig.send(rig.report(balances=off)).mode is Mode.REDUCING
    near = {**rig.balances(), "BTC": rig.balances().get("BTC", Decimal(0)) + Decimal("0.001")}
    assert rig.send(rig.report(balances=near)).mode is Mode.ARMED


def test_orders_of_others_are_left_alone_and_ours_of_an_earlier_life_are_cancelled() -> None:
    rig = Rig(LONG).armed()
    line = OrderReport(
        "web-7", "v7", "BTC-PERPETUAL", Side.BUY, Decimal(10), Decimal(0), Decimal(60_000), OrderState.OPEN
    )
    ours = replace(line, client_id="htest-9-0-0", venue_order_id="v8")
    decision = rig.send(rig.report(orders=(line, ours)))
    assert [a for a in decision.actions if isinstance(a, Cancel)] == [Cancel(VENUE, "htest-9-0-0")]
    assert sorted(a.code for a in decision.alerts) == ["EXTERNAL_ORDER", "ORDER_NOT_ON_RECORD"]


def test_others_orders_are_told_of_once_and_remembered_while_they_are_open() -> None:
    rig = Rig(LONG).armed()
    line = OrderReport(
        "web-7", "v7", "BTC-PERPETUAL", Side.BUY, Decimal(10), Decimal(0), Decimal(60_000), OrderState.OPEN
    )
    reports = [rig.report(orders=lines) for lines in ((line,), (line,), (), ())]
    codes = [[a.code for a in rig.send(report).alerts] for report in reports]
    assert codes == [["EXTERNAL_ORDER"], [], [], []]
    assert rig.state.strangers == frozenset()
    assert [a.code for a in rig.send(rig.report(orders=(line,))).alerts] == ["EXTERNAL_ORDER"]
    assert rig.state.strangers == {(VENUE, rig.report().account, "web-7")}


def test_a_link_that_falls_holds_everything_until_the_account_is_read_again() -> None:
    rig, order = working()
    rig.send(VenueStatus(VENUE, Link.DOWN))
    assert rig.state.orders[order.client_id].state is OrderState.UNKNOWN
    for _ in range(5):
        assert not any(isinstance(a, Submit | AskOrder) for a in rig.tick(1.0).actions)
    up = rig.send(VenueStatus(VENUE, Link.UP))
    assert any(isinstance(a, AskAccount) for a in up.actions)
    trade = rig.truth.fill(order.client_id, order.quantity, rig.now_ns)
    assert trade is not None and not rig.state.venues[VENUE].takes_orders
    rig.answer(rig.send(rig.report()))
    book_is_the_truth(rig)
    fired = rig.send(VenueStatus(VENUE, Link.UP, ("dead_man_fired",)))
    assert any(isinstance(a, AskAccount) for a in fired.actions) and not rig.state.venues[VENUE].takes_orders


# ------------------------------------------------------------------------------------------------------- kill


def test_kill_cancels_until_the_venue_shows_nothing_twice() -> None:
    rig, order = working()
    killed = rig.command(Verb.KILL)
    assert killed.mode is Mode.KILLED and CancelAll(VENUE) in killed.actions
    assert rig.command(Verb.UNKILL).mode is Mode.KILLED
    rig.send(rig.report())  # the order is still open
    rig.tick(2.0)
    assert [a for a in rig.decisions[-2].actions if isinstance(a, CancelAll)]
    rig.truth.cancel(order.client_id)
    rig.send(rig.report())
    assert rig.command(Verb.UNKILL).mode is Mode.KILLED  # seen once
    assert rig.command(Verb.ARM).mode is Mode.KILLED
    told_again = rig.send(rig.report())
    assert not told_again.alerts and rig.command(Verb.UNKILL).mode is Mode.KILLED  # and read once
    rig.tick(1.0)
    confirmed = rig.send(rig.report())
    assert "KILL_CONFIRMED" in [a.code for a in confirmed.alerts]
    quiet = [rig.tick(1.0) for _ in range(5)]
    assert not any(isinstance(a, CancelAll) for d in quiet for a in d.actions)
    assert rig.command(Verb.UNKILL).mode is Mode.OBSERVE
    assert len(rig.submits()) == 1


# -------------------------------------------------------------------------------------------------- bad marks


def test_poisoned_marks_send_nothing() -> None:
    rig = Rig(LONG).armed()
    marks = rig.market.marks()
    n = marks.rows.size
    poisons: list[dict[str, Any]] = [
        {"index": marks.index * 10, "mark": marks.mark * 10, "bid": marks.bid * 10, "ask": marks.ask * 10},
        {"mark_iv": np.zeros(n)},
        {"mark_iv": np.full(n, 9.0)},
        {"index": np.full(n, np.nan), "forward": np.full(n, np.nan)},
        {"bid_size": -marks.bid_size, "ask_size": -marks.ask_size},
        {"bid": marks.ask, "ask": marks.bid},
        {"rows": marks.rows + 1000},
        {"bid": marks.bid[:-1]},
        {"bid": np.full(n, 1e300), "ask": np.full(n, np.inf)},
    ]
    for poison in poisons:
        decision = rig.send(replace(marks, now_ns=rig.now_ns, **poison), 1.0)
        assert decision.orders == (), poison.keys()
    assert rig.alerts().count("MARKS_INVALID") == 2


def test_marks_stamped_backwards_move_no_clock() -> None:
    rig = Rig({"BTC-PERPETUAL": "1000"}).armed()
    rig.mark(20.0)
    rig.send(replace(rig.market.marks(), now_ns=5), 1.0)
    assert rig.state.market.now_ns == rig.now_ns
    with pytest.raises(ValueError, match="after event"):
        decide(rig.state, rig.events[0], rig.settings)


# ----------------------------------------------------------------------------------------------------- replay


def test_the_same_events_give_the_same_digests() -> None:
    rig = Rig({**LONG, option_symbol(Rig(LONG).market): "-40"})
    first = rig.state
    rig.armed()
    for _ in range(4):
        rig.answer(rig.mark(30.0))
    assert rig.submits()
    digests = [d.digest for d in rig.decisions]
    assert replayed(rig, first) == digests and len(set(digests)) == len(digests)
    for decision in rig.decisions:
        assert json.loads(canonical(decision.document()))["seq"] == decision.seq


# ------------------------------------------------------------------------------------- anything that can come


class Storm:
    """A venue that answers late, twice, out of order or not at all; its truth is the rig's."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw
        self.rig = Rig(LONG).armed()
        self.mail: list[Any] = []

    def choose(self, *options: Any) -> Any:
        return self.draw(st.sampled_from(options))

    def post(self, what: Any) -> None:
        for _ in range(self.choose(0, 1, 1, 1, 2)):
            self.mail.append(what)

    def take(self, decision: Decision) -> None:
        truth, rig = self.rig.truth, self.rig
        for action in decision.actions:
            if isinstance(action, Submit):
                order = action.order
                fate = self.choose("lost", "refused", "none", "part", "whole", "whole")
                if fate == "refused":
                    self.post(OrderUpdate(order.client_id, OrderState.REJECTED, code="insufficient_margin"))
                    continue
                if fate == "lost":
                    self.post(OrderUpdate(order.client_id, OrderState.UNKNOWN))
                    continue
                truth.take(order)
                self.post(truth.update(order.client_id))
                part = order.listing.quantize_quantity(order.quantity / 2)
                if fate in ("part", "whole"):
                    some = part if fate == "part" and part else order.quantity
                    self.post(truth.fill(order.client_id, some, rig.now_ns))
                truth.cancel(order.client_id)
                self.post(truth.update(order.client_id))
            elif isinstance(action, Cancel) and action.client_id in truth.orders:
                truth.cancel(action.client_id)
                self.post(truth.update(action.client_id))
            elif isinstance(action, AskOrder):
                hidden = self.choose(False, False, True)
                line = None if hidden else truth.line(action.client_id)
                failed = Failed(VENUE, "order", action.client_id)
                self.post(self.choose(failed, Answer(VENUE, action.client_id, line)))
            elif isinstance(action, AskAccount):
                self.post(self.choose(Failed(VENUE, "account"), rig.report(), rig.report()))

    def step(self) -> None:
        rig = self.rig
        kind = self.choose("mail", "mail", "mail", "tick", "mark")
        if kind == "mail" and self.mail:
            what = self.mail.pop(self.draw(st.integers(0, len(self.mail) - 1)))
            if what is not None:
                self.take(rig.send(what))
        elif kind == "mark":
            self.take(rig.mark(5.0))
        else:
            self.take(rig.tick(float(self.choose(1, 3, 11))))

    def calm(self) -> None:
        """Faults stop; everything is answered truly until nothing moves."""
        rig = self.rig
        for _ in range(70):
            decision = rig.tick(1.0)
            rig.answer(decision)


def evidence(rig: Rig, client_id: str, at: int) -> bool:
    """Whether the event of a decision, or the state of the account in it, could end an UNKNOWN order."""
    return not isinstance(rig.events[at].what, Tick | Failed)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_whatever_comes_the_book_ends_as_the_truth(data: st.DataObject) -> None:
    storm = Storm(data.draw)
    rig = storm.rig
    state = rig.state
    for _ in range(data.draw(st.integers(5, 45))):
        n = len(rig.decisions)
        storm.step()
        for i in range(n, len(rig.decisions)):
            decision = rig.decisions[i]
            if not decision.mode.sends or decision.paused:
                assert decision.orders == ()
            before = {c for c, r in state.orders.items() if r.state is OrderState.UNKNOWN}
            for client_id in before:
                now = rig.state.orders[client_id].state
                assert now is OrderState.UNKNOWN or evidence(rig, client_id, i)
        state = rig.state
    storm.calm()
    book_is_the_truth(rig)
    sent = Counter(o.client_id for o in rig.submits())
    assert not sent or max(sent.values()) == 1
    for record in rig.state.orders.values():
        truth = rig.truth.orders.get(record.order.client_id)
        assert record.settled, record
        assert record.booked == (truth[2] if truth else 0)


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_a_storm_replays_to_the_same_digests(data: st.DataObject) -> None:
    storm = Storm(data.draw)
    fresh = Rig(LONG).state
    for _ in range(20):
        storm.step()
    assert replayed(storm.rig, fresh) == [d.digest for d in storm.rig.decisions]


def test_news_of_nobody_changes_nothing() -> None:
    rig = Rig(LONG).armed()
    event = Event(rig.seq + 1, rig.now_ns, rig.events[-1].monotonic_ns, Answer(VENUE, "hother-1-0-0", None))
    state, decision = decide(rig.state, event, rig.settings)
    assert decision.quiet and state.orders == rig.state.orders and state.book is rig.state.book


def test_a_reason_that_passes_spaces_the_tries_and_counts_none() -> None:
    """1, 2, 4, 8 seconds apart; told once; the row is hedged as soon as the reason is gone."""
    late = {"clock": True}

    def gate(order: Order, situation: Situation) -> Permission | Denied:
        text = "CLOCK_OFFSET: 2 s; nothing was sent"
        return Denied("CLOCK_OFFSET", text, Then.BACK_OFF) if late["clock"] else free(order, situation)

    rig = Rig(LONG, gate=gate).armed()
    due(rig)
    for _ in range(14):
        rig.tick(1.0)
    assert len([d for d in rig.decisions if d.verdicts]) == 4  # at 0, 1, 3, 7 s
    assert rig.submits() == [] and rig.state.memory.attempts == ()
    assert rig.alerts().count("ORDER_HELD") == 1 and "ORDER_DENIED" not in rig.alerts()
    late["clock"] = False
    rig.tick(1.0)
    assert len(rig.submits()) == 1


@pytest.mark.parametrize(("verb", "word"), [(Verb.PAUSE, "stopped, paused"), (Verb.KILL, "stopped, killed")])
def test_an_execution_is_named_by_what_ended_it(verb: Verb, word: str) -> None:
    rig = Rig(LONG).armed()
    sent = due(rig)
    assert sent.orders
    rig.answer(rig.command(verb))
    rig.truth.take(sent.orders[0])
    rig.truth.cancel(sent.orders[0].client_id)
    rig.answer(rig.send(rig.truth.update(sent.orders[0].client_id)))
    rig.tick(1.0)
    (check,) = [d.verification for d in rig.decisions if d.verification is not None]
    assert check.ended.startswith(word)
