"""Journals of every state: empty, without marks, damaged, being written, from a venue, no journal at all."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from hedger.core.events import Tick
from hedger.journal.entries import JournalName, listings_entry
from hedger.journal.journal import Journal
from tests.builders import NOW_NS, Quote, listing, marks_of, option
from tests.hedger.command_line import hedger, refused
from tests.hedger.journal_words import NAME, PERP, life, opening, turn
from tests.hedger.report.made import Made, report, told
from venues.orders import Link, VenueStatus


def refusal(capsys: pytest.CaptureFixture[str], code: str, journal: Path, *more: object) -> str:
    """A report that is refused leaves nothing behind, whole or in part."""
    out = journal.parent / "out"
    said = refused(hedger(capsys, "report", "--journal", journal, "--out", out, *more), code)
    assert not out.exists() and list(journal.parent.glob(".out*")) == []
    return said


def test_a_journal_without_records_is_no_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no records" in refusal(capsys, "REPORT_EMPTY", told(tmp_path / "j"))


def test_a_journal_of_a_start_alone_is_no_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "2 records" in refusal(capsys, "REPORT_EMPTY", told(tmp_path / "j", opening()))


def test_a_file_that_is_no_journal_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "j").write_text("a letter")
    hedger_said = hedger(capsys, "report", "--journal", tmp_path / "j", "--out", tmp_path / "out")
    assert hedger_said.code == 2 and "Traceback" not in hedger_said.err and not (tmp_path / "out").exists()
    missing = hedger(capsys, "report", "--journal", tmp_path / "none", "--out", tmp_path / "out")
    assert missing.code == 2 and "Traceback" not in missing.err


def test_a_record_that_was_changed_is_no_report(
    made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A cost in a decision made smaller: the chain breaks, and nothing is shown of it."""
    journal = Path(shutil.copy(made.journal, tmp_path / "j"))
    with closing(sqlite3.connect(journal)) as file:
        file.execute("DROP TRIGGER records_stay")
        changed = file.execute(
            "UPDATE records SET body = replace(body, '\"fee_usd\":', '\"fee_usd\":-') "
            "WHERE kind = 'decision' AND body LIKE '%\"fee_usd\":%'"
        )
        assert changed.rowcount > 0
        file.commit()
    assert "hash" in refusal(capsys, "JOURNAL_DAMAGED", journal, "--tape", made.tape)


