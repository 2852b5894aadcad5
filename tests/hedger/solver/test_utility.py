"""Cost plus risk: against independent solvers and brute force, with its bound and its KKT conditions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize

from hedger.optimizer import solve
from hedger.problem.delta_legs import DeltaLegs, amortised, solve_with_legs
from hedger.solver.frame import frame_of
from hedger.solver.hedge_problem import DEFAULTS, HedgeProblem, Ladder, RiskTerm, SolverSettings, Status
from hedger.solver.utility_fraction import certificate, solve_fractions

Floats = NDArray[np.float64]


def problem_of(
    ladders: Sequence[Ladder],
    per_unit: Floats | None = None,
    lower: ArrayLike = (),
    upper: ArrayLike = (),
    exposure: ArrayLike | None = None,
    lot: float = 0.5,
    **more: Any,
) -> HedgeProblem:
    n, m = len(ladders), len(np.array(lower))
    return HedgeProblem(
        rows=[f"delta:R{g}" for g in range(m)],
        exposure=np.zeros(m) if exposure is None else np.array(exposure),
        lower=np.array(lower, dtype=float),
        upper=np.array(upper, dtype=float),
        columns=[f"C{i}" for i in range(n)],
        per_unit=np.zeros((m, n)) if per_unit is None else per_unit,
        ladders=ladders,
        lot=np.full(n, lot),
        min_size=more.pop("min_size", np.full(n, lot)),
        max_buy=more.pop("max_buy", np.full(n, np.inf)),
        max_sell=more.pop("max_sell", np.full(n, np.inf)),
        **more,
    )


def term(value: ArrayLike, per_unit: ArrayLike) -> RiskTerm:
    return RiskTerm([f"f{i}" for i in range(len(np.array(value)))], np.array(value), np.array(per_unit))


def levels(buy_size: ArrayLike, buy_cost: ArrayLike, sell_size: ArrayLike, sell_cost: ArrayLike) -> Ladder:
    return Ladder(*(np.array(x, dtype=float) for x in (buy_size, buy_cost, sell_size, sell_cost)))


def ladder(buy: float, sell: float | None = None, size: float = 10.0) -> Ladder:
    return levels([size], [buy], [size], [buy if sell is None else sell])


def random_case(seed: int, most: int = 6, lot: float = 0.5) -> tuple[HedgeProblem, RiskTerm]:
    """Rows that can be met; ladders of up to three levels a side, some sides missing, some columns alike."""
    r = np.random.default_rng(seed)
    n, k, m = r.integers(1, most + 1), r.integers(1, 4), r.integers(0, 4)
    ladders = []
    for _ in range(n):
        buys, sells = r.integers(1, 4), r.integers(0, 4)
        ladders.append(
            levels(
                r.integers(1, 10, buys) * lot,
                np.sort(r.uniform(0, 3, buys)),
                r.integers(1, 10, sells) * lot,
                np.sort(r.uniform(0, 3, sells)),
            )
        )
    effect, factors = r.normal(0, 1, (m, n)), r.normal(0, 1, (k, n))
    if n > 1 and r.random() < 0.3:
        factors[:, 1] = 2 * factors[:, 0]
    inside = r.uniform(-1, 1, n) * [min(x.sell_size.sum(), x.buy_size.sum()) for x in ladders]
    middle, width = effect @ inside, r.uniform(0.05, 2, m)
    problem = problem_of(ladders, effect, middle - width, middle + width, lot=lot)
    return problem, term(r.normal(0, 4, k), factors)


def by_levels(problem: HedgeProblem) -> tuple[Floats, Floats, Floats]:
    """Every level as a variable >= 0: effect of one on each column (n, L), size, price."""
    column: list[int] = []
    sign: list[float] = []
    size: list[float] = []
    price: list[float] = []
    for i, x in enumerate(problem.ladders):
        for s, sizes, prices in ((1.0, x.buy_size, x.buy_cost), (-1.0, x.sell_size, x.sell_cost)):
            column += [i] * len(sizes)
            sign += [s] * len(sizes)
            size += sizes.tolist()
            price += prices.tolist()
    spread = np.zeros((len(problem.columns), len(size)))
    spread[column, np.arange(len(size))] = sign
    return spread, np.array(size), np.array(price)


def cost_of(problem: HedgeProblem, quantity: Floats) -> float:
    """Walked level by level."""
    return math.fsum(column_cost(problem, i, q) for i, q in enumerate(quantity.tolist()))


def column_cost(problem: HedgeProblem, i: int, q: float) -> float:
    x, left, total = problem.ladders[i], abs(q), 0.0
    side = (x.buy_size, x.buy_cost) if q > 0 else (x.sell_size, x.sell_cost)
    for size, price in zip(*side, strict=True):
        take = min(left, float(size))
        total += take * float(price)
        left -= take
    assert left <= 1e-9 * max(abs(q), 1.0)
    return total + (float(np.asarray(problem.fixed_cost)[i]) if q else 0.0)


def total(problem: HedgeProblem, risk: RiskTerm, quantity: Floats) -> float:
    left = risk.value + risk.per_unit @ quantity
    return cost_of(problem, quantity) + 0.5 * float(left @ left)


def by_slsqp(problem: HedgeProblem, risk: RiskTerm) -> tuple[float, float]:
    """Another solver's optimum, and how far it is outside the rows."""
    spread, size, price = by_levels(problem)
    factors, effect = risk.per_unit @ spread, problem.per_unit @ spread
    low, high = problem.lower - problem.exposure, problem.upper - problem.exposure

    def function(z: Floats) -> float:
        return float(price @ z + 0.5 * np.sum((risk.value + factors @ z) ** 2))

    def gradient(z: Floats) -> Floats:
        return np.asarray(price + factors.T @ (risk.value + factors @ z))

    rows = [
        {"type": "ineq", "fun": lambda z: effect @ z - low, "jac": lambda z: effect},
        {"type": "ineq", "fun": lambda z: high - effect @ z, "jac": lambda z: -effect},
    ]
    answer = minimize(
        function,
        np.zeros(len(size)),
        jac=gradient,
        bounds=[(0, s) for s in size],
        constraints=rows if len(low) else [],
        method="SLSQP",
        options={"maxiter": 1000, "ftol": 1e-14},
    )
    after = effect @ answer.x
    return float(answer.fun), float(np.max(np.concatenate([low - after, after - high, [0.0]])))


