"""Book messages of OKX, Bybit and Binance that are as usual, read and checked in one pass.

As `wire.deribit_frames`, of messages that are decoded already: what this reader takes, the venue's own module
would read the same; whatever it cannot vouch for is left to that module, which reads it or says what is wrong
with it.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct, field

from venues.wire.fields import (
    ITEMS_MAX,
    NS_PER_MS,
    STAMP_MS_MAX,
    STAMP_MS_MIN,
    TEXT_MAX,
    Price,
    Size,
    no_silent_zero,
)
from venues.wire.quotes import BookChange, Levels

_Name = Annotated[str, Meta(min_length=1, max_length=TEXT_MAX)]
_StampMs = Annotated[int, Meta(ge=STAMP_MS_MIN, le=STAMP_MS_MAX)]
_Pairs = Annotated[list[tuple[Price, Size]], Meta(max_length=ITEMS_MAX)]
_Fours = Annotated[list[tuple[Price, Size, Any, Any]], Meta(max_length=ITEMS_MAX)]
#: Update ids are whole numbers, never texts, which the lax reader of numbers would take as well.
_ID_MAX = 2**63


class _Okx(Struct, gc=False):
    stamp_ms: _StampMs = field(name="ts")
    change_id: Any = field(name="seqId")
    bids: _Fours
    asks: _Fours
    previous_id: Any = field(name="prevSeqId", default=None)


class _Bybit(Struct, gc=False):
    symbol: _Name = field(name="s")
    change_id: Any = field(name="u")
    bids: _Pairs = field(name="b")
    asks: _Pairs = field(name="a")


class _BybitMessage(Struct, gc=False):
    kind: str = field(name="type")
    stamp_ms: _StampMs = field(name="ts")
    data: _Bybit


class _Binance(Struct, gc=False):
    symbol: _Name = field(name="s")
    stamp_ms: _StampMs = field(name="T")
    change_id: Any = field(name="u")
    previous_id: Any = field(name="pu")
    bids: _Pairs = field(name="b")
    asks: _Pairs = field(name="a")


def okx(symbol: str, snapshot: bool, data: dict[str, Any]) -> BookChange | None:
    """One entry of a book channel's `data`; None: it is for the other reader."""
    try:
        read = msgspec.convert(data, _Okx, strict=False)
    except msgspec.ValidationError:
        return None
    previous_id = None if snapshot else read.previous_id
    if not _is_id(read.change_id) or not (snapshot or _is_id(previous_id)):
        return None
    bids: Levels = [(price, size) for price, size, _, _ in read.bids]
    asks: Levels = [(price, size) for price, size, _, _ in read.asks]
    if not no_silent_zero(bids, data["bids"]) or not no_silent_zero(asks, data["asks"]):
        return None
    return BookChange(symbol, read.stamp_ms * NS_PER_MS, snapshot, read.change_id, previous_id, bids, asks)


def bybit(message: dict[str, Any]) -> tuple[str, BookChange] | None:
    """An `orderbook.*` message: its name of the instrument, and the change without a symbol of ours; None: it
    is for the other reader."""
    try:
        read = msgspec.convert(message, _BybitMessage, strict=False)
    except msgspec.ValidationError:
        return None
    data, raw = read.data, message["data"]
    if read.kind not in ("snapshot", "delta") or not _is_id(data.change_id):
        return None
    if not no_silent_zero(data.bids, raw["b"]) or not no_silent_zero(data.asks, raw["a"]):
        return None
    number = data.change_id
    snapshot = read.kind == "snapshot" or number == 1
    change = BookChange(
        "",
        read.stamp_ms * NS_PER_MS,
        snapshot,
        number,
        None if snapshot else number - 1,
        data.bids,
        data.asks,
    )
    return data.symbol, change


def binance(message: dict[str, Any]) -> BookChange | None:
    """A `depthUpdate` of futures, which names the one before; None: it is for the other reader."""
    try:
        read = msgspec.convert(message, _Binance, strict=False)
    except msgspec.ValidationError:
        return None
    if not _is_id(read.change_id) or not _is_id(read.previous_id):
        return None
    if not no_silent_zero(read.bids, message["b"]) or not no_silent_zero(read.asks, message["a"]):
        return None
    return BookChange(
        read.symbol,
        read.stamp_ms * NS_PER_MS,
        False,
        read.change_id,
        read.previous_id,
        read.bids,
        read.asks,
    )


def _is_id(value: object) -> bool:
    return type(value) is int and -_ID_MAX < value < _ID_MAX
