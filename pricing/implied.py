"""Implied volatility by Black-76, with a status per element: a vol, or NaN and the reason; never a floor.

The price is first brought to the out-of-the-money option of the pair (an in-the-money price minus the
intrinsic value, to the last digit), then measured in units of min(F, K): 0 < β < 1. What is solved for is the
total vol w = σ√T in b(w) = β, where b = n(y) [M(y) − M(y + w)] as in `pricing.black76`. Two forms, so that no
digit of the price is lost at either end:

    β <= 1/2:  ln b(w) = ln β               slope 1/D,  D = M(y) − M(y + w)
    β >  1/2:  ln(1 − b(w)) = ln(1 − β)     slope −1/(M(−y) + M(y + w))

Each is nearly a straight line in a power of w: in w^−2 in the wings, in ln w near the money, in w^2 at high
vol. The root is found by Halley steps in that power, inside a bracket which every step narrows: a step that
would leave it is replaced by a bisection, so the search always ends. Two or three steps do.

Source: Jaeckel (2015), "Let's be rational", Wilmott, for the normalised price and the objectives; the powers
and the steps in them are our own derivation.
"""

from __future__ import annotations

import math
from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import erfcx, ndtri

from pricing.black76 import FloatArray

ROOT_HALF = math.sqrt(0.5)
DENSITY_AT_ZERO = 1.0 / math.sqrt(2.0 * math.pi)
MILLS_AT_ZERO = math.sqrt(math.pi / 2.0)
SERIES_TOTAL_VOL = 0.1
SERIES_MONEYNESS = 1e3
LOG_ROOT_TWO_PI = 0.5 * math.log(2.0 * math.pi)
MAX_STEPS = 64  # most elements need 2 or 3; the rest of the room is for bisections
LAST_STEP = 1e-5  # relative; steps converge cubically, so after one as small the rest is below rounding
WORST_RELATIVE_ERROR = 0.01  # of a vol that is still worth the name, when the price is off by one ulp
WING = 1.2  # standard deviations beyond which ln b is nearly straight in w^−2
PLAIN_FORM = -1.0  # y below which b is 1 minus two small tails


class Status(IntEnum):
    """What became of one implied vol."""

    ok = 0
    below_intrinsic = 1  # price below the intrinsic value, or not above zero
    above_maximum = 2  # price at or above F (call) or K (put): no finite vol is worth as much
    no_time = 3  # zero or negative time to expiry
    ill_conditioned = 4  # the time value drowns in the rounding of the price
    not_a_number = 5  # an input is NaN, or cannot be: forward not positive, sign not ±1, ...


def implied_vol(
    price: ArrayLike,
    forward: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    sign: ArrayLike,
    discount: ArrayLike = 1.0,
) -> tuple[FloatArray, NDArray[np.int8]]:
    """Return the vol at which Black-76 gives each price, and a `Status` per element.

    Solves D s (F N(s d1) − K N(s d2)) = price for σ.

    Shapes: all arguments broadcast together; both results have the broadcast shape, 0-d for scalars.
    Units: price, forward, strike USD per coin, years in 365-day years, sign +1 call and −1 put, discount the
    value today of 1 USD at expiry; vol 1.0 = 100 %.
    Errors: ValueError if shapes do not broadcast; nothing else raises. The vol is NaN wherever the status is
    not ok. A price of exactly zero is below_intrinsic: every vol above 0 gives more, even if a double cannot
    hold it. ill_conditioned: one ulp of the price is worth more than 1 % of the vol, or all of an
    in-the-money time value, so hardly a digit of the vol is in it: take the out-of-the-money twin.
    Reference: Jaeckel (2015). From correctly rounded out-of-the-money prices, 60 s to 1 y, 0
    to 35 standard deviations, vols 0.05 to 3: relative error below 1e-13 (worst measured 8e-15).

    >>> vol, status = implied_vol([886.5635180812613, 70_000.0], 60_000.0, 70_000.0, 30 / 365, 1)
    >>> vol.round(12), [Status(code).name for code in status]
    (array([0.55,  nan]), ['ok', 'above_maximum'])
    """
    V, F, K, T, s, D = np.broadcast_arrays(
        *(np.asarray(a, dtype=np.float64) for a in (price, forward, strike, years, sign, discount))
    )
    with np.errstate(all="ignore"):
        undiscounted = V / D
        smaller = np.minimum(F, K)
        inside = s * (F - K)
        in_the_money = inside > 0.0
        intrinsic = np.where(in_the_money, inside, 0.0)
        maximum = np.where(s > 0.0, F, K)
        noise = np.spacing(np.abs(undiscounted))
        time_value = np.where(
            in_the_money, (undiscounted - inside) - s * _difference_error(F, K), undiscounted
        )
        room = maximum - undiscounted

        # the division by the discount may take a price at the bound an ulp or two across it
        slack = np.where((D == 1.0) | ~in_the_money, 0.0, 2.0 * noise)
        unusable = ~(
            (np.isfinite(F) & np.isfinite(K) & (smaller > 0.0))
            & (~np.isnan(V) & np.isfinite(T) & (np.abs(s) == 1.0) & (D > 0.0) & np.isfinite(D))
        )
        below = (undiscounted < intrinsic - slack) | (~in_the_money & (undiscounted <= 0.0))
        drowned = in_the_money & (time_value <= noise)
        status = np.select(
            [unusable, T <= 0.0, below, undiscounted >= maximum, drowned],
            [Status.not_a_number, Status.no_time, Status.below_intrinsic, Status.above_maximum,
             Status.ill_conditioned],
            Status.ok,
        ).astype(np.int8)  # fmt: skip
        vol = np.full(status.shape, np.nan)
        solvable = status == Status.ok
        total_vol, leverage = _total_vol(
            np.abs(log_ratio(F[solvable], K[solvable])),
            np.log(time_value[solvable]) - np.log(smaller[solvable]),
            np.log(room[solvable]) - np.log(smaller[solvable]),
        )
        blur = noise[solvable] / np.minimum(time_value[solvable], room[solvable])
        found = total_vol / np.sqrt(T[solvable])
        # an element not found is NaN, and one too small for a double is 0: both are lost too
        lost = ~((leverage * blur <= WORST_RELATIVE_ERROR) & (found > 0.0) & np.isfinite(found))
        status[solvable] = np.where(lost, Status.ill_conditioned, Status.ok)
        vol[solvable] = np.where(lost, np.nan, found)
    return vol, status