def test_agrees_with_another_solver() -> None:
    for seed in range(100):
        problem, risk = random_case(seed)
        found = solve_fractions(problem, risk)
        theirs, outside = by_slsqp(problem, risk)
        assert not found.missed.any(), seed
        assert found.gap <= 1e-9, seed
        assert found.objective <= theirs + 1e-6 * max(1.0, theirs), seed
        if outside < 1e-9:
            assert found.objective >= theirs - 1e-6 * max(1.0, theirs), seed


def test_a_large_problem_is_proven() -> None:
    for seed, (n, k, m) in enumerate(((300, 6, 0), (300, 12, 6), (800, 12, 3))):
        r = np.random.default_rng(seed)
        moneyness = r.normal(0, 1, n)
        factors = np.array(
            [np.cos(0.7 * (f + 1) * moneyness) * np.exp(-(moneyness**2) / 2) for f in range(k)]
        )
        ladders = [
            Ladder(
                np.full(3, s), c * np.array([1, 1.3, 1.8]), np.full(3, s), 1.1 * c * np.array([1, 1.2, 1.6])
            )
            for s, c in zip(r.uniform(5, 50, n), r.uniform(10, 80, n), strict=True)
        ]
        width = r.uniform(1, 20, m)
        problem = problem_of(ladders, r.normal(0, 1, (m, n)), -width, width, lot=0.1)
        risk = term(r.normal(0, 3000, k), 100 * factors)
        found = solve_fractions(problem, risk)
        assert found.gap <= 1e-8
        assert not found.missed.any()
        # at most as many columns are between two levels as there are factors and rows
        between = 0
        for x, q in zip(problem.ladders, found.quantity, strict=True):
            ends = np.cumsum(x.buy_size if q > 0 else x.sell_size)
            between += q != 0 and np.abs(ends - abs(q)).min() > 1e-7 * abs(q)
        assert between <= k + m


