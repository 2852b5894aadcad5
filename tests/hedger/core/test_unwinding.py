"""A ticket that fails on its way: what was done of it is taken back, as far as it must be."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from hedger.core.actions import Permission
from hedger.core.decision import Decision
from hedger.core.events import Verb
from hedger.core.gate import Denied, Gate, Situation
from hedger.core.unwinding import net_filled
from pricing.contracts import Kind, Side
from tests.hedger.rig import SECOND, VENUE, Free, Rig, desk, free
from venues.orders import Order, OrderState, OrderUpdate


def hedged_options(gate: Gate = free, **execution: object) -> Rig:
    """Options sold and their delta hedged with the perpetual: vega is out, delta is not. Bringing vega in
    takes options, which move delta out, and the perpetual, which moves it back. One option may be traded."""
    market = Rig({}).market
    symbol = next(
        x.symbol
        for x, sign, years in zip(
            market.universe.listings, market.universe.sign.tolist(), market.universe.expiry_ns, strict=True
        )
        if x.contract.underlying == "BTC" and sign > 0 and years - market.now_ns > 20 * 86_400 * SECOND
    )
    others = [x.symbol for x in market.universe.listings if x.contract.kind is Kind.OPTION]
    denied = {"kinds": ("spot", "future"), "symbols": tuple(x for x in others if x != symbol)}
    settings = desk(slice_interval_s=0.0, **execution)
    universe = settings.universe.model_copy(
        update={
            side: getattr(settings.universe, side).model_copy(update=denied)
            for side in ("deny_buy", "deny_sell")
        }
    )
    settings = settings.model_copy(update={"universe": universe})
    one = Rig({symbol: "-1"})
    one.mark()
    snapshot = one.state.snapshot
    assert snapshot is not None
    rows, positions = snapshot.exposure.rows, snapshot.market.universe.positions
    vega, delta = (float(snapshot.exposure.value[rows.index(f"{name}:BTC")]) for name in ("vega", "delta"))
    edge = float(snapshot.bands.trigger_lower[rows.index("vega:BTC")])
    short = round(1.04 * edge / vega, 1)  # 4 % beyond the edge
    unit = float(snapshot.exposure.traded[rows.index("delta:BTC"), positions[(VENUE, "BTC-PERPETUAL")]])
    hedge = round(-short * delta / unit / 10) * 10
    rig = Rig({symbol: f"-{short}", "BTC-PERPETUAL": str(hedge)}, settings, gate)
    return rig.armed()


def only_the_first_leg(order: Order, situation: Situation) -> Permission | Denied:
    """Limits that refuse every leg of the ticket but its first, and let what is taken back through."""
    ticket = [leg.number for leg in situation.execution.planned]
    if order.leg in ticket[1:]:
        return Denied("C4_ORDER_SIZE", "C4_ORDER_SIZE: no; nothing was sent")
    return Free(order)


def run(rig: Rig, seconds: float = 5.0, marks: int = 12) -> None:
    for _ in range(marks):
        if rig.state.execution is None:
            return
        rig.answer(rig.mark(seconds))


def ticket_of(rig: Rig) -> Decision:
    return next(d for d in rig.decisions if d.ticket is not None and d.ticket.legs)


def net(rig: Rig) -> dict[str, Decimal]:
    """What all executions of the venue come to, by symbol."""
    found: dict[str, Decimal] = {}
    for report in rig.truth.trades:
        symbol = report.fill.listing.symbol
        found[symbol] = found.get(symbol, Decimal(0)) + report.fill.signed
    return {symbol: x for symbol, x in found.items() if x}


def test_a_ticket_of_two_legs_writes_how_far_out_the_book_stands_between_them() -> None:
    rig = hedged_options()
    decision = rig.mark(20.0)
    execution = rig.state.execution
    assert execution is not None and len(execution.legs) >= 2
    before, *between, after = [state.out for state in execution.interim]
    assert min(between) > before and after == pytest.approx(0.0, abs=1e-6)
    assert decision.ticket is not None
    assert all("band widths outside, margin" in line for line in decision.ticket.unwind)


def test_legs_done_are_taken_back_when_the_rest_is_refused() -> None:
    rig = hedged_options(only_the_first_leg)
    rig.answer(rig.mark(20.0))
    run(rig)
    decision = ticket_of(rig)
    assert decision.ticket is not None and len(decision.ticket.legs) >= 2
    (check, *_) = [d.verification for d in rig.decisions if d.verification is not None]
    assert check.ended == "refused: C4_ORDER_SIZE" and not check.filled
    # The way back: what was traded first is traded back, by its own order, until the book is no worse.
    symbols = [o.listing.symbol for o in rig.submits()[:2]]
    sides = [o.side for o in rig.submits()[:2]]
    assert symbols[0] == symbols[1] and sides[0] is not sides[1]
    assert "LEGS_LEFT" not in rig.alerts() and check.cost.unwound != 0.0
    assert any(x.unwound for x in check.rows)
    for row in check.rows:
        parts = row.unfilled + row.rounding + row.unwound + row.external + row.paid + row.market
        assert row.promised + parts == pytest.approx(row.actual, rel=1e-9, abs=1e-9)


def test_what_was_sold_and_bought_again_is_taken_back_once() -> None:
    """Plans after the first may turn round: sold 21.3, bought 19.5 again, 1.8 are left to buy."""
    rig = hedged_options()
    rig.mark(20.0)
    execution = rig.state.execution
    assert execution is not None
    option = next(leg for leg in execution.legs if leg.listing.contract.kind is Kind.OPTION)
    other = next(leg for leg in execution.legs if leg.listing.key != option.listing.key)
    sold = replace(option, side=Side.SELL, filled=Decimal("21.3"), paid=Decimal("1"))
    bought = replace(option, side=Side.BUY, filled=Decimal("19.5"), paid=Decimal("1"))
    rest = replace(other, filled=Decimal(10), paid=Decimal(10))
    assert net_filled((sold, rest, bought)) == [(rest, Decimal(10)), (sold, Decimal("1.8"))]
    more = replace(bought, filled=Decimal("21.3"))
    assert net_filled((sold, rest, more)) == [(rest, Decimal(10))]


def test_legs_that_cannot_be_taken_back_are_told() -> None:
    allowed: list[str] = []

    def once(order: Order, situation: Situation) -> Permission | Denied:
        """Lets one order out, and no other."""
        if allowed and order.client_id not in allowed:
            return Denied("C4_ORDER_SIZE", "C4_ORDER_SIZE: no; nothing was sent")
        allowed.append(order.client_id)
        return Free(order)

    rig = hedged_options(once)
    rig.answer(rig.mark(20.0))
    run(rig)
    assert rig.state.execution is None and len(rig.submits()) == 1
    assert "LEGS_LEFT" in rig.alerts()


def test_a_pause_takes_nothing_back_and_says_so() -> None:
    rig = hedged_options()
    decision = rig.mark(20.0)
    (order,) = decision.orders
    rig.command(Verb.PAUSE)
    rig.truth.take(order)
    trade = rig.truth.fill(order.client_id, order.quantity, rig.now_ns)
    assert trade is not None
    rig.answer(rig.send(trade))
    rig.answer(rig.send(rig.truth.update(order.client_id)))
    assert rig.state.execution is None and len(rig.submits()) == 1
    assert "LEGS_LEFT" in rig.alerts()


def test_a_leg_that_helped_by_itself_is_kept() -> None:
    """Refused by the venue after a part of its one leg: the book is nearer than before, nothing goes back."""
    rig = Rig({"BTC-PERPETUAL": "400000"}, desk(rejects_max=1, slice_interval_s=0.0)).armed()
    (order,) = rig.mark(20.0).orders
    rig.truth.take(order)
    part = rig.truth.fill(order.client_id, order.listing.quantize_quantity(order.quantity / 2), rig.now_ns)
    assert part is not None
    rig.truth.cancel(order.client_id)
    rig.send(part)
    rig.send(rig.truth.update(order.client_id))
    for _ in range(6):
        for later in rig.mark(5.0).orders:
            rig.send(OrderUpdate(later.client_id, OrderState.REJECTED, code="insufficient_margin"))
        if rig.state.execution is None:
            break
    assert rig.state.execution is None and "LEGS_LEFT" not in rig.alerts()
    assert {o.side for o in rig.submits()} == {order.side}
    assert net(rig) == {order.listing.symbol: part.fill.signed}
