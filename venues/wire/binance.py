"""Binance's messages: spot and options (`binance`), futures in stable coins (`binanceusdm`) and in coin
(`binancecoinm`): instruments, quotes, books, orders, executions, positions, balances.

Spot, USD-M and options are counted in coins, COIN-M in contracts of so many USD. Field names are one letter
long and mean different things in different messages: each reader names its message. Numbers come as text.

Source: developers.binance.com; the recorded messages that the tests read.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from pricing.contracts import Contract, Future, Listing, Perpetual, Right, Side, Spot, TickSteps
from risk.book import Fill
from venues.binance_names import INVERSE_VENUE, LINEAR_VENUE, SPOT_VENUE
from venues.errors import Untrusted
from venues.option_names import binance_option
from venues.orders import OrderReport, OrderState, OrderUpdate, TradeReport
from venues.wire.fields import Wire, items, levels
from venues.wire.frames import Frame
from venues.wire.quotes import BookChange, PublicTrade, Quote
from venues.wire.units import FeesOf, Instruments, fees_known, read_instruments, unit_rule

_STATES = {
    "NEW": OrderState.OPEN,
    "PENDING_NEW": OrderState.OPEN,
    "ACCEPTED": OrderState.OPEN,
    "PARTIALLY_FILLED": OrderState.OPEN,
    "PENDING_CANCEL": OrderState.OPEN,
    "FILLED": OrderState.FILLED,
    "CANCELED": OrderState.CANCELLED,
    "CANCELLED": OrderState.CANCELLED,
    "EXPIRED": OrderState.CANCELLED,  # an immediate order's rest, among others
    "EXPIRED_IN_MATCH": OrderState.CANCELLED,
    "REJECTED": OrderState.REJECTED,
}
#: Executions: of orders, and of the venue's own closing of a position.
_TRADES = ("TRADE", "CALCULATED")
_TOUCH = frozenset({"bid", "bid_size", "ask", "ask_size"})
_MARKS = frozenset({"mark", "index_price", "funding_rate"})
_OPTION_MARKS = frozenset({"mark", "mark_iv"})

# ------------------------------------------------------------------------------------------------ instruments


def instruments(venue: str, result: object, at_ns: int, fees_of: FeesOf) -> Instruments:
    """The `symbols` of `exchangeInfo`, or the `optionSymbols` of the options'.

    Raises:
        Malformed: no list of objects.
    """
    found = list(items(result, f"{venue} symbols"))
    return read_instruments(found, lambda x: x.text("symbol"), lambda x: instrument(venue, x, at_ns, fees_of))


def instrument(venue: str, item: Wire, at_ns: int, fees_of: FeesOf) -> Listing | None:
    """One instrument; None where it does not trade now.

    Raises:
        Malformed, UnitsUnknown, InputError: it is not what its name says; its unit or fees are unknown.
    """
    if _status(venue, item) != "TRADING":
        return None
    contract = _contract(venue, item)
    filters = {x.text("filterType"): x for x in item.items("filters")}
    if "PRICE_FILTER" not in filters or "LOT_SIZE" not in filters:
        item.refuse("filters", "ticks and lots are missing", ", ".join(filters), "PRICE_FILTER and LOT_SIZE")
    lots = filters["LOT_SIZE"]
    return Listing(
        venue=venue,
        symbol=item.text("symbol"),
        contract=contract,
        tick_steps=TickSteps((Decimal(0),), (filters["PRICE_FILTER"].above_zero("tickSize"),)),
        lot=lots.above_zero("stepSize"),
        minimum=lots.above_zero("minQty"),
        fees=fees_known(venue, contract, at_ns, fees_of),
        size=unit_rule(venue, contract).size(contract, item),
    )


def _status(venue: str, item: Wire) -> str:
    """Whether it trades. The options' list is documented without: it names only what trades."""
    if item.has("strikePrice"):
        return item.text_or("status", "TRADING")
    return item.text("contractStatus" if venue == INVERSE_VENUE else "status")


