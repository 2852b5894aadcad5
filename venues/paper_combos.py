"""Combos on the paper venue: several options as one order, filled on the books of the legs or not at all.

A unit of a combo is `ratio` order units of every leg. Units are filled one after another, each leg at the
best of its own book that earlier units have left, while what the unit comes to in all is within the price of
the order. So a fill is of all legs, in the ratio; the rest of the order is gone. Resting combos, and combo
books where others quote the combo itself, are not modelled: a fill here is never better than the legs' own
books give.

Fees are those of the legs, but the side of the combo, all it buys or all it sells, that costs less is free
where the venue's terms say so (`ComboRule.CHEAPER_SIDE_FREE`; Deribit: support article 25944782257949).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from math import gcd, lcm

from pricing.contracts import ComboRule, Side
from venues.orders import ComboOrder, Order, OrderReport, OrderState, OrderUpdate
from venues.paper_book import Match
from venues.paper_orders import PaperOrder

#: (price, quantity) that a taker could have, best first.
Offered = Sequence[tuple[Decimal, Decimal]]
#: A price that no book is beyond: what binds a leg is the price of the combo.
WORST: Mapping[Side, Decimal] = {Side.BUY: Decimal("Infinity"), Side.SELL: Decimal(0)}


def told_by_one_id(combo: ComboOrder) -> tuple[Order, ...]:
    """The legs as the venue has them: it knows one id, the combo's."""
    return tuple(replace(leg, client_id=combo.client_id) for leg in combo.legs)


@dataclass(slots=True)
class PaperCombo:
    """A combo as the venue has it. parts: its legs. hidden: how many more questions about it find nothing."""

    order: ComboOrder
    parts: tuple[PaperOrder, ...]
    hidden: int = 0

    @property
    def state(self) -> OrderState:
        """Its legs are filled in the ratio, so what one of them is all are."""
        return self.parts[0].state

    @property
    def filled(self) -> Decimal:
        """Units of the combo."""
        return self.parts[0].filled / self.parts[0].order.ratio

    def update(self, now_ns: int, code: str | None = None) -> OrderUpdate:
        """What the venue says about it now."""
        first = self.parts[0]
        told = first.code if code is None else code
        return OrderUpdate(
            self.order.client_id, self.state, first.venue_order_id, self.filled, told, venue_ns=now_ns
        )

    def report(self) -> OrderReport:
        """The combo as the venue lists it when asked: bought, at what a unit comes to."""
        order = self.order
        return OrderReport(
            order.client_id,
            self.parts[0].venue_order_id,
            order.name,
            Side.BUY,
            order.quantity,
            self.filled,
            order.price,
            self.state,
        )


def fillable(offered: Sequence[Offered], combo: ComboOrder) -> Decimal:
    """How many units of a combo the legs' books give within its price; offered: of each leg, best first."""
    step = unit_step(combo)
    queues = [_Queue(list(reversed(book))) for book in offered]
    done = Decimal(0)
    while done + step <= combo.quantity:
        cost = Decimal(0)
        for leg, queue in zip(combo.legs, queues, strict=True):
            paid = queue.take(step * leg.ratio)
            if paid is None:
                return done
            cost += leg.side.sign * paid
        if cost > combo.price * step:
            return done
        done += step
    return done


def unit_step(combo: ComboOrder) -> Decimal:
    """The smallest number of units that is whole lots of every leg.

    That is the least common multiple of lot / ratio over the legs; of fractions in lowest terms it is the
    least common multiple of their numerators over the greatest common divisor of their denominators.
    """
    steps = [Fraction(leg.listing.lot) / leg.ratio for leg in combo.legs]
    top, bottom = lcm(*(s.numerator for s in steps)), gcd(*(s.denominator for s in steps))
    return Decimal(top) / Decimal(bottom)


@dataclass(slots=True)
class _Queue:
    """What is left of a book, the best last."""

    left: list[tuple[Decimal, Decimal]]

    def take(self, quantity: Decimal) -> Decimal | None:
        """What so much comes to, price x quantity, taken off; None where there is not so much."""
        paid = Decimal(0)
        while quantity > 0:
            if not self.left:
                return None
            price, size = self.left.pop()
            part = min(size, quantity)
            paid += price * part
            quantity -= part
            if size > part:
                self.left.append((price, size - part))
        return paid


def combo_fees(
    legs: Sequence[Order],
    taken: Sequence[Sequence[Match]],
    fee: Sequence[Callable[[Decimal, Decimal], Decimal]],
) -> list[list[Decimal]]:
    """What is charged for every match of every leg; fee: of each leg's listing, by quantity and price."""
    plain = [
        [of(match.quantity, match.price) for match in matches] for matches, of in zip(taken, fee, strict=True)
    ]
    if any(leg.listing.fees.combo is not ComboRule.CHEAPER_SIDE_FREE for leg in legs):
        return plain
    of_side = {
        side: sum(
            (sum(x, Decimal(0)) for x, leg in zip(plain, legs, strict=True) if leg.side is side), Decimal(0)
        )
        for side in Side
    }
    free = Side.SELL if of_side[Side.SELL] <= of_side[Side.BUY] else Side.BUY
    one_sided = len({leg.side for leg in legs}) == 1
    return [
        [Decimal(0) for _ in x] if leg.side is free and not one_sided else x
        for x, leg in zip(plain, legs, strict=True)
    ]
