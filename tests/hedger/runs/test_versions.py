"""Mixed versions: a journal of another release, a library of another one: refused, and nothing is started.
Two builds at once (F24): of the other one an engine takes what only stops."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import tomllib
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hedger.build import PACKAGES, this_build
from hedger.core.events import Command
from hedger.engine.heartbeat import last_beat
from hedger.engine.starting import other_build, write_start
from hedger.journal.commands_file import CommandBox
from hedger.journal.entries import (
    Configuration,
    DecisionRecord,
    EventBody,
    JournalName,
    Kind,
    ModeChange,
    read,
)
from hedger.journal.journal import Journal, open_to_read
from hedger.journal.kill_latch import FileLatch
from hedger.journal.lock import lock_path
from hedger.journal.recovery import recover
from hedger.journal.schema import VERSION
from hedger.runs.checks import Check, Finding
from hedger.runs.doctor import check_build, check_libraries, examine_machine, installed
from hedger.settings import Settings
from risk.book import Book
from tests.hedger.verbs.loopback import PATIENCE_S, document, environment, said, started
from tests.hedger.verbs.test_venue_verbs import wait_for
from venues.pins import PINNED
from venues.simulated import SimulatedMarket

PROJECT = Path(__file__).resolve().parents[3] / "pyproject.toml"


def test_the_pins_are_those_of_the_project_and_are_what_is_installed() -> None:
    needs = tomllib.loads(PROJECT.read_text("utf-8"))["project"]["dependencies"]
    assert {name: version for name, sign, version in (n.partition("==") for n in needs) if sign} == PINNED
    assert check_libraries(PINNED, installed).finding is Finding.GOOD


@pytest.mark.parametrize("found", ["4.5.91", "4.5.9", None])
def test_another_release_of_a_pinned_library_is_bad(found: str | None) -> None:
    check = check_libraries({"ccxt": "4.5.90"}, lambda _: found)
    assert (check.finding, check.code) == (Finding.BAD, "LIBRARY_VERSION")
    assert (found or "missing") in check.text and "allowed: ccxt 4.5.90" in check.text


@pytest.mark.parametrize(
    "words",
    [
        ("run", "--arm", "--minutes", "0.01", "--no-watchdog"),
        ("status",),
        ("orders",),
        ("journal", "verify"),
        ("kill",),
    ],
    ids=lambda words: words[0],
)
def test_a_journal_of_a_newer_release_is_neither_written_nor_read(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, words: tuple[str, ...]
) -> None:
    """A kill sets the latch all the same, and confirms nothing."""
    Journal.open(tmp_path / "j", JournalName("paper", "sim0")).close()
    connection = sqlite3.connect(tmp_path / "j")
    connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    connection.close()
    before = (tmp_path / "j").read_bytes()
    ran = said(capsys, tmp_path, *words, "--journal", str(tmp_path / "j"))
    assert ran.returncode == (1 if words[0] == "kill" else 2)
    assert "JOURNAL_NEWER" in ran.stderr + ran.stdout and f"version {VERSION + 1}" in ran.stderr + ran.stdout
    assert (tmp_path / "j").read_bytes() == before


# ------------------------------------------------------------------------------------------------ two builds

ROOT = Path(__file__).resolve().parents[3]


def another_build(folder: Path) -> Path:
    """The sources that run here with one line more: what another release is on the disk."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package)  # with what Python has made of them
    file = folder / "hedger" / "moment.py"
    file.write_text(file.read_text("utf-8") + "# of another day\n", "utf-8")
    return folder


def decided(journal: Path, id: str) -> dict[str, Any]:
    """The engine's decision on a command, by its id."""
    with closing(open_to_read(journal)) as storage:
        (taken,) = [r for r in storage.records(kinds=[Kind.COMMAND]) if r.key == id]
        (found,) = [r for r in storage.records(taken.number, [Kind.DECISION]) if r.seq == taken.seq]
        body = read(found)
    assert isinstance(body, DecisionRecord)
    return dict(body.document)


