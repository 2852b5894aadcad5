"""A journal worked through the engine once more: every event decided again, every decision compared.

What an engine wrote down is enough to be that engine again: from the listings and the book it began with, its
events give the same decisions, and those the same book. At a later start in the same journal the state is
recovered from the records before it, as the engine itself did it then.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path

from hedger.core.decide import decide
from hedger.core.gate import EngineSettings
from hedger.core.state import State
from hedger.engine.recording import state_digest
from hedger.engine.starting import booked_since, first_state
from hedger.journal.configuration import limits_on_record, settings_of, settings_sha256
from hedger.journal.entries import (
    EVENT_KINDS,
    Configuration,
    DecisionRecord,
    Head,
    JournalName,
    Kind,
    MarksOnTape,
    ModeChange,
    Record,
    read,
    read_event,
)
from hedger.journal.journal import open_to_read
from hedger.journal.recovery import recover
from hedger.journal.storage import EVERY_KIND, JournalDamaged, Storage
from hedger.limits_file import LoadedLimits
from hedger.runs.engine_settings import settings_on_venues
from hedger.runs.paper_setup import fresh_state, one_numeraire, venues_of
from hedger.runs.replay import replay_engine, tape_sha256
from hedger.settings import Settings
from pricing.errors import InputError
from pricing.market import Marks
from pricing.universe import Universe
from risk.book import Book
from venues.tape import Tape

#: The kinds that are read here; what else a journal holds follows from them.
_READ = (*EVENT_KINDS, Kind.CONFIGURATION, Kind.LISTINGS, Kind.BOOK, Kind.DECISION, Kind.MODE)


@dataclass(frozen=True, slots=True)
class Refolded:
    """A journal worked through again.

    starts: of engines. different: seqs of decisions that came out otherwise. undecided: seqs of events
    without a decision: the engine stopped there. same_book: whether the book is the one that executions and
    adjustments on record add up to. digest: of the last state.
    """

    starts: int
    events: int
    decisions: int
    different: tuple[int, ...]
    undecided: tuple[int, ...]
    same_book: bool
    digest: str

    @property
    def same(self) -> bool:
        """Whether everything came out as it did."""
        return not self.different and self.same_book


def refold(path: Path, tape: Tape | None, settings: Settings, limits: LoadedLimits) -> Refolded:
    """Decide a journal again, event by event, and compare the decisions.

    Every start is decided by the settings and limits on its own record. tape: where the marks lie on one.
    settings, limits: for starts that wrote down the hash alone, as older releases did.

    Raises:
        InputError: no journal, other settings or limits than such a start had, or a tape that is missing or
            another one. It is known of every start before anything is decided.
        JournalDamaged: the journal is not what was written.
    """
    storage = open_to_read(path)
    try:
        givens = _given(storage, path, tape, one_numeraire(settings), limits)
        walk = _Walk(storage, path, tape, givens)
        for record in storage.records(kinds=_READ):
            walk.take(record)
        return walk.result()
    finally:
        storage.close()


class _Walk:
    """Records taken so far, one after the other."""

    def __init__(self, storage: Storage, path: Path, tape: Tape | None, givens: Mapping[int, _Given]) -> None:
        """givens: of each start, by the number of its record."""
        self._storage, self._path, self._givens = storage, path, givens
        self._given: _Given | None = None
        self._marks = _no_tape if tape is None else batches_of(tape)
        self._begin: tuple[Record, Configuration] | None = None
        self._universe: Universe | None = None
        self._opening = Book()
        self._state: State | None = None
        self._engine: EngineSettings | None = None
        self._digests: dict[int, str] = {}
        self._different: list[int] = []
        self.starts = self.events = self.decisions = 0

    def take(self, record: Record) -> None:
        """One record more."""
        if record.kind in EVENT_KINDS:
            self._event(record)
            return
        word = read(record)
        match word:
            case Configuration():
                self._given = self._givens[record.number]
                self._begin = record, word
                self.starts += 1
            case DecisionRecord():
                self.decisions += 1
                if self._digests.pop(record.seq, None) != word.digest:
                    self._different.append(record.seq)
            case Book():
                assert self._universe is not None, "a book before its listings"
                self._opening = word
                if self._storage.name.trading == "replay":  # which begins at once
                    self._engine = self._replay_settings(record.now_ns)
                    self._state = fresh_state(self._universe, word, record.now_ns)
            case ModeChange() if self._begin is not None and self._storage.name.trading != "replay":
                # The first word on the mode after a start is that start's own.
                self._start(*self._begin, latched=word.mode == "killed")
                self._begin = None
            case tuple():
                self._universe = Universe.of(word)

    def _event(self, record: Record) -> None:
        assert self._state is not None and self._engine is not None, "an event before the book"
        event = read_event(record, self._marks)
        self._state, decision = decide(self._state, event, self._engine)
        self._digests[event.seq] = decision.digest
        self.events += 1

    def result(self) -> Refolded:
        """What came of it."""
        state = self._state
        same = True
        if state is not None:
            found = recover(self._storage, where=self._path.name)
            same = _held(booked_since(found, Book())) == _held(state.book)
        return Refolded(
            starts=self.starts,
            events=self.events,
            decisions=self.decisions,
            different=tuple(self._different),
            undecided=tuple(self._digests),
            same_book=same,
            digest="" if state is None else state_digest(state),
        )

    def _start(self, record: Record, began: Configuration, *, latched: bool) -> None:
        """The state of a start, from what the journal held when it was made."""
        assert self._universe is not None and self._given is not None, "a start without listings"
        before = _Until(self._storage, record.number)
        names = began.venues or venues_of(self._universe)
        name = self._storage.name
        desk, limits = self._given.settings, self._given.limits
        self._engine = settings_on_venues(desk, name.engine, limits, names, record.now_ns, name.on_venues)
        found = recover(before, where=self._path.name, monotonic_ns=began.monotonic_ns)
        self._state = first_state(
            replace(found, last_seq=record.seq),  # a person may have had numbers go on above those of venues
            self._universe,
            self._opening,
            names,
            record.now_ns if began.since_ns is None else began.since_ns,
            latched=latched,
            now_ns=record.now_ns,
            monotonic_ns=began.monotonic_ns,
        )

    def _replay_settings(self, at_ns: int) -> EngineSettings:
        assert self._universe is not None and self._given is not None
        desk, limits = self._given.settings, self._given.limits
        return replay_engine(desk, limits, self._universe, at_ns, self._storage.name.engine)


@dataclass(frozen=True, slots=True)
class _Given:
    """What a start was given."""

    settings: Settings
    limits: LoadedLimits


def _given(
    storage: Storage, path: Path, tape: Tape | None, at_hand: Settings, limits: LoadedLimits
) -> dict[int, _Given]:
    """What each start was given, by the number of its record: as it stands there, or at hand where the record
    has the hash alone.

    Raises:
        InputError: what is at hand, or the tape, is not what a start had.
    """
    found = {}
    for record in storage.records(kinds=[Kind.CONFIGURATION]):
        word = read(record)
        assert isinstance(word, Configuration)
        settings = settings_of(word)
        if settings is None or settings_sha256(settings) != word.settings_sha256:
            settings = at_hand  # an older release's record, or one that this release reads otherwise
        hard = limits_on_record(word) or limits
        pairs = [("settings", word.settings_sha256, settings_sha256(settings))]
        pairs.append(("limits", word.limits_sha256, hard.sha256))
        if tape is not None:
            pairs.append(("tape", word.tape_sha256, tape_sha256(tape)))
        for name, was, now in pairs:
            if was != now:
                raise _other(path, name, was, now)
        found[record.number] = _Given(settings, hard)
    return found


def _other(path: Path, name: str, was: str, now: str) -> InputError:
    return InputError(
        "JOURNAL_OTHER",
        f"the journal was written with another {name}",
        where=str(path),
        observed=now[:16],
        allowed=was[:16],
        not_done="nothing was decided again",
        fix=f"give the {name} of then",
    )


def _held(book: Book) -> tuple[object, ...]:
    """Positions and cash, exactly; nothing is as good as none."""
    positions = {key: (p.quantity, p.paid) for key, p in book.positions.items() if p.quantity or p.paid}
    return positions, {key: amount for key, amount in book.cash.items() if amount}


class _Until:
    """A journal as it was before one of its records."""

    def __init__(self, storage: Storage, number: int) -> None:
        self._storage, self._number = storage, number

    @property
    def name(self) -> JournalName:
        return self._storage.name

    def head(self) -> Head:
        last = Head(0, self.name.genesis)
        for record in self.records():
            last = Head(record.number, record.hash)
        return last

    def records(self, first: int = 1, kinds: Collection[str] = EVERY_KIND) -> Iterator[Record]:
        return takewhile(lambda record: record.number < self._number, self._storage.records(first, kinds))

    def commit(self, records: object) -> None:
        raise AssertionError("the past is not written to")

    def tidy(self) -> None:
        """Nothing waits to be done."""

    def close(self) -> None:
        """Nothing of its own is open."""


def batches_of(tape: Tape) -> Callable[[MarksOnTape], Marks]:
    """Batches of a tape by number, in the order in which a run asked for them."""
    batches = tape.marks()
    held: list[Marks] = []

    def find(what: MarksOnTape) -> Marks:
        while not held or held[0].seq < what.seq:
            more = next(batches, None)
            if more is None:
                raise JournalDamaged(
                    "JOURNAL_DAMAGED",
                    "the journal speaks of a batch that its tape does not have",
                    observed=f"batch {what.seq}",
                    not_done="it was not decided again any further",
                    fix="`hedger journal verify` and `hedger tape verify` say which of them is damaged",
                )
            held[:] = [more]
        return replace(held[0], now_ns=what.now_ns)

    return find


def _no_tape(what: MarksOnTape) -> Marks:
    raise InputError(
        "TAPE_NEEDED",
        "the journal's marks lie on a tape",
        where="--tape",
        observed=f"batch {what.seq} of {what.tape[:16]}",
        allowed="the tape of the run",
        not_done="nothing was decided again",
        fix="name the tape",
    )
