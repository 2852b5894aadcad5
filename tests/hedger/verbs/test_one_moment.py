"""One answer is of one moment: a verb opens the journal once, and reads all of its answer there."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.hedger.command_line import hedger
from tests.hedger.dashboard.made import lived

#: Where opened databases are noted while a test wants to know; a hook stays as long as the process lives.
_NOTED: list[list[str]] = []


def _note(event: str, words: tuple[Any, ...]) -> None:
    if event == "sqlite3.connect" and _NOTED:
        _NOTED[-1].append(str(words[0]))


@pytest.fixture(scope="module")
def hooked() -> Callable[[], list[str]]:
    """What begins a new list of the databases that are opened."""
    sys.addaudithook(_note)

    def begin() -> list[str]:
        _NOTED.append([])
        return _NOTED[-1]

    return begin


@pytest.fixture
def opened(hooked: Callable[[], list[str]]) -> Iterator[list[str]]:
    yield hooked()
    _NOTED.clear()


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("moment") / "one-moment.journal"
    lived(path).journal.close()
    return path


@pytest.mark.parametrize(
    "words", [("orders", "--all"), ("orders",), ("status",), ("status", "--hedge"), ("alerts", "--told")]
)
def test_a_verb_opens_the_journal_once(
    journal: Path, opened: list[str], capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    ran = hedger(capsys, *words, "--json", "--journal", journal)
    assert ran.code == 0, ran.err
    assert len([name for name in opened if journal.name in name]) == 1
