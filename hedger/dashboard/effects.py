"""What another band would have meant for the rows of late, and whether a preview may still be sent. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hedger.amounts import counted
from hedger.dashboard.header import BEHIND_S_MAX
from hedger.dashboard.sheet import age, percent

#: A preview is sent at most so old, and only if no index has moved further since, and the marks are fresh.
PREVIEW_AGE_S_MAX = 15.0
PREVIEW_MOVE_BPS_MAX = 10.0
MARK_AGE_S_MAX = 5.0
#: A band may become at most so many times as wide, or as narrow, by a key; further by the settings.
WIDTH_FACTOR_MAX = 5.0


@dataclass(frozen=True, slots=True)
class Excursions:
    """Of a row's history: share of looks outside an interval, and how often it went out."""

    share: float
    exits: int


def outside(history: Sequence[tuple[int, float]], low: float, high: float) -> Excursions | None:
    """How a row's history stands to an interval; None without a history.

    >>> outside([(0, 0.0), (1, 2.0), (2, 3.0), (3, 0.0)], -1.0, 1.0)
    Excursions(share=0.5, exits=1)
    """
    if not history:
        return None
    out = [not low <= x <= high for _, x in history]
    exits = sum(now and not before for before, now in zip([False, *out], out, strict=False))
    return Excursions(sum(out) / len(out), exits)


def band_effect(
    history: Sequence[tuple[int, float]], old: tuple[float, float], new: tuple[float, float]
) -> list[str]:
    """What a new trigger would have changed, in words: by the rows as they were, hedges and all."""
    was, would = outside(history, *old), outside(history, *new)
    if was is None or would is None:
        return ["what it would have changed: unknown, nothing of this row is remembered yet"]
    span_s = (history[-1][0] - history[0][0]) / 1e9
    return [
        f"over the last {age(span_s)}, {len(history)} looks, as the row was:",
        f"outside the old trigger {percent(was.share)} of the looks, {counted(was.exits, 'time')}",
        f"outside the new trigger {percent(would.share)} of the looks, {counted(would.exits, 'time')}",
    ]


def too_far(old: tuple[float, float], new: tuple[float, float]) -> str:
    """Why a change is too large for a key; "" where it is not. An open side is no width."""
    before, after = old[1] - old[0], new[1] - new[0]
    if not 0.0 < before < float("inf") or not 0.0 < after < float("inf"):
        return "" if before == after else "opening or closing a side is for the settings, not for a key"
    factor = max(after / before, before / after)
    if factor <= WIDTH_FACTOR_MAX:
        return ""
    return f"{factor:.1f} times the width; at most {WIDTH_FACTOR_MAX:g} by a key, further by the settings"


def why_not_send(
    previewed_ns: int,
    planned_on: Mapping[str, float | None],
    now_ns: int,
    indexes: Mapping[str, float],
    marked_ns: int,
) -> str:
    """Why a hedge may not be sent on a preview; "" where it may. Times UTC.

    planned_on: the indexes of the preview; indexes: those of now.
    """
    old_s, mark_s = (now_ns - previewed_ns) / 1e9, (now_ns - marked_ns) / 1e9
    if min(old_s, mark_s) < -BEHIND_S_MAX:  # a clock that was set back makes everything young
        return "the clock runs behind the record: no age is known"
    if old_s > PREVIEW_AGE_S_MAX:
        return f"the preview is {age(old_s)} old; at most {PREVIEW_AGE_S_MAX:g} s"
    if mark_s > MARK_AGE_S_MAX:
        return f"the last mark is {age(mark_s)} old; at most {MARK_AGE_S_MAX:g} s"
    for name, then in planned_on.items():
        now = indexes.get(name)
        if then is None or now is None or not now > 0.0 or not then > 0.0:
            return f"the index of {name} is not known"
        moved = 1e4 * abs(now / then - 1.0)
        if moved > PREVIEW_MOVE_BPS_MAX:
            return f"{name} has moved {moved:.1f} bps since; at most {PREVIEW_MOVE_BPS_MAX:g}"
    return ""
