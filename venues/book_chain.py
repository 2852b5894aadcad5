"""Order books kept from snapshots and changes, and the proof that no change is missing.

A change names the message that it follows. One that follows another than the last is proof of a gap: from
then on the book is not known, whatever it looks like, until a new snapshot. A snapshot replaces the book and
is never laid over it. A book whose sides cross is not known either: some level of it is older than it says.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from venues.order_book import Ladder, OrderBook
from venues.wire.quotes import Change

_NOTHING: Ladder = ([], [])


class Broken(StrEnum):
    """Why a book is not known."""

    NO_SNAPSHOT = "no_snapshot"
    GAP = "gap"
    CROSSED = "crossed"


@dataclass(slots=True)
class ChainedBook:
    """One listing's book. broken: why it is not known; None: it is. whole: a snapshot holds every level.
    heard_ns: when its last message came, by the clock of whoever hears it."""

    whole: bool = True
    broken: Broken | None = Broken.NO_SNAPSHOT
    change_id: int = 0
    venue_ns: int = 0
    heard_ns: int = 0
    _book: OrderBook = field(default_factory=OrderBook)

    @property
    def at_ns(self) -> int:
        """As of when it stands: no message is newer than its receipt, whatever its stamp says."""
        return min(self.venue_ns, self.heard_ns)

    def apply(self, change: Change) -> Broken | None:
        """Take a message; what is wrong with the book after it, None where nothing is."""
        if self.broken is None and change.previous_id == self.change_id:  # nearly always
            book = self._book
            change.lay_over(book)
        elif change.snapshot:
            book = self._book = OrderBook()
            book.bids.load(change.bids, whole=self.whole)
            book.asks.load(change.asks, whole=self.whole)
            self.broken = None
        elif self.broken is not None:
            return self.broken
        else:
            self.lose(Broken.GAP)
            return self.broken
        self.change_id, self.venue_ns = change.change_id, change.venue_ns
        if book.crossed:
            self.lose(Broken.CROSSED)
        return self.broken

    def lose(self, why: Broken) -> None:
        """Forget the levels: nobody knows them any more."""
        self._book = OrderBook()
        self.broken = why

    def ladders(self, levels: int) -> tuple[Ladder, Ladder]:
        """(bids, asks), best first; nothing while the book is not known."""
        if self.broken is not None:
            return _NOTHING, _NOTHING
        return self._book.bids.top(levels), self._book.asks.top(levels)
