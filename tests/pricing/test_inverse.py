"""Coin-settled options: derivatives of v = V/F in 50 digits, published FX deltas, OKX's relation."""

from __future__ import annotations

import json
import math
from itertools import product
from pathlib import Path
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.black76 import greeks
from pricing.inverse import CoinGreeks, coin_greeks

SECONDS = (60, 3_600, 86_400, 30 * 86_400, 365 * 86_400)


def cdf(x: Any) -> Any:
    return mp.erfc(-x / mp.sqrt(2)) / 2


def test_every_cell_agrees_with_fifty_digits() -> None:
    """To 1e-12 of the value; pa_gamma, a difference of two, to 1e-12 of the larger."""
    worst: dict[str, tuple[float, tuple[float, ...]]] = {}
    for seconds, vol, z, side, sign in product(
        SECONDS, (0.3, 1.0), (0, 1e-6, 0.5, 2, 5, 8), (1, -1), (1, -1)
    ):
        case = (60_123.4, 60_123.4 * math.exp(side * z * vol * math.sqrt(seconds / 31_536_000)),
                seconds / 31_536_000, vol, sign)  # fmt: skip
        coin = coin_greeks(*case)
        with mp.workdps(50):
            F, K, T, v, s = (mp.mpf(number) for number in case)
            w = v * mp.sqrt(T)
            d1 = mp.log(F / K) / w + w / 2
            value = s * (cdf(s * d1) - K / F * cdf(s * (d1 - w)))
            pa_delta = s * cdf(s * d1) - value
            density = mp.npdf(d1)
            wanted = {
                "pa_delta": (pa_delta, pa_delta),
                "pa_gamma": (density / w - 2 * pa_delta, max(density / w, abs(2 * pa_delta))),
                "coin_vega": (density * mp.sqrt(T),) * 2,
                "coin_theta": (density * v / (2 * mp.sqrt(T)) * -1,) * 2,
            }
            assert tuple(wanted) == CoinGreeks._fields
            for name, (number, size) in wanted.items():
                error = float(abs((mp.mpf(float(getattr(coin, name))) - number) / size))
                if error >= worst.get(name, (-1.0, case))[0]:
                    worst[name] = (error, case)
    assert all(error <= 1e-13 for error, _ in worst.values()), worst


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("strike", [45_000.0, 60_000.0, 80_000.0])
def test_they_are_the_derivatives_of_the_coin_value(sign: int, strike: float) -> None:
    at = (60_000.0, 0.6, 0.15)
    coin = coin_greeks(at[0], strike, at[2], at[1], sign)
    with mp.workdps(50):

        def value(forward: Any, vol: Any, years: Any) -> Any:
            w = vol * mp.sqrt(years)
            d1 = mp.log(forward / strike) / w + w / 2
            return sign * (cdf(sign * d1) - strike / forward * cdf(sign * (d1 - w)))

        point = tuple(mp.mpf(number) for number in at)
        assert float(coin.pa_delta) == pytest.approx(
            float(point[0] * mp.diff(value, point, (1, 0, 0))), rel=1e-12
        )
        assert float(coin.pa_gamma) == pytest.approx(
            float(point[0] ** 2 * mp.diff(value, point, (2, 0, 0))), rel=1e-12
        )
        assert float(coin.coin_vega) == pytest.approx(float(mp.diff(value, point, (0, 1, 0))), rel=1e-12)
        assert float(coin.coin_theta) == pytest.approx(float(-mp.diff(value, point, (0, 0, 1))), rel=1e-12)


def test_published_fx_deltas(shared_data: Path) -> None:
    """QuantLib's table of strikes by delta; "PaFwd" is ours."""
    table = json.loads((shared_data / "vectors/fx_delta_conventions.json").read_text())["values"]
    seen = set()
    for row in table:
        forward = row["spot"] * row["df_foreign"] / row["df_domestic"]
        case = (forward, row["strike"], 1.0, row["stdev"], 1 if row["type"] == "call" else -1)
        delta = {
            "Fwd": float(greeks(*case).delta),
            "Spot": float(greeks(*case).delta) * row["df_foreign"],
            "PaFwd": float(coin_greeks(*case).pa_delta),
            "PaSpot": float(coin_greeks(*case).pa_delta) * row["df_foreign"],
        }
        seen.add(row["delta_type"])
        assert abs(delta[row["delta_type"]] - row["delta"]) <= row["tol"], row
    assert seen == {"Fwd", "Spot", "PaFwd", "PaSpot"}


