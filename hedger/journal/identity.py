"""Which journal lies at a path: a file can be moved away, and another one begun under its name.

Whoever has a journal open goes on reading the file that he opened; its lock, its kill latch and its box of
commands are found by the path. Once they are another journal's, what is shown is of one engine and what is
sent goes to another: a screen that says PAPER must not steer an engine that is live.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from hedger.journal.storage import Storage, StorageFailed

#: Hexadecimal digits of the first record's hash: name, start and settings are in it, so no two journals share
#: it, those of one name neither.
_DIGITS = 32


def fingerprint_of(storage: Storage) -> str:
    """What tells a journal from every other: the head of its first record's hash; "" before there is one.

    Raises:
        StorageFailed: the file cannot be read.
    """
    for record in storage.records(1):
        return journal_fingerprint(record.hash)
    return ""


def journal_fingerprint(first_hash: bytes) -> str:
    """The fingerprint by the hash of the first record.

    >>> journal_fingerprint(bytes(32))
    '00000000000000000000000000000000'
    """
    return first_hash.hex()[:_DIGITS]


class Opened:
    """The file that was opened. fingerprint: as `fingerprint_of` has it; "" until it was read."""

    def __init__(self, path: Path) -> None:
        """Made before the file is opened: one that is exchanged meanwhile is then found to be another."""
        self._path, self.fingerprint = path, ""
        self._file: tuple[int, int] | None = None
        with suppress(OSError):  # what is wrong with it the opening tells
            self._file = _file_at(path)

    def look(self, storage: Storage) -> None:
        """Learn the fingerprint, where the first record is there by now, and can be read."""
        with suppress(StorageFailed):
            self.read(storage)

    def read(self, storage: Storage) -> None:
        """The same; raises StorageFailed where it cannot be read."""
        self.fingerprint = self.fingerprint or fingerprint_of(storage)

    def exchanged(self) -> str:
        """Why the path does not lead to this file any more, in words; "" where it does."""
        try:
            there = _file_at(self._path)
        except FileNotFoundError:
            return "the journal was moved away or removed"
        except OSError as error:
            return f"the journal cannot be looked at: {error.strerror}"
        return "" if there == self._file else "this file is another journal now"


def _file_at(path: Path) -> tuple[int, int]:
    found = os.stat(path)
    return found.st_dev, found.st_ino
