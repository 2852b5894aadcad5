"""A plan made within a turn: on the venues that take orders, by the desk's policy or by a person's wish."""

from __future__ import annotations

from hedger.core.actions import Severity
from hedger.core.aside import barred
from hedger.core.marking import price_history
from hedger.core.turn import Turn
from hedger.moment import Memory, Moment
from hedger.planning import HedgePlan, PlanStatus, make_plan
from hedger.problem.snapshot import Snapshot
from hedger.sections.policy import Breach, Condition, PolicyConfig
from hedger.settings import Settings
from pricing.errors import HedgerError

#: Rows once called are called until they are inside their landing: with every row taken for called, every one
#: that is outside its landing.
REST = Condition(breach=Breach(until_landing=True))


def forced(policy: PolicyConfig) -> PolicyConfig:
    """The desk's policy while a hedge is asked for or in work: every row goes inside its landing, and no
    cooldown and no pause holds it; the budget of turnover and the cap on attempts stay."""
    return policy.model_copy(
        update={"when": REST, "cooldown_s": 0.0, "attempt_pause_s": 0.0, "hysteresis": 0.0}
    )


def plan_of(
    turn: Turn,
    snapshot: Snapshot,
    policy: PolicyConfig,
    memory: Memory,
    moment: Moment | None = None,
    desk: Settings | None = None,
) -> HedgePlan | None:
    """The plan on the venues that take orders, without what is barred; None where none could be made. desk:
    None for the desk's."""
    settings = on_open_venues(turn, desk or turn.settings.desk).model_copy(update={"policy": policy})
    snapshot = barred(turn, snapshot)
    try:
        plan = make_plan(snapshot, settings, memory=memory, history=price_history(turn.state), moment=moment)
    except HedgerError as error:
        turn.alert(Severity.CRITICAL, "PLAN_FAILED", error.text())
        turn.note(error.text())
        turn.why = error.text()
        return None
    turn.plan = plan
    return plan


def on_open_venues(turn: Turn, settings: Settings) -> Settings:
    """The settings with the venues that take no orders denied on both sides."""
    closed = tuple(sorted(name for name, venue in turn.state.venues.items() if not venue.takes_orders))
    if not closed:
        return settings
    chosen = settings.universe
    denied = {
        side: getattr(chosen, side).model_copy(update={"venues": (*getattr(chosen, side).venues, *closed)})
        for side in ("deny_buy", "deny_sell")
    }
    return settings.model_copy(update={"universe": chosen.model_copy(update=denied)})


def trades(plan: HedgePlan) -> bool:
    """Whether there is something to do, and it may be done."""
    return bool(plan.trades) and plan.status in (PlanStatus.HEDGE, PlanStatus.RELAXED)
