"""The bands in force: the desk's fixed bands, moved, scaled and floored by its rules, or as wide as hedging
costs; and where each comes from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from risk.band_rules import AppliedBand, BookFacts, RowRule, WidthRule, scale_now, uncertainty
from risk.bands import Bands, Interval
from risk.cost_aware_bands import cost_aware

#: The reason of a band that nothing has moved.
AS_CONFIGURED = "as configured"
NO_RULE = RowRule()
NO_RULES: Mapping[str, RowRule] = {}


def apply_rules(
    rows: Sequence[str],
    fixed: Bands,
    rules: Mapping[str, Mapping[str, RowRule]],
    facts: Mapping[str, BookFacts],
    now_ns: int,
    before: Mapping[str, float],
) -> tuple[Bands, tuple[AppliedBand | None, ...]]:
    """The bands in force and where each comes from.

    Args:
        rows: names. fixed: the fixed bands, (m,); of a cost-aware row, what stands in where its width is not
            known. rules: by underlying and Greek. facts: of every underlying with a rule and an index.
        before: the regime factors in force, by row.
    """
    bands = fixed
    applied: list[AppliedBand | None] = []
    for i, name in enumerate(rows):
        greek, underlying, *bucket = name.split(":")
        rule = rules.get(underlying, NO_RULES).get(greek, NO_RULE)
        # a tenor's band is a multiple of the total's: it widens and tightens with it
        if bucket and rule is not NO_RULE:
            rule = replace(rule, hedge_ratio=1.0)
        if not fixed.banded[i]:
            applied.append(None)
        elif rule.plain or underlying not in facts:
            applied.append(AppliedBand("fixed", _half(fixed, i), why=AS_CONFIGURED))
        elif rule.width is WidthRule.FIXED:
            bands, band = _fixed(bands, i, name, rule, facts[underlying], now_ns, before)
            applied.append(band)
        else:
            placed = cost_aware(rule, name, float(fixed.target[i]), facts[underlying], now_ns, before)
            if isinstance(placed, str):  # a row is not left without a band
                bands, band = _fixed(bands, i, name, rule, facts[underlying], now_ns, before)
                lack = f"{rule.width} not known: {placed}; the default fixed band stands in"
                band = replace(band, why=lack if band.why == AS_CONFIGURED else f"{lack}; {band.why}")
            else:
                outer, inner = placed.trigger, placed.landing
                bands = _placed(bands, i, placed.middle, (-outer, outer), (-inner, inner))
                band = placed.applied
            applied.append(band)
    return bands, tuple(applied)


def with_floor_rules(applied: Sequence[AppliedBand | None], bands: Bands) -> tuple[AppliedBand | None, ...]:
    """Where the bands of further rows behind the Greeks come from: floors of scenarios, as configured."""
    more = range(len(applied), len(bands.target))
    floors = [AppliedBand("floor", why=AS_CONFIGURED) if bands.banded[i] else None for i in more]
    return (*applied, *floors)


def with_trial_rule(
    applied: Sequence[AppliedBand | None], row: int, bands: Bands
) -> tuple[AppliedBand | None, ...]:
    """The same, with one row's band one that was given for a trial."""
    trial = AppliedBand("trial", _half(bands, row), why="given for this run")
    return (*applied[:row], trial if bands.banded[row] else None, *applied[row + 1 :])


def _half(bands: Bands, i: int) -> float:
    """Distance from the target to the trigger, the nearer side; NaN where both are open."""
    near = min(bands.target[i] - bands.trigger_lower[i], bands.trigger_upper[i] - bands.target[i])
    return float(near) if math.isfinite(near) else math.nan


def _placed(bands: Bands, i: int, middle: float, trigger: Interval, inner: Interval) -> Bands:
    """The bands with one row's middle and distances replaced."""
    columns = [getattr(bands, name).copy() for name in Bands.__slots__]
    for column, offset in zip(columns, (0.0, *trigger, *inner), strict=True):
        column[i] = middle + offset
    return Bands(*columns)


def _lot(facts: BookFacts) -> float:
    """Smallest delta step that can be traded, coins; 0 where nothing can."""
    return facts.market.finest if math.isfinite(facts.market.finest) else 0.0


def _fixed(
    bands: Bands, i: int, name: str, rule: RowRule, facts: BookFacts, now_ns: int, before: Mapping[str, float]
) -> tuple[Bands, AppliedBand]:
    """A fixed band, moved by its hedge ratio, scaled and floored."""
    delta = name.startswith("delta:")
    scale = scale_now(rule, name, facts, now_ns, before)
    lot = _lot(facts) if delta and rule.scales else 0.0
    sds = uncertainty(rule, facts) if delta else 0.0
    target = float(bands.target[i])
    edges = []
    for outer, inner in (
        (target - bands.trigger_lower[i], target - bands.landing_lower[i]),
        (bands.trigger_upper[i] - target, bands.landing_upper[i] - target),
    ):
        trigger = max(float(outer) * scale.factor, lot, sds)
        edges.append((trigger, max(min(float(inner) * scale.factor, trigger - lot), 0.0)))
    middle = target + (1.0 - rule.hedge_ratio) * facts.from_options.get(name, 0.0)
    (low, inner_low), (high, inner_high) = edges
    moved = _placed(bands, i, middle, (-low, high), (-inner_low, inner_high))
    floor = max(lot, sds)
    why = [*scale.why]
    if rule.hedge_ratio != 1.0:
        why.append(f"{rule.hedge_ratio:.0%} of the options' part is hedged")
    if floor and floor >= min(low, high):
        why.append("floored by " + ("what is not known of the delta" if sds >= lot else "a lot"))
    return moved, AppliedBand(
        rule=str(WidthRule.FIXED),
        half_width=_half(moved, i),
        floor=floor if floor else math.nan,
        scale=scale.factor,
        regime=scale.regime,
        why="; ".join(why) or AS_CONFIGURED,
    )
