"""The real engine and the real terminal in a pseudo-terminal: each is killed, the other does not notice."""

from __future__ import annotations

import itertools
import json
import os
import pty
import select
import signal
import socket
import sqlite3
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from hedger.build import this_build
from hedger.journal.commands_file import commands_path
from pricing.errors import Exit
from tests.story.test_processes import PATIENCE_S, count, engine, kill_9, lines, one, wait_for
from tests.warm import command


@contextmanager
def terminal(
    journal: Path, *more: str, to_be_stopped: bool = False
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A terminal of 80 x 24 on a journal, and the file that it writes to. to_be_stopped: by SIGSTOP."""
    ours, theirs = pty.openpty()
    started = [sys.executable, "-m", "hedger"] if to_be_stopped else [command()]
    process = subprocess.Popen(
        [*started, "dashboard", "--journal", str(journal), *more],
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
        with terminal(journal, to_be_stopped=True) as (screen, file):
            read_until(file, "risk as of")
            screen.send_signal(signal.SIGSTOP)  # it hangs, holding whatever it holds
            wait_for(lambda: count(journal, "decision") > before + 5)
            for key, shown in ((b"2", "bands:"), (b"1", "risk as of")):  # each is read, and by one alone
                screen.send_signal(signal.SIGCONT)
                os.write(file, key)
                read_until(file, shown)
                screen.send_signal(signal.SIGSTOP)
            screen.send_signal(signal.SIGCONT)
            os.write(file, b"q")
            read_until(file, "engine still running")
            assert screen.wait(PATIENCE_S) == Exit.DONE
            assert termios.tcgetattr(file)[3] & termios.ICANON  # as the shell had it
        assert running.poll() is None
        with terminal(journal) as (screen, file):
            read_until(file, "risk as of")
            kill_9(journal, running)
            read_until(file, "NO ENGINE RUNS")
            assert screen.poll() is None
            os.write(file, b"q")
            read_until(file, "no engine writes this journal")
    assert one(journal, "journal", "verify").returncode == Exit.DONE


def test_f29_floods_of_commands_junk_and_scrapes_cost_the_engine_nothing(tmp_path: Path) -> None:
    """A dashboard that has gone wild and monitors that have, too: every mark is taken as it comes, none is
    conflated, and what a person asks for is obeyed meanwhile."""
    journal, config, seconds = tmp_path / "j", tmp_path / "own.toml", 12
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config.write_text(f"[run]\nmetrics_port = {port}\n")
    more = ("--config", str(config), "--no-watchdog", "--minutes", str(seconds / 60), "--json")
    over = threading.Event()

    def scrape() -> None:
        while not over.is_set():
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0) as line:
                line.sendall(b"GET /metrics HTTP/1.1\r\n" + b"x" * 200)  # half a request, and away

    build = this_build()

    def flood() -> None:
        columns = "(id, verb, user, reason, argument, sent_ns, build)"
        with closing(sqlite3.connect(commands_path(journal), timeout=1.0)) as box:
            for i in itertools.count():
                if over.is_set():
                    return
                rows: list[tuple[object, ...]] = [
                    (f"p{i}.{k}", "preview", "wild", "", "", 0, build) for k in range(5)
                ]
                rows += [(f"x{i}.{k}", "explode", b"\xff", "\x1b[2J", "", 0, build) for k in range(5)]
                with suppress(sqlite3.Error), box:
                    box.executemany(f"INSERT INTO commands {columns} VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
                time.sleep(0.02)

    with engine(journal, *more) as running:
        wait_for(lambda: count(journal, "decision") > 5)
        threads = [threading.Thread(target=f, daemon=True) for f in (flood, *[scrape] * 8)]
        with terminal(journal, "--control", to_be_stopped=True) as (screen, file):
            read_until(file, "PAPER  no real money")
            screen.send_signal(signal.SIGSTOP)  # and one that hangs
            for thread in threads:
                thread.start()
            asked = one(journal, "pause", "--json")
            out, err = running.communicate(timeout=PATIENCE_S)
        over.set()
        for thread in threads:
            thread.join(PATIENCE_S)
    assert running.returncode == Exit.DONE and "Traceback" not in err
    assert asked.returncode == Exit.DONE and json.loads(asked.stdout)["taken"]
    found = json.loads(out)
    assert found["quotes_conflated"] == 0
    # a batch a second, as without a flood; previews: one a second, of the hundreds that were asked for
    assert found["marks"] >= seconds - 3, found
    previews = sum("preview" in json.loads(record)["body"]["document"] for record in decisions(journal))
    assert 2 <= previews <= seconds + 1
    assert len(err) < 1_000_000
    assert one(journal, "journal", "verify").returncode == Exit.DONE


def decisions(journal: Path) -> list[str]:
    return [line for line in lines(journal)[0] if json.loads(line)["kind"] == "decision"]


def test_f29_a_damaged_box_of_commands_ends_nothing(tmp_path: Path) -> None:
    journal = tmp_path / "j"
    with engine(journal, "--no-watchdog") as running:
        wait_for(lambda: count(journal, "decision") > 5)
        for path in (commands_path(journal), Path(f"{commands_path(journal)}-wal")):
            if path.exists():
                path.write_bytes(os.urandom(max(path.stat().st_size, 4096)))
        before = count(journal, "decision")
        wait_for(lambda: count(journal, "decision") > before + 5)
        killed = one(journal, "kill", "--wait-s", "1")  # needs no box: the latch is a file of its own
        wait_for(lambda: one(journal, "status").stdout.count("KILLED") == 1)
        assert running.poll() is None and killed.returncode in (Exit.DONE, Exit.NEGATIVE)
        assert "Traceback" not in killed.stderr
        wait_for(lambda: json.loads(decisions(journal)[-1])["body"]["document"]["mode"] == "killed")
        running.terminate()
        assert running.wait(PATIENCE_S) == Exit.TERMINATED


def test_a_screen_is_no_json_document(tmp_path: Path) -> None:
    done = one(tmp_path / "j", "dashboard", "--json")
    assert (done.returncode, done.stdout) == (Exit.INVALID, "")
    assert "DASHBOARD_JSON" in done.stderr and "`status --hedge`" in done.stderr and "--json" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_terminal_it_says_what_to_use_instead(tmp_path: Path) -> None:
    journal = tmp_path / "j"
    with engine(journal, "--no-watchdog"):
        wait_for(lambda: count(journal, "decision") > 0)
        done = one(journal, "dashboard")
    assert done.returncode == Exit.INVALID and "DASHBOARD_TERMINAL" in done.stderr
    assert "Traceback" not in done.stderr
