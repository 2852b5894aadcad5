"""A journal as Parquet tables: records, fills, orders, adjustments, marks, and the book it opened with.

`marks` holds the batches that lie in the journal itself, a row a quote; those of a tape are on the tape.
`records` has every record as it stands: the hash of one is over the hash before, its head, a line end, `body`
and, where there is one, a line end and `frame`.

Amounts that settle stand twice: as exact text, and as a float under the same name with `_number` behind it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import polars as pl

from hedger.core.actions import Adjustment
from hedger.core.order_life import OrderRecord
from hedger.journal.codec import CodecError
from hedger.journal.entries import EventBody, Kind, Record, read
from hedger.journal.recovery import recover
from hedger.journal.rows import fill_row, order_row
from hedger.journal.storage import Storage, StorageFailed
from hedger.journal.unreadable import unreadable_from, why_unreadable
from pricing.errors import InputError
from pricing.market import QUOTE_FIELDS, Marks
from risk.book import Book

_RECORDS = {
    "number": pl.Int64,
    "kind": pl.String,
    "seq": pl.Int64,
    "now_ns": pl.Int64,
    "key": pl.String,
    "body": pl.String,
    "hash": pl.String,
    "frame": pl.Binary,
}
_FILLS = {
    "venue": pl.String,
    "symbol": pl.String,
    "account": pl.String,
    "trade_id": pl.String,
    "time_ns": pl.Int64,
    "client_id": pl.String,
    "maker": pl.Boolean,
    "side": pl.String,
    "quantity": pl.String,
    "quantity_number": pl.Float64,
    "price": pl.String,
    "price_number": pl.Float64,
    "fee": pl.String,
    "fee_number": pl.Float64,
    "fee_currency": pl.String,
}
_ORDERS = {
    "client_id": pl.String,
    "venue": pl.String,
    "symbol": pl.String,
    "account": pl.String,
    "side": pl.String,
    "quantity": pl.String,
    "quantity_number": pl.Float64,
    "price": pl.String,
    "price_number": pl.Float64,
    "time_in_force": pl.String,
    "post_only": pl.Boolean,
    "reduce_only": pl.Boolean,
    "execution": pl.Int64,
    "wall_ns": pl.Int64,
    "state": pl.String,
    "filled": pl.String,
    "filled_number": pl.Float64,
    "code": pl.String,
    "venue_order_id": pl.String,
}
_ADJUSTMENTS = {
    "seq": pl.Int64,
    "now_ns": pl.Int64,
    "key": pl.String,
    "kind": pl.String,
    "venue": pl.String,
    "account": pl.String,
    "symbol": pl.String,
    "quantity": pl.String,
    "quantity_number": pl.Float64,
    "currency": pl.String,
    "amount": pl.String,
    "amount_number": pl.Float64,
    "price": pl.String,
    "price_number": pl.Float64,
    "text": pl.String,
}
_OPENING = {
    "venue": pl.String,
    "account": pl.String,
    "symbol": pl.String,
    "currency": pl.String,
    "amount": pl.String,
    "amount_number": pl.Float64,
    "paid_number": pl.Float64,
}
_MARKS: dict[str, type[pl.DataType]] = {
    "seq": pl.Int64,
    "now_ns": pl.Int64,
    "venue": pl.String,
    "symbol": pl.String,
    "venue_ns": pl.Int64,
    **dict.fromkeys(QUOTE_FIELDS, pl.Float64),
}
_ROWS_PER_PART = 50_000


def export(storage: Storage, out: Path, *, where: str) -> dict[str, int]:
    """Write a journal's tables into a new folder, all or none; returns the rows of each.

    Raises:
        InputError: the place is taken or cannot be written.
        JournalDamaged: the journal is not what was written.
    """
    if os.path.lexists(out):
        raise _refusal("EXPORT_EXISTS", "the place to write is taken", out, "rename --out")
    found = tables(storage, where=where)
    try:
        temporary = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    except OSError as error:
        raise _refusal("EXPORT_WRITE", f"the tables cannot be written: {error.strerror}", out) from error
    try:
        for name, frame in found.items():
            frame.write_parquet(temporary / f"{name}.parquet", compression="zstd")
        temporary.rename(out)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise _refusal("EXPORT_WRITE", f"the tables cannot be written: {error}", out) from error
    finally:
        with suppress(FileNotFoundError):  # renamed: nothing is left to remove
            shutil.rmtree(temporary)
    return {name: frame.height for name, frame in found.items()}


def tables(storage: Storage, *, where: str) -> dict[str, pl.DataFrame]:
    """A journal's tables by name.

    Raises:
        JournalDamaged: the journal is not what was written.
    """
    recovered = recover(storage, where=where)
    try:
        walked = _walked(storage)
    except (StorageFailed, CodecError) as error:
        damaged = unreadable_from(where, str(error), "nothing was written")
        raise why_unreadable(storage, error, damaged) from error
    return {
        **walked,
        "opening": _opening(recovered.opening),
        "fills": pl.DataFrame([fill_row(fill) for fill in recovered.fills], schema=_FILLS),
        "orders": pl.DataFrame([_order(o) for o in recovered.orders.values()], schema=_ORDERS),
    }


def _order(record: OrderRecord) -> dict[str, Any]:
    row = order_row(record)
    return row | {f"{name}_number": float(row[name]) for name in ("quantity", "price", "filled")}


def _opening(book: Book | None) -> pl.DataFrame:
    """What was owned before the first fill: positions by symbol, cash by currency."""
    rows: list[dict[str, Any]] = []
    for (venue, symbol, account), position in ({} if book is None else book.positions).items():
        amount, paid = str(position.quantity), float(position.paid)
        rows.append(
            {"venue": venue, "symbol": symbol, "account": account, "amount": amount, "paid_number": paid}
        )
    for (venue, account, currency), cash in ({} if book is None else book.cash).items():
        rows.append({"venue": venue, "currency": currency, "account": account, "amount": str(cash)})
    for row in rows:
        row["amount_number"] = float(Fraction(row["amount"]))
    return pl.DataFrame(rows, schema=_OPENING)


def _walked(storage: Storage) -> dict[str, pl.DataFrame]:
    """What is read off the records one by one: themselves, adjustments, and the marks that lie here."""
    records, marks = _Parts(_RECORDS), _Parts(_MARKS)
    adjustments: list[dict[str, Any]] = []
    names: tuple[list[str], list[str]] = ([], [])
    for r in storage.records():
        records.add([(r.number, r.kind, r.seq, r.now_ns, r.key, r.text.decode(), r.hash.hex(), r.frame)])
        if r.kind == Kind.ADJUSTMENT and isinstance(word := read(r), Adjustment):
            adjustments.append(_adjustment(r, word))
        elif r.kind == Kind.LISTINGS and isinstance(word := read(r), tuple):
            names = ([x.venue for x in word], [x.symbol for x in word])
        elif r.kind == Kind.EVENT and isinstance(word := read(r), EventBody) and isinstance(word.what, Marks):
            marks.add(_quotes(r, word.what, names))
    return {
        "records": records.frame(),
        "adjustments": pl.DataFrame(adjustments, schema=_ADJUSTMENTS),
        "marks": marks.frame(),
    }


def _adjustment(record: Record, word: Adjustment) -> dict[str, Any]:
    amounts = {"quantity": word.quantity, "amount": word.amount, "price": word.price}
    return {
        "seq": record.seq,
        "now_ns": record.now_ns,
        "key": record.key,
        "kind": str(word.kind),
        **{name: getattr(word, name) for name in ("venue", "account", "symbol", "currency", "text")},
        **{name: str(amount) for name, amount in amounts.items()},
        **{f"{name}_number": float(amount) for name, amount in amounts.items()},
    }


def _quotes(record: Record, marks: Marks, names: tuple[list[str], list[str]]) -> pl.DataFrame:
    """A batch, a row a quote; a row that no listing has keeps its numbers and has no name."""
    venues, symbols = names
    rows = [row if 0 <= row < len(symbols) else None for row in marks.rows.tolist()]
    columns: dict[str, Any] = {
        "seq": [record.seq] * len(rows),
        "now_ns": [record.now_ns] * len(rows),
        "venue": [None if row is None else venues[row] for row in rows],
        "symbol": [None if row is None else symbols[row] for row in rows],
    }
    columns |= {name: getattr(marks, name) for name in ("venue_ns", *QUOTE_FIELDS)}
    return pl.DataFrame(columns, schema=_MARKS)


class _Parts:
    """A table that grows: rows are gathered and made a part of it from time to time."""

    def __init__(self, schema: Mapping[str, type[pl.DataType]]) -> None:
        self._schema = dict(schema)
        self._parts = [pl.DataFrame(schema=self._schema)]
        self._rows: list[tuple[Any, ...]] = []

    def add(self, more: list[tuple[Any, ...]] | pl.DataFrame) -> None:
        """Rows, or a whole part."""
        if isinstance(more, pl.DataFrame):
            self._parts.append(more)
            return
        self._rows += more
        if len(self._rows) >= _ROWS_PER_PART:
            self._fold()

    def frame(self) -> pl.DataFrame:
        """All of it."""
        self._fold()
        return pl.concat(self._parts)

    def _fold(self) -> None:
        self._parts.append(pl.DataFrame(self._rows, schema=self._schema, orient="row"))
        self._rows = []


def _refusal(code: str, what: str, out: Path, fix: str = "check rights and free space") -> InputError:
    return InputError(code, what, where=str(out), allowed="a new folder in one that is there", fix=fix)
