"""A screen too small to show what a key does: mode and state first, and only what stops or leaves acts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from hedger.core.events import Verb
from hedger.core.state import Mode
from hedger.dashboard.app import Terminal
from hedger.dashboard.dialogs import Dialog, Flatten, KillNotice
from hedger.dashboard.header import header_small
from hedger.desk.engine_state import EngineState
from hedger.journal.commands_file import CommandBox
from hedger.journal.kill_latch import FileLatch
from tests.hedger.dashboard.made import HALF_S, Recorded, lived, on_screen, seen, shown
from tests.hedger.dashboard.test_app import press

TINY, WHOLE = (20, 5), (80, 24)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[tuple[Recorded, CommandBox, Terminal]]:
    """A paused engine that runs, its letter box, and a terminal on it."""
    rig = lived(tmp_path / "j")
    rig.command(Verb.PAUSE)
    box = CommandBox(rig.path)
    yield rig, box, shown(rig.path, rig.now_ns + HALF_S, control=True)
    box.close()
    rig.journal.close()


def left(box: CommandBox) -> list[Verb]:
    """What was left for the engine."""
    return [command.verb for command in box.poll().commands]


def test_mode_and_state_stand_first_and_only_what_stops_or_leaves_acts(
    place: tuple[Recorded, CommandBox, Terminal],
) -> None:
    rig, box, app = place

    async def act(pilot: Pilot[Any]) -> None:
        assert seen(app)[:3] == ["PAPER PAUSED", "too small, min 80x22", "KK kill p pause"]
        for key in ("r", "R", "F", "h", "b", "H", "a", "e", "colon", "slash", "enter", "7"):
            await press(pilot, key)
            assert len(app.screen_stack) == 1 and app.reader.want.panel == 1, key
            assert "too small for this" in seen(app)[3], key
        assert left(box) == []
        await press(pilot, "question_mark")
        assert type(app.screen) is Dialog and seen(app)[:2] == ["PAPER PAUSED", "keys"]
        await press(pilot, "escape", "p")
        assert left(box) == [Verb.PAUSE]
        await press(pilot, "K")
        assert isinstance(app.screen, KillNotice)
        assert seen(app)[0] == "PAPER PAUSED" and "Press K again" in seen(app)[2]
        await press(pilot, "K")
        assert FileLatch(rig.path).found() is not None and left(box) == [Verb.KILL]
        await pilot.press("q")
        assert app._exit

    on_screen(app, act, TINY)


@pytest.mark.parametrize("keys", [("F", *"BTC"), ("r",), ("colon", *"pause"), ("1", "down", "b"), ("slash",)])
def test_what_asks_is_left_when_the_screen_becomes_too_small(
    place: tuple[Recorded, CommandBox, Terminal], keys: tuple[str, ...]
) -> None:
    _, box, app = place

    async def act(pilot: Pilot[Any]) -> None:
        await press(pilot, *keys)
        left(box)  # a flatten asks for its preview
        before = app._header.texts
        await pilot.resize_terminal(*TINY)
        await press(pilot)
        assert len(app.screen_stack) == 1 and seen(app)[0] == "PAPER PAUSED"
        await press(pilot, "enter", "y", "H")
        assert left(box) == []
        await pilot.resize_terminal(*WHOLE)
        await press(pilot)
        assert app._header.texts[0] == before[0] and "[" in seen(app)[4] and seen(app)[0][0] == "╭"

    on_screen(app, act, WHOLE)


def test_a_question_under_another_dialog_is_left_before_a_key_reaches_it(
    place: tuple[Recorded, CommandBox, Terminal],
) -> None:
    _, box, app = place

    async def act(pilot: Pilot[Any]) -> None:
        await press(pilot, "F", *"BTC", "K")
        await pilot.resize_terminal(*TINY)
        await press(pilot)
        assert isinstance(app.screen, KillNotice)  # it is in sight
        app.screen.answer(None)
        await pilot.pause()
        assert isinstance(app.screen, Flatten)
        left(box)
        await press(pilot, "enter")
        assert len(app.screen_stack) == 1 and left(box) == []

    on_screen(app, act, WHOLE)


@pytest.mark.parametrize(
    ("standing", "words"),
    [
        (EngineState(Mode.ARMED), "LIVE ARMED"),
        (EngineState(Mode.ARMED, paused=True), "LIVE PAUSED"),
        (EngineState(Mode.HALTED, paused=True), "LIVE HALTED"),
        (EngineState(Mode.KILLED, paused=True), "LIVE KILLED"),
        (EngineState(Mode.ARMED, paused=True, latched=True), "LIVE KILLED"),
        (EngineState(Mode.ARMED, paused=True, runs=False), "LIVE STOPPED"),
        (EngineState(Mode.ARMED, exchanged=True), "LIVE NOT THE JOURNAL THAT LIES HERE NOW"),
    ],
)
def test_the_gravest_word_of_a_state_is_the_one_that_is_left(
    place: tuple[Recorded, CommandBox, Terminal], standing: EngineState, words: str
) -> None:
    _, _, app = place
    found: list[str] = []

    async def act(pilot: Pilot[Any]) -> None:
        assert app.frame is not None
        vitals = replace(app.frame.facts, trading="live", engine_state=standing)
        found.extend(text for text, _ in header_small(vitals, "q leave"))

    on_screen(app, act, TINY)
    assert found == [words, "too small, min 80x22", "q leave"]
