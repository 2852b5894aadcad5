"""What a plan minimises: its cost alone, or cost and risk together; and how risk is measured.

Sections of the configuration; the defaults are cost mode, in which nothing here but `lean_spot_vol` counts.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, Strict

from hedger.sections.section import RISK_AVERSION, Number, RiskAversion, Section
from risk.factor_history import FactorSettings
from risk.factors import JumpSettings

Flag = Annotated[bool, Strict()]


class Mode(StrEnum):
    """What a plan minimises."""

    COST = "cost"  # the cheapest plan that brings rows into their intervals
    UTILITY = "utility"  # amortised cost plus the price of the risk left, rows staying inside their triggers


class JumpConfig(Section):
    """A jump of every underlying at once, up or down; size 0: none."""

    size: Number = Field(default=0.08, ge=0, lt=1)
    per_day_probability: Number = Field(default=0.01, ge=0, le=1)

    def settings(self) -> JumpSettings:
        """As `risk.factors` takes it."""
        return JumpSettings(self.size, self.per_day_probability)


class ObjectiveConfig(Section):
    """Cost or utility, and the prices of utility. horizon_h: hours that a delta hedge carries risk; left out:
    as under the band that is optimal for this risk aversion, (2/3) w^2 / s2."""

    mode: Mode = Mode.COST
    risk_aversion: RiskAversion = RISK_AVERSION
    horizon_h: Number | None = Field(default=None, gt=0, le=8760)
    horizon_h_min: Number = Field(default=6.0, gt=0, le=8760)
    option_holding_days: Number = Field(default=7.0, gt=0, le=365)
    lean_spot_vol: Flag = False
    jump: JumpConfig = JumpConfig()

    @property
    def looks_back(self) -> bool:
        """Whether where the risk factors stood before matters."""
        return self.mode is Mode.UTILITY or self.lean_spot_vol


class RiskTermConfig(Section):
    """How the covariance of risk factors is estimated, and what stands in for a history that is not there."""

    step_h: Number = Field(default=24.0, gt=0, le=720)
    halflife_days: Number = Field(default=20.0, gt=0, le=3650)
    window_days: Number = Field(default=90.0, gt=0, le=3650)
    prior_days: Number = Field(default=10.0, gt=0, le=3650)
    vol: Number = Field(default=0.6, gt=0, le=5)
    vol_points_per_day: Number = Field(default=3.0, gt=0, le=100)
    slope_points_per_day: Number = Field(default=2.0, gt=0, le=100)
    correlation: Number = Field(default=0.7, ge=0, lt=1)

    def settings(self) -> FactorSettings:
        """As `risk.factor_history` takes it."""
        return FactorSettings(**self.model_dump())
