"""The only place from which anything leaves: performs actions on venues, once, and never again by itself.

An order leaves only inside a `Submit`, several as one only inside a `SubmitCombo`, which hold permissions of
the limits; there is no way to hand the router a bare order. The kill latch is looked at immediately before
every send, by whoever makes the call.
What comes of an action is told as a happening; a request that cannot be said to have failed is UNKNOWN.
There are no retries here: asking again is the engine's decision.

A venue takes so many orders a second. Cancels and questions always pass and are counted; new orders wait
while no more credits are left than are kept for cancels, and after `WAIT_S_MAX` are handed back as denied:
what was decided so long ago was decided on another book.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from hedger.core.actions import Action, Alert, AskAccount, AskOrder, Cancel, CancelAll, Submit, SubmitCombo
from hedger.core.events import Answer, Failed, Happening, Refreshed
from hedger.engine.clock import Clock
from pricing.daycount import NS_PER_SECOND
from venues.base import Capabilities, Venue
from venues.errors import Locked, VenueError
from venues.orders import AccountReport, ComboOrder, Order, OrderReport, OrderState, OrderUpdate
from venues.paper_exchange import PaperExchange, Result

#: An order that has waited so long for credits is not sent any more.
WAIT_S_MAX = 1.0
#: An order that would leave later than so long after the event it was decided on is not sent: the process was
#: held up, or deciding took so long, and what it rests on is that much older than the limits have seen.
DECIDED_S_MAX = 5.0
#: The share of the burst that only cancels and questions may use.
RESERVE_SHARE = 0.25
#: The dead man's timer is restarted at this share of its time.
REFRESH_SHARE = 1.0 / 3.0

Tell = Callable[[Happening], None]
Latched = Callable[[], bool]


class Line(Protocol):
    """A venue as the router calls it: every call returns at once, its outcome is told."""

    @property
    def name(self) -> str:
        """The venue's name."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        ...

    def submit(self, order: Order | ComboOrder) -> None:
        """Send an order once, unless the latch is set."""
        ...

    def cancel(self, client_id: str) -> None:
        """Ask for a cancel."""
        ...

    def cancel_all(self) -> None:
        """Ask for the mass cancel."""
        ...

    def ask_order(self, client_id: str) -> None:
        """Ask for one order."""
        ...

    def ask_account(self, since_ns: int) -> None:
        """Ask for the account."""
        ...

    def refresh(self) -> None:
        """Restart the dead man's timer."""
        ...


@dataclass(slots=True)
class Credits:
    """A bucket of messages: `rate` a second, `burst` at most."""

    rate: float
    burst: float
    left: float
    at_ns: int

    def at(self, now_ns: int) -> float:
        """Credits now."""
        passed = max(now_ns - self.at_ns, 0) / NS_PER_SECOND
        self.left, self.at_ns = min(self.burst, self.left + passed * self.rate), max(now_ns, self.at_ns)
        return self.left

    def spend(self, now_ns: int) -> None:
        """One message; what must pass may overdraw, by a burst at most."""
        self.left = max(self.at(now_ns) - 1.0, -self.burst)


@dataclass(slots=True)
class _Lane:
    """What waits for one venue."""

    line: Line
    credits: Credits
    reserve: float
    waiting: deque[tuple[int, Order | ComboOrder]] = field(default_factory=deque)
    refresh_ns: int = 0


@dataclass(slots=True)
class RouterCounts:
    """Since the start. latched: orders that the kill latch held back; waited_out: those handed back because
    they waited for credits; late: because they were decided too long ago."""

    submits: int = 0
    cancels: int = 0
    questions: int = 0
    latched: int = 0
    waited_out: int = 0
    late: int = 0


