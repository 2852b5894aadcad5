"""Standard streams that are full, closed or gone: the command is taken, and its end says what is so."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hedger.journal.kill_latch import latch_path

FULL, CLOSED = ">/dev/full", ">&-"
full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full disk at hand")


def shell(place: Path, ends: str, *words: object) -> subprocess.CompletedProcess[str]:
    """`hedger ..` in a folder, its streams redirected as a shell does."""
    program = ["sh", "-c", f'exec "$@" {ends}', "sh", sys.executable, "-m", "hedger"]
    return subprocess.run([*program, *map(str, words)], cwd=place, capture_output=True, text=True)


@full
@pytest.mark.parametrize("words", [("kill", "--wait-s", "0"), ("kill", "--wait-s", "0", "--json")])
def test_a_kill_into_a_full_disk_is_taken(file: Path, words: tuple[str, ...]) -> None:
    ran = shell(file.parent, FULL, *words)
    assert latch_path(file).exists()
    assert ran.returncode == 74
    assert ran.stderr.startswith("OUTPUT_FAILED: ") and ran.stderr.count("\n") == 1
    assert "No space left on device" in ran.stderr and "the command was taken" in ran.stderr


@full
@pytest.mark.parametrize("words", [("status",), ("config", "show", "--json"), ("--version",), ("-h",)])
def test_what_went_well_but_was_not_written_is_no_success_and_no_fault_of_ours(
    file: Path, words: tuple[str, ...]
) -> None:
    ran = shell(file.parent, FULL, *words)
    assert (ran.returncode, ran.stderr.partition(":")[0]) == (74, "OUTPUT_FAILED")


@full
def test_a_result_that_is_negative_keeps_its_code(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("numeraire = 3\n")
    ran = shell(tmp_path, FULL, "config", "validate", "--json")
    assert (ran.returncode, ran.stderr.partition(":")[0]) == (1, "OUTPUT_FAILED")


@full
def test_an_error_that_cannot_be_said_keeps_its_code(tmp_path: Path) -> None:
    assert shell(tmp_path, f"2{FULL}", "status").returncode == 2


def test_streams_that_are_closed_are_as_if_nobody_listens(file: Path) -> None:
    for words in (("status",), ("kill", "--wait-s", "0")):
        heard, deaf = (shell(file.parent, ends, *words) for ends in ("", CLOSED))
        assert (deaf.returncode, deaf.stdout, deaf.stderr) == (heard.returncode, "", "")
    ran = shell(file.parent, "2>&-", "status", "--journal", "none")
    assert (ran.returncode, ran.stdout) == (2, "")  # an error is not said where data is expected
    ran = shell(file.parent, "<&-", "init", "--out", "new.toml")
    assert ran.returncode == 2 and "INIT_UNANSWERED: " in ran.stderr


def test_an_interrupt_while_the_program_is_being_imported_ends_orderly() -> None:
    program = (
        "import runpy, sys\n"
        "class Interrupt:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'hedger.verbs.steering':\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupt())\n"
        "runpy.run_module('hedger', run_name='__main__')\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (130, "")
    assert ran.stderr == "INTERRUPTED: stopped by the user; nothing was started\n"
