"""What a book's equity changed by, by the ledger alone: cash by its cause, and what is held marked to market.

Over an interval with index S0 at its beginning and S1 at its end, equity being sum of balance x S plus the
value of what is held,

    change = sum of (cash that moved) S1  +  change of what is held at its marks  +  sum of balance0 (S1 - S0)

Cash moves by premiums (options and spot, what they cost), fees, funding, settlements and transfers; gains of
perpetuals and futures run up outside the cash (`futures`) until a settlement pays them out. Fees count at the
index of their trade where that is known, and what their coin moved by from then on is in `coins`. No Greek
and no model is in it beside the marks themselves, so that it may be held against `risk.attribution`: both sum
to the change of equity. `unexplained` is cash that moved and that no word of the ledger accounts for:
anything but rounding in it is a fault.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from pricing.contracts import Kind
from pricing.universe import FloatArray
from pricing.valuation import Valuation
from risk.book import Book, Fill, settles_daily
from risk.standing import worth


@dataclass(frozen=True, slots=True)
class Statement:
    """A change of equity by what moved it, USD, received positive; NaN where a worth is not known."""

    premiums: float = 0.0
    fees: float = 0.0
    funding: float = 0.0
    settlement: float = 0.0
    transfers: float = 0.0
    futures: float = 0.0
    options: float = 0.0
    coins: float = 0.0
    unexplained: float = 0.0

    @property
    def total(self) -> float:
        """Sum of the parts: the change of equity."""
        return math.fsum(getattr(self, name) for name in Statement.__slots__)

    def __add__(self, other: Statement) -> Statement:
        return Statement(*(getattr(self, name) + getattr(other, name) for name in Statement.__slots__))

    def as_dict(self) -> dict[str, float]:
        """The parts by name, and their sum as `total`."""
        return {name: getattr(self, name) for name in Statement.__slots__} | {"total": self.total}


@dataclass(frozen=True, slots=True, eq=False)
class Ledger:
    """A book beside its marks. cash: by currency, without gains of futures; gains: those, by currency."""

    valuation: Valuation
    quantities: FloatArray
    cash: Mapping[str, Fraction]
    gains: Mapping[str, float]

    @classmethod
    def of(
        cls,
        book: Book,
        valuation: Valuation,
        quantities: FloatArray,
        balances: Mapping[str, float],
    ) -> Ledger:
        """From a book, and its margin balances with the gains of perpetuals and futures at these marks."""
        cash: dict[str, Fraction] = {}
        for (_, _, currency), amount in book.cash.items():
            cash[currency] = cash.get(currency, Fraction(0)) + amount
        names = dict.fromkeys([*cash, *balances])
        gains = {name: balances.get(name, 0.0) - float(cash.get(name, Fraction(0))) for name in names}
        return cls(valuation, quantities, cash, gains)


@dataclass(frozen=True, slots=True)
class Moved:
    """What the ledger says of the cash between two marks: executions, and payments by cause, (currency,
    amount received). spots: USD per coin at each execution; what is not there counts at the later mark."""

    fills: tuple[Fill, ...] = ()
    spots: tuple[Mapping[str, float], ...] = ()
    funding: tuple[tuple[str, float], ...] = ()
    settlement: tuple[tuple[str, float], ...] = ()
    transfers: tuple[tuple[str, float], ...] = ()


@dataclass(slots=True)
class _Cash:
    """Amounts by cause and currency, exact."""

    amounts: dict[tuple[str, str], Fraction] = field(default_factory=dict)

    def add(self, cause: str, currency: str, amount: Fraction) -> None:
        key = (cause, currency)
        self.amounts[key] = self.amounts.get(key, Fraction(0)) + amount


def state_change(before: Ledger, after: Ledger, moved: Moved) -> Statement:
    """The change of equity between two marks by what moved it; `total` is the change itself, exactly.

    Nothing is raised for what cannot be valued: it is NaN.

    Reference: this module's head.
    """
    cash = _Cash()
    for fill in moved.fills:
        _trade(cash, fill)
    for cause in ("funding", "settlement", "transfers"):
        for currency, amount in getattr(moved, cause):
            cash.add(cause, currency, Fraction(amount))
    spot = dict(zip(after.valuation.universe.underlyings, after.valuation.spot.tolist(), strict=True))
    was = dict(zip(before.valuation.universe.underlyings, before.valuation.spot.tolist(), strict=True))
    parts = dict.fromkeys(("premiums", "fees", "funding", "settlement", "transfers"), 0.0)
    for (cause, currency), exact in cash.amounts.items():
        parts[cause] += _times(float(exact), worth(currency, spot))
    since = math.fsum(_since(fill, then, spot) for fill, then in zip(moved.fills, moved.spots, strict=False))
    parts["fees"] -= since
    futures = unexplained = 0.0
    coins = since
    for name in dict.fromkeys([*before.cash, *after.cash, *before.gains, *after.gains]):
        at, by_now = worth(name, was), worth(name, spot)
        change = after.cash.get(name, Fraction(0)) - before.cash.get(name, Fraction(0))
        told = sum((x for (_, c), x in cash.amounts.items() if c == name), Fraction(0))
        unexplained += _times(float(change - told), by_now)
        futures += _times(after.gains.get(name, 0.0) - before.gains.get(name, 0.0), by_now)
        held = float(before.cash.get(name, Fraction(0))) + before.gains.get(name, 0.0)
        coins += _times(held, by_now - at)
    return Statement(
        **parts,
        futures=futures,
        options=_held(after) - _held(before),
        coins=coins,
        unexplained=unexplained,
    )


def _trade(cash: _Cash, fill: Fill) -> None:
    """A fill's cash: what is paid for at the trade, and its fee."""
    contract = fill.listing.contract
    natural = Fraction(fill.signed) * Fraction(fill.listing.size)
    if not settles_daily(fill.listing):
        cash.add("premiums", contract.settlement, -natural * Fraction(fill.price))
    if contract.kind is Kind.SPOT:
        cash.add("premiums", contract.underlying, natural)
    if fill.fee:
        cash.add("fees", fill.fee_currency, -Fraction(fill.fee))


def _since(fill: Fill, then: Mapping[str, float], spot: Mapping[str, float]) -> float:
    """What a fee's coin moved by from its trade to the later mark, USD; 0 where either is not known."""
    move = worth(fill.fee_currency, spot) - worth(fill.fee_currency, then)
    return -float(fill.fee) * move if fill.fee and math.isfinite(move) else 0.0


def _held(ledger: Ledger) -> float:
    """What is held and not in the balances, USD: options at their marks."""
    held = np.flatnonzero(ledger.quantities)
    return math.fsum((ledger.quantities[held] * ledger.valuation.value_usd[held]).tolist())


def _times(amount: float, usd: float) -> float:
    """Nothing of a currency without a worth is worth nothing; anything else of it is unknown."""
    return amount * usd if amount else 0.0
