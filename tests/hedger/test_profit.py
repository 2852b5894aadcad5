"""What is traded between two marks has its causes from there on; what was traded before any mark is told."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest

from hedger.problem.snapshot import Snapshot, take_snapshot
from hedger.profit import ARRIVALS_MAX, Arrivals, Profit, document
from hedger.settings import Settings
from pricing.contracts import Side
from pricing.market import Market
from risk.book import Book, Fill
from risk.flows import Trade
from tests.builders import NOW_NS, Quote, listing, market_of, option, perpetual

S = 60_000.0
LINEAR = listing(perpetual(inverse=False), size="1", lot="0.001")
CALL = listing(option(60_000, "C", 30))
HOUR_NS = 3_600 * 1_000_000_000
CASH = {("deribit", "", "USDC"): Decimal(1_000_000)}


def market(index: float, now_ns: int, *, call: bool = True) -> Market:
    quotes = [
        Quote(LINEAR, bid=index - 1, ask=index + 1, mark=index, index=index),
        Quote(CALL, mark=0.05, mark_iv=0.5, forward=index, index=index, age_s=0.0 if call else None),
    ]
    return market_of(quotes, now_ns=now_ns)


def seen(book: Book, index: float, now_ns: int, *, call: bool = True) -> Snapshot:
    return take_snapshot(book, market(index, now_ns, call=call), Settings(), marked=True)


def bought(quantity: str, price: float, now_ns: int, *, fee: str = "0") -> Fill:
    paid = Decimal(repr(price)), Decimal(fee)
    return Fill(LINEAR, Side.BUY, Decimal(quantity), *paid, "USDC", trade_id="t1", time_ns=now_ns)


def test_a_perpetual_bought_between_two_marks_is_held_from_there_on() -> None:
    """2 coins at 60,010 where the mid is 60,000, then the index falls by 1,000: 20 slippage, 2,000 delta."""
    flat = Book.of([], CASH)
    first = seen(flat, S, NOW_NS)
    fill = bought("2", S + 10, NOW_NS + 1)
    book = flat.apply(fill)
    last = seen(book, S - 1_000, NOW_NS + HOUR_NS)
    profit = Profit()
    profit.marked(first)
    profit.traded(Trade(fill, S, {"BTC": S}))
    profit.executed(first, book)
    profit.marked(last)
    assert profit.total is not None
    parts = profit.total.attribution.total
    assert parts.slippage == pytest.approx(-20.0, abs=1e-6)
    assert parts.delta == pytest.approx(-2_000.0, abs=1e-6)
    assert parts.traded == pytest.approx(0.0, abs=1e-6) and parts.residual == pytest.approx(0.0, abs=1e-6)
    assert parts.pnl == pytest.approx(-2_020.0, abs=1e-6)
    assert abs(profit.total.difference_usd) < 1e-6


@pytest.mark.parametrize("valued", [True, False])
def test_an_option_bought_and_sold_between_two_marks_leaves_its_costs_and_nothing_else(valued: bool) -> None:
    """2 calls: bought 0.002 above the mark and sold 0.003 below it at 60,000, which is 600 slippage; fees of
    0.0006 coins, 36. The 0.0106 coins that are gone gain 10.6 as the index falls by 1,000. valued: after
    each of the two."""
    flat = Book.of([], CASH)
    first, book, profit = seen(flat, S, NOW_NS), flat, Profit()
    profit.marked(first)
    for name, side, price in (("t1", Side.BUY, "0.052"), ("t2", Side.SELL, "0.047")):
        numbers = (Decimal(2), Decimal(price), Decimal("0.0003"))
        fill = Fill(CALL, side, *numbers, "BTC", "", name, NOW_NS + 1)
        book = book.apply(fill)
        profit.traded(Trade(fill, 0.05, {"BTC": S}))
        if valued:
            profit.executed(first, book)
    profit.marked(seen(book, S - 1_000, NOW_NS + HOUR_NS))
    assert profit.total is not None
    parts = profit.total.attribution.total
    moved = parts.delta if valued else parts.traded
    assert [parts.slippage, parts.fees, moved] == pytest.approx([-600.0, -36.0, 10.6])
    assert parts.residual == pytest.approx(0.0, abs=1e-6) and parts.pnl == pytest.approx(-625.4)
    assert abs(profit.total.difference_usd) < 1e-6


def test_an_execution_where_something_has_no_worth_waits_for_the_next_mark() -> None:
    """The call has never been quoted: no interval ends at the fill, and its move is of the trade."""
    flat = Book.of([], CASH)
    first = seen(flat, S, NOW_NS, call=False)
    profit = Profit()
    profit.marked(first)
    call = Fill(CALL, Side.BUY, Decimal(1), Decimal("0.05"), Decimal(0), "BTC", "", "t2", NOW_NS + 1)
    book = flat.apply(call)
    profit.traded(Trade(call, 0.05, {"BTC": S}))
    profit.executed(first, book)
    assert profit.total is None
    profit.marked(seen(book, S, NOW_NS + HOUR_NS))
    assert profit.total is not None and len(profit.days) == 1


def test_what_was_traded_before_the_first_mark_with_a_worth_is_told_apart() -> None:
    """Two coins 10 dollars above the mid and a fee of 12; the call is quoted only an hour later."""
    held = Book.of([], CASH).apply(
        Fill(CALL, Side.BUY, Decimal(1), Decimal("0.05"), Decimal(0), "BTC", "", "t0", NOW_NS - 1)
    )
    profit = Profit()
    profit.marked(seen(held, S, NOW_NS, call=False))
    fill = bought("2", S + 10, NOW_NS + 1, fee="12")
    profit.traded(Trade(fill, S, {"BTC": S}))
    profit.executed(seen(held, S, NOW_NS, call=False), held.apply(fill))
    assert document(profit)["before_first_mark"] is None
    profit.marked(seen(held.apply(fill), S, NOW_NS + HOUR_NS))
    told = document(profit)["before_first_mark"]
    assert told == {"fills": 1, "fees_usd": pytest.approx(-12.0), "slippage_usd": pytest.approx(-20.0)}
    assert profit.total is None and profit.passed_over == 1


def test_marks_a_moment_apart_are_passed_over_once() -> None:
    held = Book.of([], CASH).apply(
        Fill(CALL, Side.BUY, Decimal(1), Decimal("0.05"), Decimal(0), "BTC", "", "t0", NOW_NS - 1)
    )
    profit = Profit()
    for seconds in (0.0, 0.05, 60.0, 60.05):
        profit.marked(seen(held, S, NOW_NS + round(seconds * 1e9), call=False))
    assert profit.passed_over == 2


def test_the_arrival_of_an_order_holds_for_all_of_its_fills() -> None:
    arrivals = Arrivals()
    arrivals.decided("a", 5.0)
    assert [arrivals.of("a", 9.0), arrivals.of("a", 9.0), arrivals.of("b", 9.0)] == [5.0, 5.0, 9.0]
    arrivals.decided("n", math.nan)
    assert math.isnan(arrivals.of("n", 9.0))
    for n in range(ARRIVALS_MAX):
        arrivals.decided(f"o{n}", 1.0)
    assert arrivals.of("a", 9.0) == 9.0 and arrivals.of(f"o{ARRIVALS_MAX - 1}", 9.0) == 1.0
