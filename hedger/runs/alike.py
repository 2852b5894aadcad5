"""A paper run held against a replay of its tape: the same hedges, orders and executions, one by one?

The replay begins with the book that the run's journal begins with, and decides for itself; nothing of what
the run decided is shown to it (`hedger.runs.by_timetable`).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from hedger.journal.entries import DecisionRecord, Intent, Kind, read
from hedger.journal.journal import open_to_read
from hedger.limits_file import LoadedLimits
from hedger.runs.replay import replay
from hedger.settings import Settings
from pricing.errors import InputError
from risk.book import Book
from venues.orders import TradeReport
from venues.tape import Tape

_BEGAN = "began:"
_KINDS = (Kind.BOOK, Kind.CONFIGURATION, Kind.DECISION, Kind.INTENT, Kind.FILL)


@dataclass(frozen=True, slots=True)
class Told:
    """What a journal tells, in words, in order: hedges as they began and ended, orders as they were sent,
    executions. starts: of engines; book: what the first began with."""

    starts: int
    book: Book | None
    hedges: tuple[str, ...]
    orders: tuple[str, ...]
    fills: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Alike:
    """How far a run and the replay of its tape agree. hedges, orders, fills: of the run; difference: the
    first, "" where there is none; left: why the replay left the run's timetable, "" where it did not."""

    hedges: int
    orders: int
    fills: int
    difference: str
    left: str


def alike(journal: Path, tape: Tape, settings: Settings, limits: LoadedLimits) -> Alike:
    """Replay a paper run's tape from the book of its journal, and compare what came of it.

    Raises:
        InputError: a journal of several starts, or a tape on which its book is not listed.
    """
    run = told(journal)
    if run.starts != 1 or run.book is None:
        raise _unfit(journal, f"{run.starts} starts in one journal", "a journal of one run, from its start")
    strange = sorted({p.listing.key for p in run.book.positions.values()} - {*tape.universe.positions})
    if strange:
        raise _unfit(journal, f"{' '.join(strange[0])} is not on the tape", "the tape of this run")
    with tempfile.TemporaryDirectory() as folder:
        again = Path(folder) / "again.journal"
        followed = replay(tape, run.book, settings, limits, again).document["followed"]
        other = told(again)
    difference = ""
    for name in ("hedges", "orders", "fills"):
        difference = difference or _first_difference(name[:-1], getattr(run, name), getattr(other, name))
    left = "the tape has no timetable of a run" if followed is None else followed["left"]
    return Alike(
        sum(x.startswith(_BEGAN) for x in run.hedges), len(run.orders), len(run.fills), difference, left
    )


def told(journal: Path) -> Told:
    """What a journal tells of hedges.

    Raises:
        InputError: there is none. JournalDamaged: it is not what was written.
    """
    starts, book = 0, None
    hedges: list[str] = []
    orders: list[str] = []
    fills: list[str] = []
    storage = open_to_read(journal)
    try:
        for record in storage.records(kinds=_KINDS):
            word = read(record)
            match word:
                case Book():
                    book = word if book is None else book
                case DecisionRecord():
                    hedges += _hedge(word.document)
                case Intent():
                    order = word.order
                    more = " reduce-only" if order.reduce_only else ""
                    orders.append(
                        f"{order.side.value} {order.quantity} {' '.join(order.listing.key)} at {order.price} "
                        f"{order.time_in_force.value}{more}"
                    )
                case TradeReport():
                    fill = word.fill
                    fills.append(
                        f"{fill.side.value} {fill.quantity} {' '.join(fill.listing.key)} at {fill.price}, "
                        f"fee {fill.fee} {fill.fee_currency}"
                    )
                case _:
                    starts += record.kind == Kind.CONFIGURATION
    finally:
        storage.close()
    return Told(starts, book, tuple(hedges), tuple(orders), tuple(fills))


def _hedge(document: Mapping[str, Any]) -> Iterator[str]:
    """Whether a decision ended a hedge or began one, in the order in which it did."""
    if verification := document["verification"]:
        yield f"ended: {verification['ended']}"
    if document["ticket"]:
        outside = ", ".join(map(str, document["breached"])) or "nothing"
        yield f"{_BEGAN} {document['trigger'] or 'a band'}, outside {outside}"


def _first_difference(what: str, run: Sequence[str], again: Sequence[str]) -> str:
    for number, (one, other) in enumerate(zip_longest(run, again), start=1):
        if one != other:
            return f"{what} {number}: the run {one or 'had none'}; the replay {other or 'had none'}"
    return ""


def _unfit(journal: Path, observed: str, allowed: str) -> InputError:
    return InputError(
        "TAPE_OTHER",
        "the run and the tape cannot be compared",
        where=str(journal),
        observed=observed,
        allowed=allowed,
        not_done="nothing was compared",
        fix="name the journal and the tape of one `hedger run --record`",
    )