def _contract(venue: str, item: Wire) -> Contract:
    name = item.text("symbol")
    if item.has("strikePrice"):
        option = binance_option(name)
        right = {"CALL": Right.CALL, "PUT": Right.PUT}.get(item.text("side"))
        agrees = (
            item.number("strikePrice") == option.strike
            and right is option.right
            and item.stamp_ns("expiryDate") == option.expiry_ns
            and item.text("quoteAsset") == option.settlement
        )
        if not agrees:
            item.refuse("symbol", "the fields and the option's name disagree", name, "one option")
        return option
    coin, quote = item.text("baseAsset"), item.text("quoteAsset")
    if venue == SPOT_VENUE:
        if name != f"{coin}{quote}":
            item.refuse("symbol", "the fields and the pair's name disagree", name, f"{coin}{quote}")
        return Spot(coin, quote)
    settlement, kind = item.text("marginAsset"), item.text("contractType")
    inverse = settlement == coin
    if inverse is not (venue == INVERSE_VENUE):
        item.refuse("marginAsset", "not how this venue settles", settlement, "stable coin, or coin")
    if kind == "PERPETUAL":
        return Perpetual(coin, settlement, inverse)
    if kind not in ("CURRENT_QUARTER", "NEXT_QUARTER"):
        item.refuse("contractType", "a contract that is not known", kind, "PERPETUAL or a quarter")
    return Future(coin, settlement, inverse, item.stamp_ns("deliveryDate"))


# ----------------------------------------------------------------------------------------------------- frames


def read(message: object, venue: str, listings: Mapping[str, Listing], account: str = "") -> Frame:
    """One message of a stream, alone or inside an envelope. Events that are not known hold nothing for us.

    Raises:
        Malformed: it is no message.
    """
    frame, item = Frame(), Wire(message, venue)
    for envelope in ("data", "event"):
        if isinstance(item.raw(envelope), dict):
            item = item.nested(envelope)
    if isinstance(item.raw("error"), dict):
        error = item.nested("error")
        frame.refused = error.name_or("code", ""), error.text_or("msg", "")
    try:
        _read_one(frame, item.text_or("e", ""), item, venue, listings, account)
    except Untrusted as error:
        frame.unread.append(error.text())
    return frame


def _read_one(
    frame: Frame, event: str, item: Wire, venue: str, listings: Mapping[str, Listing], account: str
) -> None:
    match event:
        case "bookTicker":
            frame.quotes.append(touch(item))
        case "markPriceUpdate":
            frame.quotes.append(mark(item))
        case "markPrice":
            frame.quotes.append(option_mark(item))
        case "depthUpdate":
            # Options are followed by their best levels; they alone have a dash in their names.
            frame.books.append(partial_book(item) if "-" in item.text("s") else book(item))
        case "aggTrade" | "trade":
            if item.text_or("X", "MARKET") == "MARKET":  # neither a block nor the venue's own fund
                frame.public.append(public_trade(item))
        case "ORDER_TRADE_UPDATE" if isinstance(item.raw("o"), list):
            for order in item.items("o"):
                frame.orders.append(option_order_update(order, item.stamp_ns("E")))
                frame.trades.extend(option_trades(order, listings, account))
        case "ORDER_TRADE_UPDATE" if isinstance(item.raw("o"), dict):
            order = item.nested("o")
            frame.orders.append(order_update(order, item.stamp_ns("T")))
            if order.text("x") in _TRADES:
                frame.trades.append(trade_of_order(order, listings, account))
        case "ORDER_TRADE_UPDATE":
            item.refuse("o", "an order's news without the order", item.raw("o"), "an order, or orders")
        case "executionReport":
            frame.orders.append(order_update(item, item.stamp_ns("E")))
            if item.text("x") in _TRADES:
                frame.trades.append(trade_of_order(item, listings, account))


def touch(item: Wire) -> Quote:
    """`bookTicker`.

    Raises:
        Malformed: a field is not as it must be.
    """
    return Quote(
        item.text("s"),
        item.stamp_ns("T" if item.has("T") else "E"),
        bid=item.positive("b"),
        bid_size=item.positive("B"),
        ask=item.positive("a"),
        ask_size=item.positive("A"),
        told=_TOUCH,
    )


def mark(item: Wire) -> Quote:
    """`markPriceUpdate` of futures. The rate is of the venue's interval: 8 h unless it says otherwise.

    Raises:
        Malformed: a field is not as it must be.
    """
    return Quote(
        item.text("s"),
        item.stamp_ns("E"),
        mark=item.positive("p"),
        index_price=item.positive("i"),
        funding_rate=item.number("r"),
        told=_MARKS,
    )


