"""The loopback OKX, Bybit and Binance against recorded messages: the same fields, of the same types.

A field we lack, or one of another type, fails; one of ours that no recorded message has must be named here:
the venues have added fields since (their documents have them), and the recordings are of several years.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.exchanges.binance import binance
from tests.exchanges.bybit import bybit
from tests.exchanges.cex import words_of
from tests.exchanges.okx import okx
from tests.exchanges.raw import bybit_login, listen, okx_login
from tests.exchanges.scenes import play, quiet
from tests.exchanges.server import Host
from tests.exchanges.stock_cex import stock_binance, stock_bybit, stock_okx
from tests.exchanges.test_deribit_shapes import unlike

#: Added since the recordings: instruments; orders; positions; balances; fills; public data; option summaries.
OKX_NEWER = words_of(
    "contTdSwTime futureSettlement instIdCode maxPlatOILmt openType posLmtAmt posLmtPct preMktSwTime "
    "tradeQuoteCcyList amendResult code execType fillFee fillFeeCcy msg reqId baseBorrowed baseInterest imr "
    "deltaBS deltaPA gammaBS gammaPA thetaBS thetaPA vegaBS vegaPA availEq coinUsdPrice "
    "colBorrAutoConversion "
    "collateralRestrict feeRate fillFwdPx fillIdxPx fillMarkPx fillMarkVol fillPnl fillPxUsd fillPxVol "
    "fillTime "
    "posSide subType tag ts seqId delta gamma theta vega instFamily lever realVol volLv uid eventType source "
    "instType maxFundingRate method minFundingRate premium settFundingRate settState"
)
#: The recorded summary is hand-made and spells these in small letters; OKX and ccxt have capitals.
OKX_MISSPELT = words_of("deltaBs gammaBs thetaBs vegaBs")
BYBIT_NEWER = words_of("category sessionAvgPrice spotHedgingQty retExtInfo cts header req_id success")
#: The recorded wallet news is a small extract, and spells a total otherwise than the REST answer.
BYBIT_WALLET = words_of(
    "accountType bonus collateralSwitch cumRealisedPnl locked marginCollateral unrealisedPnl usdValue "
    "totalPerpUPL totalPerpUpl"
)
BINANCE_NEWER = words_of(
    "adl askNotional bidNotional breakEvenPrice isAutoAddMargin isolatedMargin isolatedWallet initialMargin "
    "liquidationPrice maintMargin marginAsset marginBalance marginType markPrice maxNotionalValue maxQty "
    "notional "
    "notionalValue openOrderInitialMargin positionInitialMargin unrealizedProfit walletBalance gtd pm sors "
    "icebergQty isWorking stopPrice time updateTime workingTime"
)


@pytest.fixture(scope="module")
def wire(shared_data: Path) -> Path:
    """The recorded messages."""
    return shared_data / "wire" / "nautilus"


class Compare:
    """Compares with recordings of one venue, and counts."""

    def __init__(self, folder: Path, newer: frozenset[str]) -> None:
        self._folder, self._newer = folder, newer
        self.wrong: dict[str, list[str]] = {}
        self.compared = 0

    def __call__(self, name: str, ours: Any, *path: Any, more: frozenset[str] = frozenset()) -> None:
        theirs = json.loads((self._folder / f"{name}.json").read_text())
        for step in path:
            theirs = theirs[step]
        self.compared += 1
        if found := unlike(theirs, ours, but=set(self._newer | more)):
            self.wrong[name] = found


def of(frames: list[Any], wanted: Callable[[Any], bool]) -> Any:
    """The first such frame."""
    return next(f for f in frames if isinstance(f, dict) and wanted(f))


def test_okx(wire: Path) -> None:
    same, swap = Compare(wire / "okx", OKX_NEWER), "BTC-USDT-SWAP"
    args = [{"channel": "orders", "instType": "ANY"}, {"channel": "account"}]
    names = ("books", "tickers", "trades", "bbo-tbt", "funding-rate")
    market = [{"channel": n, "instId": swap} for n in names]
    market.append({"channel": "opt-summary", "instFamily": "BTC-USD"})

    async def scene(host: Host) -> None:
        quiet(host, swap)
        own_hellos = (okx_login(host), {"op": "subscribe", "args": args})
        async with (
            stock_okx(host) as c,
            listen(host, "/ws/v5/private", *own_hellos) as own,
            listen(host, "/ws/v5/public", {"op": "subscribe", "args": market}) as pub,
        ):
            await own.until(lambda f: f.get("arg", {}).get("channel") == "account" and "data" in f)
            await pub.until(lambda f: f.get("arg", {}).get("channel") == "opt-summary" and "data" in f)
            for kind in ("OPTION", "SWAP", "SPOT", "FUTURES"):
                asked = {"instType": kind} | ({"uly": "BTC-USD"} if kind == "OPTION" else {})
                rows = await c.public_get_public_instruments(asked)
                same(f"http_get_instruments_{kind.lower()}", rows)
            order = {"instId": swap, "tdMode": "cross", "side": "buy", "ordType": "limit", "sz": "1"}
            placed = await c.private_post_trade_order({**order, "px": "59000", "clOrdId": "a1"})
            same("http_place_order_response", placed["data"][0])
            same("http_get_orders_pending", await c.private_get_trade_orders_pending())
            await c.private_post_trade_order({**order, "px": "61000", "clOrdId": "a2"})
            same("http_get_positions", await c.private_get_account_positions())
            same("http_get_account_balance", await c.private_get_account_balance())
            fee = await c.private_get_account_trade_fee({"instType": "SPOT"})
            same("http_get_trade_fee_response", fee)
            same("http_transaction_detail", (await c.private_get_trade_fills())["data"][0])
            same("http_get_mark_price", await c.public_get_public_mark_price({"instType": "SWAP"}))
            same("http_get_index_price", await c.public_get_market_index_tickers({"instId": "BTC-USDT"}))
            same("http_get_trades", await c.public_get_market_trades({"instId": swap}))
            same("http_get_order_book", await c.public_get_market_books({"instId": swap, "sz": "5"}))
            same("http_get_option_summary", await c.public_get_public_opt_summary({"uly": "BTC-USD"}))
            filled = await own.until(lambda f: "data" in f and f["data"][0].get("state") == "filled")
            same("ws_orders", filled)
            same("ws_account", of(own.frames, lambda f: "data" in f and f["arg"]["channel"] == "account"))
            await pub.until(lambda f: "data" in f and f["arg"]["channel"] == "trades")
            said = [f for f in pub.frames if "data" in f]
            for name in names[1:]:
                recorded = f"ws_{name.replace('-', '_')}"
                same(recorded, of(said, lambda f, n=name: f["arg"]["channel"] == n))  # type: ignore[misc]
            same("ws_books_snapshot", of(said, lambda f: f.get("action") == "snapshot"))
            same("ws_books_update", of(said, lambda f: f.get("action") == "update"))
            summary = of(said, lambda f: f["arg"]["channel"] == "opt-summary")
            same("ws_opt_summary", summary["data"][0], 0, more=OKX_MISSPELT)

    play(okx, scene)
    assert not same.wrong and same.compared == 24


def test_bybit(wire: Path) -> None:
    same, linear = Compare(wire / "bybit", BYBIT_NEWER), {"category": "linear", "symbol": "BTCUSDT"}
    topics = ["order", "execution", "position", "wallet"]
    market = ["orderbook.50.BTCUSDT", "tickers.BTCUSDT", "publicTrade.BTCUSDT"]
    order = {**linear, "side": "Buy", "orderType": "Limit", "qty": "1"}

    async def scene(host: Host) -> None:
        quiet(host, "BTCUSDT")
        option = next(i.symbol for i in host.exchange.instruments.values() if i.right)
        hellos = (bybit_login(host), {"op": "subscribe", "args": topics, "req_id": "1"})
        async with (
            stock_bybit(host) as c,
            listen(host, "/v5/private", *hellos) as own,
            listen(host, "/v5/public/linear", {"op": "subscribe", "args": market}) as pub,
        ):
            same("ws_subscription_ack", await own.until(lambda f: f.get("op") == "subscribe"))
            await pub.until(lambda f: f.get("topic", "").startswith("tickers"))
            for category in ("option", "linear", "inverse", "spot"):
                rows = await c.public_get_v5_market_instruments_info({"category": category})
                same(f"http_get_instruments_{category}", rows)
            await c.private_post_v5_order_create({**order, "price": "59000", "orderLinkId": "a1"})
            same("http_get_orders_realtime", await c.private_get_v5_order_realtime(linear))
            await c.private_post_v5_order_create({**order, "price": "61000", "orderLinkId": "a2"})
            same("http_get_orders_history", await c.private_get_v5_order_history(linear))
            same("http_get_executions", await c.private_get_v5_execution_list(linear))
            same("http_get_positions", await c.private_get_v5_position_list(linear))
            wallet = await c.private_get_v5_account_wallet_balance({"accountType": "UNIFIED"})
            same("http_get_wallet_balance", wallet)
            same("http_get_fee_rate", await c.private_get_v5_account_fee_rate(linear))
            same("http_get_orderbook", await c.public_get_v5_market_orderbook(linear))
            same("http_get_trades_recent", await c.public_get_v5_market_recent_trade(linear))
            await own.until(lambda f: f.get("topic") == "order" and f["data"][0]["orderStatus"] == "Filled")
            for topic in topics:
                frame = of(own.frames, lambda f, t=topic: f.get("topic") == t)  # type: ignore[misc]
                same(f"ws_account_{topic}", frame, more=BYBIT_WALLET if topic == "wallet" else frozenset())
            same("ws_public_trade", await pub.until(lambda f: "publicTrade" in f.get("topic", "")))
            books = [f for f in pub.frames if "orderbook" in f.get("topic", "")]
            same("ws_orderbook_snapshot", books[0])
            same("ws_orderbook_delta", of(books, lambda f: f["type"] == "delta"))
            same("ws_ticker_linear", of(pub.frames, lambda f: "tickers" in f.get("topic", "")))
        async with listen(
            host, "/v5/public/option", {"op": "subscribe", "args": [f"tickers.{option}"]}
        ) as ear:
            same("ws_ticker_option", await ear.until(lambda f: "topic" in f))
        # option streams tell of each topic, the others of the request
        async with listen(host, "/v5/public/linear", {"op": "subscribe", "args": ["nothing.BTC"]}) as ear:
            same("ws_subscription_failure", await ear.until(lambda f: f.get("success") is False))
        sent = {"reqId": "1", "op": "order.create", "header": {}, "args": [{**order, "price": "58000"}]}
        async with listen(host, "/v5/trade", bybit_login(host), sent) as ear:
            same("ws_auth_success", await ear.until(lambda f: f["op"] == "auth"))
            same("ws_order_response", await ear.until(lambda f: f["op"] == "order.create"))

    play(bybit, scene)
    assert not same.wrong and same.compared == 25


def test_binance(wire: Path) -> None:
    same, btc = Compare(wire / "binance", BINANCE_NEWER), {"symbol": "BTCUSDT"}
    kinds = ("depth@100ms", "bookTicker", "trade", "markPrice@1s", "ticker")
    market = {"method": "SUBSCRIBE", "params": [f"btcusdt@{k}" for k in kinds], "id": 1}
    order = {**btc, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "1"}

    async def scene(host: Host) -> None:
        quiet(host, "BTCUSDT")
        async with stock_binance(host) as c:
            key = (await c.fapiprivate_post_listenkey())["listenKey"]
            async with (
                listen(host, f"/fstream/private/ws?listenKey={key}") as own,
                listen(host, "/fstream/public/ws", market) as pub,
            ):
                await pub.until(lambda f: f.get("e") == "24hrTicker")
                placed = await c.fapiprivate_post_order({**order, "price": "59000"})
                told = await c.fapiprivate_get_order({**btc, "orderId": placed["orderId"]})
                same("futures/http_json/order_response", told)
                await c.fapiprivate_post_order({**order, "price": "61000"})
                same("futures/http_json/account_info_v2", await c.fapiprivatev2_get_account())
                same("futures/http_json/balance", await c.fapiprivatev2_get_balance())
                same("futures/http_json/position_risk", await c.fapiprivatev3_get_positionrisk())
                first = await own.until(lambda f: f["e"] == "ORDER_TRADE_UPDATE")
                same("futures/user_data_json/order_update_new", first)
                trade = await own.until(lambda f: f.get("o", {}).get("x") == "TRADE")
                same("futures/user_data_json/order_update_trade", trade)
                update = await own.until(lambda f: f["e"] == "ACCOUNT_UPDATE")
                same("futures/user_data_json/account_update", update)
                await pub.until(lambda f: f.get("e") == "trade")
                events = {"depth_update": "depthUpdate", "mark_price": "markPriceUpdate", "trade": "trade",
                          "book_ticker": "bookTicker", "ticker": "24hrTicker"}  # fmt: skip
                for name, event in events.items():
                    frame = of(pub.frames, lambda f, e=event: f.get("e") == e)  # type: ignore[misc]
                    same(f"futures/market_data_json/{name}_stream", frame)
            same("spot/http_json/exchange_info_response", await c.public_get_exchangeinfo())
            same("spot/http_json/account_response", await c.private_get_account())
            full = await c.private_post_order({**order, "price": "61000"})
            same("spot/http_json/new_order_full_response", full)
            told = await c.private_get_order({**btc, "orderId": full["orderId"]})
            same("spot/http_json/order_response", told)
            same("spot/http_json/account_trades_response", await c.private_get_mytrades(btc))
            same("spot/http_json/depth_response", await c.public_get_depth(btc))
            rests = await c.private_post_order({**order, "price": "51000"})
            gone = await c.private_delete_order({**btc, "orderId": rests["orderId"]})
            same("spot/http_json/cancel_order_response", gone)

    play(binance, scene)
    assert not same.wrong and same.compared == 19
