"""What a venue's wire costs: frames to typed marks and books, and an order's way out and back.

Run with `make bench`. The peers are the library's own classes on the same frames, offline and in the same
process (`handle_ticker`, `handle_order_book`), and for orders a bare client: no adapter, on the same loopback
exchange, and on a socket that answers without knowing anything. Before anything is timed the books must agree
level by level. Times of frames are CPU times of this process.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import aiohttp
import ccxt.pro
import orjson
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.children import child
from benchmarks.venue_exchange import KEY, SECRET
from benchmarks.venue_frames import CEXES, Kept, best, cex_frames, deribit_frames
from pricing.contracts import Side
from pricing.universe import Universe
from venues.book_chain import ChainedBook
from venues.cex_choice import CEX
from venues.cex_streams import Askers, CexStreams, StreamTerms
from venues.deribit import DeribitTerms, DeribitVenue
from venues.deribit_session import Login
from venues.live_quotes import LiveQuotes
from venues.news import NewsDesk
from venues.orders import Order, OrderState, TimeInForce, client_order_id
from venues.secrets import Secret
from venues.wire import deribit_frames as frames
from venues.wire.quotes import BookChange

ROUNDS = 40
START_S_MAX = 60.0
_cpu_timer = pytest.mark.benchmark(timer=time.process_time)


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as made:
        yield made


@pytest.fixture(scope="module")
def said(runner: asyncio.Runner) -> Iterator[Kept]:
    """Deribit's frames."""
    stage = deribit_frames()
    yield runner.run(stage.__aenter__())
    runner.run(stage.__aexit__(None, None, None))


@pytest.fixture(scope="module", params=list(CEXES))
def heard(request: pytest.FixtureRequest, runner: asyncio.Runner) -> Iterator[tuple[str, Kept]]:
    """The others' books."""
    stage = cex_frames(request.param)
    yield request.param, runner.run(stage.__aenter__())
    runner.run(stage.__aexit__(None, None, None))


def texts(kept: Kept, head: str) -> list[tuple[str, str]]:
    found = [(url, text) for url, text in kept.texts if text.startswith(head)]
    assert len(found) > 20
    return found


def timed(
    benchmark: BenchmarkFixture,
    runner: asyncio.Runner,
    work: Callable[[], None],
    n: int,
    rewind: Callable[[], None],
) -> None:
    """Rounds over all frames; the library wants a running loop."""

    async def inside() -> None:
        benchmark.pedantic(work, setup=rewind, rounds=ROUNDS, warmup_rounds=2)

    benchmark.extra_info["options"] = n
    runner.run(inside())


# --------------------------------------------------------------------------------------------------- tickers

TICKERS = {
    "decoded": "Deribit ticker: frame to typed, checked mark",
    "kept": "Deribit ticker: frame to the newest quote of its listing",
    "handed out": "Deribit ticker: frame to a batch of marks, one batch a round",
}


def ticker_reader(kept: Kept, how: str) -> Callable[[list[tuple[str, str]]], None]:
    quotes = LiveQuotes(Universe.of(kept.listings), "deribit")
    seqs = count()

    def decode(found: list[tuple[str, str]]) -> None:
        for _, text in found:
            assert frames.ticker(text) is not None

    def keep(found: list[tuple[str, str]]) -> None:
        for _, text in found:
            if text.startswith(frames.TICKER_HEAD) and (ticker := frames.ticker(text)) is not None:
                quotes.hear(ticker)

    def hand_out(found: list[tuple[str, str]]) -> None:
        keep(found)
        assert quotes.take(next(seqs), time.time_ns()) is not None

    return {"decoded": decode, "kept": keep, "handed out": hand_out}[how]


@_cpu_timer
@pytest.mark.parametrize("how", list(TICKERS))
def test_ours_ticker(benchmark: BenchmarkFixture, runner: asyncio.Runner, said: Kept, how: str) -> None:
    benchmark.group = TICKERS[how]
    found, read = texts(said, frames.TICKER_HEAD), ticker_reader(said, how)
    timed(benchmark, runner, lambda: read(found), len(found), lambda: None)


@_cpu_timer
@pytest.mark.parametrize("how", list(TICKERS))
def test_ccxt_ticker(benchmark: BenchmarkFixture, runner: asyncio.Runner, said: Kept, how: str) -> None:
    benchmark.group = TICKERS[how]
    found = texts(said, frames.TICKER_HEAD)
    timed(benchmark, runner, lambda: hear(said, found), len(found), lambda: None)


