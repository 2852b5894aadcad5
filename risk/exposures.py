"""Exposures: rows (Greek x underlying x tenor) by listing, a matrix and a vector.

Exposures are linear in quantities: value = cash part + matrix @ quantities. A trade also pays cash: buying an
option settled in coin for v coin lowers the coin balance by v, hence two matrices, one of what is owned and
one of what a trade at the reference price changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from pricing.contracts import STABLE_CURRENCIES, Kind
from pricing.universe import FloatArray, IntArray, Universe
from pricing.valuation import MarkStatus, Numeraire, Valuation

DAYS_PER_YEAR = 365.0
#: Tenor buckets of vega: name and first day; a bucket ends where the next one begins.
VEGA_BUCKETS = (("0-7d", 0.0), ("7-30d", 7.0), ("30-90d", 30.0), ("90-180d", 90.0), ("180d+", 180.0))
#: Weighted vega: the vol of a tenor T moves like (30 d / T)^0.5 of the 30-day vol, T at least a day.
VEGA_REFERENCE_DAYS = 30.0
VEGA_FLOOR_DAYS = 1.0
VEGA_POWER = 0.5

GREEK_ROWS = ("delta", "gamma", "gamma_expiring", "vega", "vega_weighted", "theta")
_USD_UNITS = {"delta": "coin", "gamma": "coin/USD", "vega": "USD/vol", "theta": "USD/year", "pnl": "USD"}


@dataclass(frozen=True, slots=True)
class ExposureSettings:
    """What a row means.

    numeraire: the currency wealth is counted in. gamma_days_min: options with fewer days to live count
    in `gamma_expiring` instead of `gamma`. stable_underlying: coin numeraire with several underlyings:
    the one against whose coin stable balances are counted; empty: against each.
    """

    numeraire: Numeraire = Numeraire.USD
    gamma_days_min: float = 2.0
    stable_underlying: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Exposure:
    """Exposures of a book. m rows, n listings.

    owned: (m, n) exposure of one order unit held; NaN where the listing cannot be valued.
    traded: (m, n) change of the exposures when one order unit is bought at its reference price.
    cash: (m,) part of the balances. value: (m,) the book's exposure without its `missing` positions.
    missing: positions in the universe that are held and cannot be valued.
    """

    rows: tuple[str, ...]
    units: tuple[str, ...]
    owned: FloatArray
    traded: FloatArray
    cash: FloatArray
    value: FloatArray
    missing: tuple[int, ...]

    def row(self, name: str) -> float:
        """Value of one row by name."""
        return float(self.value[self.rows.index(name)])


def row_names(underlyings: Sequence[str]) -> tuple[str, ...]:
    """Names of all rows: `delta:BTC`, ..., `vega:BTC:180d+`, underlying by underlying.

    >>> row_names(["BTC"])[:3], row_names(["BTC"])[-1]
    (('delta:BTC', 'gamma:BTC', 'gamma_expiring:BTC'), 'vega:BTC:180d+')
    """
    names: list[str] = []
    for underlying in underlyings:
        names += [f"{greek}:{underlying}" for greek in GREEK_ROWS]
        names += [f"vega:{underlying}:{bucket}" for bucket, _ in VEGA_BUCKETS]
    return tuple(names)


def unit_of(row: str, numeraire: Numeraire) -> str:
    """Unit of a row: coin, coin/USD, USD/vol, USD/year, of a scenario's P&L USD; coin for all in the coin
    numeraire."""
    greek = row.split(":")[0].split("_")[0]
    return "coin" if numeraire is Numeraire.COIN else _USD_UNITS[greek]


def row_matrix(valuation: Valuation, underlyings: Sequence[str], settings: ExposureSettings) -> FloatArray:
    """Exposure of one order unit of each listing, (m, n), rows as `row_names`."""
    universe = valuation.universe
    greeks = valuation.greeks(settings.numeraire)
    days = valuation.years * DAYS_PER_YEAR
    with np.errstate(invalid="ignore"):
        expiring = universe.is_option & (days < settings.gamma_days_min)
        weight = (VEGA_REFERENCE_DAYS / np.maximum(days, VEGA_FLOOR_DAYS)) ** VEGA_POWER
        bucket = np.searchsorted([first for _, first in VEGA_BUCKETS], days, side="right") - 1
    option = universe.is_option
    vega = np.where(option, greeks.vega, 0.0)
    weighted = np.where(option, greeks.vega * np.where(option, weight, 0.0), 0.0)
    blocks = []
    for name in underlyings:
        mine = (
            universe.where_underlying(name) if name in universe.underlyings else np.zeros(len(universe), bool)
        )
        columns = [
            greeks.delta,
            np.where(expiring, 0.0, greeks.gamma),
            np.where(expiring, greeks.gamma, 0.0),
            vega,
            weighted,
            greeks.theta,
        ]
        columns += [np.where(option & (bucket == b), vega, 0.0) for b in range(len(VEGA_BUCKETS))]
        blocks.append(np.where(mine, np.array(columns), 0.0))
    return np.concatenate(blocks) if blocks else np.zeros((0, len(universe)))


def cash_rows(
    currencies: Sequence[str],
    underlyings: Sequence[str],
    spot: Mapping[str, float],
    settings: ExposureSettings,
) -> FloatArray:
    """Delta of one unit of each currency, (m, currencies).

    USD numeraire: a coin of the underlying 1, stable currencies 0. Coin numeraire: coins 0, one USD -1/S.
    """
    names = row_names(underlyings)
    matrix = np.zeros((len(names), len(currencies)))
    for c, currency in enumerate(currencies):
        for underlying in underlyings:
            row = names.index(f"delta:{underlying}")
            if settings.numeraire is Numeraire.USD:
                matrix[row, c] = float(currency == underlying)
            elif currency in STABLE_CURRENCIES and settings.stable_underlying in ("", underlying):
                matrix[row, c] = -1.0 / spot[underlying]
    return matrix


def expose(
    quantities: FloatArray,
    balances: Mapping[str, float],
    valuation: Valuation,
    reference: FloatArray,
    underlyings: Sequence[str],
    settings: ExposureSettings,
) -> Exposure:
    """Exposures of a book.

    Args:
        quantities: (n,) signed, order units. balances: margin balance per currency, with the gains of
            futures. reference: (n,) price at which a trade is reckoned, venue's quotation.
        underlyings: the ones to report. settings: what a row means.

    Returns:
        Exposure with m = 11 rows per underlying.
    """
    universe = valuation.universe
    spot = {name: float(valuation.spot[u]) for u, name in enumerate(universe.underlyings)}
    owned = row_matrix(valuation, underlyings, settings)
    names = row_names(underlyings)
    currencies = currencies_of(balances, universe, underlyings)
    per_unit_cash = cash_rows(currencies, underlyings, spot, settings)
    held = quantities != 0
    valued = valuation.status == MarkStatus.OK
    counted = held & valued
    amounts = np.array([balances.get(currency, 0.0) for currency in currencies])
    cash = per_unit_cash @ amounts
    return Exposure(
        rows=names,
        units=tuple(unit_of(name, settings.numeraire) for name in names),
        owned=owned,
        traded=owned + cash_of_trade(valuation, names, per_unit_cash, currencies, reference, settings),
        cash=cash,
        value=cash + owned[:, counted] @ quantities[counted],
        missing=tuple(np.flatnonzero(held & ~valued).tolist()),
    )


def currencies_of(balances: Mapping[str, float], universe: Universe, underlyings: Sequence[str]) -> list[str]:
    """Every currency that a book or a trade may hold, sorted."""
    return sorted({*balances, *_settled_in(universe)[0], *underlyings})


@lru_cache(maxsize=8)
def _settled_in(universe: Universe) -> tuple[tuple[str, ...], IntArray]:
    """The settlement currencies of a universe, and the place of each listing's among them, (n,)."""
    settled = [x.contract.settlement for x in universe.listings]
    names = tuple(dict.fromkeys(settled))
    number = {name: i for i, name in enumerate(names)}
    return names, np.array([number[name] for name in settled], dtype=np.int64)


