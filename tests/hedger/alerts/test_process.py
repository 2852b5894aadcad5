"""`hedger alerts` as a process of its own beside a journal that is written."""

from __future__ import annotations

import io
import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hedger.alerts.addresses import addresses
from hedger.alerts.alert_loop import Watch, WatchParts
from hedger.alerts.one_teller import AlertsLocked, only_teller
from hedger.alerts.sinks import Sink
from hedger.alerts.tail import AlertTail
from hedger.build import this_build
from hedger.cli import main
from hedger.engine.heartbeat import Heartbeat, beat
from hedger.engine.logs import Log
from hedger.journal.entries import Configuration, configuration_entry
from hedger.journal.journal import Journal, open_to_read
from hedger.journal.kill_latch import FileLatch, Latched
from hedger.sections.alerts import AlertsConfig
from pricing.errors import Exit
from tests.hedger.alerts.places import decision, mode, place, until
from tests.hedger.journal_words import NAME, opening
from tests.planted import SECRET
from tests.warm import command

CONFIG = """
[alerts]
every_s = 0.05
silent_s_max = 60.0
disk_mb_min = 0.0
retry_s = 0.2
retry_s_max = 0.4
send_s_max = 5.0
unexplained = false
"""
DOWN = ("warning", "LINK_DOWN", "deribit is down")


