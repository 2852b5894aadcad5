"""Figures for cells and short lines: a few digits each, `?` for what is not known. Amounts in full:
`hedger.amounts`."""

from __future__ import annotations

import math
from collections.abc import Iterable
from decimal import Decimal

from hedger import amounts
from risk.interval_words import interval_words

UNKNOWN = "?"
#: The digits that an exact amount has at most; of more, four count.
_EXACT_MAX = 9


def figure(x: float | None, signed: bool = False) -> str:
    """Four digits or so, in at most eight characters; what is not known says so.

    >>> [figure(x) for x in (0.0, 1234567.0, -12345.6, 152.34, 1.2345, -0.012345, 1e-9, None)]
    ['0', '1.235M', '-12.35k', '152.3', '1.234', '-0.0123', '1e-09', '?']
    """
    if x is None or not math.isfinite(x):
        return UNKNOWN
    plus = "+" if signed and x > 0 else ""
    size = abs(x)
    if size == 0.0:
        return "0"
    for bound, scale, word in ((1e9, 1e9, "B"), (1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if size >= 0.99995 * bound:
            return f"{plus}{x / scale:.4g}{word}"
    if size >= 1.0:
        return f"{plus}{x:.4g}"
    return f"{plus}{x:.3g}"


def usd(x: float | None) -> str:
    """An amount to the dollar.

    >>> usd(-1234567.8), usd(None)
    ('-1,234,568', '?')
    """
    return amounts.amount(x, unknown=UNKNOWN)


def percent(x: float | None) -> str:
    """A share as per cent, in at most nine characters; beyond 9,999 % as so many times.

    >>> percent(0.256), percent(262.5), percent(1.2e7), percent(None)
    ('26 %', '262 x', '12M x', '?')
    """
    if x is None or not math.isfinite(x):
        return UNKNOWN
    if abs(x) >= 99.995:
        return f"{x:.0f} x" if abs(x) < 9999.5 else f"{figure(x)} x"
    return f"{100.0 * x:z.0f} %"


def exact(text: str) -> str:
    """An exact decimal, without the zeros behind it; as a figure where it has more digits than a cell.

    >>> [exact(x) for x in ("620950", "0E-12", "0.0195", "0.00045012345", "1.50")]
    ['620950', '0', '0.0195', '0.00045', '1.5']
    """
    plain = f"{Decimal(text).normalize():f}" if Decimal(text) else "0"
    return plain if len(plain) <= _EXACT_MAX else figure(float(text))


def age(seconds: float | None) -> str:
    """A time span in its own unit.

    >>> age(75.0), age(None)
    ('75 s', '?')
    """
    return amounts.span(seconds, unknown=UNKNOWN)


def interval(pair: Iterable[float | None] | None) -> str:
    """Two edges; an open side is left out.

    >>> interval((-1.5, None)), interval(None)
    ('-1.5 ..', 'none')
    """
    if pair is None:
        return "none"
    low, high = pair
    return interval_words(low, high, figure)
