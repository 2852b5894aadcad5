"""The fault port over HTTP, on every exchange: each act that is documented answers, and bites."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import (
    ClientError,
    ClientSession,
    ClientTimeout,
    ClientWebSocketResponse,
    TCPConnector,
    WSMsgType,
)

from tests.exchanges.binance import binance
from tests.exchanges.bybit import bybit
from tests.exchanges.deribit import deribit
from tests.exchanges.faults import Act
from tests.exchanges.hyperliquid import hyperliquid
from tests.exchanges.okx import okx
from tests.exchanges.scenes import play
from tests.exchanges.server import Host


@dataclass(frozen=True, slots=True)
class Place:
    """One exchange. asked: verb, path, body of a question with a stamp in its answer; lists: of one with a
    list. path, join: of a book's stream. said: status and words of its own for a fault."""

    make: Callable[..., Any]
    symbol: str
    asked: tuple[str, str, Any]
    lists: tuple[str, str, Any]
    path: str
    join: Any
    said: dict[Act, tuple[int, str]] = field(default_factory=dict)
    account: str = "desk"


def sub(method: str, args: list[str]) -> dict[str, Any]:
    return {"method": method, "params": args, "id": 1}


PLACES = {
    "deribit": Place(
        deribit, "BTC-PERPETUAL", ("GET", "/api/v2/public/get_time", None),
        ("GET", "/api/v2/public/get_instruments?currency=BTC", None), "/ws/api/v2",
        {"jsonrpc": "2.0", "id": 1, "method": "public/subscribe",
         "params": {"channels": ["book.BTC-PERPETUAL.100ms"]}},
        {Act.RATE: (429, "10028"), Act.RATE_KILL: (429, "10028"), Act.FAIL_AFTER: (503, "11094"),
         Act.UNAUTHORIZED: (401, "13009"), Act.UNKNOWN_ORDER: (400, "10004")},
    ),
    "okx": Place(
        okx, "BTC-USDT-SWAP", ("GET", "/api/v5/public/time", None),
        ("GET", "/api/v5/public/instruments?instType=SWAP", None), "/ws/v5/public",
        {"op": "subscribe", "args": [{"channel": "books", "instId": "BTC-USDT-SWAP"}]},
        {Act.RATE: (429, "50011"), Act.RATE_KILL: (429, "50011"), Act.FAIL_AFTER: (503, "50026"),
         Act.UNAUTHORIZED: (401, "50111"), Act.UNKNOWN_ORDER: (200, "51603")},
    ),
    "bybit": Place(
        bybit, "BTCUSDT", ("GET", "/v5/market/time", None),
        ("GET", "/v5/market/instruments-info?category=linear", None), "/v5/public/linear",
        {"op": "subscribe", "args": ["orderbook.50.BTCUSDT"]},
        {Act.RATE: (200, "10006"), Act.RATE_KILL: (403, "10018"), Act.FAIL_AFTER: (503, "10016"),
         Act.UNAUTHORIZED: (401, "10003"), Act.UNKNOWN_ORDER: (200, "110001")},
    ),
    "binance": Place(
        binance, "BTCUSDT", ("GET", "/fapi/v1/time", None), ("GET", "/fapi/v1/exchangeInfo", None),
        "/fstream/ws", sub("SUBSCRIBE", ["btcusdt@depth@100ms"]),
        {Act.RATE: (429, "-1003"), Act.RATE_KILL: (418, "-1003"), Act.FAIL_AFTER: (503, "-1000"),
         Act.UNAUTHORIZED: (401, "-2015"), Act.UNKNOWN_ORDER: (400, "-2013")},
        "desk/linear",
    ),
    "hyperliquid": Place(
        hyperliquid, "BTC", ("POST", "/info", {"type": "l2Book", "coin": "BTC"}),
        ("POST", "/info", {"type": "l2Book", "coin": "BTC"}), "/ws",
        {"method": "subscribe", "subscription": {"type": "l2Book", "coin": "BTC"}},
        {Act.RATE: (429, "Too many"), Act.RATE_KILL: (429, "Too many"), Act.FAIL_AFTER: (503, "Internal"),
         Act.UNAUTHORIZED: (200, "does not exist"), Act.UNKNOWN_ORDER: (200, "unknownOid")},
    ),
}  # fmt: skip
CALLS = tuple(Act)[: tuple(Act).index(Act.DROP)]
FRAMES = tuple(Act)[tuple(Act).index(Act.DROP) :]
EVERY = pytest.mark.parametrize("name", PLACES)
Reply = tuple[int, str]


