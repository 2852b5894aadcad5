"""Two options of a ticket as one order: sent, filled, refused, unknown, told by halves, and not let out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hedger.core.actions import AskOrder, Permission, Submit, SubmitCombo
from hedger.core.combos import RATIO_MAX, Half, combined, half_of
from hedger.core.decide import decide
from hedger.core.events import Answer, Verb
from hedger.core.gate import Denied, Situation
from hedger.core.order_life import OrderRecord
from hedger.core.sight import sight_of
from hedger.core.slicing import WorkLeg
from hedger.core.state import State
from hedger.core.turn import Turn
from hedger.engine.recording import entries_of
from hedger.journal.entries import JournalName
from hedger.journal.journal import Journal
from hedger.journal.recovery import recover
from hedger.journal.storage import MemoryDisk, MemoryStorage
from hedger.sections.execution import ExecutionConfig
from hedger.settings import Settings
from pricing.contracts import Kind, Listing, Side
from pricing.market import Depth
from tests import builders
from tests.hedger.rig import CHAIN, SOLVER, TAG, VENUE, Free, Rig, option_symbol, replayed
from venues.orders import ComboOrder, Order, OrderReport, OrderState, OrderUpdate, TradeReport
from venues.simulated import SimulatedMarket

D = Decimal


def options_desk() -> Settings:
    """Bands on vega and gamma so narrow that a short option is hedged with two others."""
    bands = {
        "delta_usd": {"target": 0, "trigger": [-50000, 50000], "landing": [-25000, 25000]},
        "gamma_usd_per_1pct": {"target": 0, "trigger": [-3000, 3000], "landing": [-1500, 1500]},
        "vega_usd_per_point": {"target": 0, "trigger": [-200, 200], "landing": [-100, 100]},
        "vega_bucket_multiple": 1.0,
    }
    no_spot = {"kinds": ("spot",)}
    config = Settings.model_validate(
        {"bands": {"*": bands}, "universe": {"deny_buy": no_spot, "deny_sell": no_spot}}
    )
    return config.model_copy(update={"solver": SOLVER})


class Desk(Rig):
    """A rig whose venue takes combos; the test says what it makes of them."""

    def __init__(self, *gate: Any, combos: bool = True) -> None:
        held = option_symbol(SimulatedMarket(7, settings=CHAIN))
        super().__init__({held: "-20"}, options_desk(), *gate)
        if combos:
            self.settings = replace(self.settings, combos=frozenset({VENUE}))
        self.answer(self.mark())
        self.command(Verb.ARM)
        self.answer(self.mark(1.0))  # up to the first combo, which nobody answers

    def combos(self) -> list[ComboOrder]:
        return [a.order for d in self.decisions for a in d.actions if isinstance(a, SubmitCombo)]

    def singles(self) -> list[Order]:
        """Options that went by themselves."""
        orders = [a.order for d in self.decisions for a in d.actions if isinstance(a, Submit)]
        return [x for x in orders if x.listing.contract.kind is Kind.OPTION]

    def records(self, combo: ComboOrder) -> list[OrderRecord]:
        return [self.state.orders[leg.client_id] for leg in combo.legs]

    def trade(self, combo: ComboOrder, leg: int, units: Decimal) -> TradeReport:
        """The venue fills so many units of one leg, which it tells under the combo's id."""
        order = combo.legs[leg]
        fill = self.truth.fill_of(order, units * order.ratio, self.now_ns)
        report = TradeReport(combo.client_id, fill)
        self.truth.book(report)
        return report

    def over(self, combo: ComboOrder, state: OrderState, units: Decimal, code: str = "") -> OrderUpdate:
        return OrderUpdate(combo.client_id, state, "v-1", units, code)


def test_two_options_that_follow_each_other_go_as_one() -> None:
    desk = Desk()
    (combo,) = desk.combos()
    one, other = combo.legs
    assert not desk.singles() and {one.side, other.side} == {Side.BUY}
    assert (combo.client_id, one.combo, other.combo) == (one.client_id, one.client_id, one.client_id)
    assert combo.price == one.price + other.price
    asks = {x.symbol: float(desk.state.market.ask[i]) for i, x in enumerate(desk.market.universe.listings)}
    assert all(float(leg.price) >= asks[leg.listing.symbol] for leg in combo.legs), (
        "through the touch of both"
    )
    assert [r.reserved for r in desk.records(combo)] == [one.quantity, other.quantity]


