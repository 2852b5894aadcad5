"""The loopback Hyperliquid: driven by the stock `ccxt.pro.hyperliquid`, and against recorded messages."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import ccxt
import pytest
from aiohttp import ClientSession

from tests.exchanges.faults import Act
from tests.exchanges.hyperliquid import hyperliquid
from tests.exchanges.hyperliquid_signing import AGENT_KEYS, address_of, sign
from tests.exchanges.hyperliquid_words import WALLET, ticks
from tests.exchanges.raw import listen
from tests.exchanges.scenes import play, quiet
from tests.exchanges.server import Host
from tests.exchanges.stock_cex import stock_hyperliquid
from tests.exchanges.test_deribit_shapes import unlike
from tests.exchanges.words import ApiKey

PERP = "BTC/USDC:USDC"
CLOID = "0x" + "ab" * 16
#: Levels count their orders, fills name a cloid or a liquidation, metas have a margin table: not everywhere.
SOMETIMES = {"n", "cloid", "liquidation", "marginTableId", "isDelisted", "onlyIsolated", "collateralToken",
             "marginTables", "marginSummary", "crossMaintenanceMarginUsed"}  # fmt: skip
_NONCES = iter(range(10**9))


def action(host: Host, **terms: Any) -> dict[str, Any]:
    """An action, signed by an agent of the tests' wallet."""
    nonce = host.exchange.clock.now_ms() + next(_NONCES)
    return {"action": terms, "nonce": nonce, "signature": sign(terms, nonce, AGENT_KEYS[0])}


def order(host: Host, **terms: Any) -> dict[str, Any]:
    """A buy of 0.1 coin at 59,000."""
    base = {"a": 0, "b": True, "p": "59000", "s": "0.1", "r": False, "t": {"limit": {"tif": "Gtc"}}}
    return action(host, type="order", orders=[{**base, **terms}], grouping="na")


async def post(host: Host, path: str, body: Any) -> Any:
    """Send an object; the answer's."""
    async with ClientSession() as session, session.post(f"{host.url}/{path}", json=body) as answer:
        text = await answer.text()
        return json.loads(text) if answer.status == 200 else answer.status


async def said(host: Host, body: Any) -> Any:
    """The only status of an action, or the sentence by which all of it is refused."""
    answer = await post(host, "exchange", body)
    if not isinstance(answer, dict) or answer["status"] == "err":
        return answer if not isinstance(answer, dict) else answer["response"]
    (status,) = answer["response"]["data"]["statuses"]
    return status


def test_the_stock_class_from_markets_to_positions() -> None:
    async def scene(host: Host) -> None:
        quiet(host, "BTC")
        async with stock_hyperliquid(host) as client:
            assert set(client.markets) == {f"{c}/USDC:USDC" for c in ("BTC", "ETH", "SOL")}
            book = await client.watch_order_book(PERP)
            assert (book["bids"][0], book["asks"][0]) == ([59_990, 10], [60_000, 10])
            watches = [
                asyncio.create_task(w)
                for w in (client.watch_orders(), client.watch_my_trades(), client.watch_trades(PERP))
            ]
            await asyncio.sleep(0.2)
            told = await client.create_order(PERP, "limit", "buy", 0.5, 60_000, {"clientOrderId": CLOID})
            orders, mine, public = await asyncio.wait_for(asyncio.gather(*watches), 3)
            assert (orders[-1]["id"], orders[-1]["status"]) == (told["id"], "closed")
            assert mine[-1]["amount"] == public[-1]["amount"] == 0.5
            (position,) = await client.fetch_positions()
            assert (position["side"], position["contracts"]) == ("long", 0.5)
            rests = await client.create_order_ws(PERP, "limit", "buy", 0.5, 59_000, {"clientOrderId": CLOID})
            assert [o["id"] for o in await client.fetch_open_orders()] == [rests["id"]]
            found = await client.fetch_order(None, PERP, {"clientOrderId": CLOID})
            assert (found["id"], found["status"]) == (rests["id"], "open")  # a cloid may repeat
            await client.edit_order(rests["id"], PERP, "limit", "buy", 0.4, 59_100)
            (changed,) = await client.fetch_open_orders()
            assert changed["id"] != rests["id"] and changed["amount"] == 0.4
            await client.cancel_order(changed["id"], PERP)
            with pytest.raises(ccxt.OrderNotFound):
                await client.cancel_order(changed["id"], PERP)
            (trade,) = await client.fetch_my_trades(PERP)
            (fill,) = host.exchange.fills("desk")
            assert trade["fee"]["cost"] == pytest.approx(float(fill.fee)) and fill.fee == D("13.5")

    play(hyperliquid, scene)


