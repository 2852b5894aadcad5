"""A run once more, by the timetable on its tape: the same batches, at the same times, in the same order.

Decisions, orders and executions are made anew: by the engine, and by paper venues that are asked at the times
at which those of the run were. Where something else comes of it, an order that the run did not send, a word
of a venue that it did not hear, the timetable is left, and the rest is played as any other tape: so it is
with other settings, limits or another book.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain

import polars as pl

from hedger.core.events import Event, Happening, Tick
from hedger.core.gate import EngineSettings
from hedger.core.state import Mode, State
from hedger.engine.clock import Clock, VirtualClock
from hedger.engine.engine import Recorder, Watcher
from hedger.engine.router import PaperLine, Tell
from hedger.journal.codec import CodecError, load
from hedger.journal.entries import EventBody, MarksOnTape
from hedger.journal.frames import MarksFrame
from hedger.runs.paper_world import PaperWorld
from hedger.runs.timetable import MARKS, TICK, digest_of, order_digest, text_of
from pricing.market import Marks
from venues.market_trades import MarketTrade
from venues.orders import ComboOrder, Order
from venues.paper_exchange import PaperExchange

#: A request that the run did not make within so many looks of its engine, it did not make at all.
_LOOKS_MAX = 300
#: Of a row that cannot be read, letters that are shown.
_SHOWN = 80


class RunClock(VirtualClock):
    """The clocks of a run, both as it says they were; where it says nothing they go on side by side."""

    def __init__(self, now_ns: int, monotonic_ns: int) -> None:
        super().__init__(now_ns)
        self._apart_ns = monotonic_ns - now_ns

    def monotonic_ns(self) -> int:
        """For timers."""
        return self.now_ns() + self._apart_ns

    def at(self, now_ns: int, monotonic_ns: int | None = None) -> None:
        """It was so late."""
        self.set(now_ns)
        if monotonic_ns is not None:
            self._apart_ns = monotonic_ns - now_ns


@dataclass(frozen=True, slots=True)
class _Held:
    """A request that waits for the time at which the run made it."""

    text: str
    number: int
    since: int
    go: Callable[[], None]


class HeldLine(PaperLine):
    """A line whose requests leave when they are called for. free: they leave at once."""

    def __init__(self, exchange: PaperExchange, clock: Clock, tell: Tell) -> None:
        super().__init__(exchange, clock, tell)
        self.free = False
        self.looks = 0
        self.held: list[_Held] = []

    def submit(self, order: Order | ComboOrder) -> None:
        """Send an order."""
        self._hold(f"submit {order.client_id}", order_digest(order), partial(super().submit, order))

    def cancel(self, client_id: str) -> None:
        """Ask for a cancel."""
        self._hold(f"cancel {client_id}", 0, partial(super().cancel, client_id))

    def cancel_all(self) -> None:
        """Ask for the mass cancel."""
        self._hold("cancel_all ", 0, super().cancel_all)

    def ask_order(self, client_id: str) -> None:
        """Ask for one order."""
        self._hold(f"order {client_id}", 0, partial(super().ask_order, client_id))

    def ask_account(self, since_ns: int) -> None:
        """Ask for the account."""
        self._hold(f"account {since_ns}", 0, partial(super().ask_account, since_ns))

    def refresh(self) -> None:
        """Restart the dead man's timer: by itself only off the timetable, which knows when it was."""
        if self.free:
            super().refresh()

    def call(self, text: str, number: int) -> bool:
        """Let a request go; False: there is no such one."""
        for held in self.held:
            if (held.text, held.number) == (text, number):
                self.held.remove(held)
                held.go()
                return True
        return False

    @property
    def overdue(self) -> str:
        """A request that the run cannot have made; "": none."""
        first = self.held[0] if self.held else None
        return first.text if first is not None and self.looks - first.since > _LOOKS_MAX else ""

    def let_go(self) -> None:
        """Off the timetable: everything leaves at once from here on."""
        self.free = True
        held, self.held = self.held, []
        for one in held:
            one.go()

    def _hold(self, text: str, number: int, go: Callable[[], None]) -> None:
        if self.free:
            go()
        else:
            self.held.append(_Held(text, number, self.looks, go))


