"""Minutes of a live engine, kept in its own process by somebody who is not of it.

`Minutes` stands between the engine and its venues, and between the engine and its journal: it writes down
every order that leaves, every answer that comes, and how many records were durable at that moment. It changes
nothing but one thing: at a chosen step it ends the process, as kill -9 does, so that every place between two
steps of journal and transport can be the place of a crash.

Lines go to a file opened for appending, one write each: what was written stays when the process is gone.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections import deque
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from hedger.core.decision import Decision
from hedger.core.events import Event
from hedger.core.gate import EngineSettings
from hedger.core.stamps import on_its_way_ns
from hedger.core.state import State
from hedger.engine.engine import Recorder
from hedger.engine.recording import state_digest
from hedger.engine.service import Parts
from hedger.journal.entries import EVENT_KINDS
from hedger.journal.journal import Journal
from hedger.runs.venue_setup import Adapter
from hedger.simulator.minutes import folded, positions, told_twice
from pricing.contracts import Listing, Side
from pricing.daycount import NS_PER_SECOND
from pricing.market import Marks, price_or_nan
from pricing.universe import Universe
from tests.exchanges.story.config import BOOK_AGE_S_MAX
from venues.base import Capabilities, News
from venues.errors import VenueError
from venues.live_quotes import LiveQuotes
from venues.orders import (
    AccountReport,
    ComboOrder,
    Link,
    Order,
    OrderReport,
    OrderState,
    OrderUpdate,
)

#: What quotes showed so long ago still counts as displayed: as old as the engine lets them be, and then its
#: decision, the record and the order lie between.
SHOWN_NS = round((BOOK_AGE_S_MAX + 0.5) * NS_PER_SECOND)
_SHOWN_MAX = 64


class Sight:
    """What the quotes that reached us said, by row: when the newest was made, and what was displayed
    lately."""

    def __init__(self) -> None:
        self._made_ns: dict[int, int] = {}
        self._shown: dict[int, deque[tuple[int, int, Marks]]] = {}
        self._marked: dict[int, bool] = {}

    def told(self, marks: Marks, now_ns: int) -> None:
        """A batch reached us."""
        for at, row in enumerate(marks.rows.tolist()):
            # an older one is no news of what is known; nor is one without a stamp, of a book that is lost
            self._made_ns[row] = max(int(marks.venue_ns[at]), self._made_ns.get(row, 0))
            self._marked[row] = bool(marks.mark[at] > 0)
            self._shown.setdefault(row, deque(maxlen=_SHOWN_MAX)).append((now_ns, at, marks))

    def age_s(self, row: int, now_ns: int) -> float | None:
        """Of the newest quote, by the venue's stamp; None: there was none."""
        made_ns = self._made_ns.get(row)
        return None if not made_ns else (now_ns - made_ns) / NS_PER_SECOND

    def marked(self, row: int) -> bool:
        """Whether the venue's mark is known, by what was told last."""
        return self._marked.get(row, False)

    def displayed(self, row: int, side: Side, price: Decimal, now_ns: int) -> Decimal:
        """The most that recent quotes showed up to a price on the other side."""
        rows = list(self._shown.get(row, ()))
        recent = [x for x in rows if now_ns - x[0] <= SHOWN_NS] or rows[-1:]
        return max((_up_to(marks, at, row, side, price) for _, at, marks in recent), default=Decimal(0))


def _up_to(marks: Marks, at: int, row: int, side: Side, price: Decimal) -> Decimal:
    buys = side is Side.BUY
    if row in marks.depth:
        far = marks.depth[row][1 if buys else 0]
        levels = list(zip(far.price.tolist(), far.size.tolist(), strict=True))
    else:
        touch = (marks.ask, marks.ask_size) if buys else (marks.bid, marks.bid_size)
        levels = [(float(touch[0][at]), float(touch[1][at]))]
    reached = [s for p, s in levels if p == p and s > 0 and (Decimal(repr(p)) - price) * side.sign <= 0]
    return sum((Decimal(repr(size)) for size in reached), Decimal(0))


