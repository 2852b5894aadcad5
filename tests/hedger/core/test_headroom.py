"""Free margin for the paper venue: balance less initial margin, by hand."""

from __future__ import annotations

from decimal import Decimal

import pytest

from hedger.core.headroom import headroom
from hedger.margin_tables import margin_terms
from risk.book import Book, Position
from risk.margin_terms import MarginModel
from tests.builders import NAN, NOW_NS, Quote, listing, market_of, option, perpetual, plain_black, spot

PERP = listing(perpetual(), "PERP", lot="10", ticks="0:0.5")
CALL = listing(option(60_000.0, "C", 40.0), "CALL")
COIN = listing(spot(), "SPOT")
QUOTES = [
    Quote(PERP, 49_999.5, 50_000.5, mark=50_000.0, index=50_000.0),
    Quote(CALL, 0.01, 0.02, mark_iv=0.6, forward=50_000.0, index=50_000.0),
    Quote(COIN, 49_999.0, 50_001.0, index=50_000.0),
]
MARKET = market_of(QUOTES)
TERMS = margin_terms("deribit", NOW_NS)
MARK = plain_black(50_000.0, 60_000.0, 40 / 365, 0.6, 1) / 50_000.0


def book(perp: int = 0, call: int = 0, btc: str = "1") -> Book:
    positions = [Position(PERP, "", Decimal(perp)), Position(CALL, "", Decimal(call))]
    held = Book.of([p for p in positions if p.quantity], {("deribit", "", "BTC"): Decimal(btc)})
    return held.opened_at({PERP.key: 50_000.0})


def test_a_perpetual_takes_its_initial_margin() -> None:
    left = headroom("deribit", MarginModel.STANDARD, TERMS, 600.0)
    # 500,000 USD are 10 BTC at 2.05 %
    assert left(book(), [(PERP, Decimal(500_000))], MARKET) == pytest.approx(50_000 * (1 - 0.205))
    assert left(book(btc="0.1"), [(PERP, Decimal(-500_000))], MARKET) == pytest.approx(50_000 * (0.1 - 0.205))


def test_an_option_sold_brings_its_premium_and_takes_its_margin() -> None:
    left = headroom("deribit", MarginModel.STANDARD, TERMS, 600.0)
    initial = max(0.15 - 10_000 / 50_000, 0.1) + MARK
    assert left(book(), [(CALL, Decimal(-2))], MARKET) == pytest.approx(50_000 * (1 + 2 * MARK - 2 * initial))
    assert left(book(), [(CALL, Decimal(2))], MARKET) == pytest.approx(50_000 * (1 - 2 * MARK))


def test_under_portfolio_margin_an_option_held_is_worth_what_it_costs() -> None:
    left = headroom("deribit", MarginModel.PORTFOLIO, TERMS, 600.0)
    bought = left(book(call=2), [], MARKET)
    same = left(book(btc=str(1 + 2 * MARK)), [(CALL, Decimal(2))], MARKET)
    assert bought is not None
    assert same is not None
    assert same - bought == pytest.approx(0.0, abs=1e-6)


def test_what_cannot_be_told_is_none() -> None:
    other = listing(perpetual(), "OTHER")
    left = headroom("deribit", MarginModel.STANDARD, TERMS, 600.0)
    assert left(book(), [(other, Decimal(1))], MARKET) is None
    assert headroom("okx", MarginModel.STANDARD, None, 600.0)(book(), [], MARKET) is not None  # nothing held
    assert headroom("deribit", MarginModel.STANDARD, None, 600.0)(book(10), [], MARKET) is None
    blind = market_of([QUOTES[0], Quote(CALL, index=50_000.0, age_s=None), QUOTES[2]])
    assert left(book(), [(CALL, Decimal(-1))], blind) is None
    dark = market_of([Quote(PERP, NAN, NAN), QUOTES[1], QUOTES[2]])
    assert left(book(10), [], dark) is None


def test_spot_changes_one_currency_for_another() -> None:
    left = headroom("deribit", MarginModel.STANDARD, TERMS, 600.0)
    assert left(book(), [(COIN, Decimal(1))], MARKET) == pytest.approx(-50_000.0)  # no dollars to pay with
    assert left(book(), [(COIN, Decimal(-1))], MARKET) == pytest.approx(0.0)
