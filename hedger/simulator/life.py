"""One process's life in a simulated world: the product's engine, router and journal, and what it stands on.

What a life is built of comes as `Parts`; a test puts in others to see whether the checker notices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from hedger.core.events import Happening
from hedger.core.gate import EngineSettings, Gate
from hedger.core.state import State
from hedger.engine.clock import Clock, SteadyUtc, VirtualClock
from hedger.engine.engine import Engine, Recorder
from hedger.engine.inbox import Inbox
from hedger.engine.recording import JournalRecorder
from hedger.engine.router import Line, PaperLine, Router, outcome
from hedger.journal.journal import Journal
from hedger.journal.kill_latch import KillLatch
from hedger.journal.storage import Storage
from hedger.simulator.market import Setting
from hedger.simulator.start import begin
from hedger.simulator.wire import WireLine

#: What of a venue's news comes to the inbox, and as what.
Hearing = Callable[[Happening], Iterable[Happening]]


class Crash(BaseException):
    """The process is gone: nothing of it may catch this."""


class SkewedClock:
    """One process's clocks: the wall clock steps as the world says, the monotonic one goes on."""

    def __init__(self, true: VirtualClock) -> None:
        self._true = true
        self._utc = SteadyUtc()
        self.offset_ns = 0

    def now_ns(self) -> int:
        """UTC as the engine has it."""
        return self._utc.at(self._true.now_ns() + self.offset_ns, self._true.monotonic_ns())

    def begin(self, last_ns: int) -> None:
        """A process begins, on a journal whose last stamp is this."""
        self._utc = SteadyUtc()
        self._utc.not_before(last_ns, self._true.monotonic_ns())

    def monotonic_ns(self) -> int:
        """For timers."""
        return self._true.monotonic_ns()


class SessionLine(PaperLine):
    """A line of one process's life: answers to what an earlier one asked reach nobody."""

    def poll(self) -> None:
        """Let the exchange come up to the clock, and tell all that reaches us by then."""
        for news in self.exchange.advance(self._clock.now_ns()):
            self._tell(news)
        for reply in self.exchange.take_replies():
            if reply.request in self._asked:
                what, client_id = self._asked.pop(reply.request)
                told = outcome(self.name, what, client_id, reply.result)
                if told is not None:
                    self._tell(told)


def _as_it_is(what: Happening) -> Iterable[Happening]:
    return (what,)


def _this_wire(wire: WireLine) -> Line:
    return wire


def _this_gate(gate: Gate) -> Gate:
    return gate


def _this_latch(latch: KillLatch) -> KillLatch:
    return latch


@dataclass(frozen=True, slots=True)
class Parts:
    """record: what writes turns into a journal. line: how the router calls the wire. hearing: made anew for
    each life. latch: how router and start see the latch. gate: put about the limits. start: from what the
    disk has to the first state. engine: made of state, settings, clock and recorder."""

    record: Callable[[Journal], Recorder] = JournalRecorder
    line: Callable[[WireLine], Line] = _this_wire
    hearing: Callable[[], Hearing] = lambda: _as_it_is
    latch: Callable[[KillLatch], KillLatch] = _this_latch
    gate: Callable[[Gate], Gate] = _this_gate
    start: Callable[[Storage, Journal, KillLatch, Setting, Clock], State] = begin
    engine: Callable[[State, EngineSettings, Clock, Recorder], Engine] = Engine


#: What the product is built of.
PRODUCT = Parts()


@dataclass(slots=True)
class Life:
    """One process: gone with a crash. first: its first state; begun: the journal's last record then."""

    journal: Journal
    engine: Engine
    router: Router
    sessions: tuple[SessionLine, ...]
    inbox: Inbox
    first: State
    begun: int

    def put(self, what: Happening) -> None:
        """Something happens to the engine."""
        self.inbox.put(what)

    def work(self) -> int:
        """Work through what waits; how many events there were."""
        return self.engine.drain(self.inbox, self.router)
