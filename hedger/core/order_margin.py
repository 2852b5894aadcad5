"""What an order would do to the margin of its account, for control C9: by the venue's model, at the worst."""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np

from hedger.core.gate import Situation
from hedger.core.headroom import forwards_of
from hedger.problem.snapshot import Snapshot
from pricing.universe import FloatArray
from risk.book import Book
from risk.limit_request import MarginView
from risk.margin import margin_view, margins, premiums, settling
from risk.margin_terms import MarginModel, MarginTerms
from venues.orders import Order


def order_margin(
    order: Order, situation: Situation, model: MarginModel, terms: MarginTerms | None
) -> MarginView | None:
    """The margin of the order's account in its settlement currency: as it is, and at the worst.

    Before: the booked positions. After: whatever may become of every order that is out on the account,
    UNKNOWN ones included, and of this one; premiums that may have to be paid are taken off the balance.

    Returns:
        None where the venue's parameters are not known; a view that is not proven, with NaN, where they are
        known and something else is not.
    """
    if terms is None:
        return None
    snapshot, venue = situation.snapshot, order.listing.venue
    valuation, currency = snapshot.valuation, order.listing.contract.settlement
    universe = valuation.universe
    own = situation.state.book.part(venue, order.account)
    out = [
        record
        for record in situation.state.orders.values()
        if record.reserved and (record.venue, record.order.account) == (venue, order.account)
    ]
    strange = sorted(
        {key[1] for key, p in own.positions.items() if p.quantity and p.listing.key not in universe.positions}
        | {r.order.listing.symbol for r in out if r.order.listing.key not in universe.positions}
    )
    if strange:
        return _unknown(f"not among the listings: {', '.join(strange)}")
    held = own.quantities(universe)
    low, high, prices = held.copy(), held.copy(), np.zeros(held.size)
    for record in out:
        row = universe.positions[record.order.listing.key]
        reserve(low, high, prices, row, record.reserved * record.order.side.sign, record.order.price)
    before = margins(valuation, held, held, venue, model, terms).get(currency)
    reserve(low, high, prices, situation.row, order.signed, order.price)
    after = margins(valuation, low, high, venue, model, terms).get(currency)
    paid = premiums(valuation, held, high, prices, currency)
    return margin_view(margin_balance(own, held, snapshot, currency, model), paid, before, after)


def _unknown(reason: str) -> MarginView:
    nan = math.nan
    return MarginView(nan, nan, nan, nan, nan, nan, proven=False, reason=reason)


def reserve(
    low: FloatArray, high: FloatArray, prices: FloatArray, row: int, signed: Decimal, price: Decimal
) -> None:
    """Widen the ends of a position by an order, in place; prices: the dearest at which each may be bought."""
    low[row] += min(float(signed), 0.0)
    high[row] += max(float(signed), 0.0)
    if signed > 0:
        prices[row] = max(prices[row], float(price))


def margin_balance(
    own: Book, held: FloatArray, snapshot: Snapshot, currency: str, model: MarginModel
) -> float:
    """An account's margin balance of a currency: cash, gains; under portfolio margin options' value, too.

    Args:
        own: the account's book. held: (n,) its positions.
    """
    valuation = snapshot.valuation
    universe = valuation.universe
    try:
        balance = float(own.balances(forwards_of(own, valuation)).get(currency, 0))
    except (KeyError, ValueError):
        return math.nan  # a future without a price: its gain is not known
    if model is MarginModel.PORTFOLIO:
        counted = (held != 0) & settling(universe).get(currency, False) & universe.is_option
        in_coin = np.where(universe.inverse, valuation.spot_of_listing(), 1.0)
        balance += float((valuation.value_usd / in_coin)[counted] @ held[counted])
    return balance
