"""The adapter over the library's clients, on canned answers of OKX: what each makes of an order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest
from aiohttp import web

from pricing.contracts import Listing, Side
from pricing.market import Marks
from pricing.universe import Universe
from tests.venues.deribit_desk import until
from tests.venues.okx_stub import OkxStub, refuse
from tests.venues.test_net import server
from venues.base import News
from venues.cex import CexSettings, CexVenue
from venues.cex_client import CexTerms
from venues.cex_okx import Okx
from venues.errors import Ambiguous
from venues.net import Hosts
from venues.orders import (
    Link,
    Order,
    OrderState,
    OrderUpdate,
    TimeInForce,
    TradeReport,
    VenueStatus,
    client_order_id,
)
from venues.secrets import Secret
from venues.wire.rejects import DUPLICATE, Reason

SECRETS = {name: Secret(name) for name in ("key", "secret", "passphrase")}
QUICK = CexSettings(news_s_max=0.2, pause_s_first=0.02, pause_s_most=0.1, start_s_max=5.0)
_numbers = iter(range(1, 1000))


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 20))


@asynccontextmanager
async def opened(stub: OkxStub) -> AsyncIterator[tuple[CexVenue, Listing]]:
    async with server(stub.handle) as url:
        terms = CexTerms(
            "okx",
            Hosts.of([url]),
            {"rest": url, "ws": url.replace("http", "ws")},
            answer_s_max=1.0,
            pause_ms=1,
        )
        venue = CexVenue(Okx(), terms, SECRETS, QUICK)
        await venue.start()
        try:
            yield venue, (await venue.listings())[0]
        finally:
            await venue.close()


def order(listing: Listing, **terms: Any) -> Order:
    client_id = client_order_id("desk", next(_numbers), 0, 0)
    tif = terms.pop("tif", TimeInForce.GTC)
    return Order(client_id, listing, Side.BUY, Decimal("0.05"), Decimal("60000.1"), tif, **terms)


def placed(stub: OkxStub) -> list[Any]:
    return [body for name, body in stub.calls if name == "trade/order" and body]


def lost(request: web.Request, _: dict[str, Any]) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


def page(_: web.Request, __: dict[str, Any]) -> web.StreamResponse:
    return web.Response(status=502, text="<html>Bad Gateway</html>", content_type="text/html")


def broken(_: web.Request, __: dict[str, Any]) -> web.StreamResponse:
    return web.Response(text='{"code":"0","data":[{"ordI', content_type="application/json")


def test_an_order_goes_out_in_contracts_as_exact_text_with_our_id() -> None:
    async def work() -> None:
        stub = OkxStub()
        async with opened(stub) as (venue, listing):
            assert (listing.size, listing.fees.taker) == (Decimal("0.01"), Decimal("0.0005"))
            item = order(listing, reduce_only=True)
            assert (await venue.submit(item)).state is OrderState.OPEN
            (body,) = placed(stub)
            assert (body["sz"], body["px"], body["ordType"]) == ("0.05", "60000.1", "limit")
            assert body["clOrdId"] == item.client_id.replace("-", "Z") and body["reduceOnly"] == "true"

    run(work())


def test_an_answer_proves_what_it_proves_and_no_order_leaves_twice() -> None:
    nobody = "unlisted:nobody"
    cases: list[tuple[Any, OrderState, str | None]] = [
        (refuse("51008"), OrderState.REJECTED, Reason.FUNDS),
        (refuse("51016"), OrderState.UNKNOWN, DUPLICATE),
        (refuse("50011"), OrderState.UNKNOWN, "unlisted:50011"),
        (refuse("59999"), OrderState.UNKNOWN, "unlisted:59999"),
        (lost, OrderState.UNKNOWN, nobody),
        (page, OrderState.UNKNOWN, nobody),
        (broken, OrderState.UNKNOWN, None),
    ]

    async def work() -> None:
        stub = OkxStub()
        async with opened(stub) as (venue, listing):
            for reply, state, code in cases:
                stub.reply, sent = reply, len(placed(stub))
                item = order(listing)
                update = await venue.submit(item)
                assert update.state is state and code in (None, update.code)
                again = await venue.submit(item)
                assert (again.state, again.code) == (OrderState.UNKNOWN, DUPLICATE)
                assert len(placed(stub)) == sent + 1

    run(work())


def test_announced_maintenance_is_told() -> None:
    window = {"begin": "1795269600000", "end": "1795273200000", "state": "scheduled"}

    async def work() -> None:
        async with opened(OkxStub(maintenance=[window])) as (venue, _), heard(venue) as news:

            def told() -> list[object]:
                return [x.maintenance for x in news if isinstance(x, VenueStatus) and x.maintenance]

            await until(lambda: bool(told()), "the window")
            assert told() == [((1_795_269_600 * 10**9, 1_795_273_200 * 10**9),)]

    run(work())


def test_an_immediate_order_is_told_as_it_ended_and_its_execution_once() -> None:
    fill = {
        "state": "filled", "accFillSz": "0.05", "fillSz": "0.05", "fillPx": "60000", "tradeId": "77",
        "fillFee": "-0.015", "fillFeeCcy": "USDT", "fillTime": "1746947317402", "execType": "T",
    }  # fmt: skip

    async def work() -> None:
        stub = OkxStub(news=[{"state": "live"}, fill, fill])
        async with opened(stub) as (venue, listing), heard(venue) as news:
            update = await venue.submit(order(listing, tif=TimeInForce.IOC))
            assert (update.state, update.filled) == (OrderState.FILLED, Decimal("0.05"))
            await until(lambda: any(isinstance(x, TradeReport) for x in news), "the execution")
            trades = [x for x in news if isinstance(x, TradeReport)]
            assert len(trades) == 1 and trades[0].fill.fee == Decimal("0.015")
            states = [x.state for x in news if isinstance(x, OrderUpdate)]
            assert states == [OrderState.OPEN, OrderState.FILLED]

    run(work())


def test_a_post_only_order_that_would_take_is_rejected() -> None:
    async def work() -> None:
        async with opened(OkxStub(news=[{"state": "canceled", "cancelSource": "31"}])) as (venue, listing):
            update = await venue.submit(order(listing, post_only=True))
            assert (update.state, update.code) == (OrderState.REJECTED, Reason.POST_ONLY)

    run(work())


def test_without_news_the_order_is_asked_for() -> None:
    async def work() -> None:
        stub = OkxStub()
        async with opened(stub) as (venue, listing):
            item = order(listing, tif=TimeInForce.IOC)
            sending = asyncio.create_task(venue.submit(item))
            await until(lambda: bool(stub.orders), "the order")
            stub.orders[item.client_id.replace("-", "Z")] |= {"state": "canceled"}
            assert (await sending).state is OrderState.CANCELLED

    run(work())


def test_an_order_that_nobody_knows_is_none_and_a_cancel_of_it_claims_nothing() -> None:
    async def work() -> None:
        async with opened(OkxStub()) as (venue, _):
            unknown = client_order_id("desk", 999, 0, 0)
            assert await venue.order(unknown) is None
            assert (await venue.cancel(unknown)).state is OrderState.UNKNOWN

    run(work())


def test_the_mass_cancel_goes_on_until_nothing_is_open() -> None:
    async def work() -> None:
        stub = OkxStub(news=[{"state": "live"}])
        async with opened(stub) as (venue, listing):
            for _ in range(25):
                await venue.submit(order(listing))
            await venue.cancel_all()
            assert {o["state"] for o in stub.orders.values()} == {"canceled"}
            batches = [body for name, body in stub.calls if name == "trade/cancel-batch-orders"]
            assert [len(b) for b in batches] == [20, 5]

    run(work())


def test_a_venue_that_never_cancels_is_ambiguous() -> None:
    class Stubborn(OkxStub):
        def _data(self, name: str, query: dict[str, str], body: Any) -> list[Any]:
            return [] if name == "trade/cancel-batch-orders" else OkxStub._data(self, name, query, body)

    async def work() -> None:
        async with opened(Stubborn(news=[{"state": "live"}])) as (venue, listing):
            await venue.submit(order(listing))
            with pytest.raises(Ambiguous):
                await venue.cancel_all()

    run(work())


def test_the_dead_mans_timer_is_in_seconds() -> None:
    async def work() -> None:
        stub = OkxStub()
        async with opened(stub) as (venue, _):
            await venue.refresh()
            assert ("trade/cancel-all-after", {"timeOut": "45"}) in stub.calls

    run(work())


def test_marks_come_from_books_and_marks_and_a_cut_is_told() -> None:
    async def work() -> None:
        stub = OkxStub()
        async with opened(stub) as (venue, listing), heard(venue) as news:
            venue.watch(Universe.of([listing]), [listing.symbol])
            await until(lambda: len(stub.sockets) == 2, "the public stream")
            await asyncio.sleep(0.1)
            arg, now_ms = {"instId": listing.symbol}, time.time_ns() // 10**6
            book = {
                "asks": [["60001", "2", "0", "1"]],
                "bids": [["60000", "3", "0", "1"]],
                "ts": str(now_ms),
            }
            await stub.tell(
                {"arg": {"channel": "books", **arg}, "action": "snapshot", "data": [book | {"seqId": 5}]}
            )
            mark = {"instId": listing.symbol, "markPx": "60000.5", "ts": str(now_ms - 2)}
            await stub.tell({"arg": {"channel": "mark-price", **arg}, "data": [mark]})
            await until(lambda: any(isinstance(x, Marks) and x.mark[0] > 0 for x in news), "marks")
            marks = [x for x in news if isinstance(x, Marks)][-1]
            assert (marks.bid[0], marks.ask_size[0], marks.mark[0]) == (60000.0, 2.0, 60000.5)
            assert marks.venue_ns[0] == now_ms * 10**6
            for socket in list(stub.sockets):
                assert socket._req is not None and socket._req.transport is not None
                socket._req.transport.abort()
            await until(lambda: any(isinstance(x, VenueStatus) and x.link is Link.DOWN for x in news), "down")
            await until(
                lambda: [x for x in news if isinstance(x, VenueStatus)][-1].link is Link.UP, "up again", 5.0
            )

    run(work())


@asynccontextmanager
async def heard(venue: CexVenue) -> AsyncIterator[list[News]]:
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
