"""What risk costs, and whether a hedge is worth its price.

Risk carried for a holding time costs risk_aversion / 2 times the variance of its P&L (mean-variance, and the
small-risk limit of exponential utility). Of one underlying, with D = delta in USD per unit relative move, G =
gamma in USD per squared relative move (gamma S^2), V = vega in USD per 1.00 of the 30-day vol, sigma its vol
per year and nu the standard deviation of that vol over a root year:

    variance = D^2 sigma^2 h  +  1/2 (G sigma^2 H)^2  +  V^2 nu^2 H

h is the holding time of delta hedges, H that of option hedges, years; r ~ N(0, sigma^2 H) has Var(r^2) = 2
sigma^4 H^2, hence the 1/2. Underlyings and factors count as uncorrelated here. A hedge is worth its price if
the fall of the risk's cost is at least that.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from hedger.sections.policy import RiskConfig
from pricing.daycount import DAYS_PER_YEAR, HOURS_PER_YEAR


@dataclass(frozen=True, slots=True)
class RiskFactors:
    """What moves the P&L of one underlying, USD: D, G and V as above; vol per year, NaN where unknown."""

    delta_usd: float
    gamma_usd: float
    vega_usd: float
    vol: float


def variance_usd2(factors: RiskFactors, delta_years: float, option_years: float, vol_sd: float) -> float:
    """Variance of the P&L over the holding times, USD^2; vol_sd: of the vol over a root year.

    >>> variance_usd2(RiskFactors(1e6, 0.0, 0.0, 0.5), 0.01, 0.01, 1.0)
    2500000000.0
    """
    squared = factors.vol**2
    delta = factors.delta_usd**2 * squared * delta_years
    gamma = 0.5 * (factors.gamma_usd * squared * option_years) ** 2
    vega = (factors.vega_usd * vol_sd) ** 2 * option_years
    return delta + gamma + vega


def risk_cost_usd(factors: Iterable[RiskFactors], risk: RiskConfig, horizon_h: float | None = None) -> float:
    """What carrying the risk costs, USD: over the holding times, or all of it over one horizon."""
    delta_h = risk.delta_holding_h if horizon_h is None else horizon_h
    option_h = risk.option_holding_h if horizon_h is None else horizon_h
    vol_sd = risk.vol_sd_points_per_day / 100.0 * math.sqrt(DAYS_PER_YEAR)
    variances = (
        variance_usd2(f, delta_h / HOURS_PER_YEAR, option_h / HOURS_PER_YEAR, vol_sd) for f in factors
    )
    return 0.5 * risk.risk_aversion * math.fsum(variances)


@dataclass(frozen=True, slots=True)
class Worth:
    """A hedge against doing without it: USD of risk it saves, and its cost. NaN where not known."""

    benefit_usd: float
    cost_usd: float
    benefit_min: float = 1.0

    @property
    def yes(self) -> bool | None:
        """Worth its price; None where the benefit is not known."""
        known = math.isfinite(self.benefit_usd) and math.isfinite(self.cost_usd)
        return self.benefit_usd >= self.benefit_min * self.cost_usd if known else None

    @property
    def break_even_usd(self) -> float:
        """The cost at which it would be worth it, and no higher."""
        return max(self.benefit_usd / self.benefit_min, 0.0)
