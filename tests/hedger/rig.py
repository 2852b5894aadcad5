"""An engine's pure half on a small simulated market, with a venue made of a ledger and nothing else.

The venue here keeps its own truth in dictionaries and Decimals: what it took, what it filled, what
it holds. It shares no code with the engine's ledger or orders.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import numpy as np

from hedger.core.actions import Alert, AskAccount, AskOrder, Cancel, CancelAll, Permission, Submit
from hedger.core.decide import decide
from hedger.core.decision import Decision
from hedger.core.events import Answer, Command, Event, Happening, Tick, Verb
from hedger.core.gate import Denied, EngineSettings, Situation
from hedger.core.state import State
from hedger.settings import Settings, SolverConfig
from pricing.contracts import Kind, Side
from pricing.market import Depth, Market, Marks
from risk.book import Book, Fill, Position
from venues.orders import (
    AccountReport,
    Order,
    OrderReport,
    OrderState,
    OrderUpdate,
    TimeInForce,
    TradeReport,
)
from venues.simulated import SimulatedMarket
from venues.simulated_law import SimulationSettings

SECOND = 10**9
TAG = "test"
CHAIN = SimulationSettings(tenor_days=(4, 25), strikes_per_expiry=4, futures=1)
SOLVER = SolverConfig(time_limit_s=60.0, gap=5e-3, columns=24)
VENUE = "simulated"


@dataclass(frozen=True, slots=True)
class Free:
    """A permission without limits."""

    item: Order


def free(order: Order, situation: Situation) -> Permission | Denied:
    """Lets every order out."""
    return Free(order)


def desk(**execution: Any) -> Settings:
    """Settings with a solver that ends by its gap; no spot, which is cash in a ledger and no position."""
    no_spot = {"kinds": ("spot",)}
    universe = {"deny_buy": no_spot, "deny_sell": no_spot}
    config = Settings.model_validate({"execution": execution, "universe": universe})
    return config.model_copy(update={"solver": SOLVER})


def book_of(market: SimulatedMarket, rows: Mapping[str, str]) -> Book:
    """A book by symbol; perpetuals gain from the present marks on."""
    listings = {x.symbol: x for x in market.universe.listings}
    book = Book.of([Position(listings[s], "", Decimal(q)) for s, q in rows.items()], {})
    marks = market.marks()
    price = dict(zip(marks.rows.tolist(), marks.mark.tolist(), strict=True))
    at = market.universe.positions
    return book.opened_at({p.listing.key: price[at[p.listing.key]] for p in book.positions.values()})


def option_symbol(market: SimulatedMarket, underlying: str = "BTC", place: int = 5) -> str:
    """One of the options of a coin."""
    found = [
        x.symbol
        for x in market.universe.listings
        if x.contract.kind is Kind.OPTION and x.contract.underlying == underlying
    ]
    return found[place]


@dataclass
class Truth:
    """What the venue has: orders by client id, executions, positions. Integers and Decimals only."""

    orders: dict[str, tuple[Order, OrderState, Decimal]] = field(default_factory=dict)
    trades: list[TradeReport] = field(default_factory=list)
    positions: dict[str, Decimal] = field(default_factory=dict)
    received: list[str] = field(default_factory=list)

    def take(self, order: Order) -> None:
        """The order is open."""
        self.received.append(order.client_id)
        self.orders[order.client_id] = (order, OrderState.OPEN, Decimal(0))

    def fill(self, client_id: str, quantity: Decimal, now_ns: int) -> TradeReport | None:
        """Fill so much of it; None where nothing is left."""
        order, state, filled = self.orders[client_id]
        quantity = min(quantity, order.quantity - filled)
        if state is not OrderState.OPEN or quantity <= 0:
            return None
        done = filled + quantity
        after = OrderState.FILLED if done == order.quantity else OrderState.OPEN
        self.orders[client_id] = (order, after, done)
        report = TradeReport(client_id, self.fill_of(order, quantity, now_ns))
        self.book(report)
        return report

    def book(self, report: TradeReport) -> None:
        """Count an execution."""
        self.trades.append(report)
        fill = report.fill
        old = self.positions.get(fill.listing.symbol, Decimal(0))
        signed = fill.quantity if fill.side is Side.BUY else -fill.quantity
        self.positions[fill.listing.symbol] = old + signed

    def fill_of(self, order: Order, quantity: Decimal, now_ns: int) -> Fill:
        """An execution of an order, with the next id."""
        currency = order.listing.contract.settlement
        return Fill(
            order.listing, order.side, quantity, order.price, Decimal("0.00001"), currency, "",
            f"t{len(self.trades)}", now_ns,
        )  # fmt: skip

    def cancel(self, client_id: str) -> None:
        """End what is open."""
        order, state, filled = self.orders[client_id]
        if state is OrderState.OPEN:
            self.orders[client_id] = (order, OrderState.CANCELLED, filled)

    def update(self, client_id: str) -> OrderUpdate:
        """What it says of an order."""
        if client_id not in self.orders:
            return OrderUpdate(client_id, OrderState.UNKNOWN, code="not_found")
        _, state, filled = self.orders[client_id]
        return OrderUpdate(client_id, state, f"v-{client_id}", filled)

    def line(self, client_id: str) -> OrderReport | None:
        """The order as listed; None where there is none."""
        if client_id not in self.orders:
            return None
        order, state, filled = self.orders[client_id]
        return OrderReport(
            client_id, f"v-{client_id}", order.listing.symbol, order.side, order.quantity, filled,
            order.price, state,
        )  # fmt: skip


class Rig:
    """An engine and the truth of its venue. Nothing is answered by itself: tests say what comes back."""

    def __init__(self, rows: Mapping[str, str], settings: Settings | None = None, gate: Any = free) -> None:
        self.market = SimulatedMarket(7, settings=CHAIN)
        self.now_ns = self.market.now_ns
        self.start_ns = self.now_ns
        book = book_of(self.market, rows)
        self.truth = Truth(positions={s: Decimal(q) for s, q in rows.items()})
        self.settings = EngineSettings(settings or desk(), TAG, gate)
        self.state = State.fresh(self.market.universe, book, {VENUE: self.start_ns})
        self.seq = 0
        self.events: list[Event] = []
        self.decisions: list[Decision] = []

    def send(self, what: Happening, seconds: float = 0.0) -> Decision:
        """One event, so many seconds after the last."""
        self.now_ns += round(seconds * SECOND)
        self.seq += 1
        event = Event(self.seq, self.now_ns, self.now_ns - self.start_ns + 50 * SECOND, what)
        self.state, decision = decide(self.state, event, self.settings)
        self.events.append(event)
        self.decisions.append(decision)
        for action in decision.actions:
            if isinstance(action, Submit) and action.order.client_id in self.truth.received:
                raise AssertionError(f"{action.order.client_id} sent twice")
        return decision

    def mark(self, seconds: float = 0.0, **changes: Any) -> Decision:
        """The market's marks; changes: columns by name, to poison them."""
        marks = self.market.step(seconds) if seconds else self.market.marks()
        self.now_ns += round(seconds * SECOND)
        return self.send(replace(marks, now_ns=self.now_ns, **changes))

    def tick(self, seconds: float = 1.0) -> Decision:
        """Time passes."""
        return self.send(Tick(), seconds)

    def command(self, verb: Verb, argument: str = "") -> Decision:
        """A person asks."""
        return self.send(Command(f"c{self.seq}", verb, "person", "because", argument))

    def report(self, **changes: Any) -> AccountReport:
        """The account as it is in truth."""
        lines = [self.truth.line(c) for c in self.truth.orders]
        report = AccountReport(
            venue=VENUE,
            account="",
            venue_ns=self.now_ns,
            orders=tuple(x for x in lines if x is not None and x.state is OrderState.OPEN),
            positions={s: q for s, q in self.truth.positions.items() if q},
            balances=self.balances(),
            trades=tuple(self.truth.trades),
        )
        return replace(report, **changes)

    def balances(self) -> dict[str, Decimal]:
        """Cash is not what these tests are about: the venue says what the engine's own ledger has."""
        book, market = self.state.book, self.state.market
        at = market.universe.positions
        futures = [
            p for p in book.positions.values() if p.listing.contract.kind in (Kind.PERPETUAL, Kind.FUTURE)
        ]
        prices = {p.listing.key: float(market.mark[at[p.listing.key]]) for p in futures}
        if any(not np.isfinite(x) for x in prices.values()):
            return {}
        return {c: Decimal(repr(float(x))) for c, x in book.balances(prices).items()}

    def answer(self, decision: Decision, fill: bool = True) -> Decision:
        """A venue without faults answers everything that was asked, and what follows, to the end."""
        for action in decision.actions:
            if isinstance(action, Submit):
                order = action.order
                self.truth.take(order)
                trade = None
                if fill and order.time_in_force is TimeInForce.IOC:
                    trade = self.truth.fill(order.client_id, order.quantity, self.now_ns)
                if order.time_in_force is TimeInForce.IOC:
                    self.truth.cancel(order.client_id)
                self.answer(self.send(self.truth.update(order.client_id)), fill)
                if trade is not None:
                    self.answer(self.send(trade), fill)
            elif isinstance(action, Cancel):
                if action.client_id in self.truth.orders:
                    self.truth.cancel(action.client_id)
                self.answer(self.send(self.truth.update(action.client_id)), fill)
            elif isinstance(action, CancelAll):
                for client_id in self.truth.orders:
                    self.truth.cancel(client_id)
            elif isinstance(action, AskOrder):
                line = self.truth.line(action.client_id)
                self.answer(self.send(Answer(VENUE, action.client_id, line)), fill)
            elif isinstance(action, AskAccount):
                self.answer(self.send(self.report()), fill)
        return self.decisions[-1]

    def armed(self) -> Rig:
        """Marked, reconciled, armed."""
        self.answer(self.mark())
        self.command(Verb.ARM)
        return self

    def positions(self) -> dict[str, Decimal]:
        """The engine's positions."""
        return {k[1]: p.quantity for k, p in self.state.book.positions.items() if p.quantity}

    def alerts(self) -> list[str]:
        """Codes of all alerts so far."""
        return [a.code for d in self.decisions for a in d.actions if isinstance(a, Alert)]

    def submits(self) -> list[Order]:
        """All orders sent so far."""
        return [order for d in self.decisions for order in d.orders]


def replayed(rig: Rig, first: State) -> list[str]:
    """The digests of the same events from the same first state."""
    state, digests = first, []
    for event in rig.events:
        state, decision = decide(state, event, rig.settings)
        digests.append(decision.digest)
    return digests


def thinned(marks: Marks, market: Market, row: int, sizes: tuple[float, ...], step: float) -> Marks:
    """The marks with a book of these sizes on both sides of one listing, a step between levels."""
    at = int(np.flatnonzero(marks.rows == row)[0])
    size = np.array(sizes)
    away = step * np.arange(len(sizes))
    bids, asks = Depth(marks.bid[at] - away, size), Depth(marks.ask[at] + away, size)
    return replace(marks, depth={**marks.depth, row: (bids, asks)})
