"""What looks after the engine, what a monitor reads, and what logs may say."""

from __future__ import annotations

import io
import json
import logging
import os
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import hedger.engine.metrics
from hedger.engine.heartbeat import Heartbeat, VenueSign, beat, heartbeat_path, last_beat
from hedger.engine.logs import ALLOWED, OURS, WITHHELD, JsonLines, Log
from hedger.engine.metrics import READERS_MAX, MetricsServer, Sample, exposition, loopback, samples_of
from hedger.engine.watchdog import Vitals, findings, look, watch
from hedger.journal.kill_latch import FileLatch, MemoryLatch
from hedger.sections.paper import WatchdogConfig
from pricing.errors import Exit, InputError
from tests.hedger.rig import CHAIN, Rig, option_symbol
from venues.simulated import SimulatedMarket

SECOND = 10**9
HOUR = 3600 * SECOND
CONFIG = WatchdogConfig()
BEAT = Heartbeat(pid=7, monotonic_ns=100 * SECOND, now_ns=0, seq=3, mode="armed")
VITALS = Vitals(100 * SECOND, BEAT, 10**9, 10**12, 0)


def codes(now: Vitals, config: WatchdogConfig = CONFIG, first: Vitals = VITALS) -> list[str]:
    return [finding.code for finding in findings(first, now, config)]


@pytest.mark.parametrize(
    ("now", "code"),
    [
        (replace(VITALS, monotonic_ns=106 * SECOND), "LOOP_STALLED"),
        (replace(VITALS, memory_bytes=5 * 10**9), "MEMORY"),
        (replace(VITALS, disk_free_bytes=10**8), "DISK"),
        (
            replace(VITALS, monotonic_ns=100 * SECOND + HOUR, journal_bytes=3 * 10**9,
                    heartbeat=replace(BEAT, monotonic_ns=100 * SECOND + HOUR)),
            "JOURNAL_GROWTH",
        ),
        (replace(VITALS, heartbeat=replace(BEAT, stepped_ns=-3 * SECOND)), "CLOCK_STEPPED"),
    ],
)  # fmt: skip
def test_each_fault_is_found_alone_and_only_where_it_is_looked_for(now: Vitals, code: str) -> None:
    off = WatchdogConfig.model_validate(
        {
            "stall_s_max": 0,
            "memory_mb_max": 0,
            "disk_mb_min": 0,
            "journal_mb_per_h_max": 0,
            "clock_step_s_max": 0,
        }
    )
    assert (codes(now), codes(VITALS), codes(now, off)) == ([code], [], [])


def test_at_the_limit_nothing_is_wrong() -> None:
    assert codes(replace(VITALS, monotonic_ns=105 * SECOND)) == []
    assert codes(replace(VITALS, memory_bytes=4096 * 10**6, disk_free_bytes=200 * 10**6)) == []


def test_an_engine_that_never_gave_a_sign_is_found_and_what_cannot_be_seen_is_not_wrong() -> None:
    nothing = Vitals(100 * SECOND, None, None, None, None)
    assert codes(replace(nothing, monotonic_ns=104 * SECOND), first=nothing) == []
    assert codes(replace(nothing, monotonic_ns=106 * SECOND), first=nothing) == ["LOOP_STALLED"]


def test_a_sign_of_life_comes_back_as_it_was_given_and_junk_is_none(tmp_path: Path) -> None:
    journal = tmp_path / "j"
    assert last_beat(journal) is None
    beat(journal, BEAT)
    assert last_beat(journal) == BEAT
    assert (heartbeat_path(journal).stat().st_mode & 0o777) == 0o600
    wrong = json.dumps({"pid": "1", "monotonic_ns": 1, "now_ns": 1, "seq": 1, "mode": ""}).encode()
    for junk in (b"", b"{", b"[]", b'{"pid": 1}', wrong):
        heartbeat_path(journal).write_bytes(junk)
        assert last_beat(journal) is None