def option_mark(item: Wire) -> Quote:
    """`markPrice` of an option, with its index where the message tells it.

    Raises:
        Malformed: a field is not as it must be.
    """
    known = Quote(item.text("s"), item.stamp_ns("E"), mark=item.positive("mp"), mark_iv=item.positive("vo"))
    if not item.has("i"):
        return known._replace(told=_OPTION_MARKS)
    return known._replace(index_price=item.positive("i"), told=_OPTION_MARKS | {"index_price"})


def option_ticker(item: Wire) -> Quote:
    """A row of the options' `ticker`: the touch, without sizes.

    Raises:
        Malformed: a field is not as it must be.
    """
    return Quote(
        item.text("symbol"),
        item.stamp_ns("closeTime"),
        bid=item.positive("bidPrice"),
        ask=item.positive("askPrice"),
        told=_TOUCH,
    )


def option_mark_row(item: Wire, at_ns: int) -> Quote:
    """A row of the options' `mark`. at_ns: when it was asked for; the row has no stamp.

    Raises:
        Malformed: a field is not as it must be.
    """
    mark, vol = item.positive("markPrice"), item.positive("markIV")
    return Quote(item.text("symbol"), at_ns, mark=mark, mark_iv=vol, told=_OPTION_MARKS)


def partial_book(item: Wire) -> BookChange:
    """A `depthUpdate` of a stream that tells the best levels whole each time.

    Raises:
        Malformed: a field is not as it must be.
    """
    return book(item)._replace(snapshot=True, previous_id=None)


def book(item: Wire) -> BookChange:
    """`depthUpdate`: each follows the last by `pu` (futures), or begins right behind it (`U`, spot).

    Raises:
        Malformed: a field is not as it must be.
    """
    return BookChange(
        symbol=item.text("s"),
        venue_ns=item.stamp_ns("T" if item.has("T") else "E"),
        snapshot=False,
        change_id=item.whole("u"),
        previous_id=item.whole("pu") if item.has("pu") else item.whole("U") - 1,
        bids=levels(item.raw("b"), "b"),
        asks=levels(item.raw("a"), "a"),
    )


def depth(symbol: str, result: object, at_ns: int) -> BookChange:
    """The answer to `depth`: the copy that changes are laid over. at_ns: stands in where it has no stamp.

    Raises:
        Malformed: a field is not as it must be.
    """
    item = Wire(result, "depth")
    return BookChange(
        symbol=symbol,
        venue_ns=item.stamp_ns_or("T", at_ns),
        snapshot=True,
        change_id=item.whole("lastUpdateId"),
        previous_id=None,
        bids=levels(item.raw("bids"), "bids"),
        asks=levels(item.raw("asks"), "asks"),
    )


def public_trade(item: Wire) -> PublicTrade:
    """`aggTrade`, or `trade` of options. m: the buyer rested, so a seller took.

    Raises:
        Malformed: a field is not as it must be.
    """
    return PublicTrade(
        symbol=item.text("s"),
        venue_ns=item.stamp_ns("T"),
        trade_id=item.name("a" if item.has("a") else "t"),
        side=Side.SELL if item.flag("m") else Side.BUY,
        price=float(item.above_zero("p")),
        size=float(item.above_zero("q")),
    )


# ----------------------------------------------------------------------------------------- orders, executions


def order_update(item: Wire, at_ns: int) -> OrderUpdate:
    """The order inside `ORDER_TRADE_UPDATE`, or an `executionReport`.

    A cancel of spot names the request in `c` and the order that it was about in `C`.

    Raises:
        Malformed: a field is not as it must be.
    """
    state, code = _state(item.text("X"), item.text_or("r", ""))
    return OrderUpdate(
        client_id=_client_id(item),
        state=state,
        venue_order_id=item.name("i"),
        filled=item.not_negative("z"),
        code=code,
        venue_ns=at_ns,
        quantity=item.amount_or_none("q"),
        price=item.amount_or_none("p"),
    )


def option_order_update(item: Wire, at_ns: int) -> OrderUpdate:
    """An order of the options' `ORDER_TRADE_UPDATE`.

    Raises:
        Malformed: a field is not as it must be.
    """
    state, code = _state(item.text("S"), "")
    return OrderUpdate(
        client_id=item.told("c"),
        state=state,
        venue_order_id=item.name("oid"),
        filled=item.not_negative("e"),
        code=code,
        venue_ns=at_ns,
        quantity=abs(item.decimal("q")) or None if item.has("q") else None,
        price=item.amount_or_none("p"),
    )


