"""What is outside its band, and why it stays there: no armed engine sits outside in silence.

After every event there is either nothing outside its trigger, or an order at work, or a reason: of the mode,
of the execution in work, or the policy's at the last mark. The state keeps it, the journal has it whenever it
becomes another one, and `hedger status` reads it there.

A plan that could not be begun is told once. While the next one comes to the same, and no row called has moved
by a width of its band since, it is counted and not written down again.
"""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from hedger.core.aside import asides_said
from hedger.core.glance import Glance
from hedger.core.legs import excesses, widths
from hedger.core.state import ALL_INSIDE, Outside, State, Undone
from hedger.core.turn import Turn
from hedger.planning import HedgePlan

#: A reason is cut off here: the plan's own ticket has all of it.
WHY_CHARACTERS_MAX = 600
#: How the reason begins while orders are out, or an execution decides when the next one leaves.
IN_WORK = "a hedge is in work"
PAUSED = "the engine is paused"
_FIGURES = re.compile(r"[-+]?\d[\d,.:TZe+-]*")


def without_figures(text: str) -> str:
    """A sentence as far as it says the same when its numbers and times move.

    >>> without_figures("delta:BTC 12.5 is above 1,000 until 2026-01-31T08:00:00Z")
    'delta:BTC # is above # until #'
    """
    return _FIGURES.sub("#", text)


def note_outside(turn: Turn) -> None:
    """Keep what is outside after this event, and why."""
    state = turn.state
    rows = rows_outside(state)
    if not rows:
        if state.outside.rows or state.undone is not None:
            turn.state = replace(state, outside=ALL_INSIDE, undone=None)
        return
    before = state.outside
    since_ns = before.since_ns if before.rows else turn.event.now_ns
    why = _why(turn)[:WHY_CHARACTERS_MAX]
    if (rows, without_figures(why)) != (before.rows, without_figures(before.why)):
        turn.state = replace(state, outside=Outside(rows, why, since_ns))


def rows_outside(state: State) -> tuple[str, ...]:
    """The rows outside their triggers."""
    seen, value = state.seen, state.value
    if seen is None or value is None:
        return state.outside.rows  # not known any more: as it was
    if isinstance(seen, Glance):
        if seen.inside and state.moved is None:
            return ()
        return tuple(seen.rows[i] for i in np.flatnonzero(seen.breached(value)).tolist())
    return tuple(seen.exposure.rows[i] for i in np.flatnonzero(seen.bands.breached(value)).tolist())


def _why(turn: Turn) -> str:
    """Why rows that are outside stay there."""
    state = turn.state
    if any(True for _ in state.live_orders()):
        return IN_WORK
    if state.fault:
        return f"the book cannot be valued: {state.fault}"
    if not state.acting.sends:
        return f"the engine is {state.acting}: {state.reason}"
    if state.paused:
        before = turn.why or state.outside.why
        known = bool(before) and not before.startswith(_PASSED)
        return f"{PAUSED}; else: {before}" if known else before if before.startswith(PAUSED) else PAUSED
    execution = state.execution
    if execution is not None:
        why = execution.ending or execution.replanning or execution.waiting
        return _with_asides(turn, f"{IN_WORK}: {why}" if why else IN_WORK)
    if turn.why:
        return _with_asides(turn, turn.why)
    if state.outside.rows and not state.outside.why.startswith(_PASSED):
        return state.outside.why
    return "the next mark decides"


#: Reasons that hold while they hold, and are not to be carried on.
_PASSED = (IN_WORK, "the engine is ", "the book cannot")


def _with_asides(turn: Turn, why: str) -> str:
    said = asides_said(turn.state, turn.now)
    return "; ".join((why, *said))


# --------------------------------------------------------------------------------- plans that come to nothing


def told_already(turn: Turn, plan: HedgePlan) -> bool:
    """Whether a plan that cannot be begun comes to what the last one did, within the sense of the bands: it
    is counted then, and else noted as told."""
    state, snapshot = turn.state, plan.snapshot
    called = sorted(plan.decision.called)
    verdict = f"{plan.status} {','.join(called)}: {without_figures(plan.reason)}"
    bands, width = snapshot.bands, widths(snapshot.bands)
    out = []
    for row in called:
        i = snapshot.exposure.rows.index(row)
        at = slice(i, i + 1)
        value = snapshot.exposure.value[None, at]
        out.append(
            (row, float(excesses(value, bands.landing_lower[at], bands.landing_upper[at], width[at])[0]))
        )
    before = state.undone
    if before is not None and before.verdict == verdict and _near(before.out, out):
        turn.state = replace(state, undone=replace(before, times=before.times + 1))
        return True
    turn.state = replace(state, undone=Undone(verdict, tuple(out), turn.event.now_ns))
    return False


def left_out(plan: HedgePlan) -> str:
    """What a plan had to do without, as the end of a sentence: listings by reason, and what bars them."""
    counts = ", ".join(f"{reason} {count}" for reason, count in plan.refused.items())
    whys = "; ".join(sorted(set(plan.snapshot.barred.values())))
    parts = [f"{plan.priced} listings could trade"] + [f"not: {counts}"] * bool(counts) + [whys] * bool(whys)
    return f"; {'; '.join(parts)}"


def _near(one: tuple[tuple[str, float], ...], other: list[tuple[str, float]]) -> bool:
    """Whether no row has moved by a width of its band; what is unknown has."""
    return all(abs(x - y) < 1.0 for (_, x), (_, y) in zip(one, other, strict=True))
