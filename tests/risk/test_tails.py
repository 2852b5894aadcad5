"""Value at risk and expected shortfall: numbers by hand, and what must hold of any outcomes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk.attribution import Parts
from risk.tails import tail
from risk.unexplained import Tolerance, unexplained


def test_a_hundred_outcomes_by_hand() -> None:
    """P&L -99, -98, .., 0: the five worst are -99 .. -95, the worst one -99."""
    pnl = -np.arange(100.0)[::-1]
    at_95, at_99 = tail(pnl, 0.95), tail(pnl, 0.99)
    assert (at_95.var, at_95.es) == (95.0, 97.0)
    assert (at_99.var, at_99.es) == (99.0, 99.0)


def test_a_tail_that_is_no_whole_number_of_outcomes() -> None:
    """2.5 of 50 outcomes: the two worst whole and half of the third."""
    pnl = np.concatenate([[-30.0, -20.0, -8.0], np.ones(47)])
    found = tail(pnl, 0.95)
    assert found.var == 8.0 and found.es == pytest.approx((30 + 20 + 0.5 * 8) / 2.5)


def test_a_tail_of_gains_is_a_negative_loss() -> None:
    assert tail(np.array([5.0, 6.0, 7.0, 8.0]), 0.5).var == -6.0


@pytest.mark.parametrize(
    ("pnl", "level", "words"),
    [
        (np.arange(19.0), 0.95, "19 outcomes; 95 % needs at least 20"),
        (np.arange(99.0), 0.99, "99 outcomes; 99 % needs at least 100"),
        (np.empty(0), 0.95, "0 outcomes"),
        (np.array([math.nan] * 200), 0.95, "no known P&L"),
    ],
)
def test_too_little_is_unknown_and_says_why(pnl: np.ndarray, level: float, words: str) -> None:
    found = tail(pnl, level)
    assert math.isnan(found.var) and math.isnan(found.es) and words in found.unknown


def test_a_level_is_a_share() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        tail(np.arange(10.0), 1.0)


OUTCOMES = st.lists(st.floats(-1e6, 1e6), min_size=100, max_size=150).map(np.array)


@given(OUTCOMES, st.sampled_from([0.9, 0.95, 0.975, 0.99]), st.floats(-1e5, 1e5))
def test_shortfall_is_at_least_var_and_both_move_with_the_outcomes(
    pnl: np.ndarray, level: float, gain: float
) -> None:
    found, shifted, scaled = tail(pnl, level), tail(pnl + gain, level), tail(3.0 * pnl, level)
    assert found.es >= found.var - 1e-6
    assert shifted.var == pytest.approx(found.var - gain, abs=1e-6)
    assert shifted.es == pytest.approx(found.es - gain, abs=1e-6)
    assert scaled.es == pytest.approx(3.0 * found.es, rel=1e-12, abs=1e-6)
    assert found.var <= -pnl.min() + 1e-9


def test_what_has_no_cause_is_borne_up_to_the_larger_of_two() -> None:
    """1,000 USD or a tenth of all parts' sizes: 20,000 moved, so 2,000."""
    parts = {"delta": 12_000.0, "theta": -5_000.0, "fees": -3_000.0}
    borne = Tolerance(1_000.0, 0.1)
    assert borne.allowed_usd(Parts(**parts)) == pytest.approx(2_000.0)
    assert not unexplained(Parts(**parts, residual=-1_999.0), borne)
    assert unexplained(Parts(**parts, residual=2_001.0), borne)
    assert borne.allowed_usd(Parts(residual=900.0)) == 1_000.0
    assert not unexplained(Parts(residual=-900.0), borne)
    assert unexplained(Parts(vega=math.nan, residual=math.nan), borne)
    assert unexplained(Parts(residual=math.nan), borne)
