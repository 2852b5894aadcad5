"""The options of a book on one underlying, as a delta band needs them: which way gamma lies, and how far the
delta may be wrong."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pricing import black76
from pricing.daycount import HOURS_PER_YEAR
from pricing.universe import BoolArray, FloatArray
from pricing.valuation import MarkStatus, Numeraire, Valuation

#: Tenor of the vol that stands for an underlying.
VOL_TENOR_YEARS = 30.0 / 365.0


@dataclass(frozen=True, slots=True, eq=False)
class OptionLegs:
    """Options held that can be valued, outside their settlement window; (k,) each.

    coins: signed. gamma: of the position, coins per USD, Black-76 on its forward.
    """

    numeraire: Numeraire
    spot: float
    coins: FloatArray
    forward: FloatArray
    strike: FloatArray
    years: FloatArray
    vol: FloatArray
    sign: FloatArray
    inverse: BoolArray
    gamma: FloatArray

    @property
    def long_gamma(self) -> float:
        """Gamma of the options owned, >= 0."""
        return float(self.gamma[self.gamma > 0].sum())

    @property
    def short_gamma(self) -> float:
        """Gamma of the options sold, <= 0."""
        return float(self.gamma[self.gamma < 0].sum())

    def by_gamma(self, values: FloatArray) -> float:
        """Mean of a column, weighted by the size of each position's gamma; NaN without gamma."""
        weight = np.abs(self.gamma)
        total = float(weight.sum())
        return float(weight @ values) / total if total > 0 else math.nan

    def delta(self, vol: FloatArray) -> float:
        """Delta of all positions at other vols, in the numeraire, coins."""
        g = black76.greeks(self.forward, self.strike, self.years, vol, self.sign)
        return float(self.coins @ self._in_numeraire(g.delta, g.price))

    def vanna(self) -> float:
        """Change of the book's delta when all vols rise together, coins per 1.00 vol."""
        if not self.coins.size:
            return 0.0
        arguments = self.forward, self.strike, self.years, self.vol, self.sign
        by_vol = black76.higher_greeks(*arguments).vanna
        vega = black76.greeks(*arguments).vega
        return float(self.coins @ self._in_numeraire(by_vol, vega))

    def _in_numeraire(self, delta: FloatArray, value: FloatArray) -> FloatArray:
        """Delta per coin as the delta row counts it, from dV/dF and V; or their derivatives by vol."""
        if self.numeraire is Numeraire.USD:
            return np.where(self.inverse, delta, delta * self.forward / self.spot)
        linear = (delta * self.forward - value) / self.spot
        return np.where(self.inverse, delta - value / self.forward, linear)


def option_legs(
    quantities: FloatArray, valuation: Valuation, underlying: str, numeraire: Numeraire
) -> OptionLegs:
    """The legs of one underlying; quantities (n,) in order units."""
    universe = valuation.universe
    u = universe.underlyings.index(underlying)
    ok = (valuation.status == MarkStatus.OK) & universe.is_option & (universe.underlying == u)
    at = np.flatnonzero(ok & (quantities != 0) & ~valuation.in_window)
    return OptionLegs(
        numeraire=numeraire,
        spot=float(valuation.spot[u]),
        coins=quantities[at] * universe.size[at],
        forward=valuation.forward[at],
        strike=universe.strike[at],
        years=valuation.years[at],
        vol=valuation.vol[at],
        sign=universe.sign[at],
        inverse=universe.inverse[at],
        gamma=quantities[at] * valuation.usd.gamma[at],
    )


def hours_to_expiry(quantities: FloatArray, valuation: Valuation, underlying: str) -> float:
    """Hours until the first option held on the underlying expires; inf without one."""
    universe = valuation.universe
    mine = universe.is_option & universe.where_underlying(underlying) & (quantities != 0)
    left = valuation.years[mine]
    left = left[left >= 0]
    return float(left.min()) * HOURS_PER_YEAR if left.size else math.inf


def atm_vol(valuation: Valuation, underlying: str, tenor_years: float = VOL_TENOR_YEARS) -> float:
    """At-the-money vol at a tenor: of each expiry the mean of the options nearest its forward, total variance
    in a straight line between expiries, the nearest expiry's vol beyond them; NaN without options."""
    universe = valuation.universe
    mine = universe.is_option & universe.where_underlying(underlying) & (valuation.status == MarkStatus.OK)
    at = np.flatnonzero(mine & ~valuation.in_window & (valuation.vol > 0))
    if not at.size:
        return math.nan
    off = np.abs(np.log(universe.strike[at] / valuation.forward[at]))
    expiries, group = np.unique(universe.expiry_ns[at], return_inverse=True)
    nearest = np.full(expiries.size, np.inf)
    np.minimum.at(nearest, group, off)
    chosen = off <= nearest[group] + 1e-12
    count = np.bincount(group[chosen], minlength=expiries.size)
    vol = np.bincount(group[chosen], valuation.vol[at][chosen], minlength=expiries.size) / count
    years = np.bincount(group[chosen], valuation.years[at][chosen], minlength=expiries.size) / count
    if not years[0] < tenor_years < years[-1]:
        return float(vol[0] if tenor_years <= years[0] else vol[-1])
    return math.sqrt(float(np.interp(tenor_years, years, vol**2 * years)) / tenor_years)
