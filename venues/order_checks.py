"""What is wrong with an order before it leaves: the venue would say so too, later and in worse words.

Ticks and lots are the project's own and exact. Nothing is rounded here: whoever makes an order rounds it, a
buy down and a sell up (`Listing.quantize_price`); an order that is off the tick all the same is refused.
"""

from __future__ import annotations

from decimal import Decimal

from pricing.contracts import Listing
from venues.errors import Refused, Untrusted
from venues.orders import ComboOrder, Order, OrderReport, OrderState, OrderUpdate
from venues.wire.rejects import Reason

#: The reason code of a combo where none can be sent.
NO_COMBOS = "combos_not_offered"
#: The same of an amendment.
NO_AMENDS = "amends_not_offered"
#: The reason code of an amendment to no more than has filled.
FILLED_ALREADY = "quantity_filled_already"
#: Of a cancel or an amendment of an order that has ended.
ALREADY_DONE = "already_done"
#: Of an amendment that was taken, and that the order does not show.
NOT_SHOWN = "amendment_not_shown"


def refused_here(order: Order, listing: Listing | None) -> OrderUpdate | None:
    """The refusal of an order that the venue cannot take, None where it can. listing: as it is there now.

    >>> from pricing.contracts import Fees, Perpetual, Side, TickSteps
    >>> from venues.orders import TimeInForce
    >>> perpetual = Listing("deribit", "BTC-PERPETUAL", Perpetual("BTC", "BTC", True),
    ...     TickSteps.parse("0:0.5"), Decimal(10), Decimal(10), Fees(Decimal(0), Decimal(0)))
    >>> order = Order("hdesk-1-0-0", perpetual, Side.BUY, Decimal(15), Decimal("60000.5"), TimeInForce.GTC)
    >>> refused_here(order, perpetual).code.value
    'quantity_not_in_lots'
    """
    if listing is None:
        return refusal(order, Reason.NOT_LISTED, f"{order.listing.symbol} is not listed")
    if (listing.contract, listing.size) != (order.listing.contract, order.listing.size):
        return refusal(order, Reason.NOT_LISTED, f"{listing.symbol} is another contract by now")
    if order.price % listing.tick_steps.at(order.price):
        return refusal(order, Reason.TICK, f"price {order.price}: ticks {listing.tick_steps}")
    if order.quantity % listing.lot:
        return refusal(order, Reason.LOT, f"quantity {order.quantity}: lots of {listing.lot}")
    if order.quantity < listing.minimum:
        return refusal(order, Reason.MINIMUM, f"quantity {order.quantity}: at least {listing.minimum}")
    return None


def no_combos(order: ComboOrder, venue: str) -> OrderUpdate:
    """The refusal of a combo by an adapter of a venue that is not sent any (`Capabilities.combos`)."""
    return refusal(order, NO_COMBOS, f"{venue} is sent no combos; {order.name} can go leg by leg")


def refusal(order: Order | ComboOrder, code: str, text: str) -> OrderUpdate:
    """The update of an order that never left."""
    return OrderUpdate(
        order.client_id, OrderState.REJECTED, filled=Decimal(0), code=code, text=f"{text}; it never left"
    )


def check_amendment(report: OrderReport, listing: Listing | None, price: Decimal, quantity: Decimal) -> None:
    """That a venue can take an amendment of a resting order. listing: as it is there now.

    Raises:
        Refused: it cannot; nothing left.
    """
    if listing is None:
        raise amend_refused(report.client_id, Reason.NOT_LISTED, f"{report.symbol} is not listed")
    if not (price.is_finite() and price > 0 and price % listing.tick_steps.at(price) == 0):
        raise amend_refused(report.client_id, Reason.TICK, f"price {price}: ticks {listing.tick_steps}")
    if not quantity.is_finite() or quantity % listing.lot:
        raise amend_refused(report.client_id, Reason.LOT, f"quantity {quantity}: lots of {listing.lot}")
    if quantity < listing.minimum:
        text = f"quantity {quantity}: at least {listing.minimum}"
        raise amend_refused(report.client_id, Reason.MINIMUM, text)
    if quantity <= report.filled:
        text = f"quantity {quantity} in all: {report.filled} has filled"
        raise amend_refused(report.client_id, FILLED_ALREADY, text)


def no_amends(client_id: str, venue: str) -> Refused:
    """The refusal of an amendment where none is offered (`Capabilities.amends`)."""
    return amend_refused(client_id, NO_AMENDS, f"{venue} amends no orders; cancel it and send another")


def amend_refused(client_id: str, code: str, text: str) -> Refused:
    """The error of an amendment that was not made."""
    return Refused(str(code), text[:300], where=client_id, not_done="the order was not changed")


def another_order(venue: str, client_id: str, observed: str) -> Untrusted:
    """The error over an answer that is about another order than the one that was asked after, or sent."""
    return Untrusted(
        "ANOTHER_ORDER",
        "the venue answered for another order",
        where=f"{venue} {client_id}"[:120],
        observed=observed[:120],
        allowed="id, instrument and side as sent",
        not_done="nothing was concluded from it",
    )


def wire_number(value: Decimal) -> float | None:
    """The JSON number that says exactly this; None where none does (more than 15 digits)."""
    number = float(value)
    return number if Decimal(repr(number)) == value else None
