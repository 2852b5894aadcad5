"""What the simulated venue lists, and the order books it shows: calendar, strikes, ladders.

Contracts and expiry times follow Deribit's coin-settled ones; fees, ticks and lots stand in the venue table
`venues/tables/simulated.toml`, sizes and spreads here. Books are built for all listings at
once; a price is a whole number of ticks divided by a power of ten, so it is the float nearest to the decimal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pricing.contracts import Contract, Future, Option, Perpetual, Right, Spot
from pricing.daycount import NS_PER_SECOND
from pricing.market import Depth
from pricing.universe import FloatArray, IntArray, Universe

VENUE = "simulated"
EXPIRY_HOUR = 8  # UTC
FRIDAY = 4

#: Targets up to this many days become daily expiries, up to the second weekly ones, beyond monthly ones.
DAILY_DAYS_MAX = 3.5
WEEKLY_DAYS_MAX = 27.0

#: A price this close to a tick, in ticks, is on it. Marks have 8 decimals: nothing real comes so near.
TICK_SLACK = 1e-9


@dataclass(frozen=True, slots=True)
class CoinBooks:
    """How one coin's chain and books are laid out.

    strike_step_min: USD, see `strikes`.
    *_size: typical size of the first level in calm: options and spot in coins, perpetual and futures in USD.
    option_half_scale: multiplies the half-spread of this coin's options; 1 = as in `BookSettings`.
    """

    strike_step_min: float
    option_size: float
    perp_size: float
    future_size: float
    spot_size: float
    option_half_scale: float = 1.0


BTC_BOOKS = CoinBooks(
    strike_step_min=500.0, option_size=12.0, perp_size=400_000.0, future_size=100_000.0, spot_size=2.0
)
ETH_BOOKS = CoinBooks(
    strike_step_min=10.0,
    option_size=120.0,
    perp_size=200_000.0,
    future_size=50_000.0,
    spot_size=40.0,
    option_half_scale=1.4,
)


@dataclass(frozen=True, slots=True)
class BookSettings:
    """The shape of the books. Widths are half-spreads around the mark in calm.

    vol_half: half-spread of an at-the-money option with 30 days to live, vol (0.002 = 0.2 points); it grows
    with years^-1/2, which keeps the width in coin level, and by (1 + wing z^2), z in standard deviations.
    vol_half_min: its floor. itm_half: added half-spread, coin, per quarter of delta beyond a half.
    perp_half, future_half, spot_half: fractions of the mark. level_gap: distance of levels in half-spreads.
    profile: size of each level against the first. size_noise: sd of the log of a size.
    width_noise: a half-spread is scattered uniformly by this fraction to both sides.
    wing_size: size of far options against those at the money.
    widen, thin: in stress s half-spreads are (1 + widen s) times as wide, sizes 1/(1 + thin s).
    Rounding outward to ticks comes on top. Defaults fitted by eye to Deribit's chains of February 2026,
    option sizes to its books of 2020-09-12.
    """

    vol_half: float = 0.0022
    vol_half_min: float = 0.0025
    wing: float = 0.1
    itm_half: float = 0.0012
    perp_half: float = 5e-6
    future_half: float = 1.5e-4
    spot_half: float = 1e-4
    level_gap: float = 0.6
    profile: tuple[float, ...] = (1.0, 1.3, 1.6, 2.0, 2.5)
    size_noise: float = 0.35
    width_noise: float = 0.15
    wing_size: float = 0.25
    widen: float = 0.75
    thin: float = 1.0

    def __post_init__(self) -> None:
        if not self.profile or min(self.profile) <= 0 or not 0 <= self.width_noise < 1:
            raise ValueError(
                f"profile must be positive, width_noise in [0, 1): {self.profile}, {self.width_noise}"
            )


# --------------------------------------------------------------------------------------------- what is listed


def expiries(start_ns: int, tenor_days: Iterable[float]) -> list[int]:
    """Expiries at 08:00 UTC nearest to the targets: any day, then Fridays, then last Fridays of a month.

    Args:
        start_ns: UTC nanoseconds. tenor_days: targets in days, each at least 1.

    Returns:
        Stamps in UTC nanoseconds, rising; targets that fall on one expiry give it once.

    >>> for expiry in expiries(1_772_452_800 * 10**9, (1, 11, 53)):
    ...     print(datetime.fromtimestamp(expiry // 10**9, UTC).isoformat())
    2026-03-03T08:00:00+00:00
    2026-03-13T08:00:00+00:00
    2026-04-24T08:00:00+00:00
    """
    start = datetime.fromtimestamp(start_ns // NS_PER_SECOND, UTC)
    found = set()
    for days in tenor_days:
        if days < 1:
            raise ValueError(f"a tenor of {days} days: at least 1")
        target = start + timedelta(days=days)
        midnight = target.replace(hour=0, minute=0, second=0)
        around = [midnight + timedelta(days=d, hours=EXPIRY_HOUR) for d in range(-40, 41)]
        if days > WEEKLY_DAYS_MAX:
            around = [t for t in around if t.weekday() == FRIDAY and (t + timedelta(days=7)).month != t.month]
        elif days > DAILY_DAYS_MAX:
            around = [t for t in around if t.weekday() == FRIDAY]
        nearest = min(around, key=lambda t: abs(t - target))
        found.add(int(nearest.timestamp()) * NS_PER_SECOND)
    return sorted(found)


def strikes(forward: float, deviation: float, count: int, width: float, step_min: float) -> list[float]:
    """Round strikes around a forward, even in standard deviations, coarser where the gaps are wide.

    Args:
        forward: USD. deviation: standard deviation of the log price to expiry. count: how many to aim at.
        width: the outermost lie this many deviations away. step_min: USD, the finest step there is.

    >>> strikes(70_000.0, 0.03, 5, 3.0, 500.0)
    [64000.0, 66000.0, 70000.0, 74000.0, 76000.0]
    """
    result = set()
    for z in np.linspace(-width, width, count):
        target = forward * float(np.exp(z * deviation))
        gap = target * deviation * 2.0 * width / max(count - 1, 1)
        decade = 10.0 ** np.floor(np.log10(gap))
        step = max(decade * max((m for m in (1.0, 2.0, 5.0) if m * decade <= gap), default=0.5), step_min)
        result.add(max(round(target / step), 1) * float(step))
    return sorted(result)


def list_contracts(
    coin: str, future_expiries: Sequence[int], option_strikes: Mapping[int, Sequence[float]]
) -> list[Contract]:
    """All contracts on one coin: spot against USDC, inverse perpetual, dated futures, option chain."""
    result: list[Contract] = [Spot(coin, "USDC"), Perpetual(coin, coin, True)]
    result += [Future(coin, coin, True, expiry) for expiry in future_expiries]
    for expiry, chain in option_strikes.items():
        result += [Option(coin, coin, True, expiry, strike, right) for strike in chain for right in Right]
    return result


# ------------------------------------------------------------------------------------------------------ books


class Ladders(NamedTuple):
    """Books of k listings with L levels a side, best first, each (k, L); NaN where there is no such level."""

    bid: FloatArray
    bid_size: FloatArray
    ask: FloatArray
    ask_size: FloatArray

    def depth(self, rows: IntArray) -> dict[int, tuple[Depth, Depth]]:
        """(bids, asks) by position in the universe, empty levels left out."""
        for side in self:
            side.flags.writeable = False
        bids = np.isfinite(self.bid).sum(axis=1).tolist()
        asks = np.isfinite(self.ask).sum(axis=1).tolist()
        return {
            row: (Depth(b[:m], bs[:m]), Depth(a[:n], az[:n]))
            for row, m, n, b, bs, a, az in zip(rows.tolist(), bids, asks, *self, strict=True)
        }


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """Ticks and lots of a universe in whole numbers, columns (n,).

    tick = tick_units / tick_scale is the finest price step; prices above `wide_above` of them move in steps
    of `wide_step` of them. lot = lot_units / lot_scale. Scales are powers of ten.
    """

    tick_units: FloatArray
    tick_scale: FloatArray
    wide_above: FloatArray
    wide_step: FloatArray
    lot_units: FloatArray
    lot_scale: FloatArray

    @classmethod
    def of(cls, universe: Universe) -> Grid:
        """Take ticks and lots apart; at most two tick steps, the second a multiple of the first."""
        columns = []
        for x in universe.listings:
            above, ticks = x.tick_steps.above, x.tick_steps.ticks
            whole = len(ticks) == 1 or (ticks[1] % ticks[0] == 0 and above[1] % ticks[1] == 0)
            if len(ticks) > 2 or not whole:
                raise ValueError(f"{x.symbol}: tick steps {x.tick_steps}: two at most, the second a multiple")
            wide = (
                (float(above[1] / ticks[0]), float(ticks[1] / ticks[0])) if len(ticks) == 2 else (np.inf, 1.0)
            )
            columns.append((*_fraction(ticks[0]), *wide, *_fraction(x.lot)))
        return cls(*np.array(columns, dtype=np.float64).reshape(-1, 6).T.copy())

    def step(self, units: FloatArray) -> FloatArray:
        """Price step that holds at prices given in finest ticks, (n,) or (n, L)."""
        return np.where(units > _like(self.wide_above, units), _like(self.wide_step, units), 1.0)

    def tick(self, price: FloatArray) -> FloatArray:
        """Price step that holds at prices (n,), in the venue's quotation."""
        finest = self.tick_units / self.tick_scale
        return np.asarray(self.step(price / finest) * finest)

    def ladders(self, mark: FloatArray, half: FloatArray, gap: FloatArray, size: FloatArray) -> Ladders:
        """Books around the marks: rounded outward to ticks and lots, so bid < ask and the mark within.

        Args:
            mark: (n,), venue quotation; NaN makes an empty book. half: distance of the touch, bid and ask,
            (n, 2); gap: distance between levels, (n,). size: wanted sizes, order units, (n, 2, L).

        Returns:
            Ladders, (n, L). A bid that would lie below one tick is not there; a size is at least one lot.
        """
        levels = np.arange(size.shape[2], dtype=np.float64)
        per_price = self.tick_scale / self.tick_units
        middle, apart = mark * per_price, gap * per_price
        # half a tick at least: then two touches rounded outward never meet, even around a mark on a tick
        touch = np.maximum(half * per_price[:, None], 0.5 * self.step(middle)[:, None])
        best_bid, best_ask = middle - touch[:, 0], middle + touch[:, 1]
        # levels at least one step apart stay apart when rounded; asks may climb into the wider step
        bid_gap = np.maximum(apart, self.step(middle))
        ask_gap = np.maximum(apart, self.step(best_ask + levels[-1] * np.maximum(apart, 1.0)))
        bid = self._round(best_bid[:, None] - levels * bid_gap[:, None], up=False)
        ask = self._round(best_ask[:, None] + levels * ask_gap[:, None], up=True)
        bid[~(bid >= 1.0)] = np.nan
        lots = np.maximum(np.rint(size * (self.lot_scale / self.lot_units)[:, None, None]), 1.0)
        sizes = lots * self.lot_units[:, None, None] / self.lot_scale[:, None, None]
        return Ladders(
            bid=bid * self.tick_units[:, None] / self.tick_scale[:, None],
            bid_size=np.where(np.isnan(bid), np.nan, sizes[:, 0]),
            ask=ask * self.tick_units[:, None] / self.tick_scale[:, None],
            ask_size=np.where(np.isnan(ask), np.nan, sizes[:, 1]),
        )

    def _round(self, units: FloatArray, up: bool) -> FloatArray:
        step = self.step(units)
        rounded = np.ceil(units / step - TICK_SLACK) if up else np.floor(units / step + TICK_SLACK)
        return np.asarray(rounded * step)


def typical_size(universe: Universe, coins: Sequence[CoinBooks]) -> FloatArray:
    """First-level size of every listing in calm, order units, (n,); `coins` by position of the underlying."""
    by_kind: NDArray[np.float64] = np.array(
        [[c.spot_size, c.perp_size, c.future_size, c.option_size] for c in coins]
    )
    return np.asarray(by_kind[universe.underlying, universe.kind])


def _fraction(value: Decimal) -> tuple[float, float]:
    """A decimal as whole number over power of ten."""
    exponent = value.as_tuple().exponent
    digits = max(-int(exponent), 0)
    return float(value.scaleb(digits)), 10.0**digits


def _like(column: FloatArray, units: FloatArray) -> FloatArray:
    """A column (n,) shaped to stand beside (n,) or (n, L)."""
    return column if units.ndim == 1 else column[:, None]
