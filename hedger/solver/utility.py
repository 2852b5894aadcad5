"""The plan that weighs what hedging costs against the risk it leaves: utility mode of the optimizer.

    min  sum of ladder costs(x) + 1/2 |value + per_unit x|^2    s.t. the rows' intervals, whole lots

First in fractions of a lot over all columns, with a bound (`hedger.solver.utility_fraction`). Then whole
lots: the coarsest off-lot column is rounded and the others adjust, down to the perpetual; then moves of one
and two columns while they help. Of that, of doing nothing and of the cheapest plan that meets the rows, the
best is the answer. Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from hedger.solver.frame import Frame, frame_of
from hedger.solver.hedge_problem import HedgeProblem, Plan, RiskTerm, SolverSettings, Status
from hedger.solver.utility_fraction import (
    TOLERANCE,
    Fraction,
    Scaled,
    fraction_of,
    ladder_costs,
)
from hedger.solver.utility_kernel import State
from hedger.solver.utility_lots import Sizes, dive, improve
from pricing.universe import FloatArray, IntArray

#: Columns that may enter while lots are made whole, beside those that trade.
SPARE_COLUMNS = 24
#: Moves of one or two columns at most.
IMPROVE_ROUNDS = 60

Cheapest = Callable[[HedgeProblem, SolverSettings], Plan]


def solve_with_risk(
    problem: HedgeProblem, risk: RiskTerm, settings: SolverSettings, cheapest: Cheapest
) -> Plan:
    """The plan of least cost plus risk that ends inside the rows' intervals, in whole lots.

    `cheapest` is the solver without a risk term: asked where the book stands outside a row, for a plan that
    meets the rows, or for the least slack where none does; the rows are then as wide as that plan leaves
    them. Plan.lower_bound and Plan.gap are of cost plus risk; Plan.cost is cost alone. Raises ValueError when
    the term has another number of columns.
    """
    n = len(problem.columns)
    if risk.per_unit.shape[1] != n:
        raise ValueError(f"RISK: per_unit has {risk.per_unit.shape[1]} columns, the problem {n}")
    frame = frame_of(problem)
    nothing = np.zeros(n, dtype=np.int64)
    start = [nothing]
    relaxed: Plan | None = None
    asked = problem
    if _over(frame, nothing).any():
        first = cheapest(problem, settings)
        if first.status is Status.relaxed:
            relaxed = first
            problem = replace(problem, lower=problem.lower - first.slack, upper=problem.upper + first.slack)
            frame = frame_of(problem)
        start.append(np.rint(first.quantity / frame.lot).astype(np.int64))
    fraction, scaled, state = fraction_of(problem, frame, risk)
    search = _lots(frame, scaled, state, start[-1])
    tried = [*start, *(search.improved(lots) for lots in start[1:]), search.dived()]
    trial = min(tried, key=lambda lots: _key(problem, frame, risk, lots))
    return _plan(asked, problem, frame, risk, settings, fraction, trial, relaxed)


def _quantity(frame: Frame, lots: IntArray) -> FloatArray:
    """3 lots of 0.1 are 0.30000000000000004: never more than is displayed."""
    return np.asarray(np.clip(lots * frame.lot, -frame.cap_sell, frame.cap_buy) + 0.0)


def _over(frame: Frame, lots: IntArray) -> FloatArray:
    """(m,) beyond an end; 0 within the tolerance."""
    moved = frame.per_unit @ _quantity(frame, lots)
    over = np.maximum(frame.need_lower - moved, moved - frame.need_upper)
    return np.where(over > frame.tolerance, over, 0.0)


def _objective(frame: Frame, risk: RiskTerm, lots: IntArray) -> float:
    quantity = _quantity(frame, lots)
    return _cost(frame, quantity, lots) + risk.usd(quantity)


def _cost(frame: Frame, quantity: FloatArray, lots: IntArray) -> float:
    return ladder_costs(frame, quantity) + float(frame.fixed[lots != 0].sum())


def _key(problem: HedgeProblem, frame: Frame, risk: RiskTerm, lots: IntArray) -> list[float]:
    """Small is better: slack priority by priority, then cost plus risk."""
    over = _over(frame, lots) / frame.weight
    sums = np.bincount(frame.rank, over, minlength=1) if len(over) else np.zeros(1)
    return [*sums.round(9).tolist(), _objective(frame, risk, lots)]


@dataclass(frozen=True, slots=True, eq=False)
class _Lots:
    """The columns that lots are solved on: those that trade and those nearest to it; the rest stay at 0."""

    chosen: IntArray  # (c,) columns
    frame: Frame
    scaled: Scaled
    state: State

    def dived(self) -> IntArray:
        """(n,) whole lots from the optimum: the dive, then the moves."""
        scaled, frame, chosen = self.scaled, self.frame, self.chosen
        lots = np.zeros(len(chosen), dtype=np.int64)
        most = 400 + 40 * len(self.state.basis)
        dive(scaled.terms, self.state, 100.0 * TOLERANCE, most, self._sizes(), lots)
        every = np.zeros(len(frame.lot), dtype=np.int64)
        every[chosen] = lots
        return self.improved(every)

    def improved(self, lots: IntArray) -> IntArray:
        """(n,) better by moves of one and two columns; as they are where others than the chosen trade."""
        scaled, frame, chosen = self.scaled, self.frame, self.chosen
        mine = lots[chosen]
        if np.count_nonzero(lots) > np.count_nonzero(mine):
            return lots
        fixed, columns = frame.fixed[chosen] / scaled.money, np.arange(len(chosen))
        improve(scaled.terms, self._sizes(), scaled.tolerance, fixed, columns, mine, IMPROVE_ROUNDS)
        every = np.zeros_like(lots)
        every[chosen] = mine
        return every

    def _sizes(self) -> Sizes:
        frame, chosen = self.frame, self.chosen
        lot = frame.lot[chosen] / self.scaled.unit
        return Sizes(lot, frame.least[chosen], frame.most_buy[chosen], frame.most_sell[chosen])


def _lots(frame: Frame, scaled: Scaled, state: State, also: IntArray) -> _Lots:
    """The chosen columns with their part of the problem and its state; `also` (n,): lots to have room for."""
    can = frame.most_buy + frame.most_sell > 0
    used = (state.x != 0) | (also != 0)
    used[state.basis[: state.counts[0]]] = True  # at 0, too: the basis is told by the places of its columns
    order = np.argsort(np.where(can, _distance(frame, scaled, state), np.inf), kind="stable")
    spare = order[~used[order] & can[order]][:SPARE_COLUMNS]
    chosen = np.sort(np.concatenate([np.flatnonzero(used), spare]))
    terms = scaled.terms
    counts = np.diff(terms.first)[chosen]
    first = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    take = np.arange(first[-1]) + np.repeat(terms.first[chosen] - first[:-1], counts)
    shift = terms.first[chosen] - first[:-1]
    effect = np.ascontiguousarray(terms.effect[chosen])
    part = replace(
        scaled,
        terms=terms._replace(
            effect=effect,
            by_row=np.ascontiguousarray(effect.T),
            first=first,
            knot=terms.knot[take],
            slope=terms.slope[take],
        ),
        zero=scaled.zero[chosen] - shift,
        unit=scaled.unit[chosen],
    )
    basis = state.basis.copy()
    basis[: state.counts[0]] = np.searchsorted(chosen, basis[: state.counts[0]])
    return _Lots(
        chosen,
        frame,
        part,
        state._replace(
            fixed=np.zeros(len(chosen), dtype=np.bool_),
            x=state.x[chosen],
            at=state.at[chosen] - shift,
            inside=state.inside[chosen],
            basis=basis,
        ),
    )


def _distance(frame: Frame, scaled: Scaled, state: State) -> FloatArray:
    """(n,) how far a column is from trading: its least one-sided derivative as it stands."""
    k = len(scaled.terms.value)
    weight = np.concatenate([state.total[:k], state.price])
    pull = scaled.terms.effect @ weight
    reduced = frame.price * scaled.unit[frame.column] / scaled.money + frame.sign * pull[frame.column]
    nearest = np.full(len(frame.lot), np.inf)
    np.minimum.at(nearest, frame.column, np.maximum(reduced, 0.0))
    return nearest


def _plan(
    asked: HedgeProblem,
    problem: HedgeProblem,
    frame: Frame,
    risk: RiskTerm,
    settings: SolverSettings,
    fraction: Fraction,
    lots: IntArray,
    relaxed: Plan | None,
) -> Plan:
    quantity = _quantity(frame, lots)
    after = asked.exposure + asked.per_unit @ quantity
    over = np.maximum(asked.lower - after, after - asked.upper)
    slack = np.where(over > frame.tolerance, over, 0.0)
    cost = _cost(frame, quantity, lots)
    objective = cost + risk.usd(quantity)
    # risk and fixed costs are not negative: what the ladders pay at most bounds every plan, whatever it is
    paid = float(np.minimum(frame.price, 0.0) @ frame.size)
    bound = max(fraction.bound, paid) if np.isfinite(fraction.bound) else paid
    bound = min(bound, objective)  # rounding may put the bound a digit above
    gap = (objective - bound) / max(abs(objective), 1e-12) if np.isfinite(objective) else 1.0
    spread = f"{gap:z.2%} of cost and risk is above the bound of all {len(lots)} columns"
    if relaxed is not None or slack.any():
        status = Status.relaxed
        reason = relaxed.reason if relaxed is not None else f"no whole lots meet every row; {spread}"
    elif not lots.any():
        status, reason = Status.no_trade, f"no trade takes off more risk than it costs; {spread}"
    else:
        status = Status.optimal if gap <= settings.gap else Status.time_limit
        reason = f"least cost and risk together, in whole lots; {spread}"
    return Plan(
        quantity=quantity,
        cost=cost,
        lower_bound=bound,
        exposure_after=after,
        shadow_price=np.abs(fraction.row_price),
        slack=slack,
        status=status,
        binding=np.sign(fraction.row_price).astype(np.int8),
        gap=gap,
        kept=np.arange(len(lots), dtype=np.int64),
        reason=reason,
        timings=dict(relaxed.timings) if relaxed is not None else {},
    )
