"""Coins in a wallet that the market has no index of: dust, a fee token, what was left over by a trade.

They are no underlying, so no mark ever says what they are worth. They stand beside the book: no row holds
them, and what the book is worth is told without them, by whoever leaves them out.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction

from pricing.contracts import STABLE_CURRENCIES
from pricing.universe import Universe
from risk.book import Book, as_decimal


def unindexed(book: Book, universe: Universe) -> dict[str, Decimal]:
    """Cash, over all accounts, of the currencies without an index, in name order; such as were paid away
    without having been there are negative. None that a position held settles in is among them: its gains
    would be left out, too."""
    settles = {position.listing.contract.settlement for position in book.positions.values()}
    known = STABLE_CURRENCIES | settles | set(universe.underlyings)
    found: dict[str, Fraction] = {}
    for (_, _, currency), amount in book.cash.items():
        if currency not in known:
            found[currency] = found.get(currency, Fraction(0)) + Fraction(amount)
    return {currency: as_decimal(amount) for currency, amount in sorted(found.items())}


def held_of(book: Book, currency: str) -> Mapping[str, Decimal]:
    """Where a currency lies: its cash by venue, accounts added up."""
    found: dict[str, Fraction] = {}
    for (venue, _, name), amount in book.cash.items():
        if name == currency:
            found[venue] = found.get(venue, Fraction(0)) + Fraction(amount)
    return {venue: as_decimal(amount) for venue, amount in sorted(found.items())}
