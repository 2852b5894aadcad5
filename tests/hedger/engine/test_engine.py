"""The engine's step: written before done, the latch set before a kill is looked at, started by recovery."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from hedger.core.actions import Submit
from hedger.core.decision import Decision
from hedger.core.events import Command, Event, Tick, Verb
from hedger.core.gate import Denied, EngineSettings, Situation
from hedger.core.order_life import OrderRecord
from hedger.core.state import Mode, State
from hedger.engine.clock import VirtualClock
from hedger.engine.engine import Engine, NoRecord
from hedger.engine.recording import JournalRecorder, entries_of, state_digest
from hedger.engine.router import PaperLine
from hedger.engine.starting import booked_since, first_state, write_start
from hedger.journal.entries import Configuration, Intent, JournalName, Kind, LatchChange, read
from hedger.journal.journal import Journal
from hedger.journal.kill_latch import MemoryLatch
from hedger.journal.recovery import recover
from hedger.journal.storage import JournalUnwritable, MemoryDisk, MemoryStorage, StorageFaults
from hedger.runs.paper_setup import engine_settings, fresh_state, paper_limits, venues_of
from hedger.runs.paper_world import PaperWorld, exchanges_of
from pricing.errors import InputError
from pricing.market import Marks
from risk.limit_terms import Limits
from tests.hedger.rig import CHAIN, book_of, desk, option_symbol
from venues.orders import ComboOrder, Order, OrderState, TradeReport
from venues.paper_faults import Fault, FaultKind
from venues.paper_terms import Constant, FeeModel, Latencies, PaperTerms, Queue
from venues.simulated import SimulatedMarket

TAG = "test"
NAME = JournalName("paper", TAG)
WAY = Constant(20_000_000)
TERMS = PaperTerms(
    fees=FeeModel.LISTING, latency=Latencies(Constant(0), WAY, WAY), queue=Queue(), margin=None
)


class Bench:
    """A world on a small market with a journal in memory."""

    def __init__(self, disk: MemoryDisk | None = None, faults: tuple[Fault, ...] = ()) -> None:
        self.source = SimulatedMarket(7, settings=CHAIN)
        self.disk = MemoryDisk(NAME) if disk is None else disk
        self.opening = book_of(self.source, {option_symbol(self.source): "-60"})
        self.latch = MemoryLatch()
        self.decisions: list[Decision] = []
        self.events: list[Event] = []
        venues = venues_of(self.source.universe)
        self.sending = engine_settings(desk(), TAG, paper_limits(Limits(), venues), venues)
        self.start(faults)

    def start(self, faults: tuple[Fault, ...] = ()) -> None:
        """Start, or start again on the same disk: a new venue, which has the book and no orders."""
        storage = MemoryStorage(self.disk)
        found = recover(storage, monotonic_ns=self.source.now_ns)
        self.journal = Journal(storage)
        latched = self.latch.found() is not None
        now_ns, universe = self.source.now_ns, self.source.universe
        configuration = Configuration("1", "s")
        write_start(
            self.journal, found, now_ns, configuration, universe.listings, self.opening, latched=latched
        )
        venues = venues_of(universe)
        state = first_state(found, universe, self.opening, venues, now_ns, latched=latched, now_ns=now_ns)
        exchanges = exchanges_of(
            universe, state.book, lambda _: TERMS, now_ns, faults=dict.fromkeys(venues, faults)
        )
        clock = VirtualClock(now_ns)
        record = JournalRecorder(self.journal)
        self.world = PaperWorld(state, self.sending, exchanges, clock, record, self.latch, self._seen)
        self.world.connect()
        self.world.feed(self.source.marks())

    def _seen(self, before: State, event: Event, after: State, decision: Decision) -> None:
        self.decisions.append(decision)
        self.events.append(event)

    def steps(self, n: int, seconds: float = 5.0) -> None:
        """Let market time pass."""
        for _ in range(n):
            self.world.feed(self.source.step(seconds))

    @property
    def positions(self) -> dict[str, Decimal]:
        """The engine's positions."""
        return {k[1]: p.quantity for k, p in self.world.state.book.positions.items() if p.quantity}

    @property
    def truth(self) -> dict[str, Decimal]:
        """The venue's."""
        return self.world.exchanges[0].core.account.positions()


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_breached_book_is_hedged_and_agrees_with_the_venue(bench: Bench) -> None:
    assert bench.world.arm(bench.source.marks())
    bench.steps(4)
    bench.world.finish()
    assert [d.verification.inside for d in bench.decisions if d.verification is not None][:1] == [True]
    assert len(bench.positions) > 1
    assert bench.positions == bench.truth
    assert all(record.settled for record in bench.world.state.orders.values())


