"""The exact ledger: what is owned, what was paid, in whatever order the fills arrived.

Amounts are rational numbers inside (`Fraction`), so that sums do not depend on their order: an inverse
perpetual pays 1/price, which no decimal holds exactly. `quantities` and `balances` are the doors to floats.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Context, Decimal, Inexact
from fractions import Fraction
from functools import lru_cache
from types import MappingProxyType

import numpy as np

from pricing.contracts import Kind, Listing, Option, Side
from pricing.errors import InputError
from pricing.identity import Same
from pricing.universe import FloatArray, Universe

PositionKey = tuple[str, str, str]
CashKey = tuple[str, str, str]

#: Quantities are added exactly or not at all: more digits than this raise instead of being rounded.
_EXACT = Context(prec=60, traps=[Inexact])


def as_decimal(amount: Fraction) -> Decimal:
    """An amount as a Decimal, without idle zeros behind the point: exact where it is one; else, as gains of
    inverse contracts can be, the nearest of 28 digits.

    >>> as_decimal(Fraction(-3, 2)), as_decimal(Fraction(1500))
    (Decimal('-1.5'), Decimal('1500'))
    """
    top, bottom = amount.as_integer_ratio()
    most = bottom.bit_length()  # more digits than that has no decimal of this denominator
    if 10**most % bottom:
        return Decimal(top) / Decimal(bottom)
    digits = next(n for n in range(most + 1) if 10**n % bottom == 0)
    return Decimal(f"{top * 10**digits // bottom}e-{digits}")


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution. quantity > 0 in order units, price in the venue's quotation, fee > 0 is paid."""

    listing: Listing
    side: Side
    quantity: Decimal
    price: Decimal
    fee: Decimal
    fee_currency: str
    account: str = ""
    trade_id: str = ""
    time_ns: int = 0

    def __post_init__(self) -> None:
        numbers = (self.quantity, self.price, self.fee)
        if not all(x.is_finite() for x in numbers) or self.quantity <= 0 or self.price <= 0:
            raise ValueError(f"fill of {self.listing.symbol}: quantity and price must be positive: {numbers}")

    @property
    def signed(self) -> Decimal:
        """Quantity with the sign of the side."""
        return self.quantity if self.side is Side.BUY else -self.quantity


@dataclass(frozen=True, slots=True)
class Position:
    """A signed quantity of a listing, in order units.

    paid: perpetuals and futures only: the sum of the entries, linear sum(q p) in the settlement
    currency, inverse sum(Q/p) in coin; the gain is then q F - paid, inverse paid - Q/F.
    average_price: for display; None where unknown.
    """

    listing: Listing
    account: str
    quantity: Decimal
    paid: Fraction = Fraction(0)
    average_price: Decimal | None = None

    @property
    def key(self) -> PositionKey:
        """(venue, symbol, account)."""
        return self.listing.venue, self.listing.symbol, self.account

    def gain(self, price: Fraction) -> Fraction:
        """Unrealised gain of a perpetual or future at a price, in its settlement currency."""
        natural = Fraction(self.quantity) * Fraction(self.listing.size)
        return self.paid - natural / price if self.listing.contract.inverse else natural * price - self.paid


def by_currency(balances: Mapping[CashKey, Fraction]) -> dict[str, Fraction]:
    """Balances of several accounts added up.

    >>> by_currency({("a", "", "BTC"): Fraction(1), ("b", "", "BTC"): Fraction(2)})
    {'BTC': Fraction(3, 1)}
    """
    totals: dict[str, Fraction] = {}
    for (_, _, currency), amount in balances.items():
        totals[currency] = totals.get(currency, Fraction(0)) + amount
    return totals


def _entry(listing: Listing, quantity: Decimal, price: Decimal) -> Fraction:
    """What a trade of a perpetual or future adds to `Position.paid`."""
    natural = Fraction(quantity) * Fraction(listing.size)
    return natural / Fraction(price) if listing.contract.inverse else natural * Fraction(price)


def _price_of(listing: Listing, prices: Mapping[tuple[str, str], float]) -> Decimal:
    """A listing's price as the shortest decimal that is the same float."""
    price = float(prices[listing.key])
    if not 0.0 < price < float("inf"):
        raise ValueError(f"{listing.venue} {listing.symbol}: gains cannot be reckoned at the price {price}")
    return Decimal(repr(price))


def settles_daily(listing: Listing) -> bool:
    """Whether gains run into the margin balance instead of being paid for at the trade."""
    return listing.contract.kind in (Kind.PERPETUAL, Kind.FUTURE)


#: The positions of a book, which stays the same over thousands of marks.
Positions = Same[Mapping[PositionKey, Position]]


