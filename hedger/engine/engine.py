"""The engine: inbox -> journal -> decide -> journal -> router, one event at a time.

`Engine.step` is the whole of it, synchronous, and the same for live, paper, replay and simulation; they
differ by the clock, by who fills the inbox, and by what stands behind the router's lines. Deciding has no
effects, so an event and what it led to are written down in one piece, and that before anything of it is
done. If the journal cannot be written the decision is not carried out, and nothing is decided any more. An
event that cannot be worked through is written down alone, for whoever looks for the fault.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from hedger.core.decide import decide
from hedger.core.decision import Decision
from hedger.core.events import Command, Event, Happening, Verb
from hedger.core.gate import EngineSettings
from hedger.core.state import Mode, State
from hedger.engine.clock import Clock
from hedger.engine.inbox import Inbox
from hedger.engine.router import Router
from hedger.journal.kill_latch import KillLatch, Latched

Watcher = Callable[[State, Event, State, Decision], None]


class Recorder(Protocol):
    """The journal, as the engine writes it."""

    def turn(self, before: State, event: Event, after: State, decision: Decision) -> None:
        """An event and what came of it; durable when this returns, if anything is to leave."""
        ...

    def broken(self, event: Event) -> None:
        """An event that the engine could not work through, before it stops; durable when this returns."""
        ...


class NoRecord:
    """Nothing is written down: for runs whose only result is printed."""

    def turn(self, before: State, event: Event, after: State, decision: Decision) -> None:
        """Nothing."""

    def broken(self, event: Event) -> None:
        """Nothing."""


@dataclass(slots=True)
class EngineCounts:
    """Since the start: events worked through, decisions with something in them."""

    events: int = 0
    loud: int = 0


class Engine:
    """One engine. watch: is shown every decision after it was written down; it must not take long.

    latch: set, durably, before a `kill` is even looked at; removed once an `unkill` was decided and written.
    """

    def __init__(
        self,
        state: State,
        settings: EngineSettings,
        clock: Clock,
        record: Recorder,
        watch: Watcher | None = None,
        latch: KillLatch | None = None,
    ) -> None:
        self.state = state
        self.settings = settings
        self._clock, self._record, self._watch, self._latch = clock, record, watch, latch
        self.counts = EngineCounts()

    def step(self, what: Happening) -> Decision:
        """Work one thing through; what is to be done stands in the decision, and is written down.

        Raises:
            HedgerError: the journal cannot be written: do nothing of it, and stop.
        """
        before = self.state
        event = Event(
            seq=before.seq + 1,
            now_ns=max(self._clock.now_ns(), before.now_ns),
            monotonic_ns=max(self._clock.monotonic_ns(), before.monotonic_ns),
            what=what,
        )
        if self._latch is not None and isinstance(what, Command) and what.verb is Verb.KILL:
            self._latch.set(Latched(event.now_ns, what.user, what.reason))
        try:
            after, decision = decide(before, event, self.settings)
        except BaseException:  # whatever it was, the event goes on record before anything is torn down
            self._record.broken(event)
            raise
        self._record.turn(before, event, after, decision)
        if self._latch is not None and before.mode is Mode.KILLED and after.mode is not Mode.KILLED:
            self._latch.clear()
        self.state = after
        self.counts.events += 1
        self.counts.loud += not decision.quiet
        if self._watch is not None:
            self._watch(before, event, after, decision)
        return decision

    def drain(self, inbox: Inbox, router: Router, most: int = 1_000_000) -> int:
        """Work through what waits, and through what that leads to at once; how many events there were."""
        n = 0
        while n < most and (what := inbox.take()) is not None:
            decision = self.step(what)
            router.perform(decision.actions, self.state.monotonic_ns)
            n += 1
        return n
