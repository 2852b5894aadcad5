"""Normal random numbers as a function of (seed, stream, path, step): no state, so any part can be had alone.

Bits: Philox 4x32-10 (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011):
ten rounds of multiply and swap on a counter of four 32-bit words, under a key of two. The counter here is
(step group, path, stream, 0), the key the seed. Then Box and Muller (1958): of two words the first gives the
radius √(−2 ln u), u = (word + 1/2)/2³², the second an angle; the largest number possible is 6.76.

The same numbers come out on every machine to the last digits (whether a product and a sum round once or twice
is the processor's affair), whatever else is simulated beside them: path 17 of 20,000 is path 17 of 100.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pricing.compiled import compiled, inlined
from pricing.elementary import double_of, log_ratio

FloatArray = NDArray[np.float64]

WORD = 0xFFFFFFFF
MULTIPLIER_0, MULTIPLIER_1 = 0xD2511F53, 0xCD9E8D57
WEYL_0, WEYL_1 = 0x9E3779B9, 0xBB67AE85

TWO_52 = 2.0**52
TWO_52_BITS = 0x4330000000000000  # the double 2**52, whose last bits count in ones
PER_WORD = 2.0**-32
QUARTER_WORD = (
    0x3FFFFFFF  # an angle within a quarter of the circle: 30 bits, the other two choose the quarter
)
ANGLE_STEP = math.pi / 2 * 2.0**-30
# sin x/x and cos x in powers of x², to 1e-17 for |x| <= pi/4: Taylor's coefficients
S1, S2, S3, S4, S5, S6, S7 = (-1.0 / 6, 1.0 / 120, -1.0 / 5040, 1.0 / 362880, -1.0 / 39916800,
                              1.0 / 6227020800, -1.0 / 1307674368000)  # fmt: skip
C1, C2, C3, C4, C5, C6, C7, C8 = (-0.5, 1.0 / 24, -1.0 / 720, 1.0 / 40320, -1.0 / 3628800, 1.0 / 479001600,
                                  -1.0 / 87178291200, 1.0 / 20922789888000)  # fmt: skip


@inlined
def _round(c0: int, c1: int, c2: int, c3: int, k0: int, k1: int) -> tuple[int, int, int, int]:
    # masks after each product: both factors have 32 bits, which one vector instruction multiplies
    p0 = MULTIPLIER_0 * c0
    p1 = MULTIPLIER_1 * c2
    return ((p1 >> 32) & WORD) ^ c1 ^ k0, p1 & WORD, ((p0 >> 32) & WORD) ^ c3 ^ k1, p0 & WORD


@inlined
def philox(c0: int, c1: int, c2: int, c3: int, k0: int, k1: int) -> tuple[int, int, int, int]:
    """Four words of 32 random bits from a counter of four words and a key of two, each in [0, 2**32).

    >>> [hex(word) for word in philox(0, 0, 0, 0, 0, 0)]
    ['0x6627e8d5', '0xe169c58d', '0xbc57ac4c', '0x9b00dbd8']
    """
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0, k1)
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, (k0 + WEYL_0) & WORD, (k1 + WEYL_1) & WORD)
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, (k0 + 2 * WEYL_0) & WORD, (k1 + 2 * WEYL_1) & WORD)
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, (k0 + 3 * WEYL_0) & WORD, (k1 + 3 * WEYL_1) & WORD)
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, (k0 + 4 * WEYL_0) & WORD, (k1 + 4 * WEYL_1) & WORD)
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, (k0 + 5 * WEYL_0) & WORD, (k1 + 5 * WEYL_1) & WORD)
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, (k0 + 6 * WEYL_0) & WORD, (k1 + 6 * WEYL_1) & WORD)
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, (k0 + 7 * WEYL_0) & WORD, (k1 + 7 * WEYL_1) & WORD)
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, (k0 + 8 * WEYL_0) & WORD, (k1 + 8 * WEYL_1) & WORD)
    return _round(c0, c1, c2, c3, (k0 + 9 * WEYL_0) & WORD, (k1 + 9 * WEYL_1) & WORD)


@inlined
def uniform(word: int) -> float:
    """A word as a number strictly between 0 and 1.

    >>> uniform(0) == 2.0**-33, uniform(2**32 - 1) == 1.0 - 2.0**-33
    (True, True)
    """
    return ((double_of(word | TWO_52_BITS) - TWO_52) + 0.5) * PER_WORD


@inlined
def normal_pair(radius_word: int, angle_word: int) -> tuple[float, float]:
    """Two independent normal numbers from two words.

    >>> z, w = normal_pair(1 << 31, 0)
    >>> abs(z * z + w * w - 2 * math.log(2)) < 1e-9
    True
    """
    radius = math.sqrt(-2.0 * log_ratio(uniform(radius_word), 1.0))
    angle = (double_of((angle_word & QUARTER_WORD) | TWO_52_BITS) - TWO_52 + 0.5) * ANGLE_STEP - math.pi / 4
    x = angle * angle
    x2 = x * x
    sine = ((1.0 + S1 * x) + (S2 + S3 * x) * x2) + ((S4 + S5 * x) + (S6 + S7 * x) * x2) * (x2 * x2)
    sine = radius * angle * sine
    cosine = ((1.0 + C1 * x) + (C2 + C3 * x) * x2) + ((C4 + C5 * x) + (C6 + C7 * x) * x2) * (x2 * x2)
    cosine = radius * (cosine + C8 * (x2 * x2) * (x2 * x2))
    swap = (angle_word >> 30) & 1
    sign = 1.0 - 2.0 * (double_of(((angle_word >> 31) & 1) | TWO_52_BITS) - TWO_52)
    return sign * (sine if swap else cosine), sign * (cosine if swap else sine)


@compiled("(i8, i8, i8, f8[:, ::1])")
def fill_normals(seed: int, stream: int, first_path: int, out: FloatArray) -> None:
    """Fill out (steps, paths); see `normals`."""
    steps, paths = out.shape
    k0, k1 = seed & WORD, (seed >> 32) & WORD
    spare = np.empty(paths)
    for group in range((steps + 3) // 4):
        step = 4 * group
        r0 = out[step]
        r1 = out[step + 1] if step + 1 < steps else spare
        r2 = out[step + 2] if step + 2 < steps else spare
        r3 = out[step + 3] if step + 3 < steps else spare
        for p in range(paths):
            w0, w1, w2, w3 = philox(group, first_path + p, stream, 0, k0, k1)
            r0[p], r1[p] = normal_pair(w0, w1)
            r2[p], r3[p] = normal_pair(w2, w3)


def normals(seed: int, steps: int, paths: int, *, stream: int = 0, first_path: int = 0) -> FloatArray:
    """Independent standard normal numbers, (steps, paths).

    Errors: ValueError for a negative count or a seed, stream or path that its words cannot hold.

    >>> z = normals(7, 8, 1000)
    >>> bool((normals(7, 8, 10, first_path=90) == z[:, 90:100]).all())
    True
    """
    check_seed(seed)
    if min(steps, paths, first_path, stream) < 0 or first_path + paths > WORD or stream > WORD:
        raise ValueError(
            f"NORMALS: steps {steps}, paths {paths}, first path {first_path}, stream {stream}: "
            f"allowed are numbers from 0, paths and streams up to {WORD}"
        )
    out = np.empty((steps, paths))
    fill_normals(seed, stream, first_path, out)
    return out


def check_seed(seed: int) -> None:
    """ValueError for a seed that does not fit into the key's two words (less the sign of an int64)."""
    if not 0 <= seed < 2**63:
        raise ValueError(f"SEED: {seed}: allowed is a whole number from 0 to {2**63 - 1}")
