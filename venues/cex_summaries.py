"""Options that nobody subscribes to: a question or two per underlying instead of a stream of each.

Thousands of subscriptions fall behind the market while they still look alive, and most of a chain is neither
held nor traded. What such an answer does not tell (Binance: sizes) stays unknown; a question without an
answer leaves what was known to grow old.

The rows of an answer are of one moment, and each may bear the stamp of when it last changed: a touch that
rests for an hour is as old as the answer, not as the touch. So all rows of a kind are as new as the newest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence

import ccxt

from pricing.contracts import Kind, Listing
from pricing.market import CLOCK_OFFSET_NS_MAX
from venues.errors import VenueError
from venues.wire.frames import Frame
from venues.wire.quotes import Quote

Ask = Callable[[Sequence[Listing]], Awaitable[Frame]]


class CexSummaries:
    """Asks again and again. hear: gets what was told of the options that are followed, and of no others."""

    def __init__(
        self, ask: Ask, hear: Callable[[Frame], None], period_s: float, now_ns: Callable[[], int]
    ) -> None:
        self._ask, self._hear, self._period_s, self._now_ns = ask, hear, period_s, now_ns
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
                told = of_one_moment(frame.quotes, self._now_ns() + CLOCK_OFFSET_NS_MAX)
                frame.quotes = [quote for quote in told if quote.symbol in self._symbols]
                self._hear(frame)
            await asyncio.sleep(self._period_s if self._options else min(self._period_s, 1.0))


def of_one_moment(quotes: Iterable[Quote], latest_ns: int) -> list[Quote]:
    """Quotes of one answer, each with the newest stamp of its kind. Stamps later than `latest_ns` are faults,
    and stay what they are."""
    known = list(quotes)
    newest: dict[frozenset[str] | None, int] = {}
    for quote in known:
        if quote.venue_ns <= latest_ns:
            newest[quote.told] = max(newest.get(quote.told, 0), quote.venue_ns)
    return [
        quote._replace(venue_ns=newest[quote.told]) if quote.venue_ns <= latest_ns else quote
        for quote in known
    ]
