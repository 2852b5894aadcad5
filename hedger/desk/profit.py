"""`hedger pnl`: where the P&L of a journal came from, by day, cause and ledger.

The book is valued at marks so many seconds apart, between them expanded to second order
(`risk.attribution`). The arrival mid of a trade is that of the moment at which its order was decided on. It
is valued at the end of every hedge as well: what is since the last one is told by itself.
Marks at which something held has no worth are passed over; what moved meanwhile waits for the next. Funding
counts when it is booked. Valued and judged with the settings that were in force, as the journal has them.
"""

from __future__ import annotations

from copy import copy
from typing import Any

from hedger import profit
from hedger.core.actions import Adjustment
from hedger.desk.decided import document_of
from hedger.desk.follow import Fetch, Follower, Taken, no_tape
from hedger.documents import missing_list, number
from hedger.journal.entries import Kind, Record
from hedger.problem.snapshot import Snapshot
from hedger.profit import Interval, Profit
from hedger.settings import Settings
from pricing.daycount import NS_PER_SECOND, iso
from risk.flows import Trade
from risk.unexplained import unexplained
from venues.orders import TradeReport

Json = dict[str, Any]
#: Marks nearer to each other than this are one interval, unless somebody asks for others.
APART_S = 60.0
#: What stands for the day where an alert is of the P&L since the end of the last hedge.
SINCE_HEDGE = "since hedge"


