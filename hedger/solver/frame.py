"""A hedge problem as the solver's programs need it: levels in one list, rows from where the book is.

And whole lots near a solution in fractions, in plain arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hedger.solver.hedge_problem import HedgeProblem
from pricing.universe import BoolArray, FloatArray, IntArray

ROUNDS = 30  # single-column moves that a rounding is repaired with, at most

INF = float("inf")
#: More lots than any market shows; a larger count would not fit the solver's integers.
LOTS_MAX = 2.0**52


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

    Near end of a row: the end it must be moved to, or, where it is inside, the end it is nearest to; a far
    end, however far, loosens nothing. Tolerance of a row: 1e-9 of the way to its near end, plus what rounding
    can do to sums (1e-10 of the largest effect of a lot that can trade, at most a millionth of the way or the
    width; 1e-14 of the row's own magnitude). Weight of a row (one unit of slack): the width of its interval,
    because widths are what the desk finds equally bearable; where the interval is open, practically open or
    a point, the way to the near end (and where that is 0, the largest effect of a lot).
    """
    need_lower, need_upper = problem.lower - problem.exposure, problem.upper - problem.exposure
    width = problem.upper - problem.lower
    nearest = np.minimum(np.abs(need_lower), np.abs(need_upper))
    near = np.select(
        [need_lower > 0, need_upper < 0, np.isfinite(nearest)], [need_lower, -need_upper, nearest], 0.0
    )
    rank = np.unique(np.asarray(problem.priority), return_inverse=True)[1]
    ladders = problem.ladders
    most = [np.minimum(most, LOTS_MAX * problem.lot) for most in (problem.max_buy, problem.max_sell)]
    sides = [
        _levels([x.buy_size for x in ladders], [x.buy_cost for x in ladders], most[0]),
        _levels([x.sell_size for x in ladders], [x.sell_cost for x in ladders], most[1]),
    ]
    column, size, before, price = (np.concatenate(parts) for parts in zip(*sides, strict=True))
    cap = np.stack([np.bincount(c, s, minlength=len(ladders)) for c, s, _, _ in sides])
    cap = np.minimum(cap, most)
    least = np.ceil(problem.min_size / problem.lot * (1 - 1e-12) - 1e-9)
    least = np.clip(least, 1, 2 * LOTS_MAX).astype(np.int64)  # more than can be traded stays more
    most_lots = np.floor(cap / problem.lot * (1 + 1e-12) + 1e-9).astype(np.int64)
    most_lots[most_lots < least] = 0
    trades = most_lots.any(axis=0)
    lot_effect = (np.abs(problem.per_unit[:, trades]) * problem.lot[trades]).max(axis=1, initial=0.0)
    scale = np.minimum(np.where(near > 0, near, np.inf), np.where(width > 0, width, np.inf))
    tolerance = 1e-9 * near + np.minimum(1e-10 * lot_effect, 1e-6 * scale)
    tolerance += 1e-14 * (np.abs(problem.exposure) + near)
    move = np.where(near > 0, near, np.where(lot_effect > 0, lot_effect, 1.0))
    return Frame(
        per_unit=problem.per_unit,
        need_lower=need_lower,
        need_upper=need_upper,
        tolerance=np.where(tolerance > 0, tolerance, 1e-9),
        weight=np.where((width >= 1e-6 * move) & (width <= 1e6 * move), width, move),
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


@dataclass(frozen=True, slots=True, eq=False)
class Rounding:
    """Whole lots near a solution in fractions of a lot, without a solver and without a clock.

    goals (P,) the slack at which a priority is left alone; met (m,) the rows that need none, in which any
    slack counts; net (n,) the solution in lots, 0 on columns not kept; columns: those that a repair may move
    (what the solution holds in parts, and of each row the finest and the purest); own (m, n) > 0 where a
    column moves that row alone.
    """

    frame: Frame
    goals: FloatArray
    met: BoolArray
    net: FloatArray
    columns: IntArray
    own: FloatArray

    @classmethod
    def of(
        cls, frame: Frame, kept: IntArray, fill: FloatArray, goals: FloatArray, met: BoolArray
    ) -> Rounding:
        """`fill` (L,) of the levels."""
        n = len(frame.lot)
        mine = np.zeros(n, dtype=bool)
        mine[kept] = True
        net = np.bincount(frame.column, frame.sign * fill, minlength=n) / frame.lot
        net = np.where(mine, np.clip(net, -frame.most_sell, frame.most_buy), 0.0)
        size = np.abs(frame.per_unit * frame.lot) / frame.weight[:, None]
        total = size.sum(axis=0)
        chosen = np.abs(net - np.rint(net)) > 1e-6
        for g in range(len(frame.rank)):
            usable = np.flatnonzero(mine & (size[g] > 0))
            chosen[usable[np.argsort(size[g, usable] * frame.least[usable], kind="stable")[:3]]] = True
            chosen[usable[np.argsort(-size[g, usable] / total[usable], kind="stable")[:4]]] = True
        own = np.where(size >= 0.999 * total, size, 0.0)
        own[:, ~mine | (frame.most_buy + frame.most_sell == 0)] = 0.0
        return cls(frame, goals, met, net, np.flatnonzero(chosen), own)

    def cut(self) -> IntArray:
        """(n,) towards zero."""
        lots = np.trunc(self.net + np.copysign(1e-6, self.net))
        return permitted(self.frame, np.arange(len(lots)), lots)

    def best(self) -> IntArray:
        """(n,) the better of cut and rounded, both repaired."""
        nearest = permitted(self.frame, np.arange(len(self.net)), np.rint(self.net))
        return min((self.repaired(self.cut()), self.repaired(nearest)), key=self.excess)

    def excess(self, lots: IntArray) -> list[float]:
        """Slack of each priority above its goal."""
        moved = (self.frame.per_unit * self.frame.lot) @ lots
        return list(_excess(self.frame, moved, self.goals, self.met).round(9).tolist())

    def repaired(self, lots: IntArray) -> IntArray:
        """(n,) after moves of one column at a time that lower the slack of the first priority with too much.

        After each move the finest columns that move one row alone (perpetuals, futures, spot) bring their
        rows back: an option need not keep delta to be chosen.
        """
        step = self.frame.per_unit * self.frame.lot
        return _repaired(self.frame, lots, step, self.columns, self.own, self.goals, self.met)


def permitted(frame: Frame, columns: IntArray, lots: FloatArray) -> IntArray:
    """Lots within the caps; those below the minimum become 0 or the minimum, whichever is nearer."""
    least = frame.least[columns]
    small = np.abs(lots) < least
    lots = np.where(small, np.where(2 * np.abs(lots) < least, 0.0, np.copysign(least, lots)), lots)
    return np.clip(lots, -frame.most_sell[columns], frame.most_buy[columns]).astype(np.int64)


def _outside(frame: Frame, moved: FloatArray) -> FloatArray:
    over = np.maximum(np.maximum(frame.need_lower - moved, moved - frame.need_upper), 0.0)
    return np.where(over > frame.tolerance, over, 0.0)


def _excess(frame: Frame, moved: FloatArray, goals: FloatArray, met: BoolArray) -> FloatArray:
    """(..., P) slack of each priority above its goal, for trades that move the rows by (..., m)."""
    over = _outside(frame, moved) / frame.weight
    of_rank = np.eye(frame.ranks)[frame.rank]
    free = (over * ~met) @ of_rank
    return np.asarray((over * met) @ of_rank + np.maximum(free - goals * (1.0 + 1e-9), 0.0))


def _repaired(
    frame: Frame,
    lots: IntArray,
    step: FloatArray,
    columns: IntArray,
    own: FloatArray,
    goals: FloatArray,
    met: BoolArray,
) -> IntArray:
    """The lots after the best moves of one of `columns` each; `own` (m, n) > 0: the column moves that row
    alone."""
    one, least = np.ones((len(columns), 1)), frame.least[columns][:, None].astype(float)
    effect = step[:, columns].T[:, None, :]  # (c, 1, m)
    now = _excess(frame, step @ lots, goals, met).round(9).tolist()
    for _ in range(ROUNDS):
        if not any(now) or not len(columns):
            break
        moved = step @ lots
        over = _outside(frame, moved) / frame.weight
        first = next(r for r, value in enumerate(now) if value)
        bad = np.flatnonzero((over > 0) & (frame.rank == first))
        bad = bad[np.argsort(-over[bad], kind="stable")[:4]]
        way = np.where(moved < frame.need_lower, frame.need_lower - moved, frame.need_upper - moved)[bad]
        with np.errstate(divide="ignore", invalid="ignore"):
            wanted = way / effect[:, 0, bad]  # (c, bad rows): lots that bring the row to its end
        wanted = np.where(np.isfinite(wanted), np.clip(wanted, -1e9, 1e9), 0.0)
        steps = (np.floor(wanted), np.ceil(wanted), 0.0 * one, one, -one, least, -least)
        moves = np.concatenate(steps, axis=1)  # (c, K)
        shape = moves.shape
        each = np.repeat(columns, shape[1])
        target = permitted(frame, each, (lots[columns][:, None] + moves).ravel()).reshape(shape)
        moves = target - lots[columns][:, None]
        there = moved + moves[:, :, None] * effect
        there, back = _brought_back(frame, lots, step, own, there)
        value = _excess(frame, there, goals, met).round(9).reshape(-1, frame.ranks)
        order = np.lexsort((np.abs(moves).ravel(), *value.T[::-1]))
        i, k = np.unravel_index(order[0], shape)
        trial = lots.copy()
        trial[columns[i]] += moves[i, k]
        for column, count in back:
            trial[column] += int(count[i, k])
        trial = permitted(frame, np.arange(len(lots)), trial.astype(float))
        after = _excess(frame, step @ trial, goals, met).round(9).tolist()
        if after >= now:
            break
        lots, now = trial, after
    return lots


def _brought_back(
    frame: Frame, lots: IntArray, step: FloatArray, own: FloatArray, moved: FloatArray
) -> tuple[FloatArray, list[tuple[int, IntArray]]]:
    """`moved` (c, K, m) after each row's finest own column brought it inside as far as it can; which column
    went how many lots."""
    moved, back = moved.copy(), []
    for g in np.flatnonzero(own.any(axis=1)).tolist():
        for up in (True, False):
            # what is left of each column in this direction
            rises = (step[g] > 0) == up
            room = np.where(rises, frame.most_buy - lots, frame.most_sell + lots) * own[g]
            if not room.any():
                continue
            column = int(np.lexsort((own[g], -np.minimum(room, 1.0)))[0])
            size = abs(float(step[g, column]))
            end = frame.need_lower[g] if up else frame.need_upper[g]
            short = (end - moved[..., g]) * (1.0 if up else -1.0)
            most = round(room[column] / own[g, column])
            short = np.where(short > frame.tolerance[g], short, 0.0)
            count = np.minimum(np.ceil(short / size - 1e-9), most) if np.isfinite(end) else 0.0 * short
            if not count.any():
                continue
            signed = (count if rises[column] else -count).astype(np.int64)
            moved += signed[..., None] * step[:, column]
            back.append((column, signed))
    return moved, back
