"""The relaxation in fractions of a lot, over all columns: the bound of every plan, the prices of the rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hedger.solver.budget import Clock
from hedger.solver.dual_simplex import INFEASIBLE, OPTIMAL
from hedger.solver.frame import INF, Frame
from hedger.solver.hedge_problem import Basis, HedgeProblem
from hedger.solver.highs import Outcome, Solver, level_program, stage_cost
from hedger.solver.scaling import limit_ceiling, row_scale
from hedger.solver.simplex import Simplex, ladder_program
from pricing.universe import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """Duals of one LP: what a row's end is worth, what a level is worth, and which levels are full."""

    dual: FloatArray  # (m,) objective per row unit; > 0 the lower end holds, < 0 the upper
    reduced: FloatArray  # (L,) objective per unit of the column
    fill: FloatArray  # (L,) in the column's unit


@dataclass(frozen=True, slots=True, eq=False)
class Bound:
    """The LP over all columns: certificate, duals, and the slack it could not avoid."""

    value: float
    last: Stage
    stages: tuple[Stage, ...]  # one per priority when rows had to be relaxed
    slack: FloatArray  # (m,)
    met: BoolArray  # (m,) no slack but what the tolerance on a priority's sum lets through
    goals: FloatArray  # (P,) the weighted slack of each priority
    seconds: float  # of HiGHS
    basis: Basis | None  # where our simplex stood on the rows as asked
    pivots: int
    fallbacks: int  # 1 HiGHS had to do it, 2 it could not either


def relax(frame: Frame, loose: float = 0.0, basis: Basis | None = None, clock: Clock | None = None) -> Bound:
    """The LP over all columns; when no plan meets all rows, the least slack priority by priority, then the
    cost: `last` at slacks up to half of `loose` above the least, relative, in the rows that have any.

    Our own simplex, from `basis` if it fits; where it is in trouble, HiGHS, by its `clock`; where that is
    too, the bound that needs no solver: no row has a price.
    """
    return _by_simplex(frame, loose, basis) or _by_highs(frame, loose, clock) or _by_nothing(frame)


def _by_simplex(frame: Frame, loose: float, basis: Basis | None) -> Bound | None:
    """None when a run did not pass its own check."""
    simplex = Simplex(ladder_program(frame, elastic=False), basis)
    ended, pivots = simplex.run(), simplex.pivots
    kept, m = simplex.basis, len(frame.rank)
    program = simplex.program
    if ended == OPTIMAL:
        last = _stage(frame, simplex, program.money, frame.price)
        still = np.zeros(m), np.ones(m, dtype=bool), np.zeros(frame.ranks)
        return Bound(certificate(frame, last), last, (), *still, 0.0, kept, pivots, 0)
    if ended != INFEASIBLE:
        return None
    simplex = Simplex(ladder_program(frame, elastic=True))
    program = simplex.program
    columns, rows = len(program.owner), len(program.owner) + 2 * m + m
    limits, stages = np.zeros(frame.ranks), []
    rank_of = np.tile(frame.rank, 2)
    for rank in range(frame.ranks):
        simplex.price((rank_of == rank).astype(float))
        if simplex.run() != OPTIMAL:
            return None
        stages.append(_stage(frame, simplex, 1.0, np.zeros_like(frame.price)))
        limits[rank] = simplex.x[columns : columns + 2 * m] @ (rank_of == rank)
        simplex.set_end(np.array([rows + rank]), limit_ceiling(limits)[[rank]])
    simplex.price(None)
    if simplex.run() != OPTIMAL:
        return None
    left = simplex.x[columns : columns + 2 * m].copy()
    slack, met = _slack(frame, left, limits)
    last = _stage(frame, simplex, program.money, frame.price)
    if loose > 0.0:
        held = np.flatnonzero(np.tile(met, 2))
        simplex.set_end(columns + held, left[held])
        simplex.set_end(rows + np.arange(frame.ranks), limit_ceiling(limits * (1.0 + 0.5 * loose)))
        if simplex.run() == OPTIMAL:
            last = _stage(frame, simplex, program.money, frame.price)
    pivots += simplex.pivots
    return Bound(certificate(frame, last), last, tuple(stages), slack, met, limits, 0.0, kept, pivots, 0)


