"""What a change of hard limits means: which keys allow less than before, which more; and the rule for it.

Tightening takes effect at once. Loosening needs a restart by a person who says why: a process that may widen
its own limits while it runs has none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from pricing.errors import Exit, HedgerError
from risk.limit_terms import EVERY, NAMED_SECTIONS, Limits, Term, Tighter

REASON_CHARACTERS_MIN = 8


class LoosenedError(HedgerError):
    """Limits would be widened by what may not widen them (exit 3)."""

    exit_code = Exit.REFUSED


@dataclass(frozen=True, slots=True)
class Comparison:
    """Dotted keys that differ, sorted: `order.notional_usd_max`, `greeks.BTC.delta_usd_max`."""

    tightened: tuple[str, ...]
    loosened: tuple[str, ...]

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not (self.tightened or self.loosened)


def compare(old: Limits, new: Limits) -> Comparison:
    """What changed, key by key, as it takes effect: a table for one coin is compared with what held for it.

    >>> from dataclasses import replace
    >>> from risk.limit_terms import OrderLimits
    >>> compare(Limits(), replace(Limits(), order=OrderLimits(notional_usd_max=1e6)))
    Comparison(tightened=('order.notional_usd_max',), loosened=())
    """
    tightened: list[str] = []
    loosened: list[str] = []
    for key, before, after, term in _pairs(old, new):
        if before == after:
            continue
        (tightened if _allows_less(before, after, term) else loosened).append(key)
    return Comparison(tuple(sorted(tightened)), tuple(sorted(loosened)))


def check_change(old: Limits, new: Limits, *, restart: bool, reason: str) -> Comparison:
    """Let a change through or refuse it; what it changes, for the journal.

    Raises:
        LoosenedError: a key allows more, and this is no restart or nobody says why.
    """
    found = compare(old, new)
    if found.loosened and not (restart and is_reason(reason)):
        values = {key: (before, after) for key, before, after, _ in _pairs(old, new)}
        told = ", ".join(
            f"{key} {shown(values[key][0])} -> {shown(values[key][1])}" for key in found.loosened
        )
        start = 'start with --reason "..."' if restart else "stop the engine, start it with a reason"
        raise LoosenedError(
            "LIMITS_LOOSENED",
            "hard limits would be loosened" + ("" if restart else " while the engine runs"),
            observed=told,
            allowed=f"a restart with a reason of at least {REASON_CHARACTERS_MIN} characters",
            not_done="nothing was started" if restart else "the limits in force stay",
            fix=f"{start}; or put the old values back",
        )
    return found


def is_reason(text: str) -> bool:
    """Whether somebody says why, and not just anything.

    >>> is_reason("because"), is_reason("  x   y    "), is_reason("larger book since May")
    (False, False, True)
    """
    return len(" ".join(text.split())) >= REASON_CHARACTERS_MIN


def shown(value: Any) -> str:
    """A value of a key as a person reads it.

    >>> shown(frozenset({"okx", "deribit"})), shown(frozenset()), shown(5e6)
    ('deribit okx', 'none', '5000000')
    """
    if isinstance(value, frozenset):
        return " ".join(sorted(value)) or "none"
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def entries(limits: Limits) -> Iterator[tuple[str, Any, Term]]:
    """(dotted key, value, what it is) of every key, tables by name in the order of their names."""
    for part in fields(limits):
        value = getattr(limits, part.name)
        if part.name in NAMED_SECTIONS:
            for name in sorted(value):
                yield from _entries(f"{part.name}.{name}", value[name])
        else:
            yield from _entries(part.name, value)


def _entries(prefix: str, section: Any) -> Iterator[tuple[str, Any, Term]]:
    for item in fields(section):
        yield f"{prefix}.{item.name}", getattr(section, item.name), item.metadata["term"]


def _pairs(old: Limits, new: Limits) -> Iterator[tuple[str, Any, Any, Term]]:
    """(key, before, after, what it is); of tables by name, for every name that either side has."""
    for part in fields(old):
        before, after = getattr(old, part.name), getattr(new, part.name)
        if part.name not in NAMED_SECTIONS:
            yield from _matched(part.name, before, after)
            continue
        for name in sorted({*before, *after}):
            yield from _matched(f"{part.name}.{name}", _in_force(before, name), _in_force(after, name))


def _in_force(tables: Mapping[str, Any], name: str) -> Any:
    return tables.get(name, tables[EVERY])


def _matched(prefix: str, before: Any, after: Any) -> Iterator[tuple[str, Any, Any, Term]]:
    for (key, a, term), (_, b, _) in zip(_entries(prefix, before), _entries(prefix, after), strict=True):
        yield key, a, b, term


def _allows_less(before: Any, after: Any, term: Term) -> bool:
    """Whether the new value, which differs, allows less and in no respect more."""
    match term.tighter:
        case Tighter.LOWER:
            return bool(after < before)
        case Tighter.HIGHER:
            return bool(after > before)
        case Tighter.FEWER:
            return EVERY in before or after < before
        case Tighter.MORE:
            return EVERY in after or after > before
        case Tighter.TRUE:
            return bool(after)
        case Tighter.EARLIER:
            return term.words.index(after) < term.words.index(before)
        case Tighter.FIXED:
            return False
