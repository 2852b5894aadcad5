"""A ticket worked off: one leg after the other, in slices over time and depth, as a state machine over fills.

A slice rests at the touch first where the desk has the patience (`passive_seconds`, shortened by `urgency`),
post-only, moved when the touch moves away; then it takes: a limit order through the touch, immediate or
cancel, for at most a share of what is displayed within the price limit. There is no order without a price.

After every fill and every mark it is asked again whether the rest still does what it is for:

- every row that was called is back inside its landing and nothing else is out: the rest is left undone;
- the legs that are left no longer bring the rows in, the index has moved too far, or slices find nothing:
  what is out is cancelled, and when all of it is settled the rest is planned anew, under the same execution;
- an order is UNKNOWN: nothing more is sent until the venue tells what became of it.

An execution is over when it has a reason to be and none of its orders can fill any more. No venue's combos
are used: none of the present ones offers them (`Capabilities.combos`), so legs trade one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np

from hedger.core.legs import UnwindLeg, leg_order, unwind, unwind_text
from hedger.core.order_life import ZERO, OrderRecord
from hedger.moment import Moment
from hedger.planning import HedgePlan
from hedger.policy.triggering import required_intervals
from hedger.problem.snapshot import Snapshot
from hedger.sections.execution import ExecutionConfig, ns
from hedger.settings import Settings
from pricing.contracts import Kind, Listing, Side
from pricing.market import Depth, Flag, Market
from pricing.universe import BoolArray, FloatArray
from risk.book import Fill
from risk.costs import coins_per_unit, reference_price
from venues.orders import OrderState, TimeInForce


@dataclass(frozen=True, slots=True)
class WorkLeg:
    """A leg in work. quantity: its parent's, order units > 0; the sum of its orders never exceeds it.

    number: its own within the execution. limit: the worst price of the ticket. reference, index: the price
    costs are reckoned from, and the index, when it was planned. paid: sum of price x quantity of its fills;
    fees: by currency. parts: orders made so far. resting_ns: since when the present slice rests. next_ns: no
    new order before. dry: slices in a row that filled nothing. taken: asked for of the book that the venue
    stamped book_ns: the same display is not taken twice. Times but that stamp are of the monotonic clock.
    """

    number: int
    listing: Listing
    side: Side
    quantity: Decimal
    limit: Decimal
    expected_price: float
    reference: float
    index: float
    filled: Decimal = ZERO
    paid: Decimal = ZERO
    fees: tuple[tuple[str, Decimal], ...] = ()
    parts: int = 0
    resting_ns: int | None = None
    next_ns: int = 0
    dry: int = 0
    book_ns: int = 0
    taken: Decimal = ZERO

    @property
    def left(self) -> Decimal:
        """What is not filled yet, order units; 0 when it is less than the venue would take."""
        left = self.listing.quantize_quantity(self.quantity - self.filled)
        return max(left, ZERO)


_Change = Callable[[WorkLeg], WorkLeg]


@dataclass(frozen=True, slots=True, eq=False)
class Execution:
    """A ticket in work. id: the event that started it. moment: the book then. rows: those that were called.

    legs: of the present plan, in their order; earlier: of the plans before it. before, promised, slack: of
    that plan, by row. ending: why it is over, "" while it is not; replanning: why it must be planned anew.
    """

    id: int
    moment: Moment
    rows: tuple[str, ...]
    legs: tuple[WorkLeg, ...]
    started_ns: int
    before: Mapping[str, float]
    promised: Mapping[str, float]
    slack: Mapping[str, float]
    cost_usd: float
    unwind: tuple[UnwindLeg, ...] = ()
    earlier: tuple[WorkLeg, ...] = ()
    ending: str = ""
    replanning: str = ""
    replans: int = 0
    rejects: int = 0

    @property
    def every_leg(self) -> tuple[WorkLeg, ...]:
        """Those of all its plans."""
        return (*self.earlier, *self.legs)


@dataclass(frozen=True, slots=True)
class Wish:
    """An order that an execution would like to send; parent: what its leg may still send, order units."""

    leg: int
    part: int
    listing: Listing
    side: Side
    quantity: Decimal
    price: Decimal
    time_in_force: TimeInForce
    post_only: bool
    parent: Decimal


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """What an execution sees: the last snapshot, the rows as they stand (m,) with the fills since, the market
    at this moment, the sound listings (n,), the venues that take orders, and whether orders may be sent."""

    now_ns: int
    snapshot: Snapshot
    value: FloatArray
    market: Market
    sound: BoolArray
    venues: Collection[str]
    sending: bool


@dataclass(frozen=True, slots=True, eq=False)
class Work:
    """What comes next: orders wished for, orders to cancel, or that it is over, or wants another plan."""

    execution: Execution
    wishes: tuple[Wish, ...] = ()
    cancels: tuple[str, ...] = ()
    over: bool = False
    replan: bool = False


# -------------------------------------------------------------------------------------------------- starting


def start(plan: HedgePlan, settings: Settings, moment: Moment, seq: int, now_ns: int) -> Execution:
    """The execution of a plan's trades, its legs in the order of least interim risk, its unwind written.

    moment: as the policy saw it. seq: of the event that it comes from. now_ns: the monotonic clock.
    """
    legs, way_back = _legs(plan, settings, 0)
    return Execution(
        id=seq,
        moment=moment,
        rows=tuple(sorted(plan.decision.called)),
        legs=legs,
        started_ns=now_ns,
        before=_by_row(plan, plan.snapshot.exposure.value),
        promised=_by_row(plan, plan.after),
        slack=_by_row(plan, plan.slack),
        cost_usd=_paid_at_once(plan),
        unwind=way_back,
    )


def planned_anew(execution: Execution, plan: HedgePlan, settings: Settings) -> Execution:
    """The same execution with another plan for the rest."""
    legs, way_back = _legs(plan, settings, len(execution.every_leg))
    return replace(
        execution,
        earlier=execution.every_leg,
        legs=legs,
        before=_by_row(plan, plan.snapshot.exposure.value),
        promised=_by_row(plan, plan.after),
        slack=_by_row(plan, plan.slack),
        cost_usd=execution.cost_usd + _paid_at_once(plan),
        unwind=way_back,
        replanning="",
        replans=execution.replans + 1,
    )


def _paid_at_once(plan: HedgePlan) -> float:
    """The part of a plan's cost that is paid by trading: all but carry."""
    return plan.cost.total - plan.cost.carry


