"""Option legs with their delta made good, so that utility mode does not buy options for their delta.

A delta hedge carries risk for a short horizon H, an option leg for its holding time T, so s = H / T of an
option's cost stands against the risk over H. Its gamma and vega work all that time; its delta does not:
whoever does without the option moves delta with the perpetual, once, at cost c. Hence what an option may
claim for its delta is s c per coin, where the plain program would grant it c: at s = 1/28 most delta would be
"hedged" with options. So, first, a unit of an option comes with 1 - s of its delta sold through the perpetual
at no charge, the perpetual's own variable z being charged in full:

    perpetual traded = z - sum over options of (1 - s) (delta of the option / delta of the perpetual) x

which leads to the right conditions of optimality: |y| <= c for the perpetual, and s c_option <= s |y delta| +
(what gamma and vega are worth) for an option, y being the marginal price of delta. At s = 1 it is the plain
program. Second, with the options that were found, the delta instruments are solved by themselves.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hedger.optimizer import solve
from hedger.solver.budget import Budget
from hedger.solver.frame import frame_of
from hedger.solver.hedge_problem import HedgeProblem, Ladder, Plan, RiskTerm, SolverSettings, Status
from hedger.solver.utility_fraction import ladder_costs
from pricing.contracts import Kind
from pricing.universe import FloatArray, IntArray, Universe


@dataclass(frozen=True, slots=True, eq=False)
class DeltaLegs:
    """Which column makes good the delta of which, n columns.

    anchor (n,): the column of the perpetual, -1 where there is none; units (n,): of it per unit of the
    column's own delta; share (n,): of the column's cost that counts.
    """

    anchor: IntArray
    units: FloatArray
    share: FloatArray


def delta_legs(
    problem: HedgeProblem, universe: Universe, rows: IntArray, delta: FloatArray, share: FloatArray
) -> DeltaLegs:
    """The legs of a problem: the cheapest perpetual of each underlying that trades both ways.

    Args:
        rows: (n,) place in the universe of every column. delta: (n,) coins per unit of a column on its own
            underlying's delta row. share: (n,) of its cost that counts.
    """
    n = len(rows)
    anchor, units = np.full(n, -1, dtype=np.int64), np.zeros(n)
    kinds, owners = universe.kind[rows], universe.underlying[rows]
    for u in np.unique(owners).tolist():
        mine = np.flatnonzero((owners == u) & (kinds == Kind.PERPETUAL) & (delta != 0))
        # parts of a listing that is split by a limit trade one way each, and are left alone
        both = [
            i
            for i in mine.tolist()
            if min(_most(problem, i)) > 0 and np.count_nonzero(rows[mine] == rows[i]) == 1
        ]
        if not both:
            continue
        best = min(both, key=lambda i: _touch(problem.ladders[i]) / abs(delta[i]))
        options = np.flatnonzero((owners == u) & (kinds == Kind.OPTION))
        anchor[options], units[options] = best, delta[options] / delta[best]
    return DeltaLegs(anchor, units, np.asarray(share, dtype=np.float64))


def _most(problem: HedgeProblem, i: int) -> tuple[float, float]:
    """What of a column can be bought, and sold."""
    ladder = problem.ladders[i]
    return (
        min(float(problem.max_buy[i]), float(ladder.buy_size.sum())),
        min(float(problem.max_sell[i]), float(ladder.sell_size.sum())),
    )


def _touch(ladder: Ladder) -> float:
    return float(ladder.buy_cost[0] + ladder.sell_cost[0])


def amortised(problem: HedgeProblem, share: FloatArray) -> HedgeProblem:
    """The problem with only a share (n,) of each column's costs."""
    ladders = [x.amortised(part) for x, part in zip(problem.ladders, share.tolist(), strict=True)]
    return replace(problem, ladders=ladders, fixed_cost=np.asarray(problem.fixed_cost) * share)


