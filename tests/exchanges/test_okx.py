"""The loopback OKX: driven by the stock `ccxt.pro.okx`, and against what OKX documents."""

from __future__ import annotations

import asyncio
from decimal import Decimal as D
from typing import Any
from zlib import crc32

import ccxt
import pytest
from aiohttp import ClientSession

from tests.exchanges.faults import Act
from tests.exchanges.okx import okx
from tests.exchanges.okx_errors import PLACING
from tests.exchanges.raw import listen, okx_login
from tests.exchanges.scenes import play, quiet
from tests.exchanges.server import Host
from tests.exchanges.stock_cex import stock_okx
from tests.exchanges.words import ApiKey, Kind, Reason, Side

SWAP, ID = "BTC/USDT:USDT", "BTC-USDT-SWAP"


def order(**terms: Any) -> dict[str, Any]:
    """A request for one contract of the linear swap."""
    base = {"instId": ID, "tdMode": "cross", "side": "buy", "ordType": "limit", "sz": "1", "px": "59000"}
    return base | terms


async def code(sent: Any) -> str:
    """The code by which OKX refuses one request."""
    with pytest.raises(ccxt.BaseError) as refused:
        await sent
    text = str(refused.value)
    at = text.find('"sCode":"') if '"sCode":"' in text else text.find('"code":"')
    return text[at:].split('"')[3]


def test_the_stock_class_from_markets_to_positions() -> None:
    async def scene(host: Host) -> None:
        quiet(host, ID)
        async with stock_okx(host) as client:
            assert len(client.markets) == len(host.exchange.instruments)
            for market in client.markets.values():
                assert market["option"] == (host.exchange.instruments[market["id"]].kind is Kind.OPTION)
            book = await client.watch_order_book(SWAP)
            assert (book["bids"][0][:2], book["asks"][0][:2]) == ([59_990, 10], [60_000, 10])
            watches = [
                asyncio.create_task(w)
                for w in (client.watch_orders(), client.watch_positions(), client.watch_trades(SWAP))
            ]
            await asyncio.sleep(0.2)
            told = await client.create_order(SWAP, "limit", "buy", 3, 60_000, {"clientOrderId": "one"})
            orders, positions, trades = await asyncio.wait_for(asyncio.gather(*watches), 3)
            assert (orders[-1]["id"], orders[-1]["status"], orders[-1]["filled"]) == (told["id"], "closed", 3)
            assert positions[-1]["contracts"] == trades[-1]["amount"] == 3
            (position,) = await client.fetch_positions()
            assert (position["side"], position["contracts"], position["contractSize"]) == ("long", 3, 0.01)
            (mine,) = await client.fetch_my_trades(SWAP)
            (fill,) = host.exchange.fills("desk")
            assert mine["id"] == str(fill.trade_id) and mine["fee"]["cost"] == pytest.approx(float(fill.fee))
            balance = await client.fetch_balance()
            cash = host.exchange.account("desk").balances["USDT"]
            assert cash == D(5_000_000) - D("0.0005") * D("0.03") * 60_000
            assert D(balance["info"]["data"][0]["details"][2]["cashBal"]) == cash

    play(okx, scene)


def test_orders_by_rest_and_socket_live_and_end() -> None:
    async def scene(host: Host) -> None:
        quiet(host, ID)
        async with stock_okx(host) as client:
            await client.create_order(SWAP, "limit", "buy", 1, 59_000, {"clientOrderId": "rest"})
            await client.create_order_ws(SWAP, "limit", "buy", 1, 59_100, {"clientOrderId": "socket"})
            found = await client.fetch_open_orders()
            assert {o["clientOrderId"] for o in found} == {"rest", "socket"}
            one = await client.fetch_order(None, SWAP, {"clientOrderId": "rest"})
            await client.edit_order(one["id"], SWAP, "limit", "buy", 2, 59_050)
            changed = await client.fetch_order(one["id"], SWAP)
            assert (changed["amount"], changed["price"]) == (2, 59_050)
            await client.cancel_order(one["id"], SWAP)
            assert await code(client.cancel_order(one["id"], SWAP)) == "51400"
            assert (await client.fetch_order(one["id"], SWAP))["status"] == "canceled"
            rest = [o["id"] for o in await client.fetch_open_orders()]
            await client.cancel_orders(rest, SWAP)
            assert not host.exchange.open_orders("desk")
            assert await code(client.fetch_order(None, SWAP, {"clientOrderId": "never"})) == "51603"

    play(okx, scene)