def test_the_intent_is_on_the_disk_before_the_order_leaves(bench: Bench) -> None:
    sent: list[tuple[str, bool]] = []
    (line,) = bench.world.lines
    leave = line.submit

    class Watching(PaperLine):
        def submit(self, order: Order | ComboOrder) -> None:
            kept = [read(r) for r in bench.disk.records if r.kind == Kind.INTENT]
            sent.append((order.client_id, any(w.order == order for w in kept if isinstance(w, Intent))))
            leave(order)

    line.__class__ = Watching
    bench.world.arm(bench.source.marks())
    bench.steps(2)
    assert sent and all(durable for _, durable in sent)


def test_an_order_that_cannot_be_written_down_does_not_leave() -> None:
    bench = Bench()
    bench.world.settle()
    bench.disk.faults = StorageFaults(failing=range(bench.disk.commits + 2, bench.disk.commits + 100))
    with pytest.raises(JournalUnwritable):  # the command is written, the order's intent is not
        bench.world.arm(bench.source.marks())
        bench.steps(3)
    assert bench.world.router.counts.submits == 0
    with pytest.raises(JournalUnwritable):
        bench.world.engine.step(Tick())


def test_an_event_that_breaks_the_engine_is_written_for_whoever_looks() -> None:
    class Broken(Exception):
        pass

    def gate(order: Order, situation: Situation) -> Denied:
        raise Broken

    bench = Bench()
    bench.world.engine.settings = EngineSettings(desk(), TAG, gate)
    with pytest.raises(Broken):
        bench.world.arm(bench.source.marks())
    last = bench.disk.records[-1]
    assert last.kind == Kind.EVENT
    assert recover(MemoryStorage(bench.disk)).undecided == (last.seq,)


def test_the_journal_says_what_the_state_says(bench: Bench) -> None:
    bench.world.arm(bench.source.marks())
    bench.steps(6)
    bench.world.finish()
    bench.journal.sync()
    found = recover(MemoryStorage(bench.disk))
    state = bench.world.state
    assert found.undecided == ()
    book = booked_since(found, bench.opening)
    assert {k: (p.quantity, p.paid) for k, p in book.positions.items() if p.quantity} == {
        k: (p.quantity, p.paid) for k, p in state.book.positions.items() if p.quantity
    }
    assert dict(book.cash) == dict(state.book.cash)
    assert {c: (o.state, o.booked) for c, o in found.orders.items()} == {
        c: (o.state, o.booked) for c, o in state.orders.items()
    }
    assert found.digest == bench.decisions[-1].digest


def test_a_restart_begins_where_the_journal_ends_and_only_observes(bench: Bench) -> None:
    bench.world.arm(bench.source.marks())
    bench.steps(3)
    bench.world.finish()
    bench.journal.sync()
    before, positions = bench.world.state, bench.positions
    sent = bench.world.router.counts.submits
    bench.start()
    state = bench.world.state
    assert (state.mode, bench.positions, state.seq > before.seq) == (Mode.OBSERVE, positions, True)
    bench.steps(3)
    assert bench.world.router.counts.submits == 0  # not without a person
    bench.world.settle()
    assert bench.positions == bench.truth
    bench.world.command(Verb.ARM, "again")
    assert bench.world.state.mode is Mode.ARMED
    numbers = [record.order.client_id for record in bench.world.state.orders.values()]
    assert len(set(numbers)) == len(numbers) and sent > 0


def test_an_order_lost_in_a_crash_is_unknown_until_the_venue_has_denied_it_long_enough() -> None:
    bench = Bench()
    bench.world.settle()
    bench.world.command(Verb.ARM, "armed")
    marks = bench.source.step(1.0)
    for exchange in bench.world.exchanges:
        exchange.feed(marks)
    bench.world.clock.move_to(marks.now_ns)
    for line in bench.world.lines:
        line.poll()
    what = bench.world.inbox.take()
    assert isinstance(what, Marks)
    decision = bench.world.engine.step(what)  # decided and written, and then the process dies
    (submit,) = [a for a in decision.actions if isinstance(a, Submit)]
    client_id = submit.order.client_id
    bench.start()
    lost = bench.world.state.orders[client_id]
    assert lost.state is OrderState.UNKNOWN and lost.reserved == submit.order.quantity
    bench.world.command(Verb.ARM, "too early")
    assert str(bench.world.state.mode) == "observe"
    bench.steps(12)
    assert bench.world.state.orders[client_id].settled
    assert client_id not in [f.client_id for f in bench.world.exchanges[0].log]
    bench.world.command(Verb.ARM, "now")
    assert bench.world.state.mode is Mode.ARMED


