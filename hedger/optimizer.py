"""The cheapest trades that bring every exposure row back inside its required interval, with the proof.

The optimizer knows rows (exposures) and columns (instruments with a price ladder per side), not Greeks:

    min  sum of ladder costs(x) + fixed costs    s.t.  lower <= exposure + per_unit x <= upper,
    x whole lots, 0 or at least the minimum size, within the caps and the displayed size of one side.

First the LP over all columns in fractions of a lot: its optimum bounds the cost of every plan from below and
prices the rows. Then whole lots on that solution's columns and those nearest to entering it. When no plan
meets all rows, elastic goals in priority order. Pure: no clock but the solver's own, no randomness. Theory:
shared design, section 4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike

from hedger.highs import (
    INF,
    Answer,
    Bools,
    Floats,
    Frame,
    Ints,
    Outcome,
    Solver,
    dive,
    level_program,
    limit_ceiling,
    lot_point,
    lot_program,
    power_of_two,
    row_scale,
    stage_cost,
)

PRIORITIES: Mapping[str, int] = {"delta": 0, "gamma": 1, "vega": 2}  # a row's name before ":"; the rest 3
EXACT_COLUMNS = 12  # up to this many kept columns the lots are solved to proven optimality, not to the gap


@dataclass(frozen=True, slots=True, eq=False)
class Ladder:
    """What trading one listing costs: levels per side, cheapest first; empty arrays = that side is not
    available.

    sizes in the column's unit, finite, >= 0; costs in USD per unit over the reference price, fees included,
    finite, non-decreasing. Raises ValueError otherwise.

    >>> Ladder([1.0, 2.0], [0.5, 0.7], [], []).buy_size
    array([1., 2.])
    """

    buy_size: Floats
    buy_cost: Floats
    sell_size: Floats
    sell_cost: Floats

    def __post_init__(self) -> None:
        for side in ("buy", "sell"):
            size = _array(self, f"{side}_size", None)
            cost = _array(self, f"{side}_cost", None)
            if size.shape != cost.shape:
                raise ValueError(f"LADDER: {side} side has {size.size} sizes, {cost.size} costs: one each")
            if not (np.isfinite(size).all() and (size >= 0).all()):
                raise ValueError(f"LADDER: {side}_size {size.tolist()}: allowed are finite numbers >= 0")
            if not (np.isfinite(cost).all() and (cost[1:] >= cost[:-1]).all()):
                raise ValueError(f"LADDER: {side}_cost {cost.tolist()}: allowed are finite, rising numbers")


@dataclass(frozen=True, slots=True, eq=False)
class HedgeProblem:
    """Rows to bring inside [lower, upper] and the columns to do it with. m rows, n columns.

    exposure (m,) where the book stands, in the row's unit; lower, upper (m,) the required interval (+-inf =
    open); per_unit (m, n) what one unit of a column adds to a row; ladders n; lot, min_size, max_buy,
    max_sell (n,) in the column's unit (a cap of inf = the displayed size alone); priority (m,) integers,
    small first, None = by row name; fixed_cost in USD if the column is traded at all, one number or (n,).
    Raises ValueError on NaN, wrong shapes, lower > upper, lot <= 0, negative sizes, caps or fixed costs.
    """

    rows: Sequence[str]
    exposure: Floats
    lower: Floats
    upper: Floats
    columns: Sequence[str]
    per_unit: Floats
    ladders: Sequence[Ladder]
    lot: Floats
    min_size: Floats
    max_buy: Floats
    max_sell: Floats
    priority: Ints | None = None
    fixed_cost: Floats | float = 0.0

    def __post_init__(self) -> None:
        for name in ("rows", "columns", "ladders"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        m, n = len(self.rows), len(self.columns)
        if len(self.ladders) != n:
            raise ValueError(f"PROBLEM: {len(self.ladders)} ladders for {n} columns; one each")
        if np.ndim(self.fixed_cost) == 0:
            object.__setattr__(self, "fixed_cost", [self.fixed_cost] * n)
        for name in ("exposure", "lower", "upper"):
            _array(self, name, (m,), self.rows)
        for name in ("lot", "min_size", "max_buy", "max_sell", "fixed_cost"):
            values = _array(self, name, (n,), self.columns)
            _require(values >= 0, name, values, self.columns, "numbers >= 0")
        per_unit = _array(self, "per_unit", (m, n))
        if not np.isfinite(per_unit).all():
            g, i = np.argwhere(~np.isfinite(per_unit))[0]
            raise ValueError(
                f"PROBLEM: per_unit of {self.columns[i]} on {self.rows[g]} is {per_unit[g, i]}:"
                " allowed are finite numbers"
            )
        _require(np.isfinite(self.exposure), "exposure", self.exposure, self.rows, "finite numbers")
        _require(self.lower < INF, "lower", self.lower, self.rows, "numbers below inf")
        _require(self.upper > -INF, "upper", self.upper, self.rows, "numbers above -inf")
        _require(self.lower <= self.upper, "lower", self.lower, self.rows, "numbers <= upper")
        _require((self.lot > 0) & (self.lot < INF), "lot", self.lot, self.columns, "finite numbers > 0")
        _require(self.min_size < INF, "min_size", self.min_size, self.columns, "finite numbers")
        fixed = np.asarray(self.fixed_cost)
        _require(fixed < INF, "fixed_cost", fixed, self.columns, "finite numbers")
        if self.priority is None:
            ranks: ArrayLike = [PRIORITIES.get(row.split(":", 1)[0], 3) for row in self.rows]
        else:
            ranks = self.priority
            if np.shape(ranks) != (m,) or not np.equal(np.asarray(ranks), np.rint(ranks)).all():
                raise ValueError(f"PROBLEM: priority {ranks}: allowed are {m} integers, one per row")
        priority = np.array(ranks, dtype=np.int64)
        priority.flags.writeable = False
        object.__setattr__(self, "priority", priority)


class Status(StrEnum):
    """How a plan ended."""

    optimal = "optimal"  # every row inside; proven on the kept columns, or within the gap of the LP bound
    no_trade = "no_trade"  # every row is inside already
    relaxed = "relaxed"  # no plan meets every row: `slack` and `reason` say which
    time_limit = "time_limit"  # every row inside, but the search stopped with a gap above the one asked for


@dataclass(frozen=True, slots=True)
class SolverSettings:
    """time_limit_s: solver seconds for the lots; gap: relative, of cost to bound; columns: kept for the
    lots."""

    time_limit_s: float = 1.0
    gap: float = 1e-3
    columns: int = 60

    def __post_init__(self) -> None:
        if not (self.time_limit_s > 0 and self.gap >= 0 and self.columns >= 1):
            raise ValueError(f"SETTINGS: {self}: allowed are time_limit_s > 0, gap >= 0, columns >= 1")


DEFAULTS = SolverSettings()


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """The trades and their certificate. m rows, n columns.

    quantity (n,) signed, in the column's unit; cost USD; lower_bound USD: no plan that leaves the same slack
    costs less, whatever lots or columns; exposure_after (m,); shadow_price (m,) >= 0: USD the bound falls
    per unit outward move of the binding side; slack (m,) >= 0 outside the required interval; binding (m,) -1
    lower, 0, +1 upper; gap = (cost - lower_bound) / |cost|; kept: indices of the columns the lots were
    solved on; reason: one text; timings: the solver's own seconds per stage (not reproducible: leave them
    out of digests).
    """

    quantity: Floats
    cost: float
    lower_bound: float
    exposure_after: Floats
    shadow_price: Floats
    slack: Floats
    status: Status
    binding: np.ndarray[tuple[int], np.dtype[np.int8]]
    gap: float
    kept: Ints
    reason: str
    timings: Mapping[str, float]


def solve(problem: HedgeProblem, settings: SolverSettings = DEFAULTS) -> Plan:
    """The cheapest plan in whole lots that ends inside every required interval, with its LP bound.

    A row counts as met when missed by less than 1e-9 of the farthest required move (see `_frame`). When no
    plan meets all rows, the summed slack of the first priority's rows is minimised (in interval widths, see
    `_frame`), kept, then the next priority's, and at last the cost. Raises RuntimeError when the solver
    fails.
    """
    frame = _frame(problem)
    book = _Trial.of(problem, frame, np.zeros(len(problem.columns), dtype=np.int64))
    if not book.slack.any():
        return _no_trade(problem)
    bound = _relax(frame)
    seconds = {"lp": bound.seconds, "lots": 0.0, "elastic": 0.0}
    limit = left = settings.time_limit_s
    found: _Found | None = None
    kept = narrow = _keep(problem, frame, bound, settings.columns)
    if not bound.slack.any():
        # Wider when the kept columns have no plan in whole lots. As long as there is none at hand, a try gets
        # half of the time, and two fifths of the limit stay in reserve for relaxing rows.
        for width in dict.fromkeys((settings.columns, 4 * settings.columns, len(problem.columns))):
            kept = _keep(problem, frame, bound, width)
            blind = 0.5 * max(left - 0.4 * limit, 0.1 * limit)
            lots = _Lots.on(problem, frame, kept, settings.gap)
            found = lots.search(np.zeros(frame.ranks), frame.ranks, None, bound.value, blind, left)
            seconds["lots"] += found.seconds
            left = max(left - found.seconds, 0.05 * limit)
            if found.best is not None or len(kept) >= len(problem.columns):
                break
    if found is None or found.best is None:
        coarse = found is None or found.proven
        kept = kept if coarse else narrow  # where time is short, few columns give the better answer
        found = _Lots.on(problem, frame, kept, settings.gap).elastic(bound.goals, book, left)
        coarse = coarse and found.proven
        seconds["elastic"] = found.seconds
        first = bound
        assert found.best is not None  # doing nothing is always a trial
        # The bound of a relaxed plan: the LP with the rows as wide as the plan leaves them.
        over = found.best.over.reshape(2, -1)
        below, above = np.where(over > 0, over + frame.tolerance, 0.0)
        bound = _relax(
            replace(frame, need_lower=frame.need_lower - below, need_upper=frame.need_upper + above)
        )
        seconds["lp"] += bound.seconds
        if over.any():
            reason = _why_relaxed(problem, frame, found.best, first, coarse)
            if not found.proven:
                reason += f"; the search stopped after {settings.time_limit_s:g} s: a better plan may exist"
            return _plan(problem, found.best, bound, Status.relaxed, kept, reason, seconds)
    trial = found.best
    assert trial is not None
    gap = _gap(trial.cost, min(bound.value, trial.cost))
    done = found.proven or gap <= settings.gap
    spread = f"{len(kept)} of {len(problem.columns)} columns, {gap:.2%} above the bound of all columns"
    reason = (
        f"cheapest plan in whole lots on {spread}"
        if done
        else f"best plan found in {settings.time_limit_s:g} s on {spread}; a cheaper one may exist"
    )
    return _plan(problem, trial, bound, Status.optimal if done else Status.time_limit, kept, reason, seconds)


def _array(owner: object, name: str, shape: tuple[int, ...] | None, labels: Sequence[str] = ()) -> Floats:
    """Replace a field by its read-only float64 copy; shape None = any length."""
    try:
        values = np.array(getattr(owner, name), dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"PROBLEM: {name} is not an array of numbers: {error}") from None
    if values.ndim != 1 if shape is None else values.shape != shape:
        raise ValueError(f"PROBLEM: {name} has shape {values.shape}: allowed is {shape or '(levels,)'}")
    if labels:
        _require(~np.isnan(values), name, values, labels, "numbers, not NaN")
    values.flags.writeable = False
    object.__setattr__(owner, name, values)
    return values


def _require(good: Bools, name: str, values: Floats, labels: Sequence[str], allowed: str) -> None:
    if not good.all():
        at = int(np.argmin(good))
        raise ValueError(f"PROBLEM: {name} of {labels[at]} is {values[at]}: allowed are {allowed}")


def _frame(problem: HedgeProblem) -> Frame:
    """The problem measured from where the book stands, with its tolerances and weights.

    Tolerance of a row: 1e-9 of the farthest finite end of its interval from where it stands, plus what
    rounding can do to sums (1e-10 of the largest single lot's effect, 1e-14 of the row's own magnitude).
    Weight of a row (one unit of slack): the width of its interval, because widths are what the desk finds
    equally bearable; where the interval is open or a point, the farthest required move instead (and
    where that is 0, the largest single lot's effect).
    """
    need_lower, need_upper = problem.lower - problem.exposure, problem.upper - problem.exposure
    ends = np.abs([need_lower, need_upper, problem.exposure, problem.lower, problem.upper])
    ends[~np.isfinite(ends)] = 0.0
    farthest = ends[:2].max(axis=0, initial=0.0)
    lot_effect = (np.abs(problem.per_unit) * problem.lot).max(axis=1, initial=0.0)
    tolerance = 1e-9 * farthest + 1e-10 * lot_effect + 1e-14 * ends.max(axis=0, initial=0.0)
    move = np.where(farthest > 0, farthest, np.where(lot_effect > 0, lot_effect, 1.0))
    width = problem.upper - problem.lower
    rank = np.unique(np.asarray(problem.priority), return_inverse=True)[1]
    ladders = problem.ladders
    sides = [
        _levels(
            [ladder.buy_size for ladder in ladders], [ladder.buy_cost for ladder in ladders], problem.max_buy
        ),
        _levels(
            [ladder.sell_size for ladder in ladders],
            [ladder.sell_cost for ladder in ladders],
            problem.max_sell,
        ),
    ]
    column, size, before, price = (np.concatenate(parts) for parts in zip(*sides, strict=True))
    cap = np.stack([np.bincount(c, s, minlength=len(ladders)) for c, s, _, _ in sides])
    cap = np.minimum(cap, [problem.max_buy, problem.max_sell])
    least = np.maximum(np.ceil(problem.min_size / problem.lot * (1 - 1e-12) - 1e-9), 1).astype(np.int64)
    most_lots = np.floor(cap / problem.lot * (1 + 1e-12) + 1e-9).astype(np.int64)
    most_lots[most_lots < least] = 0
    return Frame(
        per_unit=problem.per_unit,
        need_lower=need_lower,
        need_upper=need_upper,
        tolerance=np.where(tolerance > 0, tolerance, 1e-9),
        weight=np.where(np.isfinite(width) & (width >= 1e-6 * move), width, move),
        rank=rank.astype(np.int64),
        column=column,
        sign=np.repeat([1.0, -1.0], [len(c) for c, _, _, _ in sides]),
        size=size,
        before=before,
        price=price,
        lot=problem.lot,
        most_buy=most_lots[0],
        most_sell=most_lots[1],
        cap_buy=cap[0],
        cap_sell=cap[1],
        least=least,
        fixed=np.asarray(problem.fixed_cost),
    )


def _levels(
    sizes: Sequence[Floats], costs: Sequence[Floats], most: Floats
) -> tuple[Ints, Floats, Floats, Floats]:
    """One side of all ladders, cut at the caps `most` (n,): column, size, size before, price of each level
    left."""
    counts = np.array([size.size for size in sizes], dtype=np.int64)
    shape = (len(counts), int(counts.max(initial=0)))
    there = np.arange(shape[1]) < counts[:, None]
    grid, price = np.zeros(shape), np.zeros(shape)
    if there.any():
        grid[there], price[there] = np.concatenate(sizes), np.concatenate(costs)
    ends = np.minimum(np.cumsum(grid, axis=1), most[:, None])
    starts = np.concatenate([np.zeros((shape[0], 1)), ends], axis=1)[:, :-1] if shape[1] else ends
    used = there & (ends > starts)
    return np.nonzero(used)[0], (ends - starts)[used], starts[used], price[used]


@dataclass(frozen=True, slots=True, eq=False)
class _Trial:
    """Whole lots judged in plain arithmetic: what the solver says about them does not count."""

    lots: Ints
    quantity: Floats
    after: Floats
    over: Floats  # (2m,) beyond the lower, then the upper end; 0 within the tolerance
    sums: Floats  # (P,) weighted slack per priority
    cost: float

    @property
    def slack(self) -> Floats:
        return np.asarray(self.over.reshape(2, -1).max(axis=0, initial=0.0))

    @classmethod
    def of(cls, problem: HedgeProblem, frame: Frame, lots: Ints) -> _Trial:
        # 3 lots of 0.1 are 0.30000000000000004: never more than is displayed
        quantity = np.clip(lots * frame.lot, -frame.cap_sell, frame.cap_buy) + 0.0
        after = problem.exposure + problem.per_unit @ quantity
        over = np.concatenate([problem.lower - after, after - problem.upper])
        over = np.where(over > np.tile(frame.tolerance, 2), over, 0.0)
        sums = np.bincount(np.tile(frame.rank, 2), over / np.tile(frame.weight, 2), minlength=1)
        side = np.maximum(frame.sign * quantity[frame.column], 0.0)
        cost = np.clip(side - frame.before, 0.0, frame.size) @ frame.price + frame.fixed[lots != 0].sum()
        return cls(lots, quantity, after, over, np.asarray(sums, dtype=float), float(cost))

    def admissible(self, limits: Floats) -> bool:
        return bool((self.sums <= np.where(limits > 0, limit_ceiling(limits), 0.0)).all())

    def value(self, stage: int) -> float:
        return self.cost if stage == len(self.sums) else float(self.sums[stage])


@dataclass(frozen=True, slots=True, eq=False)
class _Stage:
    """Duals of one LP: what a row's end is worth, what a level is worth, and which levels are full."""

    dual: Floats  # (m,) objective per row unit; > 0 the lower end holds, < 0 the upper
    reduced: Floats  # (L,) objective per unit of the column
    fill: Floats  # (L,) in the column's unit


@dataclass(frozen=True, slots=True, eq=False)
class _Bound:
    """The LP over all columns: certificate, duals, and the slack it could not avoid."""

    value: float
    last: _Stage
    stages: tuple[_Stage, ...]  # one per priority when rows had to be relaxed
    slack: Floats  # (m,)
    goals: Floats  # (P,) the weighted slack of each priority
    seconds: float


def _relax(frame: Frame) -> _Bound:
    """The LP over all columns; when no plan meets all rows, the least slack priority by priority, then the
    cost."""
    limits = np.zeros(frame.ranks)
    program, unit = level_program(frame, limits, frame.ranks)
    solver = Solver(program)
    answer = solver.run()
    seconds = answer.seconds
    levels, m = len(frame.column), len(frame.rank)
    scale = row_scale(frame)
    stages: list[_Stage] = []

    def stage(answer: Answer, worth: Floats, price: Floats) -> _Stage:
        assert answer.x is not None
        dual = answer.dual[:m] * worth
        dual = np.where(np.isfinite(np.where(dual > 0, frame.need_lower, frame.need_upper)), dual, 0.0)
        reduced = price - frame.sign * (dual @ frame.per_unit)[frame.column]
        return _Stage(dual, reduced, answer.x[:levels] * unit)

    if answer.outcome is not Outcome.solved:
        open_sides = np.where(np.isfinite(np.concatenate([frame.need_lower, frame.need_upper])), INF, 0.0)
        solver.set_bounds(np.arange(levels, levels + 2 * m), np.zeros(2 * m), open_sides)
        for rank in range(frame.ranks):
            solver.set_limit(m + rank, INF)
        for rank in range(frame.ranks):
            solver.set_cost(stage_cost(frame, rank, np.zeros(levels)))
            answer = _must(solver.run())
            seconds += answer.seconds
            assert answer.x is not None
            stages.append(stage(answer, 1.0 / scale, np.zeros(levels)))
            limits[rank] = answer.x[levels:] @ np.tile(frame.rank == rank, 2)
            solver.set_limit(m + rank, float(limit_ceiling(limits)[rank]))
        solver.set_cost(stage_cost(frame, frame.ranks, frame.price * unit / program.unit))
        answer = solver.run()
        seconds += answer.seconds
    answer = _must(answer)
    assert answer.x is not None
    last = stage(answer, program.unit / scale, frame.price)
    over = answer.x[levels:].reshape(2, m).max(axis=0, initial=0.0) * frame.weight
    slack = np.where(over > frame.tolerance, over, 0.0)
    return _Bound(_certificate(frame, last), last, tuple(stages), slack, limits, seconds)


def _must(answer: Answer) -> Answer:
    if answer.outcome is not Outcome.solved:
        raise RuntimeError(f"SOLVER: a program that has a solution ended {answer.outcome}; no plan was made")
    return answer


def _certificate(frame: Frame, stage: _Stage) -> float:
    """USD that no plan undercuts: the Lagrangian bound of the row prices. It holds for any prices, so it
    does not rest on the solver's word; at the optimum's prices it equals the LP's cost.
    """
    ends = np.where(stage.dual > 0, frame.need_lower, frame.need_upper)
    used = stage.dual != 0
    return float(stage.dual[used] @ ends[used] + np.minimum(stage.reduced, 0.0) @ frame.size)


def _keep(problem: HedgeProblem, frame: Frame, bound: _Bound, count: int) -> Ints:
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
    return np.array(sorted(order[: max(count, len(used))]), dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """Best admissible lots, None when there are none; proven = nothing better exists on the kept columns
    (gap)."""

    best: _Trial | None
    proven: bool
    seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class _Lots:
    """Whole lots on the kept columns. `gap`: what a search may leave, relative; for slack also absolute, in
    interval widths; 0 on few columns.
    """

    problem: HedgeProblem
    frame: Frame
    kept: Ints
    gap: float

    @classmethod
    def on(cls, problem: HedgeProblem, frame: Frame, kept: Ints, gap: float) -> _Lots:
        return cls(problem, frame, kept, 0.0 if len(kept) <= EXACT_COLUMNS else gap)

    def judge(self, lots: Ints | Floats) -> _Trial:
        every = np.zeros(len(self.frame.lot), dtype=np.int64)
        every[self.kept] = np.rint(lots)
        return _Trial.of(self.problem, self.frame, every)

    def leave(self, value: float, stage: int) -> float:
        """How far above a bound a stage's value may stay."""
        relative, absolute = max(self.gap, 1e-9), 0.0 if stage == self.frame.ranks else max(self.gap, 1e-9)
        return relative * abs(value) + absolute

    def search(
        self, limits: Floats, stage: int, start: _Trial | None, known: float, blind: float, left: float
    ) -> _Found:
        """Best whole lots for one stage: a dive for an early answer, then branch and bound for the time left.

        `limits` (P,) of the priorities' slack, `start` an admissible trial, `known` a bound from elsewhere;
        `left` solver seconds, of which `blind` as long as there is no trial at hand.
        """
        frame, scale = self.frame, row_scale(self.frame)
        cost = np.abs(frame.price) * frame.lot[frame.column]
        money = float(power_of_two(known if known > 0 else cost.max(initial=0.0)))
        program, levels, gated = lot_program(frame, self.kept, limits, stage, scale, money)
        root, lots, spent = dive(program, frame, self.kept, scale, left)
        if root.outcome is Outcome.infeasible:
            return _Found(start, True, spent)
        best, floor = start, known if root.x is None else max(known, root.value)
        for trial in () if lots is None else (self.judge(lots),):
            if trial.admissible(limits) and self._better(trial, best, stage):
                best = trial
        if best is not None and best.value(stage) - floor <= self.leave(best.value(stage), stage):
            return _Found(best, True, spent)
        budget = blind if best is None else left
        for _ in range(5):
            point = None
            if best is not None:
                point = lot_point(program, frame, self.kept, levels, gated, best.lots, best.over)
            answer = Solver(program, whole=True).run(max(budget - spent, 0.01), self.gap, point)
            spent += answer.seconds
            if answer.x is None:
                return _Found(best, answer.outcome is Outcome.infeasible, spent)
            trial = self.judge(answer.x[: len(self.kept)])
            if not trial.admissible(limits):
                # The solver took lots that miss a row by its tolerance. Stretch that row instead of narrowing
                # it: a miss of 1e-8 then counts, and an optimum exactly on the edge stays.
                scale = np.where(trial.slack > 0, scale / 1024.0, scale)
                program, levels, gated = lot_program(frame, self.kept, limits, stage, scale, money)
                continue
            if self._better(trial, best, stage):
                best = trial
            if answer.outcome is Outcome.solved:
                return _Found(best, True, spent)
            if budget == left:
                break
            budget = left  # the blind search saw something: use the rest of the time on it
        return _Found(best, False, spent)

    def _better(self, trial: _Trial, best: _Trial | None, stage: int) -> bool:
        """Lower; slack by more than a search may leave, for less is not worth the rows that come after."""
        if best is None:
            return True
        margin = 0.0 if stage == self.frame.ranks or self.gap == 0.0 else self.leave(best.value(stage), stage)
        return trial.value(stage) < best.value(stage) - margin

    def elastic(self, goals: Floats, book: _Trial, left: float) -> _Found:
        """Lexicographic goals in whole lots: least slack of each priority in turn, then the cost.

        `goals` (P,) the slack that fractions of a lot reach, `book` the trial of doing nothing.
        """
        frame, last = self.frame, self.frame.ranks
        best, proven, spent = book, True, 0.0
        if self.gap > 0.0:
            # An early answer that is good in all rows at once, should the time end amid the goals.
            for allowance in (0.01, 0.1, 1.0):
                scale, limits = row_scale(frame), goals + allowance * (1.0 + goals)
                program, _, _ = lot_program(frame, self.kept, limits, last, scale, 1.0)
                _, lots, seconds = dive(program, frame, self.kept, scale, left)
                spent += seconds
                if lots is not None:
                    trial = self.judge(lots)
                    best = trial if trial.sums.tolist() < book.sums.tolist() else book
                    break
        limits = np.full(last, INF)
        for stage in range(last + 1):
            share = max(left - spent, 0.02 * left) / (last + 1 - stage)
            found = _Found(best, True, 0.0)
            if stage == last or best.sums[stage] > 0.0:
                found = self.search(limits, stage, best, 0.0 if stage < last else -INF, share, share)
            spent, proven = spent + found.seconds, proven and found.proven
            best = found.best or best
            if stage < last:
                limits[stage] = best.sums[stage]
        return _Found(best, proven, spent)


def _gap(cost: float, bound: float) -> float:
    return max(cost - bound, 0.0) / max(abs(cost), 1e-12)


def _plan(
    problem: HedgeProblem,
    trial: _Trial,
    bound: _Bound,
    status: Status,
    kept: Ints,
    reason: str,
    seconds: Mapping[str, float],
) -> Plan:
    low = min(bound.value, trial.cost)  # rounding and the row tolerance may put the bound 1e-9 above
    return Plan(
        quantity=trial.quantity,
        cost=trial.cost,
        lower_bound=low,
        exposure_after=trial.after,
        shadow_price=np.abs(bound.last.dual),
        slack=trial.slack,
        status=status,
        binding=-np.sign(bound.last.dual).astype(np.int8),
        gap=_gap(trial.cost, low),
        kept=kept,
        reason=reason,
        timings=dict(seconds),
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


def _why_relaxed(problem: HedgeProblem, frame: Frame, trial: _Trial, bound: _Bound, coarse: bool) -> str:
    """Which rows stay outside, by how much, and what would free each. `bound` is the LP of the rows as asked;
    coarse = whole lots are proven to have no plan where fractions have one.
    """
    parts = []
    for g in np.flatnonzero(trial.slack > 0).tolist():
        above = trial.over[len(problem.rows) + g] > 0
        end, word = (problem.upper[g], "upper") if above else (problem.lower[g], "lower")
        wanted = -1.0 if above else 1.0
        text = f"{problem.rows[g]} ends at {trial.after[g]:.6g}, {trial.slack[g]:.6g} beyond its {word} end"
        text += f" {end:.6g}: "
        helps = frame.per_unit[g, frame.column] * frame.sign * wanted > 0
        if not helps.any():
            parts.append(text + ("no column moves this row " + ("down" if above else "up")))
        elif bound.slack[g] > 0:
            parts.append(text + _what_holds(problem, frame, bound.stages[int(frame.rank[g])], g))
        else:
            can = np.where(frame.sign > 0, frame.most_buy[frame.column], frame.most_sell[frame.column]) > 0
            steps = np.abs(frame.per_unit[g, frame.column]) * (frame.lot * frame.least)[frame.column]
            usable = np.flatnonzero(helps & can)
            if not usable.size:
                text += "no column that moves it has one minimum trade displayed and allowed"
                parts.append(text)
                continue
            finest = usable[np.argmin(steps[usable])]
            name = problem.columns[frame.column[finest]]
            text += "lots are too coarse" if coarse else "no plan in whole lots was found in the time given"
            text += " (in fractions of a lot it would be met):"
            text += f" the finest trade of a column that helps, {name}, moves it by {steps[finest]:.6g};"
            text += f" finer lots, or an interval wider by {trial.slack[g]:.6g}, would free it"
            parts.append(text)
    return "; ".join(parts)


def _what_holds(problem: HedgeProblem, frame: Frame, stage: _Stage, row: int) -> str:
    """Columns at their end and rows that are in the way, with what one more unit of each would take off the
    slack."""
    weight = frame.weight[row]
    total = np.zeros((2, len(problem.columns)))
    side = np.where(frame.sign > 0, 0, 1)
    np.add.at(total, (side, frame.column), stage.fill)
    cap = np.stack([frame.cap_buy, frame.cap_sell])
    full = (total >= cap * (1 - 1e-9))[side, frame.column] & (stage.reduced < 0)
    last = full & (frame.before + frame.size >= cap[side, frame.column] * (1 - 1e-9))
    worth = -stage.reduced * weight
    texts = []
    relief = worth * cap[side, frame.column]  # what as much again would take off
    for level in sorted(np.flatnonzero(last), key=lambda at: -relief[at])[:3]:
        i, buys = frame.column[level], frame.sign[level] > 0
        limit = problem.max_buy[i] if buys else problem.max_sell[i]
        ladder = problem.ladders[i]
        shown = float((ladder.buy_size if buys else ladder.sell_size).sum())
        what = f"its cap {limit:.6g}" if limit < shown else f"its displayed size {shown:.6g}"
        texts.append(
            f"{'buying' if buys else 'selling'} {problem.columns[i]} is at {what}"
            f" (one unit more takes off {worth[level]:.6g})"
        )
    for g in np.flatnonzero(stage.dual).tolist():
        if g != row and frame.rank[g] < frame.rank[row]:
            end = "lower" if stage.dual[g] > 0 else "upper"
            gain = abs(stage.dual[g]) * weight
            texts.append(
                f"the {end} end of {problem.rows[g]} is in the way (a unit wider takes off {gain:.6g})"
            )
    return ", ".join(texts) or "rows of the same priority share what the columns can give"


def single_option_plans(problem: HedgeProblem, anchor: int, candidates: Sequence[int] | Ints) -> Floats:
    """Least cost (USD) of meeting every row with column `anchor` and one candidate alone, in fractions of a
    lot.

    anchor: index of a column, say the perp; candidates: k indices of other columns. Returns (k,); inf where
    the pair cannot meet the rows. Minimum sizes and fixed costs are left out: these are bounds for the
    pair's plans.

    With x of the candidate, the rows confine the anchor's y to [low(x), high(x)], piecewise linear in x, and
    both costs are piecewise linear. So the least cost lies where x is at an end, at a ladder's break, where
    two of the anchor's row lines cross, or where such a line crosses a break of the anchor's ladder; all of
    these are tried.
    """
    frame = _frame(problem)
    chosen = np.asarray(candidates, dtype=np.int64)
    k = len(chosen)
    if not k:
        return np.zeros(0)
    breaks, costs, best_y = _curve(frame, np.array([anchor]))
    y_breaks, y_costs = breaks[0], costs[0]
    x_breaks, x_costs, _ = _curve(frame, chosen)
    effect, pull = frame.per_unit[:, chosen], frame.per_unit[:, anchor]
    free = pull == 0.0

    # rows that the anchor does not move confine x by themselves
    x_low, x_high = x_breaks[:, 0], x_breaks[:, -1]
    strict = _interval(frame.need_lower[free], frame.need_upper[free], effect[free], x_low, x_high)
    wide = frame.tolerance[free]
    loose = _interval(
        frame.need_lower[free] - wide, frame.need_upper[free] + wide, effect[free], x_low, x_high
    )
    good = loose[0] <= loose[1]
    low = np.where(good, np.minimum(strict[0], strict[1]), 0.0)
    high = np.where(good, np.maximum(strict[0], strict[1]), 0.0)

    # the others are lines y = intercept - slope x
    pulled = pull[~free][:, None]
    slope = effect[~free] / pulled
    ends = np.sort(np.stack([frame.need_lower[~free], frame.need_upper[~free]], axis=1) / pulled, axis=1)
    wide = (frame.tolerance[~free] / np.abs(pull[~free]))[:, None]
    lines = [(end, line) for line, pair in zip(slope, ends, strict=True) for end in pair if np.isfinite(end)]
    points = [x_breaks, low[:, None], high[:, None]]
    with np.errstate(divide="ignore", invalid="ignore"):
        for at, (end, line) in enumerate(lines):
            points.append((end - y_breaks) / line[:, None])
            if at:
                other_ends = np.array([e for e, _ in lines[:at]])
                other_lines = np.stack([s for _, s in lines[:at]], axis=1)
                points.append((end - other_ends) / (line[:, None] - other_lines))
    x = np.hstack(points)
    x = np.clip(np.where(np.isfinite(x), x, low[:, None]), low[:, None], high[:, None])  # (k, points)

    y_low, y_high = np.full(x.shape, y_breaks[0]), np.full(x.shape, y_breaks[-1])
    loose_low, loose_high = y_low.copy(), y_high.copy()
    for line, (lower, upper), slack in zip(slope, ends, wide[:, 0], strict=True):
        shift = line[:, None] * x
        y_low, y_high = np.maximum(y_low, lower - shift), np.minimum(y_high, upper - shift)
        loose_low = np.maximum(loose_low, lower - slack - shift)
        loose_high = np.minimum(loose_high, upper + slack - shift)
    fits = (loose_low <= loose_high) & good[:, None]
    y_low, y_high = np.minimum(y_low, y_high), np.maximum(y_low, y_high)
    # per side the cost is convex, so its least value on an interval is at its best point cut to the interval
    anchored = np.min([np.interp(np.clip(y, y_low, y_high), y_breaks, y_costs) for y in best_y[0]], axis=0)
    total = np.stack([np.interp(x[i], x_breaks[i], x_costs[i]) for i in range(k)]) + anchored
    return np.asarray(np.where(fits, total, INF).min(axis=1))


def _interval(
    lower: Floats, upper: Floats, effect: Floats, low: Floats, high: Floats
) -> tuple[Floats, Floats]:
    """Where low <= x <= high and lower <= effect x <= upper for all rows; effect (rows, k). Empty: low above
    high."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = np.sort(np.stack([lower[:, None] / effect, upper[:, None] / effect]), axis=0)
    idle = effect == 0.0
    never = (idle & ((lower > 0) | (upper < 0))[:, None]).any(axis=0)
    low = np.maximum(low, np.where(idle, -INF, ends[0]).max(axis=0, initial=-INF))
    high = np.minimum(high, np.where(idle, INF, ends[1]).min(axis=0, initial=INF))
    return np.where(never, INF, low), np.where(never, -INF, high)


def _curve(frame: Frame, chosen: Ints) -> tuple[Floats, Floats, Floats]:
    """Cost of signed quantities of the chosen columns: breaks (k, b) ascending, cost at them (k, b), and the
    quantity of least cost on the sell and on the buy side (k, 2). Rows are padded with their end points.
    """
    k = len(chosen)
    place = np.full(len(frame.lot), -1)
    place[chosen] = np.arange(k)
    halves = []
    for direction in (-1.0, 1.0):
        levels = np.flatnonzero((place[frame.column] >= 0) & (frame.sign == direction))
        owner = place[frame.column[levels]]
        counts = np.bincount(owner, minlength=k)
        size = np.zeros((k, int(counts.max(initial=0))))
        price = np.zeros_like(size)
        order = np.argsort(owner, kind="stable")
        rank = np.arange(len(levels)) - np.repeat(np.cumsum(counts) - counts, counts)
        size[owner[order], rank] = frame.size[levels][order]
        price[owner[order], rank] = frame.price[levels][order]
        zero = np.zeros((k, 1))
        quantity = np.hstack([zero, np.cumsum(size, axis=1)])
        halves.append((quantity, np.hstack([zero, np.cumsum(size * price, axis=1)])))
    (sold, sell_cost), (bought, buy_cost) = halves
    each = np.arange(k)
    best = np.stack([-sold[each, sell_cost.argmin(axis=1)], bought[each, buy_cost.argmin(axis=1)]], axis=1)
    breaks = np.hstack([-sold[:, :0:-1], bought])
    return breaks, np.hstack([sell_cost[:, :0:-1], buy_cost]), best
