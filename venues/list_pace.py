"""When a venue is asked again for what it lists: every so often, and soon after it has refused an order for
its form.

Its ticks, lots or smallest orders may be others than those known here, and every order until the next
question would be refused like the last.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from venues.orders import OrderState, OrderUpdate
from venues.wire.rejects import Reason

#: Reasons that speak of what is listed; of its ticks Deribit and OKX speak as of any wrong argument.
OF_THE_LIST = frozenset({Reason.TICK, Reason.LOT, Reason.MINIMUM, Reason.ARGUMENTS})
#: Two questions are so far apart at least, seconds, however many orders are refused.
BETWEEN_S = 10.0


class ListPace:
    """Waits from one question to the next."""

    def __init__(self, period_s: float) -> None:
        self._period_s, self._refused = period_s, asyncio.Event()

    def heard(self, update: OrderUpdate) -> OrderUpdate:
        """What a venue made of an order, handed on."""
        if update.state is OrderState.REJECTED and update.code in OF_THE_LIST:
            self._refused.set()
        return update

    async def wait(self) -> None:
        """Until the next question is due."""
        between_s = min(BETWEEN_S, self._period_s)
        await asyncio.sleep(between_s)
        with suppress(TimeoutError):
            async with asyncio.timeout(self._period_s - between_s):
                await self._refused.wait()
        self._refused.clear()
