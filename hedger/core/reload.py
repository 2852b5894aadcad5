"""Other settings for a running engine: a command, checked as a whole, applied between two events.

The argument of `reload` is a JSON object: sections of the settings as they shall be, null for the built-in
ones; so the record holds what was changed, by whom and why, and who folds the record again gets the same
state. All of it is taken or nothing: a section that makes no sense, a key that is unknown or retired, or one
that only a restart may change leaves the old settings in force, and a person is told.

Only what shapes a hedge can be changed like this. The hard limits are a file of their own that no reload
reads; what guards the engine (ages of quotes, how orders are watched, which differences are borne) and what
its parts were built from (venues, fees, numeraire, paper terms) change with a restart. An execution in work
was planned under the old settings: it ends, its orders are cancelled, and the policy is asked anew. A band
that a person set stands, unless the file's own band of its row is among what changed: then the file is
followed again, and that is told.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from hedger.core.actions import Severity
from hedger.core.by_hand_told import drop_changed, tell_tight
from hedger.core.marking import value_book
from hedger.core.turn import Turn
from hedger.settings import Settings
from pricing.errors import named

Tree = Mapping[str, Any]
#: Sections that a running engine may take anew.
RELOADABLE = frozenset(
    {
        "bands",
        "costs",
        "execution",
        "missing",
        "objective",
        "policy",
        "risk_term",
        "robust",
        "scenarios",
        "solver",
        "universe",
    }
)
#: Keys in them that guard the engine: with a restart alone.
GUARDS = ("execution.book_age_s_max", "execution.reconcile", "execution.watch")
#: Sections that no engine reads: they belong to processes beside it, and changing them changes nothing here.
BESIDE = frozenset({"alerts"})
#: Instead of sections: why whoever read the file could make nothing of it.
UNREADABLE = "unreadable"
#: So many changed keys are told; the record has all of them.
TOLD = 12


def tree_of(settings: Settings) -> dict[str, Any]:
    """The settings that were given, as JSON; what was left out is left out."""
    return settings.model_dump(mode="json", exclude_unset=True)


def changes(old: Settings, new: Settings) -> str:
    """The argument that makes the one of the other: sections that differ."""
    before, after = tree_of(old), tree_of(new)
    names = sorted({*before, *after} - BESIDE)
    return json.dumps({n: after.get(n) for n in names if before.get(n) != after.get(n)}, sort_keys=True)


def reload(turn: Turn, argument: str) -> None:
    """Take other settings, or say why not."""
    old = turn.settings.desk
    try:
        new = changed(old, argument)
    except ValueError as error:
        text = f"the settings stay as they are: {error}; no key of them was changed"
        turn.alert(Severity.WARNING, "RELOAD_REFUSED", text)
        turn.note(text)
        return
    told = list(differences(old.model_dump(mode="json"), new.model_dump(mode="json")))
    if not told:
        turn.note("reloaded: nothing is different")
        return
    changes = named(told, TOLD, between="; ")
    turn.note(f"reloaded: {changes}")
    turn.alert(Severity.NOTE, "RELOADED", changes)
    execution = turn.state.execution
    if execution is not None and not execution.ending:
        execution = execution.ended("the settings were reloaded")
    turn.state = replace(turn.state, desk=new, execution=execution)
    turn.settings = replace(turn.settings, desk=new)
    drop_changed(turn)
    if value_book(turn):
        tell_tight(turn)


def changed(old: Settings, argument: str) -> Settings:
    """The settings with sections of them changed.

    Raises:
        ValueError: no JSON object of sections, a section that needs a restart, or values that make no sense.
    """
    try:
        wanted = json.loads(argument)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"RELOAD_SYNTAX: {error}") from None
    if not isinstance(wanted, dict):
        raise ValueError("RELOAD_SYNTAX: an object of sections expected")
    if UNREADABLE in wanted:
        raise ValueError(str(wanted[UNREADABLE]))
    tree = tree_of(old)
    tree.update({name: section for name, section in wanted.items() if section is not None})
    for name in [name for name, section in wanted.items() if section is None]:
        tree.pop(name, None)
    try:
        new = Settings.model_validate(tree)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"CONFIG_INVALID: key {where}: {first['msg']}") from None
    keys = [line.partition(":")[0] for line in differences(_dump(old), _dump(new))]
    fixed = [key for key in keys if key.partition(".")[0] not in RELOADABLE or key.startswith(GUARDS)]
    if fixed:
        raise ValueError(f"RELOAD_NEEDS_RESTART: {', '.join(fixed[:TOLD])} can only be changed by a restart")
    return new


def differences(old: Tree, new: Tree, under: str = "") -> Iterator[str]:
    """Keys that differ, with both values, in order.

    >>> list(differences({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}))
    ['a.c: 2 -> 3']
    """
    for name in sorted({*old, *new}):
        before, after = old.get(name), new.get(name)
        if before == after:
            continue
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            yield from differences(before, after, f"{under}{name}.")
        else:
            yield f"{under}{name}: {json.dumps(before)} -> {json.dumps(after)}"


def _dump(settings: Settings) -> dict[str, Any]:
    return settings.model_dump(mode="json")
