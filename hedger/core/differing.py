"""What a venue's account differs in from ours, where nothing explains it.

Compared over the union of both sides. A difference is explained only by

- an execution in the report itself, which is booked before (once, by its id),
- orders that may have filled: anywhere between nothing and all of what they reserve,
- executions of the last seconds that the venue stamps after the report, as much as they traded,
- an expiry that the venue and we need not settle in the same second.

Nothing is told or changed here: what follows from it is `hedger.core.reconcile`'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

import numpy as np

from hedger.core.disowned import disowned
from hedger.core.order_life import ZERO
from hedger.core.stamps import perhaps_missing
from hedger.core.state import State
from hedger.core.turn import Turn
from hedger.sections.execution import ns
from pricing.contracts import STABLE_CURRENCIES, Side
from pricing.market import price_or_nan
from risk.book import as_decimal, settles_daily
from risk.standing import worth
from venues.orders import AccountReport

#: (what, the venue's figure less ours).
Differences = tuple[tuple[str, Decimal], ...]


def position_differences(turn: Turn, report: AccountReport) -> Differences:
    """Symbols, where nothing explains the difference, over the union of both sides."""
    state = turn.state
    mine = positions_of(state, report.venue, report.account)
    missing = perhaps_missing(turn, report)
    found = []
    for symbol in sorted({*mine, *report.positions}):
        difference = report.positions.get(symbol, ZERO) - mine.get(symbol, ZERO)
        if difference == 0:
            continue
        buy, sell = _may_have_filled(turn, report.venue, symbol)
        bought, sold = missing.get(symbol, (ZERO, ZERO))
        in_flight = -(sell + bought) <= difference <= buy + sold
        if not (in_flight or settling(turn, report.venue, symbol)):
            found.append((symbol, difference))
    return tuple(found)


def _may_have_filled(turn: Turn, venue: str, symbol: str) -> tuple[Decimal, Decimal]:
    """What orders on a listing may have bought and sold without our knowledge, order units, both unsigned.

    An order that the venue has disowned explains nothing: else a difference that is no larger than it would
    keep it unknown for ever, since it is given up only where the account agrees without it.
    """
    buy, sell = turn.state.reserved(venue, symbol)
    for record in turn.state.live_orders(venue):
        if record.order.listing.symbol == symbol and disowned(turn, record):
            buy -= record.reserved if record.order.side is Side.BUY else ZERO
            sell -= record.reserved if record.order.side is Side.SELL else ZERO
    return buy, sell


def positions_of(state: State, venue: str, account: str) -> dict[str, Decimal]:
    """Our positions on an account, by symbol, order units."""
    return {
        symbol: position.quantity
        for (at, symbol, of), position in state.book.positions.items()
        if (at, of) == (venue, account) and position.quantity
    }


def settling(turn: Turn, venue: str, symbol: str) -> bool:
    """Whether a contract expires about now."""
    universe = turn.state.market.universe
    at = universe.positions.get((venue, symbol))
    if at is None or not universe.expiry_ns[at]:
        return False
    grace = ns(turn.settings.desk.execution.reconcile.expiry_grace_s)
    return abs(turn.event.now_ns - int(universe.expiry_ns[at])) <= grace


def agrees(state: State, report: AccountReport, symbol: str) -> bool:
    """Whether the venue's position in a symbol is ours to the digit."""
    mine = positions_of(state, report.venue, report.account)
    return report.positions.get(symbol, ZERO) == mine.get(symbol, ZERO)


@dataclass(frozen=True, slots=True)
class CashDifferences:
    """Currencies. drift: beyond what marks, rounding and running funding explain. unindexed: any difference
    of a coin without an index, which nothing says the worth of; it is no drift: see `hedger.core.wallet`."""

    drift: Differences
    unindexed: Differences


def cash_differences(turn: Turn, report: AccountReport) -> CashDifferences | None:
    """What balances differ in; None where they cannot be compared: while something is in flight on the
    account, or a price is not known."""
    state, config = turn.state, turn.settings.desk.execution.reconcile
    if state.snapshot is None or any(not r.settled for r in state.orders.values() if r.venue == report.venue):
        return None
    if perhaps_missing(turn, report):
        return None
    book = state.book.part(report.venue, report.account)
    if any(p.listing.expiry_ns and settling(turn, *p.listing.key) for p in book.positions.values()):
        return None
    last, positions = price_or_nan(state.market), state.market.universe.positions
    futures = [p for p in book.positions.values() if settles_daily(p.listing)]
    prices = {
        p.listing.key: float(last[positions[p.listing.key]]) for p in futures if p.listing.key in positions
    }
    if any(not prices.get(p.listing.key, np.nan) > 0 for p in futures if p.quantity):
        return None
    ours = book.balances(
        prices, [p.listing.key for p in futures if not p.quantity and p.listing.key not in prices]
    )
    for (venue, account, currency), owed in state.accrued.items():
        if (venue, account) == (report.venue, report.account):
            ours[currency] = ours.get(currency, Fraction(0)) - Fraction(owed)
    notional: dict[str, float] = {}
    for p in futures:
        coins = abs(float(p.quantity)) * float(p.listing.size)
        price = prices.get(p.listing.key, 1.0)
        settled_in = p.listing.contract.settlement
        amount = coins / price if p.listing.contract.inverse else coins * price
        notional[settled_in] = notional.get(settled_in, 0.0) + amount
    drift: list[tuple[str, Decimal]] = []
    unindexed: list[tuple[str, Decimal]] = []
    known = {**dict(state.counters.worth_at_most), **state.snapshot.spot}
    for currency in sorted({*ours, *report.balances}):
        told = Fraction(report.balances.get(currency, ZERO))
        difference = told - ours.get(currency, Fraction(0))
        usd = worth(currency, known)
        room = config.cash_difference_usd_max
        room += config.cash_difference_share_max * notional.get(currency, 0.0) * usd
        if usd > 0 and abs(float(difference)) * usd > room:
            drift.append((currency, Decimal(repr(round(float(difference), 12)))))
        elif difference and currency not in known and currency not in STABLE_CURRENCIES:
            unindexed.append((currency, as_decimal(difference)))
    return CashDifferences(tuple(drift), tuple(unindexed))
