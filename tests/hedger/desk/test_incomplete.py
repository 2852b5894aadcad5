"""A held option that is quoted no more: each screen and document says what it lacks, and no row is zero."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl
import pytest

from hedger.dashboard.feed import Feed
from hedger.dashboard.frames import Painter, Want
from hedger.dashboard.header import header
from hedger.dashboard.panel_table import Panel
from hedger.dashboard.panels import hedge, risk, whatif
from hedger.dashboard.ports import Ports
from hedger.dashboard.sheet import Section, Sheet
from hedger.limits_file import load_limits
from hedger.runs.replay import replay
from hedger.settings import Settings
from hedger.verbs.journals import fetch_of
from tests.hedger.command_line import Json, change_tape, hedger, make_book, make_tape
from tests.hedger.report.made import report
from venues.tape import Tape

GONE = "BTC-27MAR26-68000-C"
ROWS = [
    (GONE, -40),
    ("ETH-27MAR26-2100-P", -500),
    ("BTC-PERPETUAL", -250_000),
    ("BTC", "12.5"),
    ("ETH", 100),
    ("USDC", 1_000_000),
]
TITLE = "NOT IN THESE FIGURES"


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A journal and its tape; from the sixth batch on a held option has no quote."""
    folder = tmp_path_factory.mktemp("incomplete")
    whole = make_tape(folder / "whole", seed=7, batches=10, seconds=300.0)
    quotes = Tape.open(whole).frame("quotes")
    kept = quotes.filter((pl.col("symbol") != GONE) | (pl.col("seq") < quotes["seq"].unique().sort()[5]))
    tape = change_tape(folder / "tape", whole, kept)
    journal = folder / "a.journal"
    replay(Tape.open(tape), make_book(folder / "book.csv", ROWS), Settings(), load_limits(None), journal)
    return journal, tape


@pytest.fixture(scope="module")
def painter(ran: tuple[Path, Path]) -> Painter:
    feed = Feed(ran[0], Settings(), Ports(fetch=fetch_of(ran[1])))
    while not feed.caught_up or not feed.number:
        feed.step()
    return Painter(feed, control=False)


def told(capsys: pytest.CaptureFixture[str], ran: tuple[Path, Path], *words: object) -> Json:
    found = hedger(capsys, *words, "--journal", ran[0], "--tape", ran[1], "--json")
    assert found.code == 0, found.err
    document: Json = found.json
    return document


def lacking(sheet: Sheet) -> Section:
    (found,) = (section for section in sheet if section.title == TITLE)
    return found


def test_rows_of_a_coin_that_lacks_something_are_not_known(
    capsys: pytest.CaptureFixture[str], ran: tuple[Path, Path], painter: Painter
) -> None:
    document = told(capsys, ran, "risk")
    assert [m["symbol"] for m in document["missing"]] == [GONE]
    for row in document["rows"]:
        of_btc = row["row"].split(":")[1] == "BTC"
        assert (row["value"] is None) == of_btc
        if row["trigger"] is not None:
            assert (row["used"] is None, row["distance"] is None) == (of_btc, of_btc)
            assert row["breached"] is None if of_btc else isinstance(row["breached"], bool)
    frame = painter.frame(Want(Panel.HEDGE))
    rows = {line.key: line.cells for section in frame.sheet for line in section.lines}
    assert rows["band delta:BTC"][1] == "?" and rows["band delta:BTC"][5:8] == ("?", "?", "?")
    assert rows["band delta:ETH"][6] in ("inside", "OUTSIDE")
    assert frame.bands["delta:BTC"]["value"] is None


def test_panels_and_verbs_name_it(
    capsys: pytest.CaptureFixture[str], ran: tuple[Path, Path], painter: Painter
) -> None:
    tree, shocks = told(capsys, ran, "risk"), told(capsys, ran, "whatif")
    assert [m["symbol"] for m in shocks["missing"]] == [GONE] and not shocks["complete"]
    made = (
        risk.sheet(tree),
        hedge.sheet(told(capsys, ran, "status", "--hedge")["hedge"]),
        whatif.sheet(
            shocks["ladder"],
            shocks["missing"],
            shocks["bad_indexes"],
            "unhedged",
            "",
            shocks["as_of"],
            0.0,
        ),
    )
    for number, twin in enumerate(made, 1):
        shown = lacking(painter.frame(Want(Panel(number))).sheet)
        assert shown == lacking(twin)
        (line,) = shown.lines
        assert GONE in line.cells[0] and "simulated" in line.cells[0]


def test_the_header_and_what_the_dialogs_are_told(painter: Painter) -> None:
    frame = painter.frame(Want(Panel.RISK))
    second = header(frame.facts)[1]
    assert "INCOMPLETE 1" in second[0] and str(second[1]) == "bad"
    (text,) = frame.left_out
    assert GONE in text


def test_the_reports_card_says_how_far_the_pnl_goes(ran: tuple[Path, Path], tmp_path: Path) -> None:
    """Batch 4 is the last that has the quote; it is old enough to be of no use before batch 9."""
    document = report(ran[0], tmp_path / "out", "--tape", ran[1])
    pnl = document["pnl"]
    assert pnl["unknown_since"] == pnl["to"] < document["journal"]["to"]
    page = (tmp_path / "out" / "report.html").read_text()
    begin, end = (pnl[name][:16].replace("T", " ") for name in ("from", "to"))
    said = re.search(r"of the whole book from ([0-9: -]+) to ([0-9:]+); unknown since", page)
    assert said is not None and said.groups() == (begin, end[11:])
    # no figure of a moment before stands at a moment at which nothing was known
    rows = pl.read_parquet(tmp_path / "out" / "valuations.parquet").to_dicts()
    assert any(row["missing"] for row in rows)
    assert all(row["pnl_usd"] is None for row in rows if row["missing"])
