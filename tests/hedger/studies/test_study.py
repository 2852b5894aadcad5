"""The study: a seeded book at every snapshot of a tape, and the distribution of what its plans cost."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from hedger.settings import Settings
from hedger.studies.plans import PlanRecord, document, plan_snapshots, quantiles, text
from tests.hedger.command_line import Json, hedger, strict_json
from venues.tape import Tape

FEW = Settings.model_validate({"solver": {"columns": 24, "gap": 5e-3}})


@pytest.fixture(scope="module")
def records(tape: Path) -> list[PlanRecord]:
    return plan_snapshots(Tape.open(tape), FEW, 7, 10)


def timeless(record: PlanRecord) -> Json:
    return {k: getattr(record, k) for k in PlanRecord.__slots__ if not k.endswith("_ms")}


def test_every_snapshot_is_planned(records: list[PlanRecord], tape: Path) -> None:
    assert [r.as_of for r in records] == [f"2026-03-02T12:0{i}:00Z" for i in (1, 2, 3)]
    for record in records:
        assert record.finite and record.worst_miss <= 1e-8
        assert record.breached > 0 and record.legs > 0
        assert 0 <= record.lower_bound_usd <= record.cost_usd
        assert record.gap == pytest.approx(1 - record.lower_bound_usd / record.cost_usd)
        assert record.runner_up_usd is None or record.runner_up_usd >= record.cost_usd
        assert record.plan_ms >= sum(record.stages_ms.values()) * 0.99


def test_a_book_depends_on_the_seed_and_its_snapshot_alone(records: list[PlanRecord], tape: Path) -> None:
    again = plan_snapshots(Tape.open(tape), FEW, 7, 10, every=2)
    assert [timeless(r) for r in again] == [timeless(r) for r in records[::2]]
    other = plan_snapshots(Tape.open(tape), FEW, 8, 10, every=3)
    assert other[0].cost_usd != records[0].cost_usd


def test_a_plan_of_the_study_knows_the_past_of_its_tape(records: list[PlanRecord], tape: Path) -> None:
    """Held while the spot moves by more than nothing: not before a first index is known, then from it on."""
    when = {"all": [{"breach": {}}, {"realised_move": {"window_min": 2, "move": 1e-9, "then": "hold"}}]}
    held = plan_snapshots(Tape.open(tape), FEW.model_validate({"policy": {"when": when}}), 7, 10)
    assert [r.legs for r in held[1:]] == [0, 0] and all(r.legs for r in records)
    assert all("moved" in r.reason for r in held[1:])


def test_the_distribution_is_that_of_the_records(records: list[PlanRecord]) -> None:
    found = document(records, 7)
    strict_json(json.dumps(found, allow_nan=False))
    assert found["snapshots"] == sum(found["statuses"].values()) == 3
    assert found["cost_usd"]["p50"] == float(np.median([r.cost_usd for r in records]))
    assert found["cost_usd"]["max"] == max(r.cost_usd for r in records)
    assert found["all_finite"] is True
    assert found["worst_miss"] == max(r.worst_miss for r in records)
    assert f"{found['snapshots']} snapshots, seed 7" in text(found)


def test_nothing_to_tell_of_is_told(records: list[PlanRecord]) -> None:
    assert quantiles([]) is None
    empty = document([], 1)
    assert (empty["snapshots"], empty["cost_usd"], empty["all_finite"]) == (0, None, True)
    assert "0 snapshots" in text(empty)


def test_the_verb(tape: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("study", "plans", tape, "--positions", "5", "--every", "3", "--seed", "2")
    ran = hedger(capsys, *words, "--json")
    assert ran.code == 0
    assert ran.json["snapshots"] == 1
    assert ran.err.count("\n") == 1  # one line of progress a snapshot
    assert "1 snapshots, seed 2" in hedger(capsys, *words).out
