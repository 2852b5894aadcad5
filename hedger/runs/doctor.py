"""`hedger doctor`: what must be right before anything is sent: what was looked at, and what was found.

A finding is `good`, `note` (something that a person should know) or `bad`. Live trading begins only where
none is bad. Nothing is changed: a file is written beside the journal and removed, and venues are only asked.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from hedger.runs.venue_market import started, venue_config
from hedger.runs.venue_setup import Adapter, adapter
from hedger.sections.venues import VenueName
from hedger.settings import Settings
from pricing.daycount import NS_PER_SECOND
from pricing.errors import HedgerError
from venues.errors import Locked, VenueError
from venues.key_scopes import read_scopes

FSYNCS = 20
#: A decision waits for one of these each time it sends.
FSYNC_MS_MAX = 100.0
#: A quote's age, and a signature's, are told by both clocks.
OFFSET_S_MAX = 1.0
CLOCK_LOOK_S = 0.2
CLOCK_DRIFT_S_MAX = 0.05
ANSWERS = 3


class Finding(StrEnum):
    """How a check ended."""

    GOOD = "good"
    NOTE = "note"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Check:
    """One line: what was looked at, how it is, and what was found in words. figure: in the unit of its
    name, None where it cannot be told."""

    what: str
    finding: Finding
    text: str
    figures: tuple[tuple[str, float | None], ...] = ()

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return {"check": self.what, "finding": str(self.finding), "text": self.text, **dict(self.figures)}


def examine(settings: Settings, journal: Path) -> tuple[Check, ...]:
    """Everything: the configuration, the machine, and every venue that is configured."""
    return (*examine_machine(settings, journal), *asyncio.run(_venues(settings)))


def examine_machine(settings: Settings, journal: Path) -> tuple[Check, ...]:
    """What can be looked at without any venue."""
    return (_configuration(settings), _clock(), *_disk(settings, journal), _terminal())


def _configuration(settings: Settings) -> Check:
    names = ", ".join(sorted(settings.venues))
    text = f"sound; mode {settings.run.mode}"
    if settings.run.mode == "live" and not settings.limits_file:
        return Check("configuration", Finding.BAD, f"{text}; limits_file is not named, and live needs one")
    if settings.run.mode == "live" and not names:
        return Check("configuration", Finding.BAD, f"{text}; no [venues.NAME], and live needs one")
    return Check("configuration", Finding.GOOD, f"{text}; venues: {names or 'none, paper only'}")


def _clock() -> Check:
    wall, monotonic = time.time_ns(), time.monotonic_ns()
    time.sleep(CLOCK_LOOK_S)
    drift_s = ((time.time_ns() - wall) - (time.monotonic_ns() - monotonic)) / NS_PER_SECOND
    text = f"the wall clock ran {1e3 * drift_s:+.1f} ms against the monotonic one in {CLOCK_LOOK_S:g} s"
    good = abs(drift_s) <= CLOCK_DRIFT_S_MAX
    return Check("clock", Finding.GOOD if good else Finding.BAD, text, (("drift_s", drift_s),))


def _disk(settings: Settings, journal: Path) -> tuple[Check, ...]:
    folder = journal.absolute().parent
    if not folder.is_dir():
        return (Check("disk", Finding.BAD, f"the journal's folder {folder} does not exist"),)
    return _fsync(folder), _free(settings, folder), _rights(folder)


def _fsync(folder: Path) -> Check:
    took_ms = []
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".doctor-") as file:
            for _ in range(FSYNCS):
                file.write(b"\0" * 4096)
                file.flush()
                begun = time.perf_counter()
                os.fsync(file.fileno())
                took_ms.append(1e3 * (time.perf_counter() - begun))
    except OSError as error:
        return Check("disk, sync", Finding.BAD, f"cannot be written beside the journal: {error.strerror}")
    worst, middle = max(took_ms), sorted(took_ms)[FSYNCS // 2]
    finding = Finding.GOOD if middle <= FSYNC_MS_MAX else Finding.BAD
    text = f"{FSYNCS} writes made durable, median {middle:.2f} ms, slowest {worst:.2f} ms"
    return Check("disk, sync", finding, text, (("median_ms", middle), ("slowest_ms", worst)))


def _free(settings: Settings, folder: Path) -> Check:
    free_mb = shutil.disk_usage(folder).free / 1e6
    least_mb = settings.run.watchdog.disk_mb_min
    text = f"{free_mb:,.0f} MB free beside the journal, the watchdog kills below {least_mb:,.0f}"
    finding = Finding.GOOD if free_mb > 2 * least_mb else Finding.BAD
    return Check("disk, space", finding, text, (("free_mb", free_mb),))


def _rights(folder: Path) -> Check:
    """Others who can write there can set or remove the kill latch, and give commands."""
    info = folder.stat()
    mode, live = stat.S_IMODE(info.st_mode), info.st_uid == os.geteuid()
    text = f"the journal's folder {folder} has mode {mode:04o}"
    if mode & 0o022 or not live:
        whose = "" if live else " and belongs to another user"
        return Check("journal folder", Finding.BAD, f"{text}{whose}: others can steer an engine; chmod 700")
    if mode & 0o077:
        return Check("journal folder", Finding.NOTE, f"{text}: others can read it; chmod 700")
    return Check("journal folder", Finding.GOOD, text)


def _terminal() -> Check:
    wide = shutil.get_terminal_size((0, 0))
    if not sys.stderr.isatty() or not wide.columns:
        return Check("terminal", Finding.NOTE, "none; output is plain")
    plain = ", NO_COLOR is set" if os.environ.get("NO_COLOR") else ""
    finding = Finding.GOOD if wide.columns >= 80 and wide.lines >= 24 else Finding.NOTE
    kind = os.environ.get("TERM", "unknown")
    return Check("terminal", finding, f"{kind}, {wide.columns} x {wide.lines}{plain}; 80 x 24 are needed")


# ---------------------------------------------------------------------------------------------------- venues


async def _venues(settings: Settings) -> tuple[Check, ...]:
    if not settings.venues:
        return (Check("venues", Finding.GOOD, "none configured: paper only, nothing can be sent"),)
    found = await asyncio.gather(*(_venue(settings, name) for name in sorted(settings.venues)))
    return tuple(check for checks in found for check in checks)


async def _venue(settings: Settings, name: VenueName) -> list[Check]:
    """One venue, by an adapter of its own."""
    try:
        venue = adapter(name, venue_config(settings, name, keys=True))
    except HedgerError as error:
        return [Check(f"{name}, keys", Finding.BAD, error.text())]
    try:
        await started(venue, settings.run.start_s_max)
        return await examine_venue(settings, name, venue)
    except Locked as error:
        return [Check(f"{name}, key", Finding.BAD, error.text())]
    except VenueError as error:
        return [Check(f"{name}, reachable", Finding.BAD, error.text())]
    finally:
        await venue.close()


async def examine_venue(settings: Settings, name: VenueName, venue: Adapter) -> list[Check]:
    """An adapter that has been started: reachable, its clock, its key, its dead man's switch."""
    config = settings.venues[name]
    net = config.url or ("its test network" if config.sandbox else "live")
    found = []
    try:
        begun = time.perf_counter()
        await venue.time_ns()
        took_s = time.perf_counter() - begun
        unread = len(getattr(venue, "refused", {}))
        text = f"{net}, answers in {took_s:.3f} s" + (f", {unread} listings unread" if unread else "")
        found.append(Check(f"{name}, reachable", Finding.GOOD, text, (("answer_s", took_s),)))
        found.append(await _offset(name, venue))
        found += await _key(settings, name, venue)
    except VenueError as error:
        found.append(Check(f"{name}, answers", Finding.BAD, error.text()))
    return found


