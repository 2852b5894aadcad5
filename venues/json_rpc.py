"""JSON-RPC 2.0 over one WebSocket: questions and their answers by id, and what comes unasked.

One `RpcLink` is one connection and is never reopened. What matters about a question that got no answer is
whether it can have had an effect: `NotSent` says that no byte of it left; `NoAnswer` that nobody can say.

The reader does nothing but sort: an answer to its question, anything else to `hear`, which must not wait. A
frame that makes no sense is counted and passed over; it never ends the connection: all streams live on it.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson
from yarl import URL

from venues.errors import Ambiguous, Unreachable, VenueError
from venues.net import tls_refused
from venues.wire.fields import shown

#: A frame may be as long as a snapshot of the deepest book.
FRAME_BYTES_MAX = 16 * 1024 * 1024
#: The other side is waited for so long, seconds, when a connection ends: one that answers nothing never says
#: goodbye either, and by then we have nothing more to hear from it.
CLOSE_S_MAX = 1.0


Quick = Callable[[str], bool]


def takes_nothing(text: str) -> bool:
    """Every frame goes the usual way."""
    return False


class NotSent(Unreachable):
    """No byte of the question left."""


class NoAnswer(Ambiguous):
    """The question may have arrived, and its answer did not."""


class RpcError(VenueError):
    """The answer is an error. number: its code; message: the venue's word for it; detail: what it adds."""

    def __init__(self, method: str, number: str, message: str, detail: str) -> None:
        super().__init__("VENUE_SAYS_NO", message or "an error", where=method, observed=f"{number} {detail}")
        self.number = number
        self.message = message
        self.detail = detail


@dataclass(slots=True)
class LinkCounts:
    """Since the connection was made."""

    frames: int = 0
    answers: int = 0
    late: int = 0  # answers to questions nobody waits for any more
    malformed: int = 0


