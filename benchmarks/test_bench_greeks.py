"""Price and four Greeks of many options: ours beside scalar loops over the peers, per thousand options.

QuantLib and nautilus_trader are optional (`make bench PEERS=1`); what is not installed is skipped by name.
"""

from __future__ import annotations

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from vollib.black import black
from vollib.black.greeks.analytical import delta, gamma, theta, vega

from pricing import black76
from pricing.universe import FloatArray

OPTIONS = 1_000
GROUP = f"price, delta, gamma, vega, theta of {OPTIONS} options"


def chain() -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
    """Forward, strike, years, vol, sign: strikes within 2.5 standard deviations, a day to a year."""
    rng = np.random.default_rng(7)
    years, vol = rng.uniform(1, 365, OPTIONS) / 365, rng.uniform(0.3, 1.2, OPTIONS)
    strike = 60_000.0 * np.exp(rng.uniform(-2.5, 2.5, OPTIONS) * vol * np.sqrt(years))
    return np.full(OPTIONS, 60_000.0), strike, years, vol, rng.choice([-1.0, 1.0], OPTIONS)


def scalars() -> list[tuple[float, float, float, float, bool]]:
    """The same, one option at a time, as plain floats."""
    forward, strike, years, vol, sign = (column.tolist() for column in chain())
    return list(zip(forward, strike, years, vol, [s > 0 for s in sign], strict=True))


@pytest.mark.benchmark(group=GROUP)
def test_ours_numpy(benchmark: BenchmarkFixture) -> None:
    arguments = chain()
    benchmark(lambda: black76.greeks(*arguments))


@pytest.mark.benchmark(group=GROUP)
def test_vollib_loop(benchmark: BenchmarkFixture) -> None:
    options = scalars()

    def loop() -> float:
        total = 0.0
        for forward, strike, years, vol, call in options:
            flag = "c" if call else "p"
            total += black(flag, forward, strike, years, 0.0, vol)
            for greek in (delta, gamma, vega, theta):
                total += greek(flag, forward, strike, years, 0.0, vol)
        return total

    benchmark(loop)


@pytest.mark.benchmark(group=GROUP)
def test_quantlib_calculator_loop(benchmark: BenchmarkFixture) -> None:
    ql = pytest.importorskip("QuantLib", reason="QuantLib is not installed")
    options = scalars()

    def loop() -> float:
        total = 0.0
        for forward, strike, years, vol, call in options:
            payoff = ql.PlainVanillaPayoff(ql.Option.Call if call else ql.Option.Put, strike)
            made = ql.BlackCalculator(payoff, forward, vol * years**0.5, 1.0)
            total += made.value() + made.deltaForward() + made.gammaForward() + made.vega(years)
            total += made.theta(forward, years)
        return total

    benchmark(loop)


@pytest.mark.benchmark(group=GROUP)
def test_nautilus_loop(benchmark: BenchmarkFixture) -> None:
    pyo3 = pytest.importorskip(
        "nautilus_trader.core.nautilus_pyo3", reason="nautilus_trader is not installed"
    )
    options = scalars()

    def loop() -> float:
        total = 0.0
        for forward, strike, years, vol, call in options:
            found = pyo3.black_scholes_greeks(forward, 0.0, 0.0, vol, call, strike, years, 1.0)
            total += found.price + found.delta + found.gamma + found.vega + found.theta
        return total

    benchmark(loop)
