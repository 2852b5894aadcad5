"""A word in the last line goes again, so that the keys come back; what must be seen stays longer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from hedger.core.events import Verb
from hedger.dashboard.app import Terminal
from hedger.journal.commands_file import CommandBox
from tests.hedger.dashboard.made import FOR_GOOD_S, HALF_S, Recorded, lived, on_screen, seen, settled, shown

KEYS = "KK kill ? keys"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Recorded]]:
    path = tmp_path_factory.mktemp("last line") / "j"
    rig = lived(path)
    yield path, rig
    rig.journal.close()


async def last_line(pilot: Pilot[Any], words: str) -> None:
    """Until they stand in the last line."""
    app = pilot.app
    assert isinstance(app, Terminal)
    for _ in range(400):
        if words in app._foot.texts[0]:
            return
        await pilot.pause(0.02)
    raise AssertionError(f"{words!r} never stood there: {app._foot.texts[0]!r}")


def test_a_paste_is_told_and_the_keys_come_back(place: tuple[Path, Recorded]) -> None:
    path, rig = place
    app = shown(path, rig.now_ns + HALF_S, control=True, keys_apart_s=0.002, hold_s=FOR_GOOD_S)

    async def act(pilot: Pilot[Any]) -> None:
        await pilot.press("e", "x")
        assert "e came at once with other keys" in app._foot.texts[0]
        app.said_s = 0.001
        await pilot.press("e", "x")
        await last_line(pilot, KEYS)
        assert KEYS in "\n".join(seen(app))

    on_screen(app, act, (80, 24))


def test_what_must_be_seen_stays_when_the_rest_is_gone(place: tuple[Path, Recorded]) -> None:
    path, rig = place
    app = shown(path, rig.now_ns + HALF_S)

    async def act(pilot: Pilot[Any]) -> None:
        app.said_s = 0.001
        await pilot.press("p")
        for _ in range(5):
            await pilot.pause(0.01)
        assert "READ-ONLY: pause needs --control" in app._foot.texts[0]
        app.say("a word")  # in its place
        await last_line(pilot, "? keys")
        app.stays_s = 0.001
        await pilot.press("p")
        await last_line(pilot, "? keys")  # it goes as well, in the end

    on_screen(app, act, (80, 24))


def test_a_word_is_not_taken_away_by_the_end_of_another_s_time(place: tuple[Path, Recorded]) -> None:
    path, rig = place
    app = shown(path, rig.now_ns + HALF_S)

    async def act(pilot: Pilot[Any]) -> None:
        app.said_s = 0.05
        app.say("the first")
        app.said_s = FOR_GOOD_S
        app.say("the second")
        await pilot.pause(0.2)
        assert app._foot.texts[0] == "the second"

    on_screen(app, act)


@pytest.mark.parametrize(
    ("key", "verb", "then"), [("p", Verb.PAUSE, "asked for"), ("r", Verb.RESUME, "refused")]
)
def test_what_the_engine_does_not_answer_is_said(
    key: str, verb: Verb, then: str, place: tuple[Path, Recorded]
) -> None:
    path, rig = place
    box = CommandBox(path)
    app = shown(path, rig.now_ns + HALF_S, control=True)

    async def act(pilot: Pilot[Any]) -> None:
        await pilot.press(key, *"y" * (key == "r"))
        await pilot.pause()
        assert app._foot.texts[0] == f"{verb}: sent to the engine, not answered yet"
        (asked,) = app.pending.values()
        asked.until_s = 0.0  # its time is over
        await last_line(pilot, f"{verb}: NOT ANSWERED within 10 s; ")
        assert then in app._foot.texts[0]
        (command,) = box.poll().commands
        assert (command.not_after_ns is None) is (verb is Verb.PAUSE)

    on_screen(app, act)
    box.close()


def test_a_heading_is_told_where_its_bands_are(place: tuple[Path, Recorded]) -> None:
    path, rig = place
    app = shown(path, rig.now_ns + HALF_S, control=True)

    async def act(pilot: Pilot[Any]) -> None:
        await pilot.press("1", "home", "b")
        await settled(pilot)
        assert app.grid.current is not None and app.grid.current.key == "BTC"
        words = "no band here: put the cursor on a line such as delta or gamma below BTC"
        assert app._foot.texts[0] == words
        await pilot.press("7", "home", "b")
        await last_line(pilot, "no band here: put the cursor on a row of panel 1 or 2")

    on_screen(app, act, (80, 24))
