"""Universe: immutable ordered listings with aligned columns; every array downstream has its length."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from pricing.contracts import Kind, Listing, Option
from pricing.errors import InputError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Universe:
    """Listings in a fixed order and their columns, each of shape (n,).

    kind: codes of `Kind`. inverse: settled in the coin. underlying: position in `underlyings`.
    sign: +1 call, -1 put, 0 otherwise. strike: USD, NaN where none. expiry_ns: 0 where none.
    size: natural units per order unit. lot, minimum: order units.
    maker, taker, cap: fee rates as in `Fees`, cap inf where there is none.
    """

    listings: tuple[Listing, ...]
    underlyings: tuple[str, ...]
    positions: Mapping[tuple[str, str], int]
    kind: NDArray[np.int8]
    inverse: BoolArray
    underlying: IntArray
    sign: FloatArray
    strike: FloatArray
    expiry_ns: IntArray
    size: FloatArray
    lot: FloatArray
    minimum: FloatArray
    maker: FloatArray
    taker: FloatArray
    cap: FloatArray

    @classmethod
    def of(cls, listings: Iterable[Listing]) -> Universe:
        """Build the columns once.

        Raises:
            InputError: a (venue, symbol) occurs twice.
        """
        items = tuple(listings)
        positions: dict[tuple[str, str], int] = {}
        for i, listing in enumerate(items):
            if listing.key in positions:
                raise InputError(
                    "LISTING_TWICE",
                    "a listing occurs twice",
                    where=f"listings, rows {positions[listing.key]} and {i}",
                    observed=f"{listing.venue} {listing.symbol}",
                    allowed="each venue and symbol once",
                )
            positions[listing.key] = i
        contracts = [listing.contract for listing in items]
        underlyings = tuple(sorted({c.underlying for c in contracts}))
        number = {name: i for i, name in enumerate(underlyings)}
        options = [c if isinstance(c, Option) else None for c in contracts]
        caps = [listing.fees.cap for listing in items]
        columns = cls(
            listings=items,
            underlyings=underlyings,
            positions=MappingProxyType(positions),
            kind=np.array([c.kind for c in contracts], dtype=np.int8),
            inverse=np.array([c.inverse for c in contracts], dtype=np.bool_),
            underlying=np.array([number[c.underlying] for c in contracts], dtype=np.int64),
            sign=np.array([o.right.sign if o else 0.0 for o in options], dtype=np.float64),
            strike=np.array([o.strike if o else np.nan for o in options], dtype=np.float64),
            expiry_ns=np.array([x.expiry_ns for x in items], dtype=np.int64),
            size=np.array([float(x.size) for x in items], dtype=np.float64),
            lot=np.array([float(x.lot) for x in items], dtype=np.float64),
            minimum=np.array([float(x.minimum) for x in items], dtype=np.float64),
            maker=np.array([float(x.fees.maker) for x in items], dtype=np.float64),
            taker=np.array([float(x.fees.taker) for x in items], dtype=np.float64),
            cap=np.array([np.inf if cap is None else float(cap) for cap in caps], dtype=np.float64),
        )
        for name in cls.__slots__:
            column = getattr(columns, name)
            if isinstance(column, np.ndarray):
                column.flags.writeable = False
        return columns

    def __len__(self) -> int:
        return len(self.listings)

    @property
    def is_option(self) -> BoolArray:
        """Mask of options, (n,)."""
        return np.asarray(self.kind == Kind.OPTION)

    def where_underlying(self, name: str) -> BoolArray:
        """Mask of the listings on one underlying, (n,)."""
        return np.asarray(self.underlying == self.underlyings.index(name))
