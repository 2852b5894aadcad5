"""What an order would do to the margin that its venue reports of the account, for control C9: an upper bound.

A venue's own figures are right whatever its model; what they will be after an order only it can say. So the
figures are taken as they were reported last, and what has been traded since, what is out and the order itself
are added at the most that they can need, whatever the rest of the account is:

    perpetual, future   share x notional, long as well as short
    option sold         share x notional of the underlying, and the premium
    option bought       its premium, which also leaves the balance; where each position is margined by itself
                        it is paid for and needs nothing more
    spot bought         its price leaves the balance; sold: the coins leave theirs

A trade against a position is let off only where each position is margined by itself: in a portfolio the other
legs may be what it covered. `share` is the desk's (`limits.margin.added_share`). It holds while no venue asks
for more than that of a position's notional: 1 / share is the leverage below which an account may not be set.
Maintenance margin is bounded by the same: it is never more than initial margin. Left out: fees, and how far
off the mark a perpetual or a future was traded; both are little beside the share.

The next report takes the place of all that was booked before it was asked for. A venue tells its figures one
after the other and says of none which executions it holds, so one that was booked in between counts, as one
that may be in them or not.

Where a venue counts all currencies together (`EVERY_CURRENCY`) so is all of this, in USD at the index; a coin
without one that decides makes it unknown. A spot wallet of its own has no margin: what is paid there is
paid of what is free. What our resting orders have bound counts twice once a report holds it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from hedger.core.gate import Situation
from hedger.core.order_life import ZERO
from hedger.core.state import NOTHING_TRADED, ReportedMargin
from pricing.contracts import STABLE_CURRENCIES, Kind, Listing
from pricing.oracle import Verdict
from pricing.valuation import MarkStatus
from risk.costs import coins_per_unit
from risk.limit_request import MarginView
from venues.orders import EVERY_CURRENCY, AccountMargin, Order


def reported_margin(order: Order, situation: Situation, share: float) -> MarginView:
    """The margin of the order's account that it uses up, in that currency or in USD: as reported, and at the
    worst.

    share: of notional, the most that a position adds.

    Returns:
        A view that is not proven, with NaN and the reason, where the venue has not told its figures or what
        has to be added is not known.
    """
    venue, currency = order.listing.venue, used_currency(order)
    known = situation.state.venues.get(venue)
    reported = None if known is None else known.reported
    if reported is None or reported.account != order.account:
        return _unknown(f"{venue} has not reported on the account yet")
    from_cash = reported.cash is not None and _is_spot(order.listing)
    what, told = _drawn_on(reported, currency, from_cash)
    if told is None or not math.isfinite(told.balance):
        return _unknown(f"{venue} reports no {'free balance' if from_cash else 'margin'} of {currency}")
    flows, strange = _flows(reported, situation, order)
    if strange:
        return _unknown(f"not among the listings: {', '.join(strange)}")
    if reported.cash is not None:
        listings = situation.snapshot.valuation.universe.listings
        flows = {row: flow for row, flow in flows.items() if _is_spot(listings[row]) is from_cash}
    before = _added(flows.values(), situation, what, share, told)
    row = situation.row
    flows[row] = _with(flows.get(row, _Flow(row, 0.0, 0.0, 0.0)), float(order.signed), float(order.price))
    after = _added(flows.values(), situation, what, share, told)
    figures = (
        told.balance - before.paid,
        told.balance - after.paid,
        told.initial + before.margin,
        told.initial + after.margin,
        told.maintenance + before.margin,
        told.maintenance + after.margin,
    )
    if not all(map(math.isfinite, figures)):
        return _unknown("something traded since the last report has no usable mark or index")
    return MarginView(*figures, proven=True)


def _is_spot(listing: Listing) -> bool:
    return listing.contract.kind is Kind.SPOT


def _drawn_on(reported: ReportedMargin, currency: str, from_cash: bool) -> tuple[str, AccountMargin | None]:
    """What an order that uses up a currency draws on, by name, and its figures; None: not told."""
    if from_cash:
        free = (reported.cash or {}).get(currency)
        return currency, None if free is None else AccountMargin(free, 0.0, 0.0)
    if currency in reported.margins:
        return currency, reported.margins[currency]
    return EVERY_CURRENCY, reported.margins.get(EVERY_CURRENCY)


def used_currency(order: Order) -> str:
    """What an order uses up: the coins of a spot sale, else what the contract settles in."""
    contract = order.listing.contract
    if contract.kind is Kind.SPOT and order.signed < 0:
        return contract.underlying
    return contract.settlement


def _unknown(reason: str) -> MarginView:
    nan = math.nan
    return MarginView(nan, nan, nan, nan, nan, nan, proven=False, reason=reason)


@dataclass(frozen=True, slots=True)
class _Flow:
    """What the report does not hold of one listing, order units. least, most: between these lies the position
    that it is of; booked: as it is now; spot, which is cash, has neither, and what was traded of it stands in
    their place. buys, sells: out, at most; dearest: the highest price of a buy, venue's quotation."""

    row: int
    least: float
    most: float
    booked: float
    buys: float = 0.0
    sells: float = 0.0
    dearest: float = math.nan

    @property
    def bought(self) -> float:
        """Since the report, at most."""
        return max(self.booked - self.least, 0.0) + self.buys

    @property
    def sold(self) -> float:
        """Since the report, at most."""
        return max(self.most - self.booked, 0.0) + self.sells

    @property
    def held(self) -> float:
        """The smallest position, long or short, that the report may be of."""
        return max(self.least, -self.most, 0.0)

    @property
    def lowest(self) -> float:
        """Where the position may end."""
        return self.booked - self.sells

    @property
    def highest(self) -> float:
        """Where the position may end."""
        return self.booked + self.buys