def hear(kept: Kept, found: list[tuple[str, str]]) -> None:
    for url, text in found:
        kept.hear(url, text)


# ----------------------------------------------------------------------------------------------------- books


class Book:
    """Our way to one venue's book: the adapter's own, from the text of a frame until it is filed for whoever
    makes marks of it. Made inside the loop."""

    def __init__(self, name: str, kept: Kept) -> None:
        self._name, self._kept = name, kept
        self._universe = Universe.of(kept.listings)
        self._streams: CexStreams | None = None
        self._desk = NewsDesk(time.time_ns)
        if name == "deribit":
            venue = DeribitVenue(DeribitTerms())
            self._desk = venue._desk
            self.takes: dict[str, Callable[[str], object]] = dict.fromkeys(kept.urls, venue._hear_quickly)
        else:
            self._client = getattr(ccxt.pro, name)()
            self._streams = CexStreams(
                self._client,
                Askers(None, None, None),
                CEX[name].dialect(),
                self._desk,
                {x.symbol: x for x in kept.listings},
                lambda frame: None,
                StreamTerms("", 0.1, 1.0, 3.0),
                time.time_ns,
            )
            self.takes = {url: self._client.client(url).handle_text_or_binary_message for url in kept.urls}
        self.rewind()

    def rewind(self) -> None:
        """As before the first frame."""
        self._desk.quotes = LiveQuotes(self._universe, self._name)
        if self._kept.begun is not None and self._streams is not None:
            bids, asks, number = self._kept.begun
            self._streams._copies.want(self._kept.symbol)
            copied = BookChange(self._kept.symbol, 1, True, number, None, bids, asks)
            self._streams._changed(copied)

    def hear(self, found: list[tuple[str, str]]) -> None:
        """Frames, from their texts on."""
        takes = self.takes
        for url, text in found:
            takes[url](text)

    def book(self) -> ChainedBook:
        """As it stands now."""
        assert self._desk.quotes is not None
        return self._desk.quotes._books[self._kept.symbol]

    async def close(self) -> None:
        """End it."""
        if self._streams is not None:
            await self._client.close()


@contextmanager
def reader(runner: asyncio.Runner, name: str, kept: Kept) -> Iterator[Book]:
    """Our way, inside the loop."""

    async def made() -> Book:
        return Book(name, kept)

    book = runner.run(made())
    yield book
    runner.run(book.close())


def agree(runner: asyncio.Runner, ours: Book, kept: Kept, found: list[tuple[str, str]]) -> None:
    """Both have the same book at the end."""

    async def both() -> None:
        ours.rewind()
        ours.hear(found)
        kept.rewind()
        hear(kept, found)

    runner.run(both())
    book = kept.client.orderbooks[kept.unified]
    assert ours.book().broken is None
    for side, (prices, sizes) in zip(("bids", "asks"), ours.book().ladders(20), strict=True):
        levels = list(zip(prices, sizes, strict=True))
        assert len(levels) == 20 and levels == best(book[side], 20)


@_cpu_timer
def test_ours_book_deribit(benchmark: BenchmarkFixture, runner: asyncio.Runner, said: Kept) -> None:
    benchmark.group = "deribit: frame to book"
    found = texts(said, frames.BOOK_HEAD)
    with reader(runner, "deribit", said) as ours:
        agree(runner, ours, said, found)
        timed(benchmark, runner, lambda: ours.hear(found), len(found), ours.rewind)


@_cpu_timer
def test_ccxt_book_deribit(benchmark: BenchmarkFixture, runner: asyncio.Runner, said: Kept) -> None:
    benchmark.group = "deribit: frame to book"
    found = texts(said, frames.BOOK_HEAD)
    timed(benchmark, runner, lambda: hear(said, found), len(found), said.rewind)


@_cpu_timer
def test_ours_book(benchmark: BenchmarkFixture, runner: asyncio.Runner, heard: tuple[str, Kept]) -> None:
    name, kept = heard
    benchmark.group = f"{name}: frame to book"
    with reader(runner, name, kept) as ours:
        agree(runner, ours, kept, kept.texts)
        timed(benchmark, runner, lambda: ours.hear(kept.texts), len(kept.texts), ours.rewind)


@_cpu_timer
def test_ccxt_book(benchmark: BenchmarkFixture, runner: asyncio.Runner, heard: tuple[str, Kept]) -> None:
    name, kept = heard
    benchmark.group = f"{name}: frame to book"
    timed(benchmark, runner, lambda: hear(kept, kept.texts), len(kept.texts), kept.rewind)


