"""The paper venue in virtual time: latencies, requests, timers and faults around `venues.paper_core`.

Synchronous and deterministic: the same universe, terms, seed, faults and calls give the same news, to the
byte. Time comes in from outside and only goes on:

    exchange.feed(marks)                   the venue's books become these at marks.now_ns
    request = exchange.submit(order, t)    leaves us at t, reaches the matching a latency later
    news = exchange.advance(t)             all that reaches us up to t, in order
    replies = exchange.take_replies()      what became of requests, those that timed out as well

A fill is decided on the books of the moment when the order arrives there. Each way (feed, orders,
private news, answers) keeps its order: a message is never overtaken by a later one, except by fault.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial

import numpy as np

from pricing.contracts import Side
from pricing.daycount import NS_PER_SECOND
from pricing.market import Marks
from pricing.universe import Universe
from risk.book import Book
from venues.base import Capabilities
from venues.errors import Ambiguous, Unreachable, VenueError
from venues.order_checks import amend_refused, no_combos
from venues.orders import (
    AccountReport,
    ComboOrder,
    Link,
    Order,
    OrderReport,
    OrderState,
    OrderUpdate,
    TradeReport,
    VenueStatus,
)
from venues.paper_account import PaperAccount, next_funding_ns, next_settlement_ns
from venues.paper_core import PaperCore
from venues.paper_delivery import windows
from venues.paper_events import external, relist
from venues.paper_faults import Fault, FaultDice, FaultKind
from venues.paper_feed import MarketTrade, broken_book, poisoned, select, skewed
from venues.paper_log import Happened, TruthLog
from venues.paper_orders import Code
from venues.paper_terms import PaperTerms

#: What it tells of its own accord; the trades of others reach nobody from here.
Told = Marks | OrderUpdate | TradeReport | VenueStatus
#: What a request may end with; None: done, or for one order: the venue never had it.
Result = OrderUpdate | OrderReport | AccountReport | VenueError | None

# At one time: first the venue's own timers, then its market, then what reaches it, then what reaches us.
_TIMER, _MARKET, _ARRIVAL, _DELIVERY = range(4)


@dataclass(frozen=True, slots=True)
class Reply:
    """How a request ended, when we heard of it."""

    request: int
    at_ns: int
    result: Result


class PaperExchange:
    """One account on one paper venue; see the module.

    universe: may hold other venues' listings, whose quotes pass by. book: what the account opens with.
    faults: what goes wrong, see `venues.paper_faults`. start_ns: UTC; nothing before it is taken.

    Raises:
        InputError: terms that are not stated, or make no sense.
    """

    def __init__(
        self,
        venue: str,
        universe: Universe,
        terms: PaperTerms,
        start_ns: int,
        *,
        account: str = "",
        book: Book | None = None,
        faults: Sequence[Fault] = (),
        seed: int = 0,
    ) -> None:
        self.terms = terms.stated()
        self.core = PaperCore(
            venue, universe, self.terms, PaperAccount.opened(venue, account, book), start_ns
        )
        self.faults = FaultDice(faults, seed)
        self.fault_counts: dict[str, int] = {}
        self.missed = 0
        self._dice = [np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(3)]
        self._heap: list[tuple[int, int, int, Callable[[], None], int | None]] = []
        self._scheduled = 0
        self._requests = 0
        self._pending: set[int] = set()
        self._news: list[Told] = []
        self._replies: list[Reply] = []
        self._last = dict.fromkeys(("feed", "orders", "private", "replies"), start_ns)
        self._mine = np.array([x.venue == venue for x in universe.listings])
        self._down_until_ns = 0
        self._lag_until_ns = self._lag_ns = 0
        self._dead_at_ns: int | None = None
        self._last_report = self.core.report(0)
        for opens, expiry in windows(universe, venue, start_ns):
            self._at(opens, _TIMER, partial(self.core.open_window, expiry))
            self._at(expiry, _TIMER, partial(self.core.expire, expiry))
        self._at(next_funding_ns(start_ns), _TIMER, self._fund)
        self._at(next_settlement_ns(start_ns), _TIMER, self._pay_out)
        for at_ns, kind in self.faults.times():
            self._at(at_ns, _TIMER, partial(self._own_fault, kind))

    # ------------------------------------------------------------------------------------------------ outside

    @property
    def now_ns(self) -> int:
        """The venue's time."""
        return self.core.now_ns

    @property
    def log(self) -> TruthLog:
        """What really happened."""
        return self.core.log

    @property
    def capabilities(self) -> Capabilities:
        """What the venue can do."""
        rules = self.terms.rules
        return Capabilities(
            mass_cancel=True,
            dead_man_s=rules.dead_man_s,
            timer_s=rules.dead_man_s,
            combos=rules.combos,
            reduce_only=True,
            post_only=True,
            order_rate=rules.order_rate,
            order_burst=rules.order_burst,
            amends=True,
        )

    def feed(self, marks: Marks) -> None:
        """The venue's books become these at marks.now_ns (at once, if that has passed)."""
        self._at(marks.now_ns, _MARKET, lambda: self._show(marks))

    def trades(self, trades: Sequence[MarketTrade]) -> None:
        """Others trade at these times (at once, if they have passed)."""
        for trade in trades:
            self._at(trade.time_ns, _MARKET, partial(self.core.trade, trade))

    def deliver_at(self, underlying: str, expiry_ns: int, price: Decimal) -> None:
        """The published settlement price of an expiry, where it is on record."""
        self.core.deliveries.publish(underlying, expiry_ns, price)

    def next_ns(self) -> int:
        """When next something happens, here or on its way; time-outs of what was answered are nothing."""
        while (request := self._heap[0][4]) is not None and request not in self._pending:
            heapq.heappop(self._heap)
        return self._heap[0][0]

    @property
    def landed_ns(self) -> int:
        """When the last of what is under way by now, either way, has come to its end."""
        return max(self._last.values())

    def advance(self, to_ns: int) -> list[Told]:
        """Let time pass; the news that reach us up to `to_ns`, in order.

        Marks are restamped: their `now_ns` is when they reach us. A time that has passed changes nothing.
        """
        while self._heap and self._heap[0][0] <= to_ns:
            at_ns, _, _, action, _ = heapq.heappop(self._heap)
            self.core.now_ns = max(at_ns, self.core.now_ns)
            action()
            self._publish()
        self.core.now_ns = max(to_ns, self.core.now_ns)
        news, self._news = self._news, []
        return news

    def take_replies(self) -> list[Reply]:
        """How requests ended since this was last asked, in order."""
        replies, self._replies = self._replies, []
        return replies

    def submit(self, order: Order | ComboOrder, sent_ns: int) -> int:
        """Send an order; the number of the request. Its reply is an `OrderUpdate`."""
        if isinstance(order, ComboOrder) and not self.terms.rules.combos:
            return self._refused_here(no_combos(order, self.core.venue), sent_ns)
        lost = OrderUpdate(order.client_id, OrderState.UNKNOWN, code=Code.TIMED_OUT)
        refused = OrderUpdate(order.client_id, OrderState.REJECTED, code=Code.NOT_CONNECTED)
        late = self._hit(FaultKind.LATE, order.client_id)
        gone = self._hit(FaultKind.REQUEST_LOST, order.client_id)
        return self._send(
            sent_ns,
            lambda request: self._arrive(request, order, late),
            lost,
            refused,
            late_ns=max(late.duration_ns, self._timeout_ns + NS_PER_SECOND) if late else 0,
            lost_on_the_way=gone is not None,
        )

    def cancel(self, client_id: str, sent_ns: int) -> int:
        """Ask for a cancel; the reply is an `OrderUpdate`."""
        lost = OrderUpdate(client_id, OrderState.UNKNOWN, code=Code.TIMED_OUT)
        refused = OrderUpdate(client_id, OrderState.UNKNOWN, code=Code.NOT_CONNECTED)
        return self._send(sent_ns, lambda request: self._cancel(request, client_id), lost, refused)

    def amend(self, client_id: str, price: Decimal, quantity: Decimal, sent_ns: int) -> int:
        """Ask for another price and size; the reply is an `OrderUpdate`, or an error where it was refused."""
        lost = OrderUpdate(client_id, OrderState.UNKNOWN, code=Code.TIMED_OUT)
        gone = self._hit(FaultKind.REQUEST_LOST, client_id)

        def arrive(request: int) -> None:
            result = self.core.amend(client_id, price, quantity)
            if self._hit(FaultKind.ACK_LOST, client_id):
                return
            if isinstance(result, Code):
                self._reply(request, amend_refused(client_id, result, f"{quantity} at {price}"))
            else:
                self._reply(request, result)

        none = self._unreachable("there is no session")
        return self._send(sent_ns, arrive, lost, none, lost_on_the_way=gone is not None)

    def cancel_all(self, sent_ns: int) -> int:
        """Ask for the mass cancel; the reply is None, or an error."""

        def arrive(request: int) -> None:
            if self._in_maintenance:
                self._reply(request, self._unreachable("the venue is under maintenance"))
                return
            self.core.cancel_all(Code.MASS_CANCEL)
            self._reply(request, None)

        return self._send(
            sent_ns, arrive, self._ambiguous("the mass cancel"), self._unreachable("there is no session")
        )

    def ask_order(self, client_id: str, sent_ns: int) -> int:
        """Ask for one order; the reply is an `OrderReport`, None, or an error."""

        def arrive(request: int) -> None:
            down = self._unreachable("the venue is under maintenance")
            self._reply(request, down if self._in_maintenance else self.core.order(client_id))

        silent, none = self._unreachable("no answer in time"), self._unreachable("there is no session")
        return self._send(sent_ns, arrive, silent, none)

    def ask_account(self, since_ns: int | None, sent_ns: int) -> int:
        """Ask for the account, None: without trades; the reply is an `AccountReport` or an error."""
        silent, none = self._unreachable("no answer in time"), self._unreachable("there is no session")
        return self._send(sent_ns, lambda request: self._account(request, since_ns), silent, none)

    def refresh(self, sent_ns: int) -> None:
        """Restart the dead man's timer; it is off until the first refresh and after it fired."""
        if self.terms.rules.dead_man_s is None or max(sent_ns, self.now_ns) < self._down_until_ns:
            return
        self._at(self._arrival(sent_ns), _ARRIVAL, self._rewind)

    # ---------------------------------------------------------------------------------------- what reaches it

    def _arrive(self, request: int, order: Order | ComboOrder, late: Fault | None) -> None:
        """An order reaches the venue, through whatever goes wrong there."""
        client_id = order.client_id
        killed = self._hit(FaultKind.SESSION_KILLED, client_id)
        if killed:
            lost = OrderUpdate(client_id, OrderState.UNKNOWN, code=Code.SESSION_KILLED)
            self._publish()
            self._deliver_reply(request, lost, heard=True)
            self._end_session(killed)
            return
        error = self._hit(FaultKind.SERVER_ERROR, client_id)
        if error:
            if error.variant == "accepted":
                self.core.arrive(order)
            self._reply(request, OrderUpdate(client_id, OrderState.UNKNOWN, code=Code.SERVER_ERROR))
            return
        update = self.core.arrive(order)
        accepted = update.state not in (OrderState.REJECTED, OrderState.UNKNOWN)
        if late and accepted:
            self.core.hide(client_id, late.count)
        if accepted and self._hit(FaultKind.DUPLICATE, client_id):
            update = self.core.arrive(order)
        if accepted and self._hit(FaultKind.ACK_LOST, client_id):
            # Neither the answer nor the stream tells of the order; its fills are told.
            self.core.outbox = [x for x in self.core.outbox if not isinstance(x, OrderUpdate)]
            return
        self._reply(request, update)

    def _cancel(self, request: int, client_id: str) -> None:
        if self._in_maintenance:
            self._reply(request, OrderUpdate(client_id, OrderState.UNKNOWN, code=Code.MAINTENANCE))
            return
        live = self.core.live(client_id)
        race = self._hit(FaultKind.CANCEL_RACE, client_id) if live else None
        if live and race:
            part = live.listing.quantize_quantity(live.left / 2)
            whole = race.variant == "whole" or not part
            self.core.force_fill(live, live.left if whole else part, race.kind)
        self._reply(request, self.core.cancel(client_id))

    def _account(self, request: int, since_ns: int | None) -> None:
        if self._in_maintenance:
            self._reply(request, self._unreachable("the venue is under maintenance"))
            return
        report = self.core.report(since_ns)
        lie = self._hit(FaultKind.LYING_ACCOUNT)
        if not lie:
            self._last_report = report
            self._reply(request, report)
        elif lie.variant == "failed":
            self._reply(request, self._unreachable("the question failed"))
        elif lie.variant == "empty":
            self._reply(request, replace(report, orders=(), positions={}, balances={}, trades=()))
        elif lie.variant == "stale":
            self._reply(request, replace(self._last_report, venue_ns=self.now_ns, since_ns=report.since_ns))
        else:
            kept = sorted(report.positions.items())[: len(report.positions) // 2]
            orders, trades = (
                report.orders[: len(report.orders) // 2],
                report.trades[: len(report.trades) // 2],
            )
            self._reply(request, replace(report, orders=orders, positions=dict(kept), trades=trades))

    def _rewind(self) -> None:
        at_ns = self.now_ns + round((self.terms.rules.dead_man_s or 0.0) * NS_PER_SECOND)
        self._dead_at_ns = at_ns
        self._at(at_ns, _TIMER, lambda: self._dead_man() if self._dead_at_ns == at_ns else None)

    def _dead_man(self, fault: str = "") -> None:
        self._dead_at_ns = None
        n = self.core.cancel_all(Code.DEAD_MAN, fault)
        self.log.add(self.now_ns, Happened.DEAD_MAN, text=f"{n} orders cancelled", fault=fault)
        self._status(Link.UP, Code.DEAD_MAN, f"{n} orders cancelled")

    # ------------------------------------------------------------------------------------ what the venue does

    def _show(self, marks: Marks) -> None:
        if not self._mine.all():
            marks = select(marks, self._mine[marks.rows])
        self.core.show(marks)
        self._publish()
        for kind in (FaultKind.EXTERNAL, FaultKind.MAINTENANCE, FaultKind.RELISTED, FaultKind.DEAD_MAN):
            self._own_fault(kind)
        self._send_marks(marks)

    def _fund(self) -> None:
        self.core.fund()
        self._at(next_funding_ns(self.now_ns), _TIMER, self._fund)

    def _pay_out(self) -> None:
        self.core.pay_out_gains()
        self._at(next_settlement_ns(self.now_ns), _TIMER, self._pay_out)

    def _own_fault(self, kind: FaultKind) -> None:
        """An opportunity for a fault that the venue has by itself."""
        fault = self.faults.hit(kind, self.now_ns)
        if fault is None:
            return

        def draw(n: int) -> int:
            return self.faults.below(kind, n)

        if kind is FaultKind.EXTERNAL:
            done = external(self.core, fault.variant, draw, kind)
        elif kind is FaultKind.RELISTED:
            done = relist(self.core, fault.variant, draw, kind)
            self._mine &= np.array([x.symbol in self.core.listings for x in self.core.universe.listings])
        elif kind is FaultKind.DEAD_MAN:
            self._dead_man(kind)
            done = True
        elif kind is FaultKind.SESSION_KILLED:
            self._end_session(fault)
            done = True
        else:
            self.core.maintenance_until_ns = self.now_ns + fault.duration_ns
            self._status(Link.DEGRADED, "maintenance")
            self._at(
                self.core.maintenance_until_ns, _TIMER, lambda: self._status(Link.UP, "maintenance_over")
            )
            done = True
        if done:
            self._note(fault)
        else:
            self.faults.again(fault)

    def _end_session(self, fault: Fault) -> None:
        """The venue ends our session, by itself or instead of answering."""
        if self.terms.rules.cancel_on_disconnect:
            self.core.cancel_all(Code.DISCONNECTED, fault.kind)
        self._publish()
        self._news.append(VenueStatus(self.core.venue, Link.DOWN, (Code.SESSION_KILLED,), "", self.now_ns))
        self._down_until_ns = self.now_ns + fault.duration_ns
        self._at(self._down_until_ns, _TIMER, lambda: self._status(Link.UP, "session_restored"))

    # ---------------------------------------------------------------------------------------- what reaches us

    def _send_marks(self, marks: Marks) -> None:
        """Quotes leave the venue for us, through whatever the feed does to them."""
        if len(marks.rows):
            broken = self._hit(FaultKind.BROKEN_BOOK)
            if broken:
                at = self.faults.below(FaultKind.BROKEN_BOOK, len(marks.rows))
                side = (Side.BUY, Side.SELL)[self.faults.below(FaultKind.BROKEN_BOOK, 2)]
                marks = broken_book(marks, at, broken.variant, side)
        if len(marks.rows):
            poison = self._hit(FaultKind.POISON)
            if poison:
                at = self.faults.below(FaultKind.POISON, len(marks.rows))
                marks = poisoned(marks, at, poison.variant)
        skew = self._hit(FaultKind.SKEWED)
        if skew:
            marks = replace(marks, venue_ns=marks.venue_ns + _shift(skew))
        lag = self._hit(FaultKind.LATE_FEED)
        if lag:
            self._lag_ns, self._lag_until_ns = lag.duration_ns, self.now_ns + 5 * lag.duration_ns
        late_ns = self._lag_ns if self.now_ns < self._lag_until_ns else 0
        at_ns = self._in_order("feed", self.now_ns + self.terms.latency.feed.draw(self._dice[0]) + late_ns)
        self._at(at_ns, _DELIVERY, lambda: self._deliver(replace(marks, now_ns=self.now_ns)))

    def _publish(self) -> None:
        """What the venue wants to tell leaves it."""
        outbox, self.core.outbox = self.core.outbox, []
        for news in outbox:
            if isinstance(news, TradeReport) and self._hit(FaultKind.FILL_DROPPED, news.client_id):
                continue
            skew = self._hit(FaultKind.SKEWED)
            if skew:
                news = skewed(news, _shift(skew))
            name = "" if isinstance(news, VenueStatus) else news.client_id
            shuffled = self._hit(FaultKind.SHUFFLED, name)
            now_ns = self.now_ns + self.terms.latency.response.draw(self._dice[2])
            if shuffled and shuffled.variant == "reordered":
                self._at(now_ns + shuffled.duration_ns, _DELIVERY, partial(self._deliver, news))
                continue
            at_ns = self._in_order("private", now_ns)
            self._at(at_ns, _DELIVERY, partial(self._deliver, news))
            if shuffled:
                self._at(at_ns + shuffled.duration_ns, _DELIVERY, partial(self._deliver, news))

    def _deliver(self, news: Told) -> None:
        """News reach us, unless there is no session to reach us by."""
        if self.now_ns < self._down_until_ns:
            self.missed += 1
        else:
            self._news.append(news)

    def _reply(self, request: int, result: Result) -> None:
        now_ns = self.now_ns + self.terms.latency.response.draw(self._dice[2])
        self._publish()  # at equal latencies what happened is told before what it came to
        at_ns = self._in_order("replies", now_ns)
        self._at(at_ns, _DELIVERY, lambda: self._deliver_reply(request, result))

    def _deliver_reply(self, request: int, result: Result, heard: bool = False) -> None:
        """A reply reaches us, or the time-out does; whichever is first counts."""
        if request in self._pending and (heard or self.now_ns >= self._down_until_ns):
            self._pending.remove(request)
            self._replies.append(Reply(request, self.now_ns, result))

    # ---------------------------------------------------------------------------------------------- machinery

    @property
    def _timeout_ns(self) -> int:
        return round(self.terms.rules.timeout_s * NS_PER_SECOND)

    @property
    def _in_maintenance(self) -> bool:
        return self.now_ns < self.core.maintenance_until_ns

    def _send(
        self,
        sent_ns: int,
        arrive: Callable[[int], None],
        lost: Result,
        refused: Result,
        *,
        late_ns: int = 0,
        lost_on_the_way: bool = False,
    ) -> int:
        """A request leaves us. lost: what we hear at the time-out; refused: where there is no session."""
        request = self._requests
        self._requests += 1
        self._pending.add(request)
        sent_ns = max(sent_ns, self.now_ns)
        if sent_ns < self._down_until_ns:
            self._at(sent_ns, _DELIVERY, lambda: self._deliver_reply(request, refused, heard=True))
            return request
        timeout_ns = sent_ns + self._timeout_ns
        silence = partial(self._deliver_reply, request, lost, heard=True)
        self._at(timeout_ns, _DELIVERY, silence, request)
        arrival_ns = self._arrival(sent_ns)
        if not lost_on_the_way:
            self._at(arrival_ns + late_ns, _ARRIVAL, lambda: arrive(request))
        return request

    def _refused_here(self, refusal: OrderUpdate, sent_ns: int) -> int:
        """A request that does not leave us."""
        request = self._requests
        self._requests += 1
        self._pending.add(request)
        self._at(sent_ns, _DELIVERY, lambda: self._deliver_reply(request, refusal, heard=True))
        return request

    def _arrival(self, sent_ns: int) -> int:
        """When what we send now reaches the venue."""
        late_ns = self.terms.latency.order_entry.draw(self._dice[1])
        return self._in_order("orders", max(sent_ns, self.now_ns) + late_ns)

    def _in_order(self, way: str, at_ns: int) -> int:
        """Not before what went the same way."""
        self._last[way] = max(self._last[way], at_ns)
        return self._last[way]

    def _at(self, at_ns: int, rank: int, action: Callable[[], None], silence_of: int | None = None) -> None:
        """Put something on the timeline; silence_of: the request whose time-out it is."""
        self._scheduled += 1
        heapq.heappush(self._heap, (max(at_ns, self.now_ns), rank, self._scheduled, action, silence_of))

    def _hit(self, kind: FaultKind, client_id: str = "") -> Fault | None:
        """Whether a fault happens now; it is written down."""
        fault = self.faults.hit(kind, self.now_ns)
        if fault:
            self._note(fault, client_id)
        return fault

    def _note(self, fault: Fault, client_id: str = "") -> None:
        self.fault_counts[fault.id] = self.fault_counts.get(fault.id, 0) + 1
        self.log.add(self.now_ns, Happened.FAULT, client_id=client_id, code=fault.variant, fault=fault.id)

    def _status(self, link: Link, event: str, text: str = "") -> None:
        self.core.outbox.append(VenueStatus(self.core.venue, link, (event,), text, self.now_ns))

    def _unreachable(self, what: str) -> Unreachable:
        return Unreachable(
            "VENUE_UNREACHABLE",
            what,
            where=self.core.venue,
            not_done="nothing was changed at the venue",
            fix="ask again later",
        )

    def _ambiguous(self, what: str) -> Ambiguous:
        return Ambiguous(
            "VENUE_SILENT",
            f"{what} had no answer in time",
            where=self.core.venue,
            not_done="nobody can say what was done",
            fix="read the open orders",
        )


def _shift(skew: Fault) -> int:
    """By how much stamps are off, ns."""
    return skew.duration_ns if skew.variant == "ahead" else -skew.duration_ns
