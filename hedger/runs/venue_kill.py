"""A kill where no engine runs: the orders are cancelled at the venues themselves, on a session of its own.

A mass cancel takes whatever rests on the account, whoever sent it. It is repeated until two reads in a row
show no open order: one read may come before an order that was still on its way.
"""

from __future__ import annotations

import asyncio

from hedger.runs.venue_market import connected
from hedger.runs.venue_setup import Adapter
from hedger.settings import Settings

ZERO_READS = 2
_PAUSE_S = 0.2


def cancel_at_venues(settings: Settings, wait_s: float) -> int:
    """Cancel everything on every venue of the configuration; how many orders are open after `wait_s` at most.

    Raises:
        InputError: a key cannot be read. VenueError: a venue does not answer: nobody can say what rests.
    """
    return asyncio.run(_cancel(settings, wait_s))


async def _cancel(settings: Settings, wait_s: float) -> int:
    names = sorted(settings.venues)
    async with connected(settings, names, keys=True) as venues:
        return sum(await asyncio.gather(*(_one(venue, wait_s) for venue in venues)))


async def _one(venue: Adapter, wait_s: float) -> int:
    loop = asyncio.get_running_loop()
    end_s, zeros = loop.time() + wait_s, 0
    while True:
        await venue.cancel_all()
        report = await venue.account(await venue.time_ns())
        left = sum(not order.state.terminal for order in report.orders)
        zeros = 0 if left else zeros + 1
        if zeros >= ZERO_READS or (left and loop.time() >= end_s):
            return left
        await asyncio.sleep(_PAUSE_S)