async def _offset(name: str, venue: Adapter) -> Check:
    """The venue's clock less ours: of some answers that which came fastest, as known as half of its time."""
    best: tuple[float, float] | None = None
    for _ in range(ANSWERS):
        sent = time.time_ns()
        told = await venue.time_ns()
        back = time.time_ns()
        half_s = (back - sent) / 2 / NS_PER_SECOND
        offset_s = (told - (sent + back) / 2) / NS_PER_SECOND
        if best is None or half_s < best[1]:
            best = offset_s, half_s
    assert best is not None
    offset_s, half_s = best
    good = abs(offset_s) - half_s <= OFFSET_S_MAX
    text = f"the venue's clock less ours: {offset_s:+.3f} s, +- {half_s:.3f} s; at most {OFFSET_S_MAX:g}"
    return Check(f"{name}, clock", Finding.GOOD if good else Finding.BAD, text, (("offset_s", offset_s),))


async def _key(settings: Settings, name: VenueName, venue: Adapter) -> Sequence[Check]:
    what = f"{name}, key"
    live = settings.run.mode == "live"
    words = await venue.scopes()
    if not words:
        text = "no key: its market alone, nothing can be sent"
        return [Check(what, Finding.BAD if live else Finding.NOTE, text)]
    scopes = read_scopes(name, words)
    if scopes.moves_money:
        told = ", ".join(scopes.moves_money)
        text = f"REFUSED: it can withdraw or transfer ({told}); make one that can read and trade alone"
        return [Check(what, Finding.BAD, text)]
    if not scopes.safe:
        text = f"REFUSED: what it can do is not known: {', '.join(scopes.unknown) or 'no word of it'}"
        return [Check(what, Finding.BAD, text)]
    if not scopes.trades:
        text = "it can read and not trade"
        return [Check(what, Finding.BAD if live else Finding.NOTE, text)]
    text = "it can read and trade, and neither withdraw nor transfer"
    return [Check(what, Finding.GOOD, text), _dead_man(name, venue), await _own_trades(name, venue)]


async def _own_trades(name: str, venue: Adapter) -> Check:
    what = f"{name}, self-trade prevention"
    if await venue.prevents_self_trades():
        return Check(what, Finding.GOOD, "the venue says that it is on")
    return Check(what, Finding.BAD, "the venue does not say that it is on; switch it on there")


def _dead_man(name: str, venue: Adapter) -> Check:
    seconds = venue.capabilities.dead_man_s
    if seconds is None:
        text = "the venue does not promise to cancel when we fall silent"
        return Check(f"{name}, dead man's switch", Finding.BAD, text)
    text = f"the venue cancels {seconds:g} s after we fall silent"
    return Check(f"{name}, dead man's switch", Finding.GOOD, text, (("dead_man_s", seconds),))
