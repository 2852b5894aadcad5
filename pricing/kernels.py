"""The loops under `pricing.black76` and `pricing.inverse`, over contiguous arrays, in vector instructions.

Notation as in `pricing.black76`: x = ln(F/K), w = σ√T, h = |x|/w, y = h − w/2, z = h + w/2, M the Mills
ratio, B = min(F, K) n(y) = F n(d1) = K n(d2). With P, Q and their divided differences from
`elementary.mills_pair`,

    value of the out-of-the-money option of the pair = B [M(y) − M(z)] = B w (P dQ − dP Q)/(Q(y) Q(z))
    N(−|d1|) = B M(|d1|)/F      gamma = B/(F² w)      vega = B √T      theta = −B σ²/(2w)

so that put and call, price and Greeks come from one exp, one log, one square root and four divisions.

The arrays are gone over in blocks, each in two loops: first y and B, kept in a scratch that stays in the
cache, then the Mills ratios and the results. In one long loop every option waits for its own chain of
multiplications; with two short ones the processor works on several options at a time (a sixth faster).

An element outside `ordinary` (no vol, no time, no price, w > 2, ...) is done again by a `careful` function,
in which every limit is a case; its neighbours are not touched.
"""

from __future__ import annotations

import math

import numpy as np

from pricing.compiled import compiled, inlined
from pricing.elementary import exp_of_negative, log_ratio, mills_pair
from pricing.flat import FloatArray
from pricing.limits import DENSITY_AT_ZERO, MILLS_PAIR_TOTAL_VOL_MAX, careful, careful_coin, careful_higher

BLOCK = 256  # options at a time: scratch and a block of every array fit into the first-level cache

# The domain of the fast loops; outside it, or for NaN, an element is done by `careful`.
PRICE_MIN, PRICE_MAX = 1e-30, 1e30
TOTAL_VOL_MIN, TOTAL_VOL_MAX = 1e-9, MILLS_PAIR_TOTAL_VOL_MAX

#: What a `fill` function returns.
DONE = 0
OVERLAP = 1  # an output shares memory with an input: nothing was written
TWICE = 2  # two outputs share memory: nothing was written


def arrays(*counts: int) -> str:
    """The signature of a kernel that takes so many contiguous arrays.

    >>> arrays(1, 1)
    '(f8[::1], f8[::1])'
    """
    return "(" + ", ".join(["f8[::1]"] * sum(counts)) + ")"


@inlined
def ordinary(forward: float, strike: float, total_vol: float, sign: float) -> bool:
    """Whether the fast loops hold for an element.

    >>> ordinary(100.0, 100.0, 0.1, 1.0), ordinary(100.0, 100.0, math.nan, 1.0)
    (True, False)
    """
    return bool(
        (forward >= PRICE_MIN)
        & (forward <= PRICE_MAX)
        & (strike >= PRICE_MIN)
        & (strike <= PRICE_MAX)
        & (total_vol >= TOTAL_VOL_MIN)
        & (total_vol <= TOTAL_VOL_MAX)
        & (abs(sign) == 1.0)
    )


@inlined
def apart(a: FloatArray, b: FloatArray) -> bool:
    """Whether two contiguous arrays share no memory."""
    return bool(
        (a.ctypes.data + 8 * a.size <= b.ctypes.data) or (b.ctypes.data + 8 * b.size <= a.ctypes.data)
    )


@inlined
def all_apart(
    a: FloatArray, b: FloatArray, c: FloatArray, d: FloatArray, e: FloatArray, output: FloatArray
) -> bool:
    """Whether an output shares no memory with any of five inputs."""
    return (
        apart(a, output) and apart(b, output) and apart(c, output) and apart(d, output) and apart(e, output)
    )


@inlined
def all_distinct(a: FloatArray, b: FloatArray, c: FloatArray, d: FloatArray, e: FloatArray) -> bool:
    """Whether no two of five outputs share memory."""
    return (apart(a, b) and apart(a, c) and apart(a, d) and apart(a, e) and apart(b, c)) and (
        apart(b, d) and apart(b, e) and apart(c, d) and apart(c, e) and apart(d, e)
    )


@inlined
def gap_and_tails(
    y: float, w: float, scaled_density: float, reciprocal: float, above: bool
) -> tuple[float, float, float]:
    """Return (value of the out-of-the-money option, N(−|d1|), (K/F) N(−|d2|)).

    scaled_density is B; reciprocal is 1/(F w); above is F > K.
    """
    p, dp, q, dq = mills_pair(y, w)
    p_far = p + w * dp
    q_far = q + w * dq
    share = scaled_density / (q * q_far)
    near, far = p * q_far, p_far * q
    per_forward = share * (w * reciprocal)
    return (
        share * w * (p * dq - dp * q),
        per_forward * (far if above else near),
        per_forward * (near if above else far),
    )


@inlined
def approach(forward: float, strike: float, total_vol: float) -> tuple[float, float, float]:
    """Return (1/(F w), y, B) of an ordinary element."""
    reciprocal = 1.0 / (forward * total_vol)
    y = abs(log_ratio(forward, strike)) * (forward * reciprocal) - 0.5 * total_vol
    return reciprocal, y, scaled_density(forward, strike, y)


