"""The pace of hedging: what holds a hedge that is due, and what is remembered of those before.

Six guards, each with the time or the value at which it opens: a cooldown after a trade, a cap on attempts
that did not bring a row where it should be, a pause after one that came to no trade, a wait for what is set
aside where no plan can do without it, a budget of turnover per hour, and hysteresis: a row that was pushed
one way is not pushed back before it has moved on by a share of its band's width. Without the last, two hedges
that each look right chase each other and pay the spread both times.
"""

from __future__ import annotations

import math
from dataclasses import replace

from hedger.moment import Answer, Attempt, Decision, Memory, Moment, Push, UnderlyingMoment
from hedger.sections.policy import PolicyConfig
from pricing.daycount import NS_PER_HOUR, NS_PER_SECOND, iso


def guards(
    moment: Moment, called: frozenset[str], policy: PolicyConfig, memory: Memory
) -> tuple[Answer, ...]:
    """The guards that say no to hedging these rows now; each names the rows it holds."""
    ordered = tuple(row for u in moment.underlyings for row in u.rows if row in called)
    if not ordered:
        return ()
    held = [_cooldown(moment.now_ns, ordered, policy, memory)]
    held.append(turnover_guard(moment.now_ns, ordered, policy, memory, 0.0))
    held += [capped(moment.now_ns, row, policy, memory) for row in ordered]
    held += [_pause(moment.now_ns, row, policy, memory) for row in ordered]
    for u in moment.underlyings:
        held += [_shut(moment.now_ns, u, i, memory) for i, row in enumerate(u.rows) if row in called]
        held += [_hysteresis(u, i, policy, memory) for i, row in enumerate(u.rows) if row in called]
    return tuple(answer for answer in held if answer is not None)


def _cooldown(now_ns: int, rows: tuple[str, ...], policy: PolicyConfig, memory: Memory) -> Answer | None:
    """No trade so soon after the last."""
    if memory.hedged_ns is None or not policy.cooldown_s:
        return None  # without one the market may well be looked at as of before the last fill
    until = memory.hedged_ns + round(policy.cooldown_s * NS_PER_SECOND)
    if now_ns >= until:
        return None
    return Answer(
        "cooldown", False, f"cooldown of {policy.cooldown_s:g} s until {iso(until)}", rows, until_ns=until
    )


def turnover_guard(
    now_ns: int, rows: tuple[str, ...], policy: PolicyConfig, memory: Memory, planned_usd: float
) -> Answer | None:
    """No trade that takes the turnover of an hour above the budget.

    Args:
        planned_usd: turnover of the plan; 0 before there is one: then only a budget used up says no.
    """
    budget = policy.turnover_usd_per_h
    if budget is None:
        return None
    recent = sorted((t, usd) for t, usd in memory.turnover if t > now_ns - NS_PER_HOUR)
    used = math.fsum(usd for _, usd in recent)
    if (used + planned_usd <= budget) if planned_usd > 0 else (used < budget):
        return None
    said = f"turnover budget {budget:z,.0f} USD an hour: {used:z,.0f} used"
    if planned_usd > 0:
        said += f", {planned_usd:z,.0f} planned"
    if planned_usd > budget:
        return Answer("turnover", False, f"{said}; the plan alone is above the budget, at any time", rows)
    until = now_ns
    for t, usd in recent:
        used, until = used - usd, t + NS_PER_HOUR
        if used + planned_usd <= budget if planned_usd > 0 else used < budget:
            break
    return Answer("turnover", False, f"{said}; room at {iso(until)}", rows, until_ns=until)


def capped(now_ns: int, row: str, policy: PolicyConfig, memory: Memory) -> Answer | None:
    """No further attempt on a row that several did not bring in."""
    window = round(policy.attempts_window_s * NS_PER_SECOND)
    recent = sorted(t for name, t in memory.attempts if name == row and t > now_ns - window)
    if len(recent) < policy.attempts_max:
        return None
    until = recent[len(recent) - policy.attempts_max] + window
    text = (
        f"{len(recent)} attempts on {row} within {policy.attempts_window_s:g} s failed; next at {iso(until)}"
    )
    return Answer("attempts", False, text, (row,), until_ns=until)


def _pause(now_ns: int, row: str, policy: PolicyConfig, memory: Memory) -> Answer | None:
    """No further attempt at once on a row where the last ones came to no trade at all: what kept them from
    it, such as a limit, does not go in a moment. After each further one twice as long."""
    since = memory.hedged_ns if memory.hedged_ns is not None else -math.inf
    barren = [t for name, t in memory.attempts if name == row and t > since]
    if not barren or not policy.attempt_pause_s:
        return None
    pause_s = policy.attempt_pause_s * 2.0 ** min(len(barren) - 1, 30)
    until = max(barren) + round(min(pause_s, policy.attempts_window_s) * NS_PER_SECOND)
    if now_ns >= until:
        return None
    text = f"{len(barren)} attempts on {row} came to no trade; next at {iso(until)}"
    return Answer("attempts", False, text, (row,), until_ns=until)


