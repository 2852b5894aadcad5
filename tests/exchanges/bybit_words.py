"""Bybit's words: its instruments in small, and how orders, executions, positions and wallets are written.

Linear contracts and options are counted in coins, inverse contracts in USD, spot in coins. A symbol means
nothing without its category: BTCUSDT is a spot pair and a perpetual.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from tests.exchanges.cex import blank, levels, ms, number, rounded, touch
from tests.exchanges.clock import NS
from tests.exchanges.core import Exchange
from tests.exchanges.deribit_market import expiries_after, expiry_name
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
    TimeInForce,
)

D = Decimal
Row = dict[str, Any]
SPOT = "spot:"
_ID_BASE = UUID("8c065341-7b52-4ca9-ac2c-000000000000").int
_CREATED_NS = 1_584_230_400 * NS
#: Tick of futures and spot, lot of the linear perpetual, tick and lot of options, USD strike step.
_TERMS = {
    "BTC": (D("0.1"), D("0.001"), D(5), D("0.01"), 1000),
    "ETH": (D("0.01"), D("0.01"), D("0.1"), D("0.1"), 50),
}


def category(i: Instrument) -> str:
    """spot, linear, inverse or option."""
    if i.kind is Kind.SPOT:
        return "spot"
    if i.kind is Kind.OPTION:
        return "option"
    return "inverse" if i.inverse else "linear"


def name_of(i: Instrument) -> str:
    """The venue's symbol."""
    return i.symbol.removeprefix(SPOT)


