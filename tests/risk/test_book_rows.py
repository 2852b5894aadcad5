"""The rows of a book in one pass, against Black-76 written out, option by option."""

from __future__ import annotations

import math

import numpy as np
import pytest

from risk.book_rows import (
    DOUBT,
    EDGES,
    GROSS,
    NS_PER_YEAR,
    OUTSIDE_LANDING,
    OUTSIDE_TRIGGER,
    POWER,
    look_at,
)

NOW = 1_770_000_000 * 10**9
SPOT = 50_000.0


def normal(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


def table_of(m: int) -> np.ndarray:
    """No futures, no bands."""
    table = np.zeros((9, m))
    table[GROSS] = 1.0
    table[EDGES + 1 :: 2], table[EDGES + 2 :: 2] = -np.inf, np.inf
    return table


def seen(
    options: np.ndarray, groups: list[list[int]], table: np.ndarray, spot: float = SPOT
) -> tuple[np.ndarray, float, int]:
    m = table.shape[1]
    out = np.empty((6, m))
    worth, said = look_at(
        np.ascontiguousarray(options, dtype=float), np.array(groups, dtype=np.int64).reshape(-1, 11), NOW,
        np.array([spot]), np.array([SPOT]), table, np.zeros(m, dtype=np.int64), np.zeros(m), out,
    )  # fmt: skip
    return out, worth, said


@pytest.mark.parametrize("in_coin", [True, False], ids=["coin", "dollars"])
@pytest.mark.parametrize("sign", [1.0, -1.0], ids=["call", "put"])
def test_one_option_is_black_76(in_coin: bool, sign: float) -> None:
    F, K, σ, q, days = 51_000.0, 48_000.0, 0.6, -3.0, 20
    expiry = NOW + days * 86_400 * 10**9
    groups = [[0, 1, expiry, 0, int(in_coin), 0, 1, 2, 3, 4, 5]]
    out, worth, said = seen(np.array([[F], [K], [σ], [sign], [q]]), groups, table_of(6))
    T = days / 365
    w = σ * math.sqrt(T)
    d1 = math.log(F / K) / w + 0.5 * w
    density = math.exp(-0.5 * d1 * d1) / math.sqrt(2.0 * math.pi)
    price = sign * (F * normal(sign * d1) - K * normal(sign * (d1 - w)))
    delta, vega = sign * normal(sign * d1), F * density * math.sqrt(T)
    expected = [
        q * delta * (1.0 if in_coin else F / SPOT), q * density / (F * w), q * vega,
        q * vega * math.sqrt(30 / days), -q * 0.5 * σ * vega / T, q * vega,
    ]  # fmt: skip
    assert out[0] == pytest.approx(expected, rel=1e-12)
    assert worth == pytest.approx(q * price * (SPOT / F if in_coin else 1.0), rel=1e-12)
    assert said == 0


def test_more_options_than_a_block_and_one_without_vol() -> None:
    n = 600
    options = np.array([np.full(n, 5e4), np.linspace(3e4, 8e4, n), np.full(n, 0.5), np.ones(n), np.ones(n)])
    options[2, 77] = 0.0  # worth its intrinsic value, its delta a step
    groups = [[0, n, NOW + NS_PER_YEAR, 0, 0, 0, 1, 2, 3, 4, 5]]
    out, worth, _ = seen(options, groups, table_of(6))
    d1 = np.log(options[0] / options[1]) / 0.5 + 0.25
    delta = np.array([normal(x) for x in d1])
    price = options[0] * delta - options[1] * np.array([normal(x - 0.5) for x in d1])
    delta[77], price[77] = 1.0, 5e4 - options[1, 77]
    assert out[0, 0] == pytest.approx(delta.sum(), rel=1e-12)
    assert worth == pytest.approx(price.sum(), rel=1e-12)


def test_edges_go_with_the_spot_and_say_what_is_out() -> None:
    table = table_of(3)
    table[0] = 7.0  # the rows
    table[POWER] = [0.0, 1.0, 2.0]
    table[EDGES + 1], table[EDGES + 2], table[EDGES + 3], table[EDGES + 4] = -10.0, 10.0, -8.0, 8.0
    out, _, said = seen(np.empty((5, 0)), [], table)
    assert said == 0 and out[3].tolist() == [10.0] * 3
    out, _, said = seen(np.empty((5, 0)), [], table, spot=1.2 * SPOT)
    assert out[3] == pytest.approx([10.0, 10.0 / 1.2, 10.0 / 1.44], rel=1e-15)
    assert said == OUTSIDE_LANDING | OUTSIDE_TRIGGER  # the third: 6.94 and 5.56 against 7
    table[0] = 8.0 * (1.0 + 1e-13)
    assert seen(np.empty((5, 0)), [], table)[2] & DOUBT


def test_what_has_no_value_is_in_doubt() -> None:
    expiry = NOW + NS_PER_YEAR
    options = np.array([[5e4], [5e4], [np.nan], [1.0], [1.0]])
    _, worth, said = seen(options, [[0, 1, expiry, 0, 1, 0, 1, 2, 3, 4, 5]], table_of(6))
    assert math.isnan(worth) and said & DOUBT