def _by_row(plan: HedgePlan, values: FloatArray) -> dict[str, float]:
    return dict(zip(plan.snapshot.exposure.rows, values.tolist(), strict=True))


def _legs(
    plan: HedgePlan, settings: Settings, first: int
) -> tuple[tuple[WorkLeg, ...], tuple[UnwindLeg, ...]]:
    """The legs of a plan in the order to trade them, and the way back."""
    trades, snapshot = plan.trades, plan.snapshot
    if not trades:
        return (), ()
    universe = snapshot.market.universe
    rows = np.array([t.row for t in trades], dtype=np.int64)
    signs = np.array([t.side.sign for t in trades], dtype=np.int64)
    quantity = np.array([float(t.quantity) for t in trades])
    notional = (coins_per_unit(snapshot.valuation) * snapshot.valuation.spot_of_listing())[rows] * quantity
    opened = np.abs(snapshot.quantities[rows] + signs * quantity) - np.abs(snapshot.quantities[rows])
    share = settings.costs.margin.rates().share(universe.kind[rows], signs)
    margin = share * notional * opened / quantity
    order = leg_order(
        np.array([t.effect for t in trades]),
        snapshot.exposure.value,
        snapshot.bands,
        margin.tolist(),
        (signs > 0).tolist(),
    )
    reference, spot = reference_price(snapshot.market), snapshot.valuation.spot_of_listing()
    legs = tuple(
        WorkLeg(
            number=first + place,
            listing=trades[i].listing,
            side=trades[i].side,
            quantity=trades[i].quantity,
            limit=trades[i].limit_price,
            expected_price=trades[i].expected_price,
            reference=float(reference[trades[i].row]),
            index=float(spot[trades[i].row]),
        )
        for place, i in enumerate(order)
    )
    told = [(leg.listing, leg.side, leg.quantity, leg.limit) for leg in legs]
    return legs, unwind(told, settings.execution.price_limit_bps)


def unwind_lines(execution: Execution) -> tuple[str, ...]:
    """The written unwind."""
    return unwind_text(execution.unwind)


# ------------------------------------------------------------------------------------------------------ news


