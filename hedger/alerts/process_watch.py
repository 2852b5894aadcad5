"""What is seen without the journal's records: the engine's process and its sign of life, the kill latch, its
mode, the disk, the age of the marks. Everything here stands, or does not."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from hedger.alerts.notices import Notice, own_notice
from hedger.core.actions import Severity
from hedger.core.by_whom import by_whom, reason_given
from hedger.desk.engine_state import next_start
from hedger.engine.heartbeat import Heartbeat, last_beat
from hedger.journal.entries import ModeChange, Pause
from hedger.journal.kill_latch import FileLatch, Latched
from hedger.journal.lock import holder, pid_of
from hedger.sections.alerts import AlertsConfig
from pricing.daycount import NS_PER_SECOND

MB = 1e6


@dataclass(frozen=True, slots=True)
class ProcessSight:
    """One look. now_ns: UTC; monotonic_ns: of this machine. pid: of the process that writes the journal, 0
    unknown, None: there is none. watched_ns: since when that process is known to be there, monotonic.
    replaced: another file, or none, stands where the journal was that is read."""

    now_ns: int
    monotonic_ns: int
    pid: int | None
    watched_ns: int
    beat: Heartbeat | None
    latched: Latched | None
    disk_free_bytes: int | None
    replaced: bool = False

    @property
    def running(self) -> bool:
        """Whether a process writes the journal."""
        return self.pid is not None


class ProcessWatcher:
    """Looks, and remembers since when the process that it sees is there."""

    def __init__(self, journal: Path) -> None:
        self._journal, self._latch = journal, FileLatch(journal)
        self._seen: tuple[int | None, int] = (None, 0)
        self._file = _file(journal)

    def look(self, now_ns: int, monotonic_ns: int) -> ProcessSight:
        """What is there now."""
        pid = _pid(self._journal)
        if self._seen[0] != pid:
            self._seen = (pid, monotonic_ns)
        return ProcessSight(
            now_ns,
            monotonic_ns,
            pid,
            self._seen[1],
            last_beat(self._journal),
            self._latch.found(),
            _free(self._journal),
            _file(self._journal) != self._file,
        )


def silent_s(sight: ProcessSight) -> float:
    """Seconds since the last sign of life of the process that writes the journal."""
    since_ns = sight.watched_ns
    beat = sight.beat
    if beat is not None and beat.pid == sight.pid:
        if beat.monotonic_ns > sight.monotonic_ns:  # of another start of the machine, or of another machine
            return (sight.now_ns - beat.now_ns) / NS_PER_SECOND
        since_ns = max(since_ns, beat.monotonic_ns)
    return (sight.monotonic_ns - since_ns) / NS_PER_SECOND


def standing(
    sight: ProcessSight,
    mode: ModeChange | None,
    config: AlertsConfig,
    pause: Pause | None = None,
    *,
    trading: str = "paper",
) -> Iterator[Notice]:
    """What stands, as far as it is seen from outside. What cannot be seen is not told, but a process without
    a sign of life is. trading: what the journal is of."""
    yield from _process(sight, mode, config)
    if sight.replaced:
        text = "another file stands in the journal's place, or none; what is read is the old one"
        yield own_notice("JOURNAL_REPLACED", text)
    if sight.latched is not None:
        yield own_notice("KILLED", f"killed by {by_whom(sight.latched.user, sight.latched.reason)}")
    if mode is not None:
        told = _mode(mode, pause)
        yield from told if sight.running else (_of_none(one, trading) for one in told)
    free, least = sight.disk_free_bytes, config.disk_mb_min * MB
    if least and free is not None and free < least:
        text = f"{free / MB:z,.0f} MB free beside the journal, at least {config.disk_mb_min:z,.0f} are wanted"
        yield own_notice("DISK_LOW", text, Severity.CRITICAL if free < least / 4 else Severity.WARNING)


def marks_old(sight: ProcessSight, marked_ns: int, config: AlertsConfig) -> Iterator[Notice]:
    """The market unheard of. marked_ns: UTC of the last marks on record, 0: there are none."""
    age_s = (sight.now_ns - marked_ns) / NS_PER_SECOND
    if config.marks_s_max and sight.running and marked_ns and age_s > config.marks_s_max:
        yield own_notice(
            "MARKS_OLD", f"the last marks are {age_s:z,.0f} s old, allowed {config.marks_s_max:g}"
        )


def _process(sight: ProcessSight, mode: ModeChange | None, config: AlertsConfig) -> Iterator[Notice]:
    beat = sight.beat
    if sight.running:
        quiet_s = silent_s(sight)
        if config.silent_s_max and quiet_s > config.silent_s_max:
            text = f"no sign of life for {quiet_s:z,.0f} s of process {sight.pid or 'unknown'}"
            yield own_notice("ENGINE_SILENT", f"{text}, allowed {config.silent_s_max:g}")
    elif beat is None:
        yield own_notice("ENGINE_ABSENT", "no engine writes this journal")
    elif beat.closed:
        text = f"the engine, process {beat.pid}, has ended in order; it was {_was(beat, mode)}"
        yield own_notice("ENGINE_ENDED", text)
    else:
        text = f"the engine, process {beat.pid}, is gone and did not end in order; it was {_was(beat, mode)}"
        yield own_notice("ENGINE_DEAD", text)


def _was(beat: Heartbeat, mode: ModeChange | None) -> str:
    """How an engine acted at last; who stopped or paused it and why, where somebody did."""
    if mode is None or mode.ending:
        return beat.mode
    text = beat.mode + ", paused" * mode.paused
    if not mode.paused and mode.mode not in ("halted", "killed"):
        return text
    return f"{text} by {by_whom(mode.user, mode.reason)}"


def _of_none(found: Notice, trading: str) -> Notice:
    """The mode of an engine that is no more: it is not over before another one begins."""
    text = f"{found.text}; no engine runs, and {next_start(trading)}"
    return replace(found, text=text, repeats=False)


def _mode(mode: ModeChange, pause: Pause | None) -> Iterator[Notice]:
    why = reason_given(mode.reason)
    if mode.mode == "halted":
        yield own_notice("MODE_HALTED", f"halted: {why}")
    elif mode.mode == "reducing":
        yield own_notice("MODE_REDUCING", f"reducing: {why}")
    if mode.paused and not mode.ending:  # an engine that ends in order pauses first: that it ended is told
        who = pause or mode
        yield own_notice("MODE_PAUSED", f"paused by {by_whom(who.user, who.reason)}")


def _pid(journal: Path) -> int | None:
    held = None
    with suppress(OSError):
        held = holder(journal)
    return None if held is None else pid_of(held) or 0


def _file(journal: Path) -> tuple[int, int] | None:
    """Which file stands there."""
    with suppress(OSError):
        found = journal.stat()
        return found.st_dev, found.st_ino
    return None


def _free(journal: Path) -> int | None:
    with suppress(OSError):
        return shutil.disk_usage(journal.parent).free
    return None
