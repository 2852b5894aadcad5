"""The newest quote of every listing of a universe, from whatever a venue sends, handed out as `Marks`.

Quotes and books are kept, not queued: what was overtaken before anybody came for it is of no use, so memory
is bounded by the universe. A batch holds the listings that something was heard of since the last one.

A row's stamp is that of the touch: of the quote that tells it, which grows old where its stream has fallen
silent, even while its book goes on; only where no quote tells of the touch is it the book's. Where the book
is the newer of the two, the touch is the book's; where it is not known, nobody knows the depth, and the touch
is the quote's. A closed book has no touch. Every other field has an age of its own (`venues.part_ages`), and
is handed out as unknown once that is more than allowed.

No stamp is handed out that is later than the receipt: a row's age is the worse of the venue's and ours. What
is stamped further ahead than a clock can be wrong is not taken: it would shut out all that comes after it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Container
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pricing.daycount import NS_PER_SECOND
from pricing.market import CLOCK_OFFSET_NS_MAX, Depth, Marks
from pricing.universe import Universe
from venues.book_chain import Broken, ChainedBook
from venues.order_book import Ladder
from venues.part_ages import FieldAges, Part, PartAges, stamp_or_receipt, without
from venues.wire.book_forms import BookForm
from venues.wire.fields import NAN
from venues.wire.quotes import Change, Heard, Quote

_PLAIN = ("mark", "mark_iv", "forward", "funding_rate")
_NOTHING: frozenset[str] = frozenset()
#: A clock that is further ahead of ours is wrong, and may be set right at any moment.
_WRONG_NS_MIN = NS_PER_SECOND
#: A book that is so much older than a touch which it contradicts has missed something.
_BEHIND_NS_MAX = 5 * NS_PER_SECOND


@dataclass(slots=True)
class QuoteCounts:
    """Since the start. late: quotes older than the one before; unknown: of no listing of the universe; ahead:
    stamped further ahead of our clock than any clock is wrong."""

    quotes: int = 0
    late: int = 0
    unknown: int = 0
    gaps: int = 0
    ahead: int = 0


@dataclass(slots=True)
class LiveQuotes:
    """One venue's part of a universe. levels: of a book that are handed out on each side. ages: after which a
    field is not known any more. gapped: symbols whose books have lost messages, and wait for a snapshot. old:
    the fields of each symbol that are handed out as unknown since they are too old; old_indexes: underlyings
    whose index, where it comes by itself, is."""

    universe: Universe
    venue: str
    levels: int = 20
    ages: FieldAges = field(default_factory=FieldAges)
    now_ns: Callable[[], int] = time.time_ns
    counts: QuoteCounts = field(default_factory=QuoteCounts)
    gapped: set[str] = field(default_factory=set)
    old: dict[str, frozenset[str]] = field(default_factory=dict)
    old_indexes: set[str] = field(default_factory=set)
    _rows: dict[str, int] = field(init=False)
    _quotes: dict[str, Heard] = field(default_factory=dict)
    _books: dict[str, ChainedBook] = field(default_factory=dict)
    _index: dict[str, tuple[int, int, float]] = field(default_factory=dict)
    _heard: dict[str, None] = field(default_factory=dict)
    _parts: PartAges = field(init=False)
    _stamps: dict[Part, int] = field(init=False)
    _receipts: dict[Part, int] = field(init=False)
    _sided: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._rows = {s: row for (venue, s), row in self.universe.positions.items() if venue == self.venue}
        self._parts = PartAges(self.ages)
        self._stamps, self._receipts = self._parts.stamps, self._parts.receipts

    @property
    def gaps(self) -> tuple[str, ...]:
        """The same, in order."""
        return tuple(sorted(self.gapped)) if self.gapped else ()

    def take_over(self, before: LiveQuotes, symbols: Collection[str]) -> None:
        """What was known of these under another universe, whose streams have gone on without a break."""
        for symbol in symbols:
            if self.row_of(symbol) is None or symbol not in before._quotes.keys() | before._books.keys():
                continue
            if symbol in before._quotes:
                self._quotes[symbol] = before._quotes[symbol]
            if symbol in before._books:
                self._books[symbol] = before._books[symbol]
            self._parts.take_over(before._parts, [symbol])
            self._heard[symbol] = None
        self._index |= before._index
        self._sided |= before._sided & self._quotes.keys()
        self.gapped |= before.gapped & self._books.keys()

    def row_of(self, symbol: str) -> int | None:
        """Position in the universe; None where it is not there."""
        return self._rows.get(symbol)

    def hear(self, quote: Heard) -> bool:
        """A new quote; whether it was of any use."""
        symbol, told, venue_ns = quote.symbol, quote.told, quote.venue_ns
        if symbol not in self._rows:
            self.counts.unknown += 1
            return False
        heard_ns = self.now_ns()
        if venue_ns > heard_ns and venue_ns > heard_ns + CLOCK_OFFSET_NS_MAX:
            self.counts.ahead += 1
            return False
        # the parts of a quote come by streams of their own, each in order
        part: Part = symbol if told is None else (symbol, quote.quote().part or told)
        known = self._stamps.get(part)
        if known is None:
            self._begin(part)
        elif (
            venue_ns < known and venue_ns and not _set_right(known, self._receipts[part], venue_ns, heard_ns)
        ):
            self.counts.late += 1
            return False
        self._stamps[part] = venue_ns
        self._receipts[part] = heard_ns
        if told is None:
            self._quotes[symbol] = quote
        else:
            if "bid" in told:
                self._sided.add(symbol)
            before = self._quotes.get(symbol)
            if before is not None:
                quote = _over(before.quote(), quote.quote(), told, heard_ns)
            self._quotes[symbol] = quote
        self._heard[symbol] = None
        self.counts.quotes += 1
        return True

    def _begin(self, part: Part) -> None:
        self._parts.add(part)
        if isinstance(part, str):  # the whole quote
            self._sided.add(part)

    def hear_index(self, underlying: str, venue_ns: int, price: float) -> None:
        """A new index, where it comes by itself."""
        now_ns = self.now_ns()
        known, heard_ns, _ = self._index.get(underlying, (0, 0, NAN))
        if venue_ns > now_ns + CLOCK_OFFSET_NS_MAX:
            self.counts.ahead += 1
        elif venue_ns >= known or _set_right(known, heard_ns, venue_ns, now_ns):
            self._index[underlying] = (venue_ns, now_ns, price)

    def change(self, change: Change) -> Broken | None:
        """A new state of a book; what is wrong with it, None where nothing is, or nobody asked for it."""
        symbol = change.symbol
        book = self._books.get(symbol)
        if book is None:
            if symbol not in self._rows:
                self.counts.unknown += 1
                return None
            book = self._books[symbol] = ChainedBook()
        before = book.broken
        book.heard_ns = self.now_ns()
        now = book.apply(change)
        self._heard[symbol] = None
        if before is now is None:
            return None
        if now is None:
            self.gapped.discard(symbol)
        elif before is None or now is not Broken.NO_SNAPSHOT:
            self.gapped.add(symbol)
        if before is None and now is not None:
            self.counts.gaps += 1
        return now

    def follow(self, form: BookForm, text: str, only: Container[str] | None = None) -> str:
        """Lay a frame that begins as its form says over its book, straight from its text; the book's symbol,
        "": it is for the readers.

        Taken is a change as usual of a book that is known, which it follows on; what `change` would do with
        it is done. only: books that may be followed; None: all.
        """
        if not text.isascii():
            return ""
        at = text.find(form.mark, len(form.head)) + len(form.mark)
        symbol = text[at : text.find(form.end, at)]
        book = self._books.get(symbol)
        if book is None or (only is not None and symbol not in only):
            return ""
        if not book.follow(form.shape, text.encode(), at):
            return ""
        book.heard_ns = self.now_ns()
        self._heard[symbol] = None
        if book.broken is not None:
            self.gapped.add(symbol)
            self.counts.gaps += 1
        return symbol

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
            self.gapped.add(symbol)
        book.lose(Broken.NO_SNAPSHOT)
        self._heard[symbol] = None

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
        found = [self._still_known(s, now_ns) for s in symbols]
        quotes = [quote for quote, _ in found]
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
            venue_ns=np.array([stamp for _, stamp in found], dtype=np.int64),
            bid=_first(bids, 0),
            bid_size=_first(bids, 1),
            ask=_first(asks, 0),
            ask_size=_first(asks, 1),
            index=np.array([self._index_of(q, now_ns) for q in quotes], dtype=float),
            forward_kind=np.array([q.forward_kind for q in quotes], dtype=np.int8),
            depth=depth,
            **columns,
        )

    def grow_old(self, now_ns: int) -> bool:
        """Let what time alone has made too old be handed out as unknown; whether there is any of it."""
        turned = [s for s in self._quotes if self._parts.old(s, now_ns) != self.old.get(s, _NOTHING)]
        indexes = {name for name in self._index if self._index_is_old(name, now_ns)}
        if turned_indexes := indexes ^ self.old_indexes:
            listings, self.old_indexes = self.universe.listings, indexes
            turned += [
                s for s, row in self._rows.items() if listings[row].contract.underlying in turned_indexes
            ]
        self._heard |= dict.fromkeys(turned)
        return bool(turned)

    def heard_ns(self, symbol: str, name: str = "") -> int:
        """When something of a listing was last heard, by our clock: a field; "": any; "book"; "index" of an
        underlying that comes by itself. 0: never."""
        if name == "index":
            return self._index.get(symbol, (0, 0, NAN))[1]
        if name == "book":
            book = self._books.get(symbol)
            return 0 if book is None else book.heard_ns
        return self._parts.heard_ns(symbol, name)

    def _still_known(self, symbol: str, now_ns: int) -> tuple[Quote, int]:
        """The quote without what is too old, and the stamp of its row: that of the touch."""
        quote, parts = self._quoted(symbol), self._parts
        if symbol in self._stamps and symbol not in parts.parts and not self.old:  # of one piece, as most are
            venue_ns, heard_ns = self._stamps[symbol], self._receipts[symbol]
            at_ns = venue_ns if 0 < venue_ns < heard_ns else heard_ns
            if now_ns - at_ns <= parts.least_ns:
                return quote, at_ns
        if old := parts.old(symbol, now_ns):
            self.old[symbol] = old
        else:
            self.old.pop(symbol, None)
        return without(quote, old), self._stamp(symbol)

    def _stamp(self, symbol: str) -> int:
        """A listing whose touch comes from its book alone is as old as the book."""
        if symbol in self._sided:
            return self._parts.at_ns(symbol, "bid")
        book = self._books.get(symbol)
        return 0 if book is None or book.broken is not None else book.at_ns

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
        if quote.symbol not in self._sided:
            return ladders
        behind_ns = quote.venue_ns - min(book.venue_ns, book.heard_ns + CLOCK_OFFSET_NS_MAX)
        if behind_ns <= 0:
            return ladders
        if behind_ns > _BEHIND_NS_MAX and not (_agree(touch[0], ladders[0]) and _agree(touch[1], ladders[1])):
            return touch
        return _behind(touch[0], ladders[0], True), _behind(touch[1], ladders[1], False)

    def _index_of(self, quote: Quote, now_ns: int) -> float:
        if quote.index_price == quote.index_price:
            return quote.index_price
        name = self.universe.listings[self._rows[quote.symbol]].contract.underlying
        if name not in self._index or self._index_is_old(name, now_ns):
            return NAN
        return self._index[name][2]

    def _index_is_old(self, name: str, now_ns: int) -> bool:
        venue_ns, heard_ns, _ = self._index[name]
        return now_ns - stamp_or_receipt(venue_ns, heard_ns) > self._parts.limits_ns["index_price"]


def _set_right(known: int, heard_ns: int, venue_ns: int, now_ns: int) -> bool:
    """Whether the venue's clock was wrong when it stamped the message before, and is not any more: else all
    that it says would be older than that one for as long as it was ahead."""
    return known > heard_ns + _WRONG_NS_MIN and venue_ns <= now_ns + _WRONG_NS_MIN


def _over(before: Quote, quote: Quote, told: frozenset[str], heard_ns: int) -> Quote:
    """The newer quote; what its message does not tell of stays as it was. A stamp of a clock that was ahead
    is no measure of what comes later."""
    ahead = before.venue_ns > heard_ns + _WRONG_NS_MIN
    newest_ns = quote.venue_ns if ahead else max(before.venue_ns, quote.venue_ns)
    return before._replace(venue_ns=newest_ns, **{name: getattr(quote, name) for name in told})


def _agree(touch: Ladder, book: Ladder) -> bool:
    return touch[0][:1] == book[0][:1]


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
