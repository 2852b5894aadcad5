"""A ticket worked off: slices, prices, patience, planning anew, verification; by hand."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from hedger.core.actions import Cancel
from hedger.core.decision import Decision
from hedger.core.events import Verb
from hedger.core.slicing import WorkLeg, index_limit, price_limit
from hedger.core.state import Mode
from hedger.sections.execution import ExecutionConfig
from pricing.contracts import Listing, Side
from pricing.market import Marks
from tests.builders import listing, option, perpetual
from tests.hedger.rig import VENUE, Rig, desk, option_symbol, thinned
from venues.orders import Order, OrderState, OrderUpdate, TimeInForce, TradeReport

LONG = {"BTC-PERPETUAL": "400000"}
#: Only the perpetual may be traded, so that every expectation can be reckoned from one book.
PERP_ONLY = {"kinds": ("spot", "future", "option")}


def rig_of(rows: dict[str, str] | None = None, perp_only: bool = True, **execution: object) -> Rig:
    settings = desk(**execution)
    if perp_only:
        chosen = settings.universe
        denied = chosen.deny_buy.model_copy(update=PERP_ONLY)
        universe = chosen.model_copy(update={"deny_buy": denied, "deny_sell": denied})
        settings = settings.model_copy(update={"universe": universe})
    return Rig(LONG if rows is None else rows, settings).armed()


def perp(rig: Rig) -> int:
    return rig.market.universe.positions[(VENUE, "BTC-PERPETUAL")]


def mark(rig: Rig, sizes: tuple[float, ...], seconds: float = 5.0, shift: float = 0.0) -> Decision:
    """The standing market again, its perpetual with a book of these sizes, 0.5 USD apart, and moved a bit."""
    rig.now_ns += round(seconds * 1e9)
    marks = rig.market.marks()
    stamped = replace(marks, now_ns=rig.now_ns, venue_ns=np.full(marks.rows.size, rig.now_ns))
    at = int(np.flatnonzero(stamped.rows == perp(rig))[0])
    moved: dict[str, Any] = {}
    for name in ("bid", "ask", "mark"):
        column = getattr(stamped, name).copy()
        column[at] += shift
        moved[name] = column
    sized = _touch_sizes(replace(stamped, **moved), at, sizes[0])
    return rig.send(thinned(sized, rig.state.market, perp(rig), sizes, 0.5))


def _touch_sizes(marks: Marks, at: int, size: float) -> Marks:
    bid_size, ask_size = marks.bid_size.copy(), marks.ask_size.copy()
    bid_size[at] = ask_size[at] = size
    return replace(marks, bid_size=bid_size, ask_size=ask_size)


def bid(rig: Rig) -> Decimal:
    return Decimal(repr(float(rig.state.market.bid[perp(rig)])))


def fill(rig: Rig, order: Order, quantity: Decimal | None = None) -> Decision:
    """The venue takes an order, fills so much of it and ends it; all news arrives."""
    if order.client_id not in rig.truth.orders:
        rig.truth.take(order)
    trade = rig.truth.fill(order.client_id, order.quantity if quantity is None else quantity, rig.now_ns)
    rig.truth.cancel(order.client_id)
    decisions = [rig.send(trade)] if trade is not None else []
    decisions.append(rig.send(rig.truth.update(order.client_id)))
    return next((d for d in decisions if d.actions or d.verification), decisions[-1])


def quantity_of(rig: Rig) -> Decimal:
    """Of the first ticket's one leg."""
    (ticket,) = [d.ticket for d in rig.decisions if d.ticket is not None]
    (leg,) = ticket.legs
    return leg.quantity


# ----------------------------------------------------------------------------------------------------- slices


def test_a_slice_takes_its_share_and_the_same_display_is_not_taken_twice() -> None:
    rig = rig_of(participation=0.5, slice_interval_s=1.0)
    (first,) = mark(rig, (100_000.0, 300_000.0)).orders
    whole = quantity_of(rig)
    assert first.side is Side.SELL and first.time_in_force is TimeInForce.IOC
    # Half of the 400,000 displayed within 10 bps of the ticket's price; at the level that completes it.
    assert first.quantity == min(Decimal(200_000), whole)
    assert first.price == bid(rig) - Decimal("0.5")
    assert 300_000 < whole <= 400_000  # to 50,000 at most, in lots of 10
    assert fill(rig, first).orders == ()
    assert rig.tick(1.0).orders == () and rig.tick(5.0).orders == ()  # the display is the one taken from
    (second,) = mark(rig, (100_000.0, 300_000.0)).orders
    assert second.quantity == whole - first.quantity
    assert (second.seq, second.leg, second.part) != (first.seq, first.leg, first.part)
    done = fill(rig, second)
    assert done.verification is not None and done.verification.filled and done.verification.inside


