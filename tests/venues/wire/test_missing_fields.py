"""Every field of every message left out, one at a time: what it fed is refused or unknown, never made up.

A field is read where nonsense in its place is noticed. Left out, such a field must be refused, or leave None
or NaN where its value stood. The few that may be missing all the same stand in a table, each with the reason:
what they say otherwise is not a figure, and their absence is what a venue means by it.
"""

from __future__ import annotations

import copy
import dataclasses
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

import pytest

from pricing.contracts import Listing
from tests import builders
from tests.venues.wire import corpus
from tests.venues.wire.overheard import overheard
from venues.errors import Untrusted

Path = tuple[str | int, ...]
#: In place of a field that is read: no reader of it overlooks both.
NONSENSE: tuple[Any, ...] = ([["?"]], "?")
#: Of a shape of message, and of the rows of a list.
_SAMPLES, _ROWS = 3, 2

_WORDS = "words for people and logs; the code or the state decides"
_ROUTE = "says what a message is: one of nothing that is known holds nothing, and the account is asked"
_OTHERS = "orders without an id of ours are somebody else's, and carry none"
_ONE_OF_TWO = "the same is told by another field of the messages that do not have it"
_NAMED = "checked against the name where it stands; the name says it, too"
_MARKET = "a market order has no price: NaN, or none"
_HINT = "an order's news may tell of no execution; those are asked for with the account"
#: What may be missing, by venue, reader and field, and why.
OPTIONAL: dict[tuple[str, str, str], str] = {
    ("deribit", "instruments", "base_currency"): _NAMED,
    ("deribit", "instruments", "instrument_type"): _NAMED,
    ("deribit", "instruments", "kind"): _NAMED,
    ("deribit", "instruments", "settlement_currency"): _NAMED,
    ("deribit", "instruments", "tick_size_steps"): "where one tick holds at every price there are none",
    ("deribit", "book", "prev_change_id"): "a snapshot follows nothing, whatever it says",
    ("deribit", "ticker", "state"): "whether it is open is not told: nothing is traded there",
    ("deribit", "order_update", "price"): _MARKET,
    ("deribit", "order_update", "label"): _OTHERS,
    ("deribit", "order_report", "label"): _OTHERS,
    ("deribit", "trade", "label"): _OTHERS,
    ("deribit", "order_update", "cancel_reason"): "of cancelled orders alone; either way it has ended",
    ("deribit", "order_report", "cancel_reason"): "of cancelled orders alone; either way it has ended",
    ("deribit", "order_report", "filled_amount"): "an order that waits for its trigger has none",
    ("deribit", "margins", "margin_model"): "positions count then as margined together, which needs more",
    ("okx", "bills", "instId"): "a payment in money alone is of no instrument",
    ("okx", "bills", "px"): "a payment in money alone has no price",
    ("okx", "order_update", "cancelSource"): _WORDS,
    ("okx", "order_report", "cancelSource"): _WORDS,
    ("okx", "order_report", "px"): _MARKET,
    ("okx", "order_update", "px"): _MARKET,
    ("okx", "read", "px"): _MARKET,
    ("okx", "read", "cancelSource"): _WORDS,
    ("okx", "read", "arg"): _ROUTE,
    ("okx", "read", "channel"): _ROUTE,
    ("okx", "read", "data"): _ROUTE,
    ("okx", "read", "idxPx"): "no index is told then",
    ("okx", "read", "tradeId"): _HINT,
    ("okx", "read", "fillSz"): _HINT,
    ("okx", "read", "fillFee"): _ONE_OF_TWO,
    ("okx", "read", "fee"): _HINT,
    ("bybit", "balances", "spotBorrow"): "older answers have none; then nothing may be borrowed",
    ("bybit", "error_of", "retMsg"): _WORDS,
    ("bybit", "order_report", "price"): _MARKET,
    ("bybit", "order_update", "price"): _MARKET,
    ("bybit", "read", "price"): _MARKET,
    ("bybit", "read", "fundingRate"): "dated futures have none: NaN",
    ("bybit", "read", "fundingIntervalHour"): "dated futures have none: NaN",
    ("bybit", "order_report", "rejectReason"): _WORDS,
    ("bybit", "order_update", "rejectReason"): _WORDS,
    ("bybit", "execution", "feeCurrency"): "told of spot alone; the venue documents what else is paid in",
    ("bybit", "read", "feeCurrency"): "told of spot alone; the venue documents what else is paid in",
    ("bybit", "read", "rejectReason"): _WORDS,
    ("bybit", "read", "topic"): _ROUTE,
    ("bybit", "read", "success"): _ROUTE,
    ("bybit", "read", "retCode"): _ROUTE,
    ("bybit", "read", "retMsg"): _WORDS,
    ("bybit", "read", "ret_msg"): _WORDS,
    ("bybit", "read", "bidPrice"): "there is no bid: NaN, as where the venue writes 0",
    ("bybit", "read", "bidSize"): "there is no bid: NaN, as where the venue writes 0",
    ("binance", "instruments", "status"): "of options alone, whose list is documented without one",
    ("binance", "depth", "T"): "of spot the answer has no stamp: it is as old as the question",
    (
        "binance",
        "order_report",
        "origClientOrderId",
    ): "of the answer to a cancel alone, which names itself, too",
    ("binance", "public_trade", "a"): _ONE_OF_TWO,
    ("binance", "order_update", "r"): _WORDS,
    ("binance", "read", "T"): "of spot there is `E` alone, the stamp of the message",
    ("binance", "read", "e"): _ROUTE,
    ("binance", "read", "event"): _ROUTE,
    ("binance", "read", "pu"): _ONE_OF_TWO,
    ("binance", "read", "r"): _WORDS + "; of a mark, the funding rate, unknown then: NaN",
    ("hyperliquid", "execution", "cloid"): _OTHERS,
    ("hyperliquid", "order_report", "cloid"): _OTHERS,
    ("hyperliquid", "order_update", "cloid"): _OTHERS,
    ("hyperliquid", "read", "cloid"): _OTHERS,
    ("hyperliquid", "read", "channel"): _ROUTE,
    ("hyperliquid", "read", "data"): _ROUTE,
    ("hyperliquid", "read", "fills"): "news of `user` is of other things as well, which have none",
}


