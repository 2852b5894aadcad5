"""Keys that come all at once, as of a paste, steer nothing; pressed one at a time they do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from hedger.core.events import Verb
from hedger.dashboard.app import Terminal
from hedger.dashboard.pace import APART_S
from hedger.dashboard.palette import Palette
from hedger.journal.commands_file import CommandBox
from hedger.journal.kill_latch import FileLatch
from tests.hedger.dashboard.made import FOR_GOOD_S, HALF_S, Recorded, lived, on_screen, shown

#: What stands in a paste, as the keys that a terminal tells of it.
PASTES = {
    "kill": ("left_square_bracket", "K", "K", "K"),
    "pause": ("x", "p"),
    "resume": ("x", "r", "y"),
    "resume, the first key opens it": ("r", "y"),
    "pause, the first key": ("p", "x"),
    "reducing, the first key": ("R", "e", "d"),
    "kill, the first keys": ("K", "K", "i"),
    "flatten": ("F", "B", "T", "C", "enter"),
    "palette": ("colon", *"pause", "enter"),
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Recorded]]:
    path = tmp_path_factory.mktemp("paste") / "j"
    rig = lived(path)
    yield path, rig
    rig.journal.close()


def left(
    place: tuple[Path, Recorded], keys: tuple[str, ...], apart_s: float, hold_s: float = 0.001
) -> tuple[list[Verb], bool, str]:
    """What was left for the engine, whether the latch is set, and the last line; no question may be open."""
    path, rig = place
    app, box, latch = (
        shown(path, rig.now_ns + HALF_S, control=True, keys_apart_s=apart_s, hold_s=hold_s),
        CommandBox(path),
        FileLatch(path),
    )
    said = []

    async def act(pilot: Pilot[Any]) -> None:
        assert isinstance(pilot.app, Terminal)
        await pilot.press(*keys)
        await pilot.pause()
        said.append(app._said)
        assert all(isinstance(screen, Palette) for screen in app.screen_stack[1:]) or hold_s < FOR_GOOD_S

    on_screen(app, act)
    verbs: list[Verb] = [command.verb for command in box.poll().commands if command.verb is not Verb.PREVIEW]
    box.close()
    killed = latch.found() is not None
    latch.clear()
    return verbs, killed, said[0]


@pytest.mark.parametrize("what", PASTES)
def test_what_comes_at_once_steers_nothing(place: tuple[Path, Recorded], what: str) -> None:
    verbs, killed, said = left(place, PASTES[what], 0.002, FOR_GOOD_S)
    assert (verbs, killed) == ([], False)
    assert "came at once with other keys" in said


@pytest.mark.parametrize(
    ("what", "verb"),
    [("kill", Verb.KILL), ("pause", Verb.PAUSE), ("resume", Verb.RESUME), ("palette", Verb.PAUSE)],
)
def test_the_same_keys_one_at_a_time_do(place: tuple[Path, Recorded], what: str, verb: Verb) -> None:
    verbs, killed, _ = left(place, PASTES[what], 0.2)
    assert verbs == [verb] and killed == (verb is Verb.KILL)


def test_a_slow_line_that_brings_both_presses_together_kills(place: tuple[Path, Recorded]) -> None:
    assert left(place, ("K", "K"), 0.001)[:2] == ([Verb.KILL], True)
    assert left(place, ("K", "x", "K"), 0.001)[:2] == ([], False)


def test_what_is_typed_fast_into_a_field_stands_there(place: tuple[Path, Recorded]) -> None:
    path, rig = place
    app = shown(path, rig.now_ns + HALF_S, control=True, keys_apart_s=0.002)

    async def act(pilot: Pilot[Any]) -> None:
        await pilot.press("slash", *"pbar")
        assert app._field.value == "pbar"

    on_screen(app, act)


def test_a_key_that_steers_acts_by_itself_without_another(place: tuple[Path, Recorded]) -> None:
    """Held as long as it is for a desk; nothing is pressed after it."""
    assert left(place, ("p",), 0.002, APART_S)[:2] == ([Verb.PAUSE], False)
    assert left(place, ("p", "x"), 0.2, FOR_GOOD_S)[:2] == (
        [Verb.PAUSE],
        False,
    )  # what comes later lets it go


def test_presses_that_were_held_together_kill_before_the_notice_of_the_first_stands(
    place: tuple[Path, Recorded],
) -> None:
    path, rig = place
    app = shown(path, rig.now_ns + HALF_S, control=True, keys_apart_s=0.001, hold_s=FOR_GOOD_S)
    latch = FileLatch(path)

    async def act(pilot: Pilot[Any]) -> None:
        await pilot.press("K", "K")
        assert latch.found() is None and app.gate.holds
        await app.gate.release()
        await pilot.pause()
        assert latch.found() is not None and len(app.screen_stack) == 1

    on_screen(app, act)
    latch.clear()