def test_refusals_carry_okxs_codes_and_leave_nothing() -> None:
    cases = [
        ({"instId": "BTC-USDT-SWOP"}, "51001"), ({"sz": "0.015"}, "51121"), ({"px": "59000.05"}, "51000"),
        ({"tdMode": "cash"}, "51000"), ({"ordType": "gtd"}, "51000"), ({"px": ""}, "50014"),
        ({"sz": "many"}, "51000"), ({"clOrdId": "a-b"}, "51000"), ({"clOrdId": "x" * 33}, "51000"),
        ({"reduceOnly": "true"}, "51169"), ({"sz": "99999999"}, "51008"),
    ]  # fmt: skip

    async def scene(host: Host) -> None:
        quiet(host, ID)
        async with stock_okx(host) as client:
            for terms, wanted in cases:
                assert await code(client.private_post_trade_order(order(**terms))) == wanted, terms
            assert not host.exchange.truth.of("order")
            await client.private_post_trade_order(order(clOrdId="one"))
            assert await code(client.private_post_trade_order(order(clOrdId="one"))) == "51016"
            await client.private_post_trade_cancel_order({"instId": ID, "clOrdId": "one"})
            assert await code(client.private_post_trade_order(order(clOrdId="one"))) == "51016"  # for good
            assert len(host.exchange.truth.of("order")) == 1

    play(okx, scene)
    assert set(PLACING) == set(Reason)


def test_a_post_only_order_that_would_take_is_taken_and_cancelled() -> None:
    async def scene(host: Host) -> None:
        quiet(host, ID)
        async with stock_okx(host) as client:
            answer = await client.private_post_trade_order(
                order(ordType="post_only", px="60000", clOrdId="p")
            )
            assert answer["code"] == "0"
            told = (await client.private_get_trade_order({"instId": ID, "clOrdId": "p"}))["data"][0]
            assert (told["state"], told["cancelSource"], told["accFillSz"]) == ("canceled", "31", "0")

    play(okx, scene)


def test_a_batch_answers_for_each_and_twenty_is_the_most() -> None:
    async def scene(host: Host) -> None:
        quiet(host, ID)
        async with stock_okx(host) as client:
            both = [order(clOrdId="a"), order(sz="0.001")]
            answer = await client.private_post_trade_batch_orders(both)  # code 2: ccxt raises nothing
            assert (answer["code"], [r["sCode"] for r in answer["data"]]) == ("2", ["0", "51121"])
            assert [o.client_id for o in host.exchange.open_orders("desk")] == ["a"]
            with pytest.raises(ccxt.BaseError, match="51044"):
                await client.private_post_trade_batch_orders([order()] * 21)

    play(okx, scene)


def test_who_may_do_what() -> None:
    async def scene(host: Host) -> None:
        for settings, wanted in (({"secret": "no"}, "50113"), ({"password": "no"}, "50105")):
            async with stock_okx(host, options={"fetchCurrencies": False}) as client:
                for name, value in settings.items():
                    setattr(client, name, value)
                assert await code(client.private_get_account_positions()) == wanted
        async with stock_okx(host) as client:
            host.exchange.keys["key"].scopes = ("read",)
            assert (await client.private_get_account_config())["data"][0]["perm"] == "read_only"
            assert await code(client.private_post_trade_order(order())) == "50120"
            host.exchange.keys["key"].revoked = True
            assert await code(client.private_get_account_positions()) == "50111"
            host.exchange.keys["key"].revoked = False
            host.exchange.clock.skew_ns = 31 * 10**9
            assert await code(client.private_get_account_positions()) == "50102"
        async with ClientSession() as bare, bare.get(f"{host.url}/api/v5/account/balance") as answer:
            assert answer.status == 401

    assert not play(okx, scene).exchange.truth.of("order")


def test_a_socket_wants_a_login_with_the_right_signature() -> None:
    orders = {"op": "subscribe", "args": [{"channel": "orders", "instType": "ANY"}]}

    async def scene(host: Host) -> None:
        async with listen(host, "/ws/v5/private", "ping", orders) as ear:
            assert await ear.until(lambda f: f == "pong")
            assert (await ear.until(lambda f: "event" in f))["code"] == "60011"
            await ear.say(okx_login(host, "wrong"))
            assert (await ear.until(lambda f: "event" in f))["code"] == "60007"
            await ear.say(okx_login(host))
            assert (await ear.until(lambda f: "event" in f))["event"] == "login"
            await ear.say(orders)
            assert (await ear.until(lambda f: "event" in f))["event"] == "subscribe"

    play(okx, scene)


