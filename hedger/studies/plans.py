"""Measured results on recorded data: a market maker's book planned at every snapshot of a tape."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from hedger.planning import HedgePlan, PlanStatus, make_plan, read_beside
from hedger.problem.live_bands import index_history
from hedger.problem.risk_term import remember
from hedger.problem.snapshot import take_snapshot
from hedger.sample import SampleSettings, market_maker_book
from hedger.settings import Settings
from pricing.daycount import iso
from pricing.market import Market
from pricing.valuation import value
from risk.band_schedule import NO_HISTORY, PriceHistory
from risk.factor_history import FactorHistory
from venues.tape import Tape


@dataclass(frozen=True, slots=True)
class PlanRecord:
    """One snapshot of the study. Costs in USD, times in milliseconds.

    worst_miss: how far outside its required interval the worst row ends beyond its reported slack, as a
    share of the interval's width (0 = every row ends where the plan says). finite: no NaN in any figure.
    """

    as_of: str
    status: str
    reason: str
    breached: int
    legs: int
    cost_usd: float
    lower_bound_usd: float
    gap: float
    runner_up_usd: float | None
    delta_only_usd: float | None
    worst_miss: float
    finite: bool
    value_ms: float
    plan_ms: float
    stages_ms: dict[str, float]


def plan_snapshots(
    tape: Tape,
    settings: Settings,
    seed: int,
    positions: int,
    every: int = 1,
    on_record: Callable[[PlanRecord], None] | None = None,
) -> list[PlanRecord]:
    """Plan a seeded book at every `every`-th snapshot; its book depends on the seed and its number, its plan
    on what was known by then."""
    records = []
    market = Market.empty(settings.with_fees(tape.universe))
    indexes = _indexes(tape, settings)
    factors = FactorHistory(tape.universe.underlyings) if settings.objective.looks_back else None
    for number, marks in enumerate(tape.marks()):
        market = market.apply(marks)
        if number % every == 0:
            known = {name: history.until(market.now_ns) for name, history in indexes.items()}
            record = plan_one(market, settings, seed + number, positions, known, factors)
            records.append(record)
            if on_record is not None:
                on_record(record)
        factors = remember(factors, market, settings) if factors is not None else None
    return records


def _indexes(tape: Tape, settings: Settings) -> Mapping[str, PriceHistory]:
    """The indexes of the whole tape; nothing where neither bands nor triggers look back."""
    stamps = tape.batches.now_ns
    if not settings.look_back_h() or not stamps.size:
        return NO_HISTORY
    first, last = int(stamps.min()), int(stamps.max())
    return index_history(tape.marks(), tape.universe, last, (last - first) / 3600e9 + 1.0)


def plan_one(
    market: Market,
    settings: Settings,
    seed: int,
    positions: int,
    history: Mapping[str, PriceHistory] = NO_HISTORY,
    factors: FactorHistory | None = None,
) -> PlanRecord:
    """Draw a book on one market and plan its hedge; history, factors: what was known before."""
    valuation = value(market, settings.age_s_max)
    book = market_maker_book(market, valuation, seed, settings.age_s_max, SampleSettings(positions=positions))
    begin = time.perf_counter()
    snapshot = take_snapshot(book, market, settings, history=history)
    valued = time.perf_counter()
    stages: dict[str, float] = {}
    last = valued

    def lap(stage: str) -> None:
        nonlocal last
        now = time.perf_counter()
        stages[stage] = (now - last) * 1e3
        last = now

    plan = make_plan(snapshot, settings, lap, history=history, factors=factors)
    read_beside(plan, lap)
    return PlanRecord(
        as_of=iso(market.now_ns),
        status=str(plan.status),
        reason=plan.reason,
        breached=int(snapshot.bands.breached(snapshot.exposure.value).sum()),
        legs=len(plan.trades),
        cost_usd=plan.cost.total,
        lower_bound_usd=plan.lower_bound_usd,
        gap=plan.gap,
        runner_up_usd=plan.runner_up.cost_usd if plan.runner_up else None,
        delta_only_usd=plan.delta_only.cost_usd if plan.delta_only else None,
        worst_miss=worst_miss(plan),
        finite=_finite(plan),
        value_ms=(valued - begin) * 1e3,
        plan_ms=(time.perf_counter() - valued) * 1e3,
        stages_ms=stages,
    )


def worst_miss(plan: HedgePlan) -> float:
    """Largest distance of a row's end outside its required interval beyond its slack, in interval widths."""
    lower, upper = plan.required_lower - plan.slack, plan.required_upper + plan.slack
    outside = np.maximum(np.maximum(lower - plan.after, plan.after - upper), 0.0)
    width = plan.required_upper - plan.required_lower
    scale = np.where(np.isfinite(width) & (width > 0), width, 1.0)
    return float(np.max(outside / scale, initial=0.0))


