"""The paper venue through the trials that every venue must pass, and its shell on several clocks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal

import pytest

from pricing.contracts import Listing, Side
from pricing.market import Marks
from tests.venues.paper_desk import (
    BUY,
    CALL,
    EIGHT,
    HOUR,
    IOC,
    LINEAR,
    MS,
    PERP,
    PUT,
    QUOTES,
    SECOND,
    SELL,
    START,
    D,
    latency,
    marks,
    opened,
    order,
)
from tests.venues.trials import TRIALS, Stage, perform
from venues.base import News, Venue
from venues.errors import Ambiguous, Unreachable
from venues.orders import Order, OrderState, OrderUpdate
from venues.paper import LoopClock, PaperVenue, TapeClock
from venues.paper_faults import Fault, FaultKind
from venues.paper_feed import MarketTrade
from venues.paper_orders import Code


def price(side: Side, marketable: bool) -> Decimal:
    if marketable:
        return D(60_020) if side is BUY else D(59_990)
    return D(59_000) if side is BUY else D(61_000)


@pytest.mark.parametrize("trial", TRIALS, ids=lambda trial: trial.__name__)
def test_the_paper_venue_passes(trial: Callable[[Stage], Awaitable[None]]) -> None:
    async def run() -> None:
        venue = PaperVenue(opened(latency=latency(1, 1, 1)), LoopClock(START))
        venue.start()
        await perform(trial, Stage(venue, PERP, D(100), price))

    asyncio.run(run())


class Leaping:
    """The event loop's time, and leaps of it."""

    def __init__(self, start_ns: int) -> None:
        self._clock, self._ahead_ns = LoopClock(start_ns), 0

    def now_ns(self) -> int:
        return self._clock.now_ns() + self._ahead_ns

    async def sleep_until(self, at_ns: int) -> None:
        await self._clock.sleep_until(at_ns - self._ahead_ns)

    def leap_to(self, at_ns: int) -> None:
        self._ahead_ns += at_ns - self.now_ns()


def other_side(side: Side) -> Side:
    return SELL if side is BUY else BUY


def whole_stage(listing: Listing) -> Stage:
    """A listing of the paper venue with everything that a trial may ask for."""
    clock, exchange = Leaping(START), opened(latency=latency(1, 1, 1))
    venue, quote = PaperVenue(exchange, clock), QUOTES[listing.symbol]
    venue.start()

    def touch(side: Side) -> tuple[Decimal, Decimal]:
        levels = quote.asks if side is BUY else quote.bids
        near = (quote.ask, quote.ask_size) if side is BUY else (quote.bid, quote.bid_size)
        price, size = levels[0] if levels else near
        return D(str(price)), D(str(size))

    def price(side: Side, marketable: bool) -> Decimal:
        up = (side is BUY) == marketable
        near = touch(side if marketable else other_side(side))[0]
        return listing.quantize_price(near * (D("1.05") if up else D("0.95")), side)

    def others(order: Order, quantity: Decimal) -> None:
        # Through its price: behind the last level shown nobody knows what stands before it.
        through = order.price - order.side.sign * listing.tick_steps.at(order.price)
        venue.feed(MarketTrade(listing.symbol, other_side(order.side), through, quantity, clock.now_ns()))

    def person(order: Order, price: Decimal, quantity: Decimal) -> None:
        assert isinstance(exchange.core.amend(order.client_id, price, quantity), OrderUpdate)
        venue.feed(MarketTrade(listing.symbol, BUY, D(1), D(0), clock.now_ns()))  # let time go on

    @asynccontextmanager
    async def again() -> AsyncIterator[Venue]:
        other = PaperVenue(exchange, clock)
        other.start()
        try:
            yield other
        finally:
            await other.close()

    def settle() -> Decimal:
        clock.leap_to(EIGHT + SECOND)
        venue.turn()
        return D(60_000)  # the index, which has not moved

    return Stage(
        venue,
        listing,
        max(2 * listing.lot, 2 * listing.minimum),
        price,
        touch=touch,
        others=others,
        again=again,
        settle=settle if listing.expiry_ns else None,
        truth=lambda: exchange.core.account.positions().get(listing.symbol, D(0)),
        person=person,
    )


@pytest.mark.parametrize("listing", [PERP, LINEAR, CALL, PUT], ids=lambda listing: listing.symbol)
@pytest.mark.parametrize("trial", TRIALS, ids=lambda trial: trial.__name__)
def test_the_paper_venue_passes_with_each_product_and_others_in_its_market(
    trial: Callable[[Stage], Awaitable[None]], listing: Listing
) -> None:
    async def run() -> None:
        await perform(trial, whole_stage(listing))

    asyncio.run(run())


