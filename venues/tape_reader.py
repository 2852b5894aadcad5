"""Reading a tape: nothing is loaded before it is asked for.

`Tape.market_at` is the market as it was known at a time; `Tape.marks` plays all
batches in order. Stamps of the venue are shifted by the stream's clock offset, so that ages are ages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pricing.daycount import iso
from pricing.errors import InputError
from pricing.market import CLOCK_OFFSET_NS_MAX, QUOTE_FIELDS, Depth, Market, Marks
from pricing.universe import FloatArray, IntArray, Universe
from venues.source_files import PARQUET_ERRORS, check_parquet, refuse, sha256_of
from venues.tape_files import files_of, read_description
from venues.tape_schema import OPTIONAL_QUOTE_COLUMNS, SCHEMAS, arrays, listings_from

_NS_MAX = 2**63 - 1
_MARKS_COLUMNS = ("seq", "venue_ns", "venue", "symbol", "forward_name", *QUOTE_FIELDS)


@dataclass(frozen=True, slots=True, eq=False)
class Batches:
    """The batches of a tape. seq (b,); now_ns (b,): the largest local stamp of each, never falling."""

    seq: IntArray
    now_ns: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Trades:
    """Trades of others in the order they came in; columns (k,).

    rows: positions in the universe. venue_ns: the venue's stamp on our clock. side: of the aggressor, +1 buy,
    -1 sell. price in the venue's quotation, size in order units.
    """

    rows: IntArray
    venue_ns: IntArray
    local_ns: IntArray
    trade_id: tuple[str, ...]
    side: IntArray
    price: FloatArray
    size: FloatArray


class Tape:
    """A tape folder, open for reading. Nothing is loaded before it is asked for.

    description: the contents of tape.json. present: names of the tables it has.
    """

    def __init__(self, path: Path, description: dict[str, Any], present: frozenset[str]) -> None:
        self.path = path
        self.description = description
        self.present = present

    @classmethod
    def open(cls, path: Path | str) -> Tape:
        """Open a tape folder once its description and the hashes and columns of its files are right.

        Raises:
            InputError: no tape, another version, a file missing or damaged, a column missing or of
                the wrong type.
        """
        folder = Path(path)
        description = read_description(folder)
        for name in sorted(_present(description)):
            for file in (folder / part for part in files_of(name, description)):
                check_parquet(file)
                _check_hash(folder, file, description["hash"].get(file.name))
        return cls.of_hashed(folder, description)

    @classmethod
    def of_hashed(cls, folder: Path, description: dict[str, Any]) -> Tape:
        """Open a tape folder whose files the caller has already compared with the hashes of its description.

        Raises:
            InputError: a file cannot be read, or lacks a column of the right type.
        """
        present = _present(description)
        for name in sorted(present):
            for file in files_of(name, description):
                _check_columns(folder / file, name)
        return cls(folder, description, present)

    @cached_property
    def universe(self) -> Universe:
        """All listings of the tape, in its order."""
        return Universe.of(listings_from(self.frame("listings"), f"{self.path.name}/listings.parquet"))

    @cached_property
    def batches(self) -> Batches:
        """Number and time of every batch, in order."""
        frame = self._collect(
            self._scan("quotes").group_by("seq", maintain_order=True).agg(pl.col("local_ns").max())
        )
        seq, now_ns = frame["seq"].to_numpy(), frame["local_ns"].to_numpy()
        if not len(seq) or frame.null_count().sum_horizontal()[0] or (np.diff(seq) <= 0).any():
            self._damaged("quotes", "batches are not in order")
        if (np.diff(now_ns) < 0).any():
            self._damaged("quotes", "time goes back from batch to batch")
        return Batches(seq, now_ns)

    def counts(self) -> dict[str, Any]:
        """Rows per table (0 where absent), "batches", and quotes per "flags"; no row is loaded for it.

        Taken from the files, as their hashes tell what they hold; nothing does so for tape.json.
        """
        rows = {name: int(self._collect(self._scan(name).select(pl.len())).item()) for name in SCHEMAS}
        reasons = self._scan("quotes").select("flag").drop_nulls().group_by("flag").len()
        flags = dict(sorted(self._collect(reasons).iter_rows()))
        return rows | {"batches": len(self.batches.seq), "flags": flags}

    def frame(self, name: str) -> pl.DataFrame:
        """All rows of a table, raw: "listings", "quotes", "depth" or "trades" (empty where absent)."""
        return self._collect(self._scan(name))

    def market_at(self, time_ns: int | None = None) -> Market:
        """The market as known at the last batch not after `time_ns` (UTC ns; None = the last batch).

        It holds the newest quote of every listing so far; `now_ns` is that batch's time, so that a quote from
        an earlier batch shows its age.

        Raises:
            InputError: `time_ns` lies before the first batch.
        """
        seq, now_ns = self._batch_at(time_ns)
        frame = self._collect(self._scan("quotes").filter(pl.col("seq") <= seq).select(_MARKS_COLUMNS))
        rows = self._positions(frame)
        venue_ns = self._shifted(frame)
        order = np.lexsort((venue_ns, rows))  # stable: of equal stamps the later row comes last
        newest = order[np.append(rows[order][1:] != rows[order][:-1], True)]
        newest.sort()
        known = frame[newest]
        marks = Marks(
            seq=seq,
            now_ns=now_ns,
            rows=rows[newest],
            depth=self._books(known),
            **(arrays(known) | {"venue_ns": venue_ns[newest]}),
        )
        return Market.empty(self.universe).apply(marks)

    def marks(self) -> Iterator[Marks]:
        """All batches in order."""
        batches = self.batches
        frame = self._collect(self._scan("quotes").select(_MARKS_COLUMNS))
        rows = self._positions(frame)
        columns = arrays(frame) | {"venue_ns": self._shifted(frame)}
        seq = frame["seq"].to_numpy()
        begins = np.searchsorted(seq, batches.seq, side="left")
        ends = np.searchsorted(seq, batches.seq, side="right")
        books = self._books_by_batch(batches.seq)
        begins, ends = begins.tolist(), ends.tolist()
        for i, (number, now_ns) in enumerate(zip(batches.seq.tolist(), batches.now_ns.tolist(), strict=True)):
            quoted = slice(begins[i], ends[i])
            yield Marks(
                seq=number,
                now_ns=now_ns,
                rows=rows[quoted],
                depth=books(i),
                **{name: column[quoted] for name, column in columns.items()},
            )

    def _books_by_batch(self, seq: IntArray) -> Callable[[int], dict[int, tuple[Depth, Depth]]]:
        """The order books of the i-th batch, for any i in [0, len(seq))."""
        depth = self.frame("depth")
        if not depth.height:
            return lambda i: {}
        rows, found = self._positions(depth), depth["seq"].to_numpy()
        begins = np.searchsorted(found, seq, side="left").tolist()
        ends = np.searchsorted(found, seq, side="right").tolist()
        side, level, price, size = _depth_columns(depth)

        def books(i: int) -> dict[int, tuple[Depth, Depth]]:
            mine = slice(begins[i], ends[i])
            return _ladders(rows[mine], side[mine], level[mine], price[mine], size[mine])

        return books

    def trades(self) -> Iterator[Trades]:
        """The trades by batch, beside `marks`: those that came after the batch before and up to this one.

        What came after the last batch comes with it; an empty one where there are none.
        """
        frame = self.frame("trades").sort("local_ns", maintain_order=True)
        rows, venue_ns = self._positions(frame, "trades"), self._shifted(frame)
        local_ns = frame["local_ns"].to_numpy()
        side = np.where((frame["side"] == "buy").to_numpy(), np.int64(1), np.int64(-1))
        price, size = frame["price"].to_numpy(), frame["size"].to_numpy()
        trade_id = frame["trade_id"].to_list()
        now_ns = self.batches.now_ns
        ends = np.searchsorted(local_ns, now_ns, side="right")
        # of batches of one time the first has them; the last batch has the rest
        ends[-1:] = len(local_ns)
        begin = 0
        for end in ends.tolist():
            part = slice(begin, end)
            yield Trades(
                rows=rows[part],
                venue_ns=venue_ns[part],
                local_ns=local_ns[part],
                trade_id=tuple(trade_id[part]),
                side=side[part],
                price=price[part],
                size=size[part],
            )
            begin = end

    def venue_greeks_at(self, time_ns: int | None = None) -> pl.DataFrame:
        """The newest raw row of every listing up to the last batch not after `time_ns`.

        The venue's Greeks in its own units; the optional columns are there, null where the tape has none.
        """
        return self._nth_newest(time_ns, 0)

    def venue_greeks_before(self, time_ns: int | None = None) -> pl.DataFrame:
        """As `venue_greeks_at`, the newest row but one of every listing that has two."""
        return self._nth_newest(time_ns, 1)

    def _nth_newest(self, time_ns: int | None, back: int) -> pl.DataFrame:
        seq, _ = self._batch_at(time_ns)
        rows = self._with_optional().filter(pl.col("seq") <= seq).sort("venue", "symbol", "venue_ns", "seq")
        age = pl.int_range(pl.len()).reverse().over("venue", "symbol")  # 0 the newest row, 1 the one before
        return self._collect(rows.filter(age == back).sort("seq", "symbol"))

    def venue_greeks(self) -> Iterator[pl.DataFrame]:
        """The raw rows of every batch in order, as `venue_greeks_at`."""
        yield from self._collect(self._with_optional()).partition_by("seq", maintain_order=True)

    def _with_optional(self) -> pl.LazyFrame:
        """All rows of quotes with the optional columns, null where the tape has none."""
        files = self._files("quotes")
        present = _schema(files[0])
        columns = [
            pl.col(name) if name in present else pl.lit(None, kind).alias(name)
            for name, kind in OPTIONAL_QUOTE_COLUMNS.items()
        ]
        return pl.scan_parquet(files, glob=False).select(*SCHEMAS["quotes"], *columns)

    def _batch_at(self, time_ns: int | None) -> tuple[int, int]:
        batches = self.batches
        i = len(batches.now_ns) - 1
        if time_ns is not None:
            i = int(np.searchsorted(batches.now_ns, min(max(time_ns, 0), _NS_MAX), side="right")) - 1
        if i < 0:
            first, last = int(batches.now_ns[0]), int(batches.now_ns[-1])
            raise InputError(
                "TIME_BEFORE_TAPE",
                "the time lies before the tape's first batch",
                where=self.path.name,
                observed=iso(time_ns or 0),
                allowed=f"{iso(first)} ({first}) to {iso(last)} ({last}), or later",
                fix="choose a time on the tape",
            )
        return int(batches.seq[i]), int(batches.now_ns[i])

    def _shifted(self, frame: pl.DataFrame) -> IntArray:
        """Venue stamps on our clock, (len(frame),). What no clock is wrong by is lateness, and left in."""
        offsets = {
            venue: min(max(int(offset), -CLOCK_OFFSET_NS_MAX), CLOCK_OFFSET_NS_MAX)
            for venue, offset in self.description["clock_offset_ns"].items()
        }
        venue_ns: NDArray[np.int64] = frame["venue_ns"].to_numpy()
        if "timetable" in self.present or not any(offsets.values()):  # a run took the stamps as they were
            return venue_ns
        by_venue = {venue: offsets.get(venue, 0) for venue in frame["venue"].unique().to_list()}
        shift = frame["venue"].replace_strict(by_venue, return_dtype=pl.Int64).to_numpy()
        shifted: IntArray = venue_ns + shift
        return shifted

    def _positions(self, frame: pl.DataFrame, name: str = "quotes") -> IntArray:
        """Position in the universe of every row, (len(frame),)."""
        keys = list(self.universe.positions)
        known = pl.DataFrame(
            {"venue": [v for v, _ in keys], "symbol": [s for _, s in keys], "position": range(len(keys))},
            schema={"venue": pl.String, "symbol": pl.String, "position": pl.Int64},
        )
        joined = frame.select("venue", "symbol").join(
            known, on=["venue", "symbol"], how="left", maintain_order="left"
        )
        if joined["position"].null_count():
            self._damaged(name, "a symbol is not in listings")
        return joined["position"].to_numpy()

    def _books(self, newest: pl.DataFrame) -> dict[int, tuple[Depth, Depth]]:
        """Order books that came with the newest quotes, by position."""
        if "depth" not in self.present:
            return {}
        key = ["seq", "venue", "symbol"]
        found = self._collect(self._scan("depth").join(newest.lazy().select(key), on=key, how="semi"))
        return _ladders(self._positions(found), *_depth_columns(found))

    def _scan(self, name: str) -> pl.LazyFrame:
        if name not in self.present:
            return pl.LazyFrame(schema=SCHEMAS[name])
        return pl.scan_parquet(self._files(name), glob=False).select(list(SCHEMAS[name]))

    def _files(self, name: str) -> list[Path]:
        return [self.path / file for file in files_of(name, self.description)]

    def _collect(self, lazy: pl.LazyFrame) -> pl.DataFrame:
        try:
            return lazy.collect()
        except PARQUET_ERRORS as error:
            raise InputError(
                "TAPE_DAMAGED",
                "a file of the tape cannot be read",
                where=self.path.name,
                observed=error,
                not_done="nothing was read",
                fix="import the tape again from its source",
            ) from error

    def _damaged(self, name: str, what: str) -> NoReturn:
        raise InputError(
            "TAPE_DAMAGED",
            what,
            where=f"{self.path.name}/{name}.parquet",
            not_done="nothing was read",
            fix="see `hedger tape verify`; import the tape again from its source",
        )


def _present(description: dict[str, Any]) -> frozenset[str]:
    """Names of the tables a tape has: the first two always."""
    known = ("depth", "trades", "timetable")
    optional = (name for name in known if f"{name}.parquet" in description["hash"])
    return frozenset({"listings", "quotes", *optional})


def _check_columns(file: Path, name: str) -> None:
    """Refuse a file of a table that lacks a column of the right type."""
    found = _schema(file)
    optional = OPTIONAL_QUOTE_COLUMNS if name == "quotes" else {}
    expected = {**SCHEMAS[name]} | {c: kind for c, kind in optional.items() if c in found}
    for column, kind in expected.items():
        if found.get(column) != kind:
            refuse(
                "TAPE_COLUMN",
                "a column is missing" if column not in found else "a column has the wrong type",
                file,
                where=f"{file.parent.name}/{file.name}, column {column}",
                observed=found.get(column),
                allowed=str(kind),
                not_done="nothing was read",
                fix="import the tape again from its source",
            )


def _check_hash(folder: Path, file: Path, expected: str | None) -> None:
    """Refuse a file that is not the one written: on some damage the reader of parquet aborts the process."""
    found = sha256_of(file)
    if found != expected:
        refuse(
            "TAPE_HASH",
            "the file is not the one that was written",
            file,
            where=f"{folder.name}/{file.name}",
            observed=f"SHA-256 {found}",
            allowed=str(expected),
            not_done="nothing was read",
            fix="see `hedger tape verify`; import the tape again from its source",
        )


def _schema(file: Path) -> pl.Schema:
    try:
        return pl.scan_parquet(file, glob=False).collect_schema()
    except PARQUET_ERRORS as error:
        refuse("FILE_DAMAGED", "the parquet file cannot be read", file, observed=error, fix="import it again")


def _depth_columns(depth: pl.DataFrame) -> tuple[IntArray, IntArray, FloatArray, FloatArray]:
    """Side (1 an ask), level, price and size of every row."""
    side = (depth["side"] == "ask").to_numpy().astype(np.int64)
    return side, depth["level"].to_numpy(), depth["price"].to_numpy(), depth["size"].to_numpy()


def _ladders(
    rows: IntArray, side: IntArray, level: IntArray, price: FloatArray, size: FloatArray
) -> dict[int, tuple[Depth, Depth]]:
    """Order books, (bids, asks) by position, from rows of one book per listing; columns (k,)."""
    order = np.lexsort((level, side, rows))
    key = (2 * rows + side)[order]
    price, size = price[order], size[order]
    cuts = [0, *(np.flatnonzero(np.diff(key)) + 1).tolist(), len(key)] if len(key) else [0]
    nothing = Depth(np.empty(0), np.empty(0))
    books: dict[int, tuple[Depth, Depth]] = {}
    for begin, end in pairwise(cuts):
        row, is_ask = divmod(int(key[begin]), 2)
        found = Depth(price[begin:end], size[begin:end])
        bids, asks = books.get(row, (nothing, nothing))
        books[row] = (bids, found) if is_ask else (found, asks)
    return books
