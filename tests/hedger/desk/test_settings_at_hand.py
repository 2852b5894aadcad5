"""Whoever looks at an engine sees it with the engine's own settings, not with those that lie at hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hedger.dashboard.feed import Feed
from hedger.dashboard.frames import Painter, Want
from hedger.dashboard.header import header
from hedger.dashboard.panel_table import Panel
from hedger.dashboard.ports import Ports
from hedger.journal.entries import Configuration, Entry, Kind, configuration_entry, read
from hedger.journal.journal import Journal, open_to_read
from hedger.limits_file import load_limits
from hedger.runs.replay import replay
from hedger.settings import Settings
from hedger.verbs.journals import fetch_of
from tests.hedger.command_line import Json, hedger, make_book, make_tape
from venues.tape import Tape

ROWS = [("BTC-27MAR26-68000-C", -40), ("BTC-PERPETUAL", -250_000), ("BTC", "12.5"), ("USDC", 1_000_000)]
#: A band that is no default, about another target, and the other numeraire.
RAN = Settings.model_validate(
    {
        "numeraire": "coin",
        "bands": {
            "*": {"delta_usd": {"target": 0, "trigger": [-123_000, 123_000], "landing": [-60_000, 60_000]}}
        },
        "pnl": {"unexplained_usd": 0.0, "unexplained_share": 0.0},
    }
)
AT_HAND = 'numeraire = "USD"\n[bands."*"]\ndelta_usd = {trigger = [-7000, 7000], landing = [-5000, 5000]}\n'


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A journal and its tape; beside them a settings file that the run has never seen."""
    folder = tmp_path_factory.mktemp("run")
    tape = make_tape(folder / "tape", seed=7, batches=6)
    journal = folder / "a.journal"
    replay(Tape.open(tape), make_book(folder / "book.csv", ROWS), RAN, load_limits(None), journal)
    (folder / "config.toml").write_text(AT_HAND)
    return journal, tape


def told(capsys: pytest.CaptureFixture[str], ran: tuple[Path, Path], *words: object) -> Json:
    journal, tape = ran
    config = journal.with_name("config.toml")
    found = hedger(capsys, *words, "--journal", journal, "--tape", tape, "--config", config, "--json")
    assert found.code == 0, found.err
    document: Json = found.json
    return document


def edges(rows: list[Json]) -> tuple[float, float]:
    """Width of delta's trigger and landing, as a share of the first: the price of the coin falls out."""
    (row,) = (row for row in rows if row["row"] == "delta:BTC")
    return row["trigger"][1], row["landing"][1] / row["trigger"][1]


def test_risk(capsys: pytest.CaptureFixture[str], ran: tuple[Path, Path]) -> None:
    found = told(capsys, ran, "risk")
    width, share = edges(found["rows"])
    (index,) = (u["index"] for u in found["underlyings"] if u["underlying"] == "BTC")
    assert found["numeraire"] == "coin" and width * index == pytest.approx(123_000)
    assert share == pytest.approx(60 / 123)


def test_whatif_and_the_numeraire_that_is_asked_for(
    capsys: pytest.CaptureFixture[str], ran: tuple[Path, Path]
) -> None:
    assert told(capsys, ran, "whatif")["numeraire"] == "coin"
    assert told(capsys, ran, "whatif", "--numeraire", "USD")["numeraire"] == "USD"


def test_pnl(capsys: pytest.CaptureFixture[str], ran: tuple[Path, Path]) -> None:
    alerts = told(capsys, ran, "pnl")["alerts"]
    assert {alert["code"] for alert in alerts} == {"PNL_UNEXPLAINED"} and len(alerts) == 2


def test_the_screen(ran: tuple[Path, Path]) -> None:
    feed = Feed(ran[0], Settings(), Ports(fetch=fetch_of(ran[1])))
    while not feed.caught_up or not feed.number:
        feed.step()
    bands = Painter(feed, control=False).frame(Want(Panel.HEDGE)).bands
    feed.close()
    assert edges(list(bands.values()))[1] == pytest.approx(60 / 123)


@pytest.mark.parametrize("verb", ["risk", "whatif", "pnl", "venues"])
def test_settings_that_are_not_on_record_are_said(
    capsys: pytest.CaptureFixture[str], ran: tuple[Path, Path], tmp_path: Path, verb: str
) -> None:
    """A journal of a release that wrote the hash alone: those at hand stand in, and it is said."""
    found = hedger(capsys, verb, "--journal", ran[0], "--tape", ran[1], "--json")
    assert found.err == ""
    old = old_release(ran[0], tmp_path / "old.journal")
    found = hedger(capsys, verb, "--journal", old, "--tape", ran[1], "--json")
    assert found.code == 0 and found.err.startswith("WARNING: the settings of the run are not on record")
    feed = Feed(old, Settings(), Ports(fetch=fetch_of(ran[1])))
    while not feed.caught_up or not feed.number:
        feed.step()
    third = header(Painter(feed, control=False).frame(Want(Panel.HEDGE)).facts)[2][0]
    feed.close()
    assert "NOT ON RECORD" in third


def old_release(path: Path, to: Path) -> Path:
    """The journal, its starts without their settings."""
    storage = open_to_read(path)
    new = Journal.open(to, storage.name)
    for record in storage.records():
        word = read(record) if record.kind == Kind.CONFIGURATION else None
        if isinstance(word, Configuration):
            new.append(configuration_entry(record.seq, record.now_ns, replace(word, settings="")))
        else:
            new.append(Entry(Kind(record.kind), record.seq, record.now_ns, record.body, record.key))
    new.close()
    storage.close()
    return to
