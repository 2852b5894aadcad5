"""What an engine told people, and who has seen it: the alerts of one screen and one verb.

Told from the journal alone: an alert is an action of a decision and stands there with its severity, code and
words. Who has seen it stands in a file beside the journal. A start begins the list anew, but for what
somebody had to look at and nobody has: a supervisor that starts an engine again has seen nothing.

Two things stand until they are over, and are shown as long as they stand: an order of which nobody knew,
until its venue has said what became of it, and the kill latch, whose record is the engine's change of mode.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hedger.core.order_life import OrderRecord
from hedger.core.state import Mode
from hedger.journal.acknowledged import Acknowledged, Which
from hedger.journal.codec import CodecError
from hedger.journal.entries import JournalName, Kind, ModeChange, Record, read
from hedger.journal.kill_latch import Latched
from hedger.journal.recovery import Reading
from pricing.daycount import iso
from venues.orders import OrderState, parse_client_id

Json = dict[str, Any]
#: Alerts that are kept; of more, notes go first, since nobody has to look at those.
KEPT = 500
#: What somebody has to look at, and is new until somebody says that it was seen.
LOUD = ("critical", "warning")
#: In the text of a decision that tells somebody something; most do not, and are not parsed.
_ALERT = b'"action":"alert"'
UNKNOWN, KILLED = "ORDER_UNKNOWN", "KILLED"
#: States in which nobody can say what became of an order.
_NOT_KNOWN = (OrderState.INTENT, OrderState.SENT, OrderState.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Told:
    """An alert as it was written down. which: its record, and its place among the alerts there."""

    which: Which
    now_ns: int
    severity: str
    code: str
    text: str


class AlertLog:
    """The alerts of the last start on, and the loud ones before it. since_ns: of that start, 0 before any.
    dropped: told and not kept."""

    def __init__(self, orders: Mapping[str, OrderRecord]) -> None:
        """orders: by client id, as far as the journal was read when a record is taken."""
        self.told: list[Told] = []
        self.since_ns = self.dropped = 0
        self._start = self._loud_dropped = 0
        self._begins = False  # between a start and its first mode
        self._orders = orders
        self._stand: dict[Which, Told] = {}
        self._over: dict[Which, int] = {}

    def take(self, record: Record) -> None:
        """One record more, whatever its kind.

        Raises:
            CodecError: a decision or a mode that is none.
        """
        self._end(record)
        if record.kind == Kind.CONFIGURATION:
            self.told = [x for x in self.told if x.severity in LOUD]
            self._start, self.since_ns, self.dropped = record.number, record.now_ns, self._loud_dropped
            self._begins = True
        elif record.kind == Kind.MODE:
            self._mode(record)
            self._begins = False
        elif record.kind == Kind.DECISION and _ALERT in record.text:
            self._keep(_of(record))

    def _keep(self, told: Iterable[Told]) -> None:
        for one in told:
            self.told.append(one)
            if one.code in (UNKNOWN, KILLED):
                self._stand[one.which] = one
        while len(self.told) > KEPT:
            gone = next((x for x in self.told if x.severity not in LOUD), self.told[0])
            self.told.remove(gone)
            self.dropped += 1
            self._loud_dropped += gone.severity in LOUD

    def _mode(self, record: Record) -> None:
        """The latch that an engine obeys from here on, or no more; a start that finds it begins killed."""
        word = read(record)
        if not isinstance(word, ModeChange):
            raise CodecError(f"record {record.number} is no mode")
        standing = [x for x in self._stand.values() if x.code == KILLED]
        if word.mode != Mode.KILLED:
            for told in standing:
                self._ended(told, record)
        elif not standing:
            text = f"killed by {word.user or 'nobody named'}: {word.reason or 'no reason given'}"
            if self._begins:
                text = "the kill latch was set when the engine started; `hedger status` says by whom"
            self._keep([Told((record.number, 0), record.now_ns, "critical", KILLED, text)])

    def _end(self, record: Record) -> None:
        """An order is known again as soon as any record says so."""
        for told in [x for x in self._stand.values() if x.code == UNKNOWN]:
            if is_known(self._orders.get(order_in(told.text))):
                self._ended(told, record)

    def _ended(self, told: Told, record: Record) -> None:
        del self._stand[told.which]
        self._over[told.which] = record.now_ns

    def unseen(self, acknowledged: Mapping[Which, Acknowledged]) -> dict[str, int]:
        """How many of each loud severity nobody has acknowledged."""
        new = [x.severity for x in self.told if x.which not in acknowledged]
        return {severity: new.count(severity) for severity in LOUD}

    def grave(self, acknowledged: Mapping[Which, Acknowledged]) -> int:
        """How many critical ones nobody has acknowledged are not over."""
        told = (x for x in self.told if x.severity == "critical" and x.which not in self._over)
        return sum(x.which not in acknowledged for x in told)

    def document(
        self, now_ns: int, acknowledged: Mapping[Which, Acknowledged], latched: Latched | None
    ) -> Json:
        """What `hedger alerts --told` prints, the newest last. now_ns: UTC, from which ages count. latched:
        the kill latch as its file has it; no engine may have been there to write it down."""
        gone = {
            x.which
            for x in self.told
            if self._earlier(x) and x.which in acknowledged and x.which not in self._stand
        }
        rows = [
            _row(x, now_ns, self._earlier(x), acknowledged.get(x.which), self._over.get(x.which))
            for x in self.told
            if x.which not in gone
        ]
        if latched is not None and not any(x.code == KILLED for x in self._stand.values()):
            rows.append(_of_latch(latched, now_ns))
        return {
            "since": iso(self.since_ns) if self.since_ns else None,
            "unseen": self.unseen(acknowledged),
            "dropped": self.dropped,
            "alerts": rows,
        }

    def _earlier(self, told: Told) -> bool:
        """Whether an engine told it that is no more."""
        return told.which[0] < self._start


def alerts_document(
    name: JournalName,
    records: Iterable[Record],
    acknowledged: Mapping[Which, Acknowledged],
    now_ns: int | None,
    latched: Latched | None,
) -> Json:
    """The alerts of a journal. now_ns: UTC; None: ages are those at the last record, the engine's end.
    latched: the kill latch beside it.

    Raises:
        CodecError: a record is not what its kind should be.
    """
    orders, end_ns = Reading(name, 0), 0
    log = AlertLog(orders.orders)
    for record in records:
        orders.take(record)
        log.take(record)
        end_ns = max(end_ns, record.now_ns)
    document = log.document(end_ns if now_ns is None else now_ns, acknowledged, latched)
    return {"trading": name.trading, "engine": name.engine, **document}


def is_known(order: OrderRecord | None) -> bool:
    """Whether somebody has said what became of an order."""
    return order is not None and order.state not in _NOT_KNOWN


def order_in(text: str) -> str:
    """The first of our order ids in a text, "" where there is none.

    >>> order_in("nobody could say for 10 s what became of hk3x9-1742-0-2: it counts")
    'hk3x9-1742-0-2'
    """
    words = (word.strip(":,;()") for word in text.split())
    return next((word for word in words if parse_client_id(word)), "")


def _of(record: Record) -> list[Told]:
    try:
        actions = json.loads(record.body)["document"]["actions"]
        alerts = [action for action in actions if action["action"] == "alert"]
        words = [tuple(str(alert[name]) for name in ("severity", "code", "text")) for alert in alerts]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise CodecError(f"record {record.number} is no decision: {error!r}") from error
    return [Told((record.number, place), record.now_ns, *found) for place, found in enumerate(words)]


def _of_latch(latched: Latched, now_ns: int) -> Json:
    """The latch as an alert that is in no record: nobody can acknowledge it."""
    who, why = latched.user or "nobody named", latched.reason or "no reason given"
    text = f"killed by {who}: {why}; no engine has written it down"
    row = _row(Told((0, 0), latched.set_ns, "critical", KILLED, text), now_ns, False, None, None)
    unknown = {} if latched.set_ns else {"time": None, "age_s": None}
    return row | {"record": None, "place": None} | unknown


def _row(told: Told, now_ns: int, earlier: bool, seen: Acknowledged | None, over_ns: int | None) -> Json:
    return {
        "record": told.which[0],
        "place": told.which[1],
        "time": iso(told.now_ns),
        "age_s": (now_ns - told.now_ns) / 1e9,
        "severity": told.severity,
        "code": told.code,
        "text": told.text,
        "earlier": earlier,
        "over_at": None if over_ns is None else iso(over_ns),
        "seen_by": None if seen is None else seen.user,
        "seen_at": None if seen is None else iso(seen.at_ns),
    }