def _stage(frame: Frame, simplex: Simplex, money: float, price: FloatArray) -> Stage:
    program = simplex.program
    return _duals(
        frame, simplex.y[: len(frame.rank)] * money / program.scale, price, program.fill(frame, simplex.x)
    )


def _duals(frame: Frame, dual: FloatArray, price: FloatArray, fill: FloatArray) -> Stage:
    """`dual` (m,) objective per row unit; the price of a side that is open is 0."""
    dual = np.where(np.isfinite(np.where(dual > 0, frame.need_lower, frame.need_upper)), dual, 0.0)
    return Stage(dual, price - frame.sign * (dual @ frame.per_unit)[frame.column], fill)


def _slack(frame: Frame, left: FloatArray, limits: FloatArray) -> tuple[FloatArray, BoolArray]:
    """(m,) slack of each row, from the slacks (2m,) in weights, and which rows have none that counts."""
    over = left.reshape(2, -1).max(axis=0, initial=0.0) * frame.weight
    slack = np.where(over > frame.tolerance, over, 0.0)
    return slack, slack <= 1e-7 * (1.0 + limits[frame.rank]) * frame.weight


def _by_nothing(frame: Frame) -> Bound:
    """No row has a price: what remains is what the ladders pay for being traded."""
    m, levels = len(frame.rank), len(frame.column)
    last = _duals(frame, np.zeros(m), frame.price, np.zeros(levels))
    stage = _duals(frame, np.zeros(m), np.zeros(levels), np.zeros(levels))
    away = np.maximum(np.maximum(frame.need_lower, -frame.need_upper), 0.0)
    goals = np.bincount(frame.rank, away / frame.weight, minlength=frame.ranks).astype(float)
    stages = (stage,) * frame.ranks
    return Bound(certificate(frame, last), last, stages, away, away == 0.0, goals, 0.0, None, 0, 2)


def _by_highs(frame: Frame, loose: float, clock: Clock | None) -> Bound | None:
    """The same by HiGHS; None when it ends without an answer."""
    limits = np.zeros(frame.ranks)
    program, unit = level_program(frame, limits, frame.ranks)
    solver = Solver(program, clock=clock)
    answer = solver.run()
    seconds = answer.seconds
    levels, m = len(frame.column), len(frame.rank)
    scale, nothing = row_scale(frame), np.zeros(levels)
    rank_of = np.tile(frame.rank, 2)
    stages: list[Stage] = []
    if answer.outcome is not Outcome.solved or answer.x is None:
        open_sides = np.where(np.isfinite(np.concatenate([frame.need_lower, frame.need_upper])), INF, 0.0)
        solver.set_bounds(np.arange(levels, levels + 2 * m), np.zeros(2 * m), open_sides)
        for rank in range(frame.ranks):
            solver.set_limit(m + rank, INF)
        for rank in range(frame.ranks):
            solver.set_cost(stage_cost(frame, rank, nothing))
            answer = solver.run()
            seconds += answer.seconds
            if answer.outcome is not Outcome.solved or answer.x is None:
                return None
            stages.append(_duals(frame, answer.dual[:m] / scale, nothing, answer.x[:levels] * unit))
            limits[rank] = answer.x[levels:] @ (rank_of == rank)
            solver.set_limit(m + rank, float(limit_ceiling(limits)[rank]))
        solver.set_cost(stage_cost(frame, frame.ranks, frame.price * unit / program.unit))
        answer = solver.run()
        seconds += answer.seconds
        if answer.outcome is not Outcome.solved or answer.x is None:
            return None
    slack, met = _slack(frame, answer.x[levels:], limits)
    if stages and loose > 0.0:
        held = np.flatnonzero(np.tile(met, 2))
        solver.set_bounds(levels + held, np.zeros(len(held)), answer.x[levels + held])
        for rank in range(frame.ranks):
            limit = limits * (1.0 + 0.5 * loose)
            solver.set_limit(m + rank, float(limit_ceiling(limit)[rank]))
        cheaper = solver.run()
        seconds += cheaper.seconds
        answer = cheaper if cheaper.outcome is Outcome.solved and cheaper.x is not None else answer
    assert answer.x is not None
    last = _duals(frame, answer.dual[:m] * program.unit / scale, frame.price, answer.x[:levels] * unit)
    return Bound(certificate(frame, last), last, tuple(stages), slack, met, limits, seconds, None, 0, 1)


