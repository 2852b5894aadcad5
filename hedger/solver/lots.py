"""Whole lots on the columns kept: near the relaxation, then better, then with slack in rows not to be met."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from hedger.solver.budget import Clock
from hedger.solver.frame import INF, Frame, Rounding
from hedger.solver.hedge_problem import HedgeProblem
from hedger.solver.highs import Outcome, Solver, dive, lot_point, lot_program, walks
from hedger.solver.lot_search import LotAnswer, lot_search, lot_search_by_parts
from hedger.solver.relaxation import Bound
from hedger.solver.scaling import power_of_two, row_scale
from hedger.solver.trial import Trial
from pricing.universe import BoolArray, FloatArray, IntArray

EXACT_COLUMNS = 12  # up to this many kept columns the lots are solved to proven optimality, not to the gap


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Best admissible lots, None when there are none; proven = nothing better exists on the kept columns
    (gap); floor: no lots of the kept columns have a lower value (-inf = not known); fallbacks: searches that
    HiGHS had to do."""

    best: Trial | None
    proven: bool
    seconds: float
    floor: float = -INF
    nodes: int = 0
    fallbacks: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Lots:
    """Whole lots on the kept columns. `gap`: what a search may leave, relative; 0 on few columns. `clock`:
    HiGHS', for all that is solved here and beside."""

    problem: HedgeProblem
    frame: Frame
    kept: IntArray
    gap: float
    bound: Bound
    clock: Clock = field(default_factory=Clock)

    @classmethod
    def on(
        cls,
        problem: HedgeProblem,
        frame: Frame,
        kept: IntArray,
        gap: float,
        bound: Bound,
        clock: Clock | None = None,
    ) -> Lots:
        exact = 0.0 if len(kept) <= EXACT_COLUMNS else gap
        return cls(problem, frame, kept, exact, bound, Clock() if clock is None else clock)

    def fits(self, trial: Trial, limits: FloatArray, ceiling: FloatArray) -> bool:
        """Whether a trial stays within the limits that its program had."""
        return trial.admissible(
            limits, np.where(ceiling > 0, ceiling + np.tile(self.frame.tolerance, 2), 0.0)
        )

    def near(self) -> Trial:
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
            _, lots, _ = dive(replace(program, cost=cost), rest, few, scale, INF, self.clock)
            if lots is not None:
                dived = base.copy()
                dived[few] = lots
                best = min(best, rounding.repaired(dived), key=rounding.excess)
        return Trial.of(problem, frame, best)

    def excess(self, trial: Trial) -> FloatArray:
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

    def key(self, trial: Trial) -> list[float]:
        """Small is better: the slack that counts, priority by priority, then the cost."""
        return [*self.excess(trial).tolist(), trial.cost]

    def steps(self) -> FloatArray:
        """(2m,) what the smallest trade of a kept column moves a row by; 0 where nothing does."""
        frame = self.frame
        step = np.abs(frame.per_unit[:, self.kept]) * (frame.lot * frame.least)[self.kept]
        least = np.where(step > 0, step, INF).min(axis=1, initial=INF)
        return np.tile(np.where(np.isfinite(least), least, 0.0), 2)

    def judge(self, lots: IntArray | FloatArray) -> Trial:
        every = np.zeros(len(self.frame.lot), dtype=np.int64)
        every[self.kept] = np.rint(lots)
        return Trial.of(self.problem, self.frame, every)

    def done(self, best: Trial, floor: float, stage: int) -> bool:
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
        start: Trial | None,
        known: float,
        blind: float,
        left: float,
        most: FloatArray | None = None,
    ) -> Found:
        """Best whole lots for one stage: our own search, then HiGHS where that found or proved too little.

        `limits` (P,) of the priorities' slack, `start` an admissible trial, `known` a bound from elsewhere;
        `left` solver seconds, of which `blind` as long as there is no trial at hand; `most` (2m,) slack of a
        single row.
        """
        ceiling = np.full(2 * len(self.frame.rank), INF) if most is None else most
        budget = blind if start is None else left
        # where everything is to be proven, HiGHS finishes what is not done by then
        share = 0.5 if self.gap == 0.0 else 0.7
        ours = self._ours(limits, stage, start, share * budget, ceiling)
        best, spent, nodes = start, 0.0, 0
        if ours is not None:
            spent, nodes = ours.seconds, ours.nodes
            stands = True
            if ours.lots is not None:
                trial = self.judge(ours.lots)
                stands = self.fits(trial, limits, ceiling)
                if stands and self._better(trial, best, stage):
                    best = trial
            floor = max(known, ours.bound)
            if stands and ours.sure and (ours.done or (best is not None and self.done(best, floor, stage))):
                return Found(best, True, spent, ours.bound, nodes)
            if stands and best is not None and self.gap > 0.0:
                return Found(best, False, spent, ours.bound if ours.sure else -INF, nodes)
        if best is None and stage == self.frame.ranks and not limits.any():
            near = self.near()
            best = None if near.slack.any() else near
        found = self._by_highs(
            limits, stage, best, known, max(blind - spent, 0.3 * blind), left - spent, ceiling
        )
        return replace(found, seconds=found.seconds + spent, nodes=nodes, fallbacks=1)

    def _ours(
        self, limits: FloatArray, stage: int, start: Trial | None, seconds: float, ceiling: FloatArray
    ) -> LotAnswer | None:
        """The search by our own branch and bound; None where it is not ours to do."""
        lots = None if start is None else start.lots[self.kept]
        if stage == self.frame.ranks and not limits.any():
            # half of the gap: the plan's is measured from the bound of all columns, not from the search's
            return lot_search_by_parts(self.frame, self.kept, lots, 0.5 * self.gap, seconds)
        known = None if start is None or lots is None else (lots, start.value(stage))
        return lot_search(self.frame, self.kept, limits, stage, ceiling, known, self.gap, seconds)

    def _meeting(
        self, limits: FloatArray, stage: int, found: Found, ceiling: FloatArray, left: float
    ) -> Found:
        """The same with rows met that fractions meet: all of them at once, else one after another.

        A search that stops at the gap may leave out a row that could be met; the sum of the priority's slack
        stays within the gap of its floor.
        """
        best, spent, proven, nodes = found.best, found.seconds, found.proven, found.nodes
        mine = np.tile(self.bound.met & (self.frame.rank == stage), 2)
        if self.gap == 0.0 or found.fallbacks or best is None or not best.over[mine].any():
            return found
        floor = min(found.floor, float(best.sums[stage]))
        out = np.flatnonzero(mine & (best.over > 0.0))
        tries = [mine, *(np.arange(len(mine)) == i for i in out)] if len(out) > 1 else [mine]
        for at, rows in enumerate(tries):
            within = limits.copy()
            within[stage] = max(best.sums[stage], floor * (1.0 + self.gap))
            hard = np.where(rows | (mine & (best.over == 0.0)), 0.0, ceiling)
            share = max(left - spent, 0.0) / (len(tries) - at)
            answer = lot_search(
                self.frame, self.kept, within, stage, hard, None, self.gap, share, first_only=True
            )
            if answer is None:
                continue
            spent, nodes = spent + answer.seconds, nodes + answer.nodes
            trial = None if answer.lots is None else self.judge(answer.lots)
            if trial is None or not self.fits(trial, within, hard):
                proven = proven and answer.done and answer.sure
            elif self.excess(trial)[stage] <= self.excess(best)[stage]:
                best = trial
                if not best.over[mine].any():
                    break
        return replace(found, best=best, proven=proven, seconds=spent, nodes=nodes)

    def _by_highs(
        self,
        limits: FloatArray,
        stage: int,
        start: Trial | None,
        known: float,
        blind: float,
        left: float,
        ceiling: FloatArray,
    ) -> Found:
        """The same by HiGHS: a dive for an early answer, then its branch and bound."""
        frame, scale = self.frame, row_scale(self.frame)
        cost = np.abs(frame.price) * frame.lot[frame.column]
        money = float(power_of_two(known if known > 0 else cost.max(initial=0.0)))
        program, levels, gated = lot_program(frame, self.kept, limits, stage, scale, money, ceiling)
        root, lots, spent = dive(program, frame, self.kept, scale, left, self.clock)
        if root.outcome is Outcome.infeasible:
            return Found(start, True, spent)
        best, floor = start, known if root.x is None else max(known, root.value)
        if lots is not None:
            trial = self.judge(lots)
            if self.fits(trial, limits, ceiling) and self._better(trial, best, stage):
                best = trial
        if best is not None and self.done(best, floor, stage):
            return Found(best, True, spent)
        if walks(frame, self.kept, limits, stage, ceiling):
            return Found(best, False, spent)
        budget = blind if best is None else left
        # A gap on the sum of a priority's slack would leave a row out that could be met.
        leave = self.gap if stage == frame.ranks else min(self.gap, 1e-6)
        for _ in range(5):
            point = None
            # On a few columns no start is given: where a limit holds at its edge, HiGHS 1.15 has returned the
            # start as the optimum although better lots existed.
            if best is not None and self.gap > 0.0:
                point = lot_point(program, frame, self.kept, levels, gated, best.lots, best.over)
            solver = Solver(program, whole=True, clock=self.clock)
            answer = solver.run(max(budget - spent, 0.01), leave, point)
            spent += answer.seconds
            if answer.x is None:
                return Found(best, answer.outcome is Outcome.infeasible, spent)
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
                return Found(best, True, spent)
            if budget == left:
                break
            budget = left  # the blind search saw something: use the rest of the time on it
        return Found(best, False, spent)

    def _better(self, trial: Trial, best: Trial | None, stage: int) -> bool:
        """Lower; slack by more than a search may leave, for less is not worth the rows that come after."""
        if best is None:
            return True
        if stage == self.frame.ranks or self.gap == 0.0:
            return trial.value(stage) < best.value(stage)
        return bool(self.excess(trial)[stage] < self.excess(best)[stage])

    def elastic(self, book: Trial, left: float) -> Found:
        """Lexicographic goals in whole lots: least slack of each priority in turn, then the cost.

        Starts from the LP's solution in whole lots, or from `book`, the trial of doing nothing, if that is
        better. On many columns a priority is done when its rows that fractions meet are met, and the slack of
        the others is within the gap of what fractions leave, or of the floor of the search: the last lot of
        slack is not worth what it takes to find, nor what it costs.
        """
        frame, last, goals = self.frame, self.frame.ranks, self.bound.goals
        # few columns are searched to the end: no start is needed
        best = book if self.gap == 0.0 else min(book, self.near(), key=self.key)
        proven, spent = True, 0.0
        nodes, fallbacks = 0, 0
        held, goal = np.tile(self.bound.met, 2), goals * (1.0 + self.gap)
        if self.gap > 0.0:
            best, spent = self._good_everywhere(best, held, goal, left)
        limits, ceiling = np.full(last, INF), np.full(len(held), INF)
        # as long as every priority before is as good as fractions make it, fractions bound this one, too
        tight = True
        for stage in range(last + 1):
            share = max(left - spent, 0.02 * left) / (last + 1 - stage)
            found = Found(best, True, 0.0)
            if stage == last:
                least = float(np.minimum(frame.price, 0.0) @ frame.size)  # whatever is traded
                open_yet = best.cost > least
            else:
                open_yet = self.excess(best)[stage] > 0.0
                open_yet = open_yet and not (tight and self.done(best, float(goals[stage]), stage))
            if open_yet:
                known = 0.0 if stage < last else -INF
                found = self.search(limits, stage, best, known, share, share, ceiling)
                if stage < last:
                    found = self._meeting(limits, stage, found, ceiling, share)
            spent, proven = spent + found.seconds, proven and found.proven
            nodes, fallbacks = nodes + found.nodes, fallbacks + found.fallbacks
            best = found.best or best
            if stage < last:
                tight = tight and self.done(best, float(goals[stage]), stage)
                limits[stage] = best.sums[stage]
                if self.gap > 0.0:
                    floor = min(found.floor, float(best.sums[stage]))
                    limits[stage] = max(best.sums[stage], goal[stage], floor * (1.0 + self.gap))
                    mine = held & (np.tile(frame.rank, 2) == stage)
                    ceiling[mine] = best.over[mine]
        if self.gap == 0.0 and not proven:
            best = min(best, self.near(), key=self.key)
        return Found(best, proven, spent, nodes=nodes, fallbacks=fallbacks)

    def _good_everywhere(
        self, best: Trial, held: BoolArray, goal: FloatArray, left: float
    ) -> tuple[Trial, float]:
        """A plan good in all rows at once, should the time end amid the goals, and the seconds it took: first
        with the rows that can be met held, then with each a lot out, then with more slack everywhere."""
        frame, steps, scale = self.frame, self.steps(), row_scale(self.frame)
        out = np.bincount(frame.rank, (steps / np.tile(frame.weight, 2) * held)[: len(frame.rank)])
        free = np.full(len(held), INF)
        spent = 0.0
        for limits, ceiling in (
            (goal, np.where(held, 0.0, INF)),
            (goal + out, np.where(held, steps, INF)),
            *((goal + allowance * (1.0 + goal), free) for allowance in (0.01, 0.1, 1.0)),
        ):
            if self.fits(best, limits, ceiling) or spent >= left:
                break
            program, _, _ = lot_program(frame, self.kept, limits, frame.ranks, scale, 1.0, ceiling)
            _, lots, seconds = dive(program, frame, self.kept, scale, left - spent, self.clock)
            spent += seconds
            if lots is not None:
                best = min(best, self.judge(lots), key=self.key)
                break
        return best, spent
