"""Whose questions wait for whose: the account's, and an order that is looked for, stand behind nothing of the
market's; and how far the clocks are apart is measured without our own waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import ccxt
import pytest

from pricing.contracts import Kind, Option
from pricing.market import Marks
from pricing.universe import Universe
from tests.exchanges.binance import binance
from tests.exchanges.faults import Act
from tests.venues.cex_desk import QUICK, opened, run
from tests.venues.deribit_desk import hearing, until
from tests.venues.products import PRODUCTS, market_of
from venues.cex import CexVenue
from venues.cex_binance import Binance, addresses
from venues.cex_parse import failed_question
from venues.clock_offset import offset_ns
from venues.orders import OrderState

VENUES = sorted({x.venue for x in PRODUCTS})
#: An account of spot and options, and one order, in requests.
REQUESTS = 20
MS = 1_000_000


def test_an_account_and_an_order_that_is_looked_for_stand_behind_no_copies_of_books() -> None:
    """At the venue's own pace, with every option's book to be asked for and none of them let out."""

    async def work() -> None:
        exchange = binance()[0]
        settings = replace(QUICK, whole_s=0.0)
        async with (
            opened(
                Binance("binance"),
                exchange,
                addresses,
                "BTCUSDT",
                key="spot:BTCUSDT",
                settings=settings,
                pause_ms=None,
            ) as desk,
            hearing(desk.venue),
        ):
            host, venue = desk.host, desk.venue
            order = desk.order("0.001")
            assert (await venue.submit(order)).state is OrderState.OPEN
            host.faults.add(Act.DROP, "*depth*", times=10_000)
            options = [x for x in venue.known.values() if x.contract.kind is Kind.OPTION]
            market = venue._market.throttler
            market.config |= {"refillRate": 1e-9, "tokens": -1.0}
            venue.watch(Universe.of(options), [x.symbol for x in options])
            await until(lambda: len(market.queue) >= len(options) > 30, "all copies wait", 5.0)
            before = len(host.requests)
            asked, report = await asyncio.gather(venue.order(order.client_id), venue.account(0))
            assert asked is not None and asked.state is OrderState.OPEN
            assert [x.client_id for x in report.orders] == [order.client_id]
            left = [c.path for c in host.requests[before:]]
            assert len(left) <= REQUESTS and not any(path.endswith("/depth") for path in left), left

    run(work(), 30.0)


def test_a_book_that_comes_whole_is_not_asked_for() -> None:
    async def work() -> None:
        exchange, world = binance(limits={})
        settings = replace(QUICK, whole_s=2.0)
        spot = "BTCUSDT"
        async with (
            opened(
                Binance("binance"), exchange, addresses, spot, key=f"spot:{spot}", settings=settings
            ) as desk,
            hearing(desk.venue) as news,
        ):
            listed = desk.venue.known.values()
            strikes = ((x.contract.strike, x) for x in listed if isinstance(x.contract, Option))
            _, option = min(strikes, key=lambda of: (abs(of[0] - 60_000.0), of[1].symbol))
            desk.venue.watch(Universe.of([option]), [option.symbol])

            def deep() -> bool:
                world.step(1.0)
                return any(isinstance(x, Marks) and 0 in x.depth for x in news)

            await until(deep, "the book comes by its stream", 2.0)
            await asyncio.sleep(2.5)
            assert [c.path for c in desk.host.requests if c.path.endswith("/depth")] == []

    run(work())


@pytest.mark.parametrize("name", VENUES)
def test_the_clocks_are_compared_without_our_own_waiting(name: str) -> None:
    """The venue is 300 ms ahead; our account's questions are held up for 0.8 s."""
    product = next(x for x in PRODUCTS if x.venue == name)

    async def work() -> None:
        async with market_of(product) as market:
            market.scene.host.exchange.clock.skew_ns = 300 * MS
            if isinstance(market.venue, CexVenue):
                market.venue._polls.throttler.config["tokens"] = -4_000  # at 0.2 ms each
            report = await market.venue.account(0)
            assert report.clock_offset_ns is not None
            assert -1_000 * MS < report.clock_offset_ns <= -299 * MS  # stamps are whole ms

    run(work())


@pytest.mark.parametrize("name", VENUES)
def test_a_report_without_executions_asks_for_none(name: str) -> None:
    product = next(x for x in reversed(PRODUCTS) if x.venue == name)

    async def work() -> None:
        async with market_of(product) as market:
            before = len(market.scene.host.calls)
            report = await market.venue.account(None)
            asked = [operation for _, operation in market.scene.host.calls[before:]]
            assert report.trades == () and report.deliveries == {} and asked
            assert report.since_ns == report.venue_ns
            words = ("trades", "fills", "execution")
            assert [x for x in asked if any(word in x.lower() for word in words)] == []
            # Its stamp is that of the clock that was measured first: nobody asks for the time again.
            clock = [i for i, x in enumerate(asked) if x.split("/")[-1].split()[-1] in ("time", "get_time")]
            assert clock == list(range(len(clock))) and (clock or name == "hyperliquid")

    run(work())


def clocks(*stamps: int) -> Callable[[], int]:
    """A clock that shows these, one after the other."""
    shown = iter(stamps)
    return lambda: next(shown)


@pytest.mark.parametrize(
    ("ours", "told", "offset"),
    [
        ((1_000, 1_100), (1_060,), -60),  # stamped at the start of a way of 100 ms, or by its end
        ((1_000, 1_100), (3_050,), -2_050),
        ((5_000, 5_020), (3_010,), 2_010),
        ((0, 4_000, 4_000, 4_100), (1_000, 4_040), 60),  # the long way counts for nothing beside a short one
        ((0, 900, 900, 1_500, 1_500, 2_300), (460, 1_000, 1_880), 420),  # none is short: what is known best
        ((0, 2_100, 2_100, 4_200, 4_200, 6_300), (650, 2_750, 4_850), 1_450),  # 1.4 s apart, the way out slow
    ],
)
def test_an_offset_is_ours_less_the_venues_at_the_most_that_it_can_be(
    ours: tuple[int, ...], told: tuple[int, ...], offset: int
) -> None:
    answers = clocks(*(x * MS for x in told))

    async def ask() -> int:
        return answers()

    found = asyncio.run(offset_ns(ask, clocks(*(x * MS for x in ours))))
    assert found == (offset * MS, told[-1] * MS)


def test_an_exchange_that_is_gone_is_told_with_a_way_out() -> None:
    text = failed_question("binanceusdm", "account", ccxt.ExchangeNotAvailable("gone")).text()
    assert "NO_ANSWER" in text and "allowed" in text and "venues.binanceusdm.url" in text
