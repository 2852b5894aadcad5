"""Branch and bound for whole lots on the dual simplex, in machine code.

A node is an interval of lots per column; its relaxation starts from whatever basis the last node left, which
is as good as any (see `dual_simplex`), so that nodes can be taken in any order and cost a few microseconds.
Order: from the root down until something is pruned, always into the cheaper of the two children, then from
the open node of the lowest bound. A column may be 0 or at least its minimum size: a branch, like any other.

Which column is split: before the first plan the coarsest in fractions (the perp, finest of all, repairs in
the end what the rounded options moved); then the one whose two sides raise the bound most, learned from the
splits so far (pseudo-costs; where none is known both sides are tried). No clock: `work` counts arithmetic.

Source: Achterberg, Koch and Martin, "Branching rules revisited", Operations Research Letters 33 (2005).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from hedger.solver.dual_simplex import (
    FLOATS,
    INFEASIBLE,
    INTS,
    OPTIMAL,
    PROGRAM,
    SCRATCH,
    TABLEAU,
    TROUBLE,
    VALUE,
    WORK,
    Program,
    Scratch,
    Tableau,
    run,
)
from pricing.compiled import compiled

WHOLE = 5e-11  # what rounding to a whole lot may move a row by, in scaled units
FINE = 2.0**45  # lots beyond this cannot be told from whole ones
TRIED = 8  # columns without experience that are tried on both sides at a node

# places in `state`
USED, OPEN, NODES, FOUND, DONE, LOST = 0, 1, 2, 3, 4, 5
# places in `best`
BEST_VALUE, FLOOR, LOST_VALUE, WORK_DONE = 0, 1, 2, 3
NODE_ROWS = 3  # of `tree`: parent, column, spare; of `span`: lowest and highest lots, bound

_FLOATS, _INTS = types.float64[::1], types.int64[::1]
_GRID, _GRID_I = types.float64[:, ::1], types.int64[:, ::1]


@compiled((types.int64, types.float64, types.float64, PROGRAM, PROGRAM))
def cut(j: int, low: float, high: float, whole: Program, part: Program) -> None:
    """Column j's ladder of `part` between low and high, from that of the whole program."""
    _, first, count0, at0, slope0, cost0 = whole
    _, _, count, at, slope, cost = part
    f, c = first[j], count0[j]
    low = min(max(low, at0[f]), at0[f + c])
    high = max(min(high, at0[f + c]), low)
    k = 0
    while k < c and at0[f + k + 1] <= low:
        k += 1
    at[f], cost[f] = low, cost0[f + k]
    if k < c:
        cost[f] += slope0[f + k] * (low - at0[f + k])
    s = f
    while k < c and at[s] < high:
        end = min(at0[f + k + 1], high)
        slope[s] = slope0[f + k]
        at[s + 1], cost[s + 1] = end, cost[s] + slope[s] * (end - at[s])
        s += 1
        k += 1
    count[j] = s - f


@compiled("(f8, f8, f8, f8)")
def below(value: float, low: float, high: float, least: float) -> float:
    """Largest permitted lots <= value: 0 or at least `least` either way, in [low, high]; -inf where none."""
    k = np.floor(value)
    if 0.0 < k < least:
        k = 0.0
    elif -least < k < 0.0:
        k = -least
    return k if k >= low else -np.inf


@compiled("(f8, f8, f8, f8)")
def above(value: float, low: float, high: float, least: float) -> float:
    """Smallest permitted lots >= value; inf where none."""
    k = np.ceil(value)
    if 0.0 < k < least:
        k = least
    elif -least < k < 0.0:
        k = 0.0
    return k if k <= high else np.inf


@compiled(f"({FLOATS}, {INTS}, i8, i8)")
def push(key: NDArray[Any], heap: NDArray[Any], size: int, item: int) -> None:
    """Add an item to a heap of `size` (smallest key on top)."""
    i = size
    k = key[item]
    while i > 0:
        parent = (i - 1) // 2
        if key[heap[parent]] <= k:
            break
        heap[i] = heap[parent]
        i = parent
    heap[i] = item


@compiled(f"({FLOATS}, {INTS}, i8)")
def pop(key: NDArray[Any], heap: NDArray[Any], size: int) -> int:
    """Take the item of the smallest key from a heap of `size`."""
    top = heap[0]
    item = heap[size - 1]
    k = key[item]
    i = 0
    while True:
        child = 2 * i + 1
        if child >= size - 1:
            break
        if child + 1 < size - 1 and key[heap[child + 1]] < key[heap[child]]:
            child += 1
        if key[heap[child]] >= k:
            break
        heap[i] = heap[child]
        i = child
    heap[i] = item
    return int(top)


