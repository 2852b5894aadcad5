"""What stands between a plan and whoever acts on it: no broken promise, nothing decided on a bad index, on an
incomplete book or under a band whose rule does not hold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hedger.planning.choices import required_of
from hedger.planning.hedge_plan import HedgePlan, PlanStatus, blocked
from hedger.settings import Settings
from pricing.errors import HedgerError, named
from pricing.valuation import MarkStatus
from risk.missing import always_better, worst_case

#: Positions without a mark that a reason names; all of them stand under `missing`.
NAMED_MAX = 5


def guarded(plan: HedgePlan, settings: Settings) -> HedgePlan:
    """The plan with what it leaves undecided in its reason, or blocked and why.

    Raises:
        HedgerError: as `check_promise`.
    """
    check_promise(plan)
    return _block_if_incomplete(_block_if_refused(_say_bad_indexes(plan)), settings)


def check_promise(plan: HedgePlan) -> None:
    """Refuse to hand out a plan that ends outside what it says, by whatever fault: rows against slack.

    Raises:
        HedgerError: a row ends outside its required interval by more than its slack and rounding (exit 70).
    """
    before = plan.snapshot.exposure.value
    moved = sum((np.abs(t.effect) for t in plan.trades), np.zeros(before.size))
    room = plan.slack * (1 + 1e-6) + 1e-7 * (np.abs(before) + moved)
    bad = (plan.after < plan.required_lower - room) | (plan.after > plan.required_upper + room)
    for limit in plan.limits if plan.status is not PlanStatus.RELAXED else ():
        if limit.slack > 1e-6 * (1.0 + abs(limit.before) + abs(limit.after)):
            raise HedgerError(
                "PLAN_UNSOUND",
                "a plan breaks a limit",
                where=f"row {limit.row}",
                observed=f"{limit.after:.10g}",
                allowed=f"{limit.lower:.10g} to {limit.upper:.10g}",
                not_done="the plan was thrown away",
                fix="this is a fault of the program; please report it with the book and the tape",
            )
    if bad.any():
        i = int(np.argmax(bad))
        raise HedgerError(
            "PLAN_UNSOUND",
            "a plan ends outside what it promises",
            where=f"row {plan.snapshot.exposure.rows[i]}",
            observed=f"{plan.after[i]:.10g}, slack {plan.slack[i]:.3g}",
            allowed=f"{plan.required_lower[i]:.10g} to {plan.required_upper[i]:.10g}",
            not_done="the plan was thrown away",
            fix="this is a fault of the program; please report it with the book and the tape",
        )


def _say_bad_indexes(plan: HedgePlan) -> HedgePlan:
    """The plan with what it leaves undecided in its reason; one that decides nothing is blocked."""
    bad = plan.snapshot.bad_indexes
    if not bad:
        return plan
    said = "; ".join(
        f"{reading.underlying} index bad, nothing is decided on it: {', '.join(reading.reasons)}"
        for reading in bad
    )
    if plan.trades:
        return replace(plan, reason=f"{plan.reason}; {said}")
    return replace(plan, status=PlanStatus.BLOCKED, reason=said)


def _block_if_incomplete(plan: HedgePlan, settings: Settings) -> HedgePlan:
    """An incomplete book is hedged only by a plan that helps whatever the missing legs are."""
    snapshot = plan.snapshot
    if not snapshot.missing:
        return plan
    listed = [f"{m.symbol} ({m.reason})" for m in snapshot.missing]
    names = named(listed, NAMED_MAX)
    low, high = worst_case(
        snapshot.market.universe,
        snapshot.quantities,
        snapshot.exposure.missing,
        snapshot.valuation.spot,
        snapshot.market.now_ns,
        snapshot.underlyings,
        settings.exposure_settings(),
        settings.missing_settings(),
    )
    without_index = any(m.reason == MarkStatus.NO_INDEX.reason for m in snapshot.missing)
    greeks = slice(len(low))  # what an unknown leg loses in a scenario is not bounded by its Greeks
    floors = snapshot.bands.breached(snapshot.exposure.value)[len(low) :].any()
    # a row that waits or is sticky must not end further outside for what is missing either
    breached = np.flatnonzero(snapshot.bands.breached(snapshot.exposure.value)).tolist()
    every = plan.decision.called.union(snapshot.exposure.rows[i] for i in breached)
    lower, upper = required_of(snapshot, every)
    helps = not floors and always_better(
        snapshot.exposure.value[greeks],
        plan.after[greeks],
        lower[greeks],
        upper[greeks],
        low,
        high,
    )
    if plan.trades and helps and not without_index:
        return replace(
            plan, reason=f"{plan.reason}; book incomplete: {names}: the plan helps whatever it adds"
        )
    return blocked(plan, f"book incomplete: {names}; nothing may be traded on what is known alone")


def _block_if_refused(plan: HedgePlan) -> HedgePlan:
    """Nothing is traded while a band's rule does not hold for the book: what stands in was not chosen."""
    rules = zip(plan.snapshot.exposure.rows, plan.snapshot.band_rules, strict=True)
    said = [f"band of {row}: {rule.refused}" for row, rule in rules if rule is not None and rule.refused]
    if not said:
        return plan
    return blocked(plan, f"{'; '.join(said)}; choose another width, such as whalley_wilmott")
