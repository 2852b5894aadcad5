"""The loop of `hedger alerts`: look, decide what is told, hand it to the sinks, and never wait for one."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hedger.alerts.memory import MemoryFile, Remembered, SinkMemory, new_salt
from hedger.alerts.notices import Message, Notice, Notices, Why, own_notice
from hedger.alerts.process_watch import ProcessSight, ProcessWatcher, marks_old, standing
from hedger.alerts.profit_watch import ProfitWatch
from hedger.alerts.sinks import Sink
from hedger.alerts.tail import AlertTail
from hedger.core.actions import Severity
from hedger.engine.logs import Log
from hedger.journal.entries import JournalName
from hedger.sections.alerts import AlertsConfig
from pricing.daycount import NS_PER_SECOND

Json = dict[str, Any]
_LEVELS = {
    Severity.NOTE: logging.INFO,
    Severity.WARNING: logging.WARNING,
    Severity.CRITICAL: logging.CRITICAL,
}
#: Sinks are looked after so often between two looks at the journal, seconds.
PUMP_S = 0.05


@dataclass(slots=True, eq=False)
class WatchParts:
    """What a watch is made of. profit: None where the P&L is not taken apart. memory: where what was told is
    kept over a restart, None: it is not; remembered: what was found there, which the tail began with."""

    journal: Path
    name: JournalName
    tail: AlertTail
    profit: ProfitWatch | None
    sinks: Sequence[Sink]
    config: AlertsConfig
    log: Log
    memory: MemoryFile | None = None
    remembered: Remembered | None = None


class Watch:
    """One engine watched. told: messages so far."""

    def __init__(self, parts: WatchParts) -> None:
        self.parts = parts
        self.told = 0
        self.notices = Notices(round(parts.config.again_min * 60 * NS_PER_SECOND))
        self._outside = ProcessWatcher(parts.journal)
        self._well_ns: int | None = None
        self._ahead_ns = time.time_ns() - time.monotonic_ns()
        self._kept, self._answers = "", 0
        self._salt = new_salt() if parts.remembered is None else parts.remembered.salt
        self._marks = [sink.address.mark(self._salt) for sink in parts.sinks]
        if parts.remembered is not None:
            self._go_on(parts.remembered)

    @property
    def caught_up(self) -> bool:
        """Whether the journal was read to its end, or cannot be."""
        tail, profit = self.parts.tail, self.parts.profit
        return (tail.caught_up or bool(tail.fault)) and (
            profit is None or profit.caught_up or bool(profit.fault)
        )

    def look(self, now_ns: int, monotonic_ns: int) -> list[Message]:
        """What is to be told now, and offered to the sinks. now_ns: UTC."""
        parts = self.parts
        for happened in parts.tail.step(now_ns):
            self.notices.happened(happened)
        if parts.profit is not None:
            parts.profit.step()
        sight = self._outside.look(now_ns, monotonic_ns)
        messages = self.notices.look(monotonic_ns, self._standing(sight), complete=self.caught_up)
        messages += self._well(sight)
        for sink in parts.sinks:
            sink.offer(messages)
        for message in messages:
            self._say(message)
        self.told += len(messages)
        self._keep()
        return messages

    def pump(self, monotonic_ns: int) -> None:
        """Look after the sinks, and keep what arrived as such."""
        for sink in self.parts.sinks:
            sink.pump(monotonic_ns)
        answers = sum(sink.sent + sink.failed for sink in self.parts.sinks)
        if answers != self._answers:
            self._answers = answers
            self._keep()

    def run(self, ended: Callable[[], bool]) -> None:
        """Until the end; what was not sent by then is tried once more, for at most send_s_max."""
        every_ns = round(self.parts.config.every_s * NS_PER_SECOND)
        looked_ns: int | None = None
        while not ended():
            now_ns = time.monotonic_ns()
            if looked_ns is None or now_ns - looked_ns >= every_ns:
                looked_ns = now_ns
                self.look(time.time_ns(), now_ns)
            self.pump(time.monotonic_ns())
            time.sleep(PUMP_S)
        self.finish()

    def finish(self) -> None:
        """Let letters that are on their way arrive; a sink that is down is not waited for."""
        limit = time.monotonic() + self.parts.config.send_s_max
        while time.monotonic() < limit and any(sink.waiting and not sink.down for sink in self.parts.sinks):
            self.pump(time.monotonic_ns())
            time.sleep(PUMP_S)
        self._keep()

    def document(self) -> Json:
        """What stands, and how the sinks are doing."""
        tail = self.parts.tail
        return {
            "journal": str(self.parts.journal),
            "trading": self.parts.name.trading,
            "engine": self.parts.name.engine,
            "mode": None if tail.mode is None else tail.mode.mode,
            "told": self.told,
            "standing": [
                {
                    "code": x.code,
                    "subject": x.subject,
                    "severity": str(x.severity),
                    "text": x.text,
                }
                for x in self.notices.standing
            ],
            "sinks": [
                {
                    "name": sink.address.name,
                    "sent": sink.sent,
                    "failed": sink.failed,
                    "dropped": sink.dropped,
                    "waiting": sink.waiting,
                    "down": sink.down or None,
                }
                for sink in self.parts.sinks
            ],
        }

    def _go_on(self, remembered: Remembered) -> None:
        """From where an earlier process was; the sinks' own part is theirs."""
        now_ns = time.monotonic_ns()
        self.notices.remember(remembered.known, self._ahead_ns, now_ns)
        if remembered.well_ns:
            self._well_ns = min(remembered.well_ns - self._ahead_ns, now_ns)
        known = {sink.mark: sink for sink in remembered.sinks}
        for mark, sink in zip(self._marks, self.parts.sinks, strict=True):
            if mark in known:
                sink.resume(known[mark].waiting, known[mark].lost)

    def _keep(self) -> None:
        """Keep what was told. Where that fails, nothing but a restart is the worse for it."""
        parts = self.parts
        if parts.memory is None or not parts.tail.told.number:
            return
        sinks = [sink.left() for sink in parts.sinks]
        remembered = Remembered(
            name=parts.name,
            head=str(parts.tail.told),
            salt=self._salt,
            well_ns=0 if self._well_ns is None else self._well_ns + self._ahead_ns,
            known=self.notices.remembered(self._ahead_ns),
            sinks=tuple(
                SinkMemory(mark, waiting, lost)
                for mark, (waiting, lost) in zip(self._marks, sinks, strict=True)
            ),
        )
        try:
            parts.memory.write(remembered)
            self._kept = ""
        except OSError as error:
            if self._kept != str(error):
                self._kept = str(error)
                text = "what was told cannot be kept: a restart tells it again"
                parts.log.say(text, level=logging.WARNING, reason=self._kept)

    def _standing(self, sight: ProcessSight) -> list[Notice]:
        parts = self.parts
        tail, trading = parts.tail, parts.name.trading
        found = [*tail.stands(), *standing(sight, tail.mode, parts.config, tail.pause, trading=trading)]
        if parts.tail.fault:
            found.append(own_notice("JOURNAL_UNREADABLE", parts.tail.fault))
        if parts.profit is not None:
            found += parts.profit.stands()
            if parts.profit.fault:
                found.append(own_notice("PNL_NOT_WATCHED", parts.profit.fault))
            found += marks_old(sight, parts.profit.marked_ns, parts.config)
        for sink in parts.sinks:
            if sink.down:
                found.append(
                    own_notice("SINK_DOWN", f"{sink.address.name}: {sink.down}", subject=sink.address.name)
                )
        return found

    def _say(self, message: Message) -> None:
        found = message.notice
        level = _LEVELS[found.severity] if message.why not in (Why.OVER, Why.WELL) else logging.INFO
        fields = {"alert": found.code, "severity": str(found.severity), "text": found.text}
        self.parts.log.say("told", level=level, reason=str(message.why), **fields)

    def _well(self, sight: ProcessSight) -> list[Message]:
        """A word every `well_h` hours, so that silence means something; not while anything grave stands."""
        every_ns = round(self.parts.config.well_h * 3600 * NS_PER_SECOND)
        said_ns = self._well_ns
        if not every_ns or (said_ns is not None and sight.monotonic_ns - said_ns < every_ns):
            return []
        if not (sight.running and self.parts.tail.caught_up) or any(
            x.severity is not Severity.NOTE for x in self.notices.standing
        ):
            return []
        self._well_ns = sight.monotonic_ns
        mode = self.parts.tail.mode
        text = f"all well: {mode.mode if mode else 'no mode yet'}, process {sight.pid} gives signs of life"
        again = f"; the next such word comes in {self.parts.config.well_h:g} h, if all is well then"
        return [Message(Why.WELL, Notice("ALL_WELL", "", Severity.NOTE, text + again, sight.now_ns))]
