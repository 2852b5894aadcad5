"""Mixed versions: a journal of another release, a library of another one: refused, and nothing is started."""

from __future__ import annotations

import sqlite3
import tomllib
from pathlib import Path

import pytest

from hedger.journal.entries import JournalName
from hedger.journal.journal import Journal
from hedger.journal.schema import VERSION
from hedger.runs.checks import Finding
from hedger.runs.doctor import check_libraries, installed
from tests.hedger.verbs.loopback import said
from venues.pins import PINNED

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
