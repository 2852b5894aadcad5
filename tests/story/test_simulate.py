"""The engine under faults in virtual time: a few fixed seeds of what `hedger simulate` runs without end."""

from __future__ import annotations

import json
import math

import pytest

from hedger.cli import main
from hedger.simulator.faults import FAULTS, Mix, fault_ids, mix_of
from hedger.simulator.history import INVARIANTS
from hedger.simulator.market import Setting
from hedger.simulator.simulate import FAULTS_S, enumerate_crashes, kill_drill, run_seed
from hedger.simulator.world import World
from pricing.errors import Exit

#: Of the catalogue those that need no socket and no process.
CATALOGUE = {f"F{i}" for i in (1, 2, 3, *range(5, 21), 23, 27, 28, 30, 31, 32, 33)}


def test_every_fault_that_needs_no_socket_can_be_asked_for() -> None:
    assert set(FAULTS) == CATALOGUE == set(fault_ids("all"))


@pytest.mark.parametrize("seed", range(6))
def test_no_invariant_is_violated_under_a_mix_of_faults(seed: int) -> None:
    run = run_seed(seed, FAULTS)
    assert [str(violation) for violation in run.violations] == []


def test_the_calm_run_trades_and_is_clean() -> None:
    run = run_seed(1, ())
    assert run.orders > 20 and run.fills > 20 and run.crashes == 0
    assert run.violations == ()


def test_a_crash_at_any_step_violates_nothing() -> None:
    runs = enumerate_crashes(1, every=7)
    assert len(runs) >= 10 and all(run.crashes == 1 for run in runs)
    assert [str(violation) for run in runs for violation in run.violations] == []


def test_the_same_seed_gives_the_same_record() -> None:
    def journal() -> tuple[str, ...]:
        mix = mix_of(FAULTS, 5, round(30e9))
        return tuple(World(Setting.of(5), mix, 30.0, 31.0).run().journal_lines())

    first = journal()
    assert first == journal() and len(first) > 100


def test_faults_of_a_seed_do_not_hang_on_the_others_asked_for() -> None:
    until_ns = round(FAULTS_S * 1e9)
    alone = mix_of(("F5", "F28"), 3, until_ns)
    among = mix_of(FAULTS, 3, until_ns)
    assert {d for d in alone.dues if d.fault == "F28"} == {d for d in among.dues if d.fault == "F28"}


@pytest.mark.parametrize("fault", ["F8", "F20"])
def test_a_kill_ends_every_resting_order(fault: str) -> None:
    assert math.isfinite(kill_drill(2, fault))


def test_a_world_without_faults_steps_on_when_nothing_crashes() -> None:
    world = World(Setting.of(3), Mix(), 5.0, 31.0).run()
    assert world.tally.starts == 1 and world.tally.steps > world.steps_with_faults > 0


def test_the_verb_prints_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "--seeds", "1", "--first-seed", "4", "--faults", "F7", "--json"]) == Exit.DONE
    document = json.loads(capsys.readouterr().out)
    assert {
        "runs",
        "seeds",
        "faults",
        "violations",
        "crash_points",
        "orders",
        "fills",
        "failing_seeds",
    } <= set(document)
    assert (document["runs"], document["seeds"], document["faults"]) == (1, [4], ["F7"])
    assert document["violations"] == dict.fromkeys(INVARIANTS, 0) and document["failing_seeds"] == []


@pytest.mark.parametrize("words", [("--faults", "F4"), ("--faults", "F99,F1"), ("--faults", "")])
def test_an_unknown_fault_is_refused(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "--seeds", "1", *words]) == Exit.INVALID
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("FAULT_UNKNOWN: ") and "Traceback" not in err
