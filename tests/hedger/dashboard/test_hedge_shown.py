"""Which hedge panel 3 means by "hedged": one that the screen plans, of the book as it stands, of no other."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from hedger.core.events import Verb
from hedger.dashboard.feed import Feed
from hedger.dashboard.frames import Painter, Want
from hedger.dashboard.margin_maker import MarginMaker
from hedger.dashboard.panel_table import Panel
from hedger.dashboard.planner import Planner
from hedger.dashboard.ports import Ports
from hedger.desk.look import Look, look_of
from hedger.desk.planned_hedge import Basis, Planned, basis_of
from hedger.desk.stressed import hedge_document
from hedger.journal.kill_latch import FileLatch, Latched
from hedger.planning import HedgePlan
from hedger.problem.snapshot import Snapshot
from pricing.errors import InputError
from tests.hedger.dashboard.made import HALF_S, Recorded, lived, on_screen, rows, seen, settled, shown
from tests.hedger.rig import desk

LONG_S = 60.0
Json = dict[str, Any]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "j"


@pytest.fixture
def rig(path: Path) -> Recorded:
    """An engine that only observes, with something to hedge; nobody has asked for a preview."""
    rig = Recorded(rows(), path)
    rig.answer(rig.mark())
    return rig


@pytest.fixture
def painter(path: Path, rig: Recorded) -> Iterator[Painter]:
    """Read-only, as it began to read."""
    feed = Feed(path, desk(), Ports(lambda: rig.now_ns))
    made = Painter(feed, control=False)
    read(made, rig)
    yield made
    made.planner.work.wait(LONG_S)
    feed.close()


def read(painter: Painter, rig: Recorded) -> None:
    rig.journal.sync()
    painter._feed.step()
    assert painter._feed.caught_up and painter._feed.number


def hedge_line(painter: Painter, side: str = "hedged", metric: str = "pnl") -> tuple[str, str]:
    """What the panel says of the hedge, and which side it shows."""
    painter._painted = None  # a second or two later
    sheet = painter.frame(Want(Panel.WHAT_IF, side=side, metric=metric)).sheet
    (line,) = (line for section in sheet for line in section.lines if line.key == "hedge")
    return line.cells[0], sheet[0].title.split(",")[0].split()[1]


def test_the_book_stands_alone_until_its_hedge_is_planned(painter: Painter) -> None:
    said, side = hedge_line(painter)
    assert (said, side) == ("a hedge is being planned; these are the figures without it", "unhedged")
    painter.planner.work.wait(LONG_S)
    sheet = painter.frame(
        Want(Panel.WHAT_IF, side="hedged")
    ).sheet  # at once, not only when the ladder is due again
    assert sheet[0].title.startswith("pnl hedged, ")
    said, side = hedge_line(painter)
    assert said.startswith("hedged means: hedge, 1 leg, ") and side == "hedged"


def test_nothing_is_planned_while_nobody_asks_for_it(painter: Painter) -> None:
    said, side = hedge_line(painter, "unhedged")
    assert said == "u plans a hedge and shows the book after it; nothing is sent" and side == "unhedged"
    for panel in (1, 2, 4, 5, 6, 7):
        painter.frame(Want(Panel(panel), side="hedged"))
    painter.planner.work.wait(LONG_S)
    assert painter.planner.work.number == 0


def test_it_is_planned_once_for_marks_that_hardly_move(painter: Painter, rig: Recorded) -> None:
    hedge_line(painter)
    painter.planner.work.wait(LONG_S)
    for _ in range(3):
        rig.send(replace(rig.market.marks(), now_ns=rig.now_ns), 1.0)
        read(painter, rig)
        assert hedge_line(painter)[1] == "hedged"
    painter.planner.work.wait(LONG_S)
    assert painter.planner.work.number == 1


def test_a_hedge_that_was_sent_since_is_in_the_book_already(painter: Painter, rig: Recorded) -> None:
    hedge_line(painter)
    painter.planner.work.wait(LONG_S)
    assert hedge_line(painter)[1] == "hedged"
    before = rig.state.book
    rig.command(Verb.ARM)
    rig.answer(rig.mark(0.5))
    assert rig.state.book != before
    read(painter, rig)
    assert hedge_line(painter)[1] == "unhedged"
    painter.planner.work.wait(LONG_S)
    said, side = hedge_line(painter)
    assert side == "hedged" and said.startswith("hedged means: no_trade, 0 legs, 0 USD, planned at ")
    assert painter.planner.work.number == 2


def test_margin_cells_stand_beside_the_hedge_that_is_in_them(painter: Painter, rig: Recorded) -> None:
    """Another hedge of the same book is planned meanwhile; the cells are not yet of it."""
    painter.margins = MarginMaker(rest=math.inf)  # never anew for younger marks alone
    first, cells, words = margin_shown(painter)
    assert words.startswith("hedged means: hedge, 1 leg, ") and first is painter.planner.work.found
    rig.mark(60.0)
    read(painter, rig)
    hedge_line(painter)
    painter.planner.work.wait(LONG_S)
    assert painter.planner.work.number == 2 and painter.planner.work.found is not first
    painter._painted = None
    frame = painter.frame(Want(Panel.WHAT_IF, metric="margin", side="hedged"))
    assert frame.document is not None and first is not None and first.plan is not None
    assert frame.document["ladder"] == cells and frame.document["hedge"] == hedge_document(first.plan)
    assert hedge_line(painter, metric="margin") == (words, "hedged")
    # other settings, which name the margin model, leave no cell as it was
    in_force = painter._feed.shown.follower.in_force
    in_force.settings = in_force.settings.model_copy()
    painter._painted = None
    assert painter.frame(Want(Panel.WHAT_IF, metric="margin", side="hedged")).document is None
    painter.margins.work.wait(LONG_S)


def margin_shown(painter: Painter) -> tuple[Planned | None, Json, str]:
    """The hedge that is planned, the margin ladder of it, and what the panel says that it is of."""
    want = Want(Panel.WHAT_IF, metric="margin", side="hedged")
    for _ in range(4):  # margins may be at work on the side without the hedge when it is planned
        painter._painted = None
        painter.frame(want)
        painter.planner.work.wait(LONG_S)
        painter.margins.work.wait(LONG_S)
    words, _ = hedge_line(painter, metric="margin")
    document = painter.frame(want).document
    assert document is not None
    return painter.planner.work.found, document["ladder"], words


def looked(painter: Painter) -> tuple[Basis, Look]:
    follower, snapshot = painter._feed.follower, painter.snapshot()
    look = look_of(follower)
    assert snapshot is not None and look is not None
    return basis_of(follower, snapshot), look


@pytest.mark.parametrize(
    ("spot", "later_s", "near"),
    [(1.0, 0.0, True), (1.0009, 29.0, True), (0.9989, 0.0, False), (1.0, 31.0, False)],
)
def test_what_is_a_market_that_has_hardly_moved(
    painter: Painter, spot: float, later_s: float, near: bool
) -> None:
    basis, _ = looked(painter)
    moved = {name: x * spot for name, x in basis.spot.items()}
    now = replace(basis, spot=moved, marked_ns=basis.marked_ns + round(later_s * 1e9))
    assert basis.same(now) and basis.near(now) is near
    other = replace(now, overrides={"delta:BTC": ((-1.0, 1.0), (-0.5, 0.5))})
    assert not basis.same(other)


def test_a_plan_that_fails_says_why(painter: Painter) -> None:
    basis, look = looked(painter)

    def refuse(of: Snapshot) -> HedgePlan:
        raise InputError("PLAN_NO", "no plan today", where="here")

    def stumble(of: Snapshot) -> HedgePlan:
        raise ZeroDivisionError("by nothing")

    for plan, why in ((refuse, "no plan today"), (stumble, "ZeroDivisionError: by nothing")):
        planner = Planner()
        assert planner.hedge(basis, partial(replace, look, plan=plan)) is None
        planner.work.wait(LONG_S)
        found = planner.hedge(basis, lambda: None)
        assert found is not None and found.plan is None and why in found.why
        painter.planner = planner
        said, side = hedge_line(painter)
        assert said == f"no hedge to show: {found.why}" and side == "unhedged"


def test_on_the_screen_its_key_shows_both(path: Path) -> None:
    rig = lived(path)
    rig.journal.close()
    app = shown(path, rig.now_ns + HALF_S)

    async def act(pilot: Pilot[None]) -> None:
        await pilot.press("3", "u")
        await settled(pilot)
        for _ in range(400):
            if any("pnl hedged" in line for line in seen(app)):
                return
            await pilot.pause(0.05)
        raise AssertionError("the hedged side never came")

    on_screen(app, act)


@pytest.mark.parametrize("paused", [False, True])
def test_that_nothing_leaves_of_an_engine_that_was_killed_goes_before_a_pause(
    path: Path, rig: Recorded, paused: bool
) -> None:
    rig.command(Verb.ARM)
    if paused:
        rig.command(Verb.PAUSE)
    rig.journal.sync()
    FileLatch(path).set(Latched(rig.now_ns, "somebody", "a drill"))
    feed = Feed(path, desk(), Ports(lambda: rig.now_ns))
    while not feed.caught_up or not feed.number:
        feed.step()
    (line, *_) = Painter(feed, control=False).frame(Want(Panel.HEDGE)).sheet[0].lines
    feed.close()
    assert "nothing leaves: the engine is killed" in line.cells[0]
