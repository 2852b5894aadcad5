"""OKX's adapter on a loopback exchange: units, marks, what goes wrong on the way (trials: test_products)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import ccxt
import numpy as np
import pytest

from pricing.contracts import Listing, Option, Side
from pricing.market import Market, Marks
from pricing.universe import Universe
from tests.exchanges.faults import Act
from tests.exchanges.okx import okx
from tests.exchanges.server import Host, serve
from tests.exchanges.words import Side as There
from tests.exchanges.words import TimeInForce as Force
from tests.venues.deribit_desk import hearing, until
from tests.venues.planting import secrets_at
from venues.cex import CexSettings, CexVenue
from venues.cex_client import CexTerms
from venues.cex_okx import Okx, addresses
from venues.errors import Malformed, Refused, VenueError
from venues.net import Hosts
from venues.orders import Order, OrderState, TimeInForce, client_order_id
from venues.wire.rejects import Reason

SWAP = "BTC-USDT-SWAP"
#: Orders in a page of the venue.
PAGE = 100
QUICK = CexSettings(news_s_max=0.5, pause_s_first=0.02, pause_s_most=0.1, start_s_max=5.0)
_numbers = iter(range(1, 1000))


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 20))


@asynccontextmanager
async def opened(
    answer_s_max: float = 2.0, pause_ms: float = 1.0, speaks: Okx | None = None
) -> AsyncIterator[tuple[CexVenue, Host, Listing]]:
    dialect, _ = okx()
    secrets = secrets_at(dialect.exchange, "okx")
    async with serve(dialect) as host:
        urls = {"rest": host.url, "ws": f"{host.ws_url}/ws/v5"}
        hosts = Hosts.of([host.url])
        terms = CexTerms("okx", hosts, urls, answer_s_max=answer_s_max, pause_ms=pause_ms)
        venue = CexVenue(speaks or Okx(), terms, secrets, QUICK)
        await venue.start()
        try:
            yield venue, host, next(x for x in await venue.listings() if x.symbol == SWAP)
        finally:
            await venue.close()


def price_of(listing: Listing, host: Host, side: Side, marketable: bool) -> Decimal:
    up = (side is Side.BUY) == marketable
    return listing.quantize_price(
        host.exchange.marks[SWAP].price * (Decimal("1.01") if up else Decimal("0.99")), side
    )


def order(listing: Listing, host: Host, *, marketable: bool = False, **terms: Any) -> Order:
    """An order of one contract with an id of its own."""
    tif = TimeInForce.IOC if marketable else TimeInForce.GTC
    client_id = client_order_id("desk", next(_numbers), 0, 0)
    price = price_of(listing, host, Side.BUY, marketable)
    return Order(client_id, listing, Side.BUY, Decimal(1), price, tif, **terms)


@pytest.mark.parametrize(
    "act", [Act.CUT_AFTER, Act.MUTE_AFTER, Act.CUT_JSON, Act.ERROR_AFTER, Act.HTML, Act.EMPTY]
)
def test_an_order_whose_answer_is_lost_is_unknown_found_by_its_id_and_never_sent_again(act: Act) -> None:
    async def work() -> None:
        async with opened(answer_s_max=1.0) as (venue, host, listing):
            host.faults.add(act, "*trade/order", status=502, seconds=1.0)
            item = order(listing, host, marketable=True)
            assert (await venue.submit(item)).state is OrderState.UNKNOWN
            known = await venue.order(item.client_id)
            assert known is not None and known.state is OrderState.FILLED and known.filled == 1
            await venue.submit(item)
            sent = [c for c in host.requests if c.verb == "POST" and c.path.endswith("trade/order")]
            assert len(sent) == 1

    run(work())


def test_a_lookup_that_is_answered_with_nothing_is_no_word_about_the_order() -> None:
    async def work() -> None:
        async with opened() as (venue, host, listing):
            item = order(listing, host)
            assert (await venue.submit(item)).state is OrderState.OPEN
            host.faults.add(Act.EMPTY, "GET trade/order")
            with pytest.raises(Malformed):
                await venue.order(item.client_id)
            host.faults.add(Act.EMPTY, "GET trade/order", times=100)
            assert (await venue.cancel(item.client_id)).state is OrderState.UNKNOWN

    run(work())


class Noting(Okx):
    """Which client asks for what."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: dict[str, set[int]] = {"windows": set(), "time": set()}

    async def maintenance(self, client: Any) -> tuple[tuple[int, int], ...]:
        self.asked["windows"].add(id(client))
        return await super().maintenance(client)

    async def time_ns(self, client: Any) -> int:
        self.asked["time"].add(id(client))
        return await super().time_ns(client)


