"""The optimizer alone, on synthetic chains, so that rows and ladders can be chosen.

Three parts: `solve` over 1,600 columns with whole lots on 60 (scipy's linprog solves the bound only); the LP
re-solved warm over 200 successive marks, against HiGHS warm; whole lots at 50 instruments, against HiGHS' own
branch and bound. Every answer is checked before anything is timed: against the optimality conditions in plain
arithmetic, and against HiGHS.

Run with `make bench`; the ratio table has one group per size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import highspy
import numpy as np
import pytest
from numpy.typing import NDArray
from pytest_benchmark.fixture import BenchmarkFixture
from scipy.optimize import linprog

from hedger.optimizer import HedgeProblem, Ladder, SolverSettings, Status, solve
from hedger.solver.dual_simplex import OPTIMAL, VALUE
from hedger.solver.frame import frame_of
from hedger.solver.simplex import LadderProgram, Simplex, ladder_program
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


# ------------------------------------------------------------ successive marks, re-solved warm
# 5 + 5 levels per instrument with rising cost, two priced breach columns per row (always feasible); from mark
# to mark exposures move by 15 % and costs by 5 %.

MARKS = 200
LEVELS = 5
BREACH = 1e3  # units that a breach column holds
FAMILIES = {"3 rows x 50": (3, 50), "16 rows x 50": (16, 50), "16 rows x 200": (16, 200)}


@dataclass(frozen=True, slots=True, eq=False)
class Family:
    """One market: m rows, n instruments; costs (2, n, LEVELS) buy then sell, sizes likewise."""

    effect: Floats  # (m, n)
    size: Floats
    cost: Floats
    exposure: Floats
    half: Floats
    lot: Floats
    breach_price: float

    def marks(self) -> list[tuple[Floats, Floats]]:
        """Exposure and cost of each mark."""
        rng = np.random.default_rng(7)
        m, n = self.effect.shape
        return [
            (self.exposure * rng.uniform(0.85, 1.15, m), self.cost * rng.uniform(0.95, 1.05, (1, n, 1)))
            for _ in range(MARKS)
        ]

    def problem(self, exposure: Floats, cost: Floats) -> HedgeProblem:
        """The same in the optimizer's words; a breach is a column in lots so fine that they do not matter."""
        m, n = self.effect.shape
        ladders = [Ladder(self.size[0, i], cost[0, i], self.size[1, i], cost[1, i]) for i in range(n)]
        breach = Ladder(*(np.array([x]) for x in (BREACH, self.breach_price, BREACH, self.breach_price)))
        lot = np.concatenate([self.lot, np.full(m, 1e-6)])
        free = np.full(n + m, np.inf)
        return HedgeProblem(
            [f"vega:{g}" for g in range(m)], exposure, -self.half, self.half,
            [f"c{i}" for i in range(n + m)], np.hstack([self.effect, np.eye(m)]),
            ladders + [breach] * m, lot, lot, free, free,
        )  # fmt: skip


