"""Black-76 against 50-digit arithmetic, published tables, an independent library, and its own laws."""

from __future__ import annotations

import json
import math
from itertools import product
from pathlib import Path
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vollib.black import black
from vollib.black.greeks import analytical

from pricing.black76 import Greeks, HigherGreeks, greeks, higher_greeks
from pricing.flat import FloatArray

Case = tuple[float, float, float, float, float, float]  # forward, strike, years, vol, sign, discount

SECONDS = (60, 3_600, 21_600, 86_400, 30 * 86_400, 365 * 86_400)
VOLS = (0.05, 0.3, 0.6, 1.0, 3.0)
DEVIATIONS = (0.0, 1e-6, 0.01, 0.5, 1.0, 2.0, 3.0, 5.0, 8.0)


def grid(discounts: tuple[float, ...] = (1.0,)) -> list[Case]:
    cases = []
    for number, (seconds, vol, z, side, sign, discount) in enumerate(
        product(SECONDS, VOLS, DEVIATIONS, (1, -1), (1.0, -1.0), discounts)
    ):
        years = seconds / (365 * 86_400)
        forward = 60_000.0 + 7.77 * (number % 97)  # so that the digits differ from cell to cell
        cases.append(
            (forward, forward * math.exp(side * z * vol * math.sqrt(years)), years, vol, sign, discount)
        )
    return cases


def cdf(x: Any) -> Any:
    return mp.erfc(-x / mp.sqrt(2)) / 2


def exact(case: Case) -> tuple[list[Any], list[Any], list[Any], Any]:
    """First Greeks, higher Greeks, the natural sizes of the latter, and σ√T: the textbook in many digits."""
    F, K, T, vol, s, D = (mp.mpf(number) for number in case)
    w = vol * mp.sqrt(T)
    d1 = mp.log(F / K) / w + w / 2
    d2 = d1 - w
    n = D * mp.npdf(d1)
    r = -mp.log(D) / T
    price = D * s * (F * cdf(s * d1) - K * cdf(s * d2))
    delta = D * s * cdf(s * d1)
    gamma = n / (F * w)
    vega = F * n * mp.sqrt(T)
    first = [price, delta, gamma, vega, -F * n * vol / (2 * mp.sqrt(T)) + r * price]
    higher = [
        -n * d2 / vol,
        vega * d1 * d2 / vol,
        n * d2 / (2 * T) + r * delta,
        -gamma / F * (d1 / w + 1),
        gamma * (d1 * d2 - 1) / vol,
        gamma * (1 - d1 * d2) / (2 * T) + r * gamma,
    ]
    much = max(1, d1 * d1)
    natural = [
        n / vol,
        vega / vol,
        n / T + abs(r * delta),
        gamma / (F * w),
        gamma / vol,
        gamma / T + abs(r * gamma),
    ]
    return first, higher, [size * much for size in natural], w


