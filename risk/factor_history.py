"""What moves an options book, as a trailing covariance: return, its square, vol level and slope.

Per underlying four factors, and all of them together over underlyings:

    return   r, the log return of the perpetual (the index where there is none)
    square   1/2 r^2, less what is expected of it: gamma's own factor, not a function of delta's
    vol      change of the 30-day at-the-money vol L; a tenor of T days moves by (30 / T)^1/2 of it
    slope    change of what 120-day vol is above 14-day vol, beyond what the level explains

Moves are taken over a fixed step, overlapping; weights halve with every half-life. What the past does not
say is a stated prior, worth `prior_days` of observation: with a long history it fades, with none it is all
there is. The result is positive semidefinite whatever was missing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pricing.contracts import Kind
from pricing.daycount import NS_PER_DAY, NS_PER_SECOND
from pricing.universe import FloatArray
from pricing.valuation import MarkStatus, Valuation

FACTORS = ("return", "square", "vol", "slope")
DAYS_PER_YEAR = 365.0
#: Tenor of the vol level, and the two between which the slope is taken, days.
LEVEL_DAYS, SHORT_DAYS, LONG_DAYS = 30.0, 14.0, 120.0
#: Vol of T days moves by (LEVEL_DAYS / T)^VOL_POWER of the level, T at least a day: as weighted vega has it.
VOL_POWER = 0.5
#: Daily crypto returns: fourth moment over squared variance; Var(r^2 / 2) = (KURTOSIS - 1) / 4 of its square.
KURTOSIS = 6.0
#: A slope is only taken from a term structure that reaches below and beyond these tenors, days.
SLOPE_FROM_DAYS, SLOPE_TO_DAYS = 30.0, 60.0


@dataclass(frozen=True, slots=True)
class FactorMark:
    """What the factors stood at, by underlying (u,): USD, vol 1.0 = 100 %; NaN where unknown."""

    now_ns: int
    spot: tuple[float, ...]
    level: tuple[float, ...]
    slope: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class FactorHistory:
    """Marks of some underlyings, oldest first. Times never go back: a mark that is not newer is refused."""

    underlyings: tuple[str, ...]
    marks: tuple[FactorMark, ...] = ()

    def with_mark(self, mark: FactorMark, window_days: float = math.inf) -> FactorHistory:
        """One more mark; those older than the window fall out. ValueError when time does not go on."""
        if self.marks and mark.now_ns <= self.marks[-1].now_ns:
            raise ValueError(f"a mark at {mark.now_ns} is not after the last at {self.marks[-1].now_ns}")
        if len(mark.spot) != len(self.underlyings):
            raise ValueError(f"a mark of {len(mark.spot)} underlyings; the history is of {self.underlyings}")
        oldest = mark.now_ns - window_days * NS_PER_DAY
        return FactorHistory(self.underlyings, (*(m for m in self.marks if m.now_ns >= oldest), mark))

    def until(self, now_ns: int) -> FactorHistory:
        """What was known at a time."""
        return FactorHistory(self.underlyings, tuple(m for m in self.marks if m.now_ns <= now_ns))


@dataclass(frozen=True, slots=True)
class FactorSettings:
    """How the past becomes a covariance, and what is taken for granted without one.

    step_h: hours of a move. halflife_days, window_days: of the weights. prior_days: days of observation that
    the prior weighs. vol: of returns per year where the options tell none. vol_points_per_day,
    slope_points_per_day: standard deviations, vol points. correlation: of the same factor of two underlyings.
    """

    step_h: float = 24.0
    halflife_days: float = 20.0
    window_days: float = 90.0
    prior_days: float = 10.0
    vol: float = 0.6
    vol_points_per_day: float = 3.0
    slope_points_per_day: float = 2.0
    correlation: float = 0.7


@dataclass(frozen=True, slots=True, eq=False)
class FactorCovariance:
    """names (f,), `return:BTC`, ...: the four of each underlying in turn; matrix (f, f) per year, positive
    semidefinite. moves (f,): effective number of moves seen; prior_share (f,): weight of the prior."""

    names: tuple[str, ...]
    matrix: FloatArray
    moves: FloatArray
    prior_share: FloatArray

    def between(self, first: str, second: str) -> float:
        """One entry by names."""
        return float(self.matrix[self.names.index(first), self.names.index(second)])


def factor_names(underlyings: Sequence[str]) -> tuple[str, ...]:
    """Names of the factors.

    >>> factor_names(["BTC"])
    ('return:BTC', 'square:BTC', 'vol:BTC', 'slope:BTC')
    """
    return tuple(f"{factor}:{name}" for name in underlyings for factor in FACTORS)


def atm_curve(valuation: Valuation, underlying: str) -> tuple[FloatArray, FloatArray]:
    """Days to expiry and at-the-money vol of every expiry, ascending; empty without options.

    Put and call of a strike count alike; between the two strikes around the forward a straight line in
    log-strike, so that the vol does not jump when the forward passes the middle of two strikes.
    """
    universe = valuation.universe
    mine = universe.is_option & universe.where_underlying(underlying) & (valuation.status == MarkStatus.OK)
    at = np.flatnonzero(mine & ~valuation.in_window & (valuation.vol > 0))
    x = np.log(universe.strike[at] / valuation.forward[at])
    days, vols = [], []
    for expiry in np.unique(universe.expiry_ns[at]).tolist():
        rows = universe.expiry_ns[at] == expiry
        strikes, group = np.unique(x[rows].round(9), return_inverse=True)
        smile = np.bincount(group, valuation.vol[at][rows]) / np.bincount(group)
        days.append(float(valuation.years[at][rows][0]) * DAYS_PER_YEAR)
        vols.append(float(np.interp(0.0, strikes, smile)))
    return np.array(days), np.array(vols)


def constant_maturity(days: FloatArray, vols: FloatArray, tenor_days: float) -> float:
    """Vol at a tenor: total variance in a straight line between expiries, the nearest vol beyond; else NaN.

    >>> constant_maturity(np.array([10.0, 40.0]), np.array([0.5, 0.5]), 20.0)
    0.5
    """
    if not days.size:
        return math.nan
    tenor = min(max(tenor_days, float(days[0])), float(days[-1]))
    return math.sqrt(float(np.interp(tenor, days, vols**2 * days)) / tenor)


def factor_mark(valuation: Valuation, underlyings: Sequence[str]) -> FactorMark:
    """Where the factors stand in a market. Options within a day of expiry tell no vol."""
    spot, level, slope = [], [], []
    universe = valuation.universe
    for name in underlyings:
        known = name in universe.underlyings
        perpetual = (universe.kind == Kind.PERPETUAL) & (valuation.status == MarkStatus.OK)
        perpetual &= universe.where_underlying(name) if known else False
        index = float(valuation.spot[universe.underlyings.index(name)]) if known else math.nan
        spot.append(float(np.median(valuation.forward[perpetual])) if perpetual.any() else index)
        days, vols = atm_curve(valuation, name) if known else (np.empty(0), np.empty(0))
        days, vols = days[days > 1.0], vols[days > 1.0]
        level.append(constant_maturity(days, vols, LEVEL_DAYS))
        reaches = days.size > 1 and days[0] <= SLOPE_FROM_DAYS and days[-1] >= SLOPE_TO_DAYS
        long, short = (constant_maturity(days, vols, tenor) for tenor in (LONG_DAYS, SHORT_DAYS))
        slope.append(long - short if reaches else math.nan)
    return FactorMark(valuation.now_ns, tuple(spot), tuple(level), tuple(slope))


def level_weight(days: FloatArray) -> FloatArray:
    """What a tenor's vol moves by when the level moves by 1: (30 / T)^1/2, T at least a day."""
    return (LEVEL_DAYS / np.maximum(days, 1.0)) ** VOL_POWER


