"""Other settings for a running engine: all of a file or nothing of it, and never what guards the engine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hedger.core.events import Command, Verb
from hedger.core.reload import changes
from hedger.engine.reloading import no_file, read_again, sha256_of
from hedger.settings import Settings
from tests.hedger.rig import Rig, desk, option_symbol

WISH = Command("r1", Verb.RELOAD, "ann", "wider bands")


def rig() -> Rig:
    """An armed engine with nothing to hedge."""
    return Rig({}, desk()).armed()


def in_force(engine: Rig) -> Settings:
    return engine.state.desk or engine.settings.desk


def test_a_valid_file_is_in_force_from_that_event_on() -> None:
    engine = rig()
    decision = engine.command(Verb.RELOAD, json.dumps({"execution": {"participation": 0.25}}))
    assert in_force(engine).execution.participation == 0.25
    assert "RELOADED" in engine.alerts() and "execution.participation: 1.0 -> 0.25" in decision.reason
    engine.command(Verb.RELOAD, json.dumps({"execution": None}))
    assert in_force(engine).execution.participation == 1.0


@pytest.mark.parametrize(
    ("argument", "code"),
    [
        ('{"bands": {"*": {"delta_usd"', "RELOAD_SYNTAX"),  # half a file
        ("[1]", "RELOAD_SYNTAX"),
        ("[" * 100_000, "RELOAD_SYNTAX"),
        (json.dumps({"execution": {"participation": 7}}), "CONFIG_INVALID"),
        (json.dumps({"execution": {"retired_key": 1}}), "CONFIG_INVALID"),
        (json.dumps({"limits_file": "looser.toml"}), "RELOAD_NEEDS_RESTART"),
        (json.dumps({"age_s_max": 5000.0}), "RELOAD_NEEDS_RESTART"),
        (json.dumps({"gamma_days_min": 0.5}), "RELOAD_NEEDS_RESTART"),
        (json.dumps({"execution": {"book_age_s_max": 500.0}}), "RELOAD_NEEDS_RESTART"),
        (json.dumps({"execution": {"reconcile": {"cash_difference_usd_max": 1e9}}}), "RELOAD_NEEDS_RESTART"),
        (json.dumps({"numeraire": "coin"}), "RELOAD_NEEDS_RESTART"),
        (json.dumps({"unreadable": "CONFIG_SYNTAX: line 3"}), "CONFIG_SYNTAX"),
    ],
)
def test_nothing_of_another_file_is_taken(argument: str, code: str) -> None:
    engine = rig()
    before = in_force(engine)
    decision = engine.command(Verb.RELOAD, argument)
    assert code in decision.reason and "RELOAD_REFUSED" in engine.alerts()
    assert in_force(engine) is before


def test_one_bad_section_leaves_the_good_ones_out_as_well() -> None:
    engine = rig()
    wish = {"execution": {"participation": 0.25}, "numeraire": "coin"}
    engine.command(Verb.RELOAD, json.dumps(wish))
    assert in_force(engine).execution.participation == 1.0


def test_a_hedge_in_work_ends_and_is_planned_anew_under_the_new_settings() -> None:
    market = Rig({}).market
    engine = Rig({option_symbol(market): "-60"}, desk(participation=0.2)).armed()
    engine.mark(1.0)
    assert engine.state.execution is not None and not engine.state.execution.ending
    engine.command(Verb.RELOAD, json.dumps({"execution": {"participation": 0.5}}))
    execution = engine.state.execution
    assert execution is None or "reloaded" in execution.ending


def file(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def argument_of(command: Command) -> dict[str, Any]:
    found = json.loads(command.argument)
    assert isinstance(found, dict)
    return found


def test_the_file_is_taken_as_it_was_looked_at(tmp_path: Path) -> None:
    path = file(tmp_path / "c.toml", "[execution]\nparticipation = 0.25\n")
    looked = Command("r1", Verb.RELOAD, "ann", "", sha256_of(path))
    running = Settings()
    taken = read_again(path, lambda x: x, looked, running)
    assert argument_of(taken) == {"execution": {"participation": 0.25}}
    assert (taken.id, taken.user, taken.verb) == (looked.id, looked.user, Verb.RELOAD)
    path.write_text("[execution]\n")  # an editor is writing it
    assert "CONFIG_CHANGED" in argument_of(read_again(path, lambda x: x, looked, running))["unreadable"]


@pytest.mark.parametrize(
    ("text", "code"), [("[execution\n", "CONFIG_SYNTAX"), ("[execution]\nnew = 1\n", "CONFIG_UNKNOWN_KEY")]
)
def test_a_file_that_is_none_becomes_a_refusal_on_record(text: str, code: str, tmp_path: Path) -> None:
    found = read_again(file(tmp_path / "c.toml", text), lambda x: x, WISH, Settings())
    told = argument_of(found)["unreadable"]
    assert told.startswith((code, "CONFIG_")) and "c.toml" in told
    gone = argument_of(read_again(tmp_path / "gone.toml", lambda x: x, WISH, Settings()))
    assert "unreadable" in gone
    assert "RELOAD_NO_FILE" in argument_of(no_file(WISH, Settings()))["unreadable"]


def test_what_is_taken_out_of_the_file_goes_back_to_the_built_in_value() -> None:
    old = Settings.model_validate({"execution": {"participation": 0.25}})
    assert json.loads(changes(old, Settings())) == {"execution": None}
    assert json.loads(changes(old, old)) == {}
