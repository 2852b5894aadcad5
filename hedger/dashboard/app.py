"""The terminal: one frame, one panel in sight, keys. A thread reads the journal; no key waits for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, ClassVar

from textual.app import App, ComposeResult, SystemCommand
from textual.binding import Binding
from textual.containers import Vertical
from textual.message import Message
from textual.screen import ModalScreen, Screen
from textual.widgets import Input

from hedger.core.commands import parse_bands
from hedger.core.events import Verb
from hedger.dashboard import effects
from hedger.dashboard.control import Control, screen_hash
from hedger.dashboard.dialogs import KILL_S, Confirm, Dialog, Field, Flatten, KillNotice, Preview, Typed
from hedger.dashboard.feed import Feed
from hedger.dashboard.frames import NAMES, Frame, Painter, Want
from hedger.dashboard.grid import Grid, Lines
from hedger.dashboard.header import BANNERS, header
from hedger.dashboard.keys import ACTIONS, Action, textual_key
from hedger.dashboard.narrator import LINES, Narrator, strip
from hedger.dashboard.panels import orders, preview
from hedger.dashboard.sheet import Drawn, Sheet, Tone, interval
from pricing.errors import HedgerError

#: Four frames a second at most.
TICK_S = 0.25
#: A frame that is older is told to be: the reading hangs, and what is on the screen is of then.
STALE_S = 3.0
_FILTER = "only lines with these words; escape clears it"
METRICS = ("pnl", "delta", "gamma", "vega")
#: The panel that a story begins on: next action, working orders, last ticket, decisions.
_OF_THE_STORY = 2

_CSS = """
Screen { background: $background; }
#frame { border: round #5fafff; padding: 0; height: 100%; border-title-style: bold; }
#frame.live { border: outer #ff5f00; border-title-background: #ff5f00; border-title-color: black;
              border-subtitle-background: #ff5f00; border-subtitle-color: black; }
#grid { height: 1fr; scrollbar-size-vertical: 1; scrollbar-size-horizontal: 0; overflow-x: hidden; }
#filter { height: 1; border: none; padding: 0; display: none; }
#filter.open { display: block; }
ModalScreen { background: $background 60%; }
Dialog { align: center middle; }
#dialog { width: 90%; max-width: 120; height: auto; max-height: 90%; border: heavy $warning;
          background: $surface; padding: 0 1; }
