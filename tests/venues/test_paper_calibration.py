"""Paper fills against recorded trades: figures by hand; a venue is told of its own trades alone."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest

from pricing.contracts import Side
from risk.book import Book, Position
from tests.venues.paper_desk import (
    BUY,
    EIGHT,
    IOC,
    PERP,
    PUT,
    SECOND,
    SELL,
    START,
    UNIVERSE,
    D,
    marks,
    opened,
    order,
    send,
)
from venues.paper_calibration import Calibration
from venues.paper_feed import MarketTrade
from venues.paper_log import Happened
from venues.paper_report import closing_report

X = "BTC-PERPETUAL"


def trade(side: Side, price: str, size: str, seconds: float) -> MarketTrade:
    return MarketTrade(X, side, Decimal(price), Decimal(size), START + round(seconds * SECOND))


def test_a_taker_is_held_against_those_who_took_beside_him() -> None:
    """Bought at 100.00; others paid 100.10 (1) and 100.30 (3) within the second: 25 bps better than them."""
    found = Calibration()
    found.fill(START, X, Side.BUY, 100.0, 2.0, maker=False)
    for other in (
        trade(Side.BUY, "100.10", "1", 0.2),
        trade(Side.SELL, "50", "9", 0.3),  # the other side
        trade(Side.BUY, "100.30", "3", 0.9),
        trade(Side.BUY, "500", "9", 1.5),  # too late
    ):
        found.trade(other, 1.0)
    got = found.result()
    assert (got.taken, got.compared) == (1, 1)
    assert got.taker_bps == pytest.approx(25.0) and got.optimism_bps == pytest.approx(25.0)


def test_a_taker_without_a_trade_beside_him_is_counted_and_not_compared() -> None:
    found = Calibration()
    found.fill(START, X, Side.SELL, 100.0, 2.0, maker=False)
    found.trade(trade(Side.SELL, "99", "1", 5), 100.0)
    got = found.result()
    assert (got.taken, got.compared) == (1, 0)
    assert math.isnan(got.taker_bps) and math.isnan(got.optimism_bps)


def test_makers_are_held_against_those_who_made() -> None:
    """A paper bid at 100 and a recorded one at 99.9 (somebody sold to it); the middle goes 100.5, 101, 99."""
    found = Calibration()
    found.middle(START, X, 100.5)
    found.fill(START, X, Side.BUY, 100.0, 1.0, maker=True)
    found.trade(trade(Side.SELL, "99.9", "1", 0), 100.0)
    found.middle(START + 2 * SECOND, X, 101.0)  # read at 1 s: still 100.5
    found.middle(START + 20 * SECOND, X, 99.0)  # read at 10 s: 101
    found.middle(START + 70 * SECOND, X, 98.0)  # read at 60 s: 99
    got = found.result()
    assert [got.markout_bps[h] for h in (1, 10, 60)] == pytest.approx([50.0, 100.0, -100.0])
    theirs = [(m - 99.9) / 99.9 * 1e4 for m in (100.5, 101.0, 99.0)]
    assert [got.markout_of_others_bps[h] for h in (1, 10, 60)] == pytest.approx(theirs)
    assert got.maker_bps == pytest.approx(100.0 - theirs[1])
    assert (got.made, got.made_by_others) == (1, 1)


def test_nobody_is_waited_for_when_the_last_horizon_is_over() -> None:
    found = Calibration()
    found.trade(trade(Side.BUY, "100", "1", 0), 100.0)
    assert list(found.watched) == [X]
    found.middle(START + 61 * SECOND, X, 100.0)
    assert list(found.watched) == []


def test_the_closing_report_tells_the_optimism_or_that_it_is_unknown() -> None:
    """A taker at 60,010; a second one who really took paid 60,016: the paper was a basis point too good."""
    quiet = opened()
    send(quiet, order(PERP, BUY, "100", "60010", IOC))
    report = closing_report(quiet)
    assert report.document()["calibration"]["optimism_bps"] is None  # type: ignore[index]
    assert "paper optimism = unknown" in report.text()

    exchange = opened()
    send(exchange, order(PERP, BUY, "100", "60010", IOC))
    at = exchange.now_ns
    exchange.trades([MarketTrade(PERP.symbol, BUY, D(60_016), D(10), at + SECOND // 2)])
    exchange.feed(marks(at + 2 * SECOND, 2))
    exchange.advance(at + 3 * SECOND)
    exchange.trades([MarketTrade(PERP.symbol, SELL, D(60_000), D(10), at + 4 * SECOND)])
    exchange.advance(at + 4 * SECOND)
    told = closing_report(exchange)
    assert told.calibrated.optimism_bps == pytest.approx(6 / 60_010 * 1e4)
    assert "paper optimism = +1.00 bps" in " ".join(told.text().split())


def test_what_expires_with_a_silent_index_is_settled_at_the_last_one_known() -> None:
    """The feed ends two hours before the expiry: a venue settles on time all the same."""
    book = Book.of([Position(PUT, "", D(2))], {("deribit", "", "USDC"): D(1000)})
    exchange = opened(book=book)
    exchange.advance(EIGHT)
    (fact,) = [f for f in exchange.log.of(Happened.SETTLED) if f.code == "expiry"]
    assert (fact.time_ns, fact.price, fact.amount) == (EIGHT, D(60_000), D(4000))
    assert len(UNIVERSE) == 4 and exchange.core.account.positions() == {}
