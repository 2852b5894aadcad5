"""The engine's gate: an order and its situation, told to `risk.limits.review` in the words of the limits.

Pure: everything comes from the state, so the same state gives the same verdict in every replay. What the
state does not know is told as unknown, and refuses.

The kill latch is a file, and the router's to look at; here it is the mode that a kill has made. Credits are
reckoned from the orders decided: as if each had left at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

import numpy as np

from hedger.core.actions import Permission
from hedger.core.execution import WorkLeg
from hedger.core.gate import Denied, Situation
from hedger.core.order_life import OrderRecord
from hedger.core.order_margin import order_margin
from hedger.core.state import Mode
from pricing.contracts import Kind
from pricing.daycount import NS_PER_SECOND
from pricing.universe import FloatArray
from risk.bands import row_factor
from risk.costs import Terms, coins_per_unit, fee_usd, price_difference_usd
from risk.limit_request import (
    Ages,
    BookView,
    DayView,
    Facts,
    Held,
    MarginView,
    Pending,
    Purpose,
    Range,
    Recent,
    Request,
    Stand,
    Style,
    Surroundings,
    Target,
    TicketLeg,
)
from risk.limit_terms import Limits
from risk.limits import Approved, review
from risk.margin_terms import MarginModel, MarginTerms
from risk.throttle import TokenBucket
from venues.orders import Order, OrderState, TimeInForce

_GREEKS = ("delta", "gamma", "gamma_expiring", "vega")
_STANDS = {Mode.OBSERVE: Stand.OBSERVE, Mode.ARMED: Stand.ARMED, Mode.REDUCING: Stand.REDUCING}


@dataclass(frozen=True, slots=True)
class LimitGate:
    """The limits, as the engine asks them.

    margin: how each venue margins the account, and its parameters; a venue left out is unknown.
    own_trades_impossible: by venue, whether it is known that two orders of ours cannot trade with each other.
    maintenance: announced windows by venue, (first, last) in nanoseconds.
    """

    limits: Limits
    own_trades_impossible: Mapping[str, bool] = field(default_factory=dict)
    margin: Mapping[str, tuple[MarginModel, MarginTerms]] = field(default_factory=dict)
    maintenance: Mapping[str, tuple[tuple[int, int], ...]] = field(default_factory=dict)

    def __call__(self, order: Order, situation: Situation) -> Permission | Denied:
        """Let the order out, or say why not."""
        units = Units.of(situation)
        around = self._around(order, situation, units)
        verdict = review(order, _request(order, situation, units), around, self.limits)
        if isinstance(verdict, Approved):
            return verdict
        return Denied(verdict.code.name, verdict.text)

    def _around(self, order: Order, situation: Situation, units: Units) -> Surroundings:
        state, snapshot, venue = situation.state, situation.snapshot, order.listing.venue
        rate = self.limits.rate_of(venue)
        stamps = sorted(r.since_ns for r in state.orders.values() if r.venue == venue)
        recent_ns = state.monotonic_ns - round(rate.window_s * NS_PER_SECOND)
        within = [stamp for stamp in stamps if stamp >= recent_ns]
        bucket = TokenBucket.full(rate.orders_per_s, rate.burst, recent_ns)
        for stamp in within:
            bucket = bucket.after(1, stamp)
        repeat_ns = state.now_ns - round(self.limits.repeat.window_s * NS_PER_SECOND)
        tries: dict[str, int] = {}
        for row, at_ns in state.memory.attempts:
            tries[row] = tries.get(row, 0) + (at_ns >= repeat_ns)
        counters = state.counters
        return Surroundings(
            now_ns=state.now_ns,
            stand=_STANDS.get(state.acting, Stand.HALTED),
            latched=state.mode is Mode.KILLED,
            may_trade=True,
            rows=_rows(situation),
            usd_per_row=_usd_per_row(situation),
            held=tuple(
                Held(p.listing, p.quantity, units.usd_of(p.listing.key))
                for p in state.book.positions.values()
                if p.quantity
            ),
            pending=tuple(_pending(r, situation, units) for r in state.orders.values() if r.reserved),
            book=_book(order, situation),
            ages=_ages(order, situation),
            margin=self._margin(order, situation),
            credits=bucket.at(state.monotonic_ns).tokens,
            messages=len(within),
            fruitless=max(tries.values(), default=0),
            day=DayView(counters.pnl_usd, counters.fees_usd, counters.slippage_usd),
            self_trade_prevention=self.own_trades_impossible.get(venue),
            numeraire=snapshot.numeraire,
            recent=tuple(_recent(state.orders.values())),
            maintenance=self.maintenance.get(venue, ()),
        )

    def _margin(self, order: Order, situation: Situation) -> MarginView | None:
        model, terms = self.margin.get(order.listing.venue, (MarginModel.STANDARD, None))
        return order_margin(order, situation, model, terms)


@dataclass(frozen=True, slots=True, eq=False)
class Units:
    """What an order unit of every listing comes to: coins, and USD of notional; (n,)."""

    coins: FloatArray
    usd: FloatArray
    positions: Mapping[tuple[str, str], int]

    @classmethod
    def of(cls, situation: Situation) -> Units:
        """At the snapshot's forwards and indexes."""
        valuation = situation.snapshot.valuation
        coins = coins_per_unit(valuation)
        return cls(coins, coins * valuation.spot_of_listing(), valuation.universe.positions)

    def usd_of(self, key: tuple[str, str]) -> float:
        """USD of notional of one order unit; NaN where the listing is not on the market."""
        at = self.positions.get(key)
        return math.nan if at is None else float(self.usd[at])


