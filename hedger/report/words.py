"""Figures and times as people read them on the page."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hedger.amounts import amount
from pricing.daycount import iso
from pricing.universe import FloatArray


def usd(x: float | None, signed: bool = False) -> str:
    """An amount with as many digits as it needs.

    >>> usd(-1234567.8), usd(12.345, signed=True), usd(0.004), usd(None)
    ('-1,234,568 USD', '+12.35 USD', '0.00 USD', 'unknown')
    """
    told = amount(x, None, signed=signed)
    return told if told == "unknown" else f"{told} USD"


def rounded(x: float) -> str:
    """A signed amount to the dollar, for a label.

    >>> rounded(-0.2), rounded(1234.5), rounded(-9.7)
    ('0', '+1,234', '-10')
    """
    return f"{x:+z,.0f}" if abs(x) >= 0.5 else "0"


def desk_unit(row: str) -> str:
    """What a row is in on the desk.

    >>> desk_unit("gamma:BTC"), desk_unit("vega:BTC:0-7d")
    ('USD per 1 %', 'USD per point')
    """
    greek = row.split(":")[0]
    return {"delta": "USD", "pnl": "USD", "theta": "USD per day"}.get(
        greek, "USD per 1 %" if greek.startswith("gamma") else "USD per point"
    )


def percent(share: float | None) -> str:
    """A share; small ones keep a digit that counts.

    >>> percent(0.256), percent(0.00012), percent(1e-7), percent(-0.0), percent(None)
    ('25.6 %', '0.012 %', 'under 0.01 %', '0 %', 'unknown')
    """
    if share is None:
        return "unknown"
    if 0 < share < 1e-4:
        return "under 0.01 %"
    return f"{100 * share:z.3g} %" if abs(share) < 0.1 else f"{100 * share:z.1f} %"


def span(seconds: float | None) -> str:
    """How long something took, in its own unit.

    >>> [span(x) for x in (0.15, 42.0, 300.0, 9000.0, 302400.0, None)]
    ['0.15 s', '42 s', '5 min', '2.5 h', '3.5 d', 'unknown']
    """
    if seconds is None:
        return "unknown"
    for limit, scale, word in ((120.0, 1.0, "s"), (7200.0, 60.0, "min"), (172_800.0, 3600.0, "h")):
        if abs(seconds) < limit:
            return f"{seconds / scale:.3g} {word}"
    return f"{seconds / 86400:.3g} d"


def moment(now_ns: int | None) -> str:
    """A time to the second.

    >>> moment(1_770_000_000_123_000_000), moment(None)
    ('2026-02-02 02:40:00', 'unknown')
    """
    return "unknown" if now_ns is None else iso(now_ns - now_ns % 1_000_000_000)[:19].replace("T", " ")


def times(stamps: Sequence[int]) -> FloatArray:
    """Stamps as a chart's axis of dates takes them: milliseconds since 1970.

    >>> times([1_770_000_000_123_000_000]).tolist()
    [1770000000123.0]
    """
    return np.asarray(stamps, dtype=np.int64) / 1e6
