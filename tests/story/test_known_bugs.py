"""The checker against ten known bugs: it must find each of them, and nothing where there is none.

Each bug is a part of the world put in by the test, under the faults that bring it out. The same world with
the product's own part has no violation: so it is the bug that is found, not the fault.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from hedger.simulator import examination
from hedger.simulator.examination import load_bugs, violated
from hedger.simulator.life import PRODUCT, Parts
from pricing.errors import InputError
from tests.story import bugs
from tests.story.bugs import BUGS, TRIALS

#: Seconds with faults and in peace after them: most bugs come out before what the command gives them is over.
SOON = 20.0, 12.0
#: This one waits for an account's executions from long ago.
LATER = {"fill booked twice": (examination.FAULTS_S, examination.REST_S)}


def found(name: str, parts: Parts, patch: pytest.MonkeyPatch) -> frozenset[str]:
    faults_s, rest_s = LATER.get(name, SOON)
    patch.setattr(examination, "FAULTS_S", faults_s)
    patch.setattr(examination, "REST_S", rest_s)
    return violated(TRIALS[name], parts)


@pytest.mark.parametrize("name", BUGS)
def test_the_checker_finds_the_bug(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert TRIALS[name].found_by <= found(name, BUGS[name](), monkeypatch)


#: Worlds that differ in more than in the bug; a mix holds no more than what it was made of.
WORLDS = {
    (repr(t.mix), t.seed, t.perpetual_usd_max, LATER.get(name, SOON)): name for name, t in TRIALS.items()
}


@pytest.mark.parametrize("name", sorted(WORLDS.values()))
def test_without_the_bug_nothing_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert found(name, PRODUCT, monkeypatch) == frozenset()


def test_there_are_ten_bugs_and_a_trial_for_each() -> None:
    assert len(BUGS) == 10 and set(BUGS) == set(TRIALS)


def test_the_command_reads_them_from_a_file(tmp_path: Path) -> None:
    read, trials = load_bugs(Path(bugs.__file__))
    assert list(read) == list(BUGS) and set(trials) == set(TRIALS)
    empty = tmp_path / "none.py"
    empty.write_text("BUGS = {}\n")
    for path in (empty, tmp_path / "absent.py"):
        with pytest.raises(InputError, match="BUGS_FILE"):
            load_bugs(path)
