"""Answers that are about another order than ours: nothing is concluded from them.

The exchange performs what it is asked, and answers with words about something else; what really became of an
order is read from its own record.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from itertools import count
from typing import Any

import pytest

from pricing.contracts import Kind, Listing, Side
from tests.exchanges.server import Answer, Call, Host, serve
from tests.venues.products import EXCHANGES, Adapter, adapter_at
from venues.errors import Untrusted
from venues.orders import Order, OrderState, TimeInForce, client_order_id

_numbers = count(1)
Rewrite = Callable[[str, Any], Any]


def _as_is(_: str, message: Any) -> Any:
    return message


class Speaker:
    """A loopback exchange's dialect whose answers may be rewritten. rewrite: gets (operation, message)."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.rewrite: Rewrite = _as_is

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def write(self, call: Call, answer: Answer) -> str:
        """As the dialect's."""
        text: str = self._inner.write(call, answer)
        return json.dumps(self.rewrite(call.operation, json.loads(text))) if text else text


@dataclass(slots=True)
class Desk:
    """An adapter, its exchange, and a perpetual."""

    venue: Adapter
    host: Host
    speaker: Speaker
    listing: Listing

    def order(self) -> Order:
        """A buy that rests."""
        best = self.host.exchange.books[self.listing.symbol].asks.best()
        assert best is not None
        price = self.listing.quantize_price(best * Decimal("0.99"), Side.BUY)
        lots = 200 if self.listing.venue == "hyperliquid" else 2  # at least 10 USD
        quantity = max(self.listing.minimum, lots * self.listing.lot)
        client_id = client_order_id("desk", next(_numbers), 0, 0)
        return Order(client_id, self.listing, Side.BUY, quantity, price, TimeInForce.GTC)

    async def rests(self) -> Order:
        """One that does."""
        order = self.order()
        assert (await self.venue.submit(order)).state is OrderState.OPEN
        return order


@asynccontextmanager
async def desk(name: str) -> AsyncIterator[Desk]:
    inner, _ = EXCHANGES[name][0]()
    speaker = Speaker(inner)
    served: Any = speaker
    async with serve(served) as host:
        venue = adapter_at(name, host)
        try:
            await venue.start()
            found = await venue.listings()
            ours = [x for x in found if (x.contract.kind, x.contract.underlying) == (Kind.PERPETUAL, "BTC")]
            yield Desk(venue, host, speaker, min(ours, key=lambda x: x.symbol))
        finally:
            await venue.close()


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 20))


def _about(said: dict[str, Any]) -> Rewrite:
    """Every question is answered with what was said before, in the answer's own envelope."""

    def rewrite(operation: str, message: Any) -> Any:
        other = said.get(operation)
        if other is None:
            return message
        return {**message, "result": other["result"]} if "jsonrpc" in message else other

    return rewrite


async def _said_of(desk: Desk, asked: Coroutine[Any, Any, Any]) -> dict[str, Any]:
    """What the exchange says while something is asked, by operation."""
    said: dict[str, Any] = {}

    def keep(operation: str, message: Any) -> Any:
        said[operation] = message
        return message

    desk.speaker.rewrite = keep
    await asked
    desk.speaker.rewrite = _as_is
    return said


def _with(operation: str, inside: tuple[str | int, ...], key: str, value: Any) -> Rewrite:
    """Another value in one field of one operation's answers."""

    def rewrite(asked: str, message: Any) -> Any:
        if asked == operation:
            at = message
            for step in inside:
                at = at[step]
            at[key] = value
        return message

    return rewrite


VENUES = ["deribit", "okx", "bybit", "binanceusdm", "binancecoinm", "hyperliquid"]


@pytest.mark.parametrize("name", VENUES)
def test_what_is_said_of_another_order_is_no_answer(name: str) -> None:
    async def work() -> None:
        async with desk(name) as found:
            first, second = await found.rests(), await found.rests()
            assert (await found.venue.cancel(first.client_id)).state is OrderState.CANCELLED
            found.speaker.rewrite = _about(await _said_of(found, found.venue.order(first.client_id)))
            with pytest.raises(Untrusted, match="ANOTHER_ORDER"):
                await found.venue.order(second.client_id)
            found.speaker.rewrite = _as_is
            report = await found.venue.order(second.client_id)
            assert report is not None and report.state is OrderState.OPEN

    run(work())


@pytest.mark.parametrize("name", VENUES)
def test_a_cancel_that_is_answered_with_another_orders_end_ended_nothing(name: str) -> None:
    async def work() -> None:
        async with desk(name) as found:
            first, second = await found.rests(), await found.rests()
            said = await _said_of(found, found.venue.cancel(first.client_id))
            found.speaker.rewrite = _about(said)
            update = await found.venue.cancel(second.client_id)
            assert (update.client_id, update.state) == (second.client_id, OrderState.UNKNOWN)

    run(work())


@pytest.mark.parametrize(
    ("name", "operation", "inside", "key", "value"),
    [
        ("okx", "GET trade/order", ("data", 0), "side", "sell"),
        ("okx", "GET trade/order", ("data", 0), "instId", "ETH-USDT-SWAP"),
        ("bybit", "order/realtime", ("result", "list", 0), "side", "Sell"),
        ("binanceusdm", "GET fapi/order", (), "symbol", "ETHUSDT"),
        ("hyperliquid", "orderStatus", ("order", "order"), "side", "A"),
        ("deribit", "private/get_order_state_by_label", ("result", 0), "direction", "sell"),
    ],
)
def test_an_order_of_another_side_or_instrument_is_not_ours(
    name: str, operation: str, inside: tuple[str | int, ...], key: str, value: str
) -> None:
    async def work() -> None:
        async with desk(name) as found:
            order = await found.rests()
            found.speaker.rewrite = _with(operation, inside, key, value)
            with pytest.raises(Untrusted, match="ANOTHER_ORDER"):
                await found.venue.order(order.client_id)

    run(work())


@pytest.mark.parametrize(
    ("name", "operation", "inside", "key", "value"),
    [
        ("okx", "trade/order", ("data", 0), "clOrdId", "hdeskZ9Z0Z0"),
        ("bybit", "order/create", ("result",), "orderLinkId", "hdesk-9-0-0"),
        ("binanceusdm", "POST fapi/order", (), "clientOrderId", "hdesk-9-0-0"),
        ("binanceusdm", "POST fapi/order", (), "symbol", "ETHUSDT"),
        ("deribit", "private/buy", ("result", "order"), "label", "hdesk-9-0-0"),
        ("deribit", "private/buy", ("result", "order"), "instrument_name", "ETH-PERPETUAL"),
        ("deribit", "private/buy", ("result", "order"), "direction", "sell"),
        ("deribit", "private/buy", ("result", "order"), "amount", 5000.0),
        ("deribit", "private/buy", ("result", "order"), "price", 1.0),
    ],
)
def test_an_acknowledgement_of_another_order_leaves_ours_unknown(
    name: str, operation: str, inside: tuple[str | int, ...], key: str, value: Any
) -> None:
    async def work() -> None:
        async with desk(name) as found:
            found.speaker.rewrite = _with(operation, inside, key, value)
            order = found.order()
            update = await found.venue.submit(order)
            assert (update.state, update.code) == (OrderState.UNKNOWN, "ANOTHER_ORDER")
            found.speaker.rewrite = _as_is
            report = await found.venue.order(order.client_id)  # asked after, it is there
            assert report is not None and (report.state, report.price) == (OrderState.OPEN, order.price)

    run(work())
