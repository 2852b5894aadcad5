"""Logarithm, exponential and the normal tail as straight runs of multiplications: no call, no branch.

numba's compiler turns a loop into vector instructions only if its body is such a run; the C library's log,
exp and erfc are calls, and each costs more than all the rest of an option. Every function here is `inlined`
into the kernels. Each is right to a few units in the last place on the domain it names, and unchecked outside
of it: that is the kernels' business.

The coefficients interpolate at Chebyshev points in 70-digit arithmetic, rounded; a test does them again.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, cast

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from pricing.compiled import inlined

LN2 = math.log(2.0)
LN2_REST = float.fromhex("0x1.abc9e3b39803fp-56")  # ln 2 less LN2
LOG2_E = 1.0 / LN2
EXP_FLOOR = -708.0  # e to this is the smallest power of two that is a normal number, to a digit
MANTISSA_BITS = 52
HALF_EXPONENT = 1 << 51  # half a unit of the exponent field
EXPONENT_FIELD = -1 << 52
FIELD_SHIFT = 1024 << 52  # makes the exponent of a ratio positive
TWO_52_BITS = 0x4330000000000000  # the double 2**52, whose last bits count in ones
TWO_52_SHIFTED = 2.0**52 + 1024.0
ROUNDER = 1.5 * 2.0**52  # adding it rounds a double to an integer and leaves that in the last bits

# 2 atanh(s)/s in powers of s^2, for |s| <= 0.2: relative error 1.6e-17
ATANH = (
    2.0,
    0.6666666666667618,
    0.39999999995074775,
    0.2857142954158218,
    0.2222212855686877,
    0.18186713855809228,
    0.15243693657565766,
    0.15414996019010888,
)
# exp(r) for |r| <= ln(2)/2: relative error 4e-18
EXP = (
    1.0,
    1.0,
    0.5000000000000019,
    0.1666666666666668,
    0.04166666666648795,
    0.008333333333319589,
    0.0013888888952352863,
    0.00019841269890076403,
    2.4801485441561313e-05,
    2.755724088722987e-06,
    2.763265472252779e-07,
    2.5110049204818658e-08,
)
# Mills ratio M(y) = N(-y)/n(y) = P(y)/Q(y) for y >= -1, both with leading coefficient 1: relative error 1e-16
# of the formula, a few units in the last place computed (some twenty below −1/2).
# One ratio for the whole half-line, with all coefficients positive: nothing cancels for y >= 0.
MILLS_P = (
    19799317.600407194,
    34338010.34689106,
    29549094.198910687,
    16367691.195268262,
    6423696.836055091,
    1865646.5021990226,
    408058.75045455276,
    67158.34799080317,
    8156.0056288109445,
    697.5326698523066,
    37.94470063236154,
    1.0,
)
MILLS_Q = (
    15797569.827797337,
    40002405.36827809,
    47595282.77144843,
    35235412.39487466,
    18105923.004068978,
    6815822.996629396,
    1931419.7855386003,
    416138.86666988034,
    67853.88066078509,
    8193.950329442605,
    698.5326698523081,
    37.94470063236154,
    1.0,
)


A0, A1, A2, A3, A4, A5, A6, A7 = ATANH
E0, E1, E2, E3, E4, E5, E6, E7, E8, E9, E10, E11 = EXP
P0, P1, P2, P3, P4, P5, P6, P7, P8, P9, P10, _ = MILLS_P
Q0, Q1, Q2, Q3, Q4, Q5, Q6, Q7, Q8, Q9, Q10, Q11, _ = MILLS_Q


@intrinsic
def _bits_of(typing_context: Any, number: Any) -> Any:
    """The 64 bits of a double, as an integer."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.IntType(64))

    return types.int64(types.float64), code


