"""Every fault the paper venue can be told to have: what we are told, and what really happened."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pricing.errors import InputError
from pricing.market import Marks
from risk.book import Book, Fill
from tests.venues.paper_desk import (
    BUY,
    CALL,
    IOC,
    MS,
    PERP,
    SECOND,
    SELL,
    START,
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
from venues.errors import Unreachable
from venues.orders import AccountReport, Link, OrderReport, OrderState, OrderUpdate, TradeReport, VenueStatus
from venues.paper_exchange import PaperExchange, Told
from venues.paper_faults import VARIANTS, Fault, FaultDice, FaultKind, fault_kinds, seeded_faults
from venues.paper_log import Happened
from venues.paper_orders import Code

K = FaultKind


def once(kind: FaultKind, variant: str = "", at_ns: int = START, **more: Any) -> tuple[Fault, ...]:
    return (Fault(kind, at_ns=at_ns, variant=variant, **more),)


def asked(exchange: PaperExchange, client_id: str) -> OrderReport | None:
    result = answer(exchange, exchange.ask_order(client_id, exchange.now_ns))
    assert result is None or isinstance(result, OrderReport)
    return result


def positions(exchange: PaperExchange) -> dict[str, Any]:
    return exchange.core.account.positions()


def the_fault(exchange: PaperExchange, kind: FaultKind) -> None:
    """It is in the log once, and counted once."""
    assert [f.fault for f in exchange.log.of(Happened.FAULT)] == [kind]
    assert exchange.fault_counts == {kind: 1}


def show_again(exchange: PaperExchange, seconds: float = 1.0, **changed: Any) -> list[Told]:
    at_ns = exchange.now_ns + round(seconds * SECOND)
    exchange.feed(marks(at_ns, 2, **changed))
    return exchange.advance(at_ns)


def batches(news: list[Told]) -> list[Marks]:
    return [x for x in news if isinstance(x, Marks)]


def statuses(news: list[Told]) -> list[tuple[Link, tuple[str, ...]]]:
    return [(x.link, x.events) for x in news if isinstance(x, VenueStatus)]


# --- orders and their answers


def test_f1_the_acknowledgement_is_lost_and_the_order_stands() -> None:
    exchange = opened(faults=once(K.ACK_LOST), latency=latency(order_ms=10, response_ms=10))
    item = order(PERP, BUY, "2500", "60010")
    request = exchange.submit(item, START)
    news = exchange.advance(START + 4 * SECOND)
    assert exchange.take_replies() == []
    assert [x for x in news if isinstance(x, OrderUpdate)] == []
    assert [t.fill.quantity for t in fills(news)] == [2000]
    result = answer(exchange, request)
    assert exchange.now_ns == START + 5 * SECOND
    assert isinstance(result, OrderUpdate)
    assert (result.state, result.code) == (OrderState.UNKNOWN, Code.TIMED_OUT)
    known = asked(exchange, item.client_id)
    assert known is not None and (known.state, known.filled) == (OrderState.OPEN, D(2000))
    the_fault(exchange, K.ACK_LOST)


def test_f2_an_order_given_up_for_lost_arrives_and_fills_after_it_was_not_found() -> None:
    exchange = opened(faults=once(K.LATE, seconds=20.0, count=2))
    item = order(PERP, BUY, "2500", "60010")
    update = send(exchange, item)
    assert (update.state, update.code) == (OrderState.UNKNOWN, Code.TIMED_OUT)
    assert asked(exchange, item.client_id) is None  # it is not there yet
    news = exchange.advance(START + 20 * SECOND)
    assert [t.fill.quantity for t in fills(news)] == [2000]
    assert account(exchange).orders == ()
    assert [asked(exchange, item.client_id) for _ in range(2)] == [None, None]
    found = asked(exchange, item.client_id)
    assert found is not None and found.filled == 2000
    assert len(account(exchange).orders) == 1


def test_f3_a_lost_request_never_was() -> None:
    exchange = opened(faults=once(K.REQUEST_LOST))
    item = order(PERP, BUY, "10", "60010", IOC)
    assert send(exchange, item).state is OrderState.UNKNOWN
    exchange.advance(START + 100 * SECOND)
    assert asked(exchange, item.client_id) is None
    assert not exchange.log.of(Happened.RECEIVED)
    the_fault(exchange, K.REQUEST_LOST)
    # the same order again is the first one the venue sees
    exchange.feed(marks(START + 100 * SECOND))
    exchange.advance(START + 100 * SECOND)
    assert send(exchange, item).state is OrderState.FILLED


@pytest.mark.parametrize(("variant", "held"), [("accepted", {PERP.symbol: D(10)}), ("not_accepted", {})])
def test_f9_a_server_error_says_nothing_about_the_order(variant: str, held: dict[str, object]) -> None:
    exchange = opened(faults=once(K.SERVER_ERROR, variant))
    update = send(exchange, order(PERP, BUY, "10", "60010", IOC))
    assert (update.state, update.code) == (OrderState.UNKNOWN, Code.SERVER_ERROR)
    assert positions(exchange) == held
    the_fault(exchange, K.SERVER_ERROR)


def test_f10_a_request_that_arrived_twice_is_answered_for_the_second() -> None:
    exchange = opened(faults=once(K.DUPLICATE))
    update = send(exchange, order(PERP, BUY, "10", "60010", IOC))
    assert (update.state, update.code) == (OrderState.UNKNOWN, Code.DUPLICATE)
    assert positions(exchange) == {PERP.symbol: D(10)}
    assert len(exchange.log.of(Happened.ACCEPTED)) == 1


def test_f8_the_session_may_end_instead_of_an_answer() -> None:
    exchange = opened(faults=(Fault(K.SESSION_KILLED, probability=1.0, seconds=5.0),))
    request = exchange.submit(order(PERP, BUY, "10", "60010", IOC), START)
    assert statuses(exchange.advance(START)) == [(Link.DOWN, (Code.SESSION_KILLED,))]
    result = answer(exchange, request)
    assert isinstance(result, OrderUpdate)
    assert (result.state, result.code) == (OrderState.UNKNOWN, Code.SESSION_KILLED)
    assert positions(exchange) == {}


def test_f8_the_session_ends_news_are_missed_and_nothing_leaves_until_it_is_back() -> None:
    exchange = opened(
        faults=once(K.SESSION_KILLED, at_ns=START + SECOND, seconds=5.0),
        cancel_on_disconnect=True,
        latency=latency(response_ms=10),
    )
    resting = order(PERP, BUY, "10", "59000")
    send(exchange, resting)
    assert statuses(exchange.advance(START + SECOND)) == [(Link.DOWN, (Code.SESSION_KILLED,))]
    assert positions(exchange) == {}
    update = send(exchange, order(PERP, BUY, "10", "60010", IOC))
    assert (update.state, update.code) == (OrderState.REJECTED, Code.NOT_CONNECTED)
    assert isinstance(answer(exchange, exchange.ask_account(0, exchange.now_ns)), Unreachable)
    assert isinstance(answer(exchange, exchange.cancel_all(exchange.now_ns)), Unreachable)
    news = exchange.advance(START + 7 * SECOND)
    assert statuses(news) == [(Link.UP, ("session_restored",))]
    assert exchange.missed == 1  # the cancel on disconnect was never told
    found = asked(exchange, resting.client_id)
    assert found is not None and found.state is OrderState.CANCELLED


@pytest.mark.parametrize(("variant", "filled", "state"), [
    ("whole", "300", OrderState.FILLED), ("part", "150", OrderState.CANCELLED),
])  # fmt: skip
def test_f11_a_fill_wins_against_the_cancel(variant: str, filled: str, state: OrderState) -> None:
    exchange = opened(faults=once(K.CANCEL_RACE, variant))
    item = order(PERP, BUY, "300", "59000")
    send(exchange, item)
    update = answer(exchange, exchange.cancel(item.client_id, START))
    assert isinstance(update, OrderUpdate)
    assert (update.state, update.filled) == (state, D(filled))
    assert positions(exchange) == {PERP.symbol: D(filled)}
    (fact,) = exchange.log.of(Happened.FILLED)
    assert fact.fault == K.CANCEL_RACE and fact.price == 59_000


# --- the private stream


def test_f6_messages_come_twice_or_late() -> None:
    for variant, expected in (("duplicated", [1, 1]), ("reordered", [1])):
        plan = (Fault(K.SHUFFLED, probability=1.0, variant=variant, seconds=2.0),)
        exchange = opened(faults=plan)
        exchange.submit(order(PERP, BUY, "10", "60010", IOC), START)
        early = [t.key for t in fills(exchange.advance(START + SECOND))]
        late = [t.key for t in fills(exchange.advance(START + 3 * SECOND))]
        assert [len(early), len(late)] == (expected if variant == "duplicated" else [0, 1])
        assert len(set(early + late)) == 1
        assert positions(exchange) == {PERP.symbol: D(10)}


def test_f6_a_later_message_can_come_first() -> None:
    exchange = opened(faults=once(K.SHUFFLED, "reordered", seconds=2.0))
    exchange.submit(order(PERP, BUY, "10", "60010", IOC), START)
    news = [x for x in exchange.advance(START + 3 * SECOND) if not isinstance(x, VenueStatus)]
    kinds = [x.state if isinstance(x, OrderUpdate) else type(x).__name__ for x in news]
    assert kinds == ["TradeReport", OrderState.FILLED, OrderState.OPEN]


def test_f7_a_dropped_fill_is_in_the_account() -> None:
    exchange = opened(faults=once(K.FILL_DROPPED))
    exchange.submit(order(PERP, BUY, "2500", "60020", IOC), START)
    news = exchange.advance(START + SECOND)
    assert [t.fill.quantity for t in fills(news)] == [500]
    report = account(exchange)
    assert [t.fill.quantity for t in report.trades] == [2000, 500]
    assert report.positions == {PERP.symbol: D(2500)}


# --- what the venue does by itself

HELD = Book().apply(Fill(PERP, BUY, D(1000), D(60_000), D(0), "BTC"))


@pytest.mark.parametrize("variant", ["adl", "liquidation"])
def test_f12_the_venue_closes_half_a_position_by_itself(variant: str) -> None:
    # due at the start, when nothing was quoted yet: the first batch is its first opportunity
    exchange = opened(faults=once(K.EXTERNAL, variant), book=HELD, feed=False)
    exchange.feed(marks(START + SECOND))
    news = exchange.advance(START + SECOND)
    (fact,) = exchange.log.of(Happened.EXTERNAL)
    assert (fact.side, fact.quantity, fact.price, fact.position) == ("sell", D(500), D("60005.0"), D(500))
    assert positions(exchange) == {PERP.symbol: D(500)}
    (report,) = fills(news)
    assert report.client_id == "" and statuses(news)[0][1] == (variant,)
    assert account(exchange).trades[0].client_id == ""


def test_f12_a_manual_trade_is_told_as_nobodys() -> None:
    exchange = opened(faults=once(K.EXTERNAL, "manual", at_ns=START + SECOND))
    news = exchange.advance(START + SECOND)
    (report,) = fills(news)
    assert report.client_id == "" and statuses(news) == []
    assert positions(exchange) == {report.fill.listing.symbol: report.fill.signed}


def test_f12_a_trade_is_taken_back_with_its_fee() -> None:
    exchange = opened(faults=once(K.EXTERNAL, "bust", at_ns=START + SECOND))
    send(exchange, order(PERP, BUY, "10", "60010", IOC))
    news = exchange.advance(START + SECOND)
    (report,) = fills(news)
    assert statuses(news) == [(Link.UP, ("bust",))]
    assert report.fill.trade_id == "deribit-t0-bust" and report.fill.fee == D("-0.000000083320")
    assert positions(exchange) == {}
    assert account(exchange).balances == {"BTC": 0}


def test_f13_maintenance_takes_nothing_and_answers_nothing_and_ends() -> None:
    exchange = opened(faults=once(K.MAINTENANCE, at_ns=START + SECOND, seconds=30.0))
    resting = order(PERP, BUY, "10", "59000")
    send(exchange, resting)
    assert statuses(exchange.advance(START + SECOND)) == [(Link.DEGRADED, ("maintenance",))]
    update = send(exchange, order(PERP, BUY, "10", "60010"))
    assert (update.state, update.code) == (OrderState.REJECTED, Code.MAINTENANCE)
    cancelled = answer(exchange, exchange.cancel(resting.client_id, exchange.now_ns))
    assert isinstance(cancelled, OrderUpdate) and cancelled.state is OrderState.UNKNOWN
    assert isinstance(answer(exchange, exchange.ask_account(0, START)), Unreachable)
    assert isinstance(answer(exchange, exchange.ask_order("x", START)), Unreachable)
    assert isinstance(answer(exchange, exchange.cancel_all(START)), Unreachable)
    assert statuses(exchange.advance(START + 31 * SECOND)) == [(Link.UP, ("maintenance_over",))]
    assert len(account(exchange).orders) == 1


def test_f14_a_listing_changes_its_steps_or_goes() -> None:
    exchange = opened(faults=once(K.RELISTED, "spec_changed", at_ns=START + SECOND))
    news = exchange.advance(START + SECOND)
    assert statuses(news) == [(Link.UP, ("listings_changed",))]
    (fact,) = exchange.log.of(Happened.STATUS)
    old = next(x for x in UNIVERSE.listings if x.symbol == fact.symbol)
    new = exchange.core.listings[fact.symbol]
    assert new.lot == 2 * old.lot and new.tick_steps.ticks[0] == 2 * old.tick_steps.ticks[0]
    price = str(old.price_floor(float(exchange.core.market.bid[UNIVERSE.positions[old.key]])))
    update = send(exchange, order(old, BUY, str(3 * old.lot), price))
    assert update.code in (Code.LOT, Code.TICK)

    exchange = opened(faults=once(K.RELISTED, "delisted", at_ns=START + SECOND))
    exchange.advance(START + SECOND)
    (fact,) = exchange.log.of(Happened.STATUS)
    old = next(x for x in UNIVERSE.listings if x.symbol == fact.symbol)
    assert fact.symbol not in exchange.core.listings
    (batch,) = batches(show_again(exchange))
    assert UNIVERSE.positions[old.key] not in batch.rows and len(batch.rows) == 3
    assert send(exchange, order(old, BUY, str(old.lot), price)).code == Code.NOT_LISTED


def test_f27_the_dead_mans_timer_fires_though_it_was_refreshed() -> None:
    exchange = opened(faults=once(K.DEAD_MAN, at_ns=START + 2 * SECOND), dead_man_s=60.0)
    send(exchange, order(PERP, BUY, "10", "59000"))
    exchange.refresh(START + SECOND)
    news = exchange.advance(START + 2 * SECOND)
    assert statuses(news) == [(Link.UP, (Code.DEAD_MAN,))]
    assert account(exchange).orders == ()
    assert {f.fault for f in exchange.log.of(Happened.CANCELLED)} == {K.DEAD_MAN}


# --- the feed; the venue's own book never changes


def sound_book(exchange: PaperExchange) -> None:
    assert send(exchange, order(PERP, BUY, "10", "60010", IOC)).state is OrderState.FILLED


@pytest.mark.parametrize("variant", VARIANTS[K.BROKEN_BOOK])
def test_f15_a_broken_book_reaches_us_and_the_venues_stays_sound(variant: str) -> None:
    exchange = opened(faults=once(K.BROKEN_BOOK, variant, at_ns=START + SECOND))
    (batch,) = batches(show_again(exchange))
    with np.errstate(invalid="ignore"):
        crossed = int((batch.bid > batch.ask).sum())
    gone = int(np.isnan(batch.bid).sum()), int(np.isnan(batch.ask).sum())
    assert {
        "gap": len(batch.rows) == 3,
        "crossed": crossed == 1,
        "empty": gone == (1, 1),
        "one_sided": sum(gone) == 1,
    }[variant]
    assert set(batch.depth) <= set(batch.rows.tolist())
    sound_book(exchange)


def test_f15_recorded_depth_is_broken_like_its_touch() -> None:
    for seed in range(20):
        exchange = opened(faults=once(K.BROKEN_BOOK, "crossed", at_ns=START + SECOND), seed=seed)
        (batch,) = batches(show_again(exchange))
        if batch.bid[0] > batch.ask[0]:
            bids, asks = batch.depth[0]
            assert bids.price[0] == batch.bid[0] > batch.ask[0] == asks.price[0]
            return
    pytest.fail("no seed crossed the perpetual")


@pytest.mark.parametrize("variant", VARIANTS[K.POISON])
def test_f17_poison_reaches_us_and_the_venue_trades_on_sound_numbers(variant: str) -> None:
    exchange = opened(faults=once(K.POISON, variant, at_ns=START + SECOND))
    (batch,) = batches(show_again(exchange))
    assert {
        "spot_x10": (batch.index == 600_000.0).all(),
        "vol_zero": (batch.mark_iv == 0.0).sum() == 1,
        "vol_900": (batch.mark_iv == 9.0).sum() == 1,
        "nan": np.isnan(batch.mark).sum() == 1,
        "huge": (batch.ask == 1e308).sum() == 1,
        "negative_size": (batch.bid_size < 0).sum() == 1,
    }[variant]
    sound_book(exchange)


def test_f16_the_feed_ticks_on_late() -> None:
    exchange = opened(
        faults=once(K.LATE_FEED, at_ns=START + SECOND, seconds=20.0), latency=latency(feed_ms=5)
    )
    for i in range(1, 4):
        exchange.feed(marks(START + i * SECOND, i + 1))
    assert [x.seq for x in batches(exchange.advance(START + 21 * SECOND))] == [1]
    late = batches(exchange.advance(START + 24 * SECOND))
    assert [x.seq for x in late] == [2, 3, 4]
    assert [x.now_ns - int(x.venue_ns[0]) for x in late] == [20 * SECOND + 5 * MS] * 3


@pytest.mark.parametrize(("variant", "sign"), [("ahead", 1), ("behind", -1)])
def test_f18_stamps_are_off(variant: str, sign: int) -> None:
    plan = (Fault(K.SKEWED, probability=1.0, variant=variant),)
    exchange = opened(faults=plan)
    (batch,) = batches(show_again(exchange))
    assert (batch.venue_ns - batch.now_ns == sign * 300 * SECOND).all()
    exchange.submit(order(PERP, BUY, "10", "60010", IOC), exchange.now_ns)
    told = exchange.advance(exchange.now_ns)
    assert {x.venue_ns for x in told if isinstance(x, OrderUpdate)} == {exchange.now_ns + sign * 300 * SECOND}
    assert {x.fill.time_ns for x in told if isinstance(x, TradeReport)} == {
        exchange.now_ns + sign * 300 * SECOND
    }
    assert exchange.log.of(Happened.FILLED)[0].time_ns == exchange.now_ns


# --- lying pages


def lying(variant: str) -> tuple[PaperExchange, object]:
    exchange = opened(faults=once(K.LYING_ACCOUNT, variant, at_ns=START + 2 * SECOND))
    send(exchange, order(PERP, BUY, "10", "60010", IOC))
    account(exchange)
    send(exchange, order(PERP, BUY, "20", "60010", IOC))
    send(exchange, order(CALL, BUY, "0.1", "0.0110", IOC))
    for price in ("61000", "61100"):
        send(exchange, order(PERP, SELL, "10", price))
    exchange.advance(START + 2 * SECOND)
    return exchange, answer(exchange, exchange.ask_account(0, exchange.now_ns))


def test_f31_pages_that_are_empty_stale_cut_short_or_none() -> None:
    exchange, empty = lying("empty")
    assert isinstance(empty, AccountReport)
    assert (empty.orders, empty.trades, dict(empty.positions)) == ((), (), {})
    honest = account(exchange)
    assert honest.positions == {PERP.symbol: D(30), CALL.symbol: D("0.1")}
    assert (len(honest.orders), len(honest.trades)) == (2, 3)
    _, stale = lying("stale")
    assert isinstance(stale, AccountReport)
    assert dict(stale.positions) == {PERP.symbol: D(10)} and stale.venue_ns == START + 2 * SECOND
    _, partial = lying("partial")
    assert isinstance(partial, AccountReport)
    assert (len(partial.orders), len(partial.trades), len(partial.positions)) == (1, 1, 1)
    _, failed = lying("failed")
    assert isinstance(failed, Unreachable)


# --- plans


def test_a_list_of_faults_is_read_and_an_unknown_one_is_the_users_mistake() -> None:
    assert fault_kinds("") == ()
    assert fault_kinds("all") == tuple(FaultKind)
    with pytest.raises(InputError) as caught:
        fault_kinds("F1,F99")
    assert caught.value.code == "FAULT_UNKNOWN" and "F99" in str(caught.value)


@pytest.mark.parametrize(
    "bad", [{}, {"probability": 1.5}, {"probability": 0.1, "at_ns": 5}, {"at_ns": 1, "variant": "x"}]
)
def test_a_fault_without_sense_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="fault F9"):
        Fault(K.SERVER_ERROR, **bad)


def test_a_seeded_mix_is_the_same_for_the_same_seed_and_differs_between_seeds() -> None:
    mixes = [seeded_faults(tuple(FaultKind), seed) for seed in range(50)]
    assert mixes[7] == seeded_faults(tuple(FaultKind), 7)
    assert len(set(mixes)) == 50
    assert {f.kind for mix in mixes for f in mix} == set(FaultKind)
    assert all(0 < f.probability <= 0.1 for mix in mixes for f in mix)
    assert [f.kind for f in seeded_faults((K.ACK_LOST,), 3)] == [K.ACK_LOST]


def test_a_rate_is_a_rate() -> None:
    dice = FaultDice([Fault(K.ACK_LOST, probability=0.2)], seed=9)
    hits = sum(dice.hit(K.ACK_LOST, 0) is not None for _ in range(5000))
    assert abs(hits - 1000) < 4 * (5000 * 0.2 * 0.8) ** 0.5


def test_one_kind_of_fault_does_not_move_the_dice_of_another() -> None:
    alone = FaultDice([Fault(K.ACK_LOST, probability=0.5)], seed=9)
    mixed = FaultDice([Fault(K.SERVER_ERROR, probability=0.5), Fault(K.ACK_LOST, probability=0.5)], seed=9)
    one = [alone.hit(K.ACK_LOST, 0) is not None for _ in range(100)]
    other = []
    for _ in range(100):
        mixed.hit(K.SERVER_ERROR, 0)
        other.append(mixed.hit(K.ACK_LOST, 0) is not None)
    assert one == other


@pytest.mark.parametrize("seed", range(12))
def test_under_every_fault_at_once_the_account_is_the_sum_of_the_log(seed: int) -> None:
    plan = [Fault(kind, probability=0.15) for kind in FaultKind]
    exchange = opened(faults=plan, seed=seed, latency=latency(5, 20, 20), order_rate=100.0, dead_man_s=30.0)
    dice = np.random.default_rng(seed)
    now_ns = START
    sent: list[str] = []
    for n in range(60):
        now_ns += int(dice.integers(1, 40 * SECOND))
        exchange.feed(marks(now_ns, n + 2, perp={"bid_size": float(dice.integers(100, 5000))}))
        exchange.refresh(now_ns)
        for listing, price in ((PERP, "60010"), (CALL, "0.0110")):
            quantity = str(int(dice.integers(1, 30)) * listing.lot)
            side = BUY if dice.random() < 0.5 else SELL
            sent.append(f"hmix-{len(sent)}-0-0")
            exchange.submit(order(listing, side, quantity, price, client_id=sent[-1]), now_ns)
        exchange.cancel(sent[int(dice.integers(len(sent)))], now_ns + SECOND)
        exchange.ask_account(0, now_ns + SECOND)
        exchange.advance(now_ns + 2 * SECOND)
    exchange.advance(now_ns + 100 * SECOND)
    total: dict[str, Any] = {}
    ids = []
    for fact in exchange.log:
        if fact.what in (Happened.FILLED, Happened.EXTERNAL):
            assert fact.quantity is not None
            ids.append(fact.trade_id)
            signed = fact.quantity if fact.side == "buy" else -fact.quantity
            total[fact.symbol] = total.get(fact.symbol, D(0)) + signed
            assert fact.position == total[fact.symbol]
        elif fact.what is Happened.SETTLED and fact.code == "expiry":
            total[fact.symbol] = D(0)
    assert len(ids) == len(set(ids))
    assert positions(exchange) == {symbol: q for symbol, q in total.items() if q}
    accepted = [f.client_id for f in exchange.log.of(Happened.ACCEPTED)]
    assert len(accepted) == len(set(accepted))
    assert len(exchange.fault_counts) >= 12
