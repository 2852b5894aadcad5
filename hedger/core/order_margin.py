"""What an order would do to the margin of its account, for control C9: by the venue's model, at the worst."""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np

from hedger.core.gate import Situation
from hedger.problem.snapshot import Snapshot
from pricing.universe import FloatArray
from risk.book import Book
from risk.limit_request import MarginView
from risk.margin import margin_view, margins, premiums
from risk.margin_terms import MarginModel, MarginTerms
from venues.orders import Order


def order_margin(
    order: Order, situation: Situation, model: MarginModel, terms: MarginTerms | None
) -> MarginView | None:
    """The margin of the order's venue in its settlement currency: as it is, and at the worst.

    Before: the booked positions. After: whatever may become of every order that is out on the venue, UNKNOWN
    ones included, and of this one; premiums that may have to be paid are taken off the balance.

    Returns:
        None where the venue's parameters are not known; a view that is not proven, with NaN, where they are
        known and something else is not.
    """
    if terms is None:
        return None
    snapshot, venue = situation.snapshot, order.listing.venue
    currency = order.listing.contract.settlement
    held = np.where(_on_venue(snapshot, venue), snapshot.quantities, 0.0)
    low, high, prices = held.copy(), held.copy(), np.zeros(held.size)
    positions = snapshot.valuation.universe.positions
    for record in situation.state.orders.values():
        row = positions.get(record.order.listing.key)
        if record.venue == venue and record.reserved and row is not None:
            _reserve(low, high, prices, row, record.reserved * record.order.side.sign, record.order.price)
    before = margins(snapshot.valuation, held, held, venue, model, terms).get(currency)
    _reserve(low, high, prices, situation.row, order.signed, order.price)
    after = margins(snapshot.valuation, low, high, venue, model, terms).get(currency)
    paid = premiums(snapshot.valuation, held, high, prices, currency)
    return margin_view(_balance(situation, venue, currency, model), paid, before, after)


def _reserve(
    low: FloatArray, high: FloatArray, prices: FloatArray, row: int, signed: Decimal, price: Decimal
) -> None:
    low[row] += min(float(signed), 0.0)
    high[row] += max(float(signed), 0.0)
    if signed > 0:
        prices[row] = max(prices[row], float(price))


def _on_venue(snapshot: Snapshot, venue: str) -> FloatArray:
    return np.array([x.venue == venue for x in snapshot.valuation.universe.listings], dtype=np.float64)


def _balance(situation: Situation, venue: str, currency: str, model: MarginModel) -> float:
    """The venue's margin balance of a currency: cash, gains; under portfolio margin options' value, too."""
    snapshot, book = situation.snapshot, situation.state.book
    valuation = snapshot.valuation
    own = Book(
        {key: p for key, p in book.positions.items() if key[0] == venue},
        {key: amount for key, amount in book.cash.items() if key[0] == venue},
    )
    prices = {x.key: float(f) for x, f in zip(valuation.universe.listings, valuation.forward, strict=True)}
    try:
        balance = float(own.balances(prices).get(currency, 0))
    except (KeyError, ValueError):
        return math.nan  # a future without a price: its gain is not known
    if model is MarginModel.PORTFOLIO:
        mine = _on_venue(snapshot, venue) * snapshot.quantities
        settles = np.array([x.contract.settlement == currency for x in valuation.universe.listings])
        counted = (mine != 0) & settles & valuation.universe.is_option
        in_coin = np.where(valuation.universe.inverse, valuation.spot_of_listing(), 1.0)
        balance += float((valuation.value_usd / in_coin)[counted] @ mine[counted])
    return balance
