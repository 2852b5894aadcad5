"""Deribit on loopback: JSON-RPC 2.0 over HTTP (GET and POST) and WebSocket on the matching core.

    async with serve(Deribit(...)) as host: ...          in a test
    python -m tests.exchanges.deribit --port 0           from a shell; prints its port

Authentication as documented: `public/auth` by client_credentials, client_signature or refresh_token; HTTP
requests by the deri-hmac-sha256 header or a bearer token. Scopes are checked per method. Orders made over a
connection with cancel-on-disconnect end with it, unless it said `private/logout` first. A heartbeat that goes
unanswered closes the connection. Requests beyond the account's credits answer 10028 and end the session.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

import orjson

from tests.exchanges import deribit_errors as errors
from tests.exchanges.clock import NS, Clock
from tests.exchanges.core import Exchange
from tests.exchanges.deribit_auth import Auth, Credits, allowed
from tests.exchanges.deribit_errors import Wrong, invalid
from tests.exchanges.deribit_market import listing
from tests.exchanges.deribit_params import channels, decimal, flag, text
from tests.exchanges.deribit_private import PRIVATE
from tests.exchanges.deribit_public import PUBLIC
from tests.exchanges.deribit_streams import Streams
from tests.exchanges.server import Answer, Call, Session, Trouble, run_forever
from tests.exchanges.truth import Truth
from tests.exchanges.words import ApiKey, News, Refusal
from tests.exchanges.world import World

DEFAULT_SCOPES = ("account:read_write", "trade:read_write", "wallet:read")


class Deribit:
    """The dialect. news_first: private news leaves before the reply it belongs to."""

    def __init__(
        self,
        exchange: Exchange,
        *,
        credits: Credits | None = None,
        token_life_s: float = 900.0,
        heartbeat_s_min: float = 10.0,
        news_first: bool = False,
    ) -> None:
        self.exchange: Exchange = exchange
        self.credits = credits or Credits()
        self.auth = Auth(exchange, token_life_s)
        self.heartbeat_s_min = heartbeat_s_min
        self.news_first = news_first
        self.streams = Streams(exchange)
        self._sessions: dict[int, Session] = {}
        self._cod_accounts: set[str] = set()
        self._flushing = False
        exchange.listeners.append(self._hear)

    # ---- reading

    def read_http(self, call: Call) -> Call:
        """GET /api/v2/public/x?a=b or POST /api/v2[/public/x] with a JSON-RPC body."""
        call.operation = call.path.removeprefix("/api/v2").strip("/")
        call.params = dict(parse_qsl(call.query, keep_blank_values=True))
        if call.verb == "POST":
            body = _json(call.body)
            if not isinstance(body, dict):
                call.note["wrong"] = Wrong(errors.NOT_PARSED)
                return call
            call.call_id = body.get("id")
            call.operation = str(body.get("method", call.operation))
            call.params = body.get("params") or {}
        return call

    def read_frame(self, session: Session, text: str) -> Call | None:
        """A JSON-RPC request."""
        session.state["heard_ns"] = self.exchange.steady_ns
        body = _json(text.encode())
        if not isinstance(body, dict) or not isinstance(body.get("params") or {}, dict):
            call = Call("unreadable", {}, "WS")
            call.note["wrong"] = Wrong(errors.NOT_PARSED)
            return call
        return Call(str(body.get("method", "")), body.get("params") or {}, "WS", call_id=body.get("id"))

    # ---- performing

    def perform(self, call: Call) -> Answer | None:
        """The method, once authenticated, allowed and paid for."""
        call.note["in_us"] = self.exchange.now_ns // 1000
        try:
            if "wrong" in call.note:
                raise call.note["wrong"]
            result = self._method(call)
        except Wrong as wrong:
            return self._refuse(wrong.error, last=wrong.error is errors.TOO_MANY)
        except Refusal as refusal:
            return self._refuse(errors.refused(refusal.reason).error)
        if self.news_first:
            self.streams.flush()
        return Answer(result)

    def _method(self, call: Call) -> Any:
        name = call.operation
        connected = _CONNECTED.get(name)
        if name in PUBLIC:
            return PUBLIC[name](self, call)
        if name == "public/auth":
            return self._sign_in(call)
        if connected is not None and name.startswith("public/"):
            return self._over_ws(call, connected)
        if name not in PRIVATE and connected is None:
            raise Wrong(errors.NO_METHOD)
        grant = self.auth.grant_of(call)
        scope = PRIVATE[name][0] if name in PRIVATE else ""
        if scope and not allowed(grant.scopes, scope):
            raise Wrong(errors.FORBIDDEN)
        if not self.credits.take(grant.key.account, name, self.exchange.steady_ns):
            raise Wrong(errors.TOO_MANY)
        if connected is not None:
            return self._over_ws(call, connected)
        return PRIVATE[name][1](self, call)

    def _over_ws(self, call: Call, method: Callable[[Deribit, Call, Session], Any]) -> Any:
        if call.session is None:
            raise Wrong(errors.WS_ONLY)
        return method(self, call, call.session)

    def account(self, call: Call) -> str:
        """Whose call it is."""
        return self.auth.grant_of(call).key.account

    def _sign_in(self, call: Call) -> dict[str, Any]:
        """A token; over a socket, the session's too."""
        grant, told = self.auth.sign_in(call)
        if call.session is not None:
            call.session.state |= {"grant": grant, "account": grant.key.account}
            if grant.key.account in self._cod_accounts:
                call.session.state["cod"] = True
        return told

    def limits(self) -> dict[str, Any]:
        """An account's rates as its summary tells them."""
        matching = {"burst": self.credits.matching_burst, "rate": self.credits.matching_rate}
        other = {"burst": self.credits.other_burst, "rate": self.credits.other_rate}
        engine = {
            "trading": {"total": matching},
            "spot": matching,
            "quotes": matching,
            "cancel_all": matching,
            "max_quotes": {"burst": 10, "rate": 10},
            "guaranteed_quotes": {"burst": 2, "rate": 2},
        }
        return {"limits_per_currency": False, "non_matching_engine": other, "matching_engine": engine}

    # ---- writing

    def write(self, call: Call, answer: Answer) -> str:
        """The JSON-RPC envelope with the server's microsecond stamps."""
        now = self.exchange.now_ns // 1000
        began = call.note.get("in_us", now)
        body: dict[str, Any] = {"jsonrpc": "2.0"}
        if call.call_id is not None:
            body["id"] = call.call_id
        body |= {"error": answer.error} if answer.error is not None else {"result": answer.payload}
        body |= {"usIn": began, "usOut": now, "usDiff": now - began, "testnet": False}
        return orjson.dumps(body).decode()

    def trouble(self, call: Call, what: str) -> Answer:
        """Deribit's words for a fault."""
        return self._refuse(_TROUBLE[what])

    @staticmethod
    def _refuse(error: errors.Error, *, last: bool = False) -> Answer:
        return Answer(None, error.body, error.status, last=last)

    # ---- sessions

    def opened(self, session: Session) -> None:
        """A socket has connected."""
        self._sessions[session.number] = session
        session.state["heard_ns"] = self.exchange.steady_ns

    def closed(self, session: Session) -> None:
        """Cancel on disconnect, unless it logged out."""
        self._sessions.pop(session.number, None)
        self.streams.forget(session)
        state = session.state
        if state.get("cod") and not state.get("logged_out") and "account" in state:
            mine = session.name
            self.exchange.cancel_all(state["account"], lambda o: o.session == mine, "disconnect")

    def pass_time(self) -> None:
        """Paced feeds and heartbeats."""
        self.streams.flush()
        now = self.exchange.steady_ns
        for session in list(self._sessions.values()):
            beat = session.state.get("beat")
            if beat is None or now < beat["due_ns"]:
                continue
            beat["due_ns"] = now + beat["every_ns"]
            silent = now - session.state["heard_ns"]
            if silent > 2 * beat["every_ns"]:
                session.cut()
                continue
            session.push("heartbeat", _heartbeat("heartbeat"))
            if silent >= beat["every_ns"] * 0.9:
                session.push("test_request", _heartbeat("test_request"))

    def _hear(self, news: News) -> None:
        self.streams.hear(news)
        if not self._flushing:
            try:
                loop = asyncio.get_running_loop()
            except RuntimeError:
                return
            self._flushing = True
            loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        self.streams.flush()

    def subscribe(self, call: Call, session: Session) -> list[str]:
        """Begin feeds. Unknown channels are left out of the answer, as Deribit does."""
        wanted = [c for c in channels(call) if self.streams.known(c)]
        for channel in wanted:
            raw = channel.endswith(".raw") and not channel.startswith("user.")
            if raw and "grant" not in session.state:
                raise Wrong(errors.NO_RAW)
            if channel.startswith("user."):
                self.auth.grant_of(call)
                session.state.setdefault("account", self.account(call))
        loop = asyncio.get_running_loop()
        for channel in wanted:
            loop.call_soon(self.streams.subscribe, session, channel)
        return wanted

    def unsubscribe(self, call: Call, session: Session) -> list[str]:
        """End feeds."""
        named = channels(call)
        for channel in named:
            self.streams.unsubscribe(session, channel)
        return named

    def unsubscribe_all(self, call: Call, session: Session) -> str:
        """End all feeds of the session."""
        self.streams.forget(session)
        return "ok"

    def set_heartbeat(self, call: Call, session: Session) -> str:
        """Heartbeats every so many seconds."""
        seconds = decimal(call, "interval")
        if seconds is None or float(seconds) < self.heartbeat_s_min:
            raise invalid("interval", "must be a number not less than 10")
        every = int(float(seconds) * NS)
        session.state["beat"] = {"every_ns": every, "due_ns": self.exchange.steady_ns + every}
        return "ok"

    def disable_heartbeat(self, call: Call, session: Session) -> str:
        """No more heartbeats."""
        session.state.pop("beat", None)
        return "ok"

    def cancel_on_disconnect(self, call: Call, session: Session, on: bool) -> str:
        """Arm or disarm it for the connection, or for all new ones of the account."""
        if not allowed(self.auth.grant_of(call).scopes, "account:read_write"):
            raise Wrong(errors.FORBIDDEN)
        if text(call, "scope", "connection") == "account":
            (self._cod_accounts.add if on else self._cod_accounts.discard)(self.account(call))
        else:
            session.state["cod"] = on
        return "ok"

    def get_cancel_on_disconnect(self, call: Call, session: Session) -> dict[str, Any]:
        """Whether it is armed."""
        if text(call, "scope", "connection") == "account":
            return {"scope": "account", "enabled": self.account(call) in self._cod_accounts}
        return {"scope": "connection", "enabled": bool(session.state.get("cod"))}

    def logout(self, call: Call, session: Session) -> None:
        """End the session without cancelling."""
        session.state["logged_out"] = True
        if flag(call, "invalidate_token", True):
            self.auth.revoke(self.auth.grant_of(call).token)
        session.end()


