"""The streams of an exchange that is reached through the unified library: joined, kept, left.

Each channel is held by a task of its own: it joins, waits until the connection breaks, and joins again.
Frames are taken before the library sees them. Nothing here waits for whoever reads the news.

A channel by which nothing comes any more, though it was joined and its venue pushes at intervals, is joined
again, and told: it would look alive for ever (`venues.silence`).

A book that has lost a message is not known until it begins anew: where the stream carries snapshots, the
connection is left and all of its channels begin again; where it carries changes alone, another copy is asked
for. Which books those are is told with the venue's status.

A join that gets no answer is not waited for, as the library would for good: it is asked for again, and the
link is not told as up while it is owed. The account's connection is left as a whole for that, and when
signing in fails: the library signs in once a connection, and remembers it even where the venue has refused.

A key that is refused is tried once more, with the clocks compared after each refusal: a signature whose time
is wrong looks like one of a wrong key on some venues, and a key that is given up is given up for good, by all
that join the same connection with it.

A dead man's timer that hangs on the connection (Bybit's) does not see an engine that hangs beside an open
socket. So the account's stream is left when nobody has refreshed it for half of the time at most, and the
venue's timer runs for the rest.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import ccxt

from pricing.contracts import Listing
from pricing.daycount import NS_PER_SECOND
from venues.book_chain import Broken
from venues.book_copies import BookCopies
from venues.cex_client import Tap
from venues.cex_dialect import UNNAMED, Channel, Dialect, Heard
from venues.cex_outbox import Outbox, Word
from venues.cex_parse import failed_question, refused_question
from venues.cex_summaries import CexSummaries
from venues.errors import Locked, NotTheVenue, Refused, Unreachable, Untrusted, VenueError
from venues.json_rpc import Quick
from venues.list_pace import ListPace
from venues.live_quotes import LiveQuotes
from venues.news import NewsDesk
from venues.orders import Link, VenueStatus
from venues.part_ages import FieldAges
from venues.silence import Silence, silent_words
from venues.wire.frames import Frame
from venues.wire.quotes import BookChange
from venues.wire.rejects import sign_in_code

#: By what the library knows that it is signing in.
_SIGNING_IN = "authenticated"
#: What the socket's own library says where the unified one, in its ping, does not translate it.
_BROKEN = (aiohttp.ClientError, ConnectionError)

#: No venue's window is shorter.
_WINDOW_S_LEAST = 3.0
#: A signature's time may be so far from the venue's clock on all of them: where the clocks are further apart,
#: a refusal says nothing about the key.
_SKEW_S_MAX = 5.0
#: Clocks are set right at any moment: signing in is tried so often at least.
_SKEWED_PAUSE_S_MOST = 2.0
_SILENT = "CHANNEL_SILENT"
#: Answers that are owed are looked for so many times within the time that one may take.
_LOOKS = 4


@dataclass(frozen=True, slots=True)
class StreamTerms:
    """account: whose executions these are. Pauses between two tries, seconds: the first, and the longest.
    quiet_s_max: the dead man's time of a timer that hangs on the connection; None: there is none. summary_s:
    options that nobody subscribes to are asked for so often. answer_s_max: a join, and signing in, may take
    so long once the connection stands. ages: after which a field is not known any more, and its channel
    silent. whole_s: a book that comes whole by its stream is asked for when it has not come after so long:
    its market may be quiet."""

    account: str
    pause_s_first: float
    pause_s_most: float
    whole_s: float
    quiet_s_max: float | None = None
    summary_s: float = 5.0
    answer_s_max: float = 5.0
    ages: FieldAges = field(default_factory=FieldAges)


@dataclass(frozen=True, slots=True)
class Askers:
    """The clients that questions go by, each with a pace of its own. account: the account's; market: books,
    options, listings; clock: the time."""

    account: Any
    market: Any
    clock: Any


@dataclass(slots=True)
class _Live:
    """A channel that is kept. joined: as it was last joined. begun: acknowledged on that connection. word: by
    which it was joined with others. alone: the venue has refused it among others, or one of them. asked_s:
    when its own join left, loop's time. owed: it was lost or refused, or has not begun in time. doubted: its
    key was refused with the clocks agreeing."""

    channel: Channel
    joined: Channel
    word: Word | None = None
    alone: bool = False
    asked_s: float | None = None
    owed: bool = False
    doubted: bool = False
    task: asyncio.Task[None] | None = None
    begun: asyncio.Event = field(default_factory=asyncio.Event)


class CexStreams:
    """All channels of one venue. took: gets what a frame says of the account."""

    def __init__(
        self,
        client: Any,
        askers: Askers,
        dialect: Dialect,
        desk: NewsDesk,
        listings: Mapping[str, Listing],
        took: Callable[[Frame], None],
        terms: StreamTerms,
        now_ns: Callable[[], int],
    ) -> None:
        self._client, self._askers, self._dialect, self._desk = client, askers, dialect, desk
        self._listings, self._took, self._terms, self._now_ns = listings, took, terms, now_ns
        self._live: dict[str, _Live] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._copies = BookCopies()
        self._silence = Silence()
        self._copying: set[str] = set()
        self._given_up: set[str] = set()
        self._link: Link | None = None
        self._gaps: tuple[str, ...] = ()
        self._well = asyncio.Event()
        self._well.set()
        self._refreshed_s: float | None = None
        self._closed = False
        self._looking = False
        self._summaries: CexSummaries | None = None
        self._outbox = Outbox(dialect, lambda url: client.clients.get(url), self._run)
        self._hopeless: asyncio.Future[VenueError] | None = None
        self.malformed = 0
        Tap(client, self._hear, dialect.control, self._quick)

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

    def begin_asking(
        self, maintenance_s: float, relist: Callable[[], Awaitable[None]], lists: ListPace
    ) -> None:
        """From now on, ask for what no stream tells: windows of maintenance, and what is listed."""
        self._run(self._tell_maintenance(maintenance_s))
        self._run(self._again(relist, lists))

    @property
    def link(self) -> Link:
        """How the venue can be reached."""
        return self._link or Link.DEGRADED

    async def _again(self, ask: Callable[[], Awaitable[None]], lists: ListPace) -> None:
        while True:
            await lists.wait()
            with suppress(ccxt.BaseError, VenueError):  # nothing is known anew then: it is asked for again
                await ask()

    def watch(
        self, listings: Sequence[Listing], others: Sequence[Listing] = (), trades: bool = False
    ) -> None:
        """Follow the market of these, and of no others. others: options to be asked for every now and then.
        trades: what others trade in it, too."""
        if self._summaries is None:
            self._summaries = CexSummaries(
                self._summarised, self._summary, self._terms.summary_s, self._now_ns
            )
            self._run(self._summaries.poll())
            self._run(self._mind_silence())
        self._summaries.follow(others)
        wanted = list(self._dialect.public(self._client, listings))
        if trades:
            wanted += self._dialect.trades(self._client, listings)
        channels = {c.key: c for c in wanted}
        gone = [key for key, live in self._live.items() if not live.channel.private and key not in channels]
        for key in gone:
            self._leave(self._live.pop(key))
        for key in channels.keys() & self._live.keys():  # of a family other members may be watched now
            self._live[key].channel = channels[key]
        self._join([c for c in channels.values() if c.key not in self._live])
        self._tell_gaps()

    async def _summarised(self, options: Sequence[Listing]) -> Frame:
        return await self._dialect.summaries(self._askers.market, options, self._now_ns())

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
        if channels and not self._looking:
            self._looking = True
            self._run(self._look_for_answers())

    def _leave(self, live: _Live) -> None:
        """Say good-bye, so that nothing comes any more that nobody wants."""
        if live.task is not None:
            live.task.cancel()
        if live.channel.book:
            self._copies.lose(live.channel.book)
        self._silence.forget(live.channel.key)
        connection = self._connection(live)
        if connection is None:
            return
        self._unlearn(live)
        self._say_farewell(live)

    def _say_farewell(self, live: _Live) -> None:
        farewell, word = live.channel.farewell, live.word
        if farewell is not None and word is not None and word.sent_s is not None:
            self._outbox.put(live.joined.url, Word(live.channel.key, False, farewell, live.channel.together))

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
        while channel.url not in self._given_up:
            reason, most_s, quiet = "", self._terms.pause_s_most, False
            try:
                if channel.private:
                    await self._well.wait()
                    await self._signed_in(live)
                await self._joined(live)
            except (ccxt.BaseError, VenueError, *_BROKEN) as error:
                known = self._failed(channel, error)
                # joined again for its silence alone: nothing is owed before the venue leaves that unanswered
                quiet = known.code == _SILENT
                if channel.private:
                    if (connection := self._connection(live)) is not None:
                        _drop(connection, "a part of the account's stream has failed")
                    if isinstance(known, Locked | Refused):
                        known = await self._judged(live, known)
                        most_s = min(most_s, _SKEWED_PAUSE_S_MOST) if known.code == "CLOCK_SKEWED" else most_s
                reason = known.text()
                hopeless = self._hopeless  # at a start nobody waits for it to pass
                if hopeless is not None and not hopeless.done() and isinstance(known, Locked | NotTheVenue):
                    hopeless.set_result(known)
                if isinstance(known, Locked):
                    self._given_up.add(channel.url)
                    self._desk.put(self._status(Link.DOWN, ("key_refused",), reason))
                    return
            tried = 0 if live.begun.is_set() else tried + 1
            live.begun.clear()
            live.word, live.asked_s, live.owed = None, None, not quiet
            self._unlearn(live)
            if channel.book:
                self._lose_book(channel.book)
            self.tell_link(reason)
            most = min(self._terms.pause_s_first * 2.0 ** min(tried, 10), most_s)
            await asyncio.sleep(most * random.uniform(0.5, 1.0))

    async def _joined(self, live: _Live) -> None:
        """Join, and wait until the connection breaks. Without a message, the connection is all there is."""
        joined = live.joined
        live.begun.clear()  # the answer to an earlier join may have come late
        in_company = bool(joined.message) and not joined.private
        message = {} if in_company else dict(joined.message)
        broken = self._client.watch(joined.url, joined.key, message, joined.key)
        connected = self._client.clients[joined.url].connected
        await asyncio.wait({broken, connected}, return_when=asyncio.FIRST_COMPLETED)
        if not broken.done():
            if in_company:
                most = 1 if live.alone else joined.together
                live.word = Word(joined.key, True, joined.message, most, broken)
                self._outbox.put(joined.url, live.word)
            elif message:
                live.asked_s = asyncio.get_running_loop().time()
            else:
                self._began([joined.key])
        await broken

    async def _signed_in(self, live: _Live) -> None:
        """Sign in, within the time that an answer may take once the connection stands.

        The library's answer is one for all who wait: it must be ended by the connection, not by a waiter.
        """
        signing = asyncio.ensure_future(self._dialect.sign_in(self._client, live.channel))
        signing.add_done_callback(_heard)  # where nobody waits any more, what it raises is nobody's
        try:
            await asyncio.sleep(0.0)  # it has asked for its connection then
            connection = self._client.clients.get(live.channel.url)
            if connection is not None:
                both: set[asyncio.Future[Any]] = {signing, connection.connected}
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait({signing}, timeout=self._terms.answer_s_max)
            if not signing.done() and connection is not None:
                _drop(connection, "no answer to signing in")
                await asyncio.wait({signing}, timeout=self._terms.answer_s_max)
            if not signing.done():
                raise ccxt.RequestTimeout("no answer to signing in")
            live.joined = signing.result()
        finally:
            signing.cancel()

    async def _judged(self, live: _Live, refused: VenueError) -> VenueError:
        """What a refusal of the account's stream says, with the clocks compared after it."""
        venue = self._dialect.venue
        try:
            ahead_ns = await self._dialect.time_ns(self._askers.clock) - self._now_ns()
        except (ccxt.BaseError, VenueError) as error:
            live.doubted = False
            return self._failed(live.channel, error)
        if abs(ahead_ns) > _SKEW_S_MAX * NS_PER_SECOND:
            live.doubted = False
            return Unreachable(
                "CLOCK_SKEWED",
                "the venue refuses a signature, and its clock and ours are apart",
                where=venue,
                observed=f"{ahead_ns / NS_PER_SECOND:+z.1f} s",
                allowed=f"within {_SKEW_S_MAX:g} s",
                not_done="the account's stream was not joined; it is tried again",
                fix="see which of the clocks is wrong",
            )
        if not isinstance(refused, Locked) or live.doubted:
            return refused
        live.doubted = True
        return Unreachable("KEY_DOUBTED", refused.what, where=venue, observed=refused.observed)

    async def _look_for_answers(self) -> None:
        """Ask again for what has not begun in time."""
        most_s = self._terms.answer_s_max
        while True:
            await asyncio.sleep(most_s / _LOOKS)
            before_s = asyncio.get_running_loop().time() - most_s
            late = [live for live in self._live.values() if _owed_since(live) < before_s]
            if not late:
                continue
            serving = {live.joined.url for live in self._live.values() if live.begun.is_set()}
            for live in late:
                self._ask_anew(live, live.joined.url in serving)
            self.tell_link("the venue has not answered a join")

    def _ask_anew(self, live: _Live, serving: bool) -> None:
        """serving: other channels have begun on the same connection, and are not to be lost. What may have
        been joined is left first: a venue may refuse what it sends already, and begins no book twice."""
        live.owed = True
        connection, key = self._connection(live), live.joined.key
        if connection is None:
            return
        if live.channel.private or not serving:
            _drop(connection, "no answer to a join")
        elif key in connection.futures:
            self._say_farewell(live)
            connection.reject(ccxt.RequestTimeout("no answer to a join"), key)

    def _began(self, keys: Iterable[str]) -> None:
        found = [live for key in keys if (live := self._live.get(key)) is not None]
        for live in found:
            live.begun.set()
            live.owed = live.doubted = live.alone = False
            self._silence.begun(live.channel.key, self._now_ns())
            if live.channel.book and self._dialect.copies_books:
                self._copies.want(live.channel.book)
                self._ask_copy(live.channel.book, self._terms.whole_s if live.channel.whole else 0.0)
        if found:
            self.tell_link("")

    def _refused(self, connection: Any, heard: Heard) -> None:
        """What the venue says no to: signing in, while that waits for its answer; else channels. Of several
        that were joined at once each is tried alone."""
        venue, (code, sentence) = self._dialect.venue, heard.why
        signing = connection.futures.get(_SIGNING_IN)
        if UNNAMED in heard.refused and signing is not None and not signing.done():
            code = code or sign_in_code(venue, sentence)
            connection.subscriptions.pop(_SIGNING_IN, None)
            connection.reject(refused_question(venue, "signing in", code, sentence), _SIGNING_IN)
            return
        for name in heard.refused:
            keys = self._outbox.keys(name)
            if not any(key in self._live for key in keys):  # no name, or none that is known
                keys = self._first_owed(connection.url)
                if len(keys) > 1:
                    self._say_farewells(keys)
            for key in keys:
                self._refuse(connection, key, refused_question(venue, key, code, sentence))

    def _first_owed(self, url: str) -> tuple[str, ...]:
        """Of the joins that wait for their answer, those of the first message: answers come in order."""
        since = {key: _owed_since(live) for key, live in self._live.items() if live.joined.url == url}
        first_s = min(since.values(), default=float("inf"))
        return tuple(key for key, at_s in since.items() if at_s == first_s < float("inf"))

    def _say_farewells(self, keys: Iterable[str]) -> None:
        """Leave what may have been joined: the venue may refuse some of a message and begin the others."""
        for key in keys:
            self._say_farewell(self._live[key])

    def _refuse(self, connection: Any, key: str, error: VenueError) -> None:
        """One channel, which has not begun; the library would remember a no to what nobody waits for."""
        live = self._live.get(key)
        if live is None or live.begun.is_set() or key not in connection.futures:
            return
        live.alone = True
        if isinstance(error, Locked) and not live.channel.private:
            error = Refused("NOT_BEGUN", error.what, where=key, observed=error.observed)
        connection.reject(error, key)

    def _failed(self, channel: Channel, error: Exception) -> VenueError:
        if isinstance(error, VenueError):
            return error
        if isinstance(error, _BROKEN):
            text = str(error) or type(error).__name__
            return Unreachable("CONNECTION_LOST", "the connection broke", where=channel.key, observed=text)
        return failed_question(self._dialect.venue, channel.key, error)

    # ------------------------------------------------------------------------------------------------ silence

    async def _mind_silence(self) -> None:
        """Let what is too old be handed out as unknown, and join again what has fallen silent."""
        while True:
            await asyncio.sleep(self._terms.ages.look_s)
            quotes, now_ns = self._desk.quotes, self._now_ns()
            if quotes is None:
                continue
            if quotes.grow_old(now_ns):
                self._desk.heard_quotes()
            silent = [live for live in self._live.values() if self._is_silent(live, quotes, now_ns)]
            if silent:
                self.tell_event("channels_silent", silent_words([live.channel.key for live in silent]))
            for live in silent:
                self._rejoin(live)

    def _is_silent(self, live: _Live, quotes: LiveQuotes, now_ns: int) -> bool:
        channel = live.channel
        if not channel.tells or not live.begun.is_set():
            return False
        if channel.tells != "index" and all(self._has_ended(symbol, now_ns) for symbol in channel.of):
            return False
        heard_ns = max((quotes.heard_ns(name, channel.tells) for name in channel.of), default=0)
        most_s = channel.silent_s_max or self._terms.ages.silent_s(channel.tells)
        return self._silence.overdue(channel.key, heard_ns, now_ns, most_s)

    def _has_ended(self, symbol: str, now_ns: int) -> bool:
        listing = self._listings.get(symbol)
        return listing is not None and 0 < listing.expiry_ns <= now_ns

    def _rejoin(self, live: _Live) -> None:
        """Leave a channel, and let its own task join it again."""
        connection = self._connection(live)
        if connection is None:
            return
        self._say_farewell(live)
        text = "nothing comes by this channel"
        connection.reject(Unreachable(_SILENT, text, where=live.channel.key), live.joined.key)

    async def _keep_alive(self, period_s: float) -> None:
        while True:
            await asyncio.sleep(period_s)
            with suppress(ccxt.BaseError, VenueError):  # where it came to nothing, the venue ends the stream
                await self._dialect.keep_alive(self._askers.account)

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

    def _quick(self, url: str) -> Quick:
        """What takes the books that come from an address, where they are as usual."""
        read, form = self._dialect.quick(url), self._dialect.followed(url)
        only = self._copies.whole if self._dialect.copies_books else None

        def taken(text: str) -> bool:
            quotes = self._desk.quotes
            if form is not None and quotes is not None and text.startswith(form.head):
                symbol = quotes.follow(form, text, only)
                if symbol:
                    if quotes.gapped or self._gaps:
                        self._followed(symbol)
                    self._desk.heard_quotes()
                    return True
            change = read(text)
            if change is None:
                return False
            self._changed(change)
            self._desk.heard_quotes()
            return True

        return taken

    def _hear(self, url: str, message: Any) -> None:
        """A frame, at the source. Nothing here may wait, and nothing it holds may end the connection."""
        try:
            heard = self._dialect.read(url, message, self._listings, self._terms.account)
        except Untrusted:
            self.malformed += 1
            return
        if heard.acknowledged:
            self._began(key for name in heard.acknowledged for key in self._outbox.keys(name))
        connection = self._client.clients.get(url)
        if connection is not None:
            if heard.refused:
                self._refused(connection, heard)
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
        if quotes is None:
            return
        parts: Sequence[BookChange] = (change,)
        if self._dialect.copies_books:
            if quotes.row_of(symbol) is None:
                return
            parts = self._copies.copy(change) if change.snapshot else self._copies.hear(change)
            if self._copies.waits(symbol):
                self._ask_copy(symbol)
        known = symbol not in quotes.gapped
        for part in parts:
            broken = quotes.change(part) in (Broken.GAP, Broken.CROSSED)
            if broken and (known or part.snapshot):  # what still comes of the old one restarts nothing
                self._restart(symbol)
                break
        if self._gaps or quotes.gapped:
            self._tell_gaps()

    def _followed(self, symbol: str) -> None:
        """A change has come while books are not known, which may be its own."""
        assert self._desk.quotes is not None
        if symbol in self._desk.quotes.gapped:
            self._restart(symbol)
        self._tell_gaps()

    def _ask_copy(self, symbol: str, after_s: float = 0.0) -> None:
        """Once at a time."""
        if symbol not in self._copying:
            self._copying.add(symbol)
            self._run(self._copy(symbol, after_s))

    async def _copy(self, symbol: str, after_s: float) -> None:
        """Ask for a whole book until it is there; not before it may have come by itself."""
        pause_s = self._terms.pause_s_first
        try:
            await asyncio.sleep(after_s)
            while self._copies.waits(symbol) and symbol in self._listings:
                try:
                    copied = await self._dialect.copy_book(
                        self._askers.market, self._listings[symbol], self._now_ns()
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
        market = not any(live.owed for live in self._live.values() if not live.channel.private)
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


def _heard(done: asyncio.Future[Any]) -> None:
    if not done.cancelled():
        done.exception()


def _owed_since(live: _Live) -> float:
    """When the join left whose answer is owed, loop's time; infinity where none is."""
    asked_s = live.asked_s if live.word is None else live.word.sent_s
    return float("inf") if asked_s is None or live.begun.is_set() else asked_s


async def _all_set(events: Sequence[asyncio.Event]) -> None:
    """Wait for all of them. A task, not `gather`: a gathering that nobody awaits any more complains aloud."""
    for event in events:
        await event.wait()