async def quotes() -> AsyncIterator[Marks | MarketTrade]:
    for i in range(1, 4):
        yield marks(START + i * MS, i + 1)
    yield MarketTrade(PERP.symbol, SELL, D(59_990), D(500), START + 5 * MS)


def test_a_feed_comes_through_the_stream_and_its_trades_fill_makers() -> None:
    async def run() -> list[News]:
        venue: PaperVenue = PaperVenue(opened(latency=latency(1, 0, 0)), LoopClock(START))
        port: Venue = venue
        venue.start(quotes())
        heard: list[News] = []
        await port.submit(order(PERP, BUY, "10", "60000"))
        async for item in port.stream():
            heard.append(item)
            if isinstance(item, OrderUpdate) and item.state is OrderState.FILLED:
                break
        await port.close()
        return heard

    heard = asyncio.run(run())
    assert [x.seq for x in heard if isinstance(x, Marks)] == [1, 2, 3, 4]


def test_a_tape_clock_gives_the_same_as_the_exchange_alone() -> None:
    item = order(PERP, BUY, "2500", "60020", IOC)

    async def played() -> list[News]:
        clock = TapeClock(START)
        venue = PaperVenue(opened(latency=latency(5, 10, 10)), clock)
        sending = asyncio.create_task(venue.submit(item))
        await asyncio.sleep(0)
        while not sending.done():
            clock.move_to(venue.turn())
            venue.turn()
            for _ in range(3):
                await asyncio.sleep(0)
        assert sending.result().filled == 2500 and clock.now_ns() == START + 20 * MS
        await venue.close()
        return [news async for news in venue.stream()]

    exchange = opened(latency=latency(5, 10, 10))
    exchange.submit(item, START)
    assert [str(x) for x in asyncio.run(played())] == [str(x) for x in exchange.advance(START + 20 * MS)]


def test_silence_is_unknown_for_an_order_an_error_for_a_question_and_ambiguous_for_a_mass_cancel() -> None:
    async def run() -> None:
        clock = TapeClock(START)
        exchange = opened(
            faults=[Fault(FaultKind.REQUEST_LOST, probability=1.0)], latency=latency(0, 6000, 0)
        )
        venue = PaperVenue(exchange, clock)
        asked = [
            asyncio.ensure_future(x)
            for x in (venue.submit(order(PERP, BUY, "10", "60020")), venue.order("x"), venue.cancel_all())
        ]
        await asyncio.sleep(0)
        clock.move_to(START + 5 * SECOND)
        venue.turn()
        update, order_error, cancel_error = await asyncio.gather(*asked, return_exceptions=True)
        assert isinstance(update, OrderUpdate)
        assert (update.state, update.code) == (OrderState.UNKNOWN, Code.TIMED_OUT)
        assert isinstance(order_error, Unreachable) and isinstance(cancel_error, Ambiguous)
        await venue.close()

    asyncio.run(run())


def test_a_bug_inside_is_seen_by_all_who_wait() -> None:
    async def broken() -> AsyncIterator[Marks | MarketTrade]:
        yield replace(marks(), rows=marks().rows + 100)  # no such rows in the universe

    async def run() -> None:
        venue = PaperVenue(opened(latency=latency(0, 1000, 0)), LoopClock(START))
        asked = asyncio.ensure_future(venue.account(0))
        await asyncio.sleep(0)
        venue.start(broken())
        with pytest.raises(IndexError):
            await asked
        with pytest.raises(IndexError):
            async for _ in venue.stream():
                pass
        await venue.close()

    asyncio.run(run())


def test_sleepers_of_a_tape_clock_wake_when_it_is_moved_past_them() -> None:
    async def run() -> list[int]:
        clock = TapeClock(START)
        woken: list[int] = []

        async def sleeper(hours: int) -> None:
            await clock.sleep_until(START + hours * HOUR)
            woken.append(hours)

        tasks = [asyncio.create_task(sleeper(h)) for h in (3, 1, 2, 0)]
        await asyncio.sleep(0)
        clock.move_to(START + 2 * HOUR)
        for _ in range(3):
            await asyncio.sleep(0)
        early = list(woken)
        clock.move_to(START + 3 * HOUR)
        await asyncio.gather(*tasks)
        assert woken == [*early, 3]
        return early

    assert asyncio.run(run()) == [0, 1, 2]
