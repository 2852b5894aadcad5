"""Batches of marks as rows of a tape; what is unknown is null, never 0."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl

from pricing.market import QUOTE_FIELDS, ForwardKind, Marks
from pricing.universe import Universe
from venues.market_trades import MarketTrade
from venues.tape_schema import DEPTH_SCHEMA, TRADE_SCHEMA

#: What stands for a forward's kind where the stream does not keep the venue's own name; {}: the expiry.
_FORWARD_NAMES = {
    ForwardKind.SYNTHETIC: "SYN.{}",
    ForwardKind.INDEX: "index_price",
    ForwardKind.LISTED_FUTURE: "{}",
}
_TOLD_KINDS = [int(kind) for kind in _FORWARD_NAMES]
_POSITIVE = ("bid", "bid_size", "ask", "ask_size", "forward", "index")


def rows_of(
    universe: Universe, batches: Sequence[tuple[int, Marks]], first_seq: int
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Batches with their local times, UTC ns, as the tape's `quotes` and `depth`, numbered from `first_seq`.

    A row that no venue has stamped is left out: nobody could say how old it is.
    """
    symbols = np.array([x.symbol for x in universe.listings], dtype=object)
    venues = np.array([x.venue for x in universe.listings], dtype=object)
    quotes: list[pl.DataFrame] = []
    depth: list[tuple[Any, ...]] = []
    for seq, (local_ns, batch) in enumerate(batches, start=first_seq):
        kept = batch.venue_ns > 0
        rows, stamps = batch.rows[kept], batch.venue_ns[kept]
        columns: dict[str, Any] = {name: getattr(batch, name)[kept] for name in QUOTE_FIELDS}
        for name in _POSITIVE:
            columns[name] = np.where(columns[name] > 0, columns[name], np.nan)
        names = symbols[rows].tolist()
        kinds = batch.forward_kind[kept].tolist()
        columns |= {
            "seq": np.full(len(rows), seq, dtype=np.int64),
            "local_ns": np.full(len(rows), local_ns, dtype=np.int64),
            "venue_ns": stamps,
            "venue": venues[rows].tolist(),
            "symbol": names,
            "forward_name": [_forward_name(k, s) for k, s in zip(kinds, names, strict=True)],
        }
        quotes.append(pl.DataFrame(columns, schema_overrides={"forward_name": pl.String}))
        stamp_of = dict(zip(rows.tolist(), stamps.tolist(), strict=True))
        depth += _depth_rows(universe, batch, stamp_of, seq, local_ns)
    whole = pl.concat(quotes).with_columns(pl.col(pl.Float64).fill_nan(None))
    return whole, pl.DataFrame(depth, schema=DEPTH_SCHEMA, orient="row")


def as_taped(batch: Marks, seq: int, local_ns: int) -> Marks:
    """A batch as whoever reads the tape finds it there: numbered and stamped so, less what `rows_of` leaves
    out."""
    kept = batch.venue_ns > 0
    columns: dict[str, Any] = {name: getattr(batch, name)[kept] for name in QUOTE_FIELDS}
    for name in _POSITIVE:
        columns[name] = np.where(columns[name] > 0, columns[name], np.nan)
    rows = batch.rows[kept]
    told = set(rows.tolist())
    return Marks(
        seq=seq,
        now_ns=local_ns,
        rows=rows,
        venue_ns=batch.venue_ns[kept],
        forward_kind=np.where(
            np.isin(batch.forward_kind[kept], _TOLD_KINDS), batch.forward_kind[kept], 0
        ).astype(np.int8),
        depth={
            row: book
            for row, book in batch.depth.items()
            if row in told and any(side.price.size for side in book)
        },
        **columns,
    )


def trade_as_taped(trade: MarketTrade) -> MarketTrade:
    """A trade as whoever reads the tape finds it there."""
    price, size = (Decimal(repr(float(number))) for number in (trade.price, trade.size))
    return replace(trade, price=price, size=size)


def trade_rows(trades: Sequence[MarketTrade]) -> pl.DataFrame:
    """Trades of others as the tape's `trades`."""
    rows = [
        (t.venue_ns, t.time_ns, t.venue, t.symbol, t.trade_id, t.side.value, float(t.price), float(t.size))
        for t in trades
    ]
    return pl.DataFrame(rows, schema=TRADE_SCHEMA, orient="row")


def _depth_rows(
    universe: Universe, batch: Marks, stamp_of: dict[int, int], seq: int, local_ns: int
) -> list[tuple[Any, ...]]:
    """In the order of the tape's columns."""
    found: list[tuple[Any, ...]] = []
    for row, book in batch.depth.items():
        if row not in stamp_of:
            continue
        listing = universe.listings[row]
        head: dict[str, Any] = {"seq": seq, "venue_ns": stamp_of[row], "local_ns": local_ns}
        head |= {"venue": listing.venue, "symbol": listing.symbol}
        for side, levels in zip(("bid", "ask"), book, strict=True):
            pairs = zip(levels.price.tolist(), levels.size.tolist(), strict=True)
            for level, (price, size) in enumerate(pairs):
                said = {**head, "side": side, "level": level, "price": price, "size": size}
                found.append(tuple(said[name] for name in DEPTH_SCHEMA))
    return found


def _forward_name(kind: int, symbol: str) -> str | None:
    text = _FORWARD_NAMES.get(ForwardKind(kind))
    return None if text is None else text.format("-".join(symbol.split("-")[:2]))
