"""Linear and whole-lot programs of a hedge, and the one place that talks to HiGHS.

Pure: arrays in, arrays out. One thread, a fixed seed and budgets of work, so that the same program gives the
same answer; the solver's own clock ends only what work does not. Source: HiGHS (Huangfu and Hall,
"Parallelizing the dual revised simplex method", Mathematical Programming Computation 10, 2018), through
highspy.

Every program here has the same tail: for row g two slacks (below its lower end, above its upper end) in
units of the row's weight, and for every priority p one row "sum of the slacks of p <= limit". A limit of 0
closes the slacks: the hard problem and the elastic one are the same program with other limits.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

import highspy
import numpy as np
from numpy.typing import NDArray

from hedger.solver.budget import Clock
from hedger.solver.frame import INF, Frame
from hedger.solver.scaling import TOLERANCE, limit_ceiling, money_of, power_of_two, row_scale
from pricing.universe import FloatArray, IntArray

WHOLE_MAX = 2.0**30  # lots of one column, beyond which no search is begun
#: Ends, costs and entries beyond this are not given to HiGHS: on such programs it has been seen to run for
#: ever, and to end the process. Where rows and columns are scaled, no market comes near it.
NUMBER_MAX = 1e15
#: Lots of a column that one row is narrower than a single one of, beyond which no search is begun: HiGHS then
#: moves bounds lot by lot, over the whole range, and looks at no limit meanwhile, its clock included
#: (github.com/ERGO-Code/HiGHS/issues/2226). A hundred thousand lots take it minutes.
WALK_LOTS = 1000


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """min cost'x with row_lower <= Ax <= row_upper, lower <= x <= upper; v variables, r rows, A by
    columns."""

    cost: FloatArray  # (v,)
    lower: FloatArray  # (v,)
    upper: FloatArray  # (v,)
    row_lower: FloatArray  # (r,)
    row_upper: FloatArray  # (r,)
    start: NDArray[np.int32]  # (v,) where a column's entries begin
    index: NDArray[np.int32]  # (nonzeros,) rows
    value: FloatArray  # (nonzeros,)
    integer: NDArray[np.int32]  # (v,) 1 = whole numbers only
    unit: float  # USD (or weights) per unit of the objective

    @property
    def sane(self) -> bool:
        """Whether every finite number is one that HiGHS is trusted with."""
        numbers = (self.cost, self.lower, self.upper, self.row_lower, self.row_upper, self.value)
        return all(bool((np.isinf(x) | (np.abs(x) <= NUMBER_MAX)).all()) for x in numbers)


class Outcome(StrEnum):
    """How a run ended."""

    solved = "solved"
    infeasible = "infeasible"
    stopped = "stopped"  # at the time limit or in numerical trouble, with or without an x


#: Work in a second, about what a small machine does on lots of a few dozen columns: nodes of the branch and
#: bound, iterations of the simplex, and the seconds that a whole program takes before its first node.
NODES_PER_S = 200.0
ITERATIONS_PER_S = 10_000.0
WHOLE_S = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What one run gave: x (v,) or None, row duals (r,) of an LP, and the objective in USD or weights."""

    outcome: Outcome
    x: FloatArray | None
    dual: FloatArray
    value: float
    seconds: float


