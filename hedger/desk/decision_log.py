"""What was decided, as the hedge panel and its verb tell it: the last decisions that say something, the last
ticket, the last preview. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
DECISIONS_KEPT = 200


@dataclass(frozen=True, slots=True)
class OnRecord:
    """A decision's document, and the number of the record that it stands in."""

    record: int
    document: Json


class DecisionLog:
    """Decisions taken so far, as `hedger.desk.decided` reads them.

    last: the last one; asked: the last one at which the policy was asked. told: those that say something,
    the newest last. preview, ticket: the last that has one.
    """

    def __init__(self) -> None:
        self.last: Json | None = None
        self.asked: Json | None = None
        self.told: deque[OnRecord] = deque(maxlen=DECISIONS_KEPT)
        self.preview: OnRecord | None = None
        self.ticket: OnRecord | None = None
        self._said: tuple[Any, ...] = ()

    def take(self, number: int, found: Json) -> None:
        """One more. number: of its record."""
        self.last = found
        if found["trigger"]:
            self.asked = found
        loud = any(found.get(name) for name in ("actions", "ticket", "verification", "verdicts", "preview"))
        said = (found["mode"], found["paused"], found["trigger"])
        if loud or found["reason"] or (found["trigger"] and said != self._said):
            self.told.append(OnRecord(number, found))
        if found["trigger"]:
            self._said = said
        if found.get("ticket"):
            self.ticket = OnRecord(number, found)
        if found.get("preview"):
            self.preview = OnRecord(number, found)
