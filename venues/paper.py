"""The paper venue as the engine sees it: the `Venue` port over a paper exchange, on any clock.

Paper, replay and simulation differ by the clock and the feed alone:

- live paper: the wall's clock (`hedger.engine.clock.WallClock`), a live or a seeded market as feed;
- `LoopClock`: the event loop's own time, real or virtual;
- `TapeClock`: moved by whoever plays a tape.

Whoever needs no event loop (replays, the simulator) plays `venues.paper_exchange` itself.

No key is taken and nothing outside the process is reached.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from typing import Protocol

from pricing.contracts import Listing
from pricing.daycount import NS_PER_SECOND
from pricing.market import Marks
from venues.base import Capabilities, News
from venues.errors import VenueError
from venues.orders import AccountReport, ComboOrder, Order, OrderReport, OrderUpdate
from venues.paper_exchange import PaperExchange, Result
from venues.paper_feed import MarketTrade


class Clock(Protocol):
    """Time, and waiting for it."""

    def now_ns(self) -> int:
        """UTC nanoseconds, never falling."""
        ...

    async def sleep_until(self, at_ns: int) -> None:
        """Return when it is so late, or later."""
        ...


class LoopClock:
    """The event loop's own time, which no step of the wall clock moves, counted from `start_ns` UTC."""

    def __init__(self, start_ns: int) -> None:
        self._start_ns = start_ns
        self._loop_s = asyncio.get_running_loop().time()

    def now_ns(self) -> int:
        """UTC nanoseconds."""
        passed_s = asyncio.get_running_loop().time() - self._loop_s
        return self._start_ns + round(passed_s * NS_PER_SECOND)

    async def sleep_until(self, at_ns: int) -> None:
        """Wait on the event loop."""
        while (left_ns := at_ns - self.now_ns()) > 0:
            await asyncio.sleep(left_ns / NS_PER_SECOND)


class TapeClock:
    """Time as somebody says it is."""

    def __init__(self, start_ns: int) -> None:
        self._now_ns = start_ns
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        self._count = 0

    def now_ns(self) -> int:
        """What was last said."""
        return self._now_ns

    async def sleep_until(self, at_ns: int) -> None:
        """Wait until the clock is moved so far."""
        if at_ns <= self._now_ns:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._count += 1
        heapq.heappush(self._sleepers, (at_ns, self._count, future))
        await future

    def move_to(self, to_ns: int) -> None:
        """It is now so late; whoever waited for it goes on at the event loop's next turn."""
        self._now_ns = max(to_ns, self._now_ns)
        while self._sleepers and self._sleepers[0][0] <= self._now_ns:
            future = heapq.heappop(self._sleepers)[2]
            if not future.done():
                future.set_result(None)


class PaperVenue:
    """The `Venue` port over a `PaperExchange`.

    Either `start` lets it run by its clock, or whoever moves the clock calls `turn` each time: both hand out
    the same news in the same order.
    """

    def __init__(self, exchange: PaperExchange, clock: Clock) -> None:
        self.exchange = exchange
        self._clock = clock
        self._news: asyncio.Queue[News | None] = asyncio.Queue()
        self._waiting: dict[int, asyncio.Future[Result]] = {}
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._failure: BaseException | None = None

    @property
    def name(self) -> str:
        """The venue's name, as in `Listing.venue`."""
        return self.exchange.core.venue

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        return self.exchange.capabilities

    def start(self, feed: AsyncIterator[Marks | MarketTrade] | None = None) -> None:
        """Run by the clock, taking quotes and trades from a feed."""
        self._tasks.append(asyncio.create_task(self._pump()))
        if feed is not None:
            self._tasks.append(asyncio.create_task(self._read(feed)))
        for task in self._tasks:
            task.add_done_callback(self._ended)

    def feed(self, item: Marks | MarketTrade) -> None:
        """The venue's books become these, or somebody trades there."""
        if isinstance(item, Marks):
            self.exchange.feed(item)
        else:
            self.exchange.trades([item])
        self._wake.set()

    def turn(self) -> int:
        """Hand out all that is due by the clock; when next something will be, UTC ns."""
        for news in self.exchange.advance(self._clock.now_ns()):
            self._news.put_nowait(news)
        for reply in self.exchange.take_replies():
            future = self._waiting.pop(reply.request, None)
            if future is not None and not future.done():
                future.set_result(reply.result)
        return self.exchange.next_ns()

    async def listings(self) -> Sequence[Listing]:
        """Everything that trades there now."""
        core = self.exchange.core
        tradable = core.tradable()
        return tuple(x for symbol, x in core.listings.items() if symbol in tradable)

    async def stream(self) -> AsyncIterator[News]:
        """News as they reach us; it ends with `close`, and raises what ended the venue otherwise."""
        while (news := await self._news.get()) is not None:
            yield news
        if self._failure is not None:
            raise self._failure

    async def submit(self, order: Order | ComboOrder) -> OrderUpdate:
        """Send an order once."""
        return await self._update(self.exchange.submit(order, self._clock.now_ns()))

    async def cancel(self, client_id: str) -> OrderUpdate:
        """Ask for an order to be cancelled."""
        return await self._update(self.exchange.cancel(client_id, self._clock.now_ns()))

    async def amend(self, client_id: str, price: Decimal, quantity: Decimal) -> OrderUpdate:
        """Give a resting order another price and size.

        Raises:
            Refused: it was not changed. Unreachable: nothing was sent.
        """
        return await self._update(self.exchange.amend(client_id, price, quantity, self._clock.now_ns()))

    async def cancel_all(self) -> None:
        """Cancel every order of the account.

        Raises:
            Unreachable, Ambiguous: no answer.
        """
        await self._answer(self.exchange.cancel_all(self._clock.now_ns()))

    async def order(self, client_id: str) -> OrderReport | None:
        """One order as the venue knows it.

        Raises:
            Unreachable: no answer.
        """
        result = await self._answer(self.exchange.ask_order(client_id, self._clock.now_ns()))
        assert result is None or isinstance(result, OrderReport)
        return result

    async def account(self, since_ns: int | None) -> AccountReport:
        """Orders, positions, balances, trades since; None: without trades.

        Raises:
            Unreachable: no answer.
        """
        result = await self._answer(self.exchange.ask_account(since_ns, self._clock.now_ns()))
        assert isinstance(result, AccountReport)
        return result

    async def refresh(self) -> None:
        """Restart the dead man's timer; nothing is answered."""
        self.exchange.refresh(self._clock.now_ns())
        self._wake.set()

    async def close(self) -> None:
        """End the sessions; orders stay as they are."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)  # a failure has been told to all who wait
        self._tasks.clear()
        self._news.put_nowait(None)

    async def _update(self, request: int) -> OrderUpdate:
        result = await self._answer(request)
        assert isinstance(result, OrderUpdate)
        return result

    async def _answer(self, request: int) -> Result:
        """Wait for the reply to a request; errors are raised."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting[request] = future
        self._wake.set()
        result = await future
        if isinstance(result, VenueError):
            raise result
        return result

    async def _pump(self) -> None:
        while True:
            self._wake.clear()
            due_ns = self.turn()
            waits = {
                asyncio.ensure_future(self._clock.sleep_until(due_ns)),
                asyncio.ensure_future(self._wake.wait()),
            }
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()

    async def _read(self, feed: AsyncIterator[Marks | MarketTrade]) -> None:
        async for item in feed:
            self.feed(item)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A task of ours ended: by `close`, with the feed, or by a bug that all who wait must see."""
        if task.cancelled() or (failure := task.exception()) is None:
            return
        self._failure = failure
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(failure)
        self._news.put_nowait(None)
