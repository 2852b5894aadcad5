"""Starting is recovering: what a journal says of the engine that wrote it.

The chain is checked from the first record to the last; what follows is read off the records in order:

- the book is the one that stood before the first fill, and every fill and adjustment since, each once;
- an order is its intent and what was heard of it since. One that was decided or sent when the engine stopped,
  with nothing heard of it, is UNKNOWN: it is asked for, never sent again;
- everything else that a person may want to know: mode, latch, configuration, commands taken.

`Recovered` is neutral: what the engine makes of it is the engine's. Nothing is sent on the strength of it
before the venues have been asked, so the timers of orders count from the moment of recovery.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

from hedger.core.actions import Adjustment
from hedger.core.by_hand import NOTHING_BY_HAND, ByHand
from hedger.core.events import Answer, Command
from hedger.core.order_life import (
    OrderRecord,
    concerned,
    executed,
    heard,
    never_had,
    order_of,
    seen,
    silent,
    told_of,
)
from hedger.core.state import ALL_INSIDE, Outside
from hedger.core.usage import Usage
from hedger.journal.codec import CodecError
from hedger.journal.entries import (
    EVENT_KINDS,
    Configuration,
    DecisionRecord,
    Differences,
    EventBody,
    Head,
    Intent,
    JournalName,
    Kind,
    LatchChange,
    ModeChange,
    Pause,
    Record,
    cut_off,
    misplaced,
    read,
)
from hedger.journal.storage import JournalDamaged, Storage, StorageFailed
from hedger.journal.unreadable import why_unreadable
from pricing.contracts import Listing
from risk.book import Book, Fill
from venues.orders import AccountReport, OrderState, OrderUpdate, TradeReport

#: The reason code of an order whose fate was not known when the engine stopped.
RESTARTED = "restarted"


@dataclass(frozen=True, slots=True)
class Recovered:
    """What a journal says. Records are told by number, events by seq; -1 where there was none.

    listings: those that the journal was begun with; relisted: the same on the terms of the last start.
    opening: the book before the first fill, None where none was written. ledger: fills and adjustments since,
    in the order in which they were booked. orders: by client id, in the order of their intents. undecided:
    seqs of events at the end that have no decision: the engine stopped between them. commands: ids of those
    taken. configuration: the last start's. mode, latch: the last change, None where there was none. pause:
    who paused it, None where it is not paused. usage: what budgets and throttles stood at last, None where
    that was never written. differences: of accounts from the book, by venue, since the last start; none of an
    account that agrees. outside: what was outside its band last, and why, since the last start. by_hand: the
    bands that a person has set and that stand.
    """

    name: JournalName
    head: Head
    last_seq: int = -1
    last_now_ns: int = 0
    configuration: Configuration | None = None
    listings: tuple[Listing, ...] = ()
    relisted: tuple[Listing, ...] = ()
    opening: Book | None = None
    ledger: tuple[TradeReport | Adjustment, ...] = ()
    orders: Mapping[str, OrderRecord] = field(default_factory=dict)
    mode: ModeChange | None = None
    pause: Pause | None = None
    latch: LatchChange | None = None
    usage: Usage | None = None
    differences: Mapping[str, Differences] = field(default_factory=dict)
    outside: Outside = ALL_INSIDE
    by_hand: ByHand = NOTHING_BY_HAND
    commands: frozenset[str] = frozenset()
    digest: str = ""
    undecided: tuple[int, ...] = ()

    @property
    def fills(self) -> tuple[TradeReport, ...]:
        """The executions booked, in order."""
        return tuple(word for word in self.ledger if isinstance(word, TradeReport))

    def traded(self) -> dict[tuple[str, str, str], Decimal]:
        """What the fills alone add up to: signed order units by (venue, symbol, account)."""
        totals: dict[tuple[str, str, str], Decimal] = {}
        for report in self.fills:
            fill: Fill = report.fill
            key = (fill.listing.venue, fill.listing.symbol, fill.account)
            totals[key] = totals.get(key, Decimal(0)) + fill.signed
        return totals


def recover(storage: Storage, *, where: str = "the journal", monotonic_ns: int = 0) -> Recovered:
    """Read a journal from the first record to the last, checking the chain.

    Args:
        where: the file's name, for messages. monotonic_ns: the present time, from which orders' timers run.

    Raises:
        JournalDamaged: the chain is broken, or the file cannot be read to its end, or not by this build.
    """
    reading = Reading(storage.name, monotonic_ns)
    last = Head(0, storage.name.genesis)
    try:
        for record in storage.records():
            problem = misplaced(record, last)
            if problem:
                raise damage_of(where, f"record {record.number} {problem}")
            reading.take(record)
            last = Head(record.number, record.hash)
        problem = cut_off(last, storage.head())
    except (StorageFailed, CodecError) as error:
        damaged = damage_of(where, f"after record {last.number}: {error}")
        raise why_unreadable(storage, error, damaged) from error
    if problem:
        raise damage_of(where, f"record {last.number} {problem}")
    return reading.result(last, restarted=True)


def summary(storage: Storage, *, where: str = "the journal", running: bool = False) -> Recovered:
    """What `recover` gives, without checking the chain or reading marks: for a look at a journal of any size.

    Listings and undecided events are left out. running: an engine writes it, so what has had no answer yet is
    not UNKNOWN but under way.

    Raises:
        JournalDamaged: the file cannot be read, or a record is not what it should be.
    """
    kinds = [kind for kind in Kind if kind not in (Kind.EVENT, Kind.DECISION, Kind.LISTINGS)]
    reading = Reading(storage.name, 0)
    try:
        head = storage.head()
        for record in storage.records(kinds=kinds):
            reading.take(record)
        for record in storage.records(first=head.number):
            reading.touch(record)
    except (StorageFailed, CodecError) as error:
        raise why_unreadable(storage, error, damage_of(where, str(error))) from error
    return replace(reading.result(head, restarted=not running), undecided=())


class Reading:
    """Records taken so far, one after the other. orders: by client id, as they stand."""

    def __init__(self, name: JournalName, monotonic_ns: int) -> None:
        self.found = Recovered(name, Head(0, name.genesis))
        self.monotonic_ns = monotonic_ns
        self.orders: dict[str, OrderRecord] = {}
        self.ledger: list[TradeReport | Adjustment] = []
        self.commands: set[str] = set()
        self.undecided: list[int] = []
        self.decision: Record | None = None

    def touch(self, record: Record) -> None:
        """Note when a record was written."""
        self.found = replace(self.found, last_seq=record.seq, last_now_ns=record.now_ns)

    def take(self, record: Record) -> None:
        """One record more."""
        self.touch(record)
        if record.kind == Kind.DECISION:
            self.decision = record
            self.undecided = [seq for seq in self.undecided if seq > record.seq]
            return
        if record.kind in EVENT_KINDS:
            self.undecided.append(record.seq)
            if record.kind == Kind.EVENT:
                return  # marks, trades told, the state of links: nothing an order or the ledger hangs on
        word = read(record)
        match word:
            case EventBody(what=what):
                self._heard(what)
            case Intent(order, execution):
                self.orders[order.client_id] = OrderRecord(
                    order, execution, self.monotonic_ns, wall_ns=record.now_ns
                )
            case OrderUpdate():
                self._own_verdict(word)
            case TradeReport():
                self.ledger.append(word)
                self._executed(word)
            case Adjustment():
                self.ledger.append(word)
            case Configuration():
                self.found = replace(self.found, configuration=word, differences={}, outside=ALL_INSIDE)
            case ModeChange():
                pause = Pause.after(self.found.pause, word, record.now_ns)
                self.found = replace(self.found, mode=word, pause=pause)
            case LatchChange():
                self.found = replace(self.found, latch=word)
            case Usage():
                self.found = replace(self.found, usage=word)
            case Differences(venue=venue):
                others = {name: x for name, x in self.found.differences.items() if name != venue}
                mine = {venue: word} if word.positions or word.cash else {}
                self.found = replace(self.found, differences=others | mine)
            case ByHand():
                self.found = replace(self.found, by_hand=word)
            case Outside():
                self.found = replace(self.found, outside=word)
            case Book():
                self.found = replace(self.found, opening=word)
            case tuple():
                self.found = replace(self.found, listings=self.found.listings or word, relisted=word)

    def _heard(self, what: object) -> None:
        match what:
            case OrderUpdate():
                self._update(what)
            case Answer(report=report, client_id=client_id):
                if report is not None:
                    self._update(report.as_update())
                else:
                    for known in concerned(self.orders, client_id):
                        self.orders[known.order.client_id] = never_had(known)
            case AccountReport(orders=orders):
                for report in orders:
                    self._update(report.as_update())
            case Command(id=id):
                self.commands.add(id)

    def _update(self, update: OrderUpdate) -> None:
        for known in concerned(self.orders, update.client_id):
            new = heard(known, told_of(known, update), self.monotonic_ns)
            self.orders[known.order.client_id] = seen(new, update, self.found.last_now_ns)

    def _own_verdict(self, update: OrderUpdate) -> None:
        """What we ourselves made of an order, by its own id."""
        known = self.orders.get(update.client_id)
        if known is not None:
            self.orders[update.client_id] = heard(known, update, self.monotonic_ns)

    def _executed(self, report: TradeReport) -> None:
        """An execution of an order of ours; of a leg of a combo the others have filled with it."""
        known = order_of(self.orders, report)
        if known is None:
            return
        new = executed(known, report.fill, self.monotonic_ns)
        self.orders[new.order.client_id] = new
        for other in concerned(self.orders, new.order.combo):
            if other.order.client_id != new.order.client_id:
                word = OrderUpdate(new.order.combo, OrderState.OPEN, "", new.booked / new.order.ratio)
                self.orders[other.order.client_id] = heard(other, told_of(other, word), self.monotonic_ns)

    def as_known(self, *, restarted: bool) -> dict[str, OrderRecord]:
        """Orders by client id. restarted: what has had no answer will not get one any more."""
        orders = dict(self.orders)
        if restarted:
            for client_id, order in orders.items():
                if order.state in (OrderState.INTENT, OrderState.SENT):
                    orders[client_id] = silent(order, self.monotonic_ns, RESTARTED)
        return orders

    def result(self, head: Head, *, restarted: bool) -> Recovered:
        """What was found. restarted: as for `standing`."""
        orders = self.as_known(restarted=restarted)
        decision = None if self.decision is None else read(self.decision)
        return replace(
            self.found,
            head=head,
            ledger=tuple(self.ledger),
            orders=orders,
            commands=frozenset(self.commands),
            digest=decision.digest if isinstance(decision, DecisionRecord) else "",
            undecided=tuple(self.undecided),
        )


def damage_of(where: str, observed: str) -> JournalDamaged:
    """The error for people where a journal is not what was written. where: the file's name."""
    return JournalDamaged(
        "JOURNAL_DAMAGED",
        "the journal is not what was written",
        where=where,
        observed=observed,
        allowed="one unbroken chain of records",
        not_done="nothing was started",
        fix="keep the file and its -wal; begin a new journal from the venues' positions",
    )
