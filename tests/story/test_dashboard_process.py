"""The real engine and the real terminal in a pseudo-terminal: each is killed, the other does not notice."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pricing.errors import Exit
from tests.story.test_processes import PATIENCE_S, count, engine, one, wait_for, words


@contextmanager
def terminal(journal: Path, *more: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A terminal of 80 x 24 on a journal, and the file that it writes to."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*words(journal, "dashboard"), *more],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=journal.parent,
        env=os.environ | {"TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24", "NO_COLOR": "1"},
        start_new_session=True,
    )
    os.close(theirs)
    try:
        yield process, ours
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        os.close(ours)


def read_until(file: int, wanted: str) -> str:
    """What the terminal writes, until something is in it."""
    text, end = "", time.monotonic() + PATIENCE_S
    while wanted not in text:
        assert time.monotonic() < end, f"{wanted!r} never came: {text[-2000:]!r}"
        if select.select([file], [], [], 0.1)[0]:
            try:
                text += os.read(file, 65536).decode("utf-8", "replace")
            except OSError:  # the other end is closed
                break
    assert wanted in text
    return text


def test_f29_the_terminal_dies_hangs_and_leaves_and_the_engine_goes_on(tmp_path: Path) -> None:
    journal = tmp_path / "j"
    with engine(journal, "--no-watchdog") as running:
        wait_for(lambda: count(journal, "decision") > 5)
        with terminal(journal) as (screen, file):
            read_until(file, "PAPER  no real money")
            screen.kill()
            screen.wait()
        before = count(journal, "decision")
        with terminal(journal) as (screen, file):
            read_until(file, "risk as of")
            screen.send_signal(signal.SIGSTOP)  # it hangs, holding whatever it holds
            wait_for(lambda: count(journal, "decision") > before + 5)
            screen.send_signal(signal.SIGCONT)
            os.write(file, b"q")
            read_until(file, "engine still running")
            assert screen.wait(PATIENCE_S) == Exit.DONE
        assert running.poll() is None
        with terminal(journal) as (screen, file):
            read_until(file, "risk as of")
            running.kill()
            running.wait()
            read_until(file, "NO ENGINE RUNS")
            assert screen.poll() is None
            os.write(file, b"q")
            read_until(file, "no engine writes this journal")
    assert one(journal, "journal", "verify").returncode == Exit.DONE


def test_without_a_terminal_it_says_what_to_use_instead(tmp_path: Path) -> None:
    journal = tmp_path / "j"
    with engine(journal, "--no-watchdog"):
        wait_for(lambda: count(journal, "decision") > 0)
        done = one(journal, "dashboard")
    assert done.returncode == Exit.INVALID and "DASHBOARD_TERMINAL" in done.stderr
    assert "Traceback" not in done.stderr