def test_the_next_slice_waits_its_interval() -> None:
    rig = rig_of(participation=0.5, slice_interval_s=30.0)
    (first,) = mark(rig, (100_000.0, 300_000.0)).orders
    fill(rig, first)
    assert mark(rig, (400_000.0,), 10.0).orders == ()
    assert len(mark(rig, (400_000.0,), 21.0).orders) == 1


def test_nothing_is_taken_beyond_the_price_limit() -> None:
    rig = rig_of(price_limit_bps=0.0)
    (first,) = mark(rig, (400_000.0,)).orders
    at = bid(rig)
    fill(rig, first, Decimal(0))
    waits = [mark(rig, (400_000.0,), 2.0, shift=-20.0).orders for _ in range(3)]
    assert waits == [(), (), ()]  # the touch is worse than the ticket's worst price
    later = [mark(rig, (400_000.0,), 2.0, shift=-20.0) for _ in range(4)]
    orders = [o for d in later for o in d.orders]
    assert orders and orders[0].price == at - 20  # planned anew at the new price, and said so
    assert any("planned anew" in d.reason and "filled nothing" in d.reason for d in rig.decisions)
    assert later[-1].mode is Mode.ARMED


def test_nothing_is_taken_beyond_the_price_limit_from_the_index() -> None:
    """The index falls by 0.3 %, the book stands: a buyer pays no more than the ticket's price less 0.3 %."""
    rig = rig_of({"BTC-PERPETUAL": "-400000"}, index_price_bps=5.0, index_limit_bps=1000.0)
    (first,) = mark(rig, (100_000.0,)).orders
    assert first.side is Side.BUY
    fill(rig, first, Decimal(0))
    marks = rig.market.marks()
    low = {name: getattr(marks, name) * 0.997 for name in ("index", "forward")}
    stamps = np.full(marks.rows.size, rig.now_ns + 10**9)
    rig.now_ns += 10**9
    stale = replace(marks, now_ns=rig.now_ns, venue_ns=stamps, **low)
    assert rig.send(stale).orders == ()  # the ask is where it was: 30 bps above what it should be
    assert rig.state.execution is not None


@pytest.mark.parametrize(
    ("kind", "side", "index", "fair", "expected"),
    [
        (perpetual(), Side.BUY, 70_000.0, 0.0, "70035.0"),  # nothing moved: 5 bps above the ticket's 70,000
        (perpetual(), Side.BUY, 69_300.0, 0.0, "69334.5"),  # 1 % lower, 69,300 and 5 bps, on the tick
        (perpetual(), Side.SELL, 70_700.0, 0.0, "70665.0"),
        (option(70_000.0, "C", 30), Side.BUY, 70_000.0, 0.031, "0.0315"),  # 0.030 + 0.001 + 5 bps of a coin
        (option(70_000.0, "C", 30), Side.SELL, 70_000.0, 0.028, "0.0275"),
        (option(70_000.0, "C", 30), Side.BUY, 70_000.0, float("nan"), None),
    ],
)
def test_price_limits_from_the_index_by_hand(
    kind: Any, side: Side, index: float, fair: float, expected: str | None
) -> None:
    is_option = hasattr(kind, "strike")
    asset = listing(kind, ticks="0:0.0005" if is_option else "0:0.5")
    limit = Decimal("0.030") if is_option else Decimal(70_000)
    leg = WorkLeg(0, asset, side, Decimal(1), limit, 0.0, 0.0, 70_000.0, fair=0.030)
    found = index_limit(leg, index, fair, ExecutionConfig(index_price_bps=5.0))
    assert found == (None if expected is None else Decimal(expected))


