"""Deribit's JSON for what an account sees of itself: orders, executions, positions, balances."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tests.exchanges.clock import MS
from tests.exchanges.core import Exchange
from tests.exchanges.deribit_words import contract_size, id_of, kind_word, number
from tests.exchanges.money import margin
from tests.exchanges.words import (
    Account,
    Fill,
    Kind,
    Life,
    Order,
    Position,
    PostOnly,
    Summary,
)

_TIF = {"gtc": "good_til_cancelled", "ioc": "immediate_or_cancel", "fok": "fill_or_kill"}
_WHY = {"user": "user_request", "disconnect": "cancel_on_disconnect", "self_trade": "self_trade_prevention"}


def order_row(o: Order, account: Account) -> dict[str, Any]:
    """An order as every method and channel shows it."""
    row: dict[str, Any] = {
        "label": o.client_id,
        "price": number(o.price) if o.price is not None else "market_price",
        "user_id": account.number,
        "amount": float(o.quantity),
        "direction": o.side.value,
        "time_in_force": _TIF[o.time_in_force.value],
        "instrument_name": o.symbol,
        "web": False,
        "api": True,
        "order_id": id_of(o.order_id, o.instrument.settle),
        "creation_timestamp": o.created_ns // MS,
        "replaced": o.replaced,
        "filled_amount": float(o.filled),
        "last_update_timestamp": o.updated_ns // MS,
        "post_only": o.post_only is not PostOnly.OFF,
        "reduce_only": o.reduce_only,
        "average_price": float(o.average or 0),
        "mmp": False,
        "contracts": float(o.quantity / contract_size(o.instrument)),
        "reject_post_only": o.post_only is PostOnly.REJECT,
        "order_state": o.life.value,
        "order_type": "limit" if o.price is not None else "market",
        "is_liquidation": False,
        "risk_reducing": False,
    }
    if o.life is Life.CANCELLED and o.why not in ("ioc", "fok"):
        row["cancel_reason"] = _WHY.get(o.why, o.why.replace(" ", "_"))
    return row


def user_trade(f: Fill, order: Order | None) -> dict[str, Any]:
    """An execution as its owner sees it; direction is the owner's."""
    i = f.instrument
    row: dict[str, Any] = {
        "trade_id": id_of(f.trade_id, i.settle),
        "trade_seq": f.trade_seq,
        "instrument_name": i.symbol,
        "timestamp": f.ns // MS,
        "order_type": "liquidation"
        if f.why == "liquidation"
        else "limit"
        if order and order.price
        else "market",
        "order_id": id_of(f.order_id, i.settle),
        "matching_id": None,
        "direction": f.side.value,
        "tick_direction": 1,
        "index_price": float(f.index),
        "price": float(f.price),
        "amount": float(f.quantity),
        "contracts": float(f.quantity / contract_size(i)),
        "liquidity": "M" if f.maker else "T",
        "fee": round(float(f.fee), 12),
        "fee_currency": f.fee_currency,
        "state": order.life.value if order else "filled",
        "reduce_only": order.reduce_only if order else False,
        "post_only": order is not None and order.post_only is not PostOnly.OFF,
        "mmp": False,
        "risk_reducing": False,
        "api": order is not None,
        "profit_loss": round(float(f.realised), 12),
        "mark_price": float(f.mark),
        "self_trade": False,
    }
    if f.client_id:
        row["label"] = f.client_id
    return row


