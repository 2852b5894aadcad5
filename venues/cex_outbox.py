"""What is to be joined and left on a venue's connections: several channels in a message, at the venue's pace.

One message a channel would take minutes for a thousand of them, and more messages than venues take: Binance
ends a connection that says more than five things a second, OKX takes 480 messages an hour.

What is to be said waits a moment for company and leaves in order: joins go with the joins around them,
farewells with farewells. A channel that broke while it waited is not joined: its own task does that anew.
Where a venue refuses a message of several channels, it need not say which of them it means: whoever asks by
the message's name learns which were in it, and says each of them alone. All in a message have one stamp: what
left first is answered first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from typing import Any

import ccxt

from venues.cex_dialect import Dialect, bundle_name

#: What is said within so many seconds goes in one message.
_MOMENT_S = 0.01


@dataclass(slots=True)
class Word:
    """One channel's join or farewell. together: how many may go in one message with it. broken: done where
    the channel has broken. sent_s: when it left, loop's time."""

    key: str
    joins: bool
    message: Mapping[str, Any]
    together: int
    broken: asyncio.Future[Any] | None = None
    sent_s: float | None = None


class Outbox:
    """One venue's. connection: gives the library's own of an address, None where there is none."""

    def __init__(
        self,
        dialect: Dialect,
        connection: Callable[[str], Any],
        run: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self._dialect, self._connection, self._run = dialect, connection, run
        self._waiting: dict[str, list[Word]] = {}
        self._numbers = count(1)
        self._unanswered: dict[str, tuple[Any, tuple[str, ...]]] = {}

    def put(self, url: str, word: Word) -> None:
        """Say it with whatever else is to be said to this connection in a moment."""
        waiting = self._waiting.get(url)
        if waiting is not None:
            waiting.append(word)
            return
        self._waiting[url] = [word]
        self._run(self._say(url))

    def keys(self, name: str) -> tuple[str, ...]:
        """The channels that the message of this name joins; a name that is of none is a channel's own key."""
        known = self._unanswered.pop(name, None)
        return (name,) if known is None else known[1]

    async def _say(self, url: str) -> None:
        try:
            await asyncio.sleep(_MOMENT_S)
            while self._waiting[url]:
                connection = self._connection(url)
                if connection is None:  # it is gone, and its subscriptions with it
                    return
                if words := _company(self._waiting[url]):
                    await connection.throttle(1)
                    await self._send(connection, [word for word in words if not _broken(word)])
                    await asyncio.sleep(self._dialect.say_pause_s)
        finally:
            del self._waiting[url]

    async def _send(self, connection: Any, words: list[Word]) -> None:
        if not words:
            return
        number = next(self._numbers)
        self._unanswered = {  # of what is gone no answer comes
            name: known
            for name, known in self._unanswered.items()
            if known[0] is self._connection(known[0].url)
        }
        keys = tuple(word.key for word in words if word.joins)
        self._unanswered[bundle_name(number)] = connection, keys
        sent_s = asyncio.get_running_loop().time()
        for word in words:
            word.sent_s = sent_s
        with suppress(ccxt.BaseError, OSError):
            await connection.send(self._dialect.bundle([word.message for word in words], number))


def _company(waiting: list[Word]) -> list[Word]:
    """The first that wait and may go in one message; they wait no more."""
    together: list[Word] = []
    while waiting:
        word = waiting[0]
        if _broken(word):
            del waiting[0]
            continue
        if together and word.joins is not together[0].joins:
            break
        if len(together) >= min(word.together, together[0].together if together else word.together):
            break
        together.append(waiting.pop(0))
    return together


def _broken(word: Word) -> bool:
    return word.broken is not None and word.broken.done()