def family(seed: int, m: int, n: int) -> Family:
    """3 rows: delta, gamma, vega of one underlying; 16: 4 deltas, 4 gammas and 8 vegas by tenor, of four.

    A perpetual per underlying in fine lots; options in lots of 0.1 with 1 to 5 units a level.
    """
    rng = np.random.default_rng(seed)
    underlyings, tenors = (1, 1) if m == 3 else (4, 2)
    effect, lot = np.zeros((m, n)), np.full(n, 0.1)
    size = np.round(rng.uniform(1, 5, (2, n, LEVELS)), 1)
    first = np.zeros(n)
    for i in range(n):
        u, tenor = i % underlyings, (i // underlyings) % tenors
        if i < underlyings:
            effect[u, i], lot[i], first[i], size[:, i] = 1.0, 1e-3, 0.02, 20.0
            continue
        years = rng.uniform(0.3, 1.0) if tenor == 0 else rng.uniform(1.0, 3.0)
        peak = float(np.exp(-0.5 * rng.normal() ** 2))
        effect[u, i] = rng.uniform(-1, 1)
        effect[underlyings + u, i] = peak / np.sqrt(years)
        effect[2 * underlyings + u * tenors + tenor, i] = peak * np.sqrt(years)
        first[i] = (0.05 + 0.1 * peak) * rng.uniform(0.5, 2)
    rise = 1 + np.cumsum(rng.uniform(0.02, 0.2, (2, n, LEVELS)), axis=2)
    exposure = rng.normal(size=m) * 4 * np.sqrt(n / underlyings / 12)
    return Family(effect, size, first[:, None] * rise, exposure, np.full(m, 0.2), lot, 3.0)


class Ours:
    """Our simplex on one family: the program stays, costs and ends move."""

    def __init__(self, f: Family) -> None:
        m, n = f.effect.shape
        self.m, self.n, self.half = m, n, f.half
        self.program = ladder_program(frame_of(f.problem(f.exposure, f.cost)), elastic=False)
        self.simplex = Simplex(self.program)
        self.pieces = 2 * LEVELS + 1
        self.scale = (self.program.unit / self.program.money)[:n, None]
        rows = self.program.first[n + m :]
        assert (np.diff(rows) == 2).all() and rows[-1] + 2 == len(self.program.at)
        self.lower, self.upper = self.simplex.at[rows[0] :: 2], self.simplex.at[rows[0] + 1 :: 2]
        first = self.program.first[:n]
        assert (self.program.count[:n] == 2 * LEVELS).all() and (first == np.arange(n) * self.pieces).all()
        self.size = f.size / self.program.unit[:n, None]

    def mark(self, exposure: Floats, cost: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        """Slopes, cost at the first breaks, and ends of the rows: one mark as the simplex takes it."""
        whole = self.program.slope.copy()
        slope = whole[: self.n * self.pieces].reshape(self.n, self.pieces)
        slope[:, :LEVELS] = -cost[1, :, ::-1] * self.scale
        slope[:, LEVELS:-1] = cost[0] * self.scale
        base = self.program.base.copy()
        base[: self.n] = (cost[1] * self.scale * self.size[1]).sum(axis=1)
        scale = self.program.scale
        return whole, base, (-self.half - exposure) / scale, (self.half - exposure) / scale

    def run(self, slope: Floats, base: Floats, lower: Floats, upper: Floats) -> float:
        """One mark, solved from the last basis. USD."""
        self.simplex.slope, self.simplex.base = slope, base
        self.lower[:], self.upper[:] = lower, upper
        assert self.simplex.run() == OPTIMAL
        return float(self.simplex.facts[VALUE]) * self.program.money


class Highs:
    """HiGHS on the same family, one column per level, changed in place; the basis stays."""

    def __init__(self, f: Family, *, whole: bool = False) -> None:
        m, n = f.effect.shape
        self.half, self.breach = f.half, np.full(2 * m, f.breach_price)
        each = np.repeat(f.effect, LEVELS, axis=1)
        unit = np.repeat(f.lot, LEVELS) if whole else np.ones(n * LEVELS)
        matrix = np.hstack([each * unit, -each * unit, np.eye(m), -np.eye(m)])
        self.unit = np.concatenate([unit, unit, np.ones(2 * m)])
        upper = np.concatenate([f.size[0].ravel() / unit, f.size[1].ravel() / unit, np.full(2 * m, BREACH)])
        kind = np.zeros(len(upper), dtype=np.int32)
        if whole:
            upper = np.rint(upper)
            kind[: -2 * m] = 1
        self.highs: Any = highspy.Highs()  # typed in part only
        highs = self.highs
        highs.setOptionValue("output_flag", False)
        highs.setOptionValue("threads", 1)
        highs.setOptionValue("presolve", "choose" if whole else "off")
        highs.setOptionValue("primal_feasibility_tolerance", 1e-9)
        highs.setOptionValue("dual_feasibility_tolerance", 1e-9)
        highs.setOptionValue("mip_rel_gap", 1e-3)
        highs.setOptionValue("time_limit", 1.0 if whole else 1e9)
        held = matrix.T != 0
        start = np.concatenate([[0], np.cumsum(held.sum(axis=1))[:-1]]).astype(np.int32)
        highs.passModel(
            len(upper), m, int(held.sum()), 1, 1, 0.0, self.costs(f.cost), np.zeros(len(upper)), upper,
            -f.half - f.exposure, f.half - f.exposure, start, np.nonzero(held)[1].astype(np.int32),
            matrix.T[held], kind,
        )  # fmt: skip
        self.columns, self.rows = np.arange(len(upper), dtype=np.int32), np.arange(m, dtype=np.int32)

    def costs(self, cost: Floats) -> Floats:
        return np.asarray(np.concatenate([cost[0].ravel(), cost[1].ravel(), self.breach]) * self.unit)

    def mark(self, exposure: Floats, cost: Floats) -> tuple[Floats, Floats, Floats]:
        """Costs and ends of the rows: one mark as HiGHS takes it."""
        return self.costs(cost), -self.half - exposure, self.half - exposure

    def run(self, cost: Floats, lower: Floats, upper: Floats) -> float:
        """One mark, solved from the last basis. USD."""
        highs = self.highs
        highs.changeColsCost(len(self.columns), self.columns, cost)
        highs.changeRowsBounds(len(self.rows), self.rows, lower, upper)
        highs.run()
        return float(highs.getInfo().objective_function_value)


def proven(program: LadderProgram, simplex: Simplex) -> None:
    """Rows met, boxes kept, cost equal to the prices' Lagrangian bound: to 1e-9, in plain arithmetic."""
    n = program.a.shape[1]
    x, price = simplex.x, np.concatenate([simplex.y @ program.a, -simplex.y])
    assert np.abs(program.a @ x[:n] - x[n:]).max() <= 1e-9
    cost = bound = 0.0
    for j, (first, count) in enumerate(zip(program.first, program.count, strict=True)):
        at, slope = simplex.at[first : first + count + 1], simplex.slope[first : first + count]
        assert at[0] <= x[j] <= at[-1]
        paid = simplex.base[j] + np.concatenate([[0.0], np.cumsum(slope * np.diff(at))])
        cost += float(np.interp(x[j], at, paid))
        bound += float((paid - price[j] * at).min())
    assert cost - bound <= 1e-9 * abs(cost)


@pytest.fixture(scope="module", params=FAMILIES)
def market(request: pytest.FixtureRequest) -> tuple[str, Family]:
    return request.param, family(1, *FAMILIES[request.param])


def test_ours_warm_marks(benchmark: BenchmarkFixture, market: tuple[str, Family]) -> None:
    """Verified first: every mark proven, and its objective that of HiGHS to 1e-9."""
    size, f = market
    ours, highs = Ours(f), Highs(f)
    marks = [ours.mark(*mark) for mark in f.marks()]
    for mark, theirs in zip(marks, f.marks(), strict=True):
        assert ours.run(*mark) == pytest.approx(highs.run(*highs.mark(*theirs)), rel=1e-9)
        proven(ours.program, ours.simplex)
    benchmark.group = f"LP warm: {size} x {LEVELS} levels a side, {MARKS} marks"
    benchmark.pedantic(lambda: [ours.run(*mark) for mark in marks], rounds=20, warmup_rounds=1)


def test_highs_warm_marks(benchmark: BenchmarkFixture, market: tuple[str, Family]) -> None:
    size, f = market
    highs = Highs(f)
    marks = [highs.mark(*mark) for mark in f.marks()]
    benchmark.group = f"LP warm: {size} x {LEVELS} levels a side, {MARKS} marks"
    benchmark.pedantic(lambda: [highs.run(*mark) for mark in marks], rounds=5, warmup_rounds=1)


# ------------------------------------------------------------ whole lots of 50 instruments

BOOKS = 12
EVERY = SolverSettings(columns=100)  # all of them, so that the certificate is the search's


@pytest.fixture(scope="module", params=["3 rows x 50", "16 rows x 50"])
def books(request: pytest.FixtureRequest) -> tuple[str, list[Family]]:
    return request.param, [family(seed, *FAMILIES[request.param]) for seed in range(BOOKS)]


def test_ours_lots(benchmark: BenchmarkFixture, books: tuple[str, list[Family]]) -> None:
    """Verified first: rows met, and no bound above what HiGHS found for the same book."""
    size, families = books
    problems = [f.problem(f.exposure, f.cost) for f in families]
    plans = [solve(p, EVERY) for p in problems]
    for f, p, plan in zip(families, problems, plans, strict=True):
        assert plan.status is Status.optimal and not plan.slack.any()
        assert ((plan.exposure_after <= p.upper + 1e-6) & (plan.exposure_after >= p.lower - 1e-6)).all()
        found = Highs(f, whole=True)
        assert max(plan.lots_bound, plan.lower_bound) <= found.run(*found.mark(f.exposure, f.cost)) * (
            1 + 1e-6
        )
    benchmark.extra_info["worst certified gap"] = max(plan.certified_gap for plan in plans)
    benchmark.extra_info["fallbacks"] = sum(plan.fallbacks for plan in plans)
    benchmark.group = f"whole lots: {size} x {LEVELS} levels a side, gap 1e-3, {BOOKS} books"
    benchmark.pedantic(lambda: [solve(p, EVERY) for p in problems], rounds=5, warmup_rounds=1)


def test_highs_lots(benchmark: BenchmarkFixture, books: tuple[str, list[Family]]) -> None:
    """HiGHS with one second a book: what it has not closed by then, it reports."""
    size, families = books
    solvers = [Highs(f, whole=True) for f in families]
    gaps: list[float] = []

    def work() -> None:
        for f, highs in zip(families, solvers, strict=True):
            highs.highs.clearSolver()
            highs.run(*highs.mark(f.exposure, f.cost))
            gaps.append(float(highs.highs.getInfo().mip_gap))

    benchmark.group = f"whole lots: {size} x {LEVELS} levels a side, gap 1e-3, {BOOKS} books"
    benchmark.pedantic(work, rounds=2)
    benchmark.extra_info["worst certified gap"] = max(gaps)
