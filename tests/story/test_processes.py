"""The engine as a real process: killed, stopped, out of disk, started twice, its journal cut.

What is checked after each end is the record on the disk, by the history checker, and what the next start
says.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from hedger.engine.heartbeat import last_beat
from hedger.journal.kill_latch import FileLatch
from hedger.journal.sqlite import read_sqlite
from hedger.simulator.history_book import booked_once, chain_holds
from hedger.simulator.history_lines import History, Violation, read_lines
from hedger.simulator.history_lines import Journal as Lines
from hedger.simulator.history_orders import Evidence, one_order_per_intent, reducing_reduces
from hedger.simulator.minutes import record_line
from pricing.errors import Exit
from tests.warm import command

#: A process that has not done by then what it must is a failure.
PATIENCE_S = 60.0
#: Orders that an engine of before left behind are unknown: an end waits so long for them, not ten seconds.
SOON_CLOSED = "[run]\nclose_s_max = 0.5\n"
#: A watchdog that bears a loop without a sign of life for less long than it is built to.
SOON_STALLED = "[run.watchdog]\nstall_s_max = 3.0\n[solver]\ntime_limit_s = 0.5\n"
#: Bytes that a file of an engine may yet grow by where its disk is about to be full.
LEFT = 200_000


def words(journal: Path, *more: str) -> list[str]:
    return [command(), *more, "--journal", str(journal)]


@contextmanager
def engine(journal: Path, *more: str) -> Iterator[subprocess.Popen[str]]:
    """A running engine that is armed; gone when this ends, whatever happens. Its signals go to `pid_of`."""
    process = subprocess.Popen(
        [*words(journal, "run"), "--arm", *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=journal.parent,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def pid_of(journal: Path) -> int:
    """The engine's own process, as its last sign of life names it, and not the program that stands for it."""
    beat = last_beat(journal)
    assert beat is not None
    return beat.pid


def kill_9(journal: Path, process: subprocess.Popen[str]) -> None:
    """The engine ends at once, and has ended when this returns."""
    os.kill(pid_of(journal), signal.SIGKILL)
    assert process.wait(PATIENCE_S) == 128 + signal.SIGKILL


