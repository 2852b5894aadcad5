"""What is subscribed to, what is asked for by underlying; a change of either breaks nothing that goes on."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from pricing.contracts import Kind, Listing, Option
from pricing.market import Market, Marks
from pricing.universe import Universe
from tests.venues.cex_desk import run
from tests.venues.deribit_desk import hearing, until
from tests.venues.products import PRODUCTS, market_of
from venues.base import News

#: Where options trade; requests of one round of summaries for one coin.
ROUNDS = {"deribit": 1, "okx": 3, "bybit": 1, "binance": 2}
SUMMARIES = (
    "get_book_summary",
    "market/tickers",
    "public/mark-price",
    "public/opt-summary",
    "eapi/v1/ticker",
    "eapi/v1/mark",
)


def options_of(listings: object) -> list[Listing]:
    assert isinstance(listings, tuple)
    return [x for x in listings if isinstance(x.contract, Option) and x.contract.underlying == "BTC"]


def seen(news: list[News], universe: Universe) -> Market:
    market = Market.empty(universe)
    for item in news:
        market = market.apply(item) if isinstance(item, Marks) else market
    return market


@pytest.mark.parametrize("name", list(ROUNDS))
def test_options_that_are_not_subscribed_to_come_by_underlying_and_not_one_by_one(name: str) -> None:
    product = next(x for x in PRODUCTS if x.venue == name)

    async def work() -> None:
        async with market_of(product, signed=False) as market, hearing(market.venue) as news:
            coins = {x.contract.settlement for x in options_of(await market.venue.listings())}
            universe = Universe.of(options_of(await market.venue.listings()))
            market.venue.watch(universe, [market.listing.symbol])

            def known() -> bool:
                now = seen(news, universe)
                told = np.isfinite(now.bid) & np.isfinite(now.ask) & (now.mark > 0) & (now.mark_iv > 0)
                return bool(told.all())

            await until(known, "touch, mark and vol of every option", 5.0)
            host = market.scene.host
            said = [f"{c.path} {c.operation}" for c in host.requests]
            asked = sum(any(part in text for part in SUMMARIES) for text in said)
            assert 1 <= asked <= ROUNDS[name] * len(coins)
            now = seen(news, universe)
            for listing in universe.listings:  # what was told is what the exchange has
                row = universe.positions[listing.key]
                mark = host.exchange.marks[listing.symbol]
                assert now.mark[row] == pytest.approx(float(mark.price), rel=1e-6)
                assert mark.iv is not None and now.mark_iv[row] == pytest.approx(mark.iv, abs=1e-4)
            assert now.depth.keys() <= {universe.positions[market.listing.key]}

    run(work())


@pytest.mark.parametrize("name", ["deribit", "okx", "bybit", "binance"])
def test_another_choice_of_the_same_universe_keeps_what_goes_on(name: str) -> None:
    product = next(x for x in PRODUCTS if x.venue == name and x.kind is Kind.OPTION)

    async def work() -> None:
        async with market_of(product, signed=False) as market, hearing(market.venue) as news:
            options = options_of(await market.venue.listings())
            universe = Universe.of(options)
            first, second = market.listing, next(x for x in options if x != market.listing)
            market.venue.watch(universe, [first.symbol])
            rows = [universe.positions[x.key] for x in (first, second)]
            await until(lambda: rows[0] in seen(news, universe).depth, "the first book", 5.0)
            before = len(market.scene.host.requests)
            market.venue.watch(universe, [first.symbol, second.symbol])
            await until(lambda: rows[1] in seen(news, universe).depth, "the second book", 5.0)
            quotes = market.venue.quotes
            assert quotes is not None and quotes.gaps == () and quotes.counts.gaps == 0
            left = [c for c in market.scene.host.requests[before:] if "unsubscribe" in c.operation.lower()]
            assert left == []
            news.clear()
            market.venue.watch(universe, [second.symbol])
            await asyncio.sleep(0.1)
            market.scene.world.refresh()
            market.scene.world.move("BTC", 0.001)
            await until(lambda: rows[1] in seen(news, universe).depth, "the second goes on", 5.0)
            assert quotes.counts.gaps == 0

    run(work())
