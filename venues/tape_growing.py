"""A tape that is being recorded: it grows by whole parts, and is a sound tape after each of them.

A part is a file of quotes, one of depth, and one of trades where those are recorded. All are durable before
`tape.json`, which is replaced in one step, names them: whoever reads, or kills the recorder at any moment,
has the tape up to the last part that was finished. Files that no description names are what a killed
recorder was just writing.

Outages, times in which something is not known although the tape has no row that says so, stand in
`tape.json`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl

from pricing.contracts import Listing
from venues.source_files import refuse
from venues.tape_files import (
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


class GrowingTape:
    """The tape at a path, which does not exist before its first part. meta: as of `venues.tape.write`, read
    when that part is written."""

    def __init__(self, path: Path, listings: Sequence[Listing], meta: Mapping[str, Any]) -> None:
        self.path = path
        self.parts = 0
        self._listings, self._meta = listings, meta

    def add(
        self,
        quotes: pl.DataFrame,
        depth: pl.DataFrame,
        outages: Sequence[Outage],
        trades: pl.DataFrame | None = None,
    ) -> None:
        """One part more: batches that all come after the last, and what others traded. Durable when this
        returns.

        Raises:
            InputError: the place is taken or cannot be written, or the rows are unsound.
        """
        if self.parts == 0:
            write(self.path, self._listings, quotes, depth, trades, meta=self._meta)
            self.parts = 1
            self.note(outages)
            return
        listing_rows = listings_frame(self._listings)
        tables, problems = sound_rows(quotes, depth, listing_rows, trades)
        if problems:
            refuse("TAPE_UNSOUND", "the rows do not make a sound tape", self.path, observed=problems[0])
        description = read_description(self.path)
        number = self.parts + 1
        try:
            for name, frame in tables.items():
                file = self.path / f"{name}.{number}.parquet"
                description["hash"][file.name] = write_table(file, frame)
            offsets, known = clock_offsets(tables), description["clock_offset_ns"]
            description["clock_offset_ns"] = {
                venue: min(offsets.get(venue, known.get(venue)), known.get(venue, offsets.get(venue)))
                for venue in sorted({*offsets, *known})
            }
            description["counts"] = _sum(description["counts"], counts_of(tables))
            description["outages"] = [*description.get("outages", []), *map(_plain, outages)]
            write_description(self.path, description)
        except (OSError, pl.exceptions.PolarsError) as error:
            refuse(
                "TAPE_WRITE", "the tape cannot be written", self.path, observed=error, fix="check the disk"
            )
        self.parts = number

    def note(self, outages: Sequence[Outage]) -> None:
        """Put outages on record without rows; before the first part there is nowhere to put them."""
        if outages and self.parts:
            description = read_description(self.path)
            description["outages"] = [*description.get("outages", []), *map(_plain, outages)]
            write_description(self.path, description)


def _plain(outage: Outage) -> dict[str, Any]:
    return {**asdict(outage), "symbols": list(outage.symbols)}


def _sum(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Counts of a tape and of a part of it that has no batch and no listing of its own in common."""
    names = dict.fromkeys((*one, *other))
    whole = {name: one.get(name, 0) + other.get(name, 0) for name in names if name != "flags"}
    reasons = sorted({*one["flags"], *other["flags"]})
    flags = {reason: one["flags"].get(reason, 0) + other["flags"].get(reason, 0) for reason in reasons}
    return whole | {"flags": flags}