_Connected = Callable[[Deribit, Call, Session], Any]

#: Methods that need a connection.
_CONNECTED: dict[str, _Connected] = {
    "public/subscribe": Deribit.subscribe,
    "private/subscribe": Deribit.subscribe,
    "public/unsubscribe": Deribit.unsubscribe,
    "private/unsubscribe": Deribit.unsubscribe,
    "public/unsubscribe_all": Deribit.unsubscribe_all,
    "private/unsubscribe_all": Deribit.unsubscribe_all,
    "public/set_heartbeat": Deribit.set_heartbeat,
    "public/disable_heartbeat": Deribit.disable_heartbeat,
    "private/enable_cancel_on_disconnect": lambda d, c, s: d.cancel_on_disconnect(c, s, True),
    "private/disable_cancel_on_disconnect": lambda d, c, s: d.cancel_on_disconnect(c, s, False),
    "private/get_cancel_on_disconnect": Deribit.get_cancel_on_disconnect,
    "private/logout": Deribit.logout,
}

_TROUBLE = {
    Trouble.RATE: errors.TOO_MANY,
    Trouble.BANNED: errors.TOO_MANY,
    Trouble.INTERNAL: errors.INTERNAL,
    Trouble.UNAUTHORIZED: errors.UNAUTHORIZED,
    Trouble.UNKNOWN_ORDER: errors.NOT_FOUND,
}


