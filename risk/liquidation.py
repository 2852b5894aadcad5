"""How far the price may move before an account is liquidated: where maintenance margin meets the balance.

The whole account is valued anew at each move (`risk.scenarios`), vols staying with their strikes; forwards
move with the index. Balances are counted in the settlement currency, gains of perpetuals and futures in it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pricing.contracts import Kind
from pricing.market import Market
from pricing.universe import FloatArray
from pricing.valuation import Numeraire, Valuation
from risk.margin import margins
from risk.margin_terms import MarginModel, MarginTerms
from risk.scenarios import Shock, shocked_valuation, unit_pnl

#: Moves that are tried in turn, outwards; between the last safe and the first unsafe one it is bisected.
_STEPS_DOWN = tuple(-0.025 * i for i in range(1, 39))
_STEPS_UP = tuple(0.05 * i for i in range(1, 61))
_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True)
class LiquidationDistance:
    """Smallest relative move of the index, down (< 0) and up, at which the balance no longer covers.

    -inf, inf: none within -95 % and +300 %. 0: it does not cover now. NaN: cannot be told.
    """

    down: float
    up: float


def liquidation_distance(
    market: Market,
    valuation: Valuation,
    quantities: FloatArray,
    balance: float,
    currency: str,
    venue: str,
    model: MarginModel,
    terms: MarginTerms | None,
) -> LiquidationDistance:
    """Distance to liquidation of the positions on one venue that settle in one currency.

    Args:
        quantities: (n,) signed order units. balance: cash with the gains of perpetuals and futures so far, in
            `currency`, without the value of options (the venue's margin balance in standard margin; under
            portfolio margin the options' value is added here).
    """
    universe = valuation.universe
    mine = np.array(
        [x.venue == venue and x.contract.settlement == currency for x in universe.listings], dtype=np.bool_
    ) & (universe.kind != Kind.SPOT)
    held = np.where(mine, quantities, 0.0)

    def slack(move: float) -> float:
        after = shocked_valuation(market, valuation, Shock(spot=move)) if move else valuation
        due = margins(after, held, held, venue, model, terms).get(currency)
        required = 0.0 if due is None else due.maintenance
        return _balance(valuation, after, held, balance, model) - required

    now = slack(0.0)
    if math.isnan(now):
        return LiquidationDistance(math.nan, math.nan)
    if now <= 0:
        return LiquidationDistance(0.0, 0.0)
    return LiquidationDistance(_first(slack, _STEPS_DOWN, -math.inf), _first(slack, _STEPS_UP, math.inf))


def _balance(
    before: Valuation, after: Valuation, held: FloatArray, balance: float, model: MarginModel
) -> float:
    """The margin balance after a move, settlement currency."""
    universe = before.universe
    counted = held != 0
    in_coin = np.where(universe.inverse, after.spot_of_listing(), 1.0)
    runs = (universe.kind == Kind.PERPETUAL) | (universe.kind == Kind.FUTURE)
    gains = unit_pnl(before, after, Numeraire.USD) / in_coin
    worth = after.value_usd / in_coin if model is MarginModel.PORTFOLIO else np.zeros(len(universe))
    per_unit = np.where(runs, gains, worth)
    return balance + float(per_unit[counted] @ held[counted])


def _first(slack: Callable[[float], float], steps: tuple[float, ...], none: float) -> float:
    """The first move at which the slack is gone, by bisection between two steps; NaN where it is unknown."""
    safe = 0.0
    for step in steps:
        left = slack(step)
        if math.isnan(left):
            return math.nan
        if left <= 0:
            out = step
            while abs(out - safe) > _TOLERANCE:
                middle = 0.5 * (safe + out)
                if slack(middle) > 0:
                    safe = middle
                else:
                    out = middle
            return out
        safe = step
    return none
