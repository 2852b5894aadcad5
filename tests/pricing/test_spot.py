"""Laws of the spot path: it is `greeks` by another way, whichever way the spot came; totals are sums."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pricing.black76 import Greeks, greeks
from pricing.flat import FloatArray
from pricing.kernels import TOTAL_VOL_MAX
from pricing.spot import REBASE_MOVE, Totals, book_totals, spot_base, spot_greeks

forwards = st.floats(1e-3, 1e7)
options = st.lists(
    st.tuples(
        st.floats(-3.0, 3.0),  # ln(F/K)
        st.floats(60.0 / (365 * 86_400), 2.0),
        st.floats(0.01, 4.0),
        st.sampled_from([1.0, -1.0]),
        st.floats(-100.0, 100.0),  # quantity
    ),
    min_size=1,
    max_size=12,
)
moves = st.floats(-0.05, 0.05)


def book(forward: float, drawn: list[tuple[float, ...]]) -> tuple[FloatArray, ...]:
    """Strike, years, vol, sign and quantity of what was drawn."""
    m, years, vol, sign, quantity = np.array(drawn).T
    return forward * np.exp(-m), years, vol, sign, quantity


def close(found: Greeks, wanted: Greeks, forward: Any, strike: FloatArray, w: FloatArray) -> None:
    """To the digits there are: the density turns an error of one unit of ln(F/K)/w into h² of them.

    The spot path may err by as many units as a move has deviations, at most 16 beside h.
    """
    h = np.minimum(np.abs(np.log(forward / strike)) / w, 40.0)
    for one, other in zip(found, wanted, strict=True):
        allowed = 2e-14 * (3.0 + h) * (1.0 + h) * np.abs(other) + 1e-200 * np.maximum(forward / w, 1.0)
        assert (np.abs(one - other) <= allowed).all(), (one, other)


@given(forwards, options, moves)
def test_a_move_equals_everything_anew(forward: float, drawn: list[tuple[float, ...]], move: float) -> None:
    strike, years, vol, sign, _ = book(forward, drawn)
    base = spot_base(forward, strike, years, vol, sign)
    now = forward * math.exp(move)
    found, after = spot_greeks(base, now)
    w = vol * np.sqrt(years)
    close(found, greeks(now, strike, years, vol, sign), now, strike, w)
    if abs(move) > 1.001 * REBASE_MOVE and w.min() <= TOTAL_VOL_MAX:  # beyond, nothing hangs on the base
        assert after is not base
        np.testing.assert_array_equal(after.forward, now)


@given(forwards, options, st.lists(moves, min_size=1, max_size=6))
def test_the_way_there_does_not_matter(
    forward: float, drawn: list[tuple[float, ...]], way: list[float]
) -> None:
    strike, years, vol, sign, _ = book(forward, drawn)
    first = base = spot_base(forward, strike, years, vol, sign)
    for move in way:
        _, base = spot_greeks(base, base.forward * math.exp(move))
    now = forward * 1.001
    close(spot_greeks(base, now)[0], spot_greeks(first, now)[0], now, strike, vol * np.sqrt(years))


@given(forwards, options, moves)
def test_parity_after_a_move(forward: float, drawn: list[tuple[float, ...]], move: float) -> None:
    strike, years, vol, _, _ = book(forward, drawn)
    now = forward * math.exp(move)
    call, put = (spot_greeks(spot_base(forward, strike, years, vol, sign), now)[0] for sign in (1, -1))
    larger = np.maximum(np.maximum(call.price, put.price), np.abs(now - strike))
    assert (np.abs(call.price - put.price - (now - strike)) <= 4e-15 * larger).all()
    np.testing.assert_allclose(call.delta - put.delta, 1.0, rtol=1e-15)
    np.testing.assert_array_equal(call.gamma, put.gamma)
    np.testing.assert_array_equal(call.vega, put.vega)
    np.testing.assert_array_equal(call.theta, put.theta)


@given(forwards, options, moves)
def test_totals_are_the_sums(forward: float, drawn: list[tuple[float, ...]], move: float) -> None:
    strike, years, vol, sign, quantity = book(forward, drawn)
    base = spot_base(forward, strike, years, vol, sign)
    now = forward * math.exp(move)
    totals, after = book_totals(base, now, quantity)
    each, after_each = spot_greeks(base, now)
    assert (after is base) == (after_each is base)
    for name, total, field in zip(Totals._fields, totals, each, strict=True):
        terms = quantity * field
        assert abs(total - math.fsum(terms)) <= 1e-13 * math.fsum(np.abs(terms)) + 1e-290, name


@given(forwards, options, moves, st.sampled_from([-2.0, 0.5, 0.0, 4.0]))
def test_totals_go_with_the_quantities(
    forward: float, drawn: list[tuple[float, ...]], move: float, times: float
) -> None:
    """Exactly, for powers of two; a book and its opposite are nothing; order and absence do not matter."""
    strike, years, vol, sign, quantity = book(forward, drawn)
    quantity = np.where(np.abs(quantity) < 1e-9, 0.0, quantity)
    base = spot_base(forward, strike, years, vol, sign)
    now = forward * math.exp(move)
    totals, _ = book_totals(base, now, quantity)
    scaled, _ = book_totals(base, now, times * quantity)
    for one, other in zip(totals, scaled, strict=True):
        if not 0.0 < abs(one) < 1e-250:
            assert times * one == other
    both = spot_base(forward, *(np.concatenate([column, column]) for column in (strike, years, vol, sign)))
    assert all(
        abs(total) <= 1e-12 * abs(one) + 1e-290
        for total, one in zip(
            book_totals(both, now, np.concatenate([quantity, -quantity]))[0],
            book_totals(base, now, np.abs(quantity))[0],
            strict=True,
        )
    )


@given(forwards, options, moves)
def test_each_option_by_itself(forward: float, drawn: list[tuple[float, ...]], move: float) -> None:
    """No option changes what another is worth, to the rounding of a rebase."""
    strike, years, vol, sign, _ = book(forward, drawn)
    now = forward * math.exp(move)
    together, _ = spot_greeks(spot_base(forward, strike, years, vol, sign), now)
    alone = [
        spot_greeks(spot_base(forward, *(column[i] for column in (strike, years, vol, sign))), now)[0]
        for i in range(strike.size)
    ]
    joined = Greeks(*(np.concatenate(fields) for fields in zip(*alone, strict=True)))
    close(together, joined, now, strike, vol * np.sqrt(years))
