"""Whoever keeps the engine: a supervisor, and an operator in front of it.

The supervisor starts the engine again when its process has gone, as a service manager does; the operator arms
it when it only looks, takes a kill back when it was a drill, and accepts what the venue says only where money
was moved by hand.
"""

from __future__ import annotations

import asyncio
import math
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from hedger.core.events import Command, Verb
from hedger.engine.heartbeat import last_beat
from hedger.journal.commands_file import send
from hedger.journal.kill_latch import FileLatch, Latched
from pricing.errors import Exit, InputError
from tests.certificates import Authority
from tests.exchanges.clock import NS
from tests.exchanges.story import builds
from tests.exchanges.story.process import Life, begin
from tests.exchanges.story.stage import Stage, Told

#: Seconds until a told engine has ended, and until it has told what it holds: for that it lives its whole
#: life once more.
END_S_MAX = 8.0
TOLD_S_MAX = 40.0
SECOND_S_MAX = 20.0
#: Until an engine has taken what was left for it.
LETTERS_S_MAX = 10.0
#: A kill has to have its whole effect so long after the last fault, s.
KILLED_S_MAX = 30.0
#: A start that met a fault ends so long after it began, s: the fault may have been mended meanwhile.
START_S_MAX = 15.0
#: A process that went is started again after so long.
RESTART_S = 0.05
#: A start gives an exchange half a second to answer (`config`). Where the loop that exchanges live in was
#: held up for so long, it was this machine that was not well.
HELD_UP_S = 0.2
#: Ways in which an engine's process may end while the exchange is not well.
_EXCUSED = frozenset({int(Exit.UNAVAILABLE), int(Exit.UNRECONCILED), int(Exit.REFUSED)})


