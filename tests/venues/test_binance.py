"""Binance's adapters on a loopback exchange, each interface in its own unit (trials: test_products)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from pricing.contracts import Option, Side
from pricing.market import Market, Marks
from pricing.universe import Universe
from tests.exchanges.binance import binance
from tests.exchanges.faults import Act
from tests.venues.cex_desk import QUICK, Desk, opened, run
from tests.venues.deribit_desk import hearing, until
from venues.cex_binance import Binance, addresses
from venues.orders import Order, OrderState, TimeInForce, TradeReport, VenueStatus, client_order_id

DAY_NS = 86_400 * 10**9


@asynccontextmanager
async def desk(venue: str, symbol: str, key: str = "", **terms: Any) -> AsyncIterator[Desk]:
    async with opened(Binance(venue), binance(limits={})[0], addresses, symbol, key=key, **terms) as found:
        yield found


@pytest.mark.parametrize(
    ("venue", "symbol", "key", "quantity", "size"),
    [
        ("binancecoinm", "BTCUSD_PERP", "BTCUSD_PERP", "2", "100"),
        ("binance", "BTCUSDT", "spot:BTCUSDT", "0.001", "1"),
        ("binanceusdm", "BTCUSDT", "BTCUSDT", "0.002", "1"),
    ],
)
def test_each_interface_is_counted_in_its_own_unit_and_filled(
    venue: str, symbol: str, key: str, quantity: str, size: str
) -> None:
    async def work() -> None:
        async with desk(venue, symbol, key) as found, hearing(found.venue) as news:
            assert found.listing.size == Decimal(size)
            order = found.order(quantity, marketable=True)
            assert (await found.venue.submit(order)).state is OrderState.FILLED
            report = await found.venue.account(0)
            (trade,) = [t for t in report.trades if t.client_id == order.client_id]
            await until(lambda: any(isinstance(x, TradeReport) for x in news), "the execution", 2.0)
            assert [x.fill for x in news if isinstance(x, TradeReport)] == [trade.fill]
            assert report.positions == ({} if venue == "binance" else {symbol: Decimal(quantity)})

    run(work())


def test_an_option_fills_rests_and_is_cancelled_beside_spot() -> None:
    async def work() -> None:
        async with (
            desk("binance", "BTCUSDT", "spot:BTCUSDT") as found,
            hearing(found.venue) as news,
        ):
            options = [x for x in await found.venue.listings() if isinstance(x.contract, Option)]
            option = min(options, key=lambda x: (x.contract.underlying != "BTC", x.symbol))
            best = found.host.exchange.books[option.symbol].asks.best()
            assert best is not None
            lot, ids = Decimal("0.02"), [client_order_id("desk", 910_000 + n, 0, 0) for n in range(2)]
            taker = Order(ids[0], option, Side.BUY, lot, best, TimeInForce.IOC)
            assert (await found.venue.submit(taker)).state is OrderState.FILLED
            low = option.quantize_price(best / 2, Side.BUY)
            rests = Order(ids[1], option, Side.BUY, lot, low, TimeInForce.GTC, post_only=True)
            assert (await found.venue.submit(rests)).state is OrderState.OPEN
            report = await found.venue.account(0)
            assert [o.client_id for o in report.orders] == [ids[1]]
            assert report.positions == {option.symbol: lot}
            (trade,) = [t for t in report.trades if t.client_id == ids[0]]
            await until(lambda: any(isinstance(x, TradeReport) for x in news), "the execution", 2.0)
            assert [x.fill for x in news if isinstance(x, TradeReport)] == [trade.fill]
            await found.venue.cancel_all()
            known = await found.venue.order(ids[1])
            assert known is not None and known.state is OrderState.CANCELLED

    run(work())


def test_books_are_copied_marked_and_copied_anew_after_a_gap() -> None:
    async def work() -> None:
        async with desk("binanceusdm", "BTCUSDT") as found, hearing(found.venue) as news:
            universe = Universe.of([found.listing])
            found.venue.watch(universe, [found.key])
            market = Market.empty(universe)

            def told() -> list[tuple[str, ...]]:
                return [x.gaps for x in news if isinstance(x, VenueStatus) and x.gaps is not None]

            def deep() -> bool:
                nonlocal market
                market = Market.empty(universe)
                for item in news:
                    market = market.apply(item) if isinstance(item, Marks) else market
                return 0 in market.depth and bool(market.mark[0] > 0)

            await until(deep, "the book over its copy", 5.0)
            assert told() == []
            copies = len([c for c in found.host.requests if c.path.endswith("/depth")])
            found.host.faults.add(Act.DROP, "*depth*")
            for _ in range(3):
                await found.venue.submit(found.order("0.002"))
            await until(lambda: (found.key,) in told() and told()[-1] == (), "a gap that closes", 5.0)
            assert len([c for c in found.host.requests if c.path.endswith("/depth")]) == copies + 1

    run(work())


def test_the_countdown_covers_every_symbol_with_a_resting_order_before_it_leaves() -> None:
    async def work() -> None:
        async with desk("binanceusdm", "BTCUSDT", settings=replace(QUICK, dead_man_s=1.0)) as found:
            await found.venue.refresh()
            item = found.order("0.002")
            assert (await found.venue.submit(item)).state is OrderState.OPEN
            names = [c.path.rpartition("/")[2] for c in found.host.requests if c.verb == "POST"]
            assert names.index("countdownCancelAll") < names.index("order")
            await until(lambda: not found.host.exchange.open_orders("desk/linear"), "it is gone", 9.0)

    run(work())


def test_spot_and_options_claim_no_dead_mans_timer() -> None:
    async def work() -> None:
        async with desk(
            "binance", "BTCUSDT", "spot:BTCUSDT", settings=replace(QUICK, dead_man_s=5.0)
        ) as found:
            assert found.venue.capabilities.dead_man_s is None

    run(work())


def test_an_order_that_another_process_sent_is_found_without_its_symbol() -> None:
    async def work() -> None:
        async with desk("binanceusdm", "ETHUSDT") as found:
            item = found.order("0.05", marketable=True)
            await found.venue._dialect.place(found.venue._orders, item, item.client_id)
            found.venue._dialect = Binance("binanceusdm")
            await found.venue.listings()
            known = await found.venue.order(item.client_id)
            assert known is not None and known.state is OrderState.FILLED

    run(work())


@pytest.mark.parametrize(
    ("venue", "symbol", "key", "quantity"),
    [
        ("binanceusdm", "ETHUSDT", "", "0.05"),
        ("binancecoinm", "BTCUSD_PERP", "", "2"),
        ("binance", "BTCUSDT", "spot:BTCUSDT", "0.001"),
    ],
)
def test_an_execution_of_another_engine_is_told_with_its_tag(
    venue: str, symbol: str, key: str, quantity: str
) -> None:
    """Executions name no client id: it is looked up by the order's number, whoever sent it."""

    async def work() -> None:
        async with desk(venue, symbol, key or symbol) as found:
            theirs = client_order_id("abcd123", 7, 0, 0)
            item = replace(found.order(quantity, marketable=True), client_id=theirs)
            await found.venue._dialect.place(found.venue._orders, item, theirs)
            found.venue._dialect = Binance(venue)  # one that has sent nothing
            await found.venue.listings()
            found.venue.watch(Universe.of([found.listing]), [found.listing.symbol])
            trades = (await found.venue.account(0)).trades
            assert trades and {trade.client_id for trade in trades} == {theirs}

    run(work())


