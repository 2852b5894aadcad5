"""A tape through the whole engine with the paper venue, in tape time.

The engine is the one that runs live; the quotes are the recorded ones, at the times when they were
recorded. Nobody who traded then answers to our orders: what paper cannot know is said at the end.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import chain, islice
from pathlib import Path
from typing import Any

import polars as pl

from hedger.build import this_build
from hedger.core.gate import EngineSettings
from hedger.core.state import State
from hedger.engine.clock import VirtualClock
from hedger.engine.engine import NoRecord, Recorder
from hedger.engine.recording import JournalRecorder, state_digest
from hedger.inputs import read_book
from hedger.journal.configuration import settings_sha256, settings_text
from hedger.journal.entries import (
    Configuration,
    JournalName,
    book_entry,
    configuration_entry,
    listings_entry,
)
from hedger.journal.journal import Journal
from hedger.limits_file import LoadedLimits
from hedger.margin_models import margin_models
from hedger.problem.snapshot import take_snapshot
from hedger.runs.by_timetable import RunClock, RunWorld
from hedger.runs.opening import on_one_account, opened
from hedger.runs.paper_setup import (
    engine_settings,
    fresh_state,
    one_numeraire,
    paper_limits,
    paper_terms,
    venues_of,
)
from hedger.runs.paper_world import PaperWorld, exchanges_of
from hedger.runs.results import Results
from hedger.runs.timetable import FEED_TAG
from hedger.settings import Settings
from pricing.compiled import warm_up
from pricing.contracts import Side
from pricing.daycount import NS_PER_SECOND
from pricing.errors import InputError
from pricing.market import Market, Marks
from pricing.universe import Universe
from pricing.valuation import MarkStatus, value
from risk.book import Book, settles_daily
from venues.paper_exchange import PaperExchange
from venues.paper_faults import Fault
from venues.paper_feed import MarketTrade
from venues.paper_report import PaperReport, closing_report
from venues.tape import Tape
from venues.tape_checks import timetable_problems

ENGINE_TAG = "tape"
#: A run that was armed later than so long after its first batch was not armed at its start.
_ARMED_S_MAX = 10.0
#: Puts what else is known of the market between the batches of a tape.
Filling = Callable[[Universe, Iterator[Marks]], Iterator[Marks]]


@dataclass(frozen=True, slots=True, eq=False)
class Replay:
    """A replay that has ended: its document, the engine's last state, what the paper venues close with."""

    document: dict[str, Any]
    state: State
    reports: tuple[PaperReport, ...]


def replay(
    tape: Tape,
    book_file: Path | Book,
    settings: Settings,
    limits: LoadedLimits,
    journal: Path | None = None,
    on_mark: Callable[[int, int], None] | None = None,
    seed: int | None = None,
    between: Filling | None = None,
    faults: Sequence[Fault] = (),
) -> Replay:
    """Play a tape to the engine, armed as soon as all that the book holds has a price.

    on_mark: is told of batches of the tape done, and of how many. between: puts batches of its own between
    the tape's. seed: of latencies and faults; None: that of the run that was put on the tape, else 0.
    faults: what goes wrong at every venue. book_file: or, of a run's journal, the book that it began with.

    The tape of a run has its timetable: it is replayed by that, as far as the replay does what the run did
    (`hedger.runs.by_timetable`).

    The same tape, book, settings and limits give the same document: every setting counts as in a run, the
    lot search's limit as well, which is one of work and not of time.

    Raises:
        InputError: a file that cannot be used, or a journal that holds something already.
    """
    warm_up()
    desk = one_numeraire(settings)
    universe = desk.with_fees(tape.universe)
    batches = tape.marks() if between is None else between(universe, tape.marks())
    first = next(batches)
    if isinstance(book_file, Book):
        book, head = book_file, [first]
    else:
        book, head = _begin(
            on_one_account(read_book(book_file, universe, first.now_ns)), universe, first, batches, desk
        )
    timetable = _timetable(tape) if len(head) == 1 and between is None and not faults else None
    tag = ENGINE_TAG if timetable is None else FEED_TAG
    seed = _seed(tape) if seed is None else seed
    models = margin_models(desk.paper, venues_of(universe), first.now_ns)
    setup = _Setup(
        tape=tape,
        book_file=book_file,
        book=book,
        desk=desk,
        limits=limits,
        now_ns=first.now_ns,
        seed=seed,
        tag=tag,
        sending=replay_engine(desk, limits, universe, first.now_ns, tag),
        state=fresh_state(universe, book, first.now_ns),
        exchanges=exchanges_of(
            universe,
            book,
            lambda name: paper_terms(desk, name, models),
            first.now_ns,
            seed=seed,
            faults=dict.fromkeys(venues_of(universe), faults),
        ),
        timetable=timetable,
    )
    results, feed = Results(desk.pnl.tolerance()), _Feed(tape, universe, on_mark)
    written, record = _journal(journal, setup, feed.last)
    try:
        world, followed = _played(setup, record, results, feed, head, batches)
    finally:
        if written is not None:
            written.close()
    return _ended(world, results, desk, feed, followed)


