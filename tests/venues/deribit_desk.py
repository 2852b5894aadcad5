"""A Deribit adapter on a loopback exchange, for tests: one market, one key, short times."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

from pricing.contracts import Listing, Side
from tests.exchanges.deribit import deribit
from tests.exchanges.server import Host, serve
from tests.exchanges.world import World
from venues.base import News, Venue
from venues.deribit import DeribitTerms, DeribitVenue
from venues.deribit_session import Login, SessionTerms
from venues.secrets import Secret

KEY, SECRET = "key", "secret"
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
    """The adapter, not started."""
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
