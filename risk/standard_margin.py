"""Standard margin: every position by itself, whatever the others are (Deribit's S:SM).

Per coin of an option sold, in coin, with U the forward, m the option's mark in coin, OTM = max(s (K - U), 0):

    call   maintenance = b + m                     initial = max(a - OTM/U, a_min) + m
    put    maintenance = max(b, b m) + m           initial = max(max(a - OTM/U, a_min) + m, maintenance)

with a, a_min, b = 0.15, 0.10, 0.075. Options held are paid for and need none. Perpetuals and futures of q
coins: initial |q| (i + c |q|), maintenance |q| (j + c |q|). Contracts settled in dollars: the same shares at
the index.

Source: Deribit's margin requirements, support.deribit.com 25944826427293 and 25944738177565.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pricing.contracts import Kind
from pricing.universe import FloatArray
from pricing.valuation import Valuation
from risk.margin_terms import StandardTerms


def standard_requirements(
    valuation: Valuation, low: FloatArray, high: FloatArray, terms: Mapping[str, StandardTerms]
) -> tuple[FloatArray, FloatArray]:
    """(initial, maintenance) of every listing in its settlement currency, (n,), (n,).

    Args:
        valuation: marks as this house values them; the venue's differ by little.
        low, high: (n,) where each position may end, order units; equal where nothing is pending. The larger
            requirement of the two ends counts.
        terms: by coin.

    Returns:
        NaN for what is held, or may be, and cannot be valued or has no terms; 0 for what is not held.
    """
    universe = valuation.universe
    n = len(universe)
    columns = {name: np.full(n, np.nan) for name in _FIELDS}
    for u, coin in enumerate(universe.underlyings):
        if coin in terms:
            for name in _FIELDS:
                columns[name][universe.underlying == u] = getattr(terms[coin], name)
    spot, forward = valuation.spot_of_listing(), valuation.forward
    option = universe.is_option
    runs = (universe.kind == Kind.PERPETUAL) | (universe.kind == Kind.FUTURE)
    with np.errstate(invalid="ignore", divide="ignore"):
        coins = np.where(runs & universe.inverse, universe.size / forward, universe.size)
        # what one coin is in the settlement currency
        coin_in = np.where(universe.inverse, 1.0, spot)
        size = np.maximum(np.abs(low), np.abs(high)) * coins
        initial = size * (columns["futures_initial"] + columns["per_coin"] * size) * coin_in
        maintenance = size * (columns["futures_maintenance"] + columns["per_coin"] * size) * coin_in

        sold = np.maximum(-low, 0.0) * universe.size
        out = np.maximum(universe.sign * (universe.strike - forward), 0.0) / forward
        mark = valuation.price / coin_in
        put = universe.sign < 0
        floor = columns["option_maintenance"]
        per_maintenance = np.where(put, np.maximum(floor, floor * mark), floor) + mark
        plain = np.maximum(columns["option_initial"] - out, columns["option_initial_min"]) + mark
        per_initial = np.where(put, np.maximum(plain, per_maintenance), plain)
        initial = np.where(option, sold * per_initial * coin_in, initial)
        maintenance = np.where(option, sold * per_maintenance * coin_in, maintenance)
    needs = np.where(option, sold > 0, runs & ((low != 0) | (high != 0)))
    needs |= np.isnan(low) | np.isnan(high)
    return np.where(needs, initial, 0.0), np.where(needs, maintenance, 0.0)


_FIELDS = (
    "futures_initial",
    "futures_maintenance",
    "per_coin",
    "option_initial",
    "option_initial_min",
    "option_maintenance",
)
