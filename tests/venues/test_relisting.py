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
from tests.exchanges.server import Host, serve
from tests.venues.cex_desk import QUICK, Desk, opened, run
from tests.venues.deribit_desk import QUICK as DERIBIT_QUICK
from tests.venues.deribit_desk import hearing, listing_of, order, until
from tests.venues.deribit_desk import opened as opened_deribit
from venues import cex_okx, list_pace
from venues.base import News
from venues.cex import CexSettings
from venues.deribit import DeribitTerms, DeribitVenue
from venues.orders import Link, OrderState, OrderUpdate, VenueStatus
from venues.relisting import Relisting

D = Decimal
SYMBOL = "BTC-USDT-SWAP"
SETTINGS = replace(QUICK, listings_s=0.05)


@asynccontextmanager
async def on_okx(settings: CexSettings = SETTINGS) -> AsyncIterator[tuple[Desk, list[VenueStatus]]]:
    """An adapter that asks for the list all the time, and what it tells of it."""
    exchange = okx()[0]
    async with opened(cex_okx.Okx(), exchange, cex_okx.addresses, SYMBOL, settings=settings) as desk:
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


def test_an_order_refused_for_its_form_has_the_list_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the new lot would be known at the next round: here never, in life after minutes of refusals."""
    monkeypatch.setattr(list_pace, "BETWEEN_S", 0.05)

    async def work() -> None:
        async with on_okx(replace(QUICK, listings_s=3600.0)) as (desk, news):
            exchange = desk.host.exchange
            instrument = exchange.instruments[SYMBOL]
            exchange.list_instrument(replace(instrument, lot=D(3), minimum=D(3)))
            update = await desk.venue.submit(desk.order("10"))
            assert (update.state, update.code) == (OrderState.REJECTED, "quantity_not_in_lots")
            (listing,) = (await told(news, 1)).relisted or ()
            assert listing.lot == D(3)

    run(work())


def test_a_tick_that_deribit_refuses_as_a_wrong_argument_has_the_list_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(list_pace, "BETWEEN_S", 0.05)

    async def work() -> None:
        async with opened_deribit() as (venue, host, _):
            listing = await listing_of(venue)
            perpetual = host.exchange.instruments[listing.symbol]
            host.exchange.list_instrument(replace(perpetual, ticks=((D(0), D(50)),)))
            item = replace(order(listing), price=D("58000.5"))
            update = await venue.submit(item)
            assert (update.state, update.code) == (OrderState.REJECTED, "arguments_refused")
            await until(lambda: venue.known[listing.symbol].tick_steps.ticks == (D(50),), "the new tick")

    run(work())


@pytest.mark.parametrize(
    ("code", "due"),
    [
        ("price_not_on_tick", True),
        ("below_minimum", True),
        ("market_closed", False),
        ("above_maximum", False),
    ],
)
def test_only_what_speaks_of_the_list_has_it_asked_for(
    code: str, due: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(list_pace, "BETWEEN_S", 0.0)

    async def work() -> None:
        pace = list_pace.ListPace(3600.0)
        pace.heard(OrderUpdate("hdesk-1-0-0", OrderState.REJECTED, code=code))
        waiting = asyncio.create_task(pace.wait())
        for _ in range(20):
            await asyncio.sleep(0)
        assert waiting.done() is due
        waiting.cancel()

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


def test_a_row_that_cannot_be_read_is_no_delisting_and_told_once() -> None:
    async def work() -> None:
        async with on_okx() as (desk, news):
            exchange = desk.host.exchange
            instrument = exchange.instruments[SYMBOL]
            exchange.list_instrument(replace(instrument, lot=D(0)))
            word = await told(news, 1)
            assert (word.gone, word.relisted, word.events) == ((), (), ("listing_unread",))
            assert SYMBOL in word.text
            assert desk.venue.known[SYMBOL] == desk.listing and SYMBOL in desk.venue.refused
            exchange.list_instrument(replace(instrument, lot=D(3), minimum=D(3)))
            (listing,) = (await told(news, 2)).relisted or ()
            assert listing.lot == D(3)

    run(work())


def test_the_same_list_is_no_news() -> None:
    async def work() -> None:
        async with on_okx() as (_, news):
            await asyncio.sleep(0.4)
            assert not news

    run(work())


@asynccontextmanager
async def on_deribit() -> AsyncIterator[tuple[DeribitVenue, Host, list[News]]]:
    """The adapter of a venue whose list is asked for all the time, and its news."""
    dialect, _ = deribit()
    async with serve(dialect) as host:
        terms = DeribitTerms(url=host.ws_url, start_s_max=5.0, session=DERIBIT_QUICK, listings_s=0.05)
        venue = DeribitVenue(terms)
        await venue.start()
        try:
            async with hearing(venue) as news:
                yield venue, host, news
        finally:
            await venue.close()


def test_deribit_is_asked_again_too() -> None:
    async def work() -> None:
        async with on_deribit() as (_, host, news):
            perpetual = host.exchange.instruments["BTC-PERPETUAL"]
            host.exchange.list_instrument(replace(perpetual, lot=D(20), minimum=D(20)))
            await until(lambda: any(_lots(word) == (D(20),) for word in news), "another lot")

    run(work())


def test_deribits_row_that_cannot_be_read_keeps_its_terms() -> None:
    async def work() -> None:
        async with on_deribit() as (venue, host, news):
            before = venue.known["BTC-PERPETUAL"]
            perpetual = host.exchange.instruments["BTC-PERPETUAL"]
            host.exchange.list_instrument(replace(perpetual, minimum=D(0)))
            await until(lambda: any(_events(word) for word in news), "that it cannot be read")
            assert all(word.gone == () for word in news if isinstance(word, VenueStatus) and _events(word))
            assert venue.known["BTC-PERPETUAL"] == before and "BTC-PERPETUAL" in venue.refused

    run(work())


def _events(word: object) -> bool:
    """Whether it tells of what cannot be read."""
    return isinstance(word, VenueStatus) and "listing_unread" in word.events


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


def test_what_cannot_be_read_is_told_anew_after_it_could_and_what_is_gone_stays_so() -> None:
    book, old = Relisting(), _listing("P")
    why = {"P": "MALFORMED: lot"}
    assert book.news("v", Link.UP, {"P": old}, 1, why) is None
    assert [_events(book.news("v", Link.UP, {}, at, why)) for at in (2, 3)] == [True, False]
    assert book.news("v", Link.UP, {"P": old}, 4) is None
    assert _events(book.news("v", Link.UP, {}, 5, why))
    word = book.news("v", Link.UP, {}, 6)
    assert word is not None and word.gone == ("P",) and word.events == ()
    assert book.news("v", Link.UP, {}, 7, why) is None and book.gone == ("P",)