@pytest.mark.parametrize(
    ("contract", "side", "limit", "expected"),
    [
        (listing(perpetual(), ticks="0:0.5"), Side.BUY, "70000", "70070.0"),  # 10 bps of the price
        (listing(perpetual(), ticks="0:0.5"), Side.SELL, "70000.5", "69930.5"),
        (listing(option(70_000.0, "C", 30), ticks="0:0.0001"), Side.BUY, "0.0123", "0.0133"),  # of one coin
        (
            listing(option(70_000.0, "C", 30), ticks="0:0.0001"),
            Side.SELL,
            "0.0005",
            "0.0001",
        ),  # never nothing
        (listing(option(7e4, "C", 30, inverse=False), ticks="0:5"), Side.BUY, "1000", "1070"),  # of the index
    ],
)
def test_price_limits_by_hand(contract: Listing, side: Side, limit: str, expected: str) -> None:
    work = WorkLeg(0, contract, side, Decimal(1), Decimal(limit), 0.0, 0.0, 70_000.0)
    assert price_limit(work, ExecutionConfig(price_limit_bps=10.0)) == Decimal(expected)


# ------------------------------------------------------------------------------------------ maker, then taker


def resting(rig: Rig) -> Order:
    (order,) = mark(rig, (400_000.0,)).orders
    assert order.post_only and order.time_in_force is TimeInForce.GTC
    rig.truth.take(order)
    rig.send(OrderUpdate(order.client_id, OrderState.OPEN, "v1", Decimal(0)))
    return order


def test_it_rests_at_the_touch_first_and_takes_when_patience_is_over() -> None:
    rig = rig_of(passive_seconds=10.0)
    maker = resting(rig)
    ask = Decimal(repr(float(rig.state.market.ask[perp(rig)])))
    assert maker.price == ask and maker.side is Side.SELL
    assert rig.tick(8.0).actions == ()
    part = rig.truth.fill(maker.client_id, Decimal(50_000), rig.now_ns)
    assert part is not None and rig.send(part).orders == ()
    over = rig.tick(3.0)
    assert Cancel(VENUE, maker.client_id) in over.actions and over.orders == ()
    rig.truth.cancel(maker.client_id)
    (taker,) = rig.send(rig.truth.update(maker.client_id)).orders
    assert taker.time_in_force is TimeInForce.IOC and not taker.post_only
    assert taker.quantity == maker.quantity - 50_000


def test_urgency_shortens_the_patience() -> None:
    assert ExecutionConfig(passive_seconds=10.0, urgency=0.3).passive_ns() == 7 * 10**9
    rig = rig_of(passive_seconds=10.0, urgency=1.0)
    (order,) = mark(rig, (400_000.0,)).orders
    assert order.time_in_force is TimeInForce.IOC


def test_a_resting_order_follows_the_touch() -> None:
    rig = rig_of(passive_seconds=60.0, repeg_interval_s=1.0, repeg_ticks=2)
    maker = resting(rig)
    assert mark(rig, (400_000.0,), 2.0, shift=-0.5).actions == ()  # one tick
    moved = mark(rig, (400_000.0,), 2.0, shift=-1.0)  # two ticks: a seller's touch went down
    assert Cancel(VENUE, maker.client_id) in moved.actions
    rig.truth.cancel(maker.client_id)
    decisions = [rig.send(rig.truth.update(maker.client_id)), rig.tick(1.0)]
    (again,) = [o for d in decisions for o in d.orders]
    assert again.post_only and again.price == maker.price - 1


def test_resting_orders_go_when_the_book_is_not_good() -> None:
    rig = rig_of(passive_seconds=60.0, book_age_s_max=20.0)
    maker = resting(rig)
    assert rig.tick(10.0).actions == ()
    assert Cancel(VENUE, maker.client_id) in rig.tick(15.0).actions


def test_back_in_its_band_the_rest_is_left() -> None:
    rig = rig_of(passive_seconds=60.0)
    maker = resting(rig)
    rig.truth.positions["BTC-PERPETUAL"] -= 390_000
    theirs = rig.truth.fill_of(replace(maker, quantity=Decimal(390_000)), Decimal(390_000), rig.now_ns)
    outside = rig.send(TradeReport("web-1", replace(theirs, trade_id="w1")))
    assert Cancel(VENUE, maker.client_id) in outside.actions
    rig.truth.cancel(maker.client_id)
    last = rig.send(rig.truth.update(maker.client_id))
    assert last.verification is not None and last.verification.ended == "every row is back inside its band"
    assert not last.verification.filled and "partial" in last.verification.differences
    assert rig.state.execution is None and mark(rig, (400_000.0,)).orders == ()


