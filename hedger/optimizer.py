"""The cheapest trades that bring every exposure row back inside its required interval, with the proof.

The optimizer knows rows (exposures) and columns (instruments with a price ladder per side), not Greeks:

    min  sum of ladder costs(x) + fixed costs    s.t.  lower <= exposure + per_unit x <= upper,
    x whole lots, 0 or at least the minimum size, within the caps and the displayed size of one side.

First the LP over all columns in fractions of a lot: its optimum bounds the cost of every plan from below and
prices the rows. Its solution in whole lots, repaired in plain arithmetic, is the plan at hand whatever the
clock does. Then better lots on that solution's columns and those nearest to entering it. When no plan meets
all rows, elastic goals in priority order. Pure: no clock but the solver's own, no randomness.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from hedger.frame import INF, Frame, Rounding, frame_of
from hedger.hedge_problem import (
    DEFAULTS,
    HedgeProblem,
    Ladder,
    Plan,
    SolverSettings,
    Status,
)
from hedger.highs import (
    Answer,
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
from pricing.universe import BoolArray, FloatArray, IntArray

__all__ = ["HedgeProblem", "Ladder", "Plan", "SolverSettings", "Status", "solve"]

REASON = 620  # characters of a relaxed plan's reason, before it is said that the search stopped
SPARE = 12  # causes looked at per row: those that another row has named are not named again
EXACT_COLUMNS = 12  # up to this many kept columns the lots are solved to proven optimality, not to the gap


def solve(problem: HedgeProblem, settings: SolverSettings = DEFAULTS) -> Plan:
    """The cheapest plan in whole lots that ends inside every required interval, with its LP bound.

    A row counts as met when missed by less than 1e-9 of the farthest required move (see `frame_of`). When no
    plan meets all rows, the summed slack of the first priority's rows is minimised (in interval widths, see
    `frame_of`), kept, then the next priority's, and at last the cost. On more than EXACT_COLUMNS columns
    a priority is done when the rows that fractions of a lot meet are met and the others' slack is within the
    gap of what fractions leave. Raises RuntimeError when the solver fails.
    """
    frame = frame_of(problem)
    book = _Trial.of(problem, frame, np.zeros(len(problem.columns), dtype=np.int64))
    if not book.slack.any():
        return _no_trade(problem)
    loose = settings.gap if len(problem.columns) > EXACT_COLUMNS else 0.0
    bound = _relax(frame, loose)
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
            lots = _Lots.on(problem, frame, kept, settings.gap, bound)
            near = lots.near()
            start = None if near.slack.any() else near
            found = lots.search(np.zeros(frame.ranks), frame.ranks, start, bound.value, blind, left)
            seconds["lots"] += found.seconds
            left = max(left - found.seconds, 0.05 * limit)
            if found.best is not None or len(kept) >= len(problem.columns):
                break
    if found is None or found.best is None:
        coarse = found is None or found.proven
        kept = kept if coarse else narrow  # where time is short, few columns give the better answer
        found = _Lots.on(problem, frame, kept, settings.gap, bound).elastic(book, left)
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
            reason = _why_relaxed(problem, frame, found.best, first, coarse, len(kept))
            if not coarse:
                reason += f"; the search stopped after {settings.time_limit_s:g} s: a better plan may exist"
            return _plan(problem, found.best, bound, Status.relaxed, kept, reason, seconds)
    trial = found.best
    assert trial is not None
    gap = _gap(trial.cost, min(bound.value, trial.cost))
    done = found.proven or gap <= settings.gap
    spread = f"{len(kept)} of {len(problem.columns)} columns"
    spread += f", {gap:.2%} of the cost is above the bound of all columns"
    reason = (
        f"cheapest plan in whole lots on {spread}"
        if done
        else f"best plan found in {settings.time_limit_s:g} s on {spread}; a cheaper one may exist"
    )
    return _plan(problem, trial, bound, Status.optimal if done else Status.time_limit, kept, reason, seconds)


@dataclass(frozen=True, slots=True, eq=False)
class _Trial:
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
    def of(cls, problem: HedgeProblem, frame: Frame, lots: IntArray) -> _Trial:
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


@dataclass(frozen=True, slots=True, eq=False)
class _Stage:
    """Duals of one LP: what a row's end is worth, what a level is worth, and which levels are full."""

    dual: FloatArray  # (m,) objective per row unit; > 0 the lower end holds, < 0 the upper
    reduced: FloatArray  # (L,) objective per unit of the column
    fill: FloatArray  # (L,) in the column's unit


