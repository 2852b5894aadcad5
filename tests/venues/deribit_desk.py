"""A Deribit adapter on a loopback exchange, for tests: one market, the planted key, short times."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from itertools import count
from typing import Any

from pricing.contracts import Listing, Side
from pricing.market import Marks
from pricing.universe import Universe
from tests.exchanges.deribit import deribit
from tests.exchanges.server import Host, serve
from tests.exchanges.world import World
from tests.planted import KEY, SECRET
from tests.venues.planting import plant
from venues.base import News, Venue
from venues.deribit import DeribitTerms, DeribitVenue
from venues.deribit_session import Login, SessionTerms
from venues.errors import Unreachable
from venues.orders import Order, TimeInForce, TradeReport, VenueStatus, client_order_id
from venues.secrets import Secret

_numbers = count(1)
PERPETUAL = "BTC-PERPETUAL"
QUICK = SessionTerms(
    answer_s_max=1.0, connect_s_max=2.0, heartbeat_s=10.0, pause_s_first=0.02, pause_s_most=0.1
)


def login(secret: str = SECRET) -> Login:
    """The key of the account."""
    return Login(Secret(KEY), Secret(secret))


def venue_at(
    host: Host, *, session: SessionTerms = QUICK, signed: bool = True, trades: bool = False
) -> DeribitVenue:
    """The adapter, not started; the exchange gives it the planted key."""
    plant(host.exchange)
    terms = DeribitTerms(url=host.ws_url, start_s_max=5.0, session=session, trades=trades)
    return DeribitVenue(terms, login() if signed else None)


@asynccontextmanager
async def opened(
    *, session: SessionTerms = QUICK, **terms: Any
) -> AsyncIterator[tuple[DeribitVenue, Host, World]]:
    """An adapter that is up on a fresh exchange; terms: of the exchange's dialect."""
    dialect, world = deribit(**terms)
    async with serve(dialect) as host:
        venue = venue_at(host, session=session)
        await venue.start()
        try:
            yield venue, host, world
        finally:
            await venue.close()


async def listing_of(venue: DeribitVenue, symbol: str = PERPETUAL) -> Listing:
    """A listing as the adapter has it."""
    return next(x for x in await venue.listings() if x.symbol == symbol)


def price_of(listing: Listing, side: Side, marketable: bool) -> Decimal:
    """A price on tick about 60,000 that trades at once, or rests."""
    up = (side is Side.BUY) == marketable
    return listing.quantize_price(Decimal(60_600 if up else 59_400), side)


async def until(holds: Callable[[], bool], what: str, patience_s: float = 15.0) -> None:
    """Wait until a condition holds.

    Raises:
        AssertionError: it never does.
    """
    deadline = asyncio.get_running_loop().time() + patience_s
    while not holds():
        assert asyncio.get_running_loop().time() < deadline, f"never: {what}"
        await asyncio.sleep(0.005)


@asynccontextmanager
async def hearing(venue: Venue) -> AsyncIterator[list[News]]:
    """The venue's news as they come."""
    news: list[News] = []

    async def read() -> None:
        async for item in venue.stream():
            news.append(item)

    task = asyncio.create_task(read())
    try:
        yield news
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def order(listing: Listing, side: Side = Side.BUY, *, marketable: bool = False, **terms: Any) -> Order:
    """An order of 100 USD with an id of its own."""
    tif = terms.pop("tif", TimeInForce.IOC if marketable else TimeInForce.GTC)
    client_id = client_order_id("desk", next(_numbers), 0, 0)
    return Order(client_id, listing, side, Decimal(100), price_of(listing, side, marketable), tif, **terms)


def live_orders(host: Host) -> list[str]:
    """Labels of the orders that rest at the exchange."""
    return [o.client_id for o in host.exchange.open_orders("desk")]


async def asked(question: Callable[[], Awaitable[Any]]) -> Any:
    """Ask until somebody answers: the session may just be coming up again."""
    for _ in range(100):
        try:
            return await question()
        except Unreachable:
            await asyncio.sleep(0.02)
    raise AssertionError("nobody ever answered")


async def watch(venue: DeribitVenue) -> None:
    """The perpetual is followed."""
    venue.watch(Universe.of([await listing_of(venue)]), [PERPETUAL])


def fills(news: list[News]) -> list[TradeReport]:
    """Executions that were told."""
    return [x for x in news if isinstance(x, TradeReport)]


def statuses(news: list[News]) -> list[VenueStatus]:
    """What was told of the sessions."""
    return [x for x in news if isinstance(x, VenueStatus)]


def touch(news: list[News]) -> tuple[float, float] | None:
    """Best bid and ask of the newest batch, where its depth is known."""
    batches = [x for x in news if isinstance(x, Marks)]
    if not batches or not batches[-1].depth:
        return None
    ((bids, asks),) = batches[-1].depth.values()
    return float(bids.price[0]), float(asks.price[0])
