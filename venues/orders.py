"""Words that cross the wall: orders on their way out, what a venue says about them on its way in.

The life of an order:

    INTENT -> SENT -> OPEN -> FILLED | CANCELLED | EXPIRED
                 \\-> REJECTED      the venue said no, in words we know
                 \\-> UNKNOWN       anything else: counted at its worst until the venue tells the truth
    DENIED                          our own limits said no; it never left

INTENT is durable before the first byte leaves. UNKNOWN is a state, never a failure: such an order is queried,
not sent again. A client order id is a function of what decided it, so a resend after a crash is the same
order.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from math import gcd

from pricing.contracts import Kind, Listing, Side
from risk.book import Fill

#: Ours begin with this and the engine's tag; an order without it on our account is somebody else's.
CLIENT_ID_PREFIX = "h"
_CLIENT_ID = re.compile(rf"{CLIENT_ID_PREFIX}([0-9a-z]{{4,8}})-([0-9]+)-([0-9]+)-([0-9]+)")


class OrderState(StrEnum):
    """Where an order stands, as far as we know."""

    INTENT = "intent"  # durable here, not sent
    SENT = "sent"  # bytes may have left; no answer yet
    OPEN = "open"  # the venue has it, perhaps filled in part
    UNKNOWN = "unknown"  # sent, and no evidence of what became of it
    FILLED = "filled"
    CANCELLED = "cancelled"  # whatever was not filled is gone
    EXPIRED = "expired"  # as cancelled, by the venue's own rules: time in force, expiry, settlement
    REJECTED = "rejected"  # the venue never had it
    DENIED = "denied"  # our limits never let it out

    @property
    def terminal(self) -> bool:
        """Whether nothing more can come of it, but late news of fills."""
        return self in _TERMINAL


_TERMINAL = frozenset(
    {OrderState.FILLED, OrderState.CANCELLED, OrderState.EXPIRED, OrderState.REJECTED, OrderState.DENIED}
)


class TimeInForce(StrEnum):
    """How long an order stands."""

    GTC = "gtc"
    IOC = "ioc"


@dataclass(frozen=True, slots=True)
class Order:
    """A limit order; there are no others. quantity > 0 in order units, price in the venue's quotation.

    A marketable order is one with a price through the touch, IOC; nothing is ever sent without a price.
    seq, leg, part: the decision it comes from, the leg of its ticket, and the how-manieth order of that leg.
    combo: the id under which it goes to its venue, as one leg of a `ComboOrder`; "": it goes by itself.
    ratio: its order units in one unit of that combo.
    """

    client_id: str
    listing: Listing
    side: Side
    quantity: Decimal
    price: Decimal
    time_in_force: TimeInForce
    account: str = ""
    post_only: bool = False
    reduce_only: bool = False
    seq: int = 0
    leg: int = 0
    part: int = 0
    combo: str = ""
    ratio: int = 1

    def __post_init__(self) -> None:
        if not (self.quantity.is_finite() and self.quantity > 0):
            raise ValueError(f"order {self.client_id}: quantity {self.quantity} must be positive")
        if not (self.price.is_finite() and self.price > 0):
            raise ValueError(f"order {self.client_id}: price {self.price} must be positive")
        if self.post_only and self.time_in_force is TimeInForce.IOC:
            raise ValueError(f"order {self.client_id}: post-only and immediate exclude each other")
        if self.ratio < 1:
            raise ValueError(f"order {self.client_id}: ratio {self.ratio} must be 1 or more")

    @property
    def signed(self) -> Decimal:
        """Quantity with the sign of the side."""
        return self.quantity if self.side is Side.BUY else -self.quantity

    @property
    def venue(self) -> str:
        """Where it goes."""
        return self.listing.venue

    @property
    def sent_as(self) -> str:
        """The id by which its venue knows it: its own, or that of the combo in which it goes."""
        return self.combo or self.client_id


@dataclass(frozen=True, slots=True)
class ComboOrder:
    """Two or more options of one venue and account traded as one: all of them, in the ratio, or none.

    legs: immediate orders, each with an id of our own, of which the venue is told only the one they share
    (`Order.combo`, the first leg's). A fill is of every leg at once, ratio order units of each a unit. What
    binds is the price of a unit, the sum of ratio x price over the legs, sells negative; what each leg costs
    within it is the venue's to say. The venue's words about the order count in units of the combo.

    Raises:
        ValueError: the legs are none that a venue could trade as one.
    """

    legs: tuple[Order, ...]

    def __post_init__(self) -> None:
        fault = _combo_fault(self.legs)
        if fault:
            raise ValueError(
                f"combo of {', '.join(leg.client_id for leg in self.legs) or 'nothing'}: {fault}"
            )

    @property
    def client_id(self) -> str:
        """The one id that the venue is told."""
        return self.legs[0].combo

    @property
    def venue(self) -> str:
        """Where it goes."""
        return self.legs[0].venue

    @property
    def account(self) -> str:
        """Whose it is."""
        return self.legs[0].account

    @property
    def quantity(self) -> Decimal:
        """Units of the combo."""
        return self.legs[0].quantity / self.legs[0].ratio

    @property
    def price(self) -> Decimal:
        """The worst price of a unit in the venue's quotation: > 0 is paid, < 0 received."""
        return sum((leg.side.sign * leg.ratio * leg.price for leg in self.legs), Decimal(0))

    @property
    def name(self) -> str:
        """The legs in words.

        A venue has its own name for it; this one says what is bought and sold.
        """
        return " ".join(
            f"{'+' if x.side is Side.BUY else '-'}{x.ratio} {x.listing.symbol}" for x in self.legs
        )


def _combo_fault(legs: tuple[Order, ...]) -> str:
    """Why orders cannot go as one; "" where they can."""
    if len(legs) < 2:
        return "two legs or more are needed"
    first = legs[0]
    contract = first.listing.contract
    if not first.combo or first.combo != first.client_id:
        return "it goes under the id of its first leg"
    for leg in legs:
        other = leg.listing.contract
        if leg.combo != first.combo or (leg.venue, leg.account) != (first.venue, first.account):
            return "legs are of one combo, one venue and one account"
        if other.kind is not Kind.OPTION:
            return f"{leg.listing.symbol} is no option"
        if (other.underlying, other.settlement) != (contract.underlying, contract.settlement):
            return "legs are of one underlying and paid in one currency"
        if leg.time_in_force is not TimeInForce.IOC or leg.reduce_only:
            return "legs are immediate, and not reduce-only"
        if leg.quantity * first.ratio != first.quantity * leg.ratio:
            return f"{leg.quantity} of {leg.listing.symbol} is not in the ratio"
        if leg.quantity / leg.ratio * leg.ratio != leg.quantity:
            return f"{leg.quantity} of {leg.listing.symbol} is no number of units"
    if len({leg.listing.key for leg in legs}) < len(legs) or len({leg.client_id for leg in legs}) < len(legs):
        return "each leg is another contract, under an id of its own"
    return "" if gcd(*(leg.ratio for leg in legs)) == 1 else "the ratio is not in lowest terms"


def client_order_id(engine: str, seq: int, leg: int, part: int) -> str:
    """The id of an order: the engine's tag (4 to 8 of 0-9 a-z), the decision, the leg, the part.

    At most 32 characters of what every venue takes.

    >>> client_order_id("k3x9", 1742, 0, 2)
    'hk3x9-1742-0-2'
    """
    text = f"{CLIENT_ID_PREFIX}{engine}-{seq}-{leg}-{part}"
    if not _CLIENT_ID.fullmatch(text) or len(text) > 32:
        raise ValueError(f"client order id {text!r}: allowed are 4 to 8 of 0-9 a-z as tag, 32 characters")
    return text


def parse_client_id(text: str) -> tuple[str, int, int, int] | None:
    """Engine tag, decision, leg and part of one of our ids; None for anybody else's.

    >>> parse_client_id("hk3x9-1742-0-2"), parse_client_id("web-123")
    (('k3x9', 1742, 0, 2), None)
    """
    match = _CLIENT_ID.fullmatch(text)
    if match is None:
        return None
    tag, seq, leg, part = match.groups()
    return tag, int(seq), int(leg), int(part)


@dataclass(frozen=True, slots=True)
class OrderUpdate:
    """What is now known about one order. filled: all of it so far, None where not told; order units, of a
    combo's units.

    The engine books fills from `TradeReport` alone: `filled` is what they are checked against.
    code: the venue's or our reason code, "" where there is none. text: for people. quantity, price: of the
    order as the venue has it now, what has filled included; None where not told.
    """

    client_id: str
    state: OrderState
    venue_order_id: str = ""
    filled: Decimal | None = None
    code: str = ""
    text: str = ""
    venue_ns: int = 0
    quantity: Decimal | None = None
    price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class TradeReport:
    """One execution on our account as the venue reports it; booked once, by (venue, trade_id).

    client_id: of our order, "" where the venue names none: external activity.
    """

    client_id: str
    fill: Fill
    maker: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """(venue, trade id)."""
        return self.fill.listing.venue, self.fill.trade_id


@dataclass(frozen=True, slots=True)
class OrderReport:
    """An order as the venue lists it when asked; a combo in its units, at the price of one, < 0 received."""

    client_id: str
    venue_order_id: str
    symbol: str
    side: Side
    quantity: Decimal
    filled: Decimal
    price: Decimal
    state: OrderState

    def as_update(self, code: str = "") -> OrderUpdate:
        """The same as news of it."""
        price = None if self.price.is_nan() else self.price
        return OrderUpdate(
            self.client_id,
            self.state,
            self.venue_order_id,
            self.filled,
            code,
            quantity=self.quantity,
            price=price,
        )


#: What margin is told under that all currencies of an account draw on together; its figures are in USD.
EVERY_CURRENCY = "*"


@dataclass(frozen=True, slots=True)
class AccountMargin:
    """What a venue says of an account's margin in a currency, in that currency: the balance that counts, and
    what positions and open orders need of it; NaN: not told whole, and no part of a pool that is told. Under
    `EVERY_CURRENCY`: in USD, of all of them. by_position: each position is margined by itself, so that one
    that is closed needs no more; False: as a whole, or the venue does not say."""

    balance: float
    initial: float
    maintenance: float
    by_position: bool = False


@dataclass(frozen=True, slots=True)
class AccountReport:
    """All that a venue says about one account at one time; a question that failed gives none of these.

    positions: signed order units by symbol, absent = the venue says flat. balances: by currency, margin
    balance as the venue counts it. trades: those since `since_ns`, the report's own time where none were
    asked for. deliveries: by symbol, at what the contracts held here that expired since then were settled,
    USD per coin. faults: how the account is set up otherwise than we trade, such as positions with a margin
    of their own, and the way out of each.
    clock_offset_ns: our clock less the venue's, the most that it can be by a question for the time alone;
    None: it was not measured.
    margins: by currency, those that the venue names, or under `EVERY_CURRENCY`; one without is unknown. cash:
    what is free of a spot wallet of its own, by currency; None: there is none, spot is paid from the rest.
    """

    venue: str
    account: str
    venue_ns: int
    orders: tuple[OrderReport, ...]
    positions: Mapping[str, Decimal]
    balances: Mapping[str, Decimal]
    trades: tuple[TradeReport, ...] = ()
    since_ns: int = 0
    deliveries: Mapping[str, Decimal] = field(default_factory=dict)
    faults: tuple[str, ...] = ()
    clock_offset_ns: int | None = None
    margins: Mapping[str, AccountMargin] = field(default_factory=dict)
    cash: Mapping[str, float] | None = None


class Link(StrEnum):
    """How a venue can be reached."""

    UP = "up"
    DOWN = "down"  # nothing can be asked or sent
    DEGRADED = "degraded"  # answers come late or in parts


#: An event: what is listed cannot be read any more.
LISTING_UNREAD = "listing_unread"


@dataclass(frozen=True, slots=True)
class VenueStatus:
    """A venue's connection, and what it did on its own. events: reason codes such as "dead_man_fired".

    gaps: symbols whose books have lost messages and wait for a snapshot; maintenance: its announced windows,
    (first, last) in UTC nanoseconds; gone: symbols that it lists no more and that have not expired. Each
    replaces what was told of it before; None tells nothing new. relisted: what it lists otherwise than it
    did.
    """

    venue: str
    link: Link
    events: tuple[str, ...] = ()
    text: str = ""
    venue_ns: int = 0
    gaps: tuple[str, ...] | None = None
    maintenance: tuple[tuple[int, int], ...] | None = None
    relisted: tuple[Listing, ...] | None = None
    gone: tuple[str, ...] | None = None
