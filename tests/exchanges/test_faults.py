"""Every fault does what its name says, and the record tells what was done from what was only told."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from decimal import Decimal as D
from itertools import pairwise

import pytest
from aiohttp import ClientError, ClientSession, ClientTimeout

from tests.exchanges.deribit import Deribit, deribit
from tests.exchanges.faults import Act
from tests.exchanges.rpc import Closed, Rpc, connect
from tests.exchanges.server import Answer, Call, Host, serve
from tests.exchanges.test_deribit_protocol import PERP, buy, quiet, run
from tests.exchanges.words import Side

BOOK = f"book.{PERP}.raw"


def made(host: Host) -> int:
    """Orders the exchange really took."""
    return len(host.exchange.truth.of("order"))


# ---- calls over a socket


@pytest.mark.parametrize(
    ("act", "orders"),
    [(Act.CUT_BEFORE, 0), (Act.CUT_AFTER, 1), (Act.RATE_KILL, 0)],
)
def test_a_socket_cut_before_and_after_the_deed(act: Act, orders: int) -> None:
    async def scene(host: Host) -> None:
        host.faults.add(act, "private/buy")
        async with connect(host) as rpc:
            with pytest.raises(Closed):
                reply = await rpc.call("private/buy", instrument_name=PERP, amount=10, price=59_000)
                assert reply["error"]["code"] == 10028
                await rpc.next()
        async with connect(host) as rpc:
            assert len(await rpc.result("private/get_open_orders")) == orders

    assert made(run(scene)) == orders


@pytest.mark.parametrize(("act", "orders"), [(Act.MUTE_BEFORE, 0), (Act.MUTE_AFTER, 1)])
def test_silence_where_the_socket_stays(act: Act, orders: int) -> None:
    async def scene(host: Host) -> None:
        host.faults.add(act, "private/buy")
        async with connect(host) as rpc:
            await rpc.send("private/buy", instrument_name=PERP, amount=10, price=59_000)
            with pytest.raises(TimeoutError):
                await rpc.next(0.1)
        async with connect(host) as rpc:
            assert len(await rpc.result("private/get_open_orders")) == orders

    assert made(run(scene)) == orders


@pytest.mark.parametrize(
    ("act", "orders", "code"),
    [
        (Act.RATE, 0, 10028),
        (Act.ERROR_BEFORE, 0, 11094),
        (Act.ERROR_AFTER, 1, 11094),
        (Act.UNAUTHORIZED, 0, 13009),
    ],
)
def test_an_error_before_and_after_the_deed(act: Act, orders: int, code: int) -> None:
    async def scene(host: Host) -> None:
        host.faults.add(act, "private/buy")
        async with connect(host) as rpc:
            assert await rpc.code("private/buy", instrument_name=PERP, amount=10, price=59_000) == code
            assert len(await rpc.result("private/get_open_orders")) == orders

    assert made(run(scene)) == orders


def test_delays_before_and_after_the_deed() -> None:
    async def scene(host: Host) -> None:
        async with connect(host) as rpc:
            for n, act in enumerate((Act.WAIT_AFTER, Act.WAIT_BEFORE)):
                host.faults.add(act, "private/buy", seconds=0.2)
                await rpc.send("private/buy", instrument_name=PERP, amount=10, price=59_000)
                await asyncio.sleep(0.1)
                assert made(host) == 1  # the first is done while its reply waits, the second is not done yet
                await rpc.next()
                assert made(host) == n + 1

    run(scene)


def test_stale_empty_and_denied_answers() -> None:
    async def scene(host: Host) -> None:
        async with connect(host) as rpc:
            assert await rpc.result("private/get_open_orders") == []
            order = await buy(rpc, 59_000.0, label="x")
            host.faults.add(Act.STALE, "private/get_open_orders")
            assert await rpc.result("private/get_open_orders") == []
            assert len(await rpc.result("private/get_open_orders")) == 1
            host.faults.add(Act.EMPTY, "private/get_open_orders")
            assert await rpc.result("private/get_open_orders") == []
            host.exchange.outside("desk", PERP, Side.BUY, D(10), D(60_000), "manual")
            for act, wanted in ((Act.EMPTY, []), (Act.ERROR_BEFORE, 11094)):  # neither is "flat"
                host.faults.add(act, "private/get_positions")
                reply = await rpc.call("private/get_positions")
                assert wanted in (reply.get("result"), reply.get("error", {}).get("code"))
            assert len(await rpc.result("private/get_positions")) == 1
            host.faults.add(Act.UNKNOWN_ORDER, "private/get_order_state*", times=2)
            for _ in range(2):
                assert await rpc.code("private/get_order_state", order_id=order["order_id"]) == 10004
            state = await rpc.result("private/get_order_state", order_id=order["order_id"])
            assert state["order_state"] == "open"

    run(scene)


def test_twice_performed_once_answered() -> None:
    async def scene(host: Host) -> None:
        host.faults.add(Act.TWICE, "private/buy")
        async with connect(host) as rpc:
            order = await buy(rpc, 59_000.0, label="x")
            both = await rpc.result("private/get_order_state_by_label", currency="BTC", label="x")
            assert len(both) == 2 and both[1]["order_id"] == order["order_id"]

    run(scene)


def test_a_web_page_and_half_a_reply() -> None:
    async def scene(host: Host) -> None:
        async with connect(host) as rpc:
            for act in (Act.HTML, Act.CUT_JSON):
                host.faults.add(act, "private/buy", status=502)
                await rpc.send("private/buy", instrument_name=PERP, amount=10, price=59_000)
                assert "unreadable" in await rpc.next()
            assert len(await rpc.result("private/get_open_orders")) == 2

    run(scene)


# ---- calls by HTTP


@pytest.mark.parametrize(
    ("act", "orders", "status"),
    [
        (Act.CUT_BEFORE, 0, None),
        (Act.CUT_AFTER, 1, None),
        (Act.MUTE_AFTER, 1, None),
        (Act.ERROR_BEFORE, 0, 504),
        (Act.ERROR_AFTER, 1, 504),
        (Act.HTML, 1, 504),
        (Act.CUT_JSON, 1, 200),
        (Act.RATE, 0, 429),
        (Act.UNAUTHORIZED, 0, 401),
        (Act.REDIRECT, 0, 302),
    ],
)
def test_the_same_by_http(act: Act, orders: int, status: int | None) -> None:
    async def scene(host: Host) -> None:
        async with connect(host) as rpc:
            token = (await rpc.login())["access_token"]
        host.faults.add(act, "private/buy", status=504)
        body = {"method": "private/buy", "params": {"instrument_name": PERP, "amount": 10, "price": 59_000}}
        async with ClientSession(timeout=ClientTimeout(total=0.3)) as http:
            asked = http.post(
                f"{host.url}/api/v2", json=body, headers={"Authorization": f"Bearer {token}"},
                allow_redirects=False,
            )  # fmt: skip
            if status is None:
                with pytest.raises((ClientError, TimeoutError)):
                    await asked
            else:
                async with asked as response:
                    assert response.status == status
                    if act is Act.HTML:
                        assert "<html>" in await response.text()

    assert made(run(scene)) == orders


# ---- frames


async def _three_changes(host: Host, rpc: Rpc) -> list[tuple[int | None, int]]:
    """Subscribe to the book, change it three times; the links of the chain as they came."""
    await rpc.result("private/subscribe", channels=[BOOK])
    await rpc.until(BOOK)
    for price in (59_100, 59_200, 59_300):
        host.exchange.quote(PERP, [(D(price), D(100))], [(D(60_000), D(1000))])
        await asyncio.sleep(0.01)
    await rpc.hush()
    return [(row.get("prev_change_id"), row["change_id"]) for row in rpc.data(BOOK)]


def _breaks(chain: list[tuple[int | None, int]]) -> int:
    """Where a change does not follow the one before it."""
    return sum(1 for (_, a), (b, _) in pairwise(chain) if a != b)


@pytest.mark.parametrize(
    ("act", "frames", "breaks"),
    [(None, 4, 0), (Act.DROP, 3, 1), (Act.DUPLICATE, 5, 1), (Act.REORDER, 4, 2), (Act.DELAY, 4, 0)],
)
def test_one_frame_lost_doubled_swapped_or_late(act: Act | None, frames: int, breaks: int) -> None:
    async def scene(host: Host) -> None:
        quiet(host)
        async with connect(host) as rpc:
            if act is not None:
                host.faults.add(act, BOOK, skip=2, seconds=0.05)
            chain = await _three_changes(host, rpc)
            assert (len(chain), _breaks(chain)) == (frames, breaks)

    run(scene)


@pytest.mark.parametrize(("act", "frames"), [(Act.CUT, 2), (Act.CUT_BEHIND, 3), (Act.BREAK, 3)])
def test_the_socket_cut_at_a_chosen_frame(act: Act, frames: int) -> None:
    async def scene(host: Host) -> None:
        quiet(host)
        async with connect(host) as rpc:
            host.faults.add(act, BOOK, skip=2)
            if act is Act.BREAK:
                assert len(await _three_changes(host, rpc)) == frames
                return
            with pytest.raises(Closed):
                await _three_changes(host, rpc)
            assert len(rpc.data(BOOK)) == frames

    run(scene)


def test_a_black_hole_neither_reads_nor_writes_and_says_no_farewell() -> None:
    async def scene(host: Host) -> None:
        async with connect(host) as rpc:
            host.faults.black_hole = True
            await rpc.send("private/buy", instrument_name=PERP, amount=10, price=59_000)
            await rpc.ws.ping()
            with pytest.raises(TimeoutError):
                await rpc.next(0.15)
            assert made(host) == 0 and not rpc.ws.closed
            host.faults.black_hole = False
            await rpc.next()
            assert made(host) == 1

    run(scene)


def test_latency_is_a_length_of_way_not_a_queue() -> None:
    async def scene(host: Host) -> None:
        async with connect(host) as rpc:
            host.faults.latency_s = 0.1
            for _ in range(30):
                await rpc.send("private/buy", instrument_name=PERP, amount=10, price=59_000)
            await asyncio.sleep(0.05)
            assert made(host) == 0
            await rpc.next()
            assert made(host) == 30  # all are done before the first reply is here

    run(scene)


def test_a_skewed_clock_shows_in_stamps_and_only_time_ages_tokens() -> None:
    async def scene(host: Host) -> None:
        async with connect(host) as rpc:
            before = await rpc.result("public/get_time")
            host.exchange.clock.skew_ns = 901 * 10**9
            assert await rpc.result("public/get_time") - before >= 901_000
            assert await rpc.result("private/get_positions") == []  # the token is for 900 s
            host.exchange.clock.advance(901.0)
            assert await rpc.code("private/get_positions") == 13009

    run(scene)


def test_trades_that_nobody_ordered() -> None:
    async def scene(host: Host) -> None:
        async with connect(host) as rpc:
            await rpc.result("private/subscribe", channels=["user.trades.any.any.raw"])
            for why in ("liquidation", "adl", "bust"):
                host.exchange.outside("desk", PERP, Side.SELL, D(10), D(60_000), why)
            rows = await rpc.until("user.trades.any.any.raw", 1)
            await rpc.hush()
            flat = [t for row in rows for t in row]
            assert [t["order_id"] for t in flat] == ["0"] * 3 and "label" not in flat[0]
            assert (await rpc.result("private/get_positions"))[0]["size"] == -30

    host = run(scene)
    assert [r["why"] for r in host.exchange.truth.of("fill")] == ["liquidation", "adl", "bust"]


# ---- from another process


def test_it_runs_from_a_shell_and_its_fault_port_answers() -> None:
    command = [sys.executable, "-m", "tests.exchanges.deribit", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline())
            asyncio.run(_from_outside(f"http://127.0.0.1:{port}"))
        finally:
            process.terminate()


@pytest.mark.parametrize("name", ["okx", "bybit", "binance", "hyperliquid"])  # the fifth is above
def test_each_of_the_others_tells_its_port_answers_there_and_ends_when_asked(name: str) -> None:
    command = [sys.executable, "-m", f"tests.exchanges.{name}", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline())
            assert asyncio.run(_transfer(f"http://127.0.0.1:{port}")) == 200
            process.terminate()
            process.wait(30.0)
        finally:
            process.kill()


async def _transfer(url: str) -> int:
    terms = {"account": "desk", "currency": "BTC", "amount": "1"}
    async with ClientSession() as http, http.post(f"{url}/admin/transfer", json=terms) as response:
        return response.status


async def _from_outside(url: str) -> None:
    async with ClientSession() as http:

        async def admin(verb: str, **terms: object) -> int:
            async with http.post(f"{url}/admin/{verb}", json=terms) as response:
                return response.status

        assert await admin("fault", act="error_before", match="public/get_time", status=503) == 200
        async with http.get(f"{url}/api/v2/public/get_time") as response:
            assert response.status == 503
        assert await admin("quote", symbol=PERP, bids=[[59_000, 100]], asks=[[61_000, 100]]) == 200
        async with http.get(f"{url}/api/v2/public/ticker?instrument_name={PERP}") as response:
            result = json.loads(await response.text())["result"]
            assert (result["best_bid_price"], result["best_ask_price"]) == (59_000, 61_000)
        assert await admin("trade", symbol=PERP, side="buy", quantity="50") == 200
        assert await admin("transfer", account="desk", currency="BTC", amount="1") == 200
        for verb, terms in (("nonsense", {}), ("quote", {"symbol": "NOPE", "bids": [], "asks": []})):
            assert await admin(verb, **terms) in (400, 404)
        async with http.get(f"{url}/admin/truth") as response:
            assert [r["amount"] for r in await response.json()][-1] == "1"


def test_two_exchanges_at_once_keep_apart() -> None:
    async def play() -> None:
        async with serve(deribit()[0]) as one, serve(deribit(seed=8)[0]) as two:
            async with connect(one) as rpc:
                await buy(rpc, 59_000.0)
            assert (made(one), made(two)) == (1, 0)
            one.cut_sessions()
            async with connect(two) as rpc:
                assert await rpc.result("private/get_open_orders") == []

    asyncio.run(play())


def test_a_mistake_of_the_emulator_is_no_fault_of_the_network() -> None:
    class Faulty(Deribit):
        def perform(self, call: Call) -> Answer | None:
            if call.operation == "public/test":
                raise ZeroDivisionError
            return super().perform(call)

    async def play() -> None:
        good, _ = deribit()
        async with serve(Faulty(good.exchange)) as host, connect(host) as rpc:
            with pytest.raises(Closed):
                await rpc.call("public/test")

    with pytest.raises(ZeroDivisionError):
        asyncio.run(play())


def test_a_socket_whose_asker_has_gone_before_it_stands_ends_quietly(
    caplog: pytest.LogCaptureFixture,
) -> None:
    asked = (
        b"GET /ws/api/v2 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )

    async def scene(host: Host) -> None:
        host.faults.black_hole = True
        _, writer = await asyncio.open_connection("127.0.0.1", host.port)
        writer.write(asked)
        await asyncio.sleep(0.05)
        writer.transport.abort()
        await asyncio.sleep(0.05)
        host.faults.black_hole = False
        async with connect(host) as rpc:  # others are answered as ever
            assert await rpc.result("private/get_open_orders") == []
        assert host.connected == 1

    run(scene)
    assert [x.getMessage() for x in caplog.records if x.levelname == "ERROR"] == []
