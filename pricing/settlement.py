"""An option inside the averaging window of its settlement price.

Most venues settle on the average of the index over the last 30 minutes, not on its last value. Once part u of
the window is over, with average A so far, the final average is u A + (1 − u) R, R the average still to come.
So the option is (1 − u) options on R, struck at K′ = (K − u A)/(1 − u). R is taken as lognormal with mean F
and the variance of the average of a Brownian path: one third of that of its end point.

    before the window    variance of ln R = σ² (time to its start + window/3)
    in it                variance of ln R = σ² (time to its end)/3

Venues show (1 − u) times the plain delta on K instead: right deep in and out of the money only.

Source: derived here, checked by Monte Carlo in the tests; Deribit and Binance settlement rules.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from pricing.black76 import greeks
from pricing.daycount import SECONDS_PER_YEAR
from pricing.flat import FloatArray

WINDOW_YEARS = 30.0 * 60.0 / SECONDS_PER_YEAR  # 30 minutes


class WindowGreeks(NamedTuple):
    """Value and Greeks of one option that settles on an average; USD per coin, per 1.00 vol."""

    value: FloatArray
    delta: FloatArray
    gamma: FloatArray
    vega: FloatArray


def window_greeks(
    forward: ArrayLike,
    strike: ArrayLike,
    vol: ArrayLike,
    sign: ArrayLike,
    average_so_far: ArrayLike,
    elapsed: ArrayLike,
    remaining_years: ArrayLike,
    window_years: ArrayLike = WINDOW_YEARS,
) -> WindowGreeks:
    """Value, delta, gamma and vega of options that settle on an average, before, in and after its window.

        V = (1 − u) Black76(F, K′, var),  K′ = (K − u A)/(1 − u);  delta = (1 − u) s N(s d1(F, K′, var))

    K′ <= 0: the call is certain to pay, V = (1 − u) F + u A − K and delta 1 − u, the put is worth 0.
    u = 1: settled; V = max(s (A − K), 0), Greeks 0.

    Shapes: all arguments broadcast together; every field has the broadcast shape, 0-d for scalars.
    Units: forward, strike, average_so_far USD per coin; vol 1.0 = 100 %; sign +1 call and −1 put; elapsed the
    part u of the window that is over, in [0, 1]; remaining_years to the END of the window, 365-day years;
    window_years its length. value USD, delta coin, gamma coin per USD, vega USD per 1.00 vol.
    Errors: ValueError if shapes do not broadcast. An element is NaN if an input is NaN, negative or infinite,
    a forward or strike not positive, elapsed above 1, or sign not ±1; average_so_far is not looked at (may be
    NaN) while elapsed is 0.
    Reference: this module's derivation. The lognormal R is an approximation; over half an hour its error
    is below a tick.

    >>> left = WINDOW_YEARS / 2
    >>> half_way = window_greeks(60_000.0, 60_000.0, 0.6, 1, 60_100.0, elapsed=0.5, remaining_years=left)
    >>> print(f"{half_way.value:.3f} {half_way.delta:.4f}")
    55.557 0.4083
    """
    F, K, σ, s, A, u, τ, window = np.broadcast_arrays(
        *(
            np.asarray(a, dtype=np.float64)
            for a in (forward, strike, vol, sign, average_so_far, elapsed, remaining_years, window_years)
        )
    )
    with np.errstate(all="ignore"):
        banked = np.where(u == 0.0, 0.0, u * A)  # no average yet: whatever stands there counts nothing
        rest = 1.0 - u
        struck_at = (K - banked) / rest
        # before the window the whole time to its start counts, and a third of the window itself
        clock = np.where((u == 0.0) & (τ > window), τ - window * (2.0 / 3.0), τ / 3.0)
        settled = u == 1.0
        certain = (struck_at <= 0.0) & ~settled
        invalid = ~(
            (np.isfinite(F) & np.isfinite(K) & (F > 0.0) & (K > 0.0) & np.isfinite(banked) & (banked >= 0.0))
            & ((u >= 0.0) & (rest >= 0.0) & (np.abs(s) == 1.0) & (σ >= 0.0) & np.isfinite(σ))
            & ((τ >= 0.0) & np.isfinite(τ) & (window >= 0.0) & np.isfinite(window))
        )
        ordinary = greeks(F, np.where(certain | settled, K, struck_at), clock, σ, s)
        call = s > 0.0
        results = WindowGreeks(
            value=np.select(
                [settled, certain],
                [np.maximum(s * (A - K), 0.0), np.where(call, rest * F + banked - K, 0.0)],
                rest * ordinary.price,
            ),
            delta=np.select([settled, certain], [0.0, np.where(call, rest, 0.0)], rest * ordinary.delta),
            gamma=np.where(settled | certain, 0.0, rest * ordinary.gamma),
            vega=np.where(settled | certain, 0.0, rest * ordinary.vega),
        )
    for field in results:
        field[invalid] = np.nan
    return results
