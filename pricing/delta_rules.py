"""Which delta: how the vol of an option is taken to move when its forward moves.

    delta = delta_BS + vega dσ/dF

    black_scholes       dσ/dF = 0: the vol of a strike stands still (sticky strike)
    sticky_moneyness    dσ/dF = −(K/F) dσ/dK: the smile moves with the forward
    sticky_tree         dσ/dF = +dσ/dK: the smile moves against it (implied tree, local vol)
    minimum_variance    delta_BS + vega/(F √T) (a + b delta_BS + c delta_BS²), fitted to the moves of the past

The last is a regression: over pairs of snapshots in a window of the past, for calls and puts apart,

    dV − delta_BS dF − theta dt = vega/√T (dF/F) (a + b delta_BS + c delta_BS²) + error

A slope or coefficients that are not known leave an option its Black-Scholes delta, and the source says so.

Sources: Derman (1999), "Regimes of volatility"; Hull and White (2017), "Optimal delta hedging for options",
Journal of Banking and Finance 82.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from pricing.flat import FloatArray

#: Pairs whose vol moved further than this between two snapshots are taken for faults of the feed.
VOL_JUMP_MAX = 0.25
DELTA_LEAST, DELTA_MOST = 0.02, 0.98  # beyond, there is no vega to learn from


class DeltaRule(StrEnum):
    """The rules, by their names in the configuration."""

    BLACK_SCHOLES = "black_scholes"
    STICKY_MONEYNESS = "sticky_moneyness"
    STICKY_TREE = "sticky_tree"
    MINIMUM_VARIANCE = "minimum_variance"


@dataclass(frozen=True, slots=True)
class Coefficients:
    """a, b and c of one underlying and side, from `pairs` pairs of option marks in `snapshots` intervals.

    gain: part of the squared error that they would have removed inside the window; not a forecast.
    """

    a: float
    b: float
    c: float
    pairs: int
    snapshots: int
    gain: float


#: By underlying and sign (+1 calls, −1 puts).
CoefficientTable = Mapping[tuple[str, int], Coefficients]


@dataclass(frozen=True, slots=True, eq=False)
class NormalEquations:
    """Σ x xᵀ (3, 3), Σ x y (3,), Σ y² and the number of pairs, of one interval, underlying and side."""

    now_ns: int
    matrix: FloatArray
    vector: FloatArray
    square: float
    pairs: int


@dataclass(frozen=True, slots=True)
class WindowSettings:
    """The window of the regression."""

    days: float = 30.0
    pairs_min: int = 500
    snapshots_min: int = 20


def vol_move(rule: DeltaRule, strike: FloatArray, forward: FloatArray, slope: FloatArray) -> FloatArray:
    """dσ/dF under a rule that looks at the smile, per USD, from the smile's slope dσ/dK; NaN where unknown.

    Shapes: all (n,), the result too. Units: strike, forward USD; vol 1.0 = 100 %. Errors: ValueError for
    `minimum_variance`, which knows no smile. Source: Derman (1999).

    >>> vol_move(DeltaRule.STICKY_TREE, np.array([100.0]), np.array([90.0]), np.array([-1e-4]))
    array([-0.0001])
    """
    if rule is DeltaRule.BLACK_SCHOLES:
        return np.zeros_like(strike)
    if rule is DeltaRule.STICKY_MONEYNESS:
        return np.asarray(-strike / forward * slope)
    if rule is DeltaRule.STICKY_TREE:
        return np.asarray(slope * 1.0)
    raise ValueError("minimum_variance takes coefficients, not a slope: use minimum_variance_move")


def minimum_variance_move(
    delta: FloatArray, forward: FloatArray, years: FloatArray, coefficients: Coefficients
) -> FloatArray:
    """(a + b delta + c delta²)/(F √T): what stands in the place of dσ/dF, per USD.

    Shapes: all (n,), the result too. Units: delta the Black-Scholes one, coin; forward USD; years of 365
    days. Errors: none; NaN gives NaN. Source: Hull and White (2017).

    >>> known = Coefficients(a=1.0, b=2.0, c=4.0, pairs=900, snapshots=30, gain=0.1)
    >>> minimum_variance_move(np.array([0.5]), np.array([100.0]), np.array([0.25]), known)
    array([0.06])
    """
    polynomial = coefficients.a + delta * (coefficients.b + delta * coefficients.c)
    return np.asarray(polynomial / (forward * np.sqrt(years)))


@dataclass(frozen=True, slots=True, eq=False)
class OptionMarks:
    """Options at one time, per coin, (n,): value in USD, Black-Scholes Greeks, vol; NaN where unknown.

    Greeks as `pricing.black76`: per 1.00 vol, per year. underlying: position of the coin; sign: +1 call, −1
    put.
    """

    now_ns: int
    underlying: NDArray[np.int64]
    sign: FloatArray
    value: FloatArray
    delta: FloatArray
    vega: FloatArray
    theta: FloatArray
    forward: FloatArray
    years: FloatArray
    vol: FloatArray


def comparable(before: OptionMarks, after: OptionMarks) -> NDArray[np.bool_]:
    """Mask (n,) of options marked at both times by vols that a market can have moved between.

    |delta| between DELTA_LEAST and DELTA_MOST at first, alive at last, vol moved by at most VOL_JUMP_MAX.

    Errors: none; what is NaN at either time is not comparable. Source: limits of our own.
    """
    with np.errstate(invalid="ignore"):
        side = np.abs(before.delta)
        good = (side >= DELTA_LEAST) & (side <= DELTA_MOST) & (after.years > 0.0)
        return np.asarray(good & (np.abs(after.vol - before.vol) <= VOL_JUMP_MAX) & np.isfinite(after.value))


def hedge_errors(
    before: OptionMarks,
    after: OptionMarks,
    delta: FloatArray,
    hedge_before: FloatArray,
    hedge_after: FloatArray,
) -> FloatArray:
    """dV − theta dt − delta dP: what a long option gained that was hedged with `delta` of P.

    Shapes: all (n,), the result too. Units: delta coin, P and the result USD. Errors: none; NaN gives NaN.
    Source: Hull and White (2017), theta taken out as well.
    """
    elapsed = (after.now_ns - before.now_ns) / (365.0 * 86_400e9)
    return np.asarray(
        after.value - before.value - before.theta * elapsed - delta * (hedge_after - hedge_before)
    )


def normal_equations(before: OptionMarks, after: OptionMarks) -> dict[tuple[int, int], NormalEquations]:
    """What one interval adds to the regression, by (underlying, sign).

    y = (dV − delta dF − theta dt)/F, x = vega/√T (dF/F)/F (1, delta, delta²), over `comparable` options.

    Units: y and x in coins. Errors: none; options without a figure are left out. Source: the head of the
    module, after Hull and White (2017).
    """
    error = hedge_errors(before, after, before.delta, before.forward, after.forward)
    with np.errstate(invalid="ignore", divide="ignore"):
        scale = before.vega / np.sqrt(before.years) * (after.forward / before.forward - 1.0)
    usable = comparable(before, after) & np.isfinite(error) & np.isfinite(scale)
    found = {}
    for key in sorted(
        {(int(u), int(s)) for u, s in zip(before.underlying[usable], before.sign[usable], strict=True)}
    ):
        rows = usable & (before.underlying == key[0]) & (before.sign == key[1])
        # in coins: a pair counts alike whether the coin stood at 60,000 or at 2,000
        x = np.vander(before.delta[rows], 3, increasing=True) * (scale[rows] / before.forward[rows])[:, None]
        y = error[rows] / before.forward[rows]
        found[key] = NormalEquations(after.now_ns, x.T @ x, x.T @ y, float(y @ y), int(rows.sum()))
    return found


def fit_minimum_variance(
    equations: list[NormalEquations], now_ns: int, settings: WindowSettings
) -> Coefficients | None:
    """Coefficients from the intervals that ended in the window before `now_ns`; None if they are too few.

    (a, b, c) = (Σ x xᵀ)⁻¹ Σ x y, of one underlying and side.

    Units: as `NormalEquations`; a, b, c are pure numbers. Errors: none; None also where the equations are
    singular. Source: least squares of Hull and White (2017).
    """
    oldest = now_ns - round(settings.days * 86_400e9)
    inside = [e for e in equations if oldest < e.now_ns <= now_ns]
    pairs = sum(e.pairs for e in inside)
    if pairs < settings.pairs_min or len(inside) < settings.snapshots_min:
        return None
    matrix = np.sum([e.matrix for e in inside], axis=0)
    vector = np.sum([e.vector for e in inside], axis=0)
    square = sum(e.square for e in inside)
    scale = np.sqrt(np.diag(matrix))
    if not (scale > 0.0).all():
        return None
    scaled = matrix / np.outer(scale, scale)
    if np.linalg.cond(scaled) > 1e10:
        return None
    a, b, c = np.linalg.solve(scaled, vector / scale) / scale
    explained = float(vector @ np.array([a, b, c]))
    if not math.isfinite(explained):
        return None
    return Coefficients(
        float(a), float(b), float(c), pairs, len(inside), explained / square if square > 0 else 0.0
    )
