"""`hedger pnl`: where the P&L of a journal came from, by day, cause and ledger.

The book is valued at marks so many seconds apart, between them expanded to second order
(`risk.attribution`). The arrival mid of a trade is that of the moment at which its order was decided on.
Marks at which something held has no worth are passed over; what moved meanwhile waits for the next. Funding
counts when it is booked. Valued and judged with the settings that were in force, as the journal has them.
"""

from __future__ import annotations

from copy import copy
from typing import Any

from hedger.core.actions import Adjustment
from hedger.desk.follow import Fetch, Follower, Taken, no_tape
from hedger.documents import number
from hedger.journal.entries import Record
from hedger.problem.snapshot import Snapshot
from hedger.runs import profit
from hedger.runs.profit import Interval, Profit
from hedger.settings import Settings
from pricing.daycount import NS_PER_SECOND, iso
from risk.flows import Trade
from venues.orders import TradeReport

Json = dict[str, Any]
#: Marks nearer to each other than this are one interval, unless somebody asks for others.
APART_S = 60.0


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
        if self._waiting and record.seq != self.follower.seq:
            self._mark()  # all that its event booked is booked

    def heard(self, taken: Taken) -> None:
        """What the follower has taken in."""
        match taken.word:
            case TradeReport(client_id=client_id, fill=fill):
                known = self.follower.arrival.pop(client_id, None)
                middle = self.follower.middle(fill.listing.key) if known is None else known
                self.profit.traded(Trade(fill, middle, self.follower.indexes()))
                self._flows += 1
            case Adjustment():
                self.profit.adjusted(taken.word)
                self._flows += 1
        if self.follower.marked_ns != self._marked_ns and taken.marks is not None:
            due = self._taken_ns is None or self.follower.marked_ns - self._taken_ns >= self._apart_ns
            self._waiting = due

    def _mark(self) -> None:
        self._waiting = False
        snapshot = self.follower.snapshot()
        if snapshot is not None:
            self._taken_ns, self._flows, self.valued = snapshot.market.now_ns, 0, snapshot
            self.profit.marked(snapshot)

    def total_at(self, snapshot: Snapshot) -> Interval | None:
        """All of the P&L up to a moment that need not be the end of an interval; nothing of it is remembered.
        None before two marks could be valued."""
        if snapshot is self.valued:
            return self.profit.total
        look = copy(self.profit)
        look.days = dict(self.profit.days)
        look.marked(snapshot)
        return look.total

    def document(self) -> Json:
        """The P&L so far, up to the last mark; null where it is not known."""
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
            **profit.document(self.profit, self.follower.settings.pnl.tolerance()),
            "alerts": self._alerts(),
            "unknown": [] if attribution is None else list(attribution.unknown[:10]),
            "missing": _missing(snapshot),
        }

    def shown(self) -> Json:
        """`document`, and nothing of the look is remembered: what is told later does not hang on it."""
        look = copy(self)
        look.profit = copy(self.profit)
        look.profit.days = dict(self.profit.days)
        return look.document()

    def _alerts(self) -> list[Json]:
        """What a person must look at: days whose P&L has more without a cause than is borne."""
        tolerance, found = self.follower.settings.pnl.tolerance(), []
        for day in profit.unexplained_days(self.profit, tolerance):
            parts = self.profit.days[day].attribution.total
            residual = number(parts.residual)
            words = "an unknown part" if residual is None else f"{residual:z,.2f} USD"
            allowed = number(tolerance.allowed_usd(parts))
            most = "" if allowed is None else f"; at most {allowed:z,.2f} USD is borne"
            text = f"{day}: {words} of the P&L has no cause{most}"
            found.append({"severity": "warning", "code": profit.UNEXPLAINED, "day": day, "text": text})
        return found


def _missing(snapshot: Snapshot | None) -> list[Json]:
    """What has no worth at the last mark."""
    return (
        []
        if snapshot is None
        else [{"venue": m.venue, "symbol": m.symbol, "reason": m.reason} for m in snapshot.missing]
    )
