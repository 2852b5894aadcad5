"""What the limits are told: of one order that wants out, and of everything that stands around it.

The limits know no order type: whoever asks describes the order. What is not known is NaN or None and is never
left out; a missing number refuses the order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from pricing.contracts import Listing, Side
from pricing.valuation import Numeraire

ListingKey = tuple[str, str]
Range = tuple[float, float]


class Stand(StrEnum):
    """How far the engine may act."""

    OBSERVE = "observe"
    ARMED = "armed"
    REDUCING = "reducing"
    HALTED = "halted"


class Style(StrEnum):
    """How an order is meant: to rest at the touch, or to take within its limit price."""

    MAKE = "make"
    TAKE = "take"


@dataclass(frozen=True, slots=True)
class Facts:
    """What an instrument's effect can be reckoned from afresh: index and forward USD, years, vol 1.0 = 100 %.

    Spot and perpetuals: years and vol NaN; forward: of a perpetual its mark, of spot the index.
    """

    index: float
    forward: float
    years: float = float("nan")
    vol: float = float("nan")


@dataclass(frozen=True, slots=True)
class TicketLeg:
    """A leg of the ticket that an order works for: what is left of it, signed order units.

    planned: effect of that on every row as the plan has it; read where rows cannot be reckoned a second time
    (scenarios, theta), and compared where they can. risk: of that on `Purpose.risk`, as long as it.
    """

    listing: Listing
    quantity: Decimal
    facts: Facts
    planned: Mapping[str, float] = field(default_factory=dict)
    risk: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Target:
    """A row that a ticket is to bring back: where it stands, and the interval it must end in, row units.

    width: of its band, row units > 0: what distances of several rows are counted in, to be added up.
    """

    row: str
    value: float
    lower: float
    upper: float
    width: float = 1.0


@dataclass(frozen=True, slots=True)
class Purpose:
    """What a hedge is for: rows outside their bands, and every leg that is still to be traded for them.

    gamma_days_min: where `gamma` ends and `gamma_expiring` begins, as the exposures have it. risk: what a
    hedge that weighs risk against cost is to lower: risk = 1/2 sum of squares of these, sqrt(USD), where they
    stand now; None for one that is judged by its rows alone.
    """

    targets: Sequence[Target]
    legs: Sequence[TicketLeg]
    gamma_days_min: float = 2.0
    risk: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """One order that wants out.

    intent: its client id. quantity > 0 in order units, price in the venue's quotation. usd_per_unit: notional
    of one order unit, USD; coins_per_unit: coins of underlying in it. effect: what it adds to the rows
    `delta:UND`, `gamma:UND`, `gamma_expiring:UND`, `vega:UND` of its coin if all of it fills, premium
    included, row units; all four are given. facts: for reckoning that again. fee_usd, slippage_usd: expected
    costs. parent: the leg it is part of; parent_quantity: that leg's, signed; parent_done: signed sum of the
    leg's earlier orders, each at what was or may still be filled. purpose: None only for what is no hedge by
    bands (flatten), which must then reduce.
    """

    intent: str
    listing: Listing
    account: str
    side: Side
    quantity: Decimal
    price: Decimal
    style: Style
    immediate: bool
    post_only: bool
    reduce_only: bool
    usd_per_unit: float
    coins_per_unit: float
    effect: Mapping[str, float]
    facts: Facts
    fee_usd: float
    slippage_usd: float
    parent: str
    parent_quantity: Decimal
    parent_done: Decimal
    purpose: Purpose | None

    @property
    def signed(self) -> Decimal:
        """Quantity with the sign of the side."""
        return self.quantity if self.side is Side.BUY else -self.quantity

    @property
    def words(self) -> str:
        """The order as a person reads it."""
        return f"{self.side} {self.quantity} {self.listing.venue} {self.listing.symbol} at {self.price}"


@dataclass(frozen=True, slots=True)
class Held:
    """A booked position of one account: signed order units, USD of notional per order unit."""

    listing: Listing
    quantity: Decimal
    usd_per_unit: float
    account: str = ""


@dataclass(frozen=True, slots=True)
class Pending:
    """An order of ours from which something may still come, in whatever state; reserved: signed, at worst.

    effect: on the rows, of all that is reserved. since_ns: when it was decided, on the monotonic clock; None
    is unknown. unknown: nobody can say what became of it.
    """

    intent: str
    listing: Listing
    account: str
    reserved: Decimal
    price: Decimal
    usd_per_unit: float
    effect: Mapping[str, float]
    since_ns: int | None
    unknown: bool = False
    reduce_only: bool = False


@dataclass(frozen=True, slots=True)
class Recent:
    """An order that was let out lately; at_ns: on the monotonic clock."""

    intent: str
    parent: str
    key: ListingKey
    side: Side
    quantity: Decimal
    price: Decimal
    immediate: bool
    at_ns: int


@dataclass(frozen=True, slots=True)
class BookView:
    """What the instrument's book shows, in the venue's quotation, sizes in order units; NaN is unknown.

    fair: the price that the coin's index implies (spot, perpetual: the index; dated futures and options: the
    model's). last_fill: of ours; None = we never traded it. continuous: no message is known to be lost.
    """

    bid: float
    ask: float
    bid_size: float
    ask_size: float
    fair: float
    last_fill: float | None
    continuous: bool | None


@dataclass(frozen=True, slots=True)
class Ages:
    """Seconds since each was told; clock_offset: our clock less the venue's. NaN is unknown."""

    book: float
    index: float
    vol: float
    positions: float
    clock_offset: float


