"""Worst corners: where positions and exposures can end up whatever becomes of the orders that are out.

Each order may fill wholly, partly or not at all, and each without the others. Positions and exposures are
linear in what fills, so the extremes are corners: all that adds, without what takes away; and the reverse.
Orders whose fate is UNKNOWN count like open ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from pricing.contracts import Listing
from risk.limit_request import ListingKey, Range, Request, Surroundings

#: Venue, symbol, account.
_Place = tuple[str, str, str]


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


def quantity_range(
    key: ListingKey, around: Surroundings, extra: Decimal = Decimal(0)
) -> tuple[Decimal, Decimal]:
    """Lowest and highest position in an instrument over all accounts, order units; exact."""
    low = high = sum((held.quantity for held in around.held if held.listing.key == key), Decimal(0))
    for reserved in (*(o.reserved for o in around.pending if o.listing.key == key), extra):
        low += min(reserved, Decimal(0))
        high += max(reserved, Decimal(0))
    return low, high


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
    mine, zero = request.listing, Decimal(0)
    ends: dict[_Place, tuple[Decimal, Decimal]] = {}
    listings: dict[ListingKey, tuple[Listing, float]] = {}
    for listing, account, low, high, usd in _amounts(around):
        place = (*listing.key, account)
        old_low, old_high = ends.get(place, (zero, zero))
        ends[place] = old_low + low, old_high + high
        known = listings.get(listing.key, (listing, usd))[1]
        # of two figures for one instrument the larger; NaN stays
        listings[listing.key] = listing, usd if math.isnan(usd) or usd > known else known
    told, own_usd = request.usd_per_unit, listings.get(mine.key, (mine, 0.0))[1]
    if math.isnan(told) or told > own_usd:
        own_usd = told
    low, high = ends.get((*mine.key, request.account), (zero, zero))
    after = ends | {
        (*mine.key, request.account): (min(request.signed, zero) + low, max(request.signed, zero) + high)
    }
    priced = listings | {mine.key: (mine, own_usd)}
    return Gross(*zip(_sums(ends, listings, mine), _sums(after, priced, mine), strict=True))


def _sums(
    ends: Mapping[_Place, tuple[Decimal, Decimal]],
    listings: Mapping[ListingKey, tuple[Listing, float]],
    mine: Listing,
) -> tuple[float, float, float, float]:
    """Worst notional of an instrument, of its coin, of its venue, and of everything."""
    sums = [0.0, 0.0, 0.0, 0.0]
    for (venue, symbol, _), pair in ends.items():
        listing, usd = listings[venue, symbol]
        worst = _notional(pair, usd)
        sums[0] += worst if listing.key == mine.key else 0.0
        sums[1] += worst if listing.contract.underlying == mine.contract.underlying else 0.0
        sums[2] += worst if venue == mine.venue else 0.0
        sums[3] += worst
    return sums[0], sums[1], sums[2], sums[3]


def _amounts(around: Surroundings) -> Iterator[tuple[Listing, str, Decimal, Decimal, float]]:
    """(listing, account, lowest, highest, USD per unit) of everything held and pending."""
    zero = Decimal(0)
    for held in around.held:
        yield held.listing, held.account, held.quantity, held.quantity, held.usd_per_unit
    for order in around.pending:
        low, high = min(order.reserved, zero), max(order.reserved, zero)
        yield order.listing, order.account, low, high, order.usd_per_unit


def _notional(ends: tuple[Decimal, Decimal], usd_per_unit: float) -> float:
    """Of the larger end; nothing is worth nothing whatever its price."""
    most = float(max(abs(ends[0]), abs(ends[1])))
    if most == 0:
        return 0.0
    return most * usd_per_unit if usd_per_unit >= 0 else math.nan