@compiled((PROGRAM, _FLOATS, _GRID, types.float64))
def narrow(program: Program, y: NDArray[Any], lots: NDArray[Any], room: float) -> bool:
    """Cut the lots of each column to those that a plan better by `room` than the relaxation may hold.

    Reduced-cost fixing: at the relaxation's prices y, moving a column away from where it is best costs at
    least what its ladder asks beyond its price, whatever else is traded. Changes lots[2] and lots[3]; False
    where a column has none left: there is no better plan.
    """  # fmt: skip
    a, first, count, at, slope, _ = program
    m, n = a.shape
    for j in range(n):
        lot = lots[0, j]
        if lot == 0.0:
            continue
        price = 0.0
        for g in range(m):
            price += y[g] * a[g, j]
        f, c = first[j], count[j]
        k = 0
        while k < c and slope[f + k] < price:
            k += 1
        left, i, end = room, k, at[f + k]
        while i < c:
            ask = max(slope[f + i] - price, 0.0)
            length = at[f + i + 1] - at[f + i]
            if ask * length > left:
                end += left / ask
                break
            left -= ask * length
            i += 1
            end = at[f + i]
        most = np.floor(end / lot + 1e-6 + 1e-9 * abs(end / lot))
        left, i, end = room, k, at[f + k]
        while i > 0:
            ask = max(price - slope[f + i - 1], 0.0)
            length = at[f + i] - at[f + i - 1]
            if ask * length > left:
                end -= left / ask
                break
            left -= ask * length
            i -= 1
            end = at[f + i]
        fewest = np.ceil(end / lot - 1e-6 - 1e-9 * abs(end / lot))
        fewest, most = max(lots[2, j], fewest), min(lots[3, j], most)
        if fewest > most:
            return False
        lots[2, j], lots[3, j] = fewest, most
    return True


@compiled("(f8, f8, f8)")
def in_parts(k: float, least: float, rough: float) -> bool:
    """Whether lots k are not whole, or fewer than the least; judged by what rounding would move a row by."""
    near = np.rint(k)
    off = abs(k - near)
    if abs(k) >= FINE:
        return False
    return bool((off * rough > WHOLE and off > 1e-12 * abs(k)) or (near != 0.0 and abs(near) < least))


@compiled((PROGRAM, _GRID, _FLOATS, _FLOATS, _FLOATS, _FLOATS))
def judged(
    whole: Program,
    lots: NDArray[Any],
    judge_low: NDArray[Any],
    judge_high: NDArray[Any],
    here: NDArray[Any],
    rounded: NDArray[Any],
) -> float:
    """Objective of a solution rounded to whole lots, in plain arithmetic; inf where a row is missed.

    rounded (n,): the solution in lots (in units, where a column is not in lots).
    """  # fmt: skip
    a, first, count0, at0, slope0, cost0 = whole
    m, n = a.shape
    paid = 0.0
    for g in range(m):
        s = 0.0
        for j in range(n):
            lot = lots[0, j]
            s += a[g, j] * (np.rint(here[j] / lot) * lot if lot > 0.0 else here[j])
        if s < judge_low[g] or s > judge_high[g]:
            return np.inf
    for j in range(n):
        f, lot = first[j], lots[0, j]
        rounded[j] = np.rint(here[j] / lot) if lot > 0.0 else here[j]
        u = rounded[j] * lot if lot > 0.0 else here[j]
        k = 0
        while k < count0[j] - 1 and u > at0[f + k + 1]:
            k += 1
        paid += cost0[f + k]
        if count0[j] > 0:
            paid += slope0[f + k] * (min(u, at0[f + count0[j]]) - at0[f + k])
    return paid


