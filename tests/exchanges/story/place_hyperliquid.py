"""A loopback Hyperliquid in a story: perpetuals alone, which hedge a book of options held elsewhere."""

from __future__ import annotations

from decimal import Decimal

from tests.exchanges import hyperliquid_words as words
from tests.exchanges.clock import Clock
from tests.exchanges.core import Exchange
from tests.exchanges.hyperliquid import SPOTS, Hyperliquid
from tests.exchanges.server import Dialect
from tests.exchanges.story.place import ACCOUNT, Names, Place
from tests.exchanges.truth import Truth
from tests.exchanges.words import ApiKey
from tests.exchanges.world import World
from venues.wire.client_ids import from_wire

#: The key of an agent: of the wallet's own the doctor knows that it can withdraw.
AGENT = "0x" + "5c" * 32


def _make(clock: Clock, truth: Truth, seed: int) -> tuple[Dialect, World]:
    exchange = Exchange(words.listing(), clock=clock, truth=truth)
    world = World(exchange, SPOTS, seed=seed)
    exchange.grant(ApiKey(words.WALLET, "", ACCOUNT))
    exchange.transfer(ACCOUNT, "USDC", Decimal(3_000_000))
    return Hyperliquid(exchange), world


HYPERLIQUID = Place(
    venue="hyperliquid",
    make=_make,
    config=lambda host: f'url = "{host.url}"\norder_rate = 50.0\norder_burst = 100\nrequest_pause_ms = 0.2\n',
    symbol=lambda instrument: instrument.symbol,
    trade_id=lambda row, instrument: str(row["trade_id"]),
    perpetual="BTC",
    perpetual_usd=55_000,
    perpetual_lots=100,
    client_id=lambda text: from_wire("hyperliquid", text),
    secrets=("wallet", "secret"),
    words={"wallet": words.WALLET, "secret": AGENT},
    cash="USDC",
    currencies=("USDC",),
    names=Names(
        submit="order",
        cancel="cancel*",
        lookup="orderStatus",
        account=("clearinghouseState", "frontendOpenOrders", "userFillsByTime"),
        steps=("connect", "subscribe"),
        fills="userFills",
        orders="orderUpdates",
        books="l2Book:*",
        tickers="activeAssetCtx:*",
    ),
)
