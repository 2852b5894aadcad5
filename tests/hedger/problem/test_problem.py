"""What may be traded, the optimizer's problem, and its answer as legs a venue takes."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from hedger.problem.assembly import build_problem, hedge_universe, named_but_unlisted, part_of, trades_of
from hedger.problem.snapshot import Snapshot, take_snapshot
from hedger.settings import Settings
from pricing.contracts import Contract, Side
from pricing.errors import InputError
from pricing.market import ForwardKind
from risk.book import Book, Position
from risk.costs import CostModel, cost_model
from tests.builders import Quote, future, listing, market_of, option, perpetual, spot

TICKS = "0:0.0001;0.005:0.0005"


def quote(contract: Contract, bid: float, ask: float, mark: float, **more: Any) -> Quote:
    terms = {name: more.pop(name) for name in ("lot", "minimum", "ticks") if name in more}
    known = {"index": 50_000.0, "funding_rate": 0.0, "mark_iv": 0.5, "forward": 50_000.0}
    return Quote(
        listing(contract, taker="0.0003", **terms),
        bid,
        ask,
        mark,
        **(known | {"forward_kind": ForwardKind.SYNTHETIC} | more),
    )


CALL = quote(option(50_000.0, "C", 30), 0.055, 0.0565, 0.0561, ticks=TICKS, bid_size=3.0, ask_size=2.05)
PERP = quote(perpetual(), 49_999.5, 50_000.5, 50_000.0, lot="10", ticks="0:0.5", bid_size=1e6, ask_size=1e6)


def snapshot_of(*quotes: Quote, coins: object = 10, settings: Settings | None = None) -> Snapshot:
    """A book of coins alone in a market of these quotes."""
    book = Book.of([], {("deribit", "", "BTC"): Decimal(str(coins))})
    return take_snapshot(book, market_of(quotes), settings or Settings())


def priced(snapshot: Snapshot) -> CostModel:
    return cost_model(
        snapshot.market,
        snapshot.valuation,
        np.arange(len(snapshot.market.universe)),
        Settings().cost_settings(),
    )


REFUSED: dict[str, dict[str, Any]] = {
    "not_quoted": {"age_s": None},
    "stale": {"age_s": 600.001},
    "no_bid": {"bid": 0.0},
    "no_ask": {"ask": float("nan")},
    "no_size": {"ask_size": 0.0},
    "crossed": {"bid": 0.0565},
    "mark_outside": {"mark": 0.06},
    "absurd_vol": {"mark_iv": 5.01},
}


@pytest.mark.parametrize("reason", REFUSED)
def test_a_quote_that_is_not_sound_is_refused_by_its_reason(reason: str) -> None:
    bad = replace(CALL, **REFUSED[reason])
    tradable, refused = hedge_universe(snapshot_of(bad, PERP), Settings())
    assert tradable.tolist() == [1]
    assert refused == {reason: 1}


def test_options_about_to_expire_and_what_is_denied_are_refused() -> None:
    short, held = (quote(option(50_000.0, "P", days), 0.03, 0.031, 0.0305) for days in (1.99, 2.01))
    market = snapshot_of(
        CALL,
        short,
        held,
        PERP,
        quote(spot(), 49_990, 50_010, 50_000),
        quote(future(30), 50_990, 51_010, 51_000),
    )
    settings = Settings.model_validate(
        {
            "universe": {
                "deny_buy": {"kinds": ["spot"], "symbols": [CALL.listing.symbol]},
                "deny_sell": {"kinds": ["spot", "perpetual"]},
            }
        }
    )
    tradable, refused = hedge_universe(market, settings)
    assert tradable.tolist() == [0, 2, 3, 5]
    assert refused == {"expiring": 1, "denied": 1}
    costs = priced(market)
    lower, upper = market.bands.required(market.exposure.value)
    problem = build_problem(market, settings, costs, tradable, lower, upper)
    assert problem.max_buy.tolist() == [0.0, np.inf, np.inf, np.inf]
    assert problem.max_sell.tolist() == [np.inf, np.inf, 0.0, np.inf]


def test_other_coins_are_not_in_it() -> None:
    other = quote(perpetual("ETH"), 1_999, 2_001, 2_000, index=2_000.0)
    tradable, refused = hedge_universe(snapshot_of(PERP, other), Settings())
    assert (tradable.tolist(), refused) == ([0], {})


def test_only_banded_rows_are_in_the_problem() -> None:
    market = snapshot_of(CALL, PERP)
    lower, upper = market.bands.required(market.exposure.value)
    problem = build_problem(market, Settings(), priced(market), np.arange(2), lower, upper)
    assert problem.rows == (
        "delta:BTC",
        "gamma:BTC",
        "vega:BTC",
        *(r for r in market.exposure.rows if r.count(":") == 2),
    )
    assert problem.priority is not None
    # delta, gamma, vega, its tenors: twice the priority of the name, which leaves room for long gamma
    assert problem.priority.tolist() == [0, 2, 4, *[6] * 5]
    assert problem.exposure[0] == 10
    assert (problem.lower[0], problem.upper[0]) == (-1.0, 1.0)  # breached: 50,000 USD at an index of 50,000
    part = part_of(problem, np.array([1]), np.array([0, 2]))
    assert (part.rows, part.columns) == (("delta:BTC", "vega:BTC"), (PERP.listing.symbol,))
    assert part.per_unit.tolist() == problem.per_unit[np.ix_([0, 2], [1])].tolist()


def test_a_landing_within_a_lot_of_its_trigger_is_refused() -> None:
    market = snapshot_of(PERP)
    narrow = {"delta:BTC": ((-1.0, 1.0), (-0.99999, 0.99999))}
    book = market.book
    tight = take_snapshot(book, market.market, Settings(), narrow)
    lower, upper = tight.bands.required(tight.exposure.value)
    with pytest.raises(InputError) as caught:
        build_problem(tight, Settings(), priced(tight), np.arange(1), lower, upper)
    assert caught.value.code == "BAND_TOO_NARROW"
    assert "delta:BTC" in caught.value.where


def test_legs_are_whole_lots_at_displayed_prices() -> None:
    deep = quote(
        option(50_000.0, "P", 30),
        0.055,
        0.0565,
        0.0561,
        ticks=TICKS,
        bids=[(0.055, 1.0), (0.0545, 2.0)],
        asks=[(0.0565, 1.0), (0.057, 5.0)],
    )
    market = snapshot_of(CALL, deep, PERP)
    quantity = np.array([0.30000000000000004, 2.5, -12_340.000000000002])
    legs = {leg.row: leg for leg in trades_of(quantity, market, priced(market), np.arange(3))}
    call, put, perp = legs[0], legs[1], legs[2]
    assert (call.side, call.quantity, call.limit_price, call.expected_price) == (
        Side.BUY, Decimal("0.3"), Decimal("0.0565"), 0.0565,
    )  # fmt: skip
    assert (put.quantity, put.limit_price) == (Decimal("2.5"), Decimal("0.0570"))
    assert put.expected_price == pytest.approx((1.0 * 0.0565 + 1.5 * 0.057) / 2.5)
    assert (perp.side, perp.quantity, perp.limit_price) == (Side.SELL, Decimal("12340"), Decimal("49999.5"))
    # cost: half a spread to the clamped mark, and the fee, in coin at the index
    assert call.cost.spread == pytest.approx(0.3 * (0.0565 - 0.0561) * 50_000)
    assert call.cost.fee == pytest.approx(0.3 * 0.0003 * 50_000)
    assert put.cost.depth == pytest.approx(1.5 * 0.0005 * 50_000)
    # effect: the coins paid are gone
    unit = market.valuation.usd.delta[0]
    assert call.effect[0] == pytest.approx(0.3 * (unit - 0.0561))
    assert perp.effect[0] == pytest.approx(-12_340 / 50_000)


@pytest.mark.parametrize("price", [0.1 + 0.2, 0.0565, 1 / 3])
def test_the_average_of_one_price_is_that_price(price: float) -> None:
    """0.3 * p / 0.3 may differ from p in the last digit; a limit at p must hold it all the same."""
    market = snapshot_of(
        quote(option(50_000.0, "C", 30), price / 2, price, price * 0.9, ticks="0:1e-20", ask_size=9.7)
    )
    for lots in range(1, 98):
        (leg,) = trades_of(np.array([lots * 0.1]), market, priced(market), np.arange(1))
        assert leg.expected_price == price <= float(leg.limit_price)


def test_a_book_of_positions_counts_them_once() -> None:
    """The problem's exposure is the book's; its columns are the trades' effects, premium included."""
    book = Book.of([Position(CALL.listing, "a", Decimal(3)), Position(CALL.listing, "b", Decimal(-1))], {})
    market = take_snapshot(book, market_of([CALL, PERP]), Settings())
    assert market.quantities.tolist() == [2.0, 0.0]
    assert market.exposure.row("delta:BTC") == pytest.approx(2 * market.valuation.usd.delta[0])
    assert market.exposure.traded[0, 0] == pytest.approx(market.valuation.usd.delta[0] - 0.0561)
    assert market.exposure.traded[0, 1] == pytest.approx(1 / 50_000)


