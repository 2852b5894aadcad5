"""What every start of an engine on the wall clock has in common, whatever market it runs on."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from hedger.build import this_build
from hedger.engine.logs import Log
from hedger.engine.metrics import MetricsServer
from hedger.engine.service import Ending, Parts, Service
from hedger.engine.starting import other_build
from hedger.journal.commands_file import CommandBox
from hedger.journal.configuration import settings_sha256, settings_text
from hedger.journal.entries import Configuration, Kind
from hedger.journal.identity import fingerprint_of
from hedger.journal.journal import open_to_read
from hedger.journal.recovery import Recovered, recover
from hedger.journal.user import user_name
from hedger.limits_file import LoadedLimits, check_restart, limits_text
from hedger.runs.stage import EMPTY_STAGE, Stage
from hedger.settings import Settings
from pricing.errors import Exit, HedgerError


class RunRefused(HedgerError):
    """Not started, for safety (exit 3)."""

    exit_code = Exit.REFUSED


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What the command line says. minutes None: until it is stopped. book None: a seeded market maker's.
    stage: what is made to happen on the simulated market, for people to see. accept: of accounts that differ
    from the book at the start the venues' word is taken, for `reason`. tape: where what the paper venues are
    fed is kept, a batch of each in every every_ms, part_s from part to part."""

    journal: Path
    minutes: float | None = None
    seed: int = 7
    arm: bool = False
    book: Path | None = None
    watchdog: bool = True
    reason: str = ""
    config: Path | None = None
    arm_live: bool = False
    stage: Stage = EMPTY_STAGE
    accept: bool = False
    tape: Path | None = None
    every_ms: float = 100.0
    part_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Ran:
    """How a run ended. document: for JSON; text: the paper venue's closing report."""

    ending: Ending
    document: dict[str, Any]
    text: str
    exit: Exit


def check_limits(found: Recovered, limits: LoadedLimits, reason: str, log: Log) -> None:
    """Looser hard limits than at the last start are refused before anything is written, unless a person
    says why; what has changed is told.

    Raises:
        LoosenedError: they are looser, and nobody says why.
    """
    then = None if found.configuration is None else found.configuration.limits
    changed = check_restart(then, limits, reason)
    if changed is not None and not changed.same:
        told = [*(f"looser {key}" for key in changed.loosened), *(f"tighter {k}" for k in changed.tightened)]
        log.say("hard limits changed", text=", ".join(told), reason=reason)


def configuration(
    options: RunOptions,
    desk: Settings,
    limits: LoadedLimits,
    market: str,
    monotonic_ns: int,
    seed: int | None = None,
) -> Configuration:
    """With what an engine runs, for the record. market: what tells the market it runs on from others. seed:
    of a simulated one."""
    return Configuration(
        version=this_build(),
        settings_sha256=settings_sha256(desk),
        limits_sha256=limits.sha256,
        tape_sha256=hashlib.sha256(market.encode()).hexdigest(),
        user=user_name(),
        reason=options.reason,
        limits=limits_text(limits.limits),
        monotonic_ns=monotonic_ns,
        settings=settings_text(desk),
        seed=seed,
    )


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What makes uvloop's event loops, mended (`hedger.runs.event_loop`); None where it is not installed."""
    try:
        own = import_module("hedger.runs.event_loop")
        factory: Callable[[], asyncio.AbstractEventLoop] = own.new_event_loop
    except ImportError:
        return None
    return factory


def recovered(path: Path, monotonic_ns: int) -> tuple[Recovered, int | None]:
    """What the journal says, and when its market began; None of a new one."""
    storage = open_to_read(path)
    try:
        found = recover(storage, where=path.name, monotonic_ns=monotonic_ns)
        first = next(iter(storage.records(kinds=[Kind.LISTINGS])), None)
        return found, None if first is None else first.now_ns
    finally:
        storage.close()


@contextmanager
def attended(parts: Parts, options: RunOptions, found: Recovered) -> Iterator[None]:
    """Beside a service while the block runs: its box of commands, the page of its metrics, its watchdog."""
    box = parts.box = CommandBox(options.journal, found.commands, _fingerprint(options.journal))
    if then := other_build(found, this_build()):
        text = f"build {then} wrote this journal until now; this is {this_build()}"
        parts.log.say("another build", level=logging.WARNING, version=this_build(), text=text)
    dog: subprocess.Popen[bytes] | None = None
    try:
        if parts.config.metrics_port:
            parts.metrics = MetricsServer(parts.config.metrics_host, parts.config.metrics_port)
            parts.log.say("metrics", port=parts.metrics.port)
        if options.watchdog:
            dog = start_watchdog(options.journal, options.config)
        mode, seq = str(parts.state.mode), parts.state.seq
        parts.log.say("started", journal=options.journal.name, mode=mode, seq=seq, pid=os.getpid())
        yield
    finally:
        box.close()
        if parts.metrics is not None:
            parts.metrics.close()
        if dog is not None:
            wait_for(dog)


def _fingerprint(path: Path) -> str:
    """What tells the journal that was begun here from others."""
    storage = open_to_read(path)
    try:
        return fingerprint_of(storage)
    finally:
        storage.close()


def stop_on_signals(service: Service) -> None:
    """Ctrl-C and SIGTERM end a service in order; to be called on its event loop."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, service.stop, f"signal {number.name}", int(number))


def start_watchdog(journal: Path, config: Path | None) -> subprocess.Popen[bytes]:
    """The watchdog, a process of its own that a Ctrl-C in our terminal does not reach."""
    words = [sys.executable, "-m", "hedger", "watchdog", "--journal", str(journal), "--pid", str(os.getpid())]
    if config is not None:
        words += ["--config", str(config)]
    return subprocess.Popen(
        words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
    )


def wait_for(dog: subprocess.Popen[bytes]) -> None:
    """The watchdog ends by itself when it has seen that the engine has; it is not waited for without end."""
    try:
        dog.wait(timeout=5.0)
    except subprocess.TimeoutExpired:
        dog.terminate()
        dog.wait()
