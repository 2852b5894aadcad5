"""Delta rules against the values of an option whose smile moves, and the regression against numpy's."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.daycount import NS_PER_SECOND
from pricing.delta_rules import (
    Coefficients,
    DeltaRule,
    NormalEquations,
    OptionMarks,
    WindowSettings,
    comparable,
    fit_minimum_variance,
    hedge_errors,
    minimum_variance_move,
    normal_equations,
    vol_move,
)
from pricing.flat import FloatArray
from pricing.forwards import forwards
from pricing.surface import Surface, refit
from pricing.valuation import DeltaSource, Numeraire, Valuation, ValuationRules, value
from tests.builders import AGE_S_MAX, NAN, Quote, market_of, plain_black
from tests.pricing.test_surface import chain, quote, smile_of, terms, vol_of

HOUR_NS = 3600 * NS_PER_SECOND
F, T = 60_000.0, 30 / 365


# ------------------------------------------------------------------------------------------------ smile rules
def slope_of(vol: Callable[[float], float], strike: float) -> float:
    """dσ/dK by central difference."""
    return (vol(strike + 1.0) - vol(strike - 1.0)) / 2.0


def delta_of(forward: float, strike: float, vol: Callable[[float, float], float], sign: int) -> float:
    """dV/dF where the vol of the strike is a function of it and of the forward."""
    up, down = (plain_black(f, strike, T, vol(strike, f), sign) for f in (forward + 3.0, forward - 3.0))
    return (up - down) / 6.0


@given(
    st.floats(-0.4, 0.4), st.floats(0.0, 2.0), st.floats(-2.0, 2.0), st.sampled_from([1, -1]),
    st.sampled_from([DeltaRule.BLACK_SCHOLES, DeltaRule.STICKY_MONEYNESS, DeltaRule.STICKY_TREE]),
)  # fmt: skip
def test_a_rule_is_the_move_of_the_smile_that_it_names(
    skew: float, bend: float, z: float, sign: int, rule: DeltaRule
) -> None:
    """Derman's three regimes: σ(K) stands; σ(K/F); σ(K + F)."""
    strike = F * math.exp(z * 0.5 * math.sqrt(T))

    def smile(k: float) -> float:
        return 0.5 + skew * k + bend * k * k

    vol: dict[DeltaRule, Callable[[float, float], float]] = {
        DeltaRule.BLACK_SCHOLES: lambda K, _: smile(math.log(K / F)),
        DeltaRule.STICKY_MONEYNESS: lambda K, f: smile(math.log(K / f)),
        DeltaRule.STICKY_TREE: lambda K, f: smile(math.log((K + f - F) / F)),
    }
    wanted = delta_of(F, strike, vol[rule], sign)
    plain = delta_of(F, strike, vol[DeltaRule.BLACK_SCHOLES], sign)
    own = smile(math.log(strike / F))
    vega = (plain_black(F, strike, T, own + 1e-4, sign) - plain_black(F, strike, T, own - 1e-4, sign)) / 2e-4
    slope = slope_of(lambda K: smile(math.log(K / F)), strike)
    move = vol_move(rule, np.array([strike]), np.array([F]), np.array([slope]))
    assert plain + vega * float(move[0]) == pytest.approx(wanted, abs=2e-6)


def test_a_smile_rule_without_a_slope_says_nothing_and_the_regression_is_none() -> None:
    one = np.array([F])
    for rule in (DeltaRule.STICKY_MONEYNESS, DeltaRule.STICKY_TREE):
        assert np.isnan(vol_move(rule, one, one, np.array([NAN]))).all()
    with pytest.raises(ValueError, match="coefficients"):
        vol_move(DeltaRule.MINIMUM_VARIANCE, one, one, one)


# --------------------------------------------------------------------------------- the rules in a valuation
CHAIN = chain(30.0)
SMILE = smile_of(30.0)


def surface(quotes: list[Quote] = CHAIN) -> Surface:
    market = market_of(quotes)
    return refit(None, market, forwards(market, AGE_S_MAX).forward, AGE_S_MAX)


def valued(quotes: list[Quote], rules: ValuationRules) -> Valuation:
    return value(market_of(quotes), AGE_S_MAX, rules)


def shifted(rule: DeltaRule, forward: float, inverse: bool) -> list[Quote]:
    """The chain with another forward and the smile moved along."""

    def vol(strike: float) -> float:
        if rule is DeltaRule.STICKY_MONEYNESS:
            return vol_of(SMILE, strike, 30.0, forward)
        if rule is DeltaRule.STICKY_TREE:
            return vol_of(SMILE, strike + forward - F, 30.0)
        return vol_of(SMILE, strike, 30.0)

    return [quote(*terms(q), 30.0, vol(terms(q)[0]), forward=forward, inverse=inverse) for q in CHAIN]


