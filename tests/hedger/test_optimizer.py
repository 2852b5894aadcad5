"""The optimizer against brute force, scipy's linprog, its own certificate, and a textbook."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import FrozenInstanceError, replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import linprog

from hedger.optimizer import (
    HedgeProblem,
    Ladder,
    Plan,
    SolverSettings,
    Status,
    solve,
)
from hedger.problem.pairs import single_option_plans

Floats = NDArray[np.float64]
INF = float("inf")
MET = (Status.optimal, Status.time_limit)


# --------------------------------------------------------------------------------------- building problems


def ladder(*sides: Sequence[float]) -> Ladder:
    """buy_size, buy_cost, sell_size, sell_cost as plain lists."""
    buy_size, buy_cost, sell_size, sell_cost = (np.array(side, dtype=float) for side in sides)
    return Ladder(buy_size, buy_cost, sell_size, sell_cost)


def one_level(cost: float, size: float = 1e6, sell_cost: float | None = None) -> Ladder:
    """The same size on both sides at one price each."""
    return ladder([size], [cost], [size], [cost if sell_cost is None else sell_cost])


def problem(
    rows: dict[str, tuple[float, float, float]],
    columns: Mapping[str, tuple[Sequence[float], Ladder]],
    *,
    lot: Any = 1.0,
    min_size: Any = 0.0,
    cap: Any = INF,
    fixed_cost: Any = 0.0,
    priority: Any = None,
) -> HedgeProblem:
    """rows: name -> (exposure, lower, upper); columns: name -> (effect on each row, ladder)."""
    m, n = len(rows), len(columns)
    exposure, lower, upper = np.array(list(rows.values()), dtype=float).reshape(m, 3).T
    return HedgeProblem(
        rows=list(rows),
        exposure=exposure,
        lower=lower,
        upper=upper,
        columns=list(columns),
        per_unit=np.array([effect for effect, _ in columns.values()], dtype=float).reshape(n, m).T,
        ladders=[ladder for _, ladder in columns.values()],
        lot=np.full(n, lot),
        min_size=np.full(n, min_size),
        max_buy=np.full(n, cap),
        max_sell=np.full(n, cap),
        priority=priority,
        fixed_cost=fixed_cost,
    )


def random_ladder(rng: np.random.Generator, levels: int, lowest: float) -> Ladder:
    def side() -> tuple[Floats, Floats]:
        count = rng.integers(0, levels + 1)
        return rng.uniform(0.3, 3, count), np.sort(rng.uniform(lowest, 2, count))

    buy, sell = side(), side()
    return Ladder(*buy, *sell)


def random_problem(
    rng: np.random.Generator,
    m: int,
    n: int,
    *,
    levels: int = 3,
    lowest_cost: float = 0.0,
    fixed_cost: float = 0.0,
    lot_factor: float = 1.0,
    width_factor: float = 1.0,
    out: float = 3.0,
) -> HedgeProblem:
    """Rows whose units differ by up to 1e11, some open on one side; lots, minimum sizes, caps, depth bind."""
    unit = 10.0 ** rng.uniform(-5, 6, m)
    half = width_factor * rng.uniform(0.2, 2, m) * unit
    lower = np.where(rng.random(m) < 0.15, -INF, -half)
    lot = rng.choice([0.1, 0.25, 0.5, 1.0], n) * lot_factor
    return HedgeProblem(
        rows=[f"{name}:{g}" for g, name in enumerate(rng.choice(["delta", "gamma", "vega", "theta"], m))],
        exposure=out * rng.normal(size=m) * unit,
        lower=lower,
        upper=half,
        columns=[f"c{i}" for i in range(n)],
        per_unit=rng.normal(size=(m, n)) * unit[:, None],
        ladders=[random_ladder(rng, levels, lowest_cost) for _ in range(n)],
        lot=lot,
        min_size=lot * rng.choice([0, 1, 2, 3], n),
        max_buy=rng.uniform(0, 4, n),
        max_sell=rng.uniform(0, 4, n),
        fixed_cost=fixed_cost,
    )


# ---------------------------------------------------------------------------------- independent references


def levels_of(p: HedgeProblem) -> tuple[Floats, Floats, Floats]:
    """Effect (m, L), cost (L,) and size (L,) of every level, the caps cut off by hand."""
    effect, cost, size = [], [], []
    for i, shown in enumerate(p.ladders):
        for sign, sizes, costs, cap in (
            (1.0, shown.buy_size, shown.buy_cost, p.max_buy[i]),
            (-1.0, shown.sell_size, shown.sell_cost, p.max_sell[i]),
        ):
            left = float(cap)
            for amount, price in zip(sizes, costs, strict=True):
                effect.append(sign * p.per_unit[:, i])
                cost.append(price)
                size.append(min(amount, left))
                left -= size[-1]
    return np.array(effect).reshape(-1, len(p.rows)).T, np.array(cost), np.array(size)


def reference_lp(p: HedgeProblem) -> Any:
    """scipy.optimize.linprog on the LP of all levels; `fun` is inf where there is no plan."""
    effect, cost, size = levels_of(p)
    unit = np.abs(effect).max(axis=1, initial=0.0)
    unit[unit == 0] = 1.0
    above, below = np.isfinite(p.upper), np.isfinite(p.lower)
    scaled = effect / unit[:, None]
    matrix = np.vstack([scaled[above], -scaled[below]])
    ends = np.concatenate([((p.upper - p.exposure) / unit)[above], ((p.exposure - p.lower) / unit)[below]])
    answer = linprog(
        cost,
        matrix,
        ends,
        bounds=np.stack([np.zeros_like(size), size], axis=1),
        method="highs",
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )
    if answer.status == 2:
        answer.fun = INF
    assert answer.status in (0, 2)
    return answer


def ladder_cost(p: HedgeProblem, i: int, quantity: Floats) -> Floats:
    """Cost of signed quantities of one column, fixed cost included."""
    shown = p.ladders[i]
    total = np.zeros_like(quantity)
    for amount, sizes, costs in (
        (np.maximum(quantity, 0), shown.buy_size, shown.buy_cost),
        (np.maximum(-quantity, 0), shown.sell_size, shown.sell_cost),
    ):
        filled = np.concatenate([[0.0], np.cumsum(sizes)])
        paid = np.concatenate([[0.0], np.cumsum(sizes * costs)])
        total += np.interp(amount, filled, paid)
    return np.asarray(total + np.asarray(p.fixed_cost)[i] * (quantity != 0))


def lot_choices(p: HedgeProblem, i: int) -> list[int]:
    """Every number of lots of one column that may be traded."""
    shown = p.ladders[i]
    buy = min(shown.buy_size.sum(), p.max_buy[i])
    sell = min(shown.sell_size.sum(), p.max_sell[i])
    lots = range(-int(sell / p.lot[i] + 1e-6), int(buy / p.lot[i] + 1e-6) + 1)
    return [k for k in lots if k == 0 or abs(k) * p.lot[i] >= p.min_size[i] - 1e-9]


def row_weight(p: HedgeProblem) -> Floats:
    """One unit of slack, as `solve` documents it: the interval's width, else the farthest required move."""
    ends = np.abs([p.lower - p.exposure, p.upper - p.exposure])
    farthest = np.where(np.isfinite(ends), ends, 0.0).max(axis=0)
    width = p.upper - p.lower
    lot_effect = (np.abs(p.per_unit) * p.lot).max(axis=1, initial=0.0)
    move = np.where(farthest > 0, farthest, np.where(lot_effect > 0, lot_effect, 1.0))
    return np.asarray(np.where(np.isfinite(width) & (width >= 1e-6 * move), width, move))


@cache
def every_choice(most: int, n: int) -> NDArray[np.int64]:
    """(n, choices) -most to most lots of each column."""
    return np.array(list(itertools.product(range(-most, most + 1), repeat=n))).T


