"""Tables from outside, checked cell by cell: the first broken rule names its file, row and column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import polars as pl

from pricing.errors import InputError
from venues.source_files import PARQUET_ERRORS, check_parquet, refuse

TIME, NUMBER, TEXT = "a UTC datetime", "a number", "text"
#: No coin's price reaches this; what does is garbage, and exact rounding to ticks needs a bound.
PRICE_MAX = 1e12
_SECONDS = (1_262_304_000, 4_102_444_800)  # 2010 and 2100, since 1970
_UNITS_PER_SECOND = {"ms": 10**3, "us": 10**6, "ns": 10**9}


@dataclass(frozen=True, slots=True)
class Rule:
    """A column, and when its value is refused."""

    column: str
    bad: pl.Expr
    what: str
    allowed: str
    code: str = "SOURCE_VALUE"


def read_columns(path: Path, columns: Mapping[str, str]) -> pl.DataFrame:
    """The named columns of a parquet file after a check of their types; with `file` and `row`."""
    check_parquet(path)
    try:
        scan = pl.scan_parquet(path, glob=False)
        schema = scan.collect_schema()
        for column, kind in columns.items():
            if column not in schema or not _is(schema[column], kind):
                refuse(
                    "SOURCE_COLUMN",
                    "a column has the wrong type" if column in schema else "a column is missing",
                    path,
                    where=f"{path.name}, column {column}",
                    observed=schema.get(column),
                    allowed=kind,
                    fix=f"write the file with the columns {', '.join(columns)}",
                )
        frame = scan.select(list(columns)).collect()
    except PARQUET_ERRORS as error:
        refuse("FILE_DAMAGED", "the parquet file cannot be read", path, observed=error, fix="fetch it again")
    if not frame.height:
        refuse("FILE_EMPTY", "the file has no rows", path, allowed="at least one row")
    numbers = [c for c, kind in columns.items() if kind == NUMBER]
    texts = [c for c, kind in columns.items() if kind == TEXT]
    # columns of type null: nothing is known
    frame = frame.with_columns(pl.col(numbers).cast(pl.Float64), pl.col(texts).cast(pl.String))
    return frame.with_columns(pl.lit(path.name).alias("file")).with_row_index("row", offset=1)


def _is(kind: pl.DataType, wanted: str) -> bool:
    if wanted == TIME:
        return isinstance(kind, pl.Datetime) and kind.time_zone in ("UTC", "Etc/UTC", "+00:00")
    if wanted == NUMBER:
        return kind.is_numeric() or kind == pl.Null
    return kind in (pl.String, pl.Null)


def number_rules(columns: Mapping[str, str]) -> list[Rule]:
    names = [column for column, kind in columns.items() if kind == NUMBER]
    allowed = "a finite number, or null"
    return [Rule(c, ~pl.col(c).is_finite(), "not a finite number", allowed) for c in names]


def time_rules(frame: pl.DataFrame, column: str) -> list[Rule]:
    """Times lie within the years that nanoseconds and calendars both hold; compared as integers, exactly."""
    kind = frame.schema[column]
    assert isinstance(kind, pl.Datetime)
    first, end = (_UNITS_PER_SECOND[kind.time_unit] * seconds for seconds in _SECONDS)
    stamp = pl.col(column).to_physical()
    allowed = "from 2010-01-01 to 2099-12-31, UTC"
    return [Rule(column, (stamp < first) | (stamp >= end), "a time outside the calendar", allowed)]


def apply_rules(path: Path, frame: pl.DataFrame, rules: Sequence[Rule]) -> None:
    tests = [rule.bad.fill_null(False).any().alias(str(i)) for i, rule in enumerate(rules)]
    broken = frame.select(tests).row(0)
    for rule in (rule for rule, found in zip(rules, broken, strict=True) if found):
        first = frame.filter(rule.bad.fill_null(False)).head(1)
        refuse(
            rule.code,
            rule.what,
            path,
            where=f"{path.name}, row {first['row'][0]}, column {rule.column}",
            observed=_shown(first[rule.column]),
            allowed=rule.allowed,
            fix="correct or drop the row at its source",
        )


def refuse_twice(frame: pl.DataFrame, key: list[str], column: str, allowed: str) -> None:
    twice = frame.filter(pl.struct(key).is_duplicated())
    if twice.height:
        same = twice.filter(pl.all_horizontal(pl.col(c) == twice[c][0] for c in key))
        _twice(same, key, column, allowed)


def _shown(cell: pl.Series) -> object:
    """The value of one cell for people; a time that no calendar holds as its integer."""
    if not isinstance(cell.dtype, pl.Datetime) or cell.null_count():
        return cell[0]
    stamp = int(cell.to_physical()[0])
    try:
        seconds = stamp // _UNITS_PER_SECOND[cell.dtype.time_unit]
        return datetime.fromtimestamp(seconds, UTC).isoformat()
    except (OverflowError, ValueError, OSError):
        return f"{stamp} {cell.dtype.time_unit} since 1970"


def price_rules(columns: Sequence[str]) -> list[Rule]:
    """Prices of an underlying are above 0 wherever they are known."""
    allowed = f"above 0 and at most {PRICE_MAX:.0e}"
    return [Rule(c, (pl.col(c) <= 0) | (pl.col(c) > PRICE_MAX), "not a price", allowed) for c in columns]


def _twice(same: pl.DataFrame, key: list[str], column: str, allowed: str) -> NoReturn:
    places = [f"{file}, row {row}" for file, row in same.select("file", "row").head(2).iter_rows()]
    moment = same.select(pl.col(key[0]).cast(pl.Datetime("ns", "UTC")).cast(pl.String)).item(0, 0)
    raise InputError(
        "SOURCE_TWICE",
        "a row occurs twice",
        where=f"{' and '.join(places)}, column {column}",
        observed=f"{same[key[1]][0]} at {moment}",
        allowed=allowed,
        not_done="nothing was written",
        fix="drop one of the rows, or the file that overlaps",
    )


def epoch_ns(column: str) -> pl.Expr:
    return pl.col(column).dt.epoch("ns")
