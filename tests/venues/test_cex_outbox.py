"""Many channels are joined and left in few messages, within what each venue takes; one that is refused costs
no other its place."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

import ccxt.pro
import pytest

from pricing.contracts import Listing
from pricing.market import Marks
from pricing.universe import Universe
from tests import builders
from tests.exchanges.binance import binance
from tests.exchanges.bybit import bybit
from tests.exchanges.okx import okx
from tests.venues.cex_desk import opened, run
from tests.venues.deribit_desk import hearing, until
from venues.cex_binance import Binance
from venues.cex_bybit import Bybit
from venues.cex_choice import CEX
from venues.cex_dialect import Channel, bundle_name
from venues.cex_okx import Okx
from venues.cex_outbox import Outbox, Word
from venues.orders import Link, VenueStatus


@dataclass
class Wire:
    """A connection that keeps what is said."""

    url: str
    said: list[dict[str, Any]] = field(default_factory=list)

    async def throttle(self, cost: float) -> None:
        """No wait."""

    async def send(self, message: dict[str, Any]) -> None:
        """Kept."""
        self.said.append(message)


def options(venue: str, name: str, count: int) -> list[Listing]:
    return [
        builders.listing(builders.option(10_000.0 + n, "C", 1.0), name.format(10_000 + n), venue=venue)
        for n in range(count)
    ]


def perpetuals(venue: str, name: str, count: int) -> list[Listing]:
    return [
        builders.listing(builders.perpetual(inverse=False), name.format(n), venue=venue) for n in range(count)
    ]


async def joined(dialect: Any, client: Any, listings: list[Listing]) -> dict[str, Wire]:
    """Everything of these is joined; what was said on each connection."""
    wires: dict[str, Wire] = {}
    tasks: set[asyncio.Task[None]] = set()

    def work(told: Coroutine[Any, Any, None]) -> None:
        tasks.add(asyncio.create_task(told))

    channels: list[Channel] = list(dialect.public(client, listings))
    outbox = Outbox(dialect, wires.get, work)
    for channel in channels:
        wires.setdefault(channel.url, Wire(channel.url))
        outbox.put(channel.url, Word(channel.key, True, channel.message, channel.together))
    await asyncio.gather(*tasks)
    await client.close()
    return wires


@pytest.mark.parametrize(
    ("dialect", "library", "listings", "under", "most", "characters", "channels"),
    [
        (Bybit(), "bybit", options("bybit", "BTC-27MAR26-{}-C-USDT", 600), "args", 200, 21_000, 1200),
        (Bybit(), "bybit", perpetuals("bybit", "C{}USDT", 600), "args", 200, 21_000, 1200),
        (Binance(), "binanceusdm", perpetuals("binanceusdm", "C{}USDT", 600), "params", 100, 10**9, 1200),
        (Okx(), "okx", options("okx", "BTC-USD-260327-{}-C", 600), "args", 50, 10**9, 1202),
    ],
    ids=["bybit options", "bybit perpetuals", "binance", "okx"],
)
def test_1200_subscriptions_go_in_few_messages_within_what_the_venue_takes(
    dialect: Any,
    library: str,
    listings: list[Listing],
    under: str,
    most: int,
    characters: int,
    channels: int,
) -> None:
    async def work() -> None:
        wires = await joined(dialect, getattr(ccxt.pro, library)(), listings)
        said = [message for wire in wires.values() for message in wire.said]
        topics = [str(x) for message in said for x in message[under]]
        assert len(topics) == len(set(topics)) == channels
        assert max(len(message[under]) for message in said) <= most
        assert len(said) <= channels / most + 2 * len(wires)
        for wire in wires.values():
            names = [str(x) for message in wire.said for x in message[under]]
            assert sum(len(name) + 3 for name in names) <= characters
            assert len(names) <= 200 or library != "binanceusdm"  # streams of one connection

    run(work())


def test_spot_of_bybit_takes_ten_topics_in_a_message() -> None:
    async def work() -> None:
        pairs = [builders.listing(builders.spot(), f"C{n}/USDT", venue="bybit") for n in range(25)]
        (wire,) = (await joined(Bybit(), ccxt.pro.bybit(), pairs)).values()
        assert [len(message["args"]) for message in wire.said] == [10, 10, 5]

    run(work())


def test_words_leave_in_order_and_what_broke_is_not_said() -> None:
    async def work() -> None:
        wire, tasks = Wire("x"), set()
        outbox = Outbox(Okx(), lambda _: wire, lambda told: tasks.add(asyncio.create_task(told)))
        broken: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        broken.set_result(None)

        def word(verb: str, key: str, gone: asyncio.Future[Any] | None = None) -> None:
            joins = verb == "subscribe"
            outbox.put("x", Word(key, joins, {"op": verb, "args": [key]}, 50, gone))

        word("subscribe", "a")
        word("subscribe", "b", broken)
        word("unsubscribe", "c")
        word("subscribe", "c")
        word("subscribe", "d")
        await asyncio.gather(*tasks)
        assert [(x["op"], x["args"]) for x in wire.said] == [
            ("subscribe", ["a"]), ("unsubscribe", ["c"]), ("subscribe", ["c", "d"]),
        ]  # fmt: skip
        assert [outbox.keys(bundle_name(n)) for n in (1, 2, 3)] == [("a",), (), ("c", "d")]
        assert outbox.keys("own key") == ("own key",)

    run(work())


DESKS: dict[str, tuple[Any, str, str]] = {
    "okx": (okx, "BTC-USDT-SWAP", "args"),
    "bybit": (lambda: bybit(limits={}), "BTCUSDT", "args"),
    "binance": (lambda: binance(limits={}), "BTCUSDT", "params"),
    "binanceusdm": (lambda: binance(limits={}), "BTCUSDT", "params"),
}


@pytest.mark.parametrize("name", ["bybit", "binance", "binanceusdm"])
def test_all_that_is_listed_is_joined_and_left_many_in_one_message(name: str) -> None:
    exchange, symbol, under = DESKS[name]
    choice = CEX[name]

    async def work() -> None:
        desk = opened(choice.dialect(), exchange()[0], choice.addresses, symbol, signed=False)
        async with desk as found, hearing(found.venue) as news:
            listings = await found.venue.listings()
            symbols = [x.symbol for x in listings]

            def known() -> bool:
                return {row for x in news if isinstance(x, Marks) for row in x.depth} == set(
                    range(len(symbols))
                )

            def counts(verb: str) -> list[int]:
                said = [c for c in found.host.requests if c.operation.lower() == verb]
                return [len(c.params[under]) for c in said]

            found.venue.watch(Universe.of(listings), symbols)
            await until(known, "a book of each", 10.0)
            links = [x.link for x in news if isinstance(x, VenueStatus)]
            await until(
                lambda: [x.link for x in news if isinstance(x, VenueStatus)][-1] is Link.UP, str(links)
            )
            every = counts("subscribe")
            assert sum(every) > len(symbols) and len(every) <= 16
            found.venue.watch(Universe.of(listings), [])
            await until(lambda: sum(counts("unsubscribe")) == sum(every), "all are left", 5.0)

    run(work(), 40.0)


def test_one_topic_that_is_refused_costs_no_other_its_place() -> None:
    """Bybit refuses the whole message; each is then tried alone."""

    async def work() -> None:
        desk = opened(Bybit(), bybit(limits={})[0], CEX["bybit"].addresses, "BTCUSDT", signed=False)
        async with desk as found, hearing(found.venue) as news:
            other = next(x for x in await found.venue.listings() if x.symbol == "ETHUSDT")
            del found.host.exchange.instruments["ETHUSDT"]
            universe = Universe.of([found.listing, other])
            found.venue.watch(universe, [x.symbol for x in universe.listings])

            def rows() -> set[int]:
                return {row for x in news if isinstance(x, Marks) for row in x.depth}

            await until(lambda: rows() == {universe.positions["bybit", "BTCUSDT"]}, "the good one", 10.0)

            def joins() -> list[list[str]]:
                return [c.params["args"] for c in found.host.requests if c.operation == "subscribe"]

            both = {"tickers.BTCUSDT", "tickers.ETHUSDT"}
            assert any(both <= set(x) for x in joins())  # refused
            await until(lambda: all([x] in joins() for x in both), "each is tried alone")
            assert [x.link for x in news if isinstance(x, VenueStatus)][-1] is Link.DEGRADED

    run(work(), 40.0)


def test_what_one_connection_of_bybit_does_not_take_goes_by_another() -> None:
    async def work() -> None:
        dialect = Bybit()
        dialect._written["linear", 0] = 20_000
        desk = opened(dialect, bybit(limits={})[0], CEX["bybit"].addresses, "BTCUSDT", signed=False)
        async with desk as found, hearing(found.venue) as news:
            found.venue.watch(Universe.of([found.listing]), ["BTCUSDT"])
            await until(lambda: any(isinstance(x, Marks) and x.depth for x in news), "a book", 5.0)
            await until(lambda: any(isinstance(x, Marks) and x.mark[0] > 0 for x in news), "a mark", 5.0)
            streams = found.venue._streams
            assert streams is not None
            (url,) = streams._client.clients
            assert url.endswith("/v5/public/linear#1")

    run(work())
