"""Implied vol: what comes back from correctly rounded prices, and what is said where nothing can."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vollib.black.implied_volatility import implied_volatility

from pricing.implied import Status, implied_vol

YEARS = {
    "1 min": 60 / 31_536_000,
    "1 h": 3_600 / 31_536_000,
    "1 d": 1 / 365,
    "30 d": 30 / 365,
    "1 y": 1.0,
}
DEVIATIONS = (0.0, 1e-6, 1.0, 3.0, 5.0, 8.0, 12.0, 20.0, 35.0)


def cdf(x: Any) -> Any:
    return mp.erfc(-x / mp.sqrt(2)) / 2


def exact_price(
    forward: float, strike: float, years: float, vol: float, sign: float, discount: float = 1.0
) -> float:
    """The Black-76 price of these very doubles, rounded to a double once."""
    with mp.workdps(400):
        F, K, T, v = (mp.mpf(number) for number in (forward, strike, years, vol))
        w = v * mp.sqrt(T)
        d1 = mp.log(F / K) / w + w / 2
        return float(discount * sign * (F * cdf(sign * d1) - K * cdf(sign * (d1 - w))))


def solve(*case: float) -> tuple[float, Status]:
    vol, status = implied_vol(*case)
    assert vol.shape == status.shape == ()
    assert vol.dtype == np.float64
    assert status.dtype == np.int8
    assert math.isnan(vol) == (status != Status.ok)
    return float(vol), Status(int(status))


@pytest.mark.parametrize("years", YEARS.values(), ids=YEARS.keys())
@pytest.mark.parametrize("z", DEVIATIONS)
def test_every_cell_of_the_domain_table_comes_back(years: float, z: float) -> None:
    """Out of the money on both sides: a minute to a year, 0 to 35 standard deviations, vols calm and wild."""
    for vol, side in product((0.05, 0.6, 3.0), (1.0, -1.0)):
        strike = 60_123.4 * math.exp(side * z * vol * math.sqrt(years))
        back, status = solve(exact_price(60_123.4, strike, years, vol, side), 60_123.4, strike, years, side)
        assert status is Status.ok
        assert back == pytest.approx(vol, rel=2e-14), (vol, side)


@pytest.mark.parametrize("years", YEARS.values(), ids=YEARS.keys())
@pytest.mark.parametrize("side", [1.0, -1.0])
@pytest.mark.parametrize(
    ("z", "digits"), [(0.5, 1e-14), (1.0, 2e-14), (3.0, 1e-11), (5.0, 2e-9), (7.0, 1e-3)]
)
def test_in_the_money_the_digits_left_are_found(years: float, side: float, z: float, digits: float) -> None:
    """All that is lost is an ulp of a price that is mostly intrinsic value."""
    strike = 60_123.4 * math.exp(-side * z * 0.6 * math.sqrt(years))
    back, status = solve(exact_price(60_123.4, strike, years, 0.6, side), 60_123.4, strike, years, side)
    assert status is Status.ok
    assert back == pytest.approx(0.6, rel=digits)


@pytest.mark.parametrize("years", YEARS.values(), ids=YEARS.keys())
@pytest.mark.parametrize("side", [1.0, -1.0])
@pytest.mark.parametrize("z", [9.0, 12.0, 35.0])
def test_a_time_value_below_rounding_is_ill_conditioned(years: float, side: float, z: float) -> None:
    strike = 60_123.4 * math.exp(-side * z * 0.6 * math.sqrt(years))
    price = exact_price(60_123.4, strike, years, 0.6, side)
    assert solve(price, 60_123.4, strike, years, side)[1] is Status.ill_conditioned


def test_the_nearest_in_the_money_price_does_not_hide_a_lost_vol() -> None:
    """Round trip from 1 to 12 deviations: each vol is right to 1 %, or it is not given."""
    given_vols = 0
    for years, side, step in product(YEARS.values(), (1.0, -1.0), range(10, 121, 5)):
        strike = 60_123.4 * math.exp(-side * step / 10 * 0.6 * math.sqrt(years))
        back, status = solve(exact_price(60_123.4, strike, years, 0.6, side), 60_123.4, strike, years, side)
        assert status in (Status.ok, Status.ill_conditioned)
        if status is Status.ok:
            given_vols += 1
            assert back == pytest.approx(0.6, rel=0.01)
    assert given_vols >= 120


@pytest.mark.parametrize(("vol", "accuracy"), [(5.0, 1e-14), (8.0, 1e-12), (12.0, 1e-7)])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_total_vols_far_above_one(vol: float, accuracy: float, sign: float) -> None:
    for strike in (6_000.0, 60_000.0, 600_000.0):
        back, status = solve(exact_price(60_000.0, strike, 1.0, vol, sign), 60_000.0, strike, 1.0, sign)
        assert status is Status.ok
        assert back == pytest.approx(vol, rel=accuracy)


def test_next_to_the_maximum_no_digit_is_left() -> None:
    assert solve(math.nextafter(60_000.0, 0.0), 60_000.0, 70_000.0, 1.0, 1.0)[1] is Status.ill_conditioned


@pytest.mark.parametrize("discount", [0.9, 0.97, 1.02])
def test_discounted_prices(discount: float) -> None:
    for sign, strike in product((1.0, -1.0), (40_000.0, 60_000.0, 75_000.0)):
        price = exact_price(60_000.0, strike, 0.3, 0.7, sign, discount)
        back, status = solve(price, 60_000.0, strike, 0.3, sign, discount)
        assert status is Status.ok
        assert back == pytest.approx(0.7, rel=1e-13)
        intrinsic = discount * max(sign * (60_000.0 - strike), 0.0)
        if intrinsic > 0.0:
            assert solve(intrinsic, 60_000.0, strike, 0.3, sign, discount)[1] is Status.ill_conditioned
            assert (
                solve(intrinsic * (1 - 1e-12), 60_000.0, strike, 0.3, sign, discount)[1]
                is Status.below_intrinsic
            )


CALL = (60_000.0, 50_000.0, 0.1, 1.0)
PUT = (60_000.0, 70_000.0, 0.1, -1.0)
OUT = (60_000.0, 70_000.0, 0.1, 1.0)


@pytest.mark.parametrize(
    ("case", "status"),
    [
        ((9_999.0, *CALL), Status.below_intrinsic),
        ((math.nextafter(10_000.0, 0.0), *CALL), Status.below_intrinsic),
        ((10_000.0, *CALL), Status.ill_conditioned),  # all of the time value is lost, not known to be absent
        ((60_000.0, *CALL), Status.above_maximum),
        ((math.inf, *CALL), Status.above_maximum),
        ((-math.inf, *CALL), Status.below_intrinsic),
        ((math.nextafter(10_000.0, 0.0), *PUT), Status.below_intrinsic),
        ((70_000.0, *PUT), Status.above_maximum),
        ((69_000.0, *PUT), Status.ok),
        ((0.0, *OUT), Status.below_intrinsic),
        ((-0.0, *OUT), Status.below_intrinsic),
        ((-1.0, *OUT), Status.below_intrinsic),
        ((5e-324, *OUT), Status.ok),
        ((0.0, 60_000.0, 60_000.0, 0.1, 1.0), Status.below_intrinsic),
        ((60_000.0, *OUT), Status.above_maximum),
        ((1.0, 60_000.0, 70_000.0, 0.0, 1.0), Status.no_time),
        ((1.0, 60_000.0, 70_000.0, -0.1, 1.0), Status.no_time),
        ((-1.0, 60_000.0, 70_000.0, -0.0, 1.0), Status.no_time),
        ((math.nan, *OUT), Status.not_a_number),
        ((1.0, math.nan, 70_000.0, 0.1, 1.0), Status.not_a_number),
        ((1.0, 0.0, 70_000.0, 0.1, 1.0), Status.not_a_number),
        ((1.0, -60_000.0, 70_000.0, 0.1, 1.0), Status.not_a_number),
        ((1.0, 60_000.0, math.inf, 0.1, 1.0), Status.not_a_number),
        ((1.0, 60_000.0, 0.0, 0.1, 1.0), Status.not_a_number),
        ((1.0, 60_000.0, 70_000.0, math.nan, 1.0), Status.not_a_number),
        ((1.0, 60_000.0, 70_000.0, math.inf, 1.0), Status.not_a_number),
        ((1.0, 60_000.0, 70_000.0, 0.1, 0.0), Status.not_a_number),
        ((1.0, 60_000.0, 70_000.0, 0.1, math.nan), Status.not_a_number),
        ((1.0, *OUT, 0.0), Status.not_a_number),
        ((1.0, *OUT, math.nan), Status.not_a_number),
    ],
)  # fmt: skip
def test_each_failure_has_its_reason(case: tuple[float, ...], status: Status) -> None:
    assert solve(*case)[1] is status


def test_the_codes_stand() -> None:
    assert [(status.name, status.value) for status in Status] == [
        ("ok", 0), ("below_intrinsic", 1), ("above_maximum", 2), ("no_time", 3), ("ill_conditioned", 4),
        ("not_a_number", 5),
    ]  # fmt: skip


def test_bad_cells_leave_their_neighbours_alone() -> None:
    strikes = np.array([[50_000.0], [60_000.0], [70_000.0]])
    prices = np.array([math.nan, 9e9, 1_500.0, 0.0, -5.0])
    vol, status = implied_vol(prices, 60_000.0, strikes, 0.1, np.where(strikes < 60_000.0, -1, 1))
    assert vol.shape == status.shape == (3, 5)
    expected = [
        Status.not_a_number,
        Status.above_maximum,
        Status.ok,
        Status.below_intrinsic,
        Status.below_intrinsic,
    ]
    assert status.tolist() == [[int(code) for code in expected]] * 3
    assert np.isnan(vol).tolist() == [[True, True, False, True, True]] * 3
    for row, strike in enumerate(strikes[:, 0]):
        alone = solve(1_500.0, 60_000.0, float(strike), 0.1, -1.0 if strike < 60_000.0 else 1.0)
        assert (vol[row, 2], Status(status[row, 2])) == alone
    empty, codes = implied_vol(np.empty((0, 2)), 1.0, np.ones(2), 1.0, 1)
    assert empty.shape == codes.shape == (0, 2)
    with pytest.raises(ValueError, match="broadcast"):
        implied_vol(np.ones(2), np.ones(3), 1.0, 1.0, 1)


def domain() -> list[tuple[tuple[float, float, float, float, float], float]]:
    """((price, forward, strike, years, sign), vol): the domain table, every cell rounded once."""
    cells = []
    for years, z, vol, side in product(YEARS.values(), DEVIATIONS, (0.05, 0.6, 3.0), (1.0, -1.0)):
        strike = 60_123.4 * math.exp(side * z * vol * math.sqrt(years))
        price = exact_price(60_123.4, strike, years, vol, side)
        cells.append(((price, 60_123.4, strike, years, side), vol))
    return cells


def test_the_domain_table_in_one_call_cold_and_warm() -> None:
    """Many elements go through the vector loop, one alone may not: the same bounds, from any start."""
    cells = domain()
    price, forward, strike, years, side = np.array([case for case, _ in cells]).T
    wanted = np.array([vol for _, vol in cells])
    cold, status = implied_vol(price, forward, strike, years, side)
    assert (status == Status.ok).all()
    assert np.max(np.abs(cold / wanted - 1.0)) < 2e-14
    starts = {
        "near": wanted * 1.02,
        "the last vol itself": cold,
        "far": wanted * np.where(np.arange(wanted.size) % 2, 2.5, 0.4),
        "none": np.full_like(wanted, np.nan),
        "some": np.where(np.arange(wanted.size) % 3 == 0, np.nan, wanted * 0.97),
        "absurd": np.resize([0.0, -1.0, np.inf, -np.inf, 1e300, 1e-300], wanted.size),
    }
    for name, start in starts.items():
        warm, status = implied_vol(price, forward, strike, years, side, start=start)
        assert (status == Status.ok).all(), name
        assert np.max(np.abs(warm / wanted - 1.0)) < 2e-14, name


def test_no_element_depends_on_its_neighbours() -> None:
    """Reversed, doubled or cut in two, bit for bit the same, also when some neighbours fail."""
    cells = domain()
    columns = [np.array(column) for column in zip(*(case for case, _ in cells), strict=True)]
    columns[0][::7] = np.resize([np.nan, -1.0, 0.0, 1e9], columns[0][::7].size)
    n = columns[0].size - columns[0].size % 16
    vol, status = implied_vol(*(column[:n] for column in columns))
    backwards, its_status = implied_vol(*(column[:n][::-1] for column in columns))
    np.testing.assert_array_equal(backwards[::-1], vol)
    np.testing.assert_array_equal(its_status[::-1], status)
    halves = [implied_vol(*(column[half] for column in columns))[0] for half in (slice(16), slice(16, n))]
    np.testing.assert_array_equal(np.concatenate(halves), vol)


def test_start_broadcasts_and_a_bad_shape_is_refused() -> None:
    vol, status = implied_vol(886.5635180812613, 60_000.0, 70_000.0, 30 / 365, 1, start=[0.5, np.nan])
    assert vol == pytest.approx([0.55, 0.55], rel=1e-13)
    assert status.tolist() == [Status.ok, Status.ok]
    with pytest.raises(ValueError, match="broadcast"):
        implied_vol(np.ones(2), 1.0, 1.0, 1.0, 1, start=np.ones(3))


def test_an_independent_library_agrees() -> None:
    """vollib (py_vollib under its new name): Jaeckel's rational method."""
    for strike, years, price in product((45_000.0, 60_000.0, 80_000.0), (0.02, 0.5), (30.0, 400.0, 3_000.0)):
        sign = 1.0 if strike >= 60_000.0 else -1.0
        back, status = solve(price, 60_000.0, strike, years, sign)
        wanted = implied_volatility(price, 60_000.0, strike, 0.0, years, "c" if sign > 0 else "p")
        assert status is Status.ok
        assert back == pytest.approx(wanted, rel=1e-12)


