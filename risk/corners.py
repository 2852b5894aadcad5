"""Worst corners: where positions and exposures can end up whatever becomes of the orders that are out.

Each order may fill wholly, partly or not at all, and each without the others. Positions and exposures are
linear in what fills, so the extremes are corners: all that adds, without what takes away; and the reverse.
Orders whose fate is UNKNOWN count like open ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from pricing.contracts import Listing
from risk.holdings import Ends, Holdings, Place, larger
from risk.limit_request import ListingKey, Range, Request, Surroundings


def corners(base: Range, moves: Iterable[float]) -> Range:
    """Lowest and highest end of a sum of which any part of each move may happen; NaN where one is NaN.

    >>> corners((10.0, 10.0), [5.0, -3.0, 2.0])
    (7.0, 17.0)
    """
    low, high = base
    for move in moves:
        # not min() and max(), which lose a NaN
        low += 0.0 if move > 0 else move
        high += 0.0 if move < 0 else move
    return low, high


def row_range(row: str, around: Surroundings, request: Request | None) -> Range:
    """Lowest and highest value of a row, with the order asked for where one is given."""
    base = around.rows.get(row, (math.nan, math.nan))
    moves = [_effect(order.effect, row, order.listing) for order in around.pending]
    if request is not None:
        moves.append(_effect(request.effect, row, request.listing))
    return corners(base, moves)


def order_effect(row: str, request: Request) -> float:
    """What the order adds to a row; 0 on other coins' rows, NaN where it is not told."""
    return _effect(request.effect, row, request.listing)


def _effect(effect: Mapping[str, float], row: str, listing: Listing) -> float:
    if row.split(":")[1] != listing.contract.underlying:
        return 0.0
    return float(effect.get(row, math.nan))


@dataclass(frozen=True, slots=True)
class Gross:
    """Worst notional, USD, before an order and with it: of its instrument, coin, venue, and of everything."""

    instrument: tuple[float, float]
    underlying: tuple[float, float]
    venue: tuple[float, float]
    firm: tuple[float, float]


def gross_usd(around: Surroundings, request: Request) -> Gross:
    """Sum over instruments and accounts of the larger end of each position at its notional.

    Accounts do not net: what one is long and another short is owed twice. NaN where the notional of anything
    that counts is not known, or negative.
    """
    mine, zero, held = request.listing, Decimal(0), Holdings.of(around.held)
    ends: dict[Place, Ends] = {}
    usd: dict[ListingKey, float] = {}
    listings = {mine.key: mine}
    for order in around.pending:
        key = order.listing.key
        low, high = _ends(ends, held, place := (*key, order.account))
        ends[place] = low + min(order.reserved, zero), high + max(order.reserved, zero)
        known = usd.get(key, held.usd_of(key))
        # of two figures for one instrument the larger; NaN stays
        usd[key] = order.usd_per_unit if known is None else larger(known, order.usd_per_unit)
        listings[key] = order.listing
    known = usd.get(mine.key, held.usd_of(mine.key))
    priced = usd | {mine.key: larger(0.0 if known is None else known, request.usd_per_unit)}
    low, high = _ends(ends, held, place := (*mine.key, request.account))
    after = ends | {place: (min(request.signed, zero) + low, max(request.signed, zero) + high)}
    sums = held.worst_usd(ends, usd, listings, mine), held.worst_usd(after, priced, listings, mine)
    return Gross(*zip(*sums, strict=True))


def _ends(ends: Mapping[Place, Ends], held: Holdings, place: Place) -> Ends:
    """Lowest and highest position in a place by what is pending so far; what is booked where nothing is."""
    if place in ends:
        return ends[place]
    quantity = held.quantity(place)
    return quantity, quantity