@dataclass(frozen=True, slots=True, eq=False)
class _Setup:
    """What a replay begins with, at now_ns. book_file: where its book was read, or the book that was given.
    tag: the engine's own, or that of the run whose timetable it has."""

    tape: Tape
    book_file: Path | Book
    book: Book
    desk: Settings
    limits: LoadedLimits
    now_ns: int
    seed: int
    tag: str
    sending: EngineSettings
    state: State
    exchanges: Sequence[PaperExchange]
    timetable: pl.DataFrame | None


def _played(
    setup: _Setup,
    record: Recorder,
    results: Results,
    feed: _Feed,
    head: Sequence[Marks],
    batches: Iterator[Marks],
) -> tuple[PaperWorld, dict[str, Any] | None]:
    """The world at the tape's end, and how far a timetable was followed. head: the batches up to the one that
    tells a price of everything held, after which it is armed."""
    rest: Iterator[Marks] = chain(head, batches)
    armed_ns, followed = _armed_ns(setup.tape, head), None
    world: PaperWorld
    if setup.timetable is None:
        clock = VirtualClock(setup.now_ns)
        world = PaperWorld(setup.state, setup.sending, setup.exchanges, clock, record, watch=results)
        world.connect()
    else:
        ran, followed = _followed(setup, setup.timetable, record, results, rest)
        world, rest = ran, ran.rest()
        feed.skip(followed["marks"])
    begun = feed.fed > 0  # by the timetable, which armed it
    for marks in rest:
        feed.give(world, marks, keep=followed is None)
        if feed.fed == len(head) and not begun:
            if armed_ns is not None:
                world.run_to(max(armed_ns, world.clock.now_ns()))
            world.arm(marks)
    if followed is None or not followed["whole"]:
        world.finish()
    return world, followed


def _ended(
    world: PaperWorld, results: Results, desk: Settings, feed: _Feed, followed: dict[str, Any] | None
) -> Replay:
    state, end = world.state, None
    if state.snapshot is not None:
        end = take_snapshot(state.book, state.market, desk, marked=True, last_good=state.last_good)
    results.close(state, end)
    document = {
        **results.document(),
        "marks": feed.fed,
        "marks_between": feed.fed - feed.done,
        "followed": followed,
        "mode": str(state.mode),
        "reason": state.reason,
        "state_digest": state_digest(state),
    }
    return Replay(document, state, tuple(closing_report(x) for x in world.exchanges))


class _Feed:
    """What a world is fed of a tape, and of what was put between its batches. fed: batches; done: those of
    the tape among them. last: the tape's newest, of which one is still on its way to us when the next leaves
    the tape."""

    def __init__(self, tape: Tape, universe: Universe, on_mark: Callable[[int, int], None] | None) -> None:
        batches = tape.batches
        self._recorded = list(zip(batches.seq.tolist(), batches.now_ns.tolist(), strict=True))
        self._trades = _trades(tape, universe)
        self._on_mark = on_mark
        self.fed = self.done = 0
        self.last: list[Marks] = []

    def skip(self, marks: int) -> None:
        """The tape's first batches came by its timetable."""
        self.fed = self.done = marks
        deque(islice(self._trades, marks), maxlen=0)

    def give(self, world: PaperWorld, marks: Marks, keep: bool) -> None:
        """One batch more. keep: among the newest, if it is the tape's."""
        at = self.done
        on_tape = at < len(self._recorded) and (marks.seq, marks.now_ns) == self._recorded[at]
        if on_tape and keep:
            self.last[:] = [*self.last[-1:], marks]
        world.feed(marks, next(self._trades) if on_tape else ())
        self.fed, self.done = self.fed + 1, self.done + on_tape
        if self._on_mark is not None and on_tape:
            self._on_mark(self.done, len(self._recorded))


def replay_engine(
    desk: Settings, limits: LoadedLimits, universe: Universe, at_ns: int, tag: str
) -> EngineSettings:
    """What the engine is told in a replay that begins at a time. tag: its own, or that of the run whose
    timetable it has: then quotes are as old as they were to that."""
    venues = venues_of(universe)
    age_s_max = desk.age_s_max if tag == ENGINE_TAG else None
    models = margin_models(desk.paper, venues, at_ns)
    return engine_settings(desk, tag, paper_limits(limits.limits, venues, age_s_max), venues, models)


def _followed(
    setup: _Setup,
    timetable: pl.DataFrame,
    record: Recorder,
    results: Results,
    batches: Iterator[Marks],
) -> tuple[RunWorld, dict[str, Any]]:
    """A run once more by its timetable, as far as that goes; armed, where it was left before the run was and
    after its first batch."""
    looks = timetable.filter(pl.col("what") == "look")
    begun = (
        looks.select("now_ns", "monotonic_ns").row(0) if looks.height else (setup.exchanges[0].now_ns,) * 2
    )
    clock = RunClock(*begun)
    trades = _every_trade(setup.tape)
    world = RunWorld(setup.state, setup.sending, setup.exchanges, clock, record, results, batches, trades)
    whole = world.follow(timetable)
    if not whole and not world.armed:
        world.connect()  # perhaps it was left before the run's own first word on its links
        if world.last is not None:
            world.arm(world.last)
    return world, {"whole": whole, "looks": world.looks, "marks": world.taken, "left": world.left}


