"""Option names of OKX, Bybit and Binance: the contract behind each (Deribit's: `venues.deribit_names`).

All expire at 08:00 UTC.

OKX `BTC-USD-250328-92000-C`, settled in the coin; Bybit `SOL-28APR23-24-C` in USDC (`-USDT` at the end: in
USDT); Binance `BTC-240927-25000-P` in USDT.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

from pricing.contracts import Contract, Option, Right
from pricing.daycount import NS_PER_SECOND
from pricing.errors import InputError

C = TypeVar("C", bound=Contract)

_STRIKE = r"(?P<strike>(?:0|[1-9][0-9]*)(?:\.[0-9]+)?)"
_COIN = r"(?P<coin>[A-Z][A-Z0-9]{1,9})"
_OKX = re.compile(rf"{_COIN}-USD-(?P<day>[0-9]{{6}})-{_STRIKE}-(?P<right>[CP])")
_BYBIT = re.compile(
    rf"{_COIN}-(?P<day>[1-9][0-9]?[A-Z]{{3}}[0-9]{{2}})-{_STRIKE}-(?P<right>[CP])(?P<usdt>-USDT)?"
)
_BINANCE = re.compile(rf"{_COIN}-(?P<day>[0-9]{{6}})-{_STRIKE}-(?P<right>[CP])")
_EXPIRY_HOUR = 8


def okx_option(name: str) -> Option:
    """The option behind an OKX instrument id.

    >>> okx_option("ETH-USD-211231-9600-C").settlement
    'ETH'

    Raises:
        InputError: the text is no such name.
    """
    return _option("okx", _OKX, name, "%y%m%d", lambda found: found["coin"], "BTC-USD-250328-92000-C")


def bybit_option(name: str) -> Option:
    """The option behind a Bybit symbol.

    >>> bybit_option("SOL-28APR23-24-C").settlement, bybit_option("BTC-26DEC25-90000-P-USDT").settlement
    ('USDC', 'USDT')

    Raises:
        InputError: the text is no such name.
    """
    return _option(
        "bybit",
        _BYBIT,
        name,
        "%d%b%y",
        lambda found: "USDT" if found["usdt"] else "USDC",
        "BTC-6JAN23-17500-C",
    )


def binance_option(name: str) -> Option:
    """The option behind a Binance symbol.

    >>> binance_option("XRP-251219-2.05-P").strike
    2.05

    Raises:
        InputError: the text is no such name.
    """
    return _option("binance", _BINANCE, name, "%y%m%d", lambda found: "USDT", "BTC-240927-25000-P")


def contract_named(parse: Callable[[str], C], name: str, where: str) -> C:
    """The contract that a venue's name stands for, with the place of the name in its source in the error.

    Raises:
        InputError: `parse` refuses the name.
    """
    try:
        return parse(name)
    except InputError as error:
        raise InputError(
            "SOURCE_NAME",
            error.what,
            where=where,
            observed=error.observed,
            allowed=error.allowed,
            not_done="nothing was written",
            fix="correct or drop the row at its source",
        ) from error


def _option(
    venue: str,
    pattern: re.Pattern[str],
    name: str,
    day_format: str,
    settlement: Callable[[re.Match[str]], str],
    example: str,
) -> Option:
    found = pattern.fullmatch(name)
    try:
        if found is None or not float(found["strike"]) > 0:
            raise ValueError(name)
        day = datetime.strptime(found["day"].title(), day_format).replace(hour=_EXPIRY_HOUR, tzinfo=UTC)
    except ValueError:
        raise InputError(
            "VENUE_NAME",
            f"not a name of an option on {venue}",
            observed=repr(name),
            allowed=example,
            fix="spell it as the venue does",
        ) from None
    currency = settlement(found)
    return Option(
        found["coin"],
        currency,
        currency == found["coin"],
        round(day.timestamp()) * NS_PER_SECOND,
        float(found["strike"]),
        Right(found["right"]),
    )