def wait_for(what: Callable[..., bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not what():
        assert time.monotonic() < end, "nothing came of it in time"
        time.sleep(0.05)


def soon_closed(journal: Path) -> tuple[str, str]:
    config = journal.parent / "closed.toml"
    config.write_text(SOON_CLOSED)
    return "--config", str(config)


def count(journal: Path, kind: str) -> int:
    """Records of a kind that are durable now; 0 where there is no journal yet."""
    if not journal.exists() or not journal.stat().st_size:
        return 0
    with closing(read_sqlite(journal)) as storage:
        return sum(1 for _ in storage.records(kinds=(kind,)))


def lines(journal: Path) -> tuple[list[str], str]:
    with closing(read_sqlite(journal)) as storage:
        return [record_line(record) for record in storage.records()], storage.name.genesis.hex()


def judged(journal: Path) -> list[Violation]:
    """What a record alone shows: the chain, no order or fill twice, no order where none may be."""
    text, genesis = lines(journal)
    history = History({}, (), read_lines(text, "journal"), (), genesis)
    found = Lines.of(history.journal)
    evidence = Evidence(history, found)
    twice = [v for v in booked_once(history, found) if "times" in v.text]
    checks = (one_order_per_intent, reducing_reduces)
    return [*chain_holds(history, found), *twice, *(v for c in checks for v in c(history, found, evidence))]


def one(journal: Path, *verb: str) -> subprocess.CompletedProcess[str]:
    """Another process's word: one that is not stopped, and that no limit is set for."""
    return subprocess.run(
        [command(), *verb, "--journal", str(journal)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        cwd=journal.parent,
    )


def started_modes(journal: Path) -> list[str]:
    """The mode of every decision, in order."""
    text, _ = lines(journal)
    documents: list[dict[str, Any]] = [json.loads(line) for line in text]
    return [d["body"]["document"]["mode"] for d in documents if d["kind"] == "decision"]


def test_f19_kill_9_at_any_moment_loses_nothing_that_was_written(tmp_path: Path) -> None:
    journal = tmp_path / "j"
    heads = []
    for kind, more in (("intent", 1), ("decision", 5)):
        wanted = count(journal, kind) + more
        with engine(journal, "--no-watchdog") as process:
            wait_for(lambda kind=kind, wanted=wanted: count(journal, kind) >= wanted)
            kill_9(journal, process)
        heads.append(len(lines(journal)[0]))
        assert judged(journal) == []
    assert heads == sorted(heads) and heads[0] < heads[-1]
    assert one(journal, "journal", "verify").returncode == Exit.DONE


def test_f33_the_latch_outlives_kill_9(tmp_path: Path) -> None:
    journal = tmp_path / "j"
    with engine(journal, "--no-watchdog") as process:
        wait_for(lambda: count(journal, "intent") >= 1)
        FileLatch(journal).set(_latched())
        kill_9(journal, process)
    intents = count(journal, "intent")
    decisions = len(started_modes(journal))
    with engine(journal, "--no-watchdog", "--minutes", "0.03", *soon_closed(journal)) as process:
        _, err = process.communicate(timeout=PATIENCE_S)
    assert FileLatch(journal).found() is not None and "Traceback" not in err
    assert count(journal, "intent") == intents
    assert set(started_modes(journal)[decisions:]) == {"killed"}
    assert judged(journal) == []


def _latched() -> Any:
    from hedger.journal.kill_latch import Latched

    return Latched(1, "test", "a drill")


def test_f22_a_second_instance_is_refused_and_a_stale_lock_is_not(tmp_path: Path) -> None:
    journal = tmp_path / "j"
    with engine(journal, "--no-watchdog") as process:
        wait_for(lambda: count(journal, "decision") >= 1)
        second = one(journal, "run", "--no-watchdog", "--minutes", "0.01")
        assert second.returncode == Exit.REFUSED and "Traceback" not in second.stderr
        kill_9(journal, process)
    third = one(journal, "run", "--no-watchdog", "--minutes", "0.02", *soon_closed(journal))
    assert third.returncode == Exit.DONE, third.stderr


def test_f21_a_stopped_engine_is_killed_by_its_watchdog(tmp_path: Path) -> None:
    journal, config = tmp_path / "j", tmp_path / "config.toml"
    config.write_text(SOON_STALLED)
    with engine(journal, "--config", str(config)) as process:
        wait_for(lambda: count(journal, "intent") >= 1)
        os.kill(pid_of(journal), signal.SIGSTOP)
        wait_for(lambda: FileLatch(journal).found() is not None)
        stopped = count(journal, "intent")
        os.kill(pid_of(journal), signal.SIGCONT)
        wait_for(lambda: started_modes(journal)[-1] == "killed")
        time.sleep(0.5)
        assert count(journal, "intent") <= stopped + 1  # what was being decided when it was stopped
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == Exit.TERMINATED
    assert judged(journal) == []


def test_f20_a_truncated_journal_starts_nothing(tmp_path: Path) -> None:
    journal = tmp_path / "j"
    assert one(journal, "run", "--arm", "--no-watchdog", "--minutes", "0.03").returncode == Exit.DONE
    for share in (0.3, 0.9):
        cut = tmp_path / f"cut-{share}"
        shutil.copy(journal, cut)
        os.truncate(cut, int(journal.stat().st_size * share))
        before = cut.read_bytes()
        started = one(cut, "run", "--no-watchdog", "--minutes", "0.02")
        assert started.returncode == Exit.INVALID and "Traceback" not in started.stderr
        assert cut.read_bytes() == before


def test_f20_a_full_disk_stops_the_engine_and_not_the_record(tmp_path: Path) -> None:
    journal = tmp_path / "j"
    with engine(journal, "--no-watchdog") as process:
        wait_for(lambda: count(journal, "intent") >= 1)
        most = LEFT + max(file.stat().st_size for file in tmp_path.iterdir())
        resource.prlimit(pid_of(journal), resource.RLIMIT_FSIZE, (most, most))
        _, err = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == Exit.REFUSED and "JOURNAL_UNWRITABLE" in err
        assert "Traceback" not in err
    assert judged(journal) == []
    records = len(lines(journal)[0])
    again = one(journal, "run", "--no-watchdog", "--minutes", "0.03", *soon_closed(journal))
    assert again.returncode == Exit.DONE, again.stderr
    assert len(lines(journal)[0]) > records and judged(journal) == []
