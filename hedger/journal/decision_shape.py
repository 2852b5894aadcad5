"""What a decision's document must look like, so that whoever shows it need not look again.

A decision is the one record that is read as plain JSON: its document holds the words of
`hedger.core.decision` as text and numbers. What is there must be of its kind; that something is there at all
is asked only of what was in every release.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from decimal import Decimal, InvalidOperation
from enum import Enum
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

from hedger.core.actions import Adjustment, Alert, AskAccount, AskOrder
from hedger.core.decision import Preview, Ticket, Verdict
from hedger.core.state import Mode
from hedger.core.verification import RowCheck, Verification

Json = dict[str, Any]
#: Larger numbers are in no decision: nothing that is computed of such a one would be a number.
FIGURE_MAX, DIGITS_MAX, INT_MAX = 1e300, 100, 2**63 - 1
#: Of an order, where it is sent alone or in a combo.
_ORDER: dict[str, Any] = {
    "client_id": str,
    "venue": str,
    "symbol": str,
    "side": str,
    "quantity": Decimal,
    "price": Decimal,
}


def fault_in(document: Mapping[str, Any]) -> str:
    """What is wrong with a document; "" where nothing is."""
    for name, hint in _PARTS.items():
        if name in document and (wrong := _wrong(hint, document[name])):
            return f"a decision's {name!r}{wrong}"
    return ""


def _row(value: Any) -> str:
    return "" if type(value) is str and ":" in value else _shown(value)


def _exposure(value: Any) -> str:
    if not isinstance(value, list) or len(value) != 2:
        return _shown(value)
    return _row(value[0]) or _wrong(float, value[1])


def _action(value: Any) -> str:
    if not isinstance(value, dict) or type(value.get("action")) is not str:
        return _shown(value)
    match value["action"]:
        case "alert":
            return _object(_parts_of(Alert), value)
        case "ask_account":
            return _object(_parts_of(AskAccount), value)
        case "ask_order":
            return _object(_parts_of(AskOrder), value)
        case "submit":
            return _object((_ORDER, frozenset(_ORDER)), value)
        case "submit_combo":
            legs = value.get("legs")
            if not isinstance(legs, list):
                return f" has no 'legs' of {_shown(value)[2:]}"
            return next((w for leg in legs if (w := _object((_ORDER, frozenset(_ORDER)), leg))), "")
    return ""


_PARTS: dict[str, Any] = {
    "seq": int,
    "now_ns": int,
    "mode": Mode,
    "paused": bool,
    "exposures": (_exposure, ...),
    "breached": tuple[str, ...],
    "trigger": str,
    "due": bool,
    "ticket": Ticket | None,
    "verdicts": tuple[Verdict, ...],
    "actions": (_action, ...),
    "adjustments": tuple[Adjustment, ...],
    "verification": Verification | None,
    "reason": str,
    "preview": Preview | None,
}


def _wrong(hint: Any, value: Any) -> str:
    """What is wrong with a value of an annotation, as it goes on after its name; "" where nothing is."""
    if isinstance(hint, types.FunctionType):
        found: str = hint(value)
        return found
    if get_origin(hint) in (Union, types.UnionType):
        some = [part for part in get_args(hint) if part is not type(None)]
        return "" if value is None else _wrong(some[0], value)
    if isinstance(hint, tuple) or get_origin(hint) is tuple:
        return _list(hint if isinstance(hint, tuple) else get_args(hint), value)
    if is_dataclass(hint):
        kind: Any = hint
        return _object(_parts_of(kind), value)
    return "" if _PLAIN.get(hint, _one_of(hint))(value) else _shown(value)


def _list(parts: tuple[Any, ...], value: Any) -> str:
    if not isinstance(value, list):
        return _shown(value)
    each = [parts[0]] * len(value) if parts[-1] is Ellipsis else list(parts)
    if len(each) != len(value):
        return _shown(value)
    for place, (hint, x) in enumerate(zip(each, value, strict=True)):
        if wrong := _wrong(hint, x):
            return f"[{place}]{wrong}"
    return ""


def _object(parts: tuple[Mapping[str, Any], frozenset[str]], value: Any) -> str:
    hints, required = parts
    if not isinstance(value, dict):
        return _shown(value)
    if lacking := sorted(required - value.keys()):
        return f" has no {lacking[0]!r}"
    for name, hint in hints.items():
        if name in value and (wrong := _wrong(hint, value[name])):
            return f" {name!r}{wrong}"
    return ""


@cache
def _parts_of(kind: Any) -> tuple[Mapping[str, Any], frozenset[str]]:
    """The fields of a word, and those that must be there."""
    required = frozenset(f.name for f in fields(kind) if f.default is MISSING)
    hints: dict[str, Any] = {**get_type_hints(kind), **_NAMED.get(kind, {})}
    return hints, required | _READ.get(kind, frozenset())


#: Fields that name rows.
_NAMED: dict[Any, Mapping[str, Any]] = {Ticket: {"after": (_exposure, ...)}, RowCheck: {"row": _row}}
#: Fields with a default that every release has written all the same.
_READ = {Verdict: frozenset({"code", "text"}), Ticket: frozenset({"unwind"})}


def _is_figure(value: Any) -> bool:
    return value is None or (type(value) in (int, float) and abs(value) <= FIGURE_MAX)


def _is_amount(value: Any) -> bool:
    try:
        number = Decimal(value) if type(value) is str else None
    except InvalidOperation:
        return False
    return number is not None and number.is_finite() and abs(number.adjusted()) <= DIGITS_MAX


_PLAIN: dict[Any, Callable[[Any], bool]] = {
    str: lambda value: type(value) is str,
    bool: lambda value: type(value) is bool,
    int: lambda value: type(value) is int and abs(value) <= INT_MAX,
    float: _is_figure,
    Decimal: _is_amount,
}


def _one_of(kind: type[Enum]) -> Callable[[Any], bool]:
    return lambda value: type(value) is str and value in [str(word.value) for word in kind]


def _shown(value: Any) -> str:
    return f" is {str(value)[:40]!r}"
