"""The simulated market as a tape source: its batches with the tape's columns."""

from __future__ import annotations

import numpy as np
import polars

from pricing.contracts import Listing
from pricing.market import Marks
from venues.simulated import SimulatedMarket
from venues.simulated_books import VENUE
from venues.tape_schema import DEPTH_SCHEMA, QUOTE_SCHEMA

#: What a market shows; the tape's `flag` is worked out when it is written.
QUOTE_COLUMNS = [name for name in QUOTE_SCHEMA if name != "flag"]


def tape_frames(
    market: SimulatedMarket, steps: int, seconds: float
) -> tuple[tuple[Listing, ...], polars.DataFrame, polars.DataFrame]:
    """Step a market and keep what it showed: listings, and the tape's `quotes` and `depth` columns.

    Each step is one batch; local and venue stamps are equal. Missing is null. Depth sides are `bid` and
    `ask`, level 0 is the touch.
    """
    batches = [market.step(seconds) for _ in range(steps)]
    return market.universe.listings, _quotes_frame(market, batches), _depth_frame(market, batches)


def _quotes_frame(market: SimulatedMarket, batches: list[Marks]) -> polars.DataFrame:
    """The `quotes` of a tape; the simulated venue publishes no Greeks and no open interest."""
    rows = np.concatenate([m.rows for m in batches]) if batches else np.empty(0, dtype=np.int64)
    count = [len(m.rows) for m in batches]
    stamps = np.repeat(np.array([m.now_ns for m in batches], dtype=np.int64), count)
    names = ("bid", "bid_size", "ask", "ask_size", "mark", "mark_iv", "forward", "index", "funding_rate")
    numbers = {name: np.concatenate([np.empty(0), *(getattr(m, name) for m in batches)]) for name in names}
    frame = polars.DataFrame(
        {
            "seq": np.repeat(np.array([m.seq for m in batches], dtype=np.int64), count),
            "venue_ns": stamps,
            "local_ns": stamps,
            "symbol": np.array([x.symbol for x in market.universe.listings], dtype=object)[rows].tolist(),
            "forward_name": np.array(market.forward_names, dtype=object)[rows].tolist(),
            **numbers,
        },
        schema_overrides={"symbol": polars.String, "forward_name": polars.String},
    )
    empty = {name: polars.lit(None, polars.Float64) for name in QUOTE_COLUMNS if name not in frame.columns}
    empty["venue"] = polars.lit(VENUE)
    return frame.with_columns(polars.col(polars.Float64).fill_nan(None), **empty).select(QUOTE_COLUMNS)


def _depth_frame(market: SimulatedMarket, batches: list[Marks]) -> polars.DataFrame:
    """The `depth` of a tape, one row a level."""
    books = [
        (m, row, side, depth)
        for m in batches
        for row, book in m.depth.items()
        for side, depth in zip(("bid", "ask"), book, strict=True)
    ]
    count = [len(depth.price) for *_, depth in books]
    stamps = np.repeat(np.array([m.now_ns for m, *_ in books], dtype=np.int64), count)
    symbols = np.array([market.universe.listings[row].symbol for _, row, *_ in books], dtype=object)
    frame = polars.DataFrame(
        {
            "seq": np.repeat(np.array([m.seq for m, *_ in books], dtype=np.int64), count),
            "venue_ns": stamps,
            "local_ns": stamps,
            "symbol": np.repeat(symbols, count).tolist(),
            "side": np.repeat(np.array([side for *_, side, _ in books], dtype=object), count).tolist(),
            "level": np.concatenate([np.empty(0, dtype=np.int64), *(np.arange(n) for n in count)]),
            "price": np.concatenate([np.empty(0), *(depth.price for *_, depth in books)]),
            "size": np.concatenate([np.empty(0), *(depth.size for *_, depth in books)]),
        },
        schema_overrides={"symbol": polars.String, "side": polars.String},
    )
    return frame.with_columns(venue=polars.lit(VENUE)).select(list(DEPTH_SCHEMA))
