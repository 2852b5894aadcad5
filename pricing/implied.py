"""Implied volatility by Black-76, with a status per element: a vol, or NaN and the reason; never a floor.

The price is first brought to the out-of-the-money option of the pair (an in-the-money price minus the
intrinsic value, to the last digit), then measured in units of min(F, K): 0 < β < 1. What is solved for is the
total vol w = σ√T in b(w) = β, where b = n(y) [M(y) − M(y + w)] as in `pricing.black76`. Two forms, so that no
digit of the price is lost at either end:

    β <= 1/2:  ln b(w) = ln β               slope 1/D,  D = M(y) − M(y + w)
    β >  1/2:  ln(1 − b(w)) = ln(1 − β)     slope −1/(M(−y) + M(y + w))

Each is nearly a straight line in a power of w: in w^−2 in the wings, in ln w near the money, in w^2 at high
vol. The root is found by Halley steps in that power: two or three from nothing, one or two from a vol that
was right a moment ago. The loops are in `pricing.implied_kernels`.

Source: Jaeckel (2015), "Let's be rational", Wilmott, for the normalised price and the objectives; the powers
and the steps in them are our own derivation.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pricing import implied_kernels as kernels
from pricing.flat import FloatArray, flatten


class Status(IntEnum):
    """What became of one implied vol."""

    ok = kernels.OK
    below_intrinsic = kernels.BELOW_INTRINSIC  # price below the intrinsic value, or not above zero
    above_maximum = kernels.ABOVE_MAXIMUM  # at or above F (call) or K (put): no finite vol is worth as much
    no_time = kernels.NO_TIME  # zero or negative time to expiry
    ill_conditioned = kernels.ILL_CONDITIONED  # the time value drowns in the rounding of the price
    not_a_number = kernels.NOT_A_NUMBER  # an input is NaN, or cannot be: forward not positive, sign not ±1


def implied_vol(
    price: ArrayLike,
    forward: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    sign: ArrayLike,
    discount: ArrayLike = 1.0,
    start: ArrayLike | None = None,
) -> tuple[FloatArray, NDArray[np.int8]]:
    """Return the vol at which Black-76 gives each price, and a `Status` per element.

    Solves D s (F N(s d1) − K N(s d2)) = price for σ.

    start: vols to start from, such as those of the last mark: half the time when they are near, the same vol
    within rounding when they are not; NaN where there is none.

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
    given = [price, forward, strike, years, sign]
    discounted = not (isinstance(discount, int | float) and discount == 1.0)
    flat, shape = flatten([*given, *([discount] if discounted else []), *([] if start is None else [start])])
    V, F, K, T, s = flat[:5]
    slack, first = np.empty(0), np.empty(0) if start is None else flat[-1]
    if discounted:
        D = flat[5]
        with np.errstate(all="ignore"):
            V = np.where((D > 0.0) & (np.inf > D), V / D, np.nan)
            # the division may take a price at the bound an ulp or two across it
            slack = np.where(D == 1.0, 0.0, 2.0 * np.spacing(np.abs(V)))
    vol, status = np.empty(V.size), np.empty(V.size, dtype=np.int8)
    kernels.fill_implied(V, F, K, T, s, slack, first, vol, status)
    return vol.reshape(shape), status.reshape(shape)
