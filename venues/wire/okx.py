"""OKX's messages, v5: instruments, quotes, books, orders, executions, positions, balances.

Everything but spot is counted in contracts; a contract is ctVal x ctMult (`units`). Numbers come as text, and
an empty text means nothing. Fees are negative where they are paid. Vols come as fractions.

Source: OKX v5 documents; the recorded messages that the tests read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal

from pricing.contracts import Contract, Future, Listing, Option, Perpetual, Spot, TickSteps
from pricing.market import ForwardKind
from risk.book import Fill
from venues.errors import Untrusted
from venues.option_names import okx_option
from venues.orders import OrderReport, OrderState, OrderUpdate, TradeReport
from venues.wire.client_ids import from_wire
from venues.wire.fields import NAN, Wire, items, levels
from venues.wire.frames import Frame
from venues.wire.quotes import BookChange, PublicTrade, Quote
from venues.wire.rejects import Reason
from venues.wire.units import FeesOf, Instruments, fees_known, read_instruments, unit_rule

VENUE = "okx"
_STATES = {
    "live": OrderState.OPEN,
    "partially_filled": OrderState.OPEN,
    "filled": OrderState.FILLED,
    "canceled": OrderState.CANCELLED,
    "mmp_canceled": OrderState.CANCELLED,
}
#: A post-only order that would have taken is accepted and cancelled at once, with this source.
_POST_ONLY_SOURCE = "31"
_QUOTES = ("tickers", "mark-price", "opt-summary", "funding-rate")
_BOOKS = ("books", "books5", "books-l2-tbt", "books50-l2-tbt")
_WHOLE = ("books5",)  # tells the best levels whole each time
_CHANNELS = frozenset({*_QUOTES, *_BOOKS, "bbo-tbt", "index-tickers", "orders", "trades"})
_TOUCH = frozenset({"bid", "bid_size", "ask", "ask_size"})
_FUNDING_HOURS = 8
_NS_PER_HOUR = 3_600_000_000_000


# ------------------------------------------------------------------------------------------------ instruments


def instruments(result: object, at_ns: int, fees_of: FeesOf) -> Instruments:
    """The `data` of `public/instruments`.

    Raises:
        Malformed: no list of objects.
    """
    found = list(items(result, "instruments"))
    return read_instruments(found, lambda x: x.text("instId"), lambda x: instrument(x, at_ns, fees_of))


def instrument(item: Wire, at_ns: int, fees_of: FeesOf) -> Listing | None:
    """One instrument; None where it does not trade now.

    Raises:
        Malformed, UnitsUnknown, InputError: it is not what its name says; its unit or fees are unknown.
    """
    if item.text("state") != "live":
        return None
    contract = _contract(item)
    lot, minimum = item.above_zero("lotSz"), item.above_zero("minSz")
    return Listing(
        venue=VENUE,
        symbol=item.text("instId"),
        contract=contract,
        tick_steps=_tick_steps(item, contract),
        lot=lot,
        minimum=minimum,
        fees=fees_known(VENUE, contract, at_ns, fees_of),
        size=unit_rule(VENUE, contract).size(contract, item),
    )


def _contract(item: Wire) -> Contract:
    """What an instrument is, by its fields and its name, which must agree."""
    name, kind = item.text("instId"), item.text("instType")
    parts = name.split("-")
    if kind == "SPOT":
        contract: Contract = Spot(item.text("baseCcy"), item.text("quoteCcy"))
        expected = f"{contract.underlying}-{contract.settlement}"
    else:
        coin, quote = [*item.text("uly").split("-"), ""][:2]
        settlement = item.text("settleCcy")
        inverse = settlement == coin
        expected = f"{coin}-{quote}"
        if kind == "SWAP":
            contract, expected = Perpetual(coin, settlement, inverse), f"{expected}-SWAP"
        elif kind == "FUTURES":
            contract = Future(coin, settlement, inverse, item.stamp_ns("expTime"))
            expected = f"{expected}-{parts[-1]}"
        elif kind == "OPTION":
            contract, expected = okx_option(name), name
            _option_agrees(item, contract)
        else:
            item.refuse("instType", "a kind that is not known", kind, "SPOT, SWAP, FUTURES or OPTION")
        if kind in ("SWAP", "FUTURES") and item.text("ctType") != ("inverse" if inverse else "linear"):
            item.refuse("ctType", "settlement and type contradict each other", item.raw("ctType"), settlement)
    if name != expected:
        item.refuse("instId", "the fields and the instrument's name disagree", name, expected)
    return contract


def _option_agrees(item: Wire, contract: Option) -> None:
    agrees = (
        item.text("settleCcy") == contract.settlement
        and item.number("stk") == contract.strike
        and item.text("optType") == contract.right.value
        and item.stamp_ns("expTime") == contract.expiry_ns
    )
    if not agrees:
        item.refuse(
            "instId", "the fields and the instrument's name disagree", item.raw("instId"), "one option"
        )


def _tick_steps(item: Wire, contract: Contract) -> TickSteps:
    """The tick; of options settled in coin the finer one holds up to 0.005, five times it above."""
    tick = item.above_zero("tickSz")
    if isinstance(contract, Option) and contract.inverse and tick == Decimal("0.0001"):
        return TickSteps((Decimal(0), Decimal("0.005")), (tick, Decimal("0.0005")))
    return TickSteps((Decimal(0),), (tick,))


# ----------------------------------------------------------------------------------------------------- frames


def read(message: object, listings: Mapping[str, Listing], account: str = "") -> Frame:
    """One message of a stream. Channels that are not known hold nothing for us.

    Raises:
        Malformed: it is no message.
    """
    frame, item = Frame(), Wire(message, "okx")
    if item.raw("event") == "error":
        frame.refused = item.name_or("code", ""), item.text_or("msg", "")
    if not isinstance(item.raw("arg"), dict) or not isinstance(item.raw("data"), list):
        return frame
    arg = item.nested("arg")
    channel = arg.text_or("channel", "")
    if channel not in _CHANNELS:
        return frame
    for data in items(item.raw("data"), channel):
        try:
            _read_one(frame, channel, arg, item, data, listings, account)
        except Untrusted as error:
            frame.unread.append(error.text())
    return frame


def _read_one(
    frame: Frame,
    channel: str,
    arg: Wire,
    message: Wire,
    data: Wire,
    listings: Mapping[str, Listing],
    account: str,
) -> None:
    if channel in _QUOTES:
        frame.quotes.append(quote(channel, data))
    elif channel == "bbo-tbt":
        frame.quotes.append(best(arg.text("instId"), data))
    elif channel == "index-tickers":
        coin, _, currency = data.text("instId").partition("-")
        if currency in ("USD", "USDT") and (price := data.positive("idxPx")) == price:
            frame.index.append((coin, data.stamp_ns("ts"), price))
    elif channel in _BOOKS:
        snapshot = channel in _WHOLE or _is_snapshot(message)
        frame.books.append(book(arg.text("instId"), snapshot, data))
    elif channel == "trades":
        frame.public.append(public_trade(data))
    else:
        frame.orders.append(order_update(data))
        frame.trades.extend(fill_of_order(data, listings, account))


def _is_snapshot(message: Wire) -> bool:
    action = message.text("action")
    if action not in ("snapshot", "update"):
        message.refuse("action", "neither snapshot nor update", action, "snapshot or update")
    return action == "snapshot"


def quote(channel: str, data: Wire) -> Quote:
    """What one of the quote channels tells of a listing.

    Raises:
        Malformed: a field is not as it must be.
    """
    symbol, at_ns = data.text("instId"), data.stamp_ns("ts")
    if channel == "mark-price":
        return Quote(symbol, at_ns, mark=data.positive("markPx"), told=frozenset({"mark"}))
    if channel == "opt-summary":
        return Quote(
            symbol,
            at_ns,
            mark_iv=data.positive("markVol"),
            forward=data.positive("fwdPx"),
            forward_kind=ForwardKind.SYNTHETIC,
            told=frozenset({"mark_iv", "forward", "forward_kind"}),
        )
    if channel == "funding-rate":
        begins, ends = data.stamp_ns("fundingTime"), data.stamp_ns_or("nextFundingTime", 0)
        hours = (ends - begins) / _NS_PER_HOUR if ends > begins else NAN  # for how long is not told
        rate = data.number("fundingRate") * _FUNDING_HOURS / hours
        return Quote(symbol, at_ns, funding_rate=rate, told=frozenset({"funding_rate"}))
    return Quote(
        symbol,
        at_ns,
        bid=data.positive("bidPx"),
        bid_size=data.positive("bidSz"),
        ask=data.positive("askPx"),
        ask_size=data.positive("askSz"),
        told=_TOUCH,
    )


def best(symbol: str, data: Wire) -> Quote:
    """The touch as `bbo-tbt` tells it; a side without levels has none."""
    bids, asks = levels(data.raw("bids"), "bids"), levels(data.raw("asks"), "asks")
    bid, bid_size = bids[0] if bids else (NAN, NAN)
    ask, ask_size = asks[0] if asks else (NAN, NAN)
    return Quote(symbol, data.stamp_ns("ts"), bid, bid_size, ask, ask_size, told=_TOUCH)


def book(symbol: str, snapshot: bool, data: Wire) -> BookChange:
    """A message of the book channels. A heartbeat of it repeats the last id and changes nothing.

    Raises:
        Malformed: a field is not as it must be; a change without `seqId` or `prevSeqId`.
    """
    return BookChange(
        symbol=symbol,
        venue_ns=data.stamp_ns("ts"),
        snapshot=snapshot,
        change_id=data.whole("seqId"),
        previous_id=None if snapshot else data.whole("prevSeqId"),
        bids=levels(data.raw("bids"), "bids"),
        asks=levels(data.raw("asks"), "asks"),
    )


def public_trade(item: Wire) -> PublicTrade:
    """An item of `trades`: a trade, or several at one price that one order made.

    Raises:
        Malformed: a field is not as it must be.
    """
    return PublicTrade(
        symbol=item.text("instId"),
        venue_ns=item.stamp_ns("ts"),
        trade_id=item.name("tradeId"),
        side=item.side("side"),
        price=float(item.above_zero("px")),
        size=float(item.above_zero("sz")),
    )


# ----------------------------------------------------------------------------------------- orders, executions


def order_update(item: Wire) -> OrderUpdate:
    """An order as the channel `orders` and `trade/order` carry it.

    Raises:
        Malformed: a field is not as it must be.
    """
    state, code = _state(item)
    return OrderUpdate(
        client_id=from_wire(VENUE, item.told("clOrdId")),
        state=state,
        venue_order_id=item.name("ordId"),
        filled=_filled(item),
        code=code,
        venue_ns=item.stamp_ns("uTime"),
        quantity=item.amount_or_none("sz"),
        price=item.amount_or_none("px"),
    )


def order_report(item: Wire) -> OrderReport:
    """An order as the venue lists it when asked. A market order's price is NaN.

    Raises:
        Malformed: a field is not as it must be.
    """
    return OrderReport(
        client_id=from_wire(VENUE, item.told("clOrdId")),
        venue_order_id=item.name("ordId"),
        symbol=item.text("instId"),
        side=item.side("side"),
        quantity=item.above_zero("sz"),
        filled=_filled(item),
        price=item.decimal("px") if item.has("px") else Decimal("NaN"),
        state=_state(item)[0],
    )


def _filled(item: Wire) -> Decimal:
    """Filled so far; an empty text stands for nothing of an order that has not begun to fill."""
    nothing_yet = item.raw("accFillSz") == "" and item.raw("state") == "live"
    return Decimal(0) if nothing_yet else item.not_negative("accFillSz")


def _state(item: Wire) -> tuple[OrderState, str]:
    said = item.text("state")
    state, source = _STATES.get(said, OrderState.UNKNOWN), item.text_or("cancelSource", "")
    if state is OrderState.UNKNOWN:
        return state, f"unlisted:{said}"[:64]
    if state is not OrderState.CANCELLED:
        return state, ""
    if source == _POST_ONLY_SOURCE and _filled(item) == 0:
        return OrderState.REJECTED, Reason.POST_ONLY
    return state, f"cancel_source_{source}" if source else ""


def fill_of_order(item: Wire, listings: Mapping[str, Listing], account: str) -> Iterator[TradeReport]:
    """The execution that an order message tells of; nothing where it tells of none, or not of its fee.

    `fee` of an order is the sum over its executions: it is this one's where this is the only one.
    """
    if not item.has("tradeId") or item.raw("tradeId") == "0" or not item.has("fillSz"):
        return
    quantity = item.not_negative("fillSz")
    only = quantity == _filled(item)
    if quantity == 0 or not (item.has("fillFee") or (only and item.has("fee"))):
        return
    keys = ("fillFee", "fillFeeCcy") if item.has("fillFee") else ("fee", "feeCcy")
    yield _trade(item, listings, account, quantity, item.above_zero("fillPx"), keys, "fillTime")


def execution(item: Wire, listings: Mapping[str, Listing], account: str = "") -> TradeReport:
    """One row of `trade/fills` or `trade/fills-history`.

    Raises:
        Malformed: a field is not as it must be, or an instrument that is not in `listings`.
    """
    quantity, price = item.above_zero("fillSz"), item.above_zero("fillPx")
    return _trade(item, listings, account, quantity, price, ("fee", "feeCcy"), "ts")


def _trade(
    item: Wire,
    listings: Mapping[str, Listing],
    account: str,
    quantity: Decimal,
    price: Decimal,
    fee_keys: tuple[str, str],
    time_key: str,
) -> TradeReport:
    symbol = item.text("instId")
    listing = listings.get(symbol)
    if listing is None:
        item.refuse("instId", "an execution of an instrument that is not listed", symbol, "a listing")
    role = item.told("execType")
    if role not in ("M", "T", ""):  # empty: the venue's own, such as a liquidation, which takes
        item.refuse("execType", "neither maker nor taker", role, "M, T or nothing")
    fill = Fill(
        listing=listing,
        side=item.side("side"),
        quantity=quantity,
        price=price,
        fee=-item.decimal(fee_keys[0]),  # negative where it is paid
        fee_currency=item.text(fee_keys[1]),
        account=account,
        trade_id=f"{symbol}:{item.name('tradeId')}",  # counted by instrument
        time_ns=item.stamp_ns(time_key),
    )
    return TradeReport(from_wire(VENUE, item.told("clOrdId")), fill, maker=role == "M")


def positions(result: object) -> dict[str, Decimal]:
    """The `data` of `account/positions`: signed contracts by instrument, long and short added up.

    Raises:
        Malformed: a field is not as it must be; a margin position, which no listing stands for.
    """
    found: dict[str, Decimal] = {}
    for item in items(result, "positions"):
        if item.text("instType") not in ("SWAP", "FUTURES", "OPTION"):
            item.refuse(
                "instType", "a position of a kind that is not traded here", item.raw("instType"), "SWAP"
            )
        amount, side = item.decimal("pos"), item.text("posSide")
        if side not in ("net", "long", "short") or (side != "net" and amount < 0):
            item.refuse("posSide", "size and side contradict each other", f"{amount}, {side}", "one sign")
        symbol = item.text("instId")
        found[symbol] = found.get(symbol, Decimal(0)) + (-amount if side == "short" else amount)
    return {symbol: amount for symbol, amount in found.items() if amount}


def balances(account: object, held: object) -> dict[str, Decimal]:
    """Margin balance by currency: cash, and the open gain of swaps and futures; not the value of options.

    account, held: the `data` of `account/balance` and of `account/positions`.

    Raises:
        Malformed: a field is not as it must be.
    """
    found: dict[str, Decimal] = {}
    for row in items(account, "balance"):
        for detail in row.items("details"):
            found[detail.text("ccy")] = detail.decimal("cashBal")
    for item in items(held, "positions"):
        if item.text("instType") in ("SWAP", "FUTURES") and item.decimal("pos"):
            currency = item.text("ccy")
            found[currency] = found.get(currency, Decimal(0)) + item.decimal("upl")
    return found


def error_of(payload: object) -> tuple[str, str] | None:
    """(code, text) where an answer is an error, of the first order in it where there are several; else None.

    Raises:
        Malformed: it is no answer.
    """
    item = Wire(payload, "okx")
    code = item.text("code")
    if code == "0":
        return None
    rows = item.raw("data")
    first = rows[0] if isinstance(rows, list) and rows and isinstance(rows[0], dict) else {}
    detail = Wire(first, "data[0]")
    if detail.has("sCode") and detail.raw("sCode") != "0":
        return detail.name("sCode"), detail.text_or("sMsg", "")
    return code, item.text_or("msg", "")
