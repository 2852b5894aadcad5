"""Missing legs: the assumed range really bounds them, and a plan that "always helps" always does."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pricing.contracts import Contract, Kind, Option
from pricing.market import ForwardKind, Market
from pricing.universe import FloatArray, Universe
from pricing.valuation import MarkStatus, Numeraire, value
from risk.costs import reference_price
from risk.exposures import ExposureSettings, expose, row_names
from risk.missing import MissingSettings, always_better, value_range, worst_case
from tests.builders import (
    AGE_S_MAX,
    NAN,
    NOW_NS,
    Quote,
    future,
    listing,
    market_of,
    option,
    perpetual,
    spot,
)

INDEX = 60_000.0
ROWS = row_names(["BTC"])
ASSUMED = MissingSettings()
USD, COIN = ExposureSettings(), ExposureSettings(Numeraire.COIN)
DAYS = st.one_of(
    st.sampled_from([0.4, 1.0, 2.0, 7.0, 30.0, 90.0, 180.0]),
    st.floats(0.03, 400.0),
    st.floats(1e-6, 30 / (24 * 60)),  # inside the settlement window
)


@st.composite
def contracts(draw: st.DrawFn) -> Contract:
    """Every kind that can be missing, tenors from seconds to a year, strikes 0.2 to 5 times the index."""
    inverse = draw(st.booleans())
    kind = draw(st.sampled_from(["option", "option", "option", "perpetual", "future"]))
    if kind == "perpetual":
        return perpetual(inverse=inverse)
    if kind == "future":
        return future(draw(DAYS), inverse=inverse)
    strike = INDEX * draw(st.one_of(st.floats(0.97, 1.03), st.floats(0.2, 5.0)))
    return option(strike, draw(st.sampled_from("CP")), draw(DAYS), inverse=inverse)


def within(low: float, high: float) -> st.SearchStrategy[float]:
    return st.one_of(
        st.sampled_from([low, high, 1.0]).filter(lambda x: low <= x <= high), st.floats(low, high)
    )


def range_of(
    universe: Universe, quantity: float, numeraire: ExposureSettings, index: float = INDEX
) -> tuple[FloatArray, FloatArray]:
    return worst_case(
        universe, np.array([quantity]), [0], np.array([index]), NOW_NS, ["BTC"], numeraire, ASSUMED
    )


def known_market(contract: Contract, size: str, forward: float, vol: float, average: float) -> Market:
    quote = Quote(
        listing(contract, size=size),
        mark=forward,
        mark_iv=vol,
        forward=forward,
        forward_kind=ForwardKind.SYNTHETIC,
        index=INDEX,
    )
    expiry_ns = contract.expiry_ns if isinstance(contract, Option) else 0
    return market_of([quote], settlement_average={("BTC", expiry_ns): average})


DEEP_PUT = option(5 * INDEX, "P", 300.0)  # K/F of coin delta, twice that of coin gamma
WON_CALL = option(0.2 * INDEX, "C", 1e-3)  # settling, its dollars all but earned: short coins


@settings(max_examples=200)
@example(DEEP_PUT, 0.8, 0.1, 1.0, 1.0, "1", COIN)
@example(WON_CALL, 0.8, 0.1, 1.25, 1.0, "1", COIN)
@example(replace(WON_CALL, inverse=False, settlement="USDC"), 1.25, 0.1, 1.25, -0.3, "1", COIN)
@example(option(1.2 * INDEX, "C", 0.4, inverse=False), 1.25, 0.1, 1.0, 1.0, "1", COIN)
@given(
    contracts(),
    within(*ASSUMED.forward_ratio),
    within(*ASSUMED.vol),
    within(*ASSUMED.forward_ratio),
    st.sampled_from([-250.0, -0.3, 1.0, 7.0]),
    st.sampled_from(["1", "0.01", "100"]),
    st.sampled_from([USD, COIN]),
)
def test_the_range_holds_whatever_the_market_turns_out_to_be(
    contract: Contract,
    ratio: float,
    vol: float,
    average_ratio: float,
    quantity: float,
    size: str,
    numeraire: ExposureSettings,
) -> None:
    """The leg quoted after all, anywhere in the assumed ranges: each row's true share lies inside."""
    market = known_market(contract, size, INDEX * ratio, vol, INDEX * average_ratio)
    valuation = value(market, AGE_S_MAX)
    assert valuation.status.tolist() == [MarkStatus.OK]
    held = np.array([quantity])
    true = expose(held, {}, valuation, reference_price(market), ["BTC"], numeraire).value
    low, high = range_of(market.universe, quantity, numeraire)
    slack = 1e-9 * np.maximum(np.abs(low), np.abs(high))
    assert np.all(np.isfinite(low) & np.isfinite(high))
    for name, x, a, b, s in zip(ROWS, true, low, high, slack, strict=True):
        assert a - s <= x <= b + s, name


