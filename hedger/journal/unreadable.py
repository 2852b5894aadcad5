"""Why a journal cannot be read: it is damaged, or another build wrote what this one does not know.

Both look the same to whoever reads a record, and they need the opposite of each other: a damaged journal is
kept and a new one begun, one of a newer build is sound and only wants the build that wrote it. So where a
record cannot be read, the chain up to it is checked: if it holds, the record is what its writer wrote.
"""

from __future__ import annotations

import json

from hedger.build import this_build
from hedger.journal.codec import CodecError
from hedger.journal.entries import Head, Kind, Record, misplaced, unreadable
from hedger.journal.storage import JournalDamaged, Storage, StorageFailed


class JournalOtherBuild(JournalDamaged):
    """A sound journal with records that this build does not know (exit 2)."""


def why_unreadable(storage: Storage, error: Exception, damaged: JournalDamaged) -> JournalDamaged:
    """The error for people where reading a journal ended in another one. damaged: what to say where it is."""
    build = _wrote_it(storage) if isinstance(error, CodecError) else ""
    if build in ("", this_build()):
        return damaged
    return JournalOtherBuild(
        "JOURNAL_OTHER_BUILD",
        f"the journal was written by build {build}, this is {this_build()}, which does not know all of it",
        where=damaged.where,
        observed=error,
        allowed="records that this build knows",
        not_done=damaged.not_done,
        fix=f"use build {build}; the journal is sound up to there and goes on with it",
    )


def unreadable_from(where: str, observed: str, not_done: str) -> JournalDamaged:
    """The error for whoever only reads a journal that is damaged. where: the file's name."""
    return JournalDamaged(
        "JOURNAL_DAMAGED",
        "the journal cannot be read to its end",
        where=where,
        observed=observed,
        allowed="one unbroken chain of records that this build knows",
        not_done=not_done,
        fix="`hedger journal verify` says how far it is sound",
    )


def build_at(storage: Storage, number: int) -> str:
    """The build that wrote a record, by the last start up to it; "" where no start says.

    Raises:
        StorageFailed: the file cannot be read.
    """
    build = ""
    for record in storage.records(kinds=[Kind.CONFIGURATION]):
        if record.number > number:
            break
        build = _version(record)
    return build


def _wrote_it(storage: Storage) -> str:
    """The build whose record is the first that cannot be read; "" where it is not what was written, or where
    each can be read for itself."""
    last, build = Head(0, storage.name.genesis), ""
    try:
        for record in storage.records():
            if misplaced(record, last):
                return ""
            if record.kind == Kind.CONFIGURATION:
                build = _version(record)
            if unreadable(record):
                return build
            last = Head(record.number, record.hash)
    except StorageFailed:
        return ""
    return ""


def _version(start: Record) -> str:
    """The build of a start, whatever else of its record is not known here."""
    try:
        found = json.loads(start.text)
    except (ValueError, RecursionError):
        return ""
    build = found.get("version") if isinstance(found, dict) else None
    return build if isinstance(build, str) else ""
