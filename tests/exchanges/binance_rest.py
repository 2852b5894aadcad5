"""Binance's REST over the core: api (spot), fapi (USD-M), dapi (COIN-M), eapi (options), a little of sapi.

Rows of the tables: verb and path without version, as "POST fapi/order". Every answer is made from the wallet
of its product.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from tests.exchanges import binance_words as words
from tests.exchanges.cex import Said, decimal, number, parsed
from tests.exchanges.clock import MS
from tests.exchanges.core import Exchange
from tests.exchanges.words import (
    ZERO,
    ApiKey,
    Fill,
    Instrument,
    Kind,
    Life,
    Order,
    PostOnly,
    Reason,
    Refusal,
    Side,
    TimeInForce,
)

Params = dict[str, Any]
Row = dict[str, Any]
PREFIXES = {"api": "spot", "fapi": "linear", "dapi": "inverse", "eapi": "option", "sapi": "sapi"}

_FUTURES: dict[Reason, tuple[int, str]] = {
    Reason.UNKNOWN_INSTRUMENT: (-1121, "Invalid symbol."),
    Reason.NOT_TRADING: (-4141, "Symbol is closed."),
    Reason.BAD_TICK: (-4014, "Price not increased by tick size."),
    Reason.BAD_LOT: (-1111, "Precision is over the maximum defined for this asset."),
    Reason.TOO_SMALL: (-4003, "Quantity less than or equal to zero."),
    Reason.BAD_PRICE: (-4001, "Price less than 0."),
    Reason.PRICE_TOO_HIGH: (-4016, "Limit price can't be higher than the upper bound."),
    Reason.PRICE_TOO_LOW: (-4024, "Limit price can't be lower than the lower bound."),
    Reason.NO_FUNDS: (-2019, "Margin is insufficient."),
    Reason.WOULD_TAKE: (
        -5022,
        "Due to the order could not be executed as maker, the Post Only order will be rejected.",
    ),
    Reason.NOT_REDUCING: (-2022, "ReduceOnly Order is rejected."),
    Reason.DUPLICATE: (-4116, "ClientOrderId is duplicated."),
    Reason.NOT_FOUND: (-2013, "Order does not exist."),
    Reason.ALREADY_CLOSED: (-2011, "Unknown order sent."),
    Reason.TOO_MANY_ORDERS: (-2025, "Reach max open order limit."),
    Reason.MAINTENANCE: (-1016, "This service is no longer available."),
    Reason.SETTLING: (-4108, "This contract is pending settlement."),
}
_SPOT = _FUTURES | {
    Reason.NOT_TRADING: (-1013, "Market is closed."),
    Reason.BAD_TICK: (-1013, "Filter failure: PRICE_FILTER"),
    Reason.BAD_LOT: (-1013, "Filter failure: LOT_SIZE"),
    Reason.TOO_SMALL: (-1013, "Filter failure: LOT_SIZE"),
    Reason.BAD_PRICE: (-1013, "Filter failure: PRICE_FILTER"),
    Reason.NO_FUNDS: (-2010, "Account has insufficient balance for requested action."),
    Reason.WOULD_TAKE: (-2010, "Order would immediately match and take."),
    Reason.DUPLICATE: (-2010, "Duplicate order sent."),
}
_OPTIONS = _FUTURES | {Reason.NO_FUNDS: (-2018, "Balance is insufficient.")}


def refused(reason: Reason, of: str) -> Said:
    """A reason in the words of the product."""
    code, text = {"spot": _SPOT, "option": _OPTIONS}.get(of, _FUTURES)[reason]
    return Said(code, text, 400)


def missing(name: str) -> Said:
    """A parameter that must be there."""
    return Said(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.", 400)


def instrument(x: Exchange, of: str, p: Params) -> Instrument:
    """The one that product and symbol name."""
    if not p.get("symbol"):
        raise missing("symbol")
    found = x.instruments.get((words.SPOT if of == "spot" else "") + str(p["symbol"]))
    if found is None or words.product(found) != of:
        raise refused(Reason.UNKNOWN_INSTRUMENT, of)
    return found


def _all(x: Exchange, of: str, p: Params) -> list[Instrument]:
    """Those of a product, or the one that is named."""
    if p.get("symbol"):
        return [instrument(x, of, p)]
    return [i for i in x.instruments.values() if words.product(i) == of and i.active]


def _one_or_all(x: Exchange, of: str, p: Params, row: Callable[[Exchange, str], Row]) -> Any:
    rows = [row(x, i.symbol) for i in _all(x, of, p)]
    return rows[0] if p.get("symbol") and of not in ("option", "inverse") else rows


# ---------------------------------------------------------------------------------------------------- public


def _info(x: Exchange, of: str, p: Params) -> Row:
    rows = [words.instrument_row(i) for i in _all(x, of, p)]
    head: Row = {"timezone": "UTC", "serverTime": x.clock.now_ms(), "rateLimits": [], "exchangeFilters": []}
    if of == "option":
        contracts = {i.base: {"baseAsset": i.base, "quoteAsset": "USDT", "underlying": f"{i.base}USDT",
                              "settleAsset": "USDT"} for i in _all(x, of, {})}  # fmt: skip
        return head | {"optionContracts": list(contracts.values()), "optionSymbols": rows,
                       "optionAssets": [{"name": "USDT"}]}  # fmt: skip
    return head | {"symbols": rows} | ({"futuresType": "U_MARGINED"} if of == "linear" else {})


def _depth(x: Exchange, of: str, p: Params) -> Row:
    i = instrument(x, of, p)
    bids, asks = words.sides(x, i.symbol, int(p.get("limit") or 500))
    row: Row = {"lastUpdateId": x.books[i.symbol].change_id, "bids": bids, "asks": asks}
    now = x.clock.now_ms()
    return row if of == "spot" else {**row, "E": now, "T": now}


def _trades(x: Exchange, of: str, p: Params) -> list[Row]:
    rows = x.trades[instrument(x, of, p).symbol]
    return [words.trade_row(t) for t in rows[-int(p.get("limit") or 500) :]]


def _index(x: Exchange, of: str, p: Params) -> Row:
    price = x.indices.get(str(p.get("underlying", "")).removesuffix("USDT"))
    if price is None:
        raise refused(Reason.UNKNOWN_INSTRUMENT, of)
    return {"time": x.clock.now_ms(), "indexPrice": number(price)}


def _exercises(x: Exchange, of: str, p: Params) -> list[Row]:
    """What options were settled at, newest first, a hundred at most; stamped with their own expiry."""
    told = {t["symbol"]: Decimal(t["price"]) for t in reversed(x.truth.of("settlement"))}
    rows: list[Row] = []
    for i in (x.instruments[symbol] for symbol in told):
        at = (i.expiry_ns or 0) // MS
        wanted = int(p.get("startTime") or 0) <= at <= int(p.get("endTime") or 10**15)
        if i.kind is not Kind.OPTION or not wanted or p.get("underlying") not in (None, f"{i.base}USDT"):
            continue
        price = told[i.symbol]
        inside = (price > (i.strike or ZERO)) is (i.right == "C")
        rows.append(
            {
                "symbol": i.symbol, "strikePrice": number(i.strike), "realStrikePrice": number(price),
                "expiryDate": at,
                "strikeResult": "REALISTIC_VALUE_STRICKEN" if inside else "EXTRINSIC_VALUE_EXPIRED",
            }
        )  # fmt: skip
    return rows[: int(p.get("limit") or 100)]


def _delivery_prices(x: Exchange, of: str, p: Params) -> list[Row]:
    """At what the quarters of a pair were settled, newest first, each at its own expiry."""
    told = reversed([t for t in x.truth.of("settlement") if t["symbol"].startswith(f"{p.get('pair')}_")])
    return [
        {"deliveryTime": (i.expiry_ns or 0) // MS, "deliveryPrice": float(t["price"])}
        for t in told
        if (i := x.instruments[t["symbol"]]).kind is Kind.FUTURE and words.product(i) == of
    ]


PUBLIC: dict[str, Callable[[Exchange, str, Params], Any]] = {
    "GET ping": lambda x, of, p: {},
    "GET time": lambda x, of, p: {"serverTime": x.clock.now_ms()},
    "GET exchangeInfo": _info,
    "GET depth": _depth,
    "GET trades": _trades,
    "GET ticker/24hr": lambda x, of, p: _one_or_all(x, of, p, words.day_ticker),
    "GET ticker/bookTicker": lambda x, of, p: _one_or_all(x, of, p, words.book_ticker),
    "GET ticker": lambda x, of, p: _one_or_all(x, of, p, words.day_ticker),
    "GET premiumIndex": lambda x, of, p: _one_or_all(x, of, p, words.mark_row),
    "GET mark": lambda x, of, p: _one_or_all(x, of, p, words.mark_row),
    "GET index": _index,
    "GET exerciseHistory": _exercises,
    "GET delivery-price": _delivery_prices,
}


# --------------------------------------------------------------------------------------------------- account


def _positions(x: Exchange, of: str, name: str, p: Params) -> list[Row]:
    held = x.account(name).positions.values()
    wanted = p.get("symbol") or p.get("pair")
    rows = [h for h in held if h.quantity and (not wanted or h.instrument.symbol.startswith(wanted))]
    own = x.modes.get("isolated", {})  # symbols margined by themselves: told where nothing is held, too
    told = {h.instrument.symbol: words.position_row(x, h) for h in rows}
    flat = {"positionAmt": "0", "positionSide": "BOTH", "unRealizedProfit": "0"}
    told |= {s: {"symbol": s, **flat, **told.get(s, {}), "marginType": "isolated"} for s in own.get(of, ())}
    return list(told.values())


def _dual(x: Exchange, of: str, name: str, p: Params) -> Row:
    return {"dualSidePosition": x.modes.get("dualSidePosition", False)}


def _multi(x: Exchange, of: str, name: str, p: Params) -> Row:
    return {"multiAssetsMargin": x.modes.get("multiAssetsMargin", False)}


def _fee_burn(x: Exchange, of: str, name: str, p: Params) -> Row:
    return {"feeBurn": x.modes.get("feeBurn", False)}


def _balances(x: Exchange, of: str, name: str, p: Params) -> list[Row]:
    rows = []
    for currency in x.account(name).balances:
        row = words.asset_row(x, name, currency)
        rows.append({"accountAlias": "loopback", "balance": row["walletBalance"], **row})
    return rows


def _account(x: Exchange, of: str, name: str, p: Params) -> Row:
    held = x.account(name).balances
    flags = {"canTrade": True, "canDeposit": True, "canWithdraw": False, "updateTime": 0}
    if of == "spot":
        rows = []
        for currency, amount in held.items():
            bound = x.summary(name, currency).order_margin
            rows.append({"asset": currency, "free": number(amount - bound), "locked": number(bound)})
        rates = {"maker": "0.001", "taker": "0.001", "buyer": "0", "seller": "0"}
        return {
            **flags, "makerCommission": 10, "takerCommission": 10, "buyerCommission": 0,
            "sellerCommission": 0,
            "commissionRates": rates, "brokered": False, "requireSelfTradePrevention": False,
            "preventSor": False,
            "accountType": "SPOT", "balances": rows, "permissions": ["SPOT"], "uid": x.account(name).number,
        }  # fmt: skip
    assets = [words.asset_row(x, name, c) for c in held]
    if of == "option":
        return {
            "asset": [
                {"asset": a["asset"], "marginBalance": a["marginBalance"], "equity": a["marginBalance"],
                 "available": a["availableBalance"], "initialMargin": a["positionInitialMargin"],
                 "maintMargin": a["maintMargin"], "unrealizedPNL": "0", "adjustedEquity": a["marginBalance"]}
                for a in assets
            ],
            "time": x.clock.now_ms(),
        }  # fmt: skip
    total = next((a for a in assets if a["asset"] == "USDT"), None)
    names = {"totalInitialMargin": "initialMargin", "totalMaintMargin": "maintMargin",
             "totalWalletBalance": "walletBalance", "totalUnrealizedProfit": "unrealizedProfit",
             "totalMarginBalance": "marginBalance", "totalPositionInitialMargin": "positionInitialMargin",
             "totalOpenOrderInitialMargin": "openOrderInitialMargin", "availableBalance": "availableBalance",
             "totalCrossWalletBalance": "crossWalletBalance", "totalCrossUnPnl": "crossUnPnl",
             "maxWithdrawAmount": "maxWithdrawAmount"}  # fmt: skip
    totals = {k: total[v] for k, v in names.items()} if total and of == "linear" else {}
    positions = []
    for row in _positions(x, of, name, {}):
        row["unrealizedProfit"] = row.pop("unRealizedProfit")
        positions.append({**row, "isolated": False, "maxNotional": "250000"})
    multi = (
        {"feeTier": 0, "multiAssetsMargin": x.modes.get("multiAssetsMargin", False), "tradeGroupId": -1}
        if of == "linear"
        else {"feeTier": 0}
    )
    return {**flags, **multi, **totals, "assets": assets, "positions": positions}


def _brackets(x: Exchange, of: str, name: str, p: Params) -> list[Row]:
    caps = (
        {"qtyCap": 250000, "qtylFloor": 0} if of == "inverse" else {"notionalCap": 250000, "notionalFloor": 0}
    )
    bracket = {"bracket": 1, "initialLeverage": 20, "maintMarginRatio": 0.01, "cum": 0, **caps}
    return [{"symbol": i.symbol, "brackets": [bracket]} for i in _all(x, of, p)]


def _fees(x: Exchange, of: str, name: str, p: Params) -> Row:
    i = instrument(x, of, p)
    maker, taker = number(i.maker_fee), number(i.taker_fee)
    return {"symbol": words.name_of(i), "makerCommissionRate": maker, "takerCommissionRate": taker}


# ---------------------------------------------------------------------------------------------------- orders


def own(x: Exchange, of: str, name: str, p: Params, unknown: Said | None = None) -> Order:
    """The order that orderId or the client id names; the newest of a client id."""
    i = instrument(x, of, p)
    client = p.get("origClientOrderId") or p.get("clientOrderId")
    if p.get("orderId"):
        found = x.orders.get(int(p["orderId"]))
        rows = [found] if found is not None and found.account == name else []
    elif client:
        rows = x.by_client_id(name, str(client))
    else:
        raise Said(
            -1102, "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!", 400
        )
    rows = [o for o in rows if o.symbol == i.symbol]
    if not rows:
        raise unknown or refused(Reason.NOT_FOUND, of)
    return rows[-1]


def _query(x: Exchange, of: str, name: str, p: Params) -> Row:
    return words.order_row(own(x, of, name, p))


def _open(x: Exchange, of: str, name: str, p: Params) -> list[Row]:
    wanted = {i.symbol for i in _all(x, of, p)}
    return [words.order_row(o) for o in x.open_orders(name, lambda o: o.symbol in wanted)]


#: How far apart a question's times may be, ms; with one of them alone the other is so far from it. Options
#: have no such word. Source: developers.binance.com, "Account Trade List", "Error Codes".
_DAY = 86_400_000
_SPANS = {"spot": _DAY, "linear": 7 * _DAY, "inverse": 7 * _DAY}


def _window(x: Exchange, of: str, p: Params) -> tuple[int, int]:
    """Of which times a question is, ns, both included. Spot without a time, or from a number on: of all;
    futures: of the last seven days."""
    begin, end, span = p.get("startTime"), p.get("endTime"), _SPANS.get(of)
    if p.get("fromId") and (begin or end):
        raise Said(-1128, "Combination of optional parameters invalid.", 400)
    if span is None or (of == "spot" and not begin and not end):
        return int(begin or 0) * MS, int(end or 10**15) * MS
    last = int(end) if end else int(begin) + span if begin else x.clock.now_ms() + 1
    first = int(begin) if begin else last - span
    if last - first > span:
        if of == "spot":
            raise Said(-1127, "More than 24 hours between startTime and endTime.", 400)
        raise Said(-4165, "Maximum time interval is 7 days.", 400)
    return first * MS, last * MS + MS - 1


def _orders(x: Exchange, of: str, name: str, p: Params) -> list[Row]:
    """All of a symbol, oldest first."""
    symbol, count = instrument(x, of, p).symbol, int(p.get("limit") or 500)
    begin, end = _window(x, of, p)
    every = (o for o in x.orders.values() if o.account == name and o.symbol == symbol)
    rows = [o for o in every if begin <= o.created_ns <= end]
    return [words.order_row(o) for o in rows[-count:]]


def _fills(x: Exchange, of: str, name: str, p: Params) -> list[Row]:
    """Executions, oldest first; from `fromId`, or the newest `limit`. Spot and futures want a symbol."""
    if of != "option":
        instrument(x, of, p)
    wanted = {i.symbol for i in _all(x, of, p)} if p.get("symbol") else None
    begin, end = _window(x, of, p)
    first = int(p.get("fromId") or 0)

    def kept(f: Fill) -> bool:
        named = p.get("orderId") in (None, "", str(f.order_id))
        return (wanted is None or f.instrument.symbol in wanted) and begin <= f.ns <= end and named

    rows = [f for f in x.fills(name, kept) if f.trade_id >= first]
    count = int(p.get("limit") or (100 if of == "option" else 500))
    return [words.fill_row(f) for f in (rows[:count] if first or p.get("startTime") else rows[-count:])]


_FUT = ("linear", "inverse")
_FORCES = {"GTC": TimeInForce.GTC, "IOC": TimeInForce.IOC, "FOK": TimeInForce.FOK, "GTX": TimeInForce.GTC}


def _terms(of: str, p: Params) -> Row:
    """How an order is to live."""
    kind, force = str(p.get("type", "")).upper(), str(p.get("timeInForce") or "")
    if p.get("side") not in ("BUY", "SELL"):
        raise missing("side")
    if kind not in ("LIMIT", "MARKET", "LIMIT_MAKER") or (kind == "LIMIT_MAKER" and of != "spot"):
        raise Said(-1116, "Invalid orderType.", 400)
    if kind == "LIMIT" and not force and of != "option":
        raise missing("timeInForce")
    if force and force not in _FORCES:
        raise Said(-1115, "Invalid timeInForce.", 400)
    price = decimal(p.get("price")) if kind != "MARKET" else None
    if price is None and kind != "MARKET":
        raise missing("price")
    client_id = str(p.get("newClientOrderId") or p.get("clientOrderId") or "")
    if len(client_id) > 36:
        raise Said(-4015, "Client order id length should not be more than 36 chars", 400)
    maker = kind == "LIMIT_MAKER" or force == "GTX" or _yes(p.get("postOnly"))
    return {
        "price": price, "client_id": client_id, "time_in_force": _FORCES[force or "GTC"],
        "post_only": PostOnly.REJECT if maker else PostOnly.OFF, "reduce_only": _yes(p.get("reduceOnly")),
    }  # fmt: skip


def _yes(value: object) -> bool:
    return str(value).lower() == "true"


def _place(x: Exchange, of: str, name: str, p: Params) -> Row:
    i, terms = instrument(x, of, p), _terms(of, p)
    quantity = decimal(p.get("quantity"))
    if quantity is None:
        raise missing("quantity")
    try:
        order, fills = x.submit(name, i.symbol, Side(p["side"].lower()), abs(quantity), **terms)
    except Refusal as refusal:
        raise refused(refusal.reason, of) from None
    row = words.order_row(order)
    if of == "spot":
        row["transactTime"] = row["updateTime"]
        row["fills"] = [
            {"price": number(f.price), "qty": number(f.quantity), "commission": number(f.fee),
             "commissionAsset": f.fee_currency, "tradeId": f.trade_id}
            for f in fills
        ]  # fmt: skip
        for key in ("isWorking", "stopPrice", "icebergQty", "time", "updateTime"):
            row.pop(key)
    elif of in _FUT and p.get("newOrderRespType") != "RESULT":  # an acknowledgement: no fills yet
        worth = "cumBase" if of == "inverse" else "cumQuote"
        row |= {"status": "NEW", "executedQty": "0", "avgPrice": "0", worth: "0"}
    return row


def _cancel(x: Exchange, of: str, name: str, p: Params) -> Row:
    gone = Said(-2011, "Unknown order sent.", 400)
    order = own(x, of, name, p, gone)
    if order.life is not Life.OPEN:
        raise gone
    x.cancel(name, order.order_id)
    row = words.order_row(order)
    if of == "spot":
        row |= {"origClientOrderId": row["clientOrderId"], "transactTime": row["updateTime"]}
        row["clientOrderId"] = f"cancel{order.order_id}"
    return row


def _amend(x: Exchange, of: str, name: str, p: Params) -> Row:
    """Both are wanted. An order is ended by what leaves it nothing, and by what would make a GTX one take."""
    order = own(x, of, name, p)
    quantity, price = decimal(p.get("quantity")), decimal(p.get("price"))
    if quantity is None or price is None or str(p.get("side", "")).lower() != order.side.value:
        raise Said(-1102, "Mandatory parameter was not sent, was empty/null, or malformed.", 400)
    if order.life is Life.OPEN and 0 < quantity <= order.filled:
        x.cancel(name, order.order_id, "amended away")
        return words.order_row(order)
    try:
        x.amend(name, order.order_id, quantity, price)
    except Refusal as refusal:
        if refusal.reason is Reason.WOULD_TAKE:
            x.cancel(name, order.order_id, "post_only")
        raise refused(refusal.reason, of) from None
    return words.order_row(order)


def _cancel_all(x: Exchange, of: str, name: str, p: Params) -> Any:
    """Of one symbol, always."""
    symbol = instrument(x, of, p).symbol
    ended = x.cancel_all(name, lambda o: o.symbol == symbol)
    if of == "spot":
        if not ended:
            raise Said(-2011, "Unknown order sent.", 400)
        return [words.order_row(o) for o in ended]
    told = {"code": 200, "msg": "The operation of cancel all open order is done."}
    return {"code": 0, "msg": "success"} if of == "option" else told


def _cancel_underlying(x: Exchange, of: str, name: str, p: Params) -> Row:
    base = str(p.get("underlying", "")).removesuffix("USDT")
    ended = x.cancel_all(name, lambda o: o.instrument.base == base)
    return {"code": 0, "msg": "success", "data": len(ended)}


def _batch(
    act: Callable[[Exchange, str, str, Params], Row],
) -> Callable[[Exchange, str, str, Params], list[Row]]:
    """Up to five orders (options: ten), each with an answer of its own."""

    def batch(x: Exchange, of: str, name: str, p: Params) -> list[Row]:
        items = p.get("batchOrders") or p.get("orders")
        if items is None:
            numbers = parsed(str(p.get("orderIdList") or p.get("orderIds") or "[]")) or []
            names = parsed(str(p.get("origClientOrderIdList") or p.get("clientOrderIds") or "[]")) or []
            rows = [{"orderId": n} for n in numbers] + [{"origClientOrderId": n} for n in names]
            items = [{"symbol": p.get("symbol"), **r} for r in rows]
        elif isinstance(items, str):
            items = parsed(items)
        if not isinstance(items, list) or not 0 < len(items) <= (10 if of == "option" else 5):
            raise Said(-4082, "Invalid number of batch orders.", 400)
        answers: list[Row] = []
        for item in items:
            try:
                answers.append(act(x, of, name, {k: str(v) for k, v in item.items()}))
            except Said as said:
                answers.append({"code": said.code, "msg": said.text})
        return answers

    return batch


#: (products, needs the right to trade, what it does)
Handler = Callable[[Exchange, str, str, Params], Any]
PRIVATE: dict[str, tuple[tuple[str, ...], bool, Handler]] = {
    "GET account": (("spot", "linear", "inverse"), False, _account),
    "GET marginAccount": (("option",), False, _account),
    "GET balance": (_FUT, False, _balances),
    "GET positionSide/dual": (_FUT, False, _dual),
    "GET multiAssetsMargin": (("linear",), False, _multi),
    "GET feeBurn": (("linear",), False, _fee_burn),
    "GET positionRisk": (_FUT, False, _positions),
    "GET position": (("option",), False, _positions),
    "GET leverageBracket": (_FUT, False, _brackets),
    "GET commissionRate": (_FUT, False, _fees),
    "GET order": (words.PRODUCTS, False, _query),
    "GET openOrders": (words.PRODUCTS, False, _open),
    "GET openOrder": (_FUT, False, _query),
    "GET allOrders": (("spot", "linear", "inverse"), False, _orders),
    "GET historyOrders": (("option",), False, _orders),
    "GET userTrades": (("linear", "inverse", "option"), False, _fills),
    "GET myTrades": (("spot",), False, _fills),
    "POST order": (words.PRODUCTS, True, _place),
    "PUT order": (_FUT, True, _amend),
    "DELETE order": (words.PRODUCTS, True, _cancel),
    "DELETE openOrders": (("spot",), True, _cancel_all),
    "DELETE allOpenOrders": (("linear", "inverse", "option"), True, _cancel_all),
    "DELETE allOpenOrdersByUnderlying": (("option",), True, _cancel_underlying),
    "POST batchOrders": (("linear", "inverse", "option"), True, _batch(_place)),
    "DELETE batchOrders": (("linear", "inverse", "option"), True, _batch(_cancel)),
}


def restrictions(key: ApiKey) -> Row:
    """`sapi/account/apiRestrictions`: what a key may do."""
    trade = "trade" in key.scopes
    return {
        "ipRestrict": False, "createTime": 1_698_645_219_000, "enableReading": True,
        "enableSpotAndMarginTrading": trade, "enableFutures": trade, "enableVanillaOptions": trade,
        "enableWithdrawals": "withdraw" in key.scopes, "enableInternalTransfer": False, "enableMargin": False,
        "permitsUniversalTransfer": False, "enablePortfolioMarginTrading": False,
    }  # fmt: skip


def coins(x: Exchange, account: str) -> list[Row]:
    """`sapi/capital/config/getall`."""
    held = sorted({c for of in words.PRODUCTS for c in x.account(words.wallet(account, of)).balances})
    cash = x.account(words.wallet(account, "spot")).balances
    return [
        {"coin": c, "name": c, "free": number(cash.get(c, ZERO)), "locked": "0",
        "trading": True, "networkList": [],
         "depositAllEnable": False, "withdrawAllEnable": False, "isLegalMoney": False}
        for c in held
    ]  # fmt: skip


def is_option(order: Order, base: str) -> bool:
    """Whether an order is for an option on a coin."""
    return order.instrument.kind is Kind.OPTION and order.instrument.base == base
