"""The loopback Bybit: driven by the stock `ccxt.pro.bybit`, and against what Bybit documents."""

from __future__ import annotations

import asyncio
from decimal import Decimal as D
from typing import Any

import ccxt
import pytest

from tests.exchanges.bybit import bybit
from tests.exchanges.bybit_rest import refused
from tests.exchanges.faults import Act
from tests.exchanges.raw import bybit_login, listen
from tests.exchanges.scenes import play, quiet
from tests.exchanges.server import Host
from tests.exchanges.stock_cex import stock_bybit
from tests.exchanges.words import Reason

SWAP = "BTC/USDT:USDT"
LINEAR = {"category": "linear", "symbol": "BTCUSDT"}


def order(**terms: Any) -> dict[str, Any]:
    """A request for one coin of the linear perpetual."""
    return {**LINEAR, "side": "Buy", "orderType": "Limit", "qty": "1", "price": "59000", **terms}


async def code(sent: Any) -> int:
    """The retCode by which Bybit refuses one request."""
    with pytest.raises(ccxt.BaseError) as said:
        await sent
    return int(str(said.value).split('"retCode":')[1].split(",")[0])


def test_the_stock_class_from_markets_to_positions() -> None:
    async def scene(host: Host) -> None:
        quiet(host, "BTCUSDT")
        async with stock_bybit(host) as client:
            assert len(client.markets) == len(host.exchange.instruments)
            assert {m["contractSize"] for m in client.markets.values() if m["contract"]} == {1}
            book = await client.watch_order_book(SWAP)
            assert (book["bids"][0], book["asks"][0]) == ([59_990, 10], [60_000, 10])
            watches = [
                asyncio.create_task(w)
                for w in (client.watch_orders(), client.watch_my_trades(), client.watch_trades(SWAP))
            ]
            await asyncio.sleep(0.3)
            told = await client.create_order(SWAP, "limit", "buy", 0.5, 60_000, {"clientOrderId": "one"})
            orders, mine, public = await asyncio.wait_for(asyncio.gather(*watches), 3)
            assert (orders[-1]["id"], orders[-1]["status"], orders[-1]["filled"]) == (
                told["id"],
                "closed",
                0.5,
            )
            assert mine[-1]["amount"] == public[-1]["amount"] == 0.5 and mine[-1]["id"] == public[-1]["id"]
            (position,) = await client.fetch_positions()
            assert (position["side"], position["contracts"]) == ("long", 0.5)
            (trade,) = await client.fetch_my_trades(SWAP)
            (fill,) = host.exchange.fills("desk")
            assert trade["fee"]["cost"] == pytest.approx(float(fill.fee))
            balance = await client.fetch_balance()
            assert balance["USDT"]["total"] == pytest.approx(
                float(host.exchange.summary("desk", "USDT").balance)
            )

    play(bybit, scene)


def test_orders_by_rest_and_socket_live_and_end() -> None:
    async def scene(host: Host) -> None:
        quiet(host, "BTCUSDT")
        async with stock_bybit(host) as client:
            await client.create_order(SWAP, "limit", "buy", 1, 59_000, {"clientOrderId": "rest"})
            await client.create_order_ws(SWAP, "limit", "buy", 1, 59_100, {"clientOrderId": "socket"})
            found = await client.fetch_open_orders(SWAP)
            assert {o["clientOrderId"] for o in found} == {"rest", "socket"}
            (one,) = await client.fetch_open_orders(SWAP, None, None, {"orderLinkId": "rest"})
            await client.edit_order(one["id"], SWAP, "limit", "buy", 2, 59_050)
            (changed,) = await client.fetch_open_orders(SWAP, None, None, {"orderLinkId": "rest"})
            assert (changed["amount"], changed["price"]) == (2, 59_050)
            await client.cancel_order(one["id"], SWAP)
            assert await code(client.cancel_order(one["id"], SWAP)) == 110_001
            ended = await client.private_get_v5_order_realtime({**LINEAR, "orderLinkId": "rest"})
            assert ended["result"]["list"][0]["orderStatus"] == "Cancelled"
            await client.cancel_all_orders(SWAP)
            assert not host.exchange.open_orders("desk")

    play(bybit, scene)


