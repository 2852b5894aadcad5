"""The fault port from outside the process: POST /admin/VERB with a JSON object.

GET /admin/truth: the exchange's own log · calls: each request so far, [transport, operation] · channels: of
frames pushed so far that a rule could have bitten · keys: the names of the keys that are known.

fault's `match` is a glob on an operation, as `calls` tells them, or for acts on frames on a channel, as
`channels` does; "connect" is the opening of a socket. What an act does stands in `faults.Act`. Symbols are
the venue's own; on Binance and Bybit spot is `spot:BTCUSDT`, accounts of Binance are `desk` (spot),
`desk/linear`, `desk/inverse`, `desk/option`. `key` may be left out while there is one: it is "key", on
Hyperliquid the address of the wallet.

fault {act, match, skip, times, seconds, status} · clear · cut · end · dark {on} · latency {seconds}
quote {symbol, bids, asks} · trade {symbol, side, quantity, price} · index {name, price}
mark {symbol, price} · fund {symbol, rate} · settle {symbol, price} · close {symbol}
terms {symbol, tick, lot, minimum} · maintenance {on} · settling {on} · skew {seconds} · advance {seconds}
revoke {key} · scopes {key, scopes} · transfer {account, currency, amount}
outside {account, symbol, side, quantity, price, why}
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from aiohttp import web

from tests.exchanges.words import ApiKey, Side

if TYPE_CHECKING:
    from tests.exchanges.server import Host

_Verb = Callable[["Host", dict[str, Any]], None]


def _levels(rows: list[list[object]]) -> list[tuple[Decimal, Decimal]]:
    return [(Decimal(str(price)), Decimal(str(size))) for price, size in rows]


def _terms(host: Host, a: dict[str, Any]) -> None:
    instrument = host.exchange.instruments[a["symbol"]]
    if "tick" in a:
        instrument = replace(instrument, ticks=((Decimal(0), Decimal(str(a["tick"]))),))
    lot = Decimal(str(a.get("lot", instrument.lot)))
    minimum = Decimal(str(a.get("minimum", instrument.minimum)))
    host.exchange.list_instrument(replace(instrument, lot=lot, minimum=minimum))


def _fault(host: Host, a: dict[str, Any]) -> None:
    host.faults.add(a.pop("act"), a.pop("match", "*"), **a)


def _clear(host: Host, _: dict[str, Any]) -> None:
    host.faults.clear()


def _number(value: object) -> Decimal | None:
    return None if value is None else Decimal(str(value))


def _dark(host: Host, a: dict[str, Any]) -> None:
    host.faults.black_hole = bool(a["on"])


def _latency(host: Host, a: dict[str, Any]) -> None:
    host.faults.latency_s = float(a["seconds"])


def _skew(host: Host, a: dict[str, Any]) -> None:
    host.exchange.clock.skew_ns = int(float(a["seconds"]) * 1e9)


def _settling(host: Host, a: dict[str, Any]) -> None:
    host.exchange.settling = bool(a["on"])


def _key(host: Host, a: dict[str, Any]) -> ApiKey:
    if "key" in a:
        return host.exchange.keys[a["key"]]
    (only,) = host.exchange.keys.values()
    return only


def _revoke(host: Host, a: dict[str, Any]) -> None:
    _key(host, a).revoked = True


def _scopes(host: Host, a: dict[str, Any]) -> None:
    _key(host, a).scopes = tuple(a["scopes"])


def _end(host: Host, _: dict[str, Any]) -> None:
    for session in list(host.sessions.values()):
        session.end()


def _mark(host: Host, a: dict[str, Any]) -> None:
    mark = host.exchange.marks[a["symbol"]]
    host.exchange.set_mark(a["symbol"], replace(mark, price=Decimal(str(a["price"]))))


def _outside(host: Host, a: dict[str, Any]) -> None:
    host.exchange.outside(
        a["account"],
        a["symbol"],
        Side(a["side"]),
        Decimal(str(a["quantity"])),
        Decimal(str(a["price"])),
        a["why"],
    )


def _trade(host: Host, a: dict[str, Any]) -> None:
    side, quantity = Side(a["side"]), Decimal(str(a["quantity"]))
    host.exchange.trade(a["symbol"], side, quantity, _number(a.get("price")))


_VERBS: dict[str, _Verb] = {
    "fault": _fault,
    "clear": _clear,
    "cut": lambda h, _: h.cut_sessions(),
    "end": _end,
    "dark": _dark,
    "latency": _latency,
    "quote": lambda h, a: h.exchange.quote(a["symbol"], _levels(a["bids"]), _levels(a["asks"])),
    "trade": _trade,
    "index": lambda h, a: h.exchange.set_index(a["name"], Decimal(str(a["price"]))),
    "mark": _mark,
    "fund": lambda h, a: h.exchange.fund(a["symbol"], Decimal(str(a["rate"]))),
    "settle": lambda h, a: h.exchange.settle(a["symbol"], Decimal(str(a["price"]))),
    "close": lambda h, a: h.exchange.close_instrument(a["symbol"]),
    "terms": _terms,
    "maintenance": lambda h, a: h.exchange.maintain(bool(a["on"])),
    "settling": _settling,
    "skew": _skew,
    "advance": lambda h, a: h.exchange.clock.advance(float(a["seconds"])),
    "revoke": _revoke,
    "scopes": _scopes,
    "transfer": lambda h, a: h.exchange.transfer(a["account"], a["currency"], Decimal(str(a["amount"]))),
    "outside": _outside,
}


async def administer(host: Host, request: web.BaseRequest) -> web.Response:
    """Answer one request to the fault port."""
    verb = request.path.removeprefix("/admin/")
    if verb == "truth":
        return web.json_response(host.exchange.truth.rows)
    if verb == "calls":
        return web.json_response(host.calls)
    if verb == "channels":
        return web.json_response(sorted(host.faults.channels))
    if verb == "keys":
        return web.json_response(list(host.exchange.keys))
    if verb not in _VERBS:
        return web.json_response({"error": f"no such verb: {verb}", "verbs": sorted(_VERBS)}, status=404)
    try:
        _VERBS[verb](host, json.loads(await request.text() or "{}"))
    except (KeyError, ValueError, ArithmeticError, TypeError) as error:
        return web.json_response({"error": f"{type(error).__name__}: {error}"}, status=400)
    return web.json_response({"done": verb})
