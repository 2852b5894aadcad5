"""What a desk's rule of a band says, and what the book and the market say to it.

`RowRule` is the rule of one row, `BookFacts` what is known of its underlying, `AppliedBand` where the band in
force comes from (`risk.bands_in_force`).

The middle of a band is target + (1 − hedge_ratio) × (the row's exposure from options held): options are what
is hedged; spot, futures and balances are what hedges. At 1 the whole exposure is brought to the target, at 0
the options' delta is left and everything else is brought to 0, at 1.5 the options are hedged half as much
again. Rows that options alone have (gamma, vega, theta) take ratios up to 1: there a hedge changes what the
ratio counts, and each takes away its share of what stands.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from risk.band_schedule import (
    BeforeExpiry,
    DayWindow,
    PriceHistory,
    Regime,
    Scale,
    realised_vol,
    scale_of,
)
from risk.delta_cost import DeltaMarket
from risk.option_legs import OptionLegs


class WidthRule(StrEnum):
    """What the width of a band follows."""

    FIXED = "fixed"
    WHALLEY_WILMOTT = "whalley_wilmott"
    ZAKAMOULINE = "zakamouline"
    RISK_BUDGET = "risk_budget"


@dataclass(frozen=True, slots=True)
class RowRule:
    """The desk's rule of one row; the default is the fixed band as it stands.

    risk_aversion: per USD, of `whalley_wilmott` and `zakamouline`. error_usd_per_day: of `risk_budget`.
    cost_rate, vol: used instead of the live ones; NaN: the live ones. uncertainty_sds: standard deviations of
    what is not known of the delta that the band is at least wide; vol_error (1.0 = 100 %) and forward_error
    (fraction): what vols and forwards may be wrong by, one standard deviation.
    """

    width: WidthRule = WidthRule.FIXED
    risk_aversion: float = math.nan
    error_usd_per_day: float = math.nan
    cost_rate: float = math.nan
    vol: float = math.nan
    hedge_ratio: float = 1.0
    uncertainty_sds: float = 0.0
    vol_error: float = 0.0
    forward_error: float = 0.0
    regime: Regime | None = None
    windows: tuple[DayWindow, ...] = ()
    before_expiry: tuple[BeforeExpiry, ...] = ()

    @property
    def plain(self) -> bool:
        """Whether the band is the fixed one, unchanged by anything."""
        unmoved = self.hedge_ratio == 1.0 and not self.uncertainty_sds and not self.scales
        return self.width is WidthRule.FIXED and unmoved

    @property
    def scales(self) -> bool:
        """Whether hours, expiries or vols widen or tighten the band."""
        return self.regime is not None or bool(self.windows) or bool(self.before_expiry)


@dataclass(frozen=True, slots=True, eq=False)
class BookFacts:
    """What the book and the market say of one underlying.

    net_gamma: of everything on it, coins per USD (coin numeraire: the row over the index). vol: at the money,
    30 days; NaN unknown. history: of the index, up to now; None unknown. from_options: exposure of the
    options held, by row. holding_years: how long a hedge is held.
    """

    spot: float
    net_gamma: float
    vol: float
    history: PriceHistory | None
    hours_to_expiry: float
    from_options: Mapping[str, float]
    legs: OptionLegs
    market: DeltaMarket
    holding_years: float


@dataclass(frozen=True, slots=True)
class AppliedBand:
    """The band of a row in force. Numbers in the row's unit; NaN where there is none.

    half_width: from the target to the trigger. risk_aversion: per USD. cost_rate: USD per USD of notional,
    one way. floor: the half width it may not fall below. scale: by hours, expiries and vols. regime: the vol
    regime's part of it, for the next mark. error_usd_per_day: P&L of the mis-hedge at one sigma.
    refused: why the rule that the desk chose does not hold for this book; `rule` is then what stands in.
    """

    rule: str
    half_width: float = math.nan
    risk_aversion: float = math.nan
    cost_rate: float = math.nan
    floor: float = math.nan
    scale: float = 1.0
    regime: float = math.nan
    error_usd_per_day: float = math.nan
    why: str = ""
    refused: str = ""


def vol_of(rule: RowRule, facts: BookFacts) -> float:
    """The vol of a rule, the live one unless it names its own; NaN where unknown."""
    return facts.vol if math.isnan(rule.vol) else rule.vol


def scale_now(rule: RowRule, name: str, facts: BookFacts, now_ns: int, before: Mapping[str, float]) -> Scale:
    """What hours, expiries and vols make of a row's widths now."""
    vols = math.nan, math.nan
    if rule.regime is not None:
        vols = realised_vol(facts.history, now_ns, rule.regime), vol_of(rule, facts)
    hours, factor = facts.hours_to_expiry, before.get(name, math.nan)
    return scale_of(rule.windows, rule.before_expiry, rule.regime, now_ns, hours, vols, factor)


def uncertainty(rule: RowRule, facts: BookFacts) -> float:
    """The half width, coins, that what is not known of the delta asks for: standard deviations of the hedged
    delta when all vols and all forwards are wrong together, sqrt((vanna dσ)² + (Γ dF)²)."""
    if not rule.uncertainty_sds:
        return 0.0
    by_forward = facts.net_gamma * facts.spot * rule.forward_error
    sd = math.hypot(facts.legs.vanna() * rule.vol_error, by_forward)
    return rule.uncertainty_sds * rule.hedge_ratio * sd
