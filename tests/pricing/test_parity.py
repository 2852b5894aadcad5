"""Put-call parity: the forward is found under any smile and under junk, and unknown without a pair."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.parity import parity_forward
from tests.builders import NAN, plain_black

INDEX = 60_000.0
HIDDEN = INDEX * 1.00014
YEARS = 3.0 / 365
STRIKES = [float(k) for k in range(54_000, 66_001, 1_000)]


def price(forward: float, strike: float, sign: int, inverse: bool, vol: float = 0.5) -> float:
    """The textbook value as the venue quotes it: coin or USD."""
    dollars = plain_black(forward, strike, YEARS, vol, sign)
    return dollars / forward if inverse else dollars


@given(
    st.integers(5, 40),
    st.booleans(),
    st.data(),
)
def test_it_bears_two_fifths_of_junk(pairs: int, inverse: bool, data: st.DataObject) -> None:
    """Whatever two strikes of five are quoted at, and wherever they lie: the sound ones decide."""
    strike = INDEX * np.exp(np.linspace(-0.4, 0.4, pairs))
    call, put = (np.array([price(HIDDEN, k, sign, inverse) for k in strike.tolist()]) for sign in (1, -1))
    spoiled = data.draw(st.lists(st.integers(0, pairs - 1), max_size=2 * pairs // 5, unique=True))
    for i in spoiled:
        junk = data.draw(st.floats(0.0, 3.0)) * (1.0 if inverse else INDEX)
        (call if data.draw(st.booleans()) else put)[i] = junk
    found = parity_forward(strike, call, put, inverse)
    assert found.forward == pytest.approx(HIDDEN, rel=1e-3)
    assert found.sound
    if pairs - len(spoiled) > 2 * len(spoiled):
        assert found.forward == pytest.approx(HIDDEN, rel=1e-9)


@given(
    st.floats(0.985, 1.015),
    st.booleans(),
    st.lists(st.sampled_from(STRIKES), min_size=3, unique=True),
    st.floats(0.1, 2.0),
)
def test_it_holds_for_any_smile(ratio: float, inverse: bool, strikes: list[float], slope: float) -> None:
    """Whatever the vol of a strike, call and put share it."""
    forward = INDEX * ratio
    gaps = np.array(strikes)
    vols = 0.4 + slope * np.abs(np.log(gaps / INDEX))
    call, put = (
        np.array([price(forward, k, sign, inverse, v) for k, v in zip(strikes, vols.tolist(), strict=True)])
        for sign in (1, -1)
    )
    found = parity_forward(gaps, call, put, inverse)
    assert found.forward == pytest.approx(forward, rel=1e-10)
    assert found.deviation <= 1e-9 * forward
    assert found.pairs >= 3


def test_without_any_pair_it_is_unknown() -> None:
    nothing = parity_forward(np.array([1.0]), np.array([NAN]), np.array([0.1]), True)
    assert math.isnan(nothing.forward)
    assert nothing.pairs == 0
    empty = parity_forward(np.array([]), np.array([]), np.array([]), False)
    assert empty.pairs == 0