def listing(
    now_ns: int, spots: dict[str, float], *, days: Sequence[int] = (2, 9, 37), strikes: int = 3
) -> list[Instrument]:
    """Per base spot, a linear and an inverse perpetual, an inverse future, USDT-settled options (and for the
    first expiry the older USDC-settled ones).
    """
    rows: list[Instrument] = []
    expiries = expiries_after(now_ns, days)
    for base, price in spots.items():
        tick, lot, option_tick, option_lot, step = _TERMS[base]
        ticks = ((ZERO, tick),)
        perps: dict[str, Any] = {
            "maker_fee": D("0.0002"), "taker_fee": D("0.00055"), "created_ns": _CREATED_NS,
        }  # fmt: skip
        rows += [
            Instrument(
                f"{SPOT}{base}USDT", Kind.SPOT, base, "USDT", "USDT", base, ticks, D("0.000001"),
                D("0.000011"),
                maker_fee=D("0.001"), taker_fee=D("0.001"), created_ns=_CREATED_NS,
            ),
            Instrument(f"{base}USDT", Kind.PERPETUAL, base, "USDT", "USDT", base, ticks, lot, lot, **perps),
            Instrument(
                f"{base}USD", Kind.PERPETUAL, base, "USD", base, base, ticks, ONE, ONE, inverse=True, **perps
            ),
            Instrument(
                f"{base}USDZ{expiry_name(expiries[-1])[-2:]}", Kind.FUTURE, base, "USD", base, base, ticks,
                ONE,
                ONE, inverse=True, expiry_ns=expiries[-1], **perps,
            ),
        ]  # fmt: skip
        middle = round(price / step) * step
        for n, expiry in enumerate(expiries):
            for k in range(strikes):
                for right in "CP":
                    for settle in ("USDT", "USDC") if n == 0 else ("USDT",):
                        strike = middle + step * (k - strikes // 2)
                        name = f"{base}-{expiry_name(expiry)}-{strike}-{right}"
                        rows.append(
                            Instrument(
                                name + ("-USDT" if settle == "USDT" else ""), Kind.OPTION, base, settle,
                                settle,
                                base, ((ZERO, option_tick),), option_lot, option_lot, maker_fee=D("0.0002"),
                                taker_fee=D("0.0003"), fee_cap=D("0.07"), expiry_ns=expiry, strike=D(strike),
                                right=right, created_ns=_CREATED_NS,
                            )
                        )  # fmt: skip
    return rows


def instrument_row(i: Instrument) -> Row:
    """One of `market/instruments-info`."""
    row: Row = {
        "symbol": name_of(i), "status": "Trading" if i.active else "Closed", "baseCoin": i.base,
        "quoteCoin": i.quote, "priceFilter": {"tickSize": number(i.ticks[0][1])},
    }  # fmt: skip
    lots = {"maxOrderQty": "1000000", "minOrderQty": number(i.minimum)}
    if i.kind is Kind.SPOT:
        quote = {"basePrecision": number(i.lot), "quotePrecision": "0.0000001"}
        row |= {"lotSizeFilter": lots | quote | {"minOrderAmt": "5", "maxOrderAmt": "4000000"}}
        return row | {"innovation": "0", "marginTrading": "utaOnly"}
    row["priceFilter"] |= {"minPrice": number(i.ticks[0][1]), "maxPrice": "1999999.8"}
    row["lotSizeFilter"] = lots | {"qtyStep": number(i.lot)}
    row |= {
        "settleCoin": i.settle, "launchTime": ms(i.created_ns), "deliveryTime": ms(i.expiry_ns or 0),
        "deliveryFeeRate": "0.00015" if i.right else "",
    }  # fmt: skip
    if i.kind is Kind.OPTION:
        return row | {"optionsType": "Call" if i.right == "C" else "Put"}
    kind = {Kind.PERPETUAL: "Perpetual", Kind.FUTURE: "Futures"}[i.kind]
    row["lotSizeFilter"] |= {"postOnlyMaxOrderQty": "1000000", "maxMktOrderQty": "500"}
    if not i.inverse:
        row["lotSizeFilter"]["minNotionalValue"] = "5"
    return row | {
        "contractType": ("Inverse" if i.inverse else "Linear") + kind, "priceScale": "2",
        "leverageFilter": {"minLeverage": "1", "maxLeverage": "100.00", "leverageStep": "0.01"},
        "unifiedMarginTrade": True, "fundingInterval": 480 if i.kind is Kind.PERPETUAL else 0,
    }  # fmt: skip


# ------------------------------------------------------------------------------------------------ the market


def book_rows(exchange: Exchange, symbol: str, depth: int) -> dict[Side, list[list[str]]]:
    """[price, size] of both sides."""
    return {side: [[number(p), number(q)] for p, q in levels(exchange, symbol, side, depth)] for side in Side}


def ticker_row(exchange: Exchange, symbol: str) -> Row:
    """One of `market/tickers`, as its category has it."""
    i, mark = exchange.instruments[symbol], exchange.marks.get(symbol)
    bid, ask = touch(exchange, symbol)
    trades = exchange.trades[symbol]
    prices = [t.price for t in trades] or [exchange.mark_price(symbol)]
    volume = sum((t.quantity for t in trades), ZERO)
    none = "0" if i.right else ""
    row: Row = {
        "symbol": name_of(i), "lastPrice": number(prices[-1]), "highPrice24h": number(max(prices)),
        "lowPrice24h": number(min(prices)), "volume24h": number(volume),
        "turnover24h": number(volume * prices[-1]),
    }  # fmt: skip
    one = "" if i.right or i.kind is Kind.SPOT else "1"
    tops = {
        "bid" + one + "Price": number(bid[0]) if bid else none,
        "bid" + one + "Size": number(bid[1]) if bid else none,
        "ask" + one + "Price": number(ask[0]) if ask else none,
        "ask" + one + "Size": number(ask[1]) if ask else none,
    }  # fmt: skip
    if i.kind is Kind.SPOT:
        return row | {"prevPrice24h": number(prices[0]), "price24hPcnt": "0"}
    row |= tops | {
        "markPrice": number(exchange.mark_price(symbol)), "indexPrice": number(exchange.index_price(symbol)),
        "openInterest": number(mark.open_interest if mark else ZERO),
    }  # fmt: skip
    if i.kind is Kind.OPTION:
        vol = rounded(mark.iv if mark else None, 4)
        return row | {
            "bidIv": vol if bid else "0", "askIv": vol if ask else "0", "markPriceIv": vol,
            "underlyingPrice": number(mark.forward if mark else None), "totalVolume": number(volume),
            "totalTurnover": number(volume * prices[-1]), "delta": rounded(mark.delta if mark else None, 8),
            "gamma": rounded(mark.gamma if mark else None, 8), "vega": rounded(mark.vega if mark else None,
            8),
            "theta": rounded(mark.theta if mark else None, 8), "predictedDeliveryPrice": "0",
            "change24h": "0",
        }  # fmt: skip
    period = 8 * 3600 * 1000
    perpetual = i.kind is Kind.PERPETUAL
    return row | {
        "tickDirection": "ZeroPlusTick", "price24hPcnt": "0", "prevPrice24h": number(prices[0]),
        "prevPrice1h": number(prices[0]), "openInterestValue": row["openInterest"],
        "fundingRate": number(mark.funding_rate if mark else None) if perpetual else "",
        "nextFundingTime": str((exchange.clock.now_ms() // period + 1) * period) if perpetual else "0",
        "fundingIntervalHour": "8" if perpetual else "",
    }  # fmt: skip


def spot_tops(exchange: Exchange, symbol: str) -> Row:
    """The touch, which spot tickers have by REST and not by socket."""
    bid, ask = touch(exchange, symbol)
    return {
        "bid1Price": number(bid[0]) if bid else "", "bid1Size": number(bid[1]) if bid else "",
        "ask1Price": number(ask[0]) if ask else "", "ask1Size": number(ask[1]) if ask else "",
    }  # fmt: skip


def _title(side: Side) -> str:
    return side.value.title()


def trade_row(t: PublicTrade) -> Row:
    """One of `market/recent-trade`."""
    return {
        "execId": execution_id(t.trade_id), "symbol": name_of(t.instrument), "price": number(t.price),
        "size": number(t.quantity), "side": _title(t.side), "time": ms(t.ns), "isBlockTrade": False,
    }  # fmt: skip


def trade_news(t: PublicTrade) -> Row:
    """One of `publicTrade`."""
    return {
        "T": int(ms(t.ns)), "s": name_of(t.instrument), "S": _title(t.side), "v": number(t.quantity),
        "p": number(t.price), "i": execution_id(t.trade_id), "BT": False,
    }  # fmt: skip


# ------------------------------------------------------------------------------------------------ the account


def order_id(number_: int) -> str:
    """A UUID, as of derivatives.

    >>> number_of(order_id(1001))
    1001
    """
    return str(UUID(int=_ID_BASE + number_))


def number_of(text: str) -> int | None:
    """The core's number of an order id; None where it is none."""
    try:
        return UUID(text).int - _ID_BASE
    except ValueError:
        return None


def execution_id(number_: int) -> str:
    """A UUID."""
    return str(UUID(int=_ID_BASE + (1 << 44) + number_))


def order_state(order: Order) -> str:
    """orderStatus."""
    if order.life is Life.CANCELLED:
        spot = order.instrument.kind is Kind.SPOT
        return "PartiallyFilledCanceled" if order.filled and spot else "Cancelled"
    if not order.remaining:
        return "Filled"
    return "PartiallyFilled" if order.filled else "New"


_REASONS = {"post_only": "EC_PostOnlyWillTakeLiquidity", "ioc": "EC_NoImmediateQtyToFill",
            "fok": "EC_NoImmediateQtyToFill", "user": "EC_PerCancelRequest"}  # fmt: skip
_CANCELS = {"user": "CancelByUser", "disconnect": "CancelByUser", "reduce_only": "CancelByReduceOnly",
            "countdown": "CancelByDCP", "self_trade": "CancelBySmp"}  # fmt: skip
_ORDER_BLANK: Row = blank(
    "triggerPrice takeProfit stopLoss tpLimitPrice slLimitPrice lastPriceOnCreated", "0"
) | blank("tpTriggerBy slTriggerBy triggerBy stopOrderType orderIv blockTradeId smpOrderId tpslMode")


def order_row(order: Order) -> Row:
    """An order, by REST; the socket's has `category`, `feeCurrency` and `createType` besides."""
    done = order.life is not Life.OPEN
    leaves = ZERO if done else order.remaining
    force = "PostOnly" if order.post_only is not PostOnly.OFF else order.time_in_force.value.upper()
    return _ORDER_BLANK | {
        "orderId": order_id(order.order_id), "orderLinkId": order.client_id,
        "symbol": name_of(order.instrument),
        "price": number(order.price) if order.price is not None else "0", "qty": number(order.quantity),
        "side": _title(order.side), "isLeverage": "", "positionIdx": 0, "orderStatus": order_state(order),
        "cancelType": _CANCELS.get(order.why, "UNKNOWN") if order.life is Life.CANCELLED else "",
        "rejectReason": _REASONS.get(order.why, "EC_NoError") if order.why else "EC_NoError",
        "avgPrice": number(order.average), "leavesQty": number(leaves),
        "leavesValue": number(leaves * (order.price or ZERO)), "cumExecQty": number(order.filled),
        "cumExecValue": number(order.filled_value), "cumExecFee": number(order.fee),
        "timeInForce": "IOC" if order.price is None else force,
        "orderType": "Market" if order.price is None else "Limit", "triggerDirection": 0,
        "reduceOnly": order.reduce_only, "closeOnTrigger": False, "smpType": "None", "smpGroup": 0,
        "placeType": "price" if order.instrument.right else "", "createdTime": ms(order.created_ns),
        "updatedTime": ms(order.updated_ns),
    }  # fmt: skip


def order_news(order: Order) -> Row:
    """One of the topic `order`."""
    i = order.instrument
    row = order_row(order) | {"category": category(i), "feeCurrency": i.settle, "createType": "CreateByUser"}
    row.pop("isLeverage")
    return row


_EXEC_TYPES = {"trade": "Trade", "adl": "AdlTrade", "liquidation": "BustTrade", "settlement": "Settle"}


def fill_row(fill: Fill, order: Order | None) -> Row:
    """One of `execution/list`."""
    i = fill.instrument
    value = abs(i.value(fill.quantity, fill.price))
    rate = i.maker_fee if fill.maker else i.taker_fee
    price = order.price if order and order.price is not None else fill.price
    left = order.remaining if order else ZERO
    market = order is None or order.price is None
    return {
        "symbol": name_of(i), "orderId": order_id(fill.order_id) if fill.order_id else "",
        "orderLinkId": fill.client_id, "side": _title(fill.side), "orderPrice": number(price),
        "orderQty": number(order.quantity if order else fill.quantity), "leavesQty": number(left),
        "createType": "CreateByUser", "orderType": "Market" if market else "Limit", "stopOrderType": "",
        "execFee": number(round(fill.fee, 14)), "execId": execution_id(fill.trade_id),
        "execPrice": number(fill.price),
        "execQty": number(fill.quantity), "execType": _EXEC_TYPES.get(fill.why, "Trade"),
        "execValue": number(round(value, 12)), "execTime": ms(fill.ns), "feeCurrency": fill.fee_currency,
        "isMaker": fill.maker, "feeRate": number(rate), "tradeIv": "", "markIv": "",
        "markPrice": number(fill.mark), "indexPrice": number(fill.index), "underlyingPrice": "",
        "blockTradeId": "", "closedSize": "0", "seq": fill.trade_seq,
    }  # fmt: skip


def fill_news(fill: Fill, order: Order | None) -> Row:
    """One of the topic `execution`."""
    row = fill_row(fill, order) | {"category": category(fill.instrument), "isLeverage": "0"}
    row.pop("createType")
    row.pop("feeCurrency")
    return row


def position_row(exchange: Exchange, p: Position) -> Row:
    """One of `position/list`: the size is positive, the side says the sign; "" where flat."""
    i, mark = p.instrument, exchange.mark_price(p.instrument.symbol)
    side = "" if not p.quantity else "Buy" if p.quantity > 0 else "Sell"
    margin = round(abs(p.entry) / 10, 8)
    stamp = str(exchange.clock.now_ms())
    return {
        "positionIdx": 0, "riskId": 0 if i.right else 1, "riskLimitValue": "" if i.right else "2000000",
        "symbol": name_of(i), "side": side, "size": number(abs(p.quantity)), "avgPrice": number(p.average),
        "positionValue": number(round(abs(p.entry), 12)), "tradeMode": 0, "positionStatus": "Normal",
        "autoAddMargin": 0, "adlRankIndicator": 0 if not p.quantity else 2,
        "leverage": "" if i.right else "10",
        "positionBalance": "0", "markPrice": number(mark), "liqPrice": "", "bustPrice": "",
        "positionMM": number(margin / 20), "positionIM": number(margin), "tpslMode": "Full", "takeProfit": "",
        "stopLoss": "", "trailingStop": "0", "unrealisedPnl": number(round(p.unrealised(mark), 12)),
        "curRealisedPnl": number(round(p.realised - p.fees, 12)), "sessionAvgPrice": "",
        "cumRealisedPnl": number(round(p.realised - p.fees, 12)), "seq": len(exchange.trades[i.symbol]),
        "isReduceOnly": False, "mmrSysUpdatedTime": "", "leverageSysUpdatedTime": "",
        "createdTime": stamp, "updatedTime": stamp,
    }  # fmt: skip


def position_news(exchange: Exchange, p: Position) -> Row:
    """One of the topic `position`."""
    row = position_row(exchange, p)
    row["entryPrice"] = row.pop("avgPrice")
    margins = {"positionIMByMp": row["positionIM"], "positionMMByMp": row["positionMM"]}
    return row | margins | {"category": category(p.instrument)}


def wallet_row(exchange: Exchange, account: str, only: Sequence[str] = ()) -> Row:
    """`account/wallet-balance` of a unified account. walletBalance: cash, with what of it is borrowed;
    equity: without, and with what is open."""
    coins, total = [], ZERO
    margin = initial = maintenance = ZERO
    whose = exchange.account(account)
    for currency in (c for c in whose.balances if not only or c in only):
        s, loan = exchange.summary(account, currency), whose.loans.get(currency, ZERO)
        usd = exchange.indices.get(currency, ONE)
        total += s.equity * usd
        margin += s.margin_balance * usd
        initial += (s.initial_margin + s.order_margin) * usd
        maintenance += s.maintenance_margin * usd
        coins.append(
            {
                "coin": currency, "equity": number(s.equity), "walletBalance": number(s.balance + loan),
                "usdValue": number(round(s.equity * usd, 8)), "unrealisedPnl": number(s.futures_upl),
                "cumRealisedPnl": number(s.futures_rpl), "totalOrderIM": number(s.order_margin),
                "totalPositionIM": number(s.initial_margin), "totalPositionMM": number(s.maintenance_margin),
                "locked": "0", "spotHedgingQty": "0", "collateralSwitch": True, "marginCollateral": True,
                "availableToWithdraw": "", "availableToBorrow": "", "borrowAmount": number(loan),
                "accruedInterest": "0",
                "bonus": "0", "spotBorrow": number(loan),
            }
        )  # fmt: skip
    worth = number(round(total, 8))
    totals = {
        "accountIMRate": "0", "accountMMRate": "0", "totalWalletBalance": worth, "totalPerpUPL": "0",
        "totalMarginBalance": number(round(margin, 8)),
        "totalAvailableBalance": number(round(margin - initial, 8)),
        "totalInitialMargin": number(round(initial, 8)),
        "totalMaintenanceMargin": number(round(maintenance, 8)),
    }  # fmt: skip
    if exchange.modes.get("marginMode") == "ISOLATED_MARGIN":  # there is no margin of the account as a whole
        totals = dict.fromkeys(totals, "")
    return totals | {
        "accountType": "UNIFIED", "accountLTV": "0", "totalEquity": worth, "coin": coins,
    }  # fmt: skip


FORCES = {"GTC": TimeInForce.GTC, "IOC": TimeInForce.IOC, "FOK": TimeInForce.FOK, "PostOnly": TimeInForce.GTC}