def option_trades(item: Wire, listings: Mapping[str, Listing], account: str = "") -> list[TradeReport]:
    """The executions inside it. The order's quantity says the side by its sign. Options pay no rebates: what
    the venue calls a fee is paid, with either sign.

    Raises:
        Malformed: a field is not as it must be, or an instrument that is not in `listings`.
    """
    found = []
    for fill in item.items("fi"):
        listing = _listing(item, "s", listings)
        booked = Fill(
            listing=listing,
            side=Side.BUY if item.decimal("q") > 0 else Side.SELL,
            quantity=abs(fill.decimal("q")),
            price=fill.above_zero("p"),
            fee=abs(fill.decimal("f")),
            fee_currency=listing.contract.settlement,
            account=account,
            trade_id=f"{listing.symbol}:{fill.name('t')}",
            time_ns=fill.stamp_ns("T"),
        )
        found.append(TradeReport(item.told("c"), booked, maker=_made(fill, "m")))
    return found


def option_execution(
    item: Wire, client_ids: Mapping[str, str], listings: Mapping[str, Listing], account: str = ""
) -> TradeReport:
    """A row of the options' `userTrades`.

    Raises:
        Malformed: a field is not as it must be, or an instrument that is not in `listings`.
    """
    listing = _listing(item, "symbol", listings)
    fill = Fill(
        listing=listing,
        side=item.side("side"),
        quantity=abs(item.decimal("quantity")),
        price=item.above_zero("price"),
        fee=abs(item.decimal("fee")),
        fee_currency=listing.contract.settlement,
        account=account,
        trade_id=f"{listing.symbol}:{item.name('tradeId')}",
        time_ns=item.stamp_ns("time"),
    )
    maker = _made(item, "liquidity")
    return TradeReport(client_ids.get(item.name("orderId"), ""), fill, maker=maker)


def _made(item: Wire, key: str) -> bool:
    role = item.text(key)
    if role not in ("MAKER", "TAKER"):
        item.refuse(key, "neither maker nor taker", role, "MAKER or TAKER")
    return role == "MAKER"


def option_positions(result: object) -> dict[str, Decimal]:
    """The options' `position`: signed quantities by symbol.

    Raises:
        Malformed: a field is not as it must be.
    """
    found: dict[str, Decimal] = {}
    for item in items(result, "option positions"):
        amount, side = item.decimal("quantity"), item.text("side")
        if side not in ("LONG", "SHORT") or (amount and (amount > 0) is not (side == "LONG")):
            item.refuse("side", "size and side contradict each other", f"{amount}, {side}", "one sign")
        symbol = item.text("symbol")
        found[symbol] = found.get(symbol, Decimal(0)) + amount
    return {symbol: amount for symbol, amount in found.items() if amount}


def option_balances(result: object) -> dict[str, Decimal]:
    """The options' `marginAccount`: margin balance by asset, without the options' value.

    Raises:
        Malformed: a field is not as it must be.
    """
    return {item.text("asset"): item.decimal("marginBalance") for item in items(result, "asset")}


def _client_id(item: Wire) -> str:
    original = item.told("C") if item.raw("e") == "executionReport" else ""
    return original if original not in ("", "null") else item.told("c")


def order_report(item: Wire) -> OrderReport:
    """A row of `openOrders`, `allOrders`, or the answer to `order`. A market order's price is NaN.

    Raises:
        Malformed: a field is not as it must be.
    """
    price = item.decimal("price")
    original = item.text_or("origClientOrderId", "")
    return OrderReport(
        client_id=original or item.told("clientOrderId"),
        venue_order_id=item.name("orderId"),
        symbol=item.text("symbol"),
        side=item.side("side"),
        quantity=item.above_zero("origQty" if item.has("origQty") else "quantity"),
        filled=item.not_negative("executedQty"),
        price=price if price > 0 else Decimal("NaN"),
        state=_state(item.text("status"), "")[0],
    )


def _state(said: str, reason: str) -> tuple[OrderState, str]:
    state = _STATES.get(said, OrderState.UNKNOWN)
    if state is OrderState.UNKNOWN:
        return state, f"unlisted:{said}"[:64]
    if state is OrderState.REJECTED and reason not in ("", "NONE"):
        return state, reason[:64]
    return state, said.lower() if said.startswith("EXPIRED") else ""


