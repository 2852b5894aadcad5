"""The loopback Deribit against what Deribit documents: authentication, scopes, labels, streams, sessions."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable
from decimal import Decimal as D
from functools import cache
from itertools import pairwise
from typing import Any

import pytest
from aiohttp import ClientSession
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.exchanges.deribit import Deribit, deribit
from tests.exchanges.deribit_auth import Credits
from tests.exchanges.deribit_private import PRIVATE
from tests.exchanges.deribit_public import PUBLIC
from tests.exchanges.rpc import Closed, Rpc, connect, get
from tests.exchanges.server import Call, Host, serve
from tests.exchanges.words import ApiKey, Side

PERP = "BTC-PERPETUAL"


def run(scene: Callable[[Host], Awaitable[None]], **terms: Any) -> Host:
    """Play a scene on a fresh exchange."""

    async def play() -> Host:
        dialect, _ = deribit(**terms)
        async with serve(dialect) as host:
            await asyncio.wait_for(scene(host), 20)
            return host

    return asyncio.run(play())


def quiet(host: Host) -> None:
    """Only what the test puts there stands in the perpetual's book."""
    host.exchange.quote(PERP, [(D(59_990), D(1000))], [(D(60_000), D(1000))])


async def buy(rpc: Rpc, price: float, amount: float = 100, **terms: Any) -> dict[str, Any]:
    """A buy of the perpetual."""
    done = await rpc.result(
        "private/buy", instrument_name=PERP, amount=amount, type="limit", price=price, **terms
    )
    order: dict[str, Any] = done["order"]
    return order


def test_every_way_in_and_the_wrong_ones() -> None:
    async def scene(host: Host) -> None:
        async with connect(host, login=False) as rpc:
            assert await rpc.code("private/get_positions") == 13009
            assert await rpc.code("public/auth", grant_type="client_credentials") == -32602
            wrong = {"grant_type": "client_credentials", "client_id": "key", "client_secret": "no"}
            assert await rpc.code("public/auth", **wrong) == 13004
            stamp = host.exchange.clock.now_ms()
            data = f"{stamp}\nabc\n"
            signature = hmac.new(b"secret", data.encode(), hashlib.sha256).hexdigest()
            terms = {
                "grant_type": "client_signature", "client_id": "key", "timestamp": stamp, "nonce": "abc",
                "data": "", "signature": signature,
            }  # fmt: skip
            granted = await rpc.result("public/auth", **terms)
            assert "trade:read_write" in granted["scope"].split()
            old = {**terms, "timestamp": stamp - 61_000}
            assert await rpc.code("public/auth", **old) == 13004
            assert await rpc.result("private/get_positions") == []
            token = granted["access_token"]
            path = "/api/v2/private/get_positions"
            assert (await get(host, path))[0] == 401
            status, body = await get(host, path, Authorization=f"Bearer {token}")
            assert status == 200 and json.loads(body)["result"] == []
            again = await rpc.result(
                "public/auth", grant_type="refresh_token", refresh_token=granted["refresh_token"]
            )
            assert again["access_token"] != token
            host.exchange.keys["key"].revoked = True
            assert await rpc.code("private/get_positions") == 13009

    run(scene)


def test_the_header_signs_the_verb_the_path_and_the_query() -> None:
    async def scene(host: Host) -> None:
        path = "/api/v2/private/get_positions?currency=BTC"
        for uri, wanted in ((path, 200), ("/api/v2/private/get_positions?currency=ETH", 400)):
            stamp = host.exchange.clock.now_ms()
            data = f"{stamp}\nn{wanted}\nGET\n{uri}\n\n"
            signature = hmac.new(b"secret", data.encode(), hashlib.sha256).hexdigest()
            header = f"deri-hmac-sha256 id=key,ts={stamp},sig={signature},nonce=n{wanted}"
            assert (await get(host, path, Authorization=header))[0] == wanted

    run(scene)


