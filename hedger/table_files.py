"""A table from a file of a user's: CSV or parquet, as it stands there."""

from __future__ import annotations

import csv
from pathlib import Path

import polars as pl

from pricing.errors import refuse_repeated

#: What can go wrong with such a file; who reads it says what it should have been.
UNREADABLE = (OSError, csv.Error, pl.exceptions.PolarsError)


def read_table(path: Path, not_done: str, *, times: bool = False) -> pl.DataFrame:
    """The table. times: of a CSV, what looks like times is read as such.

    Raises:
        InputError: two columns have one name. UNREADABLE: it is no such file.
    """
    if path.suffix.lower() != ".csv":
        return pl.read_parquet(path)
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        header = next((row for row in csv.reader(file) if row), [])
    refuse_repeated(header, str(path), not_done)
    return pl.read_csv(path, try_parse_dates=times)