def with_fill(execution: Execution, leg: int, fill: Fill) -> Execution:
    """After a fill of one of its legs."""

    def filled(work: WorkLeg) -> WorkLeg:
        fees = dict(work.fees)
        fees[fill.fee_currency] = fees.get(fill.fee_currency, ZERO) + fill.fee
        return replace(
            work,
            filled=work.filled + fill.quantity,
            paid=work.paid + fill.quantity * fill.price,
            fees=tuple(sorted(fees.items())),
            dry=0,
        )

    return _on_leg(execution, leg, filled)


def with_end(execution: Execution, record: OrderRecord) -> Execution:
    """After one of its orders has come to its end."""
    refused = record.state in (OrderState.REJECTED, OrderState.DENIED)

    def ended(leg: WorkLeg) -> WorkLeg:
        if record.order.time_in_force is TimeInForce.IOC:
            return replace(leg, dry=leg.dry if record.booked else leg.dry + 1, resting_ns=None)
        return leg

    found = _on_leg(execution, record.order.leg, ended)
    return replace(found, rejects=found.rejects + refused)


def _on_leg(execution: Execution, number: int, change: _Change) -> Execution:
    def changed(legs: tuple[WorkLeg, ...]) -> tuple[WorkLeg, ...]:
        return tuple(change(leg) if leg.number == number else leg for leg in legs)

    return replace(execution, legs=changed(execution.legs), earlier=changed(execution.earlier))


# ------------------------------------------------------------------------------------------------------ work


def work(execution: Execution, sight: Sight, orders: Sequence[OrderRecord], settings: Settings) -> Work:
    """What the execution does now. orders: its own that are not settled yet."""
    config = settings.execution
    if not execution.ending:
        why = _over(execution, sight, config)
        if why:
            execution = replace(execution, ending=why)
        elif not execution.replanning:
            why = _outdated(execution, sight, config)
            if why and execution.replans >= config.replans_max:
                execution = replace(
                    execution, ending=f"{why}; planned anew {execution.replans} times already"
                )
            elif why:
                execution = replace(execution, replanning=why)
    if execution.ending or execution.replanning:
        done = not orders
        return Work(
            execution,
            cancels=_resting(orders),
            over=done and bool(execution.ending),
            replan=done and not execution.ending,
        )
    leg = next((leg for leg in execution.legs if leg.left > 0), None)
    if leg is None:
        return Work(execution)
    at = sight.market.universe.positions.get(leg.listing.key)
    usable = at is not None and bool(sight.sound[at]) and leg.listing.venue in sight.venues
    if at is None or not usable:
        return Work(execution, cancels=_resting(orders))
    if orders:  # one that is UNKNOWN is among them until the venue tells: nothing is sent beside it
        return Work(execution, cancels=_to_repeg(orders, leg, at, sight, config))
    if sight.now_ns < leg.next_ns:
        return Work(execution)
    return _slice(execution, leg, at, sight, config)


def _over(execution: Execution, sight: Sight, config: ExecutionConfig) -> str:
    """Why the execution is over, "" while it is not."""
    if not sight.sending:
        return "no orders may be sent"
    if all(leg.left == 0 for leg in execution.legs):
        return "every leg is filled"
    if execution.rejects >= config.rejects_max:
        return f"{execution.rejects} orders were refused"
    if sight.now_ns - execution.started_ns > ns(config.execution_s_max):
        return f"not done within {config.execution_s_max:g} s"
    if execution.rows and _back_inside(execution.rows, sight):
        return "every row is back inside its band"
    return ""


def _back_inside(called: Sequence[str], sight: Sight) -> bool:
    """Whether the rows called are inside their landing, and no row is outside its trigger."""
    bands, rows = sight.snapshot.bands, sight.snapshot.exposure.rows
    asked = np.array([row in called for row in rows], dtype=np.bool_)
    lower = np.where(asked, bands.landing_lower, bands.trigger_lower)
    upper = np.where(asked, bands.landing_upper, bands.trigger_upper)
    return bool(((sight.value >= lower) & (sight.value <= upper)).all())