def test_a_scope_that_is_missing_forbids() -> None:
    async def scene(host: Host) -> None:
        host.exchange.grant(ApiKey("reader", "s", "desk", scopes=("account:read", "trade:read")))
        async with connect(host, login=False) as rpc:
            granted = await rpc.login("reader", "s")
            assert "trade:read_write" not in granted["scope"]
            assert await rpc.result("private/get_open_orders") == []
            terms = {"instrument_name": PERP, "amount": 10, "price": 59_000}
            assert await rpc.code("private/buy", **terms) == 13021
            assert await rpc.code("private/enable_cancel_on_disconnect") == 13021

    assert not run(scene).exchange.truth.of("order")


def test_labels_are_free_text_and_never_unique() -> None:
    async def scene(host: Host) -> None:
        async with connect(host) as rpc:
            first = await buy(rpc, 59_000.0, label="twice")
            second = await buy(rpc, 59_000.0, label="twice")
            assert first["order_id"] != second["order_id"]
            of = {"currency": "BTC", "label": "twice"}
            assert len(await rpc.result("private/get_order_state_by_label", **of)) == 2
            assert await rpc.result("private/get_order_state_by_label", currency="ETH", label="twice") == []
            assert (
                await rpc.code("private/edit_by_label", instrument_name=PERP, label="twice", amount=50)
                == 10004
            )
            assert await rpc.result("private/cancel_by_label", label="twice") == 2
            assert await rpc.code("private/cancel", order_id=first["order_id"]) == 11044
            assert await rpc.code("private/cancel", order_id="BTC-999999") == 10004
            assert (
                await rpc.code("private/buy", instrument_name=PERP, amount=10, price=1, label="x" * 65)
                == -32602
            )

    run(scene)


@pytest.mark.parametrize(
    ("terms", "code", "param"),
    [
        ({"amount": 15, "price": 59_000}, -32602, "amount"),
        ({"amount": 10, "price": 59_000.3}, -32602, "price"),
        ({"amount": "ten", "price": 59_000}, -32602, "amount"),
        ({"amount": 10}, -32602, "price"),
        ({"price": 59_000}, -32602, "amount"),
        ({"amount": 10, "price": 59_000, "time_in_force": "good_til_date"}, -32602, "time_in_force"),
        ({"amount": 10, "price": 70_000}, 10007, None),
        ({"amount": 10, "price": 60_500, "post_only": True, "reject_post_only": True}, 11054, None),
        ({"amount": 10, "price": 59_000, "reduce_only": True}, 11030, None),
        ({"amount": 9_000_000_000, "price": 59_500}, 10009, None),
        ({"amount": 10, "price": 59_000, "instrument_name": "BTC-NOPE"}, 13020, None),
        ({"amount": 10, "contracts": 2, "price": 59_000}, -32602, "contracts"),
    ],
)
def test_an_order_it_cannot_take_is_refused_in_its_own_code(
    terms: dict[str, Any], code: int, param: str | None
) -> None:
    async def scene(host: Host) -> None:
        async with connect(host) as rpc:
            reply = await rpc.call("private/buy", **{"instrument_name": PERP, **terms})
            assert reply["error"]["code"] == code
            assert param is None or reply["error"]["data"]["param"] == param

    assert not run(scene).exchange.truth.of("order")


def test_the_book_begins_with_a_snapshot_and_every_change_names_the_one_before() -> None:
    async def scene(host: Host) -> None:
        quiet(host)
        async with connect(host) as rpc:
            channel = f"book.{PERP}.raw"
            assert await rpc.result("private/subscribe", channels=[channel, "no.such"]) == [channel]
            levels: dict[tuple[str, float], float] = {}
            for size in (10, 20, 30):
                await buy(rpc, 59_000.0 + size, size)
            host.exchange.trade(PERP, Side.SELL, D(1020))
            rows = await rpc.until(channel, 5)
            assert [r["type"] for r in rows] == ["snapshot"] + ["change"] * 4
            for previous, row in pairwise(rows):
                assert row["prev_change_id"] == previous["change_id"] < row["change_id"]
            for row in rows:
                for side in ("bids", "asks"):
                    for act, price, amount in row[side]:
                        assert (act == "new") == ((side, price) not in levels)
                        levels[side, price] = amount
                        if act == "delete":
                            assert levels.pop((side, price)) == 0
            book = host.exchange.books[PERP]
            assert {p: q for (s, p), q in levels.items() if s == "bids"} == {
                float(p): float(q) for p, q in book.bids.levels()
            }

    run(scene)


