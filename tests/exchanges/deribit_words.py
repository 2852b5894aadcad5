"""Deribit's JSON for what everybody sees: instruments, tickers, books, summaries, trades.

Shapes are those of recorded messages; `test_deribit_shapes.py` compares them field by field. Numbers leave as
JSON numbers, as Deribit sends them.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tests.exchanges.clock import MS, NS
from tests.exchanges.core import Exchange
from tests.exchanges.words import (
    Instrument,
    Kind,
    PublicTrade,
    Side,
)

FAR_MS = 32_503_708_800_000  # what a perpetual says of its expiry
_DAY_NS = 86_400 * NS
_STATS_MAX = 100  # a ticker looks back at so many trades at most


def number(value: Decimal | None) -> float | None:
    """As JSON has it."""
    return None if value is None else float(value)


def index_name(instrument: Instrument) -> str:
    """btc_usd or btc_usdc."""
    return f"{instrument.base}_{'USDC' if instrument.settle == 'USDC' else 'USD'}".lower()


def kind_word(instrument: Instrument) -> str:
    """future (perpetuals too), option or spot."""
    return {Kind.OPTION: "option", Kind.SPOT: "spot"}.get(instrument.kind, "future")


def id_of(number_: int, settle: str) -> str:
    """Order and trade ids carry the currency, but for BTC."""
    return str(number_) if settle == "BTC" else f"{settle}-{number_}"


def number_of(text: str) -> int:
    """The number in such an id; 0 where there is none."""
    tail = text.rsplit("-", 1)[-1]
    return int(tail) if tail.isdigit() else 0


def contract_size(instrument: Instrument) -> Decimal:
    """Amount of one contract."""
    return instrument.lot if instrument.kind is not Kind.OPTION else Decimal(1)


def instrument_row(i: Instrument) -> dict[str, Any]:
    """One of `get_instruments`."""
    style = "reversed" if i.inverse else "linear"
    expiring = i.expiry_ns is not None
    row: dict[str, Any] = {
        "price_index": index_name(i),
        "kind": kind_word(i),
        "instrument_name": i.symbol,
        "maker_commission": float(i.maker_fee),
        "taker_commission": float(i.taker_fee),
        "instrument_type": style,
        "expiration_timestamp": i.expiry_ns // MS if i.expiry_ns is not None else FAR_MS,
        "creation_timestamp": i.created_ns // MS,
        "is_active": i.active,
        "tick_size": float(i.ticks[0][1]),
        "contract_size": float(contract_size(i)),
        "instrument_id": i.number or abs(hash(i.symbol)) % 1_000_000,
        "min_trade_amount": float(i.minimum),
        "block_trade_commission": 0.00025,
        "block_trade_min_trade_amount": 25,
        "block_trade_tick_size": 0.0001,
        "base_currency": i.base,
        "counter_currency": "USDC" if i.settle == "USDC" else "USD",
        "quote_currency": i.quote,
        "tick_size_steps": [{"above_price": float(a), "tick_size": float(t)} for a, t in i.ticks[1:]],
        "state": "open" if i.active else "closed",
    }
    if i.kind is Kind.SPOT:
        return row
    row |= {
        "settlement_currency": i.settle,
        "settlement_period": "month" if expiring else "perpetual",
        "max_liquidation_commission": 0.0075,
    }
    if i.kind is Kind.OPTION:
        row |= {
            "option_type": "call" if i.right == "C" else "put", "strike": number(i.strike), "max_leverage": 1,
        }  # fmt: skip
    else:
        row |= {"future_type": style, "max_leverage": 50, "max_non_default_leverage": 5}
    return row


def _best(exchange: Exchange, symbol: str, side: Side) -> tuple[float | None, float]:
    levels = exchange.books[symbol].side(side).levels(1)
    if levels:
        return float(levels[0][0]), float(levels[0][1])
    return (0.0 if exchange.instruments[symbol].kind is Kind.OPTION else None), 0.0


def _stats(exchange: Exchange, symbol: str) -> dict[str, Any]:
    since = exchange.now_ns - _DAY_NS
    trades = [t for t in exchange.trades[symbol][-_STATS_MAX:] if t.ns >= since]
    prices = [t.price for t in trades]
    coins = sum((_coins(t) for t in trades), Decimal(0))
    usd = sum((_coins(t) * t.index for t in trades), Decimal(0))
    return {
        "high": number(max(prices)) if prices else None,
        "low": number(min(prices)) if prices else None,
        "price_change": round(float((prices[-1] / prices[0] - 1) * 100), 4) if prices else None,
        "volume": round(float(coins), 8),
        "volume_usd": round(float(usd), 2),
        "volume_notional": round(float(usd), 2),
    }


def _coins(trade: PublicTrade) -> Decimal:
    """Base coins traded."""
    i = trade.instrument
    if i.inverse and i.kind is not Kind.OPTION:
        return trade.quantity * i.multiplier / trade.price
    return trade.quantity * i.multiplier


def bands(exchange: Exchange, instrument: Instrument) -> tuple[Decimal, Decimal]:
    """Least and greatest price an order may have."""
    mark = exchange.mark_price(instrument.symbol)
    tick = instrument.tick_at(mark)
    if instrument.kind is Kind.OPTION:
        top = mark + Decimal("0.04") * (1 if instrument.inverse else exchange.index_price(instrument.symbol))
        return tick, (top // tick + 1) * tick
    return (mark * Decimal("0.985")) // tick * tick, (mark * Decimal("1.015")) // tick * tick


def ticker(exchange: Exchange, symbol: str) -> dict[str, Any]:
    """`public/ticker` and the ticker channels."""
    i = exchange.instruments[symbol]
    mark = exchange.marks.get(symbol)
    low, high = bands(exchange, i)
    bid, ask = _best(exchange, symbol, Side.BUY), _best(exchange, symbol, Side.SELL)
    last = exchange.trades[symbol][-1:]
    index = number(exchange.index_price(symbol))
    row: dict[str, Any] = {
        "timestamp": exchange.clock.now_ms(),
        "state": "open" if i.active else "closed",
        "stats": _stats(exchange, symbol),
        "index_price": index,
        "instrument_name": symbol,
        "last_price": number(last[0].price) if last else None,
        "min_price": float(low),
        "max_price": float(high),
        "open_interest": float(mark.open_interest) if mark else 0.0,
        "mark_price": number(exchange.mark_price(symbol)),
        "best_ask_price": ask[0],
        "best_bid_price": bid[0],
        "estimated_delivery_price": index,
        "best_ask_amount": ask[1],
        "best_bid_amount": bid[1],
        "settlement_price": number(exchange.mark_price(symbol)),
    }
    if mark is None:
        return row
    if i.kind is Kind.PERPETUAL:
        row |= {
            "current_funding": 0.0, "funding_8h": number(mark.funding_rate), "interest_value": 0.0028,
        }  # fmt: skip
    if i.kind is Kind.OPTION:
        row |= _option_part(exchange, i, bid[0], ask[0])
    return row


def _option_part(exchange: Exchange, i: Instrument, bid: float | None, ask: float | None) -> dict[str, Any]:
    """What only an option's ticker has; vols in per cent."""
    mark = exchange.marks[i.symbol]
    iv = round((mark.iv or 0.0) * 100, 2)
    greeks = {k: round(getattr(mark, k) or 0.0, 5) for k in ("vega", "theta", "rho", "gamma", "delta")}
    return {
        "underlying_price": number(mark.forward),
        "underlying_index": underlying_of(exchange, i),
        "mark_iv": iv,
        "bid_iv": round(iv * 0.98, 2) if bid else 0.0,
        "ask_iv": round(iv * 1.02, 2) if ask else 0.0,
        "interest_rate": 0.0,
        "greeks": greeks,
    }


