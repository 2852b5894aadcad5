"""What every part of the configuration is made of: frozen sections, numbers and intervals as written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, Strict

from risk.bands import Interval

#: A number as TOML has it: neither "60" in quotes nor true counts as one.
Number = Annotated[float, Strict()]
Whole = Annotated[int, Strict()]

#: Per USD. What lies beyond is no opinion on risk, and ends in numbers that mean nothing.
RiskAversion = Annotated[float, Strict(), Field(ge=1e-15, le=1e3)]
#: What risk costs unless the desk says otherwise, per USD: half of it times the variance of the P&L.
RISK_AVERSION = 1e-6


class Section(BaseModel):
    """A part of the configuration: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class IntervalTable(Section):
    """How an interval with an open side is written: the side is left out."""

    lower: Number | None = None
    upper: Number | None = None


def _interval(value: Any) -> Any:
    """[low, high]; or a table with `lower` and `upper`, where a side left out is open."""
    if isinstance(value, Mapping) and set(value) <= {"lower", "upper"}:
        value = [value.get("lower"), value.get("upper")]
    if isinstance(value, list | tuple) and len(value) == 2:
        low, high = value
        return (float("-inf") if low is None else low, float("inf") if high is None else high)
    return value


def _open_is_none(interval: Interval) -> list[float | None]:
    return [float(x) if np.isfinite(x) else None for x in interval]


ConfigInterval = Annotated[
    tuple[Number, Number],
    BeforeValidator(_interval, json_schema_input_type=tuple[Number | None, Number | None] | IntervalTable),
    PlainSerializer(_open_is_none, return_type=list[float | None]),
]
