"""Questions over the screen. The kill key works in all of them: its binding goes before every other."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from hedger.dashboard.header import too_small
from hedger.dashboard.kill_press import KILL_S

#: What the key that sends does, of a hedge and of a flatten alike.
SEND = "send it, planned anew on the market then; escape: do nothing"
_ASKED = "y: do it      n, escape: do nothing"
#: Lines of the screen that no dialog covers: its frame, header and panels above, the last line and its frame.
_ABOVE, _BELOW = 5, 2
#: On a screen that is too small for all that, only the mode's and the state's line.
_ABOVE_SMALL = 1
#: Lines that a dialog needs beside its text, its field and its note: its frame and its title.
_LINES = 3


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something may not be done now. passes: by itself, in a moment."""

    text: str
    passes: bool = False


class Field(Input):
    """A field that leaves some keys to the screen, whatever is typed in it: the kill key above all."""

    def check_consume_key(self, key: str, character: str | None) -> bool:
        """Whether the field takes a key for itself."""
        left = getattr(self.app, "kill_keys", ())
        return key not in left and super().check_consume_key(key, character)


class Dialog(ModalScreen[str | None]):
    """A title, text, perhaps a field, a note. Answers with a text, or None where nothing is to be done.

    The text is scrolled where it is long; title, field and note are always in sight. What is given as a call
    is asked for again whenever the screen is: the engine goes on while a person reads.
    """

    BINDINGS: ClassVar = [("escape", "leave", "back")]
    #: Whether an answer to it does something: it may be given only where the question is in sight.
    ASKS: ClassVar[bool] = False

    def __init__(
        self,
        title: str,
        text: str | Callable[[], str],
        field: str | None = None,
        value: str = "",
        note: str = "escape: back",
    ) -> None:
        super().__init__()
        self._live = text if callable(text) else None
        self._title, self._field, self._value = _plain(title), field, value
        self._text, self._note = _plain(text() if callable(text) else text), _plain(note)

    def compose(self) -> ComposeResult:
        """Title, text, field, note."""
        with Vertical(id="dialog"):
            yield Static(self._title, id="dialog-title", markup=False)
            with VerticalScroll(id="dialog-body"):
                yield Static(self._text, id="dialog-text", markup=False)
            if self._field is not None:
                yield Field(value=self._value, placeholder=self._field, id="dialog-field")
            yield Static(self._note, id="dialog-note", markup=False)

    def on_mount(self) -> None:
        """The field has the keys, or the text is scrolled by them."""
        self.query_one("#dialog-field" if self._field is not None else "#dialog-body").focus()
        self._fit()

    def on_resize(self) -> None:
        """The text has what the rest leaves."""
        self._fit()

    def _fit(self) -> None:
        width = max(min(int(0.92 * self.size.width), 120) - 4, 20)
        note = sum(max(len(textwrap.wrap(line, width)), 1) for line in self._note.splitlines())
        small = too_small(*self.app.size)
        self.set_class(small, "small")
        if small:
            rest = self.size.height - _ABOVE_SMALL - 1 - note
        else:
            rest = self.size.height - _ABOVE - _BELOW - _LINES - note - (self._field is not None)
        self.query_one("#dialog-body").styles.max_height = max(rest, 1)

    @property
    def said(self) -> str:
        """Title, text and note, as they stand."""
        return "\n".join((self._title, self._text, self._note))

    def follow(self) -> None:
        """The screen behind was made again: say what is so now."""
        if self._live is not None:
            self.tell(self._live())

    def tell(self, text: str) -> None:
        """Another text, be it before the dialog stands."""
        text, before = _plain(text), self._text
        if text == before:
            return
        self._text = text
        for body in self.query("#dialog-text").results(Static):
            body.update(text)

    def note(self, text: str) -> None:
        """A word below: what is wrong with what was typed, or what comes of it."""
        text, before = _plain(text), self._note
        if text == before:
            return
        self._note = text
        for line in self.query("#dialog-note").results(Static):
            line.update(self._note)
            self._fit()

    def answer(self, said: str | None) -> None:
        """Go away with an answer, once: a key that is pressed twice, or held, answers nothing more. Nor does
        a question that lies under another dialog, which would go in its place."""
        if self.app.screen is self:
            self.dismiss(said)

    def action_leave(self) -> None:
        """Nothing is done."""
        self.answer(None)


