"""Widths and landings against the cost they claim to minimise, published numbers and their scaling laws."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar
from scipy.stats import norm

from risk.band_widths import (
    budget_width,
    fixed_cost_width,
    hedge_error_usd_per_day,
    implied_risk_aversion,
    mixed_policy,
    one_step_width,
    zakamouline,
)
from risk.bands import landing, whalley_wilmott

#: Triggers and landings in units of the proportional width, by κ = k/(c w0), found by minimising J.
TABLE = {
    0.001: (1.081, 0.923),
    0.003: (1.119, 0.890),
    0.01: (1.180, 0.839),
    0.03: (1.265, 0.775),
    0.1: (1.407, 0.681),
    0.3: (1.605, 0.572),
    1.0: (1.936, 0.436),
    3.0: (2.384, 0.311),
    10.0: (3.094, 0.197),
    30.0: (3.998, 0.121),
    100.0: (5.353, 0.069),
}
#: A 30-day option at the money, one coin, as in the figures below.
F, VOL, YEARS = 60_000.0, 0.55, 30 / 365
GAMMA = float(norm.pdf(0.5 * VOL * math.sqrt(YEARS)) / (F * VOL * math.sqrt(YEARS)))

positive = st.floats(1e-6, 1e6)


def yearly(w: float, inner: float, s2: float, a: float, c: float, k: float) -> float:
    """Cost and risk a year of trading at w and landing at `inner`."""
    return s2 * (k + c * (w - inner)) / (w * w - inner * inner) + a * (w * w + inner * inner) / 12.0


def chain_yearly(n: int, m: int, a: float, c: float, k: float) -> float:
    """The same of a random walk on a grid of unit steps, unit variance a step, from its stationary law alone.

    States -(n-1) .. n-1; a step to ±n is a trade of n − m back to ±m. Nothing of the formula is used.
    """
    size = 2 * n - 1
    move = np.zeros((size, size))
    for x in range(-(n - 1), n):
        for y in (x - 1, x + 1):
            move[x + n - 1, (y if abs(y) < n else int(math.copysign(m, y))) + n - 1] += 0.5
    balance = move.T - np.eye(size)
    balance[0] = 1.0  # one equation follows from the others; the law sums to 1
    law = np.linalg.solve(balance, np.eye(size)[0])
    trades = 0.5 * (law[0] + law[-1])
    # X² over a step that starts at x: the walk is Brownian in between, which adds nothing to compare with
    return float(trades * (k + c * (n - m)) + 0.5 * a * (law @ np.arange(-(n - 1), n) ** 2))


# ---------------------------------------------------------------------------------------- Whalley and Wilmott
@pytest.mark.parametrize(("aversion", "width"), [(1e-4, 0.093), (1e-3, 0.043)])
def test_the_size_of_a_band(aversion: float, width: float) -> None:
    """One 30-day option at the money, F 60,000, 55 %, 5 bp: 0.093 coin, 1.6 days; 0.043 coin, 0.35 days."""
    found = float(whalley_wilmott(GAMMA, F, 5e-4, aversion))
    assert found == pytest.approx(width, abs=5e-4)
    days = found**2 / (GAMMA * VOL * F) ** 2 * 365
    assert days == pytest.approx({1e-4: 1.6, 1e-3: 0.35}[aversion], abs=0.04)
    assert found / GAMMA / F == pytest.approx({1e-4: 0.037, 1e-3: 0.017}[aversion], abs=6e-4)


@given(
    gamma=st.floats(1e-9, 1.0),
    spot=st.floats(1e-3, 1e6),
    cost=st.floats(1e-6, 0.1),
    aversion=st.floats(1e-9, 1e3),
    vol=st.floats(0.05, 3.0),
    factor=st.floats(1.1, 1e4),
)
def test_its_laws(gamma: float, spot: float, cost: float, aversion: float, vol: float, factor: float) -> None:
    """w³ = 3/2 c s2/a at any vol; w ~ q^(2/3), λ^(1/3), γ^(−1/3); the sign of Γ and of a coin's name are
    nothing; a desk that counts in coins a thousandth the size has a thousand times the width."""

    def width(**changed: float) -> float:
        base = {"net_gamma": gamma, "spot": spot, "cost_rate": cost, "risk_aversion": aversion}
        return float(whalley_wilmott(**(base | changed)))

    w = width()
    s2, a, c = (gamma * vol * spot) ** 2, aversion * (vol * spot) ** 2, cost * spot
    assert w**3 == pytest.approx(1.5 * c * s2 / a, rel=1e-9)
    assert width(net_gamma=-gamma) == w
    assert width(net_gamma=gamma * factor) == pytest.approx(w * factor ** (2 / 3), rel=1e-9)
    assert width(cost_rate=cost * factor) == pytest.approx(w * factor ** (1 / 3), rel=1e-9)
    assert width(risk_aversion=aversion * factor) == pytest.approx(w * factor ** (-1 / 3), rel=1e-9)
    # coins cut into `factor` pieces: spot / factor, gamma in pieces per USD of a piece x factor²
    pieces = width(net_gamma=gamma * factor**2, spot=spot / factor)
    assert pieces == pytest.approx(w * factor, rel=1e-9)
    # USD counted in cents: spot x 100, gamma / 100, risk aversion / 100
    cents = width(spot=spot * factor, net_gamma=gamma / factor, risk_aversion=aversion / factor)
    assert cents == pytest.approx(w, rel=1e-9)


@given(s2=positive, a=positive, c=positive)
def test_the_width_minimises_cost_and_risk_and_costs_twice_its_risk(s2: float, a: float, c: float) -> None:
    """J(w) = c s2/(2w) + a w²/6, minimised by search; at the minimum J = a w²/2 and cost = 2 x risk."""
    vol, spot = 0.6, 100.0
    aversion, gamma = a / (vol * spot) ** 2, math.sqrt(s2) / (vol * spot)
    w = float(whalley_wilmott(gamma, spot, c / spot, aversion))
    searched = minimize_scalar(
        lambda t: c * s2 / (2 * w * math.exp(t)) + a * (w * math.exp(t)) ** 2 / 6,
        bounds=(-3, 3),
        method="bounded",
        options={"xatol": 1e-9},
    )
    assert searched.x == pytest.approx(0.0, abs=1e-5)
    assert searched.fun == pytest.approx(a * w * w / 2, rel=1e-9)
    assert c * s2 / (2 * w) == pytest.approx(2 * a * w * w / 6, rel=1e-9)


def test_discounting_and_what_costs_nothing() -> None:
    assert float(whalley_wilmott(1e-4, 100.0, 1e-3, 1.0, years=2.0, rate=0.3)) == pytest.approx(
        float(whalley_wilmott(1e-4, 100.0, 1e-3, 1.0)) * math.exp(-0.2), rel=1e-12
    )
    assert float(whalley_wilmott(0.0, 100.0, 1e-3, 1.0)) == 0.0
    assert float(whalley_wilmott(1e-4, 100.0, 0.0, 1.0)) == 0.0


def test_arrays_broadcast_and_numbers_stay_numbers() -> None:
    gammas = np.array([[1e-5], [-2e-5]])
    aversions = np.array([1e-5, 1e-4, 1e-3])
    found = whalley_wilmott(gammas, 60_000.0, 5e-4, aversions)
    assert found.shape == (2, 3)
    for i in range(2):
        for j in range(3):
            assert found[i, j] == whalley_wilmott(gammas[i, 0], 60_000.0, 5e-4, aversions[j])
    assert np.ndim(whalley_wilmott(1e-5, 60_000.0, 5e-4, 1e-4)) == 0
    trigger, inner = landing(found, 60_000.0, 5e-4, fixed_cost=np.array([0.0, 1.0, 10.0]))
    assert trigger.shape == inner.shape == (2, 3)
    assert np.array_equal(trigger[:, 0], inner[:, 0]) and (trigger[:, 1:] > inner[:, 1:]).all()
    one = landing(found[1, 2], 60_000.0, 5e-4, fixed_cost=10.0)
    assert (trigger[1, 2], inner[1, 2]) == tuple(one)


EXTREMES = st.sampled_from([0.0, 5e-324, 1e-300, 1e-12, 1.0, 1e12, 1e100])


@given(EXTREMES, EXTREMES, EXTREMES, EXTREMES)
def test_any_finite_numbers_give_numbers(gamma: float, spot: float, cost: float, aversion: float) -> None:
    with np.errstate(over="ignore", under="ignore"):
        if spot == 0.0 or aversion == 0.0:
            with pytest.raises(ValueError, match=r"BAND: (spot|risk_aversion) is 0"):
                whalley_wilmott(gamma, spot, cost, aversion)
        else:
            assert float(whalley_wilmott(gamma, spot, cost, aversion)) >= 0.0


# ------------------------------------------------------------------------------------------------ the landing
@pytest.mark.parametrize("kappa", TABLE)
def test_the_table(kappa: float) -> None:
    """The three digits of the table; by fixed cost, by lot (half of it, at the cost of a coin), and both."""
    width, spot, rate = 0.4, 50_000.0, 4e-4
    k = kappa * rate * spot * width
    for fixed, lot in ((k, 0.0), (0.0, 2 * kappa * width), (k / 2, kappa * width)):
        trigger, inner = (float(x) for x in landing(width, spot, rate, fixed, lot))
        if trigger - inner > lot * (1 + 1e-12):  # a lot larger than the step has its own rule
            assert (trigger / width, inner / width) == pytest.approx(TABLE[kappa], abs=6e-4)


@given(st.floats(-6, 4), positive, positive, positive)
def test_the_landing_is_the_cheapest_policy(log_kappa: float, s2: float, a: float, c: float) -> None:
    """Against a search over all (trigger, landing) of J itself, at any scale."""
    w0 = (1.5 * c * s2 / a) ** (1 / 3)
    k = 10.0**log_kappa * c * w0
    found = [float(x) for x in landing(w0, 1.0, c, fixed_cost=k)]
    at_found = yearly(found[0], found[1], s2, a, c, k)

    def cost(p: NDArray[np.float64]) -> float:
        outer = w0 * math.exp(p[0])
        return yearly(outer, outer / (1 + math.exp(-p[1])), s2, a, c, k) / at_found

    best = min(
        minimize(cost, start, method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-14}).fun
        for start in ((0.1, 2.0), (0.5, 0.0), (2.0, -3.0))
    )
    assert best >= 1.0 - 1e-9  # nothing is cheaper
    assert best <= 1.0 + 1e-6  # and the search did find it


def test_the_cost_that_is_minimised_is_that_of_a_random_walk() -> None:
    """J against the stationary law of a walk on a grid, and the walk's own best landing against ours."""
    a, c = 1.0, 12_000.0
    w0 = (1.5 * c / a) ** (1 / 3)  # 26 steps of the grid
    for k in (0.02 * c * w0, 0.3 * c * w0):
        for outer, inner in ((40, 0), (40, 15), (40, 30), (30, 20)):
            exact = chain_yearly(outer, inner, a, c, k)
            assert exact == pytest.approx(yearly(outer, inner, 1.0, a, c, k), rel=4e-3)
        trigger, inner_found = (float(x) for x in landing(w0, 1.0, c, fixed_cost=k))
        at_ours = chain_yearly(round(trigger), round(inner_found), a, c, k)
        walked = [chain_yearly(o, i, a, c, k) for o in range(24, 48, 4) for i in range(0, o - 1, 5)]
        assert at_ours <= min(walked) * (1 + 4e-3)


