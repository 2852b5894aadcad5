"""Whatever a venue answers, and however late: never more than the ticket, never further out than written,
and an end, as long as it answers at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hedger.core.actions import AskAccount, AskOrder, Cancel, Submit
from hedger.core.decision import Decision
from hedger.core.events import Answer, Failed
from hedger.core.execution import Execution
from hedger.core.state import State
from hedger.core.verification import Verification
from tests.hedger.core.test_unwinding import hedged_options
from tests.hedger.rig import SECOND, VENUE, Rig
from venues.orders import Order, OrderState, OrderUpdate, TimeInForce, TradeReport

#: What the venue does with an order: all, a part of it, nothing, a refusal, silence and then a part.
ANSWERS = st.lists(st.sampled_from(["all", "part", "none", "reject", "late", "lost"]), max_size=10)
STEPS = 90


class Storm:
    """A standing market, and a venue that does with each order what it is told to; news in two orders."""

    def __init__(self, rig: Rig, answers: Sequence[str], seed: int) -> None:
        self.rig, self.answers = rig, list(answers)
        self.dice = np.random.default_rng(seed)
        self.late: list[tuple[int, Order]] = []
        self.worst = 0.0
        self.written = 0.0

    def stand(self, seconds: float) -> Decision:
        """The same market again, stamped anew."""
        rig = self.rig
        rig.now_ns += round(seconds * SECOND)
        marks = rig.market.marks()
        stamps = np.full(marks.rows.size, rig.now_ns)
        return self.watch(rig.send(replace(marks, now_ns=rig.now_ns, venue_ns=stamps)))

    def watch(self, decision: Decision) -> Decision:
        """Hold every decision against the ticket in force."""
        state = self.rig.state
        execution = state.execution
        if execution is None:
            return decision
        self.written = max(self.written, *(x.out for x in execution.interim))
        for leg in execution.every_leg:
            at_worst = _at_worst(state, execution, leg.number)
            assert at_worst <= leg.quantity, (leg, at_worst)
        self.worst = max(self.worst, self.outside())
        return decision

    def checks(self) -> list[Verification]:
        """Of all its executions."""
        return [d.verification for d in self.rig.decisions if d.verification is not None]

    def outside(self) -> float:
        """How far out the book stands, in widths of its bands, word for word."""
        state = self.rig.state
        snapshot, value = state.snapshot, state.value
        assert snapshot is not None and value is not None
        bands, total = snapshot.bands, 0.0
        for i in np.flatnonzero(bands.banded).tolist():
            low, high = float(bands.trigger_lower[i]), float(bands.trigger_upper[i])
            total += max(low - float(value[i]), float(value[i]) - high, 0.0) / (high - low)
        return total

    def act(self, decision: Decision) -> None:
        """Answer what was asked."""
        for action in decision.actions:
            if isinstance(action, Submit):
                self.order(action.order)
            elif isinstance(action, Cancel) and action.client_id in self.rig.truth.orders:
                self.rig.truth.cancel(action.client_id)
                self.act(self.watch(self.rig.send(self.rig.truth.update(action.client_id))))
            elif isinstance(action, AskOrder):
                line = self.rig.truth.line(action.client_id)
                self.act(self.watch(self.rig.send(Answer(VENUE, action.client_id, line))))
            elif isinstance(action, AskAccount):
                self.act(self.watch(self.rig.send(self.rig.report())))

    def order(self, order: Order) -> None:
        rig, truth = self.rig, self.rig.truth
        how = self.answers.pop(0) if self.answers else "all"
        if how == "reject":
            self.act(self.watch(rig.send(OrderUpdate(order.client_id, OrderState.REJECTED, code="no"))))
            return
        truth.take(order)
        if how in ("late", "lost"):
            self.late.append((rig.now_ns + int(self.dice.integers(1, 20)) * SECOND, order))
            if how == "lost":
                self.watch(rig.send(Failed(VENUE, "submit", order.client_id, "time_out")))
            return
        self.come(order, how)

    def come(self, order: Order, how: str) -> None:
        """What became of an order arrives: update and executions, in either order."""
        rig, truth = self.rig, self.rig.truth
        share = {"all": 1.0, "none": 0.0}.get(how, float(self.dice.uniform(0.1, 0.9)))
        quantity = order.listing.quantize_quantity(float(order.quantity) * share)
        news: list[TradeReport | OrderUpdate] = []
        trade = truth.fill(order.client_id, quantity, rig.now_ns) if quantity > 0 else None
        if order.time_in_force is TimeInForce.IOC:
            truth.cancel(order.client_id)
        news += [trade] if trade is not None else []
        news.append(truth.update(order.client_id))
        if self.dice.integers(2):
            news.reverse()
        for one in [*news, news[0]]:  # and the first of them twice
            self.act(self.watch(rig.send(one)))

    def run(self) -> None:
        """Marks and time until nothing is in work, every answer in."""
        self.act(self.stand(20.0))
        for _ in range(STEPS):
            due = [x for x in self.late if x[0] <= self.rig.now_ns]
            self.late = [x for x in self.late if x[0] > self.rig.now_ns]
            for _, order in due:
                self.come(order, "part")
            self.act(self.stand(3.0))
            if self.rig.state.execution is None and not self.late:
                return


def _at_worst(state: State, execution: Execution, leg: int) -> Decimal:
    """What the orders of a leg have filled, and may still fill."""
    mine = [r for r in state.orders.values() if r.execution == execution.id and r.order.leg == leg]
    return sum((r.booked + r.reserved for r in mine), Decimal(0))


@settings(max_examples=12, deadline=None)
@given(ANSWERS, st.integers(0, 10**6), st.sampled_from([0.0, 4.0]))
def test_never_more_than_the_ticket_never_further_out_than_written_and_an_end(
    answers: list[str], seed: int, passive: float
) -> None:
    storm = Storm(hedged_options(passive_seconds=passive, repeg_interval_s=0.0), answers, seed)
    storm.run()
    rig = storm.rig
    assert rig.state.execution is None, [d.reason for d in rig.decisions[-5:]]
    assert all(record.settled for record in rig.state.orders.values())
    # The market stands: only fees and slippage, paid in coin, add to what was written of the way.
    # On the way back that is the spread, twice.
    assert storm.worst <= storm.written + (0.2 if any(x.cost.unwound for x in storm.checks()) else 1e-3)
    # Three refusals end the ticket, three more the way back: then a person is told.
    assert "LEGS_LEFT" not in rig.alerts() or answers.count("reject") >= 6
    assert "OVERFILL" not in rig.alerts()
    assert {s: q for s, q in rig.truth.positions.items() if q} == rig.positions()
