"""What every start of an engine on the wall clock has in common, whatever market it runs on."""

from __future__ import annotations

import asyncio
import getpass
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from hedger.engine.logs import Log
from hedger.engine.service import Ending
from hedger.journal.entries import Kind
from hedger.journal.journal import open_to_read
from hedger.journal.recovery import Recovered, recover
from hedger.limits_file import LoadedLimits, check_restart
from pricing.errors import Exit, HedgerError


class RunRefused(HedgerError):
    """Not started, for safety (exit 3)."""

    exit_code = Exit.REFUSED


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What the command line says. minutes None: until it is stopped. book None: a seeded market maker's."""

    journal: Path
    minutes: float | None = None
    seed: int = 7
    arm: bool = False
    book: Path | None = None
    watchdog: bool = True
    reason: str = ""
    config: Path | None = None
    arm_live: bool = False


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


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        factory: Callable[[], asyncio.AbstractEventLoop] = import_module("uvloop").new_event_loop
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


def user_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a process without a name, as in some containers
        return f"uid {os.getuid()}"
