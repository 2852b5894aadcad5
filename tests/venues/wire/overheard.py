"""What the loopback exchanges say while an adapter trades on them: the messages that no recording holds."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from pricing.contracts import Kind, Listing, Side
from pricing.universe import Universe
from tests.exchanges.server import Answer, Call, serve
from tests.exchanges.server import Dialect as Served
from tests.venues import cex_desk, deribit_desk
from tests.venues.products import EXCHANGES
from venues.cex import CexVenue
from venues.deribit import DeribitVenue
from venues.orders import Order, TimeInForce, client_order_id

#: Messages of one kind that are kept: of an operation's answers, of a stream's frames.
_OF_A_KIND = 6
_KINDS = (Kind.PERPETUAL, Kind.SPOT, Kind.OPTION, Kind.FUTURE)


@dataclass(slots=True)
class Overheard:
    """Messages by kind, and what was listed."""

    said: dict[str, list[Any]] = field(default_factory=dict)
    listings: dict[str, Listing] = field(default_factory=dict)

    def hear(self, kind: str, message: Any) -> None:
        """Keep one of a kind that is not full."""
        kept = self.said.setdefault(kind, [])
        if len(kept) < _OF_A_KIND and message not in kept:
            kept.append(message)

    @property
    def messages(self) -> list[tuple[str, Any]]:
        """(kind, message) of all."""
        return [(kind, message) for kind, kept in self.said.items() for message in kept]


class _Speaking:
    """A loopback exchange's dialect, with every answer of it kept."""

    def __init__(self, inner: Any, heard: Overheard) -> None:
        self._inner, self._heard = inner, heard

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def write(self, call: Call, answer: Answer) -> str:
        text: str = self._inner.write(call, answer)
        if text:
            message = json.loads(text)
            self._heard.hear(f"{call.operation}: {_keys(message)}", message)
        return text


class _Listening:
    """An adapter's dialect, with every frame that it reads kept."""

    def __init__(self, inner: Any, heard: Overheard) -> None:
        self._inner, self._heard = inner, heard

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def read(self, url: str, message: Any, *rest: Any) -> Any:
        found = self._inner.read(url, message, *rest)
        if isinstance(message, dict):
            held = [name for name in ("orders", "trades", "quotes", "books") if getattr(found.frame, name)]
            self._heard.hear(f"frame of {held}: {_keys(message)}", message)
        return found


def _keys(message: Any) -> str:
    """The names in a message, by which its kind is told."""
    if isinstance(message, dict):
        return "".join(f"{key}({_keys(value)})" for key, value in sorted(message.items()))
    return _keys(message[0]) if isinstance(message, list) and message else ""


@cache
def overheard(venue: str) -> Overheard:
    """What an exchange says to an adapter that lists, watches, trades one of each product, and asks."""
    heard = Overheard()
    asyncio.run(asyncio.wait_for(_trade(venue, heard), 60))
    return heard


async def _trade(venue: str, heard: Overheard) -> None:
    make, dialect, addresses = EXCHANGES[venue]
    inner, _ = make()
    speaking: Any = _Speaking(inner, heard)
    served: Served = speaking
    async with serve(served) as host:
        adapter: CexVenue | DeribitVenue
        if dialect is None:
            adapter = deribit_desk.venue_at(host)
        else:
            listening: Any = _Listening(dialect(), heard)
            adapter = cex_desk.adapter_on(listening, host, addresses)
        try:
            await adapter.start()
            found = await adapter.listings()
            heard.listings.update((x.symbol, x) for x in found)
            chosen = [x for kind in _KINDS for x in _first(found, kind)]
            adapter.watch(Universe.of(chosen), [x.symbol for x in chosen])
            for number, listing in enumerate(chosen):
                await _trade_one(adapter, host, listing, number)
            await adapter.account(0)
            if dialect is not None:
                told = "'trades'"
                await deribit_desk.until(lambda: any(told in kind for kind in heard.said), "executions")
        finally:
            await adapter.close()


def _first(found: Any, kind: Kind) -> list[Listing]:
    """One of a kind, on BTC, where there are any."""
    of_it = [x for x in found if x.contract.kind is kind and x.contract.underlying == "BTC"]
    return sorted(of_it, key=lambda x: (-(x.expiry_ns or 0), x.symbol))[:1]


async def _trade_one(adapter: CexVenue | DeribitVenue, host: Any, listing: Listing, number: int) -> None:
    """An order that rests and is cancelled, and one that trades at once; each is asked after."""
    spot = f"spot:{listing.symbol.replace('/', '')}"
    is_spot = listing.contract.kind is Kind.SPOT and spot in host.exchange.instruments
    best = host.exchange.books[spot if is_spot else listing.symbol].asks.best()
    assert best is not None, listing.symbol
    quantity = max(2 * listing.minimum, (200 if listing.venue == "hyperliquid" else 1) * listing.lot)
    for part, (share, force) in enumerate((("0.97", TimeInForce.GTC), ("1.02", TimeInForce.IOC))):
        price = listing.quantize_price(best * type(best)(share), Side.BUY)
        client_id = client_order_id("desk", number + 1, 0, part)
        await adapter.submit(Order(client_id, listing, Side.BUY, quantity, price, force))
        await adapter.order(client_id)
        if force is TimeInForce.GTC:
            await adapter.account(0)
            await adapter.cancel(client_id)
