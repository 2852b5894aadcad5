"""Deribit's instrument names, read and written; and ccxt's unified symbols for the same contracts.

    BTC-27MAR26-70000-C          inverse option            BTC/USD:BTC-260327-70000-C
    BTC_USDC-25DEC26-60000-C     linear option             BTC/USDC:USDC-261225-60000-C
    XRP_USDC-30JUN23-0d5-C       the same, strike 0.5      XRP/USDC:USDC-230630-0.5-C
    BTC-PERPETUAL                inverse perpetual         BTC/USD:BTC
    BTC_USDC-PERPETUAL           linear perpetual          BTC/USDC:USDC
    BTC-27MAR26                  inverse dated future      BTC/USD:BTC-260327
    BTC_USDC-27MAR26             linear dated future       BTC/USDC:USDC-260327
    BTC_USDC                     spot                      BTC/USDC

Every name has one spelling (no leading zeros, capitals only): name -> contract -> name is the identity.
"""

from __future__ import annotations

import re
from datetime import date, timedelta
from decimal import Decimal
from functools import lru_cache

from pricing.contracts import Contract, Future, Option, Perpetual, Right, Spot
from pricing.daycount import NS_PER_SECOND, SECONDS_PER_DAY
from pricing.errors import InputError
from pricing.market import ForwardKind
from venues.option_names import contract_named

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_NAME = re.compile(
    r"(?P<base>[A-Z][A-Z0-9]*)(?:_(?P<quote>[A-Z][A-Z0-9]*))?"
    r"(?:-(?:(?P<perpetual>PERPETUAL)"
    r"|(?P<day>[1-9]|[12][0-9]|3[01])(?P<month>[A-Z]{3})(?P<year>[0-9]{2})"
    r"(?:-(?P<strike>(?:0|[1-9][0-9]*)(?:d[0-9]*[1-9])?)-(?P<right>[CP]))?))?"
)
_NS_PER_DAY = SECONDS_PER_DAY * NS_PER_SECOND
_EXPIRY_IN_DAY_NS = 8 * 3600 * NS_PER_SECOND
_EPOCH = date(1970, 1, 1)
#: A float tells decimal numbers of up to 15 digits apart; no strike needs more.
_STRIKE_DIGITS_MAX = 15


