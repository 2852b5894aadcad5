"""The paper venue by its rules: latencies, checks, fees, funding, settlement, margin, timers, the account."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields, replace
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pricing.contracts import Listing, Side
from pricing.errors import InputError
from pricing.market import Market, Marks
from pricing.settlement import window_greeks
from pricing.universe import Universe
from risk.book import Book, Fill
from tests.builders import NAN, marks_of
from tests.venues.paper_desk import (
    BUY,
    CALL,
    EIGHT,
    GTC,
    HOUR,
    IOC,
    LINEAR,
    MS,
    PERP,
    PUT,
    QUOTES,
    SECOND,
    SELL,
    START,
    TERMS,
    UNIVERSE,
    D,
    account,
    answer,
    fills,
    latency,
    marks,
    opened,
    order,
    send,
)
from venues.orders import OrderReport, OrderState, OrderUpdate, TradeReport, VenueStatus
from venues.paper_account import IndexAverage, PaperAccount, fee_of
from venues.paper_exchange import PaperExchange
from venues.paper_feed import MarketTrade
from venues.paper_log import Happened
from venues.paper_orders import Code
from venues.paper_report import closing_report
from venues.paper_terms import (
    Constant,
    Duplicates,
    Empirical,
    FeeModel,
    Latencies,
    LogNormal,
    PaperTerms,
    PriceBand,
    Queue,
)
from venues.simulated import SimulatedMarket

# --- P2: nothing starts on terms that nobody stated


@pytest.mark.parametrize("name", ["fees", "latency", "queue", "margin"])
def test_it_does_not_open_before_every_model_is_stated(name: str) -> None:
    stated = {f.name: getattr(TERMS, f.name) for f in fields(PaperTerms)}
    terms = PaperTerms(**{key: content for key, content in stated.items() if key != name})
    with pytest.raises(InputError) as caught:
        PaperExchange("deribit", UNIVERSE, terms, START)
    assert caught.value.code == "PAPER_TERMS_UNSTATED"
    assert caught.value.exit_code == 2
    assert name in str(caught.value.observed)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Constant(-1),
        lambda: Empirical(()),
        lambda: LogNormal(0, 0.5),
        lambda: Queue(cancels_ahead=D(2)),
        lambda: PriceBand(D("-0.1")),
        lambda: replace(TERMS, order_rate=0.0).stated(),
        lambda: replace(TERMS, timeout_s=float("inf")).stated(),
    ],
)
def test_terms_without_sense_are_refused(make: object) -> None:
    assert callable(make)
    with pytest.raises(InputError):
        make()


def test_latencies_are_drawn_from_what_was_stated() -> None:
    dice = np.random.default_rng(5)
    drawn = [Empirical((3, 8, 90)).draw(dice) for _ in range(300)]
    assert set(drawn) == {3, 8, 90}
    tail = np.array([LogNormal(1_000_000, 0.5, 200_000).draw(dice) for _ in range(4000)])
    assert tail.min() >= 200_000
    # median of exp(N(ln m, s^2)) is m; its logarithm's deviation s: within 4 standard errors
    logs = np.log(tail - 200_000)
    assert abs(np.median(logs) - np.log(1e6)) < 4 * 1.2533 * 0.5 / np.sqrt(4000)
    assert abs(logs.std() - 0.5) < 4 * 0.5 / np.sqrt(8000)


# --- P6: three latencies; the book that counts is the one at arrival


def test_a_fill_is_decided_on_the_book_when_the_order_arrives() -> None:
    exchange = opened(latency=latency(feed_ms=20, order_ms=30, response_ms=5))
    exchange.advance(START + 20 * MS)
    request = exchange.submit(order(PERP, BUY, "100", "60010", IOC), START + 20 * MS)
    # the ask moves away 10 ms before the order is there, and nobody has told us
    exchange.feed(marks(START + 40 * MS, 2, perp={"asks": [(60_050.0, 9000.0)], "ask": 60_050.0}))
    result = answer(exchange, request)
    assert isinstance(result, OrderUpdate)
    assert (result.state, result.filled, result.code) == (OrderState.CANCELLED, D(0), Code.IMMEDIATE)
    assert exchange.now_ns == START + 55 * MS  # 20 + 30 there + 5 back


def test_quotes_reach_us_a_feed_latency_later_with_the_venues_stamp() -> None:
    exchange = opened(latency=latency(feed_ms=20), feed=False)
    exchange.feed(marks())
    assert exchange.advance(START + 20 * MS - 1) == []
    (batch,) = exchange.advance(START + 20 * MS)
    assert isinstance(batch, Marks)
    assert batch.now_ns == START + 20 * MS and (batch.venue_ns == START).all()


def test_no_message_overtakes_an_earlier_one() -> None:
    jumpy = Empirical((1 * MS, 500 * MS))
    exchange = opened(latency=Latencies(jumpy, jumpy, jumpy), feed=False, order_burst=100)
    for i in range(40):
        exchange.feed(marks(START + i * MS, i + 1))
    sent = [order(PERP, BUY, "10", "59000") for _ in range(40)]
    for item in sent:
        exchange.submit(item, START + 50 * MS)
    news = exchange.advance(START + 3 * SECOND)
    assert [x.seq for x in news if isinstance(x, Marks)] == list(range(1, 41))
    arrived = [f.client_id for f in exchange.log.of(Happened.RECEIVED)]
    assert arrived == [x.client_id for x in sent]
    assert [x.client_id for x in news if isinstance(x, OrderUpdate)] == arrived


# --- P3, P4: see test_paper_book; here that both go through the venue


def test_two_orders_cannot_take_the_same_liquidity() -> None:
    exchange = opened()
    first = send(exchange, order(PERP, BUY, "1500", "60010", IOC))
    second = send(exchange, order(PERP, BUY, "1500", "60010", IOC))
    assert (first.filled, second.filled) == (D(1500), D(500))
    exchange.feed(marks(START + SECOND, 2))
    exchange.advance(START + SECOND)
    assert send(exchange, order(PERP, BUY, "1500", "60010", IOC)).filled == 0


def test_a_resting_order_is_filled_by_trades_behind_its_queue_in_parts() -> None:
    exchange = opened()
    resting = order(PERP, BUY, "300", "60000")
    assert send(exchange, resting).state is OrderState.OPEN
    exchange.trades(
        [
            MarketTrade(PERP.symbol, SELL, D(60_000), D(1000), START + 1 * SECOND),
            MarketTrade(PERP.symbol, SELL, D(60_000), D(100), START + 2 * SECOND),
            MarketTrade(PERP.symbol, SELL, D(59_990), D(500), START + 3 * SECOND),
        ]
    )
    assert fills(exchange.advance(START + 1 * SECOND)) == []
    (part,) = fills(exchange.advance(START + 2 * SECOND))
    assert (part.fill.quantity, part.fill.price, part.maker) == (D(100), D(60_000), True)
    (rest,) = fills(exchange.advance(START + 3 * SECOND))
    assert (rest.fill.quantity, rest.fill.price) == (D(200), D(60_000))
    # a rebate of 1 bp of 200 USD in coin, rounded against us at 1e-12
    assert rest.fill.fee == D("-0.000000333333") and rest.fill.fee_currency == "BTC"
    report = answer(exchange, exchange.ask_order(resting.client_id, exchange.now_ns))
    assert isinstance(report, OrderReport) and report.state is OrderState.FILLED


def test_the_remainder_of_a_good_till_cancelled_order_rests() -> None:
    exchange = opened()
    update = send(exchange, order(PERP, BUY, "2500", "60010"))
    assert (update.state, update.filled) == (OrderState.OPEN, D(2000))
    (resting,) = account(exchange).orders
    assert (resting.quantity, resting.filled) == (D(2500), D(2000))


def test_old_quotes_are_no_book() -> None:
    exchange = opened()
    exchange.advance(START + 601 * SECOND)
    assert send(exchange, order(PERP, BUY, "10", "60010", IOC)).filled == 0


def test_only_its_own_listings_are_quoted_and_traded() -> None:
    elsewhere = replace(PERP, venue="okx")
    universe = Universe.of([elsewhere, PERP])
    exchange = PaperExchange("deribit", universe, TERMS, START)
    quote = QUOTES[PERP.symbol]
    exchange.feed(marks_of([replace(quote, listing=elsewhere), quote], [0, 1], START))
    (batch,) = exchange.advance(START)
    assert isinstance(batch, Marks) and batch.rows.tolist() == [1] and set(batch.depth) == {1}
    assert send(exchange, order(elsewhere, BUY, "10", "60010", IOC)).code == Code.NOT_LISTED
    assert send(exchange, order(PERP, BUY, "10", "60010", IOC)).state is OrderState.FILLED


# --- P5: what a venue refuses, with its code


def refused(exchange: PaperExchange, item: object) -> str:
    update = send(exchange, item)  # type: ignore[arg-type]
    assert update.state is OrderState.REJECTED
    assert update.filled is None
    return update.code


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda: order(PERP, BUY, "10", "60000.3"), Code.TICK),
        (lambda: order(CALL, BUY, "0.1", "0.0101"), Code.TICK),  # above 0.005 the step is 0.0005
        (lambda: order(PERP, BUY, "15", "60000"), Code.LOT),
        (lambda: order(replace(PERP, symbol="ETH-PERPETUAL"), BUY, "10", "60000"), Code.NOT_LISTED),
        (lambda: order(PERP, BUY, "10", "60000", account="other"), Code.WRONG_ACCOUNT),
        (lambda: order(PERP, BUY, "10", "60010", post_only=True), Code.POST_ONLY),
        (lambda: order(PERP, SELL, "10", "60000", post_only=True), Code.POST_ONLY),
        (lambda: order(PERP, SELL, "10", "60000", reduce_only=True), Code.REDUCE_ONLY),
        (lambda: order(PERP, BUY, "10", "66006"), Code.BAND),  # 10 % over 60005 is 66005.5
        (lambda: order(PERP, SELL, "10", "54004"), Code.BAND),
    ],
)  # fmt: skip
def test_what_a_venue_refuses(make: object, code: Code) -> None:
    assert callable(make)
    exchange = opened(price_band=PriceBand(D("0.1")))
    assert refused(exchange, make()) == code
    assert [f.code for f in exchange.log.of(Happened.REJECTED)] == [code]
    assert account(exchange).orders == ()


def test_a_price_on_the_edge_of_the_band_and_a_post_only_order_at_the_touch_are_taken() -> None:
    exchange = opened(price_band=PriceBand(D("0.1")))
    assert send(exchange, order(PERP, BUY, "10", "66005.5", IOC)).state is OrderState.FILLED
    assert send(exchange, order(PERP, BUY, "10", "60000", post_only=True)).state is OrderState.OPEN
    assert send(exchange, order(PERP, BUY, "10", "100")).state is OrderState.OPEN  # away from the market


def test_below_the_minimum() -> None:
    small = replace(PERP, minimum=D(100))
    universe = Universe.of([small])
    exchange = PaperExchange("deribit", universe, TERMS, START)
    assert refused(exchange, order(small, BUY, "90", "60000")) == Code.MINIMUM


def test_without_a_reference_a_banded_price_is_refused() -> None:
    exchange = opened(feed=False, price_band=PriceBand(D("0.1")))
    assert refused(exchange, order(PERP, BUY, "10", "60000")) == Code.NO_REFERENCE


def test_an_order_never_trades_with_one_of_ours() -> None:
    exchange = opened()
    send(exchange, order(PERP, BUY, "10", "60005"))
    assert refused(exchange, order(PERP, SELL, "10", "60005")) == Code.SELF_TRADE
    assert send(exchange, order(PERP, SELL, "10", "60005.5")).state is OrderState.OPEN


def test_the_rate_limit_is_a_bucket_that_refills() -> None:
    exchange = opened(order_rate=2.0, order_burst=3)
    codes = [send(exchange, order(PERP, BUY, "10", "59000")).code for _ in range(5)]
    assert codes == ["", "", "", Code.RATE_LIMITED, Code.RATE_LIMITED]
    exchange.advance(START + 499 * MS)
    assert send(exchange, order(PERP, BUY, "10", "59000")).code == Code.RATE_LIMITED
    exchange.advance(START + 500 * MS)
    assert [send(exchange, order(PERP, BUY, "10", "59000")).code for _ in range(2)] == ["", "rate_limited"]


def test_cancels_are_free_of_the_rate_limit() -> None:
    exchange = opened(order_rate=0.001, order_burst=1)
    item = order(PERP, BUY, "10", "59000")
    send(exchange, item)
    update = answer(exchange, exchange.cancel(item.client_id, START))
    assert isinstance(update, OrderUpdate) and update.state is OrderState.CANCELLED


def test_a_reduce_only_order_never_turns_a_position() -> None:
    exchange = opened()
    send(exchange, order(PERP, BUY, "100", "60010", IOC))
    assert refused(exchange, order(PERP, SELL, "110", "60000", reduce_only=True)) == Code.REDUCE_ONLY
    first = order(PERP, SELL, "60", "60020", reduce_only=True)
    send(exchange, first)
    assert refused(exchange, order(PERP, SELL, "50", "60020", reduce_only=True)) == Code.REDUCE_ONLY
    # the position shrinks by another order; what rests may only close what is left of it
    send(exchange, order(PERP, SELL, "70", "60000", IOC))
    exchange.trades([MarketTrade(PERP.symbol, BUY, D(60_030), D(500), START + SECOND)])
    news = exchange.advance(START + SECOND)
    assert [t.fill.quantity for t in fills(news)] == [D(30)]
    last = [x for x in news if isinstance(x, OrderUpdate)][-1]
    assert (last.client_id, last.state, last.filled) == (first.client_id, OrderState.CANCELLED, D(30))
    assert account(exchange).positions == {}


def test_a_repeated_client_id_is_refused_without_saying_what_became_of_the_first() -> None:
    exchange = opened()
    item = order(PERP, BUY, "10", "60010", IOC)
    assert send(exchange, item).state is OrderState.FILLED
    again = send(exchange, item)
    assert (again.state, again.code) == (OrderState.UNKNOWN, Code.DUPLICATE)
    assert account(exchange).positions == {PERP.symbol: D(10)}


def test_where_labels_are_not_unique_a_repeat_is_a_second_order() -> None:
    exchange = opened(duplicates=Duplicates.SECOND_ORDER)
    item = order(PERP, BUY, "10", "60010", IOC)
    assert [send(exchange, item).state for _ in range(2)] == [OrderState.FILLED, OrderState.FILLED]
    assert account(exchange).positions == {PERP.symbol: D(20)}


# --- P7: fees, funding, settlement


@pytest.mark.parametrize(
    ("listing", "quantity", "price", "maker", "fee"),
    [
        (CALL, "2", "0.0100", False, "0.0006"),  # 3 bp of a coin each
        (CALL, "2", "0.0010", False, "0.00025"),  # capped at 12.5 % of the premium
        (PUT, "2", "2000", False, "36"),  # 3 bp of 60,000 USD each
        (PUT, "2", "80", False, "20"),  # capped: 12.5 % of 80, twice
        (PERP, "6000", "60000", False, "0.00005"),  # 5 bp of 0.1 coin
        (PERP, "6000", "60000", True, "-0.00001"),
        (LINEAR, "0.5", "60000", False, "15"),
        (LINEAR, "0.5", "60000", True, "0"),
    ],
)
def test_fees_by_hand(listing: Listing, quantity: str, price: str, maker: bool, fee: str) -> None:
    found = fee_of(FeeModel.LISTING, listing, D(quantity), D(price), maker=maker, index=60_000.0)
    assert found == D(fee)
    assert fee_of(FeeModel.ZERO, listing, D(quantity), D(price), maker=maker, index=NAN) == 0


def test_a_fee_is_rounded_against_us_and_never_made_up() -> None:
    # 5 bp of 10 USD at 60010: 8.3319446758873521...e-8
    assert fee_of(FeeModel.LISTING, PERP, D(10), D(60_010), maker=False, index=NAN) == D("0.000000083320")
    with pytest.raises(ValueError, match="needs an index"):
        fee_of(FeeModel.LISTING, PUT, D(1), D(2000), maker=False, index=NAN)


def test_an_order_whose_fee_could_not_be_told_is_refused() -> None:
    exchange = opened(feed=False)
    assert refused(exchange, order(PUT, BUY, "1", "2050")) == Code.NO_INDEX


def test_a_premium_is_paid_in_coin_by_an_inverse_option_and_in_dollars_by_a_linear_one() -> None:
    exchange = opened()
    send(exchange, order(CALL, BUY, "2", "0.0110", IOC))
    send(exchange, order(PUT, SELL, "2", "2000", IOC))
    balances = account(exchange).balances
    assert balances == {"BTC": D("-0.022") - D("0.0006"), "USDC": D(4000) - 36}


def test_funding_runs_with_time_and_is_paid_at_the_hour() -> None:
    exchange = opened()
    send(exchange, order(PERP, BUY, "2000", "60010", IOC))
    exchange.advance(START + HOUR)
    # 8 bp per 8 h on 2000/60005 coin for one hour: owed, not yet paid
    owed = 0.0008 * 2000 / 60_005 / 8
    entry = 2000 / 60_010 - 2000 / 60_005  # loss against the mark
    fee = 0.0005 * 2000 / 60_010
    assert float(account(exchange).balances["BTC"]) == pytest.approx(entry - fee - owed, abs=2e-12)
    assert exchange.log.of(Happened.FUNDING) == []
    exchange.advance(EIGHT)
    (paid,) = exchange.log.of(Happened.FUNDING)
    assert paid.time_ns == EIGHT and paid.currency == "BTC" and paid.amount is not None
    assert float(paid.amount) == pytest.approx(-2 * owed, abs=2e-12)


def test_a_short_is_paid_funding_and_an_unknown_rate_is_said_not_guessed() -> None:
    exchange = opened()
    send(exchange, order(PERP, SELL, "1000", "60000", IOC))
    send(exchange, order(LINEAR, BUY, "1", "60001", IOC))  # no rate is quoted for it
    exchange.advance(EIGHT)
    (paid,) = exchange.log.of(Happened.FUNDING)
    assert paid.amount is not None and paid.amount > 0
    assert any("2.0 position-hours" in text for text in closing_report(exchange).unknown)


def test_gains_are_paid_out_at_eight_in_coin_and_in_dollars() -> None:
    exchange = opened(fees=FeeModel.ZERO)
    send(exchange, order(PERP, BUY, "2000", "60010", IOC))
    send(exchange, order(LINEAR, SELL, "0.5", "59999", IOC))
    moved = {"mark": 61_000.0, "funding_rate": NAN}
    exchange.feed(marks(EIGHT - SECOND, 2, perp=moved, linear=moved))
    exchange.advance(EIGHT - SECOND)
    before = account(exchange).balances
    exchange.advance(EIGHT)
    # the quotes carried a rate of 8 bp per 8 h until one second before
    daily = {f.symbol: f.amount for f in exchange.log.of(Happened.SETTLED) if f.code == "daily"}
    assert float(daily[PERP.symbol] or 0) == pytest.approx(2000 / 60_010 - 2000 / 61_000, abs=1e-12)
    assert daily[LINEAR.symbol] == D("0.5") * (59_999 - 61_000)
    after = account(exchange).balances
    assert after["USDC"] == before["USDC"] == D("-500.5")
    assert abs(after["BTC"] - before["BTC"]) <= D("2e-12")


def settled_average(values: Sequence[tuple[int, float]]) -> PaperExchange:
    exchange = opened(fees=FeeModel.ZERO)
    send(exchange, order(CALL, BUY, "2", "0.0110", IOC))
    send(exchange, order(PUT, SELL, "1", "2000", IOC))
    for i, (at_ns, index) in enumerate(values):
        told = {"index": index}
        exchange.feed(marks(at_ns, i + 2, perp=told, linear=told, call=told, put=told))
    exchange.advance(EIGHT)
    return exchange


def test_options_settle_on_the_time_weighted_average_of_the_last_half_hour() -> None:
    minute = 60 * SECOND
    exchange = settled_average(
        [
            (EIGHT - 31 * minute, 70_000.0),  # stands when the window opens: 10 of 30 minutes
            (EIGHT - 20 * minute, 61_000.0),  # 15 minutes
            (EIGHT - 5 * minute, 64_000.0),  # 5 minutes
        ]
    )
    average = (10 * 70_000 + 15 * 61_000 + 5 * 64_000) / 30
    assert average == 64_500.0
    assert any(
        "1 of 1 expiries" in text and "3 at the least" in text for text in closing_report(exchange).unknown
    )
    ends = {f.symbol: f for f in exchange.log.of(Happened.SETTLED) if f.code == "expiry"}
    assert {f.price for f in ends.values()} == {D("64500.0")}
    # inverse: 2 (64500 - 60000)/64500 coin; the put ends worthless
    assert ends[CALL.symbol].amount == (D(9000) / D(64_500)).quantize(D("1e-12"))
    assert ends[PUT.symbol].amount == 0
    assert account(exchange).positions == {}


@pytest.mark.parametrize("average", [58_000.0, 60_000.0, 61_234.5, 62_000.0, 66_000.0])
def test_the_payoff_is_what_pricing_says_at_the_end_of_the_window(average: float) -> None:
    exchange = settled_average([(EIGHT - 31 * 60 * SECOND, average)])
    ends = {f.symbol: f.amount for f in exchange.log.of(Happened.SETTLED) if f.code == "expiry"}
    call = window_greeks(60_000.0, 60_000.0, 0.5, 1, average, 1.0, 0.0).value
    put = window_greeks(60_000.0, 62_000.0, 0.5, -1, average, 1.0, 0.0).value
    assert float(ends[CALL.symbol] or 0) == pytest.approx(2 * float(call) / average, abs=1e-12)
    assert float(ends[PUT.symbol] or 0) == pytest.approx(-float(put), abs=1e-9)


def test_a_published_settlement_price_goes_before_our_average() -> None:
    exchange = opened(fees=FeeModel.ZERO)
    send(exchange, order(CALL, BUY, "2", "0.0110", IOC))
    exchange.deliver_at("BTC", EIGHT, D("80000"))
    exchange.advance(EIGHT)
    (end,) = [f for f in exchange.log.of(Happened.SETTLED) if f.code == "expiry"]
    assert (end.price, end.amount) == (D(80_000), D("0.5"))


def test_at_expiry_resting_orders_end_and_new_ones_are_refused() -> None:
    exchange = opened()
    send(exchange, order(CALL, BUY, "1", "0.0050"))
    news = exchange.advance(EIGHT)
    ended = [x for x in news if isinstance(x, OrderUpdate)]
    assert [(x.state, x.code) for x in ended] == [(OrderState.EXPIRED, Code.LISTING_EXPIRED)]
    assert refused(exchange, order(CALL, BUY, "1", "0.0050")) == Code.LISTING_EXPIRED


def test_without_any_index_a_position_waits_for_one_instead_of_settling_on_nothing() -> None:
    held = Fill(CALL, BUY, D(2), D("0.01"), D(0), "BTC")
    exchange = opened(book=Book().apply(held), feed=False)
    exchange.advance(EIGHT + SECOND)
    assert account(exchange).positions == {CALL.symbol: D(2)}
    exchange.feed(marks(EIGHT + 2 * SECOND, call={"index": 64_000.0}, perp={"index": 64_000.0}))
    exchange.advance(EIGHT + 2 * SECOND)
    assert account(exchange).positions == {}


def test_what_was_told_before_the_window_counts_from_its_beginning() -> None:
    average = IndexAverage(EIGHT)
    average.note(EIGHT - 5 * HOUR, 50_000.0)
    average.note(EIGHT - HOUR // 4, 60_000.0)
    average.note(EIGHT - HOUR // 8, NAN)
    assert (average.price(), average.samples) == (D("55000.0"), 2)


# --- P8: margin through a port


def test_margin_refuses_what_it_cannot_carry_and_lets_reductions_through() -> None:
    asked: list[list[Decimal]] = []

    def headroom(book: Book, trades: Sequence[tuple[Listing, Decimal]], market: Market) -> float | None:
        asked.append([quantity for _, quantity in trades])
        held = sum(float(abs(p.quantity)) for p in book.positions.values())
        return 2000.0 - held - sum(abs(float(q)) for _, q in trades)

    exchange = opened(margin=headroom)
    assert send(exchange, order(PERP, BUY, "1500", "60010", IOC)).state is OrderState.FILLED
    assert send(exchange, order(PERP, SELL, "400", "60020")).state is OrderState.OPEN
    assert refused(exchange, order(PERP, BUY, "200", "60000")) == Code.MARGIN
    assert asked[-1] == [D(-400), D(200)]  # what rests counts as well
    assert send(exchange, order(PERP, SELL, "300", "60000", IOC, reduce_only=True)).filled == 300


def test_margin_that_cannot_be_told_passes_and_is_counted() -> None:
    exchange = opened(margin=lambda book, trades, market: None)
    send(exchange, order(PERP, BUY, "10", "60010", IOC))
    assert any("1 orders passed" in text for text in closing_report(exchange).unknown)


# --- cancels, questions, timers


def test_a_cancel_of_what_is_done_or_unknown_says_so() -> None:
    exchange = opened()
    item = order(PERP, BUY, "10", "60010", IOC)
    send(exchange, item)
    done = answer(exchange, exchange.cancel(item.client_id, START))
    assert isinstance(done, OrderUpdate)
    assert (done.state, done.filled, done.code) == (OrderState.FILLED, D(10), Code.ALREADY_DONE)
    never = answer(exchange, exchange.cancel("hnone-1-1-1", START))
    assert isinstance(never, OrderUpdate)
    assert (never.state, never.code) == (OrderState.UNKNOWN, Code.NOT_FOUND)
    assert answer(exchange, exchange.ask_order("hnone-1-1-1", START)) is None


def test_the_mass_cancel_ends_everything_whoever_sent_it() -> None:
    exchange = opened()
    for price in ("59000", "59100"):
        send(exchange, order(PERP, BUY, "10", price))
    assert answer(exchange, exchange.cancel_all(START)) is None
    assert account(exchange).orders == ()
    assert {f.code for f in exchange.log.of(Happened.CANCELLED)} == {Code.MASS_CANCEL}


def test_the_dead_mans_timer_is_off_until_refreshed_and_fires_once() -> None:
    exchange = opened(dead_man_s=10.0, latency=latency(order_ms=100))
    send(exchange, order(PERP, BUY, "10", "59000"))
    exchange.advance(START + 60 * SECOND)
    assert len(account(exchange).orders) == 1
    at = exchange.now_ns
    exchange.refresh(at)
    exchange.refresh(at + 5 * SECOND)
    news = exchange.advance(at + 15 * SECOND + 99 * MS)
    assert not [x for x in news if isinstance(x, VenueStatus)]
    news = exchange.advance(at + 15 * SECOND + 100 * MS)
    assert [x.events for x in news if isinstance(x, VenueStatus)] == [(Code.DEAD_MAN,)]
    assert [x.code for x in news if isinstance(x, OrderUpdate)] == [Code.DEAD_MAN]
    send(exchange, order(PERP, BUY, "10", "59000"))
    exchange.advance(exchange.now_ns + 60 * SECOND)
    assert len(account(exchange).orders) == 1


def test_the_account_tells_trades_since_a_time() -> None:
    exchange = opened()
    for seconds in (1, 2, 3):
        exchange.advance(START + seconds * SECOND)
        send(exchange, order(PERP, BUY, "10", "60010", IOC))
    report = account(exchange, START + 2 * SECOND)
    assert [t.fill.time_ns for t in report.trades] == [START + 2 * SECOND, START + 3 * SECOND]
    assert len({t.key for t in account(exchange).trades}) == 3


def test_an_opening_book_counts_only_where_it_lies_on_this_venue_and_account() -> None:
    book = Book()
    for listing, name in ((PERP, ""), (PERP, "other"), (replace(PERP, venue="okx"), "")):
        book = book.apply(Fill(listing, BUY, D(100), D(60_000), D(0), "BTC", account=name))
    exchange = opened(book=book)
    assert account(exchange).positions == {PERP.symbol: D(100)}
    assert [f.position for f in exchange.log.of(Happened.OPENED) if f.symbol] == [D(100)]


# --- P10, P13: what is said at the end


def test_a_silent_feed_while_orders_rest_is_declared() -> None:
    exchange = opened()
    exchange.feed(marks(START + 100 * SECOND, 2))
    exchange.advance(START + 100 * SECOND)
    assert not exchange.log.of(Happened.FEED_GAP)
    send(exchange, order(PERP, BUY, "10", "59000"))
    exchange.feed(marks(START + 300 * SECOND, 3))
    news = exchange.advance(START + 300 * SECOND)
    assert [x.events for x in news if isinstance(x, VenueStatus)] == [("feed_gap",)]
    assert closing_report(exchange).figures["feed_gaps_with_orders"] == 1


def test_the_closing_report_says_what_paper_cannot_know() -> None:
    exchange = opened()
    send(exchange, order(PERP, BUY, "10", "60010", IOC))
    send(exchange, order(PERP, BUY, "15", "60010", IOC))
    report = closing_report(exchange)
    said = " ".join(report.unknown)
    for word in ("impact", "hidden", "priority", "no trades", "margin: not modelled"):
        assert word in said
    document = json.loads(json.dumps(report.document()))
    assert document["mode"] == "paper"
    assert (document["orders_received"], document["fills_taken"]) == (2, 1)
    assert document["rejected"] == {"quantity_not_in_lots": 1}
    assert document["fees"] == {"BTC": "0.000000083320"}
    assert "PAPER on deribit" in report.text()
    named = " ".join(closing_report(opened(margin_unknown="standard")).unknown)
    assert (
        "the standard model is named, but no table of deribit is known" in named and "as stated" not in named
    )


def test_the_makers_edge_is_the_distance_to_the_other_side() -> None:
    exchange = opened()
    send(exchange, order(PERP, BUY, "100", "60000"))
    exchange.trades([MarketTrade(PERP.symbol, SELL, D(59_999), D(100), START + SECOND)])
    exchange.advance(START + SECOND)
    edge = closing_report(exchange).maker_edge_bps
    assert edge == pytest.approx(10 / 60_000 * 1e4, rel=1e-12)


# --- the log, conservation, and one seed

actions = st.lists(
    st.tuples(
        st.sampled_from([PERP, LINEAR, CALL, PUT]),
        st.sampled_from([BUY, SELL]),
        st.integers(1, 40),  # lots
        st.integers(-4, 4),  # ticks through the touch
        st.sampled_from([GTC, IOC]),
        st.sampled_from(["order", "order", "order", "cancel", "trade", "quotes", "quotes", "mass"]),
        st.one_of(st.integers(0, 60), st.integers(0, 40 * 60)),  # seconds until then
    ),
    min_size=25,
    max_size=60,
)

Action = tuple[Listing, Side, int, int, object, str, int]


def touch(exchange: PaperExchange, listing: Listing, side: Side) -> Decimal:
    row = UNIVERSE.positions[listing.key]
    column = exchange.core.market.ask if side is BUY else exchange.core.market.bid
    return D(repr(float(column[row])))


def play(script: Sequence[Action], seed: int) -> tuple[PaperExchange, list[object]]:
    jumpy = LogNormal(80 * MS, 1.0)
    exchange = opened(latency=Latencies(jumpy, jumpy, jumpy), seed=seed, order_rate=1000.0)
    told: list[object] = []
    sent: list[str] = []
    now_ns = START
    for n, (listing, side, lots, ticks, tif, what, seconds) in enumerate(script):
        now_ns += seconds * SECOND
        told += exchange.advance(now_ns)
        price = touch(exchange, listing, side)
        price += ticks * side.sign * listing.tick_steps.at(price)
        if what == "order":
            sent.append(f"hplay-{n}-0-0")
            quantity = str(lots * listing.lot)
            exchange.submit(
                order(listing, side, quantity, str(price), tif, client_id=sent[-1]),  # type: ignore[arg-type]
                now_ns,
            )
        elif what == "cancel" and sent:
            exchange.cancel(sent[lots % len(sent)], now_ns)
        elif what == "trade":
            size = lots * listing.lot
            exchange.trades([MarketTrade(listing.symbol, side, price, size, now_ns)])
        elif what == "quotes":
            shift = ticks * 10.0
            exchange.feed(
                marks(
                    now_ns,
                    n + 2,
                    perp={
                        "bid": 60_000.0 + shift,
                        "ask": 60_010.0 + shift,
                        "mark": 60_005.0 + shift,
                        "bids": [(60_000.0 + shift, 25.0 * lots), (59_990.0 + shift, 5000.0)],
                        "asks": [(60_010.0 + shift, 30.0 * lots), (60_020.0 + shift, 3000.0)],
                    },
                    linear={"bid_size": 0.01 * lots, "bid": 59_999.0 + shift, "ask": 60_001.0 + shift},
                )
            )
        elif what == "mass":
            exchange.cancel_all(now_ns)
    told += exchange.advance(now_ns + 60 * SECOND)
    return exchange, told


def test_funding_run_up_is_owed_after_the_position_is_closed() -> None:
    """1,000 USD short at 50,000 for four hours at 1 bp per 8 h: 0.02 coin x 0.00005 is earned."""
    account = PaperAccount.opened("deribit", "", None)
    account.apply(Fill(PERP, Side.SELL, D(1000), D(50_000), D(0), "BTC", trade_id="1"))
    account.accrue(4 * 3600 * SECOND, {PERP.symbol: (0.0001, 50_000.0)})
    account.apply(Fill(PERP, Side.BUY, D(1000), D(50_000), D(0), "BTC", trade_id="2"))
    assert account.balances({}, []) == {"BTC": D("0.000001")}
    assert account.pay_funding() == [(PERP.symbol, "BTC", D("-0.000001"))]
    assert account.balances({}, []) == {"BTC": D("0.000001")}


@settings(max_examples=60)
@given(actions, st.integers(0, 2**32 - 1))
def test_position_is_the_sum_of_fills_and_cash_the_sum_of_cash_flows(script: list[Action], seed: int) -> None:
    exchange, told = play(script, seed)
    facts = list(exchange.log)
    assert [f.number for f in facts] == list(range(len(facts)))
    assert all(a.time_ns <= b.time_ns for a, b in pairwise(facts))
    # positions and cash again, from the facts alone, in rational numbers
    position: dict[str, Decimal] = {}
    cash: dict[str, Fraction] = {}
    open_gain: dict[str, Fraction] = {}
    by_symbol = {x.symbol: x for x in UNIVERSE.listings}
    asked: dict[str, tuple[str, Decimal, Decimal]] = {}
    filled: dict[str, Decimal] = {}
    for fact in facts:
        if fact.what is Happened.ACCEPTED:
            assert fact.quantity is not None and fact.price is not None
            asked[fact.client_id] = (fact.side, fact.quantity, fact.price)
        elif fact.what is Happened.FILLED:
            assert fact.quantity is not None and fact.price is not None and fact.fee is not None
            side, quantity, limit = asked[fact.client_id]
            assert fact.side == side
            assert fact.price <= limit if side == "buy" else fact.price >= limit
            filled[fact.client_id] = filled.get(fact.client_id, D(0)) + fact.quantity
            assert fact.left == quantity - filled[fact.client_id] >= 0
            signed = fact.quantity if side == "buy" else -fact.quantity
            position[fact.symbol] = position.get(fact.symbol, D(0)) + signed
            assert fact.position == position[fact.symbol]
            listing = by_symbol[fact.symbol]
            coin = listing.contract.settlement
            cash[coin] = cash.get(coin, Fraction(0)) - Fraction(fact.fee)
            if listing.contract.kind.name == "OPTION":
                cash[coin] -= Fraction(signed) * Fraction(fact.price)
            else:
                value = (
                    Fraction(signed) / Fraction(fact.price)
                    if listing.contract.inverse
                    else -Fraction(signed) * Fraction(fact.price)
                )
                open_gain[fact.symbol] = open_gain.get(fact.symbol, Fraction(0)) + value
        elif fact.what in (Happened.FUNDING, Happened.SETTLED) and fact.code != "daily":
            assert fact.amount is not None
            cash[fact.currency] = cash.get(fact.currency, Fraction(0)) + Fraction(fact.amount)
            if fact.what is Happened.SETTLED:
                position[fact.symbol] = D(0)
    assert exchange.core.account.positions() == {s: q for s, q in position.items() if q}
    market = exchange.core.market
    accrued = exchange.core.account.accrued
    report = exchange.core.report(0)
    for currency in ("BTC", "USDC"):
        total = cash.get(currency, Fraction(0))
        for symbol, entry in open_gain.items():
            listing = by_symbol[symbol]
            if listing.contract.settlement == currency:
                mark = Fraction(float(market.mark[UNIVERSE.positions[listing.key]]))
                held = Fraction(position[symbol])
                total += entry - held / mark if listing.contract.inverse else entry + held * mark
                total -= Fraction(accrued.get(symbol, D(0)))
        # amounts in the log are rounded to 1e-12, one settlement or payment each
        assert abs(total - Fraction(report.balances.get(currency, D(0)))) < Fraction(1, 10**10)
    # everything we were told is true, and every fill was told once
    reported = [t for t in told if isinstance(t, TradeReport)]
    assert sorted(t.fill.trade_id for t in reported) == sorted(
        f.trade_id for f in exchange.log.of(Happened.FILLED)
    )


@settings(max_examples=15)
@given(actions, st.integers(0, 2**32 - 1))
def test_one_seed_is_one_history(script: list[Action], seed: int) -> None:
    first, second = ("\n".join(play(script, seed)[0].log.json_lines()) for _ in range(2))
    assert first == second


def test_every_line_of_the_log_is_json() -> None:
    exchange = opened()
    send(exchange, order(PERP, BUY, "10", "60010", IOC))
    lines = [json.loads(line) for line in exchange.log.json_lines()]
    filled = next(line for line in lines if line["what"] == "filled")
    assert filled["quantity"] == "10" and filled["price"] == "60010.0" and filled["maker"] is False
    assert filled["position"] == "10" and filled["trade_id"] == "deribit-t0"


def test_on_the_simulated_market_one_seed_is_one_history_and_nothing_beats_the_displayed_touch() -> None:
    def played() -> PaperExchange:
        market = SimulatedMarket(5)
        dice = np.random.default_rng(5)
        jumpy = LogNormal(20 * MS, 0.5)
        terms = replace(TERMS, latency=Latencies(jumpy, jumpy, jumpy))
        exchange = PaperExchange("simulated", market.universe, terms, market.now_ns, seed=5)
        exchange.feed(market.marks())
        for n in range(40):
            batch = market.step(20.0)
            exchange.feed(batch)
            exchange.advance(market.now_ns)
            j = int(dice.integers(len(batch.rows)))
            listing = market.universe.listings[batch.rows[j]]
            side = BUY if dice.random() < 0.5 else SELL
            if (batch.bid[j] > 0) and (batch.ask[j] > 0):
                touch = float(batch.ask[j] if side is BUY else batch.bid[j])
                price = str(listing.quantize_price(touch, side))
                quantity = str(max(listing.minimum, listing.lot) * int(dice.integers(1, 9)))
                item = order(listing, side, quantity, price, IOC, client_id=f"hsim-{n}-0-0")
                exchange.submit(item, market.now_ns)
        exchange.advance(market.now_ns + SECOND)
        return exchange

    first, second = played(), played()
    assert list(first.log.json_lines()) == list(second.log.json_lines())
    made = first.log.of(Happened.FILLED)
    assert len(made) > 20
    asked = {f.client_id: f.price for f in first.log.of(Happened.ACCEPTED)}
    assert all(f.price == asked[f.client_id] for f in made)  # the book did not move on the way
