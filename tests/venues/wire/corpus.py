"""Recorded messages of the venues, and every reader that they may be given to."""

from __future__ import annotations

import gzip
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from pricing.contracts import Contract, Fees, Listing
from pricing.daycount import NS_PER_SECOND
from venues.orders import AccountMargin
from venues.wire import binance, bybit, deliveries, deribit, hyperliquid, margins, okx
from venues.wire.fields import Wire

AT_NS = 1_735_000_000 * NS_PER_SECOND  # 2024-12-24
Reader = Callable[[Any], object]


def no_fees(_: Contract) -> Fees | None:
    """Nobody has said."""
    return None


def some_fees(_: Contract) -> Fees | None:
    """Round numbers."""
    return Fees(Decimal("0.0002"), Decimal("0.0005"))


def folder() -> Path:
    """The recorded messages.

    Raises:
        Skipped: they are not on this machine.
    """
    data = os.environ.get("HEDGER_DATA")
    if not data or not (Path(data) / "wire").is_dir():
        pytest.skip("HEDGER_DATA names no folder of recorded messages")
    return Path(data) / "wire"


@cache
def recorded(venue: str) -> tuple[tuple[str, Any], ...]:
    """(name, message) of everything recorded of a venue."""
    found = [
        (str(p.relative_to(folder())), p) for p in sorted((folder() / "nautilus" / venue).rglob("*.json"))
    ]
    return tuple((name, json.loads(path.read_text())) for name, path in found)


def recorded_file(venue: str, name: str) -> Any:
    """One recorded message."""
    return json.loads((folder() / "nautilus" / venue / name).read_text())


def cryptofeed_frames() -> Iterator[Any]:
    """The frames of Deribit that were recorded on a line each."""
    for line in (folder() / "cryptofeed" / "DERIBIT.ws.1.0.txt").read_text().splitlines():
        stamp, _, text = line.partition(": ")
        if text.startswith("{") and stamp.replace(".", "").isdigit():
            yield json.loads(text)


def cryptofeed_instruments() -> Iterator[Any]:
    """Deribit's instruments of 2021, one answer a currency."""
    with gzip.open(folder() / "cryptofeed" / "DERIBIT.0.txt.gz", "rt") as lines:
        for line in lines:
            _, _, text = line.partition(": ")
            start = line.find("{")
            document = json.loads(line[start:]) if start >= 0 and text else {}
            if "get_instruments" in line and "result" in document:
                yield document["result"]


def parts(message: Any) -> Iterator[Any]:
    """A message and everything inside it that might be given to a reader."""
    yield message
    if isinstance(message, dict):
        for value in message.values():
            yield from parts(value)
    elif isinstance(message, list):
        for value in message[:3]:
            yield from parts(value)


class _Plenty(dict[str, Decimal]):
    """More of each currency than anybody tells: the other of two figures decides."""

    def get(self, key: str, default: Any = None) -> Any:
        return Decimal(10**17)


def _margin(read: Callable[[Any], Mapping[str, AccountMargin]]) -> Reader:
    """The figures of the one margin that is read; what is left out is unknown: NaN."""

    def figures(value: Any) -> list[float]:
        for told in read(value).values():
            return [told.balance, told.initial, told.maintenance]
        return [math.nan] * 3

    return figures


def _pooled(value: Any) -> dict[str, Any]:
    """An account whose assets are one pool, whether or not it was one when it was recorded."""
    return {**Wire(value, "test").payload, "multiAssetsMargin": True}


def _each(read: Callable[[Wire], object]) -> Reader:
    return lambda value: read(Wire(value, "test"))


