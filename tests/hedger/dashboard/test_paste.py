"""Keys that come all at once, as of a paste, steer nothing; pressed one at a time they do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from hedger.core.events import Verb
from hedger.dashboard.app import Terminal
from hedger.journal.commands_file import CommandBox
from hedger.journal.kill_latch import FileLatch
from tests.hedger.dashboard.made import HALF_S, Recorded, lived, on_screen, shown

#: What stands in a paste, as the keys that a terminal tells of it.
PASTES = {
    "kill": ("left_square_bracket", "K", "K", "K"),
    "pause": ("x", "p"),
    "resume": ("x", "r", "y"),
    "resume, the first key opens it": ("r", "y"),
    "flatten": ("F", "B", "T", "C", "enter"),
    "palette": ("colon", *"pause", "enter"),
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Recorded]]:
    path = tmp_path_factory.mktemp("paste") / "j"
    rig = lived(path)
    yield path, rig
    rig.journal.close()


def left(place: tuple[Path, Recorded], keys: tuple[str, ...], apart_s: float) -> tuple[list[Verb], bool, str]:
    """What was left for the engine, whether the latch is set, and the last line."""
    path, rig = place
    app, box, latch = (
        shown(path, rig.now_ns + HALF_S, control=True, keys_apart_s=apart_s),
        CommandBox(path),
        FileLatch(path),
    )
    said = []

    async def act(pilot: Pilot[Any]) -> None:
        assert isinstance(pilot.app, Terminal)
        await pilot.press(*keys)
        await pilot.pause()
        said.append(app._said)

    on_screen(app, act)
    verbs: list[Verb] = [command.verb for command in box.poll().commands if command.verb is not Verb.PREVIEW]
    box.close()
    killed = latch.found() is not None
    latch.clear()
    return verbs, killed, said[0]


@pytest.mark.parametrize("what", PASTES)
def test_what_comes_at_once_steers_nothing(place: tuple[Path, Recorded], what: str) -> None:
    verbs, killed, said = left(place, PASTES[what], 0.002)
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