class Keeper:
    """See the module. authority: whom the engine's process trusts; None: whom this machine does.
    claims: what was said and done, for the checker; own: what is wrong for this room."""

    def __init__(
        self, told: Told, stages: Sequence[Stage], folder: Path, authority: Authority | None
    ) -> None:
        self.told, self.stages, self.folder, self.authority = told, tuple(stages), folder, authority
        self.claims: list[dict[str, Any]] = []
        self.own: list[str] = []
        self.journal = folder / "j"
        self.latch = FileLatch(self.journal)
        self.killed = False
        self.may_accept = False
        self.ending = False
        self._faulty = True
        self._mended_s = math.inf
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None
        self._begun_s = 0.0  # the process of now
        self._held_up_s = 0.0  # the longest that this loop stood still in its life
        self._told_to_end: BaseProcess | None = None
        self._lives = 0
        self._commands = self._strange = 0
        self._waited_s: dict[str, float] = {}
        self._answers: list[list[dict[str, Any]]] = []

    # -------------------------------------------------------------------------------------------- supervising

    async def supervise(self) -> None:
        """Start the engine, and again whenever its process has gone."""
        looked_s = time.monotonic()
        while not self.ending:
            self._held_up_s = max(self._held_up_s, time.monotonic() - looked_s)
            if self._process is None:
                self._start()
            looked_s = time.monotonic()
            process = self._process
            assert process is not None
            if not process.is_alive():
                self._gone(process)
                await asyncio.sleep(RESTART_S)
            self._hear()
            await asyncio.sleep(0.01)

    def mended(self) -> None:
        """The time of faults is over."""
        self._faulty = False
        self._mended_s = time.monotonic()

    def end_process(self) -> None:
        """Tell it to end."""
        process = self._process
        if process is not None and process.pid is not None and process.is_alive():
            self._told_to_end = process
            os.kill(process.pid, signal.SIGTERM)

    async def end_in_order(self) -> None:
        """It ends as told, and leaves no order open."""
        process = self._process
        self.ending = True
        if process is None or not process.is_alive():
            return
        self.end_process()
        if not await until(lambda: not process.is_alive(), END_S_MAX):
            self.own.append("it did not end when it was told to")
        process.join(0.5)
        if process.exitcode != int(Exit.TERMINATED):
            self.own.append(f"it ended with {process.exitcode}, not as told")
        for stage in self.stages:
            if left := stage.host.exchange.open_orders(stage.place.account):
                self.own.append(f"{len(left)} orders are open at {stage.place.venue} after its end")

    def end_now(self) -> None:
        """Whatever it is doing."""
        if self._process is not None and self._process.is_alive():
            self._process.kill()
            self._process.join()

    async def second_instance(self) -> None:
        """Another engine on the same journal: it must refuse to start, as long as the first one is there."""
        first = self._process
        process, pipe = begin(Life(self.folder, self._environment(), 0))
        await until(lambda: not process.is_alive(), SECOND_S_MAX)
        if process.is_alive():
            process.kill()
        process.join(1.0)
        pipe.close()
        refused = process.exitcode in (int(Exit.REFUSED), int(Exit.UNAVAILABLE))
        if self._process is first and first is not None and first.is_alive() and not refused:
            self.own.append(f"a second engine on the journal ended with {process.exitcode}")

    async def other_build(self) -> None:
        """Somebody with another build of the program asks for all kinds of things; then the desk goes on. An
        engine that lives on has them all on record."""
        starts, letters = self.told.starts, builds.leave(self.journal, self._strange)
        self._strange += len(builds.LETTERS)
        wanted = set(letters)

        def over() -> bool:
            return self.told.starts != starts or not self.mode() or wanted <= builds.on_record(self.journal)

        if not await until(over, LETTERS_S_MAX):
            self.own.append("letters of another build are not on record")
        self.command(Verb.RESUME, "whoever that was")

    def _start(self) -> None:
        crash_at = self.told.schedule.crash_at
        at = crash_at[self._lives] if self._faulty and self._lives < len(crash_at) else 0
        self._lives += 1
        self.told.starts += 1
        self._begun_s, self._held_up_s = time.monotonic(), 0.0
        self._process, self._pipe = begin(Life(self.folder, self._environment(), at))

    def _gone(self, process: BaseProcess) -> None:
        self._hear()
        code, self._process, self._pipe = process.exitcode, None, None
        process.join(0.5)
        if code == -signal.SIGTERM and process is self._told_to_end:
            return  # told before it could listen: nothing was done yet
        if code == -signal.SIGKILL:
            self.told.crashes += 1
            self.told.struck["F19"] += bool(self.told.schedule.crash_at)
            self.note("crash", time_ns=time.time_ns())
        elif code not in _EXCUSED and code != int(Exit.TERMINATED):
            self.own.append(f"its process ended with {code}")
        elif code in _EXCUSED and not self._met_a_fault():
            self.own.append(f"its process ended with {code} when all was well again")

    def _met_a_fault(self) -> bool:
        """Whether it began before all was well again, and ended no later than that can explain; or nobody was
        there to answer it."""
        if self._held_up_s > HELD_UP_S:
            return True
        late_s = time.monotonic() - max(self._begun_s, self._mended_s)
        return self._begun_s <= self._mended_s and late_s <= START_S_MAX

    def _environment(self) -> tuple[tuple[str, str], ...]:
        keys = [pair for stage in self.stages for pair in stage.place.environment().items()]
        return (*keys, *([("SSL_CERT_FILE", str(self.authority.file))] if self.authority else ()))

    # ---------------------------------------------------------------------------------------------- operating

    async def operate(self) -> None:
        """Whoever sits in front of it."""
        while True:
            await asyncio.sleep(0.05)
            if self.ending or self._process is None:
                continue
            mode = self.mode()
            if self.killed and not self._faulty:
                if self.latch.found() is None:
                    self.killed = False
                    self.note("unlatch", time_ns=time.time_ns(), number=self._number())
                elif mode == "killed" and self.due("unkill", 0.3):
                    self.command(Verb.UNKILL, "found out why")
            elif not self.killed and mode in ("observe", "halted", "reducing") and self.due("arm", 0.4):
                accept = "accept" if self.may_accept and not self._faulty else ""
                self.command(Verb.ARM, "the desk opens", accept)

    def kill(self) -> None:
        """As `hedger kill` does: the latch first, then the engine is told."""
        self.killed = True
        self.latch.set(Latched(time.time_ns(), "desk", "a drill"))
        now_ns = time.time_ns()
        deadline_ns = now_ns + round((self.told.schedule.until_s + KILLED_S_MAX) * NS)
        self.note("latch", time_ns=now_ns, number=self._number(), deadline_ns=deadline_ns)
        self.command(Verb.KILL, "a drill")

    def command(self, verb: Verb, reason: str, argument: str = "") -> None:
        """As the operator's shell sends it."""
        self._commands += 1
        order = Command(f"desk-{self._commands}", verb, "desk", reason, argument)
        with suppress(InputError):
            send(self.journal, order, time.time_ns())

    def due(self, what: str, every_s: float) -> bool:
        """Whether it is time to do it again; counts as done."""
        now_s = asyncio.get_running_loop().time()
        if now_s - self._waited_s.get(what, 0.0) < every_s:
            return False
        self._waited_s[what] = now_s
        return True

    # ----------------------------------------------------------------------------------------------- asking

    def mode(self) -> str:
        """As its last sign of life says; "" where its process is not there."""
        beat = last_beat(self.journal)
        alive = self._process is not None and self._process.is_alive()
        if beat is None or not alive or self._process is None or beat.pid != self._process.pid:
            return ""
        return beat.mode

    async def ask(self, what: str, marks: Mapping[tuple[str, str], float]) -> list[dict[str, Any]] | None:
        """What it claims now; None: nobody answers, or whoever was asked has gone."""
        pipe, loop = self._pipe, asyncio.get_running_loop()
        if pipe is None:
            return None
        self._answers.clear()
        with suppress(OSError):
            pipe.send((what, marks))
        limit_s = loop.time() + TOLD_S_MAX
        while loop.time() < limit_s and self._pipe is pipe:
            self._hear()
            if self._answers:
                return self._answers.pop()
            await asyncio.sleep(0.01)
        return None

    def note(self, what: str, **more: Any) -> None:
        """A claim."""
        self.claims.append({"ordinal": len(self.claims), "what": what, **more})

    def _hear(self) -> None:
        """What the engine's process says of its own accord: that it has recovered."""
        pipe = self._pipe
        with suppress(EOFError, OSError):
            while pipe is not None and pipe.poll():
                said = pipe.recv()
                if isinstance(said, dict):
                    self.note(**said)
                else:
                    self._answers.append(said)

    def _number(self) -> int:
        """Of the last record on the disk."""
        return self.stages[0].truth.records()


async def until(holds: Callable[[], bool], patience_s: float) -> bool:
    """Wait for it; False: it never held."""
    loop = asyncio.get_running_loop()
    limit_s = loop.time() + patience_s
    while not holds():
        if loop.time() > limit_s:
            return False
        await asyncio.sleep(0.02)
    return True
