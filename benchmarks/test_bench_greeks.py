"""Price and four Greeks of many options, of options whose spot moved, and of a book: ours beside its peers.

The peers: the textbook in numpy and scipy in one pass, and loops over the scalar functions of vollib,
QuantLib and nautilus_trader, on the same options in the same run. QuantLib and nautilus_trader are optional
(`make bench PEERS=1`); what is not installed is skipped by name. Everything runs in one thread.

The last two groups show times per option (`extra_info["options"]`), so that sizes can be compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from scipy.special import ndtr
from vollib.black import black
from vollib.black.greeks.analytical import delta, gamma, theta, vega

from pricing import black76
from pricing.black76 import Greeks
from pricing.compiled import warm_up
from pricing.flat import FloatArray
from pricing.spot import SpotBase, Totals, book_totals, spot_base, spot_greeks

Chain = tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]

MANY, MILLION = 10_000, 1_000_000
PUBLIC = f"greeks: price and Greeks of {MANY:,} options"
INTO = f"greeks, out=: price and Greeks of {MANY:,} options"
SPOT = f"greeks, spot moved: price and Greeks of {MANY:,} options"
BOOK = f"greeks, spot moved: five totals over {MANY:,} options"
SIZE = f"greeks, per option: {MILLION:,} options beside {MANY:,}"
SIZE_INTO = f"greeks, out=, per option: {MILLION:,} options beside {MANY:,}"
TICKS = (1e-4, -2e-4)  # where the spot goes from the base, in turn
LOOP_ROUNDS = 7  # a scalar loop takes a tenth of a second


def chain(options: int) -> Chain:
    """Forward, strike, years, vol, sign: strikes within 2.5 standard deviations, a day to a year."""
    rng = np.random.default_rng(7)
    years, vol = rng.uniform(1, 365, options) / 365, rng.uniform(0.3, 1.2, options)
    strike = 60_000.0 * np.exp(rng.uniform(-2.5, 2.5, options) * vol * np.sqrt(years))
    return np.full(options, 60_000.0), strike, years, vol, rng.choice([-1.0, 1.0], options)


def numpy_scipy(
    forward: FloatArray, strike: FloatArray, years: FloatArray, vol: FloatArray, sign: FloatArray
) -> Greeks:
    """The textbook in one pass, as one writes it with numpy and scipy."""
    root = np.sqrt(years)
    w = vol * root
    d1 = np.log(forward / strike) / w + 0.5 * w
    n1, n2 = ndtr(sign * d1), ndtr(sign * (d1 - w))
    density = np.exp(-0.5 * d1 * d1) * (1.0 / np.sqrt(2.0 * np.pi))
    sensitivity = forward * density * root
    return Greeks(
        sign * (forward * n1 - strike * n2),
        sign * n1,
        density / (forward * w),
        sensitivity,
        -0.5 * sensitivity * vol / years,
    )


def numpy_scipy_moved(base: SpotBase, log_strike: FloatArray, forward: FloatArray) -> Greeks:
    """The same, keeping what stands while the spot moves."""
    w = base.vol * base.root_years
    d1 = (np.log(forward) - log_strike) * base.per_total_vol + 0.5 * w
    n1, n2 = ndtr(base.sign * d1), ndtr(base.sign * (d1 - w))
    density = np.exp(-0.5 * d1 * d1) * (1.0 / np.sqrt(2.0 * np.pi))
    sensitivity = forward * density * base.root_years
    return Greeks(
        base.sign * (forward * n1 - base.strike * n2),
        base.sign * n1,
        density * base.per_total_vol / forward,
        sensitivity,
        -0.5 * sensitivity * base.vol / base.years,
    )


def moving(base: SpotBase) -> Callable[[], FloatArray]:
    """Forwards of the next mark, each call: a few basis points around the base, made before the timing."""
    marks = [base.forward * (1.0 + tick) for tick in TICKS]
    count = 0

    def following() -> FloatArray:
        nonlocal count
        count += 1
        return marks[count % len(marks)]

    return following


def agree(found: Iterable[FloatArray | float], wanted: Iterable[FloatArray | float], allowed: float) -> None:
    """No ratio counts between two that compute different things."""
    for one, other in zip(found, wanted, strict=True):
        size = float(np.max(np.abs(other)))
        np.testing.assert_allclose(one, other, rtol=0.0, atol=allowed * size)


@pytest.fixture(scope="module", autouse=True)
def warm() -> None:
    warm_up()


@pytest.mark.benchmark(group=PUBLIC)
def test_ours(benchmark: BenchmarkFixture) -> None:
    arguments = chain(MANY)
    agree(benchmark(lambda: black76.greeks(*arguments)), numpy_scipy(*arguments), 1e-13)


@pytest.mark.benchmark(group=PUBLIC)
def test_numpy_scipy(benchmark: BenchmarkFixture) -> None:
    arguments = chain(MANY)
    benchmark(lambda: numpy_scipy(*arguments))


@pytest.mark.benchmark(group=INTO)
def test_ours_into(benchmark: BenchmarkFixture) -> None:
    arguments = chain(MANY)
    out = Greeks(*(np.empty(MANY) for _ in Greeks._fields))
    agree(benchmark(lambda: black76.greeks(*arguments, out=out)), numpy_scipy(*arguments), 1e-13)


@pytest.mark.benchmark(group=INTO)
def test_numpy_scipy_beside_into(benchmark: BenchmarkFixture) -> None:
    arguments = chain(MANY)
    benchmark(lambda: numpy_scipy(*arguments))


@pytest.mark.benchmark(group=SPOT)
def test_ours_moved(benchmark: BenchmarkFixture) -> None:
    base = spot_base(*chain(MANY))
    forward = moving(base)
    out = Greeks(*(np.empty(MANY) for _ in Greeks._fields))
    benchmark(lambda: spot_greeks(base, forward(), out=out))
    last = forward()
    agree(spot_greeks(base, last, out=out)[0], numpy_scipy(last, *base[1:5]), 1e-13)


@pytest.mark.benchmark(group=SPOT)
def test_numpy_scipy_anew(benchmark: BenchmarkFixture) -> None:
    base = spot_base(*chain(MANY))
    forward = moving(base)
    benchmark(lambda: numpy_scipy(forward(), *base[1:5]))


@pytest.mark.benchmark(group=SPOT)
def test_numpy_scipy_keeping_what_stands(benchmark: BenchmarkFixture) -> None:
    base = spot_base(*chain(MANY))
    forward = moving(base)
    log_strike = np.log(base.strike)
    found = benchmark(lambda: numpy_scipy_moved(base, log_strike, forward()))
    assert np.isfinite(found.price).all()


@pytest.mark.benchmark(group=BOOK)
def test_ours_totals(benchmark: BenchmarkFixture) -> None:
    base = spot_base(*chain(MANY))
    forward = moving(base)
    quantity = np.random.default_rng(8).normal(size=MANY)
    benchmark(lambda: book_totals(base, forward(), quantity))
    last = forward()
    wanted = Totals(*(float(field @ quantity) for field in numpy_scipy(last, *base[1:5])))
    agree(book_totals(base, last, quantity)[0], wanted, 1e-11)


@pytest.mark.benchmark(group=BOOK)
def test_numpy_scipy_and_dot(benchmark: BenchmarkFixture) -> None:
    base = spot_base(*chain(MANY))
    forward = moving(base)
    quantity = np.random.default_rng(8).normal(size=MANY)
    benchmark(lambda: Totals(*(float(field @ quantity) for field in numpy_scipy(forward(), *base[1:5]))))


def per_option(benchmark: BenchmarkFixture, options: int, into: bool) -> None:
    """Time `greeks` on so many options, to be shown per option."""
    arguments = chain(options)
    out = Greeks(*(np.empty(options) for _ in Greeks._fields)) if into else None
    benchmark.extra_info["options"] = options
    # the million is what is compared with many small ones: as many options in either, in a few rounds
    found = benchmark.pedantic(
        lambda: black76.greeks(*arguments, out=out),
        rounds=30,
        iterations=max(1, MILLION // (10 * options)),
        warmup_rounds=2,
    )
    assert found.price.shape == (options,)


@pytest.mark.benchmark(group=SIZE)
def test_ours_ten_thousand(benchmark: BenchmarkFixture) -> None:
    per_option(benchmark, MANY, into=False)


@pytest.mark.benchmark(group=SIZE)
def test_a_million(benchmark: BenchmarkFixture) -> None:
    per_option(benchmark, MILLION, into=False)


@pytest.mark.benchmark(group=SIZE_INTO)
def test_ours_ten_thousand_into(benchmark: BenchmarkFixture) -> None:
    per_option(benchmark, MANY, into=True)


@pytest.mark.benchmark(group=SIZE_INTO)
def test_a_million_into(benchmark: BenchmarkFixture) -> None:
    per_option(benchmark, MILLION, into=True)


def scalars() -> list[tuple[float, float, float, float, bool]]:
    """The chain one option at a time, as plain floats."""
    forward, strike, years, vol, sign = (column.tolist() for column in chain(MANY))
    return list(zip(forward, strike, years, vol, [s > 0 for s in sign], strict=True))


@pytest.mark.benchmark(group=PUBLIC)
def test_vollib_loop(benchmark: BenchmarkFixture) -> None:
    options = scalars()

    def loop() -> float:
        total = 0.0
        for forward, strike, years, vol, call in options:
            flag = "c" if call else "p"
            total += black(flag, forward, strike, years, 0.0, vol)
            for greek in (delta, gamma, vega, theta):
                total += greek(flag, forward, strike, years, 0.0, vol)
        return total

    benchmark.pedantic(loop, rounds=LOOP_ROUNDS, warmup_rounds=1)


@pytest.mark.benchmark(group=PUBLIC)
def test_quantlib_calculator_loop(benchmark: BenchmarkFixture) -> None:
    ql = pytest.importorskip("QuantLib", reason="QuantLib is not installed")
    options = scalars()

    def loop() -> float:
        total = 0.0
        for forward, strike, years, vol, call in options:
            payoff = ql.PlainVanillaPayoff(ql.Option.Call if call else ql.Option.Put, strike)
            made = ql.BlackCalculator(payoff, forward, vol * years**0.5, 1.0)
            total += made.value() + made.deltaForward() + made.gammaForward() + made.vega(years)
            total += made.theta(forward, years)
        return total

    benchmark.pedantic(loop, rounds=LOOP_ROUNDS, warmup_rounds=1)


@pytest.mark.benchmark(group=PUBLIC)
def test_nautilus_loop(benchmark: BenchmarkFixture) -> None:
    pyo3 = pytest.importorskip(
        "nautilus_trader.core.nautilus_pyo3", reason="nautilus_trader is not installed"
    )
    options = scalars()

    def loop() -> float:
        total = 0.0
        for forward, strike, years, vol, call in options:
            found = pyo3.black_scholes_greeks(forward, 0.0, 0.0, vol, call, strike, years, 1.0)
            total += found.price + found.delta + found.gamma + found.vega + found.theta
        return total

    benchmark.pedantic(loop, rounds=LOOP_ROUNDS, warmup_rounds=1)