def test_a_kill_is_latched_before_it_is_looked_at_and_outlives_a_restart() -> None:
    class Dying(NoRecord):
        def turn(self, before: State, event: Event, after: State, decision: Decision) -> None:
            raise JournalUnwritable("JOURNAL_UNWRITABLE", "full")

    bench, latch = Bench(), MemoryLatch()
    engine = Engine(bench.world.state, bench.sending, bench.world.clock, Dying(), latch=latch)
    with pytest.raises(JournalUnwritable):
        engine.step(Command("k", Verb.KILL, "me", "fire"))
    found = latch.found()
    assert found is not None and (found.user, found.reason) == ("me", "fire")
    bench.latch = latch
    bench.start()
    assert bench.world.state.mode is Mode.KILLED
    bench.world.arm(bench.source.marks())
    assert bench.world.state.mode is Mode.KILLED


def test_unkill_takes_the_latch_away_once_the_venues_have_shown_nothing_open(bench: Bench) -> None:
    bench.world.arm(bench.source.marks())
    bench.world.command(Verb.KILL, "test")
    assert bench.latch.found() is not None
    bench.world.command(Verb.UNKILL, "too early")
    assert bench.latch.found() is not None
    bench.world.finish()
    bench.world.command(Verb.UNKILL, "now")
    assert (bench.latch.found(), bench.world.state.mode) == (None, Mode.OBSERVE)
    bench.journal.sync()
    words = [read(r) for r in bench.disk.records if r.kind == Kind.LATCH]
    assert [word.set for word in words if isinstance(word, LatchChange)] == [True, False]


@pytest.mark.parametrize(
    "kind", [FaultKind.ACK_LOST, FaultKind.SHUFFLED, FaultKind.FILL_DROPPED, FaultKind.SERVER_ERROR]
)
def test_faults_end_with_the_venues_own_positions(kind: FaultKind) -> None:
    bench = Bench(faults=(Fault(kind, probability=0.5),))
    bench.world.arm(bench.source.marks())
    bench.steps(40)
    bench.world.finish(90.0)
    assert sum(bench.world.exchanges[0].fault_counts.values()) > 0
    assert bench.positions == bench.truth


def test_the_same_run_twice_is_the_same_to_the_byte() -> None:
    benches = [Bench(), Bench()]
    for bench in benches:
        bench.world.arm(bench.source.marks())
        bench.steps(5)
        bench.journal.sync()
    first, second = benches
    assert first.disk.records == second.disk.records
    assert state_digest(first.world.state) == state_digest(second.world.state)


def test_a_journal_begun_on_other_listings_is_refused(bench: Bench) -> None:
    bench.journal.sync()
    storage = MemoryStorage(bench.disk)
    other = SimulatedMarket(8).universe
    with pytest.raises(InputError, match="JOURNAL_OTHER_MARKET"):
        write_start(
            Journal(storage), recover(storage), 0, Configuration("1", ""), other.listings, bench.opening
        )


def test_the_clock_never_falls_for_the_engine(bench: Bench) -> None:
    times: Iterator[int] = iter([10, 5, 20])

    class Falling:
        def now_ns(self) -> int:
            return bench.source.now_ns + next(times)

        def monotonic_ns(self) -> int:
            return 1

    seen: list[Event] = []
    state = fresh_state(bench.source.universe, bench.opening, bench.source.now_ns)
    engine = Engine(state, bench.sending, Falling(), NoRecord(), lambda b, e, a, d: seen.append(e))
    for _ in range(3):
        engine.step(Tick())
    stamps = [event.now_ns for event in seen]
    assert stamps == sorted(stamps)
    assert [event.seq for event in seen] == [0, 1, 2]


def test_fills_of_an_account_report_are_written_once(bench: Bench) -> None:
    bench.world.arm(bench.source.marks())
    bench.steps(3)
    bench.world.finish()
    bench.journal.sync()
    words = [read(r) for r in bench.disk.records if r.kind == Kind.FILL]
    fills = [word for word in words if isinstance(word, TradeReport)]
    keys = [word.key for word in fills]
    assert len(keys) == len(set(keys)) == len(bench.world.state.trades) > 0
    state, record = bench.world.state, next(iter(bench.world.state.orders.values()))
    assert isinstance(record, OrderRecord)
    again = Event(state.seq + 1, state.now_ns, state.monotonic_ns, fills[0])
    decision = bench.decisions[-1]
    assert not [e for e in entries_of(state, again, state, decision) if e.kind is Kind.FILL]


def test_a_world_without_files_touches_none(bench: Bench, tmp_path: Path) -> None:
    bench.world.arm(bench.source.marks())
    assert list(tmp_path.iterdir()) == []
