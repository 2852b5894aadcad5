"""Messages that no recording holds: read as the venues document them; every field missing, strange, or new.

The samples are written here after the documents of the venues: none of them comes from a recording.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from pricing.contracts import Side
from tests.venues.wire import corpus
from tests.venues.wire.test_fuzz import STRANGE
from venues.errors import Untrusted
from venues.wire.quotes import BookChange, PublicTrade, Quote

MS = 10**6
AT = 1_770_000_000_123

TRADE = (Side.SELL, 60_000.5, 0.25)
OKX_TRADE = {
    "instId": "BTC-USDT",
    "tradeId": "7",
    "px": "60000.5",
    "sz": "0.25",
    "side": "sell",
    "ts": str(AT),
}
BYBIT_TRADE = {"T": AT, "s": "BTCUSDT", "S": "Sell", "v": "0.25", "p": "60000.5", "i": "a-b", "BT": False}
AGG_TRADE = {
    "e": "aggTrade", "E": AT, "s": "BTCUSDT", "a": 7, "p": "60000.5", "q": "0.25", "T": AT, "m": True,
}  # fmt: skip
HYPER_TRADE = {"coin": "BTC", "side": "A", "px": "60000.5", "sz": "0.25", "time": AT, "tid": 7}
DERIBIT_TRADE = {
    "instrument_name": "BTC-PERPETUAL", "trade_id": "7", "direction": "sell", "price": 60000.5,
    "amount": 0.25, "timestamp": AT,
}  # fmt: skip
BILL = {"billId": "1", "instType": "FUTURES", "instId": "BTC-USD-260327", "type": "3", "px": "61234.5"}
EXERCISE = {
    "symbol": "BTC-260327-60000-C", "strikePrice": "60000", "realStrikePrice": "61234.5", "expiryDate": AT,
}  # fmt: skip
DELIVERY = {"deliveryTime": 1_774_598_400_000, "deliveryPrice": 61234.5}
TICKER = {"symbol": "BTC-260327-60000-C", "bidPrice": "900.5", "askPrice": "950", "closeTime": AT}
MARK = {"symbol": "BTC-260327-60000-C", "markPrice": "925.1", "markIV": "0.551"}

Read = Callable[[Any], Any]


def reader(venue: str, name: str, *, listed: bool = False) -> Read:
    read = corpus.READERS[venue][name]
    return (lambda x: read([x])) if listed else read


SAMPLES: dict[str, tuple[Read, dict[str, Any]]] = {
    "okx trade": (reader("okx", "public_trade"), OKX_TRADE),
    "bybit trade": (reader("bybit", "public_trade"), BYBIT_TRADE),
    "binance trade": (reader("binance", "public_trade"), AGG_TRADE),
    "hyperliquid trade": (reader("hyperliquid", "public_trade"), HYPER_TRADE),
    "deribit trade": (reader("deribit", "public_trades", listed=True), DERIBIT_TRADE),
    "okx bill": (reader("okx", "bills", listed=True), BILL),
    "binance exercise": (reader("binance", "exercises", listed=True), EXERCISE),
    "binance delivery": (reader("binance", "deliveries", listed=True), DELIVERY),
    "binance option ticker": (reader("binance", "option_ticker"), TICKER),
    "binance option mark": (reader("binance", "option_mark_row"), MARK),
}


def numbers(found: Any) -> list[float]:
    """Whatever was read as a number, stamps and counts left out."""
    if isinstance(found, Quote | PublicTrade | BookChange):
        return [x for x in found if type(x) is float]
    if isinstance(found, dict):
        return [float(x) for x in found.values()]
    return [n for x in found for n in numbers(x)] if isinstance(found, list | tuple) else []


def test_trades_are_by_whoever_took_at_the_venues_price_and_size() -> None:
    for name in ("okx trade", "bybit trade", "binance trade", "hyperliquid trade", "deribit trade"):
        read, sample = SAMPLES[name]
        found = read(sample)
        (trade,) = found if isinstance(found, list) else [found]
        assert (trade.side, trade.price, trade.size) == TRADE
        assert trade.venue_ns == AT * MS and trade.trade_id in ("7", "a-b")


def test_block_trades_meet_nobody_in_the_book() -> None:
    assert corpus.READERS["deribit"]["public_trades"]([DERIBIT_TRADE | {"block_trade_id": "B-1"}]) == []
    message = {"topic": "publicTrade.BTCUSDT", "data": [BYBIT_TRADE, BYBIT_TRADE | {"BT": True}]}
    frame: Any = corpus.READERS["bybit"]["read"](message)
    assert len(frame.public) == 1
    for sort, told in (("MARKET", 1), ("BLOCK", 0)):
        frame = corpus.READERS["binance"]["read"](AGG_TRADE | {"X": sort})
        assert len(frame.public) == told


def test_settlement_prices_are_by_symbol_and_an_options_own_value_is_none() -> None:
    assert SAMPLES["okx bill"][0](BILL) == {"BTC-USD-260327": Decimal("61234.5")}
    option = BILL | {"instType": "OPTION", "instId": "BTC-USD-260327-60000-C"}
    assert SAMPLES["okx bill"][0](option) == {"BTC-USD-260327-60000-C": Decimal("61234.5")}
    assert SAMPLES["okx bill"][0](option | {"px": "0.016"}) == {}  # a value in coins, or nobody knows what
    assert SAMPLES["binance exercise"][0](EXERCISE) == {"BTC-260327-60000-C": Decimal("61234.5")}
    assert SAMPLES["binance delivery"][0](DELIVERY) == {"BTCUSDT_260327": Decimal("61234.5")}


@pytest.mark.parametrize("name", list(SAMPLES))
def test_what_is_missing_is_refused_or_unknown_and_never_zero(name: str) -> None:
    read, sample = SAMPLES[name]
    assert numbers(read(sample | {"something": {"new": [1]}})) == pytest.approx(
        numbers(read(sample)), nan_ok=True
    )
    for key in sample:
        for gone in ({k: v for k, v in sample.items() if k != key}, sample | {key: None}, sample | {key: ""}):
            try:
                found = read(gone)
            except Untrusted:
                continue
            assert all(x != 0.0 for x in numbers(found)), (key, found)


@pytest.mark.parametrize("name", list(SAMPLES))
def test_what_is_strange_is_refused_in_our_words_or_a_number(name: str) -> None:
    read, sample = SAMPLES[name]
    for key in sample:
        for value in STRANGE:
            try:
                found = read(sample | {key: copy.deepcopy(value)})
            except Untrusted:
                continue
            assert not any(math.isinf(x) for x in numbers(found)), (key, value, found)


def test_huge_books_are_read_or_refused_and_keep_their_order() -> None:
    count = 50_000
    bids = [[str(60_000 - n / 10), "1.5"] for n in range(count)]
    asks = [[str(60_001 + n / 10), "1.5"] for n in range(count)]
    whole = {
        "okx": ("book", {"bids": bids, "asks": asks, "ts": str(AT), "seqId": 1, "prevSeqId": 0}),
        "binance": ("depth", {"bids": bids, "asks": asks, "lastUpdateId": 1}),
        "hyperliquid": (
            "book",
            {"coin": "BTC", "time": AT, "levels": [[{"px": p, "sz": s} for p, s in x] for x in (bids, asks)]},
        ),
    }
    for venue, (name, message) in whole.items():
        found: Any = corpus.READERS[venue][name](message)
        assert (len(found.bids), len(found.asks)) == (count, count)
        assert found.bids[0][0] == 60_000.0 and found.asks[-1][0] == 60_001 + (count - 1) / 10
