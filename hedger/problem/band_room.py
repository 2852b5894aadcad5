"""Bands that no lot lands in: landing, and its room to the trigger, against the smallest trade of each row.

A hedge brings a row from outside its trigger to its landing, and lots bring it there to within one of them.
Where landing and trigger lie nearer than that, what was hedged may be outside again at once, without end. A
landing narrower than a lot is stepped over, unless lots of one listing lead into it from where the row is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hedger.problem.hedge_universe import hedge_universe
from hedger.problem.snapshot import Snapshot
from hedger.settings import Settings
from pricing.universe import BoolArray, FloatArray, IntArray
from risk.bands import Interval

#: Room for rounding, as a share of the lot.
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Tight:
    """A row whose band is too narrow. room: from landing to trigger, the lesser of both sides, or where
    `landing` is meant its width; lot: what the smallest trade of `symbol` does to the row, the least of all
    that would hedge it; both in the row's unit."""

    row: str
    unit: str
    room: float
    lot: float
    symbol: str
    landing: bool = False

    @property
    def words(self) -> str:
        """Observed, allowed and the way out.

        >>> Tight("delta:BTC", "coin", 0.0, 0.0002, "BTC_USDC", landing=True).words
        'landing 0 coin wide; allowed: at least 0.0002, the smallest trade of BTC_USDC; widen the landing'
        """
        least = f"at least {self.lot:.6g}, the smallest trade of {self.symbol}"
        if self.landing:
            return f"landing {self.room:z.6g} {self.unit} wide; allowed: {least}; widen the landing"
        way = "widen the trigger or narrow the landing"
        return f"landing to trigger {self.room:z.6g} {self.unit}; allowed: {least}; {way}"


def trade_effects(snapshot: Snapshot, settings: Settings) -> tuple[FloatArray, BoolArray, IntArray]:
    """What the smallest trade of each listing that may be traded does to each row, (m, k); which of them are
    options, (k,); their places, (k,)."""
    exposure, universe = snapshot.exposure, snapshot.market.universe
    tradable, _ = hedge_universe(snapshot, settings)
    smallest = np.maximum(universe.lot, universe.minimum)[tradable]
    return np.abs(exposure.traded[:, tradable]) * smallest, universe.is_option[tradable], tradable


def too_tight(
    snapshot: Snapshot, settings: Settings, row: str, trigger: Interval, landing: Interval
) -> Tight | None:
    """Why a band of a row would be hedged without end; None where it would not, or nothing quoted tells."""
    found = _tight(snapshot, settings, {row: (trigger, landing)})
    return found[0] if found else None


def tight_bands(snapshot: Snapshot, settings: Settings) -> tuple[Tight, ...]:
    """Every band in force that is too narrow."""
    bands, rows = snapshot.bands, snapshot.exposure.rows
    chosen = {
        rows[i]: (
            (float(bands.trigger_lower[i]), float(bands.trigger_upper[i])),
            (float(bands.landing_lower[i]), float(bands.landing_upper[i])),
        )
        for i in np.flatnonzero(bands.banded).tolist()
    }
    return _tight(snapshot, settings, chosen)


def _tight(
    snapshot: Snapshot, settings: Settings, chosen: dict[str, tuple[Interval, Interval]]
) -> tuple[Tight, ...]:
    effects, option, places = trade_effects(snapshot, settings)
    found = []
    for row, (trigger, landing) in chosen.items():
        at = snapshot.exposure.rows.index(row)
        closed = [abs(x - y) for x, y in zip(trigger, landing, strict=True) if np.isfinite(x)]
        moving = np.where(effects[at] > 0, effects[at], np.inf)
        linear = np.where(option, np.inf, moving)  # options far out move delta by next to nothing
        moving = linear if np.isfinite(linear).any() else moving
        if not closed or not np.isfinite(moving).any():
            continue
        finest = int(np.argmin(moving))
        room, lot = min(closed), float(moving[finest])
        wide, value = landing[1] - landing[0], float(snapshot.exposure.value[at])
        narrow = room < lot * (1.0 - ROUNDING)
        over = wide < lot * (1.0 - ROUNDING) and not _lands(value, landing, moving[np.isfinite(moving)])
        if narrow or over:
            unit = snapshot.exposure.units[at]
            symbol = snapshot.market.universe.listings[places[finest]].symbol
            found.append(Tight(row, unit, room if narrow else wide, lot, symbol, landing=not narrow))
    return tuple(found)


def _lands(value: float, landing: Interval, steps: FloatArray) -> bool:
    """Whether steps of one size lead from a value into the landing."""
    low, high = landing[0] - ROUNDING * steps, landing[1] + ROUNDING * steps
    return bool((value + np.ceil((low - value) / steps) * steps <= high).any())