@given(seed=st.integers(0, 10_000), spread=st.lists(st.floats(-3, 3), min_size=6, max_size=6))
@settings(max_examples=60, deadline=None)
def test_no_prices_give_a_bound_above_a_plan(seed: int, spread: list[float]) -> None:
    problem, risk = random_case(seed)
    best, frame = solve_fractions(problem, risk), frame_of(problem)
    k, m = len(risk.value), len(problem.rows)
    u = risk.value + risk.per_unit @ best.quantity + np.array(spread[:k])
    assert certificate(frame, risk, u, np.array(spread[k : k + m])) <= best.objective + 1e-9


def test_nothing_trades_exactly_while_every_marginal_gain_is_below_its_cost() -> None:
    """KKT of no trade: -sell cost <= (per_unit' value)_i <= ... for every column."""
    r = np.random.default_rng(5)
    still = 0
    for _ in range(150):
        n, k = 4, 2
        factors, value = r.normal(0, 1, (k, n)), r.normal(0, 1, k)
        buy, sell = r.uniform(0.2, 3, n), r.uniform(0.2, 3, n)
        problem = problem_of([ladder(b, s) for b, s in zip(buy, sell, strict=True)])
        gradient = factors.T @ value
        quiet = bool(((gradient >= -buy) & (gradient <= sell)).all())
        found = solve_fractions(problem, term(value, factors))
        assert quiet == (not found.quantity.any())
        plan = solve(problem, risk=term(value, factors))
        if quiet:
            assert plan.status is Status.no_trade
            assert plan.cost == 0.0 and plan.gap <= 1e-9
        still += quiet
    assert 20 < still < 130


def test_one_column_stops_where_marginal_gain_meets_cost() -> None:
    """1/2 (v + p x)^2 + c |x|: |v + p x| p = c; the edge of the band, not its centre."""
    plan = solve(problem_of([ladder(6.0)], lot=1e-6), risk=term([10.0], [[2.0]]))
    assert plan.quantity[0] == pytest.approx(-3.5, abs=1e-6)  # (10 - 7) x 2 = 6
    deep = levels([], [], [1.0, 5.0], [6.0, 12.0])
    plan = solve(problem_of([deep], lot=1e-6), risk=term([10.0], [[2.0]]))
    assert plan.quantity[0] == pytest.approx(-2.0, abs=1e-6)  # into the second level: (10 - 4) x 2 = 12


def brute(problem: HedgeProblem, risk: RiskTerm) -> float:
    """The least total over all whole lots that keep the rows; inf where none does."""
    choices = []
    for i, x in enumerate(problem.ladders):
        most = min(problem.max_buy[i], x.buy_size.sum())
        least = -min(problem.max_sell[i], x.sell_size.sum())
        lots = np.arange(np.ceil(least / problem.lot[i] - 1e-9), np.floor(most / problem.lot[i] + 1e-9) + 1)
        sizes = lots * problem.lot[i]
        choices.append(sizes[(sizes == 0) | (np.abs(sizes) >= problem.min_size[i] - 1e-9)])
    q = np.array(np.meshgrid(*choices, indexing="ij")).reshape(len(choices), -1)
    priced = [[column_cost(problem, i, x) for x in sizes.tolist()] for i, sizes in enumerate(choices)]
    cost = np.array(np.meshgrid(*priced, indexing="ij")).reshape(len(choices), -1).sum(axis=0)
    left = risk.value[:, None] + risk.per_unit @ q
    after = problem.exposure[:, None] + problem.per_unit @ q
    low, high = problem.lower[:, None] - 1e-9, problem.upper[:, None] + 1e-9
    kept = ((after >= low) & (after <= high)).all(axis=0)
    return float((cost + 0.5 * (left**2).sum(axis=0))[kept].min(initial=np.inf))


