"""Amounts as people read them, the same in tickets, tables, reports and on screens."""

from __future__ import annotations

import math


def amount(x: float | None, digits: int | None = 0, *, signed: bool = False, unknown: str = "unknown") -> str:
    """Thousands apart; what rounds to nothing has no minus. digits: behind the point; None: two, and none
    from 1,000 on. unknown: what stands for what is not known, or no finite number.

    >>> amount(-1234567.8), amount(12.345, 2), amount(-0.2), amount(None), amount(math.nan, unknown="?")
    ('-1,234,568', '12.35', '0', 'unknown', '?')
    >>> amount(-1234.5, None), amount(-12.3, None), amount(0.004, None, signed=True)
    ('-1,234', '-12.30', '+0.00')
    """
    if x is None or not math.isfinite(x):
        return unknown
    if digits is None:
        digits = 0 if abs(x) >= 1000 else 2
    return f"{x:{'+' if signed else ''}z,.{digits}f}"


def counted(n: float, one: str, many: str = "") -> str:
    """So many of something, in full.

    >>> counted(1, "order"), counted(0, "entry", "entries"), counted(1_500_000, "fill"), counted(0.5, "day")
    ('1 order', '0 entries', '1,500,000 fills', '0.5 days')
    """
    return f"{n:,.15g} {one if n == 1 else many or one + 's'}"


def span(seconds: float | None, unknown: str = "unknown") -> str:
    """A time span in its own unit.

    >>> [span(x) for x in (0.04, 5.0, 75.0, 7300.0, 200000.0, None)]
    ['0.0 s', '5.0 s', '75 s', '122 min', '2.3 d', 'unknown']
    """
    if seconds is None or not math.isfinite(seconds):
        return unknown
    for limit, scale, word in ((10.0, 1.0, ".1f s"), (120.0, 1.0, ".0f s"), (36000.0, 60.0, ".0f min")):
        if abs(seconds) < limit:
            spec, unit = word.split(" ")
            return f"{seconds / scale:z{spec}} {unit}"
    return f"{seconds / 3600:z.1f} h" if abs(seconds) < 172800.0 else f"{seconds / 86400:z.1f} d"


def delay(seconds: float) -> str:
    """A time span of which milliseconds matter.

    >>> delay(0.0421), delay(75.0)
    ('42 ms', '75 s')
    """
    return f"{1000 * seconds:z.0f} ms" if abs(seconds) < 10 else span(seconds)
