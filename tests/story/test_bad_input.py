"""Bad input, kind by kind: which test shows each, and those that stand nowhere else.

A tape or a journal of which any byte is another one starts nothing: an error with its code, exit 2, and not a
byte of it changed.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from hedger.cli import main
from pricing.errors import Exit
from tests.hedger.command_line import make_book, make_tape
from tests.story.test_replay import ROWS

TESTS = Path(__file__).resolve().parents[1]
#: Where each kind is shown to end in an error or in another mode, with nothing lost or sent twice.
SHOWN_BY = {
    "poisoned marks": "hedger/core/test_decide.py::test_poisoned_marks_send_nothing",
    "poisoned tape": "story/test_replay.py::test_a_poisoned_tape_sends_nothing_on_what_makes_no_sense",
    "time going backwards": "hedger/core/test_decide.py::test_marks_stamped_backwards_move_no_clock",
    "corrupt tape": "story/test_bad_input.py::test_a_corrupt_tape_is_not_replayed",
    "corrupt journal": "story/test_bad_input.py::test_a_corrupt_journal_starts_nothing",
    "truncated journal": "story/test_processes.py::test_f20_a_truncated_journal_starts_nothing",
    "full disk": "story/test_small_disks.py::"
    "test_f20_a_full_file_system_ends_the_engine_and_neither_the_record_nor_the_kill",
    "disk turning read-only": "story/test_small_disks.py::"
    "test_f20_a_disk_that_turns_read_only_under_a_running_engine_ends_it",
    "read-only disk": "story/test_small_disks.py::"
    "test_f20_on_a_read_only_file_system_kill_says_that_it_could_not",
    "second instance": "story/test_processes.py::"
    "test_f22_a_second_instance_is_refused_and_a_stale_lock_is_not",
    "clock steps": "story/test_invariants.py::test_i16_steps_of_the_wall_clock_change_nothing_but_stamps",
    "config changed": "story/test_reloading.py::test_a_running_engine_takes_a_good_file_and_no_bad_one",
    "config that clashes": "hedger/runs/test_agreement.py::"
    "test_a_reload_that_would_clash_is_refused_and_on_record",
}


@pytest.mark.parametrize("kind", SHOWN_BY)
def test_each_kind_is_shown_by_a_test_that_exists(kind: str) -> None:
    file, _, name = SHOWN_BY[kind].partition("::")
    tree = ast.parse((TESTS / file).read_text("utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def _flipped(path: Path, at: float) -> None:
    """One bit of a file turned over."""
    content = bytearray(path.read_bytes())
    content[int(len(content) * at)] ^= 0x10
    path.write_bytes(bytes(content))


@pytest.mark.parametrize("part", ["quotes.parquet", "listings.parquet", "tape.json"])
def test_a_corrupt_tape_is_not_replayed(
    part: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tape = make_tape(tmp_path / "tape", seed=7, batches=3, seconds=10.0)
    book, journal = make_book(tmp_path / "book.csv", ROWS), tmp_path / "j"
    _flipped(tape / part, 0.5)
    code = main(["replay", str(tape), "--book", str(book), "--journal", str(journal)])
    told = capsys.readouterr()
    assert (code, told.out) == (Exit.INVALID, "")
    assert (
        told.err.split(":")[0].startswith(("TAPE_", "JSON_"))
        and part in told.err
        and "Traceback" not in told.err
    )
    assert not journal.exists()


@pytest.mark.parametrize("at", [0.35, 0.6, 0.85])
def test_a_corrupt_journal_starts_nothing(
    at: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = tmp_path / "j"
    run = ["run", "--no-watchdog", "--journal", str(journal), "--minutes", "0.02"]
    assert main(run) == Exit.DONE
    capsys.readouterr()
    _flipped(journal, at)
    before = journal.read_bytes()
    code = main(run)
    told = capsys.readouterr()
    assert (code, told.out) == (Exit.INVALID, "")
    assert told.err.splitlines()[-1].startswith("JOURNAL_") and "Traceback" not in told.err
    assert journal.read_bytes() == before
