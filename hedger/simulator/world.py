"""A world in virtual time for one engine: market, venue, disk, clocks, an operator, and what goes wrong.

The engine in it is the product's: `Engine.step`, its router, its journal and its recovery. What is not the
product's is everything that it cannot see: when a venue answers, when the process dies, what the disk keeps.
A crash drops the engine in the middle of whatever it does; what was not durable is gone, the venue goes on,
and after a while the engine is started again on what the disk has. The same seed and mix give the same run.

The world keeps its own minutes for the checker (`hedger.simulator.history`): the wire, and what the engine
claimed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from hedger.core.events import Command, Happening, Tick, Verb
from hedger.core.reconcile import kill_confirmed
from hedger.core.state import Mode, State
from hedger.engine.clock import VirtualClock
from hedger.engine.inbox import Inbox
from hedger.engine.recording import state_digest
from hedger.engine.router import Router
from hedger.journal.entries import EVENT_KINDS, JournalName
from hedger.journal.journal import Journal
from hedger.journal.kill_latch import Latched, MemoryLatch
from hedger.journal.storage import (
    JournalConflict,
    JournalUnwritable,
    MemoryDisk,
    MemoryStorage,
    StorageFaults,
)
from hedger.simulator.faults import CRASH, Deed, Due, Mix
from hedger.simulator.life import PRODUCT, Crash, Hearing, Life, Parts, SessionLine, SkewedClock
from hedger.simulator.market import TAG, VENUE, Setting
from hedger.simulator.minutes import balances, folded, positions, record_line, told_twice, troubles
from hedger.simulator.occasions import (
    AS_IT_WAS,
    CLOCK_AHEAD_NS,
    POLICY_AS_IT_WAS,
    SWING_NS,
    SWINGS,
    TRY_ON,
    due_at_once,
    last_why,
    reasons,
    wanted,
)
from hedger.simulator.wire import Sight, WireLine
from pricing.daycount import NS_PER_SECOND
from venues.orders import Link, Order, VenueStatus
from venues.paper_exchange import PaperExchange
from venues.paper_log import Happened

S = NS_PER_SECOND
#: Seconds between two looks at the engine's timers, and between two thoughts of the operator.
TICK_S = 0.25
OPERATOR_S = 1.0
#: Seconds that a process is away after a crash, and after a full disk, which somebody must clear.
DOWN_S = 1.0
MENDED_S = 5.0
#: A disk that is slow takes so long for a commit.
SLOW_S = 2.0
#: After the last fault, whole seconds: the engine is paused, and then everything must be at peace.
PAUSE_AFTER_S, STEADY_AFTER_S = 20, 30
#: Turns at one instant: more of them is an engine that talks to itself.
TURNS_MAX = 20_000


@dataclass(slots=True)
class Tally:
    """What a run came to."""

    crashes: int = 0
    starts: int = 0
    steps: int = 0
    events: int = 0


@dataclass(slots=True)
class KillTold:
    """What a run says of its kill, venue time, ns. confirmed_ns: when the engine had read twice from every
    venue that nothing is open there. begun_ns: when each process began."""

    confirmed_ns: int | None = None
    begun_ns: list[int] = field(default_factory=list)


#: Nothing goes wrong.
CALM = Mix()


class World:
    """See the module.

    until_s: faults happen before; rest_s: the peace after them. occasions_s: for so long at most faults go on
    for what was drawn and has not happened (`hedger.simulator.occasions`). missed: what has not happened all
    the same, and why.
    """

    def __init__(
        self,
        setting: Setting,
        mix: Mix = CALM,
        until_s: float = 90.0,
        rest_s: float = 35.0,
        parts: Parts = PRODUCT,
        occasions_s: float = 0.0,
    ) -> None:
        self.setting, self.mix, self.parts = setting, mix, parts
        self.kinds = mix.kinds
        self.happened: dict[str, int] = {}
        self.steps_with_faults = 0
        self.start_ns = setting.market.now_ns
        self.until_ns = self.start_ns + round(until_s * S)
        self.end_ns = self.until_ns + round(rest_s * S)
        self._until_max_ns = self.until_ns + round(occasions_s * S)
        self._swings = 0
        self.missed: Mapping[str, str] = {}
        self.clock = VirtualClock(self.start_ns)
        self.machine = SkewedClock(self.clock)
        # a mix tells times from the start; the venue's faults are told the venue's
        dated = [f if f.at_ns is None else replace(f, at_ns=self.start_ns + f.at_ns) for f in mix.venue]
        self.exchanges: dict[str, PaperExchange] = setting.exchanges({VENUE: dated})
        self.disk = MemoryDisk(JournalName("paper", TAG), StorageFaults(step=self._commit_step))
        self.latch = MemoryLatch()
        self.tally = Tally()
        self.told = KillTold()
        self.claims: list[str] = []
        self.wire_lines: list[str] = []
        self.life: Life | None = None
        self._back_ns = self.start_ns
        self._dues = [replace(due, after_ns=self.start_ns + due.after_ns) for due in mix.dues]
        self._feed_ns = self.start_ns
        self._tick_ns = self._operator_ns = self.start_ns
        self._slow = 0
        self._killed = False
        self._unkill = False
        self._commands = 0
        self._resting: tuple[Order, ...] = ()
        self._steady = self._paused = False
        self._calm = False

    @property
    def exchange(self) -> PaperExchange:
        """The first venue, to which the faults happen."""
        return self.exchanges[VENUE]

    # --------------------------------------------------------------------------------------------------- time

    def run(self) -> World:
        """Let everything happen until the end."""
        turns, last = 0, -1
        while (now_ns := self._next()) <= self.end_ns:
            turns = turns + 1 if now_ns == last else 0
            if turns > TURNS_MAX:
                raise RuntimeError(f"{TURNS_MAX} turns at one instant")
            last = now_ns
            self.clock.move_to(now_ns)
            self._turn()
        self.clock.move_to(self.end_ns)
        self._close()
        return self

    def rest(self, orders: Sequence[Order], after_ns: int) -> None:
        """Let orders rest at the venue from so long after the start. They came there by themselves: no
        fault held them up."""
        self._resting = tuple(orders)
        rest = Due(self.start_ns + after_ns, Deed.REST)
        self._dues = sorted([*self._dues, rest], key=lambda due: due.after_ns)

    def _next(self) -> int:
        now_ns = self.clock.now_ns()
        due = [self._feed_ns, self._tick_ns, self._operator_ns]
        due += [exchange.next_ns() for exchange in self.exchanges.values()]
        if self._dues:
            due.append(self._dues[0].after_ns)
        if self.life is None:
            due.append(self._back_ns)
        elif (credit := self.life.router.pump()) is not None:
            due.append(credit)
        return max(min(due), now_ns)

    def _turn(self) -> None:
        now_ns = self.clock.now_ns()
        try:
            if now_ns >= self._feed_ns:
                self._feed()
            if not self._calm and now_ns >= self.until_ns and not self._gone_on():
                self._end_faults()
            while self._dues and self._dues[0].after_ns <= now_ns:
                self._do(self._dues.pop(0))
            if self.life is None:
                for exchange in self.exchanges.values():  # nobody listens
                    exchange.advance(now_ns)
                    exchange.take_replies()
                if now_ns < self._back_ns:
                    self._tick_ns = max(self._tick_ns, now_ns) + round(TICK_S * S)
                    self._operator_ns = max(self._operator_ns, now_ns) + round(OPERATOR_S * S)
                    return
                self._begin()
            self._work(now_ns)
        except Crash:
            self._crashed(DOWN_S)
        except (JournalUnwritable, JournalConflict):
            self._stopped()

    def _work(self, now_ns: int) -> None:
        life = self.life
        assert life is not None
        if now_ns >= self._operator_ns:
            self._operator_ns = now_ns + round(OPERATOR_S * S)
            self._operate(life.engine.state)
        for session in life.sessions:
            session.poll()
        self.tally.events += life.work()
        if now_ns >= self._tick_ns:
            self._tick_ns = now_ns + round(TICK_S * S)
            life.put(Tick())
            self.tally.events += life.work()
        life.router.pump()
        life.router.alive()
        if self._killed and self.told.confirmed_ns is None:
            state = life.engine.state
            if state.mode is Mode.KILLED and kill_confirmed(state):
                self.told.confirmed_ns = now_ns
        if not self._paused and now_ns >= self.until_ns + PAUSE_AFTER_S * S:
            self._paused = True  # what is out comes to its end, so that books can be compared
            self._command(Verb.PAUSE, "the day ends")
        if not self._steady and now_ns >= self.until_ns + STEADY_AFTER_S * S:
            self._steady = True
            self._claim("steady", troubles=self._troubles())

    def _feed(self) -> None:
        marks = self.setting.step()
        self._feed_ns = self.setting.market.now_ns + round(self.setting.step_s * S)
        for exchange in self.exchanges.values():
            exchange.feed(marks)

    # --------------------------------------------------------------------------------------- lives and deaths

    def _begin(self) -> None:
        storage = MemoryStorage(self.disk)
        journal = Journal(storage)
        latch = self.parts.latch(self.latch)
        self.machine.begin(max((record.now_ns for record in self.disk.records), default=0))
        state = self.parts.start(storage, journal, latch, self.setting, self.machine)
        hearing, inbox = self.parts.hearing(), Inbox()
        sessions, lines = [], []
        for exchange in self.exchanges.values():
            session, wire = self._connect(exchange, journal, hearing, inbox)
            sessions.append(session)
            lines.append(self.parts.line(wire))
        router = Router(lines, self.machine, inbox.put, lambda: latch.found() is not None)
        settings = self.setting.engine_settings(self.parts.gate)
        engine = self.parts.engine(state, settings, self.machine, self.parts.record(journal))
        self.life = Life(journal, engine, router, tuple(sessions), inbox, state, journal.durable.number)
        self.tally.starts += 1
        self.told.begun_ns.append(self.clock.now_ns())
        self._claim("recovered")
        for name in self.exchanges:
            inbox.put(VenueStatus(name, Link.UP, venue_ns=self.clock.now_ns()))

    def _connect(
        self, exchange: PaperExchange, journal: Journal, hearing: Hearing, inbox: Inbox
    ) -> tuple[SessionLine, WireLine]:
        """One life's line to a venue, and the witness on it."""

        def tell(what: Happening) -> None:
            wire.heard(what)
            for item in hearing(what):
                inbox.put(item)

        session = SessionLine(exchange, self.clock, tell)
        sight = Sight(len(self.setting.market.universe), self.setting.fed)
        wire = WireLine(
            session,
            self.clock.now_ns,
            self._step,
            lambda: (journal.head.number, journal.durable.number),
            sight,
            self.wire_lines,
        )
        return session, wire

    def _crashed(self, down_s: float) -> None:
        self._say("crash", head=str(MemoryStorage(self.disk).head()))
        self.tally.crashes += 1
        self.life = None
        self._back_ns = self.clock.now_ns() + round(down_s * S)

    def _stopped(self) -> None:
        """The journal cannot be written: the engine cancels everything, and is done."""
        life = self.life
        if life is not None:
            life.router.cancel_everything()
        self._crashed(MENDED_S)
        self._disk(StorageFaults())

    def _disk(self, faults: StorageFaults) -> None:
        self.disk.faults = replace(faults, step=self._commit_step)

    def _commit_step(self, when: str, number: int) -> None:
        if when == "begin" and self._slow:
            self._slow -= 1
            self.clock.move_to(self.clock.now_ns() + round(SLOW_S * S))
        self._step()

    def _step(self) -> None:
        """One step of the engine, at which it may die."""
        self.tally.steps += 1
        if self.tally.steps in self.mix.crash_steps:
            self._note(CRASH)
            raise Crash

    # ------------------------------------------------------------------------------------------------- people

    def _operate(self, state: State) -> None:
        """Whoever sits in front of it: arms it when it only looks, and takes a kill back when told to."""
        if self._unkill and state.mode is Mode.KILLED and kill_confirmed(state):
            self._unkill, self._killed = False, False
            self.latch.clear()
            self._say("unlatch", number=self._number())
            self._command(Verb.UNKILL, "found out why")
        elif state.mode in (Mode.OBSERVE, Mode.HALTED) and not self._killed:
            self._command(Verb.ARM, "the desk opens")

    def _command(self, verb: Verb, reason: str, argument: str = "") -> None:
        self._commands += 1
        if self.life is not None:
            self.life.put(Command(f"desk-{self._commands}", verb, "desk", reason, argument))

    def kill(self) -> None:
        """Set the latch, as `hedger kill` does from another process, and tell the engine."""
        now_ns = self.clock.now_ns()
        self.latch.set(Latched(now_ns, "desk", "a drill"))
        if not self._killed:
            self._killed = True
            self._say("latch", deadline_ns=self.until_ns + 30 * S, number=self._number())
        self._command(Verb.KILL, "a drill")

    def _note(self, fault: str) -> None:
        """A fault of the world has happened."""
        self.happened[fault] = self.happened.get(fault, 0) + 1

    def _do(self, due: Due) -> None:
        if due.fault:
            self._note(due.fault)
        match due.deed:
            case Deed.CRASH:
                if self.life is not None:
                    self._crashed(0.1)
            case Deed.POWER_LOSS:
                if self.life is not None:
                    self._crashed(DOWN_S)
            case Deed.KILL:
                self.kill()
            case Deed.UNKILL:
                self._unkill = True
            case Deed.BANDS:
                self._command(Verb.BANDS, "tried by hand", due.text)
            case Deed.RELOAD:
                self._command(Verb.RELOAD, "the file has changed", due.text)
            case Deed.CLOCK_STEP:
                self.machine.offset_ns = due.number * S
            case Deed.DISK_FULL:
                self._disk(StorageFaults(bytes_max=self.disk.bytes + (due.number or 2000)))
            case Deed.DISK_ERROR:
                self._disk(StorageFaults(failing=(self.disk.commits + 1,), torn=lambda _: bool(due.number)))
            case Deed.DISK_SLOW:
                self._slow = 2
            case Deed.REST:
                self.exchange.advance(self.clock.now_ns())
                for order in self._resting:
                    self.exchange.core.arrive(order)

    def _gone_on(self) -> bool:
        """Whether the time with faults goes on a little, for what has not happened yet."""
        names = wanted(self.kinds, self.counts(), self.sent() > 0)
        if not names:
            return False
        if self.until_ns + SWING_NS > self._until_max_ns:
            self.missed = self._why_missed(names) if self._swings else {}
            return False
        self._quiet()
        now_ns = self.clock.now_ns()
        self.until_ns += SWING_NS
        self.end_ns += SWING_NS
        if self.machine.now_ns() - now_ns > CLOCK_AHEAD_NS:  # no order is let out before it is right again
            self._until_max_ns += SWING_NS
            return True
        self.exchange.faults = due_at_once(self.mix, names, now_ns, self.setting.seed)
        if CRASH in names:
            self.mix = replace(self.mix, crash_steps=frozenset({self.tally.steps + 1}))
        self._command(Verb.RELOAD, "tried often enough already", TRY_ON)
        self._command(Verb.BANDS, "orders are wanted", SWINGS[self._swings % 2])
        self._swings += 1
        return True

    def _why_missed(self, names: Sequence[str]) -> Mapping[str, str]:
        fills = sum(len(x.log.of(Happened.FILLED)) for x in self.exchanges.values())
        mode = "gone" if self.life is None else str(self.life.engine.state.acting)
        return reasons(names, self.sent(), fills, mode, last_why(self.disk.records))

    def sent(self) -> int:
        """Orders that left the engine, by the wire; a combo is one."""
        told = (json.loads(line) for line in self.wire_lines if '"submit"' in line)
        return len({line["client_id"] for line in told if line["what"] == "submit"})

    def counts(self) -> dict[str, int]:
        """How often each fault has happened, by its id."""
        found = dict(self.happened)
        for exchange in self.exchanges.values():
            for name, n in exchange.fault_counts.items():
                found[str(name)] = found.get(str(name), 0) + n
        return found

    def _end_faults(self) -> None:
        """From now on nothing goes wrong any more."""
        self._calm = True
        self.steps_with_faults = self.tally.steps
        self._quiet()
        if self._swings:
            self._command(Verb.RELOAD, "the policy as it was", POLICY_AS_IT_WAS)
            self._command(Verb.BANDS, "the band as it was", AS_IT_WAS)

    def _quiet(self) -> None:
        """What goes wrong by itself ends, and nothing more is due."""
        self.machine.offset_ns = 0
        self.mix = replace(self.mix, crash_steps=frozenset())
        self._disk(StorageFaults())
        self._slow = 0
        for exchange in self.exchanges.values():
            exchange.faults = self.setting.no_faults()
        self._dues = [d for d in self._dues if d.deed in (Deed.UNKILL, Deed.BANDS)]
        for due in self._dues:
            self._do(due)
        self._dues = []

    # ------------------------------------------------------------------------------------------------ minutes

    def _number(self) -> int:
        """Of the journal's last record."""
        return len(self.disk.records) if self.life is None else self.life.journal.head.number

    def _say(self, what: str, **more: object) -> None:
        claim = {"ordinal": len(self.claims), "time_ns": self.clock.now_ns(), "what": what} | more
        self.claims.append(json.dumps(claim, separators=(",", ":")))

    def _claim(self, what: str, **more: object) -> None:
        """What the engine holds to be true now."""
        life = self.life
        assert life is not None
        life.journal.sync()
        state = life.engine.state
        self._say(
            what,
            seq=state.seq,
            number=life.journal.durable.number,
            head=str(life.journal.durable),
            mode=str(state.acting),
            positions=positions(state.book),
            orders={client_id: str(r.state) for client_id, r in state.orders.items()},
            state=state_digest(state) if state.seq > life.first.seq else "",
            **more,
        )

    def _troubles(self) -> list[str]:
        """What is not at peace."""
        return (
            ["there is no engine"] if self.life is None else troubles(self.life.engine.state, self.exchanges)
        )

    def _close(self) -> None:
        """The end: claims, and the record read again."""
        if self.life is None:
            self._begin()
        life = self.life
        assert life is not None
        ours, told = balances(life.engine.state.book, self.exchanges)
        self._claim("final", balances=ours, venue_balances=told)
        settings = self.setting.engine_settings(self.parts.gate)
        state = folded(life.first, MemoryStorage(self.disk).records(life.begun + 1, EVENT_KINDS), settings)
        self._say("replayed", seq=state.seq, state=state_digest(state) if state.seq > life.first.seq else "")
        for name, exchange in self.exchanges.items():
            report = exchange.core.report(self.start_ns)
            again = told_twice(life.engine.state, name, report, settings)
            if again is not None:
                self._say("again", **again)

    def journal_lines(self) -> Iterator[str]:
        """The durable journal as lines of JSON."""
        return (record_line(record) for record in self.disk.records)
