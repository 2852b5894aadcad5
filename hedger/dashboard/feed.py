"""The journal, followed read-only: what it has told so far, kept as panels need it.

A file opened to read, and read on from the last record: nothing here can hold the engine up, and what goes
wrong here goes wrong in this process alone. Old decisions are dropped; orders, fills and alerts are kept for
as long as a day's work is.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from hedger.build import this_build
from hedger.dashboard.faults import internal
from hedger.dashboard.ports import Ports
from hedger.desk.alert_log import AlertLog
from hedger.desk.decided import decision_on, document_of, shortened
from hedger.desk.decision_log import DecisionLog
from hedger.desk.follow import Follower
from hedger.desk.journal_end import BEFORE_END, first_since
from hedger.desk.lineage import lineages
from hedger.desk.profit import ProfitReader
from hedger.desk.venue_health import VenueReader
from hedger.journal.acknowledged import Acknowledged, Which, acknowledged
from hedger.journal.codec import CodecError
from hedger.journal.entries import Configuration, Kind, Record
from hedger.journal.identity import Opened
from hedger.journal.journal import open_to_read
from hedger.journal.kill_latch import FileLatch, Latched
from hedger.journal.lock import holder, pid_of
from hedger.journal.recovery import Reading
from hedger.journal.sqlite import SqliteStorage
from hedger.journal.storage import StorageFailed
from hedger.journal.unreadable import build_at
from hedger.sections.paper import WatchdogConfig
from hedger.settings import Settings
from pricing.daycount import NS_PER_SECOND
from pricing.errors import HedgerError
from venues.orders import TradeReport

Json = dict[str, Any]
_T = TypeVar("_T")
FILLS_KEPT = 500
#: Rows are remembered so many seconds apart, for a day.
HISTORY_S = 10.0
HISTORY_KEPT = 8640
#: A journal of so many records more than were read is begun near its end as well: what is held, what is out
#: and what is in work stand on the screen at once, while the rest is being read.
LONG = 5_000
#: What the end is at least: so many records, and the time for which a quote counts.
END_RECORDS = 1_000
END_S = 60.0
#: What is read in one go, so that keys and header never wait for a long journal.
SLICE_S = 0.2
#: No look lasts longer, unless the disk hangs.
LOOK_S_MAX = 5.0
#: How the engine's answer begins where it did not obey.
NOT_DONE = "NOT DONE"


class Feed:
    """What was read so far. opened: the file; exchanged: whether another lies there now. kill_confirmed: the
    engine is killed, and has said that nothing is open. fault: why nothing more is read, "" while all is
    well. quick: of a long journal that is still being read, the same with only its end and what book and
    orders hang on."""

    def __init__(
        self,
        journal: Path,
        settings: Settings,
        ports: Ports,
        *,
        begin: int | None = None,
        long: int = LONG,
    ) -> None:
        """Open a journal. settings: those at hand, where it does not hold those of the run. begin: the record
        before which only what book and orders hang on is read; None: all is read.

        Raises:
            InputError: there is none, or it is no journal.
        """
        self.journal, self.ports = journal, ports
        self._at_hand = settings
        self.opened = Opened(journal)
        self._storage: SqliteStorage = open_to_read(journal)
        self.opened.look(self._storage)
        self.exchanged = False
        self.name = self._storage.name
        self.follower = Follower(settings, ports.fetch, depth=False)
        self.venues = VenueReader(settings, follower=self.follower)
        self.profit = ProfitReader(settings, follower=self.follower)
        self.orders = Reading(self.name, 0)
        self.number = 0
        self.head = 0
        self.fault = ""
        self.profit_fault = ""
        self.decided = DecisionLog()
        self.fills: deque[TradeReport] = deque(maxlen=FILLS_KEPT)
        self.alerts = AlertLog(self.orders.orders)
        self.history: dict[str, deque[tuple[int, float]]] = {}
        self.replies: dict[str, str] = {}
        self._asked: dict[int, str] = {}
        self.pid: int | None = None
        self._pid_ns = 0
        self.kill_confirmed = False
        self.latched: Latched | None = None
        self.acknowledged: dict[Which, Acknowledged] = {}
        self._latch = FileLatch(journal)
        self._noted_ns = 0
        self._whole, self._begin, self._long = begin is None, begin or 1, long
        self.quick: Feed | None = None
        self._looking, self._closed = threading.Lock(), False

    @property
    def shown(self) -> Feed:
        """What to show of book, market, orders and decisions."""
        return self.quick or self

    @property
    def caught_up(self) -> bool:
        """Whether the last record of the file was read."""
        return self.number >= self.head

    def step(self) -> bool:
        """Read on for a moment; whether anything was new. Nothing is, once it is closed."""
        with self._looking:
            return not self._closed and self._step()

    def _step(self) -> bool:
        if why := self.opened.exchanged():
            self.exchanged, self.fault = True, f"{why}: leave and start again"
            self.pid = self.latched = None
            self._let_go()
            return False
        self.exchanged = False
        self._look_around()
        end, before = time.monotonic() + SLICE_S, self.number
        try:
            self.head = self._storage.head().number
            if self.head and not self.opened.fingerprint:
                self.opened.look(self._storage)
            self._begin_end()
            if self._end_first():
                return True
            for record in self._records():
                self._take(record)
                self.number = record.number
                if time.monotonic() > end:
                    break
            self.fault = ""
        except (StorageFailed, CodecError, HedgerError) as error:
            at = f"record {self.number + 1}"
            why = str(error).removeprefix(f"{at}: ")
            self.fault = f"{self._of_other_build(error)}{at} cannot be read: {why}"
        if self.quick is not None and self.caught_up:
            self._let_go()
        return self.number != before

    def _of_other_build(self, error: Exception) -> str:
        """What to do where another build wrote what this one does not know; "" where it is none of that."""
        if not isinstance(error, CodecError):
            return ""
        with suppress(StorageFailed):
            build = build_at(self._storage, self.number + 1)
            if build not in ("", this_build()):
                return f"written by build {build}, use that, this is {this_build()}: "
        return ""

    def _begin_end(self) -> None:
        """Of a long journal begin near its end as well, where that is further on than what was read."""
        if self.quick is None and self._whole and self.head - self.number > self._long:
            begin = self._end()
            if begin > self.number + 1:
                self.quick = Feed(self.journal, self._at_hand, self.ports, begin=begin)

    def _end_first(self) -> bool:
        """Read on at the end of a long journal; whether that is still behind. Where it cannot be read, the
        whole tells what is wrong."""
        if self.quick is None:
            return False
        self.quick.step()
        if self.quick.fault:
            self._let_go()
            self._long = sys.maxsize
        return self.quick is not None and not self.quick.caught_up

    def _let_go(self) -> None:
        if self.quick is not None:
            self.quick.close()
            self.quick = None

    def _records(self) -> Iterator[Record]:
        """What was not read yet.

        Raises:
            StorageFailed: it cannot be read, or records are missing between the last one read and the head.
        """
        if self.head <= self.number:
            return
        if self.number < self._begin - 1:
            for record in self._storage.records(self.number + 1, BEFORE_END):
                if record.number >= self._begin:
                    break
                yield record
            self.number = self._begin - 1
        last = self.number
        for record in self._storage.records(last + 1):
            if record.number != last + 1:
                raise _missing(last + 1, record.number - 1)
            yield record
            last = record.number
        if last < self.head:
            raise _missing(last + 1, self.head)

    def _end(self, least: int = END_RECORDS) -> int:
        """The record that the end begins with."""
        last = next(self._storage.records(self.head), None)
        if last is None:
            return 1  # counted, and not there: reading the whole tells from where on
        since_ns = last.now_ns - round((self.follower.settings.age_s_max + END_S) * 1e9)
        return first_since(self._storage, since_ns, self.head - least)

    def _look_around(self) -> None:
        """Latch, lock and what was acknowledged: they are files of their own."""
        self.latched = self._latch.found()
        self.acknowledged = acknowledged(self.journal)
        with suppress(OSError):
            held = holder(self.journal)
            pid = None if held is None else pid_of(held) or 0
            if pid != self.pid:
                self.pid, self._pid_ns = pid, self.ports.monotonic_ns()

    def silent_s(self) -> float:
        """For how long the engine that holds the journal has given no sign of life, where that is longer than
        its watchdog would bear; 0: it lives, or there is none. A replay gives none."""
        if self.pid is None or self.name.trading == "replay":
            return 0.0
        beat = self.ports.beat()
        since_ns = self._pid_ns if beat is None or beat.pid != self.pid else beat.monotonic_ns
        silent_s = (self.ports.monotonic_ns() - since_ns) / NS_PER_SECOND
        run = self.follower.settings.run
        allowed_s = run.watchdog.stall_s_max or max(WatchdogConfig().stall_s_max, 3.0 * run.heartbeat_s)
        return silent_s if silent_s > allowed_s else 0.0

    def lineage(self, client_id: str) -> list[Json]:
        """Every record that speaks of an order, and the decision that it came of, in order."""
        return lineages(self._storage, [client_id], self.shown.orders.orders)[client_id]

    def close(self) -> None:
        """Let go of the journal; nothing is read after this.

        It waits for a look that another thread is at: a database that is closed under one takes the process
        with it. A look that hangs keeps it open to the end.
        """
        if not self._looking.acquire(timeout=LOOK_S_MAX):
            return
        self._closed = True
        self._storage.close()
        self._let_go()
        self._looking.release()

    # ------------------------------------------------------------------------------------------------ records

    def _take(self, record: Record) -> None:
        document = None
        if record.kind == Kind.DECISION:
            record = shortened(record)
            document = document_of(record)
        whole = self._whole  # a P&L of the end alone would be no P&L
        if whole:
            self._profit(self.profit.before, record)
        taken = self.follower.take(record)
        self.profit_fault = self.profit_fault or self.follower.untold
        self.venues.heard(taken)
        if whole:
            self._profit(self.profit.heard, taken)
        elif record.kind == Kind.COMMAND and record.number < self._begin:
            answer = decision_on(self._storage, record.seq, record.number)
            if answer is not None:
                self.follower.take(answer)
        self.orders.take(record)
        ledger = self.orders.ledger
        if record.kind == Kind.FILL and ledger and isinstance(ledger[-1], TradeReport):
            self.fills.append(ledger[-1])
        if document is not None:
            self._decided(record, document)
        elif record.kind == Kind.COMMAND and record.key is not None:
            self._asked[record.seq] = record.key
        self.alerts.take(record)

    def _profit(self, told: Callable[[_T], None], what: _T) -> None:
        """The P&L reader values the book; where that cannot be done, the rest is shown all the same."""
        if self.profit_fault:
            return
        try:
            told(what)
        except HedgerError as error:
            self.profit_fault = error.text()
        except Exception as error:  # a fault of the P&L's own is told in its panel alone
            self.profit_fault = internal(error)

    def _decided(self, record: Record, found: Json) -> None:
        self.decided.take(record.number, found)
        confirmed = any(action.get("code") == "KILL_CONFIRMED" for action in found["actions"])
        self.kill_confirmed = found["mode"] == "killed" and (self.kill_confirmed or confirmed)
        asked = self._asked.pop(record.seq, None)
        if asked is not None:
            paused = ", paused" * bool(found.get("paused"))
            refused = (f"{NOT_DONE}: {x.get('text', '')}" for x in found["actions"] if _refuses(x))
            words = (*refused, f"taken as event {record.seq}", f"{found['mode']}{paused}", found["reason"])
            self.replies[asked] = "; ".join(words)
        if record.now_ns - self._noted_ns >= HISTORY_S * 1e9:
            self._noted_ns = record.now_ns
            for row, x in found.get("exposures", ()):
                if x is not None:
                    kept = self.history.setdefault(row, deque(maxlen=HISTORY_KEPT))
                    kept.append((record.now_ns, x))

    def configuration(self) -> Configuration | None:
        """The last start's."""
        return self.venues.follower.started


def _refuses(action: Json) -> bool:
    """Whether an action tells that what was asked for is not done."""
    code = str(action.get("code"))
    return action.get("action") == "alert" and (code == "COMMAND_LATE" or code.endswith("_REFUSED"))


def _missing(first: int, last: int) -> StorageFailed:
    return StorageFailed("damaged", f"records {first}..{last} are missing")
