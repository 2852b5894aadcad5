"""What a trade does to cash and positions, what it costs, and what an account must hold for it.

Options: the premium moves cash at once. Futures and perpetuals: the gain of what is closed moves cash.
Spot: both currencies move. Margin is Deribit's standard one: futures by rate, long options nothing, short
options max(0.15 - out of the money / index, 0.1) of the underlying plus the mark (maintenance 0.075 + mark).
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from tests.exchanges.words import ZERO, Instrument, Kind, Order, Position, Side, Summary

if TYPE_CHECKING:
    from tests.exchanges.state import State

_SHORT_OPTION_INITIAL = Decimal("0.15")
_SHORT_OPTION_LEAST = Decimal("0.1")
_SHORT_OPTION_MAINTENANCE = Decimal("0.075")


def fee_of(
    instrument: Instrument, side: Side, quantity: Decimal, price: Decimal, maker: bool, index: Decimal
) -> tuple[Decimal, str]:
    """Fee (negative: rebate) and its currency, to 14 places. Spot: in what is received; options: capped."""
    fee, currency = _fee_of(instrument, side, quantity, price, maker, index)
    return round(fee, 14), currency


def _fee_of(
    instrument: Instrument, side: Side, quantity: Decimal, price: Decimal, maker: bool, index: Decimal
) -> tuple[Decimal, str]:
    rate = instrument.maker_fee if maker else instrument.taker_fee
    if instrument.kind is Kind.SPOT:
        bought = side is Side.BUY
        return (
            quantity if bought else quantity * price
        ) * rate, instrument.base if bought else instrument.quote
    if instrument.kind is not Kind.OPTION:
        return instrument.value(quantity, price) * rate, instrument.settle
    size = quantity * instrument.multiplier
    fee = size * rate * (Decimal(1) if instrument.inverse else index)
    if instrument.fee_cap is not None:
        fee = min(fee, size * price * instrument.fee_cap)
    return fee, instrument.settle


def book_fill(
    exchange: State,
    account: str,
    instrument: Instrument,
    side: Side,
    quantity: Decimal,
    price: Decimal,
    fee: Decimal,
    currency: str,
) -> Decimal:
    """Move cash and position for one execution; the gain it realises, settlement currency."""
    cash = exchange.account(account).balances

    def move(what: str, amount: Decimal) -> None:
        cash[what] = cash.get(what, ZERO) + amount

    move(currency, -fee)
    signed = quantity * side.sign
    if instrument.kind is Kind.SPOT:
        move(instrument.base, signed * instrument.multiplier)
        move(instrument.quote, -instrument.value(signed, price))
        return ZERO
    positions = exchange.account(account).positions
    position = positions.setdefault(instrument.symbol, Position(instrument))
    position.fees += fee
    gain = _change(position, signed, price)
    position.realised += gain
    if instrument.kind is Kind.OPTION:
        move(instrument.settle, -instrument.value(signed, price))
    else:
        move(instrument.settle, gain)
        key = (account, instrument.settle)
        exchange.session_rpl[key] = exchange.session_rpl.get(key, ZERO) + gain - fee
    return gain


def _change(position: Position, signed: Decimal, price: Decimal) -> Decimal:
    """Apply a signed quantity to a position; what it realises."""
    instrument, held = position.instrument, position.quantity
    gain = ZERO
    if held * signed < 0:
        closing = min(abs(signed), abs(held)) * (1 if held > 0 else -1)
        entry = position.entry * closing / held
        worth = instrument.value(closing, price)
        inverse = instrument.inverse and instrument.kind in (Kind.PERPETUAL, Kind.FUTURE)
        gain = entry - worth if inverse else worth - entry
        position.entry -= entry
        position.quantity -= closing
        signed += closing
    position.entry += instrument.value(signed, price)
    position.quantity += signed
    return gain


def _short_option(exchange: State, instrument: Instrument, mark: Decimal, maintenance: bool) -> Decimal:
    """Margin per unit short, settlement currency."""
    index = exchange.index_price(instrument.symbol)
    unit = Decimal(1) if instrument.inverse else index
    if maintenance or not index or instrument.strike is None:
        return (_SHORT_OPTION_MAINTENANCE * unit + mark) * instrument.multiplier
    out = instrument.strike - index if instrument.right == "C" else index - instrument.strike
    share = max(_SHORT_OPTION_INITIAL - max(out, ZERO) / index, _SHORT_OPTION_LEAST)
    return (share * unit + mark) * instrument.multiplier


def margin(exchange: State, instrument: Instrument, quantity: Decimal, *, maintenance: bool) -> Decimal:
    """Margin of a signed quantity at the mark, settlement currency."""
    mark = exchange.mark_price(instrument.symbol)
    if instrument.kind is Kind.SPOT or not mark:
        return ZERO
    if instrument.kind is Kind.OPTION:
        return max(-quantity, ZERO) * _short_option(exchange, instrument, mark, maintenance)
    rate = instrument.maintenance_margin if maintenance else instrument.initial_margin
    return abs(instrument.value(quantity, mark)) * rate


def order_margin(
    exchange: State,
    account: str,
    instrument: Instrument,
    side: Side,
    quantity: Decimal,
    price: Decimal | None,
) -> tuple[str, Decimal]:
    """Currency and amount an order binds: what its fill would cost and add to the margin."""
    at = price if price is not None else exchange.mark_price(instrument.symbol)
    if instrument.kind is Kind.SPOT:
        if side is Side.BUY:
            return instrument.quote, instrument.value(quantity, at)
        return instrument.base, quantity * instrument.multiplier
    position = exchange.account(account).positions.get(instrument.symbol)
    held = position.quantity if position else ZERO
    after = held + quantity * side.sign
    more = margin(exchange, instrument, after, maintenance=False) - margin(
        exchange, instrument, held, maintenance=False
    )
    premium = instrument.value(quantity * side.sign, at) if instrument.kind is Kind.OPTION else ZERO
    return instrument.settle, max(more + premium, ZERO)


def summarise(exchange: State, account: str, currency: str, without: Order | None = None) -> Summary:
    """An account in one currency, an order to be replaced left out."""
    balance = exchange.account(account).balances.get(currency, ZERO)
    upl = value = options_upl = initial = maintenance = ZERO
    for position in exchange.positions(account):
        instrument = position.instrument
        if instrument.settle != currency:
            continue
        mark = exchange.mark_price(instrument.symbol)
        initial += margin(exchange, instrument, position.quantity, maintenance=False)
        maintenance += margin(exchange, instrument, position.quantity, maintenance=True)
        if instrument.kind is Kind.OPTION:
            value += instrument.value(position.quantity, mark)
            options_upl += position.unrealised(mark)
        elif mark:
            upl += position.unrealised(mark)
    bound = ZERO
    for order in exchange.open_orders(account):
        if order is not without:
            of, amount = order_margin(
                exchange, account, order.instrument, order.side, order.remaining, order.price
            )
            bound += amount if of == currency else ZERO
    rpl = exchange.session_rpl.get((account, currency), ZERO)
    return Summary(currency, balance, upl, rpl, value, options_upl, initial, maintenance, bound)
