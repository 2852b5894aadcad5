"""What a book, and one unit of every listing, gains when a risk factor moves; and the risk that adds up to.

Factors are those of `risk.factor_history`. With index S, in the USD numeraire (coin numeraire in brackets):

    return   delta S            square   gamma S^2 [gamma S]     USD per 1 (100 % return)
    vol      vega, each tenor weighted by (30 d / T)^1/2         USD per 1.00 of the 30-day vol  [times S]
    slope    vega, each tenor weighted by ln(T / 30 d) / ln(120 d / 14 d)

Options with less than `gamma_days_min` days to live are left out of `square`: their gamma is gone before a
hedge has paid for itself. Jumps are full reprices of a shocked market; there too such options count by
delta alone. The penalty of a factor exposure E with covariance C per year over a horizon H, years, and of
jumps with P&L J that come p times a year, is

    1/2 risk_aversion H (E' C E + sum over jumps of p J^2)

J^2 with its squared mean: the variance of a compound Poisson sum over H is H p E[J^2], not H p Var(J).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pricing.market import Market
from pricing.universe import FloatArray
from pricing.valuation import Numeraire, Valuation
from risk.exposures import DAYS_PER_YEAR, Exposure, ExposureSettings
from risk.factor_history import FactorCovariance, factor_names, level_weight, slope_tilt
from risk.scenarios import Scenario, Shock, scenario_row, with_scenarios


@dataclass(frozen=True, slots=True, eq=False)
class FactorExposure:
    """Gains per unit move of each factor, USD. names (f,); value (f,) of the book; traded (f, n) of one order
    unit bought at its reference price, owned (f, n) of one held; NaN where the listing cannot be valued."""

    names: tuple[str, ...]
    value: FloatArray
    traded: FloatArray
    owned: FloatArray


@dataclass(frozen=True, slots=True)
class JumpSettings:
    """A jump of every underlying at once by +-size (0.08 = 8 %), each way so many times a day."""

    size: float = 0.08
    per_day_probability: float = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class FactorRisk:
    """Risk as a sum of squares: penalty = 1/2 sum over rows of (value + per_unit @ quantity)^2, USD.

    names (k,); value (k,) of the book and per_unit (k, n) of one order unit bought, sqrt(USD). Row i of the
    factors is what factor i and those after it contribute along the i-th column of the covariance's
    triangular root; jumps follow, one row each.
    """

    names: tuple[str, ...]
    value: FloatArray
    per_unit: FloatArray


def factor_exposures(
    valuation: Valuation,
    exposure: Exposure,
    quantities: FloatArray,
    underlyings: Sequence[str],
    settings: ExposureSettings,
) -> FactorExposure:
    """Exposures of a book to the factors of some underlyings.

    Args:
        exposure: of the same book, market and settings (its delta, gamma and vega rows are used).
        quantities: (n,) signed, order units.
    """
    universe = valuation.universe
    days = valuation.years * DAYS_PER_YEAR
    option = universe.is_option
    in_coin = settings.numeraire is Numeraire.COIN
    vega = valuation.greeks(settings.numeraire).vega
    with np.errstate(invalid="ignore"):
        level = np.where(option, vega * level_weight(days), 0.0)
        slope = np.where(option, vega * slope_tilt(days), 0.0)
    counted = np.flatnonzero((quantities != 0) & np.isfinite(level))
    rows: list[tuple[float, FloatArray, FloatArray]] = []
    for name in underlyings:
        spot = float(valuation.spot[universe.underlyings.index(name)])
        mine = universe.where_underlying(name)
        for row, scale in (("delta", spot), ("gamma", spot if in_coin else spot**2)):
            at = exposure.rows.index(f"{row}:{name}")
            rows.append((exposure.value[at] * scale, exposure.traded[at] * scale, exposure.owned[at] * scale))
        for tilted in (level, slope):
            per_unit = np.where(mine, tilted, 0.0) * (spot if in_coin else 1.0)
            rows.append((float(per_unit[counted] @ quantities[counted]), per_unit, per_unit))
    n = len(universe)
    return FactorExposure(
        names=factor_names(underlyings),
        value=np.array([value for value, _, _ in rows]),
        traded=np.array([traded for _, traded, _ in rows]).reshape(-1, n),
        owned=np.array([owned for _, _, owned in rows]).reshape(-1, n),
    )


def jump_exposures(
    market: Market,
    valuation: Valuation,
    exposure: Exposure,
    quantities: FloatArray,
    balances: Mapping[str, float],
    reference: FloatArray,
    underlyings: Sequence[str],
    settings: ExposureSettings,
    jump: JumpSettings,
) -> FactorExposure:
    """P&L, USD, of a jump of every underlying at once, up and down: full reprice, vols staying with strikes.

    Options with less than `gamma_days_min` days to live count by their delta alone. Arguments as for
    `risk.scenarios.with_scenarios`.
    """
    if jump.size <= 0 or jump.per_day_probability <= 0 or not underlyings:
        n = len(valuation.universe)
        return FactorExposure((), np.zeros(0), np.zeros((0, n)), np.zeros((0, n)))
    scenarios = [Scenario(f"{size:+g}", Shock(spot=size)) for size in (jump.size, -jump.size)]
    wide = with_scenarios(
        exposure, scenarios, market, valuation, quantities, balances, reference, underlyings, settings
    )
    universe = valuation.universe
    with np.errstate(invalid="ignore"):
        expiring = universe.is_option & (valuation.years * DAYS_PER_YEAR < settings.gamma_days_min)
    held = expiring & (quantities != 0) & np.isfinite(valuation.forward)
    value, traded, owned = [], [], []
    for scenario in scenarios:
        sums = [0.0, np.zeros(len(universe)), np.zeros(len(universe))]
        for name in underlyings:
            spot = float(valuation.spot[universe.underlyings.index(name)])
            scale = spot if settings.numeraire is Numeraire.COIN else 1.0
            row = wide.rows.index(scenario_row(name, scenario.name))
            delta = exposure.rows.index(f"delta:{name}")
            linear = spot * scenario.shock.spot
            by_delta = exposure.owned[delta] * linear
            extra = np.where(expiring, by_delta - wide.owned[row] * scale, 0.0)
            mine = wide.value[row] * scale + float(extra[held] @ quantities[held])
            sums[0] = sums[0] + mine
            sums[1] = sums[1] + wide.traded[row] * scale + extra
            sums[2] = sums[2] + wide.owned[row] * scale + extra
        value.append(float(np.asarray(sums[0])))
        traded.append(np.asarray(sums[1]))
        owned.append(np.asarray(sums[2]))
    names = tuple(f"jump:{100 * s.shock.spot:+g}%" for s in scenarios)
    return FactorExposure(names, np.array(value), np.array(traded), np.array(owned))


def triangular_root(matrix: FloatArray) -> FloatArray:
    """Lower triangular L with L L' = matrix, for a positive semidefinite matrix; zero columns where it is
    singular.

    >>> triangular_root(np.array([[4.0, 2.0], [2.0, 1.0]]))
    array([[2., 0.],
           [1., 0.]])
    """
    n = len(matrix)
    root = np.zeros((n, n))
    for j in range(n):
        left = matrix[j, j] - root[j, :j] @ root[j, :j]
        if left <= 1e-12 * matrix[j, j]:
            continue
        root[j, j] = np.sqrt(left)
        root[j + 1 :, j] = (matrix[j + 1 :, j] - root[j + 1 :, :j] @ root[j, :j]) / root[j, j]
    return root


def factor_scale(
    covariance: FactorCovariance,
    jumps: int,
    jump: JumpSettings,
    risk_aversion: float,
    horizon_years: float,
) -> FloatArray:
    """(f + jumps, f + jumps): the rows of the penalty from exposures to factors, then jumps, sqrt(1/USD).

    risk_aversion: per USD; horizon_years: over which risk is carried.
    """
    f = len(covariance.names)
    scale = np.zeros((f + jumps, f + jumps))
    scale[:f, :f] = triangular_root(covariance.matrix).T
    scale[f:, f:] = np.eye(jumps) * np.sqrt(jump.per_day_probability * DAYS_PER_YEAR)
    return np.asarray(scale * np.sqrt(risk_aversion * horizon_years))


def factor_risk(
    factors: FactorExposure,
    jumps: FactorExposure,
    covariance: FactorCovariance,
    jump: JumpSettings,
    risk_aversion: float,
    horizon_years: float,
) -> FactorRisk:
    """The penalty of a book and of one unit of every listing; factors in the covariance's order.

    A listing that cannot be valued has NaN in its column: leave it out before solving.
    """
    if factors.names != covariance.names:
        raise ValueError(f"exposures to {factors.names}, a covariance of {covariance.names}")
    scale = factor_scale(covariance, len(jumps.names), jump, risk_aversion, horizon_years)
    return FactorRisk(
        names=(*factors.names, *jumps.names),
        value=scale @ np.concatenate([factors.value, jumps.value]),
        per_unit=scale @ np.concatenate([factors.traded, jumps.traded]),
    )
