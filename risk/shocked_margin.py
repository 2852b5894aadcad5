"""Initial margin of a book after many shocks, every one by full revaluation and the venue's own model.

By underlying, as both models reckon it: standard margin position by position, portfolio margin coin by coin,
where gains of one coin never pay for another's loss. What a venue's model does not tell is NaN, never 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from pricing.contracts import Kind
from pricing.market import QUOTE_FIELDS, Market
from pricing.universe import FloatArray, IntArray, Universe
from pricing.valuation import MarkStatus, Numeraire, UnitGreeks, Valuation
from risk.margin import margins
from risk.margin_terms import MarginModel, MarginTerms
from risk.scenarios import Shock, shocked_valuation
from risk.standing import spots, worth


@dataclass(frozen=True, slots=True, eq=False)
class Account:
    """What is margined together. quantities: (n,) signed, order units. model, terms: the venue's; None where
    none is known, and why."""

    venue: str
    quantities: FloatArray
    model: MarginModel | None = None
    terms: MarginTerms | None = None
    why: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class ShockedMargin:
    """required: initial margin, (underlyings, shocks), USD or coin of each underlying; NaN where it is not
    known. reasons: why it is not, or that it is but an estimate, each once."""

    required: FloatArray
    reasons: tuple[str, ...]


def shocked_margin(
    market: Market,
    valuation: Valuation,
    accounts: Sequence[Account],
    shocks: Sequence[Shock],
    underlyings: Sequence[str],
    numeraire: Numeraire,
) -> ShockedMargin:
    """The margin of all accounts together after each shock.

    Args:
        market, valuation: as things stand. What expires within a shock's hours is settled and needs none.
        underlyings: in the order of the rows; all of them are shocked alike.
    """
    required = np.zeros((len(underlyings), len(shocks)))
    reasons: dict[str, None] = {}
    for account in accounts:
        counted = (account.quantities != 0) & (valuation.universe.kind != Kind.SPOT)
        rows = np.flatnonzero(counted).astype(np.int64)
        if rows.size:
            one = _of_account(
                (_market_part(market, rows), _valuation_part(valuation, rows)),
                replace(account, quantities=account.quantities[rows]),
                shocks,
                underlyings,
                numeraire,
            )
            required += one.required
            reasons |= dict.fromkeys(one.reasons)
    return ShockedMargin(required, tuple(reasons))


def _of_account(
    held: tuple[Market, Valuation],
    account: Account,
    shocks: Sequence[Shock],
    underlyings: Sequence[str],
    numeraire: Numeraire,
) -> ShockedMargin:
    """The same of one account; held: its listings alone."""
    market, valuation = held
    universe = valuation.universe
    found = np.zeros((len(underlyings), len(shocks)))
    mine = [
        (u, universe.where_underlying(name))
        for u, name in enumerate(underlyings)
        if name in universe.underlyings
    ]
    if account.model is None or account.terms is None:
        for u, _ in mine:
            found[u] = np.nan
        return ShockedMargin(found, (account.why or f"no margin model is known for {account.venue}",))
    reasons: dict[str, None] = {}
    for i, shock in enumerate(shocks):
        after = shocked_valuation(market, valuation, shock)
        gone = (valuation.status == MarkStatus.OK) & (after.status == MarkStatus.EXPIRED)
        left = np.where(gone, 0.0, account.quantities)
        spot = spots(after)
        for u, where in mine:
            ends = np.where(where, left, 0.0)
            due = margins(after, ends, ends, account.venue, account.model, account.terms)
            usd = sum((x.initial * worth(currency, spot) for currency, x in due.items()), 0.0)
            found[u, i] = usd if numeraire is Numeraire.USD else usd / spot[underlyings[u]]
            reasons |= dict.fromkeys(reason for x in due.values() for reason in x.reasons)
    return ShockedMargin(found, tuple(reasons))


def _valuation_part(valuation: Valuation, rows: IntArray) -> Valuation:
    """A valuation of some of its listings alone."""
    universe = _universe_part(valuation.universe, rows)
    index = [valuation.universe.underlyings.index(name) for name in universe.underlyings]
    columns: dict[str, Any] = {
        item.name: getattr(valuation, item.name)[rows]
        for item in fields(Valuation)
        if item.name not in ("universe", "now_ns", "spot", "usd", "coin", "expiries")
    }
    columns |= {
        name: UnitGreeks(*(getattr(of, item.name)[rows] for item in fields(UnitGreeks)))
        for name, of in (("usd", valuation.usd), ("coin", valuation.coin))
    }
    return replace(valuation, universe=universe, spot=valuation.spot[index], **columns)


def _market_part(market: Market, rows: IntArray) -> Market:
    """A market of some of its listings alone; without books, which no margin hangs on."""
    names = (*QUOTE_FIELDS, "venue_ns", "forward_kind")
    columns: dict[str, Any] = {name: getattr(market, name)[rows] for name in names}
    return replace(market, universe=_universe_part(market.universe, rows), depth={}, **columns)


def _universe_part(universe: Universe, rows: IntArray) -> Universe:
    return Universe.of([universe.listings[i] for i in rows.tolist()])
