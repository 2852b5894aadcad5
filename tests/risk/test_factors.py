"""Risk factors against brute force: books revalued by an own formula, covariances against what made them."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.contracts import Option
from pricing.daycount import NS_PER_SECOND
from pricing.valuation import value
from risk.costs import reference_price
from risk.exposures import ExposureSettings, expose
from risk.factor_history import (
    FactorCovariance,
    FactorHistory,
    FactorMark,
    FactorSettings,
    constant_maturity,
    factor_covariance,
    factor_mark,
    factor_names,
    positive_semidefinite,
    spot_vol_lean,
)
from risk.factors import (
    FactorExposure,
    JumpSettings,
    factor_exposures,
    factor_risk,
    jump_exposures,
    triangular_root,
)
from tests.builders import AGE_S_MAX, NOW_NS, plain_black
from tests.risk.test_exposures import CASH, COIN, INDEX, LEGS, USD, Leg, market, years_of

HOUR_NS = 3600 * NS_PER_SECOND
BOTH = ("BTC", "ETH")


def exposures(settings: ExposureSettings, jump: JumpSettings | None = None) -> FactorExposure:
    known = market()
    valuation = value(known, AGE_S_MAX)
    quantities = np.array([leg.quantity for leg in LEGS])
    exposure = expose(quantities, CASH, valuation, reference_price(known), BOTH, settings)
    if jump is None:
        return factor_exposures(valuation, exposure, quantities, BOTH, settings)
    return jump_exposures(
        known, valuation, exposure, quantities, CASH, reference_price(known), BOTH, settings, jump
    )


def option_worth(leg: Leg, move: float, level: float = 0.0, slope: float = 0.0) -> float:
    """USD of an option position when spot moves by a share, the vol level and the slope by so much."""
    contract = leg.listing.contract
    assert isinstance(contract, Option)
    days = years_of(leg) * 365.0
    vol = leg.vol + level * math.sqrt(30.0 / max(days, 1.0))
    vol += slope * math.log(min(max(days, 1.0), 365.0) / 30.0) / math.log(120.0 / 14.0)
    forward = leg.forward * (1.0 + move)
    v = plain_black(forward, contract.strike, years_of(leg), vol, contract.right.sign)
    in_usd = v / leg.basis if contract.inverse else v  # v / F coin, at the index S = F / basis
    return leg.natural * in_usd


def options(coin: str, days_min: float = 0.0) -> list[Leg]:
    return [
        leg
        for leg in LEGS
        if leg.coin == coin and isinstance(leg.listing.contract, Option) and years_of(leg) * 365.0 >= days_min
    ]


@pytest.mark.parametrize("coin", BOTH)
def test_vol_and_slope_are_revaluations_of_the_book(coin: str) -> None:
    found = exposures(USD)
    h = 1e-5
    for factor, bump in (("vol", {"level": h}), ("slope", {"slope": h})):
        up = sum(option_worth(leg, 0.0, **bump) for leg in options(coin))
        down = sum(option_worth(leg, 0.0, **{k: -x for k, x in bump.items()}) for leg in options(coin))
        # coin-settled vega is plain Black-76, not F/S of it: legs differ by the basis, 3 % at most
        worst = sum(abs(option_worth(leg, 0.0, **bump) - option_worth(leg, 0.0)) / h for leg in options(coin))
        at = found.names.index(f"{factor}:{coin}")
        assert abs(found.value[at] - (up - down) / (2 * h)) <= 0.035 * worst


@pytest.mark.parametrize("coin", BOTH)
def test_the_square_is_half_the_convexity_of_options_that_live_long_enough(coin: str) -> None:
    """P&L = return r + square 1/2 r^2: its second derivative by r, less what the legs' own convexity is."""
    found, h = exposures(USD), 1e-3
    worth = {m: sum(option_worth(leg, m) for leg in options(coin, 2.0)) for m in (-h, 0.0, h)}
    second = (worth[h] - 2 * worth[0.0] + worth[-h]) / h**2
    scale = sum(
        abs(option_worth(leg, h) - 2 * option_worth(leg, 0.0) + option_worth(leg, -h)) / h**2
        for leg in options(coin, 2.0)
    )
    assert abs(found.value[found.names.index(f"square:{coin}")] - second) <= 0.07 * scale
    every = {m: sum(option_worth(leg, m) for leg in options(coin)) for m in (-h, 0.0, h)}
    with_expiring = (every[h] - 2 * every[0.0] + every[-h]) / h**2
    assert abs(with_expiring - second) > 0.3 * abs(second)  # the test would see them