def position_row(exchange: Exchange, p: Position) -> dict[str, Any]:
    """One of `get_positions`; size is negative for shorts, direction "zero" where flat."""
    i = p.instrument
    mark = exchange.mark_price(i.symbol)
    floating = p.unrealised(mark) if mark else Decimal(0)
    published = exchange.marks.get(i.symbol)
    row: dict[str, Any] = {
        "instrument_name": i.symbol,
        "kind": kind_word(i),
        "average_price": float(p.average),
        "direction": "zero" if not p.quantity else "buy" if p.quantity > 0 else "sell",
        "mark_price": float(mark),
        "index_price": float(exchange.index_price(i.symbol)),
        "initial_margin": float(margin(exchange, i, p.quantity, maintenance=False)),
        "maintenance_margin": float(margin(exchange, i, p.quantity, maintenance=True)),
        "settlement_price": float(mark),
        "total_profit_loss": float(floating + p.realised),
        "floating_profit_loss": float(floating),
        "realized_profit_loss": float(p.realised),
        "size": float(p.quantity),
    }
    if i.kind is Kind.OPTION:
        for name in ("delta", "gamma", "vega", "theta"):
            greek = (getattr(published, name) if published else None) or 0.0
            row[name] = round(greek * float(p.quantity), 6)
        usd = float(exchange.index_price(i.symbol)) if i.inverse else 1.0
        row |= {
            "average_price_usd": float(p.average) * usd, "floating_profit_loss_usd": float(floating) * usd,
        }  # fmt: skip
    else:
        coins = float(i.value(p.quantity, mark)) if i.inverse and mark else float(p.quantity * i.multiplier)
        row |= {"delta": coins, "size_currency": coins, "leverage": 50}
    if i.kind is Kind.PERPETUAL:
        row |= {"realized_funding": float(p.funding), "interest_value": 0.0028}
    return row


def account_summary(exchange: Exchange, account: Account, s: Summary) -> dict[str, Any]:
    """One currency of an account.

    Futures' gains of the session are beside `balance` until settlement: margin_balance = balance +
    futures_session_rpl + futures_session_upl; equity = margin_balance + options_value.
    """
    greeks = dict.fromkeys(("delta", "gamma", "vega", "theta"), 0.0)
    coins, options = 0.0, False
    for p in exchange.positions(account.name):
        if p.instrument.settle != s.currency:
            continue
        row = position_row(exchange, p)
        if p.instrument.kind is Kind.OPTION:
            greeks, options = {k: v + row[k] for k, v in greeks.items()}, True
        else:
            coins += row["delta"]
    settled = s.balance - s.futures_rpl
    pair = f"{s.currency.lower()}_usd"
    initial = s.initial_margin + s.order_margin
    return {
        "currency": s.currency,
        "balance": float(settled),
        "equity": float(s.equity),
        "margin_balance": float(s.margin_balance),
        "available_funds": float(s.available),
        "available_withdrawal_funds": float(max(min(s.available, settled), Decimal(0))),
        "initial_margin": float(initial),
        "maintenance_margin": float(s.maintenance_margin),
        "projected_initial_margin": float(initial),
        "projected_maintenance_margin": float(s.maintenance_margin),
        "futures_pl": float(s.futures_upl + s.futures_rpl),
        "futures_session_upl": float(s.futures_upl),
        "futures_session_rpl": float(s.futures_rpl),
        "options_pl": float(s.options_upl),
        "options_session_upl": float(s.options_upl),
        "options_session_rpl": 0.0,
        "options_value": float(s.options_value),
        "options_delta": greeks["delta"],
        "options_gamma": greeks["gamma"],
        "options_vega": greeks["vega"],
        "options_theta": greeks["theta"],
        "options_gamma_map": {pair: greeks["gamma"]} if options else {},
        "options_vega_map": {pair: greeks["vega"]} if options else {},
        "options_theta_map": {pair: greeks["theta"]} if options else {},
        "delta_total": coins + greeks["delta"],
        "delta_total_map": {pair: coins + greeks["delta"]},
        "projected_delta_total": coins + greeks["delta"],
        "session_upl": float(s.futures_upl + s.options_upl),
        "session_rpl": float(s.futures_rpl),
        "total_pl": float(s.futures_upl + s.futures_rpl + s.options_upl),
        "fee_balance": 0.0,
        "spot_reserve": 0.0,
        "locked_balance": 0.0,
        "additional_reserve": 0.0,
        "estimated_liquidation_ratio": 0.0,
        "estimated_liquidation_ratio_map": {pair: 0.0},
        "portfolio_margining_enabled": False,
        "cross_collateral_enabled": False,
        "margin_model": "segregated_sm",
    }