def _timetable(tape: Tape) -> pl.DataFrame | None:
    """What the run did that was put on this tape; None: it is no tape of a run, or of an older release.

    Raises:
        InputError: it makes no sense.
    """
    if "timetable" not in tape.present:
        return None
    timetable = tape.frame("timetable")
    if problems := timetable_problems(timetable):
        raise InputError(
            "TAPE_UNSOUND",
            "the rows do not make a sound timetable",
            where=tape.path.name,
            observed=problems[0],
            not_done="nothing was replayed",
            fix="see `hedger tape verify`",
        )
    return timetable


def _seed(tape: Tape) -> int:
    seed = tape.description["options"].get("seed")
    return seed if type(seed) is int and seed >= 0 else 0


def _begin(
    book: Book, universe: Universe, first: Marks, rest: Iterator[Marks], desk: Settings
) -> tuple[Book, list[Marks]]:
    """The opened book, and the batches up to the one that tells a price of everything it holds."""
    head, market = [first], Market.empty(universe).apply(first)
    held = [universe.positions[p.listing.key] for p in book.positions.values() if settles_daily(p.listing)]
    while (value(market, desk.age_s_max).status[held] != MarkStatus.OK).any():
        marks = next(rest, None)
        if marks is None:
            break
        head.append(marks)
        market = market.apply(marks)
    return opened(book, market, desk), head


def _armed_ns(tape: Tape, head: Sequence[Marks]) -> int | None:
    """When the run was armed that was put on this tape, if it began with what the replay begins with; None:
    it is armed as soon as it can be."""
    armed_ns = tape.description["options"].get("armed_ns")
    if len(head) > 1 or type(armed_ns) is not int:
        return None
    return armed_ns if 0 <= armed_ns - head[0].now_ns <= _ARMED_S_MAX * NS_PER_SECOND else None


def _every_trade(tape: Tape) -> list[MarketTrade]:
    """What others traded, in the order in which it was heard."""
    return [
        MarketTrade(
            row["symbol"],
            Side(row["side"]),
            Decimal(repr(row["price"])),
            Decimal(repr(row["size"])),
            row["local_ns"],
            row["venue"],
        )
        for row in tape.frame("trades").iter_rows(named=True)
    ]


def _trades(tape: Tape, universe: Universe) -> Iterator[list[MarketTrade]]:
    """What others traded before each batch; nothing for ever where the tape has no trades."""
    if "trades" in tape.present:
        for found in tape.trades():
            yield [
                MarketTrade(
                    universe.listings[row].symbol,
                    Side.BUY if side > 0 else Side.SELL,
                    Decimal(repr(price)),
                    Decimal(repr(size)),
                    at_ns,
                    universe.listings[row].venue,
                )
                for row, side, price, size, at_ns in zip(
                    found.rows.tolist(),
                    found.side.tolist(),
                    found.price.tolist(),
                    found.size.tolist(),
                    found.local_ns.tolist(),
                    strict=True,
                )
            ]
    while True:
        yield []


# -------------------------------------------------------------------------------------------------- journal


def _journal(path: Path | None, setup: _Setup, last_fed: Sequence[Marks]) -> tuple[Journal | None, Recorder]:
    """A new journal and what writes into it. last_fed: the tape's newest batches, as they come."""
    if path is None:
        return None, NoRecord()
    journal = Journal.open(path, JournalName("replay", setup.tag))
    if journal.head.number:
        journal.close()
        raise InputError(
            "JOURNAL_NOT_EMPTY",
            "the journal holds another run already",
            where=str(path),
            observed=f"{journal.head.number} records",
            allowed="a new file: a replay is recorded whole",
            not_done="nothing was replayed",
            fix="name another --journal",
        )
    sha = tape_sha256(setup.tape)
    journal.append(
        configuration_entry(
            -1,
            setup.now_ns,
            Configuration(
                version=this_build(),
                settings_sha256=settings_sha256(setup.desk),
                limits_sha256=setup.limits.sha256,
                tape_sha256=sha,
                book_sha256="" if isinstance(setup.book_file, Book) else _sha256(setup.book_file),
                user="replay",
                settings=settings_text(setup.desk),
                seed=setup.seed,
            ),
        ),
        listings_entry(-1, setup.now_ns, setup.state.market.universe.listings),
        book_entry(-1, setup.now_ns, setup.book),
    )

    def lies_there(marks: Marks) -> bool:
        # The paper venue hands a batch on as it is, restamped: of several venues each has its own part.
        return any(marks.seq == fed.seq and marks.bid is fed.bid for fed in last_fed)

    return journal, JournalRecorder(journal, sha, lies_there)


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def tape_sha256(tape: Tape) -> str:
    """A tape by one hash: of the hashes of its files."""
    files = sorted(tape.description["hash"].items())
    return hashlib.sha256(repr(files).encode()).hexdigest()
