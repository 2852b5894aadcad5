"""OKX's REST: what each path answers (`data`), over the core. Paths without /api/v5.

`GET trade/order` asks for an order and `trade/order` places one: rules of the fault port tell them apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

from tests.exchanges import okx_words as words
from tests.exchanges.cex import Said, blank, decimal
from tests.exchanges.clock import MS
from tests.exchanges.core import Exchange
from tests.exchanges.okx_errors import GONE, PLACING, UNKNOWN, missing, wrong
from tests.exchanges.words import (
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
Rows = list[dict[str, Any]]
_KINDS = {v: k for k, v in words.TYPES.items()}
_BATCH_MAX = 20


# ---------------------------------------------------------------------------------------------------- public


def _kind(p: Params) -> Kind:
    if not p.get("instType"):
        raise missing("instType")
    if p["instType"] not in _KINDS:
        raise wrong("instType")
    return _KINDS[p["instType"]]


def _instrument(x: Exchange, p: Params) -> Instrument:
    symbol = p.get("instId")
    if p.get("instIdCode"):  # how sockets name instruments since 2026
        code = int(p["instIdCode"])
        symbol = next((i.symbol for i in x.instruments.values() if i.number == code), str(code))
    if not symbol:
        raise missing("instId")
    if symbol not in x.instruments:
        raise Said("51001", f"Instrument ID, Instrument ID code, or Spread ID doesn't exist. {symbol}")
    return x.instruments[symbol]


def _family(x: Exchange, p: Params, kind: Kind) -> list[Instrument]:
    wanted = p.get("instFamily") or p.get("uly")
    return [
        i
        for i in x.instruments.values()
        if i.kind is kind and i.active and p.get("instId", i.symbol) == i.symbol
        if not wanted or words.family(i) == wanted
    ]


def _instruments(x: Exchange, p: Params) -> Rows:
    kind = _kind(p)
    if kind is Kind.OPTION and not (p.get("instFamily") or p.get("uly")):
        raise missing("instFamily")
    return [words.instrument_row(i) for i in _family(x, p, kind)]


def _underlying(x: Exchange, p: Params) -> list[list[str]]:
    return [sorted({words.family(i) for i in _family(x, p, _kind(p))})]


def _time(x: Exchange, _: Params) -> Rows:
    return [{"ts": str(x.clock.now_ms())}]


def _opt_summary(x: Exchange, p: Params) -> Rows:
    if not (p.get("instFamily") or p.get("uly")):
        raise missing("instFamily")
    rows = [i for i in _family(x, p, Kind.OPTION) if p.get("expTime", "") in i.symbol]
    return [words.summary_row(x, i.symbol) for i in rows]


def _mark_price(x: Exchange, p: Params) -> Rows:
    return [words.mark_row(x, i.symbol) for i in _family(x, p, _kind(p))]


def _funding(x: Exchange, p: Params) -> Rows:
    i = _instrument(x, p)
    if i.kind is not Kind.PERPETUAL:
        raise wrong("instId")
    return [words.funding_row(x, i.symbol)]


def _index(x: Exchange, p: Params) -> Rows:
    row = words.index_row(x, str(p.get("instId", "")))
    if row is None:
        raise Said("51001", "Index does not exist")
    return [row]


def _tickers(x: Exchange, p: Params) -> Rows:
    return [words.ticker_row(x, i.symbol) for i in _family(x, p, _kind(p))]


def _ticker(x: Exchange, p: Params) -> Rows:
    return [words.ticker_row(x, _instrument(x, p).symbol)]


def _books(x: Exchange, p: Params) -> Rows:
    symbol, depth = _instrument(x, p).symbol, min(int(p.get("sz", 1)), 400)
    sides = {"asks": Side.SELL, "bids": Side.BUY}
    rows = {name: words.side_rows(x, symbol, side, depth) for name, side in sides.items()}
    return [{**rows, "ts": str(x.clock.now_ms()), "seqId": x.books[symbol].change_id}]


def _trades(x: Exchange, p: Params) -> Rows:
    rows = x.trades[_instrument(x, p).symbol]
    return [words.trade_row(t) for t in rows[: -int(p.get("limit", 100)) - 1 : -1]]


PUBLIC: dict[str, Callable[[Exchange, Params], Any]] = {
    "public/instruments": _instruments,
    "public/underlying": _underlying,
    "public/time": _time,
    "public/opt-summary": _opt_summary,
    "public/mark-price": _mark_price,
    "public/funding-rate": _funding,
    "market/index-tickers": _index,
    "market/tickers": _tickers,
    "market/ticker": _ticker,
    "market/books": _books,
    "market/trades": _trades,
    "system/status": lambda x, p: [],
}


# --------------------------------------------------------------------------------------------------- private


def _page(rows: Rows, p: Params, key: str) -> Rows:
    """Newest first, older than `after`, at most `limit` (100)."""
    rows = sorted(rows, key=lambda r: int(r[key]), reverse=True)
    if p.get("after"):
        rows = [r for r in rows if int(r[key]) < int(p["after"])]
    if p.get("before"):
        rows = [r for r in rows if int(r[key]) > int(p["before"])]
    return rows[: min(int(p.get("limit") or 100), 100)]


def _wanted(p: Params) -> Callable[[Instrument], bool]:
    symbols = [s for s in str(p.get("instId") or "").split(",") if s]
    kind = p.get("instType") or "ANY"
    return lambda i: (not symbols or i.symbol in symbols) and kind in ("ANY", words.TYPES[i.kind])


def _own(x: Exchange, account: str, p: Params, unknown: Said) -> Order:
    """The order that `ordId` or `clOrdId` names; ordId wins."""
    symbol = _instrument(x, p).symbol
    if p.get("ordId"):
        number = str(p["ordId"])
        found = x.orders.get(int(number) - words.ID_OFFSET) if number.isdigit() else None
        rows = [found] if found is not None and found.account == account else []
    elif p.get("clOrdId"):
        rows = x.by_client_id(account, str(p["clOrdId"]))
    else:
        raise missing("ordId or clOrdId")
    rows = [o for o in rows if o.symbol == symbol]
    if not rows:
        raise unknown
    return rows[-1]


def _last_fill(x: Exchange, order: Order) -> Fill | None:
    fills = x.fills(order.account, lambda f: f.order_id == order.order_id)
    return fills[-1] if fills else None


def _row(x: Exchange, order: Order) -> dict[str, Any]:
    return words.order_row(order, _last_fill(x, order))


def _order(x: Exchange, key: ApiKey, p: Params) -> Rows:
    return [_row(x, _own(x, key.account, p, UNKNOWN))]


def _pending(x: Exchange, key: ApiKey, p: Params) -> Rows:
    wanted = _wanted(p)
    return _page([_row(x, o) for o in x.open_orders(key.account) if wanted(o.instrument)], p, "ordId")


def _history(x: Exchange, key: ApiKey, p: Params) -> Rows:
    """Ended orders; a cancelled one that never filled is forgotten after two hours."""
    _kind(p)
    wanted, horizon = _wanted(p), x.now_ns - 2 * 3600 * 10**9

    def kept(o: Order) -> bool:
        return wanted(o.instrument) and (bool(o.filled) or o.life is Life.FILLED or o.updated_ns > horizon)

    return _page([_row(x, o) for o in x.history(key.account, kept)], p, "ordId")


def _fills(x: Exchange, key: ApiKey, p: Params) -> Rows:
    wanted = _wanted(p)
    begin, end = int(p.get("begin") or 0) * MS, int(p.get("end") or 10**15) * MS

    def kept(f: Fill) -> bool:
        right = f.order_id and str(words.ID_OFFSET + f.order_id)
        return wanted(f.instrument) and begin <= f.ns <= end and (p.get("ordId") or right) == right

    return _page([words.fill_row(f) for f in x.fills(key.account, kept)], p, "billId")


def _fills_history(x: Exchange, key: ApiKey, p: Params) -> Rows:
    _kind(p)
    return _fills(x, key, p)


def _positions(x: Exchange, key: ApiKey, p: Params) -> Rows:
    wanted = _wanted(p)
    return [words.position_row(x, h) for h in x.positions(key.account) if wanted(h.instrument)]


def _balance(x: Exchange, key: ApiKey, p: Params) -> Rows:
    only = [c for c in str(p.get("ccy") or "").split(",") if c]
    return [words.balance_row(x, key.account, only)]


def _config(x: Exchange, key: ApiKey, _: Params) -> Rows:
    words_of = {"read": "read_only", "trade": "trade", "withdraw": "withdraw"}
    return [
        {
            "uid": str(x.account(key.account).number), "mainUid": "1",
            "acctLv": x.modes.get("acctLv", "3"), "posMode": x.modes.get("posMode", "net_mode"),
            "autoLoan": False, "greeksType": "BS", "level": "Lv1", "ip": "", "label": key.key,
            "ctIsoMode": "automatic",
            "perm": ",".join(words_of[s] for s in key.scopes if s in words_of), "acctStpMode": "cancel_maker",
        }
    ]  # fmt: skip


def _fee(x: Exchange, key: ApiKey, p: Params) -> Rows:
    """Rates are negative where they are paid; makerU and takerU are those of linear contracts. What is not
    listed here costs what the others do."""
    kind = _kind(p)
    i = min(x.instruments.values(), key=lambda i: i.kind is not kind)
    maker, taker = str(-i.maker_fee), str(-i.taker_fee)
    linear = kind in (Kind.PERPETUAL, Kind.FUTURE)
    return [
        {
            "category": "1", "delivery": "", "exercise": "", "instType": p["instType"], "level": "Lv1",
            "maker": maker, "taker": taker, "makerU": maker if linear else "",
            "takerU": taker if linear else "",
            "makerUSDC": maker if linear else "", "takerUSDC": taker if linear else "", "uly": "",
            "ts": str(x.clock.now_ms()),
        }
    ]  # fmt: skip


def _currencies(x: Exchange, key: ApiKey, _: Params) -> Rows:
    row = blank("name mainNet fee minFee maxFee") | {
        "canDep": False,
        "canWd": False,
        "minWd": "1",
        "wdTickSz": "8",
    }
    return [row | {"ccy": c, "chain": f"{c}-Main"} for c in x.account(key.account).balances]


def _bills(x: Exchange, key: ApiKey, p: Params) -> Rows:
    """Deliveries and exercises (type 3), newest first; `px` is the price at which the venue settled."""
    if p.get("type") not in (None, "3"):
        return []
    rows: Rows = []
    for told in reversed(x.truth.of("settlement", account=key.account)):
        i = x.instruments[told["symbol"]]
        if i.kind is Kind.PERPETUAL or told["ns"] // MS < int(p.get("begin") or 0):
            continue
        long = not told["quantity"].startswith("-")
        paid = told["amount"].strip("0.-")
        sub = ("112" if long else "113") if not i.right else ("170" if long else "171") if paid else "172"
        rows.append(
            blank("from to notes ordId clOrdId tradeId tag execType fillIdxPx fillTime")
            | {
                "billId": str(10**17 + told["seq"]), "instId": i.symbol, "instType": words.TYPES[i.kind],
                "type": "3", "subType": sub, "px": told["price"], "sz": told["quantity"].lstrip("-"),
                "pnl": told["amount"], "balChg": told["amount"], "bal": "0", "ccy": i.settle, "fee": "0",
                "interest": "0", "mgnMode": "cross", "posBal": "0", "posBalChg": "0",
                "ts": str(told["ns"] // MS),
            }
        )  # fmt: skip
    return _page(rows, p, "billId")


PRIVATE: dict[str, Callable[[Exchange, ApiKey, Params], Any]] = {
    "GET trade/order": _order,
    "trade/orders-pending": _pending,
    "trade/orders-history": _history,
    "trade/orders-history-archive": _history,
    "trade/fills": _fills,
    "trade/fills-history": _fills_history,
    "account/positions": _positions,
    "account/balance": _balance,
    "account/bills": _bills,
    "account/bills-archive": _bills,
    "account/config": _config,
    "account/trade-fee": _fee,
    "asset/currencies": _currencies,
}


# --------------------------------------------------------------------------------------------------- trading


def _said(p: Params, code: str, text: str, order: Order | None = None) -> dict[str, Any]:
    return {
        "ordId": words.order_id(order) if order else str(p.get("ordId") or ""),
        "clOrdId": (order.client_id if order else str(p.get("clOrdId") or "")),
        "tag": str(p.get("tag") or ""),
        "sCode": code, "sMsg": text,
    }  # fmt: skip


def _terms(p: Params, spot: bool) -> dict[str, Any]:
    """How an order is to live, from ordType, tdMode, reduceOnly.

    Raises:
        Said: a parameter is missing or unknown.
    """
    for name in ("tdMode", "side", "ordType", "sz"):
        if not p.get(name):
            raise missing(name)
    if p["tdMode"] not in (("cash", "cross", "isolated") if spot else ("cross", "isolated")):
        raise wrong("tdMode")
    if p["ordType"] not in ("market", "limit", "post_only", "fok", "ioc", "optimal_limit_ioc"):
        raise wrong("ordType")
    if p["side"] not in ("buy", "sell") or p.get("posSide", "net") != "net":
        raise wrong("side" if p["side"] not in ("buy", "sell") else "posSide")
    client_id = str(p.get("clOrdId") or "")
    if len(client_id) > 32 or not (client_id.isalnum() or not client_id) or not client_id.isascii():
        raise wrong("clOrdId")
    market = p["ordType"] in ("market", "optimal_limit_ioc")
    price = None if market else decimal(p.get("px"))
    if price is None and not market:
        raise missing("px")
    immediate = {"ioc": TimeInForce.IOC, "fok": TimeInForce.FOK}
    return {
        "price": price, "client_id": client_id, "tag": p["tdMode"],
        "time_in_force": immediate.get(p["ordType"], TimeInForce.GTC),
        "post_only": PostOnly.CANCEL if p["ordType"] == "post_only" else PostOnly.OFF,
        "reduce_only": str(p.get("reduceOnly", "")).lower() == "true",
    }  # fmt: skip


def _place_one(x: Exchange, account: str, p: Params) -> dict[str, Any]:
    stamp = {"ts": str(x.clock.now_ms())}
    try:
        instrument = _instrument(x, p)
        terms = _terms(p, instrument.kind is Kind.SPOT)
        order, _ = x.submit(account, instrument.symbol, Side(p["side"]), Decimal(str(p["sz"])), **terms)
    except Refusal as refusal:
        return _said(p, *PLACING[refusal.reason]) | stamp
    except ArithmeticError:
        return _said(p, "51000", "Parameter sz error") | stamp
    except Said as said:
        return _said(p, str(said.code), said.text) | stamp
    return _said(p, "0", "Order placed", order) | stamp


def _cancel_one(x: Exchange, account: str, p: Params) -> dict[str, Any]:
    stamp = {"ts": str(x.clock.now_ms())}
    try:
        order = _own(x, account, p, Said(*GONE))
        x.cancel(account, order.order_id)
    except Refusal:
        return _said(p, *GONE) | stamp
    except Said as said:
        return _said(p, str(said.code), said.text) | stamp
    return _said(p, "0", "", order) | stamp


def _amend_one(x: Exchange, account: str, p: Params) -> dict[str, Any]:
    stamp = {"ts": str(x.clock.now_ms()), "reqId": str(p.get("reqId") or "")}
    try:
        order = _own(x, account, p, Said(*PLACING[Reason.NOT_FOUND]))
        x.amend(account, order.order_id, decimal(p.get("newSz")), decimal(p.get("newPx")))
    except Refusal as refusal:
        return _said(p, *PLACING[refusal.reason]) | stamp
    except ArithmeticError:
        return _said(p, "51000", "Parameter newSz error") | stamp
    except Said as said:
        return _said(p, str(said.code), said.text) | stamp
    return _said(p, "0", "", order) | stamp


def _one(act: Callable[[Exchange, str, Params], dict[str, Any]]) -> Callable[[Exchange, str, Params], Rows]:
    def single(x: Exchange, account: str, p: Params) -> Rows:
        return [act(x, account, p)]

    return single


def _many(act: Callable[[Exchange, str, Params], dict[str, Any]]) -> Callable[[Exchange, str, Params], Rows]:
    def batch(x: Exchange, account: str, p: Params) -> Rows:
        items: Iterable[Any] = p.get("batch") or ()
        rows = [i for i in items if isinstance(i, dict)]
        if not rows:
            raise missing("args")
        if len(rows) > _BATCH_MAX:
            raise Said("51044", "Maximum orders in a batch is 20", 400)
        return [act(x, account, i) for i in rows]

    return batch


def _countdown(x: Exchange, account: str, p: Params) -> Rows:
    """Seconds: 0 disarms, else 10 to 120."""
    seconds = int(p.get("timeOut") or 0)
    if seconds and not 10 <= seconds <= 120:
        raise wrong("timeOut")
    x.arm_countdown(account, "", seconds)
    now = x.clock.now_ms()
    return [{"triggerTime": str(now + seconds * 1000) if seconds else "0", "tag": "", "ts": str(now)}]


def _mass_cancel(x: Exchange, account: str, p: Params) -> Rows:
    """Options of a family only, as with market-maker protection."""
    if p.get("instType") != "OPTION" or not p.get("instFamily"):
        raise wrong("instType")
    x.cancel_all(
        account, lambda o: o.instrument.kind is Kind.OPTION and words.family(o.instrument) == p["instFamily"]
    )
    return [{"result": True}]


TRADING: dict[str, Callable[[Exchange, str, Params], Rows]] = {
    "trade/order": _one(_place_one),
    "trade/batch-orders": _many(_place_one),
    "trade/cancel-order": _one(_cancel_one),
    "trade/cancel-batch-orders": _many(_cancel_one),
    "trade/amend-order": _one(_amend_one),
    "trade/amend-batch-orders": _many(_amend_one),
    "trade/cancel-all-after": _countdown,
    "trade/mass-cancel": _mass_cancel,
}
