"""A journal as an engine writes it, made by the pure half on a small market, and terminals on it."""

from __future__ import annotations

import asyncio
import html
import re
from collections.abc import Callable, Coroutine, Iterator, Sized
from dataclasses import replace
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any
from unittest.mock import patch

from textual.pilot import Pilot

from hedger.core.decision import Decision
from hedger.core.events import Happening, Verb
from hedger.dashboard.app import Terminal, terminal
from hedger.dashboard.control import Control
from hedger.dashboard.feed import Feed
from hedger.dashboard.key_gate import Arrival
from hedger.dashboard.keys import ACTIONS, Action
from hedger.dashboard.narrator import Narrator
from hedger.dashboard.ports import Ports
from hedger.engine.heartbeat import Heartbeat
from hedger.engine.recording import JournalRecorder
from hedger.engine.starting import write_start
from hedger.journal.entries import Configuration, Head, JournalName
from hedger.journal.journal import Journal
from hedger.journal.recovery import Recovered
from tests.hedger.rig import CHAIN, Rig, desk, option_symbol
from venues.orders import Link, OrderState, OrderUpdate, VenueStatus
from venues.simulated import SimulatedMarket

HALF_S = 500_000_000
#: A key that is held so long is let go by none but another one.
FOR_GOOD_S = 1000.0


class Recorded(Rig):
    """A rig whose turns are written down."""

    def __init__(self, rows: dict[str, str], path: Path, trading: str = "paper", **execution: Any) -> None:
        super().__init__(rows, desk(**execution))
        name = JournalName(trading, "test")
        self.path, self.journal = path, Journal.open(path, name)
        self._recorder = JournalRecorder(self.journal)
        configuration = Configuration("1", "ab" * 32, "cd" * 32, user="person")
        fresh = Recovered(name, Head(0, name.genesis))
        write_start(
            self.journal, fresh, self.now_ns, configuration, self.market.universe.listings, self.state.book
        )

    def send(self, what: Happening, seconds: float = 0.0) -> Decision:
        before = self.state
        decision = super().send(what, seconds)
        self._recorder.turn(before, self.events[-1], self.state, decision)
        self.journal.sync()
        return decision


def rows() -> dict[str, str]:
    """A book on two options and a perpetual."""
    market = SimulatedMarket(7, settings=CHAIN)
    options = [option_symbol(market, place=i) for i in (2, 5)]
    return {"BTC-PERPETUAL": "600000", options[0]: "-3", options[1]: "2.5"}


def lived(path: Path, trading: str = "paper") -> Recorded:
    """Marks, arming, a hedge that fills, a venue that goes and comes, an order that nobody knows of."""
    rig = Recorded(rows(), path, trading)
    rig.answer(rig.mark())
    rig.command(Verb.ARM)
    rig.answer(rig.mark(0.5))
    for _ in range(20):
        if rig.state.execution is None:
            break
        rig.answer(rig.tick())
    rig.mark(30.0)
    rig.command(Verb.PREVIEW, "")
    rig.answer(rig.mark(60.0))
    rig.send(VenueStatus("simulated", Link.DOWN, text="closed by the venue"), 1.0)
    rig.answer(rig.send(VenueStatus("simulated", Link.UP), 1.0))
    rig.answer(rig.mark(1.0))
    rig.command(Verb.BANDS, "delta:BTC=-0.05,0.05/-0.02,0.02")
    done = rig.command(Verb.HEDGE)
    if done.orders:
        rig.truth.take(replace(done.orders[0], quantity=Decimal(done.orders[0].quantity)))
        rig.send(OrderUpdate(done.orders[0].client_id, OrderState.UNKNOWN, code="timeout"))
    rig.mark(1.0)
    return rig


