"""`hedger run`: the engine on the wall clock, on paper, on the simulated market. No keys, no internet.

What stands here puts the parts together and takes them apart again; `hedger.engine.service` is the loop.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Container
from contextlib import suppress
from functools import partial

from hedger.engine.clock import WallClock
from hedger.engine.logs import Log
from hedger.engine.metrics import loopback
from hedger.engine.recording import JournalRecorder
from hedger.engine.reloading import read_again
from hedger.engine.service import Parts, Service
from hedger.engine.starting import first_state, write_start
from hedger.inputs import read_book
from hedger.journal.entries import JournalName
from hedger.journal.journal import Journal
from hedger.journal.kill_latch import FileLatch
from hedger.limits_file import LoadedLimits
from hedger.margin_models import margin_models
from hedger.runs.agreement import check_market, taken
from hedger.runs.closing import closing_document, exit_code
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
from hedger.runs.opening import on_one_account, opened
from hedger.runs.paper_setup import (
    engine_settings,
    one_numeraire,
    paper_limits,
    paper_terms,
    venues_of,
)
from hedger.runs.results import Results
from hedger.runs.stage import Stage
from hedger.sample import DEMO_BOOK, market_maker_book
from hedger.settings import Settings
from pricing.compiled import warm_up
from pricing.daycount import NS_PER_SECOND
from pricing.errors import HedgerError
from pricing.market import Market, Marks
from pricing.valuation import value
from risk.book import Book
from venues.paper import PaperVenue
from venues.paper_exchange import PaperExchange
from venues.paper_feed import MarketTrade
from venues.paper_report import closing_report
from venues.simulated import SimulatedMarket

ENGINE_TAG = "sim0"


def run(options: RunOptions, settings: Settings, limits: LoadedLimits) -> Ran:
    """Run until the minutes are over or a signal comes.

    Raises:
        JournalLocked: another engine writes the journal.
        InputError: a file or setting that cannot be used.
        JournalUnwritable: it could not be written any more; everything was cancelled.
    """
    loopback(settings.run.metrics_host)
    os.umask(0o077)
    desk = one_numeraire(settings)
    journal = Journal.open(options.journal, JournalName("paper", ENGINE_TAG))
    try:
        return _run(options, desk, limits, journal)
    finally:
        with suppress(HedgerError):  # what could not be written was told when it could not
            journal.close()


def _run(options: RunOptions, desk: Settings, limits: LoadedLimits, journal: Journal) -> Ran:
    warm_up()
    clock, latch, log = WallClock(), FileLatch(options.journal), Log()
    monotonic_ns = clock.monotonic_ns()
    found, begun_ns = recovered(options.journal, monotonic_ns)
    clock.not_before(found.last_now_ns)  # the journal may have been written under a clock ahead of ours
    check_limits(found, limits, options.reason, log)
    source = SimulatedMarket(options.seed, clock.now_ns() if begun_ns is None else begun_ns)
    check_market(Market.empty(source.universe).apply(source.marks()), desk, limits)
    opening = _opening(options, source, desk)
    now_ns = clock.now_ns()  # once: what is on record of a start is what the engine started with
    write_start(
        journal,
        found,
        now_ns,
        configuration(options, desk, limits, f"simulated {options.seed}", monotonic_ns, options.seed),
        source.universe.listings,
        opening,
        latched=latch.found() is not None,
    )
    if clock.now_ns() > source.now_ns:
        source.step((clock.now_ns() - source.now_ns) / NS_PER_SECOND)
    venues = venues_of(source.universe)
    state = first_state(
        found,
        source.universe,
        opening,
        venues,
        now_ns,
        latched=latch.found() is not None,
        now_ns=now_ns,
        monotonic_ns=monotonic_ns,
    )
    # On paper an order lives as long as the engine: the venue begins with the book and no orders.
    models = margin_models(desk.paper, venues, now_ns)
    terms = paper_terms(desk, venues[0], models)
    exchange = PaperExchange(
        venues[0],
        source.universe,
        terms,
        now_ns,
        book=state.book,
        faults=options.stage.faults_from(now_ns),
        seed=options.seed,
    )
    sending = engine_settings(desk, ENGINE_TAG, paper_limits(limits.limits, venues), venues, models)
    parts = Parts(
        venues=(),
        state=state,
        settings=sending,
        record=JournalRecorder(journal),
        latch=latch,
        journal=options.journal,
        config=desk.run,
        log=log,
        clock=clock,
        arm="started with --arm" if options.arm else "",
        end_ns=None if options.minutes is None else clock.monotonic_ns() + round(options.minutes * 60e9),
        reload=partial(read_again, options.config, partial(taken, limits)),
    )
    results = Results(desk.pnl.tolerance())
    with attended(parts, options, found):
        service = _on_a_loop(exchange, source, parts, results, options.stage)
    if service.ending.fault is not None:
        raise service.ending.fault
    log.say("ended", reason=service.ending.why, seq=service.state.seq)
    report = closing_report(exchange)
    latched = latch.found() is not None
    document = closing_document(options, service, results, desk, trading="paper", latched=latched)
    document["paper"] = report.document()
    return Ran(service.ending, document, report.text(), exit_code(service, to_arm=options.arm))


def _on_a_loop(
    exchange: PaperExchange, source: SimulatedMarket, parts: Parts, results: Results, stage: Stage
) -> Service:
    """The service on an event loop, to its end; on uvloop where it is installed."""

    async def main() -> Service:
        venue = PaperVenue(exchange, parts.clock)
        parts.venues = (venue,)
        service = Service(parts, results)
        stop_on_signals(service)
        feed = _feed(source, parts.clock, parts.config.mark_every_s, stage, exchange.fault_counts)
        venue.start(feed)
        await service.run()
        return service

    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(main())


async def _feed(
    source: SimulatedMarket, clock: WallClock, every_s: float, stage: Stage, had: Container[str]
) -> AsyncIterator[Marks | MarketTrade]:
    """The simulated market in step with the clock; a staged move is in the first batch after its time. had:
    ids of the faults that the venue had."""
    yield source.marks()
    begun_ns = told_ns = clock.now_ns()
    while True:
        await asyncio.sleep(every_s)
        now_ns = clock.now_ns()
        seconds = (now_ns - source.now_ns) / NS_PER_SECOND
        if seconds > 0:
            begun_s, ended_s = ((at_ns - begun_ns) / NS_PER_SECOND for at_ns in (told_ns, now_ns))
            for move in stage.moves_between(begun_s, ended_s, had):
                source.shock(move.move, move.coin)
            told_ns = now_ns
            yield source.step(seconds)


def _opening(options: RunOptions, source: SimulatedMarket, desk: Settings) -> Book:
    """The book of a new journal: a file's, or a seeded market maker's."""
    if options.book is not None:
        book = on_one_account(read_book(options.book, source.universe, source.now_ns))
    else:
        market = Market.empty(source.universe).apply(source.marks())
        valuation = value(market, desk.age_s_max)
        book = market_maker_book(market, valuation, options.seed, desk.age_s_max, DEMO_BOOK)
    return opened(book, Market.empty(source.universe).apply(source.marks()), desk)