class ProfitReader:
    """Told of a journal's records one after the other; `document` at any time."""

    def __init__(
        self,
        at_hand: Settings,
        apart_s: float = APART_S,
        fetch: Fetch = no_tape,
        follower: Follower | None = None,
    ) -> None:
        """follower: one that others hear as well; who has it calls `before` and `heard`, not `take`.
        at_hand: as `Follower` has it. valued: the book as it was last valued here, None before."""
        self.follower = follower or Follower(at_hand, fetch)
        self.valued: Snapshot | None = None
        self._marked_ns = 0
        self.profit = Profit()
        self._apart_ns = round(apart_s * NS_PER_SECOND)
        self._taken_ns: int | None = None
        self._waiting = False
        self._flows = 0
        # what is since the end of the last hedge, which one that is, and one that ended with this event
        self._since: Profit | None = None
        self._hedge: int | None = None
        self._ended: int | None = None

    def take(self, record: Record) -> None:
        """One record more.

        Raises:
            CodecError, InputError: as `Follower.take`. HedgerError: the book cannot be valued at all.
        """
        self.before(record)
        self.heard(self.follower.take(record))

    def before(self, record: Record) -> None:
        """Ahead of a record's being taken in.

        Raises:
            HedgerError: as `take`.
        """
        self._marked_ns = self.follower.marked_ns
        if record.seq != self.follower.seq:  # all that its event booked is booked
            self._begin_since()
            if self._waiting:
                self._mark()

    def heard(self, taken: Taken) -> None:
        """What the follower has taken in."""
        match taken.word:
            case TradeReport(client_id=client_id, fill=fill):
                middle = self.follower.arrivals.of(client_id, self.follower.middle(fill.listing.key))
                trade = Trade(fill, middle, self.follower.indexes())
                for each in self._told():
                    each.traded(trade)
                self._flows += 1
                self._waiting = True  # the book is another from here on: an interval ends
            case Adjustment():
                for each in self._told():
                    each.adjusted(taken.word)
                self._flows += 1
        ended = _ended(taken.record)
        if ended is not None:
            self._ended = ended
        if self.follower.marked_ns != self._marked_ns and taken.marks is not None:
            due = self._taken_ns is None or self.follower.marked_ns - self._taken_ns >= self._apart_ns
            self._waiting = due

    def _mark(self) -> None:
        self._waiting = False
        snapshot = self.follower.snapshot()
        if snapshot is not None:
            self._taken_ns, self._flows, self.valued = snapshot.market.now_ns, 0, snapshot
            for each in self._told():
                each.marked(snapshot)

    def _told(self) -> list[Profit]:
        return [self.profit] if self._since is None else [self.profit, self._since]

    def _begin_since(self) -> None:
        """After the end of a hedge: the book as it then stands begins what is since. The days' intervals stay
        as they are, so that their parts do not hang on when hedges ended."""
        if self._ended is None:
            return
        self._hedge, self._ended, self._since = self._ended, None, Profit()
        snapshot = self.follower.snapshot()
        if snapshot is not None:
            self._since.marked(snapshot)

    def total_at(self, snapshot: Snapshot) -> Interval | None:
        """All of the P&L up to a moment that need not be the end of an interval; nothing of it is remembered.
        None before two marks could be valued."""
        if snapshot is self.valued:
            return self.profit.total
        look = self.profit.copied()
        look.marked(snapshot)
        return look.total

    def close(self) -> Json:
        """The P&L up to the last mark of a record that is read to its end, as `document` shows it: the last
        interval ends here, whatever its length."""
        self._begin_since()
        snapshot = self.follower.snapshot()
        if snapshot is not None and (self._flows or snapshot.market.now_ns != self._taken_ns):
            self._mark()
        total = self.profit.total
        attribution = None if total is None else total.attribution
        return {
            "from": None if attribution is None else iso(attribution.from_ns),
            "to": None if attribution is None else iso(attribution.to_ns),
            "apart_s": self._apart_ns / NS_PER_SECOND,
            "pnl_usd": None if attribution is None else number(attribution.equity_change),
            "attribution_usd": None
            if attribution is None
            else {name: number(x) for name, x in attribution.total.as_dict().items()},
            "underlyings": []
            if attribution is None
            else [
                {"underlying": name, **{part: number(x) for part, x in parts.as_dict().items()}}
                for name, parts in attribution.rows.items()
            ],
            "since_hedge": self._since_hedge(),
            **profit.document(self.profit, self.follower.settings.pnl.tolerance()),
            "alerts": self._alerts(),
            "unknown": [] if attribution is None else list(attribution.unknown[:10]),
            "missing": [] if snapshot is None else missing_list(snapshot),
        }

    def document(self) -> Json:
        """The P&L so far, up to the last mark; null where it is not known. Nothing of the look is remembered:
        what is told later does not hang on it."""
        look = copy(self)
        look.profit = self.profit.copied()
        look._since = None if self._since is None else self._since.copied()
        return look.close()

    def _since_hedge(self) -> Json | None:
        """What is since the end of the last hedge; null before one has ended, and until there are two marks
        with a worth after it."""
        found = None if self._since is None else self._since.total
        if found is None:
            return None
        return {
            "execution": self._hedge,
            "from": iso(found.attribution.from_ns),
            "to": iso(found.attribution.to_ns),
            **profit.interval_document(found, self.follower.settings.pnl.tolerance()),
        }

    def _alerts(self) -> list[Json]:
        """What a person must look at: days, and what is since the last hedge, with more P&L without a cause
        than is borne."""
        tolerance, found = self.follower.settings.pnl.tolerance(), []
        spans = {day: self.profit.days[day] for day in profit.unexplained_days(self.profit, tolerance)}
        since = None if self._since is None else self._since.total
        if since is not None and unexplained(since.attribution.total, tolerance):
            spans[SINCE_HEDGE] = since
        for day, span in spans.items():
            parts = span.attribution.total
            residual = number(parts.residual)
            words = "an unknown part" if residual is None else f"{residual:z,.2f} USD"
            allowed = number(tolerance.allowed_usd(parts))
            most = "" if allowed is None else f"; at most {allowed:z,.2f} USD is borne"
            text = f"{day}: {words} of the P&L has no cause{most}"
            found.append({"severity": "warning", "code": profit.UNEXPLAINED, "day": day, "text": text})
        return found


def _ended(record: Record) -> int | None:
    """The execution that ended with a decision; None where none did.

    Raises:
        CodecError: it is no decision of the shape that is read.
    """
    if record.kind != Kind.DECISION or b'"verification":{' not in record.body:
        return None
    return int(document_of(record)["verification"]["execution"])
