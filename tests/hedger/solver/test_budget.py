"""The budget of the lot problem is work, not time: the same on a busy machine as on an idle one."""

from __future__ import annotations

from functools import cache

import numpy as np

from hedger.optimizer import HedgeProblem, Ladder, Plan, SolverSettings, solve


def hard_problem(seed: int = 5, columns: int = 24) -> HedgeProblem:
    """Four rows in a narrow interval, coarse lots, and a fixed cost a trade, which is HiGHS' to do."""
    draw = np.random.default_rng(seed)
    rows = 4
    ladders = [
        Ladder(np.array([30.0]), np.array([cost]), np.array([30.0]), np.array([cost]))
        for cost in draw.uniform(1.0, 3.0, columns)
    ]
    return HedgeProblem(
        rows=[f"row {i}" for i in range(rows)],
        exposure=draw.normal(0.0, 20.0, rows),
        lower=np.full(rows, -0.3),
        upper=np.full(rows, 0.3),
        columns=[f"column {i}" for i in range(columns)],
        per_unit=draw.normal(size=(rows, columns)),
        ladders=ladders,
        lot=np.full(columns, 1.0),
        min_size=np.full(columns, 1.0),
        max_buy=np.full(columns, 30.0),
        max_sell=np.full(columns, 30.0),
        fixed_cost=2.0,
    )


@cache
def planned(seconds: float) -> Plan:
    return solve(hard_problem(), SolverSettings(time_limit_s=seconds, gap=1e-6))


def test_the_same_budget_gives_the_same_plan_and_the_same_account_of_it() -> None:
    first, second = planned(0.02), planned.__wrapped__(0.02)
    assert first is not second and first.fallbacks > 0  # HiGHS had a part in it
    assert np.array_equal(first.quantity, second.quantity)
    assert first.status is second.status and first.reason == second.reason
    assert dict(first.timings) == dict(second.timings)


def test_more_budget_is_never_a_dearer_plan() -> None:
    assert planned(0.4).cost <= planned(0.02).cost * (1 + 1e-9)
