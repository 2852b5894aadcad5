"""The engine on the wall clock: a thin loop around `Engine.step`, fed by venues, commands and time.

One loop, one thread. Venues' streams and answers go into the inbox; the loop takes from it, decides, writes
down, and hands actions to the router. Between two looks it waits for news, at most a tick. Everything that
keeps others alive, sign of life, dead man's timers, is done by this loop itself, so that a loop that hangs
is seen to hang.

It ends when asked (a signal, the minutes being over), or when it cannot go on (the journal cannot be
written, a fault of the program): in each case every resting order is cancelled first, as far as the venues
answer.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from hedger.core.commands import only_differs, told_differences, why_not_arm
from hedger.core.decision import Decision
from hedger.core.events import Command, Event, Tick, Verb
from hedger.core.finishing import STOPPED_BY
from hedger.core.gate import EngineSettings
from hedger.core.state import Mode, State
from hedger.engine.clock import WallClock
from hedger.engine.engine import Engine, Recorder, Watcher
from hedger.engine.heartbeat import Heartbeat, beat
from hedger.engine.inbox import Inbox
from hedger.engine.logs import Log
from hedger.engine.metrics import MetricsServer, exposition, samples_of
from hedger.engine.reloading import Reload, no_file
from hedger.engine.router import Router, VenueLine
from hedger.engine.venue_signs import signs_of
from hedger.journal.commands_file import CommandBox
from hedger.journal.entries import ENDING, ENDING_USER
from hedger.journal.kill_latch import KillLatch
from hedger.journal.user import user_name
from hedger.sections.paper import RunConfig
from pricing.daycount import NS_PER_SECOND
from venues.base import Venue
from venues.market_trades import MarketTrade
from venues.orders import Link, VenueStatus

_LEVELS = {"note": logging.INFO, "warning": logging.WARNING, "critical": logging.CRITICAL}
#: So many events in one go before the loop looks at anything else.
EVENTS_AT_ONCE = 100
#: The commands file is looked into so often at most; the latch at every turn.
POLL_NS = 50_000_000


@dataclass(slots=True, eq=False)
class Ending:
    """Why the loop ends. signal: its number, 0 for none; fault: what it cannot go on with."""

    why: str = ""
    signal: int = 0
    fault: BaseException | None = None


@dataclass(frozen=True, slots=True)
class Accepting:
    """Who takes the venues' word for what their accounts differ in from the book at a start, and why."""

    user: str
    reason: str


@dataclass(slots=True, eq=False)
class Parts:
    """What a service is made of. box, metrics: None where there is none. arm: why it is to be armed as
    soon as it can be, "" where it is not to be. accept: where accounts differ before that, or show another
    engine; None: nobody does. reload: reads the settings again."""

    venues: Sequence[Venue]
    state: State
    settings: EngineSettings
    record: Recorder
    latch: KillLatch
    journal: Path
    config: RunConfig
    log: Log
    clock: WallClock = field(default_factory=WallClock)
    box: CommandBox | None = None
    metrics: MetricsServer | None = None
    arm: str = ""
    accept: Accepting | None = None
    end_ns: int | None = None
    reload: Reload = no_file