def shown(
    path: Path,
    now_ns: int,
    *,
    control: bool = False,
    actions: tuple[Action, ...] = ACTIONS,
    narrator: Narrator | None = None,
    keys_apart_s: float = 1.0,
    hold_s: float = 0.001,
    times: Iterator[float] | None = None,
    ports: Ports | None = None,
) -> Terminal:
    """A terminal on a journal at a fixed time. keys_apart_s: between any two keys, however fast the test;
    times: at which they come, in its place. hold_s: so long a key that steers waits for another one. ports:
    its clocks and the engine's sign of life, else an engine that lives at a time that stands still."""
    beat = Heartbeat(4711, 0, now_ns - HALF_S // 2, 1, "armed")
    feed = Feed(path, desk(), ports or Ports(lambda: now_ns, lambda: beat, lambda: 0))
    came = count()
    app = terminal(
        feed,
        Control(path, control, "trader", feed.opened),
        actions,
        narrator,
        Arrival(lambda _: keys_apart_s * next(came) if times is None else next(times), hold_s),
    )
    app.said_s = app.stays_s = FOR_GOOD_S  # however slow the test
    return app


async def settled(pilot: Pilot[Any]) -> None:
    """Until the whole journal is read and the panel wanted is drawn."""
    app = pilot.app
    assert isinstance(app, Terminal)
    for _ in range(400):
        await pilot.pause(0.02)
        frame = app.frame
        if frame is not None and frame.caught_up and frame.want == app.reader.want:
            await pilot.pause()
            return
    raise AssertionError("the terminal never caught up")


async def at_rest(pilot: Pilot[Any], read_s: float) -> str:
    """What stands on the screen once nothing more comes: it was made after the whole journal was read, no
    work is done beside it, and two looks in a row are the same. read_s: when it was read, by the frames."""
    app = pilot.app
    assert isinstance(app, Terminal)
    painter, before = app.reader._painter, ""
    for _ in range(400):
        await settled(pilot)
        look = "\n".join(seen(app)) + "\n"
        venues, painted = painter._venues, painter._painted
        made_since = venues is not None and painted is not None and min(venues.at_s, painted.at_s) > read_s
        if made_since and look == before and not (painter.planner.work.busy or painter.margins.work.busy):
            return look
        before = look if made_since else ""
        await pilot.pause(0.05)
    raise AssertionError("the screen never came to rest")


def seen(app: Terminal) -> list[str]:
    """What stands on the screen, line by line, read off the picture that the program makes of itself."""
    svg = app.export_screenshot(simplify=True)
    wide, high = app.size
    lines = [[" "] * wide for _ in range(high)]
    places = re.findall(r'<text [^>]*x="([\d.]+)" y="([\d.]+)" textLength="([\d.]+)"[^>]*>(.*?)</text>', svg)
    ys = sorted({float(y) for _, y, _, _ in places})
    for x, y, _, text in places:
        words = html.unescape(text).replace("\xa0", " ")
        row = ys.index(float(y)) if len(ys) == high else round((float(y) - 18.5) / 24.4)
        start = round(float(x) / 12.2)
        for i, letter in enumerate(words):
            if 0 <= row < high and 0 <= start + i < wide:
                lines[row][start + i] = letter
    return [re.sub(r"\d+ ms", _no_figure, "".join(line)).rstrip() for line in lines]


def _no_figure(found: re.Match[str]) -> str:
    """A time that differs from run to run, in its place: what stands to the right of it does not move."""
    return "N ms".ljust(len(found[0]))


def _idle_of(app: Terminal) -> Callable[..., Coroutine[Any, Any, None]]:
    """Waits until what is wanted is drawn and every task waits for time or a key; Textual's own bound stays.
    A key that is held for a moment is waited for as well, one that is held for good is not.

    Its own measure is 20 ms with little CPU, twice a key: long, and wrong where a machine has other work.
    """

    async def idle(min_sleep: float = 0.0, max_sleep: float = 1.0) -> None:
        loop = asyncio.get_running_loop()
        ready: Sized = vars(loop)["_ready"]
        end, looks = loop.time() + max_sleep, 0
        while looks < 5 and loop.time() < end:
            drawn = app.frame is not None and app.frame.want == app.reader.want
            drawn = drawn and not (app.gate.holds and app.gate.arrival.hold_s < FOR_GOOD_S)
            await asyncio.sleep(0 if drawn else 0.002)  # a thread makes what is to be drawn
            looks = looks + 1 if drawn and not ready else 0

    return idle


def on_screen(
    app: Terminal, do: Callable[[Pilot[Any]], Coroutine[Any, Any, None]], size: tuple[int, int] = (120, 40)
) -> None:
    """Run a terminal without a terminal, and do something on it."""

    async def run() -> None:
        try:
            async with app.run_test(size=size) as pilot:
                await settled(pilot)
                await do(pilot)
        finally:
            app.feed.close()

    idle = _idle_of(app)
    with patch("textual.app.wait_for_idle", idle), patch("textual.pilot.wait_for_idle", idle):
        asyncio.run(run())
