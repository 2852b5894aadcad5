"""Which settings were in force when: read off the journal, through reloads, those taken and those refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from hedger.core.events import Command, Event, Verb
from hedger.desk.settings_in_force import turns_of
from hedger.journal.configuration import settings_sha256, settings_text
from hedger.journal.entries import (
    Configuration,
    Entry,
    Kind,
    configuration_entry,
    decision_entry,
    event_entry,
    read,
)
from hedger.journal.journal import Journal, open_to_read
from hedger.settings import Settings
from tests.hedger.command_line import hedger
from tests.hedger.report.made import Made, report

NARROW = {"*": {"delta_usd": {"target": 0, "trigger": [-7000, 7000], "landing": [-5000, 5000]}}}
WIDE = {"*": {"delta_usd": {"target": 0, "trigger": [-9e5, 9e5], "landing": [-5e5, 5e5]}}}


def reloaded(made: Made, path: Path, bands: dict[str, Any], code: str, **start: str) -> int:
    """The run's journal with a reload in the middle of it, and what the engine said to it; when that was.
    start: of the configuration, otherwise than it was."""
    storage = open_to_read(made.journal)
    new = Journal.open(path, storage.name)
    records = list(storage.records())
    middle = records[len(records) // 2]
    at_ns = 0
    for record in records:
        if not at_ns and record.number >= middle.number and record.kind == Kind.EVENT:
            at_ns = record.now_ns
            new.append(*_reload(record.seq, at_ns, bands, code))
        word = read(record) if record.kind == Kind.CONFIGURATION else None
        if isinstance(word, Configuration) and start:
            new.append(configuration_entry(record.seq, record.now_ns, replace(word, **start)))  # type: ignore[arg-type]
        else:
            new.append(Entry(Kind(record.kind), record.seq, record.now_ns, record.body, record.key))
    new.close()
    storage.close()
    return at_ns


def _reload(seq: int, at_ns: int, bands: dict[str, Any], code: str) -> tuple[Entry, Entry]:
    command = Command("r1", Verb.RELOAD, "ann", "a calm week", json.dumps({"bands": bands}))
    action = {"action": "alert", "severity": "note", "code": code, "text": "bands"}
    document = {"seq": 10**9 + seq, "mode": "armed", "actions": [action]}
    return (
        event_entry(Event(10**9 + seq, at_ns, 0, command)),
        decision_entry(10**9 + seq, at_ns, "ab" * 32, document, quiet=False),
    )


def triggers(out: Path, row: str) -> list[tuple[int, float]]:
    """The upper end of a row's trigger in desk units, by the span it begins."""
    table = pl.read_parquet(out / "exposures.parquet").filter(pl.col("row") == row).drop_nulls("scale")
    return [(x["from_ns"], x["trigger_high"] * x["scale"]) for x in table.to_dicts()]


def test_bands_are_those_in_force_at_that_time(made: Made, tmp_path: Path) -> None:
    at_ns = reloaded(made, tmp_path / "j", NARROW, "RELOADED")
    found = report(tmp_path / "j", tmp_path / "out", "--tape", made.tape)
    before = [x for ns, x in triggers(tmp_path / "out", "delta:BTC") if ns < at_ns - 3600 * 10**9]
    after = [x for ns, x in triggers(tmp_path / "out", "delta:BTC") if ns > at_ns + 3600 * 10**9]
    assert before == pytest.approx([100_000] * len(before)) and len(before) > 1
    assert after == pytest.approx([7000] * len(after)) and len(after) > 1
    start, turn = found["settings"]["in_force"]
    assert (turn["now_ns"], turn["how"], turn["user"], turn["reason"]) == (
        at_ns,
        "reload",
        "ann",
        "a calm week",
    )
    assert "bands.*.delta_usd.trigger: [-100000.0, 100000.0] -> [-7000.0, 7000.0]" in turn["changes"]
    assert turn["sha256"] == found["settings"]["sha256"] != start["sha256"]
    assert found["settings"]["same_as_run"] is True
    page = (tmp_path / "out" / "report.html").read_text()
    assert "a calm week" in page and turn["sha256"][:16] in page