def _dicts(message: Any) -> Iterator[Any]:
    """A message and everything inside it that a reader may be given."""
    yield message
    inner = message.values() if isinstance(message, dict) else message if isinstance(message, list) else ()
    for value in list(inner)[:80]:
        if isinstance(value, dict | list) and value:
            yield from _dicts(value)


def _short(message: Any) -> Any:
    """The same with the first rows alone of every list of objects."""
    if isinstance(message, dict):
        return {key: _short(value) for key, value in message.items()}
    if isinstance(message, list):
        rows = message[:_ROWS] if message and isinstance(message[0], dict) else message
        return [_short(x) for x in rows]
    return message


def _shape(message: Any) -> Any:
    if isinstance(message, dict):
        return tuple(sorted((key, _shape(value)) for key, value in message.items()))
    if isinstance(message, list):
        return ("list", _shape(message[0]) if message else ())
    return "" if message in (None, "") else "x"


def _fields(message: Any, path: Path = ()) -> Iterator[Path]:
    if isinstance(message, dict):
        for key, value in message.items():
            yield (*path, key)
            yield from _fields(value, (*path, key))
    elif isinstance(message, list):
        for i, value in enumerate(message[:_ROWS]):
            yield from _fields(value, (*path, i))


def _changed(message: Any, path: Path, *value: Any) -> Any:
    """A copy with another value at a path; without one it is left out."""
    found = copy.copy(message)
    at = found
    for step in path[:-1]:  # what lies beside the path is shared: readers change nothing
        at[step] = copy.copy(at[step])
        at = at[step]
    if value:
        at[path[-1]] = value[0]
    else:
        del at[path[-1]]
    return found


class Anything(dict[str, Listing]):
    """Recorded executions are of whatever was listed then: each name is a listing."""

    def __init__(self, like: Listing) -> None:
        self._like = like

    def get(self, key: str, default: Any = None) -> Any:
        return dataclasses.replace(self._like, symbol=key)


REFUSED = "refused"


def _leaves(value: Any, at: str = "") -> Iterator[tuple[str, Any]]:
    """What a reader found, flat; unknown is None."""
    if value is None or type(value) in (str, int, bool):  # most are
        yield at, value
    elif isinstance(value, Listing) and at:
        yield at, value.symbol
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for spot in dataclasses.fields(value):
            yield from _leaves(getattr(value, spot.name), f"{at}.{spot.name}")
    elif isinstance(value, tuple) and hasattr(value, "_fields"):
        for name in value._fields:
            yield from _leaves(getattr(value, name), f"{at}.{name}")
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, f"{at}.{key}")
    elif isinstance(value, list | tuple):
        for i, inner in enumerate(value):
            yield from _leaves(inner, f"{at}[{i}]")
    elif isinstance(value, float | Decimal) and math.isnan(value):
        yield at, None
    else:
        yield at, value


