"""Real file systems that are full or read-only: small ones in memory, mounted for the test."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hedger.journal.kill_latch import FileLatch
from pricing.errors import Exit
from tests.story.test_processes import (
    PATIENCE_S,
    count,
    engine,
    judged,
    lines,
    one,
    soon_closed,
    started_modes,
    wait_for,
)

#: Bytes: the file system, and what of it is kept for later, so that somebody can clear the disk.
SIZE, KEPT = 6_000_000, 5_000_000
#: Bytes of an ext4 file system.
IMAGE_SIZE = 32_000_000


def _mounted(*words: str) -> bool:
    try:
        return subprocess.run(words, capture_output=True, timeout=PATIENCE_S).returncode == 0
    except OSError:
        return False


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of its own; skips the test where nobody may mount one."""
    disk = folder / "disk"
    disk.mkdir()
    if not _mounted("mount", "-t", "tmpfs", "-o", f"size={SIZE}", "hedger-test", str(disk)):
        pytest.skip("SMALL_DISK: no right to mount a file system here")
    try:
        yield disk
    finally:
        _mounted("umount", "-l", str(disk))


@contextmanager
def real_disk(folder: Path) -> Iterator[tuple[Path, Callable[[], None]]]:
    """An ext4 file system of its own, and what makes its kernel give it up: every write fails from then on,
    of files that are open as well. Used again it is as after a restart of the machine, and writable."""
    image, disk = folder / "image", folder / "disk"
    disk.mkdir(exist_ok=True)
    made = image.exists()
    if not made:
        with image.open("wb") as file:
            file.truncate(IMAGE_SIZE)
    if not (made or _mounted("mkfs.ext4", "-q", "-F", str(image))) or not _mounted(
        "mount", "-o", "loop", str(image), str(disk)
    ):
        pytest.skip("REAL_DISK: no ext4, or no right to mount it here")

    def give_up() -> None:
        if not _mounted("mount", "-o", "remount,abort", str(disk)):
            pytest.skip("REAL_DISK: this kernel does not give a file system up at a wish")

    try:
        yield disk, give_up
    finally:
        _mounted("umount", str(disk)) or _mounted("umount", "-l", str(disk))


def test_f20_a_disk_that_turns_read_only_under_a_running_engine_ends_it(tmp_path: Path) -> None:
    """It says why, nothing that was written is lost, nothing is sent twice, and the next start observes."""
    with real_disk(tmp_path) as (disk, give_up):
        journal = disk / "j"
        with engine(journal, "--no-watchdog") as process:
            wait_for(lambda: count(journal, "intent") >= 1)
            written = len(lines(journal)[0])
            give_up()
            _, err = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == Exit.REFUSED, err
        assert err.splitlines()[-1].startswith("JOURNAL_UNWRITABLE") and "Traceback" not in err
        killed = one(journal, "kill")  # nothing can be written: it says so, and does not pretend
        assert killed.returncode in (Exit.REFUSED, Exit.UNAVAILABLE) and killed.stderr.startswith(
            "KILL_LATCH"
        )
    with real_disk(tmp_path) as (disk, _):
        assert len(lines(journal)[0]) >= written and judged(journal) == []
        records, modes = len(lines(journal)[0]), len(started_modes(journal))
        again = one(journal, "run", "--no-watchdog", "--minutes", "0.02", *soon_closed(tmp_path / "j"))
        assert again.returncode == Exit.DONE, again.stderr
        assert len(lines(journal)[0]) > records and judged(journal) == []
        assert set(started_modes(journal)[modes:]) == {"observe"}


def test_f20_a_full_file_system_ends_the_engine_and_neither_the_record_nor_the_kill(tmp_path: Path) -> None:
    with small_disk(tmp_path) as disk:
        journal, ballast = disk / "j", disk / "ballast"
        ballast.write_bytes(b"x" * KEPT)
        with engine(journal, "--no-watchdog") as process:
            _, err = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == Exit.REFUSED, err
        assert err.splitlines()[-1].startswith("JOURNAL_UNWRITABLE") and "Traceback" not in err

        with (disk / "rest").open("wb", buffering=0) as rest, pytest.raises(OSError, match="No space"):
            while True:  # not a byte is left
                rest.write(b"x" * 512)
        killed = one(journal, "kill", "--reason", "the disk is full")
        assert killed.returncode == Exit.DONE and "Traceback" not in killed.stderr, killed.stderr
        assert FileLatch(journal).found() is not None

        ballast.unlink()
        assert judged(journal) == []
        records, modes = len(lines(journal)[0]), len(started_modes(journal))
        again = one(journal, "run", "--arm", "--no-watchdog", "--minutes", "0.02")
        assert again.returncode == Exit.REFUSED, again.stderr  # asked to arm, and killed
        assert len(lines(journal)[0]) > records and judged(journal) == []
        assert set(started_modes(journal)[modes:]) == {"killed"}


def test_f20_on_a_read_only_file_system_kill_says_that_it_could_not(tmp_path: Path) -> None:
    with small_disk(tmp_path) as disk:
        journal = disk / "j"
        assert one(journal, "run", "--arm", "--no-watchdog", "--minutes", "0.02").returncode == Exit.DONE
        assert _mounted("mount", "-o", "remount,ro", str(disk))
        before = journal.read_bytes()
        killed = one(journal, "kill")
        assert killed.returncode in (Exit.REFUSED, Exit.UNAVAILABLE), killed.stderr
        assert killed.stdout == "" and killed.stderr.startswith("KILL_LATCH: ")
        assert "cancel on the venue" in killed.stderr and "Traceback" not in killed.stderr
        started = one(journal, "run", "--no-watchdog", "--minutes", "0.02")
        assert started.returncode in (Exit.INVALID, Exit.REFUSED), started.stderr
        assert "Traceback" not in started.stderr and started.stderr != ""
        status = one(journal, "status")
        assert "Traceback" not in status.stderr
        assert journal.read_bytes() == before

        assert _mounted("mount", "-o", "remount,rw", str(disk))
        assert one(journal, "kill").returncode == Exit.DONE
        assert _mounted("mount", "-o", "remount,ro", str(disk))
        again = one(journal, "kill")  # it is set already: that stands
        assert again.returncode == Exit.DONE and "KILLED" in again.stdout, again.stderr
