"""What the engine says while it runs: one JSON object a line, and only fields that are allowed to be said.

Redaction is by a list of what may be written, not of what may not: a field with a name that nobody has
thought of is written as "[withheld]". Records of other libraries keep their logger and level alone, since
their texts may hold addresses with keys in them.

Nobody waits for a reader: a line that the other end of a pipe has no room for is left out and counted, and
the count is said as soon as there is room. A hung log shipper must not hold up a loop with orders out.
"""

from __future__ import annotations

import json
import logging
import math
import select
import sys
from typing import Any, TextIO

#: Fields that may be written. A new one is added here, by a person who has thought about what it can hold.
ALLOWED = frozenset(
    {
        "alert", "allowed", "client_id", "code", "count", "event", "events", "executions", "fills", "head",
        "inbox", "journal", "limit", "memory_mb", "mode", "now_ns", "observed", "orders", "pid", "port",
        "reason", "row", "seconds", "seq", "severity", "signal", "symbol", "text", "trading", "unknown",
        "user", "venue", "verb", "version", "what",
    }
)  # fmt: skip
WITHHELD = "[withheld]"
TEXT_MAX = 500
#: Loggers whose texts are our own.
OURS = "hedger"


class JsonLines(logging.Formatter):
    """A record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, Any] = {
            "at": round(record.created, 6),
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        if record.name.split(".")[0] != OURS:
            return json.dumps(line | {"what": WITHHELD})
        line["what"] = clipped(record.msg if isinstance(record.msg, str) else type(record.msg).__name__)
        for name, value in getattr(record, "fields", {}).items():
            line[name] = plain(value) if name in ALLOWED else WITHHELD
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__  # its text and its locals may hold anything
        return json.dumps(line, allow_nan=False)


def plain(value: Any) -> Any:
    """A value as it may stand in a line; of what is no plain value only the type."""
    if isinstance(value, bool | int) or value is None:
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, str):
        return clipped(value)
    return f"[{type(value).__name__}]"


def clipped(text: str) -> str:
    """A text on one line, at most `TEXT_MAX` characters of it."""
    shown = "".join(c if c.isprintable() else " " for c in text[: TEXT_MAX + 1])
    return shown if len(shown) <= TEXT_MAX else shown[: TEXT_MAX - 1] + "…"


class Unwaiting(logging.StreamHandler[TextIO]):
    """Writes a line where it can be written now."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self.left_out = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Write it, or count it."""
        if not _has_room(self.stream):
            self.left_out += 1
            return
        if self.left_out:
            lost = logging.LogRecord(OURS, logging.WARNING, "", 0, "lines left out", (), None)
            lost.fields = {"count": self.left_out}
            self.left_out = 0
            super().emit(lost)
            if not _has_room(self.stream):
                self.left_out += 1
                return
        super().emit(record)


def _has_room(stream: TextIO) -> bool:
    """Whether a line can be written without waiting: a pipe that can take anything takes a page at once."""
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError):  # no file of the system
        return True
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return bool(poll.poll(0))


class Log:
    """Where the engine says things."""

    def __init__(self, stream: TextIO | None = None, name: str = OURS) -> None:
        self._logger = logging.getLogger(name)
        self._logger.setLevel(logging.INFO)
        self._logger.propagate = False
        handler = Unwaiting(sys.stderr if stream is None else stream)
        handler.setFormatter(JsonLines())
        for old in list(self._logger.handlers):
            self._logger.removeHandler(old)
        self._logger.addHandler(handler)

    def say(self, what: str, *, level: int = logging.INFO, **fields: Any) -> None:
        """One line. what: a constant text; everything else goes into fields."""
        self._logger.log(level, what, extra={"fields": fields})
