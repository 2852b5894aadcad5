"""The newest quote of every listing of a universe, from whatever a venue sends, handed out as `Marks`.

Quotes and books are kept, not queued: what was overtaken before anybody came for it is of no use, so memory
is bounded by the universe. A batch holds the listings that something was heard of since the last one.

A row's stamp is the quote's own: a quote whose stream has fallen silent grows old by it, even while its book
goes on; only where no quote tells of the touch is it the book's. Where the book is the newer of the two, the
touch is the book's; where it is not known, nobody knows the depth, and the touch is the quote's. A closed
book has no touch.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pricing.market import Depth, Marks
from pricing.universe import Universe
from venues.book_chain import Broken, ChainedBook
from venues.order_book import Ladder
from venues.wire.fields import NAN
from venues.wire.quotes import Change, Heard, Quote

_PLAIN = ("mark", "mark_iv", "forward", "funding_rate")


@dataclass(slots=True)
class QuoteCounts:
    """Since the start. late: quotes older than the one before; unknown: of no listing of the universe."""

    quotes: int = 0
    late: int = 0
    unknown: int = 0
    gaps: int = 0


@dataclass(slots=True)
class LiveQuotes:
    """One venue's part of a universe. levels: of a book that are handed out on each side."""

    universe: Universe
    venue: str
    levels: int = 20
    counts: QuoteCounts = field(default_factory=QuoteCounts)
    _rows: dict[str, int] = field(init=False)
    _quotes: dict[str, Heard] = field(default_factory=dict)
    _books: dict[str, ChainedBook] = field(default_factory=dict)
    _index: dict[str, tuple[int, float]] = field(default_factory=dict)
    _heard: dict[str, None] = field(default_factory=dict)
    _stamps: dict[tuple[str, frozenset[str] | None], int] = field(default_factory=dict)
    _sided: set[str] = field(default_factory=set)
    _gaps: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._rows = {s: row for (venue, s), row in self.universe.positions.items() if venue == self.venue}

    @property
    def gaps(self) -> tuple[str, ...]:
        """Symbols whose books have lost messages, and wait for a snapshot."""
        return tuple(sorted(self._gaps))

    def take_over(self, before: LiveQuotes, symbols: Collection[str]) -> None:
        """What was known of these under another universe, whose streams have gone on without a break."""
        for symbol in symbols:
            if self.row_of(symbol) is None or symbol not in before._quotes.keys() | before._books.keys():
                continue
            if symbol in before._quotes:
                self._quotes[symbol] = before._quotes[symbol]
            if symbol in before._books:
                self._books[symbol] = before._books[symbol]
            self._stamps |= {key: at for key, at in before._stamps.items() if key[0] == symbol}
            self._heard[symbol] = None
        self._index |= before._index
        self._sided |= before._sided & self._quotes.keys()
        self._gaps |= before._gaps & self._books.keys()

    def row_of(self, symbol: str) -> int | None:
        """Position in the universe; None where it is not there."""
        return self._rows.get(symbol)

    def hear(self, quote: Heard) -> bool:
        """A new quote; whether it was of any use."""
        symbol, told, venue_ns = quote.symbol, quote.told, quote.venue_ns
        if symbol not in self._rows:
            self.counts.unknown += 1
            return False
        part = (symbol, told)  # the parts of a quote come by streams of their own, each in order
        if venue_ns < self._stamps.get(part, 0) and venue_ns:
            self.counts.late += 1
            return False
        self._stamps[part] = venue_ns
        if told is None:
            self._sided.add(symbol)
            self._quotes[symbol] = quote
        else:
            if "bid" in told:
                self._sided.add(symbol)
            before = self._quotes.get(symbol)
            self._quotes[symbol] = quote if before is None else _over(before.quote(), quote.quote(), told)
        self._heard[symbol] = None
        self.counts.quotes += 1
        return True

    def hear_index(self, underlying: str, venue_ns: int, price: float) -> None:
        """A new index, where it comes by itself."""
        if venue_ns >= self._index.get(underlying, (0, NAN))[0]:
            self._index[underlying] = (venue_ns, price)

    def change(self, change: Change) -> Broken | None:
        """A new state of a book; what is wrong with it, None where nothing is, or nobody asked for it."""
        symbol = change.symbol
        if symbol not in self._rows:
            self.counts.unknown += 1
            return None
        book = self._books.get(symbol)
        if book is None:
            book = self._books[symbol] = ChainedBook()
        before = book.broken
        now = book.apply(change)
        if now is None:
            self._gaps.discard(symbol)
        elif before is None or now is not Broken.NO_SNAPSHOT:
            self._gaps.add(symbol)
        if before is None and now is not None:
            self.counts.gaps += 1
        self._heard[symbol] = None
        return now

    def lose_books(self) -> None:
        """The connection that carried them is gone: none of them is known."""
        for symbol in self._books:
            self.lose_book(symbol)

    def lose_book(self, symbol: str) -> None:
        """What carried this one is gone: it is not known."""
        book = self._books.get(symbol)
        if book is None:
            return
        if book.broken is None:
            self._gaps.add(symbol)
        book.lose(Broken.NO_SNAPSHOT)
        self._heard[symbol] = None

    def newest_ns(self, symbols: Collection[str] | None = None) -> int:
        """The venue's newest stamp on any of these, 0 before the first."""
        chosen = (
            self._quotes.values()
            if symbols is None
            else [self._quotes[s] for s in symbols if s in self._quotes]
        )
        return max((quote.venue_ns for quote in chosen), default=0)

    @property
    def waiting(self) -> bool:
        """Whether there is anything new."""
        return bool(self._heard)

    def take(self, seq: int, now_ns: int) -> Marks | None:
        """What is new since the last time; None where nothing is."""
        symbols = [s for s in self._heard if s in self._quotes or s in self._books]
        self._heard.clear()
        if not symbols:
            return None
        rows = [self.universe.positions[self.venue, s] for s in symbols]
        quotes = [self._quoted(s) for s in symbols]
        columns: dict[str, Any] = {n: np.array([getattr(q, n) for q in quotes], dtype=float) for n in _PLAIN}
        touches = [self._touch(quote) for quote in quotes]
        bids, asks = [t[0] for t in touches], [t[1] for t in touches]
        depth: dict[int, tuple[Depth, Depth]] = {
            row: (_depth(bid), _depth(ask))
            for row, symbol, bid, ask in zip(rows, symbols, bids, asks, strict=True)
            if self._known(symbol)
        }
        return Marks(
            seq=seq,
            now_ns=now_ns,
            rows=np.array(rows, dtype=np.int64),
            venue_ns=np.array([self._stamp(q) for q in quotes], dtype=np.int64),
            bid=_first(bids, 0),
            bid_size=_first(bids, 1),
            ask=_first(asks, 0),
            ask_size=_first(asks, 1),
            index=np.array([self._index_of(q) for q in quotes], dtype=float),
            forward_kind=np.array([q.forward_kind for q in quotes], dtype=np.int8),
            depth=depth,
            **columns,
        )

    def _stamp(self, quote: Quote) -> int:
        """A listing whose touch comes from its book alone is as old as the book."""
        if quote.symbol in self._sided:
            return quote.venue_ns
        book = self._books.get(quote.symbol)
        return 0 if book is None or book.broken is not None else book.venue_ns

    def _known(self, symbol: str) -> bool:
        book = self._books.get(symbol)
        return book is not None and book.broken is None and self._quoted(symbol).tradable

    def _quoted(self, symbol: str) -> Quote:
        """A listing of which a book alone is told, such as spot, has a quote that says nothing."""
        heard = self._quotes.get(symbol)
        if heard is None:
            return Quote(symbol, 0, told=frozenset())
        quote = self._quotes[symbol] = heard.quote()
        return quote

    def _touch(self, quote: Quote) -> tuple[Ladder, Ladder]:
        """Both sides' levels, best first; at least the touch where there is one."""
        if not quote.tradable:
            return ([], []), ([], [])
        touch: tuple[Ladder, Ladder] = (_level(quote.bid, quote.bid_size), _level(quote.ask, quote.ask_size))
        book = self._books.get(quote.symbol)
        if book is None or book.broken is not None:
            return touch
        ladders = book.ladders(self.levels)
        if book.venue_ns >= quote.venue_ns or quote.symbol not in self._sided:
            return ladders
        return _behind(touch[0], ladders[0], True), _behind(touch[1], ladders[1], False)

    def _index_of(self, quote: Quote) -> float:
        if quote.index_price == quote.index_price:
            return quote.index_price
        listing = self.universe.listings[self.universe.positions[self.venue, quote.symbol]]
        return self._index.get(listing.contract.underlying, (0, NAN))[1]


def _over(before: Quote, quote: Quote, told: frozenset[str]) -> Quote:
    """The newer quote; what its message does not tell of stays as it was."""
    newest_ns = max(before.venue_ns, quote.venue_ns)
    return before._replace(venue_ns=newest_ns, **{name: getattr(quote, name) for name in told})


def _level(price: float, size: float) -> Ladder:
    return ([price], [size]) if price == price else ([], [])


def _behind(touch: Ladder, book: Ladder, falling: bool) -> Ladder:
    """The touch as the newer message tells it, and of the book what lies behind it."""
    if not touch[0]:
        return ([], [])
    best = touch[0][0]
    kept = [(p, s) for p, s in zip(*book, strict=True) if (p < best if falling else p > best)]
    return [best, *(p for p, _ in kept)], [touch[1][0], *(s for _, s in kept)]


def _first(sides: list[Ladder], which: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array([side[which][0] if side[0] else NAN for side in sides], dtype=float)


def _depth(side: Ladder) -> Depth:
    return Depth(np.array(side[0], dtype=float), np.array(side[1], dtype=float))
