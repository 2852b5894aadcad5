"""Binance's depth stream put together: a REST copy, the changes after it, and no gap between them.

Changes carry the numbers of their first and last update (U, u), those of the futures also that of the change
before (pu). The copy names the last update it holds. What came before the copy is dropped, the first change
must reach over it, and each later one must follow on the last; where one does not, the book is unknown until
another copy comes. Quantities are absolute.

Source: developers.binance.com, "How to manage a local order book correctly" (spot, USD-M, COIN-M).
"""

from __future__ import annotations

from dataclasses import dataclass

from venues.order_book import OrderBook

Levels = list[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class DepthChange:
    """One depth update. first, last: update numbers; before: of the update before it, None on spot."""

    first: int
    last: int
    before: int | None
    bids: Levels
    asks: Levels


class DepthStream:
    """The book of one listing. last: number of the last update it holds, None while it is not known.

    gaps: how often the sequence broke.
    """

    def __init__(self) -> None:
        self.book = OrderBook()
        self.last: int | None = None
        self.gaps = 0
        self._first_due = False  # the next change is the first after a copy
        self._waiting: list[DepthChange] = []

    def copy(self, last: int, bids: Levels, asks: Levels) -> None:
        """A REST copy of the book. One that is older than what is known tells nothing."""
        if self.last is not None and last <= self.last:
            return
        self.book.bids.load(bids)
        self.book.asks.load(asks)
        self.last, self._first_due = last, True
        waiting, self._waiting = self._waiting, []
        for change in waiting:
            self.change(change)

    def change(self, change: DepthChange) -> None:
        """An update, in the order of arrival; kept until a copy comes where the book is not known."""
        if self.last is None:
            self._waiting.append(change)
        elif change.last <= self.last:
            pass  # the book holds it already
        elif self._follows(change, self.last):
            for side, levels in ((self.book.bids, change.bids), (self.book.asks, change.asks)):
                for price, size in levels:
                    side.put(price, size)
            self.last, self._first_due = change.last, False
        else:
            self.gaps += 1
            self.last, self._waiting = None, [change]

    def _follows(self, change: DepthChange, last: int) -> bool:
        if self._first_due:
            return change.first <= last + 1 or change.before == last
        return change.first == last + 1 if change.before is None else change.before == last