def whole_lots(p: HedgeProblem, choices: Sequence[Sequence[int]]) -> tuple[Floats, Floats]:
    """Cost (plans,) and exposure after (m, plans) of every plan of these lots."""
    cost, after = np.zeros(1), p.exposure[:, None]
    for i, lots in enumerate(choices):  # every plan so far with every choice of one more column
        quantity = np.array(lots) * p.lot[i]
        cost = np.add.outer(cost, ladder_cost(p, i, quantity)).ravel()
        effect = p.per_unit[:, i, None] * quantity
        after = (after[:, :, None] + effect[:, None, :]).reshape(len(p.rows), -1)
    return cost, after


def brute_force(p: HedgeProblem, most: int = 300_000) -> tuple[list[float], float] | None:
    """Least weighted slack per priority in turn, then least cost, over all whole lots; None when too many."""
    choices = [lot_choices(p, i) for i in range(len(p.columns))]
    if np.prod([len(c) for c in choices]) > most:
        return None
    cost, after = whole_lots(p, choices)
    over = np.maximum(np.maximum(p.lower[:, None] - after, after - p.upper[:, None]), 0.0)
    weight = row_weight(p)[:, None]
    over = np.where(over > 1e-9 * weight, over / weight, 0.0)
    alive = np.arange(over.shape[1])
    sums = []
    for rank in np.unique(np.asarray(p.priority)):
        total = over[np.asarray(p.priority) == rank].sum(axis=0)[alive]
        sums.append(float(total.min()))
        alive = alive[total <= total.min() + 1e-9 * (1 + total.min())]
    return sums, float(cost[alive].min())


def weighted_slack(p: HedgeProblem, plan: Plan) -> list[float]:
    ranks = np.asarray(p.priority)
    return [float((plan.slack / row_weight(p))[ranks == rank].sum()) for rank in np.unique(ranks)]


def assert_sound(p: HedgeProblem, plan: Plan) -> None:
    """What holds of every plan: lots, minimum sizes, caps, depth, its own arithmetic, its bound."""
    q = plan.quantity
    lots = q / p.lot
    assert np.allclose(lots, np.rint(lots), rtol=0, atol=1e-6)
    for i, shown in enumerate(p.ladders):
        assert q[i] <= min(shown.buy_size.sum(), p.max_buy[i])
        assert -q[i] <= min(shown.sell_size.sum(), p.max_sell[i])
        assert q[i] == 0 or abs(q[i]) >= p.min_size[i] * (1 - 1e-12)
    np.testing.assert_array_equal(plan.exposure_after, p.exposure + p.per_unit @ q)
    cost = sum(float(ladder_cost(p, i, q[i : i + 1])[0]) for i in range(len(q)))
    assert plan.cost == pytest.approx(cost, rel=1e-12, abs=1e-12)
    assert plan.lower_bound <= plan.cost
    assert (plan.shadow_price >= 0).all() and (plan.slack >= 0).all()
    assert ((plan.shadow_price > 0) == (plan.binding != 0)).all()
    below, above = p.lower - plan.exposure_after, plan.exposure_after - p.upper
    farthest = np.abs([p.lower - p.exposure, p.upper - p.exposure])
    farthest = np.where(np.isfinite(farthest), farthest, 0.0).max(axis=0, initial=0.0)
    lot_effect = (np.abs(p.per_unit) * p.lot).max(axis=1, initial=0.0)
    magnitude = np.abs([p.exposure, np.where(np.isfinite(p.upper), p.upper, 0.0)]).max(axis=0, initial=0.0)
    tolerance = 1.01 * (1e-9 * farthest + 1e-10 * lot_effect + 1e-14 * magnitude)
    missed = np.maximum(np.maximum(below, above), 0.0)
    assert (missed <= plan.slack + tolerance).all()
    assert (plan.slack <= missed).all()
    assert (plan.status is Status.relaxed) == bool(plan.slack.any())
    assert all(
        np.isfinite(values).all() for values in (q, plan.exposure_after, plan.shadow_price, plan.slack)
    )


# --------------------------------------------------------------------------------------------- brute force


@pytest.mark.parametrize("block", range(8))
def test_whole_lots_equal_brute_force(block: int) -> None:
    """400 problems: the slack of each priority and the cost are those of the best of all whole-lot plans."""
    seen: Counter[Status] = Counter()
    for seed in range(100 * block, 100 * block + 50):
        rng = np.random.default_rng(seed)
        p = random_problem(
            rng,
            int(rng.integers(1, 4 if seed % 3 else 5)),
            int(rng.integers(2, 5)),
            lowest_cost=-0.2 if seed % 3 == 0 else 0.0,
            fixed_cost=0.0 if seed % 2 else 0.3,
            width_factor=1.5 if seed % 4 else 1.0,
            out=2.0 if seed % 5 else 3.0,
        )
        best = brute_force(p)
        if best is None:
            continue
        plan = solve(p)
        seen[plan.status] += 1
        assert_sound(p, plan)
        if plan.status is Status.no_trade:
            continue
        assert weighted_slack(p, plan) == pytest.approx(best[0], rel=1e-9, abs=1e-9), seed
        assert plan.cost == pytest.approx(best[1], rel=1e-9, abs=1e-9), seed
    assert seen[Status.optimal] >= 10 and seen[Status.relaxed] >= 10 and not seen[Status.time_limit]


def test_an_optimum_exactly_on_the_edge_is_kept() -> None:
    """All numbers are small multiples of 0.1, so most optima end exactly on an interval's end, where floating
    point cannot tell inside from outside; the reference counts in whole tenths."""
    on_the_edge = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        m, n = int(rng.integers(1, 4)), int(rng.integers(2, 5))
        effect = rng.integers(-7, 8, (m, n))
        tenths = rng.integers(-60, 61, m)
        half = rng.integers(0, 12, m)
        price = rng.integers(1, 40, (n, 2))
        unit = 10.0 ** rng.integers(-6, 7, m)
        most = 5
        p = HedgeProblem(
            rows=[f"vega:{g}" for g in range(m)],
            exposure=tenths / 10 * unit,
            lower=-half / 10 * unit,
            upper=half / 10 * unit,
            columns=[f"c{i}" for i in range(n)],
            per_unit=effect * unit[:, None],
            ladders=[ladder([0.5], [price[i, 0]], [0.5], [price[i, 1]]) for i in range(n)],
            lot=np.full(n, 0.1),
            min_size=np.full(n, 0.1),
            max_buy=np.full(n, INF),
            max_sell=np.full(n, INF),
        )
        lots = every_choice(most, n)
        after = tenths[:, None] + effect @ lots
        inside = (np.abs(after) <= half[:, None]).all(axis=0)
        plan = solve(p)
        assert_sound(p, plan)
        if not inside.any():
            assert plan.status is Status.relaxed
            continue
        assert plan.status in (Status.optimal, Status.no_trade)
        costs = np.where(lots > 0, lots * price[:, :1], -lots * price[:, 1:]).sum(axis=0)
        cheapest = costs[inside].min()
        assert 10 * plan.cost == pytest.approx(cheapest, rel=1e-9, abs=1e-9)
        edge = (np.abs(after) == half[:, None]).any(axis=0)
        on_the_edge += bool(edge[inside & (costs == cheapest)].all() and plan.status is Status.optimal)
    assert on_the_edge >= 20


