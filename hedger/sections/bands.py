"""The bands of a desk as its configuration has them: fixed, or as wide as hedging costs.

Every row's table may say its target, hedge ratio and what widens or tightens it; `width` says what the band
follows. Only delta has widths that follow the cost: what they weigh is the cost of moving delta.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator, Field, ValidatorFunctionWrapHandler, WrapValidator, model_validator

from hedger.sections.section import ConfigInterval, Number, RiskAversion, Section, Whole
from risk.band_rules import RowRule, WidthRule
from risk.band_schedule import BeforeExpiry, DayWindow, Regime
from risk.bands import BandSpec
from risk.interval_words import END_MAX

#: What stands in for a delta band whose cost is not known, and where no desk says otherwise, USD.
DELTA_USD_DEFAULT = (100_000.0, 50_000.0)

_CLOCK = re.compile(r"(?:([01][0-9]|2[0-3]):([0-5][0-9])|(24):(00))", re.ASCII)
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DayName = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


def _minutes(text: str) -> int:
    """Minutes of the day of "HH:MM"."""
    hour, minute = text.split(":")
    return 60 * int(hour) + int(minute)


def _clock(text: str) -> str:
    if not _CLOCK.fullmatch(text):
        raise ValueError("a time of the day as HH:MM, UTC, 00:00 to 24:00")
    return text


ClockTime = Annotated[str, AfterValidator(_clock)]
Positive = Annotated[Number, Field(gt=0, allow_inf_nan=False)]


class WindowConfig(Section):
    """Hours of the UTC day in which a band is another; over midnight where `end` comes before `begin`."""

    begin: ClockTime
    end: ClockTime
    factor: Positive
    days: tuple[DayName, ...] = ()

    @model_validator(mode="after")
    def _sensible(self) -> WindowConfig:
        self.window()
        return self

    def window(self) -> DayWindow:
        """The window for `risk.band_schedule`."""
        days = frozenset(_DAYS.index(day) for day in self.days)
        return DayWindow(_minutes(self.begin), _minutes(self.end), self.factor, days)


class BeforeExpiryConfig(Section):
    """Hours before an option held expires in which a band is another."""

    hours: Positive
    factor: Positive


class RegimeConfig(Section):
    """Bands that follow realised over implied vol: (realised / implied)^power, within bounds."""

    window_h: Positive = 168.0
    power: Number = Field(default=1.0, ge=-4, le=4)
    lower: Positive = 0.5
    upper: Positive = 2.0
    hysteresis: Number = Field(default=0.1, ge=0, le=1)
    returns_min: Whole = Field(default=12, ge=2)

    @model_validator(mode="after")
    def _sensible(self) -> RegimeConfig:
        self.regime()
        return self

    def regime(self) -> Regime:
        """The regime for `risk.band_schedule`."""
        return Regime(self.window_h, self.power, self.lower, self.upper, self.hysteresis, self.returns_min)


class RowBandConfig(Section):
    """What every row's band may say. target in the unit of the key; hedge_ratio: README, "Bands"."""

    target: Number = Field(default=0.0, ge=-END_MAX, le=END_MAX)
    hedge_ratio: Number = Field(default=1.0, ge=0, le=1)
    regime: RegimeConfig | None = None
    windows: tuple[WindowConfig, ...] = ()
    before_expiry: tuple[BeforeExpiryConfig, ...] = ()

    def _common(self) -> dict[str, Any]:
        """Keys of `RowRule` that every row has."""
        return {
            "hedge_ratio": self.hedge_ratio,
            "regime": None if self.regime is None else self.regime.regime(),
            "windows": tuple(window.window() for window in self.windows),
            "before_expiry": tuple(BeforeExpiry(x.hours, x.factor) for x in self.before_expiry),
        }

    def rule(self) -> RowRule:
        """The rule for `risk.band_rules`."""
        return RowRule(**self._common())


