"""What is held, as columns: a worst case over thousands of positions is asked for with every order.

The positions of a book do not change from one order to the next, so what is told of them by name (which
instrument, coin and venue each belongs to) is worked out once for a book; what is left for an order is
arithmetic on arrays. Quantities stay exact where they are added to what is pending.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Generic, TypeVar, overload

import numpy as np

from pricing.contracts import Listing
from pricing.identity import Same
from pricing.universe import BoolArray, FloatArray, IntArray, Universe
from risk.book import Book, Positions
from risk.limit_request import Held, ListingKey

#: Venue, symbol, account.
Place = tuple[str, str, str]
#: Lowest and highest position, order units.
Ends = tuple[Decimal, Decimal]
T = TypeVar("T")
_UNKNOWN = Decimal("NaN")


@dataclass(frozen=True, slots=True, eq=False)
class _Names(Generic[T]):
    """Which of its names each entry has: codes (k,), and the code of each name."""

    codes: IntArray
    code: Mapping[T, int]

    @classmethod
    def of(cls, names: Iterable[T]) -> _Names[T]:
        code: dict[T, int] = {}
        codes = [code.setdefault(name, len(code)) for name in names]
        return cls(np.array(codes, dtype=np.int64), code)

    def are(self, name: T) -> BoolArray:
        """Entries of that name: a mask (k,)."""
        return np.asarray(self.codes == self.code.get(name, -1))


@dataclass(frozen=True, slots=True, eq=False)
class _Columns:
    """Positions by place, one entry each. size: (k,) unsigned. odd: symbols whose quantity is no number."""

    listings: tuple[Listing, ...]
    accounts: tuple[str, ...]
    quantities: tuple[Decimal, ...]
    size: FloatArray
    instrument: _Names[ListingKey]
    coin: _Names[str]
    venue: _Names[str]
    place: Mapping[Place, int]
    odd: tuple[str, ...]

    @classmethod
    def of(cls, entries: Sequence[tuple[Listing, str, Decimal]]) -> _Columns:
        odd = [listing.symbol for listing, _, quantity in entries if not quantity.is_finite()]
        return cls(
            listings=tuple(listing for listing, _, _ in entries),
            accounts=tuple(account for _, account, _ in entries),
            quantities=tuple(quantity for _, _, quantity in entries),
            size=np.array([_size(q) for _, _, q in entries], dtype=np.float64),
            instrument=_Names.of(listing.key for listing, _, _ in entries),
            coin=_Names.of(listing.contract.underlying for listing, _, _ in entries),
            venue=_Names.of(listing.venue for listing, _, _ in entries),
            place={(*listing.key, account): i for i, (listing, account, _) in enumerate(entries)},
            odd=tuple(dict.fromkeys(odd)),
        )


@lru_cache(maxsize=4)
def _columns(positions: Positions, universe: Universe) -> tuple[_Columns, IntArray]:
    """The open positions of a book, and their places in the universe, -1 where they have none."""
    entries = [(p.listing, p.account, p.quantity) for p in positions.of.values() if p.quantity]
    rows = [universe.positions.get(listing.key, -1) for listing, _, _ in entries]
    return _Columns.of(entries), np.array(rows, dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Holdings(Sequence[Held]):
    """Booked positions, each at its notional: usd (k,) USD per order unit, NaN unknown."""

    columns: _Columns
    usd: FloatArray

    @classmethod
    def of(cls, held: Sequence[Held]) -> Holdings:
        """From any list of positions; of several entries of one place the sum, at the larger figure."""
        if isinstance(held, Holdings):
            return held
        found: dict[Place, tuple[Listing, Decimal, float]] = {}
        for each in held:
            place = (*each.listing.key, each.account)
            quantity, usd = each.quantity, each.usd_per_unit
            if place in found:
                _, before, known = found[place]
                quantity = before + quantity if quantity.is_finite() and before.is_finite() else _UNKNOWN
                usd = larger(known, usd)
            found[place] = each.listing, quantity, usd
        entries = [(listing, place[2], quantity) for place, (listing, quantity, _) in found.items()]
        return cls(_Columns.of(entries), np.array([usd for _, _, usd in found.values()], dtype=np.float64))

    @classmethod
    def of_book(cls, book: Book, universe: Universe, usd: FloatArray) -> Holdings:
        """The open positions of a book; usd: (n,) of one order unit of every listing."""
        columns, rows = _columns(Same(book.positions), universe)
        return cls(columns, np.where(rows >= 0, usd[rows], np.nan) if rows.size else np.empty(0))

    def __len__(self) -> int:
        return len(self.columns.listings)

    @overload
    def __getitem__(self, at: int) -> Held: ...

    @overload
    def __getitem__(self, at: slice) -> Sequence[Held]: ...

    def __getitem__(self, at: int | slice) -> Held | Sequence[Held]:
        if isinstance(at, slice):
            return [self[i] for i in range(*at.indices(len(self)))]
        x = self.columns
        return Held(x.listings[at], x.quantities[at], float(self.usd[at]), x.accounts[at])

    def __iter__(self) -> Iterator[Held]:
        return (self[i] for i in range(len(self)))

    @property
    def odd(self) -> tuple[str, ...]:
        """Symbols whose quantity is no number."""
        return self.columns.odd

    def quantity(self, place: Place) -> Decimal:
        """The position in one place, order units; 0 where nothing is held."""
        at = self.columns.place.get(place)
        return Decimal(0) if at is None else self.columns.quantities[at]

    def usd_of(self, key: ListingKey) -> float | None:
        """USD per order unit of an instrument, of several figures the larger; None where it is not held."""
        if key not in self.columns.instrument.code:
            return None
        return float(np.max(self.usd[self.columns.instrument.are(key)]))  # NaN stays

    def worst_usd(
        self,
        ends: Mapping[Place, Ends],
        usd: Mapping[ListingKey, float],
        listings: Mapping[ListingKey, Listing],
        mine: Listing,
    ) -> tuple[float, float, float, float]:
        """Worst notional, USD, of an instrument, of its coin, of its venue and of everything.

        Args:
            ends: of the places that something may still move. usd: per order unit of the instruments there.
            listings: those instruments. mine: the instrument asked for.
        """
        x, size, price = self.columns, self.columns.size.copy(), self._usd_by_instrument()
        for key, told in usd.items():
            price[x.instrument.are(key)] = told
        new = []
        for place, pair in ends.items():
            most, at = float(max(abs(pair[0]), abs(pair[1]))), x.place.get(place)
            if at is None:
                new.append((listings[place[:2]], _notional(most, usd[place[:2]])))
            else:
                size[at] = most
        with np.errstate(invalid="ignore"):
            # nothing is worth nothing whatever its price
            worst = np.where(size == 0, 0.0, np.where(price >= 0, size * price, np.nan))
        coin = mine.contract.underlying
        groups = (
            (x.instrument.are(mine.key), lambda y: y.key == mine.key),
            (x.coin.are(coin), lambda y: y.contract.underlying == coin),
            (x.venue.are(mine.venue), lambda y: y.venue == mine.venue),
            (slice(None), lambda y: True),
        )
        sums = [_added(worst[own], [w for y, w in new if belongs(y)]) for own, belongs in groups]
        return sums[0], sums[1], sums[2], sums[3]

    def _usd_by_instrument(self) -> FloatArray:
        """(k,) of several figures for one instrument the larger; NaN stays."""
        codes = self.columns.instrument.codes
        most = np.full(len(self.columns.instrument.code), -np.inf)
        with np.errstate(invalid="ignore"):
            np.maximum.at(most, codes, self.usd)
        return np.asarray(most[codes])


def larger(one: float, other: float) -> float:
    """The larger of two figures; one that is not known stays so."""
    return other if math.isnan(other) or other > one else one


def _size(quantity: Decimal) -> float:
    """Unsigned; a signalling NaN would raise where a quiet one is told."""
    return float(abs(quantity)) if quantity.is_finite() else math.nan


def _notional(most: float, usd_per_unit: float) -> float:
    """Of the larger end of a position; NaN where its price is not known, or negative."""
    if most == 0:
        return 0.0
    return most * usd_per_unit if usd_per_unit >= 0 else math.nan


def _added(worst: FloatArray, more: Sequence[float]) -> float:
    """One after the other, so that the sum does not hang on how the entries are stored."""
    total = float(np.add.accumulate(worst)[-1]) if worst.size else 0.0
    for x in more:
        total += x
    return total
