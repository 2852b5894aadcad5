"""What the engine tells in its journal, read on from where it was read to; nothing is decided again.

Two readings side by side, each a slice of time a look, so that neither waits for the other: decisions, modes
and starts, from the last start of the engine on; and what became of orders, from the first record on. An
alert that happened longer ago than `past_ns` is not told; one that stands is, whenever it began, and so is
what happened before the last start, was critical, and was acknowledged by nobody: an engine that is started
again at once must not wipe out why it stopped. Whoever remembers up to which record he was told is told of
everything since, and of nothing before it again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection
from typing import Any

from hedger.alerts.notices import Notice
from hedger.alerts.table import AlertKind, kind_of
from hedger.core.actions import Severity
from hedger.core.figures import without_figures
from hedger.desk.alert_log import UNKNOWN, is_known, order_in
from hedger.journal.acknowledged import Which
from hedger.journal.codec import CodecError
from hedger.journal.entries import Head, Kind, ModeChange, Record, read
from hedger.journal.recovery import Reading
from hedger.journal.sqlite import SqliteStorage
from hedger.journal.storage import StorageFailed

#: Of one look, so that a long journal or a fast one holds nothing else up.
SLICE_S = 0.2
_DAY_NS = 86_400 * 10**9
_TOLD = (Kind.DECISION, Kind.MODE, Kind.CONFIGURATION)
_OF_ORDERS = (Kind.INTENT, Kind.ACKNOWLEDGEMENT, Kind.ORDER, Kind.FILL)
#: In the text of a decision that tells somebody something; most do not, and are not parsed.
_ALERT = b'"action":"alert"'
#: What a person's `arm` takes back: by then it was looked at.
_UNTIL_ARMED = ("KEY_REFUSED", "BOOK_NOT_VALUED", "PNL_UNEXPLAINED")


class Tail:
    """A journal as far as it was read. mode: the last change; fault: why nothing more is read, "" if well;
    caught_up: whether the last look came to the end; told: the last record of which people were told."""

    def __init__(
        self, storage: SqliteStorage, past_ns: int, told: Head | None = None, seen: Collection[Which] = ()
    ) -> None:
        """Begin at the engine's last start, with what nobody has seen of before. told: the last record of
        which an earlier process told; seen: the alerts that were acknowledged.

        Raises:
            StorageFailed: the file cannot be read.
        """
        self._storage, self._past_ns = storage, past_ns
        starts = [record.number for record in storage.records(kinds=[Kind.CONFIGURATION])]
        self.told = told or Head(0, storage.name.genesis)
        self._remembers = self.told.number
        self._start, self._seen = starts[-1] if starts else 1, seen
        self._next = min(self._start, self._remembers + 1) if self._remembers else 1
        self._next_order = 1
        self.orders = Reading(storage.name, 0)
        self.mode: ModeChange | None = None
        self.fault = ""
        self.caught_up = False
        self._stands: dict[tuple[str, str], Notice] = {}
        self._day = 0
        for record in storage.records(kinds=[Kind.MODE]):
            self._take_mode(record)

    def step(self, now_ns: int) -> list[Notice]:
        """Read on for a moment; what has happened. now_ns: UTC."""
        found: list[Notice] = []
        try:
            end = time.monotonic() + SLICE_S
            for record in self._storage.records(self._next_order, _OF_ORDERS):
                self.orders.take(record)
                self._next_order = record.number + 1
                if time.monotonic() > end:
                    break
            end = time.monotonic() + SLICE_S
            self.caught_up = False
            for record in self._storage.records(self._next, _TOLD):
                found += self._take(record, now_ns)
                self._next = record.number + 1
                if record.number > self.told.number:
                    self.told = Head(record.number, record.hash)
                if time.monotonic() > end:
                    break
            else:
                self.caught_up = True
            self.fault = ""
        except (StorageFailed, CodecError) as error:
            self.fault = str(error)
        return found

    def stands(self) -> list[Notice]:
        """What the engine told of and has not taken back."""
        known = [
            key for key in self._stands if key[0] == UNKNOWN and is_known(self.orders.orders.get(key[1]))
        ]
        for key in known:
            del self._stands[key]
        return list(self._stands.values())

    def _take(self, record: Record, now_ns: int) -> list[Notice]:
        if not self._remembers and record.number < self._start:
            return self._unseen(record)
        day = record.now_ns // _DAY_NS
        if day != self._day:
            self._day = day
            self._take_back("PNL_UNEXPLAINED")  # the sum is of one day
        if record.kind == Kind.CONFIGURATION:
            self._stands.clear()  # of an engine that is no more
            return []
        if record.kind == Kind.MODE:
            self._take_mode(record)
            return []
        found = []
        for notice in notices_of(record):
            kind = kind_of(notice.code)
            for code in kind.ends:
                self._stands.pop((code, notice.subject), None)
            if kind.stands:
                self._stands[notice.key] = notice
            elif self._is_news(record, now_ns):
                found.append(notice)
        return found

    def _unseen(self, record: Record) -> list[Notice]:
        """What an engine that is no more told and nobody saw. What stood with it the next one tells again,
        where it still does."""
        if record.kind != Kind.DECISION:
            return []
        return [
            notice
            for place, notice in enumerate(notices_of(record))
            if notice.severity is Severity.CRITICAL
            and not kind_of(notice.code).stands
            and (record.number, place) not in self._seen
        ]

    def _is_news(self, record: Record, now_ns: int) -> bool:
        """Whether what happened is still to be told."""
        if self._remembers:
            return record.number > self._remembers
        return now_ns - record.now_ns <= self._past_ns

    def _take_mode(self, record: Record) -> None:
        word = read(record)
        if not isinstance(word, ModeChange):
            raise CodecError("a mode is none")
        self.mode = word
        if word.mode == "armed":
            for code in _UNTIL_ARMED:
                self._take_back(code)
        if not word.paused:
            self._take_back("PAUSED")

    def _take_back(self, code: str) -> None:
        for key in [key for key in self._stands if key[0] == code]:
            del self._stands[key]


def notices_of(record: Record) -> list[Notice]:
    """What a decision tells people.

    Raises:
        CodecError: it is no decision.
    """
    if _ALERT not in record.text:
        return []
    try:
        document: Any = json.loads(record.body)["document"]
        actions = [action for action in document["actions"] if action["action"] == "alert"]
        told = [(Severity(a["severity"]), str(a["code"]), str(a["text"])) for a in actions]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise CodecError(f"record {record.number} is no decision: {error!r}") from error
    return [
        Notice(code, subject_of(kind_of(code), text), severity, text, record.now_ns)
        for severity, code, text in told
    ]


def subject_of(kind: AlertKind, text: str) -> str:
    """Of what a text speaks: the order or venue it names first, else the text without its figures.

    >>> subject_of(kind_of("LINK_DOWN"), "deribit is down"), subject_of(kind_of("PAUSED"), "paused until")
    ('deribit', '')
    """
    words = text.split()
    if kind.subject == "venue":
        return words[0] if words else ""
    if kind.subject == "order":
        return order_in(text) or without_figures(text)
    return "" if kind.stands else without_figures(text)
