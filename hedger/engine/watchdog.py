"""A process of its own that looks after the engine, and stops it when it cannot look after itself.

    loop       no sign of life for `stall_s_max` seconds: the loop hangs, or the process was stopped
    memory     resident memory above `memory_mb_max`
    disk       less than `disk_mb_min` free beside the journal
    journal    it grows by more than `journal_mb_per_h_max`
    clock      the system's clock was moved by more than `clock_step_s_max`

Whatever it finds, it sets the kill latch, with the reason: nothing new leaves from then on, and an engine
that still runs, or runs again, cancels everything. It sets it once; it takes nothing back. When the engine
has ended it ends as well: in order, or not (exit 1).
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from hedger.engine.heartbeat import Heartbeat, last_beat
from hedger.engine.logs import Log
from hedger.journal.kill_latch import KillLatch, Latched, LatchFailed
from hedger.sections.paper import WatchdogConfig
from pricing.daycount import NS_PER_SECOND
from pricing.errors import Exit

USER = "watchdog"
LOOK_S = 0.25
MB = 1e6
#: Growth of the journal is taken over so many seconds at least.
GROWTH_S_MIN = 60.0


@dataclass(frozen=True, slots=True)
class Vitals:
    """What the watchdog sees at one moment; None: cannot be seen. Bytes, and nanoseconds of its own clock."""

    monotonic_ns: int
    heartbeat: Heartbeat | None
    memory_bytes: int | None
    disk_free_bytes: int | None
    journal_bytes: int | None


@dataclass(frozen=True, slots=True)
class Finding:
    """Why the engine must not go on. code: stable."""

    code: str
    observed: str
    allowed: str

    @property
    def text(self) -> str:
        """In words."""
        return f"{self.code}: {self.observed}, allowed {self.allowed}"


def findings(first: Vitals, now: Vitals, config: WatchdogConfig) -> Iterator[Finding]:
    """What is wrong. first: when watching began. What cannot be seen is not wrong; a sign of life is due."""
    beat = now.heartbeat
    since_ns = first.monotonic_ns if beat is None else max(beat.monotonic_ns, first.monotonic_ns)
    silent_s = (now.monotonic_ns - since_ns) / NS_PER_SECOND
    if config.stall_s_max and silent_s > config.stall_s_max:
        yield Finding("LOOP_STALLED", f"no sign of life for {silent_s:.1f} s", f"{config.stall_s_max:g} s")
    if config.memory_mb_max and now.memory_bytes is not None and now.memory_bytes > config.memory_mb_max * MB:
        yield Finding("MEMORY", f"{now.memory_bytes / MB:.0f} MB", f"{config.memory_mb_max:g} MB")
    free = now.disk_free_bytes
    if config.disk_mb_min and free is not None and free < config.disk_mb_min * MB:
        yield Finding("DISK", f"{free / MB:.0f} MB free", f"at least {config.disk_mb_min:g} MB")
    hours = (now.monotonic_ns - first.monotonic_ns) / NS_PER_SECOND / 3600.0
    if (
        config.journal_mb_per_h_max
        and hours * 3600.0 >= GROWTH_S_MIN
        and now.journal_bytes is not None
        and first.journal_bytes is not None
    ):
        rate = (now.journal_bytes - first.journal_bytes) / MB / hours
        if rate > config.journal_mb_per_h_max:
            allowed = f"{config.journal_mb_per_h_max:g} MB an hour"
            yield Finding("JOURNAL_GROWTH", f"{rate:.0f} MB an hour", allowed)
    if config.clock_step_s_max and beat is not None:
        moved_s = abs(beat.stepped_ns) / NS_PER_SECOND
        if moved_s > config.clock_step_s_max:
            yield Finding("CLOCK_STEPPED", f"by {moved_s:.1f} s", f"{config.clock_step_s_max:g} s")


def look(journal: Path, pid: int) -> Vitals:
    """What is to be seen of an engine now; the sign of life of an earlier process is none."""
    beat = last_beat(journal)
    own = beat if beat is not None and beat.pid == pid else None
    return Vitals(time.monotonic_ns(), own, memory_of(pid), _free(journal), _size(journal))


def memory_of(pid: int) -> int | None:
    """Resident memory of a process, bytes; None where it cannot be told."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


def alive(pid: int) -> bool:
    """Whether a process is there; one that has ended and was not taken leave of is not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return False
    return state not in ("Z", "X")


def watch(
    journal: Path,
    pid: int,
    config: WatchdogConfig,
    latch: KillLatch,
    log: Log,
    pause: Callable[[float], None] = time.sleep,
) -> Exit:
    """Look after an engine until it has ended. DONE: in order; NEGATIVE: it had to be stopped, or died."""
    first = look(journal, pid)
    barked: set[str] = set()
    while alive(pid):
        now = look(journal, pid)
        if now.heartbeat is not None and now.heartbeat.closed:
            break
        for finding in findings(first, now, config):
            if finding.code not in barked:
                barked.add(finding.code)
                _bark(finding, latch, log)
        pause(LOOK_S)
    last = look(journal, pid).heartbeat
    if last is None or not last.closed:
        log.say("the engine has died", level=40, pid=pid, journal=journal.name)
        return Exit.NEGATIVE
    return Exit.NEGATIVE if barked else Exit.DONE


def _bark(finding: Finding, latch: KillLatch, log: Log) -> None:
    failed: LatchFailed | None = None
    try:  # before a word is said: whoever reads the words may be what hangs
        latch.set(Latched(time.time_ns(), USER, finding.text))
    except LatchFailed as error:
        failed = error
    log.say("killed", level=50, code=finding.code, observed=finding.observed, allowed=finding.allowed)
    if failed is not None:
        log.say("the kill latch could not be set", level=50, code=failed.code, text=failed.text())


def _free(journal: Path) -> int | None:
    try:
        return shutil.disk_usage(journal.parent).free
    except OSError:
        return None


def _size(journal: Path) -> int | None:
    """Bytes of a journal with its write-ahead log; None where there is none."""
    total = None
    for path in (journal, journal.with_name(journal.name + "-wal")):
        try:
            total = (total or 0) + path.stat().st_size
        except OSError:
            continue
    return total
