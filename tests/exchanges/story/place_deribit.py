"""A loopback Deribit in a story."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from tests.exchanges.clock import Clock
from tests.exchanges.core import Exchange
from tests.exchanges.deribit import DEFAULT_SCOPES, Deribit
from tests.exchanges.deribit_market import listing
from tests.exchanges.server import Dialect
from tests.exchanges.story.place import ACCOUNT, KEY, SECRET, Names, Place
from tests.exchanges.truth import Truth
from tests.exchanges.words import ApiKey, Instrument, Kind
from tests.exchanges.world import World


def _make(clock: Clock, truth: Truth, seed: int) -> tuple[Dialect, World]:
    return _made(clock, truth, seed, Decimal(150), set(Kind))


def _options_alone(clock: Clock, truth: Truth, seed: int) -> tuple[Dialect, World]:
    return _made(clock, truth, seed, Decimal(40), {Kind.OPTION})


def _book_beside(clock: Clock, truth: Truth, seed: int) -> tuple[Dialect, World]:
    return _made(clock, truth, seed, Decimal(40), set(Kind))


def _made(
    clock: Clock, truth: Truth, seed: int, coins: Decimal, kinds: Collection[Kind]
) -> tuple[Dialect, World]:
    spots = {"BTC": 60_000.0}
    rows = listing(clock.now_ns(), spots, days=(2, 9), strikes=4, linear=False)
    exchange = Exchange([x for x in rows if x.kind in kinds], clock=clock, truth=truth)
    world = World(exchange, spots, vols={"BTC": 0.55}, seed=seed)
    exchange.grant(ApiKey(KEY, SECRET, ACCOUNT, scopes=DEFAULT_SCOPES))
    exchange.transfer(ACCOUNT, "BTC", coins)
    exchange.transfer(ACCOUNT, "USDC", Decimal(1_000_000))
    return Deribit(exchange, news_first=seed % 2 == 1), world


def _trade_id(row: Mapping[str, Any], instrument: Instrument) -> str:
    number = str(row["trade_id"])
    return number if instrument.settle == "BTC" else f"{instrument.settle}-{number}"


DERIBIT = Place(
    venue="deribit",
    make=_make,
    config=lambda host: f'url = "{host.ws_url}/ws/api/v2"\norder_rate = 50.0\norder_burst = 100\n',
    symbol=lambda instrument: instrument.symbol,
    trade_id=_trade_id,
    perpetual="BTC-PERPETUAL",
    names=Names(
        submit="private/[bs][ue][yl]*",
        cancel="private/cancel*",
        lookup="private/get_order_state*",
        account=(
            "private/get_positions",
            "private/get_open_orders",
            "private/get_account_summaries",
            "private/get_user_trades*",
        ),
        steps=(
            "connect",
            "public/auth",
            "public/set_heartbeat",
            "private/enable_cancel_on_disconnect",
            "private/subscribe",
            "public/subscribe",
        ),
        fills="user.trades.*",
        orders="user.orders.*",
        books="book.*",
        tickers="ticker.*",
        http=False,
    ),
    labels_repeat=True,
    fee_places=12,
)

#: A book of options, and nothing there to hedge its delta with.
OPTIONS = replace(DERIBIT, make=_options_alone, perpetual="")
#: The whole of it beside another venue: with less in coins, which are delta as well.
BOOK = replace(DERIBIT, make=_book_beside)
