"""From a snapshot to the hedge plan: price the universe, solve, compare with the alternatives.

Pure functions; the order of a plan is on one page in `make_plan`. The result holds numbers and names only:
`hedger.documents` turns it into JSON, `hedger.ticket` into what a trader reads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from hedger.alternatives import Alternative, cheapest_with_one_option, perpetuals_alone
from hedger.optimizer import Plan, Status, solve
from hedger.problem import Trade, build_problem, denied_but_unlisted, hedge_universe, trades_of
from hedger.settings import Settings
from hedger.snapshot import Snapshot
from hedger.valuing import delta_rule_said
from pricing.contracts import ComboRule, Kind, Side
from pricing.errors import HedgerError
from pricing.oracle import Verdict
from pricing.universe import BoolArray, FloatArray, IntArray
from pricing.valuation import MarkStatus, Numeraire
from risk.costs import CostModel, TradeCost, combo_fee, cost_model
from risk.missing import always_better, worst_case

Stopwatch = Callable[[str], None]


class PlanStatus(StrEnum):
    """What the ticket says."""

    HEDGE = "hedge"
    NO_TRADE = "no_trade"
    RELAXED = "relaxed"
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True, eq=False)
class HedgePlan:
    """The answer: trades, rows before and after, the certificate and the alternatives. Arrays (m,)."""

    snapshot: Snapshot
    status: PlanStatus
    reason: str
    required_lower: FloatArray
    required_upper: FloatArray
    after: FloatArray
    shadow_price: FloatArray
    binding: IntArray
    slack: FloatArray
    trades: tuple[Trade, ...]
    cost: TradeCost
    lower_bound_usd: float
    priced: int
    kept: int
    refused: Mapping[str, int]
    runner_up: Alternative | None
    delta_only: Alternative | None
    assumptions: tuple[str, ...]

    @property
    def gap(self) -> float:
        """(cost - bound) / cost, 0 without a cost."""
        return (self.cost.total - self.lower_bound_usd) / self.cost.total if self.cost.total > 0 else 0.0


def _no_stopwatch(stage: str) -> None:
    """Stages are not timed."""


def make_plan(snapshot: Snapshot, settings: Settings, lap: Stopwatch = _no_stopwatch) -> HedgePlan:
    """The cheapest plan for a snapshot, its certificate and its alternatives.

    Args:
        lap: called with the name of each stage when it is done (the caller may hold a clock).
    """
    exposure, bands = snapshot.exposure, snapshot.bands
    lower, upper = bands.required(exposure.value)
    undecided = _rows_of_bad_indexes(snapshot)
    lower, upper = np.where(undecided, -np.inf, lower), np.where(undecided, np.inf, upper)
    tradable, refused = hedge_universe(snapshot, settings)
    costs = cost_model(snapshot.market, snapshot.valuation, tradable, settings.cost_settings())
    lap("costs")
    problem = build_problem(snapshot, settings, costs, tradable, lower, upper)
    lap("problem")
    plan = solve(problem, settings.solver_settings())
    lap("solve")
    banded = np.flatnonzero(bands.banded)
    traded = plan.status is not Status.no_trade
    runner_up = cheapest_with_one_option(snapshot, problem, costs, tradable, settings) if traded else None
    lap("runner_up")
    delta_only = perpetuals_alone(snapshot, problem, costs, tradable, settings) if traded else None
    lap("delta_only")
    on_all = _on_all_rows(exposure.value.size, banded)
    trades, slack = trades_of(plan.quantity, snapshot, costs, tradable), on_all(plan.slack)
    status, reason = _status(plan, snapshot, settings)
    if runner_up is not None and (plan.status is Status.relaxed or runner_up.cost_usd < plan.cost):
        # The lot search stops at its gap or its time limit: a simpler plan that is better takes its place.
        trades, slack = runner_up.trades, np.zeros(exposure.value.size)
        status, reason = PlanStatus.HEDGE, f"{_outside(snapshot)}; a perpetual and at most one option do it"
    after = exposure.value + sum((t.effect for t in trades), np.zeros(exposure.value.size))
    cost = sum((t.cost for t in trades), TradeCost())
    result = HedgePlan(
        snapshot=snapshot,
        status=status,
        reason=reason,
        required_lower=lower,
        required_upper=upper,
        after=after,
        shadow_price=on_all(plan.shadow_price),
        binding=on_all(plan.binding.astype(np.float64)).astype(np.int64),
        slack=slack,
        trades=trades,
        cost=cost,
        lower_bound_usd=min(float(plan.lower_bound), cost.total),
        priced=len(tradable),
        kept=len(plan.kept),
        refused=refused,
        runner_up=runner_up,
        delta_only=delta_only,
        assumptions=_assumptions(snapshot, settings, costs, trades),
    )
    check_promise(result)
    result = _block_if_incomplete(_say_bad_indexes(result), settings)
    lap("ticket")
    return result


def check_promise(plan: HedgePlan) -> None:
    """Refuse to hand out a plan that ends outside what it says, by whatever fault: rows against slack.

    Raises:
        HedgerError: a row ends outside its required interval by more than its slack and rounding (exit 70).
    """
    before = plan.snapshot.exposure.value
    moved = sum((np.abs(t.effect) for t in plan.trades), np.zeros(before.size))
    room = plan.slack * (1 + 1e-6) + 1e-7 * (np.abs(before) + moved)
    bad = (plan.after < plan.required_lower - room) | (plan.after > plan.required_upper + room)
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


def _on_all_rows(m: int, banded: IntArray) -> Callable[[FloatArray], FloatArray]:
    """Spread an array over the banded rows to all m rows, 0 elsewhere."""

    def spread(values: FloatArray) -> FloatArray:
        full = np.zeros(m)
        full[banded] = values
        return full

    return spread


def _status(plan: Plan, snapshot: Snapshot, settings: Settings) -> tuple[PlanStatus, str]:
    """Status and one sentence."""
    if plan.status is Status.no_trade:
        return PlanStatus.NO_TRADE, "every row is inside its trigger interval"
    if plan.status is Status.relaxed:
        return PlanStatus.RELAXED, plan.reason
    why = _outside(snapshot)
    if plan.status is Status.time_limit:
        why += f"; the lot search stopped at its time limit: {plan.gap:.2%} of the cost is above the bound"
    elif plan.gap > settings.solver.gap:
        why += f"; whole lots leave {plan.gap:.2%} of the cost above the bound"
    return PlanStatus.HEDGE, why


def _rows_of_bad_indexes(snapshot: Snapshot) -> BoolArray:
    """Rows on which nothing is decided, (m,)."""
    bad = {reading.underlying for reading in snapshot.bad_indexes}
    return np.array([name.split(":")[1] in bad for name in snapshot.exposure.rows], dtype=np.bool_)


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


def _outside(snapshot: Snapshot) -> str:
    outside = snapshot.bands.breached(snapshot.exposure.value) & ~_rows_of_bad_indexes(snapshot)
    breached = np.flatnonzero(outside)
    return f"{', '.join(snapshot.exposure.rows[i] for i in breached)} outside trigger"


def _block_if_incomplete(plan: HedgePlan, settings: Settings) -> HedgePlan:
    """An incomplete book is hedged only by a plan that helps whatever the missing legs are."""
    snapshot = plan.snapshot
    if not snapshot.missing:
        return plan
    names = ", ".join(f"{m.symbol} ({m.reason})" for m in snapshot.missing)
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
    helps = always_better(
        snapshot.exposure.value, plan.after, plan.required_lower, plan.required_upper, low, high
    )
    if plan.trades and helps and not without_index:
        return replace(
            plan, reason=f"{plan.reason}; book incomplete: {names}: the plan helps whatever it adds"
        )
    return replace(
        plan,
        status=PlanStatus.BLOCKED,
        reason=f"book incomplete: {names}; nothing may be traded on what is known alone",
        after=snapshot.exposure.value,
        shadow_price=np.zeros(plan.after.size),
        binding=np.zeros(plan.after.size, dtype=np.int64),
        slack=np.zeros(plan.after.size),
        trades=(),
        cost=TradeCost(),
        lower_bound_usd=0.0,
        runner_up=None,
        delta_only=None,
    )


def _assumptions(
    snapshot: Snapshot, settings: Settings, costs: CostModel, trades: tuple[Trade, ...]
) -> tuple[str, ...]:
    """What the ticket takes for granted."""
    universe, valuation = snapshot.market.universe, snapshot.valuation
    said = [
        "effects include the premium: buying an option for v coin lowers the coin balance, so delta, by v",
        "costs are against the venue's mark clamped into the touch; taker fees; displayed depth as it stands",
        f"carry over {settings.costs.holding_h:g} h counts costs only; income counts 0",
    ]
    for i in np.flatnonzero(costs.funding_unknown).tolist():
        listing = universe.listings[i]
        if listing.contract.underlying in snapshot.underlyings:
            said.append(f"{listing.venue} {listing.symbol}: funding rate unknown, carry counted as 0")
    said += [
        f"{name} index degraded: {', '.join(snapshot.readings[name].reasons)}"
        for name in snapshot.underlyings
        if snapshot.readings[name].verdict is Verdict.DEGRADED
    ]
    held = snapshot.quantities != 0
    said += delta_rule_said(valuation, snapshot.rules, held)
    for i in np.flatnonzero(valuation.in_window & held).tolist():
        key = (universe.underlyings[universe.underlying[i]], int(universe.expiry_ns[i]))
        if key not in snapshot.market.settlement_average:
            said.append(f"{universe.listings[i].symbol}: average so far unknown, the index stands in")
    if settings.numeraire is Numeraire.COIN:
        said.append(
            "gamma counts options and inverse futures; the convexity of linear futures and stable balances, "
            "counted in coin, is left out: swapping inverse for linear or spot changes gamma on paper only"
        )
    several = len(snapshot.underlyings) > 1 and not settings.stable_underlying
    if settings.numeraire is Numeraire.COIN and several:
        said.append(
            "stable balances count against each coin, a trade's stable leg against its own coin alone; "
            "set stable_underlying to count them once"
        )
    said += [
        f"deny list names {symbol}: not on this market" for symbol in denied_but_unlisted(snapshot, settings)
    ]
    saved = _combo_saving(trades)
    if saved > 0:
        said.append(
            f"legs trade one by one at full fees; as combos, the cheaper sides' {saved:.2f} USD fall away"
        )
    return tuple(said)


def _combo_saving(trades: tuple[Trade, ...]) -> float:
    """Fees, USD, that fall away when an underlying's options trade as one combo where the venue has it."""
    sides: dict[tuple[str, str], dict[Side, float]] = {}
    for trade in trades:
        listing = trade.listing
        if listing.contract.kind is Kind.OPTION and listing.fees.combo is ComboRule.CHEAPER_SIDE_FREE:
            fees = sides.setdefault(
                (listing.venue, listing.contract.underlying), {Side.BUY: 0.0, Side.SELL: 0.0}
            )
            fees[trade.side] += trade.cost.fee
    return sum(f[Side.BUY] + f[Side.SELL] - combo_fee(f[Side.BUY], f[Side.SELL]) for f in sides.values())
