"""Wishes from other processes: a file of its own beside the journal, with many writers and one reader.

A sender appends a row; the engine takes each row once, by its id, and its journal has the record of it: this
file is a letter box, not a record. What lies in it when an engine starts is not obeyed: it was meant for
another moment (an `arm` of an hour ago must not arm a fresh engine). The kill does not depend on it: that has
its latch.

A row says which build of the program sent it; one without such a word came from a release that had none. What
another build may ask for is the engine's to decide (`hedger.core.commands`). A row also says which journal
its sender was looking at (`hedger.journal.identity`): what was meant for another one that lay here before is
refused, but for a kill. `PRAGMA user_version` says which form a file has: an older one is brought up to date
by whoever opens it, a newer one is left alone.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Collection
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from hedger.build import this_build
from hedger.core.events import Command, Verb
from hedger.journal.sqlite import FAULTS, failed
from hedger.journal.user import ARGUMENT_MAX, TEXT_MAX
from pricing.errors import InputError

#: "HDGC"
APPLICATION_ID = 0x48444743
_VERSION = 3
_CREATE = """
CREATE TABLE IF NOT EXISTS commands (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    verb TEXT NOT NULL,
    user TEXT NOT NULL,
    reason TEXT NOT NULL,
    argument TEXT NOT NULL,
    sent_ns INTEGER NOT NULL,
    build TEXT NOT NULL DEFAULT '',
    journal TEXT NOT NULL DEFAULT '',
    not_after_ns INTEGER
)
"""
#: What older forms have not; with a default, since a sender of such a release goes on writing rows as it did.
#: The last one came without a new number: a release of before reads and writes rows all the same, and must be
#: able to pause the engine of a newer one.
_ADDED = {
    "build": "TEXT NOT NULL DEFAULT ''",
    "journal": "TEXT NOT NULL DEFAULT ''",
    "not_after_ns": "INTEGER",
}
#: The build of a sender that does not say: none of ours.
UNKNOWN_BUILD = "unknown"
_BUSY_S = 5.0
_ROWS_AT_ONCE = 100
#: A preview costs a plan. Of many that come at once the newest alone is handed out, and only so many looks
#: after the last one: whoever floods the box costs the engine no decision.
_LOOKS_APART = 20
#: So many rows that are no command are told one by one, the others by their number.
_TOLD_AT_ONCE = 10


@dataclass(frozen=True, slots=True)
class Letters:
    """What was in the box: commands, and what is none, in words."""

    commands: tuple[Command, ...] = ()
    refused: tuple[str, ...] = ()


def commands_path(journal: Path) -> Path:
    """Where a journal's commands are."""
    return journal.with_name(journal.name + ".commands")


def send(journal: Path, command: Command, sent_ns: int, fingerprint: str = "") -> bool:
    """Put a command into the box, durably; False where one with this id lies there already.

    It goes as of the build that it names, else as of this process's. fingerprint: of the journal that the
    sender has read; "": whichever lies there.

    Raises:
        InputError: a text is too long, or the box cannot be written.
    """
    problem = _unfit(command)
    if problem:
        raise InputError(
            "COMMAND_TEXT",
            problem,
            where=f"hedger {command.verb}",
            allowed=f"at most {TEXT_MAX} printable characters, {ARGUMENT_MAX} of an argument",
            not_done="nothing was sent",
            fix="shorten it, on one line",
        )
    path = commands_path(journal)
    try:
        with closing(_open(path)) as box:
            words = (command.id, str(command.verb), command.user, command.reason, command.argument)
            done = box.execute(
                "INSERT OR IGNORE INTO commands (id, verb, user, reason, argument, sent_ns, build, journal, "
                "not_after_ns) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*words, sent_ns, command.build or this_build(), fingerprint, command.not_after_ns),
            )
            return done.rowcount == 1
    except (*FAULTS, OSError) as error:
        raise InputError(
            "COMMANDS_FILE",
            "the command could not be sent to the engine",
            where=str(path),
            observed=getattr(error, "strerror", None) or error,
            not_done="nothing was sent",
            fix="check the file, its rights and the disk; `hedger kill` works without it",
        ) from error


