"""The journal: what we did, in one chain, durable before anything leaves.

    append(event, decision, its fills, its intents)  ->  the records' numbers

One call per event, so that a commit never parts an event from its decision. A call with something urgent in
it (an intent, a command, a mode, a decision that is not quiet) returns when all of it, and all that was held
before it, is durable. Quiet decisions are held and written together: at most `held_max` records, at most
`held_ns_max` of the engine's time, so a crash loses looks at the market and nothing else.

When a commit fails the journal is broken for good: nothing may leave any more, and the next start recovers
what is on the disk. A record that may be there once only and was there already breaks it too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from hedger.journal.entries import Entry, Head, JournalName, Record, chained
from hedger.journal.sqlite import SqliteStorage, read_sqlite, write_sqlite
from hedger.journal.storage import (
    EVERY_KIND,
    JournalConflict,
    JournalDamaged,
    JournalUnwritable,
    Storage,
    StorageFailed,
)

HELD_MAX = 256
HELD_NS_MAX = 250_000_000


class Journal:
    """The one writer of a chain. storage: where it lies, for `recover`."""

    def __init__(self, storage: Storage, *, held_max: int = HELD_MAX, held_ns_max: int = HELD_NS_MAX) -> None:
        self.storage = storage
        self._held_max = held_max
        self._held_ns_max = held_ns_max
        self._held: list[Record] = []
        self._head = storage.head()
        self._durable = self._head
        self._fault: StorageFailed | None = None

    @classmethod
    def open(cls, path: Path, name: JournalName) -> Journal:
        """Open or make a journal's file as its writer.

        Raises:
            JournalLocked: another process writes it.
            InputError: it is no journal, of another name, of a newer release, damaged, or cannot be written.
        """
        storage = write_sqlite(path, name)
        try:
            return cls(storage)
        except StorageFailed as error:
            storage.close()
            raise JournalDamaged(
                "JOURNAL_DAMAGED",
                "the journal cannot be read",
                where=path.name,
                observed=error,
                not_done="nothing was started",
                fix="keep the file and its -wal; `hedger journal verify` says how far it is sound",
            ) from error

    @property
    def name(self) -> JournalName:
        """What it is a journal of."""
        return self.storage.name

    @property
    def head(self) -> Head:
        """The last record, durable or held."""
        return self._head

    @property
    def durable(self) -> Head:
        """The last record that survives a crash."""
        return self._durable

    @property
    def broken(self) -> str:
        """Why it cannot be written any more; "" while it can."""
        return "" if self._fault is None else str(self._fault)

    def append(self, *entries: Entry) -> range:
        """Write what one event led to; returns the numbers of its records.

        Raises:
            JournalConflict: a fill, an intent or a command that is there already.
            JournalUnwritable: the disk failed, now or before: nothing may leave.
        """
        self._refuse_broken()
        records = chained(entries, self._head)
        if records:
            self._held.extend(records)
            self._head = Head(records[-1].number, records[-1].hash)
            waiting_ns = records[-1].now_ns - self._held[0].now_ns
            urgent = any(entry.urgent for entry in entries)
            if urgent or len(self._held) >= self._held_max or waiting_ns >= self._held_ns_max:
                self._commit(tidy=not urgent)
        return range(self._head.number - len(records) + 1, self._head.number + 1)

    def sync(self) -> None:
        """Make durable what is held.

        Raises:
            JournalConflict, JournalUnwritable: as `append`.
        """
        self._refuse_broken()
        if self._held:
            self._commit(tidy=True)

    def records(self, first: int = 1, kinds: Collection[str] = EVERY_KIND) -> Iterator[Record]:
        """Durable records from a number on."""
        return self.storage.records(first, kinds)

    def close(self) -> None:
        """Make durable what is held, where that is still possible, and let others write."""
        try:
            if self._fault is None:
                self.sync()
        finally:
            self.storage.close()

    def _commit(self, *, tidy: bool) -> None:
        try:
            self.storage.commit(self._held)
            self._durable = self._head
            self._held = []
            if tidy:
                self.storage.tidy()
        except StorageFailed as error:
            self._fault = error
            self._refuse_broken()
        except BaseException as error:  # stopped in the middle: nobody knows how far it came
            self._fault = StorageFailed("io", f"stopped while writing: {type(error).__name__}")
            raise

    def _refuse_broken(self) -> None:
        if self._fault is None:
            return
        if self._fault.code == "twice":
            raise JournalConflict(
                "JOURNAL_TWICE",
                "a fill, an intent or a command was to be written a second time",
                observed=self._fault,
                not_done="nothing of it was written, nothing may leave",
                fix="stop the engine and start it again: it recovers from what is written",
            )
        raise JournalUnwritable(
            "JOURNAL_UNWRITABLE",
            "the journal can no longer be written",
            observed=self._fault,
            not_done="nothing new is sent; what is open can be cancelled with `hedger kill`",
            fix="check the disk, then start the engine again: it recovers from what is written",
        )


def open_to_read(path: Path) -> SqliteStorage:
    """A journal's file for whoever only looks; `steady` makes several looks one.

    Raises:
        InputError: there is none, it is no journal, or it cannot be read.
    """
    return read_sqlite(path)
