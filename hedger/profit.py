"""Where a run's P&L came from, twice: by the ledger and by cause; per day and in all, and what is between.

From one mark that tells the worth of the whole book to the next such mark, or to an execution between them,
after which the book is another: what is traded is held from there on, and its gains have causes. Marks that
leave a position without a worth are passed over, and what moved the book meanwhile waits for the next; what
moved it before the first is told apart (`early`). An interval counts on the UTC day on which it ends. The
ledger's side (`risk.statement`) knows cash, fees, funding, settlements and marks, the other
(`risk.attribution`) Greeks; both sum to the change of equity, so their difference is a fault, and the
attribution's residual is what second order does not explain.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction

from hedger import amounts
from hedger.core.actions import Adjustment, AdjustmentKind
from hedger.documents import number
from hedger.problem.snapshot import Snapshot, holdings_at
from hedger.text_width import blocks
from pricing.contracts import STABLE_CURRENCIES
from pricing.daycount import NS_PER_SECOND, iso
from pricing.universe import FloatArray
from risk.attribution import Attribution, Parts, attribute, costs
from risk.book import Book
from risk.flows import Cause, Flows, Payment, Trade
from risk.standing import Standing
from risk.statement import Ledger, Moved, Statement, state_change
from risk.unexplained import Tolerance, unexplained

#: Marks nearer to each other than this are one interval: a stream has dozens a second, and valuing the whole
#: book at each of them would say nothing more.
APART_NS = NS_PER_SECOND
#: The arrival of so many orders is remembered: fills come soon after.
ARRIVALS_MAX = 10_000
#: The code under which a day that is not explained is told.
UNEXPLAINED = "PNL_UNEXPLAINED"
PLAIN_TOLERANCE = Tolerance()


@dataclass(frozen=True, slots=True)
class Interval:
    """A span's P&L by both accounts."""

    attribution: Attribution
    statement: Statement

    @property
    def difference_usd(self) -> float:
        """By how much the two accounts differ; rounding, or a fault."""
        return self.statement.total - self.attribution.total.pnl - self.attribution.transfers

    def then(self, later: Interval) -> Interval:
        """This span and the one after it as one."""
        return Interval(self.attribution.then(later.attribution), self.statement + later.statement)


class Arrivals:
    """The middle of the listing of each of the last orders when it was decided on, NaN where unknown."""

    def __init__(self) -> None:
        self._middle: dict[str, float] = {}

    def decided(self, client_id: str, middle: float) -> None:
        """An order was decided on."""
        self._middle[client_id] = middle
        if len(self._middle) > ARRIVALS_MAX:
            del self._middle[next(iter(self._middle))]

    def of(self, client_id: str, middle: float) -> float:
        """That of an order; middle: stands in for one that is not ours, or long gone."""
        return self._middle.get(client_id, middle)


@dataclass(frozen=True, slots=True)
class Early:
    """Executions before the book had a known worth, which are in no interval. fees_usd, slippage_usd: P&L by
    them, costs negative; NaN where not known."""

    fills: int = 0
    fees_usd: float = 0.0
    slippage_usd: float = 0.0

    def then(self, trades: Sequence[Trade]) -> Early:
        """With these too."""
        paid = [costs(trade) for trade in trades]
        return Early(
            self.fills + len(trades),
            math.fsum([self.fees_usd, *(fees for fees, _ in paid)]),
            math.fsum([self.slippage_usd, *(slipped for _, slipped in paid)]),
        )