def _request(order: Order, situation: Situation, units: Units) -> Request:
    snapshot, row = situation.snapshot, situation.row
    valuation, universe = snapshot.valuation, snapshot.market.universe
    leg = next(leg for leg in situation.execution.legs if leg.number == order.leg)
    one = np.array([row], dtype=np.int64)
    terms, spot = Terms.of(universe, one), valuation.spot_of_listing()[one]
    price, quantity = np.array([float(order.price)]), float(order.quantity)
    maker = order.post_only
    fee = quantity * float(fee_usd(terms, spot, price, maker=maker)[0])
    worse = float(price_difference_usd(terms, spot, price, np.array([leg.reference]))[0])
    done = sum(
        (
            r.booked + r.reserved
            for r in situation.state.orders.values()
            if r.execution == situation.execution.id and r.order.leg == order.leg
        ),
        Decimal(0),
    )
    sign = order.side.sign
    return Request(
        intent=order.client_id,
        listing=order.listing,
        account=order.account,
        side=order.side,
        quantity=order.quantity,
        price=order.price,
        style=Style.MAKE if order.time_in_force is TimeInForce.GTC else Style.TAKE,
        immediate=order.time_in_force is TimeInForce.IOC,
        post_only=order.post_only,
        reduce_only=order.reduce_only,
        usd_per_unit=float(units.usd[row]),
        coins_per_unit=float(units.coins[row]),
        effect=_effect(situation, row, float(order.signed)),
        facts=_facts(situation, row),
        fee_usd=fee,
        slippage_usd=sign * quantity * worse,
        parent=f"{situation.execution.id}-{leg.number}",
        parent_quantity=sign * leg.quantity,
        parent_done=sign * done,
        purpose=_purpose(situation),
    )


def _effect(situation: Situation, row: int, quantity: float) -> dict[str, float]:
    """What trading so much adds to the Greek rows of the listing's coin."""
    exposure, universe = situation.snapshot.exposure, situation.snapshot.market.universe
    coin = universe.listings[row].contract.underlying
    column = exposure.traded[:, row]
    return {
        name: float(column[i]) * quantity
        for i, name in enumerate(exposure.rows)
        if name.split(":")[1] == coin and name.count(":") == 1
    }


def _facts(situation: Situation, row: int) -> Facts:
    valuation = situation.snapshot.valuation
    index = float(valuation.spot_of_listing()[row])
    kind = valuation.universe.kind[row]
    forward = index if kind == Kind.SPOT else float(valuation.forward[row])
    if kind != Kind.OPTION:
        return Facts(index, forward)
    return Facts(index, forward, float(valuation.years[row]), float(valuation.vol[row]))


def _purpose(situation: Situation) -> Purpose:
    """Every banded row with the interval it must end in, and every leg that is still to be traded."""
    snapshot, called = situation.snapshot, situation.execution.rows
    bands, rows = snapshot.bands, snapshot.exposure.rows
    targets = []
    for i in np.flatnonzero(bands.banded).tolist():
        inside = rows[i] in called
        low, high = (
            (bands.landing_lower[i], bands.landing_upper[i])
            if inside
            else (bands.trigger_lower[i], bands.trigger_upper[i])
        )
        targets.append(Target(rows[i], float(situation.value[i]), float(low), float(high)))
    legs = [_ticket_leg(situation, leg) for leg in situation.execution.legs if leg.quantity > leg.filled]
    return Purpose(targets, legs, snapshot.meaning.gamma_days_min)


