"""A start on a journal whose contracts are others by now."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from hedger.runs.venue_start import same_contracts
from pricing.contracts import Fees, Listing, Perpetual, TickSteps
from pricing.errors import InputError
from pricing.universe import Universe
from risk.book import Book, Position

D = Decimal
OURS = Listing(
    "okx", "BTC-USDT-SWAP", Perpetual("BTC", "USDT", False), TickSteps.parse("0:0.1"),
    D("0.01"), D("0.01"), Fees(D(0), D("0.0005")), D("0.01"),
)  # fmt: skip


def book(quantity: str) -> Book:
    return Book.of([Position(OURS, "", D(quantity))], {})


def test_a_position_in_another_contract_by_now_refuses_the_start() -> None:
    with pytest.raises(InputError) as caught:
        same_contracts(book("7"), Universe.of([replace(OURS, size=D("0.1"))]))
    assert caught.value.code == "LISTING_CHANGED"
    for word in ("okx BTC-USDT-SWAP", "0.1 a unit", "0.01 a unit", "new journal"):
        assert word in caught.value.text()


@pytest.mark.parametrize(
    "now", [replace(OURS, tick_steps=TickSteps.parse("0:5"), lot=D(1)), replace(OURS, fees=Fees(D(0), D(0)))]
)
def test_other_steps_and_fees_do_not(now: Listing) -> None:
    same_contracts(book("7"), Universe.of([now]))


def test_nor_does_what_is_held_no_more() -> None:
    same_contracts(book("0"), Universe.of([replace(OURS, size=D("0.1"))]))
