"""A loopback Binance in a story, by three of its venues: `binanceusdm` and `binancecoinm`, of which the
perpetual hedges a book of options held elsewhere, and `binance`, of which either options are traded while
`binanceusdm` hedges their delta, or coins, against options held elsewhere.

Each has an exchange of its own here, since one of a cast fails alone.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from decimal import Decimal

from tests.exchanges.binance import Binance
from tests.exchanges.binance_words import listing, name_of, product, wallet
from tests.exchanges.clock import Clock
from tests.exchanges.core import Exchange
from tests.exchanges.server import Dialect
from tests.exchanges.story.place import ACCOUNT, KEY, SECRET, Names, Place
from tests.exchanges.truth import Truth
from tests.exchanges.words import ApiKey, DuplicateRule
from tests.exchanges.world import World

_FUTURES, _INVERSE, _OPTIONS, _COINS = (wallet(ACCOUNT, of) for of in ("linear", "inverse", "option", "spot"))


def _futures(clock: Clock, truth: Truth, seed: int) -> tuple[Dialect, World]:
    return _made(clock, truth, seed, {"linear"}, _FUTURES)


def _coin_margined(clock: Clock, truth: Truth, seed: int) -> tuple[Dialect, World]:
    dialect, world = _made(clock, truth, seed, {"inverse"}, _FUTURES)
    dialect.exchange.transfer(_INVERSE, "BTC", Decimal(60))
    return dialect, world


def _options(clock: Clock, truth: Truth, seed: int) -> tuple[Dialect, World]:
    return _made(clock, truth, seed, {"option", "spot"}, _OPTIONS)


def _coins(clock: Clock, truth: Truth, seed: int) -> tuple[Dialect, World]:
    dialect, world = _made(clock, truth, seed, {"spot"}, _COINS)
    dialect.exchange.transfer(_COINS, "BTC", Decimal(40))
    return dialect, world


def _made(
    clock: Clock, truth: Truth, seed: int, products: Collection[str], funded: str
) -> tuple[Dialect, World]:
    spots = {"BTC": 60_000.0}
    rows = [x for x in listing(clock.now_ns(), spots, days=(2, 9), strikes=4) if product(x) in products]
    exchange = Exchange(rows, clock=clock, truth=truth, duplicates=DuplicateRule.OPEN)
    world = World(exchange, spots, vols={"BTC": 0.55}, seed=seed)
    exchange.grant(ApiKey(KEY, SECRET, ACCOUNT))
    exchange.transfer(funded, "USDT", Decimal(3_000_000))
    return Binance(exchange), world


BINANCE = Place(
    venue="binanceusdm",
    make=_futures,
    config=lambda host: f'url = "{host.url}"\norder_rate = 50.0\norder_burst = 100\nrequest_pause_ms = 0.2\n',
    symbol=lambda instrument: instrument.symbol,
    trade_id=lambda row, instrument: f"{row['symbol']}:{row['trade_id']}",
    perpetual="BTCUSDT",
    perpetual_usd=55_000,
    account=_FUTURES,
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

#: Contracts of 100 USD, paid in coins, which are delta as well.
BINANCE_COINM = replace(
    BINANCE,
    venue="binancecoinm",
    make=_coin_margined,
    perpetual="BTCUSD_PERP",
    perpetual_usd=100,
    account=_INVERSE,
    cash="BTC",
    currencies=("BTC",),
    names=Names(
        submit="POST dapi/order",
        cancel="DELETE dapi/*",
        lookup="GET dapi/order",
        account=("GET dapi/positionRisk", "GET dapi/openOrders", "GET dapi/balance", "GET dapi/userTrades"),
        steps=("connect", "POST dapi/listenKey", "SUBSCRIBE"),
        fills="user.ORDER_TRADE_UPDATE",
        orders="user.ORDER_TRADE_UPDATE",
        books="*@depth*",
        tickers="*@markPrice*",
        tokens=("POST dapi/listenKey",),
    ),
)

#: Spot is listed, and has a wallet and a stream of its own that are read along; nothing trades there.
BINANCE_OPTIONS = replace(
    BINANCE,
    venue="binance",
    make=_options,
    symbol=name_of,
    perpetual="",
    account=_OPTIONS,
    options=True,
    names=Names(
        submit="POST eapi/order",
        cancel="DELETE eapi/*",
        lookup="GET eapi/order",
        account=("GET eapi/position", "GET eapi/openOrders", "GET eapi/marginAccount", "GET eapi/userTrades"),
        steps=("connect", "POST eapi/listenKey", "SUBSCRIBE", "userDataStream*"),
        fills="user.ORDER_TRADE_UPDATE",
        orders="user.ORDER_TRADE_UPDATE",
        books="*@depth20*",
        tickers="*@optionMarkPrice*",
        tokens=("POST eapi/listenKey",),
    ),
)

BINANCE_SPOT = replace(
    BINANCE,
    venue="binance",
    make=_coins,
    symbol=name_of,
    trade_id=lambda row, instrument: f"{name_of(instrument)}:{row['trade_id']}",
    perpetual="spot:BTCUSDT",
    perpetual_lots=100,
    account=_COINS,
    currencies=("BTC", "USDT"),
    spot=True,
    names=Names(
        submit="POST api/order",
        cancel="DELETE api/*",
        lookup="GET api/order",
        account=("GET api/account", "GET api/openOrders", "GET api/myTrades"),
        steps=("connect", "userDataStream*", "SUBSCRIBE"),
        fills="user.executionReport",
        orders="user.executionReport",
        books="*@depth*",
        tickers="*@depth*",
    ),
)