class Solver:
    """One HiGHS instance with one program in it. Changes of cost and bounds keep the basis: the next run is
    warm."""

    def __init__(self, program: Program, *, whole: bool = False, clock: Clock | None = None) -> None:
        self.program = program
        self._whole = whole
        self._clock = Clock() if clock is None else clock
        self._highs = highs = highspy.Highs()
        for name, value in (
            ("output_flag", False),
            ("threads", 1),
            ("parallel", "off"),
            ("random_seed", 0),
            ("primal_feasibility_tolerance", TOLERANCE),
            ("dual_feasibility_tolerance", TOLERANCE),
            ("mip_feasibility_tolerance", TOLERANCE),
            ("small_matrix_value", 1e-12),  # the default drops 1e-9; one lot of a perp may be 1e-6 of a row
            ("presolve", "choose" if whole else "off"),  # presolve of a few-row LP costs more than it saves
            # an LP has been seen to cycle
            ("simplex_iteration_limit", 1000 + 100 * (len(program.cost) + len(program.row_lower))),
        ):
            highs.setOptionValue(name, value)
        kind = program.integer if whole else np.zeros_like(program.integer)
        status = highs.passModel(
            len(program.cost), len(program.row_lower), len(program.value), 1, 1, 0.0,
            program.cost, program.lower, program.upper, program.row_lower, program.row_upper,
            program.start, program.index, program.value, kind,
        )  # fmt: skip
        # Numbers that it cannot hold; and beyond so many lots its search has been seen not to come back.
        self._refused = (
            status == highspy.HighsStatus.kError
            or not program.sane
            or (whole and bool((np.maximum(program.upper, -program.lower)[kind == 1] > WHOLE_MAX).any()))
        )

    def set_cost(self, cost: FloatArray) -> None:
        """New objective (v,)."""
        self._highs.changeColsCost(len(cost), np.arange(len(cost), dtype=np.int32), cost)

    def set_bounds(self, columns: IntArray, lower: FloatArray, upper: FloatArray) -> None:
        """New bounds of some variables."""
        self._highs.changeColsBounds(len(columns), columns.astype(np.int32), lower, upper)

    def set_limit(self, row: int, upper: float) -> None:
        """New upper bound of a row without a lower one."""
        self._highs.changeRowBounds(row, -INF, upper)

    def run(self, seconds: float = INF, gap: float = 0.0, start: FloatArray | None = None) -> Answer:
        """Solve; `seconds`, `gap` (relative) and `start` (a feasible x) matter to whole programs only.

        Seconds are work at a fixed rate, of nodes and iterations, so that the same program gets the same
        answer on any machine; the plan's clock stands behind them for what neither counts.
        """
        highs, clock = self._highs, self._clock
        if self._refused or clock.left_s <= 0.0:
            clock.ended = clock.ended or not self._refused
            return Answer(Outcome.stopped, None, np.zeros(len(self.program.row_lower)), INF, 0.0)
        begun_s = highs.getRunTime()
        if seconds < INF:
            highs.setOptionValue("mip_max_nodes", max(round(seconds * NODES_PER_S), 1))
        highs.setOptionValue("time_limit", begun_s + clock.left_s)
        highs.setOptionValue("mip_rel_gap", gap)
        highs.setOptionValue("mip_abs_gap", 1e-10)
        if start is not None:
            highs.setSolution(len(start), np.arange(len(start), dtype=np.int32), start)
        highs.run()
        if highs.getModelStatus() not in _OUTCOMES and not self._whole:
            # Numerical trouble: once more, from nothing. The looser tolerance harms no one: bounds and plans
            # are computed from the answer in plain arithmetic.
            highs.clearSolver()
            highs.setOptionValue("presolve", "on")
            highs.setOptionValue("primal_feasibility_tolerance", 1e-7)
            highs.setOptionValue("dual_feasibility_tolerance", 1e-7)
            highs.run()
        clock.spend(highs.getRunTime() - begun_s)
        clock.ended = clock.ended or highs.getModelStatus() == highspy.HighsModelStatus.kTimeLimit
        info, solution = highs.getInfo(), highs.getSolution()
        has_x = info.primal_solution_status == 2 and solution.value_valid
        outcome = _OUTCOMES.get(highs.getModelStatus(), Outcome.stopped)
        if outcome is Outcome.solved and not has_x:
            outcome = Outcome.stopped
        value = float(info.objective_function_value) if has_x else INF
        return Answer(
            outcome,
            np.array(solution.col_value) if has_x else None,
            np.array(solution.row_dual),
            value * self.program.unit,
            self._worked(info),
        )

    def _worked(self, info: highspy.HighsInfo) -> float:
        """Seconds of work of the last run."""
        iterations = max(info.simplex_iteration_count, 0) / ITERATIONS_PER_S
        return iterations + (WHOLE_S + max(info.mip_node_count, 0) / NODES_PER_S if self._whole else 0.0)


_OUTCOMES = {
    highspy.HighsModelStatus.kOptimal: Outcome.solved,
    highspy.HighsModelStatus.kInfeasible: Outcome.infeasible,
    highspy.HighsModelStatus.kTimeLimit: Outcome.stopped,
    highspy.HighsModelStatus.kSolutionLimit: Outcome.stopped,
    highspy.HighsModelStatus.kIterationLimit: Outcome.stopped,
}


