"""The triggers, one function each: what it looks at, its edges, and the sentence it answers with.

Source of the delta-gamma trigger: delta after a move dS is delta + gamma dS, dS = +-k sigma S sqrt(horizon).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import lru_cache

import numpy as np

from hedger.moment import Answer, Memory, Scope, UnderlyingMoment, Verdict
from hedger.sections.policy import Age, Breach, Calendar, Expiry, ProjectedBreach, RealisedMove
from hedger.sections.schedule import NS_PER_MINUTE, Schedule
from pricing.daycount import HOURS_PER_YEAR, NS_PER_HOUR, NS_PER_SECOND, iso
from pricing.universe import BoolArray


def breach(c: Breach, u: UnderlyingMoment, memory: Memory) -> Answer:
    """Rows outside their trigger interval; on the edge is inside.

    beyond: so far outside, as a share of the distance from the target to that edge. until_landing: a row
    that was outside counts until it has been inside its landing interval.
    """
    mine = _matching(c.rows, u.rows)
    low, high = u.trigger_lower, u.trigger_upper
    if not c.until_landing and bool(((u.value >= low) & (u.value <= high)).all()):
        return _inside(c, u, mine)  # most marks of most days
    if c.beyond > 0.0:  # an open side times nothing would be NaN
        low, high = low - c.beyond * (u.target - low), high + c.beyond * (high - u.target)
    unknown = mine & np.isnan(u.value)
    below, above = u.value < low, u.value > high
    beyond = out = mine & ((below & (c.side != "above")) | (above & (c.side != "below")))
    if c.until_landing:
        sides = {
            "below": u.value < u.landing_lower,
            "above": u.value > u.landing_upper,
            "both": (u.value < u.landing_lower) | (u.value > u.landing_upper),
        }
        latched = np.array([row in memory.latched for row in u.rows], dtype=np.bool_)
        out = beyond | (mine & sides[c.side] & latched)
    rows = _names(u.rows, out)
    if rows:
        where, more = _beyond_what(c)
        trigger = f"outside trigger{where}{more}" if beyond.any() else ""
        landing = "not yet back inside landing" if (out & ~beyond).any() else ""
        text = " or ".join(filter(None, (trigger, landing)))
        return Answer("breach", True, text, rows, rows, Scope.NAMED)
    if unknown.any():
        return Answer("breach", None, "not known", (), _names(u.rows, unknown), Scope.NAMED)
    return _inside(c, u, mine)


def _beyond_what(c: Breach) -> tuple[str, str]:
    """Which side of the trigger, and by how much, in words."""
    more = f" by {c.beyond:g} of its width" if c.beyond else ""
    return {"both": "", "below": " below", "above": " above"}[c.side], more


def _inside(c: Breach, u: UnderlyingMoment, mine: BoolArray) -> Answer:
    """No row of `mine` is outside."""
    where, more = _beyond_what(c)
    if mine.all() and not where and not more:
        return Answer("breach", False, "every row is inside its trigger interval", scope=Scope.NAMED)
    if not mine.any():
        text = f"no row with a band matches {', '.join(c.rows)}"
        return Answer("breach", False, text, scope=Scope.NAMED)
    return Answer("breach", False, f"not outside trigger{where}{more}", (), _names(u.rows, mine), Scope.NAMED)


def calendar(c: Calendar, u: UnderlyingMoment, now_ns: int, memory: Memory) -> Answer:
    """A scheduled time has come since the policy was last asked.

    Multiples of `every_min` are counted from midnight UTC (of 1970: a number that does not divide the day
    goes on over midnight). Where nothing is remembered, a time no more than `grace_s` ago counts.
    """
    if c.every_min is not None:
        step = c.every_min * NS_PER_MINUTE
        last = now_ns - now_ns % step
        following, name = last + step, f"every {c.every_min} min"
    else:
        assert c.at is not None
        schedule = Schedule.parse(c.at)
        last, following, name = schedule.latest(now_ns), schedule.next(now_ns), f"at {c.at!r}"
    since = now_ns - round(c.grace_s * NS_PER_SECOND) - 1
    if memory.checked_ns is not None:
        since = memory.checked_ns
    elif memory.started_ns is not None:
        since = memory.started_ns - 1
    if last > since:
        return Answer("calendar", True, f"{iso(last)} has come ({name})", u.rows)
    return Answer("calendar", False, f"not due before {iso(following)} ({name})", until_ns=following)


def projected_breach(c: ProjectedBreach, u: UnderlyingMoment) -> Answer:
    """Delta rows that a move of k sigmas within the horizon, up or down, would take outside their trigger.

    A row that is outside already counts.
    """
    mine = _matching(c.rows, u.rows) & np.array([row.startswith("delta:") for row in u.rows], dtype=np.bool_)
    if not mine.any():
        text = f"no delta row with a band matches {', '.join(c.rows)}"
        return Answer("projected_breach", False, text, scope=Scope.NAMED)
    move = c.sigmas * u.vol * math.sqrt(c.horizon_h / HOURS_PER_YEAR)
    shift = u.delta_slope * u.spot * move
    what = f"on a move of {c.sigmas:g} sigma within {c.horizon_h:g} h ({move:.2%})"
    subject = _names(u.rows, mine)
    now_out = mine & ((u.value < u.trigger_lower) | (u.value > u.trigger_upper))
    if not now_out.any() and not (math.isfinite(shift) and np.isfinite(u.value[mine]).all()):
        return Answer("projected_breach", None, "after a move is not known", (), subject, Scope.NAMED)
    reach = abs(shift) if math.isfinite(shift) else 0.0
    out = mine & ((u.value - reach < u.trigger_lower) | (u.value + reach > u.trigger_upper))
    rows = _names(u.rows, out)
    if rows:
        said = "outside trigger" if bool((out == now_out).all()) else f"would be outside trigger {what}"
        return Answer("projected_breach", True, said, rows, rows, Scope.NAMED)
    return Answer("projected_breach", False, f"inside trigger {what}", (), subject, Scope.NAMED)


def realised_move(c: RealisedMove, u: UnderlyingMoment, now_ns: int) -> Answer:
    """The spot is so far from a price it had within the window; `hold`: it is not.

    The move is the largest |S / S_t - 1| over the window, the price in force at its start included. In
    sigmas: against vol x sqrt(window). Where the history does not reach back to the start, a move that is
    large enough already counts; else the answer is not known.
    """
    span_ns = round(c.window_min * NS_PER_MINUTE)
    limit = (
        c.move
        if c.move is not None
        else (c.sigmas or 0.0) * u.vol * math.sqrt(c.window_min / 60.0 / HOURS_PER_YEAR)
    )
    moved, covered = _largest_move(u, now_ns - span_ns, now_ns)
    name, within = u.name, f"{c.window_min:g} min"
    if not (math.isfinite(limit) and (covered or moved >= limit)):
        return Answer("realised_move", None, f"the move of {name} over {within} is not known")
    far = moved >= limit
    word = "at least" if far else "less than"
    text = f"{name} moved {moved:.2%} within {within}, {word} {limit:.2%}"
    yes = far if c.then == "act" else not far
    return Answer("realised_move", yes, text, u.rows if yes else ())


def age(c: Age, u: UnderlyingMoment, now_ns: int, memory: Memory) -> Answer:
    """The oldest mark of a position, or the last hedge, is older than its limit.

    Without a hedge so far, its age is that of the memory: the desk has been watching since.
    """
    if c.mark_s is not None:
        if math.isnan(u.mark_age_s):
            return Answer("age", None, f"the age of the marks of {u.name} is not known")
        old = u.mark_age_s > c.mark_s
        text = f"the oldest mark of {u.name} is {u.mark_age_s:z,.0f} s old, limit {c.mark_s:z,.0f} s"
        return Answer("age", old, text, u.rows if old else ())
    assert c.hedge_h is not None
    since = memory.hedged_ns if memory.hedged_ns is not None else memory.started_ns
    if since is None:
        return Answer("age", None, "when the last hedge was is not known")
    hours = (now_ns - since) / NS_PER_HOUR
    what = "the last hedge was" if memory.hedged_ns is not None else "no hedge since the start,"
    old = hours > c.hedge_h
    until = None if old else since + round(c.hedge_h * NS_PER_HOUR)
    text = f"{what} {hours:.3g} h ago, limit {c.hedge_h:g} h"
    return Answer("age", old, text, u.rows if old else (), until_ns=until)


def expiry(c: Expiry, u: UnderlyingMoment) -> Answer:
    """An option held is about to expire near its strike, or a position's settlement is being averaged."""
    pinned = [p for p in u.in_play if p.hours <= c.within_h and abs(p.strike / p.forward - 1.0) <= c.pin]
    settling = [p for p in u.in_play if c.settlement and p.in_window]
    unknown = [
        p for p in u.in_play if p.hours <= c.within_h and math.isnan(p.forward) and not math.isnan(p.strike)
    ]
    if settling:
        text = f"the settlement of {', '.join(p.symbol for p in settling)} is being averaged"
        return Answer("expiry", True, text, u.rows)
    if pinned:
        nearest = min(pinned, key=lambda p: abs(p.strike / p.forward - 1.0))
        text = (
            f"{nearest.symbol} expires in {nearest.hours:.3g} h, its strike "
            f"{abs(nearest.strike / nearest.forward - 1.0):.2%} from the forward"
        )
        return Answer("expiry", True, text, u.rows)
    if unknown:
        return Answer("expiry", None, f"the forward of {unknown[0].symbol} is not known")
    return Answer(
        "expiry",
        False,
        f"no option of {u.name} within {c.pin:.2%} of its strike in its last {c.within_h:g} h",
    )


