"""A book valued in a market: rows, bands, what is missing, and what it is all worth."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from hedger.problem.snapshot import equity_usd, take_snapshot
from hedger.settings import Settings
from pricing.contracts import Side
from pricing.errors import InputError
from pricing.market import ForwardKind, Market
from risk.book import Book, CashKey, Fill, Position
from tests.builders import NAN, Quote, listing, market_of, option, perpetual, plain_black

YEARS = 30 / 365
CALL = Quote(
    listing(option(52_000.0, "C", 30)),
    0.03,
    0.04,
    0.035,
    0.6,
    51_000.0,
    50_000.0,
    forward_kind=ForwardKind.SYNTHETIC,
)
LINEAR = Quote(
    listing(option(52_000.0, "P", 30, inverse=False)),
    3000.0,
    3200.0,
    3100.0,
    0.6,
    51_000.0,
    50_000.0,
    forward_kind=ForwardKind.SYNTHETIC,
)
PERP = Quote(listing(perpetual(), lot="10"), 50_099.5, 50_100.5, 50_100.0, index=50_000.0)
ETH = Quote(listing(perpetual("ETH"), lot="1"), 1_999.5, 2_000.5, 2_000.0, index=2_000.0)


def book_of(*positions: tuple[Quote, object], **cash: object) -> Book:
    held = [Position(quote.listing, "", Decimal(str(quantity))) for quote, quantity in positions]
    balances: dict[CashKey, Decimal] = {("deribit", "", name): Decimal(str(x)) for name, x in cash.items()}
    return Book.of(held, balances)


def market(*changed: Quote, **more: Any) -> Market:
    quotes = {quote.listing.key: quote for quote in (CALL, LINEAR, PERP, ETH, *changed)}
    return market_of(list(quotes.values()), **more)


def test_underlyings_are_those_the_book_holds() -> None:
    assert take_snapshot(book_of((CALL, 1)), market(), Settings()).underlyings == ("BTC",)
    assert take_snapshot(book_of(ETH=0), market(), Settings()).underlyings == ("ETH",)
    assert take_snapshot(book_of((PERP, 10), ETH=1), market(), Settings()).underlyings == ("BTC", "ETH")
    assert take_snapshot(book_of(USDC=1), market(), Settings()).underlyings == ()


def test_the_coin_that_stable_balances_are_counted_against() -> None:
    """It has rows even where the book holds nothing else of it; one that is not on the market is refused."""
    coin = {"numeraire": "coin", "stable_underlying": "ETH"}
    settings = Settings.model_validate(coin)
    snapshot = take_snapshot(book_of((PERP, 10), USDC=4_000), market(), settings)
    assert snapshot.underlyings == ("BTC", "ETH")
    assert snapshot.exposure.row("delta:ETH") == -2.0
    assert take_snapshot(book_of((PERP, 10)), market(), settings).underlyings == ("BTC",)
    with pytest.raises(InputError) as caught:
        take_snapshot(book_of(USDC=1), market(), Settings.model_validate(coin | {"stable_underlying": "SOL"}))
    assert caught.value.code == "CONFIG_INVALID" and "stable_underlying" in caught.value.where
    usd = Settings.model_validate({"stable_underlying": "SOL"})
    assert take_snapshot(book_of(USDC=1), market(), usd).underlyings == ()


def test_bands_scale_with_the_index() -> None:
    snapshot = take_snapshot(book_of((PERP, 10), ETH=1), market(), Settings())
    rows = snapshot.exposure.rows
    upper = dict(zip(rows, snapshot.bands.trigger_upper.tolist(), strict=True))
    assert upper["delta:BTC"] == pytest.approx(100_000 / 50_000)
    assert upper["delta:ETH"] == pytest.approx(100_000 / 2_000)
    assert upper["gamma:BTC"] == pytest.approx(100_000 * 100 / 50_000**2)
    assert upper["vega:BTC"] == pytest.approx(500_000)
    assert upper["vega:BTC:7-30d"] == pytest.approx(1_000_000)
    assert upper["theta:BTC"] == math.inf
    coin = take_snapshot(book_of((PERP, 10)), market(), Settings.model_validate({"numeraire": "coin"}))
    upper = dict(zip(coin.exposure.rows, coin.bands.trigger_upper.tolist(), strict=True))
    assert upper["gamma:BTC"] == pytest.approx(100_000 * 100 / 50_000)
    assert upper["vega:BTC"] == pytest.approx(500_000 / 50_000)


def test_a_band_for_a_trial_replaces_one_row() -> None:
    trial = {"delta:BTC": ((-math.inf, 3.0), (-math.inf, 1.0))}
    plain = take_snapshot(book_of((PERP, 10)), market(), Settings())
    changed = take_snapshot(book_of((PERP, 10)), market(), Settings(), trial)
    assert (changed.bands.trigger_lower[0], changed.bands.trigger_upper[0]) == (-math.inf, 3.0)
    assert (changed.bands.landing_lower[0], changed.bands.landing_upper[0]) == (-math.inf, 1.0)
    assert changed.bands.trigger_upper[1:].tolist() == plain.bands.trigger_upper[1:].tolist()
    for row, trigger, landing, code in (
        ("delta:ETH", (-1.0, 1.0), (0.0, 0.5), "BAND_ROW"),
        ("delta:BTC", (-1.0, 1.0), (-2.0, 0.5), "BAND_INVALID"),
        ("delta:BTC", (-1.0, 1.0), (-1.0, 0.5), "BAND_INVALID"),
    ):
        with pytest.raises(InputError) as caught:
            take_snapshot(book_of((PERP, 10)), market(), Settings(), {row: (trigger, landing)})
        assert caught.value.code == code


@pytest.mark.parametrize(
    ("quote", "reason", "age_s"),
    [
        (replace(CALL, age_s=601.0), "stale", 601.0),
        (replace(CALL, age_s=None), "not_quoted", NAN),
        (replace(CALL, mark_iv=NAN, mark=NAN, bid=NAN, ask=NAN), "no_vol", 0.0),
        (replace(CALL, forward=NAN, forward_kind=ForwardKind.NONE), "no_forward", 0.0),
    ],
    ids=lambda value: str(value) if isinstance(value, str) else "",
)
def test_what_cannot_be_valued_is_listed_and_never_zero(quote: Quote, reason: str, age_s: float) -> None:
    # The other option of the expiry could tell its forward: it is left out of this market.
    snapshot = take_snapshot(book_of((CALL, 2), (PERP, 10)), market_of([quote, PERP, ETH]), Settings())
    (missing,) = snapshot.missing
    assert (missing.venue, missing.symbol, missing.reason) == (*CALL.listing.key, reason)
    assert missing.age_s == pytest.approx(age_s, nan_ok=True)
    assert math.isnan(equity_usd(snapshot))
    assert snapshot.exposure.row("delta:BTC") == pytest.approx(10 / 50_100)


def test_a_mark_vol_is_not_needed_where_a_price_tells_it() -> None:
    price = plain_black(51_000.0, 52_000.0, YEARS, 0.6, 1) / 51_000.0
    for quote in (
        replace(CALL, mark_iv=NAN, mark=price),
        replace(CALL, mark_iv=NAN, mark=NAN, bid=price * 0.9, ask=price * 1.1),
        replace(CALL, mark_iv=9.0, mark=price),
    ):
        snapshot = take_snapshot(book_of((CALL, 1)), market(quote), Settings())
        assert snapshot.missing == ()
        assert snapshot.valuation.vol[0] == pytest.approx(0.6, rel=1e-9)


def test_a_coin_without_an_index_is_missing() -> None:
    blind = [replace(quote, index=NAN) for quote in (CALL, LINEAR, PERP)]
    snapshot = take_snapshot(book_of((PERP, 10), BTC=3, USDC=1), market(*blind), Settings())
    assert {(m.symbol, m.reason) for m in snapshot.missing} == {
        (PERP.listing.symbol, "no_index"), ("BTC", "no_index"),
    }  # fmt: skip
    assert not snapshot.bands.banded.any()
    assert math.isnan(equity_usd(snapshot))


def test_equity_is_cash_at_the_index_and_options_at_their_value() -> None:
    book = book_of((CALL, "-2"), (LINEAR, 3), (PERP, 5_010), BTC=1, ETH="-0.5", USDC=250)
    inverse = plain_black(51_000.0, 52_000.0, YEARS, 0.6, 1) / 51_000.0 * 50_000.0
    linear = plain_black(51_000.0, 52_000.0, YEARS, 0.6, -1)
    cash = 50_000.0 - 0.5 * 2_000.0 + 250.0
    snapshot = take_snapshot(book, market(), Settings())
    assert equity_usd(snapshot) == pytest.approx(cash - 2 * inverse + 3 * linear, rel=1e-12)
    # the perpetual's gain since its entry, in coin: 5010 (1/49000 - 1/50100)
    entered = book.opened_at({PERP.listing.key: 49_000.0})
    marked = take_snapshot(entered, market(), Settings(), marked=True)
    gain = 5_010 * (1 / 49_000 - 1 / 50_100)
    assert equity_usd(marked) - equity_usd(snapshot) == pytest.approx(gain * 50_000, rel=1e-9)
    assert marked.exposure.row("delta:BTC") - snapshot.exposure.row("delta:BTC") == pytest.approx(gain)


def test_a_trade_at_the_reference_price_moves_the_rows_by_its_effect() -> None:
    """The premium leaves the coins: what the plan's columns say is what the ledger does."""
    for numeraire in ("USD", "coin"):
        settings = Settings.model_validate({"numeraire": numeraire})
        before = take_snapshot(book_of((CALL, 1), (PERP, 10), BTC=2), market(), settings)
        fill = Fill(CALL.listing, Side.BUY, Decimal(5), Decimal("0.035"), Decimal(0), "BTC")
        after = take_snapshot(before.book.apply(fill), market(), settings)
        moved = after.exposure.value - before.exposure.value
        assert moved == pytest.approx(5 * before.exposure.traded[:, 0], rel=1e-9, abs=1e-9)
        assert np.isfinite(moved).all()


def test_a_stale_perpetual_is_missing_and_its_last_quote_marks_its_gain() -> None:
    book = book_of((PERP, 5_010)).opened_at({PERP.listing.key: 49_000.0})
    stale = take_snapshot(book, market(replace(PERP, age_s=700.0)), Settings(), marked=True)
    assert [(m.symbol, m.reason) for m in stale.missing] == [(PERP.listing.symbol, "stale")]
    assert stale.balances["BTC"] == pytest.approx(5_010 * (1 / 49_000 - 1 / 50_100))
    never = take_snapshot(book, market(replace(PERP, age_s=None)), Settings(), marked=True)
    assert [(m.symbol, m.reason) for m in never.missing] == [(PERP.listing.symbol, "not_quoted")]
    assert "BTC" not in never.balances  # what nobody quotes gains nothing that could be known
