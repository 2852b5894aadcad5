"""OKX on loopback, v5: REST and WebSocket with verified signatures, on the matching core.

    async with serve(okx()[0]) as host: ...              in a test
    python -m tests.exchanges.okx --port 0               from a shell; prints its port

REST under /api/v5; sockets /ws/v5/public, /private, /business. A refused order answers code 1 with the reason
in `data[0].sCode`; a repeated client id is 51016 for good; the dead man's switch is `trade/cancel-all-after`
in seconds. Net position mode. Books carry OKX's chain (prevSeqId, seqId) and its checksum.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

from tests.exchanges import okx_errors as errors
from tests.exchanges import okx_words as words
from tests.exchanges.cex import Said, founded, parsed, run_shell, words_of, written
from tests.exchanges.clock import Clock
from tests.exchanges.core import Exchange
from tests.exchanges.okx_rest import PRIVATE, PUBLIC, TRADING
from tests.exchanges.okx_streams import PRIVATE_CHANNELS, Streams
from tests.exchanges.server import Answer, Call, Session
from tests.exchanges.truth import Truth
from tests.exchanges.words import (
    ApiKey,
)
from tests.exchanges.world import World

_STALE_MS = 30_000
#: Requests per two seconds, by account, as documented (those of orders are per instrument there).
LIMITS: dict[str, tuple[int, float]] = {
    "trade/order": (60, 2.0),
    "trade/cancel-order": (60, 2.0),
    "trade/amend-order": (60, 2.0),
    "trade/batch-orders": (300, 2.0),
    "trade/cancel-batch-orders": (300, 2.0),
    "trade/orders-pending": (60, 2.0),
    "trade/cancel-all-after": (1, 1.0),
}
_PUBLIC_CHANNELS = words_of(
    "tickers books books5 bbo-tbt trades mark-price index-tickers funding-rate opt-summary instruments"
)
_WS_ORDERS = {
    "order": "trade/order",
    "batch-orders": "trade/batch-orders",
    "cancel-order": "trade/cancel-order",
    "batch-cancel-orders": "trade/cancel-batch-orders",
    "amend-order": "trade/amend-order",
    "batch-amend-orders": "trade/amend-batch-orders",
}


class Okx(Streams):
    """The dialect."""

    def __init__(self, exchange: Exchange, *, limits: Mapping[str, tuple[int, float]] | None = None) -> None:
        super().__init__(exchange, LIMITS if limits is None else limits)

    # ---- reading

    def read_http(self, call: Call) -> Call:
        """GET with a query, POST with a JSON body (an object, or an array for batches)."""
        call.operation = call.path.removeprefix("/api/v5").strip("/")
        call.params = dict(parse_qsl(call.query, keep_blank_values=True))
        if call.verb == "POST":
            body = parsed(call.body or b"{}")
            call.params = body if isinstance(body, dict) else {"batch": body}
            if not isinstance(body, dict | list):
                call.note["wrong"] = Said("50002", "JSON syntax error", 400)
        elif call.operation == "trade/order":
            call.operation = "GET trade/order"
        return call

    def read_frame(self, session: Session, text: str) -> Call | None:
        """ "ping", or an object with an `op`."""
        if text == "ping":
            session.reply("pong")
            return None
        body = parsed(text)
        if not isinstance(body, dict) or not isinstance(body.get("args"), list):
            call = Call("illegal", {}, "WS")
            call.note["wrong"] = Said("60012", f"Illegal request: {text}")
            return call
        op = str(body.get("op", ""))
        return Call(_WS_ORDERS.get(op, op), {"op": op, "args": body["args"]}, "WS", call_id=body.get("id"))

    # ---- performing

    def perform(self, call: Call) -> Answer | None:
        """The request, once its key and rate are in order."""
        call.note["in_us"] = self.exchange.now_ns // 1000
        return self.guarded(self._act, call, errors.wrong("sz"))

    def _act(self, call: Call) -> Answer | None:
        if "wrong" in call.note:
            raise call.note["wrong"]
        return self._frame(call) if call.session is not None else self._request(call)

    def _request(self, call: Call) -> Answer:
        name = call.operation
        if name in PUBLIC:
            return Answer(PUBLIC[name](self.exchange, call.params))
        if name not in PRIVATE and name not in TRADING:
            raise Said("404", "Not Found", 404)
        key = self._signed(call)
        if name in TRADING and "trade" not in key.scopes:
            raise Said("50120", "This API key doesn't have permission to use this function", 401)
        self._pace(key.account, name)
        if name in TRADING:
            return self._traded(TRADING[name](self.exchange, key.account, call.params))
        return Answer(PRIVATE[name](self.exchange, key, call.params))

    @staticmethod
    def _traded(rows: list[dict[str, Any]]) -> Answer:
        """Code 0: all done; 1: none; 2: some."""
        bad = sum(r.get("sCode", "0") != "0" for r in rows)
        return Answer(rows, None if not bad else ("1" if bad == len(rows) else "2"))

    def _pace(self, account: str, operation: str) -> None:
        if not self.windows.take(account, operation, self.exchange.steady_ns):
            raise Said("50011", "Too Many Requests", 429)

    def _signed(self, call: Call) -> ApiKey:
        """Whose request it is.

        Raises:
            Said: no key, an unknown one, a stale stamp, a wrong signature or passphrase.
        """
        h = call.headers
        if "ok-access-key" not in h:
            raise Said("50103", 'Request header "OK-ACCESS-KEY" cannot be empty', 401)
        key = self.key_of(h["ok-access-key"])
        if key is None:
            raise Said("50111", "Invalid OK-ACCESS-KEY", 401)
        stamp = h.get("ok-access-timestamp", "")
        try:
            sent_ms = int(datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp() * 1000)
        except ValueError:
            raise Said("50112", "Invalid OK-ACCESS-TIMESTAMP", 400) from None
        if abs(sent_ms - self.exchange.clock.now_ms()) > _STALE_MS:
            raise Said("50102", "Timestamp request expired", 401)
        asked = call.path + (f"?{call.query}" if call.query else "")
        text = stamp + call.verb + asked + call.body.decode()
        if not _same(key.secret, text, h.get("ok-access-sign", "")):
            raise Said("50113", "Invalid Sign", 401)
        if h.get("ok-access-passphrase") != key.passphrase:
            raise Said("50105", "Request header OK-ACCESS-PASSPHRASE incorrect", 401)
        return key

    # ---- performing what came by a socket

    def _frame(self, call: Call) -> Answer | None:
        session = call.session
        assert session is not None
        op, args = call.params["op"], call.params["args"]
        if op == "login":
            return self._login(session, args)
        if op in ("subscribe", "unsubscribe"):
            return self._feeds_changed(session, op, args)
        if op not in _WS_ORDERS:
            raise Said("60012", f"Illegal request: {op}")
        account = session.state.get("account")
        if account is None:
            raise Said("60011", "Please log in")
        self._pace(account, call.operation)
        params: Any = {"batch": args} if "batch" in op else args[0]
        return self._traded(TRADING[call.operation](self.exchange, account, params))

    def _login(self, session: Session, args: list[Any]) -> Answer:
        terms = args[0] if args and isinstance(args[0], dict) else {}
        key = self.key_of(str(terms.get("apiKey")))
        if key is None:
            raise Said("60005", "Invalid apiKey")
        stamp = str(terms.get("timestamp", ""))
        if not stamp.isdigit() or abs(int(stamp) * 1000 - self.exchange.clock.now_ms()) > _STALE_MS:
            raise Said("60006", "Timestamp request expired")
        if not _same(key.secret, f"{stamp}GET/users/self/verify", str(terms.get("sign"))):
            raise Said("60007", "Invalid sign")
        if terms.get("passphrase") != key.passphrase:
            raise Said("60024", "Wrong passphrase")
        session.state["account"] = key.account
        return Answer({"event": "login", "code": "0", "msg": ""})

    def _feeds_changed(self, session: Session, op: str, args: list[Any]) -> Answer | None:
        """One answer a channel, then what the channel begins with. modes, refuses: "unnamed", where an answer
        speaks of no channel, or "whole", where one that is wrong keeps the others of its message silent."""
        private = "/private" in session.path
        answers: list[dict[str, Any]] = []
        for arg in args:
            name = str(arg.get("channel")) if isinstance(arg, dict) else ""
            known = name in (PRIVATE_CHANNELS if private else _PUBLIC_CHANNELS)
            symbol = arg.get("instId", "") if known else ""
            listed = (
                name in PRIVATE_CHANNELS or name == "index-tickers" or symbol in self.exchange.instruments
            )
            if not known or not (listed or (name in ("opt-summary", "instruments") and not symbol)):
                wrong = f"channel:{name},instId:{arg.get('instId')}" if isinstance(arg, dict) else "args"
                how = self.exchange.modes.get("refuses")
                text = "Invalid request" if how == "unnamed" else f"Wrong URL or {wrong}"
                if how == "whole":
                    raise Said("60018", f"{text} doesn't exist.")
                told = {"event": "error", "code": "60018", "msg": f"{text} doesn't exist."}
                answers.append({**told, "connId": f"{session.number:08x}"})
                continue
            if private and "account" not in session.state:
                raise Said("60011", "Please log in")
            key = _key(arg)
            answers.append({"event": op, "arg": arg, "connId": f"{session.number:08x}"})
            if op == "subscribe":
                self.subscribe(session, key, arg)
                self.begin(session, key, arg)
            else:
                self.unsubscribe(session, key)
        for answer in answers[:-1]:
            session.reply(written(answer))
        return Answer(answers[-1]) if answers else None

    # ---- writing

    def write(self, call: Call, answer: Answer) -> str:
        """The envelope: code, msg, data; on a socket with `id` and `op`, or an event."""
        if call.session is not None:
            return self._write_frame(call, answer)
        if isinstance(answer.error, Said):
            return written({"code": answer.error.code, "data": [], "msg": answer.error.text})
        code = answer.error or "0"
        msg = {"1": "All operations failed", "2": "Bulk operation partially succeeded."}.get(code, "")
        stamps = {"inTime": str(call.note.get("in_us", 0)), "outTime": str(self.exchange.now_ns // 1000)}
        extra = stamps if call.operation in TRADING else {}
        return written({"code": code, "data": answer.payload, "msg": msg, **extra})

    def _write_frame(self, call: Call, answer: Answer) -> str:
        op = call.params.get("op")
        if op in _WS_ORDERS:
            head = {"id": str(call.call_id), "op": op}
            stamps = {"inTime": str(call.note.get("in_us", 0)), "outTime": str(self.exchange.now_ns // 1000)}
            if isinstance(answer.error, Said):
                code = errors.ON_SOCKET.get(str(answer.error.code), answer.error.code)
                return written({**head, "code": code, "data": [], "msg": answer.error.text, **stamps})
            return written({**head, "code": answer.error or "0", "data": answer.payload, "msg": "", **stamps})
        if isinstance(answer.error, Said):
            code = errors.ON_SOCKET.get(str(answer.error.code), answer.error.code)
            told = {"event": "error", "code": code, "msg": answer.error.text, "connId": "a4d3ae55"}
            return written(told)
        return written(answer.payload)

    def trouble(self, call: Call, what: str) -> Answer:
        """OKX's words for a fault."""
        return Answer([], errors.BY_TROUBLE[what], errors.BY_TROUBLE[what].status)


def _same(secret: str, text: str, signature: str) -> bool:
    mine = base64.b64encode(hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()).decode()
    return hmac.compare_digest(mine, signature)


def _key(arg: dict[str, Any]) -> str:
    """A channel's name among the feeds."""
    parts = [arg.get(k) for k in ("channel", "instType", "instId", "instFamily")]
    return ":".join(str(p) for p in parts if p)


def okx(
    *,
    clock: Clock | None = None,
    truth: Truth | None = None,
    seed: int = 7,
    key: ApiKey | None = None,
    **terms: Any,
) -> tuple[Okx, World]:
    """An OKX in small with its market and one funded account. terms: of `Okx`."""
    exchange, world = founded(
        words.listing, key or ApiKey("key", "secret", "desk", "phrase"), clock, truth, seed
    )
    return Okx(exchange, **terms), world


if __name__ == "__main__":
    run_shell("OKX", okx)
