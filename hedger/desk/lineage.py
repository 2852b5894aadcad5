"""The lineage of orders: every record that speaks of one, from the decision it came of to its fills."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from hedger.core.order_life import OrderRecord
from hedger.desk.decided import decision_on, document_of
from hedger.desk.journal_end import first_since
from hedger.journal.codec import CodecError
from hedger.journal.entries import Kind, Record
from hedger.journal.storage import Storage

Json = dict[str, Any]
_KINDS = (Kind.INTENT, Kind.ACKNOWLEDGEMENT, Kind.EVENT, Kind.ORDER, Kind.FILL)
#: A text in JSON: an id is looked for as a whole, for `h-4-0-1` is the head of `h-4-0-10`.
_TEXTS = re.compile(rb'"([^"\\]*)"')
#: So many records before an order's first one its decision mostly stands.
_STEP = 50


def lineages(
    storage: Storage, client_ids: Iterable[str], known: Mapping[str, OrderRecord]
) -> dict[str, list[Json]]:
    """The records on each order, in order, by client id: number, kind, event, time and what it says in short.

    known: orders by client id. One that is a leg of a combo has the combo's records, too.

    Raises:
        StorageFailed: the journal cannot be read.
    """
    found: dict[str, list[Record]] = {client_id: [] for client_id in client_ids}
    wanted: dict[bytes, list[str]] = {}
    for client_id in found:
        combo = known[client_id].order.combo if client_id in known else ""
        for name in {client_id, combo or client_id}:
            wanted.setdefault(name.encode("ascii", "replace"), []).append(client_id)
    for record in storage.records(_first(storage, known, found), _KINDS) if wanted else ():
        if record.frame is not None:
            continue
        named = {x for text in set(_TEXTS.findall(record.text)) for x in wanted.get(text, ())}
        for client_id in named:
            found[client_id].append(record)
    decisions: dict[int, Record | None] = {}
    for client_id, records in found.items():
        if client_id in known and records:
            seq = known[client_id].order.seq
            if seq not in decisions:
                decisions[seq] = decision_on(storage, seq, _before(storage, records[0].number, seq))
            records += [decision for decision in (decisions[seq],) if decision is not None]
    return {
        client_id: [_told(record) for record in sorted(records, key=lambda x: x.number)]
        for client_id, records in found.items()
    }


def _first(storage: Storage, known: Mapping[str, OrderRecord], client_ids: Iterable[str]) -> int:
    """The record before which nothing was said of any of them."""
    since_ns = [known[client_id].wall_ns if client_id in known else 0 for client_id in client_ids]
    return first_since(storage, min(since_ns), storage.head().number)


def _before(storage: Storage, number: int, seq: int) -> int:
    """A record that stands before an event. number: of one behind it, mostly a few records, and for the last
    part of a hedge many; so the steps back double."""
    step = _STEP
    while number > 1:
        number, step = max(number - step, 1), 2 * step
        if next(storage.records(number)).seq < seq:
            break
    return number


def _told(record: Record) -> Json:
    return {
        "record": record.number,
        "kind": str(record.kind),
        "seq": record.seq,
        "now_ns": record.now_ns,
        "text": _gist(record),
    }


def _gist(record: Record) -> str:
    """What a record says, shortened to what is of an order."""
    try:
        if record.kind == Kind.DECISION:
            document = document_of(record)
            why = document["trigger"] or document["reason"]
            return f"{why}, {len(document['verdicts'])} orders allowed or denied"
        found = json.loads(record.text)
        flat = _flat(found.get("what", found) if isinstance(found, dict) else found)
    except (CodecError, ValueError, RecursionError):
        return "not readable"
    kept = ("side", "quantity", "price", "state", "filled", "code", "trade_id", "fee", "symbol")
    words = [f"{name} {flat[name]}" for name in kept if flat.get(name) not in (None, "")]
    return f"{flat.get('type', '')} {', '.join(words)}".strip()


def _flat(found: Any) -> dict[str, Any]:
    """The plain values of a document, the outer ones first."""
    if not isinstance(found, dict):
        return {}
    plain = {name: x for name, x in found.items() if not isinstance(x, dict | list)}
    for x in found.values():
        if isinstance(x, dict):
            plain = {**_flat(x), **plain}
    return plain
