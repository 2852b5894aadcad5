"""Every action by its name: type some of its words, choose with the arrows, enter does it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.widgets import Input

from hedger.dashboard.dialogs import Dialog
from hedger.dashboard.keys import Action

_NOTE = "type part of a name; up, down choose; enter does it; escape: back"


class Palette(Dialog):
    """Answers with the name of an action. Its field leaves the kill key alone, as every field does."""

    ASKS = True
    BINDINGS: ClassVar = [("up", "choose(-1)", "the one before"), ("down", "choose(1)", "the next")]

    def __init__(self, actions: Sequence[Action]) -> None:
        super().__init__("every action", "", "what to do", note=_NOTE)
        self._actions = tuple(actions)
        self._found, self._at = self._actions, 0
        self.tell(self._lines())

    def on_input_changed(self, changed: Input.Changed) -> None:
        """Those that have every word that was typed, in their name first, else in what they do."""
        wanted = changed.value.casefold().split()
        named = [a for a in self._actions if all(word in _name(a).casefold() for word in wanted)]
        told = [a for a in self._actions if all(word in f"{_name(a)} {a.text}".casefold() for word in wanted)]
        self._found, self._at = (*named, *(a for a in told if a not in named)), 0
        self._show()

    def on_input_submitted(self, submitted: Input.Submitted) -> None:
        """Do the one that is chosen."""
        if self._found:
            self.answer(self._found[self._at].name)
        else:
            self.note(f"NOT DONE: no action has these words: {submitted.value}")

    def action_choose(self, by: int) -> None:
        """Another one."""
        self._at = max(min(self._at + by, len(self._found) - 1), 0)
        self._show()

    def _show(self) -> None:
        self.tell(self._lines() if self._found else "no action has these words")
        self.note(_NOTE)
        body = self.query_one("#dialog-body")
        top, height = round(body.scroll_y), max(body.size.height, 1)
        body.scroll_to(y=min(max(top, self._at - height + 1), self._at), animate=False)

    def _lines(self) -> str:
        return "\n".join(
            f"{'>' if i == self._at else ' '} {_name(a):<13} {', '.join(a.keys):<10} {a.text}"
            for i, a in enumerate(self._found)
        )


def _name(action: Action) -> str:
    return action.name.replace("_", " ")
