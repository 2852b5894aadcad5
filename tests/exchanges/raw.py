"""A bare client of the large exchanges for tests: it signs by itself and keeps every frame it is sent."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType

from tests.exchanges.server import Host


def hmac_hex(secret: str, text: str) -> str:
    """HMAC-SHA256."""
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def hmac_base64(secret: str, text: str) -> str:
    """The same, as OKX writes it."""
    return base64.b64encode(hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()).decode()


def okx_login(host: Host, secret: str = "secret") -> dict[str, Any]:
    """OKX's first frame of a private socket."""
    stamp = str(host.exchange.clock.now_ms() // 1000)
    sign = hmac_base64(secret, f"{stamp}GET/users/self/verify")
    terms = {"apiKey": "key", "passphrase": "phrase", "timestamp": stamp, "sign": sign}
    return {"op": "login", "args": [terms]}


def bybit_login(host: Host) -> dict[str, Any]:
    """Bybit's first frame of a private socket."""
    expires = str(host.exchange.clock.now_ms() + 5000)
    return {"op": "auth", "args": ["key", expires, hmac_hex("secret", f"GET/realtime{expires}")]}


class Ear:
    """One socket and what came over it."""

    def __init__(self, ws: ClientWebSocketResponse) -> None:
        self._ws = ws
        self.frames: list[Any] = []

    async def say(self, frame: Any) -> None:
        """Send an object or a text."""
        await self._ws.send_str(frame if isinstance(frame, str) else json.dumps(frame))

    async def until(self, wanted: Callable[[Any], bool], within_s: float = 3.0) -> Any:
        """The first frame not yet taken that is wanted; those before it stay in `frames`."""
        async with asyncio.timeout(within_s):
            while True:
                message = await self._ws.receive()
                if message.type is not WSMsgType.TEXT:
                    raise ConnectionError(f"socket ended: {message.type.name}")
                text = str(message.data)
                frame = json.loads(text) if text[:1] in "{[" else text
                self.frames.append(frame)
                if wanted(frame):
                    return frame


@asynccontextmanager
async def listen(host: Host, path: str, *hellos: Any) -> AsyncIterator[Ear]:
    """A socket that has said its hellos."""
    async with ClientSession() as session, session.ws_connect(host.ws_url + path) as ws:
        ear = Ear(ws)
        for hello in hellos:
            await ear.say(hello)
        yield ear
