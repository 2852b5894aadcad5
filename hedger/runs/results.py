"""What a run of the engine came to: counts, costs, and where the P&L came from, gathered while it decides."""

from __future__ import annotations

import hashlib
import math

import numpy as np

from hedger import profit
from hedger.core.actions import Adjustment, AdjustmentKind
from hedger.core.decision import Decision
from hedger.core.events import Event
from hedger.core.state import State
from hedger.documents import number
from hedger.engine.recording import newly_booked
from hedger.problem.snapshot import Snapshot
from pricing.market import Market, Marks, mid_or_nan, price_or_nan
from risk.attribution import Attribution, costs
from risk.flows import Trade
from risk.unexplained import Tolerance


class Results:
    """Shown every decision; see `Engine`.

    tolerance: what of a day's P&L may stay without a cause.
    marks, decisions, orders, fills, executions, refused: counts; planned: decisions with a ticket.
    fees, slippage: of each fill, against the mid at its order's arrival; USD, costs positive, NaN unknown.
    profit: the P&L between the first and the last mark that could be valued. alerts: by code. accepted: what
    a person took the venues' word for.
    """

    def __init__(self, tolerance: Tolerance = profit.PLAIN_TOLERANCE) -> None:
        self._tolerance = tolerance
        self.digest = hashlib.sha256()
        self.marks = self.decisions = self.planned = self.orders = self.fills = self.executions = 0
        self.refused: dict[str, int] = {}
        self.alerts: dict[str, int] = {}
        self.accepted: list[Adjustment] = []
        self.slippage_usd = self.expected_usd = 0.0
        self.fees: list[float] = []
        self.slippage: list[float] = []
        self._arrivals = profit.Arrivals()
        self.profit = profit.Profit()

    def __call__(self, before: State, event: Event, after: State, decision: Decision) -> None:
        """One decision."""
        self.digest.update(decision.digest.encode())
        self.decisions += 1
        self.orders += len(decision.orders)
        self.planned += decision.ticket is not None
        for verdict in decision.verdicts:
            if not verdict.approved:
                self.refused[verdict.code] = self.refused.get(verdict.code, 0) + 1
        for alert in decision.alerts:
            self.alerts[alert.code] = self.alerts.get(alert.code, 0) + 1
        if decision.verification is not None:
            self.executions += 1
            self.slippage_usd += decision.verification.slippage_usd
            self.expected_usd += decision.verification.expected_usd
        filled = self.fills
        for trade in newly_booked(before, event, after):
            self.fills += 1
            middle = self._arrivals.of(trade.client_id, _mid(before.market, trade.fill.listing.key))
            told = Trade(trade.fill, middle, _indexes(before.snapshot))
            self.profit.traded(told)
            for of, cost in zip((self.fees, self.slippage), costs(told), strict=True):
                of.append(-cost)
        for order in decision.orders:
            self._arrivals.decided(order.client_id, _mid(after.market, order.listing.key))
        for adjustment in decision.adjustments:
            self.profit.adjusted(adjustment)
            if adjustment.kind in (AdjustmentKind.ACCEPTED_POSITION, AdjustmentKind.ACCEPTED_CASH):
                self.accepted.append(adjustment)
        if isinstance(event.what, Marks):
            self.marks += 1
            # a state that has seen a quiet mark values its book only when it is asked for it
            snapshot = None if self.profit.waits(event.now_ns) else after.snapshot
            if snapshot is not None:
                self.profit.marked(snapshot)
        elif self.fills > filled and after.snapshot is not None:
            self.profit.executed(after.snapshot, after.book)

    @property
    def attribution(self) -> Attribution | None:
        """The P&L of the whole run by cause; None before two marks could be valued."""
        total = self.profit.total
        return None if total is None else total.attribution

    def close(self, state: State, snapshot: Snapshot | None) -> None:
        """The end: fills since the last mark, and funding that has run up and is not booked."""
        self.profit.close(snapshot, state.book, state.accrued)

    def document(self) -> dict[str, object]:
        """The part of a result that is the same for every kind of run; what is unknown is null."""
        attribution = self.attribution
        total = None if attribution is None else attribution.total
        fees, slippage = math.fsum(self.fees), math.fsum(self.slippage)
        return {
            "marks": self.marks,
            "decisions": self.decisions,
            "orders": self.orders,
            "fills": self.fills,
            "hedges": self.executions,
            "refused": dict(sorted(self.refused.items())),
            "alerts": dict(sorted((self.alerts | self._unexplained()).items())),
            "cost_usd": number(fees + slippage),
            "fees_usd": number(fees),
            "slippage_usd": number(slippage),
            "expected_cost_usd": number(self.expected_usd),
            "pnl_usd": None if attribution is None else number(attribution.equity_change),
            "residual_usd": None if total is None else number(total.residual),
            "attribution_usd": None
            if total is None
            else {name: number(x) for name, x in total.as_dict().items()},
            **profit.document(self.profit, self._tolerance),
            "unknown": [] if attribution is None else list(attribution.unknown[:10]),
            "digest": self.digest.hexdigest(),
        }

    def _unexplained(self) -> dict[str, int]:
        """An alert for each day whose P&L has more without a cause than is borne."""
        days = profit.unexplained_days(self.profit, self._tolerance)
        return {profit.UNEXPLAINED: len(days)} if days else {}


def _indexes(snapshot: Snapshot | None) -> dict[str, float]:
    """USD per coin, as far as it is known."""
    return {} if snapshot is None else {name: x for name, x in snapshot.spot.items() if math.isfinite(x)}


def _mid(market: Market, key: tuple[str, str]) -> float:
    """The middle of a listing's book as it stands, else its mark; NaN where neither is known."""
    at = market.universe.positions.get(key)
    if at is None:
        return math.nan
    mid = float(mid_or_nan(market)[at])
    return mid if np.isfinite(mid) else float(price_or_nan(market)[at])