@dataclass(frozen=True, slots=True)
class MarginView:
    """The account's margin in one currency, before and if everything pending and this order fill at worst.

    balance_after: less what premiums would be paid. proven: by parameters known to hold today; else an
    estimate, or unknown (NaN). reason: why not.
    """

    balance_before: float
    balance_after: float
    initial_before: float
    initial_after: float
    maintenance_before: float
    maintenance_after: float
    proven: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class DayView:
    """The UTC day so far: P&L (a loss is negative), fees and slippage paid, USD. unknown: what makes one of
    them unknown beside what has no mark, in words."""

    pnl_usd: float
    fee_usd: float
    slippage_usd: float
    unknown: str = ""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Everything around an order at one moment.

    now_ns: UTC, for the calendar; monotonic_ns: the clock that ages of orders are taken by, which no step of
    the wall clock moves. stand, latched, may_trade: mode, kill latch, role; None is unknown. rows: booked
    exposures, lowest and highest with what is missing (equal where nothing is), row units; incomplete: what
    is missing of them, in words. usd_per_row: by row, USD of the desk's units per row unit:
    1 / `risk.bands.row_factor`. pending: every order that may still do something, on every venue and account.
    credits: the venue's bucket now; messages: orders in its window; fruitless: hedges to no effect in their
    window (`risk.throttle`); NaN is unknown. self_trade_prevention: as the venue says it is; True where it
    has none: the comparison with `pending` is all that there can be. maintenance: announced windows of the
    venue, (first, last) in UTC nanoseconds; None: the venue cannot be heard.
    """

    now_ns: int
    monotonic_ns: int
    stand: Stand
    latched: bool | None
    may_trade: bool
    rows: Mapping[str, Range]
    usd_per_row: Mapping[str, float]
    held: Sequence[Held]
    pending: Sequence[Pending]
    book: BookView
    ages: Ages
    margin: MarginView | None
    credits: float
    messages: float
    fruitless: float
    day: DayView
    self_trade_prevention: bool | None
    numeraire: Numeraire = Numeraire.USD
    recent: Sequence[Recent] = ()
    maintenance: Sequence[tuple[int, int]] | None = ()
    incomplete: str = ""
