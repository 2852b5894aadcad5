"""The engine and its paper venues in one thread on a clock that is moved: demo, replay, and tests.

No event loop: whatever is due next, a batch, a message under way, a credit, a timer, is done next, and time
is what it says. The same feed, seed and settings give the same run, to the byte.

The engine looks at its timers while something is in work; otherwise a batch wakes it. A feed that was
silent for longer than `GAP_S` is declared: the venues' accounts are read again before anything is sent, and
the batch is looked at a second time once they agree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Protocol

from hedger.core.commands import why_not_arm
from hedger.core.events import Command, Happening, Tick, Verb
from hedger.core.gate import EngineSettings
from hedger.core.order_life import OrderRecord
from hedger.core.reconcile import kill_confirmed
from hedger.core.state import Mode, State
from hedger.engine.clock import VirtualClock
from hedger.engine.engine import Engine, Recorder, Watcher
from hedger.engine.inbox import Inbox
from hedger.engine.router import PaperLine, Router, Tell
from hedger.journal.kill_latch import KillLatch, MemoryLatch
from pricing.daycount import NS_PER_SECOND
from pricing.market import Marks
from pricing.universe import Universe
from risk.book import Book
from venues.orders import Link, VenueStatus
from venues.paper_exchange import PaperExchange
from venues.paper_faults import Fault
from venues.paper_feed import MarketTrade
from venues.paper_terms import PaperTerms

#: Seconds between two looks at the timers while something is in work.
TICK_S = 0.5
#: A feed that was silent for longer is declared, and accounts are read again.
GAP_S = 60.0
#: What is in work for so long without news is looked at less often.
PATIENCE_S = 120.0
SLOW_TICK_S = 30.0
#: Accounts that have not agreed with the book by then never will by themselves.
SETTLE_S = 30.0


class Make(Protocol):
    """Makes a paper venue."""

    def __call__(
        self,
        venue: str,
        universe: Universe,
        terms: PaperTerms,
        start_ns: int,
        *,
        book: Book | None,
        faults: Sequence[Fault],
        seed: int,
    ) -> PaperExchange:
        """As `PaperExchange` is made."""
        ...


#: Makes the line to a paper venue, which tells what it hears.
MakeLine = Callable[[PaperExchange, VirtualClock, Tell], PaperLine]


class PaperWorld:
    """One engine among paper venues. See the module."""

    def __init__(
        self,
        state: State,
        settings: EngineSettings,
        exchanges: Sequence[PaperExchange],
        clock: VirtualClock,
        record: Recorder,
        latch: KillLatch | None = None,
        watch: Watcher | None = None,
        line: MakeLine = PaperLine,
    ) -> None:
        self.clock = clock
        self.latch = MemoryLatch() if latch is None else latch
        self.inbox = Inbox()
        self.exchanges = tuple(exchanges)
        self.lines: tuple[PaperLine, ...] = tuple(
            line(exchange, clock, partial(self._told, exchange.core.venue)) for exchange in exchanges
        )
        self.router = Router(self.lines, clock, partial(self._told, ""), self._latched)
        self.engine = Engine(state, settings, clock, record, watch, self.latch)
        self._fed_ns: int | None = None
        self._worked_ns = clock.now_ns()
        self._commands = 0

    @property
    def state(self) -> State:
        """The engine's state."""
        return self.engine.state

    def connect(self) -> None:
        """The venues can be reached: the engine asks for their accounts."""
        for line in self.lines:
            self.put(VenueStatus(line.name, Link.UP, venue_ns=self.clock.now_ns()))

    def put(self, what: Happening) -> None:
        """Something happens to the engine now."""
        self.inbox.put(what)
        self._turn()

    def command(self, verb: Verb, reason: str, user: str = "run", argument: str = "") -> None:
        """A wish of whoever runs this world."""
        self._commands += 1
        name = f"{user}-{self.state.seq + 1}-{self._commands}"  # its own, over restarts as well
        self.put(Command(name, verb, user, reason, argument))

    def feed(self, marks: Marks, trades: Sequence[MarketTrade] = ()) -> None:
        """The venues' books become these at marks.now_ns, after the trades up to then; works up to it."""
        for exchange in self.exchanges:
            mine = [t for t in trades if t.venue in ("", exchange.core.venue)]
            exchange.trades([t for t in mine if t.symbol in exchange.core.listings])
        before = self._fed_ns
        self.run_to(marks.now_ns - 1)
        self._fed_ns = marks.now_ns
        gap = before is not None and marks.now_ns - before > GAP_S * NS_PER_SECOND
        if gap:
            self.clock.move_to(marks.now_ns)
            for line in self.lines:
                self.put(VenueStatus(line.name, Link.UP, ("feed_gap",), venue_ns=marks.now_ns))
        for exchange in self.exchanges:
            exchange.feed(marks)
        self.run_to(marks.now_ns)
        if gap and self.state.mode.sends:
            self.settle()
            self._again(marks)

    def arm(self, marks: Marks) -> bool:
        """Arm once the accounts agree with the book, and look at the batch again; whether it was armed."""
        self.settle()
        self.command(Verb.ARM, "started armed")
        if self.state.mode is Mode.ARMED:
            self._again(marks)
        return self.state.mode is Mode.ARMED

    def settle(self) -> None:
        """Let time pass until nothing stands against sending, at most `SETTLE_S`."""
        limit = self.clock.now_ns() + round(SETTLE_S * NS_PER_SECOND)
        while why_not_arm(self.state) and (due := self._due()) is not None and due <= limit:
            self.clock.move_to(due)
            self._turn()

    def finish(self, seconds: float = SETTLE_S) -> None:
        """Let what is under way arrive, the last batch too, and what is in work come to its end."""
        limit = self.clock.now_ns() + round(seconds * NS_PER_SECOND)
        landed_ns = max(exchange.landed_ns for exchange in self.exchanges)
        self.run_to(max(self.clock.now_ns(), min(landed_ns, limit)))
        while self._busy() and (due := self._due()) is not None and due <= limit:
            self.clock.move_to(due)
            self._turn()

    def run_to(self, to_ns: int) -> None:
        """Everything that is due up to a time."""
        while (due := self._due()) is not None and due <= to_ns:
            self.clock.move_to(due)
            self._turn()
        self.clock.move_to(to_ns)

    def _again(self, marks: Marks) -> None:
        """The same batch once more: what could not be begun when it came can be now."""
        for exchange in self.exchanges:
            exchange.feed(marks)
        self.run_to(self.clock.now_ns())

    def _turn(self) -> None:
        """Do all that is due at this moment."""
        for line in self.lines:
            line.poll()
        worked = self.engine.drain(self.inbox, self.router)
        if worked:
            self._worked_ns = self.clock.now_ns()
        elif self._busy() and self._tick_ns() <= self.clock.now_ns():
            self._worked_ns = self.clock.now_ns()
            self.router.perform(self.engine.step(Tick()).actions)
        self.router.pump()
        self.router.alive()

    def _due(self) -> int | None:
        """When next something is to be done, now or later."""
        now_ns = self.clock.now_ns()
        due = [exchange.next_ns() for exchange in self.exchanges]
        if len(self.inbox):
            due.append(now_ns)
        if (credit := self.router.pump()) is not None:
            due.append(credit)
        if self._busy():
            due.append(self._tick_ns())
        return max(min(due), now_ns) if due else None

    def _tick_ns(self) -> int:
        """When the timers are looked at again."""
        oldest = min((r.since_ns for r in self._owed()), default=self._worked_ns)
        slow = self.clock.now_ns() - oldest > PATIENCE_S * NS_PER_SECOND
        return self._worked_ns + round((SLOW_TICK_S if slow else TICK_S) * NS_PER_SECOND)

    def _busy(self) -> bool:
        """Whether timers may have something to do."""
        state = self.state
        asked = any(v.asked_ns is not None for v in state.venues.values())
        killing = state.mode is Mode.KILLED and not kill_confirmed(state)
        drifting = any(v.drift for v in state.venues.values()) and state.mode.sends
        return state.execution is not None or asked or killing or drifting or bool(self._owed())

    def _owed(self) -> list[OrderRecord]:
        return [r for r in self.state.orders.values() if not r.settled]

    def _told(self, venue: str, what: Happening) -> None:
        """What a venue tells; "": the router itself."""
        self.inbox.put(what)

    def _latched(self) -> bool:
        return self.latch.found() is not None


def exchanges_of(
    universe: Universe,
    book: Book,
    terms: Callable[[str], PaperTerms],
    start_ns: int,
    *,
    seed: int = 0,
    faults: Mapping[str, Sequence[Fault]] | None = None,
    make: Make = PaperExchange,
) -> tuple[PaperExchange, ...]:
    """A paper venue for every venue of a universe, each with its part of the book on the account "".

    terms: by the venue's name. make: what makes one of them.

    Raises:
        InputError: terms that are not stated.
    """
    names = sorted({listing.venue for listing in universe.listings})
    return tuple(
        make(
            name,
            universe,
            terms(name),
            start_ns,
            book=book,
            faults=(faults or {}).get(name, ()),
            seed=seed + i,
        )
        for i, name in enumerate(names)
    )
