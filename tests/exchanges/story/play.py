"""One story: an exchange, an engine in a process of its own, a schedule, a supervisor and an operator.

The supervisor starts the engine again when its process has gone, as a service manager does; the operator arms
it when it only looks, takes a kill back when it was a drill, and accepts what the venue says only where money
was moved by hand. When the time of faults is over the exchange is well again, and within `STEADY_S_MAX` the
engine must be at peace; then it tells what it holds, is ended in order, and the checker reads everything.
"""

from __future__ import annotations

import asyncio
import math
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from hedger.core.events import Command, Verb
from hedger.engine.heartbeat import last_beat
from hedger.journal.commands_file import send
from hedger.journal.kill_latch import FileLatch, Latched
from hedger.simulator.history_lines import Violation
from pricing.errors import Exit, InputError
from tests.exchanges.clock import NS, Clock
from tests.exchanges.faults import Rule
from tests.exchanges.server import Host, serve
from tests.exchanges.story import config
from tests.exchanges.story.delta import Watch
from tests.exchanges.story.lines import Stamped
from tests.exchanges.story.place import Place
from tests.exchanges.story.process import Life, begin, ready
from tests.exchanges.story.schedule import Deed, Schedule
from tests.exchanges.words import Side
from tests.exchanges.world import World

#: Seconds until a started engine is armed, until it is at peace after the last fault, until it has ended.
ARMED_S_MAX = 25.0
STEADY_S_MAX = 30.0
END_S_MAX = 8.0
#: Until it has told what it holds: for that it lives its whole life once more.
TOLD_S_MAX = 40.0
#: Until delta of two venues lies in its band again: some dozen orders on a busy machine.
HEDGED_S_MAX = 60.0
SECOND_S_MAX = 20.0
#: And a story goes on for so much longer until its first execution.
FIRST_S_MAX = 4.0
#: At peace for longer than an account is left unread: it has been compared since. Then nothing moves any
#: more.
CALM_S, STILL_S = 0.9, 0.3
#: The market moves so often, s; and jumps, by a share of this spread, so often.
STEP_S, JUMP_S, JUMP_SHARE = 0.1, 0.35, 0.004
#: A start that met a fault takes so long to end, s: the fault may have been mended meanwhile.
GONE_S_MAX = 2.0
#: A process that went is started again after so long.
RESTART_S = 0.05
#: Of a story's tasks the first so many never end by themselves.
_PEOPLE = 3
#: Ways in which an engine's process may end while the exchange is not well.
_EXCUSED = frozenset({int(Exit.UNAVAILABLE), int(Exit.UNRECONCILED), int(Exit.REFUSED)})


@dataclass(slots=True)
class Told:
    """What a story came to."""

    schedule: Schedule
    struck: Counter[str] = field(default_factory=Counter)
    orders: int = 0
    fills: int = 0
    elsewhere: int = 0  # of them on another venue while the first one failed
    starts: int = 0
    crashes: int = 0
    seconds: float = 0.0
    violations: tuple[Violation, ...] = ()


@dataclass(slots=True, eq=False)
class Stage:
    """One exchange of a story, being served."""

    place: Place
    host: Host
    world: World
    truth: Stamped
    first: int = 0  # row of its log at which the story begins


