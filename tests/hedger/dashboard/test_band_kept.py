"""A band that follows the index is not frozen by hand without a word, nor by Enter alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from textual.pilot import Pilot

from hedger.core.events import Verb
from hedger.dashboard.dialogs import Dialog
from tests.hedger.dashboard.made import on_screen, seen
from tests.hedger.dashboard.test_app import desk_of, letters, press, says

UNDER_DELTA = ("1", "home", "down", "b")
AS_IT_IS, FOLLOWS = "that is the band as it is", "the file's delta_usd follows the index"


def test_a_band_of_the_file_is_not_frozen_by_enter_alone(tmp_path: Path) -> None:
    with desk_of(tmp_path) as (rig, box, app):
        rig.command(Verb.BANDS, "delta:BTC=")

        async def act(pilot: Pilot[Any]) -> None:
            await press(pilot, *UNDER_DELTA)
            dialog = app.screen
            assert isinstance(dialog, Dialog)
            before = app.frame.bands["delta:BTC"]["trigger"]
            await press(pilot, "enter")
            assert f"NOT SENT: {AS_IT_IS}" in dialog.said and app.screen is dialog
            rig.mark(30.0)  # the index moves, and the band with it: the field is its old figures still
            for _ in range(200):
                await pilot.pause(0.02)
                if app.frame.bands["delta:BTC"]["trigger"] != before:
                    break
            assert app.frame.bands["delta:BTC"]["trigger"] != before
            await press(pilot, "enter")
            assert app.screen is dialog and AS_IT_IS in dialog.said
            await press(pilot, *"-2,2/-1,1")
            told = " ".join(" ".join(line.strip("│┃ ") for line in seen(app)).split())
            assert f"by hand it moves no more; {FOLLOWS}" in told
            assert "enter: go on to the reason" in told
            await press(pilot, "enter", *"mine", "enter")
            assert [command.argument for command in letters(box)] == ["delta:BTC=-2,2/-1,1"]

        on_screen(app, act, (80, 24))


def test_a_band_by_hand_follows_nothing_and_may_be_set_back_after_another_one(tmp_path: Path) -> None:
    with desk_of(tmp_path) as (rig, _, app):

        async def act(pilot: Pilot[Any]) -> None:
            await press(pilot, *UNDER_DELTA)
            await press(pilot, *" -0.05 , 0.050/-0.02,0.02")
            assert AS_IT_IS in app.screen.said
            rig.command(Verb.BANDS, "delta:BTC=-0.1,0.1/-0.05,0.05")
            await says(pilot, "new trigger -0.05 .. 0.05")
            assert AS_IT_IS not in app.screen.said and FOLLOWS not in app.screen.said

        on_screen(app, act)