def underlying_of(exchange: Exchange, i: Instrument) -> str:
    """The future of the option's expiry where one is listed, else a synthetic of that name."""
    name = "-".join(i.symbol.split("-")[:2])
    return name if name in exchange.instruments else f"SYN.{name}"


def book_levels(exchange: Exchange, symbol: str, depth: int | None) -> dict[str, list[list[float]]]:
    """[price, amount] rows, best first."""
    book = exchange.books[symbol]
    return {
        "bids": [[float(p), float(q)] for p, q in book.bids.levels(depth)],
        "asks": [[float(p), float(q)] for p, q in book.asks.levels(depth)],
    }


def order_book(exchange: Exchange, symbol: str, depth: int) -> dict[str, Any]:
    """`public/get_order_book`."""
    change_id = exchange.books[symbol].change_id
    return ticker(exchange, symbol) | book_levels(exchange, symbol, depth) | {"change_id": change_id}


def book_summary(exchange: Exchange, symbol: str) -> dict[str, Any]:
    """One of `get_book_summary_by_currency`."""
    t, i = ticker(exchange, symbol), exchange.instruments[symbol]
    bid, ask = t["best_bid_price"] or None, t["best_ask_price"] or None
    row: dict[str, Any] = {
        "instrument_name": symbol,
        "base_currency": i.base,
        "quote_currency": i.quote,
        "bid_price": bid,
        "ask_price": ask,
        "mid_price": (bid + ask) / 2 if bid and ask else None,
        "mark_price": t["mark_price"],
        "last": t["last_price"],
        "open_interest": t["open_interest"],
        "volume": t["stats"]["volume"],
        "volume_usd": t["stats"]["volume_usd"],
        "high": t["stats"]["high"],
        "low": t["stats"]["low"],
        "price_change": t["stats"]["price_change"],
        "estimated_delivery_price": t["estimated_delivery_price"],
        "creation_timestamp": t["timestamp"],
    }
    if i.kind is Kind.OPTION:
        row |= {k: t[k] for k in ("mark_iv", "underlying_price", "underlying_index", "interest_rate")}
    elif i.kind is Kind.PERPETUAL:
        row |= {k: t[k] for k in ("current_funding", "funding_8h")}
    return row


def public_trade(t: PublicTrade) -> dict[str, Any]:
    """One of `get_last_trades` and of the trades channels; direction is the taker's."""
    row: dict[str, Any] = {
        "timestamp": t.ns // MS,
        "price": float(t.price),
        "amount": float(t.quantity),
        "direction": t.side.value,
        "index_price": float(t.index),
        "instrument_name": t.instrument.symbol,
        "trade_seq": t.trade_seq,
        "mark_price": float(t.mark),
        "tick_direction": t.tick_direction,
        "contracts": float(t.quantity / contract_size(t.instrument)),
        "trade_id": id_of(t.trade_id, t.instrument.settle),
    }
    return row
