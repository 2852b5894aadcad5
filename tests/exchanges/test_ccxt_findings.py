"""Six defects of the stock `ccxt.pro.deribit`, each shown on the unpatched class (ccxt 4.5.90).

These are the reasons for our own session and patches. A test here that begins to fail says that ccxt has
changed: then read what it does now, and take the patch away or mend it.
"""

from __future__ import annotations

import asyncio
from decimal import Decimal as D

import ccxt
import pytest

from tests.exchanges.faults import Act
from tests.exchanges.rpc import connect
from tests.exchanges.server import Host
from tests.exchanges.stock import nothing_within, overheard, stock_deribit
from tests.exchanges.test_deribit_protocol import PERP, quiet, run

SYMBOL = "BTC/USD:BTC"
LABEL = {"label": "one"}


def test_a_lost_reply_places_the_order_twice() -> None:
    """Finding 1: orders go by GET, which aiohttp repeats once when the connection breaks; no exception."""

    async def scene(host: Host) -> None:
        async with stock_deribit(host) as client:
            host.faults.add(Act.CUT_AFTER, "private/buy")
            told = await client.create_order(SYMBOL, "limit", "buy", 100, 59_500, LABEL)
            live = host.exchange.open_orders("desk")
            assert [o.client_id for o in live] == ["one", "one"]
            assert told["id"] == str(live[1].order_id)
            assert {c.verb for c in host.requests if c.operation == "private/buy"} == {"GET"}

    run(scene)


def test_fills_between_two_watches_are_lost() -> None:
    """Finding 2: `handle_my_trades` never keeps what it has read."""

    async def scene(host: Host) -> None:
        quiet(host)
        async with stock_deribit(host) as client:
            first = asyncio.create_task(client.watch_my_trades())
            await asyncio.sleep(0.1)
            await client.create_order(SYMBOL, "limit", "buy", 10, 60_000)
            delivered = [t["id"] for t in await first]
            for _ in range(3):  # while the consumer works
                await client.create_order(SYMBOL, "limit", "buy", 10, 60_000)
            await asyncio.sleep(0.1)
            assert await nothing_within(client.watch_my_trades(), 0.2)
            last = asyncio.create_task(client.watch_my_trades())
            await asyncio.sleep(0.05)
            await client.create_order(SYMBOL, "limit", "buy", 10, 60_000)
            delivered += [t["id"] for t in await last]
            assert len(host.exchange.fills("desk")) == 5
            assert len(delivered) == 2

    run(scene)


def test_a_new_snapshot_is_merged_into_the_old_book() -> None:
    """Finding 4: after a reconnect between two watches the book is crossed, and nothing says so."""

    async def scene(host: Host) -> None:
        quiet(host)
        async with stock_deribit(host) as client:
            await client.watch_order_book(SYMBOL)
            host.cut_sessions()
            await asyncio.sleep(0.1)
            host.exchange.quote(PERP, [(D(59_800), D(1000))], [(D(59_801), D(1000))])
            try:
                book = await client.watch_order_book(SYMBOL)
            except ccxt.NetworkError:  # the break was noticed: the next watch reconnects
                book = await client.watch_order_book(SYMBOL)
            assert (book["bids"][0][0], book["asks"][0][0]) == (59_990, 59_801)

    run(scene)


def test_a_gap_in_the_chain_of_changes_goes_unseen() -> None:
    """Finding 5: one change swallowed by the network, and the book is wrong for good without an error."""

    async def scene(host: Host) -> None:
        quiet(host)
        async with stock_deribit(host) as client:
            await client.watch_order_book(SYMBOL)
            host.faults.add(Act.DROP, f"book.{PERP}.100ms")
            host.exchange.quote(PERP, [(D(59_000), D(1000))], [(D(59_100), D(1000))])
            await asyncio.sleep(0.25)
            host.exchange.quote(PERP, [(D(59_010), D(1000))], [(D(59_100), D(500))])
            book = await client.watch_order_book(SYMBOL)
            assert host.faults.done == [("drop", f"book.{PERP}.100ms")]
            assert book["bids"][0][0] == 59_990 > book["asks"][0][0]

    run(scene)


def test_one_error_frame_silences_every_stream() -> None:
    """Finding 6: the error is raised in a callback; the receive loop ends while the socket stays open."""

    async def scene(host: Host) -> None:
        quiet(host)
        raised = overheard()
        async with stock_deribit(host) as client:
            await client.watch_ticker(SYMBOL)
            host.faults.add(Act.RATE, "public/subscribe")
            assert await nothing_within(client.watch_trades(SYMBOL), 0.3)
            assert [type(e).__name__ for e in raised] == ["ExchangeError"]
            silent = asyncio.create_task(nothing_within(client.watch_ticker(SYMBOL), 0.6))
            for n in range(4):
                await asyncio.sleep(0.1)
                host.exchange.quote(PERP, [(D(59_000 + n), D(1000))], [(D(60_000), D(1000))])
            assert await silent
            sent = next(iter(host.sessions.values())).sent
            assert sent >= 5  # the socket is open, and the exchange has been talking
            assert client.streaming["keepAlive"] * 3 == pytest.approx(90_000)  # ms until it is noticed

    run(scene)


def test_the_grouped_book_cannot_be_read() -> None:
    """Finding 7: rows of `book.X.none.20.100ms` are [price, amount]; the handler wants a third field."""

    async def scene(host: Host) -> None:
        quiet(host)
        raised = overheard()
        async with stock_deribit(host) as client:
            watched = client.watch_order_book(SYMBOL, None, {"useDepthEndpoint": True})
            assert await nothing_within(watched, 0.3)
            assert [type(e).__name__ for e in raised] == ["IndexError"]

    run(scene)


def test_the_exchange_itself_loses_nothing() -> None:
    """The same five fills, read by a bare client."""

    async def scene(host: Host) -> None:
        quiet(host)
        async with connect(host) as rpc:
            await rpc.result("private/subscribe", channels=["user.trades.any.any.raw"])
            async with stock_deribit(host) as client:
                for _ in range(5):
                    await client.create_order(SYMBOL, "limit", "buy", 10, 60_000)
            await rpc.until("user.trades.any.any.raw", 5)
            told = {t["trade_id"] for row in rpc.data("user.trades.any.any.raw") for t in row}
            assert told == {str(f.trade_id) for f in host.exchange.fills("desk")}

    run(scene)
