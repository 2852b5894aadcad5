"""The book and the market of an engine, read off its journal record by record; nothing is decided again.

What was booked stands in the record as fills and adjustments, so no settings are needed for it; the market is
the fold of the marks. Whoever looks may stop at any record and have both as they stood then. Bands set by
command are known as far as the engine took them, and so are the settings in force: with those the book is
valued, whatever the settings file at hand says. Older journals tell of such bands by their commands alone,
and there none outlived a start.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hedger.core.actions import Adjustment
from hedger.core.adjusting import adjusted
from hedger.core.by_hand import NOTHING_BY_HAND, ByHand
from hedger.core.commands import parse_bands
from hedger.core.events import Command, Verb
from hedger.core.glance import stamped
from hedger.core.ledger import averages_with
from hedger.core.marking import fault_of
from hedger.desk.settings_in_force import SettingsInForce
from hedger.journal.entries import (
    Configuration,
    DecisionRecord,
    EventBody,
    Intent,
    Kind,
    LatchChange,
    MarksOnTape,
    ModeChange,
    Pause,
    Record,
    Word,
    read,
)
from hedger.problem.snapshot import BandOverrides, Snapshot, take_snapshot, underlyings_of
from hedger.profit import Arrivals
from hedger.settings import Settings
from pricing.contracts import Listing
from pricing.errors import InputError
from pricing.market import Depth, Market, Marks, mid_or_nan, price_or_nan
from pricing.oracle import read_index
from pricing.universe import Universe
from risk.book import Book
from venues.orders import Link, TradeReport, VenueStatus

#: Fetches marks that the journal only names; None: they are not at hand, and what is shown does without.
Fetch = Callable[[MarksOnTape], Marks | None]
#: What is said in the place of all that hangs on marks that are not at hand.
UNTOLD = "the journal's marks lie on a tape: name it with --tape, and what hangs on prices is shown too"
#: Order books by row of the universe: (bids, asks).
Books = Mapping[int, tuple[Depth, Depth]]


def no_tape(what: MarksOnTape) -> Marks:
    """Where no tape is at hand.

    Raises:
        InputError: always.
    """
    raise InputError(
        "TAPE_NEEDED",
        "the journal's marks lie on a tape",
        where="--tape",
        observed=f"batch {what.seq} of {what.tape[:16]}",
        allowed="the tape of the run",
        not_done="nothing was valued",
        fix="name the tape",
    )


def without_tape(_: MarksOnTape) -> None:
    """Where no tape is at hand, and much can be shown without: links, orders, decisions."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A record, its word (None where it is of no interest here), and the marks in it, taken in or not."""

    record: Record
    word: Word | None
    marks: Marks | None = None


