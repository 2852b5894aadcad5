"""Another band for a row: what it was, what it is to be, what that would have changed, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hedger.core.by_hand_file import file_band, follows_index, open_words
from hedger.core.commands import parse_bands
from hedger.core.events import Verb
from hedger.dashboard.control_keys import may, send
from hedger.dashboard.dialogs import Typed
from hedger.dashboard.effects import Price, band_effect, paid, too_far
from hedger.dashboard.panel_table import Panel
from hedger.dashboard.panels.risk import by_hand
from hedger.dashboard.seat import Seat
from hedger.figures import figure, interval
from risk.bands import target_of

_FORM = "LOW,HIGH/LOW,HIGH: trigger and landing inside it, in the row's unit"
_TARGET = "by hand 0, or the landing edge nearest 0; others: settings"
_FILE = "the settings file's own"


def edit(seat: Seat) -> None:
    """The band of the row under the cursor: what is typed is judged at once, by the band of that moment."""
    if not may(seat, "bands"):
        return
    row = _under_cursor(seat)
    found = None if row is None else _found(seat, row)
    if row is None or found is None:
        seat.say(_no_band(seat))
        return

    value = "/".join(
        ",".join("" if x is None else f"{x:.6g}" for x in pair)
        for pair in (found["trigger"], found["landing"])
    )

    def check(text: str) -> tuple[bool, str]:
        against = _against(seat, row, text) or _unchanged(seat, row, text, value, found["by_hand"])
        if against:
            return False, f"{against}; escape: do nothing"
        return True, "\n".join((*_effect(seat, row, text), "enter: go on to the reason; escape: do nothing"))

    def answered(text: str | None) -> None:
        if text is not None:
            _why(seat, row, text.strip())

    title = f"BAND of {row}, {found['unit']}"
    seat.put(Typed(title, lambda: _now(seat, row), "LOW,HIGH/LOW,HIGH", check, value), answered)


def _no_band(seat: Seat) -> str:
    """Where to put the cursor, for whoever is on a line without a band."""
    current = seat.grid.current
    coin = "" if current is None else current.key.split(" ")[0]
    if seat.reader.want.panel is Panel.RISK and seat.frame is not None and coin in seat.frame.indexes:
        return f"no band here: put the cursor on a line such as delta or gamma below {coin}"
    return "no band here: put the cursor on a row of panel 1 or 2"


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
    target = f"target {figure(found['target'])}; {_TARGET}"
    text = f"now {figure(found['value'])} {found['unit']}\nold {_old(seat, row)}\n{target}"
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


def _unchanged(seat: Seat, row: str, text: str, before: str, by_hand_then: str) -> str:
    """Why what the field began with is no new band, "" where it is one: it is the row's own in few digits,
    and set by hand it would stand still where the file's own moves."""
    found, bands = _found(seat, row), parse_bands(text)
    same = found is not None and found["by_hand"] == by_hand_then
    return "that is the band as it is" if same and bands and bands == parse_bands(before) else ""


def _stands_still(seat: Seat, row: str) -> tuple[str, ...]:
    """That a band of the file follows the index no more once one is set by hand."""
    found, file = _found(seat, row), file_band(seat.feed.shown.follower.settings, row)
    if found is None or found["by_hand"] or not follows_index(file, row):
        return ()
    return (f"by hand it moves no more; the file's {file.key} follows the index",)


def _effect(seat: Seat, row: str, text: str) -> tuple[str, ...]:
    """What a band that may be sent would have changed."""
    bands, found = parse_bands(text), _found(seat, row)
    if bands is None or found is None:
        return (f"{_FILE} band again",)
    feed = seat.feed.shown
    greek, underlying = row.split(":")[:2]
    index = seat.frame.indexes.get(underlying) if seat.frame is not None and greek == "delta" else None
    cost = paid(each.document for each in tuple(feed.decided.told))
    old = _open(found["trigger"]), _open(found["landing"])
    price = Price(found["unit"], index)
    told = band_effect(tuple(feed.history.get(row, ())), old, bands, price, cost)
    new = f"new {_words(bands)}, target {figure(target_of(bands[1]))}"
    return new, *_stands_still(seat, row), *told


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
