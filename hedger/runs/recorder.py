"""What venues tell, kept for a tape: batches and trades of a part at a time, and what was not heard.

Whoever hears the venues hands everything in with `take`, and has a part written now and then. What was not
heard is put on record as an outage of its venue: the link, books that lost messages, and times in which
nothing came at all.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import polars as pl

from pricing.daycount import NS_PER_SECOND
from pricing.market import Marks
from pricing.universe import Universe
from venues.base import News
from venues.market_trades import MarketTrade
from venues.orders import Link, VenueStatus
from venues.tape_growing import GrowingTape, Outage
from venues.tape_rows import as_taped, rows_of, trade_as_taped, trade_rows

#: A venue that says nothing for so long, seconds, was out.
SILENT_S = 10.0


@dataclass(slots=True)
class Part:
    """Batches with their local times, trades and outages that are not written yet; of a run its timetable."""

    marks: list[tuple[int, Marks]] = field(default_factory=list)
    trades: list[MarketTrade] = field(default_factory=list)
    outages: list[Outage] = field(default_factory=list)
    timetable: pl.DataFrame | None = None


@dataclass(slots=True)
class _Line:
    """What is known of one venue's link. down: since when and why; gaps: books that lost messages so far."""

    heard_ns: int
    down: tuple[int, str] | None = None
    gaps: int = 0


class Recorder:
    """News of venues to a growing tape; all times are local, UTC ns.

    batches, trades: on the tape. outages: told so far. spots: the index of each underlying, as last told.
    """

    def __init__(
        self,
        tape: GrowingTape,
        universe: Universe,
        venues: Collection[str],
        begun_ns: int,
        silent_s: float = SILENT_S,
    ) -> None:
        self.tape, self._universe = tape, universe
        self._silent_ns = round(silent_s * NS_PER_SECOND)
        self._lines = {venue: _Line(begun_ns) for venue in venues}
        self._part, self._last_ns = Part(), begun_ns
        self.batches = self.trades = self.outages = self._taken = 0
        self.spots: dict[str, float] = {}

    def take(self, venue: str, news: News, now_ns: int) -> Marks | MarketTrade | None:
        """Something was heard of a venue; what of it whoever reads the tape finds there, None: nothing."""
        if isinstance(news, VenueStatus):
            self._link(venue, news, now_ns)
        elif isinstance(news, MarketTrade):
            self._part.trades.append(news)
            return trade_as_taped(news)
        elif isinstance(news, Marks):
            self._silence(venue, now_ns)
            taken = self._take_marks(news)
            self._lines[venue].heard_ns = self._last_ns
            return taken
        return None

    def begin(self, marks: Marks) -> Marks | None:
        """What was known of all venues before the first news of any; as `take`."""
        return self._take_marks(marks)

    def gaps(self, venue: str, count: int, now_ns: int) -> None:
        """So many times books of a venue have lost messages, since the start."""
        line = self._lines[venue]
        if count > line.gaps:
            text = f"{count - line.gaps} books lost messages; their depth is left out until the next snapshot"
            self._note(Outage(line.heard_ns, now_ns, text, venue=venue))
            line.gaps = count

    def cut(self, now_ns: int) -> Part | None:
        """Everything since the last part; None: nothing that a tape has a place for yet."""
        for venue, line in self._lines.items():
            self._silence(venue, now_ns)
            if line.down is not None:
                self._note(Outage(line.down[0], now_ns, line.down[1], venue=venue))
                line.down = now_ns, line.down[1]
        found = self._part
        if found.marks:
            self._part = Part()
            return found
        if not self.tape.parts or not found.outages:
            return None
        self._part = Part(trades=found.trades)  # they come with the next batch
        return Part(outages=found.outages)

    def put(self, part: Part) -> None:
        """Write a part, the oldest first; it is durable when this returns.

        Raises:
            InputError: it cannot be written, and nothing is.
            TapeCutShort: it cannot be written any further.
        """
        if not part.marks:
            self.tape.note(part.outages)
            return
        quotes, depth = rows_of(self._universe, part.marks, self.batches)
        self.tape.add(quotes, depth, part.outages, trade_rows(part.trades), part.timetable)
        self.batches += len(part.marks)
        self.trades += len(part.trades)

    def rest(self, timetable: pl.DataFrame) -> None:
        """Write what a run still did after the last batch, and trades that came after it. Raises as `put`."""
        trades, self._part.trades = self._part.trades, []
        self.tape.rest(trade_rows(trades), timetable)
        self.trades += len(trades)

    def write(self, now_ns: int) -> bool:
        """Write what there is; whether batches were among it. Raises as `put`."""
        part = self.cut(now_ns)
        if part is None:
            return False
        self.put(part)
        return bool(part.marks)

    def _take_marks(self, marks: Marks) -> Marks | None:
        self._last_ns = max(marks.now_ns, self._last_ns)  # local time never goes back on a tape
        known = marks.index > 0
        codes = self._universe.underlying[marks.rows[known]].tolist()
        names = self._universe.underlyings
        self.spots.update(zip((names[c] for c in codes), marks.index[known].tolist(), strict=True))
        if not (marks.venue_ns > 0).any():
            return None
        self._part.marks.append((self._last_ns, marks))
        self._taken += 1
        return as_taped(marks, self._taken - 1, self._last_ns)

    def _silence(self, venue: str, now_ns: int) -> None:
        line = self._lines[venue]
        if now_ns - line.heard_ns >= self._silent_ns:
            self._note(Outage(line.heard_ns, now_ns, "nothing was heard", venue=venue))
            line.heard_ns = now_ns

    def _link(self, venue: str, status: VenueStatus, now_ns: int) -> None:
        line = self._lines[venue]
        if status.link is Link.UP:
            if line.down is not None:
                self._note(Outage(line.down[0], now_ns, line.down[1], venue=venue))
            line.down = None
        elif line.down is None:
            line.down = now_ns, f"the link is {status.link}: {status.text}".rstrip(": ")

    def _note(self, outage: Outage) -> None:
        self._part.outages.append(outage)
        self.outages += 1