# ---------------------------------------------------------------------------------------------------- orders

ORDERS = "order round trip on loopback: a resting order and its answer"
CLOCKS = [pytest.param("by the wall"), pytest.param("CPU time of the client", marks=_cpu_timer)]


@pytest.fixture(scope="module")
def exchange_url() -> Iterator[str]:
    with child("benchmarks.venue_exchange") as exchange:
        yield f"ws://127.0.0.1:{int(exchange.line(START_S_MAX) or 0)}/ws/api/v2"


@pytest.fixture(scope="module")
def bare_url() -> Iterator[str]:
    with child("benchmarks.bare_exchange") as exchange:
        yield f"ws://127.0.0.1:{int(exchange.line(START_S_MAX) or 0)}/"


class Bare:
    """A client that sends a frame and waits for the answer with its number."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._numbers = count(1)

    async def start(self) -> None:
        """Connect and sign in, for private news too."""
        self._session = aiohttp.ClientSession()
        self._socket = await self._session.ws_connect(self._url, compress=0)
        grant = {"grant_type": "client_credentials", "client_id": KEY, "client_secret": SECRET}
        await self.ask("public/auth", grant)
        await self.ask("private/subscribe", {"channels": ["user.orders.any.any.raw"]})

    async def ask(self, method: str, params: dict[str, Any]) -> Any:
        """One question."""
        number = next(self._numbers)
        asked = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        await self._socket.send_str(orjson.dumps(asked).decode())
        while True:
            told = orjson.loads((await self._socket.receive()).data)
            if told.get("id") == number:
                assert "error" not in told
                return told["result"]

    async def order(self, number: int) -> None:
        """What the adapter sends."""
        terms = {"instrument_name": "BTC-PERPETUAL", "amount": 100.0, "type": "limit", "price": 50_000.0,
                 "label": f"bare-{number}", "time_in_force": "good_til_cancelled", "post_only": False,
                 "reduce_only": False}  # fmt: skip
        assert (await self.ask("private/buy", terms))["order"]["order_state"] == "open"

    async def close(self) -> None:
        """Leave."""
        await self._session.close()


def round_trips(
    benchmark: BenchmarkFixture,
    runner: asyncio.Runner,
    clock: str,
    order: Callable[[int], Any],
    clear: Callable[[], Any],
) -> None:
    """One order a round; the account is emptied every now and then, outside the time."""
    numbers = count(1)
    loop = runner.get_loop()

    def setup() -> tuple[tuple[int], dict[str, Any]]:
        number = next(numbers)
        if number % 50 == 0:
            loop.run_until_complete(clear())
        return (number,), {}

    benchmark.group = f"{ORDERS}, {clock}"
    benchmark.pedantic(
        lambda number: loop.run_until_complete(order(number)), setup=setup, rounds=1_000, warmup_rounds=50
    )


@pytest.mark.parametrize("clock", CLOCKS)
def test_ours_order(
    benchmark: BenchmarkFixture, runner: asyncio.Runner, exchange_url: str, clock: str
) -> None:
    venue = DeribitVenue(DeribitTerms(url=exchange_url), Login(Secret(KEY), Secret(SECRET)))
    runner.run(venue.start())
    listing = next(x for x in runner.run(venue.listings()) if x.symbol == "BTC-PERPETUAL")
    price = listing.quantize_price(listing.minimum * 5_000, Side.BUY)

    async def order(number: int) -> None:
        client_id = client_order_id("bench", number, 0, 0)
        sent = Order(client_id, listing, Side.BUY, listing.minimum * 10, price, TimeInForce.GTC)
        assert (await venue.submit(sent)).state is OrderState.OPEN

    try:
        round_trips(benchmark, runner, clock, order, venue.cancel_all)
    finally:
        runner.run(venue.cancel_all())
        runner.run(venue.close())


@pytest.mark.parametrize("clock", CLOCKS)
@pytest.mark.parametrize("where", ["the same exchange", "a socket that knows nothing"])
def test_bare_client(
    benchmark: BenchmarkFixture,
    runner: asyncio.Runner,
    exchange_url: str,
    bare_url: str,
    where: str,
    clock: str,
) -> None:
    client = Bare(exchange_url if where == "the same exchange" else bare_url)
    runner.run(client.start())
    try:
        round_trips(benchmark, runner, clock, client.order, lambda: client.ask("private/cancel_all", {}))
    finally:
        runner.run(client.close())