@pytest.mark.parametrize("settings", [USD, COIN], ids=["USD", "coin"])
def test_returns_are_delta_at_the_index(settings: ExposureSettings) -> None:
    known = market()
    valuation = value(known, AGE_S_MAX)
    quantities = np.array([leg.quantity for leg in LEGS])
    exposure = expose(quantities, CASH, valuation, reference_price(known), BOTH, settings)
    found = factor_exposures(valuation, exposure, quantities, BOTH, settings)
    for coin in BOTH:
        at = found.names.index(f"return:{coin}")
        assert found.value[at] == pytest.approx(exposure.row(f"delta:{coin}") * INDEX[coin])
        assert np.allclose(
            found.traded[at], exposure.traded[exposure.rows.index(f"delta:{coin}")] * INDEX[coin]
        )


def test_coin_numeraire_counts_in_usd_of_the_present_index() -> None:
    in_usd, in_coin = exposures(USD), exposures(COIN)
    for coin in BOTH:
        at = in_usd.names.index(f"vol:{coin}")
        # vega in coin is vega / S for linear, / F for coin-settled options: a basis of 3 % at most
        quantities = np.array([leg.quantity for leg in LEGS])
        scale = float(np.abs(in_usd.owned[at] * quantities).sum())
        assert abs(in_coin.value[at] - in_usd.value[at]) <= 0.035 * scale


@pytest.mark.parametrize("size", [0.08, 0.2])
def test_a_jump_is_the_revaluation_of_the_book_but_for_what_expires(size: float) -> None:
    found = exposures(USD, JumpSettings(size, 0.01))
    assert found.names == (f"jump:{100 * size:+g}%", f"jump:{-100 * size:+g}%")
    delta = exposures(USD)
    for name, move in zip(found.names, (size, -size), strict=True):
        convex = 0.0
        for coin in BOTH:
            for leg in options(coin, 2.0):
                h = 1e-5
                slope = (option_worth(leg, h) - option_worth(leg, -h)) / (2 * h)
                convex += option_worth(leg, move) - option_worth(leg, 0.0) - slope * move
        linear = sum(delta.value[delta.names.index(f"return:{coin}")] for coin in BOTH) * move
        assert found.value[found.names.index(name)] == pytest.approx(linear + convex, rel=2e-3)


def test_no_jump() -> None:
    assert exposures(USD, JumpSettings(0.0, 0.01)).value.size == 0


def test_risk_is_the_quadratic_form_and_jumps_count_with_their_squared_mean() -> None:
    factors, jump = exposures(USD), JumpSettings(0.08, 0.02)
    jumps = exposures(USD, jump)
    r = np.random.default_rng(1)
    root = r.normal(0, 1, (8, 8))
    covariance = FactorCovariance(factor_names(BOTH), root @ root.T, np.zeros(8), np.ones(8))
    found = factor_risk(factors, jumps, covariance, jump, 1e-6, 0.01)
    q = np.zeros(len(LEGS))
    q[3], q[12] = 2.0, -5.0
    e, j = factors.value + factors.traded @ q, jumps.value + jumps.traded @ q
    expected = 0.5 * 1e-6 * 0.01 * (e @ root @ root.T @ e + 365 * 0.02 * (j @ j))
    left = found.value + found.per_unit @ q
    assert 0.5 * left @ left == pytest.approx(expected, rel=1e-10)


# ---------------------------------------------------------------------------------------------- the past


