"""The spot moved and nothing else: Greeks of many options from what stood before, and totals of a book.

Between two marks strikes, vols and (for some seconds) times to expiry stand still, and with them the square
root, one division and the logarithm of each option. A `SpotBase` keeps them; for a forward F near its base F₀

    ln(F/K) = ln(F₀/K) + 2 (t + t³/3 + t⁵/5 + t⁷/7),   t = (F − F₀)/(F + F₀)

to the last digit, because it always counts from the base and never from the previous result. Once a forward
is more than REBASE_MOVE away, or so many of an option's standard deviations (minutes before expiry) that the
sum would round too coarsely, the whole is computed anew and becomes the next base. So results do not depend
on the way the spot came, beyond rounding, and no digits are lost over a day of ticks.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from pricing.black76 import Greeks, flat_inputs, greeks, result_arrays, shared_memory_error
from pricing.compiled import compiled, inlined
from pricing.elementary import log_ratio
from pricing.flat import FloatArray
from pricing.kernels import (
    BLOCK,
    all_apart,
    all_distinct,
    arrays,
    first_greeks,
    ordinary,
    scaled_density,
)
from pricing.limits import careful

REBASE_MOVE = 0.02  # relative move of a forward up to which the series above is right to the last digit
HALF_MOVE = 0.5 * REBASE_MOVE  # what t is for such a move
REBASE_DEVIATIONS = 16.0  # a move of so many w leaves ln(F/K)/w an error of as many units in its last place
ODD, MOVED, OVERLAP, TWICE = 1, 2, 4, 8  # bits of what the loops return


class SpotBase(NamedTuple):
    """Options as they stood at some forwards, and what stays of them when only forwards move; all (n,)."""

    forward: FloatArray
    strike: FloatArray
    years: FloatArray
    vol: FloatArray
    sign: FloatArray
    root_years: FloatArray
    per_total_vol: FloatArray
    moneyness: FloatArray  # ln(F/K)/w


class Totals(NamedTuple):
    """Sums over a book of quantity × price and Greeks; units as `pricing.black76.Greeks` times quantity."""

    price: float
    delta: float
    gamma: float
    vega: float
    theta: float


def spot_base(
    forward: ArrayLike, strike: ArrayLike, years: ArrayLike, vol: ArrayLike, sign: ArrayLike
) -> SpotBase:
    """Return the base of `spot_greeks` and `book_totals` at these forwards.

    Shapes: all arguments broadcast together, to one dimension (n,); scalars count as (1,).
    Units: as `pricing.black76.greeks`. Errors: ValueError if the shapes do not broadcast to one dimension.
    Source: the head of the module.

    >>> spot_base(60_000.0, [50_000.0, 70_000.0], 0.25, 0.5, 1).moneyness.round(3)
    array([ 0.729, -0.617])
    """
    inputs, _, shape = flat_inputs(forward, strike, years, vol, sign)
    if len(shape) > 1:
        raise ValueError(f"spot_base: arguments of shape {shape}; allowed: one dimension; pass them raveled")
    F, K, T, σ, s = (array.copy() for array in inputs)
    root_years, per_total_vol, moneyness = np.empty_like(F), np.empty_like(F), np.empty_like(F)
    fill_base(F, K, T, σ, root_years, per_total_vol, moneyness)
    return SpotBase(F, K, T, σ, s, root_years, per_total_vol, moneyness)


def spot_greeks(base: SpotBase, forward: ArrayLike, out: Greeks | None = None) -> tuple[Greeks, SpotBase]:
    """Price and first Greeks at new forwards, and the base to use next time (the same, or a new one).

    Equal to `pricing.black76.greeks` at these forwards within its error bounds.

    Shapes: forward (n,) or a scalar, n that of the base; every field (n,). `out` as `pricing.black76.greeks`.
    Units and NaN as there. Errors: ValueError if shapes do not fit. Source: the head of the module.

    >>> base = spot_base(60_000.0, [50_000.0, 70_000.0], 30 / 365, 0.55, 1)
    >>> moved, base = spot_greeks(base, 60_300.0)
    >>> moved.delta.round(6)
    array([0.897377, 0.192931])
    """
    F = _per_option(base, forward)
    results, whole = result_arrays(out, F.shape)
    flags = sweep_moved_apart(F, *base, *whole)
    if flags & TWICE:
        raise shared_memory_error()
    if flags & OVERLAP:
        F = F.copy()
        flags = sweep_moved_apart(F, *base, *whole)
    if flags & (MOVED | OVERLAP):
        base = spot_base(F, base.strike, base.years, base.vol, base.sign)
        whole = greeks(*base[:5], out=Greeks(*whole))
    if whole is not results:
        for field, result in zip(results, whole, strict=True):
            np.copyto(field, result)
    return results, base


def book_totals(base: SpotBase, forward: ArrayLike, quantity: ArrayLike) -> tuple[Totals, SpotBase]:
    """Sums over a book of quantity × (price, delta, gamma, vega, theta), storing nothing per option.

    An option without a value makes the sums NaN, whatever its quantity: leave out what is not held.

    Shapes: forward and quantity (n,) or scalars. Units as `Totals`. Errors: ValueError if shapes do not fit.
    Second result: the base to use next time. Source: the head of the module.

    >>> base = spot_base(60_000.0, [50_000.0, 70_000.0], 30 / 365, 0.55, 1)
    >>> totals, base = book_totals(base, 60_300.0, [2.0, -1.0])
    >>> round(totals.delta, 5)
    1.60182
    """
    F = _per_option(base, forward)
    q = _per_option(base, quantity)
    sums = np.empty(5)
    if sweep_totals(F, q, *base, sums) & MOVED:
        base = spot_base(F, base.strike, base.years, base.vol, base.sign)
        sweep_totals(F, q, *base, sums)
    return Totals(*sums.tolist()), base


def _per_option(base: SpotBase, values: ArrayLike) -> FloatArray:
    """Return values as a contiguous (n,) array of the base's length."""
    array = np.asarray(values, dtype=np.float64)
    n = base.forward.size
    if array.shape not in ((n,), ()):
        raise ValueError(
            f"spot: values of shape {array.shape} for a base of {n} options; pass shape ({n},) or a scalar"
        )
    if array.shape == (n,) and array.flags.carray:
        return array
    return np.broadcast_to(array, (n,)).copy()


