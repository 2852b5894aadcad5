"""Binance's symbols, spot and futures: the contract behind each, and the venue it trades on.

Binance is three markets with their own hosts, wallets and clocks, and `BTCUSDT` is a symbol on two of them.
They are three venues here, by the ids that ccxt gives them: `binance` (spot and options), `binanceusdm`
(futures settled in a stable currency), `binancecoinm` (futures settled in the coin).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from pricing.contracts import Contract, Future, Perpetual, Spot
from pricing.daycount import NS_PER_SECOND

SPOT_VENUE, LINEAR_VENUE, INVERSE_VENUE = "binance", "binanceusdm", "binancecoinm"
_LINEAR = re.compile(r"(?P<coin>[A-Z0-9]{2,12}?)(?P<quote>USDT|USDC|FDUSD|BUSD)(?:_(?P<day>[0-9]{6}))?")
_INVERSE = re.compile(r"(?P<coin>[A-Z0-9]{2,12})USD_(?:PERP|(?P<day>[0-9]{6}))")


def binance_contract(symbol: str, futures: bool) -> tuple[str, Contract]:
    """Venue and contract of a symbol; `futures` says which `BTCUSDT` is meant.

    >>> binance_contract("BTCUSDT", futures=True)
    ('binanceusdm', Perpetual(underlying='BTC', settlement='USDT', inverse=False))
    >>> binance_contract("BTCUSD_PERP", futures=True)[0], binance_contract("BTCUSDT", futures=False)[0]
    ('binancecoinm', 'binance')

    Raises:
        ValueError: no such symbol, or not of a coin against dollars.
    """
    if futures and (found := _INVERSE.fullmatch(symbol)):
        coin = found["coin"]
        if found["day"] is None:
            return INVERSE_VENUE, Perpetual(coin, coin, True)
        return INVERSE_VENUE, Future(coin, coin, True, _expiry_ns(found["day"]))
    found = _LINEAR.fullmatch(symbol)
    if found is None or (found["day"] is not None and not futures):
        raise ValueError(symbol)
    coin, quote = found["coin"], found["quote"]
    if not futures:
        return SPOT_VENUE, Spot(coin, quote)
    if found["day"] is None:
        return LINEAR_VENUE, Perpetual(coin, quote, False)
    return LINEAR_VENUE, Future(coin, quote, False, _expiry_ns(found["day"]))


def _expiry_ns(day: str) -> int:
    """08:00 UTC of a day written yymmdd."""
    expiry = datetime.strptime(f"{day}08+0000", "%y%m%d%H%z").astimezone(UTC)
    return int(expiry.timestamp()) * NS_PER_SECOND