class RpcLink:
    """One connection. hear: gets (method, params) of whatever comes unasked. ended: when it is over. quick:
    sees the text of a frame first, and says whether it has taken it."""

    def __init__(
        self,
        socket: aiohttp.ClientWebSocketResponse,
        hear: Callable[[str, Mapping[str, Any]], None],
        quick: Quick = takes_nothing,
    ) -> None:
        self._socket = socket
        self._hear, self._quick = hear, quick
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._methods: dict[int, str] = {}
        self.counts = LinkCounts()
        self.heard_s = asyncio.get_running_loop().time()
        self.ended = asyncio.Event()
        self.reason = ""
        self.failure: BaseException | None = None  # of `hear`: a bug of ours, for whoever owns the link
        self._reader = asyncio.get_running_loop().create_task(self._read())

    @classmethod
    async def open(
        cls,
        session: aiohttp.ClientSession,
        url: str,
        hear: Callable[[str, Mapping[str, Any]], None],
        timeout_s: float,
        quick: Quick = takes_nothing,
    ) -> RpcLink:
        """Connect.

        Raises:
            NotSent: nobody answers there, or not with a WebSocket. NotTheVenue: the session refuses the host,
                or who answers does not prove to be it.
        """
        try:
            async with asyncio.timeout(timeout_s):
                socket = await session.ws_connect(
                    url, max_msg_size=FRAME_BYTES_MAX, autoping=True, compress=0
                )
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            refused = tls_refused(error, URL(url).host or "")
            if refused is not None:
                raise refused from None
            raise NotSent(
                "NOT_CONNECTED", "no connection", observed=type(error).__name__, not_done="nothing was sent"
            ) from None
        return cls(socket, hear, quick)

    @property
    def alive(self) -> bool:
        """Whether anything can be sent."""
        return not self.ended.is_set() and not self._socket.closed

    async def call(self, method: str, params: Mapping[str, Any], timeout_s: float) -> Any:
        """Ask once, and wait for the answer.

        Raises:
            NotSent: it did not leave. NoAnswer: it may have. RpcError: the answer is an error.
        """
        if not self.alive:
            raise NotSent("NOT_CONNECTED", "the connection is over", where=method, observed=self.reason)
        number = next(self._ids)
        frame = orjson.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[number], self._methods[number] = future, method
        try:
            async with asyncio.timeout(timeout_s):
                await self._socket.send_str(frame.decode())
                return await future
        except TimeoutError:
            raise _no_answer(method, f"none within {timeout_s:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise _no_answer(method, type(error).__name__) from None  # part of it may have left
        finally:
            self._waiting.pop(number, None)
            self._methods.pop(number, None)

    def post(self, method: str, params: Mapping[str, Any]) -> None:
        """Say something whose answer nobody waits for; from inside `hear`, too."""
        if self.alive:
            frame = orjson.dumps(
                {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": params}
            )
            task = asyncio.get_running_loop().create_task(self._socket.send_str(frame.decode()))
            task.add_done_callback(_taken)

    async def close(self, reason: str = "closed by us") -> None:
        """End the connection; whoever waits is told that nobody can say."""
        self.reason = self.reason or reason
        await self._hang_up()
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)
        self._end()

    async def _hang_up(self) -> None:
        """End the connection in order, or after `CLOSE_S_MAX` without."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S_MAX):
                await self._socket.close()

    async def _read(self) -> None:
        try:
            async for frame in self._socket:
                if frame.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                    self.heard_s = asyncio.get_running_loop().time()
                    self.counts.frames += 1
                    self._sort(frame.data)
                else:
                    break
            self.reason = self.reason or f"closed by the venue, code {self._socket.close_code}"
        except (aiohttp.ClientError, OSError) as error:
            self.reason = self.reason or type(error).__name__
        except Exception as error:  # of a task nobody sees it otherwise: the session ends with it
            self.reason, self.failure = "a bug of ours", error
            await self._hang_up()
        finally:
            self._end()

    def _sort(self, data: str | bytes) -> None:
        if type(data) is str and self._quick(data):
            return
        try:
            message = orjson.loads(data)
        except orjson.JSONDecodeError:
            self.counts.malformed += 1
            return
        if not isinstance(message, dict):
            self.counts.malformed += 1
            return
        method, params = message.get("method"), message.get("params")
        if isinstance(method, str) and isinstance(params, dict):
            self._hear(method, params)
        elif "id" in message:
            self._answer(message)
        else:
            self.counts.malformed += 1

    def _answer(self, message: dict[str, Any]) -> None:
        number = message["id"]
        future = self._waiting.get(number) if isinstance(number, int) else None
        if future is None or future.done():
            self.counts.late += 1
            return
        self.counts.answers += 1
        error = message.get("error")
        if isinstance(error, dict):
            future.set_exception(_rpc_error(self._methods[number], error))
        elif "result" in message:
            future.set_result(message["result"])
        else:
            self.counts.malformed += 1
            future.set_exception(_no_answer(self._methods[number], "an answer without result or error"))

    def _end(self) -> None:
        self.ended.set()
        for number, future in self._waiting.items():
            if not future.done():
                future.set_exception(_no_answer(self._methods[number], self.reason))


def _rpc_error(method: str, error: Mapping[str, Any]) -> RpcError:
    code, message, data = error.get("code"), error.get("message"), error.get("data")
    number = str(code) if isinstance(code, int) and abs(code) < 10**9 else "none"
    said = message[:120] if isinstance(message, str) else ""
    reason = data.get("reason") if isinstance(data, dict) else None
    param = data.get("param") if isinstance(data, dict) else None
    parts = [x[:120] for x in (param, reason) if isinstance(x, str)]
    return RpcError(method, number, said, " ".join(parts) or ("" if data is None else shown(data)))


def _no_answer(method: str, observed: str) -> NoAnswer:
    return NoAnswer(
        "NO_ANSWER",
        "the answer never came",
        where=method,
        observed=observed,
        not_done="nobody can say whether it was done",
    )


def _taken(task: asyncio.Task[None]) -> None:
    """What becomes of a frame nobody waits for shows in the connection itself."""
    if not task.cancelled():
        task.exception()