def test_a_fine_perp_beside_coarse_options_equals_brute_force() -> None:
    """The perp has 40,000 lots of 10 USD, the options a few: for each choice of options the perp is known."""
    checked = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        spot, n = 50_000.0, 3
        effect = np.vstack([rng.uniform(-1, 1, n), rng.uniform(0.5, 3, n) * 1e-5])
        option = [one_level(rng.uniform(20, 200), 1.2) for _ in range(n)]
        p = HedgeProblem(
            rows=["delta:BTC", "gamma:BTC"],
            exposure=np.array([rng.normal() * 3, -rng.uniform(2, 5) * 1e-5]),
            lower=np.array([-0.01, -1e-5]),
            upper=np.array([0.01, 1e-5]),
            columns=["a", "b", "c", "perp"],
            per_unit=np.hstack([effect, [[1 / spot], [0.0]]]),
            ladders=[*option, one_level(6e-4, 4e5)],
            lot=np.array([0.1] * n + [10.0]),
            min_size=np.array([0.1] * n + [10.0]),
            max_buy=np.full(n + 1, INF),
            max_sell=np.full(n + 1, INF),
        )
        lots = every_choice(12, n)
        after = p.exposure[:, None] + effect @ (lots * 0.1)
        # the fewest perp lots that bring delta inside
        step = 10.0 / spot
        need = np.where(
            after[0] > 0.01,
            -np.ceil((after[0] - 0.01) / step - 1e-6),
            np.where(after[0] < -0.01, np.ceil((-0.01 - after[0]) / step - 1e-6), 0.0),
        )
        good = (np.abs(after[1]) <= 1e-5 * (1 + 1e-9)) & (np.abs(need) <= 40_000)
        cost = sum(ladder_cost(p, i, lots[i] * 0.1) for i in range(n)) + np.abs(need) * 10 * 6e-4
        plan = solve(p)
        assert_sound(p, plan)
        if good.any():
            assert plan.status is Status.optimal
            assert plan.cost == pytest.approx(np.asarray(cost)[good].min(), rel=1e-9)
            checked += 1
    assert checked >= 15


# -------------------------------------------------------------------------------------- the LP certificate


def test_the_bound_is_linprogs_optimum() -> None:
    """100 LPs of up to 80 columns and 8 rows, units apart by up to 1e11: equal to 1e-8 relative; every
    infeasible one is relaxed."""
    compared = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        p = random_problem(rng, int(rng.integers(1, 9)), int(rng.integers(1, 81)))
        plan = solve(p, SolverSettings(time_limit_s=0.1, gap=0.5))
        if plan.status is Status.no_trade:
            continue
        expected = reference_lp(p).fun
        if plan.status in MET:
            assert plan.lower_bound == pytest.approx(expected, rel=1e-8, abs=1e-12), seed
            compared += 1
        elif expected == INF:
            assert plan.status is Status.relaxed
    assert compared >= 65


def test_a_relaxed_plans_bound_is_linprogs_optimum_at_its_slack() -> None:
    compared = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        p = random_problem(rng, 4, int(rng.integers(2, 12)), out=6.0)
        plan = solve(p)
        if plan.status is Status.relaxed:
            wide = replace(
                p,
                lower=np.minimum(p.lower, plan.exposure_after),
                upper=np.maximum(p.upper, plan.exposure_after),
            )
            loose = 1e-8 * row_weight(p)
            wide = replace(wide, lower=wide.lower - loose, upper=wide.upper + loose)
            assert plan.lower_bound == pytest.approx(reference_lp(wide).fun, rel=1e-5, abs=1e-6), seed
            compared += 1
    assert compared >= 40


def test_shadow_prices_meet_the_optimality_conditions() -> None:
    """Dual feasible by construction, strong duality, complementary with linprog's solution of the same LP."""
    compared = 0
    for seed in range(75):
        rng = np.random.default_rng(1000 + seed)
        p = random_problem(rng, int(rng.integers(1, 7)), int(rng.integers(5, 60)))
        plan = solve(p, SolverSettings(time_limit_s=0.1, gap=0.5))
        if plan.status not in MET:
            continue
        effect, cost, size = levels_of(p)
        price = -plan.binding * plan.shadow_price  # > 0: the lower end holds
        ends = np.where(price > 0, p.lower, p.upper)
        assert np.isfinite(ends[price != 0]).all()  # an open side is never binding
        need = np.where(price != 0, ends - p.exposure, 0.0)
        reduced = cost - price @ effect
        dual_value = price @ need + np.minimum(reduced, 0.0) @ size
        reference = reference_lp(p)
        scale = max(abs(reference.fun), 1e-3)
        assert dual_value == pytest.approx(reference.fun, rel=1e-9, abs=1e-12)
        # complementary: a priced row is at its end, a level with a positive reduced cost is unused, one with
        # a negative reduced cost is taken whole
        assert np.abs(price * (effect @ reference.x - need))[price != 0].max(initial=0.0) <= 1e-7 * scale
        assert (np.maximum(reduced, 0.0) * reference.x).max(initial=0.0) <= 1e-7 * scale
        assert (np.maximum(-reduced, 0.0) * (size - reference.x)).max(initial=0.0) <= 1e-7 * scale
        compared += 1
    assert compared >= 50


def test_a_shadow_price_is_the_fall_of_the_bound_per_unit() -> None:
    compared = 0
    quick = SolverSettings(time_limit_s=0.1, gap=0.5)
    for seed in range(30):
        rng = np.random.default_rng(seed)
        p = random_problem(rng, int(rng.integers(1, 5)), int(rng.integers(15, 40)), lot_factor=0.01)
        plan = solve(p, quick)
        if plan.status not in MET:
            continue
        for g in np.flatnonzero(plan.binding):
            step = 1e-6 * (p.upper[g] - p.exposure[g] if plan.binding[g] > 0 else p.lower[g] - p.exposure[g])
            falls = []
            for sign in (1.0, -1.0):  # outward, then inward
                move = np.zeros(len(p.rows))
                move[g] = sign * abs(step)
                upper, lower = (p.upper + move, p.lower) if plan.binding[g] > 0 else (p.upper, p.lower - move)
                moved = solve(replace(p, lower=lower, upper=upper), quick)
                falls.append(sign * (plan.lower_bound - moved.lower_bound) / abs(step))
            if falls[0] == pytest.approx(falls[1], rel=1e-3):  # not at a kink of the bound
                assert falls[0] == pytest.approx(plan.shadow_price[g], rel=1e-3)
                compared += 1
        for g in np.flatnonzero(plan.binding == 0):
            assert plan.shadow_price[g] == 0.0
    assert compared >= 30


# --------------------------------------------------------------------------------------------- invariances


def small(seed: int, *, fixed_cost: float = 0.0) -> HedgeProblem:
    rng = np.random.default_rng(seed)
    m, n = int(rng.integers(1, 4)), int(rng.integers(2, 9))
    return random_problem(rng, m, n, width_factor=1.5, out=2.0, fixed_cost=fixed_cost)


def same_plan(a: Plan, b: Plan) -> None:
    assert a.status is b.status
    assert a.cost == pytest.approx(b.cost, rel=1e-9, abs=1e-9)
    assert a.lower_bound == pytest.approx(b.lower_bound, rel=1e-8, abs=1e-9)


def test_more_depth_or_lower_costs_are_never_dearer() -> None:
    compared = 0
    for seed in range(80):
        p = small(seed)
        rng = np.random.default_rng(seed)
        plan = solve(p)
        if plan.status is not Status.optimal:
            continue
        more, cheaper = rng.uniform(1, 2), rng.uniform(0.5, 1)
        deep = [Ladder(x.buy_size * more, x.buy_cost, x.sell_size * more, x.sell_cost) for x in p.ladders]
        cheap = [
            Ladder(x.buy_size, x.buy_cost * cheaper, x.sell_size, x.sell_cost * cheaper) for x in p.ladders
        ]
        for easier in (
            replace(p, ladders=deep),
            replace(p, ladders=cheap),
            replace(p, max_buy=p.max_buy * 2, max_sell=p.max_sell * 2),
            replace(p, upper=p.upper * 1.1),
            replace(p, min_size=np.zeros(len(p.columns))),
        ):
            better = solve(easier)
            assert better.status in (Status.optimal, Status.no_trade)
            assert better.cost <= plan.cost * (1 + 1e-9)
            assert better.lower_bound <= plan.lower_bound * (1 + 1e-9)
        compared += 1
    assert compared >= 20


