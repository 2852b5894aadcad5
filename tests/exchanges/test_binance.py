"""The loopback Binance: driven by the stock `ccxt.pro.binance`, and against what Binance documents."""

from __future__ import annotations

import asyncio
from decimal import Decimal as D
from typing import Any

import ccxt
import pytest

from tests.exchanges.binance import binance
from tests.exchanges.binance_rest import refused
from tests.exchanges.faults import Act
from tests.exchanges.raw import listen
from tests.exchanges.scenes import play, quiet
from tests.exchanges.server import Host
from tests.exchanges.stock_cex import stock_binance
from tests.exchanges.words import Reason, Side

LINEAR, INVERSE, SPOT = "BTC/USDT:USDT", "BTC/USD:BTC", "BTC/USDT"
WALLETS = {LINEAR: "desk/linear", INVERSE: "desk/inverse", SPOT: "desk/spot"}
IDS = {LINEAR: "BTCUSDT", INVERSE: "BTCUSD_PERP", SPOT: "spot:BTCUSDT"}


def order(**terms: Any) -> dict[str, Any]:
    """A request for one coin of BTCUSDT."""
    base = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
    return {**base, "quantity": "1", "price": "59000", **terms}


async def code(sent: Any) -> int:
    """The code by which Binance refuses one request."""
    with pytest.raises(ccxt.BaseError) as said:
        await sent
    return int(str(said.value).split('"code":')[1].split(",")[0])


def kind_of(client: Any, symbol: str) -> dict[str, Any]:
    """How ccxt is told which account a question is about."""
    market = client.market(symbol)
    if market["spot"] or market["option"]:
        return {"type": market["type"]}
    return {"type": market["type"], "subType": "linear" if market["linear"] else "inverse"}


@pytest.mark.parametrize("symbol", [LINEAR, INVERSE, SPOT])
def test_the_stock_class_trades_every_product(symbol: str) -> None:
    async def scene(host: Host) -> None:
        quiet(host, IDS[symbol])
        async with stock_binance(host) as client:
            assert len(client.markets) == len(host.exchange.instruments)
            watches = [
                asyncio.create_task(client.watch_order_book(symbol)),
                asyncio.create_task(client.watch_orders(symbol, None, None, kind_of(client, symbol))),
            ]
            await asyncio.sleep(0.3)
            terms = {"clientOrderId": "one", "timeInForce": "GTC"}
            told = await client.create_order(symbol, "limit", "buy", 1, 60_000, terms)
            book, orders = await asyncio.wait_for(asyncio.gather(*watches), 3)
            assert book["bids"][0] == [59_990, 10]
            assert orders[-1]["id"] == told["id"] and orders[-1]["clientOrderId"] == "one"
            (mine,) = await client.fetch_my_trades(symbol)
            (fill,) = host.exchange.fills(WALLETS[symbol])
            assert mine["fee"]["cost"] == pytest.approx(float(fill.fee), abs=1e-9)
            assert mine["fee"]["currency"] == fill.fee_currency
            await client.create_order(symbol, "limit", "buy", 1, 59_000, {"clientOrderId": "two"})
            again = client.create_order(symbol, "limit", "buy", 1, 59_000, {"clientOrderId": "two"})
            assert await code(again) == (-2010 if symbol == SPOT else -4116)
            found = await client.fetch_order(None, symbol, {"clientOrderId": "two"})
            assert [o["id"] for o in await client.fetch_open_orders(symbol)] == [found["id"]]
            assert (await client.cancel_order(found["id"], symbol))["status"] == "canceled"
            assert await code(client.cancel_order(found["id"], symbol)) == -2011
            await client.create_order(symbol, "limit", "buy", 1, 59_000, {"clientOrderId": "two"})
            await client.cancel_all_orders(symbol)
            assert not host.exchange.open_orders(WALLETS[symbol])
            if symbol != SPOT:
                asked = kind_of(client, symbol)
                (position,) = await client.fetch_positions(None, {"subType": asked["subType"]})
                assert (position["side"], position["contracts"]) == ("long", 1)

    play(binance, scene)


