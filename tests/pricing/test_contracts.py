"""Contracts and listings: ticks, lots, units and what is refused."""

from __future__ import annotations

from dataclasses import replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.contracts import Fees, Kind, Right, Side, TickSteps
from tests.builders import after, future, listing, option, perpetual, spot

DERIBIT_TICKS = "0:0.0001;0.005:0.0005"


def test_signs() -> None:
    assert [Right.CALL.sign, Right.PUT.sign, Side.BUY.sign, Side.SELL.sign] == [1, -1, 1, -1]


def test_kinds_of_contracts() -> None:
    contracts = (spot(), perpetual(), future(30), option(60_000, "C", 30))
    assert [c.kind for c in contracts] == [Kind.SPOT, Kind.PERPETUAL, Kind.FUTURE, Kind.OPTION]
    assert [c.settlement for c in contracts] == ["USDC", "BTC", "BTC", "BTC"]


@pytest.mark.parametrize(
    ("contract", "size", "unit"),
    [
        (option(60_000, "C", 30), "1", "BTC"),
        (option(60_000, "C", 30), "0.01", "contracts"),
        (option(60_000, "C", 30, inverse=False), "1", "BTC"),
        (perpetual(), "1", "USD"),
        (future(30), "1", "USD"),
        (perpetual(), "100", "contracts"),
        (perpetual(inverse=False), "1", "BTC"),
        (future(30, "ETH", inverse=False), "1", "ETH"),
        (spot("ETH"), "1", "ETH"),
    ],
)
def test_order_units(contract: object, size: str, unit: str) -> None:
    """As the book file's units: README, "Files"."""
    assert listing(contract, size=size).unit == unit  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("price", "tick"),
    [("0.0001", "0.0001"), ("0.005", "0.0001"), ("0.0050001", "0.0005"), ("1", "0.0005"), ("0", "0.0001")],
)
def test_ticks_of_deribit_options(price: str, tick: str) -> None:
    """0.0001 up to 0.005, 0.0005 above."""
    assert TickSteps.parse(DERIBIT_TICKS).at(Decimal(price)) == Decimal(tick)


@pytest.mark.parametrize(
    ("price", "bought", "sold"),
    [
        ("0.0123", "0.0120", "0.0125"),
        ("0.0051", "0.0050", "0.0055"),
        ("0.00495", "0.0049", "0.0050"),
        ("0.005", "0.005", "0.005"),
        ("0.0125", "0.0125", "0.0125"),
    ],
)
def test_prices_are_rounded_against_nobody(price: str, bought: str, sold: str) -> None:
    """A buy never pays more than asked for, a sell never takes less."""
    item = listing(option(60_000, "C", 30), ticks=DERIBIT_TICKS)
    assert item.quantize_price(Decimal(price), Side.BUY) == Decimal(bought)
    assert item.quantize_price(float(price), Side.SELL) == Decimal(sold)


def test_floor_and_ceiling_have_no_side() -> None:
    item = listing(option(60_000, "C", 30), ticks=DERIBIT_TICKS)
    assert item.price_floor(0.0123) == item.quantize_price(0.0123, Side.BUY) == Decimal("0.0120")
    assert item.price_ceiling(0.0123) == item.quantize_price(0.0123, Side.SELL) == Decimal("0.0125")
    assert item.price_floor(Decimal("0.012")) == item.price_ceiling(Decimal("0.012")) == Decimal("0.012")


def test_what_expires_and_when() -> None:
    contracts = (spot(), perpetual(), future(30), option(60_000, "C", 7))
    assert [listing(c).expiry_ns for c in contracts] == [0, 0, after(30), after(7)]


@given(st.decimals(0, 10**6, places=8), st.sampled_from(["0.5", "0.0001", "2.5", "5"]))
def test_prices_lie_on_the_tick_and_within_one(price: Decimal, tick: str) -> None:
    item = listing(perpetual(), ticks=f"0:{tick}")
    low, high = item.quantize_price(price, Side.BUY), item.quantize_price(price, Side.SELL)
    assert low <= price <= high < low + 2 * Decimal(tick)
    assert (low / Decimal(tick)).to_integral_value(ROUND_FLOOR) * Decimal(tick) == low
    assert (high / Decimal(tick)).to_integral_value(ROUND_CEILING) * Decimal(tick) == high


@given(st.decimals(-(10**6), 10**6, places=6), st.sampled_from(["0.1", "10", "0.001", "1"]))
def test_quantities_never_grow_and_are_whole_lots(quantity: Decimal, lot: str) -> None:
    item = listing(perpetual(), lot=lot, minimum="0")
    lots = Decimal(lot)
    rounded = item.quantize_quantity(quantity)
    assert abs(rounded) <= abs(quantity) < abs(rounded) + lots
    assert rounded % lots == 0
    assert rounded * quantity >= 0
    assert item.quantize_quantity(-quantity) == -rounded


def test_a_float_just_below_a_lot_is_that_lot() -> None:
    item = listing(option(60_000, "C", 30), lot="0.1")
    assert item.quantize_quantity(12.299999999999999) == Decimal("12.3")
    assert item.quantize_quantity(-12.299999999999999) == Decimal("-12.3")
    assert item.quantize_quantity(12.2999999) == Decimal("12.2")


def test_below_the_minimum_is_nothing() -> None:
    item = listing(option(60_000, "C", 30), lot="0.1", minimum="0.5")
    assert item.quantize_quantity(0.49) == 0
    assert item.quantize_quantity(-0.49) == 0
    assert item.quantize_quantity(-0.5) == Decimal("-0.5")


@pytest.mark.parametrize("bad", ["0.1:1", "0:1;0:2", "0:1;5:2;3:1", "0:0", "0:-1"])
def test_tick_steps_that_make_no_sense(bad: str) -> None:
    with pytest.raises(ValueError, match="tick steps"):
        TickSteps.parse(bad)


def test_tick_steps_are_written_as_they_are_read() -> None:
    assert str(TickSteps.parse(DERIBIT_TICKS)) == DERIBIT_TICKS


@pytest.mark.parametrize(
    "bad", [{"lot": "0"}, {"lot": "-1"}, {"minimum": "-1"}, {"size": "0"}, {"size": "-0.01"}]
)
def test_listings_that_make_no_sense(bad: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="not positive"):
        listing(perpetual(), **bad)  # type: ignore[arg-type]


def test_terms_are_the_contract_and_its_steps_and_fees_are_none_of_them() -> None:
    one = listing(perpetual())
    cheaper = replace(one, fees=Fees(Decimal("-0.0001"), Decimal("0.0002")))
    assert one.same_terms(cheaper) and one.same_contract(cheaper)
    for steps in (
        replace(one, tick_steps=TickSteps.parse("0:7")),
        replace(one, lot=one.lot * 3),
        replace(one, minimum=one.minimum + 1),
    ):
        assert one.same_contract(steps) and not one.same_terms(steps)
    for other in (replace(one, size=one.size * 10), listing(perpetual(inverse=False))):
        assert not one.same_contract(other) and not one.same_terms(other)
