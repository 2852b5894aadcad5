"""OKX's words: its instruments in small, and how orders, fills, positions, balances and marks are written.

Everything but spot is counted in contracts: a contract is ctVal x ctMult (options of BTC: 1 x 0.01 BTC; the
inverse swap: 100 USD). Fees are negative where they are paid, numbers are text, an empty text is nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from tests.exchanges.cex import blank, levels, ms, number, rounded, touch
from tests.exchanges.clock import NS
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
    Summary,
    TimeInForce,
)

D = Decimal
#: Order numbers are longer than a float can hold.
ID_OFFSET = 2_497_956_918_700_000_000
CODE_OFFSET = 10_000
_CREATED_NS = 1_535_424_203 * NS
TYPES = {Kind.SPOT: "SPOT", Kind.PERPETUAL: "SWAP", Kind.FUTURE: "FUTURES", Kind.OPTION: "OPTION"}
#: USD of an inverse contract, its tick; coins of a linear contract; ctMult of an option; USD strike step.
_TERMS = {
    "BTC": (D(100), D("0.1"), D("0.01"), D("0.01"), 1000),
    "ETH": (D(10), D("0.01"), D("0.1"), D("0.1"), 50),
}


@dataclass(frozen=True, slots=True)
class Contract:
    """How an instrument's multiplier is told: multiplier = value x mult, in `currency`."""

    value: Decimal
    mult: Decimal
    currency: str


def contract(i: Instrument) -> Contract | None:
    """ctVal, ctMult, ctValCcy; None for spot."""
    if i.kind is Kind.SPOT:
        return None
    if i.kind is Kind.OPTION:
        return Contract(ONE, i.multiplier, i.base)
    return Contract(i.multiplier, ONE, "USD" if i.inverse else i.base)


