"""What a venue has told and nobody has taken yet: facts in order and all of them, quotes the newest alone.

An adapter's reader only puts; whoever reads the stream takes at its own pace. Facts (order updates,
executions, the state of the link) are never dropped and go before quotes. Trades of others are facts of the
market: all of them, in order, while somebody comes for them. An execution comes by more than one
way (the reply, the stream, a sweep over REST): it is told once, by its id.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from decimal import Decimal
from typing import TypeVar

from venues.base import News
from venues.live_quotes import LiveQuotes
from venues.market_trades import MarketTrade
from venues.orders import OrderState, OrderUpdate, TradeReport
from venues.wire.quotes import PublicTrade

K = TypeVar("K")
V = TypeVar("V")

#: So many executions and order states are remembered against being told twice.
REMEMBERED = 50_000
#: Trades of others that nobody came for: more than these, and the oldest go.
TRADES_WAITING_MOST = 20_000
#: A trade that is told so late was told before the channel was joined: some venues begin with the last ones.
TRADE_AGE_NS_MAX = 10 * 10**9


class NewsDesk:
    """Puts and takes, on one event loop. quotes: None until somebody watches. trades_left_out: trades of
    others that were told too late, or that nobody came for."""

    def __init__(self, now_ns: Callable[[], int]) -> None:
        self._now_ns = now_ns
        self._facts: deque[News] = deque()
        self._trades: dict[tuple[str, str], None] = {}
        self._told: dict[str, tuple[OrderState, object, object, object]] = {}
        self._wake = asyncio.Event()
        self._closed = False
        self._failure: BaseException | None = None
        self._seq = 0
        self._public: deque[MarketTrade] = deque()
        self._public_known: dict[tuple[str, str], None] = {}
        self.trades_left_out = 0
        self.quotes: LiveQuotes | None = None

    def put(self, news: News) -> bool:
        """Something happened; False where it had been told before."""
        if isinstance(news, TradeReport) and not _new(self._trades, news.key, None):
            return False
        if isinstance(news, OrderUpdate) and not self._changes(news):
            return False
        self._facts.append(news)
        self._wake.set()
        return True

    def hear_trades(self, trades: Iterable[PublicTrade]) -> None:
        """Trades of others on what is followed, each once; those that are told late are left out and counted.

        They are handed out before the quotes that were heard after them.
        """
        quotes, now_ns = self.quotes, self._now_ns()
        for trade in trades:
            if quotes is None or quotes.row_of(trade.symbol) is None:
                continue
            if not _new(self._public_known, (trade.symbol, trade.trade_id), None):
                continue
            if now_ns - trade.venue_ns > TRADE_AGE_NS_MAX:
                self.trades_left_out += 1
                continue
            if len(self._public) >= TRADES_WAITING_MOST:
                self._public.popleft()
                self.trades_left_out += 1
            self._public.append(
                MarketTrade(
                    trade.symbol,
                    trade.side,
                    Decimal(repr(trade.price)),
                    Decimal(repr(trade.size)),
                    now_ns,
                    quotes.venue,
                    trade.trade_id,
                    trade.venue_ns,
                )
            )
            self._wake.set()

    def heard_quotes(self) -> None:
        """There is something new in `quotes`."""
        self._wake.set()

    def close(self, failure: BaseException | None = None) -> None:
        """Nothing more comes; the stream ends with the failure, if there is one."""
        self._closed, self._failure = True, self._failure or failure
        self._wake.set()

    async def stream(self) -> AsyncIterator[News]:
        """Everything, as it comes; to be read by one reader."""
        while True:
            while self._facts or self._public:
                yield self._facts.popleft() if self._facts else self._public.popleft()
            marks = None
            if self.quotes is not None and self.quotes.waiting and not self._closed:
                marks = self.quotes.take(self._seq, self._now_ns())
            if marks is not None:
                self._seq += 1
                yield marks
                continue
            if self._closed:
                break
            self._wake.clear()
            if not (self._facts or self._public) and not (self.quotes is not None and self.quotes.waiting):
                await self._wake.wait()
        if self._failure is not None:
            raise self._failure

    def _changes(self, update: OrderUpdate) -> bool:
        """Whether an update says what was not said before; what is terminal is not followed by "open"."""
        before = self._told.get(update.client_id)
        now = (update.state, update.filled, update.quantity, update.price)
        if before == now:
            return False
        if before is not None and before[0].terminal and update.state is OrderState.OPEN:
            return False  # frames of a stream that was overtaken by the answer to a question
        self._told.pop(update.client_id, None)
        _new(self._told, update.client_id, now)
        return True


def _new(known: dict[K, V], key: K, value: V) -> bool:
    if key in known:
        return False
    known[key] = value
    if len(known) > REMEMBERED:
        del known[next(iter(known))]
    return True
