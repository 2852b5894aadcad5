"""The second half of the demo's story in virtual time, for where there is no screen: a fall, a dropped venue,
an order of unknown fate, and what becomes of it.

The same engine, market and paper venue, and the same stage as on the screen; the clock is moved.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from hedger.core.decision import Decision
from hedger.core.events import Event
from hedger.core.state import State
from hedger.demo.run import DEMO_SOLVER, DEMO_TERMS, ENGINE_TAG
from hedger.demo.stage import DEMO_STAGE
from hedger.engine.clock import VirtualClock
from hedger.engine.engine import NoRecord, Recorder
from hedger.engine.recording import JournalRecorder, newly_booked
from hedger.engine.starting import write_start
from hedger.journal.entries import JournalName
from hedger.journal.journal import Journal
from hedger.limits_file import load_limits
from hedger.runs.launch import RunOptions, configuration, recovered
from hedger.runs.paper_setup import engine_settings, fresh_state, one_numeraire, paper_limits, venues_of
from hedger.runs.paper_world import PaperWorld, exchanges_of
from hedger.sample import DEMO_BOOK, market_maker_book
from hedger.settings import Settings
from pricing.market import Market
from pricing.valuation import value
from risk.book import Book
from risk.limit_terms import Limits
from venues.simulated import START_NS, SimulatedMarket

#: Market seconds between two marks, and in all.
STEP_S = 1.0
SECONDS = 45.0

#: Is told of every turn: the state after it, the decision, and the fills of every order, by client id.
OnTurn = Callable[[State, Decision, Mapping[str, int]], None]


def drill(seed: int, settings: Settings, on_turn: OnTurn, journal: Path | None = None) -> State:
    """Play it; returns the engine's last state. The same seed and settings give the same turns. journal: a
    new one that tells of it; None: nothing is written."""
    desk = one_numeraire(settings).model_copy(update={"solver": DEMO_SOLVER})
    source = SimulatedMarket(seed, START_NS)
    market = Market.empty(source.universe).apply(source.marks())
    book = market_maker_book(market, value(market, desk.age_s_max), seed, desk.age_s_max, DEMO_BOOK)
    venues = venues_of(source.universe)
    faults = dict.fromkeys(venues, DEMO_STAGE.faults_from(START_NS))
    exchanges = exchanges_of(source.universe, book, lambda _: DEMO_TERMS, START_NS, seed=seed, faults=faults)

    fills: Counter[str] = Counter()

    def watch(before: State, event: Event, after: State, decision: Decision) -> None:
        fills.update(report.client_id for report in newly_booked(before, event, after))
        on_turn(after, decision, fills)

    with _recorded(journal, seed, desk, source, book) as record:
        world = PaperWorld(
            fresh_state(source.universe, book, START_NS),
            engine_settings(desk, ENGINE_TAG, paper_limits(Limits(), venues), venues),
            exchanges,
            VirtualClock(START_NS),
            record,
            watch=watch,
        )
        world.connect()
        world.feed(source.marks())
        world.arm(source.marks())
        for number in range(round(SECONDS / STEP_S)):
            had = exchanges[0].fault_counts
            for move in DEMO_STAGE.moves_between(number * STEP_S, (number + 1) * STEP_S, had):
                source.shock(move.move, move.coin)
            world.feed(source.step(STEP_S))
        world.finish()
    return world.state


@contextmanager
def _recorded(
    path: Path | None, seed: int, desk: Settings, source: SimulatedMarket, book: Book
) -> Iterator[Recorder]:
    """What writes the turns down while the block runs, after a start as every engine's."""
    if path is None:
        yield NoRecord()
        return
    limits, options = load_limits(None), RunOptions(path, seed=seed, reason="the demo")
    journal = Journal.open(path, JournalName("paper", ENGINE_TAG))
    try:
        found, _ = recovered(path, 0)
        begun = configuration(options, desk, limits, f"simulated {seed}", 0, seed)
        write_start(journal, found, START_NS, begun, source.universe.listings, book)
        yield JournalRecorder(journal)
    finally:
        journal.close()
