"""Free margin of an account by its venue's model, as the paper venue asks for it before it takes an order."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
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
            pay(valuation, row, float(signed), quantities, paid)
        balances = balances_of(book, valuation)
        if balances is None:
            return None
        return free_usd(valuation, quantities, balances, paid, venue, model, terms)

    return left


def pay(valuation: Valuation, row: int, units: float, quantities: FloatArray, paid: dict[str, float]) -> None:
    """Note a trade at its listing's value in the positions and in what is paid, by currency; both change."""
    listing = valuation.universe.listings[row]
    contract = listing.contract
    if contract.kind in (Kind.OPTION, Kind.SPOT):
        price = float(valuation.price[row]) * float(listing.size)
        paid[contract.settlement] = paid.get(contract.settlement, 0.0) + units * price
    if contract.kind is Kind.SPOT:
        received = -units * float(listing.size)
        paid[contract.underlying] = paid.get(contract.underlying, 0.0) + received
    else:
        quantities[row] += units


def free_usd(
    valuation: Valuation,
    quantities: FloatArray,
    balances: Mapping[str, float],
    paid: Mapping[str, float],
    venue: str,
    model: MarginModel,
    terms: MarginTerms | None,
) -> float | None:
    """What positions (n,) and balances leave over the initial margin, USD: the least of the settlement
    currencies, inf where none needs any; None where it cannot be told."""
    due = margins(valuation, quantities, quantities, venue, model, terms)
    if not all(margin.known for margin in due.values()):
        return None
    worth = options_worth(valuation, quantities) if model is MarginModel.PORTFOLIO else {}
    free = []
    for currency in {*due, *paid}:
        required = due[currency].initial if currency in due else 0.0
        held = balances.get(currency, 0.0) + worth.get(currency, 0.0)
        free.append((held - paid.get(currency, 0.0) - required) * _usd(currency, valuation))
    return None if math.isnan(sum(free)) else min(free, default=math.inf)


def balances_of(book: Book, valuation: Valuation) -> dict[str, float] | None:
    """Cash with the gains of perpetuals and futures, by currency; None where one has no price."""
    try:
        prices = forwards_of(book, valuation)
        return {currency: float(amount) for currency, amount in book.balances(prices).items()}
    except (KeyError, ValueError):
        return None


def forwards_of(book: Book, valuation: Valuation) -> dict[tuple[str, str], float]:
    """The forward of every perpetual and future that a book holds, by listing, as `Book.balances` takes them;
    those off the market are left out."""
    places = valuation.universe.positions
    keys = {position.listing.key for position in book.daily}
    return {key: float(valuation.forward[places[key]]) for key in keys if key in places}


def options_worth(valuation: Valuation, quantities: FloatArray) -> dict[str, float]:
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