def test_the_ends_of_the_table() -> None:
    """κ to 0: the edge, continuously, as 1 ± (4κ)^(1/3)/2; κ large: x = (8κ)^(1/4), y = 2/x²."""
    x, y = mixed_policy(0.0)
    assert (float(x), float(y)) == pytest.approx((1.0, 1.0), rel=1e-14)
    for kappa in (1e-12, 1e-9, 1e-6):
        x, y = mixed_policy(kappa)
        half = 0.5 * (4 * kappa) ** (1 / 3)
        assert float(x) == pytest.approx(1 + half, rel=2 * half**2 + 1e-15)
        assert float(y) == pytest.approx(1 - half, rel=2 * half**2 + 1e-15)
    for kappa in (1e4, 1e8, 1e16, 1e100):
        x, y = mixed_policy(kappa)
        assert float(x) == pytest.approx((8 * kappa) ** 0.25, rel=3 * kappa**-0.5)
        assert float(y * x**2) == pytest.approx(2.0, rel=3 * kappa**-0.5)


def test_the_price_of_landing_at_the_centre() -> None:
    """25 % above the best at κ 0.001, 16 % at 0.1, 5 % at 1, 0.4 % at 10."""
    for kappa, worse in ((0.001, 0.25), (0.1, 0.16), (1.0, 0.05), (10.0, 0.004)):
        # in units of w0 = 1 and c = 1: s2/a = 2/3
        x, y = (float(part) for part in mixed_policy(kappa))
        best = yearly(x, y, 2 / 3, 1.0, 1.0, kappa)
        centre = minimize_scalar(
            lambda w, k=kappa: yearly(w, 0.0, 2 / 3, 1.0, 1.0, k), bounds=(0.1, 20), method="bounded"
        ).fun
        assert centre / best - 1 == pytest.approx(
            worse, abs=max(0.006, 0.06 * worse) if worse > 0.01 else 6e-4
        )


