"""The engine's gate: an order and its situation, told to `risk.limits.review` in the words of the limits.

Pure: everything comes from the state, so the same state gives the same verdict in every replay. What the
state does not know is told as unknown, and refuses.

The kill latch is a file, and the router's to look at; here it is the mode that a kill has made. Credits are
reckoned from the orders decided: as if each had left at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from decimal import Decimal

from hedger.core.actions import Permission
from hedger.core.gate import Denied, Situation, Then
from hedger.core.order_life import OrderRecord
from hedger.core.order_margin import order_margin
from hedger.core.reported_margin import reported_margin
from hedger.core.state import Mode, State
from hedger.core.wallet import unknown_losses
from hedger.engine.order_request import Units, effect_of, leg_of, request_of
from hedger.problem.snapshot import Snapshot
from pricing.contracts import Kind
from pricing.daycount import NS_PER_SECOND
from pricing.errors import named
from risk.bands import row_factor
from risk.holdings import Holdings
from risk.limit_checks import permission_findings
from risk.limit_codes import Code
from risk.limit_request import (
    Ages,
    BookView,
    DayView,
    MarginView,
    Pending,
    Range,
    Recent,
    Stand,
    Surroundings,
)
from risk.limit_terms import Limits
from risk.limits import Approved, review
from risk.margin_terms import MarginModel, MarginTerms
from risk.missing import MissingSettings, worst_case
from risk.throttle import TokenBucket, fruitless
from venues.orders import Link, Order, OrderState, TimeInForce

#: Share of an order's largest size that floating point may be wrong by.
ROUNDING = 1e-12
#: Positions without a mark that a reason names.
NAMED_MAX = 3
#: Reasons that pass without anybody's doing: nothing is wrong with the hedge, it is only not the time.
PASSING = frozenset(
    {
        Code.STALE_BOOK,
        Code.STALE_INDEX,
        Code.STALE_VOL,
        Code.STALE_POSITIONS,
        Code.CLOCK_OFFSET,
        Code.BOOK_CROSSED,
        Code.BOOK_ONE_SIDED,
        Code.BOOK_GAP,
        Code.BOOK_THIN,
        Code.SETTLEMENT_WINDOW,
        Code.MAINTENANCE,
    }
)
#: Reasons that last, and are of one instrument or venue: a hedge may go by others.
LASTING = frozenset(
    {
        Code.VENUE_NOT_ALLOWED,
        Code.UNDERLYING_NOT_ALLOWED,
        Code.KIND_NOT_ALLOWED,
        Code.SYMBOL_DENIED,
        Code.ORDER_TOO_LARGE,
        Code.ORDER_NOTIONAL,
        Code.BELOW_MINIMUM,
        Code.POSITION_INSTRUMENT,
        Code.POSITION_VENUE,
        Code.MARGIN_INITIAL,
        Code.MARGIN_MAINTENANCE,
        Code.MARGIN_UNKNOWN,
        Code.SELF_TRADE_PREVENTION_OFF,
        Code.NEAR_EXPIRY,
    }
)
_GREEKS = ("delta", "gamma", "gamma_expiring", "vega")
_STANDS = {Mode.OBSERVE: Stand.OBSERVE, Mode.ARMED: Stand.ARMED, Mode.REDUCING: Stand.REDUCING}


@dataclass(frozen=True, slots=True)
class LimitGate:
    """The limits, as the engine asks them.

    margin: how each venue margins the account, and its parameters; reported: venues whose own figures of the
    account's margin are taken instead; a venue of neither is unknown.
    own_trades_impossible: by venue, whether it is known that two orders of ours cannot trade with each other:
    the venue says so, or has no such prevention; our own orders are compared in any case.
    maintenance: windows by venue that the desk knows of, (first, last) in UTC nanoseconds, beside those that
    the venues themselves announce. assumed: ranges in which a position without a mark is taken to lie.
    """

    limits: Limits
    own_trades_impossible: Mapping[str, bool] = field(default_factory=dict)
    margin: Mapping[str, tuple[MarginModel, MarginTerms]] = field(default_factory=dict)
    reported: frozenset[str] = frozenset()
    maintenance: Mapping[str, tuple[tuple[int, int], ...]] = field(default_factory=dict)
    assumed: MissingSettings = field(default_factory=MissingSettings)

    def __call__(self, order: Order, situation: Situation) -> Permission | Denied:
        """Let the order out, or say why not."""
        leg = leg_of(order, situation.execution)
        if leg is None:
            return _no_leg(order)
        units = Units.of(situation.snapshot, self.assumed)
        around = self._around(order, situation, units)
        verdict = review(order, request_of(order, leg, situation, units), around, self.limits)
        if isinstance(verdict, Approved):
            return verdict
        also = tuple(code.name for code in verdict.also)
        return Denied(verdict.code.name, verdict.text, _then({verdict.code, *verdict.also}), also)

    def largest(self, snapshot: Snapshot, row: int) -> Decimal:
        """The largest order on a listing that C4 lets out, order units; infinite where its size in coins or
        dollars is not known: that is refused whatever its size."""
        units, most = Units.of(snapshot, self.assumed), self.limits.order
        sizes = ((most.coin_max, float(units.coins[row])), (most.notional_usd_max, float(units.usd[row])))
        largest = min((limit / unit for limit, unit in sizes if unit > 0), default=math.inf)
        return Decimal(repr(largest * (1.0 - ROUNDING)))

    def shut(self, snapshot: Snapshot) -> dict[int, str]:
        """Places of the listings of which no order passes, whatever its size and price, and the code: by
        permission (C2), by the venue's self-trade prevention (C16), by expiry (C20)."""
        universe, limits, now_ns = snapshot.market.universe, self.limits, snapshot.market.now_ns
        block_ns = limits.calendar.expiry_block_s * NS_PER_SECOND
        found: dict[int, str] = {}
        for row, listing in enumerate(universe.listings):
            codes = [finding.code for finding in permission_findings(listing, limits.permission)]
            if limits.self_trade.prevention_required and not self.own_trades_impossible.get(listing.venue):
                codes.append(Code.SELF_TRADE_PREVENTION_OFF)
            if listing.expiry_ns and listing.expiry_ns - now_ns < block_ns:
                codes.append(Code.NEAR_EXPIRY)
            if codes:
                found[row] = codes[0].name
        return found

    def _around(self, order: Order, situation: Situation, units: Units) -> Surroundings:
        state, snapshot, venue = situation.state, situation.snapshot, order.listing.venue
        rate = self.limits.rate_of(venue)
        sent = {r.order.sent_as: r.since_ns for r in state.orders.values() if r.venue == venue}
        stamps = sorted(sent.values())  # the legs of a combo are one message
        recent_ns = state.monotonic_ns - round(rate.window_s * NS_PER_SECOND)
        within = [stamp for stamp in stamps if stamp >= recent_ns]
        bucket = TokenBucket.full(rate.orders_per_s, rate.burst, recent_ns)
        for stamp in within:
            bucket = bucket.after(1, stamp)
        known = state.venues.get(venue)
        windows = self.maintenance.get(venue, ())
        return Surroundings(
            now_ns=state.now_ns,
            monotonic_ns=state.monotonic_ns,
            stand=_STANDS.get(state.acting, Stand.HALTED),
            latched=state.mode is Mode.KILLED,
            may_trade=True,
            rows=_rows(situation, self.assumed),
            usd_per_row=_usd_per_row(situation),
            held=Holdings.of_book(state.book, snapshot.market.universe, units.usd),
            pending=tuple(_pending(r, situation, units) for r in state.orders.values() if r.reserved),
            book=_book(order, situation),
            ages=_ages(order, situation),
            margin=self._margin(order, situation),
            credits=bucket.at(state.monotonic_ns).tokens,
            messages=len(within),
            fruitless=fruitless(state.hedges, state.monotonic_ns, self.limits.repeat.window_s),
            day=_day(state),
            self_trade_prevention=self.own_trades_impossible.get(venue),
            numeraire=snapshot.numeraire,
            recent=tuple(_recent(state.orders.values())),
            maintenance=None if known is None else (*windows, *known.maintenance),
            incomplete=_incomplete(situation),
        )

    def _margin(self, order: Order, situation: Situation) -> MarginView | None:
        if order.listing.venue in self.reported:
            return reported_margin(order, situation, self.limits.margin.added_share)
        model, terms = self.margin.get(order.listing.venue, (MarginModel.STANDARD, None))
        return order_margin(order, situation, model, terms)


