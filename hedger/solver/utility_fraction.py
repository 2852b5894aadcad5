"""Cost plus risk in fractions of a lot: the optimum over all columns, and a bound that proves it.

    min  sum of ladder costs(x) + 1/2 |value + P x|^2    s.t.  need_lower <= A x <= need_upper

solved by the active-set method of `hedger.solver.utility_kernel`. The bound holds whatever the method did,
because it is checked in plain arithmetic: for every u and every row price π (< 0 counts against the lower end
of a row, > 0 against the upper),

    cost + risk  >=  u value - 1/2 |u|^2 - π end + sum over levels of size min(0, price + sign (u P + π A))

by Fenchel's inequality for the square and Lagrange's for the rows; at the optimum's u and π it is its value.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hedger.solver.frame import Frame, frame_of
from hedger.solver.hedge_problem import HedgeProblem, RiskTerm
from hedger.solver.utility_kernel import State, Terms, descend
from pricing.universe import BoolArray, FloatArray, IntArray

#: A row that is missed costs this many times the largest unit cost; while rows stay missed, a thousand times
#: more, at most so often.
PENALTY, PENALTY_ROUNDS = 100.0, 3
#: One-sided derivative, in units of the largest, that counts as none.
TOLERANCE = 1e-11


@dataclass(frozen=True, slots=True, eq=False)
class Scaled:
    """The problem as the kernels take it: columns of norm 1 in the factors, rows of largest effect 1, the
    book's risk 1. n columns, k factors, m rows."""

    terms: Terms
    zero: IntArray  # (n,) the knot of no trade
    tolerance: FloatArray  # (m,) a row missed by less counts as met
    unit: FloatArray  # (n,) the column's unit per scaled unit
    of_row: FloatArray  # (m,) scaled unit per row unit
    money: float  # USD per scaled unit of the objective


@dataclass(frozen=True, slots=True, eq=False)
class Fraction:
    """The optimum in fractions of a lot and its certificate.

    quantity (n,); objective and bound, USD: no plan costs less with its risk than the bound; row_price (m,)
    derivative of the objective when the row's activity is pushed up, < 0 at a lower end, > 0 at an upper;
    missed: rows that no quantity meets, by the method's own account; steps of the method.
    """

    quantity: FloatArray
    objective: float
    bound: float
    row_price: FloatArray
    missed: BoolArray
    steps: int

    @property
    def gap(self) -> float:
        """Relative, of objective to bound."""
        return max(self.objective - self.bound, 0.0) / max(abs(self.objective), 1e-12)


def solve_fractions(problem: HedgeProblem, risk: RiskTerm) -> Fraction:
    """The optimum in fractions of a lot: what a study needs where lots do not matter, and the bound.

    >>> from hedger.solver.hedge_problem import Ladder
    >>> one = Ladder([10.0], [1.0], [10.0], [1.0])
    >>> problem = HedgeProblem([], [], [], [], ["A"], np.zeros((0, 1)), [one], [0.1], [0.0], [10.0], [10.0])
    >>> solve_fractions(problem, RiskTerm(["delta"], [3.0], [[1.0]])).quantity      # stops at a marginal of 1
    array([-2.])
    """
    return fraction_of(problem, frame_of(problem), risk)[0]


def fraction_of(problem: HedgeProblem, frame: Frame, risk: RiskTerm) -> tuple[Fraction, Scaled, State]:
    """The optimum in fractions, the problem as the kernels took it, and the state they left it in."""
    scaled = _scaled(problem, frame, risk)
    terms = scaled.terms
    n, k, m = len(scaled.unit), len(terms.value), len(terms.lower)
    state = State(
        fixed=np.zeros(n, dtype=np.bool_),
        x=np.zeros(n),
        at=scaled.zero.copy(),
        inside=np.zeros(n, dtype=np.bool_),
        basis=np.zeros(k + m + 3, dtype=np.int64),
        active=np.zeros(m + 1, dtype=np.int64),
        side=np.zeros(m, dtype=np.int64),
        counts=np.zeros(4, dtype=np.int64),
        total=np.zeros(k + m),
        price=np.zeros(m),
    )
    most = 2000 + 20 * n + 50 * (k + m)
    missed = np.zeros(m, dtype=np.bool_)
    for _ in range(1 + PENALTY_ROUNDS):
        descend(terms, state, TOLERANCE, most)
        activity = state.total[k:]
        missed = (activity < terms.lower - scaled.tolerance) | (activity > terms.upper + scaled.tolerance)
        if not missed.any():
            break
        terms.penalty[:] *= 1000.0
    quantity = state.x * scaled.unit
    row_price = state.price * scaled.money * scaled.of_row
    objective = ladder_costs(frame, quantity) + risk.usd(quantity)
    bound = certificate(frame, risk, risk.value + risk.per_unit @ quantity, row_price)
    return Fraction(quantity, objective, bound, row_price, missed, int(state.counts[2])), scaled, state


