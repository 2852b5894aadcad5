"""The way back: legs taken back when a ticket fails with some of them done and others not.

What the ticket wrote down is done when it must be: what helps at once first, then the last leg, each by an
order with a price like any other, through the same limits. It stops as soon as the book stands no further
outside its triggers than it would without the ticket's legs, so a leg that helped by itself is kept. Planning
the rest anew comes first; this is for when that is over: the limits or the venue refused, time ran out, no
plan does it any more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import numpy as np

from hedger.core.execution import EVERY_LEG_FILLED, Execution
from hedger.core.legs import excess
from hedger.core.sight import Sight
from hedger.core.slicing import WorkLeg, touch_of
from hedger.sections.execution import ExecutionConfig
from pricing.contracts import Side
from pricing.universe import FloatArray
from risk.costs import reference_price

#: Less than so much of a band is no difference.
NOTHING = 1e-6
#: In how many rounds legs may be taken back, fewest first.
ROUNDS = (1, 2, 4, 8)


def stranded(execution: Execution, sight: Sight) -> bool:
    """Whether its fills leave the book further outside its triggers than it would stand without them.

    Where that cannot be told nothing is taken back.
    """
    done = effect_of(execution.every_leg, sight)
    return _out(sight, sight.value) > _out(sight, sight.value - done) + NOTHING


def effect_of(legs: Sequence[WorkLeg], sight: Sight) -> FloatArray:
    """What the fills of some legs have added to the rows, (m,), at the present marks."""
    total = np.zeros(sight.value.size)
    for leg in legs:
        at = sight.market.universe.positions.get(leg.listing.key)
        if leg.filled and at is not None:
            total += sight.snapshot.exposure.traded[:, at] * leg.side.sign * float(leg.filled)
    return total


def _out(sight: Sight, value: FloatArray) -> float:
    bands = sight.snapshot.bands
    return excess(value, bands.trigger_lower, bands.trigger_upper, sight.width)


def unwound(execution: Execution, sight: Sight) -> Execution:
    """With legs that take back what was filled, on a clock of their own: first what brings the book nearer
    at once, among equals the last leg first; in as many rounds as keep the way back close to the bands.

    Their worst prices are of the present touch: what was paid is no guide to what it takes to get out.
    """
    done = execution.every_leg
    order = sorted(net_filled(done), key=lambda x: round(_first_step(x[0], sight), 9))
    ways = [_in_rounds(order, rounds) for rounds in ROUNDS]
    way = min(
        ways, key=lambda pieces: round(_furthest(order, pieces, sight), 3)
    )  # of equals the fewest orders
    legs = list[WorkLeg]()
    for leg, quantity in way:
        side = Side.SELL if leg.side is Side.BUY else Side.BUY
        paid = float(leg.paid / leg.filled)
        back = WorkLeg(
            number=len(done) + len(legs),
            listing=leg.listing,
            side=side,
            quantity=quantity,
            limit=leg.listing.quantize_price(leg.paid / leg.filled, side),
            expected_price=paid,
            reference=paid,
            index=leg.index,
            fair=leg.fair,
            back=True,
        )
        legs.append(_at_touch(back, sight))
    return replace(
        execution, earlier=done, legs=tuple(legs), unwinding=True, started_ns=sight.now_ns, rejects=0
    )


def net_filled(legs: Sequence[WorkLeg]) -> list[tuple[WorkLeg, Decimal]]:
    """What to take back of each listing, last touched first: what was bought and sold again is gone already.

    With the last leg on the side that is left, for its prices.
    """
    filled: dict[tuple[str, str], Decimal] = {}
    for leg in legs:
        filled[leg.listing.key] = filled.get(leg.listing.key, Decimal(0)) + leg.side.sign * leg.filled
    found = []
    for leg in reversed(legs):
        left = filled[leg.listing.key] * leg.side.sign
        quantity = leg.listing.quantize_quantity(left) if left > 0 else Decimal(0)
        if leg.filled > 0 and quantity > 0:
            found.append((leg, quantity))
            filled[leg.listing.key] = Decimal(0)
    return found


def _in_rounds(legs: Sequence[tuple[WorkLeg, Decimal]], rounds: int) -> list[tuple[WorkLeg, Decimal]]:
    """Every quantity in so many parts, whole lots each, a part of each leg in turn."""
    pieces = []
    for k in range(1, rounds + 1):
        for leg, whole in legs:
            before, after = (leg.listing.quantize_quantity(whole * n / rounds) for n in (k - 1, k))
            if after - before >= max(leg.listing.minimum, leg.listing.lot):
                pieces.append((leg, after - before))
    return pieces


def _furthest(
    legs: Sequence[tuple[WorkLeg, Decimal]], pieces: Sequence[tuple[WorkLeg, Decimal]], sight: Sight
) -> float:
    """How far out the book stands at the worst place of a way back, at the present marks; infinite where a
    part is too small to be an order."""
    value, worst = sight.value, 0.0
    for leg, quantity in pieces:
        value = value - effect_of((leg,), sight) * float(quantity / leg.filled)
        worst = max(worst, _out(sight, value))
    whole = sum((quantity for _, quantity in legs), Decimal(0))
    return worst if sum((quantity for _, quantity in pieces), Decimal(0)) == whole else math.inf


def _first_step(leg: WorkLeg, sight: Sight) -> float:
    """How far out the book stands once a hundredth of a leg is taken back: what helps at once goes first."""
    return _out(sight, sight.value - 0.01 * effect_of((leg,), sight))


def _at_touch(leg: WorkLeg, sight: Sight) -> WorkLeg:
    """A leg that may pay what the book shows now."""
    at = sight.market.universe.positions.get(leg.listing.key)
    if at is None:
        return leg
    bids, asks = sight.market.book(at)
    touch = touch_of(asks if leg.side is Side.BUY else bids)
    return replace(
        leg,
        limit=leg.limit if touch is None else touch,
        reference=float(reference_price(sight.market)[at]),
        index=float(sight.snapshot.valuation.spot_of_listing()[at]),
        fair=float(sight.snapshot.valuation.price[at]),
        dry=0,
    )


def rebased(execution: Execution, sight: Sight, config: ExecutionConfig) -> Execution:
    """Legs of the way back that have found nothing for a while follow the market."""
    legs = tuple(
        _at_touch(leg, sight) if leg.left > 0 and leg.dry >= config.dry_slices_max else leg
        for leg in execution.legs
    )
    return replace(execution, legs=legs)


def taken_back(execution: Execution, sight: Sight) -> str:
    """Why nothing more is taken back, "" while something is."""
    if not sight.sending:
        return "no orders may be sent"
    if all(leg.left == 0 for leg in execution.legs):
        return EVERY_LEG_FILLED
    if not stranded(execution, sight):
        return "the book stands no further out than without its legs"
    return ""
