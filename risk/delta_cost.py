"""What moving delta costs now: the cheapest spot, perpetual or future, per USD of notional, at a size."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pricing.universe import BoolArray, FloatArray, IntArray
from risk.costs import CostModel


@dataclass(frozen=True, slots=True)
class DeltaCost:
    """Cost of moving delta one way. rate: USD per USD of notional, mean of buying and selling: half-spread,
    depth and fee, without carry. fixed_usd: USD per trade. lot: smallest step, coins. symbol: of the
    instrument."""

    rate: float
    fixed_usd: float
    lot: float
    symbol: str


@dataclass(frozen=True, slots=True)
class _Side:
    """One side's levels: coins of delta at each, cumulative, and USD paid up to the end of each."""

    coins: FloatArray
    paid: FloatArray

    def per_coin(self, size: float) -> float:
        """USD per coin for `size` coins; of what is displayed where that is less. inf without a level."""
        if self.coins.size == 0:
            return math.inf
        if size <= self.coins[0]:
            return float(self.paid[0] / self.coins[0])
        size = min(size, float(self.coins[-1]))
        return float(np.interp(size, self.coins, self.paid)) / size


@dataclass(frozen=True, slots=True)
class DeltaMarket:
    """The instruments that move delta alone, of one underlying, with what each displayed level costs.

    finest: smallest step of any of them, coins; inf where there is none.
    """

    spot: float
    sides: tuple[tuple[_Side, _Side], ...]
    fixed_usd: tuple[float, ...]
    lots: tuple[float, ...]
    symbols: tuple[str, ...]

    @property
    def finest(self) -> float:
        """Smallest delta step that any of the instruments makes, coins."""
        return min(self.lots, default=math.inf)

    def cost(self, size: float) -> DeltaCost | None:
        """The cheapest way to move `size` coins; None where nothing may be traded."""
        found: list[tuple[float, DeltaCost]] = []
        for (buy, sell), fixed, lot, symbol in zip(
            self.sides, self.fixed_usd, self.lots, self.symbols, strict=True
        ):
            prices = [x for x in (buy.per_coin(size), sell.per_coin(size)) if math.isfinite(x)]
            if prices:
                rate = sum(prices) / len(prices) / self.spot
                total = rate + (fixed / (size * self.spot) if size > 0 else 0.0)
                found.append((total, DeltaCost(rate, fixed, lot, symbol)))
        return min(found, key=lambda x: (x[0], x[1].lot, x[1].symbol))[1] if found else None


def delta_market(
    costs: CostModel, rows: IntArray, delta_per_unit: FloatArray, buy: BoolArray, sell: BoolArray, spot: float
) -> DeltaMarket:
    """The delta instruments among those a cost model has priced.

    Args:
        rows: (k,) their places in the universe. delta_per_unit: (k,) delta of one order unit, coins.
        buy, sell: (k,) whether that side may be traded. spot: index, USD.
    """
    universe = costs.universe
    sides, fixed, lots, symbols = [], [], [], []
    for i, row in enumerate(rows.tolist()):
        per_unit = abs(float(delta_per_unit[i]))
        if not 0 < per_unit < math.inf:
            continue
        pair = []
        for sign, allowed in ((1, buy[i]), (-1, sell[i])):
            part = costs.levels.slice_of(row, sign)
            size = costs.levels.size[part] if allowed else np.empty(0)
            unit = (costs.levels.spread + costs.levels.depth + costs.levels.fee)[part][: size.size]
            pair.append(_Side(np.cumsum(size * per_unit), np.cumsum(size * unit)))
        sides.append((pair[0], pair[1]))
        fixed.append(float(costs.fixed_usd[row]))
        lots.append(per_unit * float(universe.lot[row]))
        symbols.append(universe.listings[row].symbol)
    return DeltaMarket(spot, tuple(sides), tuple(fixed), tuple(lots), tuple(symbols))
