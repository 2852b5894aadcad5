"""Bybit's REST, v5: what each path answers (`result`), over the core. Paths without /v5."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.exchanges import bybit_words as words
from tests.exchanges.cex import Said, decimal, number
from tests.exchanges.clock import MS
from tests.exchanges.core import Exchange
from tests.exchanges.words import (
    ApiKey,
    Fill,
    Instrument,
    Kind,
    Life,
    Order,
    Position,
    PostOnly,
    Reason,
    Refusal,
    Side,
)

Params = dict[str, Any]
Row = dict[str, Any]
_CATEGORIES = ("spot", "linear", "inverse", "option")
_DEPTHS = {"spot": 200, "linear": 500, "inverse": 500, "option": 25}
_BATCH_MAX = {"option": 20, "linear": 20, "inverse": 20, "spot": 10}

_DERIVATIVES: dict[Reason, tuple[int, str]] = {
    Reason.UNKNOWN_INSTRUMENT: (10001, "params error: symbol invalid"),
    Reason.NOT_TRADING: (110074, "This contract is not live"),
    Reason.BAD_TICK: (10001, "Price invalid"),
    Reason.BAD_LOT: (10001, "Qty invalid"),
    Reason.TOO_SMALL: (10001, "The number of contracts is less than the minimum allowed"),
    Reason.BAD_PRICE: (10001, "Price invalid"),
    Reason.PRICE_TOO_HIGH: (110003, "Order price exceeds the allowable range."),
    Reason.PRICE_TOO_LOW: (110003, "Order price exceeds the allowable range."),
    Reason.NO_FUNDS: (110007, "ab not enough for new order"),
    Reason.WOULD_TAKE: (10001, "params error"),
    Reason.NOT_REDUCING: (110017, "current position is zero, cannot fix reduce-only order qty"),
    Reason.DUPLICATE: (110072, "OrderLinkedID is duplicate"),
    Reason.NOT_FOUND: (110001, "order not exists or too late to cancel"),
    Reason.ALREADY_CLOSED: (110001, "order not exists or too late to cancel"),
    Reason.TOO_MANY_ORDERS: (110020, "Not allowed to have more than 500 active orders"),
    Reason.MAINTENANCE: (10016, "System maintenance, please try again later"),
    Reason.SETTLING: (110031, "Settlement in process, not available for order placing."),
}
_SPOT = _DERIVATIVES | {
    Reason.UNKNOWN_INSTRUMENT: (170121, "Invalid symbol."),
    Reason.BAD_TICK: (170134, "Order price decimal too long."),
    Reason.BAD_LOT: (170137, "Order quantity decimal too long."),
    Reason.TOO_SMALL: (170136, "Order quantity exceeded lower limit."),
    Reason.NO_FUNDS: (170131, "Insufficient balance."),
    Reason.DUPLICATE: (170141, "Duplicate clientOrderId"),
    Reason.NOT_FOUND: (170213, "Order does not exist."),
    Reason.ALREADY_CLOSED: (170213, "Order does not exist."),
}


def refused(reason: Reason, spot: bool) -> Said:
    """A reason in the words of the product."""
    code, text = (_SPOT if spot else _DERIVATIVES)[reason]
    return Said(code, text)


def _lacks(text: str) -> Said:
    return Said(10001, text)


def _category(p: Params) -> str:
    found = str(p.get("category", ""))
    if found not in _CATEGORIES:
        raise _lacks("params error: category invalid" if found else "category is required")
    return found


def instrument(x: Exchange, p: Params) -> Instrument:
    """The one that category and symbol name."""
    category, symbol = _category(p), str(p.get("symbol", ""))
    found = x.instruments.get(words.SPOT + symbol if category == "spot" else symbol)
    if found is None or words.category(found) != category:
        raise refused(Reason.UNKNOWN_INSTRUMENT, category == "spot")
    return found


def _of(x: Exchange, p: Params) -> Callable[[Instrument], bool]:
    """Filter by category, symbol, baseCoin, settleCoin."""
    category = _category(p)

    def wanted(i: Instrument) -> bool:
        told = (("symbol", words.name_of(i)), ("baseCoin", i.base), ("settleCoin", i.settle))
        return words.category(i) == category and all(p.get(k) in (None, "", v) for k, v in told)

    return wanted


def _paged(rows: list[Row], p: Params, most: int, **more: Any) -> Row:
    """A page; the cursor is where the next one begins."""
    start, size = int(p.get("cursor") or 0), min(int(p.get("limit") or 20), most)
    after = start + size
    cursor = str(after) if after < len(rows) else ""
    return {"list": rows[start:after], "nextPageCursor": cursor, **more}


# ---------------------------------------------------------------------------------------------------- public


def _time(x: Exchange, _: Params) -> Row:
    ns = x.now_ns
    return {"timeSecond": str(ns // 10**9), "timeNano": str(ns)}


def _instruments(x: Exchange, p: Params) -> Row:
    wanted = _of(x, p)
    rows = [words.instrument_row(i) for i in x.instruments.values() if wanted(i) and i.active]
    return _paged(rows, {"limit": 500, **p}, 1000, category=p["category"])


def _tickers(x: Exchange, p: Params) -> Row:
    if _category(p) == "option" and not (p.get("symbol") or p.get("baseCoin")):
        raise _lacks("symbol or baseCoin is required")
    wanted = _of(x, p)
    rows = []
    for i in x.instruments.values():
        if wanted(i) and i.active:
            row = words.ticker_row(x, i.symbol)
            if i.kind is Kind.SPOT:
                row |= words.spot_tops(x, i.symbol)
            elif i.right:
                row |= {k.replace("Price", "1Price").replace("Size", "1Size"): row.pop(k) for k in
                        ("bidPrice", "bidSize", "askPrice", "askSize")} | {"bid1Iv": row.pop("bidIv"),
                        "ask1Iv": row.pop("askIv"), "markIv": row.pop("markPriceIv")}  # fmt: skip
            rows.append(row)
    return {"category": p["category"], "list": rows}


def _orderbook(x: Exchange, p: Params) -> Row:
    i = instrument(x, p)
    depth = min(int(p.get("limit") or 25), _DEPTHS[p["category"]])
    rows, book = words.book_rows(x, i.symbol, depth), x.books[i.symbol]
    now = x.clock.now_ms()
    return {
        "s": words.name_of(i), "b": rows[Side.BUY], "a": rows[Side.SELL], "ts": now, "u": book.change_id,
        "seq": book.change_id, "cts": now,
    }  # fmt: skip


def _trades(x: Exchange, p: Params) -> Row:
    rows = x.trades[instrument(x, p).symbol]
    count = int(p.get("limit") or 500)
    return {"category": p["category"], "list": [words.trade_row(t) for t in rows[: -count - 1 : -1]]}


PUBLIC: dict[str, Callable[[Exchange, Params], Row]] = {
    "market/time": _time,
    "market/instruments-info": _instruments,
    "market/tickers": _tickers,
    "market/orderbook": _orderbook,
    "market/recent-trade": _trades,
}


# --------------------------------------------------------------------------------------------------- private


def _needs_scope(p: Params, *names: str) -> None:
    """Linear questions need a symbol or coin."""
    if _category(p) == "linear" and not any(p.get(n) for n in names):
        raise _lacks("Missing some parameters that must be filled in, symbol or settleCoin or baseCoin")


def _named(p: Params, order: Order) -> bool:
    """By either id, where one is given."""
    if p.get("orderId"):
        return words.number_of(str(p["orderId"])) == order.order_id
    return p.get("orderLinkId") in (None, "", order.client_id)


def _realtime(x: Exchange, key: ApiKey, p: Params) -> Row:
    """Open orders; by id, or with openOnly=1, the last 500 that ended too."""
    by_id = p.get("orderId") or p.get("orderLinkId")
    if not by_id:
        _needs_scope(p, "symbol", "settleCoin", "baseCoin")
    wanted = _of(x, p)

    def kept(o: Order) -> bool:
        return wanted(o.instrument) and _named(p, o)

    rows = x.open_orders(key.account, kept)
    if by_id or str(p.get("openOnly")) == "1":
        rows = rows + x.history(key.account, kept)[-500:]
    return _paged([words.order_row(o) for o in reversed(rows)], p, 50, category=p["category"])


def _history(x: Exchange, key: ApiKey, p: Params) -> Row:
    wanted = _of(x, p)
    rows = x.history(key.account, lambda o: wanted(o.instrument) and _named(p, o))
    return _paged([words.order_row(o) for o in reversed(rows)], p, 50, category=p["category"])


def _executions(x: Exchange, key: ApiKey, p: Params) -> Row:
    wanted = _of(x, p)
    begin, end = int(p.get("startTime") or 0) * MS, int(p.get("endTime") or 10**15) * MS

    def kept(f: Fill) -> bool:
        order = x.orders.get(f.order_id)
        named = _named(p, order) if order else not (p.get("orderId") or p.get("orderLinkId"))
        return wanted(f.instrument) and begin <= f.ns <= end and named

    rows = [words.fill_row(f, x.orders.get(f.order_id)) for f in reversed(x.fills(key.account, kept))]
    return _paged(rows, {"limit": 50, **p}, 100, category=p["category"])


def _positions(x: Exchange, key: ApiKey, p: Params) -> Row:
    """What is held; a symbol that is asked for answers flat too."""
    if _category(p) == "spot":
        raise _lacks("params error: category invalid")
    _needs_scope(p, "symbol", "settleCoin")
    wanted = _of(x, p)
    held = x.account(key.account).positions
    known = [held.get(i.symbol) or Position(i) for i in x.instruments.values() if wanted(i)]
    rows = [words.position_row(x, h) for h in known if h.quantity or p.get("symbol")]
    if x.modes.get("hedge"):  # a position for each side, told of where flat, too
        rows = [row | {"positionIdx": side} for row in rows for side in (1, 2)]
    return _paged(rows, p, 200, category=p["category"])


def _wallet(x: Exchange, key: ApiKey, p: Params) -> Row:
    if p.get("accountType") != "UNIFIED":
        raise _lacks("accountType only support UNIFIED.")
    only = [c for c in str(p.get("coin") or "").split(",") if c]
    return {"list": [words.wallet_row(x, key.account, only)]}


def _account_info(x: Exchange, key: ApiKey, _: Params) -> Row:
    return {
        "unifiedMarginStatus": x.modes.get("unifiedMarginStatus", 6), "isMasterTrader": False,
        "marginMode": x.modes.get("marginMode", "REGULAR_MARGIN"),
        "spotHedgingStatus": "OFF", "updatedTime": str(x.clock.now_ms()), "dcpStatus": "OFF", "timeWindow": 0,
        "smpGroup": x.modes.get("smpGroup", 0),
    }  # fmt: skip


def _query_api(x: Exchange, key: ApiKey, _: Params) -> Row:
    """Scopes of the key: what it may do is listed, what it may not is empty."""
    trade = "trade" in key.scopes
    return {
        "id": "1", "note": "desk", "apiKey": key.key, "readOnly": 0 if trade else 1, "secret": "",
        "permissions": {
            "ContractTrade": ["Order", "Position"] if trade else [], "Spot": ["SpotTrade"] if trade else [],
            "Options": ["OptionsTrade"] if trade else [],
            "Derivatives": ["DerivativesTrade"] if trade else [],
            "Wallet": ["Withdraw"] if "withdraw" in key.scopes else [],
        },
        "ips": ["*"], "type": 1, "unified": 0, "uta": 1, "userID": x.account(key.account).number,
        "isMaster": True,
    }  # fmt: skip


def _coins(x: Exchange, key: ApiKey, _: Params) -> Row:
    held = x.account(key.account).balances
    return {"rows": [{"name": c, "coin": c, "remainAmount": "0", "chains": []} for c in held]}


def _fee_rate(x: Exchange, key: ApiKey, p: Params) -> Row:
    wanted = _of(x, p)
    rows = [
        {
            "symbol": words.name_of(i), "baseCoin": i.base if i.right else "",
            "takerFeeRate": number(i.taker_fee), "makerFeeRate": number(i.maker_fee),
        }
        for i in x.instruments.values()
        if wanted(i)
    ]  # fmt: skip
    return {"list": rows}


def _deliveries(x: Exchange, key: ApiKey, p: Params) -> Row:
    """At what the contracts that were held and have expired were settled."""
    wanted, begin = _of(x, p), int(p.get("startTime") or 0) * MS
    rows = []
    for told in reversed(x.truth.of("settlement", account=key.account)):
        i = x.instruments[told["symbol"]]
        if wanted(i) and i.kind is not Kind.PERPETUAL and told["ns"] >= begin:
            long = not str(told["quantity"]).startswith("-")
            rows.append(
                {
                    "deliveryTime": told["ns"] // MS, "symbol": words.name_of(i),
                    "side": "Buy" if long else "Sell",
                    "position": str(told["quantity"]).lstrip("-"), "entryPrice": "0",
                    "deliveryPrice": told["price"], "strike": number(i.strike), "fee": "0",
                    "deliveryRpl": told["amount"],
                }
            )  # fmt: skip
    return _paged(rows, p, 50, category=p["category"])


PRIVATE: dict[str, Callable[[Exchange, ApiKey, Params], Row]] = {
    "asset/delivery-record": _deliveries,
    "order/realtime": _realtime,
    "order/history": _history,
    "execution/list": _executions,
    "position/list": _positions,
    "account/wallet-balance": _wallet,
    "account/info": _account_info,
    "account/fee-rate": _fee_rate,
    "user/query-api": _query_api,
    "asset/coin/query-info": _coins,
}


# --------------------------------------------------------------------------------------------------- trading


def _ids(order: Order) -> Row:
    return {"orderId": words.order_id(order.order_id), "orderLinkId": order.client_id}


def _create(x: Exchange, account: str, p: Params) -> Row:
    i = instrument(x, p)
    client_id = str(p.get("orderLinkId") or "")
    if i.right and not client_id:
        raise _lacks("orderLinkId is required for option")
    if len(client_id) > 36:
        raise _lacks("params error: orderLinkId too long")
    for name, allowed in (("side", ("Buy", "Sell")), ("orderType", ("Limit", "Market"))):
        if p.get(name) not in allowed:
            raise _lacks(f"params error: {name} invalid")
    force = str(p.get("timeInForce") or "GTC")
    if force not in words.FORCES:
        raise _lacks("params error: timeInForce invalid")
    price = decimal(p.get("price")) if p["orderType"] == "Limit" else None
    if price is None and p["orderType"] == "Limit":
        raise _lacks("Price invalid")
    quantity = decimal(p.get("qty"))
    if quantity is None:
        raise _lacks("Qty invalid")
    if i.kind is Kind.SPOT and price is None and p["side"] == "Buy" and p.get("marketUnit") != "baseCoin":
        raise _lacks("this exchange takes market buys by baseCoin alone")
    try:
        order, _ = x.submit(
            account, i.symbol, Side(p["side"].lower()), quantity, price, client_id=client_id,
            time_in_force=words.FORCES[force], reduce_only=_yes(p.get("reduceOnly")),
            post_only=PostOnly.CANCEL if force == "PostOnly" else PostOnly.OFF,
        )  # fmt: skip
    except Refusal as refusal:
        raise refused(refusal.reason, i.kind is Kind.SPOT) from None
    return _ids(order)


def _yes(value: object) -> bool:
    return str(value).lower() == "true"


def _own(x: Exchange, account: str, p: Params) -> Order:
    """The order of either id in its category and symbol."""
    i = instrument(x, p)
    if not p.get("orderId") and not p.get("orderLinkId"):
        raise _lacks("orderId or orderLinkId is required")
    if p.get("orderId"):
        found = x.orders.get(words.number_of(str(p["orderId"])) or -1)
        rows = [found] if found is not None and found.account == account else []
    else:
        rows = x.by_client_id(account, str(p["orderLinkId"]))
    rows = [o for o in rows if o.symbol == i.symbol]
    if not rows:
        raise refused(Reason.NOT_FOUND, i.kind is Kind.SPOT)
    return rows[-1]


def _cancel(x: Exchange, account: str, p: Params) -> Row:
    order = _own(x, account, p)
    if order.life is not Life.OPEN:
        raise refused(Reason.ALREADY_CLOSED, order.instrument.kind is Kind.SPOT)
    x.cancel(account, order.order_id)
    return _ids(order)


def _amend(x: Exchange, account: str, p: Params) -> Row:
    order = _own(x, account, p)
    try:
        x.amend(account, order.order_id, decimal(p.get("qty")), decimal(p.get("price")))
    except Refusal as refusal:
        raise refused(refusal.reason, order.instrument.kind is Kind.SPOT) from None
    return _ids(order)


def _cancel_all(x: Exchange, account: str, p: Params) -> Row:
    _needs_scope(p, "symbol", "settleCoin", "baseCoin")
    wanted = _of(x, p)
    ended = x.cancel_all(account, lambda o: wanted(o.instrument))
    return {"list": [_ids(o) for o in ended], "success": "1"}


TRADING: dict[str, Callable[[Exchange, str, Params], Row]] = {
    "order/create": _create,
    "order/cancel": _cancel,
    "order/amend": _amend,
    "order/cancel-all": _cancel_all,
}


def batch(x: Exchange, account: str, p: Params, what: str) -> tuple[Row, Row]:
    """create-, cancel- and amend-batch: (result, retExtInfo), each order with a code of its own."""
    category, items = _category(p), p.get("request")
    if not isinstance(items, list) or not items:
        raise _lacks("params error: request is required")
    if len(items) > _BATCH_MAX[category]:
        raise _lacks("the number of orders exceeds the limit")
    rows, codes = [], []
    for item in items:
        row = {"category": category, "symbol": item.get("symbol", ""), "orderId": "",
               "orderLinkId": item.get("orderLinkId", "")}  # fmt: skip
        try:
            row |= TRADING[f"order/{what}"](x, account, {**item, "category": category})
            codes.append({"code": 0, "msg": "OK"})
        except Said as said:
            codes.append({"code": said.code, "msg": said.text})
        rows.append(row | ({"createAt": str(x.clock.now_ms())} if what == "create" else {}))
    return {"list": rows}, {"list": codes}
