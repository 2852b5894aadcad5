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
