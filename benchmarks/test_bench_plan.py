"""Each stage of a plan on a 1,600-option chain with 60 hedge instruments, beside a peer doing the same work.

Run with `make bench`. Peers in the same run: a loop over vollib's scalar functions for the Greeks, scipy's
linprog for the linear program. A stage without a peer of its own is shown against linprog on the same plan.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from scipy.optimize import linprog
from vollib.black import black
from vollib.black.greeks.analytical import delta, gamma, theta, vega

from hedger.optimizer import HedgeProblem, solve
from hedger.planning import make_plan
from hedger.problem.alternatives import cheapest_with_one_option, perpetuals_alone
from hedger.problem.assembly import build_problem, hedge_universe
from hedger.problem.snapshot import Snapshot, take_snapshot
from hedger.sample import SampleSettings, market_maker_book
from hedger.settings import Settings
from pricing.market import Market
from pricing.universe import FloatArray, IntArray
from pricing.valuation import value
from risk.costs import CostModel, cost_model
from venues.simulated import SimulatedMarket
from venues.simulated_law import SimulationSettings

ROUNDS = 30


@dataclass(frozen=True, slots=True)
class Desk:
    """Everything the stages start from."""

    settings: Settings
    market: Market
    snapshot: Snapshot
    tradable: IntArray
    costs: CostModel
    problem: HedgeProblem
    required: tuple[FloatArray, FloatArray]


@pytest.fixture(scope="module")
def desk() -> Desk:
    settings = Settings()
    source = SimulatedMarket(7, settings=SimulationSettings(strikes_per_expiry=50))
    market = Market.empty(source.universe).apply(source.marks())
    assert market.universe.is_option.sum() >= 1_600
    book = market_maker_book(
        market, value(market, settings.age_s_max), 7, settings.age_s_max, SampleSettings(positions=40)
    )
    snapshot = take_snapshot(book, market, settings)
    required = snapshot.bands.required(snapshot.exposure.value)
    tradable, _ = hedge_universe(snapshot, settings)
    costs = cost_model(market, snapshot.valuation, tradable, settings.cost_settings())
    problem = build_problem(snapshot, settings, costs, tradable, *required)
    assert snapshot.bands.breached(snapshot.exposure.value).any()
    return Desk(settings, market, snapshot, tradable, costs, problem, required)


def timed(benchmark: BenchmarkFixture, work: Callable[[], object]) -> None:
    """A fixed number of rounds, so that a 99th percentile means the same for every peer."""
    benchmark.pedantic(work, rounds=ROUNDS, warmup_rounds=2)


@pytest.mark.benchmark(group="stage: Greeks of 1,600 options (value)")
def test_ours_value(benchmark: BenchmarkFixture, desk: Desk) -> None:
    timed(benchmark, lambda: value(desk.market, desk.settings.age_s_max))


@pytest.mark.benchmark(group="stage: Greeks of 1,600 options (value)")
def test_vollib_loop(benchmark: BenchmarkFixture, desk: Desk) -> None:
    universe, valuation = desk.market.universe, desk.snapshot.valuation
    rows = np.flatnonzero(universe.is_option & np.isfinite(valuation.vol))
    arguments = [
        ("c" if universe.sign[i] > 0 else "p", *(float(x[i]) for x in (valuation.forward, universe.strike)),
         float(valuation.years[i]), 0.0, float(valuation.vol[i]))
        for i in rows
    ]  # fmt: skip

    def loop() -> float:
        total = 0.0
        for flag, forward, strike, years, rate, vol in arguments:
            total += black(flag, forward, strike, years, rate, vol)
            for greek in (delta, gamma, vega, theta):
                total += greek(flag, forward, strike, years, rate, vol)
        return total

    timed(benchmark, loop)


def linear_program(problem: HedgeProblem) -> Callable[[], object]:
    """The LP over every column as scipy takes it: one variable per displayed level."""
    cost: list[float] = []
    size: list[float] = []
    columns: list[FloatArray] = []
    for i, ladder in enumerate(problem.ladders):
        for sign, sizes, costs in (
            (1.0, ladder.buy_size, ladder.buy_cost),
            (-1.0, ladder.sell_size, ladder.sell_cost),
        ):
            for s, c in zip(sizes, costs, strict=True):
                cost.append(float(c))
                size.append(float(s))
                columns.append(sign * problem.per_unit[:, i])
    matrix = np.array(columns).T
    scale = np.abs(matrix).max(axis=1)
    scale[scale == 0] = 1.0  # a row that no column moves
    upper, lower = np.isfinite(problem.upper), np.isfinite(problem.lower)
    a = np.concatenate(((matrix / scale[:, None])[upper], -(matrix / scale[:, None])[lower]))
    b = np.concatenate(
        (
            ((problem.upper - problem.exposure) / scale)[upper],
            ((problem.exposure - problem.lower) / scale)[lower],
        )
    )
    return lambda: linprog(cost, A_ub=a, b_ub=b, bounds=list(zip([0.0] * len(size), size, strict=True)))


@pytest.mark.benchmark(group="stage: bound and whole lots, all columns (solve)")
def test_ours_solve(benchmark: BenchmarkFixture, desk: Desk) -> None:
    timed(benchmark, lambda: solve(desk.problem, desk.settings.solver_settings()))


@pytest.mark.benchmark(group="stage: bound and whole lots, all columns (solve)")
def test_linprog_bound_alone(benchmark: BenchmarkFixture, desk: Desk) -> None:
    timed(benchmark, linear_program(desk.problem))


@pytest.mark.benchmark(group="stages without a peer of their own, against linprog")
@pytest.mark.parametrize(
    "stage", ["value_and_expose", "costs", "problem", "runner_up", "delta_only", "ours_whole_plan"]
)
def test_stage(benchmark: BenchmarkFixture, desk: Desk, stage: str) -> None:
    settings, snapshot = desk.settings, desk.snapshot
    work: dict[str, Callable[[], object]] = {
        "value_and_expose": lambda: take_snapshot(snapshot.book, desk.market, settings),
        "costs": lambda: cost_model(desk.market, snapshot.valuation, desk.tradable, settings.cost_settings()),
        "problem": lambda: build_problem(snapshot, settings, desk.costs, desk.tradable, *desk.required),
        "runner_up": lambda: cheapest_with_one_option(
            snapshot, desk.problem, desk.costs, desk.tradable, settings
        ),
        "delta_only": lambda: perpetuals_alone(snapshot, desk.problem, desk.costs, desk.tradable, settings),
        "ours_whole_plan": lambda: make_plan(take_snapshot(snapshot.book, desk.market, settings), settings),
    }
    timed(benchmark, work[stage])


@pytest.mark.benchmark(group="stages without a peer of their own, against linprog")
def test_linprog(benchmark: BenchmarkFixture, desk: Desk) -> None:
    timed(benchmark, linear_program(desk.problem))
