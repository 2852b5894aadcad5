"""One process at a time: a lock file, held as long as the process lives and not a moment longer.

Who writes a journal holds the one beside it, `hedger alerts` that of its memory. The kernel holds the lock
(flock), so there is no stale one to clean up after kill -9. What stands in the file is for others: process id
and boot id for the message to a second instance, and of which build the holder is, for whoever wants to steer
it. The descriptor is closed on exec; a process must not fork and live on in the child, which would keep the
lock.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from contextlib import suppress
from pathlib import Path

from hedger.build import this_build
from hedger.journal.storage import JournalLocked

#: Whoever only asks whether a writer lives holds the lock for a moment: a start waits that long for it.
_ASKED_S = 0.4
_PAUSE_S = 0.02
_TEXT_BYTES_MAX = 400


class Held(Exception):
    """Another process has the lock. by: what it says of itself, as JSON text; "": nothing."""

    def __init__(self, by: str) -> None:
        self.by = by
        super().__init__(by)


class FileLock:
    """The right to be the one process that does something, by a file."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def take(cls, path: Path, wait_s: float = _ASKED_S) -> FileLock:
        """Take it, after a while if need be.

        Raises:
            Held: another process has it, so long already.
            OSError: the lock file cannot be written.
        """
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            for left in range(round(wait_s / _PAUSE_S), -1, -1):
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if left == 0:
                        raise Held(_read(descriptor)) from None
                    time.sleep(_PAUSE_S)
            text = json.dumps({"pid": os.getpid(), "boot_id": boot_id(), "build": this_build()})
            with suppress(OSError):  # on a full disk the lock holds without a name
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, text.encode("ascii"), 0)
        except BaseException:  # an interrupt, too: a descriptor left open would hold the lock
            os.close(descriptor)
            raise
        return cls(descriptor)

    def release(self) -> None:
        """Give it back. The file stays: removing it would let two processes lock two files of one name."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def lock_path(journal: Path) -> Path:
    """Where the lock of a journal's writer is."""
    return journal.with_name(journal.name + ".lock")


def take_writer_lock(journal: Path) -> FileLock:
    """The right to write a journal.

    Raises:
        JournalLocked: another process has it.
        OSError: the lock file cannot be written.
    """
    try:
        return FileLock.take(lock_path(journal))
    except Held as held:
        raise JournalLocked(
            "JOURNAL_LOCKED",
            "another engine writes this journal",
            where=journal.name,
            observed=held.by or "a holder without a name",
            allowed="one writer",
            not_done="nothing was started",
            fix="stop that process, or name another --journal",
        ) from None


def holder(journal: Path) -> str | None:
    """Who writes a journal, as JSON text; None: nobody does."""
    try:
        descriptor = os.open(lock_path(journal), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read(descriptor) or "{}"
    finally:
        os.close(descriptor)
    return None


def build_of(held: str | None) -> str:
    """The build of a holder by its text; "": it does not say, as older releases did not.

    >>> build_of('{"pid": 7, "build": "0.2.0+ab"}'), build_of('{"pid": 7}'), build_of(None)
    ('0.2.0+ab', '', '')
    """
    build = _word(held, "build")
    return build if isinstance(build, str) else ""


def pid_of(held: str | None) -> int | None:
    """The process of a holder by its text; None: there is none, or it does not say.

    >>> pid_of('{"pid": 7}'), pid_of('{"pid": "x"}'), pid_of('{"pid": tr'), pid_of(None)
    (7, None, None, None)
    """
    pid = _word(held, "pid")
    return pid if isinstance(pid, int) else None


def boot_id() -> str:
    """Which start of the machine this is; "" where the system does not say."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    return ""


def _word(held: str | None, name: str) -> object:
    """What a holder's text says under a name; None: nothing, or it is none of ours."""
    with suppress(ValueError, RecursionError):
        found = json.loads(held or "{}")
        return found.get(name) if isinstance(found, dict) else None
    return None


def _read(descriptor: int) -> str:
    return os.pread(descriptor, _TEXT_BYTES_MAX, 0).decode("ascii", "replace")
