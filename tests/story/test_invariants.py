"""The invariants that no history of orders and fills shows, each by a test of its own name.

I13 what is written, I14 who looks on, I16 the clocks, I18 paper beside live. The others are judged after
every simulated run by the history checker, I15 by running a seed twice.
"""

from __future__ import annotations

import ast
import fcntl
import json
import os
import resource
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import hedger.core
import hedger.planning
import hedger.policy
import hedger.problem
from hedger.core.actions import Submit
from hedger.core.decide import decide
from hedger.engine.heartbeat import last_beat
from hedger.engine.logs import Log
from hedger.engine.metrics import MetricsServer, exposition, samples_of
from hedger.journal.entries import EVENT_KINDS, read_event
from hedger.journal.kill_latch import FileLatch
from hedger.journal.storage import MemoryStorage
from hedger.limits_file import LoadedLimits
from hedger.runs.engine_settings import settings_on_venues
from hedger.settings import Settings
from hedger.simulator.examination import PERPETUAL_ONLY
from hedger.simulator.faults import Deed, Due, Mix
from hedger.simulator.history import BY_TEST, INVARIANTS, REPEATED
from hedger.simulator.judging import check_world
from hedger.simulator.market import TAG, Setting
from hedger.simulator.minutes import no_tape
from hedger.simulator.world import World
from risk.limit_terms import AgeLimits
from tests.hedger.verbs.loopback import (
    bytes_with_secrets,
    loopback,
    said,
    started,
)
from tests.hedger.verbs.test_run_on_venues import LIVE, live
from tests.hedger.verbs.test_venue_verbs import wait_for, ws
from tests.story.test_processes import PATIENCE_S, SOON_STALLED, count, pid_of, started_modes, words

S = 10**9
ROOT = Path(hedger.core.__file__).resolve().parents[2]


def test_each_of_the_eighteen_is_shown_by_something_that_exists() -> None:
    assert sorted([*INVARIANTS, REPEATED, *BY_TEST]) == sorted(f"I{n}" for n in range(1, 19))
    here = {name for name in globals() if name.startswith("test_")}
    assert set(BY_TEST.values()) <= here


# ---------------------------------------- I13: what is written