class RunWorld(PaperWorld):
    """An engine among paper venues by the timetable of a run, and on from there as any other.

    batches: of the tape, in order; trades: all of them. left: why the timetable was left, "" while it was
    not; looks: of the engine by it; taken: batches of the tape; last: of them; armed: whether it ever was.
    """

    def __init__(
        self,
        state: State,
        settings: EngineSettings,
        exchanges: Sequence[PaperExchange],
        clock: RunClock,
        record: Recorder,
        watch: Watcher,
        batches: Iterator[Marks],
        trades: Sequence[MarketTrade],
    ) -> None:
        self._held: dict[str, HeldLine] = {}
        super().__init__(state, settings, exchanges, clock, record, watch=watch, line=self._hold)
        self._run_clock = clock
        self._batches, self._trades = batches, trades
        self._ahead: Marks | None = None
        self._facts: list[Happening] = []
        self._marks: dict[str, deque[Marks]] = {name: deque() for name in self._held}
        self._opening: Marks | None = None
        self.last: Marks | None = None
        self.looks = self.taken = 0
        self.armed = False
        self.left, self._free = "", False

    def follow(self, timetable: pl.DataFrame) -> bool:
        """Do what it says; whether it was followed to its end."""
        found = "the timetable has no end: the run was cut off"
        for what, venue, now_ns, monotonic_ns, number, text in timetable.iter_rows():
            if what == "end":
                lost = self._next()
                if lost is None:
                    return True
                found = f"the timetable ends before batch {lost.seq} of the tape"
            elif what == "look":
                found = self._look(now_ns, monotonic_ns, number, text)
            else:
                found = self._venue(what, venue, now_ns, number, text)
            if found:
                break
        self.left = found or "the timetable has no end: the run was cut off"
        self._leave()
        return False

    def rest(self) -> Iterator[Marks]:
        """The batches of the tape that were not taken."""
        return self._batches if self._ahead is None else chain([self._ahead], self._batches)

    def _venue(self, what: str, venue: str, now_ns: int, number: int, text: str) -> str:
        """One row that is of a venue; what stands against it."""
        line = self._held.get(venue)
        if line is None:
            return f"a venue that is not on the tape: {venue}"
        match what:
            case "feed":
                marks = self._batch(number)
                if marks is None:
                    return f"batch {number} is not the next on the tape"
                line.exchange.feed(replace(marks, now_ns=now_ns))
            case "trade":
                if not 0 <= number < len(self._trades):
                    return f"trade {number} is not on the tape"
                line.exchange.trades([self._trades[number]])
            case "turn":
                self._run_clock.at(now_ns)
                line.poll()
            case "refresh":
                line.exchange.refresh(now_ns)
            case "told":
                if not self._marks[venue]:
                    return f"{venue} has not told of a batch that the run saw"
                self.inbox.put(self._marks[venue].popleft())
            case "call":
                self._run_clock.at(now_ns)
                return self._call(line, text, number)
            case _:
                return f"a row of another release: {what}"
        return ""

    def _call(self, line: HeldLine, text: str, number: int) -> str:
        if line.call(text, number):
            return ""
        self.router.pump()  # what waited for credits has them by now
        if line.call(text, number):
            return ""
        if text.startswith("cancel_all"):  # the end of a run asks for it whatever was decided
            line.cancel_all()
            line.call(text, number)
            return ""
        return f"the run sent {text} to {line.name}, and the replay did not, or another"

    def _look(self, now_ns: int, monotonic_ns: int, number: int, text: str) -> str:
        """One look of the engine; what stands against it."""
        self._run_clock.at(now_ns, monotonic_ns)
        what: Happening | None
        if text == TICK:
            what = Tick()
        elif text == MARKS:
            what = self.inbox.take()
            if not isinstance(what, Marks) or len(what.rows) != number:
                if what is not None:
                    self.inbox.put(what)
                return f"the run looked at {number} quotes at once, and they are others here"
        else:
            what = self._fact(number)
            if what is None and not text:
                return "the run heard of an order or an account what the replay did not"
            what = _outside(text) if what is None else what
            if what is None:
                return f"a row of another release: {text[:_SHOWN]}"
        decision = self.engine.step(what)
        self.router.perform(decision.actions, self.state.monotonic_ns)
        self.router.pump()
        self.armed |= self.state.mode is Mode.ARMED
        self.looks += 1
        for line in self._held.values():
            line.looks = self.looks
            if line.overdue:
                return f"the replay sent {line.overdue} to {line.name}, and the run did not"
        return ""

    def _fact(self, number: int) -> Happening | None:
        """What a venue answered here as it answered the run."""
        for what in self._facts:
            if digest_of(text_of(Event(0, 0, 0, what))) == number:
                self._facts.remove(what)
                return what
        return None

    def _batch(self, number: int) -> Marks | None:
        """A batch of the tape by its number: the next; the first is asked for more than once. None: it is
        neither, and no batch is passed over."""
        if self._opening is not None and number == self._opening.seq:
            return self._opening
        found = self._next()
        if found is None or found.seq != number:
            return None
        self.taken, self.last, self._ahead = self.taken + 1, found, None
        self._opening = found if self._opening is None else self._opening
        return found

    def _next(self) -> Marks | None:
        """The next batch of the tape, which stays the next; None: there is none."""
        if self._ahead is None:
            self._ahead = next(self._batches, None)
        return self._ahead

    def _hold(self, exchange: PaperExchange, clock: Clock, tell: Tell) -> HeldLine:
        """The line to a venue, known by its name."""
        line = self._held[exchange.core.venue] = HeldLine(exchange, clock, tell)
        return line

    def _told(self, venue: str, what: Happening) -> None:
        if self._free:
            super()._told(venue, what)
        elif isinstance(what, Marks):
            self._marks[venue].append(what)
        else:
            self._facts.append(what)

    def _leave(self) -> None:
        """Go on as any other replay: nothing waits for its time any more."""
        self._free = True
        for line in self._held.values():
            line.let_go()
        for fact in self._facts:
            self.inbox.put(fact)
        for waiting in self._marks.values():
            for marks in waiting:
                self.inbox.put(marks)
        self._facts.clear()


def _outside(text: str) -> Happening | None:
    """What reached the engine from outside, as the run wrote it down; None: this release cannot read it."""
    try:
        body: EventBody = load(EventBody, text.encode())
    except CodecError:
        return None
    return None if isinstance(body.what, Marks | MarksOnTape | MarksFrame) else body.what