def test_loading_markets_signs_an_approval_of_fees() -> None:
    """The stock class approves a fee for its makers and names them as referrer, before any order, unasked."""

    async def scene(host: Host) -> None:
        async with stock_hyperliquid(host):
            signed = [r for r in host.requests if r.path == "/exchange"]
            assert [r.operation for r in signed] == ["approveBuilderFee", "setReferrer"]
            assert signed[0].params["action"]["maxFeeRate"] != "0%"

    play(hyperliquid, scene)


def test_recorded_messages_have_the_same_fields(shared_data: Path) -> None:
    folder = shared_data / "wire" / "nautilus" / "hyperliquid"

    def recorded(name: str) -> Any:
        return json.loads((folder / f"{name}.json").read_text())

    async def scene(host: Host) -> None:
        quiet(host, "BTC")
        await said(host, order(host, p="60000"))
        questions = [
            ("http_l2_book_btc", {"type": "l2Book", "coin": "BTC"}, ()),
            ("http_meta_perp_sample", {"type": "meta"}, ()),
            ("http_recent_trades_btc", {"type": "recentTrades", "coin": "BTC"}, ()),
            ("http_user_fills_dust_conversion", {"type": "userFills", "user": WALLET}, ()),
            ("http_clearinghouse_state_negative_total_raw_usd", {"type": "clearinghouseState",
            "user": WALLET}, ()),
        ]  # fmt: skip
        for name, asked, _ in questions:
            assert not unlike(recorded(name), await post(host, "info", asked), but=SOMETIMES), name
        mids = await post(host, "info", {"type": "allMids"})
        assert mids["BTC"] == "59995" and isinstance(recorded("ws_allmids")["data"]["mids"]["BTC"], str)
        contexts = (await post(host, "info", {"type": "metaAndAssetCtxs"}))[1]
        assert not unlike(recorded("ws_all_dexs_asset_ctxs")["data"]["ctxs"][0][1], contexts)
        hello = {"method": "subscribe", "subscription": {"type": "l2Book", "coin": "BTC"}}
        async with listen(host, "/ws", hello) as ear:
            frame = await ear.until(lambda f: f.get("channel") == "l2Book")
            assert not unlike(recorded("ws_book_data"), frame["data"])

    play(hyperliquid, scene)


def test_fills_say_what_was_held_before() -> None:
    async def scene(host: Host) -> None:
        quiet(host, "BTC")
        for buys, size in ((True, "0.3"), (False, "0.1"), (False, "0.5"), (True, "0.1")):
            await said(host, order(host, b=buys, s=size, p="60000" if buys else "59990"))
        rows = await post(host, "info", {"type": "userFillsByTime", "user": WALLET, "startTime": 0})
        assert [(r["startPosition"], r["dir"]) for r in rows] == [
            ("0", "Open Long"), ("0.3", "Close Long"), ("0.2", "Long > Short"), ("-0.3", "Close Short"),
        ]  # fmt: skip
        state = await post(host, "info", {"type": "clearinghouseState", "user": WALLET})
        assert state["assetPositions"][0]["position"]["szi"] == "-0.2"

    play(hyperliquid, scene)


def test_refusals_are_sentences() -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"s": "0.0001", "p": "100"}, "Order must have minimum value of $10."),
        ({"p": "59000.5"}, "Price must be divisible by tick size."),
        ({"s": "0.100005"}, "Order has invalid size."),
        ({"s": "50000"}, "Insufficient margin to place order."),
        ({"r": True}, "Reduce only order would increase position."),
        ({"p": "60000", "t": {"limit": {"tif": "Alo"}}}, "Post only order would have immediately matched"),
        ({"t": {"limit": {"tif": "Ioc"}}}, "Order could not immediately match against any resting orders."),
        ({"a": 77}, "Asset not found."),
    ]  # fmt: skip

    async def scene(host: Host) -> None:
        quiet(host, "BTC")
        for terms, sentence in cases:
            assert (await said(host, order(host, **terms)))["error"].startswith(sentence), terms
        gone = action(host, type="cancel", cancels=[{"a": 0, "o": 5}])
        assert "never placed, already canceled, or filled" in (await said(host, gone))["error"]
        asked = {"type": "orderStatus", "user": WALLET, "oid": CLOID}
        assert await post(host, "info", asked) == {"status": "unknownOid"}
        assert not host.exchange.open_orders("desk")

    play(hyperliquid, scene)


