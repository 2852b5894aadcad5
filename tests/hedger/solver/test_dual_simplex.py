"""The ladder simplex against linprog and against the optimality conditions in plain arithmetic."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hedger.optimizer import solve
from hedger.solver.dual_simplex import INFEASIBLE, OPTIMAL
from hedger.solver.frame import frame_of
from hedger.solver.hedge_problem import HedgeProblem, Ladder, SolverSettings, Status
from hedger.solver.relaxation import relax
from hedger.solver.simplex import LadderProgram, Simplex, ladder_program
from tests.hedger.test_optimizer import INF, Floats, levels_of, random_problem, reference_lp


def degenerate(seed: int) -> HedgeProblem:
    """Small whole numbers everywhere: ties in costs, prices and ratios."""
    rng = np.random.default_rng(seed)
    m, n = int(rng.integers(1, 9)), int(rng.integers(1, 40))

    def side() -> tuple[Floats, Floats]:
        levels = int(rng.integers(0, 4))
        sizes, costs = rng.integers(0, 4, levels), np.sort(rng.integers(0, 3, levels))
        return sizes.astype(float), costs.astype(float)

    half = rng.integers(0, 3, m).astype(float)
    return HedgeProblem(
        rows=[f"delta:{g}" for g in range(m)],
        exposure=rng.integers(-9, 10, m).astype(float) * np.sqrt(n / 4),
        lower=-half,
        upper=half,
        columns=[f"c{i}" for i in range(n)],
        per_unit=rng.integers(-2, 3, (m, n)).astype(float),
        ladders=[Ladder(*side(), *side()) for _ in range(n)],
        lot=np.ones(n),
        min_size=np.zeros(n),
        max_buy=np.full(n, INF),
        max_sell=np.full(n, INF),
    )


def proven(program: LadderProgram, simplex: Simplex) -> float:
    """The objective, after checking rows, boxes and the Lagrangian bound; no code of the solver is used."""
    x, y = simplex.x, simplex.y
    m, n = program.a.shape
    activity = program.a @ x[:n]
    assert np.abs(activity - x[n:]).max() <= 1e-9 + 1e-13 * np.abs(program.a * x[:n]).sum()
    price = np.concatenate([y @ program.a, -y])
    paid, bound, size = 0.0, 0.0, 0.0
    for j in range(n + m):
        first, count = program.first[j], program.count[j]
        at = program.at[first : first + count + 1]
        slope = program.slope[first : first + count]
        assert at[0] <= x[j] <= at[-1]
        cost = program.base[j] + np.concatenate([[0.0], np.cumsum(slope * np.diff(at))])
        paid += float(np.interp(x[j], at, cost))
        bound += float((cost - price[j] * at).min())
        size += float(np.abs(cost).max()) + abs(price[j] * x[j])
    assert paid - bound <= 1e-9 * abs(paid) + 1e-12 * size
    return paid * program.money


@pytest.mark.parametrize("kind", ["random", "degenerate"])
def test_every_answer_is_proven_and_equals_linprog(kind: str) -> None:
    """200 programs of each kind; the random ones have rows whose units differ by up to 1e11."""
    feasible = infeasible = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        if kind == "random":
            p = random_problem(rng, int(rng.integers(1, 9)), int(rng.integers(1, 60)), lowest_cost=-0.05)
        else:
            p = degenerate(seed)
        if not len(levels_of(p)[1]):
            continue
        program = ladder_program(frame_of(p), elastic=False)
        simplex = Simplex(program)
        ended = simplex.run()
        expected = reference_lp(p).fun
        if ended == OPTIMAL:
            value = proven(program, simplex)
            # linprog leaves rows out by up to 1e-10 of their scale
            assert value == pytest.approx(expected, rel=1e-8, abs=1e-8), seed
            feasible += 1
        else:
            assert ended == INFEASIBLE and expected == INF, seed
            infeasible += 1
    assert feasible >= 60 and infeasible >= 20


def test_warm_marks_give_the_cold_answer_with_fewer_pivots() -> None:
    """80 marks: costs by 5 %, the book by 15 %; each proven, equal to a solve from nothing to 1e-12."""
    rng = np.random.default_rng(3)
    p = random_problem(rng, 6, 80, out=2.0)
    p = replace(p, max_buy=np.full(80, INF), max_sell=np.full(80, INF))
    basis, warm_pivots, cold_pivots = None, 0, 0
    for _ in range(80):
        ladders = []
        for x in p.ladders:
            f = rng.uniform(0.95, 1.05)
            ladders.append(Ladder(x.buy_size, x.buy_cost * f, x.sell_size, x.sell_cost * f))
        mark = replace(p, exposure=p.exposure * rng.uniform(0.85, 1.15, 6), ladders=ladders)
        program = ladder_program(frame_of(mark), elastic=False)
        warm, cold = Simplex(program, basis), Simplex(program)
        assert warm.run() == cold.run() == OPTIMAL
        assert proven(program, warm) == pytest.approx(proven(program, cold), rel=1e-12)
        basis = warm.basis
        warm_pivots, cold_pivots = warm_pivots + warm.pivots, cold_pivots + cold.pivots
    assert warm_pivots < 0.6 * cold_pivots


def test_a_warm_plan_is_the_cold_plan_whatever_the_last_mark_was() -> None:
    quick = SolverSettings(time_limit_s=0.1)
    last = None
    compared = 0
    for seed in range(60):
        rng = np.random.default_rng(seed // 2)
        p = random_problem(rng, 1 + seed % 3, 12, out=2.0)
        if seed % 2:
            p = replace(p, exposure=1.1 * p.exposure)
        cold, warm = solve(p, quick), solve(p, quick, warm=last)
        assert warm.status is cold.status
        assert warm.cost == pytest.approx(cold.cost, rel=1e-9, abs=1e-9)
        assert warm.lower_bound == pytest.approx(cold.lower_bound, rel=1e-9, abs=1e-9)
        compared += cold.status is not Status.no_trade
        last = warm
    assert compared >= 30


def test_a_basis_of_dependent_columns_is_mended() -> None:
    """The last mark's basis may be singular in this mark's numbers."""
    p = degenerate(11)
    program = ladder_program(frame_of(p), elastic=False)
    m, n = program.a.shape
    twins = replace(program, a=np.repeat(program.a[:, :1], n, axis=1).copy())
    simplex = Simplex(program)
    simplex.run()
    simplex.basic[:] = np.arange(m)
    again = Simplex(twins, simplex.basis)
    assert again.run() == Simplex(twins).run()


def test_numbers_that_cannot_be_calculated_with_go_to_highs_and_are_counted() -> None:
    p = replace(degenerate(5), per_unit=degenerate(5).per_unit * 1e-160)
    bound = relax(
        frame_of(
            replace(p, ladders=[Ladder(*(np.array([x]) for x in (1e200, 1.0, 1e200, 1.0)))] * len(p.columns))
        )
    )
    assert bound.fallbacks >= 1
    assert np.isfinite(bound.last.dual).all()
