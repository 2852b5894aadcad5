"""Whole lots by our own branch and bound: a frame's kept columns as its program, and what it found."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hedger.solver.branch import (
    BEST_VALUE,
    FLOOR,
    FOUND,
    LOST,
    LOST_VALUE,
    NODES,
    WORK_DONE,
    branch,
    narrow,
)
from hedger.solver.dual_simplex import INFEASIBLE, OPTIMAL, VALUE, Program
from hedger.solver.frame import INF, Frame
from hedger.solver.scaling import TOLERANCE, limit_ceiling
from hedger.solver.simplex import LadderProgram, Simplex, ladder_program
from pricing.universe import FloatArray, IntArray

#: Multiplications and additions a second, roughly, on one core of 2026: what turns a time limit into work, so
#: that the same plan comes out on a busy machine and on an idle one.
WORK_PER_S = 1.5e9
NODES_MAX = 400_000  # what the tree has room for


@dataclass(frozen=True, slots=True, eq=False)
class LotAnswer:
    """What a search found: lots (c,) of the kept columns or None, their value and the bound of everything
    else, in USD (or weights, for a priority's slack); done = nothing better than the gap is left; sure = no
    node was given up unsolved; seconds by the rate of `WORK_PER_S`."""

    lots: IntArray | None
    value: float
    bound: float
    done: bool
    sure: bool
    seconds: float
    nodes: int


def part_of_frame(frame: Frame, kept: IntArray, rows: IntArray | None = None) -> Frame:
    """The frame of some of its columns, and of some of its rows, which are then of one priority."""
    place = np.full(len(frame.lot), -1)
    place[kept] = np.arange(len(kept))
    levels = place[frame.column] >= 0
    part = replace(
        frame,
        per_unit=np.ascontiguousarray(frame.per_unit[:, kept]),
        column=place[frame.column[levels]],
        **{name: getattr(frame, name)[levels] for name in ("sign", "size", "before", "price")},
        **{name: getattr(frame, name)[kept] for name in COLUMN_FIELDS},
    )
    if rows is None:
        return part
    fields = {name: getattr(part, name)[rows] for name in ROW_FIELDS}
    return replace(part, **fields, rank=np.zeros(len(rows), dtype=np.int64))


COLUMN_FIELDS = ("lot", "most_buy", "most_sell", "cap_buy", "cap_sell", "least", "fixed")
ROW_FIELDS = ("per_unit", "need_lower", "need_upper", "tolerance", "weight")


def components(frame: Frame) -> list[tuple[IntArray, IntArray]]:
    """Groups of (rows, columns) that share nothing: what one group trades moves no row of another.

    Rows that no trades can bring outside tie nothing together and are left out; columns without a row, too.
    """
    ends = np.stack([frame.per_unit * frame.cap_buy, frame.per_unit * -frame.cap_sell])
    tied = (frame.per_unit != 0) & (frame.cap_buy + frame.cap_sell > 0)
    safe = ends.min(axis=0).sum(axis=1) >= frame.need_lower
    safe &= ends.max(axis=0).sum(axis=1) <= frame.need_upper
    groups: list[tuple[IntArray, IntArray]] = []
    left = ~safe
    while left.any():
        rows = np.zeros(len(left), dtype=bool)
        rows[np.argmax(left)] = True
        while True:
            columns = tied[rows].any(axis=0)
            more = left & tied[:, columns].any(axis=1)
            if not (more & ~rows).any():
                break
            rows |= more
        groups.append((np.flatnonzero(rows), np.flatnonzero(columns)))
        left &= ~rows
    return groups


def lot_search_by_parts(
    frame: Frame, kept: IntArray, start: IntArray | None, gap: float, seconds: float
) -> LotAnswer | None:
    """Least cost in whole lots of the kept columns with every row met: each component by itself.

    Two currencies whose rows share no column are two small problems, not one large. `start` lots (c,).
    """
    mine = part_of_frame(frame, kept)
    groups = components(mine)
    lots, value, bound, nodes, spent = np.zeros(len(kept), dtype=np.int64), 0.0, 0.0, 0, 0.0
    every, done, sure = True, True, True
    idle = np.ones(len(kept), dtype=bool)
    for at, (rows, columns) in enumerate(groups):
        idle[columns] = False
        part = part_of_frame(mine, columns, rows)
        known = None if start is None else (start[columns], _cost(part, start[columns]))
        share = (seconds - spent) / (len(groups) - at)
        hard, free = np.zeros(1), np.full(2 * len(rows), INF)
        answer = lot_search(part, np.arange(len(columns)), hard, 1, free, known, gap, share)
        if answer is None:
            return None
        found = answer.lots if answer.lots is not None else (None if start is None else start[columns])
        if found is None:
            every = False
            if answer.done and answer.sure:
                return LotAnswer(None, INF, INF, True, True, spent + answer.seconds, nodes + answer.nodes)
        else:
            lots[columns] = found
        value, bound = value + answer.value, bound + answer.bound
        nodes, spent = nodes + answer.nodes, spent + answer.seconds
        done, sure = done and answer.done, sure and answer.sure
    # what is in no row is traded only where that pays; it is not for a search to say
    if (mine.price[idle[mine.column]] < 0).any():
        return None
    return LotAnswer(lots if every else None, value, bound, done, sure, spent, nodes)


def _cost(frame: Frame, lots: IntArray) -> float:
    """USD of whole lots (c,), without fixed costs."""
    quantity = np.clip(lots * frame.lot, -frame.cap_sell, frame.cap_buy)
    side = np.maximum(frame.sign * quantity[frame.column], 0.0)
    return float(np.clip(side - frame.before, 0.0, frame.size) @ frame.price)


def lot_search(
    frame: Frame,
    kept: IntArray,
    limits: FloatArray,
    stage: int,
    most: FloatArray,
    start: tuple[IntArray, float] | None,
    gap: float,
    seconds: float,
    *,
    first_only: bool = False,
) -> LotAnswer | None:
    """Least value of one stage in whole lots of the kept columns; None where the program is not ours to do.

    `limits` (P,) of the priorities' slack (0 = the rows are hard), `stage` a priority, or P for the cost;
    `most` (2m,) slack of a single row, in its unit; `start` lots (c,) within the limits and their value;
    `gap` relative. Not ours: fixed costs, and ladders so cheap that buying and selling at once would pay.
    """
    m = len(frame.rank)
    mine = part_of_frame(frame, kept)
    if stage == frame.ranks and mine.fixed.any():
        return None
    edge = 0.5 * frame.tolerance  # an optimum that lies on the edge must not be lost to rounding
    mine = replace(mine, need_lower=mine.need_lower - edge, need_upper=mine.need_upper + edge)
    soft = limits[frame.rank] > 0
    program = ladder_program(mine, elastic=bool(soft.any()), most=np.where(np.tile(soft, 2), most, 0.0))
    if len(program.owner) > len(kept) or not program.finite:
        return None
    simplex = Simplex(program)
    money = program.money if stage == frame.ranks else 1.0
    ends = np.zeros(0)
    if program.slacks:
        if stage < frame.ranks:
            simplex.price((np.tile(frame.rank, 2) == stage).astype(float))
        rows = len(kept) + 2 * m + m + np.arange(frame.ranks)
        closed = np.isfinite(limits)
        simplex.set_end(rows[closed], limit_ceiling(limits)[closed])
        ends = np.where(closed, limit_ceiling(limits) * (1.0 + TOLERANCE), INF)
    elif stage < frame.ranks:
        return None
    n = program.a.shape[1]
    lots = np.zeros((5, n))
    c = len(kept)
    lots[0, :c] = mine.lot / program.unit
    lots[1, :c] = mine.least
    lots[2, :c], lots[3, :c] = -mine.most_sell.astype(float), mine.most_buy.astype(float)
    lots[4, :c] = (np.abs(program.a[:, :c]) * lots[0, :c]).max(axis=0, initial=0.0)
    slip = frame.tolerance / program.scale
    low = np.concatenate([frame.need_lower / program.scale - slip, np.full(len(ends), -INF)])
    high = np.concatenate([frame.need_upper / program.scale + slip, ends])
    return _searched(_Search(program, simplex, lots, low, high, money), start, gap, seconds, first_only)


@dataclass(frozen=True, slots=True, eq=False)
class _Search:
    """A program, its objective, and what is whole in it: the input of `branch.branch`."""

    program: LadderProgram
    simplex: Simplex
    lots: FloatArray  # (5, n)
    low: FloatArray  # (m,)
    high: FloatArray
    money: float


@dataclass(frozen=True, slots=True, eq=False)
class _Tree:
    """A search on some of a program's columns, as far as it has come."""

    columns: IntArray
    a: FloatArray
    first: IntArray
    count: IntArray
    lots: FloatArray
    known: FloatArray
    tree: IntArray
    span: FloatArray
    inverse: FloatArray
    basic: IntArray
    place: IntArray
    state: IntArray

    @classmethod
    def on(cls, search: _Search, alive: IntArray, size: int) -> _Tree:
        program = search.program
        m, n = program.a.shape
        columns = np.concatenate([alive, np.arange(n, n + m)])
        c = len(alive)
        return cls(
            alive, np.ascontiguousarray(program.a[:, alive]), program.first[columns], program.count[columns],
            np.ascontiguousarray(search.lots[:, alive]), np.zeros((4, c)),
            np.empty((3, size), dtype=np.int64), np.empty((3, size)), np.zeros((m, m)),
            np.arange(c, c + m), np.zeros(c + m, dtype=np.int64), np.zeros(8, dtype=np.int64),
        )  # fmt: skip

    def grow(
        self,
        search: _Search,
        best: FloatArray,
        plan: FloatArray,
        gap: float,
        tiny: float,
        work: float,
        *,
        stop: bool,
    ) -> bool:
        """Whether nothing is left; `stop` at the first better plan."""
        simplex = search.simplex
        return bool(
            branch(
                Program(self.a, self.first, self.count, simplex.at, simplex.slope, simplex.cost), self.lots,
                search.low, search.high, self.known, self.tree, self.span, self.inverse, self.basic,
                self.place, self.state, best, plan, max(gap, 1e-9), tiny, work, stop,
            )
        )  # fmt: skip


def _searched(
    search: _Search, start: tuple[IntArray, float] | None, gap: float, seconds: float, first_only: bool
) -> LotAnswer:
    """A first plan on all columns; then, on those that a better plan may hold, the best."""
    program, simplex, lots = search.program, search.simplex, search.lots
    n = program.a.shape[1]
    c = int(np.count_nonzero(lots[0]))
    money = search.money
    plan, best, found = np.zeros(n), np.array([INF, -INF, INF, 0.0]), False
    if start is not None:
        plan[:c], best[BEST_VALUE] = start[0], start[1] / money
    root = simplex.run()
    if root == INFEASIBLE:
        return LotAnswer(None, INF, INF, True, True, simplex.work / WORK_PER_S, 1)
    alive, nodes, done, sure, floor = np.arange(n), 0, False, True, -INF
    tiny = 1e-9 if money == 1.0 else 1e-12
    size = int(min(NODES_MAX, 4_000 + 400_000 * seconds))
    tree: _Tree | None = None
    while best[WORK_DONE] < seconds * WORK_PER_S:
        known = best[BEST_VALUE]
        limit = known - max(gap * abs(known), tiny) if known < INF else INF
        if known < INF and root == OPTIMAL:
            value = simplex.facts[VALUE]
            if value >= limit:
                floor, done = value, True
                break
            relaxed = Program(
                program.a, program.first, program.count, simplex.at, simplex.slope, simplex.cost
            )
            if not narrow(relaxed, simplex.y, lots, limit - value):
                floor, done = limit, True
                break
            left = np.flatnonzero((lots[0] == 0.0) | (lots[2] < 0.0) | (lots[3] > 0.0))
            if len(left) < 0.75 * len(alive):
                alive, tree = left, None
        if tree is None:  # what is cut off is worse than the limit
            tree = _Tree.on(search, alive, size)
            best[LOST_VALUE] = limit if known < INF else INF
            tree.state[FOUND] = known < INF
        part = plan[alive]
        before = int(tree.state[NODES])
        left_to_do = seconds * WORK_PER_S - best[WORK_DONE]
        done = tree.grow(search, best, part, gap, tiny, left_to_do, stop=True)
        nodes, sure, floor = (
            nodes + int(tree.state[NODES]) - before,
            sure and tree.state[LOST] == 0,
            float(best[FLOOR]),
        )
        better = best[BEST_VALUE] < known
        if better:
            found, plan = True, np.zeros(n)
            plan[alive] = part
        if done or (first_only and found) or not better:
            break
    return LotAnswer(
        lots=np.rint(plan[:c]).astype(np.int64) if found else None,
        value=float(best[BEST_VALUE]) * money,
        bound=min(floor, float(best[BEST_VALUE])) * money,
        done=done,
        sure=sure,
        seconds=(float(best[WORK_DONE]) + simplex.work) / WORK_PER_S,
        nodes=nodes,
    )
