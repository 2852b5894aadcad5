"""Options in the averaging window: a worked example, Monte Carlo, differences, the ends of the window."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pricing.black76 import greeks
from pricing.flat import FloatArray
from pricing.settlement import WINDOW_YEARS, WindowGreeks, window_greeks


def test_a_worked_example() -> None:
    """K = F = 60000, u = 1/2, A = 60100, 60 %: 0.408, where the venue would show 0.250."""
    g = window_greeks(60_000.0, 60_000.0, 0.6, 1, 60_100.0, 0.5, WINDOW_YEARS / 2)
    assert float(g.delta) == pytest.approx(0.408, abs=5e-4)
    # 55.55707710345122 and 0.40827478390823: the formula in 40-digit arithmetic
    assert float(g.value) == pytest.approx(55.55707710345122, rel=1e-12)
    assert float(g.delta) == pytest.approx(0.40827478390823, rel=1e-12)


def averages(before_years: float, steps: int, years: float, vol: float, paths: int) -> FloatArray:
    """Averages over a window, of paths that start at 1 `before_years` ahead of it; antithetic pairs."""
    rng = np.random.default_rng(20_201_112)
    total, level = np.zeros(2 * paths), np.zeros(2 * paths)
    if before_years > 0.0:
        normals = rng.standard_normal(paths)
        level += (
            vol * math.sqrt(before_years) * np.concatenate([normals, -normals]) - vol**2 * before_years / 2
        )
    step = years / steps
    for _ in range(steps):
        before = np.exp(level)
        normals = rng.standard_normal(paths)
        level += vol * math.sqrt(step) * np.concatenate([normals, -normals]) - vol**2 * step / 2
        total += 0.5 * (before + np.exp(level))
    return total / steps


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("elapsed", "before_years", "strike"),
    [
        (0.5, 0.0, 60_000.0),
        (0.5, 0.0, 60_120.0),
        (0.9, 0.0, 60_085.0),
        (0.0, 0.0, 60_050.0),
        (0.0, 3e-4, 60_200.0),
    ],
)
def test_monte_carlo(sign: int, elapsed: float, before_years: float, strike: float) -> None:
    """Within four standard errors; for the time before the window, one hour and a half and more."""
    forward, so_far, vol = 60_000.0, 60_100.0, 0.6
    left = (1 - elapsed) * WINDOW_YEARS
    rest = averages(before_years, 200, left, vol, 30_000)
    final = elapsed * so_far + (1 - elapsed) * forward * rest
    pays = sign * (final - strike) > 0.0
    g = window_greeks(forward, strike, vol, sign, so_far, elapsed, before_years + left)
    for ours, sample in (
        (g.value, np.where(pays, sign * (final - strike), 0.0)),
        (g.delta, np.where(pays, sign * (1 - elapsed) * rest, 0.0)),
    ):
        pairs = sample.reshape(2, -1).mean(axis=0)
        error = pairs.std() / math.sqrt(pairs.size)
        assert abs(float(ours) - pairs.mean()) <= 4 * error + 1e-9


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("elapsed", "remaining"), [(0.0, 2e-4), (0.0, 4e-5), (0.3, 4e-5), (0.8, 1e-5)])
def test_greeks_are_the_differences_of_the_value(sign: int, elapsed: float, remaining: float) -> None:
    def at(forward: float, vol: float) -> WindowGreeks:
        return window_greeks(forward, 60_040.0, vol, sign, 60_020.0, elapsed, remaining)

    g, step = at(60_010.0, 0.6), 0.5
    up, down = at(60_010.0 + step, 0.6), at(60_010.0 - step, 0.6)
    assert float(g.delta) == pytest.approx(float(up.value - down.value) / (2 * step), rel=1e-4)
    assert float(g.gamma) == pytest.approx(float(up.delta - down.delta) / (2 * step), rel=1e-4)
    more, less = at(60_010.0, 0.601), at(60_010.0, 0.599)
    assert float(g.vega) == pytest.approx(float(more.value - less.value) / 0.002, rel=1e-4)


@pytest.mark.parametrize("sign", [1, -1])
def test_before_the_window_a_third_of_it_counts(sign: int) -> None:
    for window in (WINDOW_YEARS, 2 * WINDOW_YEARS, 0.0):
        g = window_greeks(60_000.0, 61_000.0, 0.6, sign, math.nan, 0.0, 0.01, window_years=window)
        plain = greeks(60_000.0, 61_000.0, 0.01 - window * 2 / 3, 0.6, sign)
        for ours, theirs in zip(g, (plain.price, plain.delta, plain.gamma, plain.vega), strict=True):
            assert float(ours) == pytest.approx(float(theirs), rel=1e-12)


def test_the_value_is_continuous_as_the_window_opens_and_runs() -> None:
    opening = [window_greeks(60_000.0, 60_050.0, 0.6, 1, 60_000.0, u, t)
               for u, t in ((0.0, WINDOW_YEARS * (1 + 1e-12)), (0.0, WINDOW_YEARS),
                            (1e-12, WINDOW_YEARS * (1 - 1e-12)))]  # fmt: skip
    for g in opening[1:]:
        for ours, first in zip(g, opening[0], strict=True):
            assert float(ours) == pytest.approx(float(first), rel=1e-9)


def test_when_the_call_is_certain_to_pay() -> None:
    """u A alone is above the strike: K' <= 0."""
    call = window_greeks(60_000.0, 50_000.0, 0.6, 1, 60_100.0, 0.9, WINDOW_YEARS / 10)
    put = window_greeks(60_000.0, 50_000.0, 0.6, -1, 60_100.0, 0.9, WINDOW_YEARS / 10)
    assert float(call.value) == pytest.approx(0.1 * 60_000.0 + 0.9 * 60_100.0 - 50_000.0, rel=1e-15)
    assert float(call.delta) == pytest.approx(0.1, rel=1e-15)
    assert [float(call.gamma), float(call.vega)] == [0.0, 0.0]
    assert [float(field) for field in put] == [0.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("strike", "value"), [(60_000.0, 100.0), (60_100.0, 0.0), (60_200.0, 0.0), (1.0, 60_099.0)]
)
def test_settled_on_the_average(strike: float, value: float) -> None:
    for remaining in (0.0, 1e-7):
        call = window_greeks(70_000.0, strike, 0.6, 1, 60_100.0, 1.0, remaining)
        assert [float(field) for field in call] == [value, 0.0, 0.0, 0.0]
        put = window_greeks(70_000.0, strike, 0.6, -1, 60_100.0, 1.0, remaining)
        assert float(put.value) == pytest.approx(strike - 60_100.0 + value, rel=1e-15)
        assert [float(field) for field in put[1:]] == [0.0, 0.0, 0.0]


