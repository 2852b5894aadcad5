"""A loopback Binance in a story: USD-M futures. Options there are refused by the doctor (no dead man's
switch, nothing against trades with oneself), so its perpetual hedges a book of options held elsewhere."""

from __future__ import annotations

from decimal import Decimal

from tests.exchanges.binance import Binance
from tests.exchanges.binance_words import listing, product, wallet
from tests.exchanges.clock import Clock
from tests.exchanges.core import Exchange
from tests.exchanges.server import Dialect
from tests.exchanges.story.place import ACCOUNT, KEY, SECRET, Names, Place
from tests.exchanges.truth import Truth
from tests.exchanges.words import ApiKey, DuplicateRule
from tests.exchanges.world import World

_WALLET = wallet(ACCOUNT, "linear")


def _make(clock: Clock, truth: Truth, seed: int) -> tuple[Dialect, World]:
    spots = {"BTC": 60_000.0}
    rows = [x for x in listing(clock.now_ns(), spots) if product(x) == "linear"]
    exchange = Exchange(rows, clock=clock, truth=truth, duplicates=DuplicateRule.OPEN)
    world = World(exchange, spots, seed=seed)
    exchange.grant(ApiKey(KEY, SECRET, ACCOUNT))
    exchange.transfer(_WALLET, "USDT", Decimal(3_000_000))
    return Binance(exchange), world


BINANCE = Place(
    venue="binanceusdm",
    make=_make,
    config=lambda host: f'url = "{host.url}"\norder_rate = 50.0\norder_burst = 100\nrequest_pause_ms = 0.2\n',
    symbol=lambda instrument: instrument.symbol,
    trade_id=lambda row, instrument: f"{row['symbol']}:{row['trade_id']}",
    perpetual="BTCUSDT",
    perpetual_usd=55_000,
    account=_WALLET,
    cash="USDT",
    currencies=("USDT",),
    labels_repeat=True,
    fee_places=14,
    names=Names(
        submit="POST fapi/order",
        cancel="DELETE fapi/*",
        lookup="GET fapi/order",
        account=("GET fapi/positionRisk", "GET fapi/openOrders", "GET fapi/balance", "GET fapi/userTrades"),
        steps=("connect", "POST fapi/listenKey", "SUBSCRIBE"),
        fills="user.ORDER_TRADE_UPDATE",
        orders="user.ORDER_TRADE_UPDATE",
        books="*@depth*",
        tickers="*@markPrice*",
        tokens=("POST fapi/listenKey",),
    ),
)
