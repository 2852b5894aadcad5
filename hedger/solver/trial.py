"""Whole lots judged in plain arithmetic."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hedger.solver.frame import Frame
from hedger.solver.hedge_problem import HedgeProblem
from hedger.solver.scaling import limit_ceiling
from pricing.universe import FloatArray, IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """Whole lots judged in plain arithmetic: what the solver says about them does not count."""

    lots: IntArray
    quantity: FloatArray
    after: FloatArray
    over: FloatArray  # (2m,) beyond the lower, then the upper end; 0 within the tolerance
    sums: FloatArray  # (P,) weighted slack per priority
    cost: float

    @property
    def slack(self) -> FloatArray:
        return np.asarray(self.over.reshape(2, -1).max(axis=0, initial=0.0))

    @classmethod
    def of(cls, problem: HedgeProblem, frame: Frame, lots: IntArray) -> Trial:
        # 3 lots of 0.1 are 0.30000000000000004: never more than is displayed
        quantity = np.clip(lots * frame.lot, -frame.cap_sell, frame.cap_buy) + 0.0
        after = problem.exposure + problem.per_unit @ quantity
        over = np.concatenate([problem.lower - after, after - problem.upper])
        over = np.where(over > np.tile(frame.tolerance, 2), over, 0.0)
        sums = np.bincount(np.tile(frame.rank, 2), over / np.tile(frame.weight, 2), minlength=1)
        side = np.maximum(frame.sign * quantity[frame.column], 0.0)
        cost = np.clip(side - frame.before, 0.0, frame.size) @ frame.price + frame.fixed[lots != 0].sum()
        return cls(lots, quantity, after, over, np.asarray(sums, dtype=float), float(cost))

    def admissible(self, limits: FloatArray, ceiling: FloatArray) -> bool:
        """`limits` (P,) of the sums, `ceiling` (2m,) of each row's own."""
        within = (self.sums <= np.where(limits > 0, limit_ceiling(limits), 0.0)).all()
        return bool(within and (self.over <= ceiling).all())

    def value(self, stage: int) -> float:
        return self.cost if stage == len(self.sums) else float(self.sums[stage])
