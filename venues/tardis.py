"""Importer of `tardis`: the CSV files of Tardis, plain or gzip: trades, quotes, book snapshots, L2 changes,
derivative tickers, option chains.

A file's kind is told by its header (`venues.tardis_kinds`). Several files of one clock become one tape: books
with the trades between them. What one file tells of a listing no second may tell of the same time. Lines of
`incremental_book_L2` that came at once are taken in before the book is looked at, and a copy of the book
begins it anew. Of quotes, option chains and books of one listing the newer tells the touch.
`venues.tardis_names` says what the figures of each exchange are.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

import polars as pl

from pricing.contracts import Contract, Spot
from pricing.errors import InputError
from venues.feed_sampler import Feed, Sampler
from venues.import_options import Imported, ImportOptions
from venues.listing_book import ListingBook
from venues.source_files import check_regular, refuse, sha256_of
from venues.tardis_files import Line, Message, Source, messages_of, refuse_cell
from venues.tardis_kinds import CHAIN, CHANGES, QUOTES, TICKER, TRADES, levels_of, told_by
from venues.tardis_names import EXCHANGES
from venues.tardis_rows import (
    Copy,
    number,
    one_of,
    take_chain,
    take_changes,
    take_copy,
    take_quote,
    take_ticker,
)


@dataclass(slots=True)
class _Told:
    """Which files have told one thing of one listing, the newest last, and until when."""

    sources: list[Source]
    local_ns: int


class _Files:
    """What was read so far. left_out: symbols of other underlyings than those asked for. unsided: trades
    whose aggressor is not known. early: changes of books that came before a copy of the book."""

    def __init__(self, options: ImportOptions) -> None:
        self.sampler = Sampler(options.every_ms, options.levels)
        self.feeds: dict[tuple[str, str], tuple[Feed, Contract]] = {}
        self._copies: defaultdict[tuple[str, str], Copy] = defaultdict(Copy)
        self.left_out: set[tuple[str, str]] = set()
        self.unsided = self.early = 0
        self._wanted = options.underlyings
        self._told: dict[tuple[str, str, str], _Told] = {}
        self._traded: set[tuple[str, str, str]] = set()

    def take(self, message: Message) -> None:
        """The next message, in the order of local time."""
        first = message.lines[0]
        if first.exchange not in EXCHANGES:
            known = ", ".join(sorted(EXCHANGES))
            refuse_cell(
                first.where, "exchange", "an exchange whose terms are not known", first.exchange, known
            )
        exchange = EXCHANGES[first.exchange]
        key = exchange.venue, exchange.symbol(first.symbol)
        self._once(message, key)
        if key in self.left_out:
            return
        if key not in self.feeds:
            contract = _contract(first, key[1])
            if self._wanted and contract.underlying not in self._wanted:
                self.left_out.add(key)
                return
            self.feeds[key] = Feed(*key), contract
        feed, contract = self.feeds[key]
        self.sampler.reach(message.local_ns, [known for known, _ in self.feeds.values()])
        if message.kind == CHANGES:
            self.early += take_changes(message.lines, feed, self._copies[key])
        for line in message.lines:
            if message.kind == TRADES:
                self._trade(line, feed)
            elif message.kind == TICKER:
                take_ticker(line, feed, exchange, contract)
            elif message.kind == CHAIN:
                take_chain(line, feed, exchange, contract)
            elif message.kind == QUOTES:
                take_quote(line, feed)
            elif message.kind != CHANGES:
                take_copy(line, levels_of(message.kind), feed)
        if message.kind != TRADES:
            feed.hear(message.local_ns, message.venue_ns)

    def close(self) -> None:
        """The last batch."""
        self.sampler.close([feed for feed, _ in self.feeds.values()])

    def _once(self, message: Message, key: tuple[str, str]) -> None:
        """Refuse what a second file tells of a time that a first has told of: which of them is right?"""
        what = told_by(message.kind)
        told = self._told.setdefault((what, *key), _Told([message.source], message.local_ns))
        source = message.source
        if source is not told.sources[-1]:
            if source in told.sources or message.local_ns <= told.local_ns:
                other = next(x for x in reversed(told.sources) if x is not source)
                refuse(
                    "SOURCE_TWICE",
                    "two files tell the same of one listing at the same time",
                    source.path,
                    where=message.lines[0].where,
                    observed=f"{what} of {key[0]} {key[1]}, which {other.path.name} tells as well",
                    allowed="each listing's times in one file of a kind: one day behind another",
                    fix="leave one of the two files out",
                )
            told.sources.append(source)
        told.local_ns = message.local_ns

    def _trade(self, line: Line, feed: Feed) -> None:
        trade_id = line.row["id"]
        side = one_of(line, "side", ("buy", "sell", "unknown"))
        price, size = (number(line, name, above=True) for name in ("price", "amount"))
        if side == "unknown":
            self.unsided += 1
            return
        if not trade_id:
            what = "a trade without a name, as liquidations are"
            refuse_cell(line.where, "id", what, "", "the exchange's trade id")
        key = feed.venue, feed.symbol, trade_id
        if key in self._traded:
            what = "a trade that was read already"
            refuse_cell(line.where, "id", what, trade_id, "each trade once: no liquidations")
        self._traded.add(key)
        self.sampler.trade(feed, (line.venue_ns, line.local_ns), trade_id, side, price, size)


def import_tardis(sources: Sequence[Path], options: ImportOptions) -> Imported:
    """Read Tardis' files of one clock as one: listings, quotes with depth, trades, and what tape.json keeps.

    Raises:
        InputError: a file or row is not as it must be, local time goes back, the exchange is not one whose
            terms are known, or no row tells a quote; nothing is written.
    """
    hashes = _hashes(sources)
    files, read = _Files(options), [Source(path) for path in sources]
    for message in heapq.merge(*map(messages_of, read), key=attrgetter("local_ns")):
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
        "source": [
            {"name": path.name, "sha256": sha256} for path, sha256 in zip(sources, hashes, strict=True)
        ],
        "options": {
            "format": "tardis",
            "every_ms": options.every_ms,
            "levels": options.levels,
            "underlyings": list(options.underlyings),
        },
        "notes": notes + [note for source in read if (note := source.note())] + _lacking(files, quotes),
    }
    listings = tuple(listing for book in books.values() for listing in book.listings())
    return Imported(listings, quotes, meta, depth, trades)


def _lacking(files: _Files, quotes: pl.DataFrame) -> list[str]:
    """What the user must know of what is not on the tape."""
    notes = []
    if files.unsided:
        notes.append(f"{files.unsided} trades whose aggressor the exchange does not tell were left out")
    if files.early:
        notes.append(f"{files.early} changes of books before the first copy of them were left out")
    if files.left_out:
        notes.append(f"{len(files.left_out)} symbols on other underlyings were left out")
    keys = quotes.filter(quotes["index"].is_not_null()).select("venue", "symbol").unique().iter_rows()
    indexed = {files.feeds[venue, symbol][1].underlying for venue, symbol in keys}
    bare = {c.underlying for _, c in files.feeds.values() if not isinstance(c, Spot)} - indexed
    if bare:
        names = ", ".join(sorted(bare))
        notes.append(f"no index of {names} is in these files: derivative_ticker of a perpetual has it")
    return notes


def _hashes(sources: Sequence[Path]) -> list[str]:
    """SHA-256 of each file; the same bytes are taken once."""
    found: dict[str, Path] = {}
    for path in sources:
        check_regular(path)
        other = found.setdefault(sha256_of(path), path)
        if other is not path:
            refuse(
                "SOURCE_TWICE",
                "the same file is given twice",
                path,
                observed=f"the bytes of {other.name}",
                allowed="each file once",
                fix="name it once",
            )
    return list(found)


def _contract(line: Line, symbol: str) -> Contract:
    try:
        return EXCHANGES[line.exchange].contract(symbol)
    except (ValueError, InputError):
        what = "not a symbol of this exchange that is read"
        refuse_cell(line.where, "symbol", what, line.symbol, "its own names, with the day of an expiry")
