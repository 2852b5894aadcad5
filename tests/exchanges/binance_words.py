"""Binance's words: its four products in small, and how each writes orders, fills, positions and balances.

Spot, USD-M futures and options are counted in coins, COIN-M in contracts of 100 USD (BTC) or 10 USD.
Each product has a wallet of its own, an account of the core: desk/spot, desk/linear, desk/inverse,
desk/option.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from tests.exchanges.cex import levels, number, rounded, touch
from tests.exchanges.clock import MS, NS
from tests.exchanges.core import Exchange
from tests.exchanges.deribit_market import expiries_after
from tests.exchanges.words import (
    ONE,
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
)

D = Decimal
Row = dict[str, Any]
PRODUCTS = ("spot", "linear", "inverse", "option")
SPOT = "spot:"
_FOREVER_MS = 4_133_404_800_000
_CREATED_NS = 1_569_398_400 * NS
#: Tick of futures and spot, lot of USD-M, USD of a COIN-M contract, tick and lot of options, USD strike step.
_TERMS = {
    "BTC": (D("0.1"), D("0.001"), D(100), D(5), D("0.01"), 1000),
    "ETH": (D("0.01"), D("0.001"), D(10), D("0.2"), D("0.01"), 50),
}


def product(i: Instrument) -> str:
    """spot, linear (USD-M), inverse (COIN-M) or option."""
    if i.kind is Kind.SPOT:
        return "spot"
    if i.kind is Kind.OPTION:
        return "option"
    return "inverse" if i.inverse else "linear"


def name_of(i: Instrument) -> str:
    """The venue's symbol."""
    return i.symbol.removeprefix(SPOT)


def wallet(account: str, of: str) -> str:
    """The core's account of a product."""
    return f"{account}/{of}"