@inlined
def scaled_density(forward: float, strike: float, y: float) -> float:
    """Return B = min(F, K) n(y)."""
    return exp_of_negative(-0.5 * y * y) * DENSITY_AT_ZERO * min(forward, strike)


@inlined
def first_greeks(
    F: float, K: float, σ: float, s: float, root: float, w: float, reciprocal: float, y: float, B: float
) -> tuple[float, float, float, float, float]:
    """Return price, delta, gamma, vega and theta of an ordinary element; root is √T, reciprocal 1/(F w)."""
    above = F > K
    value, tail, _ = gap_and_tails(y, w, B, reciprocal, above)
    b = B * reciprocal
    return (
        max(s * (F - K), 0.0) + value,
        s * (1.0 - tail if (s > 0.0) == above else tail),
        b * (w * reciprocal),
        B * root,
        -0.5 * b * F * σ * σ,
    )


@inlined
def coin_greeks(
    F: float, K: float, σ: float, s: float, root: float, w: float, reciprocal: float, y: float, B: float
) -> tuple[float, float, float, float]:
    """Return s (K/F) N(s d2), F² v″, vega/F and theta/F of an ordinary element, v = V/F."""
    above = F > K
    _, _, tail = gap_and_tails(y, w, B, reciprocal, above)
    pa_delta = s * (K * (w * reciprocal) - tail if (s > 0.0) == above else tail)
    b = B * reciprocal  # n(d1)/w
    return pa_delta, b - 2.0 * pa_delta, b * w * root, -0.5 * b * σ * σ


@inlined
def higher_greeks(
    F: float, K: float, σ: float, T: float, root: float, w: float, reciprocal: float, y: float, B: float
) -> tuple[float, float, float, float, float, float]:
    """Return vanna, volga, charm, speed, zomma and color of an ordinary element."""
    z = y + w
    above = F > K
    d1 = z if above else -y
    d2 = y if above else -z
    product = y * z  # d1 d2, whichever of the two is which
    per_forward = w * reciprocal
    n1 = B * per_forward
    gamma = n1 * reciprocal
    shared = 1.0 / (σ * T)
    per_vol, per_year = T * shared, σ * shared
    return (
        -n1 * d2 * per_vol,
        B * root * product * per_vol,
        0.5 * n1 * d2 * per_year,
        -gamma * per_forward * (d1 * (F * reciprocal) + 1.0),
        gamma * (product - 1.0) * per_vol,
        0.5 * gamma * (1.0 - product) * per_year,
    )


@compiled(arrays(5, 5, 4))
def sweep(
    forward: FloatArray,
    strike: FloatArray,
    years: FloatArray,
    vol: FloatArray,
    sign: FloatArray,
    price: FloatArray,
    delta: FloatArray,
    gamma: FloatArray,
    vega: FloatArray,
    theta: FloatArray,
    total_vol: FloatArray,
    reciprocal: FloatArray,
    near: FloatArray,
    density: FloatArray,
) -> bool:
    """Write price and Greeks of the `ordinary` elements; return whether there are others.

    The last four are the scratch, (BLOCK,): w, 1/(F w), y and B.
    """
    odd = False
    for a in range(0, forward.size, BLOCK):
        n = min(BLOCK, forward.size - a)
        z = a + n
        F, K, T, σ, s = forward[a:z], strike[a:z], years[a:z], vol[a:z], sign[a:z]
        for i in range(n):
            w = σ[i] * math.sqrt(T[i])
            odd |= not ordinary(F[i], K[i], w, s[i])
            total_vol[i] = w
            reciprocal[i], near[i], density[i] = approach(F[i], K[i], w)
        V, Δ, Γ, ν, Θ = (price[a:z], delta[a:z], gamma[a:z], vega[a:z], theta[a:z])
        for i in range(n):
            V[i], Δ[i], Γ[i], ν[i], Θ[i] = first_greeks(
                F[i], K[i], σ[i], s[i], math.sqrt(T[i]), total_vol[i], reciprocal[i], near[i], density[i]
            )
    return odd


@compiled(arrays(5, 5))
def fill(
    forward: FloatArray,
    strike: FloatArray,
    years: FloatArray,
    vol: FloatArray,
    sign: FloatArray,
    price: FloatArray,
    delta: FloatArray,
    gamma: FloatArray,
    vega: FloatArray,
    theta: FloatArray,
) -> int:
    """Write undiscounted price and Greeks; DONE, OVERLAP or TWICE. All arrays (n,), contiguous."""
    if not all_distinct(price, delta, gamma, vega, theta):
        return TWICE
    for output in (price, delta, gamma, vega, theta):
        if not all_apart(forward, strike, years, vol, sign, output):
            return OVERLAP
    odd = sweep(
        forward, strike, years, vol, sign, price, delta, gamma, vega, theta,
        np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK),
    )  # fmt: skip
    if odd:
        for i in range(forward.size):
            if not ordinary(forward[i], strike[i], vol[i] * math.sqrt(years[i]), sign[i]):
                price[i], delta[i], gamma[i], vega[i], theta[i] = careful(
                    forward[i], strike[i], years[i], vol[i], sign[i]
                )
    return DONE