def test_refusals_carry_bybits_codes_and_leave_nothing() -> None:
    cases: list[tuple[dict[str, Any], int]] = [
        ({"symbol": "BTCUSDX"}, 10_001), ({"qty": "0.0005"}, 10_001), ({"price": "59000.05"}, 10_001),
        ({"side": "buy"}, 10_001), ({"qty": "many"}, 10_001), ({"reduceOnly": True}, 110_017),
        ({"qty": "900000"}, 110_007), ({"category": "perp"}, 10_001), ({"orderLinkId": "x" * 37}, 10_001),
        ({"category": "spot", "price": "59000.05"}, 170_134), ({"category": "spot", "qty": "9000"}, 170_131),
    ]  # fmt: skip

    async def scene(host: Host) -> None:
        quiet(host, "BTCUSDT")
        async with stock_bybit(host) as client:
            for terms, wanted in cases:
                assert await code(client.private_post_v5_order_create(order(**terms))) == wanted, terms
            option = next(i.symbol for i in host.exchange.instruments.values() if i.right)
            nameless = order(category="option", symbol=option, qty="0.01", price="5")
            assert await code(client.private_post_v5_order_create(nameless)) == 10_001
            assert not host.exchange.truth.of("order")
            await client.private_post_v5_order_create(order(orderLinkId="one"))
            assert await code(client.private_post_v5_order_create(order(orderLinkId="one"))) == 110_072
            await client.private_post_v5_order_cancel({**LINEAR, "orderLinkId": "one"})
            assert await code(client.private_post_v5_order_create(order(orderLinkId="one"))) == 110_072
            assert len(host.exchange.truth.of("order")) == 1

    play(bybit, scene)
    assert all(refused(r, spot).code for r in Reason for spot in (True, False))


def test_a_symbol_means_nothing_without_its_category() -> None:
    async def scene(host: Host) -> None:
        async with stock_bybit(host) as client:
            for category in ("spot", "linear"):
                await client.private_post_v5_order_create(order(category=category, qty="0.1"))
            assert [o.symbol for o in host.exchange.open_orders("desk")] == ["spot:BTCUSDT", "BTCUSDT"]
            for category in ("spot", "linear"):
                rows = await client.private_get_v5_order_realtime({**LINEAR, "category": category})
                assert len(rows["result"]["list"]) == 1
            asked = client.private_get_v5_order_realtime({"category": "linear"})
            assert await code(asked) == 10_001  # without a symbol or a coin

    play(bybit, scene)


def test_a_post_only_order_that_would_take_is_taken_and_cancelled() -> None:
    async def scene(host: Host) -> None:
        quiet(host, "BTCUSDT")
        async with stock_bybit(host) as client:
            sent = order(price="60000", timeInForce="PostOnly", orderLinkId="p")
            assert (await client.private_post_v5_order_create(sent))["retCode"] == 0
            rows = await client.private_get_v5_order_history({**LINEAR, "orderLinkId": "p"})
            (told,) = rows["result"]["list"]
            assert (told["orderStatus"], told["cumExecQty"]) == ("Cancelled", "0")
            assert told["rejectReason"] == "EC_PostOnlyWillTakeLiquidity"

    play(bybit, scene)


def test_who_may_do_what() -> None:
    async def scene(host: Host) -> None:
        async with stock_bybit(host) as client:
            client.secret = "no"
            assert await code(client.private_get_v5_position_list(LINEAR)) == 10_004
            client.secret = "secret"
            host.exchange.keys["key"].scopes = ("read",)
            told = await client.private_get_v5_user_query_api()
            assert told["result"]["readOnly"] == 1
            assert await code(client.private_post_v5_order_create(order())) == 10_005
            host.exchange.keys["key"].revoked = True
            assert await code(client.private_get_v5_position_list(LINEAR)) == 10_003
            host.exchange.keys["key"].revoked = False
            host.exchange.clock.skew_ns = 31 * 10**9
            assert await code(client.private_get_v5_position_list(LINEAR)) == 10_002
        async with listen(host, "/v5/private", {"op": "subscribe", "args": ["order"]}) as ear:
            assert (await ear.until(lambda f: "success" in f))["success"] is False

    assert not play(bybit, scene).exchange.truth.of("order")


