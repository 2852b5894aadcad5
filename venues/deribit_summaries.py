"""Deribit's options that nobody subscribes to: one question per currency instead of a ticker of each.

Thousands of ticker subscriptions fall behind the market after some hours while they still look alive. A
summary tells mark, vol, forward and the touch of every option of a currency at one time, without sizes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Any

from pricing.contracts import Kind, Listing
from venues.errors import VenueError

Ask = Callable[[str, dict[str, Any]], Awaitable[Any]]


class DeribitSummaries:
    """Asks again and again. hear: gets the rows of the options that are followed."""

    def __init__(self, ask: Ask, hear: Callable[[Iterable[object]], None], period_s: float) -> None:
        self._ask, self._hear, self._period_s = ask, hear, period_s
        self._currencies: tuple[str, ...] = ()
        self._symbols: frozenset[str] = frozenset()

    def follow(self, listings: Collection[Listing]) -> None:
        """The options among these, and no others."""
        options = [x for x in listings if x.contract.kind is Kind.OPTION]
        self._symbols = frozenset(x.symbol for x in options)
        self._currencies = tuple(sorted({x.contract.settlement for x in options}))

    async def poll(self) -> None:
        """Never ends. A question without an answer leaves what was known to grow old."""
        while True:
            for currency in self._currencies:
                try:
                    rows = await self._ask(
                        "public/get_book_summary_by_currency", {"currency": currency, "kind": "option"}
                    )
                except VenueError:
                    continue
                if isinstance(rows, list):
                    self._hear(row for row in rows if self._followed(row))
            await asyncio.sleep(self._period_s if self._currencies else min(self._period_s, 1.0))

    def _followed(self, row: object) -> bool:
        """What names no option is passed on, to be counted as unreadable."""
        name = row.get("instrument_name") if isinstance(row, dict) else None
        return not isinstance(name, str) or name in self._symbols
