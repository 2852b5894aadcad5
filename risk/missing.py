"""What a position without a usable mark may add to the exposures at worst: unknown is a range, not zero."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pricing.contracts import Kind
from pricing.daycount import years_between
from pricing.settlement import WINDOW_YEARS
from pricing.universe import FloatArray, Universe
from pricing.valuation import Numeraire
from risk.exposures import (
    DAYS_PER_YEAR,
    VEGA_BUCKETS,
    VEGA_FLOOR_DAYS,
    VEGA_POWER,
    VEGA_REFERENCE_DAYS,
    ExposureSettings,
    row_names,
)

_DENSITY_AT_ZERO = 0.3989422804014327


@dataclass(frozen=True, slots=True)
class MissingSettings:
    """Ranges assumed for a leg without a mark: forward (and the average so far inside a settlement window)
    as a multiple of the index, vol a year."""

    forward_ratio: tuple[float, float] = (0.8, 1.25)
    vol: tuple[float, float] = (0.10, 3.0)


def worst_case(
    universe: Universe,
    quantities: FloatArray,
    missing: Sequence[int],
    spot: FloatArray,
    now_ns: int,
    underlyings: Sequence[str],
    settings: ExposureSettings,
    assumed: MissingSettings,
) -> tuple[FloatArray, FloatArray]:
    """Range of what the missing positions add to each row: (lowest (m,), highest (m,)).

    Options, per coin: |delta| from 0 to 1 (coin numeraire: a put's up to K/F), gamma up to
    n(0)/(F vol sqrt T), vega up to F n(0) sqrt T, theta from -F n(0) vol/(2 sqrt T) to 0. Inside the
    settlement window T/3 stands for T, the part still to be averaged multiplies all, and a call's coin delta
    may fall to minus what is banked. Perpetuals and futures: the range of the forward. An expired contract or
    an unknown index gives an unbounded range.
    """
    names = row_names(underlyings)
    low, high = np.zeros(len(names)), np.zeros(len(names))
    for i in missing:
        name = universe.underlyings[universe.underlying[i]]
        if name not in underlyings:
            continue
        for row, bounds in _unit_range(
            universe, i, float(spot[universe.underlying[i]]), now_ns, settings, assumed
        ):
            a, b = sorted(float(quantities[i]) * bound * float(universe.size[i]) for bound in bounds)
            at = names.index(row)
            low[at] += a
            high[at] += b
    return low, high


def _unit_range(
    universe: Universe,
    i: int,
    index: float,
    now_ns: int,
    settings: ExposureSettings,
    assumed: MissingSettings,
) -> list[tuple[str, tuple[float, float]]]:
    """(row, (lowest, highest)) of one natural unit of a listing."""
    name = universe.underlyings[universe.underlying[i]]
    in_coin = settings.numeraire is Numeraire.COIN
    f_low, f_high = (index * ratio for ratio in assumed.forward_ratio)
    unbounded = (-np.inf, np.inf)
    years = float(years_between(now_ns, universe.expiry_ns[i]))
    unknown = not np.isfinite(index) or (universe.expiry_ns[i] > 0 and years <= 0)
    if universe.kind[i] != Kind.OPTION:
        if unknown:
            return [(f"delta:{name}", unbounded), (f"gamma:{name}", unbounded)]
        if not universe.inverse[i]:
            return [(f"delta:{name}", (f_low / index, f_high / index))]
        coins = (f"delta:{name}", (1.0 / f_high, 1.0 / f_low))
        return [coins, (f"gamma:{name}", (-2.0 / f_low, -2.0 / f_high))] if in_coin else [coins]
    days = years * DAYS_PER_YEAR
    gamma_row = "gamma_expiring" if days < settings.gamma_days_min else "gamma"
    first_days = [first for _, first in VEGA_BUCKETS]
    bucket = VEGA_BUCKETS[max(int(np.searchsorted(first_days, days, side="right")) - 1, 0)][0]
    rows = [f"delta:{name}", f"{gamma_row}:{name}", f"vega:{name}", f"vega_weighted:{name}", f"theta:{name}"]
    rows.append(f"vega:{name}:{bucket}")
    if unknown:
        return [(row, unbounded) for row in rows]
    # The part of the settlement average still to come; its variance is that of a third of the time.
    open_part = min(years / WINDOW_YEARS, 1.0)
    root = np.sqrt(years if years > WINDOW_YEARS else years / 3.0)
    density = open_part * _DENSITY_AT_ZERO
    vega = f_high * density * root
    gamma = density / (f_low * assumed.vol[0] * root)
    theta = f_high * density * assumed.vol[1] / (2.0 * root)
    reach, banked = 1.0 if universe.inverse[i] else f_high / index, 0.0
    if in_coin:
        # K/F N(d2) for a call stays below both 1 and K/F; a put's reaches -K/F. What a call has surely earned
        # inside the window is a sum of USD: short coins, for who counts in coins.
        linear = max(1.0, f_high / index)
        reach = linear * (universe.strike[i] / f_low if universe.sign[i] < 0 else 1.0)
        banked = linear * (1.0 - open_part) * f_high / f_low if universe.sign[i] > 0 else 0.0
        gamma, vega, theta = f_low * gamma, vega / f_low, theta / f_low
    weight = (VEGA_REFERENCE_DAYS / max(days, VEGA_FLOOR_DAYS)) ** VEGA_POWER
    low, high = (-banked, reach) if universe.sign[i] > 0 else (-reach, 0.0)
    # coin numeraire: F^2 v'' = F gamma - 2 (delta - v)
    ranges = [
        (low, high),
        (-2.0 * high, gamma - 2.0 * low) if in_coin else (0.0, gamma),
    ]
    ranges += [(0.0, vega), (0.0, vega * weight), (-theta, 0.0), (0.0, vega)]
    return list(zip(rows, ranges, strict=True))


def value_range(
    universe: Universe,
    quantities: FloatArray,
    missing: Sequence[int],
    spot: FloatArray,
    last: FloatArray,
    now_ns: int,
    assumed: MissingSettings,
) -> tuple[float, float]:
    """Range of what the missing positions add to the worth of the book, (lowest, highest), USD.

    Options: Black-76 over the ranges of forward and vol; a payoff that is partly averaged already lies
    between nothing and its worth at the forward's end of the range, intrinsic where its time is over.
    Perpetuals and futures: their gain from `last` (n,), the price up to which the balances count it. NaN
    where an index, or such a price, is not known.
    """
    low = high = 0.0
    for i in missing:
        index, quantity = float(spot[universe.underlying[i]]), float(quantities[i]) * float(universe.size[i])
        forwards = [index * ratio for ratio in assumed.forward_ratio]
        kind, inverse = universe.kind[i], bool(universe.inverse[i])
        if kind == Kind.OPTION:
            years = max(float(years_between(now_ns, universe.expiry_ns[i])), 0.0)
            strike, sign = float(universe.strike[i]), int(universe.sign[i])
            worth = [_black(f, strike, years, vol, sign) for f in forwards for vol in assumed.vol]
            # inside the window the average so far may be anywhere in the forward's range, too
            least = 0.0 if years <= WINDOW_YEARS else min(worth)
            # of a coin-settled option the value in coin is told at the index
            scale = [index / f for f in forwards] if inverse else [1.0]
            ends = [quantity * x * s for x in (least, max(worth)) for s in scale]
        elif kind == Kind.SPOT:
            ends = [quantity * index]
        elif inverse:
            ends = [quantity * (1.0 / float(last[i]) - 1.0 / f) * index for f in forwards]
        else:
            ends = [quantity * (f - float(last[i])) for f in forwards]
        if not np.isfinite(ends).all():
            return float("nan"), float("nan")
        low, high = low + min(ends), high + max(ends)
    return low, high


def _black(forward: float, strike: float, years: float, vol: float, sign: int) -> float:
    """Black-76, USD, undiscounted; intrinsic where no time is left."""
    deviation = vol * math.sqrt(years)
    if deviation == 0.0:
        return max(sign * (forward - strike), 0.0)
    d1 = math.log(forward / strike) / deviation + 0.5 * deviation
    up, down = (0.5 * math.erfc(-sign * d / math.sqrt(2.0)) for d in (d1, d1 - deviation))
    return sign * (forward * up - strike * down)


def always_better(
    before: FloatArray,
    after: FloatArray,
    lower: FloatArray,
    upper: FloatArray,
    missing_low: FloatArray,
    missing_high: FloatArray,
) -> bool:
    """Whether a plan helps whatever the missing legs are: no row ends further outside its required interval
    for any value in its range, and at least one ends nearer for all of them.

    Args:
        before, after: (m,) exposures of the known book; lower, upper: (m,) required interval;
        missing_low, missing_high: (m,) range of what is missing.

    Returns:
        False also where anything is NaN. Gains within rounding of the row's numbers count as none.
    """
    worst_gain, rounding = np.zeros(before.size), np.zeros(before.size)
    for i in range(before.size):
        if before[i] == after[i] or not (np.isfinite(lower[i]) or np.isfinite(upper[i])):
            continue
        # The distance to an interval is convex, so the gain of a move rises, or falls, all the way with what
        # is missing: its least value lies at an end of the range.
        ends = np.array([missing_low[i], missing_high[i]])
        with np.errstate(invalid="ignore"):
            gains = _outside(before[i] + ends, lower[i], upper[i])
            gains -= _outside(after[i] + ends, lower[i], upper[i])
        # An unbounded range: far beyond a closed side, a plan gains or loses exactly what it moves.
        moved = after[i] - before[i]
        far_above = -moved if np.isfinite(upper[i]) else 0.0
        far_below = moved if np.isfinite(lower[i]) else 0.0
        gains = np.where(np.isposinf(ends), far_above, np.where(np.isneginf(ends), far_below, gains))
        worst_gain[i] = float(np.min(gains))
        sizes = np.abs([*ends, lower[i], upper[i], before[i], after[i]])
        rounding[i] = 1e-12 * float(np.max(sizes[np.isfinite(sizes)], initial=0.0))
    return bool(np.all(worst_gain >= -rounding) and np.any(worst_gain > rounding))


def _outside(value: FloatArray, lower: float, upper: float) -> FloatArray:
    """Distance to an interval, 0 inside."""
    with np.errstate(invalid="ignore"):
        return np.maximum(np.maximum(lower - value, value - upper), 0.0)
