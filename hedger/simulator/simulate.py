"""`hedger simulate`: the engine under seeded faults in virtual time, judged by the history checker.

Three things are run. Every seed: a random mix of the faults asked for. For the first seed, if crashes are
among the faults: the same calm run again and again, the process dying at each step in turn: before and after
every commit of the journal and every send. For every fault asked for: a drill, how long 200 resting orders
outlive a kill.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from hedger.simulator.faults import CRASH, Mix, mix_of
from hedger.simulator.history import INVARIANTS, check, counted, history_of
from hedger.simulator.history_lines import Terms, Violation
from hedger.simulator.life import PRODUCT, Parts
from hedger.simulator.market import VENUE, Setting
from hedger.simulator.world import World
from pricing.contracts import Side
from pricing.daycount import NS_PER_SECOND
from venues.orders import Order, TimeInForce, client_order_id
from venues.paper_faults import FaultKind
from venues.paper_log import Happened
from venues.simulated import START_NS

S = NS_PER_SECOND
#: Seconds of venue time: with faults, and in peace after them.
FAULTS_S, REST_S = 120.0, 35.0
#: Runs with the fault of settlement and maintenance start a minute before the daily settlement.
BEFORE_SETTLEMENT_NS = START_NS - 4 * 3600 * S - 60 * S
#: A run whose crash points are enumerated is shorter: it is run as often as it has steps.
ENUMERATED_S, ENUMERATED_REST_S = 12.0, 31.0
#: What a venue's balance may differ by: funding that runs, and the marks of one moment against another's.
CASH_MAX = {"BTC": Decimal("0.005"), "USDC": Decimal(50)}
DRILL_ORDERS = 200
#: Drills under a fault: as many as there are seeds, at most.
DRILL_SEEDS_MAX = 20
DRILL_S, DRILL_KILL_S = 40.0, 15.0
#: The engine goes by the venue's stamp; a quote reaches us later than it was made.
QUOTE_SLACK_S = 1.0


@dataclass(frozen=True, slots=True)
class Run:
    """One run judged. hours: of venue time."""

    seed: int
    kinds: tuple[str, ...]
    violations: tuple[Violation, ...]
    orders: int
    fills: int
    crashes: int
    starts: int
    steps: int
    events: int
    hours: float
    happened: dict[str, int]


@dataclass(slots=True)
class Report:
    """What all runs came to. drills: seconds from the kill to the last order's end, by fault."""

    faults: tuple[str, ...]
    runs: list[Run] = field(default_factory=list)
    enumerated: list[Run] = field(default_factory=list)
    drills: dict[str, list[float]] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """As `simulate --json` prints it."""
        every = [*self.runs, *self.enumerated]
        violations = counted(v for run in every for v in run.violations)
        drawn = {name: sum(name in run.kinds for run in self.runs) for name in self.faults}
        happened: dict[str, int] = {}
        for run in every:
            for name, n in run.happened.items():
                happened[name] = happened.get(name, 0) + n
        return {
            "runs": len(self.runs),
            "seeds": [run.seed for run in self.runs],
            "faults": list(self.faults),
            "drawn": drawn,
            "happened": dict(sorted(happened.items(), key=lambda item: int(item[0][1:]))),
            "violations": violations,
            "crash_points": len(self.enumerated),
            "crash_points_survived": sum(not run.violations for run in self.enumerated),
            "crashes": sum(run.crashes for run in every),
            "starts": sum(run.starts for run in every),
            "orders": sum(run.orders for run in every),
            "fills": sum(run.fills for run in every),
            "events": sum(run.events for run in every),
            "venue_hours": round(sum(run.hours for run in every), 4),
            "kill_s": {name: _quantiles(found) for name, found in self.drills.items()},
            "failing_seeds": sorted({run.seed for run in every if run.violations}),
        }

    @property
    def failed(self) -> bool:
        """Whether an invariant did not hold."""
        return any(run.violations for run in (*self.runs, *self.enumerated))

    def text(self) -> str:
        """For people."""
        shown = self.document()
        broken = {name: n for name, n in shown["violations"].items() if n}
        lines = [
            f"{shown['runs']} seeds x {len(self.faults)} kinds of fault: "
            f"{sum(shown['drawn'].values())} drawn, "
            f"{sum(shown['happened'].values())} happened",
            f"violations of {', '.join(INVARIANTS)}: "
            + (", ".join(f"{name} {n}" for name, n in broken.items()) or "none"),
            f"crash points: {shown['crash_points']} enumerated, {shown['crash_points_survived']} survived; "
            f"{shown['crashes']} crashes and {shown['starts']} starts in all",
            f"{shown['orders']} orders, {shown['fills']} fills, {shown['events']} events in "
            f"{shown['venue_hours']:.2f} venue-hours",
        ]
        lines += [
            f"kill of {DRILL_ORDERS} orders under {name}: p50 {_seconds(q['p50'])}, p99 {_seconds(q['p99'])}"
            for name, q in shown["kill_s"].items()
        ]
        for run in (*self.runs, *self.enumerated):
            for violation in run.violations:
                lines.append(f"seed {run.seed} ({', '.join(run.kinds) or 'calm'}): {violation}")
                lines += [f"    {line}" for line in violation.evidence]
        return "\n".join(lines)


