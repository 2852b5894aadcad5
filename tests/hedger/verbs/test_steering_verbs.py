"""The verbs that leave a command for an engine: what they print, exit codes, no traceback."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hedger.core.events import Verb
from hedger.journal.commands_file import commands_path
from hedger.journal.recovery import recover
from hedger.journal.sqlite import read_sqlite
from tests.hedger.desk import hedger, strict_json
from tests.hedger.verbs.steered import engine


@pytest.mark.parametrize("verb", ["pause", "resume", "flatten"])
def test_a_command_is_done_when_the_journal_has_it(
    verb: str, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["BTC"] if verb == "flatten" else []
    with engine(file) as taken:
        ran = hedger(capsys, verb, *words, "--reason", "lunch", "--json")
    document = strict_json(ran.out)
    assert (ran.code, document["taken"], document["seq"]) == (0, True, 14)
    assert [(c.verb, c.reason, c.argument, c.id) for c in taken] == [
        (verb, "lunch", "".join(words), document["id"])
    ]
    storage = read_sqlite(file)
    assert document["id"] in recover(storage).commands
    storage.close()


@pytest.mark.parametrize("arms", [True, False])
def test_arm_is_done_when_the_engine_is_armed(
    arms: bool, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with engine(file, arms=arms):
        ran = hedger(capsys, "arm", "--json")
        status = strict_json(hedger(capsys, "status", "--json").out)
    assert (ran.code, strict_json(ran.out)["taken"]) == (0 if arms else 3, True)
    assert (status["running"], status["pid"]) == (True, os.getpid())
    assert status["mode"] == strict_json(ran.out)["mode"] == ("armed" if arms else "observe")


def test_arm_accept_is_a_person_s_word_with_its_reason(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with engine(file) as taken:
        without = hedger(capsys, "arm", "--accept")
        assert (without.code, taken) == (2, []) and without.err.startswith("REASON_NEEDED")
        ran = hedger(capsys, "arm", "--accept", "--reason", "sold 5 by hand", "--json")
    assert ran.code == 0
    assert [(c.verb, c.argument, c.reason) for c in taken] == [(Verb.ARM, "accept", "sold 5 by hand")]


def test_a_band_is_set_and_given_back_with_a_reason(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wish = "delta:BTC=-2,2/-1,1"
    with engine(file) as taken:
        assert hedger(capsys, "bands", wish).code == 2  # without a reason
        assert hedger(capsys, "bands", wish, "--reason", "calm week", "--json").code == 0
        assert hedger(capsys, "bands", "delta:BTC=", "--reason", "over", "--json").code == 0
    assert [(c.verb, c.argument, c.reason) for c in taken] == [
        (Verb.BANDS, wish, "calm week"),
        (Verb.BANDS, "delta:BTC=", "over"),
    ]


def test_an_engine_that_does_not_answer(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with engine(file, answers=False):
        ran = hedger(capsys, "pause", "--wait-s", "0.1", "--json")
    assert (ran.code, strict_json(ran.out)["taken"]) == (1, False)


@pytest.mark.parametrize("verb", ["arm", "pause", "resume", "flatten"])
def test_without_an_engine_nothing_is_left_for_a_later_one(
    verb: str, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = hedger(capsys, verb)
    assert (ran.code, ran.out) == (3, "") and ran.err.startswith("ENGINE_ABSENT")
    assert not commands_path(file).exists()


@pytest.mark.parametrize("reason", ["x" * 501, "two\nlines", "\x1b[2J"])
def test_texts_that_do_not_fit(reason: str, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with engine(file):
        ran = hedger(capsys, "pause", "--reason", reason)
    assert ran.code == 2 and ran.err.startswith("COMMAND_TEXT")
