"""Delta bands as wide as hedging costs: by risk aversion, by Zakamouline's fit, or by a budget of risk."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from risk.band_rules import (
    AppliedBand,
    BookFacts,
    RowRule,
    WidthRule,
    scale_now,
    uncertainty,
    vol_of,
)
from risk.band_widths import (
    budget_width,
    fixed_cost_width,
    hedge_error_usd_per_day,
    implied_risk_aversion,
    landing,
    one_step_width,
    whalley_wilmott,
    zakamouline,
)
from risk.delta_cost import DeltaCost

#: The cost rate is that of a trade of the band's own size, and the band follows the rate's cube root: each
#: round leaves a third of the difference.
_ROUNDS = 4


@dataclass(frozen=True, slots=True)
class Placement:
    """A symmetric band: its middle and its half widths, in the row's unit, and where it comes from."""

    middle: float
    trigger: float
    landing: float
    applied: AppliedBand


def cost_aware(
    rule: RowRule, name: str, target: float, facts: BookFacts, now_ns: int, before: Mapping[str, float]
) -> Placement | str:
    """The delta band of a rule that follows what hedging costs; or what is not known that it needs.

    target: of the row, coins. before: the regime factors in force, by row. Where Zakamouline's band does not
    hold for the book, Whalley and Wilmott's stands in, and `AppliedBand.refused` says why: it may be looked
    at, and nothing should be traded on it.
    """
    cost, vol = _cost(rule, facts, 0.0), vol_of(rule, facts)
    if cost is None:
        return "no spot, perpetual or future may be traded, so its cost is unknown"
    if rule.width is WidthRule.RISK_BUDGET and not vol > 0:
        return "no option tells the vol"
    cost, width = _settled(rule, facts, cost)
    scale = scale_now(rule, name, facts, now_ns, before)
    # a budget is a ceiling: nothing widens its band
    factor = min(scale.factor, 1.0) if rule.width is WidthRule.RISK_BUDGET else scale.factor
    floors = {
        f"a lot of {cost.symbol}": cost.lot,
        "what is not known of the delta": uncertainty(rule, facts),
        "a mis-hedge not worth its cost over the holding time": _one_step(rule, facts, cost, vol),
    }
    floor_name, floor = max(floors.items(), key=lambda item: item[1])
    half = max(width.half * factor, floor)
    trigger, inner = (float(x) for x in landing(half, facts.spot, cost.rate, cost.fixed_usd, cost.lot))
    options = facts.from_options.get(name, 0.0)
    ratio = rule.hedge_ratio
    middle = target + (1.0 - ratio) * options - ratio * width.shift
    error = hedge_error_usd_per_day(trigger, inner, facts.spot, vol) if vol > 0 else math.nan
    why = _why(rule, facts, cost, width, scale.why)
    if floor > width.half * factor:
        why.append(f"floored by {floor_name}")
    if rule.width is WidthRule.RISK_BUDGET and error > rule.error_usd_per_day * (1 + 1e-6):
        why.append(f"hedge error {error:z,.0f} USD a day, above the budget of {rule.error_usd_per_day:z,.0f}")
    applied = AppliedBand(
        rule=str(WidthRule.WHALLEY_WILMOTT if width.refused else rule.width),
        half_width=trigger,
        risk_aversion=width.risk_aversion,
        cost_rate=cost.rate,
        floor=floor,
        scale=factor,
        regime=scale.regime,
        error_usd_per_day=error,
        why="; ".join(why),
        refused=width.refused,
    )
    return Placement(middle, trigger, inner, applied)


def _why(rule: RowRule, facts: BookFacts, cost: DeltaCost, width: _Width, scale: Sequence[str]) -> list[str]:
    """What a band follows, floors and budgets apart. scale: what made it narrower or wider."""
    by = cost.symbol if math.isnan(rule.cost_rate) else "the desk's setting"
    why = [f"{rule.width} refused: {width.refused}"] if width.refused else []
    why += [f"net gamma {facts.net_gamma:.4g} coin/USD", f"{cost.rate * 1e4:.3g} bp by {by}", *scale]
    if rule.hedge_ratio != 1.0:
        why.append(f"{rule.hedge_ratio:.0%} of the options' part is hedged")
    if width.shift:
        why.append(f"centred where the options' delta is {width.shift:+.4g} coin off")
    return why


