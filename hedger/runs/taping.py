"""The tape of a paper run on venues' public markets: what its paper venues were fed, batch by batch.

Beside it the tape keeps when the run did what (`hedger.runs.timetable`): when its paper venues were shown a
batch, which batches the engine found together, when it looked at them and when orders left. A replay with the
same book and settings goes by that, and decides, trades and fills as the run did, on a market that moves and
on several venues as well.

The run is fed what stands on the tape, no more: quotes that no venue has stamped are left out. It begins with
one batch of all that was known at the start, which is shown a second time once the engine is armed. When that
was stands in `tape.json`, option `armed_ns`, and the seed of drawn latencies in option `seed`.

A run that goes on with a journal of before, or under a kill latch, has no timetable: it began with more than
a tape knows. Its tape is replayed as any other, batch by batch.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from hedger.runs.record import RecordOptions, next_batch, tape_meta, told_gaps
from hedger.runs.recorder import Part, Recorder
from hedger.runs.timetable import Timetable
from hedger.runs.venue_setup import Adapter
from pricing.errors import InputError
from pricing.market import Marks
from pricing.universe import Universe
from venues.base import News
from venues.market_trades import MarketTrade
from venues.tape_growing import GrowingTape

#: The first part is short: whatever ends the run, there is a tape.
_FIRST_PART_S = 2.0
#: What is told of everything that a venue says: the venue's name, and what it says; what of it stands on the
#: tape, which is what the paper venue is fed.
Hear = Callable[[str, News], Marks | MarketTrade | None]


async def market_feed(
    venue: Adapter, opening: Marks, armed: Awaitable[int | None], hear: Hear | None, every_ms: float
) -> AsyncIterator[Marks | MarketTrade]:
    """A venue's public market as a paper venue takes it: quotes, trades of others, nothing of any account.

    opening: what was known at the start; nobody of ours rested when others traded before it. armed: waits for
    the engine, and says when it was armed; None: it is not. every_ms: from batch to batch; 0: as they come.
    """
    yield opening
    armed_ns = await armed
    if armed_ns is not None:
        yield replace(opening, now_ns=armed_ns)  # what could not be begun when it came can be now
    async for news in venue.stream():
        fed = news if isinstance(news, Marks | MarketTrade) else None
        if hear is not None:
            fed = hear(venue.name, news)
        if fed is not None:
            yield fed
        if every_ms and isinstance(news, Marks):
            await next_batch(every_ms)


class Taping:
    """One run on tape. now_ns: local time. timetable: of what it does; None: it goes on with what another run
    began, which no tape knows. opening: what paper venues are fed first."""

    def __init__(
        self,
        options: RecordOptions,
        universe: Universe,
        venues: Sequence[Adapter],
        opening: Marks,
        now_ns: Callable[[], int],
        seed: int,
        timetable: Timetable | None,
    ) -> None:
        self._options, self._venues, self._now_ns = options, venues, now_ns
        self._meta = tape_meta(options)
        self._meta["options"]["seed"] = seed
        self._timetable = timetable
        tape = GrowingTape(options.out, universe.listings, self._meta)
        self._recorder = Recorder(tape, universe, options.venues, opening.now_ns)
        self.opening = self._recorder.begin(opening) or opening
        self._writing: asyncio.Task[None] | None = None

    @property
    def every_ms(self) -> float:
        """From batch to batch of a venue."""
        return self._options.every_ms

    def hear(self, venue: str, news: News) -> Marks | MarketTrade | None:
        """Something that a paper venue is fed, or that is put on record of its market's link."""
        if self._timetable is not None:
            self._timetable.heard(news)
        return self._recorder.take(venue, news, self._now_ns())

    def start(self, armed: Awaitable[int | None], failed: Callable[[str], None]) -> None:
        """Write part after part from here on. armed: as of `market_feed`. failed: is told, once, why writing
        is not possible any more."""

        def ended(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and (failure := task.exception()) is not None:
                failed(f"the tape cannot be written: {failure}")

        self._writing = asyncio.create_task(self._parts(armed))
        self._writing.add_done_callback(ended)

    async def close(self) -> None:
        """Write the last part. Raises InputError or TapeCutShort: it could not be written, now or before."""
        if self._writing is not None:
            self._writing.cancel()
            with suppress(asyncio.CancelledError):
                await self._writing
        if self._timetable is not None:
            self._timetable.note("end")
        if (part := self._cut()) is not None:
            self._recorder.put(part)
        if self._timetable is not None:
            self._recorder.rest(self._timetable.cut())

    def document(self) -> dict[str, Any]:
        """What there is on the tape, for JSON."""
        recorder = self._recorder
        return {
            "path": str(self._options.out),
            "parts": recorder.tape.parts,
            "batches": recorder.batches,
            "trades": recorder.trades,
            "outages": recorder.outages,
        }

    async def _parts(self, armed: Awaitable[int | None]) -> None:
        armed_ns = await armed
        if armed_ns is not None:
            self._meta["options"]["armed_ns"] = armed_ns
        part_s = min(self._options.part_s, _FIRST_PART_S)
        while True:
            await asyncio.sleep(part_s)
            if (part := self._cut()) is not None:
                await self._put(part)
            part_s = self._options.part_s

    async def _put(self, part: Part) -> None:
        """Beside the engine, which is not to wait for a disk; a part that was begun is finished."""
        writing = asyncio.ensure_future(asyncio.to_thread(self._recorder.put, part))
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:
            await writing
            raise

    def _cut(self) -> Part | None:
        told_gaps(self._recorder, self._venues, self._now_ns())
        part = self._recorder.cut(self._now_ns())
        if part is not None and part.marks and self._timetable is not None:
            part.timetable = self._timetable.cut()
        return part


def check_taping(live: bool, feed: Sequence[str]) -> None:
    """Refuse a tape where none is to be had.

    Raises:
        InputError: of live trading, or of the simulated market.
    """
    if feed and not live:
        return
    raise InputError(
        "RECORD_NEEDS_FEED",
        "a run is taped whose market is venues' public one, with fills on paper",
        where="--record",
        observed='run.mode = "live"' if live else "run.feed is empty: the simulated market",
        allowed='run.mode = "paper" with run.feed = ["deribit"] or others',
        not_done="nothing was started",
        fix="live: `hedger record` beside it; of the simulated market: `hedger tape simulate`",
    )
