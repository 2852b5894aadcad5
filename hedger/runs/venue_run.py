"""`hedger run` on real venues: their public market with fills on paper, or the accounts themselves.

The engine, its journal and its loop are the same in both, and the same as on the simulated market. Live, a
start is refused unless a person asks for it by name, hard limits stand in a file, and the doctor finds
nothing bad; then the engine observes until every account agrees with the book, and ends (exit 5) where one
does not, unless a person takes the venues' word for the difference (`--accept`).

On paper what the paper venues are fed can be kept on a tape (`hedger.runs.taping`).

A journal keeps the listings it was begun with. Live, its order ids carry a tag drawn when it was begun: no
order of another journal can be taken for one of its own.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import string
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Protocol

from hedger.core.commands import why_not_arm
from hedger.core.other_engines import told_others
from hedger.core.state import Mode
from hedger.engine.clock import WallClock
from hedger.engine.engine import Recorder
from hedger.engine.logs import Log
from hedger.engine.metrics import loopback
from hedger.engine.recording import JournalRecorder
from hedger.engine.reloading import read_again
from hedger.engine.service import Accepting, Parts, Service
from hedger.engine.starting import first_state, write_start
from hedger.journal.entries import JournalName
from hedger.journal.journal import Journal, open_to_read
from hedger.journal.kill_latch import FileLatch
from hedger.journal.recovery import Recovered
from hedger.journal.user import user_name
from hedger.limits_file import LoadedLimits
from hedger.margin_models import without_table
from hedger.runs.agreement import taken
from hedger.runs.closing import closing_document, exit_code
from hedger.runs.engine_settings import settings_on_venues
from hedger.runs.following import Key
from hedger.runs.launch import (
    Ran,
    RunOptions,
    attended,
    check_limits,
    configuration,
    loop_factory,
    recovered,
    stop_on_signals,
)
from hedger.runs.paper_setup import (
    one_numeraire,
    paper_terms,
)
from hedger.runs.paper_world import exchanges_of
from hedger.runs.permission import bad_ones, permitted, refused, trading_of
from hedger.runs.record import RecordOptions
from hedger.runs.results import Results
from hedger.runs.taping import Taping, check_taping, market_feed
from hedger.runs.timetable import FEED_TAG, NotedExchange, NotedRecord, NotedVenue, Timetable
from hedger.runs.venue_checks import examine_venue
from hedger.runs.venue_market import KnownMarket, connected, keys_of
from hedger.runs.venue_setup import Adapter
from hedger.runs.venue_start import SETTLE_S, Start, begin, market_name, other_engine
from hedger.sections.venues import VenueName
from hedger.settings import Settings
from pricing.compiled import warm_up
from pricing.errors import Exit, HedgerError
from pricing.market import Market, Marks
from venues.base import News
from venues.orders import VenueStatus
from venues.paper import PaperVenue
from venues.paper_exchange import PaperExchange
from venues.paper_feed import MarketTrade
from venues.paper_report import closing_report
from venues.tape_files import refuse_existing

_TAG_LETTERS = string.ascii_lowercase + string.digits


class NotReconciled(HedgerError):
    """An account that does not agree with the book (exit 5)."""

    exit_code = Exit.UNRECONCILED


class Onlooker(Protocol):
    """Sees a run from outside, and may stand between its parts: whoever keeps minutes of what crosses the
    wire and of what is written down."""

    def venues(self, venues: Sequence[Adapter]) -> Sequence[Adapter]:
        """The adapters, connected: what the run is to use as such."""
        ...

    def parts(self, parts: Parts, journal: Journal) -> Parts:
        """What the service is about to be made of, and its journal: what it is to be made of."""
        ...


class Nobody:
    """Nobody looks on."""

    def venues(self, venues: Sequence[Adapter]) -> Sequence[Adapter]:
        """As they are."""
        return venues

    def parts(self, parts: Parts, journal: Journal) -> Parts:
        """As they are."""
        return parts


NOBODY = Nobody()


def run_on_venues(
    options: RunOptions, settings: Settings, limits: LoadedLimits, onlooker: Onlooker = NOBODY
) -> Ran:
    """Run until the minutes are over or a signal comes.

    Raises:
        RunRefused: live, and something that it needs is missing, the doctor is against it, or another engine
            trades on an account.
        JournalBehind: live, and the accounts show later orders of ours than the journal.
        NotReconciled: live, and an account did not agree with the book in time; nothing was sent.
        VenueError: a venue cannot be reached. JournalLocked: another engine writes the journal.
        InputError: a file or setting that cannot be used.
        JournalUnwritable: it could not be written any more; everything was cancelled.
    """
    live = settings.run.mode == "live"
    if options.tape is not None:
        check_taping(live, settings.run.feed)
        refuse_existing(options.tape)
    names = tuple(sorted(settings.venues)) if live else tuple(dict.fromkeys(settings.run.feed))
    log = Log()
    if live:
        permitted(options, settings, log)
    loopback(settings.run.metrics_host)
    os.umask(0o077)
    warm_up()
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        desk = one_numeraire(settings)
        return runner.run(_on_the_loop(options, desk, limits, names, live, log, onlooker))


async def _on_the_loop(
    options: RunOptions,
    desk: Settings,
    limits: LoadedLimits,
    names: Sequence[VenueName],
    live: bool,
    log: Log,
    onlooker: Onlooker,
) -> Ran:
    async with connected(desk, names, keys=live) as adapters:
        venues = onlooker.venues(adapters)
        if live:
            bad = [
                f"{check.what}: {check.text}"
                for name, venue in zip(names, venues, strict=True)
                for check in bad_ones(await examine_venue(desk, name, venue), log)
            ]
            if bad:
                raise refused(bad)
        journal = Journal.open(options.journal, _journal_name(options.journal, trading_of(desk)))
        try:
            return await _begun(options, desk, limits, venues, journal, log, onlooker)
        finally:
            with suppress(HedgerError):  # what could not be written was told when it could not
                journal.close()


def _journal_name(path: Path, trading: str) -> JournalName:
    """The name of a journal that is there; of a new one, live, with a tag that no other has."""
    if trading == "paper":
        return JournalName(trading, FEED_TAG)
    if path.exists() and path.stat().st_size:
        storage = open_to_read(path)
        try:
            if storage.name.trading == trading:
                return storage.name
        finally:
            storage.close()
    return JournalName(trading, "".join(secrets.choice(_TAG_LETTERS) for _ in range(7)))


async def _begun(
    options: RunOptions,
    desk: Settings,
    limits: LoadedLimits,
    venues: Sequence[Adapter],
    journal: Journal,
    log: Log,
    onlooker: Onlooker,
) -> Ran:
    """Recover, learn the market and the accounts, and run the service."""
    live = journal.name.on_venues
    clock, latch = WallClock(), FileLatch(options.journal)
    monotonic_ns = clock.monotonic_ns()
    found, begun_ns = recovered(options.journal, monotonic_ns)
    clock.not_before(found.last_now_ns)
    check_limits(found, limits, options.reason, log)
    start = await begin(options, desk, venues, found, begun_ns, live, clock)
    found = replace(found, last_seq=start.last_seq)
    now_ns, latched = start.first.now_ns, latch.found() is not None
    # by name, however `run.feed` has them
    names = tuple(sorted(venue.name for venue in venues))
    begun = configuration(options, desk, limits, market_name(desk, venues), monotonic_ns)
    write_start(
        journal,
        found,
        now_ns,
        replace(begun, venues=names, since_ns=start.since_ns),
        start.universe.listings,
        start.opening,
        latched=latched,
    )
    state = first_state(
        found, start.universe, start.opening, names, start.since_ns,
        latched=latched, now_ns=now_ns, monotonic_ns=monotonic_ns,
    )  # fmt: skip
    decides_with = settings_on_venues(desk, journal.name.engine, limits, names, now_ns, live)
    record: Recorder = JournalRecorder(journal)
    timetable = Timetable() if options.tape is not None and found.opening is None and not latched else None
    if timetable is not None:
        record = NotedRecord(record, timetable)
    exchanges: Sequence[PaperExchange] = ()
    if not live:
        # On paper an order lives as long as the engine: the venue begins with the book and no orders.
        terms = partial(paper_terms, desk, models=decides_with.margin)
        kind = PaperExchange if timetable is None else partial(NotedExchange, timetable)
        exchanges = exchanges_of(start.universe, state.book, terms, now_ns, seed=options.seed, make=kind)
        if text := without_table(desk.paper, names, now_ns):
            log.say("margin not modelled", level=logging.WARNING, text=text)
    end_ns = None if options.minutes is None else clock.monotonic_ns() + round(options.minutes * 60e9)
    parts = Parts(
        venues=venues if live else [_paper_venue(exchange, clock) for exchange in exchanges],
        state=state,
        settings=decides_with,
        record=record,
        latch=latch,
        journal=options.journal,
        config=desk.run,
        log=log,
        clock=clock,
        arm="started with --arm-live" if live else "started with --arm" if options.arm else "",
        accept=Accepting(user_name(), options.reason) if live and options.accept else None,
        end_ns=end_ns,
        reload=partial(read_again, options.config, partial(taken, limits)),
    )
    parts = onlooker.parts(parts, journal)
    results = Results(desk.pnl.tolerance())
    taping = _taping(options, desk, venues, start, clock, timetable)
    first = start.first if taping is None else taping.opening
    service, against = await _served(options, parts, venues, start.known, live, found, results, first, taping)
    if service.ending.fault is not None:
        raise service.ending.fault
    log.say("ended", reason=service.ending.why, seq=service.state.seq)
    if against:
        raise _never_armed(options, desk, against, service)
    return _ran(options, service, results, exchanges, desk, latch.found() is not None, taping)


def _paper_venue(exchange: PaperExchange, clock: WallClock) -> PaperVenue:
    return NotedVenue(exchange, clock) if isinstance(exchange, NotedExchange) else PaperVenue(exchange, clock)


def _taping(
    options: RunOptions,
    desk: Settings,
    venues: Sequence[Adapter],
    start: Start,
    clock: WallClock,
    timetable: Timetable | None,
) -> Taping | None:
    """What keeps a tape of the run, where one was asked for."""
    if options.tape is None:
        return None
    feed = tuple(dict.fromkeys(desk.run.feed))
    taped = RecordOptions(feed, options.tape, every_ms=options.every_ms, part_s=options.part_s)
    return Taping(taped, start.universe, venues, start.first, clock.now_ns, options.seed, timetable)


def _never_armed(
    options: RunOptions, desk: Settings, against: Sequence[str], service: Service
) -> HedgerError:
    """Why the accounts and the book do not agree: another engine on the account, else what differs."""
    if others := told_others(service.state):
        return other_engine(others)
    return NotReconciled(
        "NOT_RECONCILED",
        "the accounts and the book do not agree",
        where=options.journal.name,
        observed="; ".join(against),
        allowed=f"agreement within run.start_s_max = {desk.run.start_s_max:g} s",
        not_done="the engine was not armed, nothing was sent",
        fix="explain the difference, then take the venues' word for it with --accept --reason TEXT (an "
        "account that was not read is none); or begin a new journal without --book, with what they say",
    )


async def _served(
    options: RunOptions,
    parts: Parts,
    venues: Sequence[Adapter],
    known: KnownMarket,
    live: bool,
    found: Recovered,
    results: Results,
    opening: Marks,
    taping: Taping | None,
) -> tuple[Service, tuple[str, ...]]:
    """The service, from its first turn to its end; and, live, why it was never armed in time.

    opening: what paper venues are fed first. taping: keeps what they are fed.

    Raises:
        InputError: the tape could not be written; the service has ended in order.
    """
    deadline: asyncio.Task[tuple[str, ...]] | None = None
    following: asyncio.Task[None] | None = None
    arming: asyncio.Task[int | None] | None = None
    with attended(parts, options, found):
        try:
            service = Service(parts, results)
            stop_on_signals(service)
            loop = asyncio.get_running_loop()
            market = {venue.name: venue for venue in venues}
            arming = asyncio.create_task(_armed_ns(service, options.arm))
            for to in parts.venues:
                if isinstance(to, PaperVenue):
                    hear, every_ms = (None, 0.0) if taping is None else (taping.hear, taping.every_ms)
                    to.start(market_feed(market[to.name], opening, asyncio.shield(arming), hear, every_ms))
                else:  # behind what the service itself says of the link as its first word
                    loop.call_soon(_hand_on, service, known.early[to.name])
            if taping is not None:
                taping.start(asyncio.shield(arming), service.stop)
            if live:
                deadline = asyncio.create_task(_armed_by(service, parts.config.start_s_max))
            following = asyncio.create_task(known.following.follow(partial(_in_view, service, parts.clock)))
            following.add_done_callback(partial(_unfollowed, service))
            await service.run()
            against = deadline.result() if deadline is not None and deadline.done() else ()
            return service, against
        finally:
            for task in (deadline, following, arming):
                if task is not None:
                    task.cancel()
            if taping is not None:
                await taping.close()


def _unfollowed(service: Service, task: asyncio.Task[None]) -> None:
    """A bug of ours: without the choice, what is bought next might not be followed."""
    if not task.cancelled() and (failure := task.exception()) is not None:
        service.stop(f"what to subscribe to cannot be told: {failure!r}")


def _in_view(service: Service, clock: WallClock) -> tuple[frozenset[Key], Market, int]:
    """What the book holds and what orders stand on, the market, and the time."""
    state = service.state
    ordered = {record.order.listing.key for record in state.live_orders()}
    return keys_of(state.book) | ordered, state.market, clock.now_ns()


def _hand_on(service: Service, early: Sequence[News]) -> None:
    """Everything that was heard before; of the link what was said last."""
    links = [news for news in early if isinstance(news, VenueStatus)]
    for news in early:
        if isinstance(news, MarketTrade):
            continue
        if not isinstance(news, VenueStatus) or news is links[-1]:
            service.inbox.put(news)


async def _armed_by(service: Service, seconds: float) -> tuple[str, ...]:
    """Stop an engine that is not armed in time, unless a person has said otherwise; why it is not."""
    loop = asyncio.get_running_loop()
    end_s = loop.time() + seconds
    while not service.armed and loop.time() < end_s:
        await asyncio.sleep(0.05)
    if service.armed or service.state.mode is Mode.KILLED:
        return ()
    against = why_not_arm(service.state) or ("it was not armed",)
    service.stop("the accounts do not agree with the book")
    return against


async def _armed_ns(service: Service, asked: bool) -> int | None:
    """When the engine was armed, waited for a moment where a person has asked for it at the start; None: it
    is not."""
    loop = asyncio.get_running_loop()
    end_s = loop.time() + SETTLE_S
    while asked and not service.armed and loop.time() < end_s:
        await asyncio.sleep(0.01)
    return service.parts.clock.now_ns() if service.armed else None


def _ran(
    options: RunOptions,
    service: Service,
    results: Results,
    exchanges: Sequence[PaperExchange],
    desk: Settings,
    latched: bool,
    taping: Taping | None,
) -> Ran:
    names, trading = sorted(service.state.venues), trading_of(desk)
    reports = [closing_report(exchange) for exchange in exchanges]
    document = closing_document(options, service, results, desk, trading=trading, latched=latched)
    document |= {"venues": names, "paper": [report.document() for report in reports]}
    document["tape"] = None if taping is None else taping.document()
    text = "\n".join(report.text() for report in reports) or f"{trading} on {', '.join(names)}"
    return Ran(service.ending, document, text, exit_code(service, to_arm=options.arm or not exchanges))
