"""The streams of an exchange that is reached through the unified library: joined, kept, left.

Each channel is held by a task of its own: it joins, waits until the connection breaks, and joins again.
Frames are taken before the library sees them. Nothing here waits for whoever reads the news.

A book that has lost a message is not known until it begins anew: where the stream carries snapshots, the
connection is left and all of its channels begin again; where it carries changes alone, another copy is asked
for. Which books those are is told with the venue's status.

A dead man's timer that hangs on the connection (Bybit's) does not see an engine that hangs beside an open
socket. So the account's stream is left when nobody has refreshed it for half of the time at most, and the
venue's timer runs for the rest.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import ccxt

from pricing.contracts import Listing
from venues.book_chain import Broken
from venues.book_copies import BookCopies
from venues.cex_client import Tap
from venues.cex_dialect import Channel, Dialect
from venues.cex_parse import failed_question
from venues.cex_summaries import CexSummaries
from venues.errors import Locked, NotTheVenue, Unreachable, Untrusted, VenueError
from venues.news import NewsDesk
from venues.orders import Link, VenueStatus
from venues.wire.frames import Frame
from venues.wire.quotes import BookChange

#: What the socket's own library says where the unified one, in its ping, does not translate it.
_BROKEN = (aiohttp.ClientError, ConnectionError)

#: No venue's window is shorter.
_WINDOW_S_LEAST = 3.0
#: Channels that are joined within so many seconds go in one message, where the venue takes that.
_TOGETHER_S = 0.01


@dataclass(frozen=True, slots=True)
class StreamTerms:
    """account: whose executions these are. Pauses between two tries, seconds: the first, and the longest.
    quiet_s_max: the dead man's time of a timer that hangs on the connection; None: there is none. summary_s:
    options that nobody subscribes to are asked for so often."""

    account: str
    pause_s_first: float
    pause_s_most: float
    quiet_s_max: float | None = None
    summary_s: float = 5.0


@dataclass(slots=True)
class _Live:
    """A channel that is kept. joined: as it was last joined. begun: acknowledged on that connection."""

    channel: Channel
    joined: Channel
    task: asyncio.Task[None] | None = None
    begun: asyncio.Event = field(default_factory=asyncio.Event)


class CexStreams:
    """All channels of one venue. took: gets what a frame says of the account."""

    def __init__(
        self,
        client: Any,
        polls: Any,
        dialect: Dialect,
        desk: NewsDesk,
        listings: Mapping[str, Listing],
        took: Callable[[Frame], None],
        terms: StreamTerms,
        now_ns: Callable[[], int],
    ) -> None:
        self._client, self._polls, self._dialect, self._desk = client, polls, dialect, desk
        self._listings, self._took, self._terms, self._now_ns = listings, took, terms, now_ns
        self._live: dict[str, _Live] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._copies = BookCopies()
        self._copying: set[str] = set()
        self._link: Link | None = None
        self._gaps: tuple[str, ...] = ()
        self._well = asyncio.Event()
        self._well.set()
        self._refreshed_s: float | None = None
        self._closed = False
        self._summaries: CexSummaries | None = None
        self._outbox: dict[str, list[tuple[Mapping[str, Any], asyncio.Future[Any] | None]]] = {}
        self._hopeless: asyncio.Future[VenueError] | None = None
        self.malformed = 0
        Tap(client, self._hear, dialect.control)

    async def join_account(self, start_s_max: float) -> None:
        """Join the account's channels, and wait until all have begun.

        Raises:
            Unreachable: they did not. Locked: the key is refused. NotTheVenue: wrong host or certificate.
        """
        private = self._dialect.private(self._client)
        self._hopeless = asyncio.get_running_loop().create_future()
        self._join(private)
        if self._dialect.keep_alive_s is not None:
            self._run(self._keep_alive(self._dialect.keep_alive_s))
        begun = asyncio.ensure_future(_all_set([self._live[c.key].begun for c in private]))
        either: set[asyncio.Future[Any]] = {begun, self._hopeless}
        try:
            async with asyncio.timeout(start_s_max):
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not begun.done():
                raise self._hopeless.result()
        except TimeoutError:
            raise Unreachable(
                "NOT_SUBSCRIBED",
                "the account's stream did not begin",
                where=self._dialect.venue,
                observed=f"nothing in {start_s_max:g} s",
            ) from None
        finally:
            begun.cancel()
            self._hopeless = None

    def begin_asking(self, period_s: float) -> None:
        """From now on, ask for what no stream tells."""
        self._run(self._tell_maintenance(period_s))

    def watch(
        self, listings: Sequence[Listing], others: Sequence[Listing] = (), trades: bool = False
    ) -> None:
        """Follow the market of these, and of no others. others: options to be asked for every now and then.
        trades: what others trade in it, too."""
        if self._summaries is None:
            self._summaries = CexSummaries(self._summarised, self._summary, self._terms.summary_s)
            self._run(self._summaries.poll())
        self._summaries.follow(others)
        wanted = list(self._dialect.public(self._client, listings))
        if trades:
            wanted += self._dialect.trades(self._client, listings)
        channels = {c.key: c for c in wanted}
        gone = [key for key, live in self._live.items() if not live.channel.private and key not in channels]
        for key in gone:
            self._leave(self._live.pop(key))
        self._join([c for c in channels.values() if c.key not in self._live])
        self._tell_gaps()

    async def _summarised(self, options: Sequence[Listing]) -> Frame:
        return await self._dialect.summaries(self._polls, options, self._now_ns())

    def _summary(self, frame: Frame) -> None:
        self.malformed += len(frame.unread)
        self._quoted(frame)

    def refresh(self) -> None:
        """The engine is well; from the first time on, it has to go on saying so."""
        first = self._refreshed_s is None
        self._refreshed_s = asyncio.get_running_loop().time()
        self._well.set()
        if first and self._terms.quiet_s_max is not None:
            window_s = max(self._terms.quiet_s_max / 2.0, _WINDOW_S_LEAST)
            self._run(self._mind(self._terms.quiet_s_max - window_s))

    async def close(self) -> None:
        """End all of it."""
        self._closed = True
        tasks = [live.task for live in self._live.values() if live.task is not None] + list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._client.close()

    # ----------------------------------------------------------------------------------------------- channels

    def _join(self, channels: Collection[Channel]) -> None:
        for channel in channels:
            live = self._live[channel.key] = _Live(channel, channel)
            live.task = asyncio.get_running_loop().create_task(self._keep(live))
            live.task.add_done_callback(self._ended)

    def _leave(self, live: _Live) -> None:
        """Say good-bye, so that nothing comes any more that nobody wants."""
        if live.task is not None:
            live.task.cancel()
        if live.channel.book:
            self._copies.lose(live.channel.book)
        connection = self._connection(live)
        if connection is None:
            return
        self._unlearn(live)
        if live.channel.farewell is not None and live.begun.is_set():
            if self._dialect.joins_max > 1:
                self._together(live.joined.url, live.channel.farewell, None)
            else:
                self._run(self._send(connection, dict(live.channel.farewell)))

    async def _send(self, connection: Any, message: Mapping[str, Any]) -> None:
        with suppress(ccxt.BaseError, OSError):  # it is gone, and its subscriptions with it
            await connection.send(message)

    def _connection(self, live: _Live) -> Any:
        return self._client.clients.get(live.joined.url)

    def _unlearn(self, live: _Live) -> None:
        """The library joins a channel once per connection and remembers it, even where the venue refused."""
        connection = self._connection(live)
        if connection is not None:
            connection.subscriptions.pop(live.joined.key, None)
            connection.futures.pop(live.joined.key, None)

    async def _keep(self, live: _Live) -> None:
        """Hold one channel: join, wait until the connection breaks, join again."""
        channel, tried = live.channel, 0
        while True:
            reason = ""
            try:
                if channel.private:
                    await self._well.wait()
                    live.joined = await self._dialect.sign_in(self._client, channel)
                await self._joined(live)
            except (ccxt.BaseError, VenueError, *_BROKEN) as error:
                known = self._failed(channel, error)
                reason = known.text()
                hopeless = self._hopeless  # at a start nobody waits for it to pass
                if hopeless is not None and not hopeless.done() and isinstance(known, Locked | NotTheVenue):
                    hopeless.set_result(known)
                if isinstance(known, Locked):
                    self._desk.put(self._status(Link.DOWN, ("key_refused",), reason))
                    return
            tried = 0 if live.begun.is_set() else tried + 1
            live.begun.clear()
            self._unlearn(live)
            if channel.book:
                self._lose_book(channel.book)
            self.tell_link(reason)
            most = min(self._terms.pause_s_first * 2.0 ** min(tried, 10), self._terms.pause_s_most)
            await asyncio.sleep(most * random.uniform(0.5, 1.0))

    async def _joined(self, live: _Live) -> None:
        """Join, and wait until the connection breaks. Without a message, the connection is all there is."""
        joined = live.joined
        together = bool(joined.message) and self._dialect.joins_max > 1
        message = {} if together else dict(joined.message)
        broken = self._client.watch(joined.url, joined.key, message, joined.key)
        if not message:
            connected = self._client.clients[joined.url].connected
            await asyncio.wait({broken, connected}, return_when=asyncio.FIRST_COMPLETED)
            if not broken.done():
                if together:
                    self._together(joined.url, joined.message, broken)
                else:
                    self._began(joined.key)
        await broken

    def _together(self, url: str, message: Mapping[str, Any], broken: asyncio.Future[Any] | None) -> None:
        """Say it with whatever else is to be said to this connection in a moment."""
        waiting = self._outbox.setdefault(url, [])
        waiting.append((message, broken))
        if len(waiting) == 1:
            self._run(self._say(url))

    async def _say(self, url: str) -> None:
        await asyncio.sleep(_TOGETHER_S)
        waiting = self._outbox.pop(url, [])
        said: dict[str, list[Any]] = {}
        for message, broken in waiting:
            if broken is None or not broken.done():  # what broke meanwhile is joined anew, by its own task
                said.setdefault(message["op"], []).extend(message["args"])
        connection = self._client.clients.get(url)
        for verb, args in said.items() if connection is not None else ():
            for start in range(0, len(args), self._dialect.joins_max):
                await connection.throttle(1)
                part = args[start : start + self._dialect.joins_max]
                await self._send(connection, {"op": verb, "args": part})

    def _began(self, key: str) -> None:
        live = self._live.get(key)
        if live is None:
            return
        live.begun.set()
        self.tell_link("")
        if live.channel.book and self._dialect.copies_books:
            self._copies.want(live.channel.book)
            self._ask_copy(live.channel.book)

    def _failed(self, channel: Channel, error: Exception) -> VenueError:
        if isinstance(error, VenueError):
            return error
        if isinstance(error, _BROKEN):
            text = str(error) or type(error).__name__
            return Unreachable("CONNECTION_LOST", "the connection broke", where=channel.key, observed=text)
        return failed_question(self._dialect.venue, channel.key, error)

    async def _keep_alive(self, period_s: float) -> None:
        while True:
            await asyncio.sleep(period_s)
            with suppress(ccxt.BaseError, VenueError):  # where it came to nothing, the venue ends the stream
                await self._dialect.keep_alive(self._polls)

    async def _tell_maintenance(self, period_s: float) -> None:
        """Ask for the announced windows, again and again, and tell of them where they have changed."""
        told: tuple[tuple[int, int], ...] | None = None
        while True:
            with suppress(ccxt.BaseError, VenueError):  # nothing is known then, and nothing new is told
                windows = await self._dialect.maintenance(self._client)
                if windows is None:
                    return
                if windows != told:
                    told, link = windows, self._link or Link.DEGRADED
                    status = VenueStatus(
                        self._dialect.venue, link, venue_ns=self._now_ns(), maintenance=windows
                    )
                    self._desk.put(status)
            await asyncio.sleep(period_s)

    async def _mind(self, quiet_s: float) -> None:
        """Leave the account's stream when the engine falls silent, until it refreshes again."""
        while True:
            assert self._refreshed_s is not None
            left_s = self._refreshed_s + quiet_s - asyncio.get_running_loop().time()
            if left_s > 0:
                await asyncio.sleep(left_s)
                continue
            self._well.clear()
            for connection in {id(c): c for c in map(self._connection, self._private()) if c}.values():
                _drop(connection, "the engine is silent")
            await self._well.wait()

    # ------------------------------------------------------------------------------------------------- frames

    def _hear(self, url: str, message: Any) -> None:
        """A frame, at the source. Nothing here may wait, and nothing it holds may end the connection."""
        try:
            heard = self._dialect.read(url, message, self._listings, self._terms.account)
        except Untrusted:
            self.malformed += 1
            return
        for key in heard.acknowledged:
            self._began(key)
        connection = self._client.clients.get(url)
        if connection is not None:
            for key in heard.refused:
                connection.reject(ccxt.ExchangeError("the venue does not begin this channel"), key)
            if heard.ended:
                _drop(connection, "the venue has ended the stream")
        frame = heard.frame
        self._took(frame)
        self._desk.hear_trades(frame.public)
        if frame.unread:
            self.malformed += len(frame.unread)
        if frame.unread and any(live.joined.url == url for live in self._private()):
            self.tell_event("account_news_unread", frame.unread[0])
        self._quoted(frame)

    def _quoted(self, frame: Frame) -> None:
        quotes = self._desk.quotes
        if quotes is None or not (frame.quotes or frame.books or frame.index):
            return
        for underlying, venue_ns, price in frame.index:
            quotes.hear_index(underlying, venue_ns, price)
        for quote in frame.quotes:
            quotes.hear(quote)
        for change in frame.books:
            self._changed(change)
        self._desk.heard_quotes()

    def _changed(self, change: BookChange) -> None:
        quotes, symbol = self._desk.quotes, change.symbol
        if quotes is None or quotes.row_of(symbol) is None:
            return
        parts = [change]
        if self._dialect.copies_books:
            parts = self._copies.copy(change) if change.snapshot else self._copies.hear(change)
            if self._copies.waits(symbol):
                self._ask_copy(symbol)
        known = symbol not in quotes.gaps
        for part in parts:
            broken = quotes.change(part) in (Broken.GAP, Broken.CROSSED)
            if broken and (known or part.snapshot):  # what still comes of the old one restarts nothing
                self._restart(symbol)
                break
        self._tell_gaps()

    def _ask_copy(self, symbol: str) -> None:
        """Once at a time."""
        if symbol not in self._copying:
            self._copying.add(symbol)
            self._run(self._copy(symbol))

    async def _copy(self, symbol: str) -> None:
        """Ask for a whole book until it is there."""
        pause_s = self._terms.pause_s_first
        try:
            while self._copies.waits(symbol) and symbol in self._listings:
                try:
                    copied = await self._dialect.copy_book(
                        self._polls, self._listings[symbol], self._now_ns()
                    )
                except (ccxt.BaseError, VenueError):
                    await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))
                    pause_s = min(pause_s * 2.0, self._terms.pause_s_most)
                    continue
                self._changed(copied)
                self._desk.heard_quotes()
        finally:
            self._copying.discard(symbol)

    def _restart(self, symbol: str) -> None:
        """A book with a gap begins anew."""
        if self._dialect.copies_books:
            self._copies.lose(symbol)
            return
        for live in self._live.values():
            if live.channel.book == symbol and live.begun.is_set():
                connection = self._connection(live)
                if connection is not None:
                    _drop(connection, f"the book of {symbol} has a gap")
                return

    def _lose_book(self, symbol: str) -> None:
        self._copies.lose(symbol)
        if self._desk.quotes is not None:
            self._desk.quotes.lose_book(symbol)
            self._desk.heard_quotes()
            self._tell_gaps()

    # ------------------------------------------------------------------------------------------------- status

    def tell_link(self, reason: str) -> None:
        """Say how the venue can be reached, where that has changed."""
        trading = all(live.begun.is_set() for live in self._private())
        market = all(live.begun.is_set() for live in self._live.values() if not live.channel.private)
        link = Link.UP if trading and market else Link.DEGRADED if trading else Link.DOWN
        if link is not self._link and not self._closed:
            events = ("reconnected",) if self._link is Link.DOWN and link is not Link.DOWN else ()
            self._link = link
            self._desk.put(self._status(link, events, reason))

    def tell_event(self, event: str, text: str) -> None:
        """Something that the engine must know of."""
        self._desk.put(self._status(self._link or Link.DEGRADED, (event,), text))

    def _tell_gaps(self) -> None:
        gaps = () if self._desk.quotes is None else self._desk.quotes.gaps
        if gaps != self._gaps:
            self._gaps = gaps
            link = self._link or Link.DEGRADED
            self._desk.put(VenueStatus(self._dialect.venue, link, venue_ns=self._now_ns(), gaps=gaps))

    def _private(self) -> list[_Live]:
        return [live for live in self._live.values() if live.channel.private]

    def _status(self, link: Link, events: tuple[str, ...], reason: str) -> VenueStatus:
        return VenueStatus(self._dialect.venue, link, events, reason[:300], self._now_ns())

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (failure := task.exception()) is not None:
            self._desk.close(failure)


def _drop(connection: Any, why: str) -> None:
    """Leave a connection as if it had broken. The library's own `close` cancels whoever waits for it."""
    connection.on_error(ccxt.NetworkError(why))


async def _all_set(events: Sequence[asyncio.Event]) -> None:
    """Wait for all of them. A task, not `gather`: a gathering that nobody awaits any more complains aloud."""
    for event in events:
        await event.wait()