def test_both_legs_filled_the_ticket_goes_on_and_comes_to_its_end() -> None:
    desk = Desk()
    (combo,) = desk.combos()
    for leg in (0, 1):
        desk.send(desk.trade(combo, leg, combo.quantity))
    desk.answer(desk.send(desk.over(combo, OrderState.FILLED, combo.quantity)))
    for _ in range(20):
        desk.answer(desk.mark(1.0))
        for later in desk.combos()[1:]:
            if not desk.records(later)[0].settled:
                for leg in (0, 1):
                    desk.send(desk.trade(later, leg, later.quantity))
                desk.answer(desk.send(desk.over(later, OrderState.FILLED, later.quantity)))
    check = next(d.verification for d in desk.decisions if d.verification is not None)
    assert check.filled and check.inside
    held = {s: q for s, q in desk.truth.positions.items() if q}
    assert desk.positions() == held
    assert not {"FILL_BEYOND_ORDER", "OVERFILL", "EXTERNAL", "DRIFT"} & set(desk.alerts())


def test_a_combo_that_finds_nothing_or_is_refused_leaves_its_legs_to_go_singly_at_once() -> None:
    for state, code in ((OrderState.CANCELLED, "immediate_or_cancel"), (OrderState.REJECTED, "no")):
        desk = Desk()
        (combo,) = desk.combos()
        desk.send(desk.over(combo, state, D(0), code))
        (first,) = desk.singles()
        assert first.listing.key == combo.legs[0].listing.key and not first.combo
        for _ in range(20):
            desk.answer(desk.mark(1.0))
        assert len(desk.combos()) == 1, "not tried again in the same execution"
        check = next(d.verification for d in desk.decisions if d.verification is not None)
        assert check.inside and len(desk.singles()) > 1


def test_a_part_of_a_combo_waits_for_the_next_display_and_goes_on_as_a_combo() -> None:
    desk = Desk()
    (combo,) = desk.combos()
    part = combo.legs[0].listing.quantize_quantity(combo.quantity / 2)
    for at in (0, 1):
        desk.send(desk.trade(combo, at, part))
    desk.send(desk.over(combo, OrderState.CANCELLED, part))
    assert len(desk.combos()) == 1 and not desk.singles()
    desk.answer(desk.mark(1.5))
    again = desk.combos()[1]
    parents = {leg.listing.key: leg.quantity for leg in combo.legs}
    for leg in again.legs:
        assert leg.quantity <= parents.get(leg.listing.key, D("Infinity"))


def test_one_leg_told_says_that_the_other_filled_too() -> None:
    desk = Desk()
    (combo,) = desk.combos()
    desk.send(desk.trade(combo, 1, combo.quantity))
    first, second = desk.records(combo)
    assert (second.booked, second.settled) == (combo.legs[1].quantity, True)
    assert (first.booked, first.least, first.state) == (D(0), combo.legs[0].quantity, OrderState.FILLED)
    assert first.reserved == combo.legs[0].quantity, "it counts until its execution is booked"
    assert not desk.singles(), "nothing is sent beside it"
    desk.send(desk.trade(combo, 0, combo.quantity))
    assert all(r.settled for r in desk.records(combo))


def test_an_unknown_combo_counts_in_full_on_every_leg_is_asked_after_once_and_never_sent_again() -> None:
    desk = Desk()
    (combo,) = desk.combos()
    desk.send(OrderUpdate(combo.client_id, OrderState.UNKNOWN, code="timed_out"))
    assert [r.state for r in desk.records(combo)] == [OrderState.UNKNOWN] * 2
    asked = [a for d in desk.decisions for a in d.actions if isinstance(a, AskOrder)]
    assert [a.client_id for a in asked] == [combo.client_id]
    for leg, record in zip(combo.legs, desk.records(combo), strict=True):
        assert record.reserved == leg.quantity and record.asks == 1
        assert desk.state.reserved(VENUE, leg.listing.symbol) == (leg.quantity, D(0))
    for _ in range(8):
        desk.mark(0.5)
    assert desk.combos() == [combo] and not desk.singles()
    line = OrderReport(
        combo.client_id, "v-1", combo.name, Side.BUY, combo.quantity, combo.quantity, combo.price,
        OrderState.FILLED,
    )  # fmt: skip
    desk.send(Answer(VENUE, combo.client_id, line))
    assert [r.least for r in desk.records(combo)] == [leg.quantity for leg in combo.legs]
    trades = tuple(desk.trade(combo, leg, combo.quantity) for leg in (0, 1))
    for _ in range(2):
        desk.send(desk.report(trades=trades))
    assert [r.booked for r in desk.records(combo)] == [leg.quantity for leg in combo.legs]
    assert desk.positions() == {s: q for s, q in desk.truth.positions.items() if q}