def _shut(now_ns: int, u: UnderlyingMoment, i: int, memory: Memory) -> Answer | None:
    """No plan before what it needs may be traded again; the other way it needs something else."""
    row, way = u.rows[i], way_in(u, i)
    until = next((until for name, until, its_way in memory.shut if (name, its_way) == (row, way)), now_ns)
    if now_ns >= until:
        return None
    text = f"no plan brings {row} in without what is set aside or has no sound quote; next at {iso(until)}"
    return Answer("aside", False, text, (row,), until_ns=until)


def _hysteresis(u: UnderlyingMoment, i: int, policy: PolicyConfig, memory: Memory) -> Answer | None:
    """No push back of a row that has not moved on since it was pushed. A hedge pushes none beyond its
    trigger: what is beyond that the market did meanwhile."""
    row, value = u.rows[i], float(u.value[i])
    last = next((p for p in memory.pushes if p.row == row), None)
    way = way_in(u, i)
    if last is None or way != -last.way:
        return None
    pushed_to = min(last.after, u.trigger_upper[i]) if last.way > 0 else max(last.after, u.trigger_lower[i])
    opens = float(pushed_to + last.way * policy.hysteresis * band_width(u, i))
    if (value - opens) * last.way >= 0:
        return None
    words = {1: "up", -1: "down"}
    text = (
        f"{row} was pushed {words[last.way]} to {last.after:.6g}; it may be pushed {words[way]} "
        f"{'above' if last.way > 0 else 'below'} {opens:.6g}"
    )
    return Answer("hysteresis", False, text, (row,))


def way_in(u: UnderlyingMoment, i: int) -> int:
    """Which way a row is to go into its landing: +1 up, -1 down, 0 where it is inside."""
    return -1 if u.value[i] > u.landing_upper[i] else 1 if u.value[i] < u.landing_lower[i] else 0


def band_width(u: UnderlyingMoment, i: int) -> float:
    """Width of a row's trigger interval; with one side open, twice the other side's distance from target."""
    below = float(u.target[i] - u.trigger_lower[i])
    above = float(u.trigger_upper[i] - u.target[i])
    if math.isinf(below):
        return 2.0 * above
    return 2.0 * below if math.isinf(above) else below + above


def advance(
    memory: Memory, moment: Moment, policy: PolicyConfig, decision: Decision, attempt: Attempt | None = None
) -> Memory:
    """The memory after the policy was asked, and after what was done about it.

    A guard that held everything leaves the time of the last check where it was: what the calendar called for
    is still due when the guard opens.

    Args:
        attempt: the plan sent, if one was; None where nothing was done.
    """
    now_ns = moment.now_ns
    latched = set(memory.latched)
    for u in moment.underlyings:
        outside = u.outside_landing()
        if not outside:  # and so none outside its trigger, which lies around the landing
            latched.difference_update(u.rows)
            continue
        breached = (u.value < u.trigger_lower) | (u.value > u.trigger_upper)
        now_out = {row for row, out in zip(u.rows, breached.tolist(), strict=True) if out}
        latched = (latched - set(u.rows)) | ((latched | now_out) & outside)
    window = round(policy.attempts_window_s * NS_PER_SECOND)
    held = bool(decision.guards) and not decision.due
    kept = replace(
        memory,
        checked_ns=memory.checked_ns if held else now_ns,
        attempts=tuple((row, t) for row, t in memory.attempts if t > now_ns - window),
        turnover=tuple((t, usd) for t, usd in memory.turnover if t > now_ns - NS_PER_HOUR),
        latched=frozenset(latched),
        shut=tuple(x for x in memory.shut if x[1] > now_ns),
    )
    return kept if attempt is None else _with_attempt(kept, moment, attempt)


def advance_at_rest(memory: Memory, now_ns: int) -> Memory | None:
    """What `advance` comes to where nothing is due and every row is inside its landing; None where the memory
    holds things that time or rows take out of it."""
    if memory.latched or memory.attempts or memory.turnover or memory.shut:
        return None
    return Memory(memory.started_ns, now_ns, memory.hedged_ns, pushes=memory.pushes)


def _with_attempt(memory: Memory, moment: Moment, attempt: Attempt) -> Memory:
    """The memory with one more attempt."""
    traded = attempt.turnover_usd > 0
    others = tuple((row, t) for row, t in memory.attempts if not (attempt.hedged and row in attempt.rows))
    failed = () if attempt.hedged else tuple((row, moment.now_ns) for row in attempt.rows)
    before = {row: float(x) for u in moment.underlyings for row, x in zip(u.rows, u.value, strict=True)}
    pushed = []
    for row in attempt.rows:
        end, start = attempt.after.get(row, math.nan), before.get(row, math.nan)
        if traded and end != start and math.isfinite(end) and math.isfinite(start):
            pushed.append(Push(row, 1 if end > start else -1, end))
    named = {p.row for p in pushed}
    inside = {
        row
        for u in moment.underlyings
        for row, low, high in zip(u.rows, u.landing_lower, u.landing_upper, strict=True)
        if low <= attempt.after.get(row, math.nan) <= high
    }
    return replace(
        memory,
        hedged_ns=moment.now_ns if traded else memory.hedged_ns,
        attempts=(*others, *failed),
        turnover=(*memory.turnover, (moment.now_ns, attempt.turnover_usd)) if traded else memory.turnover,
        pushes=(*(p for p in memory.pushes if p.row not in named), *pushed),
        latched=memory.latched - inside,
    )
