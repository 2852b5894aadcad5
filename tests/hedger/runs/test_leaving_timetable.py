"""Each reason for which a replay leaves the timetable of a run, by a row that stands against it, and that the
rest of the tape is played on; `test_by_timetable` has those of the tape's batches."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest

from hedger.core.events import Event
from hedger.journal.entries import Configuration, JournalName, configuration_entry
from hedger.journal.journal import Journal
from hedger.limits_file import built_in
from hedger.runs.alike import alike
from hedger.runs.by_timetable import _LOOKS_MAX
from hedger.runs.replay import replay
from hedger.runs.timetable import MARKS, TICK, digest_of, text_of
from hedger.settings import Settings
from pricing.errors import InputError
from tests.hedger.command_line import make_book, make_tape
from venues.orders import Link, VenueStatus
from venues.tape import Tape, write
from venues.tape_schema import TIMETABLE_SCHEMA

VENUE, BATCHES, NONE = "simulated", 3, 10**6
#: What is done, by which venue, number and text.
Row = tuple[str, str, int, str]
#: The venue can be reached, as a run writes it down: the engine asks for the account then.
UP = text_of(Event(0, 0, 0, VenueStatus(VENUE, Link.UP)))


def look(text: str, number: int = 0) -> Row:
    return "look", "", number, text


#: By what it is left for: the rows, and what is said.
LEFT: dict[str, tuple[Sequence[Row], str]] = {
    "cut off": ([look(TICK)], "the run was cut off"),
    "a row": ([("dance", VENUE, 0, "")], "a row of another release: dance"),
    "what came from outside": ([look('{"what":"dance"}', 3)], 'a row of another release: {"what":"dance"}'),
    "what is no text of ours": ([look("dance", 3)], "a row of another release: dance"),
    "a venue": ([("turn", "okx", 0, "")], "a venue that is not on the tape: okx"),
    "a trade": ([("trade", VENUE, NONE, "")], f"trade {NONE} is not on the tape"),
    "a batch": ([("feed", VENUE, NONE, "")], f"batch {NONE} is not the next on the tape"),
    "a batch that was not told": ([("told", VENUE, 0, "")], "has not told of a batch that the run saw"),
    "quotes": ([look(MARKS, 7)], "the run looked at 7 quotes at once, and they are others here"),
    "news": ([look("", 5)], "the run heard of an order or an account what the replay did not"),
    "a request": ([("call", VENUE, 0, "submit x")], f"the run sent submit x to {VENUE}"),
    "overdue": ([look(UP, digest_of(UP)), *[look(TICK)] * (_LOOKS_MAX + 1)], "and the run did not"),
}


@pytest.fixture(scope="module")
def taped(tmp_path_factory: pytest.TempPathFactory) -> Tape:
    return Tape.open(make_tape(tmp_path_factory.mktemp("tape") / "tape", batches=BATCHES, seconds=10.0))


@pytest.mark.parametrize("why", list(LEFT))
def test_a_timetable_is_left_where_the_replay_does_otherwise(taped: Tape, tmp_path: Path, why: str) -> None:
    rows, said = LEFT[why]
    begun_ns = int(taped.batches.now_ns[0])
    timed = [(what, venue, begun_ns, begun_ns, number, text) for what, venue, number, text in rows]
    timetable = pl.DataFrame(timed, schema=TIMETABLE_SCHEMA, orient="row")
    quotes, depth = (taped.frame(name) for name in ("quotes", "depth"))
    write(tmp_path / "run", taped.universe.listings, quotes, depth, timetable=timetable)

    book = make_book(tmp_path / "book.csv", [("BTC-PERPETUAL", -250_000)])
    document = replay(Tape.open(tmp_path / "run"), book, Settings(), built_in()).document
    assert not document["followed"]["whole"] and said in document["followed"]["left"]
    assert document["marks"] == BATCHES


def test_a_journal_and_a_tape_that_are_not_of_one_run_are_not_compared(taped: Tape, tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "j", JournalName("paper", "feed"))
    begun = configuration_entry(-1, 0, Configuration("1", "0" * 64))
    journal.append(begun, begun)
    journal.close()
    with pytest.raises(InputError, match="TAPE_OTHER") as caught:
        alike(tmp_path / "j", taped, Settings(), built_in())
    assert "2 starts in one journal" in str(caught.value)
