"""The engine's process: `hedger run`, live, with minutes kept.

Processes are forked from a server that has everything imported and compiled (`multiprocessing`'s forkserver,
and the import of this module at its start), so that a restart after a kill -9 takes as long as the engine's
own start and no longer.
"""

from __future__ import annotations

import os
import sys
import traceback
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

from hedger.config import load
from hedger.limits_file import load_limits
from hedger.runs.agreement import agreed
from hedger.runs.launch import RunOptions
from hedger.runs.venue_run import run_on_venues
from pricing.compiled import warm_up
from pricing.errors import Exit, HedgerError
from tests.exchanges.story.minutes import Minutes
from venues import cex, cex_choice  # noqa: F401  so that no engine's start has to load them

_FORKED = get_context("forkserver")


@dataclass(frozen=True, slots=True)
class Life:
    """One process of an engine. folder: with its configuration; crash_at: at which step it ends, 0 at
    none."""

    folder: Path
    environment: tuple[tuple[str, str], ...]
    crash_at: int = 0


def ready(seconds: float = 120.0) -> None:
    """Return when the server from which engines are forked has imported and compiled everything.

    Raises:
        TimeoutError: it has not in that time.
    """
    _FORKED.set_forkserver_preload([__name__, f"{__package__}.warm"])
    process = _FORKED.Process(target=_nothing)
    process.start()
    process.join(seconds)
    if process.is_alive():
        process.kill()
        raise TimeoutError(f"no engine can be forked after {seconds:g} s")


def _nothing() -> None:
    """An engine's process without an engine."""


def begin(life: Life) -> tuple[BaseProcess, Connection]:
    """The process, started, and the pipe to ask it by; after `ready`."""
    ours, theirs = _FORKED.Pipe()
    process = _FORKED.Process(target=_live, args=(life, theirs), daemon=True)
    process.start()
    theirs.close()
    return process, ours


def _live(life: Life, pipe: Connection) -> None:
    os.chdir(life.folder)
    err = os.open("err", os.O_APPEND | os.O_CREAT | os.O_WRONLY, 0o600)
    os.dup2(err, 1)
    os.dup2(err, 2)
    os.environ.update(life.environment)
    code = _run(life, pipe)
    sys.stderr.flush()
    os._exit(code)


def _run(life: Life, pipe: Connection) -> int:
    try:
        config = life.folder / "config.toml"
        loaded = load(config)
        limits = load_limits(life.folder / "limits.toml")
        settings = agreed(loaded.settings, limits, loaded.origin)
        options = RunOptions(life.folder / "j", watchdog=False, config=config, arm_live=True)
        return int(run_on_venues(options, settings, limits, Minutes(life.folder, pipe, life.crash_at)).exit)
    except HedgerError as error:
        print(error.text(), file=sys.stderr)
        return int(error.exit_code)
    except BaseException:
        traceback.print_exc()
        return int(Exit.INTERNAL)


def warmed() -> None:
    """Compile what an engine compiles at its start."""
    warm_up()
