"""The page on JSON documents: what each verb prints with --json, learned by letting it print."""

from __future__ import annotations

import io
import json
import re
import tempfile
from collections.abc import Iterator
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from docs.making.markdown import code, page, table
from hedger.cli import main

BOOK = """venue,symbol,quantity,average_price
simulated,BTC,12,
simulated,USDC,500000,
simulated,BTC-6MAR26-72000-C,-60,0.009
simulated,BTC-20MAR26-68000-P,-25,0.02
simulated,BTC-PERPETUAL,250000,70000
"""
_MARKET = ("--book", "book.csv", "--market", "tape")
_RECORD = ("--journal", "trial.journal")
#: What is run for it, in this order, in one folder: a tape of the simulated market, a book, a replay.
RUNS: tuple[tuple[str, ...], ...] = (
    ("tape", "info", "tape"),
    ("tape", "verify", "tape"),
    ("risk", *_MARKET),
    ("plan", *_MARKET),
    ("whatif", *_MARKET, "--spot=-20,0,20", "--vol=0,10", "--days", "0", "--stress", "all"),
    ("replay", "tape", "--book", "book.csv", *_RECORD),
    ("status", *_RECORD),
    ("orders", *_RECORD, "--all"),
    ("pnl", *_RECORD, "--tape", "tape"),
    ("venues", *_RECORD, "--tape", "tape"),
    ("journal", "verify", *_RECORD),
    ("demo", "--minutes", "1"),
    ("study", "frontier", "--paths", "200", "--days", "5"),
    ("limits", "show"),
    ("limits", "validate", "limits.toml"),
    ("limits", "compare", "limits.toml", "limits.toml"),
    ("config", "validate"),
    ("doctor",),
)
#: Names that a market or a desk gives, not the program: a key like one of these stands for all of its kind.
_GIVEN = re.compile(r"[A-Z*]|.*[:*/]|\d|.*\.toml|simulated$|tape\.json$|.*\.parquet$")
#: Objects whose keys are such names although they look like ours.
_TABLES = ("refused", "alerts", "rows", "listings", "violations", "occasions", "counts")


def documents() -> dict[str, Any]:
    """What every run printed, by its verb."""
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        Path("book.csv").write_text(BOOK)
        _quietly("tape", "simulate", "--out", "tape", "--minutes", "3")
        Path("limits.toml").write_text(_quietly("limits", "show"))
        return {_verb(run): json.loads(_quietly(*run, "--json")) for run in RUNS}


def _verb(run: tuple[str, ...]) -> str:
    return " ".join(run[:2]) if run[0] in ("tape", "journal", "study", "limits", "config") else run[0]


def _quietly(*words: str) -> str:
    out = io.StringIO()
    with redirect_stdout(out), redirect_stderr(io.StringIO()):
        main(list(words))
    return out.getvalue()


def paths(document: Any, at: str = "") -> Iterator[tuple[str, str]]:
    """Every key of a document with the type of what is there.

    >>> list(paths({"a": [{"b": 1}], "c": {"delta:BTC": None}}))
    [('a[].b', 'number'), ('c.NAME', 'null')]
    """
    match document:
        case dict() if document:
            for key, value in document.items():
                last = at.rsplit(".", 1)[-1]
                named = "NAME" if _GIVEN.match(key) or last in _TABLES else key
                yield from paths(value, f"{at}.{named}" if at else named)
        case list() if document:
            for value in document:
                yield from paths(value, f"{at}[]")
        case _:
            yield at or "(whole)", _type(document)


def _type(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int() | float():
            return "number"
        case str():
            return "text"
    return "list" if isinstance(value, list) else "object"


def table_of(document: Any) -> dict[str, str]:
    """Keys with all types that were seen; a list or object that was empty somewhere tells nothing more."""
    types: dict[str, set[str]] = {}
    for path, kind in paths(document):
        types.setdefault(path, set()).add(kind)
    longer = {p for path in types for p in _above(path)}
    return {path: " or ".join(sorted(kinds)) for path, kinds in types.items() if path not in longer}


def _above(path: str) -> Iterator[str]:
    """What a path goes on from."""
    for end, letter in enumerate(path):
        if letter == "." or path[end : end + 2] == "[]":
            yield path[:end]


def make() -> str:
    """The page."""
    parts = [
        "With `--json` a verb prints one document on stdout. Computed values are numbers, quantities and "
        "prices that go "
        "to a venue are decimal texts; `null` is open or unknown, never zero and never infinity. NAME "
        "stands for names "
        "that a market or a desk gives. Keys may be added, and are only renamed or removed with a line in "
        "the change "
        "log.\n\nThe keys below were printed by the program on a small simulated market; a key that only "
        "exists in other "
        "circumstances is missing here.",
    ]
    for verb, document in documents().items():
        rows = [(code(path), kind) for path, kind in table_of(document).items()]
        parts.append(f"## `hedger {verb} --json`\n\n" + table(("key", "type"), rows))
    return page("JSON documents", *parts)
