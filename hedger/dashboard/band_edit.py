"""Another band for a row: what it was, what it is to be, what that would have changed, and why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from hedger.core.commands import parse_bands
from hedger.core.events import Verb
from hedger.dashboard.dialogs import Typed
from hedger.dashboard.effects import band_effect, too_far
from hedger.dashboard.seat import Seat
from hedger.dashboard.sheet import figure, interval
from hedger.dashboard.steering import may, send

_FORM = "LOW,HIGH/LOW,HIGH: trigger and landing inside it, in the row's unit; escape: do nothing"
_FILE = "the settings file's own"


def edit(seat: Seat) -> None:
    """The band of the row under the cursor: what is typed is judged as it is typed."""
    if not may(seat, "bands"):
        return
    row = _under_cursor(seat)
    if row is None or seat.frame is None:
        seat.say("no band here: put the cursor on a row of panel 1 or 2")
        return
    found = seat.frame.bands[row]
    history = tuple(seat.feed.shown.history.get(row, ()))
    old = tuple(found["trigger"]), tuple(found["landing"])

    def check(text: str) -> tuple[bool, str]:
        bands = parse_bands(text)
        if found["by_hand"] and not text.strip():
            return True, f"{_FILE} band again\nenter: go on to the reason; escape: do nothing"
        if bands is None:
            return False, _FORM
        against = too_far(_open(old[0]), bands[0])
        if against:
            return False, against
        lines = [f"new {_words(bands)}", *band_effect(history, _open(old[0]), bands[0])]
        return True, "\n".join((*lines, "enter: go on to the reason; escape: do nothing"))

    def answered(text: str | None) -> None:
        if text is not None:
            _why(seat, row, _words(old), text.strip())

    value = "/".join(",".join("" if x is None else f"{x:.6g}" for x in pair) for pair in old)
    text = f"now {figure(found['value'])} {found['unit']}\nold {_words(old)}"
    if found["by_hand"]:
        text += f"\n{found['by_hand']}\nnothing at all: {_FILE} again"
    seat.put(Typed(f"BAND of {row}, {found['unit']}", text, "LOW,HIGH/LOW,HIGH", check, value), answered)


def _why(seat: Seat, row: str, old: str, new: str) -> None:
    """The reason, then the command."""

    def check(text: str) -> tuple[bool, str]:
        word = "enter: send it" if text.strip() else "a reason is kept in the record"
        return bool(text.strip()), f"{word}; escape: do nothing"

    def answered(reason: str | None) -> None:
        if reason is not None:
            send(seat, Verb.BANDS, f"{row}={new}", f"{reason.strip()} (was {old})")

    bands = parse_bands(new)
    text = f"old {old}\nnew {_FILE if bands is None else _words(bands)}"
    seat.put(Typed(f"BAND of {row}: why?", text, "the reason", check), answered)


def _under_cursor(seat: Seat) -> str | None:
    current = seat.grid.current
    row = "" if current is None else current.key.split(" ")[-1]
    bands = {} if seat.frame is None else seat.frame.bands
    return row if row in bands and bands[row]["trigger"] is not None else None


def _open(pair: Iterable[float | None]) -> tuple[float, float]:
    low, high = pair
    return (-float("inf") if low is None else low), (float("inf") if high is None else high)


def _words(bands: Sequence[Any]) -> str:
    trigger, landing = bands
    return f"trigger {interval(trigger)} landing {interval(landing)}"
