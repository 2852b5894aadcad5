"""A paper run's journal through the engine once more: restarts among it, and a forgery that no hash shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hedger.journal.entries import Configuration, Entry, JournalName, Kind, read
from hedger.journal.journal import Journal, open_to_read
from tests.hedger.command_line import Ran, hedger


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


def test_every_start_is_decided_by_its_own_settings(
    journal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Restarted with another delta band and other limits: either start's own stand on its record."""
    (tmp_path / "limits.toml").write_text("[order]\nnotional_usd_max = 90000.0\n")
    (tmp_path / "other.toml").write_text(
        f'limits_file = "{tmp_path / "limits.toml"}"\n'
        '[bands."*"]\ndelta_usd = { target = 0, trigger = [-20000, 20000], landing = [-10000, 10000] }\n'
    )
    again = tmp_path / "j"
    again.write_bytes(journal.read_bytes())
    words = ("run", "--journal", again, "--minutes", "0.03", "--arm", "--no-watchdog", "--json")
    assert hedger(capsys, *words, "--config", tmp_path / "other.toml").code == 0
    hashes = {(start.settings_sha256, start.limits_sha256) for start in starts(again)}
    assert len(hashes) == 2
    document = verified(capsys, again)
    assert document["sound"] and document["replayed"]["same"] and document["replayed"]["starts"] == 3


def starts(journal: Path) -> list[Configuration]:
    storage = open_to_read(journal)
    found = [read(record) for record in storage.records(kinds=[Kind.CONFIGURATION])]
    storage.close()
    return [word for word in found if isinstance(word, Configuration)]


def test_a_record_of_hashes_alone_asks_for_the_settings_of_then(
    journal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As older releases wrote them; of the last start alone, it is said before anything is decided."""
    storage = open_to_read(journal)
    records, engine = list(storage.records()), storage.name.engine
    storage.close()
    last = [record for record in records if record.kind == Kind.CONFIGURATION][-1]
    older = Journal.open(tmp_path / "older", JournalName("paper", engine))
    for record in records:
        body = record.body
        if record is last:
            document = record.document()
            document["settings"] = document["limits"] = ""
            body = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
        older.append(Entry(Kind(record.kind), record.seq, record.now_ns, body, record.key))
    older.close()
    assert verified(capsys, tmp_path / "older")["replayed"]["same"]  # the built-in ones, as they were
    for text, name in (("age_s_max = 500.0", "settings"), (f'limits_file = "{tmp_path / "hard.toml"}"', "")):
        (tmp_path / "hard.toml").write_text("[order]\nnotional_usd_max = 90000.0\n")
        (tmp_path / "other.toml").write_text(f"{text}\n")
        words = ("--journal", tmp_path / "older", "--replay", "--config", tmp_path / "other.toml")
        ran = hedger(capsys, "journal", "verify", *words)
        assert ran.code == 2 and ran.err.startswith("JOURNAL_OTHER") and name in ran.err
