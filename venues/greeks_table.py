"""Importer of `greeks-table`: a row per option and moment with the venue's Greeks, as Parquet, CSV or JSON.

Four layouts are known by their columns: full Deribit tickers; Deribit Greeks without prices, whose forward
and mark were worked out afterwards; the option chain CSV of Tardis; and a JSON object whose `rows` carry
inputs and published Greeks of several venues.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import polars as pl

from pricing.contracts import Contract, Option
from pricing.errors import InputError, refuse_repeated
from venues.deribit_names import parse_name
from venues.import_options import Imported, ImportOptions
from venues.option_names import binance_option, bybit_option, contract_named, okx_option
from venues.source_files import (
    PARQUET_ERRORS,
    check_parquet,
    check_regular,
    read_json,
    read_text,
    refuse,
    sha256_of,
)
from venues.source_tables import (
    NUMBER,
    TEXT,
    TIME,
    Rule,
    apply_rules,
    epoch_ns,
    number_rules,
    read_columns,
    time_rules,
)
from venues.tape_schema import GREEKS
from venues.ticker_fields import Fields
from venues.ticker_rows import NS_PER_MS, STAMPS_MS, Row, listings_of, number_batches, quotes_of, refuse_twice

US_PER_MS = 1000
NS_PER_US = NS_PER_MS // US_PER_MS

#: The stamps of a layout whose capture times were worked out afterwards may be off by this much, seconds.
ESTIMATED_STAMP_ERROR_S = 120.0

_TICKERS: Mapping[str, str] = {
    "ts": TIME, "instrument": TEXT, "bid": NUMBER, "ask": NUMBER, "mark": NUMBER, "bid_size": NUMBER,
    "ask_size": NUMBER, "mark_iv": NUMBER, "underlying_price": NUMBER, "index_price": NUMBER,
    **dict.fromkeys(GREEKS, NUMBER), "open_interest": NUMBER,
}  # fmt: skip
_GREEKS_ALONE: Mapping[str, str] = {
    "capture_ts": TIME, "instrument": TEXT, "mark_iv": NUMBER, "forward_implied": NUMBER,
    **dict.fromkeys(GREEKS, NUMBER), "open_interest": NUMBER,
}  # fmt: skip
#: Columns of a tape by those of a layout.
_TICKER_NAMES = {
    "bid": "bid", "bid_size": "bid_size", "ask": "ask", "ask_size": "ask_size", "mark": "mark",
    "mark_iv": "mark_iv", "forward": "underlying_price", "index": "index_price",
    "open_interest": "open_interest", **{f"venue_{greek}": greek for greek in GREEKS},
}  # fmt: skip
_ALONE_NAMES = {
    "mark_iv": "mark_iv", "forward": "forward_implied",
    "open_interest": "open_interest", **{f"venue_{greek}": greek for greek in GREEKS},
}  # fmt: skip
_TARDIS = (
    "exchange", "symbol", "timestamp", "local_timestamp", "bid_price", "bid_amount", "ask_price",
    "ask_amount", "mark_price", "mark_iv", "underlying_index", "underlying_price", *GREEKS,
)  # fmt: skip
_NAME_PARSERS: Mapping[str, Callable[[str], Contract]] = {
    "deribit": parse_name,
    "okx": okx_option,
    "bybit": bybit_option,
    "binance": binance_option,
}


def import_greeks_table(sources: Sequence[Path], options: ImportOptions) -> Imported:
    """Read tables as one recording: listings, quotes, and what tape.json keeps.

    Raises:
        InputError: a file, row or name is not as it must be; nothing has been written.
    """
    rows: list[Row] = []
    notes: list[str] = []
    stamp_error_s = 0.0
    for path in sources:
        check_regular(path)
        if path.suffix == ".json":
            rows += _published_rows(path)
        elif path.suffix == ".csv":
            rows += _tardis_rows(path)
        elif "capture_ts" in _column_names(path):
            rows += _parquet_rows(path, _GREEKS_ALONE, "capture_ts", _ALONE_NAMES)
            stamp_error_s = ESTIMATED_STAMP_ERROR_S
            notes.append(
                f"{path.name}: stamps and forwards were worked out from Greeks; marks so made are left out"
            )
        else:
            rows += _parquet_rows(path, _TICKERS, "ts", _TICKER_NAMES)
    if not rows:
        refuse("FILE_EMPTY", "the file has no rows", sources[0], allowed="at least one row")
    rows.sort(key=lambda row: row["venue_ns"])
    refuse_twice(rows)
    number_batches(rows)
    listings, terms = listings_of(rows)
    meta = {
        "source": [{"name": path.name, "sha256": sha256_of(path)} for path in sources],
        "options": {"format": "greeks-table", "stamp_error_s": stamp_error_s},
        "notes": ["local stamps are not in every source: the venue's stamp stands in there", *notes, *terms],
    }
    return Imported(listings, quotes_of(rows).sort("seq", "symbol"), meta)


def _column_names(path: Path) -> list[str]:
    check_parquet(path)
    try:
        return pl.scan_parquet(path, glob=False).collect_schema().names()
    except PARQUET_ERRORS as error:
        refuse("FILE_DAMAGED", "the parquet file cannot be read", path, observed=error, fix="fetch it again")


def _parquet_rows(path: Path, columns: Mapping[str, str], stamp: str, names: Mapping[str, str]) -> list[Row]:
    frame = read_columns(path, columns)
    rules = [Rule(c, pl.col(c).is_null(), "a value is missing", "a value") for c in (stamp, "instrument")]
    apply_rules(path, frame, [*rules, *time_rules(frame, stamp), *number_rules(columns)])
    frame = frame.with_columns(stamp_ns=epoch_ns(stamp))
    rows = []
    for item in frame.iter_rows(named=True):
        where = f"{path.name}, row {item['row']}"
        values = {name: item[column] for name, column in names.items()}
        rows.append(_row("deribit", item["instrument"], item["stamp_ns"], where, values))
    return rows


def _row(venue: str, name: str, stamp_ns: int, where: str, values: Mapping[str, float | None]) -> Row:
    """A row of the tape: 0 on a side is the venue's way to say that nobody quotes; no price is below 0."""
    if venue not in _NAME_PARSERS:
        _refuse_row("VENUE_UNKNOWN", "no such venue", where, venue, ", ".join(_NAME_PARSERS))
    contract = contract_named(_NAME_PARSERS[venue], name, where)
    if not isinstance(contract, Option):
        _refuse_row("SOURCE_NAME", "not an option", where, name, "options only")
    row: Row = {"venue": venue, "symbol": name, "venue_ns": stamp_ns, "local_ns": stamp_ns}
    row |= {"contract": contract, "where": where, **values}
    for column in ("bid", "bid_size", "ask", "ask_size", "mark", "mark_iv", "forward", "index"):
        value = row.get(column)
        if value is not None and value < 0:
            allowed = "0 or above, or nothing where unknown"
            _refuse_row("SOURCE_VALUE", "a negative number", f"{where}, {column}", value, allowed)
        if not value and column != "mark":  # a far wing's mark may be rounded to 0
            row[column] = None
    for side in ("bid", "ask"):
        if row.get(side) is None:
            row[f"{side}_size"] = None
    if row.get("forward") is not None and "forward_name" not in row:
        # these layouts do not say what the forward is; where it is the index, it is that
        row["forward_name"] = "index_price" if row["forward"] == row.get("index") else None
    return row


