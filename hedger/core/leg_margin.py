"""What the margin of every venue would be after some legs of a ticket: half of what their order is chosen by.

Where a venue's model and terms are known, the account's free margin is reckoned by them, premiums paid.
Where they are not, margin is the share of notional that the costs of carry are reckoned with: an estimate
that ranks orders, and that never says that there is enough.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hedger.core.headroom import balances_of, free_usd, pay
from hedger.problem.snapshot import Snapshot
from pricing.universe import FloatArray
from risk.costs import MarginRates, coins_per_unit
from risk.margin import on_venue
from risk.margin_terms import MarginModel, MarginTerms

Models = Mapping[str, tuple[MarginModel, MarginTerms]]
NO_MODELS: Models = {}


@dataclass(frozen=True, slots=True)
class Tied:
    """Margin after some legs, USD. tied: more than before them, < 0 freed, NaN unknown. short: what would
    be missing on accounts whose venue's model is known, >= 0."""

    tied: float
    short: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class MarginAfter:
    """What legs tie up, called with the positions in the ticket of those that are done.

    may_miss: whether anything can be missing at all; where no venue's model is known it never is.
    """

    after: Callable[[Sequence[int]], Tied]
    may_miss: bool = True

    def __call__(self, done: Sequence[int]) -> Tied:
        """After these legs."""
        return self.after(done)


def margin_after(
    snapshot: Snapshot,
    rows: Sequence[int],
    signed: FloatArray,
    models: Models,
    rates: MarginRates,
) -> MarginAfter:
    """A function from the legs done to what they tie up.

    Args:
        rows, signed: (k,) of each leg: its listing's place, and what it trades in order units.
        models: how venues margin the account; a venue left out is estimated by `rates`.
    """
    listings = snapshot.market.universe.listings
    venues = sorted({listings[row].venue for row in rows})
    accounts = {name: _Account.of(snapshot, name, *models[name]) for name in venues if name in models}
    share = _shares(snapshot, rows, signed, rates).tolist()
    venue_of = [listings[row].venue for row in rows]

    def after(done: Sequence[int]) -> Tied:
        tied, short = 0.0, 0.0
        for name in venues:
            mine = [i for i in done if venue_of[i] == name]
            account = accounts.get(name)
            if account is None:
                tied += math.fsum([share[i] for i in mine])
                continue
            used, missing = account.after([(int(rows[i]), float(signed[i])) for i in mine])
            tied, short = tied + used, short + missing
        return Tied(tied, short)

    return MarginAfter(after, bool(accounts))


@dataclass(frozen=True, slots=True, eq=False)
class _Account:
    """One venue's account as it is. free: USD over the initial margin, None where it cannot be told."""

    snapshot: Snapshot
    venue: str
    model: MarginModel
    terms: MarginTerms
    held: FloatArray
    balances: Mapping[str, float] | None
    free: float | None

    @classmethod
    def of(cls, snapshot: Snapshot, venue: str, model: MarginModel, terms: MarginTerms) -> _Account:
        """The account of a venue."""
        valuation, book = snapshot.valuation, snapshot.book
        held = np.where(on_venue(valuation.universe, venue), snapshot.quantities, 0.0)
        balances = balances_of(book.part(venue), valuation)
        free = None if balances is None else free_usd(valuation, held, balances, {}, venue, model, terms)
        return cls(snapshot, venue, model, terms, held, balances, free)

    def after(self, trades: Sequence[tuple[int, float]]) -> tuple[float, float]:
        """(tied, short) after some trades, (row, signed order units)."""
        if not trades:
            return 0.0, 0.0
        if self.balances is None or self.free is None:
            return math.nan, 0.0
        valuation, quantities, paid = self.snapshot.valuation, self.held.copy(), dict[str, float]()
        for row, units in trades:
            pay(valuation, row, units, quantities, paid)
        free = free_usd(valuation, quantities, self.balances, paid, self.venue, self.model, self.terms)
        if free is None:
            return math.nan, 0.0
        # An account that needs no margin has no least currency: what is tied up counts from nothing missing.
        before = self.free if math.isfinite(self.free) else max(free, 0.0)
        tied = before - free if math.isfinite(free) else 0.0
        return tied, max(-free, 0.0)


def _shares(snapshot: Snapshot, rows: Sequence[int], signed: FloatArray, rates: MarginRates) -> FloatArray:
    """(k,) USD of margin that each leg ties up by the shares of the carry costs."""
    at = np.asarray(rows, dtype=np.int64)
    unit_usd = (coins_per_unit(snapshot.valuation) * snapshot.valuation.spot_of_listing())[at]
    opened = np.abs(snapshot.quantities[at] + signed) - np.abs(snapshot.quantities[at])
    share = rates.share(snapshot.market.universe.kind[at], np.sign(signed).astype(np.int64))
    found: FloatArray = share * unit_usd * opened
    return found
