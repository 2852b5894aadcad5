"""What was told, what is kept of it, and what nobody has seen yet."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from hedger.desk.alert_log import KEPT, AlertLog
from hedger.journal.acknowledged import Acknowledged
from hedger.journal.codec import CodecError
from hedger.journal.entries import Kind, Record
from tests.hedger.command_line import hedger
from tests.hedger.dashboard.made import lived


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[Record]:
    rig = lived(tmp_path_factory.mktemp("alerts") / "j")
    found = list(rig.journal.storage.records())
    rig.journal.close()
    return found


def decision(records: list[Record], number: int, *told: tuple[str, str, str]) -> Record:
    """A decision that tells somebody something."""
    like = next(record for record in records if record.kind == Kind.DECISION)
    actions = [dict(zip(("severity", "code", "text"), x, strict=True), action="alert") for x in told]
    text = json.dumps({"digest": "", "document": {"actions": actions}}, separators=(",", ":")).encode()
    return replace(like, number=number, body=text)


def test_of_too_many_the_notes_go_first_and_it_is_said(records: list[Record]) -> None:
    log = AlertLog({})
    log.take(decision(records, 1, ("critical", "A", "first")))
    for number in range(2, KEPT + 12):
        severity = "note" if number % 2 else "warning"
        log.take(decision(records, number, (severity, "B", str(number))))
    document = log.document(0, {}, None)
    assert len(document["alerts"]) == KEPT and document["dropped"] == 11
    assert document["alerts"][0]["text"] == "first"
    gone = {str(n) for n in range(2, KEPT + 12)} - {x["text"] for x in document["alerts"]}
    assert gone == {str(n) for n in range(3, 24, 2)}
    assert document["unseen"]["critical"] == 1


def test_what_was_seen_is_not_new_and_a_note_never_is(records: list[Record]) -> None:
    log = AlertLog({})
    log.take(decision(records, 5, ("warning", "A", "x"), ("note", "B", "y")))
    log.take(decision(records, 6, ("critical", "C", "z")))
    assert log.unseen({}) == {"critical": 1, "warning": 1}
    document = log.document(log.told[0].now_ns + 2 * 10**9, {(5, 0): Acknowledged((5, 0), "u", 0)}, None)
    assert document["unseen"] == {"critical": 1, "warning": 0}
    assert [x["seen_by"] for x in document["alerts"]] == ["u", None, None]
    assert document["alerts"][0]["age_s"] == 2.0 and document["since"] is None


def test_two_alerts_of_one_decision_are_seen_one_by_one(records: list[Record]) -> None:
    log = AlertLog({})
    log.take(decision(records, 5, ("warning", "A", "x"), ("critical", "B", "y"), ("warning", "A", "x")))
    for places, left in (((0,), (1, 1)), ((1,), (0, 2)), ((0, 2), (1, 0)), ((0, 1, 2), (0, 0))):
        seen = {(5, place): Acknowledged((5, place), "u", 0) for place in places}
        assert tuple(log.unseen(seen).values()) == left
        alerts = log.document(0, seen, None)["alerts"]
        assert [x["place"] for x in alerts if x["seen_by"]] == list(places)


def test_a_start_begins_anew_but_for_what_nobody_has_seen(records: list[Record]) -> None:
    """A supervisor that starts an engine again must not wipe out why it stopped."""
    log = AlertLog({})
    log.take(decision(records, 1, ("critical", "A", "of the engine before"), ("note", "B", "as well")))
    log.take(decision(records, 2, ("warning", "C", "seen by somebody")))
    start = replace(next(r for r in records if r.kind == Kind.CONFIGURATION), number=3)
    log.take(start)
    log.take(decision(records, 4, ("warning", "D", "since")))
    assert log.since_ns == start.now_ns
    seen = {(2, 0): Acknowledged((2, 0), "u", 0)}
    document = log.document(0, seen, None)
    assert [(x["code"], x["earlier"]) for x in document["alerts"]] == [("A", True), ("D", False)]
    assert document["unseen"] == log.unseen(seen) == {"critical": 1, "warning": 1}
    seen |= {(1, 0): Acknowledged((1, 0), "u", 0)}
    assert [x["code"] for x in log.document(0, seen, None)["alerts"]] == ["D"]
    log.take(replace(start, number=5))
    assert log.unseen(seen) == {"critical": 0, "warning": 1}  # of two starts ago, and not forgotten either


def test_loud_ones_that_were_not_kept_are_told_over_a_start_as_well(records: list[Record]) -> None:
    log = AlertLog({})
    for number in range(1, KEPT + 3):
        log.take(decision(records, number, ("warning", "A", str(number))))
    log.take(replace(next(r for r in records if r.kind == Kind.CONFIGURATION), number=KEPT + 3))
    document = log.document(0, {}, None)
    assert (len(document["alerts"]), document["dropped"]) == (KEPT, 2)


@pytest.mark.parametrize("text", [b'{"action":"alert"', b'["action":"alert"]', b'{"x":{"action":"alert"}}'])
def test_a_decision_that_is_none_is_told(records: list[Record], text: bytes) -> None:
    like = decision(records, 1)
    with pytest.raises(CodecError):
        AlertLog({}).take(replace(like, body=text))


def test_the_verb_on_no_journal_says_so(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    ran = hedger(capsys, "alerts", "--told", "--journal", str(tmp_path / "none"))
    assert ran.code == 2 and "Traceback" not in ran.err