def test_a_combo_that_the_venue_never_had_is_given_up_whole() -> None:
    desk = Desk()
    (combo,) = desk.combos()
    desk.send(OrderUpdate(combo.client_id, OrderState.UNKNOWN, code="timed_out"))
    for _ in range(60):
        desk.answer(desk.tick(1.0))
    assert [r.code for r in desk.records(combo)] == ["lost"] * 2
    assert desk.alerts().count("ORDER_LOST") == 2 and "DRIFT" not in desk.alerts()


def test_what_the_legs_come_to_in_all_is_held_against_the_price() -> None:
    """One leg a tick worse, the other two better: within the price. Both a tick worse: beyond it."""
    for worse, alarmed in (((1, -2), False), ((1, 1), True)):
        desk = Desk()
        (combo,) = desk.combos()
        for at, ticks in enumerate(worse):
            report = desk.trade(combo, at, combo.quantity)
            price = combo.legs[at].price + ticks * D("0.0001")
            desk.send(replace(report, fill=replace(report.fill, price=price)))
        assert ("FILL_BEYOND_ORDER" in desk.alerts()) is alarmed


def test_where_no_combos_are_taken_legs_go_singly() -> None:
    desk = Desk(combos=False)
    assert not desk.combos() and desk.singles()


def test_a_leg_that_the_limits_refuse_refuses_the_combo_and_goes_singly_where_it_may() -> None:
    seen: list[tuple[str, Decimal]] = []

    def gate(order: Order, situation: Situation) -> Permission | Denied:
        """The second leg may not go in a combo; what is out when it is judged is noted."""
        if order.combo and order.combo != order.client_id:
            out = [r for r in situation.state.orders.values() if r.order.combo == order.combo]
            seen.extend((r.order.client_id, r.reserved) for r in out)
            return Denied("TEST", "TEST: not in a combo")
        return Free(order)

    desk = Desk(gate)
    assert not desk.combos()
    assert len(seen) == 1 and seen[0][1] > 0, "the first leg counted at its worst when the second was judged"
    assert not [r for r in desk.state.orders.values() if r.order.combo], "nothing of it is on record"
    assert desk.singles()
    refused = [v for d in desk.decisions for v in d.verdicts if not v.approved]
    assert [v.code for v in refused] == ["TEST"]


def test_the_same_events_give_the_same_decisions() -> None:
    desk = Desk()
    first = State.fresh(desk.market.universe, desk_book(desk), {VENUE: desk.start_ns})
    assert replayed(desk, first) == [d.digest for d in desk.decisions]


def desk_book(desk: Desk) -> Any:
    """The book of the beginning, made anew."""
    return Rig({option_symbol(SimulatedMarket(7, settings=CHAIN)): "-20"}, options_desk()).state.book


def journaled(desk: Desk, upto: int | None = None) -> Iterator[Any]:
    """The records of a desk's whole life."""
    state = State.fresh(desk.market.universe, desk_book(desk), {VENUE: desk.start_ns})
    for event in desk.events[:upto]:
        after, decision = decide(state, event, desk.settings)
        yield from entries_of(state, event, after, decision)
        state = after


