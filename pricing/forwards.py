"""The forward of every option: listed future, synthetic, or put-call parity where only an index is published.

An option's own published forward is taken as it is when the venue names a future or a synthetic forward
for it. Where the venue publishes only the index beside the option (`index_price`), its marks are computed
on a hidden forward a few basis points away; parity across the strikes of the expiry recovers it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pricing.contracts import Kind
from pricing.market import ForwardKind, Market
from pricing.universe import BoolArray, FloatArray

#: A parity forward rests on this many call-put pairs, lies this near the published value, and its
#: strikes agree this well (both relative): else the published value stays.
PARITY_PAIRS_MIN = 3
PARITY_DISTANCE_MAX = 0.02
PARITY_DEVIATION_MAX = 0.001


@dataclass(frozen=True, slots=True, eq=False)
class Forwards:
    """Forward per listing, USD per coin, (n,), NaN where none is known; `source` codes of `ForwardKind`.

    For perpetuals and futures the forward is the contract's own mark (else mid); for spot the coin's index.
    """

    forward: FloatArray
    source: NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class ParityForward:
    """Forward from put-call parity: median over strikes, their spread (median absolute deviation), pairs."""

    forward: float
    deviation: float
    pairs: int


def parity_forward(strike: FloatArray, call: FloatArray, put: FloatArray, inverse: bool) -> ParityForward:
    """Forward implied by call and put prices of the same strikes.

    Formula: settled in coin C - P = 1 - K/F, hence F = K / (1 - (C - P)); in USD C - P = F - K.
    Strikes whose time value is small carry the rounding of a large price: the half of the pairs nearest
    to the money (smallest |C - P|) is used, and the median of those: junk quotes do not move it.

    Args:
        strike, call, put: (k,); prices in the venue's quotation (coin or USD per coin of underlying).
        inverse: settled in coin.

    Returns:
        ParityForward; forward NaN with 0 pairs where no strike has both prices.

    >>> parity_forward(np.array([90.0, 100.0]), np.array([0.12, 0.05]), np.array([0.02, 0.05]), True).forward
    100.0
    """
    gap = call - put
    usable = np.isfinite(gap) & np.isfinite(strike) & ((1.0 - gap > 0) if inverse else True)
    if not usable.any():
        return ParityForward(float("nan"), float("nan"), 0)
    strike, gap = strike[usable], gap[usable]
    distance = np.abs(gap) if inverse else np.abs(gap) / strike
    near = np.argsort(distance, kind="stable")[: max(PARITY_PAIRS_MIN, distance.size // 2)]
    values = strike[near] / (1.0 - gap[near]) if inverse else strike[near] + gap[near]
    middle = float(np.median(values))
    return ParityForward(middle, float(np.median(np.abs(values - middle))), int(values.size))


def mid_or_nan(market: Market) -> FloatArray:
    """Middle of the touch where both sides are quoted and not crossed, else NaN, (n,)."""
    with np.errstate(invalid="ignore", over="ignore"):
        two_sided = (market.bid > 0) & (market.ask > market.bid)
        return np.where(two_sided, 0.5 * (market.bid + market.ask), np.nan)


def forwards(market: Market, age_s_max: float) -> Forwards:
    """Choose the forward of every listing from what the market shows now.

    Options, in this order: the published future or synthetic beside the quote; where only the index is
    published, parity over the expiry's fresh quotes (marks, else mids), kept if it rests on enough pairs
    and lies near the index, else the index itself; where nothing is published, the median forward of the
    expiry's other fresh options, else the mark of the listed future with the same expiry.

    Args:
        market: quotes; stale rows (older than `age_s_max` seconds) are not used for other rows.

    Returns:
        Forwards with arrays of shape (n,).
    """
    universe = market.universe
    fresh = market.fresh(age_s_max)
    option = universe.is_option
    # A far wing's mark may be rounded to 0; a perpetual's or future's cannot be.
    marked = np.isfinite(market.mark) & np.where(option, market.mark >= 0, market.mark > 0)
    price = np.where(marked, market.mark, mid_or_nan(market))
    forward = np.where(option, market.forward, np.where(price > 0, price, np.nan))
    index = market.spot(age_s_max)[universe.underlying]
    forward = np.where(universe.kind == Kind.SPOT, index, forward)
    forward[~(forward > 0)] = np.nan
    source = np.where(option & np.isfinite(forward), market.forward_kind, np.int8(ForwardKind.NONE))
    source = source.astype(np.int8)

    by_index = option & fresh & (market.forward_kind == ForwardKind.INDEX)
    unknown = option & fresh & ~np.isfinite(forward)
    for u, expiry, inverse in _expiries(market, by_index | unknown):
        same = fresh & (universe.underlying == u) & (universe.expiry_ns == expiry)
        options = same & option & (universe.inverse == inverse)
        parity = _parity_of(market, price, options, inverse)
        rows = by_index & options
        if _trusted(parity, forward[rows]):
            forward[rows] = parity.forward
            source[rows] = ForwardKind.PARITY
        rows = unknown & options
        known = options & np.isfinite(forward)
        future = same & (universe.kind == Kind.FUTURE) & np.isfinite(forward)
        if known.any():
            forward[rows] = np.median(forward[known])
            source[rows] = source[np.flatnonzero(known)[0]]
        elif future.any():
            forward[rows] = np.median(forward[future])
            source[rows] = ForwardKind.LISTED_FUTURE
        elif _trusted(parity, forward[rows]):
            forward[rows] = parity.forward
            source[rows] = ForwardKind.PARITY
    return Forwards(forward, source)


def _trusted(parity: ParityForward, published: FloatArray) -> bool:
    """Whether parity may stand for the forward, given what is published beside the options (may be NaN)."""
    if parity.pairs < PARITY_PAIRS_MIN or parity.deviation > PARITY_DEVIATION_MAX * parity.forward:
        return False
    known = published[np.isfinite(published)]
    return known.size == 0 or abs(parity.forward / float(np.median(known)) - 1.0) <= PARITY_DISTANCE_MAX


def _expiries(market: Market, rows: BoolArray) -> list[tuple[int, int, bool]]:
    """Distinct (underlying, expiry, inverse) of the marked rows."""
    universe = market.universe
    picked = np.flatnonzero(rows).tolist()
    return sorted(
        {(int(universe.underlying[i]), int(universe.expiry_ns[i]), bool(universe.inverse[i])) for i in picked}
    )


def _parity_of(market: Market, price: FloatArray, rows: BoolArray, inverse: bool) -> ParityForward:
    """Parity over the strikes of one expiry that have a call and a put among `rows`."""
    universe = market.universe
    calls = {float(universe.strike[i]): i for i in np.flatnonzero(rows & (universe.sign > 0)).tolist()}
    puts = {float(universe.strike[i]): i for i in np.flatnonzero(rows & (universe.sign < 0)).tolist()}
    both = sorted(calls.keys() & puts.keys())
    call_rows = np.array([calls[k] for k in both], dtype=np.int64)
    put_rows = np.array([puts[k] for k in both], dtype=np.int64)
    return parity_forward(np.array(both), price[call_rows], price[put_rows], inverse)
