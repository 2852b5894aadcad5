"""Logarithm, exponential and Mills ratio against many digits, and where their coefficients come from."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import mpmath as mp
import numpy as np
import pytest

from pricing.elementary import (
    ATANH,
    EXP,
    EXP_FLOOR,
    LN2,
    LN2_REST,
    MILLS_P,
    MILLS_Q,
    exp_of_negative,
    log_ratio,
    mills,
    mills_pair,
)

EPSILON = 2.0**-52


def chebyshev(low: Any, high: Any, count: int) -> list[Any]:
    """The Chebyshev points of an interval."""
    middle, half = (low + high) / 2, (high - low) / 2
    return [middle + half * mp.cos(mp.pi * (2 * k + 1) / (2 * count)) for k in range(count)]


def interpolating(function: Callable[[Any], Any], points: Sequence[Any]) -> list[float]:
    """Coefficients of the polynomial through the function at these points, rounded."""
    powers = mp.matrix([[x**k for k in range(len(points))] for x in points])
    return [float(c) for c in mp.lu_solve(powers, mp.matrix([function(x) for x in points]))]


def exact_mills(y: Any) -> Any:
    return mp.erfc(y / mp.sqrt(2)) / 2 / mp.npdf(y)


def worst_error(found: Sequence[float], wanted: Sequence[Any]) -> float:
    """The largest relative error, in units in the last place."""
    return max(
        float(abs((mp.mpf(a) - b) / b)) / EPSILON if b else abs(a) / EPSILON
        for a, b in zip(found, wanted, strict=True)
    )


def test_coefficients_of_the_logarithm() -> None:
    """Through 2 atanh(s)/s in u = s², |s| up to a little more than (1.5 − 1)/(1.5 + 1) = 0.2."""
    with mp.workdps(70):
        points = chebyshev(mp.mpf(0), mp.mpf("0.0405"), len(ATANH))
        assert interpolating(lambda u: 2 * mp.atanh(mp.sqrt(u)) / mp.sqrt(u), points) == list(ATANH)


def test_coefficients_of_the_exponential() -> None:
    with mp.workdps(70):
        end = mp.mpf("1.0001") * mp.log(2) / 2
        assert interpolating(mp.exp, chebyshev(-end, end, len(EXP))) == list(EXP)
        assert float(mp.log(2)) == LN2
        assert float(mp.log(2) - mp.mpf(LN2)) == LN2_REST


def test_coefficients_of_the_mills_ratio() -> None:
    """P(y) − M(y) Q(y) = 0 at the Chebyshev points of t, with y = −1 + 3 (1 + t)/(1 − t) from −1 to ∞."""
    free_p, free_q = len(MILLS_P) - 1, len(MILLS_Q) - 1
    with mp.workdps(70):
        rows, right = [], []
        for t in chebyshev(mp.mpf(-1), mp.mpf(1), free_p + free_q):
            y = -1 + 3 * (1 + t) / (1 - t)
            m = exact_mills(y)
            rows.append([y**k for k in range(free_p)] + [-m * y**k for k in range(free_q)])
            right.append(m * y**free_q - y**free_p)
        found = [float(c) for c in mp.lu_solve(mp.matrix(rows), mp.matrix(right))]
    assert found == [*MILLS_P[:-1], *MILLS_Q[:-1]]
    assert MILLS_P[-1] == MILLS_Q[-1] == 1.0


def test_logarithms_of_ratios_to_the_last_digit() -> None:
    rng = np.random.default_rng(1)
    a = 10.0 ** rng.uniform(-307, 308, 1_500)
    b = 10.0 ** rng.uniform(-307, 308, 1_500)
    close = a[:700] * (1.0 + 10.0 ** rng.uniform(-15, 0, 700) * rng.choice([-0.9, 1.0], 700))
    neighbours = np.nextafter(a[700:1_000], math.inf)
    around = a[1_000:1_300] * rng.uniform(0.6, 1.7, 300)  # where the power of two changes
    b[:1_300] = np.concatenate([close, neighbours, around])
    pairs = [(x, y) for x, y in zip(a.tolist(), b.tolist(), strict=True) if y < 1e308]
    pairs += [(x, x * f) for x in (1.0, 1.5, 60_000.0) for f in (0.5, 2 / 3, 0.75, 1.0, 4 / 3, 1.5, 2.0)]
    with mp.workdps(60):
        wanted = [mp.log(mp.mpf(x) / mp.mpf(y)) for x, y in pairs]
        assert worst_error([log_ratio(x, y) for x, y in pairs], wanted) <= 4.0
    assert log_ratio(3.0, 3.0) == 0.0


def test_exponentials_to_the_last_digit() -> None:
    rng = np.random.default_rng(2)
    halves = LN2 * (np.arange(-1_000, 0) + 0.5)  # where the power of two changes
    arguments = [0.0, -1e-300, -1e-17, EXP_FLOOR + 1e-9]
    arguments += (-(10.0 ** rng.uniform(-18, 2.85, 1_000))).tolist()
    arguments += [q for q in (halves * (1.0 + 1e-15)).tolist() if q > EXP_FLOOR]
    arguments = [q for q in arguments if q > EXP_FLOOR]
    with mp.workdps(60):
        assert worst_error([exp_of_negative(q) for q in arguments], [mp.exp(q) for q in arguments]) <= 1.5
    assert [exp_of_negative(q) for q in (EXP_FLOOR, -709.0, -1e300, -math.inf)] == [0.0] * 4


@pytest.mark.parametrize(("low", "high", "units"), [(-1.0, -0.5, 40.0), (-0.5, 8.0, 6.0), (8.0, 1e4, 8.0)])
def test_mills_ratios(low: float, high: float, units: float) -> None:
    arguments = [low, high, *np.random.default_rng(3).uniform(low, high, 600).tolist()]
    with mp.workdps(60):
        wanted = [exact_mills(mp.mpf(y)) for y in arguments]
        assert worst_error([mills(y) for y in arguments], wanted) <= units


def test_mills_ratios_far_out() -> None:
    arguments = [1e8, 1.0001e8, 1e200, *(10.0 ** np.random.default_rng(3).uniform(4, 8, 400)).tolist()]
    with mp.workdps(60):
        wanted = [asymptotic_mills(mp.mpf(y)) for y in arguments]
        assert worst_error([mills(y) for y in arguments], wanted) <= 8.0
    assert mills(math.inf) == 0.0


def asymptotic_mills(y: Any) -> Any:
    """M(y) = 1/y (1 − 1/y² + 3/y⁴ − 15/y⁶ + ...), to 25 digits and more beyond 10⁴."""
    v = 1 / (y * y)
    return (1 - v * (1 - 3 * v * (1 - 5 * v * (1 - 7 * v * (1 - 9 * v * (1 - 11 * v)))))) / y


@pytest.mark.parametrize("w", [1e-9, 1e-5, 1e-3, 0.1, 1.0, 2.0])
def test_differences_of_mills_ratios_keep_their_digits(w: float) -> None:
    """M(y) − M(y + w), also where the two agree in nine digits."""
    rng = np.random.default_rng(4)
    arguments = [
        -0.5 * w,
        0.0,
        *rng.uniform(-0.5 * w, 4.0, 100).tolist(),
        *rng.uniform(4.0, 40.0, 50).tolist(),
    ]
    found = []
    for y in arguments:
        p, dp, q, dq = mills_pair(y, w)
        found.append(w * (p * dq - dp * q) / (q * (q + w * dq)))
    with mp.workdps(60):
        wanted = [exact_mills(mp.mpf(y)) - exact_mills(mp.mpf(y) + mp.mpf(w)) for y in arguments]
        assert worst_error(found, wanted) <= 70.0
