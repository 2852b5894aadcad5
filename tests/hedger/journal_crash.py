"""A process that dies at every place of writing a journal, for tests: `python -m tests.hedger.journal_crash`.

places FILE-PREFIX ROUNDS   one child per place, which writes the same life and dies there by os._exit;
                            prints a JSON list of [place, last record that was promised to be durable]
write FILE                  writes and writes, printing each durable record's number, until it is killed
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Collection, Iterator, Sequence
from itertools import count
from pathlib import Path

from hedger.journal.entries import Head, JournalName, Record
from hedger.journal.journal import Journal
from hedger.journal.sqlite import SqliteStorage, write_sqlite
from hedger.journal.storage import EVERY_KIND
from tests.hedger.journal_words import NAME, life, turn
from venues.orders import Link, VenueStatus


class DyingStorage:
    """A storage whose process dies at the n-th place: before and after every commit, before the close."""

    def __init__(self, storage: SqliteStorage, place: int) -> None:
        self.storage = storage
        self.left = place

    def here(self) -> None:
        """A place where a process may die."""
        self.left -= 1
        if self.left < 0:
            os._exit(9)

    @property
    def name(self) -> JournalName:
        return self.storage.name

    def head(self) -> Head:
        return self.storage.head()

    def commit(self, records: Sequence[Record]) -> None:
        self.here()
        self.storage.commit(records)
        self.here()

    def records(self, first: int = 1, kinds: Collection[str] = EVERY_KIND) -> Iterator[Record]:
        return self.storage.records(first, kinds)

    def tidy(self) -> None:
        self.storage.tidy()

    def close(self) -> None:
        self.here()
        self.storage.close()


def places(prefix: str, rounds: int) -> list[tuple[int, int]]:
    """Die at every place there is, each in a file of its own."""
    found = []
    for place in count():
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            storage = DyingStorage(write_sqlite(Path(f"{prefix}-{place}"), NAME), place)
            journal = Journal(storage, held_max=4)
            for entries in life(rounds):
                journal.append(*entries)
                os.write(writing, b"%d\n" % journal.durable.number)
            journal.close()
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as promises:
            promised = [int(line) for line in promises]
        found.append((place, promised[-1] if promised else 0))
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0:
            return found
    raise AssertionError


def write(path: str) -> None:
    """Write until killed."""
    journal = Journal.open(Path(path), NAME)
    for seq in count():
        status = VenueStatus("deribit", Link.UP, text="x" * 200)
        journal.append(*turn(seq, status, quiet=bool(seq % 3)))
        os.write(1, b"%d\n" % journal.durable.number)


if __name__ == "__main__":
    if sys.argv[1] == "places":
        print(json.dumps(places(sys.argv[2], int(sys.argv[3]))))
    else:
        write(sys.argv[2])
