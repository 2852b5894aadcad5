"""`hedger doctor`: what must be right before anything is sent: what was looked at, and what was found.

A finding is `good`, `note` (something that a person should know) or `bad`. Live trading begins only where
none is bad. Nothing is changed: a file is written beside the journal and removed, and venues are only asked
(`hedger.runs.venue_checks`).
"""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import metadata
from pathlib import Path

from hedger.build import this_build
from hedger.journal.lock import build_of, holder
from hedger.runs.checks import Check, Finding, bad
from hedger.runs.venue_checks import examine_venues
from hedger.runs.venue_margin import check_limits_file, check_paper_margin
from hedger.settings import Settings
from pricing.daycount import NS_PER_SECOND
from venues.pins import PINNED

FSYNCS = 20
#: A decision waits for one of these each time it sends.
FSYNC_MS_MAX = 100.0
CLOCK_LOOK_S = 0.2
CLOCK_DRIFT_S_MAX = 0.05


def examine(settings: Settings, journal: Path) -> tuple[Check, ...]:
    """Everything: the configuration, the machine, and every venue that is configured."""
    return (*examine_machine(settings, journal), *asyncio.run(examine_venues(settings)))


def examine_machine(settings: Settings, journal: Path) -> tuple[Check, ...]:
    """What can be looked at without any venue."""
    return (
        check_build(this_build(), _holder(journal)),
        _configuration(settings),
        *([] if (limits := check_limits_file(settings)) is None else [limits]),
        *([] if (margin := check_paper_margin(settings, time.time_ns())) is None else [margin]),
        check_libraries(PINNED, installed),
        _clock(),
        *_disk(settings, journal),
        _terminal(),
    )


def _configuration(settings: Settings) -> Check:
    what, mode = "configuration", settings.run.mode
    names = ", ".join(sorted(settings.venues))
    live = mode == "live"
    if live and not settings.limits_file:
        return bad(
            what, "LIMITS_FILE", "hard limits are not named", where="limits_file", observed="none",
            allowed="a file of hard limits, which live trading needs", fix="write one, and name it there",
        )  # fmt: skip
    if live and not names:
        return bad(
            what, "VENUES", "there is no venue to trade on", where="venues", observed="none",
            allowed="a section [venues.NAME], which live trading needs", fix="add one, with its keys",
        )  # fmt: skip
    tests = ", ".join(sorted(name for name, config in settings.venues.items() if config.sandbox))
    if tests and len({config.sandbox for config in settings.venues.values()}) > 1:
        if live:
            return bad(
                what, "NETWORKS_MIXED", "a position on a test network would be hedged with real money",
                where="venues.*.sandbox", observed=f"true for {tests} alone",
                allowed="the same for all venues", fix="give the test networks a configuration of their own",
            )  # fmt: skip
        return Check(what, Finding.NOTE, f"sound; mode {mode}; sandbox is set for {tests} alone")
    return Check(what, Finding.GOOD, f"sound; mode {mode}; venues: {names or 'none, paper only'}")


def _holder(journal: Path) -> str | None:
    with suppress(OSError):  # a folder that cannot be looked into is found by another check
        return holder(journal)
    return None


def check_build(ours: str, held: str | None) -> Check:
    """Which build this is, and whether an engine that writes the journal is of the same.

    >>> check_build("0.2.0+ab", '{"pid": 7, "build": "0.2.0+cd"}').text
    '0.2.0+ab; the engine that runs is of build 0.2.0+cd, and takes `pause` and `kill` alone from this one'
    """
    engine = build_of(held) or "unknown"
    if held is None or engine == ours:
        return Check("build", Finding.GOOD, ours)
    told = f"the engine that runs is of build {engine}, and takes `pause` and `kill` alone from this one"
    return Check("build", Finding.NOTE, f"{ours}; {told}")


def installed(library: str) -> str | None:
    """The version that would be used; None: it is not there."""
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return None


def check_libraries(pins: Mapping[str, str], version_of: Callable[[str], str | None]) -> Check:
    """Each pinned library at its version: another reads a venue's answers otherwise.

    >>> check_libraries({"ccxt": "4.5.90"}, {"ccxt": "4.5.91"}.get).code
    'LIBRARY_VERSION'
    """
    found = {library: version_of(library) for library in pins}
    if wrong := {library: version for library, version in found.items() if version != pins[library]}:
        return bad(
            "libraries", "LIBRARY_VERSION", "another release of a library than the one this was tested with",
            observed=", ".join(f"{library} {version or 'missing'}" for library, version in wrong.items()),
            allowed=", ".join(f"{library} {pins[library]}" for library in wrong),
            fix="install the pinned releases: make",
        )  # fmt: skip
    told = ", ".join(f"{library} {version}" for library, version in found.items())
    return Check("libraries", Finding.GOOD, told)


