"""Binance on loopback: spot, USD-M, COIN-M and options by REST and WebSocket, signatures verified.

    async with serve(binance()[0]) as host: ...          in a test
    python -m tests.exchanges.binance --port 0           from a shell; prints its port

REST under /api/v3, /fapi/v1-3, /dapi/v1-2, /eapi/v1, /sapi/v1. Sockets: any path that names its product
(spot, fstream, dstream, option) with streams subscribed by message or by `?streams=`; account streams by
listen key in path or query; orders over /ws-api, /ws-fapi, /ws-dapi. A client id may repeat unless the first
order is still open. Countdowns cancel by symbol (options: by underlying).
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

from tests.exchanges import binance_words as words
from tests.exchanges.binance_rest import PREFIXES, PRIVATE, PUBLIC, coins, is_option, missing, restrictions
from tests.exchanges.binance_streams import Streams
from tests.exchanges.cex import Said, parsed, run_shell, written
from tests.exchanges.clock import MS, Clock
from tests.exchanges.core import Exchange
from tests.exchanges.server import Answer, Call, Session, Trouble
from tests.exchanges.truth import Truth
from tests.exchanges.words import ApiKey, DuplicateRule
from tests.exchanges.world import World

LIMITS: dict[str, tuple[int, float]] = {
    "POST api/order": (100, 10.0),
    "POST fapi/order": (300, 10.0),
    "POST dapi/order": (300, 10.0),
    "POST eapi/order": (100, 10.0),
}
_SOCKET_APIS = {"/ws-api/": "api", "/ws-fapi/": "fapi", "/ws-dapi/": "dapi"}
_SOCKET_METHODS = {
    "order.place": "POST",
    "order.cancel": "DELETE",
    "order.status": "GET",
    "order.modify": "PUT",
}
_LISTEN = ("listenKey", "userDataStream")

_TROUBLE = {
    Trouble.RATE: Said(-1003, "Too many requests; current limit is 2400 requests per minute.", 429),
    Trouble.BANNED: Said(-1003, "Way too much request weight used; IP banned until 1577836800000.", 418),
    Trouble.INTERNAL: Said(-1000, "An unknown error occurred while processing the request.", 500),
    Trouble.UNAUTHORIZED: Said(-2015, "Invalid API-key, IP, or permissions for action.", 401),
    Trouble.UNKNOWN_ORDER: Said(-2013, "Order does not exist.", 400),
}


class Binance(Streams):
    """The dialect."""

    def __init__(self, exchange: Exchange, *, limits: Mapping[str, tuple[int, float]] | None = None) -> None:
        super().__init__(exchange, LIMITS if limits is None else limits)
        self._listen: dict[str, tuple[str, str]] = {}  # listen key -> account, product
        self._countdowns: dict[tuple[str, str, str], tuple[int, int]] = {}  # -> due ns, period ns

    # ---- reading

    def read_http(self, call: Call) -> Call:
        """Parameters in the query, of POST and PUT in a form; the operation names verb and product."""
        prefix, _, rest = call.path.strip("/").partition("/")
        call.operation = f"{call.verb} {prefix}/{rest.partition('/')[2]}"
        call.params = dict(parse_qsl(call.query + "&" + call.body.decode(), keep_blank_values=True))
        return call

    def read_frame(self, session: Session, text: str) -> Call | None:
        """An object with `method`."""
        body = parsed(text)
        if not isinstance(body, dict) or not isinstance(body.get("method"), str):
            call = Call("unreadable", {}, "WS")
            call.note["wrong"] = Said(-1, "Invalid JSON", 400)
            return call
        method, prefix = body["method"], _socket_api(session)
        name = f"{_SOCKET_METHODS[method]} {prefix}/order" if method in _SOCKET_METHODS else method
        return Call(
            name, {"method": method, "params": body.get("params") or {}}, "WS", call_id=body.get("id")
        )

    # ---- performing

    def perform(self, call: Call) -> Answer | None:
        """The request, once its key and rate are in order."""
        return self.guarded(self._act, call, Said(-1100, "Illegal characters found in a parameter.", 400))

    def _act(self, call: Call) -> Answer | None:
        if "wrong" in call.note:
            raise call.note["wrong"]
        return self._frame(call, call.session) if call.session is not None else self._request(call)

    def _request(self, call: Call) -> Answer:
        verb, _, path = call.operation.partition(" ")
        prefix, _, name = path.partition("/")
        of = PREFIXES.get(prefix)
        if of is None:
            raise Said(-1, "Not Found", 404)
        if of != "sapi" and f"{verb} {name}" in PUBLIC:
            return Answer(PUBLIC[f"{verb} {name}"](self.exchange, of, call.params))
        if name in _LISTEN:
            return Answer(self._listen_key(call, verb, of))
        raw = call.query + ("&" if call.query and call.body else "") + call.body.decode()
        key = self._signed(call.headers.get("x-mbx-apikey", ""), raw, call.params)
        return Answer(self._private(key, verb, prefix, name, call.params))

    def _private(self, key: ApiKey, verb: str, prefix: str, name: str, params: dict[str, Any]) -> Any:
        of, row = PREFIXES[prefix], f"{verb} {name}"
        if of == "sapi":
            return self._sapi(key, name)
        if name in ("countdownCancelAll", "countdownCancelAllHeartBeat"):
            self._needs_trade(key)
            return self._countdown(words.wallet(key.account, of), of, name, params)
        products, trades, handler = PRIVATE.get(row, ((), False, None))
        if of not in products or handler is None:
            raise Said(-5000, f"Path /{prefix}/v1/{name}, Method {verb} is invalid", 404)
        if trades:
            self._needs_trade(key)
        if not self.windows.take(key.account, f"{verb} {prefix}/{name}", self.exchange.steady_ns):
            raise Said(-1015, "Too many new orders; current limit is 300 orders per TEN_SECONDS.", 429)
        return handler(self.exchange, of, words.wallet(key.account, of), params)

    @staticmethod
    def _needs_trade(key: ApiKey) -> None:
        if "trade" not in key.scopes:
            raise _TROUBLE[Trouble.UNAUTHORIZED]

    def _sapi(self, key: ApiKey, name: str) -> Any:
        if name == "account/apiRestrictions":
            return restrictions(key)
        if name == "bnbBurn":
            return {"spotBNBBurn": self.exchange.modes.get("spotBNBBurn", False), "interestBNBBurn": False}
        if name == "capital/config/getall":
            return coins(self.exchange, key.account)
        if name in ("margin/allPairs", "margin/isolated/allPairs"):
            return []
        raise Said(-1, "Not Found", 404)

    def _signed(self, name: str, raw: str, params: Mapping[str, Any]) -> ApiKey:
        """Whose request it is. Signed is the query and form, without the signature itself."""
        key = self.key_of(name)
        if key is None:
            raise Said(-2015, "Invalid API-key, IP, or permissions for action.", 401)
        if not params.get("timestamp"):
            raise missing("timestamp")
        text = re.sub(r"(^|&)signature=[^&]*", "", raw)
        mine = hmac.new(key.secret.encode(), text.encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(mine, str(params.get("signature", ""))):
            raise Said(-1022, "Signature for this request is not valid.", 400)
        now, sent = self.exchange.clock.now_ms(), int(params["timestamp"])
        if not now - int(params.get("recvWindow") or 5000) <= sent < now + 1000:
            raise Said(-1021, "Timestamp for this request is outside of the recvWindow.", 400)
        return key

    def _listen_key(self, call: Call, verb: str, of: str) -> Any:
        """POST makes one (or tells the present one), PUT keeps it, DELETE ends it; a key, no signature."""
        key = self.key_of(call.headers.get("x-mbx-apikey", ""))
        if key is None:
            raise Said(-2015, "Invalid API-key, IP, or permissions for action.", 401)
        mine = [k for k, owner in self._listen.items() if owner == (key.account, of)]
        if verb == "DELETE":
            for name in mine:
                del self._listen[name]
            return {}
        if verb == "PUT":
            if not mine:
                raise Said(-1125, "This listenKey does not exist.", 400)
            return {}
        if not mine:
            mine = [hashlib.sha256(f"{key.account}{of}{len(self._listen)}".encode()).hexdigest()]
            self._listen[mine[0]] = (key.account, of)
        return {"listenKey": mine[0]}

    # ---- the dead man's switch

    def _countdown(self, wallet: str, of: str, verb: str, p: dict[str, Any]) -> Any:
        """Milliseconds by symbol (options: by underlying); 0 disarms. Heartbeats restart those of options."""
        now = self.exchange.now_ns
        if verb.endswith("HeartBeat"):
            names = [
                u for u in str(p.get("underlyings", "")).split(",") if (wallet, of, u) in self._countdowns
            ]
            for name in names:
                _, period = self._countdowns[wallet, of, name]
                self._countdowns[wallet, of, name] = (now + period, period)
            return {"underlyings": names}
        name = str(p.get("underlying" if of == "option" else "symbol") or "")
        if not name or p.get("countdownTime") is None:
            raise missing("countdownTime" if name else "symbol")
        period = int(p["countdownTime"]) * MS
        if 0 < period < 5000 * MS and of == "option":
            raise Said(-1100, "Illegal parameter countdownTime.", 400)
        self._countdowns.pop((wallet, of, name), None)
        if period > 0:
            self._countdowns[wallet, of, name] = (now + period, period)
        told = {"underlying" if of == "option" else "symbol": name}
        return {**told, "countdownTime": str(p["countdownTime"])}

    def pass_time(self) -> None:
        """Countdowns that have run out."""
        super().pass_time()
        now = self.exchange.now_ns
        for (wallet, of, name), (due, _) in list(self._countdowns.items()):
            if now < due:
                continue
            del self._countdowns[wallet, of, name]
            self.exchange.truth.note(now, "countdown fired", account=wallet, name=name)
            base = name.removesuffix("USDT")
            if of == "option":
                self.exchange.cancel_all(wallet, lambda o, b=base: is_option(o, b), "countdown")  # type: ignore[misc]
            else:
                self.exchange.cancel_all(wallet, lambda o, n=name: o.symbol == n, "countdown")  # type: ignore[misc]

    # ---- sockets

    def opened(self, session: Session) -> None:
        """A path may name streams or a listen key."""
        super().opened(session)
        parts = urlsplit(session.path)
        asked = parse_qs(parts.query)
        for name in [*parts.path.split("/"), *asked.get("listenKey", ())]:
            if name in self._listen:
                session.state["account"], session.state["user"] = self._listen[name]
        session.state["combined"] = parts.path.rstrip("/").endswith("stream")
        for stream in "/".join(asked.get("streams", ())).split("/"):
            if stream and self.known(session, stream):
                self.begin(session, stream)

    def _frame(self, call: Call, session: Session) -> Answer | None:
        method, params = call.params["method"], call.params["params"]
        prefix = _socket_api(session)
        if prefix:
            return self._socket_request(call, session, prefix, method, params)
        if method not in ("SUBSCRIBE", "UNSUBSCRIBE") or not isinstance(params, list):
            raise Said(2, "Invalid request: unknown variant", 400)
        for stream in params:
            if method == "UNSUBSCRIBE":
                self.unsubscribe(session, self.channel(session, str(stream)))
            elif self.known(session, str(stream)):
                self.begin(session, str(stream))
        return Answer(None)

    def _socket_request(
        self, call: Call, session: Session, prefix: str, method: str, params: dict[str, Any]
    ) -> Answer | None:
        """Signed by the sorted parameters."""
        raw = "&".join(f"{k}={_plain(v)}" for k, v in sorted(params.items()) if k != "signature")
        key = self._signed(str(params.get("apiKey", "")), raw, params)
        if method == "userDataStream.subscribe.signature":
            session.state |= {"account": key.account, "user": "spot", "wrapped": True}
            return Answer({"subscriptionId": 0})
        if method not in _SOCKET_METHODS:
            raise Said(-1, f"Unknown method {method}", 400)
        texts = {k: _plain(v) for k, v in params.items()}
        return Answer(self._private(key, _SOCKET_METHODS[method], prefix, "order", texts))

    # ---- writing

    def write(self, call: Call, answer: Answer) -> str:
        """The bare answer; on sockets with `id` and `result` (the socket API: `status` too)."""
        said = answer.error
        if call.session is None:
            return written({"code": said.code, "msg": said.text} if said else answer.payload)
        head: dict[str, Any] = {"id": call.call_id}
        told = {"code": said.code, "msg": said.text} if said else None
        if _socket_api(call.session):
            head["status"] = said.status if said else 200
            return written({**head, "error": told} if told else {**head, "result": answer.payload})
        return written({"error": told, **head} if told else {"result": answer.payload, **head})

    def trouble(self, call: Call, what: str) -> Answer:
        """Binance's words for a fault."""
        return Answer(None, _TROUBLE[what], _TROUBLE[what].status)