def _then(codes: Set[Code]) -> Then:
    """What follows from all the reasons together."""
    if codes <= PASSING | {Code.RATE_CREDITS}:
        return Then.BACK_OFF if codes & PASSING else Then.WAIT
    if codes <= LASTING | PASSING | {Code.RATE_CREDITS}:
        return Then.SET_ASIDE
    return Then.PAUSE if Code.FRUITLESS_HEDGES in codes else Then.END


def _no_leg(order: Order) -> Denied:
    """An order that belongs to no leg of the ticket it says that it works for."""
    code = Code.CHILD_AGAINST_PARENT
    where = f"{order.side} {order.quantity} {order.listing.venue} {order.listing.symbol} at {order.price}"
    return Denied(code.name, code.text(where, f"leg {order.leg}", "a leg of its ticket, on its instrument"))


def _rows(situation: Situation, assumed: MissingSettings) -> dict[str, Range]:
    """The booked Greek rows, with what positions without a mark add to them at least and at most; unknown
    where that has no bound."""
    snapshot = situation.snapshot
    names = snapshot.exposure.rows
    low, high = situation.value.copy(), situation.value.copy()
    if snapshot.missing:
        least, most = worst_case(
            snapshot.market.universe,
            snapshot.quantities,
            snapshot.exposure.missing,
            snapshot.valuation.spot,
            situation.market.now_ns,
            snapshot.underlyings,
            snapshot.meaning,
            assumed,
        )
        low[: least.size] += least  # scenario rows come behind the Greeks
        high[: most.size] += most
    blind = {name for name in snapshot.underlyings if not math.isfinite(snapshot.spot.get(name, math.nan))}
    found = {}
    for i, name in enumerate(names):
        if name.count(":") == 1 and name.split(":")[0] in _GREEKS:
            ends = (float(low[i]), float(high[i]))
            bounded = all(map(math.isfinite, ends)) and name.split(":")[1] not in blind
            found[name] = ends if bounded else (math.nan, math.nan)
    return found


