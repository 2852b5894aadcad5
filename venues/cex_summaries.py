"""Options that nobody subscribes to: a question or two per underlying instead of a stream of each.

Thousands of subscriptions fall behind the market while they still look alive, and most of a chain is neither
held nor traded. What such an answer does not tell (Binance: sizes) stays unknown; a question without an
answer leaves what was known to grow old.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence

import ccxt

from pricing.contracts import Kind, Listing
from venues.errors import VenueError
from venues.wire.frames import Frame

Ask = Callable[[Sequence[Listing]], Awaitable[Frame]]


class CexSummaries:
    """Asks again and again. hear: gets what was told of the options that are followed, and of no others."""

    def __init__(self, ask: Ask, hear: Callable[[Frame], None], period_s: float) -> None:
        self._ask, self._hear, self._period_s = ask, hear, period_s
        self._options: tuple[Listing, ...] = ()
        self._symbols: frozenset[str] = frozenset()

    def follow(self, listings: Collection[Listing]) -> None:
        """The options among these, and no others."""
        self._options = tuple(x for x in listings if x.contract.kind is Kind.OPTION)
        self._symbols = frozenset(x.symbol for x in self._options)

    async def poll(self) -> None:
        """Never ends."""
        while True:
            if self._options:
                try:
                    frame = await self._ask(self._options)
                except (ccxt.BaseError, VenueError):
                    frame = Frame()
                frame.quotes = [quote for quote in frame.quotes if quote.symbol in self._symbols]
                self._hear(frame)
            await asyncio.sleep(self._period_s if self._options else min(self._period_s, 1.0))
