"""Books whose stream carries changes alone, made whole by a copy that is asked for beside it.

A copy names the last update that it holds. Changes that came before the copy wait for it; those that it holds
already are dropped; the first one left must reach over the copy's last update, and each later one must follow
on the last. Where one does not, the chain shows a gap, and another copy is needed.

Source: developers.binance.com, "How to manage a local order book correctly" (spot, USD-M, COIN-M, options).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from venues.wire.quotes import BookChange

#: Changes that wait for a copy; more than this, and the copy has to reach over newer ones.
_WAITING_MAX = 5_000


@dataclass(slots=True)
class BookCopies:
    """Which books wait for a copy, and which have one that no change has followed yet. whole: books that have
    a copy, so that changes are laid over them."""

    _waiting: dict[str, deque[BookChange]] = field(default_factory=dict)
    _copies: dict[str, int] = field(default_factory=dict)
    whole: set[str] = field(default_factory=set)

    def waits(self, symbol: str) -> bool:
        """Whether a copy is needed."""
        return symbol in self._waiting

    def want(self, symbol: str) -> None:
        """Its stream has begun: changes wait for a copy from now on."""
        self.lose(symbol)
        self._waiting[symbol] = deque(maxlen=_WAITING_MAX)

    def hear(self, change: BookChange) -> list[BookChange]:
        """A change of the stream; what of it is to be laid over the book now."""
        symbol = change.symbol
        if symbol not in self.whole:
            self._waiting.setdefault(symbol, deque(maxlen=_WAITING_MAX)).append(change)
            return []
        copied = self._copies.get(symbol)
        if copied is None:
            return [change]
        if change.change_id <= copied:
            return []
        del self._copies[symbol]
        reaches = change.previous_id is not None and change.previous_id <= copied
        return [change._replace(previous_id=copied) if reaches else change]

    def copy(self, snapshot: BookChange) -> list[BookChange]:
        """A copy has come: it, and the changes that waited and belong behind it."""
        symbol = snapshot.symbol
        self.whole.add(symbol)
        self._copies[symbol] = snapshot.change_id
        waiting = self._waiting.pop(symbol, ())
        return [snapshot, *(kept for change in waiting for kept in self.hear(change))]

    def lose(self, symbol: str) -> None:
        """A gap, or the connection is gone: what comes next waits for another copy."""
        self.whole.discard(symbol)
        self._copies.pop(symbol, None)
        self._waiting.pop(symbol, None)
