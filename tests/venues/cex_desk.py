"""One adapter on one loopback exchange, for the tests of all of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from itertools import count
from typing import Any

from pricing.contracts import Listing, Side
from tests.exchanges.server import Host, serve
from tests.venues.planting import secrets_at
from tests.venues.trials import Stage
from venues.cex import CexSettings, CexVenue
from venues.cex_client import CexTerms
from venues.cex_dialect import Dialect
from venues.net import Hosts
from venues.orders import Order, TimeInForce, client_order_id

QUICK = CexSettings(news_s_max=0.5, pause_s_first=0.02, pause_s_most=0.1, start_s_max=5.0)
_numbers = count(1)


@dataclass(frozen=True, slots=True)
class Desk:
    """An adapter, its exchange, and a liquid listing. key: what the exchange calls the listing."""

    venue: CexVenue
    host: Host
    listing: Listing
    key: str

    def price(self, side: Side, marketable: bool) -> Decimal:
        """A price on tick, a hundredth through the mark or short of it."""
        return self.price_of(self.listing, self.key, side, marketable)

    def price_of(self, listing: Listing, key: str, side: Side, marketable: bool) -> Decimal:
        """The same of any listing."""
        up = (side is Side.BUY) == marketable
        mark = self.host.exchange.mark_price(key)
        return listing.quantize_price(mark * (Decimal("1.01") if up else Decimal("0.99")), side)

    def order(self, quantity: str, *, marketable: bool = False, **terms: Any) -> Order:
        """A buy with an id of its own."""
        tif = TimeInForce.IOC if marketable else TimeInForce.GTC
        client_id = client_order_id("desk", next(_numbers), 0, 0)
        price = self.price(Side.BUY, marketable)
        return Order(client_id, self.listing, Side.BUY, Decimal(quantity), price, tif, **terms)

    def stage(self, quantity: str) -> Stage:
        """For the trials that every venue must pass."""
        return Stage(self.venue, self.listing, Decimal(quantity), self.price, patience_s=4.0)


@asynccontextmanager
async def opened(
    dialect: Dialect,
    exchange: Any,
    addresses: Callable[[str], dict[str, Any]],
    symbol: str,
    *,
    key: str = "",
    settings: CexSettings = QUICK,
    signed: bool = True,
    answer_s_max: float = 2.0,
    pause_ms: float | None = 0.2,
) -> AsyncIterator[Desk]:
    """key: what the exchange calls the listing, where that is not its symbol."""
    async with serve(exchange) as host:
        venue = adapter_on(
            dialect,
            host,
            addresses,
            settings=settings,
            signed=signed,
            answer_s_max=answer_s_max,
            pause_ms=pause_ms,
        )
        try:
            await venue.start()
            listing = next(x for x in await venue.listings() if x.symbol == symbol)
            yield Desk(venue, host, listing, key or symbol)
        finally:
            await venue.close()


def adapter_on(
    dialect: Dialect,
    host: Host,
    addresses: Callable[[str], dict[str, Any]],
    *,
    settings: CexSettings = QUICK,
    signed: bool = True,
    answer_s_max: float = 2.0,
    pause_ms: float | None = 0.2,
) -> CexVenue:
    """An adapter on an exchange that is served already, not started."""
    secrets = secrets_at(host.exchange, dialect.venue)
    terms = CexTerms(
        dialect.venue, Hosts.of([host.url]), addresses(host.url), answer_s_max=answer_s_max, pause_ms=pause_ms
    )
    return CexVenue(dialect, terms, secrets if signed else None, settings)


def run(work: Coroutine[Any, Any, None], seconds: float = 20.0) -> None:
    """A test's work, within a time."""
    asyncio.run(asyncio.wait_for(work, seconds))
