"""Bands: per exposure row a target, a trigger interval and a landing interval.

A row is breached when it leaves its trigger interval; a plan must then bring it inside its landing
interval, and keep every row that is not breached inside its trigger interval.

Here are bands as numbers, the fixed ones of the desk. Widths that follow what hedging costs are formulas of
`risk.band_widths` (`whalley_wilmott` and `landing` also by this module's name); what moves, scales and floors
a band is in `risk.band_rules`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from pricing.errors import InputError
from pricing.universe import BoolArray, FloatArray
from pricing.valuation import Numeraire
from risk.band_widths import landing as landing
from risk.band_widths import whalley_wilmott as whalley_wilmott

Interval = tuple[float, float]
OPEN: Interval = (-np.inf, np.inf)


@dataclass(frozen=True, slots=True)
class BandSpec:
    """A band in the desk's terms: distances from `target`; +-inf is an open side.

    The landing interval holds the target and lies inside the trigger interval.
    """

    target: float = 0.0
    trigger: Interval = OPEN
    landing: Interval = OPEN

    def __post_init__(self) -> None:
        (outer_low, outer_high), (low, high) = self.trigger, self.landing
        if not math.isfinite(self.target) or any(map(math.isnan, (*self.trigger, *self.landing))):
            raise ValueError(f"target, trigger and landing must be numbers: {self}")
        if not low <= 0.0 <= high:
            raise ValueError(f"landing {low:g}, {high:g} must hold the target (distance 0)")
        for outer, inner, side in ((-outer_low, -low, "lower"), (outer_high, high, "upper")):
            if outer < math.inf and not inner < outer:
                raise ValueError(f"landing must lie inside trigger: {side} side {inner:g} against {outer:g}")

    def scaled(self, factor: float) -> BandSpec:
        """The same band in another unit (factor > 0)."""
        trigger = (self.trigger[0] * factor, self.trigger[1] * factor)
        return BandSpec(self.target * factor, trigger, (self.landing[0] * factor, self.landing[1] * factor))


@dataclass(frozen=True, slots=True)
class UnderlyingBands:
    """Bands of one underlying in the desk's units; None = the row has no band.

    delta_usd: USD. gamma_usd_per_1pct: change of delta_usd for a 1 % move. vega_usd_per_point: USD per
    vol point, total; each tenor bucket has its own of `vega_buckets_usd_per_point`, by its name, else
    `vega_bucket_multiple` times the total's interval around 0.
    """

    delta_usd: BandSpec | None = None
    gamma_usd_per_1pct: BandSpec | None = None
    vega_usd_per_point: BandSpec | None = None
    gamma_expiring_usd_per_1pct: BandSpec | None = None
    vega_weighted_usd_per_point: BandSpec | None = None
    theta_usd_per_day: BandSpec | None = None
    vega_bucket_multiple: float | None = None
    vega_buckets_usd_per_point: Mapping[str, BandSpec] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Bands:
    """Bands in the rows' own units, absolute, (m,) each; +-inf where a side is open or there is no band."""

    target: FloatArray
    trigger_lower: FloatArray
    trigger_upper: FloatArray
    landing_lower: FloatArray
    landing_upper: FloatArray

    @property
    def banded(self) -> BoolArray:
        """Rows with at least one closed side, (m,)."""
        return np.isfinite(self.trigger_lower) | np.isfinite(self.trigger_upper)

    def breached(self, value: FloatArray) -> BoolArray:
        """Rows outside their trigger interval, (m,). On the edge is inside."""
        return (value < self.trigger_lower) | (value > self.trigger_upper)

    def required(self, value: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Interval in which each row must end: landing where breached, trigger otherwise; (m,), (m,)."""
        breached = self.breached(value)
        lower = np.where(breached, self.landing_lower, self.trigger_lower)
        return lower, np.where(breached, self.landing_upper, self.trigger_upper)

    def with_row(self, row: int, trigger: Interval, landing: Interval) -> Bands:
        """The same bands with one row's intervals replaced, absolute, in the row's unit; its target is 0
        where that lies inside the landing interval, else the landing's nearest edge."""
        target = target_of(landing)
        offsets = (trigger[0] - target, trigger[1] - target), (landing[0] - target, landing[1] - target)
        BandSpec(target, *offsets)
        columns = {name: getattr(self, name).copy() for name in Bands.__slots__}
        new = (target, *trigger, *landing)
        for name, number in zip(Bands.__slots__, new, strict=True):
            columns[name][row] = number
        return replace(self, **columns)


def target_of(landing: Interval) -> float:
    """Where a band that is given by its edges alone is steered to: 0, or the landing's end nearest to it.

    >>> target_of((-1.0, 1.0)), target_of((2.0, 3.0)), target_of((-3.0, -2.0))
    (0.0, 2.0, -2.0)
    """
    return min(max(0.0, landing[0]), landing[1])


def row_factor(greek: str, spot: float, numeraire: Numeraire) -> float:
    """Row units per desk unit: how a band in USD becomes a band on a row.

    With index S: delta_usd = delta S. gamma_usd_per_1pct = gamma S^2 / 100 (coin numeraire: gamma S / 100).
    vega_usd_per_point = vega / 100 (coin: vega S / 100). theta_usd_per_day = theta / 365 (coin: times S). The
    P&L of a scenario is in USD already (coin: times S).

    >>> row_factor("gamma", 50_000.0, Numeraire.USD) * 25_000_000.0
    1.0
    """
    in_coin = numeraire is Numeraire.COIN
    if greek == "delta":
        return 1.0 / spot
    if greek == "pnl":
        return 1.0 / spot if in_coin else 1.0
    if greek.startswith("gamma"):
        return 100.0 / spot if in_coin else 100.0 / spot**2
    points = 100.0 if greek.startswith("vega") else 365.0
    return points / spot if in_coin else points


#: The desk's key of each Greek's band.
FIELD_OF_ROW = {
    "delta": "delta_usd",
    "gamma": "gamma_usd_per_1pct",
    "gamma_expiring": "gamma_expiring_usd_per_1pct",
    "vega": "vega_usd_per_point",
    "vega_weighted": "vega_weighted_usd_per_point",
    "theta": "theta_usd_per_day",
}


def fixed_bands(
    rows: Sequence[str],
    of_underlying: Mapping[str, UnderlyingBands],
    spot: Mapping[str, float],
    numeraire: Numeraire,
) -> Bands:
    """Bands of every row from the desk's settings.

    Args:
        rows: names as `risk.exposures.row_names`. of_underlying: settings by underlying name.
        spot: index by underlying, USD. numeraire: the rows' numeraire.

    Returns:
        Bands of shape (m,). A row whose index is unknown (NaN) has no band: its exposures are unknown too.
    """
    m = len(rows)
    low, high = np.full(m, -np.inf), np.full(m, np.inf)
    columns = [np.zeros(m), low, high, low.copy(), high.copy()]
    for i, name in enumerate(rows):
        greek, underlying, *bucket = name.split(":")
        settings, index = of_underlying[underlying], spot[underlying]
        spec: BandSpec | None = getattr(settings, FIELD_OF_ROW[greek])
        if bucket:
            multiple = settings.vega_bucket_multiple
            spec = None if spec is None or multiple is None else replace(spec.scaled(multiple), target=0.0)
            spec = settings.vega_buckets_usd_per_point.get(bucket[0], spec)
        if spec is None or not math.isfinite(index):
            continue
        spec = spec.scaled(row_factor(greek, index, numeraire))
        offsets = (0.0, *spec.trigger, *spec.landing)
        for column, offset in zip(columns, offsets, strict=True):
            column[i] = spec.target + offset
    return Bands(*columns)


def check_landing_room(rows: Sequence[str], bands: Bands, lot_step: FloatArray) -> None:
    """Refuse a band whose landing edge is nearer to its trigger edge than one lot of the finest instrument.

    Args:
        rows: names. bands: (m,). lot_step: (m,) smallest exposure step a lot of any instrument makes.

    Raises:
        InputError: names the row, the room and the step.
    """
    for edge, inner in (
        (bands.trigger_lower, bands.landing_lower),
        (bands.trigger_upper, bands.landing_upper),
    ):
        with np.errstate(invalid="ignore"):
            room = np.abs(edge - inner)
        tight = np.isfinite(edge) & np.isfinite(lot_step) & (room < lot_step * (1.0 - 1e-9))
        for i in np.flatnonzero(tight).tolist():
            raise InputError(
                "BAND_TOO_NARROW",
                "landing lies less than a lot inside trigger",
                where=f"band of {rows[i]}",
                observed=f"{room[i]:g}",
                allowed=f"at least {lot_step[i]:g}, one lot of the finest instrument",
                fix="widen trigger or narrow landing",
            )
