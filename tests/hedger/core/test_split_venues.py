"""One ticket over two venues: the best prices of both, fees counted, within each venue's limits."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from hedger.core.decide import decide
from hedger.core.decision import Decision
from hedger.core.events import Event, Failed
from hedger.core.gate import EngineSettings
from hedger.core.state import Mode, State
from hedger.settings import Settings
from pricing.contracts import Side
from pricing.market import ForwardKind
from pricing.universe import Universe
from risk.book import Book, Fill, Position
from tests.builders import NOW_NS, Quote, listing, marks_of, perpetual
from tests.hedger.rig import SOLVER, TAG, free
from venues.orders import Link, Order, OrderState, OrderUpdate, TradeReport, VenueStatus

SECOND = 10**9
FEES = {"ALPHA": "0.0005", "BETA": "0.0001"}


def perp(venue: str) -> Any:
    return listing(
        perpetual(), "BTC-PERPETUAL", venue=venue, lot="10", ticks="0:0.5", taker=FEES[venue], minimum="10"
    )


class Desk:
    """A long perpetual on one venue, and a book of bids on each of two."""

    def __init__(self, bids: dict[str, list[tuple[float, float]]], **settings: Any) -> None:
        self.listings = {name: perp(name) for name in FEES}
        universe = Universe.of(self.listings.values())
        long = Position(self.listings["ALPHA"], "", Decimal(400_000))
        book = Book.of([long], {}).opened_at({long.listing.key: 70_000.0})
        state = State.fresh(universe, book, dict.fromkeys(FEES, NOW_NS), mode=Mode.ARMED)
        for name in FEES:
            state = state.with_venue(name, reconciled_ns=SECOND, next_ns=10**15)
        config = Settings.model_validate({"execution": {"slice_interval_s": 0.0}, **settings})
        config = config.model_copy(update={"solver": SOLVER})
        accounts = {"ALPHA": "a-1", "BETA": "b-1"}
        self.settings, self.state, self.seq = EngineSettings(config, TAG, free, accounts), state, 0
        self.bids, self.now_ns = bids, NOW_NS

    def send(self, what: Any) -> Decision:
        self.seq += 1
        event = Event(self.seq, self.now_ns, self.now_ns - NOW_NS + SECOND, what)
        self.state, decision = decide(self.state, event, self.settings)
        return decision

    def mark(self, **indexes: float) -> Decision:
        """Both venues quote, but where indexes are named: then those."""
        self.now_ns += SECOND
        quotes = [
            Quote(
                self.listings[name], bids[0][0], 70_001.0, 70_000.0, forward=70_000.0,
                index=indexes.get(name, 70_000.0),
                bid_size=bids[0][1], ask_size=1e6, forward_kind=ForwardKind.SYNTHETIC,
                bids=bids, asks=[(70_001.0, 1e6)],
            )
            for name, bids in self.bids.items()
            if not indexes or name in indexes
        ]  # fmt: skip
        rows = [self.state.market.universe.positions[q.listing.key] for q in quotes]
        return self.send(marks_of(quotes, rows, self.now_ns, self.seq + 1))

    def fill(self, order: Order) -> list[Order]:
        """Fill it; what is sent next."""
        fill = Fill(
            order.listing, order.side, order.quantity, order.price, Decimal(0), "BTC", order.account,
            f"t-{order.client_id}", self.now_ns,
        )  # fmt: skip
        first = self.send(TradeReport(order.client_id, fill))
        then = self.send(OrderUpdate(order.client_id, OrderState.FILLED, "v", order.quantity))
        return [*first.orders, *then.orders]

    def all(self) -> list[Order]:
        """Every order of the ticket, each filled when it comes."""
        orders, found = list(self.mark().orders), list[Order]()
        while orders and len(found) < 8:
            found.append(orders.pop(0))
            orders += self.fill(found[-1])
        return found


def test_a_ticket_is_split_where_the_second_venue_is_cheaper_than_more_of_the_first() -> None:
    """ALPHA bids 70,000 but takes 5 bps; BETA bids 69,990 (1.4 bps less) for 1 bp: BETA's 150,000 first."""
    desk = Desk({"ALPHA": [(70_000.0, 1e6)], "BETA": [(69_990.0, 150_000.0), (69_900.0, 1e6)]})
    orders = desk.all()
    sold = {name: sum((o.quantity for o in orders if o.listing.venue == name), Decimal(0)) for name in FEES}
    assert sold["BETA"] == 150_000
    assert 0 <= sold["ALPHA"] + 150_000 - 350_000 < 1000  # to 50,000 USD of delta
    assert {o.account for o in orders if o.listing.venue == "BETA"} == {"b-1"}
    assert all(o.side is Side.SELL for o in orders) and desk.state.execution is None


