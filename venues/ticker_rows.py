"""Tickers of a recording as rows of a tape: sorted, each instrument once a batch, with their listings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from pricing.contracts import Listing
from pricing.daycount import NS_PER_SECOND
from pricing.errors import InputError
from venues.listing_book import ListingBook
from venues.tape_schema import OPTIONAL_QUOTE_COLUMNS, QUOTE_SCHEMA

NS_PER_MS = NS_PER_SECOND // 1000
#: 2010 and 2100, in milliseconds: a stamp in another unit falls outside.
STAMPS_MS = (1_262_304_000_000, 4_102_444_800_000)

#: One ticker: the tape's columns, with `contract` and `where` (its place in the source) beside them.
Row = dict[str, Any]


def refuse_twice(rows: Sequence[Row]) -> None:
    """Refuse an instrument that occurs twice with one stamp."""
    first: dict[tuple[int, str, str], str] = {}
    for row in rows:
        key = row["venue_ns"], row["venue"], row["symbol"]
        if key in first:
            raise InputError(
                "SOURCE_TWICE",
                "an item occurs twice",
                where=f"{first[key]} and {row['where']}",
                observed=f"{row['symbol']} at {row['venue_ns'] // NS_PER_MS} ms",
                allowed="each instrument once per timestamp",
                not_done="nothing was written",
                fix="drop one of the items, or the file that overlaps",
            )
        first[key] = row["where"]


def number_batches(rows: Sequence[Row]) -> None:
    """Give each row its batch, in place: a new one begins where an instrument comes again."""
    seq, seen = 0, set[tuple[str, str]]()
    for row in rows:
        key = row["venue"], row["symbol"]
        if key in seen:
            seq, seen = seq + 1, set()
        seen.add(key)
        row["seq"] = seq


def quotes_of(rows: Sequence[Row]) -> pl.DataFrame:
    """The rows with the tape's columns; what a row lacks is null."""
    columns = {**QUOTE_SCHEMA, **OPTIONAL_QUOTE_COLUMNS}
    del columns["flag"]
    return pl.DataFrame([{name: row.get(name) for name in columns} for row in rows], schema=columns)


def listings_of(rows: Sequence[Row]) -> tuple[tuple[Listing, ...], list[str]]:
    """Listings of all rows with the terms of the recording's time, and the notes on those terms.

    Raises:
        InputError: the table of a venue has no terms for a contract at that time.
    """
    books: dict[str, ListingBook] = {}
    for venue in sorted({row["venue"] for row in rows}):
        stamps = [row["venue_ns"] for row in rows if row["venue"] == venue]
        books[venue] = ListingBook(venue, min(stamps), max(stamps))
    for row in rows:
        books[row["venue"]].listing(row["symbol"], row["contract"])
    listings = tuple(listing for book in books.values() for listing in book.listings())
    return listings, [note for book in books.values() for note in book.notes()]