def _finite(plan: HedgePlan) -> bool:
    figures = [plan.cost.total, plan.lower_bound_usd, *plan.after, *plan.shadow_price, *plan.slack]
    for trade in plan.trades:
        figures += [trade.expected_price, *trade.effect, *trade.cost.as_dict().values()]
    return bool(np.isfinite(figures).all())


def document(records: list[PlanRecord], seed: int) -> dict[str, Any]:
    """The records and their distribution."""
    plans = [r for r in records if r.status in (PlanStatus.HEDGE, PlanStatus.RELAXED)]
    with_runner = [r for r in plans if r.runner_up_usd is not None and r.runner_up_usd > 0]
    savings = [1.0 - r.cost_usd / r.runner_up_usd for r in with_runner if r.runner_up_usd]
    stages = sorted({stage for r in records for stage in r.stages_ms})
    return {
        "seed": seed,
        "snapshots": len(records),
        "statuses": {str(s): sum(r.status == s for r in records) for s in PlanStatus},
        "no_runner_up": len(plans) - len(with_runner),
        "cost_usd": quantiles([r.cost_usd for r in plans]),
        "gap": quantiles([r.gap for r in plans]),
        "saving_against_runner_up": quantiles(savings),
        "legs": quantiles([float(r.legs) for r in plans]),
        "latency_ms": quantiles([r.value_ms + r.plan_ms for r in records]),
        "stages_ms": {
            "value_and_expose": quantiles([r.value_ms for r in records]),
            **{s: quantiles([r.stages_ms[s] for r in records if s in r.stages_ms]) for s in stages},
        },
        "worst_miss": max((r.worst_miss for r in records), default=0.0),
        "all_finite": all(r.finite for r in records),
        "records": [asdict(r) for r in records],
    }


def quantiles(values: list[float]) -> dict[str, float] | None:
    """Least, quartiles, 99th percentile and greatest of some figures; None without any.

    >>> quantiles([1.0, 2.0, 3.0])["p50"]
    2.0
    """
    if not values:
        return None
    points = {"min": 0, "p25": 25, "p50": 50, "p75": 75, "p99": 99, "max": 100}
    return {name: float(np.percentile(values, p)) for name, p in points.items()}


def text(result: dict[str, Any]) -> str:
    """The distribution for people."""
    lines = [f"{result['snapshots']} snapshots, seed {result['seed']}: {result['statuses']}"]
    for name in ("cost_usd", "gap", "saving_against_runner_up", "legs", "latency_ms"):
        q = result[name]
        if q is not None:
            lines.append(f"  {name:26}" + "  ".join(f"{k} {v:,.4g}" for k, v in q.items()))
    lines.append(f"  without a perp-and-one-option plan: {result['no_runner_up']}")
    lines.append(
        f"  worst row outside what its plan says: {result['worst_miss']:.2g} of its width; "
        f"figures all finite: {result['all_finite']}"
    )
    return "\n".join(lines)
