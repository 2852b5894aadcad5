"""A decision as the panels take it: of the shape that they read, and no text in it without end. Pure."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from hedger.core.state import Mode
from hedger.journal.codec import CodecError, canonical
from hedger.journal.entries import Record

Json = dict[str, Any]
#: Characters of one text that are kept: no screen shows more of it, and a longer one would hold it up.
TEXT_MAX = 4_000
#: What every decision has, and of which kind.
_SHAPE: dict[str, type] = {
    "seq": int,
    "now_ns": int,
    "mode": str,
    "paused": bool,
    "breached": list,
    "trigger": str,
    "due": bool,
    "verdicts": list,
    "actions": list,
    "reason": str,
}


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
        raise CodecError(f"a decision is not JSON: {error}") from error


def document_of(decision: Record) -> Json:
    """What was decided.

    Raises:
        CodecError: it is not JSON, or not of a decision's shape.
    """
    body = _parsed(decision)
    if not (isinstance(body, dict) and isinstance(body.get("document"), dict)):
        raise CodecError("a decision has a digest and a document")
    found: Json = body["document"]
    for name, kind in _SHAPE.items():
        if name not in found:
            raise CodecError(f"a decision has no {name!r}")
        if type(found[name]) is not kind:
            raise CodecError(f"a decision's {name!r} is {str(found[name])[:40]!r}")
    if found["mode"] not in list(Mode):
        raise CodecError(f"a decision's 'mode' is {found['mode'][:40]!r}")
    if not all(isinstance(each, dict) for name in ("actions", "verdicts") for each in found[name]):
        raise CodecError("a decision's actions and verdicts are objects")
    if not all(map(_is_exposure, found.get("exposures", ()))):
        raise CodecError("a decision's exposures are pairs of a row and a figure")
    if not all(isinstance(found.get(name), dict | None) for name in ("ticket", "preview", "verification")):
        raise CodecError("a decision's ticket, preview and verification are objects")
    return found


def _is_exposure(pair: Any) -> bool:
    match pair:
        case [str(), int() | float() | None]:
            return True
    return False


def _parsed(decision: Record) -> Any:
    try:
        return json.loads(decision.body)
    except (ValueError, RecursionError) as error:
        raise CodecError(f"a decision is not JSON: {error}") from error


def _cut(value: Any) -> Any:
    match value:
        case str() if len(value) > TEXT_MAX:
            return value[:TEXT_MAX] + " .."
        case dict():
            return {name: _cut(x) for name, x in value.items()}
        case list():
            return [_cut(x) for x in value]
    return value
