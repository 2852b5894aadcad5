"""Deribit's errors: codes, messages and data, and which of them each of the core's reasons is.

Codes are the documented ones; that a price off the tick comes as -32602 with a reason, and a second cancel as
11044, is recorded behaviour.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.exchanges.words import Reason


@dataclass(frozen=True, slots=True)
class Error:
    """A JSON-RPC error. status: of HTTP."""

    code: int
    message: str
    data: dict[str, Any] | None = None
    status: int = 400

    @property
    def body(self) -> dict[str, Any]:
        """The `error` object."""
        bare: dict[str, Any] = {"code": self.code, "message": self.message}
        return bare if self.data is None else {**bare, "data": self.data}


class Wrong(Exception):
    """A call that is answered with an error."""

    def __init__(self, error: Error) -> None:
        super().__init__(error.message)
        self.error = error


def invalid(param: str, reason: str) -> Wrong:
    """What Deribit says of a parameter it cannot take."""
    return Wrong(_invalid(param, reason))


def _invalid(param: str, reason: str) -> Error:
    return Error(-32602, "Invalid params", {"reason": reason, "param": param})


UNAUTHORIZED = Error(13009, "unauthorized", {"reason": "invalid_token", "param": "token"}, 401)
BAD_KEY = Error(13004, "invalid_credentials")
FORBIDDEN = Error(13021, "forbidden", None, 403)
TOO_MANY = Error(10028, "too_many_requests", None, 429)
INTERNAL = Error(11094, "internal_server_error", None, 500)
WS_ONLY = Error(10030, "must_be_websocket_request")
NOT_FOUND = Error(10004, "order_not_found")
NOT_PARSED = Error(-32700, "Parse error")
NO_METHOD = Error(-32601, "Method not found")
NOT_DONE = Error(10033, "not_implemented")
NO_RAW = Error(13778, "raw_subscriptions_not_available_for_unauthorized")

_REFUSED = {
    Reason.UNKNOWN_INSTRUMENT: Error(13020, "not_found"),
    Reason.NOT_TRADING: Error(13019, "orderbook_closed"),
    Reason.BAD_TICK: _invalid("price", "must conform to tick size"),
    Reason.BAD_LOT: _invalid("amount", "must be a multiple of contract size"),
    Reason.TOO_SMALL: _invalid("amount", "must be a multiple of the minimum order size"),
    Reason.BAD_PRICE: _invalid("price", "must be a positive number"),
    Reason.PRICE_TOO_HIGH: Error(10007, "price_too_high"),
    Reason.PRICE_TOO_LOW: Error(10005, "price_too_low"),
    Reason.NO_FUNDS: Error(10009, "not_enough_funds"),
    Reason.WOULD_TAKE: Error(11054, "post_only_reject"),
    Reason.NOT_REDUCING: Error(
        11030, "other_reject", {"reason": "reduce_only_order_would_increase_position"}
    ),
    Reason.NOT_FOUND: NOT_FOUND,
    Reason.ALREADY_CLOSED: Error(11044, "not_open_order"),
    Reason.TOO_MANY_ORDERS: Error(10013, "pme_max_total_open_orders"),
    Reason.MAINTENANCE: Error(11051, "system_maintenance", None, 503),
    Reason.SETTLING: Error(10041, "settlement_in_progress"),
}


def refused(reason: Reason) -> Wrong:
    """The error for one of the core's reasons."""
    return Wrong(_REFUSED[reason])