def slope_tilt(days: FloatArray) -> FloatArray:
    """What a tenor's vol moves by when the slope moves by 1: ln(T / 30) / ln(120 / 14), T from 1 to 365 days.

    0 at 30 days, and 1 more at 120 than at 14.
    """
    return np.log(np.clip(days, 1.0, 365.0) / LEVEL_DAYS) / math.log(LONG_DAYS / SHORT_DAYS)


def factor_moves(history: FactorHistory, step_h: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Moves over a step, overlapping: ends (t,) ns, lengths (t,) years, moves (t, f); NaN where unknown.

    A move ends at every mark and begins at the last one at least a step before it, at most one and a half.
    """
    times = np.array([m.now_ns for m in history.marks], dtype=np.int64)
    f = len(history.underlyings) * len(FACTORS)
    if times.size < 2:
        return np.empty(0), np.empty(0), np.empty((0, f))
    step = step_h * 3600.0 * NS_PER_SECOND
    # marks that come late by a share of the step still make a step
    begin = np.searchsorted(times, times - 0.95 * step, side="right") - 1
    length = times - times[np.maximum(begin, 0)]
    good = np.flatnonzero((begin >= 0) & (length <= 1.5 * step))
    begin = begin[good]
    spot, level, slope = (
        np.array([getattr(m, name) for m in history.marks]) for name in ("spot", "level", "slope")
    )
    years = (length[good] / NS_PER_DAY) / DAYS_PER_YEAR
    with np.errstate(invalid="ignore", divide="ignore"):
        r = np.log(spot[good] / spot[begin])
    by_level = float(level_weight(np.array(LONG_DAYS)) - level_weight(np.array(SHORT_DAYS)))
    d_level = level[good] - level[begin]
    d_slope = slope[good] - slope[begin] - by_level * d_level
    moves = np.stack([r, 0.5 * r**2, d_level, d_slope], axis=2)
    return times[good].astype(float), years, moves.reshape(len(good), f)


def factor_covariance(
    history: FactorHistory, now_ns: int, settings: FactorSettings | None = None
) -> FactorCovariance:
    """The trailing covariance of all factors, per year; nothing after `now_ns` counts.

    C = (w S + p P) / (w + p), element by element: S the weighted mean of products of moves seen together, w
    the days of observation they stand for, P the prior and p its days; then the nearest positive
    semidefinite matrix (negative eigenvalues of the correlations are cut off).
    """
    settings = settings if settings is not None else FactorSettings()
    past = history.until(now_ns)
    names = factor_names(past.underlyings)
    ends, years, moves = factor_moves(past, settings.step_h)
    prior = _prior(past, settings)
    age = (now_ns - ends) / NS_PER_DAY
    weight = np.where(age <= settings.window_days, 0.5 ** (age / settings.halflife_days), 0.0)
    square = np.tile(np.array([name == "square" for name in FACTORS]), len(past.underlyings))
    seen = np.isfinite(moves)
    total = weight @ seen
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(square & (total > 0), weight @ np.where(seen, moves, 0.0) / total, 0.0)
    # per root year, so that a longer move does not count for more
    scaled = np.where(seen, (moves - mean) / np.sqrt(years)[:, None], 0.0)
    both = (weight[:, None] * seen).T @ seen
    products = (weight[:, None] * scaled).T @ scaled
    with np.errstate(invalid="ignore", divide="ignore"):
        sample = np.where(both > 0, products / both, 0.0)
    # overlapping moves: a day of marks is a day of observation, however many there are
    span = (ends[-1] - ends[0]) / NS_PER_DAY + settings.step_h / 24.0 if ends.size else 0.0
    observed = both / max(weight.sum(), 1e-300) * _days_observed(weight, span)
    matrix = (observed * sample + settings.prior_days * prior) / (observed + settings.prior_days)
    days = np.diag(observed)
    return FactorCovariance(
        names=names,
        matrix=positive_semidefinite(matrix),
        moves=days * 24.0 / settings.step_h,
        prior_share=settings.prior_days / (days + settings.prior_days),
    )


def _days_observed(weight: FloatArray, span_days: float) -> float:
    """Days that weighted observation over a span stands for: (sum w)^2 / sum w^2 of its marks, in days."""
    if not weight.any():
        return 0.0
    return float(weight.sum() ** 2 / (weight**2).sum()) / np.count_nonzero(weight) * span_days


def _prior(history: FactorHistory, settings: FactorSettings) -> FloatArray:
    """What is taken for granted, (f, f) per year; the options' own vol for returns where they tell one."""
    u = len(history.underlyings)
    last = np.array([m.level for m in history.marks]).reshape(-1, u)
    step_years = settings.step_h / 24.0 / DAYS_PER_YEAR
    sd = np.empty((u, len(FACTORS)))
    for i in range(u):
        known = last[np.isfinite(last[:, i]), i]
        vol = float(known[-1]) if known.size else settings.vol
        per_root_year = math.sqrt(DAYS_PER_YEAR) / 100.0
        sd[i] = (
            vol,
            vol**2 * math.sqrt(0.25 * (KURTOSIS - 1.0) * step_years),
            settings.vol_points_per_day * per_root_year,
            settings.slope_points_per_day * per_root_year,
        )
    across = np.full((u, u), settings.correlation) + (1.0 - settings.correlation) * np.eye(u)
    flat = sd.ravel()
    return np.kron(across, np.eye(len(FACTORS))) * np.outer(flat, flat)


def positive_semidefinite(matrix: FloatArray) -> FloatArray:
    """The matrix itself where it is positive semidefinite; else with the negative eigenvalues of its
    correlations cut off, and its own variances.

    >>> positive_semidefinite(np.array([[1.0, 2.0], [2.0, 1.0]])).round(6)
    array([[1., 1.],
           [1., 1.]])
    """
    sd = np.sqrt(np.maximum(np.diag(matrix), 0.0))
    inverse = np.where(sd > 0, 1.0 / np.where(sd > 0, sd, 1.0), 0.0)
    correlation = 0.5 * (matrix + matrix.T) * np.outer(inverse, inverse)
    values, vectors = np.linalg.eigh(correlation)
    if not values.size or values[0] >= 0.0:
        return np.asarray(0.5 * (matrix + matrix.T))
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    size = np.sqrt((root**2).sum(axis=1))
    root = root / np.where(size > 0, size, 1.0)[:, None] * sd[:, None]
    return np.asarray(root @ root.T)


def spot_vol_lean(vega_usd: float, covariance: FactorCovariance, underlying: str, spot: float) -> float:
    """Where a delta target goes so that the vol moves that come with spot moves are hedged too, coins.

        shift = -vega cov(dL, r) / (var(r) S)

    The P&L delta S r + vega dL varies least at this delta; vega_usd: weighted by tenor as the level is, USD
    per 1.00 vol. NaN where the variance is not known.
    """
    variance = covariance.between(f"return:{underlying}", f"return:{underlying}")
    both = covariance.between(f"return:{underlying}", f"vol:{underlying}")
    return -vega_usd * both / (variance * spot) if variance > 0 else math.nan