def test_a_paced_book_gathers_what_happened() -> None:
    async def scene(host: Host) -> None:
        quiet(host)
        async with connect(host) as rpc:
            channel = f"book.{PERP}.100ms"
            await rpc.result("public/subscribe", channels=[channel])
            await rpc.until(channel)
            for size in (10, 20, 30):
                await buy(rpc, 59_000.0, size)
            rows = await rpc.until(channel, 2)
            total = [amount for _, _, amount in rows[1]["bids"]]
            assert total == [60] and rows[1]["prev_change_id"] == rows[0]["change_id"]

    run(scene)


def test_raw_needs_a_login() -> None:
    async def scene(host: Host) -> None:
        async with connect(host, login=False) as rpc:
            assert await rpc.code("public/subscribe", channels=[f"book.{PERP}.raw"]) == 13778
            assert await rpc.code("private/subscribe", channels=["user.orders.any.any.raw"]) == 13009
            assert await rpc.result("public/subscribe", channels=[f"ticker.{PERP}.100ms"])

    run(scene)


def test_one_trade_is_told_on_every_private_channel_and_by_rest_alike() -> None:
    async def scene(host: Host) -> None:
        quiet(host)
        async with connect(host) as rpc:
            named = ["orders", "trades", "changes"]
            channels = [f"user.{x}.any.any.raw" for x in named] + ["user.portfolio.btc"]
            await rpc.result("private/subscribe", channels=channels)
            order = await buy(rpc, 60_000.0, 500, label="one")
            assert (order["order_state"], order["filled_amount"]) == ("filled", 500)
            await rpc.until("user.changes.any.any.raw")
            await rpc.until("user.portfolio.btc", 2)
            trade = rpc.data("user.trades.any.any.raw")[0][0]
            assert (trade["amount"], trade["liquidity"], trade["label"]) == (500, "T", "one")
            assert trade["fee"] == pytest.approx(500 / 60_000 * 0.0005, rel=1e-9)
            changes = rpc.data("user.changes.any.any.raw")[0]
            assert [t["trade_id"] for t in changes["trades"]] == [trade["trade_id"]]
            assert changes["positions"][0]["size"] == 500
            asked = await rpc.result("private/get_user_trades_by_currency", currency="BTC")
            assert [t["trade_id"] for t in asked["trades"]] == [trade["trade_id"]]
            states = [o["order_state"] for o in rpc.data("user.orders.any.any.raw")]
            assert states[-1] == "filled"
            summary = rpc.data("user.portfolio.btc")[-1]
            session = summary["futures_session_rpl"] + summary["futures_session_upl"]
            assert summary["margin_balance"] == pytest.approx(summary["balance"] + session, abs=1e-12)

    run(scene)


def test_trades_come_ten_at_a_time_unless_asked() -> None:
    async def scene(host: Host) -> None:
        quiet(host)
        async with connect(host) as rpc:
            for _ in range(12):
                await buy(rpc, 60_000.0, 10)
            asked = await rpc.result("private/get_user_trades_by_instrument", instrument_name=PERP)
            assert len(asked["trades"]) == 10 and asked["has_more"]
            more = await rpc.result("private/get_user_trades_by_instrument", instrument_name=PERP, count=100)
            assert len(more["trades"]) == 12 and not more["has_more"]
            stamps = [t["trade_seq"] for t in more["trades"]]
            assert stamps == sorted(stamps, reverse=True)

    run(scene)


