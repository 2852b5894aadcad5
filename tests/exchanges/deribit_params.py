"""What a Deribit call names: parameters as JSON values or, by GET, as text, checked and typed."""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from tests.exchanges import deribit_errors as errors
from tests.exchanges import deribit_words as words
from tests.exchanges.deribit_errors import invalid
from tests.exchanges.server import Call
from tests.exchanges.words import Instrument, Reason

if TYPE_CHECKING:
    from tests.exchanges.deribit import Deribit

CURRENCIES = {"BTC": "Bitcoin", "ETH": "Ethereum", "SOL": "Solana", "USDC": "USD Coin", "USDT": "Tether USD"}


def text(call: Call, name: str, default: str | None = None) -> str:
    """A string; required where there is no default."""
    value = call.params.get(name, default)
    if value is None:
        raise invalid(name, "value required")
    if not isinstance(value, str):
        raise invalid(name, "must be a string")
    return value


def decimal(call: Call, name: str) -> Decimal | None:
    """A number, exactly as it was written; None where absent."""
    value = call.params.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        raise invalid(name, "must be a number")
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise invalid(name, "must be a number") from None
    if not number.is_finite() or abs(number.adjusted()) > 18:
        raise invalid(name, "must be a number in range")
    return number


def whole(call: Call, name: str, default: int) -> int:
    """An integer."""
    value = decimal(call, name)
    return default if value is None else int(value)


def flag(call: Call, name: str, default: bool = False) -> bool:
    """true or false, as JSON or as text."""
    value = call.params.get(name, default)
    if isinstance(value, str):
        if value not in ("true", "false"):
            raise invalid(name, "must be a boolean")
        return value == "true"
    return bool(value)


def instrument(d: Deribit, call: Call) -> Instrument:
    """The instrument a call names."""
    found = d.exchange.instruments.get(text(call, "instrument_name"))
    if found is None:
        raise errors.refused(Reason.UNKNOWN_INSTRUMENT)
    return found


def currency(call: Call, *, required: bool = False) -> str:
    """A currency, or "any"."""
    value = text(call, "currency", None if required else "any")
    if value != "any" and value not in CURRENCIES:
        raise invalid("currency", "wrong format")
    return value


def covers(wanted: str, kind: str, i: Instrument) -> bool:
    return wanted in ("any", i.settle) and kind in ("any", words.kind_word(i))


def channels(call: Call) -> list[str]:
    """The channels a call names; a JSON list, or one in text."""
    named = call.params.get("channels")
    if isinstance(named, str):
        try:
            named = json.loads(named)
        except ValueError:
            raise invalid("channels", "must be an array of strings") from None
    if not isinstance(named, list) or not all(isinstance(c, str) for c in named):
        raise invalid("channels", "must be an array of strings")
    return named