def solve_with_legs(
    problem: HedgeProblem,
    risk: RiskTerm,
    legs: DeltaLegs,
    settings: SolverSettings,
    budget: Budget | None = None,
) -> Plan:
    """The plan of least amortised cost and risk, options with their delta made good.

    Plan.cost is the amortised cost. Plan.lower_bound and Plan.gap are of the first step's program, which
    chooses the options, the gap being the larger of both steps'. Where the delta instruments cannot make good
    what the options' delta asks of them, within depth, caps and rows, the plan is that of `solve` with the
    costs amortised and no legs.
    """
    spread = amortised(problem, legs.share)
    options = np.flatnonzero(legs.anchor >= 0)
    if not options.size:
        return solve(spread, settings, risk=risk, budget=budget)
    bundled, term = _bundled(spread, risk, legs)
    first = solve(bundled, settings, risk=term, budget=budget)
    rest = np.setdiff1d(np.arange(len(problem.columns)), options)
    quantity = np.zeros(len(problem.columns))
    quantity[options] = first.quantity[options]
    remaining, term = _remaining(spread, risk, rest, quantity)
    second = solve(remaining, settings, risk=term, budget=budget)
    if second.status is Status.relaxed and first.status is not Status.relaxed:
        return solve(spread, settings, risk=risk, budget=budget)
    quantity[rest] = second.quantity
    return _joined(spread, risk, first, second, quantity)


def _bundled(problem: HedgeProblem, risk: RiskTerm, legs: DeltaLegs) -> tuple[HedgeProblem, RiskTerm]:
    """Problem and risk of the bundles: an option moves what it and its delta leg move together."""
    used = np.flatnonzero(legs.anchor >= 0)
    leg = -(1.0 - legs.share[used]) * legs.units[used]
    per_unit, factors = problem.per_unit.copy(), risk.per_unit.copy()
    per_unit[:, used] += problem.per_unit[:, legs.anchor[used]] * leg
    factors[:, used] += risk.per_unit[:, legs.anchor[used]] * leg
    return replace(problem, per_unit=per_unit), RiskTerm(risk.names, risk.value, factors)


def _remaining(
    problem: HedgeProblem, risk: RiskTerm, columns: IntArray, traded: FloatArray
) -> tuple[HedgeProblem, RiskTerm]:
    """Problem and risk of some columns once the others have traded, (n,)."""
    assert problem.priority is not None
    part = HedgeProblem(
        rows=problem.rows,
        exposure=problem.exposure + problem.per_unit @ traded,
        lower=problem.lower,
        upper=problem.upper,
        columns=[problem.columns[i] for i in columns],
        per_unit=problem.per_unit[:, columns],
        ladders=[problem.ladders[i] for i in columns],
        lot=problem.lot[columns],
        min_size=problem.min_size[columns],
        max_buy=problem.max_buy[columns],
        max_sell=problem.max_sell[columns],
        priority=problem.priority,
        fixed_cost=np.asarray(problem.fixed_cost)[columns],
    )
    value = risk.value + risk.per_unit @ traded
    return part, RiskTerm(risk.names, value, risk.per_unit[:, columns])


def _joined(problem: HedgeProblem, risk: RiskTerm, first: Plan, second: Plan, quantity: FloatArray) -> Plan:
    """One plan of both steps."""
    frame = frame_of(problem)
    cost = ladder_costs(frame, quantity) + float(frame.fixed[quantity != 0].sum())
    after = problem.exposure + problem.per_unit @ quantity
    binds = first.binding != 0
    gap = max(first.gap, second.gap)
    traded = bool(quantity.any())
    share = f"{gap:z.2%} of cost and risk is above the bound of all {len(quantity)} columns"
    what = (
        "least cost and risk together, in whole lots" if traded else "no trade takes off more than it costs"
    )
    reason = f"{what}; {share}"
    over = np.maximum(problem.lower - after, after - problem.upper)
    slack = np.where(over > frame.tolerance, over, 0.0)
    done = Status.optimal if Status.time_limit not in (first.status, second.status) else Status.time_limit
    return replace(
        first,
        quantity=quantity,
        cost=cost,
        lower_bound=min(first.lower_bound, cost + risk.usd(quantity)),
        exposure_after=after,
        shadow_price=np.where(binds, first.shadow_price, second.shadow_price),
        slack=slack,
        status=Status.relaxed if slack.any() else done if traded else Status.no_trade,
        binding=np.where(binds, first.binding, second.binding).astype(np.int8),
        gap=gap,
        kept=np.arange(len(quantity), dtype=np.int64),
        reason=first.reason if slack.any() else reason,
    )