#dialog-title { text-style: bold; }
#dialog-body { height: auto; max-height: 60vh; margin: 1 0; }
#dialog-note { text-style: bold; height: auto; }
"""


class Framed(Message):
    """The reading thread has made a frame, or has failed."""

    def __init__(self, frame: Frame | None, error: Exception | None = None, story: str = "") -> None:
        super().__init__()
        self.frame, self.error, self.story = frame, error, story


class Terminal(App[Exception | None]):
    """See the module. Made by `terminal`, with its keys."""

    CSS = _CSS
    TITLE = "hedger"
    ACTIONS: ClassVar[tuple[Action, ...]] = ACTIONS

    def __init__(self, feed: Feed, control: Control, narrator: Narrator | None = None) -> None:
        super().__init__()
        self._feed, self._control, self._narrator = feed, control, narrator
        self._header, self._tabs, self._foot = Lines("header", 3), Lines("tabs", 1), Lines("foot", 1)
        self._grid, self._field = Grid("grid"), Field(placeholder=_FILTER, id="filter")
        self._strip = Lines("strip", LINES) if narrator is not None else None
        self._want = Want() if narrator is None else Want(panel=_OF_THE_STORY)
        self.frame: Frame | None = None
        self._framed_at = time.monotonic()
        self._wake, self._ended = threading.Event(), threading.Event()
        self._killed_at: float | None = None
        self._said = ""
        self._pending: dict[str, str] = {}
        self._filter = ""
        self._asked_preview: int | None = None

    @property
    def kill_keys(self) -> tuple[str, ...]:
        """Names of the keys that no field takes for itself."""
        return tuple(textual_key(k) for a in type(self).ACTIONS if a.name == "kill" for k in a.keys)

    def compose(self) -> ComposeResult:
        """Header, names of the panels, the panel, the line for words."""
        with Vertical(id="frame"):
            yield from (self._header, self._tabs, self._grid, self._field)
            if self._strip is not None:
                yield self._strip
            yield self._foot

    def on_mount(self) -> None:
        """Start the reading."""
        frame = self.query_one("#frame")
        trading = self._feed.name.trading
        frame.set_class(trading == "live", "live")
        word = BANNERS.get(trading, trading.upper())
        frame.border_title = (
            f" {word} " if trading != "live" else " LIVE  REAL MONEY  LIVE  REAL MONEY  LIVE "
        )
        frame.border_subtitle = frame.border_title
        self._grid.focus()
        self._show_tabs()
        self._show_foot()
        self.set_interval(1.0, self._look_at_age)
        threading.Thread(target=self._read, name="journal", daemon=True).start()

    def on_unmount(self) -> None:
        """No more reading."""
        self._ended.set()
        self._wake.set()

    # ------------------------------------------------------------------------------------------------ reading

    def _read(self) -> None:
        """The thread: read on, make a frame, wait."""
        painter = Painter(self._feed, self._control.allowed)
        try:
            while not self._ended.is_set():
                begun = time.monotonic()
                self._wake.clear()
                self._feed.step()
                narrator = self._narrator
                story = "" if narrator is None else narrator.look(self._feed, begun)
                self.post_message(Framed(painter.frame(self._want), story=story))
                if self._feed.caught_up:
                    self._wake.wait(max(TICK_S - (time.monotonic() - begun), 0.05))
        except Exception as error:  # of a thread nobody sees it otherwise: the screen ends with it
            if not self._ended.is_set():
                self.post_message(Framed(None, error))

    def on_framed(self, message: Framed) -> None:
        """Show a frame; of another panel than the one in sight it is too late."""
        if message.frame is None:
            self.exit(message.error, return_code=70)
            return
        self.frame, self._framed_at = message.frame, time.monotonic()
        self._header.show(header(message.frame.standing))
        if self._strip is not None:
            self._strip.show(strip(message.story, self._strip.size.width))
        if message.frame.want.panel == self._want.panel:
            self._show_sheet(message.frame.sheet)
        for id, what in list(self._pending.items()):
            if id in message.frame.replies:
                self._say(f"{what}: {message.frame.replies[id]}")
                del self._pending[id]
        self._answer_preview()

    def _look_at_age(self) -> None:
        old_s = time.monotonic() - self._framed_at
        if old_s > STALE_S and self.frame is not None:
            words = f"THIS SCREEN IS {old_s:.0f} s OLD: the journal is not being read"
            shown = list(header(self.frame.standing))
            self._header.show([(words, Tone.BAD), *shown[:2]])

    def _show_sheet(self, sheet: Sheet, anew: bool = False) -> None:
        self._grid.show(sheet, self._filter, anew=anew)

    def _show_tabs(self) -> None:
        names = (
            f"[{i} {name}]" if i == self._want.panel else f" {i} {name} " for i, name in enumerate(NAMES, 1)
        )
        self._tabs.show([("".join(names), Tone.HEAD)])

    def _say(self, text: str) -> None:
        self._said = text
        self._show_foot()

    def _show_foot(self) -> None:
        filtered = f"filter: {self._filter}  " if self._filter else ""
        keys = "? keys  q leave  / filter  : actions"
        if self._control.allowed:
            keys = "KK kill  ? keys  q leave  h preview  p pause  r resume  b band  R reduce  F flatten"
        self._foot.show([(filtered + (self._said or keys), Tone.DIM)])

    def lines(self) -> list[str]:
        """Everything in sight that is text: what a command's screen hash is over."""
        texts = [*self._header.texts, *self._grid.texts]
        if isinstance(self.screen, Dialog):
            texts.append(self.screen.said)
        return texts

    def _wants(self, **changes: Any) -> None:
        self._want = replace(self._want, **changes)
        self._wake.set()

    # ------------------------------------------------------------------------------------------------- moving

    def action_panel(self, number: int) -> None:
        """Another panel."""
        if number != self._want.panel:
            self._wants(panel=number)
            self._said = ""
            self._show_sheet((), anew=True)
            self._show_tabs()
            self._show_foot()

    def action_next_panel(self, by: int) -> None:
        """The next one, or the one before; in a dialog, the next field."""
        if isinstance(self.screen, ModalScreen):
            (self.screen.focus_next if by > 0 else self.screen.focus_previous)()
            return
        self.action_panel((self._want.panel - 1 + by) % len(NAMES) + 1)

    def action_move(self, by: int, pages: bool = False) -> None:
        """The cursor."""
        grid = self._grid
        grid.move(by * grid.page() if pages else by)

    def action_end(self, last: bool) -> None:
        """The first line, or the last."""
        self._grid.move_to_end(last)

    def action_branch(self, opened: bool) -> None:
        """Open or close the branch under the cursor."""
        current = self._grid.current
        if current is None or self._want.panel != 1 or not _is_branch(current):
            return
        closed = self._want.closed
        self._wants(closed=closed - {current.key} if opened else closed | {current.key})

    def action_drill(self) -> None:
        """Into the line under the cursor."""
        self._grid.choose()

    def on_grid_chosen(self, chosen: Grid.Chosen) -> None:
        """A branch opens or closes; an order shows its records; any other line all there is of it."""
        drawn = chosen.drawn
        if self._want.panel == 1 and _is_branch(drawn):
            self.action_branch(drawn.key in self._want.closed)
            return
        kind, _, rest = drawn.key.partition(" ")
        if kind in ("order", "fill"):
            self._show_lineage(rest.split(" ")[-1])
            return
        self.push_screen(Dialog(drawn.text.strip(" >"), "\n".join(drawn.more or (drawn.text.strip(),))))

    def _show_lineage(self, client_id: str) -> None:
        dialog = Dialog(f"lineage of {client_id}", "reading the journal")
        self.push_screen(dialog)

        def read() -> None:
            try:
                found = self._feed.lineage(client_id)
                rows = [(r.number, r.kind, r.seq, r.now_ns, r.text.decode()) for r in found]
                text = "\n".join(orders.lineage(client_id, rows))
            except Exception as error:  # of a thread nobody sees it otherwise: the dialog says it
                text = f"it cannot be read: {error}"
            self.call_from_thread(lambda: dialog.tell(text))

        threading.Thread(target=read, name="lineage", daemon=True).start()

    def action_filter(self) -> None:
        """Type what to look for."""
        field = self._field
        field.add_class("open")
        field.value = self._filter
        field.focus()

    def on_input_changed(self, changed: Input.Changed) -> None:
        """Filter while it is typed."""
        if changed.input.id == "filter":
            self._filter = changed.value
            self._show_again()

    def on_input_submitted(self, submitted: Input.Submitted) -> None:
        """Keep the filter, go back to the lines."""
        if submitted.input.id == "filter":
            self._end_filter()

    async def action_back(self) -> None:
        """Clear the filter and the last word."""
        self._filter, self._said = "", ""
        self._field.value = ""
        self._end_filter()

    def _end_filter(self) -> None:
        self._field.remove_class("open")
        self._grid.focus()
        self._show_again()
        self._show_foot()

    def _show_again(self) -> None:
        if self.frame is not None and self.frame.want.panel == self._want.panel:
            self._show_sheet(self.frame.sheet)

    def action_help(self) -> None:
        """The keys."""
        lines = [f"{', '.join(a.keys):<14} {a.text}{' [--control]' * a.control}" for a in type(self).ACTIONS]
        self.push_screen(Dialog("keys", "\n".join(lines)))

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """The palette: our actions and no others."""
        for action in type(self).ACTIONS:
            name = action.name.replace("_", " ")
            keys = ", ".join(action.keys)
            yield SystemCommand(f"{name} ({keys})", action.text, self._runner(action))

    def _runner(self, action: Action) -> Any:
        async def run() -> None:
            await self.run_action(_CALLS[action.name])

        return run

    def action_metric(self) -> None:
        """The next metric of the ladder."""
        place = METRICS.index(self._want.metric)
        self._wants(metric=METRICS[(place + 1) % len(METRICS)])

    def action_side(self) -> None:
        """Unhedged, or hedged."""
        self._wants(side="hedged" if self._want.side == "unhedged" else "unhedged")

    async def action_quit(self) -> None:
        """Leave; the engine goes on."""
        self.exit(None)

    # ------------------------------------------------------------------------------------------------ control

    def _send(self, verb: Verb, argument: str = "", reason: str = "") -> bool:
        """Leave a command; whether it was left."""
        try:
            id = self._control.send(verb, argument, reason or f"key {verb}", screen_hash(self.lines()))
        except HedgerError as error:
            self._say(f"NOT SENT: {error.what}; {error.fix}")
            self.bell()
            return False
        what = f"{verb} {argument}".strip()
        self._pending[id] = what
        self._say(f"{what}: left for the engine")
        self._wake.set()
        return True

    def _may(self, what: str) -> bool:
        if not self._control.allowed:
            self._say(
                f"READ-ONLY: {what} needs a terminal started with --control; `hedger kill` kills from a shell"
            )
            self.bell()
        return self._control.allowed

    def _summary(self) -> str:
        return "" if self.frame is None else "\n".join(text for text, _ in header(self.frame.standing))

    def action_pause(self) -> None:
        """One key."""
        if self._may("pause"):
            self._send(Verb.PAUSE)

    def action_resume(self) -> None:
        """After a look at the state."""
        if self._may("resume"):
            self._ask(Confirm("RESUME: hedges are sent again", self._summary()), Verb.RESUME)

    def action_reduce(self) -> None:
        """After a question."""
        if self._may("reduce"):
            self._ask(Confirm("REDUCING: only orders that lower the risk", self._summary()), Verb.REDUCE)

    def _ask(self, dialog: Confirm, verb: Verb) -> None:
        def answered(answer: str | None) -> None:
            if answer is not None:
                self._send(verb)

        self.push_screen(dialog, answered)

    def action_flatten(self) -> None:
        """The name must be typed."""
        if not self._may("flatten") or self.frame is None:
            return
        names = {name.casefold(): name for name in self.frame.indexes}
        rows = [
            row for row in self.frame.bands.values() if row["row"].startswith(("delta:", "gamma:", "vega:"))
        ]
        told = "\n".join(f"  {row['row']} {row['value']:.6g} {row['unit']}" for row in rows if row["value"])
        self._asked_preview = -1 if self.frame.preview is None else self.frame.preview[0]

        def check(text: str) -> tuple[bool, str]:
            name = names.get(text.strip().casefold())
            if name is None:
                return False, f"type one of {', '.join(names.values())}"
            return True, f"enter: plan {name} to zero"

        def named(text: str) -> str | None:
            name = names.get(text.strip().casefold())
            asked = None if name is None else f"flatten {name}"
            if asked is not None and asked != dialog.scope:
                self._send(Verb.PREVIEW, asked)
            return asked

        def answered(text: str | None) -> None:
            self._asked_preview = None
            if text is not None:
                self._send(Verb.FLATTEN, names[text.strip().casefold()])

        text = f"A plan like any other, to zero: one underlying's rows.\n{told}\n{self._summary()}"
        dialog = Flatten(text, check, named)
        self.push_screen(dialog, answered)

    def action_bands(self) -> None:
        """Another band for the row under the cursor."""
        row = self._row_under_cursor()
        if not self._may("bands"):
            return
        if row is None or self.frame is None:
            self._say("no band here: put the cursor on a row of panel 1 or 2")
            return
        found = self.frame.bands[row]
        history = tuple(self._feed.shown.history.get(row, ()))
        old = tuple(found["trigger"]), tuple(found["landing"])
        old_trigger = _open(found["trigger"])

        def check(text: str) -> tuple[bool, str]:
            bands = parse_bands(text)
            if bands is None:
                return False, "LOW,HIGH/LOW,HIGH: trigger and landing inside it, in the row's unit"
            against = effects.too_far(old_trigger, bands[0])
            if against:
                return False, against
            lines = effects.band_effect(history, old_trigger, bands[0])
            return True, f"{_words(old)}  ->  {_words(bands)}\n" + "\n".join(lines)

        def answered(text: str | None) -> None:
            if text is not None:
                self._why(row, _words(old), text)

        value = "/".join(",".join("" if x is None else f"{x:.6g}" for x in pair) for pair in old)
        text = f"{row}, {found['unit']}; now {found['value']}\nold {_words(old)}"
        self.push_screen(Typed(f"BAND of {row}", text, "LOW,HIGH/LOW,HIGH", check, value), answered)

    def _why(self, row: str, old: str, new: str) -> None:
        """The reason, then the command."""

        def check(text: str) -> tuple[bool, str]:
            return bool(text.strip()), "enter sends it" if text.strip() else "a reason is kept in the record"

        def answered(reason: str | None) -> None:
            if reason is not None:
                self._send(Verb.BANDS, f"{row}={new}", f"{reason.strip()} (was {old})")

        self.push_screen(Typed(f"BAND of {row}: why?", f"{old}  ->  {new}", "the reason", check), answered)

    def _row_under_cursor(self) -> str | None:
        current = self._grid.current
        row = "" if current is None else current.key.split(" ")[-1]
        bands = {} if self.frame is None else self.frame.bands
        return row if row in bands and bands[row]["trigger"] is not None else None

    def action_preview(self) -> None:
        """Ask the engine what a hedge would be."""
        if not self._may("preview") or self.frame is None:
            return
        if self._send(Verb.PREVIEW):
            before = -1 if self.frame.preview is None else self.frame.preview[0]
            keys = next(a.keys for a in type(self).ACTIONS if a.name == "send")
            dialog = Preview("PREVIEW: nothing is sent", tuple(map(textual_key, keys)), self._why_not_send)
            self._asked_preview = before
            self.push_screen(dialog, self._previewed)

    def _answer_preview(self) -> None:
        """Show the answer once it is there."""
        dialog, found = self.screen, self._new_preview()
        if found is None:
            return
        scope = str(found[1]["preview"]["scope"])
        asked = dialog.scope if isinstance(dialog, Flatten) else "" if isinstance(dialog, Preview) else None
        if isinstance(dialog, Dialog) and scope == asked:
            dialog.tell(preview.text(*found))

    def _new_preview(self) -> tuple[int, dict[str, Any]] | None:
        """The engine's last answer, if it came after we asked."""
        found = None if self.frame is None else self.frame.preview
        asked = self._asked_preview
        return None if found is None or asked is None or found[0] <= asked else found

    def _why_not_send(self) -> str:
        """Whether what was previewed may still be sent; the engine plans it anew on the market of then."""
        found = self._new_preview()
        if self.frame is None or found is None or found[1]["preview"]["scope"]:
            return "the engine has not answered yet"  # what has a scope answers another question
        shown = found[1]["preview"]
        if shown["against"]:
            return str(shown["against"])
        if not shown["ticket"] or not shown["ticket"]["legs"]:
            return "there is nothing to send"
        return effects.why_not_send(
            found[1]["now_ns"],
            dict(shown["indexes"]),
            self._feed.outside.now_ns(),
            self.frame.indexes,
            self.frame.marked_ns,
        )

    def _previewed(self, answer: str | None) -> None:
        if answer == "send" and self.frame is not None and self.frame.preview is not None:
            self._send(Verb.HEDGE, "", f"after the preview of record {self.frame.preview[0]}")
        self._asked_preview = None

    def action_send(self) -> None:
        """Only inside the preview."""
        self._say("a hedge is sent from inside the preview: h first")

    def action_acknowledge(self) -> None:
        """The alert under the cursor was seen."""
        current = self._grid.current
        words = [] if current is None else current.key.split(" ")
        if not self._may("acknowledge"):
            return
        if self._want.panel != 7 or words[:1] != ["alert"]:
            self._say("no alert here: put the cursor on one in panel 7")
            return
        try:
            self._control.acknowledge(int(words[1]))
        except HedgerError as error:
            self._say(f"NOT NOTED: {error.what}; {error.fix}")
            return
        self._say(f"alert of record {words[1]}: seen")
        self._wake.set()

    def action_kill(self) -> None:
        """The second press within two seconds kills."""
        if not self._may("kill"):
            return
        now = time.monotonic()
        first, self._killed_at = self._killed_at, now
        if first is None or now - first > KILL_S:
            key = next(a.keys[0] for a in type(self).ACTIONS if a.name == "kill")
            self.push_screen(KillNotice(key))
            return
        self._killed_at = None
        try:
            words = self._control.kill("key kill, twice", screen_hash(self.lines()))
        except HedgerError as error:
            words = f"NOT KILLED: {error.text()}"
        if isinstance(self.screen, KillNotice):
            self.screen.dismiss(None)
        self._say(words)
        self.notify(words, title="KILL", severity="error", timeout=30)
        self._wake.set()