def _scaled(problem: HedgeProblem, frame: Frame, risk: RiskTerm) -> Scaled:
    n = len(problem.columns)
    most = np.maximum(frame.cap_buy, frame.cap_sell)
    norm = np.sqrt((risk.per_unit**2).sum(axis=0))
    size = float(np.sqrt(risk.value @ risk.value))
    if not size > 0.0:
        size = float((norm * most).max(initial=0.0)) or 1.0
    moves = norm * most > 1e-12 * size  # what moves less is rounding: it has no effect
    with np.errstate(divide="ignore"):
        unit = np.where(moves, size / np.where(moves, norm, 1.0), np.where(most > 0, most, 1.0))
    rows = frame.per_unit * unit
    largest = np.abs(rows).max(axis=1, initial=0.0)
    of_row = 1.0 / np.where(largest > 0, largest, 1.0)
    effect = np.concatenate([np.where(moves, risk.per_unit * unit / size, 0.0), rows * of_row[:, None]])
    # the levels of each column from the dearest sale to the dearest purchase
    order = np.lexsort((frame.sign * (frame.before + 0.5 * frame.size), frame.column))
    column, sign = frame.column[order], frame.sign[order]
    near, far = frame.before[order], (frame.before + frame.size)[order]
    levels = np.bincount(column, minlength=n)
    first = np.concatenate([[0], np.cumsum(levels + 1)]).astype(np.int64)
    place = np.arange(len(column)) + column
    knot, slope = np.zeros(first[-1]), np.zeros(first[-1])
    knot[place] = np.where(sign > 0, near, -far)
    knot[place + 1] = np.where(sign > 0, far, -near)
    slope[place] = sign * frame.price[order]
    for j in np.unique(column[1:][(np.diff(slope[place]) < 0) & (np.diff(column) == 0)]).tolist():
        # Buying and selling at once would earn: one side is taken as dear as the other says.
        part = slice(int(first[j]), int(first[j + 1]) - 1)
        slope[part] = np.maximum.accumulate(slope[part])
    owner = np.repeat(np.arange(n), levels + 1)
    money = size * size
    slope = slope * unit[owner] / money
    terms = Terms(
        effect=np.ascontiguousarray(effect.T),
        by_row=np.ascontiguousarray(effect),
        first=first,
        knot=knot / unit[owner],
        slope=slope,
        value=risk.value / size,
        lower=frame.need_lower * of_row,
        upper=frame.need_upper * of_row,
        penalty=np.full(len(of_row), PENALTY * (1.0 + np.abs(slope).max(initial=0.0))),
    )
    return Scaled(
        terms,
        zero=first[:-1] + np.bincount(column[sign < 0], minlength=n),
        tolerance=frame.tolerance * of_row,
        unit=unit,
        of_row=of_row,
        money=money,
    )


def certificate(frame: Frame, risk: RiskTerm, u: FloatArray, row_price: FloatArray) -> float:
    """USD of cost plus risk that no plan undercuts; holds for any u (k,) and row prices (m,)."""
    ends = np.where(row_price < 0, frame.need_lower, frame.need_upper)
    used = (row_price != 0) & np.isfinite(ends)
    price = np.where(used, row_price, 0.0)
    pull = u @ risk.per_unit + price @ frame.per_unit
    reduced = frame.price + frame.sign * pull[frame.column]
    free = float(u @ risk.value - 0.5 * (u @ u) - price[used] @ ends[used])
    return free + float(np.minimum(reduced, 0.0) @ frame.size)


def ladder_costs(frame: Frame, quantity: FloatArray) -> float:
    """Ladder costs, USD, without what a trade costs whatever its size."""
    side = np.maximum(frame.sign * quantity[frame.column], 0.0)
    return float(np.clip(side - frame.before, 0.0, frame.size) @ frame.price)
