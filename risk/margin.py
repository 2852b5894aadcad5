"""Initial and maintenance margin of an account, by its venue's model; unknown where we have no model.

    margins(valuation, low, high, venue, model, terms) -> one `Margin` per settlement currency

`low` and `high` are where each position may end: equal for the book as it is, apart where orders are out, and
then the figures are the worst of every way in which these may fill. Only Deribit's models are known so far;
every other venue's margin is unknown, which a limit must take as a refusal and never as zero.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

import numpy as np

from pricing.contracts import Kind
from pricing.universe import BoolArray, FloatArray, Universe
from pricing.valuation import MarkStatus, Valuation
from risk.limit_request import MarginView
from risk.margin_terms import Margin, MarginModel, MarginTerms, unknown_margin
from risk.risk_matrix import Matrix, risk_matrix
from risk.standard_margin import standard_requirements


def margins(
    valuation: Valuation,
    low: FloatArray,
    high: FloatArray,
    venue: str,
    model: MarginModel,
    terms: MarginTerms | None,
) -> dict[str, Margin]:
    """Margin of the positions on one venue by settlement currency.

    Args:
        low, high: (n,) lowest and highest end of each position, order units.
        terms: of that venue on that day; None: not known.

    Returns:
        A `Margin` for each currency in which something is held or pending; perpetuals, futures and options
        (spot needs none). With its reasons where it is unknown or an estimate.
    """
    universe = valuation.universe
    touched = (low != 0) | (high != 0)
    counted = touched & on_venue(universe, venue) & (universe.kind != Kind.SPOT)
    found = {}
    for currency, settled in settling(universe).items():
        mine = np.asarray(counted & settled, dtype=np.bool_)
        if not mine.any():
            continue
        if terms is None:
            reason = f"no margin model is known for {venue}"
            found[currency] = unknown_margin(currency, reason)
        elif model is MarginModel.STANDARD:
            found[currency] = _standard(valuation, mine, low, high, currency, terms)
        else:
            found[currency] = _portfolio(valuation, mine, low, high, currency, terms)
    return found


@lru_cache(maxsize=64)
def on_venue(universe: Universe, venue: str) -> BoolArray:
    """The listings of a venue, (n,); worked out once."""
    found = np.array([listing.venue == venue for listing in universe.listings], dtype=np.bool_)
    found.flags.writeable = False
    return found


@lru_cache(maxsize=16)
def settling(universe: Universe) -> Mapping[str, BoolArray]:
    """The listings that settle in each currency, (n,), currencies in the order of their names."""
    settles = np.array([listing.contract.settlement for listing in universe.listings], dtype=object)
    found = {currency: np.asarray(settles == currency, dtype=np.bool_) for currency in sorted(set(settles))}
    for mask in found.values():
        mask.flags.writeable = False
    return MappingProxyType(found)


def _unusable(valuation: Valuation, mine: BoolArray, known: Mapping[str, object], model: str) -> str:
    """Why no figure can be given, "" where one can."""
    universe = valuation.universe
    coins = sorted({universe.underlyings[u] for u in universe.underlying[mine]})
    without = [coin for coin in coins if coin not in known]
    if without:
        return f"no {model} margin terms for {', '.join(without)}"
    bad = np.flatnonzero(mine & (valuation.status != MarkStatus.OK))
    if bad.size:
        names = ", ".join(universe.listings[i].symbol for i in bad[:3].tolist())
        return f"{bad.size} positions without a usable mark: {names}"
    return ""


def _standard(
    valuation: Valuation,
    mine: BoolArray,
    low: FloatArray,
    high: FloatArray,
    currency: str,
    terms: MarginTerms,
) -> Margin:
    reason = _unusable(valuation, mine, terms.standard, "standard")
    if reason:
        return unknown_margin(currency, reason)
    initial, maintenance = standard_requirements(
        valuation, np.where(mine, low, 0.0), np.where(mine, high, 0.0), terms.standard
    )
    coins = {valuation.universe.underlyings[u] for u in valuation.universe.underlying[mine]}
    reasons = [f"unconfirmed standard terms of {c}" for c in sorted(coins) if not terms.standard[c].confirmed]
    reasons += [terms.note] if terms.note else []
    return Margin(currency, float(initial.sum()), float(maintenance.sum()), tuple(reasons))


def _portfolio(
    valuation: Valuation,
    mine: BoolArray,
    low: FloatArray,
    high: FloatArray,
    currency: str,
    terms: MarginTerms,
) -> Margin:
    reason = _unusable(valuation, mine, terms.matrix, "portfolio")
    if reason:
        return unknown_margin(currency, reason)
    initial = maintenance = 0.0
    reasons = []
    for coin, matrix in matrices(valuation, mine, low, high, terms).items():
        initial += matrix.total
        maintenance += matrix.total * terms.matrix[coin].maintenance_factor
        if not terms.matrix[coin].confirmed:
            reasons.append(f"portfolio terms of {coin} are an estimate")
    return Margin(currency, initial, maintenance, tuple(reasons))


def matrices(
    valuation: Valuation, mine: BoolArray, low: FloatArray, high: FloatArray, terms: MarginTerms
) -> dict[str, Matrix]:
    """The risk matrix of every coin among the listings `mine`, which settle in one currency."""
    universe = valuation.universe
    found = {}
    for u in np.unique(universe.underlying[mine]).tolist():
        coin = universe.underlyings[u]
        own = np.asarray(mine & (universe.underlying == u), dtype=np.bool_)
        found[coin] = risk_matrix(valuation, own, low, high, terms.matrix[coin])
    return found


def premiums(
    valuation: Valuation, held: FloatArray, high: FloatArray, prices: FloatArray, currency: str
) -> float:
    """What buying up to `high` costs at most in a currency: premiums of options, the price of spot.

    Args:
        held, high: (n,) booked and highest position, order units. prices: (n,) the worst limit price of what
            is pending, venue's quotation. Perpetuals and futures cost nothing at the trade.
    """
    universe = valuation.universe
    pays = (universe.kind == Kind.OPTION) | (universe.kind == Kind.SPOT)
    pays &= settling(universe).get(currency, False)
    bought = np.maximum(high - held, 0.0)
    return float(np.where(pays & (bought > 0), bought * prices * universe.size, 0.0).sum())


def margin_view(balance: float, paid: float, before: Margin | None, after: Margin | None) -> MarginView:
    """As the limits take it. paid: what premiums would cost at most; None: nothing held in the currency."""
    reasons = tuple(dict.fromkeys((before.reasons if before else ()) + (after.reasons if after else ())))
    known = all(margin is None or margin.known for margin in (before, after))
    return MarginView(
        balance_before=balance,
        balance_after=balance - paid,
        initial_before=before.initial if before else 0.0,
        initial_after=after.initial if after else 0.0,
        maintenance_before=before.maintenance if before else 0.0,
        maintenance_after=after.maintenance if after else 0.0,
        proven=known and not reasons and math.isfinite(balance),
        reason="; ".join(reasons),
    )
