"""A tape whose timetable is not that of a run on it: nothing of the tape is lost, and the replay says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from hedger.limits_file import load_limits
from hedger.runs.replay import replay
from hedger.settings import Settings
from pricing.errors import InputError
from tests.hedger.command_line import make_book, make_tape
from venues.tape import Tape, verify, write
from venues.tape_files import write_description, write_table
from venues.tape_schema import TIMETABLE_SCHEMA

#: A row: what, venue, now_ns, monotonic_ns, number, text.
Row = tuple[str, str, int, int, int | None, str]
END: Row = ("end", "", 0, 0, 0, "")
BATCHES = 3


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Tape:
    return Tape.open(make_tape(tmp_path_factory.mktemp("timetable") / "tape", batches=BATCHES, seconds=10.0))


def fed(tape: Tape, number: int) -> Row:
    """The venue was shown a batch, from 1; of one behind the last, when the last was."""
    return "feed", "simulated", int(tape.batches.now_ns[min(number, BATCHES) - 1]), 0, number, ""


def table(*rows: Row) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=TIMETABLE_SCHEMA, orient="row")


def run_on(tape: Tape, folder: Path, *rows: Row) -> Tape:
    """The same market, as the tape of a run that did this."""
    quotes, depth = (tape.frame(name) for name in ("quotes", "depth"))
    write(folder / "run", tape.universe.listings, quotes, depth, timetable=table(*rows))
    return Tape.open(folder / "run")


def played(tape: Tape, folder: Path) -> dict[str, Any]:
    book = make_book(folder / "book.csv", [("BTC-PERPETUAL", -250_000)])
    return replay(tape, book, Settings(), load_limits(None)).document


@pytest.mark.parametrize(
    ("numbers", "taken", "left"),
    [
        ((), 0, "the timetable ends before batch 1 of the tape"),
        ((1, 1, 2), 2, "the timetable ends before batch 3 of the tape"),
        ((1, 3), 1, "batch 3 is not the next on the tape"),
        ((2,), 0, "batch 2 is not the next on the tape"),
        ((1, 2, 3, 4), 3, "batch 4 is not the next on the tape"),
        ((1, 1, 2, 3), 3, ""),
    ],
)
def test_batches_that_the_timetable_does_not_know_are_played_as_of_any_tape(
    tape: Tape, tmp_path: Path, numbers: tuple[int, ...], taken: int, left: str
) -> None:
    rows = [fed(tape, number) for number in numbers]
    found = played(run_on(tape, tmp_path, *rows, END), tmp_path)
    assert found["followed"] == {"whole": not left, "looks": 0, "marks": taken, "left": left}
    assert found["marks"] == BATCHES
    assert found["mode"] == ("armed" if left else "observe")  # the run that looked at nothing never was


def test_a_tape_without_a_first_look_begins_where_its_market_does(tape: Tape, tmp_path: Path) -> None:
    found = played(run_on(tape, tmp_path, ("dance", "simulated", 0, 0, 0, "")), tmp_path)
    assert found["followed"]["left"] == "a row of another release: dance"
    assert (found["marks"], found["mode"]) == (BATCHES, "armed")


@pytest.mark.parametrize("fault", ["null", "end first"])
def test_a_timetable_that_makes_no_sense_is_refused(tape: Tape, tmp_path: Path, fault: str) -> None:
    """By whoever writes it; and where the file itself was changed, by whoever reads it."""
    feed = fed(tape, 1)
    rows = ((*feed[:4], None, feed[5]), END) if fault == "null" else (END, feed)
    finding = "row 1, column number: None" if fault == "null" else "row 1, column what: 'end'"
    with pytest.raises(InputError, match="TAPE_UNSOUND") as refused:
        run_on(tape, tmp_path, *rows)
    assert finding in str(refused.value.observed) and not (tmp_path / "run").exists()

    run = run_on(tape, tmp_path, END)
    run.description["hash"]["timetable.parquet"] = write_table(run.path / "timetable.parquet", table(*rows))
    write_description(run.path, run.description)
    assert any(finding in problem for problem in verify(run.path))
    with pytest.raises(InputError, match="TAPE_UNSOUND") as refused:
        played(Tape.open(run.path), tmp_path)
    assert finding in str(refused.value.observed)
