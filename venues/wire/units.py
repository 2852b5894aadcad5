"""What one order unit of a venue is, by product: the project's own table, and the sizes that follow from it.

Libraries get this wrong by factors of 100 (an OKX option contract is ctVal x ctMult coins, not ctVal), and a
venue may change it. So a size comes from the instrument's own fields by a rule that stands in the table, is
checked against what the rule expects of the instrument, and a product without a rule is not traded.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from importlib import resources
from typing import Any

from pricing.contracts import Contract, Fees, Kind, Listing
from pricing.errors import InputError
from venues.errors import UnitsUnknown, Untrusted
from venues.venue_table import Product, VenueTable, product_of
from venues.wire.fields import Wire


class Unit(StrEnum):
    """What an order form counts."""

    COINS = "coins"
    USD = "usd"
    CONTRACTS = "contracts"


class CountedIn(StrEnum):
    """What the size of a contract must be counted in."""

    COIN = "coin"
    USD = "USD"


@dataclass(frozen=True, slots=True)
class UnitRule:
    """How to tell the size of an instrument; the keys are those of the table."""

    unit: Unit
    source: str
    size_fields: tuple[str, ...] = ()
    size_in: str = ""
    size_in_is: CountedIn | None = None
    size_must_be: Mapping[str, Decimal] = field(default_factory=dict)

    def size(self, contract: Contract, item: Wire) -> Decimal:
        """Natural units per order unit of an instrument.

        Raises:
            Malformed: a field of the size is missing or no number above 0.
            UnitsUnknown: the instrument counts in something else than the rule says.
        """
        for key, expected in self.size_must_be.items():
            if item.decimal(key) != expected:
                raise _unknown(item.where, f"{key} = {item.raw(key)}", f"{key} = {expected}")
        if self.size_in_is is not None:
            expected_in = _counted_in(self.size_in_is, contract)
            if item.text(self.size_in) != expected_in:
                raise _unknown(
                    item.where,
                    f"{self.size_in} = {item.raw(self.size_in)}",
                    f"{self.size_in} = {expected_in}",
                )
        size = Decimal(1)
        for key in self.size_fields:
            size *= item.above_zero(key)
        return size


@lru_cache(maxsize=1)
def unit_table() -> Mapping[tuple[str, Product], UnitRule]:
    """The rules by venue and product, from the package."""
    text = (resources.files("venues") / "wire" / "units.toml").read_text("utf-8")
    rules: dict[tuple[str, Product], UnitRule] = {}
    for entry in tomllib.loads(text, parse_float=Decimal)["units"]:
        key = entry["venue"], Product(entry["product"])
        assert key not in rules, f"units.toml has {key} twice"
        rules[key] = _rule(entry)
    return rules


def unit_rule(venue: str, contract: Contract) -> UnitRule:
    """The rule for a contract on a venue.

    Raises:
        UnitsUnknown: the table has none.
    """
    product = product_of(contract)
    if product is Product.INVERSE_WEEKLY_FUTURE:  # fees differ by the week of expiry, units do not
        product = Product.INVERSE_FUTURE
    rule = unit_table().get((venue, product))
    if rule is None:
        known = ", ".join(sorted(p for v, p in unit_table() if v == venue)) or "nothing of this venue"
        raise _unknown(venue, product.value, known)
    return rule


@dataclass(frozen=True, slots=True)
class Instruments:
    """What a venue lists: what can be traded, and what was left out by name, with the reason."""

    listings: tuple[Listing, ...]
    refused: Mapping[str, str]


def merged(parts: Sequence[Instruments]) -> Instruments:
    """What a venue lists, from the answers to several questions; a symbol that occurs twice is refused."""
    listings: dict[str, Listing] = {}
    refused = {symbol: why for part in parts for symbol, why in part.refused.items()}
    for listing in (x for part in parts for x in part.listings):
        if listing.symbol in listings:
            refused[listing.symbol] = "listed twice"
        listings[listing.symbol] = listing
    return Instruments(tuple(x for s, x in listings.items() if s not in refused), refused)


#: Fees of a contract on the account; None where nobody has said.
FeesOf = Callable[[Contract], Fees | None]


def read_instruments(
    found: Sequence[Wire], name_of: Callable[[Wire], str], read: Callable[[Wire], Listing | None]
) -> Instruments:
    """Every instrument that can be read; None from `read`: it does not trade now, which is no fault.

    One strange instrument must not keep us from the others: it is left out, and named with the reason.
    """
    listings: dict[str, Listing] = {}
    refused: dict[str, str] = {}
    for item in found:
        name = item.where
        try:
            name = name_of(item)
            listing = read(item)
        except (Untrusted, InputError) as error:
            refused[name] = error.text()
            continue
        if listing is not None and listing.symbol in listings:
            refused[listing.symbol] = "listed twice"
            del listings[listing.symbol]
        elif listing is not None and listing.symbol not in refused:
            listings[listing.symbol] = listing
    return Instruments(tuple(listings.values()), refused)


def fees_known(venue: str, contract: Contract, at_ns: int, fees_of: FeesOf) -> Fees:
    """What the account pays as the venue told, else by the venue table, which has the cap of options too.

    Raises:
        UnitsUnknown: nobody knows. A fee that is not known is not zero.
    """
    told = fees_of(contract)
    try:
        table = VenueTable.load(venue).terms(product_of(contract), contract.underlying, at_ns).fees
    except InputError:
        table = None
    if told is None:
        if table is None:
            raise UnitsUnknown(
                "FEES_UNKNOWN",
                "nobody has said what trading this costs",
                where=f"{venue} {product_of(contract)}",
                allowed="rates from the account, or terms in the venue table",
                not_done="the instrument is not traded",
            )
        return table
    if table is None or contract.kind is not Kind.OPTION:
        return told
    return Fees(told.maker, told.taker, table.cap if told.cap is None else told.cap, table.combo)


def _counted_in(what: CountedIn, contract: Contract) -> str:
    return contract.underlying if what is CountedIn.COIN else "USD"


def _rule(entry: Mapping[str, Any]) -> UnitRule:
    counted_in = entry.get("size_in_is")
    return UnitRule(
        unit=Unit(entry["unit"]),
        source=entry["source"],
        size_fields=tuple(entry.get("size_fields", ())),
        size_in=entry.get("size_in", ""),
        size_in_is=None if counted_in is None else CountedIn(counted_in),
        size_must_be={key: Decimal(value) for key, value in entry.get("size_must_be", {}).items()},
    )


def _unknown(where: str, observed: str, allowed: str) -> UnitsUnknown:
    return UnitsUnknown(
        "UNITS_UNKNOWN",
        "nobody has said what one order unit of this instrument is",
        where=where[:200],
        observed=observed[:120],
        allowed=allowed,
        not_done="the instrument is not traded",
        fix="add its rule to venues/wire/units.toml, with the source",
    )
