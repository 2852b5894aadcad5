"""What the engine tells in its journal, read on from where it was read to; nothing is decided again.

Two readings side by side, each a slice of time a look, so that neither waits for the other: decisions, modes
and starts, from the last start of the engine on; and what became of orders, from the first record on. An
alert that happened longer ago than `past_ns` is not told; one that stands is, whenever it began, and so is
what happened before the last start, was critical, and was acknowledged by nobody: an engine that is started
again at once must not wipe out why it stopped. Whoever remembers up to which record he was told is told of
everything since, and of nothing before it again.
"""

from __future__ import annotations

import time
from collections.abc import Collection

from hedger.alerts.notices import Notice
from hedger.core.actions import Severity
from hedger.desk.alert_kinds import kind_of
from hedger.desk.standing_alerts import TELLING, StandingAlerts, Told, mode_in
from hedger.journal.acknowledged import Which
from hedger.journal.codec import CodecError
from hedger.journal.entries import Head, Kind, ModeChange, Pause, Record
from hedger.journal.recovery import Reading
from hedger.journal.sqlite import SqliteStorage
from hedger.journal.storage import StorageFailed

#: Of one look, so that a long journal or a fast one holds nothing else up.
SLICE_S = 0.2
_OF_ORDERS = (Kind.INTENT, Kind.ACKNOWLEDGEMENT, Kind.ORDER, Kind.FILL)


class AlertTail:
    """A journal as far as it was read. mode: the last change; pause: who paused the engine; fault: why
    nothing more is read, "" if well; caught_up: whether the last look came to the end; told: the last record
    of which people were told."""

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
        self.pause: Pause | None = None
        self.fault = ""
        self.caught_up = False
        self._standing = StandingAlerts(self.orders.orders)
        for record in storage.records(kinds=[Kind.MODE]):
            self._turn(record)

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
            for record in self._storage.records(self._next, TELLING):
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
        """What the engine told of and has not taken back; latch and mode are looked at directly."""
        self._standing.known()
        return [_notice(told) for told in self._standing.now if not kind_of(told.code).own]

    def _turn(self, record: Record) -> None:
        self.mode = mode_in(record)
        self.pause = Pause.after(self.pause, self.mode, record.now_ns)

    def _take(self, record: Record, now_ns: int) -> list[Notice]:
        if record.kind == Kind.MODE:
            self._turn(record)
        told = [x for x in self._standing.take(record) if isinstance(x, Told) and not kind_of(x.code).stands]
        if not self._remembers and record.number < self._start:
            # of an engine that is no more what nobody saw; what stood with it the next one tells again
            told = [x for x in told if x.severity is Severity.CRITICAL and x.which not in self._seen]
        elif not self._is_news(record, now_ns):
            told = []
        return [_notice(x) for x in told]

    def _is_news(self, record: Record, now_ns: int) -> bool:
        """Whether what happened is still to be told."""
        if self._remembers:
            return record.number > self._remembers
        return now_ns - record.now_ns <= self._past_ns


def _notice(told: Told) -> Notice:
    return Notice(told.code, told.subject, told.severity, told.text, told.now_ns)
