"""A journal as polars frames, for notebooks and reports: `hedger.journal.scan`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from hedger.arguments import needed_path
from hedger.journal.export import tables
from hedger.journal.journal import open_to_read


@dataclass(frozen=True, slots=True)
class Scanned:
    """The tables that `hedger journal export` writes: records, fills, orders, adjustments, opening, marks."""

    trading: str
    engine: str
    tables: Mapping[str, pl.DataFrame]

    def __getitem__(self, name: str) -> pl.DataFrame:
        """A table by its name."""
        return self.tables[name]


def scan(path: str | Path = "hedger.journal") -> Scanned:
    """A journal's tables as of one moment, while an engine writes it or long after.

    Raises:
        InputError: it is no journal. JournalDamaged: its chain is broken, or it cannot be read to its end.
    """
    file = needed_path("path", path)
    storage = open_to_read(file)
    try:
        with storage.steady():
            return Scanned(storage.name.trading, storage.name.engine, tables(storage, where=file.name))
    finally:
        storage.close()