def columns(
    cases: list[Case],
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
    forward, strike, years, vol, sign, discount = np.array(cases).T
    return forward, strike, years, vol, sign, discount


@pytest.mark.parametrize("discounts", [(1.0,), (0.97,)], ids=["undiscounted", "discounted"])
def test_every_cell_agrees_with_fifty_digits(discounts: tuple[float, ...]) -> None:
    cases = grid(discounts)
    first = greeks(*columns(cases))
    higher = higher_greeks(*columns(cases))
    worst: dict[str, tuple[float, Case]] = {}

    def note(name: str, error: Any, case: Case) -> None:
        if float(error) >= worst.get(name, (-1.0, case))[0]:
            worst[name] = (float(error), case)

    with mp.workdps(50):
        for i, case in enumerate(cases):
            wanted, wanted_higher, natural, w = exact(case)
            r_price = -mp.log(case[5]) / case[2] * wanted[0]
            sizes = [abs(value) for value in wanted]
            sizes[4] = max(sizes[4], abs(r_price))  # decay and carry of a discounted put may cancel
            for name, ours, value, size in zip(Greeks._fields, first, wanted, sizes, strict=True):
                allowed = max(mp.mpf("1e-12"), 4e-15 / w) if name == "price" else mp.mpf("1e-12")
                note(name, abs(mp.mpf(float(ours[i])) - value) / size / allowed, case)
                note("all, far tighter", abs(mp.mpf(float(ours[i])) - value) / size / mp.mpf("1e-13"), case)
            for name, ours, value, size in zip(
                HigherGreeks._fields, higher, wanted_higher, natural, strict=True
            ):
                note(name, abs(mp.mpf(float(ours[i])) - value) / size / mp.mpf("1e-12"), case)
    assert len(worst) == 12
    assert all(error <= 1.0 for error, _ in worst.values()), worst


def test_thirty_deviations_out_still_have_twelve_digits() -> None:
    cases = []
    for seconds, z, side in product(SECONDS, (12.0, 20.0, 30.0), (1, -1)):
        years = seconds / (365 * 86_400)
        cases.append(
            (60_000.0, 60_000.0 * math.exp(side * z * 0.6 * math.sqrt(years)), years, 0.6, float(side), 1.0)
        )
    ours = greeks(*columns(cases))
    with mp.workdps(600):  # the textbook form cancels hundreds of digits here
        for i, case in enumerate(cases):
            for field, value in zip(ours, exact(case)[0], strict=True):
                assert abs(float((mp.mpf(float(field[i])) - value) / value)) < 1e-12, case


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("discount_rate", [0.0, 0.07])
def test_greeks_are_the_derivatives_of_the_price(sign: float, discount_rate: float) -> None:
    """Differentiated numerically in 50 digits, at a constant rate: time runs for the discount factor too."""
    F, K, T, vol = 61_234.5, 65_000.0, 0.12, 0.57
    discount = math.exp(-discount_rate * T)
    with mp.workdps(50):
        rate = -mp.log(mp.mpf(discount)) / mp.mpf(T)

        def price(forward: Any, sigma: Any, left: Any) -> Any:
            w = sigma * mp.sqrt(left)
            d1 = mp.log(forward / K) / w + w / 2
            return mp.exp(-rate * left) * sign * (forward * cdf(sign * d1) - K * cdf(sign * (d1 - w)))

        at = (mp.mpf(F), mp.mpf(vol), mp.mpf(T))
        orders = {
            "price": (0, 0, 0), "delta": (1, 0, 0), "gamma": (2, 0, 0), "vega": (0, 1, 0), "theta": (0, 0, 1),
            "vanna": (1, 1, 0), "volga": (0, 2, 0), "charm": (1, 0, 1),
            "speed": (3, 0, 0), "zomma": (2, 1, 0), "color": (2, 0, 1),
        }  # fmt: skip
        wanted = {
            name: float(mp.diff(price, at, order) * (-1) ** order[2]) if any(order) else float(price(*at))
            for name, order in orders.items()
        }
    ours = (
        greeks(F, K, T, vol, sign, discount)._asdict() | higher_greeks(F, K, T, vol, sign, discount)._asdict()
    )
    assert set(ours) == set(wanted)
    for name, value in wanted.items():
        assert float(ours[name]) == pytest.approx(value, rel=1e-12), name


def test_haug_table(shared_data: Path) -> None:
    """Published values with carry q: the forward is S e^((r − q) t), the discount e^(−r t)."""
    table = json.loads((shared_data / "vectors/haug_european.json").read_text())["values"]
    assert len(table) == 22
    for row in table:
        discount = math.exp(-row["r"] * row["t"])
        to_forward = math.exp((row["r"] - row["q"]) * row["t"])
        sign = 1 if row["type"] == "call" else -1
        case = (row["spot"] * to_forward, row["strike"], row["t"], row["vol"], sign, discount)
        assert abs(float(greeks(*case).price) - row["value"]) <= row["tol"], row


def test_haug_greeks(shared_data: Path) -> None:
    """Published Greeks on spot: delta_S = e^(bt) delta_F, gamma_S = e^(2bt) gamma_F, b = r − q."""
    table = json.loads((shared_data / "vectors/haug_european.json").read_text())["greeks"]
    assert len(table) == 7
    for row in table:
        growth = math.exp((row["r"] - row["q"]) * row["t"])
        forward = row["spot"] * growth
        sign = 1 if row["type"] == "call" else -1
        g = greeks(forward, row["strike"], row["t"], row["vol"], sign, math.exp(-row["r"] * row["t"]))
        on_spot = {
            "delta": float(g.delta) * growth,
            "gamma": float(g.gamma) * growth**2,
            "vega": float(g.vega),
            # at a standing spot the forward itself runs down at rate b
            "theta per day": (float(g.theta) - (row["r"] - row["q"]) * forward * float(g.delta)) / 365.0,
            "elasticity": float(g.delta) * forward / float(g.price),
        }
        if row["greek"] in on_spot:
            assert abs(on_spot[row["greek"]] - row["value"]) <= row["tol"], row


def test_py_vollib_table(shared_data: Path) -> None:
    """Published Black-Scholes values on spot; delta_S = delta_F e^(rT), gamma_S = gamma_F e^(2rT).

    Its vega is per 1.00 vol and its theta per year, whatever the library of today shows.
    """
    table = json.loads((shared_data / "vectors/py_vollib_bs.json").read_text())
    rows = [dict(zip(table["columns"], row, strict=True)) for row in table["data"]]
    assert len(rows) == 51
    for row in rows:
        growth = math.exp(row["R"] * row["t"])
        for sign, price, prefix in ((1, row["bs_call"], "C"), (-1, row["bs_put"], "P")):
            forward = row["S"] * growth
            g = greeks(forward, row["K"], row["t"], row["v"], sign, 1.0 / growth)
            # theta at a standing spot: the forward itself runs down at rate r
            theta = float(g.theta) - row["R"] * forward * float(g.delta)
            assert float(g.price) == pytest.approx(price, abs=6e-7), row
            assert float(g.delta) * growth == pytest.approx(row[prefix + "D"], abs=2e-9), row
            assert float(g.gamma) * growth**2 == pytest.approx(row[prefix + "G"], abs=6e-10), row
            assert float(g.vega) == pytest.approx(row[prefix + "V"], rel=2e-9, abs=1e-9), row
            assert theta == pytest.approx(row[prefix + "T"], rel=2e-9, abs=2e-8), row


def test_an_independent_library_agrees() -> None:
    """vollib (py_vollib under its new name), over a book of plain strikes, discounted."""
    rate = 0.04
    for strike, years, vol, sign in product(
        (50_000.0, 59_000.0, 64_000.0), (0.02, 0.3, 1.5), (0.3, 0.9), (1, -1)
    ):
        g = greeks(60_000.0, strike, years, vol, sign, math.exp(-rate * years))
        args = ("c" if sign > 0 else "p", 60_000.0, strike, years, rate, vol)
        assert float(g.price) == pytest.approx(black(*args), rel=1e-11)
        assert float(g.delta) == pytest.approx(analytical.delta(*args), rel=1e-11)
        assert float(g.gamma) == pytest.approx(analytical.gamma(*args), rel=1e-11)
        assert float(g.vega) / 100.0 == pytest.approx(analytical.vega(*args), rel=1e-11)
        assert float(g.theta) / 365.0 == pytest.approx(analytical.theta(*args), rel=1e-9)


def only(result: FloatArray) -> float:
    assert result.shape == ()
    return float(result)


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize(("years", "vol"), [(0.0, 0.6), (0.1, 0.0), (0.0, 0.0)])
@pytest.mark.parametrize("strike", [59_999.99, 60_000.01, 1.0, 1e6])
def test_no_time_or_no_vol_leaves_the_intrinsic_value(
    sign: float, years: float, vol: float, strike: float
) -> None:
    g = greeks(60_000.0, strike, years, vol, sign)
    pays = sign * (60_000.0 - strike) > 0.0
    assert only(g.price) == max(sign * (60_000.0 - strike), 0.0)
    assert only(g.delta) == (sign if pays else 0.0)
    assert [only(g.gamma), only(g.vega), only(g.theta)] == [0.0, 0.0, 0.0]
    assert [only(field) for field in higher_greeks(60_000.0, strike, years, vol, sign)] == [0.0] * 6


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_at_the_money_the_limit_is_taken_as_it_comes(sign: float) -> None:
    settled = greeks(60_000.0, 60_000.0, 0.0, 0.6, sign)
    assert [only(field) for field in settled] == [0.0, 0.5 * sign, math.inf, 0.0, -math.inf]
    calm = greeks(60_000.0, 60_000.0, 0.25, 0.0, sign)
    assert [only(calm.price), only(calm.delta), only(calm.gamma), only(calm.theta)] == [
        0.0,
        0.5 * sign,
        math.inf,
        0.0,
    ]
    assert only(calm.vega) == pytest.approx(60_000.0 * 0.5 / math.sqrt(2.0 * math.pi), rel=1e-15)
    both = greeks(60_000.0, 60_000.0, 0.0, 0.0, sign)
    assert [only(field) for field in both] == [0.0, 0.5 * sign, math.inf, 0.0, 0.0]
    higher = higher_greeks(60_000.0, 60_000.0, 0.25, 0.0, sign)
    assert only(higher.vanna) == pytest.approx(0.25 / math.sqrt(2.0 * math.pi), rel=1e-15)
    assert [only(field) for field in higher[1:]] == [0.0, 0.0, -math.inf, -math.inf, math.inf]


@pytest.mark.parametrize(("years", "vol"), [(0.1, math.inf), (math.inf, 0.5), (0.1, 1e200)])
@pytest.mark.parametrize("strike", [40_000.0, 60_000.0, 90_000.0])
def test_without_bound_a_call_is_worth_the_forward_and_a_put_the_strike(
    years: float, vol: float, strike: float
) -> None:
    call, put = greeks(60_000.0, strike, years, vol, 1), greeks(60_000.0, strike, years, vol, -1)
    assert [only(field) for field in call] == [60_000.0, 1.0, 0.0, 0.0, 0.0]
    assert [only(field) for field in put] == [strike, 0.0, 0.0, 0.0, 0.0]
    assert [only(field) for field in higher_greeks(60_000.0, strike, years, vol, 1)] == [0.0] * 6


def test_zero_strike_and_zero_forward_are_limits() -> None:
    assert [only(field) for field in greeks(60_000.0, 0.0, 0.1, 0.6, 1)] == [60_000.0, 1.0, 0.0, 0.0, 0.0]
    assert [only(field) for field in greeks(60_000.0, 0.0, 0.1, 0.6, -1)] == [0.0] * 5
    assert [only(field) for field in greeks(0.0, 60_000.0, 0.1, 0.6, 1)] == [0.0] * 5
    assert [only(field) for field in greeks(0.0, 60_000.0, 0.1, 0.6, -1)] == [60_000.0, -1.0, 0.0, 0.0, 0.0]


GOOD: Case = (60_000.0, 64_000.0, 0.1, 0.6, 1.0, 0.98)
BAD = [
    (place, value)
    for place, values in enumerate(
        [
            (math.nan, -1.0, math.inf),
            (math.nan, -1.0, math.inf),
            (math.nan, -1e-9),
            (math.nan, -0.1),
            (math.nan, 0.0, 2.0, -0.5),
            (math.nan, 0.0, -1.0, math.inf),
        ]
    )
    for value in values
]


@pytest.mark.parametrize(("place", "value"), BAD)
def test_a_bad_element_is_nan_and_leaves_its_neighbours_alone(place: int, value: float) -> None:
    bad = np.array(GOOD)
    bad[place] = value
    inputs = columns([GOOD, tuple(bad), GOOD])
    for fields, alone in ((greeks(*inputs), greeks(*GOOD)), (higher_greeks(*inputs), higher_greeks(*GOOD))):
        for field, wanted in zip(fields, alone, strict=True):
            assert math.isnan(field[1])
            assert field[0] == field[2] == only(wanted)


@pytest.mark.parametrize(
    "case",
    [
        (0.0, 0.0, 0.1, 0.6, 1.0, 1.0),
        (6e4, 6e4, 0.0, math.inf, 1.0, 1.0),
        (1.0, 2.0, math.inf, 0.0, -1.0, 1.0),
    ],
)
def test_what_has_no_limit_is_nan(case: Case) -> None:
    assert all(math.isnan(field) for field in (*greeks(*case), *higher_greeks(*case)))


def test_a_discount_without_time_has_no_rate() -> None:
    g = greeks(60_000.0, 50_000.0, 0.0, 0.6, 1, discount=0.9)
    assert only(g.price) == 9_000.0
    assert only(g.delta) == 0.9
    assert math.isnan(g.theta)


def test_shapes_broadcast_and_scalars_give_zero_dimensions() -> None:
    forward = np.array([[59_000.0], [61_000.0]])
    strike = np.linspace(50_000.0, 70_000.0, 10)[::2]  # not contiguous
    table = greeks(forward, strike, 0.1, 0.6, np.array([1, -1, 1, -1, 1]))
    assert all(field.shape == (2, 5) and field.dtype == np.float64 for field in table)
    one = greeks(61_000, strike[3], 0.1, 0.6, -1)
    assert [field[1, 3] for field in table] == [only(field) for field in one]
    assert all(field.shape == (0,) for field in greeks(np.empty(0), 1.0, 1.0, 1.0, 1))
    assert all(field.shape == (0, 3) for field in higher_greeks(np.empty((0, 1)), np.ones(3), 1.0, 1.0, 1))
    with pytest.raises(ValueError, match="broadcast"):
        greeks(np.ones(2), np.ones(3), 1.0, 1.0, 1)


def test_out_is_written_and_returned_even_into_the_inputs_own_memory() -> None:
    forward, strike, years, vol = (
        np.full(4, 60_000.0),
        np.linspace(5e4, 7e4, 4),
        np.full(4, 0.1),
        np.full(4, 0.6),
    )
    wanted = greeks(forward, strike, years, vol, 1)
    out = Greeks(np.empty(4), forward, strike, years, vol)
    assert greeks(forward, strike, years, vol, 1, out=out) is out
    for field, value in zip(out, wanted, strict=True):
        np.testing.assert_array_equal(field, value)


def test_out_that_does_not_fit_is_refused_before_anything_is_written() -> None:
    out = Greeks(*(np.zeros(3) for _ in range(5)))
    with pytest.raises(ValueError, match=r"out\.price is float64 of shape \(3,\).*float64 of shape \(2,\)"):
        greeks(np.ones(2), 1.0, 1.0, 1.0, 1, out=out)
    integers: Any = np.zeros(3, dtype=np.int64)
    whole = Greeks(np.zeros(3), integers, integers, integers, integers)
    with pytest.raises(ValueError, match=r"out\.delta is int64"):
        greeks(np.ones(3), 1.0, 1.0, 1.0, 1, out=whole)
    assert all(not field.any() for field in (*out, *whole))


forwards = st.floats(1e-3, 1e7)
log_moneyness = st.floats(-3.0, 3.0)
times = st.floats(60.0 / (365 * 86_400), 2.0)
vols = st.floats(0.01, 4.0)
signs = st.sampled_from([1.0, -1.0])


@given(forwards, log_moneyness, times, vols, st.floats(0.5, 1.2))
def test_put_call_parity(forward: float, m: float, years: float, vol: float, discount: float) -> None:
    strike = forward * math.exp(m)
    call, put = (greeks(forward, strike, years, vol, s, discount) for s in (1, -1))
    larger = max(only(call.price), only(put.price), discount * abs(forward - strike))
    assert abs(only(call.price) - only(put.price) - discount * (forward - strike)) <= 1e-15 * larger * 4
    assert only(call.delta) - only(put.delta) == pytest.approx(discount, rel=1e-15)
    assert only(call.gamma) == only(put.gamma)
    assert only(call.vega) == only(put.vega)
    one, other = (higher_greeks(forward, strike, years, vol, s) for s in (1, -1))
    assert [only(field) for field in one] == [only(field) for field in other]


@given(forwards, log_moneyness, times, vols, signs, st.sampled_from([2.0**k for k in range(-8, 9)]))
def test_another_currency_unit_scales_the_greeks(
    forward: float, m: float, years: float, vol: float, sign: float, unit: float
) -> None:
    """Price, vega, theta go with the unit, gamma against it, delta stands: exactly, for powers of two."""
    strike = forward * math.exp(m)
    g = greeks(forward, strike, years, vol, sign)
    h = greeks(forward * unit, strike * unit, years, vol, sign)
    if only(g.price) < 1e-280:
        return  # a double that small has lost digits, and powers of two are no longer exact
    assert [only(h.price), only(h.delta), only(h.vega), only(h.theta)] == [
        only(g.price) * unit,
        only(g.delta),
        only(g.vega) * unit,
        only(g.theta) * unit,
    ]
    assert only(h.gamma) == pytest.approx(only(g.gamma) / unit, rel=1e-15, abs=1e-300)


@given(forwards, log_moneyness, times, vols, signs, st.sampled_from([0.25, 4.0, 16.0]))
def test_only_total_vol_counts(
    forward: float, m: float, years: float, vol: float, sign: float, factor: float
) -> None:
    """Four times the time at half the vol is the same option; theta is per time, vega per vol."""
    strike = forward * math.exp(m)
    g = greeks(forward, strike, years, vol, sign)
    h = greeks(forward, strike, years * factor, vol / math.sqrt(factor), sign)
    if min(abs(only(x)) for x in (*g, *h)) < 1e-280:
        return  # a double that small has lost digits, and powers of two are no longer exact
    assert [only(h.price), only(h.delta), only(h.gamma)] == [only(g.price), only(g.delta), only(g.gamma)]
    assert only(h.vega) == only(g.vega) * math.sqrt(factor)
    assert only(h.theta) == only(g.theta) / factor


@settings(max_examples=60)
@given(forwards, log_moneyness, times, vols, signs)
def test_order(forward: float, m: float, years: float, vol: float, sign: float) -> None:
    """More vol or time is worth more, a call falls with the strike, a put rises; bounds hold; time costs."""
    strike = forward * math.exp(m)
    up = np.array([1.0, 1.0 + 1e-9, 1.01, 1.5])
    for prices in (
        greeks(forward, strike, years, vol * up, sign),
        greeks(forward, strike, years * up, vol, sign),
    ):
        assert (np.diff(prices.price) >= -4e-15 * prices.price[1:]).all()
    by_strike = greeks(forward, strike * up, years, vol, sign)
    assert (sign * np.diff(by_strike.price) <= 4e-15 * by_strike.price[1:]).all()
    g = greeks(forward, strike, years, vol, sign)
    assert max(sign * (forward - strike), 0.0) <= only(g.price) <= (forward if sign > 0 else strike)
    assert 0.0 <= sign * only(g.delta) <= 1.0
    assert only(g.gamma) >= 0.0
    assert only(g.vega) >= 0.0
    assert only(g.theta) <= 0.0


anything = st.one_of(
    st.floats(), st.sampled_from([0.0, -0.0, 5e-324, 1e-310, 1e308, math.inf, -math.inf, 1.0])
)


@settings(max_examples=300)
@given(anything, anything, anything, anything, st.one_of(signs, anything), st.one_of(st.just(1.0), anything))
def test_no_input_raises_or_warns(
    F: float, K: float, T: float, vol: float, sign: float, discount: float
) -> None:
    g = greeks(F, K, T, vol, sign, discount)
    higher_greeks(F, K, T, vol, sign, discount)
    usable = F >= 0.0 and K >= 0.0 and F + K > 0.0 and max(F, K) < math.inf and T >= 0.0 and vol >= 0.0
    usable = usable and not math.isnan(vol * math.sqrt(T)) and abs(sign) == 1.0 and 0.0 < discount < math.inf
    assert math.isnan(g.price) == (not usable)