def test_what_it_says_of_venues_is_no_condition_of_a_sign_of_life(tmp_path: Path) -> None:
    """One of an older build says nothing of them, and one of a newer build may say it otherwise."""
    journal = tmp_path / "j"
    venue = VenueSign("okx", 7.5, 60.0, 30.0, 15.0, (("polls", 1.0, 1.0),), True, 45.0, True, 5, None, "")
    beat(journal, replace(BEAT, venues=(venue,)))
    assert last_beat(journal) == replace(BEAT, venues=(venue,))
    for change in ({}, {"venues": [{"venue": "okx"}]}, {"venues": 7}):
        plain = {name: value for name, value in asdict(BEAT).items() if name != "venues"}
        heartbeat_path(journal).write_text(json.dumps(plain | change))
        assert last_beat(journal) == BEAT


def test_a_stalled_engine_gets_the_latch_once_and_a_dead_one_ends_the_watch(tmp_path: Path) -> None:
    """A real process that never beats; it is ended after a few looks."""
    journal = tmp_path / "j"
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    latch, told = FileLatch(journal), io.StringIO()
    looks = 0

    def pause(seconds: float) -> None:
        nonlocal looks
        looks += 1
        if latch.found() is not None or looks > 2000:
            process.kill()
            process.wait()

    config = CONFIG.model_copy(update={"stall_s_max": 0.001})
    code = watch(journal, process.pid, config, latch, Log(told, "hedger.watchdog"), pause)
    found = latch.found()
    assert (code, found is not None and found.user) == (Exit.NEGATIVE, "watchdog")
    lines = [json.loads(line) for line in told.getvalue().splitlines()]
    assert [line.get("code") for line in lines if line["level"] == "critical"] == ["LOOP_STALLED"]


def test_an_engine_that_ended_in_order_leaves_no_latch(tmp_path: Path) -> None:
    journal, latch = tmp_path / "j", MemoryLatch()
    now = look(journal, os.getpid())
    beat(journal, replace(BEAT, pid=os.getpid(), monotonic_ns=now.monotonic_ns, closed=True))
    assert watch(journal, os.getpid(), CONFIG, latch, Log(io.StringIO(), "hedger.watchdog")) is Exit.DONE
    assert latch.found() is None


# ------------------------------------------------------------------------------------------------- metrics


def test_the_page_has_every_row_of_the_book_and_no_ids() -> None:
    rig = Rig({option_symbol(SimulatedMarket(7, settings=CHAIN)): "-10"}).armed()
    page = exposition(samples_of(rig.state, {"events": 5.0}, rig.state.monotonic_ns)).decode()
    assert 'hedger_mode{mode="armed"} 1' in page.splitlines()
    assert "hedger_events_total 5" in page.splitlines()
    assert rig.state.snapshot is not None
    for row in rig.state.snapshot.exposure.rows:
        assert f'hedger_exposure{{row="{row}"}} ' in page
    names = [line.split("{")[0].split(" ")[0] for line in page.splitlines() if not line.startswith("#")]
    heads = [line.split(" ")[2] for line in page.splitlines() if line.startswith("# TYPE")]
    assert list(dict.fromkeys(names)) == heads  # samples of one name stand together, each with its head


def test_unbounded_labels_and_bad_numbers() -> None:
    with pytest.raises(ValueError, match="not bounded"):
        exposition([Sample("x", "gauge", "x", 1.0, (("client_id", "h-1"),))])
    page = exposition(
        [Sample("x", "gauge", "x", v, (("row", 'a"b\n'),)) for v in (float("nan"), float("inf"), 1.5)]
    )
    assert page.decode().splitlines()[2:] == [
        'x{row="a\\"b\\n"} NaN', 'x{row="a\\"b\\n"} +Inf', 'x{row="a\\"b\\n"} 1.5',
    ]  # fmt: skip


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "", "example.org", "::", "127.0.0.1.evil"])
def test_metrics_are_told_to_this_machine_alone(host: str) -> None:
    with pytest.raises(InputError, match="METRICS_HOST"):
        loopback(host)
    with pytest.raises(InputError, match="METRICS_HOST"):
        MetricsServer(host, 0)