class Service:
    """One engine on the wall clock; `run` returns when it has ended. armed: whether it ever was."""

    def __init__(self, parts: Parts, watch: Watcher | None = None) -> None:
        self.parts = parts
        self.armed = False
        self._watch = watch
        self._wake = asyncio.Event()
        self.inbox = Inbox(wake=self._wake.set)
        self._lines = tuple(
            VenueLine(venue, self.inbox.put, self._latched, parts.clock.now_ns) for venue in parts.venues
        )
        self.router = Router(self._lines, parts.clock, self.inbox.put, self._latched)
        self.engine = Engine(parts.state, parts.settings, parts.clock, parts.record, self._tell, parts.latch)
        self.ending = Ending()
        self._streams: list[asyncio.Task[None]] = []
        self._ticked_ns = self._beaten_ns = self._polled_ns = 0
        self._own_commands = 0

    @property
    def state(self) -> State:
        """The engine's state."""
        return self.engine.state

    def stop(self, why: str, signal: int = 0) -> None:
        """End in order, soon."""
        if not self.ending.why:
            self.ending = Ending(why, signal)
        self._wake.set()

    async def run(self) -> Ending:
        """Run until the end; every resting order is cancelled then, as far as venues answer."""
        parts = self.parts
        if parts.box is not None:
            for command in parts.box.left_over().commands:
                parts.log.say("left over, not obeyed", verb=str(command.verb), user=command.user)
        for venue in parts.venues:
            self.inbox.put(VenueStatus(venue.name, Link.UP))
            self._streams.append(asyncio.create_task(self._listen(venue)))
        try:
            await self._loop()
        except Exception as error:  # whatever it is, orders are cancelled before it is told
            self._fail(type(error).__name__, error)
        try:
            await self._close()
        finally:
            for stream in self._streams:
                stream.cancel()
            await asyncio.gather(*self._streams, return_exceptions=True)
            await asyncio.gather(*(venue.close() for venue in parts.venues))
            self._beat(closed=self.ending.fault is None)
        return self.ending

    async def _loop(self) -> None:
        clock, tick_ns = self.parts.clock, round(self.parts.config.tick_ms * 1e6)
        while not self.ending.why:
            self._wake.clear()
            self._look_out()
            self.engine.drain(self.inbox, self.router, EVENTS_AT_ONCE)
            now_ns = clock.monotonic_ns()
            if now_ns - self._ticked_ns >= tick_ns:
                self._ticked_ns = now_ns
                self.router.perform(self.engine.step(Tick()).actions, self.state.monotonic_ns)
            due_ns = self.router.pump()
            self.router.alive()
            self._beat_if_due()
            for line in self._lines:
                if line.failure is not None:
                    raise line.failure
            if len(self.inbox):
                await asyncio.sleep(0)
                continue
            wait_ns = min(tick_ns, due_ns - now_ns if due_ns is not None else tick_ns)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), max(wait_ns, 0) / NS_PER_SECOND)

    def _look_out(self) -> None:
        """Commands, the latch, the end of the minutes."""
        parts = self.parts
        now_ns = parts.clock.monotonic_ns()
        if parts.box is not None and not self.inbox.full and now_ns - self._polled_ns >= POLL_NS:
            self._polled_ns = now_ns
            letters = parts.box.poll()
            for command in map(self._by_own_clock, letters.commands):
                if command.verb is Verb.RELOAD and not command.build:  # another build's is refused as it is
                    command = parts.reload(command, self.state.desk or parts.settings.desk)
                self.inbox.put(command)
            for text in letters.refused:
                parts.log.say("command refused", level=logging.WARNING, text=text)
        if self.state.mode is not Mode.KILLED and (latched := parts.latch.found()) is not None:
            self._own(Verb.KILL, latched.reason or "the kill latch is set", latched.user or "latch")
        self._begin()
        if parts.end_ns is not None and now_ns >= parts.end_ns:
            self.stop("the minutes are over")

    def _by_own_clock(self, command: Command) -> Command:
        """A command whose last moment is told by the clock that events are stamped with: its sender told it
        by the system's, which may have been set back."""
        if command.not_after_ns is None:
            return command
        return replace(command, not_after_ns=command.not_after_ns + self.parts.clock.ahead_ns())

    def _begin(self) -> None:
        """Arm as soon as it can be, where the start was to; before it, accept what accounts differ in, where
        a person has said so. Once it was armed both are done with; once it was killed, too: whoever takes a
        kill back finds an engine that observes, whatever it was started with."""
        parts, accept = self.parts, self.parts.accept
        if self.armed or self.state.mode is Mode.KILLED:
            parts.arm, parts.accept = "", None
        elif parts.arm and not why_not_arm(self.state):
            self._own(Verb.ARM, parts.arm, user_name())
            parts.arm, parts.accept = "", None
        elif accept is not None and only_differs(self.state):
            parts.accept = None
            parts.log.say(
                "accepted", user=accept.user, reason=accept.reason, text=told_differences(self.state)
            )
            self._own(Verb.ARM, accept.reason, accept.user, "accept")

    def _own(self, verb: Verb, reason: str, user: str, argument: str = "") -> None:
        self._own_commands += 1
        name = f"{user}-{self.parts.clock.now_ns()}-{self._own_commands}"
        self.inbox.put(Command(name, verb, user, reason, argument))

    async def _listen(self, venue: Venue) -> None:
        """A venue's news into the inbox; where facts pile up they wait at the venue."""
        try:
            async for news in venue.stream():
                if isinstance(news, MarketTrade):
                    continue  # they fill makers on paper, at the venue; nothing is decided by them
                while self.inbox.full:
                    await asyncio.sleep(0.001)
                self.inbox.put(news)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # an exit, too: raised here it would end the loop with orders out
            self._fail("a venue's stream broke", error)
        if not self.ending.why:
            self.inbox.put(VenueStatus(venue.name, Link.DOWN, (), "its stream has ended"))

    def _fail(self, why: str, fault: BaseException) -> None:
        """The loop cannot go on. The first fault is the one that is told in the end: what fails after it may
        have failed because of it; it is logged."""
        if self.ending.fault is None:
            self.ending = Ending(why, fault=fault)
            self._wake.set()
        else:
            text = f"{why}: {fault}, after {self.ending.why}"
            self.parts.log.say("another fault", level=logging.ERROR, text=text)

    async def _close(self) -> None:
        """Cancel what rests, and wait until the venues say that nothing does."""
        clock, config = self.parts.clock, self.parts.config
        limit_ns = clock.monotonic_ns() + round(config.close_s_max * NS_PER_SECOND)
        can_decide = self.ending.fault is None
        try:
            if can_decide and not self.state.paused:
                self._own(Verb.PAUSE, ENDING + self.ending.why, ENDING_USER)
                self.engine.drain(self.inbox, self.router, EVENTS_AT_ONCE)
            if not can_decide or any(self.state.live_orders()):
                self.router.cancel_everything()
            while can_decide and any(self.state.live_orders()) and clock.monotonic_ns() < limit_ns:
                self._wake.clear()
                self.engine.drain(self.inbox, self.router, EVENTS_AT_ONCE)
                self.router.perform(self.engine.step(Tick()).actions, self.state.monotonic_ns)
                self._beat_if_due()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), config.tick_ms / 1e3)
        except Exception as error:  # the end goes on: what cannot be decided is cancelled all the same
            self._fail(type(error).__name__, error)
            self.router.cancel_everything()
        await self._last_requests(limit_ns)
        open_now = sorted(record.order.client_id for record in self.state.live_orders())
        if open_now:
            text = f"ended with orders that may be alive: {', '.join(open_now)}"
            self.parts.log.say(text, level=logging.CRITICAL, count=len(open_now))

    async def _last_requests(self, limit_ns: int) -> None:
        """Wait for orders and cancels that are under way. Nobody needs what questions would say any more:
        they are broken off at once. The loop lives all the while, and shows it."""
        for line in self._lines:
            line.drop_questions()
        settled = asyncio.gather(*(line.settled() for line in self._lines))
        try:
            while not settled.done() and (left_ns := limit_ns - self.parts.clock.monotonic_ns()) > 0:
                self._beat_if_due()
                wait_s = min(left_ns / NS_PER_SECOND, self.parts.config.tick_ms / 1e3)
                await asyncio.wait([settled], timeout=wait_s)
        finally:
            settled.cancel()
            await asyncio.gather(settled, return_exceptions=True)

    def _beat_if_due(self) -> None:
        now_ns = self.parts.clock.monotonic_ns()
        if now_ns - self._beaten_ns >= self.parts.config.heartbeat_s * NS_PER_SECOND:
            self._beaten_ns = now_ns
            self._beat()
            if self.parts.metrics is not None:
                self._publish(self.parts.metrics, now_ns)

    def _publish(self, metrics: MetricsServer, now_ns: int) -> None:
        """The page of numbers anew; one that cannot be made stays as it was, and trading goes on."""
        try:
            metrics.page = exposition(samples_of(self.state, self.counts(), now_ns))
        except Exception as error:  # whatever a number of a page has: nothing of it may stop trading
            self.parts.log.say("no metrics", level=logging.WARNING, code=type(error).__name__)

    def _beat(self, *, closed: bool = False) -> None:
        clock, state = self.parts.clock, self.state
        sign = Heartbeat(
            os.getpid(), clock.monotonic_ns(), clock.now_ns(), state.seq, str(state.acting),
            clock.stepped_ns(), closed, signs_of(self.router, self._lines, state.venues, clock),
        )  # fmt: skip
        with suppress(OSError):  # a full disk: the watchdog takes the silence for what it is
            beat(self.parts.journal, sign)

    def counts(self) -> dict[str, float]:
        """Counters since the start, by name."""
        engine, inbox, router = self.engine.counts, self.inbox.counts, self.router.counts
        return {
            "events": engine.events,
            "decisions_loud": engine.loud,
            "quotes": inbox.rows,
            "quotes_conflated": inbox.conflated,
            "orders_sent": router.submits,
            "cancels_sent": router.cancels,
            "questions_sent": router.questions,
            "orders_held_by_latch": router.latched,
        }

    def _latched(self) -> bool:
        return self.parts.latch.found() is not None

    def _tell(self, before: State, event: Event, after: State, decision: Decision) -> None:
        """What a person may want to read at once."""
        log = self.parts.log
        self.armed |= after.mode is Mode.ARMED
        if self._watch is not None:
            self._watch(before, event, after, decision)
        if before.mode is not after.mode:
            log.say("mode", mode=str(after.mode), reason=after.reason, seq=event.seq)
        for alert in decision.alerts:
            level = _LEVELS[str(alert.severity)]
            log.say("alert", level=level, alert=alert.code, text=alert.text, seq=event.seq)
        for order in decision.orders:
            text = f"{order.side} {order.quantity} at {order.price}"
            log.say("order", client_id=order.client_id, symbol=order.listing.symbol, text=text, seq=event.seq)
        if decision.verification is not None:
            check = decision.verification
            stopped = check.ended.startswith(STOPPED_BY)
            what = "hedge stopped" if stopped else "hedged" if check.inside else "hedged in part"
            log.say(what, text=check.ended, seq=event.seq)