def _is_branch(drawn: Drawn) -> bool:
    return drawn.text.lstrip(" >")[:2] in ("- ", "+ ")


def _open(pair: Iterable[float | None]) -> tuple[float, float]:
    low, high = pair
    return (-float("inf") if low is None else low), (float("inf") if high is None else high)


def _words(bands: Any) -> str:
    trigger, landing = bands
    return f"trigger {interval(trigger)} landing {interval(landing)}"


_CALLS = {
    **{f"panel_{i}": f"app.panel({i})" for i in range(1, 8)},
    "help": "app.help",
    "next_panel": "app.next_panel(1)",
    "last_panel": "app.next_panel(-1)",
    "up": "app.move(-1)",
    "down": "app.move(1)",
    "page_up": "app.move(-1, True)",
    "page_down": "app.move(1, True)",
    "top": "app.end(False)",
    "bottom": "app.end(True)",
    "close": "app.branch(False)",
    "open": "app.branch(True)",
    "drill": "app.drill",
    "filter": "app.filter",
    "palette": "app.command_palette",
    "back": "app.back",
    **{
        name: f"app.{name}"
        for name in (
            "metric",
            "side",
            "preview",
            "send",
            "pause",
            "resume",
            "bands",
            "reduce",
            "flatten",
            "acknowledge",
        )
    },
    "kill": "app.kill",
    "quit": "app.quit",
}


def terminal(
    feed: Feed, control: Control, actions: tuple[Action, ...] = ACTIONS, narrator: Narrator | None = None
) -> Terminal:
    """A terminal with these keys; the kill key goes before whatever has the keys at the moment. narrator:
    tells a story in a strip above the last line."""
    first = ("kill", "next_panel", "last_panel")  # a screen has its own idea of tab
    bindings = [
        Binding(textual_key(key), _CALLS[action.name], action.text, show=False, priority=action.name in first)
        for action in actions
        for key in action.keys
    ]
    made: type[Terminal] = type("Keyed", (Terminal,), {"BINDINGS": bindings, "ACTIONS": actions})
    return made(feed, control, narrator)
