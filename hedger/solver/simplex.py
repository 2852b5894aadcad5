"""Ladder programs for the dual simplex: a frame's columns as piecewise-linear costs, and warm runs on them.

The same linear program as `highs.level_program`, with one column per instrument instead of one per level.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hedger.solver import dual_simplex as kernel
from hedger.solver.frame import INF, Frame
from hedger.solver.hedge_problem import Basis
from hedger.solver.scaling import money_of, power_of_two, row_scale
from pricing.universe import FloatArray, IntArray


@dataclass(frozen=True, slots=True, eq=False)
class LadderProgram:
    """m rows, n columns, and m columns of the rows' own; see `dual_simplex.run`.

    Rows: the frame's, then one per priority (the sum of its slacks) where the program is elastic. Columns:
    the frame's, split in two where buying and selling at once would pay; then, where elastic, two slacks per
    row (all lower, all upper ones) in units of the row's weight.
    """

    a: FloatArray  # (m, n)
    first: IntArray  # (n + m,) where a column's breaks begin
    count: IntArray  # (n + m,) segments
    at: FloatArray  # breaks
    slope: FloatArray  # USD (in `money`) per unit right of each break
    base: FloatArray  # (n + m,) cost at the first break
    scale: FloatArray  # (rows of the frame,) units of a row per unit of its program row
    unit: FloatArray  # (columns,) units of the instrument per unit of the program column
    owner: IntArray  # (columns,) the frame's column
    place: IntArray  # (L,) the program column of a level
    money: float  # USD per unit of the objective
    slacks: int  # 2m, or 0 where the program is not elastic

    @property
    def finite(self) -> bool:
        """Whether every number is one that can be calculated with."""
        return all(
            bool((np.abs(x) < 1e100).all()) for x in (self.a, self.at, self.slope, self.base, self.unit)
        ) and bool((self.unit > 0).all() and (self.scale > 0).all())

    def fill(self, frame: Frame, x: FloatArray) -> FloatArray:
        """(L,) of the levels, in the column's unit, of a solution x (n + m,)."""
        signed = frame.sign * (x[: len(self.owner)] * self.unit)[self.place]
        return np.asarray(np.clip(signed - frame.before, 0.0, frame.size))


def ladder_program(frame: Frame, *, elastic: bool, most: FloatArray | None = None) -> LadderProgram:
    """The LP over all levels, priced in USD; `elastic` with slacks, which are free of cost here.

    `most` (2m,) the slack allowed to each side of a row, in the row's unit; None = whatever is needed.
    """
    n, m = len(frame.lot), len(frame.rank)
    scale = row_scale(frame)
    buys = frame.sign > 0
    cheapest = np.full((2, n), INF)
    np.minimum.at(cheapest, (np.where(buys, 0, 1), frame.column), frame.price)
    crossed = np.flatnonzero(cheapest.sum(axis=0) < 0)
    own = np.arange(n)
    own[crossed] = n + np.arange(len(crossed))
    place = np.where(buys, frame.column, own[frame.column])
    owner = np.concatenate([np.arange(n), crossed])
    columns = len(owner)
    effect = frame.per_unit / scale[:, None]
    unit = (1.0 / power_of_two(np.abs(effect).max(axis=0, initial=0.0)))[owner]
    a = effect[:, owner] * unit
    level_unit = unit[place]
    paid = np.where(frame.price != 0.0, np.abs(frame.price), INF)
    least_paid = np.full(columns, INF)
    np.minimum.at(least_paid, place, paid)
    money = money_of(frame, least_paid * unit, a)
    size = frame.size / level_unit
    start = np.where(buys, frame.before / level_unit, -(frame.before / level_unit + size))
    base = np.bincount(place[~buys], (frame.size * frame.price)[~buys] / money, minlength=columns)

    sold = np.bincount(place[~buys], size[~buys], minlength=columns)
    bought = np.bincount(place[buys], size[buys], minlength=columns)
    ends = np.stack([a * -sold, a * bought])
    least, greatest = ends.min(axis=0).sum(axis=1), ends.max(axis=0).sum(axis=1)
    low, high = frame.need_lower / scale, frame.need_upper / scale
    slack = np.zeros(0)
    if elastic:
        # nothing that the trades can do needs more slack than this
        weight = frame.weight / scale
        needed = np.concatenate(
            [
                np.where(np.isfinite(low), np.maximum(low - least, 0.0) / weight + 1.0, 0.0),
                np.where(np.isfinite(high), np.maximum(greatest - high, 0.0) / weight + 1.0, 0.0),
            ]
        )
        slack = needed if most is None else np.minimum(needed, most / np.tile(frame.weight, 2))
        trades, g, p = a, np.arange(m), frame.ranks
        a = np.zeros((m + p, columns + 2 * m))
        a[:m, :columns] = trades
        a[g, columns + g], a[g, columns + m + g] = weight, -weight
        a[m + frame.rank, columns + g] = a[m + frame.rank, columns + m + g] = 1.0
        total = np.bincount(np.tile(frame.rank, 2), slack, minlength=frame.ranks)
        least = np.concatenate([least - weight * slack[m:], np.zeros(frame.ranks)])
        greatest = np.concatenate([greatest + weight * slack[:m], total])
        low = np.concatenate([low, np.full(frame.ranks, -INF)])
        high = np.concatenate([high, np.full(frame.ranks, INF)])
    # an open side ends beyond what the columns can reach: never in the way
    margin = 1.0 + np.abs(least) + np.abs(greatest)
    low, high = (
        np.where(np.isfinite(low), low, np.minimum(least, high) - margin),
        np.where(np.isfinite(high), high, np.maximum(greatest, low) + margin),
    )

    first, count, at, slope = _curves(
        (place, start, size, frame.sign * frame.price * level_unit / money), columns, slack, low, high
    )
    every = np.zeros(len(count))
    every[:columns] = base
    return LadderProgram(
        np.ascontiguousarray(a), first, count, at, slope, every,
        scale, unit, owner, place, money, len(slack),
    )  # fmt: skip