@compiled(arrays(4, 3))
def fill_base(
    forward: FloatArray,
    strike: FloatArray,
    years: FloatArray,
    vol: FloatArray,
    root_years: FloatArray,
    per_total_vol: FloatArray,
    moneyness: FloatArray,
) -> None:
    """Write √T, 1/w and ln(F/K)/w."""
    for i in range(forward.size):
        root = math.sqrt(years[i])
        per_w = 1.0 / (vol[i] * root)
        root_years[i] = root
        per_total_vol[i] = per_w
        moneyness[i] = log_ratio(forward[i], strike[i]) * per_w


@compiled(arrays(9, 5))
def sweep_moved_apart(
    forward: FloatArray,
    base_forward: FloatArray,
    strike: FloatArray,
    years: FloatArray,
    vol: FloatArray,
    sign: FloatArray,
    root_years: FloatArray,
    per_total_vol: FloatArray,
    moneyness: FloatArray,
    price: FloatArray,
    delta: FloatArray,
    gamma: FloatArray,
    vega: FloatArray,
    theta: FloatArray,
) -> int:
    """Write price and Greeks of every element; bits ODD, MOVED, OVERLAP, TWICE (but for ODD: of no use)."""
    if not all_distinct(price, delta, gamma, vega, theta):
        return TWICE
    for output in (price, delta, gamma, vega, theta):
        if not (
            all_apart(base_forward, strike, years, vol, sign, output)
            and all_apart(forward, root_years, per_total_vol, moneyness, forward, output)
        ):
            return OVERLAP
    flags = sweep_moved(
        forward, base_forward, strike, vol, sign, root_years, per_total_vol, moneyness,
        price, delta, gamma, vega, theta, np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK),
    )  # fmt: skip
    if flags & ODD:
        for i in range(forward.size):
            if not ordinary(forward[i], strike[i], vol[i] * root_years[i], sign[i]):
                price[i], delta[i], gamma[i], vega[i], theta[i] = careful(
                    forward[i], strike[i], years[i], vol[i], sign[i]
                )
    return flags


@inlined
def moved(
    forward: float, base_forward: float, strike: float, w: float, per_total_vol: float, moneyness: float
) -> tuple[float, float, float, bool]:
    """Return (1/(F w), y, B, still) of an ordinary element: what `kernels.approach` gives.

    still is whether the forward is near enough to its base; false also where the base is no number.
    """
    both = forward + base_forward
    shared = 1.0 / (forward * both)
    t = (forward - base_forward) * (forward * shared)
    u = t * t
    move = 2.0 * t * (1.0 + u * (1.0 / 3.0 + u * (0.2 + u * (1.0 / 7.0)))) * per_total_vol
    y = abs(moneyness + move) - 0.5 * w
    still = (abs(t) <= HALF_MOVE) & (abs(move) <= REBASE_DEVIATIONS)
    return both * shared * per_total_vol, y, scaled_density(forward, strike, y), still


