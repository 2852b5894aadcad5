"""Hyperliquid's actions. Each order, change or cancel has a status of its own; refusals are sentences."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tests.exchanges.cex import Said, number
from tests.exchanges.core import Exchange
from tests.exchanges.words import Instrument, Kind, Life, Order, PostOnly, Reason, Refusal, Side, TimeInForce

_LEAST_USD = Decimal(10)
_GONE = "Order was never placed, already canceled, or filled."
_SENTENCES = {
    Reason.UNKNOWN_INSTRUMENT: "Asset not found.",
    Reason.NOT_TRADING: "Trading is halted.",
    Reason.BAD_TICK: "Price must be divisible by tick size.",
    Reason.BAD_LOT: "Order has invalid size.",
    Reason.TOO_SMALL: "Order has zero size.",
    Reason.BAD_PRICE: "Order has invalid price.",
    Reason.PRICE_TOO_HIGH: "Order price cannot be more than 80% away from the reference price",
    Reason.PRICE_TOO_LOW: "Order price cannot be more than 80% away from the reference price",
    Reason.NO_FUNDS: "Insufficient margin to place order.",
    Reason.WOULD_TAKE: "Post only order would have immediately matched",
    Reason.NOT_REDUCING: "Reduce only order would increase position.",
    Reason.DUPLICATE: "Cloid is already in use.",
    Reason.NOT_FOUND: _GONE,
    Reason.ALREADY_CLOSED: _GONE,
    Reason.TOO_MANY_ORDERS: "Too many open orders.",
    Reason.MAINTENANCE: "Trading is halted.",
    Reason.SETTLING: "Trading is halted.",
}
_FORCES = {"Gtc": TimeInForce.GTC, "Ioc": TimeInForce.IOC, "Alo": TimeInForce.GTC}
_DEFAULT = {"status": "ok", "response": {"type": "default"}}


def act(x: Exchange, account: str, action: dict[str, Any]) -> dict[str, Any]:
    """Perform an action.

    Raises:
        Said: it is none, or nothing of it can be read.
    """
    kind = action["type"]
    if kind in ("updateLeverage", "setReferrer", "approveBuilderFee", "reserveRequestWeight"):
        return _DEFAULT
    if kind == "order":
        return _told("order", [_place(x, account, o) for o in action["orders"]])
    if kind in ("cancel", "cancelByCloid"):
        return _told("cancel", [_cancel(x, account, c) for c in action["cancels"]])
    if kind in ("modify", "batchModify"):
        changes = action.get("modifies") or [action]
        return _told("order", [_modify(x, account, m) for m in changes])
    raise Said("err", "Failed to deserialize the JSON body into the target type", 422)


def _told(kind: str, statuses: list[Any]) -> dict[str, Any]:
    return {"status": "ok", "response": {"type": kind, "data": {"statuses": statuses}}}


def _instrument(x: Exchange, number_: int) -> Instrument:
    found = next((i for i in x.instruments.values() if i.number == number_), None)
    if found is None or found.kind is not Kind.PERPETUAL:
        raise Refusal(Reason.UNKNOWN_INSTRUMENT)
    return found


def _place(x: Exchange, account: str, o: dict[str, Any]) -> Any:
    asset = f" asset={o['a']}"
    force = o["t"]["limit"]["tif"]
    price, size = Decimal(str(o["p"])), Decimal(str(o["s"]))
    if price * size < _LEAST_USD and not o.get("r"):
        return {"error": f"Order must have minimum value of $10.{asset}"}
    try:
        i = _instrument(x, int(o["a"]))
        order, fills = x.submit(
            account, i.symbol, Side.BUY if o["b"] else Side.SELL, size, price,
            client_id=str(o.get("c") or ""),
            time_in_force=_FORCES[force], reduce_only=bool(o.get("r")),
            post_only=PostOnly.REJECT if force == "Alo" else PostOnly.OFF,
        )  # fmt: skip
    except Refusal as refusal:
        return {"error": _SENTENCES[refusal.reason] + asset}
    if force == "Ioc" and not fills:
        return {"error": f"Order could not immediately match against any resting orders.{asset}"}
    return _state(order)


def _state(order: Order) -> dict[str, Any]:
    """Resting or filled."""
    cloid = {"cloid": order.client_id} if order.client_id else {}
    if order.life is Life.OPEN and not order.filled:
        return {"resting": {"oid": order.order_id, **cloid}}
    if order.life is Life.OPEN:
        return {"resting": {"oid": order.order_id, **cloid}}
    filled = {"totalSz": number(order.filled), "avgPx": number(order.average)}
    return {"filled": {**filled, "oid": order.order_id, **cloid}}


def _own(x: Exchange, account: str, name: Any) -> Order | None:
    """By number or cloid; of a cloid that repeats the newest that is open."""
    if isinstance(name, int):
        found = x.orders.get(name)
        return found if found is not None and found.account == account else None
    rows = x.by_client_id(account, str(name))
    alive = [o for o in rows if o.life is Life.OPEN]
    last = alive or rows
    return last[-1] if last else None


def _cancel(x: Exchange, account: str, c: dict[str, Any]) -> Any:
    asset = f" asset={c.get('a', c.get('asset'))}"
    order = _own(x, account, c["o"] if "o" in c else c["cloid"])
    if order is None or order.life is not Life.OPEN:
        return {"error": _GONE + asset}
    x.cancel(account, order.order_id)
    return "success"


def _modify(x: Exchange, account: str, m: dict[str, Any]) -> Any:
    """A change is a cancel and a new order with a number of its own."""
    order = _own(x, account, m["oid"])
    if order is None or order.life is not Life.OPEN:
        return {"error": "Cannot modify canceled or filled order"}
    x.cancel(account, order.order_id, "modified")
    return _place(x, account, m["order"])
