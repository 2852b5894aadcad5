"""Deribit behind the `Venue` port: two sessions of its own, one for the account and one for the market.

They are apart because their troubles are: a burst of order messages that exceeds the credits ends the session
that sent it, and must not take the prices with it; a flood of tickers must not stand before a cancel. The
account's session carries orders, cancels, what happens to them, and cancel-on-disconnect.

Everything goes by WebSocket. The unified library is not used here: it places orders by GET, loses executions
between two calls, merges snapshots into old books and does not see gaps.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import aiohttp

from pricing.contracts import Listing
from pricing.universe import Universe
from venues.base import Capabilities, News
from venues.book_chain import Broken
from venues.deribit_account import DeribitAccount
from venues.deribit_session import SCOPE_CHARACTERS_MAX, DeribitSession, Login, SessionTerms
from venues.deribit_summaries import DeribitSummaries
from venues.errors import Ambiguous, Refused, Unreachable, Untrusted, VenueError
from venues.json_rpc import NotSent, Quick, RpcError, takes_nothing
from venues.list_pace import ListPace
from venues.live_quotes import LiveQuotes
from venues.net import Hosts, guarded_session
from venues.news import NewsDesk
from venues.order_checks import no_combos, refusal
from venues.orders import (
    AccountReport,
    ComboOrder,
    Link,
    Order,
    OrderReport,
    OrderState,
    OrderUpdate,
    VenueStatus,
)
from venues.part_ages import FieldAges
from venues.relisting import LISTINGS_S, Relisting
from venues.silence import Silence, silent_words
from venues.wire import book_forms
from venues.wire import deribit as wire
from venues.wire import deribit_frames as frames
from venues.wire.fields import Wire, items
from venues.wire.quotes import Change
from venues.wire.rejects import Reason
from venues.wire.units import Instruments

LIVE_URL = "wss://www.deribit.com/ws/api/v2"
SANDBOX_URL = "wss://test.deribit.com/ws/api/v2"
_MEND_PAUSE_S = 1.0
_PRIVATE = ("user.orders.any.any.raw", "user.trades.any.any.raw")


@dataclass(frozen=True, slots=True)
class DeribitTerms:
    """How to talk to Deribit. order_rate, order_burst: of the account's tier, messages a second and at once.
    interval: of tickers and books. levels: of a book a side. start_s_max: until both sessions are up. trades:
    tell what others trade in what is watched. ages: after which a field is not known any more; a ticker that
    is silent for as long as a mark may be old is joined again. listings_s: so often what is listed is asked
    for again."""

    url: str = LIVE_URL
    account: str = ""
    order_rate: float = 5.0
    order_burst: int = 20
    interval: str = "100ms"
    levels: int = 20
    start_s_max: float = 20.0
    summary_s: float = 5.0
    listings_s: float = LISTINGS_S
    trades: bool = False
    ages: FieldAges = field(default_factory=FieldAges)
    session: SessionTerms = field(default_factory=SessionTerms)


class DeribitVenue:
    """One account on Deribit; without a login its market alone, for paper trading on live prices."""

    def __init__(
        self,
        terms: DeribitTerms,
        login: Login | None = None,
        *,
        hosts: Hosts | None = None,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._terms, self._login, self._now_ns = terms, login, now_ns
        self._hosts = hosts or Hosts.of([terms.url])
        self._listings: dict[str, Listing] = {}
        self._gone: dict[str, Listing | None] = {}
        self._relisting, self._lists = Relisting(), ListPace(terms.listings_s)
        self._desk = NewsDesk(now_ns)
        self._http: aiohttp.ClientSession | None = None
        self._market: DeribitSession | None = None
        self._orders: DeribitSession | None = None
        self._account: DeribitAccount | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._link: Link | None = None
        self._mending: set[str] = set()
        self._settling = False
        self._owing = False
        self._silence = Silence()
        self._wanted: set[str] = set()
        self._summaries: DeribitSummaries | None = None
        self._gaps: tuple[str, ...] = ()
        self._closed = False
        self.malformed = 0
        self.refused: dict[str, str] = {}

    @property
    def trades_left_out(self) -> int:
        """Trades of others that were told too late, or that nobody came for."""
        return self._desk.trades_left_out

    @property
    def name(self) -> str:
        """The venue's name, as in `Listing.venue`."""
        return wire.VENUE

    @property
    def capabilities(self) -> Capabilities:
        """What it can do; dead_man_s is None while the venue does not promise to cancel on disconnect."""
        armed = self._orders is not None and self._orders.cancels_on_disconnect
        return Capabilities(
            mass_cancel=True,
            dead_man_s=self._terms.session.dead_man_s if armed else None,
            combos=False,
            reduce_only=True,
            post_only=True,
            order_rate=self._terms.order_rate,
            order_burst=self._terms.order_burst,
            timer_s=None if self._login is None else self._terms.session.dead_man_s,
            amends=True,
        )

    @property
    def quotes(self) -> LiveQuotes | None:
        """The newest of what is watched, with counts; None until somebody watches."""
        return self._desk.quotes

    async def time_ns(self) -> int:
        """The venue's clock, UTC ns.

        Raises:
            VenueError: it does not say.
        """
        return Wire({"time": await self._question("public/get_time", {})}, "get_time").stamp_ns("time")

    async def scopes(self) -> tuple[str, ...]:
        """The venue's words for what the key may do; none without a key."""
        scope = "" if self._orders is None else self._orders.scope
        cut = ("(cut off)",) if len(scope) >= SCOPE_CHARACTERS_MAX else ()  # whatever else it may do
        return (*scope.split(), *cut)

    async def prevents_self_trades(self) -> bool:
        """Whether the venue says that no two orders of the account trade with each other.

        Raises:
            VenueError: it does not say.
        """
        return await self._signed().self_trading_mode() in ("reject_taker", "cancel_maker")

    async def fee_coin(self) -> str:
        """What an order settles in pays its fee."""
        return ""

    async def account_faults(self) -> tuple[str, ...]:
        """None: every account there has one signed position an instrument; margin models differ in margin."""
        self._signed()
        return ()

    async def start(self) -> None:
        """Connect, sign in, learn what is listed.

        Raises:
            Unreachable: not within `start_s_max`. Locked: the key is refused. Untrusted: no sense in it.
        """
        self._hosts.check(self._terms.url)  # a wrong address is no outage: nobody waits for it to pass
        self._http = guarded_session(self._hosts)
        self._market = self._session(self._hear_market, None, self._hear_quickly)
        self._market.start()
        if self._login is not None:
            self._orders = self._session(self._hear_account, self._login)
            self._account = DeribitAccount(
                self._orders, self._listings, self._listing_of, self._terms.account
            )
            await self._orders.subscribe(_PRIVATE)
        await self._market.wait_up(self._terms.start_s_max)
        await self.listings()
        if self._orders is not None:
            self._orders.start()
            await self._orders.wait_up(self._terms.start_s_max)
        self._run(self._relist())

    async def start_to_ask(self) -> None:
        """Learn what is listed, and sign in to ask for the account; nothing of it is heard or armed.

        Raises:
            VenueError: as `start`.
        """
        self._hosts.check(self._terms.url)
        self._http = guarded_session(self._hosts)
        self._market = self._session(lambda channel, data: None, None)
        self._market.start()
        self._sign_in_briefly()
        await self._market.wait_up(self._terms.start_s_max)
        await self.listings()
        if self._orders is not None:
            await self._orders.wait_up(self._terms.start_s_max)

    @property
    def known(self) -> Mapping[str, Listing]:
        """What was listed when that was last asked for, by symbol."""
        return self._listings

    def _sign_in_briefly(self) -> None:
        if self._login is None:
            return
        self._orders = self._session(lambda channel, data: None, self._login, brief=True)
        self._account = DeribitAccount(self._orders, self._listings, self._listing_of, self._terms.account)
        self._orders.start()

    async def start_to_cancel(self) -> None:
        """Sign in to cancel and to ask what is open, and nothing else: nothing is listed, heard or armed.

        Raises:
            NotSent: there is no key. VenueError: as `start`.
        """
        self._hosts.check(self._terms.url)
        self._http = guarded_session(self._hosts)
        self._sign_in_briefly()
        self._signed()
        assert self._orders is not None
        await self._orders.wait_up(self._terms.start_s_max)

    async def resting(self) -> int:
        """How many orders are open on the account, whoever sent them.

        Raises:
            VenueError: it does not say.
        """
        return await self._signed().resting()

    def watch(self, universe: Universe, symbols: Collection[str]) -> None:
        """Give marks of these, in rows of this universe; replaces what was watched before.

        These are subscribed to, with their books. The universe's other options are looked up every now and
        then by one question per currency: marks, vols and touch prices, without sizes.
        """
        if self._market is None:
            raise Unreachable("NOT_CONNECTED", "no market session", where=self.name)
        before, known = self._wanted, self._desk.quotes
        self._desk.quotes = LiveQuotes(
            universe, self.name, self._terms.levels, self._terms.ages, self._now_ns
        )
        wanted = {c for s in symbols if (self.name, s) in universe.positions for c in self._channels(s)}
        if known is not None:  # what was subscribed to and still is has gone on without a break
            kept = [s for s in symbols if before.issuperset(self._channels(s))]
            self._desk.quotes.take_over(known, kept)
            self._desk.heard_quotes()
        self._market.follow(sorted(wanted - before), sorted(before - wanted))
        self._settle()
        for channel in before - wanted:
            self._silence.forget(channel)
        self._begin_listening(wanted - before)
        self._wanted = wanted
        self._tell_gaps()
        chosen = set(symbols)
        others = [x for x in universe.listings if x.venue == self.name and x.symbol not in chosen]
        if self._summaries is None:
            self._summaries = DeribitSummaries(self._question, self._hear_summary, self._terms.summary_s)
            self._run(self._summaries.poll())
            self._run(self._mind_silence())
        self._summaries.follow(others)

    async def listings(self) -> Sequence[Listing]:
        """Everything that trades there now; what is listed and cannot be read stands in `refused`.

        Raises:
            Unreachable: no answer. Untrusted: not one instrument in it can be read.
        """
        result = await self._question("public/get_instruments", {"currency": "any", "expired": False})
        found: Instruments = wire.instruments(result, self._now_ns())
        if not found.listings:
            raise Untrusted("NO_LISTINGS", "the venue lists nothing that can be read", where=self.name)
        self._gone.update((s, x) for s, x in self._listings.items())
        listed = {x.symbol: x for x in found.listings}
        unread = {s: x for s, x in self._listings.items() if s in found.refused}
        self._listings.clear()
        self._listings.update(unread | listed)
        self.refused = dict(found.refused)
        link = self._link or Link.DEGRADED
        news = self._relisting.news(self.name, link, listed, self._now_ns(), self.refused)
        if news is not None:
            self._desk.put(news)
        return found.listings

    async def _relist(self) -> None:
        """Ask for what is listed, again and again."""
        while True:
            await self._lists.wait()
            with suppress(VenueError):  # nothing is known anew then: it is asked for again
                await self.listings()

    def stream(self) -> AsyncIterator[News]:
        """What happens, as it happens; ends with `close`, and raises what ended the venue otherwise."""
        return self._desk.stream()

    async def submit(self, order: Order | ComboOrder) -> OrderUpdate:
        """Send an order once."""
        if isinstance(order, ComboOrder):
            return no_combos(order, self.name)
        if self._account is None or self._closed:
            return refusal(order, Reason.KEY if self._account is None else "closed", "no account session")
        update, trades = await self._account.submit(order)
        if update.state.terminal or update.state is OrderState.OPEN:
            self._hear_trades(trades)
        return self._lists.heard(update)

    async def cancel(self, client_id: str) -> OrderUpdate:
        """Ask for an order to be cancelled."""
        return await self._signed().cancel(client_id)

    async def amend(self, client_id: str, price: Decimal, quantity: Decimal) -> OrderUpdate:
        """Give a resting order another price and size.

        Raises:
            Refused: it was not changed. VenueError: nothing was sent.
        """
        update, trades = await self._signed().amend(client_id, price, quantity)
        self._hear_trades(trades)
        return update

    async def cancel_all(self) -> None:
        """Cancel every order of the account; by a connection of its own where the usual one does not serve.

        Raises:
            Unreachable: nobody answers there at all. Ambiguous: nobody can say. Locked: the key is refused.
        """
        try:
            await self._signed().cancel_all()
        except (NotSent, Ambiguous):
            await self._cancel_all_anew()

    async def refresh(self) -> None:
        """The engine is well.

        Raises:
            Refused: the venue does not promise to cancel when the connection breaks.
        """
        if self._orders is None:
            return
        self._orders.refresh()
        if self._orders.up and not self._orders.cancels_on_disconnect:
            raise Refused(
                "NO_CANCEL_ON_DISCONNECT",
                "the venue does not promise to cancel orders when the connection breaks",
                where=self.name,
                fix="give the key the right to set it, or set it for the account",
            )

    async def order(self, client_id: str) -> OrderReport | None:
        """One order as the venue knows it.

        Raises:
            VenueError: it does not say.
        """
        return await self._signed().order(client_id)

    async def account(self, since_ns: int | None) -> AccountReport:
        """Orders, positions, balances, and the executions since; None: without executions.

        Raises:
            VenueError: it does not say.
        """
        return await self._signed().account(since_ns)

    async def close(self) -> None:
        """End the sessions; orders stay as they are."""
        self._closed = True
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        sessions = [session for session in (self._orders, self._market) if session is not None]
        await asyncio.gather(*(session.close() for session in sessions))
        if self._http is not None:
            await self._http.close()
        self._desk.close()

    # ----------------------------------------------------------------------------------------------- sessions

    def _session(
        self,
        hear: Callable[[str, Any], None],
        login: Login | None,
        quick: Quick = takes_nothing,
        *,
        brief: bool = False,
    ) -> DeribitSession:
        assert self._http is not None
        return DeribitSession(
            self._terms.url,
            self._http,
            hear,
            self._told_link,
            login=login,
            terms=self._terms.session,
            quick=quick,
            brief=brief,
            now_ns=self._now_ns,
        )

    def _signed(self) -> DeribitAccount:
        if self._account is None or self._closed:
            raise NotSent("NOT_CONNECTED", "no account session", where=self.name, not_done="nothing was sent")
        return self._account

    async def _cancel_all_anew(self) -> None:
        """The kill must not hang on a session that is just being rebuilt, or has used up its credits."""
        assert self._login is not None
        session = self._session(lambda channel, data: None, self._login, brief=True)
        session.start()
        try:
            await session.wait_up(self._terms.session.connect_s_max)
            try:
                await session.call("private/cancel_all", {})
            except RpcError as error:
                raise Ambiguous(
                    "CANCEL_ALL", "the venue did not do it", observed=f"{error.number} {error.message}"
                ) from None
        finally:
            await session.close()

    async def _question(self, method: str, params: dict[str, Any]) -> Any:
        """Ask on the market's session, where nothing can have an effect."""
        if self._market is None or self._closed:
            raise NotSent("NOT_CONNECTED", "no market session", where=method, not_done="nothing was sent")
        try:
            return await self._market.call(method, params)
        except (Ambiguous, RpcError) as error:
            raise Unreachable(error.code, error.what, where=method, observed=error.observed) from None

    def _told_link(self, up: bool, reason: str) -> None:
        """A session came up or went down: what the venue as a whole is now."""
        if self._closed:
            return
        sessions = [s for s in (self._orders, self._market) if s is not None]
        failure = next((s.failure for s in sessions if s.failure is not None), None)
        if failure is not None:
            self._desk.close(failure)
            return
        if self._market is not None and self._market.up and (self._market.settled or not self._settling):
            self._owing = bool(self._market.owed)
            self._settle()
        events: tuple[str, ...] = ()
        if not up and self._desk.quotes is not None and not (self._market and self._market.up):
            self._desk.quotes.lose_books()
            self._tell_gaps()
        if up and any(s.connections > 1 for s in sessions):
            events = ("reconnected",)
        if any(s.locked is not None for s in sessions):
            events = ("key_refused",)
        if up:
            self._begin_listening(self._wanted)
        self._tell_link(events, reason)

    def _tell_link(self, events: tuple[str, ...], reason: str) -> None:
        """What the venue as a whole is now, where that has changed or something has happened."""
        trading = self._orders is None or self._orders.up
        market = self._market is not None and self._market.up and not self._owing
        link = Link.UP if trading and market else Link.DEGRADED if trading else Link.DOWN
        if link is not self._link or events:
            self._link = link
            self._desk.put(VenueStatus(self.name, link, events, reason[:300], self._now_ns()))

    # ------------------------------------------------------------------------------------------------ hearing

    def _hear_market(self, channel: str, data: Any) -> None:
        quotes = self._desk.quotes
        if quotes is None:
            return
        try:
            if channel.startswith("ticker."):
                quotes.hear(wire.ticker(data))
            elif channel.startswith("book."):
                self._change(wire.book(data))
            elif channel.startswith("trades."):
                self._desk.hear_trades(wire.public_trades(data))
                return
        except Untrusted:
            self.malformed += 1
            if channel.startswith("book."):  # a message that cannot be read is one that is missing
                self._mend(channel)
            return
        self._desk.heard_quotes()

    def _hear_quickly(self, text: str) -> bool:
        """Tickers and books that are as usual, decoded straight from the text; whether this was one."""
        quotes = self._desk.quotes
        if quotes is None:
            return False
        if text.startswith(frames.TICKER_HEAD):
            ticker = frames.ticker(text)
            if ticker is None:
                return False
            quotes.hear(ticker)
        elif text.startswith(frames.BOOK_HEAD):
            if symbol := quotes.follow(book_forms.DERIBIT, text):
                if quotes.gapped or self._gaps:
                    self._followed(symbol)
                self._desk.heard_quotes()
                return True
            change = frames.book(text)
            if change is None:
                return False
            self._change(change)
        else:
            return False
        self._desk.heard_quotes()
        return True

    def _followed(self, symbol: str) -> None:
        """A change has come while books are not known, which may be its own."""
        assert self._desk.quotes is not None
        if symbol in self._desk.quotes.gapped:
            self._mend(self._channels(symbol)[1])
        self._tell_gaps()

    def _change(self, change: Change) -> None:
        """What a message does to a book; a new snapshot where one is missing."""
        assert self._desk.quotes is not None
        broken = self._desk.quotes.change(change)
        if broken in (Broken.GAP, Broken.CROSSED):
            self._mend(self._channels(change.symbol)[1])
        if broken is not None or self._gaps:
            self._tell_gaps()

    def _hear_summary(self, rows: Iterable[object]) -> None:
        """Summaries of options that are not subscribed to."""
        quotes = self._desk.quotes
        if quotes is None:
            return
        for row in rows:
            try:
                quotes.hear(wire.summary(row))
            except Untrusted:
                self.malformed += 1
        self._desk.heard_quotes()

    def _tell_gaps(self) -> None:
        """Which books wait for a snapshot, where that has changed."""
        gaps = () if self._desk.quotes is None else self._desk.quotes.gaps
        if gaps != self._gaps and not self._closed:
            self._gaps, link = gaps, self._link or Link.DEGRADED
            self._desk.put(VenueStatus(self.name, link, venue_ns=self._now_ns(), gaps=gaps))

    def _hear_account(self, channel: str, data: Any) -> None:
        try:
            if channel.startswith("user.orders."):
                for order in data if isinstance(data, list) else [data]:
                    update = wire.order_update(order)
                    assert self._account is not None
                    self._account.note(update)
                    if update.client_id:
                        self._desk.put(update)
            elif channel.startswith("user.trades."):
                self._hear_trades(data)
        except Untrusted as error:
            self._unread(error)

    def _hear_trades(self, data: object) -> None:
        """Executions of ours; of an instrument that is not known yet, once it is."""
        try:
            for item in items(data, "trades"):
                if item.text("instrument_name") in self._listings:
                    self._desk.put(wire.trade_report(item, self._listings, self._terms.account))
                else:
                    self._run(self._hear_strange(item))
        except Untrusted as error:
            self._unread(error)

    async def _hear_strange(self, item: Wire) -> None:
        assert self._account is not None
        try:
            trade = await self._account.trade(item)
        except VenueError as error:
            self._unread(error)
            return
        if trade is not None:
            self._desk.put(trade)

    def _unread(self, error: VenueError) -> None:
        """News of the account that cannot be read: the engine must ask for the truth."""
        self.malformed += 1
        link = self._link or Link.DEGRADED
        self._desk.put(
            VenueStatus(self.name, link, ("account_news_unread",), error.text()[:300], self._now_ns())
        )

    async def _listing_of(self, symbol: str) -> Listing | None:
        """An instrument that is not listed any more, or not yet known; None for a combo."""
        if symbol not in self._gone:
            item = Wire(await self._question("public/get_instrument", {"instrument_name": symbol}), symbol)
            self._gone[symbol] = wire.instrument(item, self._now_ns(), also_inactive=True)
        return self._gone[symbol]

    # ----------------------------------------------------------------------------------------------- watching

    def _channels(self, symbol: str) -> tuple[str, ...]:
        """Ticker, book, and trades where they are wanted."""
        interval = self._terms.interval
        found = (f"ticker.{symbol}.{interval}", f"book.{symbol}.{interval}")
        return (*found, f"trades.{symbol}.{interval}") if self._terms.trades else found

    def _settle(self) -> None:
        """Have the venue send what is watched; one task at a time sees to it."""
        if not self._settling:
            self._settling = True
            self._run(self._settled())

    async def _settled(self) -> None:
        """Ask until the venue has taken all of it. While it owes a part, the venue is not up."""
        assert self._market is not None
        pause_s, most_s = _MEND_PAUSE_S, self._terms.session.pause_s_most
        try:
            while self._market.up and not self._market.settled:
                try:
                    await self._market.settle()
                except VenueError as error:
                    self._owing = bool(self._market.owed)
                    self._tell_link((), error.text())
                    await asyncio.sleep(min(pause_s, most_s))
                    pause_s *= 2.0
        finally:
            self._settling = False
        if self._market.up:
            self._owing = False
            self._tell_link((), "")

    def _begin_listening(self, channels: Iterable[str]) -> None:
        """From now on, a ticker that does not come is silent; books may be, while nothing changes."""
        for channel in channels:
            if channel.startswith("ticker."):
                self._silence.begun(channel, self._now_ns())

    async def _mind_silence(self) -> None:
        """Let what is too old be handed out as unknown, and join again what has fallen silent."""
        while True:
            await asyncio.sleep(self._terms.ages.look_s)
            quotes, now_ns = self._desk.quotes, self._now_ns()
            if quotes is None:
                continue
            if quotes.grow_old(now_ns):
                self._desk.heard_quotes()
            if self._market is None or not self._market.up:
                continue
            silent = [c for c in sorted(self._wanted) if self._is_silent(c, quotes, now_ns)]
            if silent:
                link = self._link or Link.DEGRADED
                words = silent_words(silent)
                self._desk.put(VenueStatus(self.name, link, ("channels_silent",), words, self._now_ns()))
            for channel in silent:
                self._mend(channel)

    def _is_silent(self, channel: str, quotes: LiveQuotes, now_ns: int) -> bool:
        symbol = channel.split(".")[1]
        listing = self._listings.get(symbol)
        if not channel.startswith("ticker.") or listing is None or 0 < listing.expiry_ns <= now_ns:
            return False
        return self._silence.overdue(channel, quotes.heard_ns(symbol), now_ns, self._terms.ages.mark_s)

    def _mend(self, channel: str) -> None:
        """Join a channel again, for a new snapshot of its book or because nothing comes; once at a time."""
        if channel not in self._mending:
            self._mending.add(channel)
            self._run(self._resubscribe(channel))

    async def _resubscribe(self, channel: str) -> None:
        assert self._market is not None
        try:
            while self._market.up and channel in self._wanted:
                try:
                    await self._market.resubscribe([channel])
                    return
                except VenueError:  # it may have left and not joined again: nothing would come any more
                    await asyncio.sleep(_MEND_PAUSE_S)
        finally:
            self._mending.discard(channel)

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (failure := task.exception()) is not None:
            self._desk.close(failure)