@compiled(arrays(8, 5, 3))
def sweep_moved(
    forward: FloatArray,
    base_forward: FloatArray,
    strike: FloatArray,
    vol: FloatArray,
    sign: FloatArray,
    root_years: FloatArray,
    per_total_vol: FloatArray,
    moneyness: FloatArray,
    price: FloatArray,
    delta: FloatArray,
    gamma: FloatArray,
    vega: FloatArray,
    theta: FloatArray,
    reciprocal: FloatArray,
    near: FloatArray,
    density: FloatArray,
) -> int:
    """As `kernels.sweep`, from a base; bits ODD and MOVED. The last three are the scratch, (BLOCK,)."""
    odd, far = False, False
    for a in range(0, forward.size, BLOCK):
        n = min(BLOCK, forward.size - a)
        z = a + n
        F, K, σ, s, root = forward[a:z], strike[a:z], vol[a:z], sign[a:z], root_years[a:z]
        F0, per_w, m = base_forward[a:z], per_total_vol[a:z], moneyness[a:z]
        for i in range(n):
            w = σ[i] * root[i]
            usual = ordinary(F[i], K[i], w, s[i])
            reciprocal[i], near[i], density[i], still = moved(F[i], F0[i], K[i], w, per_w[i], m[i])
            odd |= not usual
            far |= usual & (not still)
        V, Δ, Γ, ν, Θ = price[a:z], delta[a:z], gamma[a:z], vega[a:z], theta[a:z]
        for i in range(n):
            V[i], Δ[i], Γ[i], ν[i], Θ[i] = first_greeks(
                F[i], K[i], σ[i], s[i], root[i], σ[i] * root[i], reciprocal[i], near[i], density[i]
            )
    return (ODD if odd else 0) | (MOVED if far else 0)


@compiled(arrays(10, 1))
def sweep_totals(
    forward: FloatArray,
    quantity: FloatArray,
    base_forward: FloatArray,
    strike: FloatArray,
    years: FloatArray,
    vol: FloatArray,
    sign: FloatArray,
    root_years: FloatArray,
    per_total_vol: FloatArray,
    moneyness: FloatArray,
    sums: FloatArray,
) -> int:
    """Write the five sums; bits ODD and MOVED."""
    columns = np.zeros((5, BLOCK))  # one sum per place in the block: the loop stays in vector instructions
    flags = add_moved(
        forward, quantity, base_forward, strike, vol, sign, root_years, per_total_vol, moneyness,
        columns[0], columns[1], columns[2], columns[3], columns[4],
        np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK),
    )  # fmt: skip
    for row in range(5):
        sums[row] = columns[row].sum()
    if flags & ODD:
        for i in range(forward.size):
            if not ordinary(forward[i], strike[i], vol[i] * root_years[i], sign[i]):
                one = careful(forward[i], strike[i], years[i], vol[i], sign[i])
                for row in range(5):
                    sums[row] += quantity[i] * one[row]
    return flags


@compiled(arrays(9, 5, 3))
def add_moved(
    forward: FloatArray,
    quantity: FloatArray,
    base_forward: FloatArray,
    strike: FloatArray,
    vol: FloatArray,
    sign: FloatArray,
    root_years: FloatArray,
    per_total_vol: FloatArray,
    moneyness: FloatArray,
    price: FloatArray,
    delta: FloatArray,
    gamma: FloatArray,
    vega: FloatArray,
    theta: FloatArray,
    reciprocal: FloatArray,
    near: FloatArray,
    density: FloatArray,
) -> int:
    """As `sweep_moved`, adding quantity times each result to the place (BLOCK,) it has in its block."""
    odd, far = False, False
    for a in range(0, forward.size, BLOCK):
        n = min(BLOCK, forward.size - a)
        z = a + n
        F, K, σ, s, root = forward[a:z], strike[a:z], vol[a:z], sign[a:z], root_years[a:z]
        F0, per_w, m, held = base_forward[a:z], per_total_vol[a:z], moneyness[a:z], quantity[a:z]
        for i in range(n):
            w = σ[i] * root[i]
            usual = ordinary(F[i], K[i], w, s[i])
            reciprocal[i], near[i], density[i], still = moved(F[i], F0[i], K[i], w, per_w[i], m[i])
            odd |= not usual
            far |= usual & (not still)
        for i in range(n):
            w = σ[i] * root[i]
            usual = ordinary(F[i], K[i], w, s[i])
            V, Δ, Γ, ν, Θ = first_greeks(
                F[i], K[i], σ[i], s[i], root[i], w, reciprocal[i], near[i], density[i]
            )
            q = held[i]
            price[i] += q * V if usual else 0.0
            delta[i] += q * Δ if usual else 0.0
            gamma[i] += q * Γ if usual else 0.0
            vega[i] += q * ν if usual else 0.0
            theta[i] += q * Θ if usual else 0.0
    return (ODD if odd else 0) | (MOVED if far else 0)