@pytest.mark.parametrize("days", [30.0, 15 / (24 * 60)])
def test_the_range_is_no_wider_than_it_must_be(days: float) -> None:
    """USD, an option at the money: the bounds are reached at the corners of the assumed ranges.

    Inside the settlement window too, where the average so far stands at the forward.
    """
    for name, ratio, vol in (("gamma", 0.8, 0.1), ("vega", 1.25, 0.1), ("theta", 1.25, 3.0)):
        contract = option(INDEX * ratio, "C", days, inverse=False)
        low, high = range_of(Universe.of([listing(contract)]), 1.0, USD)
        market = known_market(contract, "1", INDEX * ratio, vol, INDEX * ratio)
        reached = abs(float(getattr(value(market, AGE_S_MAX).usd, name)[0]))
        row = "gamma_expiring" if name == "gamma" and days < 2 else name
        i = ROWS.index(f"{row}:BTC")
        assert 0.9 < reached / max(high[i], -low[i]) <= 1.0
        assert (low[0], high[0]) == (0.0, 1.25)


@settings(max_examples=300)
@given(
    contracts(),
    within(*ASSUMED.forward_ratio),
    within(*ASSUMED.vol),
    within(*ASSUMED.forward_ratio),
    st.sampled_from([-250.0, -0.3, 1.0, 7.0]),
)
def test_the_worth_lies_in_its_range_whatever_the_market_turns_out_to_be(
    contract: Contract, ratio: float, vol: float, average_ratio: float, quantity: float
) -> None:
    """Options by their value; perpetuals and futures by their gain since they stood at 1.1 of the index."""
    market = known_market(contract, "1", INDEX * ratio, vol, INDEX * average_ratio)
    last = 1.1 * INDEX
    low, high = value_range(
        market.universe, np.array([quantity]), [0], np.array([INDEX]), np.array([last]), NOW_NS, ASSUMED
    )
    if contract.kind is Kind.OPTION:
        true = quantity * float(value(market, AGE_S_MAX).value_usd[0])
    elif contract.inverse:
        true = quantity * (1.0 / last - 1.0 / (INDEX * ratio)) * INDEX
    else:
        true = quantity * (INDEX * ratio - last)
    slack = 1e-9 * max(abs(low), abs(high), 1.0)
    assert low - slack <= true <= high + slack


def test_a_worth_without_an_index_or_a_last_price_has_no_range() -> None:
    for contract, index, last in ((option(60_000.0, "C", 30.0), NAN, 1.0), (perpetual(), INDEX, NAN)):
        found = value_range(
            Universe.of([listing(contract)]), np.array([1.0]), [0], np.array([index]), np.array([last]),
            NOW_NS, ASSUMED,
        )  # fmt: skip
        assert all(math.isnan(x) for x in found)


