"""The budget of the lot problem is work, not time: the same on a busy machine as on an idle one."""

from __future__ import annotations

import math
from functools import cache

import highspy
import numpy as np
import pytest

from hedger.optimizer import HedgeProblem, Ladder, Plan, SolverSettings, Status, solve
from hedger.settings import Settings
from hedger.solver.budget import PLAN_SHARE, Budget, longest_s


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
    """By work alone: on a busy machine the clock behind it may end a search, and then the plan says so."""
    budget = Budget(seconds, PLAN_SHARE * seconds)
    return solve(hard_problem(), SolverSettings(time_limit_s=seconds, gap=1e-6), budget=budget)


def test_the_same_budget_gives_the_same_plan_and_the_same_account_of_it() -> None:
    first, second = planned(0.02), planned.__wrapped__(0.02)
    assert first is not second and first.fallbacks > 0  # HiGHS had a part in it
    assert np.array_equal(first.quantity, second.quantity)
    assert first.status is second.status and first.reason == second.reason
    assert dict(first.timings) == dict(second.timings)


def test_more_budget_is_never_a_dearer_plan() -> None:
    assert planned(0.4).cost <= planned(0.02).cost * (1 + 1e-9)


class SlowHiGHS(highspy.Highs):
    """HiGHS whose own clock goes on by ten seconds whenever it is asked for whole numbers."""

    whole_runs = 0
    late_s = 0.0

    def run(self) -> highspy.HighsStatus:
        if len(self.getLp().integrality_) and any(
            kind == highspy.HighsVarType.kInteger for kind in self.getLp().integrality_
        ):
            SlowHiGHS.whole_runs += 1
            self.late_s += 10.0
        return super().run()

    def getRunTime(self) -> float:
        return float(super().getRunTime()) + self.late_s


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> type[SlowHiGHS]:
    monkeypatch.setattr("hedger.solver.highs.highspy.Highs", SlowHiGHS)
    monkeypatch.setattr(SlowHiGHS, "whole_runs", 0)
    return SlowHiGHS


def test_one_clock_for_all_solves_of_a_plan(slow: type[SlowHiGHS]) -> None:
    """The first search uses it up: nothing after it begins, and every answer is a plan all the same."""
    settings = SolverSettings(time_limit_s=0.4, gap=1e-6)
    budget = Budget.of(settings.time_limit_s)
    plans = [solve(hard_problem(seed), settings, budget=budget) for seed in (5, 6, 7)]
    assert slow.whole_runs == 1 and budget.clock.ended
    assert all(len(plan.quantity) == 24 and plan.reason for plan in plans)
    solve(hard_problem(), settings)  # of another plan
    assert slow.whole_runs == 2


def test_the_solves_of_a_plan_share_its_work() -> None:
    """Twice the limit of one solve for all of them, each half of what is left: 1, 1/2, 1/4 and so on."""
    budget = Budget.of(1.0)
    given = []
    for _ in range(8):
        given.append(budget.allowed_s)
        budget.spend(given[-1])
    assert given == pytest.approx([1.0, 0.5, 0.25, 0.125, 0.0625, 0.03125, 0.02, 0.02])
    assert budget.spent and not Budget.of(1.0).spent


def test_what_a_solve_worked_is_taken_off_what_the_next_may() -> None:
    settings = SolverSettings(time_limit_s=0.1, gap=1e-6)
    budget = Budget.of(settings.time_limit_s)
    first = solve(hard_problem(), settings, budget=budget)
    assert budget.work_s == pytest.approx(0.2 - sum(first.timings.values()))
    assert budget.allowed_s == pytest.approx(max(0.5 * budget.work_s, 0.002))


def thin_problem(most: float, wide: float = 0.0) -> HedgeProblem:
    """A row that must end in a point, which lots of two listings that share no measure do not hit."""
    cheap = Ladder(np.array([most]), np.array([1.0]), np.array([most]), np.array([1.0]))
    return HedgeProblem(
        rows=["delta:BTC"],
        exposure=np.array([0.7095116239424968]),
        lower=np.array([-wide]),
        upper=np.array([wide]),
        columns=["perpetual", "spot"],
        per_unit=np.array([[math.pi * 1e-4, math.e * 1e-4]]),
        ladders=[cheap, cheap],
        lot=np.ones(2),
        min_size=np.ones(2),
        max_buy=np.full(2, most),
        max_sell=np.full(2, most),
        fixed_cost=1.0,  # HiGHS' to do
    )


def test_highs_is_not_given_a_row_to_walk_through_lot_by_lot(slow: type[SlowHiGHS]) -> None:
    """On such a program it looks at neither its clock nor its nodes: 5 s of 0.2 allowed for 60 columns."""
    plan = solve(thin_problem(1e6), SolverSettings(time_limit_s=0.1))
    assert slow.whole_runs == 0
    assert plan.status is Status.relaxed and 0.0 < plan.slack[0] < math.e * 1e-4
    solve(thin_problem(1e6, wide=1e-3), SolverSettings(time_limit_s=0.1))  # more than a lot of either
    assert slow.whole_runs == 1
    solve(thin_problem(400.0), SolverSettings(time_limit_s=0.1))
    assert slow.whole_runs > 1


def test_how_long_a_plan_lasts_at_most() -> None:
    """Work of 2 and twice 1/4 times the limit, and HiGHS' clock: 1.5 times the limit, no less than 1.5 s."""
    assert [longest_s(x) for x in (0.1, 1.0, 4.0)] == pytest.approx([1.75, 4.0, 16.0])
    assert longest_s(Settings().solver.time_limit_s) < Settings().run.watchdog.stall_s_max
