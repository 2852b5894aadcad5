"""Two builds (F24): of another build than the engine's nothing is obeyed but what only stops (R11)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hedger.core.actions import Severity
from hedger.core.events import Command, Verb
from hedger.core.state import Mode, State
from tests.hedger.rig import Rig

LONG = {"BTC-PERPETUAL": "400000"}
OTHER = "0.0.9+fedcba9876543210"
ARGUMENTS = {Verb.BANDS: "delta:BTC=-1,1/-0.5,0.5", Verb.ARM: "accept", Verb.RELOAD: "{}"}


def asked(rig: Rig, verb: Verb, build: str = OTHER) -> tuple[State, State, list[tuple[Severity, str]]]:
    """The state before and after a command, and the alerts."""
    before = rig.state
    decision = rig.send(Command(f"{verb}-{rig.seq}", verb, "ann", "why not", ARGUMENTS.get(verb, ""), build))
    assert decision.orders == () and decision.adjustments == () and decision.preview is None
    return before, rig.state, [(alert.severity, alert.code) for alert in decision.alerts]


def same(before: State, after: State) -> bool:
    """Whether nothing has changed but that an event was taken, and a command noted."""
    noted = replace(before, commands=after.commands)
    names = [name for name in State.__dataclass_fields__ if name not in ("seq", "now_ns", "monotonic_ns")]
    return all(getattr(noted, name) == getattr(after, name) for name in names)


@pytest.mark.parametrize("verb", [verb for verb in Verb if verb not in (Verb.PAUSE, Verb.KILL)])
@pytest.mark.parametrize("mode", ["observe", "armed and paused", "halted", "killed"])
def test_what_another_build_asks_for_changes_nothing(verb: Verb, mode: str) -> None:
    rig = Rig(LONG)
    rig.answer(rig.mark())
    if mode == "armed and paused":
        rig.command(Verb.ARM)
        rig.command(Verb.PAUSE)
    elif mode == "killed":
        rig.command(Verb.KILL)
        for _ in range(3):
            rig.send(rig.report(), 1.0)
    elif mode == "halted":
        rig.command(Verb.ARM)
        rig.command(Verb.PAUSE)
        rig.truth.positions["BTC-PERPETUAL"] += 5000
        rig.send(rig.report())
        rig.send(rig.report(), 1.0)
        assert rig.state.mode is Mode.HALTED
    before, after, alerts = asked(rig, verb)
    assert alerts == [(Severity.WARNING, "BUILD_REFUSED")] and same(before, after)
    assert f"{verb}-{rig.seq - 1}" in after.commands  # by its id, so that it is refused once


def test_a_pause_and_a_kill_of_another_build_are_obeyed() -> None:
    rig = Rig(LONG).armed()
    _, after, alerts = asked(rig, Verb.PAUSE)
    assert after.paused and alerts == []
    _, after, _ = asked(rig, Verb.KILL)
    assert after.mode is Mode.KILLED


def test_the_engine_s_own_build_is_obeyed() -> None:
    rig = Rig(LONG).armed()
    asked(rig, Verb.PAUSE)
    _, after, alerts = asked(rig, Verb.RESUME, build="")
    assert not after.paused and alerts == []