def cost_benefit(u: UnderlyingMoment, verdict: Verdict) -> Answer:
    """The rows whose hedge is worth its cost, as `hedger.policy.benefit` found by pricing plans."""
    if not verdict.known:
        return Answer("cost_benefit", None, verdict.reason, scope=Scope.FILTER)
    worth = tuple(row for row in u.rows if row not in verdict.sticky_rows)
    sticky = [s for s in verdict.sticky if s.rows[0] in u.rows]
    if math.isnan(verdict.worth_usd):
        text = verdict.reason
    elif sticky and not worth:
        text = "; ".join(s.sentence for s in sticky)
    else:
        text = (
            f"the risk removed is worth {verdict.worth_usd:z,.2f} USD, "
            f"its cost is {verdict.cost_usd:z,.2f} USD"
        )
    return Answer("cost_benefit", bool(worth), text, worth, scope=Scope.FILTER)


def _largest_move(u: UnderlyingMoment, start_ns: int, now_ns: int) -> tuple[float, bool]:
    """Largest relative distance of the spot from its prices since `start_ns`, and whether those reach back to
    the start; NaN and False where nothing is known."""
    if u.history is None or not math.isfinite(u.spot):
        return math.nan, False
    known = np.isfinite(u.history.price) & (u.history.price > 0) & (u.history.time_ns <= now_ns)
    times, prices = u.history.time_ns[known], u.history.price[known]
    first = int(np.searchsorted(times, start_ns, side="right")) - 1
    covered = first >= 0
    past = prices[max(first, 0) :]
    moved = float(np.max(np.abs(u.spot / past - 1.0))) if past.size else math.nan
    return moved, covered


@lru_cache(maxsize=256)
def _matching(patterns: tuple[str, ...], rows: tuple[str, ...]) -> BoolArray:
    """Mask of rows that a pattern matches, (k,)."""
    found = np.array([any(fnmatchcase(row, p) for p in patterns) for row in rows], dtype=np.bool_)
    found.flags.writeable = False
    return found


def _names(rows: Sequence[str], mask: BoolArray) -> tuple[str, ...]:
    return tuple(row for row, picked in zip(rows, mask.tolist(), strict=True) if picked)
