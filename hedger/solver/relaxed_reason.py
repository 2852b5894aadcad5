"""Why rows stay outside in a relaxed plan, and what would free each."""

from __future__ import annotations

import numpy as np

from hedger.solver.frame import Frame
from hedger.solver.hedge_problem import HedgeProblem
from hedger.solver.relaxation import Bound, Stage
from hedger.solver.trial import Trial

REASON = 620  # characters of a relaxed plan's reason, before it is said that the search stopped
SPARE = 12  # causes looked at per row: those that another row has named are not named again


def why_relaxed(
    problem: HedgeProblem, frame: Frame, trial: Trial, bound: Bound, coarse: bool, kept: int
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
    trial: Trial,
    bound: Bound,
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


def _what_holds(problem: HedgeProblem, frame: Frame, stage: Stage, row: int, above: bool) -> list[str]:
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
