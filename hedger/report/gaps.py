"""When data was missing: links down, order books lost, no marks, no engine, positions without a worth.

A gap is told from when to when, and of whom. One that is open when the record ends goes up to that end and
says so. Spells without marks are found afterwards: a market is silent when it says nothing for longer than
its quotes may be old and than three times the usual pause between two batches, so that a tape of hourly
snapshots is no gap from end to end.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from pricing.daycount import NS_PER_SECOND
from venues.orders import Link, VenueStatus

#: A pause is a gap from so many usual ones on.
PAUSES = 3.0


class GapKind(StrEnum):
    """What was missing."""

    ENGINE = "no engine"
    MARKS = "no marks"
    WORTH = "not all valued"
    LINK = "link down"
    BOOK = "order book lost"


@dataclass(frozen=True, slots=True)
class Gap:
    """From when to when (UTC ns), and of whom. open: it had not ended when the record did."""

    kind: GapKind
    what: str
    from_ns: int
    to_ns: int
    open: bool = False

    @property
    def seconds(self) -> float:
        """How long it was."""
        return (self.to_ns - self.from_ns) / NS_PER_SECOND


class GapReader:
    """Told of what happens, in order; `close` gives every gap."""

    def __init__(self, age_s_max: float) -> None:
        self.age_s_max = age_s_max
        self._open: dict[tuple[GapKind, str], Gap] = {}
        self._found: list[Gap] = []
        self._batches: list[array[int]] = [array("q")]

    def marked(self, now_ns: int) -> None:
        """A batch of marks came."""
        self._batches[-1].append(now_ns)

    def started(self, before_ns: int, now_ns: int) -> None:
        """An engine began; before_ns: of the last record before it."""
        for key in list(self._open):
            self._end(key, before_ns)
        if now_ns > before_ns:
            self._found.append(Gap(GapKind.ENGINE, "engine", before_ns, now_ns))
        self._batches.append(array("q"))

    def status(self, told: VenueStatus, now_ns: int) -> None:
        """What a venue's connection told of itself."""
        link = (GapKind.LINK, told.venue)
        if told.link is Link.DOWN:
            self._begin(link, now_ns)
        else:
            self._end(link, now_ns)
        if told.gaps is None:
            return
        open_now = {(GapKind.BOOK, f"{told.venue} {symbol}") for symbol in told.gaps}
        mine = {k for k in self._open if k[0] is GapKind.BOOK and k[1].startswith(f"{told.venue} ")}
        for key in sorted(mine - open_now):
            self._end(key, now_ns)
        for key in sorted(open_now - mine):
            self._begin(key, now_ns)

    def valued(self, now_ns: int, missing: str) -> None:
        """A valuation, and what had no worth in it; "" where everything had one."""
        known = next((key for key in self._open if key[0] is GapKind.WORTH), None)
        if known is not None and known[1] != missing:
            self._end(known, now_ns)
        if missing:
            self._begin((GapKind.WORTH, missing), now_ns)

    def close(self, end_ns: int) -> tuple[Gap, ...]:
        """Every gap up to the end of the record, by when it began."""
        still = [replace(gap, to_ns=max(end_ns, gap.from_ns), open=True) for gap in self._open.values()]
        found = [*self._found, *still, *self._silences(end_ns)]
        return tuple(sorted(found, key=lambda gap: (gap.from_ns, gap.kind, gap.what)))

    def _begin(self, key: tuple[GapKind, str], now_ns: int) -> None:
        self._open.setdefault(key, Gap(*key, now_ns, now_ns))

    def _end(self, key: tuple[GapKind, str], now_ns: int) -> None:
        gap = self._open.pop(key, None)
        if gap is not None and now_ns > gap.from_ns:
            self._found.append(replace(gap, to_ns=now_ns))

    def _silences(self, end_ns: int) -> list[Gap]:
        """Spells without marks, those of an engine that was away left out."""
        runs = [np.frombuffer(run, dtype=np.int64) for run in self._batches if run]
        if not runs:
            return []
        pauses = np.concatenate([np.diff(run) for run in runs])
        usual = float(np.median(pauses)) if pauses.size else 0.0
        longest = max(self.age_s_max * NS_PER_SECOND, PAUSES * usual)
        found = []
        for run in runs:
            for i in np.flatnonzero(np.diff(run) > longest).tolist():
                found.append(Gap(GapKind.MARKS, "market", int(run[i]), int(run[i + 1])))
        last = int(runs[-1][-1])
        if end_ns - last > longest:
            found.append(Gap(GapKind.MARKS, "market", last, end_ns, open=True))
        return found