def test_parity_across_the_window() -> None:
    u = np.linspace(0.0, 1.0, 21)
    strike = np.array([[40_000.0], [59_900.0], [60_000.0], [60_300.0]])
    call, put = (
        window_greeks(60_000.0, strike, 0.6, s, 60_100.0, u, (1 - u) * WINDOW_YEARS) for s in (1, -1)
    )
    np.testing.assert_allclose(
        call.value - put.value, (1 - u) * 60_000.0 + u * 60_100.0 - strike, rtol=1e-12, atol=1e-8
    )
    np.testing.assert_allclose(
        call.delta - put.delta, np.broadcast_to(1 - u, (4, 21)), rtol=1e-14, atol=1e-15
    )
    np.testing.assert_array_equal(call.vega, put.vega)
    assert (call.value >= 0.0).all()
    assert (put.value >= 0.0).all()


def test_bad_elements_are_nan_alone() -> None:
    good = (60_000.0, 60_000.0, 0.6, 1.0, 60_100.0, 0.5, WINDOW_YEARS / 2)
    wanted = window_greeks(*good)
    bad_values = [
        (math.nan, -1.0, 0.0, math.inf),
        (math.nan, -1.0, 0.0, math.inf),
        (math.nan, -0.1, math.inf),
        (math.nan, 0.0, 2.0),
        (math.nan, -1.0, math.inf),
        (math.nan, -0.1, 1.1),
        (math.nan, -1e-9, math.inf),
    ]
    for place, values in enumerate(bad_values):
        for value in values:
            rows = np.tile(good, (3, 1))
            rows[1, place] = value
            F, K, vol, sign, so_far, elapsed, remaining = rows.T
            for field, number in zip(
                window_greeks(F, K, vol, sign, so_far, elapsed, remaining), wanted, strict=True
            ):
                assert math.isnan(field[1]), (place, value)
                assert field[0] == field[2] == float(number)
    assert all(field.shape == (0,) for field in window_greeks(np.empty(0), 1.0, 0.6, 1, 1.0, 0.5, 1e-5))
    with pytest.raises(ValueError, match="broadcast"):
        window_greeks(np.ones(2), np.ones(3), 0.6, 1, 1.0, 0.5, 1e-5)
