"""The market of real venues, as a run needs it at its start: connected, chosen, known well enough to begin.

What was heard until then is kept: it is handed on first, so that nothing has to be heard twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Collection, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hedger.runs.following import Following, Key, spots_of
from hedger.runs.venue_setup import Adapter, adapter
from hedger.sections.venues import VenueConfig, VenueName
from hedger.settings import Settings
from pricing.contracts import STABLE_CURRENCIES, Kind, Listing
from pricing.errors import InputError
from pricing.market import QUOTE_FIELDS, Market, Marks
from pricing.universe import Universe
from pricing.valuation import MarkStatus, value
from risk.book import Book, Position, settles_daily
from venues.base import News
from venues.errors import Unreachable
from venues.orders import AccountReport


def venue_config(settings: Settings, name: VenueName, *, keys: bool) -> VenueConfig:
    """What the configuration says of a venue; without its keys where they are not to be read.

    Raises:
        InputError: keys are wanted, and there is no section of that name.
    """
    config = settings.venues.get(name)
    if config is None and keys:
        raise InputError(
            "VENUE_NOT_CONFIGURED",
            "the configuration does not name this venue",
            where=f"venues.{name}",
            allowed=", ".join(sorted(settings.venues)) or "a section [venues.NAME]",
            not_done="nothing was connected",
            fix=f"add [venues.{name}] with references to its keys",
        )
    config = config or VenueConfig()
    if keys:
        return config
    return config.model_copy(update={"key": "", "secret": "", "passphrase": "", "wallet": ""})


@asynccontextmanager
async def connected(
    settings: Settings, names: Collection[VenueName], *, keys: bool
) -> AsyncIterator[tuple[Adapter, ...]]:
    """The adapters of these venues, started; closed when the block ends.

    Raises:
        InputError: a key is missing or half given. VenueError: a venue cannot be reached, or refuses the key.
    """
    made: list[Adapter] = []
    try:
        for name in names:
            config = venue_config(settings, name, keys=keys)
            made.append(adapter(name, config, start_s_max=settings.run.start_s_max))
        await asyncio.gather(*(started(venue, settings.run.start_s_max) for venue in made))
        yield tuple(made)
    finally:
        for venue in made:
            await venue.close()


async def started(venue: Adapter, seconds: float) -> None:
    """Start an adapter.

    Raises:
        VenueError: as `start`; Unreachable: not within so many seconds.
    """
    await in_time(venue.start(), seconds, venue.name)


async def in_time(start: Awaitable[None], seconds: float, name: str) -> None:
    """Wait for the start of a venue's session.

    Raises:
        VenueError: as the start; Unreachable: not within so many seconds.
    """
    try:
        async with asyncio.timeout(seconds):
            await start
    except TimeoutError:
        raise Unreachable(
            "VENUE_NOT_REACHED",
            "the venue cannot be reached",
            where=f"venues.{name}",
            observed=f"no session after {seconds:g} s",
            not_done="nothing was started",
            fix="see whether the venue is open, and its address in the configuration",
        ) from None


def listed(venues: Iterable[Adapter]) -> tuple[Listing, ...]:
    """Everything that trades on these venues, as they told it when they were started a moment ago: thousands
    of instruments are not asked for twice."""
    return tuple(listing for venue in venues for listing in venue.known.values())


def chosen(listings: Iterable[Listing], underlyings: Collection[str]) -> tuple[Listing, ...]:
    """The listings of these underlyings that an engine can value: no spot pair between two coins."""
    return tuple(
        x
        for x in listings
        if x.contract.underlying in underlyings
        and not (x.contract.kind is Kind.SPOT and x.contract.settlement not in STABLE_CURRENCIES)
    )


def underlyings_of(book: Book, known: Collection[str]) -> set[str]:
    """The coins that a book has a stake in; known: the underlyings that are listed."""
    held = {p.listing.contract.underlying for p in book.positions.values() if p.quantity}
    return held | {coin for (_, _, coin), amount in book.cash.items() if amount and coin in known}


def book_of(reports: Iterable[AccountReport], listings: Sequence[Listing]) -> Book:
    """What the venues say that we hold. Cash is the margin balance as each venue counts it.

    Raises:
        Unreachable: a position in something that is not listed: nobody could value it.
    """
    by_key = {listing.key: listing for listing in listings}
    positions, cash = [], {}
    for report in reports:
        for symbol, quantity in sorted(report.positions.items()):
            listing = by_key.get((report.venue, symbol))
            if listing is None:
                raise Unreachable(
                    "POSITION_NOT_LISTED",
                    "the account holds something that the venue does not list, or that cannot be read",
                    where=f"{report.venue} {symbol}",
                    observed=quantity,
                    allowed="an active instrument",
                    not_done="no book was made",
                    fix="wait for its settlement, or close it by hand",
                )
            positions.append(Position(listing, report.account, quantity))
        cash.update({(report.venue, report.account, c): a for c, a in report.balances.items() if a})
    return Book.of(positions, cash)


@dataclass(slots=True, eq=False)
class KnownMarket:
    """A market as heard of so far, the news that told of it by venue, and what is subscribed to."""

    market: Market
    following: Following
    early: dict[str, list[News]] = field(default_factory=dict)


async def first_look(
    venues: Sequence[Adapter],
    universe: Universe,
    book: Book | None,
    options_max: int,
    timeout_s: float,
    settle_s: float,
    now_ns: int,
) -> KnownMarket:
    """Watch until all of the universe has been told of, at least what the book needs to begin.

    options_max: subscribed to beside those held, by venue and underlying, nearest the money; the others are
    asked for. timeout_s: for what is needed. settle_s: for the others: each may have nothing to tell.

    Raises:
        Unreachable: one that is needed has not been quoted in time.
    """
    held = frozenset() if book is None else keys_of(book)
    alive = {x.symbol for x in universe.listings if not x.expiry_ns or x.expiry_ns > now_ns}
    needed = set() if book is None else needed_for(book) & alive
    found = KnownMarket(Market.empty(universe), Following(venues, universe, options_max))
    loop = asyncio.get_running_loop()
    begun_s = loop.time()
    found.following.choose(held, {}, now_ns)
    found.early.update((venue.name, []) for venue in venues)
    readers = [asyncio.create_task(_hear(found, venue)) for venue in venues]
    try:
        while True:
            found.following.choose(held, spots_of(found.market), now_ns)
            lacking = _lacking(found.market, needed)
            waited_s = loop.time() - begun_s
            if not lacking and (waited_s >= settle_s or (found.market.venue_ns > 0).all()):
                return found
            if waited_s >= timeout_s:
                raise Unreachable(
                    "NO_QUOTES",
                    "what the book holds has not been quoted",
                    where=", ".join(venue.name for venue in venues),
                    observed=f"{len(lacking)} without a price in {timeout_s:g} s: {', '.join(lacking[:5])}",
                    allowed="a usable mark of every perpetual and future held",
                    not_done="nothing was started",
                    fix="see whether the venue is open; run.start_s_max gives it longer",
                )
            for reader in readers:
                if reader.done():
                    reader.result()
            await asyncio.sleep(0.1)
    finally:
        for reader in readers:
            reader.cancel()
        for reader in readers:
            with suppress(asyncio.CancelledError):
                await reader


def as_batch(market: Market, now_ns: int) -> Marks:
    """All that is known of a market as one batch of this time; each quote keeps its venue's stamp."""
    rows = np.flatnonzero(market.quoted)
    columns: dict[str, Any] = {name: getattr(market, name)[rows] for name in QUOTE_FIELDS}
    return Marks(
        seq=0,
        now_ns=now_ns,
        rows=rows,
        venue_ns=market.venue_ns[rows],
        forward_kind=market.forward_kind[rows],
        depth={row: market.depth[row] for row in rows.tolist() if row in market.depth},
        **columns,
    )


async def _hear(found: KnownMarket, venue: Adapter) -> None:
    # A reader is only ever stopped where it waits for news: what was taken stands in `early`.
    async for news in venue.stream():
        found.early[venue.name].append(news)
        if isinstance(news, Marks):
            found.market = found.market.apply(news)


def _lacking(market: Market, needed: Collection[str]) -> list[str]:
    if not needed:
        return []
    status = value(market, float("inf")).status
    return [
        x.symbol for i, x in enumerate(market.universe.listings)
        if x.symbol in needed and status[i] != MarkStatus.OK
    ]  # fmt: skip


def keys_of(book: Book) -> frozenset[Key]:
    """What a book holds."""
    return frozenset(p.listing.key for p in book.positions.values() if p.quantity)


def needed_for(book: Book) -> set[str]:
    """The symbols whose price a book needs to begin: what settles daily gains from its price at the start."""
    return {p.listing.symbol for p in book.positions.values() if p.quantity and settles_daily(p.listing)}
