"""The hard limits of a desk: one definition of every key, its default, unit, range, and which way is tighter.

What a file may say, what it is filled up with, what a change of it means (`risk.limit_changes`) and what is
checked before an order leaves (`risk.limit_checks`) all come from the fields below. A key is never used a
second time for another meaning: what is retired stays in `RETIRED` and is refused for ever, since an old file
or an old process may still carry it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from pricing.contracts import Kind

#: In a list of names: every one. In a table by name: those without a table of their own.
EVERY = "*"

#: Dotted keys that once meant something, and what to do instead.
RETIRED: Mapping[str, str] = MappingProxyType({})


class Tighter(StrEnum):
    """Which change of a key allows less."""

    LOWER = "lower"
    HIGHER = "higher"
    FEWER = "fewer"  # names
    MORE = "more"  # names
    TRUE = "true"
    EARLIER = "earlier"  # in the order of the words allowed
    FIXED = "fixed"  # no order: any change counts as loosening


@dataclass(frozen=True, slots=True)
class Term:
    """What a key is: which way is tighter, one sentence, range of a number, words of a choice."""

    tighter: Tighter
    text: str
    least: float = 0.0
    most: float = math.inf
    words: tuple[str, ...] = ()


def _term(default: Any, tighter: Tighter, text: str, least: float = 0.0, most: float = math.inf) -> Any:
    return field(default=default, metadata={"term": Term(tighter, text, least, most)})


def _most(default: Any, text: str, most: float = math.inf) -> Any:
    """A number that must not be exceeded."""
    return _term(default, Tighter.LOWER, text, 0.0, most)


def _least(default: Any, text: str, most: float = math.inf) -> Any:
    """A number that must be reached."""
    return _term(default, Tighter.HIGHER, text, 0.0, most)


KIND_NAMES = tuple(kind.name.lower() for kind in Kind)


@dataclass(frozen=True, slots=True)
class PermissionLimits:
    """What may be traded at all (C2)."""

    venues: frozenset[str] = _term(frozenset({EVERY}), Tighter.FEWER, "venues that orders may go to")
    underlyings: frozenset[str] = _term(frozenset({EVERY}), Tighter.FEWER, "coins that may be traded")
    kinds: frozenset[str] = field(
        default=frozenset(KIND_NAMES),
        metadata={"term": Term(Tighter.FEWER, "kinds of contract that may be traded", words=KIND_NAMES)},
    )
    denied_symbols: frozenset[str] = _term(
        frozenset(), Tighter.MORE, "the venue's own names of what is never traded"
    )


@dataclass(frozen=True, slots=True)
class PriceLimits:
    """How far a price may be from what is known (C3); bps of the price, of options bps of the underlying."""

    mid_bps_max: float = _most(150.0, "bps; distance from the middle of the book", 1e4)
    index_bps_max: float = _most(300.0, "bps; distance from the price that the index implies", 1e4)
    last_fill_bps_max: float = _most(500.0, "bps; distance from our last fill in the instrument", 1e4)
    through_touch_bps_max: float = _most(50.0, "bps; how far a taker may reach through the best price", 1e4)


@dataclass(frozen=True, slots=True)
class OrderLimits:
    """One order, and how many at once (C4, C12, C18)."""

    notional_usd_max: float = _most(5_000_000.0, "USD; notional of one order")
    coin_max: float = _most(1_000.0, "coins of underlying in one order")
    open_venue_max: int = _most(50, "orders that may be alive on one venue, UNKNOWN ones included")
    open_max: int = _most(100, "orders that may be alive in all")
    age_s_max: float = _most(600.0, "seconds; while an order is alive for longer, its venue gets no new one")
    duplicate_window_s: float = _least(0.5, "seconds within which the same order counts as sent by mistake")


@dataclass(frozen=True, slots=True)
class PositionLimits:
    """Worst case of positions: booked, and whatever open and UNKNOWN orders may still add (C6)."""

    instrument_usd_max: float = _most(100_000_000.0, "USD; notional of one instrument, long or short")
    underlying_usd_max: float = _most(1_000_000_000.0, "USD; gross notional on one coin")
    venue_usd_max: float = _most(1_000_000_000.0, "USD; gross notional on one venue")
    firm_usd_max: float = _most(2_000_000_000.0, "USD; gross notional of everything")


@dataclass(frozen=True, slots=True)
class GreekLimits:
    """Worst case of one coin's exposures, either side (C7)."""

    delta_usd_max: float = _most(25_000_000.0, "USD")
    gamma_usd_per_1pct_max: float = _most(10_000_000.0, "USD; change of delta for a move of 1 %")
    gamma_expiring_usd_per_1pct_max: float = _most(100_000_000.0, "USD; of options in their last days")
    vega_usd_per_point_max: float = _most(1_000_000.0, "USD per vol point")


@dataclass(frozen=True, slots=True)
class FirmLimits:
    """Over all coins (C7)."""

    delta_usd_max: float = _most(50_000_000.0, "USD; worst deltas of all coins, added without their signs")


@dataclass(frozen=True, slots=True)
class HedgeLimits:
    """A hedge must do what it is for, reckoned a second time by another path (C8)."""

    progress_share_min: float = _least(
        0.01, "of what a row is outside its band, the least a ticket must bring back", 1.0
    )
    disagreement_share_max: float = _most(
        0.15, "largest difference between an order's effect as planned and as reckoned again", 1.0
    )