def test_a_file_cut_off_is_no_report(made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    journal = tmp_path / "j"
    content = made.journal.read_bytes()
    journal.write_bytes(content[: len(content) * 2 // 3])
    ran = hedger(capsys, "report", "--journal", journal, "--out", tmp_path / "out", "--tape", made.tape)
    assert ran.code == 2 and ran.err.startswith("JOURNAL_") and not (tmp_path / "out").exists()


def test_a_decision_of_another_form_is_said_to_be_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from hedger.journal.entries import decision_entry, event_entry
    from tests.hedger.journal_words import event

    odd = decision_entry(1, NOW_NS, "00", {"seq": 1, "verification": {"execution": "x"}}, quiet=True)
    journal = told(tmp_path / "j", opening(), [event_entry(event(1, Tick())), odd], turn(2, Tick()))
    said = refusal(capsys, "JOURNAL_OTHER_BUILD", journal)
    assert "record 4: a decision has no 'now_ns'" in said


def test_marks_on_a_tape_that_is_not_named_are_asked_for(
    made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = Path(shutil.copy(made.journal, tmp_path / "j"))
    refusal(capsys, "TAPE_NEEDED", journal)


def test_a_place_that_is_taken_is_left_alone(
    made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("keep")
    words = ("--journal", made.journal, "--tape", made.tape)
    refused_as(capsys, "REPORT_EXISTS", *words, "--out", out)
    told = refused_as(capsys, "REPORT_WRITE", *words, "--out", tmp_path / "none" / "out")
    assert f"observed: there is no {tmp_path / 'none'}" in told
    assert [x.name for x in tmp_path.iterdir()] == ["out"] and (out / "mine.txt").read_text() == "keep"


def refused_as(capsys: pytest.CaptureFixture[str], code: str, *words: object) -> str:
    ran = hedger(capsys, "report", *words)
    assert ran.code == 2 and ran.err.startswith(f"{code}: ") and ran.out == ""
    return ran.err


def test_a_journal_without_marks_is_told_as_far_as_it_goes(tmp_path: Path) -> None:
    """Orders and fills stand in the record; what they were worth in USD nobody knows without a market."""
    found = report(told(tmp_path / "j", *life(3)), tmp_path / "out")
    assert (found["orders"], found["fills"]["count"]) == (3, 6)
    assert found["fills"]["turnover_usd"] is None and found["fills"]["fee_usd"] is None
    assert found["pnl"]["pnl_usd"] is None and found["rows"] == []
    assert found["seed"] is None and found["seed_unknown"]
    assert found["limits"] == [] and found["limits_unknown"]
    absent = {c["name"]: c["absent"] for c in found["charts"]}
    assert all(absent.values()) and absent["attribution"] and absent["exposures"] and absent["turnover"]
    assert (tmp_path / "out" / "report.html").stat().st_size < 100_000  # no library for no chart


def test_a_journal_being_written_is_told_up_to_where_it_stood(tmp_path: Path) -> None:
    path = tmp_path / "j"
    journal = Journal.open(path, NAME)
    try:
        for entries in life(2):
            journal.append(*entries)
        journal.sync()
        found = report(path, tmp_path / "out")
        assert found["journal"]["running"] is True and found["journal"]["head"] == str(journal.durable)
        assert any("was writing" in text for text in found["warnings"])
        journal.append(*turn(13, Tick()))  # the engine was not held up
        journal.sync()
    finally:
        journal.close()
    later = report(path, tmp_path / "later")
    assert later["journal"]["running"] is False
    assert later["journal"]["records"] == found["journal"]["records"] + 2
    assert later["events"] == found["events"] + 1


def test_a_run_on_a_venue_that_could_not_be_reached(tmp_path: Path) -> None:
    """Up for 0.1 s with a book lost, down for 0.2 s, up; then a mark, and down to the end."""
    call = listing(option(60_000.0, "C", 30.0))
    quotes = [Quote(PERP, bid=60_000.0, ask=60_001.0, index=60_000.0), Quote(call)]
    journal = told(
        tmp_path / "j",
        [*opening(), listings_entry(-1, NOW_NS, [PERP, call])],
        turn(1, VenueStatus("deribit", Link.UP, gaps=("BTC-PERPETUAL",))),
        turn(2, VenueStatus("deribit", Link.DOWN)),
        turn(3, Tick()),
        turn(4, VenueStatus("deribit", Link.UP, gaps=())),
        turn(5, marks_of(quotes, [0, 1], NOW_NS + 500_000_000)),
        turn(6, VenueStatus("deribit", Link.DOWN)),
        turn(8, Tick()),
        name=JournalName("live", "k3x9"),
    )
    found = report(journal, tmp_path / "out")
    assert found["journal"]["trading"] == "live"
    kinds = {kind["kind"]: (kind["count"], kind["seconds"]) for kind in found["gaps"]["kinds"]}
    assert kinds["link down"] == (2, pytest.approx(0.4))
    assert kinds["order book lost"] == (1, pytest.approx(0.3))
    (open_gap,) = [gap for gap in found["gaps"]["longest"] if gap["open"]]
    assert (open_gap["kind"], open_gap["what"]) == ("link down", "deribit")
    drawn = {c["name"] for c in found["charts"] if not c["absent"]}
    assert "gaps" in drawn


def test_time_without_an_engine_is_a_gap_and_no_exposure_holds_in_it(tmp_path: Path) -> None:
    """Two starts a tenth of a second apart from the last word of the first."""
    again = [*opening()][:1]
    journal = told(
        tmp_path / "j",
        opening(),
        turn(1, Tick()),
        turn(2, Tick()),
        [type(again[0])(again[0].kind, 2, NOW_NS + 5_000_000_000, again[0].body, None, True)],
        turn(60, Tick()),
    )
    found = report(journal, tmp_path / "out")
    (kind,) = found["gaps"]["kinds"]
    assert (kind["kind"], kind["count"], kind["seconds"]) == ("no engine", 1, pytest.approx(4.8))
    assert len(found["starts"]) == 2
    hours = found["tables"]["hours"]["rows"]
    assert hours == 1


def test_the_verb_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    ran = hedger(capsys, "report", "-h")
    assert (ran.code, ran.err) == (0, "")
    for word in ("--journal", "--out", "--tape", "--frontier", "--json", "--config"):
        assert word in ran.out