@intrinsic
def _double_of(typing_context: Any, bits: Any) -> Any:
    """The double that has these 64 bits."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.DoubleType())

    return types.float64(types.int64), code


bits_of = cast(Callable[[float], int], _bits_of)
double_of = cast(Callable[[int], float], _double_of)


@inlined
def log_ratio(a: float, b: float) -> float:
    """Return ln(a/b) for normal positive numbers, to the last digit also where a and b are close.

    b is scaled by a power of two to lie within a factor 1.5 of a, so that a - b is exact; then
    ln(a/b) = e ln 2 + 2 atanh((a - b)/(a + b)).

    >>> print(f"{log_ratio(60_000.01, 60_000.0):.13g}")
    1.666666528117e-07
    """
    near = (bits_of(a) - bits_of(b) + HALF_EXPONENT) & EXPONENT_FIELD
    scaled = double_of(bits_of(b) + near)
    exponent = double_of(((near + FIELD_SHIFT) >> MANTISSA_BITS) | TWO_52_BITS) - TWO_52_SHIFTED
    s = (a - scaled) / (a + scaled)
    u = s * s
    u2 = u * u
    series = ((A0 + A1 * u) + (A2 + A3 * u) * u2) + ((A4 + A5 * u) + (A6 + A7 * u) * u2) * (u2 * u2)
    return exponent * LN2 + s * series


@inlined
def exp_of_negative(q: float) -> float:
    """Return exp(q) for q <= 0; 0 below -708, where the result is no longer a normal number.

    >>> exp_of_negative(-1.0) == math.exp(-1.0), exp_of_negative(-709.0)
    (True, 0.0)
    """
    shifted = max(q, EXP_FLOOR) * LOG2_E + ROUNDER
    whole = shifted - ROUNDER
    r = (q - whole * LN2) - whole * LN2_REST
    r2 = r * r
    r4 = r2 * r2
    low = ((E0 + E1 * r) + (E2 + E3 * r) * r2) + ((E4 + E5 * r) + (E6 + E7 * r) * r2) * r4
    fraction = low + ((E8 + E9 * r) + (E10 + E11 * r) * r2) * (r4 * r4)
    power = double_of(bits_of(fraction) + (bits_of(shifted) << MANTISSA_BITS))
    return power if q > EXP_FLOOR else 0.0


@inlined
def mills_pair(y: float, w: float) -> tuple[float, float, float, float]:
    """Return (P(y), P[y, y + w], Q(y), Q[y, y + w]): Mills ratios at y and y + w, and their difference.

    P[y, z] = (P(z) - P(y))/(z - y) comes out of the same Horner scheme as P(y), at the price of P(z). Hence
    M(y) - M(y + w) = w (P(y) Q[y, z] - P[y, z] Q(y)) / (Q(y) Q(z)), which loses nothing however small w is.
    For y >= -1 and w >= 0; below 1e11, where Q(y) Q(z) is still a number.

    >>> p, dp, q, dq = mills_pair(0.0, 1.0)
    >>> print(f"{p / q:.13f} {(p + dp) / (q + dq):.13f}")       # M(0) = sqrt(pi/2) and M(1)
    1.2533141373155 0.6556795424188
    """
    z = y + w
    p = y + P10
    dp = 1.0
    dp = dp * z + p
    p = p * y + P9
    dp = dp * z + p
    p = p * y + P8
    dp = dp * z + p
    p = p * y + P7
    dp = dp * z + p
    p = p * y + P6
    dp = dp * z + p
    p = p * y + P5
    dp = dp * z + p
    p = p * y + P4
    dp = dp * z + p
    p = p * y + P3
    dp = dp * z + p
    p = p * y + P2
    dp = dp * z + p
    p = p * y + P1
    dp = dp * z + p
    p = p * y + P0
    q = y + Q11
    dq = 1.0
    dq = dq * z + q
    q = q * y + Q10
    dq = dq * z + q
    q = q * y + Q9
    dq = dq * z + q
    q = q * y + Q8
    dq = dq * z + q
    q = q * y + Q7
    dq = dq * z + q
    q = q * y + Q6
    dq = dq * z + q
    q = q * y + Q5
    dq = dq * z + q
    q = q * y + Q4
    dq = dq * z + q
    q = q * y + Q3
    dq = dq * z + q
    q = q * y + Q2
    dq = dq * z + q
    q = q * y + Q1
    dq = dq * z + q
    q = q * y + Q0
    return p, dp, q, dq


@inlined
def mills(y: float) -> float:
    """Return M(y) = N(-y)/n(y) for y >= -1, also for y infinite.

    >>> mills(0.0) == math.sqrt(math.pi / 2), mills(math.inf)
    (True, 0.0)
    """
    if y > 1e8:
        return 1.0 / y
    p, _, q, _ = mills_pair(y, 0.0)
    return p / q
