"""With what a run on real venues begins: the listings it keeps to, the book, and the market as first seen.

A new journal begins with the book of a file, or live with what the venues say that we hold; one that is there
goes on with its own listings and its own book, and the accounts must agree with that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hedger.core.other_engines import ALIVE_S, found_at_start
from hedger.engine.clock import WallClock
from hedger.engine.starting import booked_since
from hedger.inputs import read_book
from hedger.journal.recovery import Recovered
from hedger.runs.behind import go_on_from
from hedger.runs.launch import RunOptions, RunRefused
from hedger.runs.opening import on_one_account, opened
from hedger.runs.venue_market import (
    KnownMarket,
    as_batch,
    book_of,
    chosen,
    first_look,
    listed,
    underlyings_of,
)
from hedger.runs.venue_setup import Adapter
from hedger.sample import DEMO_BOOK, market_maker_book
from hedger.settings import Settings
from pricing.contracts import Listing
from pricing.daycount import NS_PER_SECOND
from pricing.errors import InputError
from pricing.market import Market, Marks
from pricing.universe import Universe
from pricing.valuation import value
from risk.book import Book
from venues.orders import AccountReport

#: Executions are asked for from so long before the last record on.
LOOK_BACK_NS = 3600 * NS_PER_SECOND
#: Listings that are seldom quoted are waited for so long at a start.
SETTLE_S = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """What a run begins with. first: all that is known of the market, as a batch of the time of the start.
    since_ns: the venues' time from which executions are asked for. last_seq: of the last event before it."""

    universe: Universe
    opening: Book
    known: KnownMarket
    first: Marks
    since_ns: int
    last_seq: int


async def begin(
    options: RunOptions,
    desk: Settings,
    venues: Sequence[Adapter],
    found: Recovered,
    begun_ns: int | None,
    live: bool,
    clock: WallClock,
) -> Start:
    """The universe, the book of a new journal, and the market as first seen.

    Raises:
        InputError: the book cannot be used. VenueError: a venue does not say, or not in time. RunRefused:
            live, and another engine trades on an account. JournalBehind: live, and the accounts show later
            orders of ours than the journal.
    """
    listings = desk.with_fees(Universe.of(listed(venues))).listings
    reports: list[AccountReport] = []
    if live:
        reports = [
            await venue.account(_shown_since_ns(found, begun_ns, await venue.time_ns())) for venue in venues
        ]
        alone(reports, found.name.engine, options)
    last_seq = go_on_from(found, reports, options.accept)
    book: Book | None = None
    if found.opening is not None:
        universe = _then(found, listings)
        book = booked_since(found, found.opening)
        same_contracts(book, universe)
    else:
        if options.book is not None:
            book = read_book(options.book, Universe.of(listings), clock.now_ns())
            book = book if live else on_one_account(book)
        elif live:
            book = book_of(reports, listings)
        universe = Universe.of(chosen(listings, _watched(desk, book, listings)))
    known = await first_look(
        venues, universe, book, desk.run.options_followed, desk.run.start_s_max, SETTLE_S, clock.now_ns()
    )
    now_ns = clock.now_ns()
    first = as_batch(known.market, now_ns)
    if found.opening is not None:
        since_ns = _asked_from_ns(found, begun_ns) if live else now_ns
        return Start(universe, found.opening, known, first, since_ns, last_seq)
    market = Market.empty(universe).apply(first)
    if book is None:
        valuation = value(market, desk.age_s_max)
        book = market_maker_book(market, valuation, options.seed, desk.age_s_max, DEMO_BOOK)
    since_ns = min((report.venue_ns for report in reports), default=now_ns)
    return Start(universe, opened(book, market, desk), known, first, since_ns, last_seq)


def _asked_from_ns(found: Recovered, begun_ns: int | None) -> int:
    """From when on executions may be missing in a journal that is there."""
    return max(begun_ns or 0, found.last_now_ns - LOOK_BACK_NS)


def _shown_since_ns(found: Recovered, begun_ns: int | None, venue_ns: int) -> int:
    """From when on a venue is asked for executions before anything is started: where another engine may be
    at work, and where the journal is, since it was written last."""
    alive_ns = venue_ns - round(ALIVE_S * NS_PER_SECOND)
    return alive_ns if found.opening is None else min(alive_ns, _asked_from_ns(found, begun_ns))


def alone(reports: Sequence[AccountReport], own: str, options: RunOptions) -> None:
    """Return where no other engine trades on our accounts, as far as they show, or a person says so.

    Raises:
        RunRefused: one has an order open, or an execution of late.
    """
    seen = found_at_start(reports, own)
    if seen and not options.accept:
        raise other_engine(seen)


def other_engine(seen: Sequence[str]) -> RunRefused:
    """The refusal beside another engine (exit 3)."""
    return RunRefused(
        "OTHER_ENGINE",
        "another engine trades on our account, or did a moment ago",
        where="the venues' accounts, by the tags in order ids",
        observed="; ".join(seen),
        allowed=f"one engine an account: no order of another, and no execution in the last {ALIVE_S:g} s",
        not_done="nothing was started, nothing was sent",
        fix="end the other engine, see that its orders are gone, and start again after that time; where its "
        "journal was thrown away, cancel its orders at the venue, and start with --accept --reason TEXT",
    )


def same_contracts(book: Book, universe: Universe) -> None:
    """Return where what a journal holds is still what its venue calls by that name.

    Raises:
        InputError: a position is in another contract by now: its quantity there is another one, too.
    """
    for position in book.positions.values():
        ours = position.listing
        row = universe.positions.get(ours.key)
        if position.quantity and row is not None and not ours.same_contract(universe.listings[row]):
            now = universe.listings[row]
            raise InputError(
                "LISTING_CHANGED",
                "the venue has another contract under a name in which the journal holds a position",
                where=f"{ours.venue} {ours.symbol}",
                observed=f"{now.contract}, {now.size} a unit",
                allowed=f"{ours.contract}, {ours.size} a unit",
                not_done="nothing was started",
                fix="read the venue's announcement; begin a new journal, without --book",
            )


def _then(found: Recovered, listings: Sequence[Listing]) -> Universe:
    """The listings that the journal was begun with, on today's terms where they are still listed."""
    now = {listing.key: listing for listing in listings}
    return Universe.of(now.get(listing.key, listing) for listing in found.listings)


def _watched(desk: Settings, book: Book | None, listings: Sequence[Listing]) -> set[str]:
    """The underlyings whose market is watched: those of the settings, and whatever the book has a stake in.

    Raises:
        InputError: there is none.
    """
    known = {listing.contract.underlying for listing in listings}
    wanted = set(desk.run.underlyings)
    if book is not None:
        wanted |= underlyings_of(book, known)
    elif not wanted:
        wanted = {"BTC", "ETH"} & known
    if not wanted or wanted - known:
        raise InputError(
            "RUN_UNDERLYING",
            "nothing is listed on it",
            where="key run.underlyings, or the book",
            observed=", ".join(sorted(wanted - known)) or "none",
            allowed=", ".join(sorted(known)),
            not_done="nothing was started",
            fix="name underlyings that the venues list",
        )
    return wanted


def market_name(desk: Settings, venues: Sequence[Adapter]) -> str:
    """What a journal is begun on: which venues, and whether their test networks."""
    names = [venue.name for venue in venues]
    configured = {str(name): config for name, config in desk.venues.items()}
    return " ".join(
        f"{name}{' sandbox' if name in configured and configured[name].sandbox else ''}" for name in names
    )
