"""Whole lots: the search against brute force, and what its bound promises."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from hedger.optimizer import SolverSettings, Status, solve
from hedger.solver.frame import frame_of
from hedger.solver.hedge_problem import HedgeProblem, Plan, RiskTerm
from hedger.solver.highs import Outcome, Solver, level_program
from hedger.solver.lot_search import components, lot_search_by_parts
from tests.hedger.test_optimizer import (
    INF,
    brute_force,
    one_level,
    problem,
    random_problem,
    small,
    weighted_slack,
)
from tests.hedger.wild import extreme_problem, wide_problem, wild_problem

QUICK = SolverSettings(time_limit_s=0.02)


def test_the_search_alone_equals_brute_force() -> None:
    compared = nothing = 0
    for seed in range(250):
        rng = np.random.default_rng(seed)
        p = random_problem(rng, int(rng.integers(1, 4)), int(rng.integers(2, 5)), width_factor=1.5, out=2.0)
        best = brute_force(p)
        frame = frame_of(p)
        if best is None:
            continue
        answer = lot_search_by_parts(frame, np.arange(len(p.columns)), None, 0.0, 1.0)
        assert answer is not None and answer.done and answer.sure
        if any(best[0]):
            assert answer.lots is None
            nothing += 1
        else:
            assert answer.value == pytest.approx(best[1], rel=1e-9, abs=1e-9), seed
            assert answer.bound <= best[1] * (1 + 1e-9) + 1e-12
            compared += 1
    assert compared >= 60 and nothing >= 30


def test_no_lots_of_any_column_are_cheaper_than_the_searchs_bound() -> None:
    """Searched on two columns of up to four, to a gap of 10 %: the bound holds for all of them."""
    compared = raised = 0
    for seed in range(200):
        p = small(seed)
        best = brute_force(p)
        if best is None or any(best[0]):
            continue
        plan = solve(p, SolverSettings(columns=2, gap=0.1))
        if plan.status in (Status.optimal, Status.time_limit):
            assert plan.lots_bound <= best[1] + 1e-9 * (1 + abs(best[1])), seed
            assert plan.certified_gap <= plan.gap + 1e-12
            raised += plan.lots_bound > plan.lower_bound * (1 + 1e-6) + 1e-9
            compared += 1
    assert compared >= 40 and raised >= 13


def test_rows_that_share_no_column_are_searched_apart() -> None:
    rows = {"delta:BTC": (5.0, -1.0, 1.0), "delta:ETH": (-9.0, -2.0, 2.0), "vega:X": (0.0, -1e9, 1e9)}
    columns = {
        "a": ([1.0, 0.0, 1.0], one_level(1.0, 20.0)),
        "b": ([0.0, 1.0, 1.0], one_level(2.0, 20.0)),
        "c": ([0.5, 0.0, 1.0], one_level(0.3, 20.0)),
    }
    p = problem(rows, columns)
    frame = frame_of(p)
    groups = [(rows.tolist(), columns.tolist()) for rows, columns in components(frame)]
    assert groups == [([0], [0, 2]), ([1], [1])]  # no trades bring the last row out: it ties nothing
    answer = lot_search_by_parts(frame, np.arange(3), None, 0.0, 1.0)
    assert answer is not None and answer.lots is not None
    assert answer.lots.tolist() == [0, 7, -8]
    assert answer.value == pytest.approx(8 * 0.3 + 7 * 2.0)


def test_a_search_cut_short_is_the_same_every_time() -> None:
    """The limit counts work, not time; its bound stays below the best plan of a longer search."""
    rng = np.random.default_rng(8)
    n = 40
    columns = {
        f"c{i}": (rng.uniform(0.2, 1.2, 4).tolist(), one_level(rng.uniform(0.9, 1.1), 3.0)) for i in range(n)
    }
    p = problem({f"vega:{g}": (30.3 + g, -0.5, 0.5) for g in range(4)}, columns, lot=0.5)
    frame, every = frame_of(p), np.arange(n)
    short = [lot_search_by_parts(frame, every, None, 0.0, 0.01) for _ in range(2)]
    assert short[0] is not None and short[1] is not None
    assert (short[0].value, short[0].bound, short[0].nodes) == (
        short[1].value,
        short[1].bound,
        short[1].nodes,
    )
    assert not short[0].done
    longer = lot_search_by_parts(frame, every, None, 0.0, 0.5)
    assert longer is not None
    assert short[0].bound <= longer.bound * (1 + 1e-9) <= longer.value * (1 + 2e-9)
    assert longer.value <= short[0].value


def test_crossed_ladders_and_fixed_costs_are_left_to_highs_and_counted() -> None:
    rows = {"delta:BTC": (11.0, -1.0, 1.0)}
    plain = {"a": ([1.0], one_level(1.0, 20.0))}
    crossed = {"a": ([1.0], one_level(-1.0, 20.0))}
    assert solve(problem(rows, plain)).fallbacks == 0
    assert solve(problem(rows, plain, fixed_cost=1.0)).fallbacks == 1
    assert solve(problem(rows, crossed)).fallbacks == 1


# ------------------------------------------------------------------------------------------- wild numbers


@pytest.mark.parametrize("block", range(10))
def test_no_well_formed_problem_raises(block: int) -> None:
    """1,500 problems in all: every plan is finite, in whole lots, within caps and depth."""
    for seed in range(400 * block, 400 * block + 150):
        p = wild_problem(seed)
        plan = solve(p, QUICK)
        check_plan(p, plan, seed)
        assert np.isfinite(plan.shadow_price).all(), seed
        assert plan.lower_bound <= plan.cost, seed
        assert (plan.status is Status.relaxed) == bool(plan.slack.any()), seed


def check_plan(p: HedgeProblem, plan: Plan, seed: int) -> None:
    """Finite, in whole lots, within caps and depth."""
    q = plan.quantity
    for values in (q, plan.exposure_after, plan.slack, [plan.cost, plan.lower_bound, plan.gap]):
        assert np.isfinite(values).all(), seed
    with np.errstate(over="ignore"):
        shown = [(x.buy_size.sum(), x.sell_size.sum()) for x in p.ladders]
        lots = q / p.lot
    most = np.minimum(np.array(shown).reshape(-1, 2).T, [p.max_buy, p.max_sell])
    assert (q <= most[0]).all() and (-q <= most[1]).all(), seed
    assert (np.abs(lots - np.rint(lots)) <= 1e-6 + 1e-12 * np.abs(lots)).all(), seed


def test_numbers_at_the_ends_of_floats_are_an_answer() -> None:
    for seed in range(200):
        p = extreme_problem(seed)
        check_plan(p, solve(p, QUICK), seed)


@pytest.mark.parametrize("seed", [*range(20), 30329])
def test_wide_and_badly_scaled_problems_end(seed: int) -> None:
    """30329: a program on which HiGHS' simplex goes round in circles."""
    p = wide_problem(seed)
    check_plan(p, solve(p, QUICK), seed)


