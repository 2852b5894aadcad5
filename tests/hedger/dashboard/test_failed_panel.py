"""A part of the screen that fails says so in its place: header, keys and the other panels go on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from hedger.core.events import Verb
from hedger.dashboard.feed import Feed
from hedger.dashboard.frames import Painter, ScreenFrame, Want
from hedger.dashboard.panel_table import Panel
from hedger.dashboard.panels import alerts, hedge, orders, pnl, risk, venues, whatif
from hedger.dashboard.ports import Ports
from hedger.desk.follow import Follower
from hedger.desk.profit import ProfitReader
from hedger.desk.venue_health import VenueReader
from hedger.journal.commands_file import CommandBox
from hedger.journal.kill_latch import FileLatch
from tests.hedger.dashboard.made import HALF_S, Recorded, lived, on_screen, seen, settled, shown
from tests.hedger.rig import desk

MADE_BY = {
    Panel.RISK: risk, Panel.HEDGE: hedge, Panel.WHAT_IF: whatif, Panel.PNL: pnl, Panel.VENUES: venues,
    Panel.ORDERS: orders, Panel.ALERTS: alerts,
}  # fmt: skip
WORDS = "INTERNAL ValueError: no shape"
Patch = pytest.MonkeyPatch


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    found = lived(tmp_path_factory.mktemp("failed") / "j")
    yield found
    found.journal.close()


def broken(*_: object, **__: object) -> Any:
    """In the place of what a panel is made by."""
    raise ValueError("no shape")


@pytest.mark.parametrize("panel", Panel)
def test_a_panel_that_fails_says_so_and_the_rest_goes_on(
    panel: Panel, rig: Recorded, monkeypatch: Patch
) -> None:
    monkeypatch.setattr(MADE_BY[panel], "sheet", broken)
    app, box = shown(rig.path, rig.now_ns + HALF_S, control=True), CommandBox(rig.path)
    latch, other = FileLatch(rig.path), panel % 7 + 1

    async def act(pilot: Pilot[Any]) -> None:
        await pilot.press(str(panel.value))
        await settled(pilot)
        lines = seen(app)
        assert any(f"this panel failed: {WORDS}" in line for line in lines)
        assert any("the other panels and keys go on" in line for line in lines)
        assert f"FAILED: panel {panel:d} | UNKNOWN orders" in lines[2]
        await pilot.press(str(other))
        await settled(pilot)
        assert "FAILED" not in "".join(lines := seen(app)) and "UNKNOWN orders" in lines[2]
        await pilot.press(str(panel.value))
        await settled(pilot)
        await pilot.press("K", "K")
        assert latch.found() is not None and [c.verb for c in box.poll().commands][-1] is Verb.KILL

    try:
        on_screen(app, act)
    finally:
        box.close()
        latch.clear()


def framed(rig: Recorded, panel: Panel = Panel.RISK) -> tuple[ScreenFrame, str]:
    """A frame of the whole journal, and the words of its panel."""
    feed = Feed(rig.path, desk(), Ports(lambda: rig.now_ns + HALF_S))
    try:
        while feed.step() or not feed.caught_up:
            pass
        frame = Painter(feed, control=True).frame(Want(panel))
    finally:
        feed.close()
    return frame, "\n".join(cell for section in frame.sheet for line in section.lines for cell in line.cells)


def test_a_book_that_cannot_be_valued_for_a_fault_of_ours_has_no_figures(
    rig: Recorded, monkeypatch: Patch
) -> None:
    monkeypatch.setattr(Follower, "snapshot", broken)
    frame, words = framed(rig)
    assert WORDS in words and "the book's valuation" in frame.facts.failed
    assert (frame.bands, frame.indexes, frame.marked_ns, frame.preview_usd) == ({}, {}, 0, None)


def test_what_dialogs_need_fails_by_itself(rig: Recorded, monkeypatch: Patch) -> None:
    """Nothing of it is known then, so nothing is sent on it; the panel stands."""
    whole, _ = framed(rig, Panel.ORDERS)
    monkeypatch.setattr("hedger.dashboard.frames.band_rows", broken)
    frame, words = framed(rig, Panel.ORDERS)
    assert whole.bands and whole.marked_ns and WORDS not in words and frame.sheet == whole.sheet
    assert (frame.bands, frame.indexes, frame.marked_ns) == ({}, {}, 0)
    assert f"what dialogs need ({WORDS})" in frame.facts.failed


def test_the_header_stands_without_the_ages_of_the_venues(rig: Recorded, monkeypatch: Patch) -> None:
    monkeypatch.setattr(VenueReader, "document", broken)
    app = shown(rig.path, rig.now_ns + HALF_S)

    async def act(pilot: Pilot[Any]) -> None:
        header = seen(app)[1:4]
        assert f"FAILED: ages of the venues ({WORDS})" in header[1]
        assert app.frame is not None and app.frame.facts.oldest_s is None
        assert "beat ?" in header[2] and "no beat" not in header[2]
        assert "nothing is held" not in "".join(header)
        await pilot.press("5")
        await settled(pilot)
        assert any(f"this panel failed: {WORDS}" in line for line in seen(app))

    on_screen(app, act)


def test_a_p_and_l_that_fails_while_it_is_read_is_told_in_its_panel(
    rig: Recorded, monkeypatch: Patch
) -> None:
    monkeypatch.setattr(ProfitReader, "heard", broken)
    frame, words = framed(rig, Panel.PNL)
    assert WORDS in words and frame.document is None and not frame.facts.fault


def test_a_journal_that_cannot_be_read_for_a_fault_of_ours_ends_the_screen(
    tmp_path: Path, monkeypatch: Patch
) -> None:
    """What is on it would be of no moment that can be named."""
    rig = lived(tmp_path / "j")
    app = shown(rig.path, rig.now_ns + HALF_S)

    async def act(pilot: Pilot[Any]) -> None:
        monkeypatch.setattr(Follower, "take", broken)
        rig.mark(1.0)
        for _ in range(200):
            if not app.is_running:
                break
            await pilot.pause(0.02)

    on_screen(app, act)
    rig.journal.close()
    assert app.return_code == 70 and isinstance(app.return_value, ValueError)
