"""What a venue lists otherwise while we are there is heard of, and no order leaves in the old contracts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal

import pytest

from pricing.contracts import Fees, Future, Listing, Perpetual, TickSteps
from tests.exchanges.deribit import deribit
from tests.exchanges.okx import okx
from tests.exchanges.server import serve
from tests.venues.cex_desk import QUICK, Desk, opened, run
from tests.venues.deribit_desk import QUICK as DERIBIT_QUICK
from tests.venues.deribit_desk import hearing, until
from venues import cex_okx
from venues.deribit import DeribitTerms, DeribitVenue
from venues.orders import Link, OrderState, VenueStatus
from venues.relisting import Relisting

D = Decimal
SYMBOL = "BTC-USDT-SWAP"
SETTINGS = replace(QUICK, listings_s=0.05)


@asynccontextmanager
async def on_okx() -> AsyncIterator[tuple[Desk, list[VenueStatus]]]:
    """An adapter that asks for the list all the time, and what it tells of it."""
    exchange = okx()[0]
    async with opened(cex_okx.Okx(), exchange, cex_okx.addresses, SYMBOL, settings=SETTINGS) as desk:
        news: list[VenueStatus] = []

        async def hear() -> None:
            async for word in desk.venue.stream():
                if isinstance(word, VenueStatus) and word.gone is not None:
                    news.append(word)

        hearing = asyncio.create_task(hear())
        try:
            yield desk, news
        finally:
            hearing.cancel()


async def told(news: list[VenueStatus], times: int) -> VenueStatus:
    """The last of so many words of it."""
    async with asyncio.timeout(5.0):
        while len(news) < times:
            await asyncio.sleep(0.01)
    return news[times - 1]


def test_another_contract_value_is_told_and_no_order_leaves_in_the_old() -> None:
    async def work() -> None:
        async with on_okx() as (desk, news):
            exchange = desk.host.exchange
            instrument = exchange.instruments[SYMBOL]
            exchange.list_instrument(replace(instrument, multiplier=instrument.multiplier * 10))
            word = await told(news, 1)
            (listing,) = word.relisted or ()
            assert (listing.symbol, listing.size) == (SYMBOL, instrument.multiplier * 10)
            assert listing.fees == desk.listing.fees, "the account's own stay"
            update = await desk.venue.submit(desk.order("10"))
            assert (update.state, update.code) == (OrderState.REJECTED, "not_listed")
            assert await desk.venue.resting() == 0

    run(work())


def test_another_lot_is_told_and_an_order_off_it_never_leaves() -> None:
    async def work() -> None:
        async with on_okx() as (desk, news):
            exchange = desk.host.exchange
            instrument = exchange.instruments[SYMBOL]
            exchange.list_instrument(replace(instrument, lot=D(3), minimum=D(3)))
            (listing,) = (await told(news, 1)).relisted or ()
            assert (listing.lot, listing.minimum) == (D(3), D(3))
            update = await desk.venue.submit(desk.order("10"))
            assert (update.state, update.code) == (OrderState.REJECTED, "quantity_not_in_lots")

    run(work())


def test_what_is_listed_no_more_is_told_and_told_when_it_is_back() -> None:
    async def work() -> None:
        async with on_okx() as (desk, news):
            exchange = desk.host.exchange
            instrument = exchange.instruments.pop(SYMBOL)
            assert (await told(news, 1)).gone == (SYMBOL,)
            exchange.instruments[SYMBOL] = instrument
            assert (await told(news, 2)).gone == ()

    run(work())


def test_the_same_list_is_no_news() -> None:
    async def work() -> None:
        async with on_okx() as (_, news):
            await asyncio.sleep(0.4)
            assert not news

    run(work())


def test_deribit_is_asked_again_too() -> None:
    async def work() -> None:
        dialect, _ = deribit()
        async with serve(dialect) as host:
            terms = DeribitTerms(url=host.ws_url, start_s_max=5.0, session=DERIBIT_QUICK, listings_s=0.05)
            venue = DeribitVenue(terms)
            await venue.start()
            try:
                async with hearing(venue) as news:
                    exchange = host.exchange
                    perpetual = exchange.instruments["BTC-PERPETUAL"]
                    exchange.list_instrument(replace(perpetual, lot=D(20), minimum=D(20)))
                    await until(lambda: any(_lots(word) == (D(20),) for word in news), "another lot")
            finally:
                await venue.close()

    run(work())


def _lots(word: object) -> tuple[Decimal, ...]:
    """The lots of what it tells of."""
    return tuple(x.lot for x in word.relisted or ()) if isinstance(word, VenueStatus) else ()


def _listing(symbol: str, expiry_ns: int = 0, lot: str = "1") -> Listing:
    contract = Future("BTC", "USDT", False, expiry_ns) if expiry_ns else Perpetual("BTC", "USDT", False)
    fees = Fees(D(0), D("0.001"))
    return Listing("v", symbol, contract, TickSteps.parse("0:0.1"), D(lot), D(lot), fees)


@pytest.mark.parametrize(("now_ns", "gone"), [(99, ("DATED",)), (100, ()), (101, ())])
def test_an_expiry_is_no_delisting(now_ns: int, gone: tuple[str, ...]) -> None:
    book = Relisting()
    both = {"P": _listing("P"), "DATED": _listing("DATED", 100)}
    assert book.news("v", Link.UP, both, 1) is None
    word = book.news("v", Link.UP, {"P": both["P"]}, now_ns)
    assert (word.gone if word is not None else ()) == gone


def test_fees_are_no_news_and_a_lot_is_told_once() -> None:
    book = Relisting()
    old = _listing("P")
    assert book.news("v", Link.UP, {"P": old}, 1) is None
    assert book.news("v", Link.UP, {"P": replace(old, fees=Fees(D(0), D(0)))}, 2) is None
    new = replace(old, lot=D(2))
    word = book.news("v", Link.UP, {"P": new}, 3)
    assert word is not None and word.relisted == (new,) and word.gone == ()
    assert book.news("v", Link.UP, {"P": new}, 4) is None
