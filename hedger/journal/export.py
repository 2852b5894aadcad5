"""A journal as Parquet tables: records.parquet, fills.parquet, orders.parquet.

Amounts that settle stand twice: as exact text, and as a float under the same name with `_number` behind it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import polars as pl

from hedger.core.order_life import OrderRecord, order_document
from hedger.journal.recovery import recover
from hedger.journal.storage import JournalDamaged, Storage, StorageFailed
from pricing.errors import InputError
from venues.orders import TradeReport

_RECORDS = {
    "number": pl.Int64,
    "kind": pl.String,
    "seq": pl.Int64,
    "now_ns": pl.Int64,
    "key": pl.String,
    "body": pl.String,
    "hash": pl.String,
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
_ROWS_PER_PART = 50_000


def export(storage: Storage, out: Path, *, where: str) -> dict[str, int]:
    """Write a journal's tables into a new folder, all or none; returns the rows of each.

    Raises:
        InputError: the place is taken or cannot be written.
        JournalDamaged: the journal is not what was written.
    """
    if os.path.lexists(out):
        raise _refusal("EXPORT_EXISTS", "the place to write is taken", out, "rename --out")
    recovered = recover(storage, where=where)
    try:
        temporary = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    except OSError as error:
        raise _refusal("EXPORT_WRITE", f"the tables cannot be written: {error.strerror}", out) from error
    try:
        frames = {
            "records": _records(storage),
            "fills": pl.DataFrame([_fill(fill) for fill in recovered.fills], schema=_FILLS),
            "orders": pl.DataFrame([_order(o) for o in recovered.orders.values()], schema=_ORDERS),
        }
        for name, frame in frames.items():
            frame.write_parquet(temporary / f"{name}.parquet", compression="zstd")
        temporary.rename(out)
    except StorageFailed as error:
        raise JournalDamaged("JOURNAL_DAMAGED", "the journal cannot be read", observed=error) from error
    except (OSError, pl.exceptions.PolarsError) as error:
        raise _refusal("EXPORT_WRITE", f"the tables cannot be written: {error}", out) from error
    finally:
        with suppress(FileNotFoundError):  # renamed: nothing is left to remove
            shutil.rmtree(temporary)
    return {name: frame.height for name, frame in frames.items()}


def order_row(record: OrderRecord) -> dict[str, Any]:
    """An order in plain words, for JSON and tables: exact amounts as text."""
    return {
        **order_document(record.order),
        "execution": record.execution,
        "wall_ns": record.wall_ns,
        "state": str(record.state),
        "filled": str(record.booked),
        "code": record.code,
        "venue_order_id": record.venue_order_id,
    }


def _order(record: OrderRecord) -> dict[str, Any]:
    row = order_row(record)
    return row | {f"{name}_number": float(row[name]) for name in ("quantity", "price", "filled")}


def _fill(report: TradeReport) -> dict[str, Any]:
    fill = report.fill
    amounts = {"quantity": fill.quantity, "price": fill.price, "fee": fill.fee}
    return {
        "venue": fill.listing.venue,
        "symbol": fill.listing.symbol,
        "account": fill.account,
        "trade_id": fill.trade_id,
        "time_ns": fill.time_ns,
        "client_id": report.client_id,
        "maker": report.maker,
        "side": str(fill.side),
        "fee_currency": fill.fee_currency,
        **{name: str(amount) for name, amount in amounts.items()},
        **{f"{name}_number": float(amount) for name, amount in amounts.items()},
    }


def _records(storage: Storage) -> pl.DataFrame:
    parts, rows = [pl.DataFrame(schema=_RECORDS)], []
    for r in storage.records():
        rows.append((r.number, r.kind, r.seq, r.now_ns, r.key, r.body.decode("utf-8"), r.hash.hex()))
        if len(rows) == _ROWS_PER_PART:
            parts.append(pl.DataFrame(rows, schema=_RECORDS, orient="row"))
            rows = []
    return pl.concat([*parts, pl.DataFrame(rows, schema=_RECORDS, orient="row")])


def _refusal(code: str, what: str, out: Path, fix: str = "check rights and free space") -> InputError:
    return InputError(code, what, where=str(out), allowed="a new folder in one that is there", fix=fix)
