"""What budgets and throttles stand at, as the journal keeps it: a restart must not open them anew.

A crash, or somebody who restarts an engine whose budget is used up, would else begin the day with a full
one. Times are UTC in here: a monotonic clock does not survive its process.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from hedger.core.state import NOTHING_COUNTED, Counters, State
from hedger.moment import Memory, Push
from pricing.daycount import NS_PER_DAY
from risk.throttle import Hedge


@dataclass(frozen=True, slots=True)
class Usage:
    """Counters of the day, the pace of hedging (`hedger.moment.Memory`), and the hedges of late."""

    counters: Counters
    hedged_ns: int | None = None
    attempts: tuple[tuple[str, int], ...] = ()
    turnover: tuple[tuple[int, float], ...] = ()
    pushes: tuple[Push, ...] = ()
    latched: tuple[str, ...] = ()
    hedges: tuple[Hedge, ...] = ()


def usage_of(state: State) -> Usage:
    """What is to be kept of a state."""
    memory, shift_ns = state.memory, state.now_ns - state.monotonic_ns
    return Usage(
        counters=state.counters,
        hedged_ns=memory.hedged_ns,
        attempts=memory.attempts,
        turnover=memory.turnover,
        pushes=memory.pushes,
        latched=tuple(sorted(memory.latched)),
        hedges=tuple(replace(hedge, at_ns=hedge.at_ns + shift_ns) for hedge in state.hedges),
    )


def has_moved(before: State, after: State) -> bool:
    """Whether a turn changed anything that must be kept: the worth of the book and its bounds, which every
    mark moves, do not count, but what the day began with does."""
    a, b = before.memory, after.memory
    if before.hedges is not after.hedges or (a.hedged_ns, a.attempts, a.turnover, a.pushes, a.latched) != (
        b.hedged_ns, b.attempts, b.turnover, b.pushes, b.latched
    ):  # fmt: skip
        return True
    return before.counters is not after.counters and _kept(before.counters) != _kept(after.counters)


def _kept(counters: Counters) -> tuple[object, ...]:
    opened = (counters.equity_open_usd, counters.equity_open_high_usd)
    sums = (counters.turnover_usd, counters.fees_usd, counters.slippage_usd, counters.priced_usd)
    beside = (counters.wallet, counters.bounded_usd, counters.worth_at_most)
    numbers = (counters.day, counters.fills, counters.executions)  # orders are on record by themselves
    # not the floats themselves: NaN, which is no less unknown than before, differs from itself
    return (*numbers, *beside, counters.unpriced, *(repr(x) for x in (*sums, *opened)))


def counters_after(usage: Usage | None, traded_today: bool, now_ns: int) -> Counters:
    """The counters with which a start goes on.

    Those of the same UTC day; none of another day. traded_today: the journal holds fills of the day; without
    a record of what they cost, which older releases did not keep, the costs of the day are not known.
    """
    day = now_ns // NS_PER_DAY
    if usage is not None:
        return usage.counters if usage.counters.day == day else NOTHING_COUNTED
    if traded_today:
        return Counters(day=day, fees_usd=math.nan, slippage_usd=math.nan)
    return NOTHING_COUNTED


def memory_after(usage: Usage | None) -> Memory:
    """The pace with which a start goes on. When the policy was last asked is left out: a time of the calendar
    that came while nobody was there is not made up for. Since when it is kept is for the start to say."""
    if usage is None:
        return Memory()
    return Memory(
        hedged_ns=usage.hedged_ns,
        attempts=usage.attempts,
        turnover=usage.turnover,
        pushes=usage.pushes,
        latched=frozenset(usage.latched),
    )


def hedges_after(usage: Usage | None, now_ns: int, monotonic_ns: int) -> tuple[Hedge, ...]:
    """The hedges of late on the clock of this process; those stamped later than now count as of now."""
    if usage is None:
        return ()
    return tuple(replace(hedge, at_ns=monotonic_ns - max(now_ns - hedge.at_ns, 0)) for hedge in usage.hedges)
