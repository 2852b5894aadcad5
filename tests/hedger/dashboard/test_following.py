"""An open dialog follows the engine, what it says and whether it sends; header and alerts follow, too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from hedger.core.events import Command, Verb
from hedger.dashboard.app import Terminal
from hedger.dashboard.dialogs import Dialog, KillNotice
from hedger.dashboard.keys import OF_DEMO
from hedger.dashboard.sheet import Tone
from hedger.desk.preview_text import legs_notional_usd
from hedger.journal.kill_latch import FileLatch, Latched
from pricing.universe import Universe
from tests.hedger.dashboard.made import HALF_S, Recorded, lived, on_screen, rows, seen, settled, shown
from tests.hedger.dashboard.test_app import desk_of, letters, press


@pytest.fixture
def rig(tmp_path: Path) -> Recorded:
    """An engine that is armed and has something to hedge."""
    rig = Recorded(rows(), tmp_path / "j")
    rig.answer(rig.mark())
    rig.command(Verb.ARM)
    return rig


def said(app: Terminal) -> str:
    assert isinstance(app.screen, Dialog)
    return app.screen.said


def header_tone(app: Terminal) -> Tone:
    """Of the line that counts alerts."""
    return app._header._lines[1][1]


async def until(pilot: Pilot[Any], so: Callable[[], bool]) -> None:
    """Frames come from a thread, four a second."""
    for _ in range(200):
        if so():
            return
        await pilot.pause(0.02)
    raise AssertionError("it never came to that")


async def asked(pilot: Pilot[Any], box: Any) -> Command:
    """What was left for the engine; a field tells of a change a moment later."""
    found: list[Command] = []

    def left() -> bool:
        found.extend(letters(box))
        return bool(found)

    await until(pilot, left)
    (command,) = found
    return command


@pytest.mark.parametrize(
    ("verb", "word"),
    [(Verb.KILL, "the engine is killed"), (Verb.PAUSE, "the engine is paused")],
)
@pytest.mark.parametrize("key", ["h", "F"])
def test_what_was_previewed_is_not_sent_once_the_engine_stops(
    tmp_path: Path, rig: Recorded, key: str, verb: Verb, word: str
) -> None:
    """From another shell, while the dialog is open: its first line says so, and its key sends nothing."""
    with desk_of(tmp_path, rig=rig) as (_, box, app):

        async def act(pilot: Pilot[Any]) -> None:
            await until(pilot, lambda: app.frame is not None and bool(app.frame.indexes))
            await press(pilot, key, *("BTC" if key == "F" else ""))
            rig.send(await asked(pilot, box))
            await until(pilot, lambda: "an estimate: " in said(app))
            assert "IT WOULD NOT LEAVE" not in said(app) and "send it, planned anew" in said(app)
            rig.command(verb)
            await until(pilot, lambda: "IT WOULD NOT LEAVE" in said(app))
            assert said(app).splitlines()[1] == f"IT WOULD NOT LEAVE: {word}"
            assert "send it, planned anew" not in said(app) and word in said(app).splitlines()[-1]
            await press(pilot, "H" if key == "h" else "enter")
            assert f"NOT SENT: {word}" in said(app) and not letters(box)

        on_screen(app, act, (80, 24))


@pytest.mark.parametrize(("key", "title"), [("r", "RESUME"), ("R", "REDUCING")])
def test_a_question_that_is_open_follows_a_kill(tmp_path: Path, rig: Recorded, key: str, title: str) -> None:
    rig.command(Verb.PAUSE)
    with desk_of(tmp_path, rig=rig) as (_, box, app):

        async def act(pilot: Pilot[Any]) -> None:
            await press(pilot, key)
            assert title in said(app) and "ARMED, PAUSED" in said(app) and "y: do it" in said(app)
            rig.command(Verb.KILL)
            await until(pilot, lambda: "KILLED" in said(app))
            assert "ARMED" not in said(app) and "y does nothing: the engine is killed" in said(app)
            await press(pilot, "y")
            assert title in said(app) and not letters(box)

        on_screen(app, act, (80, 24))


def test_a_resume_of_an_engine_that_sends_nothing_says_so(tmp_path: Path) -> None:
    rig = Recorded(rows(), tmp_path / "j")
    rig.answer(rig.mark())  # it observes
    with desk_of(tmp_path, rig=rig) as (_, box, app):

        async def act(pilot: Pilot[Any]) -> None:
            await press(pilot, "r")
            assert "NOTHING IS SENT ALL THE SAME: the engine only observes" in said(app)
            await press(pilot, "y")
            assert [c.verb for c in letters(box)] == [Verb.RESUME]  # it takes a pause back

        on_screen(app, act, (80, 24))


def test_before_a_flatten_stands_what_there_is_to_bring_to_zero(tmp_path: Path, rig: Recorded) -> None:
    with desk_of(tmp_path, rig=rig) as (_, box, app):

        async def act(pilot: Pilot[Any]) -> None:
            await until(pilot, lambda: app.frame is not None and bool(app.frame.held))
            await press(pilot, "F")
            snapshot = rig.state.snapshot
            assert snapshot is not None
            delta = float(snapshot.exposure.value[snapshot.exposure.rows.index("delta:BTC")])
            worth = f"{abs(delta) * snapshot.spot['BTC']:,.0f}"
            assert f"BTC: 3 positions, delta of about {worth} USD" in said(app)  # three are in `rows`
            assert "bands about zero: delta, gamma, vega, vega:0-7d" in " ".join(said(app).split())
            await press(pilot, *"BTC")
            assert "the engine has not answered yet" in said(app)
            command = await asked(pilot, box)
            await press(pilot, "enter")  # nobody has to wait for the plan
            assert [(c.verb, c.argument) for c in letters(box)] == [(Verb.FLATTEN, "BTC")]
            assert (command.verb, command.argument) == (Verb.PREVIEW, "flatten BTC")

        on_screen(app, act, (80, 24))


def test_the_notional_of_a_plan(rig: Recorded) -> None:
    """By hand: an inverse perpetual counts its dollars, an option the index of its coin, spot its price."""
    universe: Universe = rig.market.universe
    option = next(x.symbol for x in universe.listings if x.symbol.startswith("BTC") and x.symbol[-2:] == "-C")
    spot = next(x.symbol for x in universe.listings if x.symbol.startswith("BTC_"))
    names = [("BTC-PERPETUAL", "-1200", 70_000.0), (option, "2.5", 0.01), (spot, "0.5", 69_000.0)]
    legs = [
        {"venue": "simulated", "symbol": name, "quantity": quantity.lstrip("-"), "expected_price": price}
        for name, quantity, price in names
    ]
    assert legs_notional_usd(legs, universe, {"BTC": 70_000.0}) == pytest.approx(1200 + 2.5 * 70_000 + 34_500)
    assert legs_notional_usd(legs, universe, {}) is None  # no index
    assert legs_notional_usd([legs[0] | {"symbol": "GONE"}], universe, {"BTC": 70_000.0}) is None


def test_the_question_before_a_kill_says_what_it_would_do(tmp_path: Path) -> None:
    rig = lived(tmp_path / "j")
    with desk_of(tmp_path, rig=rig) as (_, _, app):

        async def act(pilot: Pilot[Any]) -> None:
            await press(pilot, "K")
            assert isinstance(app.screen, KillNotice) and "nothing new is sent, every order" in said(app)
            rig.command(Verb.KILL)
            await until(pilot, lambda: not app.screen.is_modal or "it is KILLED already" in said(app))
            await press(pilot, "escape")
            app.kill_press.asked_s = None
            await press(pilot, "K")
            assert "it is KILLED already, and every order is cancelled once more" in said(app)

        on_screen(app, act, (80, 24))
    app = shown(tmp_path / "j", rig.now_ns + HALF_S, control=True)  # the engine is gone

    async def alone(pilot: Pilot[Any]) -> None:
        await press(pilot, "K")
        assert "no engine runs, so the latch is set and the next start is killed" in said(app)

    on_screen(app, alone, (80, 24))


def test_data_grow_old_after_the_engine_has_ended(tmp_path: Path) -> None:
    """Half a second after its end, and a hundred seconds later; the last marks came 2 s before it."""
    rig = lived(tmp_path / "j")
    rig.journal.close()
    for later_s, word in ((0, "data 2.5 s old"), (100, "data 102 s old")):
        app = shown(tmp_path / "j", rig.now_ns + HALF_S + later_s * 10**9)

        async def act(pilot: Pilot[Any], word: str = word, app: Terminal = app) -> None:
            assert "NO ENGINE RUNS" in seen(app)[1] and word in seen(app)[2] and "no beat" in seen(app)[3]
            await press(pilot, "5")
            assert "simulated: link UP, and all ages, as of the engine's end" in seen(app)[5]

        on_screen(app, act, (80, 24))


def test_an_unknown_order_that_is_known_again_is_red_no_more(tmp_path: Path) -> None:
    rig = lived(tmp_path / "j")  # its last order is UNKNOWN
    rig.tick(11.0)
    with desk_of(tmp_path, rig=rig) as (_, _, app):

        async def act(pilot: Pilot[Any]) -> None:
            await press(pilot, "7")
            (line,) = [x for x in app.grid._drawn if "ORDER_UNKNOWN" in x.text]
            assert line.tone is Tone.BAD and "CRITICAL NEW" in line.text
            assert header_tone(app) is Tone.BAD and "critical 1, " in app._header.texts[1]
            unknown = next(x for x in rig.state.orders.values() if str(x.state) == "unknown").order
            rig.truth.cancel(unknown.client_id)
            rig.answer(rig.send(rig.truth.update(unknown.client_id), 2.0))
            known_at = f"{rig.now_ns // 10**9 % 86400 // 3600:02}:{rig.now_ns // 10**9 % 3600 // 60:02}"
            await until(pilot, lambda: "critical 1 (1 over), " in app._header.texts[1])
            await settled(pilot)
            await until(pilot, lambda: any("OVER" in x and "ORDER_UNKNOWN" in x for x in app.grid.texts))
            (line,) = [x for x in app.grid._drawn if "ORDER_UNKNOWN" in x.text]
            assert line.tone is Tone.DIM and f"critical NEW      OVER {known_at}:" in line.text
            assert header_tone(app) is Tone.WARN  # it is still to be acknowledged

        on_screen(app, act, (80, 24))


def test_a_kill_is_among_the_alerts_until_it_is_lifted(tmp_path: Path, rig: Recorded) -> None:
    with desk_of(tmp_path, rig=rig) as (_, _, app):

        async def act(pilot: Pilot[Any]) -> None:
            await press(pilot, "7")
            rig.answer(rig.command(Verb.KILL))
            await until(pilot, lambda: any("KILLED: killed by person" in x for x in app.grid.texts))
            (line,) = [x for x in app.grid._drawn if "KILLED: " in x.text]
            assert line.tone is Tone.BAD and "CRITICAL NEW" in line.text
            for _ in range(5):
                rig.answer(rig.tick(5.0))
            rig.answer(rig.command(Verb.UNKILL))
            assert str(rig.state.mode) == "observe"
            await until(pilot, lambda: any("OVER" in x and "KILLED: " in x for x in app.grid.texts))

        on_screen(app, act, (80, 24))


def test_a_latch_that_no_engine_has_written_down_is_an_alert(tmp_path: Path) -> None:
    rig = lived(tmp_path / "j")
    rig.journal.close()
    FileLatch(tmp_path / "j").set(Latched(rig.now_ns, "somebody", "a drill"))
    app = shown(tmp_path / "j", rig.now_ns + HALF_S, control=True)

    async def act(pilot: Pilot[Any]) -> None:
        await press(pilot, "7", "home")
        assert app.grid.current is not None and app.grid.current.tone is Tone.BAD
        assert "KILLED: killed by somebody: a drill; no engine has written it down" in app.grid.current.text
        await press(pilot, "a")
        assert "it stands until `hedger unkill" in seen(app)[-2]

    on_screen(app, act, (120, 24))


def test_the_demo_says_what_leaving_it_ends() -> None:
    (leave,) = (action for action in OF_DEMO if action.name == "quit")
    assert "the demo's engine ends" in leave.text and leave.keys == ("q",)