def _outdated(execution: Execution, sight: Sight, config: ExecutionConfig) -> str:
    """Why the rest must be planned anew, "" while it need not."""
    universe, spot = sight.market.universe, sight.snapshot.valuation.spot_of_listing()
    end = sight.value.copy()
    for leg in execution.legs:
        at = universe.positions.get(leg.listing.key)
        if leg.left == 0:
            continue
        if at is None:
            return f"{leg.listing.symbol} is not listed any more"
        moved = abs(float(spot[at]) / leg.index - 1.0) * 1e4
        if moved > config.index_limit_bps:
            name = leg.listing.contract.underlying
            return f"the {name} index has moved {moved:.1f} bps, allowed {config.index_limit_bps:g}"
        if leg.dry >= config.dry_slices_max:
            return f"{leg.dry} slices of {leg.listing.symbol} filled nothing"
        if leg.listing.venue not in sight.venues:
            return f"{leg.listing.venue} takes no orders"
        end += sight.snapshot.exposure.traded[:, at] * leg.side.sign * float(leg.quantity - leg.filled)
    if not execution.rows:
        return ""
    bands, rows = sight.snapshot.bands, sight.snapshot.exposure.rows
    lower, upper = required_intervals(_as_it_stands(sight), frozenset(execution.rows))
    asked = np.array([row in execution.rows for row in rows], dtype=np.bool_)
    with np.errstate(invalid="ignore"):
        below = np.nan_to_num((bands.landing_lower - bands.trigger_lower), nan=0.0, posinf=0.0)
        above = np.nan_to_num((bands.trigger_upper - bands.landing_upper), nan=0.0, posinf=0.0)
    share = np.where(asked, config.landing_tolerance, 0.0)
    slack = np.array([execution.slack.get(row, 0.0) for row in rows]) * (1 + 1e-6)
    room = 1e-7 * (np.abs(sight.value) + np.abs(end - sight.value)) + slack
    out = (end < lower - share * below - room) | (end > upper + share * above + room)
    first = next((row for row, bad in zip(rows, out.tolist(), strict=True) if bad), "")
    return f"the legs left do not bring {first} where it should be" if first else ""


def _as_it_stands(sight: Sight) -> Snapshot:
    """The snapshot with the rows where they stand now."""
    exposure = replace(sight.snapshot.exposure, value=sight.value)
    return replace(sight.snapshot, exposure=exposure)


def _resting(orders: Sequence[OrderRecord]) -> tuple[str, ...]:
    """Orders that may rest and are not asked to be cancelled yet; cancels are repeated by the watch."""
    return tuple(o.order.client_id for o in orders if _may_rest(o) and o.cancel_ns is None)


def _may_rest(order: OrderRecord) -> bool:
    return order.live and order.order.time_in_force is TimeInForce.GTC


def _to_repeg(
    orders: Sequence[OrderRecord], leg: WorkLeg, at: int, sight: Sight, config: ExecutionConfig
) -> tuple[str, ...]:
    """Resting orders whose patience is over, or from whose price the touch has moved away."""
    bids, asks = sight.market.book(at)
    touch = _touch(bids if leg.side is Side.BUY else asks)
    found = []
    for record in orders:
        order = record.order
        if record.state is not OrderState.OPEN or not _may_rest(record) or record.cancel_ns is not None:
            continue
        patient = leg.resting_ns is not None and sight.now_ns - leg.resting_ns < config.passive_ns()
        ticks = config.repeg_ticks * order.listing.tick_steps.at(order.price)
        away = touch is not None and (touch - order.price) * order.side.sign >= ticks
        waited = sight.now_ns - record.since_ns >= ns(config.repeg_interval_s)
        if not patient or (away and waited):
            found.append(order.client_id)
    return tuple(found)


def _slice(execution: Execution, leg: WorkLeg, at: int, sight: Sight, config: ExecutionConfig) -> Work:
    """The next order of a leg: at the touch while there is patience, else through it."""
    limit = price_limit(leg, config)
    began = sight.now_ns if leg.resting_ns is None else leg.resting_ns
    bids, asks = sight.market.book(at)
    near, far = (bids, asks) if leg.side is Side.BUY else (asks, bids)
    if sight.now_ns - began < config.passive_ns():
        touch = _touch(near)
        if touch is not None and (limit - touch) * leg.side.sign >= 0:
            changed = replace(leg, resting_ns=began, next_ns=sight.now_ns + ns(config.repeg_interval_s))
            quantity = _share(leg, near, touch, config.participation)
            return _wished(execution, changed, quantity, touch, TimeInForce.GTC)
    stamp = int(sight.market.venue_ns[at])
    taken = leg.taken if stamp == leg.book_ns else ZERO
    changed = replace(leg, resting_ns=None, next_ns=sight.now_ns + ns(config.slice_interval_s))
    quantity = _share(leg, far, limit, config.participation, taken)
    price = _price_of(leg, far, quantity + taken)
    if quantity == 0 or price is None:
        dry = leg.dry if taken else leg.dry + 1
        return Work(_on_leg(execution, leg.number, lambda _: replace(changed, dry=dry)))
    changed = replace(changed, book_ns=stamp, taken=taken + quantity)
    return _wished(execution, changed, quantity, price, TimeInForce.IOC)


