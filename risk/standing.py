"""A book valued at a mark, and what it is worth: the two ends of an interval whose P&L is asked for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pricing.contracts import STABLE_CURRENCIES
from pricing.universe import FloatArray
from pricing.valuation import Valuation


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """A book valued at a mark. quantities: (n,) signed, order units. balances: margin balance by currency,
    with the gains of perpetuals and futures up to this mark."""

    valuation: Valuation
    quantities: FloatArray
    balances: Mapping[str, float]


def equity_usd(standing: Standing) -> float:
    """What a book is worth, USD: balances at the index plus the value of what is held; NaN where unknown."""
    spot, held = spots(standing.valuation), np.flatnonzero(standing.quantities)
    cash = [amount * worth(name, spot) for name, amount in standing.balances.items() if amount]
    return math.fsum([*cash, *(standing.quantities[held] * standing.valuation.value_usd[held]).tolist()])


def spots(valuation: Valuation) -> dict[str, float]:
    """The index of every underlying, USD, NaN where unknown."""
    return dict(zip(valuation.universe.underlyings, valuation.spot.tolist(), strict=True))


def worth(currency: str, spot: Mapping[str, float]) -> float:
    """USD of one unit of a currency, NaN where unknown."""
    return 1.0 if currency in STABLE_CURRENCIES else spot.get(currency, math.nan)