def test_the_order_of_rows_and_columns_does_not_matter() -> None:
    for seed in range(40):
        p = small(seed, fixed_cost=0.1)
        rng = np.random.default_rng(seed)
        g, i = rng.permutation(len(p.rows)), rng.permutation(len(p.columns))
        shuffled = HedgeProblem(
            rows=[p.rows[k] for k in g],
            exposure=p.exposure[g],
            lower=p.lower[g],
            upper=p.upper[g],
            columns=[p.columns[k] for k in i],
            per_unit=p.per_unit[np.ix_(g, i)],
            ladders=[p.ladders[k] for k in i],
            lot=p.lot[i],
            min_size=p.min_size[i],
            max_buy=p.max_buy[i],
            max_sell=p.max_sell[i],
            fixed_cost=0.1,
        )
        plan, other = solve(p), solve(shuffled)
        same_plan(plan, other)
        assert_sound(shuffled, other)
        assert weighted_slack(p, plan) == pytest.approx(weighted_slack(shuffled, other), abs=1e-9)


def test_units_of_rows_and_columns_do_not_matter() -> None:
    """A column in coins or lots, a row in coin/USD or anything else: the same trades, cost and bound."""
    for seed in range(40):
        p = small(seed)
        rng = np.random.default_rng(seed)
        column = 10.0 ** rng.uniform(-4, 4, len(p.columns))  # new units per old unit
        row = 10.0 ** rng.uniform(-4, 4, len(p.rows))
        other_units = replace(
            p,
            exposure=p.exposure * row,
            lower=p.lower * row,
            upper=p.upper * row,
            per_unit=p.per_unit * row[:, None] / column,
            ladders=[
                Ladder(x.buy_size * c, x.buy_cost / c, x.sell_size * c, x.sell_cost / c)
                for x, c in zip(p.ladders, column, strict=True)
            ],
            lot=p.lot * column,
            min_size=p.min_size * column,
            max_buy=p.max_buy * column,
            max_sell=p.max_sell * column,
        )
        plan, other = solve(p), solve(other_units)
        same_plan(plan, other)
        np.testing.assert_allclose(other.quantity, plan.quantity * column, rtol=1e-9)
        np.testing.assert_allclose(other.shadow_price * row, plan.shadow_price, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(other.slack, plan.slack * row, rtol=1e-6)


def test_the_same_problem_gives_the_same_plan() -> None:
    """As long as the time limit does not cut the search: what a clock cuts cannot be reproduced."""
    p = random_problem(np.random.default_rng(3), 3, 70)
    patient = SolverSettings(time_limit_s=600.0)
    a, b = solve(p, patient), solve(p, patient)
    assert a.status is Status.optimal
    for name in ("quantity", "exposure_after", "shadow_price", "slack", "binding", "kept"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    assert (a.cost, a.lower_bound, a.gap, a.status, a.reason) == (
        b.cost,
        b.lower_bound,
        b.gap,
        b.status,
        b.reason,
    )


# ---------------------------------------------------------------------------------- what a plan never does


def test_inside_all_bands_nothing_is_traded_even_for_income() -> None:
    free_money = one_level(-5.0)
    for exposure in (0.0, 0.5, 1.0, -1.0):  # the ends belong to the interval
        p = problem({"delta:BTC": (exposure, -1.0, 1.0)}, {"a": ([0.1], free_money)})
        plan = solve(p)
        assert plan.status is Status.no_trade
        assert plan.cost == 0.0 and plan.lower_bound == 0.0 and plan.gap == 0.0
        assert not plan.quantity.any() and not plan.shadow_price.any() and not plan.binding.any()
        assert "inside" in plan.reason


def test_open_sides_never_call_for_a_trade() -> None:
    p = problem(
        {"gamma:BTC": (5e3, 0.0, INF), "vega:BTC": (-9e9, -INF, 0.0)}, {"a": ([1.0, 1.0], one_level(1.0))}
    )
    assert solve(p).status is Status.no_trade
    one_sided = problem({"gamma:BTC": (-5.0, 0.0, INF)}, {"a": ([1.0], one_level(1.0))})
    assert solve(one_sided).quantity.tolist() == [5.0]


def test_nothing_is_bought_and_sold_at_once_though_it_would_pay() -> None:
    """Both sides of `a` earn money; only one may be used, and it must still serve the row."""
    p = problem(
        {"delta:BTC": (10.0, -1.0, 1.0)},
        {"a": ([1.0], one_level(-2.0, 20.0)), "b": ([1.0], one_level(0.5, 20.0))},
    )
    plan = solve(p)
    best = brute_force(p)
    assert best is not None
    assert plan.cost == pytest.approx(best[1])
    assert plan.lower_bound <= plan.cost
    assert_sound(p, plan)


def test_minimum_size_is_zero_or_more_than_it() -> None:
    rows = {"delta:BTC": (1.2, -1.0, 1.0)}
    columns = {"a": ([1.0], one_level(1.0)), "b": ([1.0], one_level(3.0))}
    cheap = solve(problem(rows, columns, lot=0.1, min_size=[0.5, 0.1]))
    # selling 0.5 of a costs 0.5; 0.2 of b costs 0.6
    assert cheap.quantity.tolist() == [-0.5, 0.0]
    dear = solve(problem(rows, columns, lot=0.1, min_size=[0.7, 0.1]))
    np.testing.assert_allclose(dear.quantity, [0.0, -0.2])
    odd = solve(problem(rows, {"a": columns["a"]}, lot=0.2, min_size=0.5))  # a minimum between two lots
    np.testing.assert_allclose(odd.quantity, [-0.6])


def test_fixed_cost_is_paid_once_and_can_turn_the_choice() -> None:
    rows = {"delta:BTC": (11.0, -1.0, 1.0)}
    columns = {"a": ([1.0], one_level(1.0)), "b": ([1.0], one_level(1.5))}
    plan = solve(problem(rows, columns, fixed_cost=[8.0, 1.0]))
    assert plan.quantity.tolist() == [0.0, -10.0]
    assert plan.cost == pytest.approx(16.0)
    assert plan.lower_bound == pytest.approx(
        10.0
    )  # the LP leaves fixed costs out: a lower bound all the same
    assert solve(problem(rows, columns, fixed_cost=2.0)).quantity.tolist() == [-10.0, 0.0]


def test_displayed_size_and_caps_cut_at_whole_lots() -> None:
    """0.3 shown in lots of 0.1 is three lots though 0.3 / 0.1 < 3; 0.35 is three lots too."""
    for shown in (0.3, 0.35):
        p = problem({"delta:BTC": (9.0, -1.0, 1.0)}, {"a": ([1.0], one_level(1.0, shown))}, lot=0.1)
        plan = solve(p)
        np.testing.assert_allclose(plan.quantity, [-0.3], rtol=1e-15)
        assert -plan.quantity[0] <= shown
    capped = solve(
        problem({"delta:BTC": (9.0, -1.0, 1.0)}, {"a": ([1.0], one_level(1.0))}, lot=0.1, cap=0.25)
    )
    np.testing.assert_allclose(capped.quantity, [-0.2])


def test_levels_are_taken_in_order_and_priced_one_by_one() -> None:
    bids = ladder([], [], [2.0, 3.0, 10.0], [1.0, 2.0, 5.0])
    plan = solve(problem({"delta:BTC": (8.0, -1.0, 1.0)}, {"a": ([1.0], bids)}))
    assert plan.quantity.tolist() == [-7.0]
    assert plan.cost == pytest.approx(2 * 1.0 + 3 * 2.0 + 2 * 5.0)
    assert plan.shadow_price.tolist() == pytest.approx([5.0])
    assert plan.binding.tolist() == [1]


@st.composite
def problems(draw: st.DrawFn) -> HedgeProblem:
    """Small whole numbers, so that ties, edges, zero effects, empty sides and empty problems are common."""
    m, n = draw(st.integers(1, 3)), draw(st.integers(0, 4))
    whole = st.integers(-6, 6)

    def any_ladder() -> Ladder:
        sides: list[list[float]] = []
        for _ in range(2):
            steps = draw(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), max_size=2))
            first = draw(st.integers(-1, 4))
            sides.append([size / 2 for size, _ in steps])
            sides.append(list(np.cumsum([first, *[rise for _, rise in steps]])[1:] * 1.0))
        return ladder(*sides)

    ends = [sorted((draw(whole), draw(whole))) for _ in range(m)]
    kinds = draw(st.lists(st.sampled_from(["delta", "gamma", "vega", "x"]), min_size=m, max_size=m))
    scale = np.array(draw(st.lists(st.sampled_from([1e-5, 1.0, 1e7]), min_size=m, max_size=m)))
    return HedgeProblem(
        rows=[f"{kind}:{g}" for g, kind in enumerate(kinds)],
        exposure=np.array([draw(st.integers(-15, 15)) for _ in range(m)]) * scale,
        lower=np.array([-INF if draw(st.booleans()) and draw(st.booleans()) else low for low, _ in ends])
        * scale,
        upper=np.array([INF if draw(st.booleans()) and draw(st.booleans()) else high for _, high in ends])
        * scale,
        columns=[f"c{i}" for i in range(n)],
        per_unit=np.array([draw(whole) for _ in range(m * n)], dtype=float).reshape(m, n) * scale[:, None],
        ladders=[any_ladder() for _ in range(n)],
        lot=np.array([draw(st.sampled_from([0.1, 0.5, 1.0])) for _ in range(n)]),
        min_size=np.array([draw(st.sampled_from([0.0, 0.5, 1.0])) for _ in range(n)]),
        max_buy=np.array([draw(st.sampled_from([0.0, 1.0, 2.5, INF])) for _ in range(n)]),
        max_sell=np.array([draw(st.sampled_from([0.0, 1.0, 2.5, INF])) for _ in range(n)]),
        fixed_cost=draw(st.sampled_from([0.0, 0.5])),
    )


