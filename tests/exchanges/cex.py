"""What the dialects of the large exchanges share: subscriptions, queued news, request windows, number words.

A dialect derives from `Cex`, adds what its venue says (`on_book`, `on_order`, ...), and queues frames with
`put`; they leave when the present step of the exchange is over, in the order in which things happened.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Context, Decimal
from typing import Any

import orjson

from tests.exchanges.clock import MS, NS, Clock
from tests.exchanges.core import Exchange
from tests.exchanges.server import Answer, Call, Session, run_forever
from tests.exchanges.truth import Truth
from tests.exchanges.words import (
    HOUSE,
    AccountNews,
    ApiKey,
    BookNews,
    DuplicateRule,
    Fill,
    FillNews,
    Instrument,
    MarkNews,
    News,
    Order,
    OrderNews,
    PublicTrade,
    Side,
    TradeNews,
)
from tests.exchanges.world import World

_FINEST, _WIDE = Decimal("1e-16"), Context(prec=100)


class Said(Exception):
    """A refusal in the venue's own words."""

    def __init__(self, code: int | str, text: str, status: int = 200) -> None:
        super().__init__(f"{code} {text}")
        self.code = code
        self.text = text
        self.status = status


@dataclass(frozen=True, slots=True)
class Feed:
    """One channel of one session. arg: as the venue names it."""

    channel: str
    session: Session
    arg: Any = None


@dataclass(slots=True)
class Windows:
    """How many requests of a kind an account may make in a window: name -> (count, seconds)."""

    limits: Mapping[str, tuple[int, float]]
    _taken: dict[tuple[str, str], deque[int]] = field(default_factory=dict)

    def take(self, who: str, name: str, now_ns: int, weight: int = 1) -> bool:
        """Count a request; False where it is one too many. Names without a limit always pass."""
        if name not in self.limits:
            return True
        count, seconds = self.limits[name]
        taken = self._taken.setdefault((who, name), deque())
        while taken and now_ns - taken[0] > seconds * NS:
            taken.popleft()
        if len(taken) + weight > count:
            return False
        taken.extend([now_ns] * weight)
        return True


class Cex:
    """Sessions, feeds and the news for them. A venue's class derives from it."""

    def __init__(self, exchange: Exchange, limits: Mapping[str, tuple[int, float]]) -> None:
        self.exchange: Exchange = exchange
        self.windows = Windows(dict(limits))
        self.sessions: dict[int, Session] = {}
        self._feeds: dict[str, dict[int, Feed]] = {}
        self._out: list[tuple[Session, str, Any]] = []
        self._dirty: dict[str, None] = {}
        self._flushing = False
        exchange.listeners.append(self._hear)

    # ---- what a venue says; nothing by default

    def on_book(self, news: BookNews) -> None:
        """A book changed."""

    def on_trade(self, trade: PublicTrade) -> None:
        """Somebody traded."""

    def on_mark(self, symbol: str) -> None:
        """A mark or a touch changed; told once a step."""

    def on_order(self, order: Order) -> None:
        """An account's order began, changed or ended."""

    def on_fill(self, fill: Fill, order: Order | None) -> None:
        """An account traded."""

    def on_account(self, account: str, currency: str, symbol: str) -> None:
        """A balance or position changed."""

    # ---- feeds

    def subscribe(self, session: Session, channel: str, arg: Any = None) -> Feed:
        """Begin a feed."""
        feed = Feed(channel, session, arg)
        self._feeds.setdefault(channel, {})[session.number] = feed
        return feed

    def unsubscribe(self, session: Session, channel: str) -> None:
        """End a feed."""
        self._feeds.get(channel, {}).pop(session.number, None)

    def feeds(self, *channels: str, account: str | None = None) -> list[Feed]:
        """Who hears these channels; with an account only its sessions."""
        found = [f for c in channels for f in self._feeds.get(c, {}).values()]
        return [f for f in found if account is None or f.session.state.get("account") == account]

    def put(self, session: Session, channel: str, frame: Any) -> None:
        """Queue a frame; it leaves when this step is over."""
        self._out.append((session, channel, frame))
        self._later()

    def flush(self) -> None:
        """Say what is queued."""
        self._flushing = False
        dirty, self._dirty = list(self._dirty), {}
        for symbol in dirty:
            self.on_mark(symbol)
        out, self._out = self._out, []
        for session, channel, frame in out:
            session.push(channel, frame)

    # ---- sessions, as `server.Dialect` has them

    def opened(self, session: Session) -> None:
        """A socket has connected."""
        self.sessions[session.number] = session

    def closed(self, session: Session) -> None:
        """A socket has gone."""
        self.sessions.pop(session.number, None)
        for feeds in self._feeds.values():
            feeds.pop(session.number, None)

    def pass_time(self) -> None:
        """What is queued leaves."""
        self.flush()

    def guarded(self, act: Callable[[Call], Answer | None], call: Call, rubbish: Said) -> Answer | None:
        """An act, refused in the venue's words where it cannot read what it was sent.

        A mistake of ours shows as one where the exchange has changed already: that is raised, not answered.
        """
        before = len(self.exchange.truth.rows)
        try:
            return act(call)
        except Said as said:
            return Answer(None, said, said.status)
        except (ArithmeticError, LookupError, ValueError, TypeError, AttributeError):
            if len(self.exchange.truth.rows) != before:
                raise
            return Answer(None, rubbish, rubbish.status)

    # ---- inside

    def _hear(self, news: News) -> None:
        match news:
            case BookNews():
                self.on_book(news)
            case MarkNews(symbol=symbol):
                self._dirty[symbol] = None
            case TradeNews(trade=trade):
                self.on_trade(trade)
            case OrderNews(order=order) if order.account != HOUSE:
                self.on_order(order)
            case FillNews(fill=fill, order=order) if fill.account != HOUSE:
                self.on_fill(fill, order)
            case AccountNews(account=account, currency=currency, symbol=symbol):
                self.on_account(account, currency, symbol)
            case _:
                pass
        self._later()

    def _later(self) -> None:
        if self._flushing:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        self._flushing = True
        loop.call_soon(self.flush)

    def key_of(self, name: str) -> ApiKey | None:
        """A key that is valid."""
        key = self.exchange.keys.get(name)
        return None if key is None or key.revoked else key