def _incomplete(situation: Situation) -> str:
    """What has no mark, for whoever reads a refusal."""
    missing = situation.snapshot.missing
    if not missing:
        return ""
    names = [f"{m.symbol} ({m.reason})" for m in missing]
    return f"incl. the worst of what has no mark: {named(names, NAMED_MAX)}"


def _day(state: State) -> DayView:
    """The day so far, and the coins that keep it from being known."""
    counters = state.counters
    lost = unknown_losses(counters, state.book, state.market.universe)
    owed = [currency for currency, _ in counters.unpriced]
    named = ", ".join(dict.fromkeys((*lost, *owed)))
    unknown = f"no index and no fill says what {named} is worth" if named else ""
    return DayView(counters.pnl_low_usd, counters.fees_usd, counters.slippage_usd, unknown)


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
        effect={} if row is None else effect_of(situation, row, float(reserved)),
        since_ns=record.since_ns,
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
            at_ns=record.since_ns,
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
        continuous=_continuous(order, situation),
    )


def _continuous(order: Order, situation: Situation) -> bool | None:
    """Whether no message of the book is known to be lost; None where the venue is not known."""
    venue = situation.state.venues.get(order.listing.venue)
    if venue is None:
        return None
    return venue.link is Link.UP and order.listing.symbol not in venue.gaps


def _ages(order: Order, situation: Situation) -> Ages:
    state, market, row = situation.state, situation.market, situation.row
    book_s = (state.now_ns - int(market.venue_ns[row])) / NS_PER_SECOND if market.venue_ns[row] else math.nan
    reading = situation.snapshot.readings.get(order.listing.contract.underlying)
    since_mark_s = (state.now_ns - situation.snapshot.market.now_ns) / NS_PER_SECOND
    venue = state.venues.get(order.listing.venue)
    positions_s = offset_s = math.nan
    if venue is not None and venue.reconciled_ns is not None:
        positions_s = (state.monotonic_ns - venue.reconciled_ns) / NS_PER_SECOND
        if venue.clock_offset_ns is None:  # the stamp is from before the report came
            offset_s = (state.now_ns - venue.venue_ns) / NS_PER_SECOND - positions_s
        else:
            offset_s = venue.clock_offset_ns / NS_PER_SECOND
    return Ages(
        book=book_s,
        index=math.nan if reading is None else reading.age_s + since_mark_s,
        vol=book_s,
        positions=positions_s,
        clock_offset=offset_s,
    )