def _clock() -> Check:
    wall, monotonic = time.time_ns(), time.monotonic_ns()
    time.sleep(CLOCK_LOOK_S)  # to be slept through: what is measured is how two clocks pass it
    drift_s = ((time.time_ns() - wall) - (time.monotonic_ns() - monotonic)) / NS_PER_SECOND
    text = f"the wall clock ran {1e3 * drift_s:+z.1f} ms against the monotonic one in {CLOCK_LOOK_S:g} s"
    figures = (("drift_s", drift_s),)
    if abs(drift_s) <= CLOCK_DRIFT_S_MAX:
        return Check("clock", Finding.GOOD, text, figures)
    return bad(
        "clock", "CLOCK_DRIFT", "the wall clock is being set", observed=f"{1e3 * drift_s:+z.1f} ms",
        allowed=f"{1e3 * CLOCK_DRIFT_S_MAX:g} ms against the monotonic one in {CLOCK_LOOK_S:g} s",
        fix="let the time service slew it instead of stepping it", figures=figures,
    )  # fmt: skip


def _disk(settings: Settings, journal: Path) -> tuple[Check, ...]:
    folder = journal.absolute().parent
    if not folder.is_dir():
        none = bad(
            "disk", "JOURNAL_FOLDER", "the journal's folder does not exist", where="--journal",
            observed=folder, allowed="a folder of your own", fix=f"mkdir -m 700 {folder}",
        )  # fmt: skip
        return (none,)
    return _fsync(folder), _free(settings, folder), _rights(folder)


def _fsync(folder: Path) -> Check:
    what, took_ms = "disk, sync", []
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".doctor-") as file:
            for _ in range(FSYNCS):
                file.write(b"\0" * 4096)
                file.flush()
                begun = time.perf_counter()
                os.fsync(file.fileno())
                took_ms.append(1e3 * (time.perf_counter() - begun))
    except OSError as error:
        return bad(
            what, "DISK_UNWRITABLE", "nothing can be written beside the journal", where=str(folder),
            observed=error.strerror, allowed="a folder with rights and space", fix="name another --journal",
        )  # fmt: skip
    worst, middle = max(took_ms), sorted(took_ms)[FSYNCS // 2]
    figures = (("median_ms", middle), ("slowest_ms", worst))
    text = f"{FSYNCS} writes made durable, median {middle:.2f} ms, slowest {worst:.2f} ms"
    if middle <= FSYNC_MS_MAX:
        return Check(what, Finding.GOOD, text, figures)
    return bad(
        what, "DISK_SLOW", "every decision would wait for the disk", where=str(folder), observed=text,
        allowed=f"a median of {FSYNC_MS_MAX:g} ms", fix="put the journal on a disk of this machine",
        figures=figures,
    )  # fmt: skip


def _free(settings: Settings, folder: Path) -> Check:
    free_mb = shutil.disk_usage(folder).free / 1e6
    least_mb = settings.run.watchdog.disk_mb_min
    figures = (("free_mb", free_mb),)
    if free_mb > 2 * least_mb:
        text = f"{free_mb:z,.0f} MB free beside the journal, the watchdog kills below {least_mb:z,.0f}"
        return Check("disk, space", Finding.GOOD, text, figures)
    return bad(
        "disk, space", "DISK_FULL", "there is little room for the journal", where=str(folder),
        observed=f"{free_mb:z,.0f} MB free", fix="make room, or name another --journal", figures=figures,
        allowed=f"more than {2 * least_mb:z,.0f} MB, twice what run.watchdog.disk_mb_min kills at",
    )  # fmt: skip


def _rights(folder: Path) -> Check:
    """Others who can write there can set or remove the kill latch, and give commands."""
    info, what = folder.stat(), "journal folder"
    mode, ours = stat.S_IMODE(info.st_mode), info.st_uid == os.geteuid()
    if mode & 0o022 or not ours:
        return bad(
            what, "JOURNAL_FOLDER_OPEN", "others can steer an engine from the journal's folder",
            where=str(folder), observed=f"mode {mode:04o}" + ("" if ours else ", of another user"),
            allowed="mode 0700, of the user who runs this", fix=f"chmod 700 {folder}",
        )  # fmt: skip
    text = f"the journal's folder {folder} has mode {mode:04o}"
    if mode & 0o077:
        return Check(what, Finding.NOTE, f"{text}: others can read it; chmod 700")
    return Check(what, Finding.GOOD, text)


def _terminal() -> Check:
    wide = shutil.get_terminal_size((0, 0))
    if not sys.stderr.isatty() or not wide.columns:
        return Check("terminal", Finding.NOTE, "none; output is plain")
    plain = ", NO_COLOR is set" if os.environ.get("NO_COLOR") else ""
    finding = Finding.GOOD if wide.columns >= 80 and wide.lines >= 24 else Finding.NOTE
    kind = os.environ.get("TERM", "unknown")
    return Check("terminal", finding, f"{kind}, {wide.columns} x {wide.lines}{plain}; 80 x 24 are needed")