@dataclass(frozen=True, slots=True)
class _Width:
    """A half width before scaling and floors. shift: how far the delta is off at the vol of the centre.
    refused: why the rule asked for does not hold."""

    half: float
    risk_aversion: float
    shift: float = 0.0
    refused: str = ""


def _cost(rule: RowRule, facts: BookFacts, size: float) -> DeltaCost | None:
    """What moving so many coins of delta costs: the live rate, or the desk's own in its place.

    None where no instrument may be traded: a rate of the desk's own tells no lot.
    """
    live = facts.market.cost(size)
    return live if live is None or math.isnan(rule.cost_rate) else replace(live, rate=rule.cost_rate)


def _settled(rule: RowRule, facts: BookFacts, cost: DeltaCost) -> tuple[DeltaCost, _Width]:
    """The cost of a trade as large as the width that it makes, with that width."""
    width = _width(rule, facts, cost)
    for _ in range(_ROUNDS):
        at_size = _cost(rule, facts, width.half)
        if at_size is None or at_size == cost:
            break
        cost, width = at_size, _width(rule, facts, at_size)
    return cost, width


def _width(rule: RowRule, facts: BookFacts, cost: DeltaCost) -> _Width:
    """The half width by the row's rule at a cost."""
    gamma = rule.hedge_ratio * facts.net_gamma
    if rule.width is WidthRule.RISK_BUDGET:
        half = budget_width(
            rule.error_usd_per_day, facts.spot, vol_of(rule, facts), cost.rate, cost.fixed_usd, cost.lot
        )
        return _Width(half, _implied_aversion(half, gamma, facts.spot, cost))
    if rule.width is WidthRule.ZAKAMOULINE:
        found = _zakamouline(rule, facts, cost)
        if not isinstance(found, str):
            return found
        return replace(_width(replace(rule, width=WidthRule.WHALLEY_WILMOTT), facts, cost), refused=found)
    half = float(whalley_wilmott(gamma, facts.spot, cost.rate, rule.risk_aversion))
    if cost.rate == 0.0:
        half = float(fixed_cost_width(gamma, cost.fixed_usd, rule.risk_aversion))
    return _Width(half, rule.risk_aversion)


def _implied_aversion(half: float, gamma: float, spot: float, cost: DeltaCost) -> float:
    """The risk aversion, per USD, that a budget's width stands for; NaN where none does: without gamma, or
    without costs."""
    if cost.rate > 0:
        found = implied_risk_aversion(half, gamma, spot, cost.rate)
    else:
        found = 12.0 * cost.fixed_usd * gamma**2 / half**4  # the fourth-root law, read backwards
    return found if found > 0 else math.nan


def _zakamouline(rule: RowRule, facts: BookFacts, cost: DeltaCost) -> _Width | str:
    """Zakamouline's half width, and how far the delta at his vol lies from the delta of the row; or why it
    does not hold: his fit is to one plain option."""
    legs = facts.legs
    if legs.long_gamma > 0 > legs.short_gamma:
        return f"gammas of both signs, {legs.long_gamma:.3g} owned and {legs.short_gamma:.3g} sold, coin/USD"
    gamma = legs.long_gamma + legs.short_gamma
    if gamma == 0.0 or rule.hedge_ratio == 0.0:
        return _Width(0.0, rule.risk_aversion)
    vol = legs.by_gamma(legs.vol) if math.isnan(rule.vol) else rule.vol
    try:
        band = zakamouline(
            rule.hedge_ratio * gamma,
            facts.spot,
            cost.rate,
            rule.risk_aversion,
            vol,
            legs.by_gamma(legs.years),
        )
    except ValueError as error:
        return str(error)
    shift = legs.delta(legs.vol * band.vol_factor) - legs.delta(legs.vol)
    return _Width(float(band.half_width), rule.risk_aversion, shift)


def _one_step(rule: RowRule, facts: BookFacts, cost: DeltaCost, vol: float) -> float:
    """Floor of a width by risk aversion; 0 where something it needs is not known, and for a budget, which it
    would exceed."""
    if rule.width is WidthRule.RISK_BUDGET or not (vol > 0 and facts.holding_years > 0):
        return 0.0
    return float(one_step_width(facts.spot, cost.rate, rule.risk_aversion, vol, facts.holding_years))