def test_signs_by_hand() -> None:
    """Short 2 puts of a coin: delta 0 to +2, gamma and vega at most 0, theta at least 0."""
    universe = Universe.of([listing(option(60_000.0, "P", 30.0))])
    low, high = range_of(universe, -2.0, USD)
    by_row = {name: (a, b) for name, a, b in zip(ROWS, low.tolist(), high.tolist(), strict=True)}
    assert by_row["delta:BTC"] == (0.0, 2.0)
    assert by_row["gamma:BTC"][1] == by_row["vega:BTC"][1] == by_row["theta:BTC"][0] == 0.0
    assert by_row["vega:BTC"] == by_row["vega:BTC:30-90d"] == by_row["vega_weighted:BTC"]
    assert by_row["gamma_expiring:BTC"] == by_row["vega:BTC:0-7d"] == (0.0, 0.0)


def test_futures_by_hand() -> None:
    """Short 60,000 USD of an inverse perpetual: 1/1.25 to 1/0.8 coins; 3 linear coins: 0.8 to 1.25 each."""
    inverse, linear = (Universe.of([listing(perpetual(inverse=i))]) for i in (True, False))
    low, high = range_of(inverse, -60_000.0, USD)
    assert (low[0], high[0]) == pytest.approx((-1.25, -0.8))
    assert not low[1:].any() and not high[1:].any()
    low, high = range_of(linear, 3.0, COIN)
    assert (low[0], high[0]) == pytest.approx((2.4, 3.75))
    low, high = range_of(inverse, 60_000.0, COIN)
    assert (low[1], high[1]) == pytest.approx((-2.5, -1.6))


@pytest.mark.parametrize("numeraire", [USD, COIN])
@pytest.mark.parametrize(
    ("contract", "index"),
    [
        (option(60_000.0, "C", 30.0), NAN),
        (option(60_000.0, "C", 0.0), INDEX),
        (option(60_000.0, "P", -1.0, inverse=False), INDEX),
        (perpetual(), NAN),
        (perpetual(inverse=False), NAN),
        (future(30.0), NAN),
        (future(-1.0), INDEX),
        (future(-1.0, inverse=False), INDEX),
        (spot(), NAN),
    ],
)
def test_what_cannot_be_bounded_is_unbounded(
    contract: Contract, index: float, numeraire: ExposureSettings
) -> None:
    """An expired contract (settled or not?) and an unknown index: any delta, of either sign."""
    low, high = range_of(Universe.of([listing(contract)]), -1.0, numeraire, index)
    assert (low[0], high[0]) == (-math.inf, math.inf)
    assert not np.isnan(low).any() and not np.isnan(high).any()
    if contract.kind is Kind.OPTION:
        open_rows = {name.split(":")[0] for name, x in zip(ROWS, low, strict=True) if x == -math.inf}
        assert open_rows >= {"delta", "vega", "vega_weighted", "theta"}
        assert open_rows & {"gamma", "gamma_expiring"}


def test_several_missing_legs_add_up() -> None:
    listings = [
        listing(perpetual()),
        listing(option(60_000.0, "C", 30.0)),
        listing(perpetual("ETH")),
        listing(spot()),
    ]
    universe = Universe.of(listings)
    held, index = np.array([60_000.0, -2.0, 500.0, 9.0]), np.array([INDEX, 2_000.0])
    rows = row_names(["BTC", "ETH"])

    def of(missing: list[int], names: list[str]) -> tuple[FloatArray, FloatArray]:
        return worst_case(universe, held, missing, index, NOW_NS, names, USD, ASSUMED)

    together, each = of([0, 1, 2], ["BTC", "ETH"]), [of([i], ["BTC", "ETH"]) for i in (0, 1, 2)]
    for bound in (0, 1):
        assert together[bound] == pytest.approx(sum(x[bound] for x in each))
    at = rows.index("delta:BTC")
    assert (together[0][at], together[1][at]) == pytest.approx((0.8 - 2, 1.25))
    at = rows.index("delta:ETH")
    assert (together[0][at], together[1][at]) == pytest.approx((0.25 / 1.25, 0.25 / 0.8))
    assert not np.any(of([], ["BTC"]))
    alone = of([2], ["BTC"])
    assert not alone[0].any() and not alone[1].any()


# -------------------------------------------------------------------------------------------- always_better
class Row(NamedTuple):
    """One row of a plan under an unknown leg; whole numbers, so that a grid of halves meets every kink."""

    before: float
    after: float
    lower: float
    upper: float
    low: float
    high: float


