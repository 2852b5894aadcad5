"""How a verb asks a running engine: a command beside its journal, and a look until the journal has it.

None of this talks to a venue, and none writes the journal.
"""

from __future__ import annotations

import argparse
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hedger.journal.user import user_name
from pricing.errors import Exit, HedgerError

if TYPE_CHECKING:
    from hedger.journal.storage import Storage

#: Between two looks at what another process writes, which tells nobody; a verb has nothing else to do.
LOOK_S = 0.05


class EngineAbsent(HedgerError):
    """Nobody is there to obey (exit 3)."""

    exit_code = Exit.REFUSED


def refuse_absent(journal: Path, verb: str) -> None:
    from hedger.journal.lock import build_of, holder, pid_of

    held = holder(journal)
    if held is None:
        raise EngineAbsent(
            "ENGINE_ABSENT",
            "no engine writes this journal",
            where=journal.name,
            observed=f"hedger {verb}",
            allowed="a running engine",
            not_done="nothing was sent",
            fix="start it with `hedger run`, or name the right --journal",
        )
    if verb not in ("pause", "kill") and pid_of(held) is not None and not build_of(held):
        raise EngineAbsent(  # which refuses other builds' commands, this one would obey
            "ENGINE_OLDER",
            "the engine is of a release that does not say which build it is",
            where=journal.name,
            observed=f"hedger {verb}, process {pid_of(held)}",
            allowed="an engine of this build; `hedger pause` and `hedger kill` of any",
            not_done="nothing was sent",
            fix="steer it with the release that it was started from, or start it anew from this one",
        )


def send_wish(arguments: argparse.Namespace, verb: Any, fingerprint: str = "") -> str:
    from hedger.core.events import Command
    from hedger.journal.commands_file import send

    id = uuid.uuid4().hex
    argument = getattr(arguments, "argument", None) or ""
    wish = Command(id, verb, user_name(), arguments.reason or "", argument)
    send(arguments.journal, wish, time.time_ns(), fingerprint)
    return id


def left(
    arguments: argparse.Namespace, verb: Any, storage: Storage
) -> tuple[str, int | None, dict[str, Any] | None]:
    """Leave a command for the engine and wait: its id, the event that it became, the decision on that."""
    from hedger.journal.identity import fingerprint_of

    refuse_absent(arguments.journal, verb)
    first = storage.head().number + 1  # before it is sent: the engine may be quick
    id = send_wish(arguments, verb, fingerprint_of(storage))
    return id, *taken(storage, id, first, arguments.wait_s)


def taken(storage: Storage, id: str, first: int, wait_s: float) -> tuple[int | None, dict[str, Any] | None]:
    """The event that a command became, and the decision on it; None while there is none."""
    from hedger.journal.entries import DecisionRecord, Kind, read

    seq, end = None, time.monotonic() + wait_s
    while True:
        for record in storage.records(first, [Kind.COMMAND, Kind.DECISION]):
            if record.kind == Kind.COMMAND and record.key == id:
                seq = record.seq
            if record.kind == Kind.DECISION and record.seq == seq:
                found = read(record)
                return seq, dict(found.document) if isinstance(found, DecisionRecord) else None
        if time.monotonic() >= end:
            return seq, None
        time.sleep(LOOK_S)  # the engine is another process: its journal is all that tells


def refusal(decision: dict[str, Any] | None, verb: str) -> dict[str, str] | None:
    """Why the engine did not obey: the alert's code and text; None where it did, or has not answered."""
    from hedger.core.events import Verb

    codes = Verb(verb).refusals
    for action in (decision or {}).get("actions", ()):
        if action.get("code") in codes and action.get("action") == "alert":
            return {"code": str(action["code"]), "text": str(action.get("text", ""))}
    return None