def test_an_action_is_done_on_the_account_of_whoever_signed_it() -> None:
    """Orders, cancels and the timer, whatever the client believes; a stranger's key does nothing at all."""

    async def scene(host: Host) -> None:
        other, stranger = "0x" + "33" * 32, "0x" + "44" * 32
        host.exchange.grant(ApiKey(address_of(other), "", "other"))
        host.exchange.transfer("other", "USDC", D(100_000))
        terms = order(host)["action"]

        def signed(key: str, **wanted: Any) -> dict[str, Any]:
            nonce = host.exchange.clock.now_ms() + next(_NONCES)
            return {"action": wanted, "nonce": nonce, "signature": sign(wanted, nonce, key)}

        oid = (await said(host, signed(other, **terms)))["resting"]["oid"]
        assert [o.account for o in host.exchange.orders.values()] == ["other"]
        cancel = {"type": "cancel", "cancels": [{"a": 0, "o": oid}]}
        assert "error" in await said(host, signed(AGENT_KEYS[0], **cancel))  # it is none of this wallet's
        at_ms = host.exchange.clock.now_ms() + 60_000
        for wanted in (terms, cancel, {"type": "scheduleCancel", "time": at_ms}):
            told = await said(host, signed(stranger, **wanted))
            assert told == f"User or API Wallet {address_of(stranger)} does not exist."
        assert await said(host, signed(other, **cancel)) == "success"
        asked = [(await post(host, "info", {"type": "userRole", "user": x})) for x in
                 (WALLET, address_of(AGENT_KEYS[0]), address_of(stranger))]  # fmt: skip
        assert asked == [{"role": "user"}, {"role": "agent", "data": {"user": WALLET.lower()}},
                         {"role": "missing"}]  # fmt: skip

    play(hyperliquid, scene)


def test_a_signature_must_have_its_shape_and_a_nonce_be_new() -> None:
    async def scene(host: Host) -> None:
        sent = order(host)
        assert await said(host, {**sent, "signature": {"r": "1", "s": "2", "v": 3}}) == 422
        assert await said(host, {**sent, "signature": None}) == 422
        assert "resting" in await said(host, sent)
        assert str(await said(host, sent)).startswith("Invalid nonce: duplicate")
        assert str(await said(host, {**sent, "nonce": 5})).startswith("Invalid nonce")
        next(iter(host.exchange.keys.values())).revoked = True
        assert "does not exist" in await said(host, order(host))
        assert len(host.exchange.truth.of("order")) == 1

    play(hyperliquid, scene)


def test_scheduled_cancels_come_at_their_time() -> None:
    async def scene(host: Host) -> None:
        await said(host, order(host))
        now = host.exchange.clock.now_ms()
        early = await post(host, "exchange", action(host, type="scheduleCancel", time=now + 1000))
        assert early["status"] == "err"
        await post(host, "exchange", action(host, type="scheduleCancel", time=now + 10_000))
        host.exchange.clock.advance(9)
        host.exchange.pass_time()
        assert len(host.exchange.open_orders("desk")) == 1
        host.exchange.clock.advance(2)
        host.exchange.pass_time()
        assert not host.exchange.open_orders("desk")
        told = (await post(host, "info", {"type": "historicalOrders", "user": WALLET}))[0]
        assert told["status"] == "scheduledCancel"

    play(hyperliquid, scene)


def test_faults_speak_hyperliquid_and_a_lost_reply_leaves_one_order() -> None:
    async def scene(host: Host) -> None:
        host.faults.add(Act.RATE, "order")
        assert await said(host, order(host)) == 429
        host.faults.add(Act.UNKNOWN_ORDER, "cancel")
        gone = action(host, type="cancel", cancels=[{"a": 0, "o": 5}])
        assert "never placed" in (await said(host, gone))["error"]
        assert not host.exchange.truth.of("order")
        async with stock_hyperliquid(host) as client:
            host.faults.add(Act.CUT_AFTER, "order")
            with pytest.raises(ccxt.NetworkError):
                await client.create_order(PERP, "limit", "buy", 0.1, 59_000, {"clientOrderId": CLOID})
            (kept,) = host.exchange.open_orders("desk")
            assert kept.client_id == CLOID

    play(hyperliquid, scene)


@pytest.mark.parametrize(
    ("decimals", "price", "tick"),
    [
        (5, "9999.9", "0.1"),
        (5, "60000", "1"),
        (4, "123.45", "0.01"),
        (4, "2500.5", "0.1"),
        (2, "150.12", "0.01"),
    ],
)
def test_five_significant_figures(decimals: int, price: str, tick: str) -> None:
    """From the documents: 5 significant figures, at most 6 - szDecimals decimals, whole prices always."""
    steps = ticks(decimals)
    found = next(t for start, t in reversed(steps) if D(price) >= start)
    assert found <= D(1) and D(price) % found == 0
    digits = len(price.replace(".", "").lstrip("0"))
    assert D(tick) >= found if digits < 5 else D(tick) == found