def test_with_a_proportional_cost_alone_the_edge_beats_every_other_landing() -> None:
    w = float(whalley_wilmott(GAMMA, F, 5e-4, 1e-4))
    assert tuple(float(x) for x in landing(w, F, 5e-4)) == (w, w)
    s2, a, c = (GAMMA * VOL * F) ** 2, 1e-4 * (VOL * F) ** 2, 5e-4 * F
    edge = c * s2 / (2 * w) + a * w * w / 6
    for outer in np.linspace(0.5, 3.0, 26) * w:
        for share in (0.0, 0.5, 0.9, 0.999):
            assert yearly(float(outer), float(outer) * share, s2, a, c, 0.0) > edge


def test_without_a_variable_cost_the_width_is_the_trigger_and_the_centre_the_landing() -> None:
    """The fourth-root law for a fixed cost alone, against a search; nothing is made of a width of 0."""
    k, aversion = 2.0, 1e-4
    w = float(fixed_cost_width(GAMMA, k, aversion))
    s2, a = (GAMMA * VOL * F) ** 2, aversion * (VOL * F) ** 2
    searched = minimize_scalar(
        lambda t: yearly(w * math.exp(t), 0.0, s2, a, 0.0, k), bounds=(-2, 2), method="bounded"
    )
    assert searched.x == pytest.approx(0.0, abs=1e-4)
    assert tuple(float(x) for x in landing(w, F, 0.0, fixed_cost=k)) == (w, 0.0)
    assert tuple(float(x) for x in landing(0.0, F, 0.0)) == (0.0, 0.0)
    assert tuple(float(x) for x in landing(0.0, F, 5e-4, fixed_cost=1.0)) == (0.0, 0.0)
    # the mixed law ends in it as the variable cost goes to nothing
    small = 1e-13
    trigger, inner = landing(float(whalley_wilmott(GAMMA, F, small, aversion)), F, small, fixed_cost=k)
    assert float(trigger) == pytest.approx(w, rel=1e-3) and float(inner) < 0.01 * w


