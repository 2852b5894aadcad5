"""A few of OKX's endpoints with canned answers, for what an adapter makes of each; it matches nothing."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

SWAP = {
    "instId": "BTC-USDT-SWAP", "instType": "SWAP", "uly": "BTC-USDT", "settleCcy": "USDT", "ctType": "linear",
    "ctVal": "0.01", "ctMult": "1", "ctValCcy": "BTC", "lotSz": "0.01", "minSz": "0.01", "tickSz": "0.1",
    "state": "live",
}  # fmt: skip


@dataclass(slots=True)
class OkxStub:
    """reply: what `trade/order` answers; news: order messages that follow it; orders: by client id.
    maintenance: what is announced."""

    reply: Callable[[web.Request, dict[str, Any]], web.StreamResponse] | None = None
    news: list[dict[str, str]] = field(default_factory=list)
    orders: dict[str, dict[str, str]] = field(default_factory=dict)
    calls: list[tuple[str, Any]] = field(default_factory=list)
    sockets: list[web.WebSocketResponse] = field(default_factory=list)
    maintenance: list[dict[str, str]] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Any request."""
        if request.path.endswith("/private") or request.path.endswith("/public"):
            return await self._socket(request)
        name = request.path.removeprefix("/api/v5/")
        body = json.loads(await request.text() or "{}")
        self.calls.append((name, body))
        if name == "trade/order" and request.method == "POST":
            return await self._place(request, body)
        return _ok(self._data(name, dict(request.query), body))

    def _data(self, name: str, query: dict[str, str], body: Any) -> list[Any]:
        match name:
            case "public/instruments":
                return [SWAP] if query["instType"] == "SWAP" else []
            case "system/status":
                return [x for x in self.maintenance if x["state"] == query.get("state", x["state"])]
            case "public/time":
                return [{"ts": str(time.time_ns() // 10**6)}]
            case "account/trade-fee":
                return [{"maker": "-0.0002", "taker": "-0.0005", "makerU": "-0.0002", "takerU": "-0.0005"}]
            case "trade/order":
                found = self.orders.get(query["clOrdId"])
                if found is None:
                    return [{"error": "51603"}]
                return [found]
            case "trade/orders-pending":
                return [o for o in self.orders.values() if o["state"] in ("live", "partially_filled")]
            case "trade/cancel-batch-orders":
                for item in body:
                    for order in self.orders.values():
                        if order["ordId"] == item["ordId"]:
                            order["state"] = "canceled"
                return []
            case "trade/cancel-order":
                self.orders[body["clOrdId"]]["state"] = "canceled"
                return [{"sCode": "0"}]
        return []

    async def _place(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        order = order_of(body, number=str(len(self.orders) + 1))
        if self.reply is not None:
            answer = self.reply(request, body)
        else:
            self.orders[body["clOrdId"]] = order
            answer = _ok([{"ordId": order["ordId"], "clOrdId": body["clOrdId"], "sCode": "0", "sMsg": ""}])
        for change in self.news:
            order |= change
            await self.tell({"arg": {"channel": "orders", "instType": "ANY"}, "data": [order]})
        return answer

    async def tell(self, message: dict[str, Any]) -> None:
        """Push a frame to every socket."""
        for socket in self.sockets:
            await socket.send_str(json.dumps(message))

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.sockets.append(socket)
        async for frame in socket:
            if frame.data == "ping":
                await socket.send_str("pong")
                continue
            message = json.loads(frame.data)
            if message["op"] == "login":
                await socket.send_str('{"event":"login","code":"0","msg":""}')
            for arg in message["args"] if message["op"] == "subscribe" else []:
                await socket.send_str(json.dumps({"event": "subscribe", "arg": arg}))
        self.sockets.remove(socket)
        await asyncio.sleep(0)
        return socket


def order_of(body: dict[str, Any], number: str) -> dict[str, str]:
    """An order as OKX lists it, just accepted."""
    copied = {key: body[key] for key in ("instId", "clOrdId", "sz", "px", "side")}
    return copied | {
        "instType": "SWAP", "ordId": number, "state": "live", "accFillSz": "0", "cancelSource": "",
        "uTime": str(time.time_ns() // 10**6), "fillSz": "0", "tradeId": "",
    }  # fmt: skip


def refuse(code: str, sentence: str = "no") -> Callable[[web.Request, dict[str, Any]], web.StreamResponse]:
    """An answer by which OKX refuses one order."""

    def reply(_: web.Request, __: dict[str, Any]) -> web.StreamResponse:
        return web.json_response({"code": "1", "msg": "", "data": [{"sCode": code, "sMsg": sentence}]})

    return reply


def _ok(data: list[Any]) -> web.StreamResponse:
    if data and "error" in data[0]:
        return web.json_response({"code": data[0]["error"], "msg": "Order does not exist", "data": []})
    return web.json_response({"code": "0", "msg": "", "data": data})
