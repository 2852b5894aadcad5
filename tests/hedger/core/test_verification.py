"""After the last fill: each difference to the ticket has a name, and the parts add up to it."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from hedger.core.decision import Decision
from hedger.core.verification import CostCheck, RowCheck, Verification, landed, verify
from hedger.problem.snapshot import take_snapshot
from pricing.contracts import Side
from tests.hedger.core.test_execution import fill, mark, perp, rig_of
from tests.hedger.rig import Rig, desk
from venues.orders import Order, TradeReport

PARTS = tuple(name for name in RowCheck.__slots__ if name not in ("row", "promised", "actual"))


def checked(rig: Rig) -> Verification:
    (check,) = [d.verification for d in rig.decisions if d.verification is not None]
    return check


def delta(check: Verification) -> RowCheck:
    return next(row for row in check.rows if row.row == "delta:BTC")


def adds_up(check: Verification) -> None:
    """Every row's parts are its difference; the cost's parts are the cost's."""
    for row in check.rows:
        total = math.fsum(getattr(row, name) for name in PARTS)
        scale = 1.0 + abs(row.promised) + sum(abs(getattr(row, name)) for name in PARTS)
        assert abs(row.actual - row.promised - total) <= 1e-12 * scale, row
    parts = [getattr(check.cost, name) for name in CostCheck.__slots__]
    whole = check.fee_usd + check.slippage_usd - check.expected_usd
    assert abs(whole - math.fsum(parts)) <= 1e-9 * (1.0 + math.fsum(map(abs, parts)))


def fill_at(
    rig: Rig, order: Order, price: Decimal, fee: Decimal, quantity: Decimal | None = None
) -> Decision:
    """The venue fills an order at a price and a fee of its own, and ends it."""
    rig.truth.take(order)
    size = order.quantity if quantity is None else quantity
    report = rig.truth.fill(order.client_id, size, rig.now_ns)
    assert report is not None
    rig.send(TradeReport(order.client_id, replace(report.fill, price=price, fee=fee)))
    rig.truth.cancel(order.client_id)
    return rig.send(rig.truth.update(order.client_id))


def touch(rig: Rig) -> tuple[float, float]:
    market, at = rig.state.market, perp(rig)
    return float(market.bid[at]), float(market.mark[at])


def test_a_standing_market_leaves_fees_and_slippage_and_nothing_to_the_market() -> None:
    rig = rig_of()
    (order,) = mark(rig, (400_000.0,)).orders
    bid, reference = touch(rig)
    index = rig.state.snapshot.spot["BTC"] if rig.state.snapshot else float("nan")
    price, fee = Decimal(repr(bid)), Decimal("0.0007")
    fill_at(rig, order, price, fee)
    check = checked(rig)
    adds_up(check)
    quantity = float(order.quantity)
    # An inverse perpetual sold at p instead of the reference r costs Q (1/p - 1/r) coins.
    lost = quantity * (1.0 / bid - 1.0 / reference)
    row = delta(check)
    assert row.paid == pytest.approx(-lost - float(fee), rel=1e-9)
    assert row.market == pytest.approx(0.0, abs=1e-9)
    assert (row.unfilled, row.rounding, row.unwound, row.external) == (0.0, 0.0, 0.0, 0.0)
    assert check.fee_usd == pytest.approx(float(fee) * index, rel=1e-12)
    assert check.slippage_usd == pytest.approx(lost * index, rel=1e-9)
    assert check.cost.market == check.cost.unfilled == check.cost.planned_anew == check.cost.unwound == 0.0
    assert "moved market" not in check.differences and "partial" not in check.differences


def test_a_market_that_moved_between_plan_and_fill_is_named() -> None:
    rig = rig_of(participation=0.5, slice_interval_s=1.0)
    (first,) = mark(rig, (100_000.0, 300_000.0)).orders
    bid, reference = touch(rig)
    fill_at(rig, first, Decimal(repr(bid)), Decimal(0))
    (second,) = mark(rig, (400_000.0,), 5.0, shift=-7.0).orders
    fill_at(rig, second, Decimal(repr(bid - 7.0)), Decimal(0))
    check = checked(rig)
    adds_up(check)
    index = rig.state.snapshot.spot["BTC"] if rig.state.snapshot else float("nan")
    moved = float(second.quantity) * (1.0 / (reference - 7.0) - 1.0 / reference) * index
    # The leg's reference is an average of prices, a coin's worth one of their inverses.
    assert check.cost.market == pytest.approx(moved, rel=1e-4)
    assert "moved market" in check.differences


