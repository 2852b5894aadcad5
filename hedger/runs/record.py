"""`hedger record`: a venue's market to a tape, part by part, and nothing else. No keys are read.

Quotes are conflated to the newest of each listing in every `every_ms`; trades of others are all kept. After
each part the tape is sound and on the disk: whatever ends the recorder, it is the tape up to there. What was
not heard is put on record as an outage: the link, books that lost messages, and times in which nothing came
at all. Of a long chain the options nearest the money are subscribed to with their books, as in a run; the
others are recorded as the venue sums them up.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hedger.engine.logs import Log
from hedger.runs.following import Following
from hedger.runs.venue_market import chosen, connected, listed
from hedger.runs.venue_setup import Adapter
from hedger.sections.venues import VenueName
from hedger.settings import Settings
from pricing.daycount import NS_PER_SECOND
from pricing.errors import Exit, InputError
from pricing.market import Marks
from pricing.universe import Universe
from venues.base import News
from venues.errors import Unreachable
from venues.market_trades import MarketTrade
from venues.orders import Link, VenueStatus
from venues.tape_files import refuse_existing
from venues.tape_growing import GrowingTape, Outage
from venues.tape_rows import rows_of, trade_rows

#: The first part is short: where options are near is known only once the index has been heard.
_FIRST_PART_S = 2.0


@dataclass(frozen=True, slots=True)
class RecordOptions:
    """What the command line says. minutes None: until it is stopped. underlyings: none are all. every_ms:
    from batch to batch; part_s: from part to part; silent_s: without any news, that is an outage."""

    venue: VenueName
    out: Path
    minutes: float | None = None
    underlyings: tuple[str, ...] = ()
    every_ms: float = 100.0
    part_s: float = 60.0
    silent_s: float = 10.0


@dataclass(slots=True)
class _Rows:
    """The batches and trades of a part that is not written yet."""

    marks: list[tuple[int, Marks]] = field(default_factory=list)
    trades: list[MarketTrade] = field(default_factory=list)
    outages: list[Outage] = field(default_factory=list)


class Recorder:
    """Marks, trades of others and link news to a growing tape. now_ns: local time."""

    def __init__(self, tape: GrowingTape, universe: Universe, options: RecordOptions, begun_ns: int) -> None:
        self.tape, self._universe, self._options = tape, universe, options
        self._rows = _Rows()
        self._down: tuple[int, str] | None = None
        self._heard_ns = self._last_ns = begun_ns
        self._gaps = 0
        self.batches = self.trades = self.outages = 0
        self.spots: dict[str, float] = {}

    def take(self, news: News, now_ns: int) -> None:
        """Something was heard."""
        if isinstance(news, VenueStatus):
            self._link(news, now_ns)
        elif isinstance(news, MarketTrade):
            self._rows.trades.append(news)
        if not isinstance(news, Marks):
            return
        self._silence(now_ns)
        self._heard_ns = self._last_ns = max(
            news.now_ns, self._last_ns
        )  # local time never goes back on a tape
        known = news.index > 0
        codes = self._universe.underlying[news.rows[known]].tolist()
        names = self._universe.underlyings
        self.spots.update(zip((names[c] for c in codes), news.index[known].tolist(), strict=True))
        if (news.venue_ns > 0).any():
            self._rows.marks.append((self._last_ns, news))

    def gaps(self, count: int, now_ns: int) -> None:
        """So many times a book has lost a message, since the start."""
        if count > self._gaps:
            text = (
                f"{count - self._gaps} books lost messages; their depth is left out until the next snapshot"
            )
            self._note(Outage(self._heard_ns, now_ns, text))
            self._gaps = count

    def write(self, now_ns: int) -> bool:
        """Write what there is as a part; whether there was anything. Raises InputError: it cannot be."""
        self._silence(now_ns)
        if self._down is not None:
            self._note(Outage(self._down[0], now_ns, self._down[1]))
            self._down = now_ns, self._down[1]
        rows, self._rows = self._rows, _Rows()
        if not rows.marks:
            self._rows.trades = rows.trades
            if self.tape.parts:
                self.tape.note(rows.outages)
            else:
                self._rows.outages = rows.outages
            return False
        quotes, depth = rows_of(self._universe, rows.marks, self.batches)
        self.tape.add(quotes, depth, rows.outages, trade_rows(rows.trades))
        self.batches += len(rows.marks)
        self.trades += len(rows.trades)
        return True

    def _silence(self, now_ns: int) -> None:
        if now_ns - self._heard_ns >= self._options.silent_s * NS_PER_SECOND:
            self._note(Outage(self._heard_ns, now_ns, "nothing was heard"))
            self._heard_ns = now_ns

    def _link(self, status: VenueStatus, now_ns: int) -> None:
        if status.link is Link.UP:
            if self._down is not None:
                self._note(Outage(self._down[0], now_ns, self._down[1]))
            self._down = None
        elif self._down is None:
            self._down = now_ns, f"the link is {status.link}: {status.text}".rstrip(": ")

    def _note(self, outage: Outage) -> None:
        self._rows.outages.append(outage)
        self.outages += 1


def record(
    options: RecordOptions, settings: Settings, now_ns: Callable[[], int]
) -> tuple[dict[str, Any], Exit]:
    """Record until the minutes are over or a signal comes; the document, and how it ended.

    Raises:
        InputError: the place to write is taken or cannot be written; no listing is chosen.
        VenueError: the venue cannot be reached at the start, or its session ended for good.
    """
    refuse_existing(options.out)
    return asyncio.run(_record(options, settings, now_ns))


async def _record(
    options: RecordOptions, settings: Settings, now_ns: Callable[[], int]
) -> tuple[dict[str, Any], Exit]:
    log, stopped = Log(name="hedger.record"), asyncio.Event()
    ended: list[int] = []

    def stop(number: int) -> None:
        ended.append(number)
        stopped.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop, int(number))
    async with connected(settings, [options.venue], keys=False) as (venue,):
        universe = await _universe(venue, options, settings)
        recorder = Recorder(
            GrowingTape(options.out, universe.listings, _meta(options)), universe, options, now_ns()
        )
        following = Following([venue], universe, settings.run.options_followed)
        following.choose((), {}, now_ns())
        log.say("recording", venue=venue.name, count=len(universe))
        reader = asyncio.create_task(_read(venue, recorder, options, now_ns))
        stopping = asyncio.create_task(stopped.wait())
        try:
            await _parts(recorder, venue, following, options, now_ns, {reader, stopping}, log)
        finally:
            for task in (reader, stopping):
                task.cancel()
            await asyncio.gather(reader, stopping, return_exceptions=True)
            recorder.gaps(venue.quotes.counts.gaps if venue.quotes else 0, now_ns())
            recorder.write(now_ns())
        if reader.done() and not reader.cancelled() and reader.exception() is None:
            raise Unreachable("STREAM_ENDED", "the venue's stream has ended", where=venue.name)
    if not recorder.tape.parts:
        raise Unreachable(
            "NOTHING_HEARD",
            "not one quote was heard",
            where=options.venue,
            not_done="no tape was written",
            fix="record longer, or see whether the venue is open",
        )
    code = Exit.DONE
    if ended:
        code = Exit.INTERRUPTED if ended[0] == signal.SIGINT else Exit.TERMINATED
    document = {
        "tape": str(options.out),
        "venue": options.venue,
        "listings": len(universe),
        "parts": recorder.tape.parts,
        "batches": recorder.batches,
        "trades": recorder.trades,
        "outages": recorder.outages,
        "malformed": getattr(venue, "malformed", None),
        "trades_left_out": getattr(venue, "trades_left_out", None),
    }
    return document, code


async def _parts(
    recorder: Recorder,
    venue: Adapter,
    following: Following,
    options: RecordOptions,
    now_ns: Callable[[], int],
    ends: Collection[asyncio.Task[Any]],
    log: Log,
) -> None:
    """Write part after part until the time is over, somebody stops it, or the stream ends."""
    loop = asyncio.get_running_loop()
    end_s = None if options.minutes is None else loop.time() + options.minutes * 60
    while end_s is None or loop.time() < end_s:
        part_s = options.part_s if recorder.spots else min(options.part_s, _FIRST_PART_S)
        wait_s = part_s if end_s is None else min(part_s, max(end_s - loop.time(), 0.0))
        done, _ = await asyncio.wait(ends, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        if done:
            return
        recorder.gaps(venue.quotes.counts.gaps if venue.quotes else 0, now_ns())
        following.choose((), recorder.spots, now_ns())
        if recorder.write(now_ns()):
            log.say("part written", count=recorder.tape.parts)


async def _read(
    venue: Adapter, recorder: Recorder, options: RecordOptions, now_ns: Callable[[], int]
) -> None:
    loop = asyncio.get_running_loop()
    stream: AsyncIterator[News] = venue.stream()
    async for news in stream:
        recorder.take(news, now_ns())
        if isinstance(news, Marks):  # meanwhile the adapter keeps the newest of each listing
            every_s = options.every_ms / 1e3
            with suppress(asyncio.TimeoutError):
                await asyncio.sleep(every_s - loop.time() % every_s)


async def _universe(venue: Adapter, options: RecordOptions, settings: Settings) -> Universe:
    listings = await listed([venue])
    known = sorted({x.contract.underlying for x in listings})
    strange = [name for name in options.underlyings if name not in known]
    picked = chosen(listings, options.underlyings or known)
    if strange or not picked:
        raise InputError(
            "RECORD_UNDERLYING",
            "nothing is listed on it",
            where="--underlying",
            observed=", ".join(strange) or "nothing",
            allowed=", ".join(known),
            not_done="nothing was recorded",
            fix="name underlyings of the venue, or none for all",
        )
    return settings.with_fees(Universe.of(picked))


def _meta(options: RecordOptions) -> dict[str, Any]:
    return {
        "source": [{"name": f"{options.venue} (live)", "sha256": ""}],
        "options": {
            "every_ms": options.every_ms,
            "part_s": options.part_s,
            "underlyings": list(options.underlyings),
        },
        "notes": [
            f"recorded live: the newest quote of each listing in every {options.every_ms:g} ms",
            "trades of others are as the venue's stream tells them; block trades are left out",
            "a forward's name is its kind alone: the venue's own name is not kept",
        ],
    }
