"""A decision as the panels take it: found by its event, of the shape that they read, and no text in it
without end."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from hedger.journal.codec import CodecError, canonical
from hedger.journal.decision_shape import fault_in
from hedger.journal.entries import Kind, Record
from hedger.journal.storage import Storage

Json = dict[str, Any]
#: Characters of one text that are kept: no screen shows more of it, and a longer one would hold it up.
TEXT_MAX = 4_000
#: What every decision has.
_HAS = (
    "seq",
    "now_ns",
    "mode",
    "paused",
    "breached",
    "trigger",
    "due",
    "verdicts",
    "actions",
    "reason",
)


def decision_on(storage: Storage, seq: int, first: int) -> Record | None:
    """The decision on an event: why an order was sent, whether a command was taken; None where it is not on
    record. first: a record from which on it is looked for, such as that of the event.

    Raises:
        StorageFailed: it cannot be read.
    """
    for record in storage.records(first, [Kind.DECISION]):
        if record.seq >= seq:
            return record if record.seq == seq else None
    return None


def shortened(decision: Record) -> Record:
    """A decision's record with its long texts cut off; itself where it has none.

    Raises:
        CodecError: it is not JSON.
    """
    if len(decision.body) <= TEXT_MAX:
        return decision
    body = _parsed(decision)
    cut = _cut(body)
    if cut == body:
        return decision
    try:
        return replace(decision, body=canonical(cut))
    except ValueError as error:
        raise CodecError(f"record {decision.number}: a decision is not JSON: {error}") from error


def document_of(decision: Record) -> Json:
    """What was decided.

    Raises:
        CodecError: it is not JSON, or not of a decision's shape.
    """
    body = _parsed(decision)
    if not (isinstance(body, dict) and isinstance(body.get("document"), dict)):
        raise CodecError(f"record {decision.number}: a decision has a digest and a document")
    found: Json = body["document"]
    lacking = next((name for name in _HAS if name not in found), "")
    if wrong := f"a decision has no {lacking!r}" if lacking else fault_in(found):
        raise CodecError(f"record {decision.number}: {wrong}")
    return found


def _parsed(decision: Record) -> Any:
    try:
        return json.loads(decision.body)
    except (ValueError, RecursionError) as error:
        raise CodecError(f"record {decision.number}: a decision is not JSON: {error}") from error


def _cut(value: Any) -> Any:
    match value:
        case str() if len(value) > TEXT_MAX:
            return value[:TEXT_MAX] + " .."
        case dict():
            return {name: _cut(x) for name, x in value.items()}
        case list():
            return [_cut(x) for x in value]
    return value
