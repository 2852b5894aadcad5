"""limits.toml -> the hard limits in force, with the file's hash for the journal. A file of its own.

Settings are a desk's wishes and may change while it runs; hard limits are what nobody may exceed. They stand
apart so that the one can be edited without the other, and loosening takes a restart and a reason
(`risk.limit_changes`). Every key may be left out and is cautious then; unknown and retired keys are refused.
"""

from __future__ import annotations

import hashlib
import json
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pricing.errors import InputError, seen
from risk.limit_changes import (
    REASON_CHARACTERS_MIN,
    Comparison,
    LoosenedError,
    check_change,
    entries,
    is_reason,
)
from risk.limit_terms import (
    EVERY,
    NAMED_SECTIONS,
    RETIRED,
    Limits,
    Term,
    Tighter,
)

LIMITS_BYTES_MAX = 1 << 20
#: Larger numbers are slips of the pen; the comparison also refuses NaN and infinity.
NUMBER_MAX = 1e300
NOTHING = "nothing was started"
FIX = "correct it; `hedger limits validate FILE` checks again, `hedger limits show` prints every key"


@dataclass(frozen=True, slots=True)
class LoadedLimits:
    """Limits, where they come from, and the SHA-256 of the file; built-in ones hash their own text."""

    limits: Limits
    source: str
    sha256: str


def built_in() -> LoadedLimits:
    """The limits in force where no file is named."""
    text = default_text()
    return LoadedLimits(Limits(), "built-in", hashlib.sha256(text.encode()).hexdigest())


def load_limits(path: Path | None) -> LoadedLimits:
    """Read a file of hard limits; None or "": the built-in ones.

    Raises:
        InputError: unreadable, no TOML, an unknown or retired key, a wrong type, a number outside its range.
    """
    if path is None or str(path) in ("", "."):
        return built_in()
    content = _bytes(path)
    try:
        tree = tomllib.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise InputError(
            "LIMITS_SYNTAX",
            "not valid TOML",
            where=str(path),
            observed=error,
            allowed="TOML in UTF-8",
            not_done=NOTHING,
            fix="correct the line it names",
        ) from None
    return LoadedLimits(read_limits(tree, str(path)), str(path), hashlib.sha256(content).hexdigest())


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(LIMITS_BYTES_MAX + 1)
    except OSError as error:
        raise InputError(
            "LIMITS_UNREADABLE",
            "cannot read the hard limits",
            where=str(path),
            observed=error,
            allowed="a readable file",
            not_done=NOTHING,
            fix="name it in limits_file, or leave that empty for the built-in limits",
        ) from None
    if len(content) > LIMITS_BYTES_MAX:
        raise InputError(
            "LIMITS_TOO_LARGE",
            "not a file of limits",
            where=str(path),
            observed=f"more than {LIMITS_BYTES_MAX} bytes",
            allowed=f"at most {LIMITS_BYTES_MAX} bytes",
            not_done=NOTHING,
            fix="name the right file",
        )
    return content


def read_limits(tree: Mapping[str, Any], source: str, retired: Mapping[str, str] = RETIRED) -> Limits:
    """Limits from a parsed file; keys left out keep their defaults, those of a named table those of "*".

    Raises:
        InputError: as `load_limits`.
    """
    _refuse_retired(tree, source, retired)
    sections = {item.name: item for item in fields(Limits)}
    _refuse_unknown(tree, sections, "", source)
    default = Limits()
    values: dict[str, Any] = {}
    for name, given in tree.items():
        standing = getattr(default, name)
        if name in NAMED_SECTIONS:
            values[name] = _named(given, standing, name, source)
        else:
            values[name] = _section(given, standing, name, source)
    return Limits(**values)


def _named(given: Any, standing: Mapping[str, Any], name: str, source: str) -> Mapping[str, Any]:
    """A table per name, each filled up from "*"."""
    tables = _table(given, name, source)
    every = _section(tables.get(EVERY, {}), standing[EVERY], f"{name}.{EVERY}", source)
    found = {EVERY: every}
    for key, own in tables.items():
        if key != EVERY:
            found[key] = _section(own, every, f"{name}.{key}", source)
    return MappingProxyType(found)


def _section(given: Any, standing: Any, name: str, source: str) -> Any:
    table = _table(given, name, source)
    terms = {item.name: item.metadata["term"] for item in fields(standing)}
    _refuse_unknown(table, terms, f"{name}.", source)
    values = {item.name: getattr(standing, item.name) for item in fields(standing)}
    for key, value in table.items():
        values[key] = _value(value, values[key], terms[key], f"{name}.{key}", source)
    return type(standing)(**values)


def _table(given: Any, name: str, source: str) -> Mapping[str, Any]:
    if not isinstance(given, Mapping):
        raise _invalid(name, source, given, "a table")
    return given