def test_the_server_hands_out_the_page_and_outlives_rude_readers() -> None:
    server = MetricsServer("127.0.0.1", 0)
    try:
        server.page = b"hedger_up 1\n"
        rude = socket.create_connection(("127.0.0.1", server.port))
        rude.sendall(b"GET /metr")
        rude.close()
        address = f"http://127.0.0.1:{server.port}"
        with urllib.request.urlopen(f"{address}/metrics", timeout=10) as answer:
            assert (answer.status, answer.read()) == (200, b"hedger_up 1\n")
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{address}/etc/passwd")
        refused.value.close()
        assert refused.value.code == 404
        with pytest.raises(InputError, match="METRICS_PORT"):
            MetricsServer("127.0.0.1", server.port)
    finally:
        server.close()


def test_readers_that_drip_darken_nothing_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each sends a byte before anybody loses patience with it, for as long as it is let."""
    monkeypatch.setattr(hedger.engine.metrics, "DEADLINE_S", 0.6)
    server = MetricsServer("127.0.0.1", 0)
    server.page = b"hedger_up 1\n"
    ended = threading.Event()

    def drip(reader: socket.socket) -> None:
        with suppress(OSError):
            reader.sendall(b"GET /metrics HTTP/1.1\r\nX: ")
            while not ended.wait(0.1):
                reader.sendall(b"a")

    # more than are served at once
    readers = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(READERS_MAX + 2)]
    drips = [threading.Thread(target=drip, args=[reader]) for reader in readers]
    try:
        for thread in drips:
            thread.start()
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=30) as answer:
            assert answer.read() == b"hedger_up 1\n"
        for thread in drips:  # none is let drip on for ever
            thread.join(30.0)
        assert not any(thread.is_alive() for thread in drips)
    finally:
        ended.set()
        server.close()
        for thread, reader in zip(drips, readers, strict=True):
            thread.join()
            reader.close()


# ---------------------------------------------------------------------------------------------------- logs


def line_of(name: str, message: str, **fields: object) -> dict[str, object]:
    record = logging.LogRecord(name, logging.INFO, "x.py", 1, message, (), None)
    record.fields = fields
    found: dict[str, object] = json.loads(JsonLines().format(record))
    return found


@given(st.text(min_size=1, max_size=30), st.text(max_size=30))
def test_a_field_that_nobody_allowed_is_withheld(name: str, value: str) -> None:
    line = line_of(OURS, "said", **{name: value})
    if name in ALLOWED:
        assert line[name] != WITHHELD or value == WITHHELD
    elif name not in ("at", "level", "logger"):
        assert line[name] == WITHHELD


def test_a_secret_in_a_field_of_another_name_or_of_another_library_is_not_written() -> None:
    secret = "s3cr3t-canary"
    lines = [
        line_of(OURS, "order", api_key=secret, password=secret, headers={"x": secret}, seq=1),
        line_of("ccxt.base.exchange", f"GET https://venue/?signature={secret}"),
        line_of(OURS, "order", text={"key": secret}),
    ]
    assert secret not in json.dumps(lines)
    assert (lines[0]["seq"], lines[1]["what"]) == (1, WITHHELD)


def test_an_exception_is_named_and_its_text_is_not_written() -> None:
    stream = io.StringIO()
    log = Log(stream, "hedger.trial")
    try:
        raise ValueError("s3cr3t-canary")
    except ValueError:
        logging.getLogger("hedger.trial").error("broke", exc_info=True)
    log.say("fine", seq=3, text="a\nb" + "x" * 2000, equity=float("nan"))
    assert "canary" not in stream.getvalue()
    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert first["error"] == "ValueError"
    assert (len(second["text"]), "\n" in second["text"]) == (500, False)