def number(value: Decimal | float | None) -> str:
    """A number as these venues write it: text, no exponent, at most 16 decimals; nothing where unknown.

    >>> number(Decimal("1.50E+3")), number(0.25), number(None), number(Decimal("0E-9"))
    ('1500', '0.25', '', '0')
    >>> number(Decimal(1) / 3)
    '0.3333333333333333'
    """
    if value is None:
        return ""
    exact = value if isinstance(value, Decimal) else Decimal(repr(value))
    exact = exact.quantize(_FINEST, context=_WIDE)
    return format(exact.normalize(_WIDE), "f") if exact else "0"


def rounded(value: float | None, digits: int = 10) -> str:
    """A computed number, cut to so many digits behind the point."""
    return "" if value is None else number(round(Decimal(repr(value)), digits))


def levels(
    exchange: Exchange, symbol: str, side: Side, depth: int | None = None
) -> list[tuple[Decimal, Decimal]]:
    """(price, quantity) of a side, best first."""
    return exchange.books[symbol].side(side).levels(depth)


def touch(
    exchange: Exchange, symbol: str
) -> tuple[tuple[Decimal, Decimal] | None, tuple[Decimal, Decimal] | None]:
    """Best bid and best ask, each (price, quantity)."""
    bids, asks = (levels(exchange, symbol, side, 1) for side in (Side.BUY, Side.SELL))
    return (bids[0] if bids else None), (asks[0] if asks else None)


def blank(names: str, value: Any = "") -> dict[str, Any]:
    """Fields that say nothing here: names separated by blanks."""
    return dict.fromkeys(names.split(), value)


def words_of(text: str) -> frozenset[str]:
    """Words separated by blanks.

    >>> sorted(words_of("b a"))
    ['a', 'b']
    """
    return frozenset(text.split())


def parsed(body: bytes | str) -> Any:
    """JSON with numbers exact; None where it is none."""
    try:
        return json.loads(body, parse_float=Decimal)
    except ValueError:
        return None


def written(body: Any) -> str:
    """JSON text; integers of any length, since they may be a client's own."""
    try:
        return orjson.dumps(body).decode()
    except TypeError:
        return json.dumps(body)


def as_object(value: object) -> dict[str, Any]:
    """An object of JSON; an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def decimal(value: object) -> Decimal | None:
    """A number out of text; None where there is none.

    Raises:
        ArithmeticError: it is no number.
    """
    return None if value in (None, "") else Decimal(str(value))


def ms(ns: int) -> str:
    """A stamp as text, milliseconds."""
    return str(ns // MS)


#: The index that a market in small begins at, USD; what its one account is given.
SPOTS = {"BTC": 60_000.0, "ETH": 2_500.0}
FUNDS = (("BTC", "100"), ("ETH", "1000"), ("USDT", "5000000"), ("USDC", "1000000"))


def founded(
    listing: Callable[[int, dict[str, float]], Sequence[Instrument]],
    key: ApiKey,
    clock: Clock | None,
    truth: Truth | None,
    seed: int,
) -> tuple[Exchange, World]:
    """An exchange with its market and one funded account. listing: what it lists, by time and indexes."""
    clock = clock or Clock()
    listed = listing(clock.now_ns(), SPOTS)
    exchange = Exchange(listed, clock=clock, truth=truth, duplicates=DuplicateRule.EVER)
    world = World(exchange, SPOTS, vols={"BTC": 0.55, "ETH": 0.7}, seed=seed)
    granted = exchange.grant(key)
    for currency, amount in FUNDS:
        exchange.transfer(granted.account, currency, Decimal(amount))
    return exchange, world


def run_shell(name: str, make: Callable[..., tuple[Any, World]]) -> None:
    """Serve an exchange from a shell until interrupted."""
    parser = argparse.ArgumentParser(description=f"{name} on loopback")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--step-s", type=float, default=1.0, help="the market moves so often; 0: it stands")
    chosen = parser.parse_args()
    dialect, world = make(seed=chosen.seed)
    period_s = chosen.step_s or 1.0
    run_forever(
        lambda: dialect, chosen.port, (lambda: world.step(period_s)) if chosen.step_s else None, period_s
    )
