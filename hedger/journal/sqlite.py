"""The journal's file: SQLite with a write-ahead log and full synchronisation; one writer, many readers.

A commit is one transaction and returns after the log's fsync. The log is folded back into the file in quiet
moments (`tidy`), not inside a commit that an order waits for, unless it has grown beyond measure. Files are
made with rights for their owner alone; SQLite gives its side files the same.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from heapq import merge
from pathlib import Path
from typing import Any, NoReturn

from hedger.journal.entries import Head, JournalName, Record
from hedger.journal.lock import FileLock, take_writer_lock
from hedger.journal.schema import APPLICATION_ID, VERSION, migrate, version_of
from hedger.journal.storage import EVERY_KIND, JournalDamaged, StorageFailed
from pricing.errors import InputError

_INSERT = """
INSERT INTO records (number, kind, seq, now_ns, key, body, hash, frame) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
_SELECT = "SELECT number, kind, seq, now_ns, key, body, hash, {frame} FROM records"
#: The number after the first record, or before any, that none follows.
_MISSING = """
SELECT min(number) + 1 FROM (SELECT 0 AS number UNION ALL SELECT number FROM records) AS one
WHERE NOT EXISTS (SELECT 1 FROM records WHERE records.number = one.number + 1)
"""
#: Files of older versions have no frames, and whoever only reads does not bring them up to date.
_FRAMES_SINCE = 3
_MAGIC = b"SQLite format 3\x00"
#: Bytes of records after which the log is folded back: in a quiet moment, and at any commit.
_TIDY_BYTES = 4 * 2**20
_TIDY_BYTES_MAX = 64 * 2**20
_BUSY_S = 2.0
_ROWS_AT_ONCE = 64

#: What reading a damaged file may raise: SQLite's words on it need not be text either.
FAULTS = (sqlite3.Error, UnicodeDecodeError, OverflowError, MemoryError)

_CODES = {
    sqlite3.SQLITE_FULL: "full",
    sqlite3.SQLITE_IOERR: "io",
    sqlite3.SQLITE_READONLY: "read_only",
    sqlite3.SQLITE_CANTOPEN: "read_only",
    sqlite3.SQLITE_PERM: "read_only",
    sqlite3.SQLITE_BUSY: "busy",
    sqlite3.SQLITE_LOCKED: "busy",
    sqlite3.SQLITE_CORRUPT: "damaged",
    sqlite3.SQLITE_NOTADB: "damaged",
}


