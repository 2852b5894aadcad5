"""The page on the keys of the terminal: what each does, and the file that maps them."""

from __future__ import annotations

from docs.making.markdown import cell, code, page, table
from hedger.dashboard.keys import ACTIONS, Action


def make() -> str:
    """The page."""
    return page(
        "Keys of the terminal",
        "What `hedger dashboard` does at a key; `?` there lists the same. How to work with them: "
        "[Work at the screen](../how-to/screen.md).",
        "## Keys that look\n",
        _keys([action for action in ACTIONS if not action.control]),
        "## Keys that steer\n",
        "Only with `--control`. They leave commands for the engine, which decides; a kill sets the latch "
        "itself, and what was seen is noted beside the journal. `send` has its key inside the preview alone.",
        _keys([action for action in ACTIONS if action.control]),
        "## Other keys\n",
        '`hedger dashboard --keys FILE` takes a TOML file with one table, `[keys]`, of `action = "key"` or '
        '`action = ["key", "key"]`. A single character stands for itself, a capital for shift; other keys '
        'have names: `"f1"`, `"ctrl+k"`, `"slash"`, `"pageup"`. What is not named keeps its key. A file that '
        "names an unknown action or key, or gives one key two meanings, is refused (`KEYS_FILE`). The kill "
        "key works in every dialog, whichever it is.",
    )


def _keys(actions: list[Action]) -> str:
    rows = [(code(a.name), " ".join(code(key) for key in a.keys), cell(a.text)) for a in actions]
    return table(("action", "keys", "what it does"), rows)
