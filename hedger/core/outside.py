"""What is outside its band, and why it stays there: no armed engine sits outside in silence.

After every event there is either nothing outside its trigger, or an order at work, or a reason: of the mode,
of the execution in work, or the policy's at the last mark. The state keeps it, the journal has it whenever it
becomes another one, and `hedger status` reads it there.

A plan that could not be begun is told once. While the next one comes to the same, and no row called has moved
by a width of its band since, it is counted and not written down again.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hedger.core.aside import asides_said
from hedger.core.figures import without_figures
from hedger.core.glance import Glance
from hedger.core.legs import excesses, widths
from hedger.core.state import ALL_INSIDE, Outside, State, StaysOut, Undone
from hedger.core.turn import Turn
from hedger.planning import HedgePlan

#: A reason is cut off here: the plan's own ticket has all of it.
WHY_CHARACTERS_MAX = 600
IN_WORK = "a hedge is in work"
PAUSED = "the engine is paused"


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
    cause, why = _why(turn)
    now = Outside(rows, why[:WHY_CHARACTERS_MAX], since_ns, cause)
    if _said(now) != _said(before):
        turn.state = replace(state, outside=now)


def _said(outside: Outside) -> tuple[tuple[str, ...], StaysOut, str]:
    return outside.rows, outside.cause, without_figures(outside.why)


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


def _why(turn: Turn) -> tuple[StaysOut, str]:
    """Why rows that are outside stay there. What the policy said last holds until it is asked again; the
    other causes hold while they hold."""
    state, before = turn.state, turn.state.outside
    policy = turn.why or (before.why if before.cause is StaysOut.POLICY else "")
    execution = state.execution
    if any(True for _ in state.live_orders()):
        return StaysOut.WORK, IN_WORK
    if state.fault:
        return StaysOut.VALUE, f"the book cannot be valued: {state.fault}"
    if not state.acting.sends:
        return StaysOut.MODE, f"the engine {state.acting.said}: {state.reason}"
    if state.paused:
        if before.cause is StaysOut.PAUSED and not turn.why:
            return StaysOut.PAUSED, before.why
        return StaysOut.PAUSED, f"{PAUSED}; else: {policy}" if policy else PAUSED
    if execution is not None:
        why = execution.ending or execution.replanning or execution.waiting
        return StaysOut.WORK, _with_asides(turn, f"{IN_WORK}: {why}" if why else IN_WORK)
    if turn.why:
        return StaysOut.POLICY, _with_asides(turn, turn.why)
    return StaysOut.POLICY, policy or "the next mark decides"


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
