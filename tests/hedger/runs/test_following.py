"""What a run subscribes to: all that is held, the options near the money, and a new choice as both move."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedger.runs.following import Following, Key, followed, spots_of
from hedger.runs.venue_market import keys_of
from pricing.market import Market, Marks
from pricing.universe import Universe
from risk.book import Book, Position
from tests import builders
from tests.venues.cex_desk import run
from tests.venues.deribit_desk import hearing, until
from tests.venues.products import PRODUCTS, market_of

STRIKES = [20_000.0, 40_000.0, 50_000.0, 59_000.0, 60_000.0, 62_000.0, 75_000.0, 120_000.0]
OPTIONS = [builders.listing(builders.option(k, "C", 30.0), f"BTC-{k:g}-C") for k in STRIKES]
OTHERS = [
    builders.listing(builders.perpetual(), "BTC-PERPETUAL"),
    builders.listing(builders.spot(), "BTC_USDC"),
]
UNIVERSE = Universe.of([*OPTIONS, *OTHERS])
NOW = builders.NOW_NS
ALWAYS = {x.key for x in OTHERS}


def strikes(chosen: frozenset[Key]) -> list[float]:
    return [k for k, x in zip(STRIKES, OPTIONS, strict=True) if x.key in chosen]


def test_the_options_nearest_the_money_are_chosen_and_everything_that_is_none() -> None:
    chosen = followed(UNIVERSE, (), {"BTC": 60_000.0}, NOW, 3)
    assert strikes(chosen) == [59_000.0, 60_000.0, 62_000.0] and chosen >= ALWAYS


def test_what_is_held_is_chosen_whatever_it_is_and_the_unknown_is_not() -> None:
    held = {OPTIONS[0].key, ("elsewhere", "X")}
    assert strikes(followed(UNIVERSE, held, {}, NOW, 3)) == [20_000.0]
    assert strikes(followed(UNIVERSE, held, {"BTC": 60_000.0}, NOW, 1)) == [20_000.0, 60_000.0]
    assert followed(UNIVERSE, (), {}, NOW, len(OPTIONS)) == set(UNIVERSE.positions)


def test_what_has_expired_is_left_unless_it_is_held() -> None:
    later = NOW + 31 * builders.DAY_NS
    assert strikes(followed(UNIVERSE, (), {"BTC": 60_000.0}, later, 100)) == []
    assert strikes(followed(UNIVERSE, {OPTIONS[3].key}, {"BTC": 60_000.0}, later, 100)) == [59_000.0]


@given(
    spot=st.floats(1e3, 1e6),
    most=st.integers(0, 10),
    held=st.sets(st.sampled_from([x.key for x in UNIVERSE.listings])),
)
def test_no_more_than_allowed_beside_what_is_held(spot: float, most: int, held: set[Key]) -> None:
    chosen = followed(UNIVERSE, held, {"BTC": spot}, NOW, most)
    assert held | ALWAYS <= chosen <= set(UNIVERSE.positions)
    assert len(followed(UNIVERSE, (), {"BTC": spot}, NOW, most)) == min(most, len(OPTIONS)) + len(ALWAYS)


@pytest.mark.parametrize("name", ["deribit", "okx"])
def test_the_subscriptions_follow_the_book(name: str) -> None:
    product = next(x for x in PRODUCTS if x.venue == name)

    async def work() -> None:
        async with market_of(product, signed=False) as found, hearing(found.venue) as news:
            listings = [x for x in await found.venue.listings() if x.contract.underlying == "BTC"]
            universe = Universe.of(listings)
            following = Following([found.venue], universe, 2)
            market = Market.empty(universe)
            held: set[Key] = set()

            def look() -> tuple[set[Key], Market, int]:
                nonlocal market
                while news:
                    item = news.pop(0)
                    market = market.apply(item) if isinstance(item, Marks) else market
                return held, market, found.scene.host.exchange.now_ns

            def deep() -> set[str]:
                look()
                return {universe.listings[row].symbol for row in market.depth}

            assert following.choose(held, {}, look()[2])
            options = {x.symbol for x in listings if x.contract.kind.name == "OPTION"}
            await until(lambda: "BTC" in spots_of(look()[1]), "the index", 5.0)
            assert following.choose(held, spots_of(market), look()[2])
            await until(lambda: len(deep() & options) == 2, "books of the two nearest", 5.0)
            assert not following.choose(held, spots_of(market), look()[2])  # nothing has changed

            far = min(options - deep())
            held_now = next(x for x in listings if x.symbol == far)
            held |= keys_of(Book.of([Position(held_now, "", Decimal(1))], {}))
            task = asyncio.create_task(following.follow(look))
            try:
                await until(lambda: far in deep(), "the book of what is held now", 5.0)
            finally:
                task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    run(work(), 20.0)