@given(
    st.floats(0, 1e3),
    st.floats(1e-2, 1e6),
    st.floats(0, 0.05),
    st.floats(0, 1e4),
    st.floats(0, 1e3),
    st.floats(1e-3, 1e3),
)
def test_landing_lies_a_lot_inside_trigger_and_lots_are_coins(
    width: float, spot: float, rate: float, fixed: float, lot: float, unit: float
) -> None:
    """Whatever the numbers: 0 <= landing <= trigger − lot, trigger >= width; the same in any coin unit."""
    trigger, inner = (float(x) for x in landing(width, spot, rate, fixed, lot))
    assert 0.0 <= inner <= trigger - lot
    assert trigger >= width * (1 - 1e-12)
    other = landing(width * unit, spot / unit, rate, fixed, lot * unit)
    assert float(other[0]) == pytest.approx(trigger * unit, rel=1e-7, abs=1e-300)
    assert float(other[1]) == pytest.approx(inner * unit, rel=1e-6, abs=1e-6 * trigger * unit)


@given(st.floats(1e-6, 1e6), st.floats(1.0001, 10))
def test_a_dearer_trade_is_made_later_and_goes_further(kappa: float, more: float) -> None:
    x, y = mixed_policy(np.array([kappa, kappa * more]))
    assert x[1] > x[0] and y[1] < y[0]