@pytest.mark.parametrize("inverse", [True, False])
@pytest.mark.parametrize("rule", [DeltaRule.BLACK_SCHOLES, DeltaRule.STICKY_MONEYNESS, DeltaRule.STICKY_TREE])
def test_the_delta_of_a_valuation_is_the_change_of_its_value(rule: DeltaRule, inverse: bool) -> None:
    """Revalued with forward and index a dollar up and down, the smile moved along the rule."""
    rules = ValuationRules(delta_rule=rule, surface=surface())
    now = valued(shifted(rule, F, inverse), rules)
    up, down = (valued(shifted(rule, F + x, inverse), rules) for x in (1.0, -1.0))
    assert now.usd.delta == pytest.approx((up.value_usd - down.value_usd) / 2.0, abs=1e-6)
    coins = (up.value_usd / (F + 1.0) - down.value_usd / (F - 1.0)) / 2.0 * F
    assert now.greeks(Numeraire.COIN).delta == pytest.approx(coins, abs=1e-6)
    source = DeltaSource.BLACK_SCHOLES if rule is DeltaRule.BLACK_SCHOLES else DeltaSource.RULE
    assert set(now.delta_source.tolist()) == {source}


@pytest.mark.parametrize("inverse", [True, False])
def test_minimum_variance_in_a_valuation(inverse: bool) -> None:
    """delta_BS + vega/(F √T) (a + b delta_BS + c delta_BS²), calls and puts apart (Hull and White 2017)."""
    known = {
        ("BTC", 1): Coefficients(-0.2, 0.1, -0.3, 900, 30, 0.1),
        ("ETH", -1): Coefficients(9.0, 9.0, 9.0, 900, 30, 0.1),
    }
    quotes = shifted(DeltaRule.BLACK_SCHOLES, F, inverse)
    plain = valued(quotes, ValuationRules())
    ours = valued(quotes, ValuationRules(delta_rule=DeltaRule.MINIMUM_VARIANCE, coefficients=known))
    calls = plain.universe.sign > 0
    d = plain.usd.delta
    wanted = d + plain.usd.vega / (F * math.sqrt(T)) * (-0.2 + 0.1 * d - 0.3 * d * d)
    assert ours.usd.delta[calls] == pytest.approx(wanted[calls], rel=1e-12)
    assert ours.usd.delta[~calls].tolist() == d[~calls].tolist()  # unknown: Black-Scholes, and so marked
    assert set(ours.delta_source[calls].tolist()) == {DeltaSource.RULE}
    assert set(ours.delta_source[~calls].tolist()) == {DeltaSource.BLACK_SCHOLES}
    for name in ("gamma", "vega", "theta"):
        assert getattr(ours.usd, name).tolist() == getattr(plain.usd, name).tolist()


@pytest.mark.parametrize("rule", [DeltaRule.STICKY_MONEYNESS, DeltaRule.STICKY_TREE])
def test_without_a_surface_or_a_smile_on_it_the_delta_is_black_scholes(rule: DeltaRule) -> None:
    plain = valued(CHAIN, ValuationRules())
    unquoted = [replace(q, bid=NAN, ask=NAN, mark_iv=NAN) for q in CHAIN]
    for known in (None, surface(unquoted)):
        ours = valued(CHAIN, ValuationRules(delta_rule=rule, surface=known))
        assert ours.usd.delta.tolist() == plain.usd.delta.tolist()
        assert set(ours.delta_source.tolist()) == {DeltaSource.BLACK_SCHOLES}


# ------------------------------------------------------------------------------------------- the regression
def interval(
    seed: int, count: int = 60, abc: tuple[float, float, float] = (0.0, 0.0, 0.0), noise: float = 0.0
) -> tuple[OptionMarks, OptionMarks]:
    """Options at two times, their values moved by delta, theta and a regression that is known, in coins."""
    rng = np.random.default_rng(seed)
    sign = np.where(rng.uniform(size=count) < 0.5, 1.0, -1.0)
    underlying = (rng.uniform(size=count) < 0.5).astype(np.int64)
    forward = np.where(underlying == 0, 60_000.0, 2_000.0) * rng.uniform(0.99, 1.01, count)
    years = rng.uniform(0.01, 0.5, count)
    before = OptionMarks(
        now_ns=seed * 6 * HOUR_NS,
        underlying=underlying,
        sign=sign,
        value=forward * rng.uniform(0.01, 0.1, count),
        delta=sign * rng.uniform(0.05, 0.95, count),
        vega=forward * np.sqrt(years) * rng.uniform(0.1, 0.4, count),
        theta=-forward * rng.uniform(0.1, 1.0, count),
        forward=forward,
        years=years,
        vol=rng.uniform(0.3, 0.8, count),
    )
    move = np.where(underlying == 0, rng.normal(0.0, 0.02), rng.normal(0.0, 0.03))
    a, b, c = abc
    error = before.vega / np.sqrt(years) * move * (a + b * before.delta + c * before.delta**2)
    error += noise * forward * rng.normal(size=count)
    hours = 6.0
    after = replace(
        before,
        now_ns=before.now_ns + 6 * HOUR_NS,
        forward=forward * (1.0 + move),
        value=before.value + before.delta * forward * move + before.theta * hours / 8760 + error,
        vol=before.vol + rng.normal(0.0, 0.02, count),
        years=years - hours / 8760,
    )
    return before, after