def test_the_chain_and_checksum_of_a_book() -> None:
    wanted = {"op": "subscribe", "args": [{"channel": "books", "instId": ID}]}

    async def scene(host: Host) -> None:
        quiet(host, ID)
        async with listen(host, "/ws/v5/public", wanted) as ear:
            first = (await ear.until(lambda f: f.get("action") == "snapshot"))["data"][0]
            assert first["prevSeqId"] == -1
            assert first["checksum"] % 2**32 == crc32(b"59990:10:60000:10")
            quiet(host, ID, "59980", "60010", "4")
            second = (await ear.until(lambda f: f.get("action") == "update"))["data"][0]
            assert second["prevSeqId"] == first["seqId"] < second["seqId"]
            assert sorted(r[:2] for r in second["bids"]) == [["59980", "4"], ["59990", "0"]]
            assert second["checksum"] % 2**32 == crc32(b"59980:4:60010:4")

    play(okx, scene)


def test_the_dead_mans_switch_counts_in_seconds() -> None:
    async def scene(host: Host) -> None:
        quiet(host, ID)
        async with stock_okx(host) as client:
            await client.private_post_trade_order(order())
            for seconds in ("9", "121"):
                sent = client.private_post_trade_cancel_all_after({"timeOut": seconds})
                assert await code(sent) == "51000"
            await client.private_post_trade_cancel_all_after({"timeOut": "10"})
            host.exchange.clock.advance(9)
            host.exchange.pass_time()
            assert len(host.exchange.open_orders("desk")) == 1
            host.exchange.clock.advance(2)
            host.exchange.pass_time()
            assert not host.exchange.open_orders("desk")
            (ended,) = host.exchange.truth.of("cancelled")
            assert ended["why"] == "countdown"

    play(okx, scene, limits={})


def test_faults_speak_okx_and_a_lost_reply_leaves_one_order() -> None:
    async def scene(host: Host) -> None:
        quiet(host, ID)
        async with stock_okx(host) as client:
            for act, wanted in ((Act.RATE, "50011"), (Act.UNAUTHORIZED, "50111")):
                host.faults.add(act, "trade/order")
                assert await code(client.private_post_trade_order(order())) == wanted
            host.faults.add(Act.UNKNOWN_ORDER, "GET trade/order")
            assert await code(client.private_get_trade_order({"instId": ID, "clOrdId": "x"})) == "51603"
            host.faults.add(Act.CUT_AFTER, "trade/order")
            with pytest.raises(ccxt.NetworkError):
                await client.private_post_trade_order(order(clOrdId="lost"))
            (kept,) = host.exchange.open_orders("desk")
            assert kept.client_id == "lost" and host.count("trade/order") == 3

    play(okx, scene)


def test_sixty_orders_in_two_seconds_and_no_more() -> None:
    async def scene(host: Host) -> None:
        quiet(host, ID)
        async with stock_okx(host) as client:
            for n in range(5):
                await client.private_post_trade_order(order(clOrdId=f"n{n}"))
            assert await code(client.private_post_trade_order(order())) == "50011"
            host.exchange.clock.advance(2.1)
            await client.private_post_trade_order(order())

    play(okx, scene, limits={"trade/order": (5, 2.0)})


def test_an_inverse_swap_gains_in_coins_by_contracts_of_a_hundred_dollars() -> None:
    """Ten contracts from 50,000 to 62,500: 1000 / 50000 - 1000 / 62500 = 0.004 BTC."""
    symbol = "BTC-USD-SWAP"

    async def scene(host: Host) -> None:
        async with stock_okx(host) as client:
            for ask, side, price in (("50000", "buy", "50000"), ("62600", "sell", "62500")):
                quiet(host, symbol, "49990" if side == "buy" else "62500", ask, "100")
                sent = order(instId=symbol, side=side, px=price, sz="10", ordType="ioc")
                await client.private_post_trade_order(sent)
            fills = host.exchange.fills("desk")
            assert [f.realised for f in fills] == [0, D("0.004")]
            told = (await client.private_get_trade_fills())["data"][0]
            assert D(told["fillPnl"]) == D("0.004") and abs(D(told["fee"]) + fills[1].fee) < D("1e-9")

    play(okx, scene)


def test_what_nobody_ordered_is_told_as_an_order_of_its_own() -> None:
    async def scene(host: Host) -> None:
        own = {"op": "subscribe", "args": [{"channel": "orders", "instType": "ANY"}]}
        async with listen(host, "/ws/v5/private", okx_login(host), own) as ear:
            await ear.until(lambda f: f.get("event") == "subscribe")
            host.exchange.outside("desk", ID, Side.SELL, D(1), D(60_000), "adl")
            told = (await ear.until(lambda f: "data" in f))["data"][0]
            assert (told["category"], told["state"], told["fillSz"]) == ("adl", "filled", "1")

    play(okx, scene, key=ApiKey("key", "secret", "desk", "phrase"))
