"""Limits that depend on the side of a trade: against every plan there is, and the words of a problem."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hedger.optimizer import SolverSettings, solve
from hedger.problem.assembly import _priorities
from hedger.problem.limit_rows import ExtraRows, SidedRows
from hedger.problem.split_columns import split_columns
from hedger.solver.hedge_problem import HedgeProblem, Ladder, RiskTerm, Status, row_priority
from pricing.universe import FloatArray

INF = np.inf
EXACT = SolverSettings(time_limit_s=20.0, gap=0.0)


def gross(weights: list[list[float]], held: FloatArray, upper: list[float]) -> SidedRows:
    """Limits on sums of weight x |position|."""
    w = np.array(weights, dtype=float)
    value = w @ np.abs(held)
    names = tuple(f"notional_gross:{i}" for i in range(len(w)))
    ends = np.maximum(np.array(upper), value)
    return SidedRows(names, names, value, w, w, -w, np.full(len(w), -INF), ends, held)


def deep() -> Ladder:
    """A hundred at 1 USD on both sides."""
    size, cost = np.array([100.0]), np.array([1.0])
    return Ladder(size, cost, size, cost)


def problem(rng: np.random.Generator, n: int = 3) -> HedgeProblem:
    """One row to move, lots of 1, two levels a side of at most 2."""
    ladders = []
    for _ in range(n):
        cost = np.cumsum(rng.uniform(0.1, 3.0, (2, 2)), axis=1)
        size = rng.integers(0, 3, (2, 2)).astype(float)
        ladders.append(Ladder(size[0], cost[0], size[1], cost[1]))
    need = float(rng.integers(-6, 7))
    return HedgeProblem(
        rows=["delta:X", "vega:X"],
        exposure=np.array([need, 0.0]),
        lower=np.array([-1.0, -4.0]),
        upper=np.array([1.0, 4.0]),
        columns=[str(i) for i in range(n)],
        per_unit=np.stack([rng.choice([0.5, 1.0, 2.0, -1.0], n), rng.choice([0.0, 1.0, -1.0], n)]),
        ladders=ladders,
        lot=np.ones(n),
        min_size=np.zeros(n),
        max_buy=rng.choice([INF, 3.0, 1.0], n),
        max_sell=rng.choice([INF, 3.0, 0.0], n),
    )


def cost_of(p: HedgeProblem, x: tuple[int, ...]) -> float:
    """USD of walking the ladders; inf beyond what is displayed or allowed."""
    total = 0.0
    for i, lots in enumerate(x):
        ladder = p.ladders[i]
        size, cost = (ladder.buy_size, ladder.buy_cost) if lots > 0 else (ladder.sell_size, ladder.sell_cost)
        if abs(lots) > min(size.sum(), p.max_buy[i] if lots > 0 else p.max_sell[i]):
            return INF
        left = float(abs(lots))
        for level, unit in zip(size.tolist(), cost.tolist(), strict=True):
            total += min(left, level) * unit
            left -= min(left, level)
    return total


@pytest.mark.parametrize("seed", range(60))
def test_gross_limits_against_every_plan(seed: int) -> None:
    """The cheapest of all lots that keep sum w |held + x| <= limit, or nothing where there is none."""
    rng = np.random.default_rng(seed)
    p = problem(rng)
    held = rng.integers(-3, 4, 3) * rng.choice([1.0, 0.5])
    w = rng.choice([0.0, 1.0, 2.0], (2, 3))
    room = rng.integers(0, 4, 2)
    rows = gross(w.tolist(), held, (w @ np.abs(held) + room).tolist())
    # of a position of 1.5 lots, closing the half counts as opening: a limit that errs on the safe side
    whole = np.trunc(held)
    allowed = np.array([w @ np.abs(held) + room]).ravel()
    best = INF
    for x in itertools.product(range(-4, 5), repeat=3):
        traded = np.array(x, dtype=float)
        after = p.exposure + p.per_unit @ traded
        closing = np.where(np.sign(traded) == -np.sign(held), np.minimum(np.abs(traded), np.abs(whole)), 0.0)
        size = w @ np.abs(held) + w @ (np.abs(traded) - 2 * closing)
        if (after >= p.lower).all() and (after <= p.upper).all() and (size <= allowed + 1e-9).all():
            best = min(best, cost_of(p, x))
    split = split_columns(p, rows, np.arange(3))
    plan = split.merged(solve(split.problem, EXACT))
    if best == INF:
        assert plan.status is Status.relaxed
    else:
        assert plan.status in (Status.optimal, Status.no_trade)
        assert plan.cost == pytest.approx(best, abs=1e-9)
        np.testing.assert_allclose(
            p.exposure + p.per_unit @ plan.quantity, plan.exposure_after[:2], atol=1e-9
        )
    # what the plan is judged by: |position| itself, whatever column it was traded in
    sizes = w @ np.abs(held + plan.quantity)
    np.testing.assert_allclose(rows.after(plan.quantity), sizes, atol=1e-9)
    assert (sizes <= rows.upper + 1e-9).all() and not rows.broken(plan.quantity).any()


@given(seed=st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_a_wide_limit_changes_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = problem(rng)
    held = rng.integers(-3, 4, 3).astype(float)
    split = split_columns(p, gross([[1.0, 1.0, 1.0]], held, [1e6]), np.arange(3))
    alone, beside = solve(p, EXACT), split.merged(solve(split.problem, EXACT))
    assert beside.status is alone.status
    assert beside.cost == pytest.approx(alone.cost, abs=1e-9)
    assert beside.quantity.shape == alone.quantity.shape


def test_a_risk_term_follows_the_parts() -> None:
    p = problem(np.random.default_rng(1))
    split = split_columns(p, gross([[1.0, 1.0, 1.0]], np.array([2.0, -1.0, 0.0]), [5.0]), np.arange(3))
    term = RiskTerm(["return"], np.array([3.0]), np.array([[1.0, 2.0, 4.0]]))
    parts = np.arange(1.0, len(split.part_of) + 1)
    assert split.risk(term).usd(parts) == pytest.approx(term.usd(split.quantity(parts)))


def test_limits_that_buys_and_sells_move_differently() -> None:
    """Cash: a buy pays 10 and a fee of 1, a sale brings 10 less the fee; opening ties up 5 more of margin."""
    cash = SidedRows(
        names=("balance:venue:USDC",),
        units=("USDC",),
        value=np.array([100.0]),
        buy=np.array([[-16.0]]),
        sell=np.array([[4.0]]),
        close=np.array([[9.0]]),
        lower=np.array([0.0]),
        upper=np.array([INF]),
        held=np.array([3.0]),
    )
    assert cash.after(np.array([2.0])).tolist() == [68.0]
    assert cash.after(np.array([-2.0])).tolist() == [118.0]
    assert cash.after(np.array([-5.0])).tolist() == [100.0 + 27.0 + 8.0]
    assert cash.broken(np.array([6.25])).tolist() == [False]
    assert cash.broken(np.array([6.26])).tolist() == [True]
    p = HedgeProblem(
        rows=["delta:X"],
        exposure=np.array([-20.0]),
        lower=np.array([-8.0]),
        upper=np.array([8.0]),
        columns=["perp"],
        per_unit=np.array([[1.0]]),
        ladders=[deep()],
        lot=np.array([0.5]),
        min_size=np.array([0.5]),
        max_buy=np.array([INF]),
        max_sell=np.array([INF]),
    )
    split = split_columns(p, cash, np.arange(1))
    assert [x.buy_size.size > 0 for x in split.problem.ladders] == [False, True, False]
    plan = split.merged(solve(split.problem, EXACT))
    # 12 are wanted, 100 pay for 6.25, in halves 6: the cash comes before delta
    assert plan.status is Status.relaxed and plan.quantity.tolist() == [6.0]
    assert "balance:venue:USDC" in split.problem.rows


def test_rows_that_do_not_fit_are_refused() -> None:
    no = np.zeros(0)
    with pytest.raises(ValueError, match="one each"):
        ExtraRows(("a",), ("USD",), no, np.zeros((1, 3)), no, no, np.zeros(0, dtype=np.int64))
    one = np.ones(1)
    row = ExtraRows(("a",), ("USD",), one, np.ones((1, 3)), -one, one, np.array([-2]))
    both = ExtraRows.none(3) + row + row
    assert both.names == ("a", "a") and both.per_unit.shape == (2, 3)


# ------------------------------------------------------------------------------------------------ priorities


def test_what_is_met_first() -> None:
    order = [
        "margin:deribit",
        "pnl:BTC:crash",
        "delta:BTC",
        "gamma:BTC",
        "vega:BTC",
        "vega:BTC:7-30d",
        "x:BTC",
    ]
    ranks = [row_priority(row) for row in order]
    assert ranks == sorted(set(ranks))
    assert row_priority("vega_weighted:BTC") == row_priority("vega:BTC")
    assert row_priority("gamma_expiring:BTC") == row_priority("anything") == ranks[-1]


def relaxed(rows: list[str], exposure: list[float], per_unit: list[float]) -> FloatArray:
    """Where rows of [-1, 1] end that one column of size 100 moves all at once."""
    k = len(rows)
    value = np.array(exposure)
    p = HedgeProblem(
        rows=rows,
        exposure=value,
        lower=np.full(k, -1.0),
        upper=np.full(k, 1.0),
        columns=["x"],
        per_unit=np.array(per_unit)[:, None],
        ladders=[deep()],
        lot=np.array([1.0]),
        min_size=np.array([1.0]),
        max_buy=np.array([INF]),
        max_sell=np.array([INF]),
        priority=_priorities(rows, value > 1.0),
    )
    plan = solve(p, EXACT)
    assert plan.status is Status.relaxed
    return plan.exposure_after


def test_short_gamma_is_mended_before_long_gamma() -> None:
    """Bought, the column helps the short row and hurts the long one; widths and names are the same."""
    assert relaxed(["gamma:A", "gamma:B"], [-5.0, 5.0], [1.0, 1.0]).tolist() == [-1.0, 9.0]
    assert relaxed(["gamma:A", "gamma:B"], [5.0, -5.0], [1.0, 1.0]).tolist() == [9.0, -1.0]


def test_total_vega_comes_before_its_tenors_and_those_before_theta() -> None:
    assert relaxed(["vega:A:7-30d", "vega:A"], [5.0, -5.0], [1.0, 1.0]).tolist() == [9.0, -1.0]
    assert relaxed(["theta:A", "vega:A:7-30d"], [5.0, -5.0], [1.0, 1.0]).tolist() == [9.0, -1.0]
    assert relaxed(["delta:A", "pnl:A:crash"], [5.0, -5.0], [1.0, 1.0]).tolist() == [9.0, -1.0]
    assert relaxed(["pnl:A:crash", "margin:A"], [5.0, -5.0], [1.0, 1.0]).tolist() == [9.0, -1.0]