class Port:
    """The exchange and its fault port, by HTTP alone; no connection is used twice."""

    def __init__(self, host: Host, http: ClientSession, place: Place) -> None:
        self.host, self.http, self.place = host, http, place

    async def do(self, verb: str, **terms: object) -> None:
        """A verb that must be done."""
        async with self.http.post(f"{self.host.url}/admin/{verb}", json=terms) as answer:
            assert (answer.status, await answer.json()) == (200, {"done": verb})

    async def look(self, what: str) -> Any:
        """What the port tells."""
        async with self.http.get(f"{self.host.url}/admin/{what}") as answer:
            return await answer.json()

    async def ask(self, question: tuple[str, str, Any]) -> Reply | None:
        """The answer; None: there was none."""
        verb, path, body = question
        asked = self.http.request(verb, self.host.url + path, json=body, allow_redirects=False)
        try:
            async with asked as answer:
                return answer.status, await answer.text()
        except (ClientError, TimeoutError):
            return None

    async def quote(self, price: int) -> None:
        """A book of one level a side."""
        await self.do("quote", symbol=self.place.symbol, bids=[[price, 10]], asks=[[price + 100, 10]])


def scene(name: str, work: Callable[[Port], Any]) -> None:
    """Play with the port of a fresh exchange."""
    place = PLACES[name]

    async def whole(host: Host) -> None:
        wires = TCPConnector(force_close=True)
        async with ClientSession(connector=wires, timeout=ClientTimeout(total=1.0)) as http:
            await work(Port(host, http, place))

    play(place.make, whole)


@EVERY
def test_each_act_on_a_call_bites(name: str) -> None:
    async def work(port: Port) -> None:
        place = port.place
        assert await port.ask(place.asked)
        operation = (await port.look("calls"))[-1][1]
        for act in CALLS:
            question = place.lists if act is Act.EMPTY else place.asked
            before = await port.ask(question)
            await port.do("advance", seconds=3)
            match = "*" if act is Act.EMPTY else operation
            times = 2 if silent(act) else 1  # aiohttp asks once more by itself where a GET has no answer
            await port.do("fault", act=act, match=match, seconds=0.05, status=503, times=times)
            found = await port.ask(question)
            assert port.host.faults.done[-1][0] == act, act
            assert bites(place, act, before, found), (act, found)
            if silent(act):
                await port.do("clear")
            after = await port.ask(question)
            assert after is not None and after[0] == 200, (act, after)  # once, and no longer

    scene(name, work)


def silent(act: Act) -> bool:
    return act in (Act.CUT_BEFORE, Act.CUT_AFTER, Act.MUTE_BEFORE, Act.MUTE_AFTER)


def bites(place: Place, act: Act, before: Reply | None, found: Reply | None) -> bool:
    """Whether an answer is what an act makes of it."""
    if silent(act):
        return found is None
    assert before is not None and found is not None, act
    status, text = found
    if act in (Act.ERROR_BEFORE, Act.ERROR_AFTER, Act.HTML):
        return status == 503 and "<html" in text
    if act is Act.CUT_JSON:
        return status == 200 and not is_json(text)
    if act is Act.STALE:  # Deribit and Bybit stamp each envelope anew, at its end
        end = max(text.find(',"usIn"'), text.find(',"retExtInfo"'))
        return text[:end] == before[1][:end]
    if act is Act.EMPTY:
        return status == 200 and len(text) < len(before[1]) and "[]" in text
    if act is Act.REDIRECT:
        return status == 302
    if act is Act.FAIL_BEFORE:
        act = Act.FAIL_AFTER
    if act in place.said:
        wanted, words = place.said[act]
        return status == wanted and words in text and is_json(text)
    return status == 200 and is_json(text) and text != before[1]  # it waits, or is done twice


