"""The cheapest pair of one column, a perpetual, with each of many others: bounds in closed form."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hedger.solver.frame import INF, Frame, frame_of
from hedger.solver.hedge_problem import HedgeProblem
from pricing.universe import FloatArray, IntArray


def single_option_plans(
    problem: HedgeProblem, anchor: int, candidates: Sequence[int] | IntArray
) -> FloatArray:
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
    frame = frame_of(problem)
    chosen = np.asarray(candidates, dtype=np.int64)
    if not len(chosen):
        return np.zeros(0)
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
    least = np.full(len(good), INF)
    if not good.any():
        return least
    # few pairs are left where several rows are out; the rest is for those
    x_breaks, x_costs, effect = x_breaks[good], x_costs[good], effect[:, good]
    low, high = np.minimum(strict[0], strict[1])[good], np.maximum(strict[0], strict[1])[good]
    breaks, costs, best_y = _curve(frame, np.array([anchor]))
    y_breaks, y_costs = breaks[0], costs[0]

    # the others are lines y = intercept - slope x
    pulled = pull[~free][:, None]
    slope = effect[~free] / pulled
    ends = np.sort(np.stack([frame.need_lower[~free], frame.need_upper[~free]], axis=1) / pulled, axis=1)
    wide = (frame.tolerance[~free] / np.abs(pull[~free]))[:, None]
    lines = [(end, line) for line, pair in zip(slope, ends, strict=True) for end in pair if np.isfinite(end)]
    x = _tried(lines, x_breaks, y_breaks, low, high)
    y_low, y_high = np.full(x.shape, y_breaks[0]), np.full(x.shape, y_breaks[-1])
    loose_low, loose_high = y_low.copy(), y_high.copy()
    for line, (lower, upper), slack in zip(slope, ends, wide[:, 0], strict=True):
        shift = line[:, None] * x
        y_low, y_high = np.maximum(y_low, lower - shift), np.minimum(y_high, upper - shift)
        loose_low = np.maximum(loose_low, lower - slack - shift)
        loose_high = np.minimum(loose_high, upper + slack - shift)
    fits = loose_low <= loose_high
    y_low, y_high = np.minimum(y_low, y_high), np.maximum(y_low, y_high)
    # per side the cost is convex, so its least value on an interval is at its best point cut to the interval
    anchored = np.min([np.interp(np.clip(y, y_low, y_high), y_breaks, y_costs) for y in best_y[0]], axis=0)
    total = np.stack([np.interp(*row) for row in zip(x, x_breaks, x_costs, strict=True)]) + anchored
    least[good] = np.where(fits, total, INF).min(axis=1)
    return least


def _tried(
    lines: Sequence[tuple[float, FloatArray]],
    x_breaks: FloatArray,
    y_breaks: FloatArray,
    low: FloatArray,
    high: FloatArray,
) -> FloatArray:
    """Where the least cost of each of k pairs may lie, (k, points), between low and high, (k,).

    lines: end and slopes (k,) of each y = end - slope x.
    """
    points = [x_breaks, low[:, None], high[:, None]]
    with np.errstate(divide="ignore", invalid="ignore"):
        for at, (end, line) in enumerate(lines):
            points.append((end - y_breaks) / line[:, None])
            if at:
                other_ends = np.array([e for e, _ in lines[:at]])
                other_lines = np.stack([s for _, s in lines[:at]], axis=1)
                points.append((end - other_ends) / (line[:, None] - other_lines))
    x = np.hstack(points)
    return np.clip(np.where(np.isfinite(x), x, low[:, None]), low[:, None], high[:, None])


def _interval(
    lower: FloatArray, upper: FloatArray, effect: FloatArray, low: FloatArray, high: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Where low <= x <= high and lower <= effect x <= upper for all rows; effect (rows, k). Empty: low above
    high."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = np.sort(np.stack([lower[:, None] / effect, upper[:, None] / effect]), axis=0)
    idle = effect == 0.0
    never = (idle & ((lower > 0) | (upper < 0))[:, None]).any(axis=0)
    low = np.maximum(low, np.where(idle, -INF, ends[0]).max(axis=0, initial=-INF))
    high = np.minimum(high, np.where(idle, INF, ends[1]).min(axis=0, initial=INF))
    return np.where(never, INF, low), np.where(never, -INF, high)


def _curve(frame: Frame, chosen: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
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
