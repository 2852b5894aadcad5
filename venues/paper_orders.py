"""What the paper venue knows of an order, and why it would say no: the venue's own checks at arrival."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from pricing.contracts import Kind, Listing, Side
from pricing.daycount import NS_PER_SECOND
from venues.orders import Order, OrderReport, OrderState, OrderUpdate
from venues.paper_terms import PriceBand


class Code(StrEnum):
    """Reason codes of the paper venue; they stand in `OrderUpdate.code`."""

    NOT_LISTED = "not_listed"
    LISTING_EXPIRED = "listing_expired"
    WRONG_ACCOUNT = "wrong_account"
    MAINTENANCE = "maintenance"
    NOT_CONNECTED = "not_connected"
    RATE_LIMITED = "rate_limited"
    DUPLICATE = "duplicate_client_id"
    TICK = "price_not_on_tick"
    LOT = "quantity_not_in_lots"
    MINIMUM = "below_minimum"
    BAND = "outside_price_band"
    NO_REFERENCE = "no_reference_price"
    NO_INDEX = "no_index_for_the_fee"
    POST_ONLY = "post_only_would_take"
    SELF_TRADE = "would_trade_with_own_order"
    REDUCE_ONLY = "reduce_only_would_not_reduce"
    FILLED_ALREADY = "quantity_filled_already"
    MARGIN = "insufficient_margin"
    # why an order ended, or why nothing can be said of it
    IMMEDIATE = "immediate_or_cancel"
    BY_REQUEST = "by_request"
    MASS_CANCEL = "mass_cancel"
    DEAD_MAN = "dead_man_fired"
    DISCONNECTED = "cancelled_on_disconnect"
    DELISTED = "delisted"
    TIMED_OUT = "timed_out"
    SERVER_ERROR = "server_error"
    SESSION_KILLED = "session_killed"
    NOT_FOUND = "not_found"
    ALREADY_DONE = "already_done"


@dataclass(slots=True)
class PaperOrder:
    """An order as the venue has it. hidden: how many more questions about it find nothing."""

    number: int
    order: Order
    listing: Listing
    state: OrderState = OrderState.OPEN
    filled: Decimal = Decimal(0)
    code: str = ""
    hidden: int = 0

    @property
    def venue_order_id(self) -> str:
        """The venue's own id."""
        return f"{self.listing.venue}-{self.number}"

    @property
    def left(self) -> Decimal:
        """Not filled yet."""
        return self.order.quantity - self.filled

    def update(self, now_ns: int, code: str | None = None) -> OrderUpdate:
        """What the venue says about it now."""
        return OrderUpdate(
            self.order.client_id,
            self.state,
            self.venue_order_id,
            self.filled,
            self.code if code is None else code,
            venue_ns=now_ns,
            quantity=self.order.quantity,
            price=self.order.price,
        )

    def report(self) -> OrderReport:
        """The order as the venue lists it when asked."""
        order = self.order
        return OrderReport(
            order.client_id,
            self.venue_order_id,
            order.listing.symbol,
            order.side,
            order.quantity,
            self.filled,
            order.price,
            self.state,
        )


def form_fault(order: Order, listing: Listing) -> Code | None:
    """Tick, lot and minimum, exactly, by the listing as it is now."""
    if order.price % listing.tick_steps.at(order.price) != 0:
        return Code.TICK
    if order.quantity % listing.lot != 0:
        return Code.LOT
    return Code.MINIMUM if order.quantity < listing.minimum else None


def band_fault(order: Order, listing: Listing, reference: float, band: PriceBand | None) -> Code | None:
    """Whether the price goes too far through the reference; a resting price away from it is free."""
    if band is None:
        return None
    if not 0 < reference < math.inf:
        return Code.NO_REFERENCE
    middle = Decimal(repr(float(reference)))
    through = (order.price - middle) * order.side.sign
    return Code.BAND if through > band.width(middle, listing.tick_steps.at(order.price)) else None


def reducible(side: Side, listing: Listing, position: Decimal, already: Decimal) -> Decimal:
    """How much a reduce-only order of this side may trade; already: what other such orders will close.

    Coins on a spot market are cash: there is no position to reduce.
    """
    if listing.contract.kind is Kind.SPOT:
        return Decimal(0)
    against = -position * side.sign
    return max(against - already, Decimal(0))


@dataclass(slots=True)
class TokenBucket:
    """New orders the venue takes: `burst` at once, `rate` a second for long; counted in nanoseconds."""

    rate: float
    burst: int
    _credit_ns: int = -1
    _at_ns: int = 0

    def take(self, now_ns: int) -> bool:
        """Whether one more is taken now."""
        each = round(NS_PER_SECOND / self.rate)
        full = self.burst * each
        credit = full if self._credit_ns < 0 else min(self._credit_ns + now_ns - self._at_ns, full)
        taken = credit >= each
        self._credit_ns, self._at_ns = credit - each * taken, now_ns
        return taken
