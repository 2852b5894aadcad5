"""`hedger venues`: how each venue is doing, as far as the journal and the sign of life hold it.

Feeds by the age of their quotes and how late they came; links by what the venue's connection told of itself;
orders by how long the first word on them took, questions for the account or an order by how long their
answer took, from the decision to ask, our own pace of questions included. Of a dead man's switch the journal
has when the venue stopped taking its refreshes, and took them again; the rest of it, the credits and what
came of the last question for the account are told by the sign of life (`hedger.desk.venue_signs`).
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hedger.core.events import Answer, Failed, Refreshed
from hedger.core.usage import Usage
from hedger.desk import venue_signs
from hedger.desk.decided import document_of
from hedger.desk.follow import Fetch, Follower, Taken, no_tape
from hedger.documents import number
from hedger.engine.heartbeat import Heartbeat, VenueSign
from hedger.journal.entries import Configuration, EventBody, Intent, Kind, Record
from hedger.settings import Settings
from pricing.daycount import NS_PER_SECOND, iso
from pricing.market import Market, Marks
from risk.book import Book
from venues.orders import (
    AccountReport,
    Link,
    Order,
    OrderState,
    OrderUpdate,
    TradeReport,
    VenueStatus,
)

Json = dict[str, Any]
#: Delays are taken over so many of the last.
KEPT = 1000
DEAD_MAN = "dead_man_fired"
#: What a venue is asked for, by the action that asks it.
_ASKING = {"ask_account": "account", "ask_order": "order"}
QUESTIONS = tuple(_ASKING.values())
_MINUTE_NS, _HOUR_NS = 60 * NS_PER_SECOND, 3600 * NS_PER_SECOND


def _kept() -> deque[float]:
    return deque(maxlen=KEPT)


@dataclass(slots=True)
class _Seen:
    """What was told of one venue. Times are UTC, None: never. lags_s, answers_s: the last ones."""

    link: Link | None = None
    link_ns: int | None = None
    text: str = ""
    downs: int = 0
    reconnects: int = 0
    gaps: tuple[str, ...] = ()
    gaps_seen: int = 0
    maintenance: tuple[tuple[int, int], ...] = ()
    events: Counter[str] = field(default_factory=Counter)
    dead_man_ns: int | None = None
    refreshed: tuple[bool, int, str] | None = None  # whether refreshes are taken, since when, and why not
    account_ns: int | None = None
    failed: Counter[str] = field(default_factory=Counter)
    failed_ns: int | None = None
    quote_ns: int | None = None
    marked_ns: int | None = None
    lags_s: deque[float] = field(default_factory=_kept)
    answers_s: deque[float] = field(default_factory=_kept)
    asked_ns: dict[tuple[str, str], int] = field(default_factory=dict)  # by what of whom: not answered yet
    questions_s: dict[str, deque[float]] = field(default_factory=lambda: {x: _kept() for x in QUESTIONS})
    sent_ns: deque[int] = field(default_factory=lambda: deque(maxlen=100 * KEPT))
    orders: int = 0
    fills: int = 0
    rejected: Counter[str] = field(default_factory=Counter)


class VenueReader:
    """Told of a journal's records one after the other; `document` at any time."""

    def __init__(self, at_hand: Settings, fetch: Fetch = no_tape, follower: Follower | None = None) -> None:
        """follower: one that others are told by as well; who has it calls `heard` instead of `take`."""
        self.follower = follower or Follower(at_hand, fetch)
        self.usage: Usage | None = None
        self._started_ns = 0
        self._venues: dict[str, _Seen] = {}
        self._waiting: dict[str, tuple[int, str]] = {}
        self._orders: dict[str, tuple[Order, OrderState]] = {}

    def take(self, record: Record) -> None:
        """One record more.

        Raises:
            CodecError, InputError: as `Follower.take`.
        """
        self.heard(self.follower.take(record))

    def heard(self, taken: Taken) -> None:
        """What the follower has taken in."""
        now_ns = taken.record.now_ns
        if taken.marks is not None:
            self._quoted(taken.marks, now_ns)
        if (
            taken.record.kind == Kind.DECISION and b'"ask_' in taken.record.body
        ):  # few do, and most of a journal
            self._asked(document_of(taken.record), now_ns)
        match taken.word:
            case EventBody(what=what):
                self._heard(what, now_ns)
            case Intent(order=order):
                seen = self._of(order.listing.venue)
                seen.orders += 1
                seen.sent_ns.append(now_ns)
                self._waiting[order.client_id] = (now_ns, order.listing.venue)
                self._orders[order.client_id] = (order, OrderState.SENT)
            case OrderUpdate():
                self._update(taken.word, now_ns)
            case TradeReport(fill=fill):
                self._of(fill.listing.venue).fills += 1
            case Usage():
                self.usage = taken.word
            case Configuration():
                self._started_ns = now_ns
                for seen in self._venues.values():
                    seen.refreshed = None  # it was said of a session that has ended
                    seen.asked_ns.clear()
            case tuple():
                for listing in taken.word:
                    self._of(listing.venue)

    def _of(self, venue: str) -> _Seen:
        return self._venues.setdefault(venue, _Seen())

    def _heard(self, what: object, now_ns: int) -> None:
        match what:
            case VenueStatus():
                self._status(what, now_ns)
            case OrderUpdate():
                self._update(what, now_ns)
            case TradeReport(client_id=client_id):
                self._answered(client_id, now_ns)
            case AccountReport(venue=venue, orders=orders):
                self._of(venue).account_ns = now_ns
                self._told(venue, "account", "", now_ns)
                for report in orders:
                    self._state(report.client_id, report.state)
            case Answer(venue=venue, client_id=client_id, report=report):
                self._told(venue, "order", client_id, now_ns)
                self._answered(client_id, now_ns)
                self._state(client_id, OrderState.REJECTED if report is None else report.state)
            case Failed(venue=venue, what=question, client_id=client_id, code=code):
                seen = self._of(venue)
                seen.asked_ns.pop((question, client_id), None)
                seen.failed[code or question] += 1
                seen.failed_ns = now_ns
                if question == "refresh" and (seen.refreshed is None or seen.refreshed[0]):
                    seen.refreshed = False, now_ns, what.text or code
            case Refreshed(venue=venue):
                self._of(venue).refreshed = True, now_ns, ""

    def _asked(self, decision: Json, now_ns: int) -> None:
        """What a decision asks of venues; of a question asked again the last counts."""
        for action in decision["actions"]:
            question = _ASKING.get(action["action"])
            if question is not None:
                self._of(action["venue"]).asked_ns[question, action.get("client_id", "")] = now_ns

    def _told(self, venue: str, question: str, client_id: str, now_ns: int) -> None:
        """The answer to a question; one that nobody asked for has no delay."""
        seen = self._of(venue)
        asked_ns = seen.asked_ns.pop((question, client_id), None)
        if asked_ns is not None:
            seen.questions_s[question].append((now_ns - asked_ns) / NS_PER_SECOND)

    def _status(self, told: VenueStatus, now_ns: int) -> None:
        seen = self._of(told.venue)
        if told.link is not seen.link:
            seen.downs += told.link is Link.DOWN
            seen.reconnects += told.link is Link.UP and seen.link is Link.DOWN
            seen.link_ns = now_ns
        seen.link, seen.text = told.link, told.text
        seen.events.update(told.events)
        if DEAD_MAN in told.events:
            seen.dead_man_ns = now_ns
        if told.gaps is not None:
            seen.gaps_seen += len(set(told.gaps) - set(seen.gaps))
            seen.gaps = told.gaps
        if told.maintenance is not None:
            seen.maintenance = told.maintenance

    def _update(self, update: OrderUpdate, now_ns: int) -> None:
        known = self._orders.get(update.client_id)
        self._state(update.client_id, update.state)
        if update.state is OrderState.UNKNOWN or known is None:
            return  # silence is no answer
        if update.state is OrderState.DENIED:
            self._waiting.pop(update.client_id, None)
            return  # our own no
        if update.state is OrderState.REJECTED:
            self._of(known[0].listing.venue).rejected[update.code or "no_reason"] += 1
        self._answered(update.client_id, now_ns)

    def _answered(self, client_id: str, now_ns: int) -> None:
        """The first word of the venue on an order."""
        sent = self._waiting.pop(client_id, None)
        if sent is not None:
            self._of(sent[1]).answers_s.append((now_ns - sent[0]) / NS_PER_SECOND)

    def _state(self, client_id: str, state: OrderState) -> None:
        known = self._orders.get(client_id)
        if known is None or known[1].terminal:
            return
        if state.terminal:
            del self._orders[client_id]
        else:
            self._orders[client_id] = (known[0], state)

    def _quoted(self, marks: Marks, now_ns: int) -> None:
        market = self.follower.market
        if market is None or not marks.rows.size:
            return
        listings = market.universe.listings
        newest: dict[str, int] = {}
        for row, stamp in zip(marks.rows.tolist(), marks.venue_ns.tolist(), strict=True):
            if 0 <= row < len(listings):
                venue = listings[row].venue
                newest[venue] = max(newest.get(venue, 0), stamp)
        for venue, stamp in newest.items():
            seen = self._of(venue)
            seen.marked_ns, seen.quote_ns = now_ns, max(seen.quote_ns or 0, stamp)
            if stamp > 0:
                seen.lags_s.append((now_ns - stamp) / NS_PER_SECOND)

    # ---------------------------------------------------------------------------------------------- document

    def document(
        self, now_ns: int | None = None, beat: Heartbeat | None = None, *, runs: bool = False
    ) -> Json:
        """How things stand at a time, UTC (None: at the last record); null where it is not known.

        beat: the engine's sign of life, None where there is none. runs: whether the engine does.
        """
        at_ns = self.follower.now_ns if now_ns is None else now_ns
        started = self.follower.started
        signs = {name: venue_signs.sign_of(beat, name, self._started_ns) for name in self._venues}
        return {
            "as_of": iso(at_ns) if at_ns > 0 else None,
            "journal_lag_s": _age(self.follower.now_ns, at_ns),
            "engine": _engine(beat, at_ns),
            "budgets": _budgets(self.usage),
            "version": None if started is None else started.version,
            "venues": [self._venue(name, at_ns, signs[name], runs) for name in sorted(self._venues)],
        }

    def _venue(self, name: str, at_ns: int, sign: VenueSign | None, runs: bool) -> Json:
        seen = self._venues[name]
        live = [state for order, state in self._orders.values() if order.listing.venue == name]
        return {
            "venue": name,
            "link": None if seen.link is None else str(seen.link),
            "link_s": _age(seen.link_ns, at_ns),
            "text": seen.text,
            "downs": seen.downs,
            "reconnects": seen.reconnects,
            "gaps": list(seen.gaps),
            "gaps_seen": seen.gaps_seen,
            "maintenance": [[iso(first), iso(last)] for first, last in seen.maintenance],
            "events": dict(sorted(seen.events.items())),
            "feed": {
                "last_batch_s": _age(seen.marked_ns, at_ns),
                "newest_quote_s": _age(seen.quote_ns, at_ns),
                "oldest_held": self._oldest_held(name, at_ns),
                "lag_s": _spread(seen.lags_s),
                "unknown": self.follower.untold,
            },
            "account_s": _age(seen.account_ns, at_ns),
            "answer_s": {question: _spread(each) for question, each in seen.questions_s.items()},
            "failed": dict(sorted(seen.failed.items())),
            "failed_s": _age(seen.failed_ns, at_ns),
            "orders": {
                "sent": seen.orders,
                "last_minute": sum(at_ns - t <= _MINUTE_NS for t in seen.sent_ns),
                "last_hour": sum(at_ns - t <= _HOUR_NS for t in seen.sent_ns),
                "open": len(live),
                "unknown": live.count(OrderState.UNKNOWN),
                "fills": seen.fills,
                "rejected": dict(sorted(seen.rejected.items())),
                "first_word_s": _spread(seen.answers_s),
            },
            "account": venue_signs.account(sign, runs, at_ns),
            "credits": venue_signs.credits(sign, runs),
            "dead_man": {
                "fired": seen.events[DEAD_MAN],
                "last_fired_s": _age(seen.dead_man_ns, at_ns),
                **_switch(seen.refreshed, sign, runs, at_ns),
            },
            "mmp": {"state": None, "unknown": venue_signs.MMP},
        }

    def _oldest_held(self, venue: str, at_ns: int) -> Json | None:
        """The oldest quote among what the book holds there; null where it holds nothing, or no quote is
        known."""
        market, book = self.follower.market, self.follower.book
        if market is None or book is None or self.follower.untold:
            return None
        held = _held(book, venue, market)
        if not held:
            return None
        ages = {
            symbol: (at_ns - int(market.venue_ns[row])) / NS_PER_SECOND
            if market.venue_ns[row] > 0
            else math.inf
            for symbol, row in held.items()
        }
        symbol = max(ages, key=lambda name: ages[name])
        return {"symbol": symbol, "age_s": number(ages[symbol])}


