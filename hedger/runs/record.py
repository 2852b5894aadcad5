"""`hedger record`: the market of one or several venues to a tape, part by part, and nothing else. No keys are
read.

Quotes are conflated to the newest of each listing in every `every_ms`; trades of others are all kept. After
each part the tape is sound and on the disk: whatever ends the recorder, it is the tape up to there. What was
not heard is put on record (`hedger.runs.recorder`). Of a long chain the options nearest the money are
subscribed to with their books, as in a run; the others are recorded as the venue sums them up. Each venue's
batches are its own; its clock's offset is told by the tape, venue by venue.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hedger.engine.logs import Log
from hedger.runs.following import Following
from hedger.runs.recorder import Recorder
from hedger.runs.venue_market import chosen, connected, listed
from hedger.runs.venue_setup import Adapter
from hedger.sections.venues import VenueName
from hedger.settings import Settings
from pricing.compiled import warm_up
from pricing.errors import Exit, InputError
from pricing.market import Marks
from pricing.universe import Universe
from venues.errors import Unreachable, VenueError
from venues.tape_files import refuse_existing
from venues.tape_growing import GrowingTape

#: The first part is short: where options are near is known only once the index has been heard.
_FIRST_PART_S = 2.0


@dataclass(frozen=True, slots=True)
class RecordOptions:
    """What the command line says. minutes None: until it is stopped. underlyings: none are all. every_ms:
    from batch to batch of a venue; part_s: from part to part."""

    venues: tuple[VenueName, ...]
    out: Path
    minutes: float | None = None
    underlyings: tuple[str, ...] = ()
    every_ms: float = 100.0
    part_s: float = 60.0


def record(
    options: RecordOptions, settings: Settings, now_ns: Callable[[], int]
) -> tuple[dict[str, Any], Exit]:
    """Record until the minutes are over or a signal comes; the document, and how it ended.

    Raises:
        InputError: the place to write is taken or cannot be written; no listing is chosen.
        TapeCutShort: the tape cannot be written any further, and is sound up to there.
        VenueError: the venue cannot be reached at the start, or its session ended for good.
    """
    refuse_existing(options.out)
    warm_up()  # before the first frame, not over it
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
    async with connected(settings, options.venues, keys=False) as venues:
        universe = _universe(venues, options, settings)
        tape = GrowingTape(options.out, universe.listings, tape_meta(options))
        recorder = Recorder(tape, universe, options.venues, now_ns())
        following = Following(venues, universe, settings.run.options_followed)
        following.choose((), {}, now_ns())
        log.say("recording", venue=", ".join(options.venues), count=len(universe))
        readers = {asyncio.create_task(_read(venue, recorder, options, now_ns)) for venue in venues}
        stopping = asyncio.create_task(stopped.wait())
        try:
            await _parts(recorder, venues, following, options, now_ns, {*readers, stopping}, log)
        finally:
            for task in (*readers, stopping):
                task.cancel()
            await asyncio.gather(*readers, stopping, return_exceptions=True)
            told_gaps(recorder, venues, now_ns())
            recorder.write(now_ns())
    if not recorder.tape.parts:
        raise Unreachable(
            "NOTHING_HEARD",
            "not one quote was heard",
            where=", ".join(options.venues),
            not_done="no tape was written",
            fix="record longer, or see whether the venue is open",
        )
    code = Exit.DONE
    if ended:
        code = Exit.INTERRUPTED if ended[0] == signal.SIGINT else Exit.TERMINATED
    document = {
        "tape": str(options.out),
        "venues": list(options.venues),
        "listings": len(universe),
        "parts": recorder.tape.parts,
        "batches": recorder.batches,
        "trades": recorder.trades,
        "outages": recorder.outages,
        "malformed": _counted(venues, "malformed"),
        "trades_left_out": _counted(venues, "trades_left_out"),
    }
    return document, code


def told_gaps(recorder: Recorder, venues: Iterable[Adapter], now_ns: int) -> None:
    """Put on record how often books have lost messages by now."""
    for venue in venues:
        recorder.gaps(venue.name, venue.quotes.counts.gaps if venue.quotes else 0, now_ns)


def _counted(venues: Iterable[Adapter], name: str) -> int | None:
    """A count of all adapters together; None where one of them does not keep it."""
    counts = [getattr(venue, name, None) for venue in venues]
    return None if None in counts else sum(count for count in counts if count is not None)


async def _parts(
    recorder: Recorder,
    venues: Sequence[Adapter],
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
        told_gaps(recorder, venues, now_ns())
        with suppress(VenueError):  # one that is not connected now: tried again at the next part
            following.choose((), recorder.spots, now_ns())
        if recorder.write(now_ns()):
            log.say("part written", count=recorder.tape.parts)


async def _read(
    venue: Adapter, recorder: Recorder, options: RecordOptions, now_ns: Callable[[], int]
) -> None:
    async for news in venue.stream():
        recorder.take(venue.name, news, now_ns())
        if isinstance(news, Marks):
            await next_batch(options.every_ms)
    raise Unreachable("STREAM_ENDED", "the venue's stream has ended", where=venue.name)


async def next_batch(every_ms: float) -> None:
    """Wait for the end of an interval; meanwhile an adapter keeps the newest quote of each listing."""
    every_s = every_ms / 1e3
    await asyncio.sleep(every_s - asyncio.get_running_loop().time() % every_s)


def _universe(venues: Sequence[Adapter], options: RecordOptions, settings: Settings) -> Universe:
    listings = listed(venues)
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


def tape_meta(options: RecordOptions) -> dict[str, Any]:
    """What `tape.json` says of a live recording."""
    return {
        "source": [{"name": f"{venue} (live)", "sha256": ""} for venue in options.venues],
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