class Follower:
    """What was read so far. market, book: as they stand; None before the journal tells of them. depth: with
    order books, which a plan needs and a valuation does not; without, `with_books` reads them when asked.

    started: the last configuration. mode, latch: the last change; pause: who paused it. marked_ns: UTC,
    of the last marks. in_force: the settings, since when which; settings: those of now.
    overrides: bands set by command; by_hand: who set them, none in a journal of an older release.
    arrivals: the middles that orders were decided on.
    untold: why the market is not known, though the journal names it; "" where it is.
    """

    def __init__(
        self,
        at_hand: Settings,
        fetch: Fetch = no_tape,
        *,
        depth: bool = True,
    ) -> None:
        """at_hand: settings that stand in where the journal does not hold its own."""
        self.in_force = SettingsInForce(at_hand)
        self.market: Market | None = None
        self.book: Book | None = None
        self.started: Configuration | None = None
        self.mode: ModeChange | None = None
        self.pause: Pause | None = None
        self.latch: LatchChange | None = None
        self.now_ns = self.marked_ns = 0
        self.untold = ""
        self.seq = -1
        self.arrivals = Arrivals()
        self.overrides: BandOverrides = {}
        self.by_hand = NOTHING_BY_HAND
        self._fetch, self._depth = fetch, depth
        self._listings: dict[tuple[str, str], Listing] = {}
        self._averages: dict[tuple[str, int], tuple[float, int]] = {}
        self._bands: dict[int, str] = {}
        # without depth: the record that tells each listing's book, and what was read of one of them
        self._told_by = np.empty(0, dtype=object)
        self._read_last: tuple[int, Books] = (0, {})

    @property
    def settings(self) -> Settings:
        """In force now."""
        return self.in_force.settings

    def take(self, record: Record) -> Taken:
        """One record more.

        Raises:
            CodecError: it is not what its kind should be. InputError: its marks lie on a tape, and none is at
                hand.
        """
        self.now_ns, self.seq = max(self.now_ns, record.now_ns), record.seq
        if record.kind == Kind.DECISION and not (self._bands or self.in_force.waiting):
            return Taken(record, None)  # most of a journal, and nothing here hangs on it
        word = read(record, depth=self._depth)
        self.in_force.take(record, word)
        marks = self._marks(record, word.what) if isinstance(word, EventBody) else None
        match word:
            case EventBody(what=VenueStatus(venue=venue, link=link)) if self.market is not None:
                if link is not Link.DEGRADED:
                    self.market = self.market.hearing(venue, link is Link.UP, record.now_ns)
            case EventBody(what=Command(verb=Verb.BANDS, argument=argument)):
                self._bands[record.seq] = argument
            case DecisionRecord(document=document):
                self._set_bands(record.seq, document)
            case Book():
                self.book = word
            case tuple():
                self._listings = {x.key: x for x in word}
                self.market = Market.empty(Universe.of(word))
                self._told_by = np.empty(len(word), dtype=object)
            case TradeReport() if self.book is not None:
                self.book = self.book.apply(word.fill)
            case Adjustment() if self.book is not None:
                self.book = adjusted(self.book, word, self._listings)
            case Intent(order=order):
                self.arrivals.decided(order.client_id, self.middle(order.listing.key))
            case Configuration():
                self.started, self.overrides = word, self.by_hand.overrides
            case ByHand():
                self.by_hand, self.overrides = word, word.overrides
            case ModeChange():
                self.mode, self.pause = word, Pause.after(self.pause, word, record.now_ns)
            case LatchChange():
                self.latch = word
        return Taken(record, word, marks)

    def middle(self, key: tuple[str, str]) -> float:
        """The middle of a listing's book as it stands, else its mark; NaN where neither is known."""
        at = None if self.market is None else self.market.universe.positions.get(key)
        if at is None or self.market is None:
            return float("nan")
        middle = float(mid_or_nan(self.market)[at])
        return middle if middle == middle else float(price_or_nan(self.market)[at])

    def with_books(self, rows: Sequence[int] | None = None) -> Market | None:
        """The market with its order books, also where they were left out so far: read now, off the records
        that told them last. rows: those alone; None: all. None before the journal tells of a market.

        Raises:
            CodecError: they are not what they should be.
        """
        if self.market is None or self._depth:
            return self.market
        told_by = self._told_by if rows is None else self._told_by[list(rows)]
        depth = dict(self.market.depth)
        for record in {each.number: each for each in told_by if each is not None}.values():
            books = self._books(record)
            depth |= {row: books[row] for row in books if self._told_by[row] is record}
        return replace(self.market, depth=depth)

    def _books(self, record: Record) -> Books:
        """The order books in a record; those that were read last are kept."""
        if self._read_last[0] != record.number:
            word = read(record)
            marks = word.what if isinstance(word, EventBody) else None
            self._read_last = (record.number, marks.depth if isinstance(marks, Marks) else {})
        return self._read_last[1]

    def indexes(self) -> dict[str, float]:
        """USD per coin as the market tells them now; those that it does not tell are not in it."""
        readings = () if self.market is None else read_index(self.market, self.settings.oracle_settings())
        return {x.underlying: x.value for x in readings if math.isfinite(x.value)}

    def snapshot(
        self, asked: Settings | None = None, *, bands: bool = False, books: bool = False
    ) -> Snapshot | None:
        """The book valued as things stand; None before there are marks, and where none is at hand. asked:
        with other settings than those in force; bands: those set by command, too; books: with order books in
        any case, for a plan.

        Raises:
            HedgerError: it cannot be valued at all.
        """
        market = self.with_books() if books else self.market
        if market is None or self.book is None or not self.marked_ns or self.untold:
            return None
        return self.retake(market, asked, bands=bands)

    def retake(self, market: Market, asked: Settings | None = None, *, bands: bool = False) -> Snapshot:
        """The book in a market.

        Raises:
            HedgerError: as `snapshot`.
        """
        settings = asked or self.settings
        book = Book() if self.book is None else self.book
        known = underlyings_of(book, market, settings) if bands else ()
        mine = {row: x for row, x in self.overrides.items() if row.split(":")[1] in known}
        return take_snapshot(book, market, settings, mine, marked=True)

    def _marks(self, record: Record, what: object) -> Marks | None:
        """The marks of an event, taken into the market as the engine took them."""
        marks = self._fetch(what) if isinstance(what, MarksOnTape) else what
        if marks is None:
            self.untold = UNTOLD
        if not isinstance(marks, Marks):
            return None
        if self.market is None or fault_of(marks, self.market):
            return marks  # thrown away by the engine as well
        market = self.market.apply(stamped(marks, record.now_ns))
        if not self._depth and record.frame is not None:
            taken = (
                market.venue_ns[marks.rows] == marks.venue_ns
            )  # one that is older than what is known is not
            self._told_by[marks.rows[taken]] = record
        told = {key: total / n for key, (total, n) in self._averages.items()}
        self.market = replace(market, settlement_average=told)
        self._averages = averages_with(self._averages, self.market, self.settings.age_s_max)
        self.marked_ns = record.now_ns
        return marks

    def _set_bands(self, seq: int, document: Mapping[str, Any]) -> None:
        """A command's bands, if the decision on it did not refuse them."""
        argument = self._bands.pop(seq, None)
        told = {action.get("code") for action in document.get("actions", ())}
        if argument is None or told & {*Verb.BANDS.refusals}:
            return
        row, _, text = argument.partition("=")
        found = {name: bands for name, bands in self.overrides.items() if name != row}
        bands = parse_bands(text) if text else None
        self.overrides = found if bands is None else {**found, row: bands}
