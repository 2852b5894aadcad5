"""Free margin of an account by its venue's model, as the paper venue asks for it before it takes an order."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from decimal import Decimal

import numpy as np

from pricing.contracts import STABLE_CURRENCIES, Kind, Listing
from pricing.market import Market
from pricing.universe import FloatArray
from pricing.valuation import Valuation, value
from risk.book import Book
from risk.margin import margins
from risk.margin_terms import MarginModel, MarginTerms

Headroom = Callable[[Book, Sequence[tuple[Listing, Decimal]], Market], float | None]


def headroom(venue: str, model: MarginModel, terms: MarginTerms | None, age_s_max: float) -> Headroom:
    """A function that says what would be left were some trades done as well.

    It takes the account's book, the trades as signed order units, and the market, and gives in USD the least
    that any settlement currency has left over its initial margin: each stands by itself. Trades are reckoned
    at their values, premiums are paid and received. None: it cannot be told (no terms, no mark).
    """

    def left(book: Book, trades: Sequence[tuple[Listing, Decimal]], market: Market) -> float | None:
        valuation = value(market, age_s_max)
        universe = valuation.universe
        quantities = book.quantities(universe)
        paid: dict[str, float] = {}
        for listing, signed in trades:
            row = universe.positions.get(listing.key)
            if row is None:
                return None
            units = float(signed)
            contract = listing.contract
            if contract.kind in (Kind.OPTION, Kind.SPOT):
                price = float(valuation.price[row]) * float(listing.size)
                paid[contract.settlement] = paid.get(contract.settlement, 0.0) + units * price
            if contract.kind is Kind.SPOT:
                received = -units * float(listing.size)
                paid[contract.underlying] = paid.get(contract.underlying, 0.0) + received
            else:
                quantities[row] += units
        due = margins(valuation, quantities, quantities, venue, model, terms)
        balances = _balances(book, valuation)
        if balances is None or not all(margin.known for margin in due.values()):
            return None
        if model is MarginModel.PORTFOLIO:
            for currency, worth in _options(valuation, quantities).items():
                balances[currency] = balances.get(currency, 0.0) + worth
        free = []
        for currency in {*due, *paid}:
            required = due[currency].initial if currency in due else 0.0
            spare = balances.get(currency, 0.0) - paid.get(currency, 0.0) - required
            free.append(spare * _usd(currency, valuation))
        lowest = min(free, default=math.inf)
        return None if math.isnan(sum(free)) else lowest

    return left


def _balances(book: Book, valuation: Valuation) -> dict[str, float] | None:
    """Cash with the gains of perpetuals and futures, by currency; None where one has no price."""
    listings = valuation.universe.listings
    prices = {x.key: float(f) for x, f in zip(listings, valuation.forward, strict=True)}
    try:
        return {currency: float(amount) for currency, amount in book.balances(prices).items()}
    except (KeyError, ValueError):
        return None


def _options(valuation: Valuation, quantities: FloatArray) -> dict[str, float]:
    """What the options are worth, by settlement currency."""
    universe = valuation.universe
    found: dict[str, float] = {}
    for i in np.flatnonzero((quantities != 0) & universe.is_option).tolist():
        currency = universe.listings[i].contract.settlement
        index = valuation.spot[universe.underlying[i]] if universe.inverse[i] else 1.0
        found[currency] = found.get(currency, 0.0) + quantities[i] * valuation.value_usd[i] / index
    return found


def _usd(currency: str, valuation: Valuation) -> float:
    """USD of one unit of a currency; NaN where its index is unknown."""
    if currency in STABLE_CURRENCIES:
        return 1.0
    names = valuation.universe.underlyings
    return float(valuation.spot[names.index(currency)]) if currency in names else math.nan
