"""One option at a time, with every limit of Black-76 a case: what the fast loops of `pricing.kernels` leave.

No vol, no time, a strike or forward of zero, infinite vol, w = σ√T beyond 2: the formulas and limits are
those of `pricing.black76`. These functions are compiled, but not vectorised: about 60 ns an option.
"""

from __future__ import annotations

import math

from pricing.compiled import compiled, inlined
from pricing.elementary import mills, mills_pair

DENSITY_AT_ZERO = 1.0 / math.sqrt(2.0 * math.pi)
MILLS_PAIR_TOTAL_VOL_MAX = 2.0  # then y >= -1, where `mills_pair` holds


@compiled("(f8, f8, f8, f8, f8)")
def limits(
    forward: float, strike: float, years: float, vol: float, sign: float
) -> tuple[bool, float, float, float, float, float, float, float, float, float]:
    """Return what an element outside `ordinary` is made of, every limit taken as it comes.

    (valid, w, d1, d2, n(d1), F n(d1), N(−|d1|), (K/F) N(−|d2|), value of the out-of-the-money option, dw/dT).
    """
    F, K, T, σ = (
        forward + 0.0,
        strike + 0.0,
        years + 0.0,
        vol + 0.0,
    )  # −0.0 would turn the signs of the limits
    root = math.sqrt(T)
    w = σ * root
    valid = (
        (F >= 0.0 and K >= 0.0 and F + K > 0.0 and max(F, K) < math.inf)
        and (T >= 0.0 and σ >= 0.0 and w >= 0.0)
        and abs(sign) == 1.0
    )
    if F == 0.0 or K == 0.0:
        distance, h = math.inf, math.inf
        near, far = math.inf, math.inf
    else:
        ratio = F / K
        if 0.5 < ratio < 2.0:
            distance = abs(math.log1p((F - K) / K))
        elif 1e-300 < ratio < math.inf:
            distance = abs(math.log(ratio))
        else:
            distance = abs(math.log(F) - math.log(K))
        h = 0.0 if distance == 0.0 else distance / w
        near, far = h - 0.5 * w, h + 0.5 * w
    above = F > K
    d1 = far if above else -near
    d2 = near if above else -far
    bell = math.exp(-0.5 * near * near) * DENSITY_AT_ZERO
    smaller = min(F, K)
    n1 = bell * min(1.0, K / F)
    m_near, m_far = mills(abs(near)), mills(far)
    tail1 = n1 * (m_far if above else m_near)
    tail2 = n1 * (m_near if above else m_far)
    if bell == 0.0:
        time_value = 0.0 if near >= 0.0 else smaller
    elif w <= MILLS_PAIR_TOTAL_VOL_MAX:
        p, dp, q, dq = mills_pair(near, w)
        time_value = smaller * bell * w * (p * dq - dp * q) / (q * (q + w * dq))
    elif near >= 0.0:
        time_value = smaller * bell * (m_near - m_far)
    else:
        time_value = smaller * (1.0 - bell * (m_near + m_far))
    # no vol: there is no time value to lose, also with no time left
    half_vol_rate = 0.0 if σ == 0.0 else 0.5 * σ / root
    return valid, w, d1, d2, n1, smaller * bell, tail1, tail2, time_value, half_vol_rate


@inlined
def times(density: float, factor: float) -> float:
    """Return density × factor, 0 where the density is 0: it falls faster than any factor grows.

    >>> times(0.0, math.inf)
    0.0
    """
    return 0.0 if density == 0.0 else density * factor


@inlined
def one_sided(sign: float, argument: float, tail: float, whole: float) -> float:
    """Return s × whole × N(s × argument), given the tail whole × N(−|argument|).

    >>> round(one_sided(-1.0, 1.0, 0.15865525393145705, 1.0), 6)
    -0.158655
    """
    return sign * (tail if sign * argument < 0.0 else whole - tail)


@compiled("(f8, f8, f8, f8, f8)")
def careful(
    forward: float, strike: float, years: float, vol: float, sign: float
) -> tuple[float, float, float, float, float]:
    """Price, delta, gamma, vega and theta of one element, whatever it is; NaN where there is none."""
    valid, w, d1, _, n1, B, tail1, _, time_value, half_vol_rate = limits(forward, strike, years, vol, sign)
    if not valid:
        return math.nan, math.nan, math.nan, math.nan, math.nan
    return (
        max(sign * (forward - strike), 0.0) + time_value,
        one_sided(sign, d1, tail1, 1.0),
        times(n1, 1.0 / ((forward + 0.0) * w)),
        times(B, math.sqrt(years)),
        -times(B, half_vol_rate),
    )


@compiled("(f8, f8, f8, f8, f8)")
def careful_coin(
    forward: float, strike: float, years: float, vol: float, sign: float
) -> tuple[float, float, float, float]:
    """Premium-adjusted delta and gamma, coin vega and theta of one element; NaN where there are none."""
    valid, w, _, d2, n1, _, _, tail2, _, half_vol_rate = limits(forward, strike, years, vol, sign)
    if not valid or forward == 0.0:
        return math.nan, math.nan, math.nan, math.nan
    pa_delta = one_sided(sign, d2, tail2, strike / forward)
    return (
        pa_delta,
        times(n1, 1.0 / w) - 2.0 * pa_delta,
        times(n1, math.sqrt(years)),
        -times(n1, half_vol_rate),
    )


@compiled("(f8, f8, f8, f8, f8)")
def careful_higher(
    forward: float, strike: float, years: float, vol: float, sign: float
) -> tuple[float, float, float, float, float, float]:
    """Vanna, volga, charm, speed, zomma and color of one element; NaN where there are none."""
    F, σ, T = forward + 0.0, vol + 0.0, years + 0.0
    valid, w, d1, d2, n1, B, _, _, _, half_vol_rate = limits(forward, strike, years, vol, sign)
    if not valid:
        return math.nan, math.nan, math.nan, math.nan, math.nan, math.nan
    gamma = times(n1, 1.0 / (F * w))
    # at the money d1 = w/2 and d2 = −w/2, also in the limit w = 0 where the quotients would be 0/0
    d1_over_w = 0.5 if d1 == -d2 else d1 / w
    d2_over_w = d1_over_w - 1.0
    return (
        times(n1, -d2_over_w * math.sqrt(T)),
        times(B, d1 * d2_over_w * T),
        times(n1, d2_over_w * half_vol_rate),
        times(gamma, -(d1_over_w + 1.0) / F),
        times(gamma, (d1 * d2 - 1.0) / σ),
        times(gamma, (1.0 - d1 * d2) / (2.0 * T)),
    )
