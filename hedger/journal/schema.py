"""The tables of a journal file, and how an older file becomes a newer one: forward only, one step at a time.

`PRAGMA user_version` says which step a file has reached, `PRAGMA application_id` that it is a journal at all.
Records are append-only by trigger: whoever wants to change one must first drop the trigger, and then breaks
the chain. `head` is the store's own count of records: what is cut off at the end is missed by it.
"""

from __future__ import annotations

import sqlite3

#: "HDGJ": a file without it is somebody else's database.
APPLICATION_ID = 0x4844474A

_CREATE = """
CREATE TABLE name (trading TEXT NOT NULL, engine TEXT NOT NULL) STRICT;
CREATE TABLE records (
    number INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    seq INTEGER NOT NULL,
    now_ns INTEGER NOT NULL,
    key TEXT,
    body TEXT NOT NULL,
    hash BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX records_key ON records (kind, key) WHERE key IS NOT NULL;
CREATE TABLE head (number INTEGER NOT NULL, hash BLOB NOT NULL) STRICT;
CREATE TRIGGER records_stay BEFORE UPDATE ON records BEGIN SELECT RAISE(ABORT, 'records stay'); END;
CREATE TRIGGER records_remain BEFORE DELETE ON records BEGIN SELECT RAISE(ABORT, 'records remain'); END;
"""

#: Orders, fills and commands are found without reading the marks between them.
_BY_KIND = """
CREATE INDEX records_kind ON records (kind, number);
"""

#: Marks are kept as bytes beside their line of text. Records that stand already stay as they are.
_FRAMES = """
ALTER TABLE records ADD COLUMN frame BLOB;
"""

#: Since then a record of a command names the sender's build, and accounts' differences are a record of their
#: own: the tables are the same, and an older release must not take such records for damage.
_BUILDS = ""

#: What leads from version i to version i + 1. Steps are added at the end and never changed.
MIGRATIONS: tuple[str, ...] = (_CREATE, _BY_KIND, _FRAMES, _BUILDS)
VERSION = len(MIGRATIONS)


def version_of(connection: sqlite3.Connection) -> tuple[int, int]:
    """(application id, version) of a file."""
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    return int(application), int(connection.execute("PRAGMA user_version").fetchone()[0])


def migrate(connection: sqlite3.Connection, to: int = VERSION) -> int:
    """Bring a file to a version; returns from which. Every step is one transaction: done or not begun.

    The connection must be in autocommit mode.
    """
    _, found = version_of(connection)
    for step in range(found, to):
        connection.execute("BEGIN IMMEDIATE")
        try:
            for statement in _statements(MIGRATIONS[step]):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {step + 1}")
            connection.execute("COMMIT")
        except BaseException:  # an interrupt, too: half a migration must not stay open
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
    return found


def _statements(script: str) -> list[str]:
    """The statements of a script: `executescript` would commit before it begins."""
    found, text = [], ""
    for line in script.strip().splitlines():
        text += line + "\n"
        if sqlite3.complete_statement(text):
            found.append(text)
            text = ""
    return found
