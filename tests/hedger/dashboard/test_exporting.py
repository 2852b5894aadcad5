"""The key that writes what a panel shows: which files, with what in them, and never over another."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from hedger.dashboard.app import Terminal
from hedger.dashboard.exporting import command_of
from hedger.dashboard.frames import Want
from hedger.dashboard.keys import ACTIONS, remapped
from hedger.dashboard.panel_table import PANELS, Panel
from tests.hedger.command_line import strict_json
from tests.hedger.dashboard.made import HALF_S, Recorded, lived, on_screen, settled, shown


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Recorded]]:
    path = tmp_path_factory.mktemp("export") / "j"
    rig = lived(path)
    yield path, rig
    rig.journal.close()


def said_after(app: Terminal, *keys: str) -> str:
    """The last line once the files are there."""
    said = []

    async def act(pilot: Pilot[Any]) -> None:
        await pilot.press(*keys[:-1])
        await settled(pilot)
        await pilot.press(keys[-1])
        for _ in range(400):
            if app._said != "writing":
                break
            await pilot.pause(0.01)
        said.append(app._said)

    on_screen(app, act)
    return said[0]


def files(path: Path) -> set[str]:
    return {p.name for p in path.parent.iterdir() if p.suffix in (".json", ".csv")}


@pytest.mark.parametrize(("panel", "stem"), [(panel, kind.stem) for panel, kind in PANELS.items()])
def test_every_panel_is_written_as_it_stands(panel: Panel, stem: str, place: tuple[Path, Recorded]) -> None:
    path, rig = place
    before = files(path)
    app = shown(path, rig.now_ns + HALF_S)
    said = said_after(app, str(int(panel)), "e")
    new = sorted(files(path) - before)
    assert [name.rpartition(".")[2] for name in new] == ["csv", "json"]
    table, twin = (path.with_name(name) for name in new)
    assert said.startswith(f"written: {twin} and {table.name}; ") and twin.name.startswith(f"j-{stem}-20")
    document = strict_json(twin.read_text("utf-8"))
    assert app.frame is not None and document == json.loads(json.dumps(app.frame.document))
    rows = list(csv.reader(table.read_text("utf-8").splitlines()))
    lines = [(section.title, line) for section in app.frame.sheet for line in section.lines]
    told = [row for row in rows if row[0] != "section"]
    assert [(row[0], row[1]) for row in told] == [(title, line.cells[0].strip()) for title, line in lines]
    assert all(p.stat().st_mode & 0o077 == 0 for p in (table, twin))


def test_the_command_has_what_the_panel_was_asked_for() -> None:
    assert (
        command_of(Want(Panel.WHAT_IF, metric="vega", side="hedged"))
        == "whatif --metric vega --hedged --json"
    )
    assert command_of(Want(Panel.HEDGE)) == "status --hedge --json"


def test_no_file_is_written_over_and_the_key_may_be_another(place: tuple[Path, Recorded]) -> None:
    path, rig = place
    now_ns = rig.now_ns + HALF_S + 60_000_000_000
    before = files(path)
    for _ in range(3):
        said_after(shown(path, now_ns), "5", "e")
    new = sorted(files(path) - before)
    assert len(new) == 6 and sum("-2." in name for name in new) == 2 == sum("-3." in name for name in new)
    actions = remapped({"export": "ctrl+e"}, Path("keys.toml"))
    app = shown(path, now_ns, actions=actions)
    assert said_after(app, "5", "ctrl+e").startswith("written: ")
    assert any(action.name == "export" and action.keys == ("e",) and not action.control for action in ACTIONS)


def test_where_nothing_may_be_made_beside_the_journal_it_is_the_working_directory(
    place: tuple[Path, Recorded], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that is none stands for one that may not be written: root may write everywhere."""
    path, rig = place
    monkeypatch.chdir(tmp_path)
    app = shown(path, rig.now_ns + HALF_S)
    app.feed.journal = path / "nothing" / "j"
    said = said_after(app, "7", "e")
    assert said.startswith(f"written: {tmp_path}/j-alerts-20") and len(list(tmp_path.iterdir())) == 2
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    app = shown(path, rig.now_ns + HALF_S)
    app.feed.journal = path / "nothing" / "j"
    assert said_after(app, "7", "e").startswith("NOT WRITTEN, ")


def test_what_cannot_be_written_is_said(
    place: tuple[Path, Recorded], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A document with a figure that JSON has not."""
    path, rig = place
    before = files(path)
    monkeypatch.setattr(
        "hedger.dashboard.panels.venues.sheet", lambda health: health.update(x=math.nan) or ()
    )
    said = said_after(shown(path, rig.now_ns + HALF_S), "5", "e")
    assert said.startswith("NOT WRITTEN: ValueError: ") and files(path) == before
