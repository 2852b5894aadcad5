"""A paper run's journal through the engine once more: restarts among it, and a forgery that no hash shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hedger.journal.entries import Entry, JournalName, Kind
from hedger.journal.journal import Journal, open_to_read
from tests.hedger.desk import Ran, hedger


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("refold") / "j"


def verified(capsys: pytest.CaptureFixture[str], journal: Path, code: int = 0) -> Any:
    ran: Ran = hedger(capsys, "journal", "verify", "--journal", journal, "--replay", "--json")
    assert ran.code == code, ran.err
    return json.loads(ran.out)


def test_a_run_and_its_restart_come_out_the_same(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    counts = []
    for _ in range(2):
        words = ("run", "--journal", journal, "--minutes", "0.03", "--arm", "--no-watchdog", "--json")
        ran = hedger(capsys, *words)
        assert ran.code == 0, ran.err
        counts.append(ran.json["decisions"])
    document = verified(capsys, journal)
    again = document["replayed"]
    assert document["sound"] and again["same"] and again["same_book"] and again["different"] == []
    assert (again["starts"], again["decisions"]) == (2, sum(counts))
    assert again["undecided"] == []


def test_a_forged_decision_in_a_sound_chain_is_found(
    journal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever can write the file can make a new chain; the engine does not decide what is in it."""
    storage = open_to_read(journal)
    records = list(storage.records())
    storage.close()
    forged = Journal.open(tmp_path / "forged", JournalName("paper", storage.name.engine))
    at = [record for record in records if record.kind == Kind.DECISION][3]
    for record in records:
        body = record.body
        if record is at:
            document = record.document()
            document["digest"] = "ab" * 32
            body = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
        forged.append(Entry(Kind(record.kind), record.seq, record.now_ns, body, record.key))
    forged.close()
    plain = hedger(capsys, "journal", "verify", "--journal", tmp_path / "forged", "--json")
    assert plain.code == 0  # the chain itself is sound
    document = verified(capsys, tmp_path / "forged", code=1)
    assert document["replayed"]["different"] == [at.seq] and not document["sound"]


def test_other_settings_are_refused(
    journal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "other.toml").write_text("age_s_max = 500.0\n")
    words = ("journal", "verify", "--journal", journal, "--replay", "--config", tmp_path / "other.toml")
    ran = hedger(capsys, *words)
    assert ran.code == 2 and ran.err.startswith("JOURNAL_OTHER")
