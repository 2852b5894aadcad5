"""Small sources made for the tests: a chain of two snapshots, a list of tickers, and a tape."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from venues.tape import Tape, verify
from venues.tape_import import ImportOptions, import_tape

SIZES = ImportOptions({"BTC": 10.0, "ETH": 100.0})
SNAPSHOTS = (
    datetime(2026, 2, 5, 4, 30, 15, 123456, UTC),
    datetime(2026, 2, 5, 10, 31, 2, 654321, UTC),
)
#: currency, day, expiry, underlying_index, forwards at both snapshots
EXPIRIES = (
    ("BTC", "6FEB26", datetime(2026, 2, 6, 8, tzinfo=UTC), "SYN.BTC-6FEB26", (70001.25, 66010.5)),
    ("BTC", "27MAR26", datetime(2026, 3, 27, 8, tzinfo=UTC), "BTC-27MAR26", (70321.13, 66400.01)),
    ("ETH", "6FEB26", datetime(2026, 2, 6, 8, tzinfo=UTC), "SYN.ETH-6FEB26", (2100.17, 1950.91)),
    ("ETH", "27MAR26", datetime(2026, 3, 27, 8, tzinfo=UTC), "ETH-27MAR26", (2110.03, 1960.49)),
)
STRIKES = {"BTC": (65000, 70000), "ETH": (1900, 2100)}
CHAIN_TYPES: dict[str, Any] = {
    "ts": pl.Datetime("us", "UTC"),
    "currency": pl.String,
    "instrument": pl.String,
    "expiry": pl.Datetime("us", "UTC"),
    "strike": pl.Float64,
    "option_type": pl.String,
    "bid": pl.Float64,
    "ask": pl.Float64,
    "mark": pl.Float64,
    "mark_iv": pl.Float64,
    "underlying_price": pl.Float64,
    "underlying_index": pl.String,
    "index_price": pl.Float64,
    "delta": pl.Float64,
    "vega": pl.Float64,
    "open_interest": pl.Float64,
    "volume_24h": pl.Float64,
    "volume_usd": pl.Float64,
}
Rows = list[dict[str, Any]]


def chain_rows() -> Rows:
    """Two snapshots of eight BTC and eight ETH options, with scattered indices."""
    rows: Rows = []
    for s, ts in enumerate(SNAPSHOTS):
        for currency, day, expiry, index_name, forwards in EXPIRIES:
            for strike in STRIKES[currency]:
                for right in "CP":
                    n = len(rows)
                    rows.append(
                        {
                            "ts": ts,
                            "currency": currency,
                            "instrument": f"{currency}-{day}-{strike}-{right}",
                            "expiry": expiry,
                            "strike": float(strike),
                            "option_type": right,
                            "bid": 0.0100 + n / 10_000,
                            "ask": 0.0120 + n / 10_000,
                            "mark": 0.0110123 + n / 10_000,
                            "mark_iv": 0.55 + n / 1000,
                            "underlying_price": forwards[s] + (n % 3 - 1) * 0.5,
                            "underlying_index": index_name,
                            "index_price": forwards[s] * (1 + (n % 5 - 2) * 1e-4),
                            "delta": 0.5 if right == "C" else -0.5,
                            "vega": 12.5,
                            "open_interest": 3.0,
                            "volume_24h": 0.0,
                            "volume_usd": 0.0,
                        }
                    )
    return rows


def chain_frame(rows: Rows | None = None) -> pl.DataFrame:
    return pl.DataFrame(chain_rows() if rows is None else rows, schema=CHAIN_TYPES)


def chain_file(folder: Path, rows: Rows | None = None, name: str = "chain.parquet") -> Path:
    path = folder / name
    chain_frame(rows).write_parquet(path)
    return path


def ticker(name: str, stamp_ms: int, **changes: Any) -> dict[str, Any]:
    """An order-book result of an option in the venue's form."""
    return {
        "instrument_name": name,
        "timestamp": stamp_ms,
        "best_bid_price": 0.05,
        "best_bid_amount": 12.5,
        "best_ask_price": 0.0525,
        "best_ask_amount": 3.0,
        "bids": [[0.05, 12.5], [0.0495, 1.0]],
        "asks": [[0.0525, 3.0]],
        "mark_price": 0.0512,
        "mark_iv": 61.25,
        "underlying_price": 70321.13,
        "underlying_index": "BTC-27MAR26",
        "index_price": 70000.5,
        "open_interest": 22.0,
        "greeks": {"delta": 0.51, "gamma": 1e-05, "vega": 80.1, "theta": -40.2, "rho": 10.0},
    } | changes


def ticker_list() -> Rows:
    """Two batches of three options; the list is not in time order, as the venue's answers are not."""
    start = int(SNAPSHOTS[0].timestamp() * 1000)
    near = {"underlying_index": "SYN.BTC-6FEB26", "underlying_price": 70001.25}
    items = []
    for batch in range(2):
        base = start + batch * 300_000
        items += [
            ticker("BTC-27MAR26-70000-C", base + 20),
            ticker("BTC-6FEB26-70000-C", base + 10, **near),
            ticker(
                "BTC-6FEB26-70000-P",
                base + 30,
                **near,
                best_bid_price=0.0,
                best_bid_amount=0.0,
                bids=[],
                mark_price=0.0,
            ),
        ]
    return items


def json_file(folder: Path, document: object, name: str = "tickers.json") -> Path:
    path = folder / name
    path.write_text(json.dumps(document))
    return path


def change(rows: Rows, at: int, **values: Any) -> Rows:
    """The rows with one of them changed."""
    return [row | values if i == at else row for i, row in enumerate(rows)]


def leftovers(folder: Path, sources: Sequence[str] = ()) -> list[str]:
    """What lies in a folder beside the named sources."""
    return sorted(item.name for item in folder.iterdir() if item.name not in sources)


def ns(moment: datetime) -> int:
    """Exact UTC nanoseconds."""
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000


def imported(source: Path, format: str, out: Path) -> pl.DataFrame:
    """All rows of a source imported as the tape `out`, which is sound."""
    import_tape([source], format, out, ImportOptions())
    assert verify(out) == []
    return pl.concat(Tape.open(out).venue_greeks())
