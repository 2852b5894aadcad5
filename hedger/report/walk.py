"""One walk over a journal, from its first record to its last, and all that a report is made of.

Exposures, costs, refusals and alerts are what the engine wrote down when it decided; nothing of them is
reckoned again. The market, the worth of the book, and so bands, P&L and its causes, are valued anew at marks
some time apart, with the settings that were in force then. The chain of hashes is checked on the way: a
record that was changed ends the walk.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hedger.core.events import Command
from hedger.core.leg_margin import Models
from hedger.core.order_life import OrderRecord
from hedger.core.usage import Usage
from hedger.desk.follow import Fetch, Follower, Taken
from hedger.desk.profit import ProfitReader
from hedger.desk.risk_tree import incomplete
from hedger.desk.settings_in_force import InForce
from hedger.documents import number
from hedger.journal.codec import CodecError
from hedger.journal.entries import (
    EVENT_KINDS,
    Configuration,
    DecisionRecord,
    EventBody,
    Head,
    Intent,
    JournalName,
    Kind,
    LatchChange,
    ModeChange,
    Record,
    cut_off,
    misplaced,
    read,
)
from hedger.journal.recovery import Reading
from hedger.journal.storage import JournalDamaged, Storage, StorageFailed
from hedger.journal.unreadable import unreadable_from, why_unreadable
from hedger.margin_models import margin_models
from hedger.problem.snapshot import Snapshot
from hedger.report import rows
from hedger.report.capacity import positions_and_margin_used
from hedger.report.commands_given import CommandReader
from hedger.report.gaps import Gap, GapReader
from hedger.report.spans import Spans
from hedger.settings import Settings
from pricing.daycount import NS_PER_SECOND
from pricing.errors import InputError, named
from pricing.oracle import read_index
from venues.orders import TradeReport, VenueStatus

Json = dict[str, Any]
Row = rows.Row
#: So many valuations over the whole record, unless that made them further apart than APART_S_MAX.
VALUATIONS = 400
APART_S_MAX = 900.0
#: Of what has no worth so many are named.
NAMED = 3


@dataclass(slots=True)
class ReadJournal:
    """What was read of a journal. Lists hold a row each, amounts in USD; None stands for what is not known.

    revalued: the greatest difference between an exposure as the engine wrote it and as valued here, as a
    share of the larger of them and the row's trigger, and its row. in_force: settings, since when which.
    limit_rows: what positions and margin used of their limits (`hedger.report.capacity`). sent: when
    messages left, by venue.
    """

    name: JournalName
    head: Head
    from_ns: int
    to_ns: int
    apart_s: float
    spans: Spans
    events: int = 0
    valuations: list[Row] = field(default_factory=list)
    prices: list[Row] = field(default_factory=list)
    fills: list[Row] = field(default_factory=list)
    hedges: list[Row] = field(default_factory=list)
    usage: list[Row] = field(default_factory=list)
    alerts: list[Row] = field(default_factory=list)
    starts: list[Row] = field(default_factory=list)
    steering: list[Row] = field(default_factory=list)
    gaps: tuple[Gap, ...] = ()
    tickets: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    orders: int = 0
    limits_text: str = ""
    profit: Json = field(default_factory=dict)
    revalued: tuple[float, str] | None = None
    in_force: tuple[InForce, ...] = ()
    settings: Settings | None = None
    limit_rows: list[Row] = field(default_factory=list)
    sent: dict[str, list[int]] = field(default_factory=dict)


def read_journal(storage: Storage, settings: Settings, fetch: Fetch, where: str) -> ReadJournal:
    """Walk over a journal. settings: those at hand, where it does not hold those of the run.

    Raises:
        JournalDamaged: the chain is broken, or the file cannot be read to its end.
        InputError: nothing has happened in it yet, or its marks lie on a tape that is not at hand.
        HedgerError: the book cannot be valued at all.
    """
    try:
        walk = _Walk(_begun(storage, where), settings, fetch, storage.name)
        last = Head(0, storage.name.genesis)
        for record in storage.records():
            problem = misplaced(record, last)
            if problem:
                raise _damaged(where, f"record {record.number} {problem}")
            walk.take(record)
            last = Head(record.number, record.hash)
        problem = cut_off(last, storage.head())
    except (StorageFailed, CodecError) as error:
        raise why_unreadable(storage, error, _damaged(where, str(error))) from error
    if problem:
        raise _damaged(where, f"after record {last.number}: {problem}")
    journal = walk.close()
    if not journal.events:
        raise _empty(where, f"{last.number} records, none of them an event")
    return journal


def _begun(storage: Storage, where: str) -> ReadJournal:
    """Nothing read yet, between the first record's time and the last one's."""
    head = storage.head()
    first = next(iter(storage.records()), None)
    final = next(iter(storage.records(max(head.number, 1))), None)
    if first is None or final is None:
        raise _empty(where, "no records")
    from_ns, to_ns = first.now_ns, max(first.now_ns, final.now_ns)
    apart_s = min(max((to_ns - from_ns) / NS_PER_SECOND / VALUATIONS, 1.0), APART_S_MAX)
    return ReadJournal(storage.name, head, from_ns, to_ns, apart_s, Spans(from_ns, to_ns))


def _damaged(where: str, observed: str) -> JournalDamaged:
    return unreadable_from(where, observed, "nothing was written")


def _empty(where: str, observed: str) -> InputError:
    return InputError(
        "REPORT_EMPTY",
        "nothing has happened in this journal yet",
        where=where,
        observed=observed,
        allowed="the journal of an engine that has taken an event",
        not_done="nothing was written",
        fix="wait for the engine's first mark, or name another --journal",
    )


class _Walk:
    """Records taken so far. A decision waits until its event's mark is valued, and is told after it."""

    def __init__(self, journal: ReadJournal, settings: Settings, fetch: Fetch, name: JournalName) -> None:
        self.journal = journal
        self._follower = Follower(settings, fetch, depth=False)
        self._settings, self._turns = self._follower.in_force, 0
        self._profit = ProfitReader(settings, follower=self._follower)
        self._gaps = GapReader(settings.age_s_max)
        self._commands = CommandReader(journal.steering)
        self._orders, self._open = Reading(name, 0), set[str]()
        self._models: Models = {}
        self._messages: set[str] = set()
        self._apart_ns = round(journal.apart_s * NS_PER_SECOND)
        self._waiting: tuple[int, Json] | None = None
        self._valued: Snapshot | None = None
        self._spot: dict[str, float] = {}
        self._executions: dict[str, int] = {}
        self._begun: dict[int, tuple[int, Json]] = {}
        self._legs: Counter[int] = Counter()
        self._fills: Counter[int] = Counter()
        self._now_ns = journal.from_ns

    def take(self, record: Record) -> None:
        """One record more."""
        journal = self.journal
        if record.seq != self._follower.seq:
            self._settle(record)
        taken = self._follower.take(record)
        if record.kind == Kind.CONFIGURATION and journal.starts:
            self._gaps.started(self._now_ns, record.now_ns)
            journal.spans.stopped(self._now_ns)
        if len(self._settings.turns) > self._turns:
            self._turned()
        self._profit.heard(taken)
        self._orders.take(record)
        if isinstance(taken.word, Intent):
            self._open.add(taken.word.order.client_id)
        journal.events += record.kind in EVENT_KINDS
        if taken.marks is not None and self._follower.marked_ns == record.now_ns:
            self._gaps.marked(record.now_ns)
        if record.kind == Kind.DECISION:
            self._waiting = record.now_ns, _decision(record)
        else:
            self._heard(taken)
        self._now_ns = max(self._now_ns, record.now_ns)

    def close(self) -> ReadJournal:
        """The end of the record."""
        journal = self.journal
        self._profit.before(_END)
        self._value()
        self._tell()
        journal.profit = self._profit.close()
        self._value(last=True)
        journal.to_ns = max(journal.to_ns, self._now_ns)
        journal.spans.stopped(self._now_ns)
        journal.gaps = self._gaps.close(self._now_ns)
        journal.in_force, journal.settings = tuple(self._settings.turns), self._settings.settings
        return journal

    def _turned(self) -> None:
        """Other settings are in force from here on."""
        settings, self._turns = self._settings.settings, len(self._settings.turns)
        self._gaps.age_s_max = settings.age_s_max

    def _settle(self, record: Record) -> None:
        """All records of the event before are read: its mark is valued, then its decision told."""
        self._profit.before(record)
        self._value()
        self._tell()

    # --------------------------------------------------------------------------------------------- valuations

    def _due(self, *, last: bool) -> Snapshot | None:
        """The book as it stands, where the charts have a point now; None where they have none. Their points
        are as far apart as the record is long; where they are nearer to each other than what `hedger pnl`
        takes for an interval, that interval stays as it is, so that both split one P&L alike."""
        marked_ns, valued = self._follower.marked_ns, self._profit.valued
        before_ns = None if self._valued is None else self._valued.market.now_ns
        if last and valued is not None and valued.market.now_ns == marked_ns:
            return None if valued is self._valued else valued
        if not marked_ns or (before_ns is not None and marked_ns - before_ns < self._apart_ns):
            return None
        fresh = valued is not None and valued is not self._valued and valued.market.now_ns == marked_ns
        return valued if fresh else self._follower.snapshot()

    def _value(self, *, last: bool = False) -> None:
        snapshot = self._due(last=last)
        if snapshot is None:
            return
        self._valued, journal, now_ns = snapshot, self.journal, self._now_ns
        self._spot.update({k: x for k, x in snapshot.spot.items() if math.isfinite(x)})
        names = [f"{m.venue} {m.symbol} ({m.reason})" for m in snapshot.missing]
        self._gaps.valued(now_ns, named(names, NAMED))
        journal.spans.valued(now_ns, rows.edges(snapshot, self._follower), incomplete(snapshot))
        for name in snapshot.underlyings:
            journal.prices.append(
                {"now_ns": now_ns, "underlying": name, "index_usd": number(snapshot.spot[name])}
            )
        self._compare(snapshot)
        for name in {x.venue for x in snapshot.market.universe.listings} - self._models.keys():
            paper = self._settings.settings.paper
            self._models = {**self._models, **margin_models(paper, (name,), journal.from_ns)}
        journal.limit_rows += positions_and_margin_used(now_ns, snapshot, self._models, self._out())
        total = self._profit.total_at(snapshot)
        attribution = None if total is None else total.attribution
        journal.valuations.append(rows.valued(now_ns, snapshot, attribution))

    def _out(self) -> list[OrderRecord]:
        """The orders of which something may still be filled."""
        orders = self._orders.orders
        self._open = {id for id in self._open if orders[id].reserved}
        return [orders[id] for id in sorted(self._open)]

    def _compare(self, snapshot: Snapshot) -> None:
        """The rows as the engine wrote them against those valued here: other settings, or a fault."""
        if self._waiting is None or snapshot.missing:
            return
        values = dict(zip(snapshot.exposure.rows, snapshot.exposure.value.tolist(), strict=True))
        for row, wrote in self._waiting[1].get("exposures", ()):
            mine, edges = values.get(row), self.journal.spans.rows.get(row)
            if mine is None or wrote is None or edges is None:
                continue
            low, high = edges.edges[1:3, :][:, ~np.isnan(edges.edges[5])][:, -1]
            size = max(abs(mine), abs(wrote), *(abs(x) for x in (low, high) if math.isfinite(x)))
            share = abs(mine - wrote) / size if size else 0.0
            if self.journal.revalued is None or share > self.journal.revalued[0]:
                self.journal.revalued = share, row

    # ---------------------------------------------------------------------------------------------- decisions

    def _tell(self) -> None:
        if self._waiting is None:
            return
        (now_ns, found), self._waiting = self._waiting, None
        self._told(now_ns, found)

    def _told(self, now_ns: int, found: Json) -> None:
        journal, seq = self.journal, int(found.get("seq", -1))
        journal.spans.decided(now_ns, found.get("exposures", ()), found.get("breached", ()))
        self._commands.decided(now_ns, seq, found)
        ticket = found.get("ticket")
        if ticket:
            journal.tickets[str(ticket.get("status"))] += 1
            if ticket.get("legs"):
                self._begun[seq] = now_ns, found
        for verdict in found.get("verdicts", ()):
            if verdict.get("code"):
                journal.refused[str(verdict["code"])] += 1
        for action in found.get("actions", ()):
            if action.get("action") == "alert":
                told = {
                    name: rows.shortened(str(action.get(name, ""))) for name in ("severity", "code", "text")
                }
                journal.alerts.append({"now_ns": now_ns, **told})
        if found.get("verification"):
            self._verified(now_ns, found["verification"])

    def _verified(self, now_ns: int, found: Json) -> None:
        execution = int(found["execution"])
        begun_ns, asked = self._begun.pop(execution, (None, {}))
        orders, fills = self._legs.pop(execution, 0), self._fills.pop(execution, 0)
        self.journal.hedges.append(rows.verified(now_ns, found, begun_ns, asked, orders, fills))

    # ------------------------------------------------------------------------------------------ other records

    def _heard(self, taken: Taken) -> None:
        journal, record = self.journal, taken.record
        match taken.word:
            case Configuration():
                journal.starts.append(rows.started(record, taken.word))
                journal.limits_text = taken.word.limits
            case ModeChange(mode=mode, paused=paused, user=user, reason=reason):
                what = mode + ", paused" * paused
                journal.steering.append(rows.steered(record, "mode", what, user, reason))
            case EventBody(what=Command() as command):
                self._commands.command(record, command)
            case LatchChange() as change:
                self._commands.latch(record, change)
            case EventBody(what=VenueStatus() as told):
                self._gaps.status(told, record.now_ns)
            case Intent(order=order, execution=execution):
                journal.orders += 1
                self._executions[order.client_id] = execution
                self._legs[execution] += 1
                if order.sent_as not in self._messages:  # the legs of a combo are one message
                    self._messages.add(order.sent_as)
                    journal.sent.setdefault(order.listing.venue, []).append(record.now_ns)
            case TradeReport():
                self._filled(record, taken.word)
            case Usage():
                journal.usage.append(rows.used(record, taken.word))

    def _filled(self, record: Record, report: TradeReport) -> None:
        execution = self._executions.get(report.client_id)
        if execution is not None:
            self._fills[execution] += 1
        self._look()
        self.journal.fills.append(rows.filled(record, report, execution, self._spot))

    def _look(self) -> None:
        """The indexes of this moment, where the market tells them."""
        market = self._follower.market
        for reading in (
            () if market is None else read_index(market, self._settings.settings.oracle_settings())
        ):
            if math.isfinite(reading.value):
                self._spot[reading.underlying] = reading.value


#: What comes after the last event: nothing of it is waited for.
_END = Record(0, "", -2, 0, None, b"", b"")


def _decision(record: Record) -> Json:
    word = read(record)
    if not isinstance(word, DecisionRecord):
        raise CodecError(f"record {record.number} is no decision")
    return dict(word.document)