@pytest.mark.parametrize(
    ("venue", "symbol", "key", "quantity"),
    [
        ("binanceusdm", "ETHUSDT", "ETHUSDT", "0.05"),
        ("binancecoinm", "BTCUSD_PERP", "BTCUSD_PERP", "2"),
        ("binance", "BTCUSDT", "spot:BTCUSDT", "0.001"),
    ],
)
def test_executions_of_days_ago_and_of_now_are_all_found(
    venue: str, symbol: str, key: str, quantity: str
) -> None:
    """A question spans a day of spot and seven of futures, and a page holds a thousand: an engine that stood
    still for longer asks as often as it takes."""

    async def work() -> None:
        async with desk(venue, symbol, key) as found:
            for _ in range(2):
                assert (await found.venue.submit(found.order(quantity, marketable=True))).state.terminal
            told = found.host.exchange._fills
            ours = [n for n, fill in enumerate(told) if fill.account.startswith("desk")]
            now_ns = found.host.exchange.clock.now_ns()
            since_ns = now_ns - 10 * DAY_NS
            first = replace(told[ours[0]], ns=now_ns - 9 * DAY_NS)
            busy = [  # in one window, and several at the same moment
                replace(first, trade_id=10**6 + n, ns=now_ns - 5 * DAY_NS + n // 4 * 1_000_000)
                for n in range(1, 1501)
            ]
            too_old = replace(first, trade_id=9_999_999, ns=since_ns - DAY_NS)
            told[ours[0] : ours[0] + 1] = [too_old, first, *busy]
            trades = (await found.venue.account(since_ns)).trades
            wanted = {str(fill.trade_id) for fill in told if fill.account.startswith("desk")} - {"9999999"}
            assert len(wanted) >= 1502
            assert {trade.fill.trade_id.rpartition(":")[2] for trade in trades} == wanted
            assert len(trades) == len(wanted)

    run(work())
