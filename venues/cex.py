"""An exchange behind the `Venue` port, reached through ccxt's clients: one class, a dialect per venue.

Seven clients of the library, each with its own rate limit: for orders, for cancels, for the dead man's timer,
for questions about the account, for the market's, for the clock, for streams. A cancel stands behind no burst
of orders, no question and no refresh; the account, and an order that is looked for, behind no copy of a book;
and how far the clocks are apart is measured without a wait of our own in it.

Streams are hints: frames are taken at the source and read by our own parsers, an update that was lost is
found by asking. Requests are sent once; what became of one that failed is judged by the venue's own code
(`venues.cex_parse`), and what that does not prove is UNKNOWN.

These venues acknowledge an order before they have looked at it. `submit` therefore waits a moment for the
order's own first news, and asks once where none comes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import aiohttp
import ccxt

from pricing.contracts import Kind, Listing
from pricing.universe import Universe
from venues.base import Capabilities, News
from venues.cex_client import CexTerms, check_client, make_client
from venues.cex_dialect import Account, Dialect
from venues.cex_parse import failed_effect, failed_question, judge_order, not_found
from venues.cex_streams import Askers, CexStreams, StreamTerms
from venues.clock_offset import offset_ns
from venues.errors import Ambiguous, Refused, Unreachable, Untrusted, VenueError
from venues.list_pace import ListPace
from venues.live_quotes import LiveQuotes
from venues.net import guarded_session
from venues.news import NewsDesk
from venues.order_checks import (
    ALREADY_DONE,
    NOT_SHOWN,
    amend_refused,
    another_order,
    check_amendment,
    no_amends,
    no_combos,
    refusal,
    refused_here,
)
from venues.orders import (
    AccountReport,
    ComboOrder,
    Order,
    OrderReport,
    OrderState,
    OrderUpdate,
    TimeInForce,
)
from venues.part_ages import FieldAges
from venues.relisting import LISTINGS_S, Relisting
from venues.secrets import Secret
from venues.sent_ids import SentIds
from venues.wire.client_ids import to_wire
from venues.wire.frames import Frame
from venues.wire.rejects import DUPLICATE, NOT_FOUND, Reason

#: Rounds of listing and cancelling until the mass cancel gives up.
_CANCEL_ROUNDS = 5


@dataclass(frozen=True, slots=True)
class CexSettings:
    """Times of an adapter, seconds. news_s_max: how long an order's own news is waited for. maintenance_s:
    announced windows are asked for so often; listings_s: what is listed. whole_s: how long a book
    that comes whole is waited for before it is asked for. trades: tell what others
    trade in what is watched. None: the dialect's own."""

    account: str = ""
    order_rate: float | None = None
    order_burst: int | None = None
    dead_man_s: float | None = None
    levels: int = 20
    start_s_max: float = 20.0
    news_s_max: float = 1.0
    pause_s_first: float = 0.5
    pause_s_most: float = 30.0
    maintenance_s: float = 600.0
    whole_s: float = 3.0
    listings_s: float = LISTINGS_S
    trades: bool = False
    ages: FieldAges | None = None


