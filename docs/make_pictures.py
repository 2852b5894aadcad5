"""Pictures of the terminal, drawn by the program: `python -m docs.make_pictures` writes docs/pictures/*.svg.

An engine runs on paper on the simulated market; the terminal opens its journal beside it, and every panel
is kept as it draws itself. Then the demo is played, and its screen kept at some steps of its story. Nothing
in a picture is fetched from elsewhere. `--only story` or `--only panels` makes these alone.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

from textual.pilot import Pilot

from hedger.config import load
from hedger.core.events import Verb
from hedger.dashboard.app import Terminal, terminal
from hedger.dashboard.control import Control
from hedger.dashboard.feed import Feed
from hedger.dashboard.keys import ACTIONS
from hedger.dashboard.narrator import Narrator
from hedger.dashboard.ports import Ports
from hedger.demo.engine import DemoEngine
from hedger.engine.heartbeat import last_beat

FOLDER = Path(__file__).resolve().parent / "pictures"
SIZE = (132, 36)
#: Of the demo: a ticket has its legs below the bands.
STORY_SIZE = (132, 48)
RUN_MINUTES = 3.0
PATIENCE_S = 40.0
FILLS_MIN = 5
#: Some marks later there is a P&L to show.
AFTER_S = 12.0
#: Pictures by the keys that lead to them.
PANELS = {"risk": "1", "hedge": "2", "whatif": "3", "pnl": "4", "venues": "5", "orders": "6"}
#: Pictures of the demo by the step of its story that they show; the last after somebody has killed.
STORY = {"demo_ticket": 1, "demo_verified": 3, "demo_unknown": 4, "demo_killed": 7}
STORY_S_MAX = 180.0
#: Fonts of the drawing library come from a content network; the reader's own are as good.
_FONT_FACE = re.compile(r"@font-face \{.*?\}", re.DOTALL)
_FONT = re.compile(r"font-family: ?Fira Code[^;]*;")


def main() -> int:
    """Run the engine, look at it, write."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--out", type=Path, default=FOLDER, help="folder to write into")
    words.add_argument("--only", choices=("panels", "story"), help="these alone")
    given = words.parse_args()
    drawn = {} if given.only == "story" else _panels()
    drawn |= {} if given.only == "panels" else _story()
    for name, svg in drawn.items():
        (given.out / f"{name}.svg").write_text(svg, "utf-8")
        print(given.out / f"{name}.svg", file=sys.stderr)
    return 0


def _story() -> dict[str, str]:
    """The demo's screen at the steps of its story."""
    with tempfile.TemporaryDirectory() as folder:
        journal = Path(folder) / "journal"
        with DemoEngine(journal, 7, None) as engine:
            engine.wait_for(journal.with_name(journal.name + ".heartbeat"))
            return asyncio.run(_told(journal))


async def _told(journal: Path) -> dict[str, str]:
    """Every step that is kept, as a picture."""
    settings = load(None).settings
    feed = Feed(journal, settings, Ports(beat=partial(last_beat, journal)))
    control, narrator = Control(journal, True, "trader"), Narrator("the demo's folder")
    app = terminal(feed, control, narrator=narrator)
    found = {}
    try:
        async with app.run_test(size=STORY_SIZE) as pilot:
            await _settled(app, pilot)
            control.send(Verb.ARM, "", "the demo arms its own engine, on paper", "none")
            for name, step in STORY.items():
                end = time.monotonic() + STORY_S_MAX
                while narrator.place.step < step:
                    await pilot.pause(0.05)
                    if time.monotonic() > end:
                        raise SystemExit(f"the story did not come to {name}")
                if step == STORY["demo_killed"]:
                    await pilot.press("K", "K")
                await pilot.pause(1.5)  # the screen follows what the narrator knows
                found[name] = still(app.export_screenshot(title="hedger demo"))
    finally:
        feed.close()
    return found


def _panels() -> dict[str, str]:
    """Every panel of the terminal."""
    with tempfile.TemporaryDirectory() as folder:
        journal = Path(folder) / "desk.journal"
        run = (sys.executable, "-m", "hedger", "run", "--arm", "--minutes", str(RUN_MINUTES))
        with subprocess.Popen(
            (*run, "--journal", str(journal)),
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as engine:
            try:
                _wait_for_fills(journal)
                return asyncio.run(_drawn(journal))
            finally:
                engine.terminate()  # an orderly end


def _wait_for_fills(journal: Path) -> None:
    """Until the first hedge is done, at most for `PATIENCE_S`."""
    for _ in range(int(PATIENCE_S)):
        time.sleep(1.0)  # the engine is another process: its journal is all that tells
        words = (sys.executable, "-m", "hedger", "journal", "show", "--kind", "fill", "--json")
        ran = subprocess.run((*words, "--journal", str(journal)), capture_output=True, text=True)
        if ran.returncode == 0 and len(json.loads(ran.stdout)["records"]) >= FILLS_MIN:
            time.sleep(AFTER_S)
            return
    raise SystemExit("the engine filled nothing in time")


async def _drawn(journal: Path) -> dict[str, str]:
    """Every panel as a picture."""
    settings = load(None).settings
    feed = Feed(journal, settings, Ports(beat=partial(last_beat, journal)))
    app = terminal(feed, Control(journal, True, "trader"), ACTIONS)
    found = {}
    try:
        async with app.run_test(size=SIZE) as pilot:
            for name, key in PANELS.items():
                await pilot.press(key)
                await _settled(app, pilot)
                found[name] = still(app.export_screenshot(title="hedger dashboard"))
    finally:
        feed.close()
    return found


async def _settled(app: Terminal, pilot: Pilot[Any]) -> None:
    """Until the journal is read and the panel wanted is drawn in full."""
    for _ in range(400):
        await pilot.pause(0.05)
        frame = app.frame
        if frame is not None and frame.caught_up and frame.want == app.reader.want:
            break
    await pilot.pause(1.0)  # what a frame lacks comes with the next


def still(svg: str) -> str:
    """A picture that needs nothing from elsewhere.

    >>> still("@font-face { src: url(https://x) } .a { font-family: Fira Code; }")
    ' .a { font-family: monospace; }'
    """
    return _FONT.sub("font-family: monospace;", _FONT_FACE.sub("", svg))


if __name__ == "__main__":
    sys.exit(main())
