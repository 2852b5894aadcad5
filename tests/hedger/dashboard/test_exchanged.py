"""A screen whose journal was moved away while a live engine began another under the same name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from hedger.core.events import Verb
from hedger.dashboard.header import EXCHANGED
from hedger.journal.acknowledged import acknowledged
from hedger.journal.commands_file import CommandBox, commands_path
from hedger.journal.identity import fingerprint_of
from hedger.journal.kill_latch import FileLatch
from hedger.journal.wishes import WishRefused
from tests.hedger.dashboard.made import Recorded, lived, on_screen, rows, seen, shown


def test_a_screen_that_said_paper_steers_no_live_engine_but_kills_it(tmp_path: Path) -> None:
    path = tmp_path / "j"
    rig = lived(path)
    app = shown(path, rig.now_ns, control=True)
    rig.journal.close()
    engines: list[Any] = []

    async def act(pilot: Pilot[Any]) -> None:
        assert app.control.send is not None and "PAPER" in seen(app)[1]
        for file in list(tmp_path.glob("j*")):
            file.rename(tmp_path / f"old-{file.name}")
        live = Recorded(rows(), path, "live")
        box = CommandBox(path, fingerprint=fingerprint_of(live.journal.storage))
        engines.extend((live, box))
        for _ in range(200):
            await pilot.pause(0.02)
            if EXCHANGED in app._header.texts[0]:
                break
        on_it = "\n".join(seen(app))
        assert EXCHANGED in on_it.splitlines()[0] and EXCHANGED in app._header.texts[0]
        assert "PAPER" not in on_it and "leave and start again" in app._header.texts[1]
        for key in ("p", "r", "D", "a"):
            await pilot.press(key)
            await pilot.pause()
            if app.screen.is_modal:
                await pilot.press("enter")
                await pilot.pause()
        for verb in set(Verb) - {Verb.KILL}:
            with pytest.raises(WishRefused, match="another journal"):
                app.control.send(verb, "", "r", "s")
        with pytest.raises(WishRefused, match="another journal"):
            app.control.acknowledge((1, 0))
        assert not commands_path(path).exists() or box.poll().commands == ()
        await pilot.press("K")
        await pilot.press("K")
        await pilot.pause()
        assert [c.verb for c in box.poll().commands] == ["kill"]

    try:
        on_screen(app, act)
    finally:
        for engine, box in [engines] if engines else []:
            box.close()
            engine.journal.close()
    assert FileLatch(path).found() is not None and acknowledged(path) == {}


def test_a_journal_that_is_moved_away_is_told_and_nothing_is_sent(tmp_path: Path) -> None:
    path = tmp_path / "j"
    rig = lived(path)
    app = shown(path, rig.now_ns, control=True)
    path.rename(tmp_path / "away")
    app.feed.step()
    assert app.feed.exchanged and "moved away" in app.feed.fault
    with pytest.raises(WishRefused, match="moved away"):
        app.control.send(Verb.PAUSE, "", "r", "s")
    (tmp_path / "away").rename(path)
    app.feed.step()
    assert not app.feed.exchanged and app.feed.fault == ""
    app.feed.close()
    rig.journal.close()


def test_what_a_screen_sends_says_which_journal_it_shows(tmp_path: Path) -> None:
    path = tmp_path / "j"
    rig = lived(path)
    app = shown(path, rig.now_ns, control=True)
    box = CommandBox(path, fingerprint="ef" * 16)  # an engine whose journal came there between look and send
    app.control.send(Verb.ARM, "", "r", "s")
    assert box.poll().commands == ()
    box.close()
    box = CommandBox(path, fingerprint=fingerprint_of(rig.journal.storage))
    app.control.send(Verb.ARM, "", "r", "s")
    assert [c.verb for c in box.poll().commands] == ["arm"]
    box.close()
    app.feed.close()
    rig.journal.close()
