"""`hedger demo` at a terminal: a screen on a real engine, its story, and nothing left running behind it."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import time
from pathlib import Path

from hedger.journal.kill_latch import FileLatch
from hedger.journal.lock import holder
from pricing.errors import Exit
from tests.story.test_dashboard_process import read_until
from tests.story.test_processes import PATIENCE_S, count, one
from tests.warm import command


def test_the_demo_opens_its_screen_tells_its_story_and_ends_its_engine(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    env = {k: v for k, v in os.environ.items() if not k.startswith("HEDGER__")}
    process = subprocess.Popen(
        [command(), "demo"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=tmp_path,
        env=env | {"TERM": "xterm-256color", "COLUMNS": "200", "LINES": "40", "TMPDIR": str(tmp_path)},
        start_new_session=True,
    )
    os.close(theirs)
    try:
        for word in ("PAPER  no real money", "DEMO 1/9", "DEMO 2/9", "DEMO 3/9"):
            read_until(ours, word)
        (place,) = tmp_path.glob("hedger-demo-*")
        journal = place / "journal"
        assert holder(journal) is not None and count(journal, "intent") > 0
        os.write(ours, b"K")
        read_until(ours, "KILL?")
        os.write(ours, b"K")
        read_until(ours, "KILLED")
        os.write(ours, b"q")
        end = read_until(ours, "hedger init")
        assert process.wait(PATIENCE_S) == Exit.DONE
    finally:
        if process.poll() is None:
            process.terminate()  # its engine ends with it
            process.wait(PATIENCE_S)
        os.close(ours)
    assert holder(journal) is None, "the demo's engine runs on"
    latched = FileLatch(journal).found()
    assert latched is not None and "hedger unkill" in end
    # what the closing words say is so: the record is sound, the report is there, the kill lasts
    assert one(journal, "journal", "verify").returncode == Exit.DONE
    told = re.search(r"The report: (\S+)", end)
    assert told is not None and Path(told[1]).stat().st_size > 100_000, end[-2000:]
    assert one(journal, "status").stdout.count("KILLED") == 1


def test_a_demo_whose_terminal_goes_away_ends_its_engine(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [command(), "demo"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=tmp_path,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "80", "LINES": "24", "TMPDIR": str(tmp_path)},
        start_new_session=True,
    )
    os.close(theirs)
    try:
        read_until(ours, "DEMO 1/9")
        (journal,) = tmp_path.glob("hedger-demo-*/journal")
        process.send_signal(signal.SIGHUP)
        end = time.monotonic() + PATIENCE_S
        while process.poll() is None or holder(journal) is not None:
            assert time.monotonic() < end, "something runs on"
            time.sleep(0.05)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        os.close(ours)
