"""Bybit's messages, v5: instruments, quotes, books, orders, executions, positions, balances.

Options, linear products and spot are counted in coins, inverse products in USD. `BTCUSDT` is a perpetual and
a spot pair: the pair is called `BTC/USDT` here, the perpetual keeps the name. Numbers come as text. Linear
tickers tell only what changed; option tickers tell everything, with 0 for a side where nobody quotes.

Source: bybit-exchange.github.io v5; the recorded messages that the tests read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

from pricing.contracts import Contract, Future, Kind, Listing, Perpetual, Right, Side, Spot, TickSteps
from pricing.market import ForwardKind
from risk.book import Fill
from venues.errors import Untrusted
from venues.option_names import bybit_option
from venues.orders import OrderReport, OrderState, OrderUpdate, TradeReport
from venues.wire.fields import NAN, Wire, items, levels
from venues.wire.frames import Frame
from venues.wire.quotes import BookChange, PublicTrade, Quote
from venues.wire.rejects import Reason
from venues.wire.units import FeesOf, Instruments, fees_known, read_instruments, unit_rule

VENUE = "bybit"
_STATES = {
    "New": OrderState.OPEN,
    "PartiallyFilled": OrderState.OPEN,
    "Untriggered": OrderState.OPEN,
    "Triggered": OrderState.OPEN,
    "Filled": OrderState.FILLED,
    "Cancelled": OrderState.CANCELLED,
    "PartiallyFilledCanceled": OrderState.CANCELLED,
    "Deactivated": OrderState.CANCELLED,
    "Rejected": OrderState.REJECTED,
}
_REASONS = {"EC_PostOnlyWillTakeLiquidity": Reason.POST_ONLY}
_NO_REASON = frozenset({"", "EC_NoError", "UNKNOWN"})
#: Executions that are trades; the others are payments: funding, delivery, settlement.
_TRADES = frozenset({"Trade", "BlockTrade", "AdlTrade", "BustTrade"})
_PAYMENTS = frozenset({"Funding", "Delivery", "Settle", "SessionSettlePnL"})
_QUOTES = ("USDT", "USDC", "USDE", "USD", "EUR", "BTC")
_KEYS = {
    "bid": ("bid1Price", "bidPrice"),
    "bid_size": ("bid1Size", "bidSize"),
    "ask": ("ask1Price", "askPrice"),
    "ask_size": ("ask1Size", "askSize"),
    "mark": ("markPrice",),
    "mark_iv": ("markPriceIv", "markIv"),
    "index_price": ("indexPrice",),
}
#: What a ticker of a perpetual or future tells: at first all of it, then what has changed since.
_TICKER = frozenset(_KEYS) | {"funding_rate"}
_FUNDING_HOURS = 8


def symbol_of(category: str, name: str) -> str:
    """A symbol as this project has it: spot pairs with a slash, everything else as the venue writes it.

    >>> symbol_of("spot", "BTCUSDT"), symbol_of("linear", "BTCUSDT")
    ('BTC/USDT', 'BTCUSDT')
    """
    if category != "spot":
        return name
    for quote in _QUOTES:
        if name.endswith(quote) and len(name) > len(quote):
            return f"{name.removesuffix(quote)}/{quote}"
    return name


# ------------------------------------------------------------------------------------------------ instruments


def instruments(category: str, result: object, at_ns: int, fees_of: FeesOf) -> Instruments:
    """The `list` of `market/instruments-info` of a category: spot, linear, inverse or option.

    Raises:
        Malformed: no list of objects.
    """
    found = list(items(result, f"instruments {category}"))
    return read_instruments(
        found,
        lambda x: symbol_of(category, x.text("symbol")),
        lambda x: instrument(category, x, at_ns, fees_of),
    )


def instrument(category: str, item: Wire, at_ns: int, fees_of: FeesOf) -> Listing | None:
    """One instrument; None where it does not trade now.

    Raises:
        Malformed, UnitsUnknown, InputError: it is not what its name says; its unit or fees are unknown.
    """
    if item.text("status") != "Trading":
        return None
    contract = _contract(category, item)
    lots = item.nested("lotSizeFilter")
    lot = lots.above_zero("qtyStep" if lots.has("qtyStep") else "basePrecision")
    return Listing(
        venue=VENUE,
        symbol=symbol_of(category, item.text("symbol")),
        contract=contract,
        tick_steps=TickSteps((Decimal(0),), (item.nested("priceFilter").above_zero("tickSize"),)),
        lot=lot,
        minimum=lots.above_zero("minOrderQty"),
        fees=fees_known(VENUE, contract, at_ns, fees_of),
        size=unit_rule(VENUE, contract).size(contract, item),
    )


def _contract(category: str, item: Wire) -> Contract:
    """What an instrument is, by its fields and its name, which must agree."""
    name, coin, quote = item.text("symbol"), item.text("baseCoin"), item.text("quoteCoin")
    if category == "spot":
        if name != f"{coin}{quote}":
            item.refuse("symbol", "the fields and the pair's name disagree", name, f"{coin}{quote}")
        return Spot(coin, quote)
    settlement = item.text("settleCoin")
    if category == "option":
        option = bybit_option(name)
        right = {"Call": Right.CALL, "Put": Right.PUT}.get(item.text("optionsType"))
        if (option.underlying, option.settlement, option.right) != (coin, settlement, right):
            item.refuse("symbol", "the fields and the option's name disagree", name, f"{coin} {settlement}")
        return option
    kind, inverse = item.text("contractType"), settlement == coin
    if category not in ("linear", "inverse") or kind not in (
        f"{'Inverse' if inverse else 'Linear'}Perpetual",
        f"{'Inverse' if inverse else 'Linear'}Futures",
    ):
        item.refuse("contractType", "a contract that is not known", kind, "a perpetual or a future")
    if kind.endswith("Perpetual"):
        return Perpetual(coin, settlement, inverse)
    return Future(coin, settlement, inverse, item.stamp_ns("deliveryTime"))


# ----------------------------------------------------------------------------------------------------- frames


def read(
    message: object,
    category: str,
    listings: Mapping[str, Listing],
    account: str = "",
    hours: dict[str, float] | None = None,
) -> Frame:
    """One message of a stream. category: of the public stream that it came by; private ones name their own.
    hours: as of `ticker`.

    Raises:
        Malformed: it is no message.
    """
    frame, item = Frame(), Wire(message, "bybit")
    if item.raw("success") is False or item.raw("retCode") not in (None, 0):
        frame.refused = item.name_or("retCode", ""), item.text_or("ret_msg", item.text_or("retMsg", ""))
    topic = item.text_or("topic", "")
    try:
        if topic.startswith("tickers."):
            frame.quotes.append(ticker(item, category, {} if hours is None else hours))
        elif topic.startswith("orderbook."):
            frame.books.append(book(item, category))
        elif topic.startswith("publicTrade."):
            _each(frame, item.items("data"), lambda x: _add_public(frame, x, category))
        elif topic == "order" or topic.startswith("order."):
            _each(frame, item.items("data"), lambda x: frame.orders.append(order_update(x)))
        elif topic == "execution" or topic.startswith("execution."):
            _each(frame, item.items("data"), lambda x: _add_trade(frame, x, listings, account))
    except Untrusted as error:
        frame.unread.append(error.text())
    return frame


def _each(frame: Frame, found: Iterable[Wire], take: Callable[[Wire], None]) -> None:
    for item in found:
        try:
            take(item)
        except Untrusted as error:
            frame.unread.append(error.text())


def _add_trade(frame: Frame, item: Wire, listings: Mapping[str, Listing], account: str) -> None:
    trade = execution(item, listings, account)
    if trade is not None:
        frame.trades.append(trade)


def _add_public(frame: Frame, item: Wire, category: str) -> None:
    """A block trade is agreed outside the book, and meets nobody in it."""
    if not (item.has("BT") and item.flag("BT")):
        frame.public.append(public_trade(item, category))


def public_trade(item: Wire, category: str) -> PublicTrade:
    """An item of `publicTrade.*`.

    Raises:
        Malformed: a field is not as it must be.
    """
    return PublicTrade(
        symbol=symbol_of(category, item.text("s")),
        venue_ns=item.stamp_ns("T"),
        trade_id=item.name("i"),
        side=item.side("S"),
        price=float(item.above_zero("p")),
        size=float(item.above_zero("v")),
    )


def ticker(message: Wire, category: str, hours: dict[str, float]) -> Quote:
    """A `tickers.*` message: of an option everything, of others what it names.

    hours: between two payments of funding, by symbol, as earlier messages named them; this one's are noted
    there. A rate for nobody knows how long is unknown.

    Raises:
        Malformed: a field is not as it must be.
    """
    data = message.nested("data")
    told: dict[str, Any] = {}
    for name, keys in _KEYS.items():
        key = next((k for k in keys if data.raw(k) is not None), None)
        if key is not None:
            told[name] = data.positive(key)
    symbol, at_ns = symbol_of(category, data.text("symbol")), message.stamp_ns("ts")
    if category == "option":
        forward = data.positive("underlyingPrice")
        whole = Quote(symbol, at_ns, forward=forward, forward_kind=ForwardKind.SYNTHETIC)
        return whole._replace(**told)
    if data.has("fundingIntervalHour"):
        hours[symbol] = float(data.above_zero("fundingIntervalHour"))
    if data.has("fundingRate"):
        told["funding_rate"] = data.number("fundingRate") * _FUNDING_HOURS / hours.get(symbol, NAN)
    return Quote(symbol, at_ns, told=frozenset(told), part=_TICKER)._replace(**told)


def book(message: Wire, category: str) -> BookChange:
    """An `orderbook.*` message: update ids count up by one; `u` = 1 is a new beginning.

    Raises:
        Malformed: a field is not as it must be.
    """
    data, kind = message.nested("data"), message.text("type")
    if kind not in ("snapshot", "delta"):
        message.refuse("type", "neither snapshot nor delta", kind, "snapshot or delta")
    number = data.whole("u")
    snapshot = kind == "snapshot" or number == 1
    return BookChange(
        symbol=symbol_of(category, data.text("s")),
        venue_ns=message.stamp_ns("ts"),
        snapshot=snapshot,
        change_id=number,
        previous_id=None if snapshot else number - 1,
        bids=levels(data.raw("b"), "b"),
        asks=levels(data.raw("a"), "a"),
    )


# ----------------------------------------------------------------------------------------- orders, executions


def order_update(item: Wire) -> OrderUpdate:
    """An order as the topic `order` carries it.

    Raises:
        Malformed: a field is not as it must be.
    """
    state, code = _state(item)
    return OrderUpdate(
        client_id=item.told("orderLinkId"),
        state=state,
        venue_order_id=item.name("orderId"),
        filled=item.not_negative("cumExecQty"),
        code=code,
        venue_ns=item.stamp_ns("updatedTime"),
        quantity=item.amount_or_none("qty"),
        price=item.amount_or_none("price"),
    )


def order_report(item: Wire, category: str) -> OrderReport:
    """A row of `order/realtime` or `order/history`. A market order's price is NaN.

    Raises:
        Malformed: a field is not as it must be.
    """
    price = item.decimal("price") if item.has("price") else Decimal(0)
    return OrderReport(
        client_id=item.told("orderLinkId"),
        venue_order_id=item.name("orderId"),
        symbol=symbol_of(category, item.text("symbol")),
        side=item.side("side"),
        quantity=item.above_zero("qty"),
        filled=item.not_negative("cumExecQty"),
        price=price if price > 0 else Decimal("NaN"),
        state=_state(item)[0],
    )


def _state(item: Wire) -> tuple[OrderState, str]:
    said = item.text("orderStatus")
    state, why = _STATES.get(said, OrderState.UNKNOWN), item.text_or("rejectReason", "")
    if state is OrderState.UNKNOWN:
        return state, f"unlisted:{said}"[:64]
    if not state.terminal or state is OrderState.FILLED:
        return state, ""
    filled = item.not_negative("cumExecQty")
    code = "" if why in _NO_REASON else str(_REASONS.get(why, why))[:64]
    if why in _REASONS and filled == 0:
        return OrderState.REJECTED, code
    if state is OrderState.REJECTED and filled > 0:  # what was filled stays so, whatever it is called
        state = OrderState.CANCELLED
    return state, code


def is_payment(item: Wire) -> bool:
    """Whether what stands among the executions is a payment: funding, delivery, settlement."""
    return item.text("execType") in _PAYMENTS


def execution(item: Wire, listings: Mapping[str, Listing], account: str = "") -> TradeReport | None:
    """One execution; None for a payment that comes among them, such as funding.

    Raises:
        Malformed: a field is not as it must be, or an instrument that is not in `listings`.
    """
    kind = item.text("execType")
    if kind in _PAYMENTS:
        return None
    if kind not in _TRADES:
        item.refuse("execType", "an execution of a kind that is not known", kind, ", ".join(sorted(_TRADES)))
    symbol = symbol_of(item.text("category"), item.text("symbol"))
    listing = listings.get(symbol)
    if listing is None:
        item.refuse("symbol", "an execution of an instrument that is not listed", symbol, "a listing")
    side, fee = item.side("side"), item.decimal("execFee")
    fill = Fill(
        listing=listing,
        side=side,
        quantity=item.above_zero("execQty"),
        price=item.above_zero("execPrice"),
        fee=fee,
        fee_currency=item.text_or("feeCurrency", _fee_currency(listing, side, fee)),
        account=account,
        trade_id=item.name("execId"),
        time_ns=item.stamp_ns("execTime"),
    )
    return TradeReport(item.told("orderLinkId"), fill, maker=item.flag("isMaker"))


def _fee_currency(listing: Listing, side: Side, fee: Decimal) -> str:
    """What a fee is paid in where the message does not say: of spot what was received (a rebate: what was
    given), of all else what it settles in."""
    contract = listing.contract
    if contract.kind is Kind.SPOT and (side is Side.BUY) is (fee >= 0):
        return contract.underlying
    return contract.settlement


def positions(result: object) -> dict[str, Decimal]:
    """The `list` of `position/list`: signed sizes by instrument, both sides of a hedged one added up.

    Raises:
        Malformed: a field is not as it must be.
    """
    found: dict[str, Decimal] = {}
    for item in items(result, "positions"):
        size, side = item.not_negative("size"), item.text_or("side", "")
        if size == 0:
            continue
        if side not in ("Buy", "Sell"):
            item.refuse("side", "a size without a side", side, "Buy or Sell")
        symbol = item.text("symbol")
        found[symbol] = found.get(symbol, Decimal(0)) + (size if side == "Buy" else -size)
    return {symbol: size for symbol, size in found.items() if size}


def balances(wallet: object, held: object, listings: Mapping[str, Listing]) -> dict[str, Decimal]:
    """Margin balance by coin: the wallet less what of it is borrowed, and the open gain of perpetuals and
    futures; not options' value. The venue: equity = walletBalance - spotBorrow + open gain + options' value.

    wallet, held: the `list` of `account/wallet-balance` and of `position/list` of linear and inverse. What is
    not listed any more counts where its row says by `settleCoin` what it settles in.

    Raises:
        Malformed: a field is not as it must be; a position in what is not listed.
    """
    found: dict[str, Decimal] = {}
    for account in items(wallet, "wallet"):
        for coin in account.items("coin"):
            found[coin.text("coin")] = coin.decimal("walletBalance") - _borrowed(coin)
    for item in items(held, "positions"):
        if item.not_negative("size") == 0:
            continue
        listing = listings.get(item.text("symbol"))
        if listing is None and not item.has("settleCoin"):
            item.refuse("symbol", "a position in what is not listed", item.raw("symbol"), "a listing")
        if listing is None or listing.contract.kind in (Kind.PERPETUAL, Kind.FUTURE):
            currency = item.text("settleCoin") if listing is None else listing.contract.settlement
            found[currency] = found.get(currency, Decimal(0)) + item.decimal("unrealisedPnl")
    return found


def _borrowed(coin: Wire) -> Decimal:
    """Coins in the wallet that are a loan. Where they are not told apart nothing may be owed."""
    if coin.has("spotBorrow"):
        return coin.not_negative("spotBorrow")
    if coin.not_negative("borrowAmount") != 0:
        coin.refuse("spotBorrow", "how much of a loan is in the wallet is missing", None, "an amount")
    return Decimal(0)


def error_of(payload: object) -> tuple[str, str] | None:
    """(code, text) where an answer is an error; else None.

    Raises:
        Malformed: it is no answer.
    """
    item = Wire(payload, "bybit")
    code = item.name("retCode")
    return None if code == "0" else (code, item.text_or("retMsg", ""))
