"""What a simulated run lets go wrong: ids of the fault catalogue, and a random mix of them by seed.

Those of the venue are the paper venue's own (`venues.paper_faults`). Around it stand those of the machine:
crashes, disks, clocks; and those of people: kills, wrong bands, a restart in a loop. Faults that need a
socket or another process (F4, F21, F22, F24 to F26, F29) are not of these.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType

import numpy as np

from pricing.daycount import NS_PER_SECOND
from pricing.errors import InputError
from venues.paper_faults import Fault, FaultKind, seeded_faults

#: A seed takes each of the faults that it may have with this chance.
SHARE = 0.4
#: When what is to happen once for certain is due, shares of the time with faults: what comes with an order
#: among the first ones, before anything else may keep the engine from trading; the rest later.
ORDERS_EARLY, ONCE_TRADING = (0.0, 0.1), (0.2, 0.6)
_OF_ORDERS = frozenset(
    {
        FaultKind.ACK_LOST,
        FaultKind.LATE,
        FaultKind.REQUEST_LOST,
        FaultKind.FILL_DROPPED,
        FaultKind.SERVER_ERROR,
        FaultKind.DUPLICATE,
        FaultKind.CANCEL_RACE,
    }
)
#: Of the engine's own steps (a commit's begin and end, a send's begin and end) a run has some hundreds.
CRASH_STEPS_MAX = 250

S = NS_PER_SECOND


class WorldFault(StrEnum):
    """Faults around the venue."""

    DISCONNECTS = "F5"  # the session ends again and again, at whatever is sent
    SKEW = "F18"  # our wall clock steps, beside the venue's skewed stamps
    CRASH = "F19"  # kill -9 at a step: before or after a commit, before or after a send
    DISK = "F20"  # full, an input/output error with and without the write, a slow sync
    CONFIG = "F23"  # bands and settings, good and senseless, in the middle of whatever is going on
    KILL = "F28"  # the kill is pressed, and taken back later
    RUNAWAY = "F30"  # bands too narrow, swinging from one side to the other
    RESTARTS = "F32"  # crash and start in a loop
    POWER = "F33"  # the power fails with the kill latch set: what was not synced is gone
    ONE_DOWN = "F34"  # of two venues one is gone for long, with an order on its way to it


FAULTS: tuple[str, ...] = tuple(
    sorted({*map(str, FaultKind), *map(str, WorldFault)}, key=lambda name: int(name[1:]))
)


CRASH = str(WorldFault.CRASH)
ONE_DOWN = str(WorldFault.ONE_DOWN)


class Deed(StrEnum):
    """What happens to the world at a time."""

    CRASH = "crash"
    POWER_LOSS = "power_loss"
    KILL = "kill"
    UNKILL = "unkill"
    BANDS = "bands"
    RELOAD = "reload"
    CLOCK_STEP = "clock_step"
    DISK_FULL = "disk_full"
    DISK_ERROR = "disk_error"
    DISK_SLOW = "disk_slow"
    REST = "rest"  # orders of a drill are placed at the venue


@dataclass(frozen=True, slots=True)
class Due:
    """A deed at a time, ns after the start. number, text: its arguments; fault: whose doing it is."""

    after_ns: int
    deed: Deed
    number: int = 0
    text: str = ""
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Mix:
    """The faults of one run. kinds: ids that were drawn; venue: for the paper venue; crash_steps: of the
    engine, counted from 1."""

    kinds: tuple[str, ...] = ()
    venue: tuple[Fault, ...] = ()
    dues: tuple[Due, ...] = ()
    crash_steps: frozenset[int] = frozenset()


def fault_ids(text: str) -> tuple[str, ...]:
    """Read a list such as "F1,F7", or "all".

    Raises:
        InputError: an id that there is not.

    >>> fault_ids("F7, F1,F7")
    ('F1', 'F7')
    """
    if text.strip() == "all":
        return FAULTS
    words = [word.strip() for word in text.split(",") if word.strip()]
    strange = next((word for word in words if word not in FAULTS), "" if words else "nothing")
    if strange:
        raise InputError(
            "FAULT_UNKNOWN",
            "there is no such fault to simulate",
            where="--faults",
            observed=strange,
            allowed=f"all, or some of {', '.join(FAULTS)}",
            not_done="nothing was started",
            fix="leave it out; faults of sockets and processes are not simulated",
        )
    return tuple(name for name in FAULTS if name in words)


def mix_of(ids: Sequence[str], seed: int, until_ns: int, often: float = 0.5, rare: float = 0.06) -> Mix:
    """The faults of a seed: each of `ids` with a chance of `SHARE`, a single one always; over by `until_ns`.

    A fault of the venue comes by its rate and once for certain, at the first opportunity after a time: with a
    low rate it would often not happen at all. The same ids, seed and time give the same mix; a fault's own
    numbers do not hang on the others'.
    """
    drawn = [name for name in ids if len(ids) == 1 or _dice(seed, name).random() < SHARE]
    kinds = [kind for kind in FaultKind if kind in drawn]
    venue = tuple(
        fault
        for kind in kinds
        for fault in (_for_certain(kind, seed, until_ns), *_by_rate(kind, seed, often, rare))
    )
    mix = Mix(tuple(drawn), venue)
    for name in drawn:
        make = _MAKERS.get(name)
        if make is not None:
            made = make(mix, _dice(seed, name, 1), until_ns)
            dues = [replace(due, fault=due.fault or name) for due in made.dues]
            mix = replace(made, dues=tuple(sorted(dues, key=_when)))
    return mix


def _by_rate(kind: FaultKind, seed: int, often: float, rare: float) -> tuple[Fault, ...]:
    return seeded_faults([kind], seed + int(kind[1:]), often=often, rare=rare)


def _for_certain(kind: FaultKind, seed: int, until_ns: int) -> Fault:
    """Early enough for an opportunity to come: some runs send no more than a few orders."""
    first, last = ORDERS_EARLY if kind in _OF_ORDERS else ONCE_TRADING
    return Fault(kind, at_ns=int(_dice(seed, kind, 2).uniform(first, last) * until_ns))


def _when(due: Due) -> int:
    return due.after_ns


def _dice(seed: int, name: str, stream: int = 0) -> np.random.Generator:
    return np.random.default_rng([seed, int(name[1:]), stream])


def _times(dice: np.random.Generator, n: int, until_ns: int) -> list[int]:
    """Times in the part of the run that has faults, sorted; not before it has begun to trade."""
    return sorted(int(x) for x in dice.uniform(0.15, 0.95, n) * until_ns)


def _with(mix: Mix, dues: Sequence[Due]) -> Mix:
    return replace(mix, dues=(*mix.dues, *dues))


def _disconnects(mix: Mix, dice: np.random.Generator, until_ns: int) -> Mix:
    storm = tuple(
        Fault(
            FaultKind.SESSION_KILLED,
            at_ns=at_ns,
            seconds=float(dice.uniform(0.2, 4.0)),
            by=WorldFault.DISCONNECTS,
        )
        for at_ns in _times(dice, 2, until_ns)
    )
    return replace(mix, venue=(*mix.venue, *storm))


def _skew(mix: Mix, dice: np.random.Generator, until_ns: int) -> Mix:
    steps = [int(x) for x in dice.choice([-1, 1], 3) * 10.0 ** dice.uniform(0.0, 2.5, 3)]
    times = _times(dice, 3, until_ns)
    return _with(mix, [Due(at, Deed.CLOCK_STEP, step) for at, step in zip(times, steps, strict=True)])


def _crash(mix: Mix, dice: np.random.Generator, until_ns: int) -> Mix:
    steps = frozenset(int(x) for x in dice.integers(1, CRASH_STEPS_MAX, 4))
    return replace(mix, crash_steps=mix.crash_steps | steps)


def _disk(mix: Mix, dice: np.random.Generator, until_ns: int) -> Mix:
    deeds = (Deed.DISK_FULL, Deed.DISK_ERROR, Deed.DISK_SLOW)
    return _with(
        mix,
        [Due(at, deeds[int(dice.integers(3))], int(dice.integers(2))) for at in _times(dice, 3, until_ns)],
    )


def _config(mix: Mix, dice: np.random.Generator, until_ns: int) -> Mix:
    wrong = (
        "delta:BTC=1,2,3/4",
        "delta:BTC=nan,1/0,0",
        "nonsense",
        "delta:BTC=-1,1/-2,2",
        "=",
        "delta:DOGE=",
    )
    tight = {"delta_usd": {"target": 0, "trigger": [-12000, 12000], "landing": [-5000, 5000]}}
    execution = {"participation": 0.3, "passive_seconds": 1.0, "book_age_s_max": 5.0}
    files = (
        json.dumps({"bands": {"*": tight}, "execution": execution}),
        json.dumps({"bands": {"*": {"delta_usd": {"target": 0, "trigger": [5, 1]}}}}),  # makes no sense
        '{"bands": {"*": {"delta_usd"',  # half written
        json.dumps({"limits_file": "looser.toml", "execution": execution | {"book_age_s_max": 500.0}}),
        json.dumps({"policy": {"retired_key": 1}}),
        json.dumps({"unreadable": "CONFIG_UNREADABLE: gone"}),
    )
    bands = [Due(at, Deed.BANDS, i, wrong[i]) for i, at in enumerate(_times(dice, 6, until_ns))]
    reloads = [Due(at, Deed.RELOAD, i, files[i]) for i, at in enumerate(_times(dice, 6, until_ns))]
    return _with(mix, [*bands, *reloads])


def _kill(mix: Mix, dice: np.random.Generator, until_ns: int) -> Mix:
    at = _times(dice, 1, until_ns)[0]
    return _with(mix, [Due(at, Deed.KILL), Due(at + 20 * S, Deed.UNKILL)])


def _runaway(mix: Mix, dice: np.random.Generator, until_ns: int) -> Mix:
    bands = ("delta:BTC=4.9,5.1/4.95,5.05", "delta:BTC=-5.1,-4.9/-5.05,-4.95")
    times = np.linspace(0.2, 0.9, 16) * until_ns
    swing = [Due(int(at), Deed.BANDS, i, bands[i % 2]) for i, at in enumerate(times)]
    return _with(mix, [*swing, Due(until_ns, Deed.BANDS, len(swing), "delta:BTC=")])


def _restarts(mix: Mix, dice: np.random.Generator, until_ns: int) -> Mix:
    first = _times(dice, 1, until_ns * 3 // 4)[0]
    gaps = np.cumsum(dice.uniform(0.1, 3.0, 8))
    return _with(mix, [Due(first + int(gap * S), Deed.CRASH) for gap in gaps])


def _power(mix: Mix, dice: np.random.Generator, until_ns: int) -> Mix:
    at = _times(dice, 1, until_ns)[0]
    off = at + int(dice.uniform(0.0, 2.0) * S)
    return _with(mix, [Due(at, Deed.KILL), Due(off, Deed.POWER_LOSS), Due(at + 25 * S, Deed.UNKILL)])


def _one_down(mix: Mix, dice: np.random.Generator, until_ns: int) -> Mix:
    at = round(float(dice.uniform(0.15, 0.35)) * until_ns)
    seconds = float(dice.uniform(25.0, 60.0))
    down = Fault(FaultKind.SESSION_KILLED, at_ns=at, seconds=seconds, by=ONE_DOWN)
    return replace(mix, venue=(*mix.venue, down, Fault(FaultKind.ACK_LOST, 0.3, by=ONE_DOWN)))


_MAKERS: Mapping[str, Callable[[Mix, np.random.Generator, int], Mix]] = MappingProxyType(
    {
        WorldFault.DISCONNECTS: _disconnects,
        WorldFault.SKEW: _skew,
        WorldFault.CRASH: _crash,
        WorldFault.DISK: _disk,
        WorldFault.CONFIG: _config,
        WorldFault.KILL: _kill,
        WorldFault.RUNAWAY: _runaway,
        WorldFault.RESTARTS: _restarts,
        WorldFault.POWER: _power,
        WorldFault.ONE_DOWN: _one_down,
    }
)
