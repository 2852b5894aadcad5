"""`kill` and `unkill`, with an engine and without: what they print, exit codes, no traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hedger.core.events import Verb
from hedger.journal.entries import LatchChange, read
from hedger.journal.kill_latch import FileLatch, latch_path
from hedger.journal.sqlite import read_sqlite
from tests.hedger.command_line import hedger, strict_json
from tests.hedger.verbs.steered import engine


def test_kill_with_an_engine_waits_for_its_orders(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with engine(file) as taken:
        ran = hedger(capsys, "kill", "--reason", "red", "--json")
        document = strict_json(ran.out)
        assert (ran.code, document["confirmed"], document["live_orders"]) == (0, True, 0)
        assert strict_json(hedger(capsys, "status", "--json").out)["mode"] == "killed"
        lifted = hedger(capsys, "unkill", "--reason", "calm", "--json")
    assert [c.verb for c in taken] == [Verb.KILL, Verb.UNKILL]
    assert (lifted.code, strict_json(lifted.out)) == (
        0,
        {"killed": False, "was_killed": True, "refused": None},
    )


@pytest.mark.parametrize(
    ("left", "code", "unanswered", "words"),
    [
        ({"deribit": 0}, 4, ["okx"], "okx has not answered"),
        ({}, 4, ["deribit", "okx"], "deribit has not answered"),
        ({"deribit": 0, "okx": 3}, 1, [], "okx shows 3 open orders"),
    ],
)
def test_a_kill_is_confirmed_by_every_venue_and_by_nothing_else(
    left: dict[str, int],
    code: int,
    unanswered: list[str],
    words: str,
    file: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with engine(file, left=left):
        ran = hedger(capsys, "kill", "--wait-s", "1", "--json")
        document = strict_json(ran.out)
        assert (ran.code, document["confirmed"], document["live_orders"]) == (code, False, 0)
        assert document["unanswered"] == unanswered and words in document["note"]


def test_a_kill_that_is_not_confirmed_says_so_and_holds(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with engine(file, answers=False):
        ran = hedger(capsys, "kill", "--wait-s", "0.1", "--json")
        assert (ran.code, strict_json(ran.out)["confirmed"]) == (1, False)
        assert FileLatch(file).found() is not None
        lifted = hedger(capsys, "unkill", "--reason", "calm", "--wait-s", "0.1")
    assert lifted.code == 1 and FileLatch(file).found() is not None


def test_kill_and_unkill_without_an_engine_are_in_the_record(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert hedger(capsys, "kill", "--reason", "red").code == 0
    assert hedger(capsys, "kill", "--reason", "again").code == 0
    document = strict_json(hedger(capsys, "status", "--json").out)
    assert (document["mode"], document["killed"]["reason"]) == ("killed", "red")
    lifted = hedger(capsys, "unkill", "--reason", "calm")
    assert (lifted.code, lifted.out) == (0, "the kill latch is removed; no engine runs\n")
    assert not latch_path(file).exists()
    storage = read_sqlite(file)
    changes = [read(record) for record in storage.records(kinds=["latch"])]
    storage.close()
    assert [(c.set, c.reason) for c in changes if isinstance(c, LatchChange)] == [
        (True, "red"), (True, "again"), (False, "calm")
    ]  # fmt: skip
    assert hedger(capsys, "journal", "verify").code == 0
    twice = hedger(capsys, "unkill", "--reason", "calm", "--json")
    assert (twice.code, strict_json(twice.out)) == (
        0,
        {"killed": False, "was_killed": False, "refused": None},
    )


def test_kill_works_on_a_journal_that_cannot_be_read(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_bytes(b"rubbish" * 1000)
    ran = hedger(capsys, "kill", "--json")
    document = strict_json(ran.out)
    assert (document["killed"], document["live_orders"]) == (True, None)
    assert (ran.code, document["confirmed"]) == (1, False)  # nobody can say whether it was of real venues
    assert FileLatch(file).found() is not None
    lifted = hedger(capsys, "unkill", "--reason", "calm")  # no record can be written: it stays
    assert lifted.code == 2 and FileLatch(file).found() is not None


def test_kill_beside_nothing_is_no_kill(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for verb in (("kill",), ("unkill", "--reason", "x")):
        ran = hedger(capsys, *verb, "--journal", tmp_path / "typo")
        assert ran.code == 2 and "NOTHING WAS KILLED" in ran.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [["unkill"], ["unkill", "--reason", ""], ["unkill", "--reason", " "]])
def test_unkill_needs_a_reason(words: list[str], file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert hedger(capsys, "kill").code == 0
    ran = hedger(capsys, *words)
    assert ran.code == 2 and ran.err.startswith("USAGE")
    assert FileLatch(file).found() is not None


def test_no_text_of_its_reason_keeps_a_kill_from_the_engine(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGNAME", "ev\x1b[41mil")
    with engine(file) as taken:
        ran = hedger(capsys, "kill", "--reason", "bad \x1b[31mred\x1b]0;t\x1b\\" + "!" * 600)
        shown = hedger(capsys, "status").out
    assert [c.verb for c in taken] == [Verb.KILL] and ran.code == 0
    assert "bad" in shown and "\x1b" not in shown + ran.out and taken[0].user == "ev [41mil"


def test_a_process_kills_and_another_sees_it(file: Path) -> None:
    words = [sys.executable, "-m", "hedger", "kill", "--journal", str(file), "--reason", "red", "--json"]
    ran = subprocess.run(words, capture_output=True, text=True, env={**os.environ, "LOGNAME": "ann"})
    assert ran.returncode == 0 and json.loads(ran.stdout)["killed"] is True
    found = FileLatch(file).found()
    assert found is not None and (found.user, found.reason) == ("ann", "red")
