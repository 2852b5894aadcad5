"""A hedge problem as the solver's programs need it: levels in one list, rows from where the book is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hedger.hedge_problem import HedgeProblem
from pricing.universe import FloatArray, IntArray

INF = float("inf")


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A hedge problem as the programs need it: levels in one flat list, rows measured from where the book
    stands.

    m rows, n columns, L levels (cut at the caps, so that a cap is nothing but the end of the last level), P
    priorities.
    """

    per_unit: FloatArray  # (m, n) effect of one unit of a column
    need_lower: FloatArray  # (m,) what the trades must add at least; -inf = open
    need_upper: FloatArray  # (m,) and at most; inf = open
    tolerance: FloatArray  # (m,) a row missed by less than this counts as met
    weight: FloatArray  # (m,) one unit of slack
    rank: IntArray  # (m,) index of the row's priority, 0 = first
    column: IntArray  # (L,) which column
    sign: FloatArray  # (L,) +1 buy, -1 sell
    size: FloatArray  # (L,) in the column's unit
    before: FloatArray  # (L,) size of the cheaper levels of the same side
    price: FloatArray  # (L,) USD per unit
    lot: FloatArray  # (n,)
    most_buy: IntArray  # (n,) whole lots that can be bought (0 when fewer than the minimum)
    most_sell: IntArray  # (n,)
    cap_buy: FloatArray  # (n,) the same in units, before it was cut to lots
    cap_sell: FloatArray  # (n,)
    least: IntArray  # (n,) lots of the smallest trade, >= 1
    fixed: FloatArray  # (n,) USD if traded at all

    @property
    def ranks(self) -> int:
        """Number of different priorities."""
        return int(self.rank.max()) + 1


def frame_of(problem: HedgeProblem) -> Frame:
    """The problem measured from where the book stands, with its tolerances and weights.

    Tolerance of a row: 1e-9 of the farthest finite end of its interval from where it stands, plus what
    rounding can do to sums (1e-10 of the largest single lot's effect, 1e-14 of the row's own magnitude).
    Weight of a row (one unit of slack): the width of its interval, because widths are what the desk finds
    equally bearable; where the interval is open or a point, the farthest required move instead (and
    where that is 0, the largest single lot's effect).
    """
    need_lower, need_upper = problem.lower - problem.exposure, problem.upper - problem.exposure
    ends = np.abs([need_lower, need_upper, problem.exposure, problem.lower, problem.upper])
    ends[~np.isfinite(ends)] = 0.0
    farthest = ends[:2].max(axis=0, initial=0.0)
    lot_effect = (np.abs(problem.per_unit) * problem.lot).max(axis=1, initial=0.0)
    tolerance = 1e-9 * farthest + 1e-10 * lot_effect + 1e-14 * ends.max(axis=0, initial=0.0)
    move = np.where(farthest > 0, farthest, np.where(lot_effect > 0, lot_effect, 1.0))
    width = problem.upper - problem.lower
    rank = np.unique(np.asarray(problem.priority), return_inverse=True)[1]
    ladders = problem.ladders
    sides = [
        _levels(
            [ladder.buy_size for ladder in ladders], [ladder.buy_cost for ladder in ladders], problem.max_buy
        ),
        _levels(
            [ladder.sell_size for ladder in ladders],
            [ladder.sell_cost for ladder in ladders],
            problem.max_sell,
        ),
    ]
    column, size, before, price = (np.concatenate(parts) for parts in zip(*sides, strict=True))
    cap = np.stack([np.bincount(c, s, minlength=len(ladders)) for c, s, _, _ in sides])
    cap = np.minimum(cap, [problem.max_buy, problem.max_sell])
    least = np.maximum(np.ceil(problem.min_size / problem.lot * (1 - 1e-12) - 1e-9), 1).astype(np.int64)
    most_lots = np.floor(cap / problem.lot * (1 + 1e-12) + 1e-9).astype(np.int64)
    most_lots[most_lots < least] = 0
    return Frame(
        per_unit=problem.per_unit,
        need_lower=need_lower,
        need_upper=need_upper,
        tolerance=np.where(tolerance > 0, tolerance, 1e-9),
        weight=np.where(np.isfinite(width) & (width >= 1e-6 * move), width, move),
        rank=rank.astype(np.int64),
        column=column,
        sign=np.repeat([1.0, -1.0], [len(c) for c, _, _, _ in sides]),
        size=size,
        before=before,
        price=price,
        lot=problem.lot,
        most_buy=most_lots[0],
        most_sell=most_lots[1],
        cap_buy=cap[0],
        cap_sell=cap[1],
        least=least,
        fixed=np.asarray(problem.fixed_cost),
    )


def _levels(
    sizes: Sequence[FloatArray], costs: Sequence[FloatArray], most: FloatArray
) -> tuple[IntArray, FloatArray, FloatArray, FloatArray]:
    """One side of all ladders, cut at the caps `most` (n,): column, size, size before, price of each level
    left."""
    counts = np.array([size.size for size in sizes], dtype=np.int64)
    shape = (len(counts), int(counts.max(initial=0)))
    there = np.arange(shape[1]) < counts[:, None]
    grid, price = np.zeros(shape), np.zeros(shape)
    if there.any():
        grid[there], price[there] = np.concatenate(sizes), np.concatenate(costs)
    ends = np.minimum(np.cumsum(grid, axis=1), most[:, None])
    starts = np.concatenate([np.zeros((shape[0], 1)), ends], axis=1)[:, :-1] if shape[1] else ends
    used = there & (ends > starts)
    return np.nonzero(used)[0], (ends - starts)[used], starts[used], price[used]
