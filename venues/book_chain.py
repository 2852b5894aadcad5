"""Order books kept from snapshots and changes, and the proof that no change is missing.

A change names the message that it follows. One that follows another than the last is proof of a gap: from
then on the book is not known, whatever it looks like, until a new snapshot. A snapshot replaces the book and
is never laid over it. A book whose sides cross is not known either: some level of it is older than it says.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from venues.array_book import ArrayBook
from venues.order_book import Ladder
from venues.wire import book_kernel as kernel
from venues.wire.quotes import Change

_NOTHING: Ladder = ([], [])


class Broken(StrEnum):
    """Why a book is not known."""

    NO_SNAPSHOT = "no_snapshot"
    GAP = "gap"
    CROSSED = "crossed"


@dataclass(slots=True)
class ChainedBook:
    """One listing's book. broken: why it is not known; None: it is. heard_ns: when its last message came, by
    the clock of whoever hears it."""

    broken: Broken | None = Broken.NO_SNAPSHOT
    heard_ns: int = 0
    _book: ArrayBook = field(default_factory=ArrayBook)

    @property
    def change_id(self) -> int:
        """Of the last message."""
        return self._book.change_id

    @property
    def venue_ns(self) -> int:
        """The venue's stamp of the last message."""
        return self._book.venue_ns

    @property
    def at_ns(self) -> int:
        """As of when it stands: no message is newer than its receipt, whatever its stamp says."""
        return min(self.venue_ns, self.heard_ns)

    def follow(self, shape: int, raw: bytes, at: int) -> bool:
        """Take a frame straight from its bytes, as `book_kernel.follow`; whether it was a change as usual
        that follows on what is known. All else is to be read, and applied."""
        if self.broken is not None:
            return False
        laid = kernel.follow(shape, raw, at, self._book.levels, self._book.state)
        if laid == kernel.CROSSED:
            self.lose(Broken.CROSSED)
        return laid != kernel.LEFT

    def apply(self, change: Change) -> Broken | None:
        """Take a message; what is wrong with the book after it, None where nothing is."""
        book = self._book
        if self.broken is None and change.previous_id == book.change_id:
            crossed = book.lay(change.bids, change.asks)
        elif change.snapshot:
            book.load(change.bids, change.asks)
            self.broken, crossed = None, book.crossed
        elif self.broken is not None:
            return self.broken
        else:
            self.lose(Broken.GAP)
            return self.broken
        book.note(change.change_id, change.venue_ns)
        if crossed:
            self.lose(Broken.CROSSED)
        return self.broken

    def lose(self, why: Broken) -> None:
        """Forget the levels: nobody knows them any more."""
        self._book.clear()
        self.broken = why

    def ladders(self, levels: int) -> tuple[Ladder, Ladder]:
        """(bids, asks), best first; nothing while the book is not known."""
        return (_NOTHING, _NOTHING) if self.broken is not None else self._book.top(levels)
