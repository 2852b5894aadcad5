"""Each key and dialog, without a terminal; the engine is a rig that answers what is left for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from hedger.core.decision import Decision
from hedger.core.events import Command, Verb
from hedger.dashboard.app import Terminal
from hedger.dashboard.control import Control
from hedger.dashboard.dialogs import Dialog, KillNotice
from hedger.dashboard.keys import ACTIONS, remapped
from hedger.journal.acknowledged import acknowledge, acknowledged
from hedger.journal.commands_file import CommandBox
from hedger.journal.kill_latch import FileLatch
from hedger.journal.lock import lock_path
from hedger.journal.storage import StorageFailed
from hedger.journal.wishes import WishRefused
from pricing.errors import InputError
from tests.hedger.dashboard.made import HALF_S, Recorded, lived, on_screen, seen, settled, shown


@contextmanager
def desk_of(
    tmp_path: Path, *, control: bool = True, rig: Recorded | None = None
) -> Iterator[tuple[Any, ...]]:
    """A running engine (its journal is open), its letter box, and a terminal on it."""
    rig = rig or lived(tmp_path / "j")
    box = CommandBox(tmp_path / "j")
    try:
        yield rig, box, shown(tmp_path / "j", rig.now_ns + HALF_S, control=control)
    finally:
        box.close()
        rig.journal.close()


async def press(pilot: Pilot[Any], *keys: str) -> None:
    for key in keys:
        await pilot.press(key)
    await pilot.pause()
    await settled(pilot)


async def says(pilot: Pilot[Any], words: str) -> None:
    """Until the dialog says so; it follows the engine."""
    dialog = pilot.app.screen
    assert isinstance(dialog, Dialog)
    for _ in range(200):
        if words in dialog.said:
            return
        await pilot.pause(0.05)
    raise AssertionError(f"{words!r} was never said: {dialog.said}")


def letters(box: CommandBox) -> list[Command]:
    return list(box.poll().commands)


Act = Callable[[Pilot[Any]], Coroutine[Any, Any, None]]


async def previewed(pilot: Pilot[Any], rig: Recorded, box: CommandBox) -> Decision:
    """The key is pressed, the engine answers, and the screen shows it."""
    await press(pilot, "h")
    (command,) = letters(box)
    decision = rig.send(command)
    await pilot.pause(0.6)
    await settled(pilot)
    return decision


def test_numbers_and_tab_lead_through_the_panels(tmp_path: Path) -> None:
    with desk_of(tmp_path, control=False) as (_, _, app):

        async def act(pilot: Pilot[Any]) -> None:
            for number in range(1, 8):
                await press(pilot, str(number))
                assert f"[{number} " in seen(app)[4]
            await press(pilot, "tab")
            assert "[1 risk]" in seen(app)[4]
            await press(pilot, "shift+tab")
            assert "[7 alerts]" in seen(app)[4]
            await press(pilot, "w")
            assert "[3 what-if]" in seen(app)[4]

        on_screen(app, act)


def test_the_tree_opens_and_closes_and_the_cursor_stays_on_its_line(tmp_path: Path) -> None:
    with desk_of(tmp_path, control=False) as (rig, _, app):

        async def act(pilot: Pilot[Any]) -> None:
            whole = len(app.grid.texts)
            await press(pilot, "left")
            assert len(app.grid.texts) < whole and app.grid.current.key == "BTC"
            await press(pilot, "enter")
            assert len(app.grid.texts) == whole
            await press(pilot, "end")
            last = app.grid.current.key
            rig.mark(1.0)
            await pilot.pause(1.0)
            await settled(pilot)
            assert app.grid.current.key == last
            await press(pilot, "home", "j", "k")
            assert app.grid.current.key == "BTC"

        on_screen(app, act)


def test_a_filter_shows_only_what_it_names(tmp_path: Path) -> None:
    with desk_of(tmp_path, control=False) as (_, _, app):

        async def act(pilot: Pilot[Any]) -> None:
            await press(pilot, "slash", *"perp", "enter")
            lines = [line for line in app.grid.texts if line.startswith(" ")]
            assert "BTC-PERPETUAL" in lines[-1] and len(lines) == 4  # below its coin and its expiry
            await press(pilot, "escape")
            assert len(app.grid.texts) > len(lines) + 3

        on_screen(app, act)


def test_help_lists_every_key_and_escape_closes_it(tmp_path: Path) -> None:
    with desk_of(tmp_path, control=False) as (_, _, app):

        async def act(pilot: Pilot[Any]) -> None:
            await press(pilot, "question_mark")
            assert isinstance(app.screen, Dialog)
            lines = app.screen.said.splitlines()
            for action in ACTIONS:
                (line,) = (line for line in lines if line.endswith(f" {action.text}"))
                keys = line.removesuffix(action.text).split()
                assert [key.strip(",") for key in keys] == list(action.keys)
            await press(pilot, "escape")
            assert not isinstance(app.screen, Dialog)

        on_screen(app, act)


def test_an_order_is_followed_down_to_its_records(tmp_path: Path) -> None:
    with desk_of(tmp_path, control=False) as (rig, _, app):

        async def act(pilot: Pilot[Any]) -> None:
            await press(pilot, "6", "enter")
            for _ in range(100):
                await pilot.pause(0.02)
                if "records" in app.screen.said:
                    break
            unknown = next(iter(r for r in rig.state.orders.values() if str(r.state) == "unknown"))
            said = app.screen.said
            assert unknown.order.client_id in said and "timeout" in said
            assert [k for k in ("decision:", "intent:", "acknowledgement:") if k in said].__len__() == 3

        on_screen(app, act)


def test_records_of_an_order_that_cannot_be_read_are_told_so(tmp_path: Path) -> None:
    with desk_of(tmp_path, control=False) as (_, _, app):

        def broken(client_id: str) -> None:
            raise StorageFailed("damaged", "records 3..4 are missing")

        app.feed.lineage = broken

        async def act(pilot: Pilot[Any]) -> None:
            await press(pilot, "6", "enter")
            await says(pilot, "it cannot be read: StorageFailed: ")
            assert "records 3..4 are missing" in app.screen.said

        on_screen(app, act)


@pytest.mark.parametrize("key", ["p", "r", "R", "F", "h", "b", "a", "K"])
def test_without_control_no_key_leaves_anything(tmp_path: Path, key: str) -> None:
    with desk_of(tmp_path, control=False) as (_, box, app):

        async def act(pilot: Pilot[Any]) -> None:
            await press(pilot, "down", key, key)
            assert not isinstance(app.screen, Dialog)
            assert "READ-ONLY" in seen(app)[-2]

        on_screen(app, act)
        assert not letters(box) and FileLatch(tmp_path / "j").found() is None


def test_pause_is_one_key_and_says_who_why_and_on_which_screen(tmp_path: Path) -> None:
    with desk_of(tmp_path) as (rig, box, app):

        async def act(pilot: Pilot[Any]) -> None:
            await press(pilot, "p")
            (command,) = letters(box)
            assert (command.verb, command.user) == (Verb.PAUSE, "trader")
            assert "dashboard, screen" in command.reason
            rig.send(command)
            await pilot.pause(0.6)
            await settled(pilot)
            assert "ARMED, PAUSED" in seen(app)[1]
            assert "pause: taken as event" in seen(app)[-2]

        on_screen(app, act)


@pytest.mark.parametrize(("key", "verb"), [("r", Verb.RESUME), ("R", Verb.REDUCE)])
def test_what_makes_it_freer_or_tighter_asks_first(tmp_path: Path, key: str, verb: Verb) -> None:
    with desk_of(tmp_path) as (_, box, app):

        async def act(pilot: Pilot[Any]) -> None:
            for no in ("n", "escape"):
                await press(pilot, key)
                assert isinstance(app.screen, Dialog) and "UNKNOWN orders 1" in app.screen.said
                await press(pilot, no)
                assert not letters(box)
            await press(pilot, key, "y")
            assert [c.verb for c in letters(box)] == [verb]

        on_screen(app, act)


def test_flatten_takes_the_name_of_an_underlying_and_nothing_else(tmp_path: Path) -> None:
    with desk_of(tmp_path) as (rig, box, app):

        async def act(pilot: Pilot[Any]) -> None:
            await press(pilot, "F", *"bt", "enter")
            assert isinstance(app.screen, Dialog) and "NOT SENT" in app.screen.said
            assert not letters(box)
            await press(pilot, "c")
            found: list[Command] = []
            for _ in range(100):  # what it would be is asked of the engine once the name is one
                found += letters(box)
                if found:
                    break
                await pilot.pause(0.05)
            (asked,) = found
            assert (asked.verb, asked.argument) == (Verb.PREVIEW, "flatten BTC")
            decision = rig.send(asked)
            assert decision.preview is not None and decision.preview.ticket is not None
            await pilot.pause(0.6)
            await settled(pilot)
            said = app.screen.said
            assert "a flatten of BTC" in said and "IT WOULD NOT LEAVE" in said  # an order is UNKNOWN
            for leg in decision.preview.ticket.legs:
                assert leg.symbol in said
            await press(pilot, "enter")
            assert [(c.verb, c.argument) for c in letters(box)] == [(Verb.FLATTEN, "BTC")]

        on_screen(app, act)


def test_the_preview_of_a_flatten_sends_no_hedge(tmp_path: Path) -> None:
    """Two terminals: the answer to the one's flatten is none to the other's hedge."""
    rig = Recorded({"BTC-PERPETUAL": "400000"}, tmp_path / "j")
    rig.answer(rig.mark())
    rig.command(Verb.ARM)
    with desk_of(tmp_path, rig=rig) as (_, box, app):

        async def act(pilot: Pilot[Any]) -> None:
            await press(pilot, "h")
            letters(box)
            assert rig.command(Verb.PREVIEW, "flatten BTC").preview is not None
            await pilot.pause(0.6)
            await settled(pilot)
            await press(pilot, "H")
            assert "NOT SENT: the engine has not answered yet" in app.screen.said and not letters(box)

        on_screen(app, act)


def test_an_alert_is_acknowledged_by_name_and_stays_so(tmp_path: Path) -> None:
    with desk_of(tmp_path) as (_, box, app):

        async def act(pilot: Pilot[Any]) -> None:
            await press(pilot, "a")
            assert "no alert here" in seen(app)[-2]
            await press(pilot, "7", "home")
            new = sum(" NEW " in line for line in app.grid.texts)
            while " NEW " not in app.grid.current.text:
                await press(pilot, "down")
            key = app.grid.current.key
            assert new > 0 and f"warnings {new}" in app._header.texts[1]
            await press(pilot, "a")
            await pilot.pause(0.6)
            await settled(pilot)
            assert app.grid.current.key == key and " trader " in app.grid.current.text
            assert f"warnings {new - 1}" in app._header.texts[1]
            assert not letters(box)  # it steers nothing

        on_screen(app, act)
    (kept,) = acknowledged(tmp_path / "j").values()
    assert kept.user == "trader" and (tmp_path / "j.acknowledged").stat().st_mode & 0o777 == 0o600


def test_what_stands_in_the_file_of_the_acknowledged_harms_nothing(tmp_path: Path) -> None:
    journal = tmp_path / "j"
    assert acknowledged(journal) == {}
    acknowledge(journal, (5, 1), "x" * 500, 7)
    with (tmp_path / "j.acknowledged").open("ab") as file:
        file.write(
            b"\xff\xfe\n"
            + b"[" * 5000
            + b'\n{"record": true}\n{"record": 6, "user": "u", "at_ns": 8}\n{"record": 7'
        )
    found = acknowledged(journal)
    assert list(found) == [(5, 1)] and len(found[5, 1].user) == 64
    (tmp_path / "k.acknowledged").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError):
        acknowledge(tmp_path / "k", (1, 0), "u", 1)
    assert not (tmp_path / "elsewhere").exists()


def test_the_palette_runs_what_is_chosen(tmp_path: Path) -> None:
    with desk_of(tmp_path, control=False) as (_, _, app):

        async def act(pilot: Pilot[Any]) -> None:
            await press(pilot, "colon")
            for action in ACTIONS:
                assert action.name.replace("_", " ") in app.screen.said and action.text in app.screen.said
            await press(pilot, *"panel", "down", "down", "down", "down", "up", "enter")
            assert app.reader.want.panel == 4
            await press(pilot, "colon", *"venues", "enter")
            assert app.reader.want.panel == 5
            await press(pilot, "colon", *"no such thing", "enter")
            assert "NOT DONE" in app.screen.said
            await press(pilot, "escape")
            assert not isinstance(app.screen, Dialog)
            assert app.reader.want.panel == 5

        on_screen(app, act)


def test_a_band_shows_old_and_new_and_asks_why(tmp_path: Path) -> None:
    with desk_of(tmp_path) as (_, box, app):

        async def act(pilot: Pilot[Any]) -> None:
            await press(pilot, "2", "slash", *"btc", "space", *"coin", "enter", "home", "b")
            assert "delta:BTC" in app.screen.said and "old trigger -0.05 .. 0.05" in app.screen.said
            field = app.screen.query_one("#dialog-field")
            field.value = "-9,9/-1,1"
            await press(pilot, "enter")
            assert "NOT SENT: 180.0 times the width" in app.screen.said
            field.value = "-0.1,0.1/-0.05,0.05"
            await press(pilot)
            assert "outside the new trigger" in app.screen.said and "new: about" in app.screen.said
            assert "estimated at" in app.screen.said and "0.05, target 0" in app.screen.said
            assert "target 0; by hand 0, or the landing edge nearest 0" in app.screen.said
            await press(pilot, "enter")
            await press(pilot, "enter")
            assert "NOT SENT: a reason" in app.screen.said and not letters(box)
            await press(pilot, *"quiet", "enter")
            (command,) = letters(box)
            assert (command.verb, command.argument) == (Verb.BANDS, "delta:BTC=-0.1,0.1/-0.05,0.05")
            assert command.reason.startswith("quiet (was trigger -0.05 .. 0.05 landing -0.02 .. 0.02)")

        on_screen(app, act)


def test_a_band_set_by_hand_is_said_and_given_back_to_the_file(tmp_path: Path) -> None:
    with desk_of(tmp_path) as (_, box, app):

        async def act(pilot: Pilot[Any]) -> None:
            await press(pilot, "2")
            (line,) = (line for line in seen(app) if "delta:BTC: trigger" in line)
            assert "trigger -0.05 .. 0.05, landing -0.02 .. 0.02 coin, set at 20" in line
            await press(pilot, "slash", *"btc", "space", *"coin", "enter", "home", "b")
            assert "the file says delta_usd: trigger -100000 .. 100000, landing -50000" in app.screen.said
            app.screen.query_one("#dialog-field").value = ""
            await press(pilot)
            assert "the settings file's own band again" in app.screen.said
            await press(pilot, "enter", *"over", "enter")
            (command,) = letters(box)
            assert (command.verb, command.argument) == (Verb.BANDS, "delta:BTC=")
            assert command.reason.startswith("over (was trigger -0.05 .. 0.05 landing -0.02 .. 0.02)")

        on_screen(app, act)


def test_what_is_said_of_a_band_is_of_the_band_in_force(tmp_path: Path) -> None:
    """Another person sets and takes it back while this one types."""
    with desk_of(tmp_path) as (rig, box, app):

        async def act(pilot: Pilot[Any]) -> None:
            await press(pilot, "2", "slash", *"btc", "space", *"coin", "enter", "home", "b")
            app.screen.query_one("#dialog-field").value = "-0.1,0.1/-0.05,0.05"
            await press(pilot)
            rig.command(Verb.BANDS, "delta:BTC=-0.01,0.01/-0.005,0.005")
            await says(pilot, "old trigger -0.01 .. 0.01 landing")
            assert "10.0 times" in app.screen.said
            rig.command(Verb.BANDS, "delta:BTC=-0.2,0.2/-0.1,0.1")
            await says(pilot, "old trigger -0.2 .. 0.2")
            await press(pilot, "enter")
            assert "why?" in app.screen.said and "old trigger -0.2 .. 0.2" in app.screen.said
            rig.command(Verb.BANDS, "delta:BTC=-0.3,0.3/-0.1,0.1")
            await says(pilot, "old trigger -0.3 .. 0.3")
            await press(pilot, *"mine", "enter")
            (command,) = letters(box)
            assert command.reason.startswith("mine (was trigger -0.3 .. 0.3 landing -0.1 .. 0.1)")

        on_screen(app, act)


def test_a_band_that_was_given_back_meanwhile_is_not_given_back_again(tmp_path: Path) -> None:
    with desk_of(tmp_path) as (rig, box, app):

        async def act(pilot: Pilot[Any]) -> None:
            await press(pilot, "2", "slash", *"btc", "space", *"coin", "enter", "home", "b")
            app.screen.query_one("#dialog-field").value = ""
            await press(pilot, "enter")
            rig.command(Verb.BANDS, "delta:BTC=")
            await says(pilot, "old trigger -1.")
            await press(pilot, *"mine", "enter")
            assert "NOT SENT: it is the settings file's own already" in app.screen.said
            assert not letters(box)

        on_screen(app, act)


def test_a_preview_is_the_engines_and_is_sent_only_while_it_holds(tmp_path: Path) -> None:
    with desk_of(tmp_path) as (rig, box, app):

        async def act(pilot: Pilot[Any]) -> None:
            await press(pilot, "H")
            assert not letters(box)
            await press(pilot, "h")
            (command,) = letters(box)
            assert command.verb is Verb.PREVIEW
            await press(pilot, "H")
            assert "NOT SENT: the engine has not answered yet" in app.screen.said
            decision = rig.send(command)
            await pilot.pause(0.6)
            await settled(pilot)
            assert decision.preview is not None
            assert "IT WOULD NOT LEAVE: execution" in app.screen.said  # an order is UNKNOWN
            await press(pilot, "H")
            assert "NOT SENT" in app.screen.said and not letters(box)

        on_screen(app, act)


def test_a_sound_preview_is_sent(tmp_path: Path) -> None:
    rig = Recorded({"BTC-PERPETUAL": "400000"}, tmp_path / "j")
    rig.answer(rig.mark())
    rig.command(Verb.ARM)
    with desk_of(tmp_path, rig=rig) as (_, box, app):

        async def act(pilot: Pilot[Any]) -> None:
            shown_first = (await previewed(pilot, rig, box)).preview
            assert shown_first is not None and shown_first.ticket is not None
            for leg in shown_first.ticket.legs:
                assert leg.symbol in app.screen.said
            await press(pilot, "H")
            (command,) = letters(box)
            legs = [[leg.venue, leg.symbol, leg.side] for leg in shown_first.ticket.legs]
            carried = {"cost_usd": pytest.approx(shown_first.ticket.cost_usd, rel=1e-8), "legs": legs}
            assert command.verb is Verb.HEDGE and json.loads(command.argument) == carried
            assert rig.send(command).ticket == shown_first.ticket

        on_screen(app, act)


def test_a_preview_that_has_become_another_hedge_is_not_sent_and_the_screen_says_why(tmp_path: Path) -> None:
    """Between the key and the engine every spread becomes 25 times as wide; no index moves."""
    rig = Recorded({"BTC-PERPETUAL": "400000"}, tmp_path / "j")
    rig.answer(rig.mark())
    rig.command(Verb.ARM)
    with desk_of(tmp_path, rig=rig) as (_, box, app):

        async def act(pilot: Pilot[Any]) -> None:
            await previewed(pilot, rig, box)
            await press(pilot, "H")
            (command,) = letters(box)
            rig.command(Verb.PAUSE)
            marks = rig.market.marks()
            half, middle = 12.5 * (marks.ask - marks.bid), 0.5 * (marks.ask + marks.bid)
            rig.mark(bid=middle - half, ask=middle + half, depth={})
            rig.command(Verb.RESUME)
            refused = rig.send(command)
            assert not refused.orders and refused.preview is not None and not rig.submits()
            await pilot.pause(0.6)
            await settled(pilot)
            assert any("hedge: NOT DONE: no hedge: it costs" in line for line in seen(app))
            await press(pilot, "7")
            assert any("HEDGE_REFUSED" in line for line in seen(app))

        on_screen(app, act)


@pytest.mark.parametrize("over", [(), ("F",)])  # from everywhere: test_kill_everywhere
def test_two_presses_kill_from_any_screen(tmp_path: Path, over: tuple[str, ...]) -> None:
    with desk_of(tmp_path) as (_, box, app):

        async def act(pilot: Pilot[Any]) -> None:
            await press(pilot, *over, "K")
            assert isinstance(app.screen, KillNotice) and FileLatch(tmp_path / "j").found() is None
            await press(pilot, "K")
            latched = FileLatch(tmp_path / "j").found()
            assert latched is not None and latched.user == "trader"
            assert [c.verb for c in letters(box) if c.verb is not Verb.PREVIEW] == [Verb.KILL]
            await pilot.pause(0.4)
            assert "KILLED" in app._header.texts[0]

        on_screen(app, act)


def test_one_press_or_two_far_apart_kill_nothing(tmp_path: Path) -> None:
    with desk_of(tmp_path) as (_, box, app):

        async def act(pilot: Pilot[Any]) -> None:
            await press(pilot, "K")
            app.kill_press.asked_s -= 2.5
            await press(pilot, "K")
            assert FileLatch(tmp_path / "j").found() is None and not letters(box)

        on_screen(app, act)


def test_nothing_is_left_where_no_engine_runs_but_the_latch_is_set(tmp_path: Path) -> None:
    rig = lived(tmp_path / "j")
    rig.journal.close()
    app = shown(tmp_path / "j", rig.now_ns + HALF_S, control=True)

    async def act(pilot: Pilot[Any]) -> None:
        await press(pilot, "p")
        assert "NOT SENT: no engine" in seen(app)[-2]
        await press(pilot, "K", "K")
        assert FileLatch(tmp_path / "j").found() is not None

    on_screen(app, act)


def test_other_keys_from_a_file(tmp_path: Path) -> None:
    rig = lived(tmp_path / "j")
    rig.journal.close()
    keys = remapped({"panel_5": "v", "kill": ["X"]}, tmp_path)
    app = shown(tmp_path / "j", rig.now_ns + HALF_S, control=True, actions=keys)

    async def act(pilot: Pilot[Any]) -> None:
        await press(pilot, "v")
        assert "[5 venues]" in seen(app)[4]
        await press(pilot, "5", "K", "K")
        assert FileLatch(tmp_path / "j").found() is None
        await press(pilot, "X", "X")
        assert FileLatch(tmp_path / "j").found() is not None

    on_screen(app, act)


def test_only_what_changed_is_drawn_again(tmp_path: Path) -> None:
    with desk_of(tmp_path, control=False) as (_, _, app):

        async def act(pilot: Pilot[Any]) -> None:
            await settled(pilot)
            before = -1
            while before != app.grid.drawn_lines:  # until what was asked for is drawn
                before = app.grid.drawn_lines
                await pilot.pause(0.5)
            for _ in range(5):
                await pilot.pause(0.25)
            assert app.grid.drawn_lines == before  # nothing came, nothing is drawn

        on_screen(app, act)


def test_the_metric_and_the_side_of_the_ladder(tmp_path: Path) -> None:
    with desk_of(tmp_path, control=False) as (_, _, app):

        async def act(pilot: Pilot[Any]) -> None:
            await press(pilot, "3")
            for metric in ("delta", "gamma", "vega", "margin", "pnl"):
                await press(pilot, "m")
                for _ in range(400):  # a thread reckons the margin
                    if "is being revalued" not in app.grid.texts[0]:
                        break
                    await pilot.pause(0.05)
                assert app.grid.texts[0].startswith(f"{metric} unhedged")
            await press(pilot, "u")
            for _ in range(400):  # a thread plans it
                if app.grid.texts[0].startswith("pnl hedged"):
                    return
                await pilot.pause(0.05)
            raise AssertionError("the hedged side never came")

        on_screen(app, act)


def test_q_leaves(tmp_path: Path) -> None:
    with desk_of(tmp_path, control=False) as (_, _, app):

        async def act(pilot: Pilot[Any]) -> None:
            await pilot.press("q")
            await pilot.pause()
            assert isinstance(app, Terminal) and not app.is_running

        on_screen(app, act)


def test_to_an_engine_of_another_build_goes_only_what_stops_and_everything_is_shown(tmp_path: Path) -> None:
    with desk_of(tmp_path) as (_, box, _):
        lock_path(tmp_path / "j").write_text('{"pid": 7, "build": "0.0.9+ab"}')  # as its writer says
        control = Control(tmp_path / "j", True, "trader")
        for verb in set(Verb) - {Verb.PAUSE, Verb.KILL}:
            with pytest.raises(WishRefused, match=r"OTHER_BUILD.*0\.0\.9"):
                control.send(verb, "", "because", "")
        assert letters(box) == []
        control.send(Verb.PAUSE, "", "because", "")
        assert "the engine cancels everything" in control.kill("because", "")
        assert [c.verb for c in letters(box)] == [Verb.PAUSE, Verb.KILL]
        app = shown(tmp_path / "j", 0)

        async def act(pilot: Pilot[Any]) -> None:
            await press(pilot, "2")
            assert "[2 " in seen(app)[4]

        on_screen(app, act)
