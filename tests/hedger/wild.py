"""Well-formed hedge problems with numbers nobody would quote: what `solve` must bear."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hedger.solver.hedge_problem import HedgeProblem, Ladder

Floats = NDArray[np.float64]
INF = float("inf")


def wild_problem(seed: int) -> HedgeProblem:
    """Few rows and columns; magnitudes from 1e-12 to 1e12, zeros, ties, empty sides, points as intervals,
    lots above all sizes, minimum sizes, caps, fixed costs, crossed ladders."""
    rng = np.random.default_rng(seed)
    m, n = int(rng.integers(1, 5)), int(rng.integers(0, 6))
    spread = rng.choice([0.0, 1.0, 4.0, 12.0])
    whole = rng.random() < 0.3

    def numbers(shape: tuple[int, ...], *, signed: bool = True) -> Floats:
        size = rng.integers(0, 4, shape).astype(float) if whole else rng.uniform(0.0, 3.0, shape)
        size *= 10.0 ** rng.uniform(-spread, spread, shape)
        size[rng.random(shape) < 0.15] = 0.0
        return size * rng.choice([-1.0, 1.0], shape) if signed else size

    def side() -> tuple[Floats, Floats]:
        levels = int(rng.integers(0, 4))
        cost = np.sort(numbers((levels,), signed=bool(rng.random() < 0.1)))
        return numbers((levels,), signed=False), cost

    exposure, ends = numbers((m,)), np.sort(numbers((2, m)), axis=0)
    if rng.random() < 0.2:
        ends[1] = ends[0]
    lower = np.where(rng.random(m) < 0.15, -INF, ends[0])
    upper = np.where(rng.random(m) < 0.15, INF, ends[1])
    ladders = []
    for _ in range(n):
        buy, sell = side(), side()
        ladders.append(Ladder(*buy, *sell))
    lot = np.maximum(numbers((n,), signed=False), 10.0 ** rng.uniform(-12.0, 12.0))
    lot = np.where(rng.random(n) < 0.5, 10.0 ** rng.integers(-3, 1, n), lot)
    return HedgeProblem(
        rows=[f"{name}:{g}" for g, name in enumerate(rng.choice(["delta", "gamma", "vega", "x"], m))],
        exposure=exposure,
        lower=lower,
        upper=upper,
        columns=[f"c{i}" for i in range(n)],
        per_unit=numbers((m, n)),
        ladders=ladders,
        lot=lot,
        min_size=np.where(rng.random(n) < 0.7, 0.0, numbers((n,), signed=False)),
        max_buy=np.where(rng.random(n) < 0.7, INF, numbers((n,), signed=False)),
        max_sell=np.where(rng.random(n) < 0.7, INF, numbers((n,), signed=False)),
        fixed_cost=0.0 if rng.random() < 0.9 else numbers((n,), signed=False),
    )


def extreme_problem(seed: int) -> HedgeProblem:
    """A wild problem, one kind of its numbers pushed towards an end of what a float holds."""
    rng = np.random.default_rng(seed)
    problem = wild_problem(seed)
    by = 10.0 ** rng.choice([-300.0, -150.0, 150.0, 290.0])
    with np.errstate(over="ignore"):
        match rng.choice(["per_unit", "exposure", "lot", "cost", "size", "ends"]):
            case "per_unit":
                return replace(problem, per_unit=np.clip(problem.per_unit * by, -1e308, 1e308))
            case "exposure":
                return replace(problem, exposure=np.clip(problem.exposure * by, -1e308, 1e308))
            case "lot":
                return replace(problem, lot=np.clip(problem.lot * by, 1e-308, 1e308))
            case "cost":
                return replace(problem, ladders=[_scaled(x, 1.0, by) for x in problem.ladders])
            case "size":
                return replace(problem, ladders=[_scaled(x, by, 1.0) for x in problem.ladders])
            case _:
                return replace(problem, lower=problem.lower * by, upper=problem.upper * by)


def _scaled(ladder: Ladder, size: float, cost: float) -> Ladder:
    def clipped(x: Floats) -> Floats:
        return np.clip(x, -1e308, 1e308)

    return Ladder(
        clipped(ladder.buy_size * size),
        clipped(ladder.buy_cost * cost),
        clipped(ladder.sell_size * size),
        clipped(ladder.sell_cost * cost),
    )


def wide_problem(seed: int) -> HedgeProblem:
    """Up to eight rows and eighty columns, magnitudes from 1e-12 to 1e12, most rows out."""
    rng = np.random.default_rng(seed)
    m, n = int(rng.integers(1, 9)), int(rng.integers(5, 80))
    spread = rng.choice([0.0, 1.0, 3.0, 6.0, 12.0])

    def numbers(shape: tuple[int, ...], *, signed: bool = True) -> Floats:
        size = rng.uniform(0.0, 3.0, shape) * 10.0 ** rng.uniform(-spread, spread, shape)
        size *= rng.random(shape) > 0.1
        return size * rng.choice([-1.0, 1.0], shape) if signed else size

    def side() -> tuple[Floats, Floats]:
        levels = int(rng.integers(0, 6))
        return numbers((levels,), signed=False), np.sort(numbers((levels,), signed=bool(rng.random() < 0.1)))

    ladders = [Ladder(*side(), *side()) for _ in range(n)]
    ends = np.sort(numbers((2, m)), axis=0)
    fine, coarse = 10.0 ** rng.integers(-3, 2, n), np.maximum(numbers((n,), signed=False), 1e-9)
    return HedgeProblem(
        rows=[f"{name}:{g}" for g, name in enumerate(rng.choice(["delta", "gamma", "vega", "x"], m))],
        exposure=3.0 * numbers((m,)),
        lower=ends[0],
        upper=ends[1],
        columns=[f"c{i}" for i in range(n)],
        per_unit=numbers((m, n)),
        ladders=ladders,
        lot=np.where(rng.random(n) < 0.5, fine, coarse),
        min_size=np.where(rng.random(n) < 0.7, 0.0, numbers((n,), signed=False)),
        max_buy=np.where(rng.random(n) < 0.7, INF, numbers((n,), signed=False)),
        max_sell=np.full(n, INF),
        fixed_cost=0.0 if rng.random() < 0.8 else numbers((n,), signed=False),
    )