def test_an_old_resting_order_is_cancelled_and_the_cancel_repeated() -> None:
    rig = rig_of(passive_seconds=3600.0, watch={"order_age_s_max": 5.0, "cancel_again_s": 2.0})
    maker = resting(rig)
    cancels = [Cancel(VENUE, maker.client_id) in rig.tick(1.0).actions for _ in range(10)]
    assert cancels == [False] * 4 + [True, False, True, False, True, False]


# ---------------------------------------------------------------------------------------------- planning anew


def test_an_index_that_runs_away_is_planned_for_anew() -> None:
    rig = rig_of(index_limit_bps=50.0, slice_interval_s=1.0)
    (first,) = mark(rig, (400_000.0,)).orders
    fill(rig, first, Decimal(100_000))
    marks = rig.market.marks()
    rig.now_ns += 2 * 10**9
    up: dict[str, Any] = {name: getattr(marks, name) * 1.01 for name in ("index", "forward")}
    rows = marks.rows
    linear = ~rig.market.universe.is_option[rows]
    for name in ("bid", "ask", "mark"):
        up[name] = np.where(linear, np.round(getattr(marks, name) * 1.01, 1), getattr(marks, name))
    up |= {"now_ns": rig.now_ns, "venue_ns": np.full(rows.size, rig.now_ns)}
    decision = rig.send(replace(marks, **up))
    assert "planned anew: the BTC index has moved 100.0 bps, allowed 50" in decision.reason
    assert decision.orders and decision.orders[0].leg == 1  # a leg of its own, in the same execution
    assert rig.state.execution is not None and rig.state.execution.id == first.seq


def test_a_slice_reaches_no_further_through_the_touch_than_the_desk_allows() -> None:
    """0.2 bps of about 70,000 are 1.4 USD: three of the six levels, 0.5 USD apart. The rest waits for the
    next display instead of an order that the hard limits would refuse."""
    rig = rig_of(touch_limit_bps=0.2, slice_interval_s=1.0)
    sizes = (100_000.0,) * 6
    (first,) = mark(rig, sizes).orders
    assert first.side is Side.SELL and first.quantity == 300_000
    bid = Decimal(repr(float(rig.state.market.bid[perp(rig)])))
    assert first.price == bid - 1
    sent = fill(rig, first).orders
    assert sent == () and rig.tick(2.0).orders == ()  # this display has been asked for as far as it may be
    (second,) = mark(rig, sizes, 2.0).orders
    assert 0 < second.quantity < 100_000 and second.leg == first.leg


def test_what_others_did_is_planned_for_anew() -> None:
    rig = rig_of(slice_interval_s=1.0)
    (first,) = mark(rig, (400_000.0,)).orders
    fill(rig, first, Decimal(100_000))
    theirs = rig.truth.fill_of(replace(first, side=Side.BUY), Decimal(300_000), rig.now_ns)
    bought = replace(theirs, trade_id="w1")
    rig.send(TradeReport("web-1", bought))
    decisions = [mark(rig, (900_000.0,), 2.0)]
    assert any("planned anew: the legs left do not bring delta:BTC" in d.reason for d in rig.decisions)
    (rest,) = [o for d in rig.decisions[-3:] for o in d.orders]
    # of the 400,000 displayed the first order asked for all but this: it is not asked for twice
    assert rest.leg == 1 and rest.quantity == 400_000 - first.quantity
    decisions.append(fill(rig, rest))
    decisions.append(mark(rig, (900_000.0,), 2.0))
    (last,) = [o for d in decisions for o in d.orders if o is not rest]
    assert last.quantity > 300_000 and last.leg == rest.leg
    assert decisions[-1].mode is Mode.ARMED


def test_orders_that_venues_refuse_end_the_execution() -> None:
    rig = rig_of(rejects_max=2, slice_interval_s=1.0)
    decision, sent = mark(rig, (400_000.0,)), 0
    for _ in range(6):
        for order in decision.orders:
            sent += 1
            rig.send(OrderUpdate(order.client_id, OrderState.REJECTED, code="outside_price_band"))
        if rig.state.execution is None:
            break
        decision = mark(rig, (400_000.0,), 2.0)
    assert sent == 2 and rig.state.execution is None
    assert any("2 orders were refused" in d.reason for d in rig.decisions)


def test_an_execution_does_not_last_for_ever() -> None:
    rig = rig_of(execution_s_max=30.0, participation=0.5)
    (first,) = mark(rig, (100_000.0, 300_000.0)).orders
    fill(rig, first)
    last = rig.tick(40.0)
    assert last.verification is not None and last.verification.ended == "not done within 30 s"
    assert not last.verification.filled


