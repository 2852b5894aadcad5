"""Units in which the solvers see a frame: powers of two, so that scaling and unscaling are exact."""

from __future__ import annotations

import numpy as np

from hedger.solver.frame import Frame
from pricing.universe import FloatArray

# Feasibility on scaled rows. The default 1e-6 lets HiGHS accept lots that miss a row by money.
TOLERANCE = 1e-9


def power_of_two(x: FloatArray | float) -> FloatArray:
    """Nearest power of two, so that scaling and unscaling are exact; 1 where x is 0 or not finite.

    >>> power_of_two(5.0)
    array(4.)
    """
    x = np.asarray(x, dtype=float)
    good = np.isfinite(x) & (x > 0)
    return np.asarray(np.exp2(np.rint(np.log2(np.where(good, x, 1.0)))))


def row_scale(frame: Frame) -> FloatArray:
    """(m,) units of a row per unit of its program row: a solver tolerance is then a quarter of the row's
    tolerance."""
    return power_of_two(frame.tolerance / (4.0 * TOLERANCE))


def limit_ceiling(limits: FloatArray) -> FloatArray:
    """(P,) a limit plus the tolerance with which it was reached."""
    return limits + TOLERANCE * (1.0 + np.where(np.isfinite(limits), limits, 0.0))


def money_of(frame: Frame, price: FloatArray, matrix: FloatArray) -> float:
    """USD per unit of an LP's objective: the cheapest way to move, by one, the row that is dearest to move.

    price (k,) USD per unit of a variable, matrix (m, k) its effect on the scaled rows.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        rate = np.abs(price / matrix)
    rate = np.where(np.isfinite(rate) & (rate > 0), rate, np.inf).min(axis=1, initial=np.inf)
    outside = (frame.need_lower > 0) | (frame.need_upper < 0)
    known = np.isfinite(rate)
    chosen = rate[known & outside] if (known & outside).any() else rate[known]
    return float(power_of_two(chosen.max() if chosen.size else 1.0))
