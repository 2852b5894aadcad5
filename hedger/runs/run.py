"""`hedger run`: the engine on the wall clock, on paper, on the simulated market. No keys, no internet.

What stands here puts the parts together and takes them apart again; `hedger.engine.service` is the loop.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from functools import partial

from hedger.core.state import Mode, State
from hedger.engine.clock import WallClock
from hedger.engine.logs import Log
from hedger.engine.metrics import MetricsServer, loopback
from hedger.engine.recording import JournalRecorder
from hedger.engine.reloading import read_again
from hedger.engine.service import Ending, Parts, Service
from hedger.engine.starting import first_state, write_start
from hedger.inputs import read_book
from hedger.journal.commands_file import CommandBox
from hedger.journal.entries import Configuration, JournalName
from hedger.journal.journal import Journal
from hedger.journal.kill_latch import FileLatch, KillLatch
from hedger.limits_file import LoadedLimits, limits_text
from hedger.runs.demo import DEMO_BOOK
from hedger.runs.launch import (
    Ran,
    RunOptions,
    check_limits,
    loop_factory,
    recovered,
    start_watchdog,
    user_name,
    wait_for,
)
from hedger.runs.paper_setup import (
    engine_settings,
    margin_models,
    one_numeraire,
    paper_limits,
    paper_terms,
    venues_of,
    wealth_usd,
)
from hedger.runs.replay import on_one_account, opened, settings_sha256
from hedger.runs.results import Results
from hedger.sample import market_maker_book
from hedger.settings import Settings
from pricing.compiled import warm_up
from pricing.daycount import NS_PER_SECOND
from pricing.errors import Exit, HedgerError
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
    opening = _opening(options, source, desk)
    now_ns = clock.now_ns()  # once: what is on record of a start is what the engine started with
    write_start(
        journal,
        found,
        now_ns,
        Configuration(
            version="1",
            settings_sha256=settings_sha256(desk),
            limits_sha256=limits.sha256,
            tape_sha256=hashlib.sha256(f"simulated {options.seed}".encode()).hexdigest(),
            user=user_name(),
            reason=options.reason,
            limits=limits_text(limits.limits),
            monotonic_ns=monotonic_ns,
        ),
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
    exchange = PaperExchange(venues[0], source.universe, terms, now_ns, book=state.book, seed=options.seed)
    sending = engine_settings(desk, ENGINE_TAG, paper_limits(limits.limits, venues), venues, models)
    box = CommandBox(options.journal, found.commands)
    dog: subprocess.Popen[bytes] | None = None
    metrics: MetricsServer | None = None
    try:
        if desk.run.metrics_port:
            metrics = MetricsServer(desk.run.metrics_host, desk.run.metrics_port)
            log.say("metrics", port=metrics.port)
        end_ns = None
        if options.minutes is not None:
            end_ns = clock.monotonic_ns() + round(options.minutes * 60e9)

        def parts(venue: PaperVenue) -> Parts:
            return Parts(
                venues=(venue,),
                state=state,
                settings=sending,
                record=JournalRecorder(journal),
                latch=latch,
                journal=options.journal,
                config=desk.run,
                log=log,
                clock=clock,
                box=box,
                metrics=metrics,
                arm=options.arm,
                end_ns=end_ns,
                reload=partial(read_again, options.config, one_numeraire),
            )

        if options.watchdog:
            dog = start_watchdog(options.journal, options.config)
        log.say("started", journal=options.journal.name, mode=str(state.mode), seq=state.seq, pid=os.getpid())
        results = Results(desk.pnl.tolerance())
        service, ending = _on_a_loop(exchange, source, clock, desk, parts, results)
    finally:
        box.close()
        if metrics is not None:
            metrics.close()
        if dog is not None:
            wait_for(dog)
    if ending.fault is not None:
        raise ending.fault
    log.say("ended", reason=ending.why, seq=service.state.seq)
    return _ran(options, ending, service, results, exchange, desk, latch)


def _on_a_loop(
    exchange: PaperExchange,
    source: SimulatedMarket,
    clock: WallClock,
    desk: Settings,
    parts: Callable[[PaperVenue], Parts],
    results: Results,
) -> tuple[Service, Ending]:
    """The service on an event loop, with signals; on uvloop where it is installed."""

    async def main() -> tuple[Service, Ending]:
        venue = PaperVenue(exchange, clock)
        service = Service(parts(venue), results)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, service.stop, f"signal {number.name}", int(number))
        venue.start(_feed(source, clock, desk.run.mark_every_s))
        return service, await service.run()

    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(main())


async def _feed(
    source: SimulatedMarket, clock: WallClock, every_s: float
) -> AsyncIterator[Marks | MarketTrade]:
    """The simulated market in step with the clock."""
    yield source.marks()
    while True:
        await asyncio.sleep(every_s)
        seconds = (clock.now_ns() - source.now_ns) / NS_PER_SECOND
        if seconds > 0:
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


def _ran(
    options: RunOptions,
    ending: Ending,
    service: Service,
    results: Results,
    exchange: PaperExchange,
    desk: Settings,
    latch: KillLatch,
) -> Ran:
    state: State = service.state
    report = closing_report(exchange)
    results.close(state, state.snapshot)
    document = {
        "trading": "paper",
        "journal": str(options.journal),
        "ended": ending.why,
        "mode": "killed" if latch.found() is not None else str(state.mode),
        "seq": state.seq,
        **service.counts(),
        **results.document(),
        "equity_usd": wealth_usd(state, desk) if state.snapshot is not None else None,
        "open_orders": sorted(record.order.client_id for record in state.live_orders()),
        "paper": report.document(),
    }
    code = Exit.DONE
    if ending.signal:
        code = Exit.INTERRUPTED if ending.signal == signal.SIGINT else Exit.TERMINATED
    elif options.arm and not service.armed:
        code = Exit.REFUSED if state.mode is Mode.KILLED else Exit.UNRECONCILED
    return Ran(ending, document, report.text(), code)