@dataclass(slots=True)
class _Entries:
    """Matrix entries gathered block by block."""

    rows: list[IntArray] = field(default_factory=list)
    columns: list[IntArray] = field(default_factory=list)
    values: list[FloatArray] = field(default_factory=list)

    def add(self, rows: IntArray, columns: IntArray, values: FloatArray | float) -> None:
        self.rows.append(rows)
        self.columns.append(columns)
        self.values.append(np.broadcast_to(np.asarray(values, dtype=float), columns.shape))

    def by_column(self, variables: int) -> tuple[NDArray[np.int32], NDArray[np.int32], FloatArray]:
        rows, columns = np.concatenate(self.rows), np.concatenate(self.columns)
        values = np.concatenate(self.values)
        keep = values != 0.0
        order = np.argsort(columns[keep], kind="stable")
        counts = np.bincount(columns[keep], minlength=variables)
        start = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int32)
        return start, rows[keep][order].astype(np.int32), values[keep][order]


def _add_slacks(entries: _Entries, frame: Frame, scale: FloatArray, first: int, first_limit_row: int) -> None:
    """Two slack variables a row (all lower ones from `first`, then all upper ones), and the priorities'
    sums."""
    m = len(scale)
    g = np.arange(m)
    entries.add(g, first + g, frame.weight / scale)
    entries.add(g, first + m + g, -frame.weight / scale)
    entries.add(first_limit_row + frame.rank, first + g, 1.0)
    entries.add(first_limit_row + frame.rank, first + m + g, 1.0)


def slack_ceiling(frame: Frame, limits: FloatArray, most: FloatArray | float = INF) -> FloatArray:
    """(2m,) upper bounds of the slacks: 0 where the side is open or the priority's limit is 0.

    `most` (2m,) in row units.
    """
    free = np.where(limits[frame.rank] > 0.0, INF, 0.0)
    ceiling = np.concatenate(
        [
            np.where(np.isfinite(frame.need_lower), free, 0.0),
            np.where(np.isfinite(frame.need_upper), free, 0.0),
        ]
    )
    return np.asarray(np.minimum(ceiling, most / np.tile(frame.weight, 2)))


def stage_cost(frame: Frame, stage: int, trades: FloatArray) -> FloatArray:
    """(v,) objective: the slacks of priority `stage`, or the trades' cost when all priorities are fixed."""
    if stage == frame.ranks:
        return np.concatenate([trades, np.zeros(2 * len(frame.rank))])
    chosen = (frame.rank == stage).astype(float)
    return np.concatenate([np.zeros_like(trades), chosen, chosen])


def level_program(frame: Frame, limits: FloatArray, stage: int) -> tuple[Program, FloatArray]:
    """The LP over all levels: variables L levels (each column in its own scale) and 2m slacks, m + P rows.

    Returns the program and the levels' scale (L,): units of the column per unit of its variable, one for
    which the row it moves most moves by one.
    """
    scale = row_scale(frame)
    effect = frame.per_unit / scale[:, None]
    reach = np.abs(effect).max(axis=0, initial=0.0)
    unit = 1.0 / power_of_two(reach)[frame.column]
    entries = _Entries()
    matrix = (effect[:, frame.column] * (frame.sign * unit)).T  # (L, m): entries come out column by column
    columns, rows = np.nonzero(matrix)
    entries.add(rows, columns, matrix[columns, rows])
    m, count = len(scale), len(frame.column)
    _add_slacks(entries, frame, scale, count, m)
    start, index, value = entries.by_column(count + 2 * m)
    money = money_of(frame, frame.price * unit, matrix.T)
    program = Program(
        cost=stage_cost(frame, stage, frame.price * unit / money),
        lower=np.zeros(count + 2 * m),
        upper=np.concatenate([frame.size / unit, slack_ceiling(frame, limits)]),
        row_lower=np.concatenate([frame.need_lower / scale, np.full(frame.ranks, -INF)]),
        row_upper=np.concatenate([frame.need_upper / scale, limit_ceiling(limits)]),
        start=start,
        index=index,
        value=value,
        integer=np.zeros(count + 2 * m, dtype=np.int32),
        unit=money if stage == frame.ranks else 1.0,
    )
    return program, unit


