"""Where an engine stands, and why it would begin nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hedger.core.events import Verb
from hedger.core.state import Mode
from hedger.dashboard.feed import Feed
from hedger.dashboard.frames import Painter, Want
from hedger.dashboard.header import header
from hedger.dashboard.outside import Outside
from hedger.dashboard.standing import Standing
from pricing.daycount import iso
from tests.hedger.dashboard.made import lived
from tests.hedger.rig import desk


@pytest.mark.parametrize(
    ("standing", "words", "why"),
    [
        (Standing(Mode.ARMED), "ARMED", ""),
        (Standing(Mode.REDUCING), "REDUCING", ""),
        (Standing(Mode.ARMED, paused=True), "ARMED, PAUSED", "the engine is paused"),
        (Standing(Mode.HALTED), "HALTED", "the engine is halted"),
        (Standing(Mode.OBSERVE, paused=True), "OBSERVE, PAUSED", "the engine only observes"),
        (Standing(Mode.KILLED), "KILLED", "the engine is killed"),
        (Standing(Mode.ARMED, latched=True), "KILLED", "the engine is killed"),
        (Standing(None), "STARTING", "the engine is only starting"),
        (Standing(None, runs=False), "NEVER STARTED", "no engine was ever started"),
        (Standing(None, runs=False, latched=True), "KILLED", "no engine was ever started"),
        (Standing(Mode.ARMED, runs=False), "STOPPED, was ARMED", "no engine runs"),
    ],
)
def test_each_standing_has_its_words(standing: Standing, words: str, why: str) -> None:
    assert (standing.words, str(standing.withheld)) == (words, why)
    assert str(replace(standing, exchanged=True).withheld) == "another journal lies here now"


def test_only_an_unkill_helps_an_engine_that_is_killed() -> None:
    assert Standing(Mode.KILLED).killed and Standing(Mode.ARMED, latched=True).killed
    assert Standing(None, latched=True, runs=False).killed
    assert not Standing(Mode.KILLED, runs=False).killed  # its latch was taken away since it ended


def test_the_header_says_who_paused_it_and_since_when_until_it_is_resumed(tmp_path: Path) -> None:
    rig = lived(tmp_path / "j")
    feed = Feed(tmp_path / "j", desk(), Outside(lambda: rig.now_ns))

    def first_line() -> str:
        while feed.step() or not feed.caught_up:
            pass
        return header(Painter(feed, control=False).frame(Want(5)).vitals)[0][0]

    rig.command(Verb.PAUSE)
    at = iso(rig.now_ns)[11:16]
    assert f"ARMED, PAUSED by person {at}Z | process " in first_line()
    rig.command(Verb.RESUME)
    assert "PAUSED" not in first_line() and "person" not in first_line()
    feed.close()
    rig.journal.close()