def _total_vol(
    distance: FloatArray, log_value: FloatArray, log_room: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return w with b(w) = exp(log_value) = 1 − exp(log_room), and its leverage; arrays of one dimension.

    distance is |x|. The leverage is the relative change of w for a relative change of the smaller of b and
    1 − b. An element that is not found within MAX_STEPS is NaN.
    """
    low_vol = log_value <= log_room
    w = np.where(low_vol, _low_guess(distance, log_value), _high_guess(distance, log_room))
    target = np.where(low_vol, log_value, log_room)
    leverage = np.full_like(w, np.nan)
    lower, upper = np.zeros_like(w), np.full_like(w, np.inf)
    todo = np.arange(w.size)
    for _ in range(MAX_STEPS):
        at = w[todo]
        excess, following, leverage[todo] = _halley(distance[todo], at, target[todo], low_vol[todo])
        lower[todo] = low = np.where(excess < 0.0, at, lower[todo])
        upper[todo] = high = np.where(excess > 0.0, at, upper[todo])
        arrived = np.abs(following - at) <= LAST_STEP * at
        middle = np.where(low == 0.0, 0.5 * high, np.sqrt(low) * np.sqrt(high))
        middle = np.where(high == np.inf, 2.0 * low, middle)
        astray = ~(arrived | ((following > low) & (following < high)))
        w[todo] = np.where(astray, middle, following)
        todo = todo[~arrived]
        if todo.size == 0:
            break
    w[todo] = np.nan
    return w, leverage


def _halley(
    distance: FloatArray, w: FloatArray, target: FloatArray, low_vol: NDArray[np.bool_]
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return (excess, next w, leverage at w) of one Halley step; excess is positive where w is too large.

    With f the objective and u = w^k, Halley in u needs f/f′ and f″/f′ − (k − 1)/w, all in w. Since
    b′ = n(y) and b″/b′ = (h² − w²/4)/w, the second derivative is free.
    """
    h = distance / w
    near = h - 0.5 * w
    scaled_near = mills_scaled(np.abs(near))
    scaled_far = mills_scaled(h + 0.5 * w)
    bell = np.exp(-0.5 * near * near)
    log_density = -0.5 * near * near - LOG_ROOT_TWO_PI
    # 1 − b where y < 0, as tails; never a difference
    rest = 0.5 * bell * (scaled_near + scaled_far)
    density = bell * DENSITY_AT_ZERO
    gap = np.where(
        near < PLAIN_FORM, (1.0 - rest) / density, MILLS_AT_ZERO * (mills_scaled(near) - scaled_far)
    )
    gap = np.where(w < SERIES_TOTAL_VOL, mills_gap_series(h, w), gap)
    log_value = np.where(near < PLAIN_FORM, np.log1p(-rest), log_density + np.log(gap))
    reach = MILLS_AT_ZERO * (mills_scaled(-near) + scaled_far)
    log_room = log_density + np.log(reach)

    miss = np.where(low_vol, log_value, log_room) - target
    inverse_slope = np.where(low_vol, gap, -reach)  # 1/f′
    newton = miss * inverse_slope
    bend = (h - 0.5 * w) * (h + 0.5 * w) / w + np.where(low_vol, -1.0 / gap, 1.0 / reach)  # f″/f′
    power = np.where(low_vol, np.where(h > WING, -2.0, 0.0), 2.0)
    step = newton / w / (1.0 - 0.5 * newton * (bend - (power - 1.0) / w))
    exponent = np.where(power == 0.0, 1.0, power)
    following = w * np.where(power == 0.0, np.exp(-step), (1.0 - power * step) ** (1.0 / exponent))
    return np.where(low_vol, miss, -miss), following, np.abs(inverse_slope) / w


def _low_guess(distance: FloatArray, log_value: FloatArray) -> FloatArray:
    """Return a first w where b <= 1/2.

    Near the money b ≈ w/√(2π) − x/2; in the wings −ln b = h²/2 − x/2 + w²/8 + ln(√(2π)/D) with the rough
    D ≈ w/(1 + 1.25 h + h²) and w = x/h, solved for h by substitution.
    """
    value = np.exp(log_value)
    level = 0.5 * distance - log_value - LOG_ROOT_TWO_PI + np.log(distance)
    h = np.sqrt(2.0 * np.maximum(level, 0.5))
    for _ in range(3):
        w = distance / h
        h = np.sqrt(2.0 * np.maximum(level - w * w / 8.0 - np.log(h * (1.0 + 1.25 * h + h * h)), 0.125))
    near_the_money = value > 0.15 * distance
    return np.where(near_the_money, math.sqrt(2.0 * math.pi) * (value + 0.5 * distance), distance / h)


def _high_guess(distance: FloatArray, log_room: FloatArray) -> FloatArray:
    """Return a first w where b > 1/2: 1 − b ≈ 2 N(y), as it is at the money, and y = x/w − w/2."""
    y = ndtri(0.5 * np.exp(log_room))
    result: FloatArray = np.sqrt(y * y + 2.0 * distance) - y
    return result


def _difference_error(a: FloatArray, b: FloatArray) -> FloatArray:
    """Return what rounding took from a − b: (a − b) exactly is fl(a − b) plus this (Knuth's two-sum)."""
    difference = a - b
    taken = a - difference
    result: FloatArray = (a - (difference + taken)) + (taken - b)
    return result


def log_ratio(forward: FloatArray, strike: FloatArray) -> FloatArray:
    """Return ln(F/K) to the last digit, also near the money, where F/K alone has lost the small difference.

    Within a factor of two F − K is exact (Sterbenz), so log1p of the relative difference loses nothing.

    >>> float(log_ratio(np.float64(60_000.01), np.float64(60_000.0)))
    1.6666665281173378e-07
    """
    ratio = forward / strike
    close = (ratio > 0.5) & (ratio < 2.0)
    result: FloatArray = np.where(close, np.log1p((forward - strike) / strike), np.log(ratio))
    return result


def mills_scaled(t: FloatArray) -> FloatArray:
    """Return erfcx(t/√2), so that N(−t) = exp(−t²/2) erfcx(t/√2)/2 and M(t) = √(π/2) erfcx(t/√2).

    >>> float(mills_scaled(np.float64(0.0)))
    1.0
    """
    result: FloatArray = erfcx(t * ROOT_HALF)
    return result


def mills_gap_series(h: FloatArray, w: FloatArray) -> FloatArray:
    """Return M(h − w/2) − M(h + w/2) for small w, where subtracting the two would cancel.

    −2 Σ M⁽ᵏ⁾(h) (w/2)ᵏ/k! over odd k up to 9, with M′ = h M − 1 and M⁽ᵏ⁺¹⁾ = h M⁽ᵏ⁾ + k M⁽ᵏ⁻¹⁾.
    The first term left out is below 1e-17 of the sum for w < 0.1.

    >>> float(mills_gap_series(np.float64(0.0), np.float64(1e-8)))     # −M′(0) w = w
    1e-08
    """
    h = np.minimum(h, SERIES_MONEYNESS)
    before: FloatArray = MILLS_AT_ZERO * mills_scaled(h)
    derivative = h * before - 1.0
    power = 0.5 * w
    square = power * power
    total = -2.0 * derivative * power
    for k in range(2, 10):
        before, derivative = derivative, h * derivative + (k - 1) * before
        if k % 2 == 1:
            power = power * square / (k * (k - 1))
            total = total - 2.0 * derivative * power
    return total