def lot_program(
    frame: Frame,
    kept: IntArray,
    limits: FloatArray,
    stage: int,
    scale: FloatArray,
    money: float,
    ceiling: FloatArray | float = INF,
) -> tuple[Program, IntArray, IntArray]:
    """The program in whole lots over the kept columns.

    Variables: k (c) net lots, whole; z, the kept levels' fills in lots; two yes/no variables per column that
    needs them (a minimum above one lot, a fixed cost, or ladders so cheap that buying and selling the same
    thing would pay); 2m slacks. `scale` (m,) as `row_scale`, `money` USD per unit of the objective, `ceiling`
    (2m,) of the slacks in row units.

    Returns the program, the kept levels' numbers, and the positions in `kept` of the columns with yes/no
    variables.
    """
    c, m = len(kept), len(frame.rank)
    place = np.full(len(frame.lot), -1)
    place[kept] = np.arange(c)
    levels = np.flatnonzero(place[frame.column] >= 0)
    owner, lot = place[frame.column[levels]], frame.lot[frame.column[levels]]
    buys = frame.sign[levels] > 0
    cheapest = np.full((2, c), INF)
    np.minimum.at(cheapest, (np.where(buys, 0, 1), owner), frame.price[levels])
    gated = np.flatnonzero((frame.least[kept] > 1) | (frame.fixed[kept] > 0) | (cheapest.sum(axis=0) < 0))
    first_gate, q = c + len(levels), len(gated)
    first_slack = first_gate + 2 * q
    variables = first_slack + 2 * m
    # rows: m exposures, c links k = bought - sold, per gate: not above its cap, not below its minimum, one
    # side; P limits
    most = np.concatenate([frame.most_buy[kept][gated], frame.most_sell[kept][gated]]).astype(float)
    least = np.tile(frame.least[kept][gated], 2).astype(float)
    first_cap, first_least, first_one, first_limit = m + c, m + c + 2 * q, m + c + 4 * q, m + c + 5 * q

    entries = _Entries()
    effect = frame.per_unit[:, kept] * frame.lot[kept] / scale[:, None]
    rows, columns = np.nonzero(effect)
    entries.add(rows, columns, effect[rows, columns])
    entries.add(m + np.arange(c), np.arange(c), 1.0)
    entries.add(m + owner, c + np.arange(len(levels)), -frame.sign[levels])
    gate_of = np.full((2, c), -1)
    gate_of[0, gated], gate_of[1, gated] = np.arange(q), q + np.arange(q)
    gate = gate_of[np.where(buys, 0, 1), owner]
    held = np.flatnonzero(gate >= 0)
    gates = np.arange(2 * q)
    for first, bound in ((first_cap, most), (first_least, least)):
        entries.add(first + gate[held], c + held, 1.0)
        entries.add(first + gates, first_gate + gates, -bound)
    entries.add(first_one + gates % max(q, 1), first_gate + gates, 1.0)
    _add_slacks(entries, frame, scale, first_slack, first_limit)
    start, index, value = entries.by_column(variables)

    trades = np.concatenate(
        [np.zeros(c), frame.price[levels] * lot / money, np.tile(frame.fixed[kept][gated] / money, 2)]
    )
    half = 0.5 * frame.tolerance / scale  # an optimum that lies on the edge must not be lost to rounding
    program = Program(
        cost=stage_cost(frame, stage, trades),
        lower=np.concatenate([-frame.most_sell[kept].astype(float), np.zeros(variables - c)]),
        upper=np.concatenate(
            [
                frame.most_buy[kept].astype(float),
                frame.size[levels] / lot * (1 + 1e-12) + 1e-9,  # a size of 3 lots may read 2.9999999999999996
                (most > 0).astype(float),
                slack_ceiling(frame, limits, ceiling),
            ]
        ),
        row_lower=np.concatenate(
            [
                frame.need_lower / scale - half, np.zeros(c),
                np.full(2 * q, -INF), np.zeros(2 * q), np.full(q + frame.ranks, -INF),
            ]
        ),
        row_upper=np.concatenate(
            [
                frame.need_upper / scale + half, np.zeros(c),
                np.zeros(2 * q), np.full(2 * q, INF), np.ones(q), limit_ceiling(limits),
            ]
        ),
        start=start,
        index=index,
        value=value,
        integer=np.concatenate(
            [np.ones(c), np.zeros(len(levels)), np.ones(2 * q), np.zeros(2 * m)]
        ).astype(np.int32),
        unit=money if stage == frame.ranks else 1.0,
    )  # fmt: skip
    return program, levels, gated


def walks(frame: Frame, kept: IntArray, limits: FloatArray, stage: int, ceiling: FloatArray | float) -> bool:
    """Whether a lot program has a column that HiGHS could walk lot by lot: more than WALK_LOTS of it, in a
    row that one of them moves by more than its width, slack included but that which is to be the least."""
    slack = np.minimum(slack_ceiling(frame, limits, ceiling).reshape(2, -1), limits[frame.rank])
    slack[:, frame.rank == stage] = 0.0
    width = frame.need_upper - frame.need_lower + (slack * frame.weight).sum(axis=0)
    coarse = (np.abs(frame.per_unit[:, kept]) * frame.lot[kept] > width[:, None]).any(axis=0)
    return bool((coarse & (frame.most_buy[kept] + frame.most_sell[kept] > WALK_LOTS)).any())


