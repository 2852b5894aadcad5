"""A book that holds nothing that moves: every verb and every panel of the desk is at its service."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

import pytest

import hedger as house
from hedger.dashboard.feed import Feed
from hedger.dashboard.frames import Painter, Want
from hedger.dashboard.panel_table import Panel
from hedger.dashboard.ports import Ports
from hedger.desk.ladder_metrics import METRICS
from hedger.limits_file import load_limits
from hedger.problem.snapshot import NOTHING_MOVES
from hedger.runs.replay import replay
from hedger.settings import Settings
from hedger.verbs.journals import fetch_of
from tests.hedger.command_line import Json, hedger, make_book, make_tape, strict_json
from venues.tape import Tape

DOLLARS, COIN = [("USDC", 5000)], [("BTC", 2)]


@dataclass(frozen=True, slots=True)
class Ran:
    """A book, the tape that it was replayed on, and the journal of that."""

    book: Path
    tape: Path
    journal: Path


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tape(tmp_path_factory.mktemp("no-rows") / "tape", seed=7, batches=3)


@pytest.fixture(scope="module", params=[DOLLARS, COIN], ids=["dollars", "coin"])
def ran(request: pytest.FixtureRequest, tape: Path, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    folder = tmp_path_factory.mktemp("ran")
    book = make_book(folder / "book.csv", request.param)
    replay(Tape.open(tape), book, Settings(), load_limits(None), folder / "a.journal")
    return Ran(book, tape, folder / "a.journal")


@pytest.fixture
def dollars(tape: Path, tmp_path: Path) -> tuple[object, ...]:
    """What names a book of dollars in the market of a tape."""
    return "--book", make_book(tmp_path / "book.csv", DOLLARS), "--market", tape


@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
@pytest.mark.parametrize(
    "words",
    [
        "status", "status --hedge", "risk", "orders", "orders --all", "pnl", "venues", "alerts --told",
        "whatif", "whatif --stress all --hedged --liquidity 3", "whatif --metric margin --hedged",
        "whatif --numeraire coin --stress all", "journal verify",
    ],
)  # fmt: skip
def test_every_verb_of_the_desk_knows_such_a_journal(
    words: str, as_json: bool, ran: Ran, capsys: pytest.CaptureFixture[str]
) -> None:
    needs = words.split()[0] not in ("status", "orders", "alerts", "journal")
    more = ("--tape", ran.tape) if needs else ()
    done = hedger(capsys, *words.split(), "--journal", ran.journal, *more, *["--json"] * as_json)
    assert (done.code, done.err) == (0, "")
    if as_json:
        strict_json(done.out)


def test_it_is_exported_and_reported_as_known(
    ran: Ran, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each of its decisions was made on a book of which all was known."""
    done = hedger(capsys, "journal", "export", "--journal", ran.journal, "--out", tmp_path / "x")
    assert done.code == 0
    words = ("--journal", ran.journal, "--tape", ran.tape, "--out", tmp_path / "r", "--json")
    done = hedger(capsys, "report", *words)
    assert done.code == 0
    assert [text for text in done.json["warnings"] if "not known" in text] == []


@pytest.mark.parametrize(
    ("panel", "metric"), [*((panel, "pnl") for panel in Panel), *((Panel.WHAT_IF, x) for x in METRICS[1:])]
)
def test_every_panel_shows_it(panel: Panel, metric: str, ran: Ran) -> None:
    feed = Feed(ran.journal, Settings(), Ports(fetch=fetch_of(ran.tape)))
    try:
        while feed.step() or not feed.caught_up:
            pass
        painter = Painter(feed, control=False)
        for side in ("unhedged", "hedged"):
            for _ in range(2):  # a hedge is planned first, then margin made of it
                painter.frame(Want(panel=panel, metric=metric, side=side))
                painter.planner.work.wait(60.0)
                painter.margins.work.wait(60.0)
            frame = painter.frame(Want(panel=panel, metric=metric, side=side))
            assert frame.sheet and frame.document is not None and not frame.facts.failed
            json.dumps(frame.document, allow_nan=False)
    finally:
        feed.close()


@pytest.mark.parametrize("numeraire", ["USD", "coin"])
@pytest.mark.parametrize("metric", METRICS)
def test_no_shock_moves_dollars(
    metric: str, numeraire: str, dollars: tuple[object, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """Every cell is 0, not unknown, and it is said why."""
    words = ("--metric", metric, "--numeraire", numeraire, "--stress", "all", "--hedged", "--json")
    done = hedger(capsys, "whatif", *dollars, *words)
    document: Json = done.json
    ladder = document["ladder"]
    cells = [x for line in ladder["cells"] for side in ("unhedged", "hedged") for x in line[side]]
    assert cells == [0.0] * (3 * 9 * 13 * 2) and NOTHING_MOVES in ladder["notes"]
    assert [ladder["worst"][side]["pnl"] for side in ("unhedged", "hedged")] == [0.0, 0.0]
    assert [(s["unhedged"], s["hedged"]) for s in document["stresses"]] == [(0.0, 0.0)] * 4
    assert all(NOTHING_MOVES in s["notes"] for s in document["stresses"])


def test_a_file_of_returns_is_at_its_service_too(
    dollars: tuple[object, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "returns.csv"
    file.write_text("BTC\n" + "-0.01\n" * 30)
    done = hedger(capsys, "whatif", *dollars, "--returns", file, "--json")
    assert done.code == 0 and done.json["tails"]["unknown"] == NOTHING_MOVES


def test_a_notebook_takes_it(dollars: tuple[object, ...]) -> None:
    _, book, _, market = dollars
    found = house.whatif(book=str(book), market=str(market))
    assert found.document["ladder"]["worst"]["unhedged"]["pnl"] == 0.0


@pytest.mark.parametrize("width", ["80", "160"])
def test_the_title_of_no_rows_stands_on_one_line(
    width: str,
    dollars: tuple[object, ...],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", width)
    lines = hedger(capsys, "risk", *dollars).out.splitlines()
    assert lines[0].startswith("EXPOSURES ") and lines[0].endswith("in USD terms")
    assert lines[1] == f"no rows: {NOTHING_MOVES}"


def test_no_amount_of_a_result_is_below_zero_by_its_sign_alone(
    tape: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    book = make_book(tmp_path / "book.csv", DOLLARS)
    done = hedger(capsys, "replay", tape, "--book", book, "--json")
    signs = {name: math.copysign(1.0, x) for name, x in done.json.items() if x == 0 and isinstance(x, float)}
    assert {"fees_usd", "pnl_usd"} <= signs.keys() and set(signs.values()) == {1.0}