def is_json(text: str) -> bool:
    try:
        json.loads(text)
    except json.JSONDecodeError:
        return False
    return True


async def texts(socket: ClientWebSocketResponse, seconds: float = 0.18) -> list[str]:
    """What comes within a time; "closed" at the end."""
    found: list[str] = []
    while not found or found[-1] != "closed":
        try:
            message = await asyncio.wait_for(socket.receive(), seconds)
        except TimeoutError:
            return found
        found.append(str(message.data) if message.type is WSMsgType.TEXT else "closed")
    return found


@EVERY
def test_each_act_on_a_frame_of_a_book_bites(name: str) -> None:
    async def work(port: Port) -> None:
        price = 50_000
        for act in FRAMES:
            async with port.http.ws_connect(port.host.url + port.place.path) as socket:
                await socket.send_json(port.place.join)
                await port.quote(price := price + 10)
                assert await texts(socket), "the stream has begun"
                await port.do("fault", act=act, seconds=0.05)
                await port.quote(price := price + 10)
                found = await texts(socket)
                assert port.host.faults.done[-1][0] == act, act
                if act is Act.REORDER:
                    assert found == []
                    await port.quote(price := price + 10)
                    later, earlier = await texts(socket)
                    assert str(price) in later and str(price) not in earlier.replace(str(price - 10), "")
                    continue
                told = [text for text in found if text != "closed"]
                assert ("closed" in found) is (act in (Act.CUT, Act.CUT_BEHIND)), (act, found)
                assert len(told) == {Act.DROP: 0, Act.CUT: 0, Act.DUPLICATE: 2}.get(act, 1), (act, found)
                assert all(is_json(text) is (act is not Act.BREAK) for text in told) and len(set(told)) < 2
        assert await port.look("channels")

    scene(name, work)


@EVERY
def test_each_verb_is_done(name: str) -> None:
    async def work(port: Port) -> None:
        host, symbol, account = port.host, port.place.symbol, port.place.account
        exchange = host.exchange
        (key,) = await port.look("keys")
        currency = next(iter(exchange.account(account).balances))
        before = exchange.account(account).balances[currency]
        await port.do("transfer", account=account, currency=currency, amount="1")
        assert exchange.account(account).balances[currency] == before + 1
        await port.do("latency", seconds=0.02)
        assert host.faults.latency_s == 0.02
        await port.do("clear")
        await port.do("skew", seconds=300)
        assert exchange.clock.skew_ns == 300 * 10**9
        await port.do("skew", seconds=0)
        await port.do("trade", symbol=symbol, side="buy", quantity="1")
        await port.do("mark", symbol=symbol, price=60_002)
        assert exchange.marks[symbol].price == 60_002
        await port.do("terms", symbol=symbol, tick="10", lot="100", minimum="100")
        assert exchange.instruments[symbol].lot == 100
        for verb in ("maintenance", "settling"):
            await port.do(verb, on=True)
            await port.do(verb, on=False)
        filled = len(exchange.fills(account))
        terms = {"account": account, "symbol": symbol, "side": "buy", "quantity": "100", "price": "60000"}
        await port.do("outside", **terms, why="adl")
        assert len(exchange.fills(account)) == filled + 1
        await port.do("fund", symbol=symbol, rate="0.0001")
        await port.do("dark", on=True)
        assert await port.ask(port.place.asked) is None
        await port.do("dark", on=False)
        for verb in ("cut", "end"):
            async with port.http.ws_connect(host.url + port.place.path) as socket:
                await port.do(verb)
                assert "closed" in await texts(socket)
        await port.do("scopes", scopes=["read"])
        assert exchange.keys[key].scopes == ("read",)
        await port.do("revoke", key=key)
        assert exchange.keys[key].revoked
        await port.do("settle", symbol=symbol, price="60000")
        await port.do("close", symbol=symbol)
        rows = {row["event"] for row in await port.look("truth")}
        assert {"fill"} <= rows

    scene(name, work)
