"""Intervals as people write and read them: an open side is left out."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

from risk.bands import Interval

#: An end beyond this is open, in any unit: it is left out.
END_MAX = 1e15
#: A number as people write it; Python would take more, and other ones where a key was missed.
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")


def interval_words(low: float | None, high: float | None, figure: Callable[[float], str]) -> str:
    """Both ends as `figure` writes them; ".." where both sides are open, which is infinity or, in a document,
    None.

    >>> interval_words(-1.5, 2.0, str), interval_words(-math.inf, 2.0, str), interval_words(-1.5, None, str)
    ('-1.5 .. 2.0', '.. 2.0', '-1.5 ..')
    """
    return " .. ".join("" if x is None or math.isinf(x) else figure(x) for x in (low, high)).strip()


def parse_edges(text: str) -> tuple[Interval, Interval] | None:
    """LOW,HIGH/LOW,HIGH as (trigger, landing). None where it is not that, or an end is above its other one.

    >>> parse_edges("-1.5,1.5/-0.7,"), parse_edges("1,-1/0,0"), parse_edges("-1_5,15/-5,5")
    (((-1.5, 1.5), (-0.7, inf)), None, None)
    """
    found = [_parsed(part) for part in text.split("/")]
    trigger, landing = found if len(found) == 2 else (None, None)
    return None if trigger is None or landing is None else (trigger, landing)


def _parsed(text: str) -> Interval | None:
    ends = text.split(",")
    if len(ends) != 2:
        return None
    low, high = _end(ends[0], -math.inf), _end(ends[1], math.inf)
    return (low, high) if low <= high else None


def _end(text: str, left_out: float) -> float:
    """NaN, which no order holds for, where it is neither left out nor a number that an end may be."""
    if not text.strip():
        return left_out
    number = float(text) if _NUMBER.fullmatch(text.strip()) else math.nan
    return number if abs(number) <= END_MAX else math.nan