def _outcome(read: corpus.Reader, message: Any) -> dict[str, Any] | str:
    try:
        found = read(message)
    except Untrusted:
        return REFUSED
    if getattr(found, "unread", None) or (hasattr(found, "listings") and getattr(found, "refused", None)):
        return REFUSED
    return dict(_leaves(found))


def _made_up(read: corpus.Reader, message: Any) -> Iterator[tuple[str, str]]:
    """(field, what) of each field that is read and may be missing without that what it fed is unknown."""
    whole = _outcome(read, message)
    if isinstance(whole, str) or not whole or all(x in (None, "") for x in whole.values()):
        return
    for path in _fields(message):
        left = _outcome(read, _changed(message, path))
        if isinstance(left, str):
            continue
        if left == whole:
            if any(_outcome(read, _changed(message, path, x)) != whole for x in NONSENSE):
                yield str(path[-1]), "as if it stood there"
            continue
        for key in {*whole, *left}:
            if key not in left:
                yield str(path[-1]), f"{key} is gone"
            elif left[key] is not None and left[key] != whole.get(key) and not key.endswith(".told"):
                yield str(path[-1]), f"{key}: {left[key]!r}"


def _all_made_up(
    readers: Mapping[str, corpus.Reader], messages: Iterable[tuple[str, Any]]
) -> tuple[dict[tuple[str, str], str], set[str]]:
    """What is made up by (reader, field), with where and how; and which readers could read something."""
    found: dict[tuple[str, str], str] = {}
    reads: set[str] = set()
    seen: Counter[Any] = Counter()
    for name, message in messages:
        for part in _dicts(_short(message)):
            for reader, read in readers.items():
                kind = reader, _shape(part)
                if seen[kind] == _SAMPLES or _outcome(read, part) in (REFUSED, {}):
                    continue
                seen[kind] += 1
                reads.add(reader)
                for key, what in _made_up(read, part):
                    found.setdefault((reader.partition(" ")[0], key), f"{name[:60]}: {what}")
    return found, reads


def _check(venue: str, listings: Mapping[str, Listing], messages: Iterable[tuple[str, Any]]) -> set[str]:
    family = "binance" if venue.startswith("binance") else venue
    readers = corpus.readers(listings, corpus.some_fees)[family]
    found, reads = _all_made_up(readers, messages)
    strange = {key: what for key, what in found.items() if (family, *key) not in OPTIONAL}
    assert not strange, strange
    return reads


#: What an adapter that trades must have been told of.
_ACCOUNT = {
    "deribit": {"order_update", "order_report", "trade", "positions", "balances", "instruments",
                "margins"},
    "okx": {"order_update", "order_report", "execution", "positions", "balances account", "instruments",
            "margins"},
    "bybit": {"order_update", "order_report", "execution", "positions", "balances wallet", "margins"},
    "hyperliquid": {"order_update", "order_report", "execution", "positions", "balances", "instruments",
                    "margins"},
    "binance": {"order_report", "order_update", "execution", "option_execution", "option_trades",
                "option_positions", "option_balances", "spot_balances", "margins options",
                "cash", "instruments binance"},
    "binanceusdm": {"order_report", "order_update", "execution", "trade_of_order", "positions",
                    "futures_balances", "margins futures", "margins pooled", "instruments binanceusdm"},
    "binancecoinm": {"order_report", "order_update", "execution", "trade_of_order", "positions",
                     "futures_balances", "margins futures", "instruments binancecoinm"},
}  # fmt: skip


@pytest.mark.parametrize("venue", list(_ACCOUNT))
def test_a_field_missing_from_what_an_exchange_says_is_refused_or_unknown(venue: str) -> None:
    heard = overheard(venue)
    assert _ACCOUNT[venue] <= _check(venue, heard.listings, heard.messages)


@pytest.mark.parametrize("venue", list(corpus.READERS))
def test_a_field_missing_from_a_recorded_message_is_refused_or_unknown(venue: str) -> None:
    like = builders.listing(builders.perpetual(inverse=False), "BTCUSDT")
    assert _check(venue, Anything(like), corpus.recorded(venue))