class SqliteStorage:
    """A `Storage` in a file."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        name: JournalName,
        lock: FileLock | None,
        version: int = VERSION,
    ) -> None:
        self._connection = connection
        self._name = name
        self._lock = lock
        self._bytes = 0
        self._select = _SELECT.format(frame="frame" if version >= _FRAMES_SINCE else "NULL")

    @property
    def name(self) -> JournalName:
        """What the journal is of."""
        return self._name

    def head(self) -> Head:
        """The last record, as the file counts."""
        try:
            row = self._connection.execute("SELECT number, hash FROM head").fetchone()
        except FAULTS as error:
            raise failed(error) from error
        if row is None or not isinstance(row[0], int) or not isinstance(row[1], bytes):
            raise StorageFailed("damaged", "the count of records is missing")
        return Head(row[0], row[1])

    def commit(self, records: Sequence[Record]) -> None:
        """One transaction; durable when this returns."""
        last = records[-1]
        rows = [
            (r.number, r.kind, r.seq, r.now_ns, r.key, r.text.decode("ascii"), r.hash, r.frame)
            for r in records
        ]
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(_INSERT, rows)
            connection.execute("UPDATE head SET number = ?, hash = ?", (last.number, last.hash))
            connection.execute("COMMIT")
        except FAULTS as error:
            with suppress(*FAULTS):
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            raise failed(error) from error
        self._bytes += sum(len(record.body) for record in records)
        if self._bytes > _TIDY_BYTES_MAX:
            self._fold()

    def records(self, first: int = 1, kinds: Collection[str] = EVERY_KIND) -> Iterator[Record]:
        """Records from a number on, read in pages: nothing is held open between two of them."""
        if not kinds:
            return self._pages("", (), first)
        each = [self._pages("kind = ? AND ", (str(kind),), first) for kind in kinds]
        return merge(*each, key=lambda record: record.number)

    def _pages(self, condition: str, values: tuple[str, ...], first: int) -> Iterator[Record]:
        query = f"{self._select} WHERE {condition}number >= ? ORDER BY number LIMIT {_ROWS_AT_ONCE}"
        while True:
            try:
                rows = self._connection.execute(query, (*values, first)).fetchall()
            except FAULTS as error:
                raise failed(error) from error
            for row in rows:
                yield _record(row)
            if len(rows) < _ROWS_AT_ONCE:
                return
            if rows[-1][0] < first:
                raise StorageFailed("damaged", "records are not in their order in the file")
            first = rows[-1][0] + 1

    @contextmanager
    def steady(self) -> Iterator[None]:
        """Everything read inside is of one moment, whatever an engine writes meanwhile.

        Raises:
            StorageFailed: the file cannot be read.
        """
        try:
            self._connection.execute("BEGIN")
        except FAULTS as error:
            raise failed(error) from error
        try:
            yield
        finally:
            with suppress(*FAULTS):
                self._connection.execute("ROLLBACK")

    def missing(self) -> tuple[int, int] | None:
        """The first records that were counted and are not there, from and to; None: all are there.

        Raises:
            StorageFailed: the file cannot be read.
        """
        head = self.head().number
        try:
            if self._connection.execute("SELECT count(*) FROM records").fetchone()[0] >= head:
                return None
            (first,) = self._connection.execute(_MISSING).fetchone()
            (after,) = self._connection.execute(
                "SELECT min(number) FROM records WHERE number > ?", (first,)
            ).fetchone()
        except FAULTS as error:
            raise failed(error) from error
        return first, head if after is None else after - 1

    def problems(self) -> list[str]:
        """What SQLite itself finds wrong with the file; empty = sound."""
        try:
            found = [str(row[0]) for row in self._connection.execute("PRAGMA integrity_check(5)")]
        except FAULTS as error:
            return [str(failed(error))]
        return [repr(text)[1:-1] for text in found if text != "ok"]

    def tidy(self) -> None:
        """Fold the log back into the file, once it is worth it."""
        if self._bytes > _TIDY_BYTES:
            self._fold()

    def close(self) -> None:
        """Fold the log back, close the file, give the lock back."""
        if self._lock is not None:
            with suppress(*FAULTS):
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        with suppress(*FAULTS):
            self._connection.close()
        if self._lock is not None:
            self._lock.release()

    def _fold(self) -> None:
        try:
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except FAULTS as error:
            # What is committed is safe in the log; the next commit says whether there is room for more.
            if failed(error).code not in ("full", "busy"):
                raise failed(error) from error
        self._bytes = 0


def write_sqlite(path: Path, name: JournalName) -> SqliteStorage:
    """Open a journal's file to write it; make it where there is none, bring it up to date where it is older.

    Raises:
        JournalLocked: another process writes it.
        InputError: it is no journal, of another name, of a newer release, damaged, or cannot be written.
    """
    try:
        lock = take_writer_lock(path)
    except OSError as error:
        _refuse_writing(path, error)
    try:
        connection = _open_to_write(path, name)
    except BaseException:  # an interrupt, too: nobody else could write as long as this process lives
        lock.release()
        raise
    try:
        with _explained(path):
            _refuse_foreign(connection, path)
            migrate(connection)
            found = _name(connection)
            connection.execute("PRAGMA journal_mode = WAL").fetchone()
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA wal_autocheckpoint = 0")
        if found is None:
            raise _damaged(path, "it does not say what it is a journal of")
        if found != name:
            raise InputError(
                "JOURNAL_NAME",
                "the journal is of something else",
                where=path.name,
                observed=f"{found.trading}, engine {found.engine}",
                allowed=f"{name.trading}, engine {name.engine}",
                not_done="nothing was started",
                fix="name another --journal: paper, replay, testnet and live are never mixed in one",
            )
    except BaseException:  # as above
        connection.close()
        lock.release()
        raise
    return SqliteStorage(connection, name, lock)


def read_sqlite(path: Path) -> SqliteStorage:
    """Open a journal's file to read it, while an engine writes it or not.

    Raises:
        InputError: there is none, or it is no journal.
        JournalDamaged: it is one and cannot be read.
    """
    try:
        size = path.stat().st_size if path.is_file() else None
    except OSError as error:
        _refuse_reading(path, error)
    if size is None:
        raise InputError(
            "JOURNAL_MISSING",
            "there is no such journal",
            where=str(path),
            allowed="a file that an engine has written",
            not_done="nothing was read",
            fix="name it with --journal FILE",
        )
    if size == 0:
        raise _damaged(path, "the file is empty: cut off, or never begun")
    with _explained(path):
        connection = _connect_to_read(path)
        try:
            _refuse_foreign(connection, path)
            _, version = version_of(connection)
            name = _name(connection) if version else None
        except BaseException:  # nobody else has the connection to close it
            connection.close()
            raise
    if name is None:
        connection.close()
        raise _damaged(path, "it does not say what it is a journal of")
    return SqliteStorage(connection, name, None, version)


def failed(error: BaseException) -> StorageFailed:
    """An error of SQLite in the storage's words; what is not printable in it is not printed."""
    text = "".join(c if c.isprintable() else "?" for c in str(error))
    if isinstance(error, sqlite3.IntegrityError):
        return StorageFailed("twice", text)
    code = getattr(error, "sqlite_errorcode", 0) or 0
    return StorageFailed(_CODES.get(code & 0xFF, "io" if code else "damaged"), text)