@settings(max_examples=150)
@given(
    st.floats(-2.0, 6.0),
    st.floats(-36.0, 36.0),
    st.floats(-6.0, 0.5),
    st.floats(-2.0, 0.6),
)
def test_out_of_the_money_anywhere(log_forward: float, z: float, log_years: float, log_vol: float) -> None:
    """Every out-of-the-money price a double can hold in full gives its vol back."""
    forward, years, vol = 10.0**log_forward, 10.0**log_years, 10.0**log_vol
    strike = forward * math.exp(z * vol * math.sqrt(years))
    sign = 1.0 if strike >= forward else -1.0
    price = exact_price(forward, strike, years, vol, sign)
    if price < 1e-300 or min(forward, strike) - price < 1e-3 * min(forward, strike):
        return
    back, status = solve(price, forward, strike, years, sign)
    assert status is Status.ok
    assert back == pytest.approx(vol, rel=1e-12)


anything = st.one_of(st.floats(), st.sampled_from([0.0, 5e-324, 1e-310, 1.0, 2.0, 1e308, math.inf, math.nan]))


@settings(max_examples=400)
@given(anything, anything, anything, anything, st.one_of(st.sampled_from([1.0, -1.0]), anything),
       st.one_of(st.just(1.0), anything), anything)  # fmt: skip
def test_no_input_raises_or_warns(
    price: float, forward: float, strike: float, years: float, sign: float, discount: float, start: float
) -> None:
    vol, status = solve(price, forward, strike, years, sign, discount)
    assert status is not Status.ok or 0.0 < vol < math.inf
    # as one of many, and from any start: the same answer
    for again, code in (
        implied_vol(np.full(9, price), forward, strike, years, sign, discount),
        implied_vol(np.full(9, price), forward, strike, years, sign, discount, start),
    ):
        assert set(code.tolist()) == {int(status)}
        assert again == pytest.approx(np.full(9, vol), rel=1e-10, nan_ok=True)
