"""Hyperliquid's messages, perpetuals alone: universe, quotes, books, orders, executions, positions, balance.

Everything is counted in coins and settled in USDC. A price has at most five significant figures, and at most
6 - szDecimals places; a whole number is always allowed. Sides are B (bid, buy) and A (ask, sell).

Source: hyperliquid.gitbook.io, API; the recorded messages that the tests read.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from pricing.contracts import Listing, Perpetual, Side, TickSteps
from risk.book import Fill
from venues.errors import Untrusted
from venues.orders import OrderReport, OrderState, OrderUpdate, TradeReport
from venues.wire.client_ids import from_wire
from venues.wire.fields import NAN, Wire, items, malformed
from venues.wire.frames import Frame
from venues.wire.quotes import BookChange, Levels, PublicTrade, Quote
from venues.wire.rejects import Reason
from venues.wire.units import FeesOf, Instruments, fees_known, read_instruments, unit_rule

VENUE = "hyperliquid"
_PRICE_DIGITS, _PRICE_PLACES = 5, 6
_STATES = {
    "open": OrderState.OPEN,
    "triggered": OrderState.OPEN,
    "filled": OrderState.FILLED,
    "canceled": OrderState.CANCELLED,
    "marginCanceled": OrderState.CANCELLED,
    "selfTradeCanceled": OrderState.CANCELLED,
    "reduceOnlyCanceled": OrderState.CANCELLED,
    "liquidatedCanceled": OrderState.CANCELLED,
    "openInterestCapCanceled": OrderState.CANCELLED,
    "vaultWithdrawalCanceled": OrderState.CANCELLED,
    "siblingFilledCanceled": OrderState.CANCELLED,
    "scheduledCancel": OrderState.CANCELLED,
    "delistedCanceled": OrderState.EXPIRED,
    "iocCancelRejected": OrderState.CANCELLED,  # an immediate order that met nobody
    "rejected": OrderState.REJECTED,
    "badAloPxRejected": OrderState.REJECTED,
    "tickRejected": OrderState.REJECTED,
    "minTradeNtlRejected": OrderState.REJECTED,
    "perpMarginRejected": OrderState.REJECTED,
    "reduceOnlyRejected": OrderState.REJECTED,
    "oracleRejected": OrderState.REJECTED,
}
_CODES = {
    "badAloPxRejected": Reason.POST_ONLY,
    "tickRejected": Reason.TICK,
    "minTradeNtlRejected": Reason.MINIMUM,
    "perpMarginRejected": Reason.FUNDS,
    "reduceOnlyRejected": Reason.REDUCE_ONLY,
    "oracleRejected": Reason.BAND,
}
_SIDES = {"B": Side.BUY, "A": Side.SELL}
_MARKS = frozenset({"mark", "index_price", "funding_rate"})
#: Funding is told and paid every hour; a rate here is for eight.
_FUNDING_HOURS = 8.0

# ------------------------------------------------------------------------------------------------ instruments


def instruments(meta: object, at_ns: int, fees_of: FeesOf) -> Instruments:
    """The answer to `meta`.

    Raises:
        Malformed: no universe.
    """
    found = list(Wire(meta, "meta").items("universe"))
    return read_instruments(found, lambda x: x.text("name"), lambda x: instrument(x, at_ns, fees_of))


def instrument(item: Wire, at_ns: int, fees_of: FeesOf) -> Listing | None:
    """One perpetual; None where it is delisted.

    Raises:
        Malformed, UnitsUnknown: a field is not as it must be; its fees are unknown.
    """
    if item.raw("isDelisted") is True:
        return None
    coin, places = item.text("name"), item.whole("szDecimals")
    if ":" in coin:
        item.refuse("name", "a perpetual of somebody else's market", coin, "one of the venue's own")
    if not 0 <= places <= _PRICE_PLACES:
        item.refuse("szDecimals", "not a number of places", places, f"0 to {_PRICE_PLACES}")
    lot = Decimal(1).scaleb(-places)
    contract = Perpetual(coin, "USDC", False)
    return Listing(
        venue=VENUE,
        symbol=coin,
        contract=contract,
        tick_steps=tick_steps(places),
        lot=lot,
        minimum=lot,
        fees=fees_known(VENUE, contract, at_ns, fees_of),
        size=unit_rule(VENUE, contract).size(contract, item),
    )


def tick_steps(size_places: int) -> TickSteps:
    """Five significant figures, but no finer than 6 - szDecimals places, and whole numbers always.

    >>> str(tick_steps(5))
    '0:0.1;9999.9:1'
    """
    finest = Decimal(1).scaleb(-(_PRICE_PLACES - size_places))
    above, ticks = [Decimal(0)], [finest]
    tick = finest
    while tick < 1:
        # With this tick, five figures reach up to 99,999 of it: the next price takes ten times the tick.
        reach = tick * (10**_PRICE_DIGITS - 1)
        tick *= 10
        above.append(reach)
        ticks.append(tick if tick < 1 else Decimal(1))
    return TickSteps(tuple(above), tuple(ticks))


# ----------------------------------------------------------------------------------------------------- frames


def read(message: object, listings: Mapping[str, Listing], account: str = "") -> Frame:
    """One message of a stream. Channels that are not known hold nothing for us.

    Raises:
        Malformed: it is no message.
    """
    frame, item = Frame(), Wire(message, "hyperliquid")
    channel, data = item.text_or("channel", ""), item.raw("data")
    if channel == "error":
        frame.refused = "", data[:200] if isinstance(data, str) else ""
    try:
        if channel == "l2Book":
            frame.books.append(book(data))
        elif channel == "activeAssetCtx":
            frame.quotes.append(context(Wire(data, channel)))
        elif channel == "trades":
            frame.public.extend(public_trade(x) for x in items(data, channel))
        elif channel == "orderUpdates":
            frame.orders.extend(order_update(x) for x in items(data, channel))
        elif channel == "userFills" or (channel == "user" and isinstance(data, dict) and "fills" in data):
            fills = Wire(data, channel)
            frame.trades.extend(execution(x, listings, account) for x in fills.items("fills"))
    except Untrusted as error:
        frame.unread.append(error.text())
    return frame


def book(data: object) -> BookChange:
    """An `l2Book`: always the whole of what is shown.

    Raises:
        Malformed: a field is not as it must be.
    """
    item = Wire(data, "l2Book")
    sides = item.raw("levels")
    if not isinstance(sides, list) or len(sides) != 2:
        item.refuse("levels", "not two sides", sides, "[bids, asks]")
    at_ns = item.stamp_ns("time")
    return BookChange(item.text("coin"), at_ns, True, at_ns, None, _levels(sides[0]), _levels(sides[1]))


def _levels(side: object) -> Levels:
    return [(float(item.above_zero("px")), float(item.not_negative("sz"))) for item in items(side, "levels")]


def context(item: Wire) -> Quote:
    """`activeAssetCtx`: mark, oracle price and funding; it has no stamp of the venue: 0.

    Raises:
        Malformed: a field is not as it must be.
    """
    ctx = item.nested("ctx")
    return Quote(
        item.text("coin"),
        0,
        mark=ctx.positive("markPx"),
        index_price=ctx.positive("oraclePx"),
        funding_rate=ctx.number("funding") * _FUNDING_HOURS if ctx.has("funding") else NAN,
        told=_MARKS,
    )


def public_trade(item: Wire) -> PublicTrade:
    """An item of `trades`; the side is the taker's: B bought, A sold.

    Raises:
        Malformed: a field is not as it must be.
    """
    return PublicTrade(
        symbol=item.text("coin"),
        venue_ns=item.stamp_ns("time"),
        trade_id=item.name("tid"),
        side=_side(item),
        price=float(item.above_zero("px")),
        size=float(item.above_zero("sz")),
    )


# ----------------------------------------------------------------------------------------- orders, executions


def order_update(item: Wire) -> OrderUpdate:
    """An item of `orderUpdates`. filled: the first size less what is left of it, unless it was cancelled.

    Raises:
        Malformed: a field is not as it must be.
    """
    order = item.nested("order")
    state, code = _state(item.text("status"))
    return OrderUpdate(
        client_id=from_wire(VENUE, order.text_or("cloid", "")),
        state=state,
        venue_order_id=order.name("oid"),
        filled=_filled(order),
        code=code,
        venue_ns=item.stamp_ns("statusTimestamp"),
        quantity=order.amount_or_none("origSz"),
        price=order.amount_or_none("limitPx"),
    )


def order_report(item: Wire, status: str) -> OrderReport:
    """An order of `openOrders` or `orderStatus`, whose status stands beside it.

    Raises:
        Malformed: a field is not as it must be.
    """
    return OrderReport(
        client_id=from_wire(VENUE, item.text_or("cloid", "")),
        venue_order_id=item.name("oid"),
        symbol=item.text("coin"),
        side=_side(item),
        quantity=item.above_zero("origSz"),
        filled=_filled(item),
        price=item.above_zero("limitPx"),
        state=_state(status)[0],
    )


def _filled(order: Wire) -> Decimal:
    filled = order.above_zero("origSz") - order.not_negative("sz")
    if filled < 0:
        order.refuse("sz", "more is left than there was", order.raw("sz"), str(order.raw("origSz")))
    return filled


def _state(said: str) -> tuple[OrderState, str]:
    state = _STATES.get(said, OrderState.UNKNOWN)
    if state is OrderState.UNKNOWN:
        return state, f"unlisted:{said}"[:64]
    return state, str(_CODES.get(said, "" if said in ("open", "filled", "canceled") else said))


def _side(item: Wire) -> Side:
    side = _SIDES.get(item.text("side"))
    if side is None:
        item.refuse("side", "not a side", item.raw("side"), "B or A")
    return side


def execution(item: Wire, listings: Mapping[str, Listing], account: str = "") -> TradeReport:
    """One of `userFills`.

    Raises:
        Malformed: a field is not as it must be, or a coin that is not in `listings`.
    """
    coin = item.text("coin")
    listing = listings.get(coin)
    if listing is None:
        item.refuse("coin", "an execution of a coin that is not listed", coin, "a listing")
    fill = Fill(
        listing=listing,
        side=_side(item),
        quantity=item.above_zero("sz"),
        price=item.above_zero("px"),
        fee=item.decimal("fee"),
        fee_currency=item.text("feeToken"),
        account=account,
        trade_id=item.name("tid"),
        time_ns=item.stamp_ns("time"),
    )
    return TradeReport(from_wire(VENUE, item.text_or("cloid", "")), fill, maker=not item.flag("crossed"))


def positions(state: object) -> dict[str, Decimal]:
    """`clearinghouseState`: signed sizes by coin.

    Raises:
        Malformed: a field is not as it must be.
    """
    found: dict[str, Decimal] = {}
    for row in Wire(state, "clearinghouseState").items("assetPositions"):
        item = row.nested("position")
        coin = item.text("coin")
        if coin in found:
            raise malformed(item.where, "a position occurs twice", coin, "each once")
        found[coin] = item.decimal("szi")
    return {coin: size for coin, size in found.items() if size}


def balances(state: object) -> dict[str, Decimal]:
    """`clearinghouseState`: the account's value, open gains included, in USDC.

    Raises:
        Malformed: a field is not as it must be.
    """
    item = Wire(state, "clearinghouseState")
    return {"USDC": item.nested("marginSummary").decimal("accountValue")}


def error_of(payload: object) -> tuple[str, str] | None:
    """("", text) where an answer to an action is an error, or the first status in it is one; else None.

    Raises:
        Malformed: it is no answer.
    """
    if not isinstance(payload, dict) or "status" not in payload:
        return None
    item = Wire(payload, "exchange")
    if item.text("status") == "err":
        said = item.raw("response")
        return "", said[:200] if isinstance(said, str) else ""
    response = item.raw("response")
    data = response.get("data") if isinstance(response, dict) else None
    statuses = data.get("statuses") if isinstance(data, dict) else None
    first = statuses[0] if isinstance(statuses, list) and statuses else None
    if isinstance(first, dict) and isinstance(first.get("error"), str):
        return "", first["error"][:200]
    return None
