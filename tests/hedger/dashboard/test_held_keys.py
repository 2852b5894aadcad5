"""Keys pressed twice in a breath, or held down: a dialog answers once, and what fails ends with an error."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from textual import events
from textual.pilot import Pilot

from hedger.core.events import Verb
from hedger.dashboard.app import Terminal
from hedger.dashboard.dialogs import Confirm, Dialog
from hedger.journal.commands_file import CommandBox
from hedger.journal.kill_latch import FileLatch
from tests.hedger.command_line import hedger
from tests.hedger.dashboard.made import FOR_GOOD_S, HALF_S, Recorded, lived, on_screen, settled, shown
from tests.hedger.dashboard.test_app import desk_of, letters, press, previewed


def twice(app: Terminal, key: str) -> None:
    """Both presses are there before the first of them is dealt with."""
    for _ in range(2):
        app.post_message(events.Key(key, None))


async def over(pilot: Pilot[Any]) -> None:
    """Both are dealt with."""
    for _ in range(3):
        await pilot.pause()
    await settled(pilot)


#: What opens a dialog, the key that answers it, and the command that comes of it.
ANSWERED = {
    "flatten": (("F", *"BTC"), "enter", Verb.FLATTEN),
    "palette": (("colon", *"pause"), "enter", Verb.PAUSE),
    "resume": (("r",), "y", Verb.RESUME),
    "band": (
        ("2", "slash", *"btc", "space", *"coin", "enter", "home", "b", *"-0.1,0.1/-0.05,0.05"),
        "enter",
        None,
    ),
    "help": (("question_mark",), "escape", None),
}


@pytest.mark.parametrize("apart_s", [0.001, 0.035])
@pytest.mark.parametrize("what", ANSWERED)
def test_a_dialog_that_is_answered_twice_answers_once(tmp_path: Path, what: str, apart_s: float) -> None:
    keys, answer, verb = ANSWERED[what]
    rig = lived(tmp_path / "j")
    box = CommandBox(rig.path)
    times = chain(range(len(keys)), (1000.0, 1000.0 + apart_s))
    app = shown(rig.path, rig.now_ns + HALF_S, control=True, times=times)

    async def act(pilot: Pilot[Any]) -> None:
        await press(pilot, *keys)
        letters(box)
        twice(app, answer)
        await over(pilot)
        assert [command.verb for command in letters(box)] == ([] if verb is None else [verb])
        reason = "why?" if what == "band" else ""
        assert all(isinstance(x, Dialog) and reason in x.said for x in app.screen_stack[1:])
        assert len(app.screen_stack) == 1 + bool(reason)

    on_screen(app, act, (80, 24))
    box.close()
    rig.journal.close()


def test_a_preview_is_sent_once(tmp_path: Path) -> None:
    rig = Recorded({"BTC-PERPETUAL": "400000"}, tmp_path / "j")
    rig.answer(rig.mark())
    rig.command(Verb.ARM)
    with desk_of(tmp_path, rig=rig) as (_, box, app):

        async def act(pilot: Pilot[Any]) -> None:
            await previewed(pilot, rig, box)
            twice(app, "H")
            await over(pilot)
            assert [command.verb for command in letters(box)] == [Verb.HEDGE]
            assert len(app.screen_stack) == 1

        on_screen(app, act)


def test_a_question_under_another_dialog_takes_nothing_away(tmp_path: Path) -> None:
    with desk_of(tmp_path) as (_, box, app):

        async def act(pilot: Pilot[Any]) -> None:
            await press(pilot, "r")
            question = app.screen
            assert isinstance(question, Confirm)
            await press(pilot, "K")
            question.action_yes()
            await pilot.pause()
            assert app.screen_stack[1] is question and len(app.screen_stack) == 3 and not letters(box)

        on_screen(app, act)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[tuple[Recorded, CommandBox]]:
    rig = lived(tmp_path / "j")
    box = CommandBox(rig.path)
    yield rig, box
    box.close()
    rig.journal.close()


#: When each press of the kill key comes: held (a keyboard waits, then repeats), hammered, and all at once.
KILLS = {
    "held": (0.0, 0.5, *(0.53 + 0.03 * i for i in range(40))),
    "hammered": (0.0, 0.15, 0.3),
    "together": (0.0, 0.001),
    "a burst": (0.0, 0.001, 0.002, 0.003, 0.004),
    "one, then a burst": (0.0, 0.5, 0.501, 0.502, 0.503),
}


@pytest.mark.parametrize("how", KILLS)
def test_the_kill_key_held_down_kills_and_leaves_one_command(
    place: tuple[Recorded, CommandBox], how: str
) -> None:
    rig, box = place
    times = iter(KILLS[how])
    app = shown(rig.path, rig.now_ns + HALF_S, control=True, hold_s=FOR_GOOD_S, times=times)

    async def act(pilot: Pilot[Any]) -> None:
        await pilot.press(*["K"] * len(KILLS[how]))
        await app.gate.release()
        await pilot.pause()
        assert FileLatch(rig.path).found() is not None
        assert [command.verb for command in letters(box)] == [Verb.KILL]
        assert len(app.screen_stack) == 1 + (how == "hammered")  # only a third press by hand asks once more

    on_screen(app, act)


def test_after_a_held_key_was_let_go_two_presses_kill_anew(place: tuple[Recorded, CommandBox]) -> None:
    rig, box = place
    times = iter((0.0, 0.5, 0.53, 0.56, 2.0, 2.2, 4.0))
    app = shown(rig.path, rig.now_ns + HALF_S, control=True, times=times)

    async def act(pilot: Pilot[Any]) -> None:
        await pilot.press(*["K"] * 4)
        assert len(letters(box)) == 1
        await pilot.press("K", "K", "x")
        assert len(letters(box)) == 1

    on_screen(app, act)


class Broken(Exception):
    """Of a handler of the terminal."""


def test_what_ends_the_screen_is_told_and_nothing_of_it_printed(
    place: tuple[Recorded, CommandBox], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rig, _ = place
    app = shown(rig.path, rig.now_ns + HALF_S)

    def broken(*_: object) -> None:
        raise Broken("secret")

    async def act(pilot: Pilot[Any]) -> None:
        app.post_message(events.Key("m", None))

    monkeypatch.setattr(app, "action_metric", broken)
    run = app.run
    monkeypatch.setattr(app, "run", lambda: run(headless=True, auto_pilot=act))
    failed = app.show()
    app.feed.close()
    assert isinstance(failed, Broken)
    assert "secret" not in "".join(capsys.readouterr())


def test_a_screen_that_failed_ends_the_verb_with_one_line_and_70(
    place: tuple[Recorded, CommandBox], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rig, _ = place
    (rig.path.parent / "config.toml").write_text("")

    def run(app: Terminal) -> None:
        app._return_code, app._exception = 1, Broken("no screen")

    monkeypatch.setattr(Terminal, "run", run)
    monkeypatch.setattr("hedger.verbs.dashboard_verb._refuse_no_terminal", lambda: None)
    words = ("--journal", rig.path, "--config", rig.path.parent / "config.toml")
    ran = hedger(capsys, "dashboard", *words)
    assert ran.code == 70 and ran.err.startswith("INTERNAL: Broken: no screen;")
    assert "Traceback" not in ran.err and len(ran.err.splitlines()) == 1
