"""What coins without an index (`hedger.problem.unindexed`) mean for the budgets of the day.

The loss of the day is a change. A balance in such a coin that stands as it stood when the day began has lost
nothing that an index could tell, and is left out; a person is told of it once. One that has grown is worth no
less than before, whatever it is worth. One that has shrunk has lost at most what its coins were worth in a
fill: a fee paid in them is no more than the listing's rate on the notional of its fill, in dollars, and its
coins were worth no more than that. Where no fill says, the loss is not known, and nothing is sent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from hedger.core.actions import Severity
from hedger.core.fees import with_fee
from hedger.core.state import Counters
from hedger.core.turn import Turn
from hedger.problem.unindexed import held_of, unindexed
from pricing.contracts import STABLE_CURRENCIES
from pricing.universe import Universe
from risk.book import Book, Fill
from risk.costs import notional_usd
from risk.standing import worth

ZERO = Decimal(0)
#: USD of one coin, by currency.
Worths = tuple[tuple[str, float], ...]


def open_wallet(turn: Turn, spot: Mapping[str, float]) -> None:
    """Note the balances without an index that the day begins with; of one that is new, a person is told. Of
    one that has an index by now, the worth that it began with counts like any other's.

    spot: index by underlying, USD; NaN where it is not known now.
    """
    state = turn.state
    counters, now = state.counters, unindexed(state.book, state.market.universe)
    begun = dict(counters.wallet or ())
    for currency in [x for x in begun if x not in now and math.isfinite(spot.get(x, math.nan))]:
        usd = float(begun.pop(currency)) * spot[currency]
        counters = replace(
            counters,
            equity_open_usd=counters.equity_open_usd + usd,
            equity_open_high_usd=counters.equity_open_high_usd + usd,
        )
    for currency, amount in now.items():
        if amount and currency not in begun:
            begun[currency] = amount if counters.wallet is None else ZERO
            _tell(turn, currency)
    wallet = tuple(sorted(begun.items()))
    if wallet != counters.wallet:
        turn.state = replace(turn.state, counters=replace(counters, wallet=wallet))


def _tell(turn: Turn, currency: str) -> None:
    held = ", ".join(f"{venue} {amount:f}" for venue, amount in held_of(turn.state.book, currency).items())
    text = (
        f"{held} {currency}: no index of {currency} is known here, what it is worth is in no row and no "
        "limit; what it loses of its amount counts in the loss of the day, by what fills paid with it"
    )
    turn.alert(Severity.WARNING, "BALANCE_UNPRICED", text)


def wallet_loss_usd(counters: Counters, book: Book, universe: Universe) -> float:
    """What the balances without an index have lost at most since the day began, USD; NaN where one has
    shrunk that no fill ever paid with."""
    return math.fsum(_losses(counters, book, universe).values())


def unknown_losses(counters: Counters, book: Book, universe: Universe) -> tuple[str, ...]:
    """The currencies that have shrunk, nobody knows by how many dollars."""
    return tuple(x for x, usd in _losses(counters, book, universe).items() if math.isnan(usd))


def _losses(counters: Counters, book: Book, universe: Universe) -> dict[str, float]:
    if counters.wallet is None:
        return {}
    now, usd = unindexed(book, universe), dict(counters.worth_at_most)
    begun = {x: amount for x, amount in counters.wallet if x not in universe.underlyings}
    lost = {x: amount - now.get(x, ZERO) for x, amount in begun.items()}
    return {x: float(n) * usd.get(x, math.nan) if n > 0 else 0.0 for x, n in lost.items()}


def moved_by_hand(counters: Counters, currency: str, amount: Decimal) -> Counters:
    """The day's counters after a person has accepted that so much of a currency came or went: no loss of the
    day, where the currency is one without an index."""
    begun = dict(counters.wallet or ())
    if currency not in begun:
        return counters
    begun[currency] += amount
    return replace(counters, wallet=tuple(sorted(begun.items())))


def count_fee(turn: Turn, fill: Fill) -> None:
    """Count a fill and its fee in the day's counters; a fee without an index as the most that it can be,
    written down as such."""
    state, currency = turn.state, fill.fee_currency
    counters = state.counters
    spot = state.snapshot.spot if state.snapshot is not None else {}
    usd = worth(currency, spot)
    if fill.fee and currency not in STABLE_CURRENCIES and currency not in state.market.universe.underlyings:
        most = fee_usd_at_most(fill, spot)
        if fill.fee < 0:
            usd = 0.0  # a rebate: income of unknown worth is none
            turn.note(f"a rebate of {-fill.fee:f} {currency}, which has no index here, counts as nothing")
        elif most > 0:
            usd = most / float(fill.fee)
            counters = replace(
                counters,
                bounded_usd=counters.bounded_usd + most,
                worth_at_most=_raised(counters.worth_at_most, currency, usd),
            )
            turn.note(f"a fee of {fill.fee:f} {currency}, which has no index here, counts as {most:.6g} USD, "
                      f"the most that {fill.listing.symbol} charges")  # fmt: skip
    paid = with_fee(counters, currency, fill.fee, usd)
    turn.state = replace(turn.state, counters=replace(paid, fills=paid.fills + 1))


def _raised(known: Worths, currency: str, usd: float) -> Worths:
    found = dict(known)
    found[currency] = max(usd, found.get(currency, 0.0))
    return tuple(sorted(found.items()))


def fee_usd_at_most(fill: Fill, spot: Mapping[str, float]) -> float:
    """The dearer of the listing's rates on a fill's notional, USD; NaN where the notional is not known. A
    discount for paying in the venue's own coin only makes it less; the cap of an option's fee, too."""
    rate = max(fill.listing.fees.taker, fill.listing.fees.maker, ZERO)
    return float(rate * fill.quantity) * notional_usd(fill.listing, float(fill.price), spot)
