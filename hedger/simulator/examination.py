"""The checker examined: known bugs, each put into a world as a part in place of a sound one, must be found.

No bug is here. Whoever has some (the tests of this project have ten) brings them in a file: a mapping `BUGS`
of names to what makes the parts, and `TRIALS` of the same names to the worlds in which they come out. The
same world with the product's own parts must be clean: so it is the bug that is found, and not the fault.
"""

from __future__ import annotations

import runpy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from hedger.settings import Settings
from hedger.simulator.faults import Mix
from hedger.simulator.judging import check_world
from hedger.simulator.life import PRODUCT, Parts
from hedger.simulator.market import COIN, SETTINGS, Setting
from hedger.simulator.world import World
from pricing.errors import InputError

#: Seconds with faults, and in peace after them.
FAULTS_S, REST_S = 36.0, 31.0
_OPEN = {"target": 0, "trigger": [-1e9, 1e9], "landing": [-5e8, 5e8]}
_OTHERS = {"kinds": ["spot", "option", "future"]}
#: Only the perpetual may be traded, in small parts.
PERPETUAL_ONLY = Settings.model_validate(
    SETTINGS.model_dump(mode="json")
    | {
        "execution": {"participation": 0.1, "book_age_s_max": 5.0},
        "universe": {"deny_buy": _OTHERS, "deny_sell": _OTHERS},
        "bands": {
            "*": {
                "delta_usd": {"target": 0, "trigger": [-15000, 15000], "landing": [-7000, 7000]},
                "gamma_usd_per_1pct": _OPEN,
                "vega_usd_per_point": _OPEN,
            }
        },
    }
)


@dataclass(frozen=True, slots=True)
class Trial:
    """A world in which a bug comes out, and by which of the invariants it must be found.

    perpetual_usd_max: None: the setting of every run; else only the perpetual may be traded, in small parts,
    on a book without one, up to so many USD of it.
    """

    mix: Mix
    found_by: frozenset[str]
    seed: int = 2
    perpetual_usd_max: float | None = None


@dataclass(frozen=True, slots=True)
class Examined:
    """One bug: the invariants that its world and the same world without it broke."""

    bug: str
    wanted: frozenset[str]
    found: frozenset[str]
    without: frozenset[str]

    @property
    def caught(self) -> bool:
        """Whether the bug was found, by what it should be, and nothing where it is not."""
        return self.wanted <= self.found and not self.without


def violated(trial: Trial, parts: Parts) -> frozenset[str]:
    """The invariants that a trial's world of these parts breaks."""
    setting = Setting.of(trial.seed)
    if trial.perpetual_usd_max is not None:
        symbol = f"{COIN}-PERPETUAL"
        positions = {k: p for k, p in setting.opening.positions.items() if p.listing.symbol != symbol}
        setting.opening = replace(setting.opening, positions=positions)
        setting.settings = PERPETUAL_ONLY
        position = replace(setting.limits.position, instrument_usd_max=trial.perpetual_usd_max)
        setting.limits = replace(setting.limits, position=position)
    world = World(setting, trial.mix, FAULTS_S, REST_S, parts).run()
    return frozenset(violation.invariant for violation in check_world(world))


def examine(bugs: Mapping[str, Callable[[], Parts]], trials: Mapping[str, Trial]) -> list[Examined]:
    """Every bug in its world, and every world without it; worlds that are alike are run once."""
    sound: dict[tuple[str, int, float | None], frozenset[str]] = {}
    found = []
    for name, make in bugs.items():
        trial = trials[name]
        world = repr(trial.mix), trial.seed, trial.perpetual_usd_max
        if world not in sound:
            sound[world] = violated(trial, PRODUCT)
        found.append(Examined(name, trial.found_by, violated(trial, make()), sound[world]))
    return found


def load_bugs(path: Path) -> tuple[Mapping[str, Callable[[], Parts]], Mapping[str, Trial]]:
    """What a file of bugs holds.

    Raises:
        InputError: it cannot be run, or holds no bugs, or not a trial for each.
    """
    try:
        words = runpy.run_path(str(path))
    except Exception as error:  # the file is a program of somebody else's: it may raise anything
        raise _unusable(path, f"{type(error).__name__}: {error}") from error
    bugs, trials = words.get("BUGS"), words.get("TRIALS")
    if not (isinstance(bugs, Mapping) and isinstance(trials, Mapping) and bugs and set(bugs) == set(trials)):
        raise _unusable(path, "no BUGS, or not a trial in TRIALS for each of them")
    return bugs, trials


def _unusable(path: Path, observed: str) -> InputError:
    return InputError(
        "BUGS_FILE",
        "the file of planted bugs cannot be used",
        where=str(path),
        observed=observed,
        allowed="a Python file with BUGS and TRIALS of the same names",
        not_done="nothing was started",
        fix="give tests/story/bugs.py of the source tree, or leave --bugs out",
    )