class Minutes:
    """The onlooker of one process. crash_at: at which step the process ends, 0 at none."""

    def __init__(self, folder: Path, pipe: Connection, crash_at: int) -> None:
        self._file = os.open(folder / "wire.jsonl", os.O_APPEND | os.O_CREAT | os.O_WRONLY, 0o600)
        self._pipe, self._crash_at, self._steps = pipe, crash_at, 0
        self._journal: Journal | None = None
        self._first: State | None = None
        self._settings: EngineSettings | None = None
        self._begun = 0
        self.report: dict[str, AccountReport] = {}
        self.asked: dict[str, tuple[AccountReport, int]] = {}  # what was answered last, and when it was asked
        self._read_ns: dict[str, int] = {}

    # ----------------------------------------------------------------------------- as `run_on_venues` asks

    def venues(self, venues: Sequence[Adapter]) -> Sequence[Adapter]:
        """Each behind a witness."""
        return [Watched(venue, self) for venue in venues]

    def parts(self, parts: Parts, journal: Journal) -> Parts:
        """The journal behind a witness; what was recovered is claimed at once."""
        self._journal, self._first, self._settings = journal, parts.state, parts.settings
        self._begun = journal.durable.number
        self._pipe.send(self._claim("recovered", parts.state))
        return replace(parts, record=Written(parts.record, self))

    # ----------------------------------------------------------------------------------------------- inside

    def step(self) -> None:
        """A place where the process may end."""
        self._steps += 1
        if self._steps == self._crash_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def write(self, what: str, venue: str, **more: object) -> None:
        """A line of the wire."""
        journal = self._journal
        line = {"time_ns": time.time_ns(), "what": what, "venue": venue}
        line |= {"number": journal.head.number if journal is not None else 0} | more
        os.write(self._file, json.dumps(line, separators=(",", ":")).encode() + b"\n")

    @property
    def durable(self) -> int:
        """Of the journal's records, so many are."""
        return 0 if self._journal is None else self._journal.durable.number

    def took(self, report: AccountReport) -> None:
        """The engine has worked an account in."""
        self.report[report.venue] = report
        answered, asked_ns = self.asked.get(report.venue, (None, 0))
        if report is answered:
            self._read_ns[report.venue] = asked_ns

    def turned(self, state: State) -> None:
        """After every turn: whoever asks is told what the engine now holds to be true."""
        if not self._pipe.poll():
            return
        what, marks = self._pipe.recv()
        claim = self._claim(what, state)
        if what == "steady":
            assert self._settings is not None
            claim["troubles"] = _troubles(state, self._settings)
            claim["read_ns"] = {name: self._read_ns.get(name, 0) for name in state.venues}
        if what != "final":
            self._pipe.send([claim])
            return
        claim["balances"] = _balances(state, marks)
        self._pipe.send([claim, self._replayed(), *self._twice(state)])

    def _claim(self, what: str, state: State) -> dict[str, Any]:
        assert self._journal is not None and self._first is not None
        self._journal.sync()
        return {
            "what": what,
            "time_ns": time.time_ns(),
            "seq": state.seq,
            "number": self._journal.durable.number,
            "head": str(self._journal.durable),
            "mode": str(state.acting),
            "positions": positions(state.book),
            "orders": {client_id: str(r.state) for client_id, r in state.orders.items()},
            "state": state_digest(state) if state.seq > self._first.seq else "",
        }

    def _replayed(self) -> dict[str, Any]:
        """The events of this life over its first state, once more."""
        assert self._journal is not None and self._first is not None and self._settings is not None
        records = self._journal.records(self._begun + 1, EVENT_KINDS)
        state = folded(self._first, records, self._settings)
        digest = state_digest(state) if state.seq > self._first.seq else ""
        return {"what": "replayed", "time_ns": time.time_ns(), "seq": state.seq, "state": digest}

    def _twice(self, state: State) -> list[dict[str, Any]]:
        """The last account of each venue told two times: the second time nothing may come of it."""
        assert self._settings is not None
        found = []
        for venue, report in sorted(self.report.items()):
            came = told_twice(state, venue, report, self._settings)
            if came is not None:
                found.append({"what": "again", "time_ns": time.time_ns(), **came})
        return found


