"""Portfolio margin: the worst cell of a matrix of price and vol moves, and what is added to it.

This is Deribit's segregated portfolio margin.

Table: moves of -r .. +r in 2 x `buckets` + 1 equal steps, each with vols up, as they are, and down:

    up   vol + max(vol, vol_min) x range_up (30 d / days)^p      down   vol (1 - range_down (30 d / days)^p)

Perpetuals and futures of q coins gain q (1 - 1/(1+s)) coin. Extended table: moves far outside, vols up alone;
option P&L times r/|move|, futures at +-r; of its loss a dampener in USD is let off. Then

    worst  = max(0, largest loss of the table, largest loss of the extended table less the dampener)
    roll   = sum over expiries of |delta| x max(roll_min, roll_per_year x years)
    shock  = what |delta total| exceeds a threshold by, times the largest delta shock (an upper bound: the
             venue's rises to it)
    initial = worst + roll + shock (+ open orders and other items)        maintenance = 0.8 x that sum

Two responses of the venue's own simulator are reproduced to all printed digits (futures only); of options the
structure alone is published, hence `confirmed = false`. Gains of one coin never pay for another's loss.

Source: support.deribit.com 25944756247837; docs.deribit.com private/pme/simulate.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pricing import black76
from pricing.contracts import Kind
from pricing.settlement import WINDOW_YEARS
from pricing.universe import BoolArray, FloatArray, IntArray
from pricing.valuation import Valuation
from risk.margin_terms import MatrixTerms

DAYS_PER_YEAR = 365.0
VOL_REFERENCE_DAYS = 30.0
#: Below this many days to expiry the vol shock grows no further.
DAYS_MIN = 1.0 / 24.0


@dataclass(frozen=True, slots=True, eq=False)
class Matrix:
    """One coin's risk matrix in one settlement currency, in that currency.

    table: (2 buckets + 1, 3) P&L by move and vol (up, same, down), at the worst corner of each cell.
    extended: (moves,) before the dampener. worst, roll, shock >= 0.
    """

    table: FloatArray
    extended: FloatArray
    worst: float
    roll: float
    shock: float

    @property
    def total(self) -> float:
        """The matrix's margin: the venue's risk_matrix_margin."""
        return self.worst + self.roll + self.shock


def risk_matrix(
    valuation: Valuation, mine: BoolArray, low: FloatArray, high: FloatArray, terms: MatrixTerms
) -> Matrix:
    """The matrix of the listings `mine` (one coin, one settlement currency, spot left out).

    Args:
        low, high: (n,) where each position may end, order units. P&L is linear in quantities, so each cell
            takes for each listing the worse end; equal ends give the venue's own matrix.

    Returns:
        NaN throughout where a position that counts cannot be valued.
    """
    universe = valuation.universe
    counted = mine & ((low != 0) | (high != 0)) & (universe.kind != Kind.SPOT)
    rows: IntArray = np.flatnonzero(counted).astype(np.int64)
    ends = low[rows], high[rows]
    moves = np.linspace(-terms.price_range, terms.price_range, 2 * terms.buckets + 1)
    far = np.array(terms.extended_moves)
    up, same, down = (shocked_vols(valuation, rows, terms, way) for way in (1, 0, -1))
    table = np.stack(
        [_worse_end(unit_gains(valuation, rows, moves, vols), ends) for vols in (up, same, down)], axis=1
    )
    option = universe.is_option[rows]
    share = terms.price_range / np.abs(far) * terms.extended_factor
    capped = np.sign(far) * terms.price_range
    far_gains = np.where(
        option, unit_gains(valuation, rows, far, up) * share[:, None], unit_gains(valuation, rows, capped, up)
    )
    extended = _worse_end(far_gains, ends)

    index = float(valuation.spot[universe.underlying[rows[0]]]) if rows.size else 1.0
    in_coin = bool(universe.inverse[rows[0]]) if rows.size else True
    let_off = terms.dampener_usd / index if in_coin else terms.dampener_usd
    worst = float(np.max([0.0, *(-table).ravel(), *(-extended - let_off)]))
    roll, shock = _deltas(valuation, rows, ends, terms, index)
    coin_in = 1.0 if in_coin else index
    return Matrix(table, extended, worst, roll * coin_in, shock * coin_in)


def shocked_vols(valuation: Valuation, rows: IntArray, terms: MatrixTerms, way: int) -> FloatArray:
    """Vols of some listings after the shock up (1), none (0) or down (-1), (rows,); NaN for what has none."""
    vol, days = valuation.vol[rows], np.maximum(valuation.years[rows] * DAYS_PER_YEAR, DAYS_MIN)
    power = np.where(days < VOL_REFERENCE_DAYS, terms.power_short, terms.power_long)
    scale = (VOL_REFERENCE_DAYS / days) ** power
    if way > 0:
        return np.asarray(vol + np.maximum(vol, terms.vol_up_min) * terms.vol_range_up * scale)
    return np.asarray(np.maximum(vol * (1.0 - terms.vol_range_down * scale), 0.0) if way < 0 else vol)


def unit_gains(valuation: Valuation, rows: IntArray, moves: FloatArray, vols: FloatArray) -> FloatArray:
    """P&L of one order unit in its settlement currency, (moves, rows), forwards moving by `moves`.

    Inside the settlement window only the part still to be averaged moves.
    """
    universe = valuation.universe
    forward, years = valuation.forward[rows], valuation.years[rows]
    option, inverse = universe.is_option[rows], universe.inverse[rows]
    moved = forward * (1.0 + moves[:, None])
    with np.errstate(invalid="ignore", divide="ignore"):
        runs = np.where(inverse, 1.0 / forward - 1.0 / moved, moved - forward)
        strike, sign = universe.strike[rows], universe.sign[rows]
        worth = black76.greeks(moved, strike, years, vols, sign).price
        base = black76.greeks(forward, strike, years, valuation.vol[rows], sign).price
        options = np.where(inverse, worth / moved - base / forward, worth - base)
    left = np.where(years > 0, np.minimum(years / WINDOW_YEARS, 1.0), 1.0)
    per_unit = np.where(option, options, runs) * universe.size[rows]
    return np.asarray(per_unit * np.where(np.isnan(years), 1.0, left))


def _worse_end(gains: FloatArray, ends: tuple[FloatArray, FloatArray]) -> FloatArray:
    """Sum over listings of the worse end of each, (moves,); NaN where a listing that counts has none."""
    return np.asarray(np.minimum(gains * ends[0], gains * ends[1]).sum(axis=1))


def _deltas(
    valuation: Valuation,
    rows: IntArray,
    ends: tuple[FloatArray, FloatArray],
    terms: MatrixTerms,
    index: float,
) -> tuple[float, float]:
    """(roll, delta shock), coins, at the larger end of each expiry's and of the total delta.

    Deltas as the venue's: of options less their price, of perpetuals and futures their coins.
    """
    per_unit = valuation.coin.delta[rows]
    products = per_unit * ends[0], per_unit * ends[1]
    lowest, highest = np.minimum(*products), np.maximum(*products)
    expiry = valuation.universe.expiry_ns[rows]
    roll = 0.0
    for stamp in np.unique(expiry):
        at = expiry == stamp
        years = float(valuation.years[rows][at][0]) if stamp else 0.0
        largest = float(np.maximum(abs(lowest[at].sum()), abs(highest[at].sum())))
        roll += largest * max(terms.roll_min, terms.roll_per_year * years)
    total = float(np.maximum(abs(lowest.sum()), abs(highest.sum())))
    beyond = total - terms.delta_threshold_usd / index
    return roll, (beyond if beyond > 0 or np.isnan(beyond) else 0.0) * terms.delta_shock_max