def _ticket_leg(situation: Situation, leg: WorkLeg) -> TicketLeg:
    exposure = situation.snapshot.exposure
    row = situation.snapshot.market.universe.positions[leg.listing.key]
    left = leg.side.sign * (leg.quantity - leg.filled)
    column = exposure.traded[:, row]
    planned = {name: float(column[i]) * float(left) for i, name in enumerate(exposure.rows)}
    return TicketLeg(leg.listing, left, _facts(situation, row), planned)


def _rows(situation: Situation) -> dict[str, Range]:
    """The booked Greek rows; with something missing they are not known."""
    snapshot = situation.snapshot
    unknown = {m.symbol for m in snapshot.missing}
    found = {}
    for name, x in zip(snapshot.exposure.rows, situation.value.tolist(), strict=True):
        if name.count(":") == 1 and name.split(":")[0] in _GREEKS:
            found[name] = (math.nan, math.nan) if unknown else (x, x)
    return found


def _usd_per_row(situation: Situation) -> dict[str, float]:
    snapshot = situation.snapshot
    found = {}
    for name in snapshot.exposure.rows:
        greek, coin, *bucket = name.split(":")
        if greek in _GREEKS and not bucket:
            spot = snapshot.spot.get(coin, math.nan)
            found[name] = 1.0 / row_factor(greek, spot, snapshot.numeraire) if spot > 0 else math.nan
    return found


def _pending(record: OrderRecord, situation: Situation, units: Units) -> Pending:
    order = record.order
    reserved = record.reserved if order.side.sign > 0 else -record.reserved
    row = units.positions.get(order.listing.key)
    return Pending(
        intent=order.client_id,
        listing=order.listing,
        account=order.account,
        reserved=reserved,
        price=order.price,
        usd_per_unit=units.usd_of(order.listing.key),
        effect={} if row is None else _effect(situation, row, float(reserved)),
        since_ns=record.wall_ns,
        unknown=record.state is OrderState.UNKNOWN,
        reduce_only=order.reduce_only,
    )


def _recent(records: Iterable[OrderRecord]) -> Iterable[Recent]:
    for record in records:
        order = record.order
        yield Recent(
            intent=order.client_id,
            parent=f"{record.execution}-{order.leg}",
            key=order.listing.key,
            side=order.side,
            quantity=order.quantity,
            price=order.price,
            immediate=order.time_in_force is TimeInForce.IOC,
            at_ns=record.wall_ns,
        )


def _book(order: Order, situation: Situation) -> BookView:
    """What the instrument's book shows. fair: of spot and perpetuals the index, of the others the model's."""
    market, row, valuation = situation.market, situation.row, situation.snapshot.valuation
    kind = Kind(market.universe.kind[row])
    index = float(valuation.spot_of_listing()[row])
    fair = index if kind in (Kind.SPOT, Kind.PERPETUAL) else float(valuation.price[row])
    fills = [
        (r.done_ns or r.since_ns, float(r.order.price))
        for r in situation.state.orders.values()
        if r.booked and r.order.listing.key == order.listing.key
    ]
    return BookView(
        bid=float(market.bid[row]),
        ask=float(market.ask[row]),
        bid_size=float(market.bid_size[row]),
        ask_size=float(market.ask_size[row]),
        fair=fair,
        last_fill=max(fills)[1] if fills else None,
        continuous=situation.state.venues[order.listing.venue].takes_orders,
    )


def _ages(order: Order, situation: Situation) -> Ages:
    state, market, row = situation.state, situation.market, situation.row
    book_s = (state.now_ns - int(market.venue_ns[row])) / NS_PER_SECOND if market.venue_ns[row] else math.nan
    reading = situation.snapshot.readings.get(order.listing.contract.underlying)
    since_mark_s = (state.now_ns - situation.snapshot.market.now_ns) / NS_PER_SECOND
    venue = state.venues[order.listing.venue]
    positions_s = offset_s = math.nan
    if venue.reconciled_ns is not None:
        positions_s = (state.monotonic_ns - venue.reconciled_ns) / NS_PER_SECOND
        offset_s = (state.now_ns - venue.venue_ns) / NS_PER_SECOND - positions_s
    return Ages(
        book=book_s,
        index=math.nan if reading is None else reading.age_s + since_mark_s,
        vol=book_s,
        positions=positions_s,
        clock_offset=offset_s,
    )
