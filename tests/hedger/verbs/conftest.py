"""A journal with a life in it, for the verbs that read and steer."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from hedger.core.events import Tick
from hedger.journal.entries import Intent, intent_entry
from hedger.journal.journal import Journal
from tests.builders import NOW_NS
from tests.hedger.journal_words import NAME, life, order, turn


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("made") / "j"
    journal = Journal.open(path, NAME)
    for entries in life(2):
        journal.append(*entries)
    journal.append(*turn(13, Tick(), intent_entry(13, NOW_NS, Intent(order(13), 13)), quiet=False))
    journal.close()
    return path


@pytest.fixture
def file(made: Path, tmp_path: Path) -> Path:
    """The default journal of the folder that the test runs in."""
    return Path(shutil.copy(made, tmp_path / "hedger.journal"))