@pytest.mark.parametrize("kind", ["plain", "least size", "fixed cost"])
def test_whole_lots_against_brute_force(kind: str) -> None:
    r = np.random.default_rng(3)
    exact = tried = 0
    for _ in range(60):
        n, m = 3, int(r.integers(0, 3))
        ladders = [
            levels([1.5, 1.5], np.sort(r.uniform(0, 2, 2)), [1.5, 1.5], np.sort(r.uniform(0, 2, 2)))
            for _ in range(n)
        ]
        width = r.uniform(0.5, 3, m)
        more: dict[str, Any] = {}
        if kind == "least size":
            more["min_size"] = np.full(n, 1.5)
        if kind == "fixed cost":
            more["fixed_cost"] = r.uniform(0, 2)
        problem = problem_of(
            ladders, r.normal(0, 1, (m, n)), -width, width, exposure=r.normal(0, 1, m), lot=0.5, **more
        )
        risk = term(r.normal(0, 3, 2), r.normal(0, 1.5, (2, n)))
        best, plan = brute(problem, risk), solve(problem, risk=risk)
        if not np.isfinite(best):
            assert plan.status is Status.relaxed
            continue
        found = total(problem, risk, plan.quantity)
        assert plan.status is not Status.relaxed
        assert plan.cost + risk.usd(plan.quantity) == pytest.approx(found, rel=1e-9)
        assert plan.lower_bound <= best + 1e-9 * abs(best)
        assert best <= found * (1 + 1e-9)
        assert (found - plan.lower_bound) / found == pytest.approx(plan.gap, abs=1e-9)
        tried += 1
        exact += found <= best * (1 + 1e-9)
    assert tried >= 40
    assert exact >= 0.9 * tried


def test_rows_are_kept_and_a_row_that_cannot_be_met_is_relaxed_as_without_a_risk_term() -> None:
    columns = [ladder(1.0, size=4.0), ladder(2.0, size=4.0)]
    effect = np.array([[1.0, 0.0]])
    risk = term([0.0, 3.0], [[0.1, 0.0], [0.0, 1.0]])
    held = problem_of(columns, effect, [-1.0], [1.0], exposure=[3.0])
    plan = solve(held, risk=risk)
    assert plan.exposure_after == pytest.approx([1.0])  # in by as little as it takes: the term is weak
    assert plan.quantity[1] == pytest.approx(-1.0)  # 3 - 1 = 2, its cost
    assert plan.binding.tolist() == [1] and plan.shadow_price[0] == pytest.approx(1.0 + 0.02)
    far = problem_of(columns, effect, [-1.0], [1.0], exposure=[9.0])
    alone, plan = solve(far), solve(far, risk=risk)
    assert plan.status is Status.relaxed and plan.reason == alone.reason
    assert plan.slack == pytest.approx(alone.slack) and plan.slack[0] == pytest.approx(4.0)
    assert plan.quantity[1] == pytest.approx(-1.0)  # the rest is still weighed


