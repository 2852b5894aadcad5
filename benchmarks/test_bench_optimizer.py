"""The optimizer alone: bound over 1,600 columns, whole lots on 60; scipy's linprog solves the bound only.

Synthetic chains, so that rows and ladders can be chosen: 3 rows (one underlying), 16 rows (two).

Run with `make bench`; the ratio table has one group per size.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pytest_benchmark.fixture import BenchmarkFixture
from scipy.optimize import linprog

from hedger.optimizer import HedgeProblem, Ladder, Status, solve
from pricing.black76 import greeks

Floats = NDArray[np.float64]
COLUMNS = 1_600
SEEDS = range(6)  # one book each; a round solves them all, so that easy and hard ones are both in it
TENORS_D = (0, 7, 30, 90, 180, 100_000)


def chain(seed: int, underlyings: int, buckets: bool, levels: int = 1) -> HedgeProblem:
    """A random book of 5 % of the listings; breached rows must end inside 0.6 of the band, others in it."""
    rng = np.random.default_rng(seed)
    each = COLUMNS // underlyings
    rows: list[str] = []
    ladders: list[Ladder] = []
    lot: list[float] = []
    blocks: list[Floats] = []
    half: list[float] = []
    markets = [("BTC", 70_000.0, 0.5, 0.1), ("ETH", 2_500.0, 0.65, 1.0)]
    for name, spot, vol, option_lot in markets[:underlyings]:
        count = each - 1
        days = rng.choice([3.0, 10, 17, 24, 45, 73, 108, 136, 199, 290], count)
        years = days / 365
        moneyness = 1.3 * rng.normal(size=count)
        strike = spot * np.exp(moneyness * vol * np.sqrt(years))
        smile = vol * (1 + 0.05 * moneyness**2)
        g = greeks(np.full(count, spot), strike, years, smile, rng.choice([-1.0, 1.0], count))
        effects = [(f"delta:{name}", g.delta, 1e5 / spot), (f"gamma:{name}", g.gamma, 1e7 / spot**2)]
        effects.append((f"vega:{name}", g.vega, 5e5))
        if buckets:
            for first, last in pairwise(TENORS_D):
                inside = (days >= first) & (days < last)
                effects.append((f"vega:{name}:{first}d", np.where(inside, g.vega, 0.0), 1e6))
        perp = [1 / spot] + [0.0] * (len(effects) - 1)
        blocks.append(np.column_stack([np.array([effect for _, effect, _ in effects]), perp]))
        rows += [row for row, _, _ in effects]
        half += [width for _, _, width in effects]
        spread = np.maximum(5e-4 * spot, 0.02 * g.price) * rng.uniform(0.5, 2, count)
        cost = spread + np.minimum(3e-4 * spot, 0.125 * g.price)
        steps = 1 + 0.15 * np.arange(levels)
        size = np.full(levels, 100 * option_lot / levels)
        ladders += [Ladder(size, c * steps, size, 1.01 * c * steps) for c in cost]
        ladders.append(Ladder(np.array([5e6]), np.array([6e-4]), np.array([5e6]), np.array([6e-4])))
        lot += [option_lot] * count + [10.0]
    per_unit = np.zeros((len(rows), len(lot)))
    for k, block in enumerate(blocks):
        m, n = block.shape
        per_unit[k * m : (k + 1) * m, k * n : (k + 1) * n] = block
    lots = np.array(lot)
    held = np.where((rng.random(len(lot)) < 0.05) & (lots < 10), rng.normal(size=len(lot)) * lots * 100, 0.0)
    exposure = per_unit @ held
    trigger = np.array(half)
    end = np.where(np.abs(exposure) > trigger, 0.6, 1.0) * trigger
    return HedgeProblem(
        rows, exposure, -end, end, [f"c{i}" for i in range(len(lot))], per_unit, ladders, lots, lots,
        np.full(len(lot), np.inf), np.full(len(lot), np.inf),
    )  # fmt: skip


def scipy_lp(problem: HedgeProblem) -> Callable[[], Any]:
    """The same LP as scipy takes it; building its matrices is not timed."""
    sides = [
        (i, sign, sizes, costs)
        for i, x in enumerate(problem.ladders)
        for sign, sizes, costs in ((1.0, x.buy_size, x.buy_cost), (-1.0, x.sell_size, x.sell_cost))
    ]
    counts = [len(sizes) for _, _, sizes, _ in sides]
    column = np.repeat([i for i, _, _, _ in sides], counts)
    sign = np.repeat([s for _, s, _, _ in sides], counts)
    size = np.concatenate([sizes for _, _, sizes, _ in sides])
    cost = np.concatenate([costs for _, _, _, costs in sides])
    effect = problem.per_unit[:, column] * sign
    scale = np.abs(effect).max(axis=1)
    matrix = np.vstack([effect / scale[:, None], -effect / scale[:, None]])
    upper, lower = problem.upper - problem.exposure, problem.lower - problem.exposure
    ends = np.concatenate([upper / scale, -lower / scale])
    bounds = np.column_stack([np.zeros_like(size), size])
    return lambda: linprog(cost, matrix, ends, bounds=bounds, method="highs")


SIZES = {"3 rows": (1, False, 1), "16 rows": (2, True, 1), "16 rows, 5 levels": (2, True, 5)}


@pytest.fixture(scope="module", params=SIZES)
def problems(request: pytest.FixtureRequest) -> tuple[str, list[HedgeProblem]]:
    return request.param, [chain(seed, *SIZES[request.param]) for seed in SEEDS]


def run(benchmark: BenchmarkFixture, size: str, work: Callable[[], object]) -> None:
    benchmark.group = f"optimizer: {size}, 1,600 columns, 60 kept, {len(SEEDS)} books"
    benchmark.pedantic(work, rounds=10, warmup_rounds=1)


def test_ours_bound_and_lots(benchmark: BenchmarkFixture, problems: tuple[str, list[HedgeProblem]]) -> None:
    size, cases = problems
    for case in cases:
        plan, expected = solve(case), scipy_lp(case)()
        assert plan.status in (Status.optimal, Status.time_limit)
        assert plan.lower_bound == pytest.approx(expected.fun, rel=1e-6)
    run(benchmark, size, lambda: [solve(case) for case in cases])


def test_linprog_bound_alone(benchmark: BenchmarkFixture, problems: tuple[str, list[HedgeProblem]]) -> None:
    size, cases = problems
    work = [scipy_lp(case) for case in cases]
    run(benchmark, size, lambda: [solve_one() for solve_one in work])
