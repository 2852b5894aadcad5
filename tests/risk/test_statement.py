"""The ledger's account of a change of equity: its sum is the change, cash that nobody tells of is shown."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.contracts import Kind, Side
from pricing.valuation import value
from risk.attribution import attribute
from risk.book import Book, Fill, Position, settles_daily
from risk.flows import Cause, Flows, Payment, Trade
from risk.standing import Standing, equity_usd
from risk.statement import Ledger, Moved, Statement, state_change
from tests.risk.test_attribution import LISTINGS, OPTIONS, C, S, market, valued

PLACE = ("deribit", "", "BTC")
MOVE = st.floats(-0.2, 0.2)
LOTS = st.integers(-40, 40)


def ledger_of(book: Book, index: float, vol: float, days: float) -> tuple[Ledger, Standing]:
    valuation = valued(market(index, C, vol, days))
    prices = {x.key: float(index * C) for x in LISTINGS if settles_daily(x)}
    balances = {c: float(x) for c, x in book.balances(prices).items()}
    quantities = book.quantities(valuation.universe)
    return (
        Ledger.of(book, valuation, quantities, balances),
        Standing(valuation, quantities, balances),
    )


def fill(row: int, lots: int, price: str, fee: str = "0.5") -> Fill:
    x = LISTINGS[row]
    side = Side.BUY if lots > 0 else Side.SELL
    quantity = Decimal(abs(lots)) * (10 if x.contract.kind is Kind.PERPETUAL and x.contract.inverse else 1)
    return Fill(x, side, quantity, Decimal(price), Decimal(fee), x.contract.settlement)


@given(
    st.lists(LOTS, min_size=8, max_size=8),
    st.lists(st.tuples(st.integers(0, 8), LOTS.filter(bool)), max_size=6),
    MOVE,
    st.floats(-0.2, 0.2),
    st.floats(0.0, 5.0),
    st.decimals(-1, 1, places=6),
)
def test_the_parts_sum_to_the_change_and_to_the_attribution(
    held: list[int],
    traded: list[tuple[int, int]],
    move: float,
    vol: float,
    days: float,
    paid: Decimal,
) -> None:
    positions = [Position(x, "", Decimal(n)) for x, n in zip(LISTINGS[:8], held, strict=True) if n]
    before = Book.of(positions, {PLACE: Decimal(5), ("deribit", "", "USDC"): Decimal(10_000)})
    before = before.opened_at({x.key: S * C for x in LISTINGS if settles_daily(x)})
    fills = [fill(row, lots, "0.02" if row in (0, 1) else "900" if row in OPTIONS else "60100")
             for row, lots in traded]  # fmt: skip
    after = before
    for one in fills:
        after = after.apply(one)
    after = after.pay("deribit", "", "BTC", paid)
    was, stood = ledger_of(before, S, 0.6, 0.0)
    now, stands = ledger_of(after, S * (1 + move), 0.6 + vol, days)
    found = state_change(was, now, Moved(tuple(fills), funding=(("BTC", -float(paid)),)))
    change = equity_usd(stands) - equity_usd(stood)
    scale = 1.0 + sum(abs(x) for x in found.as_dict().values())
    assert found.total == pytest.approx(change, abs=1e-9 * scale)
    assert abs(found.unexplained) < 1e-9 * scale
    flows = Flows(tuple(Trade(f, float(f.price)) for f in fills),
                  (Payment(Cause.FUNDING, "BTC", -float(paid), "BTC"),))  # fmt: skip
    assert found.total == pytest.approx(attribute(stood, stands, flows).total.pnl, abs=1e-9 * scale)


def test_each_part_by_hand() -> None:
    """Short 2 calls, 1 bought back at 0.03 for a fee of 0.0003, 0.001 BTC of funding, 60,000 -> 66,000."""
    call = LISTINGS[0]
    before = Book.of([Position(call, "", Decimal(-2))], {PLACE: Decimal(10)})
    bought = Fill(call, Side.BUY, Decimal(1), Decimal("0.03"), Decimal("0.0003"), "BTC")
    after = before.apply(bought).pay("deribit", "", "BTC", Decimal("0.001"))
    was, _ = ledger_of(before, S, 0.6, 0.0)
    now, _ = ledger_of(after, 66_000.0, 0.6, 0.0)
    found = state_change(was, now, Moved((bought,), funding=(("BTC", -0.001),)))
    unit = [float(value(market(i), 600.0).value_usd[0]) for i in (S, 66_000.0)]
    assert found.premiums == pytest.approx(-0.03 * 66_000)
    assert found.fees == pytest.approx(-0.0003 * 66_000)
    assert found.funding == pytest.approx(-0.001 * 66_000)
    assert found.coins == pytest.approx(10 * 6_000)
    assert found.options == pytest.approx(-1 * unit[1] + 2 * unit[0])
    assert (found.futures, found.settlement, found.transfers) == (0, 0, 0)
    # the same with the index of the trade known: the fee is what it was then, its coin moved from then on
    at_trade = state_change(was, now, Moved((bought,), ({"BTC": 63_000.0},), funding=(("BTC", -0.001),)))
    assert at_trade.fees == pytest.approx(-0.0003 * 63_000)
    assert at_trade.coins == pytest.approx(10 * 6_000 - 0.0003 * 3_000)
    assert at_trade.total == pytest.approx(found.total, rel=1e-12)


def test_cash_that_no_word_tells_of_is_unexplained() -> None:
    before = Book.of([], {PLACE: Decimal(10)})
    was, _ = ledger_of(before, S, 0.6, 0.0)
    now, _ = ledger_of(before.pay("deribit", "", "BTC", Decimal("0.25")), S, 0.6, 0.0)
    found = state_change(was, now, Moved())
    assert found.unexplained == pytest.approx(-0.25 * S)
    assert found == Statement(unexplained=found.unexplained)


def test_a_currency_without_a_worth_makes_its_part_unknown_not_nothing() -> None:
    before = Book.of([], {PLACE: Decimal(10)})
    was, _ = ledger_of(before, S, 0.6, 0.0)
    now, _ = ledger_of(before, S, 0.6, 0.0)
    other = Ledger(now.valuation, now.quantities, {**now.cash, "SOL": Fraction(3)}, now.gains)
    found = state_change(was, other, Moved(transfers=(("SOL", 3.0),)))
    assert math.isnan(found.transfers) and math.isnan(found.total)
    assert np.isfinite(found.fees)
