"""What is asked of the engine before it is sent: the preview of a hedge, and that of a flatten."""

from __future__ import annotations

from typing import Any

from hedger.core.events import Verb
from hedger.dashboard import effects
from hedger.dashboard.dialogs import SEND, Dialog, Flatten, Preview
from hedger.dashboard.keys import textual_keys
from hedger.dashboard.panels import preview
from hedger.dashboard.panels.incomplete import TITLE
from hedger.dashboard.seat import Seat
from hedger.dashboard.sheet import figure
from hedger.dashboard.steering import may, send, summary


def preview_hedge(seat: Seat) -> None:
    """Ask the engine what a hedge would be."""
    if not may(seat, "preview") or seat.frame is None:
        return
    if send(seat, Verb.PREVIEW):
        _remember(seat)
        dialog = Preview(
            seat.labels["send"],
            seat.labels["preview"],
            textual_keys(seat.actions, "send"),
            lambda: why_not_send(seat),
        )

        def answered(answer: str | None) -> None:
            if answer == "send" and seat.frame is not None and seat.frame.preview is not None:
                send(seat, Verb.HEDGE, "", f"after the preview of record {seat.frame.preview[0]}")
            seat.asked_preview = None

        seat.put(dialog, answered)


def answer(seat: Seat) -> None:
    """Show what the engine has answered, once it is there."""
    dialog, found = seat.screen, _new_preview(seat)
    if found is None:
        return
    scope = str(found[1]["preview"]["scope"])
    asked = dialog.scope if isinstance(dialog, Flatten) else "" if isinstance(dialog, Preview) else None
    if isinstance(dialog, Dialog) and scope == asked:
        dialog.tell(preview.text(*found))


def why_not_send(seat: Seat) -> str:
    """Why what was previewed may not be sent any more, "" where it may; the engine plans it anew then."""
    found = _new_preview(seat)
    if seat.frame is None or found is None or found[1]["preview"]["scope"]:
        return "the engine has not answered yet"  # what has a scope answers another question
    shown = found[1]["preview"]
    if shown["against"]:
        return str(shown["against"])
    if not shown["ticket"] or not shown["ticket"]["legs"]:
        return "there is nothing to send"
    return effects.why_not_send(
        found[1]["now_ns"],
        dict(shown["indexes"]),
        seat.feed.outside.now_ns(),
        seat.frame.indexes,
        seat.frame.marked_ns,
    )


def flatten(seat: Seat) -> None:
    """The name of an underlying must be typed; its plan is asked for as soon as it is one."""
    if not may(seat, "flatten") or seat.frame is None:
        return
    _remember(seat)

    def known(text: str) -> str | None:
        names = () if seat.frame is None else seat.frame.indexes
        return next((name for name in names if name.casefold() == text.strip().casefold()), None)

    def check(text: str) -> tuple[bool, str]:
        name = known(text)
        if name is None and (seat.frame is None or not seat.frame.indexes):
            return False, "no underlying is known: the book has no worth yet; escape: do nothing"
        if name is None and seat.frame is not None:
            return False, f"type one of {', '.join(seat.frame.indexes)}; escape: do nothing"
        return True, f"enter: {SEND}"

    def named(text: str) -> str | None:
        name = known(text)
        asked = None if name is None else f"flatten {name}"
        if asked is not None and asked != dialog.scope:
            send(seat, Verb.PREVIEW, asked)
        return asked

    def answered(text: str | None) -> None:
        seat.asked_preview = None
        if text is None:
            return
        name = known(text)
        if name is None:
            seat.warn(f"NOT SENT: {text} is not known any more")
            return
        send(seat, Verb.FLATTEN, name)

    text = "A plan like any other, to zero: the rows of the underlying that is named."
    text += f"\n{_totals(seat)}\n{summary(seat)}"
    dialog = Flatten(text, check, named)
    seat.put(dialog, answered)


def _totals(seat: Seat) -> str:
    """Delta, gamma and vega of each underlying, without their tenors; and what is not in them."""
    rows = [] if seat.frame is None else seat.frame.bands.values()
    lacking = () if seat.frame is None else seat.frame.left_out
    kept = [
        r for r in rows if r["row"].startswith(("delta:", "gamma:", "vega:")) and r["row"].count(":") == 1
    ]
    lines = [f"  {r['row']:<12} {figure(r['value']):>9} {r['unit']}" for r in kept]
    return "\n".join([*lines, *(f"{TITLE}: {text}" for text in lacking)])


def _remember(seat: Seat) -> None:
    """Only an answer that comes after this is one to what is asked now."""
    found = None if seat.frame is None else seat.frame.preview
    seat.asked_preview = -1 if found is None else found[0]


def _new_preview(seat: Seat) -> tuple[int, dict[str, Any]] | None:
    """The engine's last answer, if it came after we asked."""
    found = None if seat.frame is None else seat.frame.preview
    asked = seat.asked_preview
    return None if found is None or asked is None or found[0] <= asked else found
