"""Deribit's private methods: what each `private/...` answers, by name, and the scope it needs."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tests.exchanges import deribit_errors as errors
from tests.exchanges import deribit_own as own
from tests.exchanges import deribit_words as words
from tests.exchanges.clock import MS
from tests.exchanges.deribit_errors import Wrong, invalid
from tests.exchanges.deribit_params import (
    CURRENCIES,
    covers,
    currency,
    decimal,
    flag,
    instrument,
    text,
    whole,
)
from tests.exchanges.server import Call
from tests.exchanges.words import Fill, Instrument, Kind, Order, PostOnly, Reason, Refusal, Side, TimeInForce

if TYPE_CHECKING:
    from tests.exchanges.deribit import Deribit

Method = Callable[["Deribit", Call], Any]

_TIF = {
    "good_til_cancelled": TimeInForce.GTC,
    "immediate_or_cancel": TimeInForce.IOC,
    "fill_or_kill": TimeInForce.FOK,
}


# ---- orders


def _shown(d: Deribit, call: Call, order: Order) -> dict[str, Any]:
    return own.order_row(order, d.exchange.account(d.account(call)))


def _amount(call: Call, i: Instrument) -> Decimal:
    amount, contracts = decimal(call, "amount"), decimal(call, "contracts")
    if amount is None and contracts is None:
        raise invalid("amount", "value required")
    if contracts is not None:
        told = contracts * words.contract_size(i)
        if amount is not None and amount != told:
            raise invalid("contracts", "must be consistent with amount")
        return told
    assert amount is not None
    return amount


def _within_bands(d: Deribit, i: Instrument, side: Side, price: Decimal | None) -> None:
    if price is None or i.kind is Kind.SPOT or not d.exchange.mark_price(i.symbol):
        return
    low, high = words.bands(d.exchange, i)
    if side is Side.BUY and price > high:
        raise errors.refused(Reason.PRICE_TOO_HIGH)
    if side is Side.SELL and price < low:
        raise errors.refused(Reason.PRICE_TOO_LOW)


def _enter(d: Deribit, call: Call, side: Side) -> dict[str, Any]:
    i = instrument(d, call)
    kind = text(call, "type", "limit")
    if kind not in ("limit", "market"):
        raise Wrong(errors.NOT_DONE)
    price = decimal(call, "price") if kind == "limit" else None
    if kind == "limit" and price is None:
        raise invalid("price", "value required")
    label = text(call, "label", "")
    if len(label) > 64:
        raise invalid("label", "too long")
    tif = text(call, "time_in_force", "good_til_cancelled")
    if tif not in _TIF:
        raise invalid("time_in_force", "value not allowed")
    post = PostOnly.OFF
    if flag(call, "post_only"):
        post = PostOnly.REJECT if flag(call, "reject_post_only") else PostOnly.REPRICE
        if tif != "good_til_cancelled":
            raise invalid("post_only", "not allowed with time_in_force")
    amount = _amount(call, i)
    _within_bands(d, i, side, price)
    order, fills = d.exchange.submit(
        d.account(call), i.symbol, side, amount, price,
        client_id=label, time_in_force=_TIF[tif], post_only=post, reduce_only=flag(call, "reduce_only"),
        session=call.session.name if call.session else "",
    )  # fmt: skip
    return _done(d, call, order, fills)


def _done(d: Deribit, call: Call, order: Order, fills: list[Fill]) -> dict[str, Any]:
    return {"order": _shown(d, call, order), "trades": [own.user_trade(f, order) for f in fills]}


def _edit(d: Deribit, call: Call, order: Order) -> dict[str, Any]:
    price = decimal(call, "price")
    _within_bands(d, order.instrument, order.side, price)
    amount = decimal(call, "amount")
    before = order.post_only, order.reduce_only
    if "post_only" in call.params and order.life.value == "open":
        reject = PostOnly.REJECT if flag(call, "reject_post_only") else PostOnly.REPRICE
        order.post_only = reject if flag(call, "post_only") else PostOnly.OFF
    if "reduce_only" in call.params and order.life.value == "open":
        order.reduce_only = flag(call, "reduce_only")
    try:
        changed, fills = d.exchange.amend(d.account(call), order.order_id, amount, price)
    except Refusal:
        order.post_only, order.reduce_only = before
        raise
    return _done(d, call, changed, fills)


def _by_id(d: Deribit, call: Call) -> Order:
    return d.exchange.order(d.account(call), words.number_of(text(call, "order_id")))


def _labelled(d: Deribit, call: Call) -> list[Order]:
    return d.exchange.by_client_id(d.account(call), text(call, "label"))


def _edit_by_label(d: Deribit, call: Call) -> dict[str, Any]:
    name = instrument(d, call).symbol
    live = [o for o in _labelled(d, call) if o.life.value == "open" and o.symbol == name]
    if len(live) != 1:
        raise Wrong(errors.NOT_FOUND)
    return _edit(d, call, live[0])


def _cancel(d: Deribit, call: Call) -> dict[str, Any]:
    number = words.number_of(text(call, "order_id"))
    return _shown(d, call, d.exchange.cancel(d.account(call), number))


def _cancel_all(d: Deribit, call: Call, where: Callable[[Order], bool]) -> Any:
    ended = d.exchange.cancel_all(d.account(call), where)
    if flag(call, "detailed"):
        return [{"result": [_shown(d, call, o) for o in ended]}]
    return len(ended)


def _cancel_by_kind(d: Deribit, call: Call) -> Any:
    wanted, kind = currency(call), text(call, "kind", "any")
    return _cancel_all(d, call, lambda o: covers(wanted, kind, o.instrument))


def _cancel_by_instrument(d: Deribit, call: Call) -> Any:
    symbol = instrument(d, call).symbol
    return _cancel_all(d, call, lambda o: o.symbol == symbol)


def _cancel_by_label(d: Deribit, call: Call) -> Any:
    label, wanted = text(call, "label"), currency(call)
    return _cancel_all(d, call, lambda o: o.client_id == label and covers(wanted, "any", o.instrument))


# ---- questions


def _open(d: Deribit, call: Call, where: Callable[[Order], bool]) -> list[dict[str, Any]]:
    return [_shown(d, call, o) for o in d.exchange.open_orders(d.account(call), where)]


def _open_by_kind(d: Deribit, call: Call, *, required: bool = False) -> list[dict[str, Any]]:
    wanted, kind = currency(call, required=required), text(call, "kind", "any")
    return _open(d, call, lambda o: covers(wanted, kind, o.instrument))


def _open_by_label(d: Deribit, call: Call) -> list[dict[str, Any]]:
    label, wanted = text(call, "label"), currency(call, required=True)
    return _open(d, call, lambda o: o.client_id == label and covers(wanted, "any", o.instrument))


def _open_by_instrument(d: Deribit, call: Call) -> list[dict[str, Any]]:
    symbol = instrument(d, call).symbol
    return _open(d, call, lambda o: o.symbol == symbol)


def _state_by_label(d: Deribit, call: Call) -> list[dict[str, Any]]:
    wanted = currency(call, required=True)
    return [_shown(d, call, o) for o in _labelled(d, call) if covers(wanted, "any", o.instrument)]


def _history(d: Deribit, call: Call, where: Callable[[Order], bool]) -> list[dict[str, Any]]:
    unfilled = flag(call, "include_unfilled")
    rows = [o for o in d.exchange.history(d.account(call), where) if unfilled or o.filled]
    first = whole(call, "offset", 0)
    newest = sorted(rows, key=lambda o: -o.order_id)[first : first + whole(call, "count", 20)]
    return [_shown(d, call, o) for o in newest]


def _user_trades(d: Deribit, call: Call, where: Callable[[Fill], bool]) -> dict[str, Any]:
    """Newest first unless asked otherwise; ten unless asked for more, never above a thousand."""
    start, end = whole(call, "start_timestamp", 0), whole(call, "end_timestamp", 1 << 62)
    rows = d.exchange.fills(d.account(call), lambda f: where(f) and start <= f.ns // MS <= end)
    if text(call, "sorting", "default") != "asc":
        rows = rows[::-1]
    count = min(whole(call, "count", 10), 1000)
    kept = [own.user_trade(f, d.exchange.orders.get(f.order_id)) for f in rows[:count]]
    return {"trades": kept, "has_more": len(rows) > count}


def _trades_by_kind(d: Deribit, call: Call) -> dict[str, Any]:
    wanted, kind = currency(call, required=True), text(call, "kind", "any")
    return _user_trades(d, call, lambda f: covers(wanted, kind, f.instrument))


def _trades_by_instrument(d: Deribit, call: Call) -> dict[str, Any]:
    symbol = instrument(d, call).symbol
    return _user_trades(d, call, lambda f: f.instrument.symbol == symbol)


def _trades_by_order(d: Deribit, call: Call) -> list[dict[str, Any]]:
    order = _by_id(d, call)
    return [
        own.user_trade(f, order)
        for f in d.exchange.fills(order.account, lambda f: f.order_id == order.order_id)
    ]


def _positions(d: Deribit, call: Call) -> list[dict[str, Any]]:
    wanted, kind = currency(call), text(call, "kind", "any")
    held = d.exchange.account(d.account(call)).positions.values()
    return [own.position_row(d.exchange, p) for p in held if covers(wanted, kind, p.instrument)]


def _position(d: Deribit, call: Call) -> dict[str, Any]:
    i = instrument(d, call)
    held = d.exchange.account(d.account(call)).positions.get(i.symbol)
    if held is None:
        raise errors.refused(Reason.UNKNOWN_INSTRUMENT)
    return own.position_row(d.exchange, held)


def _owner(d: Deribit, call: Call) -> dict[str, Any]:
    account = d.exchange.account(d.account(call))
    return {
        "id": account.number, "email": "user@example.com", "system_name": account.name,
        "username": account.name, "type": "main", "creation_timestamp": 1_687_352_432_143,
        "referrer_id": None, "login_enabled": False, "security_keys_enabled": False, "mmp_enabled": False,
        "interuser_transfers_enabled": False, "self_trading_reject_mode": "cancel_maker",
        "self_trading_extended_to_subaccounts": False, "block_rfq_self_match_prevention": True,
    }  # fmt: skip


def _one_summary(d: Deribit, call: Call, of: str) -> dict[str, Any]:
    account = d.exchange.account(d.account(call))
    row = own.account_summary(d.exchange, account, d.exchange.summary(account.name, of))
    return row | {"limits": d.limits(), "fees": _fees(d, of)}


def _fees(d: Deribit, of: str) -> list[dict[str, Any]]:
    """What the instruments of a settlement currency cost, one row a kind."""
    kinds = {
        i.kind.value: i for i in d.exchange.instruments.values() if i.settle == of and i.kind is not Kind.SPOT
    }
    return [
        {
            "value": {
                "default": {"type": "fixed", "taker": float(i.taker_fee), "maker": float(i.maker_fee)},
                "block_trade": 0.3,
            },
            "kind": kind, "index_name": words.index_name(i),
        }
        for kind, i in kinds.items()
    ]  # fmt: skip


def _summary(d: Deribit, call: Call) -> dict[str, Any]:
    row = _one_summary(d, call, currency(call, required=True))
    return row | (_owner(d, call) if flag(call, "extended") else {})


def _all_summaries(d: Deribit, call: Call) -> dict[str, Any]:
    account = d.exchange.account(d.account(call))
    held = {p.instrument.settle for p in account.positions.values()}
    wanted = [c for c in CURRENCIES if c in account.balances or c in held]
    return _owner(d, call) | {"summaries": [_one_summary(d, call, c) for c in wanted]}


def _subaccounts(d: Deribit, call: Call) -> list[dict[str, Any]]:
    return [_owner(d, call) | {"is_password": True, "receive_notifications": False}]


def _settlements(d: Deribit, call: Call) -> dict[str, Any]:
    """What was delivered to the account, newest first."""
    wanted = currency(call, required=True)
    rows = [
        {
            "type": "delivery", "timestamp": r["ns"] // MS, "instrument_name": r["symbol"],
            "index_price": float(r["price"]), "mark_price": float(r["price"]),
            "position": float(r["quantity"]), "session_profit_loss": float(r["amount"]),
            "profit_loss": float(r["amount"]),
        }
        for r in reversed(d.exchange.truth.of("settlement", account=d.account(call)))
        if covers(wanted, "any", d.exchange.instruments[r["symbol"]])
        and d.exchange.instruments[r["symbol"]].kind is not Kind.PERPETUAL
    ]  # fmt: skip
    return {"settlements": rows[: whole(call, "count", 20)], "continuation": "none"}


_RW, _R, _ACCOUNT, _ACCOUNT_RW = "trade:read_write", "trade:read", "account:read", "account:read_write"

#: Each private method with the scope it needs.
PRIVATE: dict[str, tuple[str, Method]] = {
    "private/buy": (_RW, lambda d, c: _enter(d, c, Side.BUY)),
    "private/sell": (_RW, lambda d, c: _enter(d, c, Side.SELL)),
    "private/edit": (_RW, lambda d, c: _edit(d, c, _by_id(d, c))),
    "private/edit_by_label": (_RW, _edit_by_label),
    "private/cancel": (_RW, _cancel),
    "private/cancel_all": (_RW, lambda d, c: _cancel_all(d, c, lambda o: True)),
    "private/cancel_all_by_currency": (_RW, _cancel_by_kind),
    "private/cancel_all_by_kind_or_type": (_RW, _cancel_by_kind),
    "private/cancel_all_by_instrument": (_RW, _cancel_by_instrument),
    "private/cancel_by_label": (_RW, _cancel_by_label),
    "private/get_open_orders": (_R, _open_by_kind),
    "private/get_open_orders_by_currency": (_R, lambda d, c: _open_by_kind(d, c, required=True)),
    "private/get_open_orders_by_instrument": (_R, _open_by_instrument),
    "private/get_open_orders_by_label": (_R, _open_by_label),
    "private/get_order_state": (_R, lambda d, c: _shown(d, c, _by_id(d, c))),
    "private/get_order_state_by_label": (_R, _state_by_label),
    "private/get_order_history_by_currency": (
        _R,
        lambda d, c: _history(d, c, lambda o: covers(currency(c, required=True), "any", o.instrument)),
    ),
    "private/get_order_history_by_instrument": (
        _R,
        lambda d, c: _history(d, c, lambda o: o.symbol == text(c, "instrument_name")),
    ),
    "private/get_user_trades_by_currency": (_R, _trades_by_kind),
    "private/get_user_trades_by_currency_and_time": (_R, _trades_by_kind),
    "private/get_user_trades_by_instrument": (_R, _trades_by_instrument),
    "private/get_user_trades_by_instrument_and_time": (_R, _trades_by_instrument),
    "private/get_user_trades_by_order": (_R, _trades_by_order),
    "private/get_positions": (_R, _positions),
    "private/get_settlement_history_by_currency": (_R, _settlements),
    "private/get_position": (_R, _position),
    "private/get_account_summary": (_ACCOUNT, _summary),
    "private/get_account_summaries": (_ACCOUNT, _all_summaries),
    "private/get_subaccounts": (_ACCOUNT, _subaccounts),
}
