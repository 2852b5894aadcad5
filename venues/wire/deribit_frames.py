"""Deribit's tickers and books straight from the text of a frame to typed values, where they are as usual.

Most of what the venue sends are these two, so they are decoded and checked in one pass over the text. What
this reader takes, `wire.deribit` would read the same, field by field; whatever it cannot vouch for (a number
written as text, a figure out of range, a field of another kind) it leaves to that reader, which reads it or
says what is wrong with it. A frame is known by how its text begins: the channel stands before the data.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, field

from pricing.market import ForwardKind
from venues.deribit_names import forward_kind
from venues.wire.fields import (
    FIGURE_MAX,
    ITEMS_MAX,
    NAN,
    NS_PER_MS,
    STAMP_MS_MAX,
    STAMP_MS_MIN,
    TEXT_MAX,
    UNREADABLE,
    Price,
    Size,
)
from venues.wire.quotes import Levels, Quote

_HEAD = '{"jsonrpc":"2.0","method":"subscription","params":{"channel":"'
TICKER_HEAD = _HEAD + "ticker."
BOOK_HEAD = _HEAD + "book."

_Name = Annotated[str, Meta(min_length=1, max_length=TEXT_MAX)]
_StampMs = Annotated[int, Meta(ge=STAMP_MS_MIN, le=STAMP_MS_MAX)]
_Figure = Annotated[float, Meta(gt=-FIGURE_MAX, lt=FIGURE_MAX)]
_ForwardName = Annotated[str, Meta(max_length=TEXT_MAX)]
#: Of a book's chain; a longer number is read by the other reader, or refused.
_Id = Annotated[int, Meta(gt=-(2**53), lt=2**53)]
_Action = Literal["new", "change", "delete"]
_Steps = Annotated[list[tuple[_Action, Price, Size]], Meta(max_length=ITEMS_MAX)]


class Ticker(Struct, frozen=True, gc=False):
    """The data of a ticker as it came, in the venue's units; what there is none of is 0, null or absent.

    It stands in for its `Quote` until somebody wants one: most are overtaken before.
    """

    told: ClassVar[frozenset[str] | None] = None

    symbol: _Name = field(name="instrument_name")
    stamp_ms: _StampMs = field(name="timestamp")
    state: str | None = None
    index_price: Size | None = None
    mark_price: Size | None = None
    best_ask_price: Size | None = None
    best_bid_price: Size | None = None
    best_ask_amount: Size | None = None
    best_bid_amount: Size | None = None
    funding_8h: _Figure | None = None
    underlying_price: Size | UnsetType | None = UNSET
    underlying_index: _ForwardName | None = None
    mark_iv: _Figure | None = None

    @property
    def venue_ns(self) -> int:
        """The venue's stamp, UTC ns."""
        return self.stamp_ms * NS_PER_MS

    def quote(self) -> Quote:
        """The same as a quote; only an option tells of its underlying."""
        forward, iv, rate = self.underlying_price, self.mark_iv, self.funding_8h
        is_option = forward is not UNSET
        return Quote(
            self.symbol,
            self.stamp_ms * NS_PER_MS,
            self.best_bid_price or NAN,
            self.best_bid_amount or NAN,
            self.best_ask_price or NAN,
            self.best_ask_amount or NAN,
            self.mark_price or NAN,
            iv / 100.0 if is_option and iv is not None else NAN,
            NAN if forward is UNSET else forward or NAN,
            self.index_price or NAN,
            NAN if is_option or rate is None else rate,
            forward_kind(self.underlying_index) if is_option else ForwardKind.NONE,
            self.state == "open",
        )


class Book(Struct, frozen=True, gc=False):
    """The data of a book message as it came: a `Change`, with what becomes of each level."""

    kind: Literal["snapshot", "change"] = field(name="type")
    stamp_ms: _StampMs = field(name="timestamp")
    symbol: _Name = field(name="instrument_name")
    change_id: _Id
    bid_steps: _Steps = field(name="bids")
    ask_steps: _Steps = field(name="asks")
    previous_id: _Id | None = field(name="prev_change_id", default=None)

    @property
    def venue_ns(self) -> int:
        """The venue's stamp, UTC ns."""
        return self.stamp_ms * NS_PER_MS

    @property
    def snapshot(self) -> bool:
        """Whether it is the whole book."""
        return self.kind == "snapshot"

    @property
    def bids(self) -> Levels:
        """As prices and sizes; what is deleted has size 0."""
        return _levels(self.bid_steps)

    @property
    def asks(self) -> Levels:
        """As prices and sizes; what is deleted has size 0."""
        return _levels(self.ask_steps)


def _levels(steps: list[tuple[_Action, float, float]]) -> Levels:
    return [(price, 0.0 if action == "delete" else size) for action, price, size in steps]


class _TickerParams(Struct, gc=False):
    data: Ticker


class _TickerFrame(Struct, gc=False):
    params: _TickerParams


class _BookParams(Struct, gc=False):
    data: Book


class _BookFrame(Struct, gc=False):
    params: _BookParams


_decode_ticker = msgspec.json.Decoder(_TickerFrame).decode
_decode_book = msgspec.json.Decoder(_BookFrame).decode


def ticker(text: str) -> Ticker | None:
    """A frame that begins with `TICKER_HEAD`; None: it is for the other reader."""
    try:
        return _decode_ticker(text).params.data
    except UNREADABLE:
        return None


def book(text: str) -> Book | None:
    """A frame that begins with `BOOK_HEAD`: a snapshot or a change; None: it is for the other reader."""
    try:
        data = _decode_book(text).params.data
    except UNREADABLE:
        return None
    follows_nothing = data.previous_id is None
    return data if follows_nothing is (data.kind == "snapshot") else None