def equations_of(pairs: list[tuple[OptionMarks, OptionMarks]], key: tuple[int, int]) -> list[NormalEquations]:
    found = [normal_equations(before, after) for before, after in pairs]
    return [f[key] for f in found if key in f]


def least_squares(
    pairs: list[tuple[OptionMarks, OptionMarks]], key: tuple[int, int]
) -> tuple[FloatArray, float, int]:
    """numpy's coefficients, the part of the squares they explain, and the number of pairs."""
    x, y = [], []
    for first, second in pairs:
        for i in np.flatnonzero((first.underlying == key[0]) & (first.sign == key[1])).tolist():
            d, forward = first.delta[i], first.forward[i]
            ratio = second.forward[i] / forward - 1.0
            scale = first.vega[i] / math.sqrt(first.years[i]) * ratio / forward
            x.append([scale, scale * d, scale * d * d])
            left = second.value[i] - first.value[i] - d * (second.forward[i] - forward)
            y.append((left - first.theta[i] * 6.0 / 8760) / forward)
    design, target = np.array(x), np.array(y)
    found = np.linalg.lstsq(design, target, rcond=None)[0]
    rest = target - design @ found
    return found, float(1.0 - rest @ rest / (target @ target)), len(y)


ALL = WindowSettings(days=1000.0, pairs_min=3, snapshots_min=1)
KEYS = [(0, 1), (0, -1), (1, 1), (1, -1)]


@given(st.floats(-2.0, 2.0), st.floats(-2.0, 2.0), st.floats(-2.0, 2.0), st.integers(0, 10**4))
def test_known_coefficients_are_found(a: float, b: float, c: float, seed: int) -> None:
    pairs = [interval(seed + i, abc=(a, b, c)) for i in range(5)]
    for key in KEYS:
        found = fit_minimum_variance(equations_of(pairs, key), 10**18, replace(ALL, days=1e5))
        assert found is not None
        assert (found.a, found.b, found.c) == pytest.approx((a, b, c), abs=1e-6)


@pytest.mark.parametrize("key", KEYS)
def test_noisy_coefficients_are_those_of_numpy(key: tuple[int, int]) -> None:
    pairs = [interval(i, abc=(-0.3, 0.2, 0.1), noise=1e-3) for i in range(20)]
    found = fit_minimum_variance(equations_of(pairs, key), pairs[-1][1].now_ns, ALL)
    wanted, gain, count = least_squares(pairs, key)
    assert found is not None
    assert (found.a, found.b, found.c) == pytest.approx(wanted, rel=1e-8)
    assert found.gain == pytest.approx(gain, rel=1e-8)
    assert (found.pairs, found.snapshots) == (count, 20)


def test_no_other_coefficients_leave_less() -> None:
    """In sample, the errors of a hedge by the coefficients have the least sum of squares."""
    pairs = [interval(i, abc=(-0.3, 0.2, 0.1), noise=1e-3) for i in range(10)]
    found = fit_minimum_variance(equations_of(pairs, (0, 1)), 10**18, replace(ALL, days=1e5))
    assert found is not None

    def left(own: Coefficients) -> float:
        total = 0.0
        for first, second in pairs:
            mine = (first.underlying == 0) & (first.sign > 0)
            delta = first.delta + first.vega * minimum_variance_move(
                first.delta, first.forward, first.years, own
            )
            error = hedge_errors(first, second, delta, first.forward, second.forward) / first.forward
            total += float(error[mine] @ error[mine])
        return total

    least = left(found)
    plain = left(replace(found, a=0.0, b=0.0, c=0.0))
    assert 1.0 - least / plain == pytest.approx(found.gain, rel=1e-8)
    for name in ("a", "b", "c"):
        for step in (-1e-3, 1e-3):
            assert left(replace(found, **{name: getattr(found, name) + step})) > least


