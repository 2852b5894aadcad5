"""What is particular to an exchange in a story: how it is made and opened, and what its traffic is named.

Each exchange has a module of its own, place_*.py; places.py lists them. Everything else in this room is the
same for every exchange. `Names` are globs for the fault port: of the
calls that place and cancel orders, of those that look one up, of those that read the account, of the steps by
which a connection is set up, and of the messages that are pushed. tokens: of those steps the calls by HTTP;
http: orders and questions go by HTTP, too.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tests.exchanges.clock import Clock
from tests.exchanges.core import Exchange
from tests.exchanges.server import Dialect, Host
from tests.exchanges.truth import Truth
from tests.exchanges.words import Instrument, Kind, Side
from tests.exchanges.world import World

ACCOUNT = "desk"
KEY, SECRET, PHRASE = "story-key", "story-secret", "story-phrase"


@dataclass(frozen=True, slots=True)
class Names:
    """Globs of the fault port."""

    submit: str
    cancel: str
    lookup: str
    account: tuple[str, ...]
    steps: tuple[str, ...]
    fills: str
    orders: str
    books: str
    tickers: str
    tokens: tuple[str, ...] = ()
    http: bool = True


_WORDS: Mapping[str, str] = {"key": KEY, "secret": SECRET, "passphrase": PHRASE}


def _as_it_is(client_id: str) -> str:
    return client_id


@dataclass(frozen=True, slots=True)
class Place:
    """An exchange of a story.

    venue: as the configuration names it. make: clock, truth and seed to the dialect and its market. config:
    lines of its section, the keys (`secrets`) excepted. symbol: the adapter's name of an instrument; None:
    the adapter does not list it. trade_id: the adapter's name of an execution. perpetual: what most hedges
    trade, as the exchange calls it. labels_repeat: two orders under one client id are two orders there.
    fee_places: to which its messages round a fee; None: they do not.
    perpetual_usd: of one order unit of `perpetual`, at least. client_id: the exchange's form of our order
    id, as ours. account: the core's. secrets: what keys it takes; words: what they are. cash: what is moved
    in by hand. perpetual_lots: so many are what people trade at least. options: these are what it is there
    for, so a story is of options. spot: its `perpetual` is a pair of coins, which is traded for once.
    """

    venue: str
    make: Callable[[Clock, Truth, int], tuple[Dialect, World]]
    config: Callable[[Host], str]
    symbol: Callable[[Instrument], str | None]
    trade_id: Callable[[Mapping[str, Any], Instrument], str]
    names: Names
    perpetual: str = ""
    secrets: tuple[str, ...] = ("key", "secret")
    words: Mapping[str, str] = field(default_factory=lambda: _WORDS)
    account: str = ACCOUNT
    cash: str = "BTC"
    coin: str = "BTC"
    currencies: tuple[str, ...] = ("BTC", "USDC")
    labels_repeat: bool = False
    fee_places: int | None = None
    perpetual_usd: int = 1
    perpetual_lots: int = 1
    options: bool = False
    spot: bool = False
    client_id: Callable[[str], str] = _as_it_is

    def open_book(self, exchange: Exchange, dice: random.Random) -> None:
        """A book of options and of the perpetual, from before the engine's time."""
        options = [x for x in exchange.instruments.values() if x.kind is Kind.OPTION and x.base == self.coin]
        for instrument in dice.sample(options, min(8, len(options))):
            coins = Decimal(dice.choice((-1, -1, 1)) * dice.randint(5, 25))
            self._hold(exchange, instrument, coins / instrument.multiplier)
        if self.perpetual:
            perpetual = exchange.instruments[self.perpetual]
            lots = Decimal(dice.randint(-3000, 3000)) * 10 * self.perpetual_lots
            self._hold(exchange, perpetual, lots * perpetual.lot)

    def subject(self, exchange: Exchange) -> Instrument:
        """What others trade, and whose market is disturbed: the perpetual; where there is none, an option."""
        if self.perpetual:
            return exchange.instruments[self.perpetual]
        return next(x for x in exchange.instruments.values() if x.kind is Kind.OPTION)

    def environment(self) -> dict[str, str]:
        """Its keys, by the names under which an engine finds them."""
        return {self.named(secret): self.words[secret] for secret in self.secrets}

    def named(self, secret: str) -> str:
        """The environment's name of a key."""
        return f"STORY_{self.venue}_{secret}".upper()

    def _hold(self, exchange: Exchange, instrument: Instrument, quantity: Decimal) -> None:
        quantity = quantity // instrument.lot * instrument.lot
        if not quantity:
            return
        mark = exchange.mark_price(instrument.symbol)
        tick = instrument.tick_at(mark)
        price = max(mark // tick * tick, tick)
        side = Side.BUY if quantity > 0 else Side.SELL
        exchange.outside(self.account, instrument.symbol, side, abs(quantity), price, "before the story")
