"""Which hedge panel 3 means by "hedged": a preview of the book as it stands, none that is in it already."""

from __future__ import annotations

from pathlib import Path

import pytest

from hedger.core.events import Verb
from hedger.dashboard.feed import Feed
from hedger.dashboard.frames import Painter, Want
from hedger.dashboard.outside import Outside
from hedger.journal.kill_latch import FileLatch, Latched
from tests.hedger.dashboard.made import Recorded, rows
from tests.hedger.rig import desk


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "j"


@pytest.fixture
def rig(path: Path) -> Recorded:
    """An engine that observes, and has been asked what a hedge would be."""
    rig = Recorded(rows(), path)
    rig.answer(rig.mark())
    rig.command(Verb.PREVIEW, "")
    return rig


def hedge_line(path: Path, rig: Recorded) -> tuple[str, bool]:
    """What the panel says of the hedge, and whether its hedged side has figures."""
    rig.journal.sync()
    feed = Feed(path, desk(), Outside(lambda: rig.now_ns))
    while not feed.caught_up or not feed.number:
        feed.step()
    sheet = Painter(feed, control=False).frame(Want(3, side="hedged")).sheet
    feed.close()
    lines = {line.key: line.cells for section in sheet for line in section.lines}
    return lines["hedge"][0], "?" not in lines["0 0"][1:]


def test_a_preview_of_now_is_meant_and_its_age_said(path: Path, rig: Recorded) -> None:
    rig.mark(5.0)
    said, known = hedge_line(path, rig)
    assert said.startswith("hedged means: the preview of record ") and "5.0 s old" in said and known


def test_one_that_is_too_old_is_not(path: Path, rig: Recorded) -> None:
    rig.mark(16.0)
    said, known = hedge_line(path, rig)
    assert said.startswith("no hedge to show: ") and "16 s old: at most 15 s count" in said and not known


def test_one_that_was_sent_since_is_in_the_book_already(path: Path, rig: Recorded) -> None:
    before = rig.state.book
    rig.command(Verb.ARM)
    rig.answer(rig.mark(0.5))
    for _ in range(5):
        rig.answer(rig.tick(0.5))
    assert rig.state.book != before
    said, known = hedge_line(path, rig)
    assert "something was sent or filled since" in said and not known


@pytest.mark.parametrize(("scope", "word"), [("flatten BTC", "a flatten of BTC"), ("BTC", "a hedge of BTC")])
def test_one_of_another_question_is_not(path: Path, rig: Recorded, scope: str, word: str) -> None:
    rig.command(Verb.PREVIEW, scope)
    said, known = hedge_line(path, rig)
    assert f"it is of {word}, not of a hedge of the book" in said and not known


@pytest.mark.parametrize("paused", [False, True])
def test_that_nothing_leaves_of_an_engine_that_was_killed_goes_before_a_pause(
    path: Path, rig: Recorded, paused: bool
) -> None:
    rig.command(Verb.ARM)
    if paused:
        rig.command(Verb.PAUSE)
    rig.journal.sync()
    FileLatch(path).set(Latched(rig.now_ns, "somebody", "a drill"))
    feed = Feed(path, desk(), Outside(lambda: rig.now_ns))
    while not feed.caught_up or not feed.number:
        feed.step()
    (line, *_) = Painter(feed, control=False).frame(Want(2)).sheet[0].lines
    feed.close()
    assert "nothing leaves: the engine is killed" in line.cells[0]
