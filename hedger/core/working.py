"""A ticket worked off: one leg after the other, in slices over time and depth, as a state machine over fills.

A slice rests at the touch first where the desk has the patience (`passive_seconds`, shortened by `urgency`),
post-only, moved when the touch moves away; then it takes: a limit order through the touch, immediate or
cancel, for at most a share of what is displayed within the price limits. There is no order without a price.

After every fill and every mark it is asked again whether the rest still does what it is for:

- every row that was called is back inside its landing and nothing else is out: the rest is left undone;
- a slice got less than was displayed, the legs that are left no longer bring the rows in, the index has moved
  too far, or slices find nothing: what is out is cancelled, and when all of it is settled the rest is planned
  anew, under the same execution;
- an order is UNKNOWN: nothing more is sent until the venue tells what became of it.

An execution that fails with some legs done and others not is taken back (`hedger.core.unwinding`), as far as
the legs done leave the book further out than it would stand without them. It is over when it has a reason to
be and none of its orders can fill any more.

Where a venue takes combos, two options of a ticket that are worked one after the other go as one
(`hedger.core.combos`); a combo that is not let out, is refused or finds nothing leaves them to go singly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial

import numpy as np

from hedger.core.combos import after_sending, combined, half_of, may_combine
from hedger.core.execution import EVERY_LEG_FILLED, Execution, on_leg, planned_again
from hedger.core.order_life import ZERO, OrderRecord
from hedger.core.sight import Sight
from hedger.core.slicing import (
    Wish,
    WorkLeg,
    index_limit,
    price_limit,
    price_of,
    reach_limit,
    slice_size,
    stricter,
    touch_of,
)
from hedger.core.unwinding import rebased, stranded, taken_back, unwound
from hedger.policy.triggering import required_intervals
from hedger.problem.snapshot import Snapshot
from hedger.sections.execution import ExecutionConfig, ns
from hedger.settings import Settings
from pricing.contracts import Side
from venues.orders import OrderState, TimeInForce

NO_ORDERS = "no orders may be sent"


@dataclass(frozen=True, slots=True, eq=False)
class Work:
    """What comes next: orders wished for, orders to cancel, or that it is over, or wants another plan.

    combo: legs wished to go as one; `combined` is the execution once they have been sent. waits: why nothing
    is sent, where something is left to be.
    """

    execution: Execution
    wishes: tuple[Wish, ...] = ()
    combo: tuple[Wish, ...] = ()
    combined: Execution | None = None
    waits: str = ""
    cancels: tuple[str, ...] = ()
    over: bool = False
    replan: bool = False


def work(execution: Execution, sight: Sight, orders: Sequence[OrderRecord], settings: Settings) -> Work:
    """What the execution does now. orders: its own that are not settled yet."""
    config = settings.execution
    execution = _judged(execution, sight, config)
    if (execution.ending or execution.replanning) and not execution.unwinding:
        if orders:
            return Work(execution, cancels=_resting(orders))
        if not execution.ending:
            return Work(execution, replan=True)
        if not (execution.failed and sight.sending and stranded(execution, sight)):
            return Work(execution, over=True)
        execution = unwound(execution, sight)
    if execution.unwinding:
        execution = rebased(execution, sight, config)
        if taken_back(execution, sight) or _given_up(execution, sight, config):
            return Work(execution, cancels=_resting(orders), over=not orders)
    owed = [leg for leg in execution.legs if leg.left > 0]
    if execution.unwinding:  # what cannot be traded any more stays, the others go on
        owed = [leg for leg in owed if leg.listing.key not in sight.untradable]
        if not owed:
            return Work(execution, cancels=_resting(orders), over=not orders)
    if not owed:
        return Work(execution)
    leg = owed[0]
    at = sight.market.universe.positions.get(leg.listing.key)
    usable = at is not None and bool(sight.sound[at]) and leg.listing.venue in sight.venues
    if at is None or not usable:
        return Work(execution, cancels=_resting(orders), waits=_unusable(leg, at, sight))
    if orders:  # one that is UNKNOWN is among them until the venue tells: nothing is sent beside it
        return Work(execution, cancels=_to_repeg(orders, leg, at, sight, config))
    if sight.now_ns < max(leg.next_ns, execution.again_ns):
        return Work(
            execution, waits=execution.waiting or f"the next slice of {leg.listing.symbol} is not due"
        )
    found = _combo(execution, leg, sight, config)
    if found is not None:
        return found
    return _slice(execution, leg, at, sight, config)


def _unusable(leg: WorkLeg, at: int | None, sight: Sight) -> str:
    """Why a leg is not traded on now."""
    name = f"{leg.listing.symbol} on {leg.listing.venue}"
    if leg.listing.venue not in sight.venues:
        return f"{leg.listing.venue} takes no orders"
    if at is None:
        return f"{name} is not listed any more"
    return f"{name} has no fresh, sound quote on both sides, or its index is bad"


def _judged(execution: Execution, sight: Sight, config: ExecutionConfig) -> Execution:
    """With a reason to end, or to be planned anew, where there is one by now."""
    if execution.ending:
        return execution
    if not sight.sending:
        return execution.ended(NO_ORDERS)
    if all(leg.left == 0 for leg in execution.legs):
        if cut := next((leg for leg in execution.legs if leg.cut_off), None):
            why = f"what is left of {cut.listing.symbol} is less than its venue takes by now"
            return planned_again(execution, why, config)
        moved = _off_zero(execution, sight)
        if not moved:
            return execution.ended(EVERY_LEG_FILLED, failed=False)
        return planned_again(execution, moved, config)
    why = _given_up(execution, sight, config)
    if why:
        return execution.ended(why)
    if execution.rows and _back_inside(execution.rows, sight):
        return execution.ended("every row is back inside its band", failed=False)
    if execution.replanning:
        return execution
    why = _outdated(execution, sight, config)
    return planned_again(execution, why, config) if why else execution


def _off_zero(execution: Execution, sight: Sight) -> str:
    """Which delta a flatten has left out of its band though every leg is filled, "" where none: that alone is
    mended, since options would be paid for again and again."""
    if not execution.to_zero:
        return ""
    bands, rows = sight.snapshot.bands, sight.snapshot.exposure.rows
    out = ~((sight.value >= bands.trigger_lower) & (sight.value <= bands.trigger_upper))
    named = [rows[i] for i in np.flatnonzero(out).tolist() if rows[i] in execution.rows]
    first = next((row for row in named if row.startswith("delta:")), "")
    return f"every leg is filled and {first} has moved on" if first else ""


def _given_up(execution: Execution, sight: Sight, config: ExecutionConfig) -> str:
    """Why there is no going on, "" while there is."""
    if execution.rejects >= config.rejects_max:
        return f"{execution.rejects} orders were refused"
    if sight.now_ns - execution.started_ns > ns(config.execution_s_max):
        return f"not done within {config.execution_s_max:g} s"
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
        if leg.short and not execution.to_zero and int(sight.market.venue_ns[at]) != leg.book_ns:
            return f"a slice of {leg.listing.symbol} got less than was displayed"
        end += sight.snapshot.exposure.traded[:, at] * leg.side.sign * float(leg.quantity - leg.filled)
    if not execution.rows or execution.to_zero:
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
    """Resting orders whose patience is over, from whose price the touch has moved away, or whose price the
    index has left behind."""
    bids, asks = sight.market.book(at)
    touch, limit = touch_of(bids if leg.side is Side.BUY else asks), _limit(leg, at, sight, config)
    found = []
    for record in orders:
        order = record.order
        if record.state is not OrderState.OPEN or not _may_rest(record) or record.cancel_ns is not None:
            continue
        patient = leg.resting_ns is not None and sight.now_ns - leg.resting_ns < config.passive_ns()
        ticks = config.repeg_ticks * order.listing.tick_steps.at(order.price)
        away = touch is not None and (touch - order.price) * order.side.sign >= ticks
        waited = sight.now_ns - record.since_ns >= ns(config.repeg_interval_s)
        beyond = limit is None or (order.price - limit) * order.side.sign > 0
        if not patient or beyond or (away and waited):
            found.append(order.client_id)
    return tuple(found)


def _limit(leg: WorkLeg, at: int, sight: Sight, config: ExecutionConfig) -> Decimal | None:
    """The worst price of a leg now, from arrival and from the index; None where it is not known."""
    valuation = sight.snapshot.valuation
    index, fair = float(valuation.spot_of_listing()[at]), float(valuation.price[at])
    carried = index_limit(leg, index, fair, config)
    return None if carried is None else stricter(leg.side, price_limit(leg, config), carried)


def _combo(execution: Execution, leg: WorkLeg, sight: Sight, config: ExecutionConfig) -> Work | None:
    """A leg and the one after it as one order, where they can go as one."""
    left = [other for other in execution.legs if other.left > 0 and other.number > leg.number]
    if execution.singly or execution.unwinding or not left or not may_combine(leg, left[0], sight):
        return None
    at = sight.market.universe.positions
    pair = [half_of(x, _limit(x, at[x.listing.key], sight, config), sight, config) for x in (leg, left[0])]
    wishes = combined(*pair)
    if not wishes:
        return None
    sent = execution
    for half, wish in zip(pair, wishes, strict=True):
        changed = after_sending(half, wish, sight, config)
        sent = on_leg(sent, wish.leg, partial(_replaced, changed))
    return Work(execution, combo=wishes, combined=sent)


def _replaced(changed: WorkLeg, _: WorkLeg) -> WorkLeg:
    return changed


def _slice(execution: Execution, leg: WorkLeg, at: int, sight: Sight, config: ExecutionConfig) -> Work:
    """The next order of a leg: at the touch while there is patience, else through it."""
    limit = _limit(leg, at, sight, config)
    if limit is None:
        return Work(
            execution, waits=f"no price limit is known for {leg.listing.symbol}: index or model price"
        )
    began = sight.now_ns if leg.resting_ns is None else leg.resting_ns
    bids, asks = sight.market.book(at)
    near, far = (bids, asks) if leg.side is Side.BUY else (asks, bids)
    if sight.now_ns - began < config.passive_ns() and not leg.back:
        touch = touch_of(near)
        if touch is not None and (limit - touch) * leg.side.sign >= 0:
            changed = replace(leg, resting_ns=began, next_ns=sight.now_ns + ns(config.repeg_interval_s))
            quantity = _let_out(slice_size(leg, near, touch, config.participation), leg, at, sight)
            resting = leg.listing.quantize_price(touch, leg.side)  # its book may be of older ticks
            if quantity > 0 and resting > 0:
                return _wished(execution, changed, quantity, resting, TimeInForce.GTC)
    stamp = int(sight.market.venue_ns[at])
    if leg.short and stamp == leg.book_ns:
        # this display is known to be wrong: the next one is waited for
        return Work(
            execution, waits=f"the next book of {leg.listing.symbol} is waited for: the last was wrong"
        )
    taken = leg.taken if stamp == leg.book_ns else ZERO
    changed = replace(leg, resting_ns=None, next_ns=sight.now_ns + ns(config.slice_interval_s))
    reach = reach_limit(leg, far, limit, config)
    quantity = _let_out(slice_size(leg, far, reach, config.participation, taken), leg, at, sight)
    price = price_of(leg, far, quantity + taken)
    if quantity == 0 or price is None:
        dry = leg.dry if taken else leg.dry + 1
        waits = (
            f"what {leg.listing.symbol} displays was asked for already: its next book is waited for"
            if taken
            else f"{leg.listing.symbol} displays nothing within the price limit {reach}"
        )
        return Work(on_leg(execution, leg.number, lambda _: replace(changed, dry=dry)), waits=waits)
    changed = replace(changed, book_ns=stamp, taken=taken + quantity)
    return _wished(execution, changed, quantity, price, TimeInForce.IOC)


def _let_out(quantity: Decimal, leg: WorkLeg, at: int, sight: Sight) -> Decimal:
    """As much of a quantity as the limits let out in one order; the rest is for the next slices. Where not
    even the venue's minimum is let out, that is for the limits to say."""
    most = max(sight.largest(at), leg.listing.minimum, leg.listing.lot)
    return quantity if quantity <= most else leg.listing.quantize_quantity(most)


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
    sent = replace(leg, parts=leg.parts + 1, short=False)
    return Work(on_leg(execution, leg.number, lambda _: sent), (wish,))