def test_units_do_not_matter() -> None:
    """Coins or lots, USD or cents, a row in coins or satoshi: the same plan."""
    for seed in range(40):
        problem, risk = random_case(seed)
        plain = solve(problem, risk=risk)
        units = 10.0 ** np.random.default_rng(seed).integers(-6, 7, len(problem.columns))
        ladders = [
            Ladder(x.buy_size * u, 100 * x.buy_cost / u, x.sell_size * u, 100 * x.sell_cost / u)
            for x, u in zip(problem.ladders, units, strict=True)
        ]
        other = HedgeProblem(
            problem.rows,
            1e8 * problem.exposure,
            1e8 * problem.lower,
            1e8 * problem.upper,
            problem.columns,
            1e8 * problem.per_unit / units,
            ladders,
            problem.lot * units,
            problem.min_size * units,
            problem.max_buy,
            problem.max_sell,
        )
        same = solve(other, risk=term(10 * risk.value, 10 * risk.per_unit / units))
        ours = plain.cost + risk.usd(plain.quantity)
        assert same.status is plain.status
        theirs = total(problem, risk, same.quantity / units)
        # where lots tie, rounding may choose another of the same worth
        assert theirs == pytest.approx(ours, rel=1e-6)
        assert same.lower_bound == pytest.approx(100 * plain.lower_bound, rel=1e-6, abs=1e-9)


def test_correlated_underlyings_are_netted() -> None:
    """Long one and short the other at rho = 0.9: what is left to hedge is what does not cancel."""

    def hedged(first: float, second: float, rho: float) -> Floats:
        root = np.linalg.cholesky(np.array([[1.0, rho], [rho, 1.0]])).T
        plan = solve(
            problem_of([ladder(2.0, size=50.0), ladder(2.0, size=50.0)], lot=1e-3),
            risk=term(root @ [first, second], root),
        )
        return np.abs(plan.quantity)

    apart, together = hedged(10.0, -10.0, 0.0), hedged(10.0, -10.0, 0.9)
    assert apart == pytest.approx([8.0, 8.0], abs=2e-3)
    assert (together <= 1e-3).all()  # the gradient of each is 10 (1 - 0.9) = 1 < 2
    same_way = hedged(10.0, 10.0, 0.9)
    assert same_way.sum() > 15.0  # nothing cancels


EDGES = [0.0, 1e-12, 1e-6, 1.0, 1e6, 1e12]


@given(st.data())
@settings(max_examples=120, deadline=None)
def test_raises_on_no_well_formed_problem(data: st.DataObject) -> None:
    """With the book inside the rows; outside, the solver without a term has its own such test."""
    number = st.sampled_from([s * x * y for x in EDGES for y in (1, 3.7) for s in (1, -1)])
    n, k, m = data.draw(st.integers(0, 4)), data.draw(st.integers(0, 3)), data.draw(st.integers(0, 2))
    ladders = []
    for _ in range(n):
        size = data.draw(st.lists(st.sampled_from(EDGES), max_size=2))
        price = sorted(data.draw(st.lists(number, min_size=len(size), max_size=len(size))))
        ladders.append(levels(size, price, size, price))
    ends = [sorted(data.draw(st.lists(number, min_size=2, max_size=2))) for _ in range(m)]
    problem = problem_of(
        ladders,
        np.array([[data.draw(number) for _ in range(n)] for _ in range(m)]).reshape(m, n),
        [a for a, _ in ends],
        [b for _, b in ends],
        exposure=[data.draw(st.sampled_from(pair)) for pair in ends],
        lot=data.draw(st.sampled_from(EDGES[1:])),
    )
    risk = RiskTerm(
        [f"f{i}" for i in range(k)],
        np.array([data.draw(number) for _ in range(k)]),
        np.array([[data.draw(number) for _ in range(n)] for _ in range(k)]).reshape(k, n),
    )
    plan = solve(problem, SolverSettings(time_limit_s=0.2), risk=risk)
    assert plan.quantity.shape == (n,)
    assert np.isfinite(plan.quantity).all()
    assert np.isfinite([plan.cost, plan.gap]).all()
    assert plan.lower_bound <= plan.cost + risk.usd(plan.quantity)


def test_a_term_for_other_columns_is_refused() -> None:
    with pytest.raises(ValueError, match="2 columns"):
        solve(problem_of([ladder(1.0)]), risk=term([1.0], [[1.0, 1.0]]))


