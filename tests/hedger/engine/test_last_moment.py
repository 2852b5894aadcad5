"""Until when a command is obeyed, told by the clock that events are stamped with."""

from __future__ import annotations

import time
from pathlib import Path

from hedger.core.events import Command, Verb
from hedger.core.gate import EngineSettings
from hedger.engine.clock import WallClock
from hedger.engine.engine import NoRecord
from hedger.engine.logs import Log
from hedger.engine.service import Parts, Service
from hedger.journal.commands_file import CommandBox, send
from hedger.journal.kill_latch import MemoryLatch
from hedger.sections.paper import RunConfig
from tests.hedger.rig import TAG, Rig, desk, free

S = 10**9


def test_after_the_system_s_clock_was_set_back_a_command_is_not_late_for_that(tmp_path: Path) -> None:
    """The engine's clock is ahead of every sender's then, for two hours."""
    clock, box = WallClock(), CommandBox(tmp_path / "j")
    clock.not_before(clock.now_ns() + 3600 * S)
    for id, not_after_ns in (("timed", time.time_ns() + 600 * S), ("for ever", None)):
        send(tmp_path / "j", Command(id, Verb.HEDGE, "ann", "", not_after_ns=not_after_ns), 0)
    settings = EngineSettings(desk(), TAG, free)
    service = Service(
        Parts(
            (),
            Rig({}).state,
            settings,
            NoRecord(),
            MemoryLatch(),
            tmp_path / "j",
            RunConfig(),
            Log(),
            clock,
            box,
        )
    )
    service._look_out()
    timed, for_ever = service.inbox.take(), service.inbox.take()
    box.close()
    assert isinstance(timed, Command) and isinstance(for_ever, Command)
    assert for_ever.not_after_ns is None and timed.not_after_ns is not None
    assert 0 < timed.not_after_ns - clock.now_ns() <= 600 * S
