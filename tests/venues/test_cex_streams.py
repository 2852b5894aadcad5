"""What all adapters behind the library have in common: a market without keys, streams, strange executions."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import ClientConnectionResetError

from pricing.market import Marks
from pricing.universe import Universe
from tests.exchanges.binance import binance
from tests.exchanges.bybit import bybit
from tests.exchanges.faults import Act
from tests.exchanges.hyperliquid import hyperliquid
from tests.exchanges.okx import okx
from tests.venues.cex_desk import opened, run
from tests.venues.deribit_desk import hearing, until
from venues.base import News
from venues.cex_choice import CEX
from venues.orders import Link, OrderState, VenueStatus

DESKS: dict[str, tuple[Any, str, str]] = {
    "okx": (okx, "BTC-USDT-SWAP", ""),
    "bybit": (bybit, "BTCUSDT", ""),
    "binance": (binance, "BTCUSDT", "spot:BTCUSDT"),
    "binanceusdm": (binance, "BTCUSDT", ""),
    "binancecoinm": (binance, "BTCUSD_PERP", ""),
    "hyperliquid": (hyperliquid, "BTC", ""),
}


def desk(name: str, **terms: Any) -> Any:
    exchange, symbol, key = DESKS[name]
    choice = CEX[name]
    return opened(choice.dialect(), exchange()[0], choice.addresses, symbol, key=key, **terms)


def events(news: list[News]) -> list[str]:
    return [event for x in news if isinstance(x, VenueStatus) for event in x.events]


@pytest.mark.parametrize("name", DESKS)
def test_without_keys_there_are_listings_with_fees_and_marks_and_no_orders(name: str) -> None:
    async def work() -> None:
        async with desk(name, signed=False) as found, hearing(found.venue) as news:
            assert found.listing.fees.taker > 0 and found.venue.refused == {}
            universe = Universe.of([found.listing])
            found.venue.watch(universe, [found.listing.symbol])

            def marks() -> list[Marks]:
                return [x for x in news if isinstance(x, Marks) and x.depth]

            await until(lambda: bool(marks()), "marks with depth", 5.0)
            assert 0 < marks()[-1].bid[0] < marks()[-1].ask[0]
            refused = await found.venue.submit(found.order("1"))
            assert refused.state is OrderState.REJECTED and found.venue.capabilities.dead_man_s is None
            private = ("order", "account", "balance", "exchange")
            assert not [c for c in found.host.requests if c.path.rpartition("/")[2] in private]

    run(work())


@pytest.mark.parametrize("name", ["okx", "bybit", "binanceusdm", "hyperliquid"])
def test_watching_something_else_leaves_the_first_and_watching_it_again_finds_it(name: str) -> None:
    async def work() -> None:
        async with desk(name, signed=False) as found, hearing(found.venue) as news:
            other = next(
                x
                for x in await found.venue.listings()
                if x.contract.underlying == "ETH" and type(x.contract) is type(found.listing.contract)
            )
            for listing in (found.listing, other, found.listing):
                news.clear()
                found.venue.watch(Universe.of([listing]), [listing.symbol])
                await until(
                    lambda: any(isinstance(x, Marks) and x.depth for x in news), f"{listing.symbol}", 5.0
                )

            def left() -> list[str]:
                feeds = found.host.dialect._feeds
                return [name for name in feeds if feeds[name] and other.symbol.lower() in name.lower()]

            await until(lambda: not left(), "nothing more of what is not watched")

    run(work())


@pytest.mark.parametrize("name", ["okx", "bybit", "binanceusdm"])
def test_another_universe_with_the_same_listing_keeps_its_book(name: str) -> None:
    async def work() -> None:
        async with desk(name, signed=False) as found, hearing(found.venue) as news:
            for _ in range(2):
                news.clear()
                found.venue.watch(Universe.of([found.listing]), [found.listing.symbol])
                await until(lambda: any(isinstance(x, Marks) and x.depth for x in news), "depth", 5.0)
            assert found.venue.quotes.gaps == ()

    run(work())


@pytest.mark.parametrize("name", DESKS)
def test_executions_of_what_is_not_listed_are_told_apart_once_and_the_rest_is_there(name: str) -> None:
    async def work() -> None:
        async with desk(name) as found, hearing(found.venue) as news:
            quantity = {"okx": "1", "binancecoinm": "2"}.get(name, "0.002")
            item = found.order(quantity, marketable=True)
            assert (await found.venue.submit(item)).state is OrderState.FILLED
            found.venue._listings.clear()  # as in a process that began after the instrument had gone
            found.host.exchange.close_instrument(found.key, "closed")
            for _ in range(2):
                report = await found.venue.account(0)
                assert report.trades == () and report.orders == ()
            await until(lambda: "executions_unlisted" in events(news), "that they are not booked")
            assert events(news).count("executions_unlisted") == 1

    run(work())


def test_an_account_stream_that_the_venue_ends_begins_anew() -> None:
    async def work() -> None:
        async with desk("binanceusdm") as found, hearing(found.venue) as news:
            (session,) = [s for s in found.host.dialect.sessions.values() if s.state.get("user")]
            session.push("user.listenKeyExpired", {"e": "listenKeyExpired", "E": 1795268426550})
            await until(lambda: events(news).count("reconnected") == 1, "the stream anew", 5.0)
            item = found.order("0.002", marketable=True)
            assert (await found.venue.submit(item)).state is OrderState.FILLED

    run(work())


def test_a_market_connection_that_breaks_loses_its_own_books_and_gets_them_back() -> None:
    async def work() -> None:
        async with desk("bybit") as found, hearing(found.venue) as news:
            listed = await found.venue.listings()
            spot = next(x for x in listed if x.symbol == "BTC/USDT")
            universe = Universe.of([found.listing, spot])
            found.venue.watch(universe, [x.symbol for x in universe.listings])
            await until(lambda: {r for x in news if isinstance(x, Marks) for r in x.depth} == {0, 1}, "both")
            news.clear()
            found.host.faults.add(Act.CUT, f"linear|orderbook*{found.key}")
            await found.venue.submit(found.order("0.002"))

            def gaps() -> list[tuple[str, ...]]:
                return [x.gaps for x in news if isinstance(x, VenueStatus) and x.gaps is not None]

            await until(lambda: gaps() == [(found.key,), ()], "its own book alone", 5.0)

            def links() -> list[Link]:
                return [x.link for x in news if isinstance(x, VenueStatus)]

            await until(lambda: links()[-1] is Link.UP, "all of it again")
            assert Link.DEGRADED in links() and Link.DOWN not in links()

    run(work())


def test_a_ping_into_a_socket_that_has_just_gone_is_an_outage_and_no_fault_of_the_program() -> None:
    """The library's ping loop hands the socket's own error to everybody who waits, untranslated."""

    async def work() -> None:
        async with desk("okx") as found, hearing(found.venue) as news:
            streams = found.venue._streams
            assert streams is not None
            for connection in list(streams._client.clients.values()):
                connection.on_error(ClientConnectionResetError("Cannot write to closing transport"))
            await until(lambda: "reconnected" in events(news), "the streams anew", 5.0)
            item = found.order("0.1", marketable=True)
            assert (await found.venue.submit(item)).state is OrderState.FILLED

    run(work())