@lru_cache(maxsize=65_536)
def parse_name(name: str) -> Contract:
    """The contract behind a Deribit instrument name; expiries are at 08:00 UTC.

    >>> parse_name("XRP_USDC-30JUN23-0d5-C").strike
    0.5

    Raises:
        InputError: the text is not a name of an option, perpetual, future or spot pair.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        raise _malformed(name)
    base, quote = match["base"], match["quote"]
    inverse = quote is None
    settlement = base if quote is None else quote
    if base == quote:
        raise _malformed(name)
    if match["perpetual"]:
        return Perpetual(base, settlement, inverse)
    if match["day"] is None:
        if quote is None:
            raise _malformed(name)
        return Spot(base, quote)
    expiry_ns = _expiry_ns(name, match["day"], match["month"], match["year"])
    if match["strike"] is None:
        return Future(base, settlement, inverse, expiry_ns)
    strike = Decimal(match["strike"].replace("d", "."))
    if strike == 0 or len(strike.as_tuple().digits) > _STRIKE_DIGITS_MAX:
        raise _malformed(name)
    return Option(base, settlement, inverse, expiry_ns, float(strike), Right(match["right"]))


def instrument_name(contract: Contract) -> str:
    """Deribit's name of a contract: the inverse of `parse_name`.

    >>> instrument_name(parse_name("ETH-1FEB26-2300-P"))
    'ETH-1FEB26-2300-P'

    Raises:
        InputError: Deribit has no name for it, such as an expiry away from 08:00 UTC.
    """
    base = contract.underlying if contract.inverse else f"{contract.underlying}_{contract.settlement}"
    name = base
    if isinstance(contract, Perpetual):
        name = f"{base}-PERPETUAL"
    elif isinstance(contract, Future):
        name = f"{base}-{_day_text(contract.expiry_ns)}"
    elif isinstance(contract, Option):
        strike = _strike_text(contract.strike).replace(".", "d")
        name = f"{base}-{_day_text(contract.expiry_ns)}-{strike}-{contract.right.value}"
    if parse_name(name) != contract:
        raise InputError(
            "DERIBIT_NAME",
            "Deribit has no name for this contract",
            observed=contract,
            allowed="expiry at 08:00 UTC; coin-settled, or settled in the currency after the underscore",
        )
    return name


def forward_kind(name: str | None) -> ForwardKind:
    """What Deribit's name of an option's forward says: `SYN.BTC-7FEB26`, `index_price` or a listed future.

    >>> forward_kind("SYN.BTC-7FEB26").label, forward_kind("BTC-27MAR26").label
    ('synthetic', 'listed_future')
    """
    if not name:
        return ForwardKind.NONE
    if name == "index_price":
        return ForwardKind.INDEX
    return ForwardKind.SYNTHETIC if name.startswith("SYN.") else ForwardKind.LISTED_FUTURE


def check_names(name: str, where: str) -> Contract:
    """`parse_name`, with the place of the name in its file in the error."""
    return contract_named(parse_name, name, where)


def check_forward_name(name: str | None, currency: str, where: str) -> None:
    """Refuse a forward's name unless null, `index_price`, or a (`SYN.`) future of the currency."""
    if name is None or forward_kind(name) is ForwardKind.INDEX:
        return
    contract = check_names(name.removeprefix("SYN."), where)
    if isinstance(contract, Option) or contract.underlying != currency:
        raise InputError(
            "SOURCE_NAME",
            "not a forward of this currency",
            where=where,
            observed=name,
            allowed=f"index_price, or a future such as {currency}-27MAR26 or SYN.{currency}-7FEB26",
            not_done="nothing was written",
            fix="correct the row at its source",
        )


def unified_symbol(contract: Contract) -> str:
    """ccxt's unified symbol of a Deribit contract.

    >>> unified_symbol(parse_name("BTC-27MAR26-70000-C"))
    'BTC/USD:BTC-260327-70000-C'
    """
    if isinstance(contract, Spot):
        return f"{contract.underlying}/{contract.settlement}"
    quote = "USD" if contract.inverse else contract.settlement
    stem = f"{contract.underlying}/{quote}:{contract.settlement}"
    if isinstance(contract, Perpetual):
        return stem
    day = _expiry_date(contract.expiry_ns)
    stem = f"{stem}-{day:%y%m%d}"
    if isinstance(contract, Future):
        return stem
    return f"{stem}-{_strike_text(contract.strike)}-{contract.right.value}"


def _malformed(name: str) -> InputError:
    return InputError(
        "DERIBIT_NAME",
        "not a Deribit instrument name",
        observed=repr(name),
        allowed="BTC-27MAR26-70000-C, BTC_USDC-25DEC26-60000-C, BTC-27MAR26, BTC-PERPETUAL, BTC_USDC",
        fix="spell it as the venue does: capitals, no leading zeros, d for a strike's decimal point",
    )


def _expiry_ns(name: str, day: str, month: str, year: str) -> int:
    try:
        expiry = date(2000 + int(year), _MONTHS.index(month) + 1, int(day))
    except ValueError as error:
        raise _malformed(name) from error
    return (expiry - _EPOCH).days * _NS_PER_DAY + _EXPIRY_IN_DAY_NS


def _expiry_date(expiry_ns: int) -> date:
    return _EPOCH + timedelta(days=expiry_ns // _NS_PER_DAY)


def _day_text(expiry_ns: int) -> str:
    expiry = _expiry_date(expiry_ns)
    return f"{expiry.day}{_MONTHS[expiry.month - 1]}{expiry:%y}"


def _strike_text(strike: float) -> str:
    text = format(Decimal(repr(strike)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
