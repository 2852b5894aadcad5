"""Importer of `tardis`: the CSV files of Tardis, plain or gzip: trades, quotes, book snapshots, L2 changes,
derivative tickers, option chains.

A file's kind is told by its header. Stamps are microseconds, the exchange's and the local one. Several files
of one clock become one tape: books with the trades between them. Of `incremental_book_L2` rows with one local
stamp are one message; a message marked as a snapshot begins the book anew. Of quotes, option chains and books
of one listing the newer tells the touch. `venues.tardis_names` says what the figures of each exchange are.
"""

from __future__ import annotations

import csv
import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter, itemgetter
from pathlib import Path

import polars as pl

from pricing.contracts import Contract, Option
from pricing.errors import InputError
from venues.feed_sampler import Feed, Sampler
from venues.import_options import Imported, ImportOptions
from venues.line_files import lines_of
from venues.listing_book import ListingBook
from venues.source_files import refuse, sha256_of
from venues.tardis_names import EXCHANGES
from venues.tardis_rows import (
    CHAIN,
    TICKER,
    TRADES,
    Row,
    bad,
    kind_of,
    number,
    one_of,
    stamp_ns,
    take_chain,
    take_quote,
    take_ticker,
)


@dataclass(frozen=True, slots=True)
class _Message:
    """Rows of one file that came at once."""

    local_ns: int
    venue_ns: int
    kind: tuple[str, ...]
    exchange: str
    symbol: str
    rows: tuple[Row, ...]
    where: str


class _Files:
    """What was read so far. left_out: symbols of other underlyings than those asked for."""

    def __init__(self, options: ImportOptions) -> None:
        self.sampler = Sampler(options.every_ms, options.levels)
        self.feeds: dict[tuple[str, str], tuple[Feed, Contract]] = {}
        self.left_out: set[tuple[str, str]] = set()
        self._wanted = options.underlyings
        self._traded: set[tuple[str, str, str]] = set()

    def take(self, message: _Message) -> None:
        """The next message, in the order of local time."""
        exchange = EXCHANGES[message.exchange]
        key = exchange.venue, exchange.symbol(message.symbol)
        if key in self.left_out:
            return
        if key not in self.feeds:
            contract = _contract(message, key[1])
            if self._wanted and contract.underlying not in self._wanted:
                self.left_out.add(key)
                return
            self.feeds[key] = Feed(*key), contract
        feed, contract = self.feeds[key]
        self.sampler.reach(message.local_ns, [known for known, _ in self.feeds.values()])
        if message.kind == TRADES:
            for row in message.rows:
                self._trade(row, message, feed)
            return
        if message.kind == TICKER:
            for row in message.rows:
                take_ticker(row, message.where, feed, exchange, contract)
        elif message.kind == CHAIN:
            for row in message.rows:
                take_chain(row, message.where, feed, exchange, contract)
        else:
            take_quote(message.kind, message.rows, message.where, feed)
        feed.hear(message.local_ns, message.venue_ns)

    def close(self) -> None:
        """The last batch."""
        self.sampler.close([feed for feed, _ in self.feeds.values()])

    def _trade(self, row: Row, message: _Message, feed: Feed) -> None:
        where, trade_id = message.where, row["id"]
        side = one_of(row, "side", ("buy", "sell", "unknown"), where)
        if side == "unknown":
            return
        stamps = stamp_ns(row, "timestamp", where), message.local_ns
        price, size = (number(row, name, where, above=True) for name in ("price", "amount"))
        if not trade_id:
            bad(where, "id", "a trade without a name, as liquidations are", "", "the exchange's trade id")
        key = feed.venue, feed.symbol, trade_id
        if key in self._traded:
            bad(where, "id", "a trade that was read already", trade_id, "each trade once: no liquidations")
        self._traded.add(key)
        self.sampler.trade(feed, stamps, trade_id, side, price, size)


