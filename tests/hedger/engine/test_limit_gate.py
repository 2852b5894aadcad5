"""The engine's orders before the hard limits: let out as without them, or denied for a reason that holds; and
what an order would do to its account's margin."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from decimal import Decimal
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hedger.core.actions import Permission, Submit
from hedger.core.decision import Decision
from hedger.core.gate import Denied, Situation, Then
from hedger.core.order_life import OrderRecord
from hedger.core.order_margin import order_margin
from hedger.core.state import frozen
from hedger.engine.limit_gate import LimitGate
from hedger.engine.order_request import Units
from hedger.margin_tables import margin_terms
from hedger.problem.snapshot import Missing
from pricing.contracts import Kind, Listing, Option, Side
from pricing.valuation import MarkStatus
from risk.limit_terms import AgeLimits, BudgetLimits, Limits, PermissionLimits, RateLimits
from risk.limits import Approved
from risk.margin_terms import MarginModel, MarginTerms
from risk.missing import MissingSettings
from tests.hedger.rig import VENUE, Rig, desk, option_symbol
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
    assert {v.code for v in decision.verdicts} == {code}  # others are tried, where the reason is of this one
    assert "nothing was sent" in decision.verdicts[0].text
    assert rig.submits() == []


@pytest.mark.parametrize("through", [True, False])
def test_our_own_order_is_not_met_whatever_the_venue_prevents(through: bool) -> None:
    """Where a venue has no self-trade prevention, nothing else stands between two orders of ours."""
    _, _, order, situation = asked()
    one_tick = order.listing.tick_steps.at(order.price) * order.side.sign
    price = order.price if through else order.price + one_tick
    side = Side.SELL if order.side is Side.BUY else Side.BUY
    other = replace(order, client_id="o-0-0-0", side=side, price=price, leg=0)
    orders = {**situation.state.orders, other.client_id: OrderRecord(other, 0, situation.state.monotonic_ns)}
    situation = replace(situation, state=replace(situation.state, orders=frozen(orders)))
    found = LimitGate(WIDE, {VENUE: True})(order, situation)
    if through:
        assert code_of(found) == "SELF_TRADE"
    else:
        assert isinstance(found, Approved)


@pytest.mark.parametrize(("late_s", "offset_s"), [(5.6, 0.0), (0.0, 1.2), (0.0, -1.2), (5.6, None)])
def test_clocks_are_as_far_apart_as_was_measured_and_not_as_a_report_was_slow(
    late_s: float, offset_s: float | None
) -> None:
    """A report may be stamped seconds before it comes; without a measurement that is the most it can be."""
    _, _, order, situation = asked()
    known = situation.state.venues[VENUE]
    apart_ns = None if offset_s is None else round(offset_s * 1e9)
    slow = replace(known, venue_ns=known.venue_ns - round(late_s * 1e9), clock_offset_ns=apart_ns)
    state = replace(situation.state, venues=frozen({**situation.state.venues, VENUE: slow}))
    found = LimitGate(WIDE, {VENUE: True})(order, replace(situation, state=state))
    if offset_s == 0.0:
        assert isinstance(found, Approved)
    else:
        assert code_of(found) == "CLOCK_OFFSET"


def in_parts(limit: Limits) -> Rig:
    """A minute of an engine that cuts its legs by these limits, all it sends being filled."""
    watched = Watched(limit)
    rig = Rig(LONG, gate=watched)
    rig.settings = replace(rig.settings, largest=watched.gate.largest)
    rig.armed()
    for _ in range(60):
        rig.answer(rig.mark(1.0))
    return rig


@pytest.mark.parametrize("order", [{"notional_usd_max": 45_000.0}, {"coin_max": 0.5}])
def test_a_hedge_larger_than_one_order_may_be_leaves_in_parts(order: dict[str, float]) -> None:
    """LONG is 400,000 USD, its trigger 100,000 and its landing 50,000: eight parts at least. The gate that
    says yes to each of them is the one that refuses the whole above."""
    rig = in_parts(limits(margin={"unproven_venues": frozenset({VENUE})}, order=order))
    assert {v.code for d in rig.decisions for v in d.verdicts} == {""}
    assert len(rig.submits()) >= 8 and rig.state.execution is None
    assert rig.state.counters.executions == 1
    sizes = [o.quantity for o in rig.submits() if o.listing.symbol == "BTC-PERPETUAL"]
    assert sizes and ("coin_max" in order or 44_000 < max(sizes) < 46_000)


def test_an_order_without_credit_waits_and_its_ticket_goes_on() -> None:
    """Two orders' credit beside the cancels', and one more every five seconds."""
    rate = {"*": RateLimits(orders_per_s=0.2, burst=7, cancel_reserve=5)}
    rig = in_parts(
        replace(
            limits(margin={"unproven_venues": frozenset({VENUE})}, order={"notional_usd_max": 45_000.0}),
            rate=rate,
        )
    )
    codes = [v.code for d in rig.decisions for v in d.verdicts]
    assert "RATE_CREDITS" in codes and set(codes) == {"", "RATE_CREDITS"}
    assert rig.state.counters.executions == 1 and len(rig.submits()) >= 5
    sent_ns = [r.since_ns for r in rig.state.orders.values()]
    assert all(sum(at <= x <= at + 20 * 10**9 for x in sent_ns) <= 2 + 4 for at in sent_ns)
    assert "ORDER_DENIED" not in rig.alerts()


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


# ------------------------------------------------------------------------------------------- odd situations


def test_an_order_of_no_leg_is_refused_and_not_a_fault_of_the_program() -> None:
    _, watched, order, situation = asked()
    for odd in (replace(order, leg=99), replace(order, listing=replace(order.listing, symbol="OTHER"))):
        assert code_of(watched.gate(odd, situation)) == "CHILD_AGAINST_PARENT"
    bare = replace(situation, execution=replace(situation.execution, legs=()))
    assert code_of(watched.gate(order, bare)) == "CHILD_AGAINST_PARENT"


def test_a_venue_that_nobody_knows_is_refused() -> None:
    _, watched, order, situation = asked()
    alone = replace(situation, state=replace(situation.state, venues={}))
    assert code_of(watched.gate(order, alone)) == "INPUT_MISSING"


def test_a_further_leg_that_is_not_listed_any_more_is_refused() -> None:
    _, watched, order, situation = asked()
    (leg,) = situation.execution.legs
    gone = replace(leg, number=1, listing=replace(leg.listing, symbol="GONE"))
    execution = replace(situation.execution, legs=(leg, gone))
    assert code_of(watched.gate(order, replace(situation, execution=execution))) == "INPUT_MISSING"


def test_an_order_that_is_out_on_what_is_not_listed_is_refused() -> None:
    rig, watched, order, situation = asked()
    (record,) = rig.state.orders.values()
    strange = replace(record.order, client_id="htest-1-0-0", listing=replace(order.listing, symbol="GONE"))
    state = situation.state.with_order(replace(record, order=strange, state=OrderState.UNKNOWN))
    assert code_of(watched.gate(order, replace(situation, state=state))) == "INPUT_MISSING"
    view = order_margin(order, replace(situation, state=state), MarginModel.STANDARD, like_deribit())
    assert view is not None
    assert not view.proven
    assert "GONE" in view.reason


# ---------------------------------------------------------------------- positions without a usable mark


def unmarked(quantity: str) -> tuple[Watched, Order, Situation, str, str]:
    """An order on a book that also holds an option nobody quotes any more; its symbol and coin."""
    watched = Watched()
    rig = Rig(LONG, gate=watched).armed()
    symbol = option_symbol(rig.market)
    listing = next(x for x in rig.market.universe.listings if x.symbol == symbol)
    rig = Rig(LONG | {symbol: quantity}, gate=watched).armed()
    hedged(rig)
    order, situation = watched.asked[-1]
    snapshot = situation.snapshot
    row = snapshot.market.universe.positions[listing.key]
    status = snapshot.valuation.status.copy()
    status[row] = MarkStatus.STALE
    value = situation.value - snapshot.exposure.owned[:, row] * float(quantity)
    blind = replace(
        snapshot,
        missing=(Missing(VENUE, symbol, MarkStatus.STALE.reason, 999.0),),
        exposure=replace(snapshot.exposure, missing=(row,), value=value),
        valuation=replace(snapshot.valuation, status=status),
    )
    return watched, order, replace(situation, snapshot=blind, value=value), symbol, "BTC"


def test_a_position_without_a_mark_counts_at_its_worst_where_that_has_a_bound() -> None:
    """One call or put of 1 coin: |delta| from 0 to 1, so that the worst of the row is told to a coin."""
    watched, order, situation, symbol, coin = unmarked("1")
    at = situation.snapshot.exposure.rows.index(f"delta:{coin}")
    spot = situation.snapshot.spot[coin]
    known = float(situation.value[at])
    assert isinstance(watched.gate(order, situation), Approved)
    # the order sells what is long: the low end is the side it moves
    option = next(x for x in situation.market.universe.listings if x.symbol == symbol).contract
    assert isinstance(option, Option)
    low = known + min(0.0, float(option.right.sign)) + float(situation.effect[at])
    edge = max(-low, 0.0) * spot
    for most, out in ((edge * 1.0001 + 1.0, True), (edge * 0.9999 - 1.0, False)):
        if most < 0.0:
            continue
        own = limits(margin={"unproven_venues": frozenset({VENUE})}, greeks={"delta_usd_max": most})
        found = LimitGate(own, {VENUE: True})(order, situation)
        assert isinstance(found, Approved) is out
        if not out:
            assert code_of(found) == "LIMIT_DELTA_EXCEEDED"
            assert isinstance(found, Denied)
            assert symbol in found.text


def test_an_inverse_contract_without_a_forward_counts_at_the_most_coins_it_can_be() -> None:
    """A dollar at a forward of 0.8 of the index is 1.25 dollars of notional at the index."""
    _, _, order, situation = asked()
    snapshot = situation.snapshot
    forward = snapshot.valuation.forward.copy()
    forward[situation.row] = math.nan
    blind = replace(snapshot, valuation=replace(snapshot.valuation, forward=forward))
    units = Units.of(blind, MissingSettings())
    assert units.usd_of(order.listing.key) == pytest.approx(1.25, rel=1e-12)
    assert math.isnan(units.usd_of(("elsewhere", "X")))


def test_where_its_worst_has_no_bound_nothing_of_its_coin_leaves() -> None:
    """Expired, without a mark and not settled: nobody can say what it is."""
    watched, order, situation, symbol, _ = unmarked("1")
    option = next(x for x in situation.market.universe.listings if x.symbol == symbol)
    found = watched.gate(order, replace(situation, market=replace(situation.market, now_ns=option.expiry_ns)))
    assert code_of(found) == "INPUT_MISSING"
    assert isinstance(found, Denied)
    assert "delta:BTC" in found.text
    assert symbol in found.text


# -------------------------------------------------------------------- worst of everything that may still fill


@cache
def many() -> tuple[Order, Situation, tuple[Listing, ...]]:
    """An order and its situation, asked once; and four listings of its coin, with and without a strike."""
    rig, _, order, situation = asked()
    mine = [x for x in rig.market.universe.listings if x.contract.underlying == "BTC"]
    options = [x for x in mine if x.contract.kind is Kind.OPTION]
    plain = [x for x in mine if x.contract.kind in (Kind.PERPETUAL, Kind.FUTURE)]
    return order, situation, (*plain, *options[2:6])[:4]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 3), st.integers(-30, 30).filter(bool), st.sampled_from(["", "b"]), st.booleans()
        ),
        max_size=4,
    ),
    st.floats(1e5, 6e5),
)
def test_no_way_of_filling_takes_an_approved_book_beyond_its_delta(
    out: list[tuple[int, int, str, bool]], delta_usd_max: float
) -> None:
    """Inverse perpetuals and options, open or UNKNOWN, on two accounts: the rows after each subset of them,
    added up by themselves."""
    order, situation, listings = many()
    own = limits(margin={"unproven_venues": frozenset({VENUE})}, greeks={"delta_usd_max": delta_usd_max})
    records = []
    for k, (which, lots, account, unknown) in enumerate(out):
        listing = listings[which]
        units = abs(lots) * listing.lot * (1000 if listing.unit == "USD" else 1)
        other = replace(
            order,
            client_id=f"htest-{k}-7-0",
            listing=listing,
            side=Side.BUY if lots > 0 else Side.SELL,
            quantity=units,
            account=account,
        )
        kind = OrderState.UNKNOWN if unknown else OrderState.OPEN
        records.append(OrderRecord(other, 999, situation.state.monotonic_ns, state=kind))
    orders = frozen({r.order.client_id: r for r in records})
    asked_of = replace(situation, state=replace(situation.state, orders=orders))
    found = LimitGate(own, {VENUE: True})(order, asked_of)
    if isinstance(found, Denied) and found.code.startswith("LIMIT_"):
        return
    snapshot = situation.snapshot
    row, spot = snapshot.exposure.rows.index("delta:BTC"), snapshot.spot["BTC"]
    positions = snapshot.market.universe.positions
    ends = []
    for chosen in itertools.product((0, 1), repeat=len(records)):
        moved = float(situation.value[row]) + float(situation.effect[row])
        for record, c in zip(records, chosen, strict=True):
            if c:
                at = positions[record.order.listing.key]
                moved += float(snapshot.exposure.traded[row, at]) * float(record.order.signed)
        ends.append(moved * spot)
    # a sale can only move the low end out
    assert min(ends) >= -delta_usd_max * (1 + 1e-9)


# ------------------------------------------------------------------------------------ margin of an order


def test_accounts_lend_each_other_no_margin() -> None:
    """The same long position split over two accounts: the account of the order is asked for its part."""
    rig, _, order, situation = asked()
    book = rig.state.book
    (key,) = [k for k, p in book.positions.items() if p.quantity]
    whole = book.positions[key]
    third = replace(whole, quantity=Decimal(100_000), paid=whole.paid / 4)
    rest = replace(whole, quantity=Decimal(300_000), paid=whole.paid * 3 / 4, account="b")
    split = replace(book, positions={third.key: third, rest.key: rest})
    there = replace(situation, state=replace(situation.state, book=split))
    mark = situation.snapshot.valuation.forward[situation.row]
    for account, units in (("", 100_000), ("b", 300_000)):
        view = order_margin(replace(order, account=account), there, MarginModel.STANDARD, like_deribit())
        assert view is not None
        coins = units / mark
        assert view.initial_before == pytest.approx(coins * (0.02 + 0.00005 * coins), rel=1e-9)


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


def test_positions_too_old_pass_by_themselves_and_a_size_does_not() -> None:
    _, _, order, situation = asked()
    for own, then in (
        (replace(WIDE, age=AgeLimits(positions_s_max=0.0)), Then.BACK_OFF),
        (
            replace(
                WIDE, age=AgeLimits(positions_s_max=0.0), order=limits(order={"notional_usd_max": 1.0}).order
            ),
            Then.SET_ASIDE,
        ),
    ):
        found = LimitGate(own, {VENUE: True})(order, situation)
        assert isinstance(found, Denied)
        assert found.then is then
