"""What really happened, one JSON object a line: every order, fill, change and end, in the order of events.

The judge's document: a test compares what an engine believes with this, never with what was answered.
"""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any


def _plain(value: object) -> object:
    """Decimal as the string it was, anything else as JSON has it."""
    return format(value, "f") if isinstance(value, Decimal) else str(value)


class Truth:
    """An append-only record in memory, and in a file where one is named. Keys: seq, ns, event, its own."""

    def __init__(self, path: Path | None = None) -> None:
        self.rows: list[dict[str, Any]] = []
        self._file = path.open("a", encoding="utf-8") if path else None

    def note(self, ns: int, event: str, **fields: object) -> None:
        """Add a row; Decimals become strings."""
        row = {"seq": len(self.rows) + 1, "ns": ns, "event": event, **fields}
        text = json.dumps(row, default=_plain)
        self.rows.append(json.loads(text))
        if self._file:
            self._file.write(text + "\n")
            self._file.flush()

    def of(self, event: str, **fields: object) -> list[dict[str, Any]]:
        """Rows of an event whose fields are as given."""
        wanted = {k: format(v, "f") if isinstance(v, Decimal) else v for k, v in fields.items()}
        return [r for r in self.rows if r["event"] == event and all(r.get(k) == v for k, v in wanted.items())]

    def close(self) -> None:
        """Close the file."""
        if self._file:
            self._file.close()