class _explained:
    """Errors of SQLite while a file is opened, as errors for people."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if not isinstance(error, FAULTS):
            return
        found = failed(error)
        if found.code in ("full", "io", "read_only"):
            _refuse_writing(self.path, error)
        if found.code == "busy":
            raise InputError(
                "JOURNAL_BUSY",
                "another program holds the journal's file",
                where=self.path.name,
                observed=error,
                not_done="nothing was started",
                fix="close the program that has it open",
            ) from error
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_NOTADB and not _begins_as_database(
            self.path
        ):
            raise _foreign(self.path, "not a database") from error
        raise _damaged(self.path, str(found)) from error


def _connect(uri: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        uri, uri=True, isolation_level=None, timeout=_BUSY_S, check_same_thread=False, cached_statements=32
    )
    # Bytes that are no text must not stop the reading: the chain tells where they stand.
    connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
    connection.execute("PRAGMA trusted_schema = OFF")
    return connection


def _connect_to_read(path: Path) -> sqlite3.Connection:
    uri = path.absolute().as_uri()
    try:
        connection = _connect(f"{uri}?mode=ro")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError as error:
        # On a read-only disk the log's index cannot be made; without a log there is nothing to miss.
        log = path.with_name(path.name + "-wal")
        if failed(error).code != "read_only" or (log.exists() and log.stat().st_size):
            raise
        connection = _connect(f"{uri}?immutable=1")
    return connection


def _open_to_write(path: Path, name: JournalName) -> sqlite3.Connection:
    try:
        if not os.path.lexists(path):
            _make(path, name)
        elif path.is_file() and path.stat().st_size == 0:
            # A journal is made under another name: an empty one was never ours, or has lost everything.
            raise _damaged(path, "the file is empty: cut off, or never begun")
    except OSError as error:
        _refuse_writing(path, error)
    with _explained(path):
        return _connect(f"{path.absolute().as_uri()}?mode=rw")


def _make(path: Path, name: JournalName) -> None:
    """A new journal, whole or not at all: made under another name and renamed."""
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    # SQLite would make it with the rights of the process's umask.
    os.close(os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    with _explained(path):
        connection = _connect(f"{new.absolute().as_uri()}?mode=rw")
        try:
            connection.execute("PRAGMA synchronous = EXTRA")
            migrate(connection)
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("INSERT INTO name VALUES (?, ?)", (name.trading, name.engine))
            connection.execute("INSERT INTO head VALUES (0, ?)", (name.genesis,))
            connection.execute("COMMIT")
        finally:
            connection.close()
    new.rename(path)
    _sync_folder(path)


def _refuse_foreign(connection: sqlite3.Connection, path: Path) -> None:
    application, version = version_of(connection)
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if (application, version, tables) == (0, 0, 0):
        return  # nothing was ever written
    if application != APPLICATION_ID:
        raise _foreign(path, f"a database with the application id {application:#x}")
    if version > VERSION:
        raise InputError(
            "JOURNAL_NEWER",
            "the journal was written by a newer release",
            where=path.name,
            observed=f"version {version}",
            allowed=f"at most {VERSION}",
            fix="use the release that wrote it",
        )


def _name(connection: sqlite3.Connection) -> JournalName | None:
    rows = connection.execute("SELECT trading, engine FROM name").fetchall()
    return JournalName(str(rows[0][0]), str(rows[0][1])) if len(rows) == 1 else None


def _record(row: tuple[Any, ...]) -> Record:
    """A row as it stands: what has the wrong type in a damaged file becomes something that no hash fits."""
    number, kind, seq, now_ns, key, body, digest, frame = row
    text = body.encode("utf-8") if isinstance(body, str) else b""
    return Record(
        number,
        kind if isinstance(kind, str) else "",
        seq if isinstance(seq, int) else -2,
        now_ns if isinstance(now_ns, int) else -2,
        key if isinstance(key, str) else None,
        text + b"\n" + frame if isinstance(frame, bytes) else text,
        digest if isinstance(digest, bytes) else b"",
    )


def _begins_as_database(path: Path) -> bool:
    with suppress(OSError), path.open("rb") as file:
        start = file.read(len(_MAGIC))
        return bool(start) and _MAGIC.startswith(start)
    return False


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _foreign(path: Path, observed: str) -> InputError:
    return InputError(
        "JOURNAL_FOREIGN",
        "the file is no journal",
        where=path.name,
        observed=observed,
        allowed="a file that an engine has written",
        fix="name another --journal; nothing was changed in this file",
    )


def _damaged(path: Path, observed: str) -> JournalDamaged:
    return JournalDamaged(
        "JOURNAL_DAMAGED",
        "the journal cannot be read",
        where=path.name,
        observed=observed,
        not_done="nothing was started",
        fix="keep the file and its -wal, `hedger journal verify` says how far it is sound; "
        "then begin a new journal from the venues' positions",
    )


def _refuse_writing(path: Path, error: Exception) -> NoReturn:
    raise InputError(
        "JOURNAL_UNWRITABLE",
        "the journal cannot be written",
        where=str(path),
        observed=getattr(error, "strerror", None) or error,
        not_done="nothing was started",
        fix="check the folder, its rights and the free space, or name another --journal",
    ) from error


def _refuse_reading(path: Path, error: Exception) -> NoReturn:
    raise InputError(
        "JOURNAL_UNREADABLE",
        "the journal cannot be read",
        where=str(path),
        observed=getattr(error, "strerror", None) or error,
        not_done="nothing was read",
        fix="check the path and its rights",
    ) from error
