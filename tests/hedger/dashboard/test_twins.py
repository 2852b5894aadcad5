"""Every panel shows what its verb prints: the sheet made of the verb's JSON is the panel's, line by line."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hedger.dashboard.exporting import export
from hedger.dashboard.feed import Feed
from hedger.dashboard.frames import Painter, Want
from hedger.dashboard.header import header
from hedger.dashboard.panel_table import Panel
from hedger.dashboard.panels import alerts, hedge, orders, pnl, risk, venues, whatif
from hedger.dashboard.ports import Ports
from hedger.dashboard.sheet import Section, Sheet
from hedger.engine.heartbeat import last_beat
from hedger.journal.acknowledged import acknowledge
from tests.hedger.command_line import Json, hedger
from tests.hedger.dashboard.made import HALF_S, lived
from tests.hedger.rig import SOLVER, desk
from tests.story.test_processes import lines

CONFIG = f"""
[universe.deny_buy]
kinds = ["spot"]
[universe.deny_sell]
kinds = ["spot"]
[solver]
time_limit_s = {SOLVER.time_limit_s}
gap = {SOLVER.gap}
columns = {SOLVER.columns}
"""


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The journal of an engine that has ended, and settings that are its own."""
    path = tmp_path_factory.mktemp("twins") / "j"
    rig = lived(path)
    rig.journal.close()
    path.with_name("config.toml").write_text(CONFIG)
    return path


@pytest.fixture
def painter(journal: Path) -> Painter:
    """A painter that has read all of it."""
    feed = Feed(journal, desk(), Ports(lambda: time.time_ns() + HALF_S, lambda: last_beat(journal)))
    while True:
        feed.step()
        if feed.caught_up:
            return Painter(feed, control=False)


def said(capsys: pytest.CaptureFixture[str], journal: Path, *words: str) -> Json:
    """What a verb prints."""
    config = str(journal.with_name("config.toml"))
    ran = hedger(capsys, *words, "--journal", str(journal), "--config", config, "--json")
    assert ran.code == 0, ran.err
    found: Json = ran.json
    return found


def words(sheet: Sheet) -> list[tuple[str, ...]]:
    return [(section.title, *line.cells) for section in sheet for line in section.lines]


def test_risk(capsys: pytest.CaptureFixture[str], journal: Path, painter: Painter) -> None:
    document = said(capsys, journal, "risk")
    shown = painter.frame(Want(Panel.RISK)).sheet
    assert len(words(shown)) > 10
    assert risk.sheet(document) == shown
    assert_within(painter.frame(Want(Panel.RISK)).document, document)
    # and the band that a command has set is in both
    (row,) = (row for row in document["rows"] if row["row"] == "delta:BTC")
    assert row["trigger"] == [-0.05, 0.05] and row["landing"] == [-0.02, 0.02]
    assert row["by_hand"].startswith(
        "delta:BTC: trigger -0.05 .. 0.05, landing -0.02 .. 0.02 coin, set at 20"
    )
    assert row["by_hand"].endswith(" by person: because")
    assert row["file"].startswith(
        "delta_usd: trigger -100000 .. 100000, landing -50000 .. 50000 (trigger -1."
    )
    assert {row["file"] for row in document["rows"] if not row["by_hand"]} == {""}
    assert {row["row"] for row in document["rows"] if row["by_hand"]} == {"delta:BTC"}
    assert any(line[1].strip() == "delta OUT by hand" for line in words(shown))


def test_hedge(capsys: pytest.CaptureFixture[str], journal: Path, painter: Painter) -> None:
    document = said(capsys, journal, "status", "--hedge")["hedge"]
    assert hedge.sheet(document) == painter.frame(Want(Panel.HEDGE)).sheet
    assert {"hedge": document} == json.loads(json.dumps(painter.frame(Want(Panel.HEDGE)).document))
    # and the figures are those of the other verbs, and of the record as it stands
    rows = said(capsys, journal, "risk")["rows"]
    assert [{name: row[name] for name in of} for row, of in zip(rows, document["rows"], strict=True)] == (
        document["rows"]
    )
    (working,) = document["working"]
    assert working.pop("age_s") == 1.0
    assert [working] == said(capsys, journal, "orders")["orders"]
    decided = [
        (line["number"], line["body"]["document"])
        for line in map(json.loads, lines(journal)[0])
        if line["kind"] == "decision"
    ]
    number, last = next((n, d) for n, d in reversed(decided) if d["ticket"])
    assert document["ticket"]["record"] == number
    assert document["ticket"]["legs"][0].items() <= last["ticket"]["legs"][0].items()
    told = {d["record"]: d for d in document["decisions"]}
    assert told[number]["ticket"] == {
        "status": "hedge",
        "legs": 1,
        "cost_usd": last["ticket"]["cost_usd"],
    }
    assert [d["record"] for d in document["decisions"]] == sorted(told, reverse=True) and len(told) == 13
    first = min(told)  # why not: it only observed
    assert "a hedge is due and the engine only observes" in told[first]["text"] and told[first]["sent"] == []
    assert document["next"]["what"] == "1 order in work, and no engine runs"
    assert document["next"]["due"] and document["next"]["withheld"] == "no engine runs"