def _socket_api(session: Session) -> str:
    """api, fapi or dapi where a socket takes orders; else ""."""
    return next((v for k, v in _SOCKET_APIS.items() if session.path.startswith(k)), "")


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


SPOTS = {"BTC": 60_000.0, "ETH": 2_500.0}
FUNDS = {
    "spot": (("BTC", "10"), ("ETH", "100"), ("USDT", "1000000")),
    "linear": (("USDT", "3000000"),),
    "inverse": (("BTC", "50"), ("ETH", "500")),
    "option": (("USDT", "1000000"),),
}


def binance(
    *,
    clock: Clock | None = None,
    truth: Truth | None = None,
    seed: int = 7,
    key: ApiKey | None = None,
    **terms: Any,
) -> tuple[Binance, World]:
    """A Binance in small with its market and one client, a funded wallet a product. terms: of `Binance`."""
    clock = clock or Clock()
    exchange = Exchange(
        words.listing(clock.now_ns(), SPOTS), clock=clock, truth=truth, duplicates=DuplicateRule.OPEN
    )
    world = World(exchange, SPOTS, vols={"BTC": 0.55, "ETH": 0.7}, seed=seed)
    granted = exchange.grant(key or ApiKey("key", "secret", "desk"))
    for of, funds in FUNDS.items():
        for currency, amount in funds:
            exchange.transfer(words.wallet(granted.account, of), currency, Decimal(amount))
    return Binance(exchange, **terms), world


if __name__ == "__main__":
    run_shell("Binance", binance)