def test_a_mark_that_its_own_vol_denies_is_not_traded_against() -> None:
    """True price 0.056: an ask of 0.5 at a mark of 0.5 would cost nothing by the mark."""
    absurd = replace(CALL, bid=0.05, ask=0.5, mark=0.5)
    near = replace(CALL, bid=0.05, ask=0.09, mark=0.08)
    tradable, refused = hedge_universe(snapshot_of(absurd, PERP), Settings())
    assert tradable.tolist() == [1] and refused == {"mark_off_model": 1}
    assert hedge_universe(snapshot_of(near, PERP), Settings())[0].tolist() == [0, 1]


@pytest.mark.parametrize("symbol", [PERP.listing.symbol.swapcase(), f" {PERP.listing.symbol}", "BTC/USD:BTC"])
def test_a_denied_symbol_written_another_way_is_refused(symbol: str) -> None:
    settings = Settings.model_validate({"universe": {"deny_sell": {"symbols": [symbol]}}})
    with pytest.raises(InputError, match="DENY_SYMBOL"):
        named_but_unlisted(snapshot_of(CALL, PERP), settings)


def test_a_denied_symbol_of_another_market_is_named() -> None:
    settings = Settings.model_validate({"universe": {"deny_buy": {"symbols": ["SOL-PERPETUAL"]}}})
    assert named_but_unlisted(snapshot_of(CALL, PERP), settings) == ("SOL-PERPETUAL",)
