"""A bare JSON-RPC client for tests of the loopback Deribit itself: no library between test and wire."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType

from tests.exchanges.server import Host


class Closed(Exception):
    """The socket closed where something was waited for."""


class Rpc:
    """One socket. told: every notification, in order."""

    def __init__(self, ws: ClientWebSocketResponse) -> None:
        self.ws = ws
        self.told: list[dict[str, Any]] = []
        self.frames: list[str] = []
        self.order: list[str] = []  # "reply" or the channel, as they came
        self._next = 0

    async def send(self, method: str, **params: Any) -> int:
        """Send a request; its id."""
        self._next += 1
        try:
            await self.ws.send_json({"jsonrpc": "2.0", "id": self._next, "method": method, "params": params})
        except ConnectionError as error:
            raise Closed("sending") from error
        return self._next

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a request and wait for its whole reply."""
        number = await self.send(method, **params)
        while True:
            message = await self.next()
            if message.get("id") == number:
                return message

    async def result(self, method: str, **params: Any) -> Any:
        """The `result` of a call."""
        reply = await self.call(method, **params)
        assert "result" in reply, reply
        return reply["result"]

    async def code(self, method: str, **params: Any) -> int:
        """The error code of a call."""
        reply = await self.call(method, **params)
        return int(reply["error"]["code"])

    async def next(self, patience_s: float = 2.0) -> dict[str, Any]:
        """The next message, kept if it is a notification.

        Raises:
            Closed: there is none, the socket has closed.
        """
        message = await asyncio.wait_for(self.ws.receive(), patience_s)
        if message.type is not WSMsgType.TEXT:
            raise Closed(message.type.name)
        self.frames.append(message.data)
        try:
            body: dict[str, Any] = json.loads(message.data)
        except ValueError:
            return {"unreadable": message.data}
        if "method" in body:
            self.told.append(body)
        self.order.append(body["params"].get("channel", body["method"]) if "method" in body else "reply")
        return body

    async def until(self, channel: str, count: int = 1) -> list[Any]:
        """The data of a channel, once it was heard so often."""
        while len(self.data(channel)) < count:
            await self.next()
        return self.data(channel)

    def data(self, channel: str) -> list[Any]:
        """What a channel has said."""
        rows = [m["params"] for m in self.told if m["method"] == "subscription"]
        return [r["data"] for r in rows if r["channel"] == channel]

    async def hush(self, seconds: float = 0.1) -> None:
        """Read whatever comes until nothing does."""
        while True:
            try:
                await self.next(seconds)
            except TimeoutError:
                return

    async def login(self, key: str = "key", secret: str = "secret") -> Any:
        """Authenticate the connection."""
        return await self.result(
            "public/auth", grant_type="client_credentials", client_id=key, client_secret=secret
        )


@asynccontextmanager
async def connect(host: Host, *, login: bool = True) -> AsyncIterator[Rpc]:
    """A socket to a Deribit, authenticated unless told otherwise."""
    async with ClientSession() as http, http.ws_connect(f"{host.ws_url}/ws/api/v2") as ws:
        rpc = Rpc(ws)
        if login:
            await rpc.login()
        yield rpc


async def get(host: Host, path: str, **headers: str) -> tuple[int, str]:
    """GET; status and body."""
    async with ClientSession() as http, http.get(f"{host.url}{path}", headers=headers) as response:
        return response.status, await response.text()
