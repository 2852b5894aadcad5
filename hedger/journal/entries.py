"""What may be written into the journal, and the chain that holds it together.

A record is an entry with its number and its hash:

    hash(0) = SHA-256("hedger journal 1" and the journal's name)
    hash(n) = SHA-256(hash(n - 1) || [number, kind, seq, now_ns, key] || newline || body)

so a record that is changed, moved, put in or taken out breaks the chain at that place, and a paper journal's
records are none of a live one's. What is not seen by it: the last records all cut off. Against that the store
keeps its own count, and `journal verify --head` compares with a head noted elsewhere.

A body is a line of canonical JSON. Marks that lie on no tape are too many numbers for that: their record has
a frame behind the line (`hedger.journal.frames`), and the chain is over line and frame together.

Every event is one record: what a venue says of our orders under `acknowledgement`, a wish from outside under
`command`, all others under `event`. `key` makes things unique in the whole journal: a fill by (venue, trade
id), an intent by client order id, a command by its id, funding by account, currency and hour, a settlement by
position.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from hedger.core.actions import Adjustment
from hedger.core.by_hand import ByHand
from hedger.core.events import Answer, Command, Event, Happening
from hedger.core.state import Outside
from hedger.core.usage import Usage
from hedger.journal.codec import CodecError, canonical, codec, dump, load, parse
from hedger.journal.decision_shape import fault_in
from hedger.journal.frames import MarksFrame, framed, unframed
from pricing.contracts import Listing
from pricing.market import Marks
from risk.book import Book
from venues.orders import AccountReport, Order, OrderUpdate, TradeReport

#: Whole numbers of a record fit in 64 bits.
INT_MAX = 2**63 - 1
#: A record is at most so large: a batch of marks of fifty thousand listings.
BODY_BYTES_MAX = 16 * 2**20
#: By these an engine's own pause at its orderly end is told from a person's.
ENDING_USER, ENDING = "run", "ending: "
#: Between a record's line and its frame; canonical JSON has none in it.
_LINE_END = b"\n"


class Kind(StrEnum):
    """What a record is."""

    CONFIGURATION = "configuration"  # at each start: what the engine runs with
    LISTINGS = "listings"  # the universe whose rows the marks name
    BOOK = "book"  # what was owned before the first fill
    EVENT = "event"
    ACKNOWLEDGEMENT = "acknowledgement"  # an event: a venue's word on our orders
    COMMAND = "command"  # an event: a wish from outside, with who and why
    DECISION = "decision"
    INTENT = "intent"  # an order, before it is sent
    ORDER = "order"  # what we ourselves made of an order: denied, given up for lost
    FILL = "fill"  # an execution that was booked
    ADJUSTMENT = "adjustment"  # a change of the book that no trade made
    MODE = "mode"
    LATCH = "latch"  # the kill latch was set or removed
    USAGE = "usage"  # what budgets and throttles stand at: a restart goes on from there
    DIFFERENCES = "differences"  # of a venue's account from the book, or their end
    BANDS = "bands"  # set by hand: all that stand, or that none does any more
    OUTSIDE = "outside"  # what is outside its band and why it stays there, or that nothing is any more


#: The kinds that hold an event.
EVENT_KINDS = (Kind.EVENT, Kind.ACKNOWLEDGEMENT, Kind.COMMAND)
#: Something leaves, or a person relies on it: durable before `append` returns.
URGENT = frozenset(
    {Kind.CONFIGURATION, Kind.LISTINGS, Kind.BOOK, Kind.COMMAND, Kind.INTENT, Kind.ADJUSTMENT, Kind.MODE}
    | {Kind.LATCH}
)


@dataclass(frozen=True, slots=True)
class Entry:
    """Something to be written. body: canonical JSON, for marks with their frame behind a line end. urgent:
    durable before anything else happens."""

    kind: Kind
    seq: int
    now_ns: int
    body: bytes
    key: str | None = None
    urgent: bool = False

    def __post_init__(self) -> None:
        if not (-1 <= self.seq <= INT_MAX and 0 <= self.now_ns <= INT_MAX):
            raise ValueError(f"seq {self.seq} and now_ns {self.now_ns} must be in 64 bits and not negative")
        if len(self.body) > BODY_BYTES_MAX:
            raise ValueError(f"a record of {len(self.body)} bytes; at most {BODY_BYTES_MAX} are allowed")


@dataclass(frozen=True, slots=True)
class Record:
    """An entry in its place: number counts from 1 without a gap, hash is its link of the chain.

    kind is text here: what is read may come from a newer release, or from nobody.
    """

    number: int
    kind: str
    seq: int
    now_ns: int
    key: str | None
    body: bytes
    hash: bytes

    @property
    def text(self) -> bytes:
        """The line of canonical JSON."""
        return self.body.partition(_LINE_END)[0]

    @property
    def frame(self) -> bytes | None:
        """What stands behind the line; None: nothing does."""
        _, line_end, frame = self.body.partition(_LINE_END)
        return frame if line_end else None

    def document(self) -> Any:
        """The body as JSON, a frame written out.

        Raises:
            CodecError: it is none.
        """
        if self.frame is None:
            return parse(self.body)
        return codec(EventBody).encode(read(self))


@dataclass(frozen=True, slots=True)
class JournalName:
    """What a journal is of; it never changes.

    trading: "paper", "live", "testnet" (a venue's test network) or "replay". engine: the tag of its client
    order ids.
    """

    trading: str
    engine: str

    @property
    def on_venues(self) -> bool:
        """Whether its orders leave for venues: with real money, or on their test networks."""
        return self.trading in ("live", "testnet")

    @property
    def genesis(self) -> bytes:
        """The hash before the first record."""
        return hashlib.sha256(b"hedger journal 1\n" + dump(JournalName, self)).digest()


@dataclass(frozen=True, slots=True)
class Head:
    """The last record's number and hash; of an empty journal 0 and the genesis."""

    number: int
    hash: bytes

    def __str__(self) -> str:
        return f"{self.number}:{self.hash.hex()}"

    @classmethod
    def parse(cls, text: str) -> Head:
        """Read what `str` wrote.

        Raises:
            ValueError: it is something else.

        >>> str(Head.parse("2:" + "ab" * 32))[:6]
        '2:abab'
        """
        number, _, digest = text.partition(":")
        if not (number.isascii() and number.isdigit() and len(digest) == 64):
            raise ValueError(f"{text[:80]!r} is not NUMBER:HASH, 64 hexadecimal digits after the colon")
        return cls(int(number), bytes.fromhex(digest))


def link(previous: bytes, record: Record) -> bytes:
    """The hash that a record must have after a record with the hash `previous`."""
    header = canonical([record.number, str(record.kind), record.seq, record.now_ns, record.key])
    return hashlib.sha256(b"".join((previous, header, b"\n", record.body))).digest()


def chained(entries: Iterable[Entry], head: Head) -> list[Record]:
    """Entries as the records after a head."""
    records, number, previous = [], head.number, head.hash
    for entry in entries:
        number += 1
        bare = Record(number, str(entry.kind), entry.seq, entry.now_ns, entry.key, entry.body, b"")
        previous = link(previous, bare)
        records.append(
            Record(number, str(entry.kind), entry.seq, entry.now_ns, entry.key, entry.body, previous)
        )
    return records


@dataclass(frozen=True, slots=True)
class Break:
    """Where a journal is not what was written. number: of the first record that is wrong."""

    number: int
    what: str

    def __str__(self) -> str:
        return f"record {self.number}: {self.what}"


def misplaced(record: Record, last: Head) -> str:
    """Why a record cannot follow the last one; "" where it does."""
    if record.number != last.number + 1:
        return f"follows record {last.number}: what was between them is missing"
    if link(last.hash, record) != record.hash:
        return "its hash does not follow from its contents and the record before it"
    return ""


def cut_off(last: Head, counted: Head) -> str:
    """Why the last record found is not the last one that was counted; "" where it is."""
    if last.number < counted.number:
        return f"records up to {counted.number} were written and are missing"
    return "" if last == counted else f"is the last, but {str(counted)[:24]}... was counted as the last"


def breaks(records: Iterable[Record], name: JournalName, counted: Head) -> Iterator[Break]:
    """Where a chain breaks; behind a break it is followed on from the hash that stands there.

    Args:
        counted: what the store says that its last record is.
    """
    last = Head(0, name.genesis)
    for record in records:
        problem = misplaced(record, last) or unreadable(record)
        if problem:
            yield Break(record.number, problem)
        last = Head(record.number, record.hash)
    problem = cut_off(last, counted)
    if problem:
        yield Break(last.number + (last.number < counted.number), problem)


def unreadable(record: Record) -> str:
    """Why a record's body is none of its kind; "" where it is."""
    try:
        read(record)
    except CodecError as error:
        return f"its contents are no {record.kind[:40]}: {str(error).removeprefix(_of(record))}"
    return ""


# ------------------------------------------------------------------------------------------- words of its own


@dataclass(frozen=True, slots=True)
class Configuration:
    """What an engine was started with: SHA-256 of settings, hard limits, tape, book; "" where there is none.

    reason: why it was started, which looser limits ask for. limits: the hard limits themselves, as the text
    of a limits file: the next start is compared with them. monotonic_ns: the clock that timers run on, at the
    start. settings: those that were given, as JSON: with the reloads since they are the settings in force.
    seed: of the simulated market, or of a replay's latencies and faults; None where nothing is drawn.
    venues: that are traded on, whether or not any of their listings is watched; since_ns: their time from
    which executions were asked for, None: from the start on. A record of an older release has neither.
    """

    version: str
    settings_sha256: str
    limits_sha256: str = ""
    tape_sha256: str = ""
    book_sha256: str = ""
    user: str = ""
    reason: str = ""
    limits: str = ""
    monotonic_ns: int = 0
    settings: str = ""
    seed: int | None = None
    venues: tuple[str, ...] = ()
    since_ns: int | None = None


@dataclass(frozen=True, slots=True)
class ModeChange:
    """What the engine may do from here on, who wanted it and why."""

    mode: str
    paused: bool
    user: str
    reason: str

    @property
    def ending(self) -> bool:
        """Whether it is the pause by which an engine begins its orderly end."""
        return self.paused and self.user == ENDING_USER and self.reason.startswith(ENDING)


@dataclass(frozen=True, slots=True)
class Pause:
    """Who paused the engine, why, and when, UTC."""

    user: str
    reason: str
    now_ns: int

    @classmethod
    def after(cls, before: Pause | None, change: ModeChange, now_ns: int) -> Pause | None:
        """What stands after a change; None: no pause. Of several changes while it is paused the first counts:
        the others are of the mode. The pause by which an engine ends is none.

        >>> first = Pause.after(None, ModeChange("armed", True, "ann", "lunch"), 5)
        >>> Pause.after(first, ModeChange("reducing", True, "engine", "drift"), 9)
        Pause(user='ann', reason='lunch', now_ns=5)
        """
        if not change.paused or change.ending:
            return None
        return before or cls(change.user, change.reason, now_ns)


@dataclass(frozen=True, slots=True)
class Differences:
    """What a venue's account differs in from the book without a reason: its figure less ours, by symbol and
    by currency; empty: it agrees again, or a person has accepted it. drift: account reports in a row that
    said so."""

    venue: str
    positions: tuple[tuple[str, Decimal], ...]
    cash: tuple[tuple[str, Decimal], ...]
    drift: int


@dataclass(frozen=True, slots=True)
class LatchChange:
    """The kill latch as found or made: set, or removed, by whom, why."""

    set: bool
    user: str
    reason: str


@dataclass(frozen=True, slots=True)
class Intent:
    """An order about to be sent, and the execution it works for."""

    order: Order
    execution: int = 0


@dataclass(frozen=True, slots=True)
class MarksOnTape:
    """Marks that lie on a tape: which one, its batch, and the SHA-256 of what was seen.

    tape: the SHA-256 by which the configuration names it.
    """

    tape: str
    seq: int
    now_ns: int
    rows: int
    sha256: str


@dataclass(frozen=True, slots=True)
class EventBody:
    """An event without what the record says itself."""

    monotonic_ns: int
    what: Happening | MarksOnTape | MarksFrame


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """A decision: its digest, and its JSON as the decision wrote it."""

    digest: str
    document: Mapping[str, Any]


Word = (
    EventBody
    | Configuration
    | tuple[Listing, ...]
    | Book
    | DecisionRecord
    | Intent
    | OrderUpdate
    | TradeReport
    | Adjustment
    | ModeChange
    | LatchChange
    | Usage
    | Differences
    | ByHand
    | Outside
)

_WORDS: dict[str, Any] = {
    Kind.CONFIGURATION: Configuration,
    Kind.LISTINGS: tuple[Listing, ...],
    Kind.BOOK: Book,
    Kind.EVENT: EventBody,
    Kind.ACKNOWLEDGEMENT: EventBody,
    Kind.COMMAND: EventBody,
    Kind.INTENT: Intent,
    Kind.ORDER: OrderUpdate,
    Kind.FILL: TradeReport,
    Kind.ADJUSTMENT: Adjustment,
    Kind.MODE: ModeChange,
    Kind.LATCH: LatchChange,
    Kind.USAGE: Usage,
    Kind.DIFFERENCES: Differences,
    Kind.BANDS: ByHand,
    Kind.OUTSIDE: Outside,
}


def read(record: Record, *, depth: bool = True) -> Word:
    """A record's word. depth: marks with their order books.

    Raises:
        CodecError: its kind is unknown here, or its body is no such word.
    """
    try:
        return _read(record, depth)
    except CodecError as error:
        raise CodecError(f"{_of(record)}{error}") from error


def _of(record: Record) -> str:
    return f"record {record.number}: "


def _read(record: Record, depth: bool) -> Word:
    if record.kind == Kind.DECISION:
        document = parse(record.body)
        if not (isinstance(document, dict) and set(document) == {"digest", "document"}):
            raise CodecError("a decision has a digest and a document")
        digest, inner = document["digest"], document["document"]
        if not isinstance(digest, str) or not isinstance(inner, dict):
            raise CodecError("a decision's digest is text, its document an object")
        if wrong := fault_in(inner):
            raise CodecError(wrong)
        return DecisionRecord(digest, inner)
    if record.kind not in _WORDS:
        raise CodecError(f"unknown kind {record.kind[:40]!r}")
    word: Word = load(_WORDS[record.kind], record.text)
    if isinstance(word, EventBody) and isinstance(word.what, MarksFrame):
        return EventBody(word.monotonic_ns, unframed(word.what, record.frame or b"", depth=depth))
    if record.frame is not None:
        raise CodecError("a frame behind what has none")
    return word


def read_event(record: Record, marks: Callable[[MarksOnTape], Marks]) -> Event:
    """The event of a record of one of `EVENT_KINDS`; `marks` fetches what lies on a tape.

    Raises:
        CodecError: the record holds none, or the tape's marks are not those that were seen.
    """
    body = read(record)
    if not isinstance(body, EventBody):
        raise CodecError(f"a {record.kind} is no event")
    what = body.what
    assert not isinstance(what, MarksFrame), "read() has unpacked it"
    if isinstance(what, MarksOnTape):
        found = marks(what)
        if marks_sha256(found) != what.sha256:
            raise CodecError(f"the tape's batch {what.seq} is not what was seen")
        what = found
    return Event(record.seq, record.now_ns, body.monotonic_ns, what)


def marks_sha256(marks: Marks) -> str:
    """SHA-256 of a batch: every bit of every number."""
    return hashlib.sha256(dump(Marks, marks)).hexdigest()


# ---------------------------------------------------------------------------------------------------- entries


def event_entry(event: Event, tape: str = "") -> Entry:
    """An event; its marks by reference where they lie on a tape, named by its SHA-256, else in a frame."""
    what: Happening | MarksOnTape | MarksFrame = event.what
    frame = b""
    if isinstance(what, Marks) and tape:
        what = MarksOnTape(tape, what.seq, what.now_ns, len(what.rows), marks_sha256(what))
    elif isinstance(what, Marks) and (packed := framed(what)) is not None:
        what, frame = packed[0], _LINE_END + packed[1]
    body = dump(EventBody, EventBody(event.monotonic_ns, what)) + frame
    if isinstance(what, Command):
        return Entry(Kind.COMMAND, event.seq, event.now_ns, body, what.id, urgent=True)
    heard = isinstance(what, OrderUpdate | Answer | AccountReport)
    kind = Kind.ACKNOWLEDGEMENT if heard else Kind.EVENT
    return Entry(kind, event.seq, event.now_ns, body)


def decision_entry(seq: int, now_ns: int, digest: str, document: Mapping[str, Any], *, quiet: bool) -> Entry:
    """A decision; one that is not quiet is durable before anything it asks for is done."""
    body = canonical({"digest": digest, "document": dict(document)})
    return Entry(Kind.DECISION, seq, now_ns, body, urgent=not quiet)


def fill_entry(seq: int, now_ns: int, report: TradeReport) -> Entry:
    """An execution that was booked."""
    return _entry(Kind.FILL, seq, now_ns, report, canonical(list(report.key)).decode("ascii"))


def intent_entry(seq: int, now_ns: int, intent: Intent) -> Entry:
    """An order before it is sent."""
    return _entry(Kind.INTENT, seq, now_ns, intent, intent.order.client_id)


def order_entry(seq: int, now_ns: int, update: OrderUpdate) -> Entry:
    """What we ourselves made of an order: denied, given up for lost."""
    return _entry(Kind.ORDER, seq, now_ns, update)


def adjustment_entry(seq: int, now_ns: int, adjustment: Adjustment) -> Entry:
    """A change of the book that no trade made."""
    return _entry(Kind.ADJUSTMENT, seq, now_ns, adjustment, adjustment.key or None)


def mode_entry(seq: int, now_ns: int, change: ModeChange) -> Entry:
    """Another mode."""
    return _entry(Kind.MODE, seq, now_ns, change)


def latch_entry(seq: int, now_ns: int, change: LatchChange) -> Entry:
    """The kill latch set or removed."""
    return _entry(Kind.LATCH, seq, now_ns, change)


def usage_entry(seq: int, now_ns: int, usage: Usage) -> Entry:
    """What budgets and throttles stand at."""
    return _entry(Kind.USAGE, seq, now_ns, usage)


def differences_entry(seq: int, now_ns: int, differences: Differences) -> Entry:
    """What a venue's account differs in from the book."""
    return _entry(Kind.DIFFERENCES, seq, now_ns, differences)


def bands_entry(seq: int, now_ns: int, bands: ByHand) -> Entry:
    """The bands set by hand that stand."""
    return _entry(Kind.BANDS, seq, now_ns, bands)


def outside_entry(seq: int, now_ns: int, outside: Outside) -> Entry:
    """What is outside its band, and why."""
    return _entry(Kind.OUTSIDE, seq, now_ns, outside)


def configuration_entry(seq: int, now_ns: int, configuration: Configuration) -> Entry:
    """What the engine was started with."""
    return _entry(Kind.CONFIGURATION, seq, now_ns, configuration)


def listings_entry(seq: int, now_ns: int, listings: Sequence[Listing]) -> Entry:
    """The universe, in its order."""
    return _entry(Kind.LISTINGS, seq, now_ns, tuple(listings))


def book_entry(seq: int, now_ns: int, book: Book) -> Entry:
    """What was owned before the first fill."""
    return _entry(Kind.BOOK, seq, now_ns, book)


def _entry(kind: Kind, seq: int, now_ns: int, word: Any, key: str | None = None) -> Entry:
    return Entry(kind, seq, now_ns, dump(_WORDS[kind], word), key, urgent=kind in URGENT)
