"""The checker against ten known bugs: it must find each of them, and nothing where there is none.

Each bug is a part of the world put in by the test, under the faults that bring it out. The same world with
the product's own part has no violation: so it is the bug that is found, not the fault.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from hedger.settings import Settings
from hedger.simulator.faults import Deed, Due, Mix
from hedger.simulator.life import PRODUCT, Parts
from hedger.simulator.market import SETTINGS, Setting
from hedger.simulator.simulate import check_world
from hedger.simulator.world import World
from tests.story.bugs import BUGS
from venues.paper_faults import Fault, FaultKind

S = 10**9
PERPETUAL = "BTC-PERPETUAL"
OPEN = {"target": 0, "trigger": [-1e9, 1e9], "landing": [-5e8, 5e8]}
OTHERS = {"kinds": ["spot", "option", "future"]}
PERPETUAL_ONLY = Settings.model_validate(
    SETTINGS.model_dump(mode="json")
    | {
        "execution": {"participation": 0.1, "book_age_s_max": 5.0},
        "universe": {"deny_buy": OTHERS, "deny_sell": OTHERS},
        "bands": {
            "*": {
                "delta_usd": {"target": 0, "trigger": [-15000, 15000], "landing": [-7000, 7000]},
                "gamma_usd_per_1pct": OPEN,
                "vega_usd_per_point": OPEN,
            }
        },
    }
)


@dataclass(frozen=True)
class Trial:
    """A world in which a bug comes out, and by which of the invariants it must be found.

    perpetual_usd_max: None: the setting of every run; else only the perpetual may be traded, in small parts,
    on a book without one, up to so many USD of it.
    """

    mix: Mix
    found_by: frozenset[str]
    seed: int = 2
    perpetual_usd_max: float | None = None


def often(kind: FaultKind, probability: float, variant: str = "") -> Fault:
    return Fault(kind, probability, variant=variant)


ACKS_LOST = Mix(venue=(often(FaultKind.ACK_LOST, 0.5),))
CRASHES = tuple(Due(t * S, Deed.CRASH) for t in (8, 14, 20, 26, 32))
TRIALS = {
    "blind resend": Trial(ACKS_LOST, frozenset({"I1"})),
    "delta from cumulative fills": Trial(Mix(), frozenset({"I3", "I4"})),
    "timeout is failure": Trial(ACKS_LOST, frozenset({"I7"})),
    "forgotten latch": Trial(Mix(dues=(Due(10 * S, Deed.KILL), Due(11 * S, Deed.CRASH))), frozenset({"I6"})),
    "merged snapshot": Trial(Mix(), frozenset({"I8"}), seed=1),
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


def violated(trial: Trial, parts: Parts) -> set[str]:
    setting = Setting.of(trial.seed)
    if trial.perpetual_usd_max is not None:
        positions = {k: p for k, p in setting.opening.positions.items() if p.listing.symbol != PERPETUAL}
        setting.opening = replace(setting.opening, positions=positions)
        setting.settings = PERPETUAL_ONLY
        position = replace(setting.limits.position, instrument_usd_max=trial.perpetual_usd_max)
        setting.limits = replace(setting.limits, position=position)
    world = World(setting, trial.mix, 36.0, 31.0, parts).run()
    return {violation.invariant for violation in check_world(world)}


@pytest.mark.parametrize("name", BUGS)
def test_the_checker_finds_the_bug(name: str) -> None:
    trial = TRIALS[name]
    assert trial.found_by <= violated(trial, BUGS[name]())


#: Worlds that differ in more than in the bug; a mix holds no more than what it was made of.
WORLDS = {(repr(t.mix), t.seed, t.perpetual_usd_max): name for name, t in TRIALS.items()}


@pytest.mark.parametrize("name", sorted(WORLDS.values()))
def test_without_the_bug_nothing_is_found(name: str) -> None:
    assert violated(TRIALS[name], PRODUCT) == set()


def test_there_are_ten_bugs_and_a_trial_for_each() -> None:
    assert len(BUGS) == 10 and set(BUGS) == set(TRIALS)
