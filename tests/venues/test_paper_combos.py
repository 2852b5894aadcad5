"""Combos on the paper venue: numbers by hand, and that no leg ever fills without the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.contracts import ComboRule, Listing, Side
from pricing.universe import Universe
from tests import builders
from tests.builders import Quote, marks_of
from tests.venues.paper_desk import BUY, IOC, SECOND, SELL, START, TERMS, D, account, answer, send
from tests.venues.paper_desk import order as single
from venues.base import Capabilities
from venues.orders import ComboOrder, Order, OrderReport, OrderState, OrderUpdate, TimeInForce, TradeReport
from venues.paper_exchange import PaperExchange
from venues.paper_faults import Fault, FaultKind
from venues.paper_log import Happened
from venues.paper_orders import Code

EXPIRY = START + 20 * 86_400 * SECOND
Levels = Sequence[tuple[float, float]]


def option(strike: float, symbol: str, lot: str = "0.1", rule: ComboRule = ComboRule.NONE) -> Listing:
    contract = replace(builders.option(strike, "C", 20.0), expiry_ns=EXPIRY)
    return builders.listing(
        contract, symbol, lot=lot, ticks="0:0.0001;0.005:0.0005", maker="0.0003", taker="0.0003", cap="0.125",
        combo=rule,
    )  # fmt: skip


#: A call of 60,000 asked at 0.0300, then 0.0310; one of 70,000 bid at 0.0105, then 0.0100.
LOW_ASKS: Levels = [(0.0300, 2.0), (0.0310, 5.0)]
HIGH_BIDS: Levels = [(0.0105, 3.0), (0.0100, 5.0)]


class Desk:
    """A venue of two calls, in whose books these levels stand on both sides."""

    def __init__(
        self,
        asks: Levels = LOW_ASKS,
        bids: Levels = HIGH_BIDS,
        *,
        rule: ComboRule = ComboRule.CHEAPER_SIDE_FREE,
        lots: tuple[str, str] = ("0.1", "0.1"),
        faults: Sequence[Fault] = (),
        **terms: Any,
    ) -> None:
        self.low = option(60_000.0, "BTC-60000-C", lots[0], rule)
        self.high = option(70_000.0, "BTC-70000-C", lots[1], rule)
        universe = Universe.of([self.low, self.high])
        stated = replace(TERMS, **{"combos": True} | terms)
        self.exchange = PaperExchange("deribit", universe, stated, START, faults=faults)
        quotes = [
            Quote(self.low, 0.0290, asks[0][0], 0.0295, index=60_000.0, bids=[(0.0290, 50.0)], asks=asks),
            Quote(self.high, bids[0][0], 0.0120, 0.0110, index=60_000.0, bids=bids, asks=[(0.0120, 50.0)]),
        ]  # fmt: skip
        self.exchange.feed(marks_of(quotes, [0, 1], START, 1))
        self.exchange.advance(START)

    def combo(
        self, units: str, low_price: str, high_price: str, ratio: tuple[int, int] = (1, 1), name: str = "1"
    ) -> ComboOrder:
        """Buys the low strike and sells the high one, no worse in all than at these prices."""
        first = f"hdesk-900{name}-0-0"
        buy = self.leg(self.low, BUY, D(units) * ratio[0], low_price, first, first, ratio[0])
        sell = self.leg(
            self.high, SELL, D(units) * ratio[1], high_price, f"hdesk-900{name}-1-0", first, ratio[1]
        )
        return ComboOrder((buy, sell))

    @staticmethod
    def leg(
        listing: Listing, side: Side, quantity: Decimal, price: str, client_id: str, combo: str, ratio: int
    ) -> Order:
        return Order(client_id, listing, side, quantity, D(price), IOC, combo=combo, ratio=ratio)

    def send(self, combo: ComboOrder) -> OrderUpdate:
        result = answer(self.exchange, self.exchange.submit(combo, self.exchange.now_ns))
        assert isinstance(result, OrderUpdate)
        return result

    def trades(self) -> tuple[TradeReport, ...]:
        return account(self.exchange).trades

    def done(self) -> list[tuple[str, Side, Decimal, Decimal, Decimal]]:
        return [
            (t.fill.listing.symbol, t.fill.side, t.fill.quantity, t.fill.price, t.fill.fee)
            for t in self.trades()
        ]


def test_a_spread_fills_both_legs_at_their_touches_and_the_cheaper_side_pays_no_fee() -> None:
    """0.0300 - 0.0105 = 0.0195 coin a unit. Fees a coin: min(0.0003, 0.125 x 0.0300) = 0.0003 for what is
    bought, min(0.0003, 0.125 x 0.0105) = 0.0003 for what is sold: equal, so one side pays, the other none."""
    desk = Desk()
    combo = desk.combo("2", "0.0300", "0.0105")
    assert (combo.price, combo.quantity, combo.name) == (D("0.0195"), D(2), "+1 BTC-60000-C -1 BTC-70000-C")
    update = desk.send(combo)
    assert (update.state, update.filled, update.client_id) == (OrderState.FILLED, D(2), "hdesk-9001-0-0")
    assert desk.done() == [
        ("BTC-60000-C", BUY, D(2), D("0.0300"), D("0.0006")),
        ("BTC-70000-C", SELL, D(2), D("0.0105"), D(0)),
    ]
    assert {t.client_id for t in desk.trades()} == {"hdesk-9001-0-0"}
    assert len({t.fill.trade_id for t in desk.trades()}) == 2
    assert account(desk.exchange).positions == {"BTC-60000-C": D(2), "BTC-70000-C": D(-2)}


def test_the_cap_makes_the_sold_side_the_cheaper_one() -> None:
    """Sold at 0.0010: min(0.0003, 0.125 x 0.0010) = 0.000125 a coin, against 0.0003 for what is bought."""
    desk = Desk(bids=[(0.0010, 3.0)])
    assert desk.send(desk.combo("1", "0.0300", "0.0010", (1, 3))).state is OrderState.FILLED
    # three sold are 0.000375, more than the one bought at 0.0003: the bought side is free
    assert [fee for *_, fee in desk.done()] == [D(0), D("0.000375")]
    plain = Desk(bids=[(0.0010, 3.0)], rule=ComboRule.NONE)
    plain.send(plain.combo("1", "0.0300", "0.0010", (1, 3)))
    assert [fee for *_, fee in plain.done()] == [D("0.0003"), D("0.000375")]


def test_units_fill_one_after_another_while_all_of_them_together_are_within_the_price() -> None:
    """The first 2 units cost 0.0300 - 0.0105 = 0.0195, the third 0.0310 - 0.0105 = 0.0205, the fourth, whose
    sale is at the next level, 0.0310 - 0.0100 = 0.0210."""
    for limit, units in (("0.0300", 2), ("0.0310", 3), ("0.0315", 5)):
        desk = Desk()
        update = desk.send(desk.combo("5", limit, "0.0105"))
        assert update.filled == units
        assert update.state is (OrderState.FILLED if units == 5 else OrderState.CANCELLED)


def test_what_binds_is_the_price_of_the_combo_and_not_that_of_a_leg() -> None:
    """The legs were priced at 0.0290 and 0.0095: the same 0.0195 in all."""
    desk = Desk()
    assert desk.send(desk.combo("1", "0.0290", "0.0095")).state is OrderState.FILLED


def test_a_leg_without_its_book_leaves_the_other_untouched() -> None:
    desk = Desk(bids=[(0.0105, 0.05)])  # less than a lot
    update = desk.send(desk.combo("1", "0.0300", "0.0105"))
    assert (update.state, update.filled, update.code) == (OrderState.CANCELLED, D(0), Code.IMMEDIATE)
    assert desk.done() == []
    both = send(desk.exchange, single(desk.low, BUY, "2", "0.0300", IOC))
    assert both.state is OrderState.FILLED, "nothing of the display was taken"


def test_what_a_combo_took_nobody_takes_again() -> None:
    desk = Desk()
    desk.send(desk.combo("2", "0.0300", "0.0105"))
    assert send(desk.exchange, single(desk.low, BUY, "1", "0.0300", IOC)).filled == 0
    assert send(desk.exchange, single(desk.high, SELL, "3", "0.0105", IOC)).filled == 1
    assert desk.send(desk.combo("1", "0.0300", "0.0105", name="2")).filled == 0


def test_lots_of_different_size_are_filled_in_whole_lots_of_both() -> None:
    """Lots of 0.1 and 1.0, one to two: half a unit is 0.5 and 1.0, and nothing less goes."""
    desk = Desk(lots=("0.1", "1"))
    assert desk.send(desk.combo("1.5", "0.0300", "0.0105", (1, 2))).filled == D("1.5")
    assert [q for _, _, q, _, _ in desk.done()] == [D("1.5"), D(3)]


def test_a_venue_without_combos_says_so_and_nothing_leaves() -> None:
    desk = Desk(combos=False)
    assert not desk.exchange.capabilities.combos
    update = desk.send(desk.combo("1", "0.0300", "0.0105"))
    assert (update.state, update.code) == (OrderState.REJECTED, "combos_not_offered")
    assert not desk.exchange.log.of(Happened.RECEIVED)


def test_a_leg_that_the_venue_would_refuse_refuses_the_combo() -> None:
    desk = Desk()
    update = desk.send(desk.combo("1", "0.03003", "0.0105"))  # no tick
    assert (update.state, update.code) == (OrderState.REJECTED, Code.TICK)
    assert desk.send(desk.combo("1.05", "0.0300", "0.0105", name="2")).code == Code.LOT
    assert desk.done() == []


def test_a_combo_sent_twice_is_one_combo() -> None:
    desk = Desk()
    combo = desk.combo("1", "0.0300", "0.0105")
    assert desk.send(combo).state is OrderState.FILLED
    again = desk.send(combo)
    assert (again.state, again.code) == (OrderState.UNKNOWN, Code.DUPLICATE)
    assert len(desk.done()) == 2


def test_margin_is_asked_for_all_legs_done() -> None:
    asked: list[list[tuple[str, Decimal]]] = []

    def room(book: Any, trades: Any, market: Any) -> float:
        asked.append([(listing.symbol, signed) for listing, signed in trades])
        return -1.0

    desk = Desk(margin=room)
    assert desk.send(desk.combo("1", "0.0300", "0.0105", (1, 2))).code == Code.MARGIN
    assert asked == [[("BTC-60000-C", D(1)), ("BTC-70000-C", D(-2))]]


def test_a_combo_whose_answer_is_lost_is_found_by_its_id_in_units() -> None:
    desk = Desk(faults=[Fault(FaultKind.ACK_LOST, 1.0)])
    combo = desk.combo("1", "0.0300", "0.0105", (1, 2))
    assert desk.send(combo).state is OrderState.UNKNOWN
    report = answer(desk.exchange, desk.exchange.ask_order(combo.client_id, desk.exchange.now_ns))
    assert isinstance(report, OrderReport)
    assert (report.state, report.quantity, report.filled) == (OrderState.FILLED, D(1), D(1))
    assert (report.price, report.symbol) == (D("0.0090"), "+1 BTC-60000-C -2 BTC-70000-C")


LEVELS = st.lists(
    st.tuples(st.integers(1, 40), st.integers(0, 30)), min_size=1, max_size=4, unique_by=lambda x: x[0]
)


@given(
    asks=LEVELS,
    bids=LEVELS,
    units=st.integers(1, 60),
    ratio=st.sampled_from([(1, 1), (1, 2), (2, 1), (3, 2), (1, 4)]),
    limits=st.tuples(st.integers(1, 60), st.integers(1, 60)),
)
def test_legs_fill_in_the_ratio_within_the_price_and_never_more_than_is_shown(
    asks: list[tuple[int, int]],
    bids: list[tuple[int, int]],
    units: int,
    ratio: tuple[int, int],
    limits: tuple[int, int],
) -> None:
    """Prices in steps of 0.0005 above 0.05, sizes in lots of 0.1."""

    def levels(found: list[tuple[int, int]], best: int) -> Levels:
        ordered = sorted(found, key=lambda x: best * x[0])
        return [(round(0.05 + 0.0005 * price, 4), size / 10) for price, size in ordered]

    desk = Desk(levels(asks, 1), levels(bids, -1))
    prices = [f"{D('0.05') + D('0.0005') * limit}" for limit in limits]
    combo = desk.combo(str(D(units) / 10), prices[0], prices[1], ratio)
    update = desk.send(combo)
    total = {BUY: D(0), SELL: D(0)}
    paid = D(0)
    for _, side, quantity, price, _ in desk.done():
        total[side] += quantity
        paid += side.sign * quantity * price
    assert update.filled is not None and update.state.terminal
    assert (total[BUY], total[SELL]) == (update.filled * ratio[0], update.filled * ratio[1])
    assert paid <= update.filled * combo.price
    assert total[BUY] * 10 <= sum(size for _, size in asks)
    assert total[SELL] * 10 <= sum(size for _, size in bids)


def test_what_is_no_combo_cannot_be_made() -> None:
    desk = Desk()
    one, other = desk.combo("2", "0.0300", "0.0105").legs
    for legs, why in (
        ((one,), "two legs"),
        ((one, replace(other, combo="x")), "one combo, one venue"),
        ((one, replace(other, account="b")), "one combo, one venue"),
        ((one, replace(other, quantity=D(3))), "not in the ratio"),
        ((one, replace(one, client_id="y")), "another contract"),
        ((replace(one, ratio=2), replace(other, ratio=2)), "lowest terms"),
        ((replace(one, client_id="z"), other), "id of its first leg"),
        ((one, replace(other, time_in_force=TimeInForce.GTC)), "immediate"),
        ((replace(one, combo=""), replace(other, combo="")), "id of its first leg"),
    ):
        with pytest.raises(ValueError, match=why):
            ComboOrder(legs)


def test_capabilities_say_what_the_terms_say() -> None:
    assert isinstance(Desk().exchange.capabilities, Capabilities)
    assert Desk().exchange.capabilities.combos
