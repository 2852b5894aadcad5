"""Another band for a row: what it was, what it is to be, what that would have changed, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hedger.core.by_hand_file import open_words
from hedger.core.commands import parse_bands
from hedger.core.events import Verb
from hedger.dashboard.dialogs import Typed
from hedger.dashboard.effects import band_effect, too_far
from hedger.dashboard.panels.risk import by_hand
from hedger.dashboard.seat import Seat
from hedger.dashboard.sheet import figure, interval
from hedger.dashboard.steering import may, send

_FORM = "LOW,HIGH/LOW,HIGH: trigger and landing inside it, in the row's unit"
_FILE = "the settings file's own"


def edit(seat: Seat) -> None:
    """The band of the row under the cursor: what is typed is judged at once, by the band of that moment."""
    if not may(seat, "bands"):
        return
    row = _under_cursor(seat)
    found = None if row is None else _found(seat, row)
    if row is None or found is None:
        seat.say("no band here: put the cursor on a row of panel 1 or 2")
        return

    def check(text: str) -> tuple[bool, str]:
        against = _against(seat, row, text)
        if against:
            return False, f"{against}; escape: do nothing"
        return True, "\n".join((*_effect(seat, row, text), "enter: go on to the reason; escape: do nothing"))

    def answered(text: str | None) -> None:
        if text is not None:
            _why(seat, row, text.strip())

    value = "/".join(
        ",".join("" if x is None else f"{x:.6g}" for x in pair)
        for pair in (found["trigger"], found["landing"])
    )
    title = f"BAND of {row}, {found['unit']}"
    seat.put(Typed(title, lambda: _now(seat, row), "LOW,HIGH/LOW,HIGH", check, value), answered)


def _why(seat: Seat, row: str, new: str) -> None:
    """The reason, then the command."""

    def check(text: str) -> tuple[bool, str]:
        against = _against(seat, row, new) or ("" if text.strip() else "a reason is kept in the record")
        return not against, f"{against or 'enter: send it'}; escape: do nothing"

    def answered(reason: str | None) -> None:
        if reason is not None:
            send(seat, Verb.BANDS, f"{row}={new}", f"{reason.strip()} (was {_old(seat, row)})")

    bands = parse_bands(new)
    words = _FILE if bands is None else _words(bands)
    text = Typed(f"BAND of {row}: why?", lambda: f"old {_old(seat, row)}\nnew {words}", "the reason", check)
    seat.put(text, answered)


def _found(seat: Seat, row: str) -> Mapping[str, Any] | None:
    """The row as it stands on the screen, with its band; None where it has none now."""
    found = None if seat.frame is None else seat.frame.bands.get(row)
    return None if found is None or found["trigger"] is None else found


def _now(seat: Seat, row: str) -> str:
    """What the row stands at and which band is in force; who set it, and what the file says."""
    found = _found(seat, row)
    if found is None:
        return f"{row} has no band now"
    text = f"now {figure(found['value'])} {found['unit']}\nold {_old(seat, row)}"
    told = by_hand(found)
    return "\n".join((text, *told, f"nothing at all: {_FILE} again")) if told else text


def _old(seat: Seat, row: str) -> str:
    """The band in force, in words."""
    found = _found(seat, row)
    return "not known" if found is None else _words((found["trigger"], found["landing"]))


def _against(seat: Seat, row: str, text: str) -> str:
    """Why a band may not be sent now, "" where it may."""
    found = _found(seat, row)
    if found is None:
        return f"{row} has no band now"
    if not text.strip():
        return "" if found["by_hand"] else f"it is {_FILE} already; {_FORM}"
    bands = parse_bands(text)
    return _FORM if bands is None else too_far(_open(found["trigger"]), bands[0])


def _effect(seat: Seat, row: str, text: str) -> tuple[str, ...]:
    """What a band that may be sent would have changed."""
    bands, found = parse_bands(text), _found(seat, row)
    if bands is None or found is None:
        return (f"{_FILE} band again",)
    history = tuple(seat.feed.shown.history.get(row, ()))
    return f"new {_words(bands)}", *band_effect(history, _open(found["trigger"]), bands[0])


def _under_cursor(seat: Seat) -> str | None:
    current = seat.grid.current
    return None if current is None else current.key.split(" ")[-1]


def _open(pair: Iterable[float | None]) -> tuple[float, float]:
    low, high = pair
    return (-float("inf") if low is None else low), (float("inf") if high is None else high)


def _words(bands: Sequence[Any]) -> str:
    trigger, landing = bands
    unlimited = open_words(_open(trigger))
    return f"trigger {interval(trigger)} landing {interval(landing)}{f' ({unlimited})' * bool(unlimited)}"
