"""A hedge problem with limits that buying, selling, opening and closing move differently, as a linear one.

A listing that such a row counts becomes up to three columns of one side each: buying to open, selling to
open, and closing what is held, each with its part of the ladder. Closing is on the cheaper end of the same
side and moves every sided row at least as well, so a plan has no reason to open before it closes; the legs of
a listing are added up again in the plan.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hedger.problem.limit_rows import LIMIT_PRIORITY, SidedRows
from hedger.solver.hedge_problem import HedgeProblem, Ladder, Plan, RiskTerm
from pricing.universe import FloatArray, IntArray

NO_SIDE = np.zeros(0)


@dataclass(frozen=True, slots=True, eq=False)
class SplitProblem:
    """The problem as it is solved, and the column of the original that each of its columns is a part of."""

    problem: HedgeProblem
    part_of: IntArray
    columns: int

    def quantity(self, parts: FloatArray) -> FloatArray:
        """Signed quantities of the original columns, (n,), of a solution in parts."""
        return np.bincount(self.part_of, parts, minlength=self.columns).astype(np.float64)

    def merged(self, plan: Plan) -> Plan:
        """A plan of the parts with its quantities and kept columns on the original columns."""
        return replace(plan, quantity=self.quantity(plan.quantity), kept=np.unique(self.part_of[plan.kept]))

    def risk(self, term: RiskTerm) -> RiskTerm:
        """A risk term of the original columns on the parts."""
        return RiskTerm(term.names, term.value, term.per_unit[:, self.part_of])


def split_columns(problem: HedgeProblem, rows: SidedRows, tradable: IntArray) -> SplitProblem:
    """The problem with the sided rows behind its own, and the columns that they count split.

    Args:
        tradable: (n,) place in the universe of each column of the problem; `rows` are on the universe.
    """
    counted, held = rows.moves()[tradable], rows.held[tradable]
    parts: list[_Part] = []
    for i, (row, split, position) in enumerate(
        zip(tradable.tolist(), counted.tolist(), held.tolist(), strict=True)
    ):
        if split:
            parts += _parts(problem, rows, i, row, position)
        else:
            parts.append(
                _Part(i, problem.ladders[i], problem.max_buy[i], problem.max_sell[i], 0.0 * rows.value)
            )
    part_of = np.array([part.column for part in parts], dtype=np.int64)
    k = len(rows.names)
    effect = np.array([part.effect for part in parts]).reshape(len(parts), k).T
    assert problem.priority is not None
    solved = HedgeProblem(
        rows=(*problem.rows, *rows.names),
        exposure=np.concatenate([problem.exposure, rows.value]),
        lower=np.concatenate([problem.lower, rows.lower]),
        upper=np.concatenate([problem.upper, rows.upper]),
        columns=[problem.columns[i] for i in part_of],
        per_unit=np.concatenate([problem.per_unit[:, part_of], effect]),
        ladders=[part.ladder for part in parts],
        lot=problem.lot[part_of],
        min_size=problem.min_size[part_of],
        max_buy=np.array([part.max_buy for part in parts]),
        max_sell=np.array([part.max_sell for part in parts]),
        priority=np.concatenate([problem.priority, np.full(k, 2 * LIMIT_PRIORITY)]),
        fixed_cost=np.asarray(problem.fixed_cost)[part_of],
    )
    return SplitProblem(solved, part_of, len(problem.columns))


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """One column of the split problem; effect (k,) on the sided rows per unit bought."""

    column: int
    ladder: Ladder
    max_buy: float
    max_sell: float
    effect: FloatArray


def _parts(problem: HedgeProblem, rows: SidedRows, i: int, row: int, position: float) -> list[_Part]:
    """Closing, buying to open and selling to open of one column; sides that cannot trade are left out."""
    ladder, lot = problem.ladders[i], float(problem.lot[i])
    most = {+1: float(problem.max_buy[i]), -1: float(problem.max_sell[i])}
    sizes = {+1: (ladder.buy_size, ladder.buy_cost), -1: (ladder.sell_size, ladder.sell_cost)}
    opens = {+1: rows.buy[:, row], -1: rows.sell[:, row]}
    closing = -1 if position > 0 else +1
    # part of a lot would leave the rest of that lot to nobody
    closable = min(np.floor(abs(position) / lot * (1 + 1e-12) + 1e-9) * lot, most[closing])
    parts = []
    if closable > 0:
        near, far = _cut(*sizes[closing], closable)
        sizes[closing], most[closing] = far, most[closing] - closable
        parts.append(_one_sided(i, closing, near, closable, rows.close[:, row]))
    for sign in (+1, -1):
        if most[sign] > 0 and sizes[sign][0].size:
            parts.append(_one_sided(i, sign, sizes[sign], most[sign], opens[sign]))
    return parts


def _one_sided(
    i: int, sign: int, levels: tuple[FloatArray, FloatArray], most: float, effect: FloatArray
) -> _Part:
    if sign > 0:
        return _Part(i, Ladder(*levels, NO_SIDE, NO_SIDE), most, 0.0, effect)
    return _Part(i, Ladder(NO_SIDE, NO_SIDE, *levels), 0.0, most, -effect)


def _cut(
    size: FloatArray, cost: FloatArray, at: float
) -> tuple[tuple[FloatArray, FloatArray], tuple[FloatArray, FloatArray]]:
    """A side's levels up to a size, and from there on."""
    before = np.cumsum(size) - size
    near = np.clip(at - before, 0.0, size)
    far = size - near
    return (near[near > 0], cost[near > 0]), (far[far > 0], cost[far > 0])