def test_an_engine_takes_from_another_build_what_only_stops(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """F24, with two processes of two builds."""
    journal, other = tmp_path / "j", another_build(tmp_path / "other")

    def theirs(verb: str, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "hedger", verb, "--journal", str(journal), "--json", *words],
            capture_output=True, text=True, timeout=PATIENCE_S, cwd=other, env=environment(),
        )  # fmt: skip

    with started(tmp_path, "run", "--journal", "j", "--arm", "--no-watchdog", warm=True) as engine:
        wait_for(lambda: beat_of(journal) == "armed" or engine.poll() is not None)
        seen = document(theirs("status"))
        assert (seen["running"], seen["build"]) == (True, this_build()) and seen["this_build"] != seen[
            "build"
        ]
        ran = theirs("flatten", "--reason", "of another day")
        told = document(ran)
        assert (ran.returncode, told["taken"], told["refused"]["code"]) == (3, True, "BUILD_REFUSED")
        found = decided(journal, told["id"])
        assert (found["mode"], found["paused"], found["ticket"]) == ("armed", False, None)
        ran = theirs("pause")
        assert (ran.returncode, decided(journal, document(ran)["id"])["paused"]) == (0, True)
        ran = theirs("resume")
        assert (ran.returncode, decided(journal, document(ran)["id"])["paused"]) == (3, True)
        assert theirs("kill", "--reason", "a drill").returncode == 0
        unkilled = said(capsys, tmp_path, "unkill", "--journal", "j", "--reason", "over", "--json")
        assert (unkilled.returncode, FileLatch(journal).found()) == (0, None)  # ours: of the same build
    with closing(open_to_read(journal)) as storage:
        builds = {r.key: read(r) for r in storage.records(kinds=[Kind.COMMAND])}
        (start,) = [read(r) for r in storage.records(kinds=[Kind.CONFIGURATION])]
    assert isinstance(start, Configuration) and start.version == this_build()
    sent = [word.what for word in builds.values() if isinstance(word, EventBody)]
    named = {(c.verb, c.build) for c in sent if isinstance(c, Command) and c.build}
    assert {verb for verb, _ in named} == {"flatten", "pause", "resume", "kill"}
    assert {build for _, build in named} == {seen["this_build"]}


def beat_of(journal: Path) -> str:
    found = last_beat(journal)
    return "" if found is None else found.mode


def test_a_start_on_another_build_s_journal_is_allowed_and_on_record(tmp_path: Path) -> None:
    market = SimulatedMarket(7)
    journal = Journal.open(tmp_path / "j", JournalName("paper", "sim0"))
    then = []
    for build in ("0.0.9+00", "0.1.0+11", "0.1.0+11"):
        found = recover(journal.storage)
        then.append(other_build(found, build))
        write_start(journal, found, market.now_ns, Configuration(build, ""), market.universe.listings, Book())
    journal.close()
    assert then == ["", "0.0.9+00", ""]
    with closing(open_to_read(tmp_path / "j")) as storage:
        words = [read(r) for r in storage.records(kinds=[Kind.CONFIGURATION, Kind.MODE])]
    builds = [word.version for word in words if isinstance(word, Configuration)]
    modes = [(word.mode, word.reason) for word in words if isinstance(word, ModeChange)]
    assert builds == ["0.0.9+00", "0.1.0+11", "0.1.0+11"]
    assert [mode for mode, _ in modes] == ["observe"] * 3
    assert ["0.0.9+00" in reason for _, reason in modes] == [False, True, False]


def test_the_doctor_names_the_build_and_an_engine_of_another(tmp_path: Path) -> None:
    assert check_build("1+ab", None) == Check("build", Finding.GOOD, "1+ab")
    assert check_build("1+ab", '{"pid": 7, "build": "1+ab"}').finding is Finding.GOOD
    for held in ('{"pid": 7, "build": "1+cd"}', '{"pid": 7}', "{}", "no json", "[]"):
        assert check_build("1+ab", held).finding is Finding.NOTE
    found = {check.what: check for check in examine_machine(Settings(), tmp_path / "j")}
    assert found["build"].text == this_build()


def test_an_engine_that_does_not_know_builds_is_asked_for_nothing_but_a_stop(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """It would obey."""
    journal = Journal.open(tmp_path / "j", JournalName("paper", "sim0"))
    lock_path(tmp_path / "j").write_text('{"pid": 7, "boot_id": "ab"}')  # as older releases wrote it
    refused = said(capsys, tmp_path, "arm", "--journal", "j")
    paused = said(capsys, tmp_path, "pause", "--journal", "j", "--wait-s", "0")
    journal.close()
    assert (refused.returncode, refused.stderr.split(":")[0]) == (3, "ENGINE_OLDER")
    assert paused.returncode == 1  # left, and taken by nobody here
    assert [c.verb for c in CommandBox(tmp_path / "j").left_over().commands] == ["pause"]


def test_a_pause_is_left_for_an_engine_whose_journal_cannot_be_read_here(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    journal = Journal.open(tmp_path / "j", JournalName("paper", "sim0"))
    connection = sqlite3.connect(tmp_path / "j")
    connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    connection.close()
    paused = said(capsys, tmp_path, "pause", "--journal", "j")
    resumed = said(capsys, tmp_path, "resume", "--journal", "j")
    journal.close()
    assert (paused.returncode, resumed.returncode) == (1, 2)
    assert [c.verb for c in CommandBox(tmp_path / "j").left_over().commands] == ["pause"]
