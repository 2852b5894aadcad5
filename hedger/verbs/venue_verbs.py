"""`hedger doctor`, `book fetch` and `record`: what asks a venue and sends it nothing. Heavy imports stand
inside the verb that needs them.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from hedger.verbs.flags import Commands, add_journal, coin, positive
from hedger.verbs.printing import show_json
from pricing.errors import Exit, InputError

if TYPE_CHECKING:
    from hedger.sections.venues import VenueName


def declare(commands: Commands) -> None:
    """The words of `doctor`, `book` and `record`."""
    words = commands.add("doctor", doctor, "whether anything stands against trading; exit 1 if so")
    add_journal(words, "the engine's record, whose folder is looked at")

    books = commands.group("book", "positions and balances")
    words = books.add("fetch", book_fetch, "what a venue says that we hold, as a book file")
    _add_venue(words)
    words.add_argument("--out", required=True, type=Path, metavar="BOOK", help="file to create (CSV)")

    words = commands.add("record", record, "venues' markets to a tape; no keys")
    text = "such as deribit; may be repeated: one tape of them all"
    words.add_argument("--venue", action="append", required=True, metavar="V", help=text)
    words.add_argument("--out", required=True, type=Path, metavar="TAPE", help="folder to create")
    words.add_argument("--minutes", type=positive, metavar="N", help="end after so many (default: run on)")
    words.add_argument(
        "--underlying",
        action="append",
        default=[],
        type=coin,
        metavar="COIN",
        help="only this one; may be repeated",
    )
    words.add_argument(
        "--every-ms", type=positive, default=100.0, metavar="MS", help="from batch to batch (default 100)"
    )
    text = "the tape grows, and is sound, after each so many seconds (default 60)"
    words.add_argument("--part-s", type=positive, default=60.0, metavar="S", help=text)


def _add_venue(parser: argparse.ArgumentParser) -> None:
    text = "such as deribit; what the configuration says of it stands in [venues.V]"
    parser.add_argument("--venue", required=True, metavar="V", help=text)


def doctor(arguments: argparse.Namespace) -> Exit:
    """What stands against trading; 1 where something does."""
    from hedger.config import load
    from hedger.runs.checks import Finding
    from hedger.runs.doctor import examine

    checks = examine(load(arguments.config).settings, arguments.journal)
    bad = [check.what for check in checks if check.finding is Finding.BAD]
    if arguments.json:
        document = {"healthy": not bad, "bad": bad, "checks": [check.document() for check in checks]}
        show_json(document)
    else:
        wide = max(len(check.what) for check in checks)
        for check in checks:
            print(f"{check.finding.value:4}  {check.what:{wide}}  {check.text}")
        print(f"{len(bad)} of {len(checks)} checks are bad" if bad else "nothing is against it")
    return Exit.NEGATIVE if bad else Exit.DONE


def book_fetch(arguments: argparse.Namespace) -> Exit:
    """Positions and balances of a venue as a book file."""
    from hedger.config import load
    from hedger.runs.book_fetch import fetch

    found = fetch(load(arguments.config).settings, _venue(arguments.venue), arguments.out)
    if arguments.json:
        show_json(found)
        return Exit.DONE
    print(
        f"{found['book']}: {found['positions']} positions and {found['balances']} balances of "
        f"{found['venue']} at {found['as_of']}, {found['open_orders']} orders open there"
    )
    if found["not_listed"]:
        print(f"not listed any more, no market will know it: {', '.join(found['not_listed'])}")
    return Exit.DONE


def record(arguments: argparse.Namespace) -> Exit:
    """Venues' markets to a tape."""
    from hedger.config import load
    from hedger.runs.record import RecordOptions
    from hedger.runs.record import record as start

    os.umask(0o077)
    options = RecordOptions(
        venues=tuple(dict.fromkeys(map(_venue, arguments.venue))),
        out=arguments.out,
        minutes=arguments.minutes,
        underlyings=tuple(arguments.underlying),
        every_ms=arguments.every_ms,
        part_s=arguments.part_s,
    )
    document, code = start(options, load(arguments.config).settings, time.time_ns)
    if arguments.json:
        show_json(document)
    else:
        print(
            f"{document['tape']}: {document['batches']} batches of {document['listings']} listings in "
            f"{document['parts']} parts, {document['outages']} outages"
        )
    sys.stdout.flush()
    return code


def _venue(text: str) -> VenueName:
    from hedger.runs.venue_setup import CONNECTED

    for name in CONNECTED:
        if name == text:
            return name
    raise InputError(
        "VENUE_NOT_CONNECTED",
        "no adapter for this venue",
        where="--venue",
        observed=text,
        allowed=", ".join(CONNECTED),
        not_done="nothing was connected",
        fix="name one of these",
    )
