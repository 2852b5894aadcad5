"""Scenes of the large exchanges: a fresh one, served, played to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

from tests.exchanges.server import Dialect, Host, serve
from tests.exchanges.world import World

Scene = Callable[[Host], Awaitable[None]]


def play(make: Callable[..., tuple[Dialect, World]], scene: Scene, **terms: Any) -> Host:
    """Play a scene on a fresh exchange, for at most 20 seconds."""

    async def whole() -> Host:
        dialect, _ = make(**terms)
        async with serve(dialect) as host:
            await asyncio.wait_for(scene(host), 20)
            return host

    return asyncio.run(whole())


def quiet(host: Host, symbol: str, bid: str = "59990", ask: str = "60000", size: str = "10") -> None:
    """Only what the test puts there stands in a book."""
    each = Decimal(size)
    host.exchange.quote(symbol, [(Decimal(bid), each)], [(Decimal(ask), each)])
