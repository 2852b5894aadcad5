"""Value at risk and expected shortfall of equally likely outcomes: the book revalued at past returns.

With losses L sorted from the worst and m = (1 - level) n of n outcomes in the tail,

    VaR = the ceil(m)-th worst loss        ES = (L_1 + ... + L_floor(m) + (m - floor(m)) L_ceil(m)) / m

so ES is the mean of the worst share 1 - level exactly, and at least VaR. Fewer outcomes than 1 / (1 - level)
have no such tail: then neither is known. Losses are positive; a tail of gains is negative.

Source: Acerbi and Tasche (2002), "On the coherence of expected shortfall", J. Banking & Finance 26.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pricing.universe import FloatArray

#: Counts within this of a whole number are it: 0.05 times 100 is not quite 5.
_WHOLE = 1e-9


@dataclass(frozen=True, slots=True)
class Tail:
    """Losses of the worst share 1 - level, in the unit of the outcomes; NaN where `unknown` says why."""

    level: float
    var: float
    es: float
    unknown: str = ""


def tail(pnl: FloatArray, level: float) -> Tail:
    """The tail of outcomes (n,), gains positive.

    Raises:
        ValueError: level is not between 0 and 1.

    >>> tail(np.array([-10.0, -4.0, 1.0, 2.0]), 0.625)
    Tail(level=0.625, var=4.0, es=8.0, unknown='')
    """
    if not 0.0 < level < 1.0:
        raise ValueError(f"level {level} is not between 0 and 1")
    count = (1.0 - level) * pnl.size
    count = round(count) if abs(count - round(count)) < _WHOLE * max(count, 1.0) else count
    if count < 1:
        needed = math.ceil(1.0 / (1.0 - level) - _WHOLE)
        return Tail(
            level, math.nan, math.nan, f"{pnl.size} outcomes; {100 * level:g} % needs at least {needed}"
        )
    if not np.isfinite(pnl).all():
        return Tail(level, math.nan, math.nan, "the book has no known P&L in some of the outcomes")
    losses = -np.sort(pnl)
    whole = math.floor(count)
    last = float(losses[math.ceil(count) - 1])
    es = (math.fsum(losses[:whole].tolist()) + (count - whole) * last) / count
    return Tail(level, last, es)