@compiled(
    (
        PROGRAM,
        _GRID,
        _FLOATS,
        _FLOATS,
        PROGRAM,
        TABLEAU,
        SCRATCH,
        _FLOATS,
        _FLOATS,
        _FLOATS,
        types.float64,
    )
)
def dive(
    whole: Program,
    lots: NDArray[Any],
    judge_low: NDArray[Any],
    judge_high: NDArray[Any],
    part: Program,
    tableau: Tableau,
    scratch: Scratch,
    low: NDArray[Any],
    high: NDArray[Any],
    rounded: NDArray[Any],
    limit: float,
) -> float:
    """A plan by holding one column after another, from the coarsest to the finest; inf where that fails.

    Starts from the solution x. After each the rest is solved again: the perp, finest of all, repairs the
    delta that a rounded option moved. Both neighbours are tried, the cheaper stays. After 2m + 8 columns the
    remainder only moves on from one option to the next of its kind: then all but finer ones are held.
    Leaves the ladders cut, and low and high (n,) telling how.
    """  # fmt: skip
    x, facts = tableau.x, scratch.facts
    m, n = whole.a.shape
    patience = 2 * m + 8
    here = np.empty(n)
    for _ in range(n + 1):
        score, split = -1.0, -1
        for j in range(n):
            here[j] = x[j]
            lot = lots[0, j]
            if (
                lot > 0.0
                and low[j] < high[j]
                and lots[4, j] > score
                and in_parts(here[j] / lot, lots[1, j], lots[4, j])
            ):
                score, split = lots[4, j], j
        if split < 0:
            return judged(whole, lots, judge_low, judge_high, here, rounded)
        j = split
        patience -= 1
        if patience < 0:
            for i in range(n):
                lot = lots[0, i]
                if i == j or lot == 0.0 or low[i] == high[i] or lots[4, i] <= score / 16.0:
                    continue
                if not in_parts(here[i] / lot, lots[1, i], lots[4, i]):
                    low[i] = high[i] = np.rint(here[i] / lot)
                    cut(i, low[i] * lot, high[i] * lot, whole, part)
        lot, k = lots[0, j], here[j] / lots[0, j]
        down, up = below(k, low[j], high[j], lots[1, j]), above(k, low[j], high[j], lots[1, j])
        chosen, value, last = np.inf, np.inf, np.inf
        for turn in range(2):
            end = down if (turn == 0) == (up - k <= k - down) else up
            if not abs(end) < np.inf:
                continue
            cut(j, end * lot, end * lot, whole, part)
            ended = run(part, tableau, scratch, limit, False)
            last = end
            if ended == OPTIMAL and facts[VALUE] <= value:
                chosen, value = end, facts[VALUE]
            elif ended == TROUBLE:
                low[j] = high[j] = np.nan  # to be cut anew
                return np.inf
            if ended != OPTIMAL:
                last = np.inf
        if not value < np.inf:
            low[j] = high[j] = np.nan  # to be cut anew
            return np.inf
        low[j] = high[j] = chosen
        if last != chosen:
            cut(j, chosen * lot, chosen * lot, whole, part)
            if run(part, tableau, scratch, limit, False) != OPTIMAL:
                return np.inf
    return np.inf


