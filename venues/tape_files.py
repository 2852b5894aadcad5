"""The tape's folder: its description `tape.json`, and writing all its files or none."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import polars as pl

from pricing.contracts import Listing
from pricing.errors import InputError
from venues.source_files import read_json, refuse, sha256_of
from venues.tape_checks import depth_problems, quote_problems, timetable_problems, trade_problems
from venues.tape_schema import (
    FORMAT_VERSION,
    OPTIONAL_QUOTE_COLUMNS,
    SCHEMAS,
    STAMP_NS_MAX,
    flag_column,
    listings_frame,
)

DESCRIPTION = "tape.json"
#: A description that is being written.
NEW_DESCRIPTION = f".{DESCRIPTION}.new"
_DESCRIPTION_BYTES_MAX = 16 * 2**20
#: Small enough that a snapshot early in a month need not read the whole month.
_ROWS_PER_GROUP = 32_768
#: What a recording adds to a table after its first file.
_PART = re.compile(r"(quotes|depth|trades|timetable)\.([1-9][0-9]{0,8})\.parquet")
_FIX = "check rights and free space"
_DESCRIPTION_TYPES: dict[str, type] = {
    "format_version": int,
    "source": list,
    "options": dict,
    "clock_offset_ns": dict,
    "hash": dict,
    "notes": list,
    "counts": dict,
}


def refuse_existing(path: Path) -> None:
    """Refuse a place to write that is taken, or whose folder does not exist."""
    if os.path.lexists(path):
        refuse("TAPE_EXISTS", "the place to write is taken", path, allowed="a new name", fix="rename --out")
    if not path.parent.is_dir():
        refuse("TAPE_PARENT", "the folder to write into does not exist", path, fix="create the folder first")


def write(
    path: Path,
    listings: Sequence[Listing],
    quotes: pl.DataFrame,
    depth: pl.DataFrame | None = None,
    trades: pl.DataFrame | None = None,
    meta: Mapping[str, Any] | None = None,
    timetable: pl.DataFrame | None = None,
) -> None:
    """Write a tape folder, whole or not at all.

    Args:
        path: the folder to make; it must not exist.
        listings: every listing a row may name.
        quotes, depth, trades, timetable: rows with the tape's columns; columns of quotes that are absent are
            null throughout. `flag` is computed here.
        meta: "source" ([{"name", "sha256"}]), "options" and "notes" for tape.json.

    Raises:
        InputError: the place is taken or cannot be written, or the rows are unsound.
    """
    path = Path(path)
    refuse_existing(path)
    listing_rows = listings_frame(listings)
    tables, problems = sound_rows(quotes, depth, listing_rows, trades, timetable)
    tables = {"listings": listing_rows, **tables}
    if problems:
        refuse("TAPE_UNSOUND", "the rows do not make a sound tape", path, observed=problems[0])

    try:
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    except OSError as error:
        refuse("TAPE_WRITE", "the tape cannot be written", path, observed=error.strerror, fix=_FIX)
    try:
        temporary.chmod(0o755)
        hashes = {}
        for name, frame in tables.items():
            file = temporary / f"{name}.parquet"
            hashes[file.name] = write_table(file, frame)
        write_description(temporary, _description(tables, hashes, meta or {}))
        refuse_existing(path)
        temporary.rename(path)
        _sync(path.parent)
    except (OSError, pl.exceptions.PolarsError) as error:
        refuse("TAPE_WRITE", "the tape cannot be written", path, observed=error, fix=_FIX)
    finally:
        with suppress(FileNotFoundError):  # renamed: nothing is left to remove
            shutil.rmtree(temporary)


def sound_rows(
    quotes: pl.DataFrame,
    depth: pl.DataFrame | None,
    listing_rows: pl.DataFrame,
    trades: pl.DataFrame | None = None,
    timetable: pl.DataFrame | None = None,
) -> tuple[dict[str, pl.DataFrame], list[str]]:
    """The tables as a tape holds them, quotes with their flag; and what is unsound about them.

    Raises:
        InputError: a column is strange, lacking or of another type.
    """
    shaped = _shaped("quotes", quotes)
    problems = quote_problems(shaped.drop("flag"), listing_rows)
    if not quotes.height:
        problems.append("quotes: no rows")
    tables = {"quotes": shaped}
    if depth is not None:
        tables["depth"] = _shaped("depth", depth)
        problems += depth_problems(tables["depth"], shaped, listing_rows)
    if trades is not None:
        tables["trades"] = _shaped("trades", trades)
        problems += trade_problems(tables["trades"], listing_rows)
    if timetable is not None:
        tables["timetable"] = _shaped("timetable", timetable)
        problems += timetable_problems(tables["timetable"])
    if not problems:
        tables["quotes"] = shaped.with_columns(flag_column(shaped, listing_rows))
    return tables, problems


def write_table(file: Path, frame: pl.DataFrame) -> str:
    """Write one file of a tape; its SHA-256. It is durable when this returns.

    By way of memory: of a disk that is full the writer of parquet says nothing but that its file is damaged.
    """
    packed = io.BytesIO()
    frame.write_parquet(packed, compression="zstd", row_group_size=_ROWS_PER_GROUP, statistics=True)
    file.write_bytes(packed.getbuffer())
    _sync(file)
    return sha256_of(file)


def write_description(folder: Path, description: Mapping[str, Any]) -> None:
    """Write a tape's `tape.json`, whole or not at all: whoever reads meanwhile has the one or the other."""
    text = json.dumps(description, indent=1, allow_nan=False) + "\n"
    new = folder / NEW_DESCRIPTION
    new.write_text(text, "utf-8")
    _sync(new)
    new.rename(folder / DESCRIPTION)
    _sync(folder)


