"""What the paper venue shows: the market as it was fed, the venue's listings, and the books that trade.

A book is kept only where an order of ours rests or just took something; every other row is read from the
market. Nothing of orders or accounts is known here.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from decimal import Decimal

import numpy as np

from pricing.contracts import Listing, Option
from pricing.daycount import NS_PER_SECOND
from pricing.market import INDEX_TOGETHER_S, Market, Marks, price_or_nan
from pricing.universe import Universe
from venues.paper_account import rounded_price
from venues.paper_book import PaperBook
from venues.paper_terms import FeeModel, StatedTerms


class VenueBooks:
    """See the module. listings: by symbol, as the venue has them now; open: books by row of the universe."""

    def __init__(self, venue: str, universe: Universe, terms: StatedTerms, start_ns: int) -> None:
        self.venue, self.universe, self.terms = venue, universe, terms
        self.market = Market.empty(universe, start_ns)
        self.listings: dict[str, Listing] = {x.symbol: x for x in universe.listings if x.venue == venue}
        self.open: dict[int, PaperBook] = {}
        self._index = np.full(len(universe), np.nan)  # the last one told, by listing: fees hang on it

    def apply(self, marks: Marks) -> list[int]:
        """The market is now this; the rows of it that have a book."""
        self.market = self.market.apply(marks)
        told = np.isfinite(self.market.index) & (self.market.index > 0)
        self._index = np.where(told, self.market.index, self._index)
        if not self.open:
            return []
        watched = np.fromiter(self.open, dtype=np.int64, count=len(self.open))
        rows: list[int] = np.unique(marks.rows[np.isin(marks.rows, watched)]).tolist()
        return rows

    def at(self, row: int, now_ns: int) -> PaperBook:
        """The book of a row, begun where there is none yet."""
        book = self.open.get(row)
        if book is None:
            original = self.universe.listings[row]
            listing = self.listings.get(original.symbol, original)
            book = self.open[row] = PaperBook(listing, self.terms.queue)
            book.show(now_ns, *self.market.book(row))
        return book

    def leave(self, row: int) -> None:
        """Nothing more is wanted of a book now; one with orders or with something taken from it stays."""
        if row in self.open and self.open[row].idle:
            del self.open[row]

    def row(self, listing: Listing) -> int:
        """Where a listing stands in the universe."""
        return self.universe.positions[listing.key]

    def fresh(self, row: int, now_ns: int) -> bool:
        """Whether the book is young enough to be taken from."""
        age_ns = now_ns - int(self.market.venue_ns[row])
        return age_ns <= self.terms.rules.quote_age_s_max * NS_PER_SECOND

    def known(self) -> dict[str, Listing]:
        """All listings by symbol, those taken off as well: positions in them remain."""
        return {x.symbol: x for x in self.universe.listings if x.venue == self.venue}

    def middle(self, row: int) -> float:
        """Between bid and ask, NaN where the book is not two-sided."""
        bid, ask = float(self.market.bid[row]), float(self.market.ask[row])
        return 0.5 * (bid + ask) if 0 < bid < ask else math.nan

    def price_of(self, row: int) -> float:
        """Mark, else middle, of one row, NaN where neither is known."""
        mark = float(self.market.mark[row])
        return mark if mark > 0 else self.middle(row)

    def prices(self, keys: Collection[tuple[str, str]]) -> Mapping[tuple[str, str], float]:
        """Mark, else middle, by (venue, symbol); those unknown are left out."""
        if not keys:
            return {}
        every = price_or_nan(self.market)
        found = {key: float(every[self.universe.positions[key]]) for key in keys}
        return {key: price for key, price in found.items() if 0 < price < math.inf}

    def index(self, listing: Listing) -> float:
        """The last index told for a listing, NaN where none was."""
        return float(self._index[self.row(listing)])

    def fee_known(self, listing: Listing) -> bool:
        """Whether a fill's fee can be reckoned: a linear option's needs an index."""
        linear_option = isinstance(listing.contract, Option) and not listing.contract.inverse
        return self.terms.fees is FeeModel.ZERO or not linear_option or self.index(listing) > 0

    def usd(self, row: int, price: float, quantity: float) -> float:
        """What a trade comes to, stable currencies as dollars; 0 where no index tells."""
        listing, natural = self.universe.listings[row], quantity * float(self.universe.size[row])
        if not listing.contract.inverse:
            return natural * price
        if not isinstance(listing.contract, Option):
            return natural
        index = float(self._index[row])
        return natural * price * index if index > 0 else 0.0

    def spot(self) -> dict[str, float]:
        """The index of every underlying now, NaN where it is too old."""
        told = self.market.spot(self.terms.rules.quote_age_s_max).tolist()
        return dict(zip(self.universe.underlyings, told, strict=True))

    def last_index(self, underlying: str) -> Decimal | None:
        """The index of an underlying as last told, however long ago; None: it never was."""
        index, stamps = self.market.index, self.market.venue_ns
        told = self.universe.where_underlying(underlying) & (index > 0) & (index < math.inf)
        if not told.any():
            return None
        together = stamps >= stamps[told].max() - INDEX_TOGETHER_S * NS_PER_SECOND
        return rounded_price(float(np.median(index[told & together])))
