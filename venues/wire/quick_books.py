"""Book messages of OKX, Bybit and Binance that are as usual, straight from the text of a frame.

As `wire.deribit_frames`: what this reader takes, the venue's own module would read the same; what it cannot
vouch for is left to that module, which reads it or says what is wrong with it. A frame is known by how its
text begins; one that the venue begins otherwise is read there, too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, field

from venues.wire.fields import (
    FINEST,
    ITEMS_MAX,
    NS_PER_MS,
    STAMP_MS_MAX,
    STAMP_MS_MIN,
    TEXT_MAX,
    UNREADABLE,
    Price,
    Size,
)
from venues.wire.quotes import BookChange, Levels

OKX_HEAD = '{"arg":{"channel":"books","'
BYBIT_HEAD = '{"topic":"orderbook.'
BINANCE_HEAD = '{"e":"depthUpdate",'

#: Reads the text of a frame; None: it is no book, or none as usual.
ReadsText = Callable[[str], BookChange | None]

_Name = Annotated[str, Meta(min_length=1, max_length=TEXT_MAX)]
_StampMs = Annotated[int, Meta(ge=STAMP_MS_MIN, le=STAMP_MS_MAX)]
_Pairs = Annotated[list[tuple[Price, Size]], Meta(max_length=ITEMS_MAX)]
_ZEROS = "0" * 30

# Update ids are whole numbers, never texts, which the lax reader of numbers would take as well: so they are
# `Any`, and looked at afterwards.


class _Longer(Struct, gc=False, array_like=True):
    """A level of which only the first two entries are looked at."""

    price: Price
    size: Size


_Longers = Annotated[list[_Longer], Meta(max_length=ITEMS_MAX)]


class _OkxData(Struct, gc=False):
    stamp_ms: _StampMs = field(name="ts")
    change_id: Any = field(name="seqId")
    bids: _Longers
    asks: _Longers
    previous_id: Any = field(name="prevSeqId", default=None)


class _OkxArg(Struct, gc=False):
    channel: Literal["books"]
    symbol: _Name = field(name="instId")


class _Okx(Struct, gc=False):
    arg: _OkxArg
    action: Literal["snapshot", "update"]
    data: Annotated[list[_OkxData], Meta(min_length=1, max_length=1)]


class _BybitData(Struct, gc=False):
    symbol: _Name = field(name="s")
    change_id: Any = field(name="u")
    bids: _Pairs = field(name="b")
    asks: _Pairs = field(name="a")


class _Bybit(Struct, gc=False):
    kind: Literal["snapshot", "delta"] = field(name="type")
    stamp_ms: _StampMs = field(name="ts")
    data: _BybitData


class _Binance(Struct, gc=False):
    event: Literal["depthUpdate"] = field(name="e")
    symbol: _Name = field(name="s")
    stamp_ms: _StampMs = field(name="T")
    change_id: Any = field(name="u")
    previous_id: Any = field(name="pu")
    bids: _Pairs = field(name="b")
    asks: _Pairs = field(name="a")


_decode_okx = msgspec.json.Decoder(_Okx, strict=False).decode
_decode_bybit = msgspec.json.Decoder(_Bybit, strict=False).decode
_decode_binance = msgspec.json.Decoder(_Binance, strict=False).decode


def nothing(text: str) -> None:
    """Every frame is for the other reader."""


def okx(text: str) -> BookChange | None:
    """A frame of the channel `books` with one entry; None: it is for the other reader."""
    if not text.startswith(OKX_HEAD):
        return None
    try:
        read = _decode_okx(text)
    except UNREADABLE:
        return None
    data, snapshot = read.data[0], read.action == "snapshot"
    number, previous_id = data.change_id, None if snapshot else data.previous_id
    if type(number) is not int or not (snapshot or type(previous_id) is int):
        return None
    bids = [(level.price, level.size) for level in data.bids]
    asks = [(level.price, level.size) for level in data.asks]
    if not _sound(bids, asks, text):
        return None
    return BookChange(read.arg.symbol, data.stamp_ms * NS_PER_MS, snapshot, number, previous_id, bids, asks)


def bybit(text: str) -> BookChange | None:
    """A frame of `orderbook.*`, with the venue's name for a symbol; None: it is for the other reader."""
    if not text.startswith(BYBIT_HEAD):
        return None
    try:
        read = _decode_bybit(text)
    except UNREADABLE:
        return None
    data = read.data
    number = data.change_id
    if type(number) is not int or not _sound(data.bids, data.asks, text):
        return None
    snapshot = number == 1 or read.kind == "snapshot"
    previous_id = None if snapshot else number - 1
    return BookChange(
        data.symbol, read.stamp_ms * NS_PER_MS, snapshot, number, previous_id, data.bids, data.asks
    )


def binance(text: str) -> BookChange | None:
    """A `depthUpdate` of futures, which names the one before; None: it is for the other reader, as are those
    of options, which alone have a dash in their names."""
    if not text.startswith(BINANCE_HEAD):
        return None
    try:
        read = _decode_binance(text)
    except UNREADABLE:
        return None
    number, previous_id = read.change_id, read.previous_id
    if type(number) is not int or type(previous_id) is not int or "-" in read.symbol:
        return None
    if not _sound(read.bids, read.asks, text):
        return None
    return BookChange(
        read.symbol, read.stamp_ms * NS_PER_MS, False, number, previous_id, read.bids, read.asks
    )


def _sound(bids: Levels, asks: Levels, text: str) -> bool:
    """Whether no size of these levels became the 0 that takes a level away, because it is too fine to be a
    size."""
    zeros = False
    for side in (bids, asks):
        for _, size in side:
            if size < FINEST:
                if size:
                    return False
                zeros = True
    return not zeros or not _may_underflow(text)


def _may_underflow(text: str) -> bool:
    """Whether a number in it may be read as 0 and be none: with an exponent, so many zeros, or in escapes."""
    if "\\" in text or _ZEROS in text:
        return True
    return "-" in text and ("e-" in text or "E-" in text)  # nearly always the first says it, and it is quick