def _curves(
    levels: tuple[IntArray, FloatArray, FloatArray, FloatArray],
    columns: int,
    slack: FloatArray,
    low: FloatArray,
    high: FloatArray,
) -> tuple[IntArray, IntArray, FloatArray, FloatArray]:
    """Every variable's cost as a chain of pieces: columns, then slacks, then rows.

    levels: of each its column, where it starts, how long it is and its slope, in the column's unit. slack:
    the most of each. Returns where a variable's breaks begin, its number of pieces, then of every break its
    place and the slope after it.
    """
    place, start, size, price = levels
    pieces = np.bincount(place, minlength=columns)
    count = np.concatenate([pieces, slack > 0, high > low]).astype(np.int64)
    first = np.concatenate([[0], np.cumsum(count + 1)]).astype(np.int64)
    at, slope = np.zeros(first[-1]), np.zeros(first[-1])
    order = np.lexsort((start, place))
    of = place[order]
    rank = np.arange(len(order)) - (np.cumsum(pieces) - pieces)[of]
    spot, last = first[of] + rank, rank + 1 == pieces[of]
    at[spot] = start[order]
    slope[spot] = price[order]
    at[spot[last] + 1] = (start + size)[order][last]
    first = first[:-1]
    behind = slice(columns, columns + len(slack))
    at[first[behind] + count[behind]] = slack
    rows = slice(columns + len(slack), None)
    at[first[rows]] = low
    at[first[rows] + count[rows]] = high
    return first, count, at, slope


class Simplex:
    """One ladder program and the basis it stands on; changes of cost and ends keep the basis: runs are
    warm."""

    def __init__(self, program: LadderProgram, basis: Basis | None = None) -> None:
        m, n = program.a.shape
        self.program = program
        self.at, self.slope, self.base = program.at.copy(), program.slope.copy(), program.base.copy()
        fits = basis is not None and len(basis.basic) == m and len(basis.place) == n + m
        self.basic = basis.basic.copy() if basis is not None and fits else np.arange(n, n + m)
        self.place = basis.place.copy() if basis is not None and fits else np.zeros(n + m, dtype=np.int64)
        self.cost = np.zeros_like(self.at)  # at each break
        self.x, self.y, self.facts = np.zeros(n + m), np.zeros(m), np.zeros(8)
        room = n + 2 * m + len(program.at)
        self._tableau = kernel.Tableau(self.basic, self.place, np.zeros((m, m)), self.x, self.y)
        self._scratch = kernel.Scratch(np.zeros((5, room)), np.zeros((4, room), dtype=np.int64), self.facts)
        self._fresh = True
        self._sound = program.finite and m > 0

    def price(self, slacks: FloatArray | None) -> None:
        """Objective: the cost of the trades where None, else of the slacks (2m,) alone."""
        program = self.program
        if slacks is None:
            self.slope, self.base = program.slope.copy(), program.base.copy()
            return
        columns = len(program.owner)
        self.slope, self.base = np.zeros_like(program.slope), np.zeros_like(program.base)
        self.slope[program.first[columns : columns + len(slacks)]] = slacks

    def set_end(self, columns: IntArray, end: FloatArray) -> None:
        """New last break of columns with one segment at most; one that had none keeps its end."""
        has = self.program.count[columns] > 0
        self.at[(self.program.first[columns] + 1)[has]] = end[has]

    @property
    def basis(self) -> Basis:
        """Where the last run stood."""
        return Basis(self.basic.copy(), self.place.copy())

    def run(self) -> int:
        """How it ended (see `dual_simplex`); x, y and the objective's value are those of OPTIMAL only."""
        program = self.program
        if not self._sound:
            return kernel.TROUBLE
        ended = kernel.priced_run(
            kernel.Program(program.a, program.first, program.count, self.at, self.slope, self.cost),
            self.base,
            self._tableau,
            self._scratch,
            self._fresh,
        )
        self._fresh = ended == kernel.TROUBLE
        return ended

    @property
    def pivots(self) -> int:
        """Iterations of all runs so far."""
        return int(self.facts[kernel.ITERATIONS])

    @property
    def work(self) -> float:
        """Arithmetic of all runs so far, roughly."""
        return float(self.facts[kernel.WORK])
