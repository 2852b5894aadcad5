"""What another band would have meant for the rows of late, and whether a preview may still be sent. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hedger.amounts import amount, counted
from hedger.dashboard.header import BEHIND_S_MAX
from hedger.figures import age, figure, percent
from risk.bands import Interval

#: A preview is sent at most so old, and only if no index has moved further since, and the marks are fresh.
PREVIEW_AGE_S_MAX = 15.0
PREVIEW_MOVE_BPS_MAX = 10.0
MARK_AGE_S_MAX = 5.0
#: A band may become at most so many times as wide, or as narrow, by a key; further by the settings.
WIDTH_FACTOR_MAX = 5.0
#: What a hedge costs is taken over so many of the last.
HEDGES_MAX = 20
#: (trigger, landing), in the row's unit.
Band = tuple[Interval, Interval]


@dataclass(frozen=True, slots=True)
class Excursions:
    """Of a row's history: share of looks outside an interval, and how often it went out."""

    share: float
    exits: int


@dataclass(frozen=True, slots=True)
class Price:
    """What a row is counted in, and what one of that is worth, USD; None: it has no price."""

    unit: str
    usd: float | None = None


@dataclass(frozen=True, slots=True)
class Paid:
    """Fees and slippage of so many hedges by what they traded, basis points."""

    bps: float
    hedges: int


@dataclass(frozen=True, slots=True)
class PreviewSeen:
    """What a hedge was previewed on. at_ns: when, UTC. indexes: USD by underlying, None not known then."""

    at_ns: int
    indexes: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class MarketNow:
    """What it would be sent on. Times UTC; indexes: USD by underlying, of the marks of marked_ns. quotes: the
    legs' symbols and the stamps of their quotes, None where there is no quote; quote_age_s_max: of one that
    is traded on."""

    now_ns: int
    indexes: Mapping[str, float]
    marked_ns: int
    quotes: Sequence[tuple[str, int | None]]
    quote_age_s_max: float


def excursions(history: Sequence[tuple[int, float]], low: float, high: float) -> Excursions | None:
    """How a row's history stands to an interval; None without a history.

    >>> excursions([(0, 0.0), (1, 2.0), (2, 3.0), (3, 0.0)], -1.0, 1.0)
    Excursions(share=0.5, exits=1)
    """
    if not history:
        return None
    out = [not low <= x <= high for _, x in history]
    exits = sum(now and not before for before, now in zip([False, *out], out, strict=False))
    return Excursions(sum(out) / len(out), exits)


def hedges_begun(history: Sequence[tuple[int, float]], band: Band) -> tuple[int, float]:
    """How many hedges a band would have begun, and how far they would have moved the row: each to its landing
    at once, and on from there with the row as it was until that came back inside the trigger.

    >>> hedges_begun([(0, 2.0), (1, 4.0), (2, 0.0)], ((-1.0, 1.0), (-0.5, 0.5)))
    (2, 3.5)
    """
    (low, high), landing = band
    begun, moved, hedged = 0, 0.0, 0.0
    for _, x in history:
        if low <= x <= high:
            hedged = 0.0
        elif not low <= x - hedged <= high:
            far = x - hedged - min(max(x - hedged, landing[0]), landing[1])
            begun, moved, hedged = begun + 1, moved + abs(far), hedged + far
    return begun, moved


def paid(decisions: Iterable[Mapping[str, Any]]) -> Paid | None:
    """What the last hedges that ended cost, by their verification; None where none has traded or is known."""
    checks = [found["verification"] for found in decisions if found.get("verification")]
    known = [
        (check["fee_usd"] + check["slippage_usd"], check["turnover_usd"])
        for check in checks
        if None not in (check["fee_usd"], check["slippage_usd"], check["turnover_usd"])
    ]
    traded = [pair for pair in known if pair[1] > 0.0][-HEDGES_MAX:]
    if not traded:
        return None
    return Paid(1e4 * math.fsum(x for x, _ in traded) / math.fsum(x for _, x in traded), len(traded))