class CommandBox:
    """The engine's end."""

    def __init__(self, journal: Path, taken: Collection[str] = (), fingerprint: str = "") -> None:
        """Open it, or make it. taken: ids that the journal holds already. fingerprint: the journal's;
        "": unknown, nothing is refused for it.

        Raises:
            InputError: it cannot be opened, or is no such file.
        """
        self._path = commands_path(journal)
        self._taken = set(taken)
        self._build, self._fingerprint = this_build(), fingerprint
        self._told = ""
        self._preview: Command | None = None
        self._looks = _LOOKS_APART
        try:
            self._box = _open(self._path)
            self._box.execute("PRAGMA busy_timeout = 0")  # from here on the engine never waits for a sender
            self._last = int(self._box.execute("SELECT coalesce(max(number), 0) FROM commands").fetchone()[0])
        except (*FAULTS, OSError) as error:
            raise InputError(
                "COMMANDS_FILE",
                "the commands file cannot be opened",
                where=str(self._path),
                observed=getattr(error, "strerror", None) or error,
                not_done="nothing was started",
                fix="check its rights; if it is damaged or foreign, remove it: it is a letter box, no record",
            ) from error

    def left_over(self) -> Letters:
        """What lay in it at the start and was never taken: not to be obeyed, but to be told."""
        return self._safely(0, self._last, advance=False)

    def poll(self) -> Letters:
        """What has come since the last call, in order, each id once. Nothing while a sender holds the file.

        A file that cannot be read any more is told as refused, once: the engine goes on without it.
        """
        found = self._safely(self._last, None, advance=True)
        self._looks += 1
        if not (found.commands or found.refused or self._preview):
            return found
        more = len(found.refused) - _TOLD_AT_ONCE
        told = found.refused[:_TOLD_AT_ONCE] + ((f"and {more} more rows that are no command",) * (more > 0))
        return Letters(self._spaced(found.commands), told)

    def _spaced(self, commands: tuple[Command, ...]) -> tuple[Command, ...]:
        """The commands with at most one preview, the newest; it waits where the last was a moment ago."""
        newest = max((i for i, c in enumerate(commands) if c.verb is Verb.PREVIEW), default=None)
        now = self._looks >= _LOOKS_APART
        kept = [c for i, c in enumerate(commands) if c.verb is not Verb.PREVIEW or (now and i == newest)]
        if newest is not None:
            self._preview = None if now else commands[newest]
        elif now and self._preview is not None:
            kept.append(self._preview)
            self._preview, newest = None, 0
        if now and newest is not None:
            self._looks = 0
        return tuple(kept)

    def close(self) -> None:
        """No more."""
        with suppress(*FAULTS):
            self._box.close()

    def _safely(self, after: int, last: int | None, *, advance: bool) -> Letters:
        try:
            return self._read(after, last, advance=advance)
        except FAULTS as error:
            text = f"the commands file cannot be read: {error}"
            if failed(error).code == "busy" or text == self._told:
                return Letters()
            self._told = text
            return Letters(refused=(text,))

    def _read(self, after: int, last: int | None, *, advance: bool) -> Letters:
        """Rows behind a number, up to another, or the next few: numbers may have gaps, of any size."""
        query = (
            "SELECT number, not_after_ns, id, verb, user, reason, argument, build, journal FROM commands "
            "WHERE number > ? "
        )
        if last is None:
            rows = self._box.execute(f"{query}ORDER BY number LIMIT ?", (after, _ROWS_AT_ONCE)).fetchall()
        else:
            rows = self._box.execute(f"{query}AND number <= ? ORDER BY number", (after, last)).fetchall()
        commands, refused = [], []
        for number, not_after_ns, *texts in rows:
            self._last = max(self._last, number) if advance else self._last
            command = _command(texts, not_after_ns, self._build, self._fingerprint)
            if isinstance(command, str):
                refused.append(f"command {number}: {command}")
            elif command.id not in self._taken:
                commands.append(command)
                if advance:
                    self._taken.add(command.id)
        return Letters(tuple(commands), tuple(refused))


def _command(texts: list[object], not_after_ns: object, ours: str, fingerprint: str) -> Command | str:
    """A row as a command, or why it is none. ours: the reader's build; fingerprint: of its journal."""
    if not all(isinstance(text, str) for text in texts):
        return "not all of it is text"
    if not (not_after_ns is None or isinstance(not_after_ns, int)):
        return "its last moment is no time"
    id, verb, user, reason, argument, build, journal = map(str, texts)
    if verb not in set(Verb):
        return f"unknown verb {verb[:40]!r}"
    if fingerprint and journal not in ("", fingerprint) and verb != Verb.KILL:
        return f"{verb} was meant for another journal that lay here, and is not obeyed"
    other = "" if build == ours else build or UNKNOWN_BUILD
    command = Command(id, Verb(verb), user, reason, argument, other, not_after_ns)
    return _unfit(command) or command


def _unfit(command: Command) -> str:
    for name in ("id", "user", "reason", "argument", "build"):
        text = getattr(command, name)
        most = ARGUMENT_MAX if name == "argument" else TEXT_MAX
        if len(text) > most or not (text.isprintable() or not text):
            return f"the {name} is too long, or not printable"
    return "" if command.id else "the id is missing"


def _open(path: Path) -> sqlite3.Connection:
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    box = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None, timeout=_BUSY_S
    )
    try:
        box.text_factory = lambda raw: raw.decode("utf-8", "replace")
        box.execute("PRAGMA trusted_schema = OFF")
        application = box.execute("PRAGMA application_id").fetchone()[0]
        if application not in (0, APPLICATION_ID):
            raise sqlite3.DatabaseError("it is another program's database")
        if application != 0 and _version(box) > _VERSION:
            raise sqlite3.DatabaseError(f"it is of a newer release: version {_version(box)}, not {_VERSION}")
        if application == 0 or _version(box) < _VERSION or _lacking(box):
            box.execute("PRAGMA journal_mode = WAL").fetchone()
            box.execute("BEGIN IMMEDIATE")
            box.execute(_CREATE)
            for name in _lacking(box):
                box.execute(f"ALTER TABLE commands ADD COLUMN {name} {_ADDED[name]}")
            box.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            box.execute(f"PRAGMA user_version = {_VERSION}")
            box.execute("COMMIT")
        box.execute("PRAGMA synchronous = FULL")
    except BaseException:  # an interrupt, too: an open transaction would keep every other writer out
        box.close()
        raise
    return box


def _lacking(box: sqlite3.Connection) -> list[str]:
    """The columns that a file of an older form has not."""
    there = {row[1] for row in box.execute("PRAGMA table_info(commands)")}
    return [name for name in _ADDED if name not in there]


def _version(box: sqlite3.Connection) -> int:
    return int(box.execute("PRAGMA user_version").fetchone()[0])
