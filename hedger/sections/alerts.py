"""Whom `hedger alerts` tells, and when: the keys of `[alerts]`. Pure data, and no secret is ever in it.

The address of a sink holds its password or token: it is named by reference, as a venue's keys are.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from hedger.sections.section import Number, Section
from hedger.sections.venues import SecretReference


class SinkConfig(Section):
    """One place that is told. url: where its address lies (an apprise URL). severity_min: what it is not
    bothered below; well: whether it also gets the "all well"."""

    url: SecretReference = Field(min_length=1)
    severity_min: Literal["note", "warning", "critical"] = "warning"
    well: bool = True


class AlertsConfig(Section):
    """When people are told. again_min: minutes until the same is told again; well_h: hours between two words
    that all is well, 0: none. silent_s_max, marks_s_max, disk_mb_min: what a sign of life, the marks and the
    disk are held against, 0: not watched. unexplained: the P&L is taken apart here as well, by `[pnl]`.
    """

    sinks: tuple[SinkConfig, ...] = Field(default=(), max_length=16)
    every_s: Number = Field(default=1.0, ge=0.05, le=60)
    again_min: Number = Field(default=30.0, gt=0, le=10_080)
    well_h: Number = Field(default=12.0, ge=0, le=168)
    silent_s_max: Number = Field(default=10.0, ge=0, le=3600)
    marks_s_max: Number = Field(default=60.0, ge=0, le=86_400)
    disk_mb_min: Number = Field(default=1000.0, ge=0, le=1e9)
    unexplained: bool = True
    send_s_max: Number = Field(default=15.0, gt=0, le=300)
    retry_s: Number = Field(default=5.0, gt=0, le=3600)
    retry_s_max: Number = Field(default=300.0, gt=0, le=86_400)

    @model_validator(mode="after")
    def _ordered(self) -> AlertsConfig:
        if self.retry_s > self.retry_s_max:
            raise ValueError(f"retry_s {self.retry_s:g} must not exceed retry_s_max {self.retry_s_max:g}")
        return self
