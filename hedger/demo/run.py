"""The engine on a simulated market with the paper venue: marks, Greeks, bands, ticket, orders, fills,
summary.

It is the engine that runs live: events in, decisions out, orders through limits and router, fills from
the venue. Only the market is made, the clock is moved instead of waited for, and nothing is written to a
disk.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np

from hedger.core.decision import Decision
from hedger.core.events import Event
from hedger.core.state import State
from hedger.core.verification import Verification
from hedger.documents import number
from hedger.engine.clock import VirtualClock
from hedger.engine.engine import Engine, NoRecord
from hedger.engine.recording import newly_booked
from hedger.planning import HedgePlan
from hedger.problem.snapshot import Snapshot, take_snapshot
from hedger.runs.paper_setup import (
    cost_of_fills,
    engine_settings,
    fresh_state,
    one_numeraire,
    paper_limits,
    venues_of,
    wealth_usd,
)
from hedger.runs.paper_world import PaperWorld, exchanges_of
from hedger.sample import DEMO_BOOK, market_maker_book
from hedger.settings import Settings, SolverConfig
from pricing.compiled import warm_up
from pricing.market import Market, Marks
from pricing.valuation import value
from risk.book import Fill
from risk.costs import TradeCost
from risk.limit_terms import Limits
from venues.paper_report import PaperReport, closing_report
from venues.paper_terms import Constant, FeeModel, Latencies, PaperTerms, Queue
from venues.simulated import START_NS, SimulatedMarket

#: Market seconds between two marks of the demo.
STEP_S = 20.0
#: A search that ends by the clock is not reproducible: the demo's ends at its gap.
DEMO_SOLVER = SolverConfig(time_limit_s=60.0, gap=5e-3, columns=24)
ENGINE_TAG = "demo"
#: Orders and answers take 25 ms each way; the quotes' own stamps are the market's.
_WAY = Constant(25_000_000)
DEMO_TERMS = PaperTerms(
    fees=FeeModel.LISTING,
    latency=Latencies(feed=Constant(0), order_entry=_WAY, response=_WAY),
    queue=Queue(),
    margin=None,
)


@dataclass(frozen=True, slots=True, eq=False)
class DemoHedge:
    """One hedge: the ticket, the fills, and how the exposures after the fills compare with the ticket.

    later: plans for the rest, where the first did not go through.
    """

    plan: HedgePlan
    fills: tuple[Fill, ...]
    verified: bool
    worst_difference: str
    later: tuple[HedgePlan, ...] = ()


@dataclass(slots=True)
class Tally:
    """What the closing summary adds up."""

    marks: int = 0
    hedges: int = 0
    verified: int = 0
    legs: int = 0
    cost: TradeCost = field(default_factory=TradeCost)
    outside: dict[str, int] = field(default_factory=dict)
    worst: dict[str, float] = field(default_factory=dict)


class DemoWatcher:
    """Is told of a demo as it goes; by itself it lets everything pass."""

    def started(self, snapshot: Snapshot) -> None:
        """The book, before anything is hedged."""

    def marked(self, minute: float) -> None:
        """A mark is next, so many market minutes after the start."""

    def hedged(self, hedge: DemoHedge) -> None:
        """A hedge is over."""

    def closed(self, report: PaperReport) -> None:
        """The run is over; report: what the paper venue says of it."""


#: Nobody looks on.
NOBODY = DemoWatcher()


def verify(plan: HedgePlan, after: Snapshot, paid_usd: float = 0.0) -> tuple[bool, str]:
    """Compare the exposures after the fills with the ticket, row by row.

    The ticket reckons trades at their reference price; the costs really paid in coin leave the coin balance,
    so a delta row may differ by them, and no other row by more than rounding. paid_usd: fees and slippage as
    they were paid: where the market moved amid the fills, more than the ticket says.
    """
    worst, text, sound = 0.0, "every row as on the ticket", True
    for i, name in enumerate(plan.snapshot.exposure.rows):
        difference = float(after.exposure.value[i] - plan.after[i])
        moved = sum(abs(float(trade.effect[i])) for trade in plan.trades)
        scale = abs(float(plan.snapshot.exposure.value[i])) + moved
        allowed = 1e-9 * scale
        if name.startswith("delta:"):
            most_usd = max(plan.cost.total, paid_usd * (1.0 + 1e-6))
            allowed += most_usd / plan.snapshot.spot[name.split(":")[1]]
        sound &= abs(difference) <= allowed
        share = abs(difference) / scale if scale else 0.0
        if share > worst:
            worst, text = share, f"{name} differs by {difference:.3g}"
    return bool(sound), text


def run(
    seed: int,
    minutes: float,
    settings: Settings,
    watcher: DemoWatcher = NOBODY,
    *,
    start_ns: int = START_NS,
    step_s: float = STEP_S,
) -> dict[str, Any]:
    """Run the engine for `minutes` of market time; returns the document that `demo --json` prints.

    The same seed, minutes, start and step (market seconds between marks) give the same document.
    """
    warm_up()  # the first marks are hedged as fast as the others
    chosen = one_numeraire(settings).model_copy(update={"solver": DEMO_SOLVER})
    source = SimulatedMarket(seed, start_ns)
    witness = Witness(chosen, watcher)
    world, unhedged = _engines(source, seed, chosen, witness)
    world.connect()
    world.feed(source.marks())
    unhedged.step(source.marks())
    start_equity = wealth_usd(world.state, chosen)
    if world.state.snapshot is not None:
        watcher.started(world.state.snapshot)
    begin_ns, end_ns = source.now_ns, source.now_ns + round(minutes * 60e9)
    world.arm(source.marks())
    while True:
        watcher.marked((source.now_ns - begin_ns) / 60e9)
        seconds = min(step_s, (end_ns - source.now_ns) / 1e9)
        if seconds <= 0:
            break
        world.feed(source.step(seconds))
        unhedged.step(source.marks())
    world.finish()
    tally = witness.tally
    watcher.closed(closing_report(world.exchanges[0]))
    return {
        "seed": seed,
        "minutes": minutes,
        "hedges": tally.hedges,
        "verified": tally.verified,
        "legs": tally.legs,
        "cost_usd": {**tally.cost.as_dict(), "total": tally.cost.total},
        "outside_bands": {row: n / tally.marks for row, n in sorted(tally.outside.items())},
        "worst": dict(sorted(tally.worst.items())),
        "pnl_usd": {
            "hedged": number(wealth_usd(world.state, chosen) - start_equity),
            "unhedged": number(wealth_usd(unhedged.state, chosen) - start_equity),
        },
        "digest": witness.digest.hexdigest(),
    }


def _engines(
    source: SimulatedMarket, seed: int, desk: Settings, witness: Witness
) -> tuple[PaperWorld, Engine]:
    """The engine on its paper venue; and what would have become of the book without a hedge: the same engine,
    with no venue to send to."""
    market = Market.empty(source.universe).apply(source.marks())
    valuation = value(market, desk.age_s_max)
    book = market_maker_book(market, valuation, seed, desk.age_s_max, DEMO_BOOK)
    prices = {x.key: float(valuation.forward[i]) for i, x in enumerate(market.universe.listings)}
    book = book.opened_at(prices)
    clock, venues = VirtualClock(source.now_ns), venues_of(source.universe)
    sending = engine_settings(desk, ENGINE_TAG, paper_limits(Limits(), venues), venues)
    exchanges = exchanges_of(source.universe, book, lambda _: DEMO_TERMS, source.now_ns, seed=seed)
    state = fresh_state(source.universe, book, source.now_ns)
    world = PaperWorld(state, sending, exchanges, clock, NoRecord(), watch=witness)
    return world, Engine(State.fresh(source.universe, book, {}), sending, clock, NoRecord())


class Witness:
    """Looks on while the engine decides: counts marks, gathers what became of each ticket, digests it all."""

    def __init__(self, settings: Settings, watcher: DemoWatcher) -> None:
        self.tally = Tally()
        self.digest = hashlib.sha256()
        self._settings, self._watcher = settings, watcher
        self._plans: list[HedgePlan] = []
        self._fills: list[Fill] = []
        self._marked = -1

    def __call__(self, before: State, event: Event, after: State, decision: Decision) -> None:
        """One decision."""
        self.digest.update(decision.digest.encode())
        if isinstance(event.what, Marks) and event.what.seq != self._marked and after.snapshot is not None:
            self._marked = event.what.seq  # a batch that is looked at twice counts once
            _count(self.tally, after.snapshot)
        if decision.plan is not None and decision.plan.trades and after.execution is not None:
            self._plans.append(decision.plan)
        self._fills += [trade.fill for trade in newly_booked(before, event, after)]
        if decision.verification is not None:
            self._done(decision.verification, after)

    def _done(self, check: Verification, after: State) -> None:
        plans, fills = self._plans, tuple(self._fills)
        self._plans, self._fills = [], []
        filled: dict[tuple[str, str], Decimal] = {}
        for fill in fills:
            filled[fill.listing.key] = filled.get(fill.listing.key, Decimal(0)) + fill.signed
        verified, text = check.filled or check.inside, f"ended: {check.ended}"
        if check.filled and len(plans) == 1:
            # All of it at the marks of the ticket: the whole book valued anew must be where the ticket said.
            snapshot = plans[0].snapshot
            now = take_snapshot(after.book, snapshot.market, self._settings, marked=True)
            verified, text = verify(plans[0], now, check.cost_usd)
        hedge = DemoHedge(plans[0], fills, verified, text, tuple(plans[1:]))
        tally = self.tally
        tally.hedges += 1
        tally.verified += hedge.verified
        for plan in plans:
            tally.legs += len(plan.trades)
            tally.cost += cost_of_fills(plan, filled)
        self._watcher.hedged(hedge)


def _count(tally: Tally, snapshot: Snapshot) -> None:
    """Add one mark to the tally: rows found outside, worst exposures."""
    tally.marks += 1
    breached = snapshot.bands.breached(snapshot.exposure.value)
    for i in np.flatnonzero(snapshot.bands.banded).tolist():
        row, x = snapshot.exposure.rows[i], float(snapshot.exposure.value[i])
        tally.outside[row] = tally.outside.get(row, 0) + int(breached[i])
        if abs(x) >= abs(tally.worst.get(row, 0.0)):
            tally.worst[row] = x
