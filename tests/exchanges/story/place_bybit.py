"""A loopback Bybit in a story: options, perpetuals and futures of one unified account."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

from tests.exchanges.bybit import Bybit
from tests.exchanges.bybit_words import SPOT, execution_id, listing
from tests.exchanges.clock import Clock
from tests.exchanges.core import Exchange
from tests.exchanges.server import Dialect
from tests.exchanges.story.place import ACCOUNT, KEY, SECRET, Names, Place
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
    rows = [x for x in listing(clock.now_ns(), spots, days=(2, 9)) if listed(x)]
    exchange = Exchange(rows, clock=clock, truth=truth, duplicates=DuplicateRule.EVER)
    world = World(exchange, spots, vols={"BTC": 0.55}, seed=seed)
    exchange.grant(ApiKey(KEY, SECRET, ACCOUNT))
    exchange.transfer(ACCOUNT, "BTC", coins)
    exchange.transfer(ACCOUNT, "USDT", Decimal(3_000_000))
    exchange.transfer(ACCOUNT, "USDC", Decimal(1_000_000))
    return Bybit(exchange), world


def _symbol(instrument: Instrument) -> str:
    if instrument.symbol.startswith(SPOT):
        return f"{instrument.base}/{instrument.quote}"
    return instrument.symbol


BYBIT = Place(
    venue="bybit",
    make=_make,
    config=lambda host: f'url = "{host.url}"\norder_rate = 50.0\norder_burst = 100\nrequest_pause_ms = 0.2\n',
    symbol=_symbol,
    trade_id=lambda row, instrument: execution_id(int(row["trade_id"])),
    perpetual="BTCUSDT",
    perpetual_usd=55_000,
    currencies=("BTC", "USDT", "USDC"),
    fee_places=14,
    names=Names(
        submit="order/create",
        cancel="order/cancel*",
        lookup="order/[rh]*",
        account=("position/list", "order/realtime", "account/wallet-balance", "execution/list"),
        steps=("connect", "auth", "subscribe"),
        fills="execution",
        orders="order",
        books="*orderbook*",
        tickers="*tickers*",
    ),
)

#: Linear perpetuals, and no coins: beside another venue that holds the book.
SWAPS = replace(BYBIT, make=_swaps_alone, cash="USDT")