def test_a_restart_finds_every_leg_as_it_was() -> None:
    """Each leg is an intent of its own, and what was heard of the combo is read back as said of each."""
    desk = Desk()
    (combo,) = desk.combos()
    sent = len(desk.events)
    desk.send(desk.trade(combo, 0, combo.quantity))
    records: list[OrderRecord] = []
    for upto, states in ((sent, [OrderState.UNKNOWN] * 2), (None, [OrderState.FILLED] * 2)):
        storage = MemoryStorage(MemoryDisk(JournalName("paper", TAG)))
        journal = Journal(storage)
        for entry in journaled(desk, upto):
            journal.append(entry)
        journal.sync()
        found = recover(storage)
        records = [found.orders[leg.client_id] for leg in combo.legs]
        assert [r.order for r in records] == list(combo.legs)
        assert [r.state for r in records] == states
        assert records[1].reserved == combo.legs[1].quantity
    assert [(r.booked, r.paid, r.least) for r in records] == [
        (r.booked, r.paid, r.least) for r in desk.records(combo)
    ]


# -------------------------------------------------------------------------------------------------- the ratio


def option(strike: float) -> Listing:
    return builders.listing(builders.option(strike, "C", 30.0), f"BTC-{strike:g}-C", lot="0.1")


def half(strike: float, most: int) -> Half:
    """So many lots could be taken."""
    leg = WorkLeg(int(strike), option(strike), Side.BUY, D(1000), D("0.01"), 0.01, 0.01, 60000.0)
    display = Depth(np.array([0.01]), np.array([1000.0]))
    return Half(leg, display, D(most) / 10, D(0), 1)


def test_ratios_by_hand() -> None:
    """104 and 92 lots: 92 to 92 covers 184 of 196, and 4 to 3 (26 units: 104 to 78) 182. 20 and 5: 4 to 1."""
    for one, other, quantities, ratio in (
        (104, 92, (D("9.2"), D("9.2")), (1, 1)),
        (20, 5, (D("2.0"), D("0.5")), (4, 1)),
        (6, 9, (D("0.6"), D("0.9")), (2, 3)),
        (1, 1, (D("0.1"), D("0.1")), (1, 1)),
    ):
        wishes = combined(half(1.0, one), half(2.0, other))
        assert (wishes[0].quantity, wishes[1].quantity) == quantities
        assert (wishes[0].ratio, wishes[1].ratio) == ratio
    assert combined(half(1.0, 0), half(2.0, 9)) == ()


@given(st.integers(0, 300), st.integers(0, 300))
def test_a_combo_takes_whole_lots_in_its_ratio_and_no_more_than_there_is(one: int, other: int) -> None:
    wishes = combined(half(1.0, one), half(2.0, other))
    assert bool(wishes) == (one > 0 and other > 0)
    if wishes:
        first, second = wishes
        assert first.quantity * second.ratio == second.quantity * first.ratio
        assert first.quantity <= D(one) / 10 and second.quantity <= D(other) / 10
        assert first.quantity % D("0.1") == second.quantity % D("0.1") == 0
        assert max(first.ratio, second.ratio) <= RATIO_MAX
        # as much as the plain ratio would cover at the least
        assert first.quantity + second.quantity >= 2 * min(D(one), D(other)) / 10


def test_a_leg_of_a_combo_reaches_no_further_through_the_touch_than_one_that_goes_alone() -> None:
    """3 lots of a coin at the touch and 100 a cent of a coin behind it, which the ticket's price would allow:
    50 bps of a coin from the touch are half of that way."""
    desk = Desk(combos=False)
    sight = sight_of(Turn(desk.state, desk.settings, desk.events[-1]))
    assert sight is not None
    universe = desk.market.universe
    row = int(np.flatnonzero(universe.is_option & universe.inverse)[0])
    bids, asks = (
        Depth(np.array([price, price + step]), np.array([3.0, 100.0]))
        for price, step in ((0.04, -0.01), (0.05, 0.01))
    )
    market = replace(sight.market, depth={**sight.market.depth, row: (bids, asks)})
    leg = WorkLeg(0, universe.listings[row], Side.BUY, D(1000), D("0.1"), 0.05, 0.05, 60000.0)
    config = ExecutionConfig(participation=1.0, touch_limit_bps=50.0)
    seen = replace(sight, market=market)
    assert half_of(leg, D("0.1"), seen, config).most == 3
    sold = replace(leg, side=Side.SELL, limit=D("0.01"))
    assert half_of(sold, D("0.01"), seen, config).most == 3
    wide = ExecutionConfig(participation=1.0, touch_limit_bps=200.0)
    assert half_of(leg, D("0.1"), seen, wide).most == 103
