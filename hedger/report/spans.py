"""Rows through time, gathered decision by decision into equal spans and into hours of the clock.

A decision's exposures hold until the next decision. So a span knows how long a row was outside its trigger,
how long it was not known, and between which values it moved, however many decisions fell into it; spans with
none carry on what held. While no engine ran nothing holds: that time counts as neither.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pricing.daycount import NS_PER_SECOND
from pricing.universe import BoolArray, FloatArray

HOUR_NS = 3600 * NS_PER_SECOND
#: A chart is about so many points wide.
SPANS = 800
#: target, trigger low and high, landing low and high; and desk units per unit of the row.
EDGES = ("target", "trigger_low", "trigger_high", "landing_low", "landing_high", "scale")
_NOTHING: tuple[float, ...] = (math.nan,) * len(EDGES)


@dataclass(slots=True)
class HourSums:
    """Seconds of an hour of the clock: decided on, with a row outside its trigger, with a row not known."""

    known_s: float = 0.0
    outside_s: float = 0.0
    unknown_s: float = 0.0


@dataclass(slots=True)
class RowSpans:
    """One row in every span, (spans,) each: NaN where nothing was known, 0 seconds where nothing held."""

    last: FloatArray
    low: FloatArray
    high: FloatArray
    known_s: FloatArray
    outside_s: FloatArray
    unknown_s: FloatArray
    decisions: FloatArray
    edges: FloatArray  # (6, spans), as EDGES; NaN until something was valued

    @classmethod
    def empty(cls, n: int) -> RowSpans:
        """A row of which nothing is known."""
        nans, zeros = np.full(n, np.nan), np.zeros(n)
        columns = (nans, nans.copy(), nans.copy(), zeros, zeros.copy(), zeros.copy(), zeros.copy())
        return cls(*columns, np.full((len(EDGES), n), np.nan))


def pieces(from_ns: int, to_ns: int, width_ns: int) -> Iterator[tuple[int, int]]:
    """(number of the piece, nanoseconds in it) of the pieces of a line, `width_ns` each, between two times.

    >>> list(pieces(5, 25, 10))
    [(0, 5), (1, 10), (2, 5)]
    """
    at = from_ns
    while at < to_ns:
        number = at // width_ns
        end = min((number + 1) * width_ns, to_ns)
        yield number, end - at
        at = end


@dataclass(slots=True)
class Spans:
    """Told of every decision in order. width_ns: of a span; from_ns: where the first begins."""

    from_ns: int
    to_ns: int
    count: int = SPANS
    rows: dict[str, RowSpans] = field(default_factory=dict)
    hours: dict[int, HourSums] = field(default_factory=dict)
    decisions: int = 0
    _held: Mapping[str, float] = field(default_factory=dict)
    _outside: Collection[str] = ()
    _incomplete: frozenset[str] = frozenset()
    _without_rows: bool = False  # of a book that holds nothing that moves, all is known
    _since_ns: int | None = None

    @property
    def width_ns(self) -> int:
        """Nanoseconds of a span: whole seconds, so that nobody reads fractions off an axis."""
        whole = max(self.to_ns - self.from_ns, 1)
        return max(-(-whole // (self.count * NS_PER_SECOND)), 1) * NS_PER_SECOND

    def decided(
        self, now_ns: int, exposures: Sequence[tuple[str, float | None]], breached: Collection[str]
    ) -> None:
        """A decision: its exposures, None where not known, and the rows outside their trigger."""
        self._hold(now_ns)
        self.decisions += 1
        self._held = {row: self._known(row, x) for row, x in exposures}
        self._outside = frozenset(row for row in breached if not math.isnan(self._held.get(row, math.nan)))
        self._since_ns = now_ns if self._since_ns is None else max(now_ns, self._since_ns)
        at = self._at(self._since_ns)
        for row in self._held:
            spans = self.rows.setdefault(row, RowSpans.empty(self.count + 1))
            spans.decisions[at] += 1
        self._seen(at)

    def stopped(self, now_ns: int) -> None:
        """The engine went away: what held until its last word holds no longer."""
        self._hold(now_ns)
        self._since_ns, self._held, self._outside, self._without_rows = None, {}, (), False

    def _known(self, row: str, x: float | None) -> float:
        return math.nan if x is None or row.split(":")[1] in self._incomplete else x

    def valued(self, now_ns: int, edges: Mapping[str, Sequence[float]], incomplete: Collection[str]) -> None:
        """A valuation, told before the decision on it: the bands in force and the rows' scales, by row, as
        EDGES, and the underlyings of which something held has no worth."""
        if self._incomplete != frozenset(incomplete):
            self._hold(now_ns)
            self._incomplete = frozenset(incomplete)
            self._held = {row: self._known(row, x) for row, x in self._held.items()}
        without_rows = not edges and not incomplete
        if without_rows is not self._without_rows:
            self._hold(now_ns)
            self._without_rows = without_rows
        at = self._at(now_ns)
        for row, numbers in edges.items():
            self.rows.setdefault(row, RowSpans.empty(self.count + 1)).edges[:, at] = numbers

    def edges_by_then(self, row: str) -> FloatArray:
        """EDGES of a row in every span, (6, spans): the last told by then."""
        told = self.rows[row].edges
        seen: BoolArray = np.asarray(np.isfinite(told).any(axis=0), dtype=np.bool_)
        if not seen.any():
            return told
        places = np.maximum.accumulate(np.where(seen, np.arange(seen.size), -1))
        return np.where(places >= 0, told[:, np.maximum(places, 0)], np.nan)

    def _at(self, now_ns: int) -> int:
        return min(max((now_ns - self.from_ns) // self.width_ns, 0), self.count)

    def _hold(self, until_ns: int) -> None:
        """What holds since the last decision, up to a time."""
        since_ns = self._since_ns
        if since_ns is None or until_ns <= since_ns:
            return
        for hour, ns in pieces(since_ns, until_ns, HOUR_NS):
            self._add_hour(self.hours.setdefault(hour, HourSums()), ns / NS_PER_SECOND)
        for number, ns in pieces(since_ns - self.from_ns, until_ns - self.from_ns, self.width_ns):
            at = min(max(number, 0), self.count)
            for row, x in self._held.items():
                spans = self.rows[row]
                known = not math.isnan(x)
                (spans.known_s if known else spans.unknown_s)[at] += ns / NS_PER_SECOND
                if known and row in self._outside:
                    spans.outside_s[at] += ns / NS_PER_SECOND
            self._seen(at)
        self._since_ns = until_ns

    def _add_hour(self, hour: HourSums, seconds: float) -> None:
        if self._outside:
            hour.outside_s += seconds
        untold = not self._held and not self._without_rows
        if untold or any(map(math.isnan, self._held.values())):
            hour.unknown_s += seconds
        else:
            hour.known_s += seconds

    def _seen(self, at: int) -> None:
        for row, x in self._held.items():
            if not math.isnan(x):
                spans = self.rows[row]
                spans.last[at] = x
                spans.low[at] = x if math.isnan(spans.low[at]) else min(spans.low[at], x)
                spans.high[at] = x if math.isnan(spans.high[at]) else max(spans.high[at], x)
