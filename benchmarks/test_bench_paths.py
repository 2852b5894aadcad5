"""Simulated paths: normal numbers, lognormal paths, and a hedge along them, beside plain numpy.

The peers are what one writes with numpy: its generators, cumulative sums, `scipy.special.ndtr`, steps in a
Python loop over arrays of paths. Each verifies its own mean, so that none is fast by being wrong.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from scipy.special import ndtr

from hedger.studies import path_policies
from hedger.studies.normals import normals
from hedger.studies.path_models import Gbm
from hedger.studies.paths import Paths, simulate
from pricing.universe import FloatArray

PATHS, STEPS, BLOCK = 9600, 480, 120
YEARS, VOL, SPOT, COST = 30 / 365, 0.6, 100.0, 5e-4
DT = YEARS / STEPS
NORMALS = f"{PATHS} x {STEPS} normal numbers"
LOGNORMAL = f"{PATHS} lognormal paths of {STEPS} steps"
HEDGED = f"a call hedged along {PATHS} paths at each of {STEPS} steps, with costs"


def check_hedge(net: FloatArray) -> None:
    """Mean and sd of the P&L of a call sold and hedged at every step: costs of 0.42, error of 0.30."""
    assert -0.50 < net.mean() < -0.35
    assert 0.25 < net.std() < 0.40


@pytest.mark.benchmark(group=NORMALS)
def test_ours_normals(benchmark: BenchmarkFixture) -> None:
    z = benchmark(lambda: normals(7, STEPS, PATHS))
    assert abs(z.mean()) < 4.0 / math.sqrt(z.size)


@pytest.mark.benchmark(group=NORMALS)
@pytest.mark.parametrize("bits", ["PCG64", "SFC64", "Philox"])
def test_numpy_normals(benchmark: BenchmarkFixture, bits: str) -> None:
    generator = np.random.Generator(getattr(np.random, bits)(7))
    z = benchmark(lambda: generator.standard_normal((STEPS, PATHS)))
    assert abs(z.mean()) < 4.0 / math.sqrt(z.size)


@pytest.mark.benchmark(group=LOGNORMAL)
def test_ours_paths(benchmark: BenchmarkFixture) -> None:
    into = Paths(np.empty((STEPS + 1, BLOCK)), np.empty((STEPS + 1, BLOCK)))

    def walk() -> float:
        total = 0.0
        for first in range(0, PATHS, BLOCK):
            total += simulate(Gbm(VOL), SPOT, YEARS, STEPS, BLOCK, 7, first, into).price[-1].sum()
        return total / PATHS

    assert abs(benchmark(walk) - SPOT) < 4.0 * 17.4 / math.sqrt(PATHS)


@pytest.mark.benchmark(group=LOGNORMAL)
def test_numpy_paths(benchmark: BenchmarkFixture) -> None:
    generator = np.random.default_rng(7)

    def walk() -> float:
        total = 0.0
        for _ in range(0, PATHS, BLOCK):
            z = generator.standard_normal((STEPS, BLOCK))
            steps = -0.5 * VOL**2 * DT + VOL * math.sqrt(DT) * z
            total += (SPOT * np.exp(np.cumsum(steps, axis=0)))[-1].sum()
        return total / PATHS

    assert abs(benchmark(walk) - SPOT) < 4.0 * 17.4 / math.sqrt(PATHS)


@pytest.mark.benchmark(group=HEDGED)
def test_ours_hedge(benchmark: BenchmarkFixture) -> None:
    into = Paths(np.empty((STEPS + 1, BLOCK)), np.empty((STEPS + 1, BLOCK)))
    delta, gamma = np.empty((STEPS, BLOCK)), np.empty((STEPS, BLOCK))
    vol, years, ones = (
        np.full((STEPS, BLOCK), VOL),
        YEARS - DT * np.arange(STEPS, dtype=np.float64),
        np.ones(STEPS),
    )
    quantity, strike, every = np.array([1.0]), np.array([SPOT]), np.array([1], dtype=np.int64)
    premium = SPOT * (2.0 * float(ndtr(0.5 * VOL * math.sqrt(YEARS))) - 1.0)

    def walk() -> FloatArray:
        net = []
        for first in range(0, PATHS, BLOCK):
            price = simulate(Gbm(VOL), SPOT, YEARS, STEPS, BLOCK, 7, first, into).price
            path_policies.exposures(price, vol, years, ones, quantity, strike, delta, gamma)
            done = path_policies.totals(1, BLOCK)
            path_policies.calendar(price, delta, every, done.hedge, done.cash, done.turnover, done.trades)
            path_policies.unwind(price[-1], done.hedge, done.cash, done.turnover, done.trades)
            net.append(premium - np.maximum(price[-1] - SPOT, 0.0) + done.cash[0] - COST * done.turnover[0])
        return np.concatenate(net)

    check_hedge(benchmark(walk))


@pytest.mark.benchmark(group=HEDGED)
def test_numpy_hedge(benchmark: BenchmarkFixture) -> None:
    generator = np.random.default_rng(7)
    premium = SPOT * (2.0 * float(ndtr(0.5 * VOL * math.sqrt(YEARS))) - 1.0)

    def walk() -> FloatArray:
        price = np.full(PATHS, SPOT)
        held, cash, turnover = np.zeros(PATHS), np.zeros(PATHS), np.zeros(PATHS)
        for t in range(STEPS):
            w = VOL * math.sqrt(YEARS - t * DT)
            delta = ndtr(np.log(price / SPOT) / w + 0.5 * w)
            trade = (delta - held) * price
            cash -= trade
            turnover += np.abs(trade)
            held = delta
            z = generator.standard_normal(PATHS)
            price = price * np.exp(-0.5 * VOL**2 * DT + VOL * math.sqrt(DT) * z)
        cash += held * price
        turnover += held * price
        net: FloatArray = premium - np.maximum(price - SPOT, 0.0) + cash - COST * turnover
        return net

    check_hedge(benchmark(walk))