def expiry_name(expiry_ns: int) -> str:
    """As in instrument ids: 241217."""
    return datetime.fromtimestamp(expiry_ns // NS, tz=UTC).strftime("%y%m%d")


def listing(
    now_ns: int, spots: dict[str, float], *, days: Sequence[int] = (2, 9, 37), strikes: int = 3
) -> list[Instrument]:
    """Per base spot, an inverse and a linear swap, a dated future, a coin-settled option chain."""
    rows: list[Instrument] = []
    expiries = expiries_after(now_ns, days)
    for base, price in spots.items():
        usd, tick, coins, mult, step = _TERMS[base]
        fees: dict[str, Any] = {"maker_fee": D("0.0002"), "taker_fee": D("0.0005"), "created_ns": _CREATED_NS}
        ticks = ((ZERO, tick),)
        rows += [
            Instrument(
                f"{base}-USDT", Kind.SPOT, base, "USDT", "USDT", base, ticks, D("0.00000001"), D("0.00001"),
                maker_fee=D("0.0008"), taker_fee=D("0.001"), created_ns=_CREATED_NS,
            ),
            Instrument(
                f"{base}-USD-SWAP", Kind.PERPETUAL, base, "USD", base, base, ticks, ONE, ONE, usd, True,
                **fees,
            ),
            Instrument(
                f"{base}-USDT-SWAP", Kind.PERPETUAL, base, "USDT", "USDT", base, ticks, D("0.01"), D("0.01"),
                coins, **fees,
            ),
            Instrument(
                f"{base}-USD-{expiry_name(expiries[-1])}", Kind.FUTURE, base, "USD", base, base, ticks, ONE,
                ONE,
                usd, True, expiry_ns=expiries[-1], **fees,
            ),
        ]  # fmt: skip
        middle = round(price / step) * step
        for expiry in expiries:
            for k in range(strikes):
                strike = middle + step * (k - strikes // 2)
                rows += [_option(base, expiry, strike, right, mult) for right in "CP"]
    return [replace(i, number=CODE_OFFSET + k) for k, i in enumerate(rows)]


def _option(base: str, expiry_ns: int, strike: int, right: str, mult: Decimal) -> Instrument:
    return Instrument(
        f"{base}-USD-{expiry_name(expiry_ns)}-{strike}-{right}", Kind.OPTION, base, base, base, base,
        ((ZERO, D("0.0001")), (D("0.005"), D("0.0005"))), ONE, ONE, mult, True, D("0.0002"), D("0.0003"),
        D("0.125"),
        expiry_ns=expiry_ns, strike=D(strike), right=right, created_ns=_CREATED_NS,
    )  # fmt: skip


def family(i: Instrument) -> str:
    """instFamily and underlying: BTC-USD, BTC-USDT; "" for spot."""
    if i.kind is Kind.SPOT:
        return ""
    return f"{i.base}-{'USD' if i.inverse else i.settle}"


_INSTRUMENT_BLANK = blank(
    "alias auctionEndTime baseCcy contTdSwTime ctMult ctType ctVal ctValCcy expTime instFamily lever "
    "maxMktAmt "
    "maxPlatOILmt openType optType posLmtAmt posLmtPct preMktSwTime quoteCcy settleCcy stk uly"
)


def instrument_row(i: Instrument) -> dict[str, Any]:
    """One of `public/instruments`."""
    most = "1000000"
    row: dict[str, Any] = _INSTRUMENT_BLANK | {
        "category": "1", "futureSettlement": False, "instId": i.symbol, "instIdCode": i.number,
        "instType": TYPES[i.kind], "listTime": ms(i.created_ns), "lotSz": number(i.lot), "maxIcebergSz": most,
        "maxLmtAmt": "20000000", "maxLmtSz": most, "maxMktSz": "5000", "maxStopSz": "5000",
        "maxTriggerSz": most,
        "maxTwapSz": most, "minSz": number(i.minimum), "ruleType": "normal", "tickSz": number(i.ticks[0][1]),
        "state": "live" if i.active else "suspend", "tradeQuoteCcyList": [],
    }  # fmt: skip
    terms = contract(i)
    if terms is None:
        row |= {"baseCcy": i.base, "quoteCcy": i.quote, "maxMktAmt": "1000000"}
        return row
    row |= {
        "ctVal": number(terms.value), "ctMult": number(terms.mult), "ctValCcy": terms.currency,
        "settleCcy": i.settle, "instFamily": family(i), "uly": family(i),
        "expTime": ms(i.expiry_ns) if i.expiry_ns else "",
    }  # fmt: skip
    if i.kind is Kind.OPTION:
        row |= {"optType": i.right, "stk": number(i.strike)}
    else:
        row |= {"ctType": "inverse" if i.inverse else "linear", "lever": "100"}
        row["alias"] = "this_month" if i.kind is Kind.FUTURE else ""
    return row


# ------------------------------------------------------------------------------------------------ the market


def side_rows(exchange: Exchange, symbol: str, side: Side, depth: int) -> list[list[str]]:
    """[price, size, deprecated "0", orders] of a book's side."""
    book = exchange.books[symbol].side(side)
    return [
        [number(p), number(q), "0", str(len(book.queue(p)))] for p, q in levels(exchange, symbol, side, depth)
    ]


def ticker_row(exchange: Exchange, symbol: str) -> dict[str, Any]:
    """One of `market/tickers`; without trades the mark stands for prices of the day."""
    i = exchange.instruments[symbol]
    bid, ask = touch(exchange, symbol)
    trades = exchange.trades[symbol]
    prices = [t.price for t in trades] or [exchange.mark_price(symbol)]
    volume = sum((t.quantity for t in trades), ZERO)
    return {
        "instType": TYPES[i.kind], "instId": symbol, "last": number(prices[-1]),
        "lastSz": number(trades[-1].quantity) if trades else "0",
        "askPx": number(ask[0]) if ask else "", "askSz": number(ask[1]) if ask else "",
        "bidPx": number(bid[0]) if bid else "", "bidSz": number(bid[1]) if bid else "",
        "open24h": number(prices[0]), "high24h": number(max(prices)), "low24h": number(min(prices)),
        "volCcy24h": number(volume * i.multiplier), "vol24h": number(volume), "sodUtc0": number(prices[0]),
        "sodUtc8": number(prices[0]), "ts": str(exchange.clock.now_ms()),
    }  # fmt: skip


def trade_row(t: PublicTrade) -> dict[str, Any]:
    """One of `market/trades` and of the trades channel; the side is the taker's."""
    return {
        "instId": t.instrument.symbol, "side": t.side.value, "sz": number(t.quantity), "px": number(t.price),
        "tradeId": str(t.trade_id), "ts": ms(t.ns),
    }  # fmt: skip


def mark_row(exchange: Exchange, symbol: str) -> dict[str, Any]:
    """One of `public/mark-price`."""
    i = exchange.instruments[symbol]
    return {
        "instType": TYPES[i.kind], "instId": symbol, "markPx": number(exchange.mark_price(symbol)),
        "ts": str(exchange.clock.now_ms()),
    }  # fmt: skip


def index_row(exchange: Exchange, pair: str) -> dict[str, Any] | None:
    """One of `market/index-tickers`: BTC-USD and BTC-USDT read the same index."""
    price = exchange.indices.get(pair.split("-")[0])
    if price is None:
        return None
    days = dict.fromkeys(("high24h", "open24h", "low24h", "sodUtc0", "sodUtc8"), number(price))
    return {"instId": pair, "idxPx": number(price), **days, "ts": str(exchange.clock.now_ms())}


def funding_row(exchange: Exchange, symbol: str) -> dict[str, Any]:
    """One of `public/funding-rate`; every eight hours."""
    period = 8 * 3600 * 1000
    now = exchange.clock.now_ms()
    due = (now // period + 1) * period
    mark = exchange.marks.get(symbol)
    return {
        "instType": "SWAP", "instId": symbol, "fundingRate": number(mark.funding_rate if mark else None),
        "nextFundingRate": "", "fundingTime": str(due), "nextFundingTime": str(due + period),
        "method": "current_period", "maxFundingRate": "0.00375", "minFundingRate": "-0.00375",
        "settFundingRate": "0.0001", "settState": "settled", "premium": "0", "ts": str(now),
    }  # fmt: skip


def summary_row(exchange: Exchange, symbol: str) -> dict[str, Any]:
    """One of `public/opt-summary`. *BS: Black-Scholes, USD per coin; the others are adjusted for the premium
    and in coins: delta less the premium, gamma as the change of that delta for a 100 % move of the forward.
    """
    i, mark = exchange.instruments[symbol], exchange.marks.get(symbol)
    row = {"instType": "OPTION", "instId": symbol, "uly": family(i), "instFamily": family(i)}
    if mark is None or mark.delta is None or mark.forward is None:
        blank = (
            "delta gamma theta vega deltaBS gammaBS thetaBS vegaBS realVol bidVol askVol markVol lever fwdPx"
        )
        return row | dict.fromkeys(blank.split(), "") | {"volLv": "", "ts": str(exchange.clock.now_ms())}
    forward, premium = float(mark.forward), float(mark.price)
    gamma, vega, theta = mark.gamma or 0.0, mark.vega or 0.0, mark.theta or 0.0
    adjusted = mark.delta - premium
    return row | {
        "delta": rounded(adjusted), "gamma": rounded(gamma * forward - adjusted),
        "theta": rounded(theta / forward), "vega": rounded(vega / forward),
        "deltaBS": rounded(mark.delta), "gammaBS": rounded(gamma), "thetaBS": rounded(theta),
        "vegaBS": rounded(vega), "realVol": "0", "bidVol": rounded(mark.iv), "askVol": rounded(mark.iv),
        "markVol": rounded(mark.iv), "volLv": rounded(mark.iv),
        "lever": rounded(1 / premium if premium else 0.0),
        "fwdPx": number(mark.forward), "ts": str(exchange.clock.now_ms()),
    }  # fmt: skip


# ------------------------------------------------------------------------------------------------ the account

_ORDER_BLANK: dict[str, Any] = blank(
    "algoClOrdId algoId attachAlgoClOrdId pxType pxUsd pxVol quickMgnType slOrdPx slTriggerPx "
    "slTriggerPxType "
    "source stpId tag tgtCcy tpOrdPx tpTriggerPx tpTriggerPxType cancelSource cancelSourceReason ccy"
) | {"attachAlgoOrds": [], "isTpLimit": "false", "linkedAlgoOrd": {"algoId": ""}, "stpMode": "cancel_maker"}
#: Why an order ended, as OKX numbers it.
_SOURCES = {"user": "1", "post_only": "31", "countdown": "20", "ioc": "14", "fok": "15", "reduce_only": "9",
            "self_trade": "21", "instrument closed": "2"}  # fmt: skip
_CATEGORIES = {"liquidation": "full_liquidation", "adl": "adl", "settlement": "delivery"}


def order_id(order: Order) -> str:
    """ordId."""
    return str(ID_OFFSET + order.order_id)


def order_type(order: Order) -> str:
    """ordType."""
    if order.price is None:
        return "market"
    if order.post_only is not PostOnly.OFF:
        return "post_only"
    return {TimeInForce.GTC: "limit"}.get(order.time_in_force, order.time_in_force.value)


def order_state(order: Order) -> str:
    """Of its quantity and life."""
    if order.life is Life.CANCELLED:
        return "canceled"
    if not order.remaining:
        return "filled"
    return "partially_filled" if order.filled else "live"


def order_row(order: Order, fill: Fill | None = None) -> dict[str, Any]:
    """An order as REST and the channel `orders` tell it, with the execution that brings it."""
    i = order.instrument
    fee_currency = i.settle
    if i.kind is Kind.SPOT:
        fee_currency = i.base if order.side is Side.BUY else i.quote
    return _ORDER_BLANK | {
        "instType": TYPES[i.kind], "instId": i.symbol, "ordId": order_id(order), "clOrdId": order.client_id,
        "tag": "", "px": number(order.price), "sz": number(order.quantity), "ordType": order_type(order),
        "side": order.side.value, "posSide": "net", "tdMode": order.tag or "cross", "ccy": "",
        "accFillSz": number(order.filled), "avgPx": number(order.average) or "0", "state": order_state(order),
        "fillPx": number(fill.price) if fill else "", "fillSz": number(fill.quantity) if fill else "0",
        "fillTime": ms(fill.ns) if fill else "", "tradeId": str(fill.trade_id) if fill else "",
        "execType": ("M" if fill.maker else "T") if fill else "",
        "fee": number(-order.fee), "feeCcy": fee_currency, "rebate": "0", "rebateCcy": fee_currency,
        "fillFee": number(-fill.fee) if fill else "0", "fillFeeCcy": fill.fee_currency if fill else "",
        "pnl": number(fill.realised) if fill else "0", "lever": "" if i.kind is Kind.OPTION else "3",
        "category": _CATEGORIES.get(fill.why, "normal") if fill else "normal",
        "reduceOnly": str(order.reduce_only).lower(),
        "cancelSource": _SOURCES.get(order.why, "2") if order.life is Life.CANCELLED else "",
        "cTime": ms(order.created_ns), "uTime": ms(order.updated_ns), "pxType": "px" if i.right else "",
        "amendResult": "0" if order.replaced else "", "reqId": "", "code": "0", "msg": "",
    }  # fmt: skip


def fill_row(fill: Fill) -> dict[str, Any]:
    """One of `trade/fills`."""
    return {
        "instType": TYPES[fill.instrument.kind], "instId": fill.instrument.symbol,
        "tradeId": str(fill.trade_id),
        "ordId": str(ID_OFFSET + fill.order_id) if fill.order_id else "", "clOrdId": fill.client_id,
        "billId": str(ID_OFFSET + 2 * fill.trade_id + fill.maker), "subType": "1", "tag": "",
        "fillPx": number(fill.price), "fillSz": number(fill.quantity), "fillIdxPx": number(fill.index),
        "fillPnl": number(fill.realised), "fillPxVol": "", "fillPxUsd": "", "fillMarkVol": "",
        "fillFwdPx": "",
        "fillMarkPx": number(fill.mark), "side": fill.side.value, "posSide": "net",
        "execType": "M" if fill.maker else "T", "feeCcy": fill.fee_currency, "fee": number(-fill.fee),
        "ts": ms(fill.ns), "fillTime": ms(fill.ns), "feeRate": "",
    }  # fmt: skip


_POSITION_BLANK = blank(
    "adl baseBal baseBorrowed baseInterest bePx interest liqPx liqPenalty margin mgnRatio "
    "pendingCloseOrdLiabVal "
    "posCcy quoteBal quoteBorrowed quoteInterest spotInUseAmt spotInUseCcy uplRatio uplRatioLastPx tradeId "
    "last lever"
)


def position_row(exchange: Exchange, p: Position) -> dict[str, Any]:
    """One of `account/positions`, net mode: `pos` is signed."""
    i = p.instrument
    mark = exchange.mark_price(i.symbol)
    index = exchange.index_price(i.symbol)
    upl = p.unrealised(mark) if mark else ZERO
    worth = abs(i.value(p.quantity, mark)) if mark else ZERO
    last = exchange.trades[i.symbol][-1:]
    stamp = str(exchange.clock.now_ms())
    return _POSITION_BLANK | {
        "instType": TYPES[i.kind], "instId": i.symbol, "mgnMode": exchange.modes.get("mgnMode", "cross"),
        "posId": str(ID_OFFSET + hash_of(i)),
        "posSide": "net", "pos": number(p.quantity), "availPos": number(abs(p.quantity)) if i.right else "",
        "avgPx": number(p.average), "markPx": number(mark), "idxPx": number(index), "usdPx": number(index),
        "ccy": i.settle, "notionalUsd": rounded(float(worth * index if i.inverse else worth), 8),
        "upl": rounded(float(upl), 12), "uplLastPx": rounded(float(upl), 12), "pnl": number(p.realised),
        "fee": number(-p.fees), "fundingFee": number(p.funding), "imr": "", "mmr": "0",
        "realizedPnl": number(p.realised - p.fees + p.funding), "lever": "" if i.right else "3",
        "optVal": rounded(float(i.value(p.quantity, mark)), 12) if i.right else "",
        "last": number(last[0].price) if last else "", "tradeId": str(last[0].trade_id) if last else "",
        "deltaBS": "", "deltaPA": "", "gammaBS": "", "gammaPA": "", "thetaBS": "", "thetaPA": "",
        "vegaBS": "",
        "vegaPA": "", "cTime": stamp, "uTime": stamp,
    }  # fmt: skip


def hash_of(i: Instrument) -> int:
    """A number that stays with the instrument."""
    return sum(ord(c) * int(131**k) for k, c in enumerate(i.symbol)) % 1_000_000_007


_DETAIL_BLANK: dict[str, Any] = blank(
    "accAvgPx borrowFroz clSpotInUseAmt crossLiab interest isoLiab liab maxLoan maxSpotInUseAmt mgnRatio "
    "imr mmr openAvgPx spotBal spotInUseAmt spotUpl spotUplRatio totalPnl totalPnlRatio uplLiab"
) | blank(
    "fixedBal isoEq isoUpl notionalLever rewardBal smtSyncEq spotCopyTradingEq spotIsoBal stgyEq "
    "twap colBorrAutoConversion",
    "0",
)


def balance_detail(exchange: Exchange, s: Summary) -> dict[str, Any]:
    """One currency of `account/balance`: cashBal is cash, eq includes open gains and options' worth. imr and
    mmr are told by currency in futures mode alone, elsewhere of the account."""
    usd = exchange.indices.get(s.currency, ONE)
    bound = s.initial_margin + s.order_margin
    apart = exchange.modes.get("acctLv", "3") == "2"
    needs = {"imr": number(s.initial_margin), "mmr": number(s.maintenance_margin)} if apart else {}
    return _DETAIL_BLANK | needs | {
        "ccy": s.currency, "cashBal": number(s.balance), "eq": number(s.equity), "upl": number(s.futures_upl),
        "availBal": number(s.available), "availEq": number(s.available), "frozenBal": number(bound),
        "ordFrozen": number(s.order_margin), "eqUsd": number(s.equity * usd), "disEq": number(s.equity * usd),
        "coinUsdPrice": number(usd), "collateralEnabled": False, "collateralRestrict": False,
        "uTime": str(exchange.clock.now_ms()),
    }  # fmt: skip


def _pool(exchange: Exchange, summaries: Sequence[Summary]) -> dict[str, Any]:
    """The margin of all currencies together, USD, where they back each other; no discounts."""
    worth = initial = orders = maintenance = ZERO
    for s in summaries:
        usd = exchange.indices.get(s.currency, ONE)
        worth += s.margin_balance * usd
        initial += (s.initial_margin + s.order_margin) * usd
        orders += s.order_margin * usd
        maintenance += s.maintenance_margin * usd
    return {
        "adjEq": number(round(worth, 8)), "availEq": number(round(worth - initial, 8)),
        "imr": number(round(initial, 8)), "mmr": number(round(maintenance, 8)),
        "ordFroz": number(round(orders, 8)),
    }  # fmt: skip


def balance_row(exchange: Exchange, account: str, only: Sequence[str] = ()) -> dict[str, Any]:
    """`account/balance`."""
    held = exchange.account(account).balances
    summaries = [exchange.summary(account, c) for c in held if not only or c in only]
    total = sum((s.equity * exchange.indices.get(s.currency, ONE) for s in summaries), ZERO)
    unsaid = blank(
        "adjEq availEq borrowFroz imr mgnRatio mmr notionalUsd notionalUsdForBorrow notionalUsdForFutures "
        "notionalUsdForOption notionalUsdForSwap ordFroz upl"
    )
    pool = {} if exchange.modes.get("acctLv", "3") == "2" else _pool(exchange, summaries)
    return unsaid | pool | {
        "details": [balance_detail(exchange, s) for s in summaries], "isoEq": "0", "totalEq": number(total),
        "uTime": str(exchange.clock.now_ms()),
    }  # fmt: skip
