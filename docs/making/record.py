"""The page on the journal: what its records are, which events there are, and what a decision holds."""

from __future__ import annotations

import ast
from dataclasses import fields, is_dataclass
from typing import Any, get_args

import polars as pl

from docs.making.markdown import cell, code, page, table
from docs.making.scanning import trees
from hedger.core import actions, decision, events
from hedger.journal import entries, export


def make() -> str:
    """The page."""
    parts = [
        "The journal is one SQLite file. Its table `records` holds number, kind, seq, now_ns, key, body "
        "and hash; each "
        "hash covers the one before it, so a record changed, moved or taken out breaks the chain at that "
        "place "
        "(`hedger journal verify`). A body is canonical JSON. `hedger journal show --json` prints records, "
        "`hedger "
        "journal export --out DIR` writes them as Parquet. `seq` numbers events in the order in which the "
        "engine took "
        "them; `now_ns` is UTC in nanoseconds.",
        "## Kinds of record\n",
        table(
            ("kind", "durable before anything else", "what it is"),
            [
                (code(kind.value), "yes" if kind in entries.URGENT else "", cell(text))
                for kind, text in _kinds().items()
            ],
        ),
        "## Events\n",
        "What can happen to the engine. A record of the kind `event`, `acknowledgement` or `command` holds "
        "one.\n",
        table(
            ("event", "what it is", "fields"),
            [(code(e.__name__), cell(_first(e)), _fields(e)) for e in get_args(events.Happening)],
        ),
        "## Commands\n",
        table(("verb", "what it asks for"), [(code(v), cell(_verbs().get(v.name, ""))) for v in events.Verb]),
        "## Adjustments\n",
        "Changes of the book that no trade made.\n",
        table(("kind", "why"), [(code(k), cell(_why().get(k.name, ""))) for k in actions.AdjustmentKind]),
        "## Decision\n",
        cell(_first(decision.Decision)) + "\n",
        table(
            ("field", "type"),
            [(code(f.name), code(f.type)) for f in fields(decision.Decision)],
        ),
        "## Tables of an export\n",
        "Exact amounts stand as text, and as numbers beside it.\n",
    ]
    parts += [
        f"### `{name}.parquet`\n\n"
        + table(("column", "type"), [(code(c), code(t)) for c, t in schema.items()])
        for name, schema in _exported().items()
    ]
    return page("Journal", *parts)


def _kinds() -> dict[entries.Kind, str]:
    told = _comments("hedger/journal/entries.py", "Kind")
    return {kind: told.get(kind.name, "") or _OF_KIND[kind] for kind in entries.Kind}


#: Kinds whose name says it in the code.
_OF_KIND = {
    entries.Kind.EVENT: "an event of any other kind: marks, what a venue says of an account, time",
    entries.Kind.DECISION: "what one event led to",
    entries.Kind.MODE: "the engine went from one mode into another, and why",
}


def _verbs() -> dict[str, str]:
    told = _comments("hedger/core/events.py", "Verb")
    return {**_OF_VERB, **told}


_OF_VERB = {
    "ARM": "let it send orders", "RESUME": "end a pause",
    "KILL": "stop sending at once and cancel everything",
    "UNKILL": "remove the kill latch; it then observes",
}  # fmt: skip


def _why() -> dict[str, str]:
    return {"FUNDING": "a perpetual's funding", "SETTLEMENT": "an expiry"} | _comments(
        "hedger/core/actions.py", "AdjustmentKind"
    )


def _comments(file: str, name: str) -> dict[str, str]:
    """What stands behind the members of an enumeration."""
    from docs.making.scanning import ROOT

    lines = (ROOT / file).read_text("utf-8").splitlines()
    found = {}
    for node in ast.walk(trees()[file]):
        if isinstance(node, ast.ClassDef) and node.name == name:
            for statement in node.body:
                if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
                    _, _, comment = lines[statement.lineno - 1].partition("  # ")
                    if comment:
                        found[statement.targets[0].id] = comment
    return found


def _first(kind: type[Any]) -> str:
    """The first sentence of a docstring."""
    text = " ".join((kind.__doc__ or "").split())
    return text.split(". ")[0].rstrip(".")


def _fields(kind: type[Any]) -> str:
    return ", ".join(code(f.name) for f in fields(kind)) if is_dataclass(kind) else ""


def _exported() -> dict[str, dict[str, str]]:
    """The schemas of the exported tables, as the code declares them."""
    held = {
        name.strip("_").lower(): schema
        for name, schema in vars(export).items()
        if name.isupper() and isinstance(schema, dict | pl.Schema) and schema
    }
    return {name: {str(c): str(t) for c, t in schema.items()} for name, schema in held.items()}