def band_effect(
    history: Sequence[tuple[int, float]], old: Band, new: Band, price: Price, cost: Paid | None
) -> list[str]:
    """What another band would have changed, in words: by the row as it was, hedges and all. cost: of the last
    hedges, None unknown."""
    was, would = excursions(history, *old[0]), excursions(history, *new[0])
    if was is None or would is None:
        return ["what it would have changed: unknown, nothing of this row is remembered yet"]
    span_s = (history[-1][0] - history[0][0]) / 1e9
    return [
        f"over the last {age(span_s)}, {len(history)} looks, as the row was:",
        f"outside the old trigger {percent(was.share)} of the looks, {counted(was.exits, 'time')}",
        f"outside the new trigger {percent(would.share)} of the looks, {counted(would.exits, 'time')}",
        *_hedges(hedges_begun(history, old), hedges_begun(history, new), price, cost),
    ]


def _hedges(old: tuple[int, float], new: tuple[int, float], price: Price, cost: Paid | None) -> Iterator[str]:
    """The hedges that both bands would have begun, what they would have traded and cost: an estimate."""
    for name, (begun, moved) in (("old", old), ("new", new)):
        text = f"{name}: about {counted(begun, 'hedge')}, moving {figure(moved)} {price.unit}"
        if price.usd is not None:
            text += f", {amount(moved * price.usd, 0)} USD"
            text += "" if cost is None else f", cost {amount(moved * price.usd * cost.bps / 1e4, 2)} USD"
        yield text
    if price.usd is None:
        yield "their turnover in USD and their cost: unknown, only a delta's move has a price"
    elif cost is None:
        yield "their cost: unknown, no hedge on record has traded"
    else:
        saved = (old[1] - new[1]) * price.usd * cost.bps / 1e4
        yield (
            f"estimated at {cost.bps:z.2f} bp, of {counted(cost.hedges, 'hedge')} of late; the new band "
            f"{'saves' if saved >= 0.0 else 'costs'} {amount(abs(saved), 2)} USD"
        )


def too_far(old: tuple[float, float], new: tuple[float, float]) -> str:
    """Why a change is too large for a key; "" where it is not. An open side is no width."""
    before, after = old[1] - old[0], new[1] - new[0]
    if not 0.0 < before < float("inf") or not 0.0 < after < float("inf"):
        return "" if before == after else "opening or closing a side is for the settings, not for a key"
    factor = max(after / before, before / after)
    if factor <= WIDTH_FACTOR_MAX:
        return ""
    return f"{factor:.1f} times the width; at most {WIDTH_FACTOR_MAX:g} by a key, further by the settings"


def why_not_send(previewed: PreviewSeen, now: MarketNow) -> str:
    """Why a hedge may not be sent on a preview; "" where it may. What it costs by now is the engine's to look
    at."""
    old_s, mark_s = (now.now_ns - previewed.at_ns) / 1e9, (now.now_ns - now.marked_ns) / 1e9
    if min(old_s, mark_s) < -BEHIND_S_MAX:  # a clock that was set back makes everything young
        return "the clock runs behind the record: no age is known"
    if old_s > PREVIEW_AGE_S_MAX:
        return f"the preview is {age(old_s)} old; at most {PREVIEW_AGE_S_MAX:g} s"
    if mark_s > MARK_AGE_S_MAX:
        return f"the last mark is {age(mark_s)} old; at most {MARK_AGE_S_MAX:g} s"
    for name, then in previewed.indexes.items():
        index = now.indexes.get(name)
        if then is None or index is None or not index > 0.0 or not then > 0.0:
            return f"the index of {name} is not known"
        moved = 1e4 * abs(index / then - 1.0)
        if moved > PREVIEW_MOVE_BPS_MAX:
            return f"{name} has moved {moved:.1f} bps since; at most {PREVIEW_MOVE_BPS_MAX:g}"
    for symbol, stamp_ns in now.quotes:
        if stamp_ns is None:
            return f"{symbol} is not quoted any more"
        quoted_s = (now.now_ns - stamp_ns) / 1e9
        if quoted_s > now.quote_age_s_max:
            return f"the quote of {symbol} is {age(quoted_s)} old; at most {now.quote_age_s_max:g} s"
    return ""
