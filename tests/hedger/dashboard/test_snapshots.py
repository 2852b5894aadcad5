"""Every panel at 80 x 24 and at 200 x 60, against what a person has looked at and kept.

`HEDGER_SNAPSHOTS=write` keeps what is shown now: look at the difference before it is committed.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from hedger.dashboard.feed import Feed
from hedger.dashboard.narrator import Narrator
from tests.hedger.dashboard.made import HALF_S, at_rest, lived, on_screen, seen, shown

#: As long as the demo's words are at most: three lines of a small screen.
STORY = (
    "DEMO 5/9 a fault: BTC fell, a hedge left, the venue dropped: order hdemo-113-0-0 is UNKNOWN. It counts "
    "as filled AND as not filled, and is never sent twice. Soon it is asked for, until the venue is sure of "
    "it."
)
KEPT = Path(__file__).parent / "snapshots"
PANELS = ("risk", "hedge", "whatif", "pnl", "venues", "orders", "alerts")


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    path = tmp_path_factory.mktemp("dashboard") / "j"
    rig = lived(path)
    rig.journal.close()
    return path, rig.now_ns + HALF_S


@pytest.mark.parametrize("size", [(80, 24), (200, 60)], ids=lambda size: f"{size[0]}x{size[1]}")
def test_panels(journal: tuple[Path, int], size: tuple[int, int]) -> None:
    path, now_ns = journal
    app = shown(path, now_ns)
    found: dict[str, str] = {}

    async def look(pilot: Pilot[Any]) -> None:
        read_s = time.monotonic()
        for number, name in enumerate(PANELS, 1):
            await pilot.press(str(number))
            found[name] = await at_rest(pilot, read_s)

    on_screen(app, look, size)
    for name, text in found.items():
        kept = KEPT / f"{name}_{size[0]}x{size[1]}.txt"
        if os.environ.get("HEDGER_SNAPSHOTS") == "write":
            kept.write_text(text, "utf-8")
        assert text == kept.read_text("utf-8"), name
        assert max(map(len, text.splitlines())) == size[0]
        assert len(text.splitlines()) == size[1]


class Fixed(Narrator):
    """Always tells the same; what the demo's own tells, and when, has tests of its own."""

    def look(self, feed: Feed, now_s: float) -> str:
        return STORY


@pytest.mark.parametrize("size", [(80, 24), (200, 60)], ids=lambda size: f"{size[0]}x{size[1]}")
def test_the_strip_of_the_demo(journal: tuple[Path, int], size: tuple[int, int]) -> None:
    path, now_ns = journal
    found: list[str] = []
    kept = KEPT / f"story_{size[0]}x{size[1]}.txt"
    app = shown(path, now_ns, control=True, narrator=Fixed(""))

    async def look(pilot: Pilot[Any]) -> None:
        found.append(await at_rest(pilot, time.monotonic()))

    on_screen(app, look, size)
    if os.environ.get("HEDGER_SNAPSHOTS") == "write":
        kept.write_text(found[0], "utf-8")
    assert found[0] == kept.read_text("utf-8")
    lines = found[0].splitlines()
    assert len(lines) == size[1] and "[2 hedge]" in lines[4]
    told = " ".join(line.strip("│").strip().removeprefix("» ") for line in lines[-5:-2])
    assert " ".join(told.split()) == STORY


def test_live_looks_unlike_paper_without_any_colour(tmp_path: Path) -> None:
    rig = lived(tmp_path / "j", "live")
    rig.journal.close()
    app = shown(tmp_path / "j", rig.now_ns + HALF_S)

    async def look(pilot: Pilot[Any]) -> None:
        top, *inner, bottom = seen(app)
        assert top.count("LIVE  REAL MONEY") == bottom.count("LIVE  REAL MONEY") == 2
        assert "PAPER" not in "\n".join((top, *inner, bottom))
        assert top[0] == "▛" and bottom[-1] == "▟"  # a thick frame; that of paper is thin and round
        assert inner[0].strip("▌▐").startswith("LIVE  REAL MONEY")

    on_screen(app, look)
