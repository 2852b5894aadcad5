"""`hedger journal show|verify|export`: the record, read while an engine writes it or long after."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hedger.text_width import beginning
from hedger.verbs.flags import Commands, add_journal, count
from hedger.verbs.printing import say, show_json
from pricing.errors import Exit, InputError

if TYPE_CHECKING:
    from hedger.journal.entries import Head, Record
    from hedger.journal.sqlite import SqliteStorage

_BREAKS_MAX = 20
_BODY_SHOWN = 160


def declare(commands: Commands) -> None:
    """The words of `journal`."""
    journals = commands.group("journal", "the engine's record")
    words = add_journal(journals.add("show", show, "print records"))
    words.add_argument("--kind", action="append", metavar="KIND", help="only these, such as fill or decision")
    words.add_argument(
        "--from", type=count, default=-1, dest="first", metavar="SEQ", help="from this event on"
    )
    words = add_journal(journals.add("verify", verify, "check the chain of hashes; exit 1 if broken"))
    words.add_argument("--head", metavar="NUMBER:HASH", help="a head noted earlier that must be in it")
    text = "decide every event again, with the settings and limits of then, and compare"
    words.add_argument("--replay", action="store_true", help=text)
    text = "of a replay: where its marks lie; of a run with --record: replay it, and compare orders and fills"
    words.add_argument("--tape", type=Path, metavar="TAPE", help=text)
    words = add_journal(journals.add("export", export, "write the record as Parquet tables"))
    words.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder to create")


def show(arguments: argparse.Namespace) -> Exit:
    """Records, one a line; with --json one document, written as it is read."""
    from hedger.journal.entries import Kind
    from hedger.verbs.journals import followed

    kinds = arguments.kind or []
    unknown = sorted(set(kinds) - set(Kind))
    if unknown:
        raise InputError(
            "JOURNAL_KIND",
            "there are no such records",
            where="--kind",
            observed=", ".join(unknown),
            allowed=", ".join(Kind),
            not_done="nothing was read",
            fix="name one of them, or leave it out",
        )
    with followed(arguments.journal, "what was shown up to here is all that is shown") as storage:
        head = storage.head()
        if arguments.json:
            start = {"trading": storage.name.trading, "engine": storage.name.engine, "head": str(head)}
            print(json.dumps(start)[:-1] + ', "records": [', end="")
        shown = (record for record in storage.records(kinds=kinds) if record.seq >= arguments.first)
        for i, record in enumerate(shown):
            if arguments.json:
                print(", " * (i > 0) + json.dumps(_document(record)), end="")
            else:
                say(_line(record))
        if arguments.json:
            print("]}")
    return Exit.DONE


def verify(arguments: argparse.Namespace) -> Exit:
    """Check every record against the chain and the file against itself, and with --replay every decision
    against the engine; exit 1 with where it breaks."""
    from hedger.journal.sqlite import read_sqlite
    from hedger.journal.storage import JournalDamaged

    expected = _expected_head(arguments.head)
    document: dict[str, Any] = {"trading": None, "engine": None, "compared": None}
    last = None
    try:
        storage = read_sqlite(arguments.journal)
    except JournalDamaged as error:
        problems = [str(error.observed)]
    else:
        document |= {"trading": storage.name.trading, "engine": storage.name.engine}
        last, problems = _walk(storage, expected)
        storage.close()
    document |= {"records": last.number if last else None, "head": str(last) if last else None}
    if arguments.replay and not problems:
        again = _again(arguments, on_tape=document["trading"] != "paper")
        document["replayed"] = again
        problems = [] if again["same"] else [f"decided again it comes out otherwise: {_otherwise(again)}"]
        if arguments.tape is not None and document["trading"] == "paper":
            compared = _compared(arguments)
            document["compared"] = compared
            if compared["difference"]:
                why = f" ({compared['left']})" if compared["left"] else ""
                problems.append(f"its tape replayed comes out otherwise: {compared['difference']}{why}")
    document |= {"sound": not problems, "problems": problems}
    if arguments.json:
        show_json(document)
    else:
        for text in problems:
            say(text)
        state = "sound" if not problems else "NOT sound"
        if "replayed" in document:
            again = document["replayed"]
            print(
                f"decided again: {again['events']} events of {again['starts']} starts, {again['decisions']} "
                f"decisions, {len(again['different'])} of them otherwise; state {again['state_digest'][:16]}"
            )
        if (found := document["compared"]) is not None and not problems:
            counts = ", ".join(f"{found[name]} {name}" for name in ("hedges", "orders", "fills"))
            print(f"its tape replayed: {counts} alike")
        say(f"{arguments.journal.name}: {state}; {document['records']} records, head {document['head']}")
    return Exit.NEGATIVE if problems else Exit.DONE


def _again(arguments: argparse.Namespace, *, on_tape: bool) -> dict[str, Any]:
    """The journal worked through the engine once more, with the settings and limits of the command line.
    on_tape: whether its marks lie on the tape that was named."""
    from hedger.config import load
    from hedger.limits_file import load_limits
    from hedger.runs.refold import refold
    from venues.tape import Tape

    settings = load(arguments.config).settings
    limits = load_limits(Path(settings.limits_file) if settings.limits_file else None)
    tape = Tape.open(arguments.tape) if on_tape and arguments.tape is not None else None
    found = refold(arguments.journal, tape, settings, limits)
    return {
        "same": found.same,
        "starts": found.starts,
        "events": found.events,
        "decisions": found.decisions,
        "different": list(found.different),
        "undecided": list(found.undecided),
        "same_book": found.same_book,
        "state_digest": found.digest,
    }


def _compared(arguments: argparse.Namespace) -> dict[str, Any]:
    """A paper run and the replay of its tape."""
    from hedger.config import load
    from hedger.limits_file import load_limits
    from hedger.runs.alike import alike
    from venues.tape import Tape

    settings = load(arguments.config).settings
    limits = load_limits(Path(settings.limits_file) if settings.limits_file else None)
    found = alike(arguments.journal, Tape.open(arguments.tape), settings, limits)
    return {
        "hedges": found.hedges,
        "orders": found.orders,
        "fills": found.fills,
        "difference": found.difference,
        "left": found.left,
    }


def _otherwise(again: dict[str, Any]) -> str:
    different = again["different"]
    told = [f"events {', '.join(map(str, different[:_BREAKS_MAX]))}"] if different else []
    return "; ".join(told + ["the book"] * (not again["same_book"]))


def _walk(storage: SqliteStorage, expected: Head | None) -> tuple[Head, list[str]]:
    """The last record read, and everything that is wrong with the journal."""
    from hedger.journal.entries import Head, breaks
    from hedger.journal.storage import StorageFailed

    problems: list[str] = []
    passed = [Head(0, storage.name.genesis)]
    known = expected is None or expected == passed[0]

    def noted() -> Iterator[Record]:
        nonlocal known
        for record in storage.records():
            passed[0] = Head(record.number, record.hash)
            known = known or passed[0] == expected
            yield record

    try:
        with storage.steady():
            for place in breaks(noted(), storage.name, storage.head()):
                if len(problems) < _BREAKS_MAX:
                    problems.append(str(place))
                elif len(problems) == _BREAKS_MAX:
                    problems.append("and more")
    except StorageFailed as error:
        problems.append(f"after record {passed[0].number}: {error}")
    if not known:
        problems.append(f"the record of --head {str(expected)[:24]}... is not in the journal")
    return passed[0], problems + [f"file: {text}" for text in storage.problems()]


def export(arguments: argparse.Namespace) -> Exit:
    """Write the tables."""
    from hedger.journal.export import export as write_tables
    from hedger.verbs.journals import opened

    with opened(arguments.journal, "nothing was written") as storage:
        rows = write_tables(storage, arguments.out, where=arguments.journal.name)
    if arguments.json:
        show_json({"out": str(arguments.out), "rows": rows})
    else:
        print(f"{arguments.out}: " + ", ".join(f"{count} {name}" for name, count in rows.items()))
    return Exit.DONE


def _expected_head(text: str | None) -> Head | None:
    from hedger.journal.entries import Head

    if text is None:
        return None
    try:
        return Head.parse(text)
    except ValueError as error:
        raise InputError(
            "JOURNAL_HEAD",
            "the head to look for cannot be read",
            where="--head",
            observed=text,
            allowed="NUMBER:HASH as `journal verify` prints it",
            not_done="nothing was checked",
        ) from error


def _document(record: Record) -> dict[str, Any]:
    from pricing.daycount import iso

    return {
        "number": record.number,
        "kind": record.kind,
        "seq": record.seq,
        "now_ns": record.now_ns,
        "time": iso(record.now_ns),
        "key": record.key,
        "hash": record.hash.hex(),
        "body": record.document(),
    }


def _line(record: Record) -> str:
    """A record for people; what a stranger may have put in it is shown escaped."""
    from pricing.daycount import iso

    key = "" if record.key is None else f" {json.dumps(record.key)}"
    body = record.text.decode("utf-8", "replace").encode("ascii", "backslashreplace").decode("ascii")
    body = "".join(c if c.isprintable() else "?" for c in body)
    cut = body if len(body) <= _BODY_SHOWN else beginning(body, _BODY_SHOWN) + f"... ({len(body)} bytes)"
    cut += "" if record.frame is None else f" + {len(record.frame)} bytes"
    kind = "".join(c if c.isprintable() else "?" for c in record.kind)
    return f"{record.number} {iso(record.now_ns)} seq {record.seq} {kind}{key} {cut}"
