"""The kill key from every panel and every dialog, on four hundred lines, and on two screens at once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from hedger.core.events import Verb
from hedger.dashboard.app import Terminal
from hedger.dashboard.dialogs import KillNotice
from hedger.journal.acknowledged import acknowledged
from hedger.journal.commands_file import CommandBox
from hedger.journal.entries import Kind, decision_entry
from hedger.journal.kill_latch import FileLatch
from tests.hedger.dashboard.made import HALF_S, Recorded, lived, on_screen, settled, shown

#: What is pressed before: every panel, and everything that can lie over it.
PLACES = {
    **{f"panel {i}": (str(i),) for i in range(1, 8)},
    "help": ("question_mark",),
    "filter": ("slash",),
    "filter, typed": ("slash", "B", "T"),
    "palette": ("colon",),
    "palette, typed": ("colon", "f", "l"),
    "resume": ("r",),
    "reduce": ("R",),
    "flatten": ("F",),
    "flatten, typed": ("F", "B", "T", "C"),
    "preview": ("h",),
    "detail": ("7", "home", "enter"),
    "lineage": ("6", "home", "down", "down", "enter"),
    "band": ("1", "home", "down", "b"),
    "reason": ("1", "home", "down", "b", *"-0.1,0.1/-0.05,0.05", "enter"),
    "a dialog over a dialog": ("question_mark", "colon"),
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Recorded]]:
    path = tmp_path_factory.mktemp("kill") / "j"
    rig = lived(path)
    yield path, rig
    rig.journal.close()


async def pressed(pilot: Pilot[Any], *keys: str) -> None:
    for key in keys:
        await pilot.press(key)
    await pilot.pause()


def test_two_presses_kill_from_every_panel_and_every_dialog(place: tuple[Path, Recorded]) -> None:
    path, rig = place
    app, latch = shown(path, rig.now_ns + HALF_S, control=True), FileLatch(path)
    reached: dict[str, str] = {}

    async def act(pilot: Pilot[Any]) -> None:
        for name, keys in PLACES.items():
            box = CommandBox(path)
            await pressed(pilot, keys[0])
            await settled(pilot)  # its lines
            await pressed(pilot, *keys[1:])
            reached[name] = type(app.screen).__name__
            await pressed(pilot, "K")
            assert isinstance(app.screen, KillNotice) and latch.found() is None, name
            await pressed(pilot, "K")
            found = latch.found()
            assert found is not None and found.user == "trader", name
            assert [c.verb for c in box.poll().commands if c.verb is not Verb.PREVIEW] == [Verb.KILL], name
            box.close()
            latch.clear()
            while app.screen.is_modal:
                await pressed(pilot, "escape")
            await pressed(pilot, "escape")  # the filter

    on_screen(app, act, (80, 24))
    over = {name: kind for name, kind in reached.items() if kind not in ("Screen", "KillNotice")}
    assert set(PLACES) - set(over) == {*(f"panel {i}" for i in range(1, 8)), "filter", "filter, typed"}


def test_with_four_hundred_lines_in_sight_it_kills_and_each_line_is_reached(tmp_path: Path) -> None:
    path = tmp_path / "j"
    rig = lived(path)
    last = list(rig.journal.storage.records(kinds=[Kind.DECISION]))[-1]
    document = json.loads(last.body)["document"]
    told = [
        {"action": "alert", "severity": "warning", "code": "DATA_GAP", "text": f"gap {i}"} for i in range(400)
    ]
    entry = decision_entry(last.seq, last.now_ns, "", document | {"actions": told}, quiet=False)
    rig.journal.append(entry)
    rig.journal.sync()
    app, box = shown(path, rig.now_ns + HALF_S, control=True), CommandBox(path)

    async def act(pilot: Pilot[Any]) -> None:
        await pressed(pilot, "7")
        await settled(pilot)
        assert sum("DATA_GAP: gap " in line for line in app.grid.texts) == 400
        for key, gap in (("home", 399), ("down", 398), ("pagedown", 383), ("up", 384), ("pageup", 399)):
            await pressed(pilot, key)
            top = round(app.grid.scroll_y)
            assert app.grid.texts[app.grid._at].endswith(f" gap {gap}"), key  # the cursor moved
            assert top <= app.grid._at < top + app.grid.size.height, key  # and it is in sight
        await pressed(pilot, "end", "a", "home", "a")
        await pilot.pause(0.6)
        await settled(pilot)
        await pressed(pilot, "K", "K")
        assert FileLatch(path).found() is not None

    on_screen(app, act, (80, 24))
    assert [c.verb for c in box.poll().commands] == [Verb.KILL]
    assert len(acknowledged(path)) == 2
    box.close()
    rig.journal.close()


def test_two_screens_with_control_at_once(tmp_path: Path) -> None:
    """Each leaves its own commands, a press on each is no second press, and both may kill."""
    path = tmp_path / "j"
    rig = lived(path)
    box = CommandBox(path)
    one, other = (shown(path, rig.now_ns + HALF_S, control=True) for _ in range(2))

    async def run() -> None:
        async with one.run_test(size=(80, 24)) as first, other.run_test(size=(200, 60)) as second:
            await asyncio.gather(settled(first), settled(second))
            await asyncio.gather(pressed(first, "p"), pressed(second, "p"))
            taken = box.poll().commands
            assert [c.verb for c in taken] == [Verb.PAUSE] * 2 and len({c.id for c in taken}) == 2
            for command in taken:
                rig.send(command)
            rig.mark(1.0)
            for app, pilot in ((one, first), (other, second)):
                await until_answered(app, pilot)
                assert "PAUSED" in app._header.texts[0]
            await pressed(first, "K")
            await pressed(second, "K")
            assert FileLatch(path).found() is None and box.poll().commands == ()
            await asyncio.gather(pressed(first, "K"), pressed(second, "K"))
            assert FileLatch(path).found() is not None
            taken = box.poll().commands
            assert [c.verb for c in taken] == [Verb.KILL] * 2
            for command in taken:
                rig.send(replace(command))
            for app, pilot in ((one, first), (other, second)):
                await until_answered(app, pilot)
                assert "KILLED" in app._header.texts[0]

    try:
        asyncio.run(run())
    finally:
        for app in (one, other):
            app.feed.close()
        box.close()
        rig.journal.close()


async def until_answered(app: Terminal, pilot: Pilot[Any]) -> None:
    """Until what it left was read in the journal."""
    for _ in range(400):
        await pilot.pause(0.02)
        if not app.pending:
            return
    raise AssertionError("no answer was ever read")
