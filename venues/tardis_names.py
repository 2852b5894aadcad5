"""Tardis' names of exchanges and symbols: our venue, the contract, and in what units its figures are.

Tardis exports what the exchange sends, so figures are in the exchange's own units:

- amounts are order units, contracts on OKX and of coin-settled futures on Binance;
- a vol is in percent on Deribit and a fraction on OKX and Bybit;
- `underlying_price` of an option chain is the forward of the expiry on Deribit (`underlying_index` names it)
  and on Bybit, and the index on OKX;
- a funding rate is that of the exchange's interval: an hour on Hyperliquid, eight on the others here (an
  exchange that shortens it for a while is not told apart).

Symbols are in capitals, those of Hyperliquid and Deribit's `d` of a broken strike, too.

Source: docs.tardis.dev, downloadable CSV files; the exporter's public mappers (tardis-node, `src/mappers`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from pricing.contracts import Contract, Future, Option, Perpetual, Spot
from pricing.daycount import NS_PER_SECOND
from venues.binance_names import INVERSE_VENUE, LINEAR_VENUE, SPOT_VENUE, binance_contract
from venues.deribit_names import parse_name
from venues.option_names import bybit_option, okx_option

_COIN = r"(?P<coin>[A-Z][A-Z0-9]{1,9})"
_OKX = re.compile(rf"{_COIN}-(?P<quote>USD|USDT|USDC)-(?P<what>SWAP|[0-9]{{6}})")
_OKX_SPOT = re.compile(rf"{_COIN}-(?P<quote>USDT|USDC)")
_BYBIT = re.compile(rf"{_COIN}(?P<quote>USDT|USD|PERP)")
_BYBIT_DATED = re.compile(r"(?P<coin>[A-Z][A-Z0-9]{1,9}?)(?P<usdt>USDT)?-(?P<day>[0-9]{1,2}[A-Z]{3}[0-9]{2})")
_BROKEN_STRIKE = re.compile(r"-([0-9]+)D([0-9]+)-(?=[CP]$)")
_EXPIRY_HOUR = 8


@dataclass(frozen=True, slots=True)
class Exchange:
    """venue: ours. contract: behind a symbol of ours, ValueError or InputError where it is none. symbol: ours
    of Tardis'. iv_unit: one vol of 1.0 in its figures. funding_h: hours that its funding rate is for.
    underlying: what `underlying_price` is."""

    venue: str
    contract: Callable[[str], Contract]
    symbol: Callable[[str], str] = str.upper
    iv_unit: float = 1.0
    funding_h: float = 8.0
    underlying: Literal["named", "forward", "index", ""] = ""


def _deribit_symbol(text: str) -> str:
    """
    >>> _deribit_symbol("AVAX_USDC-29MAY26-8D6-P"), _deribit_symbol("BTC-29DEC23-40000-P")
    ('AVAX_USDC-29MAY26-8d6-P', 'BTC-29DEC23-40000-P')
    """
    return _BROKEN_STRIKE.sub(r"-\1d\2-", text.upper())


def _binance(futures: bool, venue: str) -> Callable[[str], Contract]:
    def contract(symbol: str) -> Contract:
        found, contract = binance_contract(symbol, futures)
        if found != venue:
            raise ValueError(symbol)
        return contract

    return contract


def _okx(dated: bool) -> Callable[[str], Contract]:
    """Swaps `BTC-USD-SWAP`, `BTC-USDT-SWAP`; futures `BTC-USD-240329`: against USD settled in the coin."""

    def contract(symbol: str) -> Contract:
        found = _OKX.fullmatch(symbol)
        if found is None or dated is (found["what"] == "SWAP"):
            raise ValueError(symbol)
        coin, inverse = found["coin"], found["quote"] == "USD"
        settlement = coin if inverse else found["quote"]
        if not dated:
            return Perpetual(coin, settlement, inverse)
        return Future(coin, settlement, inverse, _expiry_ns(found["what"], "%y%m%d"))

    return contract


def _okx_spot(symbol: str) -> Contract:
    found = _OKX_SPOT.fullmatch(symbol)
    if found is None:
        raise ValueError(symbol)
    return Spot(found["coin"], found["quote"])


def _bybit(symbol: str) -> Contract:
    """`BTCUSDT`, `BTCPERP` (USDC), `BTCUSD` (settled in the coin); dated `BTC-29MAR24` (USDC) and
    `BTCUSDT-29MAR24`. A future whose name has a month alone (`BTCUSDH24`) does not say when it expires."""
    dated = _BYBIT_DATED.fullmatch(symbol)
    if dated is not None:
        settlement = "USDT" if dated["usdt"] else "USDC"
        return Future(dated["coin"], settlement, False, _expiry_ns(dated["day"].title(), "%d%b%y"))
    found = _BYBIT.fullmatch(symbol)
    if found is None:
        raise ValueError(symbol)
    coin = found["coin"]
    if found["quote"] == "USD":
        return Perpetual(coin, coin, True)
    return Perpetual(coin, "USDT" if found["quote"] == "USDT" else "USDC", False)


def _hyperliquid(symbol: str) -> Contract:
    if not re.fullmatch(r"[A-Z][A-Z0-9]{0,19}", symbol):
        raise ValueError(symbol)
    return Perpetual(symbol, "USDC", False)


def _expiry_ns(day: str, form: str) -> int:
    found = datetime.strptime(day, form).replace(hour=_EXPIRY_HOUR, tzinfo=UTC)
    return round(found.timestamp()) * NS_PER_SECOND


#: By Tardis' name.
EXCHANGES: dict[str, Exchange] = {
    "deribit": Exchange("deribit", parse_name, _deribit_symbol, iv_unit=100.0, underlying="named"),
    "binance": Exchange(SPOT_VENUE, _binance(False, SPOT_VENUE)),
    "binance-futures": Exchange(LINEAR_VENUE, _binance(True, LINEAR_VENUE)),
    "binance-delivery": Exchange(INVERSE_VENUE, _binance(True, INVERSE_VENUE)),
    "okex": Exchange("okx", _okx_spot),
    "okex-swap": Exchange("okx", _okx(False)),
    "okex-futures": Exchange("okx", _okx(True)),
    "okex-options": Exchange("okx", okx_option, underlying="index"),
    "bybit": Exchange("bybit", _bybit),
    "bybit-options": Exchange("bybit", bybit_option, underlying="forward"),
    "hyperliquid": Exchange("hyperliquid", _hyperliquid, funding_h=1.0),
}


def forward_name(exchange: Exchange, contract: Contract, told: str) -> str | None:
    """What stands for an option's forward on the tape; None: the price beside it is none.

    told: the cell `underlying_index`.
    """
    if exchange.underlying == "named":
        return told or None
    if exchange.underlying == "forward" and isinstance(contract, Option):
        day = datetime.fromtimestamp(contract.expiry_ns // NS_PER_SECOND, UTC)
        return f"SYN.{contract.underlying}-{day.day}{day:%b%y}".upper()
    return None
