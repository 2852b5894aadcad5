"""The port between the journal and a disk, and its twin in memory, which fails as disks do.

The promise of a `Storage`, on which all recovery rests:

- `commit` returns only when every record given to it is durable;
- after a crash, whenever it comes, what is found is a prefix of what was given, at least all commits that
  returned; the records of one commit are there all or none;
- when `commit` raises, nobody knows whether its records are there: the journal is not written any more, and
  the next start finds out.

`hedger.journal.sqlite` is the real one. `MemoryStorage` is for runs without a file, and, with faults, for the
simulator: its "disk" outlives it, so a crash and a restart are two lines.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from hedger.journal.entries import Head, JournalName, Record
from pricing.errors import Exit, HedgerError, InputError

#: The kinds of records wanted; none named: all of them.
EVERY_KIND: tuple[str, ...] = ()


class StorageFailed(Exception):
    """The disk did not do what it was asked. code: "full", "io", "read_only", "damaged", "busy", "twice"."""

    def __init__(self, code: str, text: str) -> None:
        self.code = code
        super().__init__(f"{code}: {text}")


class JournalUnwritable(HedgerError):
    """A running journal cannot be written any more: nothing new may leave (exit 3)."""

    exit_code = Exit.REFUSED


class JournalConflict(HedgerError):
    """Something that can be there once only was to be written a second time: a broken invariant (exit 70)."""

    exit_code = Exit.INTERNAL


class JournalLocked(HedgerError):
    """Another process writes this journal (exit 3)."""

    exit_code = Exit.REFUSED


class JournalDamaged(InputError):
    """A journal's records are not those that were written (exit 2): nothing is started on it."""


class Storage(Protocol):
    """Where records lie."""

    @property
    def name(self) -> JournalName:
        """What the journal is of."""
        ...

    def head(self) -> Head:
        """The last durable record, as the storage itself counts."""
        ...

    def commit(self, records: Sequence[Record]) -> None:
        """Make records durable, all or none.

        Raises:
            StorageFailed: it is not known whether they are.
        """
        ...

    def records(self, first: int = 1, kinds: Collection[str] = EVERY_KIND) -> Iterator[Record]:
        """Durable records from a number on, in order; of some kinds, or of all.

        Raises:
            StorageFailed: the disk cannot be read any further.
        """
        ...

    def tidy(self) -> None:
        """A quiet moment: do what would otherwise delay a commit."""
        ...

    def close(self) -> None:
        """No more; what was committed stays."""
        ...


@dataclass(frozen=True, slots=True)
class StorageFaults:
    """How a disk in memory fails. Commits count from 1 over the disk's whole life, restarts included.

    bytes_max: it is full beyond this. failing: commits that fail with an input/output error; of a failed
    commit, `torn` says whether the records are on the disk all the same (it is asked with the commit's
    number). step: called before ("begin", n) and after ("done", n) the n-th commit has become durable: it may
    let time pass (a slow disk), or raise to be the crash at that place.
    """

    bytes_max: int | None = None
    failing: Collection[int] = ()
    torn: Callable[[int], bool] = lambda number: False
    step: Callable[[str, int], None] = lambda when, number: None


@dataclass(slots=True)
class MemoryDisk:
    """What survives a crash. faults may be changed between two commits."""

    name: JournalName
    faults: StorageFaults = StorageFaults()
    records: list[Record] = field(default_factory=list)
    keys: set[tuple[str, str]] = field(default_factory=set)
    commits: int = 0
    bytes: int = 0


class MemoryStorage:
    """A `Storage` on a `MemoryDisk`; after a crash open another one on the same disk."""

    def __init__(self, disk: MemoryDisk) -> None:
        self.disk = disk

    @property
    def name(self) -> JournalName:
        """What the journal is of."""
        return self.disk.name

    def head(self) -> Head:
        """The last record."""
        if not self.disk.records:
            return Head(0, self.disk.name.genesis)
        last = self.disk.records[-1]
        return Head(last.number, last.hash)

    def commit(self, records: Sequence[Record]) -> None:
        """Keep records, or fail as the faults say."""
        disk = self.disk
        disk.commits += 1
        number, faults = disk.commits, disk.faults
        faults.step("begin", number)
        keys = [(record.kind, record.key) for record in records if record.key is not None]
        if len(set(keys)) < len(keys) or not disk.keys.isdisjoint(keys):
            raise StorageFailed("twice", f"a key of {keys} is there already")
        size = sum(len(record.body) for record in records)
        if faults.bytes_max is not None and disk.bytes + size > faults.bytes_max:
            raise StorageFailed("full", "no space left on the disk")
        failing = number in faults.failing
        if not failing or faults.torn(number):
            disk.records.extend(records)
            disk.keys.update(keys)
            disk.bytes += size
        if failing:
            raise StorageFailed("io", "input/output error")
        faults.step("done", number)

    def records(self, first: int = 1, kinds: Collection[str] = EVERY_KIND) -> Iterator[Record]:
        """Records from a number on."""
        for record in self.disk.records[first - 1 :]:
            if not kinds or record.kind in kinds:
                yield record

    def tidy(self) -> None:
        """Nothing waits to be done."""

    def close(self) -> None:
        """Nothing is held open."""
