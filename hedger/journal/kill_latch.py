"""The kill latch: a file of its own beside the journal. While it is there, nothing new leaves.

That it exists is all that counts: it is there from the first system call of `set`, before what stands in it
is written and synchronised, and an empty one, left by a crash or a full disk, holds like any other. It is
looked for at the start and before every send; where that cannot be told, it counts as set. It needs no
journal that can be written, no lock and no running engine, and any process may set it.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from pricing.errors import Exit, HedgerError

_BYTES_MAX = 4096
_TEXT_MAX = 400


class LatchFailed(HedgerError):
    """The kill latch cannot be set or removed (exit 3): kill or stop the engine by other means."""

    exit_code = Exit.REFUSED


@dataclass(frozen=True, slots=True)
class Latched:
    """Who set the latch, when (UTC nanoseconds, 0 unknown) and why."""

    set_ns: int = 0
    user: str = ""
    reason: str = ""


class KillLatch(Protocol):
    """What the engine and the router ask before anything leaves."""

    def found(self) -> Latched | None:
        """Who set it; None only where it is certain that nobody did."""
        ...

    def set(self, latched: Latched) -> Latched:
        """Set it, durably; returns what stands there: the first one stays."""
        ...

    def clear(self) -> None:
        """Remove it, durably."""
        ...


class MemoryLatch:
    """A latch for runs without a file, and for the simulator: keep it over a restart."""

    def __init__(self) -> None:
        self._latched: Latched | None = None

    def found(self) -> Latched | None:
        """Who set it."""
        return self._latched

    def set(self, latched: Latched) -> Latched:
        """Set it; the first one stays."""
        self._latched = self._latched or latched
        return self._latched

    def clear(self) -> None:
        """Remove it."""
        self._latched = None


def latch_path(journal: Path) -> Path:
    """Where a journal's latch is."""
    return journal.with_name(journal.name + ".kill")


class FileLatch:
    """The latch beside a journal. A folder that went away counts as set."""

    def __init__(self, journal: Path) -> None:
        self._path = latch_path(journal)
        self._folder = self._path.parent

    def found(self) -> Latched | None:
        """Who set it. Two system calls where nobody did: cheap enough for every send."""
        try:
            os.lstat(self._path)
        except FileNotFoundError:
            try:
                os.lstat(self._folder)
            except OSError as error:
                return Latched(reason=f"the journal's folder cannot be seen: {error.strerror}")
            return None
        except OSError as error:
            return Latched(reason=f"the kill latch cannot be seen: {error.strerror}")
        return self._read()

    def set(self, latched: Latched) -> Latched:
        """Set it, durably: file and folder are synchronised.

        Raises:
            LatchFailed: it could not even be made, or not be made to last.
        """
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            self._sync()  # whoever made it may have died before it was made to last
            return self._read()
        except OSError as error:
            raise _failed("set", self._path, error) from error
        try:
            cut = Latched(latched.set_ns, latched.user[:_TEXT_MAX], latched.reason[:_TEXT_MAX])
            with suppress(OSError):  # a full disk: it holds without a name
                os.write(descriptor, json.dumps(asdict(cut)).encode("ascii"))
            os.fsync(descriptor)
        except OSError as error:
            raise _failed("made to last", self._path, error) from error
        finally:
            os.close(descriptor)
        self._sync()
        return latched

    def clear(self) -> None:
        """Remove it, durably. Where there is none nothing happens.

        Raises:
            LatchFailed: it is still there, or may be there again after a power failure.
        """
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            raise _failed("removed", self._path, error) from error
        self._sync()

    def _read(self) -> Latched:
        try:
            with self._path.open("rb") as file:
                document = json.loads(file.read(_BYTES_MAX))
            set_ns, user, reason = (document[name] for name in ("set_ns", "user", "reason"))
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return Latched(reason="set; by whom and why is not written in it")
        set_ns = set_ns if isinstance(set_ns, int) and not isinstance(set_ns, bool) else 0
        return Latched(set_ns, str(user)[:_TEXT_MAX], str(reason)[:_TEXT_MAX])

    def _sync(self) -> None:
        try:
            descriptor = os.open(self._folder, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise _failed("made to last", self._path, error) from error


def _failed(verb: str, path: Path, error: OSError) -> LatchFailed:
    return LatchFailed(
        "KILL_LATCH",
        f"the kill latch could not be {verb}",
        where=str(path),
        observed=error.strerror,
        not_done="the latch is as the folder shows it",
        fix="end the engine (Ctrl-C or kill -TERM cancels its orders; kill -9 where it hangs), cancel on the "
        "venue; then check the folder and the disk",
    )
