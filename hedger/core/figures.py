"""Sentences with their figures left out: by that two tellings of one thing are known as such.

What stands by itself is a figure, a number or a time. The digits of a name are none of it: another contract,
another order or another code is another thing.
"""

from __future__ import annotations

import re

_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z"
#: Not in "BTC-27MAR26-70000-C", the id of an order, the name of a limit or "unlisted:51008".
_NUMBER = r"[-+]?\d[\d,]*(?:\.\d+)?(?:[eE][-+]?\d+)?%?"
_FIGURE = re.compile(rf"(?<![\w.:-])(?:{_TIME}|{_NUMBER})(?![\w-])")


def without_figures(text: str) -> str:
    """A text as far as it says the same when its numbers and times move.

    >>> without_figures("deribit differs: BTC-27MAR26-70000-C +0.100000 at 70,000.5 (3 times)")
    'deribit differs: BTC-27MAR26-70000-C # at # (# times)'
    >>> without_figures("delta:BTC 12.5 is above 1,000 until 2026-01-31T08:00:00Z")
    'delta:BTC # is above # until #'
    """
    return _FIGURE.sub("#", text)