def test_announced_windows_are_asked_for_beside_the_questions() -> None:
    """The venue takes one such question in five seconds: no other may stand behind it."""

    async def work() -> None:
        noting = Noting()
        async with opened(speaks=noting) as (venue, host, _):
            await until(lambda: any("system/status" in c.path for c in host.requests), "it is asked", 5.0)
            await venue.time_ns()
            assert sum("system/status" in c.path for c in host.requests) == 1
        windows, questions = noting.asked["windows"], noting.asked["time"]
        assert len(windows) == len(questions) == 1 and not windows & questions

    run(work())


def test_marks_of_a_swap_and_an_option_come_with_depth_vol_and_index() -> None:
    async def work() -> None:
        async with opened() as (venue, host, swap), hearing(venue) as news:
            listings = await venue.listings()
            option = next(x for x in listings if isinstance(x.contract, Option))
            universe = Universe.of([swap, option])
            venue.watch(universe, [swap.symbol, option.symbol])
            market = Market.empty(universe)

            def known() -> bool:
                nonlocal market
                while news:
                    item = news.pop(0)
                    market = market.apply(item) if isinstance(item, Marks) else market
                columns = (market.bid, market.ask, market.mark, market.index)
                return bool(all(np.isfinite(c).all() for c in columns) and market.mark_iv[1] > 0)

            await until(known, "every number of both", 5.0)
            assert market.bid[0] < float(host.exchange.marks[swap.symbol].price) < market.ask[0]
            assert set(market.depth) == {0, 1}

    run(work())


def test_a_frame_that_breaks_off_is_followed_by_a_new_connection_and_not_by_silence() -> None:
    async def work() -> None:
        async with opened() as (venue, host, swap), hearing(venue) as news:
            venue.watch(Universe.of([swap]), [swap.symbol])
            await until(lambda: any(isinstance(x, Marks) for x in news), "it is quoted", 5.0)
            host.faults.add(Act.BREAK, "books*")
            joins = len([c for c in host.requests if c.operation == "subscribe"])
            host.exchange.quote(swap.symbol, [(Decimal(60_000), Decimal(5))], [(Decimal(60_010), Decimal(5))])
            await until(
                lambda: len([c for c in host.requests if c.operation == "subscribe"]) > joins,
                "joined anew",
                3.0,
            )
            await until(lambda: [x.bid[0] for x in news if isinstance(x, Marks)][-1] == 60_000, "whole", 3.0)

    run(work())


def test_channels_are_joined_and_left_many_in_one_message() -> None:
    """One by one they would take a tenth of a second each at the venue's pace, and more requests than it
    takes an hour."""

    async def work() -> None:
        async with opened(pause_ms=30.0) as (venue, host, _), hearing(venue) as news:
            options = [x for x in await venue.listings() if isinstance(x.contract, Option)]
            symbols = [x.symbol for x in options]

            def known() -> bool:
                return {row for x in news if isinstance(x, Marks) for row in x.depth} == set(
                    range(len(symbols))
                )

            def args(verb: str) -> list[int]:
                return [len(c.params["args"]) for c in host.requests if c.operation == verb]

            venue.watch(Universe.of(options), symbols)
            await until(known, "a book of each", 5.0)
            venue.watch(Universe.of(options), [])
            await until(lambda: sum(args("unsubscribe")) >= 2 * len(symbols), "all are left", 5.0)
            assert sum(args("subscribe")) >= 2 * len(symbols)
            every = args("subscribe") + args("unsubscribe")
            assert max(every) <= 50 and len(every) <= sum(every) / 50 + 4

    run(work())


