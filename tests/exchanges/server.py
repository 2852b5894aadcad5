"""The shell of a loopback exchange: HTTP and WebSocket on 127.0.0.1, with the fault port between.

    async with serve(dialect) as host:      # host.url, host.ws_url, host.faults, host.exchange
        ...

A `Dialect` reads a request or frame into a `Call`, performs it into an `Answer`, and writes the answer in its
venue's envelope; it pushes to a `Session` what its venue pushes. Everything it does is synchronous, so one
call is one step of the exchange's history.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import orjson
from aiohttp import WSMsgType, web

from tests.exchanges.admin import administer
from tests.exchanges.core import Exchange
from tests.exchanges.faults import Act, Faults, Rule, emptied
from tests.exchanges.listening import Listening

_PAGE = "<html><head><title>{0}</title></head><body><h1>{0} Bad Gateway</h1><hr>cloud</body></html>"


class Trouble:
    """Names of what goes wrong that a dialect must have words for."""

    RATE = "rate"
    BANNED = "banned"  # for asking too much, for a while
    INTERNAL = "internal"
    UNAUTHORIZED = "unauthorized"
    UNKNOWN_ORDER = "unknown_order"


@dataclass(slots=True)
class Call:
    """A request, whatever carried it. operation: the name that fault rules match. call_id: to be echoed."""

    operation: str
    params: dict[str, Any]
    verb: str = "GET"
    path: str = ""
    query: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    session: Session | None = None
    call_id: Any = None
    note: dict[str, Any] = field(default_factory=dict)  # the dialect's own


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call comes to. error: the dialect's own form of a refusal, None where it was performed.

    last: the session ends behind it.
    """

    payload: Any = None
    error: Any = None
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    last: bool = False