# ----------------------------------------------------------------------------------------------- several legs


def test_legs_go_one_after_another_and_after_a_partial_fill_the_rest_is_planned_anew() -> None:
    rows = {**LONG, option_symbol(Rig(LONG).market): "-60"}
    rig = rig_of(rows, perp_only=False, slice_interval_s=0.0)
    decision = rig.mark(20.0)
    ticket = decision.ticket
    assert ticket is not None and len(ticket.legs) >= 2
    assert len(ticket.unwind) == len(ticket.legs) - 1
    assert ticket.unwind[0].startswith("if it stops after leg 1: ")
    by_symbol: dict[str, list[Order]] = {}
    alone: list[int] = []
    part = True
    for _ in range(30):
        if not decision.orders:
            if rig.state.execution is None:
                break
            decision = rig.mark(5.0)
            continue
        alone.append(len(decision.orders))
        (order,) = decision.orders
        by_symbol.setdefault(order.listing.symbol, []).append(order)
        half = order.listing.quantize_quantity(order.quantity / 2) if part else order.quantity
        part = False
        decision = fill(rig, order, half or None)
    assert rig.state.execution is None and set(alone) == {1}
    assert len(next(iter(by_symbol.values()))) >= 2  # the first leg came in two pieces
    assert any("planned anew: a slice of" in d.reason for d in rig.decisions)
    for check in [d.verification for d in rig.decisions if d.verification is not None]:
        assert check.inside


@pytest.mark.parametrize("news", ["unknown", "silence"])
def test_an_unknown_order_freezes_what_comes_after_it(news: str) -> None:
    rig = rig_of(participation=0.5, slice_interval_s=1.0)
    (first,) = mark(rig, (100_000.0, 300_000.0)).orders
    if news == "unknown":
        rig.send(OrderUpdate(first.client_id, OrderState.UNKNOWN))
    for _ in range(8):
        assert mark(rig, (400_000.0,), 5.0).orders == ()
    assert rig.state.orders[first.client_id].state is OrderState.UNKNOWN
    rig.truth.take(first)
    assert len(fill(rig, first).orders) == 1  # the truth came; the rest goes on


# ------------------------------------------------------------------------------------- funding and settlement


def test_funding_is_booked_by_the_hour_as_its_own_record() -> None:
    rig = rig_of({"BTC-PERPETUAL": "70000"})
    rate, price = 0.0008, float(rig.state.market.mark[perp(rig)])
    marks = rig.market.marks()
    column = marks.funding_rate.copy()
    column[perp(rig)] = rate
    rig.send(replace(marks, now_ns=rig.now_ns, funding_rate=column))
    rig.now_ns += 3600 * 10**9
    stamps = np.full(marks.rows.size, rig.now_ns)
    decision = rig.send(replace(marks, now_ns=rig.now_ns, venue_ns=stamps, funding_rate=column))
    paid = [a for a in decision.adjustments if a.kind == "funding"]
    assert [a.currency for a in paid] == ["BTC"]
    assert float(paid[0].amount) == pytest.approx(-rate * 70_000 / price / 8.0, rel=1e-9)


def test_what_expires_settles_once_as_its_own_record() -> None:
    symbol = option_symbol(Rig(LONG).market, place=0)
    rig = rig_of({symbol: "1"})
    expiry_ns = next(x.expiry_ns for x in rig.market.universe.listings if x.symbol == symbol)
    seconds = (expiry_ns - rig.now_ns) / 1e9
    rig.answer(rig.mark(seconds - 60.0))
    index = rig.state.snapshot.spot["BTC"] if rig.state.snapshot else float("nan")
    decision = rig.mark(61.0)
    (settled,) = [a for a in decision.adjustments if a.kind == "settlement"]
    assert (settled.symbol, settled.quantity) == (symbol, Decimal(-1))
    assert float(settled.price) == pytest.approx(index, rel=1e-3)
    assert rig.positions() == {}
    assert not [a for a in rig.mark(60.0).adjustments if a.kind == "settlement"]


def test_pausing_is_not_an_attempt() -> None:
    rig = rig_of()
    (first,) = mark(rig, (400_000.0,)).orders
    rig.command(Verb.PAUSE)
    fill(rig, first, Decimal(0))
    assert rig.state.execution is None and rig.state.memory.attempts == ()