@dataclass(frozen=True, slots=True)
class MarginLimits:
    """What orders may use of the margin balance, as if all of them filled at their worst (C9)."""

    initial_share_max: float = _most(0.8, "initial margin as a share of the margin balance", 1.0)
    maintenance_share_max: float = _most(0.6, "maintenance margin as a share of the margin balance", 1.0)
    unproven_venues: frozenset[str] = _term(
        frozenset(),
        Tighter.FEWER,
        "venues that may be traded although their margin is unknown or only estimated",
    )
    added_share: float = _least(
        0.35,
        "the most that a position adds to the margin a venue reports, as a share of its notional; at least "
        "1 / leverage where the account's leverage is set below 3",
        1.0,
    )


@dataclass(frozen=True, slots=True)
class AgeLimits:
    """How old what a decision rests on may be (C10)."""

    book_s_max: float = _most(10.0, "seconds; the instrument's order book")
    index_s_max: float = _most(60.0, "seconds; the coin's index")
    vol_s_max: float = _most(600.0, "seconds; an option's vol")
    positions_s_max: float = _most(120.0, "seconds; positions as the venue last told them")
    clock_offset_s_max: float = _most(1.0, "seconds; our clock against the venue's")


@dataclass(frozen=True, slots=True)
class BookLimits:
    """What a book must show before it is traded against (C11)."""

    depth_usd_min: float = _least(0.0, "USD; shown at the best price on the other side")


@dataclass(frozen=True, slots=True)
class RateLimits:
    """Messages to one venue (C13). Cancels always pass, and credits are kept back for them."""

    orders_per_s: float = _most(5.0, "orders a second for long")
    burst: int = _most(20, "orders at once")
    cancel_reserve: int = _least(5, "credits that no order may use")
    messages_max: int = _most(300, "orders within the window, rejected ones included")
    window_s: float = _least(60.0, "seconds")


@dataclass(frozen=True, slots=True)
class RepeatLimits:
    """Hedging again and again to no effect (C14)."""

    fruitless_max: int = _most(5, "hedges within the window that did not lower the risk", 100)
    window_s: float = _least(300.0, "seconds")


@dataclass(frozen=True, slots=True)
class BudgetLimits:
    """What a UTC day may cost (C15)."""

    loss_usd_max: float = _most(1_000_000.0, "USD; loss of the day")
    fee_usd_max: float = _most(100_000.0, "USD; fees of the day")
    slippage_usd_max: float = _most(250_000.0, "USD; slippage of the day against arrival")
    after: str = field(
        default="reduce_only",
        metadata={
            "term": Term(
                Tighter.EARLIER,
                'what may still be sent once one is used up: "stop" nothing, "reduce_only" what closes '
                "positions",
                words=("stop", "reduce_only"),
            )
        },
    )


@dataclass(frozen=True, slots=True)
class SelfTradeLimits:
    """Trading with ourselves (C16); our own orders are compared in any case."""

    prevention_required: bool = _term(
        True, Tighter.TRUE, "the venue's own prevention, where it has one, must be known to be switched on"
    )


@dataclass(frozen=True, slots=True)
class CalendarLimits:
    """When nothing is sent (C20)."""

    expiry_block_s: float = _least(1800.0, "seconds before an instrument's expiry")
    settlement_block_s: float = _least(0.0, "seconds before and after the daily settlement", 43_200.0)
    settlement_s: float = _term(28_800.0, Tighter.FIXED, "seconds after 00:00 UTC of it", 0.0, 86_400.0)


Greeks = Mapping[str, GreekLimits]
Rates = Mapping[str, RateLimits]


def _greeks() -> Greeks:
    return MappingProxyType({EVERY: GreekLimits()})


def _rates() -> Rates:
    return MappingProxyType({EVERY: RateLimits()})


@dataclass(frozen=True, slots=True)
class Limits:
    """All hard limits. greeks: by coin, rate: by venue; "*" holds for those without a table of their own."""

    permission: PermissionLimits = PermissionLimits()
    price: PriceLimits = PriceLimits()
    order: OrderLimits = OrderLimits()
    position: PositionLimits = PositionLimits()
    greeks: Greeks = field(default_factory=_greeks)
    firm: FirmLimits = FirmLimits()
    hedge: HedgeLimits = HedgeLimits()
    margin: MarginLimits = MarginLimits()
    age: AgeLimits = AgeLimits()
    book: BookLimits = BookLimits()
    rate: Rates = field(default_factory=_rates)
    repeat: RepeatLimits = RepeatLimits()
    budget: BudgetLimits = BudgetLimits()
    self_trade: SelfTradeLimits = SelfTradeLimits()
    calendar: CalendarLimits = CalendarLimits()

    def __post_init__(self) -> None:
        if EVERY not in self.greeks or EVERY not in self.rate:
            raise ValueError('greeks and rate need a table "*", which holds for all others')

    def greeks_of(self, underlying: str) -> GreekLimits:
        """A coin's."""
        return self.greeks.get(underlying, self.greeks[EVERY])

    def rate_of(self, venue: str) -> RateLimits:
        """A venue's."""
        return self.rate.get(venue, self.rate[EVERY])


#: Sections that hold one table per name.
NAMED_SECTIONS: Mapping[str, type] = MappingProxyType({"greeks": GreekLimits, "rate": RateLimits})


def allows(names: frozenset[str], name: str) -> bool:
    """Whether a list of names holds a name.

    >>> allows(frozenset({"*"}), "deribit"), allows(frozenset({"okx"}), "deribit")
    (True, False)
    """
    return EVERY in names or name in names