def history(moves: np.ndarray, step_h: float = 6.0, underlyings: tuple[str, ...] = BOTH) -> FactorHistory:
    """Marks made of moves (t, underlyings, 3): log return, level, slope."""
    u = len(underlyings)
    log, level, slope = np.zeros(u), np.full(u, 0.6), np.full(u, 0.02)
    marks = []
    for i, move in enumerate(moves):
        log, level, slope = log + move[:, 0], level + move[:, 1], slope + move[:, 2]
        now = NOW_NS + round(i * step_h * HOUR_NS)
        marks.append(FactorMark(now, tuple(60_000 * np.exp(log)), tuple(level), tuple(slope)))
    return FactorHistory(underlyings, tuple(marks))  # `with_mark` copies all there are, each time


def walk(steps: int, seed: int = 0) -> np.ndarray:
    """Returns of 2 % a step with rho = 0.8 across coins, vols that fall when spot rises."""
    r = np.random.default_rng(seed)
    common, own = r.normal(0, 1, (steps, 1)), r.normal(0, 1, (steps, 2))
    returns = 0.02 * (math.sqrt(0.8) * common + math.sqrt(0.2) * own)
    level = -0.3 * returns + 0.004 * r.normal(0, 1, (steps, 2))
    by_level = (30 / 120) ** 0.5 - (30 / 14) ** 0.5
    slope = by_level * level + 0.002 * r.normal(0, 1, (steps, 2))
    return np.stack([returns, level, slope], axis=2)


def test_a_long_past_is_recovered() -> None:
    long = FactorSettings(step_h=6.0, halflife_days=1e6, window_days=1e6, prior_days=1e-9)
    past = history(walk(20_000))
    found = factor_covariance(past, past.marks[-1].now_ns, long)
    steps = 4 * 365

    def per_step(a: str, b: str) -> float:
        return found.between(a, b) / steps

    assert per_step("return:BTC", "return:BTC") == pytest.approx(4e-4, rel=0.03)
    assert per_step("return:BTC", "return:ETH") == pytest.approx(0.8 * 4e-4, rel=0.04)
    assert per_step("return:BTC", "vol:BTC") == pytest.approx(-0.3 * 4e-4, rel=0.05)
    assert per_step("vol:ETH", "vol:ETH") == pytest.approx(0.09 * 4e-4 + 1.6e-5, rel=0.04)
    assert per_step("slope:BTC", "slope:BTC") == pytest.approx(
        4e-6, rel=0.04
    )  # beyond what the level explains
    assert per_step("square:BTC", "square:BTC") == pytest.approx(0.5 * 1.6e-7, rel=0.1)  # normal: sigma^4 / 2
    assert abs(per_step("slope:BTC", "vol:BTC")) < 2e-7
    lean = spot_vol_lean(1e6, found, "BTC", 60_000.0)
    assert lean == pytest.approx(0.3 * 1e6 / 60_000, rel=0.05)


def test_without_a_past_the_prior_is_all_there_is() -> None:
    settings = FactorSettings(vol=0.7, vol_points_per_day=3.0, slope_points_per_day=2.0, correlation=0.6)
    nothing = FactorHistory(BOTH)
    found = factor_covariance(nothing, NOW_NS, settings)
    assert found.prior_share.tolist() == [1.0] * 8 and found.moves.tolist() == [0.0] * 8
    assert found.between("return:BTC", "return:BTC") == pytest.approx(0.49)
    assert found.between("return:BTC", "return:ETH") == pytest.approx(0.6 * 0.49)
    assert found.between("vol:BTC", "vol:BTC") == pytest.approx(0.03**2 * 365)
    assert found.between("return:BTC", "vol:BTC") == 0.0
    # the options' own vol stands for that of returns where it is known
    marked = nothing.with_mark(FactorMark(NOW_NS, (6e4, 2e3), (0.4, math.nan), (math.nan, math.nan)))
    told = factor_covariance(marked, NOW_NS, settings)
    assert told.between("return:BTC", "return:BTC") == pytest.approx(0.16)
    assert told.between("return:ETH", "return:ETH") == pytest.approx(0.49)
    assert spot_vol_lean(1e6, found, "BTC", 6e4) == 0.0


