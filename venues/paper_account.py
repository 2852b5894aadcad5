"""An account on the paper venue: positions, cash, fees, funding and settlement, all through the exact ledger.

- Fees as `risk.costs` reckons them, in decimals, rounded against us at 1e-12 of the currency; a rebate is
  paid out as the venue would.
- Funding runs continuously at the last rate known, on the mark, and is paid at 00:00, 08:00 and 16:00 UTC.
- Gains of perpetuals and futures are paid out at 08:00 UTC; options and futures that expire are settled on
  the average of the index over the 30 minutes before, each value weighted with the time it stood.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Context, Decimal
from fractions import Fraction
from types import MappingProxyType

from pricing.contracts import Kind, Listing, Option
from pricing.daycount import NS_PER_SECOND, SECONDS_PER_DAY, SECONDS_PER_YEAR
from pricing.settlement import WINDOW_YEARS
from risk.book import Book, Fill, PositionKey, settles_daily
from risk.costs import FUNDING_ABSURD_ABOVE, FUNDING_PERIOD_H
from venues.paper_terms import FeeModel

#: Amounts are booked to this; venues round coin at 1e-8.
AMOUNT_STEP = Decimal("1e-12")
#: Settlement prices are averages of floats; venues publish them to a cent or less.
PRICE_DIGITS = 4
WINDOW_NS = round(WINDOW_YEARS * SECONDS_PER_YEAR) * NS_PER_SECOND
DAY_NS = SECONDS_PER_DAY * NS_PER_SECOND
FUNDING_NS = round(FUNDING_PERIOD_H * 3600) * NS_PER_SECOND
SETTLEMENT_HOUR_NS = 8 * 3600 * NS_PER_SECOND

_WIDE = Context(prec=60)


def next_settlement_ns(now_ns: int) -> int:
    """The next 08:00 UTC after a time.

    >>> next_settlement_ns(8 * 3600 * 10**9) // 10**9
    115200
    """
    return (now_ns - SETTLEMENT_HOUR_NS) // DAY_NS * DAY_NS + DAY_NS + SETTLEMENT_HOUR_NS


def next_funding_ns(now_ns: int) -> int:
    """The next 00:00, 08:00 or 16:00 UTC after a time."""
    return now_ns // FUNDING_NS * FUNDING_NS + FUNDING_NS


def fee_of(
    model: FeeModel, listing: Listing, quantity: Decimal, price: Decimal, *, maker: bool, index: float
) -> Decimal:
    """Fee of one fill in the settlement currency, > 0 is paid.

    Options: min(rate, cap x price) coin per coin when settled in coin, min(rate x index, cap x price)
    otherwise; inverse perpetuals and futures: rate x Q / price coin; everything else: rate x notional.

    Raises:
        ValueError: the fee of a linear option hangs on an index that is not known.
    """
    if model is FeeModel.ZERO:
        return Decimal(0)
    fees, contract = listing.fees, listing.contract
    rate = fees.maker if maker else fees.taker
    natural = _WIDE.multiply(quantity, listing.size)
    if isinstance(contract, Option):
        if contract.inverse:
            each = rate
        elif not 0 < index < math.inf:
            raise ValueError(f"{listing.symbol}: the fee needs an index, which is {index}")
        else:
            each = _WIDE.multiply(rate, Decimal(repr(float(index))))
        if fees.cap is not None:
            each = min(each, _WIDE.multiply(fees.cap, price))
        amount = _WIDE.multiply(each, natural)
    elif contract.inverse:
        amount = _WIDE.divide(_WIDE.multiply(rate, natural), price)
    else:
        amount = _WIDE.multiply(_WIDE.multiply(rate, natural), price)
    return amount.quantize(AMOUNT_STEP, ROUND_CEILING, _WIDE)


@dataclass(slots=True)
class IndexAverage:
    """The average of an index over the window before an expiry, each value weighted with its time."""

    end_ns: int
    samples: int = 0
    _value: float = math.nan
    _since_ns: int = 0
    _sum: float = 0.0
    _weight: int = 0

    def note(self, now_ns: int, index: float) -> None:
        """The index stands at this value from now on; NaN or a nonsense number changes nothing."""
        if not 0 < index < math.inf:
            return
        self._run(now_ns)
        self._value, self._since_ns = index, max(now_ns, self.end_ns - WINDOW_NS)
        self.samples += 1

    def price(self) -> Decimal | None:
        """The settlement price at the end of the window; None where no index was ever known."""
        self._run(self.end_ns)
        if not self._weight:
            # every sample came with the last tick of the window, or none came
            return None if math.isnan(self._value) else rounded_price(self._value)
        return rounded_price(self._sum / self._weight)

    def _run(self, now_ns: int) -> None:
        upto = min(now_ns, self.end_ns)
        if not math.isnan(self._value) and upto > self._since_ns:
            self._sum += self._value * (upto - self._since_ns)
            self._weight += upto - self._since_ns
            self._since_ns = upto


def rounded_price(average: float) -> Decimal:
    """A settlement price as it is published, USD per coin."""
    return Decimal(repr(round(average, PRICE_DIGITS)))


@dataclass(slots=True)
class PaperAccount:
    """One account. `book` holds only this venue's and account's positions and cash.

    accrued: funding not yet paid, by symbol, > 0 is owed by us, also where the position has been closed
    since; paid_in: the currency of each. funding_unknown_ns: position-time for which nobody knew a rate,
    counted as none.
    """

    venue: str
    name: str
    book: Book
    accrued: dict[str, Decimal] = field(default_factory=dict)
    paid_in: dict[str, str] = field(default_factory=dict)
    funding_unknown_ns: int = 0

    @classmethod
    def opened(cls, venue: str, name: str, book: Book | None) -> PaperAccount:
        """The part of a book that lies on this venue and account."""
        return cls(venue, name, (book or Book()).part(venue, name))

    def key(self, symbol: str) -> PositionKey:
        """The ledger's key of a symbol."""
        return self.venue, symbol, self.name

    def position(self, symbol: str) -> Decimal:
        """Signed order units; 0 where there is none."""
        held = self.book.positions.get(self.key(symbol))
        return held.quantity if held else Decimal(0)

    def positions(self) -> dict[str, Decimal]:
        """Everything open, by symbol."""
        return {k[1]: p.quantity for k, p in self.book.positions.items() if p.quantity}

    def apply(self, fill: Fill) -> None:
        """Book a fill."""
        self.book = self.book.apply(fill)

    def accrue(self, elapsed_ns: int, terms_of: Mapping[str, tuple[float, float]]) -> None:
        """Let funding run on the open perpetuals; terms_of: (rate per 8 h, mark) by symbol, NaN unknown."""
        for held in self.book.daily:
            contract, symbol = held.listing.contract, held.listing.symbol
            if contract.kind is not Kind.PERPETUAL or not held.quantity:
                continue
            rate, mark = terms_of.get(symbol, (math.nan, math.nan))
            if not (abs(rate) <= FUNDING_ABSURD_ABOVE and 0 < mark < math.inf):
                self.funding_unknown_ns += elapsed_ns
                continue
            natural, price = held.quantity * held.listing.size, Decimal(repr(mark))
            notional = natural / price if contract.inverse else natural * price
            owed = Decimal(repr(rate)) * notional * elapsed_ns / FUNDING_NS
            self.accrued[symbol] = self.accrued.get(symbol, Decimal(0)) + owed
            self.paid_in[symbol] = contract.settlement

    def pay_funding(self) -> list[tuple[str, str, Decimal]]:
        """Pay what has accrued; (symbol, currency, amount) of each payment, > 0 paid by us."""
        paid = []
        for symbol, owed in self.accrued.items():
            amount = owed.quantize(AMOUNT_STEP, ROUND_CEILING)
            if amount:
                currency = self.paid_in[symbol]
                self.book = self.book.pay(self.venue, self.name, currency, amount)
                paid.append((symbol, currency, amount))
        self.accrued = {}
        return paid

    def settle(self, symbol: str, price: Decimal) -> tuple[str, Decimal]:
        """End a position at its expiry; (currency, amount received), rounded for the record only."""
        key = self.key(symbol)
        currency = self.book.positions[key].listing.contract.settlement
        before = self._cash(currency)
        self.book = self.book.settle(key, price)
        return currency, _decimal(self._cash(currency) - before)

    def pay_out_gains(self, prices: Mapping[tuple[str, str], float]) -> list[tuple[str, str, Decimal]]:
        """Move the gains of perpetuals and futures into cash at these prices; those without one wait.

        Returns (symbol, currency, amount received) of each, rounded for the record only.
        """
        paid = []
        for key, held in list(self.book.positions.items()):
            known = not held.quantity or held.listing.key in prices
            if not settles_daily(held.listing) or not known:
                continue
            currency = held.listing.contract.settlement
            before = self._cash(currency)
            one = Book(MappingProxyType({key: held}), self.book.cash).marked(prices)
            rest = {k: p for k, p in self.book.positions.items() if k != key}
            self.book = Book(MappingProxyType({**rest, **one.positions}), one.cash)
            paid.append((key[1], currency, _decimal(self._cash(currency) - before)))
        return paid

    def balances(
        self, prices: Mapping[tuple[str, str], float], unknown: Collection[tuple[str, str]]
    ) -> dict[str, Decimal]:
        """Margin balance by currency: cash, gains at these prices, and funding run up."""
        totals = self.book.balances(prices, unknown)
        for symbol, owed in self.accrued.items():
            currency = self.paid_in[symbol]
            totals[currency] = totals.get(currency, Fraction(0)) - Fraction(owed)
        return {currency: _decimal(amount) for currency, amount in sorted(totals.items())}

    def _cash(self, currency: str) -> Fraction:
        return self.book.cash.get((self.venue, self.name, currency), Fraction(0))


def _decimal(amount: Fraction) -> Decimal:
    """An exact amount, to 1e-12."""
    return Decimal(round(amount / Fraction(AMOUNT_STEP))) * AMOUNT_STEP