def files_of(name: str, description: Mapping[str, Any]) -> list[str]:
    """The files of one table in order: `NAME.parquet`, then the parts of a tape that has grown.

    >>> files_of("quotes", {"hash": {"quotes.2.parquet": "", "quotes.10.parquet": ""}})
    ['quotes.parquet', 'quotes.2.parquet', 'quotes.10.parquet']
    """
    found = {}
    for file in description["hash"]:
        part = _PART.fullmatch(file)
        if part is not None and part[1] == name:
            found[int(part[2])] = file
    return [f"{name}.parquet", *(found[number] for number in sorted(found))]


def read_description(path: Path) -> dict[str, Any]:
    """The contents of a tape folder's `tape.json`, checked.

    Raises:
        InputError: no tape folder, another format version, a field missing or of the wrong type.
    """
    file = path / DESCRIPTION
    if not path.is_dir() or not file.is_file():
        refuse(
            "TAPE_MISSING",
            "not a tape folder",
            path,
            allowed=f"a folder with {DESCRIPTION}",
            not_done="nothing was read",
            fix="name a folder made by `hedger tape import`",
        )
    found = read_json(file, _DESCRIPTION_BYTES_MAX)
    where = f"{path.name}/{DESCRIPTION}"
    for key, kind in _DESCRIPTION_TYPES.items():
        value = found.get(key) if isinstance(found, dict) else None
        if not isinstance(value, kind) or isinstance(value, bool):
            raise InputError(
                "TAPE_DESCRIPTION",
                "a field is missing or of the wrong type",
                where=f"{where}, key {key}",
                observed=repr(value),
                allowed=f"a JSON {kind.__name__}",
                fix="import the tape again from its source",
            )
    if found["format_version"] != FORMAT_VERSION:
        raise InputError(
            "TAPE_VERSION",
            "another version of the tape format",
            where=f"{where}, key format_version",
            observed=found["format_version"],
            allowed=str(FORMAT_VERSION),
            fix="import the tape again with this program",
        )
    whole = all(
        isinstance(value, int) and not isinstance(value, bool) and abs(value) < STAMP_NS_MAX
        for value in found["clock_offset_ns"].values()
    )
    if not whole or not all(isinstance(value, str) for value in found["hash"].values()):
        raise InputError(
            "TAPE_DESCRIPTION",
            "clock offsets must be whole nanoseconds and hashes text",
            where=where,
            fix="import the tape again from its source",
        )
    return dict(found)


def clock_offsets(tables: Mapping[str, pl.DataFrame]) -> dict[str, int]:
    """Smallest local - venue stamp per stream (= venue), ns."""
    stamped = [frame for name, frame in tables.items() if "local_ns" in frame.columns and frame.height]
    smallest: dict[str, int] = {}
    for frame in stamped:
        found = frame.group_by("venue").agg((pl.col("local_ns") - pl.col("venue_ns")).min().alias("offset"))
        for venue, offset in found.iter_rows():
            smallest[venue] = min(offset, smallest.get(venue, offset))
    return dict(sorted(smallest.items()))


def counts_of(tables: Mapping[str, pl.DataFrame]) -> dict[str, Any]:
    """Rows per file, batches, and quotes per flag."""
    quotes = tables["quotes"]
    flags = quotes["flag"].drop_nulls().value_counts()
    rows = {name: frame.height for name, frame in tables.items()}
    by_reason = dict(sorted(flags.iter_rows()))
    return rows | {"batches": quotes["seq"].n_unique(), "flags": by_reason}


def _description(
    tables: Mapping[str, pl.DataFrame], hashes: Mapping[str, str], meta: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "format_version": FORMAT_VERSION,
        "source": list(meta.get("source", [])),
        "options": dict(meta.get("options", {})),
        "clock_offset_ns": clock_offsets(tables),
        "hash": dict(hashes),
        "notes": list(meta.get("notes", [])),
        "counts": counts_of(tables),
    }


def _shaped(name: str, frame: pl.DataFrame) -> pl.DataFrame:
    """A frame with exactly the tape's columns, in order; what quotes lack is null.

    Of the optional columns it has those that hold something.
    """
    schema = {**SCHEMAS[name]}
    if name == "quotes":
        filled = [c for c in OPTIONAL_QUOTE_COLUMNS if c in frame.columns and frame[c].count()]
        schema |= {column: OPTIONAL_QUOTE_COLUMNS[column] for column in filled}
        frame = frame.drop(set(OPTIONAL_QUOTE_COLUMNS) - set(filled), strict=False)
    strange = sorted(set(frame.columns) - set(schema))
    required = {"seq", "venue_ns", "local_ns", "venue", "symbol"} if name == "quotes" else set(schema)
    lacking = sorted((required & set(schema)) - set(frame.columns))
    if strange or lacking:
        observed = f"lacking {lacking}, strange {strange}"
        raise InputError("TAPE_COLUMNS", f"{name}: columns do not fit", observed=observed)
    columns = [
        (pl.col(column) if column in frame.columns else pl.lit(None)).cast(kind).alias(column)
        for column, kind in schema.items()
    ]
    try:
        return frame.select(columns)
    except pl.exceptions.PolarsError as error:
        raise InputError("TAPE_COLUMNS", f"{name}: a column has the wrong type", observed=error) from error


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