def import_tardis(sources: Sequence[Path], options: ImportOptions) -> Imported:
    """Read Tardis' files of one clock as one: listings, quotes with depth, trades, and what tape.json keeps.

    Raises:
        InputError: a file or row is not as it must be, local time goes back, the exchange is not one whose
            terms are known, or no row tells a quote; nothing is written.
    """
    files = _Files(options)
    for message in heapq.merge(*(_messages(path) for path in sources), key=attrgetter("local_ns")):
        files.take(message)
    files.close()
    quotes, depth, trades = files.sampler.frames_of_tape()
    if not quotes.height:
        allowed = "quotes, books, derivative tickers or option chains"
        refuse("FILE_EMPTY", "no row tells a quote", sources[0], allowed=allowed)
    stamps = quotes["venue_ns"].to_list()
    books = {venue: ListingBook(venue, min(stamps), max(stamps)) for venue, _ in sorted(files.feeds)}
    for (venue, symbol), (_, contract) in files.feeds.items():
        books[venue].listing(symbol, contract)
    notes = [f"{venue}: {note}" for venue, book in books.items() for note in book.notes()]
    meta = {
        "source": [{"name": path.name, "sha256": sha256_of(path)} for path in sources],
        "options": {
            "format": "tardis",
            "every_ms": options.every_ms,
            "levels": options.levels,
            "underlyings": list(options.underlyings),
        },
        "notes": notes + _lacking(files, quotes),
    }
    listings = tuple(listing for book in books.values() for listing in book.listings())
    return Imported(listings, quotes, meta, depth, trades)


def _lacking(files: _Files, quotes: pl.DataFrame) -> list[str]:
    """What the user must know of what is not on the tape."""
    notes = []
    if files.left_out:
        notes.append(f"{len(files.left_out)} symbols on other underlyings were left out")
    keys = quotes.filter(quotes["index"].is_not_null()).select("venue", "symbol").unique().iter_rows()
    indexed = {files.feeds[venue, symbol][1].underlying for venue, symbol in keys}
    bare = {c.underlying for _, c in files.feeds.values() if isinstance(c, Option)} - indexed
    if bare:
        names = ", ".join(sorted(bare))
        notes.append(f"no index of {names} is in these files: derivative_ticker of a perpetual has it")
    return notes


def _messages(path: Path) -> Iterator[_Message]:
    """The messages of a file in order."""
    rows = _rows(path)
    for _, together in groupby(rows, key=itemgetter(0, 1, 2)):
        first, *others = together
        local_ns, exchange, symbol, kind, row, where = first
        venue_ns = stamp_ns(row, "timestamp", where)
        if exchange not in EXCHANGES:
            known = ", ".join(sorted(EXCHANGES))
            bad(where, "exchange", "an exchange whose terms are not known", exchange, known)
        yield _Message(
            local_ns, venue_ns, kind, exchange, symbol, (row, *(other[4] for other in others)), where
        )


def _rows(path: Path) -> Iterator[tuple[int, str, str, tuple[str, ...], Row, str]]:
    """(local stamp, exchange, symbol, kind, row, place) of each row."""
    numbered = lines_of(path)
    _, head = next(numbered)
    kind = kind_of(tuple(head.split(",")), path)
    before = 0
    for line_number, line in numbered:
        where = f"{path.name}, line {line_number}"
        try:
            cells = next(csv.reader([line], strict=True), [])
        except csv.Error as error:
            bad(where, "", "not cells between commas", error, "CSV")
        if not cells:
            continue
        if len(cells) != len(kind):
            bad(where, "", "wrong number of cells", len(cells), str(len(kind)))
        row = dict(zip(kind, cells, strict=True))
        local_ns = stamp_ns(row, "local_timestamp", where)
        if local_ns < before:
            bad(where, "local_timestamp", "local time goes back", row["local_timestamp"], "in order")
        before = local_ns
        yield local_ns, row["exchange"], row["symbol"], kind, row, where


def _contract(message: _Message, symbol: str) -> Contract:
    try:
        return EXCHANGES[message.exchange].contract(symbol)
    except (ValueError, InputError):
        what = "not a symbol of this exchange that is read"
        bad(message.where, "symbol", what, message.symbol, "its own names, with the day of an expiry")
