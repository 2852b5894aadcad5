"""The page with every code that an error, the doctor or the watchdog can say."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

from docs.making.markdown import cell, code, page, table
from docs.making.scanning import Said, error_classes, said
from pricing.errors import Exit
from venues import order_checks
from venues.paper_orders import Code
from venues.wire import rejects

#: What codes mean whose own words do not tell, by where they stand on the page.
WORDS = Path(__file__).with_name("code_words.toml")
#: What each exit code means to a script or a supervisor.
EXITS = {
    Exit.DONE: "done",
    Exit.NEGATIVE: "it ran, and the result is negative: not valid, not sound, something bad was found",
    Exit.INVALID: "command, settings or input invalid; nothing was started",
    Exit.REFUSED: "refused by safety: a blocked plan, not armed, the kill latch, a lock held",
    Exit.UNAVAILABLE: "a venue or the network is not available",
    Exit.UNRECONCILED: "the accounts and the book do not agree; no trading was begun",
    Exit.INTERNAL: "a fault of the program: please report it",
    Exit.OUTPUT: "the command was taken and ran to its end, and what it printed could not be written",
    Exit.INTERRUPTED: "interrupted from the keyboard, after an orderly cancel",
    Exit.TERMINATED: "ended by a signal, after an orderly cancel",
}


@cache
def words() -> Mapping[str, Mapping[str, str]]:
    """Sentences by hand: `python`, `errors` and `orders`, by code."""
    return tomllib.loads(WORDS.read_text("utf-8"))


def errors() -> list[Said]:
    """Codes of errors, each once, with all that they say, or the sentence that stands for it."""
    rows = _once(x for x in said() if x.how in error_classes() or x.how == "message")
    by_hand = {**words()["errors"], **words()["python"]}
    return [replace(row, what=by_hand.get(row.code, row.what)) for row in rows]


def alerts() -> list[Said]:
    """Codes of alerts, each once."""
    return _once(x for x in said() if x.how == "alert")


def checks() -> list[Said]:
    """Codes of the doctor, each once."""
    return _once(x for x in said() if x.how == "check")


def watchdog() -> list[Said]:
    """Codes of the watchdog, each once."""
    return _once(x for x in said() if x.how == "watchdog")


def order_words() -> list[str]:
    """What an order's `code` can be that ended, was refused or was lost, whatever the venue's own word is."""
    named = [vars(module) for module in (order_checks, rejects)]
    constants = [x for names in named for name, x in names.items() if name.isupper() and isinstance(x, str)]
    return sorted({*map(str, rejects.Reason), *map(str, Code), *constants})


def every_code() -> frozenset[str]:
    """Every code that can be said, the reasons of limits apart."""
    return frozenset(x.code for x in said())


def _once(rows: Iterable[Said]) -> list[Said]:
    held: dict[str, Said] = {}
    bare = (replace(x, what=x.what.removeprefix(f"{x.code}: ")) for x in rows)
    for row in sorted(bare, key=lambda x: (x.code, x.file)):
        known = held.get(row.code)
        if known is None:
            held[row.code] = row
            continue
        texts = [t for t in known.what.split("; ") if t]
        what = "; ".join(dict.fromkeys([*texts, *row.what.split("; ")] if row.what else texts))
        how = known.how if known.how != "message" else row.how
        held[row.code] = Said(row.code, how, what, known.file, known.severity)
    return list(held.values())


def _exit(row: Said) -> str:
    number = error_classes().get(row.how)
    return "" if number is None else str(number)


def make() -> str:
    """The page."""
    alone = words()["python"]
    rows = [(code(x.code), _exit(x), cell(x.what)) for x in errors() if x.code not in alone]
    parts = [
        "An error is one line on stderr: `CODE: what, where, observed, allowed; what was not done; how to "
        "fix`. "
        "`--debug` adds the traceback. Codes are stable, the words may change. This list is read from the "
        "program's "
        "source, and a test compares both. Reasons why an order is refused are [a list of their "
        "own](limit-codes.md), "
        "what a running engine tells a person is in the [runbook](../runbook/index.md).",
        "## Exit codes\n",
        table(("exit", "means"), [(str(int(x)), cell(text)) for x, text in EXITS.items()]),
        "A supervisor must not restart on 2, 3 or 5: a person has to look first.",
        "## Errors\n",
        "Where no exit code stands the code is said inside something else: an order that is denied, a line "
        "of a report.\n",
        table(("code", "exit", "what is wrong"), rows),
        "## Of the Python interface alone\n",
        "These stand at the head of a `ValueError` that names what was given and what is allowed; verbs "
        "check before.\n",
        table(("code", "what is wrong"), [(code(name), cell(alone[name])) for name in sorted(alone)]),
        "## Words beside an order\n",
        "`hedger orders` and the journal name why an order ended, was refused by its venue, or is not known, "
        "in the same words for every venue. A code in capitals there is one of the errors above, or [a "
        "limit's](limit-codes.md).\n",
        table(("word", "means"), [(code(x), cell(words()["orders"][x])) for x in order_words()]),
        "## What the doctor finds\n",
        "`hedger doctor` exits with 1 while one of these stands.\n",
        table(("code", "what is wrong"), [(code(x.code), cell(x.what)) for x in checks()]),
        "## Why the watchdog kills\n",
        table(("code", "observed"), [(code(x.code), cell(x.what)) for x in watchdog()]),
    ]
    return page("Error codes", *parts)
