"""The stock, unpatched ccxt.pro class of a venue, pointed at a loopback exchange by its documented `urls`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import ccxt.pro

from tests.exchanges.server import Host


@asynccontextmanager
async def stock_deribit(host: Host, **settings: Any) -> AsyncIterator[Any]:
    """`ccxt.pro.deribit` with its markets loaded; its own pacing is off unless asked for."""
    urls = {"api": {"rest": host.url, "ws": f"{host.ws_url}/ws/api/v2"}}
    client = ccxt.pro.deribit(
        {"apiKey": "key", "secret": "secret", "urls": urls, "enableRateLimit": False, **settings}
    )
    try:
        await client.load_markets()
        yield client
    finally:
        await client.close()


def overheard() -> list[BaseException]:
    """What is raised in the loop's callbacks from now on, where nobody would see it."""
    raised: list[BaseException] = []

    def hear(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if isinstance(context.get("exception"), BaseException):
            raised.append(context["exception"])

    asyncio.get_running_loop().set_exception_handler(hear)
    return raised


async def nothing_within(awaited: Any, seconds: float) -> bool:
    """Whether something waited for does not come; it is abandoned then."""
    task = asyncio.ensure_future(awaited)
    done, _ = await asyncio.wait({task}, timeout=seconds)
    if done:
        task.result()
        return False
    task.cancel()
    await asyncio.wait({task}, timeout=1)
    return True


async def until(what: Callable[[], bool], within_s: float = 10.0) -> None:
    """Wait for something that the other side, or ccxt behind our back, is about to have done."""
    async with asyncio.timeout(within_s):
        while not what():
            await asyncio.sleep(0.001)


def waiting(client: Any, message: str) -> bool:
    """Whether somebody waits for ccxt's messages of this name."""
    return any(message in each.futures for each in client.clients.values())