@dataclass(frozen=True, slots=True, eq=False)
class _Bound:
    """The LP over all columns: certificate, duals, and the slack it could not avoid."""

    value: float
    last: _Stage
    stages: tuple[_Stage, ...]  # one per priority when rows had to be relaxed
    slack: FloatArray  # (m,)
    met: BoolArray  # (m,) no slack but what the tolerance on a priority's sum lets through
    goals: FloatArray  # (P,) the weighted slack of each priority
    seconds: float


def _relax(frame: Frame, loose: float = 0.0) -> _Bound:
    """The LP over all columns; when no plan meets all rows, the least slack priority by priority, then the
    cost: `last` at slacks up to half of `loose` above the least, relative, in the rows that have any.
    """
    limits = np.zeros(frame.ranks)
    program, unit = level_program(frame, limits, frame.ranks)
    solver = Solver(program)
    answer = solver.run()
    seconds = answer.seconds
    levels, m = len(frame.column), len(frame.rank)
    scale = row_scale(frame)
    stages: list[_Stage] = []

    def stage(answer: Answer, worth: FloatArray, price: FloatArray) -> _Stage:
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
    over = answer.x[levels:].reshape(2, m).max(axis=0, initial=0.0) * frame.weight
    slack = np.where(over > frame.tolerance, over, 0.0)
    met = slack <= 1e-7 * (1.0 + limits[frame.rank]) * frame.weight
    if stages and loose > 0.0:
        held = np.flatnonzero(np.tile(met, 2))
        solver.set_bounds(levels + held, np.zeros(len(held)), answer.x[levels + held])
        for rank in range(frame.ranks):
            limit = limits * (1.0 + 0.5 * loose)
            solver.set_limit(m + rank, float(limit_ceiling(limit)[rank]))
        cheaper = solver.run()
        seconds += cheaper.seconds
        answer = cheaper if cheaper.outcome is Outcome.solved else answer
    last = stage(answer, program.unit / scale, frame.price)
    return _Bound(_certificate(frame, last), last, tuple(stages), slack, met, limits, seconds)


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


