"""What stands beside a plan: bounds that hold, alternatives that are reckoned late and are the same."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedger.optimizer import Status
from hedger.planning import HedgePlan, make_plan, read_beside
from hedger.problem.alternatives import cheapest_with_one_option, least_with_one_option
from hedger.problem.assembly import build_problem, hedge_universe, rising
from hedger.problem.snapshot import Snapshot, take_snapshot
from hedger.sample import SampleSettings, market_maker_book
from hedger.settings import Settings
from pricing.market import Market
from pricing.valuation import value
from risk.costs import cost_model
from venues.simulated import SimulatedMarket

SETTINGS = Settings.model_validate({"solver": {"time_limit_s": 60.0}})


def planned(seed: int, positions: int) -> tuple[Snapshot, HedgePlan]:
    source = SimulatedMarket(seed)
    market = Market.empty(source.universe).apply(source.step(3600.0))
    sample = SampleSettings(positions=positions)
    book = market_maker_book(market, value(market, 600.0), seed, 600.0, sample)
    snapshot = take_snapshot(book, market, SETTINGS)
    return snapshot, make_plan(snapshot, SETTINGS)


@pytest.mark.parametrize("positions", [2, 15])
@pytest.mark.parametrize("seed", range(4))
def test_the_next_best_plan_by_itself_and_its_bound(seed: int, positions: int) -> None:
    snapshot, plan = planned(seed, positions)
    if plan.solved.status is Status.no_trade:
        assert plan.runner_up is None and plan.delta_only is None
        return
    tradable, _ = hedge_universe(snapshot, SETTINGS)
    costs = cost_model(
        snapshot.market, snapshot.valuation, tradable, SETTINGS.cost_settings(), snapshot.quantities
    )
    problem = build_problem(snapshot, SETTINGS, costs, tradable, plan.required_lower, plan.required_upper)
    alone = cheapest_with_one_option(snapshot, problem, costs, tradable, SETTINGS)
    least = least_with_one_option(snapshot, problem, tradable)
    assert (plan.runner_up is None) == (alone is None)
    if alone is not None and plan.runner_up is not None:
        assert plan.runner_up.cost_usd == alone.cost_usd
        assert [(t.row, t.quantity) for t in plan.runner_up.trades] == [
            (t.row, t.quantity) for t in alone.trades
        ]
        assert least <= alone.cost_usd * (1 + 1e-9)
        # where the bound does not rule it out it was looked at, and the cheaper of the two was taken
        assert plan.cost.total <= alone.cost_usd * (1 + 1e-9)


def test_what_is_read_late_is_read_once() -> None:
    _, plan = planned(0, 15)
    stages: list[str] = []
    read_beside(plan, stages.append)
    assert stages == ["runner_up", "delta_only", "waiting"]
    assert plan.runner_up is plan.runner_up and plan.delta_only is plan.delta_only
    assert plan.waiting is plan.waiting and np.isfinite(plan.waiting.net_usd)


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(-5.0, 5.0)), max_size=12))
def test_costs_of_a_side_do_not_fall(levels: list[tuple[int, float]]) -> None:
    levels = sorted(levels, key=lambda level: level[0])
    side = np.array([s for s, _ in levels], dtype=np.int64)
    cost = np.array([c for _, c in levels])
    found = rising(side, cost)
    for s in range(4):
        assert found[side == s].tolist() == np.maximum.accumulate(cost[side == s]).tolist()


@pytest.mark.parametrize("share", [0.0, 1.5])
def test_a_plan_that_the_clock_ended_is_a_plan_and_says_so(
    share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fixed costs are HiGHS' to do: without a second of its clock the plan is what is found without it."""
    monkeypatch.setattr("hedger.solver.budget.CLOCK_SHARE", share)
    monkeypatch.setattr("hedger.solver.budget.CLOCK_S_MIN", 0.0)
    source = SimulatedMarket(0)
    market = Market.empty(source.universe).apply(source.step(3600.0))
    book = market_maker_book(market, value(market, 600.0), 0, 600.0, SampleSettings(positions=15))
    settings = Settings.model_validate({"costs": {"fixed_usd": 5.0}, "solver": {"time_limit_s": 60.0}})
    plan = make_plan(take_snapshot(book, market, settings), settings)
    assert plan.trades
    assert ("HiGHS was ended by the clock: a replay may find another plan" in plan.reason) is (share == 0.0)