def test_i13_no_byte_that_is_written_holds_a_secret(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Refused at the door, traded, killed in the middle, looked at and exported: all that is left behind."""
    folder = tmp_path / "desk"
    folder.mkdir()
    run = ("run", "--journal", "j", "--arm-live", "--no-watchdog")
    with loopback() as exchange:
        live(folder, ws(exchange), run=f"{LIVE}\nmetrics_port = 0")
        wrong = "canary-secret-wrong-0b1c"
        refused = said(capsys, folder, *run, secret=wrong)
        assert refused.returncode not in (0, 70) and wrong not in refused.stdout + refused.stderr
        with started(folder, *run) as process:
            wait_for(lambda: count(folder / "j", "fill") > 0 or process.poll() is not None)
            assert process.poll() is None, (folder / "err").read_text()
            process.send_signal(signal.SIGABRT)  # what a crash leaves is looked at as well
            process.wait(PATIENCE_S)
        for verb in (
            ("status", "--json", "--journal", "j"),
            ("orders", "--all", "--json", "--journal", "j"),
            ("journal", "show", "--journal", "j"),
            ("doctor",),
        ):
            told = said(capsys, folder, *verb)  # it looks at the words for secrets by itself
            (folder / f"told-{verb[0]}").write_text(told.stdout + told.stderr)
    assert bytes_with_secrets(folder) == []
    assert not [f.name for f in folder.rglob("*") if f.is_file() and wrong.encode() in f.read_bytes()]


# ---------------------------------------- I14: who looks on


@contextmanager
def unread(journal: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """An engine and its watchdog whose words nobody reads: the pipe is full after a page of them."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    config = journal.parent / "config.toml"
    config.write_text(f"[run]\nmetrics_port = {port}\n{SOON_STALLED}")
    os.set_blocking(writing, False)
    try:
        while True:
            os.write(writing, b"x" * 512)  # full from the first word on
    except BlockingIOError:
        os.set_blocking(writing, True)
    process = subprocess.Popen(
        [*words(journal, "run"), "--arm", "--config", str(config)],
        stdout=writing,
        stderr=writing,
        cwd=journal.parent,
    )
    os.close(writing)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(PATIENCE_S)
        os.close(reading)


def _free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


def test_i14_nobody_who_looks_on_holds_up_the_loop_and_a_stopped_loop_is_killed(tmp_path: Path) -> None:
    """Nobody reads the log, and readers of the metrics hang in the middle of a question. The engine trades
    on, and when its loop itself stops, the watchdog, whose words nobody reads either, sets the latch."""
    journal, port = tmp_path / "j", _free_port()
    with unread(journal, port) as process, ExitStack() as readers:
        wait_for(lambda: count(journal, "intent") >= 1 or process.poll() is not None)
        assert process.poll() is None
        for _ in range(8):
            reader = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
            readers.enter_context(reader).sendall(b"GET /metr")
        before = _events(journal)
        wait_for(lambda: _events(journal) > before + 20)
        assert FileLatch(journal).found() is None
        os.kill(pid_of(journal), signal.SIGSTOP)
        wait_for(lambda: FileLatch(journal).found() is not None)
        latched = FileLatch(journal).found()
        assert (
            latched is not None and latched.user == "watchdog" and latched.reason.startswith("LOOP_STALLED")
        )
        os.kill(pid_of(journal), signal.SIGCONT)
        wait_for(lambda: started_modes(journal)[-1] == "killed")


def test_i14_the_loop_never_waits_for_who_reads_its_words_or_its_page() -> None:
    """Waiting is counted, by the kernel, and not timed: what a machine under load takes from the loop is not
    the readers' doing. What a line and a page take of the loop's own processor time is printed."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writing, b"x" * 512)
    os.set_blocking(writing, True)
    world = World(Setting.of(3), Mix(), 4.0, 31.0).run()
    life = world.life
    assert life is not None
    state = life.engine.state
    with ExitStack() as opened:
        opened.callback(os.close, reading)
        log = Log(opened.enter_context(os.fdopen(writing, "w", closefd=True)), name="hedger.i14")

        def say() -> None:
            log.say("alert", alert="DRIFT", text="x" * 400, seq=1)

        line_waits, line_s = _waits(say)  # before there are threads of a server, which wake now and then
        server = MetricsServer("127.0.0.1", 0)
        opened.callback(server.close)
        for _ in range(8):
            reader = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S)
            opened.enter_context(reader).sendall(b"GET /metr")

        def page() -> None:
            server.page = exposition(samples_of(state, {"events": 1.0}, state.monotonic_ns))

        _, page_s = _waits(page)
    assert line_waits == 0
    print(f"I14: at most {1e3 * line_s:.3f} ms of the loop for a line, {1e3 * page_s:.3f} ms for a page")


def _waits(act: Callable[[], None], times: int = 2000) -> tuple[int, float]:
    """How often this thread gave up the processor of its own will, and the most processor time of one, s."""
    act()
    before, most_ns = resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw, 0
    for _ in range(times):
        began_ns = time.thread_time_ns()
        act()
        most_ns = max(most_ns, time.thread_time_ns() - began_ns)
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw - before, most_ns / S


def _events(journal: Path) -> int:
    """Worked through by the loop, as it says in its last sign of life."""
    beat = last_beat(journal)
    return 0 if beat is None else beat.seq


# ---------------------------------------- I16: the clocks

#: Timers alone are looked at: no limit on ages, which the wall clock measures, and no options to trade.
NO_AGES = AgeLimits(**{field.name: 1e5 for field in fields(AgeLimits)})
TIMERS_ONLY = Settings.model_validate(
    PERPETUAL_ONLY.model_dump(mode="json")
    | {
        "age_s_max": 1e5,
        "execution": PERPETUAL_ONLY.execution.model_dump(mode="json") | {"book_age_s_max": None},
    }
)


@cache
def actions_under(steps: tuple[tuple[float, int], ...]) -> list[dict[str, Any]]:
    """What crossed the wire, by the venue's clock; steps: (seconds of the run, offset of our clock, s)."""
    setting = Setting.of(3)
    setting.settings = TIMERS_ONLY
    setting.limits = replace(setting.limits, age=NO_AGES)
    mix = Mix(dues=tuple(Due(round(at_s * S), Deed.CLOCK_STEP, step_s) for at_s, step_s in steps))
    world = World(setting, mix, 45.0, 31.0).run()
    assert check_world(world) == ()
    return [json.loads(line) for line in world.wire_lines]


WHAT = ("ordinal", "time_ns", "what", "client_id", "symbol", "side", "price", "of", "outcome", "state")


@pytest.mark.parametrize(
    "steps", [((20.0, 1), (24.0, -1)), ((20.0, -60),), ((15.0, 300), (25.0, -300), (30.0, 0))]
)
def test_i16_steps_of_the_wall_clock_change_nothing_but_stamps(steps: tuple[tuple[float, int], ...]) -> None:
    """The same actions at the same moments. Sizes follow what options are worth, which hangs on the date: by
    a few thousandths for minutes."""
    calm, stepped = actions_under(()), actions_under(steps)
    assert sum(line["what"] == "submit" for line in calm) > 10
    assert [[line.get(k) for k in WHAT] for line in stepped] == [[line.get(k) for k in WHAT] for line in calm]
    sizes = [
        (float(a["quantity"]), float(b["quantity"]))
        for a, b in zip(calm, stepped, strict=True)
        if "quantity" in a
    ]
    assert max(abs(a - b) / a for a, b in sizes) < 0.03


# ---------------------------------------- I18: paper beside live


def test_i18_paper_and_live_decide_the_same_on_the_same_messages() -> None:
    """Messages of a venue with faults in them, decided upon as `run` is set up on paper and live, under the
    same hard limits: the same orders, word by word, and the same state."""
    setting = Setting.of(4)
    swings = tuple(
        Due(round(t * S), Deed.BANDS, text=f"delta:BTC={low},{low + 0.2}/{low + 0.05},{low + 0.15}")
        for t, low in ((6, 4.9), (12, -5.1), (18, 4.9))
    )
    world = World(setting, Mix(dues=swings), 24.0, 6.0).run()
    life = world.life
    assert life is not None
    desk = setting.settings.model_copy(
        update={"paper": setting.settings.paper.model_copy(update={"combos": False})}
    )
    limits = LoadedLimits(setting.limits, "of the test", "")
    ways = [
        settings_on_venues(desk, TAG, limits, setting.venues, setting.start_ns, live)
        for live in (False, True)
    ]
    paper, real = ways
    one, other = life.first, life.first
    orders = 0
    for record in MemoryStorage(world.disk).records(life.begun + 1, EVENT_KINDS):
        event = read_event(record, no_tape)
        one, on_paper = decide(one, event, paper)
        other, on_live = decide(other, event, real)
        assert on_paper.actions == on_live.actions and on_paper.digest == on_live.digest
        orders += sum(isinstance(action, Submit) for action in on_live.actions)
    assert orders > 10
    assert (one.book.positions, one.orders, one.mode) == (other.book.positions, other.orders, other.mode)


def test_i18_no_word_of_paper_is_in_what_decides() -> None:
    """Names, attributes and texts of the code; comments and docstrings may speak of it."""
    rooms = [ROOT / "hedger" / room for room in ("core", "planning", "policy", "problem", "solver")]
    files = [file for room in rooms for file in sorted(room.rglob("*.py"))]
    assert len(files) > 40
    found = []
    for file in files:
        tree = ast.parse(file.read_text("utf-8"))
        for node in ast.walk(tree):
            named = [getattr(node, "id", ""), getattr(node, "attr", ""), getattr(node, "module", "")]
            if isinstance(node, ast.Constant) and node.value in ("paper", "live", "sandbox"):
                named.append("paper")
            found += [(file.name, n) for n in named if isinstance(n, str) and "paper" in n.lower()]
    assert found == []