class Router:
    """Performs actions. tell: where outcomes go; latched: whether the kill latch is set."""

    def __init__(self, lines: Iterable[Line], clock: Clock, tell: Tell, latched: Latched) -> None:
        self._clock, self._tell, self._latched = clock, tell, latched
        self._lanes: dict[str, _Lane] = {}
        self.counts = RouterCounts()
        now_ns = clock.monotonic_ns()
        for line in lines:
            can = line.capabilities
            reserve = max(RESERVE_SHARE * can.order_burst, 1.0) if can.order_burst > 1 else 0.0
            bucket = Credits(can.order_rate, can.order_burst, can.order_burst, now_ns)
            self._lanes[line.name] = _Lane(line, bucket, reserve)

    @property
    def credits(self) -> Mapping[str, float]:
        """Credits left by venue."""
        now_ns = self._clock.monotonic_ns()
        return {name: lane.credits.at(now_ns) for name, lane in self._lanes.items()}

    @property
    def kept(self) -> Mapping[str, float]:
        """Credits that only cancels and questions may use, by venue."""
        return {name: lane.reserve for name, lane in self._lanes.items()}

    @property
    def waiting(self) -> int:
        """Orders that wait for credits."""
        return sum(len(lane.waiting) for lane in self._lanes.values())

    def perform(self, actions: Iterable[Action], decided_ns: int | None = None) -> None:
        """Do what a decision asks for; cancels before questions before orders.

        decided_ns: monotonic time of the event that was decided on; None: now.
        """
        now_ns = self._clock.monotonic_ns()
        late = decided_ns is not None and now_ns - decided_ns > DECIDED_S_MAX * NS_PER_SECOND
        orders: list[Order | ComboOrder] = []
        for action in sorted(actions, key=_rank):
            match action:
                case Cancel(venue, client_id):
                    self._take_back(venue, client_id)
                    lane = self._lanes[venue]
                    lane.credits.spend(now_ns)
                    self.counts.cancels += 1
                    lane.line.cancel(client_id)
                case CancelAll(venue):
                    self._deny_all(self._lanes[venue], "mass_cancel")
                    self._lanes[venue].credits.spend(now_ns)
                    self.counts.cancels += 1
                    self._lanes[venue].line.cancel_all()
                case AskOrder(venue, client_id):
                    self._ask(venue, now_ns).ask_order(client_id)
                case AskAccount(venue, since_ns):
                    self._ask(venue, now_ns).ask_account(since_ns)
                case Submit() | SubmitCombo():
                    orders.append(action.order)
                case Alert():
                    pass
        for order in orders:
            if late:
                self.counts.late += 1
                self._denied(order, "decided_long_ago")
            else:
                self._lanes[order.venue].waiting.append((now_ns, order))
        self.pump()

    def pump(self) -> int | None:
        """Send what may leave now; when next to look (monotonic ns), None while nothing waits."""
        now_ns = self._clock.monotonic_ns()
        due: list[int] = []
        for lane in self._lanes.values():
            while lane.waiting:
                since_ns, order = lane.waiting[0]
                if self._latched():
                    self._deny_all(lane, "kill_latch")
                    break
                if now_ns - since_ns > WAIT_S_MAX * NS_PER_SECOND:
                    lane.waiting.popleft()
                    self.counts.waited_out += 1
                    self._denied(order, "no_credits")
                    continue
                short = lane.reserve + 1.0 - lane.credits.at(now_ns)
                if short > 1e-9:
                    due.append(now_ns + round(short / lane.credits.rate * NS_PER_SECOND) + 1)
                    break
                lane.waiting.popleft()
                lane.credits.spend(now_ns)
                self.counts.submits += 1
                lane.line.submit(order)
        return min(due, default=None)

    def alive(self) -> None:
        """The loop is well: restart the dead man's timers that are due. Called by the loop itself alone."""
        now_ns = self._clock.monotonic_ns()
        for lane in self._lanes.values():
            after_s = lane.line.capabilities.timer_s
            if after_s is not None and now_ns >= lane.refresh_ns:
                lane.refresh_ns = now_ns + round(REFRESH_SHARE * after_s * NS_PER_SECOND)
                lane.line.refresh()

    def cancel_everything(self) -> None:
        """The last thing of an engine that cannot go on: every venue's mass cancel, whatever comes of it."""
        for lane in self._lanes.values():
            self._deny_all(lane, "mass_cancel")
            lane.line.cancel_all()

    def _ask(self, venue: str, now_ns: int) -> Line:
        self.counts.questions += 1
        lane = self._lanes[venue]
        lane.credits.spend(now_ns)
        return lane.line

    def _take_back(self, venue: str, client_id: str) -> None:
        """An order that is cancelled before it left never leaves."""
        lane = self._lanes[venue]
        for item in [x for x in lane.waiting if x[1].client_id == client_id]:
            lane.waiting.remove(item)
            self._denied(item[1], "taken_back")

    def _deny_all(self, lane: _Lane, code: str) -> None:
        while lane.waiting:
            _, order = lane.waiting.popleft()
            self.counts.latched += code == "kill_latch"
            self._denied(order, code)

    def _denied(self, order: Order | ComboOrder, code: str) -> None:
        self._tell(OrderUpdate(order.client_id, OrderState.DENIED, code=code, text="it never left"))


def _rank(action: Action) -> int:
    return (
        0 if isinstance(action, Cancel | CancelAll) else 2 if isinstance(action, Submit | SubmitCombo) else 1
    )


# ------------------------------------------------------------------------------------------------------ lines


class PaperLine:
    """A paper exchange without an event loop: requests go in by the clock, and come out by `poll`."""

    def __init__(self, exchange: PaperExchange, clock: Clock, tell: Tell) -> None:
        self.exchange = exchange
        self._clock, self._tell = clock, tell
        self._asked: dict[int, tuple[str, str]] = {}

    @property
    def name(self) -> str:
        """The venue's name."""
        return self.exchange.core.venue

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        return self.exchange.capabilities

    def submit(self, order: Order | ComboOrder) -> None:
        """Send an order; the router has just looked at the latch."""
        self._asked[self.exchange.submit(order, self._clock.now_ns())] = "submit", order.client_id

    def cancel(self, client_id: str) -> None:
        """Ask for a cancel."""
        self._asked[self.exchange.cancel(client_id, self._clock.now_ns())] = "cancel", client_id

    def cancel_all(self) -> None:
        """Ask for the mass cancel."""
        self._asked[self.exchange.cancel_all(self._clock.now_ns())] = "cancel_all", ""

    def ask_order(self, client_id: str) -> None:
        """Ask for one order."""
        self._asked[self.exchange.ask_order(client_id, self._clock.now_ns())] = "order", client_id

    def ask_account(self, since_ns: int) -> None:
        """Ask for the account."""
        self._asked[self.exchange.ask_account(since_ns, self._clock.now_ns())] = "account", ""

    def refresh(self) -> None:
        """Restart the dead man's timer."""
        self.exchange.refresh(self._clock.now_ns())

    def poll(self) -> None:
        """Let the exchange come up to the clock, and tell all that reaches us by then."""
        for news in self.exchange.advance(self._clock.now_ns()):
            self._tell(news)
        for reply in self.exchange.take_replies():
            what, client_id = self._asked.pop(reply.request)
            told = outcome(self.name, what, client_id, reply.result)
            if told is not None:
                self._tell(told)


