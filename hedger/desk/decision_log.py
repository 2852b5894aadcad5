"""What was decided, as the hedge panel and its verb tell it: the last decisions that say something, the last
ticket, the last preview. Pure."""

from __future__ import annotations

from collections import deque
from typing import Any

Json = dict[str, Any]
DECISIONS_KEPT = 200


class DecisionLog:
    """Decisions taken so far, as `hedger.desk.decided` reads them.

    last: the last one; asked: the last one at which the policy was asked. told: those that say something,
    with their records, the newest last. preview, ticket: the last that has one, with its record.
    """

    def __init__(self) -> None:
        self.last: Json | None = None
        self.asked: Json | None = None
        self.told: deque[tuple[int, Json]] = deque(maxlen=DECISIONS_KEPT)
        self.preview: tuple[int, Json] | None = None
        self.ticket: tuple[int, Json] | None = None
        self._said: tuple[Any, ...] = ()

    def take(self, number: int, found: Json) -> None:
        """One more. number: of its record."""
        self.last = found
        if found["trigger"]:
            self.asked = found
        loud = any(found.get(name) for name in ("actions", "ticket", "verification", "verdicts", "preview"))
        said = (found["mode"], found["paused"], found["trigger"])
        if loud or found["reason"] or (found["trigger"] and said != self._said):
            self.told.append((number, found))
        if found["trigger"]:
            self._said = said
        if found.get("ticket"):
            self.ticket = (number, found)
        if found.get("preview"):
            self.preview = (number, found)
