"""What an engine told people, and who has seen it: the alerts of one screen and one verb.

Told from the journal alone: an alert is an action of a decision and stands there with its severity, code and
words. Who has seen it stands in a file beside the journal. A start begins the list anew, but for what
somebody had to look at and nobody has: a supervisor that starts an engine again has seen nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hedger.journal.acknowledged import Acknowledged, Which
from hedger.journal.codec import CodecError
from hedger.journal.entries import JournalName, Kind, Record
from pricing.daycount import iso

Json = dict[str, Any]
#: Alerts that are kept; of more, notes go first, since nobody has to look at those.
KEPT = 500
#: What somebody has to look at, and is new until somebody says that it was seen.
LOUD = ("critical", "warning")
#: In the text of a decision that tells somebody something; most do not, and are not parsed.
_ALERT = b'"action":"alert"'


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

    def __init__(self) -> None:
        self.told: list[Told] = []
        self.since_ns = self.dropped = 0
        self._start = self._loud_dropped = 0

    def take(self, record: Record) -> None:
        """One record more, whatever its kind.

        Raises:
            CodecError: a decision that is none.
        """
        if record.kind == Kind.CONFIGURATION:
            self.told = [x for x in self.told if x.severity in LOUD]
            self._start, self.since_ns, self.dropped = record.number, record.now_ns, self._loud_dropped
        elif record.kind == Kind.DECISION and _ALERT in record.text:
            self.told += _of(record)
            while len(self.told) > KEPT:
                gone = next((x for x in self.told if x.severity not in LOUD), self.told[0])
                self.told.remove(gone)
                self.dropped += 1
                self._loud_dropped += gone.severity in LOUD

    def unseen(self, acknowledged: Mapping[Which, Acknowledged]) -> dict[str, int]:
        """How many of each loud severity nobody has acknowledged."""
        new = [x.severity for x in self.told if x.which not in acknowledged]
        return {severity: new.count(severity) for severity in LOUD}

    def document(self, now_ns: int, acknowledged: Mapping[Which, Acknowledged]) -> Json:
        """What `hedger alerts --told` prints, the newest last. now_ns: UTC, from which ages count."""
        shown = [x for x in self.told if not (self._earlier(x) and x.which in acknowledged)]
        return {
            "since": iso(self.since_ns) if self.since_ns else None,
            "unseen": self.unseen(acknowledged),
            "dropped": self.dropped,
            "alerts": [_row(x, now_ns, self._earlier(x), acknowledged.get(x.which)) for x in shown],
        }

    def _earlier(self, told: Told) -> bool:
        """Whether an engine told it that is no more."""
        return told.which[0] < self._start


def alerts_document(
    name: JournalName,
    records: Iterable[Record],
    acknowledged: Mapping[Which, Acknowledged],
    now_ns: int | None,
) -> Json:
    """The alerts of a journal. now_ns: UTC; None: ages are those at the last record, the engine's end.

    Raises:
        CodecError: a record is not what its kind should be.
    """
    log, end_ns = AlertLog(), 0
    for record in records:
        log.take(record)
        end_ns = max(end_ns, record.now_ns)
    document = log.document(end_ns if now_ns is None else now_ns, acknowledged)
    return {"trading": name.trading, "engine": name.engine, **document}


def _of(record: Record) -> list[Told]:
    try:
        actions = json.loads(record.body)["document"]["actions"]
        alerts = [action for action in actions if action["action"] == "alert"]
        words = [tuple(str(alert[name]) for name in ("severity", "code", "text")) for alert in alerts]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise CodecError(f"record {record.number} is no decision: {error!r}") from error
    return [Told((record.number, place), record.now_ns, *found) for place, found in enumerate(words)]


def _row(told: Told, now_ns: int, earlier: bool, seen: Acknowledged | None) -> Json:
    return {
        "record": told.which[0],
        "place": told.which[1],
        "time": iso(told.now_ns),
        "age_s": (now_ns - told.now_ns) / 1e9,
        "severity": told.severity,
        "code": told.code,
        "text": told.text,
        "earlier": earlier,
        "seen_by": None if seen is None else seen.user,
        "seen_at": None if seen is None else iso(seen.at_ns),
    }
