"""The keys: what each does, and how a desk maps them to others.

A TOML file with a table `[keys]` of action = "key", or = ["key", "key"]; names of keys are Textual's ("f1",
"ctrl+k", "slash"), a single character stands for itself. What is not named keeps its key. No key does two
things.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from textual.keys import Keys, _character_to_key

from pricing.errors import InputError


@dataclass(frozen=True, slots=True)
class Action:
    """name: in the file and on the palette. control: only with `--control`."""

    name: str
    keys: tuple[str, ...]
    text: str
    control: bool = False


ACTIONS: tuple[Action, ...] = (
    Action("help", ("?", "f1"), "the keys"),
    Action("panel_1", ("1",), "risk tree"),
    Action("panel_2", ("2",), "hedge: bands, what comes next and why, decisions"),
    Action("panel_3", ("3", "w"), "what-if ladder"),
    Action("panel_4", ("4",), "P&L by cause"),
    Action("panel_5", ("5",), "venues"),
    Action("panel_6", ("6",), "orders and fills"),
    Action("panel_7", ("7",), "alerts"),
    Action("next_panel", ("tab",), "the next panel"),
    Action("last_panel", ("shift+tab",), "the panel before"),
    Action("up", ("up", "k"), "up a line"),
    Action("down", ("down", "j"), "down a line"),
    Action("page_up", ("pageup",), "up a page"),
    Action("page_down", ("pagedown",), "down a page"),
    Action("top", ("home", "g"), "to the first line"),
    Action("bottom", ("end", "G"), "to the last line"),
    Action("close", ("left",), "close the branch"),
    Action("open", ("right", "l"), "open the branch"),
    Action("drill", ("enter",), "a branch; all there is of a line; an order's records"),
    Action("filter", ("/",), "show only lines with these words"),
    Action("palette", (":",), "every action by its name"),
    Action("back", ("escape",), "back: close the dialog, clear the filter"),
    Action("metric", ("m",), "what-if: next metric (P&L, delta, gamma, vega, margin)"),
    Action("side", ("u",), "what-if: unhedged, or hedged as `whatif --hedged` plans it"),
    Action("preview", ("h",), "what a hedge would be now; nothing is sent", True),
    Action("send", ("H",), "inside the preview: send a hedge", True),
    Action("pause", ("p",), "pause: no new hedges; checks and cancels go on", True),
    Action("resume", ("r",), "resume; it asks first", True),
    Action("bands", ("b",), "edit the band of a row (panels 1 and 2)", True),
    Action("reduce", ("R",), "REDUCING: only orders that lower risk; it asks first", True),
    Action("flatten", ("F",), "flatten an underlying: its name must be typed", True),
    Action("acknowledge", ("a",), "alerts: the one under the cursor was seen", True),
    Action("kill", ("K",), "KILL: twice within two seconds, or held down, from anywhere", True),
    Action("export", ("e",), "write what this panel shows to files, JSON and CSV"),
    Action("quit", ("q",), "leave; the engine goes on"),
)
#: The demo's: its engine is its own, and ends with its screen.
OF_DEMO: tuple[Action, ...] = tuple(
    replace(action, text="leave; the demo's engine ends with its screen") if action.name == "quit" else action
    for action in ACTIONS
)
_BY_NAME = {action.name: action for action in ACTIONS}


def labels(actions: Iterable[Action]) -> dict[str, str]:
    """What is written on the first key of each action, by its name.

    >>> labels(ACTIONS)["preview"], labels(ACTIONS)["back"]
    ('h', 'escape')
    """
    return {action.name: action.keys[0] for action in actions}


LABELS = labels(ACTIONS)


def load_keys(path: Path | None) -> tuple[Action, ...]:
    """The actions with the keys of a file.

    Raises:
        InputError: the file cannot be read, names an unknown action or key, or gives one key two meanings.
    """
    if path is None:
        return ACTIONS
    try:
        with path.open("rb") as file:
            document = tomllib.load(file)
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _refused(path, "the file of keys cannot be read", error, "a TOML file") from error
    if set(document) != {"keys"} or not isinstance(document["keys"], dict):
        raise _refused(path, "it is no file of keys", ", ".join(document), "one table, [keys]")
    return remapped(document["keys"], path)


def remapped(wanted: Mapping[str, object], path: Path) -> tuple[Action, ...]:
    """The actions with other keys.

    Raises:
        InputError: as `load_keys`.
    """
    found = dict(_BY_NAME)
    for name, value in wanted.items():
        if name not in found:
            raise _refused(path, "there is no such action", name, ", ".join(found))
        keys = [value] if isinstance(value, str) else value
        if not isinstance(keys, list) or not keys or not all(isinstance(k, str) and k for k in keys):
            raise _refused(path, f"{name}: no key", value, "a key, or a list of keys")
        if strange := [key for key in keys if not is_key(key)]:
            known = 'a character, or a name such as "f1", "ctrl+k", "slash", "pageup"'
            raise _refused(path, f"{name}: no terminal has such a key", ", ".join(strange), known)
        action = found[name]
        found[name] = Action(name, tuple(keys), action.text, action.control)
    owner: dict[str, str] = {}
    for action in found.values():
        for key in map(textual_key, action.keys):
            if owner.setdefault(key, action.name) != action.name:
                what = f"{owner[key]} and {action.name}"
                raise _refused(path, "one key would do two things", f"{key}: {what}", "one action for a key")
    return tuple(found.values())


_MODIFIERS = frozenset({"ctrl", "shift", "alt", "super", "hyper", "meta"})
_SINGLE = frozenset(_character_to_key(chr(code)) for code in range(0x21, 0x7F))
_NAMED = frozenset(key.value.rpartition("+")[2] for key in Keys if not key.value.startswith("<"))


def is_key(key: str) -> bool:
    """Whether a terminal ever tells of it. With a modifier a letter is a small one.

    >>> [is_key(key) for key in ("K", "ctrl+k", "f1", "slash", "shift+tab")]
    [True, True, True, True, True]
    >>> [is_key(key) for key in ("ctrl+K", "Ctrl+k", "notakey", "ctrl+")]
    [False, False, False, False]
    """
    *modifiers, last = [key] if len(key) == 1 else key.split("+")
    plain = not modifiers or last.lower() == last
    last = textual_key(last)
    return _MODIFIERS.issuperset(modifiers) and plain and (last in _SINGLE or last in _NAMED)


def textual_key(key: str) -> str:
    """The name that the terminal library has for a key.

    >>> textual_key("?"), textual_key("K"), textual_key("ctrl+k")
    ('question_mark', 'K', 'ctrl+k')
    """
    return _character_to_key(key) if len(key) == 1 else key


def textual_keys(actions: Iterable[Action], name: str) -> tuple[str, ...]:
    """The keys of one action, as the terminal library has them."""
    return tuple(textual_key(key) for action in actions if action.name == name for key in action.keys)


def _refused(path: Path, what: str, observed: object, allowed: str) -> InputError:
    return InputError(
        "KEYS_FILE",
        what,
        where=str(path),
        observed=getattr(observed, "strerror", None) or observed,
        allowed=allowed,
        not_done="nothing was started",
        fix="correct the file; `?` on the screen lists actions and keys",
    )