class Engine:
    """What of an engine is on the disk: its journal, its lock, its sign of life."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "a.journal"
        self.journal = Journal.open(self.path, NAME)
        self.journal.append(*opening(), mode(-1, "armed"))
        self.seq = 0
        self.beat()

    def beat(self, *, closed: bool = False) -> None:
        sign = Heartbeat(os.getpid(), time.monotonic_ns(), time.time_ns(), self.seq, "armed", closed=closed)
        beat(self.path, sign)

    def tell(self, *alerts: tuple[str, str, str], times: int = 1) -> None:
        """So many decisions that tell of this."""
        first, self.seq = self.seq + 1, self.seq + times
        told = (decision(seq, *alerts, now_ns=time.time_ns()) for seq in range(first, self.seq + 1))
        self.journal.append(*told)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    (tmp_path / "config.toml").write_text(CONFIG)
    found = Engine(tmp_path)
    yield found
    found.journal.close()


@contextmanager
def alerts(engine: Engine, *sinks: str, **more: str) -> Iterator[subprocess.Popen[str]]:
    """The process, until the block ends; it must end when it is asked to."""
    words = [command(), "alerts", "--journal", str(engine.path), "--json"]
    for sink in sinks:
        words += ["--url", sink]
    folder = engine.path.parent
    environment = os.environ | more
    with (folder / "alerts.err").open("w") as err:
        process = subprocess.Popen(
            words, cwd=folder, stdout=subprocess.PIPE, stderr=err, text=True, env=environment
        )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(30)
            assert process.stdout is not None
            process.stdout.close()


@contextmanager
def watching(engine: Engine, *sinks: str, **keys: float) -> Iterator[Watch]:
    """The same in a thread of this process, until the block ends."""
    plain = {"every_s": 0.05, "silent_s_max": 60.0, "disk_mb_min": 0.0, "retry_s": 0.2, "retry_s_max": 0.4}
    config = AlertsConfig.model_validate(plain | {"send_s_max": 0.5, "unexplained": False} | keys)
    storage, stop = open_to_read(engine.path), threading.Event()
    whom = [Sink(address, NAME, config) for address in addresses(config, sinks)]
    log = Log(io.StringIO(), "hedger.alerts")
    watch = Watch(WatchParts(engine.path, NAME, AlertTail(storage, 10**12), None, whom, config, log))
    thread = threading.Thread(target=watch.run, args=(stop.is_set,))
    thread.start()
    try:
        yield watch
    finally:
        stop.set()
        thread.join()
        storage.close()


def ended(process: subprocess.Popen[str]) -> dict[str, Any]:
    """What it printed when it was asked to end."""
    process.terminate()
    said, _ = process.communicate(timeout=30)
    assert process.returncode == 143
    found: dict[str, Any] = json.loads(said)
    return found


def test_an_engines_alerts_arrive_once_their_end_too_and_its_own_end_at_last(engine: Engine) -> None:
    token = SECRET[:20].replace("/", "-")  # planted: the session's search finds it wherever it is written
    with place(f"/desk/{token}") as desk, alerts(engine, "env:DESK_PAGER", DESK_PAGER=desk.url) as process:
        desk.wait(lambda d: "all well" in d.text)
        for _ in range(3):
            engine.tell(DOWN)
        desk.wait(lambda d: "WARNING LINK_DOWN" in d.text)
        FileLatch(engine.path).set(Latched(1, "ann", "drill"))
        desk.wait(lambda d: "CRITICAL KILLED: killed by ann: drill" in d.text)
        FileLatch(engine.path).clear()
        engine.tell(("note", "LINK_UP", "deribit is up"))
        desk.wait(lambda d: "OVER KILLED" in d.text and "OVER LINK_DOWN" in d.text)
        engine.journal.close()  # as a process that dies: its lock is free, its sign of life says nothing
        desk.wait(lambda d: "CRITICAL ENGINE_DEAD" in d.text)
        desk.status = 500
        FileLatch(engine.path).set(Latched(1, "ann", "drill"))
        until(lambda: "it answered 500" in engine.path.with_name("alerts.err").read_text())
        assert desk.text.count("WARNING LINK_DOWN") == 1
        found = ended(process)
    assert {x["code"] for x in found["standing"]} == {"ENGINE_DEAD", "KILLED", "SINK_DOWN"}
    assert [s["down"] for s in found["sinks"]] == ["it answered 500"]
    files = [path.read_bytes() for path in engine.path.parent.rglob("*") if path.is_file()]
    assert not any(token.encode() in content for content in [*files, json.dumps(found).encode()])


def test_an_engine_that_hangs_is_told_of_and_so_is_its_coming_back(engine: Engine) -> None:
    with place() as desk, watching(engine, desk.url, silent_s_max=0.3):
        desk.wait(lambda d: "CRITICAL ENGINE_SILENT" in d.text)

        def back(_: object) -> bool:
            engine.beat()
            return "OVER ENGINE_SILENT" in desk.text

        desk.wait(back)


def test_a_dead_a_slow_and_a_broken_sink_hold_up_nobody_and_are_told_once(engine: Engine) -> None:
    with place() as gone:
        dead = gone.url
    with place() as good, place() as slow, place() as broken:
        slow.gate.clear()
        broken.status = 500
        with watching(engine, dead, slow.url, broken.url, good.url) as watch:
            engine.tell(DOWN)
            good.wait(lambda d: all(f"SINK_DOWN: sink {n} (JSON)" in d.text for n in (1, 2, 3)))
            engine.tell(("critical", "OVERFILL", "hk3x9-1-0-0: 2 filled of 1"))
            good.wait(lambda d: "CRITICAL OVERFILL" in d.text)
            until(lambda: broken.asked >= 4)  # it is tried again and again
            broken.status = 200
            slow.gate.set()
            for found in (slow, broken):  # what it missed is told when it is back
                found.wait(lambda d: "CRITICAL OVERFILL" in d.text)
            good.wait(lambda d: d.text.count("OVER SINK_DOWN") == 2)
            down = [sink.down for sink in watch.parts.sinks]
    assert [good.text.count(f"WARNING SINK_DOWN: sink {n} (JSON)") for n in (1, 2, 3)] == [1, 1, 1]
    assert good.text.count("CRITICAL OVERFILL") == 1
    assert down == ["it could not be reached", "", "", ""]


def test_a_journal_that_grows_fast_makes_few_letters_and_loses_nothing_grave(engine: Engine) -> None:
    with place() as desk, watching(engine, desk.url) as watch:
        desk.wait(lambda d: "all well" in d.text)
        for _ in range(40):
            symbol = f"BTC-27MAR26-{engine.seq}-C"
            engine.tell(("warning", "ORDER_DENIED", f"order of {symbol} refused"), times=250)
        engine.tell(("critical", "OVERFILL", "hk3x9-1-0-0: 2 filled of 1"))
        desk.wait(lambda d: "CRITICAL OVERFILL" in d.text)
        assert [sink.dropped for sink in watch.parts.sinks] == [0]
    assert engine.seq == 10_001
    assert desk.text.count("ORDER_DENIED") <= 21  # twenty by themselves, all others as one
    assert len(desk.taken) <= 23


# ------------------------------------------------------------------------------------------------------- verb


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    code = main(["alerts", *map(str, words)])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_once_tells_what_stands_and_by_its_exit_code_whether_it_is_grave(
    engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(capsys, "--once", "--json", "--journal", engine.path)
    assert (code, json.loads(out)["standing"]) == (0, [])
    engine.tell(DOWN, ("critical", "KEY_REFUSED", "okx: the key is refused"))
    with place() as desk:
        code, out, _ = run(capsys, "--once", "--json", "--journal", engine.path, "--url", desk.url)
        found = json.loads(out)
        assert code == 1
        assert {x["code"] for x in found["standing"]} == {"LINK_DOWN", "KEY_REFUSED"}
        assert "CRITICAL KEY_REFUSED: okx: the key is refused" in desk.text
        plain = run(capsys, "--once", "--again", "--journal", engine.path, "--url", desk.url)[1]
        assert "2 alerts stand; 1 message sent to 1 sink\n" in plain  # both in one message
        desk.status = 500
        assert run(capsys, "--once", "--again", "--journal", engine.path, "--url", desk.url)[0] == 4
    for _ in range(2):  # what is printed is what stands, each time
        code, out, _ = run(capsys, "--once", "--journal", engine.path)
        assert code == 1 and "CRITICAL KEY_REFUSED: okx: the key is refused" in out


def test_looks_one_after_the_other_tell_a_sink_once(
    engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    """As cron does it, every minute: new, still there, not taken, taken, over."""
    engine.tell(DOWN)
    with place() as desk:

        def look(*more: str) -> tuple[int, str]:
            before = len(desk.taken)
            code, out, _ = run(capsys, "--once", "--journal", engine.path, "--url", desk.url, *more)
            return code, "".join(map(str, desk.taken[before:])) + f" {out.splitlines()[-1]}"

        assert "WARNING LINK_DOWN" in look()[1]
        for _ in range(3):
            assert look() == (0, " 1 alert stands; 0 messages sent to 1 sink")
        engine.tell(("critical", "OVERFILL", "hk3x9-1-0-0: 2 filled of 1"))
        desk.status = 500
        assert look()[0] == 4
        desk.status = 200
        told = look()[1]  # what was not taken is told by the next look, and only that
        assert "CRITICAL OVERFILL" in told and "LINK_DOWN" not in told
        assert "OVERFILL" not in look()[1]
        assert "WARNING LINK_DOWN" in look("--again")[1]
        engine.tell(("note", "LINK_UP", "deribit is up"))
        assert "OVER LINK_DOWN" in look()[1]
        assert look() == (0, " 0 alerts stand; 0 messages sent to 1 sink")


def test_a_second_process_is_refused_and_kill_9_of_the_first_frees_it(
    engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    def free() -> bool:
        with suppress(AlertsLocked), only_teller(engine.path, looks=False, wait_s=0.0):
            return True
        return False

    with place() as desk:
        words = ("--journal", engine.path, "--url", desk.url)
        with alerts(engine, desk.url) as first:
            desk.wait(lambda d: "all well" in d.text)
            code, out, err = run(capsys, *words)
            assert (code, out) == (3, "") and err.startswith("ALERTS_LOCKED: ")
            assert run(capsys, "--once", *words)[0] == 0  # a look has a memory of its own
            first.kill()
        until(free)
        with alerts(engine, desk.url):
            engine.tell(DOWN)
            desk.wait(lambda d: "LINK_DOWN" in d.text)


@pytest.mark.parametrize("looks", [False, True])
def test_who_is_refused_hears_which_process_tells(looks: bool, engine: Engine) -> None:
    with (
        only_teller(engine.path, looks=looks),
        pytest.raises(AlertsLocked, match=f"process {os.getpid()}") as refused,
        only_teller(engine.path, looks=looks, wait_s=0.0),
    ):
        pass
    assert refused.value.exit_code is Exit.REFUSED


def test_two_looks_at_the_same_moment_tell_a_sink_once(engine: Engine) -> None:
    engine.tell(DOWN)
    with place() as desk:
        words = [command(), "alerts", "--once", "--journal", str(engine.path), "--url", desk.url]
        where, quiet = engine.path.parent, subprocess.DEVNULL
        both = [subprocess.Popen(words, cwd=where, stdout=quiet, stderr=quiet) for _ in range(2)]
        assert [look.wait(60) for look in both] == [0, 0]
        assert desk.text.count("WARNING LINK_DOWN") == 1


def test_where_no_lock_can_be_had_people_are_told_all_the_same(
    engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.path.with_name(engine.path.name + ".alerts-once.lock").mkdir()
    engine.tell(DOWN)
    with place() as desk:
        code, _, err = run(capsys, "--once", "--journal", engine.path, "--url", desk.url)
        assert code == 0 and "WARNING LINK_DOWN" in desk.text and "no lock can be had" in err


def test_what_is_asked_wrongly(engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    for words, found in (
        (("--journal", engine.path), "ALERT_NO_SINK"),
        (("--journal", engine.path, "--url", "env:NOT_THERE"), "SECRET"),
        (("--journal", engine.path, "--url", "nothing"), "ALERT_ADDRESS"),
        (("--journal", "nowhere", "--once"), "JOURNAL_MISSING"),
    ):
        code, out, err = run(capsys, *words)
        assert (code, out) == (2, "")
        assert err.startswith(f"{found}: ")


def test_a_journal_that_is_damaged_is_said_to_be(engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    ours = configuration_entry(0, 1, Configuration(this_build(), "ab" * 32))
    engine.journal.append(ours, replace(mode(1, "armed"), body=b'{"mode":7}'))
    engine.journal.sync()
    code, out, err = run(capsys, "--once", "--journal", engine.path)
    assert (code, out) == (2, "")
    assert err.startswith("JOURNAL_DAMAGED: ")


def test_the_list_of_alerts_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--list", "--json")
    rows = json.loads(out)["alerts"]
    assert code == 0
    assert {"code", "severity", "meaning", "action", "stands", "told_by"} == rows[0].keys()
    assert "KILLED (critical): " in run(capsys, "--list")[1]
