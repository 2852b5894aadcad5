"""What used to be made up where a field was missing: written by hand, after the venues' documents."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import pytest

from tests.venues.wire import corpus
from venues.errors import Malformed
from venues.wire import bybit, okx
from venues.wire.fields import Wire

AT = "1770000000123"
OKX_ORDER = {
    "instId": "BTC-USDT-SWAP", "ordId": "1", "clOrdId": "", "side": "buy", "sz": "2", "px": "60000",
    "uTime": AT,
}  # fmt: skip
TICKER = {"symbol": "ETHUSDT", "fundingRate": "0.0001"}
WALLET = {"coin": "BTC", "walletBalance": "12", "equity": "2", "unrealisedPnl": "0"}


@pytest.mark.parametrize("state", ["live", "partially_filled", "filled", "canceled"])
def test_okx_says_what_is_filled_or_nothing_of_an_order_that_has_not_begun(state: str) -> None:
    told = {**OKX_ORDER, "state": state}
    for read in (okx.order_update, okx.order_report):
        with pytest.raises(Malformed):
            read(Wire(told, "order"))
        if state == "live":
            assert read(Wire({**told, "accFillSz": ""}, "order")).filled == 0
        else:
            with pytest.raises(Malformed):
                read(Wire({**told, "accFillSz": ""}, "order"))


def test_a_book_message_of_okx_that_does_not_say_what_it_is_is_no_snapshot() -> None:
    levels = {"bids": [["1", "2", "0", "1"]], "asks": [], "ts": AT, "seqId": 2, "prevSeqId": 1}
    message = {"arg": {"channel": "books", "instId": "BTC-USDT"}, "data": [levels]}
    frame = okx.read(message, {})
    assert not frame.books and len(frame.unread) == 1
    assert okx.read({**message, "action": "update"}, {}).books[0].previous_id == 1


def test_a_rate_for_nobody_knows_how_long_is_unknown() -> None:
    """Bybit tells only what changed: hours that were told once hold until others are told."""
    hours: dict[str, float] = {}

    def rate(**more: str) -> float:
        message: dict[str, Any] = {"topic": "tickers.ETHUSDT", "ts": int(AT), "data": {**TICKER, **more}}
        return bybit.read(message, "linear", {}, hours=hours).quotes[0].funding_rate

    assert math.isnan(rate())
    assert rate(fundingIntervalHour="4") == pytest.approx(0.0002)
    assert rate() == pytest.approx(0.0002)
    assert rate(fundingIntervalHour="1") == pytest.approx(0.0008)
    period = {"fundingTime": AT, "fundingRate": "0.0001", "instId": "BTC-USDT-SWAP", "ts": AT}
    assert math.isnan(okx.quote("funding-rate", Wire(period, "funding")).funding_rate)


def test_what_bybit_lends_is_not_ours() -> None:
    """Equity = walletBalance - spotBorrow + open gain + options' value."""

    def held(**more: str) -> dict[str, Decimal]:
        return bybit.balances([{"coin": [{**WALLET, **more}]}], [], {})

    assert held(spotBorrow="10", borrowAmount="10") == {"BTC": Decimal(2)}
    assert held(borrowAmount="0") == held(spotBorrow="0") == {"BTC": Decimal(12)}
    for unknown in ({"borrowAmount": "10"}, {"spotBorrow": "", "borrowAmount": "10"}, {}):
        with pytest.raises(Malformed):
            held(**unknown)


@pytest.mark.parametrize(
    ("venue", "status"),
    [("binance", "status"), ("binanceusdm", "status"), ("binancecoinm", "contractStatus")],
)
def test_an_instrument_of_binance_that_does_not_say_whether_it_trades_is_left_out(
    venue: str, status: str
) -> None:
    coin = venue == "binancecoinm"
    item = {
        "symbol": "BTCUSD_PERP" if coin else "BTCUSDT", "baseAsset": "BTC",
        "quoteAsset": "USD" if coin else "USDT",
        "marginAsset": "BTC" if coin else "USDT", "contractType": "PERPETUAL", "contractSize": 100,
        "filters": [{"filterType": "PRICE_FILTER", "tickSize": "0.1"},
                    {"filterType": "LOT_SIZE", "stepSize": "1", "minQty": "1"}],
    }  # fmt: skip
    read = corpus.readers({}, corpus.some_fees)["binance"][f"instruments {venue}"]
    silent: Any = read([item])
    assert silent.listings == () and list(silent.refused) == [item["symbol"]]
    trading: Any = read([{**item, status: "TRADING"}])
    assert len(trading.listings) == 1
    halted: Any = read([{**item, status: "BREAK"}])
    assert halted.listings == () and not halted.refused