@pytest.mark.parametrize("make", [wild_problem, wide_problem, extreme_problem])
def test_a_risk_term_with_wild_numbers_is_an_answer(make: Callable[[int], HedgeProblem]) -> None:
    for seed in range(12 if make is wide_problem else 250):
        p, rng = make(seed), np.random.default_rng(seed)
        k, spread = int(rng.integers(1, 6)), rng.choice([0.0, 2.0, 6.0, 10.0])
        value, effect = rng.normal(size=k), rng.normal(size=(k, len(p.columns)))
        value *= 10.0 ** rng.uniform(-spread, spread, k)
        effect *= 10.0 ** rng.uniform(-spread, spread, effect.shape)
        term = RiskTerm([f"factor {f}" for f in range(k)], value, effect)
        check_plan(p, solve(p, QUICK, risk=term), seed)


def test_highs_is_not_given_numbers_it_has_died_of() -> None:
    p = problem({"delta:BTC": (5.0, -1.0, 1.0)}, {"a": ([1.0], one_level(1.0, 20.0))})
    frame = frame_of(p)
    program, _ = level_program(frame, np.zeros(frame.ranks), frame.ranks)
    assert Solver(program).run().outcome is Outcome.solved
    endless = replace(program, upper=np.where(program.upper > 0, 2e15, program.upper))
    assert Solver(endless).run().outcome is Outcome.stopped


def test_lots_above_every_size_leave_a_relaxed_plan_with_its_reason() -> None:
    p = problem({"delta:BTC": (5.0, -1.0, 1.0)}, {"a": ([1.0], one_level(1.0, 4.0))}, lot=10.0)
    plan = solve(p)
    assert plan.status is Status.relaxed and plan.quantity.tolist() == [0.0]
    assert "one minimum trade displayed" in plan.reason


def test_empty_ladders_are_an_answer() -> None:
    p = replace(
        problem({"delta:BTC": (5.0, -1.0, 1.0)}, {"a": ([1.0], one_level(1.0, 0.0))}), max_buy=np.array([INF])
    )
    plan = solve(p)
    assert plan.status is Status.relaxed and "no column moves this row down" in plan.reason
    assert weighted_slack(p, plan) == pytest.approx([2.0])
