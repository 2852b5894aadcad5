"""Why the paper venue refuses an order when it arrives: its own checks, in the order it makes them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from pricing.contracts import Listing
from venues.orders import Order
from venues.paper_account import PaperAccount
from venues.paper_books import VenueBooks
from venues.paper_orders import Code, PaperOrder, TokenBucket, band_fault, form_fault, reducible
from venues.paper_terms import Duplicates, StatedTerms


@dataclass(slots=True)
class OrderChecks:
    """The checks of one account. ids: all client ids ever taken; open_orders: by number; both are the venue's
    own, and change under it. margin_unknown: orders that passed although nobody could tell."""

    terms: StatedTerms
    account: PaperAccount
    books: VenueBooks
    open_orders: Mapping[int, PaperOrder]
    ids: Collection[str]
    margin_unknown: int = 0
    _bucket: TokenBucket = field(init=False)

    def __post_init__(self) -> None:
        self._bucket = TokenBucket(self.terms.rules.order_rate, self.terms.rules.order_burst)

    def fault(self, orders: Sequence[Order], now_ns: int, *, closed: bool) -> Code | None:
        """Why a request is refused; the first reason the venue would give. None: it is taken.

        A combo is one request of several orders: each of them must pass by itself, and the margin is asked
        for all of them done. closed: the venue takes nothing now.
        """
        if not self._bucket.take(now_ns):
            return Code.RATE_LIMITED
        if closed:
            return Code.MAINTENANCE
        trades = []
        for order in orders:
            listing = self.books.listings.get(order.listing.symbol)
            code = self._listing_fault(order, listing, now_ns)
            if code is not None or listing is None:
                return code
            code = form_fault(order, listing) or self._market_fault(order, listing, now_ns)
            if code is not None:
                return code
            trades.append((listing, order.signed))
        return self._margin_fault(orders[0], trades)

    def amend_fault(self, kept: PaperOrder, wanted: Order, now_ns: int, *, closed: bool) -> Code | None:
        """Why an amendment of an open order is refused; None: it is taken. wanted: what it would be."""
        if not self._bucket.take(now_ns):
            return Code.RATE_LIMITED
        if closed:
            return Code.MAINTENANCE
        listing = self.books.listings.get(wanted.listing.symbol)
        if listing is None:
            return Code.NOT_LISTED
        if wanted.quantity <= kept.filled:
            return Code.FILLED_ALREADY
        code = form_fault(wanted, listing) or self._market_fault(wanted, listing, now_ns, kept)
        if code is not None:
            return code
        left = (wanted.quantity - kept.filled) * wanted.side.sign
        return self._margin_fault(wanted, [(listing, left)], kept)

    def _listing_fault(self, order: Order, listing: Listing | None, now_ns: int) -> Code | None:
        if listing is None or order.listing.venue != self.books.venue:
            return Code.NOT_LISTED
        if order.account != self.account.name:
            return Code.WRONG_ACCOUNT
        if listing.expiry_ns and listing.expiry_ns <= now_ns:
            return Code.LISTING_EXPIRED
        if order.client_id in self.ids and self.terms.rules.duplicates is Duplicates.REFUSED:
            return Code.DUPLICATE
        return None

    def _market_fault(
        self, order: Order, listing: Listing, now_ns: int, kept: PaperOrder | None = None
    ) -> Code | None:
        """kept: the order that this one takes the place of."""
        row = self.books.row(listing)
        code = band_fault(order, listing, self.books.price_of(row), self.terms.rules.price_band)
        if code is not None:
            return code
        if not self.books.fee_known(listing):
            return Code.NO_INDEX
        book = self.books.at(row, now_ns)
        if order.post_only and book.would_take(order.side, order.price):
            return Code.POST_ONLY
        if book.meets_own(order.side, order.price):
            return Code.SELF_TRADE
        if order.reduce_only:
            same = [
                o.left
                for o in self.open_orders.values()
                if o.order.reduce_only
                and o.listing.key == listing.key
                and o.order.side is order.side
                and o is not kept
            ]
            position = self.account.position(listing.symbol)
            left = order.quantity - (Decimal(0) if kept is None else kept.filled)
            if left > reducible(order.side, listing, position, sum(same, Decimal(0))):
                return Code.REDUCE_ONLY
        return None

    def _margin_fault(
        self, order: Order, more: Sequence[tuple[Listing, Decimal]], kept: PaperOrder | None = None
    ) -> Code | None:
        """Whether the account could not bear all that is open, but for `kept`, and these trades as well."""
        if self.terms.margin is None or order.reduce_only:
            return None
        others = (o for o in self.open_orders.values() if o is not kept)
        trades = [(o.listing, o.left * o.order.side.sign) for o in others]
        trades += more
        headroom = self.terms.margin(self.account.book, trades, self.books.market)
        if headroom is None or headroom != headroom:
            self.margin_unknown += 1
            return None
        return Code.MARGIN if headroom < 0 else None