def test_a_reload_that_was_refused_changes_nothing(made: Made, tmp_path: Path) -> None:
    reloaded(made, tmp_path / "j", NARROW, "RELOAD_REFUSED")
    found = report(tmp_path / "j", tmp_path / "out", "--tape", made.tape)
    assert [turn["how"] for turn in found["settings"]["in_force"]] == ["start"]
    assert {round(x) for _, x in triggers(tmp_path / "out", "delta:BTC")} == {100_000}


def test_a_journal_without_its_settings_says_that_those_at_hand_stand_in(made: Made, tmp_path: Path) -> None:
    """As older releases wrote it; the settings at hand are others, and a reload changes those."""
    at_ns = reloaded(made, tmp_path / "j", NARROW, "RELOADED", settings="")
    config = tmp_path / "config.toml"
    bands = WIDE["*"]["delta_usd"]
    config.write_text(
        f'[bands."*"]\ndelta_usd = {{trigger = {bands["trigger"]}, landing = {bands["landing"]}}}\n'
    )
    found = report(tmp_path / "j", tmp_path / "out", "--tape", made.tape, "--config", config)
    assert found["settings"]["same_as_run"] is False
    assert any("not all known" in text for text in found["warnings"])
    drawn = triggers(tmp_path / "out", "delta:BTC")
    assert {round(x) for ns, x in drawn if ns < at_ns - 3600 * 10**9} == {900_000}
    assert {round(x) for ns, x in drawn if ns > at_ns + 3600 * 10**9} == {7000}


def test_status_has_the_hash_in_force(made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reloaded(made, tmp_path / "j", NARROW, "RELOADED")
    storage = open_to_read(tmp_path / "j")
    start, turn = turns_of(storage)
    storage.close()
    found = hedger(capsys, "status", "--journal", tmp_path / "j", "--json").json
    assert (found["settings_sha256"], found["settings_from_ns"]) == (turn.sha256, turn.now_ns)
    old = tmp_path / "old"
    reloaded(made, old, NARROW, "RELOADED", settings="", settings_sha256="cd" * 32)
    assert hedger(capsys, "status", "--journal", old, "--json").json["settings_sha256"] is None
    assert start.told == settings_sha256(Settings.model_validate(json.loads(settings_of(made))))


def settings_of(made: Made) -> str:
    """As the run wrote them down."""
    storage = open_to_read(made.journal)
    word = read(next(iter(storage.records(kinds=[Kind.CONFIGURATION]))))
    storage.close()
    assert isinstance(word, Configuration)
    return word.settings


# ------------------------------------------------------------------------------------------------- the hash


def made_of(**tree: Any) -> str:
    return settings_sha256(Settings.model_validate(tree))


def test_one_hash_for_one_effect_wherever_it_comes_from() -> None:
    plain = settings_sha256(Settings())
    assert made_of(solver={"gap": Settings().solver.gap}) == plain
    assert made_of(bands={"BTC": {}}) == plain
    assert made_of(bands={"BTC": {"vega_bucket_multiple": 2.0}}) == plain  # as "*" has it
    one, two = {"vega_bucket_multiple": 3.0}, {"vega_bucket_multiple": 4.0}
    assert made_of(bands={"BTC": one, "ETH": two}) == made_of(bands={"ETH": two, "BTC": one})
    assert len({plain, made_of(bands={"BTC": one}), made_of(bands={"*": one}), made_of(solver={"gap": 0.5}),
                made_of(bands={"BTC": {"gamma_usd_per_1pct": None}})}) == 5  # fmt: skip


def test_settings_are_read_again_as_they_were_written() -> None:
    for tree in (
        {},
        {"bands": NARROW},
        {"bands": {"BTC": {"gamma_usd_per_1pct": {"trigger": {"lower": -5.0}, "landing": {"lower": -2.0}}}}},
        {"objective": {"risk_aversion": 1e-5}, "fees": {"deribit": {"option": {"taker": "0.0003"}}}},
        {"vol_order": ["surface"], "scenarios": [{"name": "down", "spot": -0.2}]},
    ):
        settings = Settings.model_validate(tree)
        again = Settings.model_validate(json.loads(settings_text(settings)))
        assert again.model_dump() == settings.model_dump()
        assert settings_sha256(again) == settings_sha256(settings)
