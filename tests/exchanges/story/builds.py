"""A sender of another build of the program beside a running engine (F24), and what must come of his letters.

He asks for everything that lets risk rise, and for a pause. By the journal each of the first is refused by
its name and changes nothing: neither mode nor pause nor book, and nothing is planned; the pause holds.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hedger.core.actions import Adjustment, AdjustmentKind
from hedger.core.events import Command, Verb
from hedger.journal.commands_file import send
from hedger.journal.entries import Configuration, DecisionRecord, EventBody, Kind, ModeChange, Record, read
from hedger.journal.journal import open_to_read
from hedger.journal.storage import Storage
from hedger.simulator.history_lines import Violation
from pricing.errors import HedgerError, InputError

BUILD = "0.0.9+fedcba9876543210"
#: By this a letter of his is known, whatever the engine has made of it.
NAMED = "other-build-"
#: What he asks for, and with which argument: the pause in the middle, so that `resume` would end it.
LETTERS = (
    (Verb.FLATTEN, ""),
    (Verb.BANDS, "delta:BTC=-9,9/-8,8"),
    (Verb.PAUSE, ""),
    (Verb.RESUME, ""),
    (Verb.ARM, "accept"),
    (Verb.HEDGE, ""),
    (Verb.RELOAD, ""),
    (Verb.UNKILL, ""),
)
_ACCEPTED = (AdjustmentKind.ACCEPTED_POSITION, AdjustmentKind.ACCEPTED_CASH)
#: A hedge in work may be due for another plan just when a letter comes: that is none of its doing.
_ANEW = "; planned anew: "
_FREEDOM = {"killed": 0, "halted": 1, "observe": 2, "reducing": 3, "armed": 4}


def leave(journal: Path, first: int) -> tuple[str, ...]:
    """His letters, numbered from `first` on; their ids."""
    sent = []
    for number, (verb, argument) in enumerate(LETTERS, first):
        command = Command(f"{NAMED}{number}-{verb}", verb, "stranger", "of another day", argument, BUILD)
        with suppress(InputError):
            send(journal, command, time.time_ns())
            sent.append(command.id)
    return tuple(sent)


def on_record(journal: Path) -> frozenset[str]:
    """The ids of the commands that a journal has; none while it cannot be read."""
    with suppress(HedgerError), closing(open_to_read(journal)) as storage:
        return frozenset(record.key or "" for record in storage.records(kinds=[Kind.COMMAND]))
    return frozenset()


@dataclass(slots=True)
class _Turn:
    """What a journal says of one letter: the command, how things stood, and what changed with it."""

    command: Command
    mode: str
    paused: bool
    changed: ModeChange | None = None
    accepted: int = 0


def what_came_of_them(storage: Storage) -> Iterator[Violation]:
    """Everything that an engine should not have made of his letters."""
    kinds = [Kind.CONFIGURATION, Kind.COMMAND, Kind.MODE, Kind.ADJUSTMENT, Kind.DECISION]
    turns: dict[int, _Turn] = {}
    mode, paused = "", False
    for record in storage.records(kinds=kinds):
        turn = turns.get(record.seq)
        if record.kind == Kind.DECISION and turn is None:
            continue
        match read(record):
            case Configuration():
                turns.clear()  # an engine that died between a letter and its decision has decided nothing
            case EventBody(what=Command(id=id) as command) if id.startswith(NAMED):
                turns[record.seq] = _Turn(command, mode, paused)
            case ModeChange() as change:
                mode, paused = change.mode, change.paused
                if turn is not None:
                    turn.changed = change
            case Adjustment(kind=kind) if turn is not None:
                turn.accepted += kind in _ACCEPTED
            case DecisionRecord(document=document) if turn is not None:
                yield from _wrong(turns.pop(record.seq), dict(document), record)


def _wrong(turn: _Turn, decision: dict[str, Any], record: Record) -> Iterator[Violation]:
    command, changed = turn.command, turn.changed
    codes = {action.get("code") for action in decision["actions"] if action["action"] == "alert"}
    found: Iterable[str]
    if command.verb is Verb.PAUSE:
        found = ["was not obeyed"] * (not decision["paused"])
    else:
        freer = changed is not None and _FREEDOM[changed.mode] > _FREEDOM.get(turn.mode, 0)
        resumed = turn.paused and not decision["paused"]
        planned = decision["ticket"] is not None and _ANEW not in decision["reason"]
        found = (
            ["was not refused"] * ("BUILD_REFUSED" not in codes)
            + [f"made the engine {decision['mode']} that was {turn.mode}"] * freer
            + ["ended a pause"] * resumed
            + ["changed the book"] * bool(turn.accepted)
            + ["was planned for"] * (planned or "RELOADED" in codes)
        )
    if command.build != BUILD:
        found = [*found, f"is on record as of build {command.build or 'the engine itself'}"]
    for what in found:
        text = f"{command.verb} of another build {what} (record {record.number})"
        yield Violation("F24", text, (str(decision)[:1000],))
