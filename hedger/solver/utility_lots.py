"""The loops of `hedger.solver.utility` that make a fractional optimum whole: dive, then moves of one or two.

Notation and state are those of `hedger.solver.utility_kernel`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import types

from hedger.solver.utility_kernel import (
    SOLVED,
    STATE,
    TERMS,
    FloatArray,
    IntArray,
    State,
    Terms,
    descend,
    refresh,
    remove,
)
from pricing.compiled import compiled, record


@compiled("(i8[::1], f8[::1], f8[::1], i8, f8)")
def ladder_cost(first: IntArray, knot: FloatArray, slope: FloatArray, j: int, x: float) -> float:
    """Cost of x of column j: the slopes added up from 0."""
    cost = 0.0
    for t in range(first[j], first[j + 1] - 1):
        if knot[t] >= 0.0:
            if x > knot[t]:
                cost += slope[t] * (min(x, knot[t + 1]) - knot[t])
        elif x < knot[t + 1]:
            cost -= slope[t] * (knot[t + 1] - max(x, knot[t]))
    return cost


@compiled("(f8, f8, i8, i8, i8)")
def to_lots(x: float, lot: float, least: int, most_buy: int, most_sell: int) -> int:
    """The nearest number of lots allowed: 0 or at least `least`, within the caps."""
    share = np.rint(x / lot)
    if np.isnan(share):  # of numbers beyond floats: no trade
        return 0
    near = int(min(max(share, -float(most_sell)), float(most_buy)))
    if near != 0 and abs(near) < least:
        near = 0 if 2.0 * abs(x) < least * lot else (least if near > 0 else -least)
    return min(max(near, -most_sell), most_buy)


class Sizes(NamedTuple):
    """What a column trades in, (n,): its lot; and in lots the least, the most bought, the most sold."""

    lot: FloatArray
    least: IntArray
    most_buy: IntArray
    most_sell: IntArray


SIZES = record(Sizes, {"lot": "f8[::1]", "least": "i8[::1]", "most_buy": "i8[::1]", "most_sell": "i8[::1]"})


@compiled((TERMS, STATE, types.float64, types.int64, SIZES, types.int64[::1]))
def dive(terms: Terms, state: State, tolerance: float, most: int, sizes: Sizes, lots: IntArray) -> int:
    """From the optimum to whole lots: the coarsest column that is off its lots goes to the nearest lot and
    stays there, the others adjust, and so on; the finest (perpetuals) come last and mend what is left.

    Terms, state, tolerance and `most` are those of `descend`. Writes lots (n,). How coarse: the effect of a
    lot on factors and rows.
    """
    effect, fixed, x, basis, counts = terms.effect, state.fixed, state.x, state.basis, state.counts
    lot, least, most_buy, most_sell = sizes
    n, k, rows = x.size, terms.value.size, terms.lower.size
    coarse = np.empty(n)
    for j in range(n):
        size = 0.0
        for f in range(k + rows):
            size = max(size, abs(effect[j, f]))
        coarse[j] = size * lot[j]
    outcome = SOLVED
    for _ in range(n + 1):
        pick = -1
        for j in range(n):
            if fixed[j]:
                continue
            share = x[j] / lot[j]
            near = np.rint(share)
            off = abs(share - near) > 1e-9 * (1.0 + abs(near)) or (near != 0.0 and abs(near) < least[j])
            if off and (pick < 0 or coarse[j] > coarse[pick]):
                pick = j
        if pick < 0:
            break
        x[pick] = to_lots(x[pick], lot[pick], least[pick], most_buy[pick], most_sell[pick]) * lot[pick]
        fixed[pick] = True
        for a in range(counts[0]):
            if basis[a] == pick:
                remove(basis, counts[0], a)
                counts[0] -= 1
                break
        outcome = descend(terms, state, tolerance, most)
    for j in range(n):
        lots[j] = to_lots(x[j], lot[j], least[j], most_buy[j], most_sell[j])
    return outcome


@compiled("(f8[::1], f8[::1], f8[::1], f8[::1], f8[::1], i8)")
def outside(
    total: FloatArray, change: FloatArray, lower: FloatArray, upper: FloatArray, wide: FloatArray, k: int
) -> float:
    """What rows are outside their interval by after a change, summed; less than `wide` is nothing."""
    over = 0.0
    for g in range(lower.size):
        here = total[k + g] + change[k + g]
        miss = max(lower[g] - here, here - upper[g])
        if miss > wide[g]:
            over += miss
    return over


@compiled(
    (TERMS, SIZES, types.float64[::1], types.float64[::1], types.int64[::1], types.int64[::1], types.int64)
)
def improve(
    terms: Terms,
    sizes: Sizes,
    wide: FloatArray,
    fixed_cost: FloatArray,
    chosen: IntArray,
    lots: IntArray,
    rounds: int,
) -> int:
    """Better whole lots by moves of one or two of the `chosen` columns, in place: one lot up or down, to
    nothing, to the least size. The best move of each round is taken; ends where none helps.

    wide (m,): a row missed by less counts as met; fixed_cost (n,): of a column that trades at all.
    """
    effect, _, first, knot, slope, value, lower, upper, penalty = terms
    lot, least, most_buy, most_sell = sizes
    n, k, rows, c = lots.size, value.size, lower.size, chosen.size
    x = np.empty(n)
    for j in range(n):
        x[j] = lots[j] * lot[j]
    total = np.empty(k + rows)
    per_lot = np.empty((c, k + rows))
    gram = np.empty((c, c))
    for a in range(c):
        for f in range(k + rows):
            per_lot[a, f] = effect[chosen[a], f] * lot[chosen[a]]
    for a in range(c):
        for b in range(c):
            dot = 0.0
            for f in range(k):
                dot += per_lot[a, f] * per_lot[b, f]
            gram[a, b] = dot
    heavy = 0.0
    for g in range(rows):
        heavy = max(heavy, penalty[g])
    heavy *= 10.0
    moves = np.empty((c, 4), dtype=np.int64)
    gains = np.empty((c, 4))
    change = np.zeros(k + rows)
    taken = 0
    for _ in range(rounds):
        refresh(effect, value, x, k, total)
        base = heavy * outside(total, change * 0.0, lower, upper, wide, k)
        for a in range(c):
            j = chosen[a]
            now = ladder_cost(first, knot, slope, j, lots[j] * lot[j])
            if lots[j] != 0:
                now += fixed_cost[j]
            pull = 0.0
            for f in range(k):
                pull += per_lot[a, f] * total[f]
            for s in range(4):
                move = 0
                if s < 2:
                    move = 1 if s == 0 else -1
                    if 0 < abs(lots[j] + move) < least[j]:
                        grows = (lots[j] + move > 0) == (move > 0)
                        move = (least[j] if move > 0 else -least[j]) - lots[j] if grows else -lots[j]
                elif s == 2:
                    move = -lots[j]
                elif lots[j] != 0:
                    move = -lots[j] + (least[j] if lots[j] < 0 else -least[j])
                moves[a, s] = move
                target = lots[j] + move
                if move == 0 or target > most_buy[j] or target < -most_sell[j]:
                    moves[a, s], gains[a, s] = 0, np.inf
                    continue
                cost = ladder_cost(first, knot, slope, j, target * lot[j])
                if target != 0:
                    cost += fixed_cost[j]
                gains[a, s] = cost - now + move * pull + 0.5 * move * move * gram[a, a]
        best, first_move, second_move = -1e-12, -1, -1
        for a in range(c):
            for s in range(4):
                if moves[a, s] == 0:
                    continue
                gain = gains[a, s]
                if rows > 0:
                    for f in range(k, k + rows):
                        change[f] = per_lot[a, f] * moves[a, s]
                    gain += heavy * outside(total, change, lower, upper, wide, k) - base
                if gain < best:
                    best, first_move, second_move = gain, 4 * a + s, -1
                for b in range(a):
                    for q in range(3):
                        if moves[b, q] == 0:
                            continue
                        gain = gains[a, s] + gains[b, q] + moves[a, s] * moves[b, q] * gram[a, b]
                        if gain - base >= best:
                            continue
                        if rows > 0:
                            for f in range(k, k + rows):
                                change[f] = per_lot[a, f] * moves[a, s] + per_lot[b, f] * moves[b, q]
                            gain += heavy * outside(total, change, lower, upper, wide, k) - base
                        if gain < best:
                            best, first_move, second_move = gain, 4 * a + s, 4 * b + q
        if first_move < 0:
            break
        taken += 1
        for move in (first_move, second_move):
            if move >= 0:
                j = chosen[move // 4]
                lots[j] += moves[move // 4, move % 4]
                x[j] = lots[j] * lot[j]
    return taken
