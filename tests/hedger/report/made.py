"""A replay with hedges, its journal, and the report on it, as the report's tests share them."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from hedger.cli import main
from hedger.journal.entries import Entry, JournalName
from hedger.journal.journal import Journal
from hedger.limits_file import load_limits
from hedger.runs.replay import Replay, replay
from hedger.settings import Settings
from tests.hedger.command_line import Json, make_book, make_tape, strict_json
from venues.tape import Tape

ROWS = [
    ("BTC-27MAR26-68000-C", -40),
    ("ETH-27MAR26-2100-P", -500),
    ("BTC-PERPETUAL", -250_000),
    ("BTC", "12.5"),
    ("ETH", 100),
    ("USDC", 1_000_000),
]


@dataclass(frozen=True, slots=True)
class Made:
    """A run, its tape and journal, and the report's folder and document."""

    run: Replay
    tape: Path
    journal: Path
    out: Path
    document: Json

    def table(self, name: str) -> list[dict[str, Any]]:
        """A Parquet table of the report as plain rows."""
        return pl.read_parquet(self.out / f"{name}.parquet").to_dicts()


def make(folder: Path) -> Made:
    """Replay a simulated tape and report on it."""
    tape = make_tape(folder / "tape", seed=7, batches=12, seconds=1800.0)  # six hours
    book, journal = make_book(folder / "book.csv", ROWS), folder / "a.journal"
    run = replay(Tape.open(tape), book, Settings(), load_limits(None), journal)
    document = report(journal, folder / "out", "--tape", tape)
    return Made(run, tape, journal, folder / "out", document)


def report(journal: Path, out: Path, *more: object) -> Json:
    """`hedger report --json`, which must come out well."""
    said = io.StringIO()
    with redirect_stdout(said):
        code = main(["report", "--journal", str(journal), "--out", str(out), "--json", *map(str, more)])
    assert code == 0
    printed: Json = strict_json(said.getvalue())
    assert {"out": str(out), **json.loads((out / "report.json").read_text())} == printed
    return printed


def told(path: Path, *turns: Iterable[Entry], name: JournalName | None = None) -> Path:
    """A journal of a story told by hand."""
    journal = Journal.open(path, name or JournalName("paper", "k3x9"))
    for entries in turns:
        journal.append(*entries)
    journal.close()
    return path
