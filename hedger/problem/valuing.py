"""How this desk values options: the order of vol sources and the delta rule of its settings, made ready.

The surface is fitted where a rule or an option needs it; the coefficients of the minimum-variance delta come
from a `DeltaHistory`, the regression's sums over the intervals seen so far.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from hedger.settings import Settings
from pricing.contracts import Kind
from pricing.delta_rules import (
    Coefficients,
    DeltaRule,
    NormalEquations,
    OptionMarks,
    fit_minimum_variance,
    normal_equations,
)
from pricing.forwards import forwards
from pricing.market import VOL_ABSURD_ABOVE, VOL_ABSURD_BELOW, Market
from pricing.surface import Surface, refit
from pricing.universe import BoolArray, Universe
from pricing.valuation import DeltaSource, MarkStatus, Valuation, ValuationRules, VolSource, value


@dataclass(frozen=True, slots=True)
class DeltaHistory:
    """What the minimum-variance regression has seen: sums by (underlying, sign), and the last marks.

    universe: of the last marks, which are compared option by option.
    """

    equations: Mapping[tuple[str, int], tuple[NormalEquations, ...]] = field(default_factory=dict)
    last: OptionMarks | None = None
    universe: Universe | None = None


def option_marks(valuation: Valuation) -> OptionMarks:
    """The options of a plain valuation, per coin; NaN where a listing is no option or has no mark."""
    universe = valuation.universe
    ok = (universe.kind == Kind.OPTION) & (valuation.status == MarkStatus.OK) & ~valuation.in_window
    size = np.where(ok, universe.size, np.nan)
    forward = valuation.forward
    per_coin = np.where(universe.inverse, valuation.price * forward, valuation.price)
    usd = valuation.usd
    # the forward's delta: a linear option's unit delta counts F/S, which is not of the option
    delta = np.where(universe.inverse, usd.delta, usd.delta * valuation.spot_of_listing() / forward)
    return OptionMarks(
        now_ns=valuation.now_ns,
        underlying=universe.underlying,
        sign=universe.sign,
        value=np.where(ok, per_coin, np.nan),
        delta=delta / size,
        vega=usd.vega / size,
        theta=usd.theta / size,
        forward=np.where(ok, forward, np.nan),
        years=np.where(ok, valuation.years, np.nan),
        vol=np.where(ok, valuation.vol, np.nan),
    )


def learn(history: DeltaHistory, market: Market, settings: Settings) -> DeltaHistory:
    """The history with one more market; sums older than the window are dropped.

    After another universe (a listing, an expiry) the pairs begin anew.
    """
    now = option_marks(value(market, settings.age_s_max))
    before = history.universe
    if history.last is None or before is None or before.listings != market.universe.listings:
        return DeltaHistory(history.equations, now, market.universe)
    oldest = market.now_ns - round(settings.minimum_variance.window_days * 86_400e9)
    equations = {key: tuple(e for e in seen if e.now_ns > oldest) for key, seen in history.equations.items()}
    for (u, sign), sums in normal_equations(history.last, now).items():
        key = (market.universe.underlyings[u], sign)
        equations[key] = (*equations.get(key, ()), sums)
    return DeltaHistory(equations, now, market.universe)


def coefficients(
    history: DeltaHistory, now_ns: int, settings: Settings
) -> dict[tuple[str, int], Coefficients]:
    """Coefficients of every underlying and side whose window holds enough."""
    fitted = {
        key: fit_minimum_variance(list(seen), now_ns, settings.minimum_variance.window())
        for key, seen in history.equations.items()
    }
    return {key: found for key, found in fitted.items() if found is not None}


def valuation_rules(
    market: Market, settings: Settings, history: DeltaHistory | None = None, before: Surface | None = None
) -> ValuationRules:
    """The rules of the settings in a market; the surface is fitted only if something asks for it."""
    rule = settings.delta_rule
    sticky = rule in (DeltaRule.STICKY_MONEYNESS, DeltaRule.STICKY_TREE)
    surface = None
    if sticky or _asks_for_surface(market, settings):
        forward = forwards(market, settings.age_s_max).forward
        surface = refit(before, market, forward, settings.age_s_max)
    known = coefficients(history, market.now_ns, settings) if history is not None else {}
    return ValuationRules(settings.vol_order, rule, surface, known)


def _asks_for_surface(market: Market, settings: Settings) -> bool:
    """Whether the surface comes before another source, or an option has no vol of the venue's."""
    order = settings.vol_order
    if VolSource.SURFACE not in order:
        return False
    if order.index(VolSource.SURFACE) < len(order) - 1 or order[0] is not VolSource.VENUE_MARK:
        return True
    with np.errstate(invalid="ignore"):
        marked = (market.mark_iv >= VOL_ABSURD_BELOW) & (market.mark_iv <= VOL_ABSURD_ABOVE)
    return bool((market.universe.is_option & market.fresh(settings.age_s_max) & ~marked).any())


def delta_rule_said(valuation: Valuation, rules: ValuationRules, held: BoolArray) -> tuple[str, ...]:
    """What a ticket says of its deltas: the rule, and how many options it could not be applied to."""
    if rules.delta_rule is DeltaRule.BLACK_SCHOLES:
        return ()
    options = held & valuation.universe.is_option & (valuation.status == MarkStatus.OK)
    by_rule = int((options & (valuation.delta_source == DeltaSource.RULE)).sum())
    said = [f"deltas by {rules.delta_rule}: {by_rule} of {int(options.sum())} options held"]
    if by_rule < int(options.sum()):
        lack = "coefficients" if rules.delta_rule is DeltaRule.MINIMUM_VARIANCE else "a slope of the smile"
        left = int(options.sum()) - by_rule
        said.append(f"{left} options held keep their Black-Scholes delta: {lack} unknown")
    for (underlying, sign), c in sorted(rules.coefficients.items()):
        side = "calls" if sign > 0 else "puts"
        said.append(
            f"minimum variance {underlying} {side}: a {c.a:.3g}, b {c.b:.3g}, c {c.c:.3g} "
            f"from {c.pairs} pairs in {c.snapshots} intervals"
        )
    return tuple(said)
