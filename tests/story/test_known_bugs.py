"""The checker against ten known bugs: it must find each of them, and nothing where there is none.

Each bug is a part of the world put in by the test, under the faults that bring it out. The same world with
the product's own part has no violation: so it is the bug that is found, not the fault.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from hedger.simulator.examination import load_bugs, violated
from hedger.simulator.life import PRODUCT
from pricing.errors import InputError
from tests.story import bugs
from tests.story.bugs import BUGS, TRIALS


@pytest.mark.parametrize("name", BUGS)
def test_the_checker_finds_the_bug(name: str) -> None:
    trial = TRIALS[name]
    assert trial.found_by <= violated(trial, BUGS[name]())


#: Worlds that differ in more than in the bug; a mix holds no more than what it was made of.
WORLDS = {(repr(t.mix), t.seed, t.perpetual_usd_max): name for name, t in TRIALS.items()}


@pytest.mark.parametrize("name", sorted(WORLDS.values()))
def test_without_the_bug_nothing_is_found(name: str) -> None:
    assert violated(TRIALS[name], PRODUCT) == frozenset()


def test_there_are_ten_bugs_and_a_trial_for_each() -> None:
    assert len(BUGS) == 10 and set(BUGS) == set(TRIALS)


def test_the_command_reads_them_from_a_file(tmp_path: Path) -> None:
    found, trials = load_bugs(Path(bugs.__file__))
    assert list(found) == list(BUGS) and set(trials) == set(TRIALS)
    empty = tmp_path / "none.py"
    empty.write_text("BUGS = {}\n")
    for path in (empty, tmp_path / "absent.py"):
        with pytest.raises(InputError, match="BUGS_FILE"):
            load_bugs(path)
