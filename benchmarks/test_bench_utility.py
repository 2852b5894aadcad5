"""Utility mode: cost plus risk over 12 factors, whole lots and bound, against HiGHS on the same fractions.

Synthetic chains, one perpetual and options whose factor effects are smooth in strike and tenor, as on a real
chain. HiGHS solves the lifted program (one variable per level, one per factor with its square as the cost);
ours solves the fractions, proves them, and then the lots. Run with `make bench`.
"""

from __future__ import annotations

import highspy
import numpy as np
import pytest
from numpy.typing import NDArray
from pytest_benchmark.fixture import BenchmarkFixture

from hedger.optimizer import solve
from hedger.solver.hedge_problem import HedgeProblem, Ladder, RiskTerm
from hedger.solver.utility_fraction import solve_fractions

Floats = NDArray[np.float64]
FACTORS = 12
SIZES = (200, 800)


def chain(seed: int, columns: int, levels: int = 1) -> tuple[HedgeProblem, RiskTerm]:
    """Strikes over two standard deviations, seven tenors; the perpetual first."""
    r = np.random.default_rng(seed)
    moneyness = r.normal(0, 1, columns)
    years = r.choice([3, 7, 14, 30, 60, 90, 180], columns) / 365
    factors = np.empty((FACTORS, columns))
    for f in range(FACTORS):
        shape = np.cos(0.7 * (f + 1) * moneyness + f) * np.exp(-(moneyness**2) / 2)
        factors[f] = 100 * shape * years ** (0.5 - 0.1 * f)
    factors[:, 0] = 0.0
    factors[0, 0] = 100.0
    cost = (np.abs(factors).max(axis=0) / 2 + 5) * r.uniform(0.5, 2, columns)
    size = r.uniform(5, 50, columns)
    cost[0], size[0] = 5.0, 1e4
    ladders = []
    for c, s in zip(cost, size, strict=True):
        rising, each = (
            c * np.cumprod(1 + r.uniform(0.1, 0.5, levels)),
            np.full(levels, np.round(s / levels, 1)),
        )
        ladders.append(Ladder(each, rising, each, 1.1 * rising))
    lot, none = np.full(columns, 0.1), np.full(columns, np.inf)
    names = [f"C{i}" for i in range(columns)]
    nothing = np.zeros(0)
    problem = HedgeProblem(
        [], nothing, nothing, nothing, names, np.zeros((0, columns)), ladders, lot, lot, none, none
    )
    return problem, RiskTerm([f"f{i}" for i in range(FACTORS)], r.normal(0, 3000, FACTORS), factors)


def by_highs(problem: HedgeProblem, risk: RiskTerm) -> float:
    """The optimum in fractions, USD."""
    n, k = len(problem.columns), len(risk.value)
    sizes = np.array([[x.buy_size[0], x.sell_size[0]] for x in problem.ladders]).T.ravel()
    prices = np.array([[x.buy_cost[0], x.sell_cost[0]] for x in problem.ladders]).T.ravel()
    matrix = np.concatenate([risk.per_unit, -risk.per_unit, -np.eye(k)], axis=1)
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = 2 * n + k, k
    lp.col_cost_ = np.concatenate([prices, np.zeros(k)])
    lp.col_lower_ = np.concatenate([np.zeros(2 * n), np.full(k, -1e30)])
    lp.col_upper_ = np.concatenate([sizes, np.full(k, 1e30)])
    lp.row_lower_ = lp.row_upper_ = -risk.value
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    rows, columns = np.nonzero(matrix.T)[1], np.nonzero(matrix.T)[0]
    lp.a_matrix_.start_ = np.concatenate([[0], np.cumsum(np.bincount(columns, minlength=2 * n + k))])
    lp.a_matrix_.index_, lp.a_matrix_.value_ = rows, matrix.T[columns, rows]
    square = highspy.HighsHessian()
    square.dim_, square.format_ = 2 * n + k, highspy.HessianFormat.kTriangular
    square.start_ = np.concatenate([np.zeros(2 * n, dtype=int), np.arange(k + 1)])
    square.index_, square.value_ = np.arange(2 * n, 2 * n + k), np.ones(k)
    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    solver.passModel(lp)
    solver.passHessian(square)
    solver.run()
    return float(solver.getInfo().objective_function_value)


@pytest.mark.parametrize("columns", SIZES)
@pytest.mark.benchmark(group="utility: fractions over 12 factors")
def test_bench_ours(benchmark: BenchmarkFixture, columns: int) -> None:
    benchmark.group += f", {columns} columns"
    problem, risk = chain(0, columns)
    found = benchmark(solve_fractions, problem, risk)
    benchmark.extra_info["gap"] = found.gap
    assert found.gap <= 1e-8


@pytest.mark.parametrize("columns", SIZES)
@pytest.mark.benchmark(group="utility: fractions over 12 factors")
def test_bench_highs(benchmark: BenchmarkFixture, columns: int) -> None:
    benchmark.group += f", {columns} columns"
    problem, risk = chain(0, columns)
    theirs = benchmark.pedantic(by_highs, (problem, risk), rounds=3, iterations=1)
    ours = solve_fractions(problem, risk)
    benchmark.extra_info["theirs_over_ours"] = theirs / ours.objective - 1.0
    assert ours.bound <= theirs * (1 + 1e-6)


@pytest.mark.parametrize("levels", [1, 5])
@pytest.mark.benchmark(group="utility: whole lots, 800 columns, 12 factors")
def test_bench_ours_lots(benchmark: BenchmarkFixture, levels: int) -> None:
    benchmark.group += f", {levels} levels a side"
    problem, risk = chain(0, 800, levels)
    plan = benchmark(solve, problem, risk=risk)
    benchmark.extra_info["gap"] = plan.gap
    assert plan.gap < 5e-3