def _refuse_row(code: str, what: str, where: str, observed: object, allowed: str) -> NoReturn:
    raise InputError(
        code, what, where=where, observed=observed, allowed=allowed, not_done="nothing was written"
    )


def _check_terms(
    row: Row, fields: Fields, right: str | None, strike: float | None, expiry_ns: int | None
) -> None:
    """What stands beside a name must be what the name says."""
    contract = row["contract"]
    named = contract.right.name.lower(), contract.strike, contract.expiry_ns
    for key, told, name in zip(("type", "strike", "expiry"), (right, strike, expiry_ns), named, strict=True):
        if told is not None and told != name:
            what = "the field and the instrument's name disagree"
            fields.refuse(key, what, told, f"{name}, as the name says")


def _tardis_table(path: Path) -> pl.DataFrame:
    """The cells as text; refused where lines differ in length, which polars would fill up or cut."""
    text = read_text(path)
    try:
        lines = csv.reader(io.StringIO(text))
        header = next(lines, [])
        refuse_repeated(header, path.name, "nothing was written")
        widths = [len(header), *(len(cells) for cells in lines)]
        uneven = next((i for i, width in enumerate(widths, start=1) if width != widths[0]), None)
        if uneven is not None:
            raise ValueError(f"line {uneven} has {widths[uneven - 1]} cells, the first {widths[0]}")
        frame = pl.read_csv(io.StringIO(text), infer_schema=False)
    except (pl.exceptions.PolarsError, ValueError, csv.Error) as error:
        observed, allowed = " ".join(str(error).split())[:160], "an option chain of Tardis"
        refuse("CSV_INVALID", "the file is no CSV table", path, observed=observed, allowed=allowed)
    lacking = [name for name in _TARDIS if name not in frame.columns]
    if lacking:
        refuse(
            "SOURCE_COLUMN",
            "columns are missing",
            path,
            observed=", ".join(frame.columns)[:80],
            allowed=", ".join(_TARDIS),
        )
    return frame