@given(problems())
@settings(deadline=None, max_examples=150)
def test_every_plan_is_sound_and_no_whole_lots_beat_it(p: HedgeProblem) -> None:
    plan = solve(p)
    assert_sound(p, plan)
    best = brute_force(p, 20_000) if p.columns else None
    if best is not None and plan.status is not Status.no_trade:
        assert weighted_slack(p, plan) == pytest.approx(best[0], rel=1e-8, abs=1e-8)
        assert plan.cost == pytest.approx(best[1], rel=1e-8, abs=1e-8)


def test_a_limit_that_holds_at_its_edge_hides_no_cheaper_lots() -> None:
    """Both [5, 1] and [0, 3] lots leave the least slack; the second costs half."""
    nothing: list[float] = []
    p = HedgeProblem(
        rows=["delta:0", "delta:1"],
        exposure=np.array([-8e-5, 0.0]),
        lower=np.array([4e-5, 0.0]),
        upper=np.array([4e-5, 3e-5]),
        columns=["c0", "c1", "c2"],
        per_unit=np.array([[0.0, 6e-5, 3e-5], [0.0, 4e-5, 2e-5]]),
        ladders=[
            ladder(nothing, nothing, nothing, nothing),
            ladder([1.5], [2.0], [1.5], [0.0]),
            ladder([1.0, 1.5], [0.0, 1.0], nothing, nothing),
        ],
        lot=np.array([0.1, 0.1, 0.5]),
        min_size=np.zeros(3),
        max_buy=np.array([0.0, 2.5, 2.5]),
        max_sell=np.array([0.0, 2.5, 0.0]),
    )
    plan = solve(p)
    assert plan.cost == pytest.approx(0.5, rel=1e-9)
    np.testing.assert_allclose(plan.quantity, [0.0, 0.0, 1.5])


