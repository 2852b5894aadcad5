"""The engine's orders before the hard limits: let out as without them, or denied for a reason that holds; and
what an order would do to its account's margin."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal

import pytest

from hedger.core.actions import Permission, Submit
from hedger.core.decision import Decision
from hedger.core.gate import Denied, Situation
from hedger.core.order_margin import order_margin
from hedger.engine.limit_gate import LimitGate
from hedger.margin_tables import margin_terms
from pricing.contracts import Side
from risk.limit_terms import AgeLimits, BudgetLimits, Limits, PermissionLimits, RateLimits
from risk.limits import Approved
from risk.margin_terms import MarginModel, MarginTerms
from tests.hedger.rig import VENUE, Rig, desk
from tests.risk.limit_desk import limits
from venues.orders import Order, OrderState, TimeInForce

LONG = {"BTC-PERPETUAL": "400000"}
MIXED = {"BTC-PERPETUAL": "400000", "ETH-PERPETUAL": "-300000"}
WIDE = limits(margin={"unproven_venues": frozenset({VENUE})})


def like_deribit() -> MarginTerms:
    terms = margin_terms("deribit", 1_770_000_000 * 10**9)
    assert terms is not None
    return terms


class Watched:
    """A gate that keeps what it was asked."""

    def __init__(self, limit: Limits = WIDE, *, told: bool = True) -> None:
        self.gate = LimitGate(limit, {VENUE: True} if told else {})
        self.asked: list[tuple[Order, Situation]] = []

    def __call__(self, order: Order, situation: Situation) -> Permission | Denied:
        self.asked.append((order, situation))
        return self.gate(order, situation)


def hedged(rig: Rig) -> Decision:
    """Marks until an order is decided."""
    for _ in range(10):
        decision = rig.mark(20.0)
        if decision.verdicts:
            return decision
        rig.answer(decision)
    raise AssertionError("no hedge came due")


def asked(book: dict[str, str] | None = None) -> tuple[Rig, Watched, Order, Situation]:
    """A rig that has just decided its first order, and what the gate was asked then."""
    watched = Watched()
    rig = Rig(book or LONG, gate=watched).armed()
    hedged(rig)
    return rig, watched, *watched.asked[-1]


def code_of(found: Permission | Denied) -> str:
    assert isinstance(found, Denied)
    assert "nothing was sent" in found.text
    return found.code


@pytest.mark.parametrize("book", [LONG, MIXED])
def test_with_wide_limits_the_engine_does_what_it_does_without(book: dict[str, str]) -> None:
    free, watched = Rig(book).armed(), Watched()
    rig = Rig(book, gate=watched).armed()
    for one in (free, rig):
        for _ in range(6):
            one.answer(one.mark(20.0))
    assert watched.asked
    assert [v.code for d in rig.decisions for v in d.verdicts if v.code] == []
    assert [d.digest for d in rig.decisions] == [d.digest for d in free.decisions]
    assert rig.state.execution is None
    permissions = [a.approved for d in rig.decisions for a in d.actions if isinstance(a, Submit)]
    assert permissions
    assert all(isinstance(p, Approved) for p in permissions)


#: limits, whether the venue's self-trade prevention is known, the code that refuses
REFUSALS: list[tuple[Limits, bool, str]] = [
    (Limits(), True, "MARGIN_UNKNOWN"),
    (WIDE, False, "SELF_TRADE_PREVENTION_OFF"),
    (
        replace(WIDE, permission=PermissionLimits(underlyings=frozenset({"ETH"}))),
        True,
        "UNDERLYING_NOT_ALLOWED",
    ),
    (limits(order={"notional_usd_max": 1_000.0}), True, "ORDER_NOTIONAL"),
    (limits(order={"coin_max": 0.001}), True, "ORDER_TOO_LARGE"),
    (replace(WIDE, budget=BudgetLimits(fee_usd_max=0.0)), True, "BUDGET_FEES"),
    (replace(WIDE, rate={"*": RateLimits(cancel_reserve=20)}), True, "RATE_CREDITS"),
    (replace(WIDE, age=AgeLimits(positions_s_max=0.0)), True, "STALE_POSITIONS"),
]


@pytest.mark.parametrize(("limit", "told", "code"), REFUSALS, ids=[code for *_, code in REFUSALS])
def test_an_order_beyond_a_limit_is_denied_with_its_code(limit: Limits, told: bool, code: str) -> None:
    rig = Rig(LONG, gate=Watched(limit, told=told)).armed()
    decision = hedged(rig)
    assert decision.orders == ()
    assert [v.code for v in decision.verdicts] == [code]
    assert "nothing was sent" in decision.verdicts[0].text
    assert rig.submits() == []


def test_the_same_order_again_is_denied_while_the_first_is_out() -> None:
    rig, watched, order, situation = asked()
    assert [r.state for r in rig.state.orders.values()] == [OrderState.INTENT]
    again = replace(order, client_id="htest-99-0-1")
    assert code_of(watched.gate(again, replace(situation, state=rig.state))) == "DUPLICATE_INTENT"


def test_an_order_turned_round_is_found_by_the_second_path() -> None:
    """A buy in place of the sale, its leg turned with it: the bump of a price tells that it does not help."""
    _, watched, order, situation = asked()
    assert isinstance(watched.gate(order, situation), Approved)
    bought = replace(order, side=Side.BUY)
    legs = tuple(replace(leg, side=Side.BUY) for leg in situation.execution.legs)
    turned = replace(situation, execution=replace(situation.execution, legs=legs), effect=-situation.effect)
    assert code_of(watched.gate(bought, turned)) == "HEDGE_NO_PROGRESS"


def test_an_order_that_takes_as_a_maker_is_denied_and_one_that_rests_is_not() -> None:
    _, watched, order, situation = asked()
    maker = replace(order, post_only=True, time_in_force=TimeInForce.GTC)
    assert code_of(watched.gate(maker, situation)) == "MAKER_CROSSES"
    rig = Rig(LONG, desk(passive_seconds=60.0), gate=Watched()).armed()
    decision = hedged(rig)
    assert [v.code for v in decision.verdicts] == [""]
    assert decision.orders[0].post_only


def test_parts_of_a_leg_beyond_the_leg_are_denied() -> None:
    _, watched, order, situation = asked()
    leg = next(leg for leg in situation.execution.legs if leg.number == order.leg)
    smaller = replace(leg, quantity=order.quantity - order.listing.lot)
    execution = replace(situation.execution, legs=(smaller,))
    assert code_of(watched.gate(order, replace(situation, execution=execution))) == "CHILDREN_EXCEED_PARENT"


# ------------------------------------------------------------------------------------ margin of an order


def bought(order: Order) -> Order:
    return replace(order, side=Side.BUY, client_id="htest-99-0-1")


@pytest.mark.parametrize("model", list(MarginModel))
def test_margin_counts_an_order_at_its_worst(model: MarginModel) -> None:
    """Against a long position a sale may not fill, and then nothing is freed; a buy may fill."""
    rig, _, order, situation = asked()
    sale = order_margin(order, situation, model, like_deribit())
    buy = order_margin(bought(order), situation, model, like_deribit())
    assert sale is not None
    assert buy is not None
    assert sale.initial_after == sale.initial_before > 0.0
    assert buy.initial_before == sale.initial_before < buy.initial_after
    assert sale.proven is (model is MarginModel.STANDARD)
    if model is MarginModel.STANDARD:
        assert rig.state.snapshot is not None
        mark = rig.state.snapshot.valuation.forward[situation.row]
        held, more = 400_000 / mark, (400_000 + float(order.quantity)) / mark
        assert sale.initial_before == pytest.approx(held * (0.02 + 0.00005 * held), rel=1e-9)
        assert buy.initial_after == pytest.approx(more * (0.02 + 0.00005 * more), rel=1e-9)


def test_orders_that_are_out_count_with_it() -> None:
    rig, _, order, situation = asked()
    (record,) = rig.state.orders.values()
    out = replace(record, order=bought(record.order), state=OrderState.UNKNOWN)
    lost = rig.state.with_order(out)
    alone = order_margin(bought(order), situation, MarginModel.STANDARD, like_deribit())
    both = order_margin(bought(order), replace(situation, state=lost), MarginModel.STANDARD, like_deribit())
    assert alone is not None
    assert both is not None
    assert both.initial_after > alone.initial_after
    assert both.initial_before == alone.initial_before
    assert out.reserved == order.quantity > Decimal(0)
    # a sale that is out and larger than the position: 500,000 USD short at worst
    sold = rig.state.with_order(replace(record, order=replace(record.order, quantity=Decimal(900_000))))
    short = order_margin(order, replace(situation, state=sold), MarginModel.STANDARD, like_deribit())
    assert short is not None
    assert rig.state.snapshot is not None
    mark = rig.state.snapshot.valuation.forward[situation.row]
    coins = (500_000 + float(order.quantity)) / mark
    assert short.initial_after == pytest.approx(coins * (0.02 + 0.00005 * coins), rel=1e-9)


def test_margin_is_unknown_without_terms_and_without_a_balance() -> None:
    rig, _, order, situation = asked()
    assert order_margin(order, situation, MarginModel.STANDARD, None) is None
    none = order_margin(order, situation, MarginModel.STANDARD, MarginTerms(VENUE))
    assert none is not None
    assert not none.proven
    assert math.isnan(none.initial_after)
    assert "no standard margin terms for BTC" in none.reason
    snapshot = situation.snapshot
    blind = replace(snapshot.valuation, forward=snapshot.valuation.forward * math.nan)
    dark = replace(situation, snapshot=replace(snapshot, valuation=blind))
    unknown = order_margin(order, dark, MarginModel.STANDARD, like_deribit())
    assert unknown is not None
    assert not unknown.proven
    assert math.isnan(unknown.balance_before)
    assert rig.state.execution is not None