def trade_of_order(item: Wire, listings: Mapping[str, Listing], account: str = "") -> TradeReport:
    """The execution inside an order message. Where no fee is named, none was taken.

    Raises:
        Malformed: a field is not as it must be, or an instrument that is not in `listings`.
    """
    listing = _listing(item, "s", listings)
    has_fee = item.has("N")
    fill = Fill(
        listing=listing,
        side=item.side("S"),
        quantity=item.above_zero("l"),
        price=item.above_zero("L"),
        fee=item.decimal("n") if has_fee else _no_fee(item),
        fee_currency=item.text("N") if has_fee else listing.contract.settlement,
        account=account,
        trade_id=f"{listing.symbol}:{item.name('t')}",  # counted by symbol
        time_ns=item.stamp_ns("T"),
    )
    return TradeReport(_client_id(item), fill, maker=item.flag("m"))


def _no_fee(item: Wire) -> Decimal:
    if item.has("n") and item.decimal("n") != 0:
        item.refuse("N", "a fee without a currency", item.raw("n"), "a currency")
    return Decimal(0)


def execution(
    item: Wire, client_ids: Mapping[str, str], listings: Mapping[str, Listing], account: str = ""
) -> TradeReport:
    """A row of `myTrades` or `userTrades`; client_ids: ours by the venue's order id, which is all it names.

    Raises:
        Malformed: a field is not as it must be, or an instrument that is not in `listings`.
    """
    listing = _listing(item, "symbol", listings)
    buys = item.flag("isBuyer" if item.has("isBuyer") else "buyer")
    side = Wire({"side": "BUY" if buys else "SELL"}, item.where).side("side")
    fill = Fill(
        listing=listing,
        side=side,
        quantity=item.above_zero("qty"),
        price=item.above_zero("price"),
        fee=item.decimal("commission"),
        fee_currency=item.text("commissionAsset"),
        account=account,
        trade_id=f"{listing.symbol}:{item.name('id')}",
        time_ns=item.stamp_ns("time"),
    )
    maker = item.flag("isMaker" if item.has("isMaker") else "maker")
    return TradeReport(client_ids.get(item.name("orderId"), ""), fill, maker=maker)


def _listing(item: Wire, key: str, listings: Mapping[str, Listing]) -> Listing:
    symbol = item.text(key)
    listing = listings.get(symbol)
    if listing is None:
        item.refuse(key, "an execution of an instrument that is not listed", symbol, "a listing")
    return listing


def positions(result: object) -> dict[str, Decimal]:
    """`positionRisk`: signed amounts by symbol, the sides of a hedged one added up.

    Raises:
        Malformed: a field is not as it must be.
    """
    found: dict[str, Decimal] = {}
    for item in items(result, "positions"):
        amount, side = item.decimal("positionAmt"), item.text("positionSide")
        if (
            side not in ("BOTH", "LONG", "SHORT")
            or (side == "LONG" and amount < 0)
            or (side == "SHORT" and amount > 0)
        ):
            item.refuse(
                "positionSide", "size and side contradict each other", f"{amount}, {side}", "one sign"
            )
        symbol = item.text("symbol")
        found[symbol] = found.get(symbol, Decimal(0)) + amount
    return {symbol: amount for symbol, amount in found.items() if amount}


def futures_balances(result: object) -> dict[str, Decimal]:
    """`balance` of futures: the wallet and the open gain of crossed positions, by asset.

    Raises:
        Malformed: a field is not as it must be.
    """
    return {
        item.text("asset"): item.decimal("balance") + item.decimal("crossUnPnl")
        for item in items(result, "balance")
    }


def spot_balances(result: object) -> dict[str, Decimal]:
    """The `balances` of spot's `account`: free and locked, by asset; what is zero is left out.

    Raises:
        Malformed: a field is not as it must be.
    """
    found = {
        item.text("asset"): item.not_negative("free") + item.not_negative("locked")
        for item in items(result, "balances")
    }
    return {asset: amount for asset, amount in found.items() if amount}


def error_of(payload: object) -> tuple[str, str] | None:
    """(code, text) where an answer is an error; else None.

    Raises:
        Malformed: a code that is none.
    """
    if not isinstance(payload, dict) or "code" not in payload or "msg" not in payload:
        return None
    item = Wire(payload, "binance")
    code = item.name("code")
    return None if code in ("0", "200") else (code, item.text_or("msg", ""))


VENUES = (SPOT_VENUE, LINEAR_VENUE, INVERSE_VENUE)