class Story:
    """See the module. The first stage holds the book and suffers the faults."""

    def __init__(self, schedule: Schedule, stages: Sequence[Stage], folder: Path) -> None:
        self.schedule, self.stages, self.folder = schedule, tuple(stages), folder
        self.told = Told(schedule)
        self.claims: list[dict[str, Any]] = []
        self.own: list[str] = []  # what this room itself found wrong
        self.journal = folder / "j"
        self.latch = FileLatch(self.journal)
        self._dice = random.Random(f"deeds {schedule.seed}")
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None
        self._lives = 0
        self._commands = 0
        self._faulty = True
        self._mended_s = math.inf
        self._ending = False
        self._still = True  # until the first engine is armed
        self._killed = False
        self._may_accept = False
        self._waited_s: dict[str, float] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._rules: list[tuple[str, Rule]] = []
        self._answers: list[list[dict[str, Any]]] = []
        self._watch = Watch(self.stages) if schedule.pair else None

    @property
    def main(self) -> Stage:
        """Where the book is."""
        return self.stages[0]

    # ------------------------------------------------------------------------------------------------ telling

    async def play(self) -> None:
        """From the first start to the end."""
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(x) for x in (self._market(), self._supervise(), self._operate())]
        try:
            if not await self._until(lambda: self._mode() == "armed", ARMED_S_MAX, "it was never armed"):
                return
            self._still = False
            await self._faults(loop.time())
            await asyncio.gather(*self._tasks[_PEOPLE:])
            if self._watch is not None:
                self.told.elsewhere = self._watch.elsewhere
            self._mend()
            if self._watch is not None:
                await self._hedged(self._watch)
            await self._peace()
        finally:
            self._ending = True
            for task in self._tasks:
                task.cancel()
            ended = await asyncio.gather(*self._tasks, return_exceptions=True)
            if self._process is not None and self._process.is_alive():
                self._process.kill()
                self._process.join()
        self.own += [f"the teller broke: {x!r}" for x in ended if isinstance(x, Exception)]

    async def _faults(self, begun_s: float) -> None:
        loop = asyncio.get_running_loop()
        for deed in self.schedule.deeds:
            await asyncio.sleep(max(begun_s + deed.at_s - loop.time(), 0.0))
            self._do(deed)
        await asyncio.sleep(max(begun_s + self.schedule.until_s - loop.time(), 0.0))
        if not self._killed:  # on a busy machine the first execution may take longer than all faults
            await self._until(self._filled, FIRST_S_MAX, "")

    def _filled(self) -> bool:
        """Whether an order of the engine has had an execution where the faults are."""
        rows = self.main.truth.rows[self.main.first :]
        return any(row["event"] == "fill" and row.get("client_id") for row in rows)

    def _mend(self) -> None:
        """From now on the exchange is well, and nobody moves anything."""
        self._faulty = False
        self._mended_s = time.monotonic()
        for stage in self.stages:
            for act, _ in stage.host.faults.done:
                self.told.struck[f"act {act}"] += 1
            for rule in stage.host.faults.rules:
                rule.times = 0
            stage.host.faults.clear()
            stage.host.exchange.clock.skew_ns = 0
            stage.host.exchange.maintain(False)
            for key in stage.host.exchange.keys.values():
                if key.revoked:
                    key.revoked = False
                    self._end_process()  # a key that was refused is tried again by a person: a new start
            stage.world.refresh()
        for name, rule in self._rules:
            self.told.struck[name] += rule.bitten

    async def _hedged(self, watch: Watch) -> None:
        """Delta comes to lie in its band, and no execution on the way there went too far."""

        def hedged() -> bool:
            return self._killed or abs(watch.delta_usd()) <= watch.most_usd

        if not await self._until(hedged, HEDGED_S_MAX, ""):
            self.own.append(f"delta was never hedged: {watch.delta_usd():.0f} USD")
        self.own += watch.found

    async def _peace(self) -> None:
        loop = asyncio.get_running_loop()
        limit_s = loop.time() + STEADY_S_MAX
        await self._until(
            lambda: self._mode() == "armed" and not self._killed,
            STEADY_S_MAX,
            "it was not armed after the faults",
        )
        calm_s = math.inf
        while True:
            if self._due("pause", 0.5):  # one that came while no process was there is not obeyed
                self._command(Verb.PAUSE, "the day ends")
            claims = await self._ask("steady")
            troubles = (
                ["there is no engine"]
                if claims is None
                else [*claims[0]["troubles"], *self._apart(claims[0])]
            )
            now_s = loop.time()
            calm_s = math.inf if troubles else min(calm_s, now_s)
            if now_s - calm_s > CALM_S or now_s > limit_s:
                break
            await asyncio.sleep(0.1)
        self._still = True
        await asyncio.sleep(STILL_S)  # the last quotes reach the engine: both sides reckon by the same marks
        last = claims[0] if claims else {"what": "steady", "time_ns": time.time_ns(), "mode": ""}
        self._note(**last | {"troubles": troubles})
        final = await self._ask("final")
        for claim in final or ():
            more: dict[str, Any] = {"venue_balances": self._balances()} if claim["what"] == "final" else {}
            self._note(**claim, **more)
        if final is None:
            self.own.append("it never told what it holds in the end")
        await self._end_in_order()

    async def _end_in_order(self) -> None:
        process = self._process
        self._ending = True
        if process is None or not process.is_alive():
            return
        self._end_process()
        await self._until(lambda: not process.is_alive(), END_S_MAX, "it did not end when it was told to")
        process.join(0.5)
        if process.exitcode != int(Exit.TERMINATED):
            self.own.append(f"it ended with {process.exitcode}, not as told")
        for stage in self.stages:
            if left := stage.host.exchange.open_orders(stage.place.account):
                self.own.append(f"{len(left)} orders are open at {stage.place.venue} after its end")

    # ------------------------------------------------------------------------------------------------- people

    async def _market(self) -> None:
        loop = asyncio.get_running_loop()
        jumped_s = last_s = loop.time()
        while True:
            await asyncio.sleep(STEP_S)
            now_s = loop.time()
            if self._still:
                continue
            self.main.world.step(now_s - last_s, trades=1)
            spots = self.main.world.spots
            for stage in self.stages[1:]:  # one market: an index is the same everywhere
                stage.world.spots.update((k, spots[k]) for k in stage.world.spots)
                stage.world.step(0.0, trades=1)
            if self._watch is not None:
                self._watch.stepped()
            if self._faulty and now_s - jumped_s >= JUMP_S:
                jumped_s = now_s
                share = self._dice.gauss(0.0, JUMP_SHARE)
                for stage in self.stages:
                    for index in stage.world.spots:
                        stage.world.move(index, share)
            last_s = now_s

    async def _supervise(self) -> None:
        """Start the engine, and again whenever its process has gone."""
        while not self._ending:
            if self._process is None:
                self._start()
            process = self._process
            assert process is not None
            if not process.is_alive():
                self._gone(process)
                await asyncio.sleep(RESTART_S)
            self._hear()
            await asyncio.sleep(0.01)

    def _start(self) -> None:
        crash_at = self.schedule.crash_at
        at = crash_at[self._lives] if self._faulty and self._lives < len(crash_at) else 0
        self._lives += 1
        self.told.starts += 1
        self._process, self._pipe = begin(Life(self.folder, self._environment(), at))

    def _gone(self, process: BaseProcess) -> None:
        self._hear()
        code, self._process, self._pipe = process.exitcode, None, None
        process.join(0.5)
        if code == -signal.SIGKILL:
            self.told.crashes += 1
            self.told.struck["F19"] += bool(self.schedule.crash_at)
            self._note("crash", time_ns=time.time_ns())
        elif code not in _EXCUSED and code != int(Exit.TERMINATED):
            self.own.append(f"its process ended with {code}")
        elif code in _EXCUSED and time.monotonic() - self._mended_s > GONE_S_MAX:
            self.own.append(f"its process ended with {code} when all was well again")

    async def _operate(self) -> None:
        """Whoever sits in front of it."""
        while True:
            await asyncio.sleep(0.05)
            if self._ending or self._process is None:
                continue
            mode = self._mode()
            if self._killed and not self._faulty:
                if self.latch.found() is None:
                    self._killed = False
                    self._note("unlatch", time_ns=time.time_ns(), number=self._number())
                elif mode == "killed" and self._due("unkill", 0.3):
                    self._command(Verb.UNKILL, "found out why")
            elif not self._killed and mode in ("observe", "halted", "reducing") and self._due("arm", 0.4):
                accept = "accept" if self._may_accept and not self._faulty else ""
                self._command(Verb.ARM, "the desk opens", accept)

    def _due(self, what: str, every_s: float) -> bool:
        now_s = asyncio.get_running_loop().time()
        if now_s - self._waited_s.get(what, 0.0) < every_s:
            return False
        self._waited_s[what] = now_s
        return True

    # -------------------------------------------------------------------------------------------------- deeds

    def _do(self, deed: Deed) -> None:
        terms = dict(deed.terms)
        host = self.main.host
        exchange = host.exchange
        match deed.verb:
            case "rule":
                self._rules.append(
                    (deed.fault, host.faults.add(terms.pop("act"), terms.pop("match"), **terms))
                )
                return
            case "cut":
                host.cut_sessions()
            case "dark":
                self._tasks.append(asyncio.get_running_loop().create_task(self._dark(**terms)))
            case "fill_resting":
                if not self._fill_resting(terms["share"]):
                    return
            case "outside":
                self._outside(**terms)
            case "transfer":
                self._may_accept = True
                exchange.transfer(self.main.place.account, self.main.place.cash, Decimal(terms["amount"]))
            case "book":
                self._book(terms["shape"])
            case "burst":
                for _ in range(terms["times"]):
                    self.main.world.refresh()
            case "skew":
                exchange.clock.skew_ns = round(terms["seconds"] * NS)
            case "second_instance":
                self._tasks.append(asyncio.get_running_loop().create_task(self._second_instance()))
            case "revoke":
                self._revoke()
            case "dead_man":
                if not exchange.cancel_all(self.main.place.account, why="countdown"):
                    return
            case "kill":
                self._kill()
            case _:
                raise ValueError(f"no such deed: {deed}")
        self.told.struck[deed.fault] += 1

    async def _dark(self, seconds: float, cut: bool) -> None:
        """Nothing is read or written; then, where `cut`, the exchange takes the connections for dead."""
        host = self.main.host
        host.faults.black_hole = True
        await asyncio.sleep(seconds)
        host.faults.black_hole = False
        if cut:
            host.cut_sessions()

    def _fill_resting(self, share: float) -> bool:
        """Somebody trades against the first of our orders that rests; False: none does."""
        exchange = self.main.host.exchange
        resting = exchange.open_orders(self.main.place.account)
        if not resting:
            return False
        order = resting[0]
        quantity = exchange.ahead(order) + order.remaining * Decimal(repr(share))
        lots = quantity // order.instrument.lot * order.instrument.lot
        exchange.trade(order.symbol, order.side.other, max(lots, order.instrument.minimum), order.price)
        return True

    def _outside(self, lots: int, why: str) -> None:
        exchange, place = self.main.host.exchange, self.main.place
        instrument = exchange.instruments[place.perpetual]
        mark = exchange.mark_price(instrument.symbol)
        quantity = abs(lots) * place.perpetual_lots * max(instrument.lot, instrument.minimum)
        tick = instrument.tick_at(mark)
        side = Side.BUY if lots > 0 else Side.SELL
        exchange.outside(place.account, instrument.symbol, side, quantity, mark // tick * tick, why)

    def _book(self, shape: str) -> None:
        exchange, symbol = self.main.host.exchange, self.main.place.perpetual
        bids, asks = self.main.world.levels(exchange.instruments[symbol])
        if shape == "thin":
            least = exchange.instruments[symbol].minimum
            bids, asks = [(p, least) for p, _ in bids[:1]], [(p, least) for p, _ in asks[:1]]
        else:
            bids = [] if shape in ("empty", "no_bids") else bids
            asks = [] if shape in ("empty", "no_asks") else asks
        exchange.quote(symbol, bids, asks)

    def _revoke(self) -> None:
        for key in self.main.host.exchange.keys.values():
            key.revoked = True

    async def _second_instance(self) -> None:
        """Another engine on the same journal: it must refuse to start, as long as the first one is there."""
        first = self._process
        process, pipe = begin(Life(self.folder, self._environment(), 0))
        await self._until(lambda: not process.is_alive(), SECOND_S_MAX, "")
        if process.is_alive():
            process.kill()
        process.join(1.0)
        pipe.close()
        refused = process.exitcode in (int(Exit.REFUSED), int(Exit.UNAVAILABLE))
        if self._process is first and first is not None and first.is_alive() and not refused:
            self.own.append(f"a second engine on the journal ended with {process.exitcode}")

    def _kill(self) -> None:
        """As `hedger kill` does: the latch first, then the engine is told."""
        self._killed = True
        self.latch.set(Latched(time.time_ns(), "desk", "a drill"))
        now_ns = time.time_ns()
        deadline_ns = now_ns + round((self.schedule.until_s + STEADY_S_MAX) * NS)
        self._note("latch", time_ns=now_ns, number=self._number(), deadline_ns=deadline_ns)
        self._command(Verb.KILL, "a drill")

    # ------------------------------------------------------------------------------------------------- engine

    def _environment(self) -> tuple[tuple[str, str], ...]:
        return tuple(pair for stage in self.stages for pair in stage.place.environment().items())

    def _mode(self) -> str:
        """As its last sign of life says; "" where its process is not there."""
        beat = last_beat(self.journal)
        alive = self._process is not None and self._process.is_alive()
        if beat is None or not alive or self._process is None or beat.pid != self._process.pid:
            return ""
        return beat.mode

    def _command(self, verb: Verb, reason: str, argument: str = "") -> None:
        self._commands += 1
        with suppress(InputError):
            send(
                self.journal,
                Command(f"desk-{self._commands}", verb, "desk", reason, argument),
                time.time_ns(),
            )

    def _end_process(self) -> None:
        if self._process is not None and self._process.pid is not None and self._process.is_alive():
            os.kill(self._process.pid, signal.SIGTERM)

    def _hear(self) -> None:
        """What the engine's process says of its own accord: that it has recovered."""
        pipe = self._pipe
        with suppress(EOFError, OSError):
            while pipe is not None and pipe.poll():
                said = pipe.recv()
                if isinstance(said, dict):
                    self._note(**said)
                else:
                    self._answers.append(said)

    async def _ask(self, what: str) -> list[dict[str, Any]] | None:
        """What it claims now; None: nobody answers."""
        pipe, loop = self._pipe, asyncio.get_running_loop()
        if pipe is None:
            return None
        self._answers.clear()
        with suppress(OSError):
            pipe.send((what, self._marks()))
        limit_s = loop.time() + TOLD_S_MAX
        while loop.time() < limit_s:
            self._hear()
            if self._answers:
                return self._answers.pop()
            await asyncio.sleep(0.01)
        return None

    def _note(self, what: str, **more: Any) -> None:
        self.claims.append({"ordinal": len(self.claims), "what": what, **more})

    def _number(self) -> int:
        """Of the last record on the disk."""
        return self.main.truth.records()

    def _apart(self, claim: dict[str, Any]) -> list[str]:
        """Where the exchanges hold something else than the engine says."""
        ours = {(v, s): Decimal(q) for v, s, q in claim["positions"]}
        theirs = {}
        for stage in self.stages:
            for position in stage.host.exchange.positions(stage.place.account):
                named = stage.place.symbol(position.instrument)
                if named is not None:
                    theirs[stage.place.venue, named] = position.quantity
        return [] if ours == theirs else [f"the book is not what the venue holds: {ours} and {theirs}"]

    def _marks(self) -> dict[tuple[str, str], float]:
        found = {}
        for stage in self.stages:
            for instrument in stage.host.exchange.instruments.values():
                if (named := stage.place.symbol(instrument)) is not None:
                    mark = stage.host.exchange.mark_price(instrument.symbol)
                    found[stage.place.venue, named] = float(mark)
        return found

    def _balances(self) -> list[list[str]]:
        found = []
        for stage in self.stages:
            for currency in stage.place.currencies:
                told = stage.host.exchange.summary(stage.place.account, currency).margin_balance
                found.append([stage.place.venue, currency, str(told)])
        return found

    async def _until(self, holds: Any, patience_s: float, otherwise: str) -> bool:
        loop = asyncio.get_running_loop()
        limit_s = loop.time() + patience_s
        while not holds():
            if loop.time() > limit_s:
                if otherwise:
                    self.own.append(otherwise)
                return False
            await asyncio.sleep(0.02)
        return True


async def told(schedule: Schedule, places: Sequence[Place], folder: Path) -> Told:
    """Tell one story in a folder of its own, and judge it."""
    from tests.exchanges.story.judge import judge

    ready()
    begun_s = time.monotonic()
    async with AsyncExitStack() as stack:
        stages: list[Stage] = []
        for place in places:
            truth = Stamped(place)
            dialect, world = place.make(Clock(), truth, schedule.seed)
            place.open_book(dialect.exchange, random.Random(f"book {schedule.seed}"))
            host = await stack.enter_async_context(serve(dialect))
            truth.journal = folder / "j"
            stages.append(Stage(place, host, world, truth, len(truth.rows)))
        config.write(folder, [(stage.place, stage.host) for stage in stages], options=schedule.options)
        story = Story(schedule, stages, folder)
        await story.play()
        story.told.violations = judge(story)
    story.told.seconds = time.monotonic() - begun_s
    return story.told
