"""Rows that not all can be met, where they fall apart into blocks that share no column: each by itself.

Least slack priority by priority, then least cost, is a lexicographic goal of sums over the rows and columns.
What the trades of one block may be does not depend on another's, so the least of the sum is the sum of the
least, at each priority in turn and at last for the cost: the blocks' answers side by side are the whole's.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hedger.solver.frame import Frame
from hedger.solver.hedge_problem import HedgeProblem
from hedger.solver.lot_search import components, part_of_frame
from hedger.solver.lots import Found, Lots
from hedger.solver.relaxation import Stage
from hedger.solver.trial import Trial
from pricing.universe import IntArray


def elastic_by_blocks(lots: Lots, book: Trial, left: float) -> Found:
    """`Lots.elastic`, block by block; a program of one block is searched as it is.

    `left` solver seconds: each block gets an equal share of what those before have left. Proven where every
    block is, and each within the gap of its own slack and cost.
    """
    mine = part_of_frame(lots.frame, lots.kept)
    blocks = [(rows, lots.kept[columns]) for rows, columns in components(mine) if len(columns)]
    idle = np.setdiff1d(lots.kept, np.concatenate([np.zeros(0, dtype=np.int64), *(c for _, c in blocks)]))
    # what is in no row is traded only where that pays: then the whole says how much
    pays = (lots.frame.price[np.isin(lots.frame.column, idle)] < 0.0).any()
    if len(blocks) <= 1 or pays:
        return lots.elastic(book, left)
    trades = np.zeros(len(lots.frame.lot), dtype=np.int64)
    whole = Found(None, True, 0.0)
    for at, (rows, columns) in enumerate(blocks):
        block = block_of(lots, rows, columns)
        nothing = Trial.of(block.problem, block.frame, np.zeros(len(columns), dtype=np.int64))
        found = block.elastic(nothing, max(left - whole.seconds, 0.05 * left) / (len(blocks) - at))
        trades[columns] = nothing.lots if found.best is None else found.best.lots
        whole = Found(
            None,
            whole.proven and found.proven,
            whole.seconds + found.seconds,
            nodes=whole.nodes + found.nodes,
            fallbacks=whole.fallbacks + found.fallbacks,
        )
    return replace(whole, best=Trial.of(lots.problem, lots.frame, trades))


def block_of(lots: Lots, rows: IntArray, columns: IntArray) -> Lots:
    """The search on some rows, and on those columns of the kept ones that move them; the gap is the whole's.

    Tolerances and weights stay the whole's: no column outside of the block moves its rows.
    """
    frame = part_of_frame(lots.frame, columns, rows)
    rank = np.unique(lots.frame.rank[rows], return_inverse=True)[1].astype(np.int64)
    frame = replace(frame, rank=rank)
    levels = np.isin(lots.frame.column, columns)
    last = lots.bound.last
    slack = lots.bound.slack[rows]
    bound = replace(
        lots.bound,
        last=Stage(last.dual[rows], last.reduced[levels], last.fill[levels]),
        stages=(),
        slack=slack,
        met=lots.bound.met[rows],
        goals=np.bincount(rank, slack / frame.weight, minlength=frame.ranks).astype(float),
        basis=None,
    )
    problem = _part_of_problem(lots.problem, frame, rows, columns)
    return Lots(problem, frame, np.arange(len(columns)), lots.gap, bound, lots.clock)


def _part_of_problem(problem: HedgeProblem, frame: Frame, rows: IntArray, columns: IntArray) -> HedgeProblem:
    """The problem on some rows and columns, for judging lots."""
    return HedgeProblem(
        rows=[problem.rows[g] for g in rows],
        exposure=problem.exposure[rows],
        lower=problem.lower[rows],
        upper=problem.upper[rows],
        columns=[problem.columns[i] for i in columns],
        per_unit=frame.per_unit,
        ladders=[problem.ladders[i] for i in columns],
        lot=problem.lot[columns],
        min_size=problem.min_size[columns],
        max_buy=problem.max_buy[columns],
        max_sell=problem.max_sell[columns],
        priority=np.asarray(problem.priority)[rows],
        fixed_cost=np.asarray(problem.fixed_cost)[columns],
    )