def expiry_name(expiry_ns: int) -> str:
    """As in symbols: 251219."""
    return datetime.fromtimestamp(expiry_ns // NS, tz=UTC).strftime("%y%m%d")


def listing(
    now_ns: int, spots: dict[str, float], *, days: Sequence[int] = (2, 9, 37), strikes: int = 3
) -> list[Instrument]:
    """Per base spot, a USD-M and a COIN-M perpetual, a future of each, USDT-settled options."""
    rows: list[Instrument] = []
    expiries = expiries_after(now_ns, days)
    for base, price in spots.items():
        tick, lot, usd, option_tick, option_lot, step = _TERMS[base]
        ticks, last = ((ZERO, tick),), expiry_name(expiries[-1])
        fees: dict[str, Any] = {
            "maker_fee": D("0.0002"), "taker_fee": D("0.0005"), "created_ns": _CREATED_NS,
        }  # fmt: skip
        perp, dated = Kind.PERPETUAL, {"expiry_ns": expiries[-1], **fees}
        rows += [
            Instrument(
                f"{SPOT}{base}USDT", Kind.SPOT, base, "USDT", "USDT", base, ((ZERO, D("0.01")),),
                D("0.00001"),
                D("0.00001"), maker_fee=D("0.001"), taker_fee=D("0.001"), created_ns=_CREATED_NS,
            ),
            Instrument(f"{base}USDT", perp, base, "USDT", "USDT", base, ticks, lot, lot, **fees),
            Instrument(
                f"{base}USDT_{last}", Kind.FUTURE, base, "USDT", "USDT", base, ticks, lot, lot, **dated
            ),
            Instrument(f"{base}USD_PERP", perp, base, "USD", base, base, ticks, ONE, ONE, usd, True, **fees),
            Instrument(
                f"{base}USD_{last}", Kind.FUTURE, base, "USD", base, base, ticks, ONE, ONE, usd, True, **dated
            ),
        ]  # fmt: skip
        middle = round(price / step) * step
        rows += [
            Instrument(
                f"{base}-{expiry_name(expiry)}-{strike}-{right}", Kind.OPTION, base, "USDT", "USDT", base,
                ((ZERO, option_tick),), option_lot, option_lot, maker_fee=D("0.0003"), taker_fee=D("0.0003"),
                fee_cap=D("0.1"), expiry_ns=expiry, strike=D(strike), right=right, created_ns=_CREATED_NS,
            )
            for expiry in expiries
            for strike in (middle + step * (k - strikes // 2) for k in range(strikes))
            for right in "CP"
        ]  # fmt: skip
    return rows


def _filters(i: Instrument) -> list[Row]:
    lot = {"stepSize": number(i.lot), "maxQty": "1000000", "minQty": number(i.minimum)}
    price = {"minPrice": number(i.ticks[0][1]), "maxPrice": "1000000", "tickSize": number(i.ticks[0][1])}
    rows = [{"filterType": "PRICE_FILTER", **price}, {"filterType": "LOT_SIZE", **lot}]
    if i.kind is not Kind.OPTION:
        rows.append({"filterType": "MARKET_LOT_SIZE", **lot})
    return rows


def instrument_row(i: Instrument) -> Row:
    """One of a product's `exchangeInfo`."""
    if i.kind is Kind.OPTION:
        return {
            "contractId": 2, "expiryDate": (i.expiry_ns or 0) // MS, "filters": _filters(i),
            "symbol": i.symbol,
            "side": "CALL" if i.right == "C" else "PUT", "strikePrice": number(i.strike), "unit": 1,
            "underlying": f"{i.base}USDT", "liquidationFeeRate": "0.0019", "minQty": number(i.minimum),
            "maxQty": "1000", "initialMargin": "0.15", "maintenanceMargin": "0.075",
            "minInitialMargin": "0.1",
            "minMaintenanceMargin": "0.05", "priceScale": 1, "quantityScale": 2, "quoteAsset": "USDT",
            "makerFeeRate": number(i.maker_fee), "takerFeeRate": number(i.taker_fee),
            "status": "TRADING" if i.active else "BREAK",
        }  # fmt: skip
    row: Row = {
        "symbol": name_of(i), "baseAsset": i.base, "quoteAsset": i.quote, "baseAssetPrecision": 8,
        "quotePrecision": 8, "filters": _filters(i),
    }  # fmt: skip
    if i.kind is Kind.SPOT:
        return row | {
            "status": "TRADING" if i.active else "BREAK", "quoteAssetPrecision": 8,
            "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"], "isSpotTradingAllowed": True,
            "isMarginTradingAllowed": False, "permissions": [], "permissionSets": [["SPOT"]],
            "baseCommissionPrecision": 8, "quoteCommissionPrecision": 8, "icebergAllowed": True,
            "ocoAllowed": True, "otoAllowed": True, "opoAllowed": True, "quoteOrderQtyMarketAllowed": True,
            "allowTrailingStop": False, "cancelReplaceAllowed": True, "amendAllowed": True,
            "pegInstructionsAllowed": True, "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
            "allowedSelfTradePreventionModes": ["EXPIRE_MAKER"],
        }  # fmt: skip
    state = "contractStatus" if i.inverse else "status"
    return row | {
        "pair": f"{i.base}{i.quote}", "marginAsset": i.settle, "onboardDate": i.created_ns // MS,
        "contractType": "PERPETUAL" if i.kind is Kind.PERPETUAL else "CURRENT_QUARTER",
        "deliveryDate": (i.expiry_ns // MS) if i.expiry_ns else _FOREVER_MS,
        state: "TRADING" if i.active else "SETTLING", "pricePrecision": 2, "quantityPrecision": 3,
        "maintMarginPercent": "2.5000", "requiredMarginPercent": "5.0000", "underlyingType": "COIN",
        "underlyingSubType": [], "triggerProtect": "0.0500", "liquidationFee": "0.012500",
        "marketTakeBound": "0.05", "orderTypes": ["LIMIT", "MARKET"], "settlePlan": 0,
        "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
        **({"contractSize": int(i.multiplier), "equalQtyPrecision": 4} if i.inverse else {}),
    }  # fmt: skip


# ------------------------------------------------------------------------------------------------ the market


def sides(exchange: Exchange, symbol: str, depth: int) -> tuple[list[list[str]], list[list[str]]]:
    """Bids and asks, [price, size]."""
    bids, asks = ([[number(p), number(q)] for p, q in levels(exchange, symbol, side, depth)] for side in Side)
    return bids, asks


def book_ticker(exchange: Exchange, symbol: str) -> Row:
    """`ticker/bookTicker`."""
    bid, ask = touch(exchange, symbol)
    return {
        "symbol": name_of(exchange.instruments[symbol]), "bidPrice": number(bid[0]) if bid else "0",
        "bidQty": number(bid[1]) if bid else "0", "askPrice": number(ask[0]) if ask else "0",
        "askQty": number(ask[1]) if ask else "0", "time": exchange.clock.now_ms(),
    }  # fmt: skip


def day_ticker(exchange: Exchange, symbol: str) -> Row:
    """`ticker/24hr`; options: `ticker`."""
    i, trades = exchange.instruments[symbol], exchange.trades[symbol]
    prices = [t.price for t in trades] or [exchange.mark_price(symbol)]
    volume, now = sum((t.quantity for t in trades), ZERO), exchange.clock.now_ms()
    row: Row = {
        "symbol": name_of(i), "priceChange": number(prices[-1] - prices[0]), "priceChangePercent": "0",
        "lastPrice": number(prices[-1]), "lastQty": number(trades[-1].quantity if trades else ZERO),
        "openPrice": number(prices[0]), "highPrice": number(max(prices)), "lowPrice": number(min(prices)),
        "volume": number(volume), "quoteVolume": number(volume * prices[-1]), "openTime": now - 86_400_000,
        "closeTime": now, "firstId": 1, "lastId": len(trades), "count": len(trades),
        "weightedAvgPrice": number(prices[-1]),
    }  # fmt: skip
    if i.kind in (Kind.SPOT, Kind.OPTION):
        row |= {k: v for k, v in book_ticker(exchange, symbol).items() if k not in ("symbol", "time")}
    if i.right:
        row |= {"amount": row.pop("quoteVolume"), "open": row.pop("openPrice"), "high": row.pop("highPrice"),
                "low": row.pop("lowPrice"), "tradeCount": row.pop("count"), "strikePrice": number(i.strike),
                "exercisePrice": number(exchange.index_price(symbol))}  # fmt: skip
    return row


def trade_row(t: PublicTrade) -> Row:
    """One of `trades`; isBuyerMaker: the seller took."""
    return {
        "id": t.trade_id, "price": number(t.price), "qty": number(t.quantity),
        "quoteQty": number(t.quantity * t.price), "time": t.ns // MS, "isBuyerMaker": t.side is Side.SELL,
    }  # fmt: skip


def mark_row(exchange: Exchange, symbol: str) -> Row:
    """`premiumIndex` of futures, `mark` of options (Greeks: USD per coin, theta a day, vega a vol point)."""
    i, mark = exchange.instruments[symbol], exchange.marks.get(symbol)
    price = number(exchange.mark_price(symbol))
    if i.kind is Kind.OPTION:
        bid, ask = touch(exchange, symbol)
        vol = rounded(mark.iv if mark else None, 8)
        return {
            "symbol": i.symbol, "markPrice": price, "markIV": vol, "bidIV": vol if bid else "-1",
            "askIV": vol if ask else "-1", "delta": rounded(mark.delta if mark else None, 8),
            "theta": rounded(mark.theta if mark else None, 8),
            "gamma": rounded(mark.gamma if mark else None, 8),
            "vega": rounded(mark.vega if mark else None, 8), "highPriceLimit": "", "lowPriceLimit": "",
            "riskFreeInterest": "0",
        }  # fmt: skip
    period = 8 * 3600 * 1000
    perpetual = i.kind is Kind.PERPETUAL
    row: Row = {
        "symbol": i.symbol, "markPrice": price, "indexPrice": number(exchange.index_price(symbol)),
        "estimatedSettlePrice": price, "interestRate": "0.0001" if perpetual else "",
        "lastFundingRate": number(mark.funding_rate if mark else None) if perpetual else "",
        "nextFundingTime": (exchange.clock.now_ms() // period + 1) * period if perpetual else 0,
        "time": exchange.clock.now_ms(),
    }  # fmt: skip
    return row | ({"pair": f"{i.base}{i.quote}"} if i.inverse else {})


# ------------------------------------------------------------------------------------------------ the account


def order_state(order: Order) -> str:
    """What ended by itself has expired; what somebody ended is cancelled."""
    if order.life is Life.CANCELLED:
        return "CANCELED" if order.why in ("user", "countdown", "disconnect") else "EXPIRED"
    if not order.remaining:
        return "FILLED"
    return "PARTIALLY_FILLED" if order.filled else "NEW"


def kind_of(order: Order) -> tuple[str, str]:
    """(type, timeInForce)."""
    if order.price is None:
        return "MARKET", "GTC"
    if order.post_only is not PostOnly.OFF:
        return ("LIMIT_MAKER", "GTC") if order.instrument.kind is Kind.SPOT else ("LIMIT", "GTX")
    return "LIMIT", order.time_in_force.value.upper()


def client_id(order: Order) -> str:
    """The client's own, or one that Binance makes up."""
    return order.client_id or f"loopback{order.order_id}"


def order_row(order: Order) -> Row:
    """An order as its product's REST tells it."""
    i, (kind, force) = order.instrument, kind_of(order)
    row: Row = {
        "orderId": order.order_id, "symbol": name_of(i), "status": order_state(order),
        "clientOrderId": client_id(order), "price": number(order.price or ZERO),
        "executedQty": number(order.filled), "timeInForce": force, "type": kind,
        "side": order.side.value.upper(),
    }  # fmt: skip
    if i.kind is Kind.OPTION:
        return row | {
            "quantity": number(order.quantity), "reduceOnly": order.reduce_only, "source": "API",
            "postOnly": order.post_only is not PostOnly.OFF, "avgPrice": number(order.average or ZERO),
            "fee": number(order.fee), "createTime": order.created_ns // MS,
            "updateTime": order.updated_ns // MS, "priceScale": 1, "quantityScale": 2, "quoteAsset": "USDT",
            "optionSide": "CALL" if i.right == "C" else "PUT", "mmp": False,
        }  # fmt: skip
    row |= {
        "origQty": number(order.quantity), "time": order.created_ns // MS,
        "updateTime": order.updated_ns // MS,
        "selfTradePreventionMode": "EXPIRE_MAKER", "stopPrice": "0",
    }  # fmt: skip
    if i.kind is Kind.SPOT:
        return row | {
            "orderListId": -1, "cummulativeQuoteQty": number(order.filled_value), "icebergQty": "0",
            "isWorking": True, "workingTime": order.created_ns // MS, "origQuoteOrderQty": "0",
        }  # fmt: skip
    worth: Row = {"cumQuote": number(order.filled_value)}
    if i.inverse:
        coins = order.filled * i.multiplier / order.average if order.average else ZERO
        worth = {"cumBase": number(round(coins, 8)), "pair": f"{i.base}{i.quote}"}
    return row | worth | {
        "avgPrice": number(order.average or ZERO), "reduceOnly": order.reduce_only, "closePosition": False,
        "positionSide": "BOTH", "workingType": "CONTRACT_PRICE", "priceProtect": False, "origType": kind,
        "priceMatch": "NONE", "goodTillDate": 0,
    }  # fmt: skip


def fill_row(f: Fill) -> Row:
    """One of `userTrades` (spot: `myTrades`)."""
    i, buy = f.instrument, f.side is Side.BUY
    value = abs(i.value(f.quantity, f.price))
    row: Row = {
        "symbol": name_of(i), "id": f.trade_id, "orderId": f.order_id, "price": number(f.price),
        "time": f.ns // MS,
    }  # fmt: skip
    if i.kind is Kind.OPTION:
        return row | {
            "tradeId": f.trade_id, "quantity": number(f.quantity if buy else -f.quantity),
            "fee": number(-f.fee),
            "realizedProfit": number(f.realised), "side": f.side.value.upper(), "type": "LIMIT",
            "volatility": "0",
            "liquidity": "MAKER" if f.maker else "TAKER", "quoteAsset": "USDT", "priceScale": 1,
            "quantityScale": 2, "optionSide": "CALL" if i.right == "C" else "PUT",
        }  # fmt: skip
    row |= {
        "qty": number(f.quantity),
        "commission": number(round(f.fee, 14)),
        "commissionAsset": f.fee_currency,
    }
    if i.kind is Kind.SPOT:
        spot = {"isBuyer": buy, "isMaker": f.maker, "isBestMatch": True, "orderListId": -1}
        return row | {"quoteQty": number(value), **spot}
    base = {"baseQty": number(round(value, 8)), "pair": f"{i.base}{i.quote}"} if i.inverse else {}
    return row | base | {
        "quoteQty": number(value), "realizedPnl": number(f.realised), "side": f.side.value.upper(),
        "positionSide": "BOTH", "buyer": buy, "maker": f.maker, "marginAsset": i.settle,
    }  # fmt: skip


def position_row(exchange: Exchange, p: Position) -> Row:
    """`positionRisk` of futures, `position` of options; the amount is signed."""
    i, mark = p.instrument, exchange.mark_price(p.instrument.symbol)
    upl, now = round(p.unrealised(mark), 8), exchange.clock.now_ms()
    if i.kind is Kind.OPTION:
        return {
            "symbol": i.symbol, "side": "LONG" if p.quantity > 0 else "SHORT", "quantity": number(p.quantity),
            "entryPrice": number(p.average), "reducibleQty": number(p.quantity), "ror": "0",
            "markValue": number(i.value(p.quantity, mark)), "unrealizedPNL": number(upl),
            "markPrice": number(mark), "strikePrice": number(i.strike), "positionCost": number(p.entry),
            "expiryDate": (i.expiry_ns or 0) // MS, "priceScale": 1, "quantityScale": 2, "quoteAsset": "USDT",
            "optionSide": "CALL" if i.right == "C" else "PUT", "time": now, "bidQuantity": "0",
            "askQuantity": "0",
        }  # fmt: skip
    worth = number(round(i.value(p.quantity, mark), 8))
    return {
        "symbol": i.symbol, "positionSide": "BOTH", "positionAmt": number(p.quantity),
        "entryPrice": number(round(p.average, 8)), "breakEvenPrice": number(round(p.average, 8)),
        "markPrice": number(mark), "unRealizedProfit": number(upl), "liquidationPrice": "0",
        "isolatedMargin": "0", "notional": worth, "notionalValue": worth, "isolatedWallet": "0",
        "initialMargin": "0", "maintMargin": "0", "positionInitialMargin": "0", "openOrderInitialMargin": "0",
        "marginAsset": i.settle, "adl": 1, "bidNotional": "0", "askNotional": "0", "leverage": "20",
        "maxNotionalValue": "250000", "maxQty": "250000", "marginType": "cross", "isAutoAddMargin": "false",
        "updateTime": now,
    }  # fmt: skip


def asset_row(exchange: Exchange, name: str, currency: str) -> Row:
    """One currency of a futures account."""
    s, now = exchange.summary(name, currency), exchange.clock.now_ms()
    cash, free = number(s.balance), number(round(s.available, 8))
    return {
        "asset": currency, "walletBalance": cash, "unrealizedProfit": number(round(s.futures_upl, 8)),
        "marginBalance": number(round(s.margin_balance, 8)),
        "maintMargin": number(round(s.maintenance_margin, 8)),
        "initialMargin": number(round(s.initial_margin + s.order_margin, 8)),
        "positionInitialMargin": number(round(s.initial_margin, 8)),
        "openOrderInitialMargin": number(round(s.order_margin, 8)), "crossWalletBalance": cash,
        "crossUnPnl": number(round(s.futures_upl, 8)), "availableBalance": free, "maxWithdrawAmount": free,
        "marginAvailable": True, "updateTime": now,
    }  # fmt: skip
