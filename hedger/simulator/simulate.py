"""`hedger simulate`: the engine under seeded faults in virtual time, judged by the history checker.

Five things are run. Every seed: a random mix of the faults asked for. The first seed once more: the same
record must come of it, to the last hash (I15). If crashes are among the faults, for the first seed: a calm
run again and again, the process dying at each of its steps in turn, before and after every commit of the
journal and every send. For every fault asked for, and for none: kill drills (`hedger.simulator.drills`). If
a file of planted bugs is given: whether the checker finds each of them (`hedger.simulator.examination`).

Whatever is printed was counted in these runs; the seeds and the digest of the sources repeat them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from hedger.simulator.drills import CALM, SIZES, kill_drill
from hedger.simulator.examination import Examined
from hedger.simulator.faults import CRASH, ONE_DOWN, Mix, mix_of
from hedger.simulator.judging import check_world
from hedger.simulator.life import PRODUCT, Parts
from hedger.simulator.market import Setting
from hedger.simulator.occasions import OCCASIONS_S
from hedger.simulator.report import Report, Run, of_sources
from hedger.simulator.world import World
from pricing.daycount import NS_PER_SECOND
from venues.paper_faults import FaultKind
from venues.paper_log import Happened
from venues.simulated import START_NS

S = NS_PER_SECOND
#: Seconds of venue time: with faults, and in peace after them.
FAULTS_S, REST_S = 120.0, 35.0
#: Runs with the fault of settlement and maintenance start a minute before the daily settlement, at which
#: some of their options expire.
BEFORE_SETTLEMENT_NS = START_NS - 4 * 3600 * S - 60 * S
#: A run whose crash points are enumerated is shorter: it is run as often as it has steps.
ENUMERATED_S, ENUMERATED_REST_S = 12.0, 31.0
#: In one of so many seeds options are traded, on venues that take combos of them.
COMBOS_EVERY = 4
#: Drills: as many seeds as are run, at most.
DRILL_SEEDS_MAX = 5


def simulate(
    seeds: Iterable[int],
    faults: Sequence[str],
    told: Callable[[str], None] = lambda text: None,
    examination: Callable[[], list[Examined]] | None = None,
) -> Report:
    """Everything, in order; told: a line of progress after each part. examination: of planted bugs."""
    commit, sources = of_sources()
    report = Report(tuple(faults), commit, sources)
    seeds = list(seeds)
    for seed in seeds:
        report.runs.append(run_seed(seed, faults))
        told(f"seed {seed}: {len(report.runs[-1].violations)} violations")
    for seed in seeds[:1]:
        again = run_seed(seed, faults).digest
        report.repeated, report.alike = report.repeated + 1, report.alike + (again == report.runs[0].digest)
    if CRASH in faults and seeds:
        report.steps, report.enumerated = enumerate_crashes(seeds[0])
        told(f"{len(report.enumerated)} crash points of {report.steps}")
    for name in (CALM, *faults):
        drills = [kill_drill(seed, name, n) for seed in seeds[:DRILL_SEEDS_MAX] for n in SIZES]
        report.drills += drills
        told(f"kill under {name}: {max(drill.ended_s for drill in drills):.3f} s at most")
    if examination is not None:
        report.examined = examination()
        told(f"known bugs: {sum(x.caught for x in report.examined)} of {len(report.examined)} caught")
    return report


def run_seed(seed: int, faults: Sequence[str], parts: Parts = PRODUCT) -> Run:
    """One seed under a mix of faults."""
    mix = mix_of(faults, seed, round(FAULTS_S * S))
    settling = FaultKind.MAINTENANCE in mix.kinds
    setting = Setting.of(
        seed,
        BEFORE_SETTLEMENT_NS if settling else START_NS,
        expiring=settling,
        venues=2 if ONE_DOWN in mix.kinds else 1,
        combos=_combos(seed),
    )
    return judged(World(setting, mix, FAULTS_S, REST_S, parts, OCCASIONS_S))


def _combos(seed: int) -> bool:
    """Whether options are traded in a seed's runs, too, as combos where they can be: in every fourth."""
    return seed % COMBOS_EVERY == 0


def enumerate_crashes(seed: int, parts: Parts = PRODUCT, every: int = 1) -> tuple[int, list[Run]]:
    """How many steps a calm run has, and that run again with a crash at each of them (every n-th)."""
    calm = World(Setting.of(seed, combos=_combos(seed)), Mix(), ENUMERATED_S, ENUMERATED_REST_S, parts).run()
    last = calm.steps_with_faults
    return last, [
        judged(
            World(
                Setting.of(seed, combos=_combos(seed)),
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
    logs = [exchange.log for exchange in world.exchanges.values()]
    return Run(
        seed=world.setting.seed,
        kinds=world.kinds,
        violations=check_world(world),
        sent=world.sent(),
        orders=sum(len(log.of(Happened.RECEIVED)) for log in logs),
        fills=sum(len(log.of(Happened.FILLED)) + len(log.of(Happened.EXTERNAL)) for log in logs),
        settled=sum(fact.code == "expiry" for log in logs for fact in log.of(Happened.SETTLED)),
        crashes=world.tally.crashes,
        starts=world.tally.starts,
        steps=world.tally.steps,
        events=world.tally.events,
        hours=len(logs) * (world.end_ns - world.start_ns) / (3600 * S),
        happened=world.counts(),
        digest=world.disk.records[-1].hash.hex(),
        missed=dict(world.missed),
    )