def test_options_trade_in_coins_and_pay_usdt() -> None:
    async def scene(host: Host) -> None:
        async with stock_binance(host) as client:
            symbol, market = next((s, m) for s, m in client.markets.items() if m["option"])
            quiet(host, market["id"], "1000", "1100", "1")
            assert market["contractSize"] == 1 and market["settle"] == "USDT"
            told = await client.create_order(symbol, "limit", "buy", 0.2, 1100, {"clientOrderId": "one"})
            assert told["filled"] == 0.2
            (fill,) = host.exchange.fills("desk/option")
            cash = host.exchange.account("desk/option").balances["USDT"]
            assert cash == 1_000_000 - D(220) - fill.fee and fill.fee == D("0.0003") * D("0.2") * 60_000
            (position,) = await client.fetch_option_positions()
            assert position["contracts"] == 0.2
            greeks = await client.fetch_greeks(symbol)
            mark = host.exchange.marks[market["id"]]
            assert greeks["delta"] == pytest.approx(mark.delta, abs=1e-8)
            orders = [await client.create_order(symbol, "limit", "buy", 0.2, p) for p in (900, 905)]
            await client.eapiprivate_delete_allopenordersbyunderlying({"underlying": "BTCUSDT"})
            assert len(orders) == 2 and not host.exchange.open_orders("desk/option")

    play(binance, scene)


def test_refusals_carry_the_codes_of_their_product_and_leave_nothing() -> None:
    cases = [
        ("linear", {"symbol": "BTCUSDX"}, -1121), ("linear", {"quantity": "0.00005"}, -1111),
        ("linear", {"price": "59000.05"}, -4014), ("linear", {"reduceOnly": "true"}, -2022),
        ("linear", {"quantity": "90000"}, -2019), ("linear", {"timeInForce": "GTX", "price": "60000"}, -5022),
        ("linear", {"timeInForce": "DAY"}, -1115), ("linear", {"quantity": "many"}, -1100),
        ("linear", {"type": "STOP"}, -1116), ("linear", {"newClientOrderId": "x" * 37}, -4015),
        ("spot", {"price": "59000.005"}, -1013), ("spot", {"quantity": "0.000005"}, -1013),
    ]  # fmt: skip
    sentences = [  # of these ccxt hands on the sentence without its code, -2010
        ({"quantity": "9000"}, ccxt.InsufficientFunds, "Account has insufficient balance"),
        ({"type": "LIMIT_MAKER", "price": "60000"}, ccxt.OrderImmediatelyFillable, "immediately match"),
    ]

    async def scene(host: Host) -> None:
        quiet(host, "BTCUSDT")
        quiet(host, "spot:BTCUSDT")
        async with stock_binance(host) as client:
            post = {"linear": client.fapiprivate_post_order, "spot": client.private_post_order}
            for of, terms, wanted in cases:
                assert await code(post[of](order(**terms))) == wanted, terms
            for terms, error, sentence in sentences:
                with pytest.raises(error, match=sentence) as said:
                    await client.private_post_order(order(**terms))
                assert "-2010" not in str(said.value)
            assert not host.exchange.truth.of("order")

    play(binance, scene)
    assert all(refused(r, of).code for r in Reason for of in ("spot", "linear", "inverse", "option"))


def test_who_may_do_what() -> None:
    async def scene(host: Host) -> None:
        async with stock_binance(host) as client:
            client.secret = "no"
            assert await code(client.fapiprivatev3_get_positionrisk()) == -1022
            client.secret = "secret"
            host.exchange.keys["key"].scopes = ("read",)
            told = await client.sapi_get_account_apirestrictions()
            assert (told["enableFutures"], told["enableWithdrawals"]) == (False, False)
            assert await code(client.fapiprivate_post_order(order())) == -2015
            host.exchange.keys["key"].revoked = True
            assert await code(client.fapiprivatev3_get_positionrisk()) == -2015
            host.exchange.keys["key"].revoked = False
            host.exchange.clock.skew_ns = 31 * 10**9
            assert await code(client.fapiprivatev3_get_positionrisk()) == -1021

    assert not play(binance, scene).exchange.truth.of("order")


def test_countdowns_are_by_symbol_and_of_options_by_underlying() -> None:
    async def scene(host: Host) -> None:
        quiet(host, "BTCUSDT")
        async with stock_binance(host) as client:
            await client.fapiprivate_post_order(order())
            eth = order(symbol="ETHUSDT", price="2000")
            await client.fapiprivate_post_order(eth)
            armed = {"symbol": "BTCUSDT", "countdownTime": "10000"}
            await client.fapiprivate_post_countdowncancelall(armed)
            option = next(m["id"] for m in client.markets.values() if m["option"])
            await client.eapiprivate_post_order(order(symbol=option, price="100", quantity="0.1"))
            heart = {"underlying": "BTCUSDT", "countdownTime": "10000"}
            await client.eapiprivate_post_countdowncancelall(heart)
            host.exchange.clock.advance(8)
            await client.eapiprivate_post_countdowncancelallheartbeat({"underlyings": "BTCUSDT"})
            host.exchange.clock.advance(8)
            await asyncio.sleep(0.1)
            assert [o.symbol for o in host.exchange.open_orders("desk/linear")] == ["ETHUSDT"]
            assert len(host.exchange.open_orders("desk/option")) == 1
            host.exchange.clock.advance(8)
            await asyncio.sleep(0.1)
            assert not host.exchange.open_orders("desk/option")

    play(binance, scene)


