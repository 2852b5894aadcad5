"""Dual simplex for few rows and many columns with piecewise-linear costs, in machine code.

    min  sum_j phi_j(x_j)   s.t.  A x = r,   every x_j and r_g in a box,   phi_j convex piecewise linear

A column is a whole ladder (sells ... 0 ... buys), not one variable per level, and a row's own interval is a
column -e_g too. Because everything is boxed, any basis becomes dual feasible by putting each nonbasic column
on the break of its ladder that its price y.a_j selects: there is no phase 1, a basis from the last mark is as
good a start as any, and changing costs, ends or boxes never spoils it.

One iteration takes the basic column farthest outside its segment (measured in the exact norm of its row of
the basis inverse: steepest edge), and goes up the dual along that row. On the way it passes breaks of other
ladders, each of which takes from the slope of the dual what the passed segment gives; it stops where the
slope would change its sign (the long step or bound flipping rule). The inverse is dense: rows are few.

Nothing is believed: at the end the solution, the duals and the bound are computed afresh from the program
(`checked`), and what does not close to `GAP` is reported as `TROUBLE`, never as an answer.

Sources: Maros, "A generalized dual phase-2 simplex algorithm", EJOR 149 (2003); Forrest and Goldfarb,
"Steepest-edge simplex algorithms for linear programming", Math. Programming 57 (1992); Bland's rule as the
way out of a cycle.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import types
from numpy.typing import NDArray

from pricing.compiled import compiled, record

FLOATS, GRID, INTS = "f8[::1]", "f8[:,::1]", "i8[::1]"

#: How a run ended.
OPTIMAL = 0
INFEASIBLE = 1
CUT = 2  # the bound passed the cutoff
TROUBLE = 3  # iteration cap, or an end that its own check refused

FEASIBLE = 1e-10  # a basic column outside its segment by less is inside, in scaled units
PIVOT = 1e-9  # smaller effects on the leaving column are none
PIVOT_GOOD = 1e-6  # smaller pivots are avoided where a shorter step has a better one
DUAL = 1e-12  # relative: a price beyond a slope by less selects the same break
GAP = 1e-9  # relative: what primal cost and bound may differ by
ROW = 1e-9  # what a row may be missed by, in scaled units
REFACTOR = 40  # rank-one updates of the inverse before it is made afresh

# places in `facts`
VALUE, BOUND, MISSED, ITERATIONS, WORK = 0, 1, 2, 3, 4


class Program(NamedTuple):
    """A ladder program: m rows, n columns and m of the rows' own behind them.

    Of column j: breaks at[first[j] .. first[j] + segments[j]], slope[first[j] ..] of the segments between
    them, rising; cost[first[j] ..] at the breaks.
    """

    a: NDArray[Any]  # (m, n)
    first: NDArray[Any]  # (n + m,)
    segments: NDArray[Any]  # (n + m,) how many each has
    at: NDArray[Any]
    slope: NDArray[Any]
    cost: NDArray[Any]


class Tableau(NamedTuple):
    """The basis, and the answer at it; all of it is changed in place."""

    head: NDArray[Any]  # (m,) the basic columns
    where: NDArray[Any]  # (n + m,) the segment or break of each column
    inverse: NDArray[Any]  # (m, m)
    x: NDArray[Any]  # (n + m,)
    y: NDArray[Any]  # (m,)


class Scratch(NamedTuple):
    """Room to work in, and what is told of a run."""

    work: NDArray[Any]  # (5, n + 2m)
    marks: NDArray[Any]  # (4, n + 2m)
    facts: NDArray[Any]  # (8,)


PROGRAM = record(
    Program, {"a": GRID, "first": INTS, "segments": INTS, "at": FLOATS, "slope": FLOATS, "cost": FLOATS}
)
TABLEAU = record(Tableau, {"head": INTS, "where": INTS, "inverse": GRID, "x": FLOATS, "y": FLOATS})
SCRATCH = record(Scratch, {"work": GRID, "marks": "i8[:,::1]", "facts": FLOATS})


@compiled(f"({GRID}, {INTS}, {GRID}, {GRID})")
def factor(a: NDArray[Any], head: NDArray[Any], inverse: NDArray[Any], mixed: NDArray[Any]) -> int:
    """Fill the inverse of the basis; columns that depend on others give way to a row's own. Returns how many.

    a (m, n), head (m,) the basic columns (n + g = row g's own), inverse (m, m), mixed (m, m) scratch.
    """
    m, n = a.shape
    replaced = 0
    taken = np.full(m, -1)  # of a column: the row it was eliminated in
    for attempt in range(2):
        for i in range(m):
            j = head[i]
            for g in range(m):
                if j < n:
                    mixed[g, i] = a[g, j]
                else:
                    mixed[g, i] = -1.0 if j - n == g else 0.0
                inverse[g, i] = 1.0 if g == i else 0.0
        # Gauss-Jordan: `mixed` becomes a permutation, `inverse` the same row operations on the unit matrix
        taken[:] = -1
        free = np.ones(m, dtype=np.bool_)
        deficient = 0
        for i in range(m):
            best, at, size = 0.0, -1, 0.0
            for g in range(m):
                size = max(size, abs(mixed[g, i]))
                if free[g] and abs(mixed[g, i]) > best:
                    best, at = abs(mixed[g, i]), g
            if best <= 1e-11 * size or best < 1e-13:
                deficient += 1
                continue
            taken[i] = at
            free[at] = False
            pivot = 1.0 / mixed[at, i]
            for k in range(m):
                mixed[at, k] *= pivot
                inverse[at, k] *= pivot
            for g in range(m):
                f = mixed[g, i]
                if g != at and f != 0.0:
                    for k in range(m):
                        mixed[g, k] -= f * mixed[at, k]
                        inverse[g, k] -= f * inverse[at, k]
        if deficient == 0:
            break
        g = 0
        for i in range(m):
            if taken[i] < 0:
                while not free[g]:
                    g += 1
                head[i] = n + g
                free[g] = False
        replaced += deficient
        if attempt == 1:
            return -1
    # row `taken[i]` of the reduced matrix belongs to column i
    for i in range(m):
        for k in range(m):
            mixed[i, k] = inverse[taken[i], k]
    for i in range(m):
        for k in range(m):
            inverse[i, k] = mixed[i, k]
    return replaced


@compiled(f"({GRID}, {INTS}, {GRID}, {INTS}, {INTS}, {INTS})")
def renew(
    a: NDArray[Any],
    head: NDArray[Any],
    inverse: NDArray[Any],
    count: NDArray[Any],
    where: NDArray[Any],
    outside: NDArray[Any],
) -> bool:
    """The inverse anew from the basis, and which columns are in it; False where the basis has none.

    outside (n + m,): a column's place in the basis, -1 = not in it. `where` of a basic column becomes a
    segment, also that of a row's own that came in for a dependent column.
    """
    m = head.size
    if factor(a, head, inverse, np.empty((m, m))) < 0:
        return False
    outside[:] = -1
    for i in range(m):
        j = head[i]
        outside[j] = i
        where[j] = min(where[j], max(count[j] - 1, 0))
    return True


@compiled((PROGRAM, TABLEAU, types.float64[:, ::1]))
def settle(program: Program, tableau: Tableau, work: NDArray[Any]) -> float:
    """Prices, breaks and basic values from the basis alone. Returns the residual of Ax = r, relative.

    `where` of a basic column is its segment, of another its break; the latter are moved to where the prices
    put them. work[0] becomes the prices y.a_j, work[1] scratch.
    """  # fmt: skip
    a, first, count, at, slope, _ = program
    head, where, inverse, x, y = tableau
    m, n = a.shape
    total = n + m
    price, left = work[0], work[1]
    for i in range(m):
        j = head[i]
        left[i] = slope[first[j] + where[j]] if count[j] > 0 else 0.0
    for g in range(m):
        y[g] = 0.0
    for i in range(m):
        if left[i] != 0.0:
            for g in range(m):
                y[g] += left[i] * inverse[i, g]
    for i in range(m):  # one refinement
        j = head[i]
        s = 0.0
        if j < n:
            for g in range(m):
                s += y[g] * a[g, j]
        else:
            s = -y[j - n]
        price[i] = left[i] - s
    for i in range(m):
        if price[i] != 0.0:
            for g in range(m):
                y[g] += price[i] * inverse[i, g]
    for j in range(n):
        price[j] = 0.0
    for g in range(m):
        yg = y[g]
        if yg != 0.0:
            for j in range(n):
                price[j] += yg * a[g, j]
        price[n + g] = -yg
    for i in range(m):
        where[head[i]] = -1 - where[head[i]]  # marks the basic ones
    for j in range(total):
        k = where[j]
        if k < 0:
            x[j] = 0.0
            continue
        f, c, p = first[j], count[j], price[j]
        near = DUAL * (1.0 + abs(p))
        if k > c:
            k = c
        while k < c and p > slope[f + k] + near:
            k += 1
        while k > 0 and p < slope[f + k - 1] - near:
            k -= 1
        where[j] = k
        x[j] = at[f + k]
    for i in range(m):
        where[head[i]] = -1 - where[head[i]]
    size = 1e-300
    for g in range(m):
        s = 0.0
        for j in range(n):
            s += a[g, j] * x[j]
        left[g] = s - x[n + g]
        size = max(size, abs(s) + abs(x[n + g]))
    worst = 0.0
    for _ in range(2):
        for i in range(m):
            s = 0.0
            for g in range(m):
                s += inverse[i, g] * left[g]
            x[head[i]] -= s
            price[total + i] = -s  # moved by
        worst = 0.0
        for i in range(m):
            j = head[i]
            s = price[total + i]
            if j < n:
                for g in range(m):
                    left[g] += a[g, j] * s
                    size = max(size, abs(a[g, j] * x[j]))
            else:
                left[j - n] -= s
        for g in range(m):
            worst = max(worst, abs(left[g]))
    return worst / size


@compiled(f"({INTS}, {INTS}, {FLOATS}, {FLOATS}, {FLOATS}, {FLOATS})")
def accumulate(
    first: NDArray[Any],
    count: NDArray[Any],
    at: NDArray[Any],
    slope: NDArray[Any],
    base: NDArray[Any],
    cost: NDArray[Any],
) -> None:
    """Cost at every break, from the cost `base` at the first one of each column."""  # fmt: skip
    for j in range(len(count)):
        f, value = first[j], base[j]
        cost[f] = value
        for k in range(f, f + count[j]):
            value += slope[k] * (at[k + 1] - at[k])
            cost[k + 1] = value


@compiled(f"({FLOATS}, {INTS}, i8, i8)")
def sift(key: NDArray[Any], heap: NDArray[Any], size: int, start: int) -> None:
    """Bring one element of a heap (smallest key on top) down to its place."""
    i = start
    item = heap[i]
    k = key[item]
    while True:
        child = 2 * i + 1
        if child >= size:
            break
        if child + 1 < size and key[heap[child + 1]] < key[heap[child]]:
            child += 1
        if key[heap[child]] >= k:
            break
        heap[i] = heap[child]
        i = child
    heap[i] = item


@compiled((PROGRAM, TABLEAU, SCRATCH, types.float64))
def checked(program: Program, tableau: Tableau, scratch: Scratch, gap: float) -> bool:
    """Whether x and y prove each other: boxes and rows met, cost within `gap` of the Lagrangian bound of y.

    Plain arithmetic on the program: neither the inverse nor the breaks chosen on the way are used. Puts the
    basic columns inside their boxes. `facts` gets cost, bound and the largest miss of a row.
    """  # fmt: skip
    a, first, count, at, slope, cost = program
    head, where, _, x, y = tableau
    work, _, facts = scratch
    m, n = a.shape
    price = work[0]
    for j in range(n):
        price[j] = 0.0
    for g in range(m):
        yg = y[g]
        for j in range(n):
            price[j] += yg * a[g, j]
        price[n + g] = -yg
    for i in range(m):
        j = head[i]
        f = first[j]
        x[j] = min(max(x[j], at[f]), at[f + count[j]])
    paid, bound, size = 0.0, 0.0, 0.0
    for j in range(n + m):
        f, c, p, v = first[j], count[j], price[j], x[j]
        k = min(where[j], c)
        while k < c and p > slope[f + k]:
            k += 1
        while k > 0 and p < slope[f + k - 1]:
            k -= 1
        bound += cost[f + k] - p * at[f + k]  # the least of a convex ladder
        size += abs(p * v)
        if c > 0:
            k = min(k, c - 1)
            while k < c - 1 and v > at[f + k + 1]:
                k += 1
            while k > 0 and v < at[f + k]:
                k -= 1
            paid += cost[f + k] + slope[f + k] * (v - at[f + k])
            size += abs(slope[f + k] * v)
        else:
            paid += cost[f]
    missed = 0.0
    for g in range(m):
        s, big = 0.0, 0.0
        for j in range(n):
            s += a[g, j] * x[j]
            big = max(big, abs(a[g, j] * x[j]))
        missed = max(missed, abs(s - x[n + g]) - 1e-13 * big)
    facts[VALUE], facts[BOUND], facts[MISSED] = paid, bound, missed
    return missed <= ROW and abs(paid - bound) <= gap * abs(paid) + 1e-3 * gap * size + 1e-15


@compiled((PROGRAM, TABLEAU, SCRATCH, types.float64, types.boolean))
def run(program: Program, tableau: Tableau, scratch: Scratch, cutoff: float, fresh: bool) -> int:
    """Solve from the basis of the tableau. Returns OPTIMAL, INFEASIBLE, CUT (the bound reached `cutoff`) or
    TROUBLE. `fresh`: make the inverse anew; without it the caller vouches for it.
    """
    a, first, count, at, slope, cost = program
    head, where, inverse, x, y = tableau
    work, marks, facts = scratch
    m, n = a.shape
    total = n + m
    price, alpha, key, mixed = work[0], work[2], work[3], work[4]
    outside, heap, passed, step_of = marks[0], marks[1], marks[2], marks[3]
    for j in range(total):
        outside[j] = -1
        if where[j] > count[j]:
            where[j] = count[j]
    for i in range(m):
        j = head[i]
        outside[j] = i
        if where[j] >= count[j] and where[j] > 0:
            where[j] = count[j] - 1
    facts[WORK] += 5.0 * (m + 4.0) * total
    updates = 0
    if fresh and not renew(a, head, inverse, count, where, outside):
        return TROUBLE
    residual = settle(program, tableau, work)
    if residual > 1e-11 and not fresh:
        if not renew(a, head, inverse, count, where, outside):
            return TROUBLE
        settle(program, tableau, work)
    settled = True
    idle = 0
    cap = 200 + 20 * (m + n)
    bound = 0.0
    if cutoff < np.inf:
        for j in range(total):
            k = first[j] + where[j]
            bound += cost[k] - price[j] * at[k]
        if bound >= cutoff:
            facts[BOUND] = bound
            return CUT

    for _ in range(cap):
        facts[ITERATIONS] += 1.0
        facts[WORK] += (m + 6.0) * total + 4.0 * m * m
        p, score, low_side = -1, 0.0, False
        for i in range(m):
            j = head[i]
            f = first[j]
            k = where[j]
            v = x[j]
            low = at[f + k] - v
            high = v - at[f + min(k + 1, count[j])]
            far = max(low, high)
            if far > FEASIBLE + 1e-14 * abs(v):
                norm = 1e-300
                for g in range(m):
                    norm += inverse[i, g] * inverse[i, g]
                worth = far * far / norm
                if idle > 20:
                    worth = 1.0 / (1.0 + j)
                if worth > score:
                    score, p, low_side = worth, i, low > high
        if p < 0:
            # an answer that closes as it is needs no second look; one that does not, gets it
            gap = GAP if settled else 1e-3 * GAP
            if checked(program, tableau, scratch, gap):
                return OPTIMAL
            if settled and updates == 0:
                return TROUBLE
            if updates > 0 and (settled or updates > REFACTOR // 2):
                if not renew(a, head, inverse, count, where, outside):
                    return TROUBLE
                updates = 0
            residual = settle(program, tableau, work)
            settled = True
            continue

        sigma = -1.0 if low_side else 1.0
        q = head[p]
        fq = first[q]
        end = where[q] if low_side else min(where[q] + 1, count[q])  # break that it leaves to
        rate = sigma * (x[q] - at[fq + end])
        for j in range(n):
            alpha[j] = 0.0
        for g in range(m):
            r = sigma * inverse[p, g]
            if r != 0.0:
                for j in range(n):
                    alpha[j] += r * a[g, j]
            alpha[n + g] = -r
        # breaks ahead, by the step at which they are passed
        found, limit = 0, np.inf
        for j in range(total):
            if outside[j] >= 0:
                continue
            al = alpha[j]
            f, k = first[j], where[j]
            if al > PIVOT:
                if k >= count[j]:
                    continue
                t = (slope[f + k] - price[j]) / al
                drop = al * (at[f + k + 1] - at[f + k])
            elif al < -PIVOT:
                if k == 0:
                    continue
                t = (slope[f + k - 1] - price[j]) / al
                drop = -al * (at[f + k] - at[f + k - 1])
            else:
                continue
            t = max(t, 0.0)
            key[j] = t
            if drop >= rate and t < limit:
                limit = t
            heap[found] = j
            found += 1
        # the leaving column's own next break
        own = np.inf
        if sigma > 0.0 and end < count[q]:
            own = max(slope[fq + end] - price[q], 0.0)
        elif sigma < 0.0 and end > 0:
            own = max(price[q] - slope[fq + end - 1], 0.0)
        key[q] = own
        if own < np.inf:
            heap[found] = q
            found += 1
        size = 0
        for i in range(found):
            if key[heap[i]] <= limit:
                heap[size] = heap[i]
                size += 1
        for i in range(size // 2 - 1, -1, -1):
            sift(key, heap, size, i)

        enter, theta, gone = -1, 0.0, 0
        while size > 0:
            j = heap[0]
            t = key[j]
            f, k = first[j], where[j]
            if j == q:
                length = at[f + end + 1] - at[f + end] if sigma > 0.0 else at[f + end] - at[f + end - 1]
                drop = length
            elif alpha[j] > 0.0:
                drop = alpha[j] * (at[f + k + 1] - at[f + k])
            else:
                drop = -alpha[j] * (at[f + k] - at[f + k - 1])
            bound += rate * (t - theta)
            theta = t
            if rate - drop <= 0.0:
                enter = j
                break
            rate -= drop
            if j == q:
                end += 1 if sigma > 0.0 else -1
                step_of[gone] = 0
                if sigma > 0.0:
                    t = slope[f + end] - price[j] if end < count[j] else np.inf
                else:
                    t = price[j] - slope[f + end - 1] if end > 0 else np.inf
            else:
                up = 1 if alpha[j] > 0.0 else -1
                where[j] += up
                k += up
                step_of[gone] = up
                if up > 0:
                    t = (slope[f + k] - price[j]) / alpha[j] if k < count[j] else np.inf
                else:
                    t = (slope[f + k - 1] - price[j]) / alpha[j] if k > 0 else np.inf
            passed[gone] = j
            mixed[gone] = theta
            gone += 1
            if gone >= len(passed):
                return TROUBLE
            if t <= limit and t < np.inf:
                key[j] = max(t, theta)
                sift(key, heap, size, 0)
            else:
                size -= 1
                heap[0] = heap[size]
                if size > 0:
                    sift(key, heap, size, 0)

        if enter < 0:
            # nothing ahead holds the dual back: no plan, if the row of the inverse proves it
            for i in range(gone - 1, -1, -1):
                j = passed[i]
                if j != q:
                    where[j] -= step_of[i]
            most, scale, weight = 0.0, 0.0, 0.0
            for j in range(total):
                f = first[j]
                al = alpha[j] if outside[j] < 0 or j == q else 0.0
                if j < n and outside[j] >= 0 and j != q:
                    al = 0.0
                    for g in range(m):
                        al += sigma * inverse[p, g] * a[g, j]
                big = max(al * at[f], al * at[f + count[j]])
                most += big
                scale += abs(big)
            for g in range(m):
                weight += abs(inverse[p, g])
            if -most > 0.5 * ROW * weight + 1e-13 * scale:
                return INFEASIBLE
            if updates == 0:
                return TROUBLE
            if not renew(a, head, inverse, count, where, outside):
                return TROUBLE
            updates = 0
            settle(program, tableau, work)
            settled = True
            continue

        # among breaks at the same step the largest pivot; then a shorter step rather than a tiny pivot
        if enter != q:
            size -= 1
            heap[0] = heap[size]
            if size > 0:
                sift(key, heap, size, 0)
            tie = theta + 1e-13 * (1.0 + theta)
            while size > 0 and key[heap[0]] <= tie:
                j = heap[0]
                if j != q and abs(alpha[j]) > abs(alpha[enter]) and (idle <= 20 or j < enter):
                    enter = j
                size -= 1
                heap[0] = heap[size]
                if size > 0:
                    sift(key, heap, size, 0)
            if abs(alpha[enter]) < PIVOT_GOOD:
                i = gone - 1
                while i >= 0 and (passed[i] == q or abs(alpha[passed[i]]) < PIVOT_GOOD):
                    i -= 1
                if i >= 0:
                    enter = passed[i]
                    theta = mixed[i]
                    for i2 in range(gone - 1, i - 1, -1):
                        j = passed[i2]
                        if j == q:
                            end -= 1 if sigma > 0.0 else -1
                        else:
                            where[j] -= step_of[i2]
                    gone = i
        idle = idle + 1 if theta <= 1e-14 else 0
        if bound >= cutoff:
            facts[BOUND] = bound
            return CUT

        # what was passed moves the basic columns
        left = work[1]
        moved = False
        for g in range(m):
            left[g] = 0.0
        for i in range(gone):
            j = passed[i]
            if j == q:
                continue
            f, k = first[j], where[j]
            d = at[f + k] - x[j]
            if d == 0.0:
                continue
            x[j] = at[f + k]
            moved = True
            if j < n:
                for g in range(m):
                    left[g] += a[g, j] * d
            else:
                left[j - n] -= d
        if moved:
            for i in range(m):
                s = 0.0
                for g in range(m):
                    s += inverse[i, g] * left[g]
                x[head[i]] -= s
        for j in range(total):
            price[j] += theta * alpha[j]
        for g in range(m):
            y[g] += theta * sigma * inverse[p, g]
        settled = False
        if enter == q:  # it stays, in the segment beyond the break
            where[q] = end if sigma > 0.0 else end - 1
            price[q] = slope[fq + where[q]]
            continue
        # the entering column's own direction
        for i in range(m):
            s = 0.0
            if enter < n:
                for g in range(m):
                    s += inverse[i, g] * a[g, enter]
            else:
                s = -inverse[i, enter - n]
            left[i] = s
        pivot = left[p]
        if abs(pivot - sigma * alpha[enter]) > 1e-7 * (abs(pivot) + 1e-3) or abs(pivot) < PIVOT:
            if updates == 0:
                return TROUBLE
            if not renew(a, head, inverse, count, where, outside):
                return TROUBLE
            updates = 0
            settle(program, tableau, work)
            settled = True
            continue
        target = at[fq + end]
        step = (x[q] - target) / pivot
        for i in range(m):
            x[head[i]] -= step * left[i]
        x[q] = target
        x[enter] += step
        where[q] = end
        if alpha[enter] < 0.0:
            where[enter] -= 1
        price[enter] = slope[first[enter] + where[enter]]
        outside[q] = -1
        outside[enter] = p
        head[p] = enter
        for k in range(m):
            inverse[p, k] /= pivot
        for i in range(m):
            w = left[i]
            if i != p and w != 0.0:
                for k in range(m):
                    inverse[i, k] -= w * inverse[p, k]
        updates += 1
        if updates >= REFACTOR:
            if not renew(a, head, inverse, count, where, outside):
                return TROUBLE
            updates = 0
            settle(program, tableau, work)
            settled = True
    return TROUBLE


@compiled((PROGRAM, types.float64[::1], TABLEAU, SCRATCH, types.boolean))
def priced_run(program: Program, base: NDArray[Any], tableau: Tableau, scratch: Scratch, fresh: bool) -> int:
    """`accumulate`, then `run` to the end, in one call."""
    accumulate(program.first, program.segments, program.at, program.slope, base, program.cost)
    return run(program, tableau, scratch, np.inf, fresh)
