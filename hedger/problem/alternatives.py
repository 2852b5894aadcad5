"""Other ways to hedge the same rows, beside which the cheapest plan is shown."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hedger.optimizer import HedgeProblem, SolverSettings, Status, solve
from hedger.problem.assembly import Trade, is_delta, part_of, trades_of
from hedger.problem.pairs import single_option_plans
from hedger.problem.snapshot import Snapshot
from hedger.settings import Settings
from hedger.solver.budget import Budget
from hedger.solver.frame import INF
from pricing.contracts import Kind
from pricing.universe import FloatArray, IntArray, Universe
from risk.costs import CostModel

#: Pairs of a perpetual and an option solved in whole lots at most, cheapest bound first; a pair that could
#: save less than this share of the best one's cost is not tried.
RUNNER_UP_TRIES_MAX = 50
RUNNER_UP_GAP = 1e-4


@dataclass(frozen=True, slots=True, eq=False)
class Alternative:
    """Another way to hedge, for comparison."""

    cost_usd: float
    trades: tuple[Trade, ...]


def _rows_of(problem: HedgeProblem, underlying: str) -> IntArray:
    return np.array(
        [i for i, row in enumerate(problem.rows) if row.split(":")[1] == underlying], dtype=np.int64
    )


def _breached(problem: HedgeProblem, rows: IntArray) -> bool:
    value = problem.exposure[rows]
    return bool(((value < problem.lower[rows]) | (value > problem.upper[rows])).any())


def _movers(universe: Universe, tradable: IntArray, underlying: str) -> tuple[IntArray, IntArray]:
    """Columns of an underlying's perpetuals and of its options."""
    mine = universe.where_underlying(underlying)[tradable]
    kind = universe.kind[tradable]
    return np.flatnonzero(mine & (kind == Kind.PERPETUAL)), np.flatnonzero(mine & (kind == Kind.OPTION))


def least_with_one_option(snapshot: Snapshot, problem: HedgeProblem, tradable: IntArray) -> float:
    """USD that no plan of `cheapest_with_one_option` undercuts; inf where none exists, 0 where not known."""
    universe = snapshot.market.universe
    total = 0.0
    for name in snapshot.underlyings:
        rows = _rows_of(problem, name)
        if not _breached(problem, rows):
            continue
        perps, options = _movers(universe, tradable, name)
        if not options.size:
            return 0.0
        total += min(
            (float(_bounds(problem, rows, p, options)[2].min()) for p in perps.tolist()), default=INF
        )
    return total


def cheapest_with_one_option(
    snapshot: Snapshot,
    problem: HedgeProblem,
    costs: CostModel,
    tradable: IntArray,
    settings: Settings,
    budget: Budget | None = None,
) -> Alternative | None:
    """The cheapest plan with a perpetual and at most one option per underlying that meets the same rows, of
    those that there was `budget` to try."""
    budget = Budget.of(settings.solver.time_limit_s) if budget is None else budget
    universe = snapshot.market.universe
    total = np.zeros(len(tradable))
    for name in snapshot.underlyings:
        rows = _rows_of(problem, name)
        if not _breached(problem, rows):
            continue
        perps, options = _movers(universe, tradable, name)
        best: tuple[float, FloatArray] | None = None
        for perp in perps.tolist():
            best = _best_pair(problem, rows, perp, options, best, settings, budget)
        if best is None:
            return None
        total += best[1]
    # In the coin numeraire a premium in a stable currency moves the other coins' rows: judged together.
    after = problem.exposure + problem.per_unit @ total
    rounding = 1e-9 * (1.0 + np.abs(problem.exposure))
    if ((after < problem.lower - rounding) | (after > problem.upper + rounding)).any():
        return None
    trades = trades_of(total, snapshot, costs, tradable)
    return Alternative(sum(t.cost.total for t in trades), trades)


def _best_pair(
    problem: HedgeProblem,
    rows: IntArray,
    perp: int,
    options: IntArray,
    best: tuple[float, FloatArray] | None,
    settings: Settings,
    budget: Budget,
) -> tuple[float, FloatArray] | None:
    """The cheapest of `best`, the perpetual alone and the perpetual with one option: (cost, quantity (n,)).

    A pair's cost in fractions of a lot bounds it from below: the search ends at the first that cannot win,
    or where the budget does.
    """
    columns, part, bound = _bounds(problem, rows, perp, options)
    order = np.argsort(bound, kind="stable")[:RUNNER_UP_TRIES_MAX]
    for least, pick in [(0.0, [0]), *((float(bound[i]), [0, 1 + int(i)]) for i in order)]:
        wins_not = best is not None and least >= best[0] * (1.0 - RUNNER_UP_GAP)
        if not np.isfinite(least) or wins_not or budget.spent:
            break
        chosen = np.array(pick, dtype=np.int64)
        found = solve(part_of(part, chosen, np.arange(rows.size)), _exact(settings), budget=budget)
        if found.status in (Status.optimal, Status.time_limit) and (best is None or found.cost < best[0]):
            quantity = np.zeros(len(problem.columns))
            quantity[columns[chosen]] = found.quantity
            best = found.cost, quantity
    return best


def _bounds(
    problem: HedgeProblem, rows: IntArray, perp: int, options: IntArray
) -> tuple[IntArray, HedgeProblem, FloatArray]:
    """The columns of a perpetual and the options, the problem on them and these rows, and the least cost of
    each pair in fractions of a lot."""
    columns = np.concatenate(([perp], options)).astype(np.int64)
    part = part_of(problem, columns, rows)
    return columns, part, single_option_plans(part, 0, np.arange(1, columns.size))


def perpetuals_alone(
    snapshot: Snapshot,
    problem: HedgeProblem,
    costs: CostModel,
    tradable: IntArray,
    settings: Settings,
    budget: Budget | None = None,
) -> Alternative | None:
    """What a delta hedger does: perpetuals only, delta rows only. None where no perpetual can do it."""
    universe = snapshot.market.universe
    rows = np.flatnonzero(is_delta(problem.rows))
    perps = np.flatnonzero(universe.kind[tradable] == Kind.PERPETUAL)
    found = solve(part_of(problem, perps, rows), _exact(settings), budget=budget)
    if found.status is Status.relaxed:
        return None
    quantity = np.zeros(len(tradable))
    quantity[perps] = found.quantity
    trades = trades_of(quantity, snapshot, costs, tradable)
    return Alternative(sum(t.cost.total for t in trades), trades)


def _exact(settings: Settings) -> SolverSettings:
    """The small problems of the alternatives, solved to the end."""
    return SolverSettings(time_limit_s=settings.solver.time_limit_s, gap=0.0, columns=settings.solver.columns)