# ------------------------------------------------------------------------------------------------ Zakamouline
def test_zakamoulines_formula() -> None:
    """H0, H1 and K term by term, at numbers whose powers are easy: σ = 1, T = 1, λ = 0.01."""
    lam, g, s, gamma = 0.01, 2.0, 1.0, 8.0
    band = zakamouline(-gamma, s, lam, g, 1.0, 1.0)
    h1 = 1.12 * 10 ** (-0.62) * 2.0
    assert float(band.half_width) == pytest.approx(lam / g + h1, rel=1e-12)
    k = 4.76 * 10 ** (-1.56) * 2**0.6  # (γ S² |Γ|)^0.15 = 16^0.15
    assert float(band.vol_factor) == pytest.approx(math.sqrt(1 + k), rel=1e-12)
    owned = zakamouline(gamma, s, lam, g, 1.0, 1.0)
    assert float(owned.vol_factor) == pytest.approx(math.sqrt(1 - k), rel=1e-12)
    assert owned.half_width == band.half_width
    discounted = zakamouline(-gamma, s, lam, g, 1.0, 1.0, rate=0.4)
    assert float(discounted.half_width) == pytest.approx(lam / g + h1 * math.exp(-0.1), rel=1e-12)


def test_zakamouline_of_many_contracts_is_that_of_one_at_their_risk_aversion() -> None:
    """q contracts: q times the width of one with q times the risk aversion, and the same vol."""
    q = 37.0
    one = zakamouline(-GAMMA, F, 5e-4, 1e-4 * q, VOL, YEARS)
    many = zakamouline(-GAMMA * q, F, 5e-4, 1e-4, VOL, YEARS)
    assert float(many.half_width) == pytest.approx(q * float(one.half_width), rel=1e-12)
    assert float(many.vol_factor) == pytest.approx(float(one.vol_factor), rel=1e-12)


def test_zakamouline_is_refused_where_its_vol_would_be_imaginary() -> None:
    with pytest.raises(ValueError, match=r"cost_rate is 0.5.*stays positive"):
        zakamouline(1.0, 100.0, 0.5, 1.0, 0.5, 0.1)


# ------------------------------------------------------------------------------------------------ risk budget
@given(
    error=st.floats(1.0, 1e6),
    spot=st.floats(1.0, 1e5),
    vol=st.floats(0.1, 2.0),
    rate=st.floats(1e-6, 0.02),
    fixed=st.floats(0.0, 100.0),
    lot=st.floats(0.0, 0.1),
)
def test_a_budget_is_what_its_policy_delivers(
    error: float, spot: float, vol: float, rate: float, fixed: float, lot: float
) -> None:
    """The width, sent through the landing, has the hedge error that was asked for."""
    width = budget_width(error, spot, vol, rate, fixed, lot)
    kappa = (fixed / (rate * spot) + lot / 2) / width
    x, y = (float(part) * width for part in mixed_policy(kappa))
    assert hedge_error_usd_per_day(x, y, spot, vol) == pytest.approx(error, rel=1e-6)


def test_the_hedge_error_is_that_of_a_uniform_mis_hedge() -> None:
    """Reflected between ±w the mis-hedge is uniform: sd w/√3 coins, times the daily move; by the walk too."""
    w = 0.09
    assert hedge_error_usd_per_day(w, w, F, VOL) == pytest.approx(
        w / math.sqrt(3) * F * VOL / math.sqrt(365), rel=1e-12
    )
    n, m = 50, 30
    second_moment = 2 * chain_yearly(n, m, 1.0, 0.0, 0.0)
    walked = math.sqrt(second_moment) / n * w * F * VOL / math.sqrt(365)
    assert hedge_error_usd_per_day(w, w * m / n, F, VOL) == pytest.approx(walked, rel=2e-3)


