"""What a paper run did when, in order: kept on its tape, so that a replay does the same at the same times.

A process on the wall clock comes to things when it can: two batches that wait together are one to it, an
order leaves when deciding is done, the paper venue comes to its clock when the loop lets it. None of that is
known from the market alone. Put down are therefore, one row each, in the order in which they were done:

    feed, trade     a paper venue was shown a batch of the tape (number: its seq; now_ns: its time), a trade
                    (number: its place among the tape's trades)
    turn            a paper venue came up to `now_ns`
    call, refresh   a request left for it at `now_ns` (text: which; number: a digest of the order)
    told            a batch of it came before the engine, to be looked at with whatever else waits
    look            the engine looked at one thing at `now_ns` and `monotonic_ns` (text: what it was; number:
                    a digest of it, of marks how many rows)
    end             nothing more was done

What was decided is not among them, nor any order or execution: a replay comes to those by itself, and the
digests say where it comes to others. What reached the engine from outside, commands and the first word on a
link, stands in `text` as the journal writes it.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Final

import polars as pl

from hedger.core.decision import Decision
from hedger.core.events import Answer, Event, Failed, Refreshed, Tick
from hedger.core.state import State
from hedger.engine.engine import Recorder
from hedger.journal.entries import event_entry
from pricing.market import Marks
from pricing.universe import Universe
from risk.book import Book
from venues.base import News
from venues.market_trades import MarketTrade
from venues.orders import AccountReport, ComboOrder, Order, OrderUpdate, TradeReport
from venues.paper import Clock, PaperVenue
from venues.paper_exchange import PaperExchange, Told
from venues.paper_faults import Fault
from venues.paper_terms import PaperTerms
from venues.tape_schema import TIMETABLE_SCHEMA

#: What `text` of a look says of marks and of the engine's own timer.
MARKS: Final = "marks"
TICK: Final = "tick"
#: What comes of requests and of orders: a replay makes it by itself.
OF_VENUES = (OrderUpdate, TradeReport, AccountReport, Answer, Failed, Refreshed)

#: In the order ids of paper runs on venues' markets, and of their replays.
FEED_TAG: Final = "feed"

Row = tuple[str, str, int, int, int, str]


def text_of(event: Event) -> str:
    """What happened, as the journal writes it, without its time."""
    return event_entry(replace(event, monotonic_ns=0)).body.decode()


def digest_of(text: str) -> int:
    """62 bits that differ where texts do."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 2


def order_digest(order: Order | ComboOrder) -> int:
    """The same of an order: every field of it."""
    return digest_of(repr(order))


class Timetable:
    """What was done since the last part of the tape."""

    def __init__(self) -> None:
        self._rows: list[Row] = []
        self._trades = 0
        self.trade = -1

    def heard(self, news: News) -> None:
        """A trade goes on the tape: it is the next that a venue is fed."""
        if isinstance(news, MarketTrade):
            self.trade, self._trades = self._trades, self._trades + 1

    def note(
        self,
        what: str,
        venue: str = "",
        now_ns: int = 0,
        monotonic_ns: int = 0,
        number: int = 0,
        text: str = "",
    ) -> None:
        """One row more."""
        self._rows.append((what, venue, now_ns, monotonic_ns, number, text))

    def look(self, event: Event) -> None:
        """The engine has looked at something."""
        what, number, text = event.what, 0, ""
        if isinstance(what, Marks):
            number, text = len(what.rows), MARKS
        elif isinstance(what, Tick):
            text = TICK
        else:
            told = text_of(event)
            number, text = digest_of(told), "" if isinstance(what, OF_VENUES) else told
        self.note("look", "", event.now_ns, event.monotonic_ns, number, text)

    def cut(self) -> pl.DataFrame:
        """Everything since it was last asked for."""
        rows, self._rows = self._rows, []
        return pl.DataFrame(rows, schema=TIMETABLE_SCHEMA, orient="row")


class NotedRecord:
    """Another recorder, with every event noted once it is written down."""

    def __init__(self, record: Recorder, timetable: Timetable) -> None:
        self._record, self._timetable = record, timetable

    def turn(self, before: State, event: Event, after: State, decision: Decision) -> None:
        """An event and what came of it."""
        self._record.turn(before, event, after, decision)
        self._timetable.look(event)

    def broken(self, event: Event) -> None:
        """An event that the engine could not work through: the replay cannot either."""
        self._record.broken(event)


class NotedExchange(PaperExchange):
    """A paper exchange that notes what it is asked when."""

    def __init__(
        self,
        timetable: Timetable,
        venue: str,
        universe: Universe,
        terms: PaperTerms,
        start_ns: int,
        *,
        book: Book | None = None,
        faults: Sequence[Fault] = (),
        seed: int = 0,
    ) -> None:
        super().__init__(venue, universe, terms, start_ns, book=book, faults=faults, seed=seed)
        self.timetable = timetable

    def feed(self, marks: Marks) -> None:
        """The venue's books become these."""
        self.timetable.note("feed", self.core.venue, marks.now_ns, number=marks.seq)
        super().feed(marks)

    def trades(self, trades: Sequence[MarketTrade]) -> None:
        """Others trade; one at a time, as it was heard."""
        for trade in trades:
            self.timetable.note("trade", self.core.venue, trade.time_ns, number=self.timetable.trade)
        super().trades(trades)

    def advance(self, to_ns: int) -> list[Told]:
        """Let time pass."""
        self.timetable.note("turn", self.core.venue, to_ns)
        return super().advance(to_ns)

    def submit(self, order: Order | ComboOrder, sent_ns: int) -> int:
        """Send an order."""
        self._called("submit", sent_ns, order.client_id, order_digest(order))
        return super().submit(order, sent_ns)

    def cancel(self, client_id: str, sent_ns: int) -> int:
        """Ask for a cancel."""
        self._called("cancel", sent_ns, client_id)
        return super().cancel(client_id, sent_ns)

    def cancel_all(self, sent_ns: int) -> int:
        """Ask for the mass cancel."""
        self._called("cancel_all", sent_ns)
        return super().cancel_all(sent_ns)

    def ask_order(self, client_id: str, sent_ns: int) -> int:
        """Ask for one order."""
        self._called("order", sent_ns, client_id)
        return super().ask_order(client_id, sent_ns)

    def ask_account(self, since_ns: int | None, sent_ns: int) -> int:
        """Ask for the account."""
        self._called("account", sent_ns, str(since_ns))
        return super().ask_account(since_ns, sent_ns)

    def refresh(self, sent_ns: int) -> None:
        """Restart the dead man's timer."""
        self.timetable.note("refresh", self.core.venue, sent_ns)
        super().refresh(sent_ns)

    def _called(self, what: str, sent_ns: int, of: str = "", number: int = 0) -> None:
        self.timetable.note("call", self.core.venue, sent_ns, number=number, text=f"{what} {of}")


class NotedVenue(PaperVenue):
    """A paper venue that notes when a batch comes before the engine."""

    def __init__(self, exchange: NotedExchange, clock: Clock) -> None:
        super().__init__(exchange, clock)
        self._timetable = exchange.timetable

    async def stream(self) -> AsyncIterator[News]:
        """News as they reach us: whoever takes one of them puts it before the engine at once."""
        async for news in super().stream():
            if isinstance(news, Marks):
                self._timetable.note("told", self.name)
            yield news