def readers(
    listings: Mapping[str, Listing], fees_of: Callable[[Contract], Fees | None] = no_fees
) -> dict[str, dict[str, Reader]]:
    """Every reader by venue and name. listings: what executions and positions may be of."""
    return {
        "deribit": {
            "instruments": lambda x: deribit.instruments(x, AT_NS),
            "ticker": deribit.ticker,
            "summary": deribit.summary,
            "book": deribit.book,
            "public_trades": deribit.public_trades,
            "order_update": deribit.order_update,
            "order_report": deribit.order_report,
            "trade": _each(lambda x: deribit.trade_report(x, listings)),
            "positions": deribit.positions,
            "balances": deribit.balances,
            "margins": _margin(lambda x: margins.deribit([x])),
        },
        "okx": {
            "instruments": lambda x: okx.instruments(x, AT_NS, fees_of),
            "read": lambda x: okx.read(x, listings),
            **{
                f"quote {c}": _each(lambda x, c=c: okx.quote(c, x))  # type: ignore[misc]
                for c in ("tickers", "mark-price", "opt-summary", "funding-rate")
            },
            "best": _each(lambda x: okx.best("BTC-USDT", x)),
            "book": _each(lambda x: okx.book("BTC-USDT", False, x)),
            "public_trade": _each(okx.public_trade),
            "bills": deliveries.okx_bills,
            "order_update": _each(okx.order_update),
            "order_report": _each(okx.order_report),
            "execution": _each(lambda x: okx.execution(x, listings)),
            "positions": okx.positions,
            "balances": lambda x: okx.balances(x, x),
            "balances account": lambda x: okx.balances(x, []),
            "balances held": lambda x: okx.balances([], x),
            "margins": _margin(lambda x: margins.okx(x, {}, "3")),
            "margins apart": _margin(lambda x: margins.okx([{"details": [x]}], _Plenty(), "2")),
            "error_of": okx.error_of,
        },
        "bybit": {
            **{
                f"instruments {c}": lambda x, c=c: bybit.instruments(c, x, AT_NS, fees_of)  # type: ignore[misc]
                for c in ("spot", "linear", "inverse", "option")
            },
            "read": lambda x: bybit.read(x, "linear", listings),
            "read spot": lambda x: bybit.read(x, "spot", listings),
            "read inverse": lambda x: bybit.read(x, "inverse", listings),
            "public_trade": _each(lambda x: bybit.public_trade(x, "linear")),
            "read option": lambda x: bybit.read(x, "option", listings),
            "order_update": _each(bybit.order_update),
            "order_report": _each(lambda x: bybit.order_report(x, "linear")),
            "execution": _each(lambda x: bybit.execution(x, listings)),
            "positions": bybit.positions,
            "balances": lambda x: bybit.balances(x, x, listings),
            "balances wallet": lambda x: bybit.balances(x, [], listings),
            "balances held": lambda x: bybit.balances([], x, listings),
            "margins": _margin(lambda x: margins.bybit(x, "REGULAR_MARGIN")),
            "error_of": bybit.error_of,
        },
        "binance": {
            **{
                f"instruments {v}": lambda x, v=v: binance.instruments(v, x, AT_NS, fees_of)  # type: ignore[misc]
                for v in binance.VENUES
            },
            "read": lambda x: binance.read(x, "binanceusdm", listings),
            "read options": lambda x: binance.read(x, "binance", listings),
            "public_trade": _each(binance.public_trade),
            "order_update": _each(lambda x: binance.order_update(x, AT_NS)),
            "trade_of_order": _each(lambda x: binance.trade_of_order(x, listings)),
            "option_ticker": _each(binance.option_ticker),
            "option_mark_row": _each(lambda x: binance.option_mark_row(x, AT_NS)),
            "option_order_update": _each(lambda x: binance.option_order_update(x, AT_NS)),
            "option_trades": _each(lambda x: binance.option_trades(x, listings)),
            "option_execution": _each(lambda x: binance.option_execution(x, {}, listings)),
            "option_positions": binance.option_positions,
            "option_balances": binance.option_balances,
            "exercises": lambda x: deliveries.binance_options(x, listings),
            "deliveries": lambda x: deliveries.binance_futures(x, "BTCUSDT", 0),
            "order_report": _each(binance.order_report),
            "execution": _each(lambda x: binance.execution(x, {}, listings)),
            "depth": lambda x: binance.depth("BTCUSDT", x, AT_NS),
            "positions": binance.positions,
            "futures_balances": binance.futures_balances,
            "spot_balances": binance.spot_balances,
            "margins pooled": _margin(lambda x: margins.binance_usdm(_pooled(x))),
            "cash": lambda x: list(margins.binance_cash([x]).values()) or [math.nan],
            "margins futures": _margin(lambda x: margins.binance_coinm({"assets": [x]})),
            "margins options": _margin(lambda x: margins.binance_options([x])),
            "error_of": binance.error_of,
        },
        "hyperliquid": {
            "instruments": lambda x: hyperliquid.instruments(x, AT_NS, fees_of),
            "read": lambda x: hyperliquid.read(x, listings),
            "book": hyperliquid.book,
            "context": _each(hyperliquid.context),
            "public_trade": _each(hyperliquid.public_trade),
            "order_update": _each(hyperliquid.order_update),
            "order_report": _each(lambda x: hyperliquid.order_report(x, "open")),
            "execution": _each(lambda x: hyperliquid.execution(x, listings)),
            "positions": hyperliquid.positions,
            "balances": hyperliquid.balances,
            "margins": _margin(margins.hyperliquid),
            "error_of": hyperliquid.error_of,
        },
    }


READERS = readers({})
