"""Whatever a client sends, an exchange answers in its own words; nothing of it reaches the books."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import ClientSession

from tests.exchanges import raw
from tests.exchanges.binance import binance
from tests.exchanges.bybit import bybit
from tests.exchanges.cex import words_of
from tests.exchanges.hyperliquid import hyperliquid
from tests.exchanges.okx import okx
from tests.exchanges.scenes import play
from tests.exchanges.server import Host

_RUBBISH: list[Any] = [None, True, 0, -1, 10**30, 0.1, "", "x", "0", "1e400", "-5", "NaN", "9" * 400]
_RUBBISH += [[], {}, [None], {"a": 1}, "BTCUSDT"]
_NAMES = sorted(
    words_of(
        "op args channel instId instType symbol category side sz qty quantity px price ordType orderType "
        "type tdMode method params subscription coin action orders cancels oid request payload nonce "
        "signature id reqId topic"
    )
)
_PATHS = {
    "okx": ("/ws/v5/public", "/ws/v5/private"),
    "bybit": ("/v5/public/linear", "/v5/private", "/v5/trade"),
    "binance": ("/fstream/ws", "/ws-fapi/v1"),
    "hyperliquid": ("/ws",),
}
_OPS = {
    "okx": ("subscribe", "login", "order", "batch-orders", "cancel-order", "unsubscribe", "amend-order"),
    "bybit": ("subscribe", "auth", "order.create", "order.cancel", "order.create-batch", "unsubscribe"),
    "binance": ("SUBSCRIBE", "order.place", "order.cancel", "UNSUBSCRIBE"),
    "hyperliquid": ("subscribe", "post", "unsubscribe", "ping"),
}


def _rubbish(dice: random.Random, op: str) -> dict[str, Any]:
    """A frame of an operation whose fields may be anything."""
    frame: dict[str, Any] = {dice.choice(_NAMES): dice.choice(_RUBBISH) for _ in range(dice.randint(0, 4))}
    inner = {dice.choice(_NAMES): dice.choice(_RUBBISH) for _ in range(dice.randint(0, 5))}
    frame[dice.choice(("args", "params", "subscription", "request"))] = dice.choice((inner, [inner], [[]]))
    return {**frame, "op": op, "method": op}


@pytest.mark.parametrize("make", [okx, bybit, binance, hyperliquid], ids=lambda f: f.__name__)
def test_rubbish_over_sockets_and_http(make: Callable[..., Any]) -> None:
    name, dice = make.__name__, random.Random(7)

    async def scene(host: Host) -> None:
        for path in _PATHS[name]:
            hello = {"okx": raw.okx_login, "bybit": raw.bybit_login}.get(name)
            private = "public" not in path and hello is not None
            async with raw.listen(host, path, *([hello(host)] if private and hello else [])) as ear:
                for text in ("", "{", "[]", "null", "5", '"x"', '{"op":5}', '{"method":null}'):
                    await ear.say(text)
                for _ in range(150):
                    await ear.say(_rubbish(dice, dice.choice(_OPS[name])))
                await asyncio.sleep(0.1)
        async with ClientSession() as client:
            for path in (
                "/",
                "/api/v5/x",
                "/v5/y",
                "/fapi/v1/z",
                "/info",
                "/exchange",
                "/api/v3",
                "/sapi/v1/q",
            ):
                for body in (b"", b"{", b"[]", json.dumps(_rubbish(dice, "order")).encode()):
                    async with client.post(host.url + path, data=body) as answer:
                        assert answer.status < 500
                        json.loads(await answer.text())

    host = play(make, scene)
    assert not host.broken and not host.exchange.truth.of("order")
