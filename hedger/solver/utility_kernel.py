"""The loops of `hedger.solver.utility`: an active-set method for piecewise-linear costs and a sum of squares.

    min  sum_j cost_j(x_j) + sum_g penalty_g dist(activity_g, [lower_g, upper_g]) + 1/2 |value + P x|^2

over boxed x, activity = A x. cost_j is convex and piecewise linear: `knot` and `slope` of all columns lie in
one array, those of column j from first[j] to first[j + 1] - 1 (as many slopes as segments; the last entry of
`slope` is not used).

Method: columns strictly inside a segment and free to move are the basis, rows held at an end are active; all
other columns rest at a knot. With the basis at its optimum, the column (or active row) whose one-sided
derivative is worst moves, the basis following along, until the exact minimum on that line, which may lie
some knots further on: segments are changed on the way. What blocks the line leaves the basis or becomes
active. This is the primal active-set method for convex quadratic programs (Nocedal and Wright, Numerical
Optimization, 2nd ed., 16.5) with knots in place of bounds, so that a ladder of any number of levels is one
variable. The basis never has more members than factors and active rows together, which is why thousands of
columns are fast.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import types
from numpy.typing import NDArray

from pricing.compiled import compiled, record

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
FlagArray = NDArray[np.bool_]

# What `descend` returns.
SOLVED = 0
STOPPED = 1  # too many steps

#: Curvature of a direction below this (columns have norm 1) is none: the direction is followed to a knot.
CURVATURE_MIN = 1e-11
#: A component of a step below this share of its length is rounding.
DUST = 1e-11
#: Steps without a move after which the tolerance of the derivative grows, so that no circle is walked twice.
STALLED = 200


@compiled("(f8[:, ::1], i8[::1], i8)")
def factorise(matrix: FloatArray, order: IntArray, size: int) -> int:
    """LU with partial pivoting of the leading (size, size) block, in place.

    Returns -1, or the first column that depends on those before it.
    """
    for c in range(size):
        best, at = 0.0, c
        for r in range(c, size):
            if abs(matrix[r, c]) > best:
                best, at = abs(matrix[r, c]), r
        order[c] = at
        if best < 1e-14:
            return c
        if at != c:
            for j in range(size):
                matrix[c, j], matrix[at, j] = matrix[at, j], matrix[c, j]
        inverse = 1.0 / matrix[c, c]
        for r in range(c + 1, size):
            if matrix[r, c] != 0.0:
                share = matrix[r, c] * inverse
                matrix[r, c] = share
                for j in range(c + 1, size):
                    matrix[r, j] -= share * matrix[c, j]
    return -1


@compiled("(i8[::1], i8, i8)")
def remove(members: IntArray, count: int, place: int) -> None:
    """Take one of the first `count` members out, keeping the order of the others."""
    for a in range(place, count - 1):
        members[a] = members[a + 1]


@compiled("(f8[:, ::1], f8[::1], i8[::1], i8)")
def solve_factorised(matrix: FloatArray, right: FloatArray, order: IntArray, size: int) -> None:
    """The solution in place of the right-hand side."""
    for c in range(size):
        if order[c] != c:
            right[c], right[order[c]] = right[order[c]], right[c]
    for r in range(1, size):
        total = right[r]
        for j in range(r):
            total -= matrix[r, j] * right[j]
        right[r] = total
    for r in range(size - 1, -1, -1):
        total = right[r]
        for j in range(r + 1, size):
            total -= matrix[r, j] * right[j]
        right[r] = total / matrix[r, r]


@compiled("(f8[:, ::1], f8[::1], f8[::1], i8, f8[::1])")
def refresh(effect: FloatArray, value: FloatArray, x: FloatArray, k: int, total: FloatArray) -> None:
    """total (k + m) = factors value + P x, then activities A x; effect (n, k + m)."""
    for f in range(total.size):
        total[f] = value[f] if f < k else 0.0
    for j in range(x.size):
        if x[j] != 0.0:
            for f in range(total.size):
                total[f] += effect[j, f] * x[j]


class Terms(NamedTuple):
    """What is minimised: n columns, k factors, m rows. Columns with a factor effect have norm 1 there."""

    effect: FloatArray  # (n, k + m) of a column on factors and rows
    by_row: FloatArray  # (k + m, n) the same
    first: IntArray  # (n + 1,) where a column's knots begin
    knot: FloatArray
    slope: FloatArray
    value: FloatArray  # (k,)
    lower: FloatArray  # (m,)
    upper: FloatArray  # (m,)
    penalty: FloatArray  # (m,)


class State(NamedTuple):
    """How far the method has come; all of it is changed in place but `fixed`."""

    fixed: FlagArray  # (n,) columns that must not move
    x: FloatArray  # (n,)
    at: IntArray  # (n,) knot, or left knot of the segment where `inside`
    inside: FlagArray  # (n,)
    basis: IntArray  # columns, the first counts[0] of it
    active: IntArray  # rows held at an end, the first counts[1] of it
    side: IntArray  # (m,) at which end: -1 or 1
    counts: IntArray  # members of basis, of active, steps done, members dropped: they depended on others
    total: FloatArray  # (k + m,) factors and activities
    price: FloatArray  # (m,) the rows' derivatives at the optimum


TERMS = record(
    Terms,
    {
        "effect": "f8[:, ::1]",
        "by_row": "f8[:, ::1]",
        "first": "i8[::1]",
        "knot": "f8[::1]",
        "slope": "f8[::1]",
        "value": "f8[::1]",
        "lower": "f8[::1]",
        "upper": "f8[::1]",
        "penalty": "f8[::1]",
    },
)
STATE = record(
    State,
    {
        "fixed": "b1[::1]",
        "x": "f8[::1]",
        "at": "i8[::1]",
        "inside": "b1[::1]",
        "basis": "i8[::1]",
        "active": "i8[::1]",
        "side": "i8[::1]",
        "counts": "i8[::1]",
        "total": "f8[::1]",
        "price": "f8[::1]",
    },
)


@compiled((TERMS, STATE, types.float64, types.int64))
def descend(terms: Terms, state: State, tolerance: float, most: int) -> int:
    """Go to the optimum from any x, in at most so many steps; the state is kept for more of them."""
    effect, by_row, first, knot, slope, value, lower, upper, penalty = terms
    fixed, x, at, inside, basis, active, side, counts, total, price = state
    n, k, rows = x.size, value.size, lower.size
    cap = basis.size + rows
    matrix = np.empty((cap, cap))
    newton, edge = np.empty(cap), np.empty(cap)
    order = np.empty(cap, dtype=np.int64)
    moving = np.empty(basis.size + 1, dtype=np.int64)
    step = np.empty(basis.size + 1)
    change = np.empty(k + rows)
    pull = np.empty(n)
    weight = np.empty(k + rows)
    held = np.zeros(rows, dtype=np.bool_)
    ahead = np.empty(rows, dtype=np.int64)
    based = np.empty(n, dtype=np.bool_)
    refresh(effect, value, x, k, total)
    dirty, stalled, polished = True, 0, False
    limit = tolerance
    for done in range(most):
        counts[2] += 1
        if done % 64 == 63:
            refresh(effect, value, x, k, total)
        nb, nr = counts[0], counts[1]
        size = nb + nr
        # what pulls every column: factors, and rows outside their interval
        for f in range(k):
            weight[f] = total[f]
        for g in range(rows):
            held[g] = False
        for r in range(nr):
            held[active[r]] = True
        for g in range(rows):
            price[g] = 0.0
            if not held[g]:
                room = 1e-12 * (1.0 + abs(total[k + g]))
                if total[k + g] < lower[g] - room:
                    price[g] = -penalty[g]
                elif total[k + g] > upper[g] + room:
                    price[g] = penalty[g]
            weight[k + g] = price[g]
        # the system of the basis and the active rows
        for a in range(nb):
            i = basis[a]
            for b in range(a + 1):
                dot = 0.0
                for f in range(k):
                    dot += effect[i, f] * effect[basis[b], f]
                matrix[a, b] = dot
                matrix[b, a] = dot
            for r in range(nr):
                matrix[a, nb + r] = effect[i, k + active[r]]
                matrix[nb + r, a] = matrix[a, nb + r]
            dot = slope[at[i]]
            for f in range(k + rows):
                dot += effect[i, f] * weight[f]
            newton[a] = -dot
        for r in range(nr):
            for q in range(nr):
                matrix[nb + r, nb + q] = 0.0
            g = active[r]
            newton[nb + r] = (lower[g] if side[g] < 0 else upper[g]) - total[k + g]
        if size > 0:
            bad = factorise(matrix, order, size)
            if bad >= 0:
                # Degenerate: who depends on the others leaves; a column rests where it is, a row is let go.
                if bad < nb:
                    remove(basis, nb, bad)
                    counts[0] -= 1
                else:
                    remove(active, nr, bad - nb)
                    counts[1] -= 1
                counts[3] += 1
                dirty = True
                continue
            solve_factorised(matrix, newton, order, size)
        entering, leaving_row, direction, worst = -1, -1, 1.0, limit
        if dirty and nb > 0:
            for a in range(nb):
                moving[a], step[a] = basis[a], newton[a]
            count = nb
            derivative = (
                0.0  # along the step, of everything but the active rows: -(step' H step) at first order
            )
            for a in range(nb):
                i = basis[a]
                dot = slope[at[i]]
                for f in range(k + rows):
                    dot += effect[i, f] * weight[f]
                derivative += dot * step[a]
        else:
            for r in range(nr):
                price[active[r]] = newton[nb + r]
                weight[k + active[r]] = newton[nb + r]
            for j in range(n):
                pull[j] = 0.0
            for f in range(k + rows):
                w = weight[f]
                if w != 0.0:
                    for j in range(n):
                        pull[j] += w * by_row[f, j]
            based[:] = fixed
            for a in range(nb):
                based[basis[a]] = True
            for j in range(n):
                if based[j]:
                    continue
                t = at[j]
                if inside[j]:
                    up, down = slope[t] + pull[j], slope[t] + pull[j]
                else:
                    up = slope[t] + pull[j] if t < first[j + 1] - 1 else np.inf
                    down = slope[t - 1] + pull[j] if t > first[j] else -np.inf
                if -up > worst:
                    worst, entering, direction = -up, j, 1.0
                if down > worst:
                    worst, entering, direction = down, j, -1.0
            for r in range(nr):
                g = active[r]
                low = -penalty[g] if side[g] < 0 or lower[g] == upper[g] else 0.0
                high = penalty[g] if side[g] > 0 or lower[g] == upper[g] else 0.0
                if price[g] - high > worst:
                    worst, entering, leaving_row, direction = price[g] - high, -1, r, 1.0
                if low - price[g] > worst:
                    worst, entering, leaving_row, direction = low - price[g], -1, r, -1.0
            if entering < 0 and leaving_row < 0:
                if polished:
                    return SOLVED
                refresh(effect, value, x, k, total)
                polished, dirty = True, True
                if nb == 0:
                    dirty = False
                continue
            polished = False
            for a in range(size):
                edge[a] = 0.0
            if entering >= 0:
                for a in range(nb):
                    dot = 0.0
                    for f in range(k):
                        dot += effect[basis[a], f] * effect[entering, f]
                    edge[a] = -direction * dot
                for r in range(nr):
                    edge[nb + r] = -direction * effect[entering, k + active[r]]
            else:
                edge[nb + leaving_row] = direction
            if size > 0:
                solve_factorised(matrix, edge, order, size)
            count = nb
            for a in range(nb):
                moving[a], step[a] = basis[a], edge[a]
            if entering >= 0:
                moving[count], step[count] = entering, direction
                count += 1
            derivative = -worst
        # the line: curvature and what changes along it
        longest = 0.0
        for f in range(k + rows):
            change[f] = 0.0
        for a in range(count):
            longest += step[a] * step[a]
            for f in range(k + rows):
                change[f] += effect[moving[a], f] * step[a]
        curvature = 0.0
        for f in range(k):
            curvature += change[f] * change[f]
        edge_step = entering >= 0 or leaving_row >= 0
        if edge_step and curvature < CURVATURE_MIN * (1.0 + longest):
            curvature = 0.0
        dust = DUST * np.sqrt(longest)  # a step or a change of a row that is rounding blocks nothing
        if not edge_step:
            reach = 1.0
            for a in range(count):
                reach = max(reach, abs(x[moving[a]]))
            if np.sqrt(longest) <= 1e-13 * reach:  # at the optimum of the basis
                dirty = False
                continue
        if entering >= 0 and not inside[entering]:
            if direction < 0:
                at[entering] -= 1
            inside[entering] = True
        if not edge_step and derivative > 0.0:
            derivative = 0.0  # rounding at the optimum
        # walk along the line over its knots; `ahead` counts the ends a row has met, of its two
        walked, blocked, blocked_row, crossed = 0.0, -1, -1, False
        for g in range(rows):
            rises = change[k + g] > 0.0
            ahead[g] = 2
            if leaving_row >= 0 and g == active[leaving_row]:
                if lower[g] < upper[g] and rises == (side[g] < 0):
                    ahead[g] = 1
            elif not held[g] and abs(change[k + g]) > dust:
                room = 1e-12 * (1.0 + abs(total[k + g]))
                below, above = total[k + g] < lower[g] - room, total[k + g] > upper[g] + room
                if below or above:
                    ahead[g] = 0 if below == rises else 2
                else:
                    ahead[g] = 1
        while True:
            near, which, which_row = np.inf, -1, -1
            for a in range(count):
                i = moving[a]
                if step[a] > dust:
                    here = (knot[at[i] + 1] - x[i]) / step[a]
                elif step[a] < -dust:
                    here = (knot[at[i]] - x[i]) / step[a]
                else:
                    continue
                if here < near:
                    near, which = here, a
            for g in range(rows):
                if ahead[g] < 2:
                    end = lower[g] if (ahead[g] == 0) == (change[k + g] > 0.0) else upper[g]
                    if abs(end) < np.inf:
                        here = (end - total[k + g]) / change[k + g]
                        if here < near:
                            near, which, which_row = here, -1, g
            near = max(near, walked)
            if curvature > 0.0:
                stop = walked - derivative / curvature
                if not edge_step and not crossed:
                    stop = 1.0  # the Newton step, free of the rounding of its own derivative
                if stop <= near:
                    walked = stop
                    break
            elif not edge_step or derivative >= 0.0:
                break
            if not near < np.inf:
                return STOPPED  # a direction without end: no finite problem has one
            derivative += curvature * (near - walked)
            walked = near
            if which_row >= 0:
                jump = penalty[which_row] * abs(change[k + which_row])
            else:
                i = moving[which]
                t = at[i]
                last = first[i + 1] - 1
                if step[which] > 0.0:
                    jump = (slope[t + 1] - slope[t]) * step[which] if t + 1 < last else np.inf
                else:
                    jump = (slope[t - 1] - slope[t]) * step[which] if t > first[i] else np.inf
            # written so that what is not a number ends the walk: beyond a ladder's last knot is no memory
            if not derivative + jump < 0.0:
                blocked, blocked_row = which, which_row
                break
            derivative += jump
            crossed = True
            if which_row >= 0:
                ahead[which_row] += 1
            else:
                at[moving[which]] += 1 if step[which] > 0.0 else -1
        # take the step
        for a in range(count):
            x[moving[a]] += walked * step[a]
        for f in range(k + rows):
            total[f] += walked * change[f]
        if walked > 0.0:
            stalled = 0
        else:
            stalled += 1
            if stalled % STALLED == 0:
                limit = min(limit * 10.0, 1e-6)
        if leaving_row >= 0:
            remove(active, nr, leaving_row)
            counts[1] -= 1
        if entering >= 0:
            basis[counts[0]] = entering
            counts[0] += 1
        own = False
        if blocked >= 0:
            i = moving[blocked]
            own = i == entering
            t = at[i] + 1 if step[blocked] > 0.0 else at[i]
            at[i], x[i], inside[i] = t, knot[t], False
            for a in range(counts[0]):
                if basis[a] == i:
                    remove(basis, counts[0], a)
                    counts[0] -= 1
                    break
        if blocked_row >= 0:
            g = blocked_row
            side[g] = -1 if (ahead[g] == 0) == (change[k + g] > 0.0) else 1
            total[k + g] = lower[g] if side[g] < 0 else upper[g]
            active[counts[1]] = g
            counts[1] += 1
        dirty = crossed or blocked_row >= 0 or (blocked >= 0 and not own)
        if counts[0] >= basis.size:
            counts[0], counts[1] = 0, 0
            dirty = False
    return STOPPED