def test_a_window_has_an_old_end_a_new_end_and_a_least_size() -> None:
    pairs = [interval(i, abc=(-0.3, 0.2, 0.1), noise=1e-3) for i in range(20)]
    equations = equations_of(pairs, (0, 1))
    now_ns = pairs[-1][1].now_ns
    # ends of intervals lie 6 hours apart: two and a half days hold the last ten of them
    found = fit_minimum_variance(equations, now_ns, replace(ALL, days=2.5))
    wanted, _, count = least_squares(pairs[-10:], (0, 1))
    assert found is not None
    assert (found.a, found.b, found.c) == pytest.approx(wanted, rel=1e-8)
    assert (found.pairs, found.snapshots) == (count, 10)
    # what is still to come is not learned from
    early = fit_minimum_variance(equations, pairs[9][1].now_ns, ALL)
    wanted, _, _ = least_squares(pairs[:10], (0, 1))
    assert early is not None
    assert (early.a, early.b, early.c) == pytest.approx(wanted, rel=1e-8)
    for settings, enough in (
        (replace(ALL, days=2.5, pairs_min=count), True),
        (replace(ALL, days=2.5, pairs_min=count + 1), False),
        (replace(ALL, days=2.5, snapshots_min=10), True),
        (replace(ALL, days=2.5, snapshots_min=11), False),
    ):
        assert (fit_minimum_variance(equations, now_ns, settings) is not None) == enough


def test_what_cannot_be_told_apart_is_not_fitted() -> None:
    assert fit_minimum_variance([], 0, ALL) is None
    first, second = interval(1, abc=(1.0, 1.0, 1.0))
    same = np.where(first.sign > 0, 0.5, -0.5)  # one delta: no slope, no bend
    found = normal_equations(replace(first, delta=same), second)
    assert fit_minimum_variance([found[(0, 1)]], 10**18, replace(ALL, days=1e5)) is None
    still = replace(second, forward=first.forward)  # nothing moved
    found = normal_equations(first, still)
    assert fit_minimum_variance([found[(0, 1)]], 10**18, replace(ALL, days=1e5)) is None


@pytest.mark.parametrize(
    ("when", "name", "bad"),
    [
        ("before", "delta", 0.019), ("before", "delta", 0.981), ("before", "delta", NAN),
        ("before", "value", NAN), ("before", "vega", NAN), ("before", "theta", math.inf),
        ("before", "forward", 0.0), ("before", "years", 0.0), ("after", "value", NAN),
        ("after", "value", math.inf), ("after", "forward", NAN), ("after", "years", 0.0),
        ("after", "years", NAN), ("after", "vol", NAN), ("after", "vol", 1.5),
    ],
)  # fmt: skip
def test_marks_that_say_nothing_do_not_count(when: str, name: str, bad: float) -> None:
    """Every third option spoiled: the sums are those of the others."""
    first, second = interval(3, count=90, abc=(-0.3, 0.2, 0.1), noise=1e-3)
    spoiled = np.arange(90) % 3 == 0
    marks = {"before": first, "after": second}
    column = getattr(marks[when], name).copy()
    column[spoiled] = bad * (first.sign[spoiled] if name == "delta" else 1.0)
    marks[when] = replace(marks[when], **{name: column})
    kept = {
        field: getattr(first, field)[~spoiled]
        for field in OptionMarks.__slots__ if field != "now_ns"
    }  # fmt: skip
    later = {field: getattr(second, field)[~spoiled] for field in kept}
    found = normal_equations(marks["before"], marks["after"])
    wanted = normal_equations(OptionMarks(first.now_ns, **kept), OptionMarks(second.now_ns, **later))
    assert found.keys() == wanted.keys()
    for key, sums in wanted.items():
        assert found[key].pairs == sums.pairs
        assert found[key].matrix == pytest.approx(sums.matrix, rel=1e-12)
        assert found[key].vector == pytest.approx(sums.vector, rel=1e-12)


def test_a_vol_that_jumped_is_a_fault_of_the_feed() -> None:
    first, second = interval(3)
    for move, kept in ((0.24, True), (-0.24, True), (0.26, False), (-0.26, False)):
        assert set(comparable(first, replace(second, vol=first.vol + move)).tolist()) == {kept}


def test_what_a_hedged_option_gains() -> None:
    """Long an option, short 0.4 of a hedge: it rose by 150, the hedge by 250; theta takes 365 a year."""
    first, second = interval(3, count=1)
    first = replace(first, value=np.array([900.0]), theta=np.array([-365.0]))
    second = replace(second, value=np.array([1_050.0]), now_ns=first.now_ns + 24 * HOUR_NS)
    gained = hedge_errors(first, second, np.array([0.4]), np.array([60_000.0]), np.array([60_250.0]))
    assert gained[0] == pytest.approx(150.0 + 1.0 - 0.4 * 250.0)
