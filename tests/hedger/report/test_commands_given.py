"""Who steered: commands with their reason and outcome, in the document, its table and on the page."""

from __future__ import annotations

from html import unescape
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from hedger.core.events import Command, Tick, Verb
from hedger.journal.entries import (
    Entry,
    LatchChange,
    ModeChange,
    decision_entry,
    event_entry,
    latch_entry,
    mode_entry,
)
from hedger.report.rows import TEXT_MAX, shortened
from tests.hedger.dashboard.made import lived
from tests.hedger.journal_words import event, life, opening
from tests.hedger.report.made import report, told

S = 1_000_000_000


def said(seq: int, what: Any, mode: str, *alerts: tuple[str, str], paused: bool = False) -> tuple[Entry, ...]:
    """An event and the decision on it, with what it tells people."""
    found = event(seq, what)
    actions = [{"action": "alert", "severity": "note", "code": c, "text": t} for c, t in alerts]
    document = {"seq": seq, "mode": mode, "paused": paused, "actions": actions, "reason": ""}
    return event_entry(found), decision_entry(seq, found.now_ns, f"{seq:064x}", document, quiet=False)


def asked(verb: Verb, user: str, reason: str, argument: str = "") -> Command:
    return Command(f"{verb}-{user}", verb, user, reason, argument)


STORY = (
    opening(),
    said(1, asked(Verb.ARM, "ann", "open"), "observe", ("ARM_REFUSED", "not armed: okx is down")),
    said(2, asked(Verb.PAUSE, "bob", "lunch"), "armed", paused=True),
    said(3, asked(Verb.PREVIEW, "bob", "a look"), "armed", paused=True),
    said(4, asked(Verb.RELOAD, "ann", "wider", '{"policy": null}'), "armed", ("RELOADED", "a.b: 1 -> 2")),
    said(5, asked(Verb.BANDS, "ann", "calm", "delta:BTC=-2,2/-1,1"), "armed"),
    (*said(6, asked(Verb.KILL, "watchdog", "stalled"), "killed"),
     latch_entry(6, event(6, Tick()).now_ns, LatchChange(True, "watchdog", "stalled"))),
    said(9, Tick(), "killed", ("KILL_CONFIRMED", "no order is open")),
    (latch_entry(9, event(9, Tick()).now_ns, LatchChange(False, "ann", "seen")),),
    (event_entry(event(10, asked(Verb.FLATTEN, "ann", "", "BTC"))),),
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("steered")
    report(told(path / "j", *STORY), path / "out")
    return path / "out"


def test_every_command_is_told_with_what_came_of_it(folder: Path) -> None:
    import json

    found = json.loads((folder / "report.json").read_text())["steering"]
    apart = (event(9, Tick()).now_ns - event(6, Tick()).now_ns) / S
    assert [(x["what"], x["user"], x["reason"], x["outcome"]) for x in found] == [
        ("arm", "ann", "open", "refused, ARM_REFUSED: not armed: okx is down"),
        ("pause", "bob", "lunch", "armed, paused"),
        ("reload", "ann", "wider", "armed; a.b: 1 -> 2"),
        ("bands delta:BTC=-2,2/-1,1", "ann", "calm", "armed"),
        ("kill", "watchdog", "stalled", f"killed; KILL_CONFIRMED {apart:.3g} s later"),
        ("unkill", "ann", "seen", "the latch is removed; no engine ran"),
        ("flatten BTC", "ann", "", "not decided: the engine stopped"),
    ]
    assert [x["now_ns"] for x in found[:2]] == [event(1, Tick()).now_ns, event(2, Tick()).now_ns]
    assert found[0]["at"].startswith("20") and found[0]["at"].endswith("Z")
    table = pl.read_parquet(folder / "steering.parquet").filter(pl.col("kind") != "mode")
    assert table["outcome"].to_list() == [x["outcome"] for x in found]


def test_the_page_has_them_as_a_table(folder: Path) -> None:
    text = unescape((folder / "report.html").read_text(encoding="utf-8"))
    table = text.partition("id='whosteered'")[2].partition("</section>")[0]
    assert "<h3>7 commands by 3 users</h3>" in table
    for words in ("bands delta:BTC=-2,2/-1,1", "watchdog", "stalled", "refused, ARM_REFUSED", "lunch"):
        assert f">{words}" in table, words
    assert table.count("<tr>") == 8 and "href='#whosteered'" in text


def test_a_journal_nobody_steered_says_so(tmp_path: Path) -> None:
    change = mode_entry(0, event(0, Tick()).now_ns, ModeChange("observe", False, "ann", "started"))
    found = report(told(tmp_path / "j", opening(), (*said(1, Tick(), "observe"), change)), tmp_path / "out")
    assert found["steering"] == []
    assert "Nobody gave a command" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_an_engine_s_own_life(tmp_path: Path) -> None:
    lived(tmp_path / "j").journal.close()
    found = report(tmp_path / "j", tmp_path / "out")["steering"]
    assert [(x["what"], x["user"], x["outcome"].split(";")[0]) for x in found] == [
        ("arm", "person", "armed"),
        ("bands delta:BTC=-0.05,0.05/-0.02,0.02", "person", "armed"),
        ("hedge", "person", "armed"),
    ]


@pytest.mark.parametrize("place", range(TEXT_MAX - 20, TEXT_MAX + 3))
def test_a_code_in_a_long_text_is_whole_or_left_out(place: int) -> None:
    code = "HEDGE_NO_PROGRESS"
    text = "x " * (place // 2) + " " * (place % 2) + f"{code} and so on, for as long as anybody wants to read"
    short = shortened(text)
    assert len(short) <= TEXT_MAX and short.endswith(" ..")
    assert set(short.split()) <= {"x", code, "and", "so", "on", "for", ".."}


def test_a_code_in_an_alert_s_cell_is_not_broken(tmp_path: Path) -> None:
    """No table of the page lets a browser break a code between two lines."""
    long = "refused: " + "y " * 140 + "HEDGE_NO_PROGRESS, HEDGE_NO_PROGRESS"
    journal = told(tmp_path / "j", *life(1), said(90, Tick(), "armed", ("NOT_HEDGED", long)))
    text = report(journal, tmp_path / "out")["alerts"][0]["last_text"]
    assert text.startswith("refused: y") and text.endswith(" ..") and len(text) <= TEXT_MAX
    assert all(word in ("refused:", "y", "HEDGE_NO_PROGRESS", "..") for word in text.split())
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert f"<td class='text'>{text}</td>" in page
    style = page.partition("</style>")[0]
    assert "td.long{overflow-wrap:anywhere}" in style and style.count("overflow-wrap") == 1