def test_no_factor_and_no_column() -> None:
    nothing = RiskTerm([], np.zeros(0), np.zeros((0, 1)))
    assert solve(problem_of([ladder(1.0)]), risk=nothing).status is Status.no_trade
    empty = RiskTerm(["f"], np.array([2.0]), np.zeros((1, 0)))
    plan = solve(problem_of([]), risk=empty)
    assert plan.status is Status.no_trade and plan.lower_bound == pytest.approx(2.0)


# ---------------------------------------------------------------------------------------------- delta legs


def legs_case(share: float, option_cost: float, vega: float) -> tuple[HedgeProblem, RiskTerm, DeltaLegs]:
    """A perpetual (delta 1 at cost 1) and an option (delta 0.5 and some vega); the book is 10 coins long."""
    problem = problem_of([ladder(1.0, size=100.0), ladder(option_cost, size=100.0)], lot=1e-3)
    risk = term([10.0, 4.0], [[1.0, 0.5], [0.0, vega]])
    legs = DeltaLegs(np.array([-1, 0]), np.array([0.0, 0.5]), np.array([1.0, share]))
    return problem, risk, legs


def test_an_option_is_not_bought_for_its_delta() -> None:
    problem, risk, legs = legs_case(0.05, 0.6, 0.0)
    plain = solve(amortised(problem, legs.share), risk=risk)
    assert plain.quantity[1] < -15.0  # 0.05 x 0.6 for half a coin, against 1.0 a coin
    plan = solve_with_legs(problem, risk, legs, DEFAULTS)
    assert plan.quantity == pytest.approx([-9.0, 0.0], abs=2e-3)


def test_options_are_held_for_vega_and_delta_is_made_good() -> None:
    problem, risk, legs = legs_case(0.05, 2.0, 1.0)
    plan = solve_with_legs(problem, risk, legs, DEFAULTS)
    # amortised cost 0.1 a unit, less s c delta = 0.025 for the delta it takes off: vega stops at 0.075
    assert plan.quantity[1] == pytest.approx(-(4.0 - 0.075), abs=5e-3)
    left = 10.0 + plan.quantity @ [1.0, 0.5]
    assert left == pytest.approx(1.0, abs=2e-3)  # delta to the edge that the perpetual's cost sets
    assert plan.cost == pytest.approx(abs(plan.quantity[0]) + 0.1 * abs(plan.quantity[1]), rel=1e-9)


def test_without_amortisation_legs_change_nothing() -> None:
    for seed in range(20):
        problem, risk = random_case(seed, most=5)
        n = len(problem.columns)
        anchor = np.array([-1] + [0] * (n - 1))
        legs = DeltaLegs(anchor, np.where(anchor >= 0, 0.7, 0.0), np.ones(n))
        plan, plain = solve_with_legs(problem, risk, legs, DEFAULTS), solve(problem, risk=risk)
        ours, theirs = (total(problem, risk, x.quantity) for x in (plan, plain))
        assert plan.status is plain.status
        assert ours <= theirs + max(plain.gap, plan.gap) * theirs + 1e-9


def test_legs_of_a_row_that_cannot_be_met() -> None:
    """The option cannot bring its own row in: said, and delta is still the perpetual's."""
    problem, risk, legs = legs_case(0.05, 0.6, 0.0)
    rows = problem_of(problem.ladders, np.array([[0.0, 1.0]]), [500.0], [600.0], exposure=[0.0], lot=1e-3)
    plan = solve_with_legs(rows, risk, legs, DEFAULTS)
    assert plan.status is Status.relaxed and "R0" in plan.reason
    assert plan.slack == pytest.approx([400.0])  # of 500, 100 are displayed
    assert plan.quantity[1] == pytest.approx(100.0)
    assert abs(10.0 + plan.quantity @ [1.0, 0.5]) == pytest.approx(1.0, abs=2e-3)