def _with(flow: _Flow, signed: float, price: float) -> _Flow:
    if signed < 0:
        return replace(flow, sells=flow.sells - signed)
    return replace(flow, buys=flow.buys + signed, dearest=float(np.fmax(flow.dearest, price)))


def _flows(
    reported: ReportedMargin, situation: Situation, order: Order
) -> tuple[dict[int, _Flow], tuple[str, ...]]:
    """By row, what was traded since the report and what is out; and what has no place among the listings."""
    state, positions = situation.state, situation.snapshot.valuation.universe.positions
    here = order.listing.venue, order.account
    booked = {k[1]: p.quantity for k, p in state.book.positions.items() if (k[0], k[2]) == here}
    out = [r for r in state.orders.values() if r.reserved and (r.venue, r.order.account) == here]
    found: dict[int, _Flow] = {}
    strange = set()
    named = {*booked, *reported.positions, *reported.traded, *(r.order.listing.symbol for r in out)}
    for symbol in sorted(named):
        had, now = reported.positions.get(symbol, ZERO), booked.get(symbol, ZERO)
        since = reported.traded.get(symbol, NOTHING_TRADED)
        begun = now - since.net
        least, most = min(had, begun + since.least), max(had, begun + since.most)
        mine = [r for r in out if r.order.listing.symbol == symbol]
        row = positions.get((here[0], symbol))
        if row is not None:
            dearest = float(since.dearest) if since.dearest else math.nan
            flow = _Flow(row, float(least), float(most), float(now), dearest=dearest)
            for record in mine:
                signed = float(record.reserved) * record.order.side.sign
                flow = _with(flow, signed, float(record.order.price))
            found[row] = flow
        elif mine or not least == now == most:
            strange.add(symbol)
    return found, tuple(sorted(strange))


@dataclass(frozen=True, slots=True)
class _Added:
    """On top of what was reported. margin: needed; paid: off the balance."""

    margin: float = 0.0
    paid: float = 0.0


def _added(
    flows: Iterable[_Flow], situation: Situation, what: str, share: float, told: AccountMargin
) -> _Added:
    """What all of it adds at most in a currency, or in all of them, USD."""
    margin = paid = 0.0
    listings = situation.snapshot.valuation.universe.listings
    for flow in flows:
        if flow.bought or flow.sold:
            for currency in _currencies(listings[flow.row]) if what == EVERY_CURRENCY else (what,):
                one = _of_listing(flow, situation, currency, share, told.by_position)
                if one.margin or one.paid:
                    rate = _usd_per(currency, situation) if what == EVERY_CURRENCY else 1.0
                    margin, paid = margin + one.margin * rate, paid + one.paid * rate
    return _Added(margin, paid)


def _currencies(listing: Listing) -> tuple[str, ...]:
    """All that trades of a listing can use up."""
    contract = listing.contract
    spot = contract.kind is Kind.SPOT
    return (contract.settlement, contract.underlying) if spot else (contract.settlement,)


def _usd_per(currency: str, situation: Situation) -> float:
    """Stable currencies are dollars, coins are worth their index; NaN where there is none that decides."""
    if currency in STABLE_CURRENCIES:
        return 1.0
    reading = situation.snapshot.readings.get(currency)
    bad = reading is None or reading.verdict is Verdict.BAD
    return math.nan if bad else situation.snapshot.spot.get(currency, math.nan)


def _of_listing(flow: _Flow, situation: Situation, currency: str, share: float, by_position: bool) -> _Added:
    universe = situation.snapshot.valuation.universe
    contract, size = universe.listings[flow.row].contract, float(universe.size[flow.row])
    if contract.kind is Kind.SPOT:
        if contract.underlying == currency:
            return _Added(paid=flow.sold * size)
        if contract.settlement == currency and flow.bought:
            return _Added(paid=flow.bought * size * _dearest(flow, situation))
        return _Added()
    if contract.settlement != currency:
        return _Added()
    if contract.kind is not Kind.OPTION:
        opened = flow.bought + flow.sold
        if by_position:
            opened = max(abs(flow.lowest), abs(flow.highest)) - flow.held
        return _Added(margin=share * max(opened, 0.0) * _notional(flow.row, situation))
    sold = max(-flow.lowest, 0.0) - max(-flow.most, 0.0) if by_position else flow.sold
    premium = size * _dearest(flow, situation)
    paid = flow.bought * premium if flow.bought else 0.0
    margin = 0.0 if by_position else paid
    if sold > 0:
        margin += sold * (share * _notional(flow.row, situation) + premium)
    return _Added(margin, paid)


def _notional(row: int, situation: Situation) -> float:
    """Of one order unit, in what the contract settles in; NaN where the listing has no usable mark."""
    valuation = situation.snapshot.valuation
    if valuation.status[row] != MarkStatus.OK:
        return math.nan
    coins = float(coins_per_unit(valuation)[row])
    return coins if valuation.universe.inverse[row] else coins * float(valuation.forward[row])


def _dearest(flow: _Flow, situation: Situation) -> float:
    """The dearest price that is known, venue's quotation; NaN where none is."""
    market, row = situation.market, flow.row
    return float(np.fmax(np.fmax(flow.dearest, market.ask[row]), market.mark[row]))
