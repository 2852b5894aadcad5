"""The kill latch holds: over processes, crashes, full disks and restarts, and in doubt it is set."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from hedger.journal.kill_latch import FileLatch, KillLatch, Latched, LatchFailed, MemoryLatch, latch_path
from pricing.errors import Exit

ROOT = Path(__file__).resolve().parents[3]
ANN = Latched(123, "ann", "too much red")


@pytest.fixture(params=["file", "memory"])
def latch(request: pytest.FixtureRequest, tmp_path: Path) -> KillLatch:
    return FileLatch(tmp_path / "j") if request.param == "file" else MemoryLatch()


def test_the_trials_of_every_latch(latch: KillLatch) -> None:
    assert latch.found() is None
    latch.clear()
    assert latch.set(ANN) == ANN
    assert latch.set(Latched(456, "bob", "me too")) == ANN  # the first one stays
    assert latch.found() == ANN
    latch.clear()
    assert latch.found() is None
    assert latch.set(Latched(789, "bob", "again")).user == "bob"


def test_another_process_sees_it_at_once_and_after_kill_9(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from hedger.journal.kill_latch import FileLatch, Latched\n"
        "FileLatch(Path(sys.argv[1])).set(Latched(1, 'bob', 'no more'))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    watching = FileLatch(tmp_path / "j")
    assert watching.found() is None
    ran = subprocess.run([sys.executable, "-c", program, str(tmp_path / "j")], cwd=ROOT)
    assert ran.returncode == -9
    assert watching.found() == Latched(1, "bob", "no more")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"set_ns":1}', b"[" * 9999])
def test_whatever_stands_in_it_it_holds(content: bytes, tmp_path: Path) -> None:
    latch_path(tmp_path / "j").write_bytes(content)
    found = FileLatch(tmp_path / "j").found()
    assert found is not None and found.reason.startswith("set;")


def test_numbers_that_are_none_are_unknown(tmp_path: Path) -> None:
    latch_path(tmp_path / "j").write_text(json.dumps({"set_ns": "x", "user": 5, "reason": None}))
    assert FileLatch(tmp_path / "j").found() == Latched(0, "5", "None")


def test_anything_of_that_name_counts(tmp_path: Path) -> None:
    path = latch_path(tmp_path / "j")
    path.mkdir()
    assert FileLatch(tmp_path / "j").found() is not None
    path.rmdir()
    path.symlink_to(tmp_path / "nowhere")
    assert FileLatch(tmp_path / "j").found() is not None
    assert FileLatch(tmp_path / "j").set(ANN).set_ns == 0  # set already; by whom cannot be read


def test_in_doubt_it_is_set(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for journal in (tmp_path / "file" / "j", tmp_path / "gone" / "j", tmp_path / ("x" * 300)):
        found = FileLatch(journal).found()
        assert found is not None and "cannot be seen" in found.reason


@pytest.mark.parametrize("verb", ["set", "clear"])
def test_where_it_cannot_be_set_or_removed_that_is_said(verb: str, tmp_path: Path) -> None:
    latch = FileLatch(tmp_path / "gone" / "j")
    with pytest.raises(LatchFailed, match="KILL_LATCH") as refused:
        latch.set(ANN) if verb == "set" else latch.clear()
    assert refused.value.exit_code is Exit.REFUSED


def test_on_a_disk_without_room_it_holds_without_a_name(tmp_path: Path) -> None:
    """A process whose files may not grow at all: the kernel refuses every byte."""
    program = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from hedger.journal.kill_latch import FileLatch, Latched\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
        "FileLatch(Path(sys.argv[1])).set(Latched(1, 'bob', 'no more'))\n"
    )
    ran = subprocess.run([sys.executable, "-c", program, str(tmp_path / "j")], cwd=ROOT)
    assert ran.returncode == 0
    assert latch_path(tmp_path / "j").stat().st_size == 0
    assert FileLatch(tmp_path / "j").found() is not None


def test_it_is_its_owners_alone_and_its_texts_are_bounded(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        FileLatch(tmp_path / "j").set(Latched(1, "u" * 10_000, "\x1b[2J" * 10_000))
    finally:
        os.umask(before)
    path = latch_path(tmp_path / "j")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    found = FileLatch(tmp_path / "j").found()
    assert found is not None and found.user == "u" * 400 and len(found.reason) == 400
