"""What every control is made of: the finding where a number is beyond its limit, or not known."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from risk.limit_codes import Code, Finding
from risk.limit_request import Request, Surroundings
from risk.limit_terms import Limits

#: One control: everything that it finds, nothing where it lets the order through.
Check = Callable[[Request, Surroundings, Limits], Iterator[Finding]]

#: Rounding of sums: what differs by less is the same.
ROUNDING = 1e-9


def missing(name: str, detail: str = "") -> Finding:
    """A limit cannot be checked. detail: why it is not known."""
    return Finding(
        Code.INPUT_MISSING, "unknown", "a known number", ", ".join(filter(None, (f"missing: {name}", detail)))
    )


def at_most(
    code: Code, name: str, value: float, most: float, unit: str, detail: str = ""
) -> Iterator[Finding]:
    """A finding where a value is above its limit, or not known."""
    if math.isnan(value):
        yield missing(name, detail)
    elif value > most:
        yield Finding(
            code, f"{name} {value:.10g} {unit}".rstrip(), f"at most {most:.10g} {unit}".rstrip(), detail
        )


def at_least(code: Code, name: str, value: float, least: float, unit: str) -> Iterator[Finding]:
    """A finding where a value is below its limit, or not known."""
    if math.isnan(value):
        yield missing(name)
    elif value < least:
        yield Finding(code, f"{name} {value:.10g} {unit}".rstrip(), f"at least {least:.10g} {unit}".rstrip())
