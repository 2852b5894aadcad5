"""Implied vols of many options: ours cold and warm beside vollib and scipy's Newton."""

from __future__ import annotations

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from scipy.optimize import newton
from scipy.special import ndtr
from vollib.black.implied_volatility import implied_volatility

from pricing import black76
from pricing.implied import implied_vol
from pricing.universe import FloatArray

OPTIONS, FEW = 10_000, 300
COLD = f"implied vol of {OPTIONS} options, from nothing"
WARM = f"implied vol of {OPTIONS} options, from a vol 2 % off"
SCALAR = f"implied vol of {FEW} options, from nothing"


def quotes(count: int) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
    """Price, forward, strike, years, sign, vol: out of the money, 3 standard deviations, a day to a year."""
    rng = np.random.default_rng(11)
    years, vol = rng.uniform(1, 365, count) / 365, rng.uniform(0.3, 1.2, count)
    strike = 60_000.0 * np.exp(rng.uniform(-3.0, 3.0, count) * vol * np.sqrt(years))
    forward = np.full(count, 60_000.0)
    sign = np.where(strike >= forward, 1.0, -1.0)
    return black76.greeks(forward, strike, years, vol, sign).price, forward, strike, years, sign, vol


def scipy_newton(
    price: FloatArray, forward: FloatArray, strike: FloatArray, years: FloatArray, sign: FloatArray
) -> FloatArray:
    """Vectorised Newton on the price, as one writes it with scipy; start of Manaster and Koehler (1982)."""
    root = np.sqrt(years)
    x = np.log(forward / strike)

    def excess(vol: FloatArray) -> FloatArray:
        w = vol * root
        d1 = x / w + 0.5 * w
        value: FloatArray = sign * (forward * ndtr(sign * d1) - strike * ndtr(sign * (d1 - w)))
        return value - price

    def vega(vol: FloatArray) -> FloatArray:
        w = vol * root
        d1 = x / w + 0.5 * w
        return np.asarray(forward * np.exp(-0.5 * d1 * d1) / np.sqrt(2.0 * np.pi) * root)

    start = np.maximum(np.sqrt(2.0 * np.abs(x) / years), 0.05)
    return np.asarray(newton(excess, start, fprime=vega, tol=1e-13, maxiter=50))


@pytest.mark.benchmark(group=COLD)
def test_ours_cold(benchmark: BenchmarkFixture) -> None:
    *quoted, vol = quotes(OPTIONS)
    found, _ = benchmark(lambda: implied_vol(*quoted))
    assert np.max(np.abs(found / vol - 1.0)) < 1e-12


@pytest.mark.benchmark(group=COLD)
def test_scipy_newton(benchmark: BenchmarkFixture) -> None:
    *quoted, vol = quotes(OPTIONS)
    found = benchmark(lambda: scipy_newton(*quoted))
    assert np.max(np.abs(found / vol - 1.0)) < 1e-9


@pytest.mark.benchmark(group=WARM)
def test_ours_warm(benchmark: BenchmarkFixture) -> None:
    price, forward, strike, years, sign, vol = quotes(OPTIONS)
    start = vol * (1.0 + 0.02 * np.random.default_rng(5).standard_normal(OPTIONS))
    found, _ = benchmark(lambda: implied_vol(price, forward, strike, years, sign, start=start))
    assert np.max(np.abs(found / vol - 1.0)) < 1e-12


@pytest.mark.benchmark(group=WARM)
def test_scipy_newton_beside_warm(benchmark: BenchmarkFixture) -> None:
    *quoted, _ = quotes(OPTIONS)
    benchmark(lambda: scipy_newton(*quoted))


@pytest.mark.benchmark(group=SCALAR)
def test_ours_few(benchmark: BenchmarkFixture) -> None:
    *quoted, _ = quotes(FEW)
    benchmark(lambda: implied_vol(*quoted))


@pytest.mark.benchmark(group=SCALAR)
def test_vollib_loop(benchmark: BenchmarkFixture) -> None:
    price, forward, strike, years, sign, _ = (column.tolist() for column in quotes(FEW))
    options = list(zip(price, forward, strike, years, ["c" if s > 0 else "p" for s in sign], strict=True))

    def loop() -> float:
        return float(sum(implied_volatility(P, F, K, 0.0, T, flag) for P, F, K, T, flag in options))

    benchmark(loop)
