"""Bybit on loopback, v5: REST and WebSocket with verified signatures, on the matching core.

    async with serve(bybit()[0]) as host: ...            in a test
    python -m tests.exchanges.bybit --port 0             from a shell; prints its port

REST under /v5; sockets /v5/public/{spot,linear,inverse,option}, /v5/private, /v5/trade. An order is
acknowledged by its ids alone; a repeated orderLinkId is 110072 for good. The dead man's switch (DCP) bites
where a connection that subscribed to a `dcp` topic is lost and none returns within the window: a process that
hangs with its sockets open is not caught by it.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from tests.exchanges import bybit_words as words
from tests.exchanges.bybit_rest import PRIVATE, PUBLIC, TRADING, batch
from tests.exchanges.bybit_streams import DCP_TOPICS, Streams, channel_of
from tests.exchanges.cex import Said, founded, parsed, run_shell, written
from tests.exchanges.clock import NS, Clock
from tests.exchanges.core import Exchange
from tests.exchanges.server import Answer, Call, Session, Trouble
from tests.exchanges.truth import Truth
from tests.exchanges.words import (
    ApiKey,
    Order,
)
from tests.exchanges.world import World

LIMITS: dict[str, tuple[int, float]] = {
    "order/create": (20, 1.0),
    "order/cancel": (20, 1.0),
    "order/amend": (20, 1.0),
    "order/cancel-all": (20, 1.0),
    "order/realtime": (50, 1.0),
    "position/list": (50, 1.0),
    "account/wallet-balance": (50, 1.0),
}
_BATCHES = {f"order/{w}-batch": w for w in ("create", "cancel", "amend")}
_DCP = "order/disconnected-cancel-all"
_PRODUCTS = {"DERIVATIVES": ("linear", "inverse"), "OPTIONS": ("option",), "SPOT": ("spot",)}

_TROUBLE = {
    Trouble.RATE: Said(10006, "Too many visits. Exceeded the API Rate Limit."),
    Trouble.BANNED: Said(10018, "Exceeded the IP Rate Limit.", 403),  # 10006 is of the account, and a 200
    Trouble.INTERNAL: Said(10016, "Internal system error", 500),
    Trouble.UNAUTHORIZED: Said(10003, "API key is invalid.", 401),
    Trouble.UNKNOWN_ORDER: Said(110001, "order not exists or too late to cancel"),
}


class Bybit(Streams):
    """The dialect."""

    def __init__(self, exchange: Exchange, *, limits: Mapping[str, tuple[int, float]] | None = None) -> None:
        super().__init__(exchange, LIMITS if limits is None else limits)
        self._windows_s: dict[tuple[str, str], int] = {}

    # ---- reading

    def read_http(self, call: Call) -> Call:
        """GET with a query, POST with a JSON object."""
        call.operation = call.path.removeprefix("/v5/")
        call.params = dict(parse_qsl(call.query, keep_blank_values=True))
        if call.verb == "POST":
            body = parsed(call.body or b"{}")
            call.params = body if isinstance(body, dict) else {}
            if not isinstance(body, dict):
                call.note["wrong"] = Said(10001, "Request parameter error.")
        return call

    def read_frame(self, session: Session, text: str) -> Call | None:
        """An object with an `op`; pings are answered at once."""
        body = parsed(text)
        if not isinstance(body, dict) or not isinstance(body.get("op"), str):
            call = Call("unreadable", {}, "WS")
            call.note["wrong"] = Said(10001, "error:invalid op")
            return call
        if body["op"] == "ping":
            session.reply(written(self._pong(session, body.get("req_id"))))
            return None
        call_id = body.get("reqId", body.get("req_id"))
        name = body["op"].replace("order.", "order/") if session.path == "/v5/trade" else body["op"]
        return Call(name, body, "WS", call_id=call_id)

    def _pong(self, session: Session, req_id: Any) -> dict[str, Any]:
        conn = {"conn_id": f"loopback-{session.number}"}
        if "public" in session.path:
            return {"success": True, "ret_msg": "pong", **conn, "req_id": req_id or "", "op": "ping"}
        return {"req_id": req_id or "", "op": "pong", "args": [str(self.exchange.clock.now_ms())], **conn}

    # ---- performing

    def perform(self, call: Call) -> Answer | None:
        """The request, once its key and rate are in order."""
        return self.guarded(self._act, call, Said(10001, "Request parameter error."))

    def _act(self, call: Call) -> Answer | None:
        if "wrong" in call.note:
            raise call.note["wrong"]
        return self._frame(call) if call.session is not None else self._request(call)

    def _request(self, call: Call) -> Answer:
        name = call.operation
        if name in PUBLIC:
            return Answer(PUBLIC[name](self.exchange, call.params))
        trading = name in TRADING or name in _BATCHES or name == _DCP
        if not trading and name not in PRIVATE:
            raise Said(404, "Not Found", 404)
        text = call.query if call.verb == "GET" else call.body.decode()
        key = self._signed(call.headers, text)
        if not trading:
            self._pace(key.account, name)
            return Answer(PRIVATE[name](self.exchange, key, call.params))
        return self._trade(key, name, call)

    def _trade(self, key: ApiKey, name: str, call: Call) -> Answer:
        if "trade" not in key.scopes:
            raise Said(10005, "Permission denied, please check your API key permissions.")
        self._pace(key.account, name)
        params = call.params["args"][0] if call.session is not None else call.params
        if name == _DCP:
            return Answer(self._arm(key.account, params))
        if name in _BATCHES:
            result, call.note["ext"] = batch(self.exchange, key.account, params, _BATCHES[name])
            return Answer(result)
        return Answer(TRADING[name](self.exchange, key.account, params))

    def _pace(self, account: str, name: str) -> None:
        if not self.windows.take(account, name, self.exchange.steady_ns):
            raise _TROUBLE[Trouble.RATE]

    def _signed(self, headers: Mapping[str, str], text: str) -> ApiKey:
        """Whose request it is. Signed is stamp + key + window + query or body."""
        key = self.key_of(headers.get("x-bapi-api-key", ""))
        if key is None:
            raise Said(10003, "API key is invalid.", 401)
        stamp, window = headers.get("x-bapi-timestamp", ""), headers.get("x-bapi-recv-window", "5000")
        now = self.exchange.clock.now_ms()
        if not stamp.isdigit() or not window.isdigit() or not now - int(window) <= int(stamp) < now + 1000:
            said = "invalid request, please check your server timestamp or recv_window param. "
            said += f"req_timestamp[{stamp}],server_timestamp[{now}],recv_window[{window}]"
            raise Said(10002, said)
        if not _same(key.secret, stamp + key.key + window + text, headers.get("x-bapi-sign", "")):
            raise Said(10004, "Error sign, please check your signature generation algorithm.")
        return key

    # ---- the dead man's switch

    def _arm(self, account: str, params: dict[str, Any]) -> dict[str, Any]:
        product, seconds = str(params.get("product") or "OPTIONS"), int(params.get("timeWindow") or 0)
        if product not in _PRODUCTS or not 3 <= seconds <= 300:
            raise Said(10001, "Request parameter error.")
        self._windows_s[account, product] = seconds
        return {}

    def closed(self, session: Session) -> None:
        """The last connection with a product's `dcp` topic starts its window."""
        account = str(session.state.get("account"))
        lost = [t for t in DCP_TOPICS if session.number in self._feeds.get(t, {})]
        super().closed(session)
        for topic in lost:
            product = DCP_TOPICS[topic]
            if not self.feeds(topic, account=account) and (account, product) in self._windows_s:
                seconds = self._windows_s[account, product]
                self._due[account, product] = self.exchange.now_ns + seconds * NS

    def pass_time(self) -> None:
        """Windows that have passed."""
        super().pass_time()
        now = self.exchange.now_ns
        for (account, product), due in list(self._due.items()):
            if now >= due:
                del self._due[account, product]
                self.exchange.truth.note(now, "countdown fired", account=account, name=product)
                of = _PRODUCTS[product]
                self.exchange.cancel_all(account, lambda o, of=of: _in(o, of), "countdown")  # type: ignore[misc]

    # ---- performing what came by a socket

    def _frame(self, call: Call) -> Answer | None:
        session = call.session
        assert session is not None
        op, args = call.params["op"], call.params.get("args") or []
        if op == "auth":
            return self._login(session, args)
        if session.path == "/v5/trade":
            if "key" not in session.state:
                raise Said(10003, "please auth first")
            if call.operation not in TRADING and call.operation not in _BATCHES:
                raise Said(10001, f"error:invalid op {op}")
            return self._trade(session.state["key"], call.operation, call)
        if op not in ("subscribe", "unsubscribe"):
            raise Said(10001, f"error:invalid op {op}")
        wrong = [str(topic) for topic in args if not self.known(session, str(topic))]
        by_topic = (
            session.path == "/v5/public/option"
        )  # its answers tell of each topic, others of the request
        if wrong and not by_topic:
            raise Said(10001, f"error:handler not found,topic:{wrong[0]}")
        for topic in [topic for topic in args if str(topic) not in wrong]:
            if op == "subscribe":
                self.begin(session, str(topic))
            else:
                self.unsubscribe(session, channel_of(session, str(topic)))
        if by_topic:
            told = {"failTopics": wrong, "successTopics": [str(x) for x in args if str(x) not in wrong]}
            return Answer({"success": not wrong, "data": told, "type": "COMMAND_RESP"})
        return Answer({"success": True, "ret_msg": "", "op": op})

    def _login(self, session: Session, args: list[Any]) -> Answer:
        name, expires, sign = (str(a) for a in (*args, "", "", "")[:3])
        key = self.key_of(name)
        fresh = expires.isdigit() and int(expires) > self.exchange.clock.now_ms()
        if key is None or not fresh or not _same(key.secret, "GET/realtime" + expires, sign):
            raise Said(10004 if key else 10003, "error:USVC1111" if key else "API key is invalid.")
        session.state |= {"account": key.account, "key": key}
        if session.path == "/v5/trade":
            return Answer({"retCode": 0, "retMsg": "OK", "op": "auth"})
        return Answer({"success": True, "ret_msg": "", "op": "auth"})

    # ---- writing

    def write(self, call: Call, answer: Answer) -> str:
        """The envelope of REST, or one of the three of sockets."""
        if call.session is not None:
            return self._write_frame(call, call.session, answer)
        said = answer.error
        told = {"retCode": said.code, "retMsg": said.text} if said else {"retCode": 0, "retMsg": "OK"}
        ext = call.note.get("ext", {})
        now = self.exchange.clock.now_ms()
        return written({**told, "result": answer.payload or {}, "retExtInfo": ext, "time": now})

    def _write_frame(self, call: Call, session: Session, answer: Answer) -> str:
        conn, said = f"loopback-{session.number}", answer.error
        if session.path == "/v5/trade":
            if call.operation == "auth" and not said:
                return written({**answer.payload, "connId": conn})
            told = {"retCode": said.code, "retMsg": said.text} if said else {"retCode": 0, "retMsg": "OK"}
            frame = {
                "reqId": str(call.call_id or ""),
                **told,
                "op": call.params.get("op", ""),
                "connId": conn,
            }
            return written(
                {**frame, "data": answer.payload, "retExtInfo": call.note.get("ext", {}), "header": {}}
            )
        if answer.payload and answer.payload.get("type") == "COMMAND_RESP":
            return written({**answer.payload, "conn_id": conn})
        req = {"req_id": str(call.call_id)} if call.call_id is not None else {}
        if said and self.exchange.modes.get("bare"):  # as some refusals come: of what, it does not say
            return written({"success": False, "ret_msg": said.text, "conn_id": conn})
        if said:
            op = call.params.get("op", "")
            return written({"success": False, "ret_msg": said.text, "conn_id": conn, **req, "op": op})
        return written({**answer.payload, "conn_id": conn, **req})

    def trouble(self, call: Call, what: str) -> Answer:
        """Bybit's words for a fault."""
        return Answer({}, _TROUBLE[what], _TROUBLE[what].status)


def _same(secret: str, text: str, signature: str) -> bool:
    mine = hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    return hmac.compare_digest(mine, signature)


def _in(order: Order, categories: tuple[str, ...]) -> bool:
    return words.category(order.instrument) in categories


def bybit(
    *,
    clock: Clock | None = None,
    truth: Truth | None = None,
    seed: int = 7,
    key: ApiKey | None = None,
    **terms: Any,
) -> tuple[Bybit, World]:
    """A Bybit in small with its market and one funded account. terms: of `Bybit`."""
    key = key or ApiKey("key", "secret", "desk")
    exchange, world = founded(words.listing, key, clock, truth, seed)
    return Bybit(exchange, **terms), world


if __name__ == "__main__":
    run_shell("Bybit", bybit)