@given(st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=15)
def test_plans_of_many_columns_are_sound(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = random_problem(rng, int(rng.integers(2, 9)), int(rng.integers(20, 150)), lowest_cost=-0.05)
    plan = solve(p, SolverSettings(time_limit_s=0.05, columns=30))
    assert_sound(p, plan)
    outside = np.setdiff1d(np.arange(len(p.columns)), plan.kept)
    assert not plan.quantity[outside].any()


# ------------------------------------------------------------------------------------------ when none fits


def test_a_row_that_no_column_moves_is_named() -> None:
    p = problem(
        {"delta:BTC": (3.0, -1.0, 1.0), "vega:BTC": (9.0, -2.0, 2.0)}, {"perp": ([1.0, 0.0], one_level(0.1))}
    )
    plan = solve(p)
    assert plan.status is Status.relaxed
    assert plan.slack.tolist() == [0.0, 7.0]
    assert plan.quantity.tolist() == [-2.0]  # the row that can be met still is
    assert "vega:BTC ends at 9, 7 beyond its upper end 2: no column moves this row down" in plan.reason
    assert "delta" not in plan.reason
    # the bound and the prices are those of the rows as the plan leaves them
    assert plan.lower_bound == pytest.approx(0.2)
    assert plan.shadow_price.tolist() == pytest.approx([0.1, 0.0])


def test_a_side_that_is_not_shown_moves_nothing() -> None:
    only_bids = ladder([], [], [10.0], [1.0])
    plan = solve(problem({"gamma:BTC": (-5.0, -1.0, 1.0)}, {"option": ([1.0], only_bids)}))
    assert plan.slack.tolist() == [4.0]
    assert "no column moves this row up" in plan.reason


def test_displayed_size_and_cap_are_told_apart() -> None:
    rows = {"gamma:BTC": (-50.0, -1.0, 1.0)}
    shown = solve(problem(rows, {"BTC-C": ([2.0], one_level(1.0, 10.0))}))
    assert shown.quantity.tolist() == [10.0]
    assert shown.slack.tolist() == pytest.approx([29.0])
    assert "buying BTC-C is at its displayed size 10 (one unit more takes off 2)" in shown.reason
    capped = solve(problem(rows, {"BTC-C": ([2.0], one_level(1.0, 10.0))}, cap=4.0))
    assert capped.quantity.tolist() == [4.0]
    assert "buying BTC-C is at its cap 4 (one unit more takes off 2)" in capped.reason


def test_delta_goes_before_gamma_before_vega_before_the_rest() -> None:
    """One column, opposite wishes: the row of the first priority wins, and the loser names it."""
    for winner, loser in itertools.combinations(["delta:BTC", "gamma:BTC", "vega:BTC", "theta:BTC"], 2):
        for rows in ([winner, loser], [loser, winner]):
            effect = [1.0 if row == winner else -1.0 for row in rows]
            p = problem(dict.fromkeys(rows, (10.0, -1.0, 1.0)), {"a": (effect, one_level(1.0))})
            plan = solve(p)
            assert plan.status is Status.relaxed
            assert plan.slack[rows.index(winner)] == 0.0
            assert plan.slack[rows.index(loser)] == pytest.approx(18.0)  # the least the winner's end allows
            assert f"end of {winner} is in the way (a unit wider takes off 1)" in plan.reason


def test_priorities_can_be_given() -> None:
    rows = {"delta:BTC": (10.0, -1.0, 1.0), "vega:BTC": (10.0, -1.0, 1.0)}
    p = problem(rows, {"a": ([1.0, -1.0], one_level(1.0))}, priority=[7, -3])
    plan = solve(p)
    assert plan.slack[1] == 0.0 and plan.slack[0] == pytest.approx(18.0)


def test_lots_too_coarse_for_the_interval_are_said_to_be_so() -> None:
    p = problem({"delta:BTC": (0.5, -0.1, 0.1)}, {"future": ([1.0], one_level(1.0))})
    plan = solve(p)
    assert plan.status is Status.relaxed
    assert plan.slack.tolist() == pytest.approx([0.4])
    assert plan.cost == 0.0  # selling one leaves as much slack and costs money
    assert "lots are too coarse" in plan.reason and "moves it by 1;" in plan.reason
    tiny = solve(problem({"delta:BTC": (5.0, -0.1, 0.1)}, {"future": ([1.0], one_level(1.0, 5.5))}, lot=6.0))
    assert "no column that moves it has one minimum trade displayed and allowed" in tiny.reason


def test_no_columns_at_all_is_an_answer() -> None:
    plan = solve(problem({"delta:BTC": (5.0, -1.0, 1.0)}, {}))
    assert plan.status is Status.relaxed
    assert plan.slack.tolist() == [4.0] and plan.quantity.shape == (0,)
    assert "no column moves this row down" in plan.reason


def test_the_kept_columns_are_widened_before_a_row_is_given_up() -> None:
    """The LP wants half a lot of the cheap option; only the ninth dearest has a lot that fits."""
    columns = {f"coarse{i}": ([1.0], one_level(1.0 + 0.1 * i)) for i in range(8)}
    columns["fine"] = ([0.5], one_level(5.0))
    p = problem({"gamma:BTC": (0.5, -0.1, 0.1)}, columns)
    plan = solve(p, SolverSettings(columns=2))
    assert plan.status is Status.optimal
    assert plan.quantity[-1] == -1.0 and np.count_nonzero(plan.quantity) == 1
    assert plan.lower_bound == pytest.approx(0.4)
    assert plan.gap == pytest.approx((5.0 - 0.4) / 5.0)


def test_the_bound_looks_at_every_column_and_the_lots_at_the_kept_ones() -> None:
    rng = np.random.default_rng(0)
    columns = {f"c{i}": ([rng.uniform(0.5, 1.5)], one_level(rng.uniform(1, 3), 2.0)) for i in range(200)}
    p = problem({"gamma:BTC": (40.0, -1.0, 1.0)}, columns, lot=0.1)
    plan = solve(p, SolverSettings(columns=40))
    assert len(plan.kept) == 40
    assert plan.lower_bound == pytest.approx(reference_lp(p).fun, rel=1e-9)
    assert plan.status is Status.optimal and plan.gap <= 1e-3


def test_stopped_early_the_best_plan_so_far_is_returned_with_its_gap() -> None:
    """40 nearly equal options with fixed costs: no solver closes that gap to zero in 0.3 s."""
    rng = np.random.default_rng(1)
    columns = {
        f"c{i}": (rng.uniform(0.8, 1.2, 3).tolist(), one_level(rng.uniform(0.9, 1.1), 3.0)) for i in range(40)
    }
    rows = {f"vega:{g}": (50.3, -1.0, 1.0) for g in range(3)}
    p = problem(rows, columns, fixed_cost=1.0, lot=0.1)
    plan = solve(p, SolverSettings(time_limit_s=0.3, gap=0.0))
    assert plan.status is Status.time_limit
    assert plan.gap == pytest.approx((plan.cost - plan.lower_bound) / plan.cost)
    assert plan.gap > 0
    assert "a cheaper one may exist" in plan.reason
    assert_sound(p, plan)


# --------------------------------------------------------- large problems, whatever time the clock leaves

BUCKETS = ("0-7d", "7-30d", "30-90d", "90-180d", "180-360d", "360-720d", "720d+")


def chain(seed: int, overload: float, *, random_effects: bool = False) -> HedgeProblem:
    """Two underlyings of 400 columns and 11 rows each: options, a perpetual, a dated future.

    `overload`: what the book asks for at most, as a share of what the displayed sizes could move a row by.
    """
    rng = np.random.default_rng(seed)
    names = ("BTC", "ETH")
    rows = [f"{kind}:{u}" for u in names for kind in ("delta", "gamma", "vega", "theta")]
    rows += [f"vega:{u}:{bucket}" for u in names for bucket in BUCKETS]
    m, n = len(rows), 800
    effect, sizes, costs = np.zeros((m, n)), np.zeros(n), np.zeros(n)
    lot, least = np.zeros(n), np.zeros(n)
    columns = []
    for i in range(n):
        u = names[i % 2]
        if i < 4:
            columns.append(f"{u}-{'PERP' if i < 2 else 'FUTURE'}")
            effect[rows.index(f"delta:{u}"), i] = 2e-5
            sizes[i], costs[i], lot[i], least[i] = (
                (5e6, 6e-4, 10.0, 10.0) if i < 2 else (1e6, 9e-4, 10.0, 100.0)
            )
            continue
        columns.append(f"{u}-{i}")
        bucket = int(rng.integers(len(BUCKETS)))
        years = (bucket + rng.uniform(0.2, 1.2)) ** 2 / 25.0
        peak = float(np.exp(-2.0 * rng.normal(scale=0.5) ** 2))
        greeks = {
            "delta": rng.uniform(-1, 1),
            "gamma": 4e-5 * peak / np.sqrt(years),
            "vega": 9e3 * peak * np.sqrt(years),
            "theta": -60.0 * peak / np.sqrt(years),
            f"vega:{u}:{BUCKETS[bucket]}": 9e3 * peak * np.sqrt(years),
        }
        for name, value in greeks.items():
            effect[rows.index(name if ":" in name else f"{name}:{u}"), i] = value
        sizes[i], costs[i] = rng.integers(25, 100) / 5, rng.uniform(20, 90)
        lot[i] = 0.1
        least[i] = rng.choice([0.1, 0.3, 0.5])
    if random_effects:
        effect[:, 4:] *= rng.uniform(0.2, 1.8, (m, n - 4))
    reach = np.abs(effect) @ sizes
    half = 0.02 * reach
    return HedgeProblem(
        rows=rows,
        exposure=overload * reach * rng.uniform(-1, 1, m),
        lower=-half,
        upper=half,
        columns=columns,
        per_unit=effect,
        ladders=[ladder([s / 2, s / 2], [c, 2 * c], [s], [c]) for s, c in zip(sizes, costs, strict=True)],
        lot=lot,
        min_size=least,
        max_buy=np.full(n, INF),
        max_sell=np.full(n, INF),
    )


def least_slack(p: HedgeProblem) -> list[float]:
    """scipy's least weighted slack of each priority in turn, in fractions of a lot."""
    effect, _, size = levels_of(p)
    weight, ranks = row_weight(p), np.asarray(p.priority)
    m, n = len(p.rows), len(size)
    eye = np.eye(m)
    above, below = np.isfinite(p.upper), np.isfinite(p.lower)
    scaled = effect / weight[:, None]
    matrix = np.vstack([np.hstack([scaled, -eye])[above], np.hstack([-scaled, -eye])[below]])
    ends = np.concatenate(
        [((p.upper - p.exposure) / weight)[above], ((p.exposure - p.lower) / weight)[below]]
    )
    bounds = [(0.0, x) for x in size] + [(0.0, None)] * m
    sums: list[float] = []
    for rank in np.unique(ranks):
        goal = np.concatenate([np.zeros(n), (ranks == rank).astype(float)])
        answer = linprog(goal, matrix, ends, bounds=bounds, method="highs")
        assert answer.status == 0
        sums.append(float(answer.fun))
        matrix, ends = np.vstack([matrix, goal]), np.append(ends, answer.fun + 1e-9 * (1 + answer.fun))
    return sums


def one_lot(p: HedgeProblem) -> Floats:
    """(m,) what the largest of the smallest trades moves a row by."""
    return np.asarray((np.abs(p.per_unit) * np.maximum(p.lot, p.min_size)).max(axis=1))


@pytest.mark.parametrize("seed", range(3))
def test_a_relaxed_plan_is_near_the_least_slack_however_short_the_time(seed: int) -> None:
    """Per priority within 0.2% and 0.01 of an interval's width of the least that fractions of a lot leave."""
    p = chain(seed, 0.6, random_effects=seed % 2 == 1)
    reference = least_slack(p)
    for limit in (0.001, 0.2):
        plan = solve(p, SolverSettings(time_limit_s=limit))
        assert_sound(p, plan)
        assert plan.status is Status.relaxed
        for got, least in zip(weighted_slack(p, plan), reference, strict=True):
            assert got <= 1.002 * least + 0.01, limit


@pytest.mark.parametrize("seed", range(3))
def test_a_plan_that_exists_is_missed_by_a_lot_at_most_however_short_the_time(seed: int) -> None:
    p = chain(seed, 0.1, random_effects=True)
    assert reference_lp(p).fun < INF
    for limit in (0.001, 0.2):
        plan = solve(p, SolverSettings(time_limit_s=limit))
        assert_sound(p, plan)
        assert (plan.slack <= one_lot(p)).all(), limit
        if plan.status is Status.relaxed:
            assert "the search stopped" in plan.reason and "too coarse" not in plan.reason
        elif plan.gap > 1e-3:
            expected = "a cheaper one may exist" if plan.status is Status.time_limit else "cheapest plan"
            assert expected in plan.reason


@pytest.mark.parametrize(("seed", "out"), [(4, 80.0), (6, 20.0), (11, 80.0)])
def test_a_row_that_can_be_met_is_met_beside_rows_that_cannot(seed: int, out: float) -> None:
    """gamma:BTC stays out by 760 widths; 0.1% of that is no leave for gamma:ETH to stay out too."""
    rng = np.random.default_rng(seed)
    columns = {}
    for name, low, high in (("BTC", 1.0, 2.0), ("ETH", 50.0, 90.0)):
        for i in range(40):
            effect = [0.0, 0.0, rng.uniform(-1, 1)]
            effect[name == "ETH"] = rng.uniform(0.8, 1.2)
            columns[f"{name}-{i}"] = (effect, one_level(rng.uniform(low, high), 5.0))
    rows = {"gamma:BTC": (4000.0, -2.5, 2.5), "gamma:ETH": (out, -2.5, 2.5), "delta:X": (3.0, -0.5, 0.5)}
    p = problem(rows, columns, lot=0.1)
    least = least_slack(p)
    for limit in (0.01, 0.5):
        plan = solve(p, SolverSettings(time_limit_s=limit))
        assert_sound(p, plan)
        assert plan.status is Status.relaxed
        assert plan.slack[1:].tolist() == [0.0, 0.0]
        assert plan.slack[0] <= 1.001 * 5.0 * least[1]


@pytest.mark.parametrize("seed", range(3))
def test_the_reason_is_short_and_names_what_moves_the_row(seed: int) -> None:
    p = chain(seed, 0.6)
    plan = solve(p, SolverSettings(time_limit_s=0.01))
    assert len(plan.reason) <= 700
    told = [part for part in plan.reason.split("; ") if " ends at " in part]
    out = int(np.count_nonzero(plan.slack))
    assert 1 <= len(told) <= min(out, 4)
    assert (f"and {out - len(told)} more row" in plan.reason) == (out > len(told))
    assert plan.reason.endswith("the search stopped after 0.01 s: a better plan may exist")
    named: list[str] = []
    for part in told:
        row = p.rows.index(part.split(" ends at ")[0])
        names = [word for word in part.split() if word in p.columns]
        assert len(names) <= 3
        assert all(p.per_unit[row, p.columns.index(name)] != 0 for name in names)
        named += names
    assert len(set(named)) == len(named)


def test_a_search_that_stopped_does_not_blame_the_lots() -> None:
    """Coarse lots and a point to hit: nobody knows whether there is a plan, and the plan says no more."""
    rng = np.random.default_rng(4)
    columns = {f"c{i}": (rng.uniform(0.5, 1.5, 4).tolist(), one_level(1.0, 9.0)) for i in range(60)}
    p = problem({f"vega:{g}": (100.3, -1e-4, 1e-4) for g in range(4)}, columns)
    plan = solve(p, SolverSettings(time_limit_s=0.05))
    assert_sound(p, plan)
    assert plan.status is Status.relaxed
    assert "the search stopped" in plan.reason
    assert "coarse" not in plan.reason and "would free it" not in plan.reason


# --------------------------------------------------------------------------------------- textbook examples
# John C. Hull, Options, Futures, and Other Derivatives, chapter "The Greek Letters" (chapter 19 of the 9th
# edition), sections "Gamma: Making a portfolio gamma neutral" and "Vega". Neutral = an interval that is one
# point. Costs are ours; with as many instruments as rows they do not matter.


def test_hull_gamma_neutral() -> None:
    """Delta-neutral, gamma -3,000; option delta 0.62, gamma 1.5: buy 2,000, sell 1,240 of the underlying."""
    p = problem(
        {"delta:S": (0.0, 0.0, 0.0), "gamma:S": (-3000.0, 0.0, 0.0)},
        {"option": ([0.62, 1.5], one_level(0.1)), "underlying": ([1.0, 0.0], one_level(0.01))},
    )
    plan = solve(p)
    assert plan.status is Status.optimal
    assert plan.quantity.tolist() == [2000.0, -1240.0]
    assert plan.cost == pytest.approx(212.4)
    np.testing.assert_allclose(plan.exposure_after, 0.0, atol=1e-9)


def test_hull_vega_neutral_with_one_option() -> None:
    """Delta-neutral, gamma -5,000, vega -8,000; option gamma 0.5, vega 2.0, delta 0.6: 4,000 options make
    vega neutral, 2,400 of the underlying are sold, and gamma moves to -3,000."""
    p = problem(
        {"delta:S": (0.0, 0.0, 0.0), "vega:S": (-8000.0, 0.0, 0.0), "gamma:S": (-5000.0, -INF, INF)},
        {"option": ([0.6, 2.0, 0.5], one_level(0.1)), "underlying": ([1.0, 0.0, 0.0], one_level(0.01))},
    )
    plan = solve(p)
    assert plan.quantity.tolist() == [4000.0, -2400.0]
    assert plan.exposure_after[2] == pytest.approx(-3000.0)


def test_hull_gamma_and_vega_neutral_with_two_options() -> None:
    """The same portfolio; a second option with gamma 0.8, vega 1.2, delta 0.5: 400 of the first, 6,000 of the
    second, and 3,240 of the underlying sold."""
    p = problem(
        {"delta:S": (0.0, 0.0, 0.0), "gamma:S": (-5000.0, 0.0, 0.0), "vega:S": (-8000.0, 0.0, 0.0)},
        {
            "option 1": ([0.6, 0.5, 2.0], one_level(0.1)),
            "option 2": ([0.5, 0.8, 1.2], one_level(0.1)),
            "underlying": ([1.0, 0.0, 0.0], one_level(0.01)),
        },
    )
    plan = solve(p)
    assert plan.status is Status.optimal
    assert plan.quantity.tolist() == [400.0, 6000.0, -3240.0]
    np.testing.assert_allclose(plan.exposure_after, 0.0, atol=1e-9)
    assert plan.lower_bound == pytest.approx(plan.cost)


def test_hull_with_the_second_option_alone_is_relaxed_at_vega() -> None:
    """With option 2 alone gamma needs 6,250 of it, which leaves vega at -500; gamma goes before vega."""
    p = problem(
        {"delta:S": (0.0, 0.0, 0.0), "gamma:S": (-5000.0, 0.0, 0.0), "vega:S": (-8000.0, 0.0, 0.0)},
        {"option 2": ([0.5, 0.8, 1.2], one_level(0.1)), "underlying": ([1.0, 0.0, 0.0], one_level(0.01))},
    )
    plan = solve(p)
    assert plan.status is Status.relaxed
    assert plan.quantity.tolist() == [6250.0, -3125.0]
    assert plan.slack == pytest.approx([0.0, 0.0, 500.0])


# ------------------------------------------------------------------------------------- perp and one option


def test_single_option_plans_equal_linprog_on_the_pair() -> None:
    finite = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        p = random_problem(rng, int(rng.integers(1, 5)), int(rng.integers(2, 8)), width_factor=3.0)
        effect = p.per_unit.copy()
        effect[rng.random(effect.shape) < 0.35] = 0.0
        if seed % 2:
            effect[1:, 0] = 0.0  # a perp moves delta alone
        p = replace(p, per_unit=effect)
        others = range(1, len(p.columns))
        costs = single_option_plans(p, 0, others)
        assert costs.shape == (len(others),)
        for j, cost in zip(others, costs, strict=True):
            pair = [0, j]
            sub = HedgeProblem(
                p.rows, p.exposure, p.lower, p.upper, [p.columns[k] for k in pair], effect[:, pair],
                [p.ladders[k] for k in pair], p.lot[pair], p.min_size[pair],
                p.max_buy[pair], p.max_sell[pair],
            )  # fmt: skip
            if not len(levels_of(sub)[1]):
                continue
            expected = reference_lp(sub).fun
            assert cost == pytest.approx(expected, rel=1e-8, abs=1e-8)
            finite += expected < INF
    assert finite >= 60


def test_no_plan_is_dearer_than_the_perp_with_one_option() -> None:
    rng = np.random.default_rng(5)
    n = 60
    delta, gamma = rng.uniform(-1, 1, n), rng.uniform(0.2, 3, n) * 1e-5
    columns = {f"o{i}": ([delta[i], gamma[i]], one_level(rng.uniform(20, 90), 10.0)) for i in range(n)}
    columns["perp"] = ([2e-5, 0.0], one_level(6e-4, 5e6))
    p = problem(
        {"delta:BTC": (8.0, -1.0, 1.0), "gamma:BTC": (-2e-4, -1e-4, 1e-4)}, columns, lot=[0.1] * n + [10.0]
    )
    costs = single_option_plans(p, n, np.arange(n))
    plan = solve(p)
    assert plan.status is Status.optimal
    assert plan.lower_bound <= costs.min() * (1 + 1e-9)
    assert single_option_plans(p, n, []).shape == (0,)


# ------------------------------------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (([1.0], [], [], []), "buy side has 1 sizes, 0 costs"),
        (([-1.0], [1.0], [], []), "buy_size [-1.0]: allowed are finite numbers >= 0"),
        (([], [], [1.0, 2.0], [2.0, 1.0]), "sell_cost [2.0, 1.0]: allowed are finite, rising numbers"),
        (([float("nan")], [1.0], [], []), "buy_size [nan]"),
        (([], [], [1.0], [INF]), "sell_cost [inf]"),
        (([[1.0]], [[1.0]], [], []), "buy_size has shape (1, 1)"),
        ((["x"], [1.0], [], []), "buy_size is not an array of numbers"),
    ],
)
def test_a_ladder_says_what_it_refuses(fields: tuple[Any, ...], said: str) -> None:
    with pytest.raises(ValueError) as refusal:
        Ladder(*fields)
    assert said in str(refusal.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"exposure": [float("nan")]}, "exposure of delta:BTC is nan: allowed are numbers, not NaN"),
        ({"exposure": [INF]}, "exposure of delta:BTC is inf: allowed are finite numbers"),
        ({"lower": [2.0]}, "lower of delta:BTC is 2.0: allowed are numbers <= upper"),
        ({"lower": [INF], "upper": [INF]}, "lower of delta:BTC is inf"),
        ({"lower": [-INF], "upper": [-INF]}, "upper of delta:BTC is -inf"),
        ({"upper": [1.0, 2.0]}, "upper has shape (2,): allowed is (1,)"),
        ({"per_unit": [[float("nan")]]}, "per_unit of perp on delta:BTC is nan"),
        ({"per_unit": [1.0]}, "per_unit has shape (1,): allowed is (1, 1)"),
        ({"lot": [0.0]}, "lot of perp is 0.0: allowed are finite numbers > 0"),
        ({"max_buy": [-1.0]}, "max_buy of perp is -1.0: allowed are numbers >= 0"),
        ({"max_sell": [float("nan")]}, "max_sell of perp is nan"),
        ({"min_size": [INF]}, "min_size of perp is inf: allowed are finite numbers"),
        ({"fixed_cost": -1.0}, "fixed_cost of perp is -1.0: allowed are numbers >= 0"),
        ({"fixed_cost": [1.0, 2.0]}, "fixed_cost has shape (2,): allowed is (1,)"),
        ({"ladders": []}, "0 ladders for 1 columns"),
        ({"priority": [0.5]}, "priority [0.5]: allowed are 1 integers"),
        ({"priority": [1, 2]}, "priority [1, 2]: allowed are 1 integers"),
    ],
)
def test_a_problem_says_what_it_refuses(change: dict[str, Any], said: str) -> None:
    good = problem({"delta:BTC": (3.0, -1.0, 1.0)}, {"perp": ([1.0], one_level(0.1))})
    with pytest.raises(ValueError) as refusal:
        replace(good, **change)
    assert said in str(refusal.value)