def test_a_venues_own_limit_caps_its_share() -> None:
    capped = {"limits": {"instruments": [{"venues": ["BETA"], "order_usd_max": 50_000.0}]}}
    bids = {"ALPHA": [(70_000.0, 1e6)], "BETA": [(69_990.0, 150_000.0), (69_900.0, 1e6)]}
    orders = Desk(bids, **capped).all()
    beta = sum((o.quantity for o in orders if o.listing.venue == "BETA"), Decimal(0))
    assert 0 < beta <= 50_000


def test_what_a_venue_cannot_do_any_more_the_other_does() -> None:
    desk = Desk({"ALPHA": [(70_000.0, 1e6)], "BETA": [(69_990.0, 150_000.0), (69_900.0, 1e6)]})
    first = desk.mark()
    (order,) = first.orders
    down = order.listing.venue
    desk.send(VenueStatus(down, Link.DOWN))
    update = OrderUpdate(order.client_id, OrderState.CANCELLED, "v", Decimal(0))
    orders, found = list(desk.send(update).orders), list[Order]()
    while orders:
        found.append(orders.pop(0))
        orders += desk.fill(found[-1])
    assert found and {o.listing.venue for o in found} == {name for name in FEES if name != down}
    assert 0 <= sum(o.quantity for o in found) - 350_000 < 1000


@pytest.mark.parametrize(
    ("external", "sold"),
    [
        (-200_000, 0),  # 200,000 long, or 150,000 short if it filled: either trade may be the wrong one
        (0, 0),  # what only the order itself would bring back in
        (
            300_000,
            300_000,
        ),  # 350,000 long even if it filled: that much less 50,000 is out whatever became of it
        (-900_000, -450_000),  # 500,000 short even without it: back to 50,000
    ],
)
def test_beside_an_order_that_nobody_can_tell_of_only_what_is_out_either_way_is_hedged(
    external: int, sold: int
) -> None:
    """A long of 400,000; a sale of 350,000 is on its way to BETA, which is gone, when ALPHA's position moves
    by other hands."""
    desk = Desk({"ALPHA": [(70_000.0, 1e6)], "BETA": [(70_000.0, 1e6)]})
    (order,) = desk.mark().orders
    assert order.listing.venue == "BETA" and 350_000 <= order.quantity < 351_000
    desk.send(Failed("BETA", "submit", order.client_id, "NO_ANSWER", ""))
    assert desk.state.orders[order.client_id].state is OrderState.UNKNOWN
    if external:
        side = Side.BUY if external > 0 else Side.SELL
        fill = Fill(
            desk.listings["ALPHA"], side, Decimal(abs(external)), Decimal(70_000), Decimal(0), "BTC", "a-1",
            "x-1", desk.now_ns,
        )  # fmt: skip
        desk.send(TradeReport("", fill))
    desk.send(VenueStatus("BETA", Link.DOWN))
    desk.now_ns += round(desk.settings.desk.execution.watch.alert_s) * SECOND
    found: list[Order] = []
    for _ in range(3):
        orders = list(desk.mark().orders)
        while orders:
            found.append(orders.pop(0))
            orders += desk.fill(found[-1])
    assert {o.listing.venue for o in found} <= {"ALPHA"}
    assert abs(sum((o.quantity * o.side.sign for o in found), Decimal(sold))) < 1000


def test_the_index_of_a_venue_that_is_down_moves_no_delta() -> None:
    """It stands still, and the middle of both would follow the market half the way."""
    desk = Desk({"ALPHA": [(70_000.0, 1e6)], "BETA": [(70_000.0, 1e6)]})
    desk.mark()
    assert desk.state.snapshot is not None
    assert desk.state.snapshot.spot["BTC"] == 70_000.0
    desk.send(VenueStatus("ALPHA", Link.DOWN))
    desk.mark(BETA=70_600.0)
    assert desk.state.snapshot.spot["BTC"] == 70_600.0
    desk.send(VenueStatus("ALPHA", Link.UP))
    desk.mark()
    assert desk.state.snapshot.spot["BTC"] == 70_000.0
