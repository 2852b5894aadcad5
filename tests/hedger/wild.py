"""Well-formed hedge problems with numbers nobody would quote: what `solve` must bear."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hedger.hedge_problem import HedgeProblem, Ladder

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
        cost = np.sort(numbers((levels,), signed=bool(rng.random() < 0.2)))
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