def test_settings_say_what_they_refuse() -> None:
    for wrong in ({"time_limit_s": 0.0}, {"gap": -1.0}, {"columns": 0}, {"gap": float("nan")}):
        with pytest.raises(ValueError, match="SETTINGS"):
            SolverSettings(**wrong)


def test_problems_are_frozen_copies() -> None:
    exposure = np.array([3.0])
    p = replace(
        problem({"delta:BTC": (3.0, -1.0, 1.0)}, {"perp": ([1.0], one_level(0.1))}), exposure=exposure
    )
    exposure[0] = 99.0
    assert p.exposure.tolist() == [3.0]
    with pytest.raises(ValueError, match="read-only"):
        p.exposure[0] = 1.0
    with pytest.raises(FrozenInstanceError):
        p.lot = np.ones(1)  # type: ignore[misc]  # what must not work


def test_priorities_come_from_the_name_before_the_colon() -> None:
    names = [
        "delta:BTC",
        "gamma:BTC",
        "gamma_expiring:BTC",
        "vega:BTC:7-30d",
        "vega_weighted:BTC",
        "theta:BTC",
    ]
    p = problem(dict.fromkeys(names, (0.0, -1.0, 1.0)), {"a": ([1.0] * 6, one_level(1.0))})
    assert p.priority is not None
    assert p.priority.tolist() == [0, 1, 4, 3, 2, 4]


