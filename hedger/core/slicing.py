"""One leg in work, and its next order: how much of it, and at what price.

A price is bounded three times, and the strictest bound holds:

- from arrival: the ticket's own worst price, and `price_limit_bps` beyond it;
- from the index: that price carried along with what has moved since, and `index_price_bps` beyond it. Spot,
  futures and perpetuals move with the index in proportion; options with their model price. A book that stands
  still while the index leaves is not taken from at prices that only the ticket's moment justified;
- from the touch: `touch_limit_bps` beyond the best price of the moment. What lies deeper waits for the book
  to fill up again.

Basis points are of the price; for options of the index, since a share of a small premium is less than a tick.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from hedger.core.order_life import ZERO
from hedger.sections.execution import ExecutionConfig
from pricing.contracts import Kind, Listing, Side
from pricing.market import Depth
from venues.orders import TimeInForce


@dataclass(frozen=True, slots=True)
class WorkLeg:
    """A leg in work. quantity: its parent's, order units > 0; the sum of its orders never exceeds it.

    number: its own within the execution; plan: how many plans came before its own. limit: the worst price of
    the ticket. reference, index, fair: the price costs are reckoned from, the index, and the model's price,
    when it was planned. fee_usd, slippage_usd: what its ticket expects of it. back: it takes another leg
    back. paid, referred: sums of price x quantity of its fills, and of the reference then; fees: by currency.
    parts: orders made so far. resting_ns: since when the present slice rests. next_ns: no new order before.
    dry: slices in a row that filled nothing. short: its last slice got less than was displayed. taken: asked
    for of the book that the venue stamped book_ns: the same display is not taken twice. least: the smallest
    order when it was planned, where its venue trades in other steps by now. Times but that stamp are of the
    monotonic clock.
    """

    number: int
    listing: Listing
    side: Side
    quantity: Decimal
    limit: Decimal
    expected_price: float
    reference: float
    index: float
    fair: float = float("nan")
    fee_usd: float = 0.0
    slippage_usd: float = 0.0
    plan: int = 0
    back: bool = False
    filled: Decimal = ZERO
    paid: Decimal = ZERO
    referred: float = 0.0
    fees: tuple[tuple[str, Decimal], ...] = ()
    parts: int = 0
    resting_ns: int | None = None
    next_ns: int = 0
    dry: int = 0
    short: bool = False
    book_ns: int = 0
    taken: Decimal = ZERO
    least: Decimal = ZERO

    @property
    def left(self) -> Decimal:
        """What is not filled yet, order units; 0 when it is less than the venue would take."""
        left = self.listing.quantize_quantity(self.quantity - self.filled)
        return max(left, ZERO)

    @property
    def cut_off(self) -> bool:
        """Whether nothing is left of it only because its venue's smallest order has become larger."""
        return ZERO < self.least <= self.quantity - self.filled and self.left == 0


@dataclass(frozen=True, slots=True)
class Wish:
    """An order that an execution would like to send; parent: what its leg may still send, order units. ratio:
    its order units in one unit of the combo that it is to go in."""

    leg: int
    part: int
    listing: Listing
    side: Side
    quantity: Decimal
    price: Decimal
    time_in_force: TimeInForce
    post_only: bool
    parent: Decimal
    ratio: int = 1


def price_limit(leg: WorkLeg, config: ExecutionConfig) -> Decimal:
    """The worst price a leg may pay, from arrival."""
    return _beyond(leg, leg.limit, config.price_limit_bps)


def index_limit(leg: WorkLeg, index: float, fair: float, config: ExecutionConfig) -> Decimal | None:
    """The worst price a leg may pay, from the index (USD) and its model price as they stand now; None where
    they are not known: then nothing is bought or sold."""
    if leg.listing.contract.kind is Kind.OPTION:
        carried = float(leg.limit) + (fair - leg.fair)
    else:
        carried = float(leg.limit) * (index / leg.index)
    if not np.isfinite(carried):
        return None
    return _beyond(leg, Decimal(repr(max(carried, 0.0))), config.index_price_bps)


def reach_limit(leg: WorkLeg, far: Depth, limit: Decimal, config: ExecutionConfig) -> Decimal:
    """The worst price a leg may pay, from the best price of the other side as well."""
    touch = touch_of(far)
    return limit if touch is None else stricter(leg.side, limit, _beyond(leg, touch, config.touch_limit_bps))


def _beyond(leg: WorkLeg, price: Decimal, bps: float) -> Decimal:
    """A price and so many basis points to the worse, rounded towards us, and never to nothing."""
    share = Decimal(repr(bps)) / 10_000
    if leg.listing.contract.kind is Kind.OPTION:
        coin = Decimal(1) if leg.listing.contract.inverse else Decimal(repr(leg.index))
        room = share * coin
    else:
        room = share * price
    worst = price + leg.side.sign * room
    return max(leg.listing.quantize_price(max(worst, ZERO), leg.side), leg.listing.tick_steps.ticks[0])


def stricter(side: Side, one: Decimal, other: Decimal) -> Decimal:
    """The bound that lets less through."""
    return min(one, other) if side is Side.BUY else max(one, other)


def touch_of(side: Depth) -> Decimal | None:
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


def slice_size(
    leg: WorkLeg, side: Depth, limit: Decimal, participation: float, taken: Decimal = ZERO
) -> Decimal:
    """The size of a slice: a share of what is displayed up to the limit, at least the venue's minimum where
    that much is displayed, at most what is left; less what was taken of this display already."""
    displayed = sum((size for _, size in _levels(leg, side, limit)), ZERO)
    smallest = max(leg.listing.minimum, leg.listing.lot)
    if displayed < smallest:
        return ZERO
    part = max(leg.listing.quantize_quantity(displayed * Decimal(repr(participation))), smallest)
    return leg.listing.quantize_quantity(min(leg.left, max(part - taken, ZERO)))


def price_of(leg: WorkLeg, side: Depth, quantity: Decimal) -> Decimal | None:
    """The price of the level that completes a quantity, on a tick."""
    total = ZERO
    for price, size in _levels(leg, side, Decimal("Infinity") if leg.side is Side.BUY else ZERO):
        total += size
        if total >= quantity > 0:
            up = leg.side is Side.BUY
            return leg.listing.price_ceiling(price) if up else leg.listing.price_floor(price)
    return None