def test_the_chains_of_differences() -> None:
    """Spot: U follows the u before; futures: pu names it. Both start from REST's lastUpdateId."""

    async def scene(host: Host) -> None:
        for path, symbol, spot in (("/spot/ws", "spot:BTCUSDT", True), ("/fstream/ws", "BTCUSDT", False)):
            quiet(host, symbol)
            hello = {"method": "SUBSCRIBE", "params": ["btcusdt@depth@100ms"], "id": 1}
            async with listen(host, path, hello) as ear, stock_binance(host) as client:
                await ear.until(lambda f: f.get("id") == 1)
                ask = client.public_get_depth if spot else client.fapipublic_get_depth
                last = int((await ask({"symbol": "BTCUSDT"}))["lastUpdateId"])
                for bid in ("59980", "59970"):
                    quiet(host, symbol, bid)
                    told = await ear.until(lambda f: f.get("e") == "depthUpdate")
                    assert told["pu"] == last if not spot else told["u"] >= last + 1 >= told["U"] - 10**6
                    assert ("pu" in told) is not spot
                    last = told["u"]

    play(binance, scene)


def test_streams_in_the_address_come_wrapped_and_unknown_ones_stay_silent() -> None:
    async def scene(host: Host) -> None:
        quiet(host, "BTCUSD_PERP")
        async with listen(host, "/dstream/stream?streams=btcusd_perp@bookTicker/nothing@depth") as ear:
            told = await ear.until(lambda f: "stream" in f)
            assert told["stream"] == "btcusd_perp@bookTicker" and told["data"]["b"] == "59990"
            await ear.say({"method": "SUBSCRIBE", "params": ["what@ever"], "id": 7})
            assert await ear.until(lambda f: f.get("id") == 7) == {"result": None, "id": 7}

    play(binance, scene)


def test_faults_speak_binance_and_a_lost_reply_leaves_one_order() -> None:
    async def scene(host: Host) -> None:
        quiet(host, "BTCUSDT")
        async with stock_binance(host) as client:
            for act, wanted in ((Act.RATE, -1003), (Act.UNAUTHORIZED, -2015), (Act.UNKNOWN_ORDER, -2013)):
                host.faults.add(act, "POST fapi/order")
                assert await code(client.fapiprivate_post_order(order())) == wanted
            host.faults.add(Act.CUT_AFTER, "POST fapi/order")
            with pytest.raises(ccxt.NetworkError):
                await client.fapiprivate_post_order(order(newClientOrderId="lost"))
            (kept,) = host.exchange.open_orders("desk/linear")
            assert kept.client_id == "lost"

    play(binance, scene)


def test_a_lost_reply_to_a_cancel_is_sent_again_and_looks_like_a_failure() -> None:
    """DELETE is repeated by the HTTP library: the first cancel worked, the second says -2011."""

    async def scene(host: Host) -> None:
        quiet(host, "BTCUSDT")
        async with stock_binance(host) as client:
            told = await client.create_order(LINEAR, "limit", "buy", 1, 59_000)
            host.faults.add(Act.CUT_AFTER, "DELETE fapi/order")
            with pytest.raises(ccxt.OrderNotFound):
                await client.cancel_order(told["id"], LINEAR)
            assert host.count("DELETE fapi/order") == 2
            assert not host.exchange.open_orders("desk/linear")

    play(binance, scene)


def test_a_coin_margined_contract_is_a_hundred_dollars() -> None:
    """Ten contracts from 50,000 to 62,500: 1000 / 50000 - 1000 / 62500 = 0.004 BTC."""

    async def scene(host: Host) -> None:
        async with stock_binance(host) as client:
            for ask, side, price in (("50000", "BUY", "50000"), ("62600", "SELL", "62500")):
                quiet(host, "BTCUSD_PERP", "49990" if side == "BUY" else "62500", ask, "100")
                sent = order(symbol="BTCUSD_PERP", side=side, price=price, quantity="10")
                await client.dapiprivate_post_order(sent)
            fills = host.exchange.fills("desk/inverse")
            assert [f.realised for f in fills] == [0, D("0.004")]
            rows = await client.dapiprivate_get_usertrades({"symbol": "BTCUSD_PERP"})
            assert D(rows[-1]["realizedPnl"]) == D("0.004")
            host.exchange.outside("desk/inverse", "BTCUSD_PERP", Side.BUY, D(1), D(60_000), "liquidation")
            (position,) = await client.dapiprivate_get_positionrisk()
            assert D(position["positionAmt"]) == 1

    play(binance, scene)