def test_what_comes_next_as_text(capsys: pytest.CaptureFixture[str], journal: Path) -> None:
    config = str(journal.with_name("config.toml"))
    plain = hedger(capsys, "status", "--journal", journal).out
    out = hedger(capsys, "status", "--hedge", "--journal", journal, "--config", config).out
    assert out.startswith(plain) and "next: " not in plain
    assert "next: 1 order in work, and no engine runs: delta:BTC outside trigger" in out
    assert "in work: htest-16-0-0 unknown, sell 48530 BTC-PERPETUAL at 69998.5" in out
    assert "event 4: ticket hedge, 1 leg, 104 USD; send sell 205690 BTC-PERPETUAL; delta:BTC" in out
    assert said(capsys, journal, "status")["hedge"] is None


@pytest.mark.parametrize("metric", ["pnl", "delta", "gamma", "vega", "margin"])
def test_whatif(capsys: pytest.CaptureFixture[str], journal: Path, painter: Painter, metric: str) -> None:
    document = said(capsys, journal, "whatif", "--metric", metric, "--hedged")
    of = Want(Panel.WHAT_IF, metric=metric, side="hedged")
    if metric == "margin":  # it is reckoned in a thread of its own as well
        painter.frame(replace(of, side="unhedged"))
        painter.margins.work.wait(60.0)
        first = painter.frame(replace(of, side="unhedged")).sheet
        painter.frame(of)
    else:
        first = painter.frame(of).sheet
        assert "a hedge is being planned" in hedge_line(first)
    assert "hedged" not in first[0].title.split()
    painter.planner.work.wait(60.0)
    painter.frame(of)
    painter.margins.work.wait(60.0)
    frame = painter.frame(of)
    shown, snapshot = frame.sheet, painter.snapshot()
    assert snapshot is not None and frame.document is not None
    assert json.loads(json.dumps(frame.document["ladder"])) == document["ladder"]
    assert_within(frame.document, document)
    words = hedge_line(shown)
    assert words == whatif.means(document["hedge"], round(snapshot.market.now_ns))
    assert "1 leg, " in words
    for at, (name, sheet) in enumerate((("unhedged", first), ("hedged", shown))):
        args = (document["missing"], document["bad_indexes"], name)
        made = whatif.sheet(document["ladder"], *args, hedge_line(sheet), document["as_of"], 0.0)
        assert [s.lines for s in made] == [s.lines for s in sheet], at
        assert [s.title for s in made[1:]] == [s.title for s in sheet[1:]]
    if metric == "delta":  # of the book in USD, now; the plan ends in the landing set by command, 0.02 coin
        now, at = document["ladder"]["cells"][4], document["ladder"]["spot_pct"].index(0)
        index = snapshot.spot["BTC"]
        assert abs(now["hedged"][at]) <= 0.0201 * index and now["unhedged"][at] > 0.7 * index


def hedge_line(sheet: Sheet) -> str:
    (line,) = (line for section in sheet for line in section.lines if line.key == "hedge")
    return line.cells[0]


def test_pnl(capsys: pytest.CaptureFixture[str], journal: Path, painter: Painter) -> None:
    shown, document = painter.frame(Want(Panel.PNL)).sheet, said(capsys, journal, "pnl")
    assert pnl.sheet(document) == shown
    assert_within(painter.frame(Want(Panel.PNL)).document, document)
    assert any(cells[1] == "TOTAL" and cells[2] not in ("", "0", "?") for cells in words(shown))


def test_venues(capsys: pytest.CaptureFixture[str], journal: Path, painter: Painter) -> None:
    document = said(capsys, journal, "venues")
    shown = painter.frame(Want(Panel.VENUES)).sheet
    assert venues.sheet(document) == shown and len(words(shown)) > 10
    assert_within(painter.frame(Want(Panel.VENUES)).document, document)


def test_orders(capsys: pytest.CaptureFixture[str], journal: Path, painter: Painter) -> None:
    document = said(capsys, journal, "orders", "--all")
    shown = painter.frame(Want(Panel.ORDERS)).sheet
    assert orders.sheet(document["orders"], document["fills"], document["at_ns"]) == shown
    assert_within(painter.frame(Want(Panel.ORDERS)).document, document)
    assert len(document["fills"]) == said(capsys, journal, "status")["fills"] == 1
    assert [len(section(shown, title).lines) for title in ("in work", "fills, newest first")] == [1, 1]
    # of those in work alone there is no fill yet
    open_ones = said(capsys, journal, "orders")
    assert [row["client_id"] for row in open_ones["orders"]] == ["htest-16-0-0"]
    assert open_ones["fills"] == [] and list(open_ones["lineage"]) == ["htest-16-0-0"]