@st.composite
def rows_of_plans(draw: st.DrawFn) -> Row:
    whole = st.integers(-20, 20)
    lower, upper = sorted((draw(whole), draw(whole)))
    low, high = sorted((draw(whole), draw(whole)))
    before = draw(whole)
    return Row(
        before,
        draw(st.one_of(whole, st.just(before))),
        draw(st.sampled_from([lower, lower, -math.inf])),
        draw(st.sampled_from([upper, upper, math.inf])),
        draw(st.sampled_from([low, low, low, -math.inf])),
        draw(st.sampled_from([high, high, high, math.inf])),
    )


def outside(x: float, row: Row) -> float:
    return max(row.lower - x, x - row.upper, 0.0)


def least_gain(row: Row) -> float:
    """Least fall of the distance to the interval, on a dense grid; far out stands for infinity."""
    low, high = max(row.low, -1000.0), min(row.high, 1000.0)
    points = np.arange(low, high + 0.25, 0.5).tolist()
    return min(outside(row.before + x, row) - outside(row.after + x, row) for x in points)


def better(rows: list[Row]) -> bool:
    return always_better(*(np.array(column, dtype=np.float64) for column in zip(*rows, strict=True)))


@settings(max_examples=300)
@given(st.lists(rows_of_plans(), min_size=1, max_size=3))
def test_always_better_against_a_dense_grid(rows: list[Row]) -> None:
    """No row ends further out for any value of the unknown, and one ends nearer for every value."""
    gains = [least_gain(row) for row in rows]
    assert better(rows) == (min(gains) >= 0 and max(gains) > 0)


@pytest.mark.parametrize(
    ("row", "helps"),
    [
        (Row(10, 2, -3, 3, 0, 0), True),  # nothing is missing
        (Row(10, 2, -3, 3, -5, 5), True),  # with 5 less it was outside, and is inside now
        (Row(10, 2, -3, 3, -8, 5), False),  # with 8 less it was inside already, and is outside now
        (Row(10, 4, -3, 3, 0, 5), True),  # outside by 7 to 12, then by 1 to 6
        (Row(10, 4, -3, 3, -20, 5), False),
        (Row(10, 4, -math.inf, 3, -4, 5), True),  # open below: selling helps while it was above
        (Row(10, 4, -math.inf, 3, -9, 5), False),  # it may be inside either way: no gain for sure
        (Row(10, 4, -math.inf, 3, 0, math.inf), True),
        (Row(10, 4, -3, 3, 0, math.inf), True),
        (Row(10, 4, -3, 3, -math.inf, math.inf), False),
        (Row(10, 10, -3, 3, -math.inf, math.inf), False),  # nothing done
    ],
)
def test_plans_by_hand(row: Row, helps: bool) -> None:
    assert better([row]) == helps


def test_a_row_without_a_band_or_untouched_decides_nothing() -> None:
    good = Row(10, 4, -3, 3, 0, 5)
    open_row = Row(0, 99, -math.inf, math.inf, -math.inf, math.inf)
    untouched = Row(50, 50, -3, 3, -math.inf, math.inf)
    assert better([good, open_row, untouched])
    assert not better([open_row, untouched])
    assert not better([good, Row(0, 9, -3, 3, 0, 0)])


@pytest.mark.parametrize("field", ["before", "after", "low", "high"])
def test_what_is_not_a_number_never_helps(field: str) -> None:
    assert not better([Row(10, 4, -3, 3, 0, 5)._replace(**{field: math.nan})])
    assert not better([Row(10, 4, -3, 3, -math.inf, math.inf)._replace(**{field: math.nan})])


def test_a_gain_of_rounding_is_no_gain() -> None:
    """0.1 + 0.2 against 0.3: the last digit moved, nothing else."""
    assert not better([Row(0.1 + 0.2, 0.3, -0.1, 0.1, 0, 0)])


def test_the_defaults() -> None:
    assert MissingSettings((0.8, 1.25), (0.10, 3.0)) == ASSUMED
