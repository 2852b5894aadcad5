"""What an engine told people, and who has seen it: the alerts of one screen and one verb.

Told from the journal alone: an alert is an action of a decision and stands there with its severity, code and
words. Who has seen it stands in a file beside the journal. A start begins the list anew, but for what
somebody had to look at and nobody has: a supervisor that starts an engine again has seen nothing.

What stands until it is over is told by `standing_alerts`, as for whoever is called.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hedger.core.actions import Severity
from hedger.core.by_whom import by_whom
from hedger.core.order_life import OrderRecord
from hedger.desk.standing_alerts import KILLED, Over, StandingAlerts, Told
from hedger.journal.acknowledged import Acknowledged, Which
from hedger.journal.entries import JournalName, Kind, Record
from hedger.journal.kill_latch import Latched
from hedger.journal.recovery import Reading
from pricing.daycount import iso

Json = dict[str, Any]
#: Alerts that are kept; of more, notes go first, since nobody has to look at those.
KEPT = 500
#: What somebody has to look at, and is new until somebody says that it was seen.
LOUD = (Severity.CRITICAL, Severity.WARNING)


class AlertLog:
    """The alerts of the last start on, and the loud ones before it. since_ns: of that start, 0 before any.
    dropped: told and not kept."""

    def __init__(self, orders: Mapping[str, OrderRecord]) -> None:
        """orders: by client id, as far as the journal was read when a record is taken."""
        self.told: list[Told] = []
        self.since_ns = self.dropped = 0
        self._start = self._loud_dropped = 0
        self._standing = StandingAlerts(orders)
        self._over: dict[Which, int] = {}

    def take(self, record: Record) -> None:
        """One record more, whatever its kind.

        Raises:
            CodecError: a decision or a mode that is none.
        """
        if record.kind == Kind.CONFIGURATION:
            self.told = [x for x in self.told if x.severity in LOUD]
            self._start, self.since_ns, self.dropped = record.number, record.now_ns, self._loud_dropped
        for one in (*self._standing.known(), *self._standing.take(record)):
            if isinstance(one, Over):
                ended = [x.which for x in self.told if one.ends(x) and x.which not in self._over]
                self._over |= dict.fromkeys(ended, record.now_ns)
            else:
                self._keep(one)

    def _keep(self, told: Told) -> None:
        self.told.append(told)
        if len(self.told) > KEPT:
            gone = next((x for x in self.told if x.severity not in LOUD), self.told[0])
            self.told.remove(gone)
            self._over.pop(gone.which, None)
            self.dropped += 1
            self._loud_dropped += gone.severity in LOUD

    def unseen(self, acknowledged: Mapping[Which, Acknowledged]) -> dict[str, int]:
        """How many of each loud severity nobody has acknowledged."""
        new = [x.severity for x in self.told if x.which not in acknowledged]
        return {str(severity): new.count(severity) for severity in LOUD}

    def grave(self, acknowledged: Mapping[Which, Acknowledged]) -> int:
        """How many critical ones nobody has acknowledged are not over."""
        told = (x for x in self.told if x.severity is Severity.CRITICAL and x.which not in self._over)
        return sum(x.which not in acknowledged for x in told)

    def document(
        self, now_ns: int, acknowledged: Mapping[Which, Acknowledged], latched: Latched | None
    ) -> Json:
        """What `hedger alerts --told` prints, the newest last. now_ns: UTC, from which ages count. latched:
        the kill latch as its file has it; no engine may have been there to write it down."""
        standing = self._standing.now
        stand = {x.which for x in standing}
        gone = {
            x.which
            for x in self.told
            if self._earlier(x) and x.which in acknowledged and x.which not in stand
        }
        rows = [
            _row(x, now_ns, self._earlier(x), acknowledged.get(x.which), self._over.get(x.which))
            for x in self.told
            if x.which not in gone
        ]
        if latched is not None and not any(x.code == KILLED for x in standing):
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


def _of_latch(latched: Latched, now_ns: int) -> Json:
    """The latch as an alert that is in no record: nobody can acknowledge it."""
    text = f"killed by {by_whom(latched.user, latched.reason)}; no engine has written it down"
    row = _row(Told((0, 0), latched.set_ns, Severity.CRITICAL, KILLED, "", text), now_ns, False, None, None)
    unknown = {} if latched.set_ns else {"time": None, "age_s": None}
    return row | {"record": None, "place": None} | unknown


def _row(told: Told, now_ns: int, earlier: bool, seen: Acknowledged | None, over_ns: int | None) -> Json:
    return {
        "record": told.which[0],
        "place": told.which[1],
        "time": iso(told.now_ns),
        "age_s": (now_ns - told.now_ns) / 1e9,
        "severity": str(told.severity),
        "code": told.code,
        "text": told.text,
        "earlier": earlier,
        "over_at": None if over_ns is None else iso(over_ns),
        "seen_by": None if seen is None else seen.user,
        "seen_at": None if seen is None else iso(seen.at_ns),
    }