def test_the_future_does_not_count() -> None:
    past = history(walk(400))
    cut = past.marks[250].now_ns
    settings = FactorSettings()
    whole = factor_covariance(past, cut, settings)
    known = factor_covariance(past.until(cut), cut, settings)
    assert (whole.matrix == known.matrix).all()
    with pytest.raises(ValueError, match="not after"):
        past.with_mark(past.marks[0])


def test_overlapping_moves_are_not_counted_twice() -> None:
    """Marks every hour instead of every six say no more about days."""
    hourly, six = history(walk(2400), 1.0), history(walk(400), 6.0)
    settings = FactorSettings(step_h=24.0, halflife_days=1e6, window_days=1e6)
    counts = [factor_covariance(h, h.marks[-1].now_ns, settings).moves[0] for h in (hourly, six)]
    assert counts == pytest.approx([100.0, 100.0], rel=0.02)


@given(
    seed=st.integers(0, 500),
    holes=st.lists(st.tuples(st.integers(0, 39), st.integers(0, 1), st.integers(0, 2)), max_size=60),
)
def test_always_positive_semidefinite(seed: int, holes: list[tuple[int, int, int]]) -> None:
    past = history(walk(40, seed))
    marks = list(past.marks)
    for at, coin, field in holes:
        name = ("spot", "level", "slope")[field]
        values = list(getattr(marks[at], name))
        values[coin] = math.nan
        given: dict[str, Any] = {name: tuple(values)}
        marks[at] = replace(marks[at], **given)
    found = factor_covariance(FactorHistory(BOTH, tuple(marks)), marks[-1].now_ns)
    assert np.isfinite(found.matrix).all()
    sd = np.sqrt(np.diag(found.matrix))
    assert (sd > 0).all()
    assert np.linalg.eigvalsh(found.matrix / np.outer(sd, sd)).min() > -1e-9
    root = triangular_root(found.matrix)
    assert np.abs(root @ root.T - found.matrix).max() <= 1e-9 * np.abs(found.matrix).max()


def test_cutting_negative_eigenvalues_keeps_variances() -> None:
    bad = np.array([[4.0, 5.0, -5.0], [5.0, 9.0, 8.0], [-5.0, 8.0, 16.0]])
    good = positive_semidefinite(bad)
    assert np.diag(good) == pytest.approx([4.0, 9.0, 16.0])
    assert np.linalg.eigvalsh(good).min() > -1e-12


def test_the_lean_is_the_delta_of_least_variance() -> None:
    past = history(walk(3000))
    found = factor_covariance(past, past.marks[-1].now_ns, FactorSettings(step_h=6.0, prior_days=1e-9))
    vega, s = -2.5e6, 60_000.0
    at = [found.names.index(f"{f}:BTC") for f in ("return", "vol")]
    c = found.matrix[np.ix_(at, at)]
    deltas = np.linspace(-40, 40, 8001)
    e = np.stack([deltas * s, np.full(deltas.size, vega)])
    variance = np.einsum("in,ij,jn->n", e, c, e)
    assert spot_vol_lean(vega, found, "BTC", s) == pytest.approx(deltas[variance.argmin()], abs=0.011)


def test_a_mark_reads_perpetual_level_and_slope_off_the_market() -> None:
    mark = factor_mark(value(market(), AGE_S_MAX), ("BTC", "SOL"))
    perps = [leg.forward for leg in LEGS if leg.coin == "BTC" and leg.quote().mark == leg.forward]
    assert min(perps) <= mark.spot[0] <= max(perps)
    assert math.isnan(mark.spot[1]) and math.isnan(mark.level[1])
    assert 0.4 < mark.level[0] < 0.8 and math.isfinite(mark.slope[0])


def test_constant_maturity() -> None:
    days, vols = np.array([10.0, 40.0]), np.array([0.6, 0.5])
    between = math.sqrt((0.36 * 10 * 0.5 + 0.25 * 40 * 0.5) / 25)
    assert constant_maturity(days, vols, 25.0) == pytest.approx(between)
    assert constant_maturity(days, vols, 5.0) == pytest.approx(0.6)
    assert constant_maturity(days, vols, 300.0) == pytest.approx(0.5)
    assert math.isnan(constant_maturity(np.empty(0), np.empty(0), 30.0))