def _troubles(state: State, settings: EngineSettings) -> list[str]:
    """What the engine itself knows not to be at peace."""
    found = [f"{c} is {r.state}" for c, r in state.orders.items() if r.state is OrderState.UNKNOWN]
    found += [f"{c} is still open" for c, r in state.orders.items() if r.live]
    found += [] if state.paused else ["it is not paused yet"]
    found += [f"executions of {c} are owed" for c, r in state.orders.items() if not r.live and not r.settled]
    for name, venue in state.venues.items():
        if venue.link is not Link.UP or venue.reconciled_ns is None:
            found.append(f"{name} is {venue.link} and not reconciled")
        if venue.drift:
            found.append(f"{name} differs from the book: {venue.differences} {venue.cash_differences}")
        since_ns = state.monotonic_ns - on_its_way_ns(settings)
        young = [b for b in state.booked if b.venue == name and b.at_ns >= since_ns]
        if any(b.stamp_ns >= venue.venue_ns for b in young):
            found.append(f"{name}: its last account may be without an execution, money is not compared")
    return found


def _balances(state: State, marks: Mapping[tuple[str, str], float]) -> list[list[str]]:
    """What the book comes to at the venues' own marks, by (venue, symbol): what is left to differ is
    money."""
    listings = state.market.universe.listings
    prices = {x.key: p for x, p in zip(listings, price_or_nan(state.market).tolist(), strict=True)}
    prices |= {key: price for key, price in marks.items() if key in prices}
    found = []
    for name in state.venues:
        ours = state.book.part(name, "").balances(prices)
        found += [[name, c, str(Decimal(repr(float(x))))] for c, x in sorted(ours.items())]
    return found


class Written:
    """A journal's recorder with a witness on it: a crash may come before a turn is durable, and behind."""

    def __init__(self, inner: Recorder, minutes: Minutes) -> None:
        self._inner, self._minutes = inner, minutes

    def turn(self, before: State, event: Event, after: State, decision: Decision) -> None:
        """An event and what came of it."""
        loud = bool(decision.actions)
        if loud:
            self._minutes.step()
        self._inner.turn(before, event, after, decision)
        if loud:
            self._minutes.step()
        if isinstance(event.what, AccountReport):
            self._minutes.took(event.what)
        self._minutes.turned(after)

    def broken(self, event: Event) -> None:
        """An event that could not be worked through."""
        self._inner.broken(event)


