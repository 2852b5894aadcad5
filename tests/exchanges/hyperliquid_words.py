"""Hyperliquid's words: its perpetuals in small, and how books, orders, fills and margin are written.

Sides are "B" and "A"; numbers are text; sizes have szDecimals, prices five significant figures and at most
six decimals less those of the size (whole prices always pass).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tests.exchanges.cex import levels, number, touch
from tests.exchanges.clock import MS
from tests.exchanges.core import Exchange
from tests.exchanges.words import (
    ZERO,
    Fill,
    Instrument,
    Kind,
    Life,
    Order,
    Position,
    PostOnly,
    PublicTrade,
    Side,
    TimeInForce,
)

D = Decimal
Row = dict[str, Any]
#: The wallet of the tests' private key 0x11...11 (32 bytes).
WALLET = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"
#: Coin, szDecimals, greatest leverage, in the venue's order: an asset's number is its place.
UNIVERSE = (("BTC", 5, 40), ("ETH", 4, 25), ("SOL", 2, 20))
_HASH = "0x" + "0" * 64


def ticks(size_decimals: int) -> tuple[tuple[Decimal, Decimal], ...]:
    """Five significant figures, at most 6 - szDecimals decimals, never coarser than one.

    >>> [(str(a), str(b)) for a, b in ticks(4)]
    [('0', '0.01'), ('1000', '0.1'), ('10000', '1')]
    """
    finest = 6 - size_decimals
    rows = [(ZERO, D(1).scaleb(-finest))]
    rows += [(D(10) ** (5 - n), D(1).scaleb(-(n - 1))) for n in range(finest, 0, -1)]
    return tuple(rows)


def listing() -> list[Instrument]:
    """The universe."""
    return [
        Instrument(
            coin, Kind.PERPETUAL, coin, "USDC", "USDC", coin, ticks(size), D(1).scaleb(-size),
            D(1).scaleb(-size), maker_fee=D("0.00015"), taker_fee=D("0.00045"),
            initial_margin=D(1) / leverage,
            maintenance_margin=D(1) / (2 * leverage), number=n,
        )
        for n, (coin, size, leverage) in enumerate(UNIVERSE)
    ]  # fmt: skip


def meta(exchange: Exchange) -> Row:
    """`meta`."""
    rows = [{"szDecimals": s, "name": c, "maxLeverage": m, "marginTableId": m} for c, s, m in UNIVERSE]
    for row in rows:
        if not exchange.instruments[str(row["name"])].active:
            row["isDelisted"] = True
    return {"universe": rows, "marginTables": [], "collateralToken": 0}


def mid(exchange: Exchange, coin: str) -> Decimal | None:
    """Half way between the touches."""
    bid, ask = touch(exchange, coin)
    return (bid[0] + ask[0]) / 2 if bid and ask else None


def mids(exchange: Exchange) -> dict[str, str]:
    """`allMids`."""
    found = {c: mid(exchange, c) for c in exchange.instruments}
    return {c: number(m) for c, m in found.items() if m is not None}


def context(exchange: Exchange, coin: str) -> Row:
    """One of the asset contexts. funding: per hour."""
    bid, ask = touch(exchange, coin)
    mark, rate = exchange.marks[coin], exchange.marks[coin].funding_rate
    impact = [number(bid[0]), number(ask[0])] if bid and ask else None
    middle = mid(exchange, coin)
    return {
        "funding": number(rate / 8) if rate is not None else "0.0",
        "openInterest": number(mark.open_interest),
        "prevDayPx": number(mark.price), "dayNtlVlm": "0.0", "premium": "0.0" if impact else None,
        "oraclePx": number(exchange.index_price(coin)), "markPx": number(mark.price),
        "midPx": number(middle) if middle is not None else None, "impactPxs": impact, "dayBaseVlm": "0.0",
    }  # fmt: skip


def _level(exchange: Exchange, coin: str, side: Side, price: Decimal, size: Decimal) -> Row:
    queue = exchange.books[coin].side(side).queue(price)
    return {"px": number(price), "sz": number(size), "n": len(queue)}


def book(exchange: Exchange, coin: str) -> Row:
    """`l2Book`: at most twenty levels a side, bids first."""
    sides = [
        [_level(exchange, coin, side, p, q) for p, q in levels(exchange, coin, side, 20)] for side in Side
    ]
    return {"coin": coin, "time": exchange.clock.now_ms(), "levels": sides}


def top(exchange: Exchange, coin: str) -> Row:
    """`bbo`."""
    both = touch(exchange, coin)
    rows = [_level(exchange, coin, s, *t) if t else None for s, t in zip(Side, both, strict=True)]
    return {"coin": coin, "time": exchange.clock.now_ms(), "bbo": rows}


def letter(side: Side) -> str:
    """B or A."""
    return "B" if side is Side.BUY else "A"


def trade_row(t: PublicTrade) -> Row:
    """One of `trades` and `recentTrades`."""
    return {
        "coin": t.instrument.symbol, "side": letter(t.side), "px": number(t.price), "sz": number(t.quantity),
        "time": t.ns // MS, "hash": _HASH, "tid": t.trade_id, "users": [_HASH[:42], _HASH[:42]],
    }  # fmt: skip


def status(order: Order) -> str:
    """Of an order, as its updates say."""
    if order.life is Life.CANCELLED:
        whys = {"countdown": "scheduledCancel", "reduce_only": "reduceOnlyCanceled",
                "self_trade": "selfTradeCanceled", "instrument closed": "delistedCanceled"}  # fmt: skip
        return whys.get(order.why, "canceled")
    return "filled" if not order.remaining else "open"


def order_row(order: Order) -> Row:
    """An order as updates and `openOrders` have it; sz is what is left."""
    row: Row = {
        "coin": order.symbol, "side": letter(order.side), "limitPx": number(order.price),
        "sz": number(order.remaining), "oid": order.order_id, "timestamp": order.created_ns // MS,
        "origSz": number(order.quantity),
    }  # fmt: skip
    return row | ({"cloid": order.client_id} if order.client_id else {})


def full_order_row(order: Order) -> Row:
    """As `frontendOpenOrders` and `orderStatus` have it."""
    force = "Alo" if order.post_only is not PostOnly.OFF else "Gtc"
    if order.time_in_force is TimeInForce.IOC:
        force = "Ioc"
    return order_row(order) | {
        "triggerCondition": "N/A", "isTrigger": False, "triggerPx": "0.0", "children": [],
        "isPositionTpsl": False, "reduceOnly": order.reduce_only, "orderType": "Limit", "tif": force,
        "cloid": order.client_id or None,
    }  # fmt: skip


def _began(exchange: Exchange, f: Fill) -> Decimal:
    """The position before an execution: all before it, summed."""
    held = ZERO
    for other in exchange.fills(f.account, lambda o: o.instrument.symbol == f.instrument.symbol):
        if other is f:
            break
        held += other.quantity * other.side.sign
    return held


def _direction(start: Decimal, f: Fill) -> str:
    after = start + f.quantity * f.side.sign
    if start * after < 0:
        return "Long > Short" if start > 0 else "Short > Long"
    if abs(after) > abs(start):
        return "Open Long" if after > 0 else "Open Short"
    return "Close Long" if start > 0 else "Close Short"


def fill_row(exchange: Exchange, f: Fill) -> Row:
    """One of `userFills`. crossed: it took; startPosition: held before, signed."""
    start = _began(exchange, f)
    row: Row = {
        "coin": f.instrument.symbol, "px": number(f.price), "sz": number(f.quantity), "side": letter(f.side),
        "time": f.ns // MS, "startPosition": number(start), "dir": _direction(start, f),
        "closedPnl": number(f.realised) if f.realised else "0.0", "hash": _HASH, "oid": f.order_id,
        "crossed": not f.maker, "fee": number(f.fee), "tid": f.trade_id, "feeToken": f.fee_currency,
        "twapId": None,
    }  # fmt: skip
    if f.why == "liquidation":
        owner = {"liquidatedUser": WALLET.lower(), "markPx": number(f.mark), "method": "market"}
        row["liquidation"] = owner
    return row | ({"cloid": f.client_id} if f.client_id else {})


def position_row(exchange: Exchange, p: Position) -> Row:
    """One of `assetPositions`; szi is signed."""
    i, mark = p.instrument, exchange.mark_price(p.instrument.symbol)
    worth, upl = abs(i.value(p.quantity, mark)), p.unrealised(mark)
    most = next(m for c, _, m in UNIVERSE if c == i.symbol)
    return {
        "type": "oneWay",
        "position": {
            "coin": i.symbol, "szi": number(p.quantity), "leverage": {"type": "cross", "value": most},
            "entryPx": number(round(p.average, 6)), "positionValue": number(round(worth, 6)),
            "unrealizedPnl": number(round(upl, 6)), "returnOnEquity": "0.0", "liquidationPx": None,
            "marginUsed": number(round(worth / most, 6)), "maxLeverage": most,
            "cumFunding": dict.fromkeys(("allTime", "sinceOpen", "sinceChange"), number(-p.funding)),
        },
    }  # fmt: skip


def clearinghouse(exchange: Exchange, account: str) -> Row:
    """`clearinghouseState`."""
    s = exchange.summary(account, "USDC")
    rows = [position_row(exchange, p) for p in exchange.positions(account)]
    notional = sum((D(r["position"]["positionValue"]) for r in rows), ZERO)
    summary = {
        "accountValue": number(s.equity), "totalNtlPos": number(notional), "totalRawUsd": number(s.balance),
        "totalMarginUsed": number(round(s.initial_margin, 6)),
    }  # fmt: skip
    return {
        "marginSummary": summary, "crossMarginSummary": summary, "time": exchange.clock.now_ms(),
        "crossMaintenanceMarginUsed": number(round(s.maintenance_margin, 6)),
        "withdrawable": number(round(s.available, 6)), "assetPositions": rows,
    }  # fmt: skip