@given(st.floats(1e-9, 1e-1), st.floats(1e-8, 1.0))
def test_the_risk_aversion_of_a_budget_asks_for_its_width(gamma: float, width: float) -> None:
    aversion = implied_risk_aversion(width, gamma, F, 5e-4)
    assert float(whalley_wilmott(gamma, F, 5e-4, aversion)) == pytest.approx(width, rel=1e-9)


def test_a_budget_without_a_variable_cost() -> None:
    """Then every trade goes to the centre: E[X²] = w²/6."""
    w = budget_width(100.0, F, VOL, 0.0, fixed_cost=1.0)
    assert hedge_error_usd_per_day(w, 0.0, F, VOL) == pytest.approx(100.0, rel=1e-12)


def test_the_one_step_width() -> None:
    """Where the saving γ σ² S² h X of hedging the last coin once equals its cost λ S."""
    h = 1 / 365
    x = float(one_step_width(F, 5e-4, 1e-4, VOL, h))
    assert 1e-4 * VOL**2 * F**2 * h * x == pytest.approx(5e-4 * F, rel=1e-12)


# -------------------------------------------------------------------------------------------------- bad input
CALLS: dict[str, tuple[Callable[..., Any], dict[str, float]]] = {
    "whalley_wilmott": (
        whalley_wilmott,
        {
            "net_gamma": 1e-5,
            "spot": 100.0,
            "cost_rate": 1e-3,
            "risk_aversion": 1.0,
            "years": 0.1,
            "rate": 0.0,
        },
    ),
    "landing": (
        landing,
        {"width": 0.1, "spot": 100.0, "cost_rate": 1e-3, "fixed_cost": 1.0, "lot": 0.01},
    ),
    "zakamouline": (
        zakamouline,
        {
            "net_gamma": 1e-5,
            "spot": 100.0,
            "cost_rate": 1e-3,
            "risk_aversion": 1.0,
            "vol": 0.5,
            "years": 0.1,
            "rate": 0.0,
        },
    ),
    "budget_width": (
        budget_width,
        {
            "error_usd_per_day": 1.0,
            "spot": 100.0,
            "vol": 0.5,
            "cost_rate": 1e-3,
            "fixed_cost": 1.0,
            "lot": 0.0,
        },
    ),
    "fixed_cost_width": (
        fixed_cost_width,
        {"net_gamma": 1e-5, "fixed_cost": 1.0, "risk_aversion": 1.0},
    ),
    "one_step_width": (
        one_step_width,
        {"spot": 100.0, "cost_rate": 1e-3, "risk_aversion": 1.0, "vol": 0.5, "holding_years": 0.01},
    ),
}


@pytest.mark.parametrize(
    ("function", "argument"), [(f, name) for f, (_, given_) in CALLS.items() for name in given_]
)
def test_what_is_no_number_is_refused_by_name(function: str, argument: str) -> None:
    call, arguments = CALLS[function]
    for bad in (math.nan, math.inf, -math.inf, "ten", None):
        with pytest.raises(ValueError, match=rf"BAND: {argument} is "):
            call(**(arguments | {argument: bad}))
    with pytest.raises(ValueError, match=rf"BAND: {argument} is nan"):
        if function != "budget_width":
            call(**(arguments | {argument: np.array([1.0, math.nan])}))
        else:
            call(**(arguments | {argument: math.nan}))
    if argument not in ("net_gamma", "rate"):
        with pytest.raises(ValueError, match=rf"BAND: {argument} is -1"):
            call(**(arguments | {argument: -1.0}))


def test_shapes_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(ValueError, match=r"shapes do not go together: net_gamma \(2,\), spot \(3,\)"):
        whalley_wilmott([1e-5, 1e-5], [1.0, 2.0, 3.0], 1e-3, 1.0)