def lot_point(
    program: Program,
    frame: Frame,
    kept: IntArray,
    levels: IntArray,
    gated: IntArray,
    lots: IntArray,
    over: FloatArray,
) -> FloatArray:
    """The program's x (v,) for whole lots (n,) and slacks (2m,) in row units: a start for the solver."""
    column = frame.column[levels]
    side = np.maximum(frame.sign[levels] * lots[column], 0.0) * frame.lot[column]
    fills = np.clip(side - frame.before[levels], 0.0, frame.size[levels]) / frame.lot[column]
    gates = np.concatenate([lots[kept][gated] > 0, lots[kept][gated] < 0]).astype(float)
    x = np.concatenate([lots[kept].astype(float), fills, gates, over / np.tile(frame.weight, 2)])
    return np.asarray(np.clip(x, program.lower, program.upper))


def allowed_neighbours(value: float, most_sell: int, most_buy: int, least: int) -> tuple[int, int]:
    """Largest permitted lots <= value and smallest >= value: 0, or at least `least`, within the caps.

    >>> allowed_neighbours(1.5, most_sell=4, most_buy=9, least=3)
    (0, 3)
    """
    down, up = int(np.floor(value)), int(np.ceil(value))
    if 0 < up < least:
        down, up = 0, least if most_buy >= least else 0
    elif -least < down < 0:
        down, up = -least if most_sell >= least else 0, 0
    else:
        down, up = (0 if 0 < down < least else down), (0 if -least < up < 0 else up)
    return max(down, -most_sell), min(up, most_buy)


def dive(
    program: Program, frame: Frame, kept: IntArray, scale: FloatArray, seconds: float, clock: Clock
) -> tuple[Answer, IntArray | None, float]:
    """Whole lots by rounding the relaxation, one column at a time, from the coarsest to the finest.

    After each rounding the rest is solved again: the perp, finest of all, repairs the delta that a rounded
    option moved. Both neighbours are tried and the cheaper stays. Returns the relaxation's answer, lots (c,)
    or None when a rounding left no way on or the time ended, and the seconds spent.
    """
    solver = Solver(program, clock=clock)
    root = answer = solver.run()
    spent = root.seconds
    coarse = (np.abs(frame.per_unit[:, kept]) * frame.lot[kept] / scale[:, None]).max(axis=0, initial=0.0)
    order = np.argsort(-coarse, kind="stable")
    least, most_buy, most_sell = frame.least[kept], frame.most_buy[kept], frame.most_sell[kept]
    fixed = np.zeros(len(kept), dtype=bool)
    patience = 2 * len(frame.rank) + 8
    while answer.x is not None and spent < seconds:
        lots = answer.x[: len(kept)]
        near = np.rint(lots)
        whole = (np.abs(lots - near) < 1e-6) & ((near == 0) | (np.abs(near) >= least))
        if whole.all():
            return root, near.astype(np.int64), spent
        open_columns = order[~(whole | fixed)[order]]
        if not len(open_columns):
            return root, None, spent
        i = int(open_columns[0])
        patience -= 1
        if patience < 0:
            # The remainder only moves on from one option to the next of its kind: hold all but finer ones.
            hold = np.flatnonzero(whole & ~fixed & (coarse > coarse[i] / 16.0))
            solver.set_bounds(hold, near[hold], near[hold])
            fixed[hold] = True
        down, up = allowed_neighbours(float(lots[i]), int(most_sell[i]), int(most_buy[i]), int(least[i]))
        tried: list[tuple[float, float, Answer]] = []
        for choice in dict.fromkeys((down, up) if lots[i] - down <= up - lots[i] else (up, down)):
            solver.set_bounds(np.array([i]), np.array([float(choice)]), np.array([float(choice)]))
            answer = solver.run()
            spent += answer.seconds
            if answer.x is not None:
                tried.append((answer.value, float(choice), answer))
        if not tried:
            break
        _, choice_kept, answer = min(tried, key=lambda t: t[0])
        solver.set_bounds(np.array([i]), np.array([choice_kept]), np.array([choice_kept]))
        fixed[i] = True
    return root, None, spent
