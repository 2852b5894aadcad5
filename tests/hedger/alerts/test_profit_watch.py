"""P&L without a cause is told from the journal as `hedger pnl` tells it; and when the last marks came."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hedger.alerts.profit_watch import ProfitWatch
from hedger.desk.follow import Fetch, no_tape
from hedger.desk.profit import ProfitReader
from hedger.journal.entries import EventBody, MarksOnTape, read
from hedger.journal.journal import open_to_read
from hedger.limits_file import load_limits
from hedger.runs.replay import replay
from hedger.settings import Settings
from hedger.verbs.journals import fetch_of
from tests.hedger.command_line import make_book, make_tape
from venues.tape import Tape

STRICT = Settings.model_validate({"pnl": {"unexplained_usd": 0.0, "unexplained_share": 0.0}})
ROWS = [("BTC-27MAR26-68000-C", -40), ("BTC-PERPETUAL", -250_000), ("BTC", "12.5"), ("USDC", 1_000_000)]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A replay's journal and the tape that its marks lie on."""
    folder = tmp_path_factory.mktemp("run")
    tape = make_tape(folder / "tape", seed=7, batches=8)
    journal = folder / "a.journal"
    book = make_book(folder / "book.csv", ROWS)
    for name, settings in (("a", STRICT), ("calm", Settings())):
        replay(Tape.open(tape), book, settings, load_limits(None), folder / f"{name}.journal")
    return journal, tape


@pytest.fixture
def watch(ran: tuple[Path, Path]) -> Iterator[ProfitWatch]:
    """What is borne is what the engine ran with, not what the watcher has at hand."""
    yield from watching(ran[0], Settings(), fetch_of(ran[1]))


def watching(journal: Path, settings: Settings, fetch: Fetch) -> Iterator[ProfitWatch]:
    storage = open_to_read(journal)
    found = ProfitWatch(storage, settings, fetch)
    while not (found.caught_up or found.fault):
        assert found.stands() == []  # nothing is told before all is read
        found.step()
    yield found
    storage.close()


def test_the_newest_day_is_told_as_pnl_tells_it(ran: tuple[Path, Path], watch: ProfitWatch) -> None:
    storage = open_to_read(ran[0])
    reader = ProfitReader(Settings(), fetch=fetch_of(ran[1]))
    for record in storage.records():
        reader.take(record)
    words = [(r.now_ns, read(r)) for r in storage.records(kinds=["event"])]
    marks = [ns for ns, w in words if isinstance(w, EventBody) and isinstance(w.what, MarksOnTape)]
    storage.close()
    expected = reader.document()["alerts"]
    newest = reader.document()["days"][-1]["day"]
    assert [alert["day"] for alert in expected] == [newest, "since hedge"]
    told = [(x.code, x.subject, x.text, str(x.severity)) for x in watch.stands()]
    assert told == [("PNL_UNEXPLAINED", x["day"], x["text"], x["severity"]) for x in expected]
    assert watch.marked_ns == marks[-1]
    assert len(marks) > 5


def test_what_is_borne_is_not_told(ran: tuple[Path, Path]) -> None:
    for found in watching(ran[0].with_name("calm.journal"), STRICT, fetch_of(ran[1])):
        assert found.stands() == []


def test_where_the_book_cannot_be_valued_that_is_said(ran: tuple[Path, Path]) -> None:
    for found in watching(ran[0], STRICT, no_tape):
        assert found.fault.startswith("TAPE_NEEDED")
        assert (found.stands(), found.marked_ns) == ([], 0)
