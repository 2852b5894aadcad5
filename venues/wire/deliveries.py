"""At what contracts were settled, as OKX and Binance tell it: USD per coin by symbol.

Sources: OKX v5 "bills" (type 3: the price is the delivery or exercise price); developers.binance.com
"Historical Exercise Records" (`realStrikePrice`) and "Quarterly Contract Settlement Price".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal

from pricing.contracts import Listing, Option
from pricing.errors import InputError
from venues.option_names import binance_option, okx_option
from venues.wire.fields import items

_NS = 10**9
#: An index is never so far from the strike of an option that trades; an option's value in coins always is.
_STRIKES_MOST = 50


def okx_bills(result: object) -> dict[str, Decimal]:
    """The `data` of `account/bills` of type 3.

    An option's price that cannot be an index is left out: nobody knows what it says.

    Raises:
        Malformed: no list of objects, or one of them is no bill.
    """
    found: dict[str, Decimal] = {}
    for row in items(result, "bills"):
        if not row.has("instId") or not row.has("px"):
            continue  # a payment in money alone
        symbol, price = row.text("instId"), row.above_zero("px")
        if row.text("instType") == "OPTION":
            option = _option(okx_option, symbol)
            if option is None or not _may_be_index(price, option.strike):
                continue
        found[symbol] = price
    return found


def _option(read: Callable[[str], Option], symbol: str) -> Option | None:
    try:
        return read(symbol)
    except InputError:
        return None


def _may_be_index(price: Decimal, strike: float) -> bool:
    return strike / _STRIKES_MOST < price < strike * _STRIKES_MOST


def binance_options(result: object, listings: Mapping[str, Listing]) -> dict[str, Decimal]:
    """The rows of `exerciseHistory`, and whatever else expired with one of them: a page may hold only some
    of an expiry's options, and all of them are settled at one price. Names that are none are left out.

    Raises:
        Malformed: no list of objects, or one of them is no exercise.
    """
    found: dict[str, Decimal] = {}
    prices: dict[tuple[str, int], Decimal] = {}
    for row in items(result, "exerciseHistory"):
        symbol, price = row.text("symbol"), row.above_zero("realStrikePrice")
        option = _option(binance_option, symbol)
        if option is None:
            continue
        prices[option.underlying, option.expiry_ns] = found[symbol] = price
    for symbol, listing in listings.items():
        contract = listing.contract
        if isinstance(contract, Option) and (contract.underlying, contract.expiry_ns) in prices:
            found[symbol] = prices[contract.underlying, contract.expiry_ns]
    return found


def binance_futures(result: object, pair: str, since_ns: int) -> dict[str, Decimal]:
    """The rows of `delivery-price` of a pair, from a time on: every one since it was first listed comes.

    Raises:
        Malformed: no list of objects, or one of them is no delivery.
    """
    found: dict[str, Decimal] = {}
    for row in items(result, "delivery-price"):
        at_ns = row.stamp_ns("deliveryTime")
        if at_ns >= since_ns:
            day = datetime.fromtimestamp(at_ns // _NS, tz=UTC).strftime("%y%m%d")
            found[f"{pair}_{day}"] = row.above_zero("deliveryPrice")
    return found
