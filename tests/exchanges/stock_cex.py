"""The stock, unpatched ccxt.pro classes of the large exchanges, pointed at loopback by their own `urls`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import ccxt.pro

from tests.exchanges.hyperliquid_words import WALLET
from tests.exchanges.server import Host


def okx_urls(host: Host) -> dict[str, Any]:
    """Of `ccxt.pro.okx`."""
    return {"rest": host.url, "ws": f"{host.ws_url}/ws/v5"}


def bybit_urls(host: Host) -> dict[str, Any]:
    """Of `ccxt.pro.bybit`."""
    public = {name: f"{host.ws_url}/v5/public/{name}" for name in ("spot", "linear", "inverse", "option")}
    own = f"{host.ws_url}/v5/private"
    private = {"spot": {"unified": own, "nonUnified": own}, "contract": own, "usdc": own}
    sockets = {"public": public, "private": {**private, "trade": f"{host.ws_url}/v5/trade"}}
    return {**dict.fromkeys(("spot", "futures", "v2", "public", "private"), host.url), "ws": sockets}


def binance_urls(host: Host) -> dict[str, Any]:
    """Of `ccxt.pro.binance`."""
    ws = host.ws_url
    rest = {f"fapi{kind}": f"{host.url}/fapi/v1" for kind in ("Public", "Private")}
    rest |= {f"fapi{kind}V{n}": f"{host.url}/fapi/v{n}" for kind in ("Public", "Private") for n in (2, 3)}
    rest |= {f"{p}api{kind}": f"{host.url}/{p}api/v1" for p in "de" for kind in ("Public", "Private")}
    rest |= {"dapiPrivateV2": f"{host.url}/dapi/v2", "sapi": f"{host.url}/sapi/v1"}
    rest |= dict.fromkeys(("public", "private"), f"{host.url}/api/v3")
    orders = {"spot": f"{ws}/ws-api/v3", "linear": f"{ws}/ws-fapi/v1", "inverse": f"{ws}/ws-dapi/v1"}
    streams = {"spot": f"{ws}/spot/ws", "linear": f"{ws}/fstream/ws", "inverse": f"{ws}/dstream/ws"}
    options = {"option": "public", "optionMarket": "market", "optionPrivate": "private"}
    streams |= {name: f"{ws}/option/{part}/ws" for name, part in options.items()}
    return {**rest, "ws": {**streams, "ws-api": orders}}


@asynccontextmanager
async def stock(
    name: str, urls: Callable[[Host], dict[str, Any]], host: Host, **settings: Any
) -> AsyncIterator[Any]:
    """A client with its markets loaded; its own pacing is off unless asked for."""
    keys = {"apiKey": "key", "secret": "secret"}
    pace = {"enableRateLimit": False, "timeout": 5000, "timeout_on_exit": 5}  # ms
    client = getattr(ccxt.pro, name)({**keys, **pace, "urls": {"api": urls(host)}, **settings})
    try:
        await client.load_markets()
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def stock_okx(host: Host, **settings: Any) -> AsyncIterator[Any]:
    """`ccxt.pro.okx`."""
    async with stock("okx", okx_urls, host, **{"password": "phrase", **settings}) as client:
        yield client


@asynccontextmanager
async def stock_bybit(host: Host, **settings: Any) -> AsyncIterator[Any]:
    """`ccxt.pro.bybit`."""
    async with stock("bybit", bybit_urls, host, **settings) as client:
        yield client


@asynccontextmanager
async def stock_binance(host: Host, **settings: Any) -> AsyncIterator[Any]:
    """`ccxt.pro.binance`, options loaded too."""
    markets = {"fetchMarkets": {"types": ["spot", "linear", "inverse", "option"]}}
    async with stock("binance", binance_urls, host, **{"options": markets, **settings}) as client:
        yield client


@asynccontextmanager
async def stock_hyperliquid(host: Host, **settings: Any) -> AsyncIterator[Any]:
    """`ccxt.pro.hyperliquid` with the tests' wallet."""

    def urls(h: Host) -> dict[str, Any]:
        return {"public": h.url, "private": h.url, "ws": {"public": f"{h.ws_url}/ws"}}

    keys = {"apiKey": None, "secret": None, "walletAddress": WALLET, "privateKey": "0x" + "11" * 32}
    async with stock("hyperliquid", urls, host, **{**keys, **settings}) as client:
        yield client
