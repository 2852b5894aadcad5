"""One channel falls silent while the others of its listing go on: what it told is not known any more, it is
joined again and told, and known again when it comes again. On every loopback exchange."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest

from pricing.contracts import Kind, Listing
from pricing.market import Marks
from pricing.universe import Universe
from tests.exchanges.binance import binance
from tests.exchanges.bybit import bybit
from tests.exchanges.deribit import deribit
from tests.exchanges.faults import Act
from tests.exchanges.hyperliquid import hyperliquid
from tests.exchanges.okx import okx
from tests.exchanges.server import Host, serve
from tests.exchanges.world import World
from tests.venues.cex_desk import QUICK, adapter_on, run
from tests.venues.deribit_desk import QUICK as QUICK_SESSION
from tests.venues.deribit_desk import hearing, login, until
from tests.venues.planting import plant
from venues import cex_binance, cex_bybit, cex_hyperliquid, cex_okx
from venues.base import News
from venues.cex import CexVenue
from venues.cex_summaries import of_one_moment
from venues.deribit import DeribitTerms, DeribitVenue
from venues.orders import Link, VenueStatus
from venues.part_ages import FieldAges
from venues.silence import Silence
from venues.wire.quotes import Quote

AGE_S = 0.5
AGES = FieldAges(AGE_S, AGE_S, AGE_S, AGE_S, AGE_S)
SECOND = 10**9


@dataclass(frozen=True, slots=True)
class Case:
    """A channel that falls silent. glob: its frames; gone: what is not known then; kept: what still is."""

    venue: str
    kind: Kind
    glob: str
    gone: tuple[str, ...]
    kept: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.venue} {self.glob}"


CASES = (
    Case("okx", Kind.OPTION, "opt-summary*", ("mark_iv", "forward"), ("mark", "index", "bid")),
    Case("okx", Kind.OPTION, "index-tickers*", ("index",), ("mark", "mark_iv", "bid")),
    Case("okx", Kind.PERPETUAL, "mark-price*", ("mark",), ("funding_rate", "index", "bid")),
    Case("binanceusdm", Kind.PERPETUAL, "*markPrice*", ("mark", "index", "funding_rate"), ("bid", "ask")),
    Case("hyperliquid", Kind.PERPETUAL, "activeAssetCtx*", ("mark", "index", "funding_rate"), ("bid", "ask")),
    Case("bybit", Kind.PERPETUAL, "*tickers*", ("mark", "index", "funding_rate"), ("bid", "ask")),
    Case("deribit", Kind.OPTION, "ticker.*", ("mark", "mark_iv", "forward", "index"), ("bid", "ask")),
)
MADE: dict[str, tuple[Any, Any, Any]] = {
    "okx": (okx, cex_okx.Okx, cex_okx.addresses),
    "bybit": (bybit, cex_bybit.Bybit, cex_bybit.addresses),
    "binanceusdm": (binance, cex_binance.Binance, cex_binance.addresses),
    "hyperliquid": (hyperliquid, cex_hyperliquid.Hyperliquid, cex_hyperliquid.addresses),
}


@asynccontextmanager
async def opened(name: str) -> AsyncIterator[tuple[CexVenue | DeribitVenue, Host, World]]:
    venue: CexVenue | DeribitVenue
    if name == "deribit":
        served, world = deribit()
        plant(served.exchange)
    else:
        served, world = MADE[name][0](limits={})
    async with serve(served) as host:
        if name == "deribit":
            terms = DeribitTerms(url=host.ws_url, start_s_max=5.0, session=QUICK_SESSION, ages=AGES)
            venue = DeribitVenue(terms, login())
        else:
            settings = replace(QUICK, ages=AGES)
            venue = adapter_on(MADE[name][1](), host, MADE[name][2], settings=settings)
        await venue.start()
        try:
            yield venue, host, world
        finally:
            await venue.close()


async def living(world: World) -> None:
    """The market goes on; nobody trades."""
    while True:
        await asyncio.sleep(0.1)
        world.step(0.1, trades=0)


def newest(news: list[News]) -> Marks | None:
    return next((x for x in reversed(news) if isinstance(x, Marks)), None)


def known(news: list[News], names: tuple[str, ...]) -> bool:
    marks = newest(news)
    return marks is not None and all(math.isfinite(getattr(marks, name)[-1]) for name in names)


def unknown(news: list[News], names: tuple[str, ...]) -> bool:
    marks = newest(news)
    return marks is not None and all(math.isnan(getattr(marks, name)[-1]) for name in names)


def told(news: list[News], holds: Callable[[VenueStatus], bool]) -> bool:
    return any(holds(x) for x in news if isinstance(x, VenueStatus))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_silent_channel_makes_what_it_told_unknown_and_is_joined_again(case: Case) -> None:
    async def work() -> None:
        async with opened(case.venue) as (venue, host, world), hearing(venue) as news:
            listing = await of_kind(venue, case.kind)
            venue.watch(Universe.of([listing]), [listing.symbol])
            alive = asyncio.ensure_future(living(world))
            await until(lambda: known(news, (*case.gone, *case.kept)), "all of it is known")
            joined = joins(host)
            host.faults.add(Act.DROP, case.glob, times=10**9)
            await until(lambda: unknown(news, case.gone), "what it told is unknown")
            assert known(news, case.kept)
            name = case.glob.strip("*").split(".")[0]
            await until(
                lambda: told(news, lambda x: "channels_silent" in x.events and name in x.text), "it is told"
            )
            await until(lambda: joins(host) > joined, "it is joined again")
            host.faults.clear()
            await until(lambda: known(news, (*case.gone, *case.kept)), "it is known again")
            await until(lambda: last_link(news) is Link.UP, "the link is up")
            alive.cancel()

    run(work(), 30.0)


async def of_kind(venue: CexVenue | DeribitVenue, kind: Kind) -> Listing:
    """One of BTC; of perpetuals and options one that all of its channels tell of."""
    found = [x for x in await venue.listings() if x.contract.underlying == "BTC" and x.contract.kind is kind]
    return min(found, key=lambda x: (x.contract.inverse is (kind is Kind.PERPETUAL), x.symbol))


def joins(host: Host) -> int:
    return sum("ubscribe" in x.operation.lower() and "un" not in x.operation for x in host.requests)


def last_link(news: list[News]) -> Link | None:
    return next((x.link for x in reversed(news) if isinstance(x, VenueStatus)), None)


@pytest.mark.parametrize("name", ["okx", "bybit", "binanceusdm"])
def test_one_stamp_a_day_ahead_shuts_nothing_out(name: str) -> None:
    async def work() -> None:
        async with opened(name) as (venue, host, world), hearing(venue) as news:
            listing = await of_kind(venue, Kind.PERPETUAL)
            venue.watch(Universe.of([listing]), [listing.symbol])
            await until(lambda: known(news, ("mark", "index", "bid")), "all of it is known")
            host.exchange.clock.skew_ns = 86_400 * SECOND  # for a moment
            world.step(0.1, trades=0)
            await asyncio.sleep(0.1)
            host.exchange.clock.skew_ns = 0
            for _ in range(3):
                world.step(60.0, trades=0)
                await asyncio.sleep(0.05)
            price = float(host.exchange.mark_price(listing.symbol))
            await until(lambda: (m := newest(news)) is not None and m.mark[-1] == price, "the newest mark")
            ahead = [int(x.venue_ns.max()) - x.now_ns for x in news if isinstance(x, Marks)]
            assert max(ahead) <= 0
            assert venue.quotes is not None and venue.quotes.counts.ahead > 0

    run(work(), 20.0)


def test_a_channel_that_stays_silent_is_joined_again_ever_more_seldom_until_it_is_heard() -> None:
    silence, tried = Silence(), []
    silence.begun("a", 0)
    for second in range(100):
        if silence.overdue("a", 0, second * SECOND, 2.0):
            tried.append(second)
            silence.begun("a", second * SECOND)
    assert tried == [3, 8, 17, 34, 67]
    assert not silence.overdue(
        "a", 99 * SECOND, 100 * SECOND, 2.0
    )  # it is heard, and patience is short again
    assert silence.overdue("a", 99 * SECOND, 102 * SECOND, 2.0)
    assert not silence.overdue("never joined", 0, 10**15, 2.0)
    silence.forget("a")
    assert not silence.overdue("a", 0, 10**15, 2.0)


def test_the_rows_of_one_answer_are_as_new_as_the_newest_of_their_kind() -> None:
    touch, mark = frozenset({"bid"}), frozenset({"mark"})
    rows = [Quote("A", 5, told=touch), Quote("B", 90, told=touch), Quote("A", 70, told=mark)]
    broken = Quote("C", 1_000, told=touch)
    found = of_one_moment([*rows, broken], 100)
    assert [x.venue_ns for x in found] == [90, 90, 70, 1_000]
