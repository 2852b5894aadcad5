"""How a verb asks a running engine: a command beside its journal, and a look until the journal has it.

None of this talks to a venue, and none writes the journal.
"""

from __future__ import annotations

import argparse
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pricing.errors import InputError, named

if TYPE_CHECKING:
    from hedger.core.events import Verb
    from hedger.journal.identity import Opened
    from hedger.journal.sqlite import SqliteStorage
    from hedger.journal.storage import Storage

#: Between two looks at what another process writes, which tells nobody; a verb has nothing else to do.
LOOK_S = 0.05


def leave_wish(arguments: argparse.Namespace, verb: Verb, opened: Opened | None = None) -> str:
    """Leave what a verb asks for; its id. opened: the journal that was read for it.

    Raises:
        WishRefused: as `hedger.journal.wishes.leave`.
    """
    from hedger.journal.wishes import PATIENCE_S, leave

    argument = getattr(arguments, "argument", None) or ""
    return leave(
        arguments.journal,
        verb,
        argument,
        arguments.reason or "",
        opened=opened,
        waits=True,
        patience_s=arguments.wait_s or PATIENCE_S,  # who does not wait at all has asked all the same
    )


def refuse_unknown_coin(storage: SqliteStorage, coin: str, verb: str) -> None:
    """Refuse a coin that the journal's market does not have; where the journal has none, or one of another
    build's form, the engine judges.

    Raises:
        InputError: it has others.
    """
    from hedger.journal.codec import CodecError
    from hedger.verbs.journals import coins_of

    known: list[str] = []
    with suppress(CodecError):
        known = coins_of(storage) if coin else []
    if known and coin not in known:
        raise InputError(
            "COIN_UNKNOWN",
            "the engine's market has no such coin",
            where=f"hedger {verb}",
            observed=coin,
            allowed=named(known, 20),
            not_done="nothing was sent",
            fix="name one of these as it is written here, or none for all",
        )


def left(
    arguments: argparse.Namespace, verb: Verb, storage: Storage, opened: Opened
) -> tuple[str, int | None, dict[str, Any] | None]:
    """Leave a command for the engine and wait: its id, the event that it became, the decision on that.
    opened: the storage's file."""
    opened.read(storage)
    first = storage.head().number + 1  # before it is sent: the engine may be quick
    id = leave_wish(arguments, verb, opened)
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
