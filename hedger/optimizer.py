"""The cheapest trades that bring every exposure row back inside its required interval, with the proof.

The optimizer knows rows (exposures) and columns (instruments with a price ladder per side), not Greeks:

    min  sum of ladder costs(x) + fixed costs    s.t.  lower <= exposure + per_unit x <= upper,
    x whole lots, 0 or at least the minimum size, within the caps and the displayed size of one side.

First the LP over all columns in fractions of a lot (our own simplex, checked; else HiGHS): its optimum bounds
the cost of every plan from below and prices the rows. Then whole lots by our own branch and bound on that
solution's columns and those nearest to entering it; HiGHS where that finds or proves too little. When no plan
meets all rows, elastic goals in priority order. Pure: no randomness, and budgets are of
work; HiGHS' own clock ends only what work does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import numpy as np

from hedger.solver.blocks import elastic_by_blocks
from hedger.solver.budget import Budget, Clock
from hedger.solver.frame import INF, Frame, frame_of
from hedger.solver.hedge_problem import (
    DEFAULTS,
    HedgeProblem,
    Ladder,
    Plan,
    RiskTerm,
    SolverSettings,
    Status,
)
from hedger.solver.lots import EXACT_COLUMNS, Found, Lots
from hedger.solver.relaxation import Bound, entry_cost, keep, relax
from hedger.solver.relaxed_reason import why_relaxed
from hedger.solver.trial import Trial
from hedger.solver.utility import solve_with_risk
from pricing.universe import IntArray

__all__ = ["HedgeProblem", "Ladder", "Plan", "RiskTerm", "SolverSettings", "Status", "solve"]


#: A gap is a number even where a cost of next to nothing stands beside an immense bound.
GAP_MAX = 1e300


def solve(
    problem: HedgeProblem,
    settings: SolverSettings = DEFAULTS,
    *,
    risk: RiskTerm | None = None,
    warm: Plan | None = None,
    budget: Budget | None = None,
) -> Plan:
    """The cheapest plan in whole lots that ends inside every required interval, with its LP bound.

    A row counts as met when missed by less than 1e-9 of the farthest required move (see `frame_of`). When no
    plan meets all rows, the summed slack of the first priority's rows is minimised (in interval widths, see
    `frame_of`), kept, then the next priority's, and at last the cost. On more than EXACT_COLUMNS columns
    a priority is done when the rows that fractions of a lot meet are met and the others' slack is within the
    gap of what fractions leave, or of what the search proves that lots leave; rows that share no column are
    searched apart. `warm`: the plan of the last mark, whose basis the LP starts from where it
    has the same shape; it changes how soon the answer is there, not the answer. Raises nothing on a problem
    that `HedgeProblem` lets through.

    `risk`: a risk term that the plan minimises together with its cost (see `hedger.solver.utility`); the plan
    then trades inside the intervals, too, and its bound and gap are of cost plus risk.

    `budget`: what this and the other solves of a plan may spend together; None: this one stands alone.
    """
    budget = Budget.of(settings.time_limit_s) if budget is None else budget
    # what is too large for a float becomes infinite, and what is infinite our simplex and HiGHS refuse
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        if risk is not None:
            return solve_with_risk(problem, risk, settings, partial(solve, budget=budget))
        return _within(budget, problem, settings, warm)


def _within(budget: Budget, problem: HedgeProblem, settings: SolverSettings, warm: Plan | None) -> Plan:
    """The cheapest plan by what the budget has left, and what it took off that."""
    limit = min(settings.time_limit_s, budget.allowed_s)
    plan = _cheapest(problem, replace(settings, time_limit_s=limit), warm, budget.clock)
    budget.spend(sum(plan.timings.values()))
    return plan


def _cheapest(problem: HedgeProblem, settings: SolverSettings, warm: Plan | None, clock: Clock) -> Plan:
    frame = frame_of(problem)
    book = Trial.of(problem, frame, np.zeros(len(problem.columns), dtype=np.int64))
    if not book.slack.any():
        return _no_trade(problem)
    loose = settings.gap if len(problem.columns) > EXACT_COLUMNS else 0.0
    bound = relax(frame, loose, warm.basis if warm is not None else None, clock)
    if bound.slack.any():
        kept = keep(problem, frame, bound, settings.columns)
        return _relaxed(problem, frame, settings, bound, None, kept, book, clock)
    found, kept, narrow = _in_lots(problem, frame, settings, bound, clock)
    trial = found.best
    if trial is None:
        # where time is short, few columns give the better answer
        kept = kept if found.proven else narrow
        return _relaxed(problem, frame, settings, bound, found, kept, book, clock)
    # No plan is cheaper than the search's floor, or than the bound with a column that was not searched.
    aside = np.ones(len(problem.columns), dtype=bool)
    aside[kept] = False
    with_others = bound.value + float(entry_cost(frame, bound.last)[aside].min(initial=INF))
    certified = min(found.floor, with_others, trial.cost)
    seconds = {"lp": bound.seconds, "lots": found.seconds, "elastic": 0.0}
    return _plan(problem, settings, found, bound, trial, kept, seconds, certified)


def _in_lots(
    problem: HedgeProblem, frame: Frame, settings: SolverSettings, bound: Bound, clock: Clock
) -> tuple[Found, IntArray, IntArray]:
    """Whole lots with every row met, the columns they were searched on, and the fewest that were.

    Wider when the kept columns have no plan in whole lots. As long as there is none at hand, a try gets half
    of the time, and two fifths of the limit stay in reserve for relaxing rows.
    """
    limit = left = settings.time_limit_s
    spent, nodes, fallbacks = 0.0, 0, 0
    found, kept, narrow = Found(None, True, 0.0), np.zeros(0, dtype=np.int64), None
    for width in dict.fromkeys((settings.columns, 4 * settings.columns, len(problem.columns))):
        kept = keep(problem, frame, bound, width)
        narrow = kept if narrow is None else narrow
        blind = 0.5 * max(left - 0.4 * limit, 0.1 * limit)
        lots = Lots.on(problem, frame, kept, settings.gap, bound, clock)
        found = lots.search(np.zeros(frame.ranks), frame.ranks, None, bound.value, blind, left)
        spent, nodes, fallbacks = spent + found.seconds, nodes + found.nodes, fallbacks + found.fallbacks
        left = max(left - found.seconds, 0.05 * limit)
        if found.best is not None or len(kept) >= len(problem.columns):
            break
    assert narrow is not None
    return replace(found, seconds=spent, nodes=nodes, fallbacks=fallbacks), kept, narrow


def _relaxed(
    problem: HedgeProblem,
    frame: Frame,
    settings: SolverSettings,
    first: Bound,
    tried: Found | None,
    kept: IntArray,
    book: Trial,
    clock: Clock,
) -> Plan:
    """The least slack priority by priority, in whole lots, then the cost; `tried` the search for lots that
    meet every row, None where fractions cannot either."""
    spent = 0.0 if tried is None else tried.seconds
    limit = settings.time_limit_s
    left = max(limit - spent, 0.05 * limit)
    found = elastic_by_blocks(Lots.on(problem, frame, kept, settings.gap, first, clock), book, left)
    coarse = (tried is None or tried.proven) and found.proven
    trial = found.best
    assert trial is not None  # doing nothing is always a trial
    # The bound of a relaxed plan: the LP with the rows as wide as the plan leaves them.
    over = trial.over.reshape(2, -1)
    below, above = np.where(over > 0, over + frame.tolerance, 0.0)
    wide = replace(frame, need_lower=frame.need_lower - below, need_upper=frame.need_upper + above)
    again = relax(wide, clock=clock)
    bound = replace(
        again,
        basis=first.basis,
        pivots=first.pivots + again.pivots,
        fallbacks=first.fallbacks + again.fallbacks,
    )
    if tried is not None:
        found = replace(found, nodes=found.nodes + tried.nodes, fallbacks=found.fallbacks + tried.fallbacks)
    seconds = {"lp": first.seconds + again.seconds, "lots": spent, "elastic": found.seconds}
    plan = _plan(problem, settings, found, bound, trial, kept, seconds, -INF)
    if not over.any():
        return plan
    reason = why_relaxed(problem, frame, trial, first, coarse, len(kept))
    if not coarse:
        reason += f"; the search stopped after {limit:.3g} s: a better plan may exist"
    return replace(plan, status=Status.relaxed, reason=reason)


def _gap(cost: float, bound: float) -> float:
    return min(max(cost - bound, 0.0) / max(abs(cost), 1e-12), GAP_MAX)


def _plan(
    problem: HedgeProblem,
    settings: SolverSettings,
    found: Found,
    bound: Bound,
    trial: Trial,
    kept: IntArray,
    seconds: Mapping[str, float],
    certified: float,
) -> Plan:
    low = min(bound.value, trial.cost)  # rounding and the row tolerance may put the bound 1e-9 above
    gap = _gap(trial.cost, low)
    done = found.proven or gap <= settings.gap
    spread = f"{len(kept)} of {len(problem.columns)} columns"
    spread += f", {gap:z.2%} of the cost is above the bound of all columns"
    return Plan(
        quantity=trial.quantity,
        cost=trial.cost,
        lower_bound=low,
        exposure_after=trial.after,
        shadow_price=np.abs(bound.last.dual),
        slack=trial.slack,
        status=Status.optimal if done else Status.time_limit,
        binding=-np.sign(bound.last.dual).astype(np.int8),
        gap=gap,
        kept=kept,
        reason=f"cheapest plan in whole lots on {spread}"
        if done
        else f"best plan found in {settings.time_limit_s:.3g} s on {spread}; a cheaper one may exist",
        timings=dict(seconds),
        lots_bound=certified,
        basis=bound.basis,
        fallbacks=bound.fallbacks + found.fallbacks,
        pivots=bound.pivots,
        nodes=found.nodes,
    )


def _no_trade(problem: HedgeProblem) -> Plan:
    m, n = len(problem.rows), len(problem.columns)
    return Plan(
        quantity=np.zeros(n),
        cost=0.0,
        lower_bound=0.0,
        exposure_after=problem.exposure.copy(),
        shadow_price=np.zeros(m),
        slack=np.zeros(m),
        status=Status.no_trade,
        binding=np.zeros(m, dtype=np.int8),
        gap=0.0,
        kept=np.zeros(0, dtype=np.int64),
        reason="every row is inside its required interval",
        timings={"lp": 0.0, "lots": 0.0, "elastic": 0.0},
    )
