"""What was refused for a reason that lasts is left out of plans for a while; the plan goes by the others."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from hedger.core.actions import Alert, Permission, Submit
from hedger.core.aside import LASTING, OF_THE_MOMENT, UNFIT_MAX
from hedger.core.decision import Decision
from hedger.core.events import Verb
from hedger.core.gate import Denied, Situation, Then
from hedger.engine.limit_gate import LimitGate
from pricing.contracts import Kind
from risk.limit_terms import PermissionLimits
from tests.hedger.rig import VENUE, Free, Rig, desk
from tests.risk.limit_desk import limits
from venues.orders import Order, OrderState, OrderUpdate, TradeReport
from venues.paper_orders import Code
from venues.wire.rejects import Reason

LONG = {"BTC-PERPETUAL": "400000"}


def refusing(rig: Rig, decision: Decision, symbols: frozenset[str], code: str) -> None:
    """The venue refuses every order on some symbols, and fills the others."""
    todo = [decision]
    while todo:
        said = todo.pop(0)
        for action in said.actions:
            if not isinstance(action, Submit):
                continue
            order = action.order
            rig.truth.take(order)
            if order.listing.symbol in symbols:
                rig.truth.orders[order.client_id] = (order, OrderState.REJECTED, Decimal(0))
                update = OrderUpdate(order.client_id, OrderState.REJECTED, filled=Decimal(0), code=code)
                todo.append(rig.send(update))
            else:
                trade = rig.truth.fill(order.client_id, order.quantity, rig.now_ns)
                assert trade is not None
                todo += [rig.send(trade), rig.send(rig.truth.update(order.client_id))]


def first_order(rig: Rig) -> tuple[Order, Decision]:
    for _ in range(10):
        decision = rig.mark(20.0)
        if decision.orders:
            return decision.orders[0], decision
        rig.answer(decision)
    raise AssertionError("no order")


def texts(rig: Rig, code: str) -> list[str]:
    return [a.text for d in rig.decisions for a in d.actions if isinstance(a, Alert) and a.code == code]


@pytest.mark.parametrize("code", ["insufficient_margin", "market_closed", "no_permission", "not_listed"])
def test_what_a_venue_refuses_is_set_aside_and_the_others_hedge(code: str) -> None:
    rig = Rig(LONG, desk(slice_interval_s=0.0)).armed()
    order, decision = first_order(rig)
    symbol = order.listing.symbol
    refusing(rig, decision, frozenset({symbol}), code)
    for _ in range(3):
        rig.truth.trades.clear()
        refusing(rig, rig.mark(1.0), frozenset({symbol}), code)
    sent = rig.submits()
    assert [o.listing.symbol for o in sent].count(symbol) == 1  # asked once, and left alone
    assert {o.listing.symbol for o in sent} > {symbol}
    assert rig.decisions[-1].breached == () and rig.state.outside.rows == ()
    (told,) = texts(rig, "LISTING_ASIDE")
    assert symbol in told and code in told and "the others" in told


def test_the_time_grows_and_an_order_that_is_taken_ends_it() -> None:
    """Only one instrument may trade: it is refused at 0, 30, 90, 210 s and so on."""
    settings = desk(slice_interval_s=0.0, aside_s=30.0, aside_s_max=100.0)
    allowed = settings.universe.deny_buy.model_copy(update={"symbols": ("BTC-PERPETUAL",), "kinds": ()})
    universe = settings.universe.model_copy(update={"allow_buy": allowed, "allow_sell": allowed})
    rig = Rig(LONG, settings.model_copy(update={"universe": universe})).armed()
    only, times, first = frozenset({"BTC-PERPETUAL"}), list[float](), 0
    for _ in range(70):
        decision = rig.mark(5.0)
        if decision.orders:
            first = first or rig.now_ns
            times.append((rig.now_ns - first) / 1e9)
        refusing(rig, decision, only, "insufficient_margin")
        rig.send(rig.report())
        if rig.decisions[-1].breached:
            assert "set aside" in rig.state.outside.why or rig.state.execution is not None
    assert rig.state.memory.attempts == () and "ROW_HELD" not in rig.alerts()
    assert times == [0.0, 30.0, 90.0, 190.0, 290.0]  # 30, 60, then the longest
    assert len(texts(rig, "LISTING_ASIDE")) == 1
    assert rig.command(Verb.HEDGE).orders  # a person asks: it is tried at once
    refusing(rig, rig.decisions[-1], frozenset(), "")
    assert not rig.state.aside and rig.decisions[-1].breached == ()


FORMS = ["price_not_on_tick", "quantity_not_in_lots", "below_minimum", "above_maximum", "a code of 2031"]


@pytest.mark.parametrize("code", FORMS)
def test_what_is_wrong_with_one_order_is_tried_again_with_the_next(code: str) -> None:
    """Refused once, the instrument stays; the next order comes two seconds later, not at once."""
    rig = Rig(LONG, desk(slice_interval_s=0.0)).armed()
    order, decision = first_order(rig)
    refusing(rig, decision, frozenset({order.listing.symbol}), code)
    refusing(rig, rig.mark(1.0), frozenset(), "")
    assert len(rig.submits()) == 1 and not rig.state.aside
    assert code in rig.state.outside.why
    for _ in range(3):
        refusing(rig, rig.mark(1.0), frozenset(), "")
    assert {o.listing.symbol for o in rig.submits()} == {order.listing.symbol}
    assert rig.decisions[-1].breached == () and "LISTING_ASIDE" not in rig.alerts()
    if code == "above_maximum":
        sizes = [o.quantity for o in rig.submits()]
        assert len(sizes) > 2 and all(0 < x <= sizes[0] / 2 for x in sizes[1:])


def test_three_in_a_row_are_more_than_a_form() -> None:
    """Tries at 0, 2 and 6 s; then the side is set aside, and the same execution goes by the others."""
    rig = Rig(LONG, desk(slice_interval_s=0.0)).armed()
    order, decision = first_order(rig)
    only, at = frozenset({order.listing.symbol}), [rig.now_ns]
    execution = rig.state.execution
    refusing(rig, decision, only, "price_not_on_tick")
    for _ in range(8):
        before = len(rig.submits())
        refusing(rig, rig.mark(1.0), only, "price_not_on_tick")
        at += [rig.now_ns for o in rig.submits()[before:] if o.listing.symbol in only]
    assert [(t - at[0]) // 10**9 for t in at] == [0, 2, 6]
    assert execution is not None and rig.state.counters.executions == 1
    assert len(texts(rig, "LISTING_ASIDE")) == 1 and rig.decisions[-1].breached == ()
    assert {o.listing.symbol for o in rig.submits()} > only


def test_one_that_is_taken_begins_the_count_afresh() -> None:
    """Every other order is refused, for ever: nothing is set aside."""
    rig = Rig({"BTC-PERPETUAL": "4000000"}, desk(rejects_max=99, participation=0.05)).armed()
    order, decision = first_order(rig)
    only = frozenset({order.listing.symbol})
    for n in range(2 * UNFIT_MAX + 1):
        refusing(rig, decision, only if n % 2 == 0 else frozenset(), "refused")
        decision = rig.mark(2.0)
        assert decision.orders, n
    assert [r.code for r in rig.state.orders.values()].count("refused") > UNFIT_MAX
    assert not rig.state.aside


@pytest.mark.parametrize("code", ["post_only_would_take", "rate_limited", "outside_price_band"])
def test_a_reason_of_the_moment_sets_nothing_aside(code: str) -> None:
    rig = Rig(LONG, desk(slice_interval_s=0.0)).armed()
    order, _ = first_order(rig)
    update = OrderUpdate(order.client_id, OrderState.REJECTED, filled=Decimal(0), code=code)
    rig.truth.take(order)
    rig.send(update)
    assert not rig.state.aside and "LISTING_ASIDE" not in rig.alerts()


def test_codes_of_the_moment_are_codes_that_somebody_says() -> None:
    ours = {"", "lost", "not_sent", "too_fast"}
    assert set(OF_THE_MOMENT) - ours <= {*map(str, Code), *map(str, Reason)}
    lasting = {Reason.FUNDS, Reason.CLOSED, Reason.PERMISSION, Reason.NOT_LISTED, Reason.RISK_LIMIT}
    assert {str(x) for x in lasting} <= LASTING <= {*map(str, Code), *map(str, Reason)}
    assert not OF_THE_MOMENT & LASTING


def test_what_our_own_limits_refuse_for_good_is_planned_without() -> None:
    """The perpetual is refused by a limit of its own; the rest of the ticket goes by others at once."""

    def no_perpetual(order: Order, situation: Situation) -> Permission | Denied:
        if order.listing.contract.kind is Kind.PERPETUAL:
            return Denied("MARGIN_INITIAL", "MARGIN_INITIAL: too much; nothing was sent", Then.SET_ASIDE)
        return Free(order)

    settings = desk(slice_interval_s=0.0)
    rig = Rig(LONG, settings, gate=no_perpetual).armed()
    decision = first_order(rig)[1]
    refusing(rig, decision, frozenset(), "")
    for _ in range(3):
        refusing(rig, rig.mark(1.0), frozenset(), "")
    assert rig.decisions[-1].breached == ()
    assert {o.listing.contract.kind for o in rig.submits()} <= {Kind.FUTURE, Kind.OPTION}
    assert rig.alerts().count("ORDER_DENIED") <= 1


def test_what_the_limits_never_let_out_is_not_planned_with_and_the_ticket_says_so() -> None:
    """The hard limits allow options alone: no order is denied, since none is wished for."""
    allowed = limits(margin={"unproven_venues": frozenset({VENUE})})
    allowed = replace(allowed, permission=PermissionLimits(frozenset({VENUE}), kinds=frozenset({"option"})))
    gate = LimitGate(allowed, {VENUE: True})
    rig = Rig(LONG, desk(slice_interval_s=0.0), gate=gate)
    rig.settings = replace(rig.settings, shut=gate.shut)
    decision = first_order(rig.armed())[1]
    refusing(rig, decision, frozenset(), "")
    assert {o.listing.contract.kind for o in rig.submits()} == {Kind.OPTION}
    assert "ORDER_DENIED" not in rig.alerts()
    assert decision.plan is not None and decision.plan.refused["barred"] > 0
    (said,) = [text for text in decision.plan.assumptions if "KIND_NOT_ALLOWED" in text]
    assert "the limits refuse it" in said and "BTC-PERPETUAL" in said


def test_what_was_too_large_is_halved_until_it_is_taken() -> None:
    """A venue that takes a twentieth: nothing is set aside, and halves are no refusals that end a hedge."""
    settings = desk(slice_interval_s=0.0, rejects_max=2)
    rig = Rig({"BTC-PERPETUAL": "4000000"}, settings).armed()
    first, decision = first_order(rig)
    for _ in range(6):
        large = decision.orders and decision.orders[0].quantity > first.quantity / 20
        if not large:
            break
        refusing(rig, decision, frozenset({first.listing.symbol}), "above_maximum")
        decision = rig.mark(3.0)
    assert decision.orders[0].quantity <= first.quantity / 20
    assert not rig.state.aside and rig.state.counters.executions == 1


def test_what_is_shut_one_way_is_open_the_other() -> None:
    """Sells are set aside and no plan does without them; what a trade by hand turns short is bought."""
    only = {"symbols": ("BTC-PERPETUAL",)}
    settings = desk(slice_interval_s=0.0)
    allow = settings.universe.allow_buy.model_copy(update=only)
    universe = settings.universe.model_copy(update={"allow_buy": allow, "allow_sell": allow})
    rig = Rig(LONG, settings.model_copy(update={"universe": universe})).armed()
    order, decision = first_order(rig)
    refusing(rig, decision, frozenset({order.listing.symbol}), "market_closed")
    refusing(rig, rig.mark(1.0), frozenset(), "")
    assert [(row, way) for row, _, way in rig.state.memory.shut] == [("delta:BTC", -1)]
    by_hand = rig.truth.fill_of(replace(order, quantity=Decimal(1_200_000)), Decimal(1_200_000), rig.now_ns)
    report = TradeReport("", replace(by_hand, trade_id="by hand"))
    rig.truth.book(report)
    rig.send(report)
    assert {str(o.side) for o in rig.mark(2.0).orders} == {"buy"}


def test_quotes_that_are_unsound_for_a_while_cost_a_row_none_of_its_attempts() -> None:
    """Every perpetual, future and spot market is crossed twenty times as often as an attempt may fail, and no
    option may be traded. Once they are sound the row is hedged within a pause, which has not grown."""
    settings = desk(slice_interval_s=0.0)
    denied = settings.universe.deny_buy.model_copy(update={"kinds": ("option",)})
    universe = settings.universe.model_copy(update={"deny_buy": denied, "deny_sell": denied})
    rig = Rig(LONG, settings.model_copy(update={"universe": universe})).armed()
    policy, linear = settings.policy, ~rig.market.universe.is_option
    for _ in range(20 * policy.attempts_max):
        marks = rig.market.step(5.0)
        rig.now_ns += 5 * 10**9
        crossed = replace(
            marks, now_ns=rig.now_ns, bid=np.where(linear, marks.ask * 1.001, marks.bid), depth={}
        )
        rig.answer(rig.send(crossed))
    assert rig.submits() == [] and "delta:BTC" in rig.state.outside.rows
    assert rig.alerts().count("NOT_HEDGED") == 1 and "ROW_HELD" not in rig.alerts()
    assert "crossed" in texts(rig, "NOT_HEDGED")[0]
    rig.answer(rig.mark(policy.attempt_pause_s))
    assert rig.submits() and rig.state.outside.rows == ()
