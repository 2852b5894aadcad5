"""`hedger run` as a process: started, steered, killed, stopped, restarted; and what it refuses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hedger.engine.heartbeat import last_beat
from hedger.journal.entries import Configuration, Kind, read
from hedger.journal.journal import open_to_read
from hedger.journal.kill_latch import FileLatch, Latched
from hedger.journal.recovery import recover
from hedger.journal.user import user_name
from tests.hedger.command_line import hedger, strict_json
from tests.warm import command

PATIENCE_S = 60.0


class Running:
    """A running engine and its journal."""

    def __init__(self, journal: Path, *words: str) -> None:
        self.journal = journal
        before = last_beat(journal)
        self.pid_before = before.pid if before is not None else None  # another engine's last sign
        env = {k: v for k, v in os.environ.items() if not k.startswith("HEDGER__")}
        self.process = subprocess.Popen(
            [command(), "run", "--journal", str(journal), "--json", *words],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env,
        )  # fmt: skip

    def until(self, what: str) -> None:
        """Wait until the engine's last sign of life shows a mode."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end and self.process.poll() is None:
            beat = last_beat(self.journal)
            if beat is not None and beat.pid != self.pid_before and beat.mode == what and beat.seq > 2:
                return
            time.sleep(0.05)
        raise AssertionError(f"no {what}: {self.process.poll()} {self.end()}")

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str, str]:
        """Ask it to end, and wait."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        out, err = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, out, err


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    engine = Running(tmp_path / "a.journal", "--arm")
    try:
        yield engine
    finally:
        if engine.process.poll() is None:
            engine.process.kill()
            engine.process.communicate()


def orders_of(journal: Path) -> dict[str, Any]:
    storage = open_to_read(journal)
    try:
        return dict(recover(storage).orders)
    finally:
        storage.close()


def test_a_run_is_steered_killed_stopped_and_restarted(
    running: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    running.until("armed")
    at = ("--journal", str(running.journal))
    second = hedger(capsys, "run", *at)
    assert (second.code, second.out, second.err.split(":")[0]) == (3, "", "JOURNAL_LOCKED")
    assert hedger(capsys, "status", *at, "--json").json["running"] is True
    assert hedger(capsys, "pause", *at, "--json").json["taken"] is True
    killed = hedger(capsys, "kill", *at, "--reason", "trial", "--json")
    assert (killed.code, killed.json["confirmed"], killed.json["live_orders"]) == (0, True, 0)
    running.until("killed")
    code, out, _ = running.end(signal.SIGINT)
    document = strict_json(out)
    assert (code, document["mode"], document["open_orders"]) == (130, "killed", [])
    assert all(record.settled for record in orders_of(running.journal).values())
    assert FileLatch(running.journal).found() is not None

    again = Running(running.journal, "--arm")  # the latch outlives the process, and a wish to arm does not
    try:
        again.until("killed")
        assert hedger(capsys, "arm", *at, "--json").code == 3
        assert hedger(capsys, "flatten", *at, "--json").code == 3
        for _ in range(30):  # refused until the venue has shown twice that nothing is open
            if hedger(capsys, "unkill", *at, "--reason", "found the cause", "--wait-s", 1).code == 0:
                break
        again.until("observe")
        seen, end = last_beat(running.journal), time.monotonic() + PATIENCE_S
        assert seen is not None
        while (beat := last_beat(running.journal)) is not None and beat.seq < seen.seq + 20:
            assert time.monotonic() < end and again.process.poll() is None
            time.sleep(0.05)  # the engine is another process: its sign of life is all that tells
        code, out, _ = again.end()
        assert (code, strict_json(out)["mode"], strict_json(out)["orders"]) == (143, "observe", 0)
    finally:
        if again.process.poll() is None:
            again.process.kill()
            again.process.communicate()
    assert hedger(capsys, "journal", "verify", *at).code == 0


def test_a_killed_process_leaves_a_journal_to_start_from(running: Running) -> None:
    running.until("armed")
    running.process.kill()
    running.process.communicate(timeout=PATIENCE_S)
    storage = open_to_read(running.journal)
    try:
        armed = next(storage.records(kinds=[Kind.COMMAND]))
    finally:
        storage.close()
    told = json.loads(armed.body)["what"]
    assert (told["user"], told["reason"]) == (user_name(), "started with --arm")
    before = orders_of(running.journal)
    config = running.journal.parent / "config.toml"
    config.write_text(
        "[run]\nclose_s_max = 0.5\n"
    )  # an order on its way at the kill is unknown: not waited for
    again = Running(running.journal, "--minutes", "0.02", "--config", str(config))
    out, err = again.process.communicate(timeout=PATIENCE_S)
    assert again.process.returncode == 0, err
    assert strict_json(out)["mode"] == "observe"  # not armed by itself
    after = orders_of(running.journal)
    assert set(before) == set(after)
    storage = open_to_read(running.journal)
    try:
        starts = [record for record in storage.records(kinds=[Kind.CONFIGURATION])]
    finally:
        storage.close()
    assert len(starts) == 2


def test_a_latch_set_by_hand_stops_a_running_engine(running: Running) -> None:
    """As the watchdog does it: the file alone, without a command."""
    running.until("armed")
    FileLatch(running.journal).set(Latched(1, "watchdog", "LOOP_STALLED"))
    running.until("killed")
    code, out, err = running.end()
    assert (code, strict_json(out)["mode"]) == (143, "killed")
    modes = [json.loads(line) for line in err.splitlines()]
    assert any(line.get("reason") == "kill by watchdog" for line in modes)


def test_live_is_refused_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "live.toml"
    config.write_text('[run]\nmode = "live"\n')
    ran = hedger(capsys, "run", "--config", config, "--journal", tmp_path / "j")
    assert (ran.code, ran.out, ran.err.split(":")[0]) == (3, "", "LIVE_REFUSED")
    assert not (tmp_path / "j").exists()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--arm-live",), "ARM_LIVE_ON_PAPER"),
        (("--minutes", "0"), "USAGE"),
        (("--book", "nowhere.csv"), "BOOK_UNREADABLE"),
    ],
)
def test_bad_words_are_refused(
    words: tuple[str, ...], code: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = hedger(capsys, "run", "--journal", tmp_path / "j", "--no-watchdog", *words)
    assert (ran.code, ran.out, ran.err.split(":")[0]) == (2, "", code)


def test_looser_limits_are_refused_at_a_restart_unless_somebody_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Three starts on one journal: as built in, with a larger order, with it and a reason."""
    journal, loose = tmp_path / "j", tmp_path / "limits.toml"
    config = tmp_path / "config.toml"
    words = ("--journal", journal, "--no-watchdog", "--minutes", 0.005)
    assert hedger(capsys, "run", *words).code == 0
    loose.write_text("[order]\nnotional_usd_max = 7e6\n")
    config.write_text(f'limits_file = "{loose}"\n')
    refused = hedger(capsys, "run", "--config", config, *words)
    assert (refused.code, refused.out, refused.err.split(":")[0]) == (3, "", "LIMITS_LOOSENED")
    assert "order.notional_usd_max 5000000 -> 7000000" in refused.err
    assert configurations(journal) == [("", 5e6)]
    assert hedger(capsys, "run", "--config", config, *words, "--reason", "larger book").code == 0
    assert configurations(journal) == [("", 5e6), ("larger book", 7e6)]
    assert hedger(capsys, "run", "--config", config, *words).code == 0  # the same limits again


def configurations(journal: Path) -> list[tuple[str, float]]:
    """(reason, largest order) of every start on record."""
    storage = open_to_read(journal)
    try:
        words = [read(r) for r in storage.records(kinds=[Kind.CONFIGURATION])]
    finally:
        storage.close()
    found = [w for w in words if isinstance(w, Configuration)]
    return [(w.reason, tomllib.loads(w.limits)["order"]["notional_usd_max"]) for w in found]


def test_metrics_for_everybody_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "open.toml"
    config.write_text('[run]\nmetrics_host = "0.0.0.0"\nmetrics_port = 9100\n')
    ran = hedger(capsys, "run", "--config", config, "--journal", tmp_path / "j")
    assert (ran.code, ran.err.split(":")[0]) == (2, "METRICS_HOST")


def test_another_market_on_an_old_journal_is_refused(
    running: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    running.until("armed")
    running.end()
    ran = hedger(capsys, "run", "--journal", running.journal, "--seed", 8, "--no-watchdog")
    assert (ran.code, ran.err.split(":")[0]) == (2, "JOURNAL_OTHER_MARKET")
