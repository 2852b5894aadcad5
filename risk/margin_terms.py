"""Parameters of a venue's margin models, dated values that the shell reads from a table; and what they give.

No number stands in code: venues change them without notice. What is not confirmed for the day in question
still gives a figure, called an estimate; where nothing is known the figure is NaN and the reason is said.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class MarginModel(StrEnum):
    """How a venue reckons an account's margin."""

    STANDARD = "standard"  # every position by itself
    PORTFOLIO = "portfolio"  # the worst cell of a risk matrix


@dataclass(frozen=True, slots=True)
class StandardTerms:
    """Standard margin of one coin: shares of one coin, or of the position's notional.

    futures_initial, futures_maintenance: at no size; per_coin: added for each coin of the position.
    option_initial, option_initial_min, option_maintenance: of options sold (`risk.standard_margin`).
    """

    futures_initial: float
    futures_maintenance: float
    per_coin: float
    option_initial: float
    option_initial_min: float
    option_maintenance: float
    confirmed: bool
    source: str


@dataclass(frozen=True, slots=True)
class MatrixTerms:
    """Portfolio margin of one coin (`risk.risk_matrix`); moves, ranges and shares as fractions of 1.

    price_range: largest move of the table, in `buckets` steps to each side. vol_range_up, vol_range_down: at
    30 days; vol_up_min: vol whose shock up is the least. extended_moves: of the extended table, its option
    P&L times price_range / |move| times extended_factor, of which dampener_usd is let off. roll_min,
    roll_per_year: of each expiry's delta. delta_threshold_usd: above it delta_shock_max of the rest is added.
    """

    price_range: float
    buckets: int
    vol_range_up: float
    vol_range_down: float
    vol_up_min: float
    power_short: float
    power_long: float
    extended_moves: tuple[float, ...]
    extended_factor: float
    dampener_usd: float
    roll_min: float
    roll_per_year: float
    delta_threshold_usd: float
    delta_shock_max: float
    maintenance_factor: float
    confirmed: bool
    source: str


@dataclass(frozen=True, slots=True)
class MarginTerms:
    """Both models of a venue on one day, by coin. note: why standard margin is but an estimate, "" if not."""

    venue: str
    standard: Mapping[str, StandardTerms] = field(default_factory=dict)
    matrix: Mapping[str, MatrixTerms] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True, slots=True)
class Margin:
    """What an account must hold in one settlement currency, and whether that is proven.

    initial, maintenance: in that currency; NaN is unknown, never 0. reasons: why it is unknown, or only an
    estimate; empty where proven.
    """

    currency: str
    initial: float
    maintenance: float
    reasons: tuple[str, ...] = ()

    @property
    def known(self) -> bool:
        """Whether there is a figure at all."""
        return math.isfinite(self.initial) and math.isfinite(self.maintenance)

    @property
    def proven(self) -> bool:
        """Whether the figure is known to be the venue's own."""
        return self.known and not self.reasons


def unknown_margin(currency: str, reason: str) -> Margin:
    """No figure, and why."""
    return Margin(currency, math.nan, math.nan, (reason,))