def _tardis_rows(path: Path) -> list[Row]:
    rows = []
    for number, item in enumerate(_tardis_table(path).iter_rows(named=True), start=2):
        where = f"{path.name}, line {number}"
        fields = Fields({k: v for k, v in item.items() if v is not None}, where)
        venue_us, local_us = (_stamp_us(fields, key) for key in ("timestamp", "local_timestamp"))
        iv = fields.written("mark_iv", "not negative")
        values: dict[str, Any] = {
            "bid": fields.written("bid_price"),
            "bid_size": fields.written("bid_amount"),
            "ask": fields.written("ask_price"),
            "ask_size": fields.written("ask_amount"),
            "mark": fields.written("mark_price"),
            "mark_iv": None if iv is None else iv / 100.0,
            "forward": fields.written("underlying_price"),
            "forward_name": fields.text_or_none("underlying_index"),
            **{f"venue_{greek}": fields.written(greek) for greek in GREEKS},
        }
        row = _row(fields.text("exchange"), fields.text("symbol"), venue_us * NS_PER_US, where, values)
        expiry_us = _stamp_us(fields, "expiration") if fields.has("expiration") else None
        _check_terms(
            row,
            fields,
            fields.text_or_none("type"),
            fields.written("strike_price", "positive"),
            None if expiry_us is None else expiry_us * NS_PER_US,
        )
        rows.append(row | {"local_ns": local_us * NS_PER_US})
    return rows


def _stamp_us(fields: Fields, key: str) -> int:
    lowest, highest = (stamp_ms * US_PER_MS for stamp_ms in STAMPS_MS)
    return fields.written_stamp(key, lowest, highest, "microseconds")


def _published_rows(path: Path) -> list[Row]:
    """Rows with a venue's inputs and Greeks under `published`, `BS` at the end for OKX's second set."""
    document = read_json(path)
    items = document.get("rows") if isinstance(document, dict) else None
    if not isinstance(items, list):
        refuse("SOURCE_FORM", "no rows", path, allowed="an object with a list `rows`")
    rows = []
    for number, item in enumerate(items, start=1):
        fields = Fields(item, f"{path.name}, row {number}")
        greeks = fields.nested("published")
        values: dict[str, Any] = {
            "mark": fields.number("mark_coin", "not negative"),
            "mark_iv": fields.number("sigma", "not negative"),
            "forward": fields.number("forward", "positive"),
            "index": fields.number("index", "positive"),
            **{f"venue_{greek}": greeks.number(greek) for greek in GREEKS},
            **{f"venue_{greek}_bs": greeks.number(f"{greek}BS") for greek in GREEKS if greek != "rho"},
        }
        stamp_ns = fields.integer("ts_ms", *STAMPS_MS) * NS_PER_MS
        row = _row(fields.text("venue"), fields.text("instrument"), stamp_ns, fields.where, values)
        expiry_ms = fields.number("expiry_ms")
        _check_terms(
            row,
            fields,
            fields.text_or_none("type"),
            fields.number("strike", "positive"),
            None if expiry_ms is None else round(expiry_ms) * NS_PER_MS,
        )
        rows.append(row)
    return rows