def certificate(frame: Frame, stage: Stage) -> float:
    """USD that no plan undercuts: the Lagrangian bound of the row prices. It holds for any prices, so it
    does not rest on the solver's word; at the optimum's prices it equals the LP's cost.
    """
    ends = np.where(stage.dual > 0, frame.need_lower, frame.need_upper)
    used = stage.dual != 0
    return float(stage.dual[used] @ ends[used] + np.minimum(stage.reduced, 0.0) @ frame.size)


def entry_cost(frame: Frame, stage: Stage) -> FloatArray:
    """(n,) USD that trading a column at all adds to the bound, at least; inf where it cannot be traded.

    The bound of the row prices holds for every plan with what each column asks beyond its price added; a
    column that the relaxation trades may add nothing.
    """
    column = frame.column
    take = np.clip((frame.least * frame.lot)[column] - frame.before, 0.0, frame.size)
    side = np.where(frame.sign > 0, 0, 1)
    total = np.zeros((2, len(frame.lot)))
    np.add.at(total, (side, column), np.maximum(stage.reduced, 0.0) * take)
    total[np.stack([frame.most_buy, frame.most_sell]) == 0] = INF
    total[:, np.unique(column[(stage.reduced < 0.0) | (stage.fill > 0.0)])] = 0.0
    return np.asarray(total.min(axis=0))


def keep(problem: HedgeProblem, frame: Frame, bound: Bound, count: int) -> IntArray:
    """The columns for the lots: the LP's own, then the cheapest mover of each row in each direction (they
    repair what rounding breaks, also where the row's price is 0), then the smallest reduced costs as a share
    of the cost. A share, because it does not depend on the column's unit. Columns that cannot trade one lot
    are left out.
    """
    n = len(problem.columns)
    tradable = np.where(frame.sign > 0, frame.most_buy[frame.column], frame.most_sell[frame.column]) > 0
    used = np.unique(frame.column[tradable & (bound.last.fill > 0)])
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.maximum(bound.last.reduced, 0.0) / np.abs(frame.price)
        effect = frame.per_unit[:, frame.column] * frame.sign
        rate = np.where(effect != 0, np.maximum(frame.price, 0.0) / np.abs(effect), INF)
    share[np.isnan(share)] = 0.0
    score = np.full(n, INF)
    np.minimum.at(score, frame.column[tradable], share[tradable])
    movers = []
    for g in np.argsort(frame.rank, kind="stable"):
        for direction in (effect[g] > 0, effect[g] < 0):
            usable = np.flatnonzero(direction & tradable & np.isfinite(rate[g]))
            if usable.size:
                movers.append(int(frame.column[usable[np.argmin(rate[g, usable])]]))
    rest = np.argsort(score, kind="stable")
    can = np.zeros(n, dtype=bool)
    can[frame.column[tradable]] = True
    order = [i for i in dict.fromkeys([*used.tolist(), *movers, *rest.tolist()]) if can[i]]
    least = len(set(used.tolist()) | set(movers)) if bound.stages else len(used)
    return np.array(sorted(order[: max(count, least)]), dtype=np.int64)