def _keep(problem: HedgeProblem, frame: Frame, bound: _Bound, count: int) -> IntArray:
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


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """Best admissible lots, None when there are none; proven = nothing better exists on the kept columns
    (gap)."""

    best: _Trial | None
    proven: bool
    seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class _Lots:
    """Whole lots on the kept columns. `gap`: what a search may leave, relative; 0 on few columns."""

    problem: HedgeProblem
    frame: Frame
    kept: IntArray
    gap: float
    bound: _Bound

    @classmethod
    def on(cls, problem: HedgeProblem, frame: Frame, kept: IntArray, gap: float, bound: _Bound) -> _Lots:
        return cls(problem, frame, kept, 0.0 if len(kept) <= EXACT_COLUMNS else gap, bound)

    def fits(self, trial: _Trial, limits: FloatArray, ceiling: FloatArray) -> bool:
        """Whether a trial stays within the limits that its program had."""
        return trial.admissible(
            limits, np.where(ceiling > 0, ceiling + np.tile(self.frame.tolerance, 2), 0.0)
        )

    def near(self) -> _Trial:
        """The LP's solution in whole lots, repaired: no search and no clock.

        Where plain arithmetic leaves slack, a dive over the few columns that the LP holds in parts and those
        that repair them; all others stay as they are.
        """
        frame, problem, last = self.frame, self.problem, self.bound.last
        rounding = Rounding.of(
            frame, self.kept, last.fill, self.bound.goals * (1.0 + self.gap), self.bound.met
        )
        best = rounding.best()
        few, base = rounding.columns, rounding.cut()
        base[few] = 0
        moved = frame.per_unit @ (base * frame.lot)
        rest = replace(frame, need_lower=frame.need_lower - moved, need_upper=frame.need_upper - moved)
        scale, free = row_scale(frame), np.full(frame.ranks, INF)
        slacks = np.tile(100.0 ** (frame.ranks - 1.0 - frame.rank), 2)
        for share in (1e-3, 1e-6):  # how much the cost, in shares of the LP's, weighs beside the slack
            if not (any(rounding.excess(best)) and len(few)):
                break
            money = float(power_of_two(abs(last.fill @ frame.price) / share))
            program, _, _ = lot_program(rest, few, free, frame.ranks, scale, money)
            cost = np.concatenate([program.cost[: -len(slacks)], slacks])
            _, lots, _ = dive(replace(program, cost=cost), rest, few, scale, INF)
            if lots is not None:
                dived = base.copy()
                dived[few] = lots
                best = min(best, rounding.repaired(dived), key=rounding.excess)
        return _Trial.of(problem, frame, best)

    def excess(self, trial: _Trial) -> FloatArray:
        """(P,) slack that counts: all of it when exact; else that of rows that could be met, and of the
        others what is above the LP's by more than the gap.
        """
        if self.gap == 0.0:
            return trial.sums
        held = np.bincount(
            self.frame.rank, trial.slack / self.frame.weight * self.bound.met, minlength=self.frame.ranks
        )
        free = trial.sums - held - self.bound.goals * (1.0 + self.gap)
        return np.asarray((held + np.maximum(free, 0.0)).round(7))

    def key(self, trial: _Trial) -> list[float]:
        """Small is better: the slack that counts, priority by priority, then the cost."""
        return [*self.excess(trial).tolist(), trial.cost]

    def steps(self) -> FloatArray:
        """(2m,) what the smallest trade of a kept column moves a row by; 0 where nothing does."""
        frame = self.frame
        step = np.abs(frame.per_unit[:, self.kept]) * (frame.lot * frame.least)[self.kept]
        least = np.where(step > 0, step, INF).min(axis=1, initial=INF)
        return np.tile(np.where(np.isfinite(least), least, 0.0), 2)

    def judge(self, lots: IntArray | FloatArray) -> _Trial:
        every = np.zeros(len(self.frame.lot), dtype=np.int64)
        every[self.kept] = np.rint(lots)
        return _Trial.of(self.problem, self.frame, every)

    def done(self, best: _Trial, floor: float, stage: int) -> bool:
        """Whether a stage's value is as near to its bound as asked."""
        value = best.value(stage)
        if self.gap > 0.0 and stage < self.frame.ranks and not self.excess(best)[stage]:
            return True
        natural = abs(value) if stage == self.frame.ranks or self.gap > 0.0 else 1.0 + abs(value)
        relative = self.gap if stage == self.frame.ranks else 0.0
        return value - floor <= max(relative, 1e-9) * natural

    def search(
        self,
        limits: FloatArray,
        stage: int,
        start: _Trial | None,
        known: float,
        blind: float,
        left: float,
        most: FloatArray | None = None,
    ) -> _Found:
        """Best whole lots for one stage: a dive for an early answer, then branch and bound for the time left.

        `limits` (P,) of the priorities' slack, `start` an admissible trial, `known` a bound from elsewhere;
        `left` solver seconds, of which `blind` as long as there is no trial at hand; `most` (2m,) slack of a
        single row.
        """
        ceiling = np.full(2 * len(self.frame.rank), INF) if most is None else most
        frame, scale = self.frame, row_scale(self.frame)
        cost = np.abs(frame.price) * frame.lot[frame.column]
        money = float(power_of_two(known if known > 0 else cost.max(initial=0.0)))
        program, levels, gated = lot_program(frame, self.kept, limits, stage, scale, money, ceiling)
        root, lots, spent = dive(program, frame, self.kept, scale, left)
        if root.outcome is Outcome.infeasible:
            return _Found(start, True, spent)
        best, floor = start, known if root.x is None else max(known, root.value)
        if lots is not None:
            trial = self.judge(lots)
            if self.fits(trial, limits, ceiling) and self._better(trial, best, stage):
                best = trial
        if best is not None and self.done(best, floor, stage):
            return _Found(best, True, spent)
        budget = blind if best is None else left
        # A gap on the sum of a priority's slack would leave a row out that could be met.
        leave = self.gap if stage == frame.ranks else min(self.gap, 1e-6)
        for _ in range(5):
            point = None
            # On a few columns no start is given: where a limit holds at its edge, HiGHS 1.15 has returned the
            # start as the optimum although better lots existed.
            if best is not None and self.gap > 0.0:
                point = lot_point(program, frame, self.kept, levels, gated, best.lots, best.over)
            answer = Solver(program, whole=True).run(max(budget - spent, 0.01), leave, point)
            spent += answer.seconds
            if answer.x is None:
                return _Found(best, answer.outcome is Outcome.infeasible, spent)
            trial = self.judge(answer.x[: len(self.kept)])
            if not self.fits(trial, limits, ceiling):
                # The solver took lots that miss a row by its tolerance. Stretch that row instead of narrowing
                # it: a miss of 1e-8 then counts, and an optimum exactly on the edge stays.
                scale = np.where(trial.slack > 0, scale / 1024.0, scale)
                program, levels, gated = lot_program(frame, self.kept, limits, stage, scale, money, ceiling)
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
        if stage == self.frame.ranks or self.gap == 0.0:
            return trial.value(stage) < best.value(stage)
        return bool(self.excess(trial)[stage] < self.excess(best)[stage])

    def elastic(self, book: _Trial, left: float) -> _Found:
        """Lexicographic goals in whole lots: least slack of each priority in turn, then the cost.

        Starts from the LP's solution in whole lots, or from `book`, the trial of doing nothing, if that is
        better. On many columns a priority is done when its rows that fractions meet are met, and the slack of
        the others is within the gap of what fractions leave.
        """
        frame, last, goals = self.frame, self.frame.ranks, self.bound.goals
        best, proven, spent = min(book, self.near(), key=self.key), True, 0.0
        held, goal = np.tile(self.bound.met, 2), goals * (1.0 + self.gap)
        if self.gap > 0.0:
            # Good in all rows at once, should the time end amid the goals: first with the rows that can be
            # met held, then with each of them a lot out, then with more slack everywhere.
            steps = self.steps()
            out = np.bincount(frame.rank, (steps / np.tile(frame.weight, 2) * held)[: len(frame.rank)])
            free = np.full(len(held), INF)
            for limits, ceiling in (
                (goal, np.where(held, 0.0, INF)),
                (goal + out, np.where(held, steps, INF)),
                *((goal + allowance * (1.0 + goal), free) for allowance in (0.01, 0.1, 1.0)),
            ):
                if self.fits(best, limits, ceiling) or spent >= left:
                    break
                scale = row_scale(frame)
                program, _, _ = lot_program(frame, self.kept, limits, last, scale, 1.0, ceiling)
                _, lots, seconds = dive(program, frame, self.kept, scale, left - spent)
                spent += seconds
                if lots is not None:
                    best = min(best, self.judge(lots), key=self.key)
                    break
        limits, ceiling = np.full(last, INF), np.full(len(held), INF)
        for stage in range(last + 1):
            share = max(left - spent, 0.02 * left) / (last + 1 - stage)
            found = _Found(best, True, 0.0)
            if stage == last or self.excess(best)[stage] > 0.0:
                known = 0.0 if stage < last else -INF
                found = self.search(limits, stage, best, known, share, share, ceiling)
            spent, proven = spent + found.seconds, proven and found.proven
            best = found.best or best
            if stage < last:
                limits[stage] = best.sums[stage]
                if self.gap > 0.0:
                    limits[stage] = max(best.sums[stage], goal[stage])
                    mine = held & (np.tile(frame.rank, 2) == stage)
                    ceiling[mine] = best.over[mine]
        return _Found(best, proven, spent)