def test_lineage(capsys: pytest.CaptureFixture[str], journal: Path, painter: Painter) -> None:
    """What `enter` shows of an order and of a fill; the records are looked for here by hand."""
    found = said(capsys, journal, "orders", "--all")["lineage"]
    for client_id, told in found.items():
        assert told == json.loads(json.dumps(painter._feed.lineage(client_id)))
        seq = int(client_id.split("-")[1])
        mine = [
            (line["number"], line["kind"])
            for line in map(json.loads, lines(journal)[0])
            if (line["kind"] == "decision" and line["seq"] == seq)
            or (
                line["kind"] in ("intent", "acknowledgement", "event", "order", "fill")
                and f'"{client_id}"' in json.dumps(line["body"])
            )
        ]
        assert [(r["record"], r["kind"]) for r in told] == mine and len(mine) >= 3
    kinds = [r["kind"] for r in found["htest-4-0-0"]]
    assert kinds[:5] == ["decision", "intent", "acknowledgement", "event", "fill"]


def test_alerts(capsys: pytest.CaptureFixture[str], journal: Path, painter: Painter) -> None:
    first = said(capsys, journal, "alerts", "--told")["alerts"][0]
    acknowledge(journal, (first["record"], first["place"]), "trader", 7)
    document = said(capsys, journal, "alerts", "--told")
    painter._feed.step()
    frame = painter.frame(Want(Panel.ALERTS))
    assert alerts.sheet(document, {}) == frame.sheet and len(words(frame.sheet)) >= 2
    assert_within(frame.document, document)
    assert any(cells[4] == "trader" for cells in words(frame.sheet))
    # the record itself, read here by hand: every alert of every decision, in order
    told = [
        (action["severity"], action["code"], action["text"])
        for line in lines(journal)[0]
        if json.loads(line)["kind"] == "decision"
        for action in json.loads(line)["body"]["document"]["actions"]
        if action["action"] == "alert"
    ]
    assert [(a["severity"], a["code"], a["text"]) for a in document["alerts"]] == told
    new = [a["severity"] for a in document["alerts"] if a["seen_by"] is None]
    assert document["unseen"] == {x: new.count(x) for x in ("critical", "warning")}
    assert (frame.facts.critical, frame.facts.warnings) == tuple(document["unseen"].values())
    out = hedger(capsys, "alerts", "--told", "--journal", str(journal)).out
    assert all(f"{code}: {text}" in out for _, code, text in told) and "(seen by trader)" in out


@pytest.mark.parametrize("panel", range(1, 8))
def test_the_written_file_is_a_part_of_what_the_command_prints(
    capsys: pytest.CaptureFixture[str], journal: Path, painter: Painter, panel: int
) -> None:
    """Of the command that the last line names."""
    want = Want(Panel(panel), metric="delta", side="hedged")
    painter.frame(want)
    painter.planner.work.wait(60.0)
    told = export(journal, painter.frame(want), 0)
    files, _, command = told.removeprefix("written: ").partition("; all of it: hedger ")
    written = json.loads(Path(files.partition(" and ")[0]).read_text("utf-8"))
    assert written
    assert_within(written, said(capsys, journal, *command.removesuffix(" --json").split()))


def test_the_header_is_the_status(
    capsys: pytest.CaptureFixture[str], journal: Path, painter: Painter
) -> None:
    status, vitals = said(capsys, journal, "status"), painter.frame(Want(Panel.VENUES)).facts
    assert (vitals.trading, vitals.engine, vitals.pid) == ("paper", status["engine"], status["pid"])
    assert vitals.unknown == status["unknown"] == 1
    assert vitals.working == sum(status["orders"].values())
    assert vitals.settings_sha256 == status["settings_sha256"]
    assert vitals.seq == status["last_seq"] and status["head"].startswith(f"{vitals.record}:")
    assert vitals.engine_state.died is (status["ended_in_order"] is False)
    assert vitals.engine_state.words == f"DIED, was {status['mode'].upper()}"
    text = "\n".join(line for line, _ in header(vitals))
    assert "UNKNOWN orders 1" in text and "NO ENGINE RUNS" in text


def assert_within(shown: Any, document: Any) -> None:
    """Every figure that is shown is in the verb's document, at the same place and as it is, unrounded."""
    assert shown is None or document is not None
    if isinstance(shown, dict):
        for name, value in shown.items():
            assert_within(value, document[name])
    elif isinstance(shown, list | tuple):
        assert len(shown) == len(document)
        for value, other in zip(shown, document, strict=True):
            assert_within(value, other)
    else:
        assert shown == document


def section(sheet: Sheet, title: str) -> Section:
    (found,) = (section for section in sheet if section.title == title)
    return found