def test_an_order_is_found_behind_a_page_of_newer_ones_by_who_never_sent_it() -> None:
    async def work() -> None:
        async with opened() as (venue, host, listing):
            filled = order(listing, host, marketable=True)
            assert (await venue.submit(filled)).state is OrderState.FILLED
            exchange = host.exchange
            account = next(iter(exchange.keys.values())).account
            far = price_of(listing, host, Side.BUY, marketable=False)
            for _ in range(PAGE + 5):  # immediate, and nobody to meet: they end at once
                exchange.submit(account, SWAP, There.BUY, Decimal(1), far, time_in_force=Force.IOC)
            terms = CexTerms("okx", Hosts.of([host.url]), addresses(host.url), pause_ms=1.0)
            again = CexVenue(Okx(), terms, secrets_at(exchange, "okx"), QUICK)
            try:
                await again.start()
                found = await again.order(filled.client_id)
                assert found is not None and (found.state, found.filled) == (OrderState.FILLED, Decimal(1))
            finally:
                await again.close()

    run(work())


class Amends(Okx):
    """An amendment is refused by a code, in the library's words for it."""

    def __init__(self, code: str) -> None:
        super().__init__()
        self._code = code

    async def amend(self, *asked: Any) -> None:
        said = {"sCode": self._code, "sMsg": "no", "ordId": ""}
        raise ccxt.ExchangeError(f"okx {json.dumps({'code': '1', 'msg': '', 'data': [said]})}")


class Ends(Amends):
    """The order ends a moment before its amendment arrives."""

    host: Host

    async def amend(self, *asked: Any) -> None:
        exchange = self.host.exchange
        exchange.cancel_all(next(iter(exchange.keys.values())).account)
        await super().amend(*asked)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("51502", Reason.FUNDS),
        ("51506", Reason.OTHER),
        ("51508", Reason.CLOSED),
        ("51511", Reason.POST_ONLY),
        ("51513", Reason.OTHER),
        ("51521", Reason.REDUCE_ONLY),
    ],
)
def test_an_amendment_that_okx_refuses_is_told_as_refused_and_the_order_stands(
    code: str, reason: Reason
) -> None:
    """By the meanings in OKX's list of error codes; without `cxlOnFail` nothing becomes of the order."""

    async def work() -> None:
        async with opened(speaks=Amends(code)) as (venue, host, listing):
            item = order(listing, host)
            assert (await venue.submit(item)).state is OrderState.OPEN
            with pytest.raises(Refused) as refused:
                await venue.amend(item.client_id, item.price, 2 * item.quantity)
            assert refused.value.code == reason
            known = await venue.order(item.client_id)
            assert known is not None and (known.state, known.quantity) == (OrderState.OPEN, item.quantity)

    run(work())


@pytest.mark.parametrize("code", ["51503", "51509", "51510"])
def test_an_amendment_of_what_is_over_at_okx_tells_how_it_ended(code: str) -> None:
    async def work() -> None:
        speaks = Ends(code)
        async with opened(speaks=speaks) as (venue, host, listing):
            speaks.host = host
            item = order(listing, host)
            assert (await venue.submit(item)).state is OrderState.OPEN
            update = await venue.amend(item.client_id, item.price, 2 * item.quantity)
            assert (update.state, update.quantity) == (OrderState.CANCELLED, item.quantity)

    run(work())


def test_a_timer_that_a_check_has_just_set_is_set_again_when_its_turn_comes() -> None:
    """OKX takes `cancel-all-after` once a second: `doctor` sets it, and the engine that begins behind it."""

    async def work() -> None:
        async with opened() as (venue, host, _):
            timer = "trade/cancel-all-after"
            await venue.refresh()
            await venue.refresh()
            assert venue.capabilities.dead_man_s == 45.0
            assert host.count(timer) == 3  # the second of them came too soon
            host.faults.add(Act.RATE, timer, times=2)
            with pytest.raises(VenueError, match="TOO_FAST"):
                await venue.refresh()
            assert host.count(timer) == 5 and venue.capabilities.dead_man_s is None

    run(work())
