"""OKX's adapter on a loopback exchange: the trials of every venue, and what goes wrong on the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from pricing.contracts import Listing, Option, Side
from pricing.market import Market, Marks
from pricing.universe import Universe
from tests.exchanges.faults import Act
from tests.exchanges.okx import okx
from tests.exchanges.server import Host, serve
from tests.venues.deribit_desk import hearing, until
from tests.venues.trials import TRIALS, Stage, perform
from venues.cex import CexSettings, CexVenue
from venues.cex_client import CexTerms
from venues.cex_okx import Okx
from venues.net import Hosts
from venues.orders import Order, OrderState, TimeInForce, client_order_id
from venues.secrets import Secret

SWAP = "BTC-USDT-SWAP"
QUICK = CexSettings(news_s_max=0.5, pause_s_first=0.02, pause_s_most=0.1, start_s_max=5.0)
_numbers = iter(range(1, 1000))


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 20))


@asynccontextmanager
async def opened(
    answer_s_max: float = 2.0, pause_ms: float = 1.0
) -> AsyncIterator[tuple[CexVenue, Host, Listing]]:
    dialect, _ = okx()
    key = next(iter(dialect.exchange.keys.values()))
    secrets = {"key": Secret(key.key), "secret": Secret(key.secret), "passphrase": Secret(key.passphrase)}
    async with serve(dialect) as host:
        urls = {"rest": host.url, "ws": f"{host.ws_url}/ws/v5"}
        hosts = Hosts.of([host.url])
        terms = CexTerms("okx", hosts, urls, answer_s_max=answer_s_max, pause_ms=pause_ms)
        venue = CexVenue(Okx(), terms, secrets, QUICK)
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


@pytest.mark.parametrize("trial", TRIALS, ids=lambda trial: trial.__name__)
def test_okx_passes(trial: Callable[[Stage], Awaitable[None]]) -> None:
    async def work() -> None:
        async with opened() as (venue, host, listing):

            def price(side: Side, marketable: bool) -> Decimal:
                return price_of(listing, host, side, marketable)

            await perform(trial, Stage(venue, listing, Decimal(1), price, patience_s=4.0))

    run(work())


@pytest.mark.parametrize("act", [Act.CUT_AFTER, Act.MUTE_AFTER, Act.CUT_JSON, Act.ERROR_AFTER, Act.HTML])
def test_an_order_whose_answer_is_lost_is_unknown_found_by_its_id_and_never_sent_again(act: Act) -> None:
    async def work() -> None:
        async with opened(answer_s_max=0.4) as (venue, host, listing):
            host.faults.add(act, "*trade/order", status=502, seconds=1.0)
            item = order(listing, host, marketable=True)
            assert (await venue.submit(item)).state is OrderState.UNKNOWN
            known = await venue.order(item.client_id)
            assert known is not None and known.state is OrderState.FILLED and known.filled == 1
            await venue.submit(item)
            sent = [c for c in host.requests if c.verb == "POST" and c.path.endswith("trade/order")]
            assert len(sent) == 1

    run(work())


def test_an_option_is_counted_in_contracts_of_a_hundredth_of_a_coin() -> None:
    async def work() -> None:
        async with opened() as (venue, host, _):
            options = [x for x in await venue.listings() if isinstance(x.contract, Option)]
            option = next(x for x in options if x.contract.underlying == "BTC")
            assert (option.size, option.unit) == (Decimal("0.01"), "contracts")
            best = host.exchange.books[option.symbol].asks.best()
            assert best is not None
            item = Order(
                client_order_id("desk", next(_numbers), 0, 0),
                option,
                Side.BUY,
                Decimal(3),
                option.quantize_price(best, Side.SELL),
                TimeInForce.IOC,
            )
            assert (await venue.submit(item)).state is OrderState.FILLED
            assert (await venue.account(0)).positions == {option.symbol: Decimal(3)}

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


def test_a_cancel_does_not_stand_behind_questions() -> None:
    async def work() -> None:
        async with opened(pause_ms=10) as (venue, host, listing):
            item = order(listing, host)
            assert (await venue.submit(item)).state is OrderState.OPEN
            questions = [asyncio.create_task(venue.order(item.client_id)) for _ in range(60)]
            await asyncio.sleep(0)
            await venue.cancel_all()
            assert sum(not q.done() for q in questions) > 30
            assert host.exchange.open_orders("desk") == []
            for question in questions:
                question.cancel()
            await asyncio.gather(*questions, return_exceptions=True)

    run(work())
