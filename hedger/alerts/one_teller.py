"""One process tells: two on one journal would tell everything twice, and spoil each other's memory.

The lock lies beside the memory that it guards: one for the process that goes on, another for single looks.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hedger.alerts.memory import memory_path
from hedger.engine.logs import Log
from hedger.journal.lock import FileLock, Held, pid_of
from pricing.errors import Exit, HedgerError

#: A single look waits so long for the one before it, which must give up in the end: cron starts more of them.
LOOK_WAIT_S = 60.0
#: Another process that goes on is not waited for, save for one that is ending just now.
_WAIT_S = 0.4


class AlertsLocked(HedgerError):
    """Another process tells this journal's alerts (exit 3)."""

    exit_code = Exit.REFUSED


@contextmanager
def only_teller(journal: Path, *, looks: bool, wait_s: float | None = None) -> Iterator[None]:
    """The right to tell what a journal's engine tells. looks: by a single look. wait_s: other than as above.

    Where no lock file can be written it is said, and people are told all the same.

    Raises:
        AlertsLocked: another process has it.
    """
    memory = memory_path(journal, looks=looks)
    wait_s = wait_s if wait_s is not None else LOOK_WAIT_S if looks else _WAIT_S
    lock = None
    try:
        lock = FileLock.take(memory.with_name(memory.name + ".lock"), wait_s)
    except Held as held:
        pid = pid_of(held.by)
        raise AlertsLocked(
            "ALERTS_LOCKED",
            "another process tells the alerts of this journal",
            where=journal.name,
            observed="a process without a name" if pid is None else f"process {pid}",
            allowed="one look at a time" if looks else "one, with as many sinks as wanted; --once beside it",
            not_done="nobody was told",
            fix="look again when it has ended"
            if looks
            else "end that process first, or name the sinks to it",
        ) from None
    except OSError as error:
        text = "no lock can be had: a second process would tell everything twice, and would not be noticed"
        Log(name="hedger.alerts").say(text, level=logging.WARNING, reason=error.strerror)
    try:
        yield
    finally:
        if lock is not None:
            lock.release()
