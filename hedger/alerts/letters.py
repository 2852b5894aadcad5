"""How messages read when they arrive: one letter for all that is told at one look. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from hedger.alerts.notices import Message, Why, rank
from hedger.core.actions import Severity
from hedger.desk.alert_kinds import kind_of
from hedger.journal.entries import JournalName
from pricing.daycount import NS_PER_SECOND, iso

#: A letter tells so many things; of more it gives the number.
LINES_MAX = 20
TEXT_MAX = 400


@dataclass(frozen=True, slots=True)
class Letter:
    """What a sink is sent."""

    title: str
    body: str
    severity: Severity


def letter(name: JournalName, messages: Sequence[Message], dropped: int = 0) -> Letter:
    """Messages as one letter, the gravest first. dropped: messages that nobody could be told any more."""
    ordered = sorted(messages, key=lambda m: -rank(m.notice.severity))
    lines = [line(message) for message in ordered[:LINES_MAX]]
    left = len(ordered) - LINES_MAX
    if left > 0:
        lines.append(f"and {left} more: `hedger alerts --once` shows what stands")
    if dropped:
        lines.append(f"{dropped} older ones could not be sent and are lost; the journal has them")
    news = [m for m in ordered if m.why not in (Why.OVER, Why.WELL)]
    severity = max((m.notice.severity for m in news), key=rank, default=Severity.NOTE)
    return Letter(
        f"hedger {name.trading.upper()} {name.engine}: {_head(ordered)}", "\n".join(lines), severity
    )


def line(message: Message) -> str:
    """One message, with what to do about it."""
    notice, why = message.notice, message.why
    text = notice.text if len(notice.text) <= TEXT_MAX else notice.text[:TEXT_MAX] + ".."
    if why is Why.WELL:
        return text
    if why is Why.OVER:
        return f"OVER {notice.code}: no longer so ({text})"
    more = {
        Why.AGAIN: f", again ({message.count} times since it was told)" if message.count > 1 else ", still",
        Why.WORSE: ", worse now",
        Why.UNSTEADY: ", comes and goes: told again when it keeps still",
    }.get(why, "")
    at = f", at {iso(notice.now_ns - notice.now_ns % NS_PER_SECOND)}" if notice.now_ns else ""
    return f"{notice.severity.upper()} {notice.code}{more}: {text}{at}\n  do: {kind_of(notice.code).action}"


def _head(messages: Sequence[Message]) -> str:
    if all(m.why is Why.WELL for m in messages):
        return "all well"
    counts = Counter("over" if m.why is Why.OVER else str(m.notice.severity) for m in messages)
    words = [(counts[w], w) for w in ("critical", "warning", "note", "over") if counts[w]]
    return ", ".join(f"{n} {w}" for n, w in words)
