"""A kill where no engine runs: the orders are cancelled at the venues themselves, on a session of its own.

The session signs in and cancels at once: nothing is listed and no stream is joined first. A mass cancel
takes whatever rests on the account, whoever sent it. It is repeated until two reads in a row show no open
order: one read may come before an order that was still on its way. What came to nothing is tried again while
there is time, since a venue in trouble answers now and then. Every venue is asked by itself: one that does
not answer keeps no other from being cancelled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from hedger.runs.venue_market import in_time, venue_config
from hedger.runs.venue_setup import Canceller, canceller
from hedger.sections.venues import VenueName
from hedger.settings import Settings
from pricing.errors import HedgerError
from venues.errors import Locked, NotTheVenue, VenueError

ZERO_READS = 2
_PAUSE_S = 0.2


@dataclass(frozen=True, slots=True)
class Killed:
    """How a kill at the venues ended. live: orders still open where the venue said so. faults: by venue, of
    those that nobody knows this of."""

    live: int
    faults: Mapping[str, HedgerError] = field(default_factory=dict)

    @property
    def unanswered(self) -> tuple[str, ...]:
        """The venues that were asked and did not say."""
        return tuple(name for name, fault in self.faults.items() if isinstance(fault, VenueError))


def cancel_at_venues(settings: Settings, wait_s: float) -> Killed:
    """Cancel everything on every venue of the configuration, within `wait_s` or so; what became of it.

    A venue that does not answer, or whose key cannot be read, keeps no other from being cancelled.
    """
    return asyncio.run(_cancel(settings, wait_s))


async def _cancel(settings: Settings, wait_s: float) -> Killed:
    names = sorted(settings.venues)
    found = await asyncio.gather(*(_at(settings, name, wait_s) for name in names), return_exceptions=True)
    for one in found:
        if isinstance(one, BaseException) and not isinstance(one, HedgerError):
            raise one
    faults = {str(name): one for name, one in zip(names, found, strict=True) if isinstance(one, HedgerError)}
    return Killed(sum(one for one in found if isinstance(one, int)), faults)


async def _at(settings: Settings, name: VenueName, wait_s: float) -> int:
    config = venue_config(settings, name, keys=True)
    venue = canceller(name, config, start_s_max=settings.run.start_s_max)
    try:
        await in_time(venue.start_to_cancel(), settings.run.start_s_max, name)
        return await emptied(venue, wait_s)
    finally:
        await venue.close()


async def emptied(venue: Canceller, wait_s: float) -> int:
    """Cancel until two reads in a row show nothing, or so many seconds are over; what the last read showed.

    Raises:
        VenueError: nobody could say, to the end; Locked, NotTheVenue: at once, trying again mends neither.
    """
    loop = asyncio.get_running_loop()
    end_s, zeros = loop.time() + wait_s, 0
    while True:
        try:
            await venue.cancel_all()
            left = await venue.resting()
        except (Locked, NotTheVenue):
            raise
        except VenueError:
            if loop.time() >= end_s:
                raise
            zeros = 0
        else:
            zeros = 0 if left else zeros + 1
            if zeros >= ZERO_READS or (left and loop.time() >= end_s):
                return left
        await asyncio.sleep(_PAUSE_S)