@lru_cache(maxsize=4)
def _quantities(positions: Positions, universe: Universe) -> FloatArray:
    """`Book.quantities`: a book stays the same over thousands of marks."""
    exact: dict[int, Decimal] = {}
    for position in positions.of.values():
        if position.quantity == 0:
            continue
        row = universe.positions.get(position.listing.key)
        if row is None:
            raise InputError(
                "BOOK_UNKNOWN_SYMBOL",
                "a position is not among the listings",
                observed=" ".join(position.key).strip(),
                allowed="symbols in listings",
            )
        exact[row] = _EXACT.add(exact.get(row, Decimal(0)), position.quantity)
    result = np.zeros(len(universe))
    for row, quantity in exact.items():
        result[row] = float(quantity)
    return result


@lru_cache(maxsize=8)
def _daily(positions: Positions) -> tuple[Position, ...]:
    """`Book.daily`."""
    return tuple(p for p in positions.of.values() if settles_daily(p.listing))


@lru_cache(maxsize=8)
def _coins(positions: Positions) -> frozenset[str]:
    """`Book.coins`."""
    return frozenset(p.listing.contract.underlying for p in positions.of.values())


@dataclass(frozen=True, slots=True)
class Book:
    """Positions by (venue, symbol, account) and cash by (venue, account, currency).

    cash of a settlement currency excludes the unrealised gain of perpetuals and futures, which
    `balances` adds at given prices; a book read from a file starts with that gain in its cash.
    """

    positions: Mapping[PositionKey, Position] = field(default_factory=lambda: MappingProxyType({}))
    cash: Mapping[CashKey, Fraction] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def of(cls, positions: Iterable[Position], cash: Mapping[CashKey, Decimal | Fraction]) -> Book:
        """A book from its parts.

        Raises:
            InputError: a position occurs twice.
        """
        found: dict[PositionKey, Position] = {}
        for position in positions:
            if position.key in found:
                raise InputError(
                    "BOOK_DUPLICATE",
                    "a position occurs twice",
                    observed=" ".join(position.key).strip(),
                    allowed="one row per venue, symbol and account",
                    fix="add the quantities up in one row",
                )
            found[position.key] = position
        amounts = {key: Fraction(amount) for key, amount in cash.items()}
        return cls(MappingProxyType(found), MappingProxyType(amounts))

    def apply(self, fill: Fill) -> Book:
        """The book after a fill.

        Spot moves coin and currency; an option's premium is paid in its settlement currency; perpetuals
        and futures move no cash but their fee. The fee leaves the balance of its own currency.
        """
        listing, contract = fill.listing, fill.listing.contract
        account = (listing.venue, fill.account)
        cash = dict(self.cash)

        def pay(currency: str, amount: Fraction) -> None:
            key = (*account, currency)
            cash[key] = cash.get(key, Fraction(0)) - amount

        natural = Fraction(fill.signed) * Fraction(listing.size)
        if not settles_daily(listing):
            pay(contract.settlement, natural * Fraction(fill.price))
        if fill.fee:
            pay(fill.fee_currency, Fraction(fill.fee))
        positions = dict(self.positions)
        if contract.kind is Kind.SPOT:
            # The coin itself is cash: a spot position would count it a second time.
            pay(contract.underlying, -natural)
        else:
            key = (listing.venue, listing.symbol, fill.account)
            old = positions.pop(key, Position(listing, fill.account, Decimal(0)))
            paid = old.paid + (_entry(listing, fill.signed, fill.price) if settles_daily(listing) else 0)
            quantity = _EXACT.add(old.quantity, fill.signed)
            new = replace(old, quantity=quantity, paid=paid, average_price=_average(old, fill, quantity))
            # A closed future keeps its row: its gain is realised but not yet in the cash.
            if quantity != 0 or paid != 0:
                positions[key] = new
        return Book(MappingProxyType(positions), MappingProxyType(cash))

    def quantities(self, universe: Universe) -> FloatArray:
        """Signed quantity per listing, summed over accounts, order units, (n,).

        A closed future, kept for its gain, may have left the universe: it counts zero wherever it is.

        Raises:
            InputError: an open position's listing is not in the universe: unknown is not zero.
        """
        return _quantities(Same(self.positions), universe).copy()

    def part(self, venue: str, account: str | None = None) -> Book:
        """What lies on one account of a venue, or on all of them. Accounts lend each other nothing."""
        positions = {k: p for k, p in self.positions.items() if k[0] == venue and account in (None, k[2])}
        cash = {k: x for k, x in self.cash.items() if k[0] == venue and account in (None, k[1])}
        return Book(MappingProxyType(positions), MappingProxyType(cash))

    @property
    def daily(self) -> tuple[Position, ...]:
        """Perpetuals and futures, in the order of the positions: those whose gains run into the balances."""
        return _daily(Same(self.positions))

    @property
    def coins(self) -> frozenset[str]:
        """Underlyings of the positions."""
        return _coins(Same(self.positions))

    def balances(
        self,
        prices: Mapping[tuple[str, str], float] | None = None,
        unknown: Collection[tuple[str, str]] = (),
    ) -> dict[str, Fraction]:
        """Margin balance per currency, over venues and accounts: `margin_balances` added up."""
        return by_currency(self.margin_balances(prices, unknown))

    def margin_balances(
        self,
        prices: Mapping[tuple[str, str], float] | None = None,
        unknown: Collection[tuple[str, str]] = (),
    ) -> dict[CashKey, Fraction]:
        """Margin balance by (venue, account, currency), with futures marked at `prices`.

        Args:
            prices: price by (venue, symbol) for every open perpetual and future; None: gains left out
                (right for a book just read from a file, whose cash holds them).
            unknown: listings that nobody has ever quoted; their gains are left out, and the caller says so.

        Raises:
            KeyError: an open future has no price. ValueError: its price is no positive number.
        """
        found = dict(self.cash)
        if prices is None:
            return found
        for position in self.daily:
            listing = position.listing
            if listing.key not in unknown:
                account = (listing.venue, position.account, listing.contract.settlement)
                price = _price_of(listing, prices) if position.quantity else Decimal(1)
                found[account] = found.get(account, Fraction(0)) + position.gain(Fraction(price))
        return found

    def pay(self, venue: str, account: str, currency: str, amount: Decimal) -> Book:
        """The book after a payment that is no trade, such as funding; amount > 0 is paid, < 0 received."""
        key = (venue, account, currency)
        return replace(
            self,
            cash=MappingProxyType({**self.cash, key: self.cash.get(key, Fraction(0)) - Fraction(amount)}),
        )

    def settle(self, key: PositionKey, price: Decimal) -> Book:
        """The book after a position's expiry at a settlement price of the underlying, USD per coin.

        An option pays max(sign (price - strike), 0), in coin divided by the price; a future its gain.

        Raises:
            KeyError: no such position. ValueError: the contract does not expire, or the price is not > 0.
        """
        position = self.positions[key]
        contract = position.listing.contract
        exact = Fraction(price)
        if not price > 0 or contract.kind not in (Kind.OPTION, Kind.FUTURE):
            raise ValueError(f"{position.listing.symbol} cannot settle at {price}")
        if isinstance(contract, Option):
            strike = Fraction(repr(float(contract.strike)))
            payoff = max(contract.right.sign * (exact - strike), Fraction(0))
            natural = Fraction(position.quantity) * Fraction(position.listing.size)
            received = natural * (payoff / exact if contract.inverse else payoff)
        else:
            received = position.gain(exact)
        account = (position.listing.venue, position.account, contract.settlement)
        cash = {**self.cash, account: self.cash.get(account, Fraction(0)) + received}
        positions = {k: p for k, p in self.positions.items() if k != key}
        return Book(MappingProxyType(positions), MappingProxyType(cash))

    def marked(self, prices: Mapping[tuple[str, str], float]) -> Book:
        """The same book with the gains of perpetuals and futures up to `prices` moved into cash (settlement).

        Raises:
            KeyError, ValueError: as `balances`.
        """
        cash = dict(self.cash)
        positions: dict[PositionKey, Position] = {}
        for key, position in self.positions.items():
            if not settles_daily(position.listing):
                positions[key] = position
                continue
            listing = position.listing
            price = _price_of(listing, prices) if position.quantity else Decimal(1)
            account = (listing.venue, position.account, listing.contract.settlement)
            cash[account] = cash.get(account, Fraction(0)) + position.gain(Fraction(price))
            if position.quantity:
                positions[key] = replace(position, paid=_entry(listing, position.quantity, price))
        return Book(MappingProxyType(positions), MappingProxyType(cash))

    def opened_at(self, prices: Mapping[tuple[str, str], float]) -> Book:
        """A book from a file, whose cash holds all gains so far: its futures gain from `prices` on.

        Raises:
            KeyError, ValueError: as `balances`.
        """
        positions = {
            key: replace(p, paid=_entry(p.listing, p.quantity, _price_of(p.listing, prices)))
            if settles_daily(p.listing)
            else p
            for key, p in self.positions.items()
        }
        return replace(self, positions=MappingProxyType(positions))


def _average(old: Position, fill: Fill, quantity: Decimal) -> Decimal | None:
    """Average entry for display: volume-weighted while a position grows, the old one while it shrinks.

    Of inverse perpetuals and futures the harmonic average: Q/average is then the sum of the entries Q/p.
    """
    if quantity == 0:
        return None
    if old.quantity == 0 or old.quantity * quantity < 0:
        return fill.price
    if abs(quantity) < abs(old.quantity) or old.average_price is None:
        return old.average_price
    held, bought = abs(old.quantity), fill.quantity
    if settles_daily(old.listing) and old.listing.contract.inverse:
        known = old.average_price > 0
        return abs(quantity) / (held / old.average_price + bought / fill.price) if known else None
    return (held * old.average_price + bought * fill.price) / abs(quantity)
