"""Ten known bugs of engines like this one, each as a part that replaces a sound one, and the worlds in which
they come out. None of them ships; `hedger simulate --bugs tests/story/bugs.py` counts how many are caught."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np

from hedger.core.decision import Decision
from hedger.core.events import Answer, Event, Failed, Happening, Tick
from hedger.core.state import State, frozen
from hedger.engine.clock import Clock
from hedger.engine.engine import Engine
from hedger.engine.recording import JournalRecorder
from hedger.journal.journal import Journal
from hedger.journal.kill_latch import KillLatch, MemoryLatch
from hedger.journal.storage import Storage
from hedger.simulator.examination import Trial
from hedger.simulator.faults import Deed, Due, Mix
from hedger.simulator.life import Parts
from hedger.simulator.market import Setting
from hedger.simulator.start import begin
from hedger.simulator.wire import WireLine
from pricing.market import Depth, Marks
from risk.book import Fill
from venues.orders import AccountReport, ComboOrder, Order, OrderState, OrderUpdate, TradeReport
from venues.paper_faults import Fault, FaultKind

S = 10**9


class Resending(WireLine):
    """An order without an answer is sent again."""

    def __init__(self, wire: WireLine) -> None:
        self.wire = wire
        self.orders: dict[str, Order | ComboOrder] = {}

    def __getattribute__(self, name: str) -> Any:
        if name in ("submit", "wire", "orders", "again"):
            return object.__getattribute__(self, name)
        return getattr(object.__getattribute__(self, "wire"), name)

    def submit(self, order: Order | ComboOrder) -> None:
        self.orders[order.client_id] = order
        self.wire.submit(order)

    def again(self, client_id: str) -> None:
        if client_id in self.orders:
            self.wire.submit(self.orders.pop(client_id))


def blind_resend() -> Parts:
    lines: list[Resending] = []

    def line(wire: WireLine) -> Resending:
        lines.append(Resending(wire))
        return lines[-1]

    def hearing(what: Happening) -> Iterable[Happening]:
        if isinstance(what, OrderUpdate) and what.state is OrderState.UNKNOWN:
            lines[-1].again(what.client_id)
        return (what,)

    return Parts(line=line, hearing=lambda: hearing)


def delta_from_cumulative_fills() -> Parts:
    """Executions are made up from the running totals of order news, each total taken for a new fill."""
    orders: dict[str, Order] = {}

    class Noting(Engine):
        def step(self, what: Happening) -> Decision:
            decision = super().step(what)
            orders.update({order.client_id: order for order in decision.orders})
            return decision

    def hearing(what: Happening) -> Iterator[Happening]:
        if isinstance(what, OrderUpdate) and what.filled and what.client_id in orders:
            order = orders[what.client_id]
            made_up = f"{what.client_id}:{what.filled}"
            fill = Fill(
                order.listing,
                order.side,
                what.filled,
                order.price,
                Decimal(0),
                "BTC",
                "",
                made_up,
                what.venue_ns,
            )
            yield TradeReport(what.client_id, fill)
        if not isinstance(what, TradeReport):
            yield what

    return Parts(engine=Noting, hearing=lambda: hearing)


def timeout_is_failure() -> Parts:
    def hearing(what: Happening) -> Iterable[Happening]:
        if isinstance(what, OrderUpdate) and what.state is OrderState.UNKNOWN:
            return (replace(what, state=OrderState.REJECTED, code="timed_out"),)
        return (what,)

    return Parts(hearing=lambda: hearing)


def forgotten_latch() -> Parts:
    """The latch is a flag in the process: gone with it."""

    class Flag(MemoryLatch):
        pass

    def latch(real: KillLatch) -> KillLatch:
        return Flag()

    return Parts(latch=latch)


def merged_snapshot() -> Parts:
    """A fresh snapshot of a book is merged into the old one: levels that are gone stay."""
    old: dict[int, tuple[dict[float, float], dict[float, float]]] = {}

    def merged(levels: dict[float, float], new: Depth, best: float, sign: int) -> Depth:
        levels.update(zip(new.price.tolist(), new.size.tolist(), strict=True))
        prices = sorted((p for p in levels if sign * p >= sign * best), key=lambda p: sign * p)
        return Depth(np.array(prices), np.array([levels[p] for p in prices]))

    def hearing(what: Happening) -> Iterable[Happening]:
        if not isinstance(what, Marks):
            return (what,)
        depth: dict[int, tuple[Depth, Depth]] = {}
        for row, (bids, asks) in what.depth.items():
            kept = old.setdefault(row, ({}, {}))
            if bids.price.size and asks.price.size:
                depth[row] = (
                    merged(kept[0], bids, float(bids.price[0]), -1),
                    merged(kept[1], asks, float(asks.price[0]), 1),
                )
        return (replace(what, depth=depth),)

    return Parts(hearing=lambda: hearing)


def fill_booked_twice() -> Parts:
    """The stream and the account name the same execution differently, and both are booked."""

    def renamed(trade: TradeReport) -> TradeReport:
        return replace(trade, fill=replace(trade.fill, trade_id=f"rest-{trade.fill.trade_id}"))

    def hearing(what: Happening) -> Iterable[Happening]:
        if isinstance(what, AccountReport):
            return (replace(what, trades=tuple(renamed(trade) for trade in what.trades)),)
        return (what,)

    return Parts(hearing=lambda: hearing)


def sent_before_durable() -> Parts:
    """The record is written in the background, a turn behind what leaves."""

    class Late(JournalRecorder):
        def __init__(self, journal: Journal) -> None:
            super().__init__(journal)
            self.turns: list[tuple[State, Event, State, Decision]] = []

        def turn(self, before: State, event: Event, after: State, decision: Decision) -> None:
            for turn in self.turns:
                super().turn(*turn)
            self.turns = [(before, event, after, decision)]

    return Parts(record=Late)


def unknown_dropped_on_restart() -> Parts:
    def start(storage: Storage, journal: Journal, latch: KillLatch, setting: Setting, clock: Clock) -> State:
        state = begin(storage, journal, latch, setting, clock)
        kept = {c: r for c, r in state.orders.items() if r.state is not OrderState.UNKNOWN}
        return replace(state, orders=frozen(kept))

    return Parts(start=start)


def failure_read_as_flat() -> Parts:
    """A question without an answer is an account without anything in it."""

    def listening() -> Callable[[Happening], Iterable[Happening]]:
        latest_ns = 0

        def hearing(what: Happening) -> Iterable[Happening]:
            nonlocal latest_ns
            if isinstance(what, Marks):
                latest_ns = max(latest_ns, what.now_ns)
            if isinstance(what, Failed) and what.what == "account":
                return (AccountReport(what.venue, "", latest_ns, (), {}, {}),)
            if isinstance(what, Failed) and what.what == "order":
                return (Answer(what.venue, what.client_id, None),)
            return (what,)

        return hearing

    return Parts(hearing=listening)


def worst_case_without_unknown() -> Parts:
    """Orders that nobody can say anything about do not count in what may come."""

    class Hopeful(Engine):
        def step(self, what: Happening) -> Decision:
            if not isinstance(what, Marks | Tick):
                return super().step(what)
            unknown = {c: r for c, r in self.state.orders.items() if r.state is OrderState.UNKNOWN}
            known = {c: r for c, r in self.state.orders.items() if c not in unknown}
            self.state = replace(self.state, orders=frozen(known))
            decision = super().step(what)
            self.state = replace(self.state, orders=frozen({**unknown, **self.state.orders}))
            return decision

    return Parts(engine=Hopeful)


BUGS: Mapping[str, Callable[[], Parts]] = {
    "blind resend": blind_resend,
    "delta from cumulative fills": delta_from_cumulative_fills,
    "timeout is failure": timeout_is_failure,
    "forgotten latch": forgotten_latch,
    "merged snapshot": merged_snapshot,
    "fill booked twice": fill_booked_twice,
    "sent before durable": sent_before_durable,
    "unknown dropped on restart": unknown_dropped_on_restart,
    "failure read as flat": failure_read_as_flat,
    "worst case without unknown": worst_case_without_unknown,
}


def often(kind: FaultKind, probability: float, variant: str = "") -> Fault:
    return Fault(kind, probability, variant=variant)


ACKS_LOST = Mix(venue=(often(FaultKind.ACK_LOST, 0.5),))
CRASHES = tuple(Due(t * S, Deed.CRASH) for t in (8, 14, 20, 26, 32))
TRIALS: Mapping[str, Trial] = {
    "blind resend": Trial(ACKS_LOST, frozenset({"I1"})),
    "delta from cumulative fills": Trial(Mix(), frozenset({"I3", "I4"})),
    "timeout is failure": Trial(ACKS_LOST, frozenset({"I7"})),
    "forgotten latch": Trial(Mix(dues=(Due(10 * S, Deed.KILL), Due(11 * S, Deed.CRASH))), frozenset({"I6"})),
    "merged snapshot": Trial(Mix(), frozenset({"I8"}), seed=6),
    "fill booked twice": Trial(Mix(), frozenset({"I3", "I4"})),
    "sent before durable": Trial(Mix(), frozenset({"I2"})),
    "unknown dropped on restart": Trial(Mix(venue=ACKS_LOST.venue, dues=CRASHES), frozenset({"I7"})),
    "failure read as flat": Trial(
        Mix(venue=(*ACKS_LOST.venue, often(FaultKind.LYING_ACCOUNT, 0.7, "failed"))), frozenset({"I7"})
    ),
    "worst case without unknown": Trial(
        Mix(venue=(often(FaultKind.LATE, 0.6),)),
        frozenset({"I5"}),
        seed=1,
        perpetual_usd_max=1_000_000.0,
    ),
}
