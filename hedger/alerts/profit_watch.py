"""The P&L taken apart as the journal grows, for the day's part that has no cause; and the age of the marks.

The book is valued here again, by the reader of `hedger pnl`, a slice of time a look: a long journal is caught
up with in the end, and nothing is told before. Where it cannot be valued, that is said once, in the log.
"""

from __future__ import annotations

import time

from hedger.alerts.notices import Notice, own_notice
from hedger.core.actions import Severity
from hedger.desk.follow import Fetch, no_tape
from hedger.desk.profit import SINCE_HEDGE, ProfitReader
from hedger.journal.codec import CodecError
from hedger.journal.sqlite import SqliteStorage
from hedger.journal.storage import StorageFailed
from hedger.profit import UNEXPLAINED
from hedger.settings import Settings
from pricing.errors import HedgerError

SLICE_S = 0.2
#: The book is valued for a judgement so often.
JUDGED_S = 10.0


class ProfitWatch:
    """What was read so far. caught_up: to the last record; fault: why it reads no more, "" if well."""

    def __init__(self, storage: SqliteStorage, settings: Settings, fetch: Fetch = no_tape) -> None:
        self._storage = storage
        self._reader = ProfitReader(settings, fetch=fetch)
        self._next = 1
        self._judged_s = -JUDGED_S
        self._stands: list[Notice] = []
        self.caught_up = False
        self.fault = ""

    @property
    def marked_ns(self) -> int:
        """UTC of the last marks; 0 before there are any, or while older records are still read."""
        return self._reader.follower.marked_ns if self.caught_up and not self.fault else 0

    def step(self) -> None:
        """Read on for a moment."""
        if self.fault:
            return
        end = time.monotonic() + SLICE_S
        try:
            for record in self._storage.records(self._next):
                self._reader.take(record)
                self._next = record.number + 1
                if time.monotonic() > end:
                    self.caught_up = False
                    return
            self.caught_up = True
        except StorageFailed:
            self.caught_up = False  # the other reading tells of it
        except (CodecError, HedgerError) as error:
            self.fault = error.text() if isinstance(error, HedgerError) else str(error)

    def stands(self) -> list[Notice]:
        """The newest day, and what is since the last hedge, if more of its P&L has no cause than is borne."""
        if not self.caught_up or self.fault:
            return []
        now_s = time.monotonic()
        if now_s - self._judged_s >= JUDGED_S:
            self._judged_s, self._stands = now_s, self._judge()
        return self._stands

    def _judge(self) -> list[Notice]:
        try:
            document = self._reader.document()
        except HedgerError as error:
            self.fault = error.text()
            return []
        days = document["days"]
        newest = days[-1]["day"] if days else None
        return [
            own_notice(UNEXPLAINED, alert["text"], Severity(alert["severity"]), alert["day"])
            for alert in document["alerts"]
            if alert["code"] == UNEXPLAINED and alert["day"] in (newest, SINCE_HEDGE)
        ]