def _heartbeat(kind: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": "heartbeat", "params": {"type": kind}}


def _json(body: bytes) -> Any:
    """Parsed with numbers exact; None where it is no JSON."""
    try:
        return json.loads(body, parse_float=Decimal)
    except ValueError:
        return None


SPOTS = {"BTC": 60_000.0, "ETH": 2_500.0}


def deribit(
    *,
    clock: Clock | None = None,
    truth: Truth | None = None,
    seed: int = 7,
    key: ApiKey | None = None,
    **terms: Any,
) -> tuple[Deribit, World]:
    """A Deribit in small with its market and one funded account. terms: of `Deribit`."""
    clock = clock or Clock()
    exchange = Exchange(listing(clock.now_ns(), SPOTS), clock=clock, truth=truth)
    world = World(exchange, SPOTS, vols={"BTC": 0.55, "ETH": 0.7}, seed=seed)
    granted = exchange.grant(key or ApiKey("key", "secret", "desk", scopes=DEFAULT_SCOPES))
    for currency, amount in (("BTC", "100"), ("ETH", "1000"), ("USDC", "5000000")):
        exchange.transfer(granted.account, currency, Decimal(amount))
    return Deribit(exchange, **terms), world


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description="Deribit on loopback")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--step-s", type=float, default=1.0, help="the market moves so often; 0: it stands")
    chosen = parser.parse_args()
    dialect, world = deribit(seed=chosen.seed)
    period_s = chosen.step_s or 1.0
    run_forever(
        lambda: dialect, chosen.port, (lambda: world.step(period_s)) if chosen.step_s else None, period_s
    )


if __name__ == "__main__":
    main()