def _value(value: Any, standing: Any, term: Term, key: str, source: str) -> Any:
    """One value by the type of its default; neither true nor "60" is a number."""
    if isinstance(standing, frozenset):
        if not isinstance(value, list) or not all(isinstance(x, str) and x for x in value):
            raise _invalid(key, source, value, "a list of names")
        wrong = [x for x in value if term.words and x not in term.words]
        if wrong:
            raise _invalid(key, source, ", ".join(wrong), f"of {', '.join(term.words)}")
        return frozenset(value)
    if isinstance(standing, bool):
        if not isinstance(value, bool):
            raise _invalid(key, source, value, "true or false")
        return value
    if isinstance(standing, str):
        if value not in term.words:
            raise _invalid(key, source, value, " or ".join(term.words))
        return value
    whole = isinstance(standing, int)
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        raise _invalid(key, source, value, "a whole number" if whole else "a number")
    if not (-NUMBER_MAX < value < NUMBER_MAX and term.least <= value <= term.most):
        upper = f" to {term.most:g}" if math.isfinite(term.most) else ""
        raise _invalid(key, source, value, f"a finite number from {term.least:g}{upper}")
    return value if whole else float(value)


def _refuse_unknown(table: Mapping[str, Any], known: Mapping[str, Any], prefix: str, source: str) -> None:
    for key in table:
        if key not in known:
            raise InputError(
                "LIMITS_UNKNOWN_KEY",
                "unknown key of hard limits",
                where=f"{source}, key {prefix}{key}",
                observed=key,
                allowed=", ".join(known),
                not_done=NOTHING,
                fix="a limit that is misspelt limits nothing: correct it",
            )


def _refuse_retired(tree: Mapping[str, Any], source: str, retired: Mapping[str, str]) -> None:
    """Keys that once meant something stay refused, whatever stands in them."""
    for dotted, instead in retired.items():
        value: Any = tree
        for part in dotted.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        if value is not None:
            raise InputError(
                "LIMITS_RETIRED_KEY",
                "a retired key, which never gets another meaning",
                where=f"{source}, key {dotted}",
                observed=repr(seen(value)),
                not_done=NOTHING,
                fix=instead,
            )


def _invalid(key: str, source: str, value: Any, allowed: str) -> InputError:
    return InputError(
        "LIMITS_INVALID",
        "invalid value",
        where=f"{source}, key {key}",
        observed=repr(seen(value)),
        allowed=allowed,
        not_done=NOTHING,
        fix=FIX,
    )


def check_restart(then: str | None, now: LoadedLimits, reason: str) -> Comparison | None:
    """Compare with the limits of the last start, and refuse looser ones that come without a reason.

    Args:
        then: their text, as the journal has it; "": it was not kept, None: nothing was started before.

    Returns:
        What has changed; None where there is nothing to compare with.

    Raises:
        LoosenedError: a key allows more than at the last start, or nobody can say, and no reason is given.
    """
    if then is None:
        return None
    try:
        old = read_limits(tomllib.loads(then), "the journal") if then else None
    except (ValueError, RecursionError, InputError):
        old = None  # of another release: its keys are not today's
    if old is not None:
        return check_change(old, now.limits, restart=True, reason=reason)
    if not is_reason(reason):
        raise LoosenedError(
            "LIMITS_NOT_COMPARABLE",
            "the hard limits of the last start are not on record, so that nobody can say what is looser now",
            where=now.source,
            observed="limits of another release" if then else "no limits in the journal",
            allowed=f"a start with a reason of at least {REASON_CHARACTERS_MIN} characters",
            not_done=NOTHING,
            fix='read the limits (`hedger limits show`), then start with --reason "..."',
        )
    return None


def default_text() -> str:
    """The built-in limits as a commented file."""
    head = (
        "# Hard limits of the hedger: what no order may exceed, whatever a plan says.\n"
        "# Each key with its default; a key left out keeps it.\n"
        "# Tightening holds at once; loosening needs a restart with a reason.\n"
        '# In lists of names "*" is every one. [greeks.BTC] or [rate.deribit] changes one coin or venue.\n'
    )
    return head + limits_text(Limits())


def limits_text(limits: Limits) -> str:
    """Limits as a commented TOML file; read again, it gives the same limits.

    >>> read_limits(tomllib.loads(limits_text(Limits())), "text") == Limits()
    True
    """
    lines: list[str] = []
    open_section = ""
    documents = {item.name: type(getattr(limits, item.name)) for item in fields(limits)}
    for key, value, term in entries(limits):
        section, name = key.rsplit(".", 1)
        if section != open_section:
            top, _, table = section.partition(".")
            kind = NAMED_SECTIONS.get(top, documents[top])
            lines += ["", f"# {' '.join((kind.__doc__ or '').split())}"]
            lines.append(f"[{top}.{json.dumps(table)}]" if table else f"[{top}]")
            open_section = section
        way = "" if term.tighter is not Tighter.FIXED else " (any change is a loosening)"
        lines.append(f"{f'{name} = {_written(value)}':<44}  # {term.text}{way}")
    return "\n".join(lines) + "\n"


def limits_document(loaded: LoadedLimits) -> dict[str, Any]:
    """As JSON: source, hash, and every key with its value."""
    return {
        "source": loaded.source,
        "sha256": loaded.sha256,
        "limits": {
            key: sorted(value) if isinstance(value, frozenset) else value
            for key, value, _ in entries(loaded.limits)
        },
    }


def _written(value: Any) -> str:
    """A value as TOML has it."""
    if isinstance(value, frozenset):
        return json.dumps(sorted(value))
    return json.dumps(value)
