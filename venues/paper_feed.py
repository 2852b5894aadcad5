"""What feeds a paper venue, and what a faulty feed makes of a batch on its way to us.

The venue's own book is untouched by such faults.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from pricing.contracts import Side
from pricing.market import QUOTE_FIELDS, Depth, Marks
from pricing.universe import BoolArray
from venues.market_trades import MarketTrade
from venues.orders import OrderUpdate, TradeReport, VenueStatus

__all__ = ["MarketTrade", "broken_book", "poisoned", "select", "skewed"]

_COLUMNS = ("rows", "venue_ns", "forward_kind", *QUOTE_FIELDS)
_NOTHING = Depth(np.empty(0), np.empty(0))


def select(marks: Marks, keep: BoolArray) -> Marks:
    """The batch with only some of its rows; keep has shape (k,)."""
    columns: dict[str, Any] = {name: getattr(marks, name)[keep] for name in _COLUMNS}
    left = set(columns["rows"].tolist())
    return replace(marks, depth={row: book for row, book in marks.depth.items() if row in left}, **columns)


def broken_book(marks: Marks, at: int, variant: str, side: Side) -> Marks:
    """One quote of the batch with a gap, a crossed, an empty or a one-sided book; `at` in [0, k)."""
    if variant == "gap":
        keep = np.ones(len(marks.rows), dtype=np.bool_)
        keep[at] = False
        return select(marks, keep)
    row = int(marks.rows[at])
    bids, asks = marks.depth.get(row, (None, None))
    columns: dict[str, Any] = {
        name: getattr(marks, name).copy() for name in ("bid", "bid_size", "ask", "ask_size")
    }
    if variant == "crossed":
        columns["bid"][at], columns["ask"][at] = marks.ask[at], marks.bid[at]
        pair = (bids, asks) if bids is None or asks is None else _crossed(bids, asks)
    else:
        gone = (Side.BUY, Side.SELL) if variant == "empty" else (side,)
        for name in (("bid", "bid_size") if Side.BUY in gone else ()) + (
            ("ask", "ask_size") if Side.SELL in gone else ()
        ):
            columns[name][at] = np.nan
        pair = (_NOTHING if Side.BUY in gone else bids, _NOTHING if Side.SELL in gone else asks)
    depth = dict(marks.depth)
    if row in depth and pair[0] is not None and pair[1] is not None:
        depth[row] = (pair[0], pair[1])
    return replace(marks, depth=depth, **columns)


def _crossed(bids: Depth, asks: Depth) -> tuple[Depth, Depth]:
    """Each side moved across the other by the spread: the best prices have changed places."""
    if not (bids.price.size and asks.price.size):
        return bids, asks
    spread = asks.price[0] - bids.price[0]
    return Depth(bids.price + spread, bids.size), Depth(asks.price - spread, asks.size)


def poisoned(marks: Marks, at: int, variant: str) -> Marks:
    """Numbers that make no sense: the whole batch's spot tenfold, or one quote's field; `at` in [0, k)."""
    if variant == "spot_x10":
        return replace(marks, index=marks.index * 10.0)
    field, number = {
        "vol_zero": ("mark_iv", 0.0),
        "vol_900": ("mark_iv", 9.0),
        "nan": ("mark", np.nan),
        "huge": ("ask", 1e308),
        "negative_size": ("bid_size", -float(marks.bid_size[at])),
    }[variant]
    column = getattr(marks, field).copy()
    column[at] = number
    changed: dict[str, Any] = {field: column}
    return replace(marks, **changed)


def skewed(
    news: OrderUpdate | TradeReport | VenueStatus, shift_ns: int
) -> OrderUpdate | TradeReport | VenueStatus:
    """The same news with the venue's stamp off by so much."""
    if isinstance(news, TradeReport):
        return replace(news, fill=replace(news.fill, time_ns=news.fill.time_ns + shift_ns))
    return replace(news, venue_ns=news.venue_ns + shift_ns)