def test_the_dead_mans_switch_waits_for_a_lost_connection() -> None:
    """Ten seconds after the last socket with the topic is gone, and not if one comes back."""
    hello = {"op": "subscribe", "args": ["dcp.future"]}

    async def scene(host: Host) -> None:
        quiet(host, "BTCUSDT")
        async with stock_bybit(host) as client:
            await client.private_post_v5_order_create(order())
            arm = {"product": "DERIVATIVES", "timeWindow": 10}
            await client.private_post_v5_order_disconnected_cancel_all(arm)
            for comes_back in (True, False):
                async with listen(host, "/v5/private", bybit_login(host), hello) as ear:
                    await ear.until(lambda f: f.get("op") == "subscribe")
                await asyncio.sleep(0.1)
                host.exchange.clock.advance(6)
                if comes_back:
                    async with listen(host, "/v5/private", bybit_login(host), hello) as ear:
                        await ear.until(lambda f: f.get("op") == "subscribe")
                        host.exchange.clock.advance(6)
                        await asyncio.sleep(0.1)
                        assert len(host.exchange.open_orders("desk")) == 1
            host.exchange.clock.advance(6)
            await asyncio.sleep(0.1)
            assert not host.exchange.open_orders("desk")

    play(bybit, scene)


def test_books_count_their_messages_and_tickers_tell_what_changed() -> None:
    wanted = {"op": "subscribe", "args": ["orderbook.1.BTCUSDT", "tickers.BTCUSDT"]}

    async def scene(host: Host) -> None:
        quiet(host, "BTCUSDT")
        async with listen(host, "/v5/public/linear", wanted) as ear:
            first = await ear.until(lambda f: f.get("type") == "snapshot" and "orderbook" in f["topic"])
            await ear.until(lambda f: f.get("type") == "snapshot" and "tickers" in f["topic"])
            quiet(host, "BTCUSDT", "59980", "60000")
            second = await ear.until(lambda f: f.get("type") == "delta" and "orderbook" in f["topic"])
            assert second["data"]["u"] == first["data"]["u"] + 1
            assert sorted(second["data"]["b"]) == [["59980", "10"], ["59990", "0"]]
            assert second["data"]["a"] == []
            ticker = await ear.until(lambda f: f.get("type") == "delta" and "tickers" in f["topic"])
            assert ticker["data"] == {"symbol": "BTCUSDT", "bid1Price": "59980"}

    play(bybit, scene)


def test_faults_speak_bybit_and_a_lost_reply_leaves_one_order() -> None:
    async def scene(host: Host) -> None:
        quiet(host, "BTCUSDT")
        async with stock_bybit(host) as client:
            for act, wanted in ((Act.RATE, 10_006), (Act.UNAUTHORIZED, 10_003), (Act.UNKNOWN_ORDER, 110_001)):
                host.faults.add(act, "order/create")
                assert await code(client.private_post_v5_order_create(order())) == wanted
            host.faults.add(Act.CUT_AFTER, "order/create")
            with pytest.raises(ccxt.NetworkError):
                await client.private_post_v5_order_create(order(orderLinkId="lost"))
            (kept,) = host.exchange.open_orders("desk")
            assert kept.client_id == "lost"

    play(bybit, scene)


def test_an_option_of_either_coin_settles_in_it() -> None:
    async def scene(host: Host) -> None:
        async with stock_bybit(host) as client:
            for settle in ("USDT", "USDC"):
                i = next(i for i in host.exchange.instruments.values() if i.right and i.settle == settle)
                quiet(host, i.symbol, "1000", "1100", "1")
                name, before = i.symbol, host.exchange.account("desk").balances[settle]
                sent = order(category="option", symbol=name, qty="0.1", price="1100", orderLinkId=settle)
                await client.private_post_v5_order_create(sent)
                fill = host.exchange.fills("desk")[-1]
                paid = before - host.exchange.account("desk").balances[settle]
                assert paid == D(110) + fill.fee and fill.fee == D("0.0003") * D("0.1") * 60_000
                rows = await client.private_get_v5_position_list({"category": "option", "symbol": name})
                assert rows["result"]["list"][0]["size"] == "0.1"

    play(bybit, scene)
