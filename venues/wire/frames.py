"""One message of a venue, read: whatever it holds of quotes, books, orders and executions."""

from __future__ import annotations

from dataclasses import dataclass, field

from venues.orders import OrderUpdate, TradeReport
from venues.wire.quotes import BookChange, Quote


@dataclass(slots=True)
class Frame:
    """What a message holds. index: (underlying, venue_ns, price). unread: why a part of it could not be read,
    while the rest of it stands here. refused: (code, text) where the venue says no to a request of ours."""

    quotes: list[Quote] = field(default_factory=list)
    books: list[BookChange] = field(default_factory=list)
    index: list[tuple[str, int, float]] = field(default_factory=list)
    orders: list[OrderUpdate] = field(default_factory=list)
    trades: list[TradeReport] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    refused: tuple[str, str] | None = None