def test_coin_and_dollar_greeks_are_one_option() -> None:
    """delta − V/F = pa_delta; gamma as OKX has it: F gamma − 2 pa_delta."""
    forward, strike = 60_000.0, np.linspace(30_000.0, 120_000.0, 31)
    for sign in (1, -1):
        usd = greeks(forward, strike, 0.2, 0.7, sign)
        coin = coin_greeks(forward, strike, 0.2, 0.7, sign)
        np.testing.assert_allclose(coin.pa_delta, usd.delta - usd.price / forward, rtol=0, atol=1e-15)
        np.testing.assert_allclose(coin.pa_gamma, forward * usd.gamma - 2 * coin.pa_delta, rtol=0, atol=1e-14)
        np.testing.assert_allclose(coin.coin_vega * forward, usd.vega, rtol=1e-14)
        np.testing.assert_allclose(coin.coin_theta * forward, usd.theta, rtol=1e-14)


def test_a_deep_put_moves_more_than_a_coin() -> None:
    """A put worth K/F − 1 coin has pa_delta −K/F; a deep call is one coin less K/F, of delta K/F."""
    put, call = (
        coin_greeks(60_000.0, strike, 0.01, 0.3, sign) for strike, sign in ((150_000.0, -1), (1_000.0, 1))
    )
    assert float(put.pa_delta) == -2.5
    assert float(call.pa_delta) == pytest.approx(1 / 60, rel=1e-15)


def test_limits_and_bad_elements() -> None:
    settled = coin_greeks(60_000.0, np.array([50_000.0, 60_000.0, 70_000.0]), 0.0, 0.6, 1)
    np.testing.assert_allclose(settled.pa_delta, [5 / 6, 0.5, 0.0], rtol=1e-15)
    np.testing.assert_allclose(settled.pa_gamma, [-10 / 6, math.inf, 0.0], rtol=1e-15)
    assert settled.coin_vega.tolist() == [0.0, 0.0, 0.0]
    assert settled.coin_theta.tolist() == [0.0, -math.inf, 0.0]
    mixed = coin_greeks(np.array([60_000.0, 0.0, math.nan, -1.0]), 50_000.0, 0.1, 0.6, 1)
    assert all(np.isnan(field).tolist() == [False, True, True, True] for field in mixed)
    assert all(field.shape == () for field in coin_greeks(60_000.0, 50_000.0, 0.1, 0.6, 1))
    assert all(field.shape == (0,) for field in coin_greeks(np.empty(0), 50_000.0, 0.1, 0.6, 1))


@given(st.floats(1e-3, 1e7), st.floats(-3.0, 3.0), st.floats(2e-6, 2.0), st.floats(0.01, 4.0))
def test_put_call_parity_in_coin(forward: float, m: float, years: float, vol: float) -> None:
    """Call less put is 1 − K/F coin: pa_delta K/F, pa_gamma −2 K/F, no vega, no theta."""
    strike = forward * math.exp(m)
    call, put = (coin_greeks(forward, strike, years, vol, sign) for sign in (1, -1))
    share = strike / forward
    larger = max(share, abs(float(call.pa_delta)), abs(float(put.pa_delta)))
    assert abs(float(call.pa_delta - put.pa_delta) - share) <= 4e-15 * larger
    gamma = max(abs(float(call.pa_gamma)), abs(float(put.pa_gamma)), share)
    assert abs(float(call.pa_gamma - put.pa_gamma) + 2.0 * share) <= 8e-15 * gamma
    assert float(call.coin_vega) == float(put.coin_vega)
    assert float(call.coin_theta) == float(put.coin_theta)