def test_what_was_not_filled_is_named_and_not_counted_as_saved() -> None:
    rig = rig_of(execution_s_max=30.0, participation=0.5)
    (first,) = mark(rig, (100_000.0, 300_000.0)).orders
    bid, _ = touch(rig)
    fill_at(rig, first, Decimal(repr(bid)), Decimal(0))
    (ticket,) = [d.ticket for d in rig.decisions if d.ticket is not None]
    left = ticket.legs[0].quantity - first.quantity
    rig.tick(40.0)
    check = checked(rig)
    adds_up(check)
    assert not check.filled and "partial" in check.differences
    snapshot = rig.state.snapshot
    assert snapshot is not None
    unit = snapshot.exposure.traded[snapshot.exposure.rows.index("delta:BTC"), perp(rig)]
    assert delta(check).unfilled == pytest.approx(float(unit) * float(left), rel=1e-9)
    share = float(left / ticket.legs[0].quantity)
    assert check.cost.unfilled == pytest.approx(-share * check.expected_usd, rel=1e-9)


def test_trades_of_others_are_external_and_not_the_market() -> None:
    rig = rig_of(slice_interval_s=1.0)
    (order,) = mark(rig, (400_000.0,)).orders
    theirs = rig.truth.fill_of(replace(order, side=Side.BUY), Decimal(10_000), rig.now_ns)
    mid = Decimal(repr(touch(rig)[1]))
    rig.send(TradeReport("web-1", replace(theirs, trade_id="w1", fee=Decimal(0), price=mid)))
    fill(rig, order)
    check = checked(rig)
    adds_up(check)
    snapshot = rig.state.snapshot
    assert snapshot is not None
    unit = snapshot.exposure.traded[snapshot.exposure.rows.index("delta:BTC"), perp(rig)]
    assert delta(check).external == pytest.approx(float(unit) * 10_000.0, rel=1e-9)
    assert delta(check).market == pytest.approx(0.0, abs=1e-6)
    assert "external" in check.differences


def test_plans_made_anew_keep_the_first_tickets_cost_as_the_measure() -> None:
    rig = rig_of(index_limit_bps=50.0, slice_interval_s=1.0)
    (first,) = mark(rig, (400_000.0,)).orders
    expected = rig.state.execution.cost_usd if rig.state.execution is not None else float("nan")
    fill(rig, first, Decimal(100_000))
    marks = rig.market.marks()
    rig.now_ns += 2 * 10**9
    linear = ~rig.market.universe.is_option[marks.rows]
    up: dict[str, Any] = {name: getattr(marks, name) * 1.01 for name in ("index", "forward")}
    for name in ("bid", "ask", "mark"):
        up[name] = np.where(linear, np.round(getattr(marks, name) * 1.01, 1), getattr(marks, name))
    up |= {"now_ns": rig.now_ns, "venue_ns": np.full(marks.rows.size, rig.now_ns)}
    (second,) = rig.send(replace(marks, **up)).orders
    fill(rig, second)
    check = checked(rig)
    adds_up(check)
    assert check.expected_usd == expected and check.replans == 1
    assert check.cost.planned_anew > 0.0 and check.cost.unfilled < 0.0
    assert "planned anew" in check.differences


def test_the_turnover_of_a_contract_that_is_not_on_the_market_is_unknown_and_not_zero() -> None:
    rig = rig_of()
    (order,) = mark(rig, (400_000.0,)).orders
    rig.truth.take(order)
    report = rig.truth.fill(order.client_id, order.quantity / 2, rig.now_ns)
    assert report is not None
    rig.send(report)
    execution, snapshot, value = rig.state.execution, rig.state.snapshot, rig.state.value
    assert execution is not None and snapshot is not None and value is not None
    assert verify(execution, snapshot, value).turnover_usd > 0.0
    legs = tuple(replace(leg, listing=replace(leg.listing, symbol="GONE")) for leg in execution.legs)
    gone = verify(replace(execution, legs=legs), snapshot, value)
    assert math.isnan(gone.turnover_usd) and math.isnan(gone.slippage_usd)


def test_a_row_without_a_landing_is_not_known_to_have_landed() -> None:
    rig = rig_of({"BTC-PERPETUAL": "1000"})
    snapshot = take_snapshot(rig.state.book, rig.state.market, desk(), marked=True)
    value = np.zeros(len(snapshot.exposure.rows))
    opened = snapshot.bands.with_row(snapshot.exposure.rows.index("delta:BTC"), *2 * ((-math.inf, math.inf),))
    assert landed(("delta:BTC",), snapshot, value, 0.0)
    assert not landed(("delta:BTC",), replace(snapshot, bands=opened), value, 0.0)
