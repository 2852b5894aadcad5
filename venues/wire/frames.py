"""One message of a venue, read: whatever it holds of quotes, books, orders and executions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from venues.errors import Untrusted
from venues.orders import OrderUpdate, TradeReport
from venues.wire.fields import Wire, items
from venues.wire.quotes import BookChange, PublicTrade, Quote


@dataclass(slots=True)
class Frame:
    """What a message holds. index: (underlying, venue_ns, price). public: trades of others. unread: why a
    part of it could not be read, while the rest of it stands here. refused: (code, text) where the venue says
    no to a request of ours."""

    quotes: list[Quote] = field(default_factory=list)
    books: list[BookChange] = field(default_factory=list)
    index: list[tuple[str, int, float]] = field(default_factory=list)
    public: list[PublicTrade] = field(default_factory=list)
    orders: list[OrderUpdate] = field(default_factory=list)
    trades: list[TradeReport] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    refused: tuple[str, str] | None = None


def each(frame: Frame, rows: object, where: str, read: Callable[[Wire], Quote]) -> None:
    """Quotes of a list of rows; one that cannot be read keeps no other from being heard.

    Raises:
        Malformed: no list of objects.
    """
    for row in items(rows, where):
        try:
            frame.quotes.append(read(row))
        except Untrusted as error:
            frame.unread.append(error.text())
