"""Models of one coin's price for studies on simulated paths: lognormal, Heston, and Merton's jumps.

`vol` is the annual volatility at the money that each model starts from; time in years, rates and drift per
year. What a call is worth: Black-Scholes at `delta_vol` plus `call_excess`, which is 0 in the first model,
an integral in the second and a series in the third.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pricing.black76 import greeks
from pricing.universe import FloatArray

#: Gauss-Legendre nodes and reach of the integral, in standard deviations of the log price.
NODES, REACH = 128, 40.0
JUMPS_MAX = 60  # of the series; its terms beyond are below 1e-16 for up to 15 jumps expected
VARIANCE_MIN = 1e-8


@dataclass(frozen=True, slots=True)
class Gbm:
    """Geometric Brownian motion: dS/S = drift dt + vol dW."""

    vol: float
    drift: float = 0.0


@dataclass(frozen=True, slots=True)
class Heston:
    """dS/S = drift dt + √v dW,  dv = reversion (vol² − v) dt + vol_of_vol √v dZ,  dW dZ = correlation dt.

    v starts at its long-run level vol².
    """

    vol: float
    reversion: float
    vol_of_vol: float
    correlation: float
    drift: float = 0.0


@dataclass(frozen=True, slots=True)
class Merton:
    """Diffusion plus jumps of the log price, normal with jump_mean and jump_sd, jumps_per_year of them.

    vol is the total: vol² = diffusive variance + jumps_per_year (jump_mean² + jump_sd²).
    """

    vol: float
    jumps_per_year: float
    jump_mean: float
    jump_sd: float
    drift: float = 0.0

    @property
    def diffusive_variance(self) -> float:
        """Variance per year without the jumps."""
        return self.vol**2 - self.jumps_per_year * (self.jump_mean**2 + self.jump_sd**2)

    @property
    def mean_jump(self) -> float:
        """Expected relative move of the price in one jump."""
        return math.exp(self.jump_mean + 0.5 * self.jump_sd**2) - 1.0


Model = Gbm | Heston | Merton


def usual(name: str, vol: float, drift: float = 0.0) -> Model:
    """The model of a name with the parameters the studies take, in proportion to the vol.

    heston: mean reversion 5 a year (half-life 50 days), vol of vol 2.5 vol, correlation −0.4. jump: 12 jumps
    a year of −5 % ± 10 % of vol each (at 60 %: mean −3 %, sd 6 %), 15 % of all variance.

    >>> usual("jump", 0.6).diffusive_variance / 0.36
    0.85
    """
    if name == "heston":
        return Heston(vol, 5.0, 2.5 * vol, -0.4, drift)
    if name == "jump":
        return Merton(vol, 12.0, -0.05 * vol, 0.1 * vol, drift)
    if name == "gbm":
        return Gbm(vol, drift)
    raise ValueError(f"MODEL: {name!r}: allowed are gbm, heston, jump")


def delta_vol(model: Model, variance: ArrayLike, years: ArrayLike) -> FloatArray:
    """The vol that deltas are taken at, for options with so many years to live.

    Lognormal and jumps: the total vol. Heston: the root of the expected mean variance over the life,
    vol² + (v − vol²) B, B = (1 − e^(−κτ))/(κτ), which is what a variance swap costs and within a few tenths
    of a point what an at-the-money option shows. So the delta follows the running vol, at its own term.
    """
    if not isinstance(model, Heston):
        return np.broadcast_to(model.vol, np.broadcast_shapes(np.shape(variance), np.shape(years))).copy()
    mean = model.vol**2 + (np.asarray(variance) - model.vol**2) * reversion_share(model, years)
    result: FloatArray = np.sqrt(np.maximum(mean, VARIANCE_MIN))
    return result


def reversion_share(model: Heston, years: ArrayLike) -> FloatArray:
    """B = (1 − e^(−κτ))/(κτ): how much of a move of v is in the mean variance over τ; 1 at τ = 0."""
    x = model.reversion * np.asarray(years, dtype=float)
    with np.errstate(invalid="ignore", divide="ignore"):
        result: FloatArray = np.where(x > 1e-12, -np.expm1(-x) / x, 1.0)
    return result


def call_price(
    model: Model, spot: ArrayLike, strike: ArrayLike, years: ArrayLike, variance: ArrayLike | None = None,
    rate: float = 0.0,
) -> FloatArray:  # fmt: skip
    """Fair value of a call under the model, USD per coin; variance: Heston's v now (default vol²).

    >>> float(round(call_price(usual("gbm", 0.6), 100.0, 100.0, 30 / 365)[()], 3))      # theory: 6.854
    6.854
    """
    spot, strike, years = (np.asarray(x, dtype=float) for x in (spot, strike, years))
    v = np.asarray(model.vol**2 if variance is None else variance, dtype=float)
    forward = spot * np.exp(rate * years)
    vol = delta_vol(model, v, years)
    plain = greeks(forward, strike, years, vol, 1.0).price
    excess = forward * call_excess(model, np.log(strike / forward), years, v)
    result: FloatArray = np.exp(-rate * years) * (plain + excess)
    return result


def call_excess(model: Model, moneyness: ArrayLike, years: ArrayLike, variance: ArrayLike) -> FloatArray:
    """(value of a call − Black-76 at `delta_vol`)/F, for moneyness ln(K/F).

    Heston: Lewis (2001), C/F = 1 − (√(K/F)/π) ∫ Re[e^(−iuk) φ(u − i/2)]/(u² + 1/4) du, k = ln(K/F), of the
    difference of the two characteristic functions φ of ln(S_T/F). Merton (1976): Poisson mixture.
    """
    k, years, v = np.broadcast_arrays(*(np.asarray(x, dtype=float) for x in (moneyness, years, variance)))
    if isinstance(model, Gbm):
        return np.zeros(k.shape)
    if isinstance(model, Merton):
        return _merton_excess(model, k, years)
    vol = delta_vol(model, v, years)
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    unit = (vol * np.sqrt(years))[..., None]
    u = 0.5 * REACH * (nodes + 1.0) / unit
    z = u - 0.5j
    heston = _heston_characteristic(model, z, years[..., None], v[..., None])
    lognormal = np.exp(-0.5 * unit**2 * (z**2 + 1j * z))
    part = np.real(np.exp(-1j * u * k[..., None]) * (heston - lognormal)) / (u**2 + 0.25)
    integral = (part * weights).sum(-1) * 0.5 * REACH / unit[..., 0]
    return np.asarray(-np.exp(0.5 * k) / math.pi * integral)


def _heston_characteristic(
    model: Heston, u: np.ndarray[tuple[int, ...], np.dtype[np.complex128]], years: FloatArray, v: FloatArray
) -> np.ndarray[tuple[int, ...], np.dtype[np.complex128]]:
    """E exp(iu ln(S_T/F)), in the form without branch cuts (Albrecher et al. 2007)."""
    kappa, xi, rho = model.reversion, model.vol_of_vol, model.correlation
    b = kappa - rho * xi * 1j * u
    d = np.sqrt(b**2 + xi**2 * (1j * u + u**2))
    g = (b - d) / (b + d)
    decay = np.exp(-d * years)
    c = kappa * model.vol**2 / xi**2 * ((b - d) * years - 2.0 * np.log((1.0 - g * decay) / (1.0 - g)))
    e = (b - d) / xi**2 * (1.0 - decay) / (1.0 - g * decay)
    result: np.ndarray[tuple[int, ...], np.dtype[np.complex128]] = np.exp(c + e * v)
    return result


def _merton_excess(model: Merton, k: FloatArray, years: FloatArray) -> FloatArray:
    total = np.zeros(k.shape)
    expected = model.jumps_per_year * years
    weight = np.exp(-expected)
    for n in range(JUMPS_MAX):
        variance = model.diffusive_variance * years + n * model.jump_sd**2
        log_forward = n * (model.jump_mean + 0.5 * model.jump_sd**2) - expected * model.mean_jump
        total += weight * greeks(np.exp(log_forward), np.exp(k), 1.0, np.sqrt(variance), 1.0).price
        weight = weight * expected / (n + 1)
    return total - greeks(1.0, np.exp(k), years, model.vol, 1.0).price