def test_a_flat_position_stays_listed_with_size_zero() -> None:
    async def scene(host: Host) -> None:
        quiet(host)
        async with connect(host) as rpc:
            await buy(rpc, 60_000.0, 100)
            terms = {"instrument_name": PERP, "type": "market", "reduce_only": True}
            await rpc.result("private/sell", amount=100, **terms)
            rows = await rpc.result("private/get_positions", currency="BTC")
            assert [(r["size"], r["direction"]) for r in rows] == [(0, "zero")]

    run(scene)


def test_cancel_on_disconnect_takes_the_orders_of_its_own_connection() -> None:
    async def scene(host: Host) -> None:
        async with connect(host) as other:
            kept = await buy(other, 59_000.0)
            async with connect(host) as rpc:
                assert await rpc.result("private/enable_cancel_on_disconnect") == "ok"
                await buy(rpc, 59_000.0)
            await asyncio.sleep(0.05)
            left = await other.result("private/get_open_orders")
            assert [o["order_id"] for o in left] == [kept["order_id"]]
            async with connect(host) as rpc:  # saying goodbye keeps them
                await rpc.result("private/enable_cancel_on_disconnect")
                await buy(rpc, 59_000.0)
                await rpc.send("private/logout")
                await asyncio.sleep(0.05)
            assert len(await other.result("private/get_open_orders")) == 2
            status, body = await get(host, "/api/v2/private/enable_cancel_on_disconnect")
            assert status == 401 or json.loads(body)["error"]["code"] == 10030

    ended = run(scene).exchange.truth.of("cancelled")
    assert [r["why"] for r in ended] == ["disconnect"]


def test_an_unanswered_heartbeat_closes_the_connection() -> None:
    async def scene(host: Host) -> None:
        async with connect(host) as rpc:
            assert await rpc.result("public/set_heartbeat", interval=0.1) == "ok"
            for _ in range(6):
                message = await rpc.next()
                if message.get("params", {}).get("type") == "test_request":
                    await rpc.send("public/test")
            with pytest.raises(Closed):
                while True:
                    await rpc.next()

    run(scene, heartbeat_s_min=0.05)


def test_beyond_its_credits_an_account_is_told_so_and_cut_off() -> None:
    async def scene(host: Host) -> None:
        async with connect(host) as rpc:
            codes = []
            with pytest.raises(Closed):
                for n in range(8):
                    reply = await rpc.call(
                        "private/buy", instrument_name=PERP, amount=10, price=59_000 - n, type="limit"
                    )
                    codes.append(reply.get("error", {}).get("code"))
            assert codes == [None] * 5 + [10028]
        async with connect(host) as rpc:  # mass cancel has a pool of its own
            assert await rpc.result("private/cancel_all") == 5

    run(scene, credits=Credits(matching_rate=0.01, matching_burst=5))


def test_private_news_may_come_before_the_reply() -> None:
    async def scene(host: Host) -> None:
        quiet(host)
        async with connect(host) as rpc:
            await rpc.result("private/subscribe", channels=["user.trades.any.any.raw"])
            rpc.order.clear()
            await buy(rpc, 60_000.0, 10)
            assert rpc.order == ["user.trades.any.any.raw", "reply"]

    run(scene, news_first=True)


def test_maintenance_answers_questions_and_takes_no_orders() -> None:
    async def scene(host: Host) -> None:
        async with connect(host) as rpc:
            await rpc.result("public/subscribe", channels=["platform_state"])
            host.exchange.maintain(True)
            assert (await rpc.result("public/status"))["locked"] == "true"
            assert (await rpc.until("platform_state"))[0]["maintenance"] is True
            terms = {"instrument_name": PERP, "amount": 10, "price": 59_000}
            assert await rpc.code("private/buy", **terms) == 11051
            assert await rpc.result("private/get_open_orders") == []

    run(scene)


