"""The dated venue table shipped with the package: fees, ticks, lots and minimum sizes by product and date.

The numbers live in `venues/tables/*.toml`, each with the day it took effect, its source, and whether that
source confirms it. Recorded data is given the terms of its own time, never today's.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from importlib import resources
from typing import Any

from pricing.contracts import ComboRule, Contract, Fees, Future, Kind, Listing, Option, Perpetual, TickSteps
from pricing.daycount import NS_PER_SECOND
from pricing.errors import InputError


class Product(StrEnum):
    """What a venue sets terms for."""

    INVERSE_OPTION = "inverse_option"
    LINEAR_OPTION = "linear_option"
    INVERSE_PERPETUAL = "inverse_perpetual"
    LINEAR_PERPETUAL = "linear_perpetual"
    INVERSE_FUTURE = "inverse_future"
    INVERSE_WEEKLY_FUTURE = "inverse_weekly_future"
    LINEAR_FUTURE = "linear_future"
    SPOT = "spot"


@dataclass(frozen=True, slots=True)
class Terms:
    """What a venue charges and accepts for a product from a day on.

    fees: as `Fees`. lot, minimum: in the order unit. size: natural units per order unit.
    effective_from: first UTC day. source: where the numbers come from; confirmed: whether it proves them
    for that time. note: None, or what a user must know, such as that a newer schedule exists.
    """

    fees: Fees
    tick_steps: TickSteps
    lot: Decimal
    minimum: Decimal
    size: Decimal
    effective_from: date
    source: str
    confirmed: bool
    note: str | None = None


@dataclass(frozen=True, slots=True)
class VenueTable:
    """All terms of one venue. terms_by_product: newest first, per (product, currency)."""

    venue: str
    schedule_unknown_from: date | None
    schedule_unknown_note: str
    terms_by_product: dict[tuple[Product, str], tuple[Terms, ...]]

    @classmethod
    @lru_cache(maxsize=8)
    def load(cls, venue: str) -> VenueTable:
        """The table of a venue, from the package.

        Raises:
            InputError: the package ships no table of that venue.
        """
        tables = resources.files("venues") / "tables"
        files = [item.name for item in tables.iterdir()]
        known = sorted(name.removesuffix(".toml") for name in files if name.endswith(".toml"))
        if venue not in known:
            raise InputError(
                "VENUE_UNKNOWN",
                "no venue table is shipped for this venue",
                observed=repr(venue),
                allowed=", ".join(known),
            )
        # Decimals from the text: a fee of 0.0003 must not pass through a binary float.
        document = tomllib.loads((tables / f"{venue}.toml").read_text("utf-8"), parse_float=Decimal)
        entries: dict[tuple[Product, str], list[Terms]] = {}
        for entry in document["terms"]:
            for currency in entry["currencies"]:
                entries.setdefault((Product(entry["product"]), currency), []).append(_terms(entry))
        return cls(
            venue=document["venue"],
            schedule_unknown_from=document.get("schedule_unknown_from"),
            schedule_unknown_note=document.get("schedule_unknown_note", ""),
            terms_by_product={
                key: tuple(sorted(found, key=lambda terms: terms.effective_from, reverse=True))
                for key, found in entries.items()
            },
        )

    def terms(self, product: Product | str, currency: str, at_ns: int) -> Terms:
        """The terms of a product on `currency` (its underlying) at a time, UTC nanoseconds.

        Raises:
            InputError: unknown product or currency, or a time before the first known terms.
        """
        known = self.terms_by_product.get((_product(product), currency))
        where = f"venues/tables/{self.venue}.toml"
        if known is None:
            raise InputError(
                "VENUE_TERMS_UNKNOWN",
                "the venue table has no fees, ticks and lots for this product",
                where=where,
                observed=f"{product} on {currency}",
                allowed=", ".join(sorted(f"{p} on {c}" for p, c in self.terms_by_product)),
                fix="leave these instruments out of the source, or add dated terms to the table",
            )
        at = datetime.fromtimestamp(at_ns // NS_PER_SECOND, UTC).date()
        for terms in known:
            if terms.effective_from <= at:
                return self._with_note(terms, at)
        raise InputError(
            "VENUE_TERMS_TOO_EARLY",
            "the venue table does not reach back to this time",
            where=where,
            observed=f"{product} on {currency} at {at.isoformat()}",
            allowed=f"from {known[-1].effective_from.isoformat()} on",
            fix="leave earlier data out of the source, or add dated terms to the table",
        )

    def listing(self, symbol: str, contract: Contract, at_ns: int) -> tuple[Listing, Terms]:
        """A listing with the terms of its time, and those terms. Raises InputError as `terms` does."""
        terms = self.terms(product_of(contract), contract.underlying, at_ns)
        listing = Listing(
            venue=self.venue,
            symbol=symbol,
            contract=contract,
            tick_steps=terms.tick_steps,
            lot=terms.lot,
            minimum=terms.minimum,
            fees=terms.fees,
            size=terms.size,
        )
        return listing, terms

    def _with_note(self, terms: Terms, at: date) -> Terms:
        if self.schedule_unknown_from is None or at < self.schedule_unknown_from:
            return terms
        note = f"{self.venue}: {self.schedule_unknown_note} (since {self.schedule_unknown_from.isoformat()})"
        return replace(terms, confirmed=False, note=note)


def product_of(contract: Contract) -> Product:
    """The product a contract belongs to. Weekly: a future of a Friday that is not its month's last.

    >>> from venues.deribit_names import parse_name
    >>> [product_of(parse_name(name)).value for name in ("BTC-23JUL21", "BTC-30JUL21", "BTC_USDC-PERPETUAL")]
    ['inverse_weekly_future', 'inverse_future', 'linear_perpetual']
    """
    match contract:
        case Option():
            return Product.INVERSE_OPTION if contract.inverse else Product.LINEAR_OPTION
        case Perpetual():
            return Product.INVERSE_PERPETUAL if contract.inverse else Product.LINEAR_PERPETUAL
        case Future() if contract.inverse:
            return Product.INVERSE_WEEKLY_FUTURE if _is_weekly(contract.expiry_ns) else Product.INVERSE_FUTURE
        case Future():
            return Product.LINEAR_FUTURE
    assert contract.kind is Kind.SPOT
    return Product.SPOT


def _is_weekly(expiry_ns: int) -> bool:
    expiry = datetime.fromtimestamp(expiry_ns // NS_PER_SECOND, UTC)
    next_friday_ns = expiry_ns + 7 * 86_400 * NS_PER_SECOND
    next_friday = datetime.fromtimestamp(next_friday_ns // NS_PER_SECOND, UTC)
    return expiry.weekday() == 4 and next_friday.month == expiry.month


def _product(product: Product | str) -> Product:
    try:
        return Product(product)
    except ValueError as error:
        raise InputError(
            "VENUE_PRODUCT", "unknown product", observed=repr(str(product)), allowed=", ".join(Product)
        ) from error


def _terms(entry: dict[str, Any]) -> Terms:
    cap = entry.get("cap")
    return Terms(
        fees=Fees(
            Decimal(entry["maker"]),
            Decimal(entry["taker"]),
            None if cap is None else Decimal(cap),
            ComboRule(entry.get("combo", ComboRule.NONE)),
        ),
        tick_steps=TickSteps.parse(entry["tick_steps"]),
        lot=Decimal(entry["lot"]),
        minimum=Decimal(entry["minimum"]),
        size=Decimal(entry["size"]),
        effective_from=entry["effective_from"],
        source=entry["source"],
        confirmed=entry["confirmed"],
    )