@compiled(arrays(5, 4, 4))
def sweep_coin(
    forward: FloatArray,
    strike: FloatArray,
    years: FloatArray,
    vol: FloatArray,
    sign: FloatArray,
    pa_delta: FloatArray,
    pa_gamma: FloatArray,
    coin_vega: FloatArray,
    coin_theta: FloatArray,
    total_vol: FloatArray,
    reciprocal: FloatArray,
    near: FloatArray,
    density: FloatArray,
) -> bool:
    """As `sweep`, for the coin Greeks."""
    odd = False
    for a in range(0, forward.size, BLOCK):
        n = min(BLOCK, forward.size - a)
        z = a + n
        F, K, T, σ, s = forward[a:z], strike[a:z], years[a:z], vol[a:z], sign[a:z]
        for i in range(n):
            w = σ[i] * math.sqrt(T[i])
            odd |= not ordinary(F[i], K[i], w, s[i])
            total_vol[i] = w
            reciprocal[i], near[i], density[i] = approach(F[i], K[i], w)
        delta_, gamma_, vega_, theta_ = (pa_delta[a:z], pa_gamma[a:z], coin_vega[a:z], coin_theta[a:z])
        for i in range(n):
            delta_[i], gamma_[i], vega_[i], theta_[i] = coin_greeks(
                F[i], K[i], σ[i], s[i], math.sqrt(T[i]), total_vol[i], reciprocal[i], near[i], density[i]
            )
    return odd


@compiled(arrays(5, 4))
def fill_coin(
    forward: FloatArray,
    strike: FloatArray,
    years: FloatArray,
    vol: FloatArray,
    sign: FloatArray,
    pa_delta: FloatArray,
    pa_gamma: FloatArray,
    coin_vega: FloatArray,
    coin_theta: FloatArray,
) -> None:
    """Write coin Greeks. All arrays (n,), contiguous; outputs share no memory with inputs."""
    odd = sweep_coin(
        forward, strike, years, vol, sign, pa_delta, pa_gamma, coin_vega, coin_theta,
        np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK),
    )  # fmt: skip
    if odd:
        for i in range(forward.size):
            if not ordinary(forward[i], strike[i], vol[i] * math.sqrt(years[i]), sign[i]):
                pa_delta[i], pa_gamma[i], coin_vega[i], coin_theta[i] = careful_coin(
                    forward[i], strike[i], years[i], vol[i], sign[i]
                )


@compiled(arrays(5, 6, 4))
def sweep_higher(
    forward: FloatArray,
    strike: FloatArray,
    years: FloatArray,
    vol: FloatArray,
    sign: FloatArray,
    vanna: FloatArray,
    volga: FloatArray,
    charm: FloatArray,
    speed: FloatArray,
    zomma: FloatArray,
    color: FloatArray,
    total_vol: FloatArray,
    reciprocal: FloatArray,
    near: FloatArray,
    density: FloatArray,
) -> bool:
    """As `sweep`, for the higher Greeks."""
    odd = False
    for a in range(0, forward.size, BLOCK):
        n = min(BLOCK, forward.size - a)
        z = a + n
        F, K, T, σ, s = forward[a:z], strike[a:z], years[a:z], vol[a:z], sign[a:z]
        for i in range(n):
            w = σ[i] * math.sqrt(T[i])
            odd |= not ordinary(F[i], K[i], w, s[i])
            total_vol[i] = w
            reciprocal[i], near[i], density[i] = approach(F[i], K[i], w)
        vanna_, volga_, charm_, speed_, zomma_, color_ = (
            vanna[a:z],
            volga[a:z],
            charm[a:z],
            speed[a:z],
            zomma[a:z],
            color[a:z],
        )
        for i in range(n):
            vanna_[i], volga_[i], charm_[i], speed_[i], zomma_[i], color_[i] = higher_greeks(
                F[i], K[i], σ[i], T[i], math.sqrt(T[i]), total_vol[i], reciprocal[i], near[i], density[i]
            )
    return odd


@compiled(arrays(5, 6))
def fill_higher(
    forward: FloatArray,
    strike: FloatArray,
    years: FloatArray,
    vol: FloatArray,
    sign: FloatArray,
    vanna: FloatArray,
    volga: FloatArray,
    charm: FloatArray,
    speed: FloatArray,
    zomma: FloatArray,
    color: FloatArray,
) -> None:
    """Write undiscounted higher Greeks. Arrays as `fill_coin`."""
    odd = sweep_higher(
        forward, strike, years, vol, sign, vanna, volga, charm, speed, zomma, color,
        np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK),
    )  # fmt: skip
    if odd:
        for i in range(forward.size):
            if not ordinary(forward[i], strike[i], vol[i] * math.sqrt(years[i]), sign[i]):
                vanna[i], volga[i], charm[i], speed[i], zomma[i], color[i] = careful_higher(
                    forward[i], strike[i], years[i], vol[i], sign[i]
                )
