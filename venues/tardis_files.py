"""Tardis' CSV files line by line, and the lines that came at once as messages.

Stamps are microseconds, the exchange's and the local one; lines stand in the order of local time. A stamp of
the exchange that lies further ahead of the receipt than a clock can be wrong is not taken, as live: it
would make all that comes after it look old. What the line tells is as of its receipt then, as Tardis itself
writes it where an exchange gives no stamp; such lines are counted, and a file of nothing else is refused.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple, NoReturn

from pricing.daycount import NS_PER_SECOND
from pricing.errors import InputError
from pricing.market import CLOCK_OFFSET_NS_MAX
from venues.line_files import lines_of
from venues.source_files import refuse
from venues.tardis_kinds import kind_of
from venues.ticker_rows import STAMPS_MS

Row = dict[str, str]
NS_PER_US = 1_000
_AHEAD_S_MAX = CLOCK_OFFSET_NS_MAX // NS_PER_SECOND


class Line(NamedTuple):
    """One line: stamps, whose it is in Tardis' words, cells, place. venue_ns: as of when it stands."""

    local_ns: int
    exchange: str
    symbol: str
    venue_ns: int
    row: Row
    where: str


@dataclass(slots=True)
class Source:
    """A file, and what was read of it. ahead: lines with a stamp of the exchange that was not taken;
    ahead_ns: by how much the worst of them was ahead."""

    path: Path
    lines: int = 0
    ahead: int = 0
    ahead_ns: int = 0

    def note(self) -> str:
        """What the user must know of it; "" where that is nothing."""
        if not self.ahead:
            return ""
        return (
            f"{self.path.name}: {self._ahead()}; for them the time of receipt stands, the exchange's own "
            "was not taken"
        )

    def check(self) -> None:
        """Refuse a file whose every line is stamped ahead: it is the clocks, not a line, that are wrong."""
        if self.lines and self.ahead == self.lines:
            refuse(
                "SOURCE_VALUE",
                "every line is stamped after its receipt",
                self.path,
                where=f"{self.path.name}, column timestamp",
                observed=self._ahead(),
                allowed=f"a stamp of the exchange at most {_AHEAD_S_MAX} s after local_timestamp",
                fix="see whether the two columns were taken for one another, or shifted",
            )

    def _ahead(self) -> str:
        by_s = self.ahead_ns / NS_PER_SECOND
        return (
            f"{self.ahead} of {self.lines} lines are stamped more than {_AHEAD_S_MAX} s ahead of their "
            f"receipt, by up to {by_s:z,.0f} s"
        )


@dataclass(frozen=True, slots=True)
class Message:
    """Lines of one file and one listing that came at once."""

    local_ns: int
    kind: tuple[str, ...]
    source: Source
    lines: tuple[Line, ...]

    @property
    def venue_ns(self) -> int:
        """As of when the newest of it stands."""
        return max([line.venue_ns for line in self.lines])


def messages_of(source: Source) -> Iterator[Message]:
    """The messages of a file in order.

    Raises:
        InputError: the file or a line is not as it must be, the last one is cut short, local time goes back,
            or every line is stamped after its receipt.
    """
    numbered = lines_of(source.path, ended=True)
    _, head = next(numbered)
    kind = kind_of(tuple(head.removeprefix("\ufeff").split(",")), source.path)
    lines = _lines(numbered, kind, source)
    for (local_ns, _, _), together in groupby(lines, key=itemgetter(0, 1, 2)):
        yield Message(local_ns, kind, source, tuple(together))
    source.check()


def _lines(numbered: Iterator[tuple[int, str]], kind: tuple[str, ...], source: Source) -> Iterator[Line]:
    before = 0
    for line_number, text in numbered:
        where = f"{source.path.name}, line {line_number}"
        try:
            cells = next(csv.reader([text], strict=True), [])
        except csv.Error as error:
            refuse_cell(where, "", "not cells between commas", error, "CSV")
        if not cells:
            continue
        if len(cells) != len(kind):
            refuse_cell(where, "", "wrong number of cells", len(cells), str(len(kind)))
        row = dict(zip(kind, cells, strict=True))
        local_ns = stamp_ns(row, "local_timestamp", where)
        if local_ns < before:
            refuse_cell(where, "local_timestamp", "local time goes back", row["local_timestamp"], "in order")
        before = local_ns
        venue_ns = stamp_ns(row, "timestamp", where)
        source.lines += 1
        if venue_ns > local_ns + CLOCK_OFFSET_NS_MAX:
            source.ahead += 1
            source.ahead_ns = max(source.ahead_ns, venue_ns - local_ns)
            venue_ns = local_ns
        yield Line(local_ns, row["exchange"], row["symbol"], venue_ns, row, where)


def stamp_ns(row: Row, name: str, where: str) -> int:
    """A time, UTC ns."""
    text = row[name]
    stamp = int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0
    if not STAMPS_MS[0] * 1_000 <= stamp <= STAMPS_MS[1] * 1_000:
        refuse_cell(where, name, "not a time", text, "microseconds since 1970, from 2010 to 2100")
    return stamp * NS_PER_US


def refuse_cell(where: str, column: str, what: str, observed: object, allowed: str) -> NoReturn:
    """Refuse a cell, or a row."""
    raise InputError(
        "SOURCE_VALUE",
        what,
        where=f"{where}, column {column}" if column else where,
        observed=observed,
        allowed=allowed,
        not_done="nothing was written",
        fix="correct or drop the row at its source",
    )
