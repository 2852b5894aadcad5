"""A loopback OKX in a story."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

from tests.exchanges import okx_words
from tests.exchanges.clock import Clock
from tests.exchanges.core import Exchange
from tests.exchanges.okx import Okx
from tests.exchanges.server import Dialect
from tests.exchanges.story.place import ACCOUNT, KEY, PHRASE, SECRET, Names, Place
from tests.exchanges.truth import Truth
from tests.exchanges.words import ApiKey, DuplicateRule, Instrument, Kind
from tests.exchanges.world import World


def _make(clock: Clock, truth: Truth, seed: int) -> tuple[Dialect, World]:
    return _made(clock, truth, seed, Decimal(150), lambda _: True)


def _swaps_alone(clock: Clock, truth: Truth, seed: int) -> tuple[Dialect, World]:
    return _made(clock, truth, seed, Decimal(0), lambda x: x.kind is Kind.PERPETUAL and not x.inverse)


def _made(
    clock: Clock, truth: Truth, seed: int, coins: Decimal, listed: Callable[[Instrument], bool]
) -> tuple[Dialect, World]:
    spots = {"BTC": 60_000.0}
    rows = okx_words.listing(clock.now_ns(), spots, days=(2, 9))
    rows = [x for x in rows if listed(x)]
    exchange = Exchange(rows, clock=clock, truth=truth, duplicates=DuplicateRule.EVER)
    world = World(exchange, spots, vols={"BTC": 0.55}, seed=seed)
    exchange.grant(ApiKey(KEY, SECRET, ACCOUNT, PHRASE))
    exchange.transfer(ACCOUNT, "BTC", coins)
    exchange.transfer(ACCOUNT, "USDT", Decimal(3_000_000))
    return Okx(exchange), world


OKX = Place(
    venue="okx",
    make=_make,
    config=lambda host: f'url = "{host.url}"\norder_rate = 50.0\norder_burst = 100\nrequest_pause_ms = 0.2\n',
    symbol=lambda instrument: instrument.symbol,
    trade_id=lambda row, instrument: f"{row['symbol']}:{row['trade_id']}",
    perpetual="BTC-USDT-SWAP",
    perpetual_usd=550,
    perpetual_lots=10,
    client_id=lambda text: text.replace("Z", "-"),
    secrets=("key", "secret", "passphrase"),
    currencies=("BTC", "USDT"),
    names=Names(
        submit="trade/order",
        cancel="*cancel*",
        lookup="GET trade/order",
        account=("account/positions", "trade/orders-pending", "account/balance", "trade/fills*"),
        steps=("connect", "login", "subscribe"),
        fills="orders*",
        orders="orders*",
        books="books*",
        tickers="mark-price*",
    ),
)

#: Linear perpetuals, and no coins: beside another venue that holds the book.
SWAPS = replace(OKX, make=_swaps_alone, cash="USDT")