class VenueLine:
    """A venue on an event loop: every request is a task of its own, started in order.

    failure: what a task died of that is no fault of the venue: the engine must stop on it. Of refreshes
    that the venue does not take the first of a row is told, and a key that is refused; then that they are
    taken again. refreshed_ns: when the last one that it took was sent, UTC.
    """

    def __init__(
        self, venue: Venue, tell: Tell, latched: Latched, now_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self.venue = venue
        self._tell, self._latched, self._now_ns = tell, latched, now_ns
        self.refreshed_ns: int | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._questions: set[asyncio.Task[None]] = set()
        self._unrefreshed: VenueError | None = None
        self.failure: BaseException | None = None

    @property
    def name(self) -> str:
        """The venue's name."""
        return self.venue.name

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        return self.venue.capabilities

    def submit(self, order: Order | ComboOrder) -> None:
        """Send an order once, unless the latch is set by then."""
        self._start(self._submit(order))

    def cancel(self, client_id: str) -> None:
        """Ask for a cancel."""
        self._start(self._request("cancel", client_id, self.venue.cancel(client_id)))

    def cancel_all(self) -> None:
        """Ask for the mass cancel."""
        self._start(self._request("cancel_all", "", self.venue.cancel_all()))

    def ask_order(self, client_id: str) -> None:
        """Ask for one order."""
        self._questions.add(self._start(self._request("order", client_id, self.venue.order(client_id))))

    def ask_account(self, since_ns: int) -> None:
        """Ask for the account."""
        self._questions.add(self._start(self._request("account", "", self.venue.account(since_ns))))

    def refresh(self) -> None:
        """Restart the dead man's timer."""
        self._start(self._refresh())

    def drop_questions(self) -> None:
        """Break off the questions that are under way: they change nothing at the venue."""
        for task in self._questions:
            task.cancel()

    async def settled(self) -> None:
        """Return when no request is under way."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    async def _submit(self, order: Order | ComboOrder) -> None:
        if self._latched():  # between the decision and this line a whole turn of the loop may have passed
            self._tell(
                OrderUpdate(order.client_id, OrderState.DENIED, code="kill_latch", text="it never left")
            )
            return
        try:
            self._tell(await self.venue.submit(order))
        except VenueError as error:
            self._tell(_unsaid(order.client_id, error.code, error.text()))
        except BaseException:  # broken off, too: the order may have left, and nobody else could say so
            self._tell(_unsaid(order.client_id, "interrupted", "the request was broken off"))
            raise

    async def _request(self, what: str, client_id: str, call: Coroutine[Any, Any, Result]) -> None:
        result: Result
        try:
            result = await call
        except VenueError as error:
            result = error
        told = outcome(self.name, what, client_id, result)
        if told is not None:
            self._tell(told)

    async def _refresh(self) -> None:
        sent_ns = self._now_ns()
        try:
            await self.venue.refresh()
        except VenueError as error:
            known, self._unrefreshed = self._unrefreshed, error
            if known is None or (isinstance(error, Locked) and not isinstance(known, Locked)):
                self._tell(Failed(self.name, "refresh", "", error.code, error.text()))
            return
        if self.capabilities.dead_man_s is not None:  # else it was said to nobody who promises anything
            self.refreshed_ns = sent_ns
        if self._unrefreshed is not None:
            self._unrefreshed = None
            self._tell(Refreshed(self.name))

    def _start(self, call: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(call)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._questions.discard(task)
        if not task.cancelled() and (failure := task.exception()) is not None:
            self.failure = failure


def _unsaid(client_id: str, code: str, text: str) -> OrderUpdate:
    return OrderUpdate(client_id, OrderState.UNKNOWN, code=code, text=text)


def outcome(venue: str, what: str, client_id: str, result: Result) -> Happening | None:
    """What is told of a request that ended; None where there is nothing to tell.

    what: "submit", "cancel", "cancel_all", "order", "account".
    """
    if isinstance(result, VenueError):
        return Failed(venue, what, client_id, result.code, result.text())
    if isinstance(result, OrderUpdate | AccountReport):
        return result
    if what == "order":
        return Answer(venue, client_id, result if isinstance(result, OrderReport) else None)
    return None
