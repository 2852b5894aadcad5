"""What a venue says of one listing's market, as it comes: a quote, a change of its order book, a trade."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from pricing.contracts import Side
from pricing.market import ForwardKind
from venues.wire.fields import NAN

Levels = list[tuple[float, float]]


class Heard(Protocol):
    """What a message tells of one listing: its quote, or something that becomes one when it is wanted.

    symbol, venue_ns, told: as of the `Quote`.
    """

    @property
    def symbol(self) -> str: ...
    @property
    def venue_ns(self) -> int: ...
    @property
    def told(self) -> frozenset[str] | None: ...

    def quote(self) -> Quote:
        """All of it; what was decoded has been checked, so this cannot fail."""


class Quote(NamedTuple):
    """One listing at one time. Units as in `Marks`; NaN: not told, or there is none.

    venue_ns 0: the message has no stamp; it is as old as what was known before. tradable: whether the venue
    says that the book is open. told: the fields that the message tells of at all, None for all; of the
    others nothing is said, and they are as they were. part: the fields that stand as of this message, where
    its stream tells of a field only when it changes; None: those told.
    """

    symbol: str
    venue_ns: int
    bid: float = NAN
    bid_size: float = NAN
    ask: float = NAN
    ask_size: float = NAN
    mark: float = NAN
    mark_iv: float = NAN
    forward: float = NAN
    index_price: float = NAN
    funding_rate: float = NAN
    forward_kind: ForwardKind = ForwardKind.NONE
    tradable: bool = True
    told: frozenset[str] | None = None
    part: frozenset[str] | None = None

    def quote(self) -> Quote:
        """Itself."""
        return self


class Change(Protocol):
    """A message about a book: a `BookChange`, or something that tells the same. All as there.

    A snapshot follows nothing: its `previous_id` is None.
    """

    @property
    def symbol(self) -> str: ...
    @property
    def venue_ns(self) -> int: ...
    @property
    def snapshot(self) -> bool: ...
    @property
    def change_id(self) -> int: ...
    @property
    def previous_id(self) -> int | None: ...
    @property
    def bids(self) -> Levels: ...
    @property
    def asks(self) -> Levels: ...


class BookChange(NamedTuple):
    """A whole order book (snapshot), or the levels of it that changed: a size of 0 takes a level away.

    change_id: of this message; previous_id: of the one that it follows, None where the venue says none.
    """

    symbol: str
    venue_ns: int
    snapshot: bool
    change_id: int
    previous_id: int | None
    bids: Levels
    asks: Levels


class PublicTrade(NamedTuple):
    """A trade of others. side: of whoever took."""

    symbol: str
    venue_ns: int
    trade_id: str
    side: Side
    price: float
    size: float
