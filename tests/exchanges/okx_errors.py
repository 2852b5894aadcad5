"""OKX's refusals: a code and a sentence for each of the core's reasons, and the ones of the door itself."""

from __future__ import annotations

from tests.exchanges.cex import Said
from tests.exchanges.server import Trouble
from tests.exchanges.words import Reason

PLACING: dict[Reason, tuple[str, str]] = {
    Reason.UNKNOWN_INSTRUMENT: ("51001", "Instrument ID does not exist"),
    Reason.NOT_TRADING: ("51027", "Contract expired"),
    Reason.BAD_TICK: ("51000", "Parameter px error"),
    Reason.BAD_LOT: ("51121", "Order quantity must be a multiple of the lot size"),
    Reason.TOO_SMALL: ("51020", "Your order should meet or exceed the minimum order amount"),
    Reason.BAD_PRICE: ("51000", "Parameter px error"),
    Reason.PRICE_TOO_HIGH: ("51138", "The lowest price limit for sell orders / highest for buy orders"),
    Reason.PRICE_TOO_LOW: ("51137", "The highest price limit for buy orders"),
    Reason.NO_FUNDS: ("51008", "Order failed. Insufficient balance in account"),
    Reason.WOULD_TAKE: ("51000", "Parameter ordType error"),
    Reason.NOT_REDUCING: ("51169", "Order failed because you don't have any positions to reduce or close"),
    Reason.DUPLICATE: ("51016", "Client order ID already exists"),
    Reason.NOT_FOUND: ("51503", "Your order has already been filled, canceled or does not exist"),
    Reason.ALREADY_CLOSED: ("51503", "Your order has already been filled, canceled or does not exist"),
    Reason.TOO_MANY_ORDERS: ("51174", "The number of open orders has reached the limit"),
    Reason.MAINTENANCE: ("50001", "Service temporarily unavailable"),
    Reason.SETTLING: ("51030", "Funding fees are being settled"),
}
GONE = ("51400", "Cancellation failed as the order has been filled, canceled or does not exist")
UNKNOWN = Said("51603", "Order does not exist")

BY_TROUBLE = {
    Trouble.RATE: Said("50011", "Too Many Requests", 429),
    Trouble.BANNED: Said("50011", "Too Many Requests", 429),
    Trouble.INTERNAL: Said("50026", "System error. Try again later.", 500),
    Trouble.UNAUTHORIZED: Said("50111", "Invalid OK-ACCESS-KEY", 401),
    Trouble.UNKNOWN_ORDER: UNKNOWN,
}
#: The door of a socket has other numbers.
ON_SOCKET = {"50011": "60014", "50111": "60005", "50113": "60007", "50105": "60024", "50102": "60006"}


def missing(name: str) -> Said:
    """A parameter that must be there."""
    return Said("50014", f"Parameter {name} can not be empty.", 400)


def wrong(name: str) -> Said:
    """A parameter that cannot be read."""
    return Said("51000", f"Parameter {name} error")
