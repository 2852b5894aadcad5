"""When bands widen or tighten: by hour of the day, before an expiry, and with realised over implied vol.

Factors on a band's half widths. Of windows that overlap the smallest factor counts; those of the day, of the
expiries and of the vol multiply.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pricing.daycount import NS_PER_SECOND, SECONDS_PER_DAY, years_between
from pricing.universe import FloatArray, IntArray

MINUTES_PER_DAY = 1440
#: 1970-01-01 was a Thursday; Monday is 0.
_WEEKDAY_OF_EPOCH = 3


@dataclass(frozen=True, slots=True)
class DayWindow:
    """Minutes of the UTC day [begin, end), over midnight where end < begin, on the days they begin on.

    days: 0 Monday .. 6 Sunday; empty: every day.
    """

    begin: int
    end: int
    factor: float
    days: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        if (
            not (0 <= self.begin < MINUTES_PER_DAY and 0 < self.end <= MINUTES_PER_DAY)
            or self.begin == self.end
        ):
            raise ValueError(f"begin and end must be two times of the day: {self.begin}, {self.end} minutes")
        if not 0 < self.factor < math.inf or not self.days <= set(range(7)):
            raise ValueError(f"factor must be positive, days 0 to 6: {self}")

    def holds(self, now_ns: int) -> bool:
        """Whether a stamp lies in the window.

        >>> night = DayWindow(22 * 60, 6 * 60, 2.0)
        >>> night.holds(23 * 3600 * 10**9), night.holds(6 * 3600 * 10**9)
        (True, False)
        """
        day, second = divmod(now_ns // NS_PER_SECOND, SECONDS_PER_DAY)
        minute = second // 60
        if self.begin < self.end:
            return self.begin <= minute < self.end and self._on(day)
        return (minute >= self.begin and self._on(day)) or (minute < self.end and self._on(day - 1))

    def _on(self, day: int) -> bool:
        return not self.days or (day + _WEEKDAY_OF_EPOCH) % 7 in self.days


@dataclass(frozen=True, slots=True)
class BeforeExpiry:
    """From so many hours before an option held on the underlying expires until it does."""

    hours: float
    factor: float

    def __post_init__(self) -> None:
        if not (0 < self.hours < math.inf and 0 < self.factor < math.inf):
            raise ValueError(f"hours and factor must be positive: {self}")


@dataclass(frozen=True, slots=True)
class Regime:
    """(realised vol over implied vol)^power, kept within [lower, upper].

    power > 0 widens a band when the coin moves more than its options say, power < 0 tightens it. window_h:
    hours of index that the realised vol is taken from; with fewer than `returns_min` moves in it, or spread
    over less than half of it, it is unknown. hysteresis: the factor in force stays until the new one differs
    from it by this share.
    """

    window_h: float = 168.0
    power: float = 1.0
    lower: float = 0.5
    upper: float = 2.0
    hysteresis: float = 0.1
    returns_min: int = 12

    def __post_init__(self) -> None:
        if not (
            0 < self.window_h < math.inf and math.isfinite(self.power) and 0 <= self.hysteresis < math.inf
        ):
            raise ValueError(f"window_h must be positive, hysteresis at least 0: {self}")
        if not 0 < self.lower <= self.upper < math.inf:
            raise ValueError(f"lower {self.lower:g} must be positive and not exceed upper {self.upper:g}")
        if self.returns_min < 2:
            raise ValueError(f"returns_min {self.returns_min} must be at least 2")


@dataclass(frozen=True, slots=True, eq=False)
class PriceHistory:
    """Past index prices of an underlying, oldest first: stamps (k,) ns and USD (k,), NaN where unknown."""

    time_ns: IntArray
    price: FloatArray

    def until(self, now_ns: int) -> PriceHistory:
        """What was known at a time."""
        known = int(np.searchsorted(self.time_ns, now_ns, side="right"))
        return PriceHistory(self.time_ns[:known], self.price[:known])


#: Nothing is known of any underlying's index before now.
NO_HISTORY: Mapping[str, PriceHistory] = {}


@dataclass(frozen=True, slots=True)
class Scale:
    """Factor on the half widths; `regime` is the part that the next mark must know, NaN without one."""

    factor: float = 1.0
    regime: float = math.nan
    why: tuple[str, ...] = ()


def realised_vol(history: PriceHistory | None, now_ns: int, regime: Regime) -> float:
    """Realised vol a year over the window up to now: sqrt(sum of squared log returns / years they span).

    NaN where the history is too short or too thin. What lies after `now_ns` is not looked at.
    """
    if history is None:
        return math.nan
    stamps, index = history.time_ns, history.price
    oldest = now_ns - round(regime.window_h * 3600) * NS_PER_SECOND
    known = (stamps >= oldest) & (stamps <= now_ns) & (index > 0) & np.isfinite(index)
    stamps, index = stamps[known], index[known]
    if stamps.size <= regime.returns_min:
        return math.nan
    years = float(years_between(stamps[0], stamps[-1]))
    if years < 0.5 * float(years_between(oldest, now_ns)):
        return math.nan
    returns = np.diff(np.log(index))
    return math.sqrt(float(returns @ returns) / years)


def regime_factor(regime: Regime, realised: float, implied: float, before: float = math.nan) -> float:
    """The factor now, given the one in force before (NaN: none); NaN where a vol is unknown.

    >>> r = Regime(hysteresis=0.1)
    >>> regime_factor(r, 0.66, 0.60, before=1.05), regime_factor(r, 0.90, 0.60, before=1.05)
    (1.05, 1.5)
    """
    if not (realised > 0 and implied > 0):
        return math.nan
    raw = min(max(math.exp(regime.power * math.log(realised / implied)), regime.lower), regime.upper)
    if not math.isfinite(before):
        return raw
    before = min(max(before, regime.lower), regime.upper)
    return before if abs(math.log(raw / before)) < math.log1p(regime.hysteresis) else raw


def scale_of(
    windows: Sequence[DayWindow],
    before_expiry: Sequence[BeforeExpiry],
    regime: Regime | None,
    now_ns: int,
    hours_to_expiry: float,
    vols: tuple[float, float] = (math.nan, math.nan),
    before: float = math.nan,
) -> Scale:
    """The product of what the day, the nearest expiry and the vol say.

    Args:
        hours_to_expiry: of the option held that expires next; inf without one. vols: realised and implied,
            NaN where unknown. before: the regime's factor in force.

    >>> scale_of((), (BeforeExpiry(24.0, 0.5), BeforeExpiry(6.0, 0.25)), None, 0, 5.0).factor
    0.25
    """
    factor, said = 1.0, []
    day = [window.factor for window in windows if window.holds(now_ns)]
    if day:
        factor *= min(day)
        said.append(f"hour of the day x{min(day):g}")
    near = [x.factor for x in before_expiry if 0 <= hours_to_expiry <= x.hours]
    if near:
        factor *= min(near)
        said.append(f"expiry in {hours_to_expiry:.1f} h x{min(near):g}")
    if regime is None:
        return Scale(factor, why=tuple(said))
    realised, implied = vols
    now = regime_factor(regime, realised, implied, before)
    if math.isnan(now):
        lack = "too little index history" if math.isnan(realised) else "implied vol unknown"
        return Scale(factor, why=(*said, f"vol regime not applied: {lack}"))
    said.append(f"realised {realised:.0%} over implied {implied:.0%} x{now:.3g}")
    return Scale(factor * now, now, tuple(said))
