"""A journal of another build is none that is damaged, and nobody is told to begin a new one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from hedger.build import this_build
from hedger.core.events import Command, Event, Verb
from hedger.dashboard.feed import Feed
from hedger.dashboard.ports import Ports
from hedger.journal.entries import (
    Configuration,
    Entry,
    Kind,
    ModeChange,
    configuration_entry,
    event_entry,
    mode_entry,
)
from hedger.journal.journal import Journal, open_to_read
from hedger.journal.recovery import recover, summary
from hedger.journal.storage import JournalDamaged
from hedger.journal.unreadable import JournalOtherBuild
from tests.hedger.command_line import hedger
from tests.hedger.journal_words import NAME
from tests.hedger.rig import desk

THEIRS = "9.9.9+" + "ab" * 8


def with_field(entry: Entry) -> Entry:
    """The same as a build would write it that has a field more."""
    body = json.loads(entry.body) | {"a_field_of_then": 1}
    return replace(entry, body=json.dumps(body, sort_keys=True, separators=(",", ":")).encode())


def start(build: str) -> Entry:
    return configuration_entry(0, 1, Configuration(build, "ab" * 32, "cd" * 32))


def a_mode() -> Entry:
    return mode_entry(0, 2, ModeChange("observe", False, "u", "r"))


def written(path: Path, *entries: Entry) -> None:
    journal = Journal.open(path, NAME)
    journal.append(*entries)
    journal.close()


@pytest.mark.parametrize(
    "entries",
    [(with_field(start(THEIRS)),), (start(THEIRS), with_field(a_mode())),
     (start(this_build()), a_mode(), start(THEIRS), with_field(a_mode()))],
    ids=["the start itself", "a record behind it", "behind a start of ours"],
)  # fmt: skip
def test_another_builds_records_are_told_as_such(tmp_path: Path, entries: tuple[Entry, ...]) -> None:
    written(tmp_path / "j", *entries)
    storage = open_to_read(tmp_path / "j")
    for way in (recover, summary):
        with pytest.raises(JournalOtherBuild) as found:
            way(storage, where="j")
        assert THEIRS in found.value.what and this_build() in found.value.what
        assert THEIRS in found.value.fix and "begin" not in found.value.text()
    storage.close()


def test_what_this_build_wrote_and_cannot_read_is_damaged(tmp_path: Path) -> None:
    written(tmp_path / "j", start(THEIRS), start(this_build()), with_field(a_mode()))
    storage = open_to_read(tmp_path / "j")
    with pytest.raises(JournalDamaged, match="JOURNAL_DAMAGED"):
        recover(storage)
    storage.close()


@pytest.mark.parametrize("verb", ["status", "orders", "venues", "pnl", "alerts --told", "unkill --reason r"])
def test_no_verb_speaks_of_damage(verb: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "j"
    written(path, with_field(start(THEIRS)), a_mode())
    if verb.startswith("unkill"):
        (tmp_path / "j.kill").write_text("{}")
    ran = hedger(capsys, *verb.split(), "--journal", str(path))
    assert ran.code == 2 and ran.err.startswith("JOURNAL_OTHER_BUILD"), ran.err
    assert f"use build {THEIRS}" in ran.err and "begin a new" not in ran.err


def test_a_look_at_the_alerts_names_the_build_as_well(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    written(tmp_path / "j", start(THEIRS), with_field(a_mode()))
    ran = hedger(capsys, "alerts", "--once", "--journal", tmp_path / "j")
    assert (ran.code, ran.out) == (2, "") and ran.err.startswith("JOURNAL_OTHER_BUILD"), ran.err
    assert f"use build {THEIRS}" in ran.err


def test_the_screen_names_the_build_as_well(tmp_path: Path) -> None:
    written(tmp_path / "j", start(THEIRS), with_field(a_mode()))
    feed = Feed(tmp_path / "j", desk(), Ports())
    feed.step()
    assert feed.fault.startswith(f"written by build {THEIRS}, use that")
    feed.close()


@pytest.mark.parametrize("verb", ["status", "status --json"])
def test_a_decision_on_a_reload_that_cannot_be_parsed_is_damage(
    verb: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The decision on a reload is read for the settings in force alone."""
    path = tmp_path / "j"
    reload = Command("id-1", Verb.RELOAD, "trader", "", "{}")
    event = event_entry(Event(0, 2, 2, reload))
    deep = Entry(Kind.DECISION, 0, 2, b"[" * 100_000)
    written(path, start(this_build()), event, deep, a_mode())
    ran = hedger(capsys, *verb.split(), "--journal", str(path))
    assert ran.code == 2 and ran.err.startswith("JOURNAL_DAMAGED"), ran.err
