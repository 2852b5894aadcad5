"""The rows of a book and their bands in one pass of machine code: what a mark needs when only prices move.

The same sums as `risk.exposures` makes of `pricing.valuation`, in USD, without the matrix between them: with
q the quantity of an option in natural units (order units times their size), F its forward, S the index, all
Greeks of `pricing.black76`,

    delta  += q delta (settled in coin), q delta F/S (settled in dollars)
    gamma  += q gamma    theta += q theta    vega, its tenor += q vega    weighted += q vega (30 d/T)^0.5
    value  += q V/F S (settled in coin), q V (settled in dollars)

and the edges of fixed bands of dollars, which go with the spot to the power of minus 1 (delta), 2 (gamma) or
0. Options come in groups of one underlying, expiry and settlement, so that a group's time, root and index
are taken once. Sources: `risk.exposures`, `risk.bands.row_factor`; of the Greeks `pricing.kernels`.
"""

from __future__ import annotations

import math

import numpy as np

from pricing.compiled import compiled
from pricing.daycount import NS_PER_SECOND, SECONDS_PER_YEAR
from pricing.kernels import BLOCK, approach, first_greeks, ordinary
from pricing.limits import careful
from pricing.universe import FloatArray, IntArray
from risk.exposures import DAYS_PER_YEAR, VEGA_FLOOR_DAYS, VEGA_REFERENCE_DAYS

#: Rows of `options`, (5, n): forward and strike USD, vol 1.0 = 100 % a year, sign, quantity in coins.
FORWARD, STRIKE, VOL, SIGN, QUANTITY = range(5)
#: Columns of `groups`, (g, 11): first option and the one after the last, expiry in ns, underlying, settled in
#: coin or not, and the rows that it adds to (of gamma: `gamma_expiring` in its last days).
FIRST, END, EXPIRY_NS, UNDERLYING, IN_COIN, DELTA, GAMMA, VEGA, WEIGHTED, THETA, TENOR = range(11)
#: Rows of `table`, (9, m): added to the row as it is; added after division by the spot; the power; sizes of
#: what adds up to the row; target, trigger and landing at the spot `base`.
FIXED, PER_SPOT, POWER, GROSS, EDGES = range(5)
#: A row this near an edge, against the size of what adds up to it, may be on either side of it by rounding.
ROUNDING = 1e-11
#: Bits of what `look_at` returns.
DOUBT, OUTSIDE_TRIGGER, OUTSIDE_LANDING = 1, 2, 4
NS_PER_YEAR = SECONDS_PER_YEAR * NS_PER_SECOND


@compiled("(f8[:, ::1], i8[:, ::1], i8, f8[::1], f8[::1], f8[:, ::1], i8[::1], f8[::1], f8[:, ::1])")
def look_at(
    options: FloatArray,
    groups: IntArray,
    now_ns: int,
    spot: FloatArray,
    base: FloatArray,
    table: FloatArray,
    of_row: IntArray,
    more: FloatArray,
    out: FloatArray,
) -> tuple[float, int]:
    """Write the rows of a book and their edges; returns what its options are worth, USD, and what is out.

    Shapes: options (5, n), groups (g, 11), table (9, m) as above; spot, base (underlyings,) USD, now and of
    the edges in the table; of_row (m,) underlying of each row; more (m,) to be added to the rows; out (6, m):
    value, target, trigger lower and upper, landing lower and upper. Units: as `risk.exposures`. The second
    result: DOUBT where a row is NaN or within rounding of an edge, OUTSIDE_TRIGGER, OUTSIDE_LANDING.
    """
    value = out[0]
    for i in range(value.size):
        u = of_row[i]
        value[i] = table[FIXED, i] + table[PER_SPOT, i] / spot[u] + more[i]
    worth = add_options(options, groups, now_ns, spot, value)
    said = 0
    for i in range(value.size):
        ratio, power = base[of_row[i]] / spot[of_row[i]], table[POWER, i]
        factor = 1.0 if power == 0.0 else ratio if power == 1.0 else ratio * ratio
        x, gross = value[i], table[GROSS, i]
        near = ROUNDING * (gross + abs(x))
        for k in range(5):
            edge = table[EDGES + k, i] * factor
            out[1 + k, i] = edge
            if k > 0 and gross > 0.0 and not abs(x - edge) > near:
                said |= DOUBT
        if not math.isfinite(x):
            said |= DOUBT
        if not out[2, i] <= x <= out[3, i]:
            said |= OUTSIDE_TRIGGER
        if not out[4, i] <= x <= out[5, i]:
            said |= OUTSIDE_LANDING
    return worth, said


@compiled("(f8[:, ::1], i8[:, ::1], i8, f8[::1], f8[::1])")
def add_options(
    options: FloatArray, groups: IntArray, now_ns: int, spot: FloatArray, value: FloatArray
) -> float:
    """Add the options of a book to its rows (m,), in place; returns what they are worth together, USD.

    Shapes and units: as `look_at`. An option without a value makes its rows NaN.
    """
    total_vol, reciprocal = np.empty(BLOCK), np.empty(BLOCK)
    near, density = np.empty(BLOCK), np.empty(BLOCK)
    V, Δ, Γ, ν, Θ = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    worth = 0.0
    for g in range(groups.shape[0]):
        years = (groups[g, EXPIRY_NS] - now_ns) / NS_PER_YEAR
        root, in_coin, index = math.sqrt(years), groups[g, IN_COIN] != 0, spot[groups[g, UNDERLYING]]
        price, delta, gamma, vega, theta = 0.0, 0.0, 0.0, 0.0, 0.0
        for a in range(groups[g, FIRST], groups[g, END], BLOCK):
            n = min(BLOCK, groups[g, END] - a)
            z = a + n
            F, K, σ = options[FORWARD, a:z], options[STRIKE, a:z], options[VOL, a:z]
            s, q = options[SIGN, a:z], options[QUANTITY, a:z]
            odd = False
            for i in range(n):
                w = σ[i] * root
                odd |= not ordinary(F[i], K[i], w, s[i])
                total_vol[i] = w
                reciprocal[i], near[i], density[i] = approach(F[i], K[i], w)
            for i in range(n):
                V[i], Δ[i], Γ[i], ν[i], Θ[i] = first_greeks(
                    F[i], K[i], σ[i], s[i], root, total_vol[i], reciprocal[i], near[i], density[i]
                )
            if odd:
                for i in range(n):
                    if not ordinary(F[i], K[i], total_vol[i], s[i]):
                        V[i], Δ[i], Γ[i], ν[i], Θ[i] = careful(F[i], K[i], years, σ[i], s[i])
            for i in range(n):
                price += q[i] * (V[i] / F[i] if in_coin else V[i])
                delta += q[i] * (Δ[i] if in_coin else Δ[i] * F[i])
                gamma += q[i] * Γ[i]
                vega += q[i] * ν[i]
                theta += q[i] * Θ[i]
        weight = math.sqrt(VEGA_REFERENCE_DAYS / max(years * DAYS_PER_YEAR, VEGA_FLOOR_DAYS))
        value[groups[g, DELTA]] += delta if in_coin else delta / index
        value[groups[g, GAMMA]] += gamma
        value[groups[g, VEGA]] += vega
        value[groups[g, WEIGHTED]] += vega * weight
        value[groups[g, THETA]] += theta
        value[groups[g, TENOR]] += vega
        worth += price * index if in_coin else price
    return worth
