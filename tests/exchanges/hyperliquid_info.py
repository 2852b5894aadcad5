"""Hyperliquid's /info: what each type of question answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.exchanges import hyperliquid_words as words
from tests.exchanges.clock import MS
from tests.exchanges.core import Exchange
from tests.exchanges.words import Fill, Order

Params = dict[str, Any]
_SPOT: dict[str, Any] = {
    "tokens": [
        {"name": "USDC", "szDecimals": 8, "weiDecimals": 8, "index": 0, "tokenId": "0x1", "isCanonical": True}
    ],
    "universe": [],
}


def _contexts(x: Exchange, _: str, p: Params) -> Any:
    if p.get("dex"):
        return [{"universe": [], "marginTables": [], "collateralToken": 0}, []]
    return [words.meta(x), [words.context(x, coin) for coin, _, _ in words.UNIVERSE]]


def _recent(x: Exchange, _: str, p: Params) -> Any:
    return [words.trade_row(t) for t in x.trades[p["coin"]][:-11:-1]]


def _spot_state(x: Exchange, account: str, _: Params) -> Any:
    return {"balances": []}


def _fills(x: Exchange, account: str, p: Params) -> Any:
    """The newest 2000, newest first; by time oldest first."""
    begin, end = int(p.get("startTime") or 0) * MS, int(p.get("endTime") or 10**15) * MS

    def kept(f: Fill) -> bool:
        return begin <= f.ns <= end

    rows = [words.fill_row(x, f) for f in x.fills(account, kept)]
    return rows[:2000] if "startTime" in p else rows[:-2001:-1]


def _status(x: Exchange, account: str, p: Params) -> Any:
    """By number or by cloid."""
    wanted = p["oid"]
    found = x.orders.get(wanted) if isinstance(wanted, int) else None
    rows = [found] if found and found.account == account else x.by_client_id(account, str(wanted))
    if not rows:
        return {"status": "unknownOid"}
    return {"status": "order", "order": _with_status(rows[-1])}


def _with_status(o: Order) -> dict[str, Any]:
    stamp = o.updated_ns // MS
    return {"order": words.full_order_row(o), "status": words.status(o), "statusTimestamp": stamp}


def _history(x: Exchange, account: str, _: Params) -> Any:
    return [_with_status(o) for o in reversed(list(x.orders.values())) if o.account == account]


def _fees(x: Exchange, account: str, _: Params) -> Any:
    i = next(iter(x.instruments.values()))
    return {"userCrossRate": str(i.taker_fee), "userAddRate": str(i.maker_fee), "dailyUserVlm": []}


INFO: dict[str, Callable[[Exchange, str, Params], Any]] = {
    "meta": lambda x, a, p: words.meta(x),
    "metaAndAssetCtxs": _contexts,
    "spotMeta": lambda x, a, p: _SPOT,
    "spotMetaAndAssetCtxs": lambda x, a, p: [_SPOT, []],
    "perpDexs": lambda x, a, p: [None],
    "allMids": lambda x, a, p: words.mids(x),
    "l2Book": lambda x, a, p: words.book(x, p["coin"]),
    "recentTrades": _recent,
    "clearinghouseState": lambda x, a, p: words.clearinghouse(x, a),
    "spotClearinghouseState": _spot_state,
    "openOrders": lambda x, a, p: [words.order_row(o) for o in x.open_orders(a)],
    "frontendOpenOrders": lambda x, a, p: [words.full_order_row(o) for o in x.open_orders(a)],
    "orderStatus": _status,
    "historicalOrders": _history,
    "userFills": _fills,
    "userFillsByTime": _fills,
    "userFees": _fees,
    "userAbstraction": lambda x, a, p: "disabled",
    "maxBuilderFee": lambda x, a, p: 0,
}
