"""What of the library's connections is bent, each beside what it does by itself: fails when ccxt changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import ccxt.pro
import pytest
from aiohttp import WSMsgType, web

from tests.venues.test_cex_client import okx_at, run
from tests.venues.test_net import server
from venues.cex_client import make_client
from venues.cex_streams import _drop
from venues.net import Hosts, guarded_session

KEY, JOIN = "x", {"op": "subscribe"}


@dataclass
class Deaf:
    """A server that takes every message and answers none. heard: by connection."""

    url: str = ""
    heard: list[list[str]] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One connection."""
        socket = web.WebSocketResponse(autoping=False)
        await socket.prepare(request)
        own: list[str] = []
        self.heard.append(own)
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                own.append(str(message.data))
        return socket


@asynccontextmanager
async def joined(**terms: Any) -> AsyncIterator[tuple[Any, str, Deaf, asyncio.Future[Any]]]:
    """A client of ours that has joined one channel of a deaf server, and waits for it."""
    deaf = Deaf()
    async with server(deaf.handle) as url, guarded_session(Hosts.of([url])) as session:
        exchange = make_client(okx_at(url, **terms), {}, session, {})
        address = f"{url.replace('http', 'ws')}/public"
        waiting = exchange.watch(address, KEY, JOIN, KEY)
        await heard(deaf, 1)
        try:
            yield exchange, address, deaf, waiting
        finally:
            await exchange.close()
            await asyncio.gather(waiting, return_exceptions=True)


async def heard(deaf: Deaf, count: int) -> None:
    """Wait until so many messages have come on all connections together."""
    async with asyncio.timeout(5.0):
        while sum(map(len, deaf.heard)) < count:
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("forgotten", [True, False])
def test_a_channel_is_joined_again_on_its_connection_once_the_library_has_forgotten_it(
    forgotten: bool,
) -> None:
    """It remembers what it has asked for, answered or not, and asks no second time."""

    async def work() -> None:
        async with joined() as (exchange, address, deaf, first):
            if forgotten:
                connection = exchange.clients[address]
                assert connection.subscriptions.pop(KEY) and connection.futures.pop(KEY) is first
            again = exchange.watch(address, KEY, JOIN, KEY)
            assert (again is first) is not forgotten
            if forgotten:
                await heard(deaf, 2)
            else:
                await asyncio.sleep(0.3)
            assert [len(own) for own in deaf.heard] == [2 if forgotten else 1]
            first.cancel()

    run(work())


@pytest.mark.parametrize("ours", [True, False])
def test_a_connection_that_is_left_tells_whoever_waits_and_the_next_watch_opens_another(ours: bool) -> None:
    """By the library's own `close` their waiting is cancelled, as if they themselves had been."""

    async def work() -> None:
        async with joined() as (exchange, address, deaf, waiting):
            connection = exchange.clients[address]
            if ours:
                _drop(connection, "left")
            else:
                await connection.close()
            await asyncio.wait({waiting}, timeout=5.0)
            assert waiting.cancelled() is not ours
            if not ours:
                return
            assert isinstance(waiting.exception(), ccxt.NetworkError) and address not in exchange.clients
            again = exchange.watch(address, KEY, JOIN, KEY)
            await heard(deaf, 2)
            assert [len(own) for own in deaf.heard] == [1, 1] and connection.closed()
            again.cancel()

    run(work())


def test_a_venue_that_answers_no_ping_is_noticed_after_the_time_that_we_set() -> None:
    async def work() -> None:
        async with joined(keep_alive_ms=50) as (exchange, address, deaf, waiting):
            assert exchange.clients[address].keepAlive == 50
            await asyncio.wait({waiting}, timeout=5.0)
            assert isinstance(waiting.exception(), ccxt.RequestTimeout)
            assert deaf.heard[0][1:2] == ["ping"]

    run(work())


@pytest.mark.parametrize(
    ("venue", "keep_alive_ms"),
    [("okx", 18_000), ("bybit", 18_000), ("binance", 180_000), ("hyperliquid", 20_000)],
)
def test_by_itself_the_library_takes_longer(venue: str, keep_alive_ms: int) -> None:
    """Two misses of these: half a minute at least, six on Binance."""

    async def work() -> None:
        stock = getattr(ccxt.pro, venue)()
        assert stock.client("ws://127.0.0.1:9").keepAlive == keep_alive_ms
        assert okx_at("http://127.0.0.1:9").keep_alive_ms < keep_alive_ms
        await stock.close()

    run(work())


@pytest.mark.parametrize("ours", [True, False])
def test_closing_waits_for_no_session_that_is_not_the_librarys_own(ours: bool) -> None:
    async def work() -> None:
        waited: list[float] = []

        async def sleep(milliseconds: float) -> None:
            waited.append(milliseconds)

        async with guarded_session(Hosts.of(["http://127.0.0.1:9"])) as session:
            own = make_client(okx_at("http://127.0.0.1:9"), {}, session, {})
            client = own if ours else ccxt.pro.okx({"session": session})
            client.sleep = sleep
            await client.close()
            if not ours:
                await own.close()
            assert not session.closed
        assert waited == [0 if ours else 250]

    run(work())
