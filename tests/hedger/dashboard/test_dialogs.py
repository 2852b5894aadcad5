"""Dialogs on the smallest screen: header, field and note stay in sight; what they call keys are the keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from hedger.dashboard.app import Terminal
from hedger.dashboard.dialogs import Dialog
from hedger.dashboard.header import LEAST
from hedger.dashboard.keys import ACTIONS, labels, remapped, textual_key
from tests.hedger.dashboard.made import HALF_S, lived, on_screen, seen, settled, shown
from tests.hedger.dashboard.test_app import desk_of, letters, press

SMALL = (80, 24)
#: What opens each dialog, and the last words that it must show.
DIALOGS = {
    "help": (("question_mark",), "escape: back"),
    "palette": (("colon",), "escape: back"),
    "resume": (("r",), "n, escape: do nothing"),
    "reduce": (("R",), "n, escape: do nothing"),
    "flatten": (("F",), "escape: do nothing"),
    "flatten, named": (("F", *"BTC"), "enter: send it, planned anew"),
    "preview": (("h",), "escape: do nothing"),
    "band": (("1", "down", "b", *"-0.1,0.1/-0.05,0.05"), "enter: go on to the reason"),
    "band, as it is": (("1", "down", "b"), "that is the band as it is; escape: do nothing"),
    "band, nonsense": (("1", "down", "b", "x"), "escape: do nothing"),
    "line": (("5", "enter"), "escape: back"),
    "alert": (("7", "enter"), "escape: back"),
    "kill": (("K",), "escape: do nothing"),
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, int]]:
    """The journal of an engine that still runs, and a time."""
    path = tmp_path_factory.mktemp("dialogs") / "j"
    rig = lived(path)
    yield path, rig.now_ns + HALF_S
    rig.journal.close()


@pytest.mark.parametrize("size", [SMALL, LEAST])
@pytest.mark.parametrize("name", DIALOGS)
def test_header_field_and_note_are_in_sight_on_a_small_screen(
    place: tuple[Path, int], tmp_path: Path, name: str, size: tuple[int, int]
) -> None:
    keys, last = DIALOGS[name]
    app = shown(*place, control=True)

    async def act(pilot: Pilot[Any]) -> None:
        while app.frame is None or not app.frame.indexes:
            await pilot.pause(0.05)
        before = seen(app)[:5]
        await press(pilot, *keys)
        assert isinstance(app.screen, Dialog)
        await pilot.pause()
        now = seen(app)
        assert [line[:40] for line in now[:4]] == [line[:40] for line in before[:4]], "the header is covered"
        text = " ".join(" ".join(line.strip("│┃").strip(" ┃│") for line in now).split())
        assert last in text, "\n".join(now)
        if app.screen.query("#dialog-field"):
            region = app.screen.query_one("#dialog-field").region
            assert region.height == 1 and region.bottom <= size[1] - 2
        box = app.screen.query_one("#dialog").region
        assert box.y >= 5 and box.bottom <= size[1] - 2

    on_screen(app, act, size)


def test_a_long_ticket_is_scrolled_and_what_sends_it_stays_in_sight(tmp_path: Path) -> None:
    with desk_of(tmp_path) as (rig, box, app):

        async def act(pilot: Pilot[Any]) -> None:
            await press(pilot, "F", *"BTC")
            found: list[Any] = []
            for _ in range(100):
                found += letters(box)
                if found:
                    break
                await pilot.pause(0.05)
            rig.send(found[0])
            for _ in range(60):
                await pilot.pause(0.05)
                if "rows before and after" in app.screen.said:
                    break
            await settled(pilot)
            now = "\n".join(seen(app))
            assert "enter: send it, planned anew" in now and "a flatten of BTC" in now and "sell" in now
            assert "cost USD" in now  # a leg is a line: nothing of it is broken off

        on_screen(app, act, SMALL)


def said(app: Terminal) -> str:
    """What the dialog says."""
    assert isinstance(app.screen, Dialog)
    return app.screen.said


def test_words_on_the_screen_name_the_keys_as_they_are_mapped(tmp_path: Path) -> None:
    other = {
        "kill": "X", "preview": "v", "send": "V", "acknowledge": "c", "help": "f2", "quit": "ctrl+x",
        "bands": "B", "pause": "z",
    }  # fmt: skip
    keys = remapped(dict(other), tmp_path)
    rig = lived(tmp_path / "j")
    app = shown(tmp_path / "j", rig.now_ns + HALF_S, control=True, actions=keys)

    async def act(pilot: Pilot[Any]) -> None:
        foot = seen(app)[-2]
        for words in ("XX kill", "f2 keys", "v preview", "z pause", "B band", "ctrl+x leave", "r resume"):
            assert words in foot, foot
        await press(pilot, "7", "end", "enter")
        assert "c acknowledges it" in said(app)
        await press(pilot, "escape", "V")
        assert "v first" in seen(app)[-2]
        await press(pilot, "X")
        assert "Press X again" in said(app)
        await press(pilot, "escape", "v")
        assert "V: send it" in said(app)
        await press(pilot, "V")
        assert "escape and v ask anew" in said(app)
        await press(pilot, "escape", "1", "down", "enter")
        assert "B edits" not in said(app)  # panel 2 tells of bands
        await press(pilot, "escape", "2", "slash", *"inside", "enter", "home", "enter")
        assert "B edits them" in said(app)

    on_screen(app, act, (120, 40))
    rig.journal.close()
    assert labels(keys) == {a.name: other.get(a.name, a.keys[0]) for a in ACTIONS}


@pytest.mark.parametrize("width", [80, 100, 200])
def test_no_key_is_cut_off_in_the_last_line(place: tuple[Path, int], width: int) -> None:
    app = shown(*place, control=True)

    async def act(pilot: Pilot[Any]) -> None:
        foot = seen(app)[-2]
        assert "…" not in foot
        for words in (
            "KK kill",
            "? keys",
            "h preview",
            "p pause",
            "r resume",
            "b band",
            "R reduce",
            "F flat",
        ):
            assert words in foot
        assert foot.rstrip("│ ").endswith("q leave")

    on_screen(app, act, (width, 24))


def at(app: Terminal) -> str:
    """What the cursor stands on."""
    assert app.grid.current is not None
    return app.grid.current.key


#: Keys that no other test presses, and whether they did what they say.
MOVES: dict[str, tuple[tuple[str, ...], Callable[[Terminal], bool]]] = {
    "pagedown": (("home", "pagedown"), lambda app: app.grid._at > 5),
    "pageup": (("end", "pageup"), lambda app: app.grid._at < len(app.grid.texts) - 6),
    "G": (("G",), lambda app: app.grid._at == len(app.grid.texts) - 1),
    "g": (("G", "g"), lambda app: at(app) == "BTC"),
    "right": (("home", "left", "right"), lambda app: len(app.grid.texts) > 10),
    "l": (("home", "left", "l"), lambda app: len(app.grid.texts) > 10),
    "f1": (("f1",), lambda app: "KILL: twice" in said(app)),
    "k": (("G", "k"), lambda app: app.grid._at == len(app.grid.texts) - 2),
}


@pytest.mark.parametrize("key", MOVES)
def test_keys_that_move(place: tuple[Path, int], key: str) -> None:
    keys, did = MOVES[key]
    app = shown(*place)

    async def act(pilot: Pilot[Any]) -> None:
        await press(pilot, *keys[:-1])
        await press(pilot, keys[-1])
        assert did(app)

    on_screen(app, act, SMALL)


def test_every_key_of_the_table_is_pressed_by_a_test() -> None:
    """What is pressed stands in these files as a text; a key that stands nowhere is tested by nobody."""
    told = "".join(path.read_text("utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    keys = {textual_key(key) for action in ACTIONS for key in action.keys}
    numbers = {str(i) for i in range(1, 8)}
    assert not {key for key in keys - numbers if f'"{key}"' not in told}


def test_the_screen_changes_its_size_and_nothing_is_lost(place: tuple[Path, int]) -> None:
    app = shown(*place)

    async def act(pilot: Pilot[Any]) -> None:
        await press(pilot, "2", "end")
        key = at(app)
        for size in ((200, 60), (80, 24), (120, 40), SMALL):
            await pilot.resize_terminal(*size)
            await pilot.pause(0.1)
            await settled(pilot)
            now = seen(app)
            assert len(now) == size[1] and max(map(len, now)) == size[0]
            assert now[1].startswith(("│PAPER", "▌PAPER")) and "[2 hedge]" in now[4]
            assert at(app) == key
            assert isinstance(app, Terminal)

    on_screen(app, act, SMALL)