# ------------------------------------------------------------------------ what must not loosen a row


def one_row(
    exposure: float, lower: float, upper: float, sizes: list[float], effects: list[float], lot: float
) -> HedgeProblem:
    """One delta row and a column per size, a dollar a unit on both sides; size 0 = nothing displayed."""
    ladders = [Ladder(*(np.array([x]) for x in (size, 1.0, size, 1.0))) for size in sizes]
    lots, caps = np.full(len(sizes), lot), np.where(np.array(sizes) > 0, INF, 0.0)
    names = [f"c{i}" for i in range(len(sizes))]
    at, low, high = (np.array([x]) for x in (exposure, lower, upper))
    return HedgeProblem(
        ["delta:X"], at, low, high, names, np.array([effects]), ladders, lots, lots, caps, caps
    )


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_column_that_cannot_trade_loosens_no_row(sign: float) -> None:
    """Rounding is judged by the lots that can trade: a junk listing of effect 1e12 once passed 10 as 1."""
    plan = solve(one_row(sign * 10.0, -1.0, 1.0, [100.0, 0.0], [1.0, 1e12], 1.0))
    assert plan.quantity.tolist() == [-sign * 9.0, 0.0] and plan.status is Status.optimal


@pytest.mark.parametrize("far", [1e9, 1e12, 1e15, 1e18])
def test_a_far_end_however_far_loosens_nothing(far: float) -> None:
    plan = solve(one_row(-10.0, -1.0, far, [100.0], [1.0], 0.5))
    assert plan.quantity.tolist() == [9.0] and plan.slack.tolist() == [0.0]


def test_more_lots_than_integers_hold_still_hedge() -> None:
    plan = solve(one_row(3.0, -1.0, 1.0, [1e300], [1.0], 1e-10))
    assert plan.exposure_after[0] == pytest.approx(1.0, abs=1e-6) and plan.status is not Status.relaxed
