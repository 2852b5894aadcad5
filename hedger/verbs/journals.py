"""How a verb reads an engine's journal: opened in one place, as of one moment, and said in one way where it
cannot be read. None of this writes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pricing.errors import InputError

if TYPE_CHECKING:
    from hedger.desk.follow import Fetch, Follower
    from hedger.journal.recovery import Recovered
    from hedger.journal.sqlite import SqliteStorage
    from pricing.contracts import Listing

NOT_SHOWN = "nothing was shown"
NOT_VALUED = "nothing was valued"


@contextmanager
def opened(path: Path, not_done: str) -> Iterator[SqliteStorage]:
    """A journal as of one moment, whatever an engine writes meanwhile. not_done: for the error.

    Raises:
        InputError: it is no journal. JournalDamaged: it cannot be read to its end.
    """
    with followed(path, not_done) as storage, storage.steady():
        yield storage


@contextmanager
def followed(path: Path, not_done: str) -> Iterator[SqliteStorage]:
    """A journal as it grows; raises as `opened`."""
    from hedger.journal.codec import CodecError
    from hedger.journal.journal import open_to_read
    from hedger.journal.storage import StorageFailed
    from hedger.journal.unreadable import unreadable_from, why_unreadable

    storage = open_to_read(path)
    try:
        yield storage
    except (StorageFailed, CodecError) as error:
        raise why_unreadable(storage, error, unreadable_from(path.name, str(error), not_done)) from error
    finally:
        storage.close()


def listed(storage: SqliteStorage) -> tuple[Listing, ...]:
    """The market that a journal names last; nothing where it names none.

    Raises:
        StorageFailed, CodecError: it cannot be read.
    """
    from hedger.journal.entries import Kind, read
    from pricing.contracts import Listing

    last = None
    for record in storage.records(kinds=[Kind.LISTINGS]):
        last = record
    found = () if last is None else read(last)
    assert isinstance(found, tuple)
    return tuple(x for x in found if isinstance(x, Listing))


def coins_of(storage: SqliteStorage) -> list[str]:
    """The underlyings of that market."""
    return sorted({x.contract.underlying for x in listed(storage)})


def whole_summary(storage: SqliteStorage, path: Path, *, running: bool) -> Recovered:
    """Where an engine stands by its journal. running: one writes it.

    Raises:
        StorageFailed: the file cannot be read. JournalDamaged: a record is not what it should be, or missing.
    """
    from hedger.journal.recovery import summary
    from hedger.journal.unreadable import unreadable_from

    found = summary(storage, where=path.name, running=running)
    missing = storage.missing()
    if missing is not None:
        raise unreadable_from(path.name, f"records {missing[0]}..{missing[1]} are missing", NOT_SHOWN)
    return found


def fetch_of(path: Path | None, *, needed: bool = True) -> Fetch:
    """What finds the marks that a journal only names, on the tape at hand. needed: without one it refuses;
    else it finds none, and what hangs on them stays unknown."""
    from hedger.desk.follow import no_tape, without_tape

    if path is None:
        return no_tape if needed else without_tape
    from hedger.journal.entries import MarksOnTape
    from hedger.runs.refold import batches_of
    from hedger.runs.replay import tape_sha256
    from pricing.market import Marks
    from venues.tape import Tape

    tape = Tape.open(path)
    find, sha = batches_of(tape), tape_sha256(tape)

    def fetch(what: MarksOnTape) -> Marks:
        if what.tape != sha:
            raise InputError(
                "JOURNAL_OTHER",
                "the journal was written on another tape",
                where=f"--tape {path}",
                observed=sha[:16],
                allowed=what.tape[:16],
                not_done=NOT_VALUED,
                fix="give the tape of then",
            )
        return find(what)

    return fetch


def say_at_hand(follower: Follower) -> None:
    """Say it where the settings of the run are not on record: what is shown is of those at hand."""
    if not follower.in_force.of_run:
        text = "the settings of the run are not on record: bands, numeraire and ages are of those at hand"
        print(f"WARNING: {text}", file=sys.stderr)