class Session:
    """One WebSocket connection. state: the dialect's own."""

    def __init__(self, number: int, path: str, faults: Faults, ws: web.WebSocketResponse) -> None:
        self.number = number
        self.path = path
        self.state: dict[str, Any] = {}
        self.sent = 0
        self.open = True
        self._faults = faults
        self._ws = ws
        self._held: str | None = None
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[tuple[str, str, float, float]] = asyncio.Queue()

    @property
    def name(self) -> str:
        """As orders remember it."""
        return f"s{self.number}"

    def push(self, channel: str, frame: Any) -> None:
        """Send a frame that nobody asked for; rules match its channel."""
        if not self.open:
            return
        text = frame if isinstance(frame, str) else orjson.dumps(frame).decode()
        rule = self._faults.take("frame", channel)
        act = rule.act if rule else None
        if act is Act.DROP:
            return
        if act is Act.REORDER and self._held is None:
            self._held = text
            return
        if act is Act.CUT:
            self.cut()
            return
        if act is Act.BREAK:
            text = text[: len(text) // 2]
        self._put(text, rule.seconds if rule and act is Act.DELAY else 0.0)
        if act is Act.DUPLICATE:
            self._put(text)
        if self._held is not None:
            held, self._held = self._held, None
            self._put(held)
        if act is Act.CUT_BEHIND:
            self.cut()

    def reply(self, text: str, wait_s: float = 0.0) -> None:
        """Send the reply of a call; the call's own rules were applied already."""
        self._put(text, wait_s)

    def cut(self) -> None:
        """Close the socket, without a farewell, once what is queued has been written."""
        self._put("", what="cut")

    def end(self, code: int = 1000) -> None:
        """Close the socket politely."""
        self._put(str(code), what="end")

    def _put(self, text: str, wait_s: float = 0.0, what: str = "text") -> None:
        self._queue.put_nowait((what, text, wait_s, self._loop.time() + self._faults.latency_s))

    async def write(self, transport: asyncio.Transport) -> None:
        """Write what is queued until the connection ends."""
        while True:
            what, text, wait_s, due_s = await self._queue.get()
            if self._faults.black_hole:
                continue
            wait_s += max(due_s - self._loop.time(), 0.0)
            if wait_s:
                await asyncio.sleep(wait_s)
            if what == "cut":
                self.open = False
                transport.abort()
                return
            if what == "end":
                self.open = False
                await self._ws.close(code=int(text))
                return
            with suppress(ConnectionError):
                await self._ws.send_str(text)
                self.sent += 1


class Dialect(Protocol):
    """What a venue's protocol must say."""

    exchange: Exchange

    def read_http(self, call: Call) -> Call:
        """Name the operation and parse the parameters of a request whose verb, path, query, body are set."""

    def read_frame(self, session: Session, text: str) -> Call | None:
        """The call in a frame; None where it needs no answer."""

    def perform(self, call: Call) -> Answer | None:
        """Do it. None: no reply is due."""

    def write(self, call: Call, answer: Answer) -> str:
        """The answer in the venue's envelope."""

    def trouble(self, call: Call, what: str) -> Answer:
        """The venue's words for one of `Trouble`."""

    def opened(self, session: Session) -> None:
        """A socket has connected."""

    def closed(self, session: Session) -> None:
        """A socket has gone, however."""

    def pass_time(self) -> None:
        """Heartbeats and what else is due by the clock."""


class Host:
    """A dialect being served."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self.faults = Faults()
        self.sessions: dict[int, Session] = {}
        self.calls: list[tuple[str, str]] = []  # (transport, operation), as they arrived
        self.requests: list[Call] = []
        self.connected = 0
        self.broken: list[Exception] = []  # our own mistakes: raised when the block ends
        self.port = 0
        self.secure = False
        self.listening: Listening | None = None
        self._kept: dict[str, Answer] = {}

    @property
    def exchange(self) -> Exchange:
        """What it serves."""
        return self.dialect.exchange

    @property
    def url(self) -> str:
        """Of HTTP, without a slash at the end."""
        return f"http{'s' * self.secure}://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        """Of WebSocket, without a path."""
        return f"ws{'s' * self.secure}://127.0.0.1:{self.port}"

    def count(self, operation: str, transport: str = "") -> int:
        """How often an operation was asked for."""
        return sum(1 for t, o in self.calls if o == operation and transport in ("", t))

    def cut_sessions(self) -> None:
        """Drop every socket."""
        for session in list(self.sessions.values()):
            session.cut()

    def tell_all(self, channel: str, frame: Any) -> None:
        """Push a frame to every session."""
        for session in list(self.sessions.values()):
            session.push(channel, frame)

    @asynccontextmanager
    async def away(self) -> AsyncIterator[None]:
        """Until the block ends its address is anybody's; every connection to it is gone."""
        assert self.listening is not None
        self.cut_sessions()
        await asyncio.sleep(0)
        async with self.listening.away():
            yield

    # ---- the handlers

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Any request."""
        if request.path.startswith("/admin/"):
            return await administer(self, request)
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._socket(request)
        return await self._http(request)

    async def _http(self, request: web.BaseRequest) -> web.StreamResponse:
        call = Call(
            "", {}, request.method, request.path, request.query_string,
            {k.lower(): v for k, v in request.headers.items()}, await request.read(),
        )  # fmt: skip
        await self._dark()
        call = self.dialect.read_http(call)
        self._heard("http", call)
        rule = self.faults.take("call", call.operation)
        if self.faults.latency_s:
            await asyncio.sleep(self.faults.latency_s)
        if rule and rule.act is Act.WAIT_BEFORE:
            await asyncio.sleep(rule.seconds)
        answer = self._performed(call, rule)
        act = rule.act if rule else None
        if act in (Act.CUT_BEFORE, Act.CUT_AFTER):
            _abort(request)
        elif act in (Act.MUTE_BEFORE, Act.MUTE_AFTER):
            await asyncio.sleep(rule.seconds if rule and rule.seconds else 3600)
            _abort(request)  # not a word, then either
        elif act is Act.WAIT_AFTER and rule:
            await asyncio.sleep(rule.seconds)
        if self.faults.latency_s:
            await asyncio.sleep(self.faults.latency_s)
        if rule and act in (Act.HTML, Act.ERROR_BEFORE, Act.ERROR_AFTER):
            return web.Response(status=rule.status, text=_PAGE.format(rule.status), content_type="text/html")
        if act is Act.REDIRECT:
            return self._elsewhere()
        if answer is None:
            return web.Response(status=404)
        text = self.dialect.write(call, answer)
        if act is Act.CUT_JSON:
            text = text[: len(text) // 2]
        status = rule.status if rule and act in (Act.FAIL_BEFORE, Act.FAIL_AFTER) else answer.status
        return web.Response(
            status=status, text=text, content_type="application/json", headers=dict(answer.headers)
        )

    async def _socket(self, request: web.BaseRequest) -> web.StreamResponse:
        ws = web.WebSocketResponse(max_msg_size=0, compress=False, autoping=False)
        await self._dark()
        if rule := self.faults.take("call", "connect"):
            if rule.act is Act.REDIRECT:
                return self._elsewhere()
            _abort(request)
        try:
            await ws.prepare(request)
        except ConnectionError:  # cut by a fault, or by whoever asked: there is nobody to answer
            return web.Response()
        transport = request.transport
        if not isinstance(transport, asyncio.Transport):
            return ws  # cut behind the handshake
        self.connected += 1
        session = Session(self.connected, request.path_qs, self.faults, ws)
        self.sessions[session.number] = session
        writer = asyncio.create_task(session.write(transport))
        self.dialect.opened(session)
        arrived: asyncio.Queue[tuple[str, float] | None] = asyncio.Queue()
        worker = asyncio.create_task(self._work(session, arrived))
        loop = asyncio.get_running_loop()
        try:
            async for message in ws:
                await self._dark()
                if message.type is WSMsgType.PING:
                    await ws.pong(message.data)
                elif message.type is WSMsgType.TEXT:
                    arrived.put_nowait((str(message.data), loop.time() + self.faults.latency_s))
        finally:
            arrived.put_nowait(None)
            await worker  # what came before the end is still done
            session.open = False
            self.sessions.pop(session.number, None)
            self.dialect.closed(session)
            writer.cancel()
            with suppress(asyncio.CancelledError):
                await writer
        return ws

    def _elsewhere(self) -> web.Response:
        return web.Response(status=302, headers={"Location": self.faults.elsewhere})

    async def _work(self, session: Session, arrived: asyncio.Queue[tuple[str, float] | None]) -> None:
        """Perform a session's frames in order, each when its way here is over."""
        loop = asyncio.get_running_loop()
        while (item := await arrived.get()) is not None:
            text, due_s = item
            if due_s > loop.time():
                await asyncio.sleep(due_s - loop.time())
            try:
                await self._frame(session, text)
            except Exception as error:
                self.broken.append(error)
                session.cut()
                return

    async def _frame(self, session: Session, text: str) -> None:
        call = self.dialect.read_frame(session, text)
        if call is None:
            return
        call.session = session
        self._heard("ws", call)
        rule = self.faults.take("call", call.operation)
        act = rule.act if rule else None
        if rule and act is Act.WAIT_BEFORE:
            await asyncio.sleep(rule.seconds)
        answer = self._performed(call, rule)
        if act in (Act.CUT_BEFORE, Act.CUT_AFTER):
            session.cut()
        elif act in (Act.MUTE_BEFORE, Act.MUTE_AFTER) or answer is None:
            return
        elif act is Act.HTML and rule:
            session.reply(_PAGE.format(rule.status))
        else:
            reply = self.dialect.write(call, answer)
            if act is Act.CUT_JSON:
                reply = reply[: len(reply) // 2]
            session.reply(reply, rule.seconds if rule and act is Act.WAIT_AFTER else 0.0)
            if act is Act.RATE_KILL or answer.last:
                session.cut()

    def _performed(self, call: Call, rule: Rule | None) -> Answer | None:
        """The answer a call gets, as a rule has it."""
        act = rule.act if rule else None
        if act in _WORDS:
            return self.dialect.trouble(call, _WORDS[act])
        if act in (Act.CUT_BEFORE, Act.MUTE_BEFORE, Act.REDIRECT):
            return None
        kept = _question(call)
        if act is Act.STALE and kept in self._kept:
            return self._kept[kept]
        if act is Act.TWICE:
            self.dialect.perform(replace(call))
        try:
            answer = self.dialect.perform(call)
        except Exception as error:
            self.broken.append(error)
            raise
        if answer is not None and answer.error is None:
            self._kept[kept] = answer
        if act in (Act.ERROR_AFTER, Act.FAIL_AFTER):
            return self.dialect.trouble(call, Trouble.INTERNAL)
        if act is Act.EMPTY and answer is not None:
            return replace(answer, payload=emptied(answer.payload))
        return answer

    def _heard(self, transport: str, call: Call) -> None:
        self.calls.append((transport, call.operation))
        self.requests.append(call)
        if len(self.requests) > 10_000:
            del self.requests[:5_000]

    async def _dark(self) -> None:
        """Wait while nothing is read."""
        while self.faults.black_hole:
            await asyncio.sleep(0.01)

    async def beat(self, period_s: float = 0.02) -> None:
        """Let the exchange's clock have its effects."""
        while True:
            await asyncio.sleep(period_s)
            if not self.faults.black_hole:
                self.exchange.pass_time()
                self.dialect.pass_time()


_WORDS: dict[Act | None, str] = {
    Act.RATE: Trouble.RATE,
    Act.RATE_KILL: Trouble.BANNED,
    Act.ERROR_BEFORE: Trouble.INTERNAL,
    Act.FAIL_BEFORE: Trouble.INTERNAL,
    Act.UNAUTHORIZED: Trouble.UNAUTHORIZED,
    Act.UNKNOWN_ORDER: Trouble.UNKNOWN_ORDER,
}


#: What differs between two calls that ask the same.
_ONCE = frozenset({"timestamp", "recvWindow", "signature", "nonce", "access_token"})


def _question(call: Call) -> str:
    """What a call asks, whenever it asks it."""
    asked = {k: v for k, v in call.params.items() if k not in _ONCE}
    return call.operation + json.dumps(asked, sort_keys=True, default=str)


def _abort(request: web.BaseRequest) -> None:
    """Close the socket under a request and answer nothing."""
    if request.transport is not None:
        request.transport.abort()
    raise asyncio.CancelledError


@asynccontextmanager
async def serve(dialect: Dialect, port: int = 0, tls: ssl.SSLContext | None = None) -> AsyncIterator[Host]:
    """Serve a dialect on 127.0.0.1 until the block ends; port 0: any that is free; tls: https and wss."""
    host = Host(dialect)
    host.secure = tls is not None
    host.listening = listening = Listening(host.handle, tls)
    beat = asyncio.create_task(host.beat())
    try:
        await listening.start(port)
        host.port = listening.port
        yield host
    finally:
        beat.cancel()
        host.faults.clear()
        host.cut_sessions()
        await asyncio.sleep(0)
        await listening.close()
        dialect.exchange.truth.close()
    if host.broken:
        raise host.broken[0]


def run_forever(
    make: Callable[[], Dialect], port: int, step: Callable[[], None] | None = None, period_s: float = 1.0
) -> None:
    """Serve from a shell until interrupted; prints the port on a line of its own.

    step: lets the market live, every `period_s`; without it the market stands still.
    """

    async def main() -> None:
        async with serve(make(), port) as host:
            print(host.port, flush=True)
            while True:
                await asyncio.sleep(period_s)
                if step is not None:
                    step()

    with suppress(KeyboardInterrupt):
        asyncio.run(main())
