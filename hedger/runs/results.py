"""What a run of the engine came to: counts, costs, and where the P&L came from, gathered while it decides."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace

import numpy as np

from hedger.core.actions import Adjustment, AdjustmentKind
from hedger.core.decision import Decision
from hedger.core.events import Event
from hedger.core.state import State
from hedger.documents import number
from hedger.engine.recording import newly_booked
from hedger.problem.snapshot import Snapshot
from pricing.contracts import STABLE_CURRENCIES
from pricing.market import Market, Marks, mid_or_nan, price_or_nan
from risk.attribution import Attribution, Standing, attribute
from risk.flows import Cause, Flows, Payment, Trade


class Results:
    """Shown every decision; see `Engine`.

    marks, decisions, orders, fills, executions, refused: counts; planned: decisions with a ticket.
    attribution: of the P&L between the first and the last mark that could be valued. alerts: by code.
    """

    def __init__(self) -> None:
        self.digest = hashlib.sha256()
        self.marks = self.decisions = self.planned = self.orders = self.fills = self.executions = 0
        self.refused: dict[str, int] = {}
        self.alerts: dict[str, int] = {}
        self.slippage_usd = self.expected_usd = 0.0
        self.attribution: Attribution | None = None
        self._before: Standing | None = None
        self._trades: list[Trade] = []
        self._payments: list[Payment] = []
        self._settled: dict[tuple[str, str], float] = {}

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
        for trade in newly_booked(before, event, after):
            self.fills += 1
            self._trades.append(Trade(trade.fill, _mid(before.market, trade.fill.listing.key)))
        for adjustment in decision.adjustments:
            self._adjusted(adjustment)
        if isinstance(event.what, Marks):
            self.marks += 1
            if after.snapshot is not None:
                self._attribute(after.snapshot)

    def close(self, state: State, snapshot: Snapshot | None) -> None:
        """The end: fills since the last mark, and funding that has run up and is not booked."""
        for (_, _, currency), owed in state.accrued.items():
            if owed:
                underlying = "" if currency in STABLE_CURRENCIES else currency
                self._payments.append(Payment(Cause.FUNDING, currency, -float(owed), underlying))
        if snapshot is None:
            return
        balances = dict(snapshot.balances)
        for (_, _, currency), owed in state.accrued.items():
            balances[currency] = balances.get(currency, 0.0) - float(owed)
        self._attribute(replace(snapshot, balances=balances))

    def document(self) -> dict[str, object]:
        """The part of a result that is the same for every kind of run; what is unknown is null."""
        total = None if self.attribution is None else self.attribution.total
        fees = math.nan if total is None else -total.fees
        slippage = math.nan if total is None else -total.slippage
        return {
            "marks": self.marks,
            "decisions": self.decisions,
            "orders": self.orders,
            "fills": self.fills,
            "hedges": self.executions,
            "refused": dict(sorted(self.refused.items())),
            "alerts": dict(sorted(self.alerts.items())),
            "cost_usd": number(fees + slippage),
            "fees_usd": number(fees),
            "slippage_usd": number(slippage),
            "expected_cost_usd": number(self.expected_usd),
            "pnl_usd": None if self.attribution is None else number(self.attribution.equity_change),
            "residual_usd": None if total is None else number(total.residual),
            "attribution_usd": None
            if total is None
            else {name: number(x) for name, x in total.as_dict().items()},
            "unknown": [] if self.attribution is None else list(self.attribution.unknown[:10]),
            "digest": self.digest.hexdigest(),
        }

    def _adjusted(self, adjustment: Adjustment) -> None:
        currency = adjustment.currency
        underlying = "" if currency in STABLE_CURRENCIES else currency
        if adjustment.kind is AdjustmentKind.FUNDING:
            self._payments.append(Payment(Cause.FUNDING, currency, float(adjustment.amount), underlying))
        elif adjustment.kind is AdjustmentKind.SETTLEMENT:
            self._settled[adjustment.venue, adjustment.symbol] = float(adjustment.price)
        elif adjustment.kind is AdjustmentKind.ACCEPTED_CASH:
            self._payments.append(Payment(Cause.TRANSFER, currency, float(adjustment.amount)))

    def _attribute(self, snapshot: Snapshot) -> None:
        now = Standing(snapshot.valuation, snapshot.quantities, snapshot.balances)
        if self._before is not None:
            flows = Flows(tuple(self._trades), tuple(self._payments), dict(self._settled))
            found = attribute(self._before, now, flows)
            self.attribution = found if self.attribution is None else self.attribution.then(found)
        elif snapshot.missing:
            return  # it begins with the first mark that tells the worth of the whole book
        self._trades, self._payments, self._settled = [], [], {}
        self._before = now


def _mid(market: Market, key: tuple[str, str]) -> float:
    """The middle of a listing's book as it stands, else its mark; NaN where neither is known."""
    at = market.universe.positions.get(key)
    if at is None:
        return math.nan
    mid = float(mid_or_nan(market)[at])
    return mid if np.isfinite(mid) else float(price_or_nan(market)[at])