def test_settlement_pays_and_closes() -> None:
    async def scene(host: Host) -> None:
        exchange = host.exchange
        call = next(
            i for i in exchange.instruments.values() if i.inverse and i.right == "C" and i.base == "BTC"
        )
        async with connect(host) as rpc:
            await rpc.result("public/subscribe", channels=["instrument.state.any.any"])
            ask = (await rpc.result("public/ticker", instrument_name=call.symbol))["best_ask_price"]
            await rpc.result("private/buy", instrument_name=call.symbol, amount=0.1, price=ask, type="limit")
            before = (await rpc.result("private/get_account_summary", currency="BTC"))["balance"]
            exchange.settle(call.symbol, D(80_000))
            after = (await rpc.result("private/get_account_summary", currency="BTC"))["balance"]
            assert call.strike is not None
            paid = D("0.1") * (80_000 - call.strike) / 80_000
            assert after - before == pytest.approx(float(paid), abs=1e-12)
            assert (await rpc.until("instrument.state.any.any"))[0]["state"] == "settled"
            assert await rpc.code("private/buy", instrument_name=call.symbol, amount=0.1, price=ask) == 13019

    run(scene)


def test_what_is_not_json_is_answered_and_harms_nobody() -> None:
    async def scene(host: Host) -> None:
        async with connect(host) as rpc:
            for frame in ("{", "[]", "7", '"text"', '{"method": 5, "params": []}'):
                await rpc.ws.send_str(frame)
                assert (await rpc.next())["error"]["code"] in (-32700, -32601)
            assert await rpc.code("private/no_such_method") == -32601
            assert await rpc.result("public/test") == {"version": "1.2.26"}

    run(scene)


def test_post_answers_as_get_does() -> None:
    async def scene(host: Host) -> None:
        body = {
            "jsonrpc": "2.0",
            "id": 9,
            "method": "public/get_instrument",
            "params": {"instrument_name": PERP},
        }
        async with ClientSession() as http, http.post(f"{host.url}/api/v2", json=body) as response:
            posted = await response.json()
        _, got = await get(host, f"/api/v2/public/get_instrument?instrument_name={PERP}")
        assert posted["id"] == 9 and posted["result"] == json.loads(got)["result"]

    run(scene)


_WORDS = [PERP, "BTC", "any", "option", "limit", "1e400", "NaN", "-1", "0", "true", "raw", "[", ""]
_CHANNELS = [f"book.{PERP}.none.x.raw", "user", "user.trades", "ticker", ".", '["user.orders"]']
_VALUES = st.one_of(
    st.sampled_from(_WORDS + _CHANNELS),
    st.none(),
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.floats(),
    st.lists(st.text(max_size=3), max_size=2),
)
_NAMES = [
    "instrument_name",
    "amount",
    "contracts",
    "price",
    "currency",
    "kind",
    "label",
    "order_id",
    "count",
    "depth",
    "channels",
    "start_timestamp",
    "offset",
    "type",
    "time_in_force",
    "post_only",
    "index_name",
    "grant_type",
]
_METHODS = sorted([*PRIVATE, *PUBLIC, "public/auth"])


@cache
def _small() -> Deribit:
    return deribit(credits=Credits(1e9, 1e9, 1e9, 1e9))[0]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(_METHODS), st.dictionaries(st.sampled_from(_NAMES), _VALUES, max_size=6))
def test_no_parameters_break_it(operation: str, params: dict[str, Any]) -> None:
    key = {"grant_type": "client_credentials", "client_id": "key", "client_secret": "secret"}
    told = _small().perform(Call("public/auth", dict(key)))
    assert told is not None
    answer = _small().perform(Call(operation, {**params, "access_token": told.payload["access_token"]}))
    assert answer is not None
    if answer.error is not None:
        assert isinstance(answer.error["code"], int) and answer.error["message"]
    json.loads(_small().write(Call(operation, {}), answer))
