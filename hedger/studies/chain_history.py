"""How the vols of one coin moved with its price, snapshot after snapshot: what the hedges of the study know
of risk.

Vols are followed at fixed strikes, because that is what a position earns by: an at-the-money vol rises
along the skew when the price falls although no option's own vol has moved. Between neighbouring snapshots
the changes of all liquid options' vols are fitted by

    dvol_i = dL w(T_i) + dB s(T_i)        w = (30 d / T)^1/2, s = ln(T / 30 d) / ln(120 d / 14 d)

weighted by vega; L and B are the level and slope whose covariance with the return `risk.factor_history` takes
over weeks. How the level goes with the return changes within days, above all in a fall: that regression
β = sum r dL / sum r² has its own short memory (half-life BETA_HALF_LIFE_DAYS, and a prior of β = 0 worth
BETA_PRIOR_DAYS of ordinary returns). Pure.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hedger.studies.chain_market import View
from pricing.universe import FloatArray
from risk.factor_history import (
    LONG_DAYS,
    SHORT_DAYS,
    FactorCovariance,
    FactorHistory,
    FactorMark,
    factor_covariance,
    level_weight,
    slope_tilt,
)

BETA_HALF_LIFE_DAYS = 2.0
BETA_PRIOR_DAYS = 1.0
ORDINARY_RETURN = 0.03  # a day
HISTORY_DAYS = 90.0
#: Options whose vol moves are fitted: days to live, |delta|, and how many at least.
DAYS_FITTED, DELTA_FITTED, COUNT_FITTED = 2.0, 0.15, 6
_DAY_NS = 86_400 * 10**9
#: What a slope mark shows of a move of the level alone.
_SLOPE_BY_LEVEL = float(level_weight(np.array(LONG_DAYS)) - level_weight(np.array(SHORT_DAYS)))


@dataclass(frozen=True, slots=True, eq=False)
class Moves:
    """What was seen so far. squares, products: faded sums of r² and of r dL."""

    history: FactorHistory
    last: View | None = None
    level: float = 0.0
    slope: float = 0.0
    squares: float = 0.0
    products: float = 0.0

    @classmethod
    def of(cls, underlying: str) -> Moves:
        """Nothing seen yet."""
        return cls(FactorHistory((underlying,)))

    def after(self, view: View) -> Moves:
        """With one more snapshot."""
        if self.last is None:
            level = _level(view)
            mark = FactorMark(view.now_ns, (view.spot,), (level,), (0.0,))
            return replace(self, last=view, level=level, history=self.history.with_mark(mark, HISTORY_DAYS))
        r = float(np.log(view.spot / self.last.spot))
        d_level, d_slope = vol_moves(self.last, view)
        fade = 0.5 ** ((view.now_ns - self.last.now_ns) / _DAY_NS / BETA_HALF_LIFE_DAYS)
        level, slope = self.level + d_level, self.slope + d_slope + _SLOPE_BY_LEVEL * d_level
        mark = FactorMark(view.now_ns, (view.spot,), (level,), (slope,))
        return Moves(
            history=self.history.with_mark(mark, HISTORY_DAYS),
            last=view,
            level=level,
            slope=slope,
            squares=self.squares * fade + r * r,
            products=self.products * fade + r * d_level,
        )

    @property
    def beta(self) -> float:
        """Move of the 30-day vol per unit return, of late."""
        return self.products / (self.squares + BETA_PRIOR_DAYS * ORDINARY_RETURN**2)

    def covariance(self, now_ns: int) -> FactorCovariance:
        """Per year, of return, square, vol and slope: trailing, with the recent β between return and vol.

        dL = β r + rest; the rest keeps its trailing variance, so that the matrix stays positive semidefinite.
        """
        slow = factor_covariance(self.history, now_ns)
        rest = slow.matrix.copy()
        old = rest[2, 0] / rest[0, 0]
        # take the old dependence on the return out of the vol, put the recent one in
        change = np.eye(4)
        change[2, 0] = self.beta - old
        return replace(slow, matrix=np.asarray(change @ rest @ change.T))


def vol_moves(before: View, after: View) -> tuple[float, float]:
    """(dL, dB) between two snapshots; 0 where too few options tell."""
    _, i, j = np.intersect1d(before.at, after.at, return_indices=True)
    liquid = before.tradable[i] & after.tradable[j] & (after.days[j] >= DAYS_FITTED)
    liquid &= (np.abs(before.delta[i]) >= DELTA_FITTED) & (np.abs(before.delta[i]) <= 1.0 - DELTA_FITTED)
    i, j = i[liquid], j[liquid]
    if i.size < COUNT_FITTED:
        return 0.0, 0.0
    days = after.days[j]
    x = np.stack([level_weight(days), slope_tilt(days)])
    w = before.vega_weighted[i]
    y = after.vol[j] - before.vol[i]
    normal = (x * w) @ x.T
    if np.linalg.cond(normal) > 1e8:  # one expiry tells the level alone
        return float((x[0] * w) @ y / normal[0, 0]), 0.0
    level, slope = np.linalg.solve(normal, (x * w) @ y)
    return float(level), float(slope)


def _level(view: View) -> float:
    """A vol to begin with: the vega-weighted mean."""
    weights: FloatArray = view.vega_weighted
    return float(weights @ view.vol / weights.sum()) if weights.sum() > 0 else 0.6