def cash_of_trade(
    valuation: Valuation,
    rows: Sequence[str],
    per_unit_cash: FloatArray,
    currencies: Sequence[str],
    reference: FloatArray,
    settings: ExposureSettings,
) -> FloatArray:
    """Exposure of the cash that buying one order unit pays and receives, (m, n).

    per_unit_cash: (m, currencies), what one unit of a currency adds to each of the `rows`.

    Perpetuals and futures pay no premium, but what the reference differs from the mark is a loss in the
    margin balance at once (0 unless the mark lies outside the quotes). Spot: the coin received is the `owned`
    delta in the USD numeraire and counts 0 in the coin numeraire; the currency paid is here.
    """
    universe, mark = valuation.universe, valuation.forward
    number = {currency: c for c, currency in enumerate(currencies)}
    settled, at = _settled_in(universe)
    pays = np.array([number[name] for name in settled], dtype=np.int64)[at]
    premium = (universe.kind == Kind.OPTION) | (universe.kind == Kind.SPOT)
    per_unit = per_unit_cash[:, pays] if len(universe) else np.zeros((len(per_unit_cash), 0))
    if settings.numeraire is Numeraire.COIN and not settings.stable_underlying:
        # A dollar counted against every coin would let one sale of one coin "hedge" all of them.
        of_row = np.array([name.split(":")[1] for name in rows], dtype=object)
        of_listing = np.array(universe.underlyings, dtype=object)[universe.underlying]
        stable = np.array([c in STABLE_CURRENCIES for c in currencies])[pays]
        per_unit = np.where(stable & (of_row[:, None] != of_listing), 0.0, per_unit)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        loss = np.where(universe.inverse, 1.0 / mark - 1.0 / reference, reference - mark)
        amount = np.where(premium, reference, loss) * universe.size
        # Where the currency has no row its price does not matter, even when unknown or infinite.
        return np.where(per_unit != 0, -per_unit * amount, 0.0)
