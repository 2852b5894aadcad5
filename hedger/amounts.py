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


def counted(n: float, word: str) -> str:
    """So many of something.

    >>> counted(1, "order"), counted(0, "order"), counted(2, "look")
    ('1 order', '0 orders', '2 looks')
    """
    return f"{n:g} {word}" + "s" * (n != 1)