class CexVenue:
    """One account on one exchange; without secrets its market alone."""

    def __init__(
        self,
        dialect: Dialect,
        terms: CexTerms,
        secrets: Mapping[str, Secret] | None = None,
        settings: CexSettings | None = None,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._dialect, self._terms, self._now_ns = dialect, terms, now_ns
        self._secrets, self._settings = dict(secrets or {}), settings or CexSettings()
        self._ages = self._settings.ages or dialect.ages
        self._listings: dict[str, Listing] = {}
        self._relisting, self._lists = Relisting(), ListPace(self._settings.listings_s)
        self._desk = NewsDesk(now_ns)
        self._sessions: list[aiohttp.ClientSession] = []
        self._orders: Any = None
        self._cancels: Any = None
        self._timer: Any = None
        self._polls: Any = None
        self._market: Any = None
        self._clock: Any = None
        self._streams: CexStreams | None = None
        self._sent = SentIds()
        self._waiting: dict[str, asyncio.Future[OrderUpdate]] = {}
        self._strange: dict[str, None] = {}
        self._closed = False
        self._timer_set = False
        self.refused: dict[str, str] = {}

    @property
    def malformed(self) -> int:
        """Messages that could not be read."""
        return 0 if self._streams is None else self._streams.malformed

    @property
    def trades_left_out(self) -> int:
        """Trades of others that were told too late, or that nobody came for."""
        return self._desk.trades_left_out

    @property
    def name(self) -> str:
        """The venue's name, as in `Listing.venue`."""
        return self._dialect.venue

    @property
    def capabilities(self) -> Capabilities:
        """What it can do; dead_man_s is None until the venue takes a refresh, and after one that failed."""
        own, dialect = self._settings, self._dialect
        has_timer = self._secrets and dialect.dead_man_s is not None
        timer_s = (own.dead_man_s or dialect.dead_man_s) if has_timer else None
        return Capabilities(
            mass_cancel=True,
            dead_man_s=timer_s if self._timer_set else None,
            combos=False,
            reduce_only=True,
            post_only=True,
            order_rate=own.order_rate or dialect.order_rate,
            order_burst=own.order_burst or dialect.order_burst,
            has_dead_man=dialect.dead_man_s is not None,
            timer_s=timer_s,
            amends=self._dialect.amends,
        )

    @property
    def paces(self) -> Mapping[str, tuple[float, float]]:
        """How many questions may leave at once, by kind: now, and at most, in the venue's costs."""
        clients = {"account questions": self._polls, "market questions": self._market}
        return {kind: client.throttler.left() for kind, client in clients.items() if client is not None}

    @property
    def quotes(self) -> LiveQuotes | None:
        """The newest of what is watched, with counts; None until somebody watches."""
        return self._desk.quotes

    async def time_ns(self) -> int:
        """The venue's clock, UTC ns.

        Raises:
            VenueError: it does not say.
        """
        found: int = await self._asked("time", self._dialect.time_ns(self._clock))
        return found

    async def scopes(self) -> tuple[str, ...]:
        """The venue's words for what the key may do; none without a key.

        Raises:
            VenueError: it does not say.
        """
        if not self._secrets:
            return ()
        found: tuple[str, ...] = await self._asked("scopes", self._dialect.scopes(self._polls))
        return found

    async def prevents_self_trades(self) -> bool | None:
        """Whether the venue says that no two orders of the account trade with each other; None where it, or a
        part of it, has no such prevention.

        Raises:
            VenueError: it does not say.
        """
        self._check_open()
        found: bool | None = await self._asked("config", self._dialect.prevents_self_trades(self._polls))
        return found

    async def account_faults(self) -> tuple[str, ...]:
        """Settings of the account there under which our orders would mean something else, and the way out.

        Raises:
            VenueError: it does not say.
        """
        self._check_open()
        found: tuple[str, ...] = await self._asked("mode", self._dialect.account_faults(self._polls))
        return found

    async def fee_coin(self) -> str:
        """The coin that fees are paid in whatever a contract settles in; "" where there is none.

        Raises:
            VenueError: it does not say.
        """
        self._check_open()
        found: str = await self._asked("fees", self._dialect.fee_coin(self._polls))
        return found

    async def start(self) -> None:
        """Make the clients, learn what is listed, join the account's stream.

        Raises:
            VenueError: not within `start_s_max`, or the key is refused.
        """
        self._orders, self._cancels, self._timer = (self._client() for _ in range(3))
        streams = self._client()
        self._make_askers()
        self._streams = CexStreams(
            streams,
            Askers(self._polls, self._market, self._clock),
            self._dialect,
            self._desk,
            self._listings,
            self._took,
            StreamTerms(
                self._settings.account,
                self._settings.pause_s_first,
                self._settings.pause_s_most,
                self._settings.whole_s,
                self.capabilities.timer_s if self._dialect.by_connection else None,
                ages=self._ages,
                answer_s_max=self._terms.answer_s_max,
            ),
            self._now_ns,
        )
        await self.listings()
        if self._secrets:
            await self._streams.join_account(self._settings.start_s_max)
        else:
            self._streams.tell_link("")
        own = self._settings
        self._streams.begin_asking(own.maintenance_s, self._relist, self._lists)

    async def start_to_ask(self) -> None:
        """Make the clients that questions go by, and learn what is listed, without the account's fees; no
        stream is joined and no timer set.

        Raises:
            VenueError: it does not say.
        """
        self._make_askers()
        await self._learn(signed=False)

    async def start_to_cancel(self) -> None:
        """Make the clients that a kill needs, and nothing else: nothing is listed, no stream is joined.

        Raises:
            VenueError: there is no key.
        """
        self._cancels, self._polls = self._client(), self._client()
        self._check_open()

    async def resting(self) -> int:
        """How many orders are open on the account, whoever sent them.

        Raises:
            VenueError: it does not say.
        """
        self._check_open()
        found: int = await self._asked("resting", self._dialect.resting(self._polls))
        return found

    def _make_askers(self) -> None:
        burst = self._dialect.question_burst
        self._polls, self._market, self._clock = (self._client(burst) for _ in range(3))

    def _client(self, burst: float | None = None) -> Any:
        """One of the library's, on a session of its own."""
        session = guarded_session(self._terms.hosts, timeout_s=self._terms.answer_s_max)
        self._sessions.append(session)
        return make_client(self._terms, self._secrets, session, self._dialect.options, burst)

    def watch(self, universe: Universe, symbols: Collection[str]) -> None:
        """Give marks of these, in rows of this universe; replaces what was watched before.

        These are subscribed to, with their books. The universe's other options are asked for every now and
        then, by underlying.
        """
        if self._streams is None:
            raise Unreachable("NOT_CONNECTED", "no market session", where=self.name)
        chosen = set(symbols)
        wanted = [x for x in universe.listings if x.venue == self.name and x.symbol in chosen]
        before, self._desk.quotes = (
            self._desk.quotes,
            LiveQuotes(universe, self.name, self._settings.levels, self._ages, self._now_ns),
        )
        if before is not None:
            self._desk.quotes.take_over(before, [x.symbol for x in wanted])
        others = [x for x in universe.listings if x.venue == self.name and x.symbol not in chosen]
        self._streams.watch(wanted, others, self._settings.trades)
        self._desk.heard_quotes()

    async def listings(self) -> Sequence[Listing]:
        """Everything that trades there now; what is listed and cannot be read stands in `refused`.

        Raises:
            VenueError: no answer, or not one instrument in it can be read.
        """
        return await self._learn(signed=bool(self._secrets))

    @property
    def known(self) -> Mapping[str, Listing]:
        """What has been listed since the start, by symbol, as it was last told."""
        return self._listings

    async def _learn(self, signed: bool) -> Sequence[Listing]:
        """signed: ask for the account's own fees, which costs as much again."""
        question = self._dialect.instruments(self._market, signed, self._now_ns())
        found = await self._asked("instruments", question)
        if not found.listings:
            raise Untrusted("NO_LISTINGS", "the venue lists nothing that can be read", where=self.name)
        known, listed = self._listings, {x.symbol: x for x in found.listings}
        if not signed:  # the venue's own list tells no fees of the account's: those known stay
            listed = {s: replace(x, fees=known[s].fees) if s in known else x for s, x in listed.items()}
        known.update(listed)
        self.refused = dict(found.refused)
        if self._streams is not None:
            link = self._streams.link
            news = self._relisting.news(self.name, link, listed, self._now_ns(), self.refused)
            if news is not None:
                self._desk.put(news)
        return tuple(listed.values())

    async def _relist(self) -> None:
        """What is listed by now; what is otherwise than before is told of."""
        await self._learn(signed=False)

    def stream(self) -> AsyncIterator[News]:
        """What happens, as it happens; ends with `close`, and raises what ended the venue otherwise."""
        return self._desk.stream()

    # --------------------------------------------------------------------------------------------- orders out

    async def submit(self, order: Order | ComboOrder) -> OrderUpdate:
        """Send an order once, and say what became of it as far as its first news tells."""
        if isinstance(order, ComboOrder):
            return no_combos(order, self.name)
        if self._closed or not self._secrets:
            return refusal(order, "closed" if self._closed else Reason.KEY, "no account")
        if order.client_id in self._sent:
            text = "this id has been sent; nothing left this time"
            return OrderUpdate(order.client_id, OrderState.UNKNOWN, code=DUPLICATE, text=text)
        refused = refused_here(order, self._listings.get(order.listing.symbol))
        if refused is None and order.reduce_only and order.listing.contract.kind is Kind.SPOT:
            refused = refusal(order, Reason.REDUCE_ONLY, "spot has no position to reduce")
        if refused is not None:
            return refused
        check_client(self._orders)
        self._sent.add(order.client_id, order.listing, order.side)
        news: asyncio.Future[OrderUpdate] = asyncio.get_running_loop().create_future()
        self._waiting[order.client_id] = news
        try:
            venue_id = await self._dialect.place(self._orders, order, to_wire(self.name, order.client_id))
        except VenueError as error:  # an answer without sense, or a redirect: it may be there
            self._waiting.pop(order.client_id, None)
            return OrderUpdate(order.client_id, OrderState.UNKNOWN, code=error.code, text=error.text()[:300])
        except ccxt.BaseError as error:
            self._waiting.pop(order.client_id, None)
            verdict, words = judge_order(self.name, error)
            known = OrderUpdate(order.client_id, verdict.state, code=verdict.code, text=words[:300])
            return self._lists.heard(known)
        return self._lists.heard(await self._settled(order, venue_id, news))

    async def _settled(self, order: Order, venue_id: str, news: asyncio.Future[OrderUpdate]) -> OrderUpdate:
        """What is known a moment after the acknowledgement; at least that the venue has it. Without the
        venue's id it has ended already, and is asked for at once."""
        known = OrderState.OPEN if venue_id else OrderState.UNKNOWN
        acknowledged = OrderUpdate(order.client_id, known, venue_id)
        immediate = order.time_in_force is TimeInForce.IOC
        try:
            async with asyncio.timeout(self._settings.news_s_max if venue_id else 0.0):
                while True:
                    update = await news
                    if update.state.terminal or not immediate:
                        return update
                    news = self._waiting[order.client_id] = asyncio.get_running_loop().create_future()
        except TimeoutError:
            pass
        finally:
            self._waiting.pop(order.client_id, None)
        try:
            report = await self.order(order.client_id)
        except VenueError:
            return acknowledged
        return acknowledged if report is None else report.as_update()

    async def cancel(self, client_id: str) -> OrderUpdate:
        """Ask for an order to be cancelled, and say what became of it."""
        listing = self._sent.listing(client_id)
        try:
            if listing is None:
                report = await self.order(client_id)
                if report is None:
                    return OrderUpdate(client_id, OrderState.UNKNOWN, code=NOT_FOUND)
                if report.state.terminal:
                    return report.as_update()
                listing = self._listings[report.symbol]
            check_client(self._cancels)
            await self._dialect.cancel(self._cancels, listing, to_wire(self.name, client_id))
        except VenueError as error:
            return OrderUpdate(client_id, OrderState.UNKNOWN, code=error.code, text=error.text()[:300])
        except ccxt.BaseError as error:
            if not not_found(self.name, error):
                known = failed_effect(self.name, "cancel", error)
                return OrderUpdate(client_id, OrderState.UNKNOWN, code=known.code, text=known.text()[:300])
        return await self._after_cancel(client_id)

    async def _after_cancel(self, client_id: str) -> OrderUpdate:
        """A cancel is taken before it is done: ask until the order has ended, for a moment."""
        deadline = asyncio.get_running_loop().time() + self._settings.news_s_max
        while True:
            try:
                report = await self.order(client_id)
            except VenueError as error:
                return OrderUpdate(client_id, OrderState.UNKNOWN, code=error.code, text=error.text()[:300])
            if report is None:
                return OrderUpdate(client_id, OrderState.UNKNOWN, code=NOT_FOUND)
            if report.state.terminal or asyncio.get_running_loop().time() > deadline:
                return report.as_update()
            await asyncio.sleep(0.05)

    async def amend(self, client_id: str, price: Decimal, quantity: Decimal) -> OrderUpdate:
        """Give a resting order another price and size, and say what the order is then.

        An amendment is acknowledged before it is made, and one that was refused may have ended the order: the
        order itself is asked for, before and after.

        Raises:
            Refused: it was not changed. VenueError: nothing was sent.
        """
        self._check_open()
        if not self._dialect.amends:
            raise no_amends(client_id, self.name)
        before = await self.order(client_id)
        if before is None:
            return OrderUpdate(client_id, OrderState.UNKNOWN, code=NOT_FOUND)
        if before.state.terminal:
            return before.as_update(ALREADY_DONE)
        listing = self._listings.get(before.symbol)
        check_amendment(before, listing, price, quantity)
        assert listing is not None
        if (before.price, before.quantity) == (price, quantity):
            return before.as_update()
        check_client(self._orders)
        refused: Refused | None = None
        try:
            await self._dialect.amend(self._orders, listing, before, price, quantity)
        except VenueError as error:  # an answer without sense, or a redirect: it may be done
            return OrderUpdate(client_id, OrderState.UNKNOWN, code=error.code, text=error.text()[:300])
        except ccxt.BaseError as error:
            verdict, words = judge_order(self.name, error)
            gone = not_found(self.name, error)
            if verdict.state is not OrderState.REJECTED and not gone:
                return OrderUpdate(client_id, OrderState.UNKNOWN, code=verdict.code, text=words[:300])
            refused = amend_refused(client_id, NOT_FOUND if gone else verdict.code, words)
        return await self._after_amend(before, price, quantity, refused)

    async def _after_amend(
        self, before: OrderReport, price: Decimal, quantity: Decimal, refused: Refused | None
    ) -> OrderUpdate:
        """What an order is after its amendment was acknowledged, or refused. Where it does not show, for a
        moment, it may still come."""
        deadline = asyncio.get_running_loop().time() + self._settings.news_s_max
        while True:
            try:
                report = await self.order(before.client_id)
            except VenueError as error:
                text = error.text()[:300]
                return OrderUpdate(before.client_id, OrderState.UNKNOWN, code=error.code, text=text)
            if report is None:
                return OrderUpdate(before.client_id, OrderState.UNKNOWN, code=NOT_FOUND)
            made = (report.price, report.quantity) == (price, quantity)
            if (
                report.state is OrderState.REJECTED
            ):  # as some call the end of a post-only order that would take
                report = replace(report, state=OrderState.CANCELLED)
            if made or report.state.terminal:
                return report.as_update("" if made else ALREADY_DONE)
            same = (report.price, report.quantity) == (before.price, before.quantity)
            if same and refused is not None and refused.code != NOT_FOUND:
                raise refused
            if asyncio.get_running_loop().time() > deadline:
                return OrderUpdate(before.client_id, OrderState.UNKNOWN, code=NOT_SHOWN)
            await asyncio.sleep(0.05)

    async def cancel_all(self) -> None:
        """Cancel until nothing is open.

        Raises:
            Ambiguous: orders are still open, or nobody can say. Locked: the key is refused.
        """
        self._check_open()
        check_client(self._cancels)
        for _ in range(_CANCEL_ROUNDS):
            try:
                if await self._dialect.cancel_all(self._cancels) == 0:
                    return
            except VenueError:
                raise
            except ccxt.BaseError as error:
                if not not_found(self.name, error):  # one that ended meanwhile is no reason to stop
                    raise failed_effect(self.name, "cancel_all", error) from None
        raise Ambiguous("STILL_OPEN", "orders are still open after every round", where=self.name)

    async def refresh(self) -> None:
        """The engine is well: restart the venue's timer.

        Raises:
            VenueError: the venue did not take it.
        """
        seconds = self.capabilities.timer_s
        if seconds is None or self._closed or self._streams is None:
            return
        self._streams.refresh()
        try:
            await self._asked("refresh", self._dialect.refresh(self._timer, seconds))
        except VenueError:
            self._timer_set = False
            raise
        self._timer_set = True

    # ---------------------------------------------------------------------------------------------- questions

    async def order(self, client_id: str) -> OrderReport | None:
        """One order as the venue knows it.

        Raises:
            VenueError: it does not say, or speaks of another order.
        """
        self._check_open()
        try:
            wire_id = to_wire(self.name, client_id)
        except ValueError:
            wire_id = client_id
        listing = self._sent.listing(client_id)
        report: OrderReport | None = await self._asked(
            "order", self._dialect.order(self._polls, listing, wire_id)
        )
        if report is not None:
            self._check_same(client_id, report)
        return report

    def _check_same(self, client_id: str, report: OrderReport) -> None:
        """That an answer is about the order that was asked after: what is said of another proves nothing."""
        same = self._sent.is_of(client_id, report.symbol, report.side)
        if report.client_id != client_id or not same:
            raise another_order(self.name, client_id, f"{report.client_id} {report.symbol} {report.side}")

    async def account(self, since_ns: int | None) -> AccountReport:
        """Orders, positions, balances, and the executions since; None: without executions.

        Raises:
            VenueError: it does not say.
        """
        self._check_open()
        # The stamp comes first: what happens while we ask is later than the report, never earlier. No queue
        # of ours holds its question up.
        clock = offset_ns(lambda: self._dialect.time_ns(self._clock), self._now_ns)
        apart_ns, at_ns = await self._asked("time", clock)
        found = await self._account(since_ns, at_ns)
        if found.strange:  # perhaps of what was listed a moment ago
            await self.listings()
            found = await self._account(since_ns, at_ns)
        new = [name for name in found.strange if name not in self._strange]
        if new and self._streams is not None:
            self._strange.update(dict.fromkeys(new))
            text = f"{len(new)} executions of what is not listed are not booked: {', '.join(new[:5])}"
            self._streams.tell_event("executions_unlisted", text)
        return replace(found.report, clock_offset_ns=apart_ns)

    async def _account(self, since_ns: int | None, at_ns: int) -> Account:
        found: Account = await self._asked(
            "account",
            self._dialect.account(self._polls, self._listings, self._settings.account, since_ns, at_ns),
        )
        return found

    async def close(self) -> None:
        """End the sessions; orders stay as they are."""
        self._closed = True
        if self._streams is not None:
            await self._streams.close()
        made = (self._orders, self._cancels, self._timer, self._polls, self._market, self._clock)
        clients = [c for c in made if c is not None]
        await asyncio.gather(*(client.close() for client in clients))
        for session in self._sessions:
            await session.close()
        self._desk.close()

    def _check_open(self) -> None:
        if self._closed or self._polls is None or not self._secrets:
            raise Unreachable("NOT_CONNECTED", "no account", where=self.name, not_done="nothing was sent")

    async def _asked(self, what: str, question: Coroutine[Any, Any, Any]) -> Any:
        """A question's answer; what the library raises becomes ours, without its text."""
        try:
            return await question
        except VenueError:
            raise
        except ccxt.BaseError as error:
            raise failed_question(self.name, what, error) from None

    def _took(self, frame: Frame) -> None:
        """News of the account."""
        for update in frame.orders:
            waiting = self._waiting.get(update.client_id)
            if waiting is not None and not waiting.done():
                waiting.set_result(update)
            if update.client_id:
                self._desk.put(update)
        for trade in frame.trades:
            self._desk.put(trade)
