"""Where an engine stands, and why it would begin nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hedger.core.events import Command, Verb
from hedger.core.state import Mode
from hedger.dashboard.feed import Feed
from hedger.dashboard.frames import Painter, Want
from hedger.dashboard.header import header
from hedger.dashboard.panel_table import Panel
from hedger.dashboard.ports import Ports
from hedger.desk.engine_state import EngineState, ended_in_order, engine_state_of
from hedger.engine.heartbeat import Heartbeat, beat, last_beat
from hedger.journal.entries import ModeChange
from hedger.journal.kill_latch import FileLatch, Latched
from pricing.daycount import iso
from tests.hedger.command_line import hedger
from tests.hedger.dashboard.made import Recorded, lived
from tests.hedger.rig import desk


@pytest.mark.parametrize(
    ("standing", "words", "why"),
    [
        (EngineState(Mode.ARMED), "ARMED", ""),
        (EngineState(Mode.REDUCING), "REDUCING", ""),
        (EngineState(Mode.ARMED, paused=True), "ARMED, PAUSED", "the engine is paused"),
        (EngineState(Mode.HALTED), "HALTED", "the engine is halted"),
        (EngineState(Mode.OBSERVE, paused=True), "OBSERVE, PAUSED", "the engine only observes"),
        (EngineState(Mode.KILLED), "KILLED", "the engine is killed"),
        (EngineState(Mode.ARMED, latched=True), "KILLED", "the engine is killed"),
        (EngineState(None), "STARTING", "the engine is only starting"),
        (EngineState(None, runs=False), "NEVER STARTED", "no engine was ever started"),
        (EngineState(None, runs=False, latched=True), "KILLED", "no engine was ever started"),
        (EngineState(Mode.ARMED, runs=False), "STOPPED, was ARMED", "no engine runs"),
        (EngineState(Mode.ARMED, True, runs=False, died=True), "DIED, was ARMED, PAUSED", "no engine runs"),
        (EngineState(Mode.ARMED, latched=True, runs=False, died=True), "KILLED", "no engine runs"),
    ],
)
def test_each_standing_has_its_words(standing: EngineState, words: str, why: str) -> None:
    assert (standing.words, str(standing.withheld)) == (words, why)
    assert str(replace(standing, exchanged=True).withheld) == "another journal lies here now"


def test_only_an_unkill_helps_an_engine_that_is_killed() -> None:
    assert EngineState(Mode.KILLED).killed and EngineState(Mode.ARMED, latched=True).killed
    assert EngineState(None, latched=True, runs=False).killed
    assert not EngineState(Mode.KILLED, runs=False).killed  # its latch was taken away since it ended


def test_what_comes_next_after_an_end_in_order_and_after_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing runs after either, and the pause of an ending is nobody's: on the screen, and in the verb."""
    rig = Recorded({"BTC-PERPETUAL": "100"}, tmp_path / "j")
    (tmp_path / "config.toml").write_text("")
    rig.answer(rig.mark())
    rig.command(Verb.ARM)

    def told() -> list[str]:
        feed = Feed(rig.path, desk(), Ports(lambda: rig.now_ns))
        while feed.step() or not feed.caught_up:
            pass
        painter = Painter(feed, control=False)
        screen, first = painter.hedging()["next"], header(painter.frame(Want(Panel.HEDGE)).facts)[0][0]
        feed.close()
        words = ("--journal", rig.path, "--config", tmp_path / "config.toml", "--json")
        verb = hedger(capsys, "status", "--hedge", *words).json["hedge"]["next"]
        assert (screen["what"], screen["withheld"]) == (verb["what"], verb["withheld"])
        return [first.split(" | ")[1], verb["what"], verb["withheld"]]

    assert told() == ["ARMED", "no hedge", ""]
    ending = Command("run-1", Verb.PAUSE, "run", "ending: the minutes are over")
    rig.send(ending)  # it still runs, and begins nothing any more
    assert told() == ["ARMED, PAUSED", "nothing leaves: the engine is paused", "the engine is paused"]
    rig.journal.close()
    assert told() == ["STOPPED, was ARMED", "nothing leaves: no engine runs", "no engine runs"]


def test_an_engine_that_is_gone_leaves_nothing_and_stays_paused_by_whom_it_was() -> None:
    lunch = ModeChange("armed", True, "ann", "lunch")
    ended = replace(lunch, user="run", reason="ending: signal 15")
    decision = {"mode": "armed", "paused": True}
    found = [
        engine_state_of(decision, change, latched=False, runs=runs)
        for change, runs in ((lunch, True), (lunch, False), (ended, True), (ended, False))
    ]
    assert [x.words for x in found] == [
        "ARMED, PAUSED", "STOPPED, was ARMED, PAUSED", "ARMED, PAUSED", "STOPPED, was ARMED",
    ]  # fmt: skip
    assert [str(x.withheld) for x in found] == ["the engine is paused", "no engine runs"] * 2
    assert engine_state_of(None, lunch, latched=False, runs=True).mode is Mode.ARMED
    assert engine_state_of(None, None, latched=False, runs=True).words == "STARTING"