def _gap(cost: float, bound: float) -> float:
    return max(cost - bound, 0.0) / max(abs(cost), 1e-12)


def _plan(
    problem: HedgeProblem,
    trial: _Trial,
    bound: _Bound,
    status: Status,
    kept: IntArray,
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


def _why_relaxed(
    problem: HedgeProblem, frame: Frame, trial: _Trial, bound: _Bound, coarse: bool, kept: int
) -> str:
    """Which rows stay outside, by how much, and what would free each: the first by priority, then by size.
    `bound` is the LP of the rows as asked; coarse = whole lots of the `kept` columns are proven to have no
    plan where fractions have one.
    """
    out = np.flatnonzero(trial.slack > 0)
    out = out[np.lexsort((-(trial.slack / frame.weight)[out], frame.rank[out]))]
    text = ""
    for rows, columns in ((4, 3), (4, 2), (4, 1), (3, 1), (2, 1), (1, 1)):
        said: set[str] = set()
        parts = [
            _why_row(problem, frame, trial, bound, coarse, kept, g, columns, said)
            for g in out[:rows].tolist()
        ]
        more = len(out) - len(parts)
        text = "; ".join(parts) + (f"; and {more} more row{'s' if more > 1 else ''}" if more else "")
        if len(text) <= REASON:
            break
    return text


def _why_row(
    problem: HedgeProblem,
    frame: Frame,
    trial: _Trial,
    bound: _Bound,
    coarse: bool,
    kept: int,
    g: int,
    columns: int,
    said: set[str],
) -> str:
    """One row of `_why_relaxed`; `said`: the causes named so far, which are not named again."""
    above = trial.over[len(problem.rows) + g] > 0
    end, word = (problem.upper[g], "upper") if above else (problem.lower[g], "lower")
    text = f"{problem.rows[g]} ends at {trial.after[g]:.6g}, {trial.slack[g]:.6g} beyond its {word} end"
    text += f" {end:.6g}"
    helps = frame.per_unit[g, frame.column] * frame.sign * (-1.0 if above else 1.0) > 0
    if not helps.any():
        return f"{text}: no column moves this row {'down' if above else 'up'}"
    if not bound.met[g]:
        causes = _what_holds(problem, frame, bound.stages[int(frame.rank[g])], g, above)
        names = [cause.split(" is ")[0] for cause in causes]
        new = [at for at, name in enumerate(names) if name not in said][:columns]
        said.update(names[at] for at in new)
        if new:
            return f"{text}: " + ", ".join(causes[at] for at in new)
        return text + (
            ", held by the same" if causes else ": rows of the same priority share what the columns can give"
        )
    can = np.where(frame.sign > 0, frame.most_buy[frame.column], frame.most_sell[frame.column]) > 0
    usable = np.flatnonzero(helps & can)
    if not usable.size:
        return f"{text}: no column that moves it has one minimum trade displayed and allowed"
    if not coarse:
        return f"{text}: the search stopped before it was met"
    steps = np.abs(frame.per_unit[g, frame.column]) * (frame.lot * frame.least)[frame.column]
    finest = usable[np.argmin(steps[usable])]
    name = problem.columns[frame.column[finest]]
    tried = f" on the {kept} columns tried" if kept < len(problem.columns) else ""
    text += f": lots are too coarse{tried}, the finest that helps, {name}, moves it by {steps[finest]:.6g};"
    return f"{text} finer lots or {trial.slack[g]:.6g} of width would free it"


def _underlying(row: str) -> str:
    """The part of a row's name that says whose it is."""
    return row.split(":")[1] if ":" in row else row


def _what_holds(problem: HedgeProblem, frame: Frame, stage: _Stage, row: int, above: bool) -> list[str]:
    """Columns that would bring the row back and are at their end, and rows of its underlying that are in the
    way, with what one more unit of each would take off the slack; the weightiest first.
    """
    weight = frame.weight[row]
    total = np.zeros((2, len(problem.columns)))
    side = np.where(frame.sign > 0, 0, 1)
    np.add.at(total, (side, frame.column), stage.fill)
    cap = np.stack([frame.cap_buy, frame.cap_sell])
    full = (total >= cap * (1 - 1e-9))[side, frame.column] & (stage.reduced < 0)
    full &= frame.before + frame.size >= cap[side, frame.column] * (1 - 1e-9)
    full &= frame.per_unit[row, frame.column] * frame.sign * (-1.0 if above else 1.0) > 0
    worth = -stage.reduced * weight
    relief = worth * cap[side, frame.column]  # what as much again would take off
    causes = []
    for level in sorted(np.flatnonzero(full), key=lambda at: -relief[at])[:SPARE]:
        i, buys = frame.column[level], frame.sign[level] > 0
        limit = problem.max_buy[i] if buys else problem.max_sell[i]
        ladder = problem.ladders[i]
        shown = float((ladder.buy_size if buys else ladder.sell_size).sum())
        what = f"its cap {limit:.6g}" if limit < shown else f"its displayed size {shown:.6g}"
        text = f"{'buying' if buys else 'selling'} {problem.columns[i]} is at {what}"
        causes.append((relief[level], f"{text} (one unit more takes off {worth[level]:.4g})"))
    mine = np.array([_underlying(name) == _underlying(problem.rows[row]) for name in problem.rows])
    for g in np.flatnonzero((stage.dual != 0) & mine & (frame.rank < frame.rank[row])).tolist():
        end, gain = "lower" if stage.dual[g] > 0 else "upper", abs(stage.dual[g]) * weight
        text = f"the {end} end of {problem.rows[g]} is in the way (a unit wider takes off {gain:.4g})"
        causes.append((gain * frame.weight[g], text))
    return [text for _, text in sorted(causes, key=lambda cause: -cause[0])]
