"""What is asked of the engine before it is sent: the preview of a hedge, and that of a flatten."""

from __future__ import annotations

from dataclasses import dataclass

from hedger.amounts import counted
from hedger.core.events import Verb
from hedger.core.previewed import argument_of
from hedger.dashboard.control_keys import may, send
from hedger.dashboard.dialogs import SEND, Flatten, PreviewDialog, Refusal
from hedger.dashboard.effects import MarketNow, PreviewSeen, why_not_send
from hedger.dashboard.keys import textual_keys
from hedger.dashboard.panels.incomplete import TITLE
from hedger.dashboard.seat import Seat
from hedger.desk import preview_text
from hedger.desk.decision_log import OnRecord
from hedger.figures import age, figure, usd

_UNANSWERED = Refusal("the engine has not answered yet", passes=True)
_WAITING = f"asked; {_UNANSWERED.text}"


@dataclass(slots=True)
class Asked:
    """A question that was left for the engine. scope: as its answer tells it. after: the record of the last
    preview before it, -1: none; only what comes later is its answer. answer: once it was read. traded_usd:
    what its legs trade, None unknown."""

    scope: str
    after: int
    answer: OnRecord | None = None
    traded_usd: float | None = None

    def look(self, seat: Seat) -> OnRecord | None:
        """The newest answer that was read; what has another scope answers another question."""
        frame, found = seat.frame, None if seat.frame is None else seat.frame.preview
        if frame is None or found is None or found.record <= self.after:
            return self.answer
        if found.document["preview"]["scope"] == self.scope:
            self.answer, self.traded_usd = found, frame.preview_usd
        return self.answer


def preview_hedge(seat: Seat) -> None:
    """Ask the engine what a hedge would be."""
    if not may(seat, "preview") or seat.frame is None:
        return
    asked = _ask(seat, "")
    if asked is None:
        return

    def answered(answer: str | None) -> None:
        if answer == "send" and asked.answer is not None:
            shown = asked.answer.document["preview"]
            argument = argument_of(shown["scope"], shown["ticket"])
            send(seat, Verb.HEDGE, argument, f"after the preview of record {asked.answer.record}")

    dialog = PreviewDialog(
        lambda: _answer(seat, asked),
        seat.labels["send"],
        seat.labels["preview"],
        textual_keys(seat.actions, "send"),
        lambda: refusal_of(seat, asked),
    )
    seat.put(dialog, answered)


def refusal_of(seat: Seat, asked: Asked) -> Refusal | None:
    """Why what was previewed may not be sent any more; the engine plans it anew then."""
    found = asked.look(seat)
    against = _against(seat)
    if against:
        return Refusal(against)
    if seat.frame is None or found is None:
        return _UNANSWERED
    shown = found.document["preview"]
    if shown["against"]:
        return Refusal(str(shown["against"]))
    if not shown["ticket"] or not shown["ticket"]["legs"]:
        return Refusal("there is nothing to send")
    if shown["ticket"]["cost_usd"] is None:
        return Refusal("what it costs is not known")
    now = MarketNow(
        seat.feed.ports.now_ns(),
        seat.frame.indexes,
        seat.frame.marked_ns,
        seat.frame.preview_quotes,
        seat.frame.quote_age_s_max,
    )
    old = why_not_send(PreviewSeen(found.document["now_ns"], dict(shown["indexes"])), now)
    return Refusal(old) if old else None


def flatten(seat: Seat) -> None:
    """The name of an underlying must be typed; its plan is asked for as soon as it is one."""
    if not may(seat, "flatten") or seat.frame is None:
        return
    asked: Asked | None = None
    typed: str | None = None

    def known(text: str) -> str | None:
        names = () if seat.frame is None else seat.frame.indexes
        return next((name for name in names if name.casefold() == text.strip().casefold()), None)

    def check(text: str) -> tuple[bool, str]:
        name, against = known(text), _against(seat)
        if name is None and (seat.frame is None or not seat.frame.indexes):
            return False, "no underlying is known: the book has no worth yet; escape: do nothing"
        if name is None and seat.frame is not None:
            return False, f"type one of {', '.join(seat.frame.indexes)}; escape: do nothing"
        if against:
            return False, f"{against}, a flatten is refused; escape: do nothing"
        return True, f"enter: {SEND}"

    def named(text: str) -> None:
        nonlocal asked, typed
        if (name := known(text)) != typed:
            typed, asked = name, None if name is None else _ask(seat, f"{Verb.FLATTEN} {name}")

    def words() -> str:
        if asked is not None and asked.look(seat) is not None:
            return _answer(seat, asked)
        waiting = "" if typed is None else _WAITING if asked is not None else "the engine could not be asked"
        return "\n".join(filter(None, (_refused(seat), _known_here(seat, typed), waiting)))

    def answered(text: str | None) -> None:
        if text is None:
            return
        name = known(text)
        if name is None:
            seat.warn(f"NOT SENT: {text} is not known any more")
            return
        send(seat, Verb.FLATTEN, name)

    seat.put(Flatten(words, check, named), answered)


def _ask(seat: Seat, scope: str) -> Asked | None:
    """Leave a question for the engine; None where it could not be left."""
    found = None if seat.frame is None else seat.frame.preview
    return Asked(scope, -1 if found is None else found.record) if send(seat, Verb.PREVIEW, scope) else None


def _answer(seat: Seat, asked: Asked) -> str:
    """What the engine has answered, with what is against it by now."""
    found = asked.look(seat)
    if found is None:
        return "\n".join(filter(None, (_refused(seat), _WAITING)))
    old_s = (seat.feed.ports.now_ns() - found.document["now_ns"]) / 1e9
    return preview_text.text(found.record, found.document, _against(seat), age(old_s), asked.traded_usd)


def _against(seat: Seat) -> str:
    """Why the engine, as it stands now, would begin nothing that is asked for."""
    return "" if seat.frame is None else seat.frame.facts.engine_state.withheld


def _refused(seat: Seat) -> str:
    against = _against(seat)
    return against and preview_text.refused(against)


def _known_here(seat: Seat, name: str | None) -> str:
    """What the screen itself knows of one underlying, or of each: what there is to be brought to zero."""
    assert seat.frame is not None
    lines = ["To zero go rows, not positions; by the last marks there are:"]
    for coin in seat.frame.held:
        lines += _coin(seat, coin) if name in (None, coin) else []
    return "\n".join([*lines, *(f"{TITLE}: {text}" for text in seat.frame.left_out)])


def _coin(seat: Seat, name: str) -> list[str]:
    """Positions, delta, gamma and vega of an underlying, and which of its rows have a band."""
    assert seat.frame is not None
    mine = {row: x for row, x in seat.frame.bands.items() if row.split(":")[1] == name}
    delta = mine[f"delta:{name}"]["value"]
    worth = None if delta is None else abs(delta) * seat.frame.indexes[name]
    banded = [row.replace(f":{name}", "") for row, x in mine.items() if x["trigger"] is not None]
    totals = [x for row, x in mine.items() if row in (f"delta:{name}", f"gamma:{name}", f"vega:{name}")]
    return [
        f"{name}: {counted(seat.frame.held[name], 'position')}, delta of about {usd(worth)} USD",
        *(f"  {x['row']:<12} {figure(x['value']):>9} {x['unit']}" for x in totals),
        f"  bands about zero: {', '.join(banded) or 'none'}",
    ]
