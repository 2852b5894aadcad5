"""A tape that is being recorded: it grows by whole parts, and is a sound tape after each of them.

A part is a file of quotes, one of depth, and one of trades where those are recorded. All are durable before
`tape.json`, which is replaced in one step, names them: whoever reads, or kills the recorder at any moment,
has the tape up to the last part that was finished. Files that no description names are what a killed
recorder was just writing.

A part that cannot be written is the end of the tape: what stands is said, and what came after is not written,
as a later part would leave a gap that nobody sees.

Outages, times in which something is not known although the tape has no row that says so, stand in
`tape.json`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

import polars as pl

from pricing.contracts import Listing
from pricing.daycount import iso
from pricing.errors import Exit, HedgerError, InputError
from venues.source_files import PARQUET_ERRORS
from venues.tape_files import (
    NEW_DESCRIPTION,
    clock_offsets,
    counts_of,
    read_description,
    sound_rows,
    write,
    write_description,
    write_table,
)
from venues.tape_schema import listings_frame


@dataclass(frozen=True, slots=True)
class Outage:
    """From when to when, local UTC ns, what was not heard; symbols: of which listings, none: of all. venue:
    of which, "" of all."""

    from_ns: int
    to_ns: int
    reason: str
    symbols: tuple[str, ...] = ()
    venue: str = ""


class TapeCutShort(HedgerError):
    """A tape that has grown cannot be written any further; what stands is sound (exit 1)."""

    exit_code = Exit.NEGATIVE


class GrowingTape:
    """The tape at a path, which does not exist before its first part. meta: as of `venues.tape.write`, read
    when that part is written."""

    def __init__(self, path: Path, listings: Sequence[Listing], meta: Mapping[str, Any]) -> None:
        self.path = path
        self.parts = 0
        self._listings, self._meta = listings, meta
        self._batches = self._last_ns = 0
        self._failed: HedgerError | None = None

    def add(
        self,
        quotes: pl.DataFrame,
        depth: pl.DataFrame,
        outages: Sequence[Outage],
        trades: pl.DataFrame | None = None,
        timetable: pl.DataFrame | None = None,
    ) -> None:
        """One part more: batches that all come after the last, what others traded, and the timetable of a
        run. Durable when this returns.

        Raises:
            InputError: the place is taken or cannot be written, or the rows are unsound.
            TapeCutShort: a part after the first cannot be written, now or before.
        """
        if self._failed is not None:
            raise self._failed
        if self.parts == 0:
            try:
                write(self.path, self._listings, quotes, depth, trades, self._meta, timetable)
            except InputError as error:
                self._failed = error
                raise
            self._stands(quotes)
            self.note(outages)
            return
        listing_rows = listings_frame(self._listings)
        tables, problems = sound_rows(quotes, depth, listing_rows, trades, timetable)
        if problems:
            self._failed = InputError(
                "TAPE_UNSOUND",
                "the rows do not make a sound tape",
                where=self.path.name,
                observed=problems[0],
                not_done=self._standing(),
            )
            raise self._failed
        description = read_description(self.path)
        try:
            for name, frame in tables.items():
                file = self._part_of(name)
                description["hash"][file.name] = write_table(file, frame)
            offsets, known = clock_offsets(tables), description["clock_offset_ns"]
            description["clock_offset_ns"] = {
                venue: min(offsets.get(venue, known.get(venue)), known.get(venue, offsets.get(venue)))
                for venue in sorted({*offsets, *known})
            }
            description["counts"] = _sum(description["counts"], counts_of(tables))
            description["outages"] = [*description.get("outages", []), *map(_plain, outages)]
            write_description(self.path, description)
        except PARQUET_ERRORS as error:
            self._clear(tables)
            self._cut_short(error)
        self._stands(quotes)

    def rest(self, trades: pl.DataFrame, timetable: pl.DataFrame) -> None:
        """What a run still did, and others traded, after the last batch; before the first part there is
        nowhere to put it.

        Raises:
            TapeCutShort: it cannot be written.
        """
        if not self.parts or not (trades.height or timetable.height):
            return
        if self._failed is not None:
            raise self._failed
        tables = {"trades": trades, "timetable": timetable}
        description = read_description(self.path)
        try:
            for name, frame in tables.items():
                file = self._part_of(name)
                description["hash"][file.name] = write_table(file, frame)
                description["counts"][name] += frame.height
            offsets, known = clock_offsets(tables), description["clock_offset_ns"]
            for venue, offset in offsets.items():
                known[venue] = min(offset, known.get(venue, offset))
            write_description(self.path, description)
        except PARQUET_ERRORS as error:
            self._clear(tables)
            self._cut_short(error)
        self.parts += 1

    def note(self, outages: Sequence[Outage]) -> None:
        """Put outages on record without rows; before the first part there is nowhere to put them.

        Raises:
            TapeCutShort: they cannot be written.
        """
        if not outages or not self.parts:
            return
        if self._failed is not None:
            raise self._failed
        description = read_description(self.path)
        description["outages"] = [*description.get("outages", []), *map(_plain, outages)]
        try:
            write_description(self.path, description)
        except OSError as error:
            self._clear(())
            self._cut_short(error)

    def _part_of(self, table: str) -> Path:
        return self.path / f"{table}.{self.parts + 1}.parquet"

    def _stands(self, quotes: pl.DataFrame) -> None:
        """A part with these quotes is written."""
        self.parts += 1
        self._batches += quotes["seq"].n_unique()
        self._last_ns = int(quotes["local_ns"].to_numpy().max())

    def _standing(self) -> str:
        parts = "1 part" if self.parts == 1 else f"{self.parts} parts"
        return (
            f"{parts} with {self._batches} batches up to {iso(self._last_ns)} are written and stand; "
            "nothing that came after was written"
        )

    def _clear(self, tables: Iterable[str]) -> None:
        """Take away what was begun of a part, which is of no use and takes room, unless the tape names it."""
        with suppress(OSError, InputError):
            (self.path / NEW_DESCRIPTION).unlink(missing_ok=True)
            named = read_description(self.path)["hash"]
            for file in map(self._part_of, tables):
                if file.name not in named:
                    file.unlink(missing_ok=True)

    def _cut_short(self, error: BaseException) -> NoReturn:
        self._failed = TapeCutShort(
            "TAPE_CUT_SHORT",
            "the tape cannot be written any further",
            where=self.path.name,
            observed=error,
            not_done=self._standing(),
            fix="make room, or mend the disk; the tape can be used as it is (hedger tape verify)",
        )
        raise self._failed from error


def _plain(outage: Outage) -> dict[str, Any]:
    return {**asdict(outage), "symbols": list(outage.symbols)}


def _sum(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Counts of a tape and of a part of it that has no batch and no listing of its own in common."""
    names = dict.fromkeys((*one, *other))
    whole = {name: one.get(name, 0) + other.get(name, 0) for name in names if name != "flags"}
    reasons = sorted({*one["flags"], *other["flags"]})
    flags = {reason: one["flags"].get(reason, 0) + other["flags"].get(reason, 0) for reason in reasons}
    return whole | {"flags": flags}
