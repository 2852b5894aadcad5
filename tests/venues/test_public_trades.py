"""Trades of others: told on every venue where they are wanted, each once, by whoever took, in order units."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal

import pytest

from pricing.contracts import Kind, Side
from pricing.market import Marks
from pricing.universe import Universe
from tests import builders
from tests.exchanges.words import Side as There
from tests.venues.cex_desk import run
from tests.venues.deribit_desk import hearing, until
from tests.venues.products import PRODUCTS, Market, Product, market_of
from venues.base import News
from venues.live_quotes import LiveQuotes
from venues.market_trades import MarketTrade
from venues.news import TRADE_AGE_NS_MAX, TRADES_WAITING_MOST, NewsDesk
from venues.wire.quotes import PublicTrade

#: Products whose channel is as another's.
SAME = {"deribit-option-USDC", "deribit-perpetual-USDC", "okx-perpetual-BTC", "bybit-option-USDC"}


@asynccontextmanager
async def watched(product: Product, trades: bool = True) -> AsyncIterator[tuple[Market, list[News]]]:
    async with market_of(product, trades=trades) as market, hearing(market.venue) as news:
        market.venue.watch(Universe.of([market.listing]), [market.listing.symbol])
        await until(lambda: any(isinstance(x, Marks) for x in news), "a quote", 5.0)
        yield market, news


def told(news: list[News]) -> list[MarketTrade]:
    return [x for x in news if isinstance(x, MarketTrade)]


#: One of each kind of channel.
CHANNELS = [x for x in PRODUCTS if x.kind is not Kind.FUTURE and str(x) not in SAME]


@pytest.mark.parametrize("product", CHANNELS, ids=str)
def test_what_others_trade_is_told_once_and_in_order(product: Product) -> None:
    async def work() -> None:
        async with watched(product) as (market, news):
            exchange, key = market.scene.host.exchange, market.scene.key
            lots = [3, 1, 2]
            while not told(news):  # until the channel has begun
                exchange.trade(key, There.BUY, market.listing.lot)
                await asyncio.sleep(0.05)
            await asyncio.sleep(0.2)
            news.clear()
            since = len(exchange.trades[key])
            for side, count in zip((There.BUY, There.SELL, There.BUY), lots, strict=True):
                exchange.trade(key, side, count * market.listing.lot)
            there = exchange.trades[key][since:]
            await until(lambda: len(told(news)) >= len(there), "the trades", 5.0)
            assert [(t.side.value, t.price, t.size) for t in told(news)] == [
                (t.side.value, t.price, t.quantity) for t in there
            ]
            assert [t.side for t in told(news)] == [Side.BUY, Side.SELL, Side.BUY]
            assert {(t.venue, t.symbol) for t in told(news)} == {market.listing.key}
            assert len({t.trade_id for t in told(news)}) == len(there)

    run(work())


@pytest.mark.parametrize("venue", ["deribit", "okx", "bybit", "binanceusdm", "hyperliquid"])
def test_nobody_who_did_not_ask_is_told(venue: str) -> None:
    product = next(x for x in PRODUCTS if x.venue == venue)

    async def work() -> None:
        async with watched(product, trades=False) as (market, news):
            scene = market.scene
            for _ in range(3):
                scene.host.exchange.trade(scene.key, There.BUY, market.listing.lot)
                scene.world.refresh()
            marks = sum(isinstance(x, Marks) for x in news)
            await until(lambda: sum(isinstance(x, Marks) for x in news) > marks, "more quotes", 5.0)
            assert told(news) == []

    run(work())


def test_a_trade_is_told_once_late_ones_and_those_nobody_comes_for_are_counted() -> None:
    listing = builders.listing(builders.perpetual(), "BTC-PERPETUAL", lot="10", ticks="0:0.5")
    clock = [10**18]
    desk = NewsDesk(lambda: clock[0])
    trade = PublicTrade(listing.symbol, clock[0], "1", Side.BUY, 60_000.0, 0.1)
    desk.hear_trades([trade])  # nobody watches
    desk.quotes = LiveQuotes(Universe.of([listing]), listing.venue)
    desk.hear_trades([trade, trade, trade._replace(symbol="ANOTHER")])
    desk.hear_trades([trade._replace(trade_id="2", venue_ns=clock[0] - TRADE_AGE_NS_MAX - 1)])
    assert desk.trades_left_out == 1
    desk.hear_trades(trade._replace(trade_id=f"a{n}") for n in range(TRADES_WAITING_MOST + 4))
    assert desk.trades_left_out == 1 + 5
    desk.close()

    async def taken() -> list[News]:
        return [x async for x in desk.stream()]

    found: list[News] = []

    async def work() -> None:
        found.extend(await taken())

    run(work())
    trades = told(found)
    assert len(trades) == TRADES_WAITING_MOST and trades[-1].trade_id == f"a{TRADES_WAITING_MOST + 3}"
    assert replace(trades[0], trade_id="") == MarketTrade(
        listing.symbol, Side.BUY, Decimal("60000.0"), Decimal("0.1"), clock[0], listing.venue, "", clock[0]
    )
