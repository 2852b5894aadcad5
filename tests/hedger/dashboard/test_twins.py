"""Every panel shows what its verb prints: the sheet made of the verb's JSON is the panel's, line by line."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from hedger.dashboard.feed import Feed
from hedger.dashboard.frames import Painter, Want
from hedger.dashboard.header import header
from hedger.dashboard.outside import Outside
from hedger.dashboard.panels import alerts, hedge, orders, pnl, risk, venues, whatif
from hedger.dashboard.sheet import Section, Sheet
from hedger.engine.heartbeat import last_beat
from hedger.journal.acknowledged import acknowledge
from tests.hedger.dashboard.made import HALF_S, lived
from tests.hedger.desk import Json, hedger
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
    feed = Feed(journal, desk(), Outside(lambda: time.time_ns() + HALF_S, lambda: last_beat(journal)))
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
    shown = painter.frame(Want(1)).sheet
    assert len(words(shown)) > 10
    assert risk.sheet(document) == shown
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
    document, working = said(capsys, journal, "risk"), said(capsys, journal, "orders")["orders"]
    shown = painter.frame(Want(2)).sheet
    at_ns = painter._at_ns()
    made = hedge.sheet(hedge.Hedging(document["rows"], document["missing"], working=working, now_ns=at_ns))
    for title in (
        "bands: delta coin, gamma coin/USD, vega USD/vol; of the tenors the worst",
        "bands by tenor",
        "bands set by hand",
    ):
        assert section(made, title) == section(shown, title)
    assert section(made, "working orders") == section(shown, "working orders")
    assert len(working) == 1


@pytest.mark.parametrize("metric", ["pnl", "delta", "gamma", "vega"])
def test_whatif(capsys: pytest.CaptureFixture[str], journal: Path, painter: Painter, metric: str) -> None:
    document = said(capsys, journal, "whatif", "--metric", metric)
    shown = painter.frame(Want(3, metric=metric)).sheet
    made = whatif.sheet(
        document["ladder"],
        document["missing"],
        document["bad_indexes"],
        "unhedged",
        "",
        document["as_of"],
        0.0,
        {},
    )
    assert [s.lines for s in made[1:]] == [s.lines for s in shown[1:]] and len(made) == 4
    assert made[0].lines[0] == shown[0].lines[0]  # the worst cell


def test_pnl(capsys: pytest.CaptureFixture[str], journal: Path, painter: Painter) -> None:
    shown = painter.frame(Want(4)).sheet
    assert pnl.sheet(said(capsys, journal, "pnl")) == shown
    assert any(cells[1] == "TOTAL" and cells[2] not in ("", "0", "?") for cells in words(shown))


def test_venues(capsys: pytest.CaptureFixture[str], journal: Path, painter: Painter) -> None:
    document = said(capsys, journal, "venues")
    shown = painter.frame(Want(5)).sheet
    assert venues.sheet(document) == shown and len(words(shown)) > 10


def test_orders(capsys: pytest.CaptureFixture[str], journal: Path, painter: Painter) -> None:
    every = said(capsys, journal, "orders", "--all")["orders"]
    open_ones = {row["client_id"] for row in said(capsys, journal, "orders")["orders"]}
    rows = [row | {"live": row["client_id"] in open_ones} for row in every]
    shown = painter.frame(Want(6)).sheet
    made = orders.sheet(rows, [], painter._at_ns())
    for title in ("in work", "over, newest first"):
        assert section(made, title) == section(shown, title)
    fills = section(shown, "fills, newest first")
    assert len(fills.lines) == said(capsys, journal, "status")["fills"] > 0


def test_alerts(capsys: pytest.CaptureFixture[str], journal: Path, painter: Painter) -> None:
    first = said(capsys, journal, "alerts", "--told")["alerts"][0]
    acknowledge(journal, (first["record"], first["place"]), "trader", 7)
    document = said(capsys, journal, "alerts", "--told")
    painter._feed.step()
    frame = painter.frame(Want(7))
    assert alerts.sheet(document, {}) == frame.sheet and len(words(frame.sheet)) >= 2
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
    assert (frame.vitals.critical, frame.vitals.warnings) == tuple(document["unseen"].values())
    out = hedger(capsys, "alerts", "--told", "--journal", str(journal)).out
    assert all(f"{code}: {text}" in out for _, code, text in told) and "(seen by trader)" in out


def test_the_header_is_the_status(
    capsys: pytest.CaptureFixture[str], journal: Path, painter: Painter
) -> None:
    status, vitals = said(capsys, journal, "status"), painter.frame(Want(5)).vitals
    assert (vitals.trading, vitals.engine, vitals.pid) == ("paper", status["engine"], status["pid"])
    assert vitals.unknown == status["unknown"] == 1
    assert vitals.working == sum(status["orders"].values())
    assert vitals.settings_sha256 == status["settings_sha256"]
    assert vitals.seq == status["last_seq"] and status["head"].startswith(f"{vitals.record}:")
    assert vitals.standing.words == f"STOPPED, was {status['mode'].upper()}"
    text = "\n".join(line for line, _ in header(vitals))
    assert "UNKNOWN orders 1" in text and "NO ENGINE RUNS" in text


def section(sheet: Sheet, title: str) -> Section:
    (found,) = (section for section in sheet if section.title == title)
    return found