class BandConfig(RowBandConfig):
    """A fixed band: distances from the target, in the unit of the key that holds it; an open side is left
    out."""

    width: Literal["fixed"] = "fixed"
    trigger: ConfigInterval
    landing: ConfigInterval

    @model_validator(mode="after")
    def _sensible(self) -> BandConfig:
        """Landing inside trigger, and no end so far out that it only looks closed."""
        for end in (*self.trigger, *self.landing):
            if np.isfinite(end) and abs(end) > END_MAX:
                raise ValueError(f"an end beyond {END_MAX:g} is open: leave it out")
        self.spec()
        return self

    def spec(self) -> BandSpec:
        """The band for `risk.bands`."""
        return BandSpec(self.target, self.trigger, self.landing)


class UncertainDelta(RowBandConfig):
    """A delta may be hedged beyond the whole, and its band is not narrower than what is not known of it."""

    hedge_ratio: Number = Field(default=1.0, ge=0, le=1.5)
    uncertainty_sds: Number = Field(default=0.0, ge=0, le=10)

    def _common(self) -> dict[str, Any]:
        return super()._common() | {"uncertainty_sds": self.uncertainty_sds}


class DeltaBandConfig(UncertainDelta, BandConfig):
    """A fixed delta band."""


class CostAwareConfig(UncertainDelta):
    """What the delta bands that follow the cost have in common."""

    uncertainty_sds: Number = Field(default=2.0, ge=0, le=10)
    cost_rate_bps: Number | None = Field(default=None, ge=0, le=1e4)
    vol: Number | None = Field(default=None, gt=0, le=10)

    def spec(self) -> BandSpec:
        """What stands in where the width is not known."""
        trigger, landing = DELTA_USD_DEFAULT
        return BandSpec(self.target, (-trigger, trigger), (-landing, landing))

    def _common(self) -> dict[str, Any]:
        rate = math.nan if self.cost_rate_bps is None else self.cost_rate_bps * 1e-4
        return super()._common() | {"cost_rate": rate, "vol": math.nan if self.vol is None else self.vol}


class RiskAversionConfig(CostAwareConfig):
    """A delta band by risk aversion, per USD."""

    width: Literal["whalley_wilmott", "zakamouline"]
    risk_aversion: RiskAversion

    def rule(self) -> RowRule:
        """The rule for `risk.band_rules`."""
        return RowRule(WidthRule(self.width), risk_aversion=self.risk_aversion, **self._common())


class RiskBudgetConfig(CostAwareConfig):
    """A delta band whose mis-hedge costs at most so many USD a day at one sigma."""

    width: Literal["risk_budget"]
    error_usd_per_day: Positive

    def rule(self) -> RowRule:
        """The rule for `risk.band_rules`."""
        return RowRule(WidthRule.RISK_BUDGET, error_usd_per_day=self.error_usd_per_day, **self._common())


class _Width(Section):
    """The key that says which of the delta bands a table is."""

    model_config = Section.model_config | {"extra": "ignore"}

    width: Literal["fixed", "whalley_wilmott", "zakamouline", "risk_budget"] = "fixed"


def _by_width(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    """The table as the model its `width` names, so that a fault is that of the band that was meant."""
    if not isinstance(value, Mapping):
        return value if isinstance(value, UncertainDelta) else DeltaBandConfig.model_validate(value)
    models: dict[str, type[UncertainDelta]] = {"fixed": DeltaBandConfig, "risk_budget": RiskBudgetConfig}
    return models.get(_Width.model_validate(value).width, RiskAversionConfig).model_validate(value)


DeltaBand = Annotated[DeltaBandConfig | RiskAversionConfig | RiskBudgetConfig, WrapValidator(_by_width)]


BucketName = Literal["0-7d", "7-30d", "30-90d", "90-180d", "180d+"]


class UnderlyingBandsConfig(Section):
    """Bands of one underlying; a row without a key has no band."""

    delta_usd: DeltaBand | None = None
    gamma_usd_per_1pct: BandConfig | None = None
    vega_usd_per_point: BandConfig | None = None
    gamma_expiring_usd_per_1pct: BandConfig | None = None
    vega_weighted_usd_per_point: BandConfig | None = None
    theta_usd_per_day: BandConfig | None = None
    vega_bucket_multiple: Number | None = Field(default=None, gt=0, allow_inf_nan=False)
    vega_buckets_usd_per_point: dict[BucketName, BandConfig] = Field(default_factory=dict)