def _switch(told: tuple[bool, int, str] | None, sign: VenueSign | None, runs: bool, at_ns: int) -> Json:
    """The dead man's switch: as the sign of life has it, and what the journal last told of its refreshes, by
    the codes of the alerts; whether it is armed is the journal's word where there is no other."""
    found = venue_signs.switch(sign, runs, at_ns)
    if told is None:
        return {"told": None, "told_s": None, "text": "", **found}
    taken, then_ns, why = told
    return {
        "told": "DEAD_MAN_ON" if taken else "DEAD_MAN_OFF",
        "told_s": _age(then_ns, at_ns),
        "text": "refreshes are taken again" if taken else f"the venue did not take a refresh: {why}",
        **found,
        "armed": taken if found["armed"] is None else found["armed"],
    }


def _held(book: Book, venue: str, market: Market) -> dict[str, int]:
    rows = {}
    for position in book.positions.values():
        key = position.listing.key
        if position.quantity and key[0] == venue and key in market.universe.positions:
            rows[key[1]] = market.universe.positions[key]
    return rows


def _engine(beat: Heartbeat | None, at_ns: int) -> Json | None:
    if beat is None:
        return None
    return {
        "pid": beat.pid,
        "beat_s": max(at_ns - beat.now_ns, 0)
        / NS_PER_SECOND,  # an engine's last beat follows its last record
        "seq": beat.seq,
        "mode": beat.mode,
        "clock_stepped_s": beat.stepped_ns / NS_PER_SECOND,
        "closed": beat.closed,
    }


def _budgets(usage: Usage | None) -> Json | None:
    """What the day has used up, as it was last written down; null before anything was."""
    if usage is None:
        return None
    counters = usage.counters
    return {
        "day": iso(counters.day * 86_400 * NS_PER_SECOND)[:10],
        "turnover_usd": number(counters.turnover_usd),
        "fees_usd": number(counters.fees_usd),
        "slippage_usd": number(counters.slippage_usd),
        "fills": counters.fills,
        "executions": counters.executions,
    }


def _age(then_ns: int | None, at_ns: int) -> float | None:
    return None if then_ns is None or then_ns <= 0 else (at_ns - then_ns) / NS_PER_SECOND


def _spread(seconds: Iterable[float]) -> Json:
    """Median, 99th percentile and longest of the last ones; null without any."""
    found = np.array(list(seconds))
    if not found.size:
        return {"count": 0, "p50": None, "p99": None, "max": None}
    p50, p99 = np.percentile(found, [50, 99], method="higher").tolist()
    return {"count": int(found.size), "p50": p50, "p99": p99, "max": float(found.max())}