@compiled(
    (
        PROGRAM,
        _GRID,
        _FLOATS,
        _FLOATS,
        _GRID,
        _GRID_I,
        _GRID,
        _GRID,
        _INTS,
        _INTS,
        _INTS,
        _FLOATS,
        _FLOATS,
        types.float64,
        types.float64,
        types.float64,
        types.boolean,
    )
)
def branch(
    whole: Program,
    lots: NDArray[Any],
    judge_low: NDArray[Any],
    judge_high: NDArray[Any],
    known: NDArray[Any],
    tree: NDArray[Any],
    span: NDArray[Any],
    inverse: NDArray[Any],
    head: NDArray[Any],
    where: NDArray[Any],
    state: NDArray[Any],
    best: NDArray[Any],
    plan: NDArray[Any],
    gap: float,
    gap_floor: float,
    work_limit: float,
    first_only: bool,
) -> int:
    """Search until the gap is closed, nothing is open, the work is done or the tree full; resumable.

    m rows, n columns, as in `dual_simplex.run`. lots (5, n): size of a lot in the column's unit (0 = not in
    lots), least, lowest, highest, roughness (the most that a lot moves a scaled row by). judge_low,
    judge_high (m,): where a row may end, in plain arithmetic. known (4, n): pseudo-costs, sums and counts of
    each side. tree (2, N), span (3, N): the nodes. state (8,), best (4,), plan (n,): how far it came: best
    value and lots (or units, where not in lots); best[FLOOR] the bound of all that is open or was given up
    unsolved. `first_only`: stop at the first plan
    that is better than what there was. Returns 1 when nothing better than the gap remains.
    """  # fmt: skip
    a, first, count0, at0, slope0, cost0 = whole
    m, n = a.shape
    total = n + m
    lot, least, lowest, highest, rough = lots[0], lots[1], lots[2], lots[3], lots[4]
    count, at, slope, cost = count0.copy(), at0.copy(), slope0.copy(), cost0.copy()
    room = total + m + len(at0)
    work, marks = np.empty((5, room)), np.empty((4, room), dtype=np.int64)
    x, y, facts = np.zeros(total), np.zeros(m), np.zeros(8)
    low, high = lowest.copy(), highest.copy()
    node_low, node_high = np.empty(n), np.empty(n)
    here, rounded = np.empty(n), np.empty(n)
    part = Program(a, first, count, at, slope, cost)
    tableau, scratch = Tableau(head, where, inverse, x, y), Scratch(work, marks, facts)
    key = span[2]
    heap = tree[2]
    for j in range(n):
        if lot[j] > 0.0:
            cut(j, low[j] * lot[j], high[j] * lot[j], whole, part)
    fresh = True
    if state[USED] == 0:
        tree[0, 0], tree[1, 0] = -1, -1
        key[0] = -np.inf
        state[USED] = 1
        push(key, heap, 0, 0)
        state[OPEN] = 1
    current = -1  # the node that x belongs to
    dive_at = 0 if state[NODES] == 0 else 2 * state[NODES] + 16
    value = 0.0
    lost = best[LOST_VALUE]
    while True:
        allowed = max(gap * abs(best[BEST_VALUE]), gap_floor) if state[FOUND] > 0 else 0.0
        limit = best[BEST_VALUE] - allowed
        if current < 0:
            if state[OPEN] == 0:
                break
            if facts[WORK] >= work_limit or state[USED] + 2 >= tree.shape[1]:
                break
            node = pop(key, heap, state[OPEN])
            state[OPEN] -= 1
            if key[node] >= limit:
                lost = min(lost, key[node])
                state[OPEN] = 0
                break
            for j in range(n):
                node_low[j], node_high[j] = lowest[j], highest[j]
            i = node
            while i >= 0 and tree[1, i] >= 0:
                j = tree[1, i]
                node_low[j] = max(node_low[j], span[0, i])
                node_high[j] = min(node_high[j], span[1, i])
                i = tree[0, i]
            for j in range(n):
                if lot[j] > 0.0 and (node_low[j] != low[j] or node_high[j] != high[j]):
                    low[j], high[j] = node_low[j], node_high[j]
                    cut(j, low[j] * lot[j], high[j] * lot[j], whole, part)
            ended = run(part, tableau, scratch, limit, fresh)
            fresh = ended == TROUBLE
            if ended != OPTIMAL:
                if ended == TROUBLE:
                    lost = min(lost, key[node])
                    state[LOST] += 1
                elif ended != INFEASIBLE:
                    lost = min(lost, limit)
                continue
            current, value = node, facts[VALUE]
            key[node] = max(key[node], value)
            if state[NODES] >= dive_at:
                dive_at = 2 * state[NODES] + 16
                paid = dive(
                    whole, lots, judge_low, judge_high, part, tableau, scratch, low, high, rounded, limit
                )
                fresh = True
                better = paid < best[BEST_VALUE]
                if better:
                    best[BEST_VALUE] = paid
                    state[FOUND] += 1
                    plan[:] = rounded
                push(key, heap, state[OPEN], node)  # once more, with what is known now
                state[OPEN] += 1
                current = -1
                if better and first_only:
                    break
                continue
        state[NODES] += 1

        # which columns are in parts
        for j in range(n):
            here[j] = x[j]
        split, score, parts, unsure = -1, -1.0, 0, 0
        for j in range(n):
            if lot[j] == 0.0:
                continue
            k = here[j] / lot[j]
            if low[j] == high[j] or not in_parts(k, least[j], rough[j]):
                continue
            parts += 1
            if state[FOUND] == 0:
                if rough[j] > score:
                    score, split = rough[j], j
            elif known[2, j] == 0.0 or known[3, j] == 0.0:
                unsure += 1
            else:
                down, up = below(k, low[j], high[j], least[j]), above(k, low[j], high[j], least[j])
                gain = max(known[0, j] / known[2, j] * min(k - down, 1e6), 1e-9) * max(
                    known[1, j] / known[3, j] * min(up - k, 1e6), 1e-9
                )
                if gain > score:
                    score, split = gain, j
        if parts == 0:
            # a plan, if it stands in plain arithmetic
            paid = judged(whole, lots, judge_low, judge_high, here, rounded)
            if paid < np.inf:
                lost = min(lost, value)
                current = -1
                if state[FOUND] == 0 or paid < best[BEST_VALUE]:
                    best[BEST_VALUE] = paid
                    state[FOUND] += 1
                    plan[:] = rounded
                    if first_only:
                        break
                continue
            for j in range(n):  # split what is whole, the coarsest that is not held yet
                if lot[j] > 0.0 and low[j] < high[j] and rough[j] > score:
                    score, split = rough[j], j
            if split < 0:
                current = -1
                continue

        tries = 0
        if unsure > 0:
            for j in range(n):
                if lot[j] == 0.0 or low[j] == high[j] or tries >= TRIED:
                    continue
                if known[2, j] > 0.0 and known[3, j] > 0.0:
                    continue
                k = here[j] / lot[j]
                if not in_parts(k, least[j], rough[j]):
                    continue
                tries += 1
                gain = 1.0
                for side in range(2):
                    if side == 0:
                        end = below(k, low[j], high[j], least[j])
                        from_, to = low[j], end
                    else:
                        end = above(k, low[j], high[j], least[j])
                        from_, to = end, high[j]
                    rise = np.inf
                    if abs(end) < np.inf:
                        cut(j, from_ * lot[j], to * lot[j], whole, part)
                        ended = run(part, tableau, scratch, limit, fresh)
                        fresh = ended == TROUBLE
                        if ended == OPTIMAL:
                            rise = max(facts[VALUE] - value, 0.0)
                        elif ended == TROUBLE:
                            rise = 0.0
                        else:
                            rise = max(limit - value, 0.0) if limit < np.inf else 1.0
                        known[side, j] += rise / max(abs(end - k), 1e-6)
                        known[2 + side, j] += 1.0
                    gain *= max(min(rise, 1e30), 1e-9)
                cut(j, low[j] * lot[j], high[j] * lot[j], whole, part)
                if gain > score:
                    score, split = gain, j
        j = split
        k = here[j] / lot[j]
        if parts == 0:
            k = np.rint(k)
            if k < high[j]:
                down, up = k, above(k + 1.0, low[j], high[j], least[j])
            else:
                down, up = below(k - 1.0, low[j], high[j], least[j]), k
        else:
            down, up = below(k, low[j], high[j], least[j]), above(k, low[j], high[j], least[j])
        old_low, old_high = low[j], high[j]
        # both sides; the one that is likelier to stay is done last, so that its basis is at hand
        later = 1 if up - k <= k - down else 0
        ends_value = np.array([np.inf, np.inf])
        for turn in range(2):
            side = 1 - later if turn == 0 else later
            end = down if side == 0 else up
            if not abs(end) < np.inf:
                continue
            from_, to = (old_low, end) if side == 0 else (end, old_high)
            cut(j, from_ * lot[j], to * lot[j], whole, part)
            ended = run(part, tableau, scratch, limit, fresh)
            fresh = ended == TROUBLE
            if ended == OPTIMAL:
                ends_value[side] = max(facts[VALUE], value)
                if abs(end - k) > 1e-6:
                    known[side, j] += max(facts[VALUE] - value, 0.0) / abs(end - k)
                    known[2 + side, j] += 1.0
            elif ended == TROUBLE:
                lost = min(lost, value)
                state[LOST] += 1
            elif ended != INFEASIBLE:
                lost = min(lost, limit)
        for side in range(2):
            if limit <= ends_value[side] < np.inf:
                lost = min(lost, ends_value[side])
                ends_value[side] = np.inf
        low[j] = high[j] = np.nan  # its ladder is cut for the last side that was looked at
        go = later
        if ends_value[1 - later] < ends_value[later]:
            go = 1 - later
        if not ends_value[go] < np.inf:
            current = -1
            continue
        for turn in range(2):
            side = 1 - go if turn == 0 else go
            if not ends_value[side] < np.inf:
                continue
            i = state[USED]
            state[USED] += 1
            tree[0, i], tree[1, i] = current, j
            span[0, i] = old_low if side == 0 else up
            span[1, i] = down if side == 0 else old_high
            key[i] = ends_value[side]
            if side == go and facts[WORK] < work_limit and state[USED] + 2 < tree.shape[1]:
                low[j], high[j] = span[0, i], span[1, i]
                if side != later:
                    cut(j, low[j] * lot[j], high[j] * lot[j], whole, part)
                    ended = run(part, tableau, scratch, np.inf, fresh)
                    fresh = ended == TROUBLE
                    if ended != OPTIMAL:
                        lost = min(lost, ends_value[side])
                        state[LOST] += 1
                        current = -1
                        break
                current, value = i, ends_value[side]
            else:
                push(key, heap, state[OPEN], i)
                state[OPEN] += 1
                if side == go:
                    current = -1
    best[LOST_VALUE] = lost
    floor = lost
    if state[OPEN] > 0:
        floor = min(floor, key[heap[0]])
    best[FLOOR] = floor
    best[WORK_DONE] += facts[WORK]
    done = state[OPEN] == 0
    state[DONE] = 1 if done else 0
    return 1 if done else 0
