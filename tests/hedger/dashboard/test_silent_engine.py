"""An engine that runs and gives no sign of life: no screen says that it cancels."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from hedger.core.events import Verb
from hedger.dashboard.dialogs import KillNotice
from hedger.dashboard.feed import Feed
from hedger.dashboard.frames import Painter, Want
from hedger.dashboard.header import header, header_small
from hedger.dashboard.ports import Ports
from hedger.engine.heartbeat import Heartbeat
from hedger.journal.kill_latch import FileLatch
from hedger.sections.paper import RunConfig, WatchdogConfig
from tests.hedger.dashboard.made import HALF_S, Recorded, lived, on_screen, seen, settled, shown
from tests.hedger.rig import desk

S = 10**9
#: What the watchdog of the built-in settings bears.
BORNE_S = 5.0


@dataclass
class Life:
    """An engine's sign of life and this machine's clock, both moved by hand. beat_ns: None: it gives none."""

    now_ns: int
    beat_ns: int | None = 100 * S
    monotonic_ns: int = 100 * S
    pid: int = os.getpid()

    def beat(self) -> Heartbeat | None:
        """Its UTC is far ahead, as after a clock was set back: it must not matter."""
        if self.beat_ns is None:
            return None
        return Heartbeat(self.pid, self.beat_ns, self.now_ns + 3600 * S, 1, "armed")

    def ports(self) -> Ports:
        return Ports(lambda: self.now_ns, self.beat, lambda: self.monotonic_ns)


def lines(feed: Feed) -> tuple[str, str]:
    """The state's line, at a size that is enough and at one that is not."""
    while feed.step() or not feed.caught_up:
        pass
    facts = Painter(feed, control=True).frame(Want()).facts
    return header(facts)[0][0], header_small(facts, "")[0][0]


def test_the_header_says_it_from_the_watchdog_s_limit_on_and_until_it_beats_again(tmp_path: Path) -> None:
    rig = lived(tmp_path / "j")
    life = Life(rig.now_ns)
    feed = Feed(rig.path, desk(), life.ports())
    for silent_s, said in ((0.0, False), (BORNE_S, False), (13.0, True)):
        life.monotonic_ns = 100 * S + round(silent_s * S)
        first, small = lines(feed)
        assert ("| ENGINE SILENT 13 s, ARMED" in first, "PAPER ENGINE SILENT, ARMED" in small) == (
            said,
            said,
        )
        assert ("ENGINE SILENT" in first) is said
    life.beat_ns = life.monotonic_ns
    assert "ENGINE SILENT" not in "".join(lines(feed))
    feed.close()
    rig.journal.close()


@pytest.mark.parametrize("beaten", [False, True])
def test_one_that_has_not_beaten_yet_has_as_long_as_any_other(beaten: bool, tmp_path: Path) -> None:
    """beaten: an earlier process has."""
    rig = lived(tmp_path / "j")
    life = Life(rig.now_ns, 3 * S if beaten else None, pid=1)
    feed = Feed(rig.path, desk(), life.ports())
    assert "ENGINE SILENT" not in "".join(lines(feed))
    life.monotonic_ns += round(BORNE_S * S)
    assert "ENGINE SILENT" not in "".join(lines(feed))
    life.monotonic_ns += 2 * S
    assert "ENGINE SILENT 7.0 s" in lines(feed)[0]
    feed.close()
    rig.journal.close()


def test_of_one_that_has_ended_and_of_a_replay_no_sign_of_life_is_due(tmp_path: Path) -> None:
    for trading in ("paper", "replay"):
        rig = lived(tmp_path / trading, trading)
        life = Life(rig.now_ns, monotonic_ns=1000 * S)
        feed = Feed(rig.path, desk(), life.ports())
        if trading == "paper":
            rig.journal.close()
        assert "ENGINE SILENT" not in "".join(lines(feed))
        feed.close()
        rig.journal.close()


def test_where_no_watchdog_looks_the_usual_limit_holds(tmp_path: Path) -> None:
    rig = lived(tmp_path / "j")
    life = Life(rig.now_ns, monotonic_ns=106 * S)
    slow = RunConfig(heartbeat_s=10.0, watchdog=WatchdogConfig(stall_s_max=0))
    quick = slow.model_copy(update={"heartbeat_s": 0.5})
    for run, said in ((slow, False), (quick, True)):
        feed = Feed(rig.path, desk().model_copy(update={"run": run}), life.ports())
        assert ("ENGINE SILENT" in lines(feed)[0]) is said
        feed.close()
    rig.journal.close()


def test_a_kill_that_was_confirmed_is_no_cause_for_alarm(tmp_path: Path) -> None:
    rig = Recorded({"BTC-PERPETUAL": "400000"}, tmp_path / "j")
    rig.answer(rig.mark())
    life = Life(rig.now_ns, monotonic_ns=113 * S)
    feed = Feed(rig.path, desk(), life.ports())
    rig.command(Verb.KILL)
    assert "ENGINE SILENT" in lines(feed)[0]
    for _ in range(3):
        rig.send(rig.report(), 1.0)
    assert "KILL_CONFIRMED" in rig.alerts() and "ENGINE SILENT" not in "".join(lines(feed))
    rig.command(Verb.UNKILL)
    assert "ENGINE SILENT" in lines(feed)[0]
    feed.close()
    rig.journal.close()


@pytest.mark.parametrize("silent", [False, True])
def test_a_kill_says_what_it_comes_to(silent: bool, tmp_path: Path) -> None:
    rig = lived(tmp_path / "j")
    life = Life(rig.now_ns + HALF_S, monotonic_ns=113 * S if silent else 100 * S)
    app = shown(rig.path, life.now_ns, control=True, ports=life.ports())

    async def act(pilot: Pilot[Any]) -> None:
        await pilot.press("K")
        await pilot.pause()
        assert isinstance(app.screen, KillNotice)
        assert ("THE ENGINE DOES NOT ANSWER (13 s)" in app.screen.said) is silent
        await pilot.press("K")
        await pilot.pause()
        assert FileLatch(rig.path).found() is not None
        if silent:
            assert app._said == (
                "LATCH SET; THE ENGINE DOES NOT ANSWER (13 s): orders may be live; cancel at the venue, or "
                f"end process {os.getpid()} and run `hedger kill`, which cancels there"
            )
        else:
            assert app._said.startswith("KILLED: the latch is set, the engine cancels everything")
        await settled(pilot)
        for _ in range(200):
            if "KILLED" in app._header.texts[0]:
                break
            await pilot.pause(0.02)
        assert ("ENGINE SILENT 13 s, KILLED by trader" in seen(app)[1]) is silent

    on_screen(app, act, (80, 24))
    rig.journal.close()
