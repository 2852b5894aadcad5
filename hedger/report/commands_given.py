"""Who steered the engine, how and why, and what came of it: commands as the journal has them, one line each.

What came of a command stands in the decision on it: a refusal by its code, else the mode that it led to. What
takes longer, a kill, a flatten, a hedge, is told when the engine says that it is done. The kill latch set or
removed from outside, where no engine ran, is a line as well. Previews only look and are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hedger.core.events import Command, Verb
from hedger.core.previewed import scope_of
from hedger.journal.entries import LatchChange, Record
from hedger.report.rows import Row, shortened, steered
from hedger.report.words import span
from pricing.daycount import NS_PER_SECOND

Json = Mapping[str, Any]
#: By which alert the engine says that something is done, or as far as it comes.
_DONE = {
    "KILL_CONFIRMED": Verb.KILL,
    "HEDGED": Verb.HEDGE,
    "HEDGE_INCOMPLETE": Verb.HEDGE,
    "FLATTENED": Verb.FLATTEN,
    "FLATTEN_INCOMPLETE": Verb.FLATTEN,
}
_LATCH_VERBS = (Verb.KILL, Verb.UNKILL)
#: Of a command that no decision was written on.
UNDECIDED = "not decided: the engine stopped"


class CommandReader:
    """Told of commands, latches and decisions in order; rows: a line each, amended as more is heard."""

    def __init__(self, rows: list[Row]) -> None:
        self.rows = rows
        self._asked: dict[int, tuple[Verb, Row]] = {}
        self._begun: dict[Verb, Row] = {}
        self._by_command: set[int] = set()

    def command(self, record: Record, command: Command) -> None:
        """Somebody asked for something."""
        if command.verb is Verb.PREVIEW:
            return
        # a reload's changes are what comes of it
        argument = "" if command.verb is Verb.RELOAD else scope_of(command.argument)
        what = shortened(f"{command.verb} {argument}".strip())
        row = steered(record, "command", what, command.user, command.reason, UNDECIDED)
        self._asked[record.seq] = command.verb, row
        self.rows.append(row)
        if command.verb in _LATCH_VERBS:
            self._by_command.add(record.seq)

    def latch(self, record: Record, change: LatchChange) -> None:
        """The latch was set or removed: by the engine on a command that has its line, or from outside."""
        if record.seq in self._by_command:
            self._by_command.discard(record.seq)
            return
        what = str(Verb.KILL if change.set else Verb.UNKILL)
        outcome = "the latch is set" if change.set else "the latch is removed"
        self.rows.append(
            steered(record, "latch", what, change.user, change.reason, f"{outcome}; no engine ran")
        )

    def decided(self, now_ns: int, seq: int, found: Json) -> None:
        """A decision: on a command, or with the end of what one began."""
        alerts = [action for action in found.get("actions", ()) if action.get("action") == "alert"]
        for code in (str(alert.get("code")) for alert in alerts):
            row = self._begun.pop(_DONE[code], None) if code in _DONE else None
            if row is not None:
                after = span((now_ns - row["now_ns"]) / NS_PER_SECOND)
                row["outcome"] = shortened(f"{row['outcome']}; {code} {after} later")
        if seq not in self._asked:
            return
        verb, row = self._asked.pop(seq)
        refused = next((a for a in alerts if a.get("code") in verb.refusals), None)
        if refused is not None:
            row["outcome"] = shortened(f"refused, {refused['code']}: {refused.get('text', '')}")
            return
        told = [str(a.get("text", "")) for a in alerts if a.get("code") == "RELOADED"]
        mode = str(found.get("mode")) + ", paused" * bool(found.get("paused"))
        row["outcome"] = shortened("; ".join((mode, *told)))
        if verb in _DONE.values():
            self._begun[verb] = row