ENDING = ModeChange("armed", True, "run", "ending: signal 15")
LUNCH = ModeChange("armed", True, "ann", "lunch")
ARMED = ModeChange("armed", False, "ann", "opens")


@pytest.mark.parametrize(
    ("change", "closed", "ended"),
    [
        (None, None, None),  # none was ever started
        (ARMED, None, False),
        (ENDING, None, True),
        (LUNCH, None, None),  # paused already: of its end the record says nothing
        (ARMED, True, True),
        (LUNCH, True, True),
        (LUNCH, False, False),
        (ENDING, False, False),  # killed while it cancelled what rested
    ],
)
def test_whether_an_engine_ended_in_order(
    change: ModeChange | None, closed: bool | None, ended: bool | None
) -> None:
    start_ns = 1_000
    beat = None if closed is None else Heartbeat(7, 0, start_ns + 1, 3, "armed", closed=closed)
    assert ended_in_order(change, beat, start_ns) is ended
    before = Heartbeat(6, 0, start_ns - 1, 3, "armed", closed=True)  # the engine before says nothing of this
    assert ended_in_order(ARMED, before, start_ns) is False


def test_the_screen_and_status_say_that_an_engine_died(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """While it runs nobody knows; its process is gone, and its last sign of life is of no end."""
    rig = lived(tmp_path / "j")
    beat(rig.path, Heartbeat(7, 0, rig.now_ns, 3, "armed"))
    feed = Feed(rig.path, desk(), Ports(lambda: rig.now_ns, lambda: last_beat(rig.path)))
    painter = Painter(feed, control=False)

    def seen() -> tuple[str, object, str]:
        while feed.step() or not feed.caught_up:
            pass
        first = header(painter.frame(Want(Panel.VENUES)).facts)[0][0]
        found = hedger(capsys, "status", "--journal", rig.path, "--json").json["ended_in_order"]
        return first.split(" | ")[1], found, hedger(capsys, "status", "--journal", rig.path).out

    word, found, text = seen()
    assert (word, found) == ("ARMED", None) and "in order" not in text
    rig.journal.close()
    word, found, text = seen()
    assert (word, found) == ("DIED, was ARMED", False) and "\nit did not end in order\n" in text
    beat(rig.path, Heartbeat(7, 0, rig.now_ns, 3, "armed", closed=True))
    word, found, text = seen()
    assert (word, found) == ("STOPPED, was ARMED", True) and "\nit ended in order\n" in text
    feed.close()


def test_the_header_says_who_paused_it_and_since_when_until_it_is_resumed(tmp_path: Path) -> None:
    rig = lived(tmp_path / "j")
    feed = Feed(tmp_path / "j", desk(), Ports(lambda: rig.now_ns))

    def first_line() -> str:
        while feed.step() or not feed.caught_up:
            pass
        return header(Painter(feed, control=False).frame(Want(Panel.VENUES)).facts)[0][0]

    rig.command(Verb.PAUSE)
    at = iso(rig.now_ns)[11:16]
    assert f"ARMED, PAUSED by person {at}Z | process " in first_line()
    rig.command(Verb.RESUME)
    assert "PAUSED" not in first_line() and "person" not in first_line()
    feed.close()
    rig.journal.close()


def test_the_header_says_who_killed_it_whoever_had_paused_it(tmp_path: Path) -> None:
    rig = lived(tmp_path / "j")
    rig.command(Verb.PAUSE)
    feed = Feed(tmp_path / "j", desk(), Ports(lambda: rig.now_ns))
    painter = Painter(feed, control=False)

    def first_line() -> str:
        while feed.step() or not feed.caught_up:
            pass
        return header(painter.frame(Want(Panel.VENUES)).facts)[0][0]

    assert " | ARMED, PAUSED by person " in first_line()
    latch, at_ns = FileLatch(tmp_path / "j"), rig.now_ns + 3_600 * 10**9
    latch.set(Latched(at_ns, "bob", "fat finger"))
    assert f" | KILLED by bob {iso(at_ns)[11:16]}Z | " in first_line()
    rig.command(Verb.KILL)  # the engine has found it
    assert f" | KILLED by bob {iso(at_ns)[11:16]}Z | " in first_line()
    latch.clear()
    latch.set(Latched())  # an empty file counts too
    assert " | KILLED | " in first_line()
    feed.close()
    rig.journal.close()
