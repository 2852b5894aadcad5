"""Which call of the terminal each action is: what its keys and the palette do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from textual.binding import Binding

from hedger.dashboard.keys import Action, textual_key

_SAME = (
    "help", "drill", "filter", "palette", "back", "metric", "side", "preview", "send", "pause", "resume",
    "bands", "reduce", "flatten", "acknowledge", "kill", "export", "quit",
)  # fmt: skip
CALLS: Mapping[str, str] = {
    **{f"panel_{i}": f"app.panel({i})" for i in range(1, 8)},
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
    **{name: f"app.{name}" for name in _SAME},
}
#: These go before whatever has the keys at the moment; a screen has its own idea of tab.
_FIRST = ("kill", "next_panel", "last_panel")


def bindings(actions: Sequence[Action]) -> list[Binding]:
    """The keys as the terminal library wants them."""
    return [
        Binding(textual_key(key), CALLS[action.name], action.text, show=False, priority=action.name in _FIRST)
        for action in actions
        for key in action.keys
    ]
