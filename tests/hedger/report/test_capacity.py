"""What positions and margin use of their limits, with whatever may still come of the orders that are out."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from hedger.core.order_life import OrderRecord
from hedger.margin_tables import margin_terms
from hedger.report.capacity import positions_and_margin_used
from pricing.contracts import Side
from risk.book import Book
from risk.margin_terms import MarginModel
from tests.hedger.dashboard.made import rows
from tests.hedger.rig import Rig, desk
from venues.orders import Order, OrderState, TimeInForce

PERPETUAL = "BTC-PERPETUAL"


@pytest.fixture(scope="module")
def rig() -> Rig:
    """A book long 600,000 of the perpetual, a dollar a contract, short one option and long another."""
    found = Rig(rows(), desk())
    found.mark()
    return found


def out(rig: Rig, symbol: str, side: Side, quantity: str, price: str, state: OrderState) -> OrderRecord:
    """An order nothing of which is filled."""
    (listing,) = (x for x in rig.market.universe.listings if x.symbol == symbol)
    order = Order(f"htest-9-{symbol}", listing, side, Decimal(quantity), Decimal(price), TimeInForce.GTC)
    return OrderRecord(order, 9, 0, state=state)


def use(rig: Rig, *orders: OrderRecord) -> dict[str, float]:
    assert rig.state.snapshot is not None
    terms = margin_terms("deribit", rig.now_ns)
    assert terms is not None
    models = {"simulated": (MarginModel.STANDARD, terms)}
    booked = rig.state.snapshot.book.positions.values()
    book = Book.of(booked, {("simulated", "", "BTC"): Decimal(50)})
    found = list(
        positions_and_margin_used(rig.now_ns, replace(rig.state.snapshot, book=book), models, orders)
    )
    assert found and all(row["use"] is not None for row in found)
    return {row["limit"]: row["use"] for row in found}


@pytest.mark.parametrize(
    ("side", "quantity", "larger"),
    [
        (Side.BUY, "600000", 600_000),  # 1.2 million long
        (Side.SELL, "600000", 0),  # flat at the other end: the booked position is the worse one
        (Side.SELL, "1300000", 100_000),  # 700,000 short
    ],
)
@pytest.mark.parametrize("state", [OrderState.OPEN, OrderState.UNKNOWN])
def test_a_position_counts_at_its_worse_end(
    rig: Rig, side: Side, quantity: str, larger: float, state: OrderState
) -> None:
    before, after = use(rig), use(rig, out(rig, PERPETUAL, side, quantity, "70000", state))
    # a contract of a dollar at the forward is worth index / forward today: within 1 % of a dollar
    for limit in ("all of BTC", "all on simulated", "everything"):
        assert after[limit] - before[limit] == pytest.approx(larger, rel=0.01, abs=1e-6)


def test_margin_counts_both_ends_and_what_premiums_may_cost(rig: Rig) -> None:
    limit = "initial, simulated BTC"
    before = use(rig)[limit]
    assert use(rig, out(rig, PERPETUAL, Side.BUY, "6000000", "70000", OrderState.OPEN))[limit] > before
    assert use(rig, out(rig, PERPETUAL, Side.SELL, "600000", "70000", OrderState.OPEN))[limit] == before
    # buying an option needs no more margin, and its premium leaves the balance: share up by balance / left
    (bought,) = (s for s, quantity in rows().items() if quantity == "2.5")
    cheap, dear = (
        use(rig, out(rig, bought, Side.BUY, "1", price, OrderState.OPEN))[limit] for price in ("0.01", "0.5")
    )
    assert before < cheap < dear


def test_an_order_that_ended_counts_no_more(rig: Rig) -> None:
    refused = out(rig, PERPETUAL, Side.BUY, "600000", "70000", OrderState.REJECTED)
    assert refused.reserved == 0 and use(rig, refused) == use(rig)