def _quantiles(found: Sequence[float]) -> dict[str, float | None]:
    """p50, p99 and the largest, s; None where an order was left."""
    ordered = [x if math.isfinite(x) else None for x in sorted(found)]
    return {
        "p50": ordered[(len(ordered) - 1) // 2],
        "p99": ordered[-(-99 * len(ordered) // 100) - 1],
        "max": ordered[-1],
    }


def _seconds(x: float | None) -> str:
    return "never" if x is None else f"{x:.3f} s"


def simulate(
    seeds: Iterable[int], faults: Sequence[str], told: Callable[[str], None] = lambda text: None
) -> Report:
    """Everything, in order; told: a line of progress after each part."""
    report = Report(tuple(faults))
    seeds = list(seeds)
    for seed in seeds:
        report.runs.append(run_seed(seed, faults))
        told(f"seed {seed}: {len(report.runs[-1].violations)} violations")
    if CRASH in faults and seeds:
        report.enumerated = enumerate_crashes(seeds[0])
        told(f"{len(report.enumerated)} crash points")
    for name in faults:
        report.drills[name] = [kill_drill(seed, name) for seed in seeds[:DRILL_SEEDS_MAX]]
        told(f"kill under {name}: {report.drills[name]}")
    return report


def run_seed(seed: int, faults: Sequence[str], parts: Parts = PRODUCT) -> Run:
    """One seed under a mix of faults."""
    mix = mix_of(faults, seed, round(FAULTS_S * S))
    start_ns = BEFORE_SETTLEMENT_NS if FaultKind.MAINTENANCE in mix.kinds else START_NS
    return judged(World(Setting.of(seed, start_ns), mix, FAULTS_S, REST_S, parts))


def enumerate_crashes(seed: int, parts: Parts = PRODUCT, every: int = 1) -> list[Run]:
    """A calm run, and again with a crash at each of its steps in turn (every n-th)."""
    calm = World(Setting.of(seed), Mix(), ENUMERATED_S, ENUMERATED_REST_S, parts).run()
    last = calm.steps_with_faults
    return [
        judged(
            World(
                Setting.of(seed),
                Mix((CRASH,), crash_steps=frozenset({k})),
                ENUMERATED_S,
                ENUMERATED_REST_S,
                parts,
            )
        )
        for k in range(1, last + 1, every)
    ]


def judged(world: World) -> Run:
    """Let a world run, and have it judged."""
    world.run()
    log = world.exchange.log
    happened: dict[str, int] = dict(world.happened)
    for name, n in world.exchange.fault_counts.items():
        happened[str(name)] = happened.get(str(name), 0) + n
    return Run(
        seed=world.setting.seed,
        kinds=world.kinds,
        violations=check_world(world),
        orders=len(log.of(Happened.RECEIVED)),
        fills=len(log.of(Happened.FILLED)) + len(log.of(Happened.EXTERNAL)),
        crashes=world.tally.crashes,
        starts=world.tally.starts,
        steps=world.tally.steps,
        events=world.tally.events,
        hours=(world.end_ns - world.start_ns) / (3600 * S),
        happened=happened,
    )


def check_world(world: World) -> tuple[Violation, ...]:
    """What the history checker says of a world that has run."""
    setting = world.setting
    age = setting.settings.execution.book_age_s_max
    terms = Terms(
        position_max=setting.position_max(),
        quote_age_s_max=None if age is None else age + QUOTE_SLACK_S,
        cash_difference_max=CASH_MAX,
    )
    history = history_of(
        {VENUE: world.exchange.log.json_lines()},
        world.wire_lines,
        world.journal_lines(),
        world.claims,
        world.disk.name.genesis.hex(),
        terms,
    )
    return check(history)


def kill_drill(seed: int, fault: str) -> float:
    """Seconds from a kill to the end of the last of `DRILL_ORDERS` resting orders, under one fault."""
    setting = Setting.of(seed)
    setting.terms = replace(setting.terms, order_rate=1000.0, order_burst=2 * DRILL_ORDERS)
    world = World(setting, mix_of([fault], seed, round(DRILL_S * S)), DRILL_S, REST_S)
    return world.drill(_resting(setting, DRILL_ORDERS), DRILL_KILL_S)


def _resting(setting: Setting, count: int) -> list[Order]:
    """Orders far from the market, as an engine of the same tag could have left them."""
    listing = next(x for x in setting.market.universe.listings if x.symbol.endswith("-PERPETUAL"))
    at = setting.market.universe.positions[listing.key]
    bid = float(setting.market.marks().bid[at])
    price = listing.quantize_price(Decimal(repr(round(bid * 0.9, 2))), Side.BUY)
    return [
        Order(
            client_order_id("old0", 1, 0, part),
            listing,
            Side.BUY,
            listing.minimum,
            price - part * listing.tick_steps.at(price),
            TimeInForce.GTC,
            post_only=True,
        )
        for part in range(count)
    ]
