"""The terminal: one frame, one panel in sight, keys. A thread reads the journal; no key waits for it.

Which keys come through stands in `key_gate`; what the keys of control do in `control_keys`, `tickets` and
`band_edit`; what they are called in `calls`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import ClassVar

from textual import events
from textual.app import App, ComposeResult
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.timer import Timer
from textual.widgets import Input

from hedger.core.events import Verb
from hedger.dashboard import band_edit, control_keys, tickets
from hedger.dashboard.background import Background
from hedger.dashboard.calls import CALLS, bindings
from hedger.dashboard.continuing import continue_whole
from hedger.dashboard.control import Control
from hedger.dashboard.dialogs import Dialog, Field
from hedger.dashboard.exporting import export
from hedger.dashboard.feed import NOT_DONE, Feed
from hedger.dashboard.frames import Painter, ScreenFrame, Want
from hedger.dashboard.grid import Grid, Lines
from hedger.dashboard.header import BANNERS, EXCHANGED, header, header_small, hints, tabs, too_small
from hedger.dashboard.key_gate import Arrival, Behind, KeyGate
from hedger.dashboard.keys import ACTIONS, Action, labels
from hedger.dashboard.kill_press import KillPress
from hedger.dashboard.narrator import LINES, Narrator, strip
from hedger.dashboard.palette import Palette
from hedger.dashboard.panel_table import PANELS, TITLES, Panel
from hedger.dashboard.panels import orders
from hedger.dashboard.reader_thread import Framed, Reader
from hedger.dashboard.seat import Pending
from hedger.dashboard.sheet import Drawn, Sheet, Tone
from hedger.dashboard.style import CSS
from hedger.desk.ladder_metrics import METRICS
from hedger.journal.wishes import PATIENCE_S

#: A frame that is older is told to be: the reading hangs, and what is on the screen is of then.
STALE_S = 3.0
#: Seconds for which a word covers the keys in the last line: one that tells, and one that must be seen.
SAID_S, STAYS_S = 6.0, 30.0
_NOT_WRITTEN = "NOT WRITTEN"
_FILTER = "only lines with these words; escape clears it"
#: The panel that a story begins on: next action, working orders, last ticket, decisions.
_OF_THE_STORY = Panel.HEDGE
_ARRIVAL = Arrival()


class Terminal(App[Exception | None]):
    """See the module; its fields are told of in `Seat`. Made by `terminal`, with its keys."""

    CSS = CSS
    TITLE = "hedger"
    ENABLE_COMMAND_PALETTE = False  # its field would take the kill key
    ACTIONS: ClassVar[tuple[Action, ...]] = ACTIONS

    def __init__(
        self,
        feed: Feed,
        control: Control,
        narrator: Narrator | None = None,
        arrival: Arrival = _ARRIVAL,
    ) -> None:
        super().__init__()
        self.kill_press = KillPress()
        behind = Behind(super().on_event, self.say, lambda: self._small, self._leave_unseen)
        self.gate = KeyGate(self, self.actions, self.kill_press, behind, arrival)
        self.feed, self.control = feed, control
        self.labels = labels(self.actions)
        self._header, self._tabs, self._foot = Lines("header", 3), Lines("tabs", 1), Lines("foot", 1)
        self.grid, self._field = Grid("grid"), Field(placeholder=_FILTER, id="filter")
        self._strip = Lines("strip", LINES) if narrator is not None else None
        want = Want() if narrator is None else Want(panel=_OF_THE_STORY)
        painter = Painter(feed, control.allowed, self.labels)
        self.reader = Reader(feed, painter, narrator, want, self.post_message)
        self.frame: ScreenFrame | None = None
        self._framed_at = time.monotonic()
        self.pending: dict[str, Pending] = {}
        self.said_s, self.stays_s = SAID_S, STAYS_S
        self._said, self._filter, self._small = "", "", False
        self._said_ends: Timer | None = None
        self._around = Vertical(id="frame")

    @property
    def actions(self) -> tuple[Action, ...]:
        """What its keys do."""
        return type(self).ACTIONS

    @property
    def kill_keys(self) -> tuple[str, ...]:
        """Names of the keys that no field takes for itself."""
        return self.gate.kill_keys

    def show(self) -> Exception | None:
        """Until it is left. What ended it, None where it was left in order: an error is said by whoever began
        it, in one line, and not by the library with the values of a thousand names."""
        failed = self.run()
        if failed is None and self.return_code:
            return self._exception or RuntimeError("the screen ended by itself")
        return failed

    def _print_error_renderables(self) -> None:
        self._exit_renderables.clear()

    def compose(self) -> ComposeResult:
        """Header, names of the panels, the panel, the line for words."""
        with self._around:
            yield from (self._header, self._tabs, self.grid, self._field)
            if self._strip is not None:
                yield self._strip
            yield self._foot

    def on_mount(self) -> None:
        """Start the reading."""
        continue_whole(self)
        self._around.set_class(self.feed.name.trading == "live", "live")
        self._show_banner(False)
        self.grid.focus()
        self._show_tabs()
        self._show_foot()
        self.set_interval(1.0, self._look_at_age)
        self.reader.start()

    def on_unmount(self) -> None:
        """No more reading."""
        self.reader.end()

    def on_resize(self, event: events.Resize) -> None:
        """The last line may have room for more keys, or for fewer; there may be no room for anything."""
        self._small = too_small(*event.size)
        self._around.set_class(self._small, "small")
        if self._small:
            self._leave_unseen()
        self._show_header()
        self.call_after_refresh(self._show_foot)

    def _leave_unseen(self) -> None:
        """No question stays open that cannot be read, nor a field that would take the keys."""
        while isinstance(self.screen, Dialog) and self.screen.ASKS:
            self.screen.answer(None)
            self.say("too small: the dialog was left, nothing was sent", stays=True)
        if self._field.has_class("open"):
            self._end_filter()

    # ---------------------------------------------------------------------------------------------- showing

    def on_framed(self, message: Framed) -> None:
        """Show a frame; of another panel than the one in sight it is too late."""
        if message.frame is None:
            self.exit(message.error, return_code=70)
            return
        self.frame, self._framed_at = message.frame, time.monotonic()
        self._show_header()
        self._show_banner(message.frame.facts.engine_state.exchanged)
        if self._strip is not None:
            self._strip.show(strip(message.story, self._strip.size.width))
        if message.frame.want.panel == self.reader.want.panel:
            self._show_sheet(message.frame.sheet)
        for id, asked in list(self.pending.items()):
            if id in message.frame.replies:
                reply = message.frame.replies[id]
                self.say(f"{asked.what}: {reply}", stays=reply.startswith(NOT_DONE))
                del self.pending[id]
        for screen in self.screen_stack:
            if isinstance(screen, Dialog):
                screen.follow()

    def _headlines(self) -> list[tuple[str, Tone]]:
        """What am I and what is out, as far as there is room."""
        if self.frame is None:
            return []
        if not self._small:
            return list(header(self.frame.facts))
        keys = hints(self.labels, self.control.allowed, self.size.width, small=True)
        return list(header_small(self.frame.facts, keys))

    def _show_header(self) -> None:
        self._header.show(self._headlines())

    def _show_banner(self, exchanged: bool) -> None:
        """The word around everything; it is none of a journal that lies here no more."""
        trading = self.feed.name.trading
        words = f" {BANNERS.get(trading, trading.upper())} "
        if exchanged:
            words = f" {EXCHANGED} "
        elif trading == "live":
            words = " LIVE  REAL MONEY  LIVE  REAL MONEY  LIVE "
        frame = self._around
        if frame.border_title != words:
            frame.border_title = frame.border_subtitle = words

    def _look_at_age(self) -> None:
        now_s = time.monotonic()
        for asked in self.pending.values():
            if now_s > asked.until_s:
                asked.until_s = math.inf
                self.warn(f"{asked.what}: NOT ANSWERED within {PATIENCE_S:g} s{asked.late}")
        old_s = now_s - self._framed_at
        if old_s > STALE_S and self.frame is not None:
            words = f"THIS SCREEN IS {old_s:.0f} s OLD: the journal is not being read"
            self._header.show([(words, Tone.BAD), *self._headlines()[:2]])

    def _show_sheet(self, sheet: Sheet, anew: bool = False) -> None:
        self.grid.show(sheet, self._filter, anew=anew)

    def _show_tabs(self) -> None:
        self._tabs.show([(tabs(TITLES, self.reader.want.panel), Tone.HEAD)])

    def say(self, text: str, *, stays: bool = False) -> None:
        """A word in the last line, until another one, the next panel, or its time is over. stays: for longer,
        since it must be seen."""
        self._unsay()
        self._said = text
        self._said_ends = self.set_timer(self.stays_s if stays else self.said_s, self._unsay)
        self._show_foot()

    def _unsay(self) -> None:
        """The keys again, where the last word was."""
        if self._said_ends is not None:
            self._said_ends.stop()
        self._said, self._said_ends = "", None
        self._show_foot()

    def warn(self, text: str) -> None:
        """A word in the last line that must be seen, and the bell."""
        self.say(text, stays=True)
        self.bell()

    def shout(self, title: str, text: str, seconds: float) -> None:
        """A word in the last line, and one over everything for so long."""
        self.say(text, stays=True)
        self.notify(text, title=title, severity="error", timeout=seconds)

    def put(self, dialog: Dialog, answered: Callable[[str | None], None]) -> None:
        """A question over the screen; answered: takes what was said to it."""
        self.push_screen(dialog, answered)

    def _show_foot(self) -> None:
        filtered = f"filter: {self._filter}  " if self._filter else ""
        room = (self._foot.size.width or self.size.width - 2) - len(filtered)
        keys = "" if self._small else hints(self.labels, self.control.allowed, room)
        self._foot.show([(filtered + (self._said or keys), Tone.DIM)])

    def lines(self) -> list[str]:
        """Everything in sight that is text: what a command's screen hash is over."""
        texts = [*self._header.texts, *self.grid.texts]
        if isinstance(self.screen, Dialog):
            texts.append(self.screen.said)
        return texts

    # ------------------------------------------------------------------------------------------------- keys

    async def on_event(self, event: events.Event) -> None:
        """Every key, before anybody has it, goes through the gate."""
        if isinstance(event, events.Key) and not event.is_forwarded:
            await self.gate.came(event)
        else:
            await super().on_event(event)

    # ----------------------------------------------------------------------------------------------- moving

    def action_panel(self, number: int) -> None:
        """Another panel."""
        if number != self.reader.want.panel:
            self.reader.wants(panel=Panel(number))
            self._unsay()
            self._show_sheet((), anew=True)
            self._show_tabs()

    def action_next_panel(self, by: int) -> None:
        """The next one, or the one before; in a dialog, the next field."""
        if isinstance(self.screen, ModalScreen):
            (self.screen.focus_next if by > 0 else self.screen.focus_previous)()
            return
        self.action_panel((self.reader.want.panel - 1 + by) % len(PANELS) + 1)

    def action_move(self, by: int, pages: bool = False) -> None:
        """Move the cursor by so many lines, or screens of them."""
        self.grid.move(by * self.grid.page() if pages else by)

    def action_end(self, last: bool) -> None:
        """The first line, or the last."""
        self.grid.move_to_end(last)

    def action_branch(self, opened: bool) -> None:
        """Open or close the branch under the cursor."""
        current = self.grid.current
        if current is None or self.reader.want.panel is not Panel.RISK or not _is_branch(current):
            return
        closed = self.reader.want.closed
        self.reader.wants(closed=closed - {current.key} if opened else closed | {current.key})

    def action_drill(self) -> None:
        """Into the line under the cursor."""
        self.grid.choose()

    def on_grid_chosen(self, chosen: Grid.Chosen) -> None:
        """A branch opens or closes; an order shows its records; any other line all there is of it."""
        drawn = chosen.drawn
        if self.reader.want.panel is Panel.RISK and _is_branch(drawn):
            self.action_branch(drawn.key in self.reader.want.closed)
            return
        kind, _, rest = drawn.key.partition(" ")
        if kind in ("order", "fill"):
            self._show_lineage(rest.split(" ")[-1])
            return
        self.push_screen(Dialog(drawn.text.strip(" >"), "\n".join(drawn.more or (drawn.text.strip(),))))

    def _show_lineage(self, client_id: str) -> None:
        dialog = Dialog(f"lineage of {client_id}", "reading the journal")
        self.push_screen(dialog)
        Background[str]("lineage").begin(
            lambda: "\n".join(orders.lineage(client_id, self.feed.lineage(client_id))),
            lambda why: f"it cannot be read: {why}",
            lambda text: self.call_later(dialog.tell, text),
        )

    def action_metric(self) -> None:
        """The next metric of the ladder."""
        place = METRICS.index(self.reader.want.metric)
        self.reader.wants(metric=METRICS[(place + 1) % len(METRICS)])

    def action_side(self) -> None:
        """Unhedged, or hedged."""
        self.reader.wants(side="hedged" if self.reader.want.side == "unhedged" else "unhedged")

    # ------------------------------------------------------------------------------- filter, help, palette

    def action_filter(self) -> None:
        """Type what to look for."""
        self._field.add_class("open")
        self._field.value = self._filter
        self._field.focus()

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
        self._filter = ""
        self._unsay()
        self._field.value = ""
        self._end_filter()

    def _end_filter(self) -> None:
        self._field.remove_class("open")
        self.grid.focus()
        self._show_again()
        self._show_foot()

    def _show_again(self) -> None:
        if self.frame is not None and self.frame.want.panel == self.reader.want.panel:
            self._show_sheet(self.frame.sheet)

    def action_help(self) -> None:
        """The keys: those that look, then those that steer."""
        actions = self.actions
        looks, steers = ([_told(a) for a in actions if a.control == which] for which in (False, True))
        words = "with --control:" if self.control.allowed else "with --control, which this screen has not:"
        note = "up and down scroll; escape: back"
        self.push_screen(Dialog("keys", "\n".join((*looks, "", words, *steers)), note=note))

    def action_palette(self) -> None:
        """Every action by its name."""

        async def chosen(name: str | None) -> None:
            if name is not None:
                await self.run_action(CALLS[name])

        self.push_screen(Palette(self.actions), chosen)

    async def action_quit(self) -> None:
        """Leave; the engine goes on."""
        self.exit(None)

    def action_export(self) -> None:
        """What the panel shows, to files; a thread writes them."""
        frame = self.frame
        if frame is None or frame.document is None or frame.want.panel != self.reader.want.panel:
            self.say("nothing to write yet")
            return
        self.say("writing")
        now_ns = self.feed.ports.now_ns()
        Background[str]("export").begin(
            lambda: export(self.feed.journal, frame, now_ns),
            lambda why: f"{_NOT_WRITTEN}: {why}",
            lambda told: self.call_later(self.warn if told.startswith(_NOT_WRITTEN) else self.say, told),
        )

    # ---------------------------------------------------------------------------------------------- control

    def action_pause(self) -> None:
        """One key."""
        if control_keys.may(self, "pause"):
            control_keys.send(self, Verb.PAUSE)

    def action_resume(self) -> None:
        """After a look at the state."""
        if control_keys.may(self, "resume"):
            control_keys.ask(self, "RESUME: hedges are sent again", Verb.RESUME)

    def action_reduce(self) -> None:
        """After a question."""
        if control_keys.may(self, "reduce"):
            control_keys.ask(self, "REDUCING: only orders that lower the risk", Verb.REDUCE)

    def action_flatten(self) -> None:
        """The name must be typed."""
        tickets.flatten(self)

    def action_bands(self) -> None:
        """Another band for the row under the cursor."""
        band_edit.edit(self)

    def action_preview(self) -> None:
        """Ask the engine what a hedge would be."""
        tickets.preview_hedge(self)

    def action_send(self) -> None:
        """Only inside the preview."""
        self.say(f"a hedge is sent from inside the preview: {self.labels['preview']} first")

    def action_acknowledge(self) -> None:
        """The alert under the cursor was seen."""
        control_keys.acknowledge(self)

    def action_kill(self) -> None:
        """The second press within two seconds kills."""
        control_keys.kill(self)


def _is_branch(drawn: Drawn) -> bool:
    return drawn.text.lstrip(" >")[:2] in ("- ", "+ ")


def _told(action: Action) -> str:
    return f"{', '.join(action.keys):<12} {action.text}"


def terminal(
    feed: Feed,
    control: Control,
    actions: tuple[Action, ...] = ACTIONS,
    narrator: Narrator | None = None,
    arrival: Arrival = _ARRIVAL,
) -> Terminal:
    """A terminal with these keys; the kill key goes before whatever has the keys at the moment. narrator:
    tells a story in a strip above the last line. arrival: of its keys."""
    made: type[Terminal] = type("Keyed", (Terminal,), {"BINDINGS": bindings(actions), "ACTIONS": actions})
    return made(feed, control, narrator, arrival)