class Profit:
    """Told of every execution and adjustment, and of every mark.

    passed_over: marks at which the book had no known worth, of those a moment apart one. early: what was
    traded before the first at which it had one.
    """

    def __init__(self) -> None:
        self.passed_over = 0
        self.early = Early()
        self._passed_ns: int | None = None
        self.days: dict[str, Interval] = {}
        self._before: tuple[Snapshot, Standing, Ledger] | None = None
        self._trades: list[Trade] = []
        self._payments: list[Payment] = []
        self._settled: dict[tuple[str, str], float] = {}
        self._received: list[tuple[str, float]] = []

    @property
    def total(self) -> Interval | None:
        """The whole run; None before two marks could be valued."""
        found: Interval | None = None
        for day in self.days.values():
            found = day if found is None else found.then(day)
        return found

    def copied(self) -> Profit:
        """As it stands; what either is told from here on the other does not know."""
        found = copy(self)
        found.days = dict(self.days)
        found._trades, found._payments = list(self._trades), list(self._payments)
        found._settled, found._received = dict(self._settled), list(self._received)
        return found

    def traded(self, trade: Trade) -> None:
        """An execution was booked."""
        self._trades.append(trade)

    def adjusted(self, adjustment: Adjustment) -> None:
        """The book changed without a trade."""
        currency, amount = adjustment.currency, float(adjustment.amount)
        if adjustment.kind is AdjustmentKind.FUNDING:
            self._pay(Cause.FUNDING, currency, amount)
        elif adjustment.kind is AdjustmentKind.SETTLEMENT:
            self._settled[adjustment.venue, adjustment.symbol] = float(adjustment.price)
            self._received.append((currency, amount))
        elif adjustment.kind is AdjustmentKind.SETTLEMENT_CORRECTED:
            self._pay(Cause.SETTLEMENT, currency, amount)
        elif adjustment.kind is AdjustmentKind.ACCEPTED_CASH:
            self._payments.append(Payment(Cause.TRANSFER, currency, amount))

    def waits(self, now_ns: int) -> bool:
        """Whether a mark of this time may be left to the next: the last one taken is moments ago, and nothing
        was traded or paid since."""
        if self._before is None or self._trades or self._payments or self._settled or self._received:
            return False
        return 0 <= now_ns - self._before[0].market.now_ns < APART_NS

    def marked(self, snapshot: Snapshot) -> None:
        """The book as valued at a mark."""
        if self._before is not None and snapshot is self._before[0]:
            return
        now_ns = snapshot.market.now_ns
        if snapshot.missing:
            if self._passed_ns is None or not 0 <= now_ns - self._passed_ns < APART_NS:
                self.passed_over, self._passed_ns = self.passed_over + 1, now_ns
            return
        self._take(snapshot, snapshot.book, snapshot.quantities, snapshot.balances, {})

    def executed(self, snapshot: Snapshot, book: Book) -> None:
        """The book after an execution, at the last mark: an interval ends here. Where something in it has no
        worth, it goes on to the next mark."""
        held = None if snapshot.missing else holdings_at(snapshot, book)
        if held is not None:
            self._take(snapshot, book, *held, {})

    def close(
        self, snapshot: Snapshot | None, book: Book, accrued: Mapping[tuple[str, str, str], Decimal]
    ) -> None:
        """The end: executions since the last mark, and funding that has run up and is not booked."""
        owed: dict[str, Fraction] = {}
        for (_, _, currency), amount in accrued.items():
            if amount:
                owed[currency] = owed.get(currency, Fraction(0)) + Fraction(amount)
                self._pay(Cause.FUNDING, currency, -float(amount))
        if snapshot is not None:
            held = (snapshot.quantities, snapshot.balances)
            if snapshot.book is not book:
                held = holdings_at(snapshot, book) or held
            self._take(snapshot, book, *held, owed)

    def _pay(self, cause: Cause, currency: str, amount: float) -> None:
        underlying = "" if currency in STABLE_CURRENCIES else currency
        self._payments.append(Payment(cause, currency, amount, underlying))

    def _take(
        self,
        snapshot: Snapshot,
        book: Book,
        quantities: FloatArray,
        held: Mapping[str, float],
        owed: Mapping[str, Fraction],
    ) -> None:
        balances = dict(held)
        for currency, amount in owed.items():
            balances[currency] = balances.get(currency, 0.0) - float(amount)
        standing = Standing(snapshot.valuation, quantities, balances)
        plain = Ledger.of(book, snapshot.valuation, quantities, held)
        cash = {c: plain.cash.get(c, Fraction(0)) - owed.get(c, Fraction(0)) for c in {**plain.cash, **owed}}
        ledger = replace(plain, cash=cash)
        if self._before is not None:
            _, before, was = self._before
            flows = Flows(tuple(self._trades), tuple(self._payments), dict(self._settled))
            found = Interval(attribute(before, standing, flows), state_change(was, ledger, self._moved()))
            day = iso(snapshot.valuation.now_ns)[:10]
            self.days[day] = self.days[day].then(found) if day in self.days else found
        else:
            self.early = self.early.then(self._trades)
        self._trades, self._payments, self._settled, self._received = [], [], {}, []
        self._before = (snapshot, standing, ledger)

    def _moved(self) -> Moved:
        by_cause = {
            cause: tuple((p.currency, p.amount) for p in self._payments if p.cause is cause)
            for cause in Cause
        }
        return Moved(
            fills=tuple(trade.fill for trade in self._trades),
            spots=tuple(trade.spot for trade in self._trades),
            funding=by_cause[Cause.FUNDING],
            settlement=(*self._received, *by_cause[Cause.SETTLEMENT]),
            transfers=by_cause[Cause.TRANSFER],
        )


