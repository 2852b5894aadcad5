"""Two options of a ticket as one order at a venue that takes combos.

Done as one they cannot strand each other: there is no moment at which the book holds one without the other,
and where the venue's terms say so the cheaper side pays no fee. What it costs is patience: a combo takes at
once, through the touch of both books, also where its legs would have rested at the touch first.

Only legs that are worked one after the other are joined, so the book passes through no place that the order
of the legs did not weigh, and a combo that comes to nothing leaves exactly that order. Their ratio is the one
of small whole numbers that covers most of both; what it leaves over goes by itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import ROUND_FLOOR, Decimal
from math import gcd

from hedger.core.order_life import ZERO
from hedger.core.sight import Sight
from hedger.core.slicing import Wish, WorkLeg, price_of, reach_limit, slice_size
from hedger.sections.execution import ExecutionConfig, ns
from pricing.contracts import Kind, Side
from pricing.market import Depth
from venues.orders import TimeInForce

#: Ratios of legs are of numbers up to this.
RATIO_MAX = 4
_RATIOS = [(a, b) for a in range(1, RATIO_MAX + 1) for b in range(1, RATIO_MAX + 1) if gcd(a, b) == 1]


@dataclass(frozen=True, slots=True, eq=False)
class Half:
    """A leg, the side of its book that it takes from, how much one order could take of it now, order units,
    and how much was asked for of the same display before. stamp: the venue's time of that display."""

    leg: WorkLeg
    far: Depth
    most: Decimal
    taken: Decimal
    stamp: int


def may_combine(one: WorkLeg, other: WorkLeg, sight: Sight) -> bool:
    """Whether two legs can go as one: options of one coin, currency and lot at a venue that takes combos,
    both with a sound book, and due."""
    mine, its = one.listing, other.listing
    alike = (mine.venue, mine.contract.underlying, mine.contract.settlement, mine.lot) == (
        its.venue,
        its.contract.underlying,
        its.contract.settlement,
        its.lot,
    )
    kinds = {mine.contract.kind, its.contract.kind}
    if kinds != {Kind.OPTION} or not alike or mine.key == its.key or mine.venue not in sight.combos:
        return False
    at = sight.market.universe.positions.get(its.key)
    return at is not None and bool(sight.sound[at]) and sight.now_ns >= other.next_ns


def half_of(leg: WorkLeg, limit: Decimal | None, sight: Sight, config: ExecutionConfig) -> Half:
    """What a leg could take at once. limit: its worst price; None: not known, so nothing."""
    at = sight.market.universe.positions[leg.listing.key]
    bids, asks = sight.market.book(at)
    far = asks if leg.side is Side.BUY else bids
    stamp = int(sight.market.venue_ns[at])
    same = stamp == leg.book_ns
    taken = leg.taken if same else ZERO
    known_wrong = leg.short and same
    most = ZERO
    if limit is not None and not known_wrong:
        most = slice_size(leg, far, reach_limit(leg, far, limit, config), config.participation, taken)
    return Half(leg, far, min(most, sight.largest(at)), taken, stamp)


def combined(one: Half, other: Half) -> tuple[Wish, ...]:
    """Both legs' orders for as much as goes in a ratio; none where nothing does."""
    ratio = max(_RATIOS, key=lambda r: (_units(one, other, r) * sum(r), -sum(r), r))
    units = _units(one, other, ratio)
    wishes = []
    for half, part in zip((one, other), ratio, strict=True):
        leg, quantity = half.leg, units * part
        price = price_of(leg, half.far, quantity + half.taken)
        if quantity == 0 or price is None:
            return ()
        wishes.append(
            Wish(
                leg=leg.number,
                part=leg.parts,
                listing=leg.listing,
                side=leg.side,
                quantity=quantity,
                price=price,
                time_in_force=TimeInForce.IOC,
                post_only=False,
                parent=leg.quantity - leg.filled,
                ratio=part,
            )
        )
    return tuple(wishes)


def _units(one: Half, other: Half, ratio: tuple[int, int]) -> Decimal:
    """How many units of a ratio both legs could take: whole lots, and of each at least its minimum."""
    lot = one.leg.listing.lot
    most = min(one.most / ratio[0], other.most / ratio[1])
    units = (most / lot).to_integral_value(ROUND_FLOOR) * lot
    enough = all(
        units * part >= half.leg.listing.minimum for half, part in zip((one, other), ratio, strict=True)
    )
    return units if enough else ZERO


def after_sending(half: Half, wish: Wish, sight: Sight, config: ExecutionConfig) -> WorkLeg:
    """The leg once its order is out: what it asked for of the display counts as taken."""
    return replace(
        half.leg,
        parts=half.leg.parts + 1,
        short=False,
        resting_ns=None,
        next_ns=sight.now_ns + ns(config.slice_interval_s),
        book_ns=half.stamp,
        taken=half.taken + wish.quantity,
    )
