"""Deribit's messages: instruments, tickers, order books, orders, executions, positions, balances.

Amounts are in coins for options, linear products and spot, in USD for inverse perpetuals and futures. Vols
come in percent. A bid or ask of 0 means that there is none. `label` is our client order id.

Source: docs.deribit.com, API v2; the recorded messages that the tests read.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from pricing.contracts import Contract, Fees, Future, Kind, Listing, Option, Right, TickSteps
from pricing.errors import InputError
from pricing.market import ForwardKind
from risk.book import Fill
from venues.deribit_names import forward_kind, parse_name
from venues.orders import OrderReport, OrderState, OrderUpdate, TradeReport
from venues.venue_table import VenueTable, product_of
from venues.wire.fields import (
    FIGURE_MAX,
    NAN,
    NS_PER_MS,
    STAMP_MS_MAX,
    STAMP_MS_MIN,
    TEXT_MAX,
    Wire,
    items,
    levels,
    malformed,
)
from venues.wire.quotes import BookChange, Levels, PublicTrade, Quote
from venues.wire.units import Instruments, read_instruments, unit_rule

VENUE = "deribit"
_COMBOS = ("future_combo", "option_combo")
_RIGHTS = {"call": Right.CALL, "put": Right.PUT}
_STATES = {
    "open": OrderState.OPEN,
    "untriggered": OrderState.OPEN,
    "filled": OrderState.FILLED,
    "cancelled": OrderState.CANCELLED,
    "rejected": OrderState.REJECTED,
}
#: Reasons of a cancel that are the venue's own rules, not anybody's wish.
_EXPIRED_BY = frozenset({"settlement", "expiration"})

# ------------------------------------------------------------------------------------------------ instruments


def instruments(result: object, at_ns: int) -> Instruments:
    """`public/get_instruments`. Combos and what is not active are left out without a word.

    Raises:
        Malformed: no list of objects.
    """
    found = list(items(result, "get_instruments"))
    return read_instruments(found, lambda x: x.text("instrument_name"), lambda x: instrument(x, at_ns))


def instrument(item: Wire, at_ns: int, *, also_inactive: bool = False) -> Listing | None:
    """One instrument; None for a combo, and where it does not trade unless those are asked for too.

    Raises:
        Malformed, UnitsUnknown, InputError: it cannot be what its name says.
    """
    if item.raw("kind") in _COMBOS or not (item.flag("is_active") or also_inactive):
        return None
    name = item.text("instrument_name")
    contract = parse_name(name)
    _agree(item, contract)
    size = unit_rule(VENUE, contract).size(contract, item)
    lot = item.above_zero("min_trade_amount")
    return Listing(
        venue=VENUE,
        symbol=name,
        contract=contract,
        tick_steps=_tick_steps(item),
        lot=lot,
        minimum=lot,
        fees=_fees(item, contract, at_ns),
        size=size,
    )


def _agree(item: Wire, contract: Contract) -> None:
    """What an instrument says beside its name must be what the name says."""
    expected: dict[str, object] = {
        "kind": {"PERPETUAL": "future"}.get(contract.kind.name, contract.kind.name.lower()),
        "base_currency": contract.underlying,
    }
    if contract.kind is not Kind.SPOT:
        expected["settlement_currency"] = contract.settlement
        expected["instrument_type"] = "reversed" if contract.inverse else "linear"
    for key, said in expected.items():
        if item.has(key) and item.raw(key) != said:
            item.refuse(key, "the field and the instrument's name disagree", item.raw(key), str(said))
    if isinstance(contract, Option | Future):
        told = item.whole("expiration_timestamp") * NS_PER_MS
        if told != contract.expiry_ns:
            item.refuse("expiration_timestamp", "not the expiry in the name", told, str(contract.expiry_ns))
    if isinstance(contract, Option):
        if item.number("strike") != contract.strike:
            item.refuse("strike", "not the strike in the name", item.raw("strike"), str(contract.strike))
        if _RIGHTS.get(item.text("option_type")) is not contract.right:
            item.refuse(
                "option_type", "not the right in the name", item.raw("option_type"), contract.right.name
            )


def _tick_steps(item: Wire) -> TickSteps:
    above, ticks = [Decimal(0)], [item.above_zero("tick_size")]
    if item.has("tick_size_steps"):
        for step in item.items("tick_size_steps"):
            above.append(step.above_zero("above_price"))
            ticks.append(step.above_zero("tick_size"))
    try:
        return TickSteps(tuple(above), tuple(ticks))
    except ValueError as error:
        raise malformed(f"{item.where}.tick_size_steps", "no tick steps", str(error), "rising") from error


def _fees(item: Wire, contract: Contract, at_ns: int) -> Fees:
    """The instrument's own rates; the cap of an option's fee is only in the venue table: none known, none."""
    maker, taker = item.decimal("maker_commission"), item.decimal("taker_commission")
    if abs(maker) >= 1 or abs(taker) >= 1:
        item.refuse("taker_commission", "not a fee rate", f"{maker}, {taker}", "below 1 in size")
    if not isinstance(contract, Option):
        return Fees(maker, taker)
    try:
        known = VenueTable.load(VENUE).terms(product_of(contract), contract.underlying, at_ns).fees
    except InputError:
        return Fees(maker, taker)
    return Fees(maker, taker, known.cap, known.combo)


# ------------------------------------------------------------------------------------------------ market data


def ticker(data: object) -> Quote:
    """A `ticker.*` notification's data, or the result of `public/ticker`.

    Most of what a venue sends are these: a field that is as it nearly always is, is taken in one step, any
    other by `Wire`, which says what is wrong with it.

    Raises:
        Malformed: a field is not as it must be.
    """
    if type(data) is not dict:
        raise malformed("ticker", "not an object", data, "an object")
    get = data.get
    is_option = "underlying_price" in data
    vol = get("mark_iv") if is_option else None
    stamp = get("timestamp")
    symbol = get("instrument_name")
    return Quote(
        symbol
        if type(symbol) is str and 0 < len(symbol) <= TEXT_MAX
        else _wire(data).text("instrument_name"),
        stamp * NS_PER_MS
        if type(stamp) is int and STAMP_MS_MIN <= stamp <= STAMP_MS_MAX
        else _wire(data).stamp_ns("timestamp"),
        _positive(data, "best_bid_price"),
        _positive(data, "best_bid_amount"),
        _positive(data, "best_ask_price"),
        _positive(data, "best_ask_amount"),
        _positive(data, "mark_price"),
        NAN if vol is None else _wire(data).number("mark_iv") / 100.0,
        _positive(data, "underlying_price") if is_option else NAN,
        _positive(data, "index_price"),
        NAN if is_option else _wire(data).number("funding_8h"),
        _forward_kind(data) if is_option else ForwardKind.NONE,
        get("state") == "open",
    )


def _wire(data: dict[str, Any]) -> Wire:
    return Wire(data, "ticker")


def _positive(data: dict[str, Any], key: str) -> float:
    """As `Wire.positive`."""
    value = data.get(key)
    if type(value) is float and 0.0 < value < FIGURE_MAX:
        return value
    if value is None or (type(value) is float and value == 0.0):
        return NAN
    return _wire(data).positive(key)


def _forward_kind(data: dict[str, Any]) -> ForwardKind:
    name = data.get("underlying_index")
    return forward_kind(name if type(name) is str else _wire(data).text_or("underlying_index", ""))


def summary(data: object) -> Quote:
    """One row of `public/get_book_summary_by_currency`: mark, vol and touch prices, without sizes.

    Raises:
        Malformed: a field is not as it must be.
    """
    item = Wire(data, "book_summary")
    is_option = item.has("underlying_price")
    return Quote(
        symbol=item.text("instrument_name"),
        venue_ns=item.stamp_ns("creation_timestamp"),
        bid=item.positive("bid_price"),
        ask=item.positive("ask_price"),
        mark=item.positive("mark_price"),
        mark_iv=item.number("mark_iv") / 100.0 if is_option else NAN,
        forward=item.positive("underlying_price") if is_option else NAN,
        index_price=item.positive("estimated_delivery_price"),
        funding_rate=NAN if is_option else item.number("funding_8h"),
        forward_kind=forward_kind(item.text_or("underlying_index", "")) if is_option else ForwardKind.NONE,
    )


def book(data: object) -> BookChange:
    """A `book.*` notification's data with a chain of change ids: a snapshot or a change.

    Raises:
        Malformed: a field is not as it must be; or a grouped book, which has no chain.
    """
    item = Wire(data, "book")
    kind = item.text_or("type", "")
    if kind not in ("snapshot", "change"):
        item.refuse("type", "neither snapshot nor change", kind, "a book without grouping")
    previous = item.whole("prev_change_id") if item.has("prev_change_id") else None
    if kind == "snapshot":
        previous = None  # it follows nothing, whatever it says
    elif previous is None:
        item.refuse("prev_change_id", "a change that follows nothing", None, "the id before it")
    return BookChange(
        symbol=item.text("instrument_name"),
        venue_ns=item.stamp_ns("timestamp"),
        snapshot=kind == "snapshot",
        change_id=item.whole("change_id"),
        previous_id=previous,
        bids=_book_levels(item, "bids"),
        asks=_book_levels(item, "asks"),
    )


def _book_levels(item: Wire, key: str) -> Levels:
    """Levels ["new" | "change" | "delete", price, amount]; a deleted one has size 0."""
    value = item.raw(key)
    if not isinstance(value, list):
        item.refuse(key, "not a list of levels", value, "[[action, price, amount], ...]")
    plain: list[Any] = []
    for level in value:
        if not isinstance(level, list) or len(level) != 3 or level[0] not in ("new", "change", "delete"):
            item.refuse(key, "not a level", level, "[new, change or delete, price, amount]")
        plain.append((level[1], 0.0 if level[0] == "delete" else level[2]))
    return levels(plain, key)


def public_trades(data: object) -> list[PublicTrade]:
    """A `trades.*` notification's data, or the `trades` of `public/get_last_trades_by_*`; block trades, which
    are agreed outside the book and meet nobody in it, are left out.

    Raises:
        Malformed: a field is not as it must be.
    """
    return [
        PublicTrade(
            symbol=item.text("instrument_name"),
            venue_ns=item.stamp_ns("timestamp"),
            trade_id=item.name("trade_id"),
            side=item.side("direction"),
            price=float(item.above_zero("price")),
            size=float(item.above_zero("amount")),
        )
        for item in items(data, "trades")
        if not item.has("block_trade_id")
    ]


# ---------------------------------------------------------------------------------------- orders, executions


def order_update(data: object) -> OrderUpdate:
    """An order as `user.orders` and the answers to buy, sell, edit and cancel carry it.

    A state that nobody has looked up is UNKNOWN, never the end of an order.

    Raises:
        Malformed: a field is not as it must be.
    """
    item = Wire(data, "order")
    state, code = _state(item)
    return OrderUpdate(
        client_id=item.text_or("label", ""),
        state=state,
        venue_order_id=item.name("order_id"),
        filled=item.not_negative("filled_amount") if item.has("filled_amount") else None,
        code=code,
        venue_ns=item.stamp_ns("last_update_timestamp"),
        quantity=item.amount_or_none("amount"),
        price=None if isinstance(item.raw("price"), str) else item.amount_or_none("price"),
    )


def order_report(data: object) -> OrderReport:
    """An order as the venue lists it when asked. A price that is no number (a market order's) is NaN.

    Raises:
        Malformed: a field is not as it must be.
    """
    item = Wire(data, "order")
    price = item.raw("price")
    has_price = isinstance(price, int | float) and not isinstance(price, bool)
    return OrderReport(
        client_id=item.text_or("label", ""),
        venue_order_id=item.name("order_id"),
        symbol=item.text("instrument_name"),
        side=item.side("direction"),
        quantity=item.above_zero("amount"),
        filled=item.not_negative("filled_amount") if item.has("filled_amount") else _not_begun(item),
        price=item.decimal("price") if has_price else Decimal("NaN"),
        state=_state(item)[0],
    )


def _state(item: Wire) -> tuple[OrderState, str]:
    state = _STATES.get(item.text("order_state"), OrderState.UNKNOWN)
    code = item.text_or("cancel_reason", "") if state is OrderState.CANCELLED else ""
    if code in _EXPIRED_BY:
        state = OrderState.EXPIRED
    if state is OrderState.UNKNOWN:
        code = f"unlisted:{item.text('order_state')}"[:64]
    return state, code


def _not_begun(item: Wire) -> Decimal:
    """Orders that wait for a trigger carry no filled amount: nothing of them can be."""
    if item.raw("order_state") == "untriggered":
        return Decimal(0)
    item.refuse("filled_amount", "a field is missing", None, "a number")


def trade_report(item: Wire, listings: Mapping[str, Listing], account: str = "") -> TradeReport:
    """One execution of ours.

    Raises:
        Malformed: a field is not as it must be, or an instrument that is not in `listings`.
    """
    symbol = item.text("instrument_name")
    listing = listings.get(symbol)
    if listing is None:
        item.refuse(
            "instrument_name", "an execution of an instrument that is not listed", symbol, "a listing"
        )
    liquidity = item.text("liquidity")
    if liquidity not in ("M", "T"):
        item.refuse("liquidity", "neither maker nor taker", liquidity, "M or T")
    fill = Fill(
        listing=listing,
        side=item.side("direction"),
        quantity=item.above_zero("amount"),
        price=item.above_zero("price"),
        fee=item.decimal("fee"),
        fee_currency=item.text("fee_currency"),
        account=account,
        trade_id=item.name("trade_id"),
        time_ns=item.stamp_ns("timestamp"),
    )
    return TradeReport(item.text_or("label", ""), fill, maker=liquidity == "M")


def positions(result: object) -> dict[str, Decimal]:
    """`private/get_positions`: signed amounts by instrument, flat ones left out.

    Raises:
        Malformed: a field is not as it must be, or size and direction contradict each other.
    """
    found: dict[str, Decimal] = {}
    for item in items(result, "get_positions"):
        size, direction = item.decimal("size"), item.text("direction")
        if {"buy": 1, "sell": -1, "zero": 0}.get(direction) != (size > 0) - (size < 0):
            item.refuse(
                "size", "size and direction contradict each other", f"{size}, {direction}", "one sign"
            )
        symbol = item.text("instrument_name")
        if symbol in found:
            item.refuse("instrument_name", "a position occurs twice", symbol, "each once")
        if size:
            found[symbol] = size
    return found


def balances(summaries: object) -> dict[str, Decimal]:
    """`private/get_account_summaries`: equity less the value of options, by currency.

    Raises:
        Malformed: a field is not as it must be.
    """
    return {
        item.text("currency"): item.decimal("equity") - item.decimal("options_value")
        for item in items(summaries, "summaries")
    }