# -------------------------------------------------------------------------------------------------- documents


def document(profit: Profit, tolerance: Tolerance = PLAIN_TOLERANCE) -> dict[str, object]:
    """The P&L as JSON; what is unknown is null. tolerance: what of a day may stay without a cause.

    harvest_usd: gamma + theta. residual_allowed_usd: by the tolerance;
    unexplained: the days beyond it.
    """
    total = profit.total
    return {
        "harvest_usd": None if total is None else number(total.attribution.total.harvest),
        "unexplained": unexplained_days(profit, tolerance),
        "ledger_usd": None if total is None else _numbers(total.statement.as_dict()),
        "ledger_difference_usd": None if total is None else number(total.difference_usd),
        "marks_passed_over": profit.passed_over,
        "before_first_mark": _early(profit.early),
        "days": [{"day": day, **interval_document(found, tolerance)} for day, found in profit.days.items()],
    }


def _early(early: Early) -> dict[str, object] | None:
    """What was traded before the first mark with a worth; null: nothing."""
    if not early.fills:
        return None
    costs_usd = {"fees_usd": number(early.fees_usd), "slippage_usd": number(early.slippage_usd)}
    return {"fills": early.fills, **costs_usd}


def interval_document(found: Interval, tolerance: Tolerance) -> dict[str, object]:
    """A span's P&L by both accounts as JSON."""
    parts = found.attribution.total
    return {
        "pnl_usd": number(found.attribution.equity_change),
        "attribution_usd": _numbers(parts.as_dict()),
        "harvest_usd": number(parts.harvest),
        "residual_allowed_usd": number(tolerance.allowed_usd(parts)),
        "ledger_usd": _numbers(found.statement.as_dict()),
        "ledger_difference_usd": number(found.difference_usd),
    }


def unexplained_days(profit: Profit, tolerance: Tolerance) -> list[str]:
    """The days whose residual is more than is borne, or not known."""
    return [day for day, found in profit.days.items() if unexplained(found.attribution.total, tolerance)]


def _numbers(parts: Mapping[str, float]) -> dict[str, float | None]:
    return {name: number(x) for name, x in parts.items()}


#: Characters of what a line is of, and of an amount at least.
_DAY, _COLUMN = 11, 12
_PARTS = tuple(Parts.__slots__)
_LEDGER = tuple(Statement.__slots__)


def table(document: Mapping[str, object], room: int | None = None) -> str:
    """The P&L of a document as two tables for people, USD: a line a day, the sums, and what is since the
    last hedge where the document tells of one; "" without any. room: how wide they may be; what does not fit
    goes on below."""
    days = document.get("days")
    total, ledger = document.get("attribution_usd"), document.get("ledger_usd")
    if not isinstance(days, list) or not days or not isinstance(total, dict) or not isinstance(ledger, dict):
        return ""
    by_cause = [(day["day"], day["attribution_usd"]) for day in days] + [("all", total)]
    by_ledger = [(day["day"], day["ledger_usd"]) for day in days] + [("all", ledger)]
    since = document.get("since_hedge")
    if isinstance(since, dict):
        by_cause.append(("since hedge", since["attribution_usd"]))
        by_ledger.append(("since hedge", since["ledger_usd"]))
    return "\n".join(
        [
            "P&L by cause, USD",
            *_lines(by_cause, _PARTS, "pnl", room),
            "P&L by the ledger, USD",
            *_lines(by_ledger, _LEDGER, "total", room),
        ]
    )


def _lines(
    rows: list[tuple[str, Mapping[str, float | None]]], names: tuple[str, ...], whole: str, room: int | None
) -> list[str]:
    """Columns that are nothing on every day are left out."""
    shown = [name for name in names if any(_is_something(parts.get(name)) for _, parts in rows)]
    columns = [[name, *(amounts.amount(parts.get(name)) for _, parts in rows)] for name in [*shown, whole]]
    widths = [max(_COLUMN, 1 + max(map(len, cells))) for cells in columns]
    days = ["day", *(day for day, _ in rows)]
    lines = []
    for side in blocks(widths, None if room is None else room - _DAY):
        beside = list(zip(columns[side], widths[side], strict=True))
        for i, day in enumerate(days):
            lines.append(day.ljust(_DAY) + "".join(cells[i].rjust(width) for cells, width in beside))
    return lines


def _is_something(x: float | None) -> bool:
    return x is None or not math.isfinite(x) or abs(x) >= 0.005