def _wished(
    execution: Execution, leg: WorkLeg, quantity: Decimal, price: Decimal, time_in_force: TimeInForce
) -> Work:
    """One order of a leg."""
    wish = Wish(
        leg=leg.number,
        part=leg.parts,
        listing=leg.listing,
        side=leg.side,
        quantity=quantity,
        price=price,
        time_in_force=time_in_force,
        post_only=time_in_force is TimeInForce.GTC,
        parent=leg.quantity - leg.filled,
    )
    sent = replace(leg, parts=leg.parts + 1)
    return Work(_on_leg(execution, leg.number, lambda _: sent), (wish,))


def price_limit(leg: WorkLeg, config: ExecutionConfig) -> Decimal:
    """The worst price a leg may pay: the ticket's own limit and so many bps more; of the price, for options
    of the index, since a share of a small premium is less than its tick."""
    bps = Decimal(repr(config.price_limit_bps)) / 10_000
    if leg.listing.contract.kind is Kind.OPTION:
        coin = Decimal(1) if leg.listing.contract.inverse else Decimal(repr(leg.index))
        room = bps * coin
    else:
        room = bps * leg.limit
    worst = leg.limit + leg.side.sign * room
    # rounded towards us, and never to nothing
    return max(leg.listing.quantize_price(max(worst, ZERO), leg.side), leg.listing.tick_steps.ticks[0])


def _touch(side: Depth) -> Decimal | None:
    """The best price of a side, None where there is none."""
    if side.price.size == 0 or not (np.isfinite(side.price[0]) and side.price[0] > 0):
        return None
    return Decimal(repr(float(side.price[0])))


def _levels(leg: WorkLeg, side: Depth, limit: Decimal) -> list[tuple[Decimal, Decimal]]:
    """(price, size) of the levels up to a price, best first; what is no number ends the list."""
    found = []
    for price, size in zip(side.price.tolist(), side.size.tolist(), strict=True):
        if not (np.isfinite(price) and np.isfinite(size) and price > 0 and size > 0):
            break
        exact = Decimal(repr(price))
        if (exact - limit) * leg.side.sign > 0:
            break
        found.append((exact, Decimal(repr(size))))
    return found


def _share(leg: WorkLeg, side: Depth, limit: Decimal, participation: float, taken: Decimal = ZERO) -> Decimal:
    """The size of a slice: a share of what is displayed up to the limit, at least the venue's minimum where
    that much is displayed, at most what is left; less what was taken of this display already."""
    displayed = sum((size for _, size in _levels(leg, side, limit)), ZERO)
    smallest = max(leg.listing.minimum, leg.listing.lot)
    if displayed < smallest:
        return ZERO
    part = max(leg.listing.quantize_quantity(displayed * Decimal(repr(participation))), smallest)
    return leg.listing.quantize_quantity(min(leg.left, max(part - taken, ZERO)))


def _price_of(leg: WorkLeg, side: Depth, quantity: Decimal) -> Decimal | None:
    """The price of the level that completes a quantity, on a tick."""
    total = ZERO
    for price, size in _levels(leg, side, Decimal("Infinity") if leg.side is Side.BUY else ZERO):
        total += size
        if total >= quantity > 0:
            up = leg.side is Side.BUY
            return leg.listing.price_ceiling(price) if up else leg.listing.price_floor(price)
    return None


def sound_listings(market: Market, age_s_max: float, bad: Collection[str]) -> BoolArray:
    """Listings that may be traded on at this moment, (n,): fresh, two-sided, uncrossed, of a good index."""
    universe = market.universe
    sound: BoolArray = np.asarray(market.flags(age_s_max) == Flag.OK)
    for name in bad:
        if name in universe.underlyings:
            sound = sound & ~universe.where_underlying(name)
    return sound