class Watched:
    """An adapter with a witness on its wire."""

    def __init__(self, inner: Adapter, minutes: Minutes) -> None:
        self._inner, self._minutes = inner, minutes
        self._sight = Sight()
        self._rows: dict[tuple[str, str], int] = {}

    @property
    def name(self) -> str:
        """As the adapter's."""
        return self._inner.name

    @property
    def capabilities(self) -> Capabilities:
        """As the adapter's."""
        return self._inner.capabilities

    @property
    def quotes(self) -> LiveQuotes | None:
        """As the adapter's."""
        return self._inner.quotes

    @property
    def known(self) -> Mapping[str, Listing]:
        """As the adapter's."""
        return self._inner.known

    @property
    def refused(self) -> dict[str, str]:
        """As the adapter's: what is listed and cannot be read."""
        return getattr(self._inner, "refused", {})

    async def start(self) -> None:
        """As the adapter's."""
        await self._inner.start()

    async def start_to_ask(self) -> None:
        """As the adapter's."""
        await self._inner.start_to_ask()

    async def close(self) -> None:
        """As the adapter's."""
        await self._inner.close()

    def watch(self, universe: Universe, symbols: Collection[str]) -> None:
        """As the adapter's; rows are of this universe from now on."""
        self._rows = dict(universe.positions)
        self._sight = Sight()
        self._inner.watch(universe, symbols)

    async def time_ns(self) -> int:
        """As the adapter's."""
        return await self._inner.time_ns()

    async def scopes(self) -> tuple[str, ...]:
        """As the adapter's."""
        return await self._inner.scopes()

    async def prevents_self_trades(self) -> bool | None:
        """As the adapter's."""
        return await self._inner.prevents_self_trades()

    async def account_faults(self) -> tuple[str, ...]:
        """As the adapter's."""
        return await self._inner.account_faults()

    async def fee_coin(self) -> str:
        """As the adapter's."""
        return await self._inner.fee_coin()

    async def resting(self) -> int:
        """As the adapter's."""
        return await self._inner.resting()

    async def listings(self) -> Sequence[Listing]:
        """As the adapter's."""
        return await self._inner.listings()

    async def refresh(self) -> None:
        """As the adapter's."""
        await self._inner.refresh()

    async def stream(self) -> AsyncIterator[News]:
        """What the adapter tells, noted as it passes."""
        async for news in self._inner.stream():
            if isinstance(news, Marks):
                self._sight.told(news, time.time_ns())
            elif isinstance(news, OrderUpdate):
                self._told(news)
            yield news

    async def submit(self, order: Order | ComboOrder) -> OrderUpdate:
        """Noted before it leaves; the process may end before and behind."""
        now_ns = time.time_ns()
        for leg in order.legs if isinstance(order, ComboOrder) else (order,):
            row = self._rows[leg.listing.key]
            self._minutes.write(
                "submit",
                self.name,
                client_id=order.client_id,
                symbol=leg.listing.symbol,
                side=str(leg.side),
                quantity=f"{leg.quantity:f}",
                price=f"{leg.price:f}",
                takes=not leg.post_only,
                durable=self._minutes.durable,
                quote_age_s=self._sight.age_s(row, now_ns),
                mark_age_s=self._mark_age_s(row, leg.listing.symbol, now_ns),
                displayed=f"{self._sight.displayed(row, leg.side, leg.price, now_ns):f}",
            )
        self._minutes.step()
        update = await self._inner.submit(order)
        self._minutes.step()
        self._told(update)
        return update

    def _mark_age_s(self, row: int, symbol: str, now_ns: int) -> float | None:
        """Since its mark was heard, where the engine takes it for known; None: it does not."""
        quotes = self._inner.quotes
        heard_ns = 0 if quotes is None else quotes.heard_ns(symbol, "mark")
        known = self._sight.marked(row) and heard_ns > 0
        return (now_ns - heard_ns) / NS_PER_SECOND if known else None

    async def cancel(self, client_id: str) -> OrderUpdate:
        """Noted both ways."""
        self._minutes.write("cancel", self.name, client_id=client_id)
        self._minutes.step()
        update = await self._inner.cancel(client_id)
        self._told(update)
        return update

    async def amend(self, client_id: str, price: Decimal, quantity: Decimal) -> OrderUpdate:
        """The engine amends nothing."""
        raise AssertionError(f"{client_id} is amended to {quantity} at {price}")

    async def cancel_all(self) -> None:
        """Noted."""
        self._minutes.write("cancel_all", self.name)
        await self._inner.cancel_all()

    async def order(self, client_id: str) -> OrderReport | None:
        """Noted both ways."""
        self._minutes.write("ask_order", self.name, client_id=client_id)
        try:
            report = await self._inner.order(client_id)
        except VenueError:
            self._minutes.write("reply", self.name, of="order", client_id=client_id, outcome="failed")
            raise
        outcome = "never_had" if report is None else "report"
        self._minutes.write("reply", self.name, of="order", client_id=client_id, outcome=outcome)
        return report

    async def account(self, since_ns: int | None) -> AccountReport:
        """Noted both ways."""
        self._minutes.write("ask_account", self.name)
        asked_ns = time.monotonic_ns()
        try:
            report = await self._inner.account(since_ns)
        except VenueError:
            self._minutes.write("reply", self.name, of="account", outcome="failed")
            raise
        self._minutes.write("reply", self.name, of="account", outcome="report")
        self._minutes.asked[self.name] = report, asked_ns
        return report

    def _told(self, update: OrderUpdate) -> None:
        filled = None if update.filled is None else f"{update.filled:f}"
        self._minutes.write(
            "told",
            self.name,
            client_id=update.client_id,
            state=str(update.state),
            filled=filled,
            code=update.code,
        )
