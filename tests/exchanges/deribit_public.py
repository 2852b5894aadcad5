"""Deribit's public methods: what each `public/...` answers, by name; a method raises `Wrong`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from tests.exchanges import deribit_words as words
from tests.exchanges.clock import MS
from tests.exchanges.deribit_errors import invalid
from tests.exchanges.deribit_params import (
    CURRENCIES,
    covers,
    currency,
    flag,
    instrument,
    text,
    whole,
)
from tests.exchanges.server import Call

if TYPE_CHECKING:
    from tests.exchanges.deribit import Deribit

Method = Callable[["Deribit", Call], Any]


def _instruments(d: Deribit, call: Call) -> list[dict[str, Any]]:
    wanted, kind, expired = currency(call), text(call, "kind", "any"), flag(call, "expired")
    rows = [i for i in d.exchange.instruments.values() if i.active is not expired]
    base = wanted if wanted == "any" else ""
    return [words.instrument_row(i) for i in rows if base or covers(wanted, kind, i)]


def _summaries(d: Deribit, call: Call) -> list[dict[str, Any]]:
    wanted, kind = currency(call, required=True), text(call, "kind", "any")
    return [
        words.book_summary(d.exchange, i.symbol)
        for i in d.exchange.instruments.values()
        if i.active
        and (covers(wanted, kind, i) or (wanted == i.base and kind in ("any", words.kind_word(i))))
    ]


def _last_trades(d: Deribit, call: Call, wanted: Iterable[str]) -> dict[str, Any]:
    rows = [t for symbol in wanted for t in d.exchange.trades[symbol]]
    start, end = whole(call, "start_timestamp", 0), whole(call, "end_timestamp", 1 << 62)
    rows = sorted((t for t in rows if start <= t.ns // MS <= end), key=lambda t: t.trade_id)
    count = whole(call, "count", 10)
    kept = rows[:count] if text(call, "sorting", "default") == "asc" else rows[-count:][::-1]
    return {"trades": [words.public_trade(t) for t in kept], "has_more": len(rows) > count}


def _index_price(d: Deribit, call: Call) -> dict[str, Any]:
    base = text(call, "index_name").split("_")[0].upper()
    price = d.exchange.indices.get(base)
    if price is None:
        raise invalid("index_name", "wrong format")
    return {"index_price": float(price), "estimated_delivery_price": float(price)}


def _currencies(d: Deribit, _: Call) -> list[dict[str, Any]]:
    return [
        {
            "currency": c, "currency_long": name, "coin_type": c if c in ("BTC", "ETH") else "ERC20",
            "fee_precision": 4, "min_confirmations": 1, "min_withdrawal_fee": 0.0001,
            "withdrawal_fee": 0.0001,
            "withdrawal_priorities": [], "in_cross_collateral_pool": True, "apr": 0.0,
        }
        for c, name in CURRENCIES.items()
    ]  # fmt: skip


def _status(d: Deribit, _: Call) -> dict[str, Any]:
    on = d.exchange.maintenance
    return {"locked": "true" if on else "false", "locked_indices": ["btc_usd", "eth_usd"] if on else []}


def _settlements(d: Deribit, call: Call) -> dict[str, Any]:
    name = text(call, "instrument_name")
    rows = [
        {
            "type": "delivery", "timestamp": r["ns"] // MS, "instrument_name": name,
            "index_price": float(r["price"]), "mark_price": float(r["price"]), "position": 0.0,
            "session_profit_loss": 0.0, "profit_loss": 0.0,
        }
        for r in d.exchange.truth.of("settlement", symbol=name)
    ]  # fmt: skip
    return {"settlements": rows, "continuation": "none"}


PUBLIC: dict[str, Method] = {
    "public/test": lambda d, c: {"version": "1.2.26"},
    "public/hello": lambda d, c: {"version": "1.2.26"},
    "public/get_time": lambda d, c: d.exchange.clock.now_ms(),
    "public/status": _status,
    "public/get_currencies": _currencies,
    "public/get_instruments": _instruments,
    "public/get_instrument": lambda d, c: words.instrument_row(instrument(d, c)),
    "public/get_contract_size": lambda d, c: {"contract_size": float(words.contract_size(instrument(d, c)))},
    "public/get_index_price": _index_price,
    "public/get_index_price_names": lambda d, c: sorted(
        {words.index_name(i) for i in d.exchange.instruments.values()}
    ),
    "public/ticker": lambda d, c: words.ticker(d.exchange, instrument(d, c).symbol),
    "public/get_order_book": lambda d, c: words.order_book(
        d.exchange, instrument(d, c).symbol, whole(c, "depth", 5)
    ),
    "public/get_book_summary_by_currency": _summaries,
    "public/get_book_summary_by_instrument": lambda d, c: [
        words.book_summary(d.exchange, instrument(d, c).symbol)
    ],
    "public/get_last_trades_by_instrument": lambda d, c: _last_trades(d, c, [instrument(d, c).symbol]),
    "public/get_last_trades_by_instrument_and_time": lambda d, c: _last_trades(
        d, c, [instrument(d, c).symbol]
    ),
    "public/get_last_trades_by_currency": lambda d, c: _last_trades(d, c, _symbols(d, c)),
    "public/get_last_trades_by_currency_and_time": lambda d, c: _last_trades(d, c, _symbols(d, c)),
    "public/get_last_settlements_by_instrument": _settlements,
}


def _symbols(d: Deribit, call: Call) -> list[str]:
    wanted, kind = currency(call, required=True), text(call, "kind", "any")
    return [i.symbol for i in d.exchange.instruments.values() if covers(wanted, kind, i)]
