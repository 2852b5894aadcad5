"""What the recorded messages say, written down by hand beside what is read from them."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import pytest

from pricing.contracts import Future, Listing, Option, Perpetual, Side, Spot
from pricing.market import ForwardKind
from tests.venues.wire import corpus
from tests.venues.wire.corpus import AT_NS, recorded_file, some_fees
from venues.errors import Malformed
from venues.option_names import okx_option
from venues.orders import OrderState
from venues.wire import binance, bybit, deribit, hyperliquid, okx
from venues.wire.fields import Wire
from venues.wire.rejects import Reason
from venues.wire.units import Instruments, unit_rule, unit_table

D = Decimal
MS = 10**6


def listed(found: Instruments) -> dict[str, Listing]:
    return {x.symbol: x for x in found.listings}


# ------------------------------------------------------------------------------------------------ instruments


def test_deribit_lists_the_options_of_2021_in_coins_and_the_perpetual_in_dollars() -> None:
    answers = list(corpus.cryptofeed_instruments())
    found = [deribit.instruments(answer, AT_NS) for answer in answers]
    assert [len(a) for a in answers] == [len(f.listings) for f in found]
    assert all(not f.refused for f in found)
    option = listed(found[0])["BTC-24SEP21-40000-P"]
    assert (option.lot, option.size, option.unit) == (D("0.1"), D(1), "BTC")
    perpetual = next(f for f in map(listed, found) if "BTC-PERPETUAL" in f)["BTC-PERPETUAL"]
    assert (perpetual.lot, perpetual.size, perpetual.unit) == (D(10), D(1), "USD")


def test_deribit_refuses_an_expiry_that_is_not_the_one_in_the_name() -> None:
    # hand-made at its source: 27 December 2024, 12:00 instead of 08:00
    found = deribit.instruments(recorded_file("deribit", "http_get_instruments.json")["result"], AT_NS)
    assert set(listed(found)) == {"BTC-PERPETUAL"}
    assert set(found.refused) == {"BTC-27DEC24", "BTC-27DEC24-100000-C"}


@pytest.mark.parametrize(
    ("file", "symbol", "size", "contract"),
    [
        ("option", "BTC-USD-241217-92000-C", "0.01", okx_option("BTC-USD-241217-92000-C")),
        ("swap", "BTC-USD-SWAP", "100", Perpetual("BTC", "BTC", True)),
        ("swap", "BTC-USDT-SWAP", "0.01", Perpetual("BTC", "USDT", False)),
        ("swap", "ETH-USDT-SWAP", "0.1", Perpetual("ETH", "USDT", False)),
        ("futures", "BTC-USD-241220", "100", Future("BTC", "BTC", True, 1_734_681_600_000 * MS)),
        ("spot", "BTC-USD", "1", Spot("BTC", "USD")),
    ],
)
def test_okx_contracts_are_ct_val_times_ct_mult(file: str, symbol: str, size: str, contract: Any) -> None:
    answer = recorded_file("okx", f"http_get_instruments_{file}.json")["data"]
    listing = listed(okx.instruments(answer, AT_NS, some_fees))[symbol]
    assert (listing.size, listing.contract) == (D(size), contract)


def test_an_okx_option_whose_contract_counts_something_else_is_refused() -> None:
    answer = recorded_file("okx", "http_get_instruments_option.json")["data"]
    for change in ({"ctMult": ""}, {"ctValCcy": "USD"}, {"ctVal": "0"}, {"settleCcy": "USDT"}):
        found = okx.instruments([answer[0] | change], AT_NS, some_fees)
        assert not found.listings and "BTC-USD-241217-92000-C" in found.refused


def test_fees_that_nobody_knows_are_not_zero() -> None:
    answer = recorded_file("okx", "http_get_instruments_spot.json")["data"]
    found = okx.instruments(answer, AT_NS, corpus.no_fees)
    assert {x.symbol for x in found.listings} == {"BTC-USD", "ETH-USD"}  # by the venue table
    assert {"SOL-USD", "XRP-USD"} <= found.refused.keys()
    assert all("FEES_UNKNOWN" in why for why in found.refused.values())


@pytest.mark.parametrize(
    ("category", "file", "symbol", "lot", "minimum", "unit"),
    [
        ("option", "option", "ETH-26JUN26-16000-P", "1", "1", "ETH"),
        ("linear", "linear", "BTCUSDT", "0.001", "0.001", "BTC"),
        ("inverse", "inverse", "BTCUSD", "1", "1", "USD"),
        ("spot", "spot", "BTC/USDT", "0.0001", "0.001", "BTC"),
    ],
)
def test_bybit_counts_coins_and_inverse_dollars(
    category: str, file: str, symbol: str, lot: str, minimum: str, unit: str
) -> None:
    answer = recorded_file("bybit", f"http_get_instruments_{file}.json")["result"]["list"]
    listing = listed(bybit.instruments(category, answer, AT_NS, some_fees))[symbol]
    assert (listing.lot, listing.minimum, listing.size, listing.unit) == (D(lot), D(minimum), D(1), unit)


def test_binance_counts_coins_of_its_options_only_where_a_unit_is_one() -> None:
    option = {
        "symbol": "BTC-260327-60000-C", "side": "CALL", "strikePrice": "60000", "underlying": "BTCUSDT",
        "quoteAsset": "USDT", "expiryDate": 1774598400000, "unit": 1,
        "filters": [
            {"filterType": "PRICE_FILTER", "tickSize": "5"},
            {"filterType": "LOT_SIZE", "stepSize": "0.01", "minQty": "0.01"},
        ],
    }  # fmt: skip
    good = binance.instruments("binance", [option], AT_NS, some_fees)
    assert [(x.lot, x.size, x.unit) for x in good.listings] == [(D("0.01"), D(1), "BTC")]
    assert not binance.instruments("binance", [option | {"unit": 100}], AT_NS, some_fees).listings


def test_hyperliquid_prices_have_five_figures_and_sizes_their_own_places() -> None:
    answer = recorded_file("hyperliquid", "http_meta_perp_sample.json")
    btc = listed(hyperliquid.instruments(answer, AT_NS, some_fees))["BTC"]
    assert btc.lot == D("0.00001")
    for price, down in (("9999.87", "9999.8"), ("104320.7", "104320"), ("12345.6", "12345")):
        assert btc.quantize_price(D(price), Side.BUY) == D(down)


def test_every_rule_of_the_unit_table_names_its_source_and_a_product_without_one_is_refused() -> None:
    assert all(rule.source for rule in unit_table().values())
    with pytest.raises(Exception, match="UNITS_UNKNOWN"):
        unit_rule("okx", Option("BTC", "USDT", False, AT_NS, 1.0, okx_option("BTC-USD-241217-1-C").right))
    with pytest.raises(Exception, match="UNITS_UNKNOWN"):
        unit_rule("hyperliquid", Spot("BTC", "USDC"))


# ------------------------------------------------------------------------------------------------ market data


def test_deribit_tickers() -> None:
    data = recorded_file("deribit", "ws_ticker.json")["params"]["data"]
    quote = deribit.ticker(data)
    assert (quote.symbol, quote.venue_ns) == ("BTC-PERPETUAL", 1_765_541_474_086 * MS)
    assert (quote.bid, quote.bid_size, quote.ask, quote.ask_size) == (92283.5, 117660.0, 92284.0, 186520.0)
    assert (quote.mark, quote.index_price, quote.funding_rate) == (92281.78, 92263.55, 0.00001742)
    assert math.isnan(quote.mark_iv) and math.isnan(quote.forward)
    assert not deribit.ticker(data | {"state": "closed"}).tradable
    options = [f for f in corpus.cryptofeed_frames() if "params" in f and "ticker" in f["params"]["channel"]]
    assert len(options) == 89
    for frame in options:
        found, raw = deribit.ticker(frame["params"]["data"]), frame["params"]["data"]
        assert found.mark_iv == raw["mark_iv"] / 100 and found.forward == raw["underlying_price"]
        assert math.isnan(found.bid) == (raw["best_bid_price"] == 0)
        assert found.forward_kind in (ForwardKind.LISTED_FUTURE, ForwardKind.SYNTHETIC)


def test_deribit_books_as_recorded_follow_each_other_and_a_grouped_one_is_refused() -> None:
    last: dict[str, int] = {}
    books = [f["params"]["data"] for f in corpus.cryptofeed_frames() if "params" in f]
    books = [b for b in books if "change_id" in b]
    for data in books:
        change = deribit.book(data)
        assert change.snapshot or change.previous_id == last[change.symbol]
        last[change.symbol] = change.change_id
    assert len(books) == 46
    delta = deribit.book(recorded_file("deribit", "ws_book_delta.json")["params"]["data"])
    assert delta.bids == [(42500.0, 950.0), (42498.5, 300.0)]
    assert delta.asks == [(42501.0, 0.0), (42501.5, 700.0)]
    with pytest.raises(Malformed):
        deribit.book(recorded_file("deribit", "ws_book_grouped_snapshot.json")["params"]["data"])


def test_okx_quotes_tell_their_part_and_no_more() -> None:
    summary = recorded_file("okx", "ws_opt_summary.json")
    frame = okx.read({"arg": {"channel": "opt-summary"}, "data": summary}, {})
    assert [(q.mark_iv, q.forward) for q in frame.quotes] == [(0.53, 92150.5), (0.52, 92150.5)]
    assert frame.quotes[0].told == frozenset({"mark_iv", "forward", "forward_kind"})
    (best,) = okx.read(recorded_file("okx", "ws_bbo_tbt.json"), {}).quotes
    assert (best.bid, best.bid_size, best.ask, best.ask_size) == (8476.97, 256.0, 8476.98, 415.0)
    (funding,) = okx.read(recorded_file("okx", "ws_funding_rate.json"), {}).quotes
    assert funding.funding_rate == pytest.approx(0.0001)


def test_a_funding_rate_of_four_hours_is_told_for_eight() -> None:
    message = recorded_file("okx", "ws_funding_rate.json")
    message["data"][0]["nextFundingTime"] = str(1744590349506 + 4 * 3600 * 1000)
    assert okx.read(message, {}).quotes[0].funding_rate == pytest.approx(0.0002)
    ticker = recorded_file("bybit", "ws_ticker_linear.json")
    ticker["data"]["fundingIntervalHour"] = "4"
    assert bybit.read(ticker, "linear", {}).quotes[0].funding_rate == pytest.approx(-0.000424)


def test_bybit_option_tickers_have_no_bid_where_it_is_zero() -> None:
    (quote,) = bybit.read(recorded_file("bybit", "ws_ticker_option.json"), "option", {}).quotes
    assert math.isnan(quote.bid) and (quote.ask, quote.ask_size) == (10.0, 5.1)
    assert (quote.mark_iv, quote.forward, quote.index_price) == (0.4896, 16815.1, 16823.73)


def test_binance_and_hyperliquid_quotes() -> None:
    message = recorded_file("binance", "futures/market_data_json/mark_price_stream.json")
    (mark,) = binance.read(message, "binanceusdm", {}).quotes
    assert (mark.mark, mark.index_price, mark.funding_rate) == (11794.15, 11784.62659091, 0.00038167)
    book = hyperliquid.book(recorded_file("hyperliquid", "ws_book_data.json"))
    assert book.snapshot and book.bids[0] == (98450.5, 2.5) and book.asks[-1] == (98454.0, 2.8)


# ---------------------------------------------------------------------------------------- orders, executions


def test_deribit_orders() -> None:
    answer = recorded_file("deribit", "ws_order_buy_response.json")["result"]
    update = deribit.order_update(answer["order"])
    assert update.client_id == "O-19700101-000000-001-001-1" and update.venue_order_id == "USDC-104819327443"
    assert (update.state, update.filled) == (OrderState.OPEN, D(0))
    report = deribit.order_report(answer["order"])
    assert (report.side, report.quantity, report.price) == (Side.BUY, D("0.001"), D("2973.55"))
    gone = deribit.order_update(recorded_file("deribit", "ws_order_cancel_response.json")["result"])
    assert (gone.state, gone.code) == (OrderState.CANCELLED, "user_request")
    trigger = recorded_file("deribit", "ws_order_stop_market_no_filled_amount.json")["result"]
    order = trigger.get("order", trigger)
    assert deribit.order_report(order).filled == 0
    strange = deribit.order_update(answer["order"] | {"order_state": "quantum"})
    assert (strange.state, strange.code) == (OrderState.UNKNOWN, "unlisted:quantum")


def test_deribit_balances_leave_out_the_value_of_options() -> None:
    answer = recorded_file("deribit", "http_get_account_summaries.json")["result"]
    assert deribit.balances(answer["summaries"]) == {"BTC": D("302.62729214"), "ETH": D(100)}


def test_deribit_positions_carry_one_sign() -> None:
    row = {"instrument_name": "BTC-PERPETUAL", "size": -100.0, "direction": "sell"}
    assert deribit.positions([row, row | {"instrument_name": "X", "size": 0.0, "direction": "zero"}]) == {
        "BTC-PERPETUAL": D(-100)
    }
    with pytest.raises(Malformed):
        deribit.positions([row | {"size": 100.0}])


def test_okx_orders_and_their_executions() -> None:
    swaps = recorded_file("okx", "http_get_instruments_swap.json")["data"]
    listings = listed(okx.instruments(swaps, AT_NS, some_fees))
    frame = okx.read(recorded_file("okx", "ws_orders.json"), listings)
    (update,), (trade,) = frame.orders, frame.trades
    assert (update.state, update.filled) == (OrderState.FILLED, D("0.03"))
    assert (trade.fill.quantity, trade.fill.price) == (D("0.03"), D("103698.9"))
    assert (trade.fill.fee, trade.fill.fee_currency, trade.maker) == (D("0.021776769"), "USDT", True)
    later = recorded_file("okx", "ws_orders.json")
    later["data"][0] |= {"accFillSz": "0.05", "sz": "0.05"}  # the second of two: its fee is not told
    assert okx.read(later, listings).trades == []
    later["data"][0]["fillFee"], later["data"][0]["fillFeeCcy"] = "-0.01", "USDT"
    assert okx.read(later, listings).trades[0].fill.fee == D("0.01")


def test_an_okx_post_only_order_that_would_have_taken_was_rejected() -> None:
    message = recorded_file("okx", "ws_orders.json")
    message["data"][0] |= {"state": "canceled", "cancelSource": "31", "accFillSz": "0", "fillSz": "0"}
    (update,) = okx.read(message, {}).orders
    assert (update.state, update.code) == (OrderState.REJECTED, Reason.POST_ONLY)


def test_bybit_orders_and_executions() -> None:
    linear = recorded_file("bybit", "http_get_instruments_linear.json")["result"]["list"]
    listings = listed(bybit.instruments("linear", linear, AT_NS, some_fees))
    (trade,) = bybit.read(recorded_file("bybit", "ws_account_execution.json"), "", listings).trades
    assert (trade.client_id, trade.fill.side) == ("test-order-link-001", Side.SELL)
    assert (trade.fill.quantity, trade.fill.fee) == (D("0.5"), D("26.3725275"))
    partly = recorded_file("bybit", "ws_account_order_partially_filled_rejected.json")
    (update,) = bybit.read(partly, "", {}).orders
    assert (update.state, update.filled) == (OrderState.CANCELLED, D(50))  # "Rejected", with 50 filled
    funding = recorded_file("bybit", "ws_account_execution.json")
    funding["data"][0]["execType"] = "Funding"
    assert bybit.read(funding, "", listings).trades == []


def test_bybit_positions_are_signed_by_their_side() -> None:
    answer = recorded_file("bybit", "http_get_positions.json")["result"]["list"]
    assert bybit.positions(answer) == {"BTCUSDT": D("0.5"), "ETHUSDT": D("-5.0")}


def test_binance_orders_and_executions() -> None:
    symbols = [
        {
            "symbol": "BTCUSDT", "status": "TRADING", "contractType": "PERPETUAL", "baseAsset": "BTC",
            "quoteAsset": "USDT", "marginAsset": "USDT",
            "filters": [
                {"filterType": "PRICE_FILTER", "tickSize": "0.1"},
                {"filterType": "LOT_SIZE", "stepSize": "0.001", "minQty": "0.001"},
            ],
        }
    ]  # fmt: skip
    listings = listed(binance.instruments("binanceusdm", symbols, AT_NS, some_fees))
    message = recorded_file("binance", "futures/user_data_json/order_update_trade.json")
    frame = binance.read(message, "binanceusdm", listings)
    (update,), (trade,) = frame.orders, frame.trades
    assert (update.client_id, update.state, update.filled) == ("TEST", OrderState.OPEN, D("0.001"))
    assert (trade.fill.price, trade.fill.fee, trade.maker) == (D("7100.50"), D("0.01"), True)
    liquidated = recorded_file("binance", "futures/user_data_json/order_update_calculated.json")
    assert len(binance.read(liquidated, "binanceusdm", listings).trades) == 1
    hedged = recorded_file("binance", "futures/http_json/position_risk.json")
    assert binance.positions(hedged) == {"BTCUSDT": D("0.001")}


def test_hyperliquid_executions() -> None:
    meta = recorded_file("hyperliquid", "http_meta_perp_sample.json")
    listings = listed(hyperliquid.instruments(meta, AT_NS, some_fees))
    message = recorded_file("hyperliquid", "ws_user_fill_liquidation.json")
    (trade,) = hyperliquid.read(message, listings).trades
    assert (trade.fill.side, trade.fill.quantity, trade.fill.fee) == (Side.SELL, D("0.001"), D("0.009997"))
    assert trade.maker and trade.client_id == "0xe8d5fd7ebbb4c3cff4d1803472a11463"


@pytest.mark.parametrize("venue", ["okx", "bybit", "binance", "hyperliquid"])
def test_errors_are_told_by_the_order_they_belong_to(venue: str) -> None:
    answers: dict[str, tuple[Any, tuple[str, str]]] = {
        "okx": (
            {"code": "1", "msg": "", "data": [{"sCode": "51008", "sMsg": "Insufficient balance"}]},
            ("51008", "Insufficient balance"),
        ),
        "bybit": ({"retCode": 110007, "retMsg": "ab not enough"}, ("110007", "ab not enough")),
        "binance": ({"code": -2019, "msg": "Margin is insufficient."}, ("-2019", "Margin is insufficient.")),
        "hyperliquid": (
            {
                "status": "ok",
                "response": {"type": "order", "data": {"statuses": [{"error": "Insufficient margin"}]}},
            },
            ("", "Insufficient margin"),
        ),
    }
    answer, expected = answers[venue]
    assert corpus.READERS[venue]["error_of"](answer) == expected


def test_numbers_are_exact_or_refused() -> None:
    for text, value in (
        ("0.1", "0.1"),
        ("1e-7", "1E-7"),
        ("-3", "-3"),
        ("1000000.0000000000000000", "1000000"),
    ):
        assert Wire({"x": text}, "t").decimal("x") == D(value)
    for strange in ("NaN", "inf", "1e400", "1_0", "", None, True, "0x1", "9" * 60, 10**400, float("nan")):
        with pytest.raises(Malformed):
            Wire({"x": strange}, "t").decimal("x")


@pytest.mark.parametrize(
    ("double", "exact"),
    [(0.0009995195350944155, "0.000999519535094416"), (-1.5e-18, "-2E-18"), (12.25, "12.25"), (0.0, "0")],
)
def test_a_double_is_exact_to_the_18th_place(double: float, exact: str) -> None:
    assert Wire({"equity": double}, "test").decimal("equity") == Decimal(exact)


@pytest.mark.parametrize("double", [1e-19, math.inf, math.nan, 1e18])
def test_a_double_that_no_amount_can_be_is_refused(double: float) -> None:
    with pytest.raises(Malformed, match="equity"):
        Wire({"equity": double}, "test").decimal("equity")
