"""What was told so far, kept in a small file beside the journal, so that a restart does not tell it again.

The file holds how far the journal was read, what is known to have been told and when, and what the sinks had
not taken yet: whoever is killed between two looks tells the rest. It is never the other way round: where the
file is missing, damaged, of another journal, or does not know a sink, everything is told as by a new process.
So its loss means that people hear something twice, never that they do not hear it. One process at a time has
it (`hedger.alerts.one_teller`).

A sink is known by a salted, slow hash of its address (scrypt), since the address is a secret. Times in the
file are UTC, as a monotonic clock does not survive its machine.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from hedger.alerts.notices import Known, Message
from hedger.journal.codec import dump, load
from hedger.journal.entries import Head, JournalName
from hedger.journal.storage import Storage

_BYTES_MAX = 8 * 2**20
_SALT_BYTES = 16


@dataclass(frozen=True, slots=True)
class SinkMemory:
    """mark: of its address. waiting: what it has not taken yet. lost: messages that it was never offered."""

    mark: str
    waiting: tuple[Message, ...]
    lost: int


@dataclass(frozen=True, slots=True)
class Remembered:
    """What was told up to a record. well_ns: UTC of the last word that all is well, 0: none."""

    name: JournalName
    head: str
    salt: str
    well_ns: int
    known: tuple[Known, ...]
    sinks: tuple[SinkMemory, ...]


def memory_path(journal: Path, *, looks: bool = False) -> Path:
    """Where the file is. looks: of single looks, which a process that goes on must not disturb, nor they it:
    each tells sinks of its own."""
    return journal.with_name(journal.name + (".alerts-once" if looks else ".alerts"))


def new_salt() -> str:
    """For a memory that begins."""
    return secrets.token_hex(_SALT_BYTES)


class MemoryFile:
    """The file, written when it has something new to say."""

    def __init__(self, journal: Path, *, looks: bool = False) -> None:
        self._path = memory_path(journal, looks=looks)
        self._written = b""

    def read(self, storage: Storage) -> Remembered | None:
        """What was remembered of this journal; None where nothing can be made of it.

        Raises:
            StorageFailed: the journal cannot be read.
        """
        try:
            with self._path.open("rb") as file:
                content = file.read(_BYTES_MAX + 1)
            if len(content) > _BYTES_MAX:
                return None
            found: Remembered = load(Remembered, content)
            head = Head.parse(found.head)
            bytes.fromhex(found.salt)
        except (OSError, ValueError):  # a CodecError is a ValueError
            return None
        if found.name != storage.name or not head.number:
            return None
        record = next(iter(storage.records(head.number)), None)
        if record is None or (record.number, record.hash) != (head.number, head.hash):
            return None  # of another journal that stood here
        return found

    def write(self, remembered: Remembered) -> None:
        """Keep it, durably, whole or not at all.

        Where nothing but the record read to is new, the older one does as well: from there on nothing was
        told, and it will not be told a second time.

        Raises:
            OSError: it cannot be kept.
        """
        told = dump(Remembered, replace(remembered, head=""))
        if told == self._written:
            return
        content = dump(Remembered, remembered)
        draft = self._path.with_name(self._path.name + ".new")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(draft, self._path)
        except OSError:
            with suppress(OSError):
                draft.unlink()
            raise
        self._written = told


def knows(remembered: Remembered, marks: Sequence[str]) -> bool:
    """Whether it knows every sink by its mark: one that is new must be told what the others have heard."""
    known = {sink.mark for sink in remembered.sinks}
    return all(mark and mark in known for mark in marks)
