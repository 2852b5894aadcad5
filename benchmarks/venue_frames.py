"""Frames of loopback exchanges, kept to be read again offline: by us, and by the library's own class.

The market is driven on purpose: each step resizes a few levels near the touch of one book, and now and then
the whole book moves, as books do. A book has twenty levels a side.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import aiohttp
import orjson

from pricing.contracts import Listing
from tests.exchanges.binance import binance
from tests.exchanges.bybit import bybit
from tests.exchanges.deribit import deribit
from tests.exchanges.okx import okx
from tests.exchanges.server import Host, serve
from tests.exchanges.stock import stock_deribit
from tests.exchanges.stock_cex import stock
from tests.exchanges.world import World
from tests.venues.cex_desk import adapter_on
from tests.venues.deribit_desk import venue_at
from venues.cex_choice import CEX
from venues.cex_client import Tap
from venues.wire.deribit_frames import BOOK_HEAD, TICKER_HEAD

LEVELS = 20
STEPS = 60
#: One step in so many moves the whole book.
_MOVES_EVERY = 12


@dataclass(slots=True)
class Kept:
    """What a venue said. client: the library's own, with its markets. rewind: makes its books what they were
    before the first of these frames. begun: the book then (bids, asks, id), where a frame does not say it."""

    client: Any
    listings: tuple[Listing, ...]
    symbol: str
    unified: str
    texts: list[tuple[str, str]] = field(default_factory=list)
    begun: tuple[list[tuple[float, float]], list[tuple[float, float]], int] | None = None

    @property
    def urls(self) -> set[str]:
        """Addresses that they came from."""
        return {url for url, _ in self.texts}

    def rewind(self) -> None:
        """Of the library's books."""
        self.client.orderbooks.clear()
        if self.begun is not None:
            bids, asks, number = self.begun
            book = {"bids": [list(x) for x in bids], "asks": [list(x) for x in asks], "nonce": number}
            self.client.orderbooks[self.unified] = self.client.order_book(book)

    def hear(self, url: str, text: str) -> None:
        """A frame, as the library's own class takes it."""
        self.client.clients[url].handle_text_or_binary_message(text)


async def ripple(world: World, host: Host, symbol: str, steps: int, seed: int = 7) -> None:
    """Drive one book."""
    dice = random.Random(seed)
    instrument = world.exchange.instruments[symbol]
    for step in range(steps):
        if step % _MOVES_EVERY == _MOVES_EVERY - 1:
            world.spots[instrument.index] *= 1 + dice.choice((-1, 1)) * 2e-5
            world.exchange.set_mark(symbol, world.mark(instrument))
        bids, asks = world.levels(instrument)
        for side in (bids, asks):
            for at in dice.sample(range(5), 2):
                side[at] = (side[at][0], side[at][1] + instrument.lot * dice.randint(1, 9))
        world.exchange.quote(symbol, bids, asks)
        world.exchange.clock.advance(0.2)  # past the pace of any channel
        await asyncio.sleep(0.03)


@asynccontextmanager
async def deribit_frames() -> AsyncIterator[Kept]:
    """Tickers of everything listed and one book."""
    dialect, world = deribit()
    world.depth = LEVELS
    world.refresh()
    async with serve(dialect) as host, stock_deribit(host) as client:
        adapter = venue_at(host, signed=False)
        await adapter.start()
        kept = Kept(client, tuple(await adapter.listings()), "BTC-PERPETUAL", "BTC/USD:BTC")
        await adapter.close()
        url = client.urls["api"]["ws"]
        client.client(url)
        channels = [f"ticker.{x.symbol}.100ms" for x in kept.listings]
        asked = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "public/subscribe",
            "params": {"channels": [*channels, f"book.{kept.symbol}.100ms"]},
        }
        async with aiohttp.ClientSession() as session, session.ws_connect(f"{host.ws_url}/ws/api/v2") as ws:
            await ws.send_json(asked)
            driven = asyncio.create_task(ripple(world, host, kept.symbol, STEPS))
            while not driven.done():
                with suppress(TimeoutError):
                    text = str((await ws.receive(timeout=0.2)).data)
                    if text.startswith((TICKER_HEAD, BOOK_HEAD)):
                        kept.texts.append((url, text))
        yield kept


@dataclass(frozen=True, slots=True)
class Cex:
    """An exchange that is reached through the library. copied: its book begins with a copy by REST."""

    make: Callable[[], tuple[Any, World]]
    symbol: str
    unified: str = "BTC/USDT:USDT"
    copied: bool = False


CEXES = {
    "okx": Cex(okx, "BTC-USDT-SWAP"),
    "bybit": Cex(lambda: bybit(limits={}), "BTCUSDT"),
    "binanceusdm": Cex(lambda: binance(limits={}), "BTCUSDT", copied=True),
}


@asynccontextmanager
async def cex_frames(name: str) -> AsyncIterator[Kept]:
    """One book, as the library itself asks for it."""
    chosen = CEXES[name]
    dialect, world = chosen.make()
    world.depth = LEVELS
    world.refresh()

    def urls(host: Host) -> dict[str, Any]:
        return CEX[name].addresses(host.url)

    phrase = {"password": "phrase"} if name == "okx" else {}
    async with serve(dialect) as host, stock(name, urls, host, **phrase) as client:
        adapter = adapter_on(CEX[name].dialect(), host, CEX[name].addresses, signed=False)
        await adapter.start()
        kept = Kept(client, tuple(await adapter.listings()), chosen.symbol, chosen.unified)
        await adapter.close()
        plain = client.handle_message
        Tap(client, lambda url, message: kept.texts.append((url, orjson.dumps(message).decode())))
        watching = asyncio.create_task(_watch(client, chosen.unified))
        await asyncio.sleep(0.2)
        await ripple(world, host, chosen.symbol, 3)
        book = client.orderbooks[chosen.unified]
        if chosen.copied:
            sides = [[(float(p), float(s)) for p, s in book[side]] for side in ("bids", "asks")]
            kept.begun = (sides[0], sides[1], int(book["nonce"]))
            kept.texts.clear()
        await ripple(world, host, chosen.symbol, STEPS)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        client.handle_message = plain
        for connection in client.clients.values():
            connection.on_message_callback = plain
        yield kept


async def _watch(client: Any, symbol: str) -> None:
    while True:
        await client.watch_order_book(symbol)


def best(levels: list[Any], count: int = 5) -> list[tuple[float, float]]:
    """The best levels, however they are kept."""
    return [(float(Decimal(str(x[0]))), float(Decimal(str(x[1])))) for x in levels[:count]]
