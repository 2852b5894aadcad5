"""The book after an adjustment that is on record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from types import MappingProxyType

from hedger.core.actions import Adjustment, AdjustmentKind
from hedger.core.order_life import ZERO
from pricing.contracts import Listing
from risk.book import Book, Position, settles_daily


def adjusted(book: Book, word: Adjustment, listings: Mapping[tuple[str, str], Listing]) -> Book:
    """The book after an adjustment, as the engine booked it then."""
    key = (word.venue, word.symbol, word.account)
    match word.kind:
        case AdjustmentKind.FUNDING | AdjustmentKind.ACCEPTED_CASH | AdjustmentKind.SETTLEMENT_CORRECTED:
            return book.pay(word.venue, word.account, word.currency, -word.amount)
        case AdjustmentKind.SETTLEMENT:
            return book.settle(key, word.price)
        case AdjustmentKind.ACCEPTED_POSITION:
            held = book.positions.get(key)
            old = held or Position(listings[word.venue, word.symbol], word.account, ZERO)
            paid = old.paid
            if settles_daily(old.listing):
                natural = Fraction(word.quantity) * Fraction(old.listing.size)
                entry = Fraction(word.price)
                paid += natural / entry if old.listing.contract.inverse else natural * entry
            new = replace(old, quantity=old.quantity + word.quantity, paid=paid)
            return replace(book, positions=MappingProxyType({**book.positions, key: new}))