class Confirm(Dialog):
    """y does it, anything else does not. against: gives why it would come to nothing now, "" where it would
    not."""

    ASKS = True
    BINDINGS: ClassVar = [("y", "yes", "yes"), ("n", "leave", "no")]

    def __init__(self, title: str, text: Callable[[], str], against: Callable[[], str]) -> None:
        super().__init__(title, text, note=_ASKED)
        self._against = against
        self.follow()

    def follow(self) -> None:
        """What is so now, and whether it may still be done."""
        super().follow()
        against = self._against()
        self.note(f"y does nothing: {against}; n, escape: back" if against else _ASKED)

    def action_yes(self) -> None:
        """It is to be done, if it still may."""
        self.follow()
        if not self._against():
            self.answer("yes")


class Typed(Dialog):
    """Something must be typed. check: gives (whether it will do, a word on it) for every text."""

    ASKS = True

    def __init__(
        self,
        title: str,
        text: str | Callable[[], str],
        field: str,
        check: Callable[[str], tuple[bool, str]],
        value: str = "",
    ) -> None:
        super().__init__(title, text, field, value, check(value)[1])
        self._check, self._refused = check, False

    def follow(self) -> None:
        """What is so now, of what is typed as well."""
        super().follow()
        for field in self.query("#dialog-field").results(Input):
            good, word = self._check(field.value)
            self.note(word if good or not self._refused else f"NOT SENT: {word}")

    def on_input_changed(self, changed: Input.Changed) -> None:
        """Say what would come of it."""
        self._refused = False
        self.note(self._check(changed.value)[1])

    def on_input_submitted(self, submitted: Input.Submitted) -> None:
        """Enter: only what will do."""
        good, word = self._check(submitted.value)
        if good:
            self.answer(submitted.value)
        else:
            self._refused = True
            self.note(f"NOT SENT: {word}")


class Flatten(Typed):
    """A name to be typed, and the plan that it would begin with as soon as the name is one. named: is told of
    each name once; it asks the engine."""

    def __init__(
        self,
        text: Callable[[], str],
        check: Callable[[str], tuple[bool, str]],
        named: Callable[[str], None],
    ) -> None:
        super().__init__("PREVIEW of a flatten: nothing is sent yet", text, "the underlying's name", check)
        self._named = named

    def on_input_changed(self, changed: Input.Changed) -> None:
        """Say what would come of it, and ask for its preview."""
        super().on_input_changed(changed)
        self._named(changed.value)
        self.follow()


class PreviewDialog(Dialog):
    """The ticket that a hedge would begin with; the send key asks whether it may go."""

    ASKS = True

    def __init__(
        self,
        text: Callable[[], str],
        send_key: str,
        ask_key: str,
        sends: Iterable[str],
        against: Callable[[], Refusal | None],
    ) -> None:
        """send_key, ask_key: as they are written; sends: as the terminal library has the first."""
        super().__init__("PREVIEW of a hedge: nothing is sent yet", text)
        self._sends, self._send_key, self._ask_key, self._against = tuple(sends), send_key, ask_key, against
        self._refused = False
        self.follow()

    def follow(self) -> None:
        """The answer, and whether it may still be sent."""
        super().follow()
        against = self._against()
        if against is None or (against.passes and not self._refused):
            self.note(f"{self._send_key}: {SEND}")
            return
        word = "NOT SENT" if self._refused else f"{self._send_key} sends nothing"
        self.note(f"{word}: {against.text}; escape and {self._ask_key} ask anew")

    def on_key(self, event: events.Key) -> None:
        """Send, or say why not."""
        if event.key in self._sends:
            event.stop()
            self._refused = self._against() is not None
            self.follow()
            if not self._refused:
                self.answer("send")


class KillNotice(Dialog):
    """The first press was seen; it goes away by itself."""

    def __init__(self, key: str, text: Callable[[], str]) -> None:
        """text: what it would do now."""
        again = f"Press {key} again within {KILL_S:g} seconds:"
        super().__init__("KILL?", lambda: f"{again} {text()}", note="escape: do nothing")
        self._stands = self._ended = False

    def on_mount(self) -> None:
        """Only for a moment."""
        super().on_mount()
        self._stands = True
        if self._ended:
            self.call_later(self._over)
        self.set_timer(KILL_S, self._over)

    def end(self) -> None:
        """The second press has come, be it before this stands: what is taken away sooner cannot be made."""
        self._ended = True
        if self._stands:
            self.answer(None)

    def _over(self) -> None:
        self.answer(None)


def _plain(text: str) -> str:
    """Lines of text; what a stranger put into it moves no cursor."""
    return "".join(c if c.isprintable() or c == "\n" else " " for c in text)
